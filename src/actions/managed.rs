//! Who would undo a change of what an Application manages: Argo CD, and the place where the change belongs instead.
//!
//! Changes of Applications themselves are the business of [`super::owners`].

use serde_json::Value;

use super::application::{App, applications, list};
use super::desk::{Desk, Remote};
use super::draft::{Check, text};
use super::owners::tracked_by;
use super::{Line, Mark};
use crate::identity::ObjectRef;

/// Checks whether Argo CD will revert a change of these fields; without fields, of the whole object.
pub(super) fn check<'a, R: Remote, F: Into<String>>(
    desk: &'a Desk<R>,
    object: &'a ObjectRef,
    document: &'a Value,
    fields: impl IntoIterator<Item = F>,
) -> Check<'a> {
    let fields: Vec<String> = fields.into_iter().map(Into::into).collect();
    Check::new("does Argo CD revert it?", async move {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        fate(desk, object, document, &fields).await
    })
}

/// Says whether Argo CD will revert a change, and where the change belongs.
async fn fate<R: Remote>(desk: &Desk<R>, object: &ObjectRef, document: &Value, fields: &[&str]) -> Vec<Line> {
    let Some(tracked) = tracked_by(document) else {
        return vec![Line::new(Mark::Ok, "no Argo CD Application manages it")];
    };
    // A tracking id names an Application outside the control plane's namespace as `namespace_name`.
    let (namespace, name) = match tracked.split_once('_') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, tracked.as_str()),
    };
    let found = desk.remote.list(&applications(), namespace, "", &format!("metadata.name={name}")).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let text = format!(
                "Argo CD Application {name} manages it; whether it would revert this cannot be read: {error}"
            );
            return vec![Line::new(Mark::Warn, text)];
        }
    };
    let of_name = found.iter().filter(|app| App(app).name() == name);
    let Some(app) = of_name.clone().find(|app| lists(app, object)).or_else(|| of_name.clone().next()) else {
        let text = format!("Argo CD Application {name} managed it and does not exist any more");
        return vec![Line::new(Mark::Note, text)];
    };
    vec![verdict(App(app), object, document, fields)]
}

/// Tells whether an Application names an object among what it manages.
fn lists(app: &Value, object: &ObjectRef) -> bool {
    list(app, "/status/resources").iter().any(|one| {
        text(one, "/name") == &*object.name
            && text(one, "/group") == &*object.resource.group
            && (text(one, "/namespace").is_empty()
                || object.namespace.as_deref() == Some(text(one, "/namespace")))
    })
}

fn verdict(app: App<'_>, object: &ObjectRef, document: &Value, fields: &[&str]) -> Line {
    let name = app.name();
    let place = place(app);
    let whole = fields.is_empty();
    if !whole && fields.iter().all(|field| is_ignored(app, object, document, field)) {
        let respects = list(app.0, "/spec/syncPolicy/syncOptions")
            .iter()
            .any(|option| option.as_str() == Some("RespectIgnoreDifferences=true"));
        let text = if respects {
            format!("Argo CD Application {name} ignores {}: it stays", spelled(fields))
        } else {
            format!(
                "Argo CD Application {name} ignores {} when it compares, and its next sync sets it as in Git ({place})",
                spelled(fields)
            )
        };
        return Line::new(if respects { Mark::Ok } else { Mark::Note }, text);
    }
    if !whole && fields.iter().all(|field| sets(document, field) == Some(false)) {
        let text = format!(
            "Argo CD Application {name} manages it, and Git does not set {}: it stays",
            spelled(fields)
        );
        return Line::new(Mark::Ok, text);
    }
    let heals = app
        .automated()
        .and_then(|automated| automated.get("selfHeal"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let undo = if whole { "make it again" } else { "revert this" };
    match (app.auto_sync(), heals) {
        (true, true) => Line::new(
            Mark::Warn,
            format!(
                "Argo CD will {undo} within seconds: Application {name} heals itself. It belongs in Git ({place}), or hold the auto-sync of {name} first"
            ),
        ),
        (true, false) => Line::new(
            Mark::Warn,
            format!(
                "Argo CD will {undo} with the next commit: Application {name} syncs by itself. It belongs in Git ({place})"
            ),
        ),
        (false, _) => Line::new(
            Mark::Note,
            format!(
                "Argo CD will {undo} when somebody syncs Application {name}, which shows OutOfSync until then. It belongs in Git ({place})"
            ),
        ),
    }
}

/// Names the place in Git that an Application is rendered from.
fn place(app: App<'_>) -> String {
    let sources = app.sources();
    // Of several the one with a path holds the manifests; a chart's is the one with its values.
    let source = sources
        .iter()
        .find(|source| !text(source, "/path").is_empty())
        .or(sources.first())
        .copied()
        .unwrap_or(&Value::Null);
    let within = match (text(source, "/path"), text(source, "/chart")) {
        ("", "") => String::new(),
        ("", chart) => format!(", the values of chart {chart}"),
        (path, _) => format!(", {path}"),
    };
    let revision = match text(source, "/targetRevision") {
        "" => "HEAD",
        revision => revision,
    };
    format!("{}{within} at {revision}", text(source, "/repoURL"))
}

/// Writes fields as people say them.
fn spelled(fields: &[&str]) -> String {
    let words: Vec<String> = fields
        .iter()
        .map(|field| field.trim_start_matches('/').replace('/', ".").replace("~1", "/"))
        .collect();
    words.join(" and ")
}

/// Tells whether an Application leaves differences of a field alone.
fn is_ignored(app: App<'_>, object: &ObjectRef, document: &Value, field: &str) -> bool {
    let covers = |pointer: &str| {
        let pointer = pointer.trim_end_matches('/');
        field == pointer || field.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'))
    };
    list(app.0, "/spec/ignoreDifferences")
        .iter()
        .filter(|rule| {
            let fits = |pointer: &str, value: &str| {
                matches!(text(rule, pointer), "" | "*") || text(rule, pointer) == value
            };
            fits("/group", &object.resource.group)
                && fits("/kind", text(document, "/kind"))
                && fits("/name", &object.name)
                && fits("/namespace", object.namespace.as_deref().unwrap_or_default())
        })
        .any(|rule| {
            let pointers = list(rule, "/jsonPointers").iter().filter_map(Value::as_str);
            let paths = list(rule, "/jqPathExpressions").iter().filter_map(Value::as_str);
            pointers.clone().any(covers) || paths.clone().any(|path| covers(&path.trim().replace('.', "/")))
        })
}

/// Tells whether Git sets a field, by what Argo CD is known to have applied; `None` where nothing tells.
fn sets(document: &Value, field: &str) -> Option<bool> {
    let applied = text(document, "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration");
    if let Ok(applied) = serde_json::from_str::<Value>(applied) {
        return Some(applied.pointer(field).is_some());
    }
    let mut known = None;
    for entry in list(document, "/metadata/managedFields") {
        if !text(entry, "/manager").contains("argocd") || !text(entry, "/subresource").is_empty() {
            continue;
        }
        let Some(mut at) = entry.get("fieldsV1") else { continue };
        known = known.or(Some(false));
        let mut owned = true;
        for word in field.split('/').skip(1) {
            if let Some(inner) = at.get(format!("f:{}", word.replace("~1", "/"))) {
                at = inner;
            } else {
                owned = false;
                break;
            }
        }
        if owned {
            known = Some(true);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::{Context, Resource};

    fn deployment() -> ObjectRef {
        ObjectRef {
            context: Context::new("c"),
            resource: Resource::new("apps", "deployments"),
            namespace: Some("shop".into()),
            name: "web".into(),
        }
    }

    #[track_caller]
    fn assert_said(spec: Value, document: Value, mark: Mark, part: &str) {
        let mut app = json!({ "metadata": { "name": "shop" }, "spec": { "source": {
            "repoURL": "https://git/tenants", "path": "shop/web", "targetRevision": "main" } } });
        json_patch::merge(&mut app["spec"], &spec);
        let line = verdict(App(&app), &deployment(), &document, &["/spec/replicas"]);
        assert!(line.mark == mark && line.text.contains(part), "{line:?}");
    }

    #[test]
    fn self_healing_reverts_within_seconds_and_the_place_in_git_is_named() {
        let automated = |value: Value| json!({ "syncPolicy": { "automated": value } });
        assert_said(automated(json!({ "selfHeal": true })), json!({}), Mark::Warn, "within seconds");
        assert_said(automated(json!({})), json!({}), Mark::Warn, "with the next commit");
        assert_said(json!({}), json!({}), Mark::Note, "(https://git/tenants, shop/web at main)");
    }

    #[test]
    fn what_is_ignored_or_not_in_git_stays() {
        let ignore = json!({ "ignoreDifferences": [{ "group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"] }],
            "syncPolicy": { "automated": { "selfHeal": true }, "syncOptions": ["RespectIgnoreDifferences=true"] } });
        assert_said(ignore, json!({ "kind": "Deployment" }), Mark::Ok, "ignores spec.replicas: it stays");
        let other = json!({ "ignoreDifferences": [{ "group": "apps", "kind": "StatefulSet", "jsonPointers": ["/spec/replicas"] }],
            "syncPolicy": { "automated": { "selfHeal": true } } });
        assert_said(other, json!({ "kind": "Deployment" }), Mark::Warn, "within seconds");
        let healing = json!({ "syncPolicy": { "automated": { "selfHeal": true } } });
        let owned = |fields: Value| json!({ "metadata": { "managedFields": [{ "manager": "argocd-controller", "fieldsV1": fields }] } });
        let without = owned(json!({ "f:spec": { "f:template": {} } }));
        assert_said(healing.clone(), without, Mark::Ok, "Git does not set spec.replicas");
        let with = owned(json!({ "f:spec": { "f:replicas": {} } }));
        assert_said(healing, with, Mark::Warn, "within seconds");
    }
}
