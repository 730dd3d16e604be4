//! KEDA: `ScaledObjects`, which set the number of pods by what happens outside the cluster (contracts 9.3).

use jiff::Timestamp;
use serde::Deserialize;

use super::decode::Slim;
use super::wire::{Opt, Wire, WireCondition, as_str, own, time};
use super::workloads::why_column;
use super::{Cell, Column, Health, Kind, Link, Meta, Pool, Shape};
use crate::identity::{Resource, Text};

pub(super) fn kinds() -> Vec<Kind> {
    vec![scaled_objects()]
}

/// Pauses it where it is; every value but `false` counts as true.
const PAUSED: &str = "autoscaling.keda.sh/paused";
/// Pauses it at a number of pods; its presence counts.
const PAUSED_AT: &str = "autoscaling.keda.sh/paused-replicas";

/// What is kept of a `ScaledObject`.
#[derive(Debug)]
pub struct ScaledObject {
    /// The kind name of what it scales.
    pub target_kind: Text,
    /// The name of what it scales.
    pub target_name: Text,
    /// The fewest pods while it is active.
    pub min: i64,
    /// The most pods.
    pub max: i64,
    /// Whether it is asked to leave the number alone.
    pub paused: bool,
    /// The number of pods at which it is paused, where one is said.
    pub paused_at: Option<Text>,
    /// Whether there is anything to scale for.
    pub active: bool,
    /// Why it cannot scale; empty where it can.
    pub broken: Option<Text>,
    /// Whether it fell back to a number because its triggers fail.
    pub fallback: bool,
    /// What it measures, such as `aws-sqs-queue`.
    pub triggers: Text,
    /// When it was last active.
    pub last_active: Option<Timestamp>,
    /// The autoscaler that it keeps.
    pub autoscaler: Text,
}

impl ScaledObject {
    fn verdict(&self) -> (Health, Text) {
        match &self.broken {
            Some(why) => (Health::Degraded, why.clone()),
            None if self.fallback => {
                (Health::Warning, Text::from("its triggers fail: it fell back to a fixed number"))
            }
            None if self.paused => (
                Health::Idle,
                match &self.paused_at {
                    Some(at) => Text::from(format!("paused at {at} pods")),
                    None => Text::from("paused"),
                },
            ),
            None => (Health::Healthy, Text::from("")),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec<'a> {
    #[serde(borrow)]
    scale_target_ref: Option<Target<'a>>,
    min_replica_count: Option<i64>,
    max_replica_count: Option<i64>,
    #[serde(borrow)]
    triggers: Option<Vec<Trigger<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
struct Target<'a> {
    #[serde(borrow)]
    kind: Opt<'a>,
    #[serde(borrow)]
    name: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Trigger<'a> {
    #[serde(borrow, rename = "type")]
    sort: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    hpa_name: Opt<'a>,
    #[serde(borrow)]
    last_active_time: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl Slim for ScaledObject {
    type Wire<'a> = Wire<'a, Spec<'a>, Status<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let target = spec.scale_target_ref.unwrap_or_default();
        let find =
            |name: &str| status.conditions.as_ref()?.iter().find(|condition| as_str(&condition.name) == name);
        let holds = |name: &str| find(name).is_some_and(|condition| as_str(&condition.status) == "True");
        let broken = find("Ready").filter(|condition| as_str(&condition.status) == "False");
        let triggers: Vec<&str> =
            spec.triggers.as_deref().unwrap_or_default().iter().map(|one| as_str(&one.sort)).collect();
        let kind = match as_str(&target.kind) {
            // KEDA's default.
            "" => "Deployment",
            kind => kind,
        };
        let autoscaler = match as_str(&status.hpa_name) {
            "" => format!("keda-hpa-{}", wire.metadata.name.as_str()),
            name => name.to_owned(),
        };
        let annotations = wire.metadata.annotations();
        let paused_at = annotations.get(PAUSED_AT).map(Text::from);
        let paused = paused_at.is_some() || annotations.get(PAUSED).is_some_and(|value| value != "false");
        let slim = Self {
            target_kind: pool.share(kind),
            target_name: pool.share(as_str(&target.name)),
            min: spec.min_replica_count.unwrap_or(0),
            max: spec.max_replica_count.unwrap_or(100),
            paused,
            paused_at,
            active: holds("Active"),
            broken: broken.and_then(|condition| own(&condition.message).or_else(|| own(&condition.reason))),
            fallback: holds("Fallback"),
            triggers: pool.share(&triggers.join(", ")),
            last_active: time(&status.last_active_time),
            autoscaler: Text::from(autoscaler),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn scaled_objects() -> Kind {
    Kind::describe::<ScaledObject>("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
        .about("sets the number of pods by what happens outside the cluster")
        .shorts(&["so"])
        .namespaced()
        .name()
        .verbs(&["pause", "resume", "set-bounds"])
        .column(Column::new(Shape::Text, "target", "what it scales").priority(1), |row| {
            Cell::Text(Text::from(format!("{}/{}", row.body.target_kind, row.body.target_name)))
        })
        .column(Column::new(Shape::Status, "status", "how it is").priority(1), |row| {
            let (health, _) = row.body.verdict();
            let word = match health {
                Health::Degraded => "Broken",
                Health::Warning => "Fallback",
                Health::Idle => "Paused",
                _ if row.body.active => "Active",
                _ => "Waiting",
            };
            Cell::Status { text: Text::from(word), health }
        })
        .column(Column::new(Shape::Count, "min", "the fewest pods").priority(2), |row| {
            Cell::Count(row.body.min)
        })
        .column(Column::new(Shape::Count, "max", "the most pods").priority(2), |row| {
            Cell::Count(row.body.max)
        })
        .column(
            Column::new(Shape::Text, "paused", "the number of pods at which it is paused").priority(2),
            |row| match &row.body.paused_at {
                Some(at) => Cell::Text(at.clone()),
                None if row.body.paused => Cell::Text(Text::from("as it is")),
                None => Cell::Empty,
            },
        )
        .column(Column::new(Shape::Text, "triggers", "what it measures").priority(3), |row| {
            Cell::Text(row.body.triggers.clone())
        })
        .column(Column::new(Shape::Age, "last-active", "time since it was last active").priority(4), |row| {
            row.body.last_active.map_or(Cell::Empty, Cell::Age)
        })
        .column(why_column(), |row| match row.body.verdict() {
            (health, why) if health > Health::Healthy && !why.is_empty() => Cell::Text(why),
            _ => Cell::Empty,
        })
        .health(|row| row.body.verdict())
        .links(|row| {
            let autoscalers = Resource::new("autoscaling", "horizontalpodautoscalers");
            let namespace = row.meta().namespace.as_ref();
            let mut links =
                vec![Link::one("autoscaler", row.lens.object(&autoscalers, namespace, &row.body.autoscaler))];
            let kind = row.lens.kinds.iter().find(|kind| kind.name == row.body.target_kind);
            if let Some(kind) = kind {
                let target = row.lens.object(&kind.resource, namespace, &row.body.target_name);
                links.push(Link::one("target", target));
            }
            links
        })
        .done()
}
