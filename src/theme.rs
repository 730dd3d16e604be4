//! Themes: what each role looks like. A theme is a TOML file; the program speaks of roles only.
//!
//! Colour means state and nothing else, and never carries it alone: whoever draws a role of health also
//! draws its mark or its word. (Curves of graphs have colours that mean nothing, none of which is one of a state;
//! letters tell them apart.) A theme names every role, by itself or through the theme it `inherits`.
//!
//! A file looks like this (`fg` alone may be written as a plain string):
//!
//! ```toml
//! description = "for a bright room"
//! inherits = "light"
//!
//! [colors]
//! blood = "#aa0000"
//!
//! [roles]
//! degraded = { fg = "blood", bold = true }
//! dim = "bright-black"
//! ```
//!
//! A colour is `default`, one of the sixteen (`red`, `bright-red`), an index (`ansi-208`), `#rrggbb`, or a
//! name from `[colors]`. Where the terminal shows fewer colours the nearest one is taken; where `NO_COLOR` is
//! set only bold, reverse and underline remain.

mod color;
mod file;

use ratatui::style::Style;

pub use color::Depth;
pub use file::{Shelf, ThemeError};

use crate::kinds::Health;

macro_rules! roles {
    ($($(#[doc = $doc:literal])+ $role:ident = $name:literal,)+) => {
        /// What something on the screen is; a theme decides what it looks like.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Role { $($(#[doc = $doc])+ $role,)+ }

        impl Role {
            /// Every role, in the order of its definition.
            pub const ALL: &'static [Role] = &[$(Role::$role,)+];

            /// Returns the name that theme files use.
            pub const fn name(self) -> &'static str {
                match self { $(Role::$role => $name,)+ }
            }

            /// Returns what the role is for, in a sentence.
            pub const fn doc(self) -> &'static str {
                match self { $(Role::$role => concat!($($doc),+),)+ }
            }
        }
    };
}

roles! {
    /// Ordinary text, and the background of the screen.
    Text = "text",
    /// Text that matters less: units, hints, what is at its default.
    Dim = "dim",
    /// Text that matters more: names, values that were asked for.
    Strong = "strong",
    /// Titles of panels and the names of columns.
    Title = "title",
    /// The column by which a table is sorted.
    Sorted = "sorted",
    /// Lines between and around panels.
    Border = "border",
    /// The border of the panel that has the keys.
    Focus = "focus",
    /// The header line.
    Header = "header",
    /// The footer line.
    Footer = "footer",
    /// A key in footer and help.
    Key = "key",
    /// The row that is selected.
    Selected = "selected",
    /// A row that is marked.
    Marked = "marked",
    /// Text that matches a filter or search.
    Match = "match",
    /// The match the search stands at.
    MatchHere = "match-here",
    /// A line in which a person types.
    Input = "input",
    /// The rest of a completion that Tab would take.
    Completion = "completion",
    /// Health: as it should be.
    Healthy = "healthy",
    /// Health: deliberately at rest.
    Idle = "idle",
    /// Health: on its way.
    Progressing = "progressing",
    /// Health: not known.
    Unknown = "unknown",
    /// Health: works, and somebody should look.
    Warning = "warning",
    /// Health: hurts.
    Degraded = "degraded",
    /// Data that is old or partial.
    Stale = "stale",
    /// The badge of an environment of class dev.
    EnvDev = "env-dev",
    /// The badge of an environment of class qa.
    EnvQa = "env-qa",
    /// The badge of an environment of class staging.
    EnvStaging = "env-staging",
    /// The badge of a production environment: never to be overlooked.
    EnvProd = "env-prod",
    /// The badge of a context whose environment nobody has named.
    EnvUnknown = "env-unknown",
    /// The badge of read-only mode.
    ReadOnly = "read-only",
    /// A line that was added.
    Added = "added",
    /// A line that was removed.
    Removed = "removed",
    /// The full part of a bar; the part that is used up is drawn in a role of health where it hurts.
    BarFull = "bar-full",
    /// The empty part of a bar.
    BarEmpty = "bar-empty",
    /// The first curve of a graph; curves have letters, and their colours mean nothing.
    Series1 = "series-1",
    /// The second curve of a graph.
    Series2 = "series-2",
    /// The third curve of a graph.
    Series3 = "series-3",
    /// The fourth curve of a graph.
    Series4 = "series-4",
    /// The fifth curve of a graph.
    Series5 = "series-5",
    /// The sixth curve of a graph; after it the colours begin again.
    Series6 = "series-6",
}

impl Role {
    /// Returns the role of a curve of a graph.
    pub const fn series(number: usize) -> Self {
        match number % 6 {
            0 => Self::Series1,
            1 => Self::Series2,
            2 => Self::Series3,
            3 => Self::Series4,
            4 => Self::Series5,
            _ => Self::Series6,
        }
    }
}

impl From<Health> for Role {
    fn from(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Healthy,
            Health::Idle => Self::Idle,
            Health::Progressing => Self::Progressing,
            Health::Unknown => Self::Unknown,
            Health::Warning => Self::Warning,
            Health::Degraded => Self::Degraded,
        }
    }
}

/// A theme, resolved for what the terminal can show.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    name: String,
    depth: Depth,
    styles: Vec<Style>,
    /// Whether borders are drawn with `+`, `-` and `|`.
    pub ascii: bool,
}

impl Theme {
    /// Returns the name of the theme.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many colours it was resolved for.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// Returns what a role looks like.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    /// Returns what a health looks like; the caller draws its mark or word as well.
    pub fn health(&self, health: Health) -> Style {
        self.style(health.into())
    }
}

#[cfg(test)]
mod tests;
