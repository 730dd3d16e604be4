//! Every kind the console knows, and the names under which people look for one.

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    Kind, alerts, argo, batch, certificates, cluster, karpenter, keda, names, network, pods, quota, record,
    secrets, workloads,
};
use crate::identity::Resource;
use crate::nearest::nearest;

/// The kinds, built once and passed by reference.
#[derive(Debug)]
pub struct Kinds {
    all: Vec<Arc<Kind>>,
    /// Every name in lower case to the position of the kind.
    names: HashMap<String, usize>,
    /// Group and kind name, as owner references spell them.
    by_kind: HashMap<(String, String), usize>,
}

impl Default for Kinds {
    fn default() -> Self {
        Self::new()
    }
}

impl Kinds {
    /// Puts the families together, in the order of palette and help.
    pub fn new() -> Self {
        Self::of(
            [
                argo::kinds(),
                vec![pods::kind()],
                workloads::kinds(),
                batch::kinds(),
                keda::kinds(),
                cluster::kinds(),
                karpenter::kinds(),
                network::kinds(),
                names::kinds(),
                certificates::kinds(),
                quota::kinds(),
                secrets::kinds(),
                alerts::kinds(),
                record::kinds(),
            ]
            .into_iter()
            .flatten()
            .map(Arc::new)
            .collect(),
        )
    }

    /// Returns these kinds and one more, such as one that is listed as the server describes it; one that is known
    /// stays as it is.
    #[must_use]
    pub fn with(&self, kind: Kind) -> Self {
        let mut kinds = self.all.clone();
        if self.get(&kind.resource).is_none() {
            kinds.push(Arc::new(kind));
        }
        Self::of(kinds)
    }

    fn of(kinds: Vec<Arc<Kind>>) -> Self {
        let mut names = HashMap::new();
        let mut by_kind = HashMap::new();
        for (at, kind) in kinds.iter().enumerate() {
            for name in spellings(kind) {
                // The first kind of a name keeps it; a registry test sees to it that none is lost.
                names.entry(name).or_insert(at);
            }
            by_kind.insert((kind.resource.group.to_string(), kind.name.to_string()), at);
        }
        Self { all: kinds, names, by_kind }
    }

    /// Returns every kind.
    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.all.iter().map(AsRef::as_ref)
    }

    /// Returns the kind of a resource type.
    pub fn get(&self, resource: &Resource) -> Option<&Kind> {
        self.all.iter().find(|kind| kind.resource == *resource).map(AsRef::as_ref)
    }

    /// Returns the kind that owner references call by group and kind name.
    pub fn by_kind(&self, group: &str, name: &str) -> Option<&Kind> {
        let at = *self.by_kind.get(&(group.to_owned(), name.to_owned()))?;
        self.all.get(at).map(AsRef::as_ref)
    }

    /// Returns the kind that a person means: plural, singular, short name, kind name, or `plural.group`.
    pub fn find(&self, name: &str) -> Option<&Kind> {
        self.all.get(*self.names.get(&name.to_lowercase())?).map(AsRef::as_ref)
    }

    /// Returns the names nearest to one that was not found.
    pub fn nearest(&self, name: &str) -> Vec<&str> {
        nearest(name, self.all.iter().map(|kind| &*kind.resource.plural))
    }
}

/// Returns every name of a kind in lower case.
fn spellings(kind: &Kind) -> Vec<String> {
    let mut names = vec![
        kind.resource.plural.to_string(),
        kind.singular.to_string(),
        kind.resource.to_string(),
        format!("{}.{}", kind.singular, kind.resource.group),
        kind.name.to_lowercase(),
    ];
    names.extend(kind.shorts.iter().map(ToString::to_string));
    names
}
