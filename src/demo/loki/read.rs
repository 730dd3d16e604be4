//! `query_range` and `query`: entries and numbers.
//!
//! Entries are read in windows from the wanted end, all streams of a window at once, until there are enough: the order
//! is then the same whatever the limit is, also among entries of one nanosecond, so that paging by time loses nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{Refused, number, query, seconds, success};
use super::request::{Direction, Parameters};
use super::shipped::Shipped;
use super::{LINES, SERIES};
use crate::demo::logql::metric::{self, Window};
use crate::demo::logql::pipeline::{self, Drawers, Line};
use crate::demo::logql::{Budget, Expr, Labels, LogQuery, Source, vector};

const SECOND: i64 = 1_000_000_000;

/// An entry that a query found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Nanoseconds since 1970.
    pub at: i64,
    /// The line after the stages.
    pub line: String,
    /// Its labels.
    pub labels: Drawers,
    /// Its place among the entries of its stream that have the same time.
    place: usize,
}

impl Found {
    fn order(&self) -> (i64, &Labels, usize) {
        (self.at, &self.labels.stream, self.place)
    }
}

/// What is asked of the entries.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The first time, in nanoseconds.
    pub start: i64,
    /// The time behind the last.
    pub end: i64,
    /// How many at most.
    pub limit: usize,
    /// Which come first.
    pub direction: Direction,
    /// How far apart entries of a stream are at least.
    pub interval: i64,
}

/// Finds entries, in the wanted order.
pub fn entries(query: &LogQuery, source: &dyn Source, wish: Wish) -> Result<Vec<Found>, Refused> {
    let streams = source.streams(&query.matchers, wish.start, wish.end);
    let rate: f64 = streams.iter().map(|stream| stream.rate()).sum();
    let mut budget = Budget::new(LINES);
    let mut found: Vec<Found> = Vec::new();
    // A window that should hold as many lines as are wanted; when it does not, the next is larger.
    let mut length = ((wish.limit as f64 * 1.2 / rate.max(0.01)) * 1e9).clamp(1e9, 3_600e9) as i64;
    let (mut low, mut high) = (wish.start, wish.end);
    while low < high && found.len() < wish.limit && !streams.is_empty() {
        let (from, until) = match wish.direction {
            Direction::Backward => (high.saturating_sub(length).max(low), high),
            Direction::Forward => (low, low.saturating_add(length).min(high)),
        };
        match wish.direction {
            Direction::Backward => high = from,
            Direction::Forward => low = until,
        }
        let mut piece = Vec::new();
        let mut read = 0;
        for stream in &streams {
            let entries = stream.entries(from, until);
            read += entries.len();
            budget.take(entries.len())?;
            for (place, entry) in entries.iter().enumerate() {
                let mut line = Line::new(stream.labels(), entry);
                if pipeline::run(query, &mut line) {
                    let (at, labels, line) = (line.at, line.drawers(), line.text.into_owned());
                    piece.push(Found { at, line, labels, place });
                }
            }
        }
        // Reading nothing costs as well.
        budget.take(streams.len())?;
        piece.sort_by(|one, other| one.order().cmp(&other.order()));
        if wish.direction == Direction::Backward {
            piece.reverse();
        }
        if piece.len() * 2 < wish.limit && read < 400_000 {
            length = length.saturating_mul(2).min(24 * 3_600 * SECOND);
        }
        found.append(&mut piece);
        if wish.interval > 0 {
            thin(&mut found, wish);
        }
    }
    found.truncate(wish.limit);
    Ok(found)
}

/// Keeps entries that are at least an interval behind the one before them in their stream.
fn thin(found: &mut Vec<Found>, wish: Wish) {
    let mut last: BTreeMap<Labels, i64> = BTreeMap::new();
    found.retain(|entry| {
        let kept = last.get(&entry.labels.stream).is_none_or(|last| (entry.at - last).abs() >= wish.interval);
        if kept {
            last.insert(entry.labels.stream.clone(), entry.at);
        }
        kept
    });
}

/// Writes labels as an object.
pub fn object(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>())
}

/// Groups entries by their streams, in the order in which those come up.
pub fn streams(found: &[Found], flags: bool) -> Value {
    let mut groups: BTreeMap<Labels, Vec<Value>> = BTreeMap::new();
    for entry in found {
        let at = entry.at.to_string();
        if flags {
            let mut about = Map::new();
            for (name, labels) in
                [("structuredMetadata", &entry.labels.metadata), ("parsed", &entry.labels.parsed)]
            {
                if !labels.is_empty() {
                    about.insert(name.to_owned(), object(labels));
                }
            }
            groups.entry(entry.labels.stream.clone()).or_default().push(json!([at, entry.line, about]));
        } else {
            groups.entry(entry.labels.merged()).or_default().push(json!([at, entry.line]));
        }
    }
    let all = groups.into_iter().map(|(labels, values)| json!({"stream": object(&labels), "values": values}));
    Value::Array(all.collect())
}

fn stats(lines: usize, entries: usize) -> Value {
    json!({"summary": {
        "totalLinesProcessed": lines, "totalEntriesReturned": entries, "execTime": 0.001, "queueTime": 0,
    }})
}

/// Answers `query_range`.
pub fn range(asked: &Parameters, shipped: &Shipped, flags: bool) -> Result<Value, Refused> {
    let expr = query(asked)?;
    let (start, end) = asked.window()?;
    let step = asked.step(start, end)?;
    match expr {
        Expr::Log(log) => {
            let wish = Wish {
                start,
                end: end.min(asked.now()),
                limit: asked.entries()?,
                direction: asked.direction()?,
                interval: asked.interval()?,
            };
            let found = entries(&log, shipped, wish)?;
            let mut data = json!({
                "resultType": "streams", "result": streams(&found, flags), "stats": stats(found.len(), found.len()),
            });
            if flags {
                data["encodingFlags"] = json!(["categorize-labels"]);
            }
            Ok(success(data))
        }
        Expr::Metric(metric) => {
            // The frontend splits queries at multiples of the step.
            let start = start.div_euclid(step) * step;
            let end = -(-end).div_euclid(step) * step;
            let window = Window { start, end, step };
            let mut budget = Budget::new(LINES);
            let series = metric::range(&metric, shipped, window, &mut budget, SERIES)?;
            let result: Vec<Value> = series
                .iter()
                .map(|series| {
                    let values: Vec<Value> = series
                        .points
                        .iter()
                        .map(|(at, value)| json!([seconds(*at), number(*value)]))
                        .collect();
                    json!({"metric": object(&series.labels), "values": values})
                })
                .collect();
            Ok(success(json!({"resultType": "matrix", "result": result, "stats": stats(0, series.len())})))
        }
    }
}

/// Answers `query`.
pub fn instant(asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let expr = query(asked)?;
    let at = asked.at()?;
    asked.entries()?;
    let Expr::Metric(metric) = expr else {
        return Err(Refused::bad(
            "log queries are not supported as an instant query type, please change your query to a range query type",
        ));
    };
    let mut budget = Budget::new(LINES);
    let data = match metric::instant(&metric, shipped, at, &mut budget, SERIES)? {
        vector::Value::Scalar(value) => json!({
            "resultType": "scalar", "result": [seconds(at), number(value)], "stats": stats(0, 1),
        }),
        vector::Value::Vector(samples) => {
            let result: Vec<Value> = samples
                .iter()
                .map(|sample| {
                    json!({"metric": object(&sample.labels), "value": [seconds(at), number(sample.value)]})
                })
                .collect();
            json!({"resultType": "vector", "result": result, "stats": stats(0, samples.len())})
        }
    };
    Ok(success(data))
}
