//! How much CPU and memory pods and nodes use: what metrics.k8s.io tells, and what autoscalers act upon.
//!
//! Read from the counters of [`super::numbers`], so that `kubectl top` and a graph of the same pod agree; nothing is
//! sampled or stored, and the same moment always gives the same answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::images::{Behaviour, Images};
use super::numbers::chronicle::Facts;
use super::numbers::pod_life::PodLife;
use super::numbers::wave::{Pulse, Steps};
use super::numbers::work::Work;
use super::objects::Key;
use super::view::{Phase, Pod};
use super::world::World;
use crate::identity::Text;

/// Seconds over which metrics-server averages.
pub const WINDOW: i64 = 15;

/// How busy applications are, as a factor on their usual load.
#[derive(Debug, Clone, Default)]
pub struct Load {
    pub(super) apps: Arc<BTreeMap<(String, String), Steps>>,
    /// Whether the load follows the time of day.
    pub(super) moving: bool,
}

impl Load {
    /// Sets the load of one application from a moment on, 1.0 being usual. The name is that of its
    /// `app.kubernetes.io/instance` label.
    pub fn set(&mut self, namespace: &str, app: &str, factor: f64, now: Timestamp) {
        let steps = Arc::make_mut(&mut self.apps).entry((namespace.to_owned(), app.to_owned())).or_default();
        steps.set(now.as_millisecond(), factor);
    }

    /// Returns how the load of one application changed.
    pub fn steps(&self, namespace: &str, app: &str) -> Steps {
        self.apps.get(&(namespace.to_owned(), app.to_owned())).cloned().unwrap_or_default()
    }

    /// Returns the load of one application.
    pub fn of(&self, namespace: &str, app: &str) -> f64 {
        self.apps.get(&(namespace.to_owned(), app.to_owned())).and_then(Steps::last).unwrap_or(1.0)
    }

    /// Returns the applications that are busier than usual.
    pub fn busy(&self) -> impl Iterator<Item = (String, String)> {
        self.apps
            .iter()
            .filter(|(_, steps)| steps.last().is_some_and(|factor| factor > 1.0))
            .map(|(app, _)| app.clone())
    }
}

/// What a node takes for itself: the kernel, the kubelet and the container runtime.
pub const SYSTEM: Usage = Usage { nanocores: 85_000_000, bytes: 620 << 20 };

/// CPU and memory in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Nanocores.
    pub nanocores: i64,
    /// Bytes.
    pub bytes: i64,
}

/// Returns the millicores that a pod uses without the burst of its start; what autoscalers average.
pub fn millicores(facts: &Facts, images: &Images, load: &Load, pod: &Pod, now: Timestamp) -> i64 {
    if pod.phase != Phase::Running {
        return 0;
    }
    let key = &pod.object.key;
    let found = facts.pods.get(&(key.namespace.clone(), key.name.clone(), pod.object.uid.clone()));
    let Some(life) = found else { return 0 };
    let now = now.as_millisecond();
    let pulse = Pulse::new(&load.steps(&life.namespace, &life.app), load.moving);
    let cores: f64 = life
        .containers
        .iter()
        .filter_map(|one| Some((one, one.run(now)?)))
        .map(|(one, run)| Work::new(life, one, images.of(&one.image)).steady(&pulse, run, now))
        .sum();
    (cores * 1000.0) as i64
}

/// Measures the containers of a pod as metrics-server does: by two looks at their counters.
fn measured<'a>(
    life: &'a PodLife,
    images: &'a Images,
    load: &Load,
    now: Timestamp,
) -> impl Iterator<Item = (&'a Text, Usage)> {
    let now = now.as_millisecond();
    let pulse = Pulse::new(&load.steps(&life.namespace, &life.app), load.moving);
    life.containers.iter().map(move |one| {
        let Some(run) = one.run(now) else { return (&one.name, Usage::default()) };
        let work = Work::new(life, one, images.of(&one.image));
        let cores = work.rate(&pulse, run, now, WINDOW);
        let usage = Usage {
            // A billion nanocores are one core.
            nanocores: (cores * 1e9) as i64,
            bytes: work.memory(&pulse, run, now) as i64,
        };
        (&one.name, usage)
    })
}

impl World {
    /// Returns the usage of the containers of a pod, by name; `None` where the pod does not run.
    pub fn pod_usage(&self, key: &Key) -> Option<Vec<(String, Usage)>> {
        let pod = self.view.pod(key).filter(|pod| pod.phase == Phase::Running)?;
        let id = (key.namespace.clone(), key.name.clone(), pod.object.uid.clone());
        let life = self.chronicle.facts().pods.get(&id)?;
        let all = measured(life, &self.images, &self.load, self.now());
        Some(all.map(|(name, usage)| (name.to_string(), usage)).collect())
    }

    /// Returns how many containers hammer the API server at the moment.
    pub fn hammers(&self) -> u32 {
        // Nobody does, nearly always, and then nobody has to be looked at.
        if !self.images.any(Behaviour::Hammer) {
            return 0;
        }
        let now = self.now().as_millisecond();
        let pods = self.chronicle.facts().pods.values().filter(|pod| pod.there(now));
        let count = pods
            .flat_map(|pod| pod.containers.iter())
            .filter(|one| one.run(now).is_some() && self.images.of(&one.image) == Behaviour::Hammer)
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Returns the usage of a node: its pods' and its own.
    pub fn node_usage(&self, name: &str) -> Option<Usage> {
        self.view.node(name)?;
        let now = self.now();
        let mut sum = SYSTEM;
        for pod in self.chronicle.facts().pods_on(name).filter(|pod| pod.there(now.as_millisecond())) {
            for (_, usage) in measured(pod, &self.images, &self.load, now) {
                sum.nanocores += usage.nanocores;
                sum.bytes += usage.bytes;
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::types::Type;
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
