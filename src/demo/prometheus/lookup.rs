//! What there is: series, labels and their values, metadata and targets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::recorded::Recorded;
use super::{Asked, Refusal, Told, cut, labels_value, params};
use crate::demo::promql::{Labels, Matcher, NAME, Samples};

/// A time before and after everything, which calculations with it do not leave.
const FAR: i64 = i64::MAX / 4;

fn span(asked: &Asked) -> Result<(i64, i64), Refusal> {
    let start = params::time(asked, "start")?.unwrap_or(-FAR);
    let end = params::time(asked, "end")?.unwrap_or(FAR);
    if end < start {
        return Err(Refusal::parameter("end", "end timestamp must not be before start timestamp"));
    }
    // The start itself is asked for too.
    Ok((start - 1, end))
}

/// The labels of all series that any of the selectors names.
fn named(
    asked: &Asked,
    samples: &Recorded<'_>,
    selectors: &[Vec<Matcher>],
) -> Result<BTreeSet<Labels>, Refusal> {
    let (from, to) = span(asked)?;
    let mut all = BTreeSet::new();
    if selectors.is_empty() {
        all.extend(samples.series(&[], from, to));
    }
    for matchers in selectors {
        all.extend(samples.series(matchers, from, to));
    }
    Ok(all)
}

/// `/series`
pub(super) fn series(asked: &Asked, samples: &Recorded<'_>) -> Result<Told, Refusal> {
    let selectors = params::selectors(asked)?;
    if selectors.is_empty() {
        return Err(Refusal::BadData("no match[] parameter provided".to_owned()));
    }
    let limit = params::limit(asked)?;
    let mut found: Vec<Value> = named(asked, samples, &selectors)?.iter().map(labels_value).collect();
    let mut warnings = Vec::new();
    cut(&mut found, limit, &mut warnings);
    Ok(Told { data: Value::Array(found).to_string(), warnings })
}

/// `/labels`
pub(super) fn labels(asked: &Asked, samples: &Recorded<'_>) -> Result<Told, Refusal> {
    let found = named(asked, samples, &params::selectors(asked)?)?;
    let names: BTreeSet<&str> = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
    listed(asked, names)
}

/// `/label/{name}/values`
pub(super) fn values(asked: &Asked, samples: &Recorded<'_>, name: &str) -> Result<Told, Refusal> {
    let first = name.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !first || !name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_') {
        return Err(Refusal::BadData(format!("invalid label name: {name:?}")));
    }
    let selectors = params::selectors(asked)?;
    if name == NAME && selectors.is_empty() {
        let (from, to) = span(asked)?;
        let names = samples.names(from, to);
        return listed(asked, names.iter().map(String::as_str).collect());
    }
    let found = named(asked, samples, &selectors)?;
    listed(asked, found.iter().map(|labels| labels.get(name)).filter(|value| !value.is_empty()).collect())
}

fn listed(asked: &Asked, names: BTreeSet<&str>) -> Result<Told, Refusal> {
    let limit = params::limit(asked)?;
    let mut names: Vec<&str> = names.into_iter().collect();
    let mut warnings = Vec::new();
    cut(&mut names, limit, &mut warnings);
    Ok(Told { data: json!(names).to_string(), warnings })
}

/// `/metadata`
pub(super) fn metadata(asked: &Asked, samples: &Recorded<'_>) -> Told {
    let wanted = asked.query.get("metric");
    let count = |name: &str| asked.query.get(name).parse::<usize>().ok().filter(|count| *count > 0);
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for one in samples.metadata() {
        if wanted.is_empty() || one.metric == wanted {
            let entry = json!({"type": one.kind.as_str(), "help": one.help, "unit": one.unit});
            all.entry(one.metric).or_default().push(entry);
        }
    }
    let metrics = all.into_iter().take(count("limit").unwrap_or(usize::MAX));
    let each = count("limit_per_metric").unwrap_or(usize::MAX);
    let told: Map<String, Value> = metrics
        .map(|(name, entries)| (name, Value::Array(entries.into_iter().take(each).collect())))
        .collect();
    Told::from(Value::Object(told))
}

/// `/targets`
pub(super) fn targets(asked: &Asked, samples: &Recorded<'_>) -> Told {
    let state = asked.query.get("state").to_lowercase();
    let pool = asked.query.get("scrapePool");
    let mut active = Vec::new();
    if state != "dropped" {
        for target in samples.targets() {
            if !pool.is_empty() && target.pool != pool {
                continue;
            }
            active.push(json!({
                "discoveredLabels": labels_value(&target.discovered),
                "labels": labels_value(&target.labels),
                "scrapePool": target.pool,
                "scrapeUrl": target.url,
                "globalUrl": target.url,
                "lastError": target.error.as_deref().unwrap_or_default(),
                "lastScrape": rfc3339(target.last_scrape_ms),
                "lastScrapeDuration": target.duration,
                "health": if target.error.is_some() { "down" } else { "up" },
                "scrapeInterval": params::in_words(target.interval_ms),
                "scrapeTimeout": "10s",
            }));
        }
    }
    Told::from(json!({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}}))
}

/// A time as Go writes it: without a fraction that is zero.
pub(super) fn rfc3339(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map(|time| time.to_string()).unwrap_or_default()
}
