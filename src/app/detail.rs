//! One object: the fields that matter, conditions, events, related things both ways; or its YAML.
//!
//! Both tabs are text with a window, a search and a cursor; lines that name another object can be followed.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::app::board::BoardView;
use crate::app::line::Line;
use crate::app::viewport::Viewport;
use crate::human;
use crate::identity::ObjectRef;
use crate::kinds::{Cell, Leads};
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
    /// A related object, or a table of them, that `enter` opens.
    Related {
        /// How it is related, such as `owner` or `selects`.
        how: String,
        /// Where it leads.
        to: Leads,
        /// What else is known about it, such as its health.
        value: Cell,
    },
    /// Words, such as a message that belongs to the line above.
    Words(String),
    /// A line of words that are too long for the place beside the names; it begins at the left.
    Long(String),
    /// An empty line.
    Gap,
}

impl Entry {
    /// Returns the cells that the names of fields have on a screen of a width.
    pub fn names(width: u16) -> u16 {
        (width / 3).clamp(8, 30)
    }

    /// Breaks words that do not fit beside the names on a screen of a width into several lines.
    pub fn wrapped(entries: Vec<Self>, width: u16) -> Vec<Self> {
        let beside = usize::from(width.saturating_sub(Self::names(width) + 3));
        let whole = usize::from(width.saturating_sub(5)).max(20);
        let mut lines = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry {
                Self::Words(words) if human::lines::width(&words) > beside => {
                    let parts = human::lines::wrapped(&words, whole);
                    lines.extend(parts.into_iter().map(|part| Self::Long(part.to_owned())));
                }
                entry => lines.push(entry),
            }
        }
        lines
    }

    /// Returns the line as text, for search and copy.
    pub fn text(&self, now: Timestamp) -> String {
        match self {
            Self::Heading(text) | Self::Words(text) | Self::Long(text) => text.clone(),
            Self::Field { name, value } => format!("{name}: {}", value.text(now)),
            Self::Related { how, to, value } => {
                let to = match to {
                    Leads::One(object) => object.to_string(),
                    Leads::Many { resource, filter, .. } => format!("{resource} {filter}"),
                };
                format!("{how}: {to} {}", value.text(now)).trim_end().to_owned()
            }
            Self::Gap => String::new(),
        }
    }
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
#[derive(Debug)]
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
    /// The revision, document and width that the entries reflect.
    pub(super) described: Option<(u64, u64, u16)>,
    /// Counts the documents.
    pub(super) turn: u64,
    /// The lines of the YAML, made once when the document comes.
    pub yaml: Vec<String>,
    /// The window of the YAML tab.
    pub page: Page,
    /// What the rule of an alert measures, drawn below its lines where there is room.
    pub graph: Option<Box<BoardView>>,
}

impl Detail {
    /// Opens an object.
    pub fn new(object: ObjectRef, tab: Tab) -> Self {
        Self {
            object,
            tab,
            document: Document::Loading,
            entries: Vec::new(),
            described: None,
            turn: 0,
            describe: Page::default(),
            yaml: Vec::new(),
            page: Page::default(),
            graph: None,
        }
    }

    /// Takes the whole object, and makes its YAML.
    pub fn take(&mut self, document: Document) {
        if let Document::Ready(value) = &document {
            let text = serde_saphyr::to_string(value).unwrap_or_else(|error| error.to_string());
            self.yaml = text.lines().map(|line| crate::text::one_line(line).into_owned()).collect();
        }
        self.document = document;
        self.turn += 1;
    }

    /// Returns the value of the line with the cursor, to be copied.
    pub fn value(&self, now: Timestamp) -> Option<String> {
        if self.tab != Tab::Describe {
            return None;
        }
        let text = match self.entries.get(self.describe.view.cursor)? {
            Entry::Field { value, .. } => value.text(now),
            Entry::Related { to: Leads::One(object), .. } => object.name.to_string(),
            entry @ (Entry::Words(_) | Entry::Long(_)) => entry.text(now),
            Entry::Related { .. } | Entry::Heading(_) | Entry::Gap => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// Returns the text of the tab that is shown.
    pub fn page(&self) -> &Page {
        match self.tab {
            Tab::Describe => &self.describe,
            Tab::Yaml => &self.page,
        }
    }

    /// Returns the text of the tab that is shown, to be changed.
    pub fn page_mut(&mut self) -> &mut Page {
        match self.tab {
            Tab::Describe => &mut self.describe,
            Tab::Yaml => &mut self.page,
        }
    }

    /// Returns how many lines the tab that is shown has.
    pub fn len(&self) -> usize {
        match self.tab {
            Tab::Describe => self.entries.len(),
            Tab::Yaml => self.yaml.len(),
        }
    }

    /// Tells whether there is nothing to show yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
