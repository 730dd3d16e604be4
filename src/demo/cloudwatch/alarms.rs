//! Alarms: which there are, how they stand, and how they came to stand so.
//!
//! The state of an alarm at any moment follows from the points of its metric, so nothing is stored but what a caller set.
//! An evaluation looks at whole periods only.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::catalog::{
    Account, Catalog, Dimension, WEB_ACL, database_id, load_balancer, nat_gateways, target_group,
};
use super::data::{self, Query, What, Window};
use super::math::Points;
use super::rule::Rule;
use super::{ACCOUNT_ID, REGION};
use crate::demo::promql::Samples;

/// How far back the states of alarms are worked out.
const REACH: SignedDuration = SignedDuration::from_hours(3);
/// Namespace of the load balancer's metrics.
const ELB: &str = "AWS/ApplicationELB";

/// How an alarm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is wrong.
    Ok,
    /// The threshold is crossed.
    Alarm,
    /// There are no points to tell from.
    Insufficient,
}

impl State {
    /// Returns the word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::Insufficient => "INSUFFICIENT_DATA",
        }
    }

    /// Reads the word of the API.
    pub fn read(text: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::Insufficient].into_iter().find(|state| state.as_str() == text)
    }
}

/// What an alarm watches.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// A statistic of one metric: namespace, name, dimensions, statistic.
    Stat(&'static str, &'static str, Vec<Dimension>, &'static str),
    /// Arithmetic over statistics of the same namespace and dimensions: parts (id, metric, statistic), the expression and
    /// its label.
    Math(
        &'static str,
        Vec<Dimension>,
        Vec<(&'static str, &'static str, &'static str)>,
        &'static str,
        &'static str,
    ),
}

/// An alarm of one metric or expression.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricAlarm {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it watches.
    pub watched: Watched,
    /// Seconds of a period.
    pub period: i64,
    /// Periods that are looked at, and how many of them must cross.
    pub of: (i64, i64),
    /// The threshold.
    pub threshold: f64,
    /// It is crossed from below, `GreaterThanOrEqualToThreshold`; otherwise from above, `LessThanThreshold`.
    pub above: bool,
    /// `notBreaching`, `breaching` or `missing`.
    pub missing: &'static str,
}

impl MetricAlarm {
    /// Returns the name of the comparison.
    pub fn comparison(&self) -> &'static str {
        if self.above { "GreaterThanOrEqualToThreshold" } else { "LessThanThreshold" }
    }

    fn crosses(&self, value: f64) -> bool {
        if self.above { value >= self.threshold } else { value < self.threshold }
    }
}

/// An alarm of other alarms.
#[derive(Debug, Clone, PartialEq)]
pub struct CompositeAlarm {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it is in alarm.
    pub rule: Rule,
}

/// A change of an alarm's state.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    /// To what.
    pub state: State,
    /// For people.
    pub reason: String,
    /// For programs: JSON; empty for composite alarms.
    pub data: String,
}

/// An alarm with its past.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing<T> {
    /// The alarm.
    pub alarm: T,
    /// Its states, oldest first; never empty.
    pub turns: Vec<Turn>,
}

impl<T> Standing<T> {
    /// Returns the latest change.
    pub fn now(&self) -> Option<&Turn> {
        self.turns.last()
    }

    /// Returns the state at a moment.
    fn at(&self, at: Timestamp) -> State {
        let before = self.turns.iter().rev().find(|turn| turn.at <= at);
        before.or(self.turns.first()).map_or(State::Insufficient, |turn| turn.state)
    }
}

/// All alarms as they stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alarms {
    /// Those of metrics, by name.
    pub metric: Vec<Standing<MetricAlarm>>,
    /// Those of other alarms, by name.
    pub composite: Vec<Standing<CompositeAlarm>>,
}

/// A state that a caller set.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// Name of the alarm.
    pub alarm: String,
    /// The change.
    pub turn: Turn,
}

/// Returns the ARN of an alarm.
pub fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{name}")
}

fn dimension(name: &str, value: String) -> Dimension {
    (name.to_owned(), value)
}

/// Returns the alarms of an account.
pub fn of(account: &Account) -> (Vec<MetricAlarm>, Vec<CompositeAlarm>) {
    let balancer = || vec![dimension("LoadBalancer", load_balancer())];
    let alarm = |name: &str, description: &str, watched, period, of, threshold, above| MetricAlarm {
        name: name.to_owned(),
        description: description.to_owned(),
        watched,
        period,
        of,
        threshold,
        above,
        missing: "notBreaching",
    };
    let ratio = Watched::Math(
        ELB,
        balancer(),
        vec![("errors", "HTTPCode_Target_5XX_Count", "Sum"), ("requests", "RequestCount", "Sum")],
        "100 * FILL(errors, 0) / requests",
        "Share of failed requests in percent",
    );
    let latency = Watched::Stat(ELB, "TargetResponseTime", balancer(), "p95");
    let cluster = vec![dimension("ClusterName", super::catalog::CLUSTER.to_owned())];
    let edge = vec![
        dimension("Region", REGION.to_owned()),
        dimension("Rule", "ALL".to_owned()),
        dimension("WebACL", WEB_ACL.to_owned()),
    ];
    let mut all = vec![
        alarm("platform-edge-5xx-ratio", "More than 5 % of all requests fail.", ratio, 60, (5, 3), 5.0, true),
        alarm(
            "platform-edge-latency-p95",
            "95 % of requests take longer than 2 s.",
            latency,
            60,
            (5, 5),
            2.0,
            true,
        ),
        MetricAlarm {
            missing: "breaching",
            ..alarm(
                "platform-nodes-failed",
                "A node of the cluster is not ready.",
                Watched::Stat("ContainerInsights", "cluster_failed_node_count", cluster, "Maximum"),
                60,
                (3, 3),
                1.0,
                true,
            )
        },
        alarm(
            "platform-waf-blocked",
            "The firewall blocks unusually many requests.",
            Watched::Math(
                "AWS/WAFV2",
                edge,
                vec![("blocked", "BlockedRequests", "Sum"), ("allowed", "AllowedRequests", "Sum")],
                "100 * blocked / allowed",
                "Share of blocked requests in percent",
            ),
            300,
            (1, 1),
            5.0,
            true,
        ),
    ];
    for (zone, id) in nat_gateways().enumerate() {
        let watched = Watched::Stat(
            "AWS/NATGateway",
            "ErrorPortAllocation",
            vec![dimension("NatGatewayId", id)],
            "Sum",
        );
        let name = format!("platform-nat-{}-ports", ["a", "b", "c"].get(zone).unwrap_or(&"x"));
        all.push(alarm(&name, "A NAT gateway runs out of ports.", watched, 300, (1, 1), 1.0, true));
    }
    for (namespace, ingress) in account.ingresses() {
        let mut dimensions = balancer();
        dimensions.push(dimension("TargetGroup", target_group(namespace, ingress)));
        let watched = Watched::Stat(ELB, "HTTPCode_Target_5XX_Count", dimensions, "Sum");
        let name = format!("{namespace}-{ingress}-5xx");
        let description = format!("{ingress} of {namespace} answers with server errors.");
        all.push(alarm(&name, &description, watched, 60, (5, 3), 25.0, true));
    }
    for namespace in account.databases() {
        let of = |name| {
            let dimensions = vec![dimension("DBInstanceIdentifier", database_id(namespace))];
            Watched::Stat("AWS/RDS", name, dimensions, "Average")
        };
        let busy = format!("The database of {namespace} is busy.");
        all.push(alarm(
            &format!("{namespace}-postgres-cpu"),
            &busy,
            of("CPUUtilization"),
            300,
            (3, 3),
            85.0,
            true,
        ));
        all.push(MetricAlarm {
            missing: "missing",
            ..alarm(
                &format!("{namespace}-postgres-storage"),
                &format!("The database of {namespace} runs out of space."),
                of("FreeStorageSpace"),
                300,
                (1, 1),
                5e9,
                false,
            )
        });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all.dedup_by(|one, other| one.name == other.name);
    let composite = CompositeAlarm {
        name: "platform-edge-degraded".to_owned(),
        description: "Customers notice: requests fail or take long.".to_owned(),
        rule: Rule::Any(vec![
            Rule::Is(State::Alarm, "platform-edge-5xx-ratio".to_owned()),
            Rule::Is(State::Alarm, "platform-edge-latency-p95".to_owned()),
        ]),
    };
    let mut composites = vec![composite];
    for namespace in account.databases() {
        let parts: Vec<Rule> = account
            .ingresses()
            .filter(|(space, _)| *space == namespace)
            .map(|(_, ingress)| Rule::Is(State::Alarm, format!("{namespace}-{ingress}-5xx")))
            .collect();
        if !parts.is_empty() {
            composites.push(CompositeAlarm {
                name: format!("{namespace}-user-impact"),
                description: format!("Users of {namespace} get errors."),
                rule: Rule::Any(parts),
            });
        }
    }
    composites.sort_by(|one, other| one.name.cmp(&other.name));
    (all, composites)
}

/// Works out how all alarms stand and came to stand so.
pub fn evaluate(
    samples: &dyn Samples,
    account: &Account,
    catalog: &Catalog,
    set: &[Set],
    now: Timestamp,
) -> Alarms {
    let (metric, composite) = of(account);
    let metric: Vec<Standing<MetricAlarm>> = metric
        .into_iter()
        .map(|alarm| {
            let mut turns = turns(samples, catalog, &alarm, now);
            for one in set.iter().filter(|one| one.alarm == alarm.name) {
                overrule(&mut turns, &one.turn, Some(next(one.turn.at, alarm.period)), now);
            }
            Standing { alarm, turns }
        })
        .collect();
    let composite = composite
        .into_iter()
        .map(|alarm| {
            let mut turns = composite_turns(&alarm, &metric, now);
            for one in set.iter().filter(|one| one.alarm == alarm.name) {
                overrule(&mut turns, &one.turn, None, now);
            }
            Standing { alarm, turns }
        })
        .collect();
    Alarms { metric, composite }
}

/// Returns the end of the period in which a moment lies.
fn next(at: Timestamp, period: i64) -> Timestamp {
    let end = (at.as_second().div_euclid(period) + 1) * period;
    Timestamp::from_second(end).unwrap_or(at)
}

/// Puts a state that was set between the real ones: it holds until the next evaluation, or until the next real change.
fn overrule(turns: &mut Vec<Turn>, set: &Turn, until: Option<Timestamp>, now: Timestamp) {
    let real = turns.iter().rev().find(|turn| turn.at <= set.at).cloned();
    let index = turns.iter().position(|turn| turn.at > set.at).unwrap_or(turns.len());
    turns.insert(index, set.clone());
    let (Some(until), Some(real)) = (until.filter(|until| *until <= now), real) else { return };
    // What changed in between is what it comes back to.
    let back =
        turns.iter().skip(index + 1).take_while(|turn| turn.at <= until).last().cloned().unwrap_or(real);
    turns.retain(|turn| turn.at <= set.at || turn.at > until);
    if back.state != set.state {
        let at = turns.iter().position(|turn| turn.at > set.at).unwrap_or(turns.len());
        turns.insert(at, Turn { at: until, ..back });
    }
}

/// Returns the points of what an alarm watches.
fn watched(
    samples: &dyn Samples,
    catalog: &Catalog,
    alarm: &MetricAlarm,
    (start, end): (Timestamp, Timestamp),
    now: Timestamp,
) -> Points {
    let find = |namespace: &str, name: &str, dimensions: &[Dimension]| {
        catalog.find(namespace, name, dimensions.to_vec()).cloned()
    };
    match &alarm.watched {
        Watched::Stat(namespace, name, dimensions, stat) => {
            let (Some(metric), Some(window)) =
                (find(namespace, name, dimensions), Window::new(start, end, alarm.period, now))
            else {
                return Points::new();
            };
            data::points(samples, &metric, stat, window).unwrap_or_default()
        }
        Watched::Math(namespace, dimensions, parts, expression, _) => {
            let query =
                |id: &str, what, returned| Query { id: id.to_owned(), label: String::new(), what, returned };
            let mut queries: Vec<Query> = parts
                .iter()
                .map(|(id, name, stat)| {
                    let metric = find(namespace, name, dimensions);
                    query(id, What::Stat(metric, (*stat).to_owned(), alarm.period), false)
                })
                .collect();
            queries.push(query("result", What::Math((*expression).to_owned()), true));
            let answered = data::answer(samples, &queries, (start, end), now);
            answered.into_iter().flat_map(|one| one.points).collect()
        }
    }
}

fn turns(samples: &dyn Samples, catalog: &Catalog, alarm: &MetricAlarm, now: Timestamp) -> Vec<Turn> {
    let period = alarm.period;
    let last = now.as_second().div_euclid(period) * period;
    let first = (last - REACH.as_secs()).div_euclid(period) * period;
    let moment = |seconds: i64| Timestamp::from_second(seconds).unwrap_or(now);
    let (of, least) = alarm.of;
    let points = watched(samples, catalog, alarm, (moment(first - of * period), moment(last)), now);
    let created = Turn {
        at: moment(first - 30 * 86_400),
        state: State::Insufficient,
        reason: "Unchecked: Initial alarm creation".to_owned(),
        data: String::new(),
    };
    let mut turns = vec![created];
    for end in (0..=(last - first) / period).map(|step| first + step * period) {
        let periods: Vec<i64> = (1..=of).map(|back| end - back * period).collect();
        let seen: Vec<(i64, f64)> = periods.iter().filter_map(|at| Some((*at, *points.get(at)?))).collect();
        let absent = periods.len() - seen.len();
        let crossing = seen.iter().filter(|(_, value)| alarm.crosses(*value)).count()
            + if alarm.missing == "breaching" { absent } else { 0 };
        let state = if seen.is_empty() && alarm.missing == "missing" {
            State::Insufficient
        } else if crossing as i64 >= least {
            State::Alarm
        } else {
            State::Ok
        };
        if turns.last().is_some_and(|turn| turn.state != state) {
            // The first evaluation stands for the alarm's whole life before.
            let at = if turns.len() == 1 { turns[0].at } else { moment(end) };
            turns.push(Turn {
                at,
                state,
                reason: reason(alarm, state, &seen, crossing),
                data: reason_data(alarm, end, &seen),
            });
        }
    }
    turns
}

fn reason(alarm: &MetricAlarm, state: State, seen: &[(i64, f64)], crossing: usize) -> String {
    if seen.is_empty() {
        return format!(
            "{}: no datapoints were received for {} period{} and {} missing datapoint{} {} treated as [{}].",
            if state == State::Insufficient { "Insufficient Data" } else { "Threshold Crossed" },
            alarm.of.0,
            if alarm.of.0 == 1 { "" } else { "s" },
            alarm.of.0,
            if alarm.of.0 == 1 { "" } else { "s" },
            if alarm.of.0 == 1 { "was" } else { "were" },
            match alarm.missing {
                "breaching" => "Breaching",
                "notBreaching" => "NonBreaching",
                _ => "Missing",
            },
        );
    }
    let words = if alarm.above { "greater than or equal to" } else { "less than" };
    let not = if state == State::Alarm { "" } else { "not " };
    let count = if state == State::Alarm { crossing } else { seen.len() - crossing.min(seen.len()) };
    let list: Vec<String> = seen
        .iter()
        .map(|(at, value)| {
            let at = Timestamp::from_second(*at).unwrap_or_default();
            format!("{value:?} ({})", at.strftime("%d/%m/%y %H:%M:%S"))
        })
        .collect();
    format!(
        "Threshold Crossed: {count} out of the last {} datapoints [{}] {} {not}{words} the threshold ({:?}).",
        alarm.of.0,
        list.join(", "),
        if count == 1 { "was" } else { "were" },
        alarm.threshold,
    )
}

fn reason_data(alarm: &MetricAlarm, end: i64, seen: &[(i64, f64)]) -> String {
    let written = |seconds: i64| {
        Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
    };
    let mut data = json!({
        "version": "1.0", "queryDate": written(end), "startDate": written(end - alarm.of.0 * alarm.period),
        "period": alarm.period, "threshold": alarm.threshold,
        "recentDatapoints": seen.iter().rev().map(|(_, value)| value).collect::<Vec<_>>(),
        "evaluatedDatapoints": seen.iter().map(|(at, value)| json!({"timestamp": written(*at), "value": value})).collect::<Vec<_>>(),
    });
    if let Watched::Stat(.., stat) = &alarm.watched {
        data["statistic"] = json!(stat);
    }
    data.to_string()
}

fn composite_turns(alarm: &CompositeAlarm, metric: &[Standing<MetricAlarm>], now: Timestamp) -> Vec<Turn> {
    let by_name: BTreeMap<&str, &Standing<MetricAlarm>> =
        metric.iter().map(|standing| (standing.alarm.name.as_str(), standing)).collect();
    let mut moments: Vec<Timestamp> = alarm
        .rule
        .names()
        .into_iter()
        .filter_map(|name| by_name.get(name))
        .flat_map(|standing| standing.turns.iter().map(|turn| turn.at))
        .filter(|at| *at <= now)
        .collect();
    moments.sort();
    moments.dedup();
    let mut turns: Vec<Turn> = Vec::new();
    for at in moments {
        let state_of = |name: &str| by_name.get(name).map(|standing| standing.at(at));
        let state = if alarm.rule.holds(&state_of) { State::Alarm } else { State::Ok };
        if turns.last().is_none_or(|turn| turn.state != state) {
            let cause = alarm.rule.names().into_iter().find(|name| {
                by_name.get(name).is_some_and(|standing| standing.turns.iter().any(|turn| turn.at == at))
            });
            let cause = cause.unwrap_or(&alarm.name);
            let reason = format!(
                "{} transitioned to {} at {}",
                arn(cause),
                state_of(cause).unwrap_or(State::Insufficient).as_str(),
                at.strftime("%A %d %B, %Y %H:%M:%S UTC"),
            );
            turns.push(Turn { at, state, reason, data: String::new() });
        }
    }
    turns
}
