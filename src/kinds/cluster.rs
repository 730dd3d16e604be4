//! The cluster itself: namespaces, nodes and events.

use jiff::Timestamp;
use serde::Deserialize;

use super::decode::Slim;
use super::kind::Row;
use super::wire::{Amounts, Opt, Str, Wire, WireCondition, WireMeta, as_str, group_of, own, share, time};
use super::{Cell, Column, Health, Kind, Leads, Link, Meta, Pool, Shape, Unit, measured};
use crate::identity::{Resource, Text};
use crate::signals::{Used, Using};

pub(super) fn kinds() -> Vec<Kind> {
    vec![namespaces(), nodes(), events()]
}

/// Returns the value of a label.
fn label<'a>(meta: &'a Meta, key: &str) -> Option<&'a Text> {
    meta.label(key)
}

fn text(value: Option<&Text>) -> Cell {
    value.cloned().map_or(Cell::Empty, Cell::Text)
}

/// What is kept of a Namespace.
#[derive(Debug)]
pub struct Namespace {
    /// `Active` or `Terminating`.
    pub phase: Text,
    /// Why it cannot go; empty where nothing holds it.
    pub stuck: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct NamespaceStatus<'a> {
    #[serde(borrow)]
    phase: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl Slim for Namespace {
    type Wire<'a> = Wire<'a, serde::de::IgnoredAny, NamespaceStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let status = wire.status.unwrap_or_default();
        let mut conditions = status.conditions.iter().flatten();
        let stuck = conditions.find(|condition| as_str(&condition.status) == "True");
        let slim = Self {
            phase: share(&status.phase, pool).unwrap_or_else(|| pool.share("Active")),
            stuck: stuck.and_then(|condition| own(&condition.message)),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl Namespace {
    fn verdict(&self) -> (Health, Text) {
        match (&*self.phase, &self.stuck) {
            ("Active", _) => (Health::Healthy, Text::from("")),
            (_, Some(why)) => (Health::Warning, why.clone()),
            (_, None) => (Health::Progressing, Text::from("terminating")),
        }
    }
}

fn namespaces() -> Kind {
    Kind::describe::<Namespace>("", "v1", "namespaces", "Namespace")
        .about("a part of the cluster with its own names, rights and quotas")
        .shorts(&["ns"])
        .needs(&[("", "pods")])
        .name()
        .column(Column::new(Shape::Text, "tenant", "the tenant that it belongs to").priority(2), |row| {
            text(row.lens.tenants.of_namespace(&row.meta().name))
        })
        .column(Column::new(Shape::Status, "status", "whether it is there to stay").priority(1), |row| {
            Cell::Status { text: row.body.phase.clone(), health: row.body.verdict().0 }
        })
        .column(Column::new(Shape::Count, "pods", "pods in it").priority(2).joined(), |row| {
            match row.lens.whole(&Resource::new("", "pods")) {
                Some(pods) => Cell::Count(pods.in_namespace(Some(&row.meta().name)).count() as i64),
                None => Cell::Unknown,
            }
        })
        .column(
            Column::new(Shape::Quantity, "cpu-use", "CPU in use").titled("CPU USE").priority(3).joined(),
            |row| measured::amount(namespace_use(&row).and_then(|used| used.cpu), Unit::Cores),
        )
        .column(
            Column::new(Shape::Quantity, "memory-use", "memory in use")
                .titled("MEM USE")
                .priority(3)
                .joined(),
            |row| measured::amount(namespace_use(&row).and_then(|used| used.memory), Unit::Bytes),
        )
        .column(Column::new(Shape::Text, "labels", "its labels").wide(), |row| {
            let labels: Vec<String> =
                row.meta().labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            Cell::Text(Text::from(labels.join(" ")))
        })
        .health(|row| row.body.verdict())
        .links(|row| {
            let namespace = Some(&row.meta().name);
            [("pods", ""), ("deployments", "apps"), ("events", ""), ("resourcequotas", "")]
                .into_iter()
                .map(|(plural, group)| {
                    Link::many(plural, &Resource::new(group, plural), namespace, String::new(), "")
                })
                .collect()
        })
        .done()
}

/// What is kept of a Node.
#[derive(Debug)]
pub struct Node {
    /// `status` of the Ready condition: `True`, `False`, `Unknown`; empty where there is none.
    pub ready: Text,
    /// Why it is not ready.
    pub not_ready: Option<Text>,
    /// Conditions that should not hold and do, such as `MemoryPressure`.
    pub pressures: Box<[Text]>,
    /// Whether new pods are kept away.
    pub cordoned: bool,
    /// Its taints: `key=value:Effect`.
    pub taints: Box<[Text]>,
    /// CPU for pods, in thousandths of a core.
    pub cpu: u64,
    /// Memory for pods, in bytes.
    pub memory: u64,
    /// Places for pods.
    pub pods: u32,
    /// Its kubelet.
    pub version: Option<Text>,
    /// Its address inside the cluster.
    pub ip: Option<Text>,
    /// The instance behind it.
    pub provider_id: Option<Text>,
    /// Whether Karpenter is asked to leave it alone.
    pub do_not_disrupt: bool,
    /// Whether Karpenter ends the instance when the node is deleted.
    pub managed: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeSpec<'a> {
    unschedulable: Option<bool>,
    #[serde(borrow)]
    taints: Option<Vec<WireTaint<'a>>>,
    #[serde(borrow, rename = "providerID")]
    provider_id: Opt<'a>,
}

#[derive(Debug, Deserialize)]
struct WireTaint<'a> {
    #[serde(borrow)]
    key: Opt<'a>,
    #[serde(borrow)]
    value: Opt<'a>,
    #[serde(borrow)]
    effect: Opt<'a>,
}

impl WireTaint<'_> {
    fn text(&self) -> String {
        let (key, value, effect) = (as_str(&self.key), as_str(&self.value), as_str(&self.effect));
        if value.is_empty() { format!("{key}:{effect}") } else { format!("{key}={value}:{effect}") }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeStatus<'a> {
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
    #[serde(borrow)]
    allocatable: Option<Amounts<'a>>,
    #[serde(borrow)]
    addresses: Option<Vec<WireAddress<'a>>>,
    #[serde(borrow)]
    node_info: Option<WireNodeInfo<'a>>,
}

#[derive(Debug, Deserialize)]
struct WireAddress<'a> {
    #[serde(borrow, rename = "type")]
    kind: Opt<'a>,
    #[serde(borrow)]
    address: Opt<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireNodeInfo<'a> {
    #[serde(borrow)]
    kubelet_version: Opt<'a>,
}

impl Slim for Node {
    type Wire<'a> = Wire<'a, NodeSpec<'a>, NodeStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let ready = status.conditions.iter().flatten().find(|c| as_str(&c.name) == "Ready");
        let allocatable = |what| status.allocatable.as_ref().and_then(|a| a.get(what)).unwrap_or_default();
        let annotations = wire.metadata.annotations();
        let finalizers = wire.metadata.finalizers.as_deref().unwrap_or_default();
        let slim = Self {
            ready: pool.share(ready.map_or("", |condition| as_str(&condition.status))),
            not_ready: ready
                .filter(|condition| as_str(&condition.status) != "True")
                .and_then(|condition| own(&condition.message).or_else(|| own(&condition.reason))),
            pressures: status
                .conditions
                .iter()
                .flatten()
                .filter(|condition| as_str(&condition.name) != "Ready" && as_str(&condition.status) == "True")
                .filter(|condition| is_pressure(as_str(&condition.name)))
                .map(|condition| pool.share(as_str(&condition.name)))
                .collect(),
            cordoned: spec.unschedulable.unwrap_or_default(),
            taints: spec.taints.iter().flatten().map(|taint| pool.share(&taint.text())).collect(),
            cpu: (allocatable("cpu") * 1000.0).round() as u64,
            memory: allocatable("memory") as u64,
            pods: allocatable("pods") as u32,
            version: status.node_info.as_ref().and_then(|info| share(&info.kubelet_version, pool)),
            ip: status
                .addresses
                .iter()
                .flatten()
                .find(|address| as_str(&address.kind) == "InternalIP")
                .and_then(|address| own(&address.address)),
            provider_id: own(&spec.provider_id),
            // Only the literal counts on a node.
            do_not_disrupt: annotations.get("karpenter.sh/do-not-disrupt") == Some("true"),
            managed: finalizers.iter().any(|finalizer| finalizer.as_str() == "karpenter.sh/termination"),
        };
        (wire.metadata.keep(pool), slim)
    }
}

/// Conditions of nodes are bad when they hold, but for those that other controllers write in their own way.
fn is_pressure(name: &str) -> bool {
    name.ends_with("Pressure") || name.ends_with("Unavailable") || name.ends_with("Problem")
}

/// The taint of a node that Karpenter is taking away.
const DISRUPTED: &str = "karpenter.sh/disrupted";

impl Node {
    fn is_disrupted(&self) -> bool {
        self.taints.iter().any(|taint| taint.starts_with(DISRUPTED))
    }

    /// Says how it is, and why.
    pub fn verdict(&self, meta: &Meta) -> (Health, Text) {
        if meta.deleted.is_some() {
            return (Health::Progressing, Text::from("terminating"));
        }
        match &*self.ready {
            "True" => {}
            "False" | "Unknown" => {
                let why = self.not_ready.clone().unwrap_or_else(|| Text::from("not ready"));
                return (Health::Degraded, why);
            }
            _ => return (Health::Unknown, Text::from("has not reported")),
        }
        if !self.pressures.is_empty() {
            return (Health::Warning, Text::from(self.pressures.join(", ")));
        }
        if self.is_disrupted() {
            return (Health::Progressing, Text::from("being taken away by Karpenter"));
        }
        if self.cordoned {
            return (Health::Warning, Text::from("cordoned: no new pods"));
        }
        (Health::Healthy, Text::from(""))
    }

    fn word(&self, meta: &Meta) -> String {
        let mut word = match &*self.ready {
            "True" => "Ready",
            "False" => "NotReady",
            _ => "Unknown",
        }
        .to_owned();
        if meta.deleted.is_some() {
            word.push_str(",Terminating");
        } else if self.cordoned {
            word.push_str(",Cordoned");
        }
        word
    }
}

/// Returns the pool of a node: Karpenter's, or the managed node group.
pub fn pool_of(meta: &Meta) -> Option<&Text> {
    label(meta, "karpenter.sh/nodepool").or_else(|| label(meta, "eks.amazonaws.com/nodegroup"))
}

/// Returns how a node's capacity is bought: `spot`, `on-demand`, `reserved`.
pub fn capacity_type(meta: &Meta) -> Option<Text> {
    if let Some(kind) = label(meta, "karpenter.sh/capacity-type") {
        return Some(kind.clone());
    }
    // Managed node groups write ON_DEMAND and SPOT.
    label(meta, "eks.amazonaws.com/capacityType")
        .map(|kind| Text::from(kind.to_lowercase().replace('_', "-")))
}

impl Row<'_, Node> {
    fn claim(&self) -> Option<Link> {
        let owner = self.meta().owners.iter().find(|owner| &*owner.kind == "NodeClaim")?;
        let to = self.lens.object(&Resource::new("karpenter.sh", "nodeclaims"), None, &owner.name);
        Some(Link::one("claim", to))
    }

    fn load(&self) -> Option<crate::store::Load> {
        Some(self.lens.whole(&Resource::new("", "pods"))?.load_of(&self.meta().name))
    }
}

/// What the pods of a namespace use, where somebody says so.
fn namespace_use(row: &Row<'_, Namespace>) -> Option<Used> {
    row.lens.used(Using::Namespaces, &row.meta().name, &Text::from(""))
}

/// What a node uses, where somebody says so.
fn node_use(row: &Row<'_, Node>) -> Option<Used> {
    row.lens.used(Using::Nodes, &Text::from(""), &row.meta().name)
}

fn nodes() -> Kind {
    Kind::describe::<Node>("", "v1", "nodes", "Node")
        .about("a machine that pods run on")
        .shorts(&["no"])
        .needs(&[("", "pods")])
        .name()
        .column(
            Column::new(Shape::Status, "status", "whether it is ready and takes pods").priority(1),
            |row| Cell::Status {
                text: Text::from(row.body.word(row.meta())),
                health: row.body.verdict(row.meta()).0,
            },
        )
        .column(Column::new(Shape::Text, "pool", "the pool or node group that it is of").priority(2), |row| {
            text(pool_of(row.meta()))
        })
        .column(Column::new(Shape::Link, "claim", "the NodeClaim that it was made for").priority(5), |row| {
            match row.claim() {
                Some(Link { to: Leads::One(to), .. }) => Cell::Link { text: to.name.clone(), to },
                _ => Cell::Empty,
            }
        })
        .column(Column::new(Shape::Text, "type", "the instance type").priority(2), |row| {
            text(label(row.meta(), "node.kubernetes.io/instance-type"))
        })
        .column(
            Column::new(Shape::Text, "capacity", "how it is bought: spot, on-demand, reserved").priority(3),
            |row| capacity_type(row.meta()).map_or(Cell::Empty, Cell::Text),
        )
        .column(Column::new(Shape::Text, "zone", "the availability zone").priority(3), |row| {
            text(label(row.meta(), "topology.kubernetes.io/zone"))
        })
        .column(
            Column::new(Shape::Bar, "cpu", "CPU requested of what pods may have").priority(1).joined(),
            |row| {
                row.load().map_or(Cell::Unknown, |load| Cell::Bar {
                    used: load.cpu as f64 / 1000.0,
                    total: row.body.cpu as f64 / 1000.0,
                    unit: Unit::Cores,
                })
            },
        )
        .column(
            Column::new(Shape::Bar, "memory", "memory requested of what pods may have")
                .titled("MEM")
                .priority(1)
                .joined(),
            |row| {
                row.load().map_or(Cell::Unknown, |load| Cell::Bar {
                    used: load.memory as f64,
                    total: row.body.memory as f64,
                    unit: Unit::Bytes,
                })
            },
        )
        .column(
            Column::new(Shape::Percent, "cpu-use", "CPU in use, in percent of what pods may have")
                .titled("CPU %")
                .priority(3)
                .joined(),
            |row| {
                let used = node_use(&row).and_then(|used| used.cpu);
                measured::part(used, row.body.cpu as f64 / 1000.0)
            },
        )
        .column(
            Column::new(Shape::Percent, "memory-use", "memory in use, in percent of what pods may have")
                .titled("MEM %")
                .priority(3)
                .joined(),
            |row| measured::part(node_use(&row).and_then(|used| used.memory), row.body.memory as f64),
        )
        .column(
            Column::new(Shape::Ratio, "pods", "pods on it of those that fit").priority(2).joined(),
            |row| {
                row.load().map_or(Cell::Unknown, |load| Cell::Ratio {
                    have: i64::from(load.pods),
                    want: i64::from(row.body.pods),
                })
            },
        )
        .column(Column::new(Shape::Text, "conditions", "what is wrong with it").priority(4), |row| {
            if row.body.pressures.is_empty() {
                Cell::Empty
            } else {
                Cell::Text(Text::from(row.body.pressures.join(" ")))
            }
        })
        .column(Column::new(Shape::Text, "taints", "what keeps pods away").priority(4), |row| {
            if row.body.taints.is_empty() {
                Cell::Empty
            } else {
                Cell::Text(Text::from(row.body.taints.join(" ")))
            }
        })
        .column(Column::new(Shape::Text, "version", "its kubelet").wide(), |row| {
            text(row.body.version.as_ref())
        })
        .column(Column::new(Shape::Text, "ip", "its address inside the cluster").wide(), |row| {
            text(row.body.ip.as_ref())
        })
        .column(Column::new(Shape::Text, "instance", "the instance behind it").wide(), |row| {
            let id = row.body.provider_id.as_deref();
            id.map_or(Cell::Empty, |id| Cell::Text(Text::from(id.rsplit('/').next().unwrap_or(id))))
        })
        .alerted("", "nodes")
        .verbs(&["cordon", "uncordon", "drain", "protect", "unprotect"])
        .health(|row| row.body.verdict(row.meta()))
        .links(|row| {
            let mut links = Vec::new();
            // The claim is an owner, too, and was named as one.
            if let Some(pool) = label(row.meta(), "karpenter.sh/nodepool") {
                links.push(Link::one(
                    "pool",
                    row.lens.object(&Resource::new("karpenter.sh", "nodepools"), None, pool),
                ));
            }
            let filter = format!("-f spec.nodeName={}", row.meta().name);
            links.push(Link::many("pods", &Resource::new("", "pods"), None, filter, ""));
            links
        })
        .done()
}

/// What is kept of an Event.
#[derive(Debug)]
pub struct Event {
    /// `Normal` or `Warning`.
    pub kind: Text,
    /// Why, in one word.
    pub reason: Text,
    /// What happened.
    pub message: Text,
    /// The group of what it is about.
    pub group: Text,
    /// The kind name of what it is about.
    pub object_kind: Text,
    /// The namespace of what it is about; empty for cluster-scoped objects.
    pub object_namespace: Option<Text>,
    /// The name of what it is about.
    pub object_name: Text,
    /// The UID of what it is about.
    pub object_uid: Option<Text>,
    /// How often it happened.
    pub count: i64,
    /// When it last happened.
    pub last: Option<Timestamp>,
    /// When it first happened.
    pub first: Option<Timestamp>,
    /// Who says so.
    pub source: Option<Text>,
}

impl Event {
    /// Tells whether it is a warning.
    pub fn is_warning(&self) -> bool {
        &*self.kind == "Warning"
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireEvent<'a> {
    #[serde(borrow)]
    metadata: WireMeta<'a>,
    #[serde(borrow)]
    involved_object: Option<WireInvolved<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Opt<'a>,
    #[serde(borrow)]
    reason: Opt<'a>,
    #[serde(borrow)]
    message: Opt<'a>,
    count: Option<i64>,
    #[serde(borrow)]
    first_timestamp: Opt<'a>,
    #[serde(borrow)]
    last_timestamp: Opt<'a>,
    #[serde(borrow)]
    event_time: Opt<'a>,
    #[serde(borrow)]
    series: Option<WireSeries<'a>>,
    #[serde(borrow)]
    source: Option<WireSource<'a>>,
    #[serde(borrow)]
    reporting_component: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireInvolved<'a> {
    #[serde(borrow)]
    api_version: Opt<'a>,
    #[serde(borrow)]
    kind: Opt<'a>,
    #[serde(borrow)]
    namespace: Opt<'a>,
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    uid: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSeries<'a> {
    count: Option<i64>,
    #[serde(borrow)]
    last_observed_time: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct WireSource<'a> {
    #[serde(borrow)]
    component: Opt<'a>,
}

impl Slim for Event {
    type Wire<'a> = WireEvent<'a>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let object = wire.involved_object.unwrap_or_default();
        let series = wire.series.unwrap_or_default();
        let slim = Self {
            kind: pool.share(as_str(&wire.kind)),
            reason: pool.share(as_str(&wire.reason)),
            message: wire.message.as_ref().map_or_else(|| pool.share(""), Str::text),
            group: pool.share(group_of(as_str(&object.api_version))),
            object_kind: pool.share(as_str(&object.kind)),
            object_namespace: share(&object.namespace, pool),
            object_name: pool.share(as_str(&object.name)),
            object_uid: share(&object.uid, pool),
            count: series.count.or(wire.count).unwrap_or(1),
            last: time(&series.last_observed_time)
                .or_else(|| time(&wire.last_timestamp))
                .or_else(|| time(&wire.event_time))
                .or_else(|| time(&wire.first_timestamp))
                .or_else(|| time(&wire.metadata.creation_timestamp)),
            first: time(&wire.first_timestamp).or_else(|| time(&wire.event_time)),
            source: share(&wire.reporting_component, pool)
                .or_else(|| wire.source.as_ref().and_then(|source| share(&source.component, pool))),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl Row<'_, Event> {
    fn about(&self) -> Option<crate::identity::ObjectRef> {
        let kind = self.lens.kinds.by_kind(&self.body.group, &self.body.object_kind)?;
        // Events about cluster-scoped objects lie in `default` and name no namespace, or that one.
        let namespace = if kind.namespaced { self.body.object_namespace.as_ref() } else { None };
        Some(self.lens.object(&kind.resource, namespace, &self.body.object_name))
    }
}

fn events() -> Kind {
    Kind::describe::<Event>("", "v1", "events", "Event")
        .about("what the cluster says happened, for an hour")
        .shorts(&["ev"])
        .namespaced()
        .column(Column::new(Shape::Age, "last", "time since it last happened").priority(1), |row| {
            row.body.last.map_or(Cell::Unknown, Cell::Age)
        })
        .sorted(false)
        .column(Column::new(Shape::Status, "type", "Normal or Warning").priority(1), |row| Cell::Status {
            text: row.body.kind.clone(),
            health: if row.body.is_warning() { Health::Warning } else { Health::Healthy },
        })
        .column(Column::new(Shape::Text, "reason", "why, in one word").priority(1), |row| {
            Cell::Text(row.body.reason.clone())
        })
        .column(Column::new(Shape::Link, "object", "what it is about").priority(1), |row| {
            let shown = Text::from(format!("{}/{}", row.body.object_kind, row.body.object_name));
            match row.about() {
                Some(to) => Cell::Link { text: shown, to },
                // Of a kind that the console does not know: named, and not followed.
                None => Cell::Text(shown),
            }
        })
        .column(Column::new(Shape::Count, "count", "how often it happened").priority(3), |row| {
            Cell::Count(row.body.count)
        })
        .column(Column::new(Shape::Text, "message", "what happened").priority(2), |row| {
            Cell::Text(row.body.message.clone())
        })
        .column(Column::new(Shape::Text, "source", "who says so").wide(), |row| {
            text(row.body.source.as_ref())
        })
        .name_wide()
        .health(|row| {
            if row.body.is_warning() {
                (Health::Warning, row.body.message.clone())
            } else {
                (Health::Healthy, Text::from(""))
            }
        })
        .links(|row| row.about().map(|to| Link::one("object", to)).into_iter().collect())
        .done()
}
