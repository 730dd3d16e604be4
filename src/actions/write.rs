//! The writes of an action: each with a fresh permit, on the version that the gate looked at, and never twice.
//!
//! A write is sent again only where the version in it makes a second application impossible, and only after the
//! object was read and found without it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::desk::Remote;
use super::draft::text;
use super::work::Work;
use crate::gate::{Permit, Refusal};
use crate::identity::ObjectRef;
use crate::sources::SourceError;
use crate::sources::change::{Change, Patch};
use crate::sources::objects::Written;

/// How often a write is tried: an Application's status is written by its controller all the time.
const ATTEMPTS: usize = 6;
/// How often an object is read to find out what became of a write whose answer was lost.
const READS: u32 = 5;
/// Where the version of an object stands.
const VERSION: &str = "/metadata/resourceVersion";
/// The longest wait that a server may ask for before a write is given up, in seconds.
const LONGEST_WAIT: i64 = 10;

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

/// What a delete must find, beside the UID of the object: that is always asked for, so that a replacement is never hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// Nothing more: it goes whatever was written to it since.
    Object,
    /// The version that the gate looked at.
    Version,
}

/// A write whose answer was lost: it may have been applied.
struct Unsure {
    permit: Permit,
    before: Value,
    change: Change,
}

impl<R: Remote> Work<'_, R> {
    /// Asks the gate for a permit, looking at the object again.
    pub async fn permit(&self) -> Result<(Permit, Value), Refusal> {
        self.permit_for(self.object).await
    }

    /// Asks the gate for a permit to write another object of the plan, looking at it again.
    pub async fn permit_for(&self, object: &ObjectRef) -> Result<(Permit, Value), Refusal> {
        self.admission.permit(object, self.begun, &self.desk.remote).await
    }

    /// Sends a merge patch of the object, as [`Work::change`] does.
    pub async fn write(
        &mut self,
        build: impl Fn(&Value) -> Result<Value, String>,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        self.write_to(self.object, build, landed).await
    }

    /// Sends a merge patch of another object of the plan, as [`Work::change`] does.
    pub async fn write_to(
        &mut self,
        at: &ObjectRef,
        build: impl Fn(&Value) -> Result<Value, String>,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        self.change_at(at, |object| build(object).map(Change::merge), landed).await
    }

    /// Sends a change of the object, bound to the version that the gate looked at.
    ///
    /// `build` makes the change from the fresh object and may refuse; `landed` tells whether an object shows it: it is
    /// asked before the change is tried again.
    pub async fn change(
        &mut self,
        build: impl Fn(&Value) -> Result<Change, String>,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        self.change_at(self.object, build, landed).await
    }

    async fn change_at(
        &mut self,
        at: &ObjectRef,
        build: impl Fn(&Value) -> Result<Change, String>,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        let mut last = String::new();
        let mut unsure: Option<Unsure> = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.desk.pace.retry).await;
            }
            if let Some(sent) = unsure.take()
                && let Some(stored) = self.find(at, sent, &landed).await?
            {
                return Ok(stored);
            }
            let (permit, object) = self.permit_for(at).await?;
            let change = build(&object).map_err(Trouble::Refused)?.on(text(&object, VERSION));
            match self.desk.remote.send(&permit, at, &change).await {
                Ok(stored) => {
                    self.landed(permit, &object, &change, &stored.object);
                    return Ok(stored);
                }
                // The answer was lost, or came from something in between: it may have been applied.
                Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                    last = error.to_string();
                    unsure = Some(Unsure { permit, before: object, change });
                }
                // Somebody wrote between the look and the write: nothing was applied, look again.
                Err(error @ SourceError::Conflict { .. }) => last = error.to_string(),
                Err(error) => last = self.bear(error).await?,
            }
        }
        if let Some(sent) = unsure
            && let Some(stored) = self.find(at, sent, &landed).await?
        {
            return Ok(stored);
        }
        Err(Trouble::Failed(format!("not written after {ATTEMPTS} attempts: {last}")))
    }

    /// Creates an object for the sake of the one of the action; `made` is where it will be, under a name that only this
    /// action uses, and `ours` tells whether an object there is the one that this action made.
    pub async fn create(
        &mut self,
        made: &ObjectRef,
        build: impl Fn(&Value) -> Change,
        ours: impl Fn(&Value) -> bool,
    ) -> Result<Written, Trouble> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.desk.pace.retry).await;
            }
            let (permit, object) = self.permit().await?;
            match self.desk.remote.send(&permit, self.object, &build(&object)).await {
                Ok(stored) => {
                    self.sent();
                    return Ok(stored);
                }
                // Its name is taken: by this action, whose answer was lost, or by somebody else.
                Err(error @ SourceError::Conflict { .. }) => {
                    return match self.find_made(made, &ours).await? {
                        Some(stored) => Ok(stored),
                        None => Err(Trouble::Refused(error.to_string())),
                    };
                }
                Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                    last = error.to_string();
                    if let Some(stored) = self.find_made(made, &ours).await? {
                        return Ok(stored);
                    }
                }
                Err(error) => last = self.bear(error).await?,
            }
        }
        Err(Trouble::Failed(format!("not made after {ATTEMPTS} attempts: {last}")))
    }

    /// Deletes the object, and what hangs on it in the background (contracts 3.5); returns it as it was last:
    /// afterwards there is none to read owner, pool or node from.
    pub async fn delete(&mut self) -> Result<Written, Trouble> {
        let options = json!({ "propagationPolicy": "Background" });
        self.delete_bound(&options, Bound::Object).await
    }

    /// Deletes the object as these options say, on the version that the gate looked at; returns it as it was last.
    ///
    /// Where only its version has changed the gate looks again; another object of the name is never hit.
    pub async fn delete_as(&mut self, options: &Value) -> Result<Written, Trouble> {
        self.delete_bound(options, Bound::Version).await
    }

    async fn delete_bound(&mut self, options: &Value, bound: Bound) -> Result<Written, Trouble> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.desk.pace.retry).await;
            }
            let (permit, object) = self.permit().await?;
            let change = deletion(options, permit.uid());
            let change = match bound {
                Bound::Object => change,
                Bound::Version => change.on(text(&object, VERSION)),
            };
            match self.desk.remote.send(&permit, self.object, &change).await {
                // Gone is what was wanted, whoever did it.
                Ok(_) | Err(SourceError::Missing { .. }) => {
                    self.sent();
                    return Ok(Written { object, warnings: Vec::new() });
                }
                Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                    if !self.is_going(permit.uid(), is_forced(options)).await {
                        return Err(Trouble::Failed(format!("{error}; not repeated, look at it first")));
                    }
                    self.sent();
                    return Ok(Written { object, warnings: Vec::new() });
                }
                // Written to since, which the next look tells from replaced.
                Err(error @ SourceError::Conflict { .. }) => last = error.to_string(),
                Err(error) => last = self.bear(error).await?,
            }
        }
        Err(Trouble::Failed(format!("not deleted after {ATTEMPTS} attempts: {last}")))
    }

    /// Waits where a server asks for it, and says why; any other error ends the write.
    async fn bear(&self, error: SourceError) -> Result<String, Trouble> {
        match error {
            SourceError::Throttled { what, until, reason } => {
                let why = format!("{what} asks to wait: {reason}");
                self.wait_until(until, &why).await?;
                Ok(why)
            }
            error => Err(Trouble::Failed(error.to_string())),
        }
    }

    /// Waits as long as a server asks for, where that is bearable.
    pub async fn wait_until(&self, until: Option<Timestamp>, why: &str) -> Result<(), Trouble> {
        let now = self.desk.clock.now();
        let wait = until.map_or(1, |until| until.as_second() - now.as_second());
        if wait > LONGEST_WAIT {
            return Err(Trouble::Failed(why.to_owned()));
        }
        tokio::time::sleep(Duration::from_secs(u64::try_from(wait).unwrap_or(0))).await;
        Ok(())
    }

    /// Notes a write that is in force. Only a merge patch says which fields it is about.
    fn landed(&mut self, permit: Permit, before: &Value, change: &Change, after: &Value) {
        self.sent();
        if let Change::Patch(Patch::Merge, patch) = change {
            self.changed(permit.object(), before, patch, after);
        }
        // The answer to a scale is no object that facts of the plan could be read from.
        if !matches!(change, Change::Scale(_)) {
            self.admission.wrote(permit, after);
        }
    }

    /// Finds out whether a write that was sent on a version has landed; reads a few times, because what lost the
    /// answer may last.
    ///
    /// `None` only where it surely has not: the object is as it was. Where it was changed since, the write may have
    /// landed and been taken back; to send it again would do it twice.
    async fn find(
        &mut self,
        at: &ObjectRef,
        sent: Unsure,
        landed: impl Fn(&Value) -> bool,
    ) -> Result<Option<Written>, Trouble> {
        let Unsure { permit, before, change } = sent;
        let mut error = String::new();
        let unknown = |why: String| {
            let text = format!(
                "whether it was written is not known: the answer was lost, and {why}; look at it before you try again"
            );
            Err(Trouble::Failed(text))
        };
        for _ in 0..READS {
            match self.desk.remote.look(at).await {
                Ok(Some(object)) if landed(&object) => {
                    self.landed(permit, &before, &change, &object);
                    return Ok(Some(Written { object, warnings: Vec::new() }));
                }
                Ok(Some(object)) if text(&object, VERSION) == text(&before, VERSION) => return Ok(None),
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
        &mut self,
        at: &ObjectRef,
        ours: impl Fn(&Value) -> bool,
    ) -> Result<Option<Written>, Trouble> {
        let mut error = String::new();
        for _ in 0..READS {
            match self.desk.remote.look(at).await {
                Ok(Some(object)) if ours(&object) => {
                    self.sent();
                    return Ok(Some(Written { object, warnings: Vec::new() }));
                }
                Ok(_) => return Ok(None),
                Err(reason) => error = reason,
            }
            self.pause().await;
        }
        let text = format!(
            "whether it was made is not known: the answer was lost, and {at} cannot be read ({error}); look at it before you try again"
        );
        Err(Trouble::Failed(text))
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
}

/// Returns the delete of this object by its UID, so that a replacement is never hit.
fn deletion(options: &Value, uid: &str) -> Change {
    let mut options = options.clone();
    options["preconditions"] = json!({ "uid": uid });
    Change::Delete(options)
}

/// Tells whether a delete leaves no time to end: then an object that is merely ending does not show that it arrived.
fn is_forced(options: &Value) -> bool {
    options.get("gracePeriodSeconds") == Some(&json!(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delete_names_the_uid_so_that_a_replacement_is_never_hit() {
        // contracts 3.5, row "delete".
        let options = json!({ "propagationPolicy": "Background" });
        let asked = json!({ "propagationPolicy": "Background", "preconditions": { "uid": "u-1" } });
        assert_eq!(deletion(&options, "u-1"), Change::Delete(asked));
    }
}
