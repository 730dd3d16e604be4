//! Whether the pods of a node would find room on others, by what they request.
//!
//! A rough answer on purpose, and the line that says it names what is not looked at: affinity, spread, volumes, ports
//! and preemption. Only the scheduler knows.

use serde_json::Value;

use super::super::application::list;
use super::super::draft::text;
use super::pods::Pod;
use crate::human;
use crate::kinds::Unit;

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

/// Tells whether the labels and taints of a node let a pod on it.
fn admits(node: &Value, pod: &Value) -> bool {
    let labels = node.pointer("/metadata/labels");
    let selected = pod.pointer("/spec/nodeSelector").and_then(Value::as_object).is_none_or(|wanted| {
        wanted.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    });
    selected
        && list(node, "/spec/taints")
            .iter()
            .filter(|taint| matches!(text(taint, "/effect"), "NoSchedule" | "NoExecute"))
            .all(|taint| list(pod, "/spec/tolerations").iter().any(|one| tolerates(one, taint)))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let effect = text(toleration, "/effect");
    if !effect.is_empty() && effect != text(taint, "/effect") {
        return false;
    }
    let key = text(toleration, "/key");
    match text(toleration, "/operator") {
        // Without a key it tolerates everything.
        "Exists" => key.is_empty() || key == text(taint, "/key"),
        _ => key == text(taint, "/key") && text(toleration, "/value") == text(taint, "/value"),
    }
}

/// What was found of the room elsewhere.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Room {
    /// How many of the pods have a place.
    pub placed: usize,
    /// The nodes that take pods.
    pub nodes: usize,
    /// The pods without one, with what they request.
    pub homeless: Vec<String>,
}

/// Places pods on the nodes that are not drained: the largest first, each on the first node that holds it.
///
/// `pods` are all of the cluster, `going` those that need a place, `leaving` the names of the nodes that are drained.
pub(super) fn find(nodes: &[Value], pods: &[Value], going: &[&Value], leaving: &[&str]) -> Room {
    let mut free: Vec<(&Value, Amount)> = nodes
        .iter()
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
    for pod in pods {
        if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            continue;
        }
        let node = Pod(pod).node();
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
        match free.iter_mut().find(|(node, left)| left.holds(amount) && admits(node, pod)) {
            Some((_, left)) => {
                left.take(amount);
                room.placed += 1;
            }
            None => room.homeless.push(format!(
                "{} ({}, {})",
                Pod(pod).called(),
                human::quantity(amount.cpu, Unit::Cores),
                human::quantity(amount.memory, Unit::Bytes)
            )),
        }
    }
    room
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
        let room = find(&nodes, &pods, &going, &["n-1", "n-3"]);
        assert_eq!((room.placed, room.nodes), (1, 1));
        assert_eq!(room.homeless, ["shop/b (1, 1Gi)"]);
        assert!(find(&nodes, &pods, &going, &["n-1"]).homeless.is_empty());
    }

    #[test]
    fn taints_selectors_cordons_and_nodes_that_are_not_ready_keep_pods_away() {
        let pods = [pod("a", "n-1", "1")];
        let placed = |node: Value| find(&[node], &pods, &[&pods[0]], &["n-1"]).placed;
        assert_eq!(placed(node("n-2", "4")), 1);
        let mut tainted = node("n-2", "4");
        tainted["spec"]["taints"] = json!([{ "key": "spot", "value": "yes", "effect": "NoSchedule" }]);
        assert_eq!(placed(tainted.clone()), 0);
        let mut cordoned = node("n-2", "4");
        cordoned["spec"]["unschedulable"] = json!(true);
        assert_eq!(placed(cordoned), 0);
        let mut down = node("n-2", "4");
        down["status"]["conditions"][0]["status"] = json!("Unknown");
        assert_eq!(placed(down), 0);
        let mut tolerant = pod("a", "n-1", "1");
        tolerant["spec"]["tolerations"] = json!([{ "key": "spot", "operator": "Exists" }]);
        assert_eq!(find(std::slice::from_ref(&tainted), &[], &[&tolerant], &[]).placed, 1);
        tolerant["spec"]["nodeSelector"] = json!({ "pool": "b" });
        assert_eq!(find(&[tainted], &[], &[&tolerant], &[]).placed, 0);
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
