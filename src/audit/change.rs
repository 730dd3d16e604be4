//! What an action changed, field by field: kept in its record, so that it can be put back.
//!
//! Told from the object before a write, the patch, and the object after it. Values of Secrets, of environment
//! variables and of command lines are not kept, whatever they are: such a change says where it was, and no more.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::identity::ObjectRef;

/// Bytes of a value, as JSON, above which it is not kept.
const LARGEST: usize = 4096;

/// Members of an object under which values may be secret.
const PRIVATE: [&str; 7] = ["data", "stringData", "binaryData", "env", "args", "command", "encryptedData"];

/// Maps that others add to at any time: only the key that was written is told, and not the map.
const SHARED: [&str; 3] = ["metadata", "annotations", "labels"];

/// One field that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The object.
    pub object: ObjectRef,
    /// The field, as a JSON pointer.
    pub field: String,
    /// Its value before; `null` where it was absent.
    pub before: Value,
    /// Its value after; `null` where it is absent.
    pub after: Value,
    /// Whether the values are left out, because they may be secret or are long; a [`digest`] may stand in their place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

impl Changed {
    /// Writes it for people: `spec.replicas: 3 -> 5`.
    pub fn sentence(&self) -> String {
        let name = name(&self.field);
        if self.withheld {
            return format!("{name}: changed (the values are not kept)");
        }
        format!("{name}: {} -> {}", brief(&self.before), brief(&self.after))
    }
}

/// Writes a pointer as people name a field: `spec.template.spec.containers.0.image`.
pub fn name(pointer: &str) -> String {
    let parts: Vec<String> = pointer.split('/').skip(1).map(|part| unescaped(part).into_owned()).collect();
    parts.join(".")
}

fn brief(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn unescaped(part: &str) -> std::borrow::Cow<'_, str> {
    if part.contains('~') { part.replace("~1", "/").replace("~0", "~").into() } else { part.into() }
}

fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Hexadecimal digits of a digest.
///
/// Enough to tell the state before a write from the one after it (one in 65,536 is taken for another), and too few to
/// find out whether a guessed value is the one that was there.
const DIGEST: usize = 4;

/// Returns what stands in a record for a value that may not be kept: two values that are equal have the same one.
pub fn digest(value: &Value) -> Value {
    let mut text = String::new();
    canonical(value, &mut text);
    let hash = super::hash(&text);
    Value::String(format!("digest {}", hash.get(..DIGEST).unwrap_or_default()))
}

/// Writes a value so that the order of its members does not count.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            for (key, value) in fields {
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Returns what a merge patch changed of an object, as it was and as it was stored.
pub fn of_patch(object: &ObjectRef, before: &Value, patch: &Value, after: &Value) -> Vec<Changed> {
    let mut walk = Walk { object, changes: Vec::new() };
    if let Value::Object(fields) = patch {
        walk.patched("", fields, before, after, false);
    }
    walk.changes
}

fn secret_kind(object: &ObjectRef) -> bool {
    let plural = &*object.resource.plural;
    plural == "secrets" || plural == "sealedsecrets"
}

struct Walk<'a> {
    object: &'a ObjectRef,
    changes: Vec<Changed>,
}

impl Walk<'_> {
    fn patched(
        &mut self,
        at: &str,
        fields: &Map<String, Value>,
        before: &Value,
        after: &Value,
        secret: bool,
    ) {
        for (key, patch) in fields {
            let pointer = below(at, key);
            // The version is a condition, and no change.
            if pointer == "/metadata/resourceVersion" {
                continue;
            }
            let metadata = pointer.starts_with("/metadata/");
            let secret = secret
                || (!metadata && PRIVATE.contains(&key.as_str()))
                || (key != "metadata" && !metadata && secret_kind(self.object))
                // kubectl keeps the whole object there.
                || key == "kubectl.kubernetes.io/last-applied-configuration";
            let (was, is) = (get(before, key), get(after, key));
            match patch {
                Value::Object(inner) if was.is_object() || SHARED.contains(&key.as_str()) => {
                    self.patched(&pointer, inner, was, is, secret);
                }
                _ => self.compare(pointer, was, is, secret),
            }
        }
    }

    /// Compares two values down to what differs; into lists only where they are of one length.
    fn compare(&mut self, pointer: String, was: &Value, is: &Value, secret: bool) {
        if was == is {
            return;
        }
        match (was, is) {
            (Value::Object(old), Value::Object(new)) => {
                let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
                keys.sort_unstable();
                keys.dedup();
                for key in keys {
                    let secret = secret || PRIVATE.contains(&key.as_str());
                    self.compare(below(&pointer, key), get(was, key), get(is, key), secret);
                }
            }
            (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
                for (place, (was, is)) in old.iter().zip(new).enumerate() {
                    self.compare(format!("{pointer}/{place}"), was, is, secret);
                }
            }
            _ => {
                let long = |value: &Value| value.to_string().len() > LARGEST;
                let withheld = secret || holds_private(was) || holds_private(is) || long(was) || long(is);
                let kept = |value: &Value| if withheld { Value::Null } else { value.clone() };
                let (before, after) = (kept(was), kept(is));
                let object = self.object.clone();
                self.changes.push(Changed { object, field: pointer, before, after, withheld });
            }
        }
    }
}

fn get<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// Tells whether a value has a member under which something secret may stand, at any depth.
fn holds_private(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| PRIVATE.contains(&key.as_str()) || holds_private(value))
        }
        Value::Array(items) => items.iter().any(holds_private),
        _ => false,
    }
}

/// Sets a field of an object; `null` takes it out of a map. Tells whether the way to it exists.
pub fn put(object: &mut Value, pointer: &str, value: &Value) -> bool {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
    let last = unescaped(last);
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            if value.is_null() {
                fields.remove(&*last);
            } else {
                fields.insert(last.into_owned(), value.clone());
            }
            true
        }
        Some(Value::Array(items)) => match last.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
            Some(item) => {
                *item = value.clone();
                true
            }
            None => false,
        },
        // The map that it stood in went with its last key.
        Some(_) | None => match (value.is_null(), parent.is_empty()) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => {
                let mut map = Map::new();
                map.insert(last.into_owned(), value.clone());
                put(object, parent, &Value::Object(map))
            }
        },
    }
}

/// Returns the merge patch that makes one object of another: lists are replaced whole, `null` removes.
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (from, to) else { return to.clone() };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match old.get(key) {
            Some(same) if same == value => {}
            Some(other) => {
                patch.insert(key.clone(), merge_patch(other, value));
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::{Context, Resource};

    fn object(plural: &str) -> ObjectRef {
        ObjectRef {
            context: Context::new("test"),
            resource: Resource::new("apps", plural),
            namespace: Some("shop".into()),
            name: "checkout".into(),
        }
    }

    fn workload(image: &str) -> Value {
        json!({
            "metadata": { "resourceVersion": "7", "annotations": { "a": "1" } },
            "spec": { "replicas": 3, "template": { "spec": { "containers": [
                { "name": "app", "image": image, "env": [{ "name": "TOKEN", "value": "canary" }] },
            ] } } },
        })
    }

    #[test]
    fn a_change_is_told_to_the_field_and_can_be_put_back() {
        let before = workload("shop:1");
        let mut after = workload("shop:2");
        after["metadata"]["resourceVersion"] = json!("8");
        after["metadata"]["annotations"]["b/c"] = json!("x");
        after["spec"]["paused"] = json!(true);
        let patch = json!({
            "metadata": { "resourceVersion": "7", "annotations": { "b/c": "x" } },
            "spec": {
                "paused": true,
                "template": { "spec": { "containers": after["spec"]["template"]["spec"]["containers"] } },
            },
        });
        let changes = of_patch(&object("deployments"), &before, &patch, &after);
        let told: Vec<String> = changes.iter().map(Changed::sentence).collect();
        assert_eq!(
            told,
            [
                "metadata.annotations.b/c: absent -> x",
                "spec.paused: absent -> true",
                "spec.template.spec.containers.0.image: shop:1 -> shop:2",
            ]
        );
        let mut back = after.clone();
        for change in &changes {
            assert!(put(&mut back, &change.field, &change.before), "{}", change.field);
        }
        back["metadata"]["resourceVersion"] = json!("7");
        assert_eq!(back, before);
        let patch = merge_patch(&after, &back);
        let mut merged = after.clone();
        json_patch::merge(&mut merged, &patch);
        assert_eq!(merged, before);
    }

    #[test]
    fn what_may_be_secret_is_not_kept() {
        let before = workload("shop:1");
        let mut after = before.clone();
        after["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = json!("canary-2");
        let patch = json!({ "spec": { "template": { "spec": {
            "containers": after["spec"]["template"]["spec"]["containers"] } } } });
        let changes = of_patch(&object("deployments"), &before, &patch, &after);
        assert!(changes[0].withheld && !json!(changes).to_string().contains("canary"), "{changes:?}");
        // A container more: the lists differ in length, and one of them holds what may be secret.
        let mut more = before.clone();
        let containers = more["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
        containers.push(json!({ "name": "b" }));
        let patch = json!({ "spec": { "template": { "spec": { "containers": [] } } } });
        let changes = of_patch(&object("deployments"), &before, &patch, &more);
        assert!(changes[0].withheld && !json!(changes).to_string().contains("canary"), "{changes:?}");
        let (old, new) = (json!({ "data": { "key": "canary" } }), json!({ "data": { "key": "canary-2" } }));
        let changes = of_patch(&object("secrets"), &old, &json!({ "data": { "key": "canary-2" } }), &new);
        assert!(changes[0].withheld && !json!(changes).to_string().contains("canary"), "{changes:?}");
    }

    #[test]
    fn a_map_that_was_absent_goes_whole_so_that_what_is_left_means_nothing() {
        // `automated: {}` means on (contracts 1.2).
        let (before, after) = (json!({ "spec": {} }), json!({ "spec": { "automated": { "prune": true } } }));
        let patch = json!({ "spec": { "automated": { "prune": true } } });
        let changes = of_patch(&object("applications"), &before, &patch, &after);
        assert_eq!(changes.len(), 1);
        assert_eq!((&*changes[0].field, &changes[0].before), ("/spec/automated", &Value::Null));
    }
}
