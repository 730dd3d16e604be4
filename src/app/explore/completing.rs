//! What can stand at the cursor of a query: the names of labels, and their values, as the server has them.

use super::{Explore, Purpose};
use crate::identity::Text;

/// How many completions are offered.
const OFFERED: usize = 8;

/// What may complete the line that is typed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Completion {
    /// What it may be, the best first.
    pub candidates: Vec<Text>,
    /// The one that stands in the line, once one was put there.
    pub chosen: Option<usize>,
    /// Why there are none, where the server was asked and did not answer.
    pub failure: Option<String>,
    /// Names of labels, as the server has them.
    pub labels: Vec<Text>,
    /// Values of the label that was last wanted.
    pub values: Option<(Text, Vec<Text>)>,
}

impl Explore {
    /// Works out what may complete the query that is typed, and which label's values that takes.
    pub fn suggest(&mut self) {
        let completion = &mut self.completion;
        completion.candidates.clear();
        completion.chosen = None;
        let Some((Purpose::Query, line)) = &self.editing else { return };
        let (names, begun) = match place(line.before_cursor()) {
            Some(Spot::Name(begun)) => (completion.labels.as_slice(), begun),
            Some(Spot::Value { label, begun }) => {
                self.wish.label = Some(Text::from(label));
                match &completion.values {
                    Some((known, values)) if **known == *label => (values.as_slice(), begun),
                    _ => (&[][..], begun),
                }
            }
            None => return,
        };
        let fits = |one: &&Text| one.contains(begun) && ***one != *begun;
        let mut fitting: Vec<Text> = names.iter().filter(fits).cloned().collect();
        // What begins with what is typed stands before what only has it.
        fitting.sort_by_key(|one| !one.starts_with(begun));
        fitting.truncate(OFFERED);
        self.completion.candidates = fitting;
    }

    /// Puts the first completion in, or in the place of the one that was put in, the next.
    pub fn complete(&mut self) {
        let count = self.completion.candidates.len();
        let Some((Purpose::Query, line)) = &mut self.editing else { return };
        if count == 0 {
            return;
        }
        let next = self.completion.chosen.map_or(0, |chosen| (chosen + 1) % count);
        let candidate = self.completion.candidates[next].clone();
        let (begun, value) = match place(line.before_cursor()) {
            Some(Spot::Name(begun)) => (begun.to_owned(), false),
            Some(Spot::Value { begun, .. }) => (begun.to_owned(), true),
            None => return,
        };
        let before = line.before_cursor().len() - begun.len();
        let (head, tail) = (line.text()[..before].to_owned(), line.text()[before + begun.len()..].to_owned());
        let put = if value { escaped(&candidate) } else { candidate.to_string() };
        line.set(&format!("{head}{put}{tail}"));
        line.move_to(before + put.len());
        if count == 1 {
            self.suggest();
        } else {
            self.completion.chosen = Some(next);
        }
    }
}

/// Writes a value as it stands between double quotes.
fn escaped(value: &str) -> String {
    let quoted = crate::sources::logql::quote(value);
    quoted[1..quoted.len() - 1].to_owned()
}

/// Where in a selector one types.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spot<'a> {
    /// The name of a label.
    Name(&'a str),
    /// The value of a label.
    Value { label: &'a str, begun: &'a str },
}

/// Finds out what of a selector is being typed at the end of a text.
pub(super) fn place(text: &str) -> Option<Spot<'_>> {
    let mut quoted: Option<(u8, usize)> = None;
    let mut start = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match (quoted, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some((b'"', _)), b'\\') => escaped = true,
            (Some((mark, _)), byte) if mark == byte => quoted = None,
            (None, b'"' | b'`') => quoted = Some((byte, at)),
            (None, b'{' | b',') if byte == b'{' || start.is_some() => start = Some(at + 1),
            (None, b'}') => start = None,
            _ => {}
        }
    }
    let start = start?;
    if let Some((_, at)) = quoted {
        let label = text.get(start..at)?.trim().trim_end_matches(['=', '~', '!', ' ']);
        // In an expression each of its alternatives is completed.
        let typed = text.get(at + 1..)?;
        let alternative = text.get(start..at)?.contains('~');
        let begun = if alternative { typed.rsplit('|').next().unwrap_or(typed) } else { typed };
        Some(Spot::Value { label, begun })
    } else {
        let begun = text.get(start..)?.trim_start();
        begun.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(Spot::Name(begun))
    }
}
