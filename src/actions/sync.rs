//! Sync: bring an Application to a revision of Git, and follow the operation.

use serde_json::Value;

use super::application::{App, kind_name, list, short};
use super::autosync::listed;
use super::desk::{Desk, Remote};
use super::difference::since_applied;
use super::draft::{Check, Draft, text};
use super::operation::{self, Origin, begin_patch};
use super::refresh::word;
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Options, Outcome, Request, windows};
use crate::human;
use crate::identity::{ObjectRef, Resource};
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 4] =
    ["start the sync", "picked up by the controller", "applied", "synced and healthy"];

/// What a sync or a rollback relies on.
pub(super) const FACTS: [(&str, &str); 7] = [
    ("/spec", "its spec"),
    ("/operation", "the requested operation"),
    ("/status/operationState/phase", "the phase of its operation"),
    ("/status/operationState/startedAt", "the start of its operation"),
    ("/status/history", "its history"),
    ("/metadata/ownerReferences", "its owner"),
    ("/metadata/deletionTimestamp", "its deletion"),
];

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let app = App(document);
    let options = &request.options;
    let mut parts: Vec<_> = vec![to(desk, app, options).into()];
    if let Some(last) = app.history().last() {
        let id = last.id().unwrap_or_default();
        let text = format!("#{id}  {}", short(&last.revision()));
        parts.push(Line::new(Mark::From, text).into());
    }
    parts.extend(changes(app, options).into_iter().map(Into::into));
    parts.extend(obstacles(app).into_iter().map(Into::into));
    if app.multi_source() && options.revision.is_some() {
        let text = "it has several sources: one revision cannot be asked for";
        parts.push(Line::new(Mark::Stop, text).into());
    }
    if let Some(revision) = &options.revision
        && app.auto_sync()
        && !options.dry_run
        && *revision != app.tracked()
    {
        // argocd-server refuses this; a client that writes the Application itself must, too.
        let text = format!(
            "auto-sync is on and tracks {}: another revision ({revision}) cannot be synced, hold auto-sync first",
            app.tracked()
        );
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let whole = Check::new("what differs?", async move { differences(desk, object, app).await });
    parts.push(whole.into());
    let windows = Check::new("is a sync window closed?", windows::lines(desk, object, document));
    parts.push(windows.into());
    let minutes = desk.pace.limit.as_secs() / 60;
    let after = if options.dry_run {
        format!("watched for {minutes} min: the dry run succeeds")
    } else if options.resources.is_empty() {
        format!("watched for {minutes} min: the operation succeeds, synced, healthy")
    } else {
        format!("watched for {minutes} min: the operation succeeds for what is selected")
    };
    parts.push(Line::new(Mark::After, after).into());
    Draft { parts, facts: FACTS.to_vec(), command: command(app, options), hold: None }
}

fn to<R>(desk: &Desk<R>, app: App<'_>, options: &Options) -> Line {
    if let Some(revision) = &options.revision {
        return Line::new(Mark::To, short(revision));
    }
    let compared = match text(app.0, "/status/reconciledAt").parse() {
        Ok(at) => format!(", compared {} ago", human::age(desk.clock.now(), at)),
        Err(_) => String::new(),
    };
    let seen = match app.revision().as_str() {
        "" => String::new(),
        revision => format!(" ({}{compared})", short(revision)),
    };
    Line::new(Mark::To, format!("the newest of {}{seen}", app.tracked()))
}

fn changes(app: App<'_>, options: &Options) -> Vec<Line> {
    let mut lines = Vec::new();
    let selected: Vec<String> =
        options.resources.iter().map(|resource| format!("{}/{}", resource.kind, resource.name)).collect();
    let differing = app.out_of_sync();
    if options.dry_run {
        let text = "nothing is applied: the controller only pretends; the dry run takes the place of the last operation on the display";
        lines.push(Line::new(Mark::Note, text));
    }
    if !selected.is_empty() {
        lines.push(Line::new(Mark::Change, format!("only {}", listed(&selected))));
        let text = "a selective sync runs no hooks and leaves no history entry";
        lines.push(Line::new(Mark::Note, text));
    } else if differing.is_empty() {
        lines.push(Line::new(Mark::Change, "nothing differs as far as was compared"));
    } else {
        lines.push(Line::new(Mark::Change, listed(&differing)));
    }
    let prunable = app.prunable();
    match (options.prune, prunable.is_empty()) {
        (true, false) => {
            lines.push(Line::new(
                Mark::Warn,
                format!("deleted, because no longer in Git: {}", listed(&prunable)),
            ));
        }
        (true, true) => lines.push(Line::new(Mark::Note, "prune is on; nothing to delete is known")),
        (false, false) => {
            let text = format!("no longer in Git, and stays because prune is off: {}", listed(&prunable));
            lines.push(Line::new(Mark::Note, text));
        }
        (false, true) => {}
    }
    if options.force {
        let text = "force: what cannot be patched is deleted and created again, with an interruption";
        lines.push(Line::new(Mark::Warn, text));
    }
    if options.apply_only && selected.is_empty() {
        let hooks = app.hooks();
        let which = if hooks.is_empty() { "none is known".to_owned() } else { listed(&hooks) };
        lines.push(Line::new(Mark::Note, format!("apply only: hooks do not run ({which})")));
    }
    lines
}

/// How many resources are read to compare them.
const COMPARED: usize = 40;

/// Says where each resource that is out of sync differs from what was applied to it last. What a newer revision
/// brings is not known without Argo CD's own server, and said to be so.
async fn differences<R: Remote>(desk: &Desk<R>, object: &ObjectRef, app: App<'_>) -> Vec<Line> {
    let differing: Vec<&Value> =
        app.resources().iter().filter(|resource| text(resource, "/status") == "OutOfSync").collect();
    if differing.is_empty() || !app.in_cluster() {
        return Vec::new();
    }
    let looks = differing.iter().take(COMPARED).map(|resource| async move {
        let name = kind_name(resource);
        if text(resource, "/kind") == "Secret" {
            return vec![detail(&format!("{name}: not looked into"))];
        }
        let Some(kind) = plural(text(resource, "/kind")) else {
            return vec![detail(&format!("{name}: not compared here"))];
        };
        let namespace = text(resource, "/namespace");
        let at = ObjectRef {
            context: object.context.clone(),
            resource: Resource::new(text(resource, "/group"), kind),
            namespace: (!namespace.is_empty()).then(|| namespace.into()),
            name: text(resource, "/name").into(),
        };
        match desk.remote.look(&at).await {
            Ok(None) => vec![detail(&format!("{name} is created"))],
            Err(error) => vec![detail(&format!("{name}: {error}"))],
            Ok(Some(live)) => match since_applied(&live) {
                None => vec![detail(&format!("{name}: nothing remembers what was applied last"))],
                Some(said) if said.is_empty() => {
                    vec![detail(&format!("{name}: as it was applied last; the revision brings what differs"))]
                }
                Some(said) => {
                    let heading = detail(&format!("{name}, against what was applied last"));
                    let below = said
                        .iter()
                        .map(|text| Line { text: format!("  {}", detail(text).text), mark: Mark::Detail });
                    std::iter::once(heading).chain(below).collect()
                }
            },
        }
    });
    let mut lines = futures::future::join_all(looks).await.concat();
    if differing.len() > COMPARED {
        lines.push(detail(&format!("and {} more", differing.len() - COMPARED)));
    }
    lines
        .push(detail("what a newer revision changes besides is not known here: Argo CD's server renders it"));
    lines
}

fn detail(text: &str) -> Line {
    Line::new(Mark::Detail, text)
}

/// Returns the plural of a kind that Applications often hold.
fn plural(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "ConfigMap" => "configmaps",
        "CronJob" => "cronjobs",
        "DaemonSet" => "daemonsets",
        "Deployment" => "deployments",
        "HorizontalPodAutoscaler" => "horizontalpodautoscalers",
        "Ingress" => "ingresses",
        "Job" => "jobs",
        "NetworkPolicy" => "networkpolicies",
        "PodDisruptionBudget" => "poddisruptionbudgets",
        "ResourceQuota" => "resourcequotas",
        "Service" => "services",
        "ServiceAccount" => "serviceaccounts",
        "StatefulSet" => "statefulsets",
        _ => return None,
    })
}

/// Says what stands in the way of any operation on an Application.
pub(super) fn obstacles(app: App<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    match app.busy() {
        Some(busy) => {
            let text = format!(
                "an operation is {}: wait for it, or terminate it first (opsdeck terminate {})",
                busy.text,
                app.name()
            );
            lines.push(Line::new(Mark::Stop, text));
        }
        None => lines.push(Line::new(Mark::Ok, "no operation is running")),
    }
    if let Some(since) = app.deleting() {
        lines.push(Line::new(Mark::Stop, format!("the Application is being deleted since {since}")));
    }
    let skip = "argocd.argoproj.io/skip-reconcile";
    if app.annotation(skip) == Some("true") {
        let text = format!("{skip} is set: the controller ignores this Application");
        lines.push(Line::new(Mark::Stop, text));
    }
    for condition in list(app.0, "/status/conditions") {
        let kind = text(condition, "/type");
        if kind.ends_with("Error") {
            let text = format!("{kind}: {}", text(condition, "/message"));
            lines.push(Line::new(Mark::Warn, text));
        }
    }
    lines
}

fn command(app: App<'_>, options: &Options) -> String {
    let mut command = format!("argocd app sync {}", app.name());
    if let Some(revision) = &options.revision {
        command.push_str(&format_args!(" --revision {revision}").to_string());
    }
    for (flag, on) in [
        (" --prune", options.prune),
        (" --dry-run", options.dry_run),
        (" --force", options.force),
        (" --strategy apply", options.apply_only),
    ] {
        if on {
            command.push_str(flag);
        }
    }
    for resource in &options.resources {
        let place = if resource.namespace.is_empty() {
            resource.name.clone()
        } else {
            format!("{}/{}", resource.namespace, resource.name)
        };
        command.push_str(" --resource ");
        command.push_str(&[&resource.group, &resource.kind, &place].map(String::as_str).join(":"));
    }
    command
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let plan = work.plan;
    let who = work.who;
    let action = work.id().to_owned();
    let stored = work
        .write(
            |object| {
                let app = App(object);
                if let Some(busy) = app.busy() {
                    return Err(format!("an operation is {}", busy.text));
                }
                let origin = Origin {
                    username: &who.server,
                    local: &who.local,
                    reason: &plan.request.reason,
                    action: &action,
                };
                let operation = operation::sync(app, &plan.request.options, origin);
                Ok(begin_patch(app.version(), &operation))
            },
            |object| App(object).action() == Some(&action),
        )
        .await?;
    work.done(0, "");
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    if let Err(outcome) = operation_end(work, 1, 2).await {
        return outcome;
    }
    let options = &work.plan.request.options;
    if options.dry_run || !options.resources.is_empty() {
        let what = if options.dry_run { "the dry run succeeded" } else { "what was selected is synced" };
        work.skipped(3, "not asked for");
        return Outcome::Verified(format!("{what}, in {}", work.taken()));
    }
    // Another revision than the tracked one leaves it out of sync, as it should.
    let expects_synced = options.revision.is_none();
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let app = App(&document);
                let said = format!("{}, {}", word(app.sync_status()), word(app.health()));
                let synced = !expects_synced || app.sync_status() == "Synced";
                if synced && app.health() == "Healthy" {
                    work.done(3, said.clone());
                    let revision = text(&document, "/status/operationState/syncResult/revision").to_owned();
                    return Outcome::Verified(format!("{said} at {}, in {}", short(&revision), work.taken()));
                }
                work.running(3, said);
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(3, error),
        }
        work.pause().await;
    }
}

/// Follows the action's operation until it has succeeded; the outcome says how it failed.
pub(super) async fn operation_end<R: Remote>(
    work: &mut Work<'_, R>,
    picked_up: usize,
    applied: usize,
) -> Result<Value, Outcome> {
    let action = work.id().to_owned();
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let app = App(&document);
                if app.picked_up(&action) {
                    work.done(picked_up, "");
                    match app.phase() {
                        "Succeeded" => {
                            work.done(applied, app.operation_message());
                            return Ok(document);
                        }
                        "Failed" | "Error" => return Err(Outcome::Failed(failure(app))),
                        phase => {
                            let message = app.operation_message();
                            // With retries left a failed attempt stays Running and has an end.
                            let finished = !text(&document, "/status/operationState/finishedAt").is_empty();
                            let phase = if finished { "failed, and is tried again" } else { phase };
                            work.running(applied, format!("{} {message}", phase.to_lowercase()));
                        }
                    }
                } else if app.requested() && app.action() == Some(&action) {
                    work.running(picked_up, "the controller has not picked it up yet");
                } else {
                    return Err(Outcome::Failed(
                        "the operation is gone: another one took its place, or somebody took it back. Look at the Application before you try again".to_owned(),
                    ));
                }
            }
            Ok(None) => {
                return Err(Outcome::Failed(format!("{} does not exist any more", work.object)));
            }
            Err(error) => work.running(picked_up, error),
        }
        work.pause().await;
    }
}

/// Says why an operation failed, with the resources that failed.
fn failure(app: App<'_>) -> String {
    let failed: Vec<String> = list(app.0, "/status/operationState/syncResult/resources")
        .iter()
        .filter(|resource| {
            text(resource, "/status") == "SyncFailed"
                || matches!(text(resource, "/hookPhase"), "Failed" | "Error")
        })
        .map(|resource| format!("{}: {}", kind_name(resource), text(resource, "/message")))
        .collect();
    let of = if failed.is_empty() { String::new() } else { format!(" ({})", listed(&failed)) };
    format!("the operation ended as {}: {}{of}", app.phase(), app.operation_message())
}
