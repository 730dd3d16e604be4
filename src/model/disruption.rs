//! Why Karpenter does, or does not, take a node away: what asks for it, what keeps it, what it costs.
//!
//! The rules are Karpenter's (contracts 2.2 to 2.5). What cannot be concluded from what is listed is said to be
//! unknown; nothing here predicts what Karpenter will choose, only what it may and may not do now.

use std::collections::BTreeMap;

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::human;
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::batch::Budget;
use crate::kinds::cluster::{Event, Node, capacity_type};
use crate::kinds::karpenter::{BudgetRule, NodeClaim, NodePool};
use crate::kinds::pods::Pod;
use crate::kinds::{Cell, Health, Lens, Meta, Object};
use crate::signals::{Answer, Ask, Wanted};
use crate::sources::SourceError;

/// The estimate that Karpenter itself goes by (contracts 2.6).
const PRICES: &str = "karpenter_cloudprovider_instance_type_offering_price_estimate";

/// The table for where no metric is: dated, and on demand alone.
const TABLE: &str = include_str!("../../assets/prices.toml");

/// Seconds between the notice of EC2 and the end of a spot instance.
const NOTICE: i64 = 120;

/// The reasons for which a budget is asked.
const REASONS: [&str; 3] = ["Drifted", "Underutilized", "Empty"];

/// How many names a sentence has before the rest is counted.
const NAMES: usize = 5;

/// One thing that is known about the disruption of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is about, in a word or two.
    pub name: String,
    /// What holds, short.
    pub value: Cell,
    /// The evidence, where there is more to say.
    pub words: Option<String>,
}

impl Finding {
    fn new(name: impl Into<String>, health: Health, text: impl Into<String>) -> Self {
        let value = Cell::Status { text: Text::from(text.into()), health };
        Self { name: name.into(), value, words: None }
    }

    fn because(mut self, words: impl Into<String>) -> Self {
        self.words = Some(words.into());
        self
    }
}

/// Returns what has to be asked so that the prices of nodes are known.
pub fn ask(context: &crate::identity::Context) -> Ask {
    Ask { context: context.clone(), wanted: Wanted::Instant { query: Text::from(PRICES), at: None } }
}

/// The types that must be listed so that a node or claim can be explained.
pub const NEEDS: &[(&str, &str)] = &[
    ("", "nodes"),
    ("", "pods"),
    ("policy", "poddisruptionbudgets"),
    ("karpenter.sh", "nodeclaims"),
    ("karpenter.sh", "nodepools"),
];

/// Tells whether there is anything to explain about a type.
pub fn concerns(resource: &Resource) -> bool {
    matches!((&*resource.group, &*resource.plural), ("", "nodes") | ("karpenter.sh", "nodeclaims"))
}

/// Tells whether a budget counts at a time: always, or for a while after each time of its schedule, in UTC.
///
/// `None` where it cannot be read: Karpenter then allows nothing.
pub fn is_active(rule: &BudgetRule, now: Timestamp) -> Option<bool> {
    if rule.schedule.is_empty() {
        return Some(true);
    }
    let length = human::parse_span(&rule.duration).filter(|length| *length > 0.0)?;
    let cron = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(&rule.schedule)
        .ok()?;
    let length = SignedDuration::try_from_secs_f64(length).ok()?;
    let from = now.checked_sub(length).ok()?.to_zoned(TimeZone::UTC);
    Some(cron.find_next_occurrence(&from, false).is_ok_and(|next| next.timestamp() <= now))
}

/// How many nodes a budget lets go of so many; percentages are rounded up.
fn most(rule: &BudgetRule, total: i64) -> Option<i64> {
    match rule.nodes.strip_suffix('%') {
        Some(share) => {
            let share: f64 = share.trim().parse().ok()?;
            // Off by a little: 10 % of 10 is one, not two.
            Some((share / 100.0 * total as f64 - 1e-9).ceil() as i64)
        }
        None => rule.nodes.trim().parse().ok(),
    }
}

/// What is left of a pool's budgets for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// How many more nodes may go now.
    pub nodes: i64,
    /// The budget that decides, as it is written; `None` where none is active.
    pub by: Option<String>,
}

/// Works out how many nodes of a pool may go now: the least of the active budgets for the reason, less those that are
/// going or not ready already (contracts 2.4).
pub fn left(rules: &[BudgetRule], reason: &str, total: i64, going: i64, now: Timestamp) -> Left {
    let shipped = [BudgetRule { nodes: Text::from("10%"), ..BudgetRule::default() }];
    let rules = if rules.is_empty() { &shipped[..] } else { rules };
    let mut least: Option<(i64, String)> = None;
    for rule in rules {
        if !rule.reasons.is_empty() && !rule.reasons.iter().any(|one| &**one == reason) {
            continue;
        }
        let allowed = match is_active(rule, now) {
            Some(false) => continue,
            Some(true) => most(rule, total).unwrap_or(0),
            // What cannot be read allows nothing: it fails closed.
            None => 0,
        };
        if least.as_ref().is_none_or(|(known, _)| allowed < *known) {
            least = Some((allowed, rule.text()));
        }
    }
    match least {
        Some((allowed, by)) => Left { nodes: (allowed - going).max(0), by: Some(by) },
        None => Left { nodes: (total - going).max(0), by: None },
    }
}

/// What is known of one node and what stands around it.
struct Around<'a> {
    node: Option<&'a Object>,
    claim: Option<&'a Object>,
    pool: Option<&'a Object>,
    /// The pods on the node that are not of `DaemonSets` and have not ended.
    pods: Vec<&'a Object>,
}

fn object<'a>(lens: &Lens<'a>, group: &str, plural: &str, name: &str) -> Option<&'a Object> {
    let resource = Resource::new(group, plural);
    let found = lens.store.object(&lens.object(&resource, None, &Text::from(name)))?;
    Some(found)
}

fn all<'a>(lens: &Lens<'a>, group: &str, plural: &str) -> impl Iterator<Item = &'a Object> {
    let query = crate::store::Query::all(lens.context, &Resource::new(group, plural));
    lens.store.shelf(&query).into_iter().flat_map(crate::store::Shelf::iter).map(|(_, object)| &**object)
}

impl<'a> Around<'a> {
    fn of(lens: &Lens<'a>, shown: &ObjectRef) -> Self {
        let is_claim = &*shown.resource.plural == "nodeclaims";
        let (node, claim) = if is_claim {
            let claim = object(lens, "karpenter.sh", "nodeclaims", &shown.name);
            let node = claim.and_then(|claim| claim.body::<NodeClaim>()?.node.clone());
            (node.and_then(|node| object(lens, "", "nodes", &node)), claim)
        } else {
            let node = object(lens, "", "nodes", &shown.name);
            let claim = all(lens, "karpenter.sh", "nodeclaims").find(|claim| {
                claim.body::<NodeClaim>().is_some_and(|body| body.node.as_ref() == Some(&shown.name))
            });
            (node, claim)
        };
        let pool = claim
            .or(node)
            .and_then(|object| object.meta.label("karpenter.sh/nodepool"))
            .and_then(|pool| object(lens, "karpenter.sh", "nodepools", pool));
        let pods = node.map_or_else(Vec::new, |node| {
            let here = |pod: &&Object| {
                pod.body::<Pod>()
                    .is_some_and(|body| body.node.as_ref() == Some(&node.meta.name) && !body.is_finished())
                    && !pod.meta.owners.iter().any(|owner| matches!(&*owner.kind, "DaemonSet" | "Node"))
            };
            all(lens, "", "pods").filter(here).collect()
        });
        Self { node, claim, pool, pods }
    }

    fn claim(&self) -> Option<&'a NodeClaim> {
        self.claim?.body::<NodeClaim>()
    }
}

fn called(meta: &Meta) -> String {
    match &meta.namespace {
        Some(namespace) => format!("{namespace}/{}", meta.name),
        None => meta.name.to_string(),
    }
}

fn named(names: &[String]) -> String {
    let (first, rest) = names.split_at(names.len().min(NAMES));
    if rest.is_empty() { first.join(", ") } else { format!("{} and {} more", first.join(", "), rest.len()) }
}

/// Explains why Karpenter does or does not take a node away; the object is the node or its claim.
pub fn explain(lens: &Lens<'_>, shown: &ObjectRef) -> Vec<Finding> {
    let around = Around::of(lens, shown);
    let Some(claim) = around.claim() else {
        let claims = crate::store::Query::all(lens.context, &Resource::new("karpenter.sh", "nodeclaims"));
        let feed = lens.store.shelf(&claims).map(crate::store::Shelf::feed);
        if feed.is_some_and(|feed| matches!(feed.error(), Some(SourceError::Missing { .. }))) {
            // Karpenter is not installed.
            return Vec::new();
        }
        return match around.node {
            Some(_) if !feed.is_some_and(crate::store::Feed::is_complete) => {
                vec![
                    Finding::new("disruption", Health::Unknown, "not known")
                        .because("The NodeClaims are not listed, or not yet."),
                ]
            }
            Some(_) => vec![
                Finding::new("karpenter", Health::Idle, "does not own it")
                    .because("No NodeClaim has become this node: nobody takes it away of his own accord."),
            ],
            None => Vec::new(),
        };
    };
    let mut findings = Vec::new();
    findings.extend(notice(lens, &around));
    let asks = asking(&around, claim);
    let keeps = keeping(lens, &around);
    let budgets = budgets(lens, &around);
    findings.push(verdict(&around, claim, asks, &keeps, &budgets));
    findings.extend(unlisted(lens));
    if let Some(meta) = around.claim.map(|claim| &claim.meta) {
        if let Some(deadline) = claim.deadline {
            findings.push(
                Finding { name: "by force".to_owned(), value: Cell::Age(deadline), words: None }
                    .because("Then budgets and do-not-disrupt no longer count."),
            );
        } else if let Some(expires) = claim.expires(meta) {
            findings.push(
                Finding { name: "expires".to_owned(), value: Cell::Age(expires), words: None }
                    .because("Expiry is forceful: it asks no budget and no do-not-disrupt of the node."),
            );
        }
    }
    findings.extend(keeps);
    findings.extend(budgets.into_iter().map(|(_, finding)| finding));
    findings.extend(price(lens, &around));
    findings
}

/// Names what is not listed, or not yet whole: what it would tell is missing from the rest.
fn unlisted(lens: &Lens<'_>) -> Option<Finding> {
    let missing: Vec<String> = NEEDS
        .iter()
        .filter(|(group, plural)| lens.whole(&Resource::new(group, plural)).is_none())
        .map(|(_, plural)| (*plural).to_owned())
        .collect();
    let text = "what follows is not complete";
    let words = format!("Not listed, or not yet: {}.", missing.join(", "));
    (!missing.is_empty()).then(|| Finding::new("not known", Health::Unknown, text).because(words))
}

/// The notice of a spot interruption, with the time that is left and whose pods are there.
fn notice(lens: &Lens<'_>, around: &Around<'_>) -> Option<Finding> {
    let uids: Vec<&Text> =
        [around.node, around.claim].into_iter().flatten().map(|one| &one.meta.uid).collect();
    let last = all(lens, "", "events")
        .filter_map(|event| event.body::<Event>())
        .filter(|event| &*event.reason == "SpotInterrupted")
        .filter(|event| event.object_uid.as_ref().is_some_and(|uid| uids.contains(&uid)))
        .filter_map(|event| event.last)
        .max()?;
    let end = Timestamp::from_second(last.as_second().saturating_add(NOTICE)).ok()?;
    let whose = tenants(lens, &around.pods);
    let words = if end > lens.now {
        format!("AWS takes the machine back about two minutes after its notice. On it: {whose}.")
    } else {
        format!("The two minutes of AWS' notice are over. On it: {whose}.")
    };
    let value = Cell::Age(end);
    Some(Finding { name: "taken back".to_owned(), value, words: Some(words) })
}

/// Says whose the pods are: `tenant-1 (3), kube-system (1)`.
fn tenants(lens: &Lens<'_>, pods: &[&Object]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for pod in pods {
        let namespace = pod.meta.namespace.as_deref().unwrap_or_default();
        let whose = lens.tenants.of_namespace(namespace).map_or(namespace, |tenant| &**tenant);
        *counts.entry(whose.to_owned()).or_default() += 1;
    }
    if counts.is_empty() {
        return "no pod that has to move".to_owned();
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(name, pods)| (std::cmp::Reverse(*pods), name.clone()));
    named(&counts.into_iter().map(|(name, pods)| format!("{name} ({pods})")).collect::<Vec<_>>())
}

/// What asks for the end of a node: the reason that a budget would be asked for.
fn asking(around: &Around<'_>, claim: &NodeClaim) -> Option<&'static str> {
    if claim.drifted.is_some() {
        Some("Drifted")
    } else if !claim.consolidatable {
        None
    } else if around.pods.is_empty() {
        Some("Empty")
    } else {
        Some("Underutilized")
    }
}

/// Says what a cause of drift means (contracts 2.2).
fn drift(reason: &str) -> &'static str {
    match reason {
        "NodePoolDrifted" => "its pool has another template now",
        "RequirementsDrifted" => "its pool no longer wants such machines",
        "InstanceTypeNotFound" => "its instance type is no longer offered",
        "AMIDrift" => "its class selects another machine image now",
        "SubnetDrift" => "its subnet is no longer selected",
        "SecurityGroupDrift" => "its security groups are no longer those of its class",
        "CapacityReservationDrift" => "its capacity reservation is no longer selected",
        "PlacementGroupDrift" => "its placement group is no longer selected",
        "NodeClassDrift" => "its class was changed",
        _ => "it no longer fits its pool or class",
    }
}

fn verdict(
    around: &Around<'_>,
    claim: &NodeClaim,
    asks: Option<&str>,
    keeps: &[Finding],
    budgets: &[(&'static str, Finding)],
) -> Finding {
    let going = around.claim.is_some_and(|claim| claim.meta.deleted.is_some());
    let cause = claim.drifted.as_deref().map(|reason| format!("{reason}: {}", drift(reason)));
    if going {
        let why =
            claim.disrupted.as_deref().unwrap_or("somebody deleted the claim, or the machine is taken back");
        return Finding::new("disruption", Health::Progressing, "it is being taken away")
            .because(cause.unwrap_or_else(|| why.to_owned()));
    }
    let Some(reason) = asks else {
        return Finding::new("disruption", Health::Healthy, "nothing asks for it").because(
            "Not drifted, and Karpenter has not marked it as one that could be saved (Consolidatable).",
        );
    };
    let what = match reason {
        "Drifted" => "drifted",
        "Empty" => "no pod needs it",
        _ => "may be consolidated",
    };
    let closed = budgets.iter().any(|(of, finding)| {
        *of == reason && matches!(&finding.value, Cell::Status { health: Health::Warning, .. })
    });
    let finding = if !keeps.is_empty() {
        Finding::new("disruption", Health::Warning, format!("{what}, and kept"))
    } else if closed {
        Finding::new("disruption", Health::Warning, format!("{what}, and no budget is left"))
    } else if reason == "Underutilized" {
        // Whether its pods fit on fewer or cheaper machines only Karpenter works out.
        Finding::new("disruption", Health::Idle, format!("{what}, if that saves something"))
    } else {
        Finding::new("disruption", Health::Progressing, format!("{what}, goes next"))
    };
    match cause {
        Some(cause) => finding.because(cause),
        None => finding,
    }
}

/// What keeps Karpenter from taking the node away of its own accord.
fn keeping(lens: &Lens<'_>, around: &Around<'_>) -> Vec<Finding> {
    let mut keeps = Vec::new();
    let kept = |name: &str, text: String| Finding::new(name.to_owned(), Health::Warning, text);
    if around.node.and_then(|node| node.body::<Node>()).is_some_and(|node| node.do_not_disrupt) {
        keeps.push(kept("kept by", "karpenter.sh/do-not-disrupt on the node".to_owned()));
    }
    let held: Vec<String> = around
        .pods
        .iter()
        .filter(|pod| pod.body::<Pod>().is_some_and(|body| body.is_held(lens.now)))
        .map(|pod| called(&pod.meta))
        .collect();
    if !held.is_empty() {
        let count = if held.len() == 1 { "1 pod".to_owned() } else { format!("{} pods", held.len()) };
        keeps.push(kept("kept by", format!("{count} with do-not-disrupt")).because(named(&held)));
    }
    for budget in all(lens, "policy", "poddisruptionbudgets") {
        let Some(body) = budget.body::<Budget>().filter(|body| body.allowed == 0) else { continue };
        let covers = |pod: &&&Object| {
            pod.meta.namespace == budget.meta.namespace
                && !body.selector.is_empty()
                && body.selector.iter().all(|(key, value)| pod.meta.label(key) == Some(value))
        };
        let pods: Vec<String> = around.pods.iter().filter(covers).map(|pod| called(&pod.meta)).collect();
        if !pods.is_empty() {
            let words =
                format!("needs {} healthy, has {}; here: {}", body.desired, body.healthy, named(&pods));
            keeps.push(kept("kept by", format!("budget {}", called(&budget.meta))).because(words));
        }
    }
    keeps
}

/// What is left of the pool's budgets, reason by reason.
fn budgets(lens: &Lens<'_>, around: &Around<'_>) -> Vec<(&'static str, Finding)> {
    let Some((pool, body)) = around.pool.and_then(|pool| Some((pool, pool.body::<NodePool>()?))) else {
        return Vec::new();
    };
    let (mut total, mut going) = (0, 0);
    for claim in all(lens, "karpenter.sh", "nodeclaims") {
        let Some(one) = claim.body::<NodeClaim>() else { continue };
        if claim.meta.label("karpenter.sh/nodepool") != Some(&pool.meta.name) || one.stage != "Ready" {
            continue;
        }
        total += 1;
        let node = one.node.as_deref().and_then(|node| object(lens, "", "nodes", node));
        let ready = node.and_then(|node| node.body::<Node>()).is_some_and(|node| &*node.ready == "True");
        going += i64::from(claim.meta.deleted.is_some() || one.disrupted.is_some() || !ready);
    }
    REASONS
        .into_iter()
        .map(|reason| {
            let left = left(&body.rules, reason, total, going, lens.now);
            let health = if left.nodes > 0 { Health::Healthy } else { Health::Warning };
            let nodes =
                |number: i64| if number == 1 { "1 node".to_owned() } else { format!("{number} nodes") };
            let finding =
                Finding::new(reason.to_lowercase(), health, format!("{} may go now", nodes(left.nodes)));
            let by = left.by.map_or_else(|| "no budget is active".to_owned(), |by| format!("budget {by}"));
            let words =
                format!("{by}; pool {} has {}, {going} going or not ready", pool.meta.name, nodes(total));
            (reason, if health == Health::Warning { finding.because(words) } else { finding })
        })
        .collect()
}

/// The price of a machine for an hour, and where it is from.
#[derive(Debug, Clone, PartialEq)]
struct Price {
    dollars: f64,
    /// Empty for Karpenter's own estimate.
    from: String,
}

fn price_of(lens: &Lens<'_>, meta: &Meta) -> Option<Price> {
    let kind = meta.label("node.kubernetes.io/instance-type")?;
    let capacity = capacity_type(meta)?;
    let zone = meta.label("topology.kubernetes.io/zone");
    let reading = lens.store.reading(&ask(lens.context));
    if let Some(Answer::Series(series)) = reading.and_then(|one| one.told.as_ref()).map(|told| &told.answer) {
        let estimate = series.iter().find(|one| {
            one.labels.get("instance_type") == Some(kind)
                && one.labels.get("capacity_type") == Some(&*capacity)
                && zone.is_none_or(|zone| one.labels.get("zone") == Some(zone))
        });
        if let Some(dollars) = estimate.and_then(crate::signals::Series::last) {
            return Some(Price { dollars, from: String::new() });
        }
    }
    // Spot prices move with the hour: a table of them would be wrong.
    (&*capacity == "on-demand").then(|| table(kind)).flatten()
}

#[derive(serde::Deserialize)]
struct Table {
    date: String,
    region: String,
    large: BTreeMap<String, f64>,
}

/// Looks a machine up in the dated table: the families are priced by their `large`, and others by their size.
fn table(kind: &str) -> Option<Price> {
    let (family, size) = kind.split_once('.')?;
    let table: Table = toml::from_str(TABLE).ok()?;
    let times = match size {
        "medium" => 0.5,
        "large" => 1.0,
        "xlarge" => 2.0,
        _ => 2.0 * size.strip_suffix("xlarge")?.parse::<f64>().ok()?,
    };
    let dollars = table.large.get(family)? * times;
    Some(Price { dollars, from: format!(", on demand in {}, table of {}", table.region, table.date) })
}

/// What the machine costs, and what the one that takes its place does.
fn price(lens: &Lens<'_>, around: &Around<'_>) -> Option<Finding> {
    let meta = around.claim.or(around.node).map(|one| &one.meta)?;
    let before = price_of(lens, meta)?;
    let text = format!("${:.4} an hour{}", before.dollars, before.from);
    let finding = Finding::new("price", Health::Idle, text);
    let Some((claim, since)) = around.claim.and_then(|claim| Some((claim, claim.meta.deleted?))) else {
        return Some(finding);
    };
    let pool = claim.meta.label("karpenter.sh/nodepool");
    // What came within a quarter of an hour around the end of this one stands in its place.
    let near = |other: &&Object| {
        other.meta.uid != claim.meta.uid
            && other.meta.label("karpenter.sh/nodepool") == pool
            && other.meta.created.is_some_and(|at| (at.as_second() - since.as_second()).abs() < 900)
    };
    let after = all(lens, "karpenter.sh", "nodeclaims").filter(near).max_by_key(|one| one.meta.created);
    let Some(after) = after else { return Some(finding) };
    let Some(cost) = price_of(lens, &after.meta) else { return Some(finding) };
    Some(finding.because(format!("{} came since, at ${:.4} an hour", after.meta.name, cost.dollars)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(nodes: &str, reasons: &[&str], schedule: &str, duration: &str) -> BudgetRule {
        BudgetRule {
            nodes: Text::from(nodes),
            reasons: reasons.iter().map(|reason| Text::from(*reason)).collect(),
            schedule: Text::from(schedule),
            duration: Text::from(duration),
        }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    // contracts 2.4: the least of the active budgets, percentages rounded up, less what is going; never below nought.
    #[test]
    fn the_least_of_the_active_budgets_decides() {
        let now = at("2026-01-05T12:00:00Z");
        let nodes =
            |rules: &[BudgetRule], reason: &str, total, going| left(rules, reason, total, going, now).nodes;
        assert_eq!(nodes(&[], "Drifted", 11, 0), 2, "10 % without any, rounded up");
        assert_eq!(nodes(&[], "Drifted", 10, 0), 1);
        assert_eq!(nodes(&[], "Drifted", 11, 3), 0);
        let rules = [rule("50%", &[], "", ""), rule("1", &["Drifted"], "", "")];
        assert_eq!(nodes(&rules, "Drifted", 10, 0), 1);
        assert_eq!(nodes(&rules, "Empty", 10, 0), 5);
        assert_eq!(left(&rules, "Drifted", 10, 0, now).by.as_deref(), Some("1 Drifted"));
        assert_eq!(nodes(&[rule("many", &[], "", "")], "Empty", 10, 0), 0, "it fails closed");
        assert_eq!(nodes(&[rule("5", &[], "no cron", "1h")], "Empty", 10, 0), 0);
    }

    #[test]
    fn a_scheduled_budget_counts_for_its_time_in_utc() {
        let day = rule("0", &[], "0 9 * * mon-fri", "8h");
        assert_eq!(is_active(&day, at("2026-01-05T12:00:00Z")), Some(true), "a Monday");
        assert_eq!(is_active(&day, at("2026-01-05T08:59:00Z")), Some(false));
        assert_eq!(is_active(&day, at("2026-01-05T17:30:00Z")), Some(false));
        assert_eq!(is_active(&day, at("2026-01-04T12:00:00Z")), Some(false), "a Sunday");
        let night = left(&[day], "Empty", 10, 2, at("2026-01-05T20:00:00Z"));
        assert_eq!((night.nodes, night.by), (8, None));
    }

    #[test]
    fn the_table_is_dated_and_scales_with_the_size() {
        let large = table("m7i.large").unwrap();
        let four = table("m7i.4xlarge").unwrap();
        assert!((four.dollars - 8.0 * large.dollars).abs() < 1e-9);
        assert!(large.from.contains("table of 20"), "{}", large.from);
        assert_eq!(table("m7i.metal-24xl"), None);
        assert_eq!(table("unheard.large"), None);
    }
}
