//! What became of actions that were cut off: found out from the cluster, and written as the end of their record.
//!
//! It reads and never sends anything that changes something. An action that a console still carries out is left to
//! that console, and one that is still under way in the cluster keeps its record open. What the cluster does not
//! tell is not guessed.

use jiff::Timestamp;
use serde_json::Value;

use super::application::{App, applications};
use super::change::GENERATION;
use super::desk::{Desk, Remote};
use super::draft::text;
use super::reads::places;
use super::revert::TRAILER;
use super::rotate::{self, Became};
use crate::audit::change::{digest, name};
use crate::audit::{After, AuditError, Begun, Check, Ending, Event, Intent, Record};
use crate::identity::Target;
use crate::kinds::alerts;
use crate::sources::git::Push;

/// The annotation that asks Argo CD to compare again; it goes when that is done.
const REFRESH: &str = "argocd.argoproj.io/refresh";

/// The annotation of `kubectl rollout restart`.
const RESTARTED: &str = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";

/// The mark of a chain that stands before its end and can be gone on with.
pub(super) const STOPPED: &str = "stopped";

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// It was done; with the evidence.
    Done(String),
    /// It was not done, or failed; with the evidence.
    NotDone(String),
    /// A chain of steps stands before its end; which, and how it goes on.
    Stopped(String),
    /// The cluster does not tell; with the reason.
    Unknown(String),
    /// It goes on, or cannot be asked about now: the record stays open.
    Later,
}

/// An action whose record was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Its id in the audit.
    pub id: String,
    /// What it was, and what was found, in a sentence.
    pub text: String,
}

/// Finds out what became of the actions of this context that were cut off, and closes their records.
///
/// Sends nothing that changes anything. Of several consoles one closes a record; an action that is still carried
/// out somewhere is passed over.
pub async fn close<R: Remote>(desk: &Desk<R>) -> Result<Vec<Closed>, AuditError> {
    let mut closed = Vec::new();
    for record in blocking(desk, |audit| audit.unfinished()).await? {
        let Event::Before(intent) = record.event.clone() else { continue };
        if intent.context != desk.rules.context {
            continue;
        }
        let now = desk.clock.now();
        let asked = record.clone();
        let Some(begun) = blocking(desk, move |audit| audit.take_over(&asked, now)).await? else { continue };
        if let Some(one) = close_one(desk, &record, &intent, begun).await? {
            closed.push(one);
        }
    }
    Ok(closed)
}

/// Runs what reads files away from the loop's thread.
async fn blocking<R: Remote, T: Send + 'static>(
    desk: &Desk<R>,
    run: impl FnOnce(crate::audit::Audit) -> Result<T, AuditError> + Send + 'static,
) -> Result<T, AuditError> {
    let audit = desk.audit.clone();
    let path = audit.path().to_owned();
    let done = tokio::task::spawn_blocking(move || run(audit)).await;
    done.map_err(|error| AuditError::File { path, verb: "read", source: std::io::Error::other(error) })?
}

async fn close_one<R: Remote>(
    desk: &Desk<R>,
    record: &Record,
    intent: &Intent,
    begun: Begun,
) -> Result<Option<Closed>, AuditError> {
    let mut found = Vec::new();
    let mut after = Vec::new();
    for target in &intent.targets {
        if !concerns(&intent.verb, target) {
            continue;
        }
        let Ok(document) = desk.remote.look(&target.object).await else { return Ok(None) };
        let one = match intent.verb.as_str() {
            "silence" => silence(desk, record.at, intent).await,
            "revert" | "promote" => pushed(desk, &record.id, intent, document.as_ref()).await,
            verb @ ("rotate" | "resume-rotation" | "restore-secret" | "refresh-secret") => {
                rotation(desk, verb, record, target, document.as_ref()).await
            }
            "undo" => match super::undo::judge(intent, target, document.as_ref()) {
                Ok((true, said)) => Found::Done(said),
                Ok((false, said)) => Found::NotDone(said),
                Err(why) => Found::Unknown(why),
            },
            "delete" => gone("object", target, document.as_ref()),
            "force-delete" => forced(target, document.as_ref()),
            "run-job" => run_job(desk, &record.id, intent, target).await,
            "scale" | "pause" | "suspend" | "resume" | "set-image" | "set-bounds" => {
                values(intent, target, document.as_ref())
            }
            "edit" | "rollout-undo" => digested(intent, target, document.as_ref()),
            verb => judge(verb, &record.id, record.at, target, document.as_ref()),
        };
        if one == Found::Later {
            return Ok(None);
        }
        let field = |pointer: &str| document.as_ref().map(|document| text(document, pointer).to_owned());
        after.push(After {
            object: target.object.clone(),
            uid: field("/metadata/uid"),
            resource_version: field("/metadata/resourceVersion"),
        });
        found.push((target, one));
    }
    let (outcome, detail) = sum_up(&found);
    let now = desk.clock.now();
    let ending = Ending {
        outcome: outcome.to_owned(),
        detail: format!("it was cut off; found later: {detail}"),
        steps: found
            .iter()
            .map(|(target, one)| {
                let (word, evidence) = said(one);
                Check { mark: word.to_owned(), text: format!("{}: {evidence}", target.object.name) }
            })
            .collect(),
        after,
        duration_ms: now.as_millisecond() - record.at.as_millisecond(),
        // What it changed is not known from before it was cut off.
        changes: Vec::new(),
        made: Vec::new(),
    };
    desk.audit.end(begun, ending, now).await?;
    let words = outcome.replace('-', " ");
    Ok(Some(Closed { id: record.id.clone(), text: format!("{}: {words}, {detail}", intent.title) }))
}

/// Compares an object with the values that the plan was to change.
fn values(intent: &Intent, target: &Target, document: Option<&Value>) -> Found {
    let Some(document) = document else {
        return Found::Unknown("the object does not exist any more".to_owned());
    };
    if text(document, "/metadata/uid") != &*target.uid {
        return Found::Unknown("another object has its name now".to_owned());
    }
    let own: Vec<_> = intent.changes.iter().filter(|change| change.object == target.object).collect();
    let is = |change: &crate::audit::Changed| document.pointer(&change.field).cloned().unwrap_or_default();
    // What is off is often not written at all.
    let same = |a: &Value, b: &Value| {
        a == b || matches!((a, b), (Value::Null, Value::Bool(false)) | (Value::Bool(false), Value::Null))
    };
    let said =
        || own.iter().map(|one| format!("{} is {}", one.field, is(one))).collect::<Vec<_>>().join(", ");
    if own.is_empty() {
        Found::Unknown("the record does not say what it was to change".to_owned())
    } else if own.iter().all(|change| same(&is(change), &change.after)) {
        Found::Done(said())
    } else if own.iter().all(|change| same(&is(change), &change.before)) {
        Found::NotDone(said())
    } else {
        Found::Unknown(format!("it was changed since: {}", said()))
    }
}

/// Compares an object with the digests of what the plan was to change, where the values themselves are not kept.
fn digested(intent: &Intent, target: &Target, document: Option<&Value>) -> Found {
    let Some(document) = document else {
        return Found::Unknown("the object does not exist any more".to_owned());
    };
    if text(document, "/metadata/uid") != &*target.uid {
        return Found::Unknown("another object has its name now".to_owned());
    }
    if text(document, "/metadata/resourceVersion") == &*target.resource_version {
        return Found::NotDone("the object is as it was before".to_owned());
    }
    let own = intent.changes.iter().filter(|change| change.object == target.object && change.withheld);
    let (generation, own): (Vec<_>, Vec<_>) = own.partition(|change| change.field == GENERATION);
    let is = |field: &str| digest(document.pointer(field).unwrap_or(&Value::Null));
    let names = || own.iter().map(|change| name(&change.field)).collect::<Vec<_>>().join(", ");
    let moved = || {
        let now = document.pointer(GENERATION).unwrap_or(&Value::Null).to_string();
        // A generation moves with the spec, and with nothing else.
        own.iter().all(|change| change.field.starts_with("/spec"))
            && generation.iter().any(|change| change.before.as_str() != Some(&*now))
    };
    if own.is_empty() {
        Found::Unknown("the record does not say what it was to change".to_owned())
    } else if own.iter().all(|change| is(&change.field) == change.after) {
        Found::Done(format!("{}: as the plan said", names()))
    } else if own.iter().any(|change| is(&change.field) != change.before) {
        Found::Unknown(format!(
            "{}: neither as before nor as the plan said; somebody changed it since",
            names()
        ))
    } else if moved() {
        Found::Unknown(format!(
            "{}: as before, but the spec was written since: it was done and put back, or never done",
            names()
        ))
    } else {
        Found::NotDone(format!("{}: as before", names()))
    }
}

/// Looks for the job that would have been made.
async fn run_job<R: Remote>(desk: &Desk<R>, id: &str, intent: &Intent, target: &Target) -> Found {
    let asked = intent.options.get("job_name").and_then(Value::as_str);
    let job = super::job::made_by(&target.object, asked, id);
    match desk.remote.look(&job).await {
        Ok(Some(found)) if super::job::is_of(&found, id) => Found::Done(format!("it made job {}", job.name)),
        Ok(Some(_)) => Found::NotDone(format!("job {} is another one", job.name)),
        // A job that has ended may be taken away by its time to live.
        Ok(None) => Found::Unknown(format!("there is no job {}: it was not made, or is gone", job.name)),
        Err(_) => Found::Later,
    }
}

/// Tells whether an object is one that the verb is about, and not one that it touches on the way.
fn concerns(verb: &str, target: &Target) -> bool {
    let plural = &*target.object.resource.plural;
    match verb {
        "delete-pod" => plural == "pods",
        "cordon" | "uncordon" | "protect" | "unprotect" => plural == "nodes",
        "delete-nodeclaim" => plural == "nodeclaims",
        "rotate" | "resume-rotation" | "restore-secret" | "refresh-secret" => plural == "externalsecrets",
        "refresh" | "hard-refresh" | "sync" | "rollback" | "revert" | "promote" | "terminate"
        | "hold-autosync" | "release-autosync" => target.object.resource == applications(),
        "renew" => plural == "certificates",
        _ => true,
    }
}

fn said(found: &Found) -> (&'static str, &str) {
    match found {
        Found::Done(evidence) => ("done", evidence),
        Found::NotDone(evidence) => ("not-done", evidence),
        Found::Stopped(evidence) => (STOPPED, evidence),
        Found::Unknown(why) => ("cannot-be-told", why),
        Found::Later => ("open", ""),
    }
}

/// One word for all objects, and the evidence of each.
fn sum_up(found: &[(&Target, Found)]) -> (&'static str, String) {
    let count = |word: &str| found.iter().filter(|(_, one)| said(one).0 == word).count();
    let word = if found.is_empty() || count("cannot-be-told") > 0 {
        "cannot-be-told"
    } else if count("not-done") + count(STOPPED) > 0 {
        "not-done"
    } else {
        "done"
    };
    let detail = match found {
        [] => "the record names no object that could be looked at".to_owned(),
        [(_, one)] => said(one).1.to_owned(),
        several => {
            let each: Vec<String> = several
                .iter()
                .map(|(target, one)| format!("{} {} ({})", target.object.name, said(one).0, said(one).1))
                .collect();
            format!("{} of {} done: {}", count("done"), several.len(), each.join("; "))
        }
    };
    (word, detail)
}

/// Says what an object tells of an action that was begun at a moment.
fn judge(verb: &str, id: &str, begun: Timestamp, target: &Target, document: Option<&Value>) -> Found {
    match (verb, &*target.object.resource.plural) {
        ("delete-pod", _) | ("drain", "pods") => return gone("pod", target, document),
        ("delete-nodeclaim", _) => return gone("claim", target, document),
        ("drain", _) if document.is_none() => return Found::Done("the node is gone".to_owned()),
        _ => {}
    }
    let Some(document) = document else {
        return Found::Unknown("the object does not exist any more".to_owned());
    };
    let signal = &*target.object.resource.group == alerts::GROUP;
    if !signal && text(document, "/metadata/uid") != &*target.uid {
        return Found::Unknown("another object has its name now".to_owned());
    }
    let app = App(document);
    match verb {
        "protect" | "unprotect" => {
            let held = text(document, "/metadata/annotations/karpenter.sh~1do-not-disrupt") == "true";
            let state = if held { "it is protected" } else { "it is not protected" };
            if held == (verb == "protect") {
                Found::Done(state.to_owned())
            } else {
                Found::NotDone(state.to_owned())
            }
        }
        "cordon" | "uncordon" | "drain" => {
            let unschedulable =
                document.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true);
            let state = if unschedulable { "it is unschedulable" } else { "it is schedulable" };
            if unschedulable == (verb != "uncordon") {
                Found::Done(state.to_owned())
            } else {
                Found::NotDone(state.to_owned())
            }
        }
        "restart" => restart(begun, document),
        "renew" => renew(begun, document),
        "refresh" | "hard-refresh" => refresh(begun, app),
        "sync" | "rollback" => operation(id, begun, app),
        "terminate" => terminate(begun, app),
        "hold-autosync" => match app.hold() {
            Some(hold) if hold.action == id && !app.auto_sync() => {
                Found::Done("auto-sync is off, held by this action".to_owned())
            }
            Some(_) => Found::Unknown("auto-sync is held by another action now".to_owned()),
            None if text(document, "/metadata/resourceVersion") == &*target.resource_version => {
                Found::NotDone("the Application is as it was before".to_owned())
            }
            None => Found::Unknown("it is not held: it never was, or was given back since".to_owned()),
        },
        "release-autosync" => match app.hold() {
            Some(hold) if hold.at < begun => {
                Found::NotDone(format!("auto-sync is still held, by {} since {}", hold.by, hold.at))
            }
            Some(hold) => Found::Unknown(format!("auto-sync was held again at {}", hold.at)),
            None if app.auto_sync() => Found::Done("auto-sync is on".to_owned()),
            None => Found::Unknown("auto-sync is off, and nothing says why".to_owned()),
        },
        "expire-silence" => match text(document, "/status/state") {
            "expired" => Found::Done("the silence is expired".to_owned()),
            "" => Found::Unknown("its state is not said".to_owned()),
            state => Found::NotDone(format!("the silence is {state}")),
        },
        "extend-silence" if text(document, "/metadata/resourceVersion") == &*target.resource_version => {
            Found::NotDone(format!("it ends at {}, as before", text(document, "/endsAt")))
        }
        "extend-silence" => {
            Found::Unknown(format!("it was changed since, and ends at {}", text(document, "/endsAt")))
        }
        _ => Found::Unknown("what this verb leaves behind is not known".to_owned()),
    }
}

/// A Certificate tells by the beginning of what it holds, and by what goes on.
fn renew(begun: Timestamp, certificate: &Value) -> Found {
    // Kubernetes writes whole seconds.
    let since = |text: &str| text.parse::<Timestamp>().is_ok_and(|at| at.as_second() >= begun.as_second());
    if since(text(certificate, "/status/notBefore")) {
        return Found::Done(format!(
            "it was issued anew and ends at {}",
            text(certificate, "/status/notAfter")
        ));
    }
    let conditions = certificate.pointer("/status/conditions").and_then(Value::as_array);
    let issuing = conditions.into_iter().flatten().find(|one| text(one, "/type") == "Issuing");
    match issuing.filter(|issuing| since(text(issuing, "/lastTransitionTime"))) {
        Some(issuing) if text(issuing, "/status") == "True" => {
            Found::Unknown("a new one is still being issued".to_owned())
        }
        Some(issuing) => Found::NotDone(text(issuing, "/message").to_owned()),
        None => Found::NotDone("nothing was issued since".to_owned()),
    }
}

fn gone(what: &str, target: &Target, document: Option<&Value>) -> Found {
    match document {
        None => Found::Done(format!("the {what} is gone")),
        Some(other) if text(other, "/metadata/uid") != &*target.uid => {
            Found::Done(format!("the {what} is gone, and another has its name"))
        }
        Some(same) => match text(same, "/metadata/deletionTimestamp") {
            "" => Found::NotDone(format!("the {what} is still there")),
            at => Found::Done(format!("the {what} is being deleted, by {at} at the latest")),
        },
    }
}

/// A pod whose deletion is forced was being deleted before: that it still is proves nothing.
fn forced(target: &Target, document: Option<&Value>) -> Found {
    let same = document.filter(|document| text(document, "/metadata/uid") == &*target.uid);
    let Some(same) = same else { return gone("pod", target, document) };
    // The API server notes the grace that it was told; nought is what a forced deletion says.
    match same.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64) {
        Some(0) => Found::Unknown("it is being deleted without grace, and something holds it".to_owned()),
        _ => Found::NotDone("the pod is still there, being deleted as before".to_owned()),
    }
}

/// The annotation is that of the action where it says the second in which it was begun.
fn restart(begun: Timestamp, document: &Value) -> Found {
    let at = text(document, RESTARTED);
    match at.parse::<Timestamp>() {
        Ok(restarted) if restarted.as_second() == begun.as_second() => {
            Found::Done(format!("its pod template says that it was restarted at {at}"))
        }
        Ok(restarted) if restarted > begun => Found::Unknown(format!("it was restarted again at {at}")),
        Ok(_) => Found::NotDone(format!("its pod template says that it was restarted at {at}, before this")),
        Err(_) => Found::NotDone("its pod template says nothing of a restart".to_owned()),
    }
}

fn refresh(begun: Timestamp, app: App<'_>) -> Found {
    if app.annotation(REFRESH).is_some() {
        return Found::Later;
    }
    let at = text(app.0, "/status/reconciledAt");
    match at.parse::<Timestamp>() {
        Ok(compared) if compared >= begun => Found::Done(format!("it was compared at {at}")),
        Ok(_) => Found::NotDone(format!("it was compared last at {at}, before this")),
        Err(_) => Found::Unknown("when it was compared is not said".to_owned()),
    }
}

/// An operation carries the id of the action that began it.
fn operation(id: &str, begun: Timestamp, app: App<'_>) -> Found {
    let held = match app.hold() {
        Some(hold) if hold.action == id => "; auto-sync is still held by it",
        _ => "",
    };
    if app.picked_up(id) {
        let (message, at) = (app.operation_message(), text(app.0, "/status/operationState/finishedAt"));
        return match app.phase() {
            "Succeeded" => Found::Done(format!("its operation succeeded at {at}: {message}{held}")),
            "Failed" | "Error" => Found::NotDone(format!(
                "its operation {} at {at}: {message}{held}",
                app.phase().to_lowercase()
            )),
            _ => Found::Later,
        };
    }
    if app.action() == Some(id) {
        return Found::Later;
    }
    let started = text(app.0, "/status/operationState/startedAt");
    match started.parse::<Timestamp>() {
        Ok(at) if at >= begun => Found::Unknown(format!("another operation was begun at {started}{held}")),
        _ if app.requested() => Found::Unknown(format!("another operation is requested{held}")),
        Ok(_) => Found::NotDone(format!("the last operation was begun at {started}, before this{held}")),
        Err(_) => Found::NotDone(format!("there was no operation{held}")),
    }
}

fn terminate(begun: Timestamp, app: App<'_>) -> Found {
    let finished = text(app.0, "/status/operationState/finishedAt");
    match app.phase() {
        "Terminating" => Found::Later,
        "Running" => match text(app.0, "/status/operationState/startedAt").parse::<Timestamp>() {
            Ok(started) if started < begun => Found::NotDone("the operation is still running".to_owned()),
            _ => Found::Unknown("another operation is running now".to_owned()),
        },
        phase if app.operation_message().contains("terminated") => {
            Found::Done(format!("the operation {} at {finished}: terminated", phase.to_lowercase()))
        }
        "" => Found::Unknown("no operation is known".to_owned()),
        phase => Found::Unknown(format!("the operation has ended by itself ({phase} at {finished})")),
    }
}

/// Says how far the chain of a rotation has come.
async fn rotation<R: Remote>(
    desk: &Desk<R>,
    verb: &str,
    record: &Record,
    target: &Target,
    document: Option<&Value>,
) -> Found {
    let Some(document) = document else {
        return Found::Unknown("the object does not exist any more".to_owned());
    };
    if text(document, "/metadata/uid") != &*target.uid {
        return Found::Unknown("another object has its name now".to_owned());
    }
    match Box::pin(rotate::became(desk, (verb, &record.id, record.at), &target.object, document)).await {
        Became::Done(how) => Found::Done(how),
        Became::Stopped(where_it_is) => Found::Stopped(where_it_is),
        Became::NotBegun(why) => Found::NotDone(why),
        Became::Open => Found::Later,
    }
}

/// Looks for the commit that says the action's id, in the branches that the Application reads.
async fn pushed<R: Remote>(desk: &Desk<R>, id: &str, intent: &Intent, document: Option<&Value>) -> Found {
    let Some(places) = document.and_then(|document| places(App(document)).ok()) else {
        return Found::Unknown("the Application does not say its repository any more".to_owned());
    };
    let mut branches = Vec::new();
    for place in places {
        let opened = async {
            let tip = desk.git.tip(&place.url, &place.tracked).await?;
            desk.git.open(&place.url, tip).await
        };
        let Ok(clone) = opened.await else { return Found::Later };
        if let Some(commit) = clone.find(&format!("{TRAILER}: {id}")).await {
            let short = commit.get(..7).unwrap_or(&commit);
            return Found::Done(format!("commit {short} is in branch {}", clone.tip.branch));
        }
        branches.push(clone.tip.branch);
    }
    let nowhere = format!("no commit of it is in {}", branches.join(", "));
    let review = intent.options.get("review").and_then(Value::as_bool).unwrap_or(false);
    if review || desk.git.settings.push == Push::Review {
        return Found::Unknown(format!("{nowhere}; a branch for review (opsdeck/...) may have it"));
    }
    Found::NotDone(nowhere)
}

/// Looks for the silence that would have been made, by its author and comment.
async fn silence<R: Remote>(desk: &Desk<R>, begun: Timestamp, intent: &Intent) -> Found {
    let Ok(all) = desk.remote.list(&alerts::silences(), None, "", "").await else { return Found::Later };
    let ours = all.iter().find(|silence| {
        text(silence, "/createdBy") == intent.who.server
            && text(silence, "/comment") == intent.reason.trim()
            // The server may put the start a moment later; nobody writes the same twice in a minute.
            && text(silence, "/startsAt").parse::<Timestamp>().is_ok_and(|starts| {
                (starts.as_second() - begun.as_second()).abs() <= 60
            })
    });
    match ours {
        Some(silence) => Found::Done(format!(
            "silence {} exists, until {}",
            text(silence, "/id"),
            text(silence, "/endsAt")
        )),
        None => Found::NotDone("no silence with this author, comment and time exists".to_owned()),
    }
}
