//! Rollout undo: a workload takes the pod template of an earlier revision, as `kubectl rollout undo` makes it.
//!
//! It is not Argo CD's rollback ([`super::rollback`]): Git and the Application stay as they are, and the plan says
//! what Argo CD will make of it.

use serde_json::{Map, Value, json};

use super::change::{Change, digests, told};
use super::desk::{Desk, Remote};
use super::difference::{self, Fields};
use super::draft::{Check, Draft, Found, Part, text};
use super::owners::tracked_by;
use super::restart::roll;
use super::rollout::on_delete;
use super::work::Work;
use super::workload::{flag, label, owned, within};
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, managed};
use crate::human;
use crate::identity::{ObjectRef, Resource};
use crate::sources::change::Patch;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["take the earlier template", "pods replaced"];

/// The annotation in which the Deployment controller counts.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The label by which it tells the pods of its ReplicaSets apart.
const HASH: &str = "pod-template-hash";
/// The annotation in which people say what a revision was for.
const CAUSE: &str = "/metadata/annotations/kubernetes.io~1change-cause";
/// Annotations of a Deployment that belong to it and not to a revision, as kubectl has them.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

/// How the number of a revision is written in the record: it is what an undo of this goes to.
const FIELD: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

/// A revision that is kept.
#[derive(Debug, Clone)]
struct Kept {
    number: i64,
    document: Value,
}

impl Kept {
    /// Returns the pod template of the revision.
    fn template(&self) -> Value {
        let pointer =
            if self.document.get("data").is_some() { "/data/spec/template" } else { "/spec/template" };
        bare(self.document.pointer(pointer).unwrap_or(&Value::Null))
    }
}

/// Returns a template without what controllers put into it.
fn bare(template: &Value) -> Value {
    let mut bare = template.clone();
    if let Some(fields) = bare.as_object_mut() {
        // ControllerRevisions are patches, and say so in the template.
        fields.remove("$patch");
    }
    if let Some(labels) = bare.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    // An empty object and none say the same.
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    if let Some(metadata) = bare.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !empty(value));
    }
    if let Some(fields) = bare.as_object_mut() {
        fields.retain(|_, value| !empty(value));
    }
    bare
}

/// Reads the revisions of a workload, the newest first.
async fn revisions<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    document: &Value,
) -> Result<Vec<Kept>, String> {
    let uid = text(document, "/metadata/uid");
    let deployment = &*object.resource.plural == "deployments";
    let resource = Resource::new("apps", if deployment { "replicasets" } else { "controllerrevisions" });
    let all = owned(desk, object, uid, &resource).await.map_err(|error| error.to_string())?;
    let mut kept: Vec<Kept> = all
        .into_iter()
        .filter_map(|document| {
            let number = if deployment {
                document.pointer("/metadata/annotations")?.get(REVISION)?.as_str()?.parse().ok()?
            } else {
                document.get("revision")?.as_i64()?
            };
            Some(Kept { number, document })
        })
        .collect();
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.number));
    Ok(kept)
}

/// Chooses the revision to go to: the one that was asked for, else the one before the newest.
fn choose(kept: &[Kept], wanted: Option<i64>) -> Result<&Kept, String> {
    let numbers = || kept.iter().map(|kept| kept.number.to_string()).collect::<Vec<_>>().join(", ");
    match wanted.filter(|wanted| *wanted != 0) {
        Some(wanted) => kept
            .iter()
            .find(|kept| kept.number == wanted)
            .ok_or_else(|| format!("revision {wanted} is not kept; there are {}", numbers())),
        None => kept.get(1).ok_or_else(|| "there is no earlier revision".to_owned()),
    }
}

/// Makes the change of kubectl: a Deployment's template and annotations are replaced, the others take the revision
/// as the patch that it is.
fn change(object: &ObjectRef, document: &Value, to: &Kept) -> Change {
    if &*object.resource.plural != "deployments" {
        let data = to.document.get("data").cloned().unwrap_or_default();
        return Change::Patch(Patch::Strategic, data);
    }
    let notes = |of: &Value| {
        of.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let mut annotations: Map<String, Value> =
        notes(document).into_iter().filter(|(key, _)| OWN.contains(&key.as_str())).collect();
    annotations.extend(notes(&to.document).into_iter().filter(|(key, _)| !OWN.contains(&key.as_str())));
    // `add` also replaces, and does not fail where there are no annotations.
    Change::Patch(
        Patch::Json,
        json!([
            { "op": "replace", "path": "/spec/template", "value": to.template() },
            { "op": "add", "path": "/metadata/annotations", "value": annotations },
        ]),
    )
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    let rolls = matches!(&*object.resource.plural, "deployments" | "statefulsets" | "daemonsets");
    if !rolls || &*object.resource.group != "apps" {
        let text =
            format!("{} keeps no revisions: Deployments, StatefulSets and DaemonSets do", object.resource);
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let wanted = request.options.rollout_revision;
    let asking = async move { compare(desk, object, document, wanted).await };
    parts.push(Check::new("reading the revisions", asking).into());
    if flag(document, "/spec/paused") {
        let text = "it is paused: nothing would be replaced; resume it first";
        parts.push(Line::new(Mark::Stop, text).into());
    }
    if on_delete(document) {
        let text = "its update strategy is OnDelete: pods are replaced only as somebody deletes them";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    if let Some(app) = tracked_by(document) {
        let name = app.rsplit('_').next().unwrap_or(&app);
        let text = format!(
            "this is not Argo CD's rollback: Git stays as it is; opsdeck rollback {name} goes back to an earlier sync"
        );
        parts.push(Line::new(Mark::Note, text).into());
    }
    parts.push(managed::check(desk, object, document, ["/spec/template"]).into());
    parts.push(Line::new(Mark::After, "watched until all pods are of that revision and available").into());
    let to = wanted.map_or_else(String::new, |wanted| format!(" --to-revision={wanted}"));
    Draft {
        parts,
        facts: vec![
            ("/spec/template", "the pod template"),
            ("/spec/paused", "whether it is paused"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        command: format!("kubectl rollout undo {}{}{to}", label(object), within(object)),
        hold: None,
    }
}

/// Says to and from, what differs, and whether the server would take it.
async fn compare<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    document: &Value,
    wanted: Option<i64>,
) -> Found {
    let stop = |text: String| Found::from(vec![Line::new(Mark::Stop, text)]);
    let kept = match revisions(desk, object, document).await {
        Ok(kept) => kept,
        Err(error) => return stop(format!("its revisions cannot be read: {error}")),
    };
    let to = match choose(&kept, wanted) {
        Ok(to) => to,
        Err(why) => return stop(why),
    };
    let now = bare(document.pointer("/spec/template").unwrap_or(&Value::Null));
    let then = to.template();
    // The newest has the highest number, also where it is an older one that was gone back to.
    let from = kept.first().map_or(0, |kept| kept.number);
    let said = difference::paths(&now, &then, Fields::Both);
    let mut lines = vec![
        Line::new(Mark::To, describe(desk, to)),
        Line::new(
            Mark::From,
            kept.first().map_or_else(|| "what is there".to_owned(), |kept| describe(desk, kept)),
        ),
    ];
    if now == then || said.is_empty() {
        let text = format!("its pod template is that of revision {} already", to.number);
        lines.push(Line::new(Mark::Stop, text));
        return lines.into();
    }
    lines.extend(told(super::workload::kind_of(object), &object.name, &said));
    let others: Vec<String> = kept
        .iter()
        .filter(|kept| kept.number != to.number && kept.number != from)
        .map(|kept| kept.number.to_string())
        .collect();
    if !others.is_empty() {
        lines.push(Line::new(Mark::Note, format!("other revisions that are kept: {}", others.join(", "))));
    }
    let mut template = Vec::new();
    match desk.remote.rehearse(object, &change(object, document, to)).await {
        Ok(answer) => {
            lines.push(Line::new(Mark::Ok, "the server would take it (server dry run)"));
            template = digests(document, &answer.object, ["/spec/template".to_owned()]);
        }
        Err(error) => lines.push(super::change::refused(&error)),
    }
    Found {
        lines,
        digests: template,
        values: vec![(FIELD.to_owned(), json!(from), json!(to.number))],
        ..Found::default()
    }
}

/// Writes a revision in a few words: its number, images, age, and what it was for.
fn describe<R>(desk: &Desk<R>, kept: &Kept) -> String {
    let template = kept.template();
    let images: Vec<&str> = super::application::list(&template, "/spec/containers")
        .iter()
        .map(|container| text(container, "/image"))
        .map(|image| image.rsplit_once('/').map_or(image, |(_, short)| short))
        .collect();
    let created = text(&kept.document, "/metadata/creationTimestamp").parse::<jiff::Timestamp>();
    let age = created.map_or_else(
        |_| String::new(),
        |created| {
            format!(
                ", first rolled out {} ago",
                human::span(desk.clock.now().as_second() - created.as_second())
            )
        },
    );
    let cause = match text(&kept.document, CAUSE) {
        "" => String::new(),
        cause => format!(", {cause}"),
    };
    format!("revision {}  {}{age}{cause}", kept.number, images.join(" "))
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    // The plan wrote down which revision it is: another one that came since must not be taken for it.
    let planned = work
        .plan
        .changes
        .iter()
        .find(|change| change.object == *work.object && change.field == FIELD)
        .and_then(|change| change.after.as_i64())
        .ok_or_else(|| Trouble::Refused("the plan names no revision".to_owned()))?;
    let (_, document) = work.permit().await?;
    let kept = revisions(work.desk, work.object, &document).await.map_err(Trouble::Refused)?;
    let to = choose(&kept, Some(planned)).map_err(Trouble::Refused)?.clone();
    let (at, template) = (work.object.clone(), to.template());
    let is_there =
        |object: &Value| bare(object.pointer("/spec/template").unwrap_or(&Value::Null)) == template;
    let stored = work.change(|object| Ok(change(&at, object, &to)), is_there).await?;
    work.done(0, format!("revision {planned}"));
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    roll(work, 1).await
}
