//! How much CPU and memory pods and nodes use: what metrics.k8s.io tells, and what autoscalers act upon.
//!
//! Computed from requests, the time of day, the load on the application and the behaviour of the image; nothing is
//! sampled or stored, and the same moment always gives the same answer.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use jiff::Timestamp;
use serde_json::Value;

use super::images::{Behaviour, Images};
use super::kubelet::chance;
use super::objects::Key;
use super::types::Type;
use super::untyped::{at, list, milli, seconds, text, time, units};
use super::view::{Phase, Pod, View};
use super::world::World;

/// Seconds over which metrics-server averages.
pub const WINDOW: i64 = 15;

/// How busy applications are, as a factor on their usual load.
#[derive(Debug, Default)]
pub struct Load {
    pub(super) apps: BTreeMap<(String, String), f64>,
    /// Whether the load follows the time of day.
    pub(super) moving: bool,
}

impl Load {
    /// Sets the load of one application, 1.0 being usual. The name is that of its `app.kubernetes.io/instance` label.
    pub fn set(&mut self, namespace: &str, app: &str, factor: f64) {
        self.apps.insert((namespace.to_owned(), app.to_owned()), factor);
    }

    /// Returns the load of one application.
    pub fn of(&self, namespace: &str, app: &str) -> f64 {
        self.apps.get(&(namespace.to_owned(), app.to_owned())).copied().unwrap_or(1.0)
    }

    /// Returns the applications that are busier than usual.
    pub fn busy(&self) -> impl Iterator<Item = (String, String)> {
        self.apps.iter().filter(|(_, factor)| **factor > 1.0).map(|(app, _)| app.clone())
    }

    /// Returns the load on a pod at a time: its application's, the time of day's, and a little of its own.
    fn on(&self, pod: &Pod, now: Timestamp) -> f64 {
        let app = pod.object.label("app.kubernetes.io/instance").unwrap_or_default();
        let set = self.of(&pod.object.key.namespace, app);
        let window = now.as_second() / WINDOW;
        let jitter = chance(&format!("{}{window}", pod.object.uid), 0.92, 1.08);
        let wave = if self.moving {
            1.0 + 0.2 * (TAU * (now.as_second() % 86_400) as f64 / 86_400.0 - 2.2).sin()
        } else {
            1.0
        };
        set * wave * jitter
    }
}

/// CPU and memory in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Nanocores.
    pub nanocores: i64,
    /// Bytes.
    pub bytes: i64,
}

/// Returns the millicores that a pod uses, from what the indexes know; what autoscalers average.
pub fn millicores(load: &Load, pod: &Pod, now: Timestamp) -> i64 {
    if pod.phase != Phase::Running {
        return 0;
    }
    let usual = chance(&pod.object.uid, 0.35, 0.6);
    let wanted = pod.cpu.max(10) as f64 * usual * load.on(pod, now);
    let limit = if pod.cpu_limit > 0 { pod.cpu_limit as f64 } else { f64::MAX };
    wanted.min(limit) as i64
}

fn container(load: &Load, images: &Images, pod: &Pod, spec: &Value, status: &Value, now: Timestamp) -> Usage {
    let Some(started) = time(status, "/state/running/startedAt") else { return Usage::default() };
    let resources = &spec["resources"];
    let name = text(spec, "/name");
    let cpu = milli(&resources["requests"]["cpu"]).max(5) as f64;
    let memory = units(&resources["requests"]["memory"]).max(16 << 20) as f64;
    let usual = chance(&pod.object.uid, 0.35, 0.6);
    let on = load.on(pod, now);
    let age = seconds(started, now).max(0.0);
    // A process that has just started is busy with itself and has not filled its memory.
    let mut used_cpu = cpu * usual * on + cpu * 0.8 * (-age / 8.0).exp();
    let warm = 0.6 + 0.4 * (1.0 - (-age / 600.0).exp());
    let mut used =
        memory * chance(&format!("{}{name}", pod.object.uid), 0.55, 0.92) * warm * (0.9 + 0.1 * on.min(2.0));
    let limit = units(&resources["limits"]["memory"]) as f64;
    match images.of(text(spec, "/image")) {
        Behaviour::OutOfMemory if limit > 0.0 => {
            used = (memory * 0.4 + limit * 0.6 * (age / 16.0).min(1.0)).min(limit);
        }
        Behaviour::Crash => used_cpu *= 1.6,
        _ => {}
    }
    let cap = milli(&resources["limits"]["cpu"]) as f64;
    if cap > 0.0 {
        used_cpu = used_cpu.min(cap);
    }
    // Odd numbers, as cgroups report them.
    let draw = format!("{}{name}{}", pod.object.uid, now.as_second() / WINDOW);
    let noise = chance(&draw, 0.0, 9_973.0) as i64;
    Usage {
        nanocores: (used_cpu * 1e6) as i64 + noise * 7,
        bytes: ((used as i64) >> 12 << 12) + (noise % 64) * 4096,
    }
}

impl World {
    /// Returns the usage of the containers of a pod, by name; `None` where the pod does not run.
    pub fn pod_usage(&self, key: &Key) -> Option<Vec<(String, Usage)>> {
        let pod = self.view.pod(key).filter(|pod| pod.phase == Phase::Running)?;
        let object = pod.object.value();
        Some(
            list(&object, "/spec/containers")
                .iter()
                .map(|spec| {
                    let name = text(spec, "/name");
                    let status =
                        list(&object, "/status/containerStatuses").iter().find(|s| s["name"] == name);
                    let status = status.unwrap_or(at(&object, "/nothing"));
                    (name.to_owned(), container(&self.load, &self.images, pod, spec, status, self.now()))
                })
                .collect(),
        )
    }

    /// Returns the usage of a node: its pods' and its own.
    pub fn node_usage(&self, name: &str) -> Option<Usage> {
        self.view.node(name)?;
        Some(node_usage(&self.view, &self.load, name, self.now()))
    }
}

/// Sums what the pods of a node use, from what the indexes know, and what the system takes for itself.
fn node_usage(view: &View, load: &Load, name: &str, now: Timestamp) -> Usage {
    let mut sum = Usage { nanocores: 85_000_000, bytes: 620 << 20 };
    for (_, pod) in
        view.on_node(name).filter(|(key, pod)| key.kind == Type::Pod && pod.phase == Phase::Running)
    {
        sum.nanocores += millicores(load, pod, now) * 1_000_000;
        sum.bytes += (pod.memory as f64 * chance(&pod.object.uid, 0.55, 0.92)) as i64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::world::Options;

    #[test]
    fn usage_is_the_same_at_the_same_moment_and_stays_below_the_limits() {
        let now = "2026-03-02T09:00:00Z".parse().unwrap();
        let world = World::new(&Options { tenants: 1, nodes: 3, alive: false, ..Options::default() }, now);
        let mut seen = 0;
        for object in world.objects.list(Type::Pod, None) {
            let usage = world.pod_usage(&object.key).unwrap();
            assert_eq!(usage, world.pod_usage(&object.key).unwrap());
            let pod = world.view.pod(&object.key).unwrap();
            let used: i64 = usage.iter().map(|(_, usage)| usage.bytes).sum();
            assert!(used > 0 && (pod.memory_limit == 0 || used <= pod.memory_limit), "{}", object.key);
            seen += 1;
        }
        assert!(seen > 20);
        let node = world.view.nodes().next().unwrap().0.clone();
        assert!(world.node_usage(&node).unwrap().nanocores > 0);
    }
}
