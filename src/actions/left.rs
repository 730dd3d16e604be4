//! Rotations that were left before their end: what the record says of them, so that a console can offer to go on.
//!
//! It reads the record alone. Nothing is gone on with here: that is a plan of its own, with its own question.

use jiff::{SignedDuration, Timestamp};

use super::Verb;
use super::closing::STOPPED;
use super::undo::Entry;
use crate::audit::{Ending, Intent};
use crate::identity::{Context, Target};
use crate::kinds::secrets;

/// How long one that was left is offered: after a day somebody has seen to it in another way, or it waits for no key.
const OFFERED: SignedDuration = SignedDuration::from_hours(24);

/// A rotation that was left before its end and that nobody follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// Its id in the audit.
    pub id: String,
    /// When it was begun.
    pub at: Timestamp,
    /// The context that it was in.
    pub context: Context,
    /// The `ExternalSecret`.
    pub target: Target,
    /// The tenant that it belongs to, where there is one.
    pub tenant: Option<String>,
    /// What it was.
    pub title: String,
    /// Where the chain stands, in a sentence.
    pub stands: String,
}

/// Returns the rotations that were left, oldest first: of each `ExternalSecret` the latest, where it is not at its end.
pub fn left(entries: &[Entry<'_>], now: Timestamp) -> Vec<Left> {
    let mut found: Vec<Left> = Vec::new();
    for entry in entries.iter().filter(|entry| is_chain(&entry.intent.verb)) {
        let Some(target) = of(entry.intent) else { continue };
        // Whatever comes later decides: an end, or another console that is at it.
        found.retain(|known| known.target.object != target.object);
        let stands = entry.ending.and_then(stands);
        let lately = entry.before.at.saturating_add(OFFERED).is_ok_and(|until| until > now);
        if let Some(stands) = stands.filter(|_| lately) {
            found.push(Left {
                id: entry.before.id.clone(),
                at: entry.before.at,
                context: entry.intent.context.clone(),
                target: target.clone(),
                tenant: entry.intent.tenant.clone(),
                title: entry.intent.title.clone(),
                stands,
            });
        }
    }
    found
}

/// Tells whether a verb goes the way of a rotation, down to the last pod.
pub fn is_chain(verb: &str) -> bool {
    [Verb::Rotate, Verb::ResumeRotation, Verb::RestoreSecret].iter().any(|one| one.word() == verb)
}

fn of(intent: &Intent) -> Option<&Target> {
    intent.targets.iter().find(|target| target.object.resource == secrets::external_secret())
}

/// Says where the chain stood when it was left; nothing where it is at its end, or never began.
fn stands(ending: &Ending) -> Option<String> {
    let stopped = ending.steps.iter().any(|step| step.mark == STOPPED);
    match ending.outcome.as_str() {
        "not-done" if stopped => Some(without_command(&ending.detail)),
        // What failed on the way can be gone on with once it is put right.
        "not-verified" | "failed" if ending.steps.first().is_some_and(|first| is_over(&first.mark)) => {
            let done = ending.steps.iter().filter(|step| step.mark == "done").count();
            // Steps that were not begun say nothing; the one that was cut off may count as given up.
            let over = ending.steps.iter().rposition(|step| step.mark == "done").map_or(0, |last| last + 1);
            let rest = ending.steps.get(over..).unwrap_or_default();
            let next = rest.iter().rfind(|step| step.text.contains(": ")).or(rest.first());
            let next = next.map_or_else(String::new, |step| format!(", then: {}", step.text));
            Some(format!("{done} of {} steps are done{next}", ending.steps.len()))
        }
        _ => None,
    }
}

/// Tells whether a step needs nothing more.
fn is_over(mark: &str) -> bool {
    matches!(mark, "done" | "skipped")
}

/// Takes off the command that does what the key beside the sentence does, and how it was found.
fn without_command(detail: &str) -> String {
    let detail = detail.split("; go on with: ").next().unwrap_or(detail);
    detail.strip_prefix("it was cut off; found later: ").unwrap_or(detail).to_owned()
}
