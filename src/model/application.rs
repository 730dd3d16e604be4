//! The tree of what an Application deploys, from what it manages down to the pods.
//!
//! Put together from the Application and from owner references of what the store holds; without argocd-server.

use std::sync::Arc;

use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::applications::{Application, Managed, health_of};
use crate::kinds::{Health, Lens, Object};

/// How deep the tree goes: Application, Deployment, ReplicaSet, pod.
const DEPTH: usize = 4;

/// A line of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// How deep it stands; what the Application manages is at 0.
    pub depth: usize,
    /// The object, where its kind is known to the console.
    pub object: Option<ObjectRef>,
    /// The kind name.
    pub kind: Text,
    /// The name.
    pub name: Text,
    /// The namespace.
    pub namespace: Option<Text>,
    /// `Synced`, `OutOfSync`; `None` for what is not in Git itself, such as pods.
    pub sync: Option<Text>,
    /// How it is; unknown where nobody can tell, and `None` for what is neither well nor ill.
    pub health: Option<Health>,
    /// Why, in words.
    pub why: Text,
    /// Whether the health was worked out here from live objects, and may differ from Argo CD's.
    pub approximate: bool,
    /// Whether it is no longer in Git.
    pub prunable: bool,
    /// Whether anything hangs on it.
    pub has_children: bool,
}

/// Returns the tree of what an Application deploys: what it manages, and what that owns as far as the lists that
/// are kept tell.
pub fn tree(application: &Application, lens: &Lens<'_>) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut managed: Vec<&Managed> = application.resources.iter().filter(|managed| !managed.hook).collect();
    managed.sort_by(|a, b| (rank(a), &a.kind, &a.name).cmp(&(rank(b), &b.kind, &b.name)));
    for managed in managed {
        let kind = lens.kinds.by_kind(&managed.group, &managed.kind);
        let object = kind.map(|kind| lens.object(&kind.resource, managed.namespace.as_ref(), &managed.name));
        let live = object.as_ref().and_then(|object| lens.store.object(object));
        let (health, why, approximate) = match (&managed.health, live, kind) {
            (Some(word), _, _) => (Some(health_of(word)), Text::from(""), false),
            (None, Some(live), Some(kind)) => match kind.health(live, lens) {
                // Of what has no health of its own, nobody can tell.
                (Health::Idle, why) if why.is_empty() => (None, why, false),
                (health, why) => (Some(health), why, true),
            },
            // Not asked for, not permitted, or of a type that the console does not judge: unknown is not well.
            _ if has_health(managed) => (Some(Health::Unknown), Text::from(""), false),
            _ => (None, Text::from(""), false),
        };
        let at = leaves.len();
        leaves.push(Leaf {
            depth: 0,
            object,
            kind: managed.kind.clone(),
            name: managed.name.clone(),
            namespace: managed.namespace.clone(),
            sync: managed.sync.clone(),
            health,
            why,
            approximate,
            prunable: managed.prunable,
            has_children: false,
        });
        if let Some(live) = live {
            grow(live, 1, lens, &mut leaves);
        }
        let grown = leaves.len() > at + 1;
        if let Some(leaf) = leaves.get_mut(at) {
            leaf.has_children = grown;
        }
    }
    leaves
}

/// The kinds of Kubernetes itself that Argo CD judges always; of a Service it only judges a load balancer.
const JUDGED: [&str; 11] = [
    "APIService",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "PersistentVolumeClaim",
    "Pod",
    "ReplicaSet",
    "StatefulSet",
];

/// Tells whether a thing can be well or ill: a ConfigMap or a Role is neither, a custom resource may be.
fn has_health(managed: &Managed) -> bool {
    let of_kubernetes = !managed.group.contains('.') || managed.group.ends_with(".k8s.io");
    !of_kubernetes || JUDGED.contains(&&*managed.kind)
}

/// Workloads first: they are what hurts.
fn rank(managed: &Managed) -> u8 {
    match &*managed.kind {
        "Application" | "ApplicationSet" => 0,
        "Deployment" | "StatefulSet" | "DaemonSet" | "CronJob" | "Job" => 1,
        "Service" | "Ingress" => 2,
        _ => 3,
    }
}

/// Adds what an object owns.
fn grow(owner: &Arc<Object>, depth: usize, lens: &Lens<'_>, leaves: &mut Vec<Leaf>) {
    if depth >= DEPTH {
        return;
    }
    for (group, plural) in [("apps", "replicasets"), ("batch", "jobs"), ("", "pods")] {
        let resource = Resource::new(group, plural);
        let (Some(shelf), Some(kind)) = (lens.shelf(&resource), lens.kinds.get(&resource)) else { continue };
        let mut owned: Vec<&Arc<Object>> = shelf.owned_by(&owner.meta.uid).collect();
        // The newest revision is what is looked for.
        owned.sort_by(|a, b| b.meta.created.cmp(&a.meta.created).then_with(|| a.meta.name.cmp(&b.meta.name)));
        for object in owned {
            let (health, why) = kind.health(object, lens);
            // Old revisions without pods are history, not part of what runs.
            if plural == "replicasets" && health == Health::Idle {
                continue;
            }
            let at = leaves.len();
            leaves.push(Leaf {
                depth,
                object: Some(kind.reference(lens.context, object)),
                kind: kind.name.clone(),
                name: object.meta.name.clone(),
                namespace: object.meta.namespace.clone(),
                sync: None,
                health: Some(health),
                why,
                approximate: true,
                prunable: false,
                has_children: false,
            });
            grow(object, depth + 1, lens, leaves);
            let grown = leaves.len() > at + 1;
            if let Some(leaf) = leaves.get_mut(at) {
                leaf.has_children = grown;
            }
        }
    }
}

#[cfg(test)]
mod tests;
