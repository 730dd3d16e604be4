//! Would the server evict these pods? It is asked, by the dry run of an eviction, which asks budgets, rights and webhooks
//! like an eviction and evicts nothing.
//!
//! A dry run takes nothing from a budget: three pods of a budget that allows one are each said to go. What budgets have
//! left stands in a line of its own ([`super::preflight`]).

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::Value;

use super::super::change::Change;
use super::super::desk::{Desk, Remote};
use super::super::{Line, Mark};
use super::NAMES;
use super::evict::{eviction, refusal};
use super::pods::{Pod, counted, named};
use crate::identity::ObjectRef;
use crate::sources::SourceError;

/// How many dry runs are under way at a time: a node of 100 pods takes a dozen round trips, and the server is not
/// flooded, whose share for one user is often no more than this.
const AT_ONCE: usize = 8;
/// How long all of them may take: one takes as long as the slowest webhook.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What the server says to one eviction.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    /// It would.
    Yes,
    /// The pod is gone, or another one has its name.
    Gone,
    /// Not now: a budget, or a server that is busy.
    Later(String),
    /// Never.
    No(String),
    /// It could not be asked.
    Unknown(String),
}

/// Asks for each pod that goes, and says what the server says.
pub(super) async fn evictions<R: Remote>(desk: &Desk<R>, node: &ObjectRef, going: &[&Value]) -> Vec<Line> {
    let mut asked = Vec::new();
    for pod in going.iter().map(|pod| Pod(pod)).filter(|pod| !pod.is_ending()) {
        asked.push((pod.object(node), pod.uid().to_owned(), pod.called()));
    }
    let asking = asked.into_iter().map(|(object, uid, name)| async move {
        let answer = desk.remote.rehearse(&object, &Change::Evict(eviction(&object, &uid))).await;
        (said(answer.map(|_| ())), name)
    });
    let answers: Vec<(Said, String)> = stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
    lines(answers)
}

/// Sorts an answer (contracts 3.6).
fn said(answer: Result<(), SourceError>) -> Said {
    match answer {
        Ok(()) => Said::Yes,
        Err(SourceError::Missing { .. } | SourceError::Conflict { .. }) => Said::Gone,
        Err(SourceError::Throttled { reason, .. }) => Said::Later(refusal(&reason)),
        // The namespace goes, and its pods with it.
        Err(SourceError::Denied { reason, .. }) if reason.contains("terminated") => Said::Later(reason),
        // A webhook that could not keep its hands still: the eviction itself may well be let through.
        Err(error) if error.to_string().contains("does not support dry run") => {
            Said::Unknown(error.to_string())
        }
        Err(error @ (SourceError::Denied { .. } | SourceError::Invalid { .. })) => {
            Said::No(error.to_string())
        }
        // Asked again it would be refused again.
        Err(error @ SourceError::Garbled { .. }) if error.to_string().contains("PodDisruptionBudget") => {
            Said::No(error.to_string())
        }
        Err(error) => Said::Unknown(error.to_string()),
    }
}

/// Says it in a few lines, however many pods there are: the pods of one reason together.
fn lines(answers: Vec<(Said, String)>) -> Vec<Line> {
    let mut groups: BTreeMap<Said, Vec<String>> = BTreeMap::new();
    for (said, name) in answers {
        groups.entry(said).or_default().push(name);
    }
    let line = |(said, mut names): (Said, Vec<String>)| {
        names.sort();
        let (pods, who) = (counted(names.len(), "pod"), named(&names, NAMES));
        match said {
            Said::Yes => Line::new(Mark::Ok, format!("the server would evict {pods} (server dry run)")),
            Said::Gone => Line::new(Mark::Note, format!("gone already or replaced: {who}")),
            Said::Later(why) => Line::new(
                Mark::Warn,
                format!("refused now, waited for (server dry run): {pods}: {who}: {why}"),
            ),
            Said::No(why) => Line::new(
                Mark::Stop,
                format!("the server would not evict (server dry run): {pods}: {who}: {why}"),
            ),
            Said::Unknown(why) => Line::new(
                Mark::Warn,
                format!("whether the server would evict {pods} is not known: {who}: {why}"),
            ),
        }
    };
    groups.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(reason: &str) -> Result<(), SourceError> {
        Err(SourceError::Throttled { what: "x".to_owned(), until: None, reason: reason.to_owned() })
    }

    // The words of a real server, contracts 3.6.
    #[test]
    fn many_answers_become_a_line_for_each_reason() {
        let budget = "Cannot evict pod as it would violate the pod's disruption budget. (The disruption budget api needs 2 healthy pods and has 2 currently)";
        let mut answers: Vec<(Said, String)> =
            (0..97).map(|at| (said(Ok(())), format!("shop/ok-{at}"))).collect();
        answers.push((said(throttled(budget)), "shop/b".to_owned()));
        answers.push((said(throttled(budget)), "shop/a".to_owned()));
        let denied = SourceError::Denied {
            verb: "create".to_owned(),
            object: "eviction of pods shop/c".to_owned(),
            reason: "no RBAC policy matched".to_owned(),
        };
        answers.push((said(Err(denied)), "shop/c".to_owned()));
        let lines = lines(answers);
        let said: Vec<(Mark, &str)> = lines.iter().map(|line| (line.mark, line.text.as_str())).collect();
        assert_eq!(
            said,
            [
                (Mark::Ok, "the server would evict 97 pods (server dry run)"),
                (
                    Mark::Warn,
                    "refused now, waited for (server dry run): 2 pods: shop/a, shop/b: budget api: needs 2 healthy pods and has 2 currently"
                ),
                (
                    Mark::Stop,
                    "the server would not evict (server dry run): 1 pod: shop/c: not permitted to create eviction of pods shop/c: no RBAC policy matched"
                ),
            ]
        );
    }
}
