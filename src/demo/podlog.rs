//! What containers write: log lines made up from the container's identity and the time, never stored.
//!
//! Time is cut into slices; what is written in one follows from the pod, the container, its restarts and the number of
//! the slice. A log can therefore be read from anywhere, as often as one likes, and grows by itself. Lines are raw
//! bytes on purpose: colours, tabs, terminal commands, long lines and broken UTF-8 occur, so that whoever shows them has
//! to clean them. `kubectl logs` and Loki read the same lines here; neither makes up its own.

mod apps;
pub mod scene;
mod system;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::Value;

use self::scene::Scene;
use self::system::Voice;
use super::estate::{LogStyle, PROFILES};
use super::images::{Behaviour, Image};
use super::untyped::{at, later, list, number, text, time};
use super::world::fnv64;

/// Lines that a node keeps of one container before rotation has removed them: 10 MiB as the kubelet is set.
const KEPT: f64 = 40_000.0;

/// One line, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: Timestamp,
    /// The bytes.
    pub text: Vec<u8>,
    /// How bad it is, in Loki's words: `error`, `warn`, `info`, `debug`, `fatal` or `unknown`.
    pub level: &'static str,
    /// It went to standard error.
    pub stderr: bool,
    /// The trace that it belongs to.
    pub trace: Option<u64>,
}

impl Line {
    /// Makes a line of standard output.
    fn new(at: Timestamp, level: &'static str, text: impl Into<Vec<u8>>) -> Self {
        Self { at, text: text.into(), level, stderr: false, trace: None }
    }

    /// Makes it one of standard error.
    fn stderr(self) -> Self {
        Self { stderr: true, ..self }
    }
}

/// One run of a container, as the kubelet knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<'a> {
    /// UID of the pod.
    pub uid: &'a str,
    /// Name of the container.
    pub container: &'a str,
    /// Its image.
    pub image: &'a str,
    /// The checksum of the settings that its pod was made with; empty where that is not known.
    pub settings: &'a str,
    /// How often it had been restarted before.
    pub count: i64,
    /// When it started.
    pub started: Timestamp,
    /// When it ended and its exit code, where it has.
    pub ended: Option<(Timestamp, i64)>,
}

/// Why a container has no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLog {
    /// The pod has no such container.
    Unknown,
    /// It is not bound to a node: the API server answers with nothing.
    Unscheduled,
    /// It has not started.
    Waiting,
    /// There was no instance before this one.
    NoPrevious,
}

/// The log of one run of one container.
#[derive(Debug, Clone)]
pub struct Log {
    seed: u64,
    voice: Voice,
    scene: Scene,
    app: String,
    version: String,
    behaviour: Behaviour,
    started: Timestamp,
    ended: Option<(Timestamp, i64)>,
    /// Lines a second.
    rate: f64,
}

/// Seconds in a slice.
const SLICE: i64 = 4;

impl Log {
    /// Finds the log of a container, or of its previous instance.
    pub fn of(scene: &Scene, pod: &Value, container: &str, previous: bool) -> Result<Self, NoLog> {
        let spec = ["/spec/containers", "/spec/initContainers"]
            .iter()
            .flat_map(|path| list(pod, path))
            .find(|spec| spec["name"] == container)
            .ok_or(NoLog::Unknown)?;
        if text(pod, "/spec/nodeName").is_empty() {
            return Err(NoLog::Unscheduled);
        }
        let status = ["/status/containerStatuses", "/status/initContainerStatuses"]
            .iter()
            .flat_map(|path| list(pod, path))
            .find(|status| status["name"] == container)
            .ok_or(NoLog::Waiting)?;
        let restarts = number(status, "/restartCount");
        let (last, now) = (at(status, "/lastState/terminated"), at(status, "/state/terminated"));
        let waiting = !at(status, "/state/waiting").is_null();
        // Between two runs the present log is still that of the run that ended.
        let (run, count) = match (previous, waiting) {
            (true, _) if !last.is_null() => (last, if waiting { restarts } else { restarts - 1 }),
            (true, _) => return Err(NoLog::NoPrevious),
            (false, true) if !last.is_null() => (last, restarts),
            (false, true) => return Err(NoLog::Waiting),
            (false, false) if !now.is_null() => (now, restarts),
            (false, false) => (at(status, "/state/running"), restarts),
        };
        let started = time(run, "/startedAt").ok_or(NoLog::Waiting)?;
        let ended = time(run, "/finishedAt").map(|at| (at, number(run, "/exitCode")));
        let (uid, image) = (text(pod, "/metadata/uid"), text(spec, "/image"));
        let settings = super::untyped::marked(pod, "annotations", super::manifests::SETTINGS);
        Ok(Self::new(scene, &Run { uid, container, image, settings, count, started, ended }))
    }

    /// Returns the log of a run.
    pub fn new(scene: &Scene, run: &Run<'_>) -> Self {
        let seed = fnv64(format!("{}/{}/{}", run.uid, run.container, run.count).as_bytes());
        let voice = Voice::of(run.container);
        let tenant = PROFILES.iter().any(|profile| profile.name == run.container);
        let behaviour = scene.images.of_pod(run.image, run.settings);
        let mut rate = if tenant { 0.8 + (seed % 7) as f64 / 4.0 } else { voice.rate() };
        if tenant && behaviour == Behaviour::Crash {
            // Who fails says so again and again.
            rate *= 5.0;
        }
        Self {
            seed,
            voice,
            scene: scene.clone(),
            app: run.container.to_owned(),
            version: Image::parse(run.image).tag,
            behaviour,
            started: run.started,
            ended: run.ended,
            rate,
        }
    }

    /// Returns how many lines a second it has, on average.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Returns the share of its lines that go to standard error, about.
    pub fn stderr_share(&self) -> f64 {
        match self.voice {
            Voice::App(LogStyle::Json) => 0.0,
            // Only who crashes writes there.
            Voice::App(LogStyle::Logfmt) => {
                if self.ended.is_some_and(|(_, code)| code != 0) {
                    0.2
                } else {
                    0.0
                }
            }
            voice => voice.stderr_share(),
        }
    }

    /// Returns how long a line is, in bytes, about.
    pub fn line_bytes(&self) -> f64 {
        self.voice.line_bytes()
    }

    /// Returns when the run started, and when it ended where it has.
    pub fn times(&self) -> (Timestamp, Option<Timestamp>) {
        (self.started, self.ended())
    }

    /// Returns the lines with `from <= at < until`, oldest first, as a log store keeps them: rotation takes none away.
    pub fn span(&self, from: Timestamp, until: Timestamp) -> Vec<Line> {
        let end = self.ended.map_or(until, |(at, _)| at.min(until));
        let first = from.max(self.started).as_second().div_euclid(SLICE);
        let last = end.as_second().div_euclid(SLICE);
        let mut lines: Vec<Line> = (first..=last).flat_map(|slice| self.slice(slice)).collect();
        lines.retain(|line| line.at >= from && line.at < until);
        lines
    }

    /// Returns when the container ended, where it has: a reader that follows is done then.
    pub fn ended(&self) -> Option<Timestamp> {
        self.ended.map(|(at, _)| at)
    }

    /// Returns the lines after `from` and not after `until`, oldest first.
    pub fn lines(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Line> + '_ {
        let until = self.ended.map_or(until, |(at, _)| at.min(until));
        // What rotation has removed is not to be had.
        let oldest = later(until, -(KEPT / self.rate));
        let from = from.max(oldest);
        let first = from.max(self.started).as_second().div_euclid(SLICE);
        let last = until.as_second().div_euclid(SLICE);
        (first..=last)
            .flat_map(|slice| self.slice(slice))
            .filter(move |line| line.at > from && line.at <= until)
    }

    /// Returns the last `count` lines not after `until`, oldest first.
    pub fn tail(&self, count: usize, until: Timestamp) -> Vec<Line> {
        let until = self.ended.map_or(until, |(at, _)| at.min(until));
        let oldest = later(until, -(KEPT / self.rate)).max(self.started).as_second().div_euclid(SLICE);
        let mut slice = until.as_second().div_euclid(SLICE);
        let mut found: Vec<Line> = Vec::new();
        while found.len() < count && slice >= oldest {
            let mut lines: Vec<Line> =
                self.slice(slice).into_iter().filter(|line| line.at <= until).collect();
            lines.append(&mut found);
            found = lines;
            slice -= 1;
        }
        let surplus = found.len().saturating_sub(count);
        found.drain(..surplus);
        found
    }

    /// Writes what falls into one slice of time, in order.
    fn slice(&self, slice: i64) -> Vec<Line> {
        let begin = Timestamp::from_second(slice * SLICE).unwrap_or(Timestamp::MIN);
        let mut rng = Rng::with_seed(self.seed ^ (slice as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut lines = Vec::new();
        // The first second belongs to the start.
        if self.started.as_second().div_euclid(SLICE) == slice {
            self.greeting(&mut rng, &mut lines);
        }
        let count =
            (self.rate * SLICE as f64) as usize + usize::from(rng.f64() < (self.rate * SLICE as f64).fract());
        let mut times: Vec<f64> = (0..count).map(|_| rng.f64() * SLICE as f64).collect();
        times.sort_by(f64::total_cmp);
        let from = later(self.started, 1.0);
        let until = self.ended.map_or(Timestamp::MAX, |(at, _)| later(at, -0.4));
        for offset in times {
            let at = later(begin, offset);
            if at >= from && at < until {
                self.ordinary(at, &mut rng, &mut lines);
            }
        }
        if let Some((end, code)) = self.ended
            && end.as_second().div_euclid(SLICE) == slice
        {
            let mut last = self.farewell(end, code, &mut rng);
            let step = 0.3 / last.len().max(1) as f64;
            for (number, line) in last.iter_mut().enumerate() {
                line.at = later(end, -0.3 + step * number as f64).max(self.started);
            }
            lines.append(&mut last);
        }
        lines.sort_by_key(|line| line.at);
        if self.voice.stderr_share() >= 1.0 {
            for line in &mut lines {
                line.stderr = true;
            }
        }
        lines
    }

    /// What a process says as it starts.
    fn greeting(&self, rng: &mut Rng, lines: &mut Vec<Line>) {
        let said = match self.voice {
            Voice::App(_) => self.app_greeting(),
            Voice::Proxy | Voice::Ingress | Voice::Audit => Vec::new(),
            _ => vec![("info", format!("starting {} version {}", self.app, self.version))],
        };
        for (number, (level, message)) in said.into_iter().enumerate() {
            let at = later(self.started, 0.13 * (number + 1) as f64);
            let text = match self.voice {
                Voice::App(style) => self.format(style, at, level, &message, &[], rng),
                voice => voice.plain(at, level, &message).into_bytes(),
            };
            lines.push(Line::new(at, level, text));
        }
    }

    /// What everyday work writes: a line, or several that belong together.
    fn ordinary(&self, at: Timestamp, rng: &mut Rng, lines: &mut Vec<Line>) {
        match self.voice {
            Voice::App(style) => self.app_line(style, at, rng, lines),
            Voice::Proxy => lines.push(self.access(at, rng)),
            voice => voice.line(&self.scene, at, rng, lines),
        }
    }

    /// What a process says as it ends; the times are set by the caller.
    fn farewell(&self, end: Timestamp, code: i64, rng: &mut Rng) -> Vec<Line> {
        match self.voice {
            Voice::App(style) => self.app_farewell(style, end, code, rng),
            Voice::Proxy | Voice::Ingress | Voice::Audit => Vec::new(),
            voice => vec![Line::new(end, "info", voice.plain(end, "info", "shutting down"))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::images::Image;
    use serde_json::json;

    fn pod(state: Value, last: Value, restarts: i64) -> Value {
        json!({
            "metadata": {"uid": "u-1", "name": "checkout-1"},
            "spec": {"nodeName": "n", "containers": [{"name": "checkout", "image": "r/shop/checkout:1.8.0"}]},
            "status": {"containerStatuses": [{"name": "checkout", "state": state, "lastState": last, "restartCount": restarts}]},
        })
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_log_is_the_same_however_it_is_read_and_grows_with_time() {
        let scene = Scene::default();
        let pod = pod(json!({"running": {"startedAt": "2026-03-02T09:00:00Z"}}), json!({}), 0);
        let log = Log::of(&scene, &pod, "checkout", false).unwrap();
        let now = time("2026-03-02T09:10:00Z");
        let all: Vec<Line> = log.lines(Timestamp::MIN, now).collect();
        assert!(all.len() > 200, "{}", all.len());
        assert!(all.is_sorted_by_key(|line| line.at));
        assert_eq!(log.tail(50, now), all[all.len() - 50..]);
        let middle = all[all.len() / 2].at;
        let (old, new): (Vec<Line>, Vec<Line>) = all.iter().cloned().partition(|line| line.at <= middle);
        assert_eq!(log.lines(Timestamp::MIN, middle).collect::<Vec<_>>(), old);
        assert_eq!(log.lines(middle, now).collect::<Vec<_>>(), new);
    }

    #[test]
    fn the_previous_run_of_a_crashed_container_ends_with_a_stack_trace() {
        let mut scene = Scene::default();
        scene.images.set(Image::new("r/shop/checkout", "1.8.0"), Behaviour::Crash);
        let ended = json!({"terminated": {"exitCode": 1, "startedAt": "2026-03-02T09:00:00Z", "finishedAt": "2026-03-02T09:00:06Z"}});
        let pod = pod(json!({"running": {"startedAt": "2026-03-02T09:00:16Z"}}), ended, 1);
        let log = Log::of(&scene, &pod, "checkout", true).unwrap();
        assert_eq!(log.ended(), Some(time("2026-03-02T09:00:06Z")));
        let text: Vec<u8> =
            log.tail(3, time("2026-03-02T10:00:00Z")).into_iter().flat_map(|line| line.text).collect();
        assert!(String::from_utf8_lossy(&text).contains("TotalsRepository.java"));
        assert_ne!(
            log.lines(Timestamp::MIN, Timestamp::MAX).next(),
            Log::of(&scene, &pod, "checkout", false)
                .unwrap()
                .lines(Timestamp::MIN, time("2026-03-02T09:00:18Z"))
                .next()
        );
    }

    #[test]
    fn a_container_that_never_ran_has_no_log_and_says_why() {
        let scene = Scene::default();
        let waiting = pod(json!({"waiting": {"reason": "ContainerCreating"}}), json!({}), 0);
        assert_eq!(Log::of(&scene, &waiting, "checkout", false).unwrap_err(), NoLog::Waiting);
        assert_eq!(Log::of(&scene, &waiting, "checkout", true).unwrap_err(), NoLog::NoPrevious);
        assert_eq!(Log::of(&scene, &waiting, "other", false).unwrap_err(), NoLog::Unknown);
    }
}
