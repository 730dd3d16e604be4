//! Quantiles of histograms with buckets.

use std::collections::HashMap;

use super::eval::{Row, Value, merge};
use super::{EvalError, Labels, NAME, STALE, is_stale};

/// The label of a bucket's upper bound.
const BOUND: &str = "le";

/// The upper bound of a bucket and its count at every step.
type Bucket = (f64, Vec<f64>);

/// Evaluates `histogram_quantile` of one quantile a step.
pub(super) fn quantiles(wanted: &[f64], rows: Vec<Row>) -> Result<Value, EvalError> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<Bucket>)> = Vec::new();
    for row in rows {
        // A series without a bound, or with one that is no number, is no bucket.
        let Some(bound) = bound(row.labels.get(BOUND)) else { continue };
        let labels = row.labels.keep(|name| name != BOUND && name != NAME);
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push((bound, row.values));
    }
    let mut buckets = Vec::new();
    let made = groups.into_iter().map(|(labels, mut members)| {
        members.sort_by(|a, b| a.0.total_cmp(&b.0));
        let values = wanted.iter().enumerate().map(|(step, q)| {
            buckets.clear();
            for (bound, values) in &members {
                if !is_stale(values[step]) {
                    buckets.push((*bound, values[step]));
                }
            }
            if buckets.is_empty() { STALE } else { quantile(*q, &mut buckets) }
        });
        Row { labels, values: values.collect() }
    });
    merge(made.collect()).map(Value::Vector)
}

/// Reads a bound as Go reads floats.
fn bound(text: &str) -> Option<f64> {
    match text {
        "" => None,
        "+Inf" | "Inf" | "inf" | "+inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// Finds a quantile in buckets that are sorted by bound; counts are cumulative.
fn quantile(q: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
        return f64::NAN;
    }
    // The same bound in two spellings is one bucket.
    buckets.dedup_by(|next, kept| {
        #[expect(clippy::float_cmp, reason = "two spellings of one bound read as one number")]
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    // Rates of buckets that were scraped apart may shrink by a little: a bucket holds what the smaller ones hold.
    let mut most = f64::NEG_INFINITY;
    for bucket in buckets.iter_mut() {
        most = most.max(bucket.1);
        bucket.1 = most;
    }
    let [.., before_last, last] = buckets.as_slice() else {
        return f64::NAN;
    };
    let observations = last.1;
    if observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let rank = q * observations;
    let at = buckets[..buckets.len() - 1].partition_point(|bucket| bucket.1 < rank);
    if at == buckets.len() - 1 {
        return before_last.0;
    }
    let (upper, count) = buckets[at];
    if at == 0 {
        // Below the first bound nothing is known: from 0, or the bound itself where that is not above 0.
        return if upper <= 0.0 { upper } else { upper * (rank / count) };
    }
    let (lower, smaller) = buckets[at - 1];
    lower + (upper - lower) * ((rank - smaller) / (count - smaller))
}
