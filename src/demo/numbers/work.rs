//! What containers use: CPU and memory, from their requests, the demand on their application and how their image behaves.
//!
//! The one place for it: cAdvisor's counters, metrics.k8s.io and the autoscalers all come from here. Pure functions.

use super::Numbers;
use super::pod_life::{Container, PodLife, Run};
use super::wave::{Pulse, ahead, pick, secs, wander};
use crate::demo::images::Behaviour;

/// Seconds over which a process that has just started is busy with itself.
const START: f64 = 8.0;
/// Seconds in which a process fills its memory.
const WARM: f64 = 600.0;
/// CPU periods a second in which a container has something to do: ten there are, seven it uses.
pub const PERIODS: f64 = 7.0;

/// A container's use of the machine.
#[derive(Debug, Clone)]
pub struct Work {
    seed: u64,
    /// Cores that it uses at usual demand.
    cores: f64,
    /// Cores that it requests, for the burst at its start.
    request: f64,
    /// Cores that it may use; infinite where it has no limit.
    limit: f64,
    memory: f64,
    memory_limit: f64,
    behaviour: Behaviour,
}

impl Work {
    /// Describes a container of a pod.
    pub fn of(numbers: &Numbers, pod: &PodLife, container: &Container) -> Self {
        Self::new(pod, container, numbers.behaviour(&container.image))
    }

    /// Describes a container whose image behaves in a way.
    pub fn new(pod: &PodLife, container: &Container, behaviour: Behaviour) -> Self {
        let usual = pick(pod.seed, 1, 0.35, 0.6);
        let request = container.cpu.max(5) as f64 / 1000.0;
        let limit = if container.cpu_limit > 0 { container.cpu_limit as f64 / 1000.0 } else { f64::INFINITY };
        let seed = pod.seed ^ crate::demo::world::fnv64(container.name.as_bytes());
        Self {
            seed,
            cores: request * usual,
            request,
            limit,
            memory: container.memory.max(16 << 20) as f64 * pick(seed, 2, 0.55, 0.92),
            memory_limit: container.memory_limit as f64,
            behaviour,
        }
    }

    /// Returns a number that belongs to the container.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the core seconds that a run has used up to a moment.
    pub fn cpu(&self, pulse: &Pulse, run: &Run, t: i64) -> f64 {
        let (from, t) = (secs(run.from), secs(t));
        let age = (t - from).max(0.0);
        if self.behaviour == Behaviour::Spin && self.limit.is_finite() {
            // All it may; a little less, because it yields to the kernel now and then.
            return self.limit * 0.985 * age;
        }
        let more = if self.behaviour == Behaviour::Crash { 1.6 } else { 1.0 };
        let steady = pulse.sum(t) - pulse.sum(from) + ahead(self.seed, t) - ahead(self.seed, from);
        more * self.cores * steady + 0.8 * self.request * START * (1.0 - (-age / START).exp())
    }

    /// Returns the cores that a run uses at a moment, averaged over the seconds before it.
    pub fn rate(&self, pulse: &Pulse, run: &Run, t: i64, window: i64) -> f64 {
        let before = (t - window * 1000).max(run.from);
        if t <= before {
            return self.cores;
        }
        (self.cpu(pulse, run, t) - self.cpu(pulse, run, before)) / secs(t - before)
    }

    /// Returns the cores that a run uses at a moment without the burst of its start.
    pub fn steady(&self, pulse: &Pulse, run: &Run, t: i64) -> f64 {
        if self.behaviour == Behaviour::Spin && self.limit.is_finite() {
            return self.limit * 0.985;
        }
        if self.behaviour == Behaviour::Crash {
            return self.rate(pulse, run, t, 15);
        }
        let noise = (ahead(self.seed, secs(t)) - ahead(self.seed, secs(t) - 15.0)) / 15.0;
        self.cores * (pulse.at(secs(t)) + noise)
    }

    /// Returns the bytes of the working set of a run at a moment.
    pub fn memory(&self, pulse: &Pulse, run: &Run, t: i64) -> f64 {
        let age = secs(t - run.from).max(0.0);
        if self.behaviour == Behaviour::OutOfMemory && self.memory_limit > 0.0 {
            let grown = self.memory * 0.4 + self.memory_limit * 0.6 * (age / 16.0).min(1.0);
            return whole_pages(grown.min(self.memory_limit));
        }
        let warm = 0.6 + 0.4 * (1.0 - (-age / WARM).exp());
        let busy = 0.9 + 0.1 * pulse.at(secs(t)).min(2.0);
        let used = self.memory * warm * busy * (0.97 + 0.03 * wander(self.seed, secs(t)));
        whole_pages(if self.memory_limit > 0.0 { used.min(self.memory_limit * 0.99) } else { used })
    }

    /// Returns the part of its periods in which a container is throttled where nobody crowds it.
    pub fn throttled(&self) -> f64 {
        if self.limit.is_infinite() {
            return 0.0;
        }
        if self.behaviour == Behaviour::Spin {
            return 0.93;
        }
        // Most are hardly throttled, a few somewhat: bursts of garbage collection.
        pick(self.seed, 3, 0.0, 0.32).powi(3)
    }

    /// Tells whether it has a CPU limit, without which nothing is throttled.
    pub fn is_limited(&self) -> bool {
        self.limit.is_finite()
    }
}

fn whole_pages(bytes: f64) -> f64 {
    (bytes / 4096.0).floor() * 4096.0
}
