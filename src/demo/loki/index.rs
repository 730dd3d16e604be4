//! What is known without reading lines: labels, series, and how much there is of them.
//!
//! Volumes are estimates, as those of Loki's index are: what a stream writes on average, over the time that it overlaps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{Refused, number, seconds, success};
use super::read::object;
use super::request::Parameters;
use super::shipped::{Shelf, Shipped};
use crate::demo::logql::{Expr, Labels, Matcher, Stream, label, parse};

/// Reads a selector; an empty text takes everything.
fn matchers(text: &str) -> Result<Vec<Matcher>, Refused> {
    if text.is_empty() || text == "{}" {
        return Ok(Vec::new());
    }
    match parse(text)? {
        Expr::Log(query) if query.stages.is_empty() => Ok(query.matchers),
        _ => Err(Refused::bad("only label matchers are supported")),
    }
}

/// Returns the streams that a request means, with its window.
fn asked_for(asked: &Parameters, shipped: &Shipped) -> Result<(Vec<Shelf>, i64, i64), Refused> {
    let (start, end) = asked.window()?;
    let matchers = matchers(asked.get("query"))?;
    Ok((shipped.shelves(&matchers, start, end), start, end))
}

/// Wraps a list of texts; where there are none, there is no `data` at all.
fn texts(found: BTreeSet<String>) -> Value {
    if found.is_empty() { json!({"status": "success"}) } else { success(json!(found)) }
}

/// Answers `labels`.
pub fn labels(asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let (shelves, ..) = asked_for(asked, shipped)?;
    Ok(texts(shelves.iter().flat_map(|shelf| shelf.labels().iter().map(|(name, _)| name.clone())).collect()))
}

/// Answers `label/{name}/values`.
pub fn values(name: &str, asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let (shelves, ..) = asked_for(asked, shipped)?;
    Ok(texts(shelves.iter().filter_map(|shelf| label(shelf.labels(), name)).map(str::to_owned).collect()))
}

/// Answers `series`.
pub fn series(asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let (start, end) = asked.window()?;
    let mut wanted = asked.all("match[]");
    wanted.extend(asked.all("match"));
    if wanted.is_empty() {
        wanted.push(String::new());
    }
    let mut found: BTreeSet<Labels> = BTreeSet::new();
    for text in wanted {
        let shelves = shipped.shelves(&matchers(&text)?, start, end);
        found.extend(shelves.iter().map(|shelf| shelf.labels().clone()));
    }
    Ok(success(Value::Array(found.iter().map(object).collect())))
}

/// Answers `index/stats`.
pub fn stats(asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let (shelves, start, end) = asked_for(asked, shipped)?;
    let (mut bytes, mut entries, mut chunks) = (0.0, 0.0, 0);
    for shelf in &shelves {
        let (lines, size) = shelf.estimate(start, end);
        entries += lines;
        bytes += size;
        // A chunk is full at about a megabyte and a half of text.
        chunks += 1 + (size / 1.5e6) as u64;
    }
    Ok(json!({"streams": shelves.len(), "chunks": chunks, "bytes": bytes as u64, "entries": entries as u64}))
}

/// Sums up the volume of streams by what a request groups them by, largest first.
fn volumes(
    asked: &Parameters,
    shelves: &[Shelf],
    names: &[String],
    start: i64,
    end: i64,
) -> Vec<(Labels, f64)> {
    let mut sums: BTreeMap<Labels, f64> = BTreeMap::new();
    let by_label = asked.get("aggregateBy") == "labels";
    for shelf in shelves {
        let (_, bytes) = shelf.estimate(start, end);
        let wanted = |name: &String| names.is_empty() || names.contains(name);
        let kept = shelf.labels().iter().filter(|(name, _)| wanted(name));
        if by_label {
            for (name, _) in kept {
                *sums.entry(vec![(name.clone(), String::new())]).or_default() += bytes;
            }
        } else {
            *sums.entry(kept.cloned().collect()).or_default() += bytes;
        }
    }
    let mut sums: Vec<(Labels, f64)> = sums.into_iter().filter(|(_, bytes)| *bytes > 0.0).collect();
    sums.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    sums
}

/// Returns the labels that a volume is grouped by: those that are asked for, else those of the selector.
fn target_labels(asked: &Parameters) -> Result<Vec<String>, Refused> {
    let targets = asked.get("targetLabels");
    if !targets.is_empty() {
        return Ok(targets.split(',').map(|name| name.trim().to_owned()).collect());
    }
    if asked.get("aggregateBy") == "labels" {
        return Ok(Vec::new());
    }
    Ok(matchers(asked.get("query"))?.into_iter().map(|matcher| matcher.name).collect())
}

/// Answers `index/volume`.
pub fn volume(asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let (shelves, start, end) = asked_for(asked, shipped)?;
    let mut sums = volumes(asked, &shelves, &target_labels(asked)?, start, end);
    sums.truncate(asked.limit()?);
    let result: Vec<Value> = sums
        .iter()
        .map(|(labels, bytes)| json!({"metric": object(labels), "value": [seconds(end), number(bytes.round())]}))
        .collect();
    Ok(success(json!({"resultType": "vector", "result": result, "stats": {}})))
}

/// Answers `index/volume_range`.
pub fn volume_range(asked: &Parameters, shipped: &Shipped) -> Result<Value, Refused> {
    let (shelves, start, end) = asked_for(asked, shipped)?;
    let step = asked.step(start, end)?;
    let targets = target_labels(asked)?;
    let kept: Vec<Labels> = volumes(asked, &shelves, &targets, start, end)
        .into_iter()
        .take(asked.limit()?)
        .map(|(labels, _)| labels)
        .collect();
    let mut series: BTreeMap<Labels, Vec<Value>> = BTreeMap::new();
    let mut begin = start;
    while begin < end {
        let until = begin.saturating_add(step).min(end);
        for (labels, bytes) in volumes(asked, &shelves, &targets, begin, until) {
            if kept.contains(&labels) {
                series.entry(labels).or_default().push(json!([seconds(begin), number(bytes.round())]));
            }
        }
        begin = until;
    }
    let result: Vec<Value> = series
        .into_iter()
        .map(|(labels, values)| json!({"metric": object(&labels), "values": values}))
        .collect();
    Ok(success(json!({"resultType": "matrix", "result": result, "stats": {}})))
}
