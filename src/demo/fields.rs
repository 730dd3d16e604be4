//! Rules about single fields: names, what can be selected by, what the server completes.
//!
//! Pure; it stores nothing.

use serde_json::{Value, json};

use super::status::{Cause, Status};
use super::types::Type;

/// Returns the fields, beside name and namespace, that objects of a type can be selected by.
pub fn selectable(kind: Type) -> &'static [&'static str] {
    match kind {
        Type::Pod => &[
            "spec.nodeName",
            "status.phase",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        Type::Node => &["spec.unschedulable"],
        Type::Namespace => &["status.phase"],
        Type::Secret => &["type"],
        Type::Event => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        Type::ReplicaSet | Type::ReplicationController => &["status.replicas"],
        Type::Job => &["status.successful"],
        _ => &[],
    }
}

/// Returns a field as text, as field selectors compare it; empty where there is none.
pub fn read(value: &Value, path: &str) -> String {
    // Two selectors are not called as the field is.
    let path = match path {
        "source" if value["source"].is_object() => "source.component",
        "status.successful" => "status.succeeded",
        other => other,
    };
    let found = path.split('.').try_fold(value, |at, part| at.get(part));
    match (found, path) {
        (Some(Value::String(text)), _) => text.clone(),
        (Some(Value::Bool(flag)), _) => flag.to_string(),
        (Some(Value::Number(number)), _) => number.to_string(),
        (_, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        (_, "status.replicas" | "status.succeeded") => "0".to_owned(),
        _ => String::new(),
    }
}

/// Checks that a name is a DNS subdomain; roles and their bindings may hold any character of a path segment.
pub fn check_name(kind: Type, name: &str) -> Result<(), Status> {
    let free = matches!(
        kind,
        Type::Role | Type::RoleBinding | Type::ClusterRole | Type::ClusterRoleBinding | Type::Event
    );
    let ok = if free {
        !name.contains(['/', '%']) && name != "." && name != ".."
    } else {
        name.len() <= 253 && name.split('.').all(is_label)
    };
    if ok {
        return Ok(());
    }
    let cause = Cause {
        reason: "FieldValueInvalid",
        message: format!(
            "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
             characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', \
             regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ),
        field: "metadata.name".to_owned(),
    };
    Err(Status::invalid(kind, name, vec![cause]))
}

fn is_label(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !part.starts_with('-')
        && !part.ends_with('-')
}

/// Adds what the server adds to a new namespace.
pub fn complete_namespace(value: &mut Value, name: &str) {
    if !value["metadata"]["labels"].is_object() {
        value["metadata"]["labels"] = json!({});
    }
    value["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
    value["spec"] = json!({"finalizers": ["kubernetes"]});
    value["status"] = json!({"phase": "Active"});
}
