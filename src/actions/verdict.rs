//! What the users of an Application saw before an action and see after it: the share of failed requests, and the alerts.
//! A deployment can be healthy for Kubernetes and bad for everybody else.
//!
//! The requests are those of the Application's own ingresses, else of its own services, where ingress-nginx counts them;
//! else those of its whole namespace, and then that is said. It asks Prometheus and Alertmanager where they are, a
//! bounded time, and never holds a verdict back for them: what does not answer is said to be unknown.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::application::App;
use super::autosync::listed;
use super::desk::{Desk, Remote};
use super::draft::text;
use crate::human;
use crate::identity::{ObjectRef, Resource};
use crate::kinds::alerts;
use crate::text::one_line;

/// How long the systems may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A share of failed requests below this is no trouble, whatever it was before.
const FINE: f64 = 0.01;
/// By how much a share must have grown to be worse than before.
const WORSE: f64 = 1.25;
/// To what part of itself the trouble of an Application must have fallen to be called better: half of the last minute
/// then tells of what runs now.
const BETTER: f64 = 0.5;
/// How many alerts are looked into at a time; more than these few say nothing new.
const LOOKED_INTO: usize = 8;

/// What was seen at a moment; `None` where nobody answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// The share of requests that failed in the last minute, between 0 and 1.
    errors: Option<Share>,
    /// The alerts that fire in the namespace.
    alerts: Option<Vec<Fired>>,
}

impl Seen {
    /// Tells whether anything is known of failed requests.
    pub fn tells_errors(&self) -> bool {
        self.errors.is_some()
    }

    /// Tells whether anything is known of alerts.
    pub fn tells_alerts(&self) -> bool {
        self.alerts.is_some()
    }
}

/// A share of requests.
#[derive(Debug, Clone, PartialEq)]
struct Share {
    /// Whose requests, such as `ingress checkout`.
    of: String,
    /// Whether they are the Application's alone: what fails for others in its namespace is not its trouble.
    own: bool,
    /// How many of them failed, between 0 and 1.
    failed: f64,
}

/// An alert that fires.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Fired {
    /// Its name.
    name: String,
    /// Since when, as Alertmanager says: since it fires, not since its condition holds.
    since: Option<Timestamp>,
    /// Which of the Application's own things it is about; `None` where it says none.
    about: Option<String>,
    /// The pod that it names.
    pod: Option<String>,
    /// Whether it is only for information.
    minor: bool,
}

/// What the two moments say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What is no good end, in words.
    pub trouble: Option<&'static str>,
    /// What is said; empty where nothing is known.
    pub said: String,
}

/// Looks at the error rate of an Application, and at the alerts of the namespace that it deploys to.
pub(super) async fn look<R: Remote>(desk: &Desk<R>, app: App<'_>) -> Seen {
    let namespace = text(app.0, "/spec/destination/namespace");
    if namespace.is_empty() || !app.in_cluster() {
        return Seen::default();
    }
    let alarms = alerts::alerts();
    let asked = async { tokio::join!(errors(desk, app, namespace), desk.remote.list(&alarms, None, "", "")) };
    let Ok((errors, fired)) = tokio::time::timeout(PATIENCE, asked).await else {
        return Seen::default();
    };
    let alerts = fired.ok().map(|fired| {
        fired
            .iter()
            .filter(|alert| text(alert, "/labels/namespace") == namespace)
            .filter(|alert| text(alert, "/status/state") != "suppressed")
            .map(|alert| Fired::read(alert, app))
            .collect()
    });
    Seen { errors, alerts }
}

/// Asks for the share of failed requests, of the narrowest part that Prometheus has series of.
async fn errors<R: Remote>(desk: &Desk<R>, app: App<'_>, namespace: &str) -> Option<Share> {
    for part in parts(app, namespace) {
        let (failed, all) = (part.query(",status=~\"5..\""), part.query(""));
        let (failed, all) = tokio::join!(desk.remote.number(&failed), desk.remote.number(&all));
        // Without series of its own the next one is asked for; without a request nothing is known, and without a failed
        // one nothing failed.
        let Some(all) = all else { continue };
        return (all > 0.0).then(|| Share {
            of: part.said,
            own: part.own,
            failed: failed.unwrap_or(0.0) / all,
        });
    }
    None
}

/// Requests that ingress-nginx counts, by labels.
struct Part {
    /// What they are called.
    said: String,
    /// Whether they are the Application's alone.
    own: bool,
    /// The matchers of both spellings, without braces.
    matchers: [String; 2],
}

impl Part {
    /// Returns the requests a second over a minute.
    fn query(&self, more: &str) -> String {
        let [renamed, plain] = self
            .matchers
            .each_ref()
            .map(|matchers| format!("rate(nginx_ingress_controller_requests{{{matchers}{more}}}[1m])"));
        format!("sum({renamed} or {plain})")
    }
}

/// The parts to ask for, the narrowest first: its ingresses, its services, its namespace.
///
/// A scrape that does not honour labels renames `namespace` and `service`, which are the controller's then; `ingress`
/// keeps its name (contracts 4.4).
fn parts(app: App<'_>, namespace: &str) -> Vec<Part> {
    let plain = |name: &str| name.replace(['"', '\\'], "");
    let home = plain(namespace);
    let (exported, own) =
        (format!("exported_namespace=\"{home}\""), format!("exported_namespace=\"\",namespace=\"{home}\""));
    let named = |kind: &str| -> Vec<String> {
        let of_kind = app.resources().iter().filter(|one| text(one, "/kind") == kind);
        of_kind
            .filter(|one| text(one, "/namespace") == namespace)
            .map(|one| plain(text(one, "/name")))
            .collect()
    };
    let mut parts = Vec::new();
    let ingresses = named("Ingress");
    if !ingresses.is_empty() {
        let names = ingresses.join("|");
        parts.push(Part {
            said: format!("ingress {}", listed(&ingresses)),
            own: true,
            matchers: [format!("ingress=~\"{names}\",{exported}"), format!("ingress=~\"{names}\",{own}")],
        });
    }
    let services = named("Service");
    if !services.is_empty() {
        let names = services.join("|");
        parts.push(Part {
            said: format!("service {}", listed(&services)),
            own: true,
            matchers: [
                format!("ingress!=\"\",exported_service=~\"{names}\",{exported}"),
                format!("ingress!=\"\",exported_service=\"\",service=~\"{names}\",{own}"),
            ],
        });
    }
    parts.push(Part {
        said: format!("the whole namespace {home}"),
        own: false,
        matchers: [format!("ingress!=\"\",{exported}"), format!("ingress!=\"\",{own}")],
    });
    parts
}

/// Labels of alerts that name an object, and its kind.
const NAMING: [(&str, &str); 10] = [
    ("deployment", "Deployment"),
    ("statefulset", "StatefulSet"),
    ("daemonset", "DaemonSet"),
    ("ingress", "Ingress"),
    ("exported_service", "Service"),
    ("service", "Service"),
    ("horizontalpodautoscaler", "HorizontalPodAutoscaler"),
    ("persistentvolumeclaim", "PersistentVolumeClaim"),
    ("job_name", "Job"),
    ("cronjob", "CronJob"),
];

/// What makes pods, and in how many parts the name of a pod goes on after its own.
const MAKERS: [(&str, usize); 4] = [("Deployment", 2), ("StatefulSet", 1), ("DaemonSet", 1), ("Job", 1)];

impl Fired {
    fn read(alert: &Value, app: App<'_>) -> Self {
        let label =
            |name: &str| alert.pointer("/labels")?.get(name)?.as_str().filter(|text| !text.is_empty());
        let owns = |kind: &str, name: &str| {
            app.resources().iter().any(|one| text(one, "/kind") == kind && text(one, "/name") == name)
        };
        let pod = label("pod").or_else(|| label("exported_pod"));
        let made = |pod: &str| {
            app.resources().iter().find_map(|one| {
                let (_, parts) = MAKERS.iter().find(|(kind, _)| *kind == text(one, "/kind"))?;
                let rest = pod.strip_prefix(text(one, "/name"))?.strip_prefix('-')?;
                (rest.split('-').count() == *parts).then(|| text(one, "/name").to_owned())
            })
        };
        let named = NAMING.iter().find_map(|(name, kind)| label(name).filter(|name| owns(kind, name)));
        let about = named.map(ToOwned::to_owned).or_else(|| made(pod?));
        Self {
            name: one_line(text(alert, "/labels/alertname")).into_owned(),
            since: text(alert, "/startsAt").parse().ok(),
            about: about.map(|name| one_line(&name).into_owned()),
            pod: pod.map(ToOwned::to_owned),
            minor: matches!(label("severity"), Some("info" | "none")),
        }
    }
}

/// Names the alerts of the Application's own workloads that began after an action did: what is new is no good end,
/// however healthy everything else is.
///
/// An alert fires a while after its condition began: where the rule's condition held before already, or the pod that it
/// names is gone, it tells of what was before. Those that are only for information are told and hold nothing back.
pub(super) async fn began<R: Remote>(
    desk: &Desk<R>,
    app: App<'_>,
    at: &ObjectRef,
    seen: &Seen,
    begun: Timestamp,
) -> Vec<String> {
    let namespace = text(app.0, "/spec/destination/namespace");
    let fired = seen.alerts.iter().flatten().filter(|one| !one.minor);
    let new = fired.filter(|one| one.since.is_some_and(|since| since >= begun));
    let mut names = BTreeSet::new();
    for one in new.take(LOOKED_INTO) {
        let Some(about) = &one.about else { continue };
        let asked = async { tokio::join!(pending(desk, namespace, one), exists(desk, at, namespace, one)) };
        // Without an answer it is taken for what it looks like.
        let (held, there) = tokio::time::timeout(PATIENCE, asked).await.unwrap_or((None, true));
        if there && held.is_none_or(|held| held >= begun) {
            names.insert(format!("{} of {about}", one.name));
        }
    }
    names.into_iter().collect()
}

/// Asks since when the condition of an alert holds; `None` where Prometheus does not say.
async fn pending<R: Remote>(desk: &Desk<R>, namespace: &str, alert: &Fired) -> Option<Timestamp> {
    let plain = |text: &str| text.replace(['"', '\\'], "");
    let pod = alert.pod.as_deref().map_or_else(String::new, |pod| format!(",pod=\"{}\"", plain(pod)));
    let query = format!(
        "max(ALERTS_FOR_STATE{{alertname=\"{}\",namespace=\"{}\"{pod}}})",
        plain(&alert.name),
        plain(namespace)
    );
    let seconds = desk.remote.number(&query).await?;
    Timestamp::from_second(seconds as i64).ok()
}

/// Tells whether the pod that an alert names is still there; yes where it names none or nobody answers.
async fn exists<R: Remote>(desk: &Desk<R>, at: &ObjectRef, namespace: &str, alert: &Fired) -> bool {
    let Some(pod) = &alert.pod else { return true };
    let pod = ObjectRef {
        context: at.context.clone(),
        resource: Resource::new("", "pods"),
        namespace: Some(namespace.into()),
        name: pod.as_str().into(),
    };
    !matches!(desk.remote.look(&pod).await, Ok(None))
}

/// Compares what is seen with what was.
pub(super) fn compare(before: &Seen, now: &Seen) -> Verdict {
    let mut said = Vec::new();
    let mut trouble = None;
    if let Some(Share { of, own, failed }) = &now.errors {
        // Shares of different requests say nothing of one another.
        let was = before.errors.as_ref().filter(|was| was.of == *of).map(|was| was.failed);
        let from = was.map_or(String::new(), |was| format!("{} % -> ", human::percent(was * 100.0)));
        said.push(format!("error rate of {of} {from}{} %", human::percent(failed * 100.0)));
        trouble = match was {
            _ if *failed <= FINE => None,
            None => Some("users see errors"),
            Some(was) if *failed > was * WORSE && failed - was > FINE => {
                Some("users see more errors than before")
            }
            Some(was) if *own && was > FINE && *failed > was * BETTER => {
                Some("users see hardly fewer errors than before")
            }
            Some(_) => None,
        };
    }
    if let Some(alerts) = &now.alerts {
        let names = |alerts: &[Fired]| alerts.iter().map(|one| one.name.clone()).collect::<BTreeSet<_>>();
        let (are, were) = (names(alerts), names(before.alerts.as_deref().unwrap_or_default()));
        let new: Vec<String> = are.difference(&were).cloned().collect();
        let still: Vec<String> = are.intersection(&were).cloned().collect();
        let over = were.difference(&are).count();
        if are.is_empty() {
            said.push(if over > 0 { "its alerts are over" } else { "no alert fires" }.to_owned());
        }
        if !still.is_empty() {
            said.push(format!("still firing: {}", listed(&still)));
        }
        if !new.is_empty() {
            said.push(format!("firing since: {}", listed(&new)));
        }
    }
    Verdict { trouble, said: said.join("; ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(errors: Option<f64>, alerts: &[&str]) -> Seen {
        let fired = |name: &&str| Fired { name: (*name).to_owned(), ..Fired::default() };
        Seen {
            errors: errors.map(|failed| Share { of: "ingress checkout".to_owned(), own: true, failed }),
            alerts: Some(alerts.iter().map(fired).collect()),
        }
    }

    #[test]
    fn more_failed_requests_than_before_are_worse_and_few_are_fine() {
        let verdict = compare(&seen(Some(0.081), &["HighErrorRate"]), &seen(Some(0.004), &["HighErrorRate"]));
        assert_eq!(verdict.trouble, None);
        assert!(
            verdict.said.starts_with("error rate of ingress checkout 8")
                && verdict.said.contains("still firing: HighErrorRate")
        );
        let trouble = |was, is| compare(&seen(was, &[]), &seen(Some(is), &["HighErrorRate"])).trouble;
        assert_eq!(trouble(Some(0.02), 0.30), Some("users see more errors than before"));
        assert_eq!(trouble(Some(0.0), 0.009), None, "below a percent is fine");
        assert_eq!(trouble(None, 0.2), Some("users see errors"));
    }

    #[test]
    fn what_was_trouble_before_must_have_fallen_where_the_requests_are_its_own() {
        let trouble = |was, is| compare(&seen(Some(was), &[]), &seen(Some(is), &[])).trouble;
        assert_eq!(trouble(0.30, 0.28), Some("users see hardly fewer errors than before"));
        assert_eq!(trouble(0.30, 0.15), None);
        assert_eq!(trouble(0.009, 0.011), None, "it was no trouble");
        let shared = |failed| {
            let mut seen = seen(Some(failed), &[]);
            seen.errors.as_mut().unwrap().own = false;
            seen
        };
        assert_eq!(compare(&shared(0.30), &shared(0.28)).trouble, None, "it may be another's");
    }

    #[test]
    fn what_nobody_answers_is_not_said_and_shares_of_other_requests_are_not_compared() {
        let verdict = compare(&Seen::default(), &Seen::default());
        assert_eq!(verdict, Verdict { trouble: None, said: String::new() });
        assert_eq!(compare(&seen(None, &["A"]), &seen(None, &[])).said, "its alerts are over");
        let mut namespace = seen(Some(0.5), &[]);
        namespace.errors.as_mut().unwrap().of = "the whole namespace shop".to_owned();
        let verdict = compare(&namespace, &seen(Some(0.002), &[]));
        assert!(verdict.said.starts_with("error rate of ingress checkout 0.2 %"), "{}", verdict.said);
    }

    fn application() -> Value {
        let managed = |kind: &str, name: &str| json!({ "kind": kind, "namespace": "shop", "name": name });
        json!({ "status": { "resources": [
            managed("Deployment", "checkout"), managed("StatefulSet", "cache"), managed("Service", "checkout"),
            managed("Ingress", "checkout"),
        ] } })
    }

    #[test]
    fn the_requests_are_those_of_its_own_ingresses_then_services_then_of_the_namespace() {
        let app = application();
        let parts = parts(App(&app), "shop");
        let said: Vec<&str> = parts.iter().map(|part| part.said.as_str()).collect();
        assert_eq!(said, ["ingress checkout", "service checkout", "the whole namespace shop"]);
        assert_eq!(
            parts[0].query(",status=~\"5..\""),
            "sum(rate(nginx_ingress_controller_requests{ingress=~\"checkout\",exported_namespace=\"shop\",status=~\"5..\"}[1m]) or \
             rate(nginx_ingress_controller_requests{ingress=~\"checkout\",exported_namespace=\"\",namespace=\"shop\",status=~\"5..\"}[1m]))"
        );
        let bare = json!({});
        assert_eq!(super::parts(App(&bare), "shop").len(), 1);
    }

    #[test]
    fn an_alert_is_about_what_its_labels_name_or_what_made_its_pod() {
        let app = application();
        let about = |labels: Value| Fired::read(&json!({ "labels": labels }), App(&app)).about;
        let of = |name: &str| Some(name.to_owned());
        assert_eq!(about(json!({ "deployment": "checkout" })), of("checkout"));
        assert_eq!(about(json!({ "pod": "checkout-5d8f7c9b4-2xk4l" })), of("checkout"));
        assert_eq!(about(json!({ "pod": "cache-0" })), of("cache"));
        assert_eq!(about(json!({ "pod": "checkout-worker-5d8f7c9b4-2xk4l" })), None);
        assert_eq!(about(json!({ "deployment": "payments" })), None);
        // Out of sync is what a rollback leaves, and no trouble of its workloads.
        assert_eq!(about(json!({ "alertname": "ArgoAppNotSynced", "name": "checkout" })), None);
    }
}
