//! What the verbs read of an Argo CD Application: its policy, its operation, its history, what it manages.
//!
//! A view of the whole document as the server gave it, because a plan must see fields that no table shows.
//! Every field is optional: an old or half-written Application gives fewer answers, not an error.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::draft::text;
use crate::identity::{ObjectRef, Resource};
use crate::kinds::applications::short_revision;

/// The annotation that remembers a held auto-sync.
///
/// # Why
///
/// A hold is remembered twice. The audit has it always, on the machine of whoever held. The annotation has it
/// where everybody looks: another engineer's console, or `kubectl get -o yaml`, sees who holds, until when
/// and what must be given back, and can give it back. It is written in the same patch as the switch, so
/// neither is without the other. Where an owner strips it, the audit's copy remains.
pub const HELD: &str = "opsdeck.dev/autosync-held";
/// The same as a JSON pointer.
pub(super) const HELD_POINTER: &str = "/metadata/annotations/opsdeck.dev~1autosync-held";

/// The name under which an operation carries the id of the action that began it, in `operation.info`.
pub(super) const ACTION: &str = "opsdeck action";

/// The resource type of Applications.
pub fn applications() -> Resource {
    Resource::new("argoproj.io", "applications")
}

/// A view of an Application.
#[derive(Debug, Clone, Copy)]
pub struct App<'a>(pub &'a Value);

/// What is remembered of a held auto-sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Who held it.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Until when; then it is offered back, not given back by itself.
    pub until: Option<Timestamp>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// The action that held it, by its id in the audit.
    #[serde(default)]
    pub action: String,
    /// `spec.syncPolicy.automated` exactly as it was, with the fields that were not there left out.
    pub automated: Value,
}

impl Hold {
    /// Tells whether its time is over, so that auto-sync is offered back.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// One entry of the deployment history.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a>(pub &'a Value);

/// An operation that is requested or running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// How it stands, in a sentence's part: `running since ...`, `requested`.
    pub text: String,
}

impl<'a> App<'a> {
    /// Returns the name.
    pub fn name(self) -> &'a str {
        text(self.0, "/metadata/name")
    }

    /// Returns the namespace that the Application lies in.
    pub fn namespace(self) -> &'a str {
        text(self.0, "/metadata/namespace")
    }

    /// Returns `metadata.resourceVersion`.
    pub fn version(self) -> &'a str {
        text(self.0, "/metadata/resourceVersion")
    }

    /// Returns when its deletion was asked for.
    pub fn deleting(self) -> Option<&'a str> {
        self.0.pointer("/metadata/deletionTimestamp").and_then(Value::as_str)
    }

    /// Returns the value of an annotation.
    pub fn annotation(self, key: &str) -> Option<&'a str> {
        self.0.pointer("/metadata/annotations")?.get(key)?.as_str()
    }

    /// Returns `spec.syncPolicy.automated` where it is an object.
    pub fn automated(self) -> Option<&'a Map<String, Value>> {
        self.0.pointer("/spec/syncPolicy/automated").and_then(Value::as_object)
    }

    /// Tells whether auto-sync is on: `automated: {}` is on, `enabled: false` is off.
    pub fn auto_sync(self) -> bool {
        self.automated()
            .is_some_and(|automated| automated.get("enabled").and_then(Value::as_bool).unwrap_or(true))
    }

    /// Returns what is remembered of a held auto-sync.
    pub fn hold(self) -> Option<Hold> {
        serde_json::from_str(self.annotation(HELD)?).ok()
    }

    /// Tells whether it has several sources; only then do `revisions` and `sources` count.
    pub fn multi_source(self) -> bool {
        self.0.pointer("/spec/sourceHydrator").is_none_or(Value::is_null)
            && self
                .0
                .pointer("/spec/sources")
                .and_then(Value::as_array)
                .is_some_and(|sources| !sources.is_empty())
    }

    /// Returns the sources of the spec, of which there is mostly one.
    pub fn sources(self) -> Vec<&'a Value> {
        if self.multi_source() {
            list(self.0, "/spec/sources").iter().collect()
        } else {
            self.0.pointer("/spec/source").into_iter().collect()
        }
    }

    /// Returns the tracked revision, such as `main`; several sources are joined.
    pub fn tracked(self) -> String {
        let hydrated = text(self.0, "/spec/sourceHydrator/syncSource/targetBranch");
        if !hydrated.is_empty() {
            return hydrated.to_owned();
        }
        let tracked: Vec<&str> = self
            .sources()
            .into_iter()
            .map(|source| match text(source, "/targetRevision") {
                "" => "HEAD",
                revision => revision,
            })
            .collect();
        tracked.join(", ")
    }

    /// Returns the compared revision, or revisions joined.
    pub fn revision(self) -> String {
        revisions(self.0.pointer("/status/sync"))
    }

    /// Returns `Synced`, `OutOfSync`, `Unknown`, or nothing.
    pub fn sync_status(self) -> &'a str {
        text(self.0, "/status/sync/status")
    }

    /// Returns the health word, or nothing.
    pub fn health(self) -> &'a str {
        text(self.0, "/status/health/status")
    }

    /// Returns the phase of the operation state, or nothing.
    pub fn phase(self) -> &'a str {
        text(self.0, "/status/operationState/phase")
    }

    /// Returns the message of the operation state.
    pub fn operation_message(self) -> &'a str {
        text(self.0, "/status/operationState/message")
    }

    /// Tells whether an operation is requested and not yet picked up, or picked up and not finished.
    pub fn requested(self) -> bool {
        self.0.get("operation").is_some_and(|operation| !operation.is_null())
    }

    /// Describes the operation that is in the way, if one is.
    pub fn busy(self) -> Option<Busy> {
        let phase = self.phase();
        if matches!(phase, "Running" | "Terminating") {
            let by = match text(self.0, "/status/operationState/operation/initiatedBy/username") {
                "" => "auto-sync",
                name => name,
            };
            let since = text(self.0, "/status/operationState/startedAt");
            let message = self.operation_message();
            let said = if message.is_empty() { String::new() } else { format!(": {message}") };
            let phase = phase.to_lowercase();
            return Some(Busy { text: format!("{phase} since {since}, begun by {by}{said}") });
        }
        self.requested()
            .then(|| Busy { text: "requested, and not yet picked up by the controller".to_owned() })
    }

    /// Returns the history, oldest first as it is kept.
    pub fn history(self) -> Vec<Entry<'a>> {
        list(self.0, "/status/history").iter().map(Entry).collect()
    }

    /// Returns a history entry by its id (not by its place).
    pub fn entry(self, id: i64) -> Option<Entry<'a>> {
        self.history().into_iter().find(|entry| entry.id() == Some(id))
    }

    /// Returns the id of the entry that is meant where none is named: the newest one that deployed something else than
    /// the newest of all. The same revision may have been deployed with other settings: where there is nothing else,
    /// that is what is meant.
    pub fn before_the_present(self) -> Option<i64> {
        let history = self.history();
        let newest = history.last()?.revision();
        let other = history.iter().rev().find(|entry| entry.revision() != newest);
        other.or_else(|| history.iter().rev().nth(1)).and_then(|entry| entry.id())
    }

    /// Returns the resources that it manages, as its status lists them.
    pub fn resources(self) -> &'a [Value] {
        list(self.0, "/status/resources")
    }

    /// Returns the workloads among them that roll out.
    pub fn workloads(self, at: &ObjectRef) -> Vec<ObjectRef> {
        self.resources()
            .iter()
            .filter(|resource| text(resource, "/group") == "apps")
            .filter_map(|resource| {
                let plural = match text(resource, "/kind") {
                    "Deployment" => "deployments",
                    "StatefulSet" => "statefulsets",
                    "DaemonSet" => "daemonsets",
                    _ => return None,
                };
                Some(ObjectRef {
                    context: at.context.clone(),
                    resource: Resource::new("apps", plural),
                    namespace: Some(text(resource, "/namespace").into()),
                    name: text(resource, "/name").into(),
                })
            })
            .collect()
    }

    /// Tells whether its workloads lie in the cluster that holds the Application itself.
    pub fn in_cluster(self) -> bool {
        matches!(text(self.0, "/spec/destination/server"), "https://kubernetes.default.svc")
            || matches!(text(self.0, "/spec/destination/name"), "in-cluster")
    }

    /// Returns the hooks that its last sync ran or that its status lists, as `PreSync Job/migrate-db`.
    pub fn hooks(self) -> Vec<String> {
        let ran = list(self.0, "/status/operationState/syncResult/resources")
            .iter()
            .filter(|resource| !text(resource, "/hookType").is_empty())
            .map(|resource| format!("{} {}", text(resource, "/hookType"), kind_name(resource)));
        let listed = self
            .resources()
            .iter()
            .filter(|resource| resource.get("hook").and_then(Value::as_bool).unwrap_or(false))
            .map(|resource| format!("hook {}", kind_name(resource)));
        let mut hooks: Vec<String> = ran.collect();
        for hook in listed {
            let name = hook.trim_start_matches("hook ");
            if !hooks.iter().any(|known| known.ends_with(name)) {
                hooks.push(hook);
            }
        }
        hooks.dedup();
        hooks
    }

    /// Returns the resources that are no longer in Git and would be deleted by a prune.
    pub fn prunable(self) -> Vec<String> {
        self.resources()
            .iter()
            .filter(|resource| resource.get("requiresPruning").and_then(Value::as_bool).unwrap_or(false))
            .map(kind_name)
            .collect()
    }

    /// Returns the resources that differ from Git.
    pub fn out_of_sync(self) -> Vec<String> {
        self.resources()
            .iter()
            .filter(|resource| text(resource, "/status") == "OutOfSync")
            .map(kind_name)
            .collect()
    }

    /// Returns the id of the console's action that the current or last operation was begun by.
    pub fn action(self) -> Option<&'a str> {
        action_of(self.0.pointer("/operation"))
            .or_else(|| action_of(self.0.pointer("/status/operationState/operation")))
    }

    /// Tells whether the controller has picked up the operation of that action.
    pub fn picked_up(self, action: &str) -> bool {
        action_of(self.0.pointer("/status/operationState/operation")) == Some(action)
    }
}

impl<'a> Entry<'a> {
    /// Returns the id.
    pub fn id(self) -> Option<i64> {
        self.0.get("id").and_then(Value::as_i64)
    }

    /// Returns its revision, or revisions joined.
    pub fn revision(self) -> String {
        revisions(Some(self.0))
    }

    /// Tells whether it has several sources.
    pub fn multi_source(self) -> bool {
        !list(self.0, "/sources").is_empty()
    }

    /// Returns its sources.
    pub fn sources(self) -> Vec<&'a Value> {
        match list(self.0, "/sources") {
            [] => self
                .0
                .get("source")
                .filter(|source| !text(source, "/repoURL").is_empty())
                .into_iter()
                .collect(),
            several => several.iter().collect(),
        }
    }

    /// Returns when it was deployed.
    pub fn deployed_at(self) -> Option<Timestamp> {
        text(self.0, "/deployedAt").parse().ok()
    }

    /// Returns who deployed it: a name, or `auto-sync`, or nothing where it is not said.
    pub fn by(self) -> &'a str {
        let automated = self.0.pointer("/initiatedBy/automated").and_then(Value::as_bool);
        match (text(self.0, "/initiatedBy/username"), automated) {
            ("", Some(true)) => "auto-sync",
            (name, _) => name,
        }
    }
}

/// Describes an auto-sync policy: `prune, self-heal`, or `no prune, no self-heal`.
pub(super) fn policy(automated: &Map<String, Value>) -> String {
    let flag = |key: &str| automated.get(key).and_then(Value::as_bool).unwrap_or(false);
    let mut words = vec![
        if flag("prune") { "prune" } else { "no prune" },
        if flag("selfHeal") { "self-heal" } else { "no self-heal" },
    ];
    if flag("allowEmpty") {
        words.push("allow empty");
    }
    words.join(", ")
}

/// Returns an array, or an empty one.
pub(super) fn list<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    document.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Writes `Deployment/checkout`.
pub(super) fn kind_name(resource: &Value) -> String {
    format!("{}/{}", text(resource, "/kind"), text(resource, "/name"))
}

/// Shortens each of joined revisions as people read them: a Git hash to seven letters, anything else whole.
pub(super) fn short(revisions: &str) -> String {
    let mut each: Vec<&str> = revisions.split(", ").map(short_revision).collect();
    // Sources of one repository are mostly at one revision.
    each.dedup();
    each.join(", ")
}

fn revisions(at: Option<&Value>) -> String {
    let Some(at) = at else { return String::new() };
    match list(at, "/revisions") {
        [] => text(at, "/revision").to_owned(),
        several => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
    }
}

fn action_of(operation: Option<&Value>) -> Option<&str> {
    let info = operation?.get("info")?.as_array()?;
    info.iter().find(|item| text(item, "/name") == ACTION)?.get("value")?.as_str()
}

/// Returns the merge patch that switches auto-sync off and remembers what it was.
///
/// `spec.syncPolicy.automated.enabled` exists since Argo CD 3.1; an older definition drops it, so the answer
/// must be read and [`removal_patch`] sent where it did not hold.
pub fn hold_patch(version: &str, hold: &Hold) -> Value {
    json!({
        "metadata": { "resourceVersion": version, "annotations": { HELD: remembered(hold) } },
        "spec": { "syncPolicy": { "automated": { "enabled": false } } },
    })
}

/// Returns the merge patch that removes the policy altogether, for definitions without `enabled`.
pub fn removal_patch(version: &str, hold: &Hold) -> Value {
    json!({
        "metadata": { "resourceVersion": version, "annotations": { HELD: remembered(hold) } },
        "spec": { "syncPolicy": { "automated": null } },
    })
}

/// Returns the merge patch that makes the policy what it was, field for field, and forgets the hold.
///
/// Fields that were added meanwhile are removed; what was not there is not there again.
pub fn release_patch(version: &str, was: &Value, now: Option<&Map<String, Value>>) -> Value {
    let mut automated = was.as_object().cloned().unwrap_or_default();
    for key in now.into_iter().flat_map(Map::keys) {
        automated.entry(key.clone()).or_insert(Value::Null);
    }
    json!({
        "metadata": { "resourceVersion": version, "annotations": { HELD: null } },
        "spec": { "syncPolicy": { "automated": automated } },
    })
}

fn remembered(hold: &Hold) -> String {
    serde_json::to_string(hold).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_shortened_one_by_one_and_the_same_is_said_once() {
        let (one, other) = ("a".repeat(40), "b".repeat(40));
        assert_eq!(short(&one), "aaaaaaa");
        assert_eq!(short(&format!("{one}, {other}")), "aaaaaaa, bbbbbbb");
        assert_eq!(short(&format!("{one}, {one}, 1.2.3")), "aaaaaaa, 1.2.3");
        assert_eq!(short(""), "");
    }
}
