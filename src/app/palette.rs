//! The palette: one line that goes anywhere, with suggestions.
//!
//! A line may carry a kind, a namespace, a filter and a context: `pods -n tenant-2 /checkout @prod-eu-1`.

use crate::app::line::Line;

/// What a suggestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// A kind: opens its table.
    Kind,
    /// An object by name: opens it.
    Name,
    /// A context: connects to it.
    Context,
    /// A tenant: shows it alone.
    Tenant,
    /// A namespace: shows it alone.
    Namespace,
    /// A theme.
    Theme,
    /// A command.
    Command,
}

/// One suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What it is.
    pub sort: Sort,
    /// The whole line that taking it makes.
    pub line: String,
    /// What is shown.
    pub text: String,
    /// What stands beside it, dim: the short names of a kind, the namespace of an object.
    pub hint: String,
    /// The letters of `text` that matched, as character positions.
    pub matched: Vec<u32>,
}

/// The state of the palette.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Palette {
    /// The line.
    pub line: Line,
    /// The suggestions, best first.
    pub suggestions: Vec<Suggestion>,
    /// The selected suggestion; `None` while the line is taken as it is typed.
    pub selected: Option<usize>,
    /// What is wrong with the line, after it was tried.
    pub error: Option<String>,
}
