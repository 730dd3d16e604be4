//! Undo: takes back what an entry of the record did, as a change of its own, planned, gated and recorded.
//!
//! # What a record needs so that it can be undone
//!
//! Nothing, for a verb that writes through [`Work::write`] or [`Work::write_to`]: the fields of its patch are
//! recorded with their values before and after ([`crate::audit::Ending::changes`]), and an undo puts each field back
//! where it still has the value that the action left. A verb that writes in another way names in its plan what it
//! will change ([`super::draft::Part::Value`]), or calls [`Work::changed`] after its write; and [`Work::made`] for
//! what it made. A verb whose fields mean nothing once they are put back
//! (a restart, a refresh) is named in [`REFUSED`] with the reason; one that has a better way back than its fields
//! (a hold, a rollback, a silence) has a line in [`request`].
//!
//! Where the object was replaced, or a field has moved on since, the undo is refused and says so: it takes back what
//! was done, and never what somebody else did later.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::application::App;
use super::desk::Remote;
use super::draft::{Draft, text};
use super::rollout::{Rollout, judge as rolled};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Options, Outcome, Request, Verb, owners};
use crate::audit::{Changed, Ending, Event, Intent, Record, change};
use crate::identity::{ObjectRef, Target};
use crate::kinds::alerts;
use crate::signals::Matcher;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["put the fields back", "rolled out"];

/// Verbs that cannot be taken back, and why.
const REFUSED: [(&str, &str); 19] = [
    ("renew", "a certificate that was issued stays: nothing is to be put back"),
    ("delete", "what was deleted does not come back; where Argo CD manages it, a sync makes it anew"),
    ("force-delete", "a pod that was taken away does not come back; its owner has made another"),
    ("run-job", "what the job did is done: delete the job, or wait for its end"),
    ("refresh", "a comparison changes nothing that could be put back"),
    ("hard-refresh", "a comparison changes nothing that could be put back"),
    ("sync", "what was deployed before is in the history: roll back to it (opsdeck rollback NAME)"),
    ("terminate", "an operation that was ended does not go on: sync again"),
    ("delete-pod", "a pod that was deleted does not come back; its owner has made another"),
    ("delete-nodeclaim", "a machine that was given back does not come back; Karpenter has made another"),
    ("restart", "the pods were replaced by equal ones: there is nothing to go back to"),
    ("revert", "revert the commit that it pushed, in Git"),
    ("promote", "revert the commit that it pushed, in Git"),
    ("extend-silence", "expire the silence, or make one that ends earlier"),
    ("rotate", "bring the version before back by opsdeck rotate NAME --previous"),
    ("resume-rotation", "bring the version before back by opsdeck rotate NAME --previous"),
    ("restore-secret", "rotate it again: what a version opens is not the console's to know"),
    ("refresh-secret", "what was brought is what the provider has"),
    ("reveal", "what was seen was seen: rotate it where that was not meant"),
];

/// Outcomes after which nothing is left that could be put back.
const NOTHING_DONE: [&str; 2] = ["refused", "not-done"];

/// What an action takes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undoes {
    /// The id of the entry.
    pub entry: String,
    /// Its verb.
    pub verb: String,
    /// When it was begun.
    pub at: Timestamp,
    /// Who did it, as the API server knows them.
    pub by: String,
    /// The fields to put back; empty where another verb takes it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Changed>,
}

/// One action of the record: what was meant, and how it ended.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The record before it.
    pub before: &'a Record,
    /// What was meant.
    pub intent: &'a Intent,
    /// How it ended; `None` while it has no end.
    pub ending: Option<&'a Ending>,
}

/// Returns the actions of a record, oldest first.
pub fn entries(records: &[Record]) -> Vec<Entry<'_>> {
    let mut all: Vec<Entry<'_>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for record in records {
        match &record.event {
            Event::Before(intent) => {
                places.insert(record.id.as_str(), all.len());
                all.push(Entry { before: record, intent, ending: None });
            }
            Event::After(ending) => {
                let place = places.get(record.id.as_str());
                if let Some(entry) = place.and_then(|place| all.get_mut(*place)) {
                    entry.ending = Some(ending);
                }
            }
        }
    }
    all
}

/// Makes the request that takes an entry back, or says why there is none; the id may be cut short.
pub fn request(all: &[Entry<'_>], id: &str, now: Timestamp, reason: &str) -> Result<Request, String> {
    let fitting: Vec<&Entry<'_>> = match all.iter().find(|entry| entry.before.id == id) {
        Some(entry) => vec![entry],
        None => all.iter().filter(|entry| !id.is_empty() && entry.before.id.starts_with(id)).collect(),
    };
    let entry = match fitting.as_slice() {
        [one] => **one,
        [] => return Err(format!("the record has no entry {id}: opsdeck audit lists them")),
        several => return Err(format!("{id} begins the ids of {} entries: write more of it", several.len())),
    };
    let ending = done(entry)?;
    if let Some(other) = all.iter().find(|other| takes_back(other, &entry.before.id)) {
        return Err(match other.ending {
            Some(_) => {
                format!("it was undone at {} by {}", when(other.before.at), other.intent.who.server)
            }
            None => format!("it is being undone, since {}", when(other.before.at)),
        });
    }
    let (verb, targets, options) = way(entry, ending, now)?;
    let undoes = Undoes {
        entry: entry.before.id.clone(),
        verb: entry.intent.verb.clone(),
        at: entry.before.at,
        by: entry.intent.who.server.clone(),
        changes: options.undoes.map(|undoes| undoes.changes).unwrap_or_default(),
    };
    Ok(Request {
        verb,
        targets,
        options: Options { undoes: Some(Box::new(undoes)), ..options },
        reason: reason.to_owned(),
        tenant: entry.intent.tenant.clone(),
    })
}

/// Tells whether an entry can be undone, and if not, why: for a mark in a list.
pub fn can(all: &[Entry<'_>], id: &str, now: Timestamp) -> Result<(), String> {
    request(all, id, now, "").map(|_| ())
}

fn done(entry: Entry<'_>) -> Result<&Ending, String> {
    let Some(ending) = entry.ending else {
        return Err("it has no end yet: what is not known to be done is not undone".to_owned());
    };
    if NOTHING_DONE.contains(&ending.outcome.as_str()) {
        return Err(format!("nothing was changed ({}): there is nothing to undo", ending.outcome));
    }
    if let Some((_, why)) = REFUSED.iter().find(|(verb, _)| *verb == entry.intent.verb) {
        return Err(format!("{} cannot be undone: {why}", entry.intent.verb));
    }
    Ok(ending)
}

/// Tells whether an action takes that entry back, did so, or is at it.
fn takes_back(other: &Entry<'_>, id: &str) -> bool {
    let written = other.ending.is_none_or(|ending| {
        matches!(ending.outcome.as_str(), "verified" | "accepted" | "not-verified" | "done")
    });
    other.intent.undoes.as_deref() == Some(id) && written
}

/// Says by which verb, on what and how an entry is taken back.
fn way(entry: Entry<'_>, ending: &Ending, now: Timestamp) -> Result<(Verb, Vec<Target>, Options), String> {
    let intent = entry.intent;
    let applications = || {
        let all = intent.targets.iter();
        all.filter(|target| target.object.resource == super::application::applications()).cloned().collect()
    };
    match intent.verb.as_str() {
        "hold-autosync" => Ok((Verb::ReleaseAutosync, applications(), Options::default())),
        "release-autosync" => Ok((Verb::HoldAutosync, applications(), Options::default())),
        "rollback" => Ok((Verb::Rollback, applications(), Options::default())),
        "revert" | "promote" => {
            let pushed = ending.changes.iter().find(|change| change.field == "/git/commit");
            let tip = pushed.and_then(|change| change.before.as_str());
            let tip = tip.ok_or("the record does not say what it pushed: look at the branch")?;
            let options = Options { to_revision: Some(tip.to_owned()), ..Options::default() };
            Ok((Verb::Revert, applications(), options))
        }
        "rollout-undo" => {
            let was = intent.changes.iter().find_map(|change| change.before.as_i64());
            let was = was.ok_or("the record does not say which revision it was")?;
            let options = Options { rollout_revision: Some(was), ..Options::default() };
            Ok((Verb::RolloutUndo, intent.targets.clone(), options))
        }
        "set-image" => {
            let images = super::set_image::back(&intent.changes)?;
            Ok((Verb::SetImage, intent.targets.clone(), Options { images, ..Options::default() }))
        }
        "silence" if ending.made.is_empty() => {
            Err("the record does not say which silence it made: look at the silences".to_owned())
        }
        "silence" => {
            let target = |object: &ObjectRef| Target {
                object: object.clone(),
                // A silence is known by its id alone.
                uid: "".into(),
                resource_version: "".into(),
            };
            let targets = ending.made.iter().map(target).collect();
            Ok((Verb::ExpireSilence, targets, Options::default()))
        }
        "expire-silence" => silence_again(intent, ending, now),
        _ => fields(intent, ending),
    }
}

/// Makes a silence again that was expired, until the end that it had.
fn silence_again(
    intent: &Intent,
    ending: &Ending,
    now: Timestamp,
) -> Result<(Verb, Vec<Target>, Options), String> {
    let was = |pointer: &str| ending.changes.iter().find(|one| one.field == pointer).map(|one| &one.before);
    let end = was("/endsAt").and_then(Value::as_str).and_then(|end| end.parse::<Timestamp>().ok());
    let matchers: Vec<String> = was("/matchers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|one| {
            let flag = |key: &str, or: bool| one.get(key).and_then(Value::as_bool).unwrap_or(or);
            let word = |key: &str| text(one, key).into();
            Matcher {
                name: word("/name"),
                value: word("/value"),
                regex: flag("isRegex", false),
                equal: flag("isEqual", true),
            }
            .to_string()
        })
        .collect();
    let (Some(end), false) = (end, matchers.is_empty()) else {
        return Err("the record does not say what the silence was: make it again by hand".to_owned());
    };
    let seconds = end.as_second() - now.as_second();
    if seconds <= 0 {
        return Err(format!("the silence would have ended at {} anyway", when(end)));
    }
    let Some(first) = intent.targets.first().filter(|_| intent.targets.len() == 1) else {
        return Err("it expired several silences: make each again by itself".to_owned());
    };
    let object = ObjectRef { name: alerts::NEW.into(), ..first.object.clone() };
    let target = Target { object, uid: alerts::NEW.into(), resource_version: "".into() };
    // Up, so that the silence does not end before it did.
    let minutes = u32::try_from(seconds.saturating_add(59) / 60).unwrap_or(u32::MAX);
    let options = Options { matchers, minutes: Some(minutes), ..Options::default() };
    Ok((Verb::Silence, vec![target], options))
}

/// Puts the recorded fields back.
fn fields(intent: &Intent, ending: &Ending) -> Result<(Verb, Vec<Target>, Options), String> {
    let mut changes = if ending.changes.is_empty() { intent.changes.clone() } else { ending.changes.clone() };
    if changes.is_empty() && ending.outcome == "done" {
        changes = told_by_verb(intent);
    }
    if changes.is_empty() {
        return Err(format!("{} left no field that could be put back", intent.verb));
    }
    if let Some(held) = changes.iter().find(|change| change.withheld) {
        return Err(format!(
            "the values of {} are not in the record, because they may be secret or are long: put them back by hand",
            change::name(&held.field)
        ));
    }
    let touched = |target: &&Target| changes.iter().any(|change| change.object == target.object);
    let targets = intent.targets.iter().filter(touched).cloned().collect();
    let undoes = Undoes {
        entry: String::new(),
        verb: String::new(),
        at: Timestamp::UNIX_EPOCH,
        by: String::new(),
        changes,
    };
    Ok((Verb::Undo, targets, Options { undoes: Some(Box::new(undoes)), ..Options::default() }))
}

/// Returns what a verb of one field changed, where the action was cut off before it could record that.
fn told_by_verb(intent: &Intent) -> Vec<Changed> {
    let (pointer, before, after) = match intent.verb.as_str() {
        "cordon" => ("/spec/unschedulable", Value::Null, json!(true)),
        "uncordon" => ("/spec/unschedulable", json!(true), Value::Null),
        "protect" => ("/metadata/annotations/karpenter.sh~1do-not-disrupt", Value::Null, json!("true")),
        "unprotect" => ("/metadata/annotations/karpenter.sh~1do-not-disrupt", json!("true"), Value::Null),
        _ => return Vec::new(),
    };
    let change = |target: &Target| Changed {
        object: target.object.clone(),
        field: pointer.to_owned(),
        before: before.clone(),
        after: after.clone(),
        withheld: false,
    };
    let nodes = intent.targets.iter().filter(|target| &*target.object.resource.plural == "nodes");
    nodes.map(change).collect()
}

fn when(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Fills in what only the objects can tell: to which entry of its history a rollback is rolled forward, and of a rollback
/// of several Applications, which of them it is still to be rolled forward for. Says what is left out.
pub(super) fn settle(request: &mut Request, read: &mut Vec<(Target, Result<Value, Line>)>) -> Vec<Line> {
    let Some(undoes) = &request.options.undoes else { return Vec::new() };
    if request.verb != Verb::Rollback || request.options.history_id.is_some() {
        return Vec::new();
    }
    let mut left_out = Vec::new();
    if read.len() > 1 {
        let stays = |(target, document): &(Target, Result<Value, Line>)| {
            let app = App(document.as_ref().ok()?);
            let why = stays(app, &undoes.entry, &target.object)?;
            Some(Line::new(Mark::Warn, format!("{why}: it is left as it is")))
        };
        // Where nothing would be left, each says for itself why it stops the plan.
        if read.iter().any(|one| stays(one).is_none()) {
            left_out = read.iter().filter_map(stays).collect();
            read.retain(|one| stays(one).is_none());
            request.targets = read.iter().map(|(target, _)| target.clone()).collect();
        }
    }
    if let [(_, Ok(document))] = read.as_slice()
        && App(document).picked_up(&undoes.entry)
    {
        request.options.history_id = forward(App(document));
    }
    left_out
}

/// Returns the entry that a rollback came from: the newest but its own.
pub(super) fn forward(app: App<'_>) -> Option<i64> {
    let mut ids: Vec<i64> = app.history().iter().filter_map(|entry| entry.id()).collect();
    ids.sort_unstable();
    ids.iter().rev().nth(1).copied()
}

/// Says why an Application is not rolled forward from a rollback; `None` where it can be.
fn stays(app: App<'_>, rollback: &str, object: &ObjectRef) -> Option<String> {
    if !app.picked_up(rollback) {
        return Some(format!("another operation than that rollback was the last to deploy {}", object.name));
    }
    (app.phase() != "Succeeded").then(|| {
        format!("the rollback of {} did not succeed ({}); sync it by itself", object.name, app.phase())
    })
}

/// Says which entry a request takes back, and what has moved on since.
pub(super) fn lines(request: &Request, object: &ObjectRef, document: &Value) -> Vec<Line> {
    let Some(undoes) = &request.options.undoes else { return Vec::new() };
    let text = format!(
        "this undoes {} by {} at {} (entry {})",
        undoes.verb,
        undoes.by,
        when(undoes.at),
        undoes.entry
    );
    let mut lines = vec![Line::new(Mark::Note, text)];
    if request.verb == Verb::Rollback
        && let Some(why) = stays(App(document), &undoes.entry, object)
    {
        lines.push(Line::new(Mark::Stop, format!("{why}: it is not rolled forward")));
    }
    lines
}

/// Returns the fields that an undo relies on, with their names for people: the gate looks at them before it writes.
pub(super) fn facts(request: &Request, object: &ObjectRef) -> Vec<(String, String)> {
    if request.verb != Verb::Undo {
        return Vec::new();
    }
    let own = own(request, object).into_iter();
    own.map(|change| (change.field.clone(), change::name(&change.field))).collect()
}

fn own<'a>(request: &'a Request, object: &ObjectRef) -> Vec<&'a Changed> {
    let all = request.options.undoes.iter().flat_map(|undoes| &undoes.changes);
    all.filter(|change| change.object == *object).collect()
}

fn value<'a>(document: &'a Value, pointer: &str) -> &'a Value {
    document.pointer(pointer).unwrap_or(&Value::Null)
}

pub(super) fn draft<'a>(request: &Request, object: &'a ObjectRef, document: &'a Value) -> Draft<'a> {
    let mut parts = Vec::new();
    let changes = own(request, object);
    if changes.is_empty() {
        parts.push(Line::new(Mark::Stop, "the entry changed nothing of this object").into());
    }
    for change in &changes {
        let now = value(document, &change.field);
        let name = change::name(&change.field);
        let line = if *now == change.after {
            let back =
                Changed { before: change.after.clone(), after: change.before.clone(), ..(*change).clone() };
            Line::new(Mark::Change, back.sentence())
        } else if *now == change.before {
            Line::new(Mark::Note, format!("{name} is as it was before already"))
        } else {
            let left = Changed { before: change.after.clone(), after: now.clone(), ..(*change).clone() };
            let text = format!("it was changed since, and is left alone: {}", left.sentence());
            Line::new(Mark::Stop, text)
        };
        parts.push(line.into());
    }
    if !changes.is_empty() && changes.iter().all(|change| *value(document, &change.field) == change.before) {
        parts.push(Line::new(Mark::Stop, "everything is as it was before: there is nothing to undo").into());
    }
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        parts.push(Line::new(Mark::Stop, format!("{} is being deleted", object.name)).into());
    }
    if let Some(app) = owners::tracked_by(document) {
        let text = format!(
            "Argo CD Application {app} manages it: what differs from Git afterwards, its self-heal takes back"
        );
        parts.push(Line::new(Mark::Note, text).into());
    }
    let after = if rolls(object, &changes) {
        "watched until it has rolled out"
    } else {
        "read back from the API server"
    };
    parts.push(Line::new(Mark::After, after).into());
    let patch = patch(document, &changes).unwrap_or_default();
    let namespace = object.namespace.as_deref().map_or_else(String::new, |name| format!(" -n {name}"));
    Draft {
        parts,
        facts: vec![("/metadata/deletionTimestamp", "its deletion")],
        command: format!(
            "kubectl patch {} {}{namespace} --type merge -p '{patch}'",
            object.resource, object.name
        ),
        hold: None,
    }
}

/// Tells whether putting the fields back makes a workload roll out.
fn rolls(object: &ObjectRef, changes: &[&Changed]) -> bool {
    &*object.resource.group == "apps"
        && matches!(&*object.resource.plural, "deployments" | "statefulsets" | "daemonsets")
        && changes
            .iter()
            .any(|change| change.field.starts_with("/spec/template") || change.field == "/spec/replicas")
}

/// Returns the merge patch that puts the fields back, without the version.
fn patch(document: &Value, changes: &[&Changed]) -> Result<Value, String> {
    let mut wanted = document.clone();
    for change in changes {
        if !change::put(&mut wanted, &change.field, &change.before) {
            return Err(format!("{} does not exist any more: ask again", change::name(&change.field)));
        }
    }
    Ok(change::merge_patch(document, &wanted))
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let plan = work.plan;
    let changes = own(&plan.request, work.object);
    let stored = work
        .write(
            |object| {
                let mut patch = patch(object, &changes)?;
                patch["metadata"]["resourceVersion"] = json!(text(object, "/metadata/resourceVersion"));
                Ok(patch)
            },
            |object| is_back(object, &changes),
        )
        .await?;
    if !is_back(&stored.object, &changes) {
        let text =
            "the write was accepted, and the fields are not as they were: something changes them on the way";
        return Err(Trouble::Failed(text.to_owned()));
    }
    work.done(0, "");
    Ok(stored)
}

fn is_back(object: &Value, changes: &[&Changed]) -> bool {
    changes.iter().all(|change| {
        let now = value(object, &change.field);
        *now == change.before || (change.before.is_null() && *now == json!({}))
    })
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, _stored: &Written) -> Outcome {
    let plan = work.plan;
    let changes = own(&plan.request, work.object);
    let fields = if changes.len() == 1 { "field is" } else { "fields are" };
    let said = format!("{} {fields} as before", changes.len());
    if !rolls(work.object, &changes) {
        work.skipped(1, "nothing rolls out");
        return Outcome::Verified(said);
    }
    let plural = work.object.resource.plural.clone();
    loop {
        match work.look().await {
            Ok(Some(document)) => match rolled(&plural, &document) {
                Rollout::Done(how) => {
                    work.done(1, how.clone());
                    return Outcome::Verified(format!("{said}; {how}, in {}", work.taken()));
                }
                Rollout::Stuck(why) => {
                    return Outcome::Failed(format!("{said}, and it does not roll out: {why}"));
                }
                Rollout::Going(how) => work.running(1, how),
            },
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}

/// Says of an undo that was cut off whether its fields are back; an error is why that cannot be told.
pub(super) fn judge(
    intent: &Intent,
    target: &Target,
    document: Option<&Value>,
) -> Result<(bool, String), String> {
    let Some(document) = document else { return Err("the object does not exist any more".to_owned()) };
    if text(document, "/metadata/uid") != &*target.uid {
        return Err("another object has its name now".to_owned());
    }
    let options: Options = serde_json::from_value(intent.options.clone()).unwrap_or_default();
    let request =
        Request { verb: Verb::Undo, targets: Vec::new(), options, reason: String::new(), tenant: None };
    let changes = own(&request, &target.object);
    if changes.is_empty() {
        return Err("the record does not say what it would put back".to_owned());
    }
    if is_back(document, &changes) {
        return Ok((true, "the fields are as they were before".to_owned()));
    }
    if changes.iter().all(|change| *value(document, &change.field) == change.after) {
        return Ok((false, "the fields are not put back".to_owned()));
    }
    Err("the fields were changed since".to_owned())
}
