//! Delete: any object, with a choice of what becomes of what hangs on it; and the removal of a pod whose node is dead.
//!
//! An ordinary delete of a pod is the business of [`super::pod`], which asks budgets and waits for a replacement.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::application::list;
use super::change::{Change, Show, rehearsal};
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, Part, text};
use super::pod::controller;
use super::work::Work;
use super::workload::{label, owned, owner, within};
use super::write::Trouble;
use super::{Cascade, Line, Mark, Outcome, Request, managed};
use crate::human;
use crate::identity::{ObjectRef, Resource};
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["delete it", "it is gone"];
pub(super) const FORCE_STEPS: [&str; 2] = ["take the pod away", "it is gone"];

/// The finalizer with which Argo CD deletes what an Application manages.
const ARGO: &str = "resources-finalizer.argocd.argoproj.io";

fn options(cascade: Cascade) -> Value {
    json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": cascade.policy() })
}

fn forced() -> Value {
    json!({ "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0 })
}

/// Names the finalizers of an object.
fn finalizers(document: &Value) -> Vec<&str> {
    list(document, "/metadata/finalizers").iter().filter_map(Value::as_str).collect()
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let cascade = request.options.cascade;
    let mut parts: Vec<Part<'a>> = Vec::new();
    let kind = match text(document, "/kind") {
        "" => object.resource.to_string(),
        kind => kind.to_owned(),
    };
    parts.push(
        Line::new(Mark::Change, format!("{kind} {} is deleted; {}", object.name, cascade.about())).into(),
    );
    parts.extend(warnings(object, document, cascade).into_iter().map(Part::from));
    let hanging = hangs_on(object);
    if !hanging.is_empty() {
        let asking = async move { dependents(desk, object, document, &hanging, cascade).await };
        parts.push(Check::new("what hangs on it?", asking).into());
    }
    parts.push(managed::check(desk, object, document, Vec::<String>::new()).into());
    let mut rehearsed = options(cascade);
    rehearsed["preconditions"] = json!({ "uid": text(document, "/metadata/uid") });
    parts.push(rehearsal(desk, object, document, Change::Delete(rehearsed), Show::Nothing).into());
    parts.push(Line::new(Mark::After, "watched until it is gone").into());
    Draft {
        parts,
        facts: vec![
            ("/metadata/deletionTimestamp", "its deletion"),
            ("/metadata/ownerReferences", "its owner"),
            ("/metadata/finalizers", "its finalizers"),
            ("/spec", "its spec"),
        ],
        command: format!("kubectl delete {}{} --cascade={}", label(object), within(object), cascade.word()),
        hold: None,
    }
}

/// What is known of a deletion from the object alone.
fn warnings(object: &ObjectRef, document: &Value, cascade: Cascade) -> Vec<Line> {
    let mut lines = Vec::new();
    let held = finalizers(document);
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        let by = if held.is_empty() { String::new() } else { format!(", held by {}", held.join(", ")) };
        let text = format!("it is being deleted since {}{by}", text(document, "/metadata/deletionTimestamp"));
        lines.push(Line::new(Mark::Stop, text));
    } else if !held.is_empty() {
        let text = format!("it goes only when its finalizers are taken away: {}", held.join(", "));
        lines.push(Line::new(Mark::Note, text));
    }
    if let Some(owner) = owner(document) {
        lines.push(Line::new(
            Mark::Warn,
            format!("{owner} owns it and makes it again: delete or change that"),
        ));
    }
    let text = match (&*object.resource.group, &*object.resource.plural) {
        ("", "namespaces") => "everything in the namespace is deleted with it, volumes too",
        ("", "nodes") => "the machine is not ended by this: drain it, and delete its NodeClaim",
        ("", "persistentvolumeclaims") => {
            "its volume goes with it where the reclaim policy is Delete: the data is lost"
        }
        ("", "secrets") => "pods that start later and read it will not start",
        ("apps", "statefulsets") if cascade != Cascade::Orphan => {
            "its pods end; the volumes of its claims stay"
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            "every object of that type is deleted with it, in all namespaces"
        }
        ("argoproj.io", "applications") if held.iter().any(|one| one.starts_with(ARGO)) => {
            "its finalizer deletes everything that the Application manages"
        }
        ("argoproj.io", "applications") => "what it manages stays, and nobody looks after it any more",
        _ => "",
    };
    if !text.is_empty() {
        lines.push(Line::new(Mark::Warn, text));
    }
    lines
}

/// Names the types whose objects are owned by an object of that type.
fn hangs_on(object: &ObjectRef) -> Vec<Resource> {
    let of = |all: &[(&str, &str)]| all.iter().map(|(group, plural)| Resource::new(group, plural)).collect();
    match (&*object.resource.group, &*object.resource.plural) {
        ("apps", "deployments") => of(&[("apps", "replicasets")]),
        ("apps", "replicasets" | "daemonsets" | "statefulsets") | ("batch", "jobs") => of(&[("", "pods")]),
        ("batch", "cronjobs") => of(&[("batch", "jobs")]),
        ("keda.sh", "scaledobjects") => of(&[("autoscaling", "horizontalpodautoscalers")]),
        ("argoproj.io", "applicationsets") => of(&[("argoproj.io", "applications")]),
        _ => Vec::new(),
    }
}

async fn dependents<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    document: &Value,
    types: &[Resource],
    cascade: Cascade,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for resource in types {
        match owned(desk, object, text(document, "/metadata/uid"), resource).await {
            Ok(all) if all.is_empty() => {
                lines.push(Line::new(Mark::Ok, format!("no {} hang on it", resource.plural)));
            }
            Ok(all) => {
                let names: Vec<&str> = all.iter().take(5).map(|one| text(one, "/metadata/name")).collect();
                let more = if all.len() > names.len() { ", ..." } else { "" };
                let (mark, fate) = match cascade {
                    Cascade::Orphan => (Mark::Note, "stay, without an owner"),
                    _ => (Mark::Warn, "go with it, and what hangs on them"),
                };
                let text = format!("{} {} {fate}: {}{more}", all.len(), resource.plural, names.join(", "));
                lines.push(Line::new(mark, text));
            }
            Err(error) => {
                let text = format!("which {} hang on it cannot be read: {error}", resource.plural);
                lines.push(Line::new(Mark::Warn, text));
            }
        }
    }
    lines
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let gone = work.delete_as(&options(work.plan.request.options.cascade)).await?;
    work.done(0, "");
    Ok(gone)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let uid = text(&stored.object, "/metadata/uid").to_owned();
    loop {
        match work.look().await {
            Ok(Some(document)) if text(&document, "/metadata/uid") == uid => {
                let held = finalizers(&document);
                work.running(
                    1,
                    match held.as_slice() {
                        [] => "it is ending".to_owned(),
                        held => format!("held by finalizers: {}", held.join(", ")),
                    },
                );
            }
            Ok(found) => {
                let again = found.map_or("", |_| ", and another has its name");
                work.done(1, "");
                let rest = match work.plan.request.options.cascade {
                    Cascade::Orphan => "; what hung on it stays",
                    _ => "",
                };
                return Outcome::Verified(format!(
                    "{} is gone{again}{rest}, after {}",
                    work.object.name,
                    work.taken()
                ));
            }
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}

/// The plan that takes away a pod whose node does not end it: louder than any other delete.
pub(super) fn draft_force<'a, R: Remote>(
    desk: &'a Desk<R>,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    if (&*object.resource.group, &*object.resource.plural) != ("", "pods") {
        let text = format!("{} is not forced: only a pod that does not end is", object.resource);
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let text_of_change = "the pod is taken out of the cluster at once (grace 0), without word from its node that its containers have ended";
    parts.push(Line::new(Mark::Change, text_of_change).into());
    parts.push(stuck(document, desk.clock.now()).into());
    let danger =
        "where the node still runs it, it goes on running unseen, and its replacement runs beside it";
    parts.push(Line::new(Mark::Warn, danger).into());
    let stateful = controller(document).is_some_and(|owner| text(owner, "/kind") == "StatefulSet");
    let claims =
        list(document, "/spec/volumes").iter().any(|volume| volume.get("persistentVolumeClaim").is_some());
    if stateful || claims {
        let text = "two of it may write to the same volume: make sure first that its machine is off";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    let held = finalizers(document);
    if !held.is_empty() {
        let text =
            format!("force does not take finalizers away: it stays until {} are gone", held.join(", "));
        parts.push(Line::new(Mark::Warn, text).into());
    }
    let asking = async move { vec![of_node(desk, object, document).await] };
    parts.push(Check::new("is its node alive?", asking).into());
    let mut rehearsed = forced();
    rehearsed["preconditions"] = json!({ "uid": text(document, "/metadata/uid") });
    parts.push(rehearsal(desk, object, document, Change::Delete(rehearsed), Show::Nothing).into());
    parts.push(Line::new(Mark::After, "watched until the pod is gone").into());
    Draft {
        parts,
        facts: vec![("/spec/nodeName", "its node"), ("/metadata/finalizers", "its finalizers")],
        command: format!("kubectl delete pod {}{} --force --grace-period=0", object.name, within(object)),
        hold: None,
    }
}

/// Says whether a pod is past the time that it was given to end: its deletion timestamp is when that is over.
fn stuck(document: &Value, now: Timestamp) -> Line {
    let at = text(document, "/metadata/deletionTimestamp");
    match at.parse::<Timestamp>() {
        Err(_) => Line::new(Mark::Stop, "it is not being deleted: delete it the ordinary way first"),
        Ok(deadline) => match now.as_second() - deadline.as_second() {
            late if late > 0 => {
                Line::new(Mark::Ok, format!("it should have ended {} ago", human::span(late)))
            }
            left => {
                let text = format!("it has {} left to end by itself: wait", human::span(-left));
                Line::new(Mark::Stop, text)
            }
        },
    }
}

async fn of_node<R: Remote>(desk: &Desk<R>, object: &ObjectRef, document: &Value) -> Line {
    let name = text(document, "/spec/nodeName");
    if name.is_empty() {
        return Line::new(Mark::Ok, "it was never given to a node");
    }
    let node = ObjectRef {
        context: object.context.clone(),
        resource: Resource::new("", "nodes"),
        namespace: None,
        name: name.into(),
    };
    match desk.remote.look(&node).await {
        Ok(None) => Line::new(Mark::Ok, format!("its node {name} does not exist any more")),
        Ok(Some(node)) => {
            let ready = list(&node, "/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
            if let Some("True") = ready.map(|one| text(one, "/status")) {
                Line::new(
                    Mark::Warn,
                    format!(
                        "its node {name} is ready: the containers are probably still ending there. Look at its events first"
                    ),
                )
            } else {
                let since = ready
                    .and_then(|one| text(one, "/lastTransitionTime").parse::<Timestamp>().ok())
                    .map_or(String::new(), |at| {
                        format!(" for {}", human::span(desk.clock.now().as_second() - at.as_second()))
                    });
                Line::new(Mark::Ok, format!("its node {name} has not been ready{since}"))
            }
        }
        Err(error) => Line::new(Mark::Warn, format!("its node {name} cannot be read: {error}")),
    }
}

pub(super) async fn write_force<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let gone = work.delete_as(&forced()).await?;
    work.done(0, "");
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_stuck_only_after_the_time_it_was_given() {
        let now = "2026-01-05T12:00:00Z".parse().unwrap();
        let mark = |at: &str| stuck(&json!({ "metadata": { "deletionTimestamp": at } }), now).mark;
        assert_eq!(mark("2026-01-05T11:55:00Z"), Mark::Ok);
        assert_eq!(mark("2026-01-05T12:00:20Z"), Mark::Stop);
        assert_eq!(stuck(&json!({ "metadata": {} }), now).mark, Mark::Stop);
    }
}
