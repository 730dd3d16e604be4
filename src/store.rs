//! What the world looks like, as far as the sources have said.
//!
//! One owner, no locks: tasks send [`Envelope`]s, the loop puts them in with [`Store::apply`]. Nothing here
//! fetches, waits, draws or reads a clock.
//!
//! # Why
//!
//! Late mail from a dropped subscription is discarded here and nowhere else: every start of a subscription
//! opens a new life (an epoch), and mail of another life is thrown away on arrival. So no task has to be
//! waited for when a screen changes.
//!
//! A relist swaps in atomically ([`Shelf`]): while a list is being refilled the old rows stay, marked as such,
//! because an empty table for the length of a list is a lie, and so is a table that is half of before and half
//! of after. What vanished during the gap vanishes at the swap. Only a first list shows its pages as they come.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::{Garbled, Object};
use crate::signals::{Ask, Report};
use crate::sources::SourceError;

mod feed;
pub mod lines;
mod links;
mod reading;
mod shelf;

#[cfg(test)]
mod tests;

pub use feed::{Feed, Hidden, Stage};
pub use links::Load;
pub use reading::Reading;
pub use shelf::{Shelf, Slot};

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

    /// Everything of a type in one namespace.
    pub fn within(context: &Context, resource: &Resource, namespace: &str) -> Self {
        Self { namespace: Some(Arc::from(namespace)), ..Self::all(context, resource) }
    }

    /// Tells whether it lists everything of its type: no namespace and no selector narrows it.
    pub fn is_everything(&self) -> bool {
        self.namespace.is_none() && self.labels.is_empty() && self.fields.is_empty()
    }
}

/// What a task sends: which subscription, which life of it, and what happened.
#[derive(Debug)]
pub struct Envelope {
    /// The subscription.
    pub query: Query,
    /// The life of the subscription; mail of an earlier life is discarded.
    pub epoch: u64,
    /// The namespace it speaks for, where a list is put together from several; `None` for the whole query.
    pub part: Option<Text>,
    /// When it was received.
    pub at: Timestamp,
    /// What happened.
    pub update: Update,
}

/// One thing that happened to a kept list, or to the part of it that the envelope names.
#[derive(Debug)]
pub enum Update {
    /// The list is put together from these namespaces from now on, because listing all at once is not
    /// permitted; what belongs to no part goes. An empty list of parts means one list for all again.
    Split {
        /// The namespaces that are listed.
        parts: Vec<Text>,
        /// What is not seen, and why.
        hidden: Vec<Hidden>,
    },
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
    /// The list is whole: it replaces what was there.
    ListDone,
    /// Changes of a watch, in order.
    Changed {
        /// The changes.
        changes: Vec<Change>,
        /// Those that could not be decoded.
        garbled: Vec<Garbled>,
    },
    /// The watch is alive, though nothing changed: it was opened, or sent a bookmark.
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

/// Everything that is known, for any number of contexts at once.
#[derive(Debug, Default)]
pub struct Store {
    /// Ordered, so that whatever walks over the shelves does so in the same order every time.
    shelves: BTreeMap<Query, Shelf>,
    /// The life that mail must carry to be taken; a query without one takes none.
    lives: HashMap<Query, u64>,
    /// What the systems beside Kubernetes answered.
    readings: BTreeMap<Ask, Reading>,
    /// The life that a report must carry to be taken.
    asked: HashMap<Ask, u64>,
    /// The last epoch that was given out, over all queries: a number never comes back.
    epoch: u64,
    /// The number of the last change, over all shelves.
    revision: u64,
    /// Mail of earlier lives that was thrown away.
    late: u64,
}

impl Store {
    /// Starts a life of a subscription and returns its epoch; mail of earlier lives is discarded from now on.
    ///
    /// What the shelf holds from an earlier life stays until the new list is whole.
    pub fn subscribe(&mut self, query: &Query) -> u64 {
        self.epoch += 1;
        self.lives.insert(query.clone(), self.epoch);
        self.revision += 1;
        let revision = self.revision;
        self.shelves.entry(query.clone()).or_insert_with(|| Shelf::new(revision)).revive();
        self.epoch
    }

    /// Ends a subscription: its later mail is discarded; what it brought stays, marked as no longer kept.
    pub fn unsubscribe(&mut self, query: &Query, at: Timestamp) {
        if self.lives.remove(query).is_some()
            && let Some(shelf) = self.shelves.get_mut(query)
        {
            shelf.end(at);
        }
    }

    /// Ends a subscription and forgets what it brought.
    pub fn forget(&mut self, query: &Query) {
        self.lives.remove(query);
        self.shelves.remove(query);
    }

    /// Ends every subscription of a context and forgets what they brought.
    pub fn forget_context(&mut self, context: &Context) {
        self.lives.retain(|query, _| query.context != *context);
        self.shelves.retain(|query, _| query.context != *context);
        self.asked.retain(|ask, _| ask.context != *context);
        self.readings.retain(|ask, _| ask.context != *context);
    }

    /// Starts a life of a question and returns its epoch; reports of earlier lives are discarded from now on.
    ///
    /// The answer of an earlier life stays, with its age, until there is a new one.
    pub fn ask(&mut self, ask: &Ask) -> u64 {
        self.epoch += 1;
        self.asked.insert(ask.clone(), self.epoch);
        self.readings.entry(ask.clone()).or_default().kept = true;
        self.epoch
    }

    /// Ends a question: later reports are discarded; the last answer stays, marked as no longer kept.
    pub fn stop_asking(&mut self, ask: &Ask) {
        self.asked.remove(ask);
        if let Some(reading) = self.readings.get_mut(ask) {
            reading.kept = false;
        }
    }

    /// Ends a question and forgets its answer.
    pub fn forget_answer(&mut self, ask: &Ask) {
        self.asked.remove(ask);
        self.readings.remove(ask);
    }

    /// Puts a report in and tells whether anything that is shown changed by it.
    pub fn report(&mut self, report: Report) -> bool {
        if self.asked.get(&report.ask) != Some(&report.epoch) {
            self.late += 1;
            return false;
        }
        self.revision += 1;
        let revision = self.revision;
        let Some(reading) = self.readings.get_mut(&report.ask) else { return false };
        reading.take(report, revision);
        true
    }

    /// Returns what was answered to a question that is or was asked.
    pub fn reading(&self, ask: &Ask) -> Option<&Reading> {
        self.readings.get(ask)
    }

    /// Puts mail in and tells whether anything that is shown changed by it.
    pub fn apply(&mut self, envelope: Envelope) -> bool {
        let Envelope { query, epoch, part, at, update } = envelope;
        if self.lives.get(&query) != Some(&epoch) {
            self.late += 1;
            return false;
        }
        // A number is taken also where nothing changes: gaps cost nothing.
        self.revision += 1;
        let revision = self.revision;
        self.shelves.get_mut(&query).is_some_and(|shelf| shelf.apply(part, at, update, revision))
    }

    /// Returns the kept list of a query, if it was ever subscribed to and not forgotten.
    pub fn shelf(&self, query: &Query) -> Option<&Shelf> {
        self.shelves.get(query)
    }

    /// Returns every kept list of a type in a context, the widest first.
    pub fn shelves_of(&self, context: &Context, resource: &Resource) -> impl Iterator<Item = &Shelf> {
        // The order of queries puts the one without namespace and selectors first.
        self.shelves
            .range(Query::all(context, resource)..)
            .take_while(move |(query, _)| query.context == *context && query.resource == *resource)
            .map(|(_, shelf)| shelf)
    }

    /// Returns every kept list with its query.
    pub fn shelves(&self) -> impl Iterator<Item = (&Query, &Shelf)> {
        self.shelves.iter()
    }

    /// Looks an object up in whatever list holds it.
    pub fn object(&self, object: &ObjectRef) -> Option<&Arc<Object>> {
        self.shelves_of(&object.context, &object.resource)
            .find_map(|shelf| shelf.get(object.namespace.as_deref(), &object.name))
    }

    /// Returns the number of the last change, over all lists: it differs whenever anything did.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns how much mail of earlier lives was thrown away.
    pub fn late_mail(&self) -> u64 {
        self.late
    }
}
