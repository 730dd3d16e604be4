//! Pause, suspend and resume: a rollout, a `CronJob` or Job, KEDA's scaling.

use serde_json::{Value, json};

use super::application::list;
use super::change::{Change, Show, rehearsal};
use super::desk::{Desk, Remote};
use super::draft::{Draft, Part, text};
use super::restart::roll;
use super::work::Work;
use super::workload::{PAUSED, PAUSED_AT, flag, label, number, paused, within};
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, Verb, managed};
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["write it", "it is so"];

/// What is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The rollout of a Deployment.
    Rollout,
    /// The schedule of a `CronJob`.
    Schedule,
    /// A Job.
    Job,
    /// The scaling of a `ScaledObject`.
    Scaling,
}

fn what(object: &ObjectRef) -> Option<What> {
    Some(match (&*object.resource.group, &*object.resource.plural) {
        ("apps", "deployments") => What::Rollout,
        ("batch", "cronjobs") => What::Schedule,
        ("batch", "jobs") => What::Job,
        ("keda.sh", "scaledobjects") => What::Scaling,
        _ => return None,
    })
}

/// The annotations of KEDA as JSON pointers.
const PAUSED_POINTER: &str = "/metadata/annotations/autoscaling.keda.sh~1paused";
const PAUSED_AT_POINTER: &str = "/metadata/annotations/autoscaling.keda.sh~1paused-replicas";

impl What {
    /// Where it is written that it is halted.
    fn field(self) -> &'static str {
        match self {
            Self::Rollout => "/spec/paused",
            Self::Schedule | Self::Job => "/spec/suspend",
            Self::Scaling => PAUSED_POINTER,
        }
    }

    fn is_halted(self, document: &Value) -> bool {
        match self {
            Self::Scaling => paused(document),
            _ => flag(document, self.field()),
        }
    }

    /// The word for what it is when it is halted.
    fn word(self) -> &'static str {
        match self {
            Self::Schedule | Self::Job => "suspended",
            Self::Rollout | Self::Scaling => "paused",
        }
    }

    fn change(self, halt: bool, at: Option<i64>) -> Change {
        let body = match self {
            Self::Rollout => json!({ "spec": { "paused": halt } }),
            Self::Schedule | Self::Job => json!({ "spec": { "suspend": halt } }),
            Self::Scaling => {
                let (flag, number) = match (halt, at) {
                    (true, Some(at)) => (Value::Null, json!(at.to_string())),
                    (true, None) => (json!("true"), Value::Null),
                    (false, _) => (Value::Null, Value::Null),
                };
                json!({ "metadata": { "annotations": { PAUSED: flag, PAUSED_AT: number } } })
            }
        };
        Change::merge(body)
    }
}

/// Tells whether a verb halts; the other lets go on.
fn halts(verb: Verb) -> bool {
    verb != Verb::Resume
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let (verb, halt, at) = (request.verb, halts(request.verb), request.options.replicas);
    let mut parts: Vec<Part<'a>> = Vec::new();
    let fits = what(object).filter(|what| match verb {
        Verb::Pause => matches!(what, What::Rollout | What::Scaling),
        Verb::Suspend => matches!(what, What::Schedule | What::Job),
        _ => true,
    });
    let Some(what) = fits else {
        let can = match verb {
            Verb::Pause => "Deployments and ScaledObjects can be paused",
            Verb::Suspend => "CronJobs and Jobs can be suspended",
            _ => "Deployments, ScaledObjects, CronJobs and Jobs can be resumed",
        };
        parts.push(Line::new(Mark::Stop, format!("not {}: {can}", object.resource)).into());
        return Draft { parts, facts: Vec::new(), command: String::new(), hold: None };
    };
    parts.push(Line::new(Mark::Change, said(what, halt, at)).into());
    if what.is_halted(document) == halt {
        let state = if halt { what.word().to_owned() } else { format!("not {}", what.word()) };
        let same = what != What::Scaling || at.is_none() || !halt;
        if same {
            let mark = if request.targets.len() > 1 { Mark::Note } else { Mark::Stop };
            parts.push(Line::new(mark, format!("{} is {state} already", object.name)).into());
        }
    }
    parts.extend(consequences(what, halt, document).into_iter().map(Part::from));
    parts.extend(values(what, halt, at, document));
    let fields: &'static [&'static str] = match what {
        What::Rollout => &["/spec/paused"],
        What::Schedule | What::Job => &["/spec/suspend"],
        What::Scaling if at.is_some() => &[PAUSED_AT_POINTER],
        What::Scaling => &[PAUSED_POINTER],
    };
    parts.push(managed::check(desk, object, document, fields.iter().copied()).into());
    parts.push(rehearsal(desk, object, document, what.change(halt, at), Show::Nothing).into());
    let after = match (what, halt) {
        (What::Rollout, false) => "watched until what waited is rolled out",
        (What::Scaling, _) => "watched until KEDA says so",
        _ => "read back from the API server",
    };
    parts.push(Line::new(Mark::After, after).into());
    Draft {
        parts,
        facts: vec![
            ("/spec/paused", "whether it is paused"),
            ("/spec/suspend", "whether it is suspended"),
            (PAUSED_POINTER, "whether KEDA is paused"),
            (PAUSED_AT_POINTER, "the number at which KEDA is paused"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        command: command(what, halt, at, object),
        hold: None,
    }
}

fn said(what: What, halt: bool, at: Option<i64>) -> String {
    match (what, halt) {
        (What::Rollout, true) => {
            "changes of the pod template wait until it is resumed; pods that fail are still replaced"
                .to_owned()
        }
        (What::Rollout, false) => "changes of the pod template that waited are rolled out".to_owned(),
        (What::Schedule, true) => {
            "no job is started by the schedule until it is resumed; jobs that run go on".to_owned()
        }
        (What::Schedule, false) => "jobs are started by the schedule again".to_owned(),
        (What::Job, true) => "its pods end, and none is started until it is resumed".to_owned(),
        (What::Job, false) => "its pods are started again".to_owned(),
        (What::Scaling, true) => match at {
            Some(at) => format!("KEDA sets {at} pods and scales no more until it is resumed"),
            None => "KEDA scales no more until it is resumed; the number of pods stays as it is".to_owned(),
        },
        (What::Scaling, false) => "KEDA scales again, between its bounds".to_owned(),
    }
}

fn consequences(what: What, halt: bool, document: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    match (what, halt) {
        (What::Schedule, false) => {
            let text = match number(document, "/spec/startingDeadlineSeconds") {
                Some(deadline) => format!("a run that was missed less than {deadline} s ago is made up for"),
                None => "of the runs that were missed meanwhile the latest is made up for at once".to_owned(),
            };
            lines.push(Line::new(Mark::Note, text));
        }
        (What::Job, true) => {
            let active = number(document, "/status/active").unwrap_or(0);
            if active > 0 {
                let text = format!(
                    "{active} pods run now: they are ended, and what they did not finish is done anew"
                );
                lines.push(Line::new(Mark::Warn, text));
            }
            let over = list(document, "/status/conditions").iter().any(|one| {
                matches!(text(one, "/type"), "Complete" | "Failed") && text(one, "/status") == "True"
            });
            if over {
                lines.push(Line::new(Mark::Stop, "it has ended: there is nothing to suspend"));
            }
        }
        (What::Scaling, true) => {
            let text = "while it is paused nothing answers a longer queue or more load";
            lines.push(Line::new(Mark::Warn, text));
        }
        _ => {}
    }
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        lines.push(Line::new(Mark::Stop, "it is being deleted"));
    }
    lines
}

fn values<'a>(what: What, halt: bool, at: Option<i64>, document: &Value) -> Vec<Part<'a>> {
    let now = |pointer: &str| document.pointer(pointer).cloned().unwrap_or_default();
    if what != What::Scaling {
        return vec![Part::Value(what.field().to_owned(), json!(what.is_halted(document)), json!(halt))];
    }
    let (flag, number) = match (halt, at) {
        (true, Some(at)) => (Value::Null, json!(at.to_string())),
        (true, None) => (json!("true"), Value::Null),
        (false, _) => (Value::Null, Value::Null),
    };
    [(PAUSED_POINTER, flag), (PAUSED_AT_POINTER, number)]
        .into_iter()
        .filter(|(pointer, after)| now(pointer) != *after)
        .map(|(pointer, after)| Part::Value(pointer.to_owned(), now(pointer), after))
        .collect()
}

fn command(what: What, halt: bool, at: Option<i64>, object: &ObjectRef) -> String {
    let (label, within) = (label(object), within(object));
    match what {
        What::Rollout => {
            let word = if halt { "pause" } else { "resume" };
            format!("kubectl rollout {word} {label}{within}")
        }
        What::Schedule | What::Job => {
            format!("kubectl patch {label}{within} -p '{{\"spec\":{{\"suspend\":{halt}}}}}'")
        }
        What::Scaling => {
            let note = match (halt, at) {
                (true, Some(at)) => format!("{PAUSED_AT}={at} {PAUSED}-"),
                (true, None) => format!("{PAUSED}=true {PAUSED_AT}-"),
                (false, _) => format!("{PAUSED}- {PAUSED_AT}-"),
            };
            format!("kubectl annotate {label}{within} --overwrite {note}")
        }
    }
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let (halt, at) = (halts(work.plan.request.verb), work.plan.request.options.replicas);
    let Some(what) = what(work.object) else {
        return Err(Trouble::Refused(format!("{} cannot be halted", work.object)));
    };
    let number = at.map(|at| at.to_string());
    let landed = |object: &Value| {
        let exact = what != What::Scaling
            || !halt
            || number.as_deref().is_none_or(|number| text(object, PAUSED_AT_POINTER) == number);
        what.is_halted(object) == halt && exact
    };
    let stored = work.change(|_| Ok(what.change(halt, at)), landed).await?;
    work.done(0, "");
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let halt = halts(work.plan.request.verb);
    let Some(what) = what(work.object) else {
        return Outcome::Failed(format!("{} cannot be halted", work.object));
    };
    if what == What::Rollout && !halt {
        return roll(work, 1).await;
    }
    if what.is_halted(&stored.object) != halt {
        return Outcome::Failed("the write was accepted, and it is not so all the same".to_owned());
    }
    let state = if halt { what.word().to_owned() } else { format!("not {} any more", what.word()) };
    let said = format!("{} is {state}", work.object.name);
    if what != What::Scaling {
        work.done(1, said.clone());
        return Outcome::Verified(said);
    }
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                if paused(&document) != halt {
                    return Outcome::Failed(
                        "somebody took it back: Argo CD may have stripped the annotation".to_owned(),
                    );
                }
                let condition =
                    list(&document, "/status/conditions").iter().find(|one| text(one, "/type") == "Paused");
                match condition {
                    // Before 2.13 there was no such condition: what is written is all that can be seen.
                    None => {
                        work.done(1, "KEDA has no condition for it");
                        return Outcome::Verified(format!(
                            "{said}; KEDA does not say whether it has seen it"
                        ));
                    }
                    Some(one) if (text(one, "/status") == "True") == halt => {
                        work.done(1, text(one, "/message"));
                        return Outcome::Verified(format!(
                            "{said}, and KEDA says so, after {}",
                            work.taken()
                        ));
                    }
                    Some(_) => work.running(1, "KEDA has not seen it yet"),
                }
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}
