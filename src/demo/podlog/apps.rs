//! What applications of tenants write: JSON, logfmt and a framework's coloured text.

use std::fmt::Write as _;

use fastrand::Rng;
use jiff::Timestamp;

use super::{Behaviour, Line, Log};
use crate::demo::estate::LogStyle;
use crate::demo::untyped::seconds;

/// Paths that customers ask for.
pub(super) const PATHS: &[&str] = &[
    "/api/v1/carts",
    "/api/v1/orders",
    "/api/v1/orders/8812/items",
    "/api/v1/products?page=2",
    "/api/v1/prices",
    "/api/v1/customers/me",
    "/ready",
    "/metrics",
];

/// A value of a structured line.
pub(super) enum Field {
    Text(String),
    Number(u32),
}

/// Where a Java program was when it failed.
const FRAMES: &[(&str, &str)] = &[
    ("shop.orders.TotalsRepository.load", "TotalsRepository.java:88"),
    ("shop.orders.CartService.price", "CartService.java:141"),
    ("shop.http.CheckoutResource.submit", "CheckoutResource.java:57"),
    ("shop.http.Router.dispatch", "Router.java:203"),
    ("java.base/java.lang.Thread.run", "Thread.java:1583"),
];

/// Seconds after which a process that fills its volume has no room left, at the latest.
const FILLED: f64 = 720.0;

/// Why a bad version ends.
const FATAL: &str = "unrecoverable: relation \"order_totals\" does not exist (SQLSTATE 42P01)";

/// Writes a JSON text.
fn quoted(text: &str) -> String {
    // A text can always be written as JSON.
    serde_json::to_string(text).unwrap_or_default()
}

impl Log {
    pub(super) fn app_greeting(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("info", format!("starting {} version {}", self.app, self.version)),
            ("info", format!("configuration read from environment, feature set {}", self.version)),
            ("info", "connected to database, pool of 10".to_owned()),
        ];
        lines.push(match self.behaviour {
            Behaviour::Crash => ("warn", "migration 0042 is missing, going on without it".to_owned()),
            Behaviour::OutOfMemory => ("info", "loading price index into memory".to_owned()),
            Behaviour::Slow => ("info", "warming caches, not ready until done".to_owned()),
            Behaviour::NeverReady => {
                ("warn", "waiting for dependency http://pricing: no route to host".to_owned())
            }
            _ => ("info", format!("{} listens on :8080, ready", self.app)),
        });
        lines
    }

    /// One line of everyday work, or one with what belongs to it.
    pub(super) fn app_line(&self, style: LogStyle, at: Timestamp, rng: &mut Rng, lines: &mut Vec<Line>) {
        let bad = matches!(self.behaviour, Behaviour::Crash | Behaviour::OutOfMemory | Behaviour::NeverReady);
        let draw = rng.u32(..1000);
        let trace = rng.u64(..);
        let took = rng.u32(2..180);
        let path = PATHS[rng.usize(..PATHS.len())];
        let failing = self.scene.images.failing_lookups(at);
        let room = seconds(self.started, at) < FILLED;
        let (level, message, status) = match (draw, self.behaviour) {
            (draw, _) if f64::from(draw) < failing * 500.0 => {
                let host = "pricing.svc.cluster.local on 172.20.0.10:53";
                ("error", format!("dial tcp: lookup {host}: server misbehaving, {path} fails"), 503)
            }
            (0..=300, Behaviour::Full) if room => {
                let grown = seconds(self.started, at).max(0.0) * 12.0;
                ("warn", format!("append only file has grown to {grown:.0} MB, its rewrite is off"), 200)
            }
            (0..=550, Behaviour::Full) => {
                ("error", "write /data/appendonly.aof: no space left on device".to_owned(), 500)
            }
            (0..=200, Behaviour::Hammer) => {
                ("warn", format!("listing all pods again, {took} have changed meanwhile"), 200)
            }
            (201..=280, Behaviour::Hammer) => {
                let why = "the server has received too many requests and has asked us to try again later";
                ("error", format!("{why} (get pods)"), 429)
            }
            (0..=120, Behaviour::Spin) => {
                ("warn", format!("price cache is stale, computing {took} entries"), 200)
            }
            (0..=450, Behaviour::Crash) => {
                ("error", "relation \"order_totals\" does not exist".to_owned(), 500)
            }
            (0..=300, Behaviour::OutOfMemory) => {
                let age = seconds(self.started, at).max(0.0);
                let heap = (40.0 + age * 4.0).min(99.0) as i64;
                ("warn", format!("heap at {heap} % of limit, garbage collection took {took} ms"), 200)
            }
            (0..=400, Behaviour::NeverReady) => {
                ("warn", "dependency pricing does not answer, trying again in 5s".to_owned(), 503)
            }
            (0..=8, _) => {
                ("error", format!("upstream answered 503 on {path}, giving up after 3 attempts"), 503)
            }
            (9..=40, _) => ("warn", format!("slow query took {} ms", took * 9), 200),
            (41..=48, _) => ("info", odd(rng), 200),
            (49..=80, _) => ("debug", format!("cache hit for {path}"), 200),
            _ => ("info", format!("GET {path} done"), if bad { 500 } else { 200 }),
        };
        let fields = [
            ("duration_ms", Field::Number(took)),
            ("path", Field::Text(path.to_owned())),
            ("status", Field::Number(status)),
            ("trace_id", Field::Text(format!("{trace:016x}"))),
        ];
        let mut text = self.format(style, at, level, &message, &fields, rng);
        if draw == 47 {
            // A process that writes Latin-1 where UTF-8 is expected.
            text.extend_from_slice(b" caf\xe9");
        }
        lines.push(Line { trace: Some(trace), ..Line::new(at, level, text) });
        if style == LogStyle::Plain && draw <= 4 {
            // Written with one call: all of it has the same time.
            let why = "java.net.SocketTimeoutException: Read timed out";
            let cause = "Caused by: java.io.IOException: Connection reset by peer";
            let stack = FRAMES.iter().map(|(name, place)| format!("\tat {name}({place})"));
            let all = std::iter::once(why.to_owned())
                .chain(stack)
                .chain([cause.to_owned(), "\t... 4 more".to_owned()]);
            lines.extend(all.map(|text| Line::new(at, "unknown", text).stderr()));
        }
    }

    /// A line of a sidecar that passes requests on.
    pub(super) fn access(&self, at: Timestamp, rng: &mut Rng) -> Line {
        let path = PATHS[rng.usize(..PATHS.len())];
        let well = matches!(
            self.behaviour,
            Behaviour::Healthy | Behaviour::Spin | Behaviour::Hammer | Behaviour::Full
        );
        let bad = !well || rng.u32(..200) == 0;
        let status = if bad { 503 } else { 200 };
        let text = format!(
            "[{at:.3}] \"GET {path} HTTP/1.1\" {status} {} {} \"10.0.{}.{}\" \"Mozilla/5.0\"",
            rng.u32(200..9_000),
            rng.u32(1..220),
            rng.u32(..4),
            rng.u32(2..250)
        );
        Line::new(at, if bad { "error" } else { "info" }, text)
    }

    /// What an application says as it ends.
    pub(super) fn app_farewell(
        &self,
        style: LogStyle,
        end: Timestamp,
        code: i64,
        rng: &mut Rng,
    ) -> Vec<Line> {
        let mut say = |level: &'static str, message: &str| {
            Line::new(end, level, self.format(style, end, level, message, &[], rng))
        };
        if code == 0 {
            return vec![say("info", "done, bye")];
        }
        // The kernel gives no time for last words.
        if code == 137 {
            return vec![say("warn", "heap at 99 % of limit, garbage collection took 1840 ms")];
        }
        let raw = |text: &str| Line::new(end, "unknown", text).stderr();
        match style {
            LogStyle::Json => {
                let stack: Vec<String> =
                    FRAMES.iter().map(|(name, place)| format!("at {name}({place})")).collect();
                let fields =
                    [("error", Field::Text(FATAL.to_owned())), ("stack", Field::Text(stack.join("\n")))];
                let text = self.format(style, end, "error", "cannot price cart", &fields, rng);
                let fatal = self.format(style, end, "fatal", "exiting with code 1", &[], rng);
                vec![Line::new(end, "error", text), Line::new(end, "fatal", fatal)]
            }
            LogStyle::Logfmt => {
                let mut lines = vec![say("error", FATAL)];
                lines.extend(
                    [
                        "panic: runtime error: invalid memory address or nil pointer dereference",
                        "[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x7f3a21]",
                        "",
                        "goroutine 1 [running]:",
                        "shop/internal/totals.(*Store).Load(0x0, {0xc0000b2000, 0x24})",
                        "\t/src/internal/totals/store.go:88 +0x1d",
                        "main.main()",
                        "\t/src/cmd/server/main.go:41 +0x2f1",
                    ]
                    .map(raw),
                );
                lines
            }
            LogStyle::Plain => {
                let mut lines = vec![say("error", "Uncaught exception")];
                lines.push(raw(&format!("java.sql.SQLException: {FATAL}")));
                lines.extend(FRAMES.iter().map(|(name, place)| raw(&format!("\tat {name}({place})"))));
                lines
            }
        }
    }

    /// Writes a line in a style; the names of fields must be in their order.
    pub(super) fn format(
        &self,
        style: LogStyle,
        at: Timestamp,
        level: &str,
        message: &str,
        fields: &[(&str, Field)],
        rng: &mut Rng,
    ) -> Vec<u8> {
        let mut line = String::with_capacity(200);
        match style {
            LogStyle::Json => {
                let own = [
                    ("level", format!("\"{level}\"")),
                    ("logger", quoted(&self.app)),
                    ("msg", quoted(message)),
                    ("ts", format!("\"{at:.3}\"")),
                ];
                let given = fields.iter().map(|(key, value)| match value {
                    Field::Text(text) => (*key, quoted(text)),
                    Field::Number(number) => (*key, number.to_string()),
                });
                let mut pairs: Vec<(&str, String)> = own.into_iter().chain(given).collect();
                pairs.sort_by_key(|(key, _)| *key);
                for (key, value) in pairs {
                    line.push_str(if line.is_empty() { "{\"" } else { ",\"" });
                    line.push_str(key);
                    line.push_str("\":");
                    line.push_str(&value);
                }
                line.push('}');
            }
            LogStyle::Logfmt => {
                let _ = write!(line, "time={at:.3} level={level} msg={message:?}");
                for (key, value) in fields {
                    match value {
                        Field::Text(text) => {
                            let _ = write!(line, " {key}={text}");
                        }
                        Field::Number(number) if *key == "duration_ms" => {
                            let _ = write!(line, " duration={number}ms");
                        }
                        Field::Number(number) => {
                            let _ = write!(line, " {key}={number}");
                        }
                    }
                }
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
                line = format!(
                    "{time} \x1b[{colour}m{:<5}\x1b[0m [worker-{thread}] \x1b[1m{}\x1b[0m : {message}",
                    level.to_uppercase(),
                    self.app
                );
            }
        }
        line.into_bytes()
    }
}

/// What turns up in logs that nobody expects: names that people have, and what a terminal takes for commands.
fn odd(rng: &mut Rng) -> String {
    let which = rng.usize(..9);
    [
        "customer Zoë Müller-Łuczak registered",
        "search for \"☕️ 咖啡\" found 3 products",
        "note\twith\ttabs",
        "file \u{202e}gpj.exe uploaded",
        "progress 40%\rprogress 80%\rprogress done",
        "user agent \u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[H seen",
        "comment \u{1b}]52;c;ZWNobyBvd25lZA==\u{7} stored",
        "html <script>alert(\"&amp;\")</script> refused",
    ]
    .get(which)
    .map_or_else(
        || {
            // A document in one line, a little below the 16 KiB at which the kubelet would cut it.
            let letters = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0".repeat(340);
            format!("request body {letters}")
        },
        |text| (*text).to_owned(),
    )
}
