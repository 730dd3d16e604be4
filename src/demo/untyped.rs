//! Reading and writing fields of untyped Kubernetes objects, and the forms of time and quantity they use.
//!
//! Controllers see objects as the API server stores them, so a missing field is an ordinary case: every reader has
//! an answer for it. Nothing here knows a kind.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// What a pointer to nothing leads to.
static NOTHING: Value = Value::Null;

/// Returns the value at a JSON pointer, or null.
pub fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&NOTHING)
}

/// Returns the text at a JSON pointer, or an empty one.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).as_str().unwrap_or_default()
}

/// Returns the number at a JSON pointer, or 0.
pub fn number(object: &Value, pointer: &str) -> i64 {
    at(object, pointer).as_i64().unwrap_or_default()
}

/// Returns the flag at a JSON pointer, or false.
pub fn flag(object: &Value, pointer: &str) -> bool {
    at(object, pointer).as_bool().unwrap_or_default()
}

/// Returns the list at a JSON pointer, or an empty one.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    at(object, pointer).as_array().map_or(&[], Vec::as_slice)
}

/// Returns the time at a JSON pointer.
pub fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// Returns the value at `path` below `object`; what is missing on the way, or is no object, becomes one.
pub fn slot<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Value {
    let mut here = object;
    for part in path {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        here = &mut here[*part];
    }
    here
}

/// Sets the value at `path`.
pub fn put(object: &mut Value, path: &[&str], value: impl Into<Value>) {
    *slot(object, path) = value.into();
}

/// Sets a label or annotation: `which` is `labels` or `annotations`.
pub fn mark(object: &mut Value, which: &str, key: &str, value: &str) {
    put(object, &["metadata", which, key], value);
}

/// Returns a label or annotation, or an empty text.
pub fn marked<'a>(object: &'a Value, which: &str, key: &str) -> &'a str {
    object["metadata"][which][key].as_str().unwrap_or_default()
}

/// Returns the status of a condition: `True`, `False`, `Unknown`, or empty where it is absent.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    find_condition(object, kind).map_or("", |found| text(found, "/status"))
}

/// Returns a condition of an object.
pub fn find_condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|found| found["type"] == kind)
}

/// Sets a condition; its transition time moves only when its status does. Returns whether anything changed.
pub fn set_condition(
    object: &mut Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &str,
) -> bool {
    let conditions = slot(object, &["status", "conditions"]);
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return false };
    let Some(found) = conditions.iter_mut().find(|found| found["type"] == kind) else {
        let mut new = json!({"type": kind, "status": status, "lastTransitionTime": now});
        fill(&mut new, reason, message);
        conditions.push(new);
        return true;
    };
    let before = found.clone();
    if found["status"] != status {
        found["status"] = json!(status);
        found["lastTransitionTime"] = json!(now);
    }
    fill(found, reason, message);
    *found != before
}

fn fill(condition: &mut Value, reason: &str, message: &str) {
    for (key, value) in [("reason", reason), ("message", message)] {
        match condition.as_object_mut() {
            Some(map) if value.is_empty() => drop(map.remove(key)),
            Some(map) => drop(map.insert(key.to_owned(), json!(value))),
            None => {}
        }
    }
}

/// Removes a condition.
pub fn clear_condition(object: &mut Value, kind: &str) {
    if let Some(conditions) = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        conditions.retain(|found| found["type"] != kind);
    }
}

/// Writes a time as Kubernetes does: RFC 3339 in UTC with whole seconds.
pub fn stamp(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// Returns the time `seconds` after `at`.
pub fn later(at: Timestamp, seconds: f64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis((seconds * 1000.0) as i64)).unwrap_or(Timestamp::MAX)
}

/// Returns the seconds from `from` until `to`; negative where `to` lies before.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// Reads a duration such as `1h30m`, `0s`, `720h`; `Never` and what cannot be read give `None`.
pub fn duration(written: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut digits = String::new();
    let mut letters = written.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_digit() || letter == '.' {
            digits.push(letter);
            continue;
        }
        let unit = match letter {
            'h' => 3600.0,
            'm' if letters.peek() == Some(&'s') => {
                letters.next();
                0.001
            }
            'm' => 60.0,
            's' => 1.0,
            _ => return None,
        };
        total += digits.parse::<f64>().ok()? * unit;
        digits.clear();
    }
    (digits.is_empty() && !written.is_empty()).then_some(total)
}

/// Reads a quantity in thousandths: `250m` is 250, `2` is 2000, `1Ki` is 1024000; what cannot be read is 0.
pub fn milli(value: &Value) -> i64 {
    let written = match value {
        Value::String(written) => written.as_str(),
        Value::Number(number) => return (number.as_f64().unwrap_or_default() * 1000.0) as i64,
        _ => return 0,
    };
    let end = written.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(written.len());
    let Ok(base) = written[..end].parse::<f64>() else { return 0 };
    let factor = match &written[end..] {
        "n" => 1e-6,
        "u" => 1e-3,
        "m" => 1.0,
        "" => 1e3,
        "k" => 1e6,
        "M" => 1e9,
        "G" => 1e12,
        "T" => 1e15,
        "Ki" => 1024e3,
        "Mi" => 1024.0 * 1024e3,
        "Gi" => 1024.0 * 1024.0 * 1024e3,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024e3,
        _ => return 0,
    };
    (base * factor).round() as i64
}

/// Reads a quantity in whole units (bytes, pods).
pub fn units(value: &Value) -> i64 {
    milli(value) / 1000
}

/// Writes millicores as Kubernetes prints them: `250m`, `2`.
pub fn cpu(millis: i64) -> String {
    if millis % 1000 == 0 { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// Writes bytes in the largest binary unit that keeps them whole.
pub fn bytes(count: i64) -> String {
    let units = [("Gi", 1_i64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    match units.into_iter().find(|(_, size)| count != 0 && count % size == 0) {
        Some((unit, size)) => format!("{}{unit}", count / size),
        None => count.to_string(),
    }
}

/// Reads a number of pods that may be a percentage of `total`; percentages of surge round up, the others down.
pub fn share(value: &Value, total: i64, up: bool) -> i64 {
    match value {
        Value::Number(number) => number.as_i64().unwrap_or_default(),
        Value::String(written) => match written.strip_suffix('%').and_then(|n| n.parse::<i64>().ok()) {
            Some(percent) => (percent * total + if up { 99 } else { 0 }) / 100,
            None => written.parse().unwrap_or_default(),
        },
        _ => 0,
    }
}

/// Says whether a label selector (`matchLabels` and `matchExpressions`) takes a set of labels; an empty one takes all.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"]
        .as_object()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| &labels[key] == value));
    equal
        && list(selector, "/matchExpressions").iter().all(|rule| {
            let value = &labels[text(rule, "/key")];
            let listed = list(rule, "/values").contains(value);
            match text(rule, "/operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => !value.is_null(),
                "DoesNotExist" => value.is_null(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_in_thousandths() {
        for (written, expected) in [
            ("250m", 250),
            ("2", 2000),
            ("1.5", 1500),
            ("1Ki", 1_024_000),
            ("64Mi", 67_108_864_000),
            ("odd", 0),
        ] {
            assert_eq!(milli(&json!(written)), expected, "{written}");
        }
        assert_eq!(bytes(64 << 20), "64Mi");
        assert_eq!(cpu(1500), "1500m");
        assert_eq!(cpu(2000), "2");
    }

    #[test]
    fn a_surge_rounds_up_and_an_unavailability_rounds_down() {
        assert_eq!(share(&json!("25%"), 3, true), 1);
        assert_eq!(share(&json!("25%"), 3, false), 0);
        assert_eq!(share(&json!(2), 3, false), 2);
    }

    #[test]
    fn a_condition_keeps_its_transition_time_while_its_status_stays() {
        let mut object = json!({});
        assert!(set_condition(&mut object, "Ready", "False", "Starting", "", "2026-01-01T00:00:00Z"));
        assert!(set_condition(&mut object, "Ready", "False", "Waiting", "", "2026-01-01T00:00:09Z"));
        assert_eq!(object["status"]["conditions"][0]["lastTransitionTime"], "2026-01-01T00:00:00Z");
        assert!(!set_condition(&mut object, "Ready", "False", "Waiting", "", "2026-01-01T00:00:10Z"));
    }

    #[test]
    fn durations_add_up_and_never_is_none() {
        assert_eq!(duration("1h30m"), Some(5400.0));
        assert_eq!(duration("720h"), Some(2_592_000.0));
        assert_eq!(duration("Never"), None);
    }
}
