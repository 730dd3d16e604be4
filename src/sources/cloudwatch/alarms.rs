//! Alarms: those that are not in order as alerts, and what happened to one.
//!
//! Alarms in order are not asked for: an account has thousands, and a page of a hundred is a call. An alarm with too
//! little data is unknown, which is not the same as healthy.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    AlarmHistoryItem, AlarmType, ComparisonOperator, CompositeAlarm, Dimension, HistoryItemType, MetricAlarm,
    MetricDataQuery, MetricStat, ScanBy, StateValue, Statistic,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::CloudWatch;
use super::account::Account;
use super::tenancy::Tenancy;
use crate::identity::Text;
use crate::signals::{
    Alarm, AlarmEvent, Alert, AlertState, Answer, Labels, Origin, Part, PartSource, Severity, Told, Watch,
    Watched,
};
use crate::sources::SourceError;

/// How many alarms a page holds, the most that CloudWatch gives.
const PAGE: i32 = 100;

/// How many pages are asked for at most: 2,000 alarms that are not in order cannot be looked through.
const PAGES: usize = 20;

/// How far back the history of an alarm is asked for; CloudWatch keeps 30 days.
const HISTORY: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How many events of it are asked for at most, a page.
const EVENTS: i32 = 50;

/// How many pages of events.
const EVENT_PAGES: usize = 2;

impl CloudWatch {
    /// Asks for the alarms that are not in order.
    pub(super) async fn ask_alarms(&self) -> Result<Told, SourceError> {
        let account = self.account().await?;
        let mut found: Vec<Raw> = Vec::new();
        let mut warnings = Vec::new();
        for state in [StateValue::Alarm, StateValue::InsufficientData] {
            let mut token = None;
            for page in 0.. {
                if page == PAGES {
                    let word = state.as_str();
                    warnings
                        .push(format!("only the first {} alarms in {word} are shown", found.len()).into());
                    break;
                }
                let asked = account
                    .client
                    .describe_alarms()
                    // Left out it stands for alarms of metrics alone (contracts 6.2).
                    .alarm_types(AlarmType::MetricAlarm)
                    .alarm_types(AlarmType::CompositeAlarm)
                    .state_value(state.clone())
                    .max_records(PAGE)
                    .set_next_token(token.take());
                let answer = self.call(&account, "cloudwatch:DescribeAlarms", asked.send()).await?;
                token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
                found
                    .extend(answer.metric_alarms.into_iter().flatten().map(|one| Raw::Metric(Box::new(one))));
                found.extend(
                    answer.composite_alarms.into_iter().flatten().map(|one| Raw::Composite(Box::new(one))),
                );
                if token.is_none() {
                    break;
                }
            }
        }
        let mut tenancy = self.0.tenancy.lock().await;
        if !found.is_empty() {
            tenancy.renew(&self.0.connection).await;
        }
        let mut garbled = 0;
        let mut alarms = Vec::new();
        for raw in found {
            match raw.alarm(&account, &tenancy) {
                Some(alarm) => alarms.push(Arc::new(alarm)),
                None => garbled += 1,
            }
        }
        // An alarm that changes while pages are turned is on two of them.
        alarms.sort_by(|one, other| one.alert.fingerprint.cmp(&other.alert.fingerprint));
        alarms.dedup_by(|one, other| one.alert.fingerprint == other.alert.fingerprint);
        Ok(Told { answer: Answer::Alarms(alarms), warnings, garbled, silent: Vec::new() })
    }

    /// Asks what happened to an alarm, the latest first.
    pub async fn history(&self, alarm: &str) -> Result<Vec<AlarmEvent>, SourceError> {
        let account = self.account().await?;
        let now = self.now();
        let from = now.checked_sub(HISTORY).unwrap_or(Timestamp::MIN);
        let mut events = Vec::new();
        let mut token = None;
        for _ in 0..EVENT_PAGES {
            let asked = account
                .client
                .describe_alarm_history()
                .alarm_name(alarm)
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .start_date(DateTime::from_secs(from.as_second()))
                // The end is not included.
                .end_date(DateTime::from_secs(now.as_second() + 1))
                .scan_by(ScanBy::TimestampDescending)
                .max_records(EVENTS)
                .set_next_token(token.take());
            let answer = self.call(&account, "cloudwatch:DescribeAlarmHistory", asked.send()).await?;
            events.extend(answer.alarm_history_items().iter().map(event));
            token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(events)
    }
}

fn text(text: Option<&str>) -> Text {
    crate::text::clean(text.unwrap_or_default()).into()
}

fn line(text: Option<&str>) -> Text {
    crate::text::one_line(text.unwrap_or_default()).into()
}

fn moment(at: Option<&DateTime>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

fn event(item: &AlarmHistoryItem) -> AlarmEvent {
    let data: Value =
        item.history_data().and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
    let reason = match item.history_item_type() {
        Some(HistoryItemType::StateUpdate) => data.pointer("/newState/stateReason").and_then(Value::as_str),
        Some(HistoryItemType::Action) => data.get("error").and_then(Value::as_str),
        _ => None,
    };
    AlarmEvent {
        at: moment(item.timestamp()),
        kind: line(item.history_item_type().map(HistoryItemType::as_str)),
        summary: line(item.history_summary()),
        reason: line(reason),
    }
}

/// An alarm as the SDK has it.
enum Raw {
    Metric(Box<MetricAlarm>),
    Composite(Box<CompositeAlarm>),
}

/// What every alarm has.
struct Common<'a> {
    name: &'a str,
    arn: &'a str,
    description: Option<&'a str>,
    state: Option<&'a StateValue>,
    reason: Option<&'a str>,
    since: Option<&'a DateTime>,
    updated: Option<&'a DateTime>,
    acts: bool,
    actions: &'a [String],
}

impl Raw {
    fn common(&self) -> Option<Common<'_>> {
        Some(match self {
            Self::Metric(one) => Common {
                name: one.alarm_name()?,
                arn: one.alarm_arn().unwrap_or_default(),
                description: one.alarm_description(),
                state: one.state_value(),
                reason: one.state_reason(),
                since: one.state_transitioned_timestamp().or(one.state_updated_timestamp()),
                updated: one.state_updated_timestamp(),
                acts: one.actions_enabled().unwrap_or(true),
                actions: one.alarm_actions(),
            },
            Self::Composite(one) => Common {
                name: one.alarm_name()?,
                arn: one.alarm_arn().unwrap_or_default(),
                description: one.alarm_description(),
                state: one.state_value(),
                reason: one.state_reason(),
                since: one.state_transitioned_timestamp().or(one.state_updated_timestamp()),
                updated: one.state_updated_timestamp(),
                acts: one.actions_enabled().unwrap_or(true),
                actions: one.alarm_actions(),
            },
        })
    }

    /// Makes the alarm; `None` where it has no name.
    fn alarm(&self, account: &Account, tenancy: &Tenancy) -> Option<Alarm> {
        let common = self.common()?;
        let name = line(Some(common.name));
        let watched = match self {
            Self::Metric(one) => Watched::Metric(watch(one)),
            Self::Composite(one) => Watched::Alarms(line(one.alarm_rule())),
        };
        let suppressed = match self {
            Self::Composite(one) => one.actions_suppressed_by().map(|by| {
                let why = line(one.actions_suppressed_reason());
                let who = one.actions_suppressor().map(|arn| line(Some(after_last(arn)))).unwrap_or_default();
                let parts = [by.as_str(), &who, &why];
                parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ").into()
            }),
            Self::Metric(_) => None,
        };
        let receivers: Vec<Text> = common.actions.iter().map(|arn| receiver(arn)).collect();
        let severity = severity(&common, &receivers);
        let mut muted_by: Vec<Text> = Vec::new();
        if !common.acts {
            muted_by.push("actions switched off".into());
        }
        if let Some(why) = &suppressed {
            muted_by.push(format!("actions suppressed by {why}").into());
        }
        let state = match common.state {
            Some(StateValue::Ok) => AlertState::Resolved,
            Some(StateValue::Alarm) if muted_by.is_empty() => AlertState::Firing,
            Some(StateValue::Alarm) => AlertState::Suppressed,
            // Too little data, or a word that is not known: nobody can tell.
            _ => AlertState::Unknown,
        };
        let labels = labels(&name, &severity, &watched, common.description, tenancy);
        let reason = text(common.reason);
        let mut annotations = vec![];
        let described = text(common.description);
        annotations.push((
            Text::from("summary"),
            if described.trim().is_empty() { reason.clone() } else { described },
        ));
        annotations.push((Text::from("description"), reason.clone()));
        annotations.push((Text::from("dashboard_url"), page(&account.region, &name)));
        let fingerprint = if common.arn.is_empty() { name.clone() } else { line(Some(common.arn)) };
        let alert = Alert {
            generator: Text::from(""),
            fingerprint,
            severity: Severity::read(severity.as_deref()),
            labels,
            annotations: annotations.into_iter().collect(),
            state,
            since: moment(common.since),
            updated: moment(common.updated),
            value: None,
            receivers,
            silenced_by: Vec::new(),
            inhibited_by: Vec::new(),
            muted_by,
            origins: vec![Origin::CloudWatch],
            places: vec![format!("CloudWatch {}", account.region).into()],
            name,
        };
        let evaluation = match self {
            Self::Metric(one) => one.evaluation_state().map(|state| line(Some(state.as_str()))),
            Self::Composite(_) => None,
        };
        Some(Alarm { alert, region: account.region.clone(), watched, reason, suppressed, evaluation })
    }
}

/// Returns the page of an alarm in the console of AWS.
fn page(region: &str, name: &str) -> Text {
    // The console of AWS writes a space as a plus, and leaves slashes.
    let name = crate::sources::percent::escape(name).replace("%20", "+").replace("%2F", "/");
    format!("https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#alarmsV2:alarm/{name}")
        .into()
}

fn after_last(arn: &str) -> &str {
    arn.rsplit([':', '/']).next().unwrap_or(arn)
}

/// Names an action as a receiver: `sns platform-oncall`, `incident checkout`, `lambda page`, `ec2 reboot`.
fn receiver(arn: &str) -> Text {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let named = match parts.as_slice() {
        // arn:aws:automate:<region>:ec2:<action>
        ["arn", _, "automate", _, what, action] => format!("{what} {}", after_last(action)),
        // arn:aws:lambda:<region>:<account>:function:<name>[:<version>]
        ["arn", _, "lambda", _, _, rest] => {
            format!("lambda {}", rest.split(':').nth(1).unwrap_or_else(|| after_last(rest)))
        }
        ["arn", _, "ssm-incidents", _, _, rest] => format!("incident {}", after_last(rest)),
        ["arn", _, "autoscaling", _, _, rest] => {
            format!("scaling {}", rest.rsplit("policyName/").next().unwrap_or(rest))
        }
        ["arn", _, service, _, _, rest] => format!("{service} {}", after_last(rest)),
        _ => arn.to_owned(),
    };
    line(Some(&named))
}

/// Words that say how bad an alarm is, where nothing but its name, its description or its receivers can tell.
const WORDS: [(&str, &[&str]); 3] = [
    (
        "critical",
        &["critical", "crit", "page", "pager", "pagerduty", "sev1", "sev-1", "p1", "urgent", "incident"],
    ),
    ("warning", &["warning", "warn", "sev2", "sev-2", "p2", "major"]),
    ("info", &["info", "information", "notice", "sev3", "sev-3", "p3", "minor"]),
];

/// Finds how bad an alarm is: by `severity=...` of its description, else by a word of name, description or receivers.
fn severity(common: &Common<'_>, receivers: &[Text]) -> Option<String> {
    let description = common.description.unwrap_or_default();
    for mark in ["severity=", "severity:", "Severity=", "Severity:"] {
        if let Some((_, rest)) = description.split_once(mark) {
            let word: String =
                rest.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            if !word.is_empty() {
                return Some(word.to_lowercase());
            }
        }
    }
    let texts: Vec<String> = [common.name, description]
        .into_iter()
        .chain(receivers.iter().map(|receiver| &**receiver))
        .map(str::to_lowercase)
        .collect();
    texts.iter().find_map(|text| {
        let found =
            WORDS.iter().find(|(_, words)| words.iter().any(|word| super::tenancy::holds_word(text, word)));
        found.map(|(severity, _)| (*severity).to_owned())
    })
}

/// Makes the labels: name, severity, dimensions, and what they say in the words of the cluster.
fn labels(
    name: &Text,
    severity: &Option<String>,
    watched: &Watched,
    description: Option<&str>,
    tenancy: &Tenancy,
) -> Labels {
    let mut labels: BTreeMap<Text, Text> = BTreeMap::new();
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            labels.entry(key.into()).or_insert_with(|| value.into());
        }
    };
    put("alertname", name);
    put("severity", severity.as_deref().unwrap_or_default());
    let mut said: Vec<Text> = Vec::new();
    if let Watched::Metric(watch) = watched {
        for part in &watch.parts {
            let PartSource::Metric { namespace, name, dimensions, .. } = &part.source else { continue };
            put("metric", &format!("{namespace} {name}"));
            for (dimension, value) in dimensions {
                put(dimension, value);
                said.push(value.clone());
                if &**namespace != "ContainerInsights" {
                    continue;
                }
                // There `PodName` is the name of the workload, and `FullPodName` that of the pod (contracts 6.3).
                match &**dimension {
                    "Namespace" => put("namespace", value),
                    "FullPodName" => put("pod", value),
                    "PodName" => put("workload", value),
                    "ContainerName" => put("container", value),
                    "NodeName" => put("node", value),
                    "Service" => put("service", value),
                    "ClusterName" => put("cluster", value),
                    _ => {}
                }
            }
        }
    }
    let texts = [&**name].into_iter().chain(said.iter().map(|value| &**value)).chain(description);
    if let Some(namespace) = tenancy.of(texts) {
        put("namespace", namespace);
    }
    labels.into_iter().collect()
}

fn number(value: Option<i32>, least: u32) -> u32 {
    value.and_then(|value| u32::try_from(value).ok()).unwrap_or(least).max(least)
}

/// Reads what an alarm of metrics watches.
fn watch(alarm: &MetricAlarm) -> Watch {
    let parts = if alarm.metrics().is_empty() {
        let stat = alarm.statistic().map(Statistic::as_str).or(alarm.extended_statistic());
        vec![Part {
            id: "m".into(),
            source: PartSource::Metric {
                namespace: line(alarm.namespace()),
                name: line(alarm.metric_name()),
                dimensions: dimensions(alarm.dimensions()),
                stat: line(stat.or(Some("Average"))),
            },
            label: "".into(),
            shown: true,
        }]
    } else {
        alarm.metrics().iter().filter_map(part).collect()
    };
    // A math alarm has the period with its metrics.
    let of_parts = alarm
        .metrics()
        .iter()
        .filter_map(|one| one.period().or_else(|| one.metric_stat().and_then(MetricStat::period)));
    let periods = number(alarm.evaluation_periods(), 1);
    Watch {
        parts,
        period: number(alarm.period().or_else(|| of_parts.max()), 10),
        threshold: alarm.threshold(),
        comparison: line(alarm.comparison_operator().map(ComparisonOperator::as_str)),
        periods,
        datapoints: alarm.datapoints_to_alarm().map_or(periods, |_| number(alarm.datapoints_to_alarm(), 1)),
        missing: line(alarm.treat_missing_data()),
    }
}

/// Reads one line of a question of metric math.
pub(super) fn part(query: &MetricDataQuery) -> Option<Part> {
    let source = if let Some(expression) = query.expression() {
        PartSource::Math(line(Some(expression)))
    } else {
        let stat = query.metric_stat()?;
        let metric = stat.metric()?;
        PartSource::Metric {
            namespace: line(metric.namespace()),
            name: line(metric.metric_name()),
            dimensions: dimensions(metric.dimensions()),
            stat: line(stat.stat()),
        }
    };
    Some(Part {
        id: line(query.id()),
        source,
        label: line(query.label()),
        shown: query.return_data().unwrap_or(true),
    })
}

pub(super) fn dimensions(all: &[Dimension]) -> Vec<(Text, Text)> {
    let mut pairs: Vec<(Text, Text)> = all.iter().map(|one| (line(one.name()), line(one.value()))).collect();
    pairs.sort();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_receivers_by_their_names() {
        for (arn, name) in [
            ("arn:aws:sns:eu-west-1:111122223333:platform-oncall", "sns platform-oncall"),
            ("arn:aws:ssm-incidents::111122223333:response-plan/checkout", "incident checkout"),
            ("arn:aws:lambda:eu-west-1:111122223333:function:page:3", "lambda page"),
            ("arn:aws:automate:eu-west-1:ec2:reboot", "ec2 reboot"),
            (
                "arn:aws:autoscaling:eu-west-1:111122223333:scalingPolicy:1:autoScalingGroupName/a:policyName/grow",
                "scaling grow",
            ),
            ("something else", "something else"),
        ] {
            assert_eq!(&*receiver(arn), name);
        }
    }

    #[test]
    fn how_bad_an_alarm_is_follows_from_what_is_written_of_it() {
        let of = |name: &str, description: &str, receivers: &[&str]| {
            let common = Common {
                name,
                arn: "",
                description: Some(description),
                state: None,
                reason: None,
                since: None,
                updated: None,
                acts: true,
                actions: &[],
            };
            let receivers: Vec<Text> = receivers.iter().map(|one| Text::from(*one)).collect();
            severity(&common, &receivers)
        };
        assert_eq!(of("a", "severity=Critical team=x", &[]).as_deref(), Some("critical"));
        assert_eq!(of("shop-5xx-critical", "", &[]).as_deref(), Some("critical"));
        assert_eq!(of("shop-5xx", "", &["sns platform-warn"]).as_deref(), Some("warning"));
        assert_eq!(of("homepage-latency", "", &[]), None, "a part of a word says nothing");
    }

    // contracts 6.3: `PodName` is the name of the workload.
    #[test]
    fn what_an_alarm_of_container_insights_watches_is_told_in_the_words_of_the_cluster() {
        let pairs = [
            ("ClusterName", "a"),
            ("Namespace", "shop"),
            ("PodName", "checkout"),
            ("FullPodName", "checkout-1"),
        ];
        let dimensions =
            pairs.map(|(name, value)| Dimension::builder().name(name).value(value).build()).to_vec();
        let of = |namespace: &str| {
            let alarm = MetricAlarm::builder()
                .namespace(namespace)
                .metric_name("pod_number_of_container_restarts")
                .set_dimensions(Some(dimensions.clone()))
                .build();
            labels(&"a".into(), &None, &Watched::Metric(watch(&alarm)), None, &Tenancy::default())
        };
        let insights = of("ContainerInsights");
        for (name, value) in
            [("namespace", "shop"), ("workload", "checkout"), ("pod", "checkout-1"), ("cluster", "a")]
        {
            assert_eq!(insights.get(name), Some(value), "{insights:?}");
        }
        // Another service may call something of its own a namespace.
        assert_eq!(of("Custom").get("namespace"), None);
    }

    #[test]
    fn the_page_of_an_alarm_keeps_its_name() {
        let page = page("eu-west-1", "a b/ü");
        assert!(page.ends_with("#alarmsV2:alarm/a+b/%C3%BC"), "{page}");
    }
}
