//! What the log shippers know: which containers write, under which labels, since when and until when.
//!
//! A copy of what the world knows at one moment. Lines are made when a stream is read ([`Log`]), and the same streams come
//! up as Alloy names them: one for each container and each of its two outputs, and one for the API server's audit log.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::request::{nanos, time};
use crate::demo::credentials::CLUSTER;
use crate::demo::logql::{Entry, Labels, Matcher, Source, Stream, label};
use crate::demo::objects::Object;
use crate::demo::podlog::scene::Scene;
use crate::demo::podlog::{Log, Run};
use crate::demo::types::Type;
use crate::demo::untyped::{at, list, number, text, time as time_at};
use crate::demo::world::World;

/// What the log shippers know.
#[derive(Debug, Clone)]
pub struct Shipped {
    scene: Scene,
    pods: Vec<Arc<Object>>,
    now: Timestamp,
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
    /// Looks at the world as it is.
    pub fn of(world: &mut World, now: Timestamp) -> Self {
        let pods = world.objects.list(Type::Pod, None).map(Arc::clone).collect();
        Self { scene: Scene::of(world), pods, now }
    }

    /// Returns the time of the copy, in nanoseconds.
    pub fn now(&self) -> i64 {
        nanos(self.now)
    }

    /// Returns the streams that all matchers take and that have entries in a window, sorted by their labels.
    pub fn shelves(&self, matchers: &[Matcher], from: i64, until: i64) -> Vec<Shelf> {
        let mut shelves: Vec<Shelf> = Vec::new();
        for pod in &self.pods {
            let node = pod.field("spec.nodeName").unwrap_or_default();
            if node.is_empty() || !may_take(matchers, pod, node) {
                continue;
            }
            let value = pod.value();
            for container in list(&value, "/spec/containers") {
                self.container(&value, pod, node, container, matchers, &mut shelves);
            }
        }
        self.audit(matchers, &mut shelves);
        shelves.retain(|shelf| shelf.overlaps(from, until));
        shelves.sort_by(|one, other| one.labels.cmp(&other.labels));
        shelves
    }

    fn container(
        &self,
        pod: &Value,
        object: &Object,
        node: &str,
        container: &Value,
        matchers: &[Matcher],
        shelves: &mut Vec<Shelf>,
    ) {
        let name = text(container, "/name");
        let app = app_of(object).unwrap_or(name);
        let mut runs: Option<Vec<Log>> = None;
        for stderr in [false, true] {
            let labels = labels(&[
                ("app", app),
                ("cluster", CLUSTER),
                ("container", name),
                ("job", &format!("{}/{app}", object.key.namespace)),
                ("namespace", &object.key.namespace),
                ("node_name", node),
                ("pod", &object.key.name),
                ("service_name", app),
                ("stream", if stderr { "stderr" } else { "stdout" }),
            ]);
            if !takes(matchers, &labels) {
                continue;
            }
            let runs = runs.get_or_insert_with(|| self.runs(pod, object, container));
            let writes = runs
                .iter()
                .any(|run| if stderr { run.stderr_share() > 0.0 } else { run.stderr_share() < 1.0 });
            if writes {
                shelves.push(Shelf { labels, runs: runs.clone(), stderr, now: self.now() });
            }
        }
    }

    /// Returns the runs of a container that its status tells of.
    fn runs(&self, pod: &Value, object: &Object, container: &Value) -> Vec<Log> {
        let name = text(container, "/name");
        let Some(status) =
            list(pod, "/status/containerStatuses").iter().find(|status| status["name"] == name)
        else {
            return Vec::new();
        };
        let count = number(status, "/restartCount");
        let waiting = !at(status, "/state/waiting").is_null();
        let states = [
            ("/lastState/terminated", if waiting { count } else { count - 1 }),
            ("/state/terminated", count),
            ("/state/running", count),
        ];
        states
            .into_iter()
            .filter_map(|(state, count)| {
                let run = at(status, state);
                let started = time_at(run, "/startedAt")?;
                let ended = time_at(run, "/finishedAt").map(|at| (at, number(run, "/exitCode")));
                let image = text(container, "/image");
                Some(Log::new(
                    &self.scene,
                    &Run { uid: &object.uid, container: name, image, count, started, ended },
                ))
            })
            .collect()
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

/// Returns the application that a pod belongs to, by its usual labels.
fn app_of(pod: &Object) -> Option<&str> {
    pod.label("app.kubernetes.io/name").or_else(|| pod.label("app"))
}

/// Says whether a pod may have streams that the matchers take, by what is known without decoding it.
fn may_take(matchers: &[Matcher], pod: &Object, node: &str) -> bool {
    matchers.iter().all(|matcher| match matcher.name.as_str() {
        "namespace" => matcher.takes(&pod.key.namespace),
        "pod" => matcher.takes(&pod.key.name),
        "node_name" => matcher.takes(node),
        "cluster" => matcher.takes(CLUSTER),
        "app" | "service_name" => app_of(pod).is_none_or(|app| matcher.takes(app)),
        "job" => app_of(pod).is_none_or(|app| matcher.takes(&format!("{}/{app}", pod.key.namespace))),
        "container" | "stream" => true,
        _ => matcher.takes(""),
    })
}
