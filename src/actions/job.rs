//! Run: a `CronJob` now, as a Job made of its template (`kubectl create job --from`).

use serde_json::{Value, json};

use super::application::list;
use super::change::{Change, Show, rehearsal};
use super::desk::{Desk, Remote};
use super::draft::{Draft, Part, text};
use super::work::Work;
use super::workload::{flag, within};
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request};
use crate::identity::{ObjectRef, Resource};
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["make the job", "it has run"];

/// The longest name of a job: its pods carry it in a label.
const LONGEST: usize = 63;
/// kubectl's annotation for a job that was made by hand.
const MANUAL: &str = "cronjob.kubernetes.io/instantiate";

fn jobs() -> Resource {
    Resource::new("batch", "jobs")
}

/// Names the job: as asked for, else after the `CronJob` and the action.
fn name(object: &ObjectRef, asked: Option<&str>, id: &str) -> String {
    if let Some(asked) = asked {
        return asked.to_owned();
    }
    let tail: String = id.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let tail = &tail[tail.len().saturating_sub(8)..];
    let end = format!("-manual-{tail}");
    let mut head = object.name.to_string();
    head.truncate(LONGEST.saturating_sub(end.len()));
    format!("{}{end}", head.trim_end_matches(['-', '.']))
}

/// Makes the job as kubectl does: the template's labels and annotations, its spec, and the `CronJob` as controller.
fn job(document: &Value, name: &str, id: &str) -> Value {
    let template = document.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
    let mut annotations =
        template.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    annotations.insert(MANUAL.to_owned(), json!("manual"));
    annotations.insert(ACTION.to_owned(), json!(id));
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": text(document, "/metadata/name"),
                "uid": text(document, "/metadata/uid"),
                "controller": true,
            }],
        },
        "spec": template.get("spec").cloned().unwrap_or_default(),
    });
    if let Some(namespace) = document.pointer("/metadata/namespace") {
        job["metadata"]["namespace"] = namespace.clone();
    }
    if let Some(labels) = template.pointer("/metadata/labels") {
        job["metadata"]["labels"] = labels.clone();
    }
    job
}

/// The annotation by which a job is known again as the one of an action, after a lost answer.
const ACTION: &str = "opsdeck.dev/action";

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    if (&*object.resource.group, &*object.resource.plural) != ("batch", "cronjobs") {
        let text = format!("{} cannot be run: CronJobs can", object.resource);
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let asked = request.options.job_name.as_deref();
    let shown = asked.map_or_else(|| name(object, None, "xxxxxxxx"), ToOwned::to_owned);
    parts.push(Line::new(Mark::Change, format!("a Job {shown} is made of its template and runs now")).into());
    let running = list(document, "/status/active").len();
    if running > 0 {
        let policy = match text(document, "/spec/concurrencyPolicy") {
            "Forbid" => ", and its policy is Forbid, which a job made by hand does not ask",
            "Replace" => ", and its policy is Replace, which a job made by hand does not ask",
            _ => "",
        };
        let text = format!("{running} of its jobs run now{policy}");
        parts.push(Line::new(if policy.is_empty() { Mark::Note } else { Mark::Warn }, text).into());
    }
    if flag(document, "/spec/suspend") {
        let text = "it is suspended: this runs once, and the schedule stays off";
        parts.push(Line::new(Mark::Note, text).into());
    }
    if flag(document, "/spec/jobTemplate/spec/suspend") {
        let text = "its template is suspended: the job would be made and would not run";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        parts.push(Line::new(Mark::Stop, "it is being deleted").into());
    }
    let change = Change::Create(jobs(), job(document, &shown, "dry-run"));
    parts.push(rehearsal(desk, object, document, change, Show::Nothing).into());
    parts.push(Line::new(Mark::After, "watched until the job has succeeded or failed").into());
    Draft {
        parts,
        facts: vec![
            ("/spec/jobTemplate", "the template of its jobs"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        command: format!("kubectl create job {shown}{} --from=cronjob/{}", within(object), object.name),
        hold: None,
    }
}

/// Names the job that an action makes of a `CronJob`: one action may make several, each under the name of its own.
pub(super) fn made_by(object: &ObjectRef, asked: Option<&str>, id: &str) -> ObjectRef {
    ObjectRef { resource: jobs(), name: name(object, asked, id).as_str().into(), ..object.clone() }
}

/// Tells whether a job was made by an action.
pub(super) fn is_of(job: &Value, id: &str) -> bool {
    text(job, "/metadata/annotations/opsdeck.dev~1action") == id
}

/// Names the job of this action.
fn made<R>(work: &Work<'_, R>) -> ObjectRef {
    made_by(work.object, work.plan.request.options.job_name.as_deref(), &work.plan.id)
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let made = made(work);
    let (name, id) = (made.name.to_string(), work.plan.id.clone());
    // The name is of this action alone: sent again it can only meet the job that it made before.
    let stored =
        work.create(&made, |object| Change::Create(jobs(), job(object, &name, &id)), |job| is_of(job, &id));
    let stored = stored.await?;
    work.done(0, name);
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    let made = made(work);
    loop {
        match work.desk.remote.look(&made).await {
            Ok(Some(job)) => {
                let holds = |name: &str| {
                    list(&job, "/status/conditions")
                        .iter()
                        .find(|one| text(one, "/type") == name && text(one, "/status") == "True")
                };
                if holds("Complete").is_some() {
                    work.done(1, "it succeeded");
                    return Outcome::Verified(format!("job {} succeeded, in {}", made.name, work.taken()));
                }
                if let Some(failed) = holds("Failed") {
                    return Outcome::Failed(format!(
                        "job {} failed: {}. Look at the logs of its pods: opsdeck logs job/{}{}",
                        made.name,
                        text(failed, "/message"),
                        made.name,
                        within(&made)
                    ));
                }
                let count =
                    |field: &str| super::workload::number(&job, &format!("/status/{field}")).unwrap_or(0);
                let failed = match count("failed") {
                    0 => String::new(),
                    failed => format!(", {failed} failed"),
                };
                work.running(
                    1,
                    format!("{} pods run, {} succeeded{failed}", count("active"), count("succeeded")),
                );
            }
            Ok(None) => {
                // A finished job may be taken away by its time to live or by the CronJob's history limit.
                return Outcome::NotVerified(format!(
                    "job {} is gone; its events say how it ended",
                    made.name
                ));
            }
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Context;

    #[test]
    fn a_job_is_made_as_kubectl_makes_it_and_its_name_is_never_too_long() {
        let object = ObjectRef {
            context: Context::new("c"),
            resource: Resource::new("batch", "cronjobs"),
            namespace: Some("shop".into()),
            name: "x".repeat(60).as_str().into(),
        };
        let long = name(&object, None, "19a-00abcdef");
        assert!(long.len() == LONGEST && long.ends_with("-manual-00abcdef"), "{long}");
        let document = json!({ "metadata": { "name": "report", "namespace": "shop", "uid": "u" }, "spec": { "jobTemplate": {
            "metadata": { "labels": { "a": "b" } }, "spec": { "backoffLimit": 2 } } } });
        let job = job(&document, "report-1", "id");
        // kubectl create job --from: annotation, owner, spec.
        assert_eq!(job["metadata"]["annotations"][MANUAL], "manual");
        assert_eq!(
            job["metadata"]["ownerReferences"],
            json!([{ "apiVersion": "batch/v1", "kind": "CronJob", "name": "report", "uid": "u", "controller": true }])
        );
        assert_eq!((&job["spec"]["backoffLimit"], &job["metadata"]["labels"]["a"]), (&json!(2), &json!("b")));
    }
}
