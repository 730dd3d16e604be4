//! One action at work on one object: its steps, told as they go, and what it leaves behind for the record.
//!
//! Nothing is written here: see [`super::write`].

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use super::desk::{Desk, Remote};
use super::{Outcome, Plan, Progress, Standing, Step, verbs};
use crate::audit::change as fields;
use crate::audit::{Begun, Changed, Who};
use crate::gate::{Admission, Basis};
use crate::human;
use crate::identity::{ObjectRef, Target};
use crate::text::one_line;

/// What an action left behind, for its record.
#[derive(Debug, Default)]
pub(super) struct Traces {
    pub(super) changes: Vec<Changed>,
    pub(super) made: Vec<ObjectRef>,
}

impl Traces {
    /// Notes what a write changed; of a field that was changed twice, from the first to the last.
    pub(super) fn changed(&mut self, found: Vec<Changed>) {
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
    pub(super) admission: &'a mut Admission,
    pub(super) begun: &'a Begun,
    pub(super) progress: &'a mpsc::Sender<Progress>,
    pub(super) steps: Vec<Step>,
    pub(super) written: bool,
    pub(super) traces: &'a mut Traces,
    pub(super) commit: String,
}

impl<R: Remote> Work<'_, R> {
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
    pub(super) fn fail(&mut self, detail: String) {
        let at =
            self.steps.iter().position(|step| matches!(step.standing, Standing::Running | Standing::Waiting));
        if let Some(at) = at {
            self.set(at, Standing::Failed, detail);
        }
        self.skip_rest();
    }

    pub(super) fn skip_rest(&mut self) {
        for step in &mut self.steps {
            if matches!(step.standing, Standing::Running | Standing::Waiting) {
                step.standing = Standing::Skipped;
            }
        }
        self.tell();
    }

    /// Sends how far it has come; each message holds everything, so a full channel costs nothing.
    pub(super) fn tell(&self) {
        let (request, pace) = (&self.plan.request, &self.desk.pace);
        let target = if verbs::takes_long(request.verb) { pace.long(&request.options) } else { pace.target };
        let _ = self.progress.try_send(Progress {
            id: self.begun.id().to_owned(),
            object: self.object.clone(),
            steps: self.steps.clone(),
            begun: self.begun.at(),
            at: self.desk.clock.now(),
            target: self.begun.at().saturating_add(target).ok(),
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
}
