//! The ReplicaSet controller: as many pods as asked for.
//!
//! It creates and deletes pods and counts them; which template they have is the Deployment controller's decision.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::Key;
use super::pods;
use super::types::Type;
use super::untyped::{clear_condition, find_condition, later, number, put, set_condition, text};
use super::view::{Pod, Seen, View};
use super::world::{Controller, Cx};

/// The controller.
#[derive(Debug, Default)]
pub struct ReplicaSets {
    /// Sets whose pods were refused, with the time of the next attempt.
    refused: HashMap<Key, Timestamp>,
}

impl Controller for ReplicaSets {
    fn name(&self) -> &'static str {
        "replicaset-controller"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::ReplicaSet if !seen.gone => keys.push(seen.key.clone()),
            Type::Pod => {
                keys.extend(seen.owner.iter().filter(|owner| owner.kind == Type::ReplicaSet).cloned());
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(set) = cx.get(key) else { return };
        let wanted = wanted(&set);
        let mut active: Vec<(Key, Pod)> = cx
            .view
            .pods_of(key)
            .filter(|(_, pod)| pod.active())
            .map(|(k, p)| (k.clone(), p.clone()))
            .collect();
        let have = i64::try_from(active.len()).unwrap_or(i64::MAX);
        let mut refused = None;
        if !set["metadata"]["deletionTimestamp"].is_null() {
            // Its pods are being collected.
        } else if have < wanted {
            let again = self.refused.get(key).copied();
            if again.is_none_or(|again| cx.now >= again) {
                self.refused.remove(key);
                refused = create(cx, &set, wanted - have);
            } else {
                let stored = find_condition(&set, "ReplicaFailure");
                refused = stored.map(|found| text(found, "/message").to_owned());
            }
        } else if have > wanted {
            let surplus = usize::try_from(have - wanted).unwrap_or(0);
            rank(&mut active, cx);
            for (pod, _) in active.iter().take(surplus) {
                let message = format!("Deleted pod: {}", pod.name);
                cx.event(&set, "Normal", "SuccessfulDelete", &message, "replicaset-controller");
                cx.delete(pod);
            }
        }
        if refused.is_some() {
            // Real controllers back off to minutes; a person should see it heal.
            let again = *self.refused.entry(key.clone()).or_insert_with(|| later(cx.now, 15.0));
            cx.at(again, key);
        }
        status(cx, key, &set, refused.as_deref());
    }
}

/// Returns the replicas that a workload asks for.
pub fn wanted(workload: &Value) -> i64 {
    workload["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// Creates pods from the template; returns why one was refused.
fn create(cx: &mut Cx<'_>, set: &Value, count: i64) -> Option<String> {
    let (namespace, name) = (text(set, "/metadata/namespace"), text(set, "/metadata/name"));
    let owner = pods::owner_reference(set);
    for _ in 0..count {
        let name = format!("{name}-{}", cx.objects.suffix());
        let mut pod = pods::from_template(&set["spec"]["template"], namespace, &name, &owner);
        pod["metadata"]["generateName"] = json!(format!("{}-", text(set, "/metadata/name")));
        match super::quota::create_pod(cx, pod) {
            Ok(_) => {
                let message = format!("Created pod: {name}");
                cx.event(set, "Normal", "SuccessfulCreate", &message, "replicaset-controller");
            }
            Err(status) => {
                let message = format!("Error creating: {}", status.message);
                cx.event(set, "Warning", "FailedCreate", &message, "replicaset-controller");
                return Some(status.message);
            }
        }
    }
    None
}

/// Orders pods by how little is lost when they go: unplaced, not ready, ready for the shortest time.
fn rank(pods: &mut [(Key, Pod)], cx: &Cx<'_>) {
    // Of pods that are equal, those go first that share their node with most of the others.
    let crowd = |node: &str| pods.iter().filter(|(_, pod)| pod.node.as_deref() == Some(node)).count();
    let crowds: HashMap<String, usize> = pods
        .iter()
        .filter_map(|(_, pod)| pod.node.as_deref())
        .map(|node| (node.to_owned(), crowd(node)))
        .collect();
    let cost = |pod: &Pod| {
        let cordoned =
            pod.node.as_ref().is_none_or(|node| cx.view.node(node).is_none_or(|node| node.cordoned));
        let crowd = pod.node.as_deref().and_then(|node| crowds.get(node)).copied().unwrap_or(0);
        (
            pod.node.is_some(),
            pod.ready.is_some(),
            !cordoned,
            std::cmp::Reverse(crowd),
            std::cmp::Reverse(pod.created),
        )
    };
    pods.sort_by(|(a_key, a), (b_key, b)| cost(a).cmp(&cost(b)).then_with(|| a_key.name.cmp(&b_key.name)));
}

fn status(cx: &mut Cx<'_>, key: &Key, set: &Value, refused: Option<&str>) {
    let min_ready = number(set, "/spec/minReadySeconds");
    let (mut replicas, mut ready, mut available) = (0, 0, 0);
    let mut next = None;
    for (_, pod) in cx.view.pods_of(key).filter(|(_, pod)| pod.active()) {
        replicas += 1;
        if let Some(since) = pod.ready {
            ready += 1;
            let due = later(since, min_ready as f64);
            if due <= cx.now {
                available += 1;
            } else {
                next = Some(next.map_or(due, |next: Timestamp| next.min(due)));
            }
        }
    }
    if let Some(due) = next {
        cx.at(due, key);
    }
    let now = cx.stamp();
    cx.update(key, |set| {
        let generation = set["metadata"]["generation"].clone();
        put(set, &["status", "observedGeneration"], generation);
        for (field, count) in [
            ("replicas", replicas),
            ("fullyLabeledReplicas", replicas),
            ("readyReplicas", ready),
            ("availableReplicas", available),
        ] {
            count_field(set, field, count, field == "replicas");
        }
        match refused {
            Some(why) => {
                set_condition(set, "ReplicaFailure", "True", "FailedCreate", why, &now);
            }
            None => clear_condition(set, "ReplicaFailure"),
        }
    });
}

/// Sets a counter of a status; counters other than `replicas` are left out at zero, as Go's `omitempty` does.
pub fn count_field(object: &mut Value, field: &str, count: i64, always: bool) {
    if count > 0 || always {
        put(object, &["status", field], count);
    } else if let Some(status) = object["status"].as_object_mut() {
        status.remove(field);
    }
}
