//! Writing and reading as much of `LogQL` as a client needs: quoting, selectors, and whether a query asks for lines.
//!
//! It does not check a query: the server does, and says what is wrong in its own words.

use std::fmt::Write as _;

/// Writes a text in double quotes as `LogQL` (that is, Go) reads it.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Writing to a string does not fail.
            c if c.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes a text so that it stands for itself in a regular expression of `LogQL`.
pub fn literal(text: &str) -> String {
    regex::escape(text)
}

/// Writes a selector of labels that must be equal to values.
pub fn selector<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let matchers = labels.into_iter().map(|(name, value)| format!("{name}={}", quote(value)));
    format!("{{{}}}", matchers.collect::<Vec<_>>().join(", "))
}

/// Tells whether a query asks for numbers rather than lines: a query for lines begins with its selector.
pub fn is_metric(query: &str) -> bool {
    !query.trim_start_matches(|c: char| c.is_whitespace() || c == '(').starts_with('{')
}

/// Returns the selectors of a query, in its order, as byte ranges with their braces.
pub fn selectors(query: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut open = None;
    let mut quoted: Option<u8> = None;
    let mut escaped = false;
    for (at, byte) in query.bytes().enumerate() {
        match (quoted, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(b'"'), b'\\') => escaped = true,
            (Some(mark), byte) if mark == byte => quoted = None,
            (None, b'"' | b'`') => quoted = Some(byte),
            (None, b'{') => open = Some(at),
            (None, b'}') => found.extend(open.take().map(|from| (from, at + 1))),
            _ => {}
        }
    }
    found
}

/// Returns the query with more matchers in its first selector; `None` where it has none.
pub fn narrowed<'a>(query: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let (from, to) = *selectors(query).first()?;
    let inner = query.get(from + 1..to - 1)?.trim().trim_end_matches(',').to_owned();
    let more = labels.into_iter().map(|(name, value)| format!("{name}={}", quote(value)));
    let all: Vec<String> = Some(inner).filter(|inner| !inner.is_empty()).into_iter().chain(more).collect();
    Some(format!("{}{{{}}}{}", &query[..from], all.join(", "), &query[to..]))
}

/// Writes the query for the number of lines by level, in steps of so many seconds; `None` where `query` is not for
/// lines.
pub fn by_level(query: &str, step: u32) -> Option<String> {
    let lines = !is_metric(query) && !selectors(query).is_empty();
    lines.then(|| format!("sum by (detected_level) (count_over_time({} [{step}s]))", query.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_go_reads_it() {
        assert_eq!(quote("a\"b\\c\nd\u{1b}"), r#""a\"b\\c\nd\u001b""#);
        let pairs = [("namespace", "shop"), ("app", "a\"} or {x=\"y")];
        assert_eq!(selector(pairs), r#"{namespace="shop", app="a\"} or {x=\"y"}"#);
    }

    #[test]
    fn selectors_are_found_past_quotes() {
        let query = r#"sum(rate({a="}\"{"} |= `{"x"}` [5m])) / sum(rate({b=`\`}[5m]))"#;
        let found: Vec<&str> = selectors(query).into_iter().map(|(from, to)| &query[from..to]).collect();
        assert_eq!(found, [r#"{a="}\"{"}"#, r"{b=`\`}"]);
    }

    #[test]
    fn a_query_for_lines_begins_with_its_selector() {
        assert!(!is_metric(r#" {a="b"} |= "x""#));
        assert!(is_metric(r#"sum(rate({a="b"}[5m]))"#));
        assert_eq!(by_level("rate({a=\"b\"}[5m])", 60), None);
        let levels = by_level(r#"{a="b"} | json "#, 30).unwrap();
        assert_eq!(levels, r#"sum by (detected_level) (count_over_time({a="b"} | json [30s]))"#);
    }

    #[test]
    fn a_query_is_narrowed_in_its_selector() {
        let narrow = narrowed(r#"{a="b",} |= "{c}""#, [("pod", "p-1")]).unwrap();
        assert_eq!(narrow, r#"{a="b", pod="p-1"} |= "{c}""#);
        assert_eq!(narrowed("{}", [("a", "b")]).unwrap(), r#"{a="b"}"#);
        assert_eq!(narrowed("up", [("a", "b")]), None);
    }
}
