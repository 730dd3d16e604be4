//! Controllers of pods: Deployments, ReplicaSets, `StatefulSets` and `DaemonSets`.

use serde::Deserialize;

use super::decode::Slim;
use super::kind::Row;
use super::pods::{Container, WireContainer, images};
use super::rollout::{self, Rollout};
use super::secret_uses::{self, Draws, SecretUse, WireNamed, WireVolume};
use super::wire::{Opt, Pairs, Wire, WireCondition, as_str, own, share};
use super::{Cell, Column, Health, Kind, Link, Meta, Pool, Shape};
use crate::identity::{Resource, Text};

pub(super) fn kinds() -> Vec<Kind> {
    vec![deployments(), stateful_sets(), daemon_sets(), replica_sets()]
}

/// The labels by which a controller or a service selects its pods, sorted.
pub type Selector = Box<[(Text, Text)]>;

/// The template of the pods.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireTemplate<'a> {
    #[serde(borrow)]
    metadata: Option<WireTemplateMeta<'a>>,
    #[serde(borrow)]
    spec: Option<WireTemplateSpec<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct WireTemplateMeta<'a> {
    #[serde(borrow)]
    annotations: Option<Pairs<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTemplateSpec<'a> {
    #[serde(borrow)]
    containers: Option<Vec<WireContainer<'a>>>,
    #[serde(borrow)]
    init_containers: Option<Vec<WireContainer<'a>>>,
    #[serde(borrow)]
    volumes: Option<Vec<WireVolume<'a>>>,
    #[serde(borrow)]
    image_pull_secrets: Option<Vec<WireNamed<'a>>>,
}

/// Returns the Secrets that a pod's spec uses, as a whole document has it; a spec that cannot be read uses none.
pub fn secrets_of_spec(spec: &serde_json::Value) -> Box<[SecretUse]> {
    let Ok(spec) = WireTemplateSpec::deserialize(spec) else { return Box::default() };
    spec.uses(&mut Pool::default())
}

impl WireTemplateSpec<'_> {
    fn uses(&self, pool: &mut Pool) -> Box<[SecretUse]> {
        secret_uses::collect(
            self.containers.iter().chain(&self.init_containers).flatten(),
            self.volumes.as_deref(),
            self.image_pull_secrets.as_deref(),
            pool,
        )
    }
}

impl WireTemplate<'_> {
    /// Returns what its pods draw from Secrets, and what the workload or else the template tells Reloader.
    fn draws(&self, own: &Pairs<'_>, pool: &mut Pool) -> Draws {
        let Some(spec) = &self.spec else { return Draws::default() };
        let uses = spec.uses(pool);
        let of_template = self.metadata.as_ref().and_then(|meta| meta.annotations.as_ref());
        Draws::keep(uses, own, of_template, pool)
    }

    pub(super) fn keep(&self, pool: &mut Pool) -> Box<[Container]> {
        let containers = self.spec.as_ref().and_then(|spec| spec.containers.as_ref());
        containers.into_iter().flatten().map(|container| container.keep(pool)).collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireSelector<'a> {
    #[serde(borrow)]
    match_labels: Option<Pairs<'a>>,
}

impl WireSelector<'_> {
    pub(super) fn keep(&self, pool: &mut Pool) -> Selector {
        self.match_labels.as_ref().map(|pairs| selector(pairs, pool)).unwrap_or_default()
    }
}

pub(super) fn selector(pairs: &Pairs<'_>, pool: &mut Pool) -> Selector {
    let mut labels: Vec<_> =
        pairs.0.iter().map(|(key, value)| (pool.share(key.as_str()), pool.share(value.as_str()))).collect();
    labels.sort_unstable();
    labels.into()
}

/// Writes a selector as the API takes it: `app=checkout,tier=web`.
pub fn selector_text(selector: &[(Text, Text)]) -> String {
    let terms: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    terms.join(",")
}

/// A link to the pods that a selector finds.
pub(super) fn pods_of<T>(row: &Row<'_, T>, selector: &[(Text, Text)]) -> Vec<Link> {
    if selector.is_empty() {
        return Vec::new();
    }
    let filter = format!("-l {}", selector_text(selector));
    vec![Link::many("pods", &Resource::new("", "pods"), row.meta().namespace.as_ref(), filter, "")]
}

/// Says how many pods are there against how many there should be.
fn pods_verdict(rollout: &Rollout, wanted: i64, available: i64) -> (Health, Text) {
    match rollout {
        Rollout::Failed(why) => (Health::Degraded, why.clone()),
        _ if wanted == 0 => (Health::Idle, Text::from("scaled to zero")),
        Rollout::Going(_) | Rollout::Paused(_) if available == 0 => {
            (Health::Degraded, Text::from(format!("none of {wanted} pods available")))
        }
        Rollout::Going(how) => (Health::Progressing, how.clone()),
        Rollout::Paused(how) => (Health::Idle, Text::from(format!("paused: {how}"))),
        Rollout::Done | Rollout::OnDelete => match available {
            0 => (Health::Degraded, Text::from(format!("none of {wanted} pods available"))),
            have if have < wanted => {
                (Health::Warning, Text::from(format!("{have} of {wanted} pods available")))
            }
            _ => (Health::Healthy, Text::from("")),
        },
    }
}

/// The word for a rollout in a status column.
fn rollout_cell(rollout: &Rollout, verdict: &(Health, Text)) -> Cell {
    let word = match (rollout, verdict.0) {
        (Rollout::Failed(_), _) => "Failed",
        (_, Health::Idle) if matches!(rollout, Rollout::Done) => "Idle",
        (Rollout::Paused(_), _) => "Paused",
        (Rollout::Going(_), _) => "Progressing",
        (_, Health::Degraded) => "Unavailable",
        (_, Health::Warning) => "Partial",
        _ => "Available",
    };
    Cell::Status { text: Text::from(word), health: verdict.0 }
}

fn why_cell(verdict: (Health, Text)) -> Cell {
    let (health, why) = verdict;
    if why.is_empty() || health == Health::Healthy { Cell::Empty } else { Cell::Text(why) }
}

/// What is kept of a Deployment.
#[derive(Debug)]
pub struct Deployment {
    /// Pods asked for.
    pub wanted: i64,
    /// Pods there are, old and new.
    pub replicas: i64,
    /// Pods of the newest template.
    pub updated: i64,
    /// Pods ready.
    pub ready: i64,
    /// Pods available.
    pub available: i64,
    /// Whether the controller has seen the newest generation.
    pub observed: bool,
    /// Whether its rollout is paused.
    pub paused: bool,
    /// Whether the controller has given its rollout up.
    pub deadline_exceeded: bool,
    /// What the conditions say of its progress or failure; empty where that is no news.
    pub message: Option<Text>,
    /// The revision that the controller counts.
    pub revision: Option<Text>,
    /// `RollingUpdate` or `Recreate`.
    pub strategy: Option<Text>,
    /// What its pods run.
    pub containers: Box<[Container]>,
    /// How it finds its pods.
    pub selector: Selector,
    /// What its pods draw from Secrets.
    pub secrets: Draws,
}

impl Deployment {
    /// Tells where its rollout stands.
    pub fn rollout(&self) -> Rollout {
        rollout::deployment(rollout::DeploymentCounts {
            observed: self.observed,
            paused: self.paused,
            deadline_exceeded: self.deadline_exceeded,
            message: self.message.as_deref().unwrap_or_default(),
            wanted: self.wanted,
            replicas: self.replicas,
            updated: self.updated,
            available: self.available,
        })
    }

    fn verdict(&self) -> (Health, Text) {
        let verdict = pods_verdict(&self.rollout(), self.wanted, self.available);
        match &self.message {
            // Such as a quota that refuses its pods: the reason for the numbers.
            Some(message) if verdict.0 > Health::Idle => (verdict.0, message.clone()),
            _ => verdict,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeploymentSpec<'a> {
    replicas: Option<i64>,
    paused: Option<bool>,
    #[serde(borrow)]
    strategy: Option<WireStrategy<'a>>,
    #[serde(borrow)]
    selector: Option<WireSelector<'a>>,
    #[serde(borrow)]
    template: Option<WireTemplate<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStrategy<'a> {
    #[serde(borrow, rename = "type")]
    name: Opt<'a>,
    rolling_update: Option<WireRolling>,
}

#[derive(Debug, Default, Deserialize)]
struct WireRolling {
    partition: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplicasStatus<'a> {
    observed_generation: Option<i64>,
    replicas: Option<i64>,
    updated_replicas: Option<i64>,
    ready_replicas: Option<i64>,
    available_replicas: Option<i64>,
    #[serde(borrow)]
    current_revision: Opt<'a>,
    #[serde(borrow)]
    update_revision: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl ReplicasStatus<'_> {
    fn condition(&self, name: &str) -> Option<&WireCondition<'_>> {
        self.conditions.as_ref()?.iter().find(|condition| as_str(&condition.name) == name)
    }

    /// Without a generation on either side there is nothing to wait for.
    fn has_observed(&self, generation: Option<i64>) -> bool {
        self.observed_generation.unwrap_or_default() >= generation.unwrap_or_default()
    }
}

/// The annotation in which the Deployment controller counts.
const REVISION: &str = "deployment.kubernetes.io/revision";

impl Slim for Deployment {
    type Wire<'a> = Wire<'a, DeploymentSpec<'a>, ReplicasStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let annotations = wire.metadata.annotations();
        let template = spec.template.unwrap_or_default();
        let stuck = status
            .condition("Progressing")
            .filter(|condition| as_str(&condition.reason) == "ProgressDeadlineExceeded");
        let refused =
            status.condition("ReplicaFailure").filter(|condition| as_str(&condition.status) == "True");
        let slim = Self {
            wanted: spec.replicas.unwrap_or(1),
            replicas: status.replicas.unwrap_or_default(),
            updated: status.updated_replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            available: status.available_replicas.unwrap_or_default(),
            observed: status.has_observed(wire.metadata.generation),
            paused: spec.paused.unwrap_or_default(),
            deadline_exceeded: stuck.is_some(),
            message: refused.or(stuck).and_then(|condition| own(&condition.message)),
            revision: annotations.get(REVISION).map(|revision| pool.share(revision)),
            strategy: spec.strategy.as_ref().and_then(|strategy| share(&strategy.name, pool)),
            secrets: template.draws(&annotations, pool),
            containers: template.keep(pool),
            selector: spec.selector.unwrap_or_default().keep(pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn deployments() -> Kind {
    Kind::describe::<Deployment>("apps", "v1", "deployments", "Deployment")
        .about("interchangeable pods, replaced step by step")
        .shorts(&["deploy", "dp"])
        .namespaced()
        .name()
        .column(ready_column(), |row| Cell::Ratio { have: row.body.ready, want: row.body.wanted })
        .column(status_column(), |row| rollout_cell(&row.body.rollout(), &row.body.verdict()))
        .column(Column::new(Shape::Count, "up-to-date", "pods of the newest template").priority(4), |row| {
            Cell::Count(row.body.updated)
        })
        .column(Column::new(Shape::Count, "available", "pods available").priority(4), |row| {
            Cell::Count(row.body.available)
        })
        .column(Column::new(Shape::Text, "image", "what its pods run").priority(3), |row| {
            images(&row.body.containers)
        })
        .column(why_column(), |row| why_cell(row.body.verdict()))
        .column(Column::new(Shape::Text, "revision", "the revision its controller counts").wide(), |row| {
            row.body.revision.clone().map_or(Cell::Empty, Cell::Text)
        })
        .column(Column::new(Shape::Text, "strategy", "how pods are replaced").wide(), |row| {
            row.body.strategy.clone().map_or(Cell::Empty, Cell::Text)
        })
        .verbs(&["restart", "scale", "rollout-undo", "pause", "resume", "set-image"])
        .use_of_pods("Deployment")
        .alerted("apps", "deployments")
        .health(|row| row.body.verdict())
        .links(|row| {
            let mut links = pods_of(&row, &row.body.selector);
            links.extend(owned(&row, "replicaset", &Resource::new("apps", "replicasets")));
            links
        })
        .done()
}

fn ready_column() -> Column {
    Column::new(Shape::Ratio, "ready", "pods ready of those asked for").priority(1)
}

fn status_column() -> Column {
    Column::new(Shape::Status, "status", "how it is").priority(1)
}

pub(super) fn why_column() -> Column {
    Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(4)
}

/// Links to what names the object as its owner.
pub(super) fn owned<T>(row: &Row<'_, T>, relation: &'static str, resource: &Resource) -> Vec<Link> {
    /// A controller with more than this is looked at as a table.
    const MOST: usize = 100;
    let owned = row.lens.shelf(resource).into_iter().flat_map(|shelf| shelf.owned_by(&row.meta().uid));
    owned
        .take(MOST)
        .map(|object| {
            Link::one(relation, row.lens.object(resource, object.meta.namespace.as_ref(), &object.meta.name))
        })
        .collect()
}

/// What is kept of a `StatefulSet`.
#[derive(Debug)]
pub struct StatefulSet {
    /// Pods asked for.
    pub wanted: i64,
    /// Pods ready.
    pub ready: i64,
    /// Pods of the newest revision.
    pub updated: i64,
    /// Pods available.
    pub available: i64,
    /// Whether the controller has seen the newest generation.
    pub observed: bool,
    /// Whether pods are replaced only when somebody deletes them.
    pub on_delete: bool,
    /// Pods below this number keep the old revision.
    pub partition: i64,
    /// Whether all pods are to be of one revision.
    pub one_revision: bool,
    /// What its pods run.
    pub containers: Box<[Container]>,
    /// How it finds its pods.
    pub selector: Selector,
    /// What its pods draw from Secrets.
    pub secrets: Draws,
}

impl StatefulSet {
    /// Tells where its rollout stands.
    pub fn rollout(&self) -> Rollout {
        rollout::stateful_set(rollout::StatefulSetCounts {
            observed: self.observed,
            on_delete: self.on_delete,
            partition: self.partition,
            wanted: self.wanted,
            ready: self.ready,
            updated: self.updated,
            one_revision: self.one_revision,
        })
    }

    fn verdict(&self) -> (Health, Text) {
        pods_verdict(&self.rollout(), self.wanted, self.ready)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetSpec<'a> {
    replicas: Option<i64>,
    #[serde(borrow)]
    update_strategy: Option<WireStrategy<'a>>,
    #[serde(borrow)]
    selector: Option<WireSelector<'a>>,
    #[serde(borrow)]
    template: Option<WireTemplate<'a>>,
}

impl SetSpec<'_> {
    fn is_on_delete(&self) -> bool {
        self.update_strategy.as_ref().is_some_and(|strategy| as_str(&strategy.name) == "OnDelete")
    }
}

impl Slim for StatefulSet {
    type Wire<'a> = Wire<'a, SetSpec<'a>, ReplicasStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let annotations = wire.metadata.annotations();
        let rolling = spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let is_on_delete = spec.is_on_delete();
        let template = spec.template.unwrap_or_default();
        let slim = Self {
            wanted: spec.replicas.unwrap_or(1),
            ready: status.ready_replicas.unwrap_or_default(),
            updated: status.updated_replicas.unwrap_or_default(),
            available: status.available_replicas.unwrap_or_default(),
            observed: status.has_observed(wire.metadata.generation),
            on_delete: is_on_delete,
            partition: rolling.and_then(|rolling| rolling.partition).unwrap_or_default(),
            one_revision: as_str(&status.current_revision) == as_str(&status.update_revision),
            secrets: template.draws(&annotations, pool),
            containers: template.keep(pool),
            selector: spec.selector.unwrap_or_default().keep(pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn stateful_sets() -> Kind {
    Kind::describe::<StatefulSet>("apps", "v1", "statefulsets", "StatefulSet")
        .about("pods with a name and a volume each")
        .shorts(&["sts"])
        .namespaced()
        .name()
        .column(ready_column(), |row| Cell::Ratio { have: row.body.ready, want: row.body.wanted })
        .column(status_column(), |row| rollout_cell(&row.body.rollout(), &row.body.verdict()))
        .column(Column::new(Shape::Count, "up-to-date", "pods of the newest revision").priority(4), |row| {
            Cell::Count(row.body.updated)
        })
        .column(Column::new(Shape::Text, "image", "what its pods run").priority(3), |row| {
            images(&row.body.containers)
        })
        .column(why_column(), |row| why_cell(row.body.verdict()))
        .column(Column::new(Shape::Count, "partition", "pods below it keep the old revision").wide(), |row| {
            if row.body.partition == 0 { Cell::Empty } else { Cell::Count(row.body.partition) }
        })
        .verbs(&["restart", "scale", "rollout-undo", "set-image"])
        .use_of_pods("StatefulSet")
        .alerted("apps", "statefulsets")
        .health(|row| row.body.verdict())
        .links(|row| pods_of(&row, &row.body.selector))
        .done()
}

/// What is kept of a `DaemonSet`.
#[derive(Debug)]
pub struct DaemonSet {
    /// Nodes that should have a pod.
    pub desired: i64,
    /// Nodes that have one.
    pub current: i64,
    /// Pods ready.
    pub ready: i64,
    /// Pods of the newest template.
    pub updated: i64,
    /// Pods available.
    pub available: i64,
    /// Nodes that have a pod and should not.
    pub misscheduled: i64,
    /// Whether the controller has seen the newest generation.
    pub observed: bool,
    /// Whether pods are replaced only when somebody deletes them.
    pub on_delete: bool,
    /// What its pods run.
    pub containers: Box<[Container]>,
    /// How it finds its pods.
    pub selector: Selector,
    /// What its pods draw from Secrets.
    pub secrets: Draws,
}

impl DaemonSet {
    /// Tells where its rollout stands.
    pub fn rollout(&self) -> Rollout {
        rollout::daemon_set(rollout::DaemonSetCounts {
            observed: self.observed,
            on_delete: self.on_delete,
            desired: self.desired,
            updated: self.updated,
            available: self.available,
        })
    }

    fn verdict(&self) -> (Health, Text) {
        if self.desired == 0 {
            return (Health::Idle, Text::from("no node to run on"));
        }
        pods_verdict(&self.rollout(), self.desired, self.available)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DaemonSetStatus {
    observed_generation: Option<i64>,
    desired_number_scheduled: Option<i64>,
    current_number_scheduled: Option<i64>,
    number_ready: Option<i64>,
    updated_number_scheduled: Option<i64>,
    number_available: Option<i64>,
    number_misscheduled: Option<i64>,
}

impl Slim for DaemonSet {
    type Wire<'a> = Wire<'a, SetSpec<'a>, DaemonSetStatus>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let annotations = wire.metadata.annotations();
        let is_on_delete = spec.is_on_delete();
        let template = spec.template.unwrap_or_default();
        let slim = Self {
            desired: status.desired_number_scheduled.unwrap_or_default(),
            current: status.current_number_scheduled.unwrap_or_default(),
            ready: status.number_ready.unwrap_or_default(),
            updated: status.updated_number_scheduled.unwrap_or_default(),
            available: status.number_available.unwrap_or_default(),
            misscheduled: status.number_misscheduled.unwrap_or_default(),
            observed: status.observed_generation.unwrap_or_default()
                >= wire.metadata.generation.unwrap_or_default(),
            on_delete: is_on_delete,
            secrets: template.draws(&annotations, pool),
            containers: template.keep(pool),
            selector: spec.selector.unwrap_or_default().keep(pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn daemon_sets() -> Kind {
    Kind::describe::<DaemonSet>("apps", "v1", "daemonsets", "DaemonSet")
        .about("one pod on every node")
        .shorts(&["ds"])
        .namespaced()
        .name()
        .column(ready_column(), |row| Cell::Ratio { have: row.body.ready, want: row.body.desired })
        .column(status_column(), |row| rollout_cell(&row.body.rollout(), &row.body.verdict()))
        .column(Column::new(Shape::Count, "up-to-date", "pods of the newest template").priority(4), |row| {
            Cell::Count(row.body.updated)
        })
        .column(Column::new(Shape::Count, "available", "pods available").priority(4), |row| {
            Cell::Count(row.body.available)
        })
        .column(Column::new(Shape::Text, "image", "what its pods run").priority(3), |row| {
            images(&row.body.containers)
        })
        .column(why_column(), |row| why_cell(row.body.verdict()))
        .column(
            Column::new(Shape::Count, "misscheduled", "nodes that should have no pod and have one").wide(),
            |row| Cell::Count(row.body.misscheduled),
        )
        .verbs(&["restart", "rollout-undo", "set-image"])
        .use_of_pods("DaemonSet")
        .alerted("apps", "daemonsets")
        .health(|row| row.body.verdict())
        .links(|row| pods_of(&row, &row.body.selector))
        .done()
}

/// What is kept of a ReplicaSet.
#[derive(Debug)]
pub struct ReplicaSet {
    /// Pods asked for.
    pub wanted: i64,
    /// Pods there are.
    pub replicas: i64,
    /// Pods ready.
    pub ready: i64,
    /// Pods available.
    pub available: i64,
    /// The revision of its Deployment.
    pub revision: Option<Text>,
    /// What its pods run.
    pub containers: Box<[Container]>,
    /// Why it could not create pods; empty where it could.
    pub message: Option<Text>,
    /// How it finds its pods.
    pub selector: Selector,
}

impl ReplicaSet {
    fn verdict(&self) -> (Health, Text) {
        match &self.message {
            Some(message) => (Health::Degraded, message.clone()),
            None if self.wanted == 0 && self.replicas == 0 => (Health::Idle, Text::from("")),
            None if self.available < self.wanted => (
                Health::Progressing,
                Text::from(format!("{} of {} pods available", self.available, self.wanted)),
            ),
            None => (Health::Healthy, Text::from("")),
        }
    }
}

impl Slim for ReplicaSet {
    type Wire<'a> = Wire<'a, SetSpec<'a>, ReplicasStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let refused =
            status.condition("ReplicaFailure").filter(|condition| as_str(&condition.status) == "True");
        let slim = Self {
            wanted: spec.replicas.unwrap_or(1),
            replicas: status.replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            available: status.available_replicas.unwrap_or_default(),
            revision: wire.metadata.annotations().get(REVISION).map(|revision| pool.share(revision)),
            containers: spec.template.unwrap_or_default().keep(pool),
            message: refused.and_then(|condition| own(&condition.message)),
            selector: spec.selector.unwrap_or_default().keep(pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn replica_sets() -> Kind {
    Kind::describe::<ReplicaSet>("apps", "v1", "replicasets", "ReplicaSet")
        .about("the pods of one revision of a Deployment")
        .shorts(&["rs"])
        .namespaced()
        .name()
        .verbs(&["scale"])
        .column(ready_column(), |row| Cell::Ratio { have: row.body.ready, want: row.body.wanted })
        .column(status_column(), |row| {
            let (health, _) = row.body.verdict();
            let word = match health {
                Health::Idle => "Idle",
                Health::Healthy => "Available",
                Health::Degraded => "Failed",
                _ => "Progressing",
            };
            Cell::Status { text: Text::from(word), health }
        })
        .column(Column::new(Shape::Count, "available", "pods available").priority(4), |row| {
            Cell::Count(row.body.available)
        })
        .column(Column::new(Shape::Text, "revision", "the revision of its Deployment").priority(3), |row| {
            row.body.revision.clone().map_or(Cell::Empty, Cell::Text)
        })
        .column(Column::new(Shape::Text, "image", "what its pods run").priority(3), |row| {
            images(&row.body.containers)
        })
        .column(why_column(), |row| why_cell(row.body.verdict()))
        .health(|row| row.body.verdict())
        .links(|row| pods_of(&row, &row.body.selector))
        .done()
}
