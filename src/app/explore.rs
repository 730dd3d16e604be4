//! The log screen over Loki: a query, a window of time, the lines that are held of it, and what hides or marks some.
//!
//! Older lines are asked for when one scrolls up; newer ones come as they are written. Everything that is not held
//! is counted: dropped by the server, dropped here, not understood, left out.

pub mod commands;

use regex::Regex;

use crate::app::detail::Page;
use crate::app::line::Line;
use crate::app::typing;
use crate::identity::{Context, ObjectRef, Text};
use crate::signals::{Series, Window};
use crate::sources::SourceError;
use crate::sources::loki::{Entry, Page as Batch, Stats};
use crate::store::lines::{Held, Lines};

/// How many bytes of lines are held at most, whatever their number: 256 MiB.
pub const BYTES: usize = 256 * 1024 * 1024;

/// How many failures are shown.
const WARNINGS: usize = 4;

/// Which lines are wanted, as the runner knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LinesOf {
    /// The cluster that Loki belongs to.
    pub context: Context,
    /// The query in `LogQL`.
    pub query: Text,
    /// From when to when.
    pub window: Window,
    /// Counts the starts, so that the same question can be asked anew.
    pub turn: u64,
    /// Whether the person has said yes to a large query.
    pub allowed: bool,
}

/// What is wanted of lines that are being read already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Wish {
    /// How many pages of older lines.
    pub pages: u32,
    /// The label whose values are wanted.
    pub label: Option<Text>,
}

/// What is heard of lines.
#[derive(Debug)]
pub enum LinesNews {
    /// How much the query reads.
    Size(Stats),
    /// It would read more than it may without a question.
    TooLarge(Stats),
    /// The number of lines by level over time.
    Levels(Vec<Series>),
    /// A page of older lines.
    Older(Batch),
    /// Lines that were written since.
    Newer {
        /// The lines.
        entries: Vec<Entry>,
        /// How many the server dropped before them.
        dropped: u64,
        /// How many could not be understood.
        garbled: u64,
    },
    /// The tail was cut and goes on.
    Seam {
        /// The time of the last line before it, in nanoseconds.
        after: i64,
        /// Why.
        why: String,
    },
    /// The tail is open.
    Live,
    /// The names of labels.
    Labels(Vec<Text>),
    /// The values of a label.
    Values(Text, Vec<Text>),
    /// Something could not be had.
    Failed(SourceError),
}

/// How a query stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its size is asked.
    Asked,
    /// It is larger than it may be without a question.
    TooLarge,
    /// Lines come.
    Reading,
}

/// Whether there are older lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// There may be.
    More,
    /// They are asked for.
    Asked,
    /// The window has no more.
    Done,
    /// No more are held.
    Full,
}

/// What is being typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The query.
    Query,
    /// An expression whose lines are hidden.
    Hide,
    /// An expression whose lines alone are shown.
    Only,
    /// An expression that is highlighted.
    Highlight,
    /// The fields that structured lines are folded to.
    Fields,
}

/// An expression that hides lines.
#[derive(Debug, Clone)]
pub struct Sieve {
    /// Whether lines with it are hidden, or those without it.
    pub hide: bool,
    /// As it was typed.
    pub text: String,
    expression: Regex,
}

/// The state of the screen.
#[derive(Debug)]
pub struct Explore {
    /// Whose lines these are, in words.
    pub title: String,
    /// The object whose pod logs take the place where there is no Loki.
    pub object: Option<ObjectRef>,
    /// Which lines.
    pub of: LinesOf,
    /// What is wanted of them besides.
    pub wish: Wish,
    /// How the query stands.
    pub phase: Phase,
    /// How much it reads.
    pub stats: Option<Stats>,
    /// The lines.
    pub lines: Lines,
    /// Whether there are older ones.
    pub older: Older,
    /// The number of lines by level over time.
    pub levels: Vec<Series>,
    /// Lines that were dropped: by the server, and here for want of room.
    pub dropped: u64,
    /// Entries that could not be understood.
    pub garbled: u64,
    /// Times with more lines than the server gives to anybody.
    pub skipped: u64,
    /// What the server warned of.
    pub warnings: Vec<Text>,
    /// Why something could not be had.
    pub failure: Option<SourceError>,
    /// Whether the tail is open.
    pub live: bool,
    /// Whether the newest line is kept in sight.
    pub follow: bool,
    /// Whether the time stands before each line.
    pub timestamps: bool,
    /// Whether structured lines are folded.
    pub fold: bool,
    /// The fields that they are folded to.
    pub fields: Vec<String>,
    /// What hides lines.
    pub sieves: Vec<Sieve>,
    /// What is highlighted.
    pub highlight: Option<(String, Regex)>,
    /// The numbers of the lines that the sieves let through; `None` for all.
    visible: Option<Vec<i64>>,
    /// The numbers of marked lines.
    pub marks: std::collections::BTreeSet<i64>,
    /// The line that is shown whole.
    pub opened: bool,
    /// What is being typed.
    pub editing: Option<(Purpose, Line)>,
    /// What a completion may be, for the line that is typed.
    pub candidates: Vec<Text>,
    /// Names of labels, as the server has them.
    pub labels: Vec<Text>,
    /// Values of the label that was last wanted.
    pub values: Option<(Text, Vec<Text>)>,
    /// Window and search; its cursor is the selected line.
    pub page: Page,
}

impl Explore {
    /// Opens a query over a window.
    pub fn new(context: Context, title: &str, query: &str, window: Window) -> Self {
        let query = Text::from(query.trim());
        Self {
            title: title.to_owned(),
            object: None,
            of: LinesOf { context, query, window, turn: 0, allowed: false },
            wish: Wish { pages: 1, label: None },
            phase: Phase::Asked,
            stats: None,
            lines: Lines::default(),
            older: Older::Asked,
            levels: Vec::new(),
            dropped: 0,
            garbled: 0,
            skipped: 0,
            warnings: Vec::new(),
            failure: None,
            live: false,
            follow: true,
            timestamps: true,
            fold: true,
            fields: Vec::new(),
            sieves: Vec::new(),
            highlight: None,
            visible: None,
            marks: std::collections::BTreeSet::new(),
            opened: false,
            editing: None,
            candidates: Vec::new(),
            labels: Vec::new(),
            values: None,
            page: Page::default(),
        }
    }

    /// Asks anew: with another query, window or permission.
    pub fn restart(&mut self) {
        let LinesOf { context, query, window, turn, allowed } = self.of.clone();
        let mut new = Self::new(context, &self.title, &query, window);
        new.of.turn = turn + 1;
        new.of.allowed = allowed;
        new.object = self.object.take();
        new.timestamps = self.timestamps;
        new.fold = self.fold;
        new.fields = std::mem::take(&mut self.fields);
        new.sieves = std::mem::take(&mut self.sieves);
        new.highlight = self.highlight.take();
        new.labels = std::mem::take(&mut self.labels);
        new.page.wrap = self.page.wrap;
        new.page.search.text = std::mem::take(&mut self.page.search.text);
        *self = new;
        self.sift();
    }

    /// Returns how many lines are shown.
    pub fn len(&self) -> usize {
        self.visible.as_ref().map_or(self.lines.len(), Vec::len)
    }

    /// Tells whether none is shown.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of a shown line, which stays when others come or go.
    pub fn number(&self, row: usize) -> Option<i64> {
        match &self.visible {
            Some(visible) => visible.get(row).copied(),
            None => (row < self.lines.len()).then(|| self.lines.first() + row as i64),
        }
    }

    /// Returns a shown line.
    pub fn line(&self, row: usize) -> Option<Held<'_>> {
        let index = self.number(row)? - self.lines.first();
        self.lines.get(usize::try_from(index).ok()?)
    }

    /// Returns the selected line.
    pub fn selected(&self) -> Option<Held<'_>> {
        self.line(self.page.view.cursor)
    }

    /// Returns how many lines are hidden.
    pub fn hidden(&self) -> usize {
        self.lines.len() - self.len()
    }

    /// Asks for older lines where one has come near the oldest.
    pub fn look_back(&mut self) {
        if self.older == Older::More && self.page.view.top == 0 && self.phase == Phase::Reading {
            self.older = Older::Asked;
            self.wish.pages += 1;
        }
    }

    /// Takes news; no more than so many lines are held.
    pub fn hear(&mut self, news: LinesNews, bound: usize) {
        match news {
            LinesNews::Size(stats) => {
                self.begin();
                self.stats = Some(stats);
                self.phase = Phase::Reading;
            }
            LinesNews::TooLarge(stats) => {
                self.stats = Some(stats);
                self.phase = Phase::TooLarge;
            }
            LinesNews::Levels(levels) => self.levels = levels,
            LinesNews::Older(batch) => self.take_older(batch, bound),
            LinesNews::Newer { entries, dropped, garbled } => {
                self.failure = None;
                self.dropped += dropped;
                self.garbled += garbled;
                let from = self.lines.len();
                for entry in entries {
                    self.lines.push(entry);
                }
                self.grown(from, bound);
            }
            LinesNews::Seam { after, why } => {
                self.live = false;
                let from = self.lines.len();
                self.lines.seam(after, &format!("the tail was cut here and went on: {why}"));
                self.grown(from, bound);
            }
            LinesNews::Live => {
                self.live = true;
                self.failure = None;
            }
            LinesNews::Labels(labels) => {
                self.labels = labels;
                self.suggest();
            }
            LinesNews::Values(label, values) => {
                self.values = Some((label, values));
                self.suggest();
            }
            LinesNews::Failed(error) => {
                self.phase = Phase::Reading;
                self.live = false;
                if self.older == Older::Asked {
                    self.older = Older::More;
                }
                self.failure = Some(error);
            }
        }
    }

    /// Begins to take lines: a reading that begins again, after one was in another view, brings all of them again.
    fn begin(&mut self) {
        self.lines = Lines::default();
        self.older = Older::Asked;
        (self.dropped, self.garbled, self.skipped) = (0, 0, 0);
        self.failure = None;
        self.marks.clear();
        self.follow = true;
        self.sift();
    }

    fn take_older(&mut self, batch: Batch, bound: usize) {
        self.phase = Phase::Reading;
        self.failure = None;
        self.garbled += batch.garbled;
        self.skipped += u64::from(batch.skipped.is_some());
        for warning in batch.warnings {
            if !self.warnings.contains(&warning) && self.warnings.len() < WARNINGS {
                self.warnings.push(warning);
            }
        }
        let before = self.len();
        self.lines.put_before(batch.entries);
        self.older = if batch.done {
            Older::Done
        } else if self.lines.len() >= bound || self.lines.bytes() >= BYTES {
            Older::Full
        } else {
            Older::More
        };
        self.sift();
        // What one looks at stays under one's eyes.
        let more = self.len() - before;
        self.page.view.top += more;
        self.page.view.cursor += more;
    }

    /// Takes in what was added at the new end.
    fn grown(&mut self, from: usize, bound: usize) {
        let gone = self.lines.trim_old(bound, BYTES);
        if gone > 0 {
            self.dropped += gone as u64;
            // What was dropped is not read again: the lines before it would not join on.
            self.older = Older::Full;
            let rows = self.len();
            self.sift();
            let fewer = rows.saturating_sub(self.len()).max(if self.visible.is_none() { gone } else { 0 });
            self.page.view.top = self.page.view.top.saturating_sub(fewer);
            self.page.view.cursor = self.page.view.cursor.saturating_sub(fewer);
            return;
        }
        if self.visible.is_some() {
            let first = self.lines.first();
            let new: Vec<i64> =
                (from..self.lines.len()).filter(|at| self.passes(*at)).map(|at| first + at as i64).collect();
            if let Some(visible) = &mut self.visible {
                visible.extend(new);
            }
            self.find();
        } else if let Some(expression) = typing::expression(&self.page.search.text) {
            let new = self.lines.find(&expression, from);
            self.page.search.matches.extend(new);
        }
    }

    fn passes(&self, index: usize) -> bool {
        let Some(line) = self.lines.get(index) else { return false };
        self.sieves.iter().all(|sieve| sieve.expression.is_match(line.text) != sieve.hide)
    }

    /// Works out again which lines are shown, and what the search finds in them.
    pub fn sift(&mut self) {
        self.visible = if self.sieves.is_empty() {
            None
        } else {
            let first = self.lines.first();
            Some((0..self.lines.len()).filter(|at| self.passes(*at)).map(|at| first + at as i64).collect())
        };
        self.find();
    }

    /// Works out again what the search finds.
    pub fn find(&mut self) {
        let expression = typing::expression(&self.page.search.text);
        let found = expression.map(|expression| self.lines.find(&expression, 0)).unwrap_or_default();
        self.page.search.matches = match &self.visible {
            None => found,
            Some(visible) => {
                let first = self.lines.first();
                let row = |index: &usize| visible.binary_search(&(first + *index as i64)).ok();
                found.iter().filter_map(row).collect()
            }
        };
        let last = self.page.search.matches.len().saturating_sub(1);
        self.page.search.at = self.page.search.at.min(last);
    }

    /// Takes the line that was typed; the error is a sentence.
    pub fn take_line(&mut self) -> Result<(), String> {
        let Some((purpose, line)) = self.editing.take() else { return Ok(()) };
        let text = line.text().trim().to_owned();
        let wrong = || format!("{text:?} is not a regular expression that is understood");
        match purpose {
            Purpose::Query if text.is_empty() => {}
            Purpose::Query => {
                if *self.of.query != *text {
                    self.of.allowed = false;
                }
                self.of.query = Text::from(text.as_str());
                self.restart();
            }
            Purpose::Hide | Purpose::Only => {
                let hide = purpose == Purpose::Hide;
                if text.is_empty() {
                    self.sieves.retain(|sieve| sieve.hide != hide);
                } else {
                    let expression = expression(&text).ok_or_else(wrong)?;
                    self.sieves.push(Sieve { hide, text, expression });
                }
                self.sift();
            }
            Purpose::Highlight => {
                self.highlight = if text.is_empty() {
                    None
                } else {
                    let expression = expression(&text).ok_or_else(wrong)?;
                    Some((text, expression))
                };
            }
            Purpose::Fields => {
                self.fields =
                    text.split([',', ' ']).filter(|one| !one.is_empty()).map(str::to_owned).collect();
                self.fold = !self.fields.is_empty();
            }
        }
        Ok(())
    }

    /// Works out what may complete the query that is typed, and which label's values that takes.
    pub fn suggest(&mut self) {
        self.candidates.clear();
        let Some((Purpose::Query, line)) = &self.editing else { return };
        match place(line.before_cursor()) {
            Some(Spot::Name(begun)) => {
                let fits = self.labels.iter().filter(|name| name.starts_with(begun) && ***name != *begun);
                self.candidates = fits.take(20).cloned().collect();
            }
            Some(Spot::Value { label, begun }) => {
                let label = Text::from(label);
                if let Some((known, values)) = &self.values
                    && *known == label
                {
                    let fits = values.iter().filter(|value| value.starts_with(begun) && ***value != *begun);
                    self.candidates = fits.take(20).cloned().collect();
                }
                self.wish.label = Some(label);
            }
            None => {}
        }
    }

    /// Puts the first completion in.
    pub fn complete(&mut self) {
        let Some(first) = self.candidates.first().cloned() else { return };
        if let Some((Purpose::Query, line)) = &mut self.editing {
            let begun = match place(line.before_cursor()) {
                Some(Spot::Name(begun) | Spot::Value { begun, .. }) => begun.len(),
                None => return,
            };
            line.insert(&first[begun..]);
        }
        self.suggest();
    }
}

/// Reads an expression of a sieve: as a search, but always an expression.
fn expression(text: &str) -> Option<Regex> {
    let sensitive = text.chars().any(char::is_uppercase);
    regex::RegexBuilder::new(text).case_insensitive(!sensitive).multi_line(true).build().ok()
}

/// Where in a selector one types.
#[derive(Debug, PartialEq, Eq)]
enum Spot<'a> {
    /// The name of a label.
    Name(&'a str),
    /// The value of a label.
    Value { label: &'a str, begun: &'a str },
}

/// Finds out what of a selector is being typed at the end of a text.
fn place(text: &str) -> Option<Spot<'_>> {
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
        Some(Spot::Value { label, begun: text.get(at + 1..)? })
    } else {
        let begun = text.get(start..)?.trim_start();
        begun.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(Spot::Name(begun))
    }
}

#[cfg(test)]
mod tests;
