//! What the controllers need to know about many objects at once: the few fields of pods, nodes and selectors, with
//! indexes by owner, by node and by namespace.
//!
//! It is to the controllers what informers are to real ones: fed from the storage's changes, never written by a
//! controller, and proportional to what changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::objects::{Key, Object};
use super::selector::Selector;
use super::types::Type;
use super::untyped::{condition, flag, list, milli, text, units};
use crate::identity::Text;

/// Where a pod stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
pub enum Phase {
    /// Not all containers have started.
    #[default]
    Pending,
    /// At least one container runs or will be restarted.
    Running,
    /// All containers ended well.
    Succeeded,
    /// A container ended badly and stays ended.
    Failed,
    /// The node does not answer.
    Unknown,
}

/// What the controllers know about a pod.
#[derive(Debug, Clone)]
pub struct Pod {
    /// The pod as stored; labels and UID are read from it.
    pub object: Arc<Object>,
    /// The controller that owns it.
    pub owner: Option<Key>,
    /// `spec.nodeName`.
    pub node: Option<Text>,
    /// `status.phase`.
    pub phase: Phase,
    /// Since when it is ready.
    pub ready: Option<Timestamp>,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// CPU requests in millicores.
    pub cpu: i64,
    /// Memory requests in bytes.
    pub memory: i64,
    /// CPU limits in millicores.
    pub cpu_limit: i64,
    /// Memory limits in bytes.
    pub memory_limit: i64,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// `karpenter.sh/do-not-disrupt` is set.
    pub held: bool,
}

impl Pod {
    /// It counts as a replica: neither finished nor on its way out.
    pub fn active(&self) -> bool {
        !self.deleting && !self.finished()
    }

    /// All its containers have ended for good.
    pub fn finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// It belongs to a `DaemonSet` and follows its node.
    pub fn daemon(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.kind == Type::DaemonSet)
    }
}

/// What the controllers know about a node.
#[derive(Debug, Clone)]
pub struct Node {
    /// The node as stored; labels are read from it.
    pub object: Arc<Object>,
    /// Allocatable CPU in millicores.
    pub cpu: i64,
    /// Allocatable memory in bytes.
    pub memory: i64,
    /// Allocatable pods.
    pub pods: i64,
    /// Taints as key, value, effect.
    pub taints: Vec<(String, String, String)>,
    /// `spec.unschedulable`.
    pub cordoned: bool,
    /// Its Ready condition is true.
    pub ready: bool,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// `spec.providerID`.
    pub provider: Text,
    /// Requested CPU of the pods on it.
    pub used_cpu: i64,
    /// Requested memory of the pods on it.
    pub used_memory: i64,
}

/// One change as controllers see it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What changed.
    pub key: Key,
    /// The controller that owns it, or owned it.
    pub owner: Option<Key>,
    /// It is gone.
    pub gone: bool,
    /// The state after the change; the last state where it is gone.
    pub object: Arc<Object>,
    /// For a pod: what was known before.
    pub before: Option<Pod>,
}

/// The indexes.
#[derive(Debug, Default)]
pub struct View {
    pods: HashMap<Key, Pod>,
    nodes: BTreeMap<Text, Node>,
    on_node: HashMap<Text, BTreeSet<Key>>,
    owned: HashMap<Key, BTreeSet<Key>>,
    pods_in: HashMap<Text, BTreeSet<Key>>,
    selectors: BTreeMap<Key, Selector>,
    daemon_sets: BTreeSet<Key>,
}

#[derive(Deserialize)]
struct Wire {
    metadata: WireMeta,
    #[serde(default)]
    spec: WireSpec,
    #[serde(default)]
    status: WireStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMeta {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creation_timestamp: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireSpec {
    #[serde(default)]
    node_name: Option<String>,
    #[serde(default)]
    containers: Vec<WireContainer>,
}

#[derive(Deserialize)]
struct WireContainer {
    #[serde(default)]
    resources: Option<WireResources>,
}

#[derive(Deserialize, Default)]
struct WireResources {
    #[serde(default)]
    requests: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    limits: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireStatus {
    #[serde(default)]
    phase: Option<Phase>,
    #[serde(default)]
    conditions: Vec<WireCondition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCondition {
    r#type: String,
    status: String,
    #[serde(default)]
    last_transition_time: Option<Timestamp>,
}

/// Returns the managing owner of an object.
pub fn owner(object: &Object) -> Option<Key> {
    let owner = object.controller()?;
    // Kinds are unique among the types that own something here.
    let kind = match owner.kind.as_ref() {
        "Deployment" => Type::Deployment,
        "ReplicaSet" => Type::ReplicaSet,
        "StatefulSet" => Type::StatefulSet,
        "DaemonSet" => Type::DaemonSet,
        "Job" => Type::Job,
        "CronJob" => Type::CronJob,
        "NodePool" => Type::NodePool,
        "NodeClaim" => Type::NodeClaim,
        "ScaledObject" => Type::ScaledObject,
        "ExternalSecret" => Type::ExternalSecret,
        "ClusterExternalSecret" => Type::ClusterExternalSecret,
        "SealedSecret" => Type::SealedSecret,
        "Certificate" => Type::Certificate,
        "CertificateRequest" => Type::CertificateRequest,
        "Order" => Type::Order,
        "Ingress" => Type::Ingress,
        "Service" => Type::Service,
        "ApplicationSet" => Type::ApplicationSet,
        _ => return None,
    };
    let namespace = if kind.info().namespaced { object.key.namespace.clone() } else { Arc::from("") };
    Some(Key { kind, namespace, name: owner.name.clone() })
}

impl View {
    /// Returns a pod.
    pub fn pod(&self, key: &Key) -> Option<&Pod> {
        self.pods.get(key)
    }

    /// Returns a node.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Returns every node, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&Text, &Node)> {
        self.nodes.iter()
    }

    /// Returns the pods on a node, by namespace and name.
    pub fn on_node(&self, node: &str) -> impl Iterator<Item = (&Key, &Pod)> {
        self.on_node.get(node).into_iter().flatten().filter_map(|key| Some((key, self.pods.get(key)?)))
    }

    /// Returns the number of pods on a node.
    pub fn count_on_node(&self, node: &str) -> i64 {
        self.on_node.get(node).map_or(0, |keys| i64::try_from(keys.len()).unwrap_or(i64::MAX))
    }

    /// Returns what a controller owns, by type and name.
    pub fn owned(&self, owner: &Key) -> impl Iterator<Item = &Key> {
        self.owned.get(owner).into_iter().flatten()
    }

    /// Returns the pods that a controller owns, by name.
    pub fn pods_of(&self, owner: &Key) -> impl Iterator<Item = (&Key, &Pod)> {
        self.owned(owner).filter_map(|key| Some((key, self.pods.get(key)?)))
    }

    /// Returns the pods of a namespace, by name.
    pub fn pods_in(&self, namespace: &str) -> impl Iterator<Item = (&Key, &Pod)> {
        self.pods_in.get(namespace).into_iter().flatten().filter_map(|key| Some((key, self.pods.get(key)?)))
    }

    /// Returns the Services or budgets of a namespace whose selector takes an object.
    pub fn selecting<'a>(&'a self, kind: Type, object: &'a Object) -> impl Iterator<Item = &'a Key> {
        let first = Key { kind, namespace: object.key.namespace.clone(), name: Arc::from("") };
        self.selectors
            .range(first..)
            .take_while(move |(key, _)| key.kind == kind && key.namespace == object.key.namespace)
            .filter(|(_, selector)| selector.matches(object))
            .map(|(key, _)| key)
    }

    /// Returns the pods that a Service or budget selects, by name.
    pub fn selected(&self, key: &Key) -> Vec<(&Key, &Pod)> {
        let Some(selector) = self.selectors.get(key) else { return Vec::new() };
        self.pods_in(&key.namespace).filter(|(_, pod)| selector.matches(&pod.object)).collect()
    }

    /// Returns every `DaemonSet`: each of them wants to hear about nodes.
    pub fn daemon_sets(&self) -> impl Iterator<Item = &Key> {
        self.daemon_sets.iter()
    }

    /// Takes in one change.
    pub(super) fn take(&mut self, object: &Arc<Object>, before: Option<&Object>, gone: bool) -> Seen {
        let key = object.key.clone();
        let new = if gone { None } else { owner(object) };
        let old = before.and_then(owner);
        if old != new {
            if let Some(old) = &old
                && let Some(set) = self.owned.get_mut(old)
            {
                set.remove(&key);
                if set.is_empty() {
                    self.owned.remove(old);
                }
            }
            if let Some(new) = &new {
                self.owned.entry(new.clone()).or_default().insert(key.clone());
            }
        }
        let mut seen = Seen { key, owner: new.or(old), gone, object: Arc::clone(object), before: None };
        match seen.key.kind {
            Type::Pod => seen.before = self.take_pod(object, gone, seen.owner.clone()),
            Type::Node => self.take_node(object, gone),
            Type::DaemonSet if gone => drop(self.daemon_sets.remove(&seen.key)),
            Type::DaemonSet => drop(self.daemon_sets.insert(seen.key.clone())),
            Type::Service | Type::PodDisruptionBudget => self.take_selector(object, gone),
            _ => {}
        }
        seen
    }

    fn take_selector(&mut self, object: &Object, gone: bool) {
        let value = if gone { Value::Null } else { object.value() };
        let selector = &value["spec"]["selector"];
        // A Service names labels directly; one without them has endpoints that somebody else writes.
        let written = selector.as_object().is_some_and(|labels| !labels.is_empty());
        let selector = match object.key.kind {
            Type::Service if written => Some(serde_json::json!({"matchLabels": selector})),
            Type::PodDisruptionBudget if selector.is_object() => Some(selector.clone()),
            _ => None,
        };
        match selector {
            Some(selector) => {
                self.selectors.insert(object.key.clone(), Selector::of_object(&selector));
            }
            None => {
                self.selectors.remove(&object.key);
            }
        }
    }

    fn take_pod(&mut self, object: &Arc<Object>, gone: bool, owner: Option<Key>) -> Option<Pod> {
        let key = &object.key;
        let new = if gone { None } else { read_pod(object, owner) };
        if new.is_some() {
            self.pods_in.entry(key.namespace.clone()).or_default().insert(key.clone());
        } else if let Some(names) = self.pods_in.get_mut(&key.namespace) {
            names.remove(key);
        }
        let before = match &new {
            Some(pod) => self.pods.insert(key.clone(), pod.clone()),
            None => self.pods.remove(key),
        };
        for (pod, sign) in [(before.as_ref(), -1), (new.as_ref(), 1)] {
            let Some(pod) = pod else { continue };
            let Some(name) = pod.node.as_ref() else { continue };
            let keys = self.on_node.entry(name.clone()).or_default();
            if sign > 0 {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
            if let Some(node) = self.nodes.get_mut(name)
                && !pod.finished()
            {
                node.used_cpu += sign * pod.cpu;
                node.used_memory += sign * pod.memory;
            }
        }
        before
    }

    fn take_node(&mut self, object: &Arc<Object>, gone: bool) {
        let name = &object.key.name;
        if gone {
            self.nodes.remove(name);
            return;
        }
        let value = object.value();
        let allocatable = &value["status"]["allocatable"];
        let taint = |taint: &Value| {
            (
                text(taint, "/key").to_owned(),
                text(taint, "/value").to_owned(),
                text(taint, "/effect").to_owned(),
            )
        };
        let mut node = Node {
            object: Arc::clone(object),
            cpu: milli(&allocatable["cpu"]),
            memory: units(&allocatable["memory"]),
            pods: units(&allocatable["pods"]),
            taints: list(&value, "/spec/taints").iter().map(taint).collect(),
            cordoned: flag(&value, "/spec/unschedulable"),
            ready: condition(&value, "Ready") == "True",
            deleting: object.deleting,
            provider: Arc::from(text(&value, "/spec/providerID")),
            used_cpu: 0,
            used_memory: 0,
        };
        for (_, pod) in self.on_node(name) {
            if !pod.finished() {
                node.used_cpu += pod.cpu;
                node.used_memory += pod.memory;
            }
        }
        self.nodes.insert(name.clone(), node);
    }
}

fn read_pod(object: &Arc<Object>, owner: Option<Key>) -> Option<Pod> {
    let wire: Wire = serde_json::from_slice(&object.json).ok()?;
    let ready = wire.status.conditions.iter().find(|found| found.r#type == "Ready" && found.status == "True");
    let sum = |limits: bool, what: &str, read: fn(&Value) -> i64| {
        wire.spec
            .containers
            .iter()
            .filter_map(|container| container.resources.as_ref())
            .filter_map(|all| if limits { all.limits.as_ref() } else { all.requests.as_ref() })
            .filter_map(|all| all.get(what))
            .map(read)
            .sum()
    };
    Some(Pod {
        owner,
        phase: wire.status.phase.unwrap_or_default(),
        ready: ready.and_then(|found| found.last_transition_time),
        deleting: object.deleting,
        cpu: sum(false, "cpu", milli),
        memory: sum(false, "memory", units),
        cpu_limit: sum(true, "cpu", milli),
        memory_limit: sum(true, "memory", units),
        created: wire.metadata.creation_timestamp.unwrap_or(Timestamp::UNIX_EPOCH),
        held: wire
            .metadata
            .annotations
            .is_some_and(|all| all.get("karpenter.sh/do-not-disrupt").is_some_and(|value| value == "true")),
        node: wire.spec.node_name.filter(|name| !name.is_empty()).map(|name| Arc::from(name.as_str())),
        object: Arc::clone(object),
    })
}
