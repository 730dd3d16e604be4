//! How a plan comes about: what is known at once is written down, what must be asked is asked concurrently,
//! and each line fills in as its answer comes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;

use super::application::applications;
use super::desk::{Desk, Remote};
use super::{
    Confirmation, GitChange, Line, Mark, Plan, Request, Ruling, Verb, git_change, rights, undo, verbs,
};
use crate::audit::{Changed, Held};
use crate::gate::{Access, Basis};
use crate::identity::{ObjectRef, Target};
use crate::kinds::alerts;

/// How long a plan may be answered. What it relies on is looked at again anyway; this bounds what is not.
const LIFE: Duration = Duration::from_mins(5);
/// The shipped rule whose demand the title and the question say already.
const PRODUCTION: &str = "rule production (default)";
/// How long one check may take before it is given up; a plan must not hang on one slow answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A check that is still to be asked: what stands on the screen meanwhile, and the asking.
pub(super) struct Check<'a> {
    /// The sentence while it is asked.
    pub pending: String,
    /// The asking; it yields what was found.
    pub ask: Pin<Box<dyn Future<Output = Found> + Send + 'a>>,
    /// How long it may take before it is given up.
    pub patience: Duration,
}

/// What a check found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The lines.
    pub lines: Vec<Line>,
    /// The other objects that will be written for the sake of the one that was asked about.
    pub also: Vec<Also>,
    /// What will be pushed to a repository.
    pub git: Option<GitChange>,
    /// Values that are changed and were found out: JSON pointer, before, afterwards.
    pub values: Vec<(String, Value, Value)>,
    /// Digests of what is changed and may not be kept as it is: JSON pointer, before, afterwards.
    pub digests: Vec<(String, Value, Value)>,
}

impl From<Vec<Line>> for Found {
    fn from(lines: Vec<Line>) -> Self {
        Self { lines, ..Self::default() }
    }
}

/// An object that an action writes for the sake of the one that was asked about, such as a pod that a drain evicts.
///
/// It stands in the plan's basis like any other: no permit is given for what the plan does not name.
#[derive(Debug)]
pub(super) struct Also {
    /// The object.
    pub object: ObjectRef,
    /// As the check read it.
    pub document: Value,
    /// What the plan relies on: pairs of JSON pointer and name for people.
    pub facts: Vec<(&'static str, &'static str)>,
    /// The rights that its writes need.
    pub access: Vec<Access>,
}

impl<'a> Check<'a> {
    /// Describes a check.
    pub fn new<F: Into<Found>>(pending: impl Into<String>, ask: impl Future<Output = F> + Send + 'a) -> Self {
        let ask = Box::pin(async move { ask.await.into() });
        Self { pending: pending.into(), ask, patience: PATIENCE }
    }

    /// Gives it longer than most: a first clone takes as long as a history is large.
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// What fills a slot, once it is known.
type Answer<'a> = Pin<Box<dyn Future<Output = (usize, Found)> + Send + 'a>>;

/// One part of a plan: known, or still to be asked.
pub(super) enum Part<'a> {
    /// A line that is known.
    Known(Line),
    /// A check.
    Asked(Check<'a>),
    /// A value that is changed, for the record: JSON pointer, before, afterwards.
    Value(String, Value, Value),
}

impl From<Line> for Part<'_> {
    fn from(line: Line) -> Self {
        Self::Known(line)
    }
}

impl<'a> From<Check<'a>> for Part<'a> {
    fn from(check: Check<'a>) -> Self {
        Self::Asked(check)
    }
}

/// What a verb has to say about one object.
pub(super) struct Draft<'a> {
    /// Its parts, in the order of the plan.
    pub parts: Vec<Part<'a>>,
    /// What it relies on: pairs of JSON pointer and name for people.
    pub facts: Vec<(&'static str, &'static str)>,
    /// The equivalent command.
    pub command: String,
    /// What is taken away for the duration, exactly as it was.
    pub hold: Option<Value>,
}

/// Plans a request: reads the objects, asks the checks concurrently, and sends a draft after every answer.
///
/// Always ends with a plan; what cannot be read or is not permitted is a line that stops it. Drafts that find
/// the channel full are dropped, because each holds all that was known before.
pub async fn plan<R: Remote>(desk: &Desk<R>, request: Request, drafts: &mpsc::Sender<Plan>) -> Plan {
    let now = desk.clock.now();
    let mut plan = Plan {
        id: format!("{:x}-{:08x}", now.as_millisecond(), fastrand::u32(..)),
        title: title(desk, &request),
        lines: vec![Line::new(Mark::Pending, "reading what it is done to")],
        confirmation: confirmation(desk, &request),
        command: String::new(),
        basis: Vec::new(),
        holds: Vec::new(),
        changes: Vec::new(),
        rule: None,
        git: Vec::new(),
        made: now,
        expires: now.saturating_add(LIFE).unwrap_or(now),
        request,
    };
    let _ = drafts.try_send(plan.clone());

    let looks = plan.request.targets.iter().map(|target| look(desk, &target.object));
    let documents = futures::future::join_all(looks).await;

    let mut read: Vec<_> = plan.request.targets.iter().cloned().zip(documents).collect();
    let left_out = undo::settle(&mut plan.request, &mut read);
    plan.title = title(desk, &plan.request);
    let request = plan.request.clone();
    let targets = &request.targets;
    let several = targets.len() > 1;
    let mut slots: Vec<Vec<Line>> = left_out.into_iter().map(|line| vec![line]).collect();
    let mut commands = Vec::new();
    if let Some(reason) = &desk.rules.readonly {
        let text = format!("{} is read-only: {reason}", desk.rules.context);
        slots.push(vec![Line::new(Mark::Stop, text)]);
    }
    if targets.is_empty() {
        slots.push(vec![Line::new(Mark::Stop, "nothing is selected")]);
    }
    let objects: Vec<&ObjectRef> = targets.iter().map(|target| &target.object).collect();
    let verdict = desk.rules.judge(&request.claims(), &objects, now);
    slots.extend(verdict.stops.iter().map(|stop| vec![Line::new(Mark::Stop, stop.clone())]));
    // That production takes a name is said by the question itself.
    let told = verdict.demands.iter().filter(|demand| !demand.starts_with(PRODUCTION));
    slots.extend(told.map(|demand| vec![Line::new(Mark::Note, demand.clone())]));
    if verdict.type_name && plan.confirmation == Confirmation::Yes {
        plan.confirmation = Confirmation::Type(name_to_type(desk, &request));
    }
    if !verdict.rules.is_empty() {
        plan.rule = Some(Ruling { rules: verdict.rules.join(", "), reason: verdict.reason });
    }
    if let Some(left_out) = &request.options.left_out {
        slots.push(vec![Line::new(Mark::Warn, left_out.sentence())]);
    }
    let mut afterwards = Vec::new();
    let mut found = Vec::new();
    for (target, document) in read {
        match document {
            Ok(document) => found.push((target, document)),
            Err(line) => slots.push(vec![line]),
        }
    }
    if several && verbs::is_ordered(request.verb) {
        // As Argo CD would apply them: by sync wave, then by name.
        found.sort_by_key(|(target, document)| (wave(document), target.object.name.clone()));
        let waves: Vec<i64> = found.iter().map(|(_, document)| wave(document)).collect();
        let names: Vec<&str> = found.iter().map(|(target, _)| &*target.object.name).collect();
        let order = if waves.first() == waves.last() { "" } else { " by sync wave" };
        let text = format!("one after the other{order}, and the first failure ends it: {}", names.join(", "));
        slots.push(vec![Line::new(Mark::Note, text)]);
    }
    if !request.options.staying.is_empty() {
        let names = request.options.staying.join(", ");
        let text = format!("left as they are, with nothing else in their history: {names}");
        slots.push(vec![Line::new(Mark::Note, text)]);
    }
    let mut asked: FuturesUnordered<Answer<'_>> = FuturesUnordered::new();
    let mut sakes: BTreeMap<usize, &ObjectRef> = BTreeMap::new();
    for (target, document) in &found {
        let prefix = several.then(|| format!("{}: ", target.object.name));
        if let Some(line) = replaced(target, document) {
            slots.push(vec![prefixed(prefix.as_deref(), line)]);
            continue;
        }
        let undone = undo::lines(&request, &target.object, document);
        slots.extend(undone.into_iter().map(|line| vec![prefixed(prefix.as_deref(), line)]));
        let draft = verbs::draft(desk, &request, &target.object, document);
        for part in draft.parts {
            match part {
                // What comes afterwards stands at the end, below the checks.
                Part::Known(line) if line.mark == Mark::After => {
                    afterwards.push(prefixed(prefix.as_deref(), line));
                }
                Part::Known(line) => slots.push(vec![prefixed(prefix.as_deref(), line)]),
                Part::Value(field, before, after) => plan.changes.push(Changed {
                    object: target.object.clone(),
                    field,
                    before,
                    after,
                    withheld: false,
                }),
                Part::Asked(check) => {
                    let slot = slots.len();
                    let line = Line::new(Mark::Pending, check.pending.clone());
                    slots.push(vec![prefixed(prefix.as_deref(), line)]);
                    let prefix = prefix.clone();
                    asked.push(Box::pin(async move {
                        let found = tokio::time::timeout(check.patience, check.ask).await;
                        let mut found = found.unwrap_or_else(|_| {
                            let text =
                                format!("no answer in {} s: {}", check.patience.as_secs(), check.pending);
                            vec![Line::new(Mark::Stop, text)].into()
                        });
                        found.lines =
                            found.lines.into_iter().map(|line| prefixed(prefix.as_deref(), line)).collect();
                        (slot, found)
                    }));
                    sakes.insert(slot, &target.object);
                }
            }
        }
        let review = git_change::for_review(desk, &request.options);
        let access = rights::needed(request.verb, review, &target.object, document);
        for access in &access {
            let slot = slots.len();
            slots.push(vec![Line::new(Mark::Pending, format!("may you {access}?"))]);
            asked.push(Box::pin(may(desk, slot, access.clone(), prefix.clone())));
        }
        commands.push(draft.command);
        if let Some(automated) = draft.hold {
            plan.holds.push(Held { object: target.object.clone(), automated });
        }
        let also = undo::facts(&request, &target.object);
        let mut facts = draft.facts;
        facts.extend(also.iter().map(|(pointer, what)| (pointer.as_str(), what.as_str())));
        let target = identified(&target.object, document);
        plan.basis.push(Basis::new(target, document, &facts, access));
    }
    slots.push(vec![Line::new(Mark::Pending, "can the audit be written?")]);
    let audit = slots.len() - 1;
    asked.push(Box::pin(async move {
        let line = match desk.audit.writable().await {
            Ok(()) => Line::new(Mark::Ok, "the audit can be written"),
            Err(error) => Line::new(Mark::Stop, error.to_string()),
        };
        (audit, vec![line].into())
    }));
    // The record needs to know who acts; asked here, the answer need not wait for it.
    slots.push(Vec::new());
    let who = slots.len() - 1;
    asked.push(Box::pin(async move {
        let lines = match tokio::time::timeout(PATIENCE, desk.remote.who()).await {
            Ok(Ok(_)) => Vec::new(),
            Ok(Err(error)) => {
                vec![Line::new(Mark::Stop, format!("the record needs to know who acts: {error}"))]
            }
            Err(_) => vec![Line::new(Mark::Stop, "no answer to: who are you?")],
        };
        (who, lines.into())
    }));
    commands.dedup();
    plan.command = commands.join("; ");
    plan.lines = [slots.concat(), afterwards.clone()].concat();
    let _ = drafts.try_send(plan.clone());
    let mut rights: Vec<Access> = plan.basis.iter().flat_map(|basis| basis.access.clone()).collect();
    while let Some((slot, found)) = asked.next().await {
        slots[slot] = found.lines;
        plan.git.extend(found.git);
        if let Some(object) = sakes.get(&slot) {
            let values = found.values.into_iter().map(|value| (value, false));
            let all = values.chain(found.digests.into_iter().map(|digest| (digest, true)));
            plan.changes.extend(all.map(|((field, before, after), withheld)| Changed {
                object: (*object).clone(),
                field,
                before,
                after,
                withheld,
            }));
        }
        for also in found.also {
            for access in &also.access {
                if !rights.contains(access) {
                    rights.push(access.clone());
                    slots.push(vec![Line::new(Mark::Pending, format!("may you {access}?"))]);
                    asked.push(Box::pin(may(desk, slots.len() - 1, access.clone(), None)));
                }
            }
            let target = identified(&also.object, &also.document);
            let mut basis = Basis::new(target, &also.document, &also.facts, also.access);
            basis.sake = sakes.get(&slot).map(|object| (*object).clone());
            plan.basis.push(basis);
        }
        plan.lines = [slots.concat(), afterwards.clone()].concat();
        plan.made = desk.clock.now();
        let _ = drafts.try_send(plan.clone());
    }
    plan.expires = plan.made.saturating_add(LIFE).unwrap_or(plan.made);
    plan
}

/// Returns the sync wave of an object; 0 where it says none.
fn wave(document: &Value) -> i64 {
    let notes = document.pointer("/metadata/annotations");
    let wave = notes.and_then(|notes| notes.get("argocd.argoproj.io/sync-wave")?.as_str());
    wave.and_then(|wave| wave.trim().parse().ok()).unwrap_or(0)
}

/// Finds an object by name, for a command line that knows no more than that.
pub async fn resolve<R: Remote>(desk: &Desk<R>, object: &ObjectRef) -> Result<Target, String> {
    let document = look(desk, object).await.map_err(|line| line.text)?;
    Ok(identified(object, &document))
}

/// Names an object as it was read.
fn identified(object: &ObjectRef, document: &Value) -> Target {
    Target {
        object: object.clone(),
        uid: text(document, "/metadata/uid").into(),
        resource_version: text(document, "/metadata/resourceVersion").into(),
    }
}

/// Asks for one right, and fills its slot.
async fn may<R: Remote>(
    desk: &Desk<R>,
    slot: usize,
    access: Access,
    prefix: Option<String>,
) -> (usize, Found) {
    let line = match tokio::time::timeout(PATIENCE, desk.remote.may(&access)).await {
        Ok(answer) => permission(&access, answer),
        Err(_) => Line::new(Mark::Stop, format!("no answer to: may you {access}?")),
    };
    (slot, vec![prefixed(prefix.as_deref(), line)].into())
}

async fn look<R: Remote>(desk: &Desk<R>, object: &ObjectRef) -> Result<Value, Line> {
    let stop = |text: String| Err(Line::new(Mark::Stop, text));
    match tokio::time::timeout(PATIENCE, desk.remote.look(object)).await {
        Ok(Ok(Some(document))) => Ok(document),
        Ok(Ok(None)) => stop(format!("{object} does not exist")),
        Ok(Err(error)) => stop(format!("{object} cannot be read: {error}")),
        Err(_) => stop(format!("{object} cannot be read: no answer in {} s", PATIENCE.as_secs())),
    }
}

/// Says that the object is another one than was selected; an empty UID means that it was named, not selected.
fn replaced(target: &Target, document: &Value) -> Option<Line> {
    let uid = text(document, "/metadata/uid");
    let other = !target.uid.is_empty() && *target.uid != *uid;
    other.then(|| {
        let text = format!("{} was replaced since you selected it: select it again", target.object);
        Line::new(Mark::Stop, text)
    })
}

fn permission(access: &Access, answer: Result<Result<(), String>, String>) -> Line {
    match answer {
        Ok(Ok(())) => Line::new(Mark::Ok, format!("you may {access}")),
        Ok(Err(reason)) if reason.is_empty() => Line::new(Mark::Stop, format!("you may not {access}")),
        Ok(Err(reason)) => Line::new(Mark::Stop, format!("you may not {access}: {reason}")),
        Err(error) => Line::new(Mark::Stop, format!("whether you may {access} cannot be checked: {error}")),
    }
}

fn prefixed(prefix: Option<&str>, line: Line) -> Line {
    match prefix {
        Some(prefix) => Line::new(line.mark, format!("{prefix}{}", line.text)),
        None => line,
    }
}

fn title<R>(desk: &Desk<R>, request: &Request) -> String {
    let what = match request.targets.as_slice() {
        [_] if !request.options.matchers.is_empty() => silenced(request),
        [one] => match (&request.tenant, &one.object.namespace) {
            (Some(tenant), _) => format!("{}, {tenant}", one.object.name),
            (None, Some(namespace)) => format!("{namespace}/{}", one.object.name),
            (None, None) => one.object.name.to_string(),
        },
        several => {
            let applications = several.iter().all(|one| one.object.resource == applications());
            let what = if applications { "Applications" } else { "objects" };
            match &request.tenant {
                Some(tenant) => format!("{} {what}, {tenant}", several.len()),
                None => format!("{} {what}", several.len()),
            }
        }
    };
    let rules = &desk.rules;
    let environment =
        if rules.protected { rules.environment.to_uppercase() } else { rules.environment.clone() };
    let verb = match (request.verb, request.options.dry_run) {
        (Verb::Sync, true) => "Sync (dry run)",
        (verb, _) => verb.phrase(),
    };
    if environment.is_empty() {
        format!("{verb} {what} in {}", rules.context)
    } else {
        format!("{verb} {what} in {} ({environment})", rules.context)
    }
}

/// Names what a silence is for: the alert, where its matchers name one, and the tenant.
fn silenced(request: &Request) -> String {
    let matchers = &request.options.matchers;
    // A pattern (`alertname=~"..."`) is no name.
    let names = matchers.iter().filter_map(|one| one.strip_prefix("alertname="));
    let alert = names.filter(|name| !name.starts_with('~')).map(|name| name.trim_matches('"')).next();
    let what = alert.map_or_else(|| matchers.join(" "), ToOwned::to_owned);
    match &request.tenant {
        Some(tenant) => format!("{what}, {tenant}"),
        None => what,
    }
}

/// A protected environment takes the tenant's name, or the object's where no tenant is known.
fn confirmation<R>(desk: &Desk<R>, request: &Request) -> Confirmation {
    match (request.verb.types_name(), request.targets.as_slice()) {
        (_, _) if desk.rules.protected => Confirmation::Type(name_to_type(desk, request)),
        // What is gone is gone: the name of the one thing that is deleted is typed everywhere.
        (true, [one]) => Confirmation::Type(one.object.name.to_string()),
        (true, _) => Confirmation::Type(name_to_type(desk, request)),
        (false, _) => Confirmation::Yes,
    }
}

fn name_to_type<R>(desk: &Desk<R>, request: &Request) -> String {
    match (&request.tenant, request.targets.as_slice()) {
        (Some(tenant), _) => tenant.clone(),
        // What is still to be made has no name of its own.
        (None, [one]) if *one.object.name != *alerts::NEW => one.object.name.to_string(),
        // Several objects without one tenant, or none yet: the context says what is at stake.
        (None, _) => desk.rules.context.to_string(),
    }
}

/// Reads text from a document; empty where there is none.
pub(super) fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
