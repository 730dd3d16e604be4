//! The life of an operation: picked up, run, retried, terminated, ended and written into the history
//! (`contracts.md` 1.4 to 1.7).

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::argo_compare::{Question, compare, project_of, revisions_of, tracking};
use super::argo_manifests::{CLUSTER, SERVER};
use super::argo_render::{HOOK, Renderer, sources_of};
use super::argo_sync::{Run, Turn, operation_sources, selective};
use super::argo_window::decide;
use super::objects::{Key, seconds};
use super::untyped::{duration, flag, later, list, marked, number, text, time};
use super::world::Cx;

/// Who writes events of Applications.
pub const BY: &str = "argocd-application-controller";
/// Seconds from picking an operation up to its first manifest: fetching and comparing.
const PREPARES: f64 = 1.0;
/// Seconds between two looks at an operation that a window blocks.
const BLOCKED_LOOK: f64 = 5.0;
const BLOCKED: &str = "Sync operation blocked by sync window";
const TERMINATED: &str = "Operation terminated";

/// What the controller remembers about the operation of one Application.
#[derive(Debug, Default)]
pub struct Progress {
    run: Option<Run>,
    /// Nothing is to be done before this.
    next: Option<Timestamp>,
    /// The operation has been looked at once; before that its author does not count as known.
    looked: bool,
}

impl Progress {
    /// Has a waiting operation looked at again at once: a window may have opened.
    pub fn wake(&mut self, now: Timestamp) {
        if self.run.is_none() {
            self.next = self.next.map(|next| next.min(now));
        }
    }
}

/// What an operation came to at its latest turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is none, or nothing that can go on.
    Idle,
    /// Look again then.
    Again(Timestamp),
    /// It ended just now: compare anew.
    Ended,
}

/// Says whether a phase is one of those that end an operation.
pub fn completed(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed" | "Error")
}

/// Takes the operation of an Application one turn further; changes its `operation` and `status.operationState`.
pub fn advance(
    app: &mut Value,
    progress: &mut Progress,
    renderer: &mut Renderer,
    tracked: &BTreeSet<Key>,
    cx: &mut Cx<'_>,
) -> Step {
    if !app["operation"].is_object() {
        // Without an operation nothing is processed, also where a state was left running.
        *progress = Progress::default();
        return Step::Idle;
    }
    let phase = text(app, "/status/operationState/phase").to_owned();
    if phase.is_empty() || completed(&phase) {
        return pick_up(app, progress, cx);
    }
    if phase == "Terminating" {
        return terminate(app, progress, tracked, cx);
    }
    if let Some(next) = progress.next.filter(|next| cx.now < *next) {
        return Step::Again(next);
    }
    if let Some(finished) = time(app, "/status/operationState/finishedAt") {
        let due = retry_at(app, finished);
        if cx.now < due {
            return Step::Again(due);
        }
        let state = &mut app["status"]["operationState"];
        let attempt = number(state, "/retryCount");
        state["message"] = json!(format!("Retrying operation. Attempt #{attempt}"));
        if let Some(state) = state.as_object_mut() {
            state.remove("finishedAt");
            state.remove("syncResult");
        }
        progress.run = None;
    }
    run(app, progress, renderer, tracked, cx)
}

fn pick_up(app: &mut Value, progress: &mut Progress, cx: &Cx<'_>) -> Step {
    let next = later(cx.now, PREPARES);
    *progress = Progress { next: Some(next), ..Progress::default() };
    if !app["status"].is_object() {
        app["status"] = json!({});
    }
    app["status"]["operationState"] = json!({
        "operation": app["operation"], "phase": "Running", "startedAt": seconds(cx.now),
    });
    Step::Again(next)
}

fn run(
    app: &mut Value,
    progress: &mut Progress,
    renderer: &mut Renderer,
    tracked: &BTreeSet<Key>,
    cx: &mut Cx<'_>,
) -> Step {
    let operation = app["status"]["operationState"]["operation"].clone();
    let manual = progress.looked && !flag(&operation, "/initiatedBy/automated");
    progress.looked = true;
    if blocked(app, manual, cx) {
        app["status"]["operationState"]["message"] = json!(BLOCKED);
        // The first look does not know the author yet, so a manual sync may flash as blocked.
        let wait = if manual || flag(&operation, "/initiatedBy/automated") { BLOCKED_LOOK } else { 1.0 };
        let next = later(cx.now, wait);
        progress.next = Some(next);
        return Step::Again(next);
    }
    let turn = match progress.run.as_mut() {
        Some(run) => run.turn(cx),
        None => match prepare(app, &operation, renderer, tracked, cx) {
            Ok(run) => progress.run.insert(run).turn(cx),
            Err(why) => {
                return end(app, progress, "Error", why, cx);
            }
        },
    };
    if let Some(run) = &progress.run {
        app["status"]["operationState"]["syncResult"]["resources"] = json!(run.results);
    }
    match turn {
        Turn::Wait(next, message) => {
            app["status"]["operationState"]["message"] = json!(message);
            progress.next = Some(next);
            Step::Again(next)
        }
        Turn::Succeeded(message) => end(app, progress, "Succeeded", message, cx),
        Turn::Failed(message) => end(app, progress, "Failed", message, cx),
    }
}

/// Says whether the windows of the project hold the operation.
fn blocked(app: &Value, manual: bool, cx: &Cx<'_>) -> bool {
    project_of(app, cx.objects).is_some_and(|project| {
        let name = text(app, "/metadata/name");
        let namespace = text(app, "/spec/destination/namespace");
        !decide(&project, name, namespace, &[SERVER, CLUSTER], cx.now).permits(manual)
    })
}

/// Compares with the commits that the operation asks for and plans the run; writes `syncResult`.
fn prepare(
    app: &mut Value,
    operation: &Value,
    renderer: &mut Renderer,
    tracked: &BTreeSet<Key>,
    cx: &Cx<'_>,
) -> Result<Run, String> {
    let sources = operation_sources(operation, app);
    let wanted = revisions_of(&operation["sync"]);
    let question = Question { application: app, sources: &sources, revisions: &wanted, tracked };
    let comparison = compare(renderer, cx.objects, question);
    if let Some((kind, message)) = comparison.errors.first() {
        return Err(format!("{kind}: {message}"));
    }
    let many = !list(app, "/spec/sources").is_empty() || sources.len() > 1;
    let mut result = if many {
        json!({"revision": "", "revisions": comparison.revisions, "source": {"repoURL": ""}, "sources": sources})
    } else {
        json!({"revision": comparison.revisions.first(), "source": sources.first()})
    };
    result["resources"] = json!([]);
    app["status"]["operationState"]["syncResult"] = result;
    let before = list(app, "/status/history")
        .last()
        .and_then(|last| {
            let namespace = text(app, "/spec/destination/namespace");
            renderer.render(&tracking(app), namespace, &sources_of(last), &revisions_of(last)).ok()
        })
        .map(|before| before.to_vec())
        .unwrap_or_default();
    Ok(Run::plan(operation, &comparison, before, app))
}

fn terminate(app: &mut Value, progress: &mut Progress, tracked: &BTreeSet<Key>, cx: &mut Cx<'_>) -> Step {
    if let Some(run) = progress.run.as_mut() {
        run.stop(cx);
        app["status"]["operationState"]["syncResult"]["resources"] = json!(run.results);
    } else {
        // A state that was left over: whatever hooks it started are found by their tracking.
        let is_hook = |live: Value| !marked(&live, "annotations", HOOK).is_empty();
        for key in tracked {
            if cx.get(key).is_some_and(is_hook) {
                cx.delete(key);
            }
        }
    }
    conclude(app, progress, "Failed", TERMINATED.to_owned(), cx)
}

/// Ends an attempt: with retries left the operation stays running until the next one.
fn end(app: &mut Value, progress: &mut Progress, phase: &str, message: String, cx: &mut Cx<'_>) -> Step {
    let state = &mut app["status"]["operationState"];
    let limit = number(state, "/operation/retry/limit");
    let count = number(state, "/retryCount");
    if phase == "Succeeded" {
        return conclude(app, progress, phase, message, cx);
    }
    if count < limit || limit < 0 {
        state["phase"] = json!("Running");
        state["finishedAt"] = json!(seconds(cx.now));
        // The wait before this attempt follows from the number of attempts before it.
        let due = later(cx.now, backoff(state, count));
        state["retryCount"] = json!(count + 1);
        let at = due.to_zoned(TimeZone::UTC).strftime("%-I:%M%p");
        state["message"] = json!(format!("{message}. Retrying attempt #{} at {at}.", count + 1));
        progress.run = None;
        progress.next = Some(due);
        return Step::Again(due);
    }
    let message = if count > 0 { format!("{message} (retried {count} times).") } else { message };
    conclude(app, progress, phase, message, cx)
}

/// Returns the seconds before the next attempt after `count` retries.
fn backoff(state: &Value, count: i64) -> f64 {
    let retry = &state["operation"]["retry"]["backoff"];
    let first = duration(text(retry, "/duration")).unwrap_or(5.0);
    let factor = match number(retry, "/factor") {
        0 => 2,
        factor => factor,
    };
    let most = duration(text(retry, "/maxDuration")).unwrap_or(180.0);
    let exponent = i32::try_from(count.clamp(0, 30)).unwrap_or(0);
    (first * (factor as f64).powi(exponent)).min(most)
}

fn retry_at(app: &Value, finished: Timestamp) -> Timestamp {
    let state = &app["status"]["operationState"];
    later(finished, backoff(state, number(state, "/retryCount") - 1))
}

/// Completes the operation: its state, the history, the event; `operation` goes.
fn conclude(app: &mut Value, progress: &mut Progress, phase: &str, message: String, cx: &mut Cx<'_>) -> Step {
    *progress = Progress::default();
    let now = seconds(cx.now);
    let state = &mut app["status"]["operationState"];
    state["phase"] = json!(phase);
    state["message"] = json!(message);
    state["finishedAt"] = json!(now);
    let state = state.clone();
    let operation = &state["operation"];
    if phase == "Succeeded" && !flag(operation, "/sync/dryRun") && !selective(operation) {
        remember(app, &state, &now);
    }
    if let Some(app) = app.as_object_mut() {
        app.remove("operation");
    }
    let to = revisions_of(&state["syncResult"]).join(",");
    let to = if to.is_empty() { String::new() } else { format!(" to {to}") };
    if phase == "Succeeded" {
        cx.event(app, "Normal", "OperationCompleted", &format!("Sync operation{to} succeeded"), BY);
    } else {
        let why = format!("Sync operation{to} failed: {message}");
        cx.event(app, "Warning", "OperationCompleted", &why, BY);
    }
    Step::Ended
}

/// Appends to the history and drops what is over its limit.
fn remember(app: &mut Value, state: &Value, now: &str) {
    let limit = app.pointer("/spec/revisionHistoryLimit").and_then(Value::as_u64).unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut history = list(app, "/status/history").to_vec();
    let id = history.last().map_or(0, |last| number(last, "/id") + 1);
    let result = &state["syncResult"];
    let mut entry = json!({
        "id": id,
        "deployStartedAt": state["startedAt"],
        "deployedAt": now,
        "source": result["source"],
    });
    if list(result, "/revisions").is_empty() {
        entry["revision"] = result["revision"].clone();
    } else {
        entry["revisions"] = result["revisions"].clone();
        entry["sources"] = result["sources"].clone();
    }
    let by = &state["operation"]["initiatedBy"];
    entry["initiatedBy"] = if by.is_object() { by.clone() } else { json!({}) };
    history.push(entry);
    let spare = history.len().saturating_sub(limit);
    history.drain(..spare);
    app["status"]["history"] = json!(history);
}
