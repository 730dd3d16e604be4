//! What containers write: log lines made up from the container's identity and the time, never stored.
//!
//! Time is cut into slices; what is written in one follows from the pod, the container, its restarts and the number of
//! the slice. A log can therefore be read from anywhere, as often as one likes, and grows by itself. Lines are raw
//! bytes on purpose: colours, tabs and broken UTF-8 occur, so that whoever shows them has to clean them.

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::estate::{LogStyle, PROFILES};
use super::images::{Behaviour, Image, Images};
use super::untyped::{at, later, list, number, seconds, text, time};
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
    style: LogStyle,
    app: String,
    version: String,
    behaviour: Behaviour,
    proxy: bool,
    started: Timestamp,
    ended: Option<(Timestamp, i64)>,
    /// Lines a second.
    rate: f64,
}

/// Seconds in a slice.
const SLICE: i64 = 4;

impl Log {
    /// Finds the log of a container, or of its previous instance.
    pub fn of(images: &Images, pod: &Value, container: &str, previous: bool) -> Result<Self, NoLog> {
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
        let image = text(spec, "/image");
        let uid = text(pod, "/metadata/uid");
        let seed = fnv64(format!("{uid}/{container}/{count}").as_bytes());
        let parsed = Image::parse(image);
        let profile = PROFILES.iter().find(|profile| profile.name == container);
        let proxy = container == "proxy";
        Ok(Self {
            seed,
            style: profile.map_or(LogStyle::Logfmt, |profile| profile.log),
            app: container.to_owned(),
            version: parsed.tag,
            behaviour: images.of(image),
            proxy,
            started,
            ended,
            rate: if profile.is_some() { 0.8 + (seed % 7) as f64 / 4.0 } else { 0.25 },
        })
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
        let mut write = |at: Timestamp, text: Vec<u8>| lines.push(Line { at, text });
        // The first second belongs to the start.
        let started = self.started.as_second().div_euclid(SLICE) == slice;
        if started {
            for (number, (level, message)) in self.greeting().into_iter().enumerate() {
                let at = later(self.started, 0.13 * (number + 1) as f64);
                write(at, self.format(at, level, &message, &[], &mut rng));
            }
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
                let text = self.ordinary(at, &mut rng);
                write(at, text);
            }
        }
        if let Some((end, code)) = self.ended
            && end.as_second().div_euclid(SLICE) == slice
        {
            let last = self.farewell(end, code, &mut rng);
            let step = 0.3 / last.len().max(1) as f64;
            for (number, text) in last.into_iter().enumerate() {
                let at = later(end, -0.3 + step * number as f64).max(self.started);
                write(at, text);
            }
        }
        lines.sort_by_key(|line| line.at);
        lines
    }

    fn greeting(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("info", format!("starting {} version {}", self.app, self.version)),
            ("info", format!("configuration read from environment, feature set {}", self.version)),
            ("info", "connected to database, pool of 10".to_owned()),
        ];
        match self.behaviour {
            Behaviour::Crash => {
                lines.push(("warn", "migration 0042 is missing, going on without it".to_owned()));
            }
            Behaviour::OutOfMemory => lines.push(("info", "loading price index into memory".to_owned())),
            Behaviour::Slow => lines.push(("info", "warming caches, not ready until done".to_owned())),
            Behaviour::NeverReady => {
                lines.push(("warn", "waiting for dependency http://pricing: no route to host".to_owned()));
            }
            _ => lines.push(("info", format!("{} listens on :8080, ready", self.app))),
        }
        lines
    }

    /// One line of everyday work.
    fn ordinary(&self, at: Timestamp, rng: &mut Rng) -> Vec<u8> {
        if self.proxy {
            return self.access(at, rng);
        }
        let bad = matches!(self.behaviour, Behaviour::Crash | Behaviour::OutOfMemory | Behaviour::NeverReady);
        let draw = rng.u32(..1000);
        let trace = format!("{:016x}", rng.u64(..));
        let took = rng.u32(2..180);
        let path = PATHS[rng.usize(..PATHS.len())];
        let (level, message, status) = match (draw, self.behaviour) {
            (0..=450, Behaviour::Crash) => {
                ("error", "relation \"order_totals\" does not exist".to_owned(), 500)
            }
            (0..=300, Behaviour::OutOfMemory) => {
                let age = seconds(self.started, at).max(0.0);
                (
                    "warn",
                    format!(
                        "heap at {} % of limit, garbage collection took {took} ms",
                        (40.0 + age * 4.0).min(99.0) as i64
                    ),
                    200,
                )
            }
            (0..=400, Behaviour::NeverReady) => {
                ("warn", "dependency pricing does not answer, trying again in 5s".to_owned(), 503)
            }
            (0..=8, _) => {
                ("error", format!("upstream answered 503 on {path}, giving up after 3 attempts"), 503)
            }
            (9..=40, _) => ("warn", format!("slow query took {} ms", took * 9), 200),
            (41..=48, _) => (
                "info",
                // Names that people have, and what else turns up in logs.
                [
                    "customer Zoë Müller-Łuczak registered",
                    "search for \"☕️ 咖啡\" found 3 products",
                    "note\twith\ttabs",
                    "file \u{202e}gpj.exe uploaded",
                    "progress 40%\rprogress 80%\rprogress done",
                ][rng.usize(..5)]
                .to_owned(),
                200,
            ),
            (49..=80, _) => ("debug", format!("cache hit for {path}"), 200),
            _ => ("info", format!("GET {path} done"), if bad { 500 } else { 200 }),
        };
        let fields = [
            ("path", json!(path)),
            ("status", json!(status)),
            ("duration_ms", json!(took)),
            ("trace_id", json!(trace)),
        ];
        let mut line = self.format(at, level, &message, &fields, rng);
        if draw == 47 {
            // A process that writes Latin-1 where UTF-8 is expected.
            line.extend_from_slice(b" caf\xe9");
        }
        line
    }

    fn access(&self, at: Timestamp, rng: &mut Rng) -> Vec<u8> {
        let path = PATHS[rng.usize(..PATHS.len())];
        let bad = self.behaviour != Behaviour::Healthy || rng.u32(..200) == 0;
        format!(
            "[{at}] \"GET {path} HTTP/1.1\" {} {} {} \"10.0.{}.{}\" \"Mozilla/5.0\"",
            if bad { 503 } else { 200 },
            rng.u32(200..9_000),
            rng.u32(1..220),
            rng.u32(..4),
            rng.u32(2..250)
        )
        .into_bytes()
    }

    /// What a process says as it ends.
    fn farewell(&self, end: Timestamp, code: i64, rng: &mut Rng) -> Vec<Vec<u8>> {
        if code == 0 {
            return vec![self.format(end, "info", "done, bye", &[], rng)];
        }
        // The kernel gives no time for last words.
        if code == 137 {
            return vec![self.format(
                end,
                "warn",
                "heap at 99 % of limit, garbage collection took 1840 ms",
                &[],
                rng,
            )];
        }
        let why = "unrecoverable: relation \"order_totals\" does not exist (SQLSTATE 42P01)";
        let frames = [
            ("shop.orders.TotalsRepository.load", "TotalsRepository.java:88"),
            ("shop.orders.CartService.price", "CartService.java:141"),
            ("shop.http.CheckoutResource.submit", "CheckoutResource.java:57"),
            ("shop.http.Router.dispatch", "Router.java:203"),
            ("java.base/java.lang.Thread.run", "Thread.java:1583"),
        ];
        match self.style {
            LogStyle::Json => {
                let stack: Vec<String> =
                    frames.iter().map(|(name, place)| format!("at {name}({place})")).collect();
                let fields = [("error", json!(why)), ("stack", json!(stack.join("\n")))];
                vec![
                    self.format(end, "error", "cannot price cart", &fields, rng),
                    self.format(end, "fatal", "exiting with code 1", &[], rng),
                ]
            }
            LogStyle::Logfmt => vec![
                self.format(end, "error", why, &[], rng),
                b"panic: runtime error: invalid memory address or nil pointer dereference".to_vec(),
                b"[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x7f3a21]".to_vec(),
                Vec::new(),
                b"goroutine 1 [running]:".to_vec(),
                b"shop/internal/totals.(*Store).Load(0x0, {0xc0000b2000, 0x24})".to_vec(),
                b"\t/src/internal/totals/store.go:88 +0x1d".to_vec(),
                b"main.main()".to_vec(),
                b"\t/src/cmd/server/main.go:41 +0x2f1".to_vec(),
            ],
            LogStyle::Plain => {
                let mut lines = vec![
                    self.format(end, "error", "Uncaught exception", &[], rng),
                    format!("java.sql.SQLException: {why}").into_bytes(),
                ];
                lines.extend(frames.iter().map(|(name, place)| format!("\tat {name}({place})").into_bytes()));
                lines
            }
        }
    }

    fn format(
        &self,
        at: Timestamp,
        level: &str,
        message: &str,
        fields: &[(&str, Value)],
        rng: &mut Rng,
    ) -> Vec<u8> {
        match self.style {
            LogStyle::Json => {
                let mut line =
                    json!({"ts": at.to_string(), "level": level, "logger": self.app, "msg": message});
                for (key, value) in fields {
                    line[*key] = value.clone();
                }
                line.to_string().into_bytes()
            }
            LogStyle::Logfmt => {
                let mut line = format!("time={at} level={level} msg={message:?}");
                for (key, value) in fields {
                    line.push(' ');
                    line.push_str(key);
                    line.push('=');
                    line.push_str(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                }
                line.into_bytes()
            }
            LogStyle::Plain => {
                let colour = match level {
                    "error" | "fatal" => 31,
                    "warn" => 33,
                    "debug" => 36,
                    _ => 32,
                };
                let thread = rng.u32(1..9);
                let time = at.strftime("%H:%M:%S%.3f");
                format!(
                    "{time} \x1b[{colour}m{:<5}\x1b[0m [worker-{thread}] \x1b[1m{}\x1b[0m : {message}",
                    level.to_uppercase(),
                    self.app
                )
                .into_bytes()
            }
        }
    }
}

const PATHS: &[&str] = &[
    "/api/v1/carts",
    "/api/v1/orders",
    "/api/v1/orders/8812/items",
    "/api/v1/products?page=2",
    "/api/v1/prices",
    "/api/v1/customers/me",
    "/ready",
    "/metrics",
];

#[cfg(test)]
mod tests {
    use super::*;

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
        let images = Images::default();
        let pod = pod(json!({"running": {"startedAt": "2026-03-02T09:00:00Z"}}), json!({}), 0);
        let log = Log::of(&images, &pod, "checkout", false).unwrap();
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
        let mut images = Images::default();
        images.set(Image::new("r/shop/checkout", "1.8.0"), Behaviour::Crash);
        let ended = json!({"terminated": {"exitCode": 1, "startedAt": "2026-03-02T09:00:00Z", "finishedAt": "2026-03-02T09:00:06Z"}});
        let pod = pod(json!({"running": {"startedAt": "2026-03-02T09:00:16Z"}}), ended, 1);
        let log = Log::of(&images, &pod, "checkout", true).unwrap();
        assert_eq!(log.ended(), Some(time("2026-03-02T09:00:06Z")));
        let text: Vec<u8> =
            log.tail(3, time("2026-03-02T10:00:00Z")).into_iter().flat_map(|line| line.text).collect();
        assert!(String::from_utf8_lossy(&text).contains("TotalsRepository.java"));
        assert_ne!(
            log.lines(Timestamp::MIN, Timestamp::MAX).next(),
            Log::of(&images, &pod, "checkout", false)
                .unwrap()
                .lines(Timestamp::MIN, time("2026-03-02T09:00:18Z"))
                .next()
        );
    }

    #[test]
    fn a_container_that_never_ran_has_no_log_and_says_why() {
        let images = Images::default();
        let waiting = pod(json!({"waiting": {"reason": "ContainerCreating"}}), json!({}), 0);
        assert_eq!(Log::of(&images, &waiting, "checkout", false).unwrap_err(), NoLog::Waiting);
        assert_eq!(Log::of(&images, &waiting, "checkout", true).unwrap_err(), NoLog::NoPrevious);
        assert_eq!(Log::of(&images, &waiting, "other", false).unwrap_err(), NoLog::Unknown);
    }
}
