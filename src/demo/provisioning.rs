//! Karpenter's provisioner: machines for pods that fit nowhere, from the order to the node that is ready.
//!
//! It buys and starts; taking nodes away is `disruption`'s business. A claim goes through Launched, Registered,
//! Initialized and Ready in twenty seconds instead of a minute.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::karpenter::{IMAGE, set, with_class_hash};
use super::nodes::{self, INSTANCES, Instance, Machine, ZONES};
use super::objects::Key;
use super::types::Type;
use super::untyped::{
    bytes, condition, cpu, find_condition, later, list, milli, put, seconds, selects, text, time, units,
};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// The component that Karpenter's events name.
pub const BY: &str = "karpenter";

/// Seconds after its creation at which a claim reaches each stage.
const LAUNCHED: f64 = 3.0;
const REGISTERED: f64 = 11.0;
const READY: f64 = 17.0;
const INITIALIZED: f64 = 20.0;

/// Seconds during which pending pods are collected before machines are chosen.
const BATCH: f64 = 2.0;

/// The provisioner and the life of claims until they are ready.
#[derive(Debug, Default)]
pub struct Provisioning {
    pending: BTreeSet<Key>,
    /// Claims that pods wait for.
    nominated: HashMap<Key, Key>,
    machines: HashMap<Key, Machine>,
    bought: u32,
}

/// The key under which the batch of pending pods is looked at; there is no object of that name.
fn batch() -> Key {
    Key::new(Type::NodePool, "", "")
}

impl Controller for Provisioning {
    fn name(&self) -> &'static str {
        "karpenter-provisioner"
    }

    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::Pod => {
                let waits = view.pod(&seen.key).is_some_and(|pod| pod.node.is_none() && !pod.deleting);
                if waits || self.pending.contains(&seen.key) {
                    keys.push(seen.key.clone());
                }
            }
            Type::NodePool if !seen.gone => keys.push(seen.key.clone()),
            Type::NodeClaim => {
                keys.push(seen.key.clone());
                if let Some(pool) = seen.object.label("karpenter.sh/nodepool") {
                    keys.push(Key::new(Type::NodePool, "", pool));
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        match key.kind {
            Type::Pod => self.pod(key, cx),
            Type::NodePool if key.name.is_empty() => self.provision(cx),
            Type::NodePool => pool_status(key, cx),
            Type::NodeClaim => self.claim(key, cx),
            _ => {}
        }
    }
}

impl Provisioning {
    fn pod(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let waits = cx.view.pod(key).is_some_and(|pod| pod.node.is_none() && !pod.deleting && !pod.daemon());
        if !waits {
            self.pending.remove(key);
            self.nominated.remove(key);
            return;
        }
        let Some(pod) = cx.get(key) else { return };
        if condition(&pod, "PodScheduled") == "False" && self.pending.insert(key.clone()) {
            cx.after(BATCH, &batch());
        }
    }

    /// Chooses machines for all pods that wait and for which none is on its way.
    fn provision(&mut self, cx: &mut Cx<'_>) {
        let mut pools: Vec<Value> = cx.objects.list(Type::NodePool, None).map(|pool| pool.value()).collect();
        pools.sort_by_key(|pool| std::cmp::Reverse(pool["spec"]["weight"].as_i64().unwrap_or(0)));
        let overhead = daemon_overhead(cx);
        let mut orders: Vec<Order> = Vec::new();
        let waiting: Vec<Key> =
            self.pending.iter().filter(|key| !self.nominated.contains_key(*key)).cloned().collect();
        for key in waiting {
            let (Some(object), Some(pod)) = (cx.get(&key), cx.view.pod(&key)) else { continue };
            let need = (pod.cpu, pod.memory, 1);
            let mut refusals = Vec::new();
            let chosen = pools.iter().find_map(|pool| match accepts(pool, &object) {
                Ok(capacity) => Some((pool, capacity)),
                Err(why) => {
                    refusals.push(format!(
                        "incompatible with nodepool \"{}\", {why}",
                        text(pool, "/metadata/name")
                    ));
                    None
                }
            });
            let Some((pool, capacity)) = chosen else {
                let message = format!("Failed to schedule pod, {}", refusals.join("; "));
                cx.event(&object, "Warning", "FailedScheduling", &message, BY);
                cx.after(60.0, &batch());
                continue;
            };
            let pool_name = text(pool, "/metadata/name");
            let open = orders.iter_mut().find(|order| {
                order.pool == pool_name && order.capacity == capacity && order.takes(need, overhead)
            });
            match open {
                Some(order) => order.add(need, key),
                None if smallest((need.0 + overhead.0, need.1 + overhead.1, 1 + overhead.2)).is_none() => {
                    let message =
                        "Failed to schedule pod, no instance type satisfied resources and requirements";
                    cx.event(&object, "Warning", "FailedScheduling", message, BY);
                }
                None => {
                    let mut order = Order::new(pool_name, capacity);
                    order.add(need, key);
                    orders.push(order);
                }
            }
        }
        for order in orders {
            self.order(order, &pools, overhead, cx);
        }
    }

    fn order(&mut self, order: Order, pools: &[Value], overhead: (i64, i64, i64), cx: &mut Cx<'_>) {
        let Some(pool) = pools.iter().find(|pool| text(pool, "/metadata/name") == order.pool) else { return };
        let all = (order.need.0 + overhead.0, order.need.1 + overhead.1, order.need.2 + overhead.2);
        let Some(instance) = smallest(all) else { return };
        if let Some(why) = over_limit(pool, instance) {
            for key in &order.pods {
                if let Some(pod) = cx.get(key) {
                    let message = format!(
                        "Failed to schedule pod, all available instance types exceed limits for nodepool \"{}\" ({why})",
                        order.pool
                    );
                    cx.event(&pod, "Warning", "FailedScheduling", &message, BY);
                }
            }
            cx.after(60.0, &batch());
            return;
        }
        let Some(claim) = self.buy(pool, instance, order.capacity, all, cx) else { return };
        for key in order.pods {
            if let Some(pod) = cx.get(&key) {
                let message = format!("Pod should schedule on: nodeclaim/{}", claim.name);
                cx.event(&pod, "Normal", "Nominated", &message, BY);
            }
            self.nominated.insert(key, claim.clone());
        }
    }

    /// Creates a claim for a machine.
    fn buy(
        &mut self,
        pool: &Value,
        instance: &'static Instance,
        capacity: &'static str,
        requests: (i64, i64, i64),
        cx: &mut Cx<'_>,
    ) -> Option<Key> {
        let machine = self.machine(instance, capacity, cx);
        let name = format!("{}-{}", text(pool, "/metadata/name"), cx.objects.suffix());
        let claim = with_class_hash(nodes::claim(pool, &name, &machine, requests), cx);
        let key = cx.create(Type::NodeClaim, claim).ok()?;
        self.machines.insert(key.clone(), machine);
        Some(key)
    }

    fn machine(&mut self, instance: &'static Instance, capacity: &'static str, cx: &Cx<'_>) -> Machine {
        self.bought += 1;
        let first = u32::try_from(cx.options.nodes).unwrap_or(u32::MAX / 2);
        let number = first + self.bought;
        Machine { number, instance, zone: number as usize % ZONES.len(), capacity, pods: instance.pods() }
    }

    /// Carries a claim on to its next stage.
    fn claim(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(claim) = cx.get(key) else {
            self.machines.remove(key);
            // Whoever waited for it is looked at again.
            let before = self.nominated.len();
            self.nominated.retain(|_, waited| waited != key);
            if self.nominated.len() != before {
                cx.after(BATCH, &batch());
            }
            return;
        };
        if !claim["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        if condition(&claim, "Initialized") == "True" {
            self.nominated.retain(|_, waited| waited != key);
            return;
        }
        let created = time(&claim, "/metadata/creationTimestamp").unwrap_or(cx.now);
        // Somebody created it by hand, or the machine is known from when it was ordered.
        let machine = if let Some(machine) = self.machines.get(key) {
            machine.clone()
        } else {
            let machine = self.asked_for(&claim, cx);
            self.machines.insert(key.clone(), machine.clone());
            machine
        };
        let (now, age) = (cx.stamp(), seconds(created, cx.now));
        let mut next = claim.clone();
        if age >= LAUNCHED && condition(&claim, "Launched") != "True" {
            nodes::launch(&mut next, &machine, IMAGE);
            passed(&mut next, "Launched", &now, &claim, cx);
            set(&mut next, "Registered", "Unknown", "NodeNotFound", "Node not registered with cluster", &now);
            set(
                &mut next,
                "Initialized",
                "Unknown",
                "NodeNotFound",
                "Node not registered with cluster",
                &now,
            );
            set(&mut next, "Ready", "Unknown", "ReconcilingDependents", "", &now);
        }
        if age >= REGISTERED && condition(&claim, "Registered") != "True" {
            let node = nodes::of_claim(&next, &machine, cx.now);
            // A name is taken only if somebody created the same node by hand.
            let _ = cx.create(Type::Node, node);
            put(&mut next, &["status", "nodeName"], machine.node_name());
            passed(&mut next, "Registered", &now, &claim, cx);
            set(&mut next, "Initialized", "Unknown", "NodeNotReady", "Node status is NotReady", &now);
        }
        let node = Key::new(Type::Node, "", &machine.node_name());
        if age >= READY && cx.view.node(&node.name).is_some_and(|node| !node.ready) {
            let since = cx.now;
            cx.update(&node, |node| nodes::settle(node, since));
            if let Some(stored) = cx.get(&node) {
                cx.event(
                    &stored,
                    "Normal",
                    "NodeReady",
                    &format!("Node {} status is now: NodeReady", node.name),
                    "kubelet",
                );
            }
        }
        if age >= INITIALIZED {
            passed(&mut next, "Initialized", &now, &claim, cx);
            set(&mut next, "Ready", "True", "Ready", "", &now);
            set(&mut next, "Consolidatable", "True", "Consolidatable", "", &now);
        }
        if next != claim {
            cx.replace(key, next);
        }
        if let Some(due) = [LAUNCHED, REGISTERED, READY, INITIALIZED].into_iter().find(|stage| *stage > age) {
            cx.at(later(created, due), key);
        }
    }

    /// Returns the machine that a claim's requirements ask for.
    fn asked_for(&mut self, claim: &Value, cx: &Cx<'_>) -> Machine {
        let value = |key: &str| {
            let found = list(claim, "/spec/requirements").iter().find(|one| one["key"] == key);
            found.map_or("", |one| text(one, "/values/0")).to_owned()
        };
        let requests = &claim["spec"]["resources"]["requests"];
        let instance = Instance::named(&value("node.kubernetes.io/instance-type"))
            .or_else(|| smallest((milli(&requests["cpu"]), units(&requests["memory"]), 0)))
            .unwrap_or(&INSTANCES[4]);
        let capacity = if value("karpenter.sh/capacity-type") == "spot" { "spot" } else { "on-demand" };
        self.machine(instance, capacity, cx)
    }
}

/// Sets a condition of a claim to true and records the event that Karpenter's status controller writes.
fn passed(claim: &mut Value, kind: &str, now: &str, about: &Value, cx: &mut Cx<'_>) {
    let before = find_condition(claim, kind).map_or("Unknown", |found| text(found, "/status")).to_owned();
    set(claim, kind, "True", kind, "", now);
    let message =
        format!("Status condition transitioned, Type: {kind}, Status: {before} -> True, Reason: {kind}");
    cx.event(about, "Normal", kind, &message, BY);
}

/// Pods that will share a machine.
struct Order {
    pool: String,
    capacity: &'static str,
    need: (i64, i64, i64),
    pods: Vec<Key>,
}

impl Order {
    fn new(pool: &str, capacity: &'static str) -> Self {
        Self { pool: pool.to_owned(), capacity, need: (0, 0, 0), pods: Vec::new() }
    }

    fn add(&mut self, need: (i64, i64, i64), pod: Key) {
        self.need = (self.need.0 + need.0, self.need.1 + need.1, self.need.2 + need.2);
        self.pods.push(pod);
    }

    /// Says whether a machine of a middling size would still do with one more pod.
    fn takes(&self, need: (i64, i64, i64), overhead: (i64, i64, i64)) -> bool {
        let all = (
            self.need.0 + need.0 + overhead.0,
            self.need.1 + need.1 + overhead.1,
            self.need.2 + need.2 + overhead.2,
        );
        smallest(all).is_some_and(|instance| instance.cpus <= 16)
    }
}

/// Returns the cheapest machine with that much CPU, memory and pods.
fn smallest((cpu, memory, pods): (i64, i64, i64)) -> Option<&'static Instance> {
    INSTANCES
        .iter()
        .filter(|one| one.cpu() >= cpu && one.memory() >= memory && one.pods() >= pods)
        .min_by_key(|one| one.price)
}

/// Sums what the daemons of a node ask for.
fn daemon_overhead(cx: &Cx<'_>) -> (i64, i64, i64) {
    let mut sum = (0, 0, 0);
    for key in cx.view.daemon_sets() {
        let Some(set) = cx.get(key) else { continue };
        for container in list(&set, "/spec/template/spec/containers") {
            sum.0 += milli(&container["resources"]["requests"]["cpu"]);
            sum.1 += units(&container["resources"]["requests"]["memory"]);
        }
        sum.2 += 1;
    }
    sum
}

/// Says whether a pool's nodes would take a pod, and with which capacity type.
fn accepts(pool: &Value, pod: &Value) -> Result<&'static str, String> {
    let requirements = list(pool, "/spec/template/spec/requirements");
    let own = requirements.iter().find(|one| one["key"] == "karpenter.sh/capacity-type");
    let capacities: Vec<&str> =
        own.map(|one| list(one, "/values")).unwrap_or_default().iter().filter_map(Value::as_str).collect();
    let capacity = if capacities.is_empty() || capacities.contains(&"spot") { "spot" } else { "on-demand" };
    let mut labels = pool["spec"]["template"]["metadata"]["labels"].clone();
    for (key, value) in [
        ("karpenter.sh/nodepool", text(pool, "/metadata/name")),
        ("karpenter.sh/capacity-type", capacity),
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/os", "linux"),
    ] {
        put(&mut labels, &[key], value);
    }
    for (key, wanted) in pod["spec"]["nodeSelector"].as_object().into_iter().flatten() {
        // Any zone can be had.
        if key == "topology.kubernetes.io/zone" && ZONES.iter().any(|(zone, _)| wanted == zone) {
            continue;
        }
        if &labels[key] != wanted {
            let wanted = wanted.as_str().unwrap_or_default();
            return Err(format!("label \"{key}\" does not have known values, key {key} In [{wanted}]"));
        }
    }
    let terms = list(
        pod,
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
    );
    let fits = |term: &Value| selects(&json!({"matchExpressions": list(term, "/matchExpressions")}), &labels);
    if !terms.is_empty() && !terms.iter().any(fits) {
        return Err("incompatible requirements".to_owned());
    }
    let tolerations = list(pod, "/spec/tolerations");
    let taint = list(pool, "/spec/template/spec/taints").iter().find(|taint| {
        let taint = (
            text(taint, "/key").to_owned(),
            text(taint, "/value").to_owned(),
            text(taint, "/effect").to_owned(),
        );
        !tolerations.iter().any(|toleration| super::scheduler::tolerates(toleration, &taint))
    });
    match taint {
        Some(taint) => Err(format!(
            "did not tolerate {}={}:{}",
            text(taint, "/key"),
            text(taint, "/value"),
            text(taint, "/effect")
        )),
        None => Ok(capacity),
    }
}

/// Says which limit of a pool another machine would break.
fn over_limit(pool: &Value, instance: &Instance) -> Option<String> {
    let used = &pool["status"]["resources"];
    let more = BTreeMap::from([
        ("cpu", instance.cpus * 1000),
        ("memory", (instance.memory << 30) * 1000),
        ("nodes", 1000),
    ]);
    more.into_iter().find_map(|(what, amount)| {
        let limit = &pool["spec"]["limits"][what];
        let over = !limit.is_null() && milli(&used[what]) + amount > milli(limit);
        over.then(|| format!("{what} limit of {}", limit.as_str().unwrap_or_default()))
    })
}

/// Keeps the counters and conditions of a pool.
fn pool_status(key: &Key, cx: &mut Cx<'_>) {
    let Some(pool) = cx.get(key) else { return };
    let (mut count, mut millis, mut memory, mut pods) = (0_i64, 0, 0, 0);
    let claims: Vec<Value> = cx
        .objects
        .list(Type::NodeClaim, None)
        .filter(|claim| claim.label("karpenter.sh/nodepool") == Some(&key.name))
        .map(|claim| claim.value())
        .collect();
    for claim in &claims {
        let capacity = &claim["status"]["capacity"];
        count += i64::from(!text(claim, "/status/nodeName").is_empty());
        millis += milli(&capacity["cpu"]);
        memory += units(&capacity["memory"]);
        pods += units(&capacity["pods"]);
    }
    let class = text(&pool, "/spec/template/spec/nodeClassRef/name").to_owned();
    let class = cx.objects.find(Type::EC2NodeClass, "", &class).map(Arc::clone);
    let ready = class.as_ref().is_some_and(|class| condition(&class.value(), "Ready") == "True");
    let hash = nodes::pool_hash(&pool);
    let now = cx.stamp();
    cx.update(key, |pool| {
        super::untyped::mark(pool, "annotations", "karpenter.sh/nodepool-hash", &hash);
        super::untyped::mark(pool, "annotations", "karpenter.sh/nodepool-hash-version", "v3");
        put(pool, &["status", "nodes"], count);
        put(pool, &["status", "resources"], json!({
            "cpu": cpu(millis), "memory": bytes(memory), "pods": pods.to_string(), "nodes": count.to_string(),
            "ephemeral-storage": format!("{}Gi", 80 * count),
        }));
        let (state, reason, message) = if ready { ("True", "NodeClassReady", "") } else { ("False", "NodeClassNotFound", "NodeClass not found on cluster") };
        set(pool, "NodeClassReady", state, reason, message, &now);
        set(pool, "ValidationSucceeded", "True", "ValidationSucceeded", "", &now);
        set(pool, "NodeRegistrationHealthy", "True", "NodeRegistrationHealthy", "", &now);
        let reason = if ready { "Ready" } else { "UnhealthyDependents" };
        set(pool, "Ready", state, reason, "", &now);
    });
}
