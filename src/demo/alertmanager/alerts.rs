//! Alerts: taking them in, telling them apart, and which of them inhibit others.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::config::Rule;
use super::matcher::{Labels, Matcher};
use crate::demo::world::fnv64;

/// After this an alert that nobody repeats is over; Alertmanager's default of `resolve_timeout`.
const TIMEOUT: SignedDuration = SignedDuration::from_mins(5);
/// How long an alert that is over is kept, so that one that comes back keeps its beginning; the default interval of
/// Alertmanager's garbage collection.
const KEPT: SignedDuration = SignedDuration::from_mins(30);

/// An alert as it is posted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posted {
    /// What it is about; its identity.
    pub labels: Labels,
    /// What people are told.
    pub annotations: Labels,
    /// Since when; now where it is absent.
    pub starts_at: Option<Timestamp>,
    /// When it is over unless it is repeated; in five minutes where it is absent.
    pub ends_at: Option<Timestamp>,
    /// Where it comes from; may be empty.
    pub generator_url: String,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What it is about; its identity.
    pub labels: Labels,
    /// What people are told.
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it is over unless it is repeated.
    pub ends_at: Timestamp,
    /// When it was last repeated.
    pub updated_at: Timestamp,
    /// Where it comes from; may be empty.
    pub generator_url: String,
    /// The end is only a deadline for repeating it.
    timeout: bool,
}

impl Alert {
    /// Returns its identity as the API writes it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.labels)
    }

    fn over(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// Joins an earlier report of the same alert into this one.
    fn join(&mut self, earlier: &Self, now: Timestamp) {
        self.starts_at = self.starts_at.min(earlier.starts_at);
        if self.over(now) {
            if earlier.over(now) {
                self.ends_at = self.ends_at.max(earlier.ends_at);
            }
        } else if !earlier.timeout {
            // A deadline that somebody chose counts more than one that was filled in.
            self.ends_at = self.ends_at.max(earlier.ends_at);
        }
    }
}

/// Returns the identity of labels, as the common library of Prometheus computes it: FNV-1a over sorted names and values.
pub fn fingerprint(labels: &Labels) -> String {
    let mut bytes = Vec::new();
    for (name, value) in labels {
        for part in [name, value] {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0xff);
        }
    }
    format!("{:016x}", fnv64(&bytes))
}

/// Compares labels as the common library of Prometheus orders label sets: fewer first, then the first difference by
/// name, where a set without that name comes first.
pub fn before(one: &Labels, other: &Labels) -> Ordering {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differing = |name: &&String| one.get(*name).cmp(&other.get(*name));
    one.len()
        .cmp(&other.len())
        .then_with(|| names.iter().map(differing).find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
}

/// Compares alerts as they stand in a group: by job, by instance, then as label sets; those without come last.
pub fn order(one: &Labels, other: &Labels) -> Ordering {
    for name in ["job", "instance"] {
        match (one.get(name), other.get(name)) {
            (Some(one), Some(other)) if one != other => return one.cmp(other),
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            _ => {}
        }
    }
    before(one, other)
}

/// All alerts, by fingerprint.
#[derive(Debug, Default)]
pub struct Alerts(BTreeMap<String, Alert>);

impl Alerts {
    /// Takes one in; refuses what is not valid, in Alertmanager's words.
    pub fn put(&mut self, posted: Posted, now: Timestamp) -> Result<(), String> {
        let Posted { mut labels, annotations, starts_at, ends_at, generator_url } = posted;
        labels.retain(|_, value| !value.is_empty());
        let starts_at = starts_at.or(ends_at).unwrap_or(now);
        let timeout = ends_at.is_none();
        let ends_at = ends_at.unwrap_or_else(|| now.checked_add(TIMEOUT).unwrap_or(Timestamp::MAX));
        if ends_at < starts_at {
            return Err("start time must be before end time".to_owned());
        }
        if labels.is_empty() {
            return Err("at least one label pair required".to_owned());
        }
        for (part, names) in [("label set", &labels), ("annotations", &annotations)] {
            if names.contains_key("") {
                return Err(format!("invalid {part}: invalid name \"\""));
            }
        }
        let mut alert =
            Alert { labels, annotations, starts_at, ends_at, updated_at: now, generator_url, timeout };
        let id = alert.fingerprint();
        if let Some(earlier) = self.0.get(&id) {
            let within = |at: Timestamp| at > earlier.starts_at && at < earlier.ends_at;
            if within(alert.ends_at) || within(alert.starts_at) {
                alert.join(earlier, now);
            }
        }
        self.0.insert(id, alert);
        Ok(())
    }

    /// Returns those that fire.
    pub fn firing(&self, now: Timestamp) -> impl Iterator<Item = &Alert> {
        self.0.values().filter(move |alert| alert.ends_at >= now)
    }

    /// Forgets those that have been over for long.
    pub fn tidy(&mut self, now: Timestamp) {
        self.0.retain(|_, alert| alert.ends_at.checked_add(KEPT).is_ok_and(|forgotten| forgotten > now));
    }
}

/// The alerts that inhibit others at one moment, found once for many questions.
pub struct Inhibitors<'a> {
    rules: Vec<Sources<'a>>,
}

/// The alerts that match the source of a rule, by the values that it compares.
struct Sources<'a> {
    rule: &'a Rule,
    by_values: BTreeMap<Vec<&'a str>, &'a Alert>,
}

fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches_labels(labels))
}

fn values<'a>(rule: &Rule, labels: &'a Labels) -> Vec<&'a str> {
    rule.equal.iter().map(|name| labels.get(name).map_or("", String::as_str)).collect()
}

impl<'a> Inhibitors<'a> {
    /// Finds them.
    pub fn new(rules: &'a [Rule], alerts: &'a Alerts, now: Timestamp) -> Self {
        let sources = |rule: &'a Rule| {
            let mut by_values: BTreeMap<Vec<&str>, &Alert> = BTreeMap::new();
            for alert in alerts.0.values().filter(|alert| !alert.over(now)) {
                if all_match(&rule.source, &alert.labels) {
                    let kept = by_values.entry(values(rule, &alert.labels)).or_insert(alert);
                    // Of several the one that lasts longest is named.
                    if alert.ends_at > kept.ends_at {
                        *kept = alert;
                    }
                }
            }
            Sources { rule, by_values }
        };
        Self { rules: rules.iter().map(sources).collect() }
    }

    /// Returns the fingerprint of an alert that inhibits one with these labels.
    pub fn of(&self, labels: &Labels) -> Option<String> {
        self.rules.iter().find_map(|sources| {
            let rule = sources.rule;
            if !all_match(&rule.target, labels) {
                return None;
            }
            let source = sources.by_values.get(&values(rule, labels))?;
            // Alerts on both sides of a rule do not inhibit each other, nor one itself.
            let both = all_match(&rule.source, labels) && all_match(&rule.target, &source.labels);
            (!both).then(|| source.fingerprint())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_a_real_alertmanager() {
        // As Alertmanager 0.25 answered for this alert.
        let labels = [("a".to_owned(), "b".to_owned()), ("namespace".to_owned(), "x".to_owned())].into();
        assert_eq!(fingerprint(&labels), "e918ffb93e3b1b0b");
    }
}
