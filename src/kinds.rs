//! Resource types, each described once: identity, slim fields, typed columns, health, links, verbs.
//!
//! A kind lives in the file of its family; the table, sort, filter, JSON, palette, help and the registry
//! tests follow from its description. Nothing here knows how things are drawn or fetched.

use std::any::Any;

use jiff::Timestamp;

use crate::identity::{ObjectRef, Resource, Text};

mod application_wire;
mod cell;
mod consumers;
mod decode;
mod kind;
mod pool;
mod registry;
mod tenancy;
mod wire;

pub mod alarms;
pub mod alerts;
pub mod applications;
pub mod argo;
pub mod batch;
pub mod certificates;
pub mod cluster;
pub mod concern;
pub mod karpenter;
pub mod keda;
pub mod measured;
pub mod names;
pub mod network;
pub mod pods;
pub mod quota;
pub mod record;
pub mod rollout;
pub mod secret_uses;
pub mod secrets;
pub mod table;
pub mod workloads;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub use cell::natural;
pub use decode::{Frame, Page};
pub use kind::{Column, Kind, Leads, Lens, Link, Shape};
pub use pool::Pool;
pub use registry::Kinds;
pub use tenancy::Tenancy;

/// How well a thing is, from best to worst; what colour, marks and the ranking of tenants follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Healthy,
    /// Deliberately at rest: suspended, paused, finished.
    Idle,
    /// On its way to where it should be.
    Progressing,
    /// Not known: never shown as healthy.
    Unknown,
    /// Works, and somebody should look.
    Warning,
    /// Hurts.
    Degraded,
}

/// The unit of a quantity, which decides how it is written (`250m`, `1.5Gi`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// CPU cores.
    Cores,
    /// Bytes.
    Bytes,
    /// A plain number.
    Plain,
}

/// One value of a row, typed: sort, alignment, colour, filter comparisons and JSON follow from the type.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Does not apply to this object.
    Empty,
    /// Applies, and nobody has said; drawn as `?`, sorted last.
    Unknown,
    /// Text.
    Text(Text),
    /// A whole number.
    Count(i64),
    /// So many of so many, such as ready pods.
    Ratio {
        /// What there is.
        have: i64,
        /// What there should be.
        want: i64,
    },
    /// A percentage, 0 to 100 and beyond.
    Percent(f64),
    /// A quantity of something.
    Quantity {
        /// The amount in the unit.
        value: f64,
        /// The unit.
        unit: Unit,
    },
    /// Used of a total, drawn as a bar.
    Bar {
        /// The amount used.
        used: f64,
        /// The amount there is.
        total: f64,
        /// The unit of both.
        unit: Unit,
    },
    /// A moment, drawn as the time since it (or until it).
    Age(Timestamp),
    /// A word with the health it stands for.
    Status {
        /// The word, as the system spells it.
        text: Text,
        /// What it means.
        health: Health,
    },
    /// The name of another object.
    Link {
        /// What is shown.
        text: Text,
        /// Where `enter` leads.
        to: ObjectRef,
    },
    /// A secret value: it exists, and it is never shown, copied or serialised.
    Hidden,
}

/// The part of `metadata` that the console uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// Namespace; `None` for cluster-scoped objects.
    pub namespace: Option<Text>,
    /// Name.
    pub name: Text,
    /// UID.
    pub uid: Text,
    /// Resource version; opaque.
    pub resource_version: Text,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When its deletion was asked for.
    pub deleted: Option<Timestamp>,
    /// Labels, sorted by key.
    pub labels: Box<[(Text, Text)]>,
    /// Owners.
    pub owners: Box<[Owner]>,
}

impl Meta {
    /// Returns the value of a label.
    pub fn label(&self, key: &str) -> Option<&Text> {
        let at = self.labels.binary_search_by(|(label, _)| (**label).cmp(key)).ok()?;
        self.labels.get(at).map(|(_, value)| value)
    }
}

/// An owner reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The type, by group and kind name (`apps`, `ReplicaSet`), as owner references spell it.
    pub group: Text,
    /// The kind name.
    pub kind: Text,
    /// Its name, in the namespace of the owned object or cluster-scoped.
    pub name: Text,
    /// Its UID.
    pub uid: Text,
    /// Whether it is the controller.
    pub controller: bool,
}

/// An object as the store keeps it: the slim fields of its kind.
#[derive(Debug)]
pub struct Object {
    /// Its metadata.
    pub meta: Meta,
    /// The slim type of its kind; [`Object::body`] gives it back.
    pub slim: Box<dyn Any + Send + Sync>,
}

impl Object {
    /// Returns the slim body, or `None` where the object is of another kind.
    pub fn body<T: 'static>(&self) -> Option<&T> {
        self.slim.downcast_ref()
    }
}

/// An object that could not be decoded: skipped, counted, shown as a warning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{resource} {name}: {reason}")]
pub struct Garbled {
    /// The type.
    pub resource: Resource,
    /// `namespace/name` as far as it could be read, else `?`.
    pub name: String,
    /// What was wrong, in the decoder's words.
    pub reason: String,
}
