//! Alarms of CloudWatch: an alert, and what it watches.

use jiff::Timestamp;

use super::{Alert, Part};
use crate::identity::Text;

/// An alarm of CloudWatch that is not in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// How it stands among the alerts.
    pub alert: Alert,
    /// The AWS region.
    pub region: Text,
    /// What it watches.
    pub watched: Watched,
    /// Why it is in its state, in the words of CloudWatch.
    pub reason: Text,
    /// Why its actions are suppressed, where they are (`ActionsSuppressedBy` with its reason).
    pub suppressed: Option<Text>,
    /// What is amiss with its evaluation: `PARTIAL_DATA`, `EVALUATION_ERROR`, `EVALUATION_FAILURE`.
    pub evaluation: Option<Text>,
}

/// What an alarm watches.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// Metrics, or arithmetic over them.
    Metric(Watch),
    /// Other alarms, by a rule such as `ALARM("a") OR ALARM("b")`.
    Alarms(Text),
    /// Something that the console does not know, by the name of its type.
    Other(Text),
}

/// The condition of an alarm over metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// What is asked to get its values.
    pub parts: Vec<Part>,
    /// Seconds of a period.
    pub period: u32,
    /// The threshold; `None` where it is a band that CloudWatch works out (`ThresholdMetricId`).
    pub threshold: Option<f64>,
    /// How it is crossed, as CloudWatch names it: `GreaterThanThreshold`.
    pub comparison: Text,
    /// Periods that are looked at.
    pub periods: u32,
    /// How many of them must cross.
    pub datapoints: u32,
    /// What missing data count as: `missing`, `breaching`, `notBreaching`, `ignore`.
    pub missing: Text,
}

impl Watch {
    /// Tells whether what lies below the threshold is bad.
    pub fn is_below(&self) -> bool {
        self.comparison.starts_with("LessThan")
    }

    /// Writes the condition: `AWS/RDS CPUUtilization Average (DBInstanceIdentifier=db) >= 85 in 3 of 3 periods of 5m`.
    pub fn words(&self) -> String {
        let what: Vec<String> =
            self.parts.iter().filter(|part| part.shown).map(|part| part.words(&self.parts)).collect();
        let sign = match &*self.comparison {
            "GreaterThanThreshold" | "GreaterThanUpperThreshold" => ">",
            "GreaterThanOrEqualToThreshold" => ">=",
            "LessThanThreshold" | "LessThanLowerThreshold" => "<",
            "LessThanOrEqualToThreshold" => "<=",
            _ => "outside",
        };
        let threshold = self.threshold.map_or_else(|| "its band".to_owned(), |at| at.to_string());
        let period = crate::human::span(i64::from(self.period));
        format!(
            "{} {sign} {threshold} in {} of {} periods of {period}",
            what.join(", "),
            self.datapoints,
            self.periods
        )
    }
}

/// Something that happened to an alarm (`DescribeAlarmHistory`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmEvent {
    /// When.
    pub at: Option<Timestamp>,
    /// What kind: `StateUpdate`, `Action`, `ConfigurationUpdate`.
    pub kind: Text,
    /// What, in the words of CloudWatch.
    pub summary: Text,
    /// Why, where the data of the event say so.
    pub reason: Text,
}
