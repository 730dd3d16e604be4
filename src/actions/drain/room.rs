//! Whether the pods of a node would find room on others: by what they request, and by the hard rules of the scheduler
//! ([`crate::model::placement`]).
//!
//! A rough answer on purpose: one pod after the other, each on the first node that takes it, without what is only
//! preferred and without preemption. Only the scheduler knows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::application::list;
use super::super::draft::text;
use super::pods::{Pod, counted, named};
use crate::human;
use crate::kinds::Unit;
use crate::model::placement::{Cluster, Demands};

/// What pods ask for and nodes have.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Amount {
    /// Cores.
    cpu: f64,
    /// Bytes.
    memory: f64,
    /// Places.
    pods: f64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.memory += other.memory;
        self.pods += other.pods;
    }

    fn take(&mut self, other: Self) {
        self.cpu -= other.cpu;
        self.memory -= other.memory;
        self.pods -= other.pods;
    }

    fn holds(self, other: Self) -> bool {
        // Sums of decimal fractions are off by a little.
        self.cpu + 1e-9 >= other.cpu && self.memory + 0.5 >= other.memory && self.pods >= other.pods
    }
}

fn quantity(document: &Value, pointer: &str) -> f64 {
    match document.pointer(pointer) {
        Some(Value::String(text)) => human::parse_quantity(text).unwrap_or(0.0),
        Some(Value::Number(number)) => number.as_f64().unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Sums up what a pod requests: its containers, or the init container that needs most, and the overhead
/// (contracts 2.8).
fn requests(pod: &Value, what: &str) -> f64 {
    if pod.pointer(&format!("/spec/resources/requests/{what}")).is_some() {
        return quantity(pod, &format!("/spec/resources/requests/{what}"));
    }
    let of = |container: &Value| quantity(container, &format!("/resources/requests/{what}"));
    let mut running: f64 = list(pod, "/spec/containers").iter().map(of).sum();
    let mut sidecars = 0.0;
    let mut most: f64 = 0.0;
    for container in list(pod, "/spec/initContainers") {
        if text(container, "/restartPolicy") == "Always" {
            sidecars += of(container);
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars + of(container));
        }
    }
    running += sidecars;
    running.max(most) + quantity(pod, &format!("/spec/overhead/{what}"))
}

fn wanted(pod: &Value) -> Amount {
    Amount { cpu: requests(pod, "cpu"), memory: requests(pod, "memory"), pods: 1.0 }
}

fn is_ready(node: &Value) -> bool {
    list(node, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True")
}

/// What was found of the room elsewhere.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Room {
    /// How many of the pods have a place.
    pub placed: usize,
    /// The nodes that take pods.
    pub nodes: usize,
    /// The pods without one.
    pub homeless: Vec<Homeless>,
}

/// A pod without a place.
#[derive(Debug, PartialEq)]
pub(super) struct Homeless {
    /// Its name, with what it requests.
    pub name: String,
    /// What keeps it from the nodes, and from how many of them, the most first: `taint spot=yes (3 nodes)`.
    pub why: String,
}

/// Places pods on the nodes that are not drained: the largest first, each on the first node that takes it.
///
/// `cluster` holds the pods that stay, `leaving` the names of the nodes that are drained.
pub(super) fn find<'a>(mut cluster: Cluster<'a>, going: &[&'a Value], leaving: &[&str]) -> Room {
    let mut free: Vec<(&Value, Amount)> = cluster
        .nodes()
        .filter(|node| {
            is_ready(node)
                && !leaving.contains(&text(node, "/metadata/name"))
                && node.pointer("/spec/unschedulable").and_then(Value::as_bool) != Some(true)
                && text(node, "/metadata/deletionTimestamp").is_empty()
        })
        .map(|node| {
            let of = |what: &str| quantity(node, &format!("/status/allocatable/{what}"));
            (node, Amount { cpu: of("cpu"), memory: of("memory"), pods: of("pods") })
        })
        .collect();
    for (pod, node) in cluster.pods() {
        if let Some((_, left)) = free.iter_mut().find(|(other, _)| text(other, "/metadata/name") == node) {
            left.take(wanted(pod));
        }
    }
    let mut room = Room { nodes: free.len(), ..Room::default() };
    let mut order: Vec<(&Value, Amount)> = going.iter().map(|pod| (*pod, wanted(pod))).collect();
    order.sort_by(|(_, one), (_, other)| {
        other.cpu.total_cmp(&one.cpu).then(other.memory.total_cmp(&one.memory))
    });
    for (pod, amount) in order {
        let demands = Demands::of(pod, &cluster);
        let mut against: BTreeMap<String, usize> = BTreeMap::new();
        let place = free.iter_mut().find(|(node, left)| {
            let why = match demands.obstacle(node) {
                None if left.holds(amount) => return true,
                None => "too little room".to_owned(),
                Some(why) => why,
            };
            *against.entry(why).or_default() += 1;
            false
        });
        match place {
            Some((node, left)) => {
                left.take(amount);
                cluster.place(pod, text(node, "/metadata/name"));
                room.placed += 1;
            }
            None => room.homeless.push(homeless(pod, amount, against)),
        }
    }
    room
}

fn homeless(pod: &Value, amount: Amount, against: BTreeMap<String, usize>) -> Homeless {
    let name = format!(
        "{} ({}, {})",
        Pod(pod).called(),
        human::quantity(amount.cpu, Unit::Cores),
        human::quantity(amount.memory, Unit::Bytes)
    );
    let mut against: Vec<(String, usize)> = against.into_iter().collect();
    against.sort_by_key(|(_, nodes)| std::cmp::Reverse(*nodes));
    let said: Vec<String> =
        against.into_iter().map(|(why, nodes)| format!("{why} ({})", counted(nodes, "node"))).collect();
    Homeless {
        name,
        why: if said.is_empty() { "no other node takes pods".to_owned() } else { named(&said, 4) },
    }
}

/// Sums up what pods request, for a sentence.
pub(super) fn total(pods: &[&Value]) -> String {
    let mut sum = Amount::default();
    for pod in pods {
        sum.add(wanted(pod));
    }
    format!(
        "{} and {} requested",
        human::quantity(sum.cpu, Unit::Cores),
        human::quantity(sum.memory, Unit::Bytes)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, cpu: &str) -> Value {
        json!({
            "metadata": { "name": name, "labels": { "pool": "a" } },
            "status": {
                "allocatable": { "cpu": cpu, "memory": "8Gi", "pods": "10" },
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        })
    }

    fn pod(name: &str, node: &str, cpu: &str) -> Value {
        json!({
            "metadata": { "namespace": "shop", "name": name },
            "spec": { "nodeName": node, "containers": [
                { "resources": { "requests": { "cpu": cpu, "memory": "1Gi" } } } ] },
        })
    }

    #[test]
    fn pods_go_where_requests_leave_room_and_the_rest_is_named() {
        let nodes = [node("n-1", "4"), node("n-2", "2"), node("n-3", "4")];
        let pods = [pod("a", "n-1", "1500m"), pod("b", "n-1", "1"), pod("c", "n-2", "500m")];
        let going = [&pods[0], &pods[1]];
        let find = |leaving: &[&str]| find(Cluster::new(&nodes, &pods[2..]), &going, leaving);
        let room = find(&["n-1", "n-3"]);
        assert_eq!((room.placed, room.nodes), (1, 1));
        let (name, why) = ("shop/b (1, 1Gi)".to_owned(), "too little room (1 node)".to_owned());
        assert_eq!(room.homeless, [Homeless { name, why }]);
        assert!(find(&["n-1"]).homeless.is_empty());
        assert_eq!(find(&["n-1", "n-2", "n-3"]).homeless[0].why, "no other node takes pods");
    }

    #[test]
    fn what_keeps_a_pod_from_nodes_is_counted_and_what_was_placed_counts_for_the_next() {
        let nodes: Vec<Value> = (1..=5)
            .map(|at| {
                let mut node = node(&format!("n-{at}"), "4");
                match at {
                    2 => node["spec"]["unschedulable"] = json!(true),
                    3 => node["status"]["conditions"][0]["status"] = json!("Unknown"),
                    4 | 5 => {
                        node["spec"]["taints"] =
                            json!([{ "key": "spot", "value": "yes", "effect": "NoSchedule" }]);
                    }
                    _ => {}
                }
                node["metadata"]["labels"]["kubernetes.io/hostname"] = json!(format!("n-{at}"));
                node
            })
            .collect();
        let mut pods = [pod("a", "n-0", "1"), pod("b", "n-0", "1")];
        let term = json!({ "topologyKey": "kubernetes.io/hostname", "labelSelector": {} });
        for pod in &mut pods {
            pod["spec"]["affinity"] = json!({ "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [term] } });
        }
        let room = find(Cluster::new(&nodes, []), &[&pods[0], &pods[1]], &["n-0"]);
        assert_eq!(
            (room.placed, room.nodes),
            (1, 3),
            "cordoned nodes and those that are not ready take none"
        );
        let why = "taint spot=yes (2 nodes), its anti-affinity: not two in a node (1 node)";
        assert_eq!(room.homeless, [Homeless { name: "shop/b (1, 1Gi)".to_owned(), why: why.to_owned() }]);
    }

    #[test]
    fn an_init_container_counts_where_it_needs_more_than_the_rest() {
        let pod = json!({ "spec": {
            "containers": [{ "resources": { "requests": { "cpu": "200m" } } }],
            "initContainers": [
                { "restartPolicy": "Always", "resources": { "requests": { "cpu": "100m" } } },
                { "resources": { "requests": { "cpu": "1" } } },
            ],
            "overhead": { "cpu": "50m" },
        } });
        assert!((requests(&pod, "cpu") - 1.15).abs() < 1e-9);
    }
}
