//! What pods, nodes and namespaces use, as the systems beside Kubernetes say it.
//!
//! What nobody has said, or said too long ago, is unknown, and not nought.

use super::{Cell, Lens, Unit};
use crate::identity::{Context, Resource, Text};
use crate::signals::{Answer, Ask, Usage, Used, Using, Wanted};

/// Seconds after which a number is no longer one of now: Prometheus lets go of a series after as long.
const OLD: i64 = 300;

/// Returns what has to be asked so that the use in a table of this type is known.
pub fn asks(context: &Context, resource: &Resource) -> Option<Ask> {
    let using = match (&*resource.group, &*resource.plural) {
        ("", "pods") => Using::Pods,
        ("", "nodes") => Using::Nodes,
        ("", "namespaces") => Using::Namespaces,
        _ => return None,
    };
    Some(ask(context, using))
}

/// Returns the question for what all of them use.
pub fn ask(context: &Context, using: Using) -> Ask {
    Ask { context: context.clone(), wanted: Wanted::Use(using) }
}

impl Lens<'_> {
    /// Returns what is known of the use, where that is not too old.
    pub fn usage(&self, using: Using) -> Option<&Usage> {
        let reading = self.store.reading(&ask(self.context, using))?;
        let fresh = reading.at.is_some_and(|at| self.now.as_second() - at.as_second() <= OLD);
        match reading.told.as_ref().filter(|_| fresh).map(|told| &told.answer) {
            Some(Answer::Usage(usage)) => Some(usage),
            _ => None,
        }
    }

    /// Returns what a pod, a node (without a namespace) or a namespace (without a name) uses.
    pub fn used(&self, using: Using, namespace: &Text, name: &Text) -> Option<Used> {
        self.usage(using)?.get(namespace, name).copied()
    }
}

/// Tells whether a column is about use: its cells are unknown where nobody was asked.
pub fn is_about_use(column: &str) -> bool {
    column.ends_with("-use") || column.ends_with("-share")
}

/// Makes a cell of an amount that may be unknown.
pub(super) fn amount(value: Option<f64>, unit: Unit) -> Cell {
    value.map_or(Cell::Unknown, |value| Cell::Quantity { value, unit })
}

/// Makes a cell of an amount of what there is; of nothing there is no part.
pub(super) fn part(value: Option<f64>, of: f64) -> Cell {
    match value {
        Some(value) if of > 0.0 => Cell::Percent(value / of * 100.0),
        Some(_) => Cell::Empty,
        None => Cell::Unknown,
    }
}
