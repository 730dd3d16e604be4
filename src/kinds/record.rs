//! Entries of the record as a kind, so that tables, filters, details and JSON are those of every kind.
//!
//! They are no resources of the API server: their group is [`GROUP`], and they are made from the audit file of this
//! user. Nothing here reads it, and nothing here decides what can be undone.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cell, Column, Health, Kind, Meta, Object, Shape};
use crate::audit::{Ending, Intent};
use crate::identity::{Resource, Text};

/// The group of the record.
pub const GROUP: &str = "audit";

/// Names the list of entries.
pub fn records() -> Resource {
    Resource::new(GROUP, "records")
}

/// One action of the record.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub id: Text,
    /// When it was begun.
    pub at: Timestamp,
    /// What was meant.
    pub intent: Arc<Intent>,
    /// How it ended; `None` while it has no end.
    pub ending: Option<Arc<Ending>>,
    /// The request that takes it back, as JSON, or why there is none.
    pub undo: Result<Arc<Value>, Text>,
}

impl Entry {
    /// Returns the word of its end.
    pub fn outcome(&self) -> &str {
        self.ending.as_ref().map_or("unfinished", |ending| ending.outcome.as_str())
    }

    /// Tells how the outcome stands.
    pub fn health(&self) -> Health {
        match self.outcome() {
            "verified" | "done" => Health::Healthy,
            "accepted" | "refused" => Health::Idle,
            "not-verified" | "unfinished" => Health::Warning,
            "failed" | "not-done" => Health::Degraded,
            _ => Health::Unknown,
        }
    }
}

/// Makes the object of an entry.
pub fn object(entry: Entry) -> Object {
    let meta = Meta {
        name: entry.id.clone(),
        uid: entry.id.clone(),
        resource_version: entry.outcome().into(),
        created: Some(entry.at),
        ..Meta::default()
    };
    Object { meta, slim: Box::new(entry) }
}

/// Returns an entry whole: the record before the action, and the one after it.
pub fn document(object: &Object) -> Option<Value> {
    let entry = object.body::<Entry>()?;
    Some(json!({
        "metadata": { "name": &*entry.id, "creationTimestamp": entry.at.to_string() },
        "before": *entry.intent,
        "after": entry.ending.as_deref(),
    }))
}

pub(super) fn kinds() -> Vec<Kind> {
    let text = |text: &str| if text.is_empty() { Cell::Empty } else { Cell::Text(text.into()) };
    let kind = Kind::made::<Entry>(GROUP, "records", "Record")
        .about("what was changed from this machine: by whom, why, and how it ended")
        .shorts(&["audit", "rec"])
        .column(Column::new(Shape::Age, "age", "time since it was begun").priority(0), |row| {
            Cell::Age(row.body.at)
        })
        // Newest first.
        .sorted(false)
        .column(Column::new(Shape::Status, "outcome", "how it ended").priority(0).groups(), |row| {
            Cell::Status { text: row.body.outcome().into(), health: row.body.health() }
        })
        .column(Column::new(Shape::Text, "verb", "what was done").priority(0).groups(), move |row| {
            text(&row.body.intent.verb)
        })
        .column(Column::new(Shape::Text, "what", "what it was done to").priority(0), |row| {
            let targets = &row.body.intent.targets;
            match targets.as_slice() {
                [] => Cell::Empty,
                [one] => Cell::Text(one.object.name.clone()),
                [first, rest @ ..] => {
                    Cell::Text(format!("{} and {} more", first.object.name, rest.len()).into())
                }
            }
        })
        .column(Column::new(Shape::Text, "tenant", "the tenant").priority(1).groups(), move |row| {
            text(row.body.intent.tenant.as_deref().unwrap_or_default())
        })
        .column(
            Column::new(Shape::Text, "who", "who did it, as the server knows them").priority(1),
            move |row| text(&row.body.intent.who.server),
        )
        .column(Column::new(Shape::Text, "context", "where").priority(3).groups(), |row| {
            Cell::Text(row.body.intent.context.0.clone())
        })
        .column(Column::new(Shape::Text, "took", "from its begin to its end").priority(2), |row| {
            let ending = row.body.ending.as_ref();
            ending.map_or(Cell::Empty, |ending| {
                Cell::Text(crate::human::span(ending.duration_ms / 1_000).into())
            })
        })
        .column(
            Column::new(Shape::Text, "undo", "whether it can be taken back").priority(2),
            |row| match &row.body.undo {
                Ok(_) => Cell::Text("yes".into()),
                Err(_) => Cell::Text("no".into()),
            },
        )
        .column(Column::new(Shape::Text, "reason", "why").priority(3), move |row| {
            text(&row.body.intent.reason)
        })
        .column(Column::new(Shape::Text, "rule", "the rules of the guard that decided").wide(), move |row| {
            text(row.body.intent.rule.as_deref().unwrap_or_default())
        })
        .column(Column::new(Shape::Text, "local", "the local user").wide(), move |row| {
            text(&row.body.intent.who.local)
        })
        .column(
            Column::new(Shape::Text, "message", "how it ended, in words").titled("END").wide(),
            move |row| text(row.body.ending.as_ref().map_or("", |ending| &ending.detail)),
        )
        .name_wide()
        .health(|row| {
            let why =
                row.body.ending.as_ref().map_or("it has no end: it is under way, or was cut off", |ending| {
                    ending.detail.as_str()
                });
            (row.body.health(), why.into())
        })
        .done();
    vec![kind]
}
