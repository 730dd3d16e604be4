//! What the users of an Application saw before an action and see after it: the share of failed requests and the alerts
//! of its namespace. A deployment can be healthy for Kubernetes and bad for everybody else.
//!
//! It asks Prometheus and Alertmanager where they are, a bounded time, and never holds a verdict back for them: what
//! does not answer is said to be unknown.

use std::collections::BTreeSet;
use std::time::Duration;

use super::application::App;
use super::autosync::listed;
use super::desk::{Desk, Remote};
use super::draft::text;
use crate::human;
use crate::kinds::alerts;
use crate::text::one_line;

/// How long the systems may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A share of failed requests below this is no trouble, whatever it was before.
const FINE: f64 = 0.01;
/// By how much a share must have grown to be worse than before.
const WORSE: f64 = 1.25;

/// What was seen at a moment; `None` where nobody answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// The share of requests that failed in the last minute, between 0 and 1.
    errors: Option<f64>,
    /// The names of the alerts that fire in the namespace.
    alerts: Option<BTreeSet<String>>,
}

/// What the two moments say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// It is worse than before.
    pub worse: bool,
    /// What is said; empty where nothing is known.
    pub said: String,
}

/// Looks at the error rate and the alerts of the namespace that an Application deploys to.
pub(super) async fn look<R: Remote>(desk: &Desk<R>, app: App<'_>) -> Seen {
    let namespace = text(app.0, "/spec/destination/namespace");
    if namespace.is_empty() || !app.in_cluster() {
        return Seen::default();
    }
    let asked = async {
        let (failed, all) = (query(namespace, ",status=~\"5..\""), query(namespace, ""));
        let alarms = alerts::alerts();
        let fired = desk.remote.list(&alarms, None, "", "");
        tokio::join!(desk.remote.number(&failed), desk.remote.number(&all), fired)
    };
    let Ok((failed, all, fired)) = tokio::time::timeout(PATIENCE, asked).await else {
        return Seen::default();
    };
    Seen {
        // Without a request nothing is known, and without a failed one nothing failed.
        errors: all.filter(|all| *all > 0.0).map(|all| failed.unwrap_or(0.0) / all),
        alerts: fired.ok().map(|fired| {
            fired
                .iter()
                .filter(|alert| text(alert, "/labels/namespace") == namespace)
                .filter(|alert| text(alert, "/status/state") != "suppressed")
                .map(|alert| one_line(text(alert, "/labels/alertname")).into_owned())
                .collect()
        }),
    }
}

/// The requests of a namespace a second, as ingress-nginx counts them; both spellings of the label (contracts 4.4).
fn query(namespace: &str, more: &str) -> String {
    let name = namespace.replace(['"', '\\'], "");
    let of = |label: &str| {
        format!("rate(nginx_ingress_controller_requests{{ingress!=\"\",{label}=\"{name}\"{more}}}[1m])")
    };
    format!("sum({} or {})", of("exported_namespace"), of("exported_namespace=\"\",namespace"))
}

/// Compares what is seen with what was.
pub(super) fn compare(before: &Seen, now: &Seen) -> Verdict {
    let mut said = Vec::new();
    let mut worse = false;
    if let Some(share) = now.errors {
        let was = before.errors.map_or(String::new(), |was| format!("{} % -> ", human::percent(was * 100.0)));
        said.push(format!("error rate {was}{} %", human::percent(share * 100.0)));
        worse = share > FINE && before.errors.is_none_or(|was| share > was * WORSE && share - was > FINE);
    }
    if let Some(alerts) = &now.alerts {
        let none = BTreeSet::new();
        let were = before.alerts.as_ref().unwrap_or(&none);
        let new: Vec<String> = alerts.difference(were).cloned().collect();
        let still: Vec<String> = alerts.intersection(were).cloned().collect();
        let over = were.difference(alerts).count();
        if alerts.is_empty() {
            said.push(if over > 0 { "its alerts are over" } else { "no alert fires" }.to_owned());
        }
        if !still.is_empty() {
            said.push(format!("still firing: {}", listed(&still)));
        }
        if !new.is_empty() {
            said.push(format!("firing since: {}", listed(&new)));
        }
    }
    Verdict { worse, said: said.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(errors: Option<f64>, alerts: &[&str]) -> Seen {
        Seen { errors, alerts: Some(alerts.iter().map(|name| (*name).to_owned()).collect()) }
    }

    #[test]
    fn more_failed_requests_than_before_are_worse_and_few_are_fine() {
        let verdict = compare(&seen(Some(0.081), &["HighErrorRate"]), &seen(Some(0.004), &["HighErrorRate"]));
        assert!(!verdict.worse);
        assert!(
            verdict.said.starts_with("error rate 8") && verdict.said.contains("still firing: HighErrorRate")
        );
        assert!(compare(&seen(Some(0.02), &[]), &seen(Some(0.30), &["HighErrorRate"])).worse);
        assert!(!compare(&seen(Some(0.30), &[]), &seen(Some(0.28), &[])).worse, "falling is not worse");
        assert!(!compare(&seen(Some(0.0), &[]), &seen(Some(0.009), &[])).worse, "below a percent is fine");
        assert!(compare(&seen(None, &[]), &seen(Some(0.2), &[])).worse);
    }

    #[test]
    fn what_nobody_answers_is_not_said() {
        let verdict = compare(&Seen::default(), &Seen::default());
        assert_eq!(verdict, Verdict { worse: false, said: String::new() });
        assert_eq!(compare(&seen(None, &["A"]), &seen(None, &[])).said, "its alerts are over");
    }
}
