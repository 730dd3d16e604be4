//! Machines on demand: Karpenter's pools, claims and classes.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decode::Slim;
use super::kind::Row;
use super::wire::{Amounts, Opt, Str, Wire, WireCondition, as_str, own, share};
use super::{Cell, Column, Health, Kind, Link, Meta, Pool, Shape, Unit};
use crate::human;
use crate::identity::{Resource, Text};

pub(super) fn kinds() -> Vec<Kind> {
    vec![pools(), claims(), classes()]
}

const GROUP: &str = "karpenter.sh";

fn resource(group: &str, plural: &str) -> Resource {
    Resource::new(group, plural)
}

fn find<'a, 'b>(conditions: &'b Option<Vec<WireCondition<'a>>>, name: &str) -> Option<&'b WireCondition<'a>> {
    conditions.as_ref()?.iter().find(|condition| as_str(&condition.name) == name)
}

fn holds(conditions: &Option<Vec<WireCondition<'_>>>, name: &str) -> bool {
    find(conditions, name).is_some_and(|condition| as_str(&condition.status) == "True")
}

/// Why a condition does not hold: its message, else its reason.
fn why(condition: Option<&WireCondition<'_>>) -> Option<Text> {
    let condition = condition.filter(|condition| as_str(&condition.status) != "True")?;
    own(&condition.message).or_else(|| own(&condition.reason))
}

fn text(value: Option<&Text>) -> Cell {
    value.cloned().map_or(Cell::Empty, Cell::Text)
}

/// The conditions of a ready flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// It is.
    Yes,
    /// It is not; the words say why.
    No(Text),
    /// Nobody has said.
    Unknown,
}

impl Ready {
    fn read(conditions: &Option<Vec<WireCondition<'_>>>) -> Self {
        match find(conditions, "Ready").map(|condition| as_str(&condition.status)) {
            Some("True") => Self::Yes,
            Some("False") => {
                // The reason is mostly that another condition does not hold.
                let other = conditions.iter().flatten().find(|condition| {
                    as_str(&condition.status) == "False" && as_str(&condition.name) != "Ready"
                });
                let own = find(conditions, "Ready");
                Self::No(why(other).or_else(|| why(own)).unwrap_or_else(|| Text::from("not ready")))
            }
            _ => Self::Unknown,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Yes => "Ready",
            Self::No(_) => "NotReady",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is kept of a NodePool.
#[derive(Debug)]
pub struct NodePool {
    /// The node class that it makes nodes from.
    pub class: Option<Text>,
    /// Nodes that it has.
    pub nodes: i64,
    /// CPU of its nodes, in cores.
    pub cpu: f64,
    /// Memory of its nodes, in bytes.
    pub memory: f64,
    /// The most CPU that it may have, in cores.
    pub cpu_limit: Option<f64>,
    /// The most memory that it may have, in bytes.
    pub memory_limit: Option<f64>,
    /// Which pool goes first: the heaviest.
    pub weight: Option<i64>,
    /// When nodes are taken away: `WhenEmptyOrUnderutilized after 1m`.
    pub disruption: Text,
    /// How many may be taken away at a time, as written: `10%`, `0 on 0 9 * * 1-5 for 8h`.
    pub budgets: Box<[Text]>,
    /// The same, as Karpenter reads it.
    pub rules: Box<[BudgetRule]>,
    /// How its nodes are bought, as far as it says.
    pub capacity: Box<[Text]>,
    /// Whether it can make nodes.
    pub ready: Ready,
}

/// How many nodes of a pool may be taken away at a time, for which reasons and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetRule {
    /// A number, or a percentage of the pool's nodes.
    pub nodes: Text,
    /// `Drifted`, `Underutilized`, `Empty`; empty for all.
    pub reasons: Box<[Text]>,
    /// When it begins to count: five fields of cron, in UTC; empty for always.
    pub schedule: Text,
    /// For how long it counts from then, as Go writes it.
    pub duration: Text,
}

impl BudgetRule {
    /// Writes it in a line: `0 Drifted on 0 9 * * 1-5 for 8h`.
    pub fn text(&self) -> String {
        let mut text = self.nodes.to_string();
        if !self.reasons.is_empty() {
            text = format!("{text} {}", self.reasons.join("/"));
        }
        if !self.schedule.is_empty() {
            text = format!("{text} on {} for {}", self.schedule, self.duration);
        }
        text
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PoolSpec<'a> {
    #[serde(borrow)]
    template: Option<WireTemplate<'a>>,
    #[serde(borrow)]
    disruption: Option<WireDisruption<'a>>,
    #[serde(borrow)]
    limits: Option<Amounts<'a>>,
    weight: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
struct WireTemplate<'a> {
    #[serde(borrow)]
    spec: Option<ClaimSpec<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimSpec<'a> {
    #[serde(borrow)]
    node_class_ref: Option<WireClassRef<'a>>,
    #[serde(borrow)]
    requirements: Option<Vec<WireRequirement<'a>>>,
    #[serde(borrow)]
    expire_after: Opt<'a>,
    #[serde(borrow)]
    termination_grace_period: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct WireClassRef<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct WireRequirement<'a> {
    #[serde(borrow)]
    key: Opt<'a>,
    #[serde(borrow)]
    values: Option<Vec<Str<'a>>>,
}

impl ClaimSpec<'_> {
    fn values(&self, key: &str, pool: &mut Pool) -> Box<[Text]> {
        let requirement = self.requirements.iter().flatten().find(|r| as_str(&r.key) == key);
        let values = requirement.and_then(|requirement| requirement.values.as_ref());
        values.into_iter().flatten().map(|value| pool.share(value.as_str())).collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDisruption<'a> {
    #[serde(borrow)]
    consolidation_policy: Opt<'a>,
    #[serde(borrow)]
    consolidate_after: Opt<'a>,
    #[serde(borrow)]
    budgets: Option<Vec<WireBudget<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
struct WireBudget<'a> {
    #[serde(borrow)]
    nodes: Opt<'a>,
    #[serde(borrow)]
    reasons: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    schedule: Opt<'a>,
    #[serde(borrow)]
    duration: Opt<'a>,
}

impl WireBudget<'_> {
    fn keep(&self, pool: &mut Pool) -> BudgetRule {
        BudgetRule {
            nodes: pool.share(as_str(&self.nodes)),
            reasons: self.reasons.iter().flatten().map(|reason| pool.share(reason.as_str())).collect(),
            schedule: pool.share(as_str(&self.schedule)),
            duration: pool.share(as_str(&self.duration)),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PoolStatus<'a> {
    #[serde(borrow)]
    resources: Option<Amounts<'a>>,
    nodes: Option<i64>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl Slim for NodePool {
    type Wire<'a> = Wire<'a, PoolSpec<'a>, PoolStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let template = spec.template.and_then(|template| template.spec).unwrap_or_default();
        let disruption = spec.disruption.unwrap_or_default();
        let resources = status.resources.unwrap_or_default();
        let limits = spec.limits.unwrap_or_default();
        let rules: Box<[BudgetRule]> =
            disruption.budgets.iter().flatten().map(|budget| budget.keep(pool)).collect();
        let after = as_str(&disruption.consolidate_after);
        let policy = as_str(&disruption.consolidation_policy);
        let slim = Self {
            class: template.node_class_ref.as_ref().and_then(|class| share(&class.name, pool)),
            nodes: status
                .nodes
                .or_else(|| resources.get("nodes").map(|nodes| nodes as i64))
                .unwrap_or_default(),
            cpu: resources.get("cpu").unwrap_or_default(),
            memory: resources.get("memory").unwrap_or_default(),
            cpu_limit: limits.get("cpu"),
            memory_limit: limits.get("memory"),
            weight: spec.weight,
            disruption: pool.share(
                if after.is_empty() { policy.to_owned() } else { format!("{policy} after {after}") }.as_str(),
            ),
            budgets: rules.iter().map(|rule| pool.share(&rule.text())).collect(),
            rules,
            capacity: template.values("karpenter.sh/capacity-type", pool),
            ready: Ready::read(&status.conditions),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl NodePool {
    fn verdict(&self) -> (Health, Text) {
        let full = [(self.cpu, self.cpu_limit, "CPU"), (self.memory, self.memory_limit, "memory")]
            .into_iter()
            .find(|(used, limit, _)| {
                limit.is_some_and(|limit| limit > 0.0 && *used >= limit * super::quota::NEARLY_FULL)
            });
        match (&self.ready, full) {
            (Ready::No(why), _) => (Health::Degraded, why.clone()),
            (Ready::Unknown, _) => (Health::Unknown, Text::from("has not reported")),
            (Ready::Yes, Some((_, _, what))) => {
                (Health::Warning, Text::from(format!("near its {what} limit")))
            }
            (Ready::Yes, None) => (Health::Healthy, Text::from("")),
        }
    }
}

fn pools() -> Kind {
    let bar = |used: f64, limit: Option<f64>, unit| match limit {
        Some(total) => Cell::Bar { used, total, unit },
        None => Cell::Empty,
    };
    Kind::describe::<NodePool>(GROUP, "v1", "nodepools", "NodePool")
        .about("what nodes Karpenter may make, and when it takes them away")
        .shorts(&["np", "pool"])
        .name()
        .column(Column::new(Shape::Status, "status", "whether it can make nodes").priority(1), |row| {
            Cell::Status { text: Text::from(row.body.ready.word()), health: row.body.verdict().0 }
        })
        .column(Column::new(Shape::Count, "nodes", "nodes that it has").priority(1), |row| {
            Cell::Count(row.body.nodes)
        })
        .column(Column::new(Shape::Bar, "cpu", "CPU of its nodes, of its limit").priority(1), move |row| {
            bar(row.body.cpu, row.body.cpu_limit, Unit::Cores)
        })
        .column(
            Column::new(Shape::Bar, "memory", "memory of its nodes, of its limit").titled("MEM").priority(1),
            move |row| bar(row.body.memory, row.body.memory_limit, Unit::Bytes),
        )
        .column(Column::new(Shape::Text, "capacity", "how its nodes are bought").priority(2), |row| {
            Cell::Text(Text::from(row.body.capacity.join(" ")))
        })
        .column(
            Column::new(Shape::Link, "class", "the node class that it makes nodes from").priority(3),
            |row| match &row.body.class {
                Some(class) => {
                    Cell::Link { text: class.clone(), to: row.lens.object(&class_resource(), None, class) }
                }
                None => Cell::Empty,
            },
        )
        .column(Column::new(Shape::Text, "disruption", "when nodes are taken away").priority(3), |row| {
            Cell::Text(row.body.disruption.clone())
        })
        .column(
            Column::new(Shape::Text, "budgets", "how many may be taken away at a time").priority(4),
            |row| {
                // Without one, a tenth may go.
                let budgets =
                    if row.body.budgets.is_empty() { "10%".to_owned() } else { row.body.budgets.join("; ") };
                Cell::Text(Text::from(budgets))
            },
        )
        .column(Column::new(Shape::Count, "weight", "the heaviest goes first").wide(), |row| {
            row.body.weight.map_or(Cell::Empty, Cell::Count)
        })
        .column(
            Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(4),
            |row| match row.body.verdict() {
                (health, why) if health > Health::Idle => Cell::Text(why),
                _ => Cell::Empty,
            },
        )
        .health(|row| row.body.verdict())
        .links(|row| {
            let mut links = Vec::new();
            if let Some(class) = &row.body.class {
                links.push(Link::one("class", row.lens.object(&class_resource(), None, class)));
            }
            let filter = format!("-l karpenter.sh/nodepool={}", row.meta().name);
            links.push(Link::many("claims", &resource(GROUP, "nodeclaims"), None, filter.clone(), ""));
            links.push(Link::many("nodes", &resource("", "nodes"), None, filter, ""));
            links
        })
        .done()
}

fn class_resource() -> Resource {
    resource("karpenter.k8s.aws", "ec2nodeclasses")
}

/// What is kept of a NodeClaim.
#[derive(Debug)]
pub struct NodeClaim {
    /// The node that was made for it.
    pub node: Option<Text>,
    /// The instance behind it.
    pub provider_id: Option<Text>,
    /// The machine image.
    pub image: Option<Text>,
    /// How far it is: `Launching`, `Registering`, `Initializing`, `Ready`.
    pub stage: &'static str,
    /// Why it is not ready.
    pub why: Option<Text>,
    /// Why it no longer fits its pool; empty where it does.
    pub drifted: Option<Text>,
    /// Whether it is being taken away on purpose, and why.
    pub disrupted: Option<Text>,
    /// Whether its pods would fit elsewhere.
    pub consolidatable: bool,
    /// After how many seconds it is taken away in any case.
    pub expire_after: Option<i64>,
    /// How long its pods are waited for, in seconds, before it is taken away by force.
    pub grace: Option<i64>,
    /// When it is taken away by force.
    pub deadline: Option<Timestamp>,
    /// The node class.
    pub class: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimStatus<'a> {
    #[serde(borrow)]
    node_name: Opt<'a>,
    #[serde(borrow, rename = "providerID")]
    provider_id: Opt<'a>,
    #[serde(borrow, rename = "imageID")]
    image_id: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

/// Reads a Go duration in seconds; `Never` is none.
fn seconds(text: &Opt<'_>) -> Option<i64> {
    human::parse_span(as_str(text)).map(|seconds| seconds as i64)
}

impl Slim for NodeClaim {
    type Wire<'a> = Wire<'a, ClaimSpec<'a>, ClaimStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let conditions = &status.conditions;
        let (stage, waits_for) =
            [("Launched", "Launching"), ("Registered", "Registering"), ("Initialized", "Initializing")]
                .into_iter()
                .find(|(condition, _)| !holds(conditions, condition))
                .map_or(("Ready", None), |(condition, stage)| (stage, Some(condition)));
        let reason = |name: &str| {
            find(conditions, name)
                .filter(|condition| as_str(&condition.status) == "True")
                .and_then(|condition| own(&condition.reason))
        };
        let deadline = wire.metadata.annotations();
        let slim = Self {
            node: share(&status.node_name, pool),
            provider_id: own(&status.provider_id),
            image: share(&status.image_id, pool),
            stage,
            why: waits_for.and_then(|name| why(find(conditions, name))),
            drifted: reason("Drifted"),
            disrupted: reason("DisruptionReason"),
            consolidatable: holds(conditions, "Consolidatable"),
            expire_after: seconds(&spec.expire_after),
            grace: seconds(&spec.termination_grace_period),
            deadline: deadline
                .get("karpenter.sh/nodeclaim-termination-timestamp")
                .and_then(|time| time.parse().ok()),
            class: spec.node_class_ref.as_ref().and_then(|class| share(&class.name, pool)),
        };
        (wire.metadata.keep(pool), slim)
    }
}

/// Seconds within which a machine should have become a node.
const SLOW: i64 = 300;

impl NodeClaim {
    /// Returns when it is taken away in any case: nothing in its status says so.
    pub fn expires(&self, meta: &Meta) -> Option<Timestamp> {
        let created = meta.created?;
        Timestamp::from_second(created.as_second().checked_add(self.expire_after?)?).ok()
    }

    fn verdict(&self, meta: &Meta, now: Timestamp) -> (Health, Text) {
        if meta.deleted.is_some() {
            let why = self.disrupted.as_ref().map_or_else(
                || "being taken away".to_owned(),
                |why| format!("being taken away: {}", why.to_lowercase()),
            );
            return (Health::Progressing, Text::from(why));
        }
        if self.stage != "Ready" {
            let age = meta.created.map_or(0, |created| now.as_second() - created.as_second());
            let why = self.why.clone().unwrap_or_else(|| Text::from(self.stage.to_lowercase()));
            let health = if age > SLOW { Health::Degraded } else { Health::Progressing };
            return (health, why);
        }
        match &self.drifted {
            Some(reason) => (Health::Warning, Text::from(format!("drifted: {reason}"))),
            None => (Health::Healthy, Text::from("")),
        }
    }
}

impl Row<'_, NodeClaim> {
    fn verdict(&self) -> (Health, Text) {
        self.body.verdict(self.meta(), self.lens.now)
    }

    fn pool(&self) -> Option<&Text> {
        self.meta().label("karpenter.sh/nodepool")
    }
}

fn claims() -> Kind {
    let label = |row: &Row<'_, NodeClaim>, key: &str| text(row.meta().label(key));
    Kind::describe::<NodeClaim>(GROUP, "v1", "nodeclaims", "NodeClaim")
        .about("a machine that Karpenter asked for")
        .shorts(&["nc", "claim"])
        .name()
        .column(Column::new(Shape::Status, "status", "how far it is").priority(1), |row| {
            let word = if row.meta().deleted.is_some() { "Terminating" } else { row.body.stage };
            Cell::Status { text: Text::from(word), health: row.verdict().0 }
        })
        .column(Column::new(Shape::Link, "pool", "the pool that it is of").priority(2), |row| {
            match row.pool() {
                Some(pool) => Cell::Link {
                    text: pool.clone(),
                    to: row.lens.object(&resource(GROUP, "nodepools"), None, pool),
                },
                None => Cell::Empty,
            }
        })
        .column(Column::new(Shape::Text, "type", "the instance type").priority(1), move |row| {
            label(&row, "node.kubernetes.io/instance-type")
        })
        .column(
            Column::new(Shape::Text, "capacity", "how it is bought: spot, on-demand, reserved").priority(2),
            move |row| label(&row, "karpenter.sh/capacity-type"),
        )
        .column(Column::new(Shape::Text, "zone", "the availability zone").priority(3), move |row| {
            label(&row, "topology.kubernetes.io/zone")
        })
        .column(Column::new(Shape::Link, "node", "the node that was made for it").priority(2), |row| {
            match &row.body.node {
                Some(node) => {
                    Cell::Link { text: node.clone(), to: row.lens.object(&resource("", "nodes"), None, node) }
                }
                None => Cell::Empty,
            }
        })
        .column(Column::new(Shape::Text, "drifted", "why it no longer fits its pool").priority(3), |row| {
            text(row.body.drifted.as_ref())
        })
        .column(Column::new(Shape::Age, "expires", "when it is taken away in any case").priority(4), |row| {
            row.body.expires(row.meta()).map_or(Cell::Empty, Cell::Age)
        })
        .column(
            Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(4),
            |row| match row.verdict() {
                (health, why) if health > Health::Idle => Cell::Text(why),
                _ => Cell::Empty,
            },
        )
        .column(Column::new(Shape::Text, "image", "the machine image").wide(), |row| {
            text(row.body.image.as_ref())
        })
        .column(Column::new(Shape::Text, "instance", "the instance behind it").wide(), |row| {
            let id = row.body.provider_id.as_deref();
            id.map_or(Cell::Empty, |id| Cell::Text(Text::from(id.rsplit('/').next().unwrap_or(id))))
        })
        .column(
            Column::new(Shape::Text, "consolidatable", "whether its pods would fit elsewhere").wide(),
            |row| Cell::Text(Text::from(if row.body.consolidatable { "yes" } else { "no" })),
        )
        .column(Column::new(Shape::Age, "deadline", "when it is taken away by force").wide(), |row| {
            row.body.deadline.map_or(Cell::Empty, Cell::Age)
        })
        .verbs(&["delete-nodeclaim"])
        .health(|row| row.verdict())
        .links(|row| {
            let mut links = Vec::new();
            if let Some(node) = &row.body.node {
                links.push(Link::one("node", row.lens.object(&resource("", "nodes"), None, node)));
            }
            // The pool is an owner, too, and was named as one.
            if let Some(class) = &row.body.class {
                links.push(Link::one("class", row.lens.object(&class_resource(), None, class)));
            }
            links
        })
        .done()
}

/// What is kept of an `EC2NodeClass`.
#[derive(Debug)]
pub struct NodeClass {
    /// The family of its machine image, or the alias that picks one.
    pub family: Option<Text>,
    /// The images that it found.
    pub images: usize,
    /// The subnets that it found.
    pub subnets: usize,
    /// The security groups that it found.
    pub security_groups: usize,
    /// The role of its instances.
    pub role: Option<Text>,
    /// Whether it can be used.
    pub ready: Ready,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClassSpec<'a> {
    #[serde(borrow)]
    ami_family: Opt<'a>,
    #[serde(borrow)]
    ami_selector_terms: Option<Vec<WireTerm<'a>>>,
    #[serde(borrow)]
    role: Opt<'a>,
    #[serde(borrow)]
    instance_profile: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct WireTerm<'a> {
    #[serde(borrow)]
    alias: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClassStatus<'a> {
    amis: Option<Vec<IgnoredAny>>,
    subnets: Option<Vec<IgnoredAny>>,
    security_groups: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl Slim for NodeClass {
    type Wire<'a> = Wire<'a, ClassSpec<'a>, ClassStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let alias = spec.ami_selector_terms.iter().flatten().find_map(|term| share(&term.alias, pool));
        let slim = Self {
            family: alias.or_else(|| share(&spec.ami_family, pool)),
            images: status.amis.map_or(0, |found| found.len()),
            subnets: status.subnets.map_or(0, |found| found.len()),
            security_groups: status.security_groups.map_or(0, |found| found.len()),
            role: share(&spec.role, pool).or_else(|| share(&spec.instance_profile, pool)),
            ready: Ready::read(&status.conditions),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl NodeClass {
    fn verdict(&self) -> (Health, Text) {
        match &self.ready {
            Ready::Yes => (Health::Healthy, Text::from("")),
            Ready::No(why) => (Health::Degraded, why.clone()),
            Ready::Unknown => (Health::Unknown, Text::from("has not reported")),
        }
    }
}

fn classes() -> Kind {
    Kind::describe::<NodeClass>("karpenter.k8s.aws", "v1", "ec2nodeclasses", "EC2NodeClass")
        .about("how Karpenter sets an EC2 instance up")
        .shorts(&["ec2nc", "ec2ncs"])
        .name()
        .column(Column::new(Shape::Status, "status", "whether it can be used").priority(1), |row| {
            Cell::Status { text: Text::from(row.body.ready.word()), health: row.body.verdict().0 }
        })
        .column(Column::new(Shape::Text, "image", "the family of its machine image").priority(2), |row| {
            text(row.body.family.as_ref())
        })
        .column(Column::new(Shape::Count, "images", "images that it found").priority(3), |row| {
            Cell::Count(row.body.images as i64)
        })
        .column(Column::new(Shape::Count, "subnets", "subnets that it found").priority(3), |row| {
            Cell::Count(row.body.subnets as i64)
        })
        .column(Column::new(Shape::Count, "groups", "security groups that it found").priority(3), |row| {
            Cell::Count(row.body.security_groups as i64)
        })
        .column(Column::new(Shape::Text, "role", "the role of its instances").wide(), |row| {
            text(row.body.role.as_ref())
        })
        .health(|row| row.body.verdict())
        .links(|row| {
            let filter = format!("class={}", row.meta().name);
            vec![Link::many("pools", &resource(GROUP, "nodepools"), None, filter, "")]
        })
        .done()
}
