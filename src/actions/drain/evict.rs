//! Carrying a drain out: each pod of the plan is a small state machine, and each round looks before it writes.
//!
//! A round lists the pods on the node and concludes from their UIDs what became of the plan's. Then it evicts what is
//! due, as many at a time as asked for, and always waits for the answers. An eviction whose answer was lost is not
//! sent again before the pod was seen without it, and it carries the UID, so that it can hit no other pod.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::desk::Remote;
use super::super::draft::text;
use super::super::steer::Steer;
use super::super::work::Work;
use super::super::write::Trouble;
use super::super::{Outcome, Plan};
use super::pods::{Lot, Pod, counted, named};
use super::{NAMES, PARALLEL, UNSCHEDULABLE, on_node, unschedulable};
use crate::audit;
use crate::gate::Refusal;
use crate::human;
use crate::identity::ObjectRef;
use crate::sources::SourceError;
use crate::sources::change::Change;

/// The longest wait that a busy server may ask for before an eviction is tried again.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How far one pod is.
#[derive(Debug, Clone, PartialEq)]
enum At {
    /// It is to be evicted.
    Waiting,
    /// It was refused, and is tried again at a time.
    Refused { again: Instant, why: String },
    /// Something was sent, and no answer came: the next look tells.
    Unsure(String),
    /// It is ending.
    Ending,
    /// It is gone from the node.
    Gone,
    /// It cannot be evicted.
    Failed(String),
}

/// One pod of the plan.
#[derive(Debug)]
struct One {
    object: ObjectRef,
    uid: String,
    name: String,
    step: usize,
    at: At,
    /// How often a budget or a busy server refused it.
    refusals: u32,
    /// Since when it is ending.
    since: Option<Instant>,
}

/// What came of asking for an eviction.
enum Answer {
    /// It is under way.
    Accepted,
    /// The pod is gone, or another one has its name.
    Gone,
    /// Not now.
    Refused { why: String, wait: Option<Duration> },
    /// Nothing was sent.
    NotSent(String),
    /// No answer came that can be trusted.
    Lost(String),
    /// Never.
    Failed(String),
}

/// Drains the node of `work`, until all pods of the plan are gone, the time is up, or somebody ends it.
pub(in crate::actions) async fn run<R: Remote>(work: &mut Work<'_, R>, steer: &Steer) -> Outcome {
    let ours = match cordon(work).await {
        Ok(ours) => ours,
        Err(Trouble::Refused(why)) if !work.has_written() => return Outcome::Refused(why),
        Err(Trouble::Refused(why) | Trouble::Failed(why)) => return Outcome::Failed(why),
    };
    let mut drain = Drain {
        pods: work
            .others()
            .into_iter()
            .enumerate()
            .map(|(at, target)| One {
                name: match &target.object.namespace {
                    Some(namespace) => format!("{namespace}/{}", target.object.name),
                    None => target.object.name.to_string(),
                },
                uid: target.uid.to_string(),
                object: target.object,
                step: at + 1,
                at: At::Waiting,
                refusals: 0,
                since: None,
            })
            .collect(),
        newcomers: Vec::new(),
        stayed: 0,
        ours,
        node_gone: false,
    };
    let options = &work.plan.request.options;
    let parallel = usize::try_from(options.parallel.unwrap_or(PARALLEL).max(1)).unwrap_or(1);
    let mut left = work.desk.pace.long(options);
    let mut last = Instant::now();
    loop {
        let seen = drain.look(work).await;
        if seen && drain.pods.iter().all(|pod| matches!(pod.at, At::Gone | At::Failed(_))) {
            return drain.end(work);
        }
        let (now, held) = (Instant::now(), steer.is_held());
        // A drain that is held does not run out of time.
        if !held {
            left = left.saturating_sub(now - last);
        }
        last = now;
        if steer.stop().is_cancelled() {
            return drain.cut(work, "ended by hand");
        }
        if left.is_zero() {
            let time = human::span(work.desk.pace.long(options).as_secs().cast_signed());
            return drain.cut(work, &format!("not done in {time}"));
        }
        if seen && !held {
            drain.evict(work, parallel).await;
        }
        drain.tell(work, held);
        tokio::select! {
            biased;
            () = steer.stop().cancelled() => {}
            () = work.pause() => {}
        }
    }
}

/// Cordons the node, and with the first node of several all others: what is evicted here must not go where it is
/// evicted next. Returns the nodes that this drain has cordoned.
async fn cordon<R: Remote>(work: &mut Work<'_, R>) -> Result<Vec<String>, Trouble> {
    work.running(0, "");
    let targets: Vec<ObjectRef> =
        work.plan.request.targets.iter().map(|target| target.object.clone()).collect();
    let ours: Vec<String> = targets
        .iter()
        .filter(|node| !was_cordoned(work.plan, node))
        .map(|node| node.name.to_string())
        .collect();
    if targets.first() == Some(work.object) {
        for node in &targets {
            if !was_cordoned(work.plan, node) {
                work.running(0, if targets.len() > 1 { node.name.to_string() } else { String::new() });
                mark(work, node).await?;
            }
        }
    }
    // Whether it is still the node of the plan, and as this drain or somebody before it left it.
    let (_, node) = work.permit().await?;
    if !unschedulable(&node) {
        return Err(Trouble::Failed("somebody made the node schedulable again".to_owned()));
    }
    if was_cordoned(work.plan, work.object) {
        work.skipped(0, "it was cordoned before");
    } else {
        work.done(0, "by this drain");
    }
    Ok(ours)
}

/// Tells whether a node was cordoned when the plan was made.
fn was_cordoned(plan: &Plan, node: &ObjectRef) -> bool {
    // A plan keeps digests alone.
    let cordoned = audit::hash("true");
    plan.basis
        .iter()
        .filter(|basis| basis.target.object == *node)
        .flat_map(|basis| &basis.facts)
        .any(|fact| fact.pointer == UNSCHEDULABLE && fact.digest == cordoned)
}

async fn mark<R: Remote>(work: &mut Work<'_, R>, node: &ObjectRef) -> Result<(), Trouble> {
    let patch = |node: &Value| {
        Ok(json!({
            "metadata": { "resourceVersion": text(node, "/metadata/resourceVersion") },
            "spec": { "unschedulable": true },
        }))
    };
    let stored = work.write_to(node, patch, unschedulable).await?;
    if unschedulable(&stored.object) {
        return Ok(());
    }
    let text = format!("the write was accepted, and {} is schedulable all the same", node.name);
    Err(Trouble::Failed(text))
}

/// The state of a drain.
struct Drain {
    pods: Vec<One>,
    /// Pods that would have to go and are not of the plan.
    newcomers: Vec<String>,
    /// How many pods stay by right.
    stayed: usize,
    /// The nodes that this action has cordoned.
    ours: Vec<String>,
    /// Whether the node itself is gone.
    node_gone: bool,
}

impl Drain {
    /// Looks at the node and its pods, and concludes; tells whether it could.
    async fn look<R: Remote>(&mut self, work: &mut Work<'_, R>) -> bool {
        let end = self.pods.len() + 1;
        let (listed, node) = tokio::join!(on_node(work.desk, work.object), work.look());
        let (documents, node) = match (listed, node) {
            (Ok(documents), Ok(node)) => (documents, node),
            (Err(error), _) | (_, Err(error)) => {
                work.running(end, format!("the node cannot be looked at: {error}"));
                return false;
            }
        };
        self.node_gone = node.is_none();
        let here: BTreeMap<&str, Pod<'_>> = documents.iter().map(|pod| (Pod(pod).uid(), Pod(pod))).collect();
        for one in &mut self.pods {
            one.at = match (std::mem::replace(&mut one.at, At::Waiting), here.get(one.uid.as_str())) {
                (At::Failed(why), Some(_)) => At::Failed(why),
                (_, None) => At::Gone,
                (_, Some(pod)) if pod.is_ending() => {
                    if one.since.is_none() {
                        one.since = Some(Instant::now());
                    }
                    At::Ending
                }
                // It is there and nobody has asked it to end: what was sent did not arrive.
                (At::Unsure(why), Some(_)) if why.contains("more than one PodDisruptionBudget") => {
                    At::Failed(why)
                }
                (At::Unsure(_), Some(_)) => At::Waiting,
                (before, Some(_)) => before,
            };
        }
        let planned = |pod: &Pod<'_>| self.pods.iter().any(|one| one.uid == pod.uid());
        self.newcomers =
            here.values().filter(|pod| pod.goes() && !planned(pod)).map(|pod| pod.called()).collect();
        self.newcomers.sort();
        self.stayed = here.values().filter(|pod| matches!(pod.lot(), Lot::Daemon | Lot::Mirror)).count();
        if node.as_ref().is_some_and(|node| !unschedulable(node)) {
            work.running(0, "somebody made the node schedulable again: new pods may come");
        }
        true
    }

    /// Evicts what is due, as many as there is room for, and takes the answers.
    async fn evict<R: Remote>(&mut self, work: &mut Work<'_, R>, parallel: usize) {
        if self.node_gone {
            return;
        }
        let under_way = self.pods.iter().filter(|one| matches!(one.at, At::Ending | At::Unsure(_))).count();
        let now = Instant::now();
        let due: Vec<usize> = self
            .pods
            .iter()
            .enumerate()
            .filter(|(_, one)| match &one.at {
                At::Waiting => true,
                At::Refused { again, .. } => now >= *again,
                _ => false,
            })
            .map(|(at, _)| at)
            .take(parallel.saturating_sub(under_way))
            .collect();
        let asking = due.iter().map(|at| {
            let one = &self.pods[*at];
            ask(work, &one.object)
        });
        let answers = futures::future::join_all(asking).await;
        let retry = work.desk.pace.refused;
        for (at, answer) in due.into_iter().zip(answers) {
            let one = &mut self.pods[at];
            if !matches!(answer, Answer::NotSent(_) | Answer::Gone) {
                work.sent();
            }
            one.at = match answer {
                Answer::Accepted => {
                    one.since = Some(Instant::now());
                    At::Ending
                }
                Answer::Gone => At::Gone,
                Answer::Refused { why, wait } => {
                    one.refusals += 1;
                    At::Refused { again: Instant::now() + wait.unwrap_or(retry).min(LONGEST_WAIT), why }
                }
                Answer::NotSent(why) => At::Refused { again: Instant::now() + retry, why },
                Answer::Lost(why) => At::Unsure(why),
                Answer::Failed(why) => At::Failed(why),
            };
        }
    }

    /// Shows each pod, and what came since.
    fn tell<R: Remote>(&self, work: &mut Work<'_, R>, held: bool) {
        let now = Instant::now();
        for one in &self.pods {
            let ending = one.since.map(|since| human::span((now - since).as_secs().cast_signed()));
            match &one.at {
                At::Waiting if held => work.running(one.step, "held"),
                At::Waiting => {}
                // The budget first: a narrow screen cuts the rest.
                At::Refused { why, .. } => {
                    let times = match one.refusals {
                        0 | 1 => String::new(),
                        more => format!(" (refused {more} times)"),
                    };
                    work.running(one.step, format!("{why}{times}"));
                }
                At::Unsure(why) => work.running(one.step, format!("not known yet: {why}")),
                At::Ending => work.running(one.step, format!("ending for {}", ending.unwrap_or_default())),
                At::Gone => {
                    let detail =
                        ending.map_or_else(|| "gone".to_owned(), |ending| format!("gone after {ending}"));
                    work.gone(one.step, detail);
                }
                At::Failed(why) => work.failed(one.step, why.clone()),
            }
        }
        let gone = self.pods.iter().filter(|one| one.at == At::Gone).count();
        let since = match self.newcomers.as_slice() {
            [] => String::new(),
            names => format!("; came since the plan, left alone: {}", named(names, NAMES)),
        };
        let held = if held { "held; " } else { "" };
        work.running(
            self.pods.len() + 1,
            format!("{held}{gone} of {} gone{since}", counted(self.pods.len(), "pod")),
        );
    }

    /// Says how a drain ended in which every pod is gone or cannot go.
    fn end<R: Remote>(self, work: &mut Work<'_, R>) -> Outcome {
        self.tell(work, false);
        let end = self.pods.len() + 1;
        let all = counted(self.pods.len(), "pod");
        let taken = work.taken();
        let failed: Vec<String> = self
            .pods
            .iter()
            .filter_map(|one| match &one.at {
                At::Failed(why) => Some(format!("{}: {why}", one.name)),
                _ => None,
            })
            .collect();
        if !failed.is_empty() {
            let gone = self.pods.len() - failed.len();
            return Outcome::Failed(format!(
                "{gone} of {all} gone; {}. {}",
                named(&failed, NAMES),
                self.stays()
            ));
        }
        if !self.newcomers.is_empty() {
            let text = format!(
                "{all} of the plan are gone; came since and left alone: {}. Plan the drain again",
                named(&self.newcomers, NAMES)
            );
            return Outcome::NotVerified(text);
        }
        if self.node_gone {
            work.done(end, "the node itself is gone");
            return Outcome::Verified(format!("the node is gone, and {all} with it, after {taken}"));
        }
        let stay = match self.stayed {
            0 => "no pod is left".to_owned(),
            stayed => format!("{} stay by right", counted(stayed, "pod")),
        };
        work.done(end, stay.clone());
        Outcome::Verified(format!("{} is drained: {all} gone and {stay}, after {taken}", work.object.name))
    }

    /// Says what is left where a drain ends before its pods are gone.
    fn cut<R: Remote>(self, work: &mut Work<'_, R>, why: &str) -> Outcome {
        self.tell(work, false);
        let gone = self.pods.iter().filter(|one| one.at == At::Gone).count();
        let left: Vec<String> = self
            .pods
            .iter()
            .filter_map(|one| match &one.at {
                At::Gone => None,
                At::Waiting => Some(format!("{} (not evicted)", one.name)),
                At::Refused { why, .. } | At::Failed(why) => Some(format!("{} ({why})", one.name)),
                At::Unsure(why) => Some(format!("{} (not known: {why})", one.name)),
                At::Ending => Some(format!("{} (still ending)", one.name)),
            })
            .collect();
        Outcome::NotVerified(format!(
            "{why}: {gone} of {} gone; left: {}. {}",
            counted(self.pods.len(), "pod"),
            named(&left, NAMES),
            self.stays()
        ))
    }

    /// Says what is left of the cordon where a drain does not end well.
    fn stays(&self) -> String {
        match self.ours.as_slice() {
            [] => "The node stays cordoned, as it was before".to_owned(),
            [_] => "The node stays cordoned by this drain: uncordon it, or drain it again".to_owned(),
            several => {
                let names = named(several, NAMES);
                format!("Cordoned by this drain and left so: {names}: uncordon them, or drain them again")
            }
        }
    }
}

/// Returns the body of an eviction of this pod and no other; kube-rs' own leaves the options out (contracts 3.6).
pub(super) fn eviction(pod: &ObjectRef, uid: &str) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": &*pod.name, "namespace": pod.namespace.as_deref() },
        "deleteOptions": { "preconditions": { "uid": uid } },
    })
}

/// Asks for the eviction of one pod, once.
async fn ask<R: Remote>(work: &Work<'_, R>, pod: &ObjectRef) -> Answer {
    let permit = match work.permit_for(pod).await {
        Ok((_, document)) if Pod(&document).is_ending() => return Answer::Accepted,
        Ok((permit, _)) => permit,
        Err(Refusal::Gone(_) | Refusal::Replaced { .. }) => return Answer::Gone,
        Err(Refusal::Unknown(why)) => return Answer::NotSent(why),
        Err(refusal) => return Answer::Failed(refusal.to_string()),
    };
    let body = eviction(pod, permit.uid());
    match work.desk.remote.send(&permit, pod, &Change::Evict(body)).await {
        Ok(_) => Answer::Accepted,
        Err(SourceError::Missing { .. }) => Answer::Gone,
        Err(SourceError::Throttled { until, reason, .. }) => {
            let now = work.desk.clock.now();
            let wait = until.and_then(|until| u64::try_from(until.as_second() - now.as_second()).ok());
            Answer::Refused { why: refusal(&reason), wait: wait.map(Duration::from_secs) }
        }
        // Another pod has the name, or somebody wrote to this one in the meantime: the next look tells.
        Err(
            error @ (SourceError::Conflict { .. }
            | SourceError::Unreachable { .. }
            | SourceError::Garbled { .. }),
        ) => Answer::Lost(error.to_string()),
        // The namespace goes, and its pods with it.
        Err(SourceError::Denied { reason, .. }) if reason.contains("terminated") => {
            Answer::Refused { why: reason, wait: None }
        }
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// Says who refused: the budget by its name with the server's words, or a busy server (contracts 3.6).
pub(super) fn refusal(reason: &str) -> String {
    const NAMED: &str = "The disruption budget ";
    let Some((_, rest)) = reason.split_once(NAMED) else {
        let budget = reason.contains("disruption budget");
        return if budget { format!("a budget: {reason}") } else { format!("busy server: {reason}") };
    };
    let rest = rest.trim_end_matches(')').trim_end_matches('.');
    let (name, says) = rest.split_once(' ').unwrap_or((rest, ""));
    format!("budget {name}: {says}")
}

#[cfg(test)]
mod tests {
    use super::*;

    // The words of a real server, contracts 3.6.
    #[test]
    fn a_refusal_names_its_budget_and_a_busy_server_is_told_apart() {
        let reason = "Cannot evict pod as it would violate the pod's disruption budget. (The disruption budget api needs 2 healthy pods and has 2 currently)";
        assert_eq!(refusal(reason), "budget api: needs 2 healthy pods and has 2 currently");
        let behind = "Cannot evict pod as it would violate the pod's disruption budget. (The disruption budget api is still being processed by the server.)";
        assert_eq!(refusal(behind), "budget api: is still being processed by the server");
        assert_eq!(
            refusal("Too many requests, please try again later."),
            "busy server: Too many requests, please try again later."
        );
    }
}
