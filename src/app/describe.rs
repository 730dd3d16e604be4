//! The describe tab: what is known of an object, as lines.
//!
//! Fields are the columns of its kind, conditions come from the whole object once it is there, events and related
//! things from the store. Nothing here is worked out twice: cells and links are those of the kind.

mod alert;
mod record;

use serde_json::Value;

use crate::app::detail::{Detail, Document, Entry};
use crate::identity::Resource;
use crate::identity::Text;
use crate::kinds::cluster::Event;
use crate::kinds::{Cell, Health, Leads, Lens, Object};
use crate::model::disruption;
use crate::signals::Raised;
use crate::text::one_line;

/// How many events are shown.
const EVENTS: usize = 50;

/// Returns the lines of an object.
pub fn entries(detail: &Detail, lens: &Lens<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let found = lens.store.object(&detail.object);
    if let Some((object, raised)) = found.and_then(|object| Some((object, object.body::<Raised>()?))) {
        entries = alert::entries(object, raised, lens);
        alarm(object, &mut entries);
        labels(object, &mut entries);
    } else if let Some(entry) = found.and_then(|object| object.body::<crate::kinds::record::Entry>()) {
        return record::entries(entry);
    } else if let (Some(kind), Some(object)) = (lens.kinds.get(&detail.object.resource), found) {
        let (health, why) = kind.health(object, lens);
        for (at, column) in kind.columns.iter().enumerate() {
            let value = kind.cell(object, at, lens);
            if value == Cell::Empty || (&*column.id == "name") {
                continue;
            }
            entries.push(Entry::Field { name: column.title.to_lowercase(), value });
        }
        if !why.is_empty() && health >= Health::Progressing {
            let value = Cell::Status { text: why, health };
            entries.insert(0, Entry::Field { name: "health".to_owned(), value });
        }
        if disruption::concerns(&detail.object.resource) {
            disrupted(detail, lens, &mut entries);
        }
        labels(object, &mut entries);
    }
    if let Document::Ready(document) = &detail.document {
        history(document, lens, &mut entries);
        conditions(document, &mut entries);
    }
    if let (Some(kind), Some(object)) = (lens.kinds.get(&detail.object.resource), found) {
        related(&kind.links(object, lens), lens, &mut entries);
        events(object, lens, &mut entries);
    }
    entries
}

fn heading(entries: &mut Vec<Entry>, title: &str) {
    if !entries.is_empty() {
        entries.push(Entry::Gap);
    }
    entries.push(Entry::Heading(title.to_owned()));
}

/// How many letters stand beside the name of a field.
const SHORT: usize = 40;

/// How many events of an alarm are shown.
const HISTORY: usize = 30;

/// Shows what an alarm of CloudWatch watches, and why it stands as it does.
fn alarm(object: &Object, entries: &mut Vec<Entry>) {
    let Some(alarm) = object.body::<Raised>().and_then(|raised| raised.alarm.as_deref()) else { return };
    heading(entries, "Alarm");
    for (name, text) in crate::kinds::alarms::facts(alarm) {
        let text = one_line(&text).into_owned();
        // A long condition stands below its name, where it is broken into lines.
        if text.len() <= SHORT {
            entries.push(Entry::Field { name: name.to_owned(), value: Cell::Text(text.into()) });
        } else {
            entries.push(Entry::Field { name: name.to_owned(), value: Cell::Empty });
            entries.push(Entry::Words(text));
        }
    }
}

/// Shows what happened to an alarm, the latest first.
fn history(document: &Value, lens: &Lens<'_>, entries: &mut Vec<Entry>) {
    let Some(history) = document.get("history") else { return };
    heading(entries, "History");
    if let Some(why) = history.as_str() {
        entries.push(Entry::Words(one_line(why).into_owned()));
    }
    let all = history.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() && history.is_array() {
        entries.push(Entry::Words("nothing happened to it within two weeks".to_owned()));
    }
    for event in all.iter().take(HISTORY) {
        let text = |key: &str| event.get(key).and_then(Value::as_str).map(one_line).unwrap_or_default();
        let at = text("at").parse::<jiff::Timestamp>().ok();
        let when = at.map_or_else(|| "?".to_owned(), |at| format!("{} ago", crate::human::age(lens.now, at)));
        let summary = text("summary");
        let health = if summary.ends_with("to ALARM") {
            Health::Degraded
        } else if summary.ends_with("to OK") {
            Health::Healthy
        } else if summary.ends_with("to INSUFFICIENT_DATA") {
            Health::Unknown
        } else {
            Health::Idle
        };
        let value = Cell::Status { text: Text::from(&*summary), health };
        entries.push(Entry::Field { name: when, value });
        let reason = text("reason");
        if !reason.is_empty() {
            entries.push(Entry::Words(reason.into_owned()));
        }
    }
    let hidden = all.len().saturating_sub(HISTORY);
    if hidden > 0 {
        entries.push(Entry::Words(format!("and {hidden} before that")));
    }
}

fn labels(object: &Object, entries: &mut Vec<Entry>) {
    if object.meta.labels.is_empty() {
        return;
    }
    heading(entries, "Labels");
    for (key, value) in &object.meta.labels {
        entries.push(Entry::Field { name: key.to_string(), value: Cell::Text(value.clone()) });
    }
}

/// Why Karpenter does, or does not, take the node away.
fn disrupted(detail: &Detail, lens: &Lens<'_>, entries: &mut Vec<Entry>) {
    let findings = disruption::explain(lens, &detail.object);
    if findings.is_empty() {
        return;
    }
    heading(entries, "Why it is, or is not, disrupted");
    for finding in findings {
        entries.push(Entry::Field { name: finding.name, value: finding.value });
        entries.extend(finding.words.map(Entry::Words));
    }
}

/// A condition is good when it is `True`, except those that name a trouble.
fn health_of(kind: &str, status: &str) -> Health {
    let trouble = ["Pressure", "Unavailable", "Failure", "Error", "Degraded", "Disrupt", "Stalled"]
        .iter()
        .any(|word| kind.contains(word));
    match (status, trouble) {
        ("True", false) | ("False", true) => Health::Healthy,
        ("True", true) | ("False", false) => Health::Warning,
        _ => Health::Unknown,
    }
}

fn conditions(document: &Value, entries: &mut Vec<Entry>) {
    let Some(conditions) = document.pointer("/status/conditions").and_then(Value::as_array) else { return };
    if conditions.is_empty() {
        return;
    }
    heading(entries, "Conditions");
    for condition in conditions {
        let text = |key: &str| condition.get(key).and_then(Value::as_str).map(one_line).unwrap_or_default();
        let (kind, status) = (text("type"), text("status"));
        // Argo CD's conditions have no status: that one is there is the news.
        let value = if status.is_empty() {
            Cell::Status { text: Text::from("present"), health: Health::Warning }
        } else {
            Cell::Status { text: Text::from(&*status), health: health_of(&kind, &status) }
        };
        entries.push(Entry::Field { name: kind.into_owned(), value });
        let (reason, message) = (text("reason"), text("message"));
        let words = match (reason.is_empty(), message.is_empty()) {
            (true, true) => continue,
            (false, true) => reason.into_owned(),
            (true, false) => message.into_owned(),
            (false, false) => format!("{reason}: {message}"),
        };
        entries.push(Entry::Words(words));
    }
}

fn related(links: &[crate::kinds::Link], lens: &Lens<'_>, entries: &mut Vec<Entry>) {
    if links.is_empty() {
        return;
    }
    heading(entries, "Related");
    for link in links {
        let value = match &link.to {
            _ if !link.note.is_empty() => Cell::Text(link.note.clone()),
            Leads::One(to) => match (lens.kinds.get(&to.resource), lens.store.object(to)) {
                (Some(kind), Some(object)) => {
                    let (health, why) = kind.health(object, lens);
                    if why.is_empty() && health <= Health::Idle {
                        Cell::Empty
                    } else {
                        Cell::Status { text: why, health }
                    }
                }
                _ => Cell::Empty,
            },
            Leads::Many { .. } => Cell::Empty,
        };
        entries.push(Entry::Related { how: link.relation.to_owned(), to: link.to.clone(), value });
    }
}

fn events(object: &Object, lens: &Lens<'_>, entries: &mut Vec<Entry>) {
    let Some(shelf) = lens.shelf(&Resource::new("", "events")) else { return };
    let about = |event: &&Event| match &event.object_uid {
        Some(uid) => *uid == object.meta.uid,
        None => event.object_name == object.meta.name && event.object_namespace == object.meta.namespace,
    };
    let mut events: Vec<&Event> =
        shelf.iter().filter_map(|(_, one)| one.body::<Event>()).filter(about).collect();
    if events.is_empty() {
        return;
    }
    events.sort_by_key(|event| std::cmp::Reverse(event.last));
    heading(entries, "Events");
    for event in events.into_iter().take(EVENTS) {
        let health = if event.is_warning() { Health::Warning } else { Health::Idle };
        entries.push(Entry::Field {
            name: event.reason.to_string(),
            value: Cell::Status { text: event.kind.clone(), health },
        });
        let times = if event.count > 1 { format!(", {} times", event.count) } else { String::new() };
        let when =
            event.last.map_or_else(String::new, |last| format!("{} ago", crate::human::age(lens.now, last)));
        entries.push(Entry::Words(format!("{when}{times}  {}", event.message)));
    }
}
