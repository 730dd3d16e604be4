//! The embedded platform's Prometheus: its HTTP API as a function of samples and rules (contracts 4.2).
//!
//! [`answer`] is pure: it is handed what is asked, the samples and the state of the rules, and returns bytes. It reads
//! no clock and waits for nothing; [`backend`] brings it to the service proxy and keeps the rules evaluated.
//!
//! # Why
//!
//! A query over ten thousand pods takes its time, and the world has one owner that must not wait for it. So queries run
//! on a snapshot, and nothing in here knows where that comes from.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::promql::format::wire;
use super::promql::{Answer, Engine, EvalError, Labels, Samples, Series};
use super::request::Query;

pub mod alerts;
pub mod backend;
mod lookup;
pub mod params;
pub mod recorded;
pub mod rules;
mod rules_api;
mod status;
pub mod template;

use alerts::Rules;
use recorded::Recorded;

/// The version that is told: the long-term release whose behaviour is played.
pub const VERSION: &str = "3.5.0";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`, `POST` or another.
    pub method: String,
    /// The path behind the prefix, such as `/api/v1/query`; percent signs are decoded.
    pub path: String,
    /// Parameters of the query string and of a form, the form's first.
    pub query: Query,
    /// The present time, Unix milliseconds.
    pub now_ms: i64,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub code: u16,
    /// The media type.
    pub media: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    fn text(code: u16, text: &str) -> Self {
        Self { code, media: "text/plain; charset=utf-8", body: text.as_bytes().to_vec() }
    }

    /// Reads the body as JSON; `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Why there is no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) enum Refusal {
    /// 400: what was asked is wrong.
    BadData(String),
    /// 422: it cannot be worked out.
    Execution(String),
    /// 404: there is no such thing.
    NotFound(String),
}

impl Refusal {
    /// A wrong parameter, as Prometheus names it.
    fn parameter(name: &str, what: impl std::fmt::Display) -> Self {
        Self::BadData(format!("invalid parameter \"{name}\": {what}"))
    }

    fn reply(&self) -> Reply {
        let (code, kind, error) = match self {
            Self::BadData(error) => (400, "bad_data", error),
            Self::Execution(error) => (422, "execution", error),
            Self::NotFound(error) => (404, "not_found", error),
        };
        let body = json!({"status": "error", "errorType": kind, "error": error});
        Reply { code, media: "application/json", body: body.to_string().into_bytes() }
    }
}

impl From<EvalError> for Refusal {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Bad(text) if text.contains("parse error") => Self::parameter("query", text),
            EvalError::Bad(text) if text.starts_with("invalid expression type") => {
                Self::parameter("query", text)
            }
            EvalError::Bad(text) => Self::BadData(text),
            EvalError::Execution(text) => Self::Execution(text),
        }
    }
}

/// Data, and what is to be said beside it.
pub(in crate::demo) struct Told {
    /// The `data` of the envelope, as JSON.
    data: String,
    warnings: Vec<String>,
}

impl From<Value> for Told {
    fn from(data: Value) -> Self {
        Self { data: data.to_string(), warnings: Vec::new() }
    }
}

impl Told {
    fn reply(self) -> Reply {
        let mut body = format!("{{\"status\":\"success\",\"data\":{}", self.data);
        if !self.warnings.is_empty() {
            // Writing into a String cannot fail.
            let _ = write!(body, ",\"warnings\":{}", json!(self.warnings));
        }
        body.push('}');
        Reply { code: 200, media: "application/json", body: body.into_bytes() }
    }
}

/// Answers a request.
pub fn answer(asked: &Asked, samples: &dyn Samples, rules: &Rules) -> Reply {
    let path = asked.path.trim_end_matches('/');
    match path {
        "/-/healthy" => return Reply::text(200, "Prometheus Server is Healthy.\n"),
        "/-/ready" => return Reply::text(200, "Prometheus Server is Ready.\n"),
        _ => {}
    }
    let Some(call) = path.strip_prefix("/api/v1/") else {
        return Reply::text(404, "404 page not found\n");
    };
    let form =
        matches!(call, "query" | "query_range" | "series" | "labels" | "format_query" | "query_exemplars");
    if !(asked.method == "GET" || asked.method == "HEAD" || (form && asked.method == "POST")) {
        return Reply::text(405, "Method Not Allowed\n");
    }
    let samples = Recorded::new(samples, rules, asked.now_ms);
    let told = match call {
        "query" => query(asked, &samples),
        "query_range" => query_range(asked, &samples),
        "format_query" => format_query(asked),
        "query_exemplars" => Ok(Told::from(json!([]))),
        "series" => lookup::series(asked, &samples),
        "labels" => lookup::labels(asked, &samples),
        "metadata" => Ok(lookup::metadata(asked, &samples)),
        "targets" => Ok(lookup::targets(asked, &samples)),
        "rules" => rules_api::rules(asked, rules),
        "alerts" => Ok(rules_api::alerts(rules)),
        "alertmanagers" => Ok(status::alertmanagers()),
        _ => match call.strip_prefix("label/").and_then(|rest| rest.strip_suffix("/values")) {
            Some(name) => lookup::values(asked, &samples, name),
            None => status::answer(call, asked, &samples, rules)
                .unwrap_or_else(|| Err(Refusal::NotFound("path not found".to_owned()))),
        },
    };
    told.map_or_else(|refusal| refusal.reply(), Told::reply)
}

/// The engine of a request: its lookback can be chosen.
fn engine(asked: &Asked) -> Result<Engine, Refusal> {
    let mut engine = Engine { interval_ms: rules::DEFAULT_INTERVAL_MS, ..Engine::default() };
    let lookback = asked.query.get("lookback_delta");
    if !lookback.is_empty() {
        engine.lookback_ms =
            params::duration(lookback).ok().filter(|lookback| *lookback > 0).ok_or_else(|| {
                Refusal::BadData(format!("error parsing lookback delta duration: {lookback:?}"))
            })?;
    }
    Ok(engine)
}

/// A `timeout` is checked and then not needed: nothing here waits.
fn check_timeout(asked: &Asked) -> Result<(), Refusal> {
    let timeout = asked.query.get("timeout");
    if timeout.is_empty() {
        return Ok(());
    }
    params::duration(timeout).map(|_| ()).map_err(|error| Refusal::parameter("timeout", error))
}

fn query(asked: &Asked, samples: &Recorded<'_>) -> Result<Told, Refusal> {
    let limit = params::limit(asked)?;
    let at = params::time(asked, "time")?.unwrap_or(asked.now_ms);
    check_timeout(asked)?;
    let answer = engine(asked)?.instant(samples, asked.query.get("query"), at)?;
    let mut data = String::new();
    let mut warnings = Vec::new();
    match answer {
        Answer::Scalar(value) => {
            let _ = write!(data, "{{\"resultType\":\"scalar\",\"result\":");
            write_point(&mut data, at, value);
        }
        Answer::Text(text) => {
            let _ = write!(data, "{{\"resultType\":\"string\",\"result\":[{},{}]", seconds(at), json!(text));
        }
        Answer::Vector(mut vector) => {
            cut(&mut vector, limit, &mut warnings);
            let _ = write!(data, "{{\"resultType\":\"vector\",\"result\":[");
            for (index, sample) in vector.iter().enumerate() {
                data.push_str(if index == 0 { "{\"metric\":" } else { ",{\"metric\":" });
                write_labels(&mut data, &sample.labels);
                data.push_str(",\"value\":");
                write_point(&mut data, at, sample.value);
                data.push('}');
            }
            data.push(']');
        }
        Answer::Matrix(mut series) => {
            cut(&mut series, limit, &mut warnings);
            write_matrix(&mut data, &series);
        }
    }
    data.push('}');
    Ok(Told { data, warnings })
}

fn query_range(asked: &Asked, samples: &Recorded<'_>) -> Result<Told, Refusal> {
    let limit = params::limit(asked)?;
    let required = |name: &str| {
        params::time(asked, name)?
            .ok_or_else(|| Refusal::parameter(name, "cannot parse \"\" to a valid timestamp"))
    };
    let (start, end) = (required("start")?, required("end")?);
    if end < start {
        return Err(Refusal::parameter("end", "end timestamp must not be before start time"));
    }
    let step =
        params::duration(asked.query.get("step")).map_err(|error| Refusal::parameter("step", error))?;
    if step <= 0 {
        return Err(Refusal::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    check_timeout(asked)?;
    let mut series = engine(asked)?.range(samples, asked.query.get("query"), start, end, step)?;
    let mut warnings = Vec::new();
    cut(&mut series, limit, &mut warnings);
    let mut data = String::new();
    write_matrix(&mut data, &series);
    data.push('}');
    Ok(Told { data, warnings })
}

fn format_query(asked: &Asked) -> Result<Told, Refusal> {
    let parsed = super::promql::syntax::parse(asked.query.get("query"))?;
    Ok(Told::from(json!(parsed.prettify())))
}

/// Keeps the first `limit` results and says so.
fn cut<T>(results: &mut Vec<T>, limit: Option<usize>, warnings: &mut Vec<String>) {
    if let Some(limit) = limit
        && results.len() > limit
    {
        results.truncate(limit);
        warnings.push("results truncated due to limit".to_owned());
    }
}

/// Seconds as Prometheus writes times: with three digits, or without any.
fn seconds(at_ms: i64) -> String {
    let sign = if at_ms < 0 { "-" } else { "" };
    let (whole, millis) = (at_ms.unsigned_abs() / 1_000, at_ms.unsigned_abs() % 1_000);
    if millis == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{millis:03}") }
}

fn write_point(into: &mut String, at_ms: i64, value: f64) {
    let _ = write!(into, "[{},\"{}\"]", seconds(at_ms), wire(value));
}

fn write_labels(into: &mut String, labels: &Labels) {
    for (index, (name, value)) in labels.iter().enumerate() {
        into.push(if index == 0 { '{' } else { ',' });
        let _ = write!(into, "{}:{}", json!(name), json!(value));
    }
    into.push_str(if labels.is_empty() { "{}" } else { "}" });
}

/// Writes the data of a matrix, without its last brace.
fn write_matrix(into: &mut String, series: &[Series]) {
    into.push_str("{\"resultType\":\"matrix\",\"result\":[");
    for (index, one) in series.iter().enumerate() {
        into.push_str(if index == 0 { "{\"metric\":" } else { ",{\"metric\":" });
        write_labels(into, &one.labels);
        into.push_str(",\"values\":[");
        for (index, (at, value)) in one.points.iter().enumerate() {
            if index > 0 {
                into.push(',');
            }
            write_point(into, *at, *value);
        }
        into.push_str("]}");
    }
    into.push(']');
}

/// Returns labels as a JSON object.
fn labels_value(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

#[cfg(test)]
mod tests;
