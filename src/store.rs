//! What the world looks like, as far as the sources have said.
//!
//! One owner, no locks: tasks send [`Envelope`]s, the loop puts them in. Late mail from a dropped
//! subscription is discarded here and nowhere else. A relist swaps in atomically: while a list is being
//! refilled the old one stays, marked as such.

use std::sync::Arc;

use jiff::Timestamp;

use crate::identity::{Context, Resource, Text};
use crate::kinds::{Garbled, Object};
use crate::sources::SourceError;

/// One list that is kept: a type in a context, narrowed by selectors that the server evaluates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Query {
    /// The cluster.
    pub context: Context,
    /// The type.
    pub resource: Resource,
    /// One namespace, or `None` for all that are permitted.
    pub namespace: Option<Text>,
    /// A label selector, or empty.
    pub labels: Text,
    /// A field selector, or empty.
    pub fields: Text,
}

impl Query {
    /// Everything of a type in a context.
    pub fn all(context: &Context, resource: &Resource) -> Self {
        Self {
            context: context.clone(),
            resource: resource.clone(),
            namespace: None,
            labels: Arc::from(""),
            fields: Arc::from(""),
        }
    }
}

/// What a task sends: which subscription, which life of it, and what happened.
#[derive(Debug)]
pub struct Envelope {
    /// The subscription.
    pub query: Query,
    /// The life of the subscription; mail of an earlier life is discarded.
    pub epoch: u64,
    /// When it was received.
    pub at: Timestamp,
    /// What happened.
    pub update: Update,
}

/// One thing that happened to a kept list.
#[derive(Debug)]
pub enum Update {
    /// A list begins; what is there stays on screen, marked.
    ListStarted,
    /// A page of the list.
    Page {
        /// The objects.
        objects: Vec<Arc<Object>>,
        /// Those that could not be decoded.
        garbled: Vec<Garbled>,
        /// How many are still to come, where the server said.
        remaining: Option<u64>,
    },
    /// The list is whole: it replaces what was there. `hidden` names what could not be listed.
    ListDone {
        /// Namespaces that may not be listed, with the reason; empty when the list is complete.
        hidden: Vec<(Text, SourceError)>,
    },
    /// Changes of a watch, in order.
    Changed {
        /// The changes.
        changes: Vec<Change>,
        /// Those that could not be decoded.
        garbled: Vec<Garbled>,
    },
    /// The watch is alive, though nothing changed (a bookmark).
    Alive,
    /// The list or watch failed and will be tried again.
    Failed {
        /// Why.
        error: SourceError,
        /// When it is tried again.
        retry_at: Option<Timestamp>,
    },
}

/// One change of an object.
#[derive(Debug, Clone)]
pub enum Change {
    /// The object is new or different.
    Put(Arc<Object>),
    /// The object is gone.
    Gone {
        /// Its namespace.
        namespace: Option<Text>,
        /// Its name.
        name: Text,
    },
}
