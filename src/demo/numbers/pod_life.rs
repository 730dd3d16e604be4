//! What is known of a pod's life: when it came and went, where it ran, and each run of each of its containers.
//!
//! Read from the pod's states as the API server stored them; nothing is invented here. Kept after the pod is gone, so
//! that its series end where it ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::demo::objects::Object;
use crate::demo::untyped::{milli, units};
use crate::identity::Text;

/// States, and runs of one container, that are kept: more than a crash loop makes in an hour.
const KEPT: usize = 96;

/// One container of a pod, and how it fared.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: Text,
    /// Its image with tag.
    pub image: Text,
    /// CPU request in millicores; 0 for none, as the others.
    pub cpu: i64,
    /// Memory request in bytes.
    pub memory: i64,
    /// CPU limit in millicores.
    pub cpu_limit: i64,
    /// Memory limit in bytes.
    pub memory_limit: i64,
    /// Restarts as the latest state counts them.
    pub restarts: i64,
    /// Its runs, oldest first.
    pub runs: Vec<Run>,
}

/// One run of a container, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// When it started.
    pub from: i64,
    /// When it ended, where it has.
    pub to: Option<i64>,
    /// Its exit code; 0 while it runs.
    pub code: i64,
    /// The kernel ended it for its memory.
    pub oom: bool,
}

impl Container {
    /// Returns the run that goes on at a moment.
    pub fn run(&self, t: i64) -> Option<&Run> {
        let after = self.runs.partition_point(|run| run.from <= t);
        after.checked_sub(1).and_then(|at| self.runs.get(at)).filter(|run| run.to.is_none_or(|to| t < to))
    }

    /// Returns the last run that had ended at a moment.
    pub fn ended(&self, t: i64) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.to.is_some_and(|to| to <= t))
    }

    /// Returns the restarts that were counted at a moment.
    pub fn restarts(&self, t: i64) -> i64 {
        let later = self.runs.iter().rev().take_while(|run| run.from > t).count();
        (self.restarts - i64::try_from(later).unwrap_or(0)).max(0)
    }

    /// Returns how often the kernel had ended it for its memory.
    pub fn kills(&self, t: i64) -> usize {
        self.runs.iter().filter(|run| run.oom && run.to.is_some_and(|to| to <= t)).count()
    }
}

/// A state of the pod as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Since when, in Unix milliseconds.
    pub at: i64,
    /// `status.phase`.
    pub phase: Text,
    /// The Ready condition is true.
    pub ready: bool,
    /// It is bound to a node.
    pub bound: bool,
    /// Containers that wait, with the reason, and those that are ready.
    pub containers: Box<[(Text, bool)]>,
}

/// A pod from its creation until it is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct PodLife {
    /// Its namespace.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Its UID.
    pub uid: Text,
    /// A number that belongs to it alone.
    pub seed: u64,
    /// When it was created, in Unix milliseconds.
    pub created: i64,
    /// When it was gone.
    pub gone: Option<i64>,
    /// Kind and name of its controller.
    pub owner: (Text, Text),
    /// `app.kubernetes.io/instance`: the application or component.
    pub app: Text,
    /// `app.kubernetes.io/name`.
    pub kind: Text,
    /// `app.kubernetes.io/component`.
    pub component: Text,
    /// `app.kubernetes.io/version`.
    pub version: Text,
    /// It uses its node's network.
    pub host_network: bool,
    /// `spec.priorityClassName`.
    pub priority: Text,
    /// `status.qosClass`.
    pub quality: Text,
    /// The node; empty until it is bound.
    pub node: Text,
    /// The node's address.
    pub host: Text,
    /// Its own address.
    pub ip: Text,
    /// Claims that it mounts.
    pub claims: Box<[Text]>,
    /// Its containers, in their order.
    pub containers: Box<[Container]>,
    /// Its states, oldest first; never empty.
    pub states: Vec<State>,
}

#[derive(Deserialize)]
struct Wire {
    metadata: Meta,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    creation_timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    node_name: String,
    #[serde(default)]
    host_network: bool,
    #[serde(default)]
    priority_class_name: String,
    #[serde(default)]
    containers: Vec<SpecContainer>,
    #[serde(default)]
    volumes: Vec<Volume>,
}

#[derive(Deserialize)]
struct SpecContainer {
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    resources: Resources,
}

#[derive(Deserialize, Default)]
struct Resources {
    #[serde(default)]
    requests: BTreeMap<String, Value>,
    #[serde(default)]
    limits: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    #[serde(default)]
    persistent_volume_claim: Option<ClaimRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimRef {
    claim_name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    phase: String,
    #[serde(default, rename = "hostIP")]
    host_ip: String,
    #[serde(default, rename = "podIP")]
    pod_ip: String,
    #[serde(default)]
    qos_class: String,
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(default)]
    ready: bool,
    #[serde(default)]
    restart_count: i64,
    #[serde(default)]
    state: RunState,
    #[serde(default)]
    last_state: RunState,
}

#[derive(Deserialize, Default)]
struct RunState {
    running: Option<Running>,
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Running {
    started_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Waiting {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    exit_code: i64,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl PodLife {
    /// Reads a pod as it was first seen; what came before follows from its dates.
    pub fn begin(object: &Object, now: i64) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(&object.json).ok()?;
        let label = |name: &str| Text::from(object.label(name).unwrap_or_default());
        let owner = object.controller();
        let created = wire.metadata.creation_timestamp.map_or(now, Timestamp::as_millisecond);
        let amount = |all: &BTreeMap<String, Value>, what: &str, read: fn(&Value) -> i64| {
            all.get(what).map_or(0, read)
        };
        let containers = wire
            .spec
            .containers
            .iter()
            .map(|one| Container {
                name: one.name.as_str().into(),
                image: one.image.as_str().into(),
                cpu: amount(&one.resources.requests, "cpu", milli),
                memory: amount(&one.resources.requests, "memory", units),
                cpu_limit: amount(&one.resources.limits, "cpu", milli),
                memory_limit: amount(&one.resources.limits, "memory", units),
                restarts: 0,
                runs: Vec::new(),
            })
            .collect();
        let claims = wire
            .spec
            .volumes
            .iter()
            .filter_map(|volume| volume.persistent_volume_claim.as_ref())
            .map(|claim| claim.claim_name.as_str().into())
            .collect();
        let mut life = Self {
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            uid: object.uid.clone(),
            seed: crate::demo::world::fnv64(object.uid.as_bytes()),
            created,
            gone: None,
            owner: owner.map_or_else(
                || (Text::from("<none>"), Text::from("<none>")),
                |owner| (owner.kind.clone(), owner.name.clone()),
            ),
            app: label("app.kubernetes.io/instance"),
            kind: label("app.kubernetes.io/name"),
            component: label("app.kubernetes.io/component"),
            version: label("app.kubernetes.io/version"),
            host_network: wire.spec.host_network,
            priority: wire.spec.priority_class_name.as_str().into(),
            quality: wire.status.qos_class.as_str().into(),
            node: "".into(),
            host: "".into(),
            ip: "".into(),
            claims,
            containers,
            states: Vec::new(),
        };
        life.read(&wire, created);
        Some(life)
    }

    /// Takes in a state of the pod that is true from `now` on.
    pub fn take(&mut self, object: &Object, now: i64) {
        if let Ok(wire) = serde_json::from_slice::<Wire>(&object.json) {
            self.read(&wire, now);
        }
    }

    fn read(&mut self, wire: &Wire, at: i64) {
        if *self.node != *wire.spec.node_name {
            self.node = wire.spec.node_name.as_str().into();
        }
        if *self.ip != *wire.status.pod_ip {
            self.ip = wire.status.pod_ip.as_str().into();
            self.host = wire.status.host_ip.as_str().into();
        }
        for container in &mut self.containers {
            if let Some(status) =
                wire.status.container_statuses.iter().find(|one| *one.name == *container.name)
            {
                container.read(status);
            }
        }
        let containers = self
            .containers
            .iter()
            .map(|one| {
                let status = wire.status.container_statuses.iter().find(|found| *found.name == *one.name);
                let waiting = status.and_then(|found| found.state.waiting.as_ref());
                let reason = waiting.map_or("", |waiting| waiting.reason.as_str());
                (Text::from(reason), status.is_some_and(|found| found.ready))
            })
            .collect();
        let ready = wire.status.conditions.iter().any(|one| one.r#type == "Ready" && one.status == "True");
        let state = State {
            at,
            phase: wire.status.phase.as_str().into(),
            ready,
            bound: !wire.spec.node_name.is_empty(),
            containers,
        };
        match self.states.last_mut() {
            Some(last) if last.at >= at => *last = State { at: last.at, ..state },
            Some(last)
                if (&last.phase, last.ready, last.bound, &last.containers)
                    == (&state.phase, state.ready, state.bound, &state.containers) => {}
            _ => self.states.push(state),
        }
        if self.states.len() > KEPT {
            // The first says what was before; the second is the oldest that is told apart.
            self.states.remove(1);
        }
    }

    /// Returns the state at a moment; nothing before its creation and after its end.
    pub fn state(&self, t: i64) -> Option<&State> {
        if !self.there(t) {
            return None;
        }
        let after = self.states.partition_point(|state| state.at <= t);
        self.states.get(after.max(1) - 1)
    }

    /// It is there at a moment.
    pub fn there(&self, t: i64) -> bool {
        t >= self.created && self.gone.is_none_or(|gone| t < gone)
    }

    /// It is there at some time of a span.
    pub fn overlaps(&self, from: i64, to: i64) -> bool {
        self.created <= to && self.gone.is_none_or(|gone| gone > from)
    }

    /// Returns when it was there.
    pub fn span(&self) -> (i64, i64) {
        (self.created, self.gone.unwrap_or(i64::MAX))
    }
}

impl Container {
    fn read(&mut self, status: &ContainerStatus) {
        self.restarts = status.restart_count;
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        for state in [&status.last_state, &status.state] {
            if let Some(ended) = &state.terminated
                && let (Some(from), Some(to)) = (ms(ended.started_at), ms(ended.finished_at))
            {
                self.note(Run {
                    from,
                    to: Some(to),
                    code: ended.exit_code,
                    oom: ended.reason == "OOMKilled",
                });
            }
            if let Some(from) = state.running.as_ref().and_then(|running| ms(running.started_at)) {
                self.note(Run { from, to: None, code: 0, oom: false });
            }
        }
    }

    fn note(&mut self, run: Run) {
        if let Some(known) = self.runs.iter_mut().rev().find(|known| known.from == run.from) {
            if run.to.is_some() {
                *known = run;
            }
        } else if self.runs.last().is_none_or(|last| last.from < run.from) {
            self.runs.push(run);
        }
        if self.runs.len() > KEPT {
            self.runs.remove(0);
        }
    }
}
