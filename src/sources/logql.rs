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
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // What RE2 reads as more than itself outside of brackets; a dash is nothing special there.
        if "\\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Returns the byte of a query that an error of the server names: `parse error at line 1, col 8: ...`. Lines and
/// columns are counted from one, columns in characters.
pub fn position(query: &str, reason: &str) -> Option<usize> {
    let (_, behind) = reason.split_once("at line ")?;
    let (line, behind) = behind.split_once(", col ")?;
    let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    let (line, column): (usize, usize) = (line.trim().parse().ok()?, behind[..digits].parse().ok()?);
    let mut start = 0;
    for _ in 1..line {
        start += query.get(start..)?.find('\n')? + 1;
    }
    let text = query.get(start..)?;
    let at = text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    Some(start + at)
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

/// Returns the query with more matchers, as they are written in a selector, in each of its selectors; `None` where it
/// has none.
pub fn joined(query: &str, matchers: &str) -> Option<String> {
    let found = selectors(query);
    let mut joined = String::new();
    let mut from = 0;
    for (start, end) in &found {
        let inner = query.get(start + 1..end - 1)?.trim().trim_end_matches(',');
        let comma = if inner.is_empty() { "" } else { ", " };
        joined.push_str(query.get(from..*start)?);
        for part in ["{", inner, comma, matchers, "}"] {
            joined.push_str(part);
        }
        from = *end;
    }
    joined.push_str(query.get(from..)?);
    (!found.is_empty()).then_some(joined)
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
    fn the_place_of_an_error_is_found_in_the_query() {
        let reason = "parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING";
        assert_eq!(position("{app=", reason), Some(5));
        assert_eq!(position("{é=\"x\"} |= ", "parse error at line 1, col 4: x"), Some(4), "in characters");
        assert_eq!(position("{a=\"b\"}\n| jsn", "parse error : at line 2, col 3: x"), Some(10));
        assert_eq!(position("{a}", "queries require at least one regexp"), None);
        assert_eq!(position("{a}", "at line 9, col 1"), None);
    }

    #[test]
    fn a_name_stands_for_itself_in_an_expression() {
        assert_eq!(literal("tenant-2.x|(y)"), r"tenant-2\.x\|\(y\)");
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
        let both = joined(r#"{a="b"} |= "{c}" or {}"#, r#"n=~"x|y""#).unwrap();
        assert_eq!(both, r#"{a="b", n=~"x|y"} |= "{c}" or {n=~"x|y"}"#);
        assert_eq!(joined("up", "a=\"b\""), None);
    }
}
