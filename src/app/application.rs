//! One Argo CD Application: its resources as a tree, its history, its operation, its conditions.

use std::collections::BTreeSet;

use crate::app::detail::Document;
use crate::app::viewport::Viewport;
use crate::identity::ObjectRef;

/// A pane of the view; its number is its place in [`crate::app::spot::Spot::Panel`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pane {
    /// The resources, down to the pods.
    #[default]
    Resources,
    /// What was deployed when by whom, newest first; `rollback` takes the selected entry.
    History,
    /// The operation that runs or ran last, with the result of each resource.
    Operation,
    /// Conditions, sync windows with the next opening, who would undo a manual change.
    Conditions,
}

impl Pane {
    /// Every pane, in the order of the tabs.
    pub const ALL: [Self; 4] = [Self::Resources, Self::History, Self::Operation, Self::Conditions];
}

/// The state of the view.
#[derive(Debug, Clone, PartialEq)]
pub struct Application {
    /// The Application.
    pub object: ObjectRef,
    /// The pane that is shown.
    pub pane: Pane,
    /// The window over the rows of each pane, by the pane's place in [`Pane::ALL`].
    pub views: [Viewport; 4],
    /// The resources that are folded.
    pub folded: BTreeSet<ObjectRef>,
    /// The whole Application, for what the store does not keep.
    pub document: Document,
}

impl Application {
    /// Opens an Application.
    pub fn new(object: ObjectRef) -> Self {
        Self {
            object,
            pane: Pane::Resources,
            views: [Viewport::default(); 4],
            folded: BTreeSet::new(),
            document: Document::Loading,
        }
    }

    /// Returns the window of the pane that is shown.
    pub fn view(&self) -> &Viewport {
        &self.views[self.pane as usize]
    }
}
