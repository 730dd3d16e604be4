//! One Argo CD Application: its resources as a tree, its history, its operation, its conditions.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::app::detail::Document;
use crate::app::viewport::Viewport;
use crate::identity::{ObjectRef, Text};
use crate::kinds::Health;
use crate::signals::Ask;

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
    /// How many lines the panes of text have, brought up to date before each frame.
    pub lines: usize,
    /// The revision and number of folds that the tree reflects.
    pub(super) grown: Option<(u64, usize)>,
    /// The rows of the resource tree, brought up to date before each frame.
    pub tree: Vec<Node>,
    /// What argocd-server is asked for the tree, once the Application is known.
    pub ask: Option<Ask>,
    /// Whether argocd-server told the tree; otherwise it is put together from owner references.
    pub is_told: bool,
}

/// A row of the resource tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// How deep it stands; the Application itself is 0.
    pub depth: usize,
    /// The object; `None` for a type that the console does not know.
    pub object: Option<ObjectRef>,
    /// What is shown: `Deployment/checkout`.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Why, in words.
    pub why: Text,
    /// Argo CD's word on whether it is as in Git; empty for what Argo CD does not manage.
    pub sync: Text,
    /// Whether something stands below it.
    pub has_children: bool,
    /// Whether what stands below it is folded away.
    pub folded: bool,
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
            lines: 0,
            grown: None,
            tree: Vec::new(),
            ask: None,
            is_told: false,
        }
    }

    /// Returns the window of the pane that is shown.
    pub fn view(&self) -> &Viewport {
        &self.views[self.pane as usize]
    }

    /// Returns the object that is selected in the tree.
    pub fn selected(&self) -> Option<ObjectRef> {
        if self.pane != Pane::Resources {
            return None;
        }
        self.tree.get(self.view().cursor)?.object.clone()
    }

    /// Returns how many rows the pane that is shown has.
    pub fn len(&self) -> usize {
        match self.pane {
            Pane::Resources => self.tree.len(),
            Pane::History => self.history().count(),
            Pane::Operation | Pane::Conditions => self.lines,
        }
    }

    /// Tells whether the pane that is shown has no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the entries of the history, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Value> {
        let entries = match &self.document {
            Document::Ready(value) => value.pointer("/status/history").and_then(Value::as_array),
            Document::Loading | Document::Failed(_) => None,
        };
        entries.into_iter().flatten().rev()
    }

    /// Returns the id of the entry of the history that is selected.
    pub fn history_id(&self) -> Option<i64> {
        self.history().nth(self.views[Pane::History as usize].cursor)?.get("id")?.as_i64()
    }
}
