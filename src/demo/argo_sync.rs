//! One run of a sync: the tasks of an operation, phase by phase and wave by wave, with their results.
//!
//! A run applies manifests through the context of its controller and reports; the life of the operation around it
//! (picking up, retrying, ending) is in `argo_operation` (`contracts.md` 1.4, 1.6).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::admission::admit;
use super::argo_compare::{Comparison, Item, key_of};
use super::argo_diff::{apply, ignore};
use super::argo_health::{self, Health};
use super::argo_render::{HOOK, HOOK_DELETE, WAVE, group, sources_of};
use super::objects::Key;
use super::types::Type;
use super::untyped::{flag, later, list, marked, text};
use super::world::Cx;

/// Seconds between two waves; Argo CD's default.
const WAVE_DELAY: f64 = 2.0;
/// Seconds between two looks at what a run waits for.
const TICK: f64 = 1.0;

/// When a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    PreSync,
    Sync,
    PostSync,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
        }
    }
}

#[derive(Debug, Clone)]
struct Task {
    phase: Phase,
    wave: i64,
    hook: bool,
    item: Item,
    /// Place of its result in the list of results, once it has one.
    result: Option<usize>,
    done: bool,
}

/// What a run came to at its latest turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It goes on, not before that time.
    Wait(Timestamp, String),
    /// It ended well.
    Succeeded(String),
    /// It ended badly.
    Failed(String),
}

/// A sync that is running.
#[derive(Debug, Clone)]
pub struct Run {
    tasks: Vec<Task>,
    /// The manifests that were applied before, to take back what is no longer named.
    before: Vec<Value>,
    /// What is not to be written.
    ignored: Vec<Value>,
    dry: bool,
    force: bool,
    prune: bool,
    /// Results so far, as they stand in `syncResult.resources`.
    pub results: Vec<Value>,
    applied: Option<(Phase, i64)>,
    pause_until: Option<Timestamp>,
}

/// Says whether an operation selects resources, in which case neither hooks run nor history is written.
pub fn selective(operation: &Value) -> bool {
    !list(operation, "/sync/resources").is_empty()
}

/// Says whether hooks run: a full sync with the hook strategy, which is the default.
fn runs_hooks(operation: &Value) -> bool {
    operation.pointer("/sync/syncStrategy/apply").is_none_or(Value::is_null) && !selective(operation)
}

/// Says whether an operation has a sync option, such as `ApplyOutOfSyncOnly=true`.
fn has_option(operation: &Value, option: &str) -> bool {
    list(operation, "/sync/syncOptions").iter().any(|set| set == option)
}

impl Run {
    /// Plans the tasks of an operation from a comparison with the commits that it asks for; `before` are the
    /// manifests of the last deployment.
    pub fn plan(operation: &Value, comparison: &Comparison, before: Vec<Value>, application: &Value) -> Self {
        let only_changed = has_option(operation, "ApplyOutOfSyncOnly=true");
        let mut tasks: Vec<Task> = comparison
            .items
            .iter()
            .filter(|item| selected(operation, &item.manifest))
            .filter(|item| !(only_changed && item.synced))
            .map(|item| Task {
                phase: Phase::Sync,
                // What goes, goes after everything that comes.
                wave: if item.prune { i64::MAX } else { wave(&item.manifest) },
                hook: false,
                item: item.clone(),
                result: None,
                done: false,
            })
            .collect();
        if runs_hooks(operation) {
            for hook in &comparison.hooks {
                for word in marked(hook, "annotations", HOOK).split(',') {
                    let phase = match word.trim() {
                        "PreSync" => Phase::PreSync,
                        "Sync" => Phase::Sync,
                        "PostSync" => Phase::PostSync,
                        // `Skip` is never applied; `SyncFail` and the deletion hooks belong to other moments.
                        _ => continue,
                    };
                    let item =
                        Item { key: key_of(hook), manifest: hook.clone(), synced: false, prune: false };
                    tasks.push(Task { phase, wave: wave(hook), hook: true, item, result: None, done: false });
                }
            }
        }
        tasks.sort_by_key(|task| (task.phase, task.wave, order(text(&task.item.manifest, "/kind"))));
        let force = ["hook", "apply"]
            .iter()
            .any(|strategy| flag(operation, &format!("/sync/syncStrategy/{strategy}/force")));
        let ignored = if has_option(operation, "RespectIgnoreDifferences=true") {
            list(application, "/spec/ignoreDifferences").to_vec()
        } else {
            Vec::new()
        };
        Self {
            tasks,
            before,
            ignored,
            dry: flag(operation, "/sync/dryRun"),
            force,
            prune: flag(operation, "/sync/prune"),
            results: Vec::new(),
            applied: None,
            pause_until: None,
        }
    }

    /// Goes on as far as it can without waiting.
    pub fn turn(&mut self, cx: &mut Cx<'_>) -> Turn {
        if self.dry {
            return self.rehearse(cx);
        }
        loop {
            if let Some(until) = self.pause_until {
                if cx.now < until {
                    return Turn::Wait(until, "waiting between two waves".to_owned());
                }
                self.pause_until = None;
            }
            if let Some(group) = self.applied {
                if let Some(turn) = self.watch(group, cx) {
                    return turn;
                }
                self.applied = None;
                if self.tasks.iter().any(|task| !task.done) {
                    self.pause_until = Some(later(cx.now, WAVE_DELAY));
                }
                continue;
            }
            let Some(next) = self.tasks.iter().find(|task| !task.done) else {
                let message = if self.results.is_empty() { "no more tasks" } else { "all tasks run" };
                return Turn::Succeeded(format!("successfully synced ({message})"));
            };
            let group = (next.phase, next.wave);
            if let Some(failed) = self.start(group, cx) {
                return failed;
            }
            self.applied = Some(group);
        }
    }

    /// Stops: hooks that still run are deleted.
    pub fn stop(&mut self, cx: &mut Cx<'_>) {
        for nth in 0..self.tasks.len() {
            let task = &self.tasks[nth];
            let (Some(key), Some(result)) = (task.item.key.clone(), task.result) else { continue };
            if task.hook && !task.done {
                cx.delete(&key);
                self.results[result]["hookPhase"] = json!("Failed");
                self.results[result]["message"] = json!("Terminated");
            }
        }
    }

    /// Applies the tasks of one phase and wave.
    fn start(&mut self, group: (Phase, i64), cx: &mut Cx<'_>) -> Option<Turn> {
        let mut failures = Vec::new();
        for nth in 0..self.tasks.len() {
            let task = &self.tasks[nth];
            if task.done || (task.phase, task.wave) != group {
                continue;
            }
            let (status, message) = self.perform(task, cx);
            let task = &self.tasks[nth];
            let mut result = outcome(task, status, &message);
            if status == "SyncFailed" {
                result["hookPhase"] = json!("Failed");
                failures.push(message);
            }
            self.results.push(result);
            self.tasks[nth].result = Some(self.results.len() - 1);
        }
        (!failures.is_empty()).then(|| {
            Turn::Failed(format!("one or more objects failed to apply, reason: {}", failures.join(",")))
        })
    }

    /// Looks at what was applied; `None` once the group has done its part.
    fn watch(&mut self, group: (Phase, i64), cx: &mut Cx<'_>) -> Option<Turn> {
        let more = self.tasks.iter().any(|task| (task.phase, task.wave) > group);
        let mut waiting = None;
        let mut failures = Vec::new();
        for nth in 0..self.tasks.len() {
            let task = &self.tasks[nth];
            if task.done || (task.phase, task.wave) != group {
                continue;
            }
            // The last wave is not waited for, unless it is a hook: its health is the application's.
            let needs = task.hook || (more && !task.item.prune);
            let live = task.item.key.as_ref().and_then(|key| cx.get(key));
            let verdict = match (&live, needs) {
                (Some(live), true) => argo_health::of(live),
                (None, true) if task.hook => Some((Health::Progressing, String::new())),
                (_, _) => None,
            };
            let result = task.result;
            match verdict {
                Some((Health::Progressing | Health::Missing, _)) => {
                    waiting.get_or_insert_with(|| describe(task));
                    continue;
                }
                Some((Health::Degraded, why)) => {
                    if let Some(result) = result {
                        self.results[result]["hookPhase"] = json!("Failed");
                        self.results[result]["message"] = json!(why);
                    }
                    failures.push(why);
                }
                Some((_, why)) => {
                    if let Some(result) = result.filter(|_| task.hook || more) {
                        self.results[result]["hookPhase"] = json!("Succeeded");
                        if !why.is_empty() {
                            self.results[result]["message"] = json!(why);
                        }
                    }
                    if task.hook
                        && marked(&task.item.manifest, "annotations", HOOK_DELETE).contains("HookSucceeded")
                        && let Some(key) = task.item.key.clone()
                    {
                        cx.delete(&key);
                    }
                }
                None => {
                    if let Some(result) = result.filter(|_| more && !task.item.prune) {
                        self.results[result]["hookPhase"] = json!("Succeeded");
                    }
                }
            }
            self.tasks[nth].done = true;
        }
        if !failures.is_empty() {
            failures.retain(|why| !why.is_empty());
            let mut message = "one or more synchronization tasks completed unsuccessfully".to_owned();
            if !failures.is_empty() {
                message.push_str(", reason: ");
                message.push_str(&failures.join(","));
            }
            return Some(Turn::Failed(message));
        }
        waiting.map(|what| Turn::Wait(later(cx.now, TICK), what))
    }

    /// Does one task; returns the status and the message of its result.
    fn perform(&self, task: &Task, cx: &mut Cx<'_>) -> (&'static str, String) {
        let manifest = &task.item.manifest;
        let Some(key) = &task.item.key else {
            let why = format!(
                "The Kubernetes API could not find {}/{} for requested resource {}/{}. Make sure the \"{}\" CRD is installed on the destination cluster.",
                group(manifest),
                text(manifest, "/kind"),
                text(manifest, "/metadata/namespace"),
                text(manifest, "/metadata/name"),
                text(manifest, "/kind")
            );
            return ("SyncFailed", why);
        };
        if task.item.prune {
            if !self.prune {
                return ("PruneSkipped", "ignored (requires pruning)".to_owned());
            }
            if sync_options(manifest).any(|option| option == "Prune=false") {
                return ("PruneSkipped", "ignored (no prune)".to_owned());
            }
            if !self.dry {
                cx.delete(key);
            }
            return ("Pruned", if self.dry { "pruned (dry run)" } else { "pruned" }.to_owned());
        }
        let shown = shown(key);
        let live = cx.get(key);
        if self.dry {
            let verb = match &live {
                None => "created",
                Some(_) if task.item.synced => "unchanged",
                Some(_) => "configured",
            };
            return ("Synced", format!("{shown} {verb} (dry run)"));
        }
        if task.hook && live.is_some() {
            // `BeforeHookCreation`, which is also the default: the one of the last time goes first.
            cx.delete(key);
        } else if let Some(live) = &live {
            let mut manifest = manifest.clone();
            ignore(&self.ignored, live, &mut manifest);
            let before = self.before.iter().find(|before| key_of(before).as_ref() == Some(key));
            return self.change(key, &manifest, before, cx, &shown);
        }
        match create(key, manifest, cx) {
            Ok(()) => ("Synced", format!("{shown} created")),
            Err(why) => ("SyncFailed", why),
        }
    }

    fn change(
        &self,
        key: &Key,
        manifest: &Value,
        before: Option<&Value>,
        cx: &mut Cx<'_>,
        shown: &str,
    ) -> (&'static str, String) {
        let Some(live) = cx.get(key) else { return ("SyncFailed", format!("{shown} is gone")) };
        let mut changed = live.clone();
        apply(manifest, before, &mut changed);
        match admit(key.kind, &mut changed, Some(&live)) {
            Ok(()) => {
                let verb = if cx.replace(key, changed) { "configured" } else { "unchanged" };
                ("Synced", format!("{shown} {verb}"))
            }
            Err(_) if self.force => {
                cx.remove(key);
                match create(key, manifest, cx) {
                    Ok(()) => ("Synced", format!("{shown} replaced")),
                    Err(why) => ("SyncFailed", why),
                }
            }
            Err(status) => ("SyncFailed", status.message),
        }
    }

    /// Says what a run would do.
    fn rehearse(&mut self, cx: &mut Cx<'_>) -> Turn {
        for nth in 0..self.tasks.len() {
            if self.tasks[nth].hook {
                continue;
            }
            let (status, message) = self.perform(&self.tasks[nth], cx);
            let result = outcome(&self.tasks[nth], status, &message);
            self.results.push(result);
        }
        let failures: Vec<&str> = self
            .results
            .iter()
            .filter(|result| result["status"] == "SyncFailed")
            .map(|result| text(result, "/message"))
            .collect();
        if failures.is_empty() {
            Turn::Succeeded("successfully synced (all tasks run)".to_owned())
        } else {
            Turn::Failed(format!(
                "one or more objects failed to apply (dry run), reason: {}",
                failures.join(",")
            ))
        }
    }
}

/// Creates an object as a client does, with the API server's defaults and checks.
fn create(key: &Key, manifest: &Value, cx: &mut Cx<'_>) -> Result<(), String> {
    let mut object = manifest.clone();
    admit(key.kind, &mut object, None)
        .and_then(|()| cx.create(key.kind, object))
        .map(drop)
        .map_err(|status| status.message)
}

fn sync_options(manifest: &Value) -> impl Iterator<Item = &str> {
    marked(manifest, "annotations", "argocd.argoproj.io/sync-options").split(',').map(str::trim)
}

fn selected(operation: &Value, manifest: &Value) -> bool {
    let chosen = list(operation, "/sync/resources");
    chosen.is_empty()
        || chosen.iter().any(|resource| {
            let namespace = text(resource, "/namespace");
            text(resource, "/group") == group(manifest)
                && resource["kind"] == manifest["kind"]
                && resource["name"] == manifest["metadata"]["name"]
                && (namespace.is_empty() || namespace == text(manifest, "/metadata/namespace"))
        })
}

fn wave(manifest: &Value) -> i64 {
    marked(manifest, "annotations", WAVE).parse().unwrap_or(0)
}

/// The order of kinds within a wave, shortened from Argo CD's to what the platform serves.
fn order(kind: &str) -> usize {
    const ORDER: &[&str] = &[
        "Namespace",
        "NetworkPolicy",
        "ResourceQuota",
        "LimitRange",
        "PodDisruptionBudget",
        "ServiceAccount",
        "Secret",
        "ConfigMap",
        "StorageClass",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Service",
        "DaemonSet",
        "Pod",
        "ReplicaSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "StatefulSet",
        "Job",
        "CronJob",
        "Ingress",
    ];
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

/// Returns an object as `kubectl apply` names it, such as `deployment.apps/checkout`.
fn shown(key: &Key) -> String {
    let info = key.kind.info();
    if info.group.is_empty() {
        format!("{}/{}", info.singular, key.name)
    } else {
        format!("{}.{}/{}", info.singular, info.group, key.name)
    }
}

fn describe(task: &Task) -> String {
    let manifest = &task.item.manifest;
    let name =
        format!("{}/{}/{}", group(manifest), text(manifest, "/kind"), text(manifest, "/metadata/name"));
    let what = if task.hook { "completion of hook" } else { "healthy state of" };
    format!("waiting for {what} {}", name.trim_start_matches('/'))
}

fn outcome(task: &Task, status: &str, message: &str) -> Value {
    let manifest = &task.item.manifest;
    let mut result = json!({
        "group": group(manifest),
        "version": text(manifest, "/apiVersion").rsplit('/').next().unwrap_or_default(),
        "kind": manifest["kind"],
        "namespace": text(manifest, "/metadata/namespace"),
        "name": manifest["metadata"]["name"],
        "status": status,
        "message": message,
        "hookPhase": if task.item.prune { "Succeeded" } else { "Running" },
        "syncPhase": task.phase.as_str(),
    });
    if task.hook {
        result["hookType"] = json!(task.phase.as_str());
    }
    let images: Vec<&Value> = list(manifest, "/spec/template/spec/containers")
        .iter()
        .map(|container| &container["image"])
        .collect();
    if !images.is_empty() && task.item.key.as_ref().is_some_and(|key| key.kind != Type::Job) {
        result["images"] = json!(images);
    }
    result
}

/// Returns the sources that an operation deploys: its own, or those of the specification.
pub fn operation_sources(operation: &Value, application: &Value) -> Vec<Value> {
    let own = sources_of(&operation["sync"]);
    // Several sources make the single one an empty shell.
    let own: Vec<Value> = own.into_iter().filter(|source| !text(source, "/repoURL").is_empty()).collect();
    if own.is_empty() { sources_of(&application["spec"]) } else { own }
}
