//! Cordon and uncordon: whether the scheduler may use a node.

use serde_json::{Value, json};

use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, text};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome, Verb};
use crate::identity::{ObjectRef, Resource};
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 1] = ["mark the node"];

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    object: &'a ObjectRef,
    document: &'a Value,
    cordon: bool,
) -> Draft<'a> {
    let mut parts = Vec::new();
    let name = &object.name;
    let change = if cordon {
        "no new pod is scheduled on the node; pods that run on it stay"
    } else {
        "pods can be scheduled on the node again"
    };
    parts.push(Line::new(Mark::Change, change).into());
    if unschedulable(document) == cordon {
        let state = if cordon { "cordoned" } else { "schedulable" };
        parts.push(Line::new(Mark::Stop, format!("{name} is {state} already")).into());
    }
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        let text = "the node is being removed: its pods are evicted whatever is marked";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    let pool = document
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get("karpenter.sh/nodepool"))
        .and_then(Value::as_str);
    if cordon {
        let check =
            Check::new("counting the pods on the node", async move { vec![pods(desk, object).await] });
        parts.push(check.into());
        if let Some(pool) = pool {
            let text =
                format!("Karpenter pool {pool} owns the node: once it is empty it is consolidated away");
            parts.push(Line::new(Mark::Note, text).into());
        }
    }
    parts.push(Line::new(Mark::After, "read back from the API server").into());
    let verb = if cordon { "cordon" } else { "uncordon" };
    Draft {
        parts,
        facts: vec![
            ("/spec/unschedulable", "whether it is unschedulable"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        command: format!("kubectl {verb} {name}"),
        hold: None,
    }
}

async fn pods<R: Remote>(desk: &Desk<R>, node: &ObjectRef) -> Line {
    let fields = format!("spec.nodeName={}", node.name);
    match desk.remote.list(&Resource::new("", "pods"), None, "", &fields).await {
        Ok(pods) => Line::new(Mark::Note, format!("{} pods run on it and stay", pods.len())),
        Err(error) => Line::new(Mark::Note, format!("how many pods run on it is not known: {error}")),
    }
}

fn unschedulable(node: &Value) -> bool {
    node.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or(false)
}

/// Returns the merge patch; `null` where the field is to go, as kubectl leaves a schedulable node.
fn patch(version: &str, cordon: bool) -> Value {
    let unschedulable = if cordon { json!(true) } else { Value::Null };
    json!({
        "metadata": { "resourceVersion": version },
        "spec": { "unschedulable": unschedulable },
    })
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>, cordon: bool) -> Result<Written, Trouble> {
    work.running(0, "");
    work.write(
        |object| Ok(patch(text(object, "/metadata/resourceVersion"), cordon)),
        |object| unschedulable(object) == cordon,
    )
    .await
}

pub(super) fn follow<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let cordoned = unschedulable(&stored.object);
    let state = if cordoned { "unschedulable" } else { "schedulable" };
    let said = format!("{} is {state}", work.object.name);
    let wanted = cordoned == (work.plan.request.verb == Verb::Cordon);
    work.read_back(said, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cordon_sets_the_flag_and_an_uncordon_removes_it() {
        assert_eq!(
            patch("7", true).to_string(),
            r#"{"metadata":{"resourceVersion":"7"},"spec":{"unschedulable":true}}"#
        );
        assert_eq!(
            patch("7", false).to_string(),
            r#"{"metadata":{"resourceVersion":"7"},"spec":{"unschedulable":null}}"#
        );
    }
}
