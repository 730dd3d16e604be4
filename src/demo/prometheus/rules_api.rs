//! `/rules` and `/alerts`.

use serde_json::{Value, json};

use super::alerts::{Alert, RuleState, Rules, State};
use super::lookup::rfc3339;
use super::rules::{Group, Kind, Rule};
use super::{Asked, Refusal, Told, labels_value, params};
use crate::demo::promql::Matcher;
use crate::demo::promql::format::exponent;

/// `/alerts`: everything that is pending or fires.
pub(super) fn alerts(rules: &Rules) -> Told {
    let all = rules.groups().flat_map(|(_, states, _)| states);
    let told: Vec<Value> = all.flat_map(|state| state.active.values()).filter_map(alert).collect();
    Told::from(json!({"alerts": told}))
}

fn alert(alert: &Alert) -> Option<Value> {
    (alert.state != State::Inactive).then(|| {
        let mut told = json!({
            "labels": labels_value(&alert.labels),
            "annotations": alert.annotations,
            "state": alert.state.as_str(),
            "activeAt": rfc3339(alert.active_ms),
            "value": exponent(alert.value),
        });
        if let Some(since) = alert.kept_since_ms {
            told["keepFiringSince"] = json!(rfc3339(since));
        }
        told
    })
}

/// `/rules`
pub(super) fn rules(asked: &Asked, rules: &Rules) -> Result<Told, Refusal> {
    let query = &asked.query;
    let kind = query.get("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return Err(Refusal::parameter("type", format_args!("not supported value {:?}", query.get("type"))));
    }
    let exclude = query.flag("exclude_alerts");
    if !matches!(query.get("exclude_alerts"), "" | "true" | "1" | "t" | "T" | "TRUE" | "True" | "false" | "0")
    {
        let text = query.get("exclude_alerts");
        let what = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
        return Err(Refusal::parameter("exclude_alerts", what));
    }
    let matchers: Vec<Vec<Matcher>> = params::selectors(asked)?;
    let wanted = |name: &str, value: &str| {
        let mut any = false;
        query.all(name).any(|one| {
            any = true;
            one == value
        }) || !any
    };
    let limit = params::number(asked, "group_limit")?;
    let next = query.get("group_next_token");
    if limit.is_none() && !next.is_empty() {
        return Err(Refusal::parameter(
            "group_limit",
            "group_limit needs to be present in order to paginate over the groups",
        ));
    }
    let mut groups = Vec::new();
    let mut token = None;
    let mut begun = next.is_empty();
    for (group, states, last) in rules.groups() {
        if !begun && group_token(group) == next {
            begun = true;
        }
        if !begun || !wanted("rule_group[]", &group.name) || !wanted("file[]", &group.file) {
            continue;
        }
        let shown: Vec<Value> = group
            .rules
            .iter()
            .zip(states)
            .filter(|(rule, _)| {
                matches!(
                    (&rule.kind, kind.as_str()),
                    (_, "") | (Kind::Recording { .. }, "record") | (Kind::Alerting { .. }, "alert")
                )
            })
            .filter(|(rule, _)| wanted("rule_name[]", rule.name()) && passes(rule, &matchers))
            .map(|(rule, state)| rule_value(rule, state, exclude))
            .collect();
        if shown.is_empty() {
            continue;
        }
        if limit.is_some_and(|limit| groups.len() == limit) {
            token = Some(group_token(group));
            break;
        }
        groups.push(json!({
            "name": group.name,
            "file": group.file,
            "rules": shown,
            "interval": group.interval_ms as f64 / 1e3,
            "limit": group.limit,
            "evaluationTime": 0.002,
            "lastEvaluation": rfc3339(last.unwrap_or(0)),
        }));
    }
    if !begun {
        return Err(Refusal::BadData(format!(
            "invalid group_next_token '{next}'. were rule groups changed?"
        )));
    }
    let mut data = json!({"groups": groups});
    if let Some(token) = token {
        data["groupNextToken"] = json!(token);
    }
    Ok(Told::from(data))
}

/// A rule passes selectors by the labels that are set in it.
fn passes(rule: &Rule, matchers: &[Vec<Matcher>]) -> bool {
    let label = |name: &str| rule.labels.get(name).map_or("", String::as_str);
    matchers.is_empty()
        || matchers.iter().any(|all| all.iter().all(|matcher| matcher.matches(label(&matcher.name))))
}

fn group_token(group: &Group) -> String {
    // FNV-1a: the token only has to be the same for the same group.
    let text = format!("{};{}", group.file, group.name);
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

fn rule_value(rule: &Rule, state: &RuleState, exclude_alerts: bool) -> Value {
    let mut told = json!({
        "name": rule.name(),
        "query": rule.query,
        "health": state.health(),
        "evaluationTime": 0.0005,
        "lastEvaluation": rfc3339(state.last_ms.unwrap_or(0)),
    });
    if let Some(error) = &state.error {
        told["lastError"] = json!(error);
    }
    match &rule.kind {
        Kind::Recording { .. } => {
            told["type"] = json!("recording");
            if !rule.labels.is_empty() {
                told["labels"] = json!(rule.labels);
            }
        }
        Kind::Alerting { hold_ms, keep_ms, annotations, .. } => {
            told["type"] = json!("alerting");
            told["state"] = json!(state.state().as_str());
            told["duration"] = json!(*hold_ms as f64 / 1e3);
            told["keepFiringFor"] = json!(*keep_ms as f64 / 1e3);
            told["labels"] = json!(rule.labels);
            told["annotations"] = json!(annotations);
            let alerts: Vec<Value> =
                if exclude_alerts { Vec::new() } else { state.active.values().filter_map(alert).collect() };
            told["alerts"] = json!(alerts);
        }
    }
    told
}
