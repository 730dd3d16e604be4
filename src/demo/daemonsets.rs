//! The `DaemonSet` controller: one pod on each node that its template accepts.
//!
//! It places its pods itself, by an affinity to the node's name as the real one does, and leaves the binding to the
//! scheduler.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::objects::Key;
use super::pods::{from_template, owner_reference};
use super::quota::create_pod;
use super::replicasets::count_field;
use super::scheduler::{tolerates, wants};
use super::statefulsets::{revise, revision_name};
use super::types::Type;
use super::untyped::{list, put, share, text};
use super::view::{Node, Pod, Seen, View};
use super::world::{Controller, Cx};
use crate::identity::Text;

const BY: &str = "daemonset-controller";

/// Taints that daemons tolerate without saying so.
const TOLERATED: [&str; 5] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/unschedulable",
];

/// The controller.
#[derive(Debug, Default)]
pub struct DaemonSets;

impl Controller for DaemonSets {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::DaemonSet if !seen.gone => keys.push(seen.key.clone()),
            Type::Pod => {
                keys.extend(seen.owner.iter().filter(|owner| owner.kind == Type::DaemonSet).cloned());
            }
            Type::Node => keys.extend(view.daemon_sets().cloned()),
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(set) = cx.get(key) else { return };
        if !set["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let revision = revise(cx, key, &set);
        let hash = revision.rsplit('-').next().unwrap_or_default().to_owned();
        let nodes: Vec<Text> = cx
            .view
            .nodes()
            .filter(|(_, node)| !node.deleting && runs_on(&set, node))
            .map(|(name, _)| name.clone())
            .collect();
        let pods: Vec<(Key, Pod)> =
            cx.view.pods_of(key).map(|(key, pod)| (key.clone(), pod.clone())).collect();
        let served: HashSet<Text> =
            pods.iter().filter(|(_, pod)| !pod.finished()).filter_map(|(_, pod)| target(pod)).collect();
        for node in &nodes {
            if !served.contains(node) {
                let pod = pod(&set, node, &hash, &cx.objects.suffix());
                let name = text(&pod, "/metadata/name").to_owned();
                match create_pod(cx, pod) {
                    Ok(_) => {
                        cx.event(&set, "Normal", "SuccessfulCreate", &format!("Created pod: {name}"), BY);
                    }
                    Err(status) => {
                        let message = format!("Error creating: {}", status.message);
                        cx.event(&set, "Warning", "FailedCreate", &message, BY);
                        cx.after(15.0, key);
                        break;
                    }
                }
            }
        }
        let wanted: HashSet<&Text> = nodes.iter().collect();
        for (pod_key, pod) in &pods {
            let misplaced = target(pod).is_none_or(|node| !wanted.contains(&node));
            if (misplaced || pod.finished()) && !pod.deleting && cx.view.pod(pod_key).is_some() {
                cx.event(&set, "Normal", "SuccessfulDelete", &format!("Deleted pod: {}", pod_key.name), BY);
                cx.delete(pod_key);
            }
        }
        if text(&set, "/spec/updateStrategy/type") != "OnDelete" {
            roll(cx, &set, &pods, &hash, nodes.len());
        }
        status(cx, key, &nodes, &hash);
    }
}

/// Returns the node that a pod is for: bound, or by the affinity that it was made with.
fn target(pod: &Pod) -> Option<Text> {
    pod.node.clone().or_else(|| {
        let object = pod.object.value();
        let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
        object.pointer(terms).and_then(Value::as_str).map(Text::from)
    })
}

fn runs_on(set: &Value, node: &Node) -> bool {
    let template = &set["spec"]["template"];
    let tolerations = list(template, "/spec/tolerations");
    wants(template, node)
        && node.taints.iter().all(|taint| {
            taint.2 == "PreferNoSchedule"
                || TOLERATED.contains(&taint.0.as_str())
                || tolerations.iter().any(|toleration| tolerates(toleration, taint))
        })
}

/// Makes the pod of a set for a node.
pub fn pod(set: &Value, node: &str, hash: &str, suffix: &str) -> Value {
    let name = format!("{}-{suffix}", text(set, "/metadata/name"));
    let mut template = set["spec"]["template"].clone();
    put(
        &mut template,
        &["spec", "affinity"],
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}],
        }}}),
    );
    let mut tolerations = list(&template, "/spec/tolerations").to_vec();
    for key in TOLERATED {
        let effect =
            if key.ends_with("ready") || key.ends_with("reachable") { "NoExecute" } else { "NoSchedule" };
        tolerations.push(json!({"key": key, "operator": "Exists", "effect": effect}));
        if key.ends_with("not-ready") {
            tolerations.push(json!({"key": key, "operator": "Exists", "effect": "NoSchedule"}));
        }
    }
    put(&mut template, &["spec", "tolerations"], tolerations);
    put(&mut template, &["metadata", "labels", "controller-revision-hash"], hash);
    let mut pod = from_template(&template, text(set, "/metadata/namespace"), &name, &owner_reference(set));
    put(&mut pod, &["metadata", "generateName"], format!("{}-", text(set, "/metadata/name")));
    pod
}

/// Replaces pods of an old revision, no more at once than may be unavailable.
fn roll(cx: &mut Cx<'_>, set: &Value, pods: &[(Key, Pod)], hash: &str, nodes: usize) {
    let nodes = i64::try_from(nodes).unwrap_or(i64::MAX);
    let most = &set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
    let most = if most.is_null() { 1 } else { share(most, nodes, true).max(1) };
    let old = |pod: &Pod| pod.object.label("controller-revision-hash") != Some(hash);
    let missing = nodes - i64::try_from(pods.len()).unwrap_or(0);
    let down = pods.iter().filter(|(_, pod)| pod.ready.is_none() || pod.deleting).count();
    let mut room = most - missing.max(0) - i64::try_from(down).unwrap_or(0);
    for (key, pod) in pods {
        if !old(pod) || pod.deleting {
            continue;
        }
        // What does not serve anyway costs no availability.
        if pod.ready.is_some() {
            if room <= 0 {
                continue;
            }
            room -= 1;
        }
        cx.event(set, "Normal", "SuccessfulDelete", &format!("Deleted pod: {}", key.name), BY);
        cx.delete(key);
    }
}

fn status(cx: &mut Cx<'_>, key: &Key, nodes: &[Text], hash: &str) {
    let wanted = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    let nodes: HashSet<&Text> = nodes.iter().collect();
    let (mut current, mut ready, mut updated, mut strayed) = (0, 0, 0, 0);
    for (_, pod) in cx.view.pods_of(key).filter(|(_, pod)| pod.active()) {
        if target(pod).is_none_or(|node| !nodes.contains(&node)) {
            strayed += 1;
            continue;
        }
        current += 1;
        ready += i64::from(pod.ready.is_some());
        updated += i64::from(pod.object.label("controller-revision-hash") == Some(hash));
    }
    cx.update(key, |object| {
        let generation = object["metadata"]["generation"].clone();
        put(object, &["status", "observedGeneration"], generation);
        count_field(object, "desiredNumberScheduled", wanted, true);
        count_field(object, "currentNumberScheduled", current, true);
        count_field(object, "numberReady", ready, true);
        count_field(object, "numberMisscheduled", strayed, true);
        count_field(object, "updatedNumberScheduled", updated, false);
        count_field(object, "numberAvailable", ready, false);
        count_field(object, "numberUnavailable", wanted - ready, false);
    });
}

/// Returns the value of the `controller-revision-hash` label of a set's present template.
pub fn hash(set: &Value) -> String {
    revision_name(set).rsplit('-').next().unwrap_or_default().to_owned()
}
