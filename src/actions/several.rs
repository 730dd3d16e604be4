//! What becomes of several objects together: one outcome, in which each keeps its own verdict.

use super::Outcome;
use crate::identity::ObjectRef;

/// Of how many objects each verdict is told in the sentence of all.
const NAMED: usize = 6;

/// Makes one outcome of several: the worst, with the count of those that were done.
pub(super) fn sum_up(objects: &[ObjectRef], mut done: Vec<Outcome>) -> Outcome {
    if objects.len() == 1 {
        return done.pop().unwrap_or_else(|| Outcome::Refused("nothing was selected".to_owned()));
    }
    let total = objects.len();
    let good =
        done.iter().filter(|outcome| matches!(outcome, Outcome::Verified(_) | Outcome::Accepted(_))).count();
    if good == total {
        let accepted = done.iter().any(|outcome| matches!(outcome, Outcome::Accepted(_)));
        let detail = format!("all {total}: {}", each(objects, &done));
        return if accepted { Outcome::Accepted(detail) } else { Outcome::Verified(detail) };
    }
    let (at, bad) = done
        .iter()
        .enumerate()
        .rfind(|(_, outcome)| !matches!(outcome, Outcome::Verified(_) | Outcome::Accepted(_)))
        .map_or((0, ""), |(at, outcome)| (at, outcome.detail()));
    let name = objects.get(at).map_or("", |object| &*object.name);
    let untouched: Vec<&str> = objects.iter().skip(done.len()).map(|object| &*object.name).collect();
    let rest = match untouched.len() {
        0 => String::new(),
        count if count > NAMED => {
            format!("; not begun: {} and {} more", untouched[..NAMED].join(", "), count - NAMED)
        }
        _ => format!("; not begun: {}", untouched.join(", ")),
    };
    let detail = format!("{good} of {total} done; {name}: {bad}{rest}");
    match done.last() {
        Some(Outcome::Refused(_)) if good == 0 && done.len() == 1 => Outcome::Refused(detail),
        Some(Outcome::Failed(_) | Outcome::Refused(_)) => Outcome::Failed(detail),
        _ => Outcome::NotVerified(detail),
    }
}

/// Says how each ended where they are few, else how the last one did: the record has them all.
fn each(objects: &[ObjectRef], done: &[Outcome]) -> String {
    if done.len() > NAMED {
        return done.last().map_or("", |last| last.detail()).to_owned();
    }
    let said = objects.iter().zip(done).map(|(object, one)| format!("{}: {}", object.name, one.detail()));
    said.collect::<Vec<_>>().join("; ")
}
