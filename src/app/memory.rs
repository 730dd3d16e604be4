//! What is remembered from one run to the next: how tables are arranged, kind by kind, and the palette's lines.
//!
//! Columns are named by their ids and kinds by their whole names, so that a later version with other columns
//! passes over what it does not know. Nothing of the platform is in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::app::history::View;
use crate::app::state::State;
use crate::app::table::{Sort, Table};
use crate::kinds::Kind;

/// How many lines of the palette are remembered.
pub const SAID: usize = 100;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The tables that are not as they are by default, by the whole name of their kind.
    pub tables: BTreeMap<String, Layout>,
    /// Lines of the palette that were taken, newest last.
    pub said: Vec<String>,
    /// Queries to Loki that were asked, newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queried: Vec<String>,
}

/// How a table is arranged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// The columns in their order, by their ids; none for the kind's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The column that is sorted by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// Whether the greatest stands first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub descending: bool,
    /// The column by which rows are grouped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether wide columns are shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wide: bool,
}

impl Memory {
    /// Reads what was written; a file that cannot be understood is as good as none.
    pub fn read(text: &str) -> Self {
        let mut memory: Self = serde_json::from_str(text).unwrap_or_default();
        let over = memory.said.len().saturating_sub(SAID);
        memory.said.drain(..over);
        let over = memory.queried.len().saturating_sub(SAID);
        memory.queried.drain(..over);
        memory
    }

    /// Writes it as text.
    pub fn text(&self) -> String {
        // Maps of texts cannot fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Layout {
    fn of(table: &Table, kind: &Kind) -> Self {
        let id = |column: &usize| kind.columns.get(*column).map(|column| column.id.to_string());
        Self {
            columns: table.columns.as_ref().map(|columns| columns.iter().filter_map(id).collect()),
            sort: table.sort.and_then(|sort| id(&sort.column)),
            descending: table.sort.is_some_and(|sort| sort.descending),
            group: table.groups.column().and_then(|column| id(&column)),
            wide: table.wide,
        }
    }

    fn apply(&self, table: &mut Table, kind: &Kind) {
        let columns: Option<Vec<usize>> =
            self.columns.as_ref().map(|ids| ids.iter().filter_map(|id| kind.column(id)).collect());
        // A table without a column has nothing to select by.
        table.columns = columns.filter(|columns| !columns.is_empty());
        table.sort = self
            .sort
            .as_ref()
            .and_then(|id| kind.column(id))
            .map(|column| Sort { column, descending: self.descending });
        let group = self.group.as_ref().and_then(|id| kind.column(id));
        table.groups.set(group.filter(|column| kind.columns[*column].groups));
        table.wide = self.wide;
    }
}

/// Arranges the table that is shown as it was arranged last, once, as soon as its kind is known.
pub fn arrange(state: &mut State) {
    let Some(View::Table(table)) = state.views.last_mut() else { return };
    if table.arranged {
        return;
    }
    let Some(kind) = state.kinds.get(&table.resource) else { return };
    table.arranged = true;
    if let Some(layout) = state.memory.tables.get(&table.resource.to_string()) {
        layout.apply(table, kind);
    }
}

/// Takes in how the table that is shown is arranged and what was said; tells whether that is news.
pub fn keep(state: &mut State) -> bool {
    let mut news = false;
    if state.memory.said != state.said {
        state.memory.said.clone_from(&state.said);
        news = true;
    }
    if state.memory.queried != state.queried {
        state.memory.queried.clone_from(&state.queried);
        news = true;
    }
    let Some(View::Table(table)) = state.views.last() else { return news };
    let Some(kind) = state.kinds.get(&table.resource).filter(|_| table.arranged) else { return news };
    let (name, layout) = (table.resource.to_string(), Layout::of(table, kind));
    let before = state.memory.tables.get(&name).cloned().unwrap_or_default();
    if before == layout {
        return news;
    }
    if layout == Layout::default() {
        state.memory.tables.remove(&name);
    } else {
        state.memory.tables.insert(name, layout);
    }
    true
}
