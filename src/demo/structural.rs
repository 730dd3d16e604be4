//! Structural schemas: what a `CustomResourceDefinition` says about its objects, held against them.
//!
//! Defaults are put in, unknown fields are taken out and named, and what does not fit is refused in the words of the
//! API server. Rules in CEL (`x-kubernetes-validations`) and schemas that exclude each other (`oneOf`, `anyOf`, `not`)
//! are not looked at.

use regex::Regex;
use serde_json::{Value, json};

use super::status::Cause;

/// Puts defaults in, takes unknown fields out and notes their paths, and returns what does not fit.
pub fn hold(schema: &Value, value: &mut Value, unknown: &mut Vec<String>) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(schema, value, "", unknown, &mut causes);
    causes
}

/// Names a value as the API server does in a refusal.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn fits(wanted: &str, value: &Value) -> bool {
    match wanted {
        // A whole number may be written as one with a point.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "" => true,
        other => kind_of(value) == other,
    }
}

fn refuse(causes: &mut Vec<Cause>, reason: &'static str, field: &str, message: String) {
    causes.push(Cause { reason, message, field: field.to_owned() });
}

fn walk(schema: &Value, value: &mut Value, path: &str, unknown: &mut Vec<String>, causes: &mut Vec<Cause>) {
    let flag = |name: &str| schema[name] == true;
    if value.is_null() && flag("nullable") {
        return;
    }
    if flag("x-kubernetes-int-or-string") {
        if !value.is_string() && !fits("integer", value) {
            let found = kind_of(value);
            let message =
                format!("Invalid value: {found:?}: {path} in body must be of type integer,string: {found:?}");
            refuse(causes, "FieldValueTypeInvalid", path, message);
        }
        return;
    }
    let wanted = schema["type"].as_str().unwrap_or_default();
    if !fits(wanted, value) {
        let found = kind_of(value);
        let message = format!("Invalid value: {found:?}: {path} in body must be of type {wanted}: {found:?}");
        refuse(causes, "FieldValueTypeInvalid", path, message);
        return;
    }
    bounds(schema, value, path, causes);
    match value {
        Value::Object(_) => object(schema, value, path, unknown, causes),
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                walk(&schema["items"], item, &format!("{path}[{at}]"), unknown, causes);
            }
        }
        _ => {}
    }
}

fn object(schema: &Value, value: &mut Value, path: &str, unknown: &mut Vec<String>, causes: &mut Vec<Cause>) {
    let Some(fields) = value.as_object_mut() else { return };
    let place = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let properties = &schema["properties"];
    for (name, property) in properties.as_object().into_iter().flatten() {
        if let Some(default) = property.get("default")
            && !fields.contains_key(name)
        {
            fields.insert(name.clone(), default.clone());
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            refuse(causes, "FieldValueRequired", &place(name), "Required value".to_owned());
        }
    }
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true
        || schema["additionalProperties"] == true
        // Nothing is said about the parts of such a value.
        || schema.as_object().is_none_or(|said| !said.contains_key("type"));
    // What every object has, in it or embedded, is checked elsewhere.
    let whole = path.is_empty() || schema["x-kubernetes-embedded-resource"] == true;
    fields.retain(|name, part| {
        if whole && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            return true;
        }
        if let Some(property) = properties.get(name) {
            // A null that may not be one is an absent field.
            if part.is_null() && property["nullable"] != true {
                return false;
            }
            walk(property, part, &place(name), unknown, causes);
            return true;
        }
        if let rest @ Value::Object(_) = &schema["additionalProperties"] {
            walk(rest, part, &place(name), unknown, causes);
            return true;
        }
        if !open && !part.is_null() {
            unknown.push(place(name));
        }
        open
    });
}

/// Checks what a schema says of single values and of lengths.
fn bounds(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let list: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", list.join(", "));
        refuse(causes, "FieldValueNotSupported", path, message);
    }
    let mut invalid = |rule: String| {
        let message = format!("Invalid value: {value}: {path} in body should {rule}");
        refuse(causes, "FieldValueInvalid", path, message);
    };
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        // Patterns are those of Go, which are those of this crate but for rare cases; these are let pass.
        && let Ok(regex) = Regex::new(pattern)
        && !regex.is_match(text)
    {
        invalid(format!("match '{pattern}'"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        invalid(format!("be greater than or equal to {}", schema["minimum"]));
    }
    if let (Some(most), Some(number)) = (schema["maximum"].as_f64(), value.as_f64())
        && number > most
    {
        invalid(format!("be less than or equal to {}", schema["maximum"]));
    }
    let limit = |name: &str| schema[name].as_u64().and_then(|limit| usize::try_from(limit).ok());
    if let Some(text) = value.as_str() {
        let length = text.chars().count();
        if limit("minLength").is_some_and(|least| length < least) {
            invalid(format!("be at least {} chars long", schema["minLength"]));
        }
        if limit("maxLength").is_some_and(|most| length > most) {
            let message = format!("Too long: may not be more than {} bytes", schema["maxLength"]);
            refuse(causes, "FieldValueTooLong", path, message);
        }
    }
    if let Some(items) = value.as_array() {
        if limit("minItems").is_some_and(|least| items.len() < least) {
            let least = &schema["minItems"];
            let message =
                format!("Invalid value: {}: {path} in body should have at least {least} items", items.len());
            refuse(causes, "FieldValueInvalid", path, message);
        }
        if limit("maxItems").is_some_and(|most| items.len() > most) {
            let message =
                format!("Too many: {}: must have at most {} items", items.len(), schema["maxItems"]);
            refuse(causes, "FieldValueTooMany", path, message);
        }
    }
}

/// The schema of objects of which nothing is known.
pub fn open() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_are_held_to_their_schema_in_the_words_of_the_server() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["cron"], "properties": {
            "cron": {"type": "string", "pattern": "^\\d+$"},
            "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
            "mode": {"type": "string", "enum": ["on", "off"]},
            "ports": {"type": "array", "maxItems": 1, "items": {"x-kubernetes-int-or-string": true}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }}}});
        let mut unknown = Vec::new();
        let mut good = json!({"apiVersion": "a/v1", "metadata": {}, "spec": {
            "cron": "5", "mode": "on", "ports": ["http"], "labels": {"a": "b"}, "free": {"x": {"y": 1}}, "typo": 1}});
        assert_eq!(hold(&schema, &mut good, &mut unknown), []);
        assert_eq!(unknown, ["spec.typo"]);
        assert_eq!((&good["spec"]["replicas"], good["spec"].get("typo")), (&json!(1), None));

        let mut bad =
            json!({"spec": {"replicas": 15, "mode": "maybe", "ports": [true, 1], "labels": {"a": 1}}});
        let wrong: Vec<String> = hold(&schema, &mut bad, &mut Vec::new())
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        assert_eq!(
            wrong,
            [
                "spec.cron: Required value",
                "spec.labels.a: Invalid value: \"integer\": spec.labels.a in body must be of type string: \"integer\"",
                "spec.mode: Unsupported value: \"maybe\": supported values: \"on\", \"off\"",
                "spec.ports: Too many: 2: must have at most 1 items",
                "spec.ports[0]: Invalid value: \"boolean\": spec.ports[0] in body must be of type integer,string: \"boolean\"",
                "spec.replicas: Invalid value: 15: spec.replicas in body should be less than or equal to 10",
            ]
        );
    }
}
