//! What pods, nodes and namespaces use, as the systems beside Kubernetes say it.
//!
//! What nobody has said, or said too long ago, is unknown, and not nought.

use super::decode::Slim;
use super::kind::Describe;
use super::pods::Pod;
use super::{Cell, Column, Lens, Meta, Shape, Unit};
use crate::identity::{Context, Resource, Text};
use crate::signals::{Answer, Ask, Usage, Used, Using, Wanted};

/// Seconds after which a number is no longer one of now: Prometheus lets go of a series after as long.
const OLD: i64 = 300;

/// Returns what has to be asked so that the use in a table of this type is known.
pub fn asks(context: &Context, resource: &Resource) -> Option<Ask> {
    let using = match (&*resource.group, &*resource.plural) {
        ("", "pods") | ("apps", "deployments" | "statefulsets" | "daemonsets") => Using::Pods,
        ("", "nodes") => Using::Nodes,
        ("", "namespaces") => Using::Namespaces,
        _ => return None,
    };
    Some(ask(context, using))
}

/// Returns the question for what all of them use.
pub fn ask(context: &Context, using: Using) -> Ask {
    Ask { context: context.clone(), wanted: Wanted::Use(using) }
}

impl Lens<'_> {
    /// Returns what is known of the use, where that is not too old.
    pub fn usage(&self, using: Using) -> Option<&Usage> {
        let reading = self.store.reading(&ask(self.context, using))?;
        let fresh = reading.at.is_some_and(|at| self.now.as_second() - at.as_second() <= OLD);
        match reading.told.as_ref().filter(|_| fresh).map(|told| &told.answer) {
            Some(Answer::Usage(usage)) => Some(usage),
            _ => None,
        }
    }

    /// Returns what a pod, a node (without a namespace) or a namespace (without a name) uses.
    pub fn used(&self, using: Using, namespace: &Text, name: &Text) -> Option<Used> {
        self.usage(using)?.get(namespace, name).copied()
    }
}

/// Tells whether a column is about use: its cells are unknown where nobody was asked.
pub fn is_about_use(column: &str) -> bool {
    column.ends_with("-use") || column.ends_with("-share")
}

/// Makes a cell of an amount that may be unknown.
pub(super) fn amount(value: Option<f64>, unit: Unit) -> Cell {
    value.map_or(Cell::Unknown, |value| Cell::Quantity { value, unit })
}

/// Makes a cell of an amount of what there is; of nothing there is no part.
pub(super) fn part(value: Option<f64>, of: f64) -> Cell {
    match value {
        Some(value) if of > 0.0 => Cell::Percent(value / of * 100.0),
        Some(_) => Cell::Empty,
        None => Cell::Unknown,
    }
}

/// A column of what is used of something: id, title, what it is for, and how it is worked out.
type Share = (&'static str, &'static str, &'static str, fn(&Together) -> Cell);

impl<T: Slim> Describe<T> {
    /// Adds what the pods of a workload use together; `kind` is that of the workload.
    pub(super) fn use_of_pods(self, kind: &'static str) -> Self {
        let cpu = Column::new(Shape::Quantity, "cpu-use", "CPU that its pods use");
        let memory = Column::new(Shape::Quantity, "memory-use", "memory that its pods use");
        let mut described = self
            .column(cpu.titled("CPU USE").priority(4).joined(), move |row| {
                amount(of_workload(row.lens, row.meta(), kind).and_then(|sum| sum.used.cpu), Unit::Cores)
            })
            .column(memory.titled("MEM USE").priority(4).joined(), move |row| {
                amount(of_workload(row.lens, row.meta(), kind).and_then(|sum| sum.used.memory), Unit::Bytes)
            });
        let shares: [Share; 4] = [
            ("cpu-share", "CPU %", "CPU that its pods use, in percent of what they request", |sum| {
                part(sum.used.cpu, sum.cpu.requested)
            }),
            ("cpu-limit-share", "CPU/LIM", "CPU that its pods use, in percent of their limit", |sum| {
                part(sum.used.cpu, sum.cpu.limit.unwrap_or_default())
            }),
            ("memory-share", "MEM %", "memory that its pods use, in percent of what they request", |sum| {
                part(sum.used.memory, sum.memory.requested)
            }),
            ("memory-limit-share", "MEM/LIM", "memory that its pods use, in percent of their limit", |sum| {
                part(sum.used.memory, sum.memory.limit.unwrap_or_default())
            }),
        ];
        for (id, title, about, cell) in shares {
            let column = Column::new(Shape::Percent, id, about).titled(title).wide().joined();
            described = described.column(column, move |row| {
                of_workload(row.lens, row.meta(), kind).map_or(Cell::Unknown, |sum| cell(&sum))
            });
        }
        described
    }
}

/// What several pods request of something, and what they may use of it; no limit where one of them has none.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    requested: f64,
    limit: Option<f64>,
}

impl Bounds {
    fn add(&mut self, requested: f64, limit: f64, first: bool) {
        self.requested += requested;
        let before = if first { Some(0.0) } else { self.limit };
        self.limit = before.filter(|_| limit > 0.0).map(|sum| sum + limit);
    }
}

/// What the pods of a workload use together, and what they may use.
#[derive(Debug, Clone, Copy, Default)]
struct Together {
    used: Used,
    cpu: Bounds,
    memory: Bounds,
    pods: usize,
}

/// Adds up what the pods of a workload use; those of which nothing is known yet are left out, and what they request
/// with them, so that a share is one of the same pods.
fn of_workload(lens: &Lens<'_>, meta: &Meta, kind: &str) -> Option<Together> {
    let usage = lens.usage(Using::Pods)?;
    let pods = lens.shelf(&Resource::new("", "pods"))?;
    let namespace = meta.namespace.as_ref()?;
    let owned = pods.in_namespace(Some(namespace)).filter(|pod| {
        pod.meta.owners.iter().filter(|owner| owner.controller).any(|owner| match (&*owner.kind, kind) {
            // A ReplicaSet is named after its Deployment with a hash, which has no dash in it.
            ("ReplicaSet", "Deployment") => {
                let hash = owner.name.strip_prefix(&*meta.name).and_then(|rest| rest.strip_prefix('-'));
                hash.is_some_and(|hash| !hash.is_empty() && !hash.contains('-'))
            }
            (owner_kind, kind) => owner_kind == kind && owner.uid == meta.uid,
        })
    });
    let add = |sum: Option<f64>, part: Option<f64>| match (sum, part) {
        (Some(sum), Some(part)) => Some(sum + part),
        (sum, part) => sum.or(part),
    };
    let known = owned.filter_map(|pod| Some((pod.body::<Pod>()?, usage.get(namespace, &pod.meta.name)?)));
    known.fold(None, |sum: Option<Together>, (pod, part)| {
        let mut sum = sum.unwrap_or_default();
        let first = sum.pods == 0;
        sum.used.cpu = add(sum.used.cpu, part.cpu);
        sum.used.memory = add(sum.used.memory, part.memory);
        sum.cpu.add(f64::from(pod.cpu) / 1000.0, f64::from(pod.cpu_limit) / 1000.0, first);
        sum.memory.add(pod.memory as f64, pod.memory_limit as f64, first);
        sum.pods += 1;
        Some(sum)
    })
}
