//! argocd-server: what Git wants of an Application at given revisions (contracts 1.11).
//!
//! Only asks. It masks the values of Secrets itself; here they are dropped all the same, before anything keeps them.

use serde::Deserialize;
use serde_json::Value;

use super::SourceError;
use super::endpoint::Endpoint;
use super::percent::escape;
use crate::identity::ObjectRef;

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
