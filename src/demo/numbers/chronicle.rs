//! The memory of the world: what numbers follow from, noted when it happens.
//!
//! It follows the storage's changes as informers do and keeps what is needed to say later how things stood: lives of
//! pods, states of other objects, and steps of what a story sets. Bounded by age and by count. It samples nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::pod_life::PodLife;
use super::wave::Steps;
use crate::demo::objects::{Key, Object, Objects};
use crate::demo::types::Type;
use crate::demo::untyped::{at, text};
use crate::identity::Text;

/// How long what is gone is remembered, in milliseconds: a day, as long as the history reaches back, and an hour.
pub const MEMORY_MS: i64 = 25 * 3_600_000;

/// States of one object that are kept.
const KEPT: usize = 400;

/// Where a pod stands in the order: namespace, name, UID.
pub type PodKey = (Text, Text, Text);

/// An object other than a pod, from its creation until it is gone.
#[derive(Debug, Clone)]
pub struct Life {
    /// `metadata.uid`.
    pub uid: Text,
    /// When it was created, in Unix milliseconds.
    pub created: i64,
    /// When it was gone.
    pub gone: Option<i64>,
    /// Since when it stood how; oldest first, never empty. Only the fields that numbers follow from are kept.
    pub states: Vec<(i64, Arc<Value>)>,
}

impl Life {
    /// Returns how it stood at a moment; nothing before its creation and after its end.
    pub fn at(&self, t: i64) -> Option<&Value> {
        if !self.there(t) {
            return None;
        }
        let after = self.states.partition_point(|state| state.0 <= t);
        self.states.get(after.max(1) - 1).map(|state| &*state.1)
    }

    /// Returns the latest state.
    pub fn latest(&self) -> &Value {
        static NOTHING: Value = Value::Null;
        self.states.last().map_or(&NOTHING, |state| &*state.1)
    }

    /// It is there at a moment.
    pub fn there(&self, t: i64) -> bool {
        t >= self.created && self.gone.is_none_or(|gone| t < gone)
    }

    /// Returns when it was there.
    pub fn span(&self) -> (i64, i64) {
        (self.created, self.gone.unwrap_or(i64::MAX))
    }
}

/// All that is remembered. A clone shares it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// When the world was made, in Unix milliseconds.
    pub begin: i64,
    /// Pods, also those that are gone.
    pub pods: BTreeMap<PodKey, Arc<PodLife>>,
    /// Which pods ran on a node.
    pub on_node: HashMap<Text, Arc<BTreeSet<PodKey>>>,
    /// Other objects.
    pub objects: BTreeMap<Key, Arc<Life>>,
    /// What was set from outside: by name, in steps.
    pub signals: BTreeMap<String, Arc<Steps>>,
}

impl Facts {
    /// Returns the pods of a namespace, or of all, that were there in a span.
    pub fn pods(&self, namespace: Option<&str>, from: i64, to: i64) -> impl Iterator<Item = &Arc<PodLife>> {
        let first: PodKey = (namespace.unwrap_or_default().into(), "".into(), "".into());
        let wanted = namespace.map(str::to_owned);
        self.pods
            .range(first..)
            .take_while(move |(key, _)| wanted.as_deref().is_none_or(|namespace| *key.0 == *namespace))
            .map(|(_, pod)| pod)
            .filter(move |pod| pod.overlaps(from, to))
    }

    /// Returns the pods of a node.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &Arc<PodLife>> {
        self.on_node.get(node).into_iter().flat_map(|keys| keys.iter()).filter_map(|key| self.pods.get(key))
    }

    /// Returns the objects of a type, in the order of namespace and name.
    pub fn objects(&self, kind: Type) -> impl Iterator<Item = (&Key, &Arc<Life>)> {
        self.objects.range(Key::new(kind, "", "")..).take_while(move |(key, _)| key.kind == kind)
    }

    /// Returns an object.
    pub fn object(&self, kind: Type, namespace: &str, name: &str) -> Option<&Arc<Life>> {
        self.objects.get(&Key::new(kind, namespace, name))
    }

    /// Returns what was set under a name; nothing was set is 0 at all times.
    pub fn signal(&self, name: &str) -> Arc<Steps> {
        self.signals.get(name).cloned().unwrap_or_default()
    }
}

/// Writes the memory.
#[derive(Debug, Default)]
pub struct Chronicle {
    facts: Arc<Facts>,
    swept: i64,
}

impl Chronicle {
    /// Begins at a moment.
    pub fn new(now: Timestamp) -> Self {
        let begin = now.as_millisecond();
        Self { facts: Arc::new(Facts { begin, ..Facts::default() }), swept: begin }
    }

    /// Returns what is remembered; what happens later does not change it.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Sets a value from outside, from now on.
    pub fn signal(&mut self, name: &str, value: f64, now: Timestamp) {
        let facts = Arc::make_mut(&mut self.facts);
        Arc::make_mut(facts.signals.entry(name.to_owned()).or_default()).set(now.as_millisecond(), value);
    }

    /// Takes in a change of an object.
    pub fn take(&mut self, object: &Object, gone: bool, now: Timestamp) {
        let now = now.as_millisecond();
        if object.key.kind == Type::Pod {
            self.pod(object, gone, now);
        } else if let Some(fields) = fields(object.key.kind) {
            self.other(object, fields, gone, now);
        }
        if now - self.swept > 3_600_000 {
            self.sweep(now);
        }
    }

    /// Notes the end of what is no longer in the storage, after changes were missed.
    pub fn prune(&mut self, objects: &Objects, now: Timestamp) {
        let now = now.as_millisecond();
        let facts = Arc::make_mut(&mut self.facts);
        // What was there before the history began was never in the storage.
        for pod in facts.pods.values_mut().filter(|pod| pod.gone.is_none()) {
            let known = objects.find(Type::Pod, &pod.namespace, &pod.name);
            if known.is_none_or(|known| known.uid != pod.uid) {
                Arc::make_mut(pod).gone = Some(now);
            }
        }
        for (key, life) in facts.objects.iter_mut().filter(|(_, life)| life.gone.is_none()) {
            if objects.get(key).is_none() {
                Arc::make_mut(life).gone = Some(now);
            }
        }
    }

    fn pod(&mut self, object: &Object, gone: bool, now: i64) {
        let facts = Arc::make_mut(&mut self.facts);
        let key: PodKey = (object.key.namespace.clone(), object.key.name.clone(), object.uid.clone());
        let known = facts.pods.contains_key(&key);
        let node = if let Some(life) = facts.pods.get_mut(&key) {
            let life = Arc::make_mut(life);
            if gone {
                life.gone = Some(now.max(life.created + 1));
            } else {
                life.take(object, now);
            }
            life.node.clone()
        } else {
            let Some(mut life) = PodLife::begin(object, now).filter(|_| !gone) else { return };
            let node = life.node.clone();
            if let Some(before) = predecessor(&life, facts.begin) {
                let key = (before.namespace.clone(), before.name.clone(), before.uid.clone());
                Arc::make_mut(facts.on_node.entry(node.clone()).or_default()).insert(key.clone());
                facts.pods.insert(key, Arc::new(before));
            }
            life.states.shrink_to_fit();
            facts.pods.insert(key.clone(), Arc::new(life));
            node
        };
        if !node.is_empty() && (!known || !facts.on_node.get(&node).is_some_and(|keys| keys.contains(&key))) {
            Arc::make_mut(facts.on_node.entry(node).or_default()).insert(key);
        }
    }

    fn other(&mut self, object: &Object, fields: &[&str], gone: bool, now: i64) {
        let facts = Arc::make_mut(&mut self.facts);
        if gone {
            if let Some(life) = facts.objects.get_mut(&object.key) {
                let life = Arc::make_mut(life);
                life.gone = Some(now.max(life.created + 1));
            }
            return;
        }
        let value = object.value();
        let kept = keep(&value, fields);
        let fresh = || {
            let created =
                text(&value, "/metadata/creationTimestamp").parse().map_or(now, Timestamp::as_millisecond);
            Life {
                uid: object.uid.clone(),
                created,
                gone: None,
                states: vec![(created, Arc::new(kept.clone()))],
            }
        };
        let Some(life) = facts.objects.get_mut(&object.key) else {
            facts.objects.insert(object.key.clone(), Arc::new(fresh()));
            return;
        };
        if life.uid != object.uid {
            *life = Arc::new(fresh());
            return;
        }
        if *life.latest() == kept {
            return;
        }
        let life = Arc::make_mut(life);
        match life.states.last_mut() {
            Some(last) if last.0 >= now => last.1 = Arc::new(kept),
            _ => life.states.push((now, Arc::new(kept))),
        }
        if life.states.len() > KEPT {
            life.states.remove(1);
        }
    }

    /// Forgets what has been gone for a day.
    fn sweep(&mut self, now: i64) {
        self.swept = now;
        let facts = Arc::make_mut(&mut self.facts);
        let old = |gone: Option<i64>| gone.is_some_and(|gone| now - gone > MEMORY_MS);
        facts.pods.retain(|_, pod| !old(pod.gone));
        facts.objects.retain(|_, life| !old(life.gone));
        let Facts { pods, on_node, .. } = facts;
        on_node.retain(|_, keys| {
            Arc::make_mut(keys).retain(|key| pods.contains_key(key));
            !keys.is_empty()
        });
    }
}

/// Returns the pod that ran in the place of a seeded one before it, where that one came within the history.
///
/// A seeded world has only the pods that run now. Without those before them every sum would climb through the last day
/// to what it is.
fn predecessor(life: &PodLife, begin: i64) -> Option<PodLife> {
    let long = !matches!(&*life.owner.0, "Job" | "<none>");
    if !long || life.created >= begin - 30_000 || life.created < begin - MEMORY_MS || life.node.is_empty() {
        return None;
    }
    let mut before = life.clone();
    let seed = life.seed ^ 0x6e75_6d62;
    if &*life.owner.0 != "StatefulSet" {
        let stem = life.name.rsplit_once('-').map_or(&*life.name, |(stem, _)| stem);
        before.name = format!("{stem}-{}", crate::demo::pods::letters(seed, 5)).into();
    }
    before.uid = format!("{:016x}-{}", seed, &life.uid.get(..8).unwrap_or_default()).into();
    before.seed = seed;
    before.created = begin - MEMORY_MS - 3_600_000;
    before.gone = Some(life.created);
    let from = before.created + 3_000;
    for container in &mut before.containers {
        container.restarts = 0;
        container.runs = vec![super::pod_life::Run { from, to: None, code: 0, oom: false }];
    }
    for state in &mut before.states {
        state.at = before.created;
    }
    before.states.truncate(1);
    Some(before)
}

/// Returns the fields of a type that numbers follow from; `None` where none do.
fn fields(kind: Type) -> Option<&'static [&'static str]> {
    const WORKLOAD: &[&str] = &[
        "/metadata/generation",
        "/metadata/labels",
        "/spec/replicas",
        "/spec/paused",
        "/status",
        "/metadata/ownerReferences",
    ];
    Some(match kind {
        Type::Node => &[
            "/metadata/labels",
            "/metadata/deletionTimestamp",
            "/spec/unschedulable",
            "/spec/taints",
            "/spec/providerID",
            "/status/allocatable",
            "/status/capacity",
            "/status/conditions",
            "/status/addresses",
            "/status/nodeInfo",
        ],
        Type::Namespace => &["/metadata/labels", "/status/phase"],
        Type::Deployment | Type::StatefulSet | Type::DaemonSet | Type::ReplicaSet => WORKLOAD,
        Type::Job => &[
            "/spec/completions",
            "/spec/parallelism",
            "/spec/backoffLimit",
            "/status",
            "/metadata/ownerReferences",
        ],
        Type::CronJob => &["/spec/schedule", "/spec/suspend", "/status"],
        Type::ResourceQuota | Type::PodDisruptionBudget => &["/status"],
        Type::HorizontalPodAutoscaler | Type::PersistentVolumeClaim => &["/spec", "/status"],
        Type::PersistentVolume => {
            &["/spec/capacity", "/spec/claimRef", "/spec/storageClassName", "/status/phase"]
        }
        Type::Service => &["/spec/type", "/spec/clusterIP"],
        Type::Ingress => &["/metadata/labels", "/spec"],
        Type::Application => &[
            "/operation/initiatedBy",
            "/spec/project",
            "/spec/destination",
            "/spec/source/repoURL",
            "/spec/sources",
            "/spec/syncPolicy/automated",
            "/status/sync/status",
            "/status/health/status",
            "/status/operationState/phase",
            "/status/operationState/finishedAt",
            "/status/operationState/operation/sync/dryRun",
            "/status/reconciledAt",
        ],
        Type::NodePool => &["/spec/limits", "/spec/disruption", "/status"],
        Type::NodeClaim => {
            &["/metadata/labels", "/metadata/deletionTimestamp", "/status/conditions", "/status/nodeName"]
        }
        Type::EC2NodeClass | Type::ClusterIssuer | Type::ClusterSecretStore | Type::SecretStore => {
            &["/status/conditions"]
        }
        Type::Certificate => &["/spec/issuerRef", "/spec/secretName", "/status"],
        // The hash of the content and what a scanner found; never the content.
        Type::Secret => &["/metadata/annotations"],
        Type::ExternalSecret => &["/spec/secretStoreRef", "/spec/data", "/status"],
        Type::ScaledObject => &[
            "/spec/scaleTargetRef",
            "/spec/minReplicaCount",
            "/spec/maxReplicaCount",
            "/spec/triggers",
            "/status",
        ],
        Type::PolicyReport => &["/summary", "/results", "/scope"],
        Type::VulnerabilityReport => &["/metadata/labels", "/report/summary", "/report/artifact"],
        _ => return None,
    })
}

/// Copies some fields of an object.
fn keep(value: &Value, fields: &[&str]) -> Value {
    let mut kept = Value::Object(Map::new());
    for field in fields {
        let found = at(value, field);
        if !found.is_null() {
            let path: Vec<&str> = field.split('/').skip(1).collect();
            crate::demo::untyped::put(&mut kept, &path, found.clone());
        }
    }
    kept
}
