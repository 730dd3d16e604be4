//! Log lines that are held: bounded in number and bytes, both ends open, searched where they lie.
//!
//! # Why
//!
//! A million lines, each with its own allocation, take twice their text and a search of them waits for memory line
//! by line. Here lines lie in pieces of one text each, so that an expression runs over a piece at once; what is known
//! of a line stands beside it in an array. Lines are counted from a number that only grows at the new end and only
//! falls at the old one, so that a line keeps its number when older ones come or go.

use std::collections::VecDeque;
use std::thread;

use regex::Regex;

use crate::signals::Labels;
use crate::sources::loki::Entry;

/// How many lines one piece holds.
const PIECE: usize = 1_024;

/// How many pieces one thread searches in less time than a frame has: about 8 MiB of text.
const ALONE: usize = 100;

/// How many threads search at most: the other cores have other work.
const SEARCHERS: usize = 4;

/// How much a line takes beside its text, for the bound in bytes.
const BESIDE: usize = size_of::<Fact>();

/// What a held line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A line of a log.
    Line,
    /// A place where a tail was cut and goes on.
    Seam,
}

#[derive(Debug, Clone)]
struct Fact {
    at: i64,
    end: u32,
    sort: Sort,
    labels: Labels,
    metadata: Labels,
    parsed: Labels,
    whole: Option<Box<[u8]>>,
}

#[derive(Debug, Clone, Default)]
struct Piece {
    /// The number of its first line.
    first: i64,
    /// Its lines, each with a line feed behind it.
    text: String,
    facts: Vec<Fact>,
    bytes: usize,
}

impl Piece {
    fn push(&mut self, entry: Entry, sort: Sort) {
        let before = self.text.len();
        self.text.push_str(&entry.text);
        self.text.push('\n');
        let whole = entry.whole.as_ref().map_or(0, |whole| whole.len());
        self.bytes += self.text.len() - before + whole + BESIDE;
        let Entry { at, labels, metadata, parsed, whole, .. } = entry;
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.facts.push(Fact { at, end, sort, labels, metadata, parsed, whole });
    }

    fn is_full(&self) -> bool {
        // Lines of 64 KiB and more must not make a piece that its offsets cannot name.
        self.facts.len() >= PIECE || self.text.len() > 16 * 1024 * 1024
    }

    /// Returns its lines in which an expression is found, from a line on.
    fn find(&self, expression: &Regex, from: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = self.span(from).0;
        while let Some(hit) = expression.find_at(&self.text, at) {
            let line = self.facts.partition_point(|fact| (fact.end as usize) <= hit.start());
            if line >= self.facts.len() {
                break;
            }
            let (start, end) = self.span(line);
            // What goes over the end of a line is not in it, but a shorter match may be.
            if hit.end() <= end || expression.is_match(self.text.get(start..end).unwrap_or_default()) {
                found.push(line);
            }
            at = end + 1;
            if at >= self.text.len() {
                break;
            }
        }
        found
    }

    fn span(&self, at: usize) -> (usize, usize) {
        let from = at.checked_sub(1).and_then(|before| self.facts.get(before)).map_or(0, |fact| fact.end);
        let to = self.facts.get(at).map_or(from, |fact| fact.end);
        (from as usize, (to as usize).saturating_sub(1))
    }
}

/// One held line.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// When it was written, in nanoseconds since 1970.
    pub at: i64,
    /// Its text, cleaned.
    pub text: &'a str,
    /// What it is.
    pub sort: Sort,
    labels: &'a Labels,
    metadata: &'a Labels,
    parsed: &'a Labels,
    whole: Option<&'a [u8]>,
}

impl<'a> Held<'a> {
    /// Returns the labels of its stream, its metadata, and what the query took out of it.
    pub fn labels(&self) -> [&'a Labels; 3] {
        [self.labels, self.metadata, self.parsed]
    }

    /// Returns a label, wherever it stands.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.labels().into_iter().find_map(|labels| labels.get(name))
    }

    /// Returns its level.
    pub fn level(&self) -> Option<&'a str> {
        self.label("detected_level").or_else(|| self.label("level"))
    }

    /// Returns the line as it was written: for files, never for a terminal.
    pub fn bytes(&self) -> &'a [u8] {
        self.whole.unwrap_or(self.text.as_bytes())
    }
}

/// The held lines, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    pieces: VecDeque<Piece>,
    len: usize,
    bytes: usize,
}

impl Lines {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many bytes of memory they take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of the oldest line.
    pub fn first(&self) -> i64 {
        self.pieces.front().map_or(0, |piece| piece.first)
    }

    /// Puts a line at the new end.
    pub fn push(&mut self, entry: Entry) {
        self.put(entry, Sort::Line);
    }

    /// Puts a seam at the new end, with words.
    pub fn seam(&mut self, at: i64, words: &str) {
        let none = Labels::default;
        let entry =
            Entry { at, labels: none(), metadata: none(), parsed: none(), text: words.into(), whole: None };
        self.put(entry, Sort::Seam);
    }

    fn put(&mut self, entry: Entry, sort: Sort) {
        if self.pieces.back().is_none_or(Piece::is_full) {
            let first = self.pieces.back().map_or(0, |last| last.first + last.facts.len() as i64);
            self.pieces.push_back(Piece { first, ..Piece::default() });
        }
        if let Some(piece) = self.pieces.back_mut() {
            let before = piece.bytes;
            piece.push(entry, sort);
            self.bytes += piece.bytes - before;
            self.len += 1;
        }
    }

    /// Puts older lines, oldest first, before the old end.
    pub fn put_before(&mut self, entries: Vec<Entry>) {
        let mut pieces: Vec<Piece> = Vec::new();
        let count = entries.len() as i64;
        for (first, entry) in (self.first() - count..).zip(entries) {
            if pieces.last().is_none_or(Piece::is_full) {
                pieces.push(Piece { first, ..Piece::default() });
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push(entry, Sort::Line);
            }
        }
        for piece in pieces.into_iter().rev() {
            self.bytes += piece.bytes;
            self.len += piece.facts.len();
            self.pieces.push_front(piece);
        }
    }

    /// Drops the oldest lines, piece by piece, until no more than so many lines and bytes are left; returns how many.
    pub fn trim_old(&mut self, lines: usize, bytes: usize) -> usize {
        let mut gone = 0;
        while (self.len > lines.max(PIECE) || self.bytes > bytes) && self.pieces.len() > 1 {
            if let Some(piece) = self.pieces.pop_front() {
                gone += piece.facts.len();
                self.forget(&piece);
            }
        }
        gone
    }

    /// Drops the newest lines, piece by piece, until no more than so many lines and bytes are left; returns how many.
    pub fn trim_new(&mut self, lines: usize, bytes: usize) -> usize {
        let mut gone = 0;
        while (self.len > lines.max(PIECE) || self.bytes > bytes) && self.pieces.len() > 1 {
            if let Some(piece) = self.pieces.pop_back() {
                gone += piece.facts.len();
                self.forget(&piece);
            }
        }
        gone
    }

    fn forget(&mut self, piece: &Piece) {
        self.len -= piece.facts.len();
        self.bytes -= piece.bytes;
    }

    /// Returns the line at a place, counted from the oldest.
    pub fn get(&self, index: usize) -> Option<Held<'_>> {
        let number = self.first().checked_add(i64::try_from(index).ok()?)?;
        let at = self.pieces.partition_point(|piece| piece.first <= number).checked_sub(1)?;
        let piece = self.pieces.get(at)?;
        let within = usize::try_from(number - piece.first).ok()?;
        let fact = piece.facts.get(within)?;
        let (from, to) = piece.span(within);
        Some(Held {
            at: fact.at,
            text: piece.text.get(from..to)?,
            sort: fact.sort,
            labels: &fact.labels,
            metadata: &fact.metadata,
            parsed: &fact.parsed,
            whole: fact.whole.as_deref(),
        })
    }

    /// Returns all lines, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Held<'_>> {
        (0..self.len).filter_map(|index| self.get(index))
    }

    /// Returns the places of the lines in which an expression is found, from a place on. The expression must take
    /// `^` and `$` as the ends of lines.
    ///
    /// Many lines are searched by several threads, each with an expression of its own: what an expression remembers
    /// is not shared without waiting.
    pub fn find(&self, expression: &Regex, from: usize) -> Vec<usize> {
        let first = self.first();
        let pieces: Vec<(usize, &Piece)> = self
            .pieces
            .iter()
            .map(|piece| (usize::try_from(piece.first - first).unwrap_or(0), piece))
            .filter(|(offset, piece)| offset + piece.facts.len() > from)
            .collect();
        let find = |some: &[(usize, &Piece)], expression: &Regex| -> Vec<usize> {
            let places = |(offset, piece): &(usize, &Piece)| {
                let offset = *offset;
                piece.find(expression, from.saturating_sub(offset)).into_iter().map(move |line| offset + line)
            };
            some.iter().flat_map(places).collect()
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(SEARCHERS);
        if threads == 1 || pieces.len() <= ALONE {
            return find(&pieces, expression);
        }
        thread::scope(|scope| {
            let searching: Vec<_> = pieces
                .chunks(pieces.len().div_ceil(threads))
                .map(|some| (some, scope.spawn(|| find(some, &expression.clone()))))
                .collect();
            searching
                .into_iter()
                .flat_map(|(some, thread)| thread.join().unwrap_or_else(|_| find(some, expression)))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64, text: &str) -> Entry {
        let none = Labels::default;
        Entry { at, labels: none(), metadata: none(), parsed: none(), text: text.into(), whole: None }
    }

    fn expression(text: &str) -> Regex {
        regex::RegexBuilder::new(text).multi_line(true).build().unwrap()
    }

    fn held(lines: &Lines) -> Vec<i64> {
        lines.iter().map(|line| line.at).collect()
    }

    #[test]
    fn both_ends_grow_and_every_line_is_found_at_its_place() {
        let mut lines = Lines::default();
        (5_000..9_000).for_each(|at| lines.push(entry(at, &format!("line {at}"))));
        lines.put_before((2_000..5_000).map(|at| entry(at, &format!("line {at}"))).collect());
        assert_eq!(held(&lines), (2_000..9_000).collect::<Vec<_>>());
        assert_eq!(lines.get(0).map(|line| line.text), Some("line 2000"));
        assert_eq!(lines.get(6_999).map(|line| line.text), Some("line 8999"));
        assert!(lines.get(7_000).is_none());
        assert_eq!(lines.first(), -3_000);
    }

    #[test]
    fn a_search_finds_lines_and_nothing_across_them() {
        let mut lines = Lines::default();
        for at in 0..3_000 {
            lines.push(entry(at, if at % 1_000 == 7 { "an error, an error" } else { "fine" }));
        }
        lines.push(entry(3_000, ""));
        assert_eq!(lines.find(&expression("error"), 0), [7, 1_007, 2_007]);
        assert_eq!(lines.find(&expression("error"), 8), [1_007, 2_007]);
        assert_eq!(lines.find(&expression("^an"), 0), [7, 1_007, 2_007]);
        assert_eq!(lines.find(&expression("error$"), 0), [7, 1_007, 2_007]);
        assert_eq!(lines.find(&expression(r"fine\s+an"), 0), Vec::<usize>::new());
        assert_eq!(lines.find(&expression("^$"), 0), [3_000]);
    }

    #[test]
    fn many_lines_are_found_in_their_order_whoever_searches_them() {
        let mut lines = Lines::default();
        let many = i64::try_from((ALONE * 2 + 5) * PIECE).unwrap();
        (0..many).for_each(|at| lines.push(entry(at, if at % 997 == 3 { "an error" } else { "fine" })));
        let all: Vec<usize> = (0..lines.len()).filter(|at| at % 997 == 3).collect();
        assert_eq!(lines.find(&expression("error"), 0), all);
        let late = all.partition_point(|at| *at < 150_000);
        assert_eq!(lines.find(&expression("error"), 150_000), all[late..]);
    }

    #[test]
    fn memory_has_a_bound_at_either_end_and_what_goes_is_counted() {
        let mut lines = Lines::default();
        (0..10_000).for_each(|at| lines.push(entry(at, "x")));
        let gone = lines.trim_old(5_000, usize::MAX);
        assert!(lines.len() <= 5_000 && gone + lines.len() == 10_000);
        assert_eq!(lines.get(lines.len() - 1).map(|line| line.at), Some(9_999));
        let before = lines.len();
        let gone = lines.trim_new(2_000, usize::MAX);
        assert_eq!(gone + lines.len(), before);
        let size = lines.bytes();
        lines.trim_old(usize::MAX, size / 2);
        assert!(lines.bytes() <= size / 2 + PIECE * (BESIDE + 2));
    }
}
