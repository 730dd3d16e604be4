//! Edit: what a person made of an object in an editor, applied as a merge patch on the version that was opened.
//!
//! The plan is the server's own dry run and its difference. What somebody else changed meanwhile is never written
//! over: the edit is refused, kept, and can be put on top of the new state ([`super::sheet`]).

use serde_json::Value;

use super::change::{Change, difference, digests, refused};
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, Found, Part, text};
use super::restart::roll;
use super::sheet::{Edited, bare, is_secret};
use super::work::Work;
use super::workload::{label, within};
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, change, managed};
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["write the change", "it is so"];

/// What an edit is told where the object is not the one that was opened any more.
const AGAIN: &str = "edit it again: your change is kept and put on top of what is there now";

/// Says who got in between, in paths.
fn meanwhile(edited: &Edited, document: &Value) -> Option<String> {
    let (opened, now) = (bare(&edited.original), bare(document));
    (opened != now).then(|| {
        let mut said = change::paths(&opened, &now);
        if said.is_empty() {
            said.push("what the server keeps".to_owned());
        }
        let more = if said.len() > 3 { format!(" and {} more", said.len() - 3) } else { String::new() };
        said.truncate(3);
        format!("it was changed since you opened it ({}{more}); {AGAIN}", said.join("; "))
    })
}

/// Returns the first two levels of what a patch touches, as JSON pointers.
fn touched(patch: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    for (name, value) in patch.as_object().into_iter().flatten() {
        match value.as_object().filter(|inner| !inner.is_empty()) {
            Some(inner) => {
                fields.extend(inner.keys().map(|inner| format!("/{name}/{}", inner.replace('/', "~1"))));
            }
            None => fields.push(format!("/{name}")),
        }
    }
    fields
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    if is_secret(&object.resource) {
        parts.push(Line::new(Mark::Stop, super::sheet::SECRET).into());
    }
    if request.targets.len() > 1 {
        parts.push(Line::new(Mark::Stop, "one object is edited at a time").into());
    }
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        parts.push(Line::new(Mark::Warn, "it is being deleted").into());
    }
    match request.options.edited.as_deref() {
        None => parts.push(Line::new(Mark::Stop, "nothing was edited").into()),
        Some(edited) => {
            let patch = edited.patch();
            if let Some(why) = edited.objection() {
                parts.push(Line::new(Mark::Stop, why).into());
            } else if let Some(why) = meanwhile(edited, document) {
                parts.push(Line::new(Mark::Stop, why).into());
            } else if let Some(patch) = patch {
                parts.push(managed::check(desk, object, document, touched(&patch)).into());
                let fields = touched(&patch);
                let asking = async move { pretend(desk, object, document, patch, fields).await };
                parts.push(Check::new("the server's dry run", asking).into());
            } else {
                parts.push(Line::new(Mark::Stop, "nothing was changed").into());
            }
        }
    }
    parts
        .push(Line::new(Mark::After, "read back, and a rollout that it begins is watched to its end").into());
    Draft {
        parts,
        facts: vec![
            ("/spec", "its spec"),
            ("/data", "its data"),
            ("/binaryData", "its data"),
            ("/metadata/labels", "its labels"),
            ("/metadata/finalizers", "its finalizers"),
            ("/metadata/ownerReferences", "its owner"),
        ],
        command: format!("kubectl edit {}{}", label(object), within(object)),
        hold: None,
    }
}

async fn pretend<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    document: &Value,
    patch: Value,
    fields: Vec<String>,
) -> Found {
    match desk.remote.rehearse(object, &Change::merge(patch)).await {
        Err(error) => vec![refused(&error)].into(),
        Ok(answer) => {
            let mut lines = difference(document, &answer.object);
            lines.push(Line::new(Mark::Ok, "the server would take it (server dry run)"));
            lines.extend(answer.warnings.iter().map(|warning| {
                let text = format!("the server warns: {warning}");
                Line::new(Mark::Warn, text)
            }));
            Found { lines, digests: digests(document, &answer.object, fields), ..Found::default() }
        }
    }
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let Some(edited) = work.plan.request.options.edited.clone() else {
        return Err(Trouble::Refused("nothing was edited".to_owned()));
    };
    let Some(patch) = edited.patch() else {
        return Err(Trouble::Refused("nothing was changed".to_owned()));
    };
    // Where it was replaced or changed there is nothing to rehearse.
    work.permit().await?;
    // What the server makes of it, with its own defaults and spellings: by that a write is known again whose answer
    // was lost.
    let rehearsed = work.desk.remote.rehearse(work.object, &Change::merge(patch.clone())).await;
    let wanted = match rehearsed {
        Ok(answer) => bare(&answer.object),
        Err(error) => return Err(Trouble::Refused(error.to_string())),
    };
    let stored = work
        .change(
            |object| match meanwhile(&edited, object) {
                Some(why) => Err(why),
                None => Ok(Change::merge(patch.clone())),
            },
            |object| bare(object) == wanted,
        )
        .await?;
    work.done(0, "");
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, _stored: &Written) -> Outcome {
    let patch =
        work.plan.request.options.edited.as_ref().and_then(|edited| edited.patch()).unwrap_or_default();
    let rolls = matches!(&*work.object.resource.plural, "deployments" | "statefulsets" | "daemonsets")
        && &*work.object.resource.group == "apps"
        && patch.get("spec").is_some();
    if rolls {
        return roll(work, 1).await;
    }
    match work.look().await {
        Ok(Some(_)) => {
            work.done(1, "read back");
            Outcome::Verified(format!("{} is as edited", work.object.name))
        }
        Ok(None) => Outcome::Failed(format!("{} does not exist any more", work.object)),
        Err(error) => Outcome::NotVerified(format!("written, and it cannot be read back: {error}")),
    }
}
