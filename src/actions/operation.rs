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

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin<'static> {
        Origin { username: "alice@example", local: "alice on laptop", reason: "", action: "a-1" }
    }

    fn info() -> Value {
        json!([
            { "name": "Operator", "value": "alice on laptop" },
            { "name": "opsdeck action", "value": "a-1" },
        ])
    }

    // contracts 1.6: an entry with several sources serialises `source` as {"repoURL":""}.
    #[test]
    fn a_rollback_with_several_sources_names_them_all_and_no_single_one() {
        let app = json!({ "spec": { "sources": [{ "repoURL": "a" }, { "repoURL": "b" }] } });
        let entry = json!({ "id": 3, "revisions": ["111", "222"], "source": { "repoURL": "" },
            "sources": [{ "repoURL": "a", "path": "p" }, { "repoURL": "b", "ref": "values" }] });
        let operation = rollback(App(&app), Entry(&entry), true, origin());
        assert_eq!(
            operation,
            json!({
                "initiatedBy": { "username": "alice@example", "automated": false },
                "info": info(),
                "sync": {
                    "sources": [{ "repoURL": "a", "path": "p" }, { "repoURL": "b", "ref": "values" }],
                    "revisions": ["111", "222"],
                    "prune": true,
                    "dryRun": false,
                    "syncStrategy": { "apply": {} },
                },
            })
        );
    }

    // contracts 1.4.
    #[test]
    fn a_sync_copies_source_options_and_retry_from_the_spec() {
        let app = json!({ "spec": {
            "source": { "repoURL": "a", "path": "p", "targetRevision": "main" },
            "syncPolicy": { "syncOptions": ["CreateNamespace=true"], "retry": { "limit": 5 } } } });
        let options = Options {
            revision: Some("abc".to_owned()),
            prune: true,
            force: true,
            resources: vec![SyncResource {
                group: String::new(),
                kind: "ConfigMap".to_owned(),
                namespace: "shop".to_owned(),
                name: "env".to_owned(),
            }],
            ..Options::default()
        };
        assert_eq!(
            sync(App(&app), &options, Origin { reason: "INC-7", ..origin() }),
            json!({
                "initiatedBy": { "username": "alice@example", "automated": false },
                "info": [
                    { "name": "Reason", "value": "INC-7" },
                    { "name": "Operator", "value": "alice on laptop" },
                    { "name": "opsdeck action", "value": "a-1" },
                ],
                "retry": { "limit": 5 },
                "sync": {
                    "source": { "repoURL": "a", "path": "p", "targetRevision": "main" },
                    "revision": "abc",
                    "prune": true,
                    "dryRun": false,
                    "syncStrategy": { "hook": { "force": true } },
                    "syncOptions": ["CreateNamespace=true"],
                    "resources": [{ "kind": "ConfigMap", "name": "env", "namespace": "shop" }],
                },
            })
        );
    }

    #[test]
    fn a_sync_of_several_sources_or_of_a_hydrator_leaves_the_revision_to_the_controller() {
        let several = json!({ "spec": { "sources": [{ "repoURL": "a" }] }, "status": { "sync": { "revisions": ["old"] } } });
        let operation = sync(App(&several), &Options::default(), origin());
        assert_eq!(operation["sync"]["sources"], json!([{ "repoURL": "a" }]));
        assert!(operation["sync"].get("source").is_none() && operation["sync"].get("revisions").is_none());
        let hydrated =
            json!({ "spec": { "sourceHydrator": { "syncSource": { "targetBranch": "env/prod" } } } });
        let operation = sync(App(&hydrated), &Options { apply_only: true, ..Options::default() }, origin());
        assert!(operation["sync"].get("source").is_none());
        assert_eq!(operation["sync"]["syncStrategy"], json!({ "apply": {} }));
    }

    // contracts 1.5: `operation` stays; 1.4: the old state goes in the same write.
    #[test]
    fn beginning_takes_the_old_state_out_and_terminating_leaves_the_operation_in() {
        assert_eq!(
            begin_patch("9", &json!({ "sync": {} })),
            json!({ "metadata": { "resourceVersion": "9" }, "operation": { "sync": {} }, "status": { "operationState": null } })
        );
        assert_eq!(
            terminate_patch("9"),
            json!({ "metadata": { "resourceVersion": "9" }, "status": { "operationState": { "phase": "Terminating" } } })
        );
        assert_eq!(withdraw_patch("9"), json!({ "metadata": { "resourceVersion": "9" }, "operation": null }));
    }

    #[test]
    fn auto_sync_is_on_unless_it_is_switched_off() {
        let on = |automated: Value| {
            App(&json!({ "spec": { "syncPolicy": { "automated": automated } } })).auto_sync()
        };
        assert!(on(json!({})));
        assert!(on(json!({ "enabled": true })));
        assert!(!on(json!({ "enabled": false, "selfHeal": true })));
        assert!(!on(Value::Null));
    }
}
