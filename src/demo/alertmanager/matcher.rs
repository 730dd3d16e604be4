//! Matchers of labels: how they are written in filters and configuration, and what they match.
//!
//! Alertmanager reads a matcher in two ways: the classic one, in which names are those of Prometheus and quotes are
//! optional, and the UTF-8 one, in which everything unusual is quoted. What the classic way takes means what it says
//! there; its words of refusal are the ones that clients see (`matcher/compat` of Alertmanager 0.34).

use std::collections::BTreeMap;

use regex::Regex;

use crate::demo::go_regex;

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// One matcher.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Name of the label.
    pub name: String,
    /// Value or expression, as it was written.
    pub value: String,
    /// It says what must match, not what must not.
    pub equal: bool,
    /// The compiled expression, where the value is one.
    pub regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.value, self.equal, self.regex.is_some())
            == (&other.name, &other.value, other.equal, other.regex.is_some())
    }
}

impl Matcher {
    /// Makes a matcher; refuses an expression that does not compile, in Go's words.
    pub fn new(name: &str, value: &str, equal: bool, regex: bool) -> Result<Self, String> {
        let regex = if regex { Some(go_regex::anchored(value)?) } else { None };
        Ok(Self { name: name.to_owned(), value: value.to_owned(), equal, regex })
    }

    /// Tells whether a value matches; a label that is absent has the empty value.
    pub fn matches(&self, value: &str) -> bool {
        let same = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.value == value,
        };
        same == self.equal
    }

    /// Tells whether labels match.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).map_or("", String::as_str))
    }

    /// Tells whether labels pass it as a filter, where an empty value asks for the label to be there or not.
    pub fn filters(&self, labels: &Labels) -> bool {
        let present = labels.contains_key(&self.name);
        (self.value.is_empty() && present != self.equal) || self.matches_labels(labels)
    }

    /// Tells whether it matches a label that is absent; a negated one is not asked.
    pub fn matches_empty(&self) -> bool {
        self.equal && self.matches("")
    }

    /// Reads one matcher; refuses in Alertmanager's words.
    pub fn parse(input: &str) -> Result<Self, String> {
        if input.starts_with('{') || input.ends_with('}') {
            return Err(format!("unexpected open or close brace: {input}"));
        }
        classic(input).or_else(|refused| quoted(input).ok_or(refused))
    }

    /// Reads the matchers of one entry of a configuration, separated by commas.
    pub fn parse_list(input: &str) -> Result<Vec<Self>, String> {
        let inner = input.trim();
        let inner = inner.strip_prefix('{').unwrap_or(inner);
        let inner = inner.strip_suffix('}').unwrap_or(inner);
        let mut parts = vec![String::new()];
        let (mut inside, mut escaped) = (false, false);
        for letter in inner.chars() {
            match letter {
                ',' if !inside => {
                    parts.push(String::new());
                    continue;
                }
                '"' if !escaped => inside = !inside,
                _ => {}
            }
            escaped = letter == '\\' && !escaped;
            if let Some(part) = parts.last_mut() {
                part.push(letter);
            }
        }
        parts.iter().filter(|part| !part.trim().is_empty()).map(|part| Self::parse(part)).collect()
    }
}

/// Splits an operator off; returns whether it is positive, whether it takes an expression, and the rest.
fn operator(text: &str) -> Option<(bool, bool, &str)> {
    [("=~", true, true), ("!=", false, false), ("!~", false, true), ("=", true, false)]
        .into_iter()
        .find_map(|(sign, equal, regex)| Some((equal, regex, text.strip_prefix(sign)?)))
}

/// Reads the classic way.
fn classic(input: &str) -> Result<Matcher, String> {
    let bad = || format!("bad matcher format: {input}");
    let text = input.trim_start();
    let end = text
        .find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':')))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return Err(bad());
    }
    let (equal, regex, rest) = operator(rest.trim_start()).ok_or_else(bad)?;
    let written = rest.trim();
    let stray = || format!("matcher value contains unescaped double quote: {written}");
    let (raw, mut open) = match written.strip_prefix('"') {
        Some(raw) => (raw, true),
        None => (written, false),
    };
    let mut value = String::new();
    let mut letters = raw.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if at + 1 < raw.len() => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, next @ ('"' | '\\'))) => value.push(next),
                // A backslash that escapes nothing stands for itself.
                Some((_, next)) => value.extend(['\\', next]),
                None => {}
            },
            '"' if open && at + 1 == raw.len() => open = false,
            '"' => return Err(stray()),
            other => value.push(other),
        }
    }
    if open {
        return Err(stray());
    }
    Matcher::new(name, &value, equal, regex)
}

/// Reads the UTF-8 way; `None` where it cannot be read.
fn quoted(input: &str) -> Option<Matcher> {
    let (name, rest) = word(input.trim_start())?;
    let (equal, regex, rest) = operator(rest.trim_start())?;
    let (value, rest) = word(rest.trim_start())?;
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(',').unwrap_or(rest);
    if !rest.trim_start().is_empty() || name.is_empty() {
        return None;
    }
    Matcher::new(&name, &value, equal, regex).ok()
}

/// Takes one word, quoted or not, off the front.
fn word(text: &str) -> Option<(String, &str)> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut escaped = false;
        let end = inner.char_indices().find_map(|(at, letter)| {
            let closes = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            closes.then_some(at)
        })?;
        return Some((unquote(inner.get(..end)?)?, inner.get(end + 1..)?));
    }
    let reserved = |letter: char| letter.is_whitespace() || "{}!=~,\\\"'`".contains(letter);
    let end = text.find(reserved).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// Undoes the escapes of a Go string (`strconv.Unquote`); `None` where there is one that Go does not know.
fn unquote(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\n' => return None,
            '\\' => {
                let kind = letters.next()?;
                let simple = match kind {
                    'a' => Some(0x07),
                    'b' => Some(0x08),
                    'f' => Some(0x0c),
                    'n' => Some(b'\n'),
                    'r' => Some(b'\r'),
                    't' => Some(b'\t'),
                    'v' => Some(0x0b),
                    '\\' => Some(b'\\'),
                    '"' => Some(b'"'),
                    _ => None,
                };
                match (kind, simple) {
                    (_, Some(byte)) => bytes.push(byte),
                    ('x', _) => bytes.push(u8::try_from(digits(&mut letters, "", 2, 16)?).ok()?),
                    ('0'..='7', _) => {
                        let first = kind.to_string();
                        bytes.push(u8::try_from(digits(&mut letters, &first, 2, 8)?).ok()?);
                    }
                    ('u' | 'U', _) => {
                        let count = if kind == 'u' { 4 } else { 8 };
                        let decoded = char::from_u32(digits(&mut letters, "", count, 16)?)?;
                        bytes.extend_from_slice(decoded.to_string().as_bytes());
                    }
                    _ => return None,
                }
            }
            other => bytes.extend_from_slice(other.to_string().as_bytes()),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Reads exactly `count` more digits.
fn digits(letters: &mut std::str::Chars<'_>, first: &str, count: usize, radix: u32) -> Option<u32> {
    let more: String = letters.by_ref().take(count).collect();
    (more.len() == count).then(|| u32::from_str_radix(&format!("{first}{more}"), radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(input: &str) -> (String, String, bool, bool) {
        let matcher = Matcher::parse(input).unwrap();
        (matcher.name, matcher.value, matcher.equal, matcher.regex.is_some())
    }

    #[test]
    fn both_ways_of_writing_are_read() {
        let told = |name: &str, value: &str, equal, regex| (name.to_owned(), value.to_owned(), equal, regex);
        assert_eq!(read("a=b"), told("a", "b", true, false));
        assert_eq!(read(" a != \"b c\" "), told("a", "b c", false, false));
        assert_eq!(read("a=~\"b|c\""), told("a", "b|c", true, true));
        assert_eq!(read("a!~b.*"), told("a", "b.*", false, true));
        assert_eq!(read(r#"a="x\"y\n\z\\""#), told("a", "x\"y\n\\z\\", true, false));
        assert_eq!(read("a="), told("a", "", true, false));
        assert_eq!(read("\"ü b\"=\"x\""), told("ü b", "x", true, false));
        assert_eq!(read("ü=\"\\u00fc\\x41\\101\","), told("ü", "üAA", true, false));
    }

    #[test]
    fn refusals_are_those_of_the_classic_way() {
        for (input, said) in [
            ("foo", "bad matcher format: foo"),
            ("{a=b}", "unexpected open or close brace: {a=b}"),
            ("a=\"b", "matcher value contains unescaped double quote: \"b"),
            ("a=b\"c", "matcher value contains unescaped double quote: b\"c"),
            ("a=~[", "error parsing regexp: missing closing ]: `[)$`"),
            ("ü=\"\\q\"", "bad matcher format: ü=\"\\q\""),
        ] {
            assert_eq!(Matcher::parse(input).unwrap_err(), said);
        }
    }

    #[test]
    fn filters_with_an_empty_value_ask_for_presence() {
        let labels: Labels = [("a".to_owned(), "x".to_owned())].into();
        let passes = |filter: &str| Matcher::parse(filter).unwrap().filters(&labels);
        assert!(passes("a!=\"\"") && passes("b=\"\"") && passes("b!=x") && passes("a=~x|y"));
        assert!(!passes("a=\"\"") && !passes("b!=\"\"") && !passes("a!~x.*") && !passes("a=~xx"));
    }

    #[test]
    fn a_list_is_split_outside_of_quotes() {
        let list = Matcher::parse_list(r#"{alertname="a,b", severity =~ "c|d",}"#).unwrap();
        let names: Vec<_> =
            list.iter().map(|matcher| (matcher.name.as_str(), matcher.value.as_str())).collect();
        assert_eq!(names, [("alertname", "a,b"), ("severity", "c|d")]);
    }
}
