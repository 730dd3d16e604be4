//! Silences: made from an alert or from matchers, made longer, ended before their time.
//!
//! The plan shows which of the alerts that fire now would be hidden, whose they are, and refuses a silence that hides
//! too large a share of them. A silence has an end and a reason, always. Posting one twice would make two, so a write
//! whose answer was lost is looked for and never sent again (contracts 4.1).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, text};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, Verb};
use crate::human;
use crate::identity::{ObjectRef, Text};
use crate::kinds::alerts;
use crate::signals::{Labels, Matcher, Severity};
use crate::sources::SourceError;
use crate::sources::objects::Written;

pub(super) const ADD_STEPS: [&str; 2] = ["make the silence", "see the alerts kept quiet"];
pub(super) const CHANGE_STEPS: [&str; 2] = ["change the silence", "see it changed"];

/// How many alerts that would be hidden are named.
const NAMED: usize = 8;

/// From how many alerts on a share of them means anything.
const FEW: usize = 4;

/// How many alerts one silence may hide before the plan warns.
const WIDE: usize = 5;

/// The longest silence that is taken without a warning, in minutes.
const LONG: u32 = 24 * 60;

/// Says what a new silence would do.
pub(super) fn draft_add<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts = Vec::new();
    let now = desk.clock.now();
    let minutes = request.options.minutes.unwrap_or_default();
    let matchers = matchers(request, document);
    let written = match &matchers {
        Ok(matchers) => {
            let words: Vec<String> = matchers.iter().map(ToString::to_string).collect();
            words.join(" ")
        }
        Err(why) => {
            parts.push(Line::new(Mark::Stop, why.clone()).into());
            String::new()
        }
    };
    if minutes == 0 {
        parts.push(Line::new(Mark::Stop, "a silence needs an end: say for how long").into());
    } else {
        let until = ends(now, minutes).to_string();
        let span = human::span(i64::from(minutes) * 60);
        parts.push(
            Line::new(Mark::Change, format!("nobody is told of {written} for {span}, until {until}")).into(),
        );
    }
    if minutes > LONG {
        parts.push(Line::new(Mark::Warn, "it lasts longer than a day: somebody will forget it").into());
    }
    if let Ok(matchers) = matchers {
        let check = Check::new("which alerts it would hide", async move { preview(desk, &matchers).await });
        parts.push(check.into());
    }
    parts
        .push(Line::new(Mark::Note, "a reason must be given: it stands in the silence for everybody").into());
    parts.push(Line::new(Mark::After, "watched until Alertmanager keeps the alerts quiet").into());
    Draft {
        parts,
        facts: Vec::new(),
        command: format!("amtool silence add {written} --duration={minutes}m --comment=..."),
        hold: None,
    }
}

/// Says what making a silence longer, or ending it, would do.
pub(super) fn draft_change<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts = Vec::new();
    let id = &object.name;
    let state = text(document, "/status/state");
    let comment = format!("{} of {}", text(document, "/comment"), text(document, "/createdBy"));
    parts.push(
        Line::new(Mark::From, format!("{state} until {}: {comment}", text(document, "/endsAt"))).into(),
    );
    if state == "expired" {
        parts.push(Line::new(Mark::Stop, "it is over already: make a new one").into());
    }
    let command = if request.verb == Verb::ExtendSilence {
        let minutes = request.options.minutes.unwrap_or_default();
        match extended(document, minutes) {
            Some(end) if minutes > 0 => {
                let span = human::span(i64::from(minutes) * 60);
                parts.push(Line::new(Mark::Change, format!("it ends {span} later, at {end}")).into());
            }
            _ => parts.push(Line::new(Mark::Stop, "say by how long").into()),
        }
        format!("amtool silence update --duration={minutes}m {id}")
    } else {
        parts.push(
            Line::new(Mark::Change, "it ends now: alerts that still fire are told to their receivers").into(),
        );
        let matchers = wire_matchers(document);
        let check = Check::new("which alerts it hides", async move { preview(desk, &matchers).await });
        parts.push(check.into());
        format!("amtool silence expire {id}")
    };
    parts.push(Line::new(Mark::After, "read back from Alertmanager").into());
    Draft {
        parts,
        facts: vec![("/status/state", "whether it is active"), ("/endsAt", "its end")],
        command,
        hold: None,
    }
}

/// Says which of the alerts that fire now match, whose they are, and whether they are too many.
async fn preview<R: Remote>(desk: &Desk<R>, matchers: &[Matcher]) -> Vec<Line> {
    let all = match desk.remote.list(&alerts::alerts(), None, "", "").await {
        Ok(all) => all,
        Err(error) => {
            return vec![Line::new(Mark::Stop, format!("which alerts it would hide is not known: {error}"))];
        }
    };
    let gaps = desk.remote.unanswered().await;
    let firing: Vec<&Value> = all.iter().filter(|alert| fires(alert)).collect();
    let hit: Vec<&&Value> = firing
        .iter()
        .filter(|alert| {
            let labels = labels_of(alert);
            matchers.iter().all(|matcher| matcher.matches(&labels))
        })
        .collect();
    let gap =
        |why: &String| Line::new(Mark::Warn, format!("what this Alertmanager has is not counted: {why}"));
    let mut lines: Vec<Line> = gaps.iter().map(gap).collect();
    for alert in hit.iter().take(NAMED) {
        let labels = labels_of(alert);
        let place = alerts::namespace_of(&labels).map_or_else(String::new, |name| format!(" in {name}"));
        let since = text(alert, "/startsAt").parse::<Timestamp>().map_or_else(
            |_| String::new(),
            |since| format!(", firing for {}", human::age(desk.clock.now(), since)),
        );
        let name = labels.get("alertname").unwrap_or("(no name)");
        let severity = Severity::read(labels.get("severity")).word();
        lines.push(Line::new(Mark::Change, format!("hides {name} ({severity}){place}{since}")));
    }
    if hit.len() > NAMED {
        lines.push(Line::new(Mark::Change, format!("and {} more", hit.len() - NAMED)));
    }
    let mut namespaces: Vec<String> = hit
        .iter()
        .filter_map(|alert| alerts::namespace_of(&labels_of(alert)).map(ToOwned::to_owned))
        .collect();
    namespaces.sort();
    namespaces.dedup();
    let places = match namespaces.as_slice() {
        [] => String::new(),
        some => format!(", in {}", some.join(", ")),
    };
    let sum = format!("{} of {} alerts that fire now{places}", hit.len(), firing.len());
    let share = hit.len() * 100 / firing.len().max(1);
    let most = desk.silence_share as usize;
    if firing.len() >= FEW && share > most {
        let why = format!("it would hide {sum}: more than {most} %, the most that silence.max-share allows");
        lines.push(Line::new(Mark::Stop, why));
    } else if hit.len() > WIDE || namespaces.len() > 1 {
        lines.push(Line::new(Mark::Warn, format!("it is wide: {sum}")));
    } else {
        lines.push(Line::new(Mark::Ok, sum));
    }
    lines
}

fn fires(alert: &Value) -> bool {
    matches!(text(alert, "/status/state"), "active" | "unprocessed" | "suppressed")
}

/// Reads the labels of an alert's document.
fn labels_of(document: &Value) -> Labels {
    let fields = document.get("labels").and_then(Value::as_object);
    let pairs =
        fields.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    pairs.map(|(name, value)| (Text::from(name), Text::from(value))).collect()
}

/// Returns the matchers that were asked for, or those of the alert.
fn matchers(request: &Request, document: &Value) -> Result<Vec<Matcher>, String> {
    let asked = &request.options.matchers;
    let matchers = if asked.is_empty() {
        alerts::matchers_of(&labels_of(document))
    } else {
        asked
            .iter()
            .map(|text| Matcher::read(text))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?
    };
    if matchers.iter().all(Matcher::matches_empty) {
        return Err("it would match everything: name at least one label with a value".to_owned());
    }
    Ok(matchers)
}

/// Reads the matchers of a silence's document.
fn wire_matchers(document: &Value) -> Vec<Matcher> {
    let all = document.get("matchers").and_then(Value::as_array);
    let flag =
        |value: &Value, name: &str, default| value.get(name).and_then(Value::as_bool).unwrap_or(default);
    all.into_iter()
        .flatten()
        .map(|one| Matcher {
            name: text(one, "/name").into(),
            value: text(one, "/value").into(),
            regex: flag(one, "isRegex", false),
            equal: flag(one, "isEqual", true),
        })
        .collect()
}

/// Returns the Alertmanagers that an alert or silence is of.
fn places(document: &Value) -> Vec<String> {
    let all = document.get("places").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// Returns the Alertmanagers that are services, by namespace and name: they are reached through the API server.
pub(super) fn services(document: &Value) -> impl Iterator<Item = (String, String)> {
    places(document).into_iter().filter(|place| !place.contains("://")).filter_map(|place| {
        let (namespace, name) = place.split_once('/')?;
        Some((namespace.to_owned(), name.to_owned()))
    })
}

/// The end, to the second: nobody reads more, and Alertmanager keeps milliseconds only.
fn ends(now: Timestamp, minutes: u32) -> Timestamp {
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    second.saturating_add(SignedDuration::from_mins(i64::from(minutes))).unwrap_or(Timestamp::MAX)
}

fn extended(document: &Value, minutes: u32) -> Option<Timestamp> {
    Some(ends(text(document, "/endsAt").parse().ok()?, minutes))
}

/// The silence that is posted; its id is empty for a new one.
fn body(matchers: &[Matcher], times: (Timestamp, Timestamp), by: &str, comment: &str, id: &str) -> Value {
    let matchers: Vec<Value> = matchers
        .iter()
        .map(
            |one| json!({ "name": one.name, "value": one.value, "isRegex": one.regex, "isEqual": one.equal }),
        )
        .collect();
    json!({
        "matchers": matchers,
        "startsAt": times.0.to_string(),
        "endsAt": times.1.to_string(),
        "createdBy": by,
        "comment": comment,
        "id": id,
    })
}

/// Posts the silence to each Alertmanager that has the alert; what comes back holds the new ids.
pub(super) async fn write_add<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let now = work.desk.clock.now();
    let (permit, document) = work.permit().await?;
    let matchers = matchers(&work.plan.request, &document).map_err(Trouble::Refused)?;
    let minutes = work.plan.request.options.minutes.unwrap_or_default();
    let times = (now, ends(now, minutes));
    let reason = work.plan.request.reason.trim();
    let body = body(&matchers, times, &work.who.server, reason, "");
    let mut ids = Vec::new();
    for place in places(&document) {
        let sent = work.desk.remote.put_silence(&permit, work.object, &place, &body).await;
        match sent {
            Ok(id) => {
                work.sent();
                work.made(silence_named(work.object, &id));
                ids.push(id);
            }
            Err(error @ SourceError::Unreachable { .. }) => {
                // It may have arrived: it is looked for, and not sent again.
                work.sent();
                let id = find(work, &body).await.ok_or_else(|| {
                    Trouble::Failed(format!(
                        "whether it was made is not known; look at the silences: {error}"
                    ))
                })?;
                work.made(silence_named(work.object, &id));
                ids.push(id);
            }
            Err(error) => return Err(Trouble::Failed(error.to_string())),
        }
    }
    if ids.is_empty() {
        return Err(Trouble::Refused("no Alertmanager is known that it could be made at".to_owned()));
    }
    Ok(Written { object: json!({ "ids": ids, "endsAt": times.1.to_string() }), warnings: Vec::new() })
}

fn silence_named(like: &ObjectRef, id: &str) -> ObjectRef {
    ObjectRef { resource: alerts::silences(), namespace: None, name: id.into(), ..like.clone() }
}

async fn find<R: Remote>(work: &Work<'_, R>, body: &Value) -> Option<String> {
    let all = work.desk.remote.list(&alerts::silences(), None, "", "").await.ok()?;
    let same = |silence: &&Value| {
        ["/comment", "/createdBy"].iter().all(|field| text(silence, field) == text(body, field))
            && wire_matchers(silence) == wire_matchers(body)
            && text(silence, "/status/state") != "expired"
    };
    all.iter().find(same).map(|silence| text(silence, "/id").to_owned())
}

/// Watches until the alert that it was made for is kept quiet by it; without an alert, until it is active.
pub(super) async fn follow_add<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let ids: Vec<String> = stored.object["ids"]
        .as_array()
        .map(|ids| ids.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
        .unwrap_or_default();
    let until = text(&stored.object, "/endsAt").to_owned();
    work.done(0, format!("silence {}", ids.join(", ")));
    loop {
        // A replica may hear of a new silence a moment later.
        match work.desk.remote.list(&alerts::silences(), None, "", "").await {
            Ok(all) => {
                let active = all.iter().any(|silence| {
                    ids.iter().any(|id| id == text(silence, "/id"))
                        && text(silence, "/status/state") == "active"
                });
                if active && *work.object.resource.plural == *"silences" {
                    return work_verified(work, format!("the silence is active until {until}"));
                }
                if active {
                    match work.look().await {
                        Ok(None) => return work_verified(work, "the alert is over".to_owned()),
                        Ok(Some(alert)) => {
                            let by = alert.pointer("/status/silencedBy").and_then(Value::as_array);
                            let quiet = by
                                .into_iter()
                                .flatten()
                                .any(|by| by.as_str().is_some_and(|by| ids.iter().any(|id| id == by)));
                            if quiet {
                                return work_verified(work, format!("the alert is kept quiet until {until}"));
                            }
                            work.running(1, "the silence is active; the alert is not yet kept quiet");
                        }
                        Err(error) => work.running(1, error),
                    }
                } else {
                    work.running(1, "the silence is not active yet");
                }
            }
            Err(error) => work.running(1, error.to_string()),
        }
        work.pause().await;
    }
}

fn work_verified<R: Remote>(work: &mut Work<'_, R>, said: String) -> Outcome {
    work.done(1, said.clone());
    Outcome::Verified(said)
}

/// Posts the silence with its new end, or expires it.
pub(super) async fn write_change<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let (permit, document) = work.permit().await?;
    let place = places(&document).into_iter().next();
    let place = place.ok_or_else(|| Trouble::Refused("its Alertmanager is not known".to_owned()))?;
    let id = work.object.name.to_string();
    if work.plan.request.verb == Verb::ExpireSilence {
        // Ending what is over already changes nothing, so a lost answer costs nothing either.
        work.desk
            .remote
            .expire_silence(&permit, work.object, &place)
            .await
            .map_err(|error| Trouble::Failed(error.to_string()))?;
        work.sent();
        // Its end and what it matched are what is lost: an undo makes it again until then.
        let (object, now) = (work.object.clone(), work.desk.clock.now().to_string());
        let (patch, after) = (json!({ "endsAt": now, "matchers": null }), json!({ "endsAt": now }));
        work.changed(&object, &document, &patch, &after);
        return Ok(Written { object: json!({ "ids": [id] }), warnings: Vec::new() });
    }
    let minutes = work.plan.request.options.minutes.unwrap_or_default();
    let start = text(&document, "/startsAt").parse::<Timestamp>();
    let (Ok(start), Some(end)) = (start, extended(&document, minutes)) else {
        return Err(Trouble::Refused("its times cannot be read".to_owned()));
    };
    let body = body(
        &wire_matchers(&document),
        (start, end),
        text(&document, "/createdBy"),
        text(&document, "/comment"),
        &id,
    );
    let sent = work.desk.remote.put_silence(&permit, work.object, &place, &body).await;
    // The id may be a new one: then the old silence has been expired.
    let id = sent.map_err(|error| Trouble::Failed(error.to_string()))?;
    work.sent();
    Ok(Written { object: json!({ "ids": [id], "endsAt": end.to_string() }), warnings: Vec::new() })
}

/// Reads the silence back.
pub(super) async fn follow_change<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let id = text(&stored.object, "/ids/0").to_owned();
    work.done(0, format!("silence {id}"));
    let expires = work.plan.request.verb == Verb::ExpireSilence;
    let wanted = text(&stored.object, "/endsAt").parse::<Timestamp>().ok();
    let silence = ObjectRef { name: id.as_str().into(), ..work.object.clone() };
    loop {
        match work.desk.remote.look(&silence).await {
            Ok(Some(document)) => {
                let state = text(&document, "/status/state").to_owned();
                let end = text(&document, "/endsAt").parse::<Timestamp>().ok();
                if expires && state == "expired" {
                    return work_verified(work, "the silence is over".to_owned());
                }
                // Alertmanager keeps milliseconds.
                let same = end.zip(wanted).is_some_and(|(end, wanted)| end.as_second() == wanted.as_second());
                if !expires && state != "expired" && same {
                    let until = wanted.map(|end| end.to_string()).unwrap_or_default();
                    return work_verified(work, format!("the silence is {state} until {until}"));
                }
                work.running(1, format!("it is {state}"));
            }
            Ok(None) => work.running(1, "it is not there yet"),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}
