//! What is shown of an alarm of CloudWatch besides what it has in common with every alert.

use serde_json::{Value, json};

use crate::identity::Text;
use crate::signals::{Alarm, AlarmEvent, PartSource, Watched};

/// Writes an alarm whole, for its YAML tab and for JSON.
pub(super) fn document(alarm: &Alarm) -> Value {
    let (condition, watch) = match &alarm.watched {
        Watched::Metric(watch) => (watch.words(), Some(watch)),
        Watched::Alarms(rule) => (rule.to_string(), None),
        Watched::Other(kind) => (format!("of the type {kind}"), None),
    };
    let metrics = watch.map(|watch| {
        let parts = watch.parts.iter().map(|part| match &part.source {
            PartSource::Metric { namespace, name, dimensions, stat } => {
                let dimensions: serde_json::Map<String, Value> =
                    dimensions.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
                json!({
                    "id": part.id, "namespace": namespace, "metric": name, "statistic": stat,
                    "dimensions": dimensions,
                })
            }
            PartSource::Math(expression) => json!({ "id": part.id, "expression": expression }),
        });
        parts.collect::<Vec<_>>()
    });
    json!({
        "region": alarm.region,
        "condition": condition,
        "reason": alarm.reason,
        "suppressed": alarm.suppressed,
        "evaluation": alarm.evaluation,
        "metrics": metrics,
        "period": watch.map(|watch| watch.period),
        "evaluationPeriods": watch.map(|watch| watch.periods),
        "datapointsToAlarm": watch.map(|watch| watch.datapoints),
        "threshold": watch.and_then(|watch| watch.threshold).filter(|at| at.is_finite()),
        "comparison": watch.map(|watch| watch.comparison.clone()),
        "treatMissingData": watch.map(|watch| watch.missing.clone()),
    })
}

/// Writes something that happened to an alarm.
pub fn event_document(event: &AlarmEvent) -> Value {
    json!({
        "at": event.at.map(|at| at.to_string()),
        "type": event.kind,
        "summary": event.summary,
        "reason": event.reason,
    })
}

/// Writes what an alarm is about as the lines of a detail: a name and words.
pub fn facts(alarm: &Alarm) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    match &alarm.watched {
        Watched::Metric(watch) => {
            facts.push(("condition", watch.words()));
            if !watch.missing.is_empty() {
                facts.push(("missing data", watch.missing.to_string()));
            }
        }
        Watched::Alarms(rule) => facts.push(("condition", rule.to_string())),
        Watched::Other(kind) => facts.push(("type", kind.to_string())),
    }
    let mut more = |name, text: &Text| {
        if !text.is_empty() {
            facts.push((name, text.to_string()));
        }
    };
    more("reason", &alarm.reason);
    for (name, text) in [("suppressed", &alarm.suppressed), ("evaluation", &alarm.evaluation)] {
        if let Some(text) = text {
            more(name, text);
        }
    }
    more("region", &alarm.region);
    facts
}
