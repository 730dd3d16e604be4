//! Verbs: what a person may do to the platform, each with its plan, its steps and its verification.
//!
//! A verb is described as data: the plan says what will be touched, what was checked and what must be typed;
//! the runner carries out the confirmed plan and nothing else. Nothing here writes to a remote system on its
//! own: every write goes through the gate and the audited runner.

use serde::{Deserialize, Serialize};

use crate::identity::Target;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Compare an Application again.
    Refresh,
    /// Compare again and drop the manifest cache.
    HardRefresh,
    /// Sync an Application.
    Sync,
    /// Roll an Application back to a history entry.
    Rollback,
    /// Terminate the running operation of an Application.
    Terminate,
    /// Switch auto-sync off and remember exactly what it was.
    HoldAutosync,
    /// Give auto-sync back exactly as it was.
    ReleaseAutosync,
    /// Delete a pod.
    DeletePod,
    /// Restart a workload.
    Restart,
    /// Mark a node unschedulable.
    Cordon,
    /// Mark a node schedulable.
    Uncordon,
}

/// What somebody wants done, before anything was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The verb.
    pub verb: Verb,
    /// What it is done to, as it was when the question was asked.
    pub targets: Vec<Target>,
    /// How.
    pub options: Options,
    /// Why, in the person's words; may be empty where no rule asks for it.
    pub reason: String,
}

/// How a verb is carried out; what does not apply to the verb is at its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Rollback: the id of the history entry.
    pub history_id: Option<i64>,
    /// Sync: the revision; `None` for the tracked one.
    pub revision: Option<String>,
    /// Sync, rollback: delete what is no longer in Git.
    pub prune: bool,
    /// Sync: let the server only pretend.
    pub dry_run: bool,
    /// Sync: replace or delete and create where needed.
    pub force: bool,
    /// Sync: apply only, without hooks.
    pub apply_only: bool,
    /// Sync: only these resources; empty for all.
    pub resources: Vec<SyncResource>,
    /// Rollback, hold: minutes for which auto-sync is held.
    pub hold_minutes: Option<u32>,
}

/// One resource of a selective sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncResource {
    /// API group; empty for core.
    pub group: String,
    /// Kind name.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// The standing of one line of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Where it goes to (the revision, the number).
    To,
    /// Where it comes from.
    From,
    /// What changes on the platform.
    Change,
    /// Checked, and in order.
    Ok,
    /// Changed for the duration and given back.
    Hold,
    /// Good to know.
    Note,
    /// Speaks against it, and can be overridden by confirming.
    Warn,
    /// Forbids it: the plan cannot be run.
    Stop,
    /// How it is followed to a verified end.
    After,
    /// Still being checked.
    Pending,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its standing.
    pub mark: Mark,
    /// The sentence, cleaned.
    pub text: String,
}

/// What must be given before a plan runs; Enter alone never confirms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirmation {
    /// A `y`.
    Yes,
    /// This name, typed whole.
    Type(String),
}

/// A mutation with its checks, as shown before anything is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What was asked.
    pub request: Request,
    /// One line that names verb, object, context and environment.
    pub title: String,
    /// What will be touched, what was checked, what will not happen.
    pub lines: Vec<Line>,
    /// What must be given to run it.
    pub confirmation: Confirmation,
    /// The equivalent command of the usual tool (argocd, kubectl).
    pub command: String,
}

impl Plan {
    /// Returns the lines that forbid the plan.
    pub fn stops(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.mark == Mark::Stop)
    }

    /// Tells whether the plan may be confirmed: nothing forbids it and nothing is still being checked.
    pub fn can_run(&self) -> bool {
        !self.lines.iter().any(|line| matches!(line.mark, Mark::Stop | Mark::Pending))
    }
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "detail")]
pub enum Outcome {
    /// Done, and seen to be so; the sentence says by what.
    Verified(String),
    /// Written, and not seen to be so in time.
    NotVerified(String),
    /// The server or the platform said no, or it went wrong; nothing or not all was done.
    Failed(String),
    /// The gate or the person said no; nothing was written.
    Refused(String),
}
