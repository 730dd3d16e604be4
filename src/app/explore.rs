//! The log screen: a query to Loki over a window of time, or the logs that the nodes keep; the lines that are held of
//! it, and what hides or marks some.
//!
//! Older lines are asked for when one scrolls up; newer ones come as they are written. Everything that is not held
//! is counted: dropped by the server, dropped here, not understood, left out. While another question waits for its
//! answer, and where it gets none, the lines of the last one stay, and are marked as such.

pub mod commands;
mod completing;
pub mod level;
pub mod names;
pub mod pods;
mod sieve;
pub mod volume;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::Regex;

pub use completing::Completion;
pub use sieve::Sieve;

use names::Names;
use pods::{Pods, Since};
use volume::Volume;

use crate::app::board::span;
use crate::app::detail::Page;
use crate::app::line::Line;
use crate::identity::{Context, ObjectRef, Text};
use crate::signals::{Labels, Window};
use crate::sources::SourceError;
use crate::sources::loki::{Entry, Page as Batch, Stats};
use crate::store::lines::{Held, Lines, Sort};

/// How many bytes of lines are held at most, whatever their number: 256 MiB.
pub const BYTES: usize = 256 * 1024 * 1024;

/// How many warnings of the server are kept.
const WARNINGS: usize = 4;

/// How many pages are read to find the line that was selected before.
const ANCHOR_PAGES: u32 = 20;

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
    /// The time in nanoseconds around which lines are wanted, instead of the newest of the window.
    pub around: Option<i64>,
}

/// What is wanted of lines that are being read already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Wish {
    /// How many pages of older lines.
    pub pages: u32,
    /// How many pages of newer lines, where they are not read as they are written.
    pub later: u32,
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
    Levels(Volume),
    /// That number could not be had.
    NoLevels(SourceError),
    /// A page of older lines.
    Older(Batch),
    /// A page of lines that come after those that are held.
    Later(Batch),
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
    /// What completes a query could not be had.
    NoNames(SourceError),
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
    /// The window of time.
    Window,
}

/// The state of the screen.
#[derive(Debug)]
pub struct Explore {
    /// Whose lines these are, in words.
    pub title: String,
    /// The object whose pod logs take the place where there is no Loki.
    pub object: Option<ObjectRef>,
    /// The pod logs that are shown instead of what Loki has.
    pub pods: Option<Pods>,
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
    /// Whether there are later ones, where they do not come by themselves.
    pub later: Older,
    /// The query whose lines are shown while they are not those of the question.
    pub held_of: Option<Text>,
    /// The number of lines by level over time.
    pub volume: Option<Volume>,
    /// Why that number could not be had.
    pub no_volume: Option<SourceError>,
    /// The names that stand before lines.
    pub names: Names,
    /// Lines that were dropped: by the server, and here for want of room.
    pub dropped: u64,
    /// Entries that could not be understood.
    pub garbled: u64,
    /// Times with more lines than the server gives to anybody.
    pub skipped: u64,
    /// How often the server asked to wait (429).
    pub throttled: u64,
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
    /// The one stream that is shown, whatever the sieves say.
    pub stream: Option<Labels>,
    /// The numbers of the lines that the sieves let through; `None` for all.
    visible: Option<Vec<i64>>,
    /// The next lines take the place of those that are held.
    fresh: bool,
    /// Time and text of the line that is to be selected once it is there.
    anchor: Option<(i64, Box<str>)>,
    /// Whether the selected line is to stand in the middle rather than just in sight.
    pub centred: bool,
    /// What was shown before the lines around one of its lines.
    pub back: Option<Box<Self>>,
    /// The numbers of marked lines.
    pub marks: std::collections::BTreeSet<i64>,
    /// The line that is shown whole.
    pub opened: bool,
    /// What is being typed.
    pub editing: Option<(Purpose, Line)>,
    /// What may complete it.
    pub completion: Completion,
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
            pods: None,
            of: LinesOf { context, query, window, turn: 0, allowed: false, around: None },
            wish: Wish { pages: 1, later: 1, label: None },
            phase: Phase::Asked,
            stats: None,
            lines: Lines::default(),
            older: Older::Asked,
            later: Older::Done,
            held_of: None,
            volume: None,
            no_volume: None,
            names: Names::default(),
            dropped: 0,
            garbled: 0,
            skipped: 0,
            throttled: 0,
            warnings: Vec::new(),
            failure: None,
            live: false,
            follow: true,
            timestamps: true,
            fold: true,
            fields: Vec::new(),
            sieves: Vec::new(),
            highlight: None,
            stream: None,
            visible: None,
            fresh: false,
            anchor: None,
            centred: false,
            back: None,
            marks: std::collections::BTreeSet::new(),
            opened: false,
            editing: None,
            completion: Completion::default(),
            page: Page::default(),
        }
    }

    /// Asks anew: with another query, window or permission. The lines that are held stay until the first new ones.
    pub fn restart(&mut self, before: &LinesOf) {
        let asked = (&before.query, before.window) != (&self.of.query, self.of.window);
        if self.held_of.is_none() && asked && !self.lines.is_empty() {
            self.held_of = Some(before.query.clone());
        }
        self.of.turn += 1;
        self.wish = Wish { pages: 1, later: 1, label: self.wish.label.take() };
        self.phase = Phase::Asked;
        self.stats = None;
        (self.older, self.later) = (Older::Asked, Older::Done);
        self.warnings.clear();
        (self.failure, self.no_volume) = (None, None);
        (self.live, self.follow, self.opened) = (false, true, false);
        self.anchor = None;
    }

    /// Forgets the lines.
    pub fn clear(&mut self) {
        self.lines = Lines::default();
        self.names = Names::default();
        (self.dropped, self.garbled, self.skipped) = (0, 0, 0);
        self.marks.clear();
        self.fresh = false;
        self.held_of = None;
        self.stream = None;
        if let Some(pods) = &mut self.pods {
            pods.tally = volume::Tally::default();
        }
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

    /// Asks for later lines where one has come to the newest that is held.
    pub fn look_on(&mut self) {
        let last = self.page.view.cursor + 1 >= self.len();
        if self.later == Older::More && last && self.phase == Phase::Reading {
            self.later = Older::Asked;
            self.wish.later += 1;
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
            LinesNews::Levels(volume) => {
                self.volume = Some(volume);
                self.no_volume = None;
            }
            LinesNews::NoLevels(error) => {
                self.count_throttled(&error);
                // What was counted for another question would be taken for this one's.
                self.volume = None;
                self.no_volume = Some(error);
            }
            LinesNews::Older(batch) => self.take_older(batch, bound),
            LinesNews::Later(batch) => {
                self.settle_fresh();
                self.failure = None;
                self.later = if batch.done { Older::Done } else { Older::More };
                self.count_page(&batch);
                self.take_newer(batch.entries, bound);
            }
            LinesNews::Newer { entries, dropped, garbled } => {
                self.settle_fresh();
                self.failure = None;
                self.dropped += dropped;
                self.garbled += garbled;
                self.take_newer(entries, bound);
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
                self.completion.failure = None;
                self.completion.labels = labels;
                self.suggest();
            }
            LinesNews::Values(label, values) => {
                self.completion.failure = None;
                self.completion.values = Some((label, values));
                self.suggest();
            }
            LinesNews::NoNames(error) => {
                self.count_throttled(&error);
                self.completion.failure = Some(error.to_string());
            }
            LinesNews::Failed(error) => {
                self.count_throttled(&error);
                self.phase = Phase::Reading;
                self.live = false;
                for side in [&mut self.older, &mut self.later] {
                    if *side == Older::Asked {
                        *side = Older::More;
                    }
                }
                self.failure = Some(error);
            }
        }
    }

    fn count_throttled(&mut self, error: &SourceError) {
        self.throttled += u64::from(matches!(error, SourceError::Throttled { .. }));
    }

    /// Begins to take lines: a reading that begins again, after one was in another view, brings all of them again.
    /// Those that are held stay in sight until then, and what one was looking at is looked for among the new ones.
    pub fn begin(&mut self) {
        self.older = Older::Asked;
        if self.of.around.is_some() {
            self.later = Older::Asked;
        }
        self.failure = None;
        self.fresh = true;
        if !self.follow && self.held_of.is_none() && self.anchor.is_none() {
            self.anchor = self.selected().map(|line| (line.at, line.text.into()));
        }
    }

    /// Forgets what is held where other lines come in its place.
    fn settle_fresh(&mut self) {
        if self.fresh {
            self.clear();
        }
    }

    /// Selects the line that was selected before, once it is there; asks for older ones until it is.
    fn find_anchor(&mut self) {
        let Some((at, text)) = &self.anchor else { return };
        let row = (0..self.len()).rev().find(|row| {
            self.line(*row)
                .is_some_and(|line| line.at == *at && line.text == &**text && line.sort == Sort::Line)
        });
        if let Some(row) = row {
            self.anchor = None;
            self.follow = false;
            self.centred = true;
            self.page.view.cursor = row;
            return;
        }
        let oldest = self.lines.get(0).map_or(i64::MAX, |line| line.at);
        if oldest <= *at || self.wish.pages > ANCHOR_PAGES {
            // It is hidden, or gone.
            self.anchor = None;
        } else if self.older == Older::More {
            self.older = Older::Asked;
            self.wish.pages += 1;
        }
    }

    fn count_page(&mut self, batch: &Batch) {
        self.garbled += batch.garbled;
        self.skipped += u64::from(batch.skipped.is_some());
        for warning in &batch.warnings {
            if !self.warnings.contains(warning) && self.warnings.len() < WARNINGS {
                self.warnings.push(warning.clone());
            }
        }
    }

    fn take_older(&mut self, batch: Batch, bound: usize) {
        self.settle_fresh();
        self.phase = Phase::Reading;
        self.failure = None;
        self.count_page(&batch);
        let before = self.len();
        let count = batch.entries.len();
        self.lines.put_before(batch.entries);
        for at in 0..count {
            if let Some(line) = self.lines.get(at) {
                self.names.note(&line);
            }
        }
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
        self.find_anchor();
    }

    fn take_newer(&mut self, entries: Vec<Entry>, bound: usize) {
        let from = self.lines.len();
        for entry in entries {
            self.lines.push(entry);
        }
        self.grown(from, bound);
        if self.of.around.is_some() {
            self.find_anchor();
        }
    }

    /// Takes in what was added at the new end.
    fn grown(&mut self, from: usize, bound: usize) {
        for at in from..self.lines.len() {
            if let Some(line) = self.lines.get(at) {
                self.names.note(&line);
            }
        }
        self.sift_new(from);
        let gone = self.lines.trim_old(bound, BYTES);
        if gone > 0 {
            self.dropped += gone as u64;
            // What was dropped is not read again: the lines before it would not join on.
            self.older = Older::Full;
            let fewer = self.sift_gone(gone);
            self.page.view.top = self.page.view.top.saturating_sub(fewer);
            self.page.view.cursor = self.page.view.cursor.saturating_sub(fewer);
            let first = self.lines.first();
            self.marks = self.marks.split_off(&first);
        }
    }

    /// Takes the line that was typed; the error is a sentence.
    pub fn take_line(&mut self, now: Timestamp, zone: &TimeZone) -> Result<(), String> {
        let Some((purpose, line)) = self.editing.take() else { return Ok(()) };
        let text = line.text().trim().to_owned();
        let wrong = || format!("{text:?} is not a regular expression that is understood");
        match purpose {
            Purpose::Query | Purpose::Window if text.is_empty() => {}
            Purpose::Query => {
                let before = self.of.clone();
                if *self.of.query != *text {
                    self.of.allowed = false;
                }
                self.of.query = Text::from(text.as_str());
                self.restart(&before);
            }
            Purpose::Window => {
                let window = span::read(&text, now, zone)?;
                self.take_window(window, now);
            }
            Purpose::Hide | Purpose::Only => {
                let hide = purpose == Purpose::Hide;
                if text.is_empty() {
                    self.sieves.retain(|sieve| sieve.hide != hide);
                } else {
                    self.sieves.push(Sieve::read(&text, hide).ok_or_else(wrong)?);
                }
                self.sift();
            }
            Purpose::Highlight => {
                self.highlight = if text.is_empty() {
                    None
                } else {
                    let expression = sieve::expression(&text).ok_or_else(wrong)?;
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

    /// Shows another window of time.
    pub fn take_window(&mut self, window: Window, now: Timestamp) {
        let before = self.of.clone();
        self.of.window = window;
        if let Some(pods) = &mut self.pods {
            let (from, to) = window.bounds(now);
            let minutes = ((now.as_second() - from).max(60) + 59) / 60;
            pods.since = Since::Minutes(u32::try_from(minutes).unwrap_or(u32::MAX));
            let past = matches!(window, Window::Between { .. });
            pods.until = past.then(|| to.saturating_mul(1_000_000_000));
            self.restart_pods();
        } else {
            self.of.allowed = false;
            self.restart(&before);
        }
    }
}

#[cfg(test)]
mod tests;
