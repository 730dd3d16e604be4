//! What differs between an object as it is and as it will be: by path, without values that may be private.
//!
//! Values are told of what is public by its nature (images, numbers of replicas, resources, ports, schedules).
//! Settings are told by name, `ConfigMaps` by lines. Secrets are not read at all: that a pod reads another one is
//! told by its name.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::application::list;
use super::draft::text;

/// What the API server fills in: where only one side has it, it says nothing about the deployment.
pub(super) const FILLED_IN: [&str; 10] = [
    "dnsPolicy",
    "imagePullPolicy",
    "protocol",
    "restartPolicy",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "terminationGracePeriodSeconds",
    "terminationMessagePath",
    "terminationMessagePolicy",
];

/// Fields whose values are told.
const PUBLIC: [&str; 20] = [
    "containerPort",
    "cpu",
    "ephemeral-storage",
    "host",
    "image",
    "maxReplicas",
    "maxSurge",
    "maxUnavailable",
    "memory",
    "minAvailable",
    "minReplicas",
    "path",
    "paused",
    "port",
    "replicas",
    "schedule",
    "storage",
    "suspend",
    "targetPort",
    "type",
];

/// The annotation in which the last client-side apply is remembered.
const APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// Which fields are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fields {
    /// Those of both sides.
    Both,
    /// Those that the wanted side has: what others filled in is theirs.
    Wanted,
}

/// Says where an object will differ from what it is now, one sentence a path.
pub(super) fn paths(now: &Value, wanted: &Value, fields: Fields) -> Vec<String> {
    let mut found = Vec::new();
    walk("", now, wanted, fields, &mut found);
    found
}

fn walk(path: &str, now: &Value, wanted: &Value, fields: Fields, found: &mut Vec<String>) {
    if now == wanted {
        return;
    }
    match (now, wanted) {
        (Value::Object(now), Value::Object(wanted)) => members(path, now, wanted, fields, found),
        (Value::Array(now), Value::Array(wanted)) if named(now) && named(wanted) => {
            elements(path, now, wanted, fields, found);
        }
        (Value::Array(now), Value::Array(wanted)) if now.len() == wanted.len() => {
            for (at, (now, wanted)) in now.iter().zip(wanted).enumerate() {
                walk(&format!("{path}[{at}]"), now, wanted, fields, found);
            }
        }
        _ => found.push(leaf(path, now, wanted)),
    }
}

fn members(
    path: &str,
    now: &Map<String, Value>,
    wanted: &Map<String, Value>,
    fields: Fields,
    found: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = match fields {
        Fields::Both => now.keys().chain(wanted.keys()).collect(),
        Fields::Wanted => wanted.keys().collect(),
    };
    for name in names {
        let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (now.get(name), wanted.get(name)) {
            (Some(now), Some(wanted)) => walk(&inner, now, wanted, fields, found),
            _ if FILLED_IN.contains(&name.as_str()) => {}
            (Some(_), None) => found.push(format!("{inner} goes away")),
            (None, Some(wanted)) if !is_nothing(wanted) => found.push(format!("{inner} is added")),
            _ => {}
        }
    }
}

/// An empty list or object says nothing that its absence does not.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn named(list: &[Value]) -> bool {
    list.iter().all(|element| element.get("name").is_some_and(Value::is_string))
}

fn elements(path: &str, now: &[Value], wanted: &[Value], fields: Fields, found: &mut Vec<String>) {
    let of = |list: &[Value], name: &str| list.iter().find(|one| text(one, "/name") == name).cloned();
    let mut names: Vec<&str> = now.iter().chain(wanted).map(|one| text(one, "/name")).collect();
    names.sort_unstable();
    names.dedup();
    // The value of a setting may be private, and so may be the place that it is read from.
    let settings = path.rsplit('.').next() == Some("env");
    for name in names {
        let inner = format!("{path}[{name}]");
        match (of(now, name), of(wanted, name)) {
            (Some(now), Some(wanted)) if settings => {
                if now != wanted {
                    found.push(format!("{inner} changes"));
                }
            }
            (Some(now), Some(wanted)) => walk(&inner, &now, &wanted, fields, found),
            (Some(_), None) => found.push(format!("{inner} goes away")),
            (None, _) => found.push(format!("{inner} is added")),
        }
    }
}

fn leaf(path: &str, now: &Value, wanted: &Value) -> String {
    let field = path.rsplit(['.', '[']).next().unwrap_or(path);
    let told = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain = |value: &Value| !value.is_object() && !value.is_array();
    if PUBLIC.contains(&field) && plain(now) && plain(wanted) {
        format!("{path} {} -> {}", told(now), told(wanted))
    } else {
        format!("{path} changes")
    }
}

/// Compares the data of two `ConfigMaps`: how many lines differ in all, and a sentence for each key.
pub(super) fn config_maps(now: &Value, wanted: &Value) -> (usize, Vec<String>) {
    let mut lines = 0;
    let mut said = Vec::new();
    for key in keys(now, wanted) {
        let of = |object: &Value| {
            let data = object.get("data").and_then(|data| data.get(&key)).and_then(Value::as_str);
            data.map(ToOwned::to_owned).or_else(|| {
                let binary = object.get("binaryData").and_then(|data| data.get(&key));
                binary.map(|_| String::new())
            })
        };
        match (of(now), of(wanted)) {
            (Some(now), Some(wanted)) if now != wanted => {
                let changed = changed_lines(&now, &wanted);
                lines += changed;
                said.push(format!("{key}: {} of {} lines", changed, wanted.lines().count().max(1)));
            }
            (Some(now), None) => {
                lines += now.lines().count().max(1);
                said.push(format!("{key} goes away"));
            }
            (None, Some(wanted)) => {
                lines += wanted.lines().count().max(1);
                said.push(format!("{key} is added"));
            }
            _ => {}
        }
    }
    (lines, said)
}

fn keys(now: &Value, wanted: &Value) -> Vec<String> {
    let of = |object: &Value| -> Vec<String> {
        ["data", "binaryData"]
            .iter()
            .filter_map(|field| object.get(field)?.as_object())
            .flat_map(|data| data.keys().cloned())
            .collect()
    };
    let all: BTreeSet<String> = of(now).into_iter().chain(of(wanted)).collect();
    all.into_iter().collect()
}

/// Counts the lines that one text has and the other has not, whichever way there are more.
fn changed_lines(now: &str, wanted: &str) -> usize {
    let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let mut gone = lines(now);
    let mut added = 0;
    for line in lines(wanted) {
        match gone.iter().position(|other| *other == line) {
            Some(at) => drop(gone.remove(at)),
            None => added += 1,
        }
    }
    gone.len().max(added).max(1)
}

/// Says where an object differs from what was applied to it last; `None` where nothing remembers that.
pub(super) fn since_applied(live: &Value) -> Option<Vec<String>> {
    let applied: Value = serde_json::from_str(text(live, APPLIED)).ok()?;
    if text(live, "/kind") == "ConfigMap" {
        return Some(config_maps(live, &applied).1);
    }
    let spec = |object: &Value| object.get("spec").cloned().unwrap_or_default();
    Some(paths(&spec(live), &spec(&applied), Fields::Wanted))
}

/// Names the `ConfigMaps` or Secrets that a pod template reads.
pub(super) fn read_by(template: &Value, kind: &str) -> BTreeSet<String> {
    let (volume, name, from, key) = match kind {
        "Secret" => ("secret", "secretName", "secretRef", "secretKeyRef"),
        _ => ("configMap", "name", "configMapRef", "configMapKeyRef"),
    };
    let mut found = BTreeSet::new();
    let mut add = |value: Option<&Value>| {
        found.extend(value.and_then(Value::as_str).map(ToOwned::to_owned));
    };
    for mounted in list(template, "/spec/volumes") {
        add(mounted.pointer(&format!("/{volume}/{name}")));
        for source in list(mounted, "/projected/sources") {
            add(source.pointer(&format!("/{volume}/name")));
        }
    }
    for pointer in ["/spec/initContainers", "/spec/containers"] {
        for container in list(template, pointer) {
            for source in list(container, "/envFrom") {
                add(source.pointer(&format!("/{from}/name")));
            }
            for variable in list(container, "/env") {
                add(variable.pointer(&format!("/valueFrom/{key}/name")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn public_values_are_told_and_settings_by_name_only() {
        let pods = |image: &str, memory: &str, token: &str| {
            json!({ "containers": [{ "name": "app", "image": image, "args": [token],
                "env": [{ "name": "TOKEN", "value": token }],
                "resources": { "limits": { "memory": memory } } }] })
        };
        let (now, then) = (pods("r/a:2", "256Mi", "canary-7c1"), pods("r/a:1", "128Mi", "canary-0f3"));
        let said = paths(&now, &then, Fields::Both);
        assert_eq!(
            said,
            [
                "containers[app].args[0] changes",
                "containers[app].env[TOKEN] changes",
                "containers[app].image r/a:2 -> r/a:1",
                "containers[app].resources.limits.memory 256Mi -> 128Mi",
            ]
        );
        assert!(!said.concat().contains("canary"));
    }

    #[test]
    fn what_others_filled_in_is_not_part_of_what_was_applied() {
        let live = json!({ "kind": "Deployment", "spec": { "replicas": 5, "paused": false, "strategy": {} },
            "metadata": { "annotations": { "kubectl.kubernetes.io/last-applied-configuration":
                "{\"spec\":{\"replicas\":3,\"paused\":false}}" } } });
        assert_eq!(since_applied(&live), Some(vec!["replicas 5 -> 3".to_owned()]));
        assert_eq!(since_applied(&json!({ "kind": "Service" })), None);
    }

    #[test]
    fn config_maps_are_told_by_the_number_of_lines() {
        let now = json!({ "data": { "LOG": "debug", "app.conf": "a\nb\nc\n", "NEW": "1" } });
        let then = json!({ "data": { "LOG": "info", "app.conf": "a\nx\nc\n" } });
        let (lines, said) = config_maps(&now, &then);
        assert_eq!(lines, 3);
        assert_eq!(said, ["LOG: 1 of 1 lines", "NEW goes away", "app.conf: 1 of 3 lines"]);
    }

    #[test]
    fn what_a_pod_reads_is_found_wherever_it_is_named() {
        let template = json!({ "spec": {
            "volumes": [{ "configMap": { "name": "files-1" } }, { "secret": { "secretName": "tls" } },
                { "projected": { "sources": [{ "configMap": { "name": "ca" } }] } }],
            "containers": [{ "envFrom": [{ "configMapRef": { "name": "env-1" } }],
                "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "token", "key": "a" } } }] }] } });
        let names = |kind| read_by(&template, kind).into_iter().collect::<Vec<_>>();
        assert_eq!(names("ConfigMap"), ["ca", "env-1", "files-1"]);
        assert_eq!(names("Secret"), ["tls", "token"]);
    }
}
