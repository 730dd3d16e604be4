//! Parsers of lines: JSON, logfmt, regular expressions, patterns and packed lines.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ast::Step;
use super::pattern::Pattern;
use super::pipeline::Line;

/// Makes a name that a label may have: other characters become `_`, and a digit does not stand first.
pub fn sanitize(name: &str) -> String {
    let name = name.trim();
    let mut clean = String::with_capacity(name.len() + 1);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        clean.push('_');
    }
    clean.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
    clean
}

type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Takes labels out of a JSON object: all of its texts, numbers and truths, or the paths that are named.
pub fn json(fields: &[(String, Vec<Step>)], line: &mut Line<'_>) {
    let text = line.text.clone();
    if !fields.is_empty() {
        return json_fields(fields, &text, line);
    }
    match serde_json::from_str::<Object<'_>>(&text) {
        Ok(object) => flatten("", &object, line),
        Err(_) if !text.trim_start().starts_with('{') => {
            line.fail("JSONParserErr", "Value looks like object, but can't find closing '}' symbol");
        }
        Err(_) => line.fail("JSONParserErr", "Malformed JSON error"),
    }
}

fn flatten(prefix: &str, object: &Object<'_>, line: &mut Line<'_>) {
    for (key, raw) in object {
        let key = sanitize(key);
        if key.is_empty() {
            continue;
        }
        let name = if prefix.is_empty() { key } else { format!("{prefix}_{key}") };
        let written = raw.get();
        match written.as_bytes().first() {
            Some(b'{') => {
                if let Ok(inner) = serde_json::from_str::<Object<'_>>(written) {
                    flatten(&name, &inner, line);
                }
            }
            Some(b'"') => {
                if let Ok(text) = serde_json::from_str::<String>(written) {
                    line.found(&name, text);
                }
            }
            // Lists and nulls become no labels.
            Some(b'[' | b'n') | None => {}
            Some(_) => line.found(&name, written),
        }
    }
}

fn json_fields(fields: &[(String, Vec<Step>)], text: &str, line: &mut Line<'_>) {
    if !text.starts_with(['{', '[', '"']) {
        line.fail("JSONParserErr", "");
        return;
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        line.fail("JSONParserErr", "Malformed JSON error");
        return;
    };
    for (name, path) in fields {
        let found = path.iter().try_fold(&value, |value, step| match step {
            Step::Field(field) => value.get(field.as_str()),
            Step::Index(index) => value.get(*index),
        });
        let text = match found {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        line.found(name, text);
    }
}

/// Takes labels out of a JSON object of texts; `_entry` becomes the line.
pub fn unpack(line: &mut Line<'_>) {
    let text = line.text.clone();
    if text.is_empty() {
        return;
    }
    let Ok(object) = serde_json::from_str::<BTreeMap<String, Value>>(&text) else {
        line.fail("JSONParserErr", "expecting json object(6), but it is not");
        return;
    };
    for (key, value) in object {
        let Value::String(value) = value else { continue };
        if key == "_entry" {
            line.text = Cow::Owned(value);
        } else {
            line.found(&sanitize(&key), value);
        }
    }
}

/// Takes labels out by the names of groups.
pub fn regexp(regex: &Regex, line: &mut Line<'_>) {
    let text = line.text.clone();
    let Some(captures) = regex.captures(&text) else { return };
    for name in regex.capture_names().flatten() {
        line.found(&sanitize(name), captures.name(name).map_or("", |found| found.as_str()));
    }
}

/// Takes labels out by a pattern.
pub fn pattern(pattern: &Pattern, line: &mut Line<'_>) {
    let text = line.text.clone();
    for (name, value) in pattern.captures(&text) {
        line.found(name, value);
    }
}

/// Takes labels out of `key=value` pairs.
pub fn logfmt(strict: bool, keep_empty: bool, fields: &[(String, String)], line: &mut Line<'_>) {
    let text = line.text.clone();
    let (pairs, wrong) = pairs(&text, strict);
    for (key, value) in &pairs {
        let key = sanitize(key);
        if fields.is_empty() {
            if !key.is_empty() && (keep_empty || !value.is_empty()) {
                line.found(&key, value.as_ref());
            }
            continue;
        }
        for (name, _) in fields.iter().filter(|(_, source)| *source == key) {
            line.found(name, value.as_ref());
        }
    }
    for (name, _) in fields {
        if line.get(name).is_none() {
            line.found(name, "");
        }
    }
    if let Some(why) = wrong {
        line.fail("LogfmtParserErr", why);
    }
}

/// Splits a line into pairs. Where `strict`, it ends at what is not well formed and says what that is; otherwise such a
/// word is passed over.
fn pairs(text: &str, strict: bool) -> (Vec<(&str, Cow<'_, str>)>, Option<String>) {
    let mut found = Vec::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    let wrong = |at: usize, what: &str| Some(format!("logfmt syntax error at pos {} : {what}", at + 1));
    while at < bytes.len() {
        if bytes[at] <= b' ' {
            at += 1;
            continue;
        }
        let key_end = word_end(bytes, at, b"=\"");
        let key = &text[at..key_end];
        match bytes.get(key_end) {
            Some(b'=') if !key.is_empty() => {
                let begin = key_end + 1;
                if bytes.get(begin) == Some(&b'"') {
                    let Some(length) = quoted_length(&bytes[begin..]) else {
                        return (
                            found,
                            if strict { wrong(bytes.len(), "unterminated quoted value") } else { None },
                        );
                    };
                    let raw = &text[begin..begin + length];
                    let value = serde_json::from_str::<String>(raw)
                        .map_or_else(|_| Cow::Owned(loose(&raw[1..raw.len() - 1])), Cow::Owned);
                    found.push((key, value));
                    at = begin + length;
                } else {
                    let end = word_end(bytes, begin, b"");
                    let value = &text[begin..end];
                    if value.contains(['"', '=']) {
                        if strict {
                            return (found, wrong(begin, "unexpected '\"'"));
                        }
                    } else {
                        found.push((key, Cow::Borrowed(value)));
                    }
                    at = end;
                }
            }
            Some(b'=' | b'"') => {
                if strict {
                    return (found, wrong(key_end, &format!("unexpected '{}'", char::from(bytes[key_end]))));
                }
                at = word_end(bytes, key_end + 1, b"");
            }
            _ => {
                found.push((key, Cow::Borrowed("")));
                at = key_end;
            }
        }
    }
    (found, None)
}

/// Returns where a word ends: at a space, a control character, or one of `stops`.
fn word_end(bytes: &[u8], from: usize, stops: &[u8]) -> usize {
    bytes[from.min(bytes.len())..]
        .iter()
        .position(|byte| *byte <= b' ' || stops.contains(byte))
        .map_or(bytes.len(), |length| from + length)
}

/// Returns the length of a quoted text with its quotes; `None` where it does not end.
fn quoted_length(bytes: &[u8]) -> Option<usize> {
    let mut escaped = false;
    bytes
        .iter()
        .skip(1)
        .position(|byte| {
            let end = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            end
        })
        .map(|length| length + 2)
}

/// Undoes the escapes that JSON does not know, such as `\x1b` or `\'`.
fn loose(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        if c != '\\' {
            clean.push(c);
            continue;
        }
        match letters.next() {
            Some('n') => clean.push('\n'),
            Some('t') => clean.push('\t'),
            Some('r') => clean.push('\r'),
            Some('u') => {
                let inner: String = letters.clone().take(6).collect();
                // Rust's debug format writes `\u{1b}`.
                let code = inner.strip_prefix('{').and_then(|inner| inner.split('}').next());
                let read = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
                if let (Some(code), Some(c)) = (code, read) {
                    clean.push(c);
                    letters.nth(code.len() + 1);
                }
            }
            Some(other) => clean.push(other),
            None => {}
        }
    }
    clean
}

/// Takes the escape sequences of colours out of a text.
pub fn decolorize(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        clean.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find(|c: char| !c.is_ascii_digit() && c != ';');
        match end {
            Some(end) if inner[end..].starts_with('m') || inner[end..].starts_with('K') => {
                rest = &inner[end + 1..];
            }
            _ => {
                clean.push_str("\u{1b}[");
                rest = inner;
            }
        }
    }
    clean.push_str(rest);
    clean
}
