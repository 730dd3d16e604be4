//! One list of alerts out of what Alertmanagers, rules and alarms say.
//!
//! Alertmanager knows who is told and what is kept quiet; the rule knows the expression and the value, and what is
//! pending; what a rule calls firing and no Alertmanager has heard of is shown, because then nobody is told.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Alarm, Alert, AlertState, Labels, Origin, Rule};
use crate::identity::Text;

/// The alert that always fires, so that its absence tells that alerts do not get through (contracts 4.3).
pub const WATCHDOG: &str = "Watchdog";

/// Alerts that are plumbing and are told to nobody.
pub const PLUMBING: [&str; 2] = [WATCHDOG, "InfoInhibitor"];

/// An alert with the rule that raised it, where it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// The alert.
    pub alert: Alert,
    /// Its rule.
    pub rule: Option<Arc<Rule>>,
    /// The alarm of CloudWatch that it is.
    pub alarm: Option<Arc<Alarm>>,
}

impl Raised {
    /// Tells whether a rule calls it firing and no Alertmanager that answered knows it.
    pub fn is_unheard(&self) -> bool {
        self.alert.origins == [Origin::Prometheus] && self.alert.state == AlertState::Firing
    }

    /// Returns since when its condition holds, as its rule says: before it fires it is pending for a while.
    pub fn active(&self) -> Option<Timestamp> {
        let own = self.rule.iter().flat_map(|rule| &rule.alerts);
        own.into_iter().find(|one| holds(&self.alert.labels, &one.labels)).and_then(|one| one.since)
    }
}

/// Joins the lists; the same alert of several is one.
pub fn join(alerts: &[Arc<Alert>], rules: &[Arc<Rule>], alarms: &[Arc<Alarm>]) -> Vec<Raised> {
    let mut raised: Vec<Raised> =
        alerts.iter().map(|alert| Raised { alert: (**alert).clone(), rule: None, alarm: None }).collect();
    let mut by_name: HashMap<Text, Vec<usize>> = HashMap::new();
    for (at, one) in raised.iter().enumerate() {
        by_name.entry(one.alert.name.clone()).or_default().push(at);
    }
    let mut new = Vec::new();
    for rule in rules {
        for alert in &rule.alerts {
            let known = by_name.get(&alert.name).map_or(&[][..], Vec::as_slice);
            // External labels are added on the way to Alertmanager: what the rule says must all be there.
            let same = known.iter().find(|at| holds(&raised[**at].alert.labels, &alert.labels));
            match same {
                Some(at) => {
                    let one = &mut raised[*at];
                    one.alert.value = alert.value;
                    one.rule = Some(Arc::clone(rule));
                    if !one.alert.origins.contains(&Origin::Prometheus) {
                        one.alert.origins.push(Origin::Prometheus);
                    }
                }
                None => {
                    new.push(Raised { alert: alert.clone(), rule: Some(Arc::clone(rule)), alarm: None });
                }
            }
        }
        // A rule that resolved a moment ago still explains the alert that Alertmanager keeps for a while.
        for at in by_name.get(&rule.name).into_iter().flatten() {
            let one = &mut raised[*at];
            if one.rule.is_none() && holds(&one.alert.labels, &rule.labels) {
                one.rule = Some(Arc::clone(rule));
            }
        }
    }
    raised.extend(new);
    for alarm in alarms {
        match raised.iter_mut().find(|one| is_told_of(&one.alert, &alarm.alert)) {
            // Somebody hands alarms on to an Alertmanager: one trouble, of two origins.
            Some(one) => {
                one.alert.origins.push(Origin::CloudWatch);
                one.alert.places.extend(alarm.alert.places.iter().cloned());
                for receiver in &alarm.alert.receivers {
                    if !one.alert.receivers.contains(receiver) {
                        one.alert.receivers.push(receiver.clone());
                    }
                }
                one.alarm = Some(Arc::clone(alarm));
            }
            None => {
                raised.push(Raised {
                    alert: alarm.alert.clone(),
                    rule: None,
                    alarm: Some(Arc::clone(alarm)),
                });
            }
        }
    }
    raised.retain(|one| !PLUMBING.contains(&&*one.alert.name));
    raised
}

/// Labels by which alerts that stand for an alarm name it.
const NAMES_ALARM: [&str; 4] = ["alarm_arn", "alarm_name", "AlarmName", "alarmname"];

/// Tells whether an alert of an Alertmanager stands for an alarm: a label names it by its name or its ARN.
fn is_told_of(alert: &Alert, alarm: &Alert) -> bool {
    let named = alert.labels.first(&NAMES_ALARM);
    !alert.origins.contains(&Origin::CloudWatch)
        && named.is_some_and(|named| named == &*alarm.name || named == &*alarm.fingerprint)
}

/// Tells whether all labels of `some` are among `all`.
fn holds(all: &Labels, some: &Labels) -> bool {
    some.iter().all(|(name, value)| all.get(name).unwrap_or_default() == value || is_template(value))
}

/// A label of a rule whose value is filled in for each alert.
fn is_template(value: &str) -> bool {
    value.contains("{{")
}

/// Tells whether the alert that always fires is missing, though a rule for it is there.
pub fn watchdog_is_silent(alerts: &[Arc<Alert>], rules: &[Arc<Rule>]) -> bool {
    rules.iter().any(|rule| &*rule.name == WATCHDOG) && !alerts.iter().any(|alert| &*alert.name == WATCHDOG)
}

#[cfg(test)]
mod tests {
    use super::super::{RuleHealth, RuleState, Severity};
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn alert(name: &str, pairs: &[(&str, &str)], state: AlertState, origin: Origin) -> Alert {
        let mut pairs = pairs.to_vec();
        pairs.push(("alertname", name));
        Alert {
            fingerprint: "f".into(),
            name: name.into(),
            labels: labels(&pairs),
            annotations: Labels::default(),
            severity: Severity::Warning,
            state,
            since: None,
            updated: None,
            value: None,
            receivers: Vec::new(),
            silenced_by: Vec::new(),
            inhibited_by: Vec::new(),
            muted_by: Vec::new(),
            generator: "".into(),
            origins: vec![origin],
            places: Vec::new(),
        }
    }

    fn rule(name: &str, alerts: Vec<Alert>) -> Arc<Rule> {
        Arc::new(Rule {
            group: "g".into(),
            name: name.into(),
            query: "up == 0".into(),
            hold: 60.0,
            labels: Labels::default(),
            annotations: Labels::default(),
            state: RuleState::Firing,
            health: RuleHealth::Ok,
            evaluated: None,
            alerts,
        })
    }

    #[test]
    fn the_same_alert_of_a_rule_and_an_alertmanager_is_one_with_value_and_rule() {
        let heard = alert(
            "Down",
            &[("pod", "a"), ("prometheus", "monitoring/k8s")],
            AlertState::Suppressed,
            Origin::Alertmanager,
        );
        let mut said = alert("Down", &[("pod", "a")], AlertState::Firing, Origin::Prometheus);
        said.value = Some(3.0);
        let all = join(&[Arc::new(heard)], &[rule("Down", vec![said])], &[]);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].alert.state, AlertState::Suppressed, "Alertmanager knows what is kept quiet");
        assert_eq!(all[0].alert.value, Some(3.0));
        assert_eq!(all[0].rule.as_ref().map(|rule| &*rule.query), Some("up == 0"));
    }

    #[test]
    fn pending_alerts_and_those_that_nobody_has_heard_of_are_there_and_plumbing_is_not() {
        let pending = alert("Slow", &[("pod", "a")], AlertState::Pending, Origin::Prometheus);
        let firing = alert("Down", &[("pod", "b")], AlertState::Firing, Origin::Prometheus);
        let watchdog = alert(WATCHDOG, &[], AlertState::Firing, Origin::Alertmanager);
        let rules = [rule("Slow", vec![pending]), rule("Down", vec![firing])];
        let all = join(&[Arc::new(watchdog)], &rules, &[]);
        let names: Vec<_> = all.iter().map(|one| (&*one.alert.name, one.is_unheard())).collect();
        assert_eq!(names, [("Slow", false), ("Down", true)]);
    }

    #[test]
    fn a_missing_watchdog_is_noticed_only_where_there_is_a_rule_for_it() {
        assert!(!watchdog_is_silent(&[], &[]));
        let rules = [rule(WATCHDOG, Vec::new())];
        assert!(watchdog_is_silent(&[], &rules));
        let heard = Arc::new(alert(WATCHDOG, &[], AlertState::Firing, Origin::Alertmanager));
        assert!(!watchdog_is_silent(&[heard], &rules));
    }
}
