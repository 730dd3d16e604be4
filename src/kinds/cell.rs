//! What a cell is worth: as text, as a place in an order, as JSON.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Cell;
use crate::human;

impl Cell {
    /// Writes the cell for people; an age counts from `now`.
    pub fn text(&self, now: Timestamp) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Unknown => "?".to_owned(),
            Self::Text(text) | Self::Status { text, .. } | Self::Link { text, .. } => text.to_string(),
            Self::Count(number) => number.to_string(),
            Self::Ratio { have, want } => format!("{have}/{want}"),
            Self::Percent(value) => human::percent(*value),
            Self::Quantity { value, unit } => human::quantity(*value, *unit),
            Self::Bar { used, total, unit } => {
                format!("{}/{}", human::quantity(*used, *unit), human::quantity(*total, *unit))
            }
            Self::Age(then) => human::age(now, *then),
            Self::Hidden => "hidden".to_owned(),
        }
    }

    /// Returns the words of the cell where it holds words, without making any.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Status { text, .. } | Self::Link { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns the cell as the JSON of `opsdeck get`; `None` for a hidden value, which is left out.
    pub fn json(&self) -> Option<Value> {
        Some(match self {
            Self::Hidden => return None,
            Self::Empty | Self::Unknown => Value::Null,
            Self::Text(text) | Self::Link { text, .. } => json!(&**text),
            Self::Count(number) => json!(number),
            Self::Ratio { have, want } => json!({"have": have, "want": want}),
            Self::Percent(value) => json!(value),
            Self::Quantity { value, unit } => json!({"value": value, "unit": unit}),
            Self::Bar { used, total, unit } => json!({"used": used, "total": total, "unit": unit}),
            Self::Age(then) => json!(then.to_string()),
            Self::Status { text, health } => json!({"text": &**text, "health": health}),
        })
    }
}

/// Compares texts as people count: `tenant-2` stands before `tenant-10`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut i, mut j) = (0, 0);
    while let (Some(one), Some(other)) = (a.get(i), b.get(j)) {
        if one.is_ascii_digit() && other.is_ascii_digit() {
            let (left, right) = (digits(a, i), digits(b, j));
            // Without leading zeros the longer number is the greater one.
            let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
            if order != Ordering::Equal {
                return order;
            }
            i = end_of_digits(a, i);
            j = end_of_digits(b, j);
        } else {
            let order = one.to_ascii_lowercase().cmp(&other.to_ascii_lowercase());
            if order != Ordering::Equal {
                return order;
            }
            i += 1;
            j += 1;
        }
    }
    // What reads alike is still told apart, so that the order is total.
    (a.len() - i).cmp(&(b.len() - j)).then_with(|| a.cmp(b))
}

fn end_of_digits(text: &[u8], from: usize) -> usize {
    from + text.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count()
}

/// Returns the digits from a position, without leading zeros.
fn digits(text: &[u8], from: usize) -> &[u8] {
    let run = text.get(from..end_of_digits(text, from)).unwrap_or_default();
    let zeros = run.iter().take_while(|byte| **byte == b'0').count();
    run.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_counted() {
        let mut names = ["b", "tenant-10", "tenant-2", "Tenant-1", "a-007", "a-7", "a"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "a-007", "a-7", "b", "Tenant-1", "tenant-2", "tenant-10"]);
    }

    #[test]
    fn a_hidden_value_has_no_json_and_no_text_of_its_own() {
        assert_eq!(Cell::Hidden.json(), None);
        assert_eq!(Cell::Hidden.text(Timestamp::UNIX_EPOCH), "hidden");
    }
}
