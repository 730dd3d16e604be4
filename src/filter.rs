//! The filter language of tables, the palette and `opsdeck get --filter`.
//!
//! ```text
//! checkout            rows with a word that contains it, without regard to case
//! "two words"         the same, with a space
//! /re[0-9]+/          rows with a word that the regular expression finds
//! ~chkt               rows whose name has these letters in this order, more or less
//! restarts>3          a column against a value: = != < <= > >= =~ (regular expression)
//! age<1h  cpu>=500m  ready<1  status=Running  health>=warning
//! !term               rows for which the term does not hold
//! -l app=checkout     a label selector, for the server
//! -f spec.nodeName=x  a field selector, for the server
//! ```
//!
//! Terms stand side by side and all must hold. Comparisons are made with typed cells, never with their text.
//! Selectors are taken out and not evaluated here: the server does.

use std::fmt;

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use regex::{Regex, RegexBuilder};

use crate::human;
use crate::kinds::{Cell, Column, Health, Kind, Lens, Object, Shape, natural};
use crate::nearest::did_you_mean;

/// How large a regular expression may become, in bytes: the default of the crate would allow ten times that.
const REGEX_LIMIT: usize = 1 << 20;

/// The field that every kind has beside its columns.
const HEALTH: &str = "health";

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("filter, character {}: {what}", at + 1)]
pub struct FilterError {
    /// The character at which it begins, from 0.
    pub at: usize,
    /// What is wrong, and what is allowed.
    pub what: String,
}

/// A filter that was understood.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    terms: Vec<Term>,
    /// The label selector for the server; empty for none.
    pub labels: String,
    /// The field selector for the server; empty for none.
    pub fields: String,
}

#[derive(Debug, Clone)]
struct Term {
    inverse: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    /// In lower case.
    Words(String),
    Regex(Regex),
    Fuzzy(Pattern),
    Column {
        column: usize,
        operator: Operator,
        value: Value,
    },
    Health {
        operator: Operator,
        value: Health,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Finds,
}

impl Operator {
    /// Longer spellings first.
    const SPELLINGS: [(&str, Self); 8] = [
        ("=~", Self::Finds),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::More),
    ];

    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal | Self::Finds => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

#[derive(Debug, Clone)]
enum Value {
    /// Nothing: the cell must be empty.
    Nothing,
    Number(f64),
    /// A share of the whole, such as `80%` of a bar.
    Share(f64),
    Words(String),
    Regex(Regex),
}

/// What a match needs beside the filter: kept and used again, because it is large.
pub struct Scratch {
    matcher: Matcher,
    letters: Vec<char>,
    name: String,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { matcher: Matcher::new(Config::DEFAULT), letters: Vec::new(), name: String::new() }
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}

impl Filter {
    /// Reads a filter against the columns that comparisons may name.
    pub fn parse(text: &str, columns: &[Column]) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        let mut reader = Reader { text, at: 0 };
        while let Some(token) = reader.next()? {
            filter.take(&token, &mut reader, columns)?;
        }
        Ok(filter)
    }

    /// Tells whether every row passes.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Tells whether a row may pass or fail because of the time alone, or because another object changed.
    pub fn is_restless(&self, kind: &Kind) -> bool {
        self.terms.iter().any(|term| match &term.test {
            // Words and verdicts may hang on other objects and on how long something has lasted.
            Test::Words(_) | Test::Regex(_) | Test::Health { .. } => true,
            Test::Fuzzy(_) => false,
            Test::Column { column, .. } => kind.columns.get(*column).is_some_and(|column| {
                column.joined || matches!(column.shape, Shape::Age | Shape::Status | Shape::Text)
            }),
        })
    }

    /// Tells for sure that it lets no row pass that another one keeps out: it was typed on.
    pub fn narrows(&self, other: &Self) -> bool {
        self.terms.len() >= other.terms.len()
            && self.terms.iter().zip(&other.terms).all(|(new, old)| match (&new.test, &old.test) {
                (Test::Words(new_words), Test::Words(old_words)) => {
                    new.inverse == old.inverse
                        && if new.inverse {
                            new_words == old_words
                        } else {
                            new_words.contains(old_words.as_str())
                        }
                }
                _ => false,
            })
    }

    /// Tells whether a row passes.
    pub fn matches(&self, kind: &Kind, object: &Object, lens: &Lens<'_>, scratch: &mut Scratch) -> bool {
        self.terms.iter().all(|term| term.test.holds(kind, object, lens, scratch) != term.inverse)
    }

    /// Tells whether a name passes, where there are no columns, such as that of a tenant.
    pub fn matches_name(&self, name: &str, scratch: &mut Scratch) -> bool {
        self.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::Words(words) => contains(name, words),
                Test::Regex(regex) => regex.is_match(name),
                Test::Fuzzy(pattern) => scratch.finds(pattern, name),
                Test::Column { .. } | Test::Health { .. } => false,
            };
            holds != term.inverse
        })
    }

    fn take(
        &mut self,
        token: &Token<'_>,
        reader: &mut Reader<'_>,
        columns: &[Column],
    ) -> Result<(), FilterError> {
        if !token.quoted && matches!(token.text, "-l" | "--selector" | "-f" | "--field" | "--field-selector")
        {
            let value = reader.next()?.filter(|value| !value.text.is_empty()).ok_or_else(|| {
                token.wrong(format!("{} needs a selector, such as app=checkout", token.text))
            })?;
            let selector =
                if matches!(token.text, "-l" | "--selector") { &mut self.labels } else { &mut self.fields };
            if !selector.is_empty() {
                selector.push(',');
            }
            selector.push_str(value.text);
            return Ok(());
        }
        let (inverse, term) = match token.text.strip_prefix('!') {
            Some(rest) if !token.quoted => (true, Token { text: rest, at: token.at + 1, quoted: false }),
            _ => (false, *token),
        };
        if term.text.is_empty() {
            return if term.quoted {
                Ok(())
            } else {
                Err(token.wrong("! needs a term to turn around".to_owned()))
            };
        }
        self.terms.push(Term { inverse, test: term.test(columns)? });
        Ok(())
    }
}

impl Test {
    fn holds(&self, kind: &Kind, object: &Object, lens: &Lens<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Self::Words(words) => any_word(kind, object, lens, |text| contains(text, words)),
            Self::Regex(regex) => any_word(kind, object, lens, |text| regex.is_match(text)),
            Self::Fuzzy(pattern) => {
                let mut name = std::mem::take(&mut scratch.name);
                name.clear();
                if let Some(namespace) = &object.meta.namespace {
                    name.push_str(namespace);
                    name.push('/');
                }
                name.push_str(&object.meta.name);
                let holds = scratch.finds(pattern, &name);
                scratch.name = name;
                holds
            }
            Self::Column { column, operator, value } => {
                compare(&kind.cell(object, *column, lens), *operator, value, lens)
            }
            Self::Health { operator, value } => operator.holds(kind.health(object, lens).0.cmp(value)),
        }
    }
}

impl Scratch {
    fn finds(&mut self, pattern: &Pattern, text: &str) -> bool {
        let letters = Utf32Str::new(text, &mut self.letters);
        pattern.score(letters, &mut self.matcher).is_some()
    }
}

/// Looks through the words of a row, the name first, as it is what is mostly meant.
fn any_word(kind: &Kind, object: &Object, lens: &Lens<'_>, mut test: impl FnMut(&str) -> bool) -> bool {
    test(&object.meta.name)
        || object.meta.namespace.as_deref().is_some_and(&mut test)
        || kind.columns.iter().enumerate().any(|(at, column)| {
            matches!(column.shape, Shape::Text | Shape::Status | Shape::Link)
                && !matches!(&*column.id, "name" | "namespace")
                && kind.cell(object, at, lens).words().is_some_and(&mut test)
        })
}

/// Tells whether a text contains another, which is in lower case, without regard to case.
fn contains(text: &str, lower: &str) -> bool {
    if !lower.is_ascii() {
        return text.to_lowercase().contains(lower);
    }
    let (text, lower) = (text.as_bytes(), lower.as_bytes());
    let Some(first) = lower.first() else { return true };
    text.windows(lower.len())
        .any(|window| window[0].to_ascii_lowercase() == *first && window.eq_ignore_ascii_case(lower))
}

fn compare(cell: &Cell, operator: Operator, value: &Value, lens: &Lens<'_>) -> bool {
    if let Value::Nothing = value {
        let empty = matches!(cell, Cell::Empty | Cell::Unknown) || cell.words().is_some_and(str::is_empty);
        return empty == (operator == Operator::Equal);
    }
    if let Some(words) = cell.words() {
        return match value {
            Value::Regex(regex) => regex.is_match(words),
            Value::Words(wanted) if matches!(operator, Operator::Equal | Operator::Unequal) => {
                globbed(words, wanted) == (operator == Operator::Equal)
            }
            Value::Words(wanted) => operator.holds(natural(words, wanted)),
            _ => false,
        };
    }
    let number = match (cell, value) {
        (Cell::Count(number), _) => *number as f64,
        (Cell::Percent(number) | Cell::Quantity { value: number, .. }, _) => *number,
        (Cell::Ratio { have, want }, _) => share(*have as f64, *want as f64),
        (Cell::Bar { used, total, .. }, Value::Share(_)) => share(*used, *total),
        (Cell::Bar { used, .. }, _) => *used,
        (Cell::Age(then), _) => (lens.now.as_millisecond() - then.as_millisecond()) as f64 / 1000.0,
        // What is not known is not equal to anything.
        _ => return operator == Operator::Unequal,
    };
    match value {
        Value::Number(wanted) | Value::Share(wanted) => {
            // Shares such as 0.96 are not exact in binary.
            if (number - wanted).abs() < 1e-9 {
                operator.holds(std::cmp::Ordering::Equal)
            } else {
                operator.holds(number.total_cmp(wanted))
            }
        }
        _ => false,
    }
}

/// Nothing of nothing is all of it.
fn share(have: f64, want: f64) -> f64 {
    if want == 0.0 { 1.0 } else { have / want }
}

/// Compares without regard to case; a `*` stands for any text.
fn globbed(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.to_lowercase(), pattern.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.find(middle) {
                Some(at) => rest = &rest[at + middle.len()..],
                None => return false,
            }
        }
    }
    match last {
        Some(last) => rest.len() >= last.len() && rest.ends_with(last),
        None => rest.is_empty(),
    }
}

/// One token of a filter.
#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    /// The character at which it begins.
    at: usize,
    quoted: bool,
}

impl Token<'_> {
    fn wrong(&self, what: String) -> FilterError {
        FilterError { at: self.at, what }
    }

    fn test(&self, columns: &[Column]) -> Result<Test, FilterError> {
        let words = || Test::Words(self.text.to_lowercase());
        if self.quoted {
            return Ok(words());
        }
        if let Some(pattern) = self.text.strip_prefix('/') {
            // Without its end it is being typed: it is taken as it is so far.
            let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
            return Ok(Test::Regex(self.regex(pattern)?));
        }
        if let Some(letters) = self.text.strip_prefix('~') {
            return Ok(Test::Fuzzy(Pattern::new(
                letters,
                CaseMatching::Smart,
                Normalization::Smart,
                AtomKind::Fuzzy,
            )));
        }
        match self.comparison() {
            Some((name, operator, value)) => self.compare(name, operator, value, columns),
            None => Ok(words()),
        }
    }

    fn regex(&self, pattern: &str) -> Result<Regex, FilterError> {
        RegexBuilder::new(pattern).case_insensitive(true).size_limit(REGEX_LIMIT).build().map_err(|error| {
            // The last line of the message says what; the lines before draw an arrow.
            let said = error.to_string();
            let what = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            self.wrong(format!("not a regular expression: {what}"))
        })
    }

    /// Splits `name<value` at its first operator; a name has letters, digits, `-`, `_` and `.` only.
    fn comparison(&self) -> Option<(&str, Operator, &str)> {
        let end = self.text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))?;
        let (name, rest) = self.text.split_at(end);
        if name.is_empty() {
            return None;
        }
        Operator::SPELLINGS
            .iter()
            .find_map(|(spelling, operator)| Some((name, *operator, rest.strip_prefix(spelling)?)))
    }

    fn compare(
        &self,
        name: &str,
        operator: Operator,
        value: &str,
        columns: &[Column],
    ) -> Result<Test, FilterError> {
        let value = value.trim_matches('"');
        if name.eq_ignore_ascii_case(HEALTH) {
            return Ok(Test::Health { operator, value: self.health(value)? });
        }
        let Some(column) = columns.iter().position(|column| column.id.eq_ignore_ascii_case(name)) else {
            let names: Vec<&str> = columns.iter().map(|column| &*column.id).chain([HEALTH]).collect();
            let near = did_you_mean(name, names.iter().copied());
            return Err(self.wrong(format!(
                "no field {name:?}{near} (fields: {}; for a label write -l {name}=...)",
                names.join(", ")
            )));
        };
        let shape = columns.get(column).map_or(Shape::Text, |column| column.shape);
        Ok(Test::Column { column, operator, value: self.value(name, shape, operator, value)? })
    }

    fn value(&self, name: &str, shape: Shape, operator: Operator, value: &str) -> Result<Value, FilterError> {
        if value.is_empty() && matches!(operator, Operator::Equal | Operator::Unequal) {
            return Ok(Value::Nothing);
        }
        let is_text = matches!(shape, Shape::Text | Shape::Status | Shape::Link);
        if operator == Operator::Finds {
            return if is_text {
                Ok(Value::Regex(self.regex(value)?))
            } else {
                Err(self.wrong(format!("{name} is not a text: compare it with = != < <= > >=")))
            };
        }
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let (read, example) = match shape {
            Shape::Text | Shape::Status | Shape::Link => (Some(Value::Words(value.to_owned())), ""),
            Shape::Count => (number(value).map(Value::Number), "a number such as 3"),
            Shape::Percent => {
                (number(value.trim_end_matches('%')).map(Value::Number), "a percentage such as 80")
            }
            Shape::Ratio => (
                match value.split_once('/') {
                    Some((have, want)) => {
                        number(have).zip(number(want)).map(|(have, want)| share(have, want))
                    }
                    None => match value.strip_suffix('%') {
                        Some(percent) => number(percent).map(|percent| percent / 100.0),
                        None => number(value),
                    },
                }
                .map(Value::Number),
                "a share such as 1.0, 50% or 2/3",
            ),
            Shape::Quantity => {
                (human::parse_quantity(value).map(Value::Number), "a quantity such as 500m or 2Gi")
            }
            Shape::Bar => (
                match value.strip_suffix('%') {
                    Some(percent) => number(percent).map(|percent| Value::Share(percent / 100.0)),
                    None => human::parse_quantity(value).map(Value::Number),
                },
                "a share such as 80% or a quantity such as 2Gi",
            ),
            Shape::Age => {
                (human::parse_span(value).map(Value::Number), "a length of time such as 1h30m or 2d")
            }
        };
        read.ok_or_else(|| self.wrong(format!("{name} is compared with {example}, not {value:?}")))
    }

    fn health(&self, value: &str) -> Result<Health, FilterError> {
        const WORDS: [(&str, Health); 6] = [
            ("healthy", Health::Healthy),
            ("idle", Health::Idle),
            ("progressing", Health::Progressing),
            ("unknown", Health::Unknown),
            ("warning", Health::Warning),
            ("degraded", Health::Degraded),
        ];
        WORDS
            .into_iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(value))
            .map(|(_, health)| health)
            .ok_or_else(|| {
                let names = WORDS.map(|(word, _)| word);
                let near = did_you_mean(value, names);
                self.wrong(format!("no health {value:?}{near} (from best to worst: {})", names.join(", ")))
            })
    }
}

/// Cuts a filter into tokens.
struct Reader<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<Token<'a>>, FilterError> {
        let rest = &self.text[self.at..];
        let rest = rest.trim_start();
        self.at = self.text.len() - rest.len();
        let begin = self.text[..self.at].chars().count();
        if rest.is_empty() {
            return Ok(None);
        }
        if let Some(inner) = rest.strip_prefix('"') {
            let Some(end) = inner.find('"') else {
                return Err(FilterError { at: begin, what: "the quotation mark is not closed".to_owned() });
            };
            self.at += end + 2;
            return Ok(Some(Token { text: &inner[..end], at: begin, quoted: true }));
        }
        let body = rest.strip_prefix('!').unwrap_or(rest);
        let length = if body.starts_with('/') { regex_length(body) } else { word_length(body) };
        let length = rest.len() - body.len() + length;
        self.at += length;
        Ok(Some(Token { text: &rest[..length], at: begin, quoted: false }))
    }
}

/// A regular expression goes to the slash that ends it, spaces and all; without one, to the end.
fn regex_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '/' if !escaped => {
                let after = at + 1;
                if text[after..].chars().next().is_none_or(char::is_whitespace) {
                    return after;
                }
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// A word goes to the next space that is not in quotation marks, such as those of `why="no space"`.
fn word_length(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
