//! The Argo CD application controller: compares Applications with git, runs operations, keeps them in sync.
//!
//! It sees Applications and whatever carries their tracking annotation, and works as the real one does: what a client
//! writes into an Application is all that it is told. The rules are in the modules that begin with `argo_`; here is
//! when each is asked.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::argo_auto::{self, Decision};
use super::argo_compare::{
    Comparison, Question, compare, project_of, revisions_of, set_conditions, tracking,
};
use super::argo_manifests::{CLUSTER, FINALIZER, NAMESPACE, SERVER};
use super::argo_operation::{BY, Progress, Step, advance};
use super::argo_render::{HOOK, Renderer, TRACKING, sources_of};
use super::argo_window::decide;
use super::objects::{Key, Object, seconds};
use super::types::Type;
use super::untyped::{later, list, marked, text, time};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

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
    owners: HashMap<Key, String>,
}

impl Applications {
    /// Starts a controller that reads git through `renderer`.
    pub fn new(renderer: Renderer) -> Self {
        Self { renderer, memory: HashMap::new(), tracked: HashMap::new(), owners: HashMap::new() }
    }
}

impl Controller for Applications {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        let kind = seen.key.kind;
        // Pods and what controllers make carry no tracking annotation; most changes are theirs.
        if matches!(kind, Type::Pod | Type::ReplicaSet | Type::Node | Type::EndpointSlice | Type::Lease) {
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
                    let concerned = self.memory.get_mut(&application).is_some_and(|memory| {
                        memory.operation.wake(cx.now);
                        true
                    });
                    if concerned {
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

impl Applications {
    /// Brings the index of tracked objects up to date with one object and has its Application looked at.
    fn track(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let owner = cx.objects.get(key).and_then(|object| tracking_name_of(object)).map(str::to_owned);
        let before = match &owner {
            Some(owner) => self.owners.insert(key.clone(), owner.clone()),
            None => self.owners.remove(key),
        };
        if before != owner
            && let Some(set) = before.as_ref().and_then(|before| self.tracked.get_mut(before))
        {
            set.remove(key);
        }
        if let Some(owner) = &owner {
            self.tracked.entry(owner.clone()).or_default().insert(key.clone());
        }
        for name in [before, owner].into_iter().flatten() {
            let application = application_key(&name);
            if application != *key {
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
        let before = app.clone();
        let mut memory = self.memory.remove(key).unwrap_or_default();
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
        let operation = match step {
            Step::Again(at) => Some(at),
            Step::Idle | Step::Ended => None,
        };
        for due in [operation, memory.compare, memory.refresh, memory.heal].into_iter().flatten() {
            cx.at(due, key);
        }
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
        if memory.compare.is_none() && !changed && !known.is_empty() {
            // Seen for the first time: its last comparison says when the next one is.
            let last = time(app, "/status/reconciledAt").unwrap_or(cx.now);
            memory.compare = Some(later(last, INTERVAL.0 + f64::from(cx.rng.u32(..60))));
        }
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
