//! Functions of range vectors: what the samples of one window come to.
//!
//! Definitions are Prometheus's, to the order of its additions where that shows in the result.

use std::cmp::Ordering;

use super::Dialect;
use super::nan_first;

/// The samples of one series in one window. There is at least one.
pub(super) struct Window<'a> {
    /// Time in milliseconds and value, ascending, without markers.
    pub(super) points: &'a [(i64, f64)],
    /// The older end of the window, in milliseconds.
    pub(super) start: i64,
    /// The newer end of the window, in milliseconds.
    pub(super) end: i64,
    /// The time of evaluation, which an offset does not move.
    pub(super) at: i64,
    /// Length of the window, in milliseconds.
    pub(super) range: i64,
    /// The other arguments at this step, in their order.
    pub(super) arguments: &'a [f64],
    pub(super) dialect: Dialect,
}

impl Window<'_> {
    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|point| point.1)
    }

    fn argument(&self, index: usize) -> f64 {
        self.arguments.get(index).copied().unwrap_or(f64::NAN)
    }

    fn first(&self) -> (i64, f64) {
        self.points.first().copied().unwrap_or((self.at, f64::NAN))
    }

    fn last(&self) -> (i64, f64) {
        self.points.last().copied().unwrap_or((self.at, f64::NAN))
    }
}

/// What a window comes to: nothing where there are too few samples, and a sentence where an argument is wrong.
pub(super) type Function = fn(&Window<'_>) -> Result<Option<f64>, String>;

/// Finds a function of a range vector by its name.
pub(super) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "rate" => |w| Ok(extrapolated(w, true, true)),
        "increase" => |w| Ok(extrapolated(w, true, false)),
        "delta" => |w| Ok(extrapolated(w, false, false)),
        "irate" => |w| Ok(last_two(w, true)),
        "idelta" => |w| Ok(last_two(w, false)),
        "deriv" => |w| Ok((w.points.len() > 1).then(|| regression(w.points, w.first().0).0)),
        "predict_linear" => |w| {
            Ok((w.points.len() > 1).then(|| {
                let (slope, intercept) = regression(w.points, w.at);
                slope * w.argument(0) + intercept
            }))
        },
        "holt_winters" | "double_exponential_smoothing" => smoothed,
        "avg_over_time" => |w| Ok(Some(average(w))),
        "sum_over_time" => |w| Ok(Some(kahan(w.values()))),
        "count_over_time" => |w| Ok(Some(w.points.len() as f64)),
        "min_over_time" => |w| Ok(Some(extreme(w, |value, best| value < best).1)),
        "max_over_time" => |w| Ok(Some(extreme(w, |value, best| value > best).1)),
        "last_over_time" => |w| Ok(Some(w.last().1)),
        "first_over_time" => |w| Ok(Some(w.first().1)),
        "ts_of_first_over_time" => |w| Ok(Some(w.first().0 as f64 / 1e3)),
        "ts_of_last_over_time" => |w| Ok(Some(w.last().0 as f64 / 1e3)),
        // Of equal values the latest.
        "ts_of_min_over_time" => |w| Ok(Some(extreme(w, |value, best| value <= best).0 as f64 / 1e3)),
        "ts_of_max_over_time" => |w| Ok(Some(extreme(w, |value, best| value >= best).0 as f64 / 1e3)),
        "present_over_time" => |_| Ok(Some(1.0)),
        "stdvar_over_time" => |w| Ok(Some(variance(w))),
        "stddev_over_time" => |w| Ok(Some(variance(w).sqrt())),
        "quantile_over_time" => |w| Ok(Some(quantile(w.argument(0), &mut w.values().collect::<Vec<f64>>()))),
        "mad_over_time" => |w| {
            let median = quantile(0.5, &mut w.values().collect::<Vec<f64>>());
            let mut distances: Vec<f64> = w.values().map(|value| (value - median).abs()).collect();
            Ok(Some(quantile(0.5, &mut distances)))
        },
        "changes" => |w| {
            let equal = |before: f64, after: f64| before.partial_cmp(&after) == Some(Ordering::Equal);
            let same = |before: f64, after: f64| equal(before, after) || (before.is_nan() && after.is_nan());
            Ok(Some(count_pairs(w, |before, after| !same(before, after))))
        },
        "resets" => |w| Ok(Some(count_pairs(w, |before, after| after < before))),
        _ => return None,
    })
}

fn count_pairs(window: &Window<'_>, test: impl Fn(f64, f64) -> bool) -> f64 {
    window.points.windows(2).filter(|pair| test(pair[0].1, pair[1].1)).count() as f64
}

/// `rate`, `increase` and `delta`: the difference, stretched to the ends of the window where samples reach near them.
fn extrapolated(window: &Window<'_>, counter: bool, per_second: bool) -> Option<f64> {
    let points = window.points;
    if points.len() < 2 {
        return None;
    }
    let ((first_at, first), (last_at, last)) = (window.first(), window.last());
    let mut difference = last - first;
    if counter {
        // A counter that starts again begins at 0.
        let mut before = first;
        for &(_, value) in points {
            if value < before {
                difference += before;
            }
            before = value;
        }
    }
    let mut to_start = (first_at - window.start) as f64 / 1e3;
    let mut to_end = (window.end - last_at) as f64 / 1e3;
    let sampled = (last_at - first_at) as f64 / 1e3;
    let between = sampled / (points.len() - 1) as f64;
    let threshold = between * 1.1;
    // A counter cannot have been below 0: it is not stretched beyond the time at which it was 0.
    let to_zero = (counter && difference > 0.0 && first >= 0.0).then(|| sampled * (first / difference));
    match window.dialect {
        Dialect::Two => {
            to_start = to_zero.map_or(to_start, |zero| to_start.min(zero));
            if to_start >= threshold {
                to_start = between / 2.0;
            }
        }
        Dialect::Three => {
            if to_start >= threshold {
                to_start = between / 2.0;
            }
            to_start = to_zero.map_or(to_start, |zero| to_start.min(zero));
        }
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if per_second {
        factor /= window.range as f64 / 1e3;
    }
    Some(difference * factor)
}

/// `irate` and `idelta`: the last two samples.
fn last_two(window: &Window<'_>, per_second: bool) -> Option<f64> {
    let [.., (before_at, before), (after_at, after)] = *window.points else {
        return None;
    };
    let seconds = (after_at - before_at) as f64 / 1e3;
    if seconds == 0.0 {
        return None;
    }
    let difference = if per_second && after < before { after } else { after - before };
    Some(if per_second { difference / seconds } else { difference })
}

/// Adds without losing the small digits of many terms.
pub(super) fn kahan(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        (sum, lost) = kahan_step(value, sum, lost);
    }
    if sum.is_infinite() { sum } else { sum + lost }
}

fn kahan_step(value: f64, sum: f64, lost: f64) -> (f64, f64) {
    let next = sum + value;
    if next.is_infinite() {
        return (next, 0.0);
    }
    let lost =
        if sum.abs() >= value.abs() { lost + ((sum - next) + value) } else { lost + ((value - next) + sum) };
    (next, lost)
}

fn average(window: &Window<'_>) -> f64 {
    let sum = kahan(window.values());
    if sum.is_finite() || window.values().any(|value| !value.is_finite()) {
        return sum / window.points.len() as f64;
    }
    // The sum overflows though no value is infinite: add the shares instead.
    let count = window.points.len() as f64;
    kahan(window.values().map(|value| value / count))
}

/// The mean of squared distances to the mean, by Welford's method.
fn variance(window: &Window<'_>) -> f64 {
    let (mut count, mut mean, mut mean_lost, mut sum, mut sum_lost) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for value in window.values() {
        count += 1.0;
        let delta = value - (mean + mean_lost);
        (mean, mean_lost) = kahan_step(delta / count, mean, mean_lost);
        (sum, sum_lost) = kahan_step(delta * (value - (mean + mean_lost)), sum, sum_lost);
    }
    (sum + sum_lost) / count
}

fn extreme(window: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> (i64, f64) {
    let mut best = window.first();
    for (at, value) in window.points.iter().copied().skip(1) {
        if better(value, best.1) || best.1.is_nan() {
            best = (at, value);
        }
    }
    best
}

/// The quantile between the two nearest values; beyond 0 and 1 it is infinite.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Slope a second and value at a time of the straight line that fits best.
fn regression(points: &[(i64, f64)], at: i64) -> (f64, f64) {
    let first = points.first().map_or(f64::NAN, |point| point.1);
    #[expect(clippy::float_cmp, reason = "a line through equal values is known without arithmetic")]
    if points.iter().all(|point| point.1 == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let x = |point: &(i64, f64)| (point.0 - at) as f64 / 1e3;
    let count = points.len() as f64;
    let sum_x = kahan(points.iter().map(x));
    let sum_y = kahan(points.iter().map(|point| point.1));
    let sum_xy = kahan(points.iter().map(|point| x(point) * point.1));
    let sum_xx = kahan(points.iter().map(|point| x(point) * x(point)));
    let slope = (sum_xy - sum_x * sum_y / count) / (sum_xx - sum_x * sum_x / count);
    (slope, sum_y / count - slope * sum_x / count)
}

/// Holt's linear method: smoothing factor and trend factor.
fn smoothed(window: &Window<'_>) -> Result<Option<f64>, String> {
    let (level, trend) = (window.argument(0), window.argument(1));
    if level <= 0.0 || level >= 1.0 {
        return Err(format!("invalid smoothing factor. Expected: 0 < sf < 1, got: {level:.6}"));
    }
    if trend <= 0.0 || trend >= 1.0 {
        return Err(format!("invalid trend factor. Expected: 0 < tf < 1, got: {trend:.6}"));
    }
    let [(_, first), (_, second), ..] = *window.points else {
        return Ok(None);
    };
    let (mut before, mut now, mut slope) = (0.0, first, second - first);
    for (index, value) in window.values().skip(1).enumerate() {
        if index > 0 {
            slope = trend * (now - before) + (1.0 - trend) * slope;
        }
        let next = level * value + (1.0 - level) * (now + slope);
        (before, now) = (now, next);
    }
    Ok(Some(now))
}
