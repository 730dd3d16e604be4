//! Any other resource type, as the server itself describes it: its columns and rows in the Table format.
//!
//! A kind made here is like any other to the rest of the console, except that it knows no links, no verbs, and of
//! health only what a condition column says. Cells of a Table are words for people; what can be told apart from
//! them (numbers, times, readiness) is typed, the rest stays text.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};

use super::decode::Slim;
use super::kind::Row;
use super::wire::{Str, WireMeta};
use super::{Cell, Column, Health, Kind, Meta, Pool, Shape, Unit};
use crate::identity::Text;
use crate::text;

/// The form that is asked for where a type is read as a Table.
pub const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// What a type is called, and where its objects live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names<'a> {
    /// API group; empty for core.
    pub group: &'a str,
    /// The version to read.
    pub version: &'a str,
    /// The plural.
    pub plural: &'a str,
    /// The kind name.
    pub kind: &'a str,
    /// The singular.
    pub singular: &'a str,
    /// The short names.
    pub shorts: Vec<&'a str>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// A column as the server describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// Its heading.
    pub name: String,
    /// An OpenAPI type: `string`, `integer`, `number`, `boolean`, `date`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A form of that type, such as `name`.
    pub format: String,
    /// What it says.
    pub description: String,
    /// 0 for what is always shown, more for wide mode.
    pub priority: i32,
}

/// Reads the column definitions of a Table; an answer that is no Table has none.
pub fn definitions(table: &[u8]) -> Option<Vec<Definition>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        kind: String,
        column_definitions: Option<Vec<Definition>>,
    }
    let head: Head = serde_json::from_slice(table).ok()?;
    (head.kind == "Table").then(|| head.column_definitions.unwrap_or_default())
}

/// What is kept of a row.
#[derive(Debug)]
struct TableRow {
    cells: Box<[Value]>,
}

/// A cell as it stands in the Table.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Nothing,
    Words(Text),
    Whole(i64),
    Number(f64),
    Flag(bool),
}

#[derive(Debug, Deserialize)]
struct WireRow<'a> {
    #[serde(borrow)]
    cells: Vec<WireValue<'a>>,
    #[serde(borrow)]
    object: WireObject<'a>,
}

#[derive(Debug, Deserialize)]
struct WireObject<'a> {
    #[serde(borrow)]
    metadata: WireMeta<'a>,
}

/// A cell on the wire: usually a text, in principle any JSON.
#[derive(Debug)]
enum WireValue<'a> {
    Nothing,
    Words(Str<'a>),
    Whole(i64),
    Number(f64),
    Flag(bool),
    /// A list or a map, as compact JSON.
    Nested(String),
}

impl<'de: 'a, 'a> Deserialize<'de> for WireValue<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = WireValue<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a cell")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(WireValue::Nothing)
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(WireValue::Flag(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(WireValue::Whole(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(value).map_or(WireValue::Number(value as f64), WireValue::Whole))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(WireValue::Number(value))
            }
            fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
                Str::deserialize(de::value::BorrowedStrDeserializer::new(value)).map(WireValue::Words)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(WireValue::Nested(value.to_owned()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                let value = serde_json::Value::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                Ok(WireValue::Nested(value.to_string()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let value = serde_json::Value::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(WireValue::Nested(value.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Slim for TableRow {
    type Wire<'a> = WireRow<'a>;

    fn keep(wire: WireRow<'_>, pool: &mut Pool) -> (Meta, Self) {
        let cells = wire
            .cells
            .into_iter()
            .map(|cell| match cell {
                WireValue::Nothing => Value::Nothing,
                WireValue::Words(words) => Value::Words(pool.share(words.as_str())),
                WireValue::Whole(number) => Value::Whole(number),
                WireValue::Number(number) => Value::Number(number),
                WireValue::Flag(flag) => Value::Flag(flag),
                WireValue::Nested(json) => Value::Words(pool.share(&text::one_line(&json))),
            })
            .collect();
        (wire.object.metadata.keep(pool), Self { cells })
    }
}

/// Makes a kind out of what the server says of a type and its columns.
pub fn kind(names: &Names<'_>, definitions: &[Definition]) -> Kind {
    let mut describe = Kind::describe::<TableRow>(names.group, names.version, names.plural, names.kind)
        .about("listed as the server describes it")
        .singular(if names.singular.is_empty() { names.plural } else { names.singular })
        .shorts(&names.shorts)
        .in_table_format();
    if names.namespaced {
        describe = describe.namespaced();
    }
    describe = describe.name();
    // The console has these itself, with their types.
    let mut taken: BTreeSet<String> = ["name", "namespace", "tenant", "age"].map(str::to_owned).into();
    let mut ready = None;
    for (at, definition) in definitions.iter().enumerate() {
        let title = text::one_line(&definition.name).into_owned();
        let mut id = title.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "-");
        if taken.contains(&id) {
            if matches!(id.as_str(), "name" | "namespace" | "age") {
                continue;
            }
            id = format!("{id}-{at}");
        }
        taken.insert(id.clone());
        let shape = shape(definition, &id);
        if shape == Shape::Status && ready.is_none() {
            ready = Some(at);
        }
        let about = text::one_line(&definition.description);
        let about = about.split(". ").next().unwrap_or_default();
        let mut column = Column::new(shape, &id, about).titled(&title.to_uppercase());
        if definition.priority > 0 {
            column = column.wide();
        }
        describe = describe.column(column, move |row: Row<'_, TableRow>| cell(row.body, at, shape));
    }
    if let Some(at) = ready {
        describe = describe.health(move |row| match cell(row.body, at, Shape::Status) {
            Cell::Status { text, health } if health != Health::Healthy => (health, text),
            Cell::Status { health, .. } => (health, Text::from("")),
            _ => (Health::Unknown, Text::from("")),
        });
    }
    describe.done()
}

/// Returns the type of a column's cells.
fn shape(definition: &Definition, id: &str) -> Shape {
    match definition.kind.as_str() {
        "integer" => Shape::Count,
        "number" => Shape::Quantity,
        _ if matches!(id, "ready" | "status" | "phase" | "health") => Shape::Status,
        _ => Shape::Text,
    }
}

fn cell(row: &TableRow, at: usize, shape: Shape) -> Cell {
    match row.cells.get(at).unwrap_or(&Value::Nothing) {
        Value::Nothing => Cell::Empty,
        Value::Words(words) if words.is_empty() || &**words == "<none>" => Cell::Empty,
        Value::Words(words) => match shape {
            Shape::Status => Cell::Status { text: words.clone(), health: health(words) },
            Shape::Count => words.parse().map_or_else(|_| Cell::Text(words.clone()), Cell::Count),
            _ => Cell::Text(words.clone()),
        },
        Value::Whole(number) => Cell::Count(*number),
        Value::Number(number) => Cell::Quantity { value: *number, unit: Unit::Plain },
        Value::Flag(flag) => {
            let word = Text::from(if *flag { "True" } else { "False" });
            match shape {
                Shape::Status => Cell::Status { health: health(&word), text: word },
                _ => Cell::Text(word),
            }
        }
    }
}

/// Reads a word of a condition or phase; one that is not known is unknown, not healthy.
fn health(word: &str) -> Health {
    match word.to_ascii_lowercase().as_str() {
        "true" | "ready" | "healthy" | "active" | "bound" | "available" | "running" | "synced" | "valid" => {
            Health::Healthy
        }
        "succeeded" | "complete" | "completed" | "suspended" | "released" => Health::Idle,
        "pending" | "progressing" | "creating" | "updating" | "terminating" => Health::Progressing,
        "false" | "failed" | "error" | "lost" | "degraded" | "invalid" | "expired" => Health::Degraded,
        _ => Health::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Frame;

    /// As kube-apiserver 1.33 lists certificates of cert-manager, shortened.
    const PAGE: &str = r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"77","continue":"more","remainingItemCount":3},
        "columnDefinitions":[
          {"name":"Name","type":"string","format":"name","description":"Name must be unique within a namespace. Is required.","priority":0},
          {"name":"Ready","type":"string","format":"","description":"","priority":0},
          {"name":"Secret","type":"string","format":"","description":"","priority":0},
          {"name":"Issuer","type":"string","format":"","description":"","priority":1},
          {"name":"Revision","type":"integer","format":"","description":"","priority":0},
          {"name":"Age","type":"date","format":"","description":"","priority":0}],
        "rows":[{"cells":["web","False","web-tls","letsencrypt",3,"5d"],
                 "object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"web","namespace":"shop","uid":"u1","resourceVersion":"70","creationTimestamp":"2026-05-01T10:00:00Z"}}}]}"#;

    fn certificates() -> Kind {
        let names = Names {
            group: "cert-manager.io",
            version: "v1",
            plural: "certificates",
            kind: "Certificate",
            singular: "certificate",
            shorts: vec!["cert"],
            namespaced: true,
        };
        kind(&names, &definitions(PAGE.as_bytes()).unwrap())
    }

    #[test]
    fn the_servers_columns_become_typed_columns() {
        let kind = certificates();
        let ids: Vec<&str> = kind.columns.iter().map(|column| &*column.id).collect();
        assert_eq!(ids, ["namespace", "name", "ready", "secret", "issuer", "revision", "tenant", "age"]);
        let issuer = &kind.columns[kind.column("issuer").unwrap()];
        assert!(issuer.wide);
        assert_eq!(kind.columns[kind.column("revision").unwrap()].shape, Shape::Count);
    }

    #[test]
    fn a_page_and_the_events_of_a_watch_become_rows() {
        let kind = certificates();
        let mut pool = Pool::default();
        let page = kind.decode_page(PAGE.as_bytes(), &mut pool).unwrap();
        assert_eq!(
            (page.next.as_str(), page.remaining, page.resource_version.as_str()),
            ("more", Some(3), "77")
        );
        let row = &page.objects[0];
        assert_eq!((&*row.meta.name, row.meta.namespace.as_deref()), ("web", Some("shop")));
        let body = row.body::<TableRow>().unwrap();
        assert_eq!(cell(body, 4, Shape::Count), Cell::Count(3));
        let ready = Cell::Status { text: "False".into(), health: Health::Degraded };
        assert_eq!(cell(body, 1, Shape::Status), ready);

        let event = |kind: &str, rows: &str| {
            format!(
                r#"{{"type":"{kind}","object":{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"80"}},"columnDefinitions":null,"rows":{rows}}}}}"#
            )
        };
        let rows = r#"[{"cells":["web","True","web-tls","letsencrypt",4,"5d"],"object":{"metadata":{"name":"web","namespace":"shop","uid":"u1","resourceVersion":"80"}}}]"#;
        match kind.decode_frame(event("MODIFIED", rows).as_bytes(), &mut pool).unwrap() {
            Frame::Put(object) => assert_eq!(&*object.meta.resource_version, "80"),
            other => panic!("{other:?}"),
        }
        match kind.decode_frame(event("DELETED", rows).as_bytes(), &mut pool).unwrap() {
            Frame::Gone { namespace, name, resource_version } => {
                assert_eq!((namespace.as_deref(), &*name, &*resource_version), (Some("shop"), "web", "80"));
            }
            other => panic!("{other:?}"),
        }
        match kind.decode_frame(event("BOOKMARK", rows).as_bytes(), &mut pool).unwrap() {
            Frame::Bookmark { resource_version, .. } => assert_eq!(&*resource_version, "80"),
            other => panic!("{other:?}"),
        }
        match kind.decode_frame(event("ADDED", r#"[{"cells":7}]"#).as_bytes(), &mut pool).unwrap() {
            Frame::Garbled { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_not_healthy() {
        assert_eq!(health("Ready"), Health::Healthy);
        assert_eq!(health("Bewildered"), Health::Unknown);
    }
}
