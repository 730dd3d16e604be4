//! Structured log lines folded to a few fields: JSON objects and logfmt, the two that programs write.
//!
//! A line that is neither stays as it is. Nothing is changed but what is seen: search, export and copy take the line.

use serde_json::Value;

/// The longest line that is looked into; a longer one is shown as it is.
const LONGEST: usize = 32 * 1024;

/// Takes a line apart into names and values, in their order; `None` where it is not structured.
pub fn fields(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.trim();
    if text.len() > LONGEST {
        return None;
    }
    if text.starts_with('{') {
        let Value::Object(object) = serde_json::from_str(text).ok()? else { return None };
        let value = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        return Some(object.into_iter().map(|(name, one)| (name, value(one))).collect());
    }
    logfmt(text)
}

/// Takes logfmt apart: at least two pairs, and nothing that is not one.
fn logfmt(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte))
        {
            return None;
        }
        let (value, after) = if after.starts_with('"') {
            let mut stream = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = stream.next()?.ok()?;
            (value, &after[stream.byte_offset()..])
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        };
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    (pairs.len() >= 2).then_some(pairs)
}

/// Writes the chosen fields of a line, in their order: what is said first, the others as `name=value`.
pub fn folded(text: &str, chosen: &[String]) -> Option<String> {
    let fields = fields(text)?;
    let mut parts = Vec::new();
    for name in chosen {
        if let Some((_, value)) = fields.iter().find(|(one, value)| one == name && !value.is_empty()) {
            let value = crate::text::one_line(value);
            let plain = matches!(name.as_str(), "level" | "severity" | "msg" | "message");
            parts.push(if plain { value.into_owned() } else { format!("{name}={value}") });
        }
    }
    (!parts.is_empty()).then(|| parts.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen() -> Vec<String> {
        ["level", "msg", "status"].map(str::to_owned).to_vec()
    }

    #[test]
    fn json_and_logfmt_are_folded_and_all_else_is_not() {
        let json = r#"{"ts":"x","msg":"it is done","status":200,"level":"info","deep":{"a":1}}"#;
        assert_eq!(folded(json, &chosen()).as_deref(), Some("info  it is done  status=200"));
        let logfmt = r#"time=x level=warn msg="a \"quoted\" word" status=503"#;
        assert_eq!(folded(logfmt, &chosen()).as_deref(), Some("warn  a \"quoted\" word  status=503"));
        for plain in ["GET /a?b=c 200", "a=b", "", "{not json}", "[1,2]"] {
            assert_eq!(folded(plain, &chosen()), None, "{plain}");
        }
        assert_eq!(folded(r#"{"other":1}"#, &chosen()), None, "none of the chosen fields: the line as it is");
    }
}
