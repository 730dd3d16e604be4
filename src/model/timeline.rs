//! What changed on the platform within the last hour, newest first, whoever did it.
//!
//! Put together from what the store holds: the histories and operations of Applications, new ReplicaSets, nodes
//! that come and go, and events. One deploy is one entry: the rollout that it set off is told in its second line.
//!
//! # Why
//!
//! Each list yields items by seat, only those of the last hour, and only for the seats that changed. Entries are
//! put together from the items, of which there are few, when an item changed or the minute did.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::ended::Ended;
use super::watch::{News, Watch};
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::applications::{Application, short_revision};
use crate::kinds::cluster::{Event, Node, capacity_type, pool_of};
use crate::kinds::pods::short_image;
use crate::kinds::workloads::ReplicaSet;
use crate::kinds::{Health, Kinds, Lens, Object, Tenancy, alerts, concern};
use crate::signals::{AlertState, Raised};
use crate::store::{Query, Shelf, Store};

/// How far the timeline reaches back, in seconds.
pub const REACH: i64 = 3_600;

/// How many entries are kept: more do not help anybody.
const MOST: usize = 200;

/// Seconds within which a rollout belongs to the deploy before it.
const BELONGS: i64 = 180;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// An Application was deployed, or tried to.
    Deploy,
    /// A workload began to roll out without a deploy that is known.
    Rollout,
    /// A node came, went or is in trouble.
    Node,
    /// Pods are in trouble.
    Pod,
    /// An alert began to fire.
    Alert,
    /// Anything else that the cluster warns of.
    Warning,
}

/// Something that happened to the platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When; of what happened again and again, the last time.
    pub at: Timestamp,
    /// What kind of thing.
    pub what: What,
    /// Whether it is good or bad news.
    pub health: Health,
    /// Whose.
    pub tenant: Option<Text>,
    /// What it happened to.
    pub object: Option<ObjectRef>,
    /// What happened, in one line.
    pub headline: String,
    /// What else is known of it, such as `image checkout 1.7.4 -> 1.8.0`; may be empty.
    pub detail: String,
}

/// What one object tells.
#[derive(Debug, Clone)]
struct Item {
    change: Change,
    /// Items with the same key are one entry.
    key: Key,
    /// How often it happened.
    times: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    /// A deploy: namespace and name of the Application, id of the history entry; the running one has none.
    Deploy(Text, Text, Option<i64>),
    /// A rollout: the namespace and name of the workload, the revision.
    Rollout(Text, Text, Text),
    /// An event: namespace, reason and what it is about, pods by their workload.
    Event(Text, Text, Text),
    /// An alert, by its name in the list.
    Alert(Text),
    /// An alert that is over, by its name in the list and when that was: its end, or its beginning.
    Over(Text, Timestamp, bool),
    /// A node.
    Node(Text),
}

#[derive(Debug, Default)]
struct Book {
    watch: Watch,
    items: HashMap<u32, Vec<Item>>,
}

/// The timeline of one context.
#[derive(Debug, Default)]
pub struct Timeline {
    context: Option<Context>,
    applications: Book,
    replica_sets: Book,
    nodes: Book,
    events: Book,
    alerts: Book,
    ended: Ended,
    /// The revision of what is over that the entries reflect.
    told: u64,
    entries: Vec<Change>,
    minute: i64,
}

impl Timeline {
    /// Returns the entries, newest first.
    pub fn entries(&self) -> &[Change] {
        &self.entries
    }

    /// Returns the alerts that were seen to end.
    pub fn ended(&self) -> &Ended {
        &self.ended
    }

    /// Looks at the alerts alone, so that the end of one is seen when it comes, whatever is on screen.
    pub fn watch(&mut self, store: &Store, context: &Context, now: Timestamp) {
        self.ended.refresh(store, context, now);
    }

    /// Brings the timeline up to date and tells whether any entry is different.
    pub fn refresh(
        &mut self,
        store: &Store,
        kinds: &Kinds,
        tenants: &Tenancy,
        context: &Context,
        now: Timestamp,
    ) -> bool {
        if self.context.as_ref() != Some(context) {
            // What is over is kept by context itself.
            let ended = std::mem::take(&mut self.ended);
            *self = Self { context: Some(context.clone()), ended, ..Self::default() };
        }
        self.ended.refresh(store, context, now);
        let lens = Lens { now, context, store, kinds, tenants };
        let since = now.as_second() - REACH;
        let shelf =
            |group: &str, plural: &str| store.shelf(&Query::all(context, &Resource::new(group, plural)));
        let sets = shelf("apps", "replicasets");
        let pods = shelf("", "pods");
        let mut changed = self
            .applications
            .read(shelf("argoproj.io", "applications"), |object| deploys(object, &lens, since));
        changed |= self.replica_sets.read(sets, |object| rollouts(object, sets, &lens, since));
        changed |= self.nodes.read(shelf("", "nodes"), |object| arrivals(object, &lens, since));
        changed |= self.events.read(shelf("", "events"), |object| events(object, pods, &lens, since));
        let alarms = store.shelf(&Query::all(context, &alerts::alerts()));
        changed |= self.alerts.read(alarms, |object| firing(object, &lens, since));
        changed |= std::mem::replace(&mut self.told, self.ended.revision()) != self.ended.revision();
        let minute = now.as_second() / 60;
        if !changed && minute == self.minute {
            return false;
        }
        self.minute = minute;
        let entries = self.tell(&lens, since);
        let differs = entries != self.entries;
        self.entries = entries;
        differs
    }

    /// Puts the entries together.
    fn tell(&mut self, lens: &Lens<'_>, since: i64) -> Vec<Change> {
        let mut entries: BTreeMap<Key, (Change, i64)> = BTreeMap::new();
        for book in [&mut self.applications, &mut self.nodes, &mut self.events, &mut self.alerts] {
            book.forget(since);
            for item in book.items.values().flatten() {
                let entry = entries.entry(item.key.clone()).or_insert_with(|| (item.change.clone(), 0));
                entry.1 += item.times;
                if item.change.at > entry.0.at {
                    entry.0 = item.change.clone();
                }
            }
        }
        self.replica_sets.forget(since);
        let managed = managed(&entries, lens);
        for item in self.replica_sets.items.values().flatten() {
            let deploy = deploy_of(item, &managed).and_then(|key| entries.get_mut(&key));
            match deploy.map(|(deploy, _)| deploy) {
                // The rollout is told with the deploy that set it off.
                Some(deploy) if deploy.detail.is_empty() => deploy.detail.clone_from(&item.change.detail),
                Some(deploy) if !deploy.detail.contains(&item.change.detail) => {
                    deploy.detail.push_str(", ");
                    deploy.detail.push_str(&item.change.detail);
                }
                Some(_) => {}
                None => {
                    entries.insert(item.key.clone(), (item.change.clone(), 1));
                }
            }
        }
        all_over(&self.ended, lens, since, &mut entries);
        let mut all: Vec<Change> = entries
            .into_values()
            .map(|(mut change, times)| {
                if times > 1 && matches!(change.what, What::Pod | What::Warning | What::Node) {
                    change.headline = format!("{} ({times} times)", change.headline);
                }
                change
            })
            .collect();
        all.sort_by(|a, b| Reverse(a.at).cmp(&Reverse(b.at)).then_with(|| a.headline.cmp(&b.headline)));
        all.truncate(MOST);
        all
    }
}

/// The alerts that are over: when that was, and when they began.
fn all_over(ended: &Ended, lens: &Lens<'_>, since: i64, entries: &mut BTreeMap<Key, (Change, i64)>) {
    for over in ended.iter().filter(|over| over.at.as_second() >= since) {
        let alert = &over.alert;
        let tenant = over.namespace.as_deref().and_then(|name| lens.tenants.of_namespace(name));
        let change = |at, health, headline| Change {
            at,
            what: What::Alert,
            health,
            tenant: tenant.cloned(),
            // The alert itself is in no list any more: what it was about still is.
            object: concern::workload(&alert.labels, lens)
                .or_else(|| alerts::subjects(&alert.labels, lens).into_iter().next()),
            headline,
            detail: alert.annotations.get("summary").unwrap_or_default().to_owned(),
        };
        let key = |end| Key::Over(over.id.clone(), over.at, end);
        entries.insert(key(true), (change(over.at, Health::Healthy, over.headline()), 1));
        if let Some(begun) = alert.since.filter(|at| at.as_second() >= since && *at < over.at) {
            let headline = format!("{} fired, {}", alert.name, alert.severity.word());
            entries.insert(key(false), (change(begun, alerts::severity_health(alert.severity), headline), 1));
        }
    }
}

/// An alert that began to fire.
fn firing(object: &Object, lens: &Lens<'_>, since: i64) -> Vec<Item> {
    let Some(raised) = object.body::<Raised>() else { return Vec::new() };
    let alert = &raised.alert;
    let Some(at) = alert.since.filter(|at| at.as_second() >= since) else { return Vec::new() };
    if !matches!(alert.state, AlertState::Firing | AlertState::Suppressed) {
        return Vec::new();
    }
    let tenant = object.meta.namespace.as_deref().and_then(|name| lens.tenants.of_namespace(name));
    let quiet = if alert.state == AlertState::Suppressed { ", kept quiet" } else { "" };
    let change = Change {
        at,
        what: What::Alert,
        health: alerts::health_of(alert),
        tenant: tenant.cloned(),
        object: Some(lens.object(&alerts::alerts(), object.meta.namespace.as_ref(), &object.meta.name)),
        headline: format!("{} fires, {}{quiet}", alert.name, alert.severity.word()),
        detail: alert.annotations.get("summary").unwrap_or_default().to_owned(),
    };
    vec![Item { change, key: Key::Alert(object.meta.name.clone()), times: 1 }]
}

impl Book {
    fn read(&mut self, shelf: Option<&Shelf>, items: impl Fn(&Object) -> Vec<Item>) -> bool {
        let seats = match self.watch.news(shelf) {
            News::None => return false,
            News::Seats(seats) => seats,
            News::Everything => {
                self.items.clear();
                (0..shelf.map_or(0, |shelf| u32::try_from(shelf.seats()).unwrap_or(u32::MAX))).collect()
            }
        };
        let mut changed = false;
        for seat in seats {
            let found =
                shelf.and_then(|shelf| shelf.at(seat)).map(|object| items(object)).unwrap_or_default();
            if found.is_empty() {
                changed |= self.items.remove(&seat).is_some();
            } else {
                self.items.insert(seat, found);
                changed = true;
            }
        }
        changed
    }

    /// Forgets what is too long ago.
    fn forget(&mut self, since: i64) {
        self.items.retain(|_, items| {
            items.retain(|item| item.change.at.as_second() >= since);
            !items.is_empty()
        });
    }
}

/// Says which deploys are of an Application that manages a Deployment, by namespace and name of that.
fn managed(
    entries: &BTreeMap<Key, (Change, i64)>,
    lens: &Lens<'_>,
) -> HashMap<(Text, Text), Vec<(Key, Timestamp)>> {
    let mut managed: HashMap<(Text, Text), Vec<(Key, Timestamp)>> = HashMap::new();
    for (key, (change, _)) in entries {
        if !matches!(key, Key::Deploy(..)) {
            continue;
        }
        let object = change.object.as_ref().and_then(|object| lens.store.object(object));
        let Some(application) = object.and_then(|object| object.body::<Application>()) else { continue };
        for resource in application.resources.iter().filter(|resource| &*resource.kind == "Deployment") {
            let place = (resource.namespace.clone().unwrap_or_default(), resource.name.clone());
            managed.entry(place).or_default().push((key.clone(), change.at));
        }
    }
    managed
}

/// Finds the deploy that set a rollout off: the one nearest in time.
fn deploy_of(item: &Item, managed: &HashMap<(Text, Text), Vec<(Key, Timestamp)>>) -> Option<Key> {
    let Key::Rollout(namespace, name, _) = &item.key else { return None };
    let apart = |at: &Timestamp| (item.change.at.as_second() - at.as_second()).abs();
    managed
        .get(&(namespace.clone(), name.clone()))?
        .iter()
        // A deploy is written down when it has been carried out: the rollout may begin a little before.
        .filter(|(_, at)| apart(at) <= BELONGS)
        .min_by_key(|(_, at)| apart(at))
        .map(|(key, _)| key.clone())
}

/// The deploys of an Application, and the operation that goes on or went wrong.
fn deploys(object: &Object, lens: &Lens<'_>, since: i64) -> Vec<Item> {
    let Some(application) = object.body::<Application>() else { return Vec::new() };
    let meta = &object.meta;
    let Some(namespace) = &meta.namespace else { return Vec::new() };
    let applications = crate::kinds::applications::applications();
    let change = |at, health, headline| Change {
        at,
        what: What::Deploy,
        health,
        tenant: lens.tenants.of_application(namespace, &meta.name).cloned(),
        object: Some(lens.object(&applications, Some(namespace), &meta.name)),
        headline,
        detail: String::new(),
    };
    let mut items: Vec<Item> = application
        .history
        .iter()
        .filter_map(|deploy| {
            let at = deploy.at.filter(|at| at.as_second() >= since)?;
            let headline = format!(
                "{} deployed {} ({})",
                meta.name,
                short_revision(&deploy.revision),
                initiator(deploy.by.as_ref(), deploy.automated)
            );
            let key = Key::Deploy(namespace.clone(), meta.name.clone(), Some(deploy.id));
            Some(Item { change: change(at, Health::Healthy, headline), key, times: 1 })
        })
        .collect();
    if let Some(operation) = &application.operation {
        let by = initiator(operation.by.as_ref(), operation.automated);
        let revision = operation.revision.as_deref().map(short_revision).unwrap_or_default();
        let told = if operation.is_running() {
            operation.started.map(|at| {
                (at, Health::Progressing, format!("{} is being synced to {revision} ({by})", meta.name))
            })
        } else if operation.has_failed() {
            operation
                .finished
                .or(operation.started)
                .map(|at| (at, Health::Degraded, format!("{}: sync to {revision} failed ({by})", meta.name)))
        } else {
            None
        };
        if let Some((at, health, headline)) = told
            && at.as_second() >= since
        {
            let mut change = change(at, health, headline.replace(" to  ", " "));
            operation.message.as_deref().unwrap_or_default().clone_into(&mut change.detail);
            items.push(Item {
                change,
                key: Key::Deploy(namespace.clone(), meta.name.clone(), None),
                times: 1,
            });
        }
    }
    items
}

fn initiator(by: Option<&Text>, automated: bool) -> &str {
    match by {
        Some(by) => by,
        None if automated => "auto",
        None => "unknown",
    }
}

/// The rollout that a new ReplicaSet stands for.
fn rollouts(object: &Object, sets: Option<&Shelf>, lens: &Lens<'_>, since: i64) -> Vec<Item> {
    let meta = &object.meta;
    let rollout = || {
        let created = meta.created.filter(|created| created.as_second() >= since)?;
        let set = object.body::<ReplicaSet>()?;
        let owner = meta.owners.iter().find(|owner| owner.controller)?;
        let namespace = meta.namespace.as_ref()?;
        let number = |set: &ReplicaSet| set.revision.as_ref().and_then(|number| number.parse::<i64>().ok());
        let own = number(set);
        let before = sets?
            .owned_by(&owner.uid)
            .filter(|other| other.meta.uid != meta.uid)
            .filter_map(|other| other.body::<ReplicaSet>())
            .filter(|other| number(other) < own)
            .max_by_key(|other| number(other))?;
        // The first revision of a workload is told by whoever created it.
        let detail = images_changed(before, set).unwrap_or_else(|| "pods replaced, same image".to_owned());
        let change = Change {
            at: created,
            what: What::Rollout,
            health: Health::Healthy,
            tenant: lens.tenants.of_namespace(namespace).cloned(),
            object: Some(lens.object(&Resource::new("apps", "deployments"), Some(namespace), &owner.name)),
            headline: format!("{} rolled out", owner.name),
            detail,
        };
        let revision = set.revision.clone().unwrap_or_else(|| meta.name.clone());
        Some(Item { change, key: Key::Rollout(namespace.clone(), owner.name.clone(), revision), times: 1 })
    };
    rollout().into_iter().collect()
}

/// Says which images differ: `image checkout 1.7.4 -> 1.8.0`.
fn images_changed(before: &ReplicaSet, after: &ReplicaSet) -> Option<String> {
    let changed: Vec<String> = after
        .containers
        .iter()
        .filter_map(|container| {
            let old = before.containers.iter().find(|old| old.name == container.name)?;
            if old.image == container.image {
                return None;
            }
            let (name, new) = split_tag(short_image(&container.image));
            let (old_name, old) = split_tag(short_image(&old.image));
            if name == old_name {
                Some(format!("image {name} {old} -> {new}"))
            } else {
                Some(format!("image {old_name}:{old} -> {name}:{new}"))
            }
        })
        .collect();
    (!changed.is_empty()).then(|| changed.join(", "))
}

fn split_tag(image: &str) -> (&str, &str) {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    image.rsplit_once(':').unwrap_or((image, "latest"))
}

/// A node that came within the hour.
fn arrivals(object: &Object, lens: &Lens<'_>, since: i64) -> Vec<Item> {
    let meta = &object.meta;
    if object.body::<Node>().is_none() {
        return Vec::new();
    }
    let change = |at, health, headline| Change {
        at,
        what: What::Node,
        health,
        tenant: None,
        object: Some(lens.object(&Resource::new("", "nodes"), None, &meta.name)),
        headline,
        detail: [
            meta.label("node.kubernetes.io/instance-type").cloned(),
            capacity_type(meta),
            pool_of(meta).cloned(),
        ]
        .into_iter()
        .flatten()
        .map(|word| word.to_string())
        .collect::<Vec<_>>()
        .join(", "),
    };
    let came = meta
        .created
        .filter(|at| at.as_second() >= since)
        .map(|at| change(at, Health::Healthy, format!("node {} joined", meta.name)));
    let goes = meta
        .deleted
        .filter(|at| at.as_second() >= since)
        .map(|at| change(at, Health::Progressing, format!("node {} is being taken away", meta.name)));
    goes.or(came)
        .map(|change| Item { change, key: Key::Node(meta.name.clone()), times: 1 })
        .into_iter()
        .collect()
}

/// Ordinary events that say that a machine comes or goes.
const NODE_REASONS: [&str; 8] = [
    "SpotInterrupted",
    "SpotRebalanceRecommendation",
    "DisruptionTerminating",
    "Disrupted",
    "TerminatingOnInterruption",
    "InstanceTerminating",
    "NodeNotReady",
    "RemovingNode",
];

/// Warnings that say what is seen better elsewhere, or nothing that helps.
const NOISE: [&str; 3] = ["DNSConfigForming", "Unconsolidatable", "FailedToUpdateEndpointSlices"];

fn events(object: &Object, pods: Option<&Shelf>, lens: &Lens<'_>, since: i64) -> Vec<Item> {
    let told = || {
        let event = object.body::<Event>()?;
        let at = event.last.filter(|at| at.as_second() >= since)?;
        if NOISE.contains(&&*event.reason) {
            return None;
        }
        let of_node = matches!(&*event.object_kind, "Node" | "NodeClaim" | "NodePool");
        if !(event.is_warning() || of_node && NODE_REASONS.contains(&&*event.reason)) {
            return None;
        }
        let namespace = event.object_namespace.clone();
        let of_pod = &*event.object_kind == "Pod";
        let subject = if of_pod { workload(event, pods) } else { event.object_name.clone() };
        let kind = lens.kinds.by_kind(&event.group, &event.object_kind);
        let place = kind.filter(|kind| kind.namespaced).and(namespace.as_ref());
        let health = if event.is_warning() { Health::Warning } else { Health::Progressing };
        let change = Change {
            at,
            what: if of_pod {
                What::Pod
            } else if of_node {
                What::Node
            } else {
                What::Warning
            },
            health,
            tenant: place.and_then(|namespace| lens.tenants.of_namespace(namespace)).cloned(),
            object: kind.map(|kind| lens.object(&kind.resource, place, &event.object_name)),
            headline: if of_pod {
                format!("{subject}: {}", event.reason)
            } else {
                format!("{} {subject}: {}", event.object_kind.to_lowercase(), event.reason)
            },
            detail: event.message.to_string(),
        };
        let key = Key::Event(namespace.unwrap_or_default(), event.reason.clone(), subject);
        Some(Item { change, key, times: event.count })
    };
    told().into_iter().collect()
}

/// Returns the workload that a pod is of: what its controller is called, without the hash of a revision.
fn workload(event: &Event, pods: Option<&Shelf>) -> Text {
    let pod = pods.and_then(|pods| pods.get(event.object_namespace.as_deref(), &event.object_name));
    let owner = pod.and_then(|pod| pod.meta.owners.iter().find(|owner| owner.controller));
    match owner {
        Some(owner) if &*owner.kind == "ReplicaSet" => {
            let hash = pod.and_then(|pod| pod.meta.label("pod-template-hash"));
            let name = hash.and_then(|hash| owner.name.strip_suffix(&**hash)?.strip_suffix('-'));
            name.map_or_else(|| owner.name.clone(), Text::from)
        }
        Some(owner) => owner.name.clone(),
        // The pod has gone: its own name is all there is.
        None => event.object_name.clone(),
    }
}

#[cfg(test)]
mod tests;
