//! The tree of what an Application deploys, from what it manages down to the pods.
//!
//! What hangs on what is told by argocd-server where it answers: it knows every type. What the store holds is newer
//! and says more of what the console knows; where argocd-server is not there, owner references of it are the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::applications::{Application, Managed, health_of};
use crate::kinds::{Health, Kind, Lens, Object};
use crate::signals::{Answer, Ask, Branch, Wanted};

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

/// Returns what has to be asked of argocd-server for the tree.
pub fn ask(object: &ObjectRef, application: &Application) -> Ask {
    let wanted = Wanted::Tree { application: object.clone(), project: application.project.clone() };
    Ask { context: object.context.clone(), wanted }
}

/// Returns what argocd-server told of the tree, unless that is nothing, or of before it fell silent.
pub fn told<'a>(object: &ObjectRef, application: &Application, lens: &Lens<'a>) -> Option<&'a [Branch]> {
    let reading = lens.store.reading(&ask(object, application)).filter(|reading| reading.is_fresh())?;
    match &reading.told.as_ref()?.answer {
        Answer::Tree(branches) if !branches.is_empty() => Some(branches),
        _ => None,
    }
}

/// Returns the tree of what an Application deploys: what it manages, and what hangs on that as far as
/// argocd-server or the lists that are kept tell.
pub fn tree(application: &Application, told: Option<&[Branch]>, lens: &Lens<'_>) -> Vec<Leaf> {
    let told = Told::new(told.unwrap_or_default());
    let mut grower = Grower { told, lens, leaves: Vec::new(), seen: BTreeSet::new() };
    let mut managed: Vec<&Managed> = application.resources.iter().filter(|managed| !managed.hook).collect();
    managed.sort_by(|a, b| (rank(a), &a.kind, &a.name).cmp(&(rank(b), &b.kind, &b.name)));
    for managed in managed {
        grower.root(managed);
    }
    grower.leaves
}

/// What argocd-server told, by what it is looked up with.
struct Told<'a> {
    /// By group, kind, namespace and name.
    named: BTreeMap<(&'a str, &'a str, Option<&'a str>, &'a str), &'a Branch>,
    /// By the UID of what they hang on.
    below: BTreeMap<&'a str, Vec<&'a Branch>>,
}

impl<'a> Told<'a> {
    fn new(branches: &'a [Branch]) -> Self {
        let mut told = Self { named: BTreeMap::new(), below: BTreeMap::new() };
        for branch in branches {
            let name = (&*branch.group, &*branch.kind, branch.namespace.as_deref(), &*branch.name);
            told.named.insert(name, branch);
            for parent in branch.parents.iter().filter(|parent| !parent.is_empty()) {
                told.below.entry(parent).or_default().push(branch);
            }
        }
        told
    }

    fn of(&self, managed: &Managed) -> Option<&'a Branch> {
        let name = (&*managed.group, &*managed.kind, managed.namespace.as_deref(), &*managed.name);
        self.named.get(&name).copied()
    }
}

/// Puts the tree together.
struct Grower<'a, 'l> {
    told: Told<'a>,
    lens: &'a Lens<'l>,
    leaves: Vec<Leaf>,
    /// The UIDs that have their place: a thing with two owners, or a circle of them, is shown once.
    seen: BTreeSet<Text>,
}

impl Grower<'_, '_> {
    /// Adds what the Application manages itself, with what hangs on it.
    fn root(&mut self, managed: &Managed) {
        let lens = self.lens;
        let kind = lens.kinds.by_kind(&managed.group, &managed.kind);
        let object = kind.map(|kind| lens.object(&kind.resource, managed.namespace.as_ref(), &managed.name));
        let live = object.as_ref().and_then(|object| lens.store.object(object));
        let branch = self.told.of(managed);
        let (health, why, approximate) = match (&managed.health, branch, live, kind) {
            // argocd-server reads it from where the controller would write it.
            (_, Some(branch), _, _) => {
                (branch.health.as_deref().map(health_of), branch.message.clone(), false)
            }
            (Some(word), None, _, _) => (Some(health_of(word)), Text::from(""), false),
            (None, None, Some(live), Some(kind)) => match kind.health(live, lens) {
                // Of what has no health of its own, nobody can tell.
                (Health::Idle, why) if why.is_empty() => (None, why, false),
                (health, why) => (Some(health), why, true),
            },
            // Not asked for, not permitted, or of a type that the console does not judge: unknown is not well.
            _ if has_health(managed) => (Some(Health::Unknown), Text::from(""), false),
            _ => (None, Text::from(""), false),
        };
        let leaf = Leaf {
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
        };
        let uid = live.map(|live| live.meta.uid.clone()).or_else(|| branch.map(|branch| branch.uid.clone()));
        self.add(leaf, uid);
    }

    /// Adds a line, then what hangs on the object with this UID.
    fn add(&mut self, leaf: Leaf, uid: Option<Text>) {
        let (at, depth) = (self.leaves.len(), leaf.depth + 1);
        self.leaves.push(leaf);
        if let Some(uid) = uid.filter(|uid| !uid.is_empty())
            && self.seen.insert(uid.clone())
            && depth < DEPTH
        {
            self.live_below(&uid, depth);
            self.told_below(&uid, depth);
        }
        let grown = self.leaves.len() > at + 1;
        if let Some(leaf) = self.leaves.get_mut(at) {
            leaf.has_children = grown;
        }
    }

    /// Adds what the store holds of what an object owns.
    fn live_below(&mut self, owner: &str, depth: usize) {
        let lens = self.lens;
        for resource in owned() {
            let (Some(shelf), Some(kind)) = (lens.shelf(&resource), lens.kinds.get(&resource)) else {
                continue;
            };
            let mut owned: Vec<&Arc<Object>> = shelf.owned_by(owner).collect();
            // The newest revision is what is looked for.
            owned.sort_by(|a, b| {
                b.meta.created.cmp(&a.meta.created).then_with(|| a.meta.name.cmp(&b.meta.name))
            });
            for object in owned {
                let (health, why) = kind.health(object, lens);
                // Old revisions without pods are history, not part of what runs.
                if &*resource.plural == "replicasets" && health == Health::Idle {
                    continue;
                }
                self.add(of_live(kind, object, lens, depth, (health, why)), Some(object.meta.uid.clone()));
            }
        }
    }

    /// Adds what argocd-server alone knows to hang on an object.
    fn told_below(&mut self, owner: &str, depth: usize) {
        let mut branches = self.told.below.get(owner).cloned().unwrap_or_default();
        branches.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        for branch in branches {
            let kind = self.lens.kinds.by_kind(&branch.group, &branch.kind);
            // A list that is kept is newer: what it does not have is gone, and what it has stands there already.
            let is_kept =
                |kind: &Kind| owned().contains(&kind.resource) && self.lens.whole(&kind.resource).is_some();
            if self.seen.contains(&branch.uid) || kind.is_some_and(is_kept) {
                continue;
            }
            let leaf = Leaf {
                depth,
                object: kind
                    .map(|kind| self.lens.object(&kind.resource, branch.namespace.as_ref(), &branch.name)),
                kind: branch.kind.clone(),
                name: branch.name.clone(),
                namespace: branch.namespace.clone(),
                sync: None,
                health: branch.health.as_deref().map(health_of),
                why: branch.message.clone(),
                approximate: false,
                prunable: false,
                has_children: false,
            };
            self.add(leaf, Some(branch.uid.clone()));
        }
    }
}

/// The types whose lists are kept for the tree.
fn owned() -> [Resource; 3] {
    [("apps", "replicasets"), ("batch", "jobs"), ("", "pods")]
        .map(|(group, plural)| Resource::new(group, plural))
}

fn of_live(kind: &Kind, object: &Object, lens: &Lens<'_>, depth: usize, health: (Health, Text)) -> Leaf {
    Leaf {
        depth,
        object: Some(kind.reference(lens.context, object)),
        kind: kind.name.clone(),
        name: object.meta.name.clone(),
        namespace: object.meta.namespace.clone(),
        sync: None,
        health: Some(health.0),
        why: health.1,
        approximate: true,
        prunable: false,
        has_children: false,
    }
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

#[cfg(test)]
mod tests;
