//! The numbers of the embedded platform's world: every metric series, projected from the one world.
//!
//! [`Numbers`] is a snapshot that answers for any moment of the last day: as samples on a scrape grid, as
//! `promql::Samples` wants them, and as what a component exposes right now. It stores no samples and changes nothing.
//!
//! # Why
//!
//! A day of history must be there when the demo starts, with ten thousand pods as with a hundred. So a value is a
//! function of time ([`wave`]) shaped by what the world has noted ([`chronicle`]): births and deaths, restarts, rollouts,
//! what a story set. Counters are exact integrals of their rates, so that two looks at any two moments agree, and
//! metrics.k8s.io, the autoscalers and the exposition read the same functions.
//!
//! One file a component. A family is named there once, with type and help, and handed to the [`sink`], which asks for its
//! values only where the labels pass.

pub mod argocd;
pub mod cadvisor;
pub mod chronicle;
pub mod control_plane;
pub mod coredns;
pub mod ingress;
pub mod karpenter;
pub mod ksm;
pub mod ksm_objects;
pub mod monitoring;
pub mod node;
pub mod operators;
pub mod pod_life;
pub mod sink;
pub mod targets;
pub mod wave;
pub mod work;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use self::chronicle::Facts;
use self::pod_life::PodLife;
use self::sink::{Exposed, Sink};
use self::targets::{Part, Target};
use self::wave::{Pulse, Steps};
use super::images::{Behaviour, Images};
use super::promql::{Labels, Matcher, Metadata, MetricKind, Samples, Series};
use super::usage::Load;
use super::world::World;
use crate::identity::Text;

/// Milliseconds between two scrapes.
pub const SCRAPE_MS: i64 = 30_000;

/// The name under which a story sets which part of name lookups fails.
pub const DNS: &str = "dns";

/// How far the history reaches back from the moment the world was made, in milliseconds.
pub const HISTORY_MS: i64 = 24 * 3_600_000;

/// A metric: its name, without the suffixes of a histogram, what it is and what it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// What it tells, in the words of its project.
    pub help: &'static str,
}

/// Declares a counter.
const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, help }
}

/// Declares a gauge.
const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, help }
}

/// Declares a histogram.
const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, help }
}

/// One exporter: the components that have it, its metrics, and how they are worked out.
pub struct Exporter {
    /// The components.
    pub parts: &'static [Part],
    /// Its metrics.
    pub metrics: &'static [Metric],
    /// Hands the series that are asked for to the sink.
    pub collect: fn(&Numbers, &mut Sink<'_>),
}

/// Every exporter.
static EXPORTERS: &[&Exporter] = &[
    &ksm::EXPORTER,
    &ksm_objects::EXPORTER,
    &cadvisor::EXPORTER,
    &node::EXPORTER,
    &node::KUBELET,
    &ingress::EXPORTER,
    &control_plane::EXPORTER,
    &control_plane::CONTROLLERS,
    &coredns::EXPORTER,
    &argocd::EXPORTER,
    &karpenter::EXPORTER,
    &operators::EXPORTER,
    &monitoring::SCRAPES,
    &monitoring::EXPORTER,
];

/// The world's numbers, as they stand for one question.
#[derive(Debug, Clone)]
pub struct Numbers {
    /// What has happened.
    pub facts: Arc<Facts>,
    /// The moment of the snapshot, in Unix milliseconds; there are no samples after it.
    pub now: i64,
    /// What is scraped, also what was.
    pub targets: Arc<Vec<Target>>,
    images: Images,
    load: Load,
    /// How much spinning neighbours take from the pods of a node, by node.
    pressed: HashMap<Text, Steps>,
}

impl Numbers {
    /// Takes a snapshot.
    pub fn of(world: &World) -> Self {
        Self::at(world, world.now())
    }

    /// Takes a snapshot for a moment that the world has reached or is about to.
    pub fn at(world: &World, now: Timestamp) -> Self {
        let facts = Arc::clone(world.chronicle.facts());
        let now = now.as_millisecond();
        let mut numbers = Self {
            targets: Arc::new(targets::targets(&facts, now)),
            facts,
            now,
            images: world.images.clone(),
            load: world.load.clone(),
            pressed: HashMap::new(),
        };
        numbers.pressed = numbers.pressure();
        numbers
    }

    /// Returns how an image behaves.
    pub fn behaviour(&self, image: &str) -> Behaviour {
        self.images.of(image)
    }

    /// Returns the demand on an application over time.
    pub fn pulse(&self, namespace: &str, app: &str) -> Pulse {
        Pulse::new(&self.load.steps(namespace, app), self.load.moving)
    }

    /// Returns the targets of a component, also those that are gone.
    pub fn of_part(&self, part: Part) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.part == part)
    }

    /// Returns the target of a component that has one at a time: the latest.
    pub fn single(&self, part: Part) -> Option<&Target> {
        self.of_part(part).max_by_key(|target| target.span.0)
    }

    /// Returns over time which part of the lookups of an ailing `CoreDNS` replica fails, as a story set it.
    pub fn dns_signal(&self) -> Steps {
        (*self.facts.signal(DNS)).clone()
    }

    /// Returns over time which part of all name lookups fails: that of the replicas that were there when it began.
    pub fn dns_trouble(&self) -> Steps {
        let signal = self.facts.signal(DNS);
        let Some(began) = signal.iter().find(|(_, level)| *level > 0.0).map(|(at, _)| at) else {
            return Steps::default();
        };
        let replicas: Vec<&Target> = self.of_part(Part::CoreDns).collect();
        let mut moments: Vec<i64> = signal.iter().map(|(at, _)| at).collect();
        moments.extend(
            replicas
                .iter()
                .flat_map(|one| [one.span.0, one.span.1])
                .filter(|at| *at > began && *at < i64::MAX),
        );
        moments.sort_unstable();
        let level = |t: i64| {
            let there = replicas.iter().filter(|one| one.there(t));
            let (all, ailing) = there.fold((0.0_f64, 0.0), |(all, ailing), one| {
                (all + 1.0, ailing + f64::from(u8::from(one.span.0 < began)))
            });
            signal.at(t, 0.0) * ailing / all.max(1.0)
        };
        Steps::new(moments.into_iter().map(|t| (t, level(t))).collect())
    }

    /// Returns over time how many containers hammer the API server.
    pub fn hammers(&self) -> Steps {
        let mut turns: Vec<(i64, f64)> = Vec::new();
        for pod in self.facts.pods.values() {
            for one in pod.containers.iter().filter(|one| self.behaviour(&one.image) == Behaviour::Hammer) {
                for run in &one.runs {
                    turns.push((run.from, 1.0));
                    let end = run.to.into_iter().chain(pod.gone).min();
                    turns.extend(end.map(|end| (end, -1.0)));
                }
            }
        }
        turns.sort_by_key(|turn| turn.0);
        let mut steps = Steps::default();
        let mut count = 0.0;
        for (at, change) in turns {
            count += change;
            steps.set(at, count);
        }
        steps
    }

    /// Returns how much of their time the pods of a node wait for spinning neighbours, over time.
    pub fn pressed(&self, node: &str) -> Option<&Steps> {
        self.pressed.get(node)
    }

    /// Returns the moments of the grid after `from` and not after `to` that the history has.
    fn grid(&self, from: i64, to: i64) -> Vec<i64> {
        let oldest = self.facts.begin - HISTORY_MS;
        let first = (from.max(oldest - 1)).div_euclid(SCRAPE_MS) + 1;
        let last = to.min(self.now).div_euclid(SCRAPE_MS);
        (first..=last).map(|number| number * SCRAPE_MS).collect()
    }

    fn collect(&self, sink: &mut Sink<'_>) {
        for exporter in EXPORTERS {
            let asked = |metric: &Metric, sink: &Sink<'_>| {
                sink.metric(metric.name).is_some()
                    || (metric.kind == MetricKind::Histogram
                        && ["_bucket", "_sum", "_count"]
                            .iter()
                            .any(|suffix| sink.named(&format!("{}{suffix}", metric.name))))
            };
            if exporter.metrics.iter().any(|metric| asked(metric, sink)) {
                (exporter.collect)(self, sink);
            }
        }
    }

    /// Returns what a target exposes at the moment of the snapshot.
    pub fn expose(&self, target: &Target) -> Vec<Exposed> {
        let mut sink = Sink::exposed(&target.scrape, self.now);
        for exporter in EXPORTERS.iter().filter(|exporter| exporter.parts.contains(&target.part)) {
            (exporter.collect)(self, &mut sink);
        }
        sink.into_exposed()
    }

    /// Works out which nodes spinning containers crowd: a tenth of a core of them for each core the node has takes a
    /// tenth of everybody's time, up to seven tenths.
    fn pressure(&self) -> HashMap<Text, Steps> {
        let mut on: BTreeMap<Text, Vec<&Arc<PodLife>>> = BTreeMap::new();
        for pod in self.facts.pods.values().filter(|pod| !pod.node.is_empty()) {
            if pod.containers.iter().any(|one| self.behaviour(&one.image) == Behaviour::Spin) {
                on.entry(pod.node.clone()).or_default().push(pod);
            }
        }
        on.into_iter()
            .map(|(node, pods)| {
                let mut moments: Vec<i64> = Vec::new();
                for run in pods.iter().flat_map(|pod| pod.containers.iter()).flat_map(|one| &one.runs) {
                    moments.extend([run.from, run.to.unwrap_or(i64::MAX)]);
                }
                moments.extend(pods.iter().filter_map(|pod| pod.gone));
                moments.sort_unstable();
                moments.dedup();
                let cores = targets::cores(&self.facts, &node).max(1.0);
                let level = |t: i64| {
                    let spinning: i64 = pods
                        .iter()
                        .filter(|pod| pod.there(t))
                        .flat_map(|pod| pod.containers.iter())
                        .filter(|one| one.run(t).is_some() && self.behaviour(&one.image) == Behaviour::Spin)
                        .map(|one| one.cpu_limit)
                        .sum();
                    (spinning as f64 / 1000.0 / cores).min(0.7)
                };
                let steps = moments.into_iter().filter(|t| *t < i64::MAX).map(|t| (t, level(t))).collect();
                (node, Steps::new(steps))
            })
            .collect()
    }
}

impl Samples for Numbers {
    fn select(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Series> {
        let mut sink = Sink::series(matchers, self.grid(from_ms, to_ms));
        self.collect(&mut sink);
        sink.into_series()
    }

    fn latest(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Series> {
        // A series that is not there at the last scrape has ended.
        let mut sink = Sink::series(matchers, self.grid(from_ms, to_ms).pop().into_iter().collect());
        self.collect(&mut sink);
        sink.into_series()
    }

    fn series(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Labels> {
        // Whether a series was there is told by ten moments of the window; nothing here lives for less.
        let grid = self.grid(from_ms, to_ms);
        let step = (grid.len() / 10).max(1);
        let times = grid.iter().rev().step_by(step).rev().copied().collect();
        let mut sink = Sink::labels(matchers, times);
        self.collect(&mut sink);
        sink.into_labels()
    }

    fn metadata(&self) -> Vec<Metadata> {
        let mut all: Vec<Metadata> = metrics()
            .map(|metric| Metadata {
                metric: metric.name.to_owned(),
                kind: metric.kind,
                help: metric.help.to_owned(),
                unit: String::new(),
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }

    fn targets(&self) -> Vec<super::promql::Target> {
        let now = self.targets.iter().filter(|target| target.there(self.now));
        now.map(|target| target.described(self.now)).collect()
    }
}

/// Returns every metric of every component.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    EXPORTERS.iter().flat_map(|exporter| exporter.metrics)
}

#[cfg(test)]
mod tests;
