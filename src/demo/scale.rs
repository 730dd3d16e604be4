//! The `scale` subresource: how many replicas there are to be and are.
//!
//! Pure views of one object.

use serde_json::{Value, json};

use super::objects::text;
use super::status::{Cause, Status};
use super::types::Type;

/// Returns the scale of an object.
pub fn scale(kind: Type, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut own = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(field) {
            own[field] = value.clone();
        }
    }
    // The paths of Karpenter's CRD; everything else counts replicas.
    let counted = if kind == Type::NodePool { "nodes" } else { "replicas" };
    let mut status = json!({"replicas": object["status"][counted].as_i64().unwrap_or(0)});
    let selector = spell_selector(&object["spec"]["selector"]);
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    let mut spec = json!({});
    if let Some(replicas) = object["spec"]["replicas"].as_i64() {
        spec["replicas"] = json!(replicas);
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": own, "spec": spec, "status": status})
}

/// Returns the object with the replicas of a changed scale.
pub fn with_scale(kind: Type, object: &Value, scale: &Value) -> Result<Value, Status> {
    let name = text(&object["metadata"], "name");
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let cause = Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
            field: "spec.replicas".to_owned(),
        };
        return Err(Status::invalid(kind, name, vec![cause]));
    }
    let mut value = object.clone();
    value["spec"]["replicas"] = json!(replicas);
    value["metadata"]["resourceVersion"] = scale["metadata"]["resourceVersion"].clone();
    if value["metadata"]["resourceVersion"].is_null()
        && let Some(metadata) = value["metadata"].as_object_mut()
    {
        metadata.remove("resourceVersion");
    }
    Ok(value)
}

/// Writes a selector of an object as a query would: `a=b,c in (d,e)`.
pub fn spell_selector(selector: &Value) -> String {
    let plain = |labels: &Value| -> Vec<String> {
        labels
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect()
    };
    if selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none() {
        return plain(selector).join(",");
    }
    let mut parts = plain(&selector["matchLabels"]);
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = text(expression, "key");
        let values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        parts.push(match text(expression, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}
