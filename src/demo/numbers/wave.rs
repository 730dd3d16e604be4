//! Curves in closed form: the wave of the day, noise, and how busy an application was.
//!
//! Every curve has an exact integral, so that a counter and the rate that it grows with cannot disagree, whatever two
//! moments one looks at. Nothing is stored but the steps of what really changed. Pure functions of time.
//!
//! # Why
//!
//! A day of samples of ten thousand pods does not fit into the memory of a demo, and a platform that begins to measure
//! when it is started has nothing to show. Noise is therefore a displacement of the counter by a hash of the series and
//! the time bucket, blended smoothly: bounded, so that a counter stays near its line for ever, and flat enough that it
//! never falls.

use std::f64::consts::TAU;

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// How far the load rises and falls around its mean within a day.
const SWING: f64 = 0.2;
/// Where in the day the mean is crossed, in radians; the top is at half past two in the afternoon, UTC.
const PHASE: f64 = 2.2;

/// Length of a noise bucket in seconds, and how much the rate deviates within one.
///
/// The slope of the blend is at most one and a half, so the rate never deviates by more than 36 %; the wave of the day
/// takes another fifth, which leaves every rate above 0.
const OCTAVES: [(f64, f64); 3] = [(30.0, 0.06), (420.0, 0.10), (5_400.0, 0.08)];

/// Turns a Unix time in milliseconds into seconds.
pub fn secs(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Returns the load of the time of day, 1 on average.
pub fn wave(t: f64) -> f64 {
    1.0 + SWING * (TAU * t / DAY - PHASE).sin()
}

/// Returns the integral of [`wave`] from the Unix epoch, in seconds.
fn wave_sum(t: f64) -> f64 {
    t - SWING * DAY / TAU * (TAU * t / DAY - PHASE).cos()
}

/// Hashes a seed and a number to something between -0.5 and 0.5 (`SplitMix64`).
pub fn dither(seed: u64, number: i64) -> f64 {
    let mut z = seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

/// Returns a number between `low` and `high` that belongs to a seed and a purpose.
pub fn pick(seed: u64, purpose: i64, low: f64, high: f64) -> f64 {
    low + (dither(seed, purpose) + 0.5) * (high - low)
}

/// Blends the hashes of the buckets around `t`: smooth, between -0.5 and 0.5.
pub fn blend(seed: u64, t: f64, length: f64) -> f64 {
    let place = t / length;
    let bucket = place.floor();
    let u = place - bucket;
    let (a, b) = (dither(seed, bucket as i64), dither(seed, bucket as i64 + 1));
    a + (b - a) * u * u * (3.0 - 2.0 * u)
}

/// Returns by how many seconds noise has a counter ahead of its line at `t`; bounded by some minutes.
pub fn ahead(seed: u64, t: f64) -> f64 {
    let mut sum = 0.0;
    for (at, &(length, size)) in OCTAVES.iter().enumerate() {
        sum += size * length * blend(seed.wrapping_add(at as u64), t, length);
    }
    sum
}

/// Returns a level that wanders between 0 and 1 over minutes and hours.
pub fn wander(seed: u64, t: f64) -> f64 {
    0.5 + 0.5 * blend(seed, t, 900.0)
        + 0.35 * blend(seed ^ 0x51, t, 7_200.0)
        + 0.15 * blend(seed ^ 0x52, t, 90.0)
}

/// A factor that changes at moments and holds in between, and its integral.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps(Vec<(i64, f64)>);

impl Steps {
    /// Makes it from moments in Unix milliseconds, in their order.
    pub fn new(steps: Vec<(i64, f64)>) -> Self {
        Self(steps)
    }

    /// Notes the value from a moment on; one that does not change anything is not kept.
    pub fn set(&mut self, at: i64, value: f64) {
        match self.0.last_mut() {
            Some(last) if last.0 >= at => last.1 = value,
            Some(last) if (last.1 - value).abs() < f64::EPSILON => {}
            _ => self.0.push((at, value)),
        }
        // A day of changes every minute; what is older is out of sight.
        if self.0.len() > 2_000 {
            self.0.drain(..500);
        }
    }

    /// Returns the value at a moment; `before` where nothing was noted yet.
    pub fn at(&self, t: i64, before: f64) -> f64 {
        let after = self.0.partition_point(|step| step.0 <= t);
        after.checked_sub(1).map_or(before, |at| self.0[at].1)
    }

    /// Returns the latest value.
    pub fn last(&self) -> Option<f64> {
        self.0.last().map(|step| step.1)
    }

    /// Returns moments and values.
    pub fn iter(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.0.iter().copied()
    }
}

/// Demand over time: the wave of the day times a factor that changes at moments, with its exact integral.
#[derive(Debug, Clone)]
pub struct Pulse {
    /// Moment in seconds, factor from then on, integral up to then.
    parts: Vec<(f64, f64, f64)>,
    first: f64,
    moving: bool,
}

impl Pulse {
    /// Makes the demand of steps of the factor; `moving` says whether it follows the time of day.
    pub fn new(steps: &Steps, moving: bool) -> Self {
        Self::with_first(steps, 1.0, moving)
    }

    /// Makes it with the factor that holds before the first step.
    pub fn with_first(steps: &Steps, first: f64, moving: bool) -> Self {
        let mut pulse = Self { parts: Vec::new(), first, moving };
        for (at, factor) in steps.iter() {
            let t = secs(at);
            let sum = pulse.sum(t);
            pulse.parts.push((t, factor, sum));
        }
        pulse
    }

    fn raw(&self, t: f64) -> f64 {
        if self.moving { wave_sum(t) } else { t }
    }

    /// Returns the integral from a fixed moment long ago, in seconds of usual demand; differences are what counts.
    pub fn sum(&self, t: f64) -> f64 {
        let after = self.parts.partition_point(|part| part.0 <= t);
        match after.checked_sub(1).and_then(|at| self.parts.get(at)) {
            Some((from, factor, sum)) => sum + factor * (self.raw(t) - self.raw(*from)),
            None => self.first * self.raw(t),
        }
    }

    /// Returns the demand at a moment, 1 being usual.
    pub fn at(&self, t: f64) -> f64 {
        let after = self.parts.partition_point(|part| part.0 <= t);
        let factor = after.checked_sub(1).map_or(self.first, |at| self.parts[at].1);
        if self.moving { factor * wave(t) } else { factor }
    }

    /// Returns the demand multiplied by another factor that changes at moments.
    #[must_use]
    pub fn times(&self, other: &Steps, before: f64) -> Self {
        let mut moments: Vec<i64> = other.iter().map(|(at, _)| at).collect();
        moments.extend(self.parts.iter().map(|part| (part.0 * 1000.0).round() as i64));
        moments.sort_unstable();
        moments.dedup();
        let factor = |t: i64| {
            let after = self.parts.partition_point(|part| part.0 <= secs(t));
            after.checked_sub(1).map_or(self.first, |at| self.parts[at].1)
        };
        let steps = moments.into_iter().map(|t| (t, factor(t) * other.at(t, before))).collect();
        Self::with_first(&Steps::new(steps), self.first * before, self.moving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000_000;

    #[test]
    fn a_counter_never_falls_and_grows_by_what_its_rate_says() {
        let mut steps = Steps::default();
        steps.set(NOW, 2.0);
        steps.set(NOW + 600_000, 0.6);
        let pulse = Pulse::new(&steps, true);
        for seed in 0..20 {
            let counter = |ms: i64| pulse.sum(secs(ms)) + 0.6 * ahead(seed, secs(ms));
            let mut last = counter(NOW - 3_600_000);
            for ms in (NOW - 3_600_000..NOW + 3_600_000).step_by(1_000).skip(1) {
                let next = counter(ms);
                assert!(next > last, "seed {seed} falls at {ms}");
                last = next;
            }
        }
        let grown = pulse.sum(secs(NOW + 60_000)) - pulse.sum(secs(NOW));
        assert!((grown - 60.0 * pulse.at(secs(NOW + 30_000))).abs() < 0.01, "{grown}");
        let before = pulse.sum(secs(NOW)) - pulse.sum(secs(NOW - 1_000));
        assert!((0.7..1.3).contains(&before), "{before}");
    }

    #[test]
    fn a_product_of_steps_changes_where_either_does() {
        let mut load = Steps::default();
        load.set(NOW, 2.0);
        let mut errors = Steps::default();
        errors.set(NOW + 1_000, 0.5);
        let both = Pulse::new(&load, false).times(&errors, 0.0);
        assert!(both.at(secs(NOW + 500)).abs() < 1e-9);
        assert!((both.at(secs(NOW + 1_500)) - 1.0).abs() < 1e-9);
        assert!((both.sum(secs(NOW + 3_000)) - both.sum(secs(NOW)) - 2.0).abs() < 1e-6);
    }
}
