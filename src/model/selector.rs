//! Label selectors and node selector terms of the Kubernetes API, evaluated on whole objects.

use serde_json::Value;

/// Evaluates a label selector on an object; an empty one selects all, an absent one nothing.
pub fn selects(selector: Option<&Value>, object: &Value) -> bool {
    let Some(selector) = selector.filter(|selector| !selector.is_null()) else { return false };
    let label = |key: &str| label(object, key);
    let equal = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| label(key) == value.as_str()));
    equal && items(selector, "/matchExpressions").iter().all(|one| holds(one, label(text(one, "/key"))))
}

/// Evaluates the terms of a node selector: one of them must hold, and an empty term never does.
pub fn admits(terms: &[Value], node: &Value) -> bool {
    let field = |key: &str| (key == "metadata.name").then(|| text(node, "/metadata/name"));
    terms.iter().any(|term| {
        let (labels, fields) = (items(term, "/matchExpressions"), items(term, "/matchFields"));
        !(labels.is_empty() && fields.is_empty())
            && labels.iter().all(|one| holds(one, label(node, text(one, "/key"))))
            && fields.iter().all(|one| holds(one, field(text(one, "/key"))))
    })
}

/// Returns a label of an object.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// Evaluates one requirement on the value of its key.
fn holds(requirement: &Value, value: Option<&str>) -> bool {
    let values = items(requirement, "/values");
    let among = value.is_some_and(|value| values.iter().any(|one| one.as_str() == Some(value)));
    // Gt and Lt have one value, a whole number.
    let compared = |than: fn(i64, i64) -> bool| {
        let bound = values.first().and_then(|one| one.as_str()?.parse().ok());
        let own = value.and_then(|value| value.parse().ok());
        own.zip(bound).is_some_and(|(own, bound)| than(own, bound))
    };
    match text(requirement, "/operator") {
        "In" => among,
        "NotIn" => !among,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(|own, bound| own > bound),
        "Lt" => compared(|own, bound| own < bound),
        _ => false,
    }
}

/// Returns the text at a JSON pointer; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the list at a JSON pointer; empty where there is none.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn terms_are_any_of_and_requirements_all_of() {
        let node = json!({ "metadata": { "name": "n-1", "labels": { "zone": "a", "cpus": "8" } } });
        let admits = |terms: Value| admits(terms.as_array().unwrap(), &node);
        let one = |key: &str, operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
        assert!(admits(json!([one("zone", "In", &["b"]), one("zone", "In", &["a"])])));
        assert!(!admits(json!([one("zone", "NotIn", &["a"])])));
        assert!(admits(json!([one("cpus", "Gt", &["4"])])) && !admits(json!([one("cpus", "Lt", &["4"])])));
        assert!(admits(json!([one("gpu", "DoesNotExist", &[])])));
        assert!(!admits(json!([{}])), "an empty term selects nothing");
        let field =
            json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["n-2"] }] });
        assert!(!admits(json!([field])));
    }

    #[test]
    fn an_absent_selector_selects_nothing_and_an_empty_one_all() {
        let pod = json!({ "metadata": { "labels": { "app": "api", "tier": "web" } } });
        let one = |operator: &str| json!({ "matchExpressions": [{ "key": "tier", "operator": operator, "values": ["web"] }] });
        assert!(selects(Some(&one("In")), &pod) && !selects(Some(&one("DoesNotExist")), &pod));
        assert!(
            !selects(None, &pod) && !selects(Some(&Value::Null), &pod) && selects(Some(&json!({})), &pod)
        );
        assert!(selects(Some(&json!({ "matchLabels": { "app": "api" } })), &pod));
        assert!(!selects(Some(&json!({ "matchLabels": { "app": "web" } })), &pod));
    }
}
