//! Roll an Application back to an entry of its history, with every trap said beforehand.
//!
//! The order is: hold auto-sync (an Argo CD rollback is refused while it is on), begin the operation with the
//! sources of the entry, follow it until the asked revision is applied, its pods are ready and the Application
//! is healthy. Where the operation cannot begin, auto-sync is given back.

use serde_json::Value;

use super::application::{App, Entry, list, short};
use super::autosync::{give_back, hold, hold_line, listed};
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, Part, text};
use super::operation::{self, Origin, begin_patch};
use super::refresh::word;
use super::rollout::{Rollout, judge};
use super::sync::{FACTS, obstacles, operation_end};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, images, owners, undo, verdict, windows};
use crate::human;
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 7] = [
    "hold auto-sync",
    "start the rollback",
    "picked up by the controller",
    "applied",
    "pods of the revision ready",
    "healthy",
    "error rate and alerts",
];

/// How many looks lie between two questions of what users see: numbers are scraped every 15 to 30 seconds.
const BETWEEN: u32 = 5;

/// Argo CD's limit where the spec names none.
const HISTORY_LIMIT: i64 = 10;

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let app = App(document);
    let id = chosen(request, app);
    let mut parts = Vec::new();
    match id.and_then(|id| app.entry(id)) {
        Some(entry) => parts.extend(of_entry(desk, request, object, app, entry)),
        None => parts.push(Line::new(Mark::Stop, no_entry(app, id)).into()),
    }
    parts.extend(obstacles(app).into_iter().map(Part::from));
    if app.auto_sync() {
        parts.push(hold_line(app, request.options.hold_minutes).into());
        let fate = Check::new("who would revert the hold?", owners::fate(desk, object, document));
        parts.push(fate.into());
    } else {
        let text = match app.hold() {
            Some(hold) => format!("auto-sync is held already, by {} since {}", hold.by, hold.at),
            None => "auto-sync is off: there is nothing to hold".to_owned(),
        };
        parts.push(Line::new(Mark::Ok, text).into());
    }
    parts.push(hooks(app).into());
    let windows = Check::new("is a sync window closed?", windows::lines(desk, object, document));
    parts.push(windows.into());
    parts.extend(pitfalls(app).into_iter().map(Part::from));
    if !desk.git.settings.off {
        let text = "the other way: revert in Git (revert), which lasts and is reviewed like any change; auto-sync stays on and deploys it";
        parts.push(Line::new(Mark::Note, text).into());
    }
    let minutes = desk.pace.limit.as_secs() / 60;
    let to = id.and_then(|id| app.entry(id)).map(|entry| short(&entry.revision()));
    let text = format!(
        "watched for {minutes} min: {} applied, its pods ready, healthy, errors and alerts against now",
        to.as_deref().unwrap_or("the entry")
    );
    parts.push(Line::new(Mark::After, text).into());
    let prune = if request.options.prune { " --prune" } else { "" };
    let hold = app.auto_sync().then(|| app.automated().cloned().map(Value::Object)).flatten();
    Draft {
        parts,
        facts: FACTS.to_vec(),
        command: format!(
            "argocd app rollback {} {}{prune}",
            app.name(),
            id.map_or_else(|| "ID".to_owned(), |id| id.to_string())
        ),
        hold,
    }
}

/// Returns the id of the entry that is gone back to: the one that was chosen, or where several Applications go together,
/// of each the one before its present, or the one that it came from.
fn chosen(request: &Request, app: App<'_>) -> Option<i64> {
    match (request.targets.len(), &request.options.undoes) {
        (0 | 1, _) => request.options.history_id,
        (_, Some(_)) => undo::forward(app),
        (_, None) => app.before_the_present(),
    }
}

/// Says what is there to choose from.
fn no_entry(app: App<'_>, id: Option<i64>) -> String {
    let mut ids: Vec<String> = app
        .history()
        .iter()
        .filter_map(|entry| Some(format!("#{} {}", entry.id()?, short(&entry.revision()))))
        .collect();
    ids.reverse();
    let there =
        if ids.is_empty() { "it has no history".to_owned() } else { format!("there are {}", ids.join(", ")) };
    match id {
        None => format!("no history entry was chosen; {there}"),
        Some(id) => {
            let limit = app.0.pointer("/spec/revisionHistoryLimit").and_then(Value::as_i64);
            let limit = limit.unwrap_or(HISTORY_LIMIT);
            format!("history entry #{id} does not exist (the {limit} newest are kept); {there}")
        }
    }
}

fn of_entry<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &Request,
    object: &'a ObjectRef,
    app: App<'a>,
    entry: Entry<'a>,
) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let now = desk.clock.now();
    let pending = format!("{}; reading images", summary(entry, now, ""));
    let prune = request.options.prune;
    let changes = Check::new(pending, async move { images::lines(desk, object, app, entry, prune).await });
    parts.push(changes.into());
    if entry.sources().is_empty() {
        let text = "the entry does not say its source: it cannot be rolled back to";
        parts.push(Line::new(Mark::Stop, text).into());
    }
    if app.history().last().and_then(|last| last.id()) == entry.id() {
        let text = "this is the newest entry: what it deployed is applied once more";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    if entry.multi_source() {
        let text =
            format!("{} sources go back together, each to its revision of then", entry.sources().len());
        parts.push(Line::new(Mark::Note, text).into());
    }
    if entry.multi_source() != app.multi_source() {
        let text = "the Application had another number of sources then";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    for line in source_changes(app, entry) {
        parts.push(line.into());
    }
    let prune = if request.options.prune {
        Line::new(Mark::Warn, "prune is on: what the entry does not have is deleted")
    } else {
        Line::new(Mark::Note, "prune is off: what was added since stays, as no longer in Git")
    };
    parts.push(prune.into());
    parts
}

/// Writes `#41  1.7.4  9ad01be  deployed 2h ago by ci-bot`.
pub(super) fn summary(entry: Entry<'_>, now: jiff::Timestamp, images: &str) -> String {
    let mut words = vec![format!("#{}", entry.id().unwrap_or_default())];
    if !images.is_empty() {
        words.push(images.to_owned());
    }
    words.push(short(&entry.revision()));
    if let Some(at) = entry.deployed_at() {
        let by = if entry.by().is_empty() { String::new() } else { format!(" by {}", entry.by()) };
        words.push(format!("deployed {} ago{by}", human::age(now, at)));
    }
    words.join("  ")
}

/// Names the settings of the source that differ; their values may be private and stay unsaid.
fn source_changes(app: App<'_>, entry: Entry<'_>) -> Vec<Line> {
    let (now, then) = (app.sources(), entry.sources());
    let mut lines = Vec::new();
    let several = then.len() > 1;
    for (at, (now, then)) in now.iter().zip(&then).enumerate() {
        let keys = now.as_object().into_iter().chain(then.as_object()).flatten();
        let mut differing: Vec<&str> = keys
            .map(|(key, _)| key.as_str())
            // The revision is what a rollback is about, and is said already.
            .filter(|key| *key != "targetRevision" && now.get(*key) != then.get(*key))
            .collect();
        differing.sort_unstable();
        differing.dedup();
        if !differing.is_empty() {
            let which = if several { format!(" {}", at + 1) } else { String::new() };
            let text = format!("source{which} goes back to what it was in: {}", differing.join(", "));
            lines.push(Line::new(Mark::Change, text));
        }
    }
    lines
}

fn hooks(app: App<'_>) -> Line {
    let hooks = app.hooks();
    let text = if hooks.is_empty() {
        "hooks do not run on a rollback; none is known".to_owned()
    } else {
        let verb = if hooks.len() == 1 { "is" } else { "are" };
        format!("hooks do not run on a rollback: {} {verb} skipped", listed(&hooks))
    };
    Line::new(Mark::Note, text)
}

/// Says what a rollback leaves behind, and what its history does not tell.
fn pitfalls(app: App<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let last = app.history().last().copied();
    let deployed = text(app.0, "/status/operationState/syncResult/revision");
    let selective = !list(app.0, "/status/operationState/operation/sync/resources").is_empty();
    if let Some(last) = last {
        let newest = last.revision();
        if selective {
            let text = "the last operation synced a selection only and left no entry: what runs may differ from the newest entry";
            lines.push(Line::new(Mark::Warn, text));
        } else if !deployed.is_empty()
            && !newest.is_empty()
            && deployed != newest
            && app.phase() == "Succeeded"
        {
            let text = format!(
                "the last operation was at {} and left no entry: what runs may differ from the newest entry",
                short(deployed)
            );
            lines.push(Line::new(Mark::Warn, text));
        }
        let repository = last.sources().first().map_or("", |source| text(source, "/repoURL"));
        let text = format!(
            "the spec stays: the app shows OutOfSync until Git goes back too; revert {} in {repository}, or the next sync brings it again",
            short(&newest)
        );
        lines.push(Line::new(Mark::Note, text));
    }
    if !app.in_cluster() {
        let text = "its pods run in another cluster: they are judged by Argo CD's health alone";
        lines.push(Line::new(Mark::Note, text));
    }
    lines
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    let held = if work.plan.holds.iter().any(|held| held.object == *work.object) {
        Some(hold(work, 0).await?.1)
    } else {
        work.skipped(0, "auto-sync is off already");
        None
    };
    work.running(1, "");
    let plan = work.plan;
    let who = work.who;
    let action = work.id().to_owned();
    let begun = work
        .write(
            |object| {
                let app = App(object);
                if let Some(busy) = app.busy() {
                    return Err(format!("an operation is {}", busy.text));
                }
                if app.auto_sync() {
                    return Err("auto-sync is on again: somebody reverted the hold".to_owned());
                }
                let options = &plan.request.options;
                let id = chosen(&plan.request, app);
                let entry = id.and_then(|id| app.entry(id)).ok_or_else(|| no_entry(app, id))?;
                let origin = Origin {
                    username: &who.server,
                    local: &who.local,
                    reason: &plan.request.reason,
                    action: &action,
                };
                let operation = operation::rollback(app, entry, options.prune, origin);
                Ok(begin_patch(app.version(), &operation))
            },
            |object| App(object).action() == Some(&action),
        )
        .await;
    match (begun, held) {
        (Ok(stored), _) => {
            work.done(1, "");
            Ok(stored)
        }
        (Err(trouble), None) => Err(trouble),
        (Err(Trouble::Refused(why) | Trouble::Failed(why)), Some(was)) => {
            let back = match give_back(work, &was).await {
                Ok(_) => "auto-sync was given back as it was".to_owned(),
                Err(Trouble::Refused(error) | Trouble::Failed(error)) => {
                    format!("auto-sync is still held, give it back yourself ({error})")
                }
            };
            Err(Trouble::Failed(format!("the rollback was not begun: {why}; {back}")))
        }
    }
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    let before = match work.look().await {
        Ok(Some(document)) => verdict::look(work.desk, App(&document)).await,
        _ => verdict::Seen::default(),
    };
    let document = match operation_end(work, 2, 3).await {
        Ok(document) => document,
        Err(Outcome::Failed(detail)) => return Outcome::Failed(format!("{detail}. {}", after_failure(work))),
        Err(outcome) => return outcome,
    };
    let app = App(&document);
    let asked = asked_revision(work, app);
    let applied = match app.0.pointer("/status/operationState/syncResult") {
        Some(result) => Entry(result).revision(),
        None => String::new(),
    };
    if let Some(asked) = asked.as_deref().filter(|asked| *asked != applied) {
        return Outcome::Failed(format!(
            "the operation succeeded at {} and not at {}. {}",
            short(&applied),
            short(asked),
            after_failure(work)
        ));
    }
    work.done(3, format!("{} applied", short(&applied)));
    let next = after_failure(work);
    if let Err(outcome) = pods(work, app, 4, &next).await {
        return outcome;
    }
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let app = App(&document);
                if app.auto_sync() {
                    return Outcome::Failed(format!(
                        "auto-sync is on again: somebody reverted the hold, and the newest revision comes back. {}",
                        after_failure(work)
                    ));
                }
                if app.health() == "Healthy" {
                    work.done(5, "Healthy");
                    let users = users(work, app, &before, 6).await;
                    let lasting = if app.sync_status() == "OutOfSync" && !work.desk.git.settings.off {
                        "; Git still wants the other: revert it in Git, too (opsdeck revert), before auto-sync is given back"
                    } else {
                        ""
                    };
                    return Outcome::Verified(format!(
                        "{} is applied, its pods are ready, healthy{users}, in {}{lasting}",
                        short(&applied),
                        work.taken()
                    ));
                }
                work.running(5, word(app.health()));
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(5, error),
        }
        work.pause().await;
    }
}

/// Looks at what users see until it is better than before where it was bad, no worse where it was good, and no alert of
/// its workloads began since; says it.
///
/// The share of failed requests is one of the last minute, so that right after new pods are ready it still tells of
/// the old ones. Where it does not fall, the limit of the action ends the wait and says what was seen last. What was bad
/// once is not good because nobody answers any more.
pub(super) async fn users<R: Remote>(
    work: &mut Work<'_, R>,
    app: App<'_>,
    before: &verdict::Seen,
    step: usize,
) -> String {
    work.running(step, "");
    let (mut errors, mut alerts, mut said) = (None, Vec::new(), String::new());
    loop {
        let seen = verdict::look(work.desk, app).await;
        let verdict = verdict::compare(before, &seen);
        if seen.tells_errors() {
            errors = verdict.trouble;
        }
        if seen.tells_alerts() {
            alerts = verdict::began(work.desk, app, work.object, &seen, work.begun()).await;
        }
        if !verdict.said.is_empty() {
            said = verdict.said;
        }
        if errors.is_none() && alerts.is_empty() {
            if said.is_empty() {
                work.skipped(step, "neither Prometheus nor Alertmanager says anything of it");
                return String::new();
            }
            work.done(step, said.clone());
            return format!("; {said}");
        }
        let mut why: Vec<String> = errors.map(str::to_owned).into_iter().collect();
        if !alerts.is_empty() {
            why.push(format!("not good, an alert began after it: {}", alerts.join(", ")));
        }
        work.running(step, format!("{} ({said})", why.join(", and ")));
        for _ in 0..BETWEEN {
            work.pause().await;
        }
    }
}

/// The revision that was asked for, from the operation itself: the entry may have left the history since.
fn asked_revision<R: Remote>(work: &Work<'_, R>, app: App<'_>) -> Option<String> {
    let sync = app.0.pointer("/status/operationState/operation/sync");
    sync.map(|sync| Entry(sync).revision())
        .filter(|revision| !revision.is_empty())
        .or_else(|| app.entry(chosen(&work.plan.request, app)?).map(Entry::revision))
}

/// Waits until every workload has rolled out; skipped where the pods lie in another cluster.
pub(super) async fn pods<R: Remote>(
    work: &mut Work<'_, R>,
    app: App<'_>,
    step: usize,
    next: &str,
) -> Result<(), Outcome> {
    if !app.in_cluster() {
        work.skipped(step, "in another cluster");
        return Ok(());
    }
    let mut workloads = app.workloads(work.object);
    let total = workloads.len();
    work.running(step, "");
    while let Some(workload) = workloads.last().cloned() {
        match work.desk.remote.look(&workload).await {
            Ok(Some(document)) => match judge(&workload.resource.plural, &document) {
                Rollout::Done(_) => {
                    workloads.pop();
                    continue;
                }
                Rollout::Going(how) => work.running(step, format!("{}: {how}", workload.name)),
                Rollout::Stuck(why) => {
                    return Err(Outcome::Failed(format!(
                        "{} does not roll out: {why}. {next}",
                        workload.name
                    )));
                }
            },
            // What the revision does not have is not waited for.
            Ok(None) => {
                workloads.pop();
                continue;
            }
            Err(error) => work.running(step, error),
        }
        work.pause().await;
    }
    work.done(step, format!("{total} rolled out"));
    Ok(())
}

/// Says what to do next.
fn after_failure<R: Remote>(work: &Work<'_, R>) -> String {
    let held = work.plan.holds.iter().any(|held| held.object == *work.object);
    let held = if held { "auto-sync is still held; " } else { "" };
    format!(
        "{held}look at the pods' events and logs, choose another entry, or give auto-sync back to go forward ({})",
        kind_of(work.object)
    )
}

fn kind_of(object: &ObjectRef) -> String {
    format!("opsdeck autosync on {}", object.name)
}
