//! Who uses a Secret, as far as the lists tell: pods, workloads and ingresses, and whether they started after it changed.
//!
//! It concludes from names and times; it never reads a Secret.

use jiff::Timestamp;

use super::names::Ingress;
use super::pods::Pod;
use super::secret_uses::{Draws, SecretUse};
use super::secrets::Secret;
use super::workloads::{DaemonSet, Deployment, StatefulSet};
use super::{Cell, Health, Lens, Link, Object};
use crate::identity::{ObjectRef, Resource, Text};

/// A pod that uses a Secret.
struct Consumer<'a> {
    pod: &'a Object,
    body: &'a Pod,
    /// Whether a change reaches it by a new start only.
    needs_restart: bool,
}

/// Who uses a Secret, as far as the lists tell.
pub(super) struct Consumers<'a> {
    pods: Vec<Consumer<'a>>,
    /// Workloads whose template uses it, and whether Reloader restarts them.
    workloads: Vec<(ObjectRef, bool)>,
    ingresses: Vec<ObjectRef>,
    /// Whether the pods of the namespace are all known.
    is_known: bool,
}

fn uses_of<'a>(uses: &'a [SecretUse], name: &'a str) -> impl Iterator<Item = &'a SecretUse> {
    uses.iter().filter(move |one| *one.secret == *name)
}

impl<'a> Consumers<'a> {
    pub(super) fn of(at: &ObjectRef, lens: &'a Lens<'a>) -> Self {
        let namespace = at.namespace.as_deref();
        let pods = Resource::new("", "pods");
        let is_known = lens.shelf(&pods).is_some_and(|shelf| shelf.feed().is_complete());
        let mut found = Vec::new();
        for pod in lens.shelf(&pods).into_iter().flat_map(|shelf| shelf.in_namespace(namespace)) {
            let Some(body) = pod.body::<Pod>().filter(|body| !body.is_finished()) else { continue };
            let mut uses = uses_of(&body.secrets, &at.name).peekable();
            if uses.peek().is_some() {
                let needs_restart = uses.any(|one| one.how.needs_restart());
                found.push(Consumer { pod, body, needs_restart });
            }
        }
        let marks = lens.store.object(at).and_then(|secret| secret.body::<Secret>());
        let marks = marks.map(|secret| secret.marks).unwrap_or_default();
        let mut workloads = Vec::new();
        for plural in ["deployments", "statefulsets", "daemonsets"] {
            let resource = Resource::new("apps", plural);
            let shelf = lens.shelf(&resource).into_iter();
            for object in shelf.flat_map(|shelf| shelf.in_namespace(namespace)) {
                let Some(draws) = draws_of(object) else { continue };
                if uses_of(&draws.uses, &at.name).next().is_some() {
                    let to = lens.object(&resource, object.meta.namespace.as_ref(), &object.meta.name);
                    workloads.push((to, draws.reloads(&at.name, marks)));
                }
            }
        }
        let resource = Resource::new("networking.k8s.io", "ingresses");
        let shelf = lens.shelf(&resource).into_iter();
        let ingresses = shelf
            .flat_map(|shelf| shelf.in_namespace(namespace))
            .filter(|object| object.body::<Ingress>().is_some_and(|body| body.tls_secrets.contains(&at.name)))
            .map(|object| lens.object(&resource, object.meta.namespace.as_ref(), &object.meta.name))
            .collect();
        Self { pods: found, workloads, ingresses, is_known }
    }

    fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.workloads.is_empty() && self.ingresses.is_empty()
    }

    pub(super) fn cell(&self) -> Cell {
        if self.is_empty() {
            return if self.is_known { Cell::Empty } else { Cell::Unknown };
        }
        let counted = |count: usize, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            many => Some(format!("{many} {what}s")),
        };
        // The one that has a name of its own says more than a count.
        let workloads = match self.workloads.as_slice() {
            [(one, _)] => Some(one.name.to_string()),
            several => counted(several.len(), "workload"),
        };
        let ingresses = match self.ingresses.len() {
            many @ 2.. => Some(format!("{many} ingresses")),
            few => counted(few, "ingress"),
        };
        let parts: Vec<String> =
            [workloads, counted(self.pods.len(), "pod"), ingresses].into_iter().flatten().collect();
        Cell::Text(Text::from(parts.join(", ")))
    }

    /// Counts the pods that only a new start brings the content to, and those of them that started before it changed.
    fn stale(&self, changed: Timestamp) -> (usize, usize) {
        let readers = self.pods.iter().filter(|pod| pod.needs_restart);
        // A pod that has not started yet will read what is there then.
        let before = |pod: &&Consumer<'_>| pod.body.started.is_some_and(|started| started < changed);
        (readers.clone().count(), readers.filter(before).count())
    }

    pub(super) fn started_cell(&self, changed: Option<Timestamp>) -> Cell {
        let Some(changed) = changed else {
            return if self.pods.is_empty() { Cell::Empty } else { Cell::Unknown };
        };
        match self.stale(changed) {
            (0, _) => Cell::Empty,
            (all, 0) => Cell::Status {
                text: Text::from(if all == 1 { "after".to_owned() } else { format!("all {all} after") }),
                health: Health::Healthy,
            },
            (all, stale) => {
                Cell::Status { text: Text::from(format!("{stale}/{all} before")), health: Health::Warning }
            }
        }
    }

    pub(super) fn reload_cell(&self) -> Cell {
        let reloaded = self.workloads.iter().filter(|(_, reloads)| *reloads).count();
        match (reloaded, self.workloads.len()) {
            (_, 0) => Cell::Empty,
            (0, _) => Cell::Text(Text::from("nobody")),
            (some, all) if some == all => Cell::Text(Text::from("Reloader")),
            (some, all) => Cell::Text(Text::from(format!("Reloader {some}/{all}"))),
        }
    }

    pub(super) fn verdict(&self, changed: Option<Timestamp>) -> (Health, Text) {
        let Some(changed) = changed else { return (Health::Healthy, Text::from("")) };
        match self.stale(changed) {
            (_, 0) => (Health::Healthy, Text::from("")),
            (all, stale) => {
                let text =
                    format!("{stale} of {all} pods started before it last changed: they use the old content");
                (Health::Warning, Text::from(text))
            }
        }
    }

    pub(super) fn links(&self) -> Vec<Link> {
        /// More pods than these are reached by way of their workload.
        const MOST: usize = 20;
        let workloads = self.workloads.iter().map(|(to, reloads)| Link {
            note: Text::from(if *reloads { "Reloader restarts it" } else { "nobody restarts it" }),
            ..Link::one("used by", to.clone())
        });
        let mut links: Vec<Link> = workloads.collect();
        links.extend(self.ingresses.iter().map(|to| Link::one("served by", to.clone())));
        if let Some((to, _)) = self.workloads.first() {
            let pods = Resource::new("", "pods");
            links.extend(self.pods.iter().take(MOST).map(|one| {
                let object =
                    ObjectRef { resource: pods.clone(), name: one.pod.meta.name.clone(), ..to.clone() };
                Link::one("pod", object)
            }));
        }
        links
    }
}

fn draws_of(object: &Object) -> Option<&Draws> {
    object
        .body::<Deployment>()
        .map(|body| &body.secrets)
        .or_else(|| object.body::<StatefulSet>().map(|body| &body.secrets))
        .or_else(|| object.body::<DaemonSet>().map(|body| &body.secrets))
}
