//! The overview: tenants worst first, what changed in the last hour, and what is suspected.
//!
//! It holds which panel has the keys and a window over each; the rows are conclusions of the model.

use crate::app::table::Filter;
use crate::app::viewport::Viewport;
use crate::identity::{ObjectRef, Text};

/// A panel of the overview; its number is its place in [`crate::app::spot::Spot::Panel`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Panel {
    /// Tenants, worst first.
    #[default]
    Tenants,
    /// What changed, newest first.
    Changes,
}

/// The state of the overview.
#[derive(Debug, Default)]
pub struct Overview {
    /// The panel that has the keys.
    pub panel: Panel,
    /// The window over the tenants.
    pub tenants: Viewport,
    /// The tenant that is selected, by name: it stays selected when the ranking moves.
    pub selected: Option<Text>,
    /// The window over the changes.
    pub changes: Viewport,
    /// A filter over the tenants' names.
    pub filter: Filter,
    /// The names of the tenants that are shown, worst first.
    pub ranking: Vec<Text>,
    /// The objects of the changes that are shown, newest first.
    pub changed: Vec<Option<ObjectRef>>,
}

impl Overview {
    /// Returns the object of the change that is selected.
    pub fn change_object(&self) -> Option<ObjectRef> {
        self.changed.get(self.changes.cursor)?.clone()
    }
}
