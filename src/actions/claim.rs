//! Delete a NodeClaim: Karpenter drains and ends the machine, and buys what its pods need (contracts 2.7).

use serde_json::Value;

use super::application::list;
use super::desk::{Desk, Remote};
use super::draft::{Draft, text};
use super::drain;
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request};
use crate::human;
use crate::identity::{ObjectRef, Resource};
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 3] =
    ["delete the claim", "the machine is gone", "what its pods need is there"];

/// Without it nobody ends the instance when the claim goes.
const FINALIZER: &str = "karpenter.sh/termination";
/// How many looks in a row must find no pod without a node before no replacement is waited for: the owners of evicted
/// pods make new ones a moment later.
const CALM: u32 = 3;

fn node_of(claim: &ObjectRef, document: &Value) -> Option<ObjectRef> {
    let name = text(document, "/status/nodeName");
    (!name.is_empty()).then(|| ObjectRef {
        context: claim.context.clone(),
        resource: Resource::new("", "nodes"),
        namespace: None,
        name: name.into(),
    })
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts = Vec::new();
    let text_of_change = "Karpenter drains the node through the budgets of its pods, ends the machine, and buys what they need";
    parts.push(Line::new(Mark::Change, text_of_change).into());
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        parts.push(Line::new(Mark::Stop, "it is being deleted already").into());
    }
    let finalized =
        list(document, "/metadata/finalizers").iter().any(|finalizer| finalizer.as_str() == Some(FINALIZER));
    if !finalized {
        let text = format!("it lacks the finalizer {FINALIZER}: the machine would run on, and be paid for");
        parts.push(Line::new(Mark::Stop, text).into());
    }
    match node_of(object, document) {
        Some(node) => {
            parts.push(Line::new(Mark::From, format!("node {}", node.name)).into());
            parts.extend(drain::moved(desk, request, node).into_iter().map(Into::into));
        }
        None => parts.push(Line::new(Mark::Note, "no node has come of it yet: no pod is moved").into()),
    }
    let grace = text(document, "/spec/terminationGracePeriod");
    parts.push(if grace.is_empty() {
        let text = "it has no termination grace period: a budget that never opens holds the end up for ever";
        Line::new(Mark::Note, text).into()
    } else {
        let text = format!(
            "after {} budgets and {} no longer count: what is left is ended by force",
            human::parse_span(grace).map_or_else(|| grace.to_owned(), |span| human::span(span as i64)),
            drain::pods::HELD
        );
        Line::new(Mark::Warn, text).into()
    });
    let text_of_budget = "the pool's own disruption budgets do not count for a delete by hand";
    parts.push(Line::new(Mark::Note, text_of_budget).into());
    let after = "watched until the machine is gone, and until a replacement is ready where pods wait for one";
    parts.push(Line::new(Mark::After, after).into());
    Draft {
        parts,
        facts: vec![("/metadata/deletionTimestamp", "its deletion"), ("/status/nodeName", "its node")],
        command: format!("kubectl delete nodeclaim {}", object.name),
        hold: None,
    }
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let gone = work.delete().await?;
    work.done(0, "");
    Ok(gone)
}

/// Says how far a claim is, and why it is not ready.
fn stage(claim: &Value) -> Result<String, String> {
    let condition = |name: &str| {
        list(claim, "/status/conditions").iter().find(|condition| text(condition, "/type") == name)
    };
    let holds = |name: &str| condition(name).is_some_and(|found| text(found, "/status") == "True");
    let name = text(claim, "/metadata/name");
    for (step, word) in
        [("Launched", "being launched"), ("Registered", "joining"), ("Initialized", "being initialised")]
    {
        if !holds(step) {
            let why = condition(step).map_or("", |found| text(found, "/message"));
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            return Err(format!("{name} is {word}{why}"));
        }
    }
    Ok(name.to_owned())
}

/// What is known of the replacement.
enum Next {
    /// A claim of the pool that came since is ready.
    Ready(String),
    /// One is on its way.
    Coming(String),
    /// Pods wait for a node, and no claim has come.
    Wanted(usize),
    /// No pod waits.
    Idle,
}

async fn next<R: Remote>(work: &Work<'_, R>, old: &Value) -> Result<Next, String> {
    let pool = text(old, "/metadata/labels/karpenter.sh~1nodepool");
    let remote = &work.desk.remote;
    let labels = if pool.is_empty() { String::new() } else { format!("karpenter.sh/nodepool={pool}") };
    let claims =
        remote.list(&work.object.resource, None, &labels, "").await.map_err(|error| error.to_string())?;
    let since = work.begun();
    let newer = claims.iter().filter(|claim| {
        text(claim, "/metadata/uid") != text(old, "/metadata/uid")
            && text(claim, "/metadata/labels/karpenter.sh~1nodepool") == pool
            && text(claim, "/metadata/creationTimestamp")
                .parse::<jiff::Timestamp>()
                .is_ok_and(|created| created.as_second() >= since.as_second())
    });
    let mut coming = None;
    for claim in newer {
        match stage(claim) {
            Ok(ready) => return Ok(Next::Ready(ready)),
            Err(stage) => coming = Some(stage),
        }
    }
    if let Some(coming) = coming {
        return Ok(Next::Coming(coming));
    }
    let pods = remote
        .list(&Resource::new("", "pods"), None, "", "status.phase=Pending")
        .await
        .map_err(|error| error.to_string())?;
    let waiting = pods
        .iter()
        .filter(|pod| text(pod, "/status/phase") == "Pending" && text(pod, "/spec/nodeName").is_empty())
        .count();
    Ok(if waiting > 0 { Next::Wanted(waiting) } else { Next::Idle })
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let old = &stored.object;
    let uid = text(old, "/metadata/uid").to_owned();
    let node = node_of(work.object, old);
    let mut calm = 0;
    let mut gone = false;
    loop {
        if !gone {
            match work.look().await {
                Ok(Some(document)) if text(&document, "/metadata/uid") == uid => {
                    let left = match &node {
                        Some(node) => drain::left(work.desk, node).await,
                        None => String::new(),
                    };
                    work.running(1, left);
                }
                Ok(_) => {
                    gone = true;
                    work.done(1, "");
                }
                Err(error) => work.running(1, error),
            }
        }
        match next(work, old).await {
            Ok(Next::Ready(name)) => {
                work.done(2, format!("{name} is ready"));
                if gone {
                    return Outcome::Verified(format!(
                        "the machine is gone, and {name} is ready in its place, after {}",
                        work.taken()
                    ));
                }
            }
            Ok(Next::Coming(how)) => work.running(2, how),
            Ok(Next::Wanted(pods)) => {
                calm = 0;
                let pods = drain::pods::counted(pods, "pod");
                work.running(2, format!("{pods} without a node, and no new claim yet"));
            }
            Ok(Next::Idle) if gone => {
                calm += 1;
                if calm >= CALM {
                    work.done(2, "no pod waits for a node");
                    return Outcome::Verified(format!(
                        "the machine is gone, and no pod waits for another, after {}",
                        work.taken()
                    ));
                }
            }
            Ok(Next::Idle) => {}
            Err(error) => work.running(2, error),
        }
        work.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // contracts 2.2.
    #[test]
    fn a_claim_is_ready_by_its_three_conditions_and_says_which_is_missing() {
        let claim = |conditions: Value| json!({ "metadata": { "name": "c" }, "status": { "conditions": conditions } });
        let one = |name: &str, status: &str, message: &str| json!({ "type": name, "status": status, "message": message });
        let short = claim(json!([one("Launched", "False", "no capacity for m7i.large in eu-west-1a")]));
        assert_eq!(
            stage(&short),
            Err("c is being launched: no capacity for m7i.large in eu-west-1a".to_owned())
        );
        let joined = claim(json!([one("Launched", "True", ""), one("Registered", "True", "")]));
        assert_eq!(stage(&joined), Err("c is being initialised".to_owned()));
        let whole = claim(json!([
            one("Launched", "True", ""),
            one("Registered", "True", ""),
            one("Initialized", "True", "")
        ]));
        assert_eq!(stage(&whole), Ok("c".to_owned()));
    }
}
