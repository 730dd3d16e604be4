//! What the systems beside Kubernetes say: alerts and silences, rules, series, and where each system was found.
//!
//! Pure data, already cleaned: the sources make it, the store keeps it, models and screens read it. Nothing here
//! asks, waits, or knows how it was reached.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::identity::{Context, ObjectRef, Text};
use crate::sources::SourceError;

mod alarm;
mod alert;
mod branch;
mod figures;
mod join;
mod labels;
mod rights;
mod series;
mod silence;
mod usage;

pub use alarm::{Alarm, AlarmEvent, Watch, Watched};
pub use alert::{Alert, AlertState, Origin, Rule, RuleHealth, RuleState, Severity};
pub use branch::Branch;
pub use figures::{Figures, Finding, Part, PartSource, Scale};
pub use join::{Raised, join, watchdog_is_silent};
pub use labels::Labels;
pub use rights::{Right, Rights};
pub use series::{Sample, Series, Window};
pub use silence::{Matcher, MatcherError, Silence, SilenceState};
pub use usage::{Usage, Used, Using};

/// A system beside Kubernetes that the console knows how to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum System {
    /// Prometheus, or what answers as it does: Thanos, Mimir, `VictoriaMetrics`.
    Prometheus,
    /// Alertmanager.
    Alertmanager,
    /// Loki.
    Loki,
    /// The API of argocd-server.
    ArgoServer,
    /// The resource metrics of Kubernetes (metrics.k8s.io).
    ResourceMetrics,
    /// Amazon CloudWatch.
    CloudWatch,
}

impl System {
    /// Every system, in the order of the header.
    pub const ALL: [Self; 6] = [
        Self::Prometheus,
        Self::Alertmanager,
        Self::Loki,
        Self::ArgoServer,
        Self::ResourceMetrics,
        Self::CloudWatch,
    ];

    /// Returns its name as its own documentation writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
            Self::Loki => "Loki",
            Self::ArgoServer => "argocd-server",
            Self::ResourceMetrics => "metrics.k8s.io",
            Self::CloudWatch => "CloudWatch",
        }
    }

    /// Returns the word that stands for it in configuration and in the header.
    pub fn key(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::Loki => "loki",
            Self::ArgoServer => "argocd",
            Self::ResourceMetrics => "metrics",
            Self::CloudWatch => "cloudwatch",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A system as it was found, or was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which system.
    pub system: System,
    /// How it is reached, such as `service monitoring/prometheus:9090 through the API server`; without credentials.
    pub way: Text,
    /// Its version, once it has answered.
    pub version: Option<Text>,
    /// Why it cannot be used.
    pub error: Option<SourceError>,
    /// What asking it has cost so far; of CloudWatch alone.
    pub note: Option<Text>,
    /// When it last answered, where that is not when it was looked for.
    pub heard: Option<Timestamp>,
    /// Whether it is not there, and what it would say is read from the components themselves.
    pub scraped: bool,
}

/// A question to a system beside Kubernetes that is asked again as long as somebody looks at the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ask {
    /// The cluster that the system belongs to.
    pub context: Context,
    /// What is wanted.
    pub wanted: Wanted,
}

/// What is wanted of the systems beside Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wanted {
    /// Which systems there are and how each is reached.
    Systems,
    /// What one may do in a namespace.
    Rights(Text),
    /// The alerts of every Alertmanager.
    Alerts,
    /// The silences of every Alertmanager.
    Silences,
    /// The rules of Prometheus with their pending and firing alerts.
    Rules,
    /// The values of a `PromQL` expression at a time; `None` for now.
    Instant {
        /// The expression.
        query: Text,
        /// Seconds since 1970.
        at: Option<i64>,
    },
    /// The values of a `PromQL` expression over a window.
    Range {
        /// The expression.
        query: Text,
        /// The window.
        window: Window,
        /// Seconds between two values.
        step: u32,
    },
    /// What all pods, nodes or namespaces use now.
    Use(Using),
    /// The values that a label has had within the last hour; of `__name__` the metrics that there are.
    Values {
        /// The label.
        label: Text,
        /// A selector that narrows the series; empty for all.
        matching: Text,
    },
    /// The names of the labels that series have had within the last hour.
    LabelNames {
        /// A selector that narrows the series; empty for all.
        matching: Text,
    },
    /// The tree of an Application, from argocd-server.
    Tree {
        /// The Application.
        application: ObjectRef,
        /// Its `AppProject`: without it argocd-server does not say whether the Application exists.
        project: Text,
    },
    /// The alarms of CloudWatch that are not in order.
    Alarms,
    /// Values of metrics of CloudWatch over a window.
    Figures {
        /// Which.
        figures: Figures,
        /// The window.
        window: Window,
        /// Seconds between two values; CloudWatch may have fewer values for what is old.
        step: u32,
    },
}

impl Wanted {
    /// Returns the seconds after which it is asked again, while somebody looks at it; `None` for what cannot change.
    pub fn every(&self) -> Option<u64> {
        match self {
            // Somebody watches what a sync does; argocd-server answers from the cache that its controller keeps.
            Self::Tree { .. } => Some(5),
            // A person waits for the alert to go away: twice the group interval of an eager Alertmanager.
            Self::Alerts | Self::Silences => Some(10),
            // Rules are evaluated every 30 s in kube-prometheus-stack; a scrape is as far apart.
            Self::Rules | Self::Instant { at: None, .. } => Some(15),
            // metrics-server measures every 15 s; a table is read, not watched.
            Self::Use(_) => Some(30),
            Self::Range { window: Window::Last { .. }, step, .. } => Some(u64::from(*step).clamp(15, 300)),
            // Services move rarely; what could not be reached may be back. Alarms are evaluated every minute, and
            // every metric that is asked for costs.
            Self::Systems | Self::Alarms => Some(60),
            Self::Figures { window: Window::Last { .. }, step, .. } => Some(u64::from(*step).clamp(60, 900)),
            // Metrics come and go with what is installed.
            // Who may what changes rarely, and the gate asks anew.
            Self::Values { .. } | Self::LabelNames { .. } | Self::Rights(_) => Some(300),
            Self::Instant { at: Some(_), .. }
            | Self::Range { window: Window::Between { .. }, .. }
            | Self::Figures { window: Window::Between { .. }, .. } => None,
        }
    }
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The systems.
    Systems(Vec<Found>),
    /// What one may do in a namespace.
    Rights(Arc<Rights>),
    /// Alerts, and what was skipped.
    Alerts(Vec<Arc<Alert>>),
    /// Alarms of CloudWatch.
    Alarms(Vec<Arc<Alarm>>),
    /// Silences.
    Silences(Vec<Arc<Silence>>),
    /// Rules.
    Rules(Vec<Arc<Rule>>),
    /// Values of an expression at one time or over a window.
    Series(Vec<Series>),
    /// The tree of an Application.
    Tree(Vec<Branch>),
    /// What pods, nodes or namespaces use.
    Usage(Usage),
    /// Names of metrics or labels, or values of a label, in order.
    Names(Vec<Text>),
}

/// An answer with what must be said beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The answer.
    pub answer: Answer,
    /// What the systems warned of: partial answers, series that were cut. Shown, never dropped (contracts 4.2).
    pub warnings: Vec<Text>,
    /// How many parts of the answer could not be understood and were skipped.
    pub garbled: u64,
    /// Which of several systems did not answer, and why; the answer is of the others.
    pub silent: Vec<SourceError>,
}

impl Told {
    /// Makes an answer that nothing has to be said beside.
    pub fn plain(answer: Answer) -> Self {
        Self { answer, warnings: Vec::new(), garbled: 0, silent: Vec::new() }
    }
}

/// What came of asking once.
#[derive(Debug)]
pub struct Report {
    /// The question.
    pub ask: Ask,
    /// The life of the subscription; a report of an earlier life is discarded.
    pub epoch: u64,
    /// When the answer came.
    pub at: Timestamp,
    /// The answer, or why there is none.
    pub result: Result<Told, SourceError>,
    /// When it is asked again.
    pub next: Option<Timestamp>,
}
