//! What rules record, as samples.
//!
//! # Why
//!
//! A demo begins with a day of history, and what a recording rule would have recorded in that day is what its expression
//! comes to at the times of its evaluations. So nothing is stored: a recorded series is worked out when it is asked for,
//! and it is there for the whole history from the first moment. Only the series of alerts are kept, because what an
//! alert's state is follows from what it was.

use std::collections::BTreeSet;

use super::alerts::Rules;
use super::rules::{Kind, Rule};
use crate::demo::promql::{Engine, Labels, Matcher, Metadata, NAME, STALE, Samples, Series, Target};

/// How deep recording rules may build upon each other; a rule that needs itself ends here.
const DEPTH: u8 = 6;

/// Samples together with what rules make of them.
pub struct Recorded<'a> {
    inner: &'a dyn Samples,
    rules: &'a Rules,
    now_ms: i64,
    depth: u8,
}

impl<'a> Recorded<'a> {
    /// Puts rules on top of samples; nothing is recorded after `now_ms`.
    pub fn new(inner: &'a dyn Samples, rules: &'a Rules, now_ms: i64) -> Self {
        Self { inner, rules, now_ms, depth: 0 }
    }

    /// The recording rules whose metric passes, with the interval of their group.
    fn rules(&self, matchers: &[Matcher]) -> impl Iterator<Item = (&'a Rule, &'a str, i64)> + use<'a> {
        let named: Vec<Matcher> = matchers.iter().filter(|matcher| &*matcher.name == NAME).cloned().collect();
        let groups = if self.depth < DEPTH { self.rules.set().groups.as_slice() } else { &[] };
        groups.iter().flat_map(move |group| {
            let named = named.clone();
            group.rules.iter().filter_map(move |rule| match &rule.kind {
                Kind::Recording { record } if named.iter().all(|matcher| matcher.matches(record)) => {
                    Some((rule, record.as_str(), group.interval_ms))
                }
                _ => None,
            })
        })
    }

    fn record(
        &self,
        rule: &Rule,
        record: &str,
        interval: i64,
        matchers: &[Matcher],
        (from, to): (i64, i64),
    ) -> Vec<Series> {
        let (from, to) = (from.max(self.rules.oldest_ms()), to.min(self.now_ms));
        let first = (from.div_euclid(interval) + 1) * interval;
        let last = to.div_euclid(interval) * interval;
        if last < first {
            return Vec::new();
        }
        let below = Recorded { depth: self.depth + 1, ..*self };
        let engine = Engine { interval_ms: interval, ..Engine::default() };
        let Ok(found) = engine.range_of(&below, &rule.parsed, first, last, interval) else {
            return Vec::new();
        };
        let named = found.into_iter().filter_map(|series| {
            let own = rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let labels = series.labels.nameless().with(NAME, record);
            let labels = own.fold(labels, |labels, (name, value)| labels.with(name, value));
            matchers
                .iter()
                .all(|matcher| matcher.accepts(&labels))
                .then(|| Series { labels, points: ended(series.points, interval, last) })
        });
        named.collect()
    }
}

/// Puts the marker where an evaluation found a series no more.
fn ended(points: Vec<(i64, f64)>, interval: i64, last: i64) -> Vec<(i64, f64)> {
    let gap = |pair: &[(i64, f64)]| pair[1].0 - pair[0].0 > interval;
    if !points.windows(2).any(gap) && points.last().is_none_or(|point| point.0 >= last) {
        return points;
    }
    let mut marked = Vec::with_capacity(points.len() + 1);
    for (index, point) in points.iter().enumerate() {
        marked.push(*point);
        let next = points.get(index + 1).map_or(last + interval, |next| next.0);
        if next - point.0 > interval && point.0 + interval <= last {
            marked.push((point.0 + interval, STALE));
        }
    }
    marked
}

impl Samples for Recorded<'_> {
    fn select(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Series> {
        let mut found = self.inner.select(matchers, from_ms, to_ms);
        found.extend(self.rules.memory().select(matchers, from_ms, to_ms));
        for (rule, record, interval) in self.rules(matchers) {
            found.extend(self.record(rule, record, interval, matchers, (from_ms, to_ms)));
        }
        found
    }

    fn latest(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Series> {
        let mut found = self.inner.latest(matchers, from_ms, to_ms);
        found.extend(self.rules.memory().latest(matchers, from_ms, to_ms));
        for (rule, record, interval) in self.rules(matchers) {
            // A series that the last evaluation does not come to has ended.
            let from = from_ms.max(to_ms.min(self.now_ms) - interval);
            found.extend(self.record(rule, record, interval, matchers, (from, to_ms)));
        }
        found
    }

    fn series(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Labels> {
        let mut found = self.inner.series(matchers, from_ms, to_ms);
        found.extend(self.rules.memory().series(matchers, from_ms, to_ms));
        for (rule, record, interval) in self.rules(matchers) {
            // The latest evaluations tell which series there are: a day of them would only tell it again.
            let from = from_ms.max(to_ms.min(self.now_ms) - 10 * interval);
            let recorded = self.record(rule, record, interval, matchers, (from, to_ms));
            found.extend(recorded.into_iter().map(|series| series.labels));
        }
        found
    }

    fn names(&self, from_ms: i64, to_ms: i64) -> BTreeSet<String> {
        let mut names = self.inner.names(from_ms, to_ms);
        names.extend(Samples::names(self.rules.memory(), from_ms, to_ms));
        names.extend(self.rules(&[]).map(|(_, record, _)| record.to_owned()));
        names
    }

    fn metadata(&self) -> Vec<Metadata> {
        self.inner.metadata()
    }

    fn targets(&self) -> Vec<Target> {
        self.inner.targets()
    }
}
