//! What a rollback changes: the pod templates of then and of now side by side, and what else Git has.
//!
//! The history keeps no manifests. What ran then is known from the ReplicaSets that are still there, the rest from
//! argocd-server where it can be asked ([`manifests`]); what is not known is said to be so. Names of settings are told, never their values: an environment variable may
//! hold a secret.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::application::{App, Entry, kind_name, list};
use super::autosync::listed;
use super::desk::{Desk, Remote};
use super::difference::{self, FILLED_IN, Fields};
use super::draft::text;
use super::manifests::{self, Both, below};
use super::rollback::summary;
use super::{Line, Mark, pullable};
use crate::identity::{ObjectRef, Resource};

/// How long after the end of an operation its ReplicaSet may still be created.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// How many `ConfigMaps` of one workload are compared.
const SETTINGS: usize = 20;
/// Annotations of a pod template that say when, and not what.
const MARKS: [&str; 1] = ["kubectl.kubernetes.io/restartedAt"];
/// Says to and from, with images, and what changes.
pub(super) async fn lines<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    app: App<'_>,
    entry: Entry<'_>,
    prune: bool,
) -> Vec<Line> {
    let now = desk.clock.now();
    let newest = app.history().last().copied();
    let mut then_images = Vec::new();
    let mut now_images = Vec::new();
    let mut changes = Vec::new();
    let mut unknown = Vec::new();
    let mut details = Vec::new();
    let workloads = if app.in_cluster() { app.workloads(object) } else { Vec::new() };
    let kept = async {
        let mut kept = Vec::new();
        for workload in &workloads {
            kept.push(templates(desk, workload, deployed(app, entry)).await);
        }
        kept
    };
    let (kept, git) = tokio::join!(kept, manifests::read(desk, object, app, entry));
    let mut images = BTreeSet::new();
    let mut told = BTreeSet::new();
    let mut pods = BTreeSet::new();
    for (workload, sides) in workloads.iter().zip(kept) {
        let name = format!("{}/{}", singular(workload), workload.name);
        match sides.or_else(|why| git.as_ref().ok().and_then(|git| in_git(git, workload)).ok_or(why)) {
            Ok(sides) => {
                add_tags(&mut then_images, &sides.then, &sides.now);
                add_tags(&mut now_images, &sides.now, &sides.then);
                images.extend(new_images(&sides));
                let differing = difference(&workload.name, &sides.then, &sides.now);
                if !differing.is_empty() {
                    changes.push(Line::new(Mark::Change, format!("{name} {}", differing.join(", "))));
                }
                details.extend(whole(&name, &sides));
                let read = settings_read(desk, workload, &sides).await;
                changes.extend(read.changes);
                details.extend(read.details);
                told.extend(read.told);
                pods.insert(name);
            }
            Err(why) => unknown.push(format!("{name} ({why})")),
        }
    }
    let mut lines = vec![Line::new(Mark::To, summary(entry, now, &then_images.join(" ")))];
    if let Some(newest) = newest {
        lines.push(Line::new(Mark::From, summary(newest, now, &now_images.join(" "))));
    }
    if let Ok(git) = &git {
        let said = git.lines(&told, &pods, prune);
        changes.extend(said.changes);
        details.extend(said.details);
    }
    let same = changes.is_empty() && unknown.is_empty() && !workloads.is_empty();
    lines.append(&mut changes);
    if same {
        let text = match &git {
            Ok(_) => "nothing differs: the pods were the same then, and Git wants the same",
            Err(_) => "the pods were the same then: no pod template differs",
        };
        lines.push(Line::new(Mark::Note, text));
    }
    if !unknown.is_empty() {
        let text = format!("what ran then is not known of {}", listed(&unknown));
        lines.push(Line::new(Mark::Note, text));
    }
    let touched = if git.is_ok() { Vec::new() } else { touched(app) };
    if !touched.is_empty() {
        let text = format!(
            "{} go back too, as far as they differ: the history does not keep what they were",
            listed(&touched)
        );
        lines.push(Line::new(Mark::Note, text));
    }
    lines.extend(pullable::lines(desk, text(app.0, "/spec/destination/namespace"), &images).await);
    if let Err(why) = git {
        let text = format!("of what is no workload only names are known, not what changes: {why}");
        lines.push(Line::new(Mark::Note, text));
        details.extend(unknown_rest(app));
    }
    lines.extend(details);
    lines
}

/// Returns the images of then that are not those of now.
fn new_images(sides: &Sides) -> Vec<String> {
    let of = |template: &Value| -> BTreeSet<String> {
        let containers = ["/spec/initContainers", "/spec/containers"].into_iter();
        let all = containers.flat_map(|pointer| list(template, pointer).iter());
        all.map(|container| text(container, "/image").to_owned()).collect()
    };
    of(&sides.then).difference(&of(&sides.now)).cloned().collect()
}

/// Names a kind of workload in the singular.
fn singular(workload: &ObjectRef) -> &'static str {
    match &*workload.resource.plural {
        "statefulsets" => "StatefulSet",
        "daemonsets" => "DaemonSet",
        _ => "Deployment",
    }
}

/// Says everything that differs in a workload, below its name.
fn whole(name: &str, sides: &Sides) -> Vec<Line> {
    let spec = |template: &Value| template.get("spec").cloned().unwrap_or_default();
    let mut said = difference::paths(&spec(&sides.now), &spec(&sides.then), Fields::Both);
    let notes = |template: &Value| {
        let pointer = "/metadata/annotations";
        let mut notes = template.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
        notes.retain(|key, _| !MARKS.contains(&key.as_str()));
        notes
    };
    said.extend(keys(&notes(&sides.then), &notes(&sides.now)).iter().map(|key| format!("annotation {key}")));
    if let (Some(now), Some(then)) = sides.replicas
        && now != then
    {
        said.push(format!("replicas {now} -> {then}, as was wanted then"));
    }
    if said.is_empty() {
        return vec![Line::new(Mark::Detail, format!("{name}: its pods were the same"))];
    }
    let heading = Line::new(Mark::Detail, name);
    // Blanks at the start of a line are kept: they say what belongs to what.
    std::iter::once(heading).chain(said.iter().map(|text| below(text))).collect()
}

/// A workload as Git had it and has it, where the cluster does not know it any more.
fn in_git(git: &Both, workload: &ObjectRef) -> Option<Sides> {
    let (then, now) = git.workload(singular(workload), &workload.name)?;
    let template = |side: &Value| side.pointer("/spec/template").cloned().unwrap_or_default();
    let replicas = |side: &Value| side.pointer("/spec/replicas").and_then(Value::as_i64);
    Some(Sides { then: template(then), now: template(now), replicas: (replicas(now), replicas(then)) })
}

/// What a plan says of the settings that pods read.
#[derive(Default)]
struct Read {
    changes: Vec<Line>,
    details: Vec<Line>,
    /// What is told, as `Kind/name`.
    told: BTreeSet<String>,
}

/// Compares the `ConfigMaps` that the pods of then read and those of now do not: names that carry a digest of their
/// content. Secrets are named only.
async fn settings_read<R: Remote>(desk: &Desk<R>, workload: &ObjectRef, sides: &Sides) -> Read {
    let mut read = Read::default();
    for kind in ["ConfigMap", "Secret"] {
        let (now, then) = (difference::read_by(&sides.now, kind), difference::read_by(&sides.then, kind));
        for name in then.difference(&now).take(SETTINGS) {
            let base = |name: &str| name.rsplit_once('-').map(|(base, _)| base.to_owned());
            let Some(other) = now.difference(&then).find(|other| base(other) == base(name)) else {
                read.details.push(Line::new(Mark::Detail, format!("{kind}/{name} is read again")));
                continue;
            };
            read.told.extend([format!("{kind}/{name}"), format!("{kind}/{other}")]);
            if kind == "Secret" {
                let text = format!("{kind}/{name} is read in place of {other}; neither is looked into");
                read.details.push(Line::new(Mark::Detail, text));
                continue;
            }
            let at = |name: &str| ObjectRef {
                resource: Resource::new("", "configmaps"),
                name: name.into(),
                ..workload.clone()
            };
            let (was, is) = (desk.remote.look(&at(name)).await, desk.remote.look(&at(other)).await);
            let heading = format!("{kind}/{name} in place of {other}");
            let (Ok(Some(was)), Ok(Some(is))) = (was, is) else {
                let text = format!("{heading}: one of them is gone or may not be read");
                read.details.push(Line::new(Mark::Detail, text));
                continue;
            };
            let (lines, said) = difference::config_maps(&is, &was);
            let text = format!("{kind}/{name} {lines} {}", if lines == 1 { "line" } else { "lines" });
            read.changes.push(Line::new(Mark::Change, text));
            read.details.push(Line::new(Mark::Detail, heading));
            read.details.extend(said.iter().map(|text| below(text)));
        }
    }
    read
}

/// Names what is part of the Application and not a workload: what it was is not known.
fn unknown_rest(app: App<'_>) -> Vec<Line> {
    let rest: Vec<String> = app
        .resources()
        .iter()
        .filter(|resource| {
            let workload = matches!(text(resource, "/kind"), "Deployment" | "StatefulSet" | "DaemonSet");
            !(workload && text(resource, "/group") == "apps")
        })
        .map(kind_name)
        .collect();
    if rest.is_empty() {
        return Vec::new();
    }
    let why = "not known what they were: the history keeps revisions and no manifests";
    let heading = Line::new(Mark::Detail, format!("{} others, {why}", rest.len()));
    std::iter::once(heading).chain(rest.iter().map(|name| below(name))).collect()
}

/// When what an entry deployed came to be: a rollback reuses the ReplicaSet of the first time.
fn deployed(app: App<'_>, entry: Entry<'_>) -> Option<Timestamp> {
    let revision = entry.revision();
    app.history()
        .into_iter()
        .find(|other| other.revision() == revision && other.sources() == entry.sources())
        .unwrap_or(entry)
        .deployed_at()
}

/// A workload as it is and as it was.
struct Sides {
    /// The pod template of then.
    then: Value,
    /// The pod template of now.
    now: Value,
    /// How many replicas are wanted now and were wanted then, where that is remembered.
    replicas: (Option<i64>, Option<i64>),
}

/// Reads the pod templates of then and of now of a workload: a Deployment keeps the old ones in its ReplicaSets, a
/// `StatefulSet` and a `DaemonSet` in `ControllerRevisions`.
async fn templates<R: Remote>(
    desk: &Desk<R>,
    workload: &ObjectRef,
    at: Option<Timestamp>,
) -> Result<Sides, String> {
    let at = at.ok_or("the entry has no time")?;
    let live = desk.remote.look(workload).await?.ok_or("it does not exist")?;
    let uid = text(&live, "/metadata/uid");
    let (plural, pointer, gone) = match &*workload.resource.plural {
        "deployments" => ("replicasets", "/spec/template", "its ReplicaSet of then is gone"),
        _ => ("controllerrevisions", "/data/spec/template", "its ControllerRevision of then is gone"),
    };
    let kept = desk
        .remote
        .list(&Resource::new("apps", plural), workload.namespace.as_deref(), "", "")
        .await
        .map_err(|error| error.to_string())?;
    let latest = at.saturating_add(GRACE).unwrap_or(at);
    let (_, then) = kept
        .iter()
        .filter(|kept| list(kept, "/metadata/ownerReferences").iter().any(|owner| text(owner, "/uid") == uid))
        .filter_map(|kept| {
            let created: Timestamp = text(kept, "/metadata/creationTimestamp").parse().ok()?;
            (created <= latest).then_some((created, kept))
        })
        .max_by_key(|(created, _)| *created)
        .ok_or(gone)?;
    let mut template = then.pointer(pointer).cloned().unwrap_or_default();
    if let Some(fields) = template.as_object_mut() {
        // ControllerRevisions are patches, and say so in the template.
        fields.remove("$patch");
    }
    let wanted = text(then, "/metadata/annotations/deployment.kubernetes.io~1desired-replicas");
    Ok(Sides {
        then: template,
        now: live.pointer("/spec/template").cloned().unwrap_or_default(),
        replicas: (live.pointer("/spec/replicas").and_then(Value::as_i64), wanted.parse().ok()),
    })
}

/// Says what differs between two pod templates: images with their tags, the rest by name.
fn difference(workload: &str, then: &Value, now: &Value) -> Vec<String> {
    let mut differing = Vec::new();
    let containers = |template: &Value| -> Vec<Value> {
        ["/spec/initContainers", "/spec/containers"]
            .iter()
            .flat_map(|pointer| list(template, pointer))
            .cloned()
            .collect()
    };
    let (old, new) = (containers(then), containers(now));
    for container in &new {
        let name = text(container, "/name");
        let of = if new.len() == 1 || name == workload { String::new() } else { format!("{name} ") };
        let Some(before) = old.iter().find(|other| text(other, "/name") == name) else {
            differing.push(format!("container {name} goes away"));
            continue;
        };
        let (image, image_then) = (text(container, "/image"), text(before, "/image"));
        if image != image_then {
            differing.push(format!("{of}image {}", arrow(image, image_then)));
        }
        differing.extend(settings(&of, before, container));
    }
    for container in &old {
        let name = text(container, "/name");
        if !new.iter().any(|other| text(other, "/name") == name) {
            differing.push(format!("container {name} comes back"));
        }
    }
    let rest = |template: &Value| {
        let mut spec = template.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        spec.remove("containers");
        spec.remove("initContainers");
        let mut annotations =
            template.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
        annotations.retain(|key, _| !MARKS.contains(&key.as_str()));
        (spec, annotations)
    };
    let ((old_spec, old_notes), (new_spec, new_notes)) = (rest(then), rest(now));
    differing.extend(keys(&old_spec, &new_spec));
    differing.extend(keys(&old_notes, &new_notes).iter().map(|key| format!("annotation {key}")));
    differing
}

fn settings(of: &str, before: &Value, after: &Value) -> Vec<String> {
    let mut differing = Vec::new();
    let variables = |container: &Value| -> Map<String, Value> {
        list(container, "/env")
            .iter()
            .map(|variable| (text(variable, "/name").to_owned(), variable.clone()))
            .collect()
    };
    let names = keys(&variables(before), &variables(after));
    if !names.is_empty() {
        differing.push(format!("{of}env {}", names.join(" ")));
    }
    let rest = |container: &Value| {
        let mut fields = container.as_object().cloned().unwrap_or_default();
        fields.remove("image");
        fields.remove("env");
        fields
    };
    differing.extend(keys(&rest(before), &rest(after)).iter().map(|key| format!("{of}{key}")));
    differing
}

/// Names the members in which two objects differ.
fn keys(one: &Map<String, Value>, other: &Map<String, Value>) -> Vec<String> {
    let differs = |key: &str| match (one.get(key), other.get(key)) {
        (Some(one), Some(other)) => one != other,
        _ => !FILLED_IN.contains(&key),
    };
    let mut names: Vec<String> = one.keys().chain(other.keys()).filter(|key| differs(key)).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Writes `1.8.0 -> 1.7.4`, with the repositories where they differ.
fn arrow(from: &str, to: &str) -> String {
    let ((repository, tag), (repository_to, tag_to)) = (split(from), split(to));
    if repository == repository_to && !tag.is_empty() && !tag_to.is_empty() {
        format!("{tag} -> {tag_to}")
    } else {
        format!("{from} -> {to}")
    }
}

/// Splits an image into its repository and its tag or digest; a port is no tag.
fn split(image: &str) -> (&str, &str) {
    if let Some((repository, digest)) = image.split_once('@') {
        return (repository, digest);
    }
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, ""),
    }
}

/// Adds the tags by which a template differs from another, once each; a sidecar that stays is not named.
fn add_tags(tags: &mut Vec<String>, template: &Value, other: &Value) {
    for container in list(template, "/spec/containers") {
        let image = text(container, "/image");
        let stays = list(other, "/spec/containers").iter().any(|other| text(other, "/image") == image);
        let tag = split(image).1;
        if !stays && !tag.is_empty() && !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
}

/// Names what the last sync changed beside workloads.
fn touched(app: App<'_>) -> Vec<String> {
    list(app.0, "/status/operationState/syncResult/resources")
        .iter()
        .filter(|resource| {
            text(resource, "/hookType").is_empty()
                && text(resource, "/group") != "apps"
                // The messages are kubectl's: "configured", "created", "unchanged".
                && [" configured", " created"].iter().any(|end| text(resource, "/message").ends_with(end))
        })
        .map(kind_name)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(image: &str, env: Value) -> Value {
        json!({ "spec": { "containers": [{ "name": "app", "image": image, "env": env }] } })
    }

    #[test]
    fn an_image_is_told_by_its_tags_where_the_repository_is_the_same() {
        let now = template("r.example:5000/shop/checkout:1.8.0", json!([]));
        let then = template("r.example:5000/shop/checkout:1.7.4", json!([]));
        assert_eq!(difference("checkout", &then, &now), ["image 1.8.0 -> 1.7.4"]);
        let moved = template("other/checkout:1.7.4", json!([]));
        assert_eq!(
            difference("checkout", &moved, &now),
            ["image r.example:5000/shop/checkout:1.8.0 -> other/checkout:1.7.4"]
        );
    }

    #[test]
    fn settings_are_told_by_name_and_their_values_never() {
        let now = template(
            "a:1",
            json!([{ "name": "TOKEN", "value": "canary-7c1" }, { "name": "SAME", "value": "x" }]),
        );
        let then = template(
            "a:1",
            json!([{ "name": "TOKEN", "value": "canary-0f3" }, { "name": "SAME", "value": "x" }]),
        );
        let said = difference("checkout", &then, &now).join(" ");
        assert_eq!(said, "env TOKEN");
    }

    #[test]
    fn what_the_server_fills_in_is_no_difference_where_only_one_side_has_it() {
        let with = |extra: Value| {
            let mut spec = json!({ "containers": [{ "name": "app", "image": "a:1" }] });
            json_patch::merge(&mut spec, &extra);
            json!({ "spec": spec })
        };
        let difference = |then: Value, now: Value| difference("checkout", &with(then), &with(now));
        assert!(difference(json!({}), json!({ "dnsPolicy": "ClusterFirst" })).is_empty());
        assert_eq!(
            difference(json!({ "dnsPolicy": "None" }), json!({ "dnsPolicy": "Default" })),
            ["dnsPolicy"]
        );
        assert_eq!(difference(json!({}), json!({ "hostNetwork": true })), ["hostNetwork"]);
    }

    #[test]
    fn a_sidecar_that_stays_is_not_named() {
        let pods = |tag: &str| {
            json!({ "spec": { "containers": [
                { "name": "checkout", "image": format!("r/checkout:{tag}") }, { "name": "proxy", "image": "r/proxy:9" } ] } })
        };
        let mut tags = Vec::new();
        add_tags(&mut tags, &pods("1.7.4"), &pods("1.8.0"));
        assert_eq!(tags, ["1.7.4"]);
        assert_eq!(difference("checkout", &pods("1.7.4"), &pods("1.8.0")), ["image 1.8.0 -> 1.7.4"]);
    }

    #[test]
    fn a_restart_is_no_difference() {
        let now = json!({ "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": "t" } }, "spec": {} });
        assert!(difference("checkout", &json!({ "spec": {} }), &now).is_empty());
    }

    #[test]
    fn an_entry_that_was_a_rollback_is_dated_by_the_first_deployment_of_its_revision() {
        let entry = |id: i64, revision: &str, at: &str| json!({ "id": id, "revision": revision, "deployedAt": at, "source": { "repoURL": "r" } });
        let document = json!({ "status": { "history": [
            entry(1, "aaa", "2026-01-01T10:00:00Z"),
            entry(2, "bbb", "2026-01-01T11:00:00Z"),
            entry(3, "aaa", "2026-01-01T12:00:00Z"),
        ] } });
        let app = App(&document);
        let at = deployed(app, app.entry(3).unwrap()).unwrap();
        assert_eq!(at.to_string(), "2026-01-01T10:00:00Z");
    }
}
