//! Scale: how many pods a workload has, through its `scale` subresource.

use serde_json::{Value, json};

use super::change::{Change, Show, rehearsal};
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, Part, text};
use super::work::Work;
use super::workload::{label, number, observed, owner, scalers, within};
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, managed};
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["set the number", "pods are there"];

/// Where the number stands.
const FIELD: &str = "/spec/replicas";

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    let now = number(document, FIELD).unwrap_or(1);
    let scales = matches!(&*object.resource.plural, "deployments" | "statefulsets" | "replicasets");
    if !scales || &*object.resource.group != "apps" {
        let text =
            format!("{} cannot be scaled: Deployments, StatefulSets and ReplicaSets can", object.resource);
        parts.push(Line::new(Mark::Stop, text).into());
    }
    if let Some(owner) = owner(document).filter(|_| &*object.resource.plural == "replicasets") {
        let text = format!("{owner} owns it and sets the number back at once: scale that");
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let wanted = request.options.replicas;
    match wanted {
        None => parts.push(Line::new(Mark::Stop, "say how many replicas there are to be").into()),
        Some(wanted) if wanted < 0 => {
            parts.push(Line::new(Mark::Stop, format!("{wanted} is no number of replicas")).into());
        }
        Some(wanted) => {
            parts.push(Line::new(Mark::Change, format!("replicas {now} -> {wanted}")).into());
            parts.push(Part::Value(FIELD.to_owned(), json!(now), json!(wanted)));
            parts.extend(consequences(request, object, document, now, wanted).into_iter().map(Part::from));
            let asking = async move { scalers(desk, object, wanted).await };
            parts.push(Check::new("does an autoscaler own the number?", asking).into());
            parts.push(managed::check(desk, object, document, [FIELD]).into());
            let change = Change::Scale(json!({ "spec": { "replicas": wanted } }));
            parts.push(rehearsal(desk, object, document, change, Show::Nothing).into());
        }
    }
    parts.push(Line::new(Mark::After, "watched until that many pods are ready").into());
    let wanted = wanted.map_or_else(|| "N".to_owned(), |wanted| wanted.to_string());
    Draft {
        parts,
        facts: vec![
            (FIELD, "the number of replicas"),
            ("/metadata/deletionTimestamp", "its deletion"),
            ("/metadata/ownerReferences", "its owner"),
        ],
        command: format!(
            "kubectl scale {}{} --current-replicas={now} --replicas={wanted}",
            label(object),
            within(object)
        ),
        hold: None,
    }
}

/// Says what the new number means.
fn consequences(request: &Request, object: &ObjectRef, document: &Value, now: i64, wanted: i64) -> Vec<Line> {
    let mut lines = Vec::new();
    if wanted == now {
        // Among several objects one that is there already is no reason to leave the others.
        let mark = if request.targets.len() > 1 { Mark::Note } else { Mark::Stop };
        lines.push(Line::new(mark, format!("{} is at {now} already", object.name)));
    } else if wanted == 0 {
        lines.push(Line::new(Mark::Warn, "at 0 nothing serves: no pod of it is left"));
    } else if wanted < now {
        let text = match &*object.resource.plural {
            "statefulsets" => {
                "the pods with the highest numbers end, their volumes stay; disruption budgets are not asked"
            }
            _ => "the youngest pods and those that are not ready end first; disruption budgets are not asked",
        };
        lines.push(Line::new(Mark::Note, text));
    }
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        lines.push(Line::new(Mark::Stop, "it is being deleted"));
    }
    lines
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let Some(wanted) = work.plan.request.options.replicas else {
        return Err(Trouble::Refused("the plan has no number of replicas".to_owned()));
    };
    let stored = work
        .change(
            |_| Ok(Change::Scale(json!({ "spec": { "replicas": wanted } }))),
            |object| number(object, FIELD) == Some(wanted),
        )
        .await?;
    work.done(0, "");
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    let wanted = work.plan.request.options.replicas.unwrap_or_default();
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let set = number(&document, FIELD).unwrap_or(1);
                if set != wanted {
                    return Outcome::Failed(format!(
                        "it was set to {wanted}, and somebody set it to {set} since: an autoscaler, Argo CD or a person"
                    ));
                }
                let there = number(&document, "/status/replicas").unwrap_or(0);
                let ready = number(&document, "/status/readyReplicas").unwrap_or(0);
                if observed(&document) && there == wanted && ready == wanted {
                    let said = format!("{ready} of {wanted} pods are ready");
                    work.done(1, said.clone());
                    return Outcome::Verified(format!("{said}, in {}", work.taken()));
                }
                let refused = super::application::list(&document, "/status/conditions")
                    .iter()
                    .find(|one| text(one, "/type") == "ReplicaFailure" && text(one, "/status") == "True")
                    .map_or(String::new(), |one| format!("; {}", text(one, "/message")));
                work.running(1, format!("{ready} of {wanted} pods are ready, {there} are there{refused}"));
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}
