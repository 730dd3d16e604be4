//! One object: the fields that matter, conditions, events, related things both ways; or its YAML.
//!
//! Both tabs are text with a window, a search and a cursor; lines that name another object can be followed.

use std::sync::Arc;

use serde_json::Value;

use crate::app::line::Line;
use crate::app::viewport::Viewport;
use crate::identity::ObjectRef;
use crate::kinds::Cell;
use crate::sources::SourceError;

/// What of the object is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tab {
    /// Fields, conditions, events, related things.
    #[default]
    Describe,
    /// The whole object as YAML.
    Yaml,
}

/// A whole object, fetched when it is opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Document {
    /// Asked for.
    #[default]
    Loading,
    /// Here.
    Ready(Arc<Value>),
    /// It could not be had.
    Failed(SourceError),
}

/// One line of the describe tab.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The title of a section.
    Heading(String),
    /// A field with its value.
    Field {
        /// Its name.
        name: String,
        /// Its value.
        value: Cell,
    },
    /// A related object that `enter` opens.
    Related {
        /// How it is related, such as `owner` or `selects`.
        how: String,
        /// The object.
        to: ObjectRef,
        /// What else is known about it, such as its health.
        value: Cell,
    },
    /// Words, such as a message that belongs to the line above.
    Words(String),
    /// An empty line.
    Gap,
}

/// A search in text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Search {
    /// What is searched, without regard to case unless it has capitals; empty for nothing.
    pub text: String,
    /// The line that is being typed.
    pub editing: Option<Line>,
    /// The lines that match, from the top.
    pub matches: Vec<usize>,
    /// The match at which the search stands, as an index of `matches`.
    pub at: usize,
}

/// A text with its window: YAML, logs, help.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The window over the lines.
    pub view: Viewport,
    /// How many columns are moved out of sight on the left.
    pub left: usize,
    /// Whether long lines are wrapped.
    pub wrap: bool,
    /// The search.
    pub search: Search,
}

/// The state of the detail view.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// The object.
    pub object: ObjectRef,
    /// The tab.
    pub tab: Tab,
    /// The whole object.
    pub document: Document,
    /// The lines of the describe tab, brought up to date before each frame.
    pub entries: Vec<Entry>,
    /// The window of the describe tab.
    pub describe: Page,
    /// The lines of the YAML, made once when the document comes.
    pub yaml: Vec<String>,
    /// The window of the YAML tab.
    pub page: Page,
}

impl Detail {
    /// Opens an object.
    pub fn new(object: ObjectRef, tab: Tab) -> Self {
        Self {
            object,
            tab,
            document: Document::Loading,
            entries: Vec::new(),
            describe: Page::default(),
            yaml: Vec::new(),
            page: Page::default(),
        }
    }
}
