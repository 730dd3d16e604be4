//! Alertmanager: alerts and silences of one or several (contracts 4.1).
//!
//! Only asks; a silence is made, extended and expired by its action, through the gate. One Alertmanager that does
//! not answer costs its own alerts, and that is said beside the others'.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use http::{HeaderValue, Method};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::SourceError;
use super::endpoint::Endpoint;
use super::percent::escape;
use super::prometheus::labels;
use crate::identity::Text;
use crate::signals::{
    Alert, AlertState, Answer, Labels, Matcher, Origin, Severity, Silence, SilenceState, Told,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneAlert {
    fingerprint: String,
    #[serde(deserialize_with = "labels")]
    labels: Labels,
    #[serde(default, deserialize_with = "labels")]
    annotations: Labels,
    #[serde(default)]
    starts_at: Option<Timestamp>,
    #[serde(default)]
    updated_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
    #[serde(default)]
    receivers: Vec<Receiver>,
    status: AlertStatus,
}

#[derive(Deserialize)]
struct Receiver {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertStatus {
    state: String,
    #[serde(default)]
    silenced_by: Option<Vec<String>>,
    #[serde(default)]
    inhibited_by: Option<Vec<String>>,
    #[serde(default)]
    muted_by: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneSilence {
    id: String,
    status: SilenceStatus,
    matchers: Vec<OneMatcher>,
    #[serde(default)]
    starts_at: Option<Timestamp>,
    #[serde(default)]
    ends_at: Option<Timestamp>,
    #[serde(default)]
    updated_at: Option<Timestamp>,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
struct SilenceStatus {
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneMatcher {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    /// Absent means true: it came with 0.22.
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

/// Asks every Alertmanager for its alerts; the same alert of two is one.
pub async fn alerts(endpoints: &[Endpoint]) -> Result<Told, SourceError> {
    let (lists, mut told) = gather(endpoints, "/api/v2/alerts").await?;
    let lists = lists.into_iter().map(|(endpoint, values)| (endpoint.place, values));
    let (alerts, garbled) = read_alerts(lists);
    told.garbled += garbled;
    told.answer = Answer::Alerts(alerts.into_iter().map(Arc::new).collect());
    Ok(told)
}

/// Reads the lists of several places; returns the alerts, each once, and how many could not be understood.
fn read_alerts(lists: impl Iterator<Item = (Text, Vec<Value>)>) -> (Vec<Alert>, u64) {
    let mut alerts: Vec<Alert> = Vec::new();
    let mut known: HashMap<Text, Vec<usize>> = HashMap::new();
    let mut garbled = 0;
    for (place, values) in lists {
        for value in values {
            let Ok(one) = serde_json::from_value::<OneAlert>(value) else {
                garbled += 1;
                continue;
            };
            let one = alert(&place, one);
            let same = known.entry(one.fingerprint.clone()).or_default();
            if let Some(at) = same.iter().find(|at| alerts[**at].labels == one.labels) {
                join(&mut alerts[*at], one);
            } else {
                same.push(alerts.len());
                alerts.push(one);
            }
        }
    }
    (alerts, garbled)
}

/// Asks every Alertmanager for its silences.
pub async fn silences(endpoints: &[Endpoint]) -> Result<Told, SourceError> {
    let mut told = gather(endpoints, "/api/v2/silences").await?;
    let mut silences: Vec<Arc<Silence>> = Vec::new();
    for (endpoint, values) in told.0 {
        for value in values {
            match serde_json::from_value::<OneSilence>(value) {
                Ok(one) => {
                    // Replicas that gossip have the same silence under the same id.
                    if !silences.iter().any(|other| *other.id == *one.id) {
                        silences.push(Arc::new(silence(&endpoint, one)));
                    }
                }
                Err(_) => told.1.garbled += 1,
            }
        }
    }
    told.1.answer = Answer::Silences(silences);
    Ok(told.1)
}

/// Asks all of them for a list, and fails only where none answers.
async fn gather(
    endpoints: &[Endpoint],
    path: &str,
) -> Result<(Vec<(Endpoint, Vec<Value>)>, Told), SourceError> {
    let asked = endpoints.iter().map(|endpoint| async move {
        let body = endpoint.get(path, &[]).await?;
        let values: Vec<Value> = serde_json::from_slice(&body)
            .map_err(|error| endpoint.garbled(&format!("{path} is not a list: {error}")))?;
        Ok((endpoint.clone(), values))
    });
    let mut told = Told::plain(Answer::Alerts(Vec::new()));
    let mut lists = Vec::new();
    for answer in join_all(asked).await {
        match answer {
            Ok(list) => lists.push(list),
            Err(error) => told.silent.push(error),
        }
    }
    match (lists.is_empty(), told.silent.pop()) {
        (true, Some(error)) => Err(error),
        (_, popped) => {
            told.silent.extend(popped);
            Ok((lists, told))
        }
    }
}

/// Asks every Alertmanager for its alerts or silences as they are, each once, with who it is and who has it.
pub(super) async fn documents(endpoints: &[Endpoint], plural: &str) -> Result<Vec<Value>, SourceError> {
    let (path, id) =
        if plural == "silences" { ("/api/v2/silences", "id") } else { ("/api/v2/alerts", "fingerprint") };
    let (lists, _) = gather(endpoints, path).await?;
    let mut all: Vec<Value> = Vec::new();
    for (endpoint, values) in lists {
        for mut value in values {
            let Some(name) = value.get(id).and_then(Value::as_str).map(ToOwned::to_owned) else { continue };
            let known = all.iter_mut().find(|one| one.get(id).and_then(Value::as_str) == Some(name.as_str()));
            if let Some(places) = known.and_then(|one| one.get_mut("places")).and_then(Value::as_array_mut) {
                places.push(json!(&*endpoint.place));
                continue;
            }
            let version = value.get("updatedAt").cloned().unwrap_or_default();
            value["metadata"] = json!({ "name": name, "uid": name, "resourceVersion": version });
            value["places"] = json!([&*endpoint.place]);
            all.push(value);
        }
    }
    Ok(all)
}

/// Says which of them do not answer for their alerts, and why; nothing where none does, which is an error of its own.
pub(super) async fn unanswered(endpoints: &[Endpoint]) -> Vec<SourceError> {
    gather(endpoints, "/api/v2/alerts").await.map_or_else(|_| Vec::new(), |(_, told)| told.silent)
}

/// Posts a silence, once.
pub(super) async fn post_silence(endpoint: &Endpoint, body: &Value) -> Result<String, SourceError> {
    let kind = HeaderValue::from_static("application/json");
    let sent =
        endpoint.send(Method::POST, "/api/v2/silences", "", Some((kind, body.to_string().into_bytes())));
    let answer: Value = serde_json::from_slice(&sent.await?)
        .map_err(|_| endpoint.garbled("the answer to a silence is not JSON"))?;
    let id = answer.get("silenceID").and_then(Value::as_str);
    id.map(ToOwned::to_owned).ok_or_else(|| endpoint.garbled("the answer to a silence has no id"))
}

/// Expires a silence; the path is in the singular (contracts 4.1).
pub(super) async fn delete_silence(endpoint: &Endpoint, id: &str) -> Result<(), SourceError> {
    let path = format!("/api/v2/silence/{}", escape(id));
    endpoint.send(Method::DELETE, &path, "", None).await.map(|_| ())
}

fn alert(place: &Text, one: OneAlert) -> Alert {
    let state = match one.status.state.as_str() {
        // Not yet through the pipeline: it fires all the same.
        "active" | "unprocessed" => AlertState::Firing,
        "suppressed" => AlertState::Suppressed,
        _ => AlertState::Unknown,
    };
    let words = |list: Option<Vec<String>>| -> Vec<Text> {
        list.unwrap_or_default().iter().map(|word| crate::text::one_line(word).into()).collect()
    };
    Alert {
        fingerprint: crate::text::one_line(&one.fingerprint).into(),
        name: one.labels.get("alertname").unwrap_or("(no name)").into(),
        severity: Severity::read(one.labels.get("severity")),
        labels: one.labels,
        annotations: one.annotations,
        state,
        since: one.starts_at,
        updated: one.updated_at,
        value: None,
        receivers: one
            .receivers
            .iter()
            .map(|receiver| crate::text::one_line(&receiver.name).into())
            .collect(),
        silenced_by: words(one.status.silenced_by),
        inhibited_by: words(one.status.inhibited_by),
        muted_by: words(one.status.muted_by),
        generator: crate::text::one_line(&one.generator_url).into(),
        origins: vec![Origin::Alertmanager],
        places: vec![place.clone()],
    }
}

/// Joins what two Alertmanagers say of one alert: it is quiet only where both keep it quiet.
fn join(one: &mut Alert, other: Alert) {
    one.state = one.state.min(other.state);
    one.since = match (one.since, other.since) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    for (all, more) in [
        (&mut one.receivers, other.receivers),
        (&mut one.silenced_by, other.silenced_by),
        (&mut one.inhibited_by, other.inhibited_by),
        (&mut one.muted_by, other.muted_by),
        (&mut one.places, other.places),
    ] {
        for word in more {
            if !all.contains(&word) {
                all.push(word);
            }
        }
    }
}

fn silence(endpoint: &Endpoint, one: OneSilence) -> Silence {
    let state = match one.status.state.as_str() {
        "active" => SilenceState::Active,
        "pending" => SilenceState::Pending,
        "expired" => SilenceState::Expired,
        _ => SilenceState::Unknown,
    };
    let matchers = one
        .matchers
        .iter()
        .map(|matcher| Matcher {
            name: crate::text::one_line(&matcher.name).into(),
            value: crate::text::clean(&matcher.value).into(),
            regex: matcher.is_regex,
            equal: matcher.is_equal,
        })
        .collect();
    Silence {
        id: crate::text::one_line(&one.id).into(),
        state,
        matchers,
        starts: one.starts_at,
        ends: one.ends_at,
        created_by: crate::text::one_line(&one.created_by).into(),
        comment: crate::text::clean(&one.comment).into(),
        updated: one.updated_at,
        place: endpoint.place.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: Value) -> (Vec<Alert>, u64) {
        let list = (Text::from("a"), values.as_array().unwrap().clone());
        read_alerts(std::iter::once(list))
    }

    #[test]
    fn what_is_no_alert_is_counted_and_costs_itself_alone() {
        let whole =
            json!({"labels": {"alertname": "Down"}, "fingerprint": "1", "status": {"state": "active"}});
        let (alerts, garbled) = read(json!([
            whole,
            {"labels": {"alertname": 3}, "fingerprint": "2", "status": {"state": "active"}},
            {"labels": {}, "fingerprint": "3"},
            {"labels": {"alertname": "x"}, "fingerprint": "4", "startsAt": "soon", "status": {"state": "active"}},
            "an alert", null, [], 7,
        ]));
        assert_eq!((alerts.len(), garbled), (1, 7));
        assert_eq!(&*alerts[0].name, "Down");
    }

    #[test]
    fn unknown_states_and_odd_letters_are_kept_as_what_they_are() {
        let (alerts, garbled) = read(json!([
            {"labels": {"alertname": "Odd", "a\u{1b}[31mb": "x\u{202e}y", "\u{65e5}": "\u{0}"}, "fingerprint": "1",
                "startsAt": "2126-01-01T00:00:00Z", "status": {"state": "dreaming", "silencedBy": null}},
            {"labels": {"severity": "apocalyptic"}, "fingerprint": "2", "status": {"state": "unprocessed"}},
        ]));
        assert_eq!(garbled, 0);
        assert_eq!((alerts[0].state, alerts[1].state), (AlertState::Unknown, AlertState::Firing));
        assert_eq!((&*alerts[1].name, alerts[1].severity), ("(no name)", Severity::Other));
        for (name, value) in alerts[0].labels.iter() {
            assert!(
                !name.chars().chain(value.chars()).any(|c| c.is_control() || c == '\u{202e}'),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn five_thousand_alerts_of_two_replicas_are_each_one() {
        let one = |number: usize| {
            json!({"labels": {"alertname": "Down", "n": number.to_string()}, "fingerprint": format!("{number:x}"),
                "status": {"state": if number.is_multiple_of(2) { "active" } else { "suppressed" }}})
        };
        let list = |place: &str| (Text::from(place), (0..5_000).map(one).collect::<Vec<_>>());
        let (alerts, garbled) = read_alerts([list("a"), list("b")].into_iter());
        assert_eq!((alerts.len(), garbled), (5_000, 0));
        assert!(alerts.iter().all(|alert| alert.places.len() == 2));
    }
}
