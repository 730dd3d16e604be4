//! The table of a kind: which rows, in which order, which columns, what is selected and marked.
//!
//! What is selected and marked is kept by identity, so that it stays when the rows move. The rows themselves
//! are the table model's ([`crate::rows`]); it is brought up to date before each update and each frame.

use std::collections::BTreeSet;

use crate::app::line::Line;
use crate::app::viewport::Viewport;
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::{Kind, Shape};
use crate::store::Query;

/// The order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The column, by the kind's own number.
    pub column: usize,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// The filter of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// The filter in force; empty for none.
    pub text: String,
    /// The line that is being typed; it is in force from each key on.
    pub editing: Option<Line>,
    /// What is wrong with it; the last good one stays in force.
    pub error: Option<String>,
}

impl Filter {
    /// Puts a filter in force, or says what is wrong with it.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        text.clone_into(&mut self.text);
        self.error = None;
        Ok(())
    }

    /// Puts the line that is being typed in force where it is whole; else the last good one stays.
    pub fn try_line(&mut self) {
        let Some(line) = &self.editing else { return };
        let text = line.text().to_owned();
        self.error = self.set(&text).err();
    }
}

/// The columns as the person chose them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chooser {
    /// Every column with whether it is shown, in the order of the screen; by the kind's own numbers.
    pub columns: Vec<(usize, bool)>,
    /// The selected one.
    pub view: Viewport,
}

/// The state of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The kind.
    pub resource: Resource,
    /// A label selector that the server evaluates, or empty.
    pub labels: Text,
    /// A field selector that the server evaluates, or empty.
    pub fields: Text,
    /// The filter.
    pub filter: Filter,
    /// The order; `None` for the kind's own.
    pub sort: Option<Sort>,
    /// Whether wide columns are shown.
    pub wide: bool,
    /// The columns to show in their order; `None` for the kind's own.
    pub columns: Option<Vec<usize>>,
    /// The chooser of columns, while it is open.
    pub chooser: Option<Chooser>,
    /// How many columns are moved out of sight on the left.
    pub left: usize,
    /// The window over the rows.
    pub view: Viewport,
    /// What is selected, by identity.
    pub selected: Option<ObjectRef>,
    /// What is marked.
    pub marks: BTreeSet<ObjectRef>,
    /// Where a range of marks begins.
    pub anchor: Option<ObjectRef>,
    /// The rows in their order.
    pub rows: Vec<ObjectRef>,
}

impl Table {
    /// Opens the table of a kind.
    pub fn new(resource: Resource) -> Self {
        Self {
            resource,
            labels: Text::from(""),
            fields: Text::from(""),
            filter: Filter::default(),
            sort: None,
            wide: false,
            columns: None,
            chooser: None,
            left: 0,
            view: Viewport::default(),
            selected: None,
            marks: BTreeSet::new(),
            anchor: None,
            rows: Vec::new(),
        }
    }

    /// Returns the list that the table shows.
    pub fn query(&self, context: &Context) -> Query {
        Query {
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            ..Query::all(context, &self.resource)
        }
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tells whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the object of a row.
    pub fn object(&self, row: usize) -> Option<ObjectRef> {
        self.rows.get(row).cloned()
    }

    /// Finds what is selected among rows that may have moved, and brings it into sight.
    pub fn settle(&mut self, page: usize) {
        if let Some(row) = self.selected.as_ref().and_then(|object| self.row_of(object)) {
            self.view.cursor = row;
        }
        self.view.settle(self.len(), page);
        self.selected = self.object(self.view.cursor);
    }

    /// Selects a row.
    pub fn select(&mut self, row: usize) {
        self.view.select(row, self.len());
        self.selected = self.object(self.view.cursor);
    }

    /// Moves the selection by some rows.
    pub fn step(&mut self, by: isize) {
        self.view.step(by, self.len());
        self.selected = self.object(self.view.cursor);
    }

    /// Marks the selected row, or takes its mark away; the next range begins here.
    pub fn mark(&mut self) {
        let Some(object) = self.selected.clone() else { return };
        if !self.marks.remove(&object) {
            self.marks.insert(object.clone());
        }
        self.anchor = Some(object);
    }

    /// Marks the rows from where the range begins to the selected one.
    pub fn mark_range(&mut self) {
        let Some(from) = self.anchor.as_ref().and_then(|anchor| self.row_of(anchor)) else { return };
        let to = self.view.cursor;
        for row in from.min(to)..=from.max(to) {
            if let Some(object) = self.object(row) {
                self.marks.insert(object);
            }
        }
    }

    /// Returns the row of an object.
    pub fn row_of(&self, object: &ObjectRef) -> Option<usize> {
        self.rows.iter().position(|row| row == object)
    }
}

/// Returns the column that says how a thing of this kind is.
pub fn status_column(kind: &Kind) -> Option<usize> {
    kind.column("status").or_else(|| kind.columns.iter().position(|column| column.shape == Shape::Status))
}
