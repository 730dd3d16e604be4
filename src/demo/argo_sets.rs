//! The ApplicationSet controller: makes Applications from a template and rewrites whatever a hand changed in them
//! (`contracts.md` 1.10).
//!
//! It owns metadata and specification of what it generates; operations and status belong to the application
//! controller. Only list generators are read.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::argo::outline;
use super::argo_diff::keep;
use super::argo_manifests::generated;
use super::objects::Key;
use super::pods::owner_reference;
use super::types::Type;
use super::untyped::{list, mark, set_condition, text};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

const BY: &str = "applicationset-controller";
/// Seconds until a changed Application is rewritten.
const NOTICES: f64 = 1.5;
/// The annotation that asks for a reconcile of a set.
const REFRESH: &str = "argocd.argoproj.io/application-set-refresh";
/// Annotations of others on generated Applications, which stay.
const PRESERVED: &[&str] = &[
    "notified.notifications.argoproj.io",
    "argocd.argoproj.io/refresh",
    "argocd.argoproj.io/refresh-timestamp",
    "argocd.argoproj.io/hydrate",
    "argocd.argoproj.io/hydrate-timestamp",
];

/// The controller.
#[derive(Debug, Default)]
pub struct ApplicationSets {
    /// What of each generated Application was seen last.
    seen: HashMap<Key, u64>,
}

impl Controller for ApplicationSets {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::ApplicationSet if !seen.gone => keys.push(seen.key.clone()),
            Type::Application => match &seen.owner {
                Some(owner) if owner.kind == Type::ApplicationSet && seen.gone => keys.push(owner.clone()),
                Some(owner) if owner.kind == Type::ApplicationSet => keys.push(seen.key.clone()),
                _ => {}
            },
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        if key.kind == Type::Application {
            self.notice(key, cx);
            return;
        }
        // Changes are collected for a moment, as the real queue does.
        if !cx.timed() {
            cx.after(NOTICES, key);
            return;
        }
        let Some(set) = cx.get(key) else { return };
        if !set["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let wanted = generated(&set);
        let refused = apply(&set, &wanted, cx);
        describe(key, &wanted, &refused, cx);
    }
}

impl ApplicationSets {
    /// Has the set of an Application looked at when something changed that it writes or shows; comparisons change an
    /// Application every other minute and are none of its business.
    fn notice(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(object) = cx.objects.get(key) else {
            self.seen.remove(key);
            return;
        };
        let state = outline(object).map_or(object.revision, |outline| outline.hash());
        let set =
            object.controller().map(|owner| Key::new(Type::ApplicationSet, &key.namespace, &owner.name));
        if let Some(set) = set
            && self.seen.insert(key.clone(), state) != Some(state)
        {
            cx.after(NOTICES, &set);
        }
    }
}

/// Says whether the policy of a set permits updates and deletions.
fn permits(set: &Value) -> (bool, bool) {
    match text(set, "/spec/syncPolicy/applicationsSync") {
        "create-only" => (false, false),
        "create-update" => (true, false),
        "create-delete" => (false, true),
        _ => (true, true),
    }
}

/// Creates, rewrites and deletes Applications; returns what the API server refused.
fn apply(set: &Value, wanted: &[Value], cx: &mut Cx<'_>) -> Vec<String> {
    let (updates, deletes) = permits(set);
    let namespace = text(set, "/metadata/namespace");
    let uid = text(set, "/metadata/uid").to_owned();
    let mut refused = Vec::new();
    for application in wanted {
        let key = Key::new(Type::Application, namespace, text(application, "/metadata/name"));
        match cx.get(&key) {
            None => {
                let mut application = application.clone();
                application["metadata"]["ownerReferences"] = json!([owner_reference(set)]);
                match cx.create(Type::Application, application) {
                    Ok(_) => {
                        let message = format!("Created Application \"{}\"", key.name);
                        cx.event(set, "Normal", "created", &message, BY);
                    }
                    Err(status) => refused.push(status.message),
                }
            }
            Some(live) if updates => {
                let rewritten = rewritten(set, application, &live);
                if cx.replace(&key, rewritten) {
                    let message = format!("Updated Application \"{}\"", key.name);
                    cx.event(set, "Normal", "updated", &message, BY);
                }
            }
            Some(_) => {}
        }
    }
    let owned: Vec<Key> = cx.objects.owned_by(&uid).map(|object| object.key.clone()).collect();
    for key in owned.into_iter().filter(|key| key.kind == Type::Application) {
        let kept = wanted.iter().any(|application| text(application, "/metadata/name") == key.name.as_ref());
        if !kept && deletes {
            cx.delete(&key);
            let message = format!("Deleted Application \"{}\"", key.name);
            cx.event(set, "Normal", "Deleted", &message, BY);
        }
    }
    refused
}

/// Returns a live Application as the set wants it: status and operation, what is preserved and what its
/// `ignoreApplicationDifferences` name stay as they are.
fn rewritten(set: &Value, wanted: &Value, live: &Value) -> Value {
    let mut wanted = wanted.clone();
    let name = text(live, "/metadata/name");
    for rule in list(set, "/spec/ignoreApplicationDifferences") {
        let named = text(rule, "/name");
        if !named.is_empty() && named != name {
            continue;
        }
        for pointer in list(rule, "/jsonPointers").iter().filter_map(Value::as_str) {
            keep(pointer, live, &mut wanted);
        }
        for path in list(rule, "/jqPathExpressions").iter().filter_map(Value::as_str) {
            // Plain paths such as `.spec.syncPolicy` only; what filters or iterates is not evaluated.
            if path.starts_with('.')
                && path.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_')
            {
                keep(&path.replace('.', "/"), live, &mut wanted);
            }
        }
    }
    let mut result = live.clone();
    result["spec"] = wanted["spec"].clone();
    let metadata = &wanted["metadata"];
    for field in ["labels", "finalizers"] {
        result["metadata"][field] = metadata[field].clone();
    }
    let preserved = |which: &str, key: &str| {
        let named = list(set, &format!("/spec/preservedFields/{which}"));
        (which == "annotations" && PRESERVED.contains(&key)) || named.iter().any(|name| name == key)
    };
    result["metadata"]["annotations"] = metadata["annotations"].clone();
    for which in ["labels", "annotations"] {
        for (key, value) in live["metadata"][which].as_object().into_iter().flatten() {
            if preserved(which, key) {
                mark(&mut result, which, key, value.as_str().unwrap_or_default());
            }
        }
    }
    result["metadata"]["ownerReferences"] = json!([owner_reference(set)]);
    result
}

/// Writes the status of a set and serves a refresh that was asked for.
fn describe(key: &Key, wanted: &[Value], refused: &[String], cx: &mut Cx<'_>) {
    let resources: Vec<Value> = wanted
        .iter()
        .filter_map(|application| {
            let name = text(application, "/metadata/name");
            let live = cx.get(&Key::new(Type::Application, &key.namespace, name))?;
            Some(json!({
                "group": "argoproj.io", "version": "v1alpha1", "kind": "Application",
                "name": name, "namespace": key.namespace.as_ref(),
                "status": live["status"]["sync"]["status"].as_str().unwrap_or("Unknown"),
                "health": {"status": live["status"]["health"]["status"].as_str().unwrap_or("Unknown")},
            }))
        })
        .collect();
    let now = cx.stamp();
    cx.update(key, |set| {
        let broken = refused.first();
        let (error, up_to_date) = if broken.is_some() { ("True", "False") } else { ("False", "True") };
        let message = broken.map_or("Successfully generated parameters for all Applications", String::as_str);
        for (kind, status, reason) in [
            (
                "ErrorOccurred",
                error,
                if broken.is_some() { "UpdateApplicationError" } else { "ApplicationSetUpToDate" },
            ),
            ("ParametersGenerated", "True", "ParametersGenerated"),
            ("ResourcesUpToDate", up_to_date, "ApplicationSetUpToDate"),
        ] {
            set_condition(set, kind, status, reason, message, &now);
        }
        set["status"]["resourcesCount"] = json!(resources.len());
        set["status"]["resources"] = json!(resources);
        if let Some(annotations) = set["metadata"]["annotations"].as_object_mut() {
            annotations.remove(REFRESH);
        }
    });
}
