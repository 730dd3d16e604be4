//! Verbs: what a person may do to the platform, each with its plan, its steps and its verification.
//!
//! A verb is described as data: the plan says what will be touched, what was checked and what must be typed;
//! carrying out means the confirmed plan and nothing else. Every write needs a [`crate::gate::Permit`], and a
//! permit needs a written audit record, so nothing here can write on its own.
//!
//! The way of an action: [`Request`] to `plan` to [`Plan`], shown; the person's [`Answer`] to
//! [`confirm`] to [`Confirmed`]; that to `carry_out`, which streams [`Progress`] and ends in an [`Outcome`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::{Changed, Held};
use crate::gate::{Admission, Claims, Gate, Question, Refusal};
pub use crate::gate::{Answer, Basis, Confirmation};
use crate::identity::{ObjectRef, Target};
use crate::text::one_line;

pub mod application;
mod autosync;
mod bounds;
mod change;
mod claim;
mod closing;
mod delete;
mod desk;
mod difference;
mod draft;
mod drain;
mod edit;
mod git_change;
mod git_difference;
mod halt;
mod images;
mod job;
pub mod left;
mod managed;
mod manifests;
mod node;
pub mod operation;
mod options;
mod owners;
mod pod;
mod protect;
mod pullable;
mod reads;
mod refresh;
mod renew;
mod restart;
pub mod reveal;
mod revert;
mod revision;
pub mod rights;
mod rollback;
mod rollout;
mod rotate;
mod run;
mod scale;
mod set_image;
mod several;
pub mod sheet;
mod silence;
mod steer;
mod sync;
mod terminate;
pub mod undo;
mod verbs;
mod verdict;
pub mod windows;
mod work;
mod workload;
mod write;

pub use closing::{Closed, close};
pub use desk::{Desk, Pace, Remote, local_user};
pub use draft::{plan, resolve};
pub use drain::PARALLEL;
pub use options::{Cascade, LeftOut, Options, SyncResource};
pub use run::{Follow, carry_out, carry_out_steered};
pub use steer::{Hand, Steer};

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
    /// Put the version before back in the Git repository of an Application.
    Revert,
    /// Copy the version of one environment to another in Git.
    Promote,
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
    /// Change how many pods a workload has.
    Scale,
    /// Give a workload the pod template of an earlier revision.
    RolloutUndo,
    /// Pause a rollout, or KEDA's scaling.
    Pause,
    /// Suspend a `CronJob` or a Job.
    Suspend,
    /// Let go on what is paused or suspended.
    Resume,
    /// Give a container another image.
    SetImage,
    /// Change the fewest and the most pods of an autoscaler.
    SetBounds,
    /// Run a `CronJob` now.
    RunJob,
    /// Change an object in an editor.
    Edit,
    /// Delete an object.
    Delete,
    /// Take a pod away whose node does not end it.
    ForceDelete,
    /// Mark a node unschedulable.
    Cordon,
    /// Mark a node schedulable.
    Uncordon,
    /// Evict the pods of a node.
    Drain,
    /// Ask Karpenter to leave a node alone.
    Protect,
    /// Let Karpenter take a node away again.
    Unprotect,
    /// Delete a NodeClaim, so that Karpenter replaces the machine.
    DeleteNodeclaim,
    /// Have a Certificate issued anew.
    Renew,
    /// Keep alerts quiet for a while.
    Silence,
    /// Make a silence longer.
    ExtendSilence,
    /// End a silence.
    ExpireSilence,
    /// Rotate a secret, and follow it to the last pod that uses it.
    Rotate,
    /// Go on with a rotation from where it is.
    ResumeRotation,
    /// Bring the previous version of a secret back.
    RestoreSecret,
    /// Have External Secrets bring a secret again.
    RefreshSecret,
    /// Show one key of a Secret on the screen.
    Reveal,
    /// Put fields back as the record of an action says that they were.
    Undo,
}

impl Verb {
    /// All verbs, in the order of the help.
    pub const ALL: [Self; 38] = [
        Self::Refresh,
        Self::HardRefresh,
        Self::Sync,
        Self::Rollback,
        Self::Revert,
        Self::Promote,
        Self::Terminate,
        Self::HoldAutosync,
        Self::ReleaseAutosync,
        Self::DeletePod,
        Self::Restart,
        Self::Scale,
        Self::RolloutUndo,
        Self::Pause,
        Self::Suspend,
        Self::Resume,
        Self::SetImage,
        Self::SetBounds,
        Self::RunJob,
        Self::Edit,
        Self::Delete,
        Self::ForceDelete,
        Self::Cordon,
        Self::Uncordon,
        Self::Drain,
        Self::Protect,
        Self::Unprotect,
        Self::DeleteNodeclaim,
        Self::Renew,
        Self::Silence,
        Self::ExtendSilence,
        Self::ExpireSilence,
        Self::Rotate,
        Self::ResumeRotation,
        Self::RestoreSecret,
        Self::RefreshSecret,
        Self::Reveal,
        Self::Undo,
    ];

    /// Tells whether a reason must be given: where others will read it and ask.
    pub fn needs_reason(self) -> bool {
        matches!(self, Self::Silence | Self::Reveal)
    }

    /// Tells whether the name of what it is done to is typed everywhere, also where nothing is protected.
    pub fn types_name(self) -> bool {
        matches!(self, Self::Delete | Self::ForceDelete | Self::Reveal)
    }

    /// Tells whether it goes on writing while it is followed: it can be held, and its end is the end of the program.
    pub fn writes_on(self) -> bool {
        verbs::writes_on(self)
    }

    /// Returns the word of the record and of JSON, such as `hard-refresh`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::HardRefresh => "hard-refresh",
            Self::Sync => "sync",
            Self::Rollback => "rollback",
            Self::Revert => "revert",
            Self::Promote => "promote",
            Self::Terminate => "terminate",
            Self::HoldAutosync => "hold-autosync",
            Self::ReleaseAutosync => "release-autosync",
            Self::DeletePod => "delete-pod",
            Self::Restart => "restart",
            Self::Scale => "scale",
            Self::RolloutUndo => "rollout-undo",
            Self::Pause => "pause",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::SetImage => "set-image",
            Self::SetBounds => "set-bounds",
            Self::RunJob => "run-job",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::ForceDelete => "force-delete",
            Self::Cordon => "cordon",
            Self::Uncordon => "uncordon",
            Self::Drain => "drain",
            Self::Protect => "protect",
            Self::Unprotect => "unprotect",
            Self::DeleteNodeclaim => "delete-nodeclaim",
            Self::Renew => "renew",
            Self::Silence => "silence",
            Self::ExtendSilence => "extend-silence",
            Self::ExpireSilence => "expire-silence",
            Self::Rotate => "rotate",
            Self::ResumeRotation => "resume-rotation",
            Self::RestoreSecret => "restore-secret",
            Self::RefreshSecret => "refresh-secret",
            Self::Reveal => "reveal",
            Self::Undo => "undo",
        }
    }

    /// Returns how a title begins and a question ends, such as `Roll back`.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Refresh => "Refresh",
            Self::HardRefresh => "Hard refresh",
            Self::Sync => "Sync",
            Self::Rollback => "Roll back",
            Self::Revert => "Revert in Git",
            Self::Promote => "Promote",
            Self::Terminate => "Terminate the operation of",
            Self::HoldAutosync => "Hold auto-sync of",
            Self::ReleaseAutosync => "Release auto-sync of",
            Self::DeletePod => "Delete pod",
            Self::Restart => "Restart",
            Self::Scale => "Scale",
            Self::RolloutUndo => "Undo the rollout of",
            Self::Pause => "Pause",
            Self::Suspend => "Suspend",
            Self::Resume => "Resume",
            Self::SetImage => "Set the image of",
            Self::SetBounds => "Set the bounds of",
            Self::RunJob => "Run now",
            Self::Edit => "Edit",
            Self::Delete => "Delete",
            Self::ForceDelete => "FORCE the deletion of pod",
            Self::Cordon => "Cordon",
            Self::Uncordon => "Uncordon",
            Self::Drain => "Drain",
            Self::Protect => "Protect",
            Self::Unprotect => "Unprotect",
            Self::DeleteNodeclaim => "Delete NodeClaim",
            Self::Renew => "Renew",
            Self::Silence => "Silence",
            Self::ExtendSilence => "Extend silence",
            Self::ExpireSilence => "Expire silence",
            Self::Rotate => "Rotate secret",
            Self::ResumeRotation => "Go on with the rotation of",
            Self::RestoreSecret => "Restore the previous version of",
            Self::RefreshSecret => "Refresh secret",
            Self::Reveal => "Reveal",
            Self::Undo => "Put back",
        }
    }
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
    /// The tenant that the targets belong to, where one is known: what must be typed where the environment
    /// is protected.
    #[serde(default)]
    pub tenant: Option<String>,
}

impl Request {
    /// Says what the rules of the guard go by.
    pub(crate) fn claims(&self) -> Claims {
        let undone = self.options.undoes.iter().map(|undoes| undoes.verb.clone());
        Claims {
            verbs: std::iter::once(self.verb.word().to_owned()).chain(undone).collect(),
            tenant: self.tenant.clone(),
            reasoned: !self.reason.trim().is_empty(),
        }
    }
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
    /// A line of the whole difference, which is shown on demand: a resource, or indented below it what changes.
    Detail,
    /// Still being checked.
    Pending,
}

impl Mark {
    /// Returns the word that stands before the line.
    pub fn word(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::From => "from",
            Self::Change => "change",
            Self::Ok => "ok",
            Self::Hold => "hold",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Stop => "stop",
            Self::After => "after",
            Self::Detail => "diff",
            Self::Pending => "pending",
        }
    }
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its standing.
    pub mark: Mark,
    /// The sentence, cleaned.
    pub text: String,
}

impl Line {
    /// Writes a line; what came from the platform is cleaned.
    pub fn new(mark: Mark, text: impl Into<String>) -> Self {
        Self { mark, text: one_line(&text.into()).into_owned() }
    }
}

/// The rules of the guard that demand something of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Their names, with where they are written.
    pub rules: String,
    /// Whether a reason must be given.
    pub reason: bool,
}

/// A mutation with its checks, as shown before anything is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The question's id; it is answered once.
    pub id: String,
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
    /// What it was made from: the gate looks again before each write, and refuses where this differs.
    pub basis: Vec<Basis>,
    /// What it takes away for the duration, exactly as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Held>,
    /// The values that it changes, as they are and as they will be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Changed>,
    /// The rules of the guard that demand something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Ruling>,
    /// What it pushes to repositories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub git: Vec<GitChange>,
    /// When the last check answered.
    pub made: Timestamp,
    /// When it expires unanswered.
    pub expires: Timestamp,
}

/// One commit that a plan pushes: exactly this tree on top of exactly this tip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitChange {
    /// The Application for whose sake.
    pub object: ObjectRef,
    /// The repository as the Application writes it, without credentials.
    pub repository: String,
    /// The branch that is tracked.
    pub branch: String,
    /// The commit that the branch was at when the plan was made: it must be there still.
    pub tip: String,
    /// The tree of the new commit, which lies in the cache.
    pub tree: String,
    /// The branch that is pushed to: the tracked one, or one for review.
    pub push_to: String,
    /// The first line of the message.
    pub subject: String,
    /// What the message says beside the reason.
    pub body: String,
    /// The files that differ.
    pub files: Vec<String>,
}

impl Plan {
    /// Returns the lines of the plan itself, without the whole difference.
    pub fn summary(&self) -> Vec<Line> {
        self.lines.iter().filter(|line| line.mark != Mark::Detail).cloned().collect()
    }

    /// Returns the lines of the whole difference; empty where there is none to show.
    pub fn difference(&self) -> Vec<Line> {
        self.lines.iter().filter(|line| line.mark == Mark::Detail).cloned().collect()
    }

    /// Returns the lines that forbid the plan.
    pub fn stops(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.mark == Mark::Stop)
    }

    /// Tells whether the plan may be confirmed: nothing forbids it and nothing is still being checked.
    pub fn can_run(&self) -> bool {
        !self.lines.iter().any(|line| matches!(line.mark, Mark::Stop | Mark::Pending))
    }

    /// Tells whether a reason must be given: by the verb, or by a rule of the guard.
    pub fn needs_reason(&self) -> bool {
        self.request.verb.needs_reason() || self.rule.as_ref().is_some_and(|ruling| ruling.reason)
    }

    /// Puts the plan in the gate's terms.
    fn question(&self) -> Question {
        Question {
            id: self.id.clone(),
            expires: self.expires,
            basis: self.basis.clone(),
            confirmation: self.confirmation.clone(),
            stops: self.stops().map(|line| line.text.clone()).collect(),
            pending: self.lines.iter().any(|line| line.mark == Mark::Pending),
            claims: self.request.claims(),
        }
    }
}

/// A plan that was answered in the way that it asks for; cannot be copied, and is carried out once.
#[derive(Debug)]
pub struct Confirmed {
    plan: Plan,
    answer: Answer,
    admission: Admission,
}

impl Confirmed {
    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Takes the answer to a plan through the gate.
///
/// The refusal is a sentence for the person; a slip in the typed name leaves the question open.
pub fn confirm(gate: &mut Gate, plan: Plan, answer: Answer, now: Timestamp) -> Result<Confirmed, Refusal> {
    if plan.needs_reason() && plan.request.reason.trim().is_empty() {
        return Err(Refusal::NotConfirmed("a reason must be given".to_owned()));
    }
    let admission = gate.answer(plan.question(), &answer, now)?;
    Ok(Confirmed { plan, answer, admission })
}

/// The standing of one step of an action that is being carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Not begun.
    Waiting,
    /// Going on.
    Running,
    /// Done.
    Done,
    /// Went wrong.
    Failed,
    /// Not needed, or given up because an earlier step failed.
    Skipped,
}

/// One step of an action, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is done, such as `hold auto-sync`.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// What was seen last, cleaned; empty where there is nothing to say.
    pub detail: String,
}

/// How far an action has come: always the whole list, so that a lost message costs nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The action's id, which is the plan's.
    pub id: String,
    /// The object that is being worked on.
    pub object: ObjectRef,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// When the action began: the clock runs from here.
    pub begun: Timestamp,
    /// When this was seen.
    pub at: Timestamp,
    /// The time by which it should be done; missing it is shown, and following goes on.
    pub target: Option<Timestamp>,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "detail")]
pub enum Outcome {
    /// Done, and seen to be so; the sentence says by what.
    Verified(String),
    /// Written and accepted, and not followed because nobody asked for it.
    Accepted(String),
    /// Written, and not seen to be so in time.
    NotVerified(String),
    /// The server or the platform said no, or it went wrong; nothing or not all was done.
    Failed(String),
    /// The gate or the person said no; nothing was written.
    Refused(String),
}

impl Outcome {
    /// Returns the word of the record and of JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Verified(_) => "verified",
            Self::Accepted(_) => "accepted",
            Self::NotVerified(_) => "not-verified",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
        }
    }

    /// Says it in another sentence.
    #[must_use]
    pub fn map(self, say: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Verified(detail) => Self::Verified(say(detail)),
            Self::Accepted(detail) => Self::Accepted(say(detail)),
            Self::NotVerified(detail) => Self::NotVerified(say(detail)),
            Self::Failed(detail) => Self::Failed(say(detail)),
            Self::Refused(detail) => Self::Refused(say(detail)),
        }
    }

    /// Returns the sentence.
    pub fn detail(&self) -> &str {
        match self {
            Self::Verified(detail)
            | Self::Accepted(detail)
            | Self::NotVerified(detail)
            | Self::Failed(detail)
            | Self::Refused(detail) => detail,
        }
    }
}

#[cfg(test)]
mod tests;
