//! Silences and their matchers.

use std::fmt;

use jiff::Timestamp;
use regex::Regex;

use super::Labels;
use crate::identity::Text;

/// Where a silence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SilenceState {
    /// It keeps alerts quiet.
    Active,
    /// It begins later.
    Pending,
    /// It is over.
    Expired,
    /// A word that the console does not know.
    Unknown,
}

impl SilenceState {
    /// Returns the word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its id.
    pub id: Text,
    /// Where it stands.
    pub state: SilenceState,
    /// What it matches; all of them must.
    pub matchers: Vec<Matcher>,
    /// Its beginning.
    pub starts: Option<Timestamp>,
    /// Its end.
    pub ends: Option<Timestamp>,
    /// Who made it.
    pub created_by: Text,
    /// Why.
    pub comment: Text,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
    /// The Alertmanager that has it, such as `monitoring/alertmanager`.
    pub place: Text,
}

impl Silence {
    /// Tells whether it matches an alert of these labels; a matcher that cannot be read matches nothing.
    pub fn matches(&self, labels: &Labels) -> bool {
        !self.matchers.is_empty() && self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// One condition on a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Matcher {
    /// The label.
    pub name: Text,
    /// The value or pattern.
    pub value: Text,
    /// Whether the value is a regular expression, anchored at both ends.
    pub regex: bool,
    /// Whether it must match (`=`, `=~`) or must not (`!=`, `!~`).
    pub equal: bool,
}

/// Why a matcher cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// No operator.
    #[error("{0:?} is not a matcher: write name=value, name!=value, name=~pattern or name!~pattern")]
    NoOperator(String),
    /// No name.
    #[error("{0:?} names no label before its operator")]
    NoName(String),
    /// A pattern that is none.
    #[error("the pattern of {0:?} cannot be read: {1}")]
    Pattern(String, String),
}

impl Matcher {
    /// Makes `name="value"`.
    pub fn equals(name: &str, value: &str) -> Self {
        Self { name: name.into(), value: value.into(), regex: false, equal: true }
    }

    /// Reads `name="value"` with any of the four operators; the quotes may be left out.
    pub fn read(text: &str) -> Result<Self, MatcherError> {
        let text = text.trim();
        let (name, rest) = match text.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            Some(quoted) => quoted,
            None => {
                text.split_at(text.find(['=', '!']).ok_or_else(|| MatcherError::NoOperator(text.to_owned()))?)
            }
        };
        let rest = rest.trim_start();
        let operators = [("=~", true, true), ("!~", true, false), ("!=", false, false), ("=", false, true)];
        let (value, regex, equal) = operators
            .iter()
            .find_map(|(sign, regex, equal)| Some((rest.strip_prefix(sign)?, *regex, *equal)))
            .ok_or_else(|| MatcherError::NoOperator(text.to_owned()))?;
        let name = name.trim();
        if name.is_empty() {
            return Err(MatcherError::NoName(text.to_owned()));
        }
        let value = value.trim();
        let value = match value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
            Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
            None => value.to_owned(),
        };
        let matcher = Self { name: name.into(), value: value.as_str().into(), regex, equal };
        if regex {
            matcher.pattern().map_err(|error| {
                MatcherError::Pattern(text.to_owned(), crate::text::one_line(&error.to_string()).into_owned())
            })?;
        }
        Ok(matcher)
    }

    /// Returns the operator.
    pub fn operator(&self) -> &'static str {
        match (self.regex, self.equal) {
            (false, true) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (true, false) => "!~",
        }
    }

    fn pattern(&self) -> Result<Regex, regex::Error> {
        Regex::new(&format!("^(?s:{})$", self.value))
    }

    /// Tells whether it matches these labels; a label that is absent counts as empty.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).unwrap_or_default();
        if self.regex {
            self.pattern().is_ok_and(|pattern| pattern.is_match(value) == self.equal)
        } else {
            (value == &*self.value) == self.equal
        }
    }

    /// Tells whether it also matches where the label is absent: Alertmanager wants one matcher that does not.
    pub fn matches_empty(&self) -> bool {
        self.matches(&Labels::default())
    }
}

/// Writes `name="value"` as Alertmanager takes it.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if plain {
            f.write_str(&self.name)?;
        } else {
            write!(f, "\"{}\"", self.name)?;
        }
        let value = self.value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(f, "{}\"{value}\"", self.operator())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        [("alertname", "Down"), ("namespace", "tenant-2")]
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn every_operator_is_read_written_and_matched() {
        for (text, written, matches) in [
            ("alertname=Down", r#"alertname="Down""#, true),
            (r#"alertname="Down""#, r#"alertname="Down""#, true),
            ("alertname != Down", r#"alertname!="Down""#, false),
            ("namespace=~tenant-.", r#"namespace=~"tenant-.""#, true),
            ("namespace=~tenant", r#"namespace=~"tenant""#, false),
            ("namespace!~shop|default", r#"namespace!~"shop|default""#, true),
            (r#""a label"="x \"y\"""#, r#""a label"="x \"y\"""#, false),
            ("team=", r#"team="""#, true),
        ] {
            let matcher = Matcher::read(text).unwrap();
            assert_eq!(matcher.to_string(), written);
            assert_eq!(matcher.matches(&labels()), matches, "{text}");
        }
    }

    #[test]
    fn what_is_no_matcher_is_refused_with_the_reason() {
        assert!(matches!(Matcher::read("alertname"), Err(MatcherError::NoOperator(_))));
        assert!(matches!(Matcher::read("=x"), Err(MatcherError::NoName(_))));
        assert!(matches!(Matcher::read("a=~("), Err(MatcherError::Pattern(..))));
    }

    #[test]
    fn a_silence_without_matchers_hides_nothing() {
        let silence = Silence {
            id: "1".into(),
            state: SilenceState::Active,
            matchers: Vec::new(),
            starts: None,
            ends: None,
            created_by: "a".into(),
            comment: "b".into(),
            updated: None,
            place: "monitoring/alertmanager".into(),
        };
        assert!(!silence.matches(&labels()));
    }
}
