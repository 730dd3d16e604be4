//! What a change would do: the server's own dry run of it, and where the object would differ.
//!
//! A rehearsal writes nothing (`dryRun=All`) and so needs no permit; the real thing goes through [`super::run`].

use serde_json::{Value, json};

use super::desk::{Desk, Remote};
use super::difference::{self, Fields};
use super::draft::{Check, Found, text};
use super::{Line, Mark};
use crate::audit::change::digest;
use crate::identity::ObjectRef;
use crate::sources::SourceError;
pub(super) use crate::sources::change::Change;

/// What a rehearsal says beside whether it would be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Nothing more.
    Nothing,
    /// Where the object would differ from what it is, below its spec and metadata.
    Difference,
}

/// Asks the server to pretend, and says what it would do.
pub(super) fn rehearsal<'a, R: Remote>(
    desk: &'a Desk<R>,
    object: &'a ObjectRef,
    document: &'a Value,
    change: Change,
    show: Show,
) -> Check<'a> {
    Check::new("the server's dry run", async move {
        let answer = match desk.remote.rehearse(object, &change).await {
            Ok(answer) => answer,
            Err(error) => return Found::from(vec![refused(&error)]),
        };
        let mut lines = vec![Line::new(Mark::Ok, "the server would take it (server dry run)")];
        lines.extend(answer.warnings.iter().map(|warning| {
            let text = format!("the server warns: {warning}");
            Line::new(Mark::Warn, text)
        }));
        if show == Show::Difference {
            lines.extend(difference(document, &answer.object));
        }
        Found::from(lines)
    })
}

/// The generation of an object, which moves with every write of its spec, in the record.
pub(super) const GENERATION: &str = "/metadata/generation";

/// Returns the digests of the fields that a write changes, before it and as the server would store them: by these it is
/// found out later what became of a write that was cut off.
pub(super) fn digests(
    before: &Value,
    after: &Value,
    fields: impl IntoIterator<Item = String>,
) -> Vec<(String, Value, Value)> {
    let of = |whole: &Value, field: &str| digest(whole.pointer(field).unwrap_or(&Value::Null));
    let told = fields.into_iter().map(|field| {
        let (was, is) = (of(before, &field), of(after, &field));
        (field, was, is)
    });
    let mut all: Vec<_> = told.filter(|(_, was, is)| was != is).collect();
    if let Some(generation) = before.pointer(GENERATION).filter(|_| !all.is_empty()) {
        all.push((GENERATION.to_owned(), json!(generation.to_string()), Value::Null));
    }
    all
}

/// Says why a rehearsal failed.
pub(super) fn refused(error: &SourceError) -> Line {
    let text = match error {
        SourceError::Conflict { .. } => format!("the server's dry run met another version: {error}"),
        _ => format!("the server would refuse it (dry run): {error}"),
    };
    Line::new(Mark::Stop, text)
}

/// What the server keeps for itself, and what says nothing about a change.
const KEPT: [&str; 7] =
    ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "annotations"];

/// Annotations that clients and controllers keep for themselves.
const NOTED: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"];

/// Returns an object without what the server, controllers and clients keep for themselves.
pub(super) fn essence(document: &Value) -> Value {
    let mut whole = document.clone();
    if let Some(fields) = whole.as_object_mut() {
        fields.remove("status");
    }
    let notes = whole.pointer("/metadata/annotations").and_then(Value::as_object).cloned();
    if let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in KEPT {
            metadata.remove(field);
        }
        if let Some(mut notes) = notes {
            notes.retain(|key, _| !NOTED.contains(&key.as_str()));
            if !notes.is_empty() {
                metadata.insert("annotations".to_owned(), Value::Object(notes));
            }
        }
    }
    whole
}

/// Says where an object will differ: the first sentences as changes, all of them as the whole difference.
pub(super) fn difference(now: &Value, then: &Value) -> Vec<Line> {
    let said = paths(now, then);
    told(text(now, "/kind"), text(now, "/metadata/name"), &said)
}

/// Says where an object differs, one sentence a path, with values only where they are public.
pub(super) fn paths(now: &Value, then: &Value) -> Vec<String> {
    if text(now, "/kind") == "ConfigMap" {
        let mut said = difference::config_maps(now, then).1;
        let metadata = |object: &Value| essence(object).get("metadata").cloned().unwrap_or_default();
        said.extend(difference::paths(&metadata(now), &metadata(then), Fields::Both));
        return said;
    }
    difference::paths(&essence(now), &essence(then), Fields::Both)
}

/// How many paths stand among the lines of a plan; the whole difference has them all.
const SHOWN: usize = 5;

/// Writes sentences about what changes as lines of a plan.
pub(super) fn told(kind: &str, name: &str, said: &[String]) -> Vec<Line> {
    if said.is_empty() {
        return vec![Line::new(Mark::Note, "nothing changes")];
    }
    let mut lines: Vec<Line> =
        said.iter().take(SHOWN).map(|path| Line::new(Mark::Change, path.as_str())).collect();
    if said.len() > SHOWN {
        lines.push(Line::new(Mark::Change, format!("and {} more", said.len() - SHOWN)));
    }
    lines.push(Line::new(Mark::Detail, format!("{kind}/{name}")));
    lines.extend(said.iter().map(|path| super::manifests::below(path)));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_and_controllers_keep_is_no_difference() {
        let now = json!({ "kind": "Deployment", "metadata": { "name": "a", "resourceVersion": "1", "generation": 1,
            "annotations": { "deployment.kubernetes.io/revision": "1" } },
            "spec": { "replicas": 1 }, "status": { "replicas": 1 } });
        let then = json!({ "kind": "Deployment", "metadata": { "name": "a", "resourceVersion": "2", "generation": 2,
            "labels": { "team": "blue" } }, "spec": { "replicas": 2 }, "status": {} });
        assert_eq!(paths(&now, &then), ["metadata.labels is added", "spec.replicas 1 -> 2"]);
    }
}
