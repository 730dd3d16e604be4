//! Sets of fields, as `metadata.managedFields` writes them (`FieldsV1`), and how lists and maps take apart into them.
//!
//! Pure functions over JSON. Which list is a map by a key, and which part is one piece, comes from the
//! `+listType`, `+listMapKey`, `+mapType` and `+structType` marks of Kubernetes' API types; in custom resources,
//! whose schemas are not held here, maps are taken apart and lists are one piece, as a server does without a schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::types::Type;

/// A set of fields: which are in it, and what of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    /// Whether the field itself is in the set, and not only parts of it.
    pub own: bool,
    /// The parts by their spelling: `f:name`, `k:{"name":"web"}`, `v:"value"`.
    pub parts: BTreeMap<String, Fields>,
}

impl Fields {
    /// Reads a set; what is not one is empty.
    pub fn read(value: &Value) -> Self {
        let mut set = Self::default();
        for (key, part) in value.as_object().into_iter().flatten() {
            if key == "." {
                set.own = true;
                continue;
            }
            let mut part_set = Self::read(part);
            if part.as_object().is_some_and(Map::is_empty) {
                part_set.own = true;
            }
            set.parts.insert(key.clone(), part_set);
        }
        set
    }

    /// Writes the set.
    pub fn write(&self) -> Value {
        let mut map = Map::new();
        if self.own && !self.parts.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        map.extend(self.parts.iter().map(|(key, part)| (key.clone(), part.write())));
        Value::Object(map)
    }

    /// Says whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        !self.own && self.parts.values().all(Self::is_empty)
    }

    /// Adds another set.
    pub fn add(&mut self, other: &Self) {
        self.own |= other.own;
        for (key, part) in &other.parts {
            self.parts.entry(key.clone()).or_default().add(part);
        }
    }

    /// Takes another set out.
    pub fn take(&mut self, other: &Self) {
        self.own &= !other.own;
        for (key, part) in &other.parts {
            if let Some(own) = self.parts.get_mut(key) {
                own.take(part);
            }
        }
        self.parts.retain(|_, part| !part.is_empty());
    }

    /// Returns what is in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let parts = self.parts.iter().filter_map(|(key, part)| {
            let common = part.common(other.parts.get(key)?);
            (!common.is_empty()).then(|| (key.clone(), common))
        });
        Self { own: self.own && other.own, parts: parts.collect() }
    }

    /// Returns the fields as paths, such as `.spec.template.spec.containers[name="web"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut list = Vec::new();
        self.spell("", &mut list);
        list
    }

    fn spell(&self, path: &str, list: &mut Vec<String>) {
        if self.own && !path.is_empty() {
            list.push(path.to_owned());
        }
        for (key, part) in &self.parts {
            let step = match key.split_once(':') {
                Some(("f", name)) => format!(".{name}"),
                Some(("k", keys)) => {
                    let keys: Value = serde_json::from_str(keys).unwrap_or_default();
                    let pairs: Vec<String> = keys
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(key, value)| format!("{key}={value}"))
                        .collect();
                    format!("[{}]", pairs.join(","))
                }
                Some(("v", value)) => format!("[={value}]"),
                _ => key.clone(),
            };
            part.spell(&format!("{path}{step}"), list);
        }
    }
}

/// How a list is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListIs {
    /// One piece.
    Atomic,
    /// A set of values.
    Set,
    /// A map by these fields.
    Map(&'static [&'static str]),
}

/// Says how a list is taken apart; `items` are all items that are looked at together.
pub fn list_is(kind: Type, field: &str, items: &[&Value]) -> ListIs {
    if field == "finalizers" {
        return ListIs::Set;
    }
    if field == "ownerReferences" {
        return ListIs::Map(&["uid"]);
    }
    if kind.info().custom {
        return ListIs::Atomic;
    }
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates" => ListIs::Map(&["name"]),
        "secrets" if kind == Type::ServiceAccount => ListIs::Map(&["name"]),
        "volumeMounts" => ListIs::Map(&["mountPath"]),
        "volumeDevices" => ListIs::Map(&["devicePath"]),
        "hostAliases" | "podIPs" | "hostIPs" => ListIs::Map(&["ip"]),
        "topologySpreadConstraints" => ListIs::Map(&["topologyKey", "whenUnsatisfiable"]),
        "conditions" => ListIs::Map(&["type"]),
        "podCIDRs" => ListIs::Set,
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => {
            ListIs::Map(&["containerPort", "protocol"])
        }
        "ports" if kind == Type::Service => ListIs::Map(&["port", "protocol"]),
        _ => ListIs::Atomic,
    }
}

/// Says whether a map is one piece: selectors and references.
pub fn map_is_atomic(kind: Type, field: &str) -> bool {
    !kind.info().custom
        && matches!(
            field,
            "selector"
                | "nodeSelector"
                | "labelSelector"
                | "namespaceSelector"
                | "podSelector"
                | "configMapKeyRef"
                | "secretKeyRef"
                | "fieldRef"
                | "resourceFieldRef"
                | "claimRef"
                | "involvedObject"
                | "targetRef"
                | "roleRef"
                | "scaleTargetRef"
                | "nodeSelectorTerms"
        )
}

/// Returns how an item of a list is spelled in a set; a missing protocol is TCP, as the API types say.
pub fn item_key(is: ListIs, item: &Value) -> Option<String> {
    match is {
        ListIs::Atomic => None,
        ListIs::Set => Some(format!("v:{item}")),
        ListIs::Map(keys) => {
            let mut named = Map::new();
            for key in keys {
                let value = match item.get(key) {
                    Some(value) => value.clone(),
                    None if *key == "protocol" => json!("TCP"),
                    None => return None,
                };
                named.insert((*key).to_owned(), value);
            }
            Some(format!("k:{}", Value::Object(named)))
        }
    }
}

/// Returns the fields that an object says something about: what an applier owns.
pub fn said(kind: Type, object: &Value) -> Fields {
    let mut set = Fields::default();
    say(kind, "", object, &mut set);
    strip(&mut set);
    set
}

fn say(kind: Type, field: &str, value: &Value, set: &mut Fields) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !map_is_atomic(kind, field) => {
            for (key, part) in fields.iter().filter(|(_, part)| !part.is_null()) {
                say(kind, key, part, set.parts.entry(format!("f:{key}")).or_default());
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let all: Vec<&Value> = items.iter().collect();
            let is = list_is(kind, field, &all);
            if is == ListIs::Atomic {
                set.own = true;
                return;
            }
            for item in items {
                let Some(key) = item_key(is, item) else { continue };
                let part = set.parts.entry(key).or_default();
                part.own = true;
                if item.is_object() {
                    say(kind, "", item, part);
                }
            }
        }
        _ => set.own = true,
    }
}

/// Takes out the fields that nobody owns: what says which object it is, and what the server alone writes.
fn strip(set: &mut Fields) {
    set.own = false;
    set.parts.remove("f:apiVersion");
    set.parts.remove("f:kind");
    if let Some(metadata) = set.parts.get_mut("f:metadata") {
        metadata.own = false;
        for field in [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ] {
            metadata.parts.remove(&format!("f:{field}"));
        }
    }
    set.parts.retain(|_, part| !part.is_empty());
}

/// What is different between two states of an object.
#[derive(Debug, Default)]
pub struct Difference {
    /// Fields that are new or have another value.
    pub set: Fields,
    /// Fields that are gone.
    pub gone: Fields,
}

/// Compares two states of an object.
pub fn compare(kind: Type, before: &Value, after: &Value) -> Difference {
    let mut difference = Difference::default();
    walk(kind, "", Some(before), Some(after), &mut difference.set, &mut difference.gone);
    strip(&mut difference.set);
    strip(&mut difference.gone);
    difference
}

/// Parts that every object of their type has, so that they are never new themselves.
fn always_there(field: &str) -> bool {
    matches!(
        field,
        "" | "metadata"
            | "spec"
            | "status"
            | "template"
            | "jobTemplate"
            | "strategy"
            | "updateStrategy"
            | "containers"
    )
}

fn walk(
    kind: Type,
    field: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    set: &mut Fields,
    gone: &mut Fields,
) {
    let before = before.filter(|value| !value.is_null());
    let after = after.filter(|value| !value.is_null());
    if before == after {
        return;
    }
    match (before, after) {
        (None, Some(_)) if !always_there(field) => set.own = true,
        (Some(_), None) => gone.own = true,
        _ => {}
    }
    let maps = |value: Option<&Value>| value.is_none_or(Value::is_object);
    let lists = |value: Option<&Value>| value.is_none_or(Value::is_array);
    if maps(before) && maps(after) && !map_is_atomic(kind, field) {
        let empty = Map::new();
        let fields = |value: Option<&'_ Value>| {
            value.and_then(Value::as_object).cloned().unwrap_or_else(|| empty.clone())
        };
        let (old, new) = (fields(before), fields(after));
        if old.is_empty() && new.is_empty() {
            return;
        }
        if new.is_empty() && after.is_some() && before.is_none() {
            set.own = true;
        }
        for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
            let part = format!("f:{key}");
            step(kind, key, &part, old.get(key), new.get(key), set, gone);
        }
        return;
    }
    if lists(before) && lists(after) {
        let items = |value: Option<&'_ Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let (old, new) = (items(before), items(after));
        let all: Vec<&Value> = old.iter().chain(&new).collect();
        let is = list_is(kind, field, &all);
        if is != ListIs::Atomic {
            let keyed = |items: Vec<Value>| -> BTreeMap<String, Value> {
                items.into_iter().filter_map(|item| Some((item_key(is, &item)?, item))).collect()
            };
            let (old, new) = (keyed(old), keyed(new));
            for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
                let name = if is == ListIs::Set { "-" } else { "[]" };
                step(kind, name, key, old.get(key), new.get(key), set, gone);
            }
            return;
        }
    }
    if after.is_some() {
        set.own = true;
    }
}

fn step(
    kind: Type,
    field: &str,
    part: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    set: &mut Fields,
    gone: &mut Fields,
) {
    let (mut new, mut old) = (Fields::default(), Fields::default());
    walk(kind, field, before, after, &mut new, &mut old);
    for (target, part_set) in [(set, new), (gone, old)] {
        if !part_set.is_empty() {
            target.parts.insert(part.to_owned(), part_set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_reads_as_it_is_written() {
        // As a real server writes the containers of an applied Deployment.
        let wire = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {
            ".": {}, "f:image": {}, "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
        }}}}}});
        let set = Fields::read(&wire);
        assert_eq!(set.write(), wire);
        assert_eq!(
            set.paths(),
            [
                ".spec.template.spec.containers[name=\"web\"]",
                ".spec.template.spec.containers[name=\"web\"].image",
                ".spec.template.spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"]",
                ".spec.template.spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"].containerPort",
            ]
        );
    }

    #[test]
    fn an_applier_owns_what_it_says_and_not_who_the_object_is() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "finalizers": ["a/b"]},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
                {"name": "web", "args": ["-v"], "ports": [{"containerPort": 80}]}]}}},
        });
        assert_eq!(
            said(Type::Deployment, &object).write(),
            json!({
                "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {"v:\"a/b\"": {}}},
                "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {"f:spec": {"f:containers": {
                    "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:args": {}, "f:ports": {
                        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}},
            })
        );
    }

    #[test]
    fn a_change_is_what_is_new_and_what_is_gone() {
        let before =
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 1, "paused": true}});
        let after = json!({"metadata": {"labels": {"a": "1", "c": "3"}, "annotations": {"n": "1"}}, "spec": {"replicas": 2}});
        let difference = compare(Type::Deployment, &before, &after);
        assert_eq!(
            difference.set.write(),
            json!({"f:metadata": {"f:labels": {"f:c": {}}, "f:annotations": {".": {}, "f:n": {}}}, "f:spec": {"f:replicas": {}}})
        );
        assert_eq!(
            difference.gone.write(),
            json!({"f:metadata": {"f:labels": {"f:b": {}}}, "f:spec": {"f:paused": {}}})
        );
        let application = |list: Value| json!({"spec": {"syncPolicy": {"syncOptions": list}}});
        let one = compare(Type::Application, &application(json!(["a"])), &application(json!(["a", "b"])));
        assert_eq!(one.set.write(), json!({"f:spec": {"f:syncPolicy": {"f:syncOptions": {}}}}));
    }
}
