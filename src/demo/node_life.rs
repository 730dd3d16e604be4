//! The node controllers: heartbeats, the taint of a cordoned node, and what is said about nodes that come.
//!
//! A kubelet renews its lease and its conditions every five minutes here, so that two hundred quiet nodes stay quiet.

use serde_json::json;

use super::nodes::lease;
use super::objects::Key;
use super::types::Type;
use super::untyped::{flag, list, put, text, time};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// Seconds between two heartbeats of a node.
const HEARTBEAT: f64 = 300.0;

const CORDONED: &str = "node.kubernetes.io/unschedulable";

/// The controllers.
#[derive(Debug, Default)]
pub struct NodeLife;

impl Controller for NodeLife {
    fn name(&self) -> &'static str {
        "node-controller"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        if seen.key.kind == Type::Node && !seen.gone {
            keys.push(seen.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(node) = cx.get(key) else { return };
        let lease_key = Key::new(Type::Lease, "kube-node-lease", &key.name);
        if cx.objects.get(&lease_key).is_none() {
            let message = format!("Node {} event: Registered Node {} in Controller", key.name, key.name);
            cx.event(&node, "Normal", "Starting", "Starting kubelet.", "kubelet");
            cx.event(&node, "Normal", "RegisteredNode", &message, "node-controller");
            // Refused only where it is there already.
            let _ = cx.create(Type::Lease, lease(&node, cx.now));
        }
        let cordoned = flag(&node, "/spec/unschedulable");
        let tainted = list(&node, "/spec/taints").iter().any(|taint| taint["key"] == CORDONED);
        if cordoned != tainted {
            let now = cx.stamp();
            cx.update(key, |node| {
                let mut taints = list(node, "/spec/taints").to_vec();
                taints.retain(|taint| taint["key"] != CORDONED);
                if cordoned {
                    taints.push(json!({"key": CORDONED, "effect": "NoSchedule", "timeAdded": now}));
                }
                if taints.is_empty() {
                    if let Some(spec) = node["spec"].as_object_mut() {
                        spec.remove("taints");
                    }
                } else {
                    put(node, &["spec", "taints"], taints);
                }
            });
            let (reason, word) = if cordoned {
                ("NodeNotSchedulable", "NotSchedulable")
            } else {
                ("NodeSchedulable", "Schedulable")
            };
            let message = format!("Node {} status is now: Node{word}", key.name);
            cx.event(&node, "Normal", reason, &message, "kubelet");
        }
        if cx.timed() {
            let now = cx.now;
            let at = cx.stamp();
            cx.update(&lease_key, |stored| {
                stored["spec"]["renewTime"] = lease(&node, now)["spec"]["renewTime"].clone();
            });
            cx.update(key, |node| {
                for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
                    condition["lastHeartbeatTime"] = json!(at);
                }
            });
        }
        // Spread over the minutes, as nodes that started at different times are.
        let beat =
            list(&node, "/status/conditions").first().and_then(|found| time(found, "/lastHeartbeatTime"));
        let late = beat.is_none_or(|beat| super::untyped::seconds(beat, cx.now) > HEARTBEAT);
        let wait = if late && !cx.timed() {
            super::kubelet::chance(text(&node, "/metadata/uid"), 5.0, HEARTBEAT)
        } else {
            HEARTBEAT
        };
        cx.after(wait, key);
    }
}
