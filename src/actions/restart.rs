//! Restart: a workload replaces its pods, as `kubectl rollout restart` makes it.

use serde_json::{Value, json};

use super::application::list;
use super::desk::Remote;
use super::draft::{Draft, text};
use super::rollout::{Rollout, judge, on_delete};
use super::work::Work;
use super::workload::{label, singular};
use super::write::Trouble;
use super::{Line, Mark, Outcome, owners};
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

/// kubectl's annotation, and not kube-rs's own: tools look for this one.
pub(super) const ANNOTATION: &str = "kubectl.kubernetes.io/restartedAt";

pub(super) const STEPS: [&str; 2] = ["mark the pod template", "pods replaced"];

pub(super) fn draft<'a>(object: &ObjectRef, document: &'a Value) -> Draft<'a> {
    let mut parts = Vec::new();
    let kind = singular(object);
    let rolls = matches!(&*object.resource.plural, "deployments" | "statefulsets" | "daemonsets");
    if !rolls || &*object.resource.group != "apps" {
        let text = format!(
            "{} cannot be restarted: only Deployments, StatefulSets and DaemonSets roll out",
            object.resource
        );
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let pods = match &*object.resource.plural {
        "daemonsets" => document.pointer("/status/desiredNumberScheduled"),
        _ => document.pointer("/spec/replicas"),
    };
    let pods = pods.and_then(Value::as_i64).unwrap_or(1);
    parts.push(Line::new(Mark::Change, pace(document, &object.resource.plural, pods)).into());
    if document.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false) {
        let text = "it is paused: nothing would be replaced; resume it first (kubectl rollout resume)";
        parts.push(Line::new(Mark::Stop, text).into());
    }
    if on_delete(document) {
        let text = "its update strategy is OnDelete: pods are replaced only as somebody deletes them";
        parts.push(Line::new(Mark::Stop, text).into());
    }
    if pods == 0 {
        parts.push(Line::new(Mark::Note, "it is scaled to 0: no pod is replaced").into());
    }
    if let Some(app) = owners::tracked_by(document) {
        let text = format!(
            "Argo CD Application {app} manages it: the restart is no difference to Git and stays, unless the annotation itself is in Git"
        );
        parts.push(Line::new(Mark::Note, text).into());
    }
    if let Rollout::Going(how) = judge(&object.resource.plural, document) {
        parts.push(Line::new(Mark::Warn, format!("a rollout is going on: {how}")).into());
    }
    parts.push(Line::new(Mark::After, "watched until all pods are new and available").into());
    let namespace = object.namespace.as_deref().unwrap_or_default();
    Draft {
        parts,
        facts: vec![
            ("/spec/template", "the pod template"),
            ("/spec/paused", "whether it is paused"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        command: format!("kubectl rollout restart {kind}/{} -n {namespace}", object.name),
        hold: None,
    }
}

/// Says how the pods are replaced, and what that costs while it lasts.
fn pace(document: &Value, plural: &str, pods: i64) -> String {
    let all = if pods == 1 { "its one pod is".to_owned() } else { format!("all {pods} pods are") };
    let value = |pointer: &str| match document.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let how = match plural {
        "deployments" if text(document, "/spec/strategy/type") == "Recreate" => {
            ", all at once: nothing serves until the new ones are ready (strategy Recreate)".to_owned()
        }
        "deployments" => {
            let or = |text: String| if text.is_empty() { "25%".to_owned() } else { text };
            let surge = or(value("/spec/strategy/rollingUpdate/maxSurge"));
            let unavailable = or(value("/spec/strategy/rollingUpdate/maxUnavailable"));
            format!(" step by step (at most {unavailable} missing, {surge} more)")
        }
        _ => " one after the other".to_owned(),
    };
    let ephemeral =
        list(document, "/spec/template/spec/volumes").iter().any(|volume| volume.get("emptyDir").is_some());
    let lost = if ephemeral { "; what lies in their emptyDir volumes is lost" } else { "" };
    format!("{all} replaced{how}{lost}")
}

/// Returns the merge patch of `kubectl rollout restart`.
pub(super) fn patch(version: &str, at: &str) -> Value {
    json!({
        "metadata": { "resourceVersion": version },
        "spec": { "template": { "metadata": { "annotations": { ANNOTATION: at } } } },
    })
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    // One moment for all attempts: an attempt that landed unseen is known again by it. To the second, as kubectl.
    let at = work.begun().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let marked = |object: &Value| {
        object
            .pointer("/spec/template/metadata/annotations")
            .and_then(|annotations| annotations.get(ANNOTATION))
            .and_then(Value::as_str)
            == Some(&at)
    };
    let stored =
        work.write(|object| Ok(patch(text(object, "/metadata/resourceVersion"), &at)), marked).await?;
    work.done(0, "");
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, _stored: &Written) -> Outcome {
    roll(work, 1).await
}

/// Follows the rollout of a workload in a step, to its end or until it is stuck.
pub(super) async fn roll<R: Remote>(work: &mut Work<'_, R>, step: usize) -> Outcome {
    let plural = work.object.resource.plural.clone();
    loop {
        match work.look().await {
            Ok(Some(document)) => match judge(&plural, &document) {
                Rollout::Done(how) => {
                    work.done(step, how.clone());
                    return Outcome::Verified(format!("{how}, in {}", work.taken()));
                }
                Rollout::Stuck(why) => {
                    return Outcome::Failed(format!(
                        "{why}. Look at the new pods' events and logs; opsdeck rollout undo {} goes back",
                        label(work.object)
                    ));
                }
                Rollout::Going(how) => work.running(step, how),
            },
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(step, error),
        }
        work.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_writes_the_annotation_of_kubectl() {
        // contracts 3.5, row "restart".
        assert_eq!(
            patch("9", "2026-01-01T10:00:00Z").to_string(),
            r#"{"metadata":{"resourceVersion":"9"},"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-01-01T10:00:00Z"}}}}}"#
        );
    }
}
