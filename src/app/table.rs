//! The table of a kind: which rows, in which order, which columns, what is selected and marked.
//!
//! What is selected and marked is kept by identity, so that it stays when the rows move. The rows themselves
//! are the table model's ([`crate::rows`]); it is brought up to date before each update and each frame.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::app::groups::Groups;
use crate::app::line::Line;
use crate::app::viewport::Viewport;
use crate::filter::Scratch;
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::{Column, Kind, Lens, Object, Shape};
pub use crate::rows::Order as Sort;
use crate::rows::{Order, Rows, Scope};
use crate::store::{Query, Shelf, Store};

/// The filter of a table.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The filter in force; empty for none.
    pub text: String,
    /// The line that is being typed; it is in force from each key on.
    pub editing: Option<Line>,
    /// What is wrong with it; the last good one stays in force.
    pub error: Option<String>,
    /// What is in force, understood.
    parsed: crate::filter::Filter,
    /// The selectors for the server, taken over when the line is taken: not at every key.
    labels: String,
    fields: String,
    /// Counts the changes, so that rows are filtered anew only when there was one.
    turn: u64,
}

impl Filter {
    /// Puts a filter in force, or says what is wrong with it.
    pub fn set(&mut self, text: &str, columns: &[Column]) -> Result<(), String> {
        let parsed = crate::filter::Filter::parse(text, columns).map_err(|error| error.to_string())?;
        text.clone_into(&mut self.text);
        self.parsed = parsed;
        self.error = None;
        self.turn += 1;
        Ok(())
    }

    /// Puts the line that is being typed in force where it is whole; else the last good one stays.
    pub fn try_line(&mut self, columns: &[Column]) {
        let Some(line) = &self.editing else { return };
        let text = line.text().to_owned();
        self.error = self.set(&text, columns).err();
    }

    /// Takes the line: selectors for the server hold from here on.
    pub fn take(&mut self) {
        self.editing = None;
        self.labels.clone_from(&self.parsed.labels);
        self.fields.clone_from(&self.parsed.fields);
    }

    /// Takes the filter away.
    pub fn clear(&mut self) {
        *self = Self { turn: self.turn + 1, ..Self::default() };
    }

    /// Tells whether a name passes, where there are no columns.
    pub fn matches_name(&self, name: &str, scratch: &mut Scratch) -> bool {
        self.parsed.matches_name(name, scratch)
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
#[derive(Debug)]
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
    pub sort: Option<Order>,
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
    /// Whether the person has moved, marked or acted here. Until then the first row is the selected one, whichever
    /// that is: what hurts most comes to stand there while the lists fill.
    pub chosen: bool,
    /// What is marked.
    pub marks: BTreeSet<ObjectRef>,
    /// Where a range of marks begins.
    pub anchor: Option<ObjectRef>,
    /// Whether it was arranged as it was arranged last.
    pub arranged: bool,
    /// The groups of the rows, where they are grouped.
    pub groups: Groups,
    /// The table model.
    rows: Rows,
    /// The list that the rows are of, since they were settled.
    list: Option<Query>,
    /// The turn of the filter that the rows reflect.
    filtered: u64,
    /// The turn of the tenancy that the rows reflect.
    belonging: u64,
    /// How many marks there were when the table was settled, and the first of those that are shown.
    in_sight: (usize, Vec<ObjectRef>),
}

/// By how many of the marked rows it is decided which verbs are offered: that is asked many times a frame, and all rows
/// may be marked. What is done is decided by all of them.
const LOOKED_AT: usize = 32;

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
            chosen: false,
            marks: BTreeSet::new(),
            anchor: None,
            arranged: false,
            groups: Groups::default(),
            rows: Rows::new(),
            list: None,
            filtered: 0,
            belonging: 0,
            in_sight: (0, Vec::new()),
        }
    }

    /// Returns the list that the table shows.
    pub fn query(&self, context: &Context) -> Query {
        let both = |own: &Text, filter: &str| match (&**own, filter) {
            (own, "") => Text::from(own),
            ("", filter) => Text::from(filter),
            (own, filter) => Text::from(format!("{own},{filter}")),
        };
        Query {
            labels: both(&self.labels, &self.filter.labels),
            fields: both(&self.fields, &self.filter.fields),
            ..Query::all(context, &self.resource)
        }
    }

    /// Returns how many lines there are: rows, and where they are grouped also the heads of the groups.
    pub fn len(&self) -> usize {
        if self.groups.column().is_some() { self.groups.len() } else { self.rows.len() }
    }

    /// Tells whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many rows pass the filter, folded or not.
    pub fn matched(&self) -> usize {
        self.rows.len()
    }

    /// Returns how many rows there would be without the filter.
    pub fn total(&self) -> usize {
        self.rows.total()
    }

    fn shelf<'s>(&self, store: &'s Store) -> Option<&'s Shelf> {
        store.shelf(self.list.as_ref()?)
    }

    /// Returns the object of a row.
    pub fn row<'s>(&self, store: &'s Store, row: usize) -> Option<&'s Arc<Object>> {
        let row = if self.groups.column().is_some() { self.groups.row(row)? } else { row };
        self.rows.object(self.shelf(store)?, row)
    }

    /// Names the object of a row.
    pub fn object(&self, store: &Store, row: usize) -> Option<ObjectRef> {
        let meta = &self.row(store, row)?.meta;
        Some(ObjectRef {
            context: self.list.as_ref()?.context.clone(),
            resource: self.resource.clone(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        })
    }

    /// Returns the row of an object, where it is shown.
    pub fn row_of(&self, store: &Store, kind: &Kind, object: &ObjectRef) -> Option<usize> {
        let row = self.rows.position(self.shelf(store)?, kind, object.namespace.as_deref(), &object.name)?;
        if self.groups.column().is_some() { self.groups.line_of(row) } else { Some(row) }
    }

    /// Returns what is marked and shown, and what is marked and not shown.
    ///
    /// What is known to be gone is neither; where the server filters, what it does not send is not known to be gone.
    pub fn marked(&self, store: &Store, kind: &Kind) -> (Vec<ObjectRef>, Vec<ObjectRef>) {
        let (shown, hidden): (Vec<_>, Vec<_>) =
            self.marks.iter().cloned().partition(|object| self.row_of(store, kind, object).is_some());
        let narrowed = self.list.as_ref().is_some_and(|list| !list.is_everything());
        let here = |object: &ObjectRef| narrowed || store.object(object).is_some();
        (shown, hidden.into_iter().filter(here).collect())
    }

    /// Returns the first of what is marked and shown: those by which verbs are offered.
    pub fn in_sight(&self, store: &Store, kind: &Kind) -> Vec<ObjectRef> {
        let (count, known) = &self.in_sight;
        if *count == self.marks.len() && *count > LOOKED_AT {
            return known.clone();
        }
        self.first_shown(store, kind)
    }

    fn first_shown(&self, store: &Store, kind: &Kind) -> Vec<ObjectRef> {
        let shown = self.marks.iter().filter(|object| self.row_of(store, kind, object).is_some());
        shown.take(LOOKED_AT).cloned().collect()
    }

    /// Tells whether things are marked, and none of them is shown.
    pub fn hides_all_marked(&self, store: &Store, kind: &Kind) -> bool {
        let narrowed = self.list.as_ref().is_some_and(|list| !list.is_everything());
        let here = |object: &ObjectRef| narrowed || store.object(object).is_some();
        self.in_sight(store, kind).is_empty() && self.marks.iter().any(here)
    }

    /// Brings the rows up to date, finds what is selected among them, and brings it into sight.
    pub fn settle(&mut self, store: &Store, kind: &Kind, lens: &Lens<'_>, within: Within<'_>) {
        let query = self.query(lens.context);
        if self.list.as_ref() != Some(&query) {
            self.list = Some(query);
            self.rows.reset();
        }
        if self.filtered != self.filter.turn {
            self.filtered = self.filter.turn;
            self.rows.set_filter(self.filter.parsed.clone());
        }
        if self.belonging != within.belonging {
            self.belonging = within.belonging;
            self.rows.reset();
        }
        self.rows.set_order(self.sort);
        self.rows.set_scope(within.scope.clone());
        if let Some(shelf) = self.list.as_ref().and_then(|list| store.shelf(list)) {
            let changed = self.rows.refresh(shelf, kind, lens);
            if self.groups.column().is_some() && (changed || self.groups.is_stale()) {
                let rows = &self.rows;
                self.groups.arrange(rows.len(), |row| rows.object(shelf, row), kind, lens);
            }
        }
        if !self.chosen {
            self.view = Viewport::default();
        } else if let Some(row) = self.selected.as_ref().and_then(|object| self.row_of(store, kind, object)) {
            self.view.cursor = row;
        } else if let Some(line) = self.groups.selected() {
            self.view.cursor = line;
        }
        self.view.settle(self.len(), within.page);
        self.point(store);
        self.in_sight = (self.marks.len(), self.first_shown(store, kind));
    }

    /// Tells whether which rows are shown, or in which order, hangs on the time.
    pub fn is_restless(&self, kind: &Kind) -> bool {
        self.rows.is_restless(kind)
    }

    /// Lets go of the rows while the table is not shown: they are worked out again when it is.
    pub fn rest(&mut self) {
        self.rows = Rows::new();
        self.list = None;
        self.filtered = 0;
        self.filter.turn += 1;
        self.groups.forget();
    }

    /// Selects a row.
    pub fn select(&mut self, store: &Store, row: usize) {
        self.chosen = true;
        self.view.select(row, self.len());
        self.point(store);
    }

    /// Moves the selection by some rows.
    pub fn step(&mut self, store: &Store, by: isize) {
        self.chosen = true;
        self.view.step(by, self.len());
        self.point(store);
    }

    /// Takes note of what stands under the cursor.
    fn point(&mut self, store: &Store) {
        self.selected = self.object(store, self.view.cursor);
        self.groups.select(self.view.cursor);
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
    pub fn mark_range(&mut self, store: &Store, kind: &Kind) {
        let Some(from) = self.anchor.as_ref().and_then(|anchor| self.row_of(store, kind, anchor)) else {
            return;
        };
        let to = self.view.cursor;
        for row in from.min(to)..=from.max(to) {
            if let Some(object) = self.object(store, row) {
                self.marks.insert(object);
            }
        }
    }
}

/// What a table is settled within.
#[derive(Debug, Clone, Copy)]
pub struct Within<'a> {
    /// What part of the list is looked at.
    pub scope: &'a Scope,
    /// Counts the changes of the tenancy, on which the scope hangs.
    pub belonging: u64,
    /// How many rows fit on the screen.
    pub page: usize,
}

/// Returns the column that says how a thing of this kind is.
pub fn status_column(kind: &Kind) -> Option<usize> {
    kind.column("status").or_else(|| kind.columns.iter().position(|column| column.shape == Shape::Status))
}
