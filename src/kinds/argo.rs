//! What stands around Applications: AppProjects and ApplicationSets.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decode::Slim;
use super::wire::{Opt, Str, Wire, WireCondition, as_str, own, share};
use super::workloads::owned;
use super::{Cell, Column, Health, Kind, Link, Meta, Pool, Shape, applications};
use crate::identity::Text;

pub(super) fn kinds() -> Vec<Kind> {
    vec![applications::kind(), projects(), sets()]
}

/// What is kept of an AppProject.
#[derive(Debug)]
pub struct Project {
    /// What it is for.
    pub description: Option<Text>,
    /// The namespaces that its Applications may deploy to, as patterns.
    pub destinations: Box<[Text]>,
    /// How many repositories may be used, and whether all may.
    pub repositories: usize,
    /// Whether any repository may be used.
    pub any_repository: bool,
    /// When syncs are allowed and when not.
    pub windows: Box<[Window]>,
    /// How many roles it has.
    pub roles: usize,
}

/// A sync window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Whether it denies; otherwise it allows.
    pub denies: bool,
    /// When it opens, as cron writes it.
    pub schedule: Text,
    /// For how long, as Go writes it.
    pub duration: Text,
    /// The time zone of the schedule; UTC where absent.
    pub zone: Option<Text>,
    /// Whether a sync that a person asks for is allowed all the same.
    pub manual: bool,
    /// The Applications that it concerns, as patterns.
    pub applications: Box<[Text]>,
    /// The namespaces that it concerns, as patterns.
    pub namespaces: Box<[Text]>,
    /// The clusters that it concerns, as patterns.
    pub clusters: Box<[Text]>,
    /// Whether all the lists that are given must match; otherwise any.
    pub all: bool,
    /// What it is for.
    pub description: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectSpec<'a> {
    #[serde(borrow)]
    description: Opt<'a>,
    #[serde(borrow)]
    destinations: Option<Vec<WireDestination<'a>>>,
    #[serde(borrow)]
    source_repos: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    sync_windows: Option<Vec<WireWindow<'a>>>,
    roles: Option<Vec<IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
struct WireDestination<'a> {
    #[serde(borrow)]
    namespace: Opt<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireWindow<'a> {
    #[serde(borrow)]
    kind: Opt<'a>,
    #[serde(borrow)]
    schedule: Opt<'a>,
    #[serde(borrow)]
    duration: Opt<'a>,
    #[serde(borrow)]
    time_zone: Opt<'a>,
    manual_sync: Option<bool>,
    #[serde(borrow)]
    applications: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    namespaces: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    clusters: Option<Vec<Str<'a>>>,
    and_operator: Option<bool>,
    #[serde(borrow)]
    description: Opt<'a>,
}

impl Slim for Project {
    type Wire<'a> = Wire<'a, ProjectSpec<'a>, IgnoredAny>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let repositories = spec.source_repos.unwrap_or_default();
        let slim = Self {
            description: own(&spec.description),
            destinations: spec
                .destinations
                .iter()
                .flatten()
                .filter_map(|destination| share(&destination.namespace, pool))
                .collect(),
            repositories: repositories.len(),
            any_repository: repositories.iter().any(|repository| repository.as_str() == "*"),
            windows: spec
                .sync_windows
                .iter()
                .flatten()
                .map(|window| Window {
                    denies: as_str(&window.kind) == "deny",
                    schedule: pool.share(as_str(&window.schedule)),
                    duration: pool.share(as_str(&window.duration)),
                    zone: share(&window.time_zone, pool),
                    manual: window.manual_sync.unwrap_or_default(),
                    applications: patterns(&window.applications, pool),
                    namespaces: patterns(&window.namespaces, pool),
                    clusters: patterns(&window.clusters, pool),
                    all: window.and_operator.unwrap_or_default(),
                    description: own(&window.description),
                })
                .collect(),
            roles: spec.roles.map_or(0, |roles| roles.len()),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn patterns(patterns: &Option<Vec<Str<'_>>>, pool: &mut Pool) -> Box<[Text]> {
    patterns.iter().flatten().map(|pattern| pool.share(pattern.as_str())).collect()
}

fn projects() -> Kind {
    Kind::describe::<Project>("argoproj.io", "v1alpha1", "appprojects", "AppProject")
        .about("what a group of Applications may use, and when it may sync")
        .shorts(&["appproj", "appprojs", "proj"])
        .namespaced()
        .name()
        .column(
            Column::new(Shape::Text, "destinations", "namespaces that it may deploy to").priority(2),
            |row| Cell::Text(Text::from(row.body.destinations.join(" "))),
        )
        .column(
            Column::new(Shape::Text, "repositories", "how many repositories it may use").priority(3),
            |row| {
                let text = if row.body.any_repository {
                    "any".to_owned()
                } else {
                    row.body.repositories.to_string()
                };
                Cell::Text(Text::from(text))
            },
        )
        .column(Column::new(Shape::Text, "windows", "when syncs are allowed or denied").priority(2), |row| {
            let words: Vec<String> = row
                .body
                .windows
                .iter()
                .map(|window| {
                    let kind = if window.denies { "deny" } else { "allow" };
                    format!("{kind} {} for {}", window.schedule, window.duration)
                })
                .collect();
            if words.is_empty() { Cell::Empty } else { Cell::Text(Text::from(words.join("; "))) }
        })
        .column(Column::new(Shape::Count, "roles", "how many roles it has").wide(), |row| {
            Cell::Count(row.body.roles as i64)
        })
        .column(Column::new(Shape::Text, "description", "what it is for").wide(), |row| {
            row.body.description.clone().map_or(Cell::Empty, Cell::Text)
        })
        .links(|row| {
            let filter = format!("project={}", row.meta().name);
            vec![Link::many("applications", &applications::applications(), None, filter, "")]
        })
        .done()
}

/// What is kept of an ApplicationSet.
#[derive(Debug)]
pub struct ApplicationSet {
    /// The kinds of generators that it uses, such as `git list`.
    pub generators: Text,
    /// How many Applications it has made, where it says so.
    pub made: Option<i64>,
    /// What it may do with Applications that are there: `create-only` and the like; `None` for all.
    pub policy: Option<Text>,
    /// Fields of its Applications that it leaves alone, as JSON pointers.
    pub ignores: Box<[Text]>,
    /// Whether it syncs its Applications itself, step by step.
    pub rolling: bool,
    /// What went wrong; empty where nothing did.
    pub error: Option<Text>,
    /// What is going on, where it rolls out; empty where nothing is.
    pub progress: Option<Text>,
}

impl ApplicationSet {
    fn verdict(&self) -> (Health, Text) {
        match (&self.error, &self.progress) {
            (Some(error), _) => (Health::Degraded, error.clone()),
            (None, Some(progress)) => (Health::Progressing, progress.clone()),
            (None, None) => (Health::Healthy, Text::from("")),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetSpec<'a> {
    #[serde(borrow)]
    generators: Option<Vec<Keys<'a>>>,
    #[serde(borrow)]
    sync_policy: Option<SetPolicy<'a>>,
    #[serde(borrow)]
    strategy: Option<Strategy<'a>>,
    #[serde(borrow)]
    ignore_application_differences: Option<Vec<Ignored<'a>>>,
}

/// The first key of a map: a generator is named by it.
#[derive(Debug, Default)]
struct Keys<'a>(Vec<Str<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: serde::de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> serde::de::Visitor<'de> for Walk {
            type Value = Keys<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a generator")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys<'de>, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = map.next_key()? {
                    map.next_value::<IgnoredAny>()?;
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetPolicy<'a> {
    #[serde(borrow)]
    applications_sync: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Strategy<'a> {
    #[serde(borrow, rename = "type")]
    name: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ignored<'a> {
    #[serde(borrow)]
    json_pointers: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    jq_path_expressions: Option<Vec<Str<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetStatus<'a> {
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
    resources: Option<Vec<IgnoredAny>>,
    resources_count: Option<i64>,
}

impl SetStatus<'_> {
    fn holding(&self, name: &str) -> Option<&WireCondition<'_>> {
        let mut conditions = self.conditions.iter().flatten();
        conditions.find(|c| as_str(&c.name) == name && as_str(&c.status) == "True")
    }
}

impl Slim for ApplicationSet {
    type Wire<'a> = Wire<'a, SetSpec<'a>, SetStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let mut generators: Vec<&str> = spec
            .generators
            .iter()
            .flatten()
            .flat_map(|keys| keys.0.iter().map(Str::as_str))
            // A selector stands beside the generator that it narrows.
            .filter(|key| *key != "selector")
            .collect();
        generators.dedup();
        let error = status.holding("ErrorOccurred").or_else(|| status.holding("InvalidRolloutConfig"));
        let slim = Self {
            generators: pool.share(&generators.join(" ")),
            made: status.resources_count.or_else(|| status.resources.as_ref().map(|made| made.len() as i64)),
            policy: spec.sync_policy.as_ref().and_then(|policy| share(&policy.applications_sync, pool)),
            ignores: spec
                .ignore_application_differences
                .iter()
                .flatten()
                .flat_map(|ignored| {
                    ignored.json_pointers.iter().flatten().chain(ignored.jq_path_expressions.iter().flatten())
                })
                .map(|pointer| pool.share(pointer.as_str()))
                .collect(),
            rolling: spec.strategy.as_ref().is_some_and(|strategy| as_str(&strategy.name) == "RollingSync"),
            error: error.and_then(|condition| own(&condition.message).or_else(|| own(&condition.reason))),
            progress: status.holding("RolloutProgressing").and_then(|condition| own(&condition.message)),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn sets() -> Kind {
    Kind::describe::<ApplicationSet>("argoproj.io", "v1alpha1", "applicationsets", "ApplicationSet")
        .about("makes Applications from a list, from Git or from clusters")
        .shorts(&["appset", "appsets"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Status, "status", "how it is").priority(1), |row| {
            let (health, _) = row.body.verdict();
            let word = match health {
                Health::Degraded => "Error",
                Health::Progressing => "RollingOut",
                _ => "UpToDate",
            };
            Cell::Status { text: Text::from(word), health }
        })
        .column(
            Column::new(Shape::Count, "applications", "how many Applications it has made").priority(1),
            |row| row.body.made.map_or(Cell::Unknown, Cell::Count),
        )
        .column(Column::new(Shape::Text, "generators", "what it makes them from").priority(2), |row| {
            Cell::Text(row.body.generators.clone())
        })
        .column(
            Column::new(Shape::Text, "policy", "what it may do with Applications that are there").priority(3),
            |row| Cell::Text(row.body.policy.clone().unwrap_or_else(|| Text::from("sync"))),
        )
        .column(
            Column::new(Shape::Text, "strategy", "whether it syncs them itself, step by step").wide(),
            |row| Cell::Text(Text::from(if row.body.rolling { "RollingSync" } else { "AllAtOnce" })),
        )
        .column(
            Column::new(Shape::Text, "ignores", "fields of its Applications that it leaves alone").wide(),
            |row| {
                if row.body.ignores.is_empty() {
                    Cell::Empty
                } else {
                    Cell::Text(Text::from(row.body.ignores.join(" ")))
                }
            },
        )
        .column(
            Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(4),
            |row| match row.body.verdict() {
                (health, why) if health > Health::Idle && !why.is_empty() => Cell::Text(why),
                _ => Cell::Empty,
            },
        )
        .health(|row| row.body.verdict())
        .links(|row| owned(&row, "application", &applications::applications()))
        .done()
}
