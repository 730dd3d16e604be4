//! The groups of a table: rows with the same word in one column stand under one line, which is folded or open.
//!
//! The rows are the table model's and stay in its order; a group stands where its first row would, so that what is
//! sorted first stays first. Which groups are open is told by their words, so that it holds while rows come and go.

use std::collections::{BTreeSet, HashMap};

use crate::identity::Text;
use crate::kinds::{Cell, Health, Kind, Lens, Object};

/// What a line of a grouped table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The head of a group, by its number.
    Head(usize),
    /// A row of the table model.
    Row(usize),
}

/// The head of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The word that its rows have in common; empty where they have none.
    pub word: Text,
    /// How many rows it has.
    pub rows: usize,
    /// How many of them have each status, in the order of the rows.
    pub counts: Vec<(Text, Health, usize)>,
    /// Whether its rows are shown.
    pub open: bool,
}

/// The groups of a table.
#[derive(Debug, Default)]
pub struct Groups {
    /// The column by which rows are grouped.
    column: Option<usize>,
    open: BTreeSet<Text>,
    /// The head with the cursor.
    selected: Option<Text>,
    heads: Vec<Head>,
    lines: Vec<Line>,
    /// The line of each row, where its group is open.
    places: Vec<Option<usize>>,
    stale: bool,
}

impl Groups {
    /// Returns the column by which rows are grouped.
    pub fn column(&self) -> Option<usize> {
        self.column
    }

    /// Groups by a column, or not at all; all groups are folded at first.
    pub fn set(&mut self, column: Option<usize>) {
        *self = Self { column, stale: true, ..Self::default() };
    }

    /// Returns how many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Tells whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns how many groups there are.
    pub fn count(&self) -> usize {
        self.heads.len()
    }

    /// Returns the head that stands on a line.
    pub fn head(&self, line: usize) -> Option<&Head> {
        match self.lines.get(line)? {
            Line::Head(number) => self.heads.get(*number),
            Line::Row(_) => None,
        }
    }

    /// Returns the row of the table model that stands on a line.
    pub fn row(&self, line: usize) -> Option<usize> {
        match self.lines.get(line)? {
            Line::Row(row) => Some(*row),
            Line::Head(_) => None,
        }
    }

    /// Returns the line of a row, where its group is open.
    pub fn line_of(&self, row: usize) -> Option<usize> {
        self.places.get(row).copied().flatten()
    }

    /// Returns the line of the head that is selected.
    pub fn selected(&self) -> Option<usize> {
        let word = self.selected.as_ref()?;
        self.lines
            .iter()
            .position(|line| matches!(line, Line::Head(number) if self.heads[*number].word == *word))
    }

    /// Takes note of the line with the cursor.
    pub fn select(&mut self, line: usize) {
        self.selected = self.head(line).map(|head| head.word.clone());
    }

    /// Opens or folds the group whose head is selected; tells whether one is.
    pub fn toggle(&mut self) -> bool {
        let Some(word) = self.selected.clone() else { return false };
        if !self.open.remove(&word) {
            self.open.insert(word);
        }
        self.stale = true;
        true
    }

    /// Opens all groups, or folds all where all are open.
    pub fn toggle_all(&mut self) {
        if self.heads.iter().all(|head| head.open) {
            self.open.clear();
        } else {
            self.open = self.heads.iter().map(|head| head.word.clone()).collect();
        }
        self.stale = true;
    }

    /// Lets go of the lines while the table is not shown; which groups are open is remembered.
    pub fn forget(&mut self) {
        self.heads.clear();
        self.lines.clear();
        self.places.clear();
        self.stale = true;
    }

    /// Tells whether the lines have to be worked out again though no row has changed.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Works the lines out from the rows in their order.
    pub fn arrange<'s>(
        &mut self,
        rows: usize,
        at: impl Fn(usize) -> Option<&'s std::sync::Arc<Object>>,
        kind: &Kind,
        lens: &Lens<'_>,
    ) {
        self.stale = false;
        self.heads.clear();
        self.lines.clear();
        self.places.clear();
        let Some(column) = self.column else { return };
        let status = super::table::status_column(kind);
        let mut numbers: HashMap<Text, usize> = HashMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for row in 0..rows {
            let Some(object) = at(row) else { continue };
            let standing = status.map(|status| kind.cell(object, status, lens));
            for word in kind.words(object, column, lens) {
                let number = *numbers.entry(word).or_insert_with_key(|word| {
                    let open = self.open.contains(word);
                    self.heads.push(Head { word: word.clone(), rows: 0, counts: Vec::new(), open });
                    members.push(Vec::new());
                    self.heads.len() - 1
                });
                let (Some(head), Some(own)) = (self.heads.get_mut(number), members.get_mut(number)) else {
                    continue;
                };
                head.rows += 1;
                own.push(row);
                if let Some(Cell::Status { text, health }) = &standing {
                    match head.counts.iter_mut().find(|(known, ..)| known == text) {
                        Some((_, _, count)) => *count += 1,
                        None => head.counts.push((text.clone(), *health, 1)),
                    }
                }
            }
        }
        self.places.resize(rows, None);
        for (number, own) in members.iter().enumerate() {
            self.lines.push(Line::Head(number));
            if self.heads.get(number).is_some_and(|head| head.open) {
                for row in own {
                    // A row that stands under several heads is found at the first.
                    if let Some(place) = self.places.get_mut(*row) {
                        place.get_or_insert(self.lines.len());
                    }
                    self.lines.push(Line::Row(*row));
                }
            }
        }
    }
}
