//! How a confirmed plan is carried out: record, look again, write, follow, record.
//!
//! A write is sent once. It is sent again only where the version in it makes a second application
//! impossible, and only after the object was read and found without it.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::change::Change;
use super::desk::{Desk, Remote};
use super::draft::text;
use super::steer::Steer;
use super::{Answer, Confirmed, Outcome, Plan, Progress, Standing, Step, several, verbs};
use crate::audit::change as fields;
use crate::audit::{After, Begun, Changed, Check, Ending, Intent, Who};
use crate::gate::{Admission, Basis, Permit, Refusal};
use crate::human;
use crate::identity::{ObjectRef, Target};
use crate::sources::SourceError;
use crate::sources::objects::{Patch, Written};
use crate::text::one_line;

/// How often a write is tried: an Application's status is written by its controller all the time.
const ATTEMPTS: usize = 6;
/// How often an object is read to find out what became of a write whose answer was lost.
const READS: u32 = 5;
/// Where the version of an object stands.
const VERSION: &str = "/metadata/resourceVersion";
/// The longest wait that a server may ask for before a write is given up, in seconds.
const LONGEST_WAIT: i64 = 10;

/// Whether an action is followed to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Until it is verified or has failed.
    ToTheEnd,
    /// Only until it is written.
    No,
}

/// Carries out a confirmed plan, once.
///
/// Streams the steps, and writes one audit record before the first write and one at the end. Without the
/// first nothing is written to the cluster. `stop` ends the following, never a write that is under way. The
/// first object that fails ends the action: the objects after it are not touched.
pub async fn carry_out<R: Remote>(
    desk: &Desk<R>,
    confirmed: Confirmed,
    follow: Follow,
    progress: &mpsc::Sender<Progress>,
    stop: &CancellationToken,
) -> Outcome {
    carry_out_steered(desk, confirmed, follow, progress, &Steer::until(stop)).await
}

/// Carries out a confirmed plan as [`carry_out`] does, with a hand that can also hold it for a while.
pub async fn carry_out_steered<R: Remote>(
    desk: &Desk<R>,
    confirmed: Confirmed,
    follow: Follow,
    progress: &mpsc::Sender<Progress>,
    steer: &Steer,
) -> Outcome {
    let Confirmed { plan, answer, mut admission } = confirmed;
    let who = match desk.remote.who().await {
        Ok(server) => Who { server, local: desk.local_user.clone() },
        Err(error) => {
            return Outcome::Refused(format!("the record needs to know who acts: {error}"));
        }
    };
    let begun_at = desk.clock.now();
    let intent = intent(desk, &plan, &answer, &admission, &who);
    let begun = match desk.audit.begin(&plan.id, intent, begun_at).await {
        Ok(begun) => begun,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let objects: Vec<ObjectRef> = admission
        .basis()
        .iter()
        .filter(|basis| basis.sake.is_none())
        .map(|basis| basis.target.object.clone())
        .collect();
    let mut done = Vec::new();
    let mut steps = Vec::new();
    let mut traces = Traces::default();
    for object in &objects {
        let mut work = Work {
            desk,
            plan: &plan,
            object,
            who: &who,
            admission: &mut admission,
            begun: &begun,
            progress,
            steps: Vec::new(),
            written: false,
            traces: &mut traces,
            commit: String::new(),
        };
        // Boxed: with every verb in it the future is deep, and whoever awaits it is deeper.
        let outcome = Box::pin(work.one(follow, steer)).await;
        steps.extend(work.steps.iter().map(|step| Check {
            mark: json!(step.standing).as_str().unwrap_or_default().to_owned(),
            text: match step.detail.as_str() {
                "" => step.name.clone(),
                detail => format!("{}: {detail}", step.name),
            },
        }));
        let failed = match outcome {
            Outcome::Failed(_) | Outcome::Refused(_) => true,
            // The next node is not begun while pods of this one are left.
            Outcome::NotVerified(_) => {
                verbs::writes_on(plan.request.verb) || verbs::is_ordered(plan.request.verb)
            }
            Outcome::Verified(_) | Outcome::Accepted(_) => false,
        };
        if objects.len() > 1 {
            let text = format!("{}: {}", object.name, outcome.detail());
            steps.push(Check { mark: outcome.word().to_owned(), text: one_line(&text).into_owned() });
        }
        done.push(outcome);
        if failed {
            break;
        }
    }
    let outcome = several::sum_up(&objects, done).map(|detail| one_line(&detail).into_owned());
    let ended_at = desk.clock.now();
    let ending = Ending {
        outcome: outcome.word().to_owned(),
        detail: outcome.detail().to_owned(),
        steps,
        after: afterwards(desk, &objects).await,
        duration_ms: ended_at.as_millisecond() - begun_at.as_millisecond(),
        changes: traces.changes,
        made: traces.made,
    };
    match desk.audit.end(begun, ending, ended_at).await {
        Ok(()) => outcome,
        Err(error) => outcome.map(|detail| format!("{detail}. The end could not be recorded: {error}")),
    }
}

fn intent<R: Remote>(
    desk: &Desk<R>,
    plan: &Plan,
    answer: &Answer,
    admission: &Admission,
    who: &Who,
) -> Intent {
    Intent {
        context: desk.rules.context.clone(),
        environment: desk.rules.environment.clone(),
        protected: desk.rules.protected,
        verb: plan.request.verb.word().to_owned(),
        targets: admission.basis().iter().map(|basis| basis.target.clone()).collect(),
        tenant: plan.request.tenant.clone(),
        title: plan.title.clone(),
        options: json!(plan.request.options),
        who: who.clone(),
        reason: plan.request.reason.clone(),
        confirmation: match answer {
            Answer::Yes => "yes".to_owned(),
            Answer::Typed(name) => format!("typed {name}"),
        },
        checks: plan
            .summary()
            .iter()
            .map(|line| Check { mark: line.mark.word().to_owned(), text: line.text.clone() })
            .collect(),
        command: plan.command.clone(),
        holds: plan.holds.clone(),
        changes: plan.changes.clone(),
        undoes: plan.request.options.undoes.as_ref().map(|undoes| undoes.entry.clone()),
        rule: plan.rule.as_ref().map(|ruling| ruling.rules.clone()),
    }
}

/// Reads the objects once more for the record; what cannot be read is left open.
async fn afterwards<R: Remote>(desk: &Desk<R>, objects: &[ObjectRef]) -> Vec<After> {
    let mut after = Vec::new();
    for object in objects {
        let document = desk.remote.look(object).await.ok().flatten();
        let field = |pointer: &str| document.as_ref().map(|document| text(document, pointer).to_owned());
        after.push(After {
            object: object.clone(),
            uid: field("/metadata/uid"),
            resource_version: field("/metadata/resourceVersion"),
        });
    }
    after
}

/// Why a write did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The gate, or the state of the object, said no.
    Refused(String),
    /// The server said no, or nobody knows.
    Failed(String),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}

/// Returns the `DeleteOptions` of every delete: this object by its UID, so that a replacement is never hit, and what
/// hangs on it in the background (contracts 3.5).
fn delete_options(uid: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": { "uid": uid },
    })
}

/// Tells whether a delete leaves no time to end: then an object that is merely ending does not show that it arrived.
fn change_is_forced(change: &Change) -> bool {
    matches!(change, Change::Delete(options) if options.get("gracePeriodSeconds") == Some(&json!(0)))
}

/// What an action left behind, for its record.
#[derive(Debug, Default)]
struct Traces {
    changes: Vec<Changed>,
    made: Vec<ObjectRef>,
}

impl Traces {
    /// Notes what a write changed; of a field that was changed twice, from the first to the last.
    fn changed(&mut self, found: Vec<Changed>) {
        for change in found {
            let same = |known: &&mut Changed| known.object == change.object && known.field == change.field;
            match self.changes.iter_mut().find(same) {
                Some(known) => {
                    known.after = change.after;
                    known.withheld |= change.withheld;
                }
                None => self.changes.push(change),
            }
        }
        self.changes.retain(|change| change.withheld || change.before != change.after);
    }
}

/// One action at work on one object.
pub(super) struct Work<'a, R> {
    /// The desk.
    pub desk: &'a Desk<R>,
    /// The confirmed plan.
    pub plan: &'a Plan,
    /// The object.
    pub object: &'a ObjectRef,
    /// Who acts.
    pub who: &'a Who,
    admission: &'a mut Admission,
    begun: &'a Begun,
    progress: &'a mpsc::Sender<Progress>,
    steps: Vec<Step>,
    written: bool,
    traces: &'a mut Traces,
    commit: String,
}

impl<R: Remote> Work<'_, R> {
    async fn one(&mut self, follow: Follow, steer: &Steer) -> Outcome {
        let others: Vec<ObjectRef> = self.others().into_iter().map(|target| target.object).collect();
        self.steps = verbs::steps(self.plan, &others)
            .into_iter()
            .map(|name| Step { name, standing: Standing::Waiting, detail: String::new() })
            .collect();
        self.tell();
        if verbs::writes_on(self.plan.request.verb) {
            let outcome = Box::pin(verbs::run(self, steer)).await;
            match &outcome {
                Outcome::Failed(detail) | Outcome::Refused(detail) => self.fail(detail.clone()),
                _ => self.skip_rest(),
            }
            return outcome;
        }
        let stored = match Box::pin(verbs::write(self)).await {
            Ok(stored) => stored,
            Err(trouble) => {
                let (Trouble::Refused(text) | Trouble::Failed(text)) = &trouble;
                self.fail(text.clone());
                return match trouble {
                    Trouble::Refused(text) if !self.written => Outcome::Refused(text),
                    Trouble::Refused(text) | Trouble::Failed(text) => Outcome::Failed(text),
                };
            }
        };
        if follow == Follow::No {
            self.skip_rest();
            return Outcome::Accepted("written and accepted; not followed".to_owned());
        }
        let limit = self.desk.pace.limit;
        let ended = tokio::select! {
            biased;
            outcome = Box::pin(verbs::follow(self, &stored)) => Ok(outcome),
            () = steer.stop().cancelled() => Err("no longer followed".to_owned()),
            () = tokio::time::sleep(limit) => {
                Err(format!("not verified within {}", human::span(limit.as_secs().cast_signed())))
            }
        };
        match ended {
            Ok(outcome) => {
                match &outcome {
                    Outcome::Failed(detail) => self.fail(detail.clone()),
                    _ => self.skip_rest(),
                }
                outcome
            }
            Err(why) => {
                let seen = self.steps.iter().rfind(|step| !step.detail.is_empty());
                let seen =
                    seen.map_or(String::new(), |step| format!("; last seen: {}: {}", step.name, step.detail));
                self.skip_rest();
                let next = verbs::next(self.plan.request.verb);
                Outcome::NotVerified(format!("{why}{seen}. {next}"))
            }
        }
    }

    /// Returns when the action began.
    pub fn begun(&self) -> Timestamp {
        self.begun.at()
    }

    /// Returns how long it has taken so far, for sentences.
    pub fn taken(&self) -> String {
        human::span(self.desk.clock.now().as_second() - self.begun.at().as_second())
    }

    /// Returns the action's id.
    pub fn id(&self) -> &str {
        self.begun.id()
    }

    /// Begins a step, or says what was seen in it last.
    pub fn running(&mut self, step: usize, detail: impl Into<String>) {
        self.set(step, Standing::Running, detail.into());
    }

    /// Ends a step well.
    pub fn done(&mut self, step: usize, detail: impl Into<String>) {
        self.set(step, Standing::Done, detail.into());
    }

    /// Ends an action of one write whose answer is the object as it was stored: there is nothing to wait for.
    pub fn read_back(&mut self, said: String, is_as_wanted: bool) -> Outcome {
        if !is_as_wanted {
            return Outcome::Failed(format!("the write was accepted, and {said} all the same"));
        }
        self.done(0, said.clone());
        Outcome::Verified(said)
    }

    /// Passes over a step that is not needed.
    pub fn skipped(&mut self, step: usize, detail: impl Into<String>) {
        self.set(step, Standing::Skipped, detail.into());
    }

    /// Ends a step badly, and goes on with the others.
    pub fn failed(&mut self, step: usize, detail: impl Into<String>) {
        self.set(step, Standing::Failed, detail.into());
    }

    /// Ends a step well once; what was said of its end stays.
    pub fn gone(&mut self, step: usize, detail: impl Into<String>) {
        if self.steps.get(step).is_none_or(|step| step.standing != Standing::Done) {
            self.done(step, detail);
        }
    }

    fn set(&mut self, step: usize, standing: Standing, detail: String) {
        let Some(step) = self.steps.get_mut(step) else { return };
        let detail = one_line(&detail).into_owned();
        if step.standing != standing || step.detail != detail {
            (step.standing, step.detail) = (standing, detail);
            self.tell();
        }
    }

    /// Marks the step that goes on as failed, and passes over the rest.
    fn fail(&mut self, detail: String) {
        let at =
            self.steps.iter().position(|step| matches!(step.standing, Standing::Running | Standing::Waiting));
        if let Some(at) = at {
            self.set(at, Standing::Failed, detail);
        }
        self.skip_rest();
    }

    fn skip_rest(&mut self) {
        for step in &mut self.steps {
            if matches!(step.standing, Standing::Running | Standing::Waiting) {
                step.standing = Standing::Skipped;
            }
        }
        self.tell();
    }

    /// Sends how far it has come; each message holds everything, so a full channel costs nothing.
    fn tell(&self) {
        let _ = self.progress.try_send(Progress {
            id: self.begun.id().to_owned(),
            object: self.object.clone(),
            steps: self.steps.clone(),
            begun: self.begun.at(),
            at: self.desk.clock.now(),
            target: self.begun.at().saturating_add(self.desk.pace.target).ok(),
        });
    }

    /// Tells whether anything was written.
    pub fn has_written(&self) -> bool {
        self.written
    }

    /// Notes the commit that was pushed.
    pub fn pushed(&mut self, commit: &str) {
        self.written = true;
        commit.clone_into(&mut self.commit);
    }

    /// Returns the commit that was pushed; empty where none was.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Notes that something was sent: from here on a refusal is a failure.
    pub fn sent(&mut self) {
        self.written = true;
    }

    /// Notes what a write changed that did not go through [`Work::write`], so that the record can be undone: the
    /// object before it, the merge patch that it amounts to, and the object as it was stored.
    pub fn changed(&mut self, at: &ObjectRef, before: &Value, patch: &Value, after: &Value) {
        self.traces.changed(fields::of_patch(at, before, patch, after));
    }

    /// Notes that something was made that did not exist before.
    pub fn made(&mut self, object: ObjectRef) {
        if !self.traces.made.contains(&object) {
            self.traces.made.push(object);
        }
    }

    /// Waits for the time between two looks.
    pub async fn pause(&self) {
        tokio::time::sleep(self.desk.pace.look).await;
    }

    /// Looks at the object of the action; an error is a sentence to show while going on.
    pub async fn look(&self) -> Result<Option<Value>, String> {
        self.desk.remote.look(self.object).await
    }

    /// Returns what the plan found of the objects that are written for the sake of this one.
    pub fn others(&self) -> Vec<Target> {
        let own = |basis: &&Basis| basis.sake.as_ref() == Some(self.object);
        self.admission.basis().iter().filter(own).map(|basis| basis.target.clone()).collect()
    }

    /// Asks the gate for a permit, looking at the object again.
    pub async fn permit(&self) -> Result<(Permit, Value), Refusal> {
        self.permit_for(self.object).await
    }

    /// Asks the gate for a permit to write another object of the plan, looking at it again.
    pub async fn permit_for(&self, object: &ObjectRef) -> Result<(Permit, Value), Refusal> {
        self.admission.permit(object, self.begun, &self.desk.remote).await
    }

    /// Patches the object on the version that the gate looked at.
    ///
    /// `build` makes the patch from the fresh object and may refuse; it must carry the object's version.
    /// `landed` tells whether an object shows this write: it is asked before the write is tried again.
    pub async fn write(
        &mut self,
        build: impl Fn(&Value) -> Result<Value, String>,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        self.write_to(self.object, build, landed).await
    }

    /// Patches another object of the plan, as [`Work::write`] does.
    pub async fn write_to(
        &mut self,
        at: &ObjectRef,
        build: impl Fn(&Value) -> Result<Value, String>,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        let mut last = String::new();
        let mut unsure: Option<(Permit, Value, Value)> = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.desk.pace.retry).await;
            }
            if let Some((permit, before, patch)) = unsure.take()
                && let Some(object) = self.find(at, text(&before, VERSION), &landed).await?
            {
                self.landed(permit, &before, &patch, &object);
                return Ok(Written { object, warnings: Vec::new() });
            }
            let (permit, object) = self.permit_for(at).await?;
            let patch = build(&object).map_err(Trouble::Refused)?;
            match self.desk.remote.patch(&permit, at, &patch).await {
                Ok(stored) => {
                    self.landed(permit, &object, &patch, &stored.object);
                    return Ok(stored);
                }
                // Somebody wrote between the look and the write: nothing was applied, look again.
                Err(error @ SourceError::Conflict { .. }) => last = error.to_string(),
                Err(SourceError::Throttled { what, until, reason }) => {
                    last = format!("{what} asks to wait: {reason}");
                    self.wait_until(until, &last).await?;
                }
                // The answer was lost, or came from something in between: it may have been applied.
                Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                    last = error.to_string();
                    unsure = Some((permit, object, patch));
                }
                Err(error) => return Err(Trouble::Failed(error.to_string())),
            }
        }
        if let Some((permit, before, patch)) = unsure
            && let Some(object) = self.find(at, text(&before, VERSION), &landed).await?
        {
            self.landed(permit, &before, &patch, &object);
            return Ok(Written { object, warnings: Vec::new() });
        }
        Err(Trouble::Failed(format!("not written after {ATTEMPTS} attempts: {last}")))
    }

    /// Sends a change of the object, bound to the version that the gate looked at, as [`Work::write`] does for patches.
    ///
    /// `build` makes the change from the fresh object and may refuse; `landed` tells whether an object shows it.
    pub async fn change(
        &mut self,
        build: impl Fn(&Value) -> Result<Change, String>,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        let at = self.object;
        let mut last = String::new();
        let mut unsure: Option<(Value, Value)> = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.desk.pace.retry).await;
            }
            if let Some((before, patch)) = unsure.take()
                && let Some(object) = self.find(at, text(&before, VERSION), &landed).await?
            {
                self.written = true;
                self.changed(at, &before, &patch, &object);
                return Ok(Written { object, warnings: Vec::new() });
            }
            let (permit, object) = self.permit().await?;
            let change = build(&object).map_err(Trouble::Refused)?;
            let patch = match &change {
                Change::Patch(Patch::Merge, body) => Some(body.clone()),
                _ => None,
            };
            let change = change.on(text(&object, "/metadata/resourceVersion"));
            match self.desk.remote.send(&permit, at, &change).await {
                Ok(stored) => {
                    self.written = true;
                    if let Some(patch) = patch {
                        self.changed(at, &object, &patch, &stored.object);
                    }
                    return Ok(stored);
                }
                // Somebody wrote between the look and the write: nothing was applied, look again.
                Err(error @ SourceError::Conflict { .. }) => last = error.to_string(),
                Err(SourceError::Throttled { what, until, reason }) => {
                    last = format!("{what} asks to wait: {reason}");
                    self.wait_until(until, &last).await?;
                }
                // The answer was lost, or came from something in between: it may have been applied.
                Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                    last = error.to_string();
                    unsure = Some((object, patch.unwrap_or(Value::Null)));
                }
                Err(error) => return Err(Trouble::Failed(error.to_string())),
            }
        }
        if let Some((before, patch)) = unsure
            && let Some(object) = self.find(at, text(&before, VERSION), &landed).await?
        {
            self.written = true;
            self.changed(at, &before, &patch, &object);
            return Ok(Written { object, warnings: Vec::new() });
        }
        Err(Trouble::Failed(format!("not written after {ATTEMPTS} attempts: {last}")))
    }

    /// Waits as long as a server asks for, where that is bearable.
    pub async fn wait_until(&self, until: Option<Timestamp>, why: &str) -> Result<(), Trouble> {
        let now = self.desk.clock.now();
        let wait = until.map_or(1, |until| until.as_second() - now.as_second());
        if wait > LONGEST_WAIT {
            return Err(Trouble::Failed(why.to_owned()));
        }
        let wait = u64::try_from(wait).unwrap_or(0);
        tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
        Ok(())
    }

    /// Notes a write that is in force.
    fn landed(&mut self, permit: Permit, before: &Value, patch: &Value, after: &Value) {
        self.written = true;
        self.traces.changed(fields::of_patch(permit.object(), before, patch, after));
        self.admission.wrote(permit, after);
    }

    /// Finds out whether a write that was sent on a version has landed; reads a few times, because what lost the
    /// answer may last.
    ///
    /// `None` only where it surely has not: the object is as it was. Where it was changed since, the write may have
    /// landed and been taken back; to send it again would do it twice.
    async fn find(
        &self,
        at: &ObjectRef,
        version: &str,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Option<Value>, Trouble> {
        let mut error = String::new();
        let unknown = |why: String| {
            let text = format!(
                "whether it was written is not known: the answer was lost, and {why}; look at it before you try again"
            );
            Err(Trouble::Failed(text))
        };
        for _ in 0..READS {
            match self.desk.remote.look(at).await {
                Ok(Some(object)) if landed(&object) => return Ok(Some(object)),
                Ok(Some(object)) if text(&object, VERSION) == version => return Ok(None),
                Ok(Some(_)) => return unknown(format!("{at} was changed since")),
                Ok(None) => return unknown(format!("{at} does not exist any more")),
                Err(reason) => error = reason,
            }
            self.pause().await;
        }
        unknown(format!("{at} cannot be read ({error})"))
    }

    /// Finds out whether an object was made under a name that only this action uses.
    async fn find_made(
        &self,
        at: &ObjectRef,
        ours: impl Fn(&Value) -> bool,
    ) -> Result<Option<Value>, Trouble> {
        let mut error = String::new();
        for _ in 0..READS {
            match self.desk.remote.look(at).await {
                Ok(found) => return Ok(found.filter(|object| ours(object))),
                Err(reason) => error = reason,
            }
            self.pause().await;
        }
        let text = format!(
            "whether it was made is not known: the answer was lost, and {at} cannot be read ({error}); look at it before you try again"
        );
        Err(Trouble::Failed(text))
    }

    /// Creates an object for the sake of the one of the action; `made` is where it will be, under a name that only this
    /// action uses, and `ours` tells whether an object there is the one that this action made.
    pub async fn create(
        &mut self,
        made: &ObjectRef,
        build: impl Fn(&Value) -> Change,
        ours: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        let at = self.object;
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.desk.pace.retry).await;
            }
            let (permit, object) = self.permit().await?;
            match self.desk.remote.send(&permit, at, &build(&object)).await {
                Ok(stored) => {
                    self.written = true;
                    return Ok(stored);
                }
                Err(SourceError::Throttled { what, until, reason }) => {
                    last = format!("{what} asks to wait: {reason}");
                    self.wait_until(until, &last).await?;
                }
                // Its name is taken: by this action, whose answer was lost, or by somebody else.
                Err(error @ SourceError::Conflict { .. }) => {
                    return match self.find_made(made, &ours).await? {
                        Some(object) => {
                            self.written = true;
                            Ok(Written { object, warnings: Vec::new() })
                        }
                        None => Err(Trouble::Refused(error.to_string())),
                    };
                }
                Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                    last = error.to_string();
                    if let Some(object) = self.find_made(made, &ours).await? {
                        self.written = true;
                        return Ok(Written { object, warnings: Vec::new() });
                    }
                }
                Err(error) => return Err(Trouble::Failed(error.to_string())),
            }
        }
        Err(Trouble::Failed(format!("not made after {ATTEMPTS} attempts: {last}")))
    }

    /// Deletes the object as these options say, bound to its UID and to the version that the gate looked at; returns
    /// it as it was last.
    ///
    /// Where only its version has changed the gate looks again; another object of the name is never hit.
    pub async fn delete_as(&mut self, options: &Value) -> Result<Written, Trouble> {
        let at = self.object;
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.desk.pace.retry).await;
            }
            let (permit, object) = self.permit().await?;
            let mut options = options.clone();
            options["preconditions"] = json!({ "uid": permit.uid() });
            let change = Change::Delete(options).on(text(&object, "/metadata/resourceVersion"));
            let uid = permit.uid().to_owned();
            let written = Written { object, warnings: Vec::new() };
            match self.desk.remote.send(&permit, at, &change).await {
                // Gone is what was wanted, whoever did it.
                Ok(_) | Err(SourceError::Missing { .. }) => {
                    self.written = true;
                    return Ok(written);
                }
                Err(error @ SourceError::Conflict { .. }) => last = error.to_string(),
                Err(SourceError::Throttled { what, until, reason }) => {
                    last = format!("{what} asks to wait: {reason}");
                    self.wait_until(until, &last).await?;
                }
                Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                    let forced = change_is_forced(&change);
                    return if self.is_going(&uid, forced).await {
                        self.written = true;
                        Ok(written)
                    } else {
                        Err(Trouble::Failed(format!("{error}; not repeated, look at it first")))
                    };
                }
                Err(error) => return Err(Trouble::Failed(error.to_string())),
            }
        }
        Err(Trouble::Failed(format!("not deleted after {ATTEMPTS} attempts: {last}")))
    }

    /// Tells whether an object is gone or on its way out, after the answer to its deletion was lost. One that was
    /// on its way out before is gone only where it is.
    async fn is_going(&self, uid: &str, gone_only: bool) -> bool {
        for _ in 0..READS {
            self.pause().await;
            match self.desk.remote.look(self.object).await {
                Ok(None) => return true,
                Ok(Some(object)) => {
                    return text(&object, "/metadata/uid") != uid
                        || !gone_only && !text(&object, "/metadata/deletionTimestamp").is_empty();
                }
                Err(_) => {}
            }
        }
        false
    }

    /// Deletes the object and returns it as it was last: afterwards there is none to read owner, pool or node from.
    pub async fn delete(&mut self) -> Result<Written, Trouble> {
        let at = self.object;
        let (permit, object) = self.permit().await?;
        let written = Written { object, warnings: Vec::new() };
        let options = delete_options(permit.uid());
        match self.desk.remote.delete(&permit, at, &options).await {
            // Gone is what was wanted, whoever did it.
            Ok(()) | Err(SourceError::Missing { .. }) => {
                self.written = true;
                Ok(written)
            }
            Err(error @ SourceError::Conflict { .. }) => Err(Trouble::Refused(error.to_string())),
            Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                let uid = permit.uid();
                let going = |object: &Value| {
                    text(object, "/metadata/uid") != uid
                        || !text(object, "/metadata/deletionTimestamp").is_empty()
                };
                for _ in 0..READS {
                    self.pause().await;
                    match self.desk.remote.look(at).await {
                        Ok(None) => {
                            self.written = true;
                            return Ok(written);
                        }
                        Ok(Some(object)) if going(&object) => {
                            self.written = true;
                            return Ok(written);
                        }
                        Ok(Some(_)) => break,
                        Err(_) => {}
                    }
                }
                Err(Trouble::Failed(format!("{error}; not repeated, look at it first")))
            }
            Err(error) => Err(Trouble::Failed(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delete_names_the_uid_so_that_a_replacement_is_never_hit() {
        // contracts 3.5, row "delete".
        let options = delete_options("u-1");
        assert_eq!(options["preconditions"], json!({ "uid": "u-1" }));
        assert_eq!(options["propagationPolicy"], "Background");
    }
}
