//! Numbers without Prometheus: the pages on which components expose their metrics, read through the API server with
//! the person's own rights, and the resource metrics of Kubernetes.
//!
//! Read only while somebody asks, at most every [`EVERY`], and of what is read only the metrics that were asked for
//! are kept, for [`HELD`]. Expressions are evaluated over that as Prometheus would, with one difference: a rate that
//! looks back further than values are held looks back as far as they are. Whatever else looks back further is refused
//! with the reason, because an hour's count made of two minutes would be a lie.
//!
//! # Why
//!
//! Boards need no second set of expressions: which of them can be answered follows from the metrics that there are,
//! exactly as with Prometheus. Pods are asked one by one and not through their Service, because a Service answers
//! with another replica each time, and a counter that jumps between two replicas has no rate.

mod look_back;
mod page;
mod parts;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use promql_parser::label::MatchOp;
use promql_parser::parser::Expr;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::look_back::{Span, clip, metrics};
use self::page::Scraped;
use self::parts::{PARTS, Part};
use super::SourceError;
use super::kubernetes::Connection;
use crate::identity::Text;
use crate::promql::{self, Dialect, Engine, Matcher, Memory, NAME, Samples};
use crate::signals::{Answer, Labels, Sample, Series, Told, Wanted, Window};

/// How long a page is not read again: the interval at which Prometheus would.
const EVERY: Duration = Duration::from_secs(15);

/// How much longer than reading it took a page is left alone: large pages cost their server most.
const REST: u32 = 5;

/// How long an answer waits for a second reading at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long values are held, in milliseconds.
const HELD: i64 = 3_600_000;

/// After how long without a question what is held is worth nothing: no rate may reach over the gap.
const GAP: Duration = Duration::from_mins(15);

/// The shortest time for which values are held, in milliseconds, however many they are.
const SHORT: i64 = 60_000;

/// How many values are held at most, of all metrics together: 16 bytes each.
const VALUES: usize = 1_000_000;

/// How many values of an expression are worked out at most; a board has a few dozen columns.
const POINTS: usize = 120;

/// How many names a question may name.
const NAMES: usize = 2_000;

/// What is said of how numbers are come by where Prometheus is not there.
pub const WAY: &str = "components are scraped through the API server while they are looked at";

/// What was scraped of one cluster.
#[derive(Debug, Default)]
pub struct Scraper(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// The metrics that were asked for; of a page only these are kept.
    wanted: BTreeSet<String>,
    parts: BTreeMap<&'static str, Reading>,
    /// What is kept, by the name of the metric.
    memory: BTreeMap<String, Memory>,
}

/// One part and how reading it went.
#[derive(Debug, Default)]
struct Reading {
    /// When it was asked last, and for how long it is then left alone.
    asked: Option<(Instant, Duration)>,
    /// When it was read, in milliseconds since 1970.
    times: Vec<i64>,
    /// Every metric on its pages, kept or not.
    names: BTreeSet<String>,
    /// Metrics that were wanted when it was read last.
    knew: BTreeSet<String>,
    /// Why it could not be read the last time.
    error: Option<SourceError>,
    /// Lines that could not be understood the last time.
    garbled: u64,
    /// Metrics that have too many series to be held.
    heavy: BTreeSet<String>,
}

impl Reading {
    fn is_due(&self, wanted: &BTreeSet<&str>) -> bool {
        let Some((at, rest)) = self.asked else { return true };
        // Something that nobody wanted before cannot wait: it was on the page and was not kept.
        at.elapsed() >= rest || (self.error.is_none() && wanted.iter().any(|name| !self.knew.contains(*name)))
    }
}

impl Scraper {
    /// Answers a question as Prometheus would, as far as can be.
    pub async fn answer(&self, connection: &Connection, wanted: &Wanted) -> Result<Told, SourceError> {
        match wanted {
            Wanted::Values { label, matching } => self.values(connection, label, matching).await,
            Wanted::LabelNames { matching } => self.label_names(connection, matching).await,
            Wanted::Instant { query, at } => {
                // Now is when the pages have been read.
                let window =
                    at.map_or(Window::Last { seconds: 1 }, |at| Window::Between { from: at, to: at });
                self.series(connection, query, window, None).await
            }
            Wanted::Range { query, window, step } => {
                self.series(connection, query, *window, Some(i64::from((*step).max(1)) * 1_000)).await
            }
            _ => Err(nothing("the question")),
        }
    }

    async fn series(
        &self,
        connection: &Connection,
        query: &str,
        window: Window,
        step: Option<i64>,
    ) -> Result<Told, SourceError> {
        let refused = |reason: String| SourceError::Invalid { what: "the expression".to_owned(), reason };
        let expr = promql::syntax::parse(query).map_err(|error| refused(error.to_string()))?;
        let names = metrics(&expr)
            .ok_or_else(|| refused("without Prometheus every selector must name its metric".to_owned()))?;
        if names.is_empty() {
            return Err(nothing("an expression without a metric"));
        }
        let mut again = true;
        loop {
            let mut held = self.0.lock().await;
            let parts = held.read(connection, &names).await?;
            let heavy =
                parts.iter().filter_map(|part| held.parts.get(part.name)).flat_map(|part| &part.heavy);
            if let Some(name) = heavy.into_iter().find(|name| names.contains(*name)) {
                return Err(refused(format!(
                    "{name} has too many series to be scraped: it needs Prometheus"
                )));
            }
            let mut told = held.remarks(&parts);
            let (from, to) = window.bounds(connection.now());
            let times = held.times(&parts, (from * 1_000, to * 1_000), step);
            let (series, early) = held.evaluate(&expr, &times, step).map_err(refused)?;
            let rest = held.rest(&parts);
            if early && again && rest <= PATIENCE {
                // The answer comes with the second reading: nothing that is said now would be worth drawing.
                drop(held);
                again = false;
                tokio::time::sleep(rest).await;
                continue;
            }
            if early {
                let text = format!("a rate needs two readings, and the next is in {} s", rest.as_secs());
                told.warnings.push(text.into());
            }
            told.answer = Answer::Series(series);
            return Ok(told);
        }
    }

    /// Answers which values a label has; of `__name__`, which metrics there are.
    async fn values(
        &self,
        connection: &Connection,
        label: &str,
        matching: &str,
    ) -> Result<Told, SourceError> {
        let mut held = self.0.lock().await;
        if matching.is_empty() {
            // For completion: what is known without reading anything for it.
            let all: BTreeSet<Text> = match label {
                NAME => held
                    .parts
                    .values()
                    .flat_map(|part| &part.names)
                    .map(|name| name.as_str().into())
                    .collect(),
                _ => held.memory.values().flat_map(|memory| of_label(memory, &[], label)).collect(),
            };
            return Ok(Told::plain(Answer::Names(all.into_iter().collect())));
        }
        let (names, matchers) = selector(matching)?;
        let parts = held.read(connection, &names).await?;
        let mut found: BTreeSet<Text> = BTreeSet::new();
        for name in &names {
            if let Some(memory) = held.memory.get(name) {
                found.extend(of_label(memory, &matchers, label));
            }
            // What may not be read is there for all that is known: its own panel says that it may not.
            let hidden = parts.iter().any(|part| {
                let reading = held.parts.get(part.name);
                let error = reading.and_then(|reading| reading.error.as_ref());
                part.has(name) && error.is_some_and(|error| !matches!(error, SourceError::Missing { .. }))
            });
            if hidden && label == NAME && matchers.is_empty() {
                found.insert(name.as_str().into());
            }
        }
        let mut told = held.remarks(&parts);
        told.answer = Answer::Names(found.into_iter().collect());
        Ok(told)
    }

    async fn label_names(&self, connection: &Connection, matching: &str) -> Result<Told, SourceError> {
        let mut held = self.0.lock().await;
        let names = if matching.is_empty() { BTreeSet::new() } else { selector(matching)?.0 };
        held.read(connection, &names).await?;
        let kept = held.memory.iter().filter(|(name, _)| names.is_empty() || names.contains(*name));
        let all: BTreeSet<Text> = kept
            .flat_map(|(_, memory)| memory.iter())
            .flat_map(|(labels, _)| labels.iter().map(|(name, _)| Text::from(name)).collect::<Vec<_>>())
            .collect();
        Ok(Told::plain(Answer::Names(all.into_iter().collect())))
    }
}

impl Held {
    /// Reads the pages that may hold some metrics, as far as they are due, and returns them.
    async fn read(
        &mut self,
        connection: &Connection,
        names: &BTreeSet<String>,
    ) -> Result<Vec<&'static Part>, SourceError> {
        let parts: Vec<&'static Part> =
            PARTS.iter().filter(|part| names.iter().any(|name| part.has(name))).collect();
        if parts.is_empty() && !names.is_empty() {
            let all: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
            return Err(nothing(&all.join(", ")));
        }
        self.wanted.extend(names.iter().take(NAMES).cloned());
        let due: Vec<&'static Part> = parts
            .iter()
            .copied()
            .filter(|part| {
                let own = names.iter().map(String::as_str).filter(|name| part.has(name)).collect();
                self.parts.entry(part.name).or_default().is_due(&own)
            })
            .collect();
        let wanted = &self.wanted;
        let begun = Instant::now();
        let read = due.into_iter().map(|part| async move {
            let scraped = parts::read(connection, part, wanted).await;
            (part, scraped, begun.elapsed())
        });
        for (part, scraped, took) in join_all(read).await {
            self.take(part, scraped, took, connection.now());
        }
        // Where none of them can be read, that is the answer.
        let mut errors = parts.iter().filter_map(|part| {
            let reading = self.parts.get(part.name)?;
            if reading.times.is_empty() { reading.error.clone() } else { None }
        });
        if let Some(error) = errors.next()
            && errors.count() + 1 == parts.len()
        {
            return Err(error);
        }
        Ok(parts)
    }

    fn take(
        &mut self,
        part: &'static Part,
        scraped: Result<Scraped, SourceError>,
        took: Duration,
        now: Timestamp,
    ) {
        let now = now.as_millisecond();
        let reading = self.parts.entry(part.name).or_default();
        if reading.asked.is_some_and(|(at, _)| at.elapsed() > GAP) {
            reading.times.clear();
            self.memory.retain(|name, _| !part.has(name));
        }
        reading.asked = Some((Instant::now(), EVERY.max(took * REST)));
        let scraped = match scraped {
            Ok(scraped) => scraped,
            Err(error) => {
                reading.error = Some(error);
                return;
            }
        };
        reading.error = scraped.error;
        (reading.garbled, reading.heavy) = (scraped.garbled, scraped.heavy);
        reading.names = scraped.names;
        reading.knew.clone_from(&self.wanted);
        reading.times.retain(|at| *at > now - HELD);
        reading.times.push(now);
        for (name, labels, value) in scraped.samples {
            self.memory.entry(name).or_default().push(labels, now, value);
        }
        // What is older is given up, and with many series what is younger, too.
        let mut horizon = HELD;
        loop {
            self.memory.values_mut().for_each(|memory| memory.forget(now - horizon));
            let values = self.memory.values().flat_map(Memory::iter).map(|(_, points)| points.len());
            horizon /= 2;
            if values.sum::<usize>() <= VALUES || horizon < SHORT {
                break;
            }
        }
    }

    /// Returns after how long all of some parts are read again.
    fn rest(&self, parts: &[&'static Part]) -> Duration {
        let asked = parts.iter().filter_map(|part| self.parts.get(part.name)?.asked);
        asked.map(|(at, rest)| rest.saturating_sub(at.elapsed())).max().unwrap_or_default()
    }

    /// Says what was wrong with pages that the answer is made of.
    fn remarks(&self, parts: &[&'static Part]) -> Told {
        let mut told = Told::plain(Answer::Series(Vec::new()));
        for part in parts {
            let Some(reading) = self.parts.get(part.name) else { continue };
            match &reading.error {
                // What is not installed is not missed here: the panel names the metric.
                None | Some(SourceError::Missing { .. }) => {}
                Some(error) => told.warnings.push(format!("{} was not scraped: {error}", part.name).into()),
            }
            told.garbled += reading.garbled;
        }
        told
    }

    /// Returns the times at which an expression over some parts has values: the newest of each step, in milliseconds,
    /// or without a step the newest of all.
    fn times(&self, parts: &[&'static Part], (from, to): (i64, i64), step: Option<i64>) -> Vec<i64> {
        let mut all: Vec<i64> = parts
            .iter()
            .filter_map(|part| self.parts.get(part.name))
            .flat_map(|reading| reading.times.iter().copied())
            // What was read a moment after the question belongs to it.
            .filter(|at| *at <= to + 999)
            .collect();
        all.sort_unstable();
        all.dedup();
        let Some(step) = step else {
            // As Prometheus does: the value of a moment is the last one before, for a while.
            return all.last().copied().filter(|at| to - at <= promql::LOOKBACK_MS).into_iter().collect();
        };
        all.retain(|at| *at >= from);
        let step = step.max((to - from) / POINTS as i64).max(1);
        let mut kept: Vec<i64> = Vec::new();
        for at in all {
            match kept.last_mut() {
                Some(last) if last.div_euclid(step) == at.div_euclid(step) => *last = at,
                _ => kept.push(at),
            }
        }
        kept
    }

    /// Evaluates an expression at some times, and tells whether it came to nothing because rates need a second reading.
    ///
    /// Values stand at the step in which they were read, as those of Prometheus do: what is read between two steps
    /// would lie beyond the end of a picture that ends at a whole one.
    fn evaluate(&self, expr: &Expr, times: &[i64], step: Option<i64>) -> Result<(Vec<Series>, bool), String> {
        let engine = Engine { dialect: Dialect::Two, ..Engine::default() };
        let mut all: BTreeMap<promql::Labels, Vec<(i64, f64)>> = BTreeMap::new();
        let mut order: Vec<promql::Labels> = Vec::new();
        let mut refused = None;
        let mut too_early = false;
        for at in times {
            let mut expr = expr.clone();
            let held = |name: &str| self.memory.get(name).and_then(|memory| span(memory, *at));
            match clip(&mut expr, &held) {
                Ok(early) => too_early |= early,
                Err(why) => {
                    refused = Some(why);
                    continue;
                }
            }
            let mut take = |labels: promql::Labels, at: i64, value: f64| {
                if !all.contains_key(&labels) {
                    order.push(labels.clone());
                }
                all.entry(labels).or_default().push((at, value));
            };
            let stands = step.map_or(*at, |step| at.div_euclid(step) * step);
            match engine.instant_of(&Kept(&self.memory), &expr, *at).map_err(|error| error.to_string())? {
                promql::Answer::Vector(vector) => {
                    for one in vector {
                        take(one.labels, stands, one.value);
                    }
                }
                promql::Answer::Scalar(value) => take(promql::Labels::empty(), stands, value),
                promql::Answer::Matrix(matrix) if step.is_none() => {
                    for one in matrix {
                        for (at, value) in &one.points {
                            take(one.labels.clone(), *at, *value);
                        }
                    }
                }
                promql::Answer::Matrix(_) => return Err("a range of values cannot be drawn".to_owned()),
                promql::Answer::Text(_) => {}
            }
        }
        if all.is_empty()
            && let Some(why) = refused
        {
            return Err(why);
        }
        let too_early = too_early && all.is_empty();
        let series = order.into_iter().filter_map(|labels| {
            let points = all.remove(&labels)?;
            let samples = points.into_iter().map(|(at, value)| Sample { at, value }).collect();
            let labels: Labels = labels.iter().map(|(name, value)| (name.into(), value.into())).collect();
            Some(Series { labels, samples, histogram: false })
        });
        Ok((series.collect(), too_early))
    }
}

/// Returns how far back what is held of a metric reaches from a moment.
fn span(memory: &Memory, at: i64) -> Option<Span> {
    let first = memory.iter().filter_map(|(_, points)| points.first()).map(|point| point.0).min()?;
    let before = |points: &[(i64, f64)]| points.iter().rev().map(|point| point.0).find(|one| *one < at);
    let previous = memory.iter().filter_map(|(_, points)| before(points)).max().unwrap_or(at);
    Some(Span { held: at - first, gap: at - previous })
}

/// What is kept, as the evaluator sees it.
struct Kept<'a>(&'a BTreeMap<String, Memory>);

impl Samples for Kept<'_> {
    fn select(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<promql::Series> {
        let name = matchers.iter().find(|matcher| &*matcher.name == NAME).and_then(Matcher::exact);
        // Every selector names its metric: that was asked before.
        let Some(memory) = name.and_then(|name| self.0.get(name)) else { return Vec::new() };
        memory.select(matchers, from_ms, to_ms)
    }
}

fn of_label(memory: &Memory, matchers: &[Matcher], label: &str) -> BTreeSet<Text> {
    let passing = memory.iter().filter(|(labels, _)| matchers.iter().all(|one| one.accepts(labels)));
    passing.map(|(labels, _)| labels.get(label)).filter(|value| !value.is_empty()).map(Text::from).collect()
}

/// Reads `metric`, `metric{...}` or `{__name__=~"one|other",label!=""}`: the names, and the matchers besides.
fn selector(text: &str) -> Result<(BTreeSet<String>, Vec<Matcher>), SourceError> {
    let wrong = |reason: String| SourceError::Invalid { what: format!("the selector {text}"), reason };
    let expr = promql::syntax::parse(text).map_err(|error| wrong(error.to_string()))?;
    let Expr::VectorSelector(parsed) = &expr else { return Err(wrong("it is no selector".to_owned())) };
    let mut matchers =
        promql::syntax::matchers(&parsed.matchers).map_err(|error| wrong(error.to_string()))?;
    let mut names: BTreeSet<String> = parsed.name.iter().cloned().collect();
    for matcher in &parsed.matchers.matchers {
        if matcher.name == NAME {
            names.extend(matcher.value.split('|').map(str::to_owned));
        }
    }
    matchers.retain(|matcher| &*matcher.name != NAME);
    let plain = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
    };
    let by_list = parsed
        .matchers
        .matchers
        .iter()
        .all(|one| one.name != NAME || matches!(one.op, MatchOp::Equal | MatchOp::Re(_)));
    if names.is_empty() || !by_list || !names.iter().all(plain) {
        return Err(wrong("without Prometheus it must name its metrics".to_owned()));
    }
    Ok((names, matchers))
}

fn nothing(what: &str) -> SourceError {
    let all: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
    SourceError::Missing {
        what: what.to_owned(),
        reason: format!("it needs Prometheus; scraped are {}", all.join(", ")),
    }
}
