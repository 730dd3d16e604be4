//! Files that a person writes (configuration, keymap, themes): read as TOML, every value with its line.
//!
//! A file that is wrong is refused whole, with file, line, what is allowed there and the nearest name. What
//! the values mean is the business of the reader.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::identity::Text;
use crate::nearest::did_you_mean;

/// A place in a file, written `config.toml:12`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, as the person would name it.
    pub file: Text,
    /// The line, from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Why a settings file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Something in the file is wrong.
    #[error("{place}: {what}")]
    Wrong {
        /// Where.
        place: Place,
        /// What, and what is allowed.
        what: String,
    },
    /// The file cannot be read.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: Text,
        /// Why.
        reason: String,
    },
    /// A value that does not come from a file (environment, command line) is wrong.
    #[error("{origin}: {what}")]
    Value {
        /// The variable or flag.
        origin: String,
        /// What, and what is allowed.
        what: String,
    },
}

/// The text of a settings file and its name.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    file: Text,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// Names a text; `file` is what errors say.
    pub fn new(file: &str, text: &'a str) -> Self {
        Self { file: Text::from(file), text }
    }

    /// Parses the text into its top-level section.
    pub fn parse(&self) -> Result<Section<'a>, SettingsError> {
        match DeTable::parse(self.text) {
            Ok(table) => {
                let span = table.span();
                Ok(Section { source: self.clone(), path: String::new(), span, table: table.into_inner() })
            }
            Err(error) => Err(self.wrong(error.span().unwrap_or(0..0), error.message())),
        }
    }

    /// Returns the line of a span.
    fn place(&self, span: Range<usize>) -> Place {
        let upto = self.text.get(..span.start).unwrap_or(self.text);
        Place { file: self.file.clone(), line: upto.bytes().filter(|byte| *byte == b'\n').count() + 1 }
    }

    fn wrong(&self, span: Range<usize>, what: impl Into<String>) -> SettingsError {
        SettingsError::Wrong { place: self.place(span), what: what.into() }
    }
}

/// A table of a settings file.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    source: Source<'a>,
    path: String,
    span: Range<usize>,
    table: DeTable<'a>,
}

impl<'a> Section<'a> {
    /// Returns the entries in the order of the file.
    pub fn entries(&self) -> Vec<Entry<'a>> {
        let mut entries: Vec<_> = self.table.iter().map(|(key, value)| self.entry(key, value)).collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        entries
    }

    /// Returns one entry.
    pub fn get(&self, key: &str) -> Option<Entry<'a>> {
        self.table.iter().find(|(k, _)| k.get_ref() == key).map(|(key, value)| self.entry(key, value))
    }

    fn entry(&self, key: &Spanned<std::borrow::Cow<'a, str>>, value: &Spanned<DeValue<'a>>) -> Entry<'a> {
        let name = key.get_ref().to_string();
        let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
        Entry { source: self.source.clone(), name, path, key_span: key.span(), value: value.clone() }
    }

    /// Says that the table is wrong, at its line.
    pub fn wrong(&self, what: impl Into<String>) -> SettingsError {
        self.source.wrong(self.span.clone(), what)
    }

    /// Returns one entry, which must be there.
    pub fn required(&self, key: &str) -> Result<Entry<'a>, SettingsError> {
        self.get(key).ok_or_else(|| {
            let within = if self.path.is_empty() { String::new() } else { format!("{} ", self.path) };
            self.wrong(format!("{within}needs {key:?}"))
        })
    }

    /// Where the table stands.
    pub fn place(&self) -> Place {
        self.source.place(self.span.clone())
    }

    /// Refuses the first entry whose key is not in `allowed`.
    pub fn allow(&self, allowed: &[&str]) -> Result<(), SettingsError> {
        match self.entries().into_iter().find(|entry| !allowed.contains(&entry.name.as_str())) {
            Some(entry) => Err(entry.unknown("key", allowed)),
            None => Ok(()),
        }
    }
}

/// One key and its value.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    source: Source<'a>,
    /// The key.
    pub name: String,
    /// The key with its tables, such as `rollback.watch-minutes`.
    pub path: String,
    key_span: Range<usize>,
    value: Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    /// Where the key stands.
    pub fn place(&self) -> Place {
        self.source.place(self.key_span.clone())
    }

    /// Says that the key or value is wrong, at its line.
    pub fn wrong(&self, what: impl Into<String>) -> SettingsError {
        self.source.wrong(self.key_span.clone(), what)
    }

    /// Says that the key is not one of those allowed.
    pub fn unknown(&self, noun: &str, allowed: &[&str]) -> SettingsError {
        self.wrong(not_one_of(noun, &self.name, allowed))
    }

    fn mistyped(&self, expected: &str) -> SettingsError {
        self.wrong(format!("{} must be {expected}, not {}", self.path, type_name(self.value.get_ref())))
    }

    /// Reads a string.
    pub fn string(&self) -> Result<String, SettingsError> {
        self.value.get_ref().as_str().map(ToOwned::to_owned).ok_or_else(|| self.mistyped("a string"))
    }

    /// Reads a string or returns `None` for any other type.
    pub fn as_string(&self) -> Option<String> {
        self.value.get_ref().as_str().map(ToOwned::to_owned)
    }

    /// Reads one of a few words.
    pub fn word(&self, allowed: &[&str]) -> Result<String, SettingsError> {
        let word = self.string()?;
        if allowed.contains(&word.as_str()) {
            Ok(word)
        } else {
            Err(self.wrong(format!("{}: {}", self.path, not_one_of("value", &word, allowed))))
        }
    }

    /// Reads `true` or `false`.
    pub fn flag(&self) -> Result<bool, SettingsError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.mistyped("true or false"))
    }

    /// Reads a whole number between two bounds.
    pub fn number(&self, least: u64, most: u64) -> Result<u64, SettingsError> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return Err(self.mistyped("a whole number"));
        };
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.wrong(format!("{} must be {least} to {most}, not {number}", self.path)))
    }

    /// Reads a list of strings; a lone string is a list of one.
    pub fn strings(&self) -> Result<Vec<String>, SettingsError> {
        if let Some(one) = self.as_string() {
            return Ok(vec![one]);
        }
        let DeValue::Array(items) = self.value.get_ref() else {
            return Err(self.mistyped("a list of strings"));
        };
        items
            .iter()
            .map(|item| {
                item.get_ref().as_str().map(ToOwned::to_owned).ok_or_else(|| {
                    self.source.wrong(
                        item.span(),
                        format!("{} must hold strings, not {}", self.path, type_name(item.get_ref())),
                    )
                })
            })
            .collect()
    }

    /// Reads a table.
    pub fn section(&self) -> Result<Section<'a>, SettingsError> {
        let DeValue::Table(table) = self.value.get_ref() else {
            return Err(self.mistyped("a table"));
        };
        Ok(Section {
            source: self.source.clone(),
            path: self.path.clone(),
            span: self.key_span.clone(),
            table: table.clone(),
        })
    }

    /// Returns what a list holds, each with its own line; anything else is a list of itself.
    pub fn items(&self) -> Vec<Self> {
        let DeValue::Array(items) = self.value.get_ref() else { return vec![self.clone()] };
        let entry = |(at, item): (usize, &Spanned<DeValue<'a>>)| Self {
            path: format!("{}[{at}]", self.path),
            key_span: item.span(),
            value: item.clone(),
            ..self.clone()
        };
        items.iter().enumerate().map(entry).collect()
    }

    /// Reads a list of tables, such as `[[panels]]`.
    pub fn sections(&self) -> Result<Vec<Section<'a>>, SettingsError> {
        let DeValue::Array(items) = self.value.get_ref() else {
            return Err(self.mistyped("a list of tables"));
        };
        let read = |(at, item): (usize, &Spanned<DeValue<'a>>)| match item.get_ref() {
            DeValue::Table(table) => Ok(Section {
                source: self.source.clone(),
                path: format!("{}[{at}]", self.path),
                span: item.span(),
                table: table.clone(),
            }),
            other => Err(self
                .source
                .wrong(item.span(), format!("{} must hold tables, not {}", self.path, type_name(other)))),
        };
        items.iter().enumerate().map(read).collect()
    }

    /// Reads a number, whole or not.
    pub fn amount(&self) -> Result<f64, SettingsError> {
        let number = match self.value.get_ref() {
            DeValue::Integer(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| self.mistyped("a number"))
    }

    /// Tells whether the value is a table.
    pub fn is_section(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }
}

/// Returns `unknown theme "darc"; did you mean dark? (allowed: ...)`.
pub fn not_one_of(noun: &str, word: &str, allowed: &[&str]) -> String {
    let near = did_you_mean(word, allowed.iter().copied());
    format!("unknown {noun} {word:?}{near} (allowed: {})", allowed.join(", "))
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T, SettingsError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn every_refusal_names_file_line_and_what_is_allowed() {
        let text = "mouse = \"yes\"\n\n[logs]\nlinse = 3\nlines = 0\n";
        let top = Source::new("config.toml", text).parse().unwrap();
        assert_eq!(
            refused(top.get("mouse").unwrap().flag()),
            "config.toml:1: mouse must be true or false, not a string"
        );
        let logs = top.get("logs").unwrap().section().unwrap();
        assert_eq!(
            refused(logs.allow(&["lines"])),
            "config.toml:4: unknown key \"linse\"; did you mean lines? (allowed: lines)"
        );
        assert_eq!(
            refused(logs.get("lines").unwrap().number(1, 10)),
            "config.toml:5: logs.lines must be 1 to 10, not 0"
        );
    }

    #[test]
    fn a_file_that_is_not_toml_is_refused_at_its_line() {
        let said = refused(Source::new("config.toml", "a = 1\nb = = 2\n").parse());
        assert!(said.starts_with("config.toml:2: "), "{said}");
    }

    #[test]
    fn entries_come_in_the_order_of_the_file() {
        let top = Source::new("t", "z = 1\na = 2\nm = 3\n").parse().unwrap();
        let names: Vec<_> = top.entries().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["z", "a", "m"]);
    }
}
