//! The overview: tenants worst first, what changed in the last hour, and what is suspected.
//!
//! It holds which panel has the keys and a window over each; the rows are conclusions of the model
//! ([`crate::model::tenants`], [`crate::model::timeline`]), which the state keeps.

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
    /// The Applications on which auto-sync is held, the one that ends first before the others.
    Held,
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
    /// Whether the person has moved or acted here. Until then the first tenant is the selected one, whichever that
    /// is: the worst comes to stand there while the lists fill.
    pub chosen: bool,
    /// The window over the changes.
    pub changes: Viewport,
    /// A filter over the tenants' names.
    pub filter: Filter,
    /// The names of the tenants that are shown, worst first.
    pub ranking: Vec<Text>,
    /// The changes that are shown, newest first, by their place in the timeline.
    pub changed: Vec<usize>,
    /// The window over the holds.
    pub holds: Viewport,
    /// The Application of the hold that is selected: it stays selected when the others move.
    pub hold: Option<ObjectRef>,
    /// The holds that are shown, by their place among all.
    pub held: Vec<usize>,
}
