//! Queries for numbers: lines to samples, samples to series over a window of steps.
//!
//! The lines of a span are read once, in pieces, and only their samples are kept; each step then looks at the samples of
//! its own window, `(t - range, t]`.

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Conversion, Grouping, LogQuery, MatchOp, Metric, RangeAgg, Unwrap};
use super::pipeline::{self, Line};
use super::vector::{self, Sample, Value};
use super::{Budget, EvalError, Labels, Source, spell, units};

/// Lines that are read of one stream at once.
const PIECE: f64 = 8_192.0;

/// The times at which a query is evaluated, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub start: i64,
    /// The last.
    pub end: i64,
    /// From one to the next; 0 for a single time.
    pub step: i64,
}

impl Window {
    /// Returns the times.
    pub fn steps(self) -> impl Iterator<Item = i64> {
        let count = if self.step > 0 { (self.end - self.start) / self.step } else { 0 };
        (0..=count).map(move |number| self.start + number * self.step)
    }
}

/// A series: its labels, and times in nanoseconds with values.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Labels, sorted by name.
    pub labels: Labels,
    /// Times and values.
    pub points: Vec<(i64, f64)>,
}

/// Series by their labels: time in nanoseconds and value.
type Read = Vec<(Arc<Labels>, Vec<(i64, f64)>)>;

/// A query whose samples have been read.
enum Node {
    Scalar(f64),
    Constant(f64),
    Range { agg: RangeAgg, series: Read },
    Vector(Box<Node>, super::ast::VectorAgg),
    Binary(Box<Node>, Box<Node>, super::ast::Binary),
    Replace(Box<Node>, super::ast::LabelReplace),
}

/// Evaluates a query at every step of a window; series are sorted by their labels. `most` bounds their number.
pub fn range(
    metric: &Metric,
    source: &dyn Source,
    window: Window,
    budget: &mut Budget,
    most: usize,
) -> Result<Vec<Series>, EvalError> {
    let node = prepare(metric, source, window, budget, None)?;
    let mut all: HashMap<Arc<Labels>, Vec<(i64, f64)>> = HashMap::new();
    for at in window.steps() {
        match evaluate(&node, at)? {
            Value::Scalar(value) => all.entry(Arc::default()).or_default().push((at, value)),
            Value::Vector(samples) => {
                for sample in samples {
                    all.entry(sample.labels).or_default().push((at, sample.value));
                }
            }
        }
        if all.len() > most {
            return Err(EvalError::Series(most));
        }
    }
    let mut series: Vec<Series> =
        all.into_iter().map(|(labels, points)| Series { labels: labels.as_ref().clone(), points }).collect();
    series.sort_by(|one, other| one.labels.cmp(&other.labels));
    Ok(series)
}

/// Evaluates a query at one time.
pub fn instant(
    metric: &Metric,
    source: &dyn Source,
    at: i64,
    budget: &mut Budget,
    most: usize,
) -> Result<Value, EvalError> {
    let node = prepare(metric, source, Window { start: at, end: at, step: 0 }, budget, None)?;
    let mut value = evaluate(&node, at)?;
    if let Value::Vector(samples) = &mut value {
        if samples.len() > most {
            return Err(EvalError::Series(most));
        }
        // Only a query that asks for an order gets one.
        if !matches!(metric, Metric::Vector(vector) if vector.function.starts_with("sort")) {
            samples.sort_by(|one, other| one.labels.cmp(&other.labels));
        }
    }
    Ok(value)
}

/// Reads what a query needs. `group` is how the caller sums the series up, where that may be done while reading.
fn prepare(
    metric: &Metric,
    source: &dyn Source,
    window: Window,
    budget: &mut Budget,
    group: Option<&Grouping>,
) -> Result<Node, EvalError> {
    Ok(match metric {
        Metric::Literal(number) => Node::Scalar(*number),
        Metric::Constant(number) => Node::Constant(*number),
        Metric::Range(agg) => {
            let series = samples(agg, source, window, budget, group)?;
            Node::Range { agg: agg.as_ref().clone(), series }
        }
        Metric::Vector(agg) => {
            let group = (agg.function == "sum").then_some(&agg.grouping);
            let inner = prepare(&agg.inner, source, window, budget, group)?;
            Node::Vector(Box::new(inner), agg.as_ref().clone())
        }
        Metric::Binary(binary) => {
            let left = prepare(&binary.left, source, window, budget, None)?;
            let right = prepare(&binary.right, source, window, budget, None)?;
            Node::Binary(Box::new(left), Box::new(right), binary.as_ref().clone())
        }
        Metric::LabelReplace(replace) => {
            let inner = prepare(&replace.inner, source, window, budget, None)?;
            Node::Replace(Box::new(inner), replace.as_ref().clone())
        }
    })
}

fn evaluate(node: &Node, at: i64) -> Result<Value, EvalError> {
    match node {
        Node::Scalar(number) => Ok(Value::Scalar(*number)),
        Node::Constant(number) => Ok(Value::Vector(vec![Sample { labels: Arc::default(), value: *number }])),
        Node::Range { agg, series } => Ok(Value::Vector(window_of(agg, series, at))),
        Node::Vector(inner, agg) => {
            let Value::Vector(samples) = evaluate(inner, at)? else { return Ok(Value::Vector(Vec::new())) };
            Ok(Value::Vector(vector::aggregate(agg, samples)))
        }
        Node::Binary(left, right, binary) => {
            vector::binary(binary, evaluate(left, at)?, evaluate(right, at)?)
        }
        Node::Replace(inner, replace) => match evaluate(inner, at)? {
            Value::Vector(samples) => Ok(Value::Vector(vector::label_replace(replace, samples))),
            scalar @ Value::Scalar(_) => Ok(scalar),
        },
    }
}

/// Functions whose results may be summed up while reading.
fn additive(function: &str) -> bool {
    matches!(function, "count_over_time" | "rate" | "bytes_over_time" | "bytes_rate" | "sum_over_time")
}

/// Reads the samples of all series over a window.
fn samples(
    agg: &RangeAgg,
    source: &dyn Source,
    window: Window,
    budget: &mut Budget,
    group: Option<&Grouping>,
) -> Result<Read, EvalError> {
    let from = window.start - agg.range - agg.offset + 1;
    let until = window.end - agg.offset + 1;
    let group = match group {
        Some(group) if agg.grouping.is_none() && additive(agg.function) => Some(group),
        _ => agg.grouping.as_ref(),
    };
    let mut found: HashMap<Labels, Vec<(i64, f64)>> = HashMap::new();
    let bytes = agg.function.starts_with("bytes");
    for stream in source.streams(&agg.query.matchers, from, until) {
        let piece = ((PIECE / stream.rate().max(0.01)) * 1e9) as i64;
        let mut begin = from;
        while begin < until {
            let end = begin.saturating_add(piece).min(until);
            let entries = stream.entries(begin, end);
            begin = end;
            budget.take(entries.len().max(1))?;
            for entry in &entries {
                let mut line = Line::new(stream.labels(), entry);
                let Some(value) = sample(&agg.query, agg.unwrap.as_ref(), bytes, &mut line) else { continue };
                if let Some(kind) = line.error() {
                    let series = spell(&line.drawers().merged());
                    return Err(EvalError::Pipeline { kind: kind.to_owned(), series });
                }
                let labels = grouped(&line, group, agg.unwrap.as_ref());
                found.entry(labels).or_default().push((entry.at, value));
            }
        }
    }
    let mut series: Vec<_> = found.into_iter().map(|(labels, points)| (Arc::new(labels), points)).collect();
    for (_, points) in &mut series {
        points.sort_by_key(|(at, _)| *at);
    }
    series.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(series)
}

/// Runs a line through the pipeline and returns what it counts for; `None` where it does not.
fn sample(query: &LogQuery, unwrap: Option<&Unwrap>, bytes: bool, line: &mut Line<'_>) -> Option<f64> {
    if !pipeline::run(query, line) {
        return None;
    }
    let Some(unwrap) = unwrap else {
        return Some(if bytes { line.text.len() as f64 } else { 1.0 });
    };
    let text = line.get(&unwrap.label).filter(|text| !text.is_empty())?;
    let (value, why) = match unwrap.conversion {
        Conversion::Number => (text.trim().parse().ok(), "strconv.ParseFloat: parsing"),
        Conversion::Duration => {
            (units::go_duration(text).map(|nanos| nanos as f64 / 1e9), "time: invalid duration")
        }
        Conversion::Bytes => (units::bytes(text).map(|bytes| bytes as f64), "strconv.ParseFloat: parsing"),
    };
    if value.is_none() {
        let why = format!("{why} {text:?}");
        line.fail("SampleExtractionErr", why);
    }
    if !unwrap.filters.iter().all(|filter| pipeline::holds(filter, line)) {
        return None;
    }
    Some(value.unwrap_or(0.0))
}

/// Returns the labels of the series that a line belongs to.
fn grouped(line: &Line<'_>, group: Option<&Grouping>, unwrap: Option<&Unwrap>) -> Labels {
    match group {
        Some(group) if !group.without => {
            let mut labels: Labels = group
                .labels
                .iter()
                .filter_map(|name| {
                    let value = line.get(name).filter(|value| !value.is_empty())?;
                    Some((name.clone(), value.to_owned()))
                })
                .collect();
            labels.sort();
            labels.dedup();
            labels
        }
        _ => {
            let mut labels = line.drawers().merged();
            labels.retain(|(name, _)| {
                let left_out = group.is_some_and(|group| group.labels.contains(name));
                !left_out && unwrap.is_none_or(|unwrap| unwrap.label != *name)
            });
            labels
        }
    }
}

/// Computes one step of a range function.
fn window_of(agg: &RangeAgg, series: &Read, at: i64) -> Vec<Sample> {
    let until = at - agg.offset;
    let from = until - agg.range;
    let windows = series.iter().filter_map(|(labels, points)| {
        let first = points.partition_point(|(at, _)| *at <= from);
        let last = points.partition_point(|(at, _)| *at <= until);
        (first < last).then(|| (labels, &points[first..last]))
    });
    if agg.function == "absent_over_time" {
        if windows.count() > 0 {
            return Vec::new();
        }
        return vec![Sample { labels: Arc::new(absent_labels(&agg.query)), value: 1.0 }];
    }
    windows
        .map(|(labels, points)| Sample {
            labels: Arc::clone(labels),
            value: over_time(agg, points, from, until),
        })
        .collect()
}

/// What is known of a series that is not there: the labels that the selector sets, each once.
fn absent_labels(query: &LogQuery) -> Labels {
    let mut labels: Labels = query
        .matchers
        .iter()
        .filter(|matcher| matcher.op == MatchOp::Equal)
        .filter(|matcher| query.matchers.iter().filter(|other| other.name == matcher.name).count() == 1)
        .map(|matcher| (matcher.name.clone(), matcher.value.clone()))
        .collect();
    labels.sort();
    labels
}

fn over_time(agg: &RangeAgg, points: &[(i64, f64)], from: i64, until: i64) -> f64 {
    let values = || points.iter().map(|(_, value)| *value);
    let (count, sum) = (points.len() as f64, values().sum::<f64>());
    let seconds = agg.range as f64 / 1e9;
    match agg.function {
        "count_over_time" => count,
        "rate" if agg.unwrap.is_none() => count / seconds,
        "rate" | "bytes_rate" => sum / seconds,
        "bytes_over_time" | "sum_over_time" => sum,
        "avg_over_time" => sum / count,
        "min_over_time" => values().fold(f64::INFINITY, f64::min),
        "max_over_time" => values().fold(f64::NEG_INFINITY, f64::max),
        "first_over_time" => points.first().map_or(f64::NAN, |(_, value)| *value),
        "last_over_time" => points.last().map_or(f64::NAN, |(_, value)| *value),
        "stdvar_over_time" => vector::variance(values()),
        "stddev_over_time" => vector::variance(values()).sqrt(),
        "quantile_over_time" => vector::quantile(agg.parameter.unwrap_or(f64::NAN), values().collect()),
        "rate_counter" => increase(points, from, until) / seconds,
        // The parser makes no other.
        _ => f64::NAN,
    }
}

/// How much a counter rose in a window, carried on to its ends as Prometheus does.
fn increase(points: &[(i64, f64)], from: i64, until: i64) -> f64 {
    let ([(begin, first), ..], [.., (end, last)]) = (points, points) else { return f64::NAN };
    if points.len() < 2 {
        return f64::NAN;
    }
    let resets: f64 = points.windows(2).filter(|two| two[1].1 < two[0].1).map(|two| two[0].1).sum();
    let risen = last - first + resets;
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1e9;
    let sampled = seconds(*begin, *end);
    let apart = sampled / (points.len() - 1) as f64;
    let mut before = seconds(from, *begin);
    if risen > 0.0 && *first >= 0.0 {
        // A counter does not begin below zero.
        before = before.min(sampled * first / risen);
    }
    let reach = |gap: f64| if gap < apart * 1.1 { gap } else { apart / 2.0 };
    risen * (sampled + reach(before) + reach(seconds(*end, until))) / sampled
}
