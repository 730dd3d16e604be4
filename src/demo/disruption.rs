//! Karpenter's disruption and termination: which nodes go, and how they go.
//!
//! A node goes because it is empty or hardly used, because its pool or class has changed, because its time is over,
//! because the cloud takes it back, or because somebody deletes its claim. Whatever the cause, it is tainted, drained
//! through the budgets, and let go of by removing the finalizer. A replacement for a drifted node is bought first.

use std::collections::{BTreeMap, HashSet};

use croner::Cron;
use croner::parser::CronParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::budgets::evict;
use super::karpenter::set;
use super::nodes::{self, FINALIZER};
use super::objects::{Key, seconds as stamp};
use super::provisioning::BY;
use super::types::Type;
use super::untyped::{
    clear_condition, condition, duration, later, list, mark, marked, put, seconds, share, text, time,
};
use super::view::{Pod, Seen, View};
use super::world::{Controller, Cx};

/// The taint of a node that is going.
pub const TAINT: &str = "karpenter.sh/disrupted";

/// The annotation that says when a node's instance ends whatever the budgets say.
const DEADLINE: &str = "karpenter.sh/nodeclaim-termination-timestamp";

/// Seconds between two looks at what could go.
const LOOK: f64 = 10.0;

/// Seconds between two attempts to evict what a budget protects.
const RETRY: f64 = 3.0;

/// Seconds between the warning and the end of a spot instance, as EC2 has it.
const WARNING: f64 = 120.0;

/// Disruption and termination.
#[derive(Debug, Default)]
pub struct Disruption {
    /// Claims that wait until their replacement is up.
    replaced: BTreeMap<Key, Key>,
}

/// The key under which all claims are looked at for consolidation; there is no object of that name.
fn look() -> Key {
    Key::new(Type::NodeClaim, "", "")
}

impl Controller for Disruption {
    fn name(&self) -> &'static str {
        "karpenter-disruption"
    }

    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::NodeClaim | Type::Node => keys.push(seen.key.clone()),
            // The hashes that claims were made with may no longer hold.
            Type::NodePool | Type::EC2NodeClass if !seen.gone => keys.push(seen.key.clone()),
            Type::Pod => {
                // A pod less on a node that is going.
                let node = seen.before.as_ref().and_then(|pod| pod.node.as_ref());
                let Some(name) = node.filter(|_| seen.gone) else { return };
                if view.node(name).is_some_and(|node| node.deleting) {
                    keys.push(Key::new(Type::Node, "", name));
                } else if !view.on_node(name).any(|(_, pod)| !pod.daemon()) {
                    keys.push(look());
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        match key.kind {
            Type::NodeClaim if key.name.is_empty() => self.disrupt(cx),
            Type::NodeClaim => self.claim(key, cx),
            Type::Node => self.node(key, cx),
            Type::NodePool | Type::EC2NodeClass => {
                drift(cx);
                cx.after(LOOK, &look());
            }
            _ => {}
        }
    }
}

impl Disruption {
    fn claim(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(claim) = cx.get(key) else {
            self.replaced.remove(key);
            return;
        };
        let node = Key::new(Type::Node, "", text(&claim, "/status/nodeName"));
        if claim["metadata"]["deletionTimestamp"].is_null() {
            if let Some(due) = expiry(&claim) {
                if cx.now >= due {
                    let message = "Expired";
                    cx.event(
                        &claim,
                        "Normal",
                        "DisruptionTerminating",
                        &format!("Disrupting NodeClaim: {message}"),
                        BY,
                    );
                    cx.delete(key);
                    return;
                }
                cx.at(due, key);
            }
            self.replacement_ready(key, &claim, cx);
            cx.after(LOOK, &look());
            return;
        }
        if cx.get(&node).is_some() {
            if cx.view.node(&node.name).is_some_and(|node| !node.deleting) {
                cx.delete(&node);
            }
            return;
        }
        // Its node is gone, or there never was one.
        let now = cx.stamp();
        cx.update(key, |claim| set(claim, "InstanceTerminating", "True", "", "", &now));
        let gone_for = time(&cx.get(key).unwrap_or_default(), "/metadata/deletionTimestamp")
            .map_or(9.0, |at| seconds(at, cx.now));
        if gone_for < 2.0 {
            cx.after(2.0, key);
            return;
        }
        release(cx, key);
    }

    /// Terminates the claims that this one was bought for.
    fn replacement_ready(&mut self, key: &Key, claim: &Value, cx: &mut Cx<'_>) {
        if condition(claim, "Initialized") != "True" {
            return;
        }
        let old: Vec<Key> =
            self.replaced.iter().filter(|(_, new)| *new == key).map(|(old, _)| old.clone()).collect();
        for old in old {
            self.replaced.remove(&old);
            terminate(cx, &old, "Drifted");
        }
    }

    /// Drains and releases a node that is being deleted.
    fn node(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(node) = cx.get(key) else {
            // Its claim may wait for this.
            let claims: Vec<Key> = claims(cx)
                .filter(|claim| text(claim, "/status/nodeName") == &*key.name)
                .map(|claim| key_of(&claim))
                .collect();
            for claim in claims {
                if cx.objects.get(&claim).is_some_and(|claim| claim.deleting) {
                    self.claim(&claim, cx);
                }
            }
            return;
        };
        let ours = list(&node, "/metadata/finalizers").iter().any(|found| found == FINALIZER);
        if node["metadata"]["deletionTimestamp"].is_null() || !ours {
            return;
        }
        let claim =
            list(&node, "/metadata/ownerReferences").iter().find(|owner| owner["kind"] == "NodeClaim");
        let claim = claim.map(|owner| Key::new(Type::NodeClaim, "", text(owner, "/name")));
        if let Some(claim) = &claim
            && cx.objects.get(claim).is_some_and(|claim| !claim.deleting)
        {
            cx.delete(claim);
        }
        let now = cx.stamp();
        cx.update(key, |node| {
            let tainted = list(node, "/spec/taints").iter().any(|taint| taint["key"] == TAINT);
            if !tainted {
                let mut taints = list(node, "/spec/taints").to_vec();
                taints.push(json!({"key": TAINT, "effect": "NoSchedule"}));
                put(node, &["spec", "taints"], taints);
            }
        });
        let deleted = time(&node, "/metadata/deletionTimestamp").unwrap_or(cx.now);
        let deadline = claim.as_ref().and_then(|claim| cx.get(claim)).and_then(|claim| {
            // A spot instance has its end written down already; the others get the grace period of their pool.
            let written = marked(&claim, "annotations", DEADLINE).parse().ok();
            written.or_else(|| Some(later(deleted, duration(text(&claim, "/spec/terminationGracePeriod"))?)))
        });
        if let (Some(claim), Some(deadline)) = (&claim, deadline) {
            cx.update(claim, |claim| mark(claim, "annotations", DEADLINE, &stamp(deadline)));
        }
        let over = deadline.is_some_and(|due| cx.now >= due);
        let left = drain(cx, key, &node, over);
        if let Some(claim) = &claim {
            cx.update(claim, |claim| {
                if left > 0 {
                    set(claim, "Drained", "Unknown", "Draining", "", &now);
                } else {
                    set(claim, "Drained", "True", "", "", &now);
                    set(claim, "VolumesDetached", "True", "", "", &now);
                }
            });
        }
        if left > 0 {
            cx.at(
                deadline
                    .map_or_else(|| later(cx.now, RETRY), |due| due.max(cx.now).min(later(cx.now, RETRY))),
                key,
            );
            return;
        }
        // The instance takes a moment to end.
        let drained = claim.as_ref().and_then(|claim| cx.get(claim)).and_then(|claim| {
            list(&claim, "/status/conditions")
                .iter()
                .find(|found| found["type"] == "Drained")
                .and_then(|found| time(found, "/lastTransitionTime"))
        });
        let due = later(drained.unwrap_or(deleted), 3.0);
        if cx.now < due {
            cx.at(due, key);
            return;
        }
        cx.event(
            &node,
            "Normal",
            "RemovingNode",
            &format!("Node {} event: Removing Node {} from Controller", key.name, key.name),
            "node-controller",
        );
        release(cx, key);
        if let Some(claim) = claim {
            self.claim(&claim, cx);
        }
    }

    /// Looks for nodes that may go: drifted ones first, then empty ones, then one that is hardly used.
    fn disrupt(&mut self, cx: &mut Cx<'_>) {
        let all: Vec<Value> = claims(cx).collect();
        let mut budgets = Allowance::new(&all, &self.replaced, cx);
        let mut again = false;
        for claim in &all {
            let key = key_of(claim);
            if !claim["metadata"]["deletionTimestamp"].is_null()
                || condition(claim, "Initialized") != "True"
                || self.replaced.contains_key(&key)
            {
                continue;
            }
            let node = text(claim, "/status/nodeName").to_owned();
            if cx
                .view
                .node(&node)
                .is_none_or(|found| found.object.label("karpenter.sh/do-not-disrupt").is_some())
                || protected(cx, &node)
            {
                continue;
            }
            let pool = text(claim, "/metadata/labels/karpenter.sh~1nodepool").to_owned();
            if condition(claim, "Drifted") == "True" {
                again = true;
                if budgets.take(&pool, "Drifted") {
                    self.replace(claim, cx);
                }
                continue;
            }
            let pods = cx.view.on_node(&node).filter(|(_, pod)| !pod.daemon() && !pod.finished()).count();
            if pods > 0 {
                continue;
            }
            let Some(wait) = consolidate_after(cx, &pool) else { continue };
            // Since when it is empty is not written anywhere; the time of its last pod's event is.
            let since = time(claim, "/status/lastPodEventTime");
            match since {
                None => {
                    again = true;
                    let now = cx.stamp();
                    cx.update(&key, |claim| put(claim, &["status", "lastPodEventTime"], now));
                }
                Some(since) if cx.now < later(since, wait) => again = true,
                Some(_) => {
                    again = true;
                    if budgets.take(&pool, "Empty") {
                        terminate(cx, &key, "Empty");
                    }
                }
            }
        }
        if again {
            cx.after(LOOK, &look());
        }
    }

    /// Buys a machine like a drifted one; the old one goes when the new one is up.
    fn replace(&mut self, claim: &Value, cx: &mut Cx<'_>) {
        let Some(pool) =
            cx.get(&Key::new(Type::NodePool, "", text(claim, "/metadata/labels/karpenter.sh~1nodepool")))
        else {
            return;
        };
        let mut new = claim.clone();
        new["metadata"] = json!({
            "name": format!("{}-{}", text(&pool, "/metadata/name"), cx.objects.suffix()),
            "labels": claim["metadata"]["labels"], "annotations": {"karpenter.sh/nodepool-hash": nodes::pool_hash(&pool), "karpenter.sh/nodepool-hash-version": "v3"},
            "finalizers": [FINALIZER], "ownerReferences": claim["metadata"]["ownerReferences"],
        });
        for field in ["expireAfter", "terminationGracePeriod", "taints", "startupTaints"] {
            let wanted = &pool["spec"]["template"]["spec"][field];
            if !wanted.is_null() {
                new["spec"][field] = wanted.clone();
            }
        }
        for (key, value) in pool["spec"]["template"]["metadata"]["labels"].as_object().into_iter().flatten() {
            new["metadata"]["labels"][key] = value.clone();
        }
        new["status"] = json!({});
        let new = super::karpenter::with_class_hash(new, cx);
        let key = key_of(claim);
        if let Ok(bought) = cx.create(Type::NodeClaim, new) {
            cx.event(claim, "Normal", "DisruptionLaunching", "Launching NodeClaim: Drifted", BY);
            cx.event(
                claim,
                "Normal",
                "DisruptionWaitingReadiness",
                "Waiting on readiness to continue disruption",
                BY,
            );
            self.replaced.insert(key, bought);
        }
    }
}

/// Begins the end of a node: event, condition, deletion of the claim.
pub fn terminate(cx: &mut Cx<'_>, key: &Key, reason: &str) {
    let Some(claim) = cx.get(key) else { return };
    let now = cx.stamp();
    cx.update(key, |claim| set(claim, "DisruptionReason", "True", reason, "", &now));
    let message = format!("Disrupting NodeClaim: {reason}/Delete");
    cx.event(&claim, "Normal", "DisruptionTerminating", &message, BY);
    if let Some(node) = cx.get(&Key::new(Type::Node, "", text(&claim, "/status/nodeName"))) {
        let message = format!("Disrupting Node: {reason}/Delete");
        cx.event(&node, "Normal", "DisruptionTerminating", &message, BY);
    }
    cx.delete(key);
}

/// Takes back a spot instance: what Karpenter does on EC2's two-minute warning.
pub fn interrupt(cx: &mut Cx<'_>, key: &Key) {
    let Some(claim) = cx.get(key) else { return };
    let node = cx.get(&Key::new(Type::Node, "", text(&claim, "/status/nodeName")));
    for about in [Some(&claim), node.as_ref()].into_iter().flatten() {
        let kind = text(about, "/kind");
        cx.event(about, "Warning", "SpotInterrupted", "Spot interruption warning was triggered", BY);
        let message = format!("Interruption triggered termination for the {kind}");
        cx.event(about, "Warning", "TerminatingOnInterruption", &message, BY);
    }
    let end = later(cx.now, WARNING);
    cx.update(key, |claim| mark(claim, "annotations", DEADLINE, &stamp(end)));
    cx.delete(key);
}

/// Moves the pods off the least used node that could go; returns its claim. What a real Karpenter does all the time
/// happens here only now and then, so that a person can watch it.
pub fn consolidate(cx: &mut Cx<'_>) -> Option<Key> {
    let all: Vec<Value> = claims(cx).collect();
    let mut budgets = Allowance::new(&all, &BTreeMap::new(), cx);
    let mut candidates: Vec<(i64, Key, String)> = all
        .iter()
        .filter(|claim| {
            claim["metadata"]["deletionTimestamp"].is_null() && condition(claim, "Initialized") == "True"
        })
        .filter_map(|claim| {
            let node = text(claim, "/status/nodeName");
            let found = cx.view.node(node)?;
            let full =
                (found.used_cpu * 100 / found.cpu.max(1)).max(found.used_memory * 100 / found.memory.max(1));
            Some((full, key_of(claim), node.to_owned()))
        })
        .collect();
    candidates.sort();
    let (_, key, node) =
        candidates.into_iter().find(|(_, _, node)| !protected(cx, node) && movable(cx, node))?;
    let claim = cx.get(&key)?;
    if !budgets.take(text(&claim, "/metadata/labels/karpenter.sh~1nodepool"), "Underutilized") {
        let message = "Cannot disrupt NodeClaim: budget allows none";
        cx.event(&claim, "Normal", "DisruptionBlocked", message, BY);
        return None;
    }
    if let Some(node) = cx.get(&Key::new(Type::Node, "", &node)) {
        cx.event(
            &node,
            "Normal",
            "ConsolidationCandidate",
            "Node is underutilized and its pods fit elsewhere",
            BY,
        );
    }
    terminate(cx, &key, "Underutilized");
    Some(key)
}

/// Says whether all pods of a node would find room on the others.
fn movable(cx: &Cx<'_>, node: &str) -> bool {
    let mut room: BTreeMap<&str, (i64, i64)> = cx
        .view
        .nodes()
        .filter(|(name, other)| {
            name.as_ref() != node
                && !other.cordoned
                && other.ready
                && !other.deleting
                && other.taints.is_empty()
        })
        .map(|(name, other)| (name.as_ref(), (other.cpu - other.used_cpu, other.memory - other.used_memory)))
        .collect();
    cx.view.on_node(node).filter(|(_, pod)| !pod.daemon() && !pod.finished()).all(|(key, pod)| {
        let object = cx.get(key).unwrap_or_default();
        let place = room.iter_mut().find(|(name, left)| {
            left.0 >= pod.cpu
                && left.1 >= pod.memory
                && cx.view.node(name).is_some_and(|other| super::scheduler::wants(&object, other))
        });
        place.is_some_and(|(_, left)| {
            left.0 -= pod.cpu;
            left.1 -= pod.memory;
            true
        })
    })
}

/// Says whether something on a node must not be disturbed.
fn protected(cx: &Cx<'_>, node: &str) -> bool {
    let own = cx
        .objects
        .find(Type::Node, "", node)
        .is_some_and(|node| marked(&node.value(), "annotations", "karpenter.sh/do-not-disrupt") == "true");
    own || cx.view.on_node(node).any(|(_, pod)| pod.held && !pod.finished())
}

/// Evicts what can be evicted; returns how many pods are still to go.
fn drain(cx: &mut Cx<'_>, key: &Key, node: &Value, over: bool) -> usize {
    let pods: Vec<(Key, Pod)> = cx
        .view
        .on_node(&key.name)
        .filter(|(_, pod)| !pod.daemon() && !pod.finished())
        .map(|(key, pod)| (key.clone(), pod.clone()))
        .collect();
    let mut refused: HashSet<Key> = HashSet::new();
    for (pod_key, pod) in &pods {
        if pod.deleting {
            continue;
        }
        if over {
            // The time is up: budgets and annotations no longer count.
            cx.delete(pod_key);
            continue;
        }
        let object = pod.object.value();
        if pod.held {
            refused.insert(pod_key.clone());
            continue;
        }
        match evict(cx, pod_key) {
            Ok(()) => cx.event(&object, "Normal", "Evicted", "Evicted pod: Forceful Termination", BY),
            Err(_) => {
                refused.insert(pod_key.clone());
            }
        }
    }
    if !refused.is_empty() {
        let message = format!("Failed to drain node, {} pods are waiting to be evicted", pods.len());
        cx.event(node, "Warning", "FailedDraining", &message, BY);
    }
    pods.iter().filter(|(key, _)| cx.view.pod(key).is_some()).count()
}

/// Removes Karpenter's finalizer.
fn release(cx: &mut Cx<'_>, key: &Key) {
    cx.update(key, |object| {
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|found| found != FINALIZER);
        }
    });
}

/// Marks the claims that were made from another state of their pool or class.
fn drift(cx: &mut Cx<'_>) {
    let now = cx.stamp();
    for claim in claims(cx).collect::<Vec<_>>() {
        let pool =
            cx.get(&Key::new(Type::NodePool, "", text(&claim, "/metadata/labels/karpenter.sh~1nodepool")));
        let class = cx.get(&Key::new(Type::EC2NodeClass, "", text(&claim, "/spec/nodeClassRef/name")));
        let differs = |annotation: &str, hash: Option<String>| {
            hash.is_some_and(|hash| {
                let own = marked(&claim, "annotations", annotation);
                !own.is_empty() && own != hash
            })
        };
        let reason = if differs("karpenter.sh/nodepool-hash", pool.as_ref().map(nodes::pool_hash)) {
            "NodePoolDrifted"
        } else if differs("karpenter.k8s.aws/ec2nodeclass-hash", class.as_ref().map(nodes::class_hash)) {
            "NodeClassDrift"
        } else {
            ""
        };
        if reason.is_empty() == (condition(&claim, "Drifted") != "True") {
            continue;
        }
        cx.update(&key_of(&claim), |claim| {
            if reason.is_empty() {
                clear_condition(claim, "Drifted");
            } else {
                set(claim, "Drifted", "True", reason, reason, &now);
            }
        });
    }
}

fn claims(cx: &Cx<'_>) -> impl Iterator<Item = Value> {
    cx.objects.list(Type::NodeClaim, None).map(|claim| claim.value()).collect::<Vec<_>>().into_iter()
}

fn key_of(claim: &Value) -> Key {
    Key::new(Type::NodeClaim, "", text(claim, "/metadata/name"))
}

fn expiry(claim: &Value) -> Option<Timestamp> {
    Some(later(time(claim, "/metadata/creationTimestamp")?, duration(text(claim, "/spec/expireAfter"))?))
}

fn consolidate_after(cx: &Cx<'_>, pool: &str) -> Option<f64> {
    let pool = cx.get(&Key::new(Type::NodePool, "", pool))?;
    duration(text(&pool, "/spec/disruption/consolidateAfter"))
}

/// How many nodes of each pool may still be disrupted now.
struct Allowance {
    pools: BTreeMap<String, (Value, i64, i64)>,
    now: Timestamp,
}

impl Allowance {
    fn new(claims: &[Value], replaced: &BTreeMap<Key, Key>, cx: &Cx<'_>) -> Self {
        let mut pools = BTreeMap::new();
        for pool in cx.objects.list(Type::NodePool, None) {
            let of_pool = claims.iter().filter(|claim| {
                text(claim, "/metadata/labels/karpenter.sh~1nodepool") == &*pool.key.name
                    && condition(claim, "Initialized") == "True"
            });
            let (mut total, mut going) = (0, 0);
            for claim in of_pool {
                total += 1;
                let node = cx.view.node(text(claim, "/status/nodeName"));
                going += i64::from(
                    replaced.contains_key(&key_of(claim))
                        || !claim["metadata"]["deletionTimestamp"].is_null()
                        || node.is_none_or(|node| !node.ready),
                );
            }
            pools.insert(pool.key.name.to_string(), (pool.value(), total, going));
        }
        Self { pools, now: cx.now }
    }

    /// Takes one disruption; says whether there was one left.
    fn take(&mut self, pool: &str, reason: &str) -> bool {
        let now = self.now;
        let Some((pool, total, going)) = self.pools.get_mut(pool) else { return false };
        let default = [json!({"nodes": "10%"})];
        let budgets = list(pool, "/spec/disruption/budgets");
        let budgets = if budgets.is_empty() { &default } else { budgets };
        let least = budgets
            .iter()
            .filter(|budget| {
                let reasons = list(budget, "/reasons");
                (reasons.is_empty() || reasons.iter().any(|one| one == reason)) && active(budget, now)
            })
            .map(|budget| share(&budget["nodes"], *total, true))
            .min();
        let allowed = least.map_or(i64::MAX, |least| least - *going) > 0;
        *going += i64::from(allowed);
        allowed
    }
}

/// Says whether a budget counts at a time: always, or for a while after each time of its schedule, in UTC.
fn active(budget: &Value, now: Timestamp) -> bool {
    let schedule = text(budget, "/schedule");
    if schedule.is_empty() {
        return true;
    }
    // A budget that cannot be read counts, which is Karpenter's way of failing closed.
    let (Some(length), Ok(cron)) = (duration(text(budget, "/duration")), parse(schedule)) else {
        return true;
    };
    let from = now.checked_sub(SignedDuration::from_secs(length as i64)).unwrap_or(Timestamp::MIN);
    cron.find_next_occurrence(&from.to_zoned(TimeZone::UTC), true).is_ok_and(|next| next.timestamp() <= now)
}

/// Reads a schedule of five fields.
pub fn parse(schedule: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::new().parse(schedule)
}
