//! How a wanted manifest and a live object differ, and how the one is applied onto the other.
//!
//! It follows `kubectl apply`: fields that the manifest names must have its values, fields that it named before and no
//! longer names go, and what others added stays. Pure.

use serde_json::{Map, Value};

use super::argo_window::matches;
use super::untyped::{list, text};

/// Says whether the live object differs from the manifest; `before` is the manifest that was applied last.
pub fn drifted(wanted: &Value, before: Option<&Value>, live: &Value) -> bool {
    let Some(wanted) = wanted.as_object() else { return true };
    wanted
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind" | "status"))
        .any(|(key, value)| differs(value, before.and_then(|all| all.get(key)), live.get(key)))
}

/// Says whether a live value lacks what is wanted, or still has what was wanted before and no longer is.
fn differs(wanted: &Value, before: Option<&Value>, live: Option<&Value>) -> bool {
    match (wanted, live) {
        // The API server drops what is empty.
        (Value::Null, None | Some(Value::Null)) => false,
        (Value::Object(map), None) => !map.is_empty() && map.values().any(|value| differs(value, None, None)),
        (Value::Array(wanted), None) => !wanted.is_empty(),
        (Value::Object(wanted), Some(Value::Object(live))) => {
            let gone = before.and_then(Value::as_object).is_some_and(|before| {
                before.keys().any(|key| !wanted.contains_key(key) && live.contains_key(key))
            });
            gone || wanted
                .iter()
                .any(|(key, value)| differs(value, before.and_then(|all| all.get(key)), live.get(key)))
        }
        (Value::Array(wanted), Some(Value::Array(live))) => {
            wanted.len() != live.len()
                || wanted.iter().zip(live).any(|(wanted, live)| differs(wanted, None, Some(live)))
        }
        (Value::Number(wanted), Some(Value::Number(live))) => wanted.as_f64() != live.as_f64(),
        (wanted, Some(live)) => wanted != live,
        (_, None) => true,
    }
}

/// Applies a manifest onto a live object; `before` is the manifest that was applied last.
pub fn apply(wanted: &Value, before: Option<&Value>, live: &mut Value) {
    let Some(wanted) = wanted.as_object() else { return };
    for (key, value) in wanted.iter().filter(|(key, _)| key.as_str() != "status") {
        let slot = &mut live[key.as_str()];
        lay(value, before.and_then(|all| all.get(key)), slot);
    }
}

fn lay(wanted: &Value, before: Option<&Value>, live: &mut Value) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            for key in before.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
                if !wanted.contains_key(key) {
                    live.remove(key);
                }
            }
            for (key, value) in wanted {
                let slot = live.entry(key.clone()).or_insert(Value::Null);
                lay(value, before.and_then(|all| all.get(key)), slot);
            }
        }
        // Elements that stand for the same thing keep what the API server filled in.
        (Value::Array(wanted), Value::Array(live)) if same_names(wanted, live) => {
            for (wanted, live) in wanted.iter().zip(live) {
                lay(wanted, None, live);
            }
        }
        (wanted, live) => *live = wanted.clone(),
    }
}

fn same_names(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one["name"].is_string() && one["name"] == other["name"])
}

/// Copies from the live object what `ignoreDifferences` of an Application says not to compare, so that it neither
/// shows as a difference nor is written.
pub fn ignore(rules: &[Value], live: &Value, wanted: &mut Value) {
    let (group, kind) = (super::argo_render::group(wanted).to_owned(), text(wanted, "/kind").to_owned());
    let (name, namespace) =
        (text(wanted, "/metadata/name").to_owned(), text(wanted, "/metadata/namespace").to_owned());
    let meets = |rule: &Value, field: &str, value: &str| {
        let wanted = text(rule, field);
        wanted.is_empty() || wanted == value
    };
    for rule in rules {
        if matches(text(rule, "/group"), &group)
            && matches(text(rule, "/kind"), &kind)
            && meets(rule, "/name", &name)
            && meets(rule, "/namespace", &namespace)
        {
            for pointer in list(rule, "/jsonPointers").iter().filter_map(Value::as_str) {
                keep(pointer, live, wanted);
            }
        }
    }
}

/// Makes `wanted` have at a JSON pointer exactly what `live` has there.
pub fn keep(pointer: &str, live: &Value, wanted: &mut Value) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match live.pointer(pointer) {
        Some(value) => {
            let mut here = wanted;
            for part in parent.split('/').skip(1) {
                let part = part.replace("~1", "/").replace("~0", "~");
                here = match part.parse::<usize>() {
                    Ok(nth) if here.is_array() => match here.get_mut(nth) {
                        Some(item) => item,
                        None => return,
                    },
                    _ => {
                        if !here.is_object() {
                            *here = Value::Object(Map::new());
                        }
                        &mut here[part.as_str()]
                    }
                };
            }
            if !here.is_object() {
                *here = Value::Object(Map::new());
            }
            here[key.as_str()] = value.clone();
        }
        None => {
            if let Some(map) = wanted.pointer_mut(parent).and_then(Value::as_object_mut) {
                map.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_added_is_no_difference_and_what_was_taken_back_is() {
        let wanted = json!({"kind": "ConfigMap", "data": {"A": "1"}});
        let live = json!({"kind": "ConfigMap", "metadata": {"uid": "x"}, "data": {"A": "1", "B": "2"}});
        assert!(!drifted(&wanted, None, &live));
        let before = json!({"kind": "ConfigMap", "data": {"A": "1", "B": "2"}});
        assert!(drifted(&wanted, Some(&before), &live));
        assert!(drifted(&json!({"data": {"A": "2"}}), None, &live));
        assert!(!drifted(&json!({"spec": {"list": [], "map": {}}}), None, &live));
    }

    #[test]
    fn what_is_applied_no_longer_differs() {
        let before = json!({"data": {"A": "1", "B": "2"}, "spec": {"c": [{"name": "x", "image": "i:1"}]}});
        let wanted = json!({"data": {"A": "3"}, "spec": {"c": [{"name": "x", "image": "i:2"}]}});
        let mut live = json!({"metadata": {"uid": "u"}, "data": {"A": "1", "B": "2", "C": "kept"},
            "spec": {"c": [{"name": "x", "image": "i:1", "filled": true}]}, "status": {"ready": 1}});
        assert!(drifted(&wanted, Some(&before), &live));
        apply(&wanted, Some(&before), &mut live);
        assert!(!drifted(&wanted, Some(&wanted), &live));
        assert_eq!(
            live,
            json!({"metadata": {"uid": "u"}, "data": {"A": "3", "C": "kept"},
                "spec": {"c": [{"name": "x", "image": "i:2", "filled": true}]}, "status": {"ready": 1}})
        );
    }

    #[test]
    fn a_list_of_another_length_is_a_difference_and_is_replaced() {
        let wanted = json!({"spec": {"ports": [{"name": "a"}, {"name": "b"}]}});
        let mut live = json!({"spec": {"ports": [{"name": "a", "nodePort": 1}]}});
        assert!(drifted(&wanted, None, &live));
        apply(&wanted, None, &mut live);
        assert_eq!(live["spec"]["ports"], json!([{"name": "a"}, {"name": "b"}]));
    }

    #[test]
    fn ignored_fields_are_neither_compared_nor_written() {
        let rules = json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]);
        let live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 7}});
        let mut wanted = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2}});
        assert!(drifted(&wanted, None, &live));
        ignore(rules.as_array().unwrap(), &live, &mut wanted);
        assert!(!drifted(&wanted, None, &live));
        let mut without = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2}});
        ignore(rules.as_array().unwrap(), &json!({"spec": {}}), &mut without);
        assert_eq!(without["spec"], json!({}));
    }
}
