//! What is asked of the metrics of CloudWatch.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::Window;
use crate::identity::Text;

/// What is older than so many days is kept in periods of so many seconds (contracts 6.2).
const KEPT: [(i64, u32); 2] = [(63, 3_600), (15, 300)];

/// Metrics of CloudWatch: those that the account has and that fit, or exactly these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Figures {
    /// Every set of dimensions of the account that fits, one series each.
    Found(Finding),
    /// Exactly these.
    Exact(Vec<Part>),
}

/// Metrics to be found by their dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Finding {
    /// The namespace, such as `AWS/RDS`.
    pub namespace: Text,
    /// The metrics: an id for the arithmetic, the name, the statistic (`Sum`, `Average`, `p95`).
    pub metrics: Vec<(Text, Text, Text)>,
    /// The names of all dimensions, and the expression that each value fits whole. A metric with one more or one
    /// less dimension is another metric (contracts 6.3).
    pub dimensions: Vec<(Text, Text)>,
    /// Metric math over the ids; `None` for the only metric itself.
    pub math: Option<Text>,
    /// What the values are turned into.
    pub scale: Scale,
}

/// What the values of CloudWatch are turned into, so that the units are those of every board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Scale {
    /// Nothing else.
    #[default]
    Plain,
    /// The sum of a period into a rate a second.
    PerSecond,
    /// Percent into parts of one.
    Percent,
    /// Milliseconds into seconds.
    Milliseconds,
}

impl Scale {
    /// Every scale with the word that board files use.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("plain", Self::Plain),
        ("per-second", Self::PerSecond),
        ("percent", Self::Percent),
        ("milliseconds", Self::Milliseconds),
    ];

    /// Turns a value of a period of so many seconds.
    pub fn of(self, value: f64, period: u32) -> f64 {
        match self {
            Self::Plain => value,
            Self::PerSecond => value / f64::from(period.max(1)),
            Self::Percent => value / 100.0,
            Self::Milliseconds => value / 1_000.0,
        }
    }
}

/// One line of a question to `GetMetricData`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// Its id: a small letter, then letters, digits and `_`.
    pub id: Text,
    /// What it is.
    pub source: PartSource,
    /// What stands beside its values; empty for its metric.
    pub label: Text,
    /// Whether its values are wanted, and not only what is worked out of them.
    pub shown: bool,
}

/// What a part of a question is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartSource {
    /// A statistic of a metric.
    Metric {
        /// Its namespace.
        namespace: Text,
        /// Its name.
        name: Text,
        /// Its dimensions, by name.
        dimensions: Vec<(Text, Text)>,
        /// The statistic.
        stat: Text,
    },
    /// Metric math over the ids of other parts.
    Math(Text),
}

impl Part {
    /// Writes it for people; `all` are the parts that its expression is about.
    pub fn words(&self, all: &[Self]) -> String {
        match &self.source {
            PartSource::Metric { namespace, name, dimensions, stat } => {
                let mut text = format!("{namespace} {name} {stat}");
                if !dimensions.is_empty() {
                    let pairs: Vec<String> =
                        dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    let _ = write!(text, " ({})", pairs.join(", "));
                }
                text
            }
            PartSource::Math(expression) => {
                let mut text = expression.to_string();
                let of: Vec<String> = all
                    .iter()
                    .filter(|one| matches!(one.source, PartSource::Metric { .. }) && one.id != self.id)
                    .map(|one| format!("{} = {}", one.id, one.words(&[])))
                    .collect();
                if !of.is_empty() {
                    let _ = write!(text, " with {}", of.join(", "));
                }
                text
            }
        }
    }
}

impl Figures {
    /// Returns the seconds of a period for a step: whole minutes, and what `CloudWatch` still has of that age.
    pub fn period(window: Window, step: u32, now: Timestamp) -> u32 {
        let (from, _) = window.bounds(now);
        let age = (now.as_second() - from) / 86_400;
        let least = KEPT.iter().find(|(days, _)| age >= *days).map_or(60, |(_, period)| *period);
        step.max(1).div_ceil(least) * least
    }

    /// Writes it for people, as it stands above the graph.
    pub fn words(&self) -> String {
        match self {
            Self::Exact(parts) => {
                let shown = parts.iter().filter(|part| part.shown);
                shown.map(|part| part.words(parts)).collect::<Vec<_>>().join(", ")
            }
            Self::Found(finding) => finding.words(),
        }
    }
}

impl Finding {
    /// Writes it for people: `AWS/RDS CPUUtilization Average by DBInstanceIdentifier`.
    pub fn words(&self) -> String {
        let metrics: Vec<String> = self
            .metrics
            .iter()
            .map(|(id, name, stat)| match self.math {
                Some(_) => format!("{id} = {name} {stat}"),
                None => format!("{name} {stat}"),
            })
            .collect();
        let mut text = match &self.math {
            Some(math) => format!("{math} with {} {}", self.namespace, metrics.join(", ")),
            None => format!("{} {}", self.namespace, metrics.join(", ")),
        };
        let by: Vec<&str> = self.dimensions.iter().map(|(name, _)| &**name).collect();
        if !by.is_empty() {
            let _ = write!(text, " by {}", by.join(", "));
        }
        let narrowed: Vec<String> = self
            .dimensions
            .iter()
            .filter(|(_, pattern)| !matches!(&**pattern, ".+" | ".*"))
            .map(|(name, pattern)| format!("{name}=~{pattern:?}"))
            .collect();
        if !narrowed.is_empty() {
            let _ = write!(text, " where {}", narrowed.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_is_one_that_is_kept_for_that_long() {
        let now = Timestamp::from_second(1_800_000_030).unwrap();
        let period = |days: u32, step| Figures::period(Window::Last { seconds: days * 86_400 }, step, now);
        assert_eq!((period(1, 15), period(1, 90)), (60, 120));
        assert_eq!(period(20, 60), 300);
        assert_eq!((period(70, 60), period(70, 7_000)), (3_600, 7_200));
    }
}
