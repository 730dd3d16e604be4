//! Who would undo a change of an Application's spec: an ApplicationSet, or a parent Application.

use serde_json::Value;

use super::application::{App, applications, list};
use super::desk::{Desk, Remote};
use super::draft::text;
use super::{Line, Mark};
use crate::identity::{ObjectRef, Resource};

/// Where Argo CD writes what it tracks (the default method since v3).
const TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// Returns the Application that manages an object, by the tracking annotation.
///
/// The label `app.kubernetes.io/instance` is no proof: Helm charts set it too. An annotation that names another
/// object was copied, and proves nothing either.
pub(super) fn tracked_by(document: &Value) -> Option<String> {
    let tracking = document.pointer("/metadata/annotations")?.get(TRACKING)?.as_str()?;
    let (app, rest) = tracking.split_once(':')?;
    let (kind, name) = rest.split_once(':')?;
    let (_, kind) = kind.split_once('/')?;
    let (_, name) = name.split_once('/')?;
    let known_kind = text(document, "/kind");
    let same = name == text(document, "/metadata/name") && (known_kind.is_empty() || kind == known_kind);
    same.then(|| app.to_owned())
}

/// Says whether a change of the auto-sync policy will stay, and what to do where it will not.
pub(super) async fn fate<R: Remote>(desk: &Desk<R>, object: &ObjectRef, document: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(set) = controlling_set(document) {
        lines.push(match desk.remote.look(&sibling(object, "applicationsets", set)).await {
            Ok(Some(owner)) => of_set(set, App(document).name(), &owner),
            Ok(None) => {
                Line::new(Mark::Note, format!("ApplicationSet \"{set}\" owns this app and does not exist any more"))
            }
            Err(error) => {
                let text = format!("ApplicationSet \"{set}\" owns this app; whether it would revert the hold cannot be read: {error}");
                Line::new(Mark::Warn, text)
            }
        });
    }
    if let Some(parent) = tracked_by(document) {
        lines.push(match desk.remote.look(&parent_ref(object, &parent)).await {
            Ok(Some(owner)) => of_parent(&parent, App(&owner)),
            Ok(None) => {
                Line::new(Mark::Note, format!("parent Application \"{parent}\" does not exist any more"))
            }
            Err(error) => {
                let text = format!("parent Application \"{parent}\" manages this app; whether it would revert the hold cannot be read: {error}");
                Line::new(Mark::Warn, text)
            }
        });
    }
    if lines.is_empty() {
        lines.push(Line::new(Mark::Ok, "nothing owns this app: the hold stays"));
    }
    lines
}

/// Returns the name of the ApplicationSet that controls an Application.
fn controlling_set(document: &Value) -> Option<&str> {
    list(document, "/metadata/ownerReferences")
        .iter()
        .find(|owner| {
            text(owner, "/kind") == "ApplicationSet"
                && owner.get("controller").and_then(Value::as_bool).unwrap_or(false)
        })
        .map(|owner| text(owner, "/name"))
}

fn sibling(object: &ObjectRef, plural: &str, name: &str) -> ObjectRef {
    ObjectRef {
        context: object.context.clone(),
        resource: Resource::new("argoproj.io", plural),
        namespace: object.namespace.clone(),
        name: name.into(),
    }
}

/// A tracking id names an Application outside the control plane's namespace as `namespace_name`.
fn parent_ref(object: &ObjectRef, tracked: &str) -> ObjectRef {
    let (namespace, name) = match tracked.split_once('_') {
        Some((namespace, name)) => (Some(namespace.into()), name),
        None => (object.namespace.clone(), tracked),
    };
    ObjectRef { context: object.context.clone(), resource: applications(), namespace, name: name.into() }
}

fn of_set(name: &str, app: &str, set: &Value) -> Line {
    let policy = text(set, "/spec/syncPolicy/applicationsSync");
    if text(set, "/spec/strategy/type") == "RollingSync" {
        let text = format!(
            "ApplicationSet \"{name}\" syncs its apps itself, step by step (RollingSync), and may move this one forward again"
        );
        return Line::new(Mark::Stop, text);
    }
    if matches!(policy, "create-only" | "create-delete") {
        return Line::new(
            Mark::Ok,
            format!("ApplicationSet \"{name}\" owns this app and leaves it alone ({policy})"),
        );
    }
    if ignores_policy(app, set) {
        return Line::new(
            Mark::Ok,
            format!("ApplicationSet \"{name}\" owns this app and ignores its sync policy: the hold stays"),
        );
    }
    let text = format!(
        "ApplicationSet \"{name}\" owns this app and will revert the hold: switch auto-sync off in the set (or in Git), or have it ignore /spec/syncPolicy (ignoreApplicationDifferences)"
    );
    Line::new(Mark::Stop, text)
}

/// Tells whether the set leaves the sync policy of that Application as it finds it.
fn ignores_policy(app: &str, set: &Value) -> bool {
    let pointers =
        ["/spec", "/spec/syncPolicy", "/spec/syncPolicy/automated", "/spec/syncPolicy/automated/enabled"];
    list(set, "/spec/ignoreApplicationDifferences")
        .iter()
        .filter(|rule| matches!(text(rule, "/name"), "") || text(rule, "/name") == app)
        .any(|rule| {
            let by_pointer = list(rule, "/jsonPointers")
                .iter()
                .filter_map(Value::as_str)
                .any(|pointer| pointers.contains(&pointer.trim_end_matches('/')));
            let by_path = list(rule, "/jqPathExpressions")
                .iter()
                .filter_map(Value::as_str)
                .any(|path| pointers.contains(&path.trim().replace('.', "/").as_str()));
            by_pointer || by_path
        })
}

fn of_parent(name: &str, parent: App<'_>) -> Line {
    let heals = parent
        .automated()
        .and_then(|automated| automated.get("selfHeal"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    match (parent.auto_sync(), heals) {
        (true, true) => {
            let text = format!(
                "parent Application \"{name}\" heals itself and will revert the hold: hold the parent first, or switch auto-sync off in Git"
            );
            Line::new(Mark::Stop, text)
        }
        (true, false) => {
            let text = format!(
                "parent Application \"{name}\" will revert the hold with its next sync (auto-sync, without self-heal)"
            );
            Line::new(Mark::Warn, text)
        }
        (false, _) => {
            let text = format!("parent Application \"{name}\" would revert the hold if somebody syncs it");
            Line::new(Mark::Warn, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tracking_id_proves_ownership_only_of_the_object_it_names() {
        let tracked = |id: &str| {
            tracked_by(&json!({ "kind": "Application",
                "metadata": { "name": "checkout", "annotations": { TRACKING: id } } }))
        };
        assert_eq!(tracked("root:argoproj.io/Application:argocd/checkout").as_deref(), Some("root"));
        assert_eq!(tracked("root:argoproj.io/Application:argocd/cart"), None);
        assert_eq!(tracked("root"), None);
    }

    #[test]
    fn a_parent_outside_the_control_plane_is_found_in_its_namespace() {
        let object = ObjectRef {
            context: crate::identity::Context::new("c"),
            resource: applications(),
            namespace: Some("argocd".into()),
            name: "checkout".into(),
        };
        assert_eq!(parent_ref(&object, "root").namespace.as_deref(), Some("argocd"));
        let outside = parent_ref(&object, "team-a_root");
        assert_eq!((outside.namespace.as_deref(), &*outside.name), (Some("team-a"), "root"));
    }

    #[track_caller]
    fn assert_mark(spec: Value, mark: Mark) {
        assert_eq!(of_set("tenants", "checkout", &json!({ "spec": spec })).mark, mark);
    }

    // contracts 1.10.
    #[test]
    fn a_set_reverts_the_hold_unless_it_only_creates_or_ignores_the_policy() {
        assert_mark(json!({}), Mark::Stop);
        assert_mark(json!({ "syncPolicy": { "applicationsSync": "create-update" } }), Mark::Stop);
        assert_mark(json!({ "syncPolicy": { "applicationsSync": "create-only" } }), Mark::Ok);
        assert_mark(
            json!({ "ignoreApplicationDifferences": [{ "jsonPointers": ["/spec/syncPolicy"] }] }),
            Mark::Ok,
        );
        assert_mark(
            json!({ "ignoreApplicationDifferences": [{ "jqPathExpressions": [".spec.syncPolicy"] }] }),
            Mark::Ok,
        );
        assert_mark(
            json!({ "ignoreApplicationDifferences": [{ "name": "cart", "jsonPointers": ["/spec/syncPolicy"] }] }),
            Mark::Stop,
        );
        assert_mark(
            json!({ "ignoreApplicationDifferences": [{ "jsonPointers": ["/spec/source"] }] }),
            Mark::Stop,
        );
        assert_mark(json!({ "strategy": { "type": "RollingSync" } }), Mark::Stop);
    }

    #[test]
    fn a_parent_reverts_the_hold_at_once_only_when_it_heals_itself() {
        let parent = |automated: Value| json!({ "spec": { "syncPolicy": { "automated": automated } } });
        let mark = |automated: Value| of_parent("root", App(&parent(automated))).mark;
        assert_eq!(mark(json!({ "selfHeal": true })), Mark::Stop);
        assert_eq!(mark(json!({})), Mark::Warn);
        assert_eq!(mark(json!({ "selfHeal": true, "enabled": false })), Mark::Warn);
        assert_eq!(mark(Value::Null), Mark::Warn);
    }
}
