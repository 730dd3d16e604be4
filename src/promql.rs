//! `PromQL` over samples in memory: shared types, and the two ways to ask.
//!
//! The embedded platform answers with it as Prometheus would, and the console where there is no Prometheus and it
//! has read the metrics itself.
//!
//! [`Samples`] is what holds series; [`instant`] and [`range`] evaluate an expression over it as Prometheus does. It
//! must not know where samples come from, read a clock or wait for anything.
//!
//! # Why
//!
//! The grammar comes from the `promql-parser` crate. The meaning is Prometheus's own, and a test compares it with a
//! real Prometheus. Prometheus 3 leaves the older end of every window out and Prometheus 2 takes it in, so a sample
//! that lies exactly on it counts in one and not in the other: [`Dialect`] says which is meant.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex::Regex;

mod aggregate;
mod binary;
pub mod duration;
mod eval;
mod explain;
pub mod format;
mod functions;
mod histogram;
pub mod syntax;
mod window;

pub use eval::Engine;

/// The label that holds the name of a metric.
pub const NAME: &str = "__name__";

/// How far back an instant selector looks for a sample, in milliseconds: five minutes, Prometheus's default.
pub const LOOKBACK_MS: i64 = 300_000;

/// Points that a range query may return for each series; more is refused, as Prometheus does.
pub const MAX_POINTS: i64 = 11_000;

/// The marker that ends a series: a `NaN` with these bits. It must be compared by bits, see [`is_stale`].
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Tells whether a value is the marker that ends a series.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// The labels of a series, sorted by name, without empty values. A clone shares them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// Takes pairs in any order; an empty value is no label, and the last of two with one name holds.
    pub fn new<K: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut sorted: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        // The sort is stable, so that of equal names the last given stands last.
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(sorted.len());
        for pair in sorted {
            if kept.last().is_some_and(|last| last.0 == pair.0) {
                kept.pop();
            }
            kept.push(pair);
        }
        kept.retain(|pair| !pair.1.is_empty());
        Self(kept.into())
    }

    /// Returns the labels of nothing.
    pub fn empty() -> Self {
        Self(Arc::new([]))
    }

    /// Returns a value; an absent label is an empty one, as everywhere in `PromQL`.
    pub fn get(&self, name: &str) -> &str {
        self.shared(name).map_or("", |value| value)
    }

    /// Returns a value to keep, where there is one.
    pub fn shared(&self, name: &str) -> Option<&Arc<str>> {
        // A series has about ten labels: looking through them beats halving.
        self.0.iter().find(|pair| *pair.0 == *name).map(|pair| &pair.1)
    }

    /// Returns the name of the metric.
    pub fn name(&self) -> &str {
        self.get(NAME)
    }

    /// Returns names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns the pairs themselves, to be shared.
    pub fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0
    }

    /// Returns how many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the labels that a test on the name keeps.
    #[must_use]
    pub fn keep(&self, test: impl Fn(&str) -> bool) -> Self {
        if self.0.iter().all(|pair| test(&pair.0)) {
            return self.clone();
        }
        Self(self.0.iter().filter(|pair| test(&pair.0)).cloned().collect())
    }

    /// Returns the labels with one set, or taken away where the value is empty.
    #[must_use]
    pub fn with(&self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        let added = (name.into(), value.into());
        Self::new(self.0.iter().cloned().chain([added]))
    }

    /// Returns the labels without the metric's name.
    #[must_use]
    pub fn nameless(&self) -> Self {
        self.keep(|name| name != NAME)
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        f.write_str(name)?;
        if self.len() == usize::from(!name.is_empty()) && !name.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().filter(|(name, _)| *name != NAME).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a matcher compares.
#[derive(Debug, Clone)]
enum Comparison {
    Equal(Arc<str>),
    NotEqual(Arc<str>),
    Like(Regex),
    NotLike(Regex),
}

/// The operator of a matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Like,
    /// `!~`
    NotLike,
}

/// One condition on one label. An absent label counts as an empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The label.
    pub name: Arc<str>,
    comparison: Comparison,
}

impl Matcher {
    /// Makes a matcher. A regular expression must match the whole value, and a dot matches line breaks too, as in
    /// Prometheus 3; the error is the sentence about a wrong expression.
    pub fn new(name: &str, op: Op, value: &str) -> Result<Self, String> {
        let anchored = || {
            Regex::new(&format!("^(?s:{value})$"))
                .map_err(|_| format!("error parsing regexp: invalid regular expression: `{value}`"))
        };
        let comparison = match op {
            Op::Equal => Comparison::Equal(value.into()),
            Op::NotEqual => Comparison::NotEqual(value.into()),
            Op::Like => Comparison::Like(anchored()?),
            Op::NotLike => Comparison::NotLike(anchored()?),
        };
        Ok(Self { name: name.into(), comparison })
    }

    /// Makes the matcher of one value.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.into(), comparison: Comparison::Equal(value.into()) }
    }

    /// Returns the one value that the label must have, where the matcher is `=`: the way into an index.
    pub fn exact(&self) -> Option<&str> {
        match &self.comparison {
            Comparison::Equal(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the operator.
    pub fn op(&self) -> Op {
        match self.comparison {
            Comparison::Equal(_) => Op::Equal,
            Comparison::NotEqual(_) => Op::NotEqual,
            Comparison::Like(_) => Op::Like,
            Comparison::NotLike(_) => Op::NotLike,
        }
    }

    /// Tells whether a value of the label passes.
    pub fn matches(&self, value: &str) -> bool {
        match &self.comparison {
            Comparison::Equal(wanted) => **wanted == *value,
            Comparison::NotEqual(wanted) => **wanted != *value,
            Comparison::Like(regex) => regex.is_match(value),
            Comparison::NotLike(regex) => !regex.is_match(value),
        }
    }

    /// Tells whether labels pass.
    pub fn accepts(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name))
    }
}

/// One series and some of its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is.
    pub labels: Labels,
    /// Unix time in milliseconds and value, ascending; [`STALE`] ends it until it comes back.
    pub points: Vec<(i64, f64)>,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricKind {
    /// Only grows, and starts again at 0.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
    /// Quantiles that the program itself has worked out.
    Summary,
    /// Not said.
    Unknown,
}

impl MetricKind {
    /// Returns the word of the exposition format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known about a metric besides its samples.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metadata {
    /// The name, of a histogram without `_bucket`, `_sum` and `_count`.
    pub metric: String,
    /// What it is.
    pub kind: MetricKind,
    /// What it counts, in a sentence.
    pub help: String,
    /// The unit, where it is told apart from the name; mostly empty.
    pub unit: String,
}

/// One thing that is scraped.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The labels that every one of its series has, such as `job` and `instance`.
    pub labels: Labels,
    /// The labels before relabelling.
    pub discovered: Labels,
    /// The job of the configuration, such as `serviceMonitor/monitoring/kubelet/0`.
    pub pool: String,
    /// Where it is read.
    pub url: String,
    /// Why the latest scrape failed; `None` is up.
    pub error: Option<String>,
    /// When it was scraped last, Unix time in milliseconds.
    pub last_scrape_ms: i64,
    /// How long that took, in seconds.
    pub duration: f64,
    /// How often it is scraped, in milliseconds.
    pub interval_ms: i64,
}

/// Something that holds samples. An answer must not change while one query is evaluated: take a snapshot first.
pub trait Samples: Send + Sync {
    /// Returns the series that pass all matchers, with their points after `from_ms` and not after `to_ms`,
    /// ascending. A series without a point in that window may be left out. Order does not matter.
    fn select(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Series>;

    /// Returns the series of [`Samples::select`] for a question that only their last points matter to: older points, and
    /// series that have ended, may be left out; worth a faster way where points are worked out.
    fn latest(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Series> {
        self.select(matchers, from_ms, to_ms)
    }

    /// Returns the labels of the series that [`Samples::select`] would return with a point; worth a faster way
    /// where there is an index.
    fn series(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Labels> {
        let found = self.select(matchers, from_ms, to_ms);
        found.into_iter().filter(|series| !series.points.is_empty()).map(|series| series.labels).collect()
    }

    /// Returns the names of all metrics that have a point in the window; worth a faster way where they are known.
    fn names(&self, from_ms: i64, to_ms: i64) -> BTreeSet<String> {
        self.series(&[], from_ms, to_ms).iter().map(|labels| labels.name().to_owned()).collect()
    }

    /// Returns what is known about metrics, one entry a name.
    fn metadata(&self) -> Vec<Metadata> {
        Vec::new()
    }

    /// Returns what is scraped.
    fn targets(&self) -> Vec<Target> {
        Vec::new()
    }
}

/// Samples in memory: for tests and for what rules record.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    series: std::collections::BTreeMap<Labels, Vec<(i64, f64)>>,
}

impl Memory {
    /// Adds one sample; one that is not newer than the latest of its series is dropped, as Prometheus does.
    pub fn push(&mut self, labels: Labels, at_ms: i64, value: f64) {
        let points = self.series.entry(labels).or_default();
        if points.last().is_none_or(|last| last.0 < at_ms) {
            points.push((at_ms, value));
        }
    }

    /// Drops samples that are not after a time, and series that have none left.
    pub fn forget(&mut self, until_ms: i64) {
        self.series.retain(|_, points| {
            let gone = points.partition_point(|point| point.0 <= until_ms);
            points.drain(..gone);
            !points.is_empty()
        });
    }

    /// Returns everything that is held.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &[(i64, f64)])> {
        self.series.iter().map(|(labels, points)| (labels, points.as_slice()))
    }
}

impl Samples for Memory {
    fn select(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Series> {
        let passing = self.series.iter().filter(|(labels, _)| matchers.iter().all(|m| m.accepts(labels)));
        passing
            .filter_map(|(labels, points)| {
                let first = points.partition_point(|point| point.0 <= from_ms);
                let end = points.partition_point(|point| point.0 <= to_ms);
                let points = points.get(first..end).unwrap_or_default().to_vec();
                (!points.is_empty()).then(|| Series { labels: labels.clone(), points })
            })
            .collect()
    }
}

/// Which Prometheus is meant, where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Windows include their older end; a counter's start is extrapolated as before 2.48.
    Two,
    /// Windows leave their older end out.
    #[default]
    Three,
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What it is.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// An instant vector. Its order means something after `sort` and `topk` only.
    Vector(Vec<Sample>),
    /// Series with their points; those of a range query are sorted by labels.
    Matrix(Vec<Series>),
    /// One number.
    Scalar(f64),
    /// One text.
    Text(String),
}

/// Why there is no answer; the text is what Prometheus says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The expression or a parameter is wrong: HTTP 400.
    #[error("{0}")]
    Bad(String),
    /// The expression cannot be evaluated on this data: HTTP 422.
    #[error("{0}")]
    Execution(String),
}

impl EvalError {
    /// Puts sorting of errors in one place: a bad request comes before one that fails on the data.
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Bad(_))
    }
}

/// Compares two values as `sort` does: `NaN` before everything.
pub fn nan_first(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Evaluates at one time, in milliseconds, as Prometheus 3 with its defaults does.
pub fn instant(samples: &dyn Samples, expr: &str, at_ms: i64) -> Result<Answer, EvalError> {
    Engine::default().instant(samples, expr, at_ms)
}

/// Evaluates at every `step_ms` from `start_ms` to `end_ms`, both included, as Prometheus 3 with its defaults does.
pub fn range(
    samples: &dyn Samples,
    expr: &str,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
) -> Result<Vec<Series>, EvalError> {
    Engine::default().range(samples, expr, start_ms, end_ms, step_ms)
}

#[cfg(test)]
mod tests;
