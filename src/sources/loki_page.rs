//! Paging through log lines by time, so that none is lost and none comes twice.
//!
//! # Why
//!
//! Loki has no cursor: a page ends at a time, and lines may share it. So the next page begins with that very time
//! again, and as many of each line (labels, metadata, text) as were seen at it are left out: the multiset of
//! contracts 5.5. Where a whole page shares one time, more is asked for; where even the most that the server gives
//! shares it, stream by stream; and what is then still left is not there for the console, which is said.

use std::collections::HashMap;
use std::future::Future;

use super::loki::{ENTRIES, Entry, Lines, Question, SECOND, Span};
use super::{Endpoint, SourceError, logql, loki};
use crate::identity::Text;
use crate::signals::Labels;

/// The first piece of time that is asked for at once: long spans are asked for in pieces, so that the server stops
/// where there is enough.
const PIECE: i64 = 3_600 * SECOND;

/// The longest piece: Loki refuses more than 30 days and an hour by default.
const LONGEST: i64 = 30 * 24 * 3_600 * SECOND;

/// Which lines come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The newest.
    Backward,
    /// The oldest.
    Forward,
}

impl Direction {
    /// Returns the word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backward => "backward",
            Self::Forward => "forward",
        }
    }
}

/// What makes a line the same as another.
type Key = (Labels, Labels, Box<[u8]>);

fn key(entry: &Entry) -> Key {
    (entry.labels.clone(), entry.metadata.clone(), entry.bytes().into())
}

/// The lines seen at the time at which a page ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Edge {
    at: Option<i64>,
    seen: HashMap<Key, usize>,
}

impl Edge {
    pub(super) fn at(&self) -> Option<i64> {
        self.at
    }

    /// Takes the lines that were seen already out of some that were asked for again.
    pub(super) fn without_seen(&self, entries: Vec<Entry>) -> Vec<Entry> {
        self.clone().take_seen(entries)
    }

    /// Takes the lines that were seen already out of some that were asked for again; each counts once.
    pub(super) fn take_seen(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut is_seen = |entry: &Entry| {
            if Some(entry.at) != self.at {
                return false;
            }
            match self.seen.get_mut(&key(entry)) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    true
                }
                _ => false,
            }
        };
        entries.into_iter().filter(|entry| !is_seen(entry)).collect()
    }

    /// Moves on to a time, and notes the new lines that have it.
    pub(super) fn note(&mut self, at: i64, fresh: &[Entry]) {
        if self.at != Some(at) {
            self.at = Some(at);
            self.seen.clear();
        }
        for entry in fresh.iter().filter(|entry| entry.at == at) {
            *self.seen.entry(key(entry)).or_default() += 1;
        }
    }
}

/// One page of lines, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The lines.
    pub entries: Vec<Entry>,
    /// What the server said beside its answers.
    pub warnings: Vec<Text>,
    /// Entries that could not be understood.
    pub garbled: u64,
    /// Whether this was the last page of the span.
    pub done: bool,
    /// A time, in nanoseconds, at which there are more lines than the server gives to anybody.
    pub skipped: Option<i64>,
}

/// Goes through the lines of a span, page by page.
#[derive(Debug, Clone)]
pub struct Pager {
    query: String,
    span: Span,
    direction: Direction,
    /// How many lines a page has, about.
    size: usize,
    /// The most that the server gives, as far as is known.
    most: usize,
    edge: Edge,
    piece: i64,
}

impl Pager {
    /// Goes through a span from one of its ends, about `size` lines a page.
    pub fn new(query: &str, span: Span, direction: Direction, size: usize) -> Self {
        let size = size.clamp(1, ENTRIES);
        let query = query.to_owned();
        Self { query, span, direction, size, most: ENTRIES, edge: Edge::default(), piece: PIECE }
    }

    /// Begins where lines have been seen already.
    pub(super) fn behind(mut self, edge: Edge) -> Self {
        self.edge = edge;
        self
    }

    /// Returns what is left of the span: the time of the last line is in it.
    fn left(&self) -> Span {
        let Span { start, end } = self.span;
        match (self.direction, self.edge.at) {
            (_, None) => self.span,
            (Direction::Backward, Some(at)) => Span { start, end: at.saturating_add(1).min(end) },
            (Direction::Forward, Some(at)) => Span { start: at.max(start), end },
        }
    }

    /// Asks an endpoint for the next page.
    pub async fn next(&mut self, endpoint: &Endpoint) -> Result<Page, SourceError> {
        let ask = |question: Question| async move { loki::lines(endpoint, &question).await };
        let streams = |query: String, at: i64| async move {
            let (from, to) = logql::selectors(&query).first().copied().unwrap_or_default();
            loki::series(endpoint, &query[from..to], Span { start: at, end: at + 1 }).await
        };
        self.step(ask, streams).await
    }

    /// Asks for the next page; `ask` is how lines are asked for, `streams` how the streams of a moment.
    async fn step<A, S>(
        &mut self,
        ask: impl Fn(Question) -> A,
        streams: impl Fn(String, i64) -> S,
    ) -> Result<Page, SourceError>
    where
        A: Future<Output = Result<Lines, SourceError>>,
        S: Future<Output = Result<Vec<Labels>, SourceError>>,
    {
        let mut page = Page::default();
        loop {
            let left = self.left();
            if left.start >= left.end {
                page.done = true;
                return Ok(page);
            }
            let span = match self.direction {
                Direction::Backward => {
                    Span { start: left.start.max(left.end.saturating_sub(self.piece)), ..left }
                }
                Direction::Forward => {
                    Span { end: left.end.min(left.start.saturating_add(self.piece)), ..left }
                }
            };
            let (lines, full) = self.ask(&ask, span).await?;
            page.garbled += lines.garbled;
            page.warnings.extend(lines.warnings);
            let far = match self.direction {
                Direction::Backward => lines.entries.first(),
                Direction::Forward => lines.entries.last(),
            };
            let far = far.map(|entry| entry.at);
            let one_time = lines.entries.first().map(|one| one.at) == lines.entries.last().map(|one| one.at);
            let mut fresh = self.edge.without_seen(lines.entries);
            match far.filter(|_| full) {
                Some(at) if one_time => {
                    // More lines share this time than the server gives at once: each of its streams alone.
                    self.edge.note(at, &fresh);
                    let (more, whole) = self.stream_by_stream(&ask, &streams, at).await?;
                    self.edge.note(at, &more);
                    fresh.extend(more);
                    if !whole {
                        page.skipped = Some(at);
                    }
                    self.pass(at);
                }
                Some(at) => self.edge.note(at, &fresh),
                None => {
                    // The piece has no more; what lies at its end is not asked for again.
                    self.piece = self.piece.saturating_mul(2).min(LONGEST);
                    match self.direction {
                        Direction::Backward => self.span.end = span.start,
                        Direction::Forward => self.span.start = span.end,
                    }
                    if let Some(at) = far {
                        self.edge.note(at, &fresh);
                    }
                    if self.span.start >= self.span.end {
                        page.done = true;
                    } else if self.edge.at.is_some_and(|at| !(self.span.start..self.span.end).contains(&at)) {
                        self.edge = Edge::default();
                    }
                }
            }
            match self.direction {
                Direction::Backward => page.entries.splice(0..0, fresh).for_each(drop),
                Direction::Forward => page.entries.extend(fresh),
            }
            if page.done || page.entries.len() >= self.size || page.skipped.is_some() {
                return Ok(page);
            }
        }
    }

    /// Leaves a time behind: nothing at it is asked for again.
    fn pass(&mut self, at: i64) {
        match self.direction {
            Direction::Backward => self.span.end = at,
            Direction::Forward => self.span.start = at.saturating_add(1),
        }
        self.edge = Edge::default();
    }

    /// Asks for lines of a span; more than usual where all that come share one time. Tells whether there may be more.
    async fn ask<A: Future<Output = Result<Lines, SourceError>>>(
        &mut self,
        ask: &impl Fn(Question) -> A,
        span: Span,
    ) -> Result<(Lines, bool), SourceError> {
        let mut limit = self.size.min(self.most);
        let mut last: Option<Lines> = None;
        loop {
            let question = Question { query: self.query.clone(), span, limit, direction: self.direction };
            let lines = match (ask(question).await, last.take()) {
                (Ok(lines), _) => lines,
                // This server gives less than most: what came before is all that it gives.
                (Err(SourceError::Invalid { reason, .. }), Some(before))
                    if reason.contains("max entries limit") =>
                {
                    self.most = before.entries.len().max(1);
                    return Ok((before, true));
                }
                (Err(error), _) => return Err(error),
            };
            let full = lines.entries.len() as u64 + lines.garbled >= limit as u64;
            let one_time = lines.entries.first().map(|one| one.at) == lines.entries.last().map(|one| one.at);
            if full && one_time && limit < self.most {
                limit = (limit * 8).min(self.most);
                last = Some(lines);
                continue;
            }
            return Ok((lines, full));
        }
    }

    /// Asks for the lines of one time, each stream alone; tells whether those are all.
    async fn stream_by_stream<A, S>(
        &self,
        ask: &impl Fn(Question) -> A,
        streams: &impl Fn(String, i64) -> S,
        at: i64,
    ) -> Result<(Vec<Entry>, bool), SourceError>
    where
        A: Future<Output = Result<Lines, SourceError>>,
        S: Future<Output = Result<Vec<Labels>, SourceError>>,
    {
        let mut all = Vec::new();
        let mut whole = true;
        for labels in streams(self.query.clone(), at).await? {
            let Some(query) = logql::narrowed(&self.query, labels.iter()) else { return Ok((all, false)) };
            let span = Span { start: at, end: at.saturating_add(1) };
            let question = Question { query, span, limit: self.most, direction: self.direction };
            let lines = ask(question).await?;
            whole &= lines.entries.len() < self.most;
            all.extend(lines.entries);
        }
        Ok((self.edge.without_seen(all), whole))
    }
}

#[cfg(test)]
mod tests;
