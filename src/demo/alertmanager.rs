//! The Alertmanager of the embedded platform: alerts with their receivers, groups, silences and inhibition.
//!
//! It keeps state and answers questions about it; the API is in `wire`, and nobody is ever told about an alert. What it
//! says follows Alertmanager 0.34 (contracts of its API v2), and a test holds it against a real one. The two replicas of
//! the platform share this state, so a silence is on both at once.

pub mod alerts;
pub mod body;
pub mod config;
pub mod matcher;
pub mod silences;
pub mod wire;

use fastrand::Rng;
use jiff::Timestamp;

use self::alerts::{Alerts, Inhibitors, Posted};
use self::config::{Config, ConfigError};
use self::matcher::{Labels, Matcher};
use self::silences::Silences;

/// The configuration of the platform's Alertmanager.
pub const CONFIG: &str = include_str!("../../assets/platform/alertmanager.yaml");

/// Why a request was refused: a status of HTTP and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The words of Alertmanager.
    pub message: String,
}

impl Refusal {
    /// The request cannot be carried out as it is.
    pub fn bad(message: impl Into<String>) -> Self {
        Self { code: 400, message: message.into() }
    }

    /// There is no silence of that identity.
    pub fn unknown_silence() -> Self {
        Self { code: 404, message: "silence not found".to_owned() }
    }
}

/// Which alerts are asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// All of them must match.
    pub filters: Vec<Matcher>,
    /// One of an alert's receivers must match, whole.
    pub receiver: Option<regex::Regex>,
    /// Those that nothing suppresses.
    pub active: bool,
    /// Those that a silence hides.
    pub silenced: bool,
    /// Those that another alert inhibits.
    pub inhibited: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { filters: Vec::new(), receiver: None, active: true, silenced: true, inhibited: true }
    }
}

impl Wanted {
    fn takes(&self, shown: &Shown) -> bool {
        let suppressed = !(shown.silenced_by.is_empty() && shown.inhibited_by.is_empty());
        (self.active || suppressed)
            && (self.silenced || shown.silenced_by.is_empty())
            && (self.inhibited || shown.inhibited_by.is_empty())
    }

    fn reaches(&self, receiver: &str) -> bool {
        self.receiver.as_ref().is_none_or(|wanted| wanted.is_match(receiver))
    }
}

/// An alert as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The alert.
    pub alert: alerts::Alert,
    /// Who is told.
    pub receivers: Vec<String>,
    /// Identities of the silences that hide it.
    pub silenced_by: Vec<String>,
    /// Fingerprints of the alerts that inhibit it.
    pub inhibited_by: Vec<String>,
}

/// Alerts that are told together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The labels that they have in common.
    pub labels: Labels,
    /// Who is told.
    pub receiver: String,
    /// The alerts; never empty.
    pub alerts: Vec<Shown>,
}

/// The state of the Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    config: Config,
    alerts: Alerts,
    silences: Silences,
    /// Since when it runs.
    started: Timestamp,
}

impl Alertmanager {
    /// Starts without alerts and silences; the generator draws the silences' identities.
    pub fn new(config: &str, rng: Rng, now: Timestamp) -> Result<Self, ConfigError> {
        let config = Config::parse(config)?;
        Ok(Self { config, alerts: Alerts::default(), silences: Silences::new(rng), started: now })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns since when it runs.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Returns the silences.
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// Returns the silences, to change them.
    pub fn silences_mut(&mut self) -> &mut Silences {
        &mut self.silences
    }

    /// Takes alerts in, from a rules engine or from the API; those that are not valid are left out and told.
    pub fn receive(&mut self, posted: Vec<Posted>, now: Timestamp) -> Result<(), Refusal> {
        self.tidy(now);
        let refused: Vec<String> =
            posted.into_iter().filter_map(|alert| self.alerts.put(alert, now).err()).collect();
        if refused.is_empty() { Ok(()) } else { Err(Refusal::bad(refused.join("\n"))) }
    }

    /// Forgets what has been over for long.
    pub fn tidy(&mut self, now: Timestamp) {
        self.alerts.tidy(now);
        self.silences.tidy(now);
    }

    /// Returns the alerts that fire, by fingerprint.
    pub fn alerts(&self, wanted: &Wanted, now: Timestamp) -> Vec<Shown> {
        let inhibitors = Inhibitors::new(&self.config.rules, &self.alerts, now);
        self.firing(wanted, now)
            .map(|alert| {
                let routes = self.config.route.taking(&alert.labels);
                let receivers = routes.iter().map(|route| route.receiver.clone()).collect();
                self.show(alert, receivers, &inhibitors, now)
            })
            .filter(|shown| shown.receivers.iter().any(|receiver| wanted.reaches(receiver)))
            .filter(|shown| wanted.takes(shown))
            .collect()
    }

    /// Returns the alerts that fire as they are told together, by labels and receiver.
    pub fn groups(&self, wanted: &Wanted, now: Timestamp) -> Vec<Group> {
        let inhibitors = Inhibitors::new(&self.config.rules, &self.alerts, now);
        let mut groups: Vec<(usize, Group)> = Vec::new();
        for alert in self.firing(wanted, now) {
            let routes = self.config.route.taking(&alert.labels);
            let routes: Vec<_> = routes.into_iter().filter(|route| wanted.reaches(&route.receiver)).collect();
            let mut receivers: Vec<String> = routes.iter().map(|route| route.receiver.clone()).collect();
            receivers.sort();
            let shown = self.show(alert, receivers, &inhibitors, now);
            if !wanted.takes(&shown) {
                continue;
            }
            for route in routes {
                let labels = route.group(&alert.labels);
                let found =
                    groups.iter_mut().find(|(index, group)| *index == route.index && group.labels == labels);
                match found {
                    Some((_, group)) => group.alerts.push(shown.clone()),
                    None => groups.push((
                        route.index,
                        Group { labels, receiver: route.receiver.clone(), alerts: vec![shown.clone()] },
                    )),
                }
            }
        }
        let mut groups: Vec<Group> = groups.into_iter().map(|(_, group)| group).collect();
        for group in &mut groups {
            group.alerts.sort_by(|one, other| alerts::order(&one.alert.labels, &other.alert.labels));
        }
        groups.sort_by(|one, other| {
            alerts::before(&one.labels, &other.labels).then_with(|| one.receiver.cmp(&other.receiver))
        });
        groups
    }

    fn firing<'a>(
        &'a self,
        wanted: &'a Wanted,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a alerts::Alert> + 'a {
        let passes =
            |alert: &&alerts::Alert| wanted.filters.iter().all(|filter| filter.filters(&alert.labels));
        self.alerts.firing(now).filter(passes)
    }

    fn show(
        &self,
        alert: &alerts::Alert,
        receivers: Vec<String>,
        inhibitors: &Inhibitors<'_>,
        now: Timestamp,
    ) -> Shown {
        Shown {
            alert: alert.clone(),
            receivers,
            silenced_by: self.silences.hiding(&alert.labels, now),
            inhibited_by: inhibitors.of(&alert.labels).into_iter().collect(),
        }
    }
}

/// Writes a time as the API does: UTC with milliseconds.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
