//! Detected labels and fields: what a client may offer to filter by, found by looking at some lines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{Refused, query};
use super::read::{self, Wish};
use super::request::{Direction, Parameters};
use super::shipped::Shipped;
use crate::demo::logql::ast::Stage;
use crate::demo::logql::pipeline::{self, Line};
use crate::demo::logql::{Entry, Expr, LogQuery, Stream, parse, units};

/// What is known of a field.
#[derive(Debug, Default)]
struct Field {
    values: BTreeSet<String>,
    parsers: BTreeSet<&'static str>,
}

/// Answers `detected_labels`.
pub fn labels(asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let (start, end) = asked.window()?;
    let matchers = match asked.get("query") {
        "" => Vec::new(),
        text => match parse(text)? {
            Expr::Log(query) => query.matchers,
            Expr::Metric(_) => return Err(Refused::bad("only log selector is supported")),
        },
    };
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for shelf in shipped.shelves(&matchers, start, end) {
        for (name, value) in shelf.labels() {
            found.entry(name.clone()).or_default().insert(value.clone());
        }
    }
    let all: Vec<Value> =
        found.iter().map(|(name, values)| json!({"label": name, "cardinality": values.len()})).collect();
    Ok(json!({"detectedLabels": all}))
}

/// Guesses what a value is, as Loki does.
fn kind(value: &str) -> &'static str {
    if value.parse::<i64>().is_ok() {
        "int"
    } else if value.parse::<f64>().is_ok() {
        "float"
    } else if matches!(value, "true" | "false") {
        "boolean"
    } else if units::go_duration(value).is_some() {
        "duration"
    } else if units::bytes(value).is_some() {
        "bytes"
    } else {
        "string"
    }
}

fn detect(asked: &Parameters, shipped: &Shipped) -> Result<BTreeMap<String, Field>, Refused> {
    let Expr::Log(log) = query(asked)? else {
        return Err(Refused::bad("only log selector is supported"));
    };
    let (start, end) = asked.window()?;
    let wish = Wish { start, end, limit: asked.line_limit()?, direction: Direction::Backward, interval: 0 };
    let parser = |stage: Stage| LogQuery { matchers: Vec::new(), stages: vec![stage] };
    let parsers = [
        ("json", parser(Stage::Json(Vec::new()))),
        ("logfmt", parser(Stage::Logfmt { strict: true, keep_empty: false, fields: Vec::new() })),
    ];
    let mut fields: BTreeMap<String, Field> = BTreeMap::new();
    for found in read::entries(&log, shipped, wish)? {
        for (name, value) in found.labels.metadata.iter().chain(&found.labels.parsed) {
            fields.entry(name.clone()).or_default().values.insert(value.clone());
        }
        let entry = Entry { at: found.at, line: found.line, metadata: found.labels.metadata };
        for (name, parser) in &parsers {
            let mut line = Line::new(&found.labels.stream, &entry);
            pipeline::run(parser, &mut line);
            let parsed = line.drawers().parsed;
            // A word without `=` is no pair: a line of prose is not logfmt.
            if line.error().is_some() || parsed.is_empty() {
                continue;
            }
            for (label, value) in parsed {
                let field = fields.entry(label).or_default();
                field.values.insert(value);
                field.parsers.insert(name);
            }
            break;
        }
    }
    Ok(fields)
}

/// Answers `detected_fields`.
pub fn fields(asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let limit = if asked.get("limit").is_empty() { 1_000 } else { asked.limit()? };
    let all: Vec<Value> = detect(asked, shipped)?
        .iter()
        .take(limit)
        .map(|(name, field)| {
            let kind = field.values.first().map_or("string", |value| kind(value));
            let parsers = if field.parsers.is_empty() { Value::Null } else { json!(field.parsers) };
            json!({"label": name, "type": kind, "cardinality": field.values.len(), "parsers": parsers})
        })
        .collect();
    Ok(json!({"fields": all, "limit": limit}))
}

/// Answers `detected_field/{name}/values`.
pub fn values(name: &str, asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let limit = if asked.get("limit").is_empty() { 1_000 } else { asked.limit()? };
    let found = detect(asked, shipped)?;
    let values: Vec<&String> =
        found.get(name).map(|field| field.values.iter().take(limit).collect()).unwrap_or_default();
    Ok(json!({"values": values, "limit": limit}))
}
