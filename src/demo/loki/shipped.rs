//! What the log shippers know: which containers write, under which labels, since when and until when.
//!
//! A copy of what the world knows at one moment. Lines are made when a stream is read ([`Log`]), and the same streams come
//! up as Alloy names them: one for each container and each of its two outputs, and one for the API server's audit log.

use std::sync::Arc;

use jiff::Timestamp;

use super::request::{nanos, time};
use crate::demo::credentials::CLUSTER;
use crate::demo::images::Images;
use crate::demo::logql::{Entry, Labels, MatchOp, Matcher, Source, Stream, label};
use crate::demo::numbers::Numbers;
use crate::demo::numbers::chronicle::Facts;
use crate::demo::numbers::pod_life::{Container, PodLife};
use crate::demo::podlog::scene::{self, Scene, Site};
use crate::demo::podlog::{Log, Run};
use crate::demo::world::World;

/// What is copied of the world; small, so that the world waits for a moment only.
#[derive(Debug)]
pub struct Copy {
    numbers: Numbers,
    images: Images,
    sites: Vec<Site>,
    now: Timestamp,
}

impl Copy {
    /// Looks at the world as it is.
    pub fn of(world: &mut World, now: Timestamp) -> Self {
        Self {
            numbers: Numbers::at(world, now),
            images: world.images.clone(),
            sites: scene::sites(world),
            now,
        }
    }
}

/// What the log shippers know.
#[derive(Debug, Clone)]
pub struct Shipped {
    scene: Scene,
    facts: Arc<Facts>,
    now: Timestamp,
}

impl From<Copy> for Shipped {
    fn from(copy: Copy) -> Self {
        let scene = Scene::new(copy.images, copy.sites, &copy.numbers);
        Self { scene, facts: copy.numbers.facts, now: copy.now }
    }
}

/// One stream.
#[derive(Debug, Clone)]
pub struct Shelf {
    labels: Labels,
    /// Runs of the container, oldest first.
    runs: Vec<Log>,
    stderr: bool,
    /// There are no entries after it, in nanoseconds.
    now: i64,
}

impl Stream for Shelf {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn entries(&self, from: i64, until: i64) -> Vec<Entry> {
        let until = until.min(self.now.saturating_add(1));
        if from >= until {
            return Vec::new();
        }
        let mut entries = Vec::new();
        for run in &self.runs {
            let lines =
                run.span(time(from), time(until)).into_iter().filter(|line| line.stderr == self.stderr);
            entries.extend(lines.map(|line| {
                let mut metadata = vec![("detected_level".to_owned(), line.level.to_owned())];
                if let Some(trace) = line.trace {
                    metadata.push(("trace_id".to_owned(), format!("{trace:016x}")));
                }
                let text = String::from_utf8(line.text)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
                Entry { at: nanos(line.at), line: text, metadata }
            }));
        }
        entries
    }

    fn rate(&self) -> f64 {
        self.runs.last().map_or(0.0, |run| run.rate() * if self.stderr { run.stderr_share() } else { 1.0 })
    }
}

impl Shelf {
    /// Returns about how many lines and bytes it has in a window.
    pub fn estimate(&self, from: i64, until: i64) -> (f64, f64) {
        let until = until.min(self.now);
        let mut lines = 0.0;
        let mut bytes = 0.0;
        for run in &self.runs {
            let (started, ended) = run.times();
            let begin = from.max(nanos(started));
            let end = until.min(ended.map_or(i64::MAX, nanos));
            let seconds = (end.saturating_sub(begin)).max(0) as f64 / 1e9;
            let share = if self.stderr { run.stderr_share() } else { 1.0 - run.stderr_share() };
            let count = seconds * run.rate() * share;
            lines += count;
            bytes += count * run.line_bytes();
        }
        (lines, bytes)
    }

    fn overlaps(&self, from: i64, until: i64) -> bool {
        self.runs.iter().any(|run| {
            let (started, ended) = run.times();
            nanos(started) < until && ended.is_none_or(|ended| nanos(ended) >= from)
        })
    }
}

impl Source for Shipped {
    fn streams(&self, matchers: &[Matcher], from: i64, until: i64) -> Vec<Arc<dyn Stream>> {
        self.shelves(matchers, from, until)
            .into_iter()
            .map(|shelf| Arc::new(shelf) as Arc<dyn Stream>)
            .collect()
    }
}

impl Shipped {
    /// Returns the time of the copy, in nanoseconds.
    pub fn now(&self) -> i64 {
        nanos(self.now)
    }

    /// Returns the streams that all matchers take and that have entries in a window, sorted by their labels.
    pub fn shelves(&self, matchers: &[Matcher], from: i64, until: i64) -> Vec<Shelf> {
        let mut shelves: Vec<Shelf> = Vec::new();
        let namespace = matchers
            .iter()
            .find(|matcher| matcher.name == "namespace" && matcher.op == MatchOp::Equal)
            .map(|matcher| matcher.value.as_str());
        let pods = self.facts.pods(namespace, from.div_euclid(1_000_000), until.div_euclid(1_000_000) + 1);
        for pod in pods.filter(|pod| !pod.node.is_empty() && may_take(matchers, pod)) {
            for container in &pod.containers {
                self.container(pod, container, matchers, &mut shelves);
            }
        }
        self.audit(matchers, &mut shelves);
        shelves.retain(|shelf| shelf.overlaps(from, until));
        shelves.sort_by(|one, other| one.labels.cmp(&other.labels));
        shelves
    }

    fn container(
        &self,
        pod: &PodLife,
        container: &Container,
        matchers: &[Matcher],
        shelves: &mut Vec<Shelf>,
    ) {
        let app = app_of(pod).unwrap_or(&container.name);
        let mut runs: Option<Vec<Log>> = None;
        for stderr in [false, true] {
            let labels = labels(&[
                ("app", app),
                ("cluster", CLUSTER),
                ("container", &container.name),
                ("job", &format!("{}/{app}", pod.namespace)),
                ("namespace", &pod.namespace),
                ("node_name", &pod.node),
                ("pod", &pod.name),
                ("service_name", app),
                ("stream", if stderr { "stderr" } else { "stdout" }),
            ]);
            if !takes(matchers, &labels) {
                continue;
            }
            let runs = runs.get_or_insert_with(|| self.runs(pod, container));
            let writes = runs
                .iter()
                .any(|run| if stderr { run.stderr_share() > 0.0 } else { run.stderr_share() < 1.0 });
            if writes {
                shelves.push(Shelf { labels, runs: runs.clone(), stderr, now: self.now() });
            }
        }
    }

    /// Returns the logs of the runs of a container.
    fn runs(&self, pod: &PodLife, container: &Container) -> Vec<Log> {
        let all = container.runs.len();
        let at = |millis: i64| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        let logs = container.runs.iter().enumerate().map(|(place, run)| {
            let before = i64::try_from(all - 1 - place).unwrap_or(0);
            // A pod that is gone has taken its last run with it.
            let ended = run.to.or(pod.gone).map(|millis| (at(millis), run.code));
            let run = Run {
                uid: &pod.uid,
                container: &container.name,
                image: &container.image,
                settings: "",
                count: container.restarts - before,
                started: at(run.from),
                ended,
            };
            Log::new(&self.scene, &run)
        });
        logs.collect()
    }

    fn audit(&self, matchers: &[Matcher], shelves: &mut Vec<Shelf>) {
        let labels = labels(&[
            ("app", "kube-apiserver"),
            ("cluster", CLUSTER),
            ("job", "audit"),
            ("namespace", "kube-system"),
            ("service_name", "kube-apiserver"),
        ]);
        if takes(matchers, &labels) {
            let run = Run {
                uid: "kube-apiserver",
                container: "kube-apiserver-audit",
                image: "",
                settings: "",
                count: 0,
                started: Timestamp::UNIX_EPOCH,
                ended: None,
            };
            shelves.push(Shelf {
                labels,
                runs: vec![Log::new(&self.scene, &run)],
                stderr: false,
                now: self.now(),
            });
        }
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn takes(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.takes(label(labels, &matcher.name).unwrap_or_default()))
}

/// Returns the application that a pod belongs to, by its usual label.
fn app_of(pod: &PodLife) -> Option<&str> {
    Some(&*pod.kind).filter(|name| !name.is_empty())
}

/// Says whether a pod may have streams that the matchers take, by what is known before any is made.
fn may_take(matchers: &[Matcher], pod: &PodLife) -> bool {
    matchers.iter().all(|matcher| match matcher.name.as_str() {
        "namespace" => matcher.takes(&pod.namespace),
        "pod" => matcher.takes(&pod.name),
        "node_name" => matcher.takes(&pod.node),
        "cluster" => matcher.takes(CLUSTER),
        "app" | "service_name" => app_of(pod).is_none_or(|app| matcher.takes(app)),
        "job" => app_of(pod).is_none_or(|app| matcher.takes(&format!("{}/{app}", pod.namespace))),
        "container" | "stream" => true,
        _ => matcher.takes(""),
    })
}
