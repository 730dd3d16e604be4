//! What a namespace may use: resource quotas, and the limits for single pods.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decode::Slim;
use super::wire::{Amounts, Opt, Wire, share};
use super::{Cell, Column, Health, Kind, Meta, Pool, Shape, Unit};
use crate::human;
use crate::identity::Text;

pub(super) fn kinds() -> Vec<Kind> {
    vec![quotas(), ranges()]
}

/// From this share of a quota on, somebody should look: the next rollout may not fit.
pub const NEARLY_FULL: f64 = 0.9;

/// What is kept of a `ResourceQuota`.
#[derive(Debug)]
pub struct Quota {
    /// What is limited, sorted by key.
    pub keys: Box<[Usage]>,
}

/// One key of a quota.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// The key, such as `requests.cpu`.
    pub key: Text,
    /// What is used; `None` until the quota controller has counted.
    pub used: Option<f64>,
    /// What may be used.
    pub hard: f64,
}

impl Usage {
    /// Returns the used share; a quota of nothing is full.
    pub fn share(&self) -> Option<f64> {
        let used = self.used?;
        Some(if self.hard > 0.0 { used / self.hard } else { 1.0 })
    }

    /// Returns the unit that the key is counted in.
    pub fn unit(&self) -> Unit {
        let key = self.key.rsplit_once("requests.").map_or(&*self.key, |(_, key)| key);
        match key.trim_start_matches("limits.") {
            "cpu" => Unit::Cores,
            "memory" | "storage" | "ephemeral-storage" => Unit::Bytes,
            _ => Unit::Plain,
        }
    }

    /// Returns the key for a narrow place: `cpu`, `mem`, `pods`.
    pub fn short_key(&self) -> &str {
        match &*self.key {
            "requests.cpu" | "cpu" => "cpu",
            "requests.memory" | "memory" => "mem",
            "limits.cpu" => "cpu limit",
            "limits.memory" => "mem limit",
            key => key.strip_prefix("requests.").or_else(|| key.strip_prefix("count/")).unwrap_or(key),
        }
    }
}

impl Quota {
    /// Returns a key that the quota limits; `requests.cpu` and `cpu` are the same.
    pub fn get(&self, key: &str) -> Option<&Usage> {
        let long = format!("requests.{key}");
        self.keys
            .iter()
            .find(|usage| *usage.key == *long)
            .or_else(|| self.keys.iter().find(|usage| &*usage.key == key))
    }

    /// Returns the key of which least is left.
    pub fn tightest(&self) -> Option<&Usage> {
        // A quota of nothing forbids; it is not about to run out.
        let limited = self.keys.iter().filter(|usage| usage.hard > 0.0 && usage.used.is_some());
        limited.max_by(|a, b| a.share().unwrap_or_default().total_cmp(&b.share().unwrap_or_default()))
    }

    fn verdict(&self) -> (Health, Text) {
        if self.keys.iter().any(|usage| usage.used.is_none()) {
            return (Health::Unknown, Text::from("not counted yet"));
        }
        match self.tightest() {
            Some(usage) if usage.share().unwrap_or_default() >= NEARLY_FULL => {
                let health =
                    if usage.share().unwrap_or_default() >= 1.0 { Health::Degraded } else { Health::Warning };
                let unit = usage.unit();
                let text = format!(
                    "{}: {} of {} used",
                    usage.key,
                    human::quantity(usage.used.unwrap_or_default(), unit),
                    human::quantity(usage.hard, unit)
                );
                (health, Text::from(text))
            }
            _ => (Health::Healthy, Text::from("")),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct QuotaPart<'a> {
    #[serde(borrow)]
    hard: Option<Amounts<'a>>,
    #[serde(borrow)]
    used: Option<Amounts<'a>>,
}

impl Slim for Quota {
    type Wire<'a> = Wire<'a, QuotaPart<'a>, QuotaPart<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        // What is enforced stands in the status; until it was counted, only the wish is known.
        let hard = status.hard.filter(|hard| !hard.0.is_empty()).or(spec.hard).unwrap_or_default();
        let used = status.used.unwrap_or_default();
        let mut keys: Vec<Usage> = hard
            .0
            .iter()
            .map(|(key, hard)| Usage {
                key: pool.share(key.as_str()),
                used: used.get(key.as_str()),
                hard: *hard,
            })
            .collect();
        keys.sort_by(|a, b| a.key.cmp(&b.key));
        (wire.metadata.keep(pool), Self { keys: keys.into() })
    }
}

fn bar(usage: Option<&Usage>) -> Cell {
    match usage {
        Some(Usage { used: Some(used), hard, .. }) => {
            let unit = usage.map_or(Unit::Plain, Usage::unit);
            Cell::Bar { used: *used, total: *hard, unit }
        }
        Some(_) => Cell::Unknown,
        None => Cell::Empty,
    }
}

fn quotas() -> Kind {
    Kind::describe::<Quota>("", "v1", "resourcequotas", "ResourceQuota")
        .about("how much a namespace may use")
        .shorts(&["quota", "quotas"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Status, "status", "how much is left").priority(1), |row| {
            let (health, _) = row.body.verdict();
            let word = match health {
                Health::Degraded => "Full",
                Health::Warning => "NearlyFull",
                Health::Unknown => "NotCounted",
                _ => "Room",
            };
            Cell::Status { text: Text::from(word), health }
        })
        .column(Column::new(Shape::Bar, "cpu", "CPU requests, used of allowed").priority(1), |row| {
            bar(row.body.get("cpu"))
        })
        .column(
            Column::new(Shape::Bar, "memory", "memory requests, used of allowed").titled("MEM").priority(1),
            |row| bar(row.body.get("memory")),
        )
        .column(Column::new(Shape::Bar, "pods", "pods, used of allowed").priority(1), |row| {
            bar(row.body.get("pods"))
        })
        .column(
            Column::new(Shape::Percent, "tightest", "the used share of the key of which least is left")
                .titled("USED%")
                .priority(2),
            |row| {
                let share = row.body.tightest().and_then(Usage::share);
                share.map_or(Cell::Unknown, |share| Cell::Percent(share * 100.0))
            },
        )
        .column(Column::new(Shape::Text, "key", "the key of which least is left").priority(3), |row| {
            row.body.tightest().map_or(Cell::Empty, |usage| Cell::Text(usage.key.clone()))
        })
        .column(Column::new(Shape::Text, "all", "every key, used of allowed").wide(), |row| {
            let all: Vec<String> = row
                .body
                .keys
                .iter()
                .map(|usage| {
                    let unit = usage.unit();
                    let used = usage.used.map_or_else(|| "?".to_owned(), |used| human::quantity(used, unit));
                    format!("{} {used}/{}", usage.key, human::quantity(usage.hard, unit))
                })
                .collect();
            Cell::Text(Text::from(all.join(", ")))
        })
        .health(|row| row.body.verdict())
        .done()
}

/// What is kept of a `LimitRange`.
#[derive(Debug)]
pub struct LimitRange {
    /// What it is about: `Container`, `Pod`, `PersistentVolumeClaim`.
    pub types: Box<[Text]>,
    /// Requests of a container that asks for nothing: `cpu 100m, memory 128Mi`.
    pub requests: Text,
    /// Limits of a container that sets none.
    pub limits: Text,
    /// The most that one may have.
    pub most: Text,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RangeSpec<'a> {
    #[serde(borrow)]
    limits: Option<Vec<WireLimit<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLimit<'a> {
    #[serde(borrow, rename = "type")]
    kind: Opt<'a>,
    #[serde(borrow)]
    default: Option<Amounts<'a>>,
    #[serde(borrow)]
    default_request: Option<Amounts<'a>>,
    #[serde(borrow)]
    max: Option<Amounts<'a>>,
}

fn amounts<'a, 'b: 'a>(parts: impl Iterator<Item = &'a Amounts<'b>>) -> Text {
    let all: Vec<String> = parts
        .flat_map(|amounts| amounts.0.iter())
        .map(|(key, value)| {
            let usage = Usage { key: Text::from(key.as_str()), used: None, hard: *value };
            format!("{} {}", key.as_str(), human::quantity(*value, usage.unit()))
        })
        .collect();
    Text::from(all.join(", "))
}

impl Slim for LimitRange {
    type Wire<'a> = Wire<'a, RangeSpec<'a>, IgnoredAny>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let limits = wire.spec.unwrap_or_default().limits.unwrap_or_default();
        let slim = Self {
            types: limits.iter().filter_map(|limit| share(&limit.kind, pool)).collect(),
            requests: amounts(limits.iter().filter_map(|limit| limit.default_request.as_ref())),
            limits: amounts(limits.iter().filter_map(|limit| limit.default.as_ref())),
            most: amounts(limits.iter().filter_map(|limit| limit.max.as_ref())),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn ranges() -> Kind {
    let words = |text: &Text| if text.is_empty() { Cell::Empty } else { Cell::Text(text.clone()) };
    Kind::describe::<LimitRange>("", "v1", "limitranges", "LimitRange")
        .about("what a container gets that asks for nothing, and the most that one may have")
        .shorts(&["limits"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Text, "types", "what it is about").priority(2), |row| {
            Cell::Text(Text::from(row.body.types.join(" ")))
        })
        .column(
            Column::new(Shape::Text, "requests", "requests where none are made").priority(1),
            move |row| words(&row.body.requests),
        )
        .column(Column::new(Shape::Text, "limits", "limits where none are set").priority(1), move |row| {
            words(&row.body.limits)
        })
        .column(Column::new(Shape::Text, "most", "the most that one may have").priority(3), move |row| {
            words(&row.body.most)
        })
        .done()
}
