//! How an Application stands, as lines of its view: the operation with its results, conditions, sync windows,
//! and who would undo a change by hand; and what ran with each entry of its history.
//!
//! Conclusions from the whole Application and from the store; what neither says is said to be unknown.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::actions::application::{App, Entry as Deploy, applications};
use crate::actions::windows::{self, Verdict};
use crate::app::application::{Application as View, Pane};
use crate::app::detail::{Document, Entry};
use crate::app::state::State;
use crate::human;
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::applications::Application;
use crate::kinds::argo::{ApplicationSet, Project};
use crate::kinds::pods::short_image;
use crate::kinds::workloads::ReplicaSet;
use crate::kinds::{Cell, Health, Leads, Object};
use crate::store::{Query, Store};

/// How long after the end of an operation its ReplicaSet may still be created.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn field(name: &str, value: Cell) -> Entry {
    Entry::Field { name: name.to_owned(), value }
}

fn words(text: &str) -> Cell {
    if text.is_empty() { Cell::Unknown } else { Cell::Text(Text::from(text)) }
}

fn status(text: &str, health: Health) -> Cell {
    Cell::Status { text: Text::from(text), health }
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Returns the lines of the pane that is shown, where it is one of text.
pub fn lines(state: &State, store: &Store, view: &View) -> Vec<Entry> {
    let Document::Ready(document) = &view.document else { return Vec::new() };
    let lines = match view.pane {
        Pane::Operation => operation(document, state.now),
        Pane::Conditions => conditions(state, store, &view.object, document),
        Pane::Resources | Pane::History => Vec::new(),
    };
    Entry::wrapped(lines, state.size.0)
}

/// Returns the lines of the operation that runs or ran last.
pub fn operation(document: &Value, now: Timestamp) -> Vec<Entry> {
    let app = App(document);
    let Some(state) = document.pointer("/status/operationState") else {
        let said = if app.requested() {
            "An operation is requested, and not yet picked up by the controller."
        } else {
            "No operation was ever run."
        };
        return vec![Entry::Words(said.to_owned())];
    };
    let phase = text(state, "/phase");
    let mut lines = vec![field("phase", status(phase, phase_health(phase)))];
    if !text(state, "/message").is_empty() {
        lines.push(Entry::Words(text(state, "/message").to_owned()));
    }
    let by = match text(state, "/operation/initiatedBy/username") {
        "" if state.pointer("/operation/initiatedBy/automated").is_some() => "auto-sync",
        name => name,
    };
    lines.push(field("begun by", words(by)));
    let started = moment(text(state, "/startedAt"));
    lines.push(field("begun", started.map_or(Cell::Unknown, Cell::Age)));
    if let (Some(started), Some(finished)) = (started, moment(text(state, "/finishedAt"))) {
        let took = human::span(finished.as_second() - started.as_second());
        lines.push(field("took", words(&took)));
    } else if let Some(started) = started {
        lines.push(field("running for", words(&human::age(now, started))));
    }
    let revision = match text(state, "/syncResult/revision") {
        "" => text(state, "/operation/sync/revision"),
        revision => revision,
    };
    if !revision.is_empty() {
        lines.push(field("revision", words(revision)));
    }
    if state.pointer("/operation/sync/dryRun").and_then(Value::as_bool) == Some(true) {
        lines.push(field("dry run", words("nothing was applied")));
    }
    let retries = state.pointer("/retryCount").and_then(Value::as_i64).unwrap_or_default();
    if retries > 0 {
        lines.push(field("retries", Cell::Count(retries)));
    }
    let results = list(state, "/syncResult/resources");
    if !results.is_empty() {
        lines.push(Entry::Gap);
        lines.push(Entry::Heading(format!("Results of {} resources", results.len())));
    }
    for result in results {
        let hook = text(result, "/hookType");
        let standing = if hook.is_empty() { text(result, "/status") } else { text(result, "/hookPhase") };
        let kind = text(result, "/kind");
        let name = if hook.is_empty() {
            format!("{kind}/{}", text(result, "/name"))
        } else {
            format!("{hook} {kind}/{}", text(result, "/name"))
        };
        lines.push(field(&name, status(standing, result_health(standing))));
        let message = text(result, "/message");
        if !message.is_empty() {
            lines.push(Entry::Words(message.to_owned()));
        }
    }
    lines
}

fn phase_health(phase: &str) -> Health {
    match phase {
        "Succeeded" => Health::Healthy,
        "Running" | "Terminating" => Health::Progressing,
        "Failed" | "Error" => Health::Degraded,
        _ => Health::Unknown,
    }
}

fn result_health(standing: &str) -> Health {
    match standing {
        "Synced" | "Succeeded" => Health::Healthy,
        "Pruned" | "PruneSkipped" => Health::Idle,
        "SyncFailed" | "Failed" | "Error" => Health::Degraded,
        "Running" | "Terminating" => Health::Progressing,
        _ => Health::Unknown,
    }
}

/// Returns the lines on conditions, sync windows and owners.
pub fn conditions(state: &State, store: &Store, object: &ObjectRef, document: &Value) -> Vec<Entry> {
    let mut lines = vec![Entry::Heading("Conditions".to_owned())];
    let said = list(document, "/status/conditions");
    if said.is_empty() {
        lines.push(field("none", words("the controller has nothing to say against it")));
    }
    for condition in said {
        let name = text(condition, "/type");
        let health = if name.ends_with("Error") { Health::Degraded } else { Health::Warning };
        let since = moment(text(condition, "/lastTransitionTime"));
        let since = since.map_or_else(String::new, |at| format!("since {}", human::age(state.now, at)));
        lines.push(field(&since, status(name, health)));
        lines.push(Entry::Words(text(condition, "/message").to_owned()));
    }
    lines.push(Entry::Gap);
    lines.push(Entry::Heading("Sync windows".to_owned()));
    lines.extend(sync_windows(state, store, object, document));
    lines.push(Entry::Gap);
    lines.push(Entry::Heading("Who would undo a change by hand".to_owned()));
    lines.extend(owners(store, object, document));
    lines
}

fn sync_windows(state: &State, store: &Store, object: &ObjectRef, document: &Value) -> Vec<Entry> {
    let name = match text(document, "/spec/project") {
        "" => "default",
        name => name,
    };
    // Projects live beside the controller.
    let namespace = match text(document, "/status/controllerNamespace") {
        "" => object.namespace.clone(),
        namespace => Some(Text::from(namespace)),
    };
    let at = ObjectRef {
        context: object.context.clone(),
        resource: Resource::new("argoproj.io", "appprojects"),
        namespace,
        name: Text::from(name),
    };
    let related =
        |value: Cell| Entry::Related { how: "project".to_owned(), to: Leads::One(at.clone()), value };
    let Some(project) = store.object(&at).and_then(|object| object.body::<Project>()) else {
        return vec![
            related(Cell::Unknown),
            Entry::Words("The project is not known here, so neither are its windows.".to_owned()),
        ];
    };
    let verdict = windows::standing(project, App(document), state.now);
    let (word, health, sentence) = match &verdict {
        Verdict::Open => ("open", Health::Healthy, "No window is in the way of a sync.".to_owned()),
        Verdict::ManualOnly { window } => (
            "closed for auto-sync",
            Health::Idle,
            format!("{window} lets a sync through that is begun by hand."),
        ),
        Verdict::Blocked { window, opens } => {
            let opens = opens.map_or_else(
                || "no opening is in sight".to_owned(),
                |at| {
                    let wait = human::span(at.as_second() - state.now.as_second());
                    format!("opens {} (in {wait})", human::moment(at, state.now, &state.zone))
                },
            );
            let sentence =
                format!("{window}: {opens}. An operation would wait until then, still shown as running.");
            ("closed", Health::Warning, sentence)
        }
        Verdict::Unknown(why) => ("?", Health::Unknown, format!("A window cannot be understood: {why}.")),
    };
    let mut lines = vec![related(status(word, health)), Entry::Words(sentence)];
    for window in &project.windows {
        let kind = if window.denies { "deny" } else { "allow" };
        let zone = window.zone.as_deref().unwrap_or("UTC");
        let manual = if window.manual { ", by hand allowed" } else { "" };
        let text = format!("{} for {} ({zone}){manual}", window.schedule, window.duration);
        lines.push(field(kind, words(&text)));
    }
    lines
}

fn owners(store: &Store, object: &ObjectRef, document: &Value) -> Vec<Entry> {
    let mut lines = Vec::new();
    let owned = list(document, "/metadata/ownerReferences").iter().find(|owner| {
        text(owner, "/kind") == "ApplicationSet"
            && owner.get("controller").and_then(Value::as_bool).unwrap_or(false)
    });
    if let Some(owner) = owned {
        let at = ObjectRef {
            resource: Resource::new("argoproj.io", "applicationsets"),
            name: Text::from(text(owner, "/name")),
            ..object.clone()
        };
        let set = store.object(&at).and_then(|object| object.body::<ApplicationSet>());
        let (value, sentence) = set.map_or_else(
            || {
                (
                    Cell::Unknown,
                    "The set is not known here; sets rewrite what was changed by hand.".to_owned(),
                )
            },
            of_set,
        );
        lines.push(Entry::Related { how: "set".to_owned(), to: Leads::One(at), value });
        lines.push(Entry::Words(sentence));
    }
    let parent = store
        .object(object)
        .and_then(|object| object.body::<Application>())
        .and_then(|slim| slim.parent.clone());
    if let Some((namespace, name)) = parent {
        let at = ObjectRef {
            context: object.context.clone(),
            resource: applications(),
            namespace: namespace.or_else(|| object.namespace.clone()),
            name,
        };
        let (value, sentence) = store
            .object(&at)
            .and_then(|object| object.body::<Application>())
            .map_or_else(|| (Cell::Unknown, "The parent is not known here.".to_owned()), of_parent);
        lines.push(Entry::Related { how: "parent".to_owned(), to: Leads::One(at), value });
        lines.push(Entry::Words(sentence));
    }
    if App(document).auto_sync() {
        let heals = App(document).automated().and_then(|auto| auto.get("selfHeal")).and_then(Value::as_bool);
        let (value, sentence) = if heals == Some(true) {
            (
                status("undone", Health::Warning),
                "Auto-sync heals itself: what is changed by hand on its resources is undone within seconds.",
            )
        } else {
            (
                status("at the next sync", Health::Idle),
                "Auto-sync is on without self-heal: the next commit brings Git's state back.",
            )
        };
        lines.push(field("auto-sync", value));
        lines.push(Entry::Words(sentence.to_owned()));
    }
    if lines.is_empty() {
        lines.push(field("nobody", status("stays", Health::Healthy)));
        lines.push(Entry::Words("Nothing owns this Application and auto-sync is off.".to_owned()));
    }
    lines
}

/// What an ApplicationSet does to its Applications that were changed by hand (contracts 1.10).
fn of_set(set: &ApplicationSet) -> (Cell, String) {
    if set.rolling {
        let text = "It syncs its Applications itself, step by step, and keeps their auto-sync off.";
        return (status("undone", Health::Warning), text.to_owned());
    }
    if let Some(policy) =
        set.policy.as_deref().filter(|policy| matches!(*policy, "create-only" | "create-delete"))
    {
        return (
            status("stays", Health::Healthy),
            format!("It leaves Applications that are there alone ({policy})."),
        );
    }
    let mut text = "It rewrites spec, labels and annotations at its next pass.".to_owned();
    if !set.ignores.is_empty() {
        let ignored: Vec<&str> = set.ignores.iter().map(|path| &**path).collect();
        text = format!("{text} It leaves alone: {}.", ignored.join(", "));
    }
    (status("undone", Health::Warning), text)
}

fn of_parent(parent: &Application) -> (Cell, String) {
    use crate::kinds::applications::AutoSync;
    match parent.auto_sync {
        AutoSync::On { self_heal: true, .. } => (
            status("undone", Health::Warning),
            "It heals itself: what is changed by hand in this Application is undone within minutes."
                .to_owned(),
        ),
        AutoSync::On { .. } => (
            status("at its next sync", Health::Idle),
            "It has auto-sync without self-heal: its next sync brings this Application back to Git's state."
                .to_owned(),
        ),
        _ => (
            status("stays", Health::Healthy),
            "Its auto-sync is off: a change stays until somebody syncs it.".to_owned(),
        ),
    }
}

/// Returns the images that ran with an entry of the history, as the ReplicaSets that are still there tell; none
/// where they tell nothing.
///
/// The history keeps no images. A ReplicaSet is made within seconds of the sync that first brings its revision,
/// so the newest one that was there by then is the one; going back to a revision brings no new one.
pub fn images(store: &Store, object: &ObjectRef, document: &Value, entry: &Value) -> Vec<String> {
    let revision = Deploy(entry).revision();
    let first = list(document, "/status/history")
        .iter()
        .map(Deploy)
        .filter(|other| other.revision() == revision)
        .filter_map(Deploy::deployed_at)
        .min();
    let Some(until) = first.and_then(|at| at.checked_add(GRACE).ok()) else { return Vec::new() };
    if !App(document).in_cluster() {
        return Vec::new();
    }
    let query = Query::all(&object.context, &Resource::new("apps", "replicasets"));
    let Some(sets) = store.shelf(&query) else { return Vec::new() };
    let mut images = Vec::new();
    for workload in App(document).workloads(object) {
        let newest = sets
            .in_namespace(workload.namespace.as_deref())
            .filter(|set| owned_by(set, &workload.name))
            .filter(|set| set.meta.created.is_some_and(|created| created <= until))
            .max_by_key(|set| set.meta.created);
        let containers = newest.and_then(|set| set.body::<ReplicaSet>()).map(|set| &set.containers);
        for container in containers.into_iter().flatten() {
            let image = short_image(&container.image).to_owned();
            if !images.contains(&image) {
                images.push(image);
            }
        }
    }
    images
}

fn owned_by(set: &Object, deployment: &str) -> bool {
    set.meta.owners.iter().any(|owner| &*owner.kind == "Deployment" && &*owner.name == deployment)
}
