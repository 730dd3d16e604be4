//! argocd-server: what an Application has brought about, and what Git wants of it at given revisions (contracts 1.11).
//!
//! Only asks. It masks the values of Secrets itself; here they are dropped all the same, before anything keeps them.

use serde::Deserialize;
use serde_json::Value;

use super::SourceError;
use super::endpoint::Endpoint;
use super::percent::escape;
use crate::identity::{ObjectRef, Text};
use crate::signals::{Answer, Branch, Told};
use crate::text;

/// What of a Secret is not kept.
const PRIVATE: [&str; 2] = ["data", "stringData"];

/// Where kubectl remembers a whole object, its values among it.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

#[derive(Deserialize)]
struct Manifests {
    /// Each is JSON in a text.
    #[serde(default)]
    manifests: Option<Vec<String>>,
    /// What was rendered; there even where it came to nothing.
    #[serde(default)]
    revision: Option<String>,
}

/// Asks what the sources of an Application want at one revision each, hooks among it.
///
/// The sources are those that its spec has now: argocd-server renders no others.
pub(super) async fn manifests(
    endpoint: &Endpoint,
    application: &ObjectRef,
    project: &str,
    revisions: &[String],
) -> Result<Vec<Value>, SourceError> {
    let path = format!("/api/v1/applications/{}/manifests", escape(&application.name));
    let space = application.namespace.as_deref().unwrap_or_default();
    // Without its project an Application that does not exist is one that is forbidden.
    let mut query = vec![("appNamespace", space), ("project", project)];
    let positions: Vec<String> = (1..=revisions.len()).map(|position| position.to_string()).collect();
    if let [revision] = revisions {
        query.push(("revision", revision));
    } else {
        for (position, revision) in positions.iter().zip(revisions) {
            query.push(("sourcePositions", position));
            query.push(("revisions", revision));
        }
    }
    let body = endpoint.get(&path, &query).await?;
    let garbled = |error: serde_json::Error| endpoint.garbled(&format!("its manifests: {error}"));
    let answer: Manifests = serde_json::from_slice(&body).map_err(garbled)?;
    if answer.manifests.is_none() && answer.revision.is_none() {
        return Err(endpoint.garbled("an answer with neither manifests nor a revision"));
    }
    answer
        .manifests
        .unwrap_or_default()
        .iter()
        // One that cannot be read is not passed over: what is compared must be whole.
        .map(|text| serde_json::from_str(text).map(without_values).map_err(garbled))
        .collect()
}

#[derive(Deserialize)]
struct Tree {
    /// What hangs on the Application, in no order; orphaned things are in a list of their own.
    nodes: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Node {
    uid: Text,
    group: Text,
    kind: Text,
    namespace: Text,
    name: Text,
    #[serde(rename = "parentRefs")]
    parents: Option<Vec<Parent>>,
    health: Option<Health>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parent {
    uid: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Health {
    status: Text,
    message: Text,
}

/// Asks for the tree of an Application: what it manages and what hangs on that, each with its health.
///
/// A node that cannot be understood is skipped and counted.
pub(super) async fn tree(
    endpoint: &Endpoint,
    application: &ObjectRef,
    project: &str,
) -> Result<Told, SourceError> {
    let path = format!("/api/v1/applications/{}/resource-tree", escape(&application.name));
    let space = application.namespace.as_deref().unwrap_or_default();
    let body = endpoint.get(&path, &[("appNamespace", space), ("project", project)]).await?;
    let answer: Tree =
        serde_json::from_slice(&body).map_err(|error| endpoint.garbled(&format!("its tree: {error}")))?;
    // An Application that has brought nothing about has an empty answer.
    let nodes = answer.nodes.unwrap_or_default();
    let all = nodes.len();
    let branches: Vec<Branch> = nodes.into_iter().filter_map(branch).collect();
    let garbled = (all - branches.len()) as u64;
    Ok(Told { garbled, ..Told::plain(Answer::Tree(branches)) })
}

fn branch(node: Value) -> Option<Branch> {
    let node: Node = serde_json::from_value(node).ok()?;
    if node.kind.is_empty() || node.name.is_empty() {
        return None;
    }
    let clean = |word: &str| Text::from(text::one_line(word).as_ref());
    let (health, message) = match &node.health {
        Some(health) => (Some(clean(&health.status)), clean(&health.message)),
        None => (None, Text::from("")),
    };
    Some(Branch {
        uid: clean(&node.uid),
        group: clean(&node.group),
        kind: clean(&node.kind),
        namespace: (!node.namespace.is_empty()).then(|| clean(&node.namespace)),
        name: clean(&node.name),
        parents: node.parents.unwrap_or_default().iter().map(|parent| clean(&parent.uid)).collect(),
        health,
        message,
    })
}

fn without_values(mut manifest: Value) -> Value {
    if manifest.get("kind").and_then(Value::as_str) == Some("Secret")
        && let Some(fields) = manifest.as_object_mut()
    {
        fields.retain(|name, _| !PRIVATE.contains(&name.as_str()));
    }
    if let Some(notes) = manifest.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        notes.remove(APPLIED);
    }
    manifest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_secrets_are_dropped_and_those_of_others_stay() {
        let applied = "{\"data\":{\"a\":\"canary\"}}";
        let secret = json!({ "kind": "Secret", "data": { "a": "Y2FuYXJ5" }, "stringData": { "b": "canary" },
            "metadata": { "name": "token", "annotations": { APPLIED: applied } } });
        let kept = without_values(secret).to_string();
        assert!(kept.contains("token") && !kept.contains("canary") && !kept.contains("Y2FuYXJ5"), "{kept}");
        let settings = json!({ "kind": "ConfigMap", "data": { "a": "b" } });
        assert_eq!(without_values(settings.clone()), settings);
    }
}
