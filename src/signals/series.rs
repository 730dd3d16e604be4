//! Values over time.

use jiff::Timestamp;

use super::Labels;

/// One value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The value; NaN and the infinities are values, too.
    pub value: f64,
}

/// A series: labels and values in the order of time. The answer to an instant query has one value each.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What tells it from the others.
    pub labels: Labels,
    /// The values, oldest first. A gap is a gap: no value stands for it.
    pub samples: Vec<Sample>,
    /// Whether the values are native histograms, which have no single number; they are not shown.
    pub histogram: bool,
}

impl Series {
    /// Returns the last value that is a number.
    pub fn last(&self) -> Option<f64> {
        self.samples.iter().rev().map(|sample| sample.value).find(|value| !value.is_nan())
    }
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// The last seconds up to now.
    Last {
        /// How many.
        seconds: u32,
    },
    /// Between two times, both in seconds since 1970.
    Between {
        /// Its beginning.
        from: i64,
        /// Its end.
        to: i64,
    },
}

impl Window {
    /// Returns beginning and end in seconds since 1970, as they are at `now`.
    pub fn bounds(self, now: Timestamp) -> (i64, i64) {
        match self {
            Self::Last { seconds } => (now.as_second() - i64::from(seconds), now.as_second()),
            Self::Between { from, to } => (from.min(to), to.max(from)),
        }
    }

    /// Returns its length in seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::Last { seconds } => seconds,
            Self::Between { from, to } => u32::try_from(to.abs_diff(from)).unwrap_or(u32::MAX),
        }
    }
}
