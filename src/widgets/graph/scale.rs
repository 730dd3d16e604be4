//! The axes of a graph: which values and times are round, and where they stand.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::human::Measure;

/// How many labels an axis has at most, whatever its size.
const MOST: usize = 32;

/// Values beyond this are as good as infinite: differences of two could not be written any more.
const BEYOND: f64 = 1e300;

/// Tells whether a value can stand on an axis.
pub(super) fn is_drawn(value: f64) -> bool {
    value.is_finite() && value.abs() < BEYOND
}

/// The axis of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) step: f64,
}

/// What an axis has to hold.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) unit: Measure,
    /// The least and the greatest value, where there is one.
    pub(super) values: Option<(f64, f64)>,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    /// Lines to show where they are not too far off.
    pub(super) levels: &'a [f64],
    pub(super) rows: usize,
}

impl Scale {
    pub(super) fn of(wanted: Wanted<'_>) -> Self {
        let unit = wanted.unit;
        let (least, most) = wanted.values.unwrap_or((0.0, 0.0));
        // An axis begins at nought, so that a small change does not look like a large one.
        let mut bottom = wanted.low.unwrap_or(if least >= 0.0 { 0.0 } else { least }).min(least);
        let mut top = wanted.high.unwrap_or(most).max(most);
        for level in wanted.levels.iter().copied().filter(|level| is_drawn(*level)) {
            // A line that is far off would press the curves flat.
            if level > top && (level <= top * 2.0 || most <= bottom) {
                top = level;
            }
            if level < bottom && level >= bottom - (top - bottom).abs() {
                bottom = level;
            }
        }
        if top <= bottom {
            let least = match unit {
                Measure::Ratio => 0.01,
                Measure::Seconds | Measure::Cores => 0.1,
                _ => 1.0,
            };
            top = bottom + f64::max(least, bottom.abs() * 0.1);
        }
        let parts = (wanted.rows / 3).clamp(1, 8);
        let step = unit.step(top - bottom, parts);
        let scale = Self {
            low: (bottom / step + 1e-9).floor() * step,
            high: (top / step - 1e-9).ceil() * step,
            step,
        };
        let sound = scale.low.is_finite() && scale.high.is_finite() && scale.high > scale.low && step > 0.0;
        if sound { scale } else { Self { low: bottom, high: top, step: top - bottom } }
    }

    /// Returns where a value stands, from 0 at the top to 1 at the bottom; beyond the axis it stands at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((self.high - value) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Returns the round values, the least first.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        let count = ((self.high - self.low) / self.step).round();
        let count = if count.is_finite() { (count as usize).min(MOST) } else { 1 };
        let (low, step) = (self.low, self.step);
        (0..=count).map(move |tick| low + step * tick as f64)
    }
}

/// Steps between labels of time, in seconds.
const STEPS: [i64; 23] = [
    1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800,
    604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
];

const DAY: i64 = 86_400;

/// Returns the round times of a span with their words, as many as `columns` have room for.
pub(super) fn times(from: i64, to: i64, columns: usize, zone: &TimeZone) -> Vec<(i64, String)> {
    let span = to.saturating_sub(from).max(1);
    // `14:00` or `Nov 20` with some room on both sides.
    let most = (columns / 10).clamp(1, MOST) as i64;
    let step = STEPS.into_iter().find(|step| span / (step * 1_000) <= most).unwrap_or(31_536_000);
    let Ok(start) = Timestamp::from_millisecond(from) else { return Vec::new() };
    // Round is what is round where the person is.
    let offset = i64::from(zone.to_offset(start).seconds());
    let first = (from.div_euclid(1_000) + offset).div_euclid(step) * step - offset;
    (0..=most + 1)
        .map(|index| first + index * step)
        .filter(|at| (from..=to).contains(&(at * 1_000)))
        .filter_map(|at| Some((at * 1_000, label(at, step, zone)?)))
        .collect()
}

fn label(at: i64, step: i64, zone: &TimeZone) -> Option<String> {
    let then = zone.to_datetime(Timestamp::from_second(at).ok()?);
    let midnight = then.hour() == 0 && then.minute() == 0 && then.second() == 0;
    Some(if step >= DAY || (midnight && step >= 3_600) {
        then.strftime("%b %-d").to_string()
    } else if step >= 60 {
        format!("{:02}:{:02}", then.hour(), then.minute())
    } else {
        format!("{:02}:{:02}:{:02}", then.hour(), then.minute(), then.second())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(unit: Measure, values: (f64, f64), levels: &[f64]) -> Vec<String> {
        let wanted = Wanted { unit, values: Some(values), levels, rows: 12, ..Wanted::default() };
        Scale::of(wanted).ticks().map(|value| unit.text(value)).collect()
    }

    #[test]
    fn an_axis_has_round_values_and_begins_at_nought() {
        assert_eq!(scale(Measure::Short, (3.0, 9.7), &[]), ["0", "5", "10"]);
        assert_eq!(scale(Measure::Ratio, (0.0, 0.081), &[]), ["0%", "5%", "10%"]);
        assert_eq!(scale(Measure::Bytes, (1.0e9, 3.0e9), &[]), ["0", "1Gi", "2Gi", "3Gi"]);
        assert_eq!(scale(Measure::Seconds, (0.01, 0.31), &[]), ["0s", "100ms", "200ms", "300ms", "400ms"]);
        assert_eq!(scale(Measure::Short, (-3.0, 4.0), &[]), ["-4", "-2", "0", "2", "4"]);
    }

    #[test]
    fn a_threshold_near_the_values_is_shown_and_one_far_off_is_not() {
        assert_eq!(scale(Measure::Short, (1.0, 6.0), &[9.0]).last().unwrap(), "10");
        assert_eq!(scale(Measure::Short, (1.0, 6.0), &[900.0]).last().unwrap(), "6");
    }

    #[test]
    fn whatever_the_values_are_there_is_an_axis() {
        let odd: [f64; 9] = [0.0, -0.0, 5e-324, 1e-300, 1.0, 1e15 + 1.0, 9e299, -9e299, -1.0];
        for (least, most) in
            odd.iter().flat_map(|a| odd.iter().map(move |b| (f64::min(*a, *b), f64::max(*a, *b))))
        {
            for (_, unit) in Measure::WORDS {
                for rows in [0, 1, 2, 3, 12, 400] {
                    let wanted = Wanted { unit, values: Some((least, most)), rows, ..Wanted::default() };
                    let scale = Scale::of(wanted);
                    assert!(scale.high > scale.low, "{unit:?} {least} {most}: {scale:?}");
                    assert!(scale.place(most).is_finite() && scale.ticks().count() <= MOST + 1);
                }
            }
        }
    }

    #[test]
    fn times_are_round_where_the_person_is() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let words = |from: &str, to: &str, columns, zone: &TimeZone| {
            times(at(from), at(to), columns, zone).into_iter().map(|(_, word)| word).collect::<Vec<_>>()
        };
        let utc = TimeZone::UTC;
        let from = "2026-11-20T02:02:31Z";
        assert_eq!(words(from, "2026-11-20T14:02:31Z", 50, &utc), ["03:00", "06:00", "09:00", "12:00"]);
        assert_eq!(words(from, "2026-11-20T03:02:31Z", 40, &utc), ["02:15", "02:30", "02:45", "03:00"]);
        // Midnight says which day begins.
        assert_eq!(words("2026-11-20T20:00:00Z", "2026-11-21T04:00:00Z", 50, &utc)[2], "Nov 21");
        let kolkata = TimeZone::fixed(jiff::tz::Offset::from_seconds(19_800).unwrap());
        assert_eq!(words(from, "2026-11-20T06:02:31Z", 60, &kolkata)[0], "08:00");
    }
}
