//! The table of a kind: which rows, in which order, which columns, what is selected and marked.
//!
//! What is selected and marked is kept by identity, so that it stays when the rows move. The rows themselves
//! are the table model's ([`crate::rows`]); it is brought up to date before each update and each frame.

use std::collections::BTreeSet;

use crate::app::line::Line;
use crate::app::viewport::Viewport;
use crate::identity::{ObjectRef, Resource, Text};

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
        }
    }
}
