//! The Argo CD application controller: compares Applications with git, runs operations, keeps them in sync.
//!
//! It sees Applications and whatever carries their tracking annotation, and works as the real one does: what a client
//! writes into an Application is all that it is told. The rules are in the modules that begin with `argo_`; here is
//! when each is asked.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::argo_auto::{self, Decision};
use super::argo_compare::{
    Comparison, Question, compare, project_of, revisions_of, set_conditions, tracking,
};
use super::argo_manifests::{CLUSTER, FINALIZER, NAMESPACE, SERVER};
use super::argo_operation::{BY, Progress, Step, advance};
use super::argo_render::{HOOK, Renderer, TRACKING, sources_of};
use super::argo_window::decide;
use super::objects::{Key, Object, Objects, seconds};
use super::types::Type;
use super::untyped::{later, list, marked, text, time};
use super::view::{Seen, View};
use super::world::{Controller, Cx, fnv64};

/// The annotation that asks for a comparison; it goes when the comparison is done.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// The annotation that makes the controller ignore an Application.
pub const SKIP: &str = "argocd.argoproj.io/skip-reconcile";

/// Seconds between two full comparisons, and the jitter that is added to them.
const INTERVAL: (f64, f64) = (120.0, 60.0);
/// Seconds that changes of live objects are collected before the application is looked at.
const SETTLES: f64 = 0.3;

/// What is remembered about one Application.
#[derive(Debug, Default)]
struct Memory {
    /// The revision of the object that was left behind by the last look.
    settled: u64,
    /// Something that it tracks has changed since.
    disturbed: bool,
    /// When its operation wants to go on.
    turn: Option<Timestamp>,
    /// When target revisions are resolved anew.
    compare: Option<Timestamp>,
    /// When the refresh that was asked for is done.
    refresh: Option<Timestamp>,
    /// When auto-sync may heal again.
    heal: Option<Timestamp>,
    operation: Progress,
}

/// The controller.
#[derive(Debug)]
pub struct Applications {
    renderer: Renderer,
    memory: HashMap<Key, Memory>,
    /// Live objects by the tracking name in their annotation.
    tracked: HashMap<String, BTreeSet<Key>>,
    owners: HashMap<Key, Owned>,
}

/// Who tracks an object, and in which state it was seen.
#[derive(Debug, PartialEq, Eq)]
struct Owned {
    by: String,
    state: u64,
}

impl Applications {
    /// Starts a controller that reads git through `renderer`, and takes what is stored for settled: whoever seeded it
    /// has compared it.
    pub fn new(renderer: Renderer, objects: &Objects) -> Self {
        let mut new =
            Self { renderer, memory: HashMap::new(), tracked: HashMap::new(), owners: HashMap::new() };
        for object in Type::ALL.iter().flat_map(|kind| objects.list(*kind, None)) {
            if let Some(by) = tracking_name_of(object) {
                new.tracked.entry(by.to_owned()).or_default().insert(object.key.clone());
                new.owners.insert(object.key.clone(), Owned { by: by.to_owned(), state: state_of(object) });
            }
            if object.key.kind == Type::Application {
                let memory = Memory { settled: object.revision, ..Memory::default() };
                new.memory.insert(object.key.clone(), memory);
            }
        }
        new
    }
}

/// What of an Application others act on, without decoding the rest.
#[derive(Debug, Deserialize)]
pub(super) struct Outline<'a> {
    #[serde(borrow)]
    metadata: OutlineMeta<'a>,
    #[serde(borrow, default)]
    spec: Raw<'a>,
    #[serde(borrow, default)]
    status: OutlineStatus<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutlineMeta<'a> {
    #[serde(borrow, default)]
    labels: Raw<'a>,
    #[serde(borrow, default)]
    annotations: Raw<'a>,
    #[serde(borrow, default)]
    finalizers: Raw<'a>,
    #[serde(borrow, default)]
    owner_references: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct OutlineStatus<'a> {
    #[serde(borrow, default)]
    sync: OutlineWord<'a>,
    #[serde(borrow, default)]
    health: OutlineWord<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct OutlineWord<'a> {
    #[serde(borrow, default)]
    status: Raw<'a>,
}

/// A part of an object as it is written; empty where it is absent.
#[derive(Debug, Default)]
struct Raw<'a>(&'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(from).map(|raw| Self(raw.get()))
    }
}

impl Outline<'_> {
    /// Returns a number that changes when anything of it does.
    pub(super) fn hash(&self) -> u64 {
        let meta = &self.metadata;
        let parts = [
            meta.labels.0,
            meta.annotations.0,
            meta.finalizers.0,
            meta.owner_references.0,
            self.spec.0,
            self.status.sync.status.0,
            self.status.health.status.0,
        ];
        fnv64(parts.join("\0").as_bytes())
    }
}

/// Returns the outline of an Application as stored.
pub(super) fn outline(application: &Object) -> Option<Outline<'_>> {
    serde_json::from_slice(&application.json).ok()
}

/// Returns a number that changes when what the tracking Application compares may have changed.
fn state_of(object: &Object) -> u64 {
    if object.key.kind != Type::Application {
        return object.revision;
    }
    // A parent has no interest in the status of its children, which changes with every comparison.
    outline(object).map_or(object.revision, |outline| {
        let meta = &outline.metadata;
        fnv64([meta.labels.0, meta.annotations.0, meta.finalizers.0, outline.spec.0].join("\0").as_bytes())
    })
}

impl Controller for Applications {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        let kind = seen.key.kind;
        // Pods and what controllers make carry no tracking annotation; most changes are theirs.
        let made = matches!(kind, Type::ReplicaSet | Type::EndpointSlice | Type::Endpoints | Type::Lease);
        if made || matches!(kind, Type::Pod | Type::Node) {
            return;
        }
        if kind == Type::Application || kind == Type::AppProject || tracking_name_of(&seen.object).is_some() {
            keys.push(seen.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        self.track(key, cx);
        match key.kind {
            Type::Application => self.look(key, cx),
            // Windows, sources and destinations of a project concern all its Applications.
            Type::AppProject => {
                for application in
                    cx.objects.list(Type::Application, None).map(|app| app.key.clone()).collect::<Vec<_>>()
                {
                    if let Some(memory) = self.memory.get_mut(&application) {
                        memory.operation.wake(cx.now);
                        memory.disturbed = true;
                        cx.after(SETTLES, &application);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Finds the tracking name in the stored bytes, without decoding the object.
fn tracking_name_of(object: &Object) -> Option<&str> {
    let json = std::str::from_utf8(&object.json).ok()?;
    let at = json.find(TRACKING)?;
    let rest = json[at + TRACKING.len()..].strip_prefix("\":\"")?;
    let id = &rest[..rest.find('"')?];
    // A copied annotation names another object and counts for nothing.
    let (application, resource) = id.split_once(':')?;
    let info = object.key.kind.info();
    let own = if info.namespaced {
        format!("{}/{}:{}/{}", info.group, info.kind, object.key.namespace, object.key.name)
    } else {
        format!("{}/{}:/{}", info.group, info.kind, object.key.name)
    };
    (resource == own).then_some(application)
}

/// Returns the Application of a tracking name.
fn application_key(name: &str) -> Key {
    match name.split_once('_') {
        Some((namespace, name)) => Key::new(Type::Application, namespace, name),
        None => Key::new(Type::Application, NAMESPACE, name),
    }
}

impl Memory {
    /// Says whether a look would find nothing new: nobody wrote, nothing tracked has changed, no time has come.
    fn at_rest(&mut self, revision: u64, app: &Value, cx: &mut Cx<'_>) -> bool {
        if self.compare.is_none() {
            // Seen for the first time: its last comparison says when the next one is.
            let last = time(app, "/status/reconciledAt");
            self.compare =
                last.map(|last| later(last, INTERVAL.0 + f64::from(cx.rng.u32(..=INTERVAL.1 as u32))));
        }
        let times = [self.compare, self.refresh, self.heal, self.turn];
        self.settled == revision
            && !self.disturbed
            && self.compare.is_some()
            && times.into_iter().flatten().all(|due| due > cx.now)
    }

    /// Sets the timer for whatever comes next.
    fn wake(&self, key: &Key, cx: &mut Cx<'_>) {
        if self.disturbed {
            cx.after(SETTLES, key);
        }
        for due in [self.compare, self.refresh, self.heal, self.turn].into_iter().flatten() {
            cx.at(due, key);
        }
    }
}

impl Applications {
    /// Brings the index of tracked objects up to date with one object and has its Application looked at.
    fn track(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let owned = cx.objects.get(key).and_then(|object| {
            Some(Owned { by: tracking_name_of(object)?.to_owned(), state: state_of(object) })
        });
        let before = self.owners.remove(key);
        if before == owned {
            self.owners.extend(owned.map(|owned| (key.clone(), owned)));
            return;
        }
        if let Some(before) = &before
            && let Some(set) = self.tracked.get_mut(&before.by)
        {
            set.remove(key);
        }
        let names: BTreeSet<String> = before.iter().chain(&owned).map(|owned| owned.by.clone()).collect();
        if let Some(owned) = owned {
            self.tracked.entry(owned.by.clone()).or_default().insert(key.clone());
            self.owners.insert(key.clone(), owned);
        }
        for name in names {
            let application = application_key(&name);
            if application != *key {
                self.memory.entry(application.clone()).or_default().disturbed = true;
                cx.after(SETTLES, &application);
            }
        }
    }

    fn look(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(mut app) = cx.get(key) else {
            self.memory.remove(key);
            return;
        };
        if marked(&app, "annotations", SKIP) == "true" {
            return;
        }
        let name = tracking(&app);
        let tracked = self.tracked.get(&name).cloned().unwrap_or_default();
        if !app["metadata"]["deletionTimestamp"].is_null() {
            finalize(key, &app, &tracked, cx);
            return;
        }
        let mut memory = self.memory.remove(key).unwrap_or_default();
        if memory.at_rest(cx.objects.get(key).map_or(0, |object| object.revision), &app, cx) {
            memory.wake(key, cx);
            self.memory.insert(key.clone(), memory);
            return;
        }
        memory.disturbed = false;
        let before = app.clone();
        let idle_before = before["operation"].is_null();
        let step = advance(&mut app, &mut memory.operation, &mut self.renderer, &tracked, cx);
        if step == Step::Ended {
            // What the operation applied is tracked from now on, before its own changes come round.
            memory.compare = Some(cx.now);
        }
        let tracked = self.follow(&name, tracked, cx);
        self.refresh(&mut app, &mut memory, &tracked, cx);
        if app != before {
            report(&before, &app, cx);
            cx.replace(key, app);
        }
        memory.turn = match step {
            Step::Again(at) => Some(at),
            Step::Idle | Step::Ended => None,
        };
        memory.settled = cx.objects.get(key).map_or(0, |object| object.revision);
        // An operation that auto-sync has just set is picked up with the next look.
        memory.disturbed |= idle_before && cx.get(key).is_some_and(|app| app["operation"].is_object());
        memory.wake(key, cx);
        self.memory.insert(key.clone(), memory);
    }

    /// Adds what was created under the tracking name in this reconcile, and takes out what is gone.
    fn follow(&mut self, name: &str, mut tracked: BTreeSet<Key>, cx: &Cx<'_>) -> BTreeSet<Key> {
        if let Some(now) = self.tracked.get(name) {
            tracked.extend(now.iter().cloned());
        }
        tracked.retain(|key| cx.objects.get(key).is_some());
        tracked
    }

    /// Compares, fully where it is time or somebody asked, otherwise with the commits known already.
    fn refresh(&mut self, app: &mut Value, memory: &mut Memory, tracked: &BTreeSet<Key>, cx: &mut Cx<'_>) {
        let asked = marked(app, "annotations", REFRESH).to_owned();
        if asked.is_empty() {
            memory.refresh = None;
        } else if memory.refresh.is_none() {
            // Fetching takes a moment; without the cache of manifests a longer one.
            let takes = if asked == "hard" { cx.rng.i32(15..35) } else { cx.rng.i32(4..12) };
            memory.refresh = Some(later(cx.now, f64::from(takes) / 10.0));
        }
        let served = memory.refresh.is_some_and(|due| due <= cx.now);
        let known = revisions_of(&app["status"]["sync"]);
        let changed = spec_changed(app);
        let due = memory.compare.is_none_or(|due| due <= cx.now);
        let full = served || due || changed || known.is_empty();
        let sources = sources_of(&app["spec"]);
        let revisions: &[String] = if full { &[] } else { &known };
        let question = Question { application: app, sources: &sources, revisions, tracked };
        let comparison = compare(&mut self.renderer, cx.objects, question);
        comparison.write(app, full, cx.now);
        if full {
            memory.compare = Some(later(cx.now, INTERVAL.0 + f64::from(cx.rng.u32(..=INTERVAL.1 as u32))));
        }
        if served {
            memory.refresh = None;
            if let Some(annotations) = app["metadata"]["annotations"].as_object_mut() {
                annotations.remove(REFRESH);
            }
        }
        memory.heal = None;
        auto_sync(app, &comparison, memory, cx);
    }
}

/// Starts a sync, waits to heal, or says why not.
fn auto_sync(app: &mut Value, comparison: &Comparison, memory: &mut Memory, cx: &mut Cx<'_>) {
    let decision = match project_of(app, cx.objects) {
        Some(project) if comparison.errors.is_empty() => {
            let name = text(app, "/metadata/name");
            let namespace = text(app, "/spec/destination/namespace");
            if decide(&project, name, namespace, &[SERVER, CLUSTER], cx.now).permits(false) {
                argo_auto::decide(app, comparison, cx.now)
            } else {
                Decision::Rest
            }
        }
        _ => Decision::Rest,
    };
    let refused = match decision {
        Decision::Rest => None,
        Decision::Later(due) => {
            memory.heal = Some(due);
            None
        }
        Decision::Start(operation) => {
            let to = comparison.revisions.join(", ");
            cx.event(app, "Normal", "OperationStarted", &format!("Initiated automated sync to '{to}'"), BY);
            app["operation"] = operation;
            None
        }
        Decision::Refuse(why) => Some(why),
    };
    sync_error(&mut app["status"], refused, cx.now);
}

/// Says whether the specification is another one than the last comparison was made for.
fn spec_changed(app: &Value) -> bool {
    let compared = &app["status"]["sync"]["comparedTo"];
    let (spec, none) = (&app["spec"], Value::Null);
    let field = |holder: &Value, name: &str| holder.get(name).unwrap_or(&none).clone();
    let many = !list(spec, "/sources").is_empty();
    field(compared, "destination") != field(spec, "destination")
        || list(compared, "/ignoreDifferences") != list(spec, "/ignoreDifferences")
        || if many {
            field(compared, "sources") != field(spec, "sources")
        } else {
            field(compared, "source") != field(spec, "source")
        }
}

/// Sets or clears the condition by which auto-sync says why it does nothing.
fn sync_error(status: &mut Value, refused: Option<String>, now: Timestamp) {
    let known = list(status, "/conditions");
    let same = |condition: &&Value| {
        condition["type"] == "SyncError" && Some(text(condition, "/message")) == refused.as_deref()
    };
    let kept = known.iter().find(same).cloned();
    let mut conditions: Vec<Value> =
        known.iter().filter(|condition| condition["type"] != "SyncError").cloned().collect();
    if let Some(why) = refused {
        conditions.push(kept.unwrap_or_else(
            || json!({"type": "SyncError", "message": why, "lastTransitionTime": seconds(now)}),
        ));
    }
    set_conditions(status, conditions);
}

/// Writes the events that a change of sync or health status is worth.
fn report(before: &Value, after: &Value, cx: &mut Cx<'_>) {
    for (what, pointer) in [("sync", "/status/sync/status"), ("health", "/status/health/status")] {
        let (old, new) = (text(before, pointer), text(after, pointer));
        if old != new {
            let message = format!("Updated {what} status: {old} -> {new}");
            cx.event(after, "Normal", "ResourceUpdated", &message, BY);
        }
    }
}

/// Deletes what a deleted Application has deployed, then lets it go; without the finalizer it just goes.
fn finalize(key: &Key, app: &Value, tracked: &BTreeSet<Key>, cx: &mut Cx<'_>) {
    let ours = |finalizer: &Value| {
        finalizer.as_str().is_some_and(|name| name == FINALIZER || name.starts_with(&format!("{FINALIZER}/")))
    };
    let finalizers = list(app, "/metadata/finalizers");
    if !finalizers.iter().any(ours) {
        return;
    }
    let left: Vec<&Key> =
        tracked.iter().filter(|live| *live != key && cx.objects.get(live).is_some()).collect();
    if left.is_empty() {
        let kept: Vec<Value> = finalizers.iter().filter(|finalizer| !ours(finalizer)).cloned().collect();
        cx.update(key, |app| app["metadata"]["finalizers"] = json!(kept));
        return;
    }
    for live in left.into_iter().cloned().collect::<Vec<_>>() {
        let held = cx.objects.get(&live).is_some_and(|object| object.deleting);
        let hook = cx.get(&live).is_some_and(|object| !marked(&object, "annotations", HOOK).is_empty());
        if !held && !hook {
            cx.delete(&live);
        } else if hook {
            cx.remove(&live);
        }
    }
    cx.after(1.0, key);
}
