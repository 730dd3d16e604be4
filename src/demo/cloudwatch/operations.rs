//! The operations: from the fields of a request to those of an answer.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::alarms::{Alarms, CompositeAlarm, MetricAlarm, Set, Standing, State, Turn, Watched, arn};
use super::catalog::{Dimension, Metric};
use super::cbor::{Cbor, map, some};
use super::data::{self, Query, What, Window};
use super::{ACCOUNT_ID, Desk, Fault, Kept, REGION, blocking, dimensions, page, skip, token};

/// Metrics in a page of a list.
const METRICS: usize = 500;
/// Queries in a request.
const QUERIES: usize = 500;
/// Points in an answer.
const POINTS: usize = 100_800;
/// Points of one statistic in an answer.
const DATAPOINTS: i64 = 1_440;

/// Carries an operation out.
pub async fn carry_out(desk: Arc<Desk>, operation: &str, input: Cbor) -> Result<Cbor, Fault> {
    match operation {
        "DescribeAlarms" => describe_alarms(&desk, &input).await,
        "DescribeAlarmHistory" => describe_history(&desk, &input).await,
        "GetMetricData" => metric_data(desk, input).await,
        "GetMetricStatistics" => metric_statistics(desk, input).await,
        "ListMetrics" => list_metrics(&desk, &input),
        "SetAlarmState" => set_state(&desk, &input).await,
        "EnableAlarmActions" => switch(&desk, &input, true).await,
        "DisableAlarmActions" => switch(&desk, &input, false).await,
        other => Err(super::unknown(other)),
    }
}

fn limit(input: &Cbor, name: &str, most: i64, usual: usize) -> Result<usize, Fault> {
    match input.get(name).int() {
        None => Ok(usual),
        Some(number) if (1..=most).contains(&number) => Ok(usize::try_from(number).unwrap_or(usual)),
        Some(number) => Err(Fault::validation(format!(
            "1 validation error detected: Value '{number}' at '{name}' failed to satisfy constraint: Member must be between 1 and {most}"
        ))),
    }
}

fn time(input: &Cbor, name: &str) -> Result<Timestamp, Fault> {
    input.get(name).time().ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Fault {
    let message = format!("The parameter {name} is required.");
    Fault::new("MissingRequiredParameterException", "MissingParameter", message)
}

fn sns(topic: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{topic}")
}

/// Who is told about an alarm.
fn actions(name: &str) -> Vec<String> {
    vec![sns(if name.starts_with("platform-") { "platform-oncall" } else { "tenants-oncall" })]
}

fn dimension_list(list: &[Dimension]) -> Cbor {
    let pair =
        |(name, value): &Dimension| map([("Name", some(name.clone())), ("Value", some(value.clone()))]);
    Cbor::List(list.iter().map(pair).collect())
}

fn entry(metric: &Metric) -> Cbor {
    map([
        ("Namespace", some(metric.namespace)),
        ("MetricName", some(metric.name)),
        ("Dimensions", Some(dimension_list(&metric.dimensions))),
    ])
}

fn fields(value: Cbor) -> Vec<(String, Cbor)> {
    if let Cbor::Map(fields) = value { fields } else { Vec::new() }
}

/// The fields that all alarms have.
fn common(name: &str, description: &str, turns: &[Turn], acts: bool) -> Vec<(String, Cbor)> {
    let created = turns.first().map(|turn| turn.at);
    let latest = turns.last();
    fields(map([
        ("AlarmName", some(name)),
        ("AlarmArn", some(arn(name))),
        ("AlarmDescription", some(description)),
        ("AlarmConfigurationUpdatedTimestamp", created.map(Cbor::Time)),
        ("ActionsEnabled", some(acts)),
        ("OKActions", some(actions(name))),
        ("AlarmActions", some(actions(name))),
        ("InsufficientDataActions", Some(Cbor::List(Vec::new()))),
        ("StateValue", latest.and_then(|turn| some(turn.state.as_str()))),
        ("StateReason", latest.and_then(|turn| some(turn.reason.clone()))),
        (
            "StateReasonData",
            latest.filter(|turn| !turn.data.is_empty()).and_then(|turn| some(turn.data.clone())),
        ),
        ("StateUpdatedTimestamp", latest.map(|turn| Cbor::Time(turn.at))),
        ("StateTransitionedTimestamp", latest.map(|turn| Cbor::Time(turn.at))),
    ]))
}

fn metric_alarm(standing: &Standing<MetricAlarm>, kept: &Kept) -> Cbor {
    let alarm = &standing.alarm;
    let mut all = common(&alarm.name, &alarm.description, &standing.turns, kept.acts(&alarm.name));
    let (of, least) = alarm.of;
    all.extend(fields(map([
        ("EvaluationPeriods", some(of)),
        ("DatapointsToAlarm", some(least)),
        ("Threshold", some(alarm.threshold)),
        ("ComparisonOperator", some(alarm.comparison())),
        ("TreatMissingData", some(alarm.missing)),
    ])));
    all.extend(match &alarm.watched {
        Watched::Stat(namespace, name, dimensions, stat) => {
            let which = if stat.starts_with('p') { "ExtendedStatistic" } else { "Statistic" };
            fields(map([
                ("Namespace", some(*namespace)),
                ("MetricName", some(*name)),
                ("Dimensions", Some(dimension_list(dimensions))),
                (which, some(*stat)),
                ("Period", some(alarm.period)),
            ]))
        }
        Watched::Math(namespace, dimensions, parts, expression, label) => {
            let mut queries: Vec<Cbor> = parts
                .iter()
                .map(|(id, name, stat)| {
                    let metric = map([
                        ("Namespace", some(*namespace)),
                        ("MetricName", some(*name)),
                        ("Dimensions", Some(dimension_list(dimensions))),
                    ]);
                    let stat = map([
                        ("Metric", Some(metric)),
                        ("Period", some(alarm.period)),
                        ("Stat", some(*stat)),
                    ]);
                    map([("Id", some(*id)), ("MetricStat", Some(stat)), ("ReturnData", some(false))])
                })
                .collect();
            queries.push(map([
                ("Id", some("result")),
                ("Expression", some(*expression)),
                ("Label", some(*label)),
                ("ReturnData", some(true)),
            ]));
            fields(map([("Metrics", Some(Cbor::List(queries)))]))
        }
    });
    Cbor::Map(all)
}

fn composite_alarm(standing: &Standing<CompositeAlarm>, kept: &Kept, suppressed: bool) -> Cbor {
    let alarm = &standing.alarm;
    let mut all = common(&alarm.name, &alarm.description, &standing.turns, kept.acts(&alarm.name));
    all.push(("AlarmRule".to_owned(), alarm.rule.to_string().into()));
    if suppressed {
        all.push(("ActionsSuppressor".to_owned(), arn("platform-maintenance").into()));
        // What suppresses is in alarm: nobody is told meanwhile.
        if standing.turns.last().is_some_and(|turn| turn.state == State::Alarm) {
            all.push(("ActionsSuppressedBy".to_owned(), "Alarm".into()));
            let reason = "Alarm platform-maintenance is in ALARM state";
            all.push(("ActionsSuppressedReason".to_owned(), reason.into()));
        }
    }
    Cbor::Map(all)
}

/// Which alarms are asked for, as every operation on alarms says it.
struct Chosen {
    metric: bool,
    composite: bool,
}

impl Chosen {
    /// Without types only alarms of metrics are meant (contracts, 6.2).
    fn read(input: &Cbor) -> Result<Self, Fault> {
        let types = input.get("AlarmTypes").texts();
        let known = |kind: &&str| matches!(*kind, "MetricAlarm" | "CompositeAlarm" | "LogAlarm");
        if let Some(wrong) = types.iter().find(|kind| !known(kind)) {
            return Err(Fault::validation(format!(
                "1 validation error detected: Value '[{wrong}]' at 'alarmTypes' failed to satisfy constraint: Member must satisfy enum value set: [CompositeAlarm, MetricAlarm, LogAlarm]"
            )));
        }
        Ok(Self {
            metric: types.is_empty() || types.contains(&"MetricAlarm"),
            composite: types.contains(&"CompositeAlarm"),
        })
    }
}

async fn describe_alarms(desk: &Arc<Desk>, input: &Cbor) -> Result<Cbor, Fault> {
    let size = limit(input, "MaxRecords", 100, 50)?.min(desk.snapshot.paged.unwrap_or(usize::MAX));
    let suppressed = desk.snapshot.suppressed;
    let skipped = skip(input)?;
    let chosen = Chosen::read(input)?;
    let names: Vec<String> = input.get("AlarmNames").texts().into_iter().map(str::to_owned).collect();
    if names.len() > 100 {
        return Err(Fault::validation(
            "1 validation error detected: 'alarmNames' must have length less than or equal to 100",
        ));
    }
    let prefix = input.get("AlarmNamePrefix").text().map(str::to_owned);
    if prefix.is_some() && !names.is_empty() {
        let message = "AlarmNamePrefix and AlarmNames are mutually exclusive";
        return Err(Fault::new(
            "InvalidParameterCombinationException",
            "InvalidParameterCombination",
            message,
        ));
    }
    let state = input
        .get("StateValue")
        .text()
        .map(|text| {
            State::read(text).ok_or_else(|| {
                Fault::validation(format!(
                    "1 validation error detected: Value '{text}' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]"
                ))
            })
        })
        .transpose()?;
    let action = input.get("ActionPrefix").text().map(str::to_owned);
    let family = (
        input.get("ChildrenOfAlarmName").text().map(str::to_owned),
        input.get("ParentsOfAlarmName").text().map(str::to_owned),
    );
    let alarms = desk.alarms().await?;
    desk.keep(move |kept| {
        let asked = |name: &str, turns: &[Turn]| {
            (names.is_empty() || names.iter().any(|wanted| wanted == name))
                && prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                && state.is_none_or(|state| turns.last().is_some_and(|turn| turn.state == state))
                && action
                    .as_deref()
                    .is_none_or(|start| actions(name).iter().any(|one| one.starts_with(start)))
        };
        let children: Option<Vec<String>> = family.0.as_deref().map(|parent| {
            let parent = alarms.composite.iter().find(|one| one.alarm.name == parent);
            parent
                .map(|one| one.alarm.rule.names().into_iter().map(str::to_owned).collect())
                .unwrap_or_default()
        });
        let mut list: Vec<(bool, Cbor)> = Vec::new();
        let relatives = children.is_some() || family.1.is_some();
        if chosen.metric || relatives {
            let found = alarms.metric.iter().filter(|one| {
                let name = &one.alarm.name;
                children.as_ref().map_or(family.1.is_none(), |children| children.contains(name))
                    && asked(name, &one.turns)
            });
            list.extend(found.map(|one| (false, metric_alarm(one, kept))));
        }
        if chosen.composite || relatives {
            let found = alarms.composite.iter().filter(|one| {
                let parents = family.1.as_deref().map(|child| one.alarm.rule.names().contains(&child));
                parents.unwrap_or(children.is_none()) && asked(&one.alarm.name, &one.turns)
            });
            list.extend(found.map(|one| (true, composite_alarm(one, kept, suppressed))));
        }
        let (list, next) = page(list, skipped, size);
        let (composite, metric): (Vec<_>, Vec<_>) = list.into_iter().partition(|(composite, _)| *composite);
        let plain =
            |list: Vec<(bool, Cbor)>| Some(Cbor::List(list.into_iter().map(|(_, alarm)| alarm).collect()));
        map([
            ("MetricAlarms", plain(metric)),
            ("CompositeAlarms", plain(composite)),
            ("LogAlarms", Some(Cbor::List(Vec::new()))),
            ("NextToken", next),
        ])
    })
    .await
}

/// One line of an alarm's history.
struct Item {
    at: Timestamp,
    name: String,
    composite: bool,
    kind: &'static str,
    summary: String,
    data: String,
}

fn history(name: &str, composite: bool, turns: &[Turn], kept: &Kept) -> Vec<Item> {
    let item = |at, kind, summary: String, data: serde_json::Value| Item {
        at,
        name: name.to_owned(),
        composite,
        kind,
        summary,
        data: data.to_string(),
    };
    let mut items = Vec::new();
    if let Some(first) = turns.first() {
        let data = json!({"version": "1.0", "type": "Create", "createdAlarm": {"alarmName": name, "alarmArn": arn(name)}});
        items.push(item(first.at, "ConfigurationUpdate", format!("Alarm \"{name}\" created"), data));
    }
    for (before, turn) in turns.iter().zip(turns.iter().skip(1)) {
        let state = |turn: &Turn| {
            let mut value = json!({"stateValue": turn.state.as_str(), "stateReason": turn.reason});
            if let Ok(data) = serde_json::from_str::<serde_json::Value>(&turn.data) {
                value["stateReasonData"] = data;
            }
            value
        };
        let summary = format!("Alarm updated from {} to {}", before.state.as_str(), turn.state.as_str());
        let data = json!({"version": "1.0", "oldState": state(before), "newState": state(turn)});
        items.push(item(turn.at, "StateUpdate", summary, data));
        let on = kept.switches(name).take_while(|(at, _)| *at <= turn.at).last().is_none_or(|(_, on)| on);
        if on && turn.state != State::Insufficient {
            for action in actions(name) {
                let summary = format!("Successfully executed action {action}");
                let data = json!({
                    "actionState": "Succeeded", "notificationResource": action,
                    "stateUpdateTimestamp": turn.at.as_millisecond(),
                });
                items.push(item(turn.at, "Action", summary, data));
            }
        }
    }
    for (at, on) in kept.switches(name) {
        let data = json!({"version": "1.0", "type": "Update", "updatedAlarm": {"alarmName": name, "actionsEnabled": on}});
        items.push(item(at, "ConfigurationUpdate", format!("Alarm \"{name}\" updated"), data));
    }
    items
}

async fn describe_history(desk: &Arc<Desk>, input: &Cbor) -> Result<Cbor, Fault> {
    let size = limit(input, "MaxRecords", 100, 50)?;
    let skipped = skip(input)?;
    let chosen = Chosen::read(input)?;
    let name = input.get("AlarmName").text().map(str::to_owned);
    let kind = input.get("HistoryItemType").text().map(str::to_owned);
    let (from, to) = (input.get("StartDate").time(), input.get("EndDate").time());
    let ascending = input.get("ScanBy").text() == Some("TimestampAscending");
    let alarms = desk.alarms().await?;
    desk.keep(move |kept| {
        let asked = |alarm: &str| name.as_deref().is_none_or(|name| name == alarm);
        let mut items: Vec<Item> = Vec::new();
        if chosen.metric {
            let found = alarms.metric.iter().filter(|one| asked(&one.alarm.name));
            items.extend(found.flat_map(|one| history(&one.alarm.name, false, &one.turns, kept)));
        }
        if chosen.composite {
            let found = alarms.composite.iter().filter(|one| asked(&one.alarm.name));
            items.extend(found.flat_map(|one| history(&one.alarm.name, true, &one.turns, kept)));
        }
        items.retain(|item| {
            kind.as_deref().is_none_or(|kind| kind == item.kind)
                && from.is_none_or(|from| item.at >= from)
                && to.is_none_or(|to| item.at <= to)
        });
        items.sort_by_key(|item| item.at);
        if !ascending {
            items.reverse();
        }
        let (items, next) = page(items, skipped, size);
        let shown = items.into_iter().map(|item| {
            map([
                ("AlarmName", some(item.name)),
                ("AlarmType", some(if item.composite { "CompositeAlarm" } else { "MetricAlarm" })),
                ("Timestamp", some(item.at)),
                ("HistoryItemType", some(item.kind)),
                ("HistorySummary", some(item.summary)),
                ("HistoryData", some(item.data)),
            ])
        });
        map([("AlarmHistoryItems", Some(Cbor::List(shown.collect()))), ("NextToken", next)])
    })
    .await
}

async fn set_state(desk: &Arc<Desk>, input: &Cbor) -> Result<Cbor, Fault> {
    let text = |name: &str| input.get(name).text().map(str::to_owned);
    let name = text("AlarmName").ok_or_else(|| missing("AlarmName"))?;
    let value = text("StateValue").ok_or_else(|| missing("StateValue"))?;
    let reason = text("StateReason").ok_or_else(|| missing("StateReason"))?;
    let state = State::read(&value).ok_or_else(|| {
        Fault::validation(format!("Value '{value}' at 'stateValue' failed to satisfy constraint"))
    })?;
    let data = text("StateReasonData").unwrap_or_default();
    if !data.is_empty() && serde_json::from_str::<serde_json::Value>(&data).is_err() {
        return Err(Fault::new(
            "InvalidFormatFault",
            "InvalidFormat",
            "StateReasonData is not a JSON object",
        ));
    }
    let alarms = desk.alarms().await?;
    known(&alarms, &name)?;
    let turn = Turn { at: desk.snapshot.now, state, reason, data };
    desk.keep(move |kept| kept.set(Set { alarm: name, turn })).await?;
    Ok(Cbor::Map(Vec::new()))
}

fn known(alarms: &Alarms, name: &str) -> Result<(), Fault> {
    let there = alarms.metric.iter().any(|one| one.alarm.name == name)
        || alarms.composite.iter().any(|one| one.alarm.name == name);
    if there {
        return Ok(());
    }
    Err(Fault::new("ResourceNotFound", "ResourceNotFound", format!("Unknown alarm: {name}")))
}

/// Names that do not exist are passed over, as AWS does.
async fn switch(desk: &Arc<Desk>, input: &Cbor, on: bool) -> Result<Cbor, Fault> {
    let alarms = desk.alarms().await?;
    let names: Vec<String> = input.get("AlarmNames").texts().into_iter().map(str::to_owned).collect();
    if names.is_empty() {
        return Err(missing("AlarmNames"));
    }
    let names: Vec<String> = names.into_iter().filter(|name| known(&alarms, name).is_ok()).collect();
    let now = desk.snapshot.now;
    desk.keep(move |kept| kept.switch(&names, on, now)).await?;
    Ok(Cbor::Map(Vec::new()))
}

fn list_metrics(desk: &Desk, input: &Cbor) -> Result<Cbor, Fault> {
    let text = |name: &str| input.get(name).text();
    if text("RecentlyActive").is_some_and(|recent| recent != "PT3H") {
        let message = "The value of the RecentlyActive parameter must be PT3H";
        return Err(Fault::new("InvalidParameterValueException", "InvalidParameterValue", message));
    }
    let wanted: Vec<(&str, Option<&str>)> = input
        .get("Dimensions")
        .list()
        .iter()
        .filter_map(|entry| Some((entry.get("Name").text()?, entry.get("Value").text())))
        .collect();
    let asked = |metric: &&Metric| {
        text("Namespace").is_none_or(|namespace| namespace == metric.namespace)
            && text("MetricName").is_none_or(|name| name == metric.name)
            && wanted.iter().all(|(name, value)| {
                let mut own = metric.dimensions.iter();
                own.any(|(own, had)| own == name && value.is_none_or(|value| value == had))
            })
    };
    let found: Vec<Cbor> = desk.catalog.iter().filter(asked).map(entry).collect();
    let (found, next) = page(found, skip(input)?, METRICS);
    Ok(map([("Metrics", Some(Cbor::List(found))), ("NextToken", next)]))
}

/// Reads one query of a request.
fn query(desk: &Desk, entry: &Cbor) -> Result<Query, Fault> {
    let id = entry.get("Id").text().ok_or_else(|| missing("MetricDataQueries.member.Id"))?;
    let mut letters = id.chars();
    let well_formed = letters.next().is_some_and(|letter| letter.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !well_formed {
        return Err(Fault::validation(format!(
            "The value {id} for parameter MetricDataQueries.member.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )));
    }
    let what = match (entry.get("MetricStat"), entry.get("Expression").text()) {
        (Cbor::Null, Some(expression)) => What::Math(expression.to_owned()),
        (stat @ Cbor::Map(_), None) => {
            let metric = stat.get("Metric");
            let text = |name: &str| metric.get(name).text().unwrap_or_default();
            let found = desk.catalog.find(text("Namespace"), text("MetricName"), dimensions(metric));
            let period = stat.get("Period").int().unwrap_or(0);
            if period <= 0 || (period >= 60 && period % 60 != 0) {
                return Err(Fault::validation(
                    "Metric Period must be a multiple of 60, or one of 1, 5, 10, 20 and 30",
                ));
            }
            What::Stat(found.cloned(), stat.get("Stat").text().unwrap_or_default().to_owned(), period)
        }
        _ => {
            let message =
                format!("Either Expression or MetricStat must be specified, and not both, for {id}");
            return Err(Fault::validation(message));
        }
    };
    Ok(Query {
        id: id.to_owned(),
        label: entry.get("Label").text().unwrap_or_default().to_owned(),
        what,
        returned: entry.get("ReturnData").flag().unwrap_or(true),
    })
}

async fn metric_data(desk: Arc<Desk>, input: Cbor) -> Result<Cbor, Fault> {
    let entries = input.get("MetricDataQueries").list();
    if entries.is_empty() || entries.len() > QUERIES {
        return Err(Fault::validation(format!(
            "The collection MetricDataQueries must have between 1 and {QUERIES} members"
        )));
    }
    let (start, end) = (time(&input, "StartTime")?, time(&input, "EndTime")?);
    if start >= end {
        return Err(Fault::validation("The parameter StartTime must be less than the parameter EndTime."));
    }
    let queries: Vec<Query> = entries.iter().map(|entry| query(&desk, entry)).collect::<Result<_, _>>()?;
    let mut ids: Vec<&str> = queries.iter().map(|query| query.id.as_str()).collect();
    ids.sort_unstable();
    if let Some((twice, _)) = ids.iter().zip(ids.iter().skip(1)).find(|(one, next)| one == next) {
        let message = format!("The values for parameter id in MetricDataQueries are not unique: {twice}");
        return Err(Fault::validation(message));
    }
    let early = desk.snapshot.paged.map_or(usize::MAX, |size| size.saturating_mul(10));
    let most = limit(&input, "MaxDatapoints", POINTS as i64, POINTS)?.min(early);
    let skipped = skip(&input)?;
    let ascending = input.get("ScanBy").text() == Some("TimestampAscending");
    let shown = blocking(move || {
        let snapshot = &desk.snapshot;
        data::answer(snapshot.samples.as_ref(), &queries, (start, end), snapshot.now)
    });
    let mut results = Vec::new();
    let (mut left, mut before, mut more) = (most, skipped, false);
    for mut one in shown.await? {
        if !ascending {
            one.points.reverse();
        }
        // What earlier pages had of it.
        let gone = before.min(one.points.len());
        before -= gone;
        if gone > 0 && gone == one.points.len() {
            continue;
        }
        if left == 0 {
            more = true;
            break;
        }
        let here: Vec<(i64, f64)> = one.points.iter().skip(gone).take(left).copied().collect();
        left -= here.len();
        let partial = gone + here.len() < one.points.len();
        more |= partial;
        let moment = |at: i64| Cbor::Time(Timestamp::from_second(at).unwrap_or_default());
        let messages = one
            .message
            .iter()
            .map(|(code, value)| map([("Code", some(code.clone())), ("Value", some(value.clone()))]));
        let status = match (&one.message, partial) {
            (Some(_), _) => "InternalError",
            (None, true) => "PartialData",
            (None, false) => "Complete",
        };
        results.push(map([
            ("Id", some(one.id)),
            ("Label", some(one.label)),
            ("Timestamps", Some(Cbor::List(here.iter().map(|(at, _)| moment(*at)).collect()))),
            ("Values", some(here.iter().map(|(_, value)| *value).collect::<Vec<f64>>())),
            ("StatusCode", some(status)),
            ("Messages", Some(Cbor::List(messages.collect()))),
        ]));
    }
    Ok(map([
        ("MetricDataResults", Some(Cbor::List(results))),
        ("Messages", Some(Cbor::List(Vec::new()))),
        ("NextToken", more.then(|| token(skipped + most - left)).flatten()),
    ]))
}

async fn metric_statistics(desk: Arc<Desk>, input: Cbor) -> Result<Cbor, Fault> {
    let (start, end) = (time(&input, "StartTime")?, time(&input, "EndTime")?);
    let period = input.get("Period").int().ok_or_else(|| missing("Period"))?;
    if start >= end {
        let message = "The parameter StartTime must be less than the parameter EndTime.";
        return Err(Fault::new("InvalidParameterValueException", "InvalidParameterValue", message));
    }
    let span: SignedDuration = end.duration_since(start);
    if period <= 0 || span.as_secs() / period.max(1) > DATAPOINTS {
        let message = format!(
            "You have requested up to {} datapoints, which exceeds the limit of {DATAPOINTS}. You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
            span.as_secs() / period.max(1)
        );
        return Err(Fault::new(
            "InvalidParameterCombinationException",
            "InvalidParameterCombination",
            message,
        ));
    }
    let owned =
        |name: &str| -> Vec<String> { input.get(name).texts().into_iter().map(str::to_owned).collect() };
    let (plain, extended) = (owned("Statistics"), owned("ExtendedStatistics"));
    if plain.is_empty() && extended.is_empty() {
        return Err(missing("Statistics"));
    }
    let text = |name: &str| input.get(name).text().unwrap_or_default();
    let name = text("MetricName").to_owned();
    let metric = desk.catalog.find(text("Namespace"), &name, dimensions(&input)).cloned();
    let datapoints = blocking(move || {
        let snapshot = &desk.snapshot;
        let (Some(metric), Some(window)) = (metric, Window::new(start, end, period, snapshot.now)) else {
            return Vec::new();
        };
        let of = |stat: &String| {
            let points = data::points(snapshot.samples.as_ref(), &metric, stat, window).unwrap_or_default();
            (stat.clone(), points)
        };
        let plain: Vec<_> = plain.iter().map(of).collect();
        let extended: Vec<_> = extended.iter().map(of).collect();
        let moments: std::collections::BTreeSet<i64> =
            plain.iter().chain(&extended).flat_map(|(_, points)| points.keys().copied()).collect();
        let shown = moments.into_iter().map(|at| {
            let mut all = fields(map([
                ("Timestamp", some(Timestamp::from_second(at).unwrap_or_default())),
                ("Unit", some(metric.unit)),
            ]));
            let values = |list: &[(String, super::math::Points)]| -> Vec<(String, Cbor)> {
                let there =
                    list.iter().filter_map(|(stat, points)| Some((stat.clone(), (*points.get(&at)?).into())));
                there.collect()
            };
            all.extend(values(&plain));
            let extended = values(&extended);
            if !extended.is_empty() {
                all.push(("ExtendedStatistics".to_owned(), Cbor::Map(extended)));
            }
            Cbor::Map(all)
        });
        shown.collect()
    });
    Ok(map([("Label", some(name)), ("Datapoints", Some(Cbor::List(datapoints.await?)))]))
}
