//! What alerts are about: from an alert to its workload and Application, and from an object to its alerts.
//!
//! Labels name it, and labels differ between exporters: what is not named is found by way of what is (a pod's
//! owner, an Application's resources) and never guessed beyond that.

use std::sync::Arc;

use super::alerts::{self, SUBJECTS};
use super::applications::{Application, applications};
use super::cell::natural;
use super::kind::Describe;
use super::{Cell, Column, Lens, Link, Object, Shape};
use crate::identity::{ObjectRef, Resource, Text};
use crate::signals::{AlertState, Labels, Raised};
use crate::store::Shelf;

/// The types that make pods.
const WORKLOADS: [(&str, &str); 5] = [
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
];

fn is_workload(resource: &Resource) -> bool {
    WORKLOADS.contains(&(&*resource.group, &*resource.plural))
}

/// Returns the workload that an alert is about: named by a label, or the owner of the pod that is, or what is called
/// like the ingress or service that is, as charts have it.
pub fn workload(labels: &Labels, lens: &Lens<'_>) -> Option<ObjectRef> {
    let about = alerts::subjects(labels, lens);
    if let Some(named) = about.iter().find(|one| is_workload(&one.resource)) {
        return Some(named.clone());
    }
    about.iter().find_map(|one| {
        let namespace = one.namespace.as_ref()?;
        match &*one.resource.plural {
            "pods" => match lens.store.object(one) {
                Some(pod) => owner_of(pod, lens),
                None => managed(namespace, lens)
                    .filter(|to| is_pod_of(&to.resource.plural, &to.name, &one.name))
                    .max_by_key(|to| to.name.len()),
            },
            "ingresses" | "services" => namesake(namespace, &one.name, lens),
            _ => None,
        }
    })
}

/// Returns the workload that a pod is of; a pod of nobody is its own.
fn owner_of(pod: &Object, lens: &Lens<'_>) -> Option<ObjectRef> {
    let namespace = pod.meta.namespace.as_ref();
    let owner = pod.meta.owners.iter().find(|owner| owner.controller)?;
    let kind = lens.kinds.by_kind(&owner.group, &owner.kind)?;
    if &*kind.resource.plural != "replicasets" {
        return Some(lens.object(&kind.resource, namespace, &owner.name));
    }
    let name = owner.name.rsplit_once('-').map_or(&*owner.name, |(name, _)| name);
    Some(lens.object(&Resource::new("apps", "deployments"), namespace, &name.into()))
}

/// Returns the workloads of a namespace that Applications manage.
fn managed<'a>(namespace: &'a Text, lens: &'a Lens<'a>) -> impl Iterator<Item = ObjectRef> + 'a {
    let all = lens.shelf(&applications()).into_iter().flat_map(Shelf::iter);
    let resources = all
        .filter_map(|(_, object)| object.body::<Application>())
        .flat_map(|application| application.resources.iter());
    resources.filter(|one| one.namespace.as_ref() == Some(namespace)).filter_map(|one| {
        let kind = lens.kinds.by_kind(&one.group, &one.kind).filter(|kind| is_workload(&kind.resource))?;
        Some(lens.object(&kind.resource, Some(namespace), &one.name))
    })
}

/// Finds the workload of a name: among what Applications manage, else among the owners of pods.
fn namesake(namespace: &Text, name: &Text, lens: &Lens<'_>) -> Option<ObjectRef> {
    if let Some(found) = managed(namespace, lens).find(|one| one.name == *name) {
        return Some(found);
    }
    let pods = lens.shelf(&Resource::new("", "pods"))?;
    pods.in_namespace(Some(namespace)).filter_map(|pod| owner_of(pod, lens)).find(|one| one.name == *name)
}

/// Tells whether a pod is named as those of a workload are: its name, a hash, five letters; or a number.
fn is_pod_of(plural: &str, name: &str, pod: &str) -> bool {
    let Some(rest) = pod.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')) else { return false };
    let dashes = rest.bytes().filter(|byte| *byte == b'-').count();
    match plural {
        "deployments" => dashes == 1,
        "statefulsets" => !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()),
        "cronjobs" => dashes >= 1,
        _ => dashes <= 1,
    }
}

/// Returns the Application that an alert is about, or that manages what it is about.
pub fn application(labels: &Labels, lens: &Lens<'_>) -> Option<ObjectRef> {
    let about = alerts::subjects(labels, lens);
    if let Some(named) = about.iter().find(|one| one.resource == applications()) {
        return Some(named.clone());
    }
    let all = lens.shelf(&applications())?;
    let workload = workload(labels, lens);
    workload.iter().chain(&about).find_map(|one| {
        let kind = lens.kinds.get(&one.resource)?;
        let manages = |application: &Application| {
            application.resources.iter().any(|managed| {
                managed.name == one.name
                    && managed.namespace == one.namespace
                    && managed.kind == kind.name
                    && managed.group == one.resource.group
            })
        };
        let (_, found) = all.iter().find(|(_, object)| object.body::<Application>().is_some_and(manages))?;
        Some(lens.object(&applications(), found.meta.namespace.as_ref(), &found.meta.name))
    })
}

/// Tells whether labels are about something of a type and name in their namespace.
fn names(labels: &Labels, group: &str, plural: &str, name: &str) -> bool {
    let pod = labels.first(&["exported_pod", "pod"]);
    if (group, plural) == ("", "pods") {
        return pod == Some(name);
    }
    let named = SUBJECTS
        .iter()
        .filter(|(_, of_group, of_plural)| (*of_group, *of_plural) == (group, plural))
        .any(|(label, ..)| labels.get(label) == Some(name));
    let workload = WORKLOADS.contains(&(group, plural));
    let certificate = (group, plural) == ("cert-manager.io", "certificates");
    named
        || (certificate && alerts::certificate_of(labels) == Some(name))
        || (workload && pod.is_some_and(|pod| is_pod_of(plural, name, pod)))
        // Charts call an ingress and its service like the workload behind them.
        || (workload && labels.first(&["exported_ingress", "ingress", "exported_service"]) == Some(name))
}

/// Returns the alerts about an object that fire, are kept quiet or are pending.
pub fn alerts_of<'a>(resource: &Resource, object: &'a Object, lens: &'a Lens<'a>) -> Vec<&'a Arc<Object>> {
    let Some(shelf) = lens.shelf(&alerts::alerts()).filter(|shelf| !shelf.is_empty()) else {
        return Vec::new();
    };
    let meta = &object.meta;
    let (group, plural) = (&*resource.group, &*resource.plural);
    let labels = |alert: &'a Arc<Object>| alert.body::<Raised>().map(|raised| &raised.alert.labels);
    let about = |alert: &&'a Arc<Object>, group: &str, plural: &str, name: &str| {
        labels(alert).is_some_and(|labels| names(labels, group, plural, name))
    };
    match (group, plural) {
        (alerts::GROUP, _) => Vec::new(),
        ("", "nodes") => shelf.on_node(&meta.name).collect(),
        ("argoproj.io", "applications") => {
            let of_label = |labels: &Labels| {
                labels.get("application") == Some(&meta.name)
                    || (labels.get("name") == Some(&meta.name) && labels.get("project").is_some())
            };
            // Metrics of Argo CD stand in the namespace of its controllers, which is that of the Application.
            let mut found: Vec<&'a Arc<Object>> = shelf
                .in_namespace(meta.namespace.as_deref())
                .filter(|alert| labels(alert).is_some_and(of_label))
                .collect();
            let Some(slim) = object.body::<Application>() else { return found };
            let mut places: Vec<&Text> =
                slim.resources.iter().filter_map(|one| one.namespace.as_ref()).collect();
            places.sort_unstable();
            places.dedup();
            for place in places {
                for alert in shelf.in_namespace(Some(place)) {
                    let its = slim.resources.iter().filter(|one| one.namespace.as_ref() == Some(place)).any(
                        |one| {
                            lens.kinds.by_kind(&one.group, &one.kind).is_some_and(|kind| {
                                about(&alert, &one.group, &kind.resource.plural, &one.name)
                            })
                        },
                    );
                    if its && !found.iter().any(|other| other.meta.name == alert.meta.name) {
                        found.push(alert);
                    }
                }
            }
            found
        }
        _ if meta.namespace.is_some() => shelf
            .in_namespace(meta.namespace.as_deref())
            .filter(|alert| about(alert, group, plural, &meta.name))
            .collect(),
        _ => shelf
            .iter()
            .map(|(_, alert)| alert)
            .filter(|alert| about(alert, group, plural, &meta.name))
            .collect(),
    }
}

/// Returns the links from an object to its alerts, the worst first.
pub(super) fn links(resource: &Resource, object: &Object, lens: &Lens<'_>) -> Vec<Link> {
    let mut found = alerts_of(resource, object, lens);
    found.sort_by(|one, other| {
        let rank =
            |alert: &Object| alert.body::<Raised>().map(|raised| (raised.alert.state, raised.alert.severity));
        rank(one).cmp(&rank(other)).then_with(|| natural(&one.meta.name, &other.meta.name))
    });
    found
        .into_iter()
        .map(|alert| {
            let to = lens.object(&alerts::alerts(), alert.meta.namespace.as_ref(), &alert.meta.name);
            Link::one("alert", to)
        })
        .collect()
}

/// Counts the alerts that fire about an object; unknown where no system tells of alerts.
pub(super) fn count(resource: &Resource, object: &Object, lens: &Lens<'_>) -> Cell {
    if lens.whole(&alerts::alerts()).is_none() {
        return Cell::Unknown;
    }
    let fires = |alert: &&Arc<Object>| {
        alert.body::<Raised>().is_some_and(|raised| raised.alert.state == AlertState::Firing)
    };
    match alerts_of(resource, object, lens).iter().filter(|alert| fires(alert)).count() {
        0 => Cell::Empty,
        some => Cell::Count(i64::try_from(some).unwrap_or(i64::MAX)),
    }
}

impl<T: Send + Sync + 'static> Describe<T> {
    /// Adds how many alerts fire about it.
    pub(super) fn alerted(self, group: &str, plural: &str) -> Self {
        let resource = Resource::new(group, plural);
        let column =
            Column::new(Shape::Count, "alerts", "how many alerts fire about it").joined().priority(4);
        self.column(column, move |row| count(&resource, row.object, row.lens))
    }
}
