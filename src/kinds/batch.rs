//! What runs to an end, scales, or protects pods: Jobs, `CronJobs`, autoscalers and disruption budgets.

use jiff::Timestamp;
use serde::Deserialize;

use super::decode::Slim;
use super::pods::{Container, images};
use super::wire::{Amount, IntOrText, Opt, Wire, WireCondition, as_str, own, share, time};
use super::workloads::{Selector, WireSelector, WireTemplate, owned, pods_of, why_column};
use super::{Cell, Column, Health, Kind, Link, Meta, Pool, Shape};
use crate::human;
use crate::identity::{Resource, Text};

pub(super) fn kinds() -> Vec<Kind> {
    vec![jobs(), cron_jobs(), autoscalers(), budgets()]
}

fn status_column() -> Column {
    Column::new(Shape::Status, "status", "how it is").priority(1)
}

fn status(word: &str, health: Health) -> Cell {
    Cell::Status { text: Text::from(word), health }
}

fn find<'a, 'b>(conditions: &'b Option<Vec<WireCondition<'a>>>, name: &str) -> Option<&'b WireCondition<'a>> {
    conditions.as_ref()?.iter().find(|condition| as_str(&condition.name) == name)
}

fn holds(condition: Option<&WireCondition<'_>>) -> bool {
    condition.is_some_and(|condition| as_str(&condition.status) == "True")
}

/// What is kept of a Job.
#[derive(Debug)]
pub struct Job {
    /// Pods that must succeed.
    pub completions: i64,
    /// Pods that run.
    pub active: i64,
    /// Pods that succeeded.
    pub succeeded: i64,
    /// Pods that failed.
    pub failed: i64,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it succeeded.
    pub completed: Option<Timestamp>,
    /// Whether it has succeeded.
    pub is_complete: bool,
    /// Whether it has failed for good.
    pub is_failed: bool,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Why it failed.
    pub message: Option<Text>,
    /// What its pods run.
    pub containers: Box<[Container]>,
    /// How it finds its pods.
    pub selector: Selector,
}

impl Job {
    fn verdict(&self) -> (Health, Text) {
        if self.is_failed {
            (Health::Degraded, self.message.clone().unwrap_or_else(|| Text::from("failed")))
        } else if self.is_complete {
            (Health::Idle, Text::from("complete"))
        } else if self.suspended {
            (Health::Idle, Text::from("suspended"))
        } else if self.failed > 0 {
            (Health::Warning, Text::from(format!("{} pods failed, trying again", self.failed)))
        } else {
            (Health::Progressing, Text::from(format!("{} pods run", self.active)))
        }
    }

    fn word(&self) -> &'static str {
        if self.is_failed {
            "Failed"
        } else if self.is_complete {
            "Complete"
        } else if self.suspended {
            "Suspended"
        } else {
            "Running"
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct JobSpec<'a> {
    completions: Option<i64>,
    parallelism: Option<i64>,
    suspend: Option<bool>,
    #[serde(borrow)]
    selector: Option<WireSelector<'a>>,
    #[serde(borrow)]
    template: Option<WireTemplate<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobStatus<'a> {
    active: Option<i64>,
    succeeded: Option<i64>,
    failed: Option<i64>,
    #[serde(borrow)]
    start_time: Opt<'a>,
    #[serde(borrow)]
    completion_time: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl Slim for Job {
    type Wire<'a> = Wire<'a, JobSpec<'a>, JobStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let failed = find(&status.conditions, "Failed");
        let slim = Self {
            completions: spec.completions.or(spec.parallelism).unwrap_or(1),
            active: status.active.unwrap_or_default(),
            succeeded: status.succeeded.unwrap_or_default(),
            failed: status.failed.unwrap_or_default(),
            started: time(&status.start_time),
            completed: time(&status.completion_time),
            is_complete: holds(find(&status.conditions, "Complete")),
            is_failed: holds(failed),
            suspended: spec.suspend.unwrap_or_default(),
            message: failed.and_then(|condition| own(&condition.message).or_else(|| own(&condition.reason))),
            containers: spec.template.unwrap_or_default().keep(pool),
            selector: spec.selector.unwrap_or_default().keep(pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn jobs() -> Kind {
    Kind::describe::<Job>("batch", "v1", "jobs", "Job")
        .about("pods that run to an end")
        .namespaced()
        .name()
        .verbs(&["suspend", "resume"])
        .column(
            Column::new(Shape::Ratio, "completions", "pods that succeeded of those that must").priority(1),
            |row| Cell::Ratio { have: row.body.succeeded, want: row.body.completions },
        )
        .column(status_column(), |row| status(row.body.word(), row.body.verdict().0))
        .column(Column::new(Shape::Count, "failed", "pods that failed").priority(3), |row| {
            Cell::Count(row.body.failed)
        })
        .column(
            Column::new(Shape::Text, "duration", "how long it ran, or has been running").priority(3),
            |row| {
                let Some(started) = row.body.started else { return Cell::Empty };
                let end = row.body.completed.unwrap_or(row.lens.now);
                Cell::Text(Text::from(human::span(end.as_second() - started.as_second())))
            },
        )
        .column(Column::new(Shape::Text, "image", "what its pods run").wide(), |row| {
            images(&row.body.containers)
        })
        .column(why_column(), |row| match row.body.verdict() {
            (health, why) if health >= Health::Warning => Cell::Text(why),
            _ => Cell::Empty,
        })
        .health(|row| row.body.verdict())
        .links(|row| pods_of(&row, &row.body.selector))
        .done()
}

/// What is kept of a `CronJob`.
#[derive(Debug)]
pub struct CronJob {
    /// When it runs, as cron writes it.
    pub schedule: Text,
    /// The time zone of the schedule; the controller's where absent.
    pub zone: Option<Text>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Jobs that run now.
    pub active: i64,
    /// When a job was last started.
    pub last_schedule: Option<Timestamp>,
    /// When a job last succeeded.
    pub last_success: Option<Timestamp>,
}

impl CronJob {
    fn verdict(&self) -> (Health, Text) {
        if self.suspended {
            (Health::Idle, Text::from("suspended"))
        } else if self.active > 0 {
            (Health::Progressing, Text::from("running"))
        } else if self.last_schedule.is_some() && self.last_success < self.last_schedule {
            (Health::Warning, Text::from("the last run did not succeed"))
        } else {
            (Health::Healthy, Text::from(""))
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CronJobSpec<'a> {
    #[serde(borrow)]
    schedule: Opt<'a>,
    #[serde(borrow)]
    time_zone: Opt<'a>,
    suspend: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CronJobStatus<'a> {
    active: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(borrow)]
    last_schedule_time: Opt<'a>,
    #[serde(borrow)]
    last_successful_time: Opt<'a>,
}

impl Slim for CronJob {
    type Wire<'a> = Wire<'a, CronJobSpec<'a>, CronJobStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let slim = Self {
            schedule: pool.share(as_str(&spec.schedule)),
            zone: share(&spec.time_zone, pool),
            suspended: spec.suspend.unwrap_or_default(),
            active: status.active.map_or(0, |active| active.len() as i64),
            last_schedule: time(&status.last_schedule_time),
            last_success: time(&status.last_successful_time),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn cron_jobs() -> Kind {
    Kind::describe::<CronJob>("batch", "v1", "cronjobs", "CronJob")
        .about("jobs on a schedule")
        .shorts(&["cj"])
        .namespaced()
        .name()
        .verbs(&["run-job", "suspend", "resume", "set-image"])
        .column(Column::new(Shape::Text, "schedule", "when it runs, as cron writes it").priority(1), |row| {
            Cell::Text(row.body.schedule.clone())
        })
        .column(status_column(), |row| {
            let (health, _) = row.body.verdict();
            let word = match health {
                Health::Idle => "Suspended",
                Health::Progressing => "Running",
                Health::Warning => "LastFailed",
                _ => "Waiting",
            };
            status(word, health)
        })
        .column(Column::new(Shape::Count, "active", "jobs that run now").priority(3), |row| {
            Cell::Count(row.body.active)
        })
        .column(Column::new(Shape::Age, "last-run", "time since a job was last started").priority(2), |row| {
            row.body.last_schedule.map_or(Cell::Empty, Cell::Age)
        })
        .column(
            Column::new(Shape::Age, "last-success", "time since a job last succeeded").priority(3),
            |row| row.body.last_success.map_or(Cell::Empty, Cell::Age),
        )
        .column(Column::new(Shape::Text, "zone", "time zone of the schedule").wide(), |row| {
            row.body.zone.clone().map_or(Cell::Empty, Cell::Text)
        })
        .health(|row| row.body.verdict())
        .links(|row| owned(&row, "job", &Resource::new("batch", "jobs")))
        .done()
}

/// What is kept of a `HorizontalPodAutoscaler`.
#[derive(Debug)]
pub struct Autoscaler {
    /// The group of what it scales.
    pub target_group: Text,
    /// The kind name of what it scales.
    pub target_kind: Text,
    /// The name of what it scales.
    pub target_name: Text,
    /// The fewest pods.
    pub min: i64,
    /// The most pods.
    pub max: i64,
    /// Pods there are.
    pub current: i64,
    /// Pods it wants.
    pub desired: i64,
    /// What it measures against what it aims at: `cpu 72%/80%`.
    pub targets: Text,
    /// When it last scaled.
    pub last_scale: Option<Timestamp>,
    /// Why it cannot scale; empty where it can.
    pub broken: Option<Text>,
    /// Whether it wants more than it may.
    pub at_max: bool,
}

impl Autoscaler {
    fn verdict(&self) -> (Health, Text) {
        match &self.broken {
            Some(why) => (Health::Degraded, why.clone()),
            None if self.at_max => {
                (Health::Warning, Text::from(format!("at its most, {} pods, and wants more", self.max)))
            }
            None if self.current != self.desired => {
                (Health::Progressing, Text::from(format!("scaling {} to {}", self.current, self.desired)))
            }
            None => (Health::Healthy, Text::from("")),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AutoscalerSpec<'a> {
    #[serde(borrow)]
    scale_target_ref: Option<WireTarget<'a>>,
    min_replicas: Option<i64>,
    max_replicas: Option<i64>,
    #[serde(borrow)]
    metrics: Option<Vec<WireMetric<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTarget<'a> {
    #[serde(borrow)]
    api_version: Opt<'a>,
    #[serde(borrow)]
    kind: Opt<'a>,
    #[serde(borrow)]
    name: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetric<'a> {
    #[serde(borrow)]
    resource: Option<WireResourceMetric<'a>>,
    #[serde(borrow)]
    container_resource: Option<WireResourceMetric<'a>>,
    #[serde(borrow)]
    pods: Option<WireNamedMetric<'a>>,
    #[serde(borrow)]
    object: Option<WireNamedMetric<'a>>,
    #[serde(borrow)]
    external: Option<WireNamedMetric<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct WireResourceMetric<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
    target: Option<WireValue>,
    current: Option<WireValue>,
}

#[derive(Debug, Default, Deserialize)]
struct WireNamedMetric<'a> {
    #[serde(borrow)]
    metric: Option<WireMetricName<'a>>,
    target: Option<WireValue>,
    current: Option<WireValue>,
}

#[derive(Debug, Default, Deserialize)]
struct WireMetricName<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireValue {
    average_utilization: Option<i64>,
    average_value: Option<Amount>,
    value: Option<Amount>,
}

impl WireValue {
    fn text(&self) -> Option<String> {
        if let Some(percent) = self.average_utilization {
            return Some(format!("{percent}%"));
        }
        let Amount(value) = self.average_value.or(self.value)?;
        Some(human::quantity(value, super::Unit::Plain))
    }
}

impl WireMetric<'_> {
    fn resource(&self) -> Option<&WireResourceMetric<'_>> {
        self.resource.as_ref().or(self.container_resource.as_ref())
    }

    fn named(&self) -> Option<&WireNamedMetric<'_>> {
        self.pods.as_ref().or(self.object.as_ref()).or(self.external.as_ref())
    }

    fn name(&self) -> &str {
        match (self.resource(), self.named()) {
            (Some(metric), _) => as_str(&metric.name),
            (None, Some(metric)) => metric.metric.as_ref().map_or("", |metric| as_str(&metric.name)),
            (None, None) => "",
        }
    }

    fn target(&self) -> Option<String> {
        self.resource()
            .and_then(|metric| metric.target.as_ref())
            .or_else(|| self.named()?.target.as_ref())?
            .text()
    }

    fn current(&self) -> Option<&WireValue> {
        self.resource().and_then(|metric| metric.current.as_ref()).or_else(|| self.named()?.current.as_ref())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AutoscalerStatus<'a> {
    current_replicas: Option<i64>,
    desired_replicas: Option<i64>,
    #[serde(borrow)]
    last_scale_time: Opt<'a>,
    #[serde(borrow)]
    current_metrics: Option<Vec<WireMetric<'a>>>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

/// Writes what is measured against what is aimed at; a metric that is not measured reads `?`.
fn targets(spec: &AutoscalerSpec<'_>, status: &AutoscalerStatus<'_>) -> String {
    let measured = status.current_metrics.as_deref().unwrap_or_default();
    let one = |metric: &WireMetric<'_>| {
        let target = metric.target().unwrap_or_else(|| "?".to_owned());
        let percent = target.ends_with('%');
        let current = measured
            .iter()
            .find(|other| other.name() == metric.name())
            .and_then(WireMetric::current)
            .and_then(|value| {
                // A measured metric carries both forms: the one that the target is in is wanted.
                let amounts = WireValue { average_utilization: None, ..*value };
                if percent { value.text() } else { amounts.text() }
            })
            .unwrap_or_else(|| "?".to_owned());
        format!("{} {current}/{target}", metric.name())
    };
    let all: Vec<String> = spec.metrics.as_deref().unwrap_or_default().iter().map(one).collect();
    all.join(", ")
}

impl Slim for Autoscaler {
    type Wire<'a> = Wire<'a, AutoscalerSpec<'a>, AutoscalerStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let targets = Text::from(targets(&spec, &status));
        let target = spec.scale_target_ref.unwrap_or_default();
        let broken = ["AbleToScale", "ScalingActive"]
            .into_iter()
            .filter_map(|name| find(&status.conditions, name))
            // At nought replicas scaling is switched off, which is no fault.
            .find(|c| as_str(&c.status) == "False" && as_str(&c.reason) != "ScalingDisabled");
        let limited = find(&status.conditions, "ScalingLimited");
        let slim = Self {
            target_group: pool.share(super::wire::group_of(as_str(&target.api_version))),
            target_kind: pool.share(as_str(&target.kind)),
            target_name: pool.share(as_str(&target.name)),
            min: spec.min_replicas.unwrap_or(1),
            max: spec.max_replicas.unwrap_or_default(),
            current: status.current_replicas.unwrap_or_default(),
            desired: status.desired_replicas.unwrap_or_default(),
            targets,
            last_scale: time(&status.last_scale_time),
            broken: broken.and_then(|condition| own(&condition.message).or_else(|| own(&condition.reason))),
            at_max: holds(limited)
                && limited.is_some_and(|condition| as_str(&condition.reason) == "TooManyReplicas"),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn autoscalers() -> Kind {
    Kind::describe::<Autoscaler>("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
        .about("sets the number of pods by what is measured")
        .shorts(&["hpa"])
        .namespaced()
        .name()
        .verbs(&["set-bounds"])
        .column(Column::new(Shape::Text, "target", "what it scales").priority(1), |row| {
            let (kind, name) = (&row.body.target_kind, &row.body.target_name);
            Cell::Text(Text::from(format!("{kind}/{name}")))
        })
        .column(status_column(), |row| {
            let (health, _) = row.body.verdict();
            let word = match health {
                Health::Degraded => "Broken",
                Health::Warning => "AtMax",
                Health::Progressing => "Scaling",
                _ => "Active",
            };
            status(word, health)
        })
        .column(
            Column::new(Shape::Text, "metrics", "what is measured against what it aims at").priority(2),
            |row| Cell::Text(row.body.targets.clone()),
        )
        .column(Column::new(Shape::Count, "min", "the fewest pods").priority(3), |row| {
            Cell::Count(row.body.min)
        })
        .column(Column::new(Shape::Count, "max", "the most pods").priority(3), |row| {
            Cell::Count(row.body.max)
        })
        .column(
            Column::new(Shape::Ratio, "replicas", "pods there are of those it wants").priority(2),
            |row| Cell::Ratio { have: row.body.current, want: row.body.desired },
        )
        .column(Column::new(Shape::Age, "last-scale", "time since it last scaled").wide(), |row| {
            row.body.last_scale.map_or(Cell::Empty, Cell::Age)
        })
        .column(why_column(), |row| match row.body.verdict() {
            (health, why) if health >= Health::Warning => Cell::Text(why),
            _ => Cell::Empty,
        })
        .health(|row| row.body.verdict())
        .links(|row| {
            let kind = row.lens.kinds.by_kind(&row.body.target_group, &row.body.target_kind);
            kind.iter()
                .map(|kind| {
                    let namespace = row.meta().namespace.as_ref();
                    Link::one("target", row.lens.object(&kind.resource, namespace, &row.body.target_name))
                })
                .collect()
        })
        .done()
}

/// What is kept of a `PodDisruptionBudget`.
#[derive(Debug)]
pub struct Budget {
    /// How many must stay, as written.
    pub min_available: Option<Text>,
    /// How many may go, as written.
    pub max_unavailable: Option<Text>,
    /// How many may be evicted now.
    pub allowed: i64,
    /// Pods that are healthy.
    pub healthy: i64,
    /// Pods that must be healthy.
    pub desired: i64,
    /// Pods that it covers.
    pub expected: i64,
    /// How it finds its pods.
    pub selector: Selector,
}

impl Budget {
    fn verdict(&self) -> (Health, Text) {
        if self.expected == 0 {
            (Health::Idle, Text::from("covers no pod"))
        } else if self.healthy < self.desired {
            (Health::Warning, Text::from(format!("{} of {} pods healthy", self.healthy, self.desired)))
        } else if self.allowed == 0 {
            (Health::Warning, Text::from("allows no eviction now"))
        } else {
            (Health::Healthy, Text::from(""))
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetSpec<'a> {
    min_available: Option<IntOrText>,
    max_unavailable: Option<IntOrText>,
    #[serde(borrow)]
    selector: Option<WireSelector<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetStatus {
    disruptions_allowed: Option<i64>,
    current_healthy: Option<i64>,
    desired_healthy: Option<i64>,
    expected_pods: Option<i64>,
}

impl Slim for Budget {
    type Wire<'a> = Wire<'a, BudgetSpec<'a>, BudgetStatus>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let slim = Self {
            min_available: spec.min_available.map(|value| pool.share(&value.to_string())),
            max_unavailable: spec.max_unavailable.map(|value| pool.share(&value.to_string())),
            allowed: status.disruptions_allowed.unwrap_or_default(),
            healthy: status.current_healthy.unwrap_or_default(),
            desired: status.desired_healthy.unwrap_or_default(),
            expected: status.expected_pods.unwrap_or_default(),
            selector: spec.selector.unwrap_or_default().keep(pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn budgets() -> Kind {
    let text = |value: &Option<Text>| value.clone().map_or(Cell::Empty, Cell::Text);
    Kind::describe::<Budget>("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
        .about("how many pods may be evicted at a time")
        .shorts(&["pdb"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Text, "min-available", "how many must stay").priority(2), move |row| {
            text(&row.body.min_available)
        })
        .column(Column::new(Shape::Text, "max-unavailable", "how many may go").priority(2), move |row| {
            text(&row.body.max_unavailable)
        })
        .column(Column::new(Shape::Count, "allowed", "how many may be evicted now").priority(1), |row| {
            Cell::Count(row.body.allowed)
        })
        .column(
            Column::new(Shape::Ratio, "healthy", "healthy pods of those that must be").priority(1),
            |row| Cell::Ratio { have: row.body.healthy, want: row.body.desired },
        )
        .column(status_column(), |row| {
            let (health, _) = row.body.verdict();
            let word = match health {
                Health::Idle => "Unused",
                Health::Warning => "Blocking",
                _ => "Open",
            };
            status(word, health)
        })
        .health(|row| row.body.verdict())
        .links(|row| pods_of(&row, &row.body.selector))
        .done()
}
