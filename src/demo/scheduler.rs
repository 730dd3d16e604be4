//! The scheduler: a node for each pod, where one fits.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::objects::Key;
use super::pods;
use super::types::Type;
use super::untyped::{list, selects, set_condition, text};
use super::view::{Node, Pod, Seen, View};
use super::world::{Controller, Cx};

const BY: &str = "default-scheduler";

/// The scheduler, with the pods that found no place.
#[derive(Debug, Default)]
pub struct Scheduler {
    waiting: BTreeSet<Key>,
}

impl Controller for Scheduler {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::Pod => match view.pod(&seen.key) {
                Some(pod) if pod.node.is_none() && !pod.deleting => {
                    if seen.before.is_none() {
                        keys.push(seen.key.clone());
                    }
                }
                Some(pod) if !pod.finished() => {}
                // Somebody left and made room.
                _ => keys.extend(self.waiting.iter().cloned()),
            },
            Type::Node if !seen.gone => keys.extend(self.waiting.iter().cloned()),
            Type::PersistentVolumeClaim => {
                keys.extend(self.waiting.iter().filter(|key| key.namespace == seen.key.namespace).cloned());
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(pod) = cx.view.pod(key).filter(|pod| pod.node.is_none() && !pod.deleting).cloned() else {
            self.waiting.remove(key);
            return;
        };
        let Some(object) = cx.get(key) else { return };
        match place(cx.view, &object, &pod) {
            Ok(node) => {
                self.waiting.remove(key);
                let now = cx.stamp();
                let (namespace, name) = (&key.namespace, &key.name);
                cx.update(key, |pod| pods::bind(pod, &node, &now));
                let message = format!("Successfully assigned {namespace}/{name} to {node}");
                cx.event(&object, "Normal", "Scheduled", &message, BY);
            }
            Err(message) => {
                self.waiting.insert(key.clone());
                let now = cx.stamp();
                let changed = cx.update(key, |pod| {
                    set_condition(pod, "PodScheduled", "False", "Unschedulable", &message, &now);
                });
                if changed {
                    cx.event(&object, "Warning", "FailedScheduling", &message, BY);
                }
            }
        }
    }
}

/// Returns the best node for a pod, or the sentence that counts why none will do.
pub fn place(view: &View, object: &Value, pod: &Pod) -> Result<String, String> {
    let mut best: Option<(i64, &str)> = None;
    let mut why: BTreeMap<String, usize> = BTreeMap::new();
    let mut total = 0;
    let mut siblings: HashMap<&str, i64> = HashMap::new();
    for (_, other) in pod.owner.iter().flat_map(|owner| view.pods_of(owner)) {
        if let Some(node) = &other.node {
            *siblings.entry(node).or_default() += 1;
        }
    }
    for (name, node) in view.nodes() {
        total += 1;
        if let Some(reason) = refuses(view, name, node, object, pod) {
            *why.entry(reason).or_default() += 1;
        } else {
            // Spread over nodes and zones: the least full one, fewest siblings first.
            let full =
                (node.used_cpu * 100 / node.cpu.max(1)).max(node.used_memory * 100 / node.memory.max(1));
            let score = siblings.get(name.as_ref()).copied().unwrap_or(0) * 40 + full;
            if best.is_none_or(|(least, _)| score < least) {
                best = Some((score, name));
            }
        }
    }
    match best {
        Some((_, name)) => Ok(name.to_owned()),
        None if total == 0 => Err("no nodes available to schedule pods".to_owned()),
        None => {
            let reasons: Vec<String> =
                why.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            Err(format!(
                "0/{total} nodes are available: {}. preemption: 0/{total} nodes are available: {total} Preemption is not helpful for scheduling.",
                reasons.join(", ")
            ))
        }
    }
}

fn refuses(view: &View, name: &str, node: &Node, object: &Value, pod: &Pod) -> Option<String> {
    let tolerations = list(object, "/spec/tolerations");
    if let Some((key, value, _)) = node
        .taints
        .iter()
        .find(|taint| taint.2 != "PreferNoSchedule" && !tolerations.iter().any(|t| tolerates(t, taint)))
    {
        let value = if value.is_empty() { String::new() } else { format!(": {value}") };
        return Some(format!("node(s) had untolerated taint {{{key}{value}}}"));
    }
    if node.cordoned {
        return Some("node(s) were unschedulable".to_owned());
    }
    if !wants(object, node) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    if view.count_on_node(name) >= node.pods {
        return Some("Too many pods".to_owned());
    }
    if node.used_cpu + pod.cpu > node.cpu {
        return Some("Insufficient cpu".to_owned());
    }
    (node.used_memory + pod.memory > node.memory).then(|| "Insufficient memory".to_owned())
}

/// Says whether a toleration accepts a taint.
pub fn tolerates(toleration: &Value, (key, value, effect): &(String, String, String)) -> bool {
    let exists = text(toleration, "/operator") == "Exists";
    let wanted = text(toleration, "/key");
    let effects = text(toleration, "/effect");
    (effects.is_empty() || effects == effect)
        && if wanted.is_empty() {
            exists
        } else {
            wanted == key && (exists || text(toleration, "/value") == value)
        }
}

/// Says whether a pod's node selector and required node affinity accept a node.
pub fn wants(object: &Value, node: &Node) -> bool {
    let selector = object["spec"]["nodeSelector"]
        .as_object()
        .is_none_or(|all| all.iter().all(|(key, value)| node.object.label(key) == value.as_str()));
    let terms = list(
        object,
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
    );
    selector
        && (terms.is_empty() || {
            let labels: serde_json::Map<String, Value> = node
                .object
                .labels
                .iter()
                .map(|(key, value)| (key.to_string(), Value::from(value.as_ref())))
                .collect();
            let mut labels = Value::Object(labels);
            labels["metadata.name"] = Value::from(node.object.key.name.as_ref());
            terms.iter().any(|term| {
                let rules = serde_json::json!({"matchExpressions": list(term, "/matchExpressions")});
                let fields = serde_json::json!({"matchExpressions": list(term, "/matchFields")});
                selects(&rules, &labels) && selects(&fields, &labels)
            })
        })
}
