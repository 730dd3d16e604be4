//! Protect and unprotect: whether Karpenter may take a node away of its own accord.

use serde_json::{Value, json};

use super::desk::Remote;
use super::draft::{Draft, text};
use super::drain::pods::HELD;
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome, Verb};
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 1] = ["annotate the node"];

/// Where the annotation stands in a node.
const POINTER: &str = "/metadata/annotations/karpenter.sh~1do-not-disrupt";

pub(super) fn draft<'a>(object: &ObjectRef, document: &Value, protect: bool) -> Draft<'a> {
    let mut parts = Vec::new();
    let name = &object.name;
    let pool = document.pointer("/metadata/labels/karpenter.sh~1nodepool").and_then(Value::as_str);
    let change = if protect {
        "Karpenter no longer takes the node away of its own accord: not to save, and not for drift"
    } else {
        "Karpenter may take the node away again, to save or for drift"
    };
    parts.push(Line::new(Mark::Change, change).into());
    if is_protected(document) == protect {
        let state = if protect { "protected" } else { "not protected" };
        parts.push(Line::new(Mark::Stop, format!("{name} is {state} already")).into());
    } else if !text(document, POINTER).is_empty() {
        let text = format!("{HELD} is {:?} now, which counts for nothing on a node", text(document, POINTER));
        parts.push(Line::new(Mark::Note, text).into());
    }
    if pool.is_none() {
        let text = "no Karpenter pool owns the node: nobody reads the annotation";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    if protect {
        // contracts 2.3.
        let text = "expiry, spot interruption, node repair, a delete and a drain by hand go on all the same";
        parts.push(Line::new(Mark::Note, text).into());
    }
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        parts.push(Line::new(Mark::Warn, "the node is being removed already: this comes too late").into());
    }
    parts.push(Line::new(Mark::After, "read back from the API server").into());
    let value = if protect { "=true" } else { "-" };
    Draft {
        parts,
        facts: vec![(POINTER, "whether it is protected"), ("/metadata/deletionTimestamp", "its deletion")],
        command: format!("kubectl annotate node {name} {HELD}{value}"),
        hold: None,
    }
}

/// Only the literal counts on a node (contracts 2.3).
fn is_protected(node: &Value) -> bool {
    text(node, POINTER) == "true"
}

fn patch(version: &str, protect: bool) -> Value {
    let value = if protect { json!("true") } else { Value::Null };
    json!({ "metadata": { "resourceVersion": version, "annotations": { HELD: value } } })
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>, protect: bool) -> Result<Written, Trouble> {
    work.running(0, "");
    work.write(
        |object| Ok(patch(text(object, "/metadata/resourceVersion"), protect)),
        |object| is_protected(object) == protect,
    )
    .await
}

pub(super) fn follow<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let protected = is_protected(&stored.object);
    let state = if protected { "protected" } else { "no longer protected" };
    let said = format!("{} is {state}", work.object.name);
    let wanted = protected == (work.plan.request.verb == Verb::Protect);
    work.read_back(said, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_is_set_to_the_literal_and_taken_away_whole() {
        assert_eq!(
            patch("7", true).to_string(),
            r#"{"metadata":{"annotations":{"karpenter.sh/do-not-disrupt":"true"},"resourceVersion":"7"}}"#
        );
        assert_eq!(
            patch("7", false).to_string(),
            r#"{"metadata":{"annotations":{"karpenter.sh/do-not-disrupt":null},"resourceVersion":"7"}}"#
        );
    }
}
