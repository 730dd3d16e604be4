//! Alerts and the rules that raise them.

use jiff::Timestamp;

use super::Labels;
use crate::identity::Text;

/// How bad an alert is said to be, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody is paged.
    Critical,
    /// Somebody should look soon.
    Warning,
    /// For information.
    Info,
    /// A word that is none of these, or no label at all: shown as it is, never as harmless.
    Other,
}

impl Severity {
    /// Reads the label `severity`; the words are those that rule collections use.
    pub fn read(word: Option<&str>) -> Self {
        match word.map(str::to_ascii_lowercase).as_deref() {
            Some("critical" | "page" | "emergency" | "fatal" | "p1") => Self::Critical,
            Some("warning" | "warn" | "error" | "major" | "p2") => Self::Warning,
            Some("info" | "information" | "notice" | "none" | "minor" | "low" | "p3" | "p4") => Self::Info,
            _ => Self::Other,
        }
    }

    /// Returns the word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Other => "other",
        }
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertState {
    /// It fires and somebody is told.
    Firing,
    /// It fires, and a silence, an inhibition or a mute time keeps it quiet.
    Suppressed,
    /// Its condition holds, not yet for long enough.
    Pending,
    /// The system that watches it has too little data to know.
    Unknown,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// Returns the word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Suppressed => "suppressed",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Resolved => "resolved",
        }
    }
}

/// Who says that an alert is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// An Alertmanager.
    Alertmanager,
    /// A rule of Prometheus.
    Prometheus,
    /// An alarm of CloudWatch.
    CloudWatch,
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its identity within its origin: Alertmanager's fingerprint, or the ARN of an alarm; empty for an alert of a
    /// rule, which its labels identify.
    pub fingerprint: Text,
    /// Its name: `alertname`, or the name of the alarm.
    pub name: Text,
    /// Its labels, the name and severity among them.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When its origin last heard of it.
    pub updated: Option<Timestamp>,
    /// The value of its expression, where the origin says.
    pub value: Option<f64>,
    /// Who is told, by the names of the receivers.
    pub receivers: Vec<Text>,
    /// The silences that keep it quiet, by id.
    pub silenced_by: Vec<Text>,
    /// The alerts that keep it quiet, by fingerprint.
    pub inhibited_by: Vec<Text>,
    /// The mute times that keep it quiet, by name.
    pub muted_by: Vec<Text>,
    /// The link to its expression, as the rule's Prometheus calls itself.
    pub generator: Text,
    /// Who says so.
    pub origins: Vec<Origin>,
    /// The systems that said so, such as `monitoring/alertmanager`.
    pub places: Vec<Text>,
}

/// Where a rule stands, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleState {
    /// A recording rule, which has none.
    Recording,
    /// Its condition does not hold.
    Inactive,
    /// A word that the console does not know.
    Unknown,
    /// Its condition holds, not yet for long enough.
    Pending,
    /// It fires.
    Firing,
}

/// Whether a rule could be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleHealth {
    /// It could.
    Ok,
    /// Not yet evaluated, or a word that the console does not know.
    Unknown,
    /// It could not, and why.
    Failed(Text),
}

/// A rule of Prometheus.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its group.
    pub group: Text,
    /// Its name: that of the alert, or of the recorded series.
    pub name: Text,
    /// Its expression.
    pub query: Text,
    /// Seconds for which the condition must hold before it fires.
    pub hold: f64,
    /// Labels that it adds.
    pub labels: Labels,
    /// Annotations with their templates not filled in.
    pub annotations: Labels,
    /// Where it stands.
    pub state: RuleState,
    /// Whether it could be evaluated.
    pub health: RuleHealth,
    /// When it was last evaluated.
    pub evaluated: Option<Timestamp>,
    /// Its pending and firing alerts.
    pub alerts: Vec<Alert>,
}
