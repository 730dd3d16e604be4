//! What hides lines and what is searched in them: each line is looked at once, however many come.

use regex::Regex;

use super::Explore;
use crate::app::typing;
use crate::store::lines::Sort;

/// An expression that hides lines.
#[derive(Debug, Clone)]
pub struct Sieve {
    /// Whether lines with it are hidden, or those without it.
    pub hide: bool,
    /// As it was typed.
    pub text: String,
    /// The expression.
    pub expression: Regex,
}

impl Sieve {
    /// Reads what is typed: an expression, or after `!` one whose lines are meant the other way round.
    pub fn read(text: &str, hide: bool) -> Option<Self> {
        let (pattern, hide) = match text.strip_prefix('!').map(str::trim_start) {
            Some(rest) if !rest.is_empty() => (rest, !hide),
            _ => (text, hide),
        };
        Some(Self { hide, text: pattern.to_owned(), expression: expression(pattern)? })
    }
}

/// Reads an expression of a sieve: as a search, but always an expression.
pub fn expression(text: &str) -> Option<Regex> {
    let sensitive = text.chars().any(char::is_uppercase);
    regex::RegexBuilder::new(text).case_insensitive(!sensitive).multi_line(true).build().ok()
}

impl Explore {
    fn passes(&self, index: usize) -> bool {
        let Some(line) = self.lines.get(index) else { return false };
        if let Some(stream) = &self.stream {
            return line.labels()[0] == stream;
        }
        // A seam is about what is shown and what is not.
        line.sort == Sort::Seam
            || self.sieves.iter().all(|sieve| sieve.expression.is_match(line.text) != sieve.hide)
    }

    /// Works out again which lines are shown, and what the search finds in them.
    pub fn sift(&mut self) {
        self.visible = if self.sieves.is_empty() && self.stream.is_none() {
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

    /// Looks at the lines from a place on, which were added at the new end.
    pub(super) fn sift_new(&mut self, from: usize) {
        let expression = typing::expression(&self.page.search.text);
        if self.visible.is_none() {
            if let Some(expression) = expression {
                let new = self.lines.find(&expression, from);
                self.page.search.matches.extend(new);
            }
            return;
        }
        let first = self.lines.first();
        for at in from..self.lines.len() {
            if !self.passes(at) {
                continue;
            }
            let hit = match (&expression, self.lines.get(at)) {
                (Some(expression), Some(line)) => expression.is_match(line.text),
                _ => false,
            };
            let Some(visible) = &mut self.visible else { return };
            if hit {
                self.page.search.matches.push(visible.len());
            }
            visible.push(first + at as i64);
        }
    }

    /// Forgets the oldest lines that are no longer held; returns how many rows that takes off the top.
    pub(super) fn sift_gone(&mut self, gone: usize) -> usize {
        let first = self.lines.first();
        let rows = match &mut self.visible {
            None => gone,
            Some(visible) => {
                let rows = visible.partition_point(|number| *number < first);
                visible.drain(..rows);
                rows
            }
        };
        let search = &mut self.page.search;
        let fewer = search.matches.partition_point(|row| *row < rows);
        search.matches.drain(..fewer);
        search.matches.iter_mut().for_each(|row| *row -= rows);
        search.at = search.at.saturating_sub(fewer);
        rows
    }
}
