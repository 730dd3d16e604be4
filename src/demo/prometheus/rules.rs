//! Rules as files have them: groups of recording and alerting rules, bare or inside a `PrometheusRule`.

use promql_parser::parser::Expr;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::params::words;
use crate::demo::promql::syntax;

/// How often a group without an interval is evaluated: what kube-prometheus-stack sets, in milliseconds.
pub const DEFAULT_INTERVAL_MS: i64 = 30_000;

/// Under which address links lead back to this server.
pub const EXTERNAL_URL: &str = "http://kube-prometheus-stack-prometheus.monitoring:9090";

/// The rules of the platform.
const SHIPPED: &[(&str, &str)] = &[
    ("general", include_str!("../../../assets/rules/general.yaml")),
    ("ingress", include_str!("../../../assets/rules/ingress.yaml")),
    ("kubernetes-apps", include_str!("../../../assets/rules/kubernetes-apps.yaml")),
    ("kubernetes-resources", include_str!("../../../assets/rules/kubernetes-resources.yaml")),
    ("kubernetes-storage", include_str!("../../../assets/rules/kubernetes-storage.yaml")),
    ("kubernetes-system", include_str!("../../../assets/rules/kubernetes-system.yaml")),
    ("platform", include_str!("../../../assets/rules/platform.yaml")),
    ("recording", include_str!("../../../assets/rules/recording.yaml")),
];

/// Groups of rules, in the order of their files.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    /// The groups.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other at the same time.
#[derive(Debug, Clone)]
pub struct Group {
    /// Unique in its file.
    pub name: String,
    /// Path of the file, as the server sees it.
    pub file: String,
    /// How often, in milliseconds.
    pub interval_ms: i64,
    /// How many series or alerts one rule may make; 0 is any number.
    pub limit: usize,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The expression, written as the grammar writes it.
    pub query: String,
    /// The expression.
    pub parsed: Expr,
    /// Labels that are set on what it makes; templates in an alerting rule.
    pub labels: BTreeMap<String, String>,
    /// What it makes.
    pub kind: Kind,
}

/// What a rule makes.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Series.
    Recording {
        /// Their name.
        record: String,
    },
    /// Alerts.
    Alerting {
        /// Their name.
        alert: String,
        /// How long a series must be there before its alert fires, in milliseconds.
        hold_ms: i64,
        /// How long an alert goes on when its series is gone, in milliseconds.
        keep_ms: i64,
        /// What is told about an alert; templates.
        annotations: BTreeMap<String, String>,
    },
}

impl Rule {
    /// Returns the name of the alert or of the recorded metric.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Recording { record } => record,
            Kind::Alerting { alert, .. } => alert,
        }
    }
}

/// Why rules cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct RuleError {
    /// The file.
    pub file: String,
    /// What is wrong.
    pub what: String,
}

#[derive(Deserialize)]
struct WireFile {
    groups: Option<Vec<WireGroup>>,
    spec: Option<WireSpec>,
}

#[derive(Deserialize)]
struct WireSpec {
    #[serde(default)]
    groups: Vec<WireGroup>,
}

#[derive(Deserialize)]
struct WireGroup {
    name: String,
    interval: Option<String>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    rules: Vec<WireRule>,
}

#[derive(Deserialize)]
struct WireRule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    r#for: Option<String>,
    keep_firing_for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl RuleSet {
    /// Reads the rules that are shipped.
    pub fn shipped() -> Result<Self, RuleError> {
        let mut set = Self::default();
        for (name, text) in SHIPPED {
            set.add(name, text)?;
        }
        Ok(set)
    }

    /// Returns the shipped rules as files: name and text.
    pub fn files() -> &'static [(&'static str, &'static str)] {
        SHIPPED
    }

    /// Adds a file.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), RuleError> {
        let wrong = |what: String| RuleError { file: name.to_owned(), what };
        let file: WireFile = serde_saphyr::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let groups = file.groups.or(file.spec.map(|spec| spec.groups)).unwrap_or_default();
        for group in groups {
            let interval_ms = match &group.interval {
                None => DEFAULT_INTERVAL_MS,
                Some(text) => words(text).filter(|interval| *interval > 0).ok_or_else(|| {
                    wrong(format!("group {}: interval {text:?} is no duration", group.name))
                })?,
            };
            let rules: Result<Vec<Rule>, String> = group.rules.into_iter().map(rule).collect();
            self.groups.push(Group {
                rules: rules.map_err(|what| wrong(format!("group {}: {what}", group.name)))?,
                name: group.name,
                file: format!(
                    "/etc/prometheus/rules/prometheus-kube-prometheus-stack-prometheus-rulefiles-0/\
                     monitoring-kube-prometheus-stack-{name}.yaml"
                ),
                interval_ms,
                limit: group.limit,
            });
        }
        Ok(())
    }
}

fn rule(wire: WireRule) -> Result<Rule, String> {
    let named = wire.alert.as_deref().or(wire.record.as_deref()).unwrap_or("a rule").to_owned();
    let parsed = syntax::parse(&wire.expr).map_err(|error| format!("{named}: {error}"))?;
    let time = |text: Option<String>| match text {
        None => Ok(0),
        Some(text) => words(&text).ok_or_else(|| format!("{named}: {text:?} is no duration")),
    };
    let kind = match (wire.alert, wire.record) {
        (Some(alert), None) => Kind::Alerting {
            alert,
            hold_ms: time(wire.r#for)?,
            keep_ms: time(wire.keep_firing_for)?,
            annotations: wire.annotations,
        },
        (None, Some(record)) => Kind::Recording { record },
        _ => return Err(format!("{named}: one of record and alert must be set")),
    };
    Ok(Rule { query: parsed.to_string(), parsed, labels: wire.labels, kind })
}
