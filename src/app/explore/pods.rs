//! The log screen over what the nodes keep: the logs of a pod, or of all pods of a workload.
//!
//! Lines of the Kubernetes API become lines of the screen: their stream is pod and container, their level is guessed.
//! Everything else is as with Loki: what hides, marks, folds and searches knows no difference.

use std::collections::BTreeMap;

use super::level::Level;
use super::volume::Tally;
use super::{Explore, Older, Phase};
use crate::app::effect::LogsOf;
use crate::identity::{Context, ObjectRef, Text};
use crate::signals::{Labels, Window};
use crate::sources::SourceError;
use crate::sources::logs::Line;
use crate::sources::loki::Entry;

/// How far back the logs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Since {
    /// The last so many lines, then everything new.
    Tail,
    /// So many minutes.
    Minutes(u32),
}

/// Whose logs are shown, and how they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Pods {
    /// The pod or the workload.
    pub object: ObjectRef,
    /// The one container to show; `None` for all.
    pub container: Option<Text>,
    /// The containers that have spoken, for choosing one.
    pub containers: Vec<Text>,
    /// Whether the previous life is shown.
    pub previous: bool,
    /// How far back.
    pub since: Since,
    /// The time in nanoseconds behind which nothing is wanted.
    pub until: Option<i64>,
    /// Streams that ended badly: pod or container, and why.
    pub failures: Vec<(Text, SourceError)>,
    /// The lines by second and level.
    pub tally: Tally,
    /// Counts the starts, so that the same can be asked anew.
    turn: u64,
    streams: BTreeMap<(Text, Text), Labels>,
    levels: BTreeMap<Level, Labels>,
}

impl Pods {
    /// Asks for the logs of a pod or workload.
    pub fn new(object: ObjectRef, previous: bool) -> Self {
        Self {
            object,
            container: None,
            containers: Vec::new(),
            previous,
            since: Since::Tail,
            until: None,
            failures: Vec::new(),
            tally: Tally::default(),
            turn: 0,
            streams: BTreeMap::new(),
            levels: BTreeMap::new(),
        }
    }

    /// Returns which logs these are, as the runner knows them.
    pub fn of(&self) -> LogsOf {
        LogsOf {
            object: self.object.clone(),
            container: self.container.clone(),
            previous: self.previous,
            since: self.since,
            turn: self.turn,
        }
    }

    /// Makes an entry of a line, with labels as Loki's shippers give them.
    fn entry(&mut self, line: Line, before: i64) -> Entry {
        let Line { pod, container, at, text, whole } = line;
        let nanoseconds = at.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
        let level = Level::guess(&text);
        let namespace = self.object.namespace.clone();
        let labels = self.streams.entry((pod, container)).or_insert_with_key(|(pod, container)| {
            let pairs = [("namespace", namespace), ("pod", Some(pod.clone()))];
            let pairs = pairs.into_iter().chain([("container", Some(container.clone()))]);
            pairs.filter_map(|(name, value)| Some((Text::from(name), value?))).collect()
        });
        let metadata = self.levels.entry(level).or_insert_with(|| match level {
            Level::Unknown => Labels::default(),
            level => [("detected_level".into(), Text::from(level.name()))].into_iter().collect(),
        });
        Entry {
            // A line without a time stands with the one before it.
            at: nanoseconds.unwrap_or(before),
            labels: labels.clone(),
            metadata: metadata.clone(),
            parsed: Labels::default(),
            text,
            whole,
        }
    }
}

impl Explore {
    /// Opens the logs of a pod or workload.
    pub fn of_pods(context: Context, object: ObjectRef, previous: bool) -> Self {
        let title = format!("logs {}", object.name);
        let mut new = Self::new(context, &title, "", Window::Last { seconds: 900 });
        new.object = Some(object.clone());
        new.take_pods(Pods::new(object, previous));
        new
    }

    /// Shows what the nodes keep in the place of what Loki has.
    pub fn take_pods(&mut self, pods: Pods) {
        self.follow = !pods.previous && pods.until.is_none();
        self.pods = Some(pods);
        self.phase = Phase::Reading;
        self.older = Older::Done;
        self.failure = None;
        self.stats = None;
        self.volume = None;
        self.held_of = None;
        self.clear();
    }

    /// Asks the nodes anew, for something else or the same.
    pub fn restart_pods(&mut self) {
        self.clear();
        self.anchor = None;
        if let Some(pods) = &mut self.pods {
            pods.turn += 1;
            pods.failures.clear();
            self.follow = !pods.previous && pods.until.is_none();
        }
    }

    /// Takes lines of logs, and how many were dropped before them for want of room.
    pub fn take_logged(&mut self, lines: Vec<Line>, dropped: u64, bound: usize) {
        self.settle_fresh();
        self.dropped += dropped;
        let from = self.lines.len();
        let mut before = from.checked_sub(1).and_then(|last| self.lines.get(last)).map_or(0, |held| held.at);
        let Some(pods) = &mut self.pods else { return };
        for line in lines {
            if !pods.containers.contains(&line.container) {
                pods.containers.push(line.container.clone());
            }
            let entry = pods.entry(line, before);
            if pods.until.is_some_and(|until| entry.at > until) {
                continue;
            }
            before = entry.at;
            let level = entry.level().map_or(Level::Unknown, Level::read);
            pods.tally.count(entry.at, level);
            self.lines.push(entry);
        }
        self.grown(from, bound);
        self.find_anchor();
    }

    /// Takes the failure of a stream; it is tried again, and has one seam where it broke off.
    pub fn take_log_failure(&mut self, stream: Text, error: SourceError, bound: usize) {
        let Some(pods) = &mut self.pods else { return };
        let known = pods.failures.iter().any(|(other, _)| *other == stream);
        pods.failures.retain(|(other, _)| *other != stream);
        let words = format!("{stream} was interrupted: {error}");
        pods.failures.push((stream, error));
        if !known && !self.lines.is_empty() {
            self.seam_here(&words, bound);
        }
    }

    /// Takes note that a stream that had failed goes on.
    pub fn take_log_start(&mut self, stream: &Text, bound: usize) {
        let Some(pods) = &mut self.pods else { return };
        let before = pods.failures.len();
        pods.failures.retain(|(other, _)| other != stream);
        if pods.failures.len() < before && !self.lines.is_empty() {
            self.seam_here(&format!("{stream} goes on; lines of the time between may be missing"), bound);
        }
    }

    fn seam_here(&mut self, words: &str, bound: usize) {
        let from = self.lines.len();
        let at = from.checked_sub(1).and_then(|last| self.lines.get(last)).map_or(0, |held| held.at);
        self.lines.seam(at, words);
        self.grown(from, bound);
    }
}
