//! Label and field selectors as they stand in a query string.
//!
//! It reads the text and answers for one object; it does not list.

use super::objects::Object;
use super::status::Status;

/// One demand on a label or a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    More(String, i64),
    Less(String, i64),
}

/// A parsed selector; the empty one matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    labels: Vec<Demand>,
    fields: Vec<(String, String, bool)>,
}

impl Selector {
    /// Reads a label selector, such as `app=x,tier in (a, b),!canary`.
    pub fn labels(text: &str) -> Result<Self, Status> {
        let mut labels = Vec::new();
        for part in split(text) {
            labels.push(demand(part).ok_or_else(|| {
                Status::bad_request(format!(
                    "unable to parse requirement: found '{part}', expected a selector"
                ))
            })?);
        }
        Ok(Self { labels, fields: Vec::new() })
    }

    /// Reads the `matchLabels` and `matchExpressions` of an object.
    pub fn of_object(selector: &serde_json::Value) -> Self {
        let mut labels: Vec<Demand> = selector["matchLabels"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| Demand::In(key.clone(), vec![value.as_str().unwrap_or_default().to_owned()]))
            .collect();
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values = expression["values"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect();
            labels.push(match expression["operator"].as_str().unwrap_or_default() {
                "In" => Demand::In(key, values),
                "NotIn" => Demand::NotIn(key, values),
                "DoesNotExist" => Demand::Missing(key),
                _ => Demand::Exists(key),
            });
        }
        Self { labels, fields: Vec::new() }
    }

    /// Adds a field selector, such as `spec.nodeName=a,status.phase!=Running`.
    pub fn with_fields(mut self, text: &str) -> Result<Self, Status> {
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (path, value, true)
            } else {
                return Err(Status::bad_request(format!(
                    "invalid selector: '{part}'; can't understand '{part}'"
                )));
            };
            self.fields.push((path.trim().to_owned(), value.trim().to_owned(), equal));
        }
        Ok(self)
    }

    /// Tells whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Returns the fields that are asked about.
    pub fn field_paths(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(path, _, _)| path.as_str())
    }

    /// Returns the value that a field must have, where one is demanded.
    pub fn field(&self, path: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(candidate, _, equal)| *equal && candidate == path)
            .map(|(_, value, _)| value.as_str())
    }

    /// Tells whether an object is meant.
    pub fn matches(&self, object: &Object) -> bool {
        self.matches_labels(|key| object.label(key))
            && self
                .fields
                .iter()
                .all(|(path, value, equal)| (object.field(path).unwrap_or_default() == value) == *equal)
    }

    /// Tells whether labels, looked up by key, are meant.
    pub fn matches_labels<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let number = |key: &str| label(key).and_then(|value| value.parse::<i64>().ok());
        self.labels.iter().all(|demand| match demand {
            Demand::In(key, values) => {
                label(key).is_some_and(|value| values.iter().any(|wanted| wanted == value))
            }
            Demand::NotIn(key, values) => {
                label(key).is_none_or(|value| values.iter().all(|unwanted| unwanted != value))
            }
            Demand::Exists(key) => label(key).is_some(),
            Demand::Missing(key) => label(key).is_none(),
            Demand::More(key, than) => number(key).is_some_and(|value| value > *than),
            Demand::Less(key, than) => number(key).is_some_and(|value| value < *than),
        })
    }
}

/// Splits at commas that are not inside parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn demand(part: &str) -> Option<Demand> {
    if let Some(key) = part.strip_prefix('!') {
        return key_of(key).map(Demand::Missing);
    }
    if let Some((head, list)) = part.split_once('(') {
        let values = list.strip_suffix(')')?.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        let (key, operator) = (key_of(words.next()?)?, words.next()?);
        return match (operator, words.next()) {
            ("in", None) => Some(Demand::In(key, values)),
            ("notin", None) => Some(Demand::NotIn(key, values)),
            _ => None,
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Demand::NotIn(key_of(key)?, vec![value_of(value)?]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Demand::In(key_of(key)?, vec![value_of(value)?]));
    }
    if let Some((key, value)) = part.split_once('>') {
        return Some(Demand::More(key_of(key)?, value.trim().parse().ok()?));
    }
    if let Some((key, value)) = part.split_once('<') {
        return Some(Demand::Less(key_of(key)?, value.trim().parse().ok()?));
    }
    key_of(part).map(Demand::Exists)
}

fn key_of(text: &str) -> Option<String> {
    let text = text.trim();
    let ok = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'));
    ok.then(|| text.to_owned())
}

fn value_of(text: &str) -> Option<String> {
    let text = text.trim();
    let ok = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    ok.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn meets(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels: Vec<(String, String)> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Selector::labels(selector).unwrap().matches_labels(|key| {
            labels.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| value.as_str())
        })
    }

    #[test]
    fn label_selectors_mean_what_kubectl_means_by_them() {
        let labels = [("app", "shop"), ("tier", "web"), ("gen", "7")];
        assert!(meets("", &labels));
        assert!(meets("app=shop,tier==web", &labels));
        assert!(meets("app in (shop, bank),tier notin (db)", &labels));
        assert!(meets("app,!canary,other!=x", &labels));
        assert!(meets("gen>5,gen<8", &labels));
        assert!(!meets("app!=shop", &labels));
        assert!(!meets("canary", &labels));
        assert!(!meets("tier in (db,cache)", &labels));
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_a_bad_request() {
        for text in ["app in shop", "a b", "=x", "app=(x", "tier within (a)"] {
            assert_eq!(Selector::labels(text).unwrap_err().code(), 400, "{text}");
        }
        assert_eq!(Selector::default().with_fields("spec.nodeName").unwrap_err().code(), 400);
    }
}
