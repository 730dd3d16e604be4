//! The number of lines over time by level: as the server counts them, or counted as they come.

use std::collections::BTreeMap;

use super::level::Level;
use crate::signals::Series;

/// How many bands the levels are drawn in: error, warn, info, debug, other.
pub const BANDS: usize = 5;

/// How many seconds are counted apart; older ones are forgotten.
const COUNTED: usize = 86_400;

/// Numbers over time, of a span that is fixed when they are asked for: what is drawn does not tremble.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Volume {
    /// Its beginning, in seconds since 1970.
    pub from: i64,
    /// Its end.
    pub to: i64,
    /// Seconds that one value stands for: those before its time.
    pub step: u32,
    /// The values, by level where they count lines.
    pub series: Vec<Series>,
    /// Whether they count lines; a query for numbers has others.
    pub counts: bool,
}

/// The numbers of one column, by band.
pub type Column = [f64; BANDS];

impl Volume {
    /// Spreads the numbers over columns. A value is shared out evenly over the time that it stands for, so that
    /// columns which are not as wide as a step have no gaps and no peaks of their own.
    pub fn columns(&self, width: usize) -> Vec<Column> {
        let step = f64::from(self.step.max(1));
        let parts = self.series.iter().flat_map(|series| {
            let band = Level::read(series.labels.get("detected_level").unwrap_or_default()).band();
            let samples = series.samples.iter().filter(|sample| sample.value.is_finite());
            samples.map(move |sample| {
                let end = sample.at as f64 / 1_000.0;
                (end - step, end, band, sample.value)
            })
        });
        spread(parts, self.from as f64, self.to as f64, width)
    }
}

/// Lines counted by second and level, as they come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally(BTreeMap<i64, [u32; BANDS]>);

impl Tally {
    /// Counts a line of a time in nanoseconds since 1970.
    pub fn count(&mut self, at: i64, level: Level) {
        let second = at.div_euclid(1_000_000_000);
        let counted = &mut self.0.entry(second).or_default()[level.band()];
        *counted = counted.saturating_add(1);
        if self.0.len() > COUNTED {
            self.0.pop_first();
        }
    }

    /// Returns the first and the last second; `None` where nothing was counted.
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((*self.0.first_key_value()?.0, self.0.last_key_value()?.0 + 1))
    }

    /// Spreads what was counted over columns.
    pub fn columns(&self, from: i64, to: i64, width: usize) -> Vec<Column> {
        let parts = self.0.range(from..to).flat_map(|(second, bands)| {
            let start = *second as f64;
            bands.iter().enumerate().map(move |(band, count)| (start, start + 1.0, band, f64::from(*count)))
        });
        spread(parts, from as f64, to as f64, width)
    }
}

/// Shares numbers of spans of seconds out over columns.
fn spread(
    parts: impl Iterator<Item = (f64, f64, usize, f64)>,
    from: f64,
    to: f64,
    width: usize,
) -> Vec<Column> {
    let mut columns = vec![[0.0; BANDS]; width];
    let wide = (to - from) / width.max(1) as f64;
    if wide <= 0.0 || width == 0 {
        return columns;
    }
    for (start, end, band, value) in parts {
        let whole = end - start;
        let (start, end) = (start.max(from), end.min(to));
        if start >= end || whole <= 0.0 {
            continue;
        }
        let first = (((start - from) / wide) as usize).min(width - 1);
        let last = (((end - from) / wide).ceil() as usize).clamp(first + 1, width);
        for (at, column) in columns.iter_mut().enumerate().take(last).skip(first) {
            let left = from + at as f64 * wide;
            let within = (end.min(left + wide) - start.max(left)).max(0.0);
            column[band] += value * within / whole;
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::{Labels, Sample};

    fn sum(columns: &[Column]) -> f64 {
        columns.iter().flatten().sum()
    }

    #[test]
    fn bars_have_no_gaps_whatever_the_width_and_nothing_is_lost() {
        let at = |minute: i64| Sample { at: minute * 60_000, value: 30.0 };
        let labels: Labels = [("detected_level".into(), "error".into())].into_iter().collect();
        let series = vec![Series { labels, samples: (1..=15).map(at).collect(), histogram: false }];
        let volume = Volume { from: 0, to: 900, step: 60, series, counts: true };
        for width in [7, 15, 40, 120, 138] {
            let columns = volume.columns(width);
            assert!(columns.iter().all(|column| column[0] > 0.0), "a gap at {width}: {columns:?}");
            let (least, most) =
                columns.iter().fold((f64::MAX, 0.0_f64), |(a, b), one| (a.min(one[0]), b.max(one[0])));
            assert!(most - least < 1e-6, "steady lines make a level picture: {least} to {most} at {width}");
            assert!((sum(&columns) - 450.0).abs() < 1e-6, "{}", sum(&columns));
        }
        assert_eq!(volume.columns(0), Vec::<Column>::new());
    }

    #[test]
    fn lines_that_come_are_counted_by_second() {
        let mut tally = Tally::default();
        assert_eq!(tally.span(), None);
        for at in [1_500_000_000, 1_900_000_000, 4_000_000_000] {
            tally.count(at, Level::Warn);
        }
        assert_eq!(tally.span(), Some((1, 5)));
        assert_eq!(tally.columns(1, 5, 4).iter().map(|one| one[1] as u32).collect::<Vec<_>>(), [2, 0, 0, 1]);
    }
}
