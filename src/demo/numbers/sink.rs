//! What is asked for, and where answers go: families hand over labels and a curve, and it is evaluated only where the
//! labels pass.
//!
//! It knows how a scrape changes labels (`honor_labels`, `exported_`), and nothing of what is measured.

use std::collections::HashMap;
use std::sync::Arc;

use crate::demo::promql::{Labels, Matcher, NAME, STALE, Series, is_stale};
use crate::identity::Text;

/// What a scrape adds to every series of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape {
    /// Labels of the target, such as `job` and `instance`.
    pub labels: Vec<(Text, Text)>,
    /// Whether a label that the target exposes itself wins over the target's.
    pub honor: bool,
}

impl Scrape {
    /// Returns a label of the target, empty where it has none.
    pub fn get(&self, name: &str) -> &str {
        self.labels.iter().find(|(known, _)| &**known == name).map_or("", |(_, value)| value)
    }

    /// Returns what tells one target from all others.
    pub fn identity(&self) -> [&str; 3] {
        ["job", "instance", "metrics_path"].map(|name| self.get(name))
    }

    /// Returns the value that a label has once `raw` was scraped.
    fn resolve<'a>(&'a self, raw: &'a [(&str, &str)], name: &str) -> &'a str {
        let own = self.get(name);
        let exposed = find(raw, name);
        if self.honor {
            return if exposed.is_empty() { own } else { exposed };
        }
        if !own.is_empty() {
            return own;
        }
        match name.strip_prefix("exported_") {
            Some(hidden) if !self.get(hidden).is_empty() => find(raw, hidden),
            _ => exposed,
        }
    }

    /// Returns the labels of a series after the scrape.
    fn merge(&self, metric: &str, raw: &[(&str, &str)]) -> Labels {
        let mut pairs: Vec<(Text, Text)> = Vec::with_capacity(raw.len() + self.labels.len() + 1);
        pairs.push((Arc::from(NAME), Arc::from(metric)));
        for (name, value) in &self.labels {
            if !self.honor || find(raw, name).is_empty() {
                pairs.push((name.clone(), value.clone()));
            }
        }
        for (name, value) in raw.iter().filter(|(_, value)| !value.is_empty()) {
            if !self.honor && !self.get(name).is_empty() {
                pairs.push((Arc::from(format!("exported_{name}")), Arc::from(*value)));
            } else {
                pairs.push((Arc::from(*name), Arc::from(*value)));
            }
        }
        Labels::new(pairs)
    }
}

fn find<'a>(pairs: &'a [(&str, &str)], name: &str) -> &'a str {
    pairs.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// A sample as a component exposes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposed {
    /// Name, with `_bucket`, `_sum` or `_count` where it is part of a histogram.
    pub metric: &'static str,
    /// Labels that the component itself writes.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// What to collect.
#[derive(Debug)]
enum Mode {
    /// Series at the moments of the grid, with the labels of their targets.
    Series(Vec<Series>),
    /// The labels of those series only.
    Labels(Vec<Labels>),
    /// What one target exposes at one moment.
    Exposed(Vec<Exposed>),
}

/// Takes series in: those that are asked for, at the moments that are asked for.
#[derive(Debug)]
pub struct Sink<'a> {
    matchers: &'a [Matcher],
    times: Vec<i64>,
    mode: Mode,
    /// Of which target series are wanted: job, instance and path; `None` is all.
    only: Option<[Text; 3]>,
}

/// A metric that is asked for; `None` is not asked for, and handing it over costs nothing.
pub type Wanted = Option<&'static str>;

impl<'a> Sink<'a> {
    /// Collects series at moments, in their order.
    pub fn series(matchers: &'a [Matcher], times: Vec<i64>) -> Self {
        Self { matchers, times, mode: Mode::Series(Vec::new()), only: None }
    }

    /// Collects the labels of series that have a value at one of the moments.
    pub fn labels(matchers: &'a [Matcher], times: Vec<i64>) -> Self {
        Self { matchers, times, mode: Mode::Labels(Vec::new()), only: None }
    }

    /// Collects what one target exposes at a moment.
    pub fn exposed(target: &Scrape, now: i64) -> Self {
        let only = Some(target.identity().map(Arc::from));
        Self { matchers: &[], times: vec![now], mode: Mode::Exposed(Vec::new()), only }
    }

    /// Returns the series, each set of labels once.
    pub fn into_series(self) -> Vec<Series> {
        let Mode::Series(all) = self.mode else { return Vec::new() };
        let mut known: HashMap<Labels, usize> = HashMap::with_capacity(all.len());
        let mut series: Vec<Series> = Vec::with_capacity(all.len());
        for one in all {
            // A pod of a StatefulSet that comes again goes on with its predecessor's series.
            if let Some(at) = known.get(&one.labels) {
                join(&mut series[*at].points, one.points);
            } else {
                known.insert(one.labels.clone(), series.len());
                series.push(one);
            }
        }
        series
    }

    /// Returns the labels, each set once.
    pub fn into_labels(self) -> Vec<Labels> {
        let Mode::Labels(mut labels) = self.mode else { return Vec::new() };
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Returns what was exposed.
    pub fn into_exposed(self) -> Vec<Exposed> {
        if let Mode::Exposed(exposed) = self.mode { exposed } else { Vec::new() }
    }

    /// Returns the first moment that is asked for; what ended before it need not be looked at.
    pub fn first(&self) -> i64 {
        self.times.first().copied().unwrap_or(i64::MAX)
    }

    /// Returns the last moment that is asked for.
    pub fn last(&self) -> i64 {
        self.times.last().copied().unwrap_or(i64::MIN)
    }

    /// Returns the moments.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// Returns a metric where it is asked for.
    pub fn metric(&self, name: &'static str) -> Wanted {
        self.named(name).then_some(name)
    }

    /// Tells whether a metric of that name is asked for.
    pub fn named(&self, name: &str) -> bool {
        self.matchers.iter().filter(|matcher| &*matcher.name == NAME).all(|matcher| matcher.matches(name))
    }

    /// Tells whether a label may have a value; for labels that are the same after the scrape.
    pub fn may(&self, label: &str, value: &str) -> bool {
        self.matchers.iter().filter(|matcher| &*matcher.name == label).all(|matcher| matcher.matches(value))
    }

    /// Returns the one value that a label must have, where the question says so: the way into an index.
    pub fn only(&self, label: &str) -> Option<&'a str> {
        self.matchers.iter().filter(|matcher| &*matcher.name == label).find_map(Matcher::exact)
    }

    /// Tells whether anything of a target is asked for.
    pub fn may_scrape(&self, scrape: &Scrape) -> bool {
        if self.only.is_some() {
            return self.takes(scrape);
        }
        // A label of the target holds unless the component's own wins over it.
        scrape.honor || scrape.labels.iter().all(|(name, value)| self.may(name, value))
    }

    fn takes(&self, scrape: &Scrape) -> bool {
        let same = |only: &[Text; 3]| only.iter().zip(scrape.identity()).all(|(a, b)| **a == *b);
        self.only.as_ref().is_none_or(same)
    }

    /// Takes a series in; `curve` gives its value at a Unix time in milliseconds, or nothing where it is not there.
    pub fn put(
        &mut self,
        metric: Wanted,
        scrape: &Scrape,
        raw: &[(&str, &str)],
        mut curve: impl FnMut(i64) -> Option<f64>,
    ) {
        let Some(metric) = metric else { return };
        if !self.takes(scrape) {
            return;
        }
        let passes =
            |matcher: &Matcher| &*matcher.name == NAME || matcher.matches(scrape.resolve(raw, &matcher.name));
        if !self.matchers.iter().all(passes) {
            return;
        }
        match &mut self.mode {
            Mode::Exposed(exposed) => {
                if let Some(value) = self.times.first().and_then(|now| curve(*now)) {
                    let labels = raw
                        .iter()
                        .filter(|(_, value)| !value.is_empty())
                        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                        .collect();
                    exposed.push(Exposed { metric, labels, value });
                }
            }
            Mode::Labels(labels) => {
                // Newest first: what is asked for is mostly still there.
                if self.times.iter().rev().any(|t| curve(*t).is_some()) {
                    labels.push(scrape.merge(metric, raw));
                }
            }
            Mode::Series(series) => {
                let mut points = Vec::new();
                let mut present = false;
                for t in &self.times {
                    match curve(*t) {
                        Some(value) => {
                            if points.is_empty() {
                                points.reserve(self.times.len());
                            }
                            points.push((*t, value));
                            present = true;
                        }
                        None if present => {
                            points.push((*t, STALE));
                            present = false;
                        }
                        None => {}
                    }
                }
                if !points.is_empty() {
                    series.push(Series { labels: scrape.merge(metric, raw), points });
                }
            }
        }
    }

    /// Takes in a series with one value as long as it is there.
    pub fn fixed(
        &mut self,
        metric: Wanted,
        scrape: &Scrape,
        raw: &[(&str, &str)],
        span: (i64, i64),
        value: f64,
    ) {
        self.put(metric, scrape, raw, |t| (t >= span.0 && t < span.1).then_some(value));
    }

    /// Takes in a histogram: `total` is the number of observations up to a time, `share` the part of them that an upper
    /// bound takes, `mean` their mean.
    pub fn histogram(
        &mut self,
        names: Histogram,
        scrape: &Scrape,
        raw: &[(&str, &str)],
        bounds: &[f64],
        mut count: impl FnMut(i64, f64) -> Option<f64>,
        mut sum: impl FnMut(i64) -> Option<f64>,
    ) {
        if names.bucket.is_some() {
            for bound in bounds.iter().copied().chain([f64::INFINITY]) {
                let written = bound_text(bound);
                let mut labels: Vec<(&str, &str)> = raw.to_vec();
                labels.push(("le", &written));
                self.put(names.bucket, scrape, &labels, |t| count(t, bound).map(f64::floor));
            }
        }
        self.put(names.sum, scrape, raw, &mut sum);
        self.put(names.count, scrape, raw, |t| count(t, f64::INFINITY).map(f64::floor));
    }
}

/// Joins the points of two series with the same labels; where both have one at a moment, a value wins over the end.
fn join(points: &mut Vec<(i64, f64)>, more: Vec<(i64, f64)>) {
    points.extend(more);
    points.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| is_stale(a.1).cmp(&is_stale(b.1))));
    points.dedup_by_key(|point| point.0);
}

/// The three metrics of a histogram, each where it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Histogram {
    /// `_bucket`.
    pub bucket: Wanted,
    /// `_sum`.
    pub sum: Wanted,
    /// `_count`.
    pub count: Wanted,
}

impl Histogram {
    /// Tells whether nothing of it is asked for.
    pub fn idle(&self) -> bool {
        self.bucket.is_none() && self.sum.is_none() && self.count.is_none()
    }
}

/// Names the three metrics of a histogram.
macro_rules! histogram {
    ($sink:expr, $name:literal) => {
        $crate::demo::numbers::sink::Histogram {
            bucket: $sink.metric(concat!($name, "_bucket")),
            sum: $sink.metric(concat!($name, "_sum")),
            count: $sink.metric(concat!($name, "_count")),
        }
    };
}
pub(crate) use histogram;

/// Writes an upper bound as Go does: `0.005`, `1`, `+Inf`.
pub fn bound_text(bound: f64) -> String {
    if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::promql::Op;

    fn scrape(honor: bool) -> Scrape {
        Scrape {
            labels: vec![
                (Arc::from("job"), Arc::from("ingress")),
                (Arc::from("namespace"), Arc::from("ingress-nginx")),
            ],
            honor,
        }
    }

    #[test]
    fn a_label_that_collides_with_the_targets_is_exported_unless_labels_are_honoured() {
        let raw = [("namespace", "tenant-2"), ("ingress", "checkout"), ("host", "")];
        let labels = scrape(false).merge("requests", &raw);
        assert_eq!(labels.get("namespace"), "ingress-nginx");
        assert_eq!(labels.get("exported_namespace"), "tenant-2");
        assert_eq!(scrape(true).merge("requests", &raw).get("namespace"), "tenant-2");
        assert_eq!(labels.len(), 5);
    }

    #[test]
    fn series_of_the_same_labels_become_one() {
        let mut sink = Sink::series(&[], vec![1, 2, 3, 4]);
        let metric = sink.metric("up");
        sink.put(metric, &scrape(true), &[], |t| (t < 3).then_some(1.0));
        sink.put(metric, &scrape(true), &[], |t| (t >= 3).then_some(2.0));
        let found = sink.into_series();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].points, [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]);
    }

    #[test]
    fn matchers_see_labels_as_they_are_after_the_scrape() {
        let raw = [("namespace", "tenant-2")];
        let ask = |name: &str, value: &str, honor: bool| {
            let matchers = [Matcher::new(name, Op::Equal, value).unwrap()];
            let mut sink = Sink::series(&matchers, vec![1, 2, 3]);
            let metric = sink.metric("requests");
            sink.put(metric, &scrape(honor), &raw, |t| (t < 3).then_some(1.0));
            sink.into_series()
        };
        assert!(ask("namespace", "tenant-2", false).is_empty());
        assert_eq!(ask("exported_namespace", "tenant-2", false).len(), 1);
        let found = ask("namespace", "tenant-2", true);
        assert_eq!(found[0].points[..2], [(1, 1.0), (2, 1.0)]);
        assert!(crate::demo::promql::is_stale(found[0].points[2].1), "it ends with the marker");
    }
}
