//! The lists of what the systems beside Kubernetes say (alerts, silences, rules), kept like those of the API server:
//! asked for again and again, each answer swapped in whole.
//!
//! It sends mail like `follow` and touches nothing else. A system that does not answer while another does is told
//! as what the list does not show.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio_util::task::AbortOnDropHandle;

use serde_json::{Value, json};

use super::backoff::Backoff;
use super::endpoint::Endpoint;
use super::{SourceError, Systems};
use crate::gate::Permit;
use crate::identity::{ObjectRef, Resource};
use crate::kinds::{Garbled, Object, alerts};
use crate::signals::{Alarm, Alert, Answer, Raised, Rule, Told, Wanted, join, watchdog_is_silent};
use crate::signals::{AlertState, Labels, Origin, Severity, System};
use crate::store::{Envelope, Hidden, Query, Update};

/// How often the lists are asked for: a person waits for an alert to come or go.
const EVERY: Duration = Duration::from_secs(10);

/// How long the other alerts wait for the alarms of CloudWatch: those of the last time are shown instead.
const CLOUD: Duration = Duration::from_secs(3);

/// How long the alerts of one system wait for those of the other. One that hangs takes half a minute to fail, and
/// what fires must not stand still meanwhile.
const LATE: Duration = Duration::from_secs(5);

/// How many objects one piece of mail holds.
const PIECE: usize = 500;

/// A whole list, and what it lacks.
struct List {
    objects: Vec<Arc<Object>>,
    garbled: u64,
    silent: Vec<SourceError>,
}

/// A question that is asked again and again: its last answer, and the asking where that takes its time.
#[derive(Default)]
struct Asking {
    task: Option<AbortOnDropHandle<Result<Told, SourceError>>>,
    last: Option<Result<Told, SourceError>>,
}

impl Asking {
    /// Asks, or goes on waiting for what was asked before. Dropped before its end it goes on at the next call.
    async fn ask(&mut self, systems: &Systems, wanted: Wanted) {
        let task = self.task.get_or_insert_with(|| {
            let systems = systems.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { systems.answer(&wanted).await }))
        });
        let answer = task.await.unwrap_or_else(|error| {
            let reason = format!("asking ended: {error}");
            Err(SourceError::Garbled { what: "alerts".to_owned(), reason })
        });
        self.task = None;
        self.last = Some(answer);
    }

    /// Returns the answer that counts, and why it is not the one of now where that is so.
    fn told(&self, who: System) -> (Option<Told>, Option<SourceError>) {
        let late = self.task.is_some().then(|| SourceError::Unreachable {
            what: who.name().to_owned(),
            place: "its address".to_owned(),
            reason: format!("no answer within {} s", LATE.as_secs()),
        });
        match &self.last {
            Some(Ok(told)) => (Some(told.clone()), late),
            Some(Err(error)) => (None, Some(error.clone())),
            None => (None, late),
        }
    }
}

/// What the list of alerts is put together from.
#[derive(Default)]
struct Alerting {
    heard: Asking,
    said: Asking,
}

impl Systems {
    /// Keeps one of the lists of [`alerts::GROUP`] until the receiver of its mail is gone.
    pub async fn follow(&self, query: Query, epoch: u64, mail: Sender<Envelope>) {
        let connection = self.connection().clone();
        let mut backoff = Backoff::new(connection.waits().first, connection.waits().longest);
        let mut alerting = Alerting::default();
        let send = async |update: Update| {
            let at = connection.now();
            mail.send(Envelope { query: query.clone(), epoch, part: None, at, update }).await.is_ok()
        };
        loop {
            let list = match &*query.resource.plural {
                "alerts" => self.alert_list(&mut alerting).await,
                "silences" => self.silence_list().await,
                _ => self.rule_list().await,
            };
            let wait = match list {
                Ok(list) => {
                    backoff.reset();
                    for update in updates(&query.resource, list) {
                        if !send(update).await {
                            return;
                        }
                    }
                    EVERY
                }
                Err(error) => {
                    // What a person must change first (install, permit) is asked for less often.
                    let wait = match &error {
                        SourceError::Missing { .. } | SourceError::Denied { .. } => {
                            connection.waits().patient
                        }
                        SourceError::Throttled { until: Some(until), .. } => {
                            let wait = until.duration_since(connection.now());
                            let wait = Duration::try_from(wait).unwrap_or_default();
                            // A server may ask for minutes; a wrong clock must not make it hours.
                            wait.clamp(Duration::from_secs(1), connection.waits().look_again.max(EVERY))
                        }
                        _ => backoff.next_wait(),
                    };
                    let retry_at = connection.now().checked_add(wait).ok();
                    if !send(Update::Failed { error, retry_at }).await {
                        return;
                    }
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = mail.closed() => return,
            }
        }
    }

    /// Lists whole alerts or silences as Alertmanager writes them, with `metadata` and `places` beside.
    pub async fn signal_documents(&self, resource: &Resource) -> Result<Vec<Value>, SourceError> {
        super::alertmanager::documents(&self.all(System::Alertmanager).await?, &resource.plural).await
    }

    /// Says which Alertmanagers do not answer while others do, each in a sentence: what only they have is not listed.
    pub async fn unanswered(&self) -> Vec<String> {
        let Ok(endpoints) = self.all(System::Alertmanager).await else { return Vec::new() };
        super::alertmanager::unanswered(&endpoints).await.iter().map(ToString::to_string).collect()
    }

    /// Reads one alert or silence fresh; `None` where it is over, or was never there.
    pub async fn signal_document(&self, object: &ObjectRef) -> Result<Option<Value>, SourceError> {
        let endpoints = self.all(System::Alertmanager).await?;
        if &*object.name == alerts::NEW {
            // A silence that is still to be made, at every Alertmanager.
            let places: Vec<&str> = endpoints.iter().map(|one| &*one.place).collect();
            return Ok(Some(
                json!({ "metadata": { "name": alerts::NEW, "uid": alerts::NEW }, "places": places }),
            ));
        }
        let all = super::alertmanager::documents(&endpoints, &object.resource.plural).await?;
        let is_it =
            |one: &Value| one.pointer("/metadata/name").and_then(Value::as_str) == Some(&*object.name);
        Ok(all.into_iter().find(is_it))
    }

    /// Returns what happened to an alarm, the latest first, or in its place why that is not known.
    pub async fn alarm_history(&self, name: &str) -> Value {
        let asked = match self.cloud() {
            Ok(cloud) => cloud.history(name).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(events) => events.iter().map(crate::kinds::alarms::event_document).collect(),
            Err(error) => json!(error.to_string()),
        }
    }

    /// Posts a silence, once, and returns its id.
    pub async fn put_silence(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        place: &str,
        body: &Value,
    ) -> Result<String, SourceError> {
        let endpoint = self.alertmanager_at(permit, object, place).await?;
        super::alertmanager::post_silence(&endpoint, body).await
    }

    /// Expires a silence.
    pub async fn expire_silence(
        &self,
        permit: &Permit,
        silence: &ObjectRef,
        place: &str,
    ) -> Result<(), SourceError> {
        let endpoint = self.alertmanager_at(permit, silence, place).await?;
        super::alertmanager::delete_silence(&endpoint, &silence.name).await
    }

    async fn alertmanager_at(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        place: &str,
    ) -> Result<Endpoint, SourceError> {
        let what = || format!("a silence at {place}");
        if !permit.covers(object) {
            let reason = "the permit is for another object".to_owned();
            return Err(SourceError::Invalid { what: what(), reason });
        }
        let all = self.all(System::Alertmanager).await?;
        all.into_iter().find(|one| *one.place == *place).ok_or_else(|| SourceError::Missing {
            what: what(),
            reason: "this Alertmanager does not answer any more".to_owned(),
        })
    }

    async fn alert_list(&self, alerting: &mut Alerting) -> Result<List, SourceError> {
        let alarms = async {
            match self.cloud() {
                Ok(cloud) => cloud.recent_alarms(CLOUD).await,
                Err(error) => (None, Some(error)),
            }
        };
        let Alerting { heard, said } = alerting;
        let both = async {
            let both = async { tokio::join!(heard.ask(self, Wanted::Alerts), said.ask(self, Wanted::Rules)) };
            let in_time = tokio::time::timeout(LATE, both).await.is_ok();
            if !in_time && heard.last.is_none() && said.last.is_none() {
                // Nobody has said anything yet: whoever is first.
                tokio::select! {
                    () = heard.ask(self, Wanted::Alerts) => {}
                    () = said.ask(self, Wanted::Rules) => {}
                }
            }
        };
        let ((), (alarms, cloud)) = tokio::join!(both, alarms);
        let (heard, no_alerts) = heard.told(System::Alertmanager);
        let (said, no_rules) = said.told(System::Prometheus);
        let mut list = List { objects: Vec::new(), garbled: 0, silent: Vec::new() };
        let mut heard_alerts: Vec<Arc<Alert>> = Vec::new();
        let mut rules: Vec<Arc<Rule>> = Vec::new();
        let mut answered = 0;
        let mut alarmed: Vec<Arc<Alarm>> = Vec::new();
        let mut failed: Vec<SourceError> = [no_alerts, no_rules].into_iter().flatten().collect();
        for told in [heard, said, alarms].into_iter().flatten() {
            answered += 1;
            list.garbled += told.garbled;
            list.silent.extend(told.silent);
            match told.answer {
                Answer::Alerts(some) => heard_alerts = some,
                Answer::Rules(some) => rules = some,
                Answer::Alarms(some) => alarmed = some,
                _ => {}
            }
        }
        if answered == 0 {
            return Err(failed.into_iter().chain(cloud).next().unwrap_or_else(|| SourceError::Missing {
                what: "alerts".to_owned(),
                reason: "nobody was asked".to_owned(),
            }));
        }
        // One that is not installed hides nothing.
        failed.retain(|error| !matches!(error, SourceError::Missing { .. }));
        let mut raised = join(&heard_alerts, &rules, &alarmed);
        if failed.is_empty() && !heard_alerts.is_empty() && watchdog_is_silent(&heard_alerts, &rules) {
            raised.push(silent_watchdog());
        }
        list.silent.extend(failed);
        list.silent.extend(cloud.filter(|error| !matches!(error, SourceError::Missing { .. })));
        list.objects = raised.into_iter().map(|one| Arc::new(alerts::alert_object(one))).collect();
        Ok(list)
    }

    async fn silence_list(&self) -> Result<List, SourceError> {
        let told = self.answer(&Wanted::Silences).await?;
        Ok(list_of(told, |answer| match answer {
            Answer::Silences(all) => all.into_iter().map(alerts::silence_object).collect(),
            _ => Vec::new(),
        }))
    }

    async fn rule_list(&self) -> Result<List, SourceError> {
        let told = self.answer(&Wanted::Rules).await?;
        Ok(list_of(told, |answer| match answer {
            Answer::Rules(all) => {
                let mut seen: HashMap<_, usize> = HashMap::new();
                all.into_iter()
                    .map(|rule| {
                        let number = seen.entry((rule.group.clone(), rule.name.clone())).or_default();
                        *number += 1;
                        alerts::rule_object(rule, *number)
                    })
                    .collect()
            }
            _ => Vec::new(),
        }))
    }
}

fn list_of(told: Told, objects: impl FnOnce(Answer) -> Vec<Object>) -> List {
    let Told { answer, garbled, silent, .. } = told;
    List { objects: objects(answer).into_iter().map(Arc::new).collect(), garbled, silent }
}

/// Says that the alert that always fires does not arrive: others may not, either.
fn silent_watchdog() -> Raised {
    let labels: Labels = [("alertname", "WatchdogSilent"), ("severity", "warning")]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let summary = "Watchdog fires in Prometheus and is not in Alertmanager: alerts may not get through";
    Raised {
        alert: Alert {
            fingerprint: "watchdog-silent".into(),
            name: "WatchdogSilent".into(),
            labels,
            annotations: [("summary".into(), summary.into())].into_iter().collect(),
            severity: Severity::Warning,
            state: AlertState::Firing,
            since: None,
            updated: None,
            value: None,
            receivers: Vec::new(),
            silenced_by: Vec::new(),
            inhibited_by: Vec::new(),
            muted_by: Vec::new(),
            generator: "".into(),
            origins: vec![Origin::Prometheus, Origin::Alertmanager],
            places: Vec::new(),
        },
        rule: None,
        alarm: None,
    }
}

/// Writes a whole list as mail: what it lacks, its pieces, its end.
fn updates(resource: &Resource, list: List) -> Vec<Update> {
    let hidden = list.silent.into_iter().map(|error| Hidden { namespace: None, error }).collect();
    let mut updates = vec![Update::Split { parts: Vec::new(), hidden }, Update::ListStarted];
    let mut garbled: Vec<Garbled> = (0..list.garbled)
        .map(|number| Garbled {
            resource: resource.clone(),
            name: format!("number {}", number + 1),
            reason: "it could not be understood".to_owned(),
        })
        .collect();
    let mut objects = list.objects;
    loop {
        let rest = objects.split_off(objects.len().min(PIECE));
        updates.push(Update::Page { objects, garbled: std::mem::take(&mut garbled), remaining: None });
        if rest.is_empty() {
            break;
        }
        objects = rest;
    }
    updates.push(Update::ListDone);
    // The answer is as good as a watch that was just opened.
    updates.push(Update::Alive);
    updates
}
