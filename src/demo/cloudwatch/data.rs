//! Points of metrics: periods, statistics and simple arithmetic over them.
//!
//! It evaluates on a copy of the platform's numbers and changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::catalog::{Measure, Metric};
use super::math::{self, Points};
use crate::demo::promql::{self, Samples};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A period in seconds and the moments it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First period's start, in Unix seconds.
    pub start: i64,
    /// End, in Unix seconds; not included.
    pub end: i64,
    /// Length of a period in seconds.
    pub period: i64,
}

impl Window {
    /// Rounds a window as the service does: to whole minutes, and coarser where it is old. `None` where the period is not
    /// kept for that age.
    pub fn new(start: Timestamp, end: Timestamp, period: i64, now: Timestamp) -> Option<Self> {
        let age = now.as_second() - start.as_second();
        let grain = match age {
            _ if age < 15 * DAY => 60,
            _ if age < 63 * DAY => 300,
            _ => 3600,
        };
        if period <= 0 || period % grain != 0 {
            return None;
        }
        let start = start.as_second().div_euclid(grain.max(period.min(3600))) * grain.max(period.min(3600));
        Some(Self { start, end: end.as_second(), period })
    }

    fn count(self) -> i64 {
        (self.end - self.start).div_euclid(self.period)
            + i64::from((self.end - self.start).rem_euclid(self.period) > 0)
    }
}

/// Why a statistic has no points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoData {
    /// It is not one that the service knows.
    Statistic(String),
    /// The numbers cannot answer.
    Failed(String),
}

/// Returns the points of a statistic of a metric, by the start of their period in Unix seconds.
pub fn points(samples: &dyn Samples, metric: &Metric, stat: &str, window: Window) -> Result<Points, NoData> {
    let Some(expression) = expression(metric, stat, window.period) else {
        return Err(NoData::Statistic(stat.to_owned()));
    };
    let count = window.count();
    if count <= 0 {
        return Ok(Points::new());
    }
    // A period's value is known at its end.
    let first = (window.start + window.period) * 1000;
    let last = first + (count - 1) * window.period * 1000;
    let series = promql::range(samples, &expression, first, last, window.period * 1000)
        .map_err(|error| NoData::Failed(error.to_string()))?;
    let mut points = Points::new();
    for (end, value) in series.into_iter().next().map(|series| series.points).unwrap_or_default() {
        let at = end / 1000 - window.period;
        let value = shaped(&metric.measure, stat, value);
        // Nothing happened is nothing told, for events.
        let told = value.is_finite() && !(matches!(metric.measure, Measure::Events(_)) && value <= 0.0);
        if told {
            points.insert(at, value);
        }
    }
    Ok(points)
}

fn shaped(measure: &Measure, stat: &str, value: f64) -> f64 {
    match (measure, stat) {
        (Measure::Events(_), "Sum" | "SampleCount") | (Measure::Amount(..), "Sum") => value.round(),
        // Every request reports itself as 1.
        (Measure::Events(_), _) if value.round() > 0.0 => 1.0,
        (Measure::Events(_), _) => 0.0,
        _ => value,
    }
}

/// Reads `p95` and its like as a quantile.
fn quantile(stat: &str) -> Option<f64> {
    let percent: f64 = stat.strip_prefix('p')?.parse().ok()?;
    (percent > 0.0 && percent <= 100.0).then_some(percent / 100.0)
}

fn expression(metric: &Metric, stat: &str, period: i64) -> Option<String> {
    let quantile = quantile(stat);
    if quantile.is_none() && !matches!(stat, "Sum" | "Average" | "Minimum" | "Maximum" | "SampleCount") {
        return None;
    }
    Some(match &metric.measure {
        // Samples are half a minute apart: a window of a minute holds two of them, which is what it takes.
        Measure::Events(selector) => format!("sum(increase({selector}[{period}s]))"),
        Measure::Amount(selector, thousandths) => {
            let part = f64::from(*thousandths) / 1000.0;
            let minutes = (period / 60).max(1);
            match stat {
                "SampleCount" => format!("vector({minutes})"),
                "Sum" => format!("{part} * sum(increase({selector}[{period}s]))"),
                // One value a minute.
                _ => format!("{part} * sum(increase({selector}[{period}s])) / {minutes}"),
            }
        }
        Measure::Level(expression) => {
            let over = format!("({expression})[{period}s:60s]");
            match (stat, quantile) {
                (_, Some(part)) => format!("quantile_over_time({part}, {over})"),
                ("Sum", _) => format!("sum_over_time({over})"),
                ("SampleCount", _) => format!("count_over_time({over})"),
                ("Minimum", _) => format!("min_over_time({over})"),
                ("Maximum", _) => format!("max_over_time({over})"),
                _ => format!("avg_over_time({over})"),
            }
        }
        Measure::Durations(name, labels) => {
            let part = |suffix: &str| format!("sum(increase({name}_{suffix}{{{labels}}}[{period}s]))");
            let at = |part: f64| {
                format!(
                    "histogram_quantile({part}, sum by (le) (increase({name}_bucket{{{labels}}}[{period}s])))"
                )
            };
            match (stat, quantile) {
                (_, Some(part)) => at(part),
                ("Sum", _) => part("sum"),
                ("SampleCount", _) => part("count"),
                // The bounds of a histogram are the nearest that is known of its extremes.
                ("Minimum", _) => at(0.001),
                ("Maximum", _) => at(0.999),
                _ => format!("{} / ({} > 0)", part("sum"), part("count")),
            }
        }
    })
}

/// What an answer says about one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Its identity in the request.
    pub id: String,
    /// Name for people.
    pub label: String,
    /// Its points, oldest first.
    pub points: Vec<(i64, f64)>,
    /// What went wrong: code and words.
    pub message: Option<(String, String)>,
}

/// One query of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Its identity.
    pub id: String,
    /// Name for people; empty for the one that follows from the metric.
    pub label: String,
    /// What is asked.
    pub what: What,
    /// Whether it is answered or only used by others.
    pub returned: bool,
}

/// What a query asks.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A statistic of a metric, with its period in seconds; `None` where there is no such metric.
    Stat(Option<Metric>, String, i64),
    /// Arithmetic over other queries.
    Math(String),
}

/// Answers queries in a window.
pub fn answer(
    samples: &dyn Samples,
    queries: &[Query],
    (start, end): (Timestamp, Timestamp),
    now: Timestamp,
) -> Vec<Answered> {
    let mut known: BTreeMap<String, Points> = BTreeMap::new();
    let mut messages: BTreeMap<&str, (String, String)> = BTreeMap::new();
    for query in queries {
        let What::Stat(metric, stat, period) = &query.what else { continue };
        let window = Window::new(start, end, *period, now);
        let found = match (metric, window) {
            (Some(metric), Some(window)) => points(samples, metric, stat, window),
            _ => Ok(Points::new()),
        };
        let found = found.unwrap_or_else(|why| {
            let message = match why {
                NoData::Statistic(stat) => {
                    ("ValidationError".to_owned(), format!("Invalid statistic: {stat}"))
                }
                NoData::Failed(why) => ("InternalError".to_owned(), why),
            };
            messages.insert(query.id.as_str(), message);
            Points::new()
        });
        known.insert(query.id.clone(), found);
    }
    // Expressions may use each other in any order; each round settles those whose parts are known.
    let mut left: Vec<(&Query, &str)> = queries
        .iter()
        .filter_map(
            |query| if let What::Math(text) = &query.what { Some((query, text.as_str())) } else { None },
        )
        .collect();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(query, text)| match math::evaluate(text, &known) {
            Ok(points) => {
                known.insert(query.id.clone(), points);
                false
            }
            Err(math::Trouble::Unknown(_)) => true,
            Err(math::Trouble::Syntax(why)) => {
                messages.insert(query.id.as_str(), ("ValidationError".to_owned(), why));
                known.insert(query.id.clone(), Points::new());
                false
            }
        });
        if left.len() == before {
            for (query, text) in left.drain(..) {
                let why = format!(
                    "Error in expression '{}': it refers to an id that is not there: {text}",
                    query.id
                );
                messages.insert(query.id.as_str(), ("ValidationError".to_owned(), why));
            }
        }
    }
    let label = |query: &Query| match (&query.what, query.label.is_empty()) {
        (_, false) => query.label.clone(),
        (What::Stat(Some(metric), ..), _) => metric.name.to_owned(),
        _ => query.id.clone(),
    };
    let shown = queries.iter().filter(|query| query.returned).map(|query| Answered {
        id: query.id.clone(),
        label: label(query),
        points: known
            .get(&query.id)
            .map(|points| points.iter().map(|(at, value)| (*at, *value)).collect())
            .unwrap_or_default(),
        message: messages.get(query.id.as_str()).cloned(),
    });
    shown.collect()
}
