//! A real Prometheus beside the embedded evaluator: the same samples, the same questions, the same answers.
//!
//! Values may differ by one part in 10^9, or by 10^-12: the order in which floats are added is not part of `PromQL`. Nor is
//! which of equal values `topk` takes: there the values count, not their labels.
//! Debian has Prometheus 2, so the evaluator is compared in that dialect on everything, and in that of Prometheus 3 on
//! what the two agree on: samples that do not lie on the borders of windows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use opsdeck::demo::promql::{Answer, Dialect, Engine, EvalError, Labels, Memory, Samples, Series};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::cluster::missing;

mod expressions;
mod fallbacks;
mod samples;
mod served;
mod world;

/// How long Prometheus may take to come up.
const PATIENCE: Duration = Duration::from_mins(1);
/// By how much two values may differ, relative to the larger.
const TOLERANCE: f64 = 1e-9;
/// By how much two values may differ in any case: what is left of a difference of equal sums.
const NOISE: f64 = 1e-12;

/// A Prometheus that holds given samples.
pub struct RealPrometheus {
    _program: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl RealPrometheus {
    /// Writes blocks with samples, and serves them on a free port.
    pub async fn start(samples: &Memory) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("samples.txt"), openmetrics(samples)).unwrap();
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics", &path("samples.txt"), &path("data")])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let made = tokio::time::timeout(PATIENCE, made).await.expect("promtool takes too long").unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(path("prometheus.yml"), "global: {}\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(path("log")).unwrap();
        let program = Command::new("prometheus")
            .args([
                format!("--config.file={}", path("prometheus.yml")),
                format!("--storage.tsdb.path={}", path("data")),
                "--storage.tsdb.retention.time=100y".into(),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let real = Self { _program: program, directory, port };
        let ready = async {
            let mut look = tokio::time::interval(Duration::from_millis(100));
            while !matches!(real.get("/-/ready", &[]).await, Some((200, _))) {
                look.tick().await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, ready).await.is_ok(),
            "prometheus did not come up: {}",
            log_end(real.directory.path())
        );
        real
    }

    /// Asks with the HTTP/1.0 that needs no client; returns code and body.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<(u16, String)> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let body = encoded(query);
        let method = if body.is_empty() { "GET" } else { "POST" };
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.ok()?.ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let code = head.split_whitespace().nth(1)?.parse().ok()?;
        Some((code, body.to_owned()))
    }

    async fn json(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let (_, body) = self.get(path, query).await.expect("prometheus answers");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }
}

fn log_end(directory: &Path) -> String {
    let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    log.lines().rev().take(10).collect::<Vec<&str>>().join("\n")
}

/// Encodes a form.
pub fn encoded(query: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in query {
        if !text.is_empty() {
            text.push('&');
        }
        write!(text, "{name}=").unwrap();
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() {
                text.push(char::from(byte));
            } else {
                write!(text, "%{byte:02X}").unwrap();
            }
        }
    }
    text
}

/// Writes samples in the exposition format that promtool reads.
fn openmetrics(samples: &Memory) -> String {
    let mut text = String::new();
    for (labels, points) in samples.iter() {
        let inner: Vec<String> = labels
            .iter()
            .filter(|(name, _)| *name != "__name__")
            .map(|(n, v)| format!("{n}={v:?}"))
            .collect();
        for (at, value) in points {
            let value = opsdeck::demo::promql::format::number(*value);
            let (seconds, millis) = (at / 1_000, at % 1_000);
            writeln!(text, "{}{{{}}} {value} {seconds}.{millis:03}", labels.name(), inner.join(",")).unwrap();
        }
    }
    text.push_str("# EOF\n");
    text
}

/// What either of them answers, in one form: labels to points; instants have one point.
type Table = BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>>;

/// An answer with its type, or an error.
type Outcome = Result<(String, Table), String>;

fn number(value: &Value) -> f64 {
    match value.as_str().unwrap() {
        "NaN" => f64::NAN,
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().unwrap(),
    }
}

fn point(value: &Value) -> (f64, f64) {
    (value[0].as_f64().unwrap(), number(&value[1]))
}

fn real_outcome(answer: &Value) -> Outcome {
    if answer["status"] == "error" {
        let error = answer["error"].as_str().unwrap();
        return Err(error.strip_prefix("invalid parameter \"query\": ").unwrap_or(error).to_owned());
    }
    let kind = answer["data"]["resultType"].as_str().unwrap().to_owned();
    let result = &answer["data"]["result"];
    let mut table = Table::new();
    match kind.as_str() {
        "scalar" => {
            table.insert(BTreeMap::new(), vec![point(result)]);
        }
        "string" => {
            table.insert([("text".to_owned(), result[1].to_string())].into(), Vec::new());
        }
        _ => {
            for series in result.as_array().unwrap() {
                let labels = serde_json::from_value(series["metric"].clone()).unwrap();
                let points = match series.get("values") {
                    Some(values) => values.as_array().unwrap().iter().map(point).collect(),
                    None => vec![point(&series["value"])],
                };
                table.insert(labels, points);
            }
        }
    }
    Ok((kind, table))
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn matrix(series: &[Series]) -> Table {
    let seconds =
        |points: &[(i64, f64)]| points.iter().map(|(at, value)| (*at as f64 / 1e3, *value)).collect();
    series.iter().map(|series| (map(&series.labels), seconds(&series.points))).collect()
}

fn own_instant(answer: Result<Answer, EvalError>, at: i64) -> Outcome {
    let at = at as f64 / 1e3;
    Ok(match answer.map_err(|error| error.to_string())? {
        Answer::Scalar(value) => ("scalar".to_owned(), [(BTreeMap::new(), vec![(at, value)])].into()),
        Answer::Text(text) => {
            let text = [("text".to_owned(), Value::String(text).to_string())].into();
            ("string".to_owned(), [(text, Vec::new())].into())
        }
        Answer::Vector(vector) => {
            let table = vector.iter().map(|one| (map(&one.labels), vec![(at, one.value)])).collect();
            ("vector".to_owned(), table)
        }
        Answer::Matrix(series) => ("matrix".to_owned(), matrix(&series)),
    })
}

fn same(real: f64, own: f64) -> bool {
    let close = (real - own).abs() <= (TOLERANCE * real.abs().max(own.abs())).max(NOISE);
    (real.is_nan() && own.is_nan()) || real.total_cmp(&own).is_eq() || close
}

/// The values of every time, sorted: what `topk` has chosen, whatever it has chosen it from.
fn by_time(table: &Table) -> BTreeMap<String, Vec<f64>> {
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (at, value) in table.values().flatten() {
        times.entry(at.to_string()).or_default().push(*value);
    }
    for values in times.values_mut() {
        values.sort_by(f64::total_cmp);
    }
    times
}

/// Tells what differs.
fn difference(expr: &str, real: &Outcome, own: &Outcome) -> Option<String> {
    let ((real_kind, real), (own_kind, own)) = match (real, own) {
        (Ok(real), Ok(own)) => (real, own),
        (Err(real), Err(own)) if real == own => return None,
        // Which of the duplicates are named depends on the order of series.
        (Err(real), Err(own))
            if real.contains("duplicate") && real.split(": [").next() == own.split(": [").next() =>
        {
            return None;
        }
        _ => return Some(format!("prometheus: {real:?}\n      opsdeck:    {own:?}")),
    };
    if real_kind != own_kind {
        return Some(format!("prometheus answers a {real_kind}, opsdeck a {own_kind}"));
    }
    if expr.contains("topk") || expr.contains("bottomk") {
        let (real, own) = (by_time(real), by_time(own));
        let equal = real.len() == own.len()
            && real.iter().zip(&own).all(|((at, real), (other, own))| {
                at == other && real.len() == own.len() && real.iter().zip(own).all(|(a, b)| same(*a, *b))
            });
        return (!equal).then(|| format!("the chosen values differ: {real:?} and {own:?}"));
    }
    for labels in real.keys().chain(own.keys()) {
        let (Some(real), Some(own)) = (real.get(labels), own.get(labels)) else {
            let who = if real.contains_key(labels) { "prometheus" } else { "opsdeck" };
            return Some(format!("only {who} has {labels:?}, of {} and {} series", real.len(), own.len()));
        };
        let times = |points: &[(f64, f64)]| points.iter().map(|point| point.0).collect::<Vec<f64>>();
        if times(real) != times(own) {
            return Some(format!("{labels:?}: times {:?} and {:?}", times(real), times(own)));
        }
        if let Some((real, own)) = real.iter().zip(own).find(|(real, own)| !same(real.1, own.1)) {
            return Some(format!("{labels:?} at {}: prometheus {}, opsdeck {}", real.0, real.1, own.1));
        }
    }
    None
}

/// Compares every expression at some times and over some windows; returns how many answers held series.
pub async fn compare(real: &RealPrometheus, own: &dyn Samples, engine: Engine, cases: &Cases<'_>) -> usize {
    let seconds = |at: i64| format!("{}.{:03}", at / 1_000, at % 1_000);
    let mut wrong = Vec::new();
    let mut filled = 0;
    for expr in cases.expressions {
        for at in cases.instants {
            let query = [("query", *expr), ("time", &seconds(*at))];
            let theirs = real_outcome(&real.json("/api/v1/query", &query).await);
            let ours = own_instant(engine.instant(own, expr, *at), *at);
            filled += usize::from(ours.as_ref().is_ok_and(|(_, table)| !table.is_empty()));
            if let Some(difference) = difference(expr, &theirs, &ours) {
                wrong.push(format!("{expr}\n   at {}: {difference}", seconds(*at)));
            }
        }
        for (start, end, step) in cases.ranges {
            let step_text = seconds(*step);
            let query = [
                ("query", *expr),
                ("start", &seconds(*start)),
                ("end", &seconds(*end)),
                ("step", &step_text),
            ];
            let theirs = real_outcome(&real.json("/api/v1/query_range", &query).await);
            let ours = engine.range(own, expr, *start, *end, *step);
            let ours = ours.map(|series| ("matrix".to_owned(), matrix(&series))).map_err(|e| e.to_string());
            filled += usize::from(ours.as_ref().is_ok_and(|(_, table)| !table.is_empty()));
            if let Some(difference) = difference(expr, &theirs, &ours) {
                wrong.push(format!(
                    "{expr}\n   range {} step {}: {difference}",
                    seconds(*start),
                    seconds(*step)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of the answers differ:\n{}", wrong.len(), wrong.join("\n"));
    filled
}

/// What is compared.
pub struct Cases<'a> {
    pub expressions: &'a [&'a str],
    pub instants: &'a [i64],
    /// Start, end and step.
    pub ranges: &'a [(i64, i64, i64)],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_come_to_what_a_real_prometheus_says() {
    if missing("prometheus") || missing("promtool") {
        return;
    }
    let samples = samples::make();
    let real = RealPrometheus::start(&samples).await;
    let start = samples::START;
    let instants = [start + 3_600_000, start + 7_321_000];
    let ranges =
        [(start + 600_000, start + 5_400_000, 60_000), (start + 3_000_000, start + 3_900_000, 7_000)];
    let every: Vec<&str> = expressions::BESIDE.to_vec();
    let same: Vec<&str> = every.iter().copied().filter(|expr| !expressions::differs(expr)).collect();
    for (dialect, expressions) in [(Dialect::Two, every), (Dialect::Three, same)] {
        let engine = Engine { dialect, ..Engine::default() };
        let cases = Cases { expressions: &expressions, instants: &instants, ranges: &ranges };
        let filled = compare(&real, &samples, engine, &cases).await;
        assert!(
            filled > expressions.len() * 3,
            "only {filled} of {} answers hold anything",
            expressions.len()
        );
    }
    let cases = Cases { expressions: expressions::ALIGNED, instants: &instants, ranges: &ranges };
    let engine = Engine { dialect: Dialect::Two, ..Engine::default() };
    compare(&real, &samples, engine, &cases).await;
    let cases = Cases { expressions: expressions::WRONG, instants: &instants[..1], ranges: &[] };
    compare(&real, &samples, engine, &cases).await;
}
