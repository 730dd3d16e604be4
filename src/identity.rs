//! Who an object is: context, resource, namespace, name, and the UID where something is to be changed.
//!
//! A bare name never leaves a module. Two clusters hold two `checkout` applications, two API groups hold
//! two `clusters` resources, and a deleted pod may come back under its own name: only the whole identity
//! tells them apart.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Text that is shared between many objects: namespaces, nodes, label keys and values.
pub type Text = Arc<str>;

/// A kubeconfig context: one cluster seen as one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(pub Text);

impl Context {
    /// Names a context.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// Returns the name as the kubeconfig spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource type: API group and plural, never the plural alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Text,
    /// Plural name as it stands in the path, such as `pods`.
    pub plural: Text,
}

impl Resource {
    /// Names a resource type.
    pub fn new(group: &str, plural: &str) -> Self {
        Self { group: Arc::from(group), plural: Arc::from(plural) }
    }
}

/// Writes `pods` or `applications.argoproj.io`, the form that kubectl takes.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.plural)
        } else {
            write!(f, "{}.{}", self.plural, self.group)
        }
    }
}

/// One object by name: what a screen selects, a link points to, a record speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The cluster.
    pub context: Context,
    /// The type.
    pub resource: Resource,
    /// The namespace; `None` for cluster-scoped objects.
    pub namespace: Option<Text>,
    /// The name.
    pub name: Text,
}

/// Writes `pods tenant-2/checkout-7f9c` or `nodes ip-10-0-3-17`; the context stands in the header.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.resource, self.name),
            None => write!(f, "{} {}", self.resource, self.name),
        }
    }
}

/// One object as it was when a question about it was asked.
///
/// A mutation names a target, so that a table that moves, or an object that is deleted and created again
/// under the same name, cannot change what is touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The object.
    pub object: ObjectRef,
    /// `metadata.uid` when the question was asked.
    pub uid: Text,
    /// `metadata.resourceVersion` when the question was asked; opaque, compared for equality only.
    pub resource_version: Text,
}
