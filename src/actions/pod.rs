//! Delete a pod: this pod and no other, by its UID.

use serde_json::Value;

use super::application::{kind_name, list};
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, text};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome};
use crate::identity::{ObjectRef, Resource};
use crate::model::selector::selects;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 3] = ["delete the pod", "the pod is gone", "its owner is whole again"];

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts = Vec::new();
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let grace = document.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
    let text_of_change = format!("the pod is asked to end, and killed after {grace} s");
    parts.push(Line::new(Mark::Change, text_of_change).into());
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        parts.push(Line::new(Mark::Stop, "it is being deleted already").into());
    }
    let replaced = controller(document).map_or_else(
        || Line::new(Mark::Warn, "no controller owns it: nothing replaces it, it is gone for good"),
        |owner| Line::new(Mark::Ok, format!("{} replaces it", kind_name(owner))),
    );
    parts.push(replaced.into());
    let mirror = document
        .pointer("/metadata/annotations")
        .is_some_and(|annotations| annotations.get("kubernetes.io/config.mirror").is_some());
    if mirror {
        let text = "it mirrors a file on its node: deleting the mirror does not end the pod";
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let ephemeral = list(document, "/spec/volumes").iter().any(|volume| volume.get("emptyDir").is_some());
    if ephemeral {
        let text = "what lies in its emptyDir volumes is lost";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    let check =
        Check::new("looking for disruption budgets", async move { budgets(desk, namespace, document).await });
    parts.push(check.into());
    let after = "watched until the pod is gone and its owner has its pods again";
    parts.push(Line::new(Mark::After, after).into());
    Draft {
        parts,
        facts: vec![
            ("/metadata/deletionTimestamp", "its deletion"),
            ("/metadata/ownerReferences", "its owner"),
        ],
        command: format!("kubectl delete pod {} -n {namespace}", object.name),
        hold: None,
    }
}

/// A delete goes around disruption budgets, unlike an eviction: the plan says which one would have refused.
async fn budgets<R: Remote>(desk: &Desk<R>, namespace: &str, pod: &Value) -> Vec<Line> {
    let resource = Resource::new("policy", "poddisruptionbudgets");
    let budgets = match desk.remote.list(&resource, Some(namespace), "", "").await {
        Ok(budgets) => budgets,
        Err(error) => {
            let text = format!("disruption budgets cannot be read, and a delete does not ask them: {error}");
            return vec![Line::new(Mark::Note, text)];
        }
    };
    let covering: Vec<&Value> =
        budgets.iter().filter(|budget| selects(budget.pointer("/spec/selector"), pod)).collect();
    if covering.is_empty() {
        return vec![Line::new(Mark::Ok, "no disruption budget covers it")];
    }
    covering
        .into_iter()
        .map(|budget| {
            let name = text(budget, "/metadata/name");
            let left = budget.pointer("/status/disruptionsAllowed").and_then(Value::as_i64);
            match left {
                Some(left) if left > 0 => {
                    Line::new(Mark::Ok, format!("disruption budget {name} has {left} to spare"))
                }
                _ => {
                    let text =
                        format!("disruption budget {name} allows none now, and a delete does not ask it");
                    Line::new(Mark::Warn, text)
                }
            }
        })
        .collect()
}

pub(super) fn controller(document: &Value) -> Option<&Value> {
    list(document, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner.get("controller").and_then(Value::as_bool).unwrap_or(false))
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let gone = work.delete().await?;
    work.done(0, "");
    Ok(gone)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let uid = text(&stored.object, "/metadata/uid").to_owned();
    loop {
        match work.look().await {
            // A stateful set gives the same name to the replacement: only the UID tells.
            Ok(Some(document)) if text(&document, "/metadata/uid") == uid => {
                let node = text(&document, "/spec/nodeName");
                work.running(1, format!("it is ending on {node}"));
            }
            Ok(_) => break,
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
    work.done(1, "");
    let Some(owner) = controller(&stored.object).and_then(|owner| owner_ref(work.object, owner)) else {
        work.skipped(2, "nothing replaces it");
        return Outcome::Verified(format!("the pod is gone, after {}", work.taken()));
    };
    loop {
        match work.desk.remote.look(&owner).await {
            Ok(Some(document)) => {
                let (ready, wanted) = whole(&owner, &document);
                let said = format!("{} of {} pods of {} are ready", ready, wanted, owner.name);
                if ready >= wanted {
                    work.done(2, said.clone());
                    return Outcome::Verified(format!("the pod is gone and {said}, after {}", work.taken()));
                }
                work.running(2, said);
            }
            Ok(None) => {
                work.skipped(2, "its owner is gone");
                return Outcome::Verified(format!("the pod is gone, and so is its owner {}", owner.name));
            }
            Err(error) => work.running(2, error),
        }
        work.pause().await;
    }
}

/// Names the owner where it is one that keeps a number of pods.
fn owner_ref(pod: &ObjectRef, owner: &Value) -> Option<ObjectRef> {
    let plural = match text(owner, "/kind") {
        "ReplicaSet" => "replicasets",
        "StatefulSet" => "statefulsets",
        "DaemonSet" => "daemonsets",
        _ => return None,
    };
    Some(ObjectRef {
        context: pod.context.clone(),
        resource: Resource::new("apps", plural),
        namespace: pod.namespace.clone(),
        name: text(owner, "/name").into(),
    })
}

/// Returns how many pods an owner has ready, and how many it wants.
fn whole(owner: &ObjectRef, document: &Value) -> (i64, i64) {
    let number = |pointer: &str| document.pointer(pointer).and_then(Value::as_i64);
    match &*owner.resource.plural {
        "daemonsets" => (
            number("/status/numberReady").unwrap_or(0),
            number("/status/desiredNumberScheduled").unwrap_or(0),
        ),
        _ => (number("/status/readyReplicas").unwrap_or(0), number("/spec/replicas").unwrap_or(1)),
    }
}
