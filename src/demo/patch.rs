//! The patch types of Kubernetes: JSON patch, merge patch, strategic merge patch.
//!
//! Pure functions from an object and a patch to the patched object.

use serde_json::{Map, Value};

use super::status::{Reason, Status};

/// How a patch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
    /// `application/apply-patch+yaml`.
    Apply,
}

impl PatchKind {
    /// Reads the media type of a patch.
    pub fn read(media: &str) -> Option<Self> {
        match media.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// Returns the patched object.
pub fn patched(object: &Value, kind: PatchKind, patch: &Value) -> Result<Value, Status> {
    let mut result = object.clone();
    match kind {
        PatchKind::Json => {
            let patch: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(&mut result, &patch).map_err(|_| {
                // A failed `test` and a missing path are both told this way, without a word on which it was.
                Status::new(Reason::Invalid, "the server rejected our request due to an error in our request")
            })?;
        }
        PatchKind::Merge => {
            if !patch.is_object() {
                return Err(Status::bad_request("error decoding patch: a merge patch is an object"));
            }
            json_patch::merge(&mut result, patch);
        }
        // An apply never comes here: it is the business of `ownership`.
        PatchKind::Strategic | PatchKind::Apply => {
            let Some(patch) = patch.as_object() else {
                return Err(Status::bad_request(
                    "error decoding patch: a strategic merge patch is an object",
                ));
            };
            strategic(&mut result, patch)?;
        }
    }
    if !result.is_object() {
        return Err(Status::new(Reason::Invalid, "the patch leaves no object"));
    }
    Ok(result)
}

/// Returns the field that tells the items of a list apart; `None` where a list is replaced as a whole.
///
/// From the `patchMergeKey` tags of Kubernetes' API types.
fn merge_key(field: &str, items: &[Value]) -> Option<&'static str> {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates"
        | "secrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "hostAliases" | "podIPs" => Some("ip"),
        "topologySpreadConstraints" => Some("topologyKey"),
        "conditions" | "addresses" => Some("type"),
        "ownerReferences" => Some("uid"),
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => Some("containerPort"),
        "ports" => Some("port"),
        _ => None,
    }
}

fn strategic(target: &mut Value, patch: &Map<String, Value>) -> Result<(), Status> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            let mut whole = patch.clone();
            whole.remove("$patch");
            *target = Value::Object(whole);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            return Err(Status::bad_request(format!("Unknown patch type found: {other}")));
        }
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return Ok(()) };
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|key, _| keep.iter().any(|kept| kept == key));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(present)), Some(gone)) = (fields.get_mut(list), value.as_array()) {
                present.retain(|item| !gone.contains(item));
            }
            continue;
        }
        // Orders and the directives that were handled above.
        if key.starts_with('$') {
            continue;
        }
        match value {
            Value::Null => {
                fields.remove(key);
            }
            Value::Object(part) => {
                if part.get("$patch").and_then(Value::as_str) == Some("delete") {
                    fields.remove(key);
                } else {
                    strategic(fields.entry(key.clone()).or_insert(Value::Null), part)?;
                }
            }
            Value::Array(items) => {
                let present = fields.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
                fields.insert(key.clone(), Value::Array(merge_list(key, present, items)?));
            }
            other => {
                fields.insert(key.clone(), other.clone());
            }
        }
    }
    Ok(())
}

fn merge_list(field: &str, present: Vec<Value>, items: &[Value]) -> Result<Vec<Value>, Status> {
    let directive = |item: &Value| item.get("$patch").and_then(Value::as_str).map(str::to_owned);
    if items.iter().any(|item| directive(item).as_deref() == Some("replace")) {
        return Ok(items.iter().filter(|item| directive(item).is_none()).cloned().collect());
    }
    if field == "finalizers" {
        let mut list = present;
        for item in items {
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
        return Ok(list);
    }
    let everything: Vec<Value> = present.iter().chain(items).cloned().collect();
    let Some(key) = merge_key(field, &everything) else {
        return Ok(items.iter().map(clean).collect());
    };
    let mut list = present;
    for item in items {
        let Some(part) = item.as_object() else {
            return Err(Status::bad_request(format!("{field}: a list of objects is expected")));
        };
        let Some(name) = part.get(key) else {
            return Err(Status::bad_request(format!(
                "map: {item} does not contain declared merge key: {key}"
            )));
        };
        let at = list.iter().position(|candidate| candidate.get(key) == Some(name));
        match (at, directive(item).as_deref()) {
            (Some(at), Some("delete")) => {
                list.remove(at);
            }
            (None, Some("delete")) => {}
            (Some(at), _) => strategic(&mut list[at], part)?,
            (None, _) => list.push(clean(item)),
        }
    }
    Ok(list)
}

/// Returns a new part without directives and nulls, which mean nothing where there is nothing to merge into.
fn clean(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(key, value)| !key.starts_with('$') && !value.is_null())
                .map(|(key, value)| (key.clone(), clean(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(clean).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn strategic_of(object: Value, patch: Value) -> Value {
        patched(&object, PatchKind::Strategic, &patch).unwrap()
    }

    #[test]
    fn containers_are_merged_by_name_and_their_environment_too() {
        let object = json!({"spec": {"containers": [
            {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]},
            {"name": "b", "image": "b:1"},
        ]}});
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "a", "image": "a:2", "env": [{"name": "X", "$patch": "delete"}, {"name": "Z", "value": "3"}]}],
        }});
        assert_eq!(
            strategic_of(object, patch),
            json!({"spec": {"containers": [
                {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}, {"name": "Z", "value": "3"}]},
                {"name": "b", "image": "b:1"},
            ]}})
        );
    }

    #[test]
    fn replace_and_null_and_retained_keys_do_what_they_say() {
        assert_eq!(
            strategic_of(
                json!({"spec": {"template": {"old": 1}, "gone": 2}}),
                json!({"spec": {"template": {"$patch": "replace", "new": 1}, "gone": null}})
            ),
            json!({"spec": {"template": {"new": 1}}})
        );
        assert_eq!(
            strategic_of(
                json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
                json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}})
            ),
            json!({"strategy": {"type": "Recreate"}})
        );
        assert_eq!(
            strategic_of(json!({"tolerations": [{"key": "a"}]}), json!({"tolerations": [{"key": "b"}]})),
            json!({"tolerations": [{"key": "b"}]})
        );
        assert_eq!(
            strategic_of(
                json!({"spec": {"ports": [{"port": 80, "targetPort": 1}, {"port": 81}]}}),
                json!({"spec": {"ports": [{"port": 80, "targetPort": 2}]}})
            ),
            json!({"spec": {"ports": [{"port": 80, "targetPort": 2}, {"port": 81}]}})
        );
    }

    #[test]
    fn a_failed_test_of_a_json_patch_is_invalid_and_not_a_conflict() {
        let patch =
            json!([{"op": "test", "path": "/a", "value": 2}, {"op": "replace", "path": "/a", "value": 3}]);
        assert_eq!(patched(&json!({"a": 1}), PatchKind::Json, &patch).unwrap_err().code(), 422);
        assert_eq!(patched(&json!({"a": 1}), PatchKind::Json, &json!("x")).unwrap_err().code(), 400);
        assert_eq!(patched(&json!({"a": 1}), PatchKind::Merge, &json!([1])).unwrap_err().code(), 400);
    }
}
