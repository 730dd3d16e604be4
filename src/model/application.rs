//! One Application in full: history, operation, conditions and the tree of what it deploys.
//!
//! Pure functions over the whole document, for what the slim type does not keep, and over the store for the tree.
//! Texts are cleaned here, because a document is kept as the server gave it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::applications::{Application, Managed, health_of};
use crate::kinds::{Health, Lens, Object};
use crate::text::one_line;

/// How deep the tree goes: Application, Deployment, ReplicaSet, pod.
const DEPTH: usize = 4;

/// An entry of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id, which a rollback names.
    pub id: i64,
    /// The revision of each source.
    pub revisions: Vec<String>,
    /// The images that its parameters name; empty where they do not.
    pub images: Vec<String>,
    /// When it was done.
    pub at: Option<Timestamp>,
    /// How long it took, in seconds.
    pub took: Option<i64>,
    /// Who asked for it; `auto-sync` where the controller did.
    pub by: String,
}

/// Returns the history, newest first.
pub fn history(document: &Value) -> Vec<Entry> {
    let mut entries: Vec<Entry> = list(document, "/status/history")
        .iter()
        .map(|entry| {
            let at = time(entry, "/deployedAt");
            let started = time(entry, "/deployStartedAt");
            let several: Vec<String> = list(entry, "/revisions").iter().filter_map(word).collect();
            let revisions = if several.is_empty() { vec![text(entry, "/revision")] } else { several };
            Entry {
                id: entry.get("id").and_then(Value::as_i64).unwrap_or_default(),
                revisions,
                images: images(entry),
                at,
                took: at.zip(started).map(|(at, started)| at.as_second() - started.as_second()),
                by: initiator(entry.get("initiatedBy")),
            }
        })
        .collect();
    // It is written oldest first; ids count up, whatever the order is.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    entries
}

/// Returns the images that an entry's sources name: kustomize's, and helm's parameters that end in `image` or
/// `tag`.
fn images(entry: &Value) -> Vec<String> {
    let several = list(entry, "/sources");
    let one = entry.get("source");
    let sources =
        if several.is_empty() { one.into_iter().collect() } else { several.iter().collect::<Vec<_>>() };
    let mut images: Vec<String> = Vec::new();
    for source in sources {
        images.extend(list(source, "/kustomize/images").iter().filter_map(word));
        let parameters = list(source, "/helm/parameters").iter().filter(|parameter| {
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default().to_lowercase();
            name.ends_with("image") || name.ends_with("tag") || name.ends_with("version")
        });
        images.extend(
            parameters.map(|parameter| format!("{}={}", text(parameter, "/name"), text(parameter, "/value"))),
        );
    }
    images
}

fn initiator(by: Option<&Value>) -> String {
    let name = by.map(|by| text(by, "/username")).unwrap_or_default();
    let automated = by.and_then(|by| by.get("automated")).and_then(Value::as_bool).unwrap_or_default();
    match (name.as_str(), automated) {
        ("", true) => "auto-sync".to_owned(),
        ("", false) => "unknown".to_owned(),
        _ => name,
    }
}

/// The operation that runs or ran last.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// `Running`, `Terminating`, `Succeeded`, `Failed`, `Error`, or `Requested` where the controller has not
    /// picked it up.
    pub phase: String,
    /// How that is to be taken.
    pub health: Health,
    /// What the controller says.
    pub message: String,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended; of one that is tried again, when the last attempt did.
    pub finished: Option<Timestamp>,
    /// How often it was tried again.
    pub retries: i64,
    /// Who asked for it.
    pub by: String,
    /// The revision of each source.
    pub revisions: Vec<String>,
    /// How it was to be done: `prune`, `dry run`, `apply only`, `force`, `selected resources`.
    pub options: Vec<&'static str>,
    /// What came of each resource.
    pub results: Vec<ResourceResult>,
}

/// What came of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceResult {
    /// `Deployment/checkout`.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// `Synced`, `SyncFailed`, `Pruned`, `PruneSkipped`, or the phase of a hook.
    pub status: String,
    /// How that is to be taken.
    pub health: Health,
    /// What the controller says.
    pub message: String,
    /// `PreSync`, `Sync`, `PostSync` or `SyncFail`.
    pub phase: String,
    /// Whether it is a hook.
    pub hook: bool,
}

/// Returns the operation that is asked for, runs or ran last.
pub fn operation(document: &Value) -> Option<Operation> {
    let state = document.pointer("/status/operationState").filter(|state| !state.is_null());
    let asked = document.get("operation").filter(|operation| !operation.is_null());
    let running =
        state.is_some_and(|state| matches!(text(state, "/phase").as_str(), "Running" | "Terminating"));
    if let Some(asked) = asked
        && !running
    {
        // A request that waits hides the result of the one before.
        return Some(Operation {
            phase: "Requested".to_owned(),
            health: Health::Progressing,
            message: "the controller has not picked it up".to_owned(),
            started: None,
            finished: None,
            retries: 0,
            by: initiator(asked.get("initiatedBy")),
            revisions: revisions(asked.get("sync")),
            options: options(asked),
            results: Vec::new(),
        });
    }
    let state = state?;
    let operation = state.get("operation").unwrap_or(&Value::Null);
    let finished = time(state, "/finishedAt");
    let phase = text(state, "/phase");
    let health = match phase.as_str() {
        "Succeeded" => Health::Healthy,
        "Running" if finished.is_some() => Health::Warning,
        "Running" | "Terminating" => Health::Progressing,
        "Failed" | "Error" => Health::Degraded,
        _ => Health::Unknown,
    };
    let asked = revisions(operation.get("sync"));
    Some(Operation {
        // With attempts left the phase stays `Running`, though the attempt has ended.
        phase: if running && finished.is_some() { "Retrying".to_owned() } else { phase },
        health,
        message: text(state, "/message"),
        started: time(state, "/startedAt"),
        finished,
        retries: state.get("retryCount").and_then(Value::as_i64).unwrap_or_default(),
        by: initiator(operation.get("initiatedBy")),
        revisions: if asked.is_empty() { revisions(state.get("syncResult")) } else { asked },
        options: options(operation),
        results: list(state, "/syncResult/resources").iter().map(result).collect(),
    })
}

fn revisions(of: Option<&Value>) -> Vec<String> {
    let Some(of) = of else { return Vec::new() };
    let several: Vec<String> = list(of, "/revisions").iter().filter_map(word).collect();
    if !several.is_empty() {
        return several;
    }
    Some(text(of, "/revision")).filter(|revision| !revision.is_empty()).into_iter().collect()
}

fn options(operation: &Value) -> Vec<&'static str> {
    let is = |pointer: &str| operation.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
    let is_forced = is("/sync/syncStrategy/hook/force") || is("/sync/syncStrategy/apply/force");
    let is_selected = !list(operation, "/sync/resources").is_empty();
    [
        (is("/sync/dryRun"), "dry run"),
        (is("/sync/prune"), "prune"),
        (is_forced, "force"),
        (operation.pointer("/sync/syncStrategy/apply").is_some_and(|apply| !apply.is_null()), "apply only"),
        (is_selected, "selected resources"),
    ]
    .into_iter()
    .filter_map(|(is, word)| is.then_some(word))
    .collect()
}

fn result(resource: &Value) -> ResourceResult {
    let hook_phase = text(resource, "/hookPhase");
    let hook = !text(resource, "/hookType").is_empty();
    let status = text(resource, "/status");
    let status = if hook && !hook_phase.is_empty() { hook_phase } else { status };
    let health = match status.as_str() {
        "Synced" | "Pruned" | "Succeeded" => Health::Healthy,
        "PruneSkipped" => Health::Warning,
        "Running" | "Terminating" => Health::Progressing,
        "SyncFailed" | "Failed" | "Error" => Health::Degraded,
        _ => Health::Unknown,
    };
    ResourceResult {
        name: format!("{}/{}", text(resource, "/kind"), text(resource, "/name")),
        namespace: text(resource, "/namespace"),
        status,
        health,
        message: text(resource, "/message"),
        phase: text(resource, "/syncPhase"),
        hook,
    }
}

/// A condition of the Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub name: String,
    /// How it is to be taken: errors and warnings are told by the ending of the type.
    pub health: Health,
    /// What it says.
    pub message: String,
    /// Since when.
    pub at: Option<Timestamp>,
}

/// Returns the conditions.
pub fn conditions(document: &Value) -> Vec<Condition> {
    list(document, "/status/conditions")
        .iter()
        .map(|condition| {
            let name = text(condition, "/type");
            let health = if name.ends_with("Error") { Health::Degraded } else { Health::Warning };
            Condition {
                health,
                message: text(condition, "/message"),
                at: time(condition, "/lastTransitionTime"),
                name,
            }
        })
        .collect()
}

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
    /// How it is; `None` where nobody can tell.
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

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(word).unwrap_or_default()
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(|text| one_line(text).into_owned())
}

fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    value.pointer(pointer).and_then(Value::as_str)?.parse().ok()
}

#[cfg(test)]
mod tests;
