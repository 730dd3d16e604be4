//! What is written into `operation` of an Application, exactly as argocd-server would write it.
//!
//! Pure: bodies only. The wire facts are those of Argo CD's server (`Sync`, `Rollback`,
//! `TerminateOperation`), restated for a client that writes the Application itself.

use serde_json::{Map, Value, json};

use super::application::{ACTION, App, Entry};
use super::draft::text;
use super::{Options, SyncResource};

/// Who begins an operation, why, and by which action.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The user name that the API server knows.
    pub username: &'a str,
    /// The local user.
    pub local: &'a str,
    /// Why; may be empty.
    pub reason: &'a str,
    /// The action's id, by which its operation is known again.
    pub action: &'a str,
}

impl Origin<'_> {
    fn initiated_by(self) -> Value {
        json!({ "username": self.username, "automated": false })
    }

    fn info(self) -> Value {
        let mut info = Vec::new();
        if !self.reason.is_empty() {
            info.push(json!({ "name": "Reason", "value": self.reason }));
        }
        info.push(json!({ "name": "Operator", "value": self.local }));
        info.push(json!({ "name": ACTION, "value": self.action }));
        Value::Array(info)
    }
}

/// Returns the operation of a sync.
pub fn sync(app: App<'_>, options: &Options, origin: Origin<'_>) -> Value {
    let mut sync = Map::new();
    if app.multi_source() {
        let sources: Vec<Value> = app.sources().into_iter().cloned().collect();
        sync.insert("sources".to_owned(), Value::Array(sources));
        // No revisions: the controller takes the newest of each, and not what was compared last.
    } else {
        // With a hydrator there is no source in the spec; the controller finds it itself.
        if let Some(source) = app.0.pointer("/spec/source").filter(|source| !source.is_null()) {
            sync.insert("source".to_owned(), source.clone());
        }
        if let Some(revision) = &options.revision {
            sync.insert("revision".to_owned(), json!(revision));
        }
    }
    sync.insert("prune".to_owned(), json!(options.prune));
    sync.insert("dryRun".to_owned(), json!(options.dry_run));
    let how = if options.force { json!({ "force": true }) } else { json!({}) };
    let strategy = if options.apply_only { "apply" } else { "hook" };
    sync.insert("syncStrategy".to_owned(), json!({ strategy: how }));
    sync_options(app, &mut sync);
    if !options.resources.is_empty() {
        let resources: Vec<Value> = options.resources.iter().map(selected).collect();
        sync.insert("resources".to_owned(), Value::Array(resources));
    }
    let mut operation = Map::new();
    operation.insert("initiatedBy".to_owned(), origin.initiated_by());
    operation.insert("info".to_owned(), origin.info());
    let retry = app.0.pointer("/spec/syncPolicy/retry").filter(|retry| !retry.is_null());
    if let Some(retry) = retry {
        operation.insert("retry".to_owned(), retry.clone());
    }
    operation.insert("sync".to_owned(), Value::Object(sync));
    Value::Object(operation)
}

/// Returns the operation of a rollback: the apply strategy, so no hooks, and no retry.
///
/// An entry with several sources serialises `source` as `{"repoURL":""}`; it is left out then, because the
/// definition demands a `repoURL` and an empty source is refused.
pub fn rollback(app: App<'_>, entry: Entry<'_>, prune: bool, origin: Origin<'_>) -> Value {
    let mut sync = Map::new();
    if entry.multi_source() {
        let sources: Vec<Value> = entry.sources().into_iter().cloned().collect();
        sync.insert("sources".to_owned(), Value::Array(sources));
        if let Some(revisions) = entry.0.get("revisions").filter(|value| !value.is_null()) {
            sync.insert("revisions".to_owned(), revisions.clone());
        }
    } else {
        if let Some(source) = entry.sources().first() {
            sync.insert("source".to_owned(), (*source).clone());
        }
        sync.insert("revision".to_owned(), json!(text(entry.0, "/revision")));
    }
    sync.insert("prune".to_owned(), json!(prune));
    sync.insert("dryRun".to_owned(), json!(false));
    sync.insert("syncStrategy".to_owned(), json!({ "apply": {} }));
    sync_options(app, &mut sync);
    json!({
        "initiatedBy": origin.initiated_by(),
        "info": origin.info(),
        "sync": sync,
    })
}

/// Returns the one merge patch that begins an operation.
///
/// The old `status.operationState` goes in the same write: a leftover Running state would make the controller
/// resume the old operation. The version makes a second application impossible.
pub fn begin_patch(version: &str, operation: &Value) -> Value {
    json!({
        "metadata": { "resourceVersion": version },
        "operation": operation,
        "status": { "operationState": null },
    })
}

/// Returns the merge patch that terminates what runs; `operation` itself must stay, or the state would be
/// Running for ever.
pub fn terminate_patch(version: &str) -> Value {
    json!({
        "metadata": { "resourceVersion": version },
        "status": { "operationState": { "phase": "Terminating" } },
    })
}

/// Returns the merge patch that takes back an operation that no controller has picked up yet.
pub fn withdraw_patch(version: &str) -> Value {
    json!({ "metadata": { "resourceVersion": version }, "operation": null })
}

fn sync_options(app: App<'_>, sync: &mut Map<String, Value>) {
    let options = app.0.pointer("/spec/syncPolicy/syncOptions");
    if let Some(options) = options.filter(|options| options.is_array()) {
        sync.insert("syncOptions".to_owned(), options.clone());
    }
}

fn selected(resource: &SyncResource) -> Value {
    let mut selected = Map::new();
    if !resource.group.is_empty() {
        selected.insert("group".to_owned(), json!(resource.group));
    }
    selected.insert("kind".to_owned(), json!(resource.kind));
    selected.insert("name".to_owned(), json!(resource.name));
    if !resource.namespace.is_empty() {
        selected.insert("namespace".to_owned(), json!(resource.namespace));
    }
    Value::Object(selected)
}
