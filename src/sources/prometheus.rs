//! Prometheus, and whatever answers as it does: expressions, and rules with their alerts (contracts 4.2).
//!
//! Only asks. A part of an answer that cannot be understood is skipped and counted; warnings are handed on, because
//! Thanos says there that its answer is partial.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::SourceError;
use super::endpoint::Endpoint;
use crate::identity::Text;
use crate::signals::{
    Alert, AlertState, Answer, Labels, Origin, Rule, RuleHealth, RuleState, Sample, Series, Severity, Told,
    Window,
};

/// The most values of one series that Prometheus returns (contracts 4.2).
const POINTS: i64 = 11_000;

#[derive(Deserialize)]
struct Envelope<'a> {
    status: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    error: Option<String>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    infos: Option<Vec<String>>,
}

/// An answer out of its envelope.
struct Opened<T> {
    data: T,
    warnings: Vec<Text>,
}

fn open<'a, T: Deserialize<'a>>(endpoint: &Endpoint, body: &'a [u8]) -> Result<Opened<T>, SourceError> {
    let envelope: Envelope<'a> = serde_json::from_slice(body)
        .map_err(|error| endpoint.garbled(&format!("no answer of its API: {error}")))?;
    if envelope.status != "success" {
        return Err(SourceError::Invalid {
            what: format!("{} at {}", endpoint.system, endpoint.place),
            reason: crate::text::one_line(&envelope.error.unwrap_or(envelope.status)).into_owned(),
        });
    }
    let data = envelope.data.ok_or_else(|| endpoint.garbled("an answer without data"))?;
    let data =
        serde_json::from_str(data.get()).map_err(|error| endpoint.garbled(&format!("its data: {error}")))?;
    let words = envelope.warnings.into_iter().chain(envelope.infos).flatten();
    Ok(Opened { data, warnings: words.map(|word| crate::text::one_line(&word).into()).collect() })
}

/// Asks for the values of an expression at a time in seconds since 1970, or now.
pub async fn instant(endpoint: &Endpoint, query: &str, at: Option<i64>) -> Result<Told, SourceError> {
    let time = at.map(|at| at.to_string());
    let mut question = vec![("query", query)];
    question.extend(time.as_deref().map(|time| ("time", time)));
    let body = endpoint.get("/api/v1/query", &question).await?;
    series(endpoint, &body)
}

/// Asks for the values of an expression over a window, `step` seconds apart.
///
/// The ends are moved to multiples of the step, so that a picture that is asked for again does not tremble.
pub async fn range(endpoint: &Endpoint, query: &str, window: Window, step: u32) -> Result<Told, SourceError> {
    let (from, to) = window.bounds(endpoint.now());
    let mut step = i64::from(step.max(1));
    // An answer of more values is refused whole.
    step = step.max((to - from) / (POINTS - 1) + 1);
    let (from, to) = (from.div_euclid(step) * step, to.div_euclid(step) * step);
    let (from, to, step) = (from.to_string(), to.to_string(), step.to_string());
    let question = [("query", query), ("start", &*from), ("end", &*to), ("step", &*step)];
    let body = endpoint.get("/api/v1/query_range", &question).await?;
    series(endpoint, &body)
}

/// How many names are asked for at most: more cannot be looked through, and servers have far fewer.
const NAMES: usize = 50_000;

/// Seconds back for which names are asked: what has been gone for longer cannot be drawn now.
const NAMES_BACK: i64 = 3_600;

/// Asks for the values of a label; of `__name__` for the metrics.
pub async fn values(endpoint: &Endpoint, label: &str, matching: &str) -> Result<Told, SourceError> {
    // The name becomes a part of the path.
    if label.is_empty() || !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(SourceError::Invalid {
            what: format!("label {label:?}"),
            reason: "its name has other characters than letters, digits and _".to_owned(),
        });
    }
    names(endpoint, &format!("/api/v1/label/{label}/values"), matching).await
}

/// Asks for the names of labels.
pub async fn label_names(endpoint: &Endpoint, matching: &str) -> Result<Told, SourceError> {
    names(endpoint, "/api/v1/labels", matching).await
}

async fn names(endpoint: &Endpoint, path: &str, matching: &str) -> Result<Told, SourceError> {
    let now = endpoint.now().as_second();
    let (start, end) = ((now - NAMES_BACK).to_string(), now.to_string());
    let mut question = vec![("start", &*start), ("end", &*end)];
    if !matching.is_empty() {
        question.push(("match[]", matching));
    }
    let body = endpoint.get(path, &question).await?;
    let opened: Opened<Vec<String>> = open(endpoint, &body)?;
    let all = opened.data;
    let mut warnings = opened.warnings;
    if all.len() > NAMES {
        warnings.push(format!("{} of {} names are looked at", NAMES, all.len()).into());
    }
    let mut names: Vec<Text> =
        all.iter().take(NAMES).map(|name| crate::text::one_line(name).into()).collect();
    names.sort();
    Ok(Told { answer: Answer::Names(names), warnings, garbled: 0, silent: Vec::new() })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    result_type: String,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct OneSeries {
    #[serde(default, deserialize_with = "labels")]
    metric: Labels,
    #[serde(default)]
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histogram: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    histograms: Option<serde::de::IgnoredAny>,
}

/// Reads values as Prometheus and Loki write them.
pub(super) fn series(endpoint: &Endpoint, body: &[u8]) -> Result<Told, SourceError> {
    let opened: Opened<Data<'_>> = open(endpoint, body)?;
    let text = opened.data.result.get();
    let mut garbled = 0;
    let series = match opened.data.result_type.as_str() {
        "vector" | "matrix" => {
            let all: Vec<&RawValue> = serde_json::from_str(text)
                .map_err(|error| endpoint.garbled(&format!("its result: {error}")))?;
            let mut series = Vec::with_capacity(all.len());
            for one in all {
                let Ok(one) = serde_json::from_str::<OneSeries>(one.get()) else {
                    garbled += 1;
                    continue;
                };
                let values = one.value.into_iter().chain(one.values);
                let samples = values.filter_map(|(at, value)| {
                    let sample = sample(at, &value);
                    garbled += u64::from(sample.is_none());
                    sample
                });
                let samples = samples.collect();
                let histogram = one.histogram.is_some() || one.histograms.is_some();
                series.push(Series { labels: one.metric, samples, histogram });
            }
            series
        }
        "scalar" => {
            let (at, value): (f64, String) = serde_json::from_str(text)
                .map_err(|error| endpoint.garbled(&format!("its scalar: {error}")))?;
            let samples: Vec<Sample> = sample(at, &value).into_iter().collect();
            garbled += u64::from(samples.is_empty());
            vec![Series { labels: Labels::default(), samples, histogram: false }]
        }
        other => return Err(endpoint.garbled(&format!("a result of the unknown type {other:?}"))),
    };
    Ok(Told { answer: Answer::Series(series), warnings: opened.warnings, garbled, silent: Vec::new() })
}

/// Reads a value: numbers come as text, because JSON has no NaN and no infinities.
fn sample(at: f64, value: &str) -> Option<Sample> {
    let value = number(value)?;
    at.is_finite().then(|| Sample { at: (at * 1000.0).round() as i64, value })
}

fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

/// Reads labels: names and values are a foreign system's text.
pub(super) fn labels<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    deserializer.deserialize_map(Pairs)
}

/// Takes labels as they come, without a map between: ten thousand series are read at once.
struct Pairs;

impl<'de> serde::de::Visitor<'de> for Pairs {
    type Value = Labels;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("labels")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut all = Vec::with_capacity(map.size_hint().unwrap_or_default());
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            all.push(clean_label(&name, &value));
        }
        Ok(all.into_iter().collect())
    }
}

pub(super) fn clean_labels(map: &std::collections::BTreeMap<String, String>) -> Labels {
    map.iter().map(|(name, value)| clean_label(name, value)).collect()
}

fn clean_label(name: &str, value: &str) -> (Text, Text) {
    (crate::text::one_line(name).into(), crate::text::clean(value).into())
}

#[derive(Deserialize)]
struct Groups {
    /// There even where there are no rules; what has none is another answer.
    groups: Vec<Value>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    name: String,
    #[serde(default)]
    rules: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneRule {
    name: String,
    query: String,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    duration: f64,
    #[serde(default, deserialize_with = "labels")]
    labels: Labels,
    #[serde(default, deserialize_with = "labels")]
    annotations: Labels,
    #[serde(default)]
    alerts: Vec<OneAlert>,
    #[serde(default)]
    health: String,
    #[serde(default)]
    last_error: Option<String>,
    #[serde(default)]
    last_evaluation: Option<Timestamp>,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneAlert {
    #[serde(default, deserialize_with = "labels")]
    labels: Labels,
    #[serde(default, deserialize_with = "labels")]
    annotations: Labels,
    #[serde(default)]
    state: String,
    #[serde(default)]
    active_at: Option<Timestamp>,
    #[serde(default)]
    value: Option<String>,
}

/// Asks for all rules with their pending and firing alerts.
pub async fn rules(endpoint: &Endpoint) -> Result<Told, SourceError> {
    let body = endpoint.get("/api/v1/rules", &[]).await?;
    let opened: Opened<Groups> = open(endpoint, &body)?;
    let mut garbled = 0;
    let mut rules = Vec::new();
    for group in opened.data.groups {
        let Ok(group) = serde_json::from_value::<Group>(group) else {
            garbled += 1;
            continue;
        };
        let name: Text = crate::text::one_line(&group.name).into();
        for one in group.rules.unwrap_or_default() {
            match serde_json::from_value::<OneRule>(one) {
                Ok(one) => rules.push(std::sync::Arc::new(rule(endpoint, &name, one))),
                Err(_) => garbled += 1,
            }
        }
    }
    Ok(Told { answer: Answer::Rules(rules), warnings: opened.warnings, garbled, silent: Vec::new() })
}

fn rule(endpoint: &Endpoint, group: &Text, one: OneRule) -> Rule {
    let name: Text = crate::text::one_line(&one.name).into();
    let state = match (one.kind.as_str(), one.state.as_deref()) {
        ("recording", _) => RuleState::Recording,
        (_, Some("inactive")) => RuleState::Inactive,
        (_, Some("pending")) => RuleState::Pending,
        (_, Some("firing")) => RuleState::Firing,
        _ => RuleState::Unknown,
    };
    let health = match one.health.as_str() {
        "ok" => RuleHealth::Ok,
        "err" => RuleHealth::Failed(crate::text::one_line(&one.last_error.unwrap_or_default()).into()),
        _ => RuleHealth::Unknown,
    };
    let alerts = one.alerts.into_iter().map(|alert| pending(endpoint, &name, alert)).collect();
    Rule {
        group: group.clone(),
        name,
        query: crate::text::clean(&one.query).into(),
        hold: one.duration,
        labels: one.labels,
        annotations: one.annotations,
        state,
        health,
        // Before its first evaluation Prometheus writes the year 1.
        evaluated: one.last_evaluation.filter(|at| at.as_second() > 0),
        alerts,
    }
}

fn pending(endpoint: &Endpoint, name: &Text, one: OneAlert) -> Alert {
    let state = match one.state.as_str() {
        "firing" => AlertState::Firing,
        "pending" => AlertState::Pending,
        _ => AlertState::Unknown,
    };
    Alert {
        fingerprint: "".into(),
        name: name.clone(),
        severity: Severity::read(one.labels.get("severity")),
        labels: one.labels,
        annotations: one.annotations,
        state,
        since: one.active_at,
        updated: None,
        value: one.value.as_deref().and_then(number),
        receivers: Vec::new(),
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        generator: "".into(),
        origins: vec![Origin::Prometheus],
        places: vec![endpoint.place.clone()],
    }
}
