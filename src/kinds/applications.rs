//! Argo CD Applications: what is deployed from Git, how far it is, and who deployed what when.
//!
//! The slim type also keeps what overview, timeline and resource tree need: a summary of the history, the last
//! operation, the conditions and the managed resources. Manifests, parameters and results of single resources
//! are read from the whole document when an Application is opened.

use jiff::Timestamp;

use super::kind::Row;
use super::{Cell, Column, Health, Kind, Link, Meta, Shape};
use crate::identity::{Resource, Text};

/// Seconds after which a comparison is called old: Argo CD compares every two to three minutes.
const OLD: i64 = 900;

/// What is kept of an Application.
#[derive(Debug)]
pub struct Application {
    /// Its AppProject.
    pub project: Text,
    /// Where its manifests come from.
    pub sources: Box<[Source]>,
    /// The cluster that it deploys to, by URL or by name.
    pub cluster: Option<Text>,
    /// The namespace that it deploys to.
    pub namespace: Option<Text>,
    /// `Synced`, `OutOfSync`, `Unknown`, or what a later version says.
    pub sync: Text,
    /// What it was compared with: one revision a source.
    pub revisions: Box<[Text]>,
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing`, `Unknown`, or what a later version says.
    pub health: Text,
    /// Why it is not healthy.
    pub health_message: Option<Text>,
    /// Since when its health is what it is.
    pub health_since: Option<Timestamp>,
    /// Whether it is synced without being asked.
    pub auto_sync: AutoSync,
    /// What is remembered of a hold of auto-sync.
    pub held: Option<Box<Held>>,
    /// The operation that runs or ran last.
    pub operation: Option<Operation>,
    /// Whether an operation is asked for that the controller has not picked up.
    pub requested: bool,
    /// Whether a refresh is asked for: `normal` or `hard`.
    pub refreshing: Option<Text>,
    /// Whether the controller is told to leave it alone.
    pub skipped: bool,
    /// When it was last compared in full.
    pub compared: Option<Timestamp>,
    /// What was deployed, oldest first.
    pub history: Box<[Deploy]>,
    /// The images that it runs.
    pub images: Box<[Text]>,
    /// What is wrong with it, as the controller says.
    pub conditions: Box<[Condition]>,
    /// What it manages.
    pub resources: Box<[Managed]>,
    /// The Application that manages this one: namespace, where the mark names one, and name.
    pub parent: Option<(Option<Text>, Text)>,
    /// Where its control plane is, where that is another namespace than its own.
    pub controller: Option<Text>,
}

/// What an Application remembers of a hold of its auto-sync, as far as it is shown. What it was is only read
/// where it is given back, from the whole object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Who held it; empty where the note cannot be read.
    pub by: Text,
    /// Since when.
    pub at: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Text,
}

/// A source of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The repository.
    pub repository: Text,
    /// The folder, or the chart.
    pub path: Text,
    /// The branch, tag, commit or version that is followed.
    pub target: Text,
}

/// Whether an Application is synced without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AutoSync {
    /// Never was, or was taken away.
    Off,
    /// Configured, and switched off.
    Disabled,
    /// On: `automated: {}` is on.
    On {
        /// Whether it deletes what is no longer in Git.
        prune: bool,
        /// Whether it undoes changes by hand.
        self_heal: bool,
    },
}

impl AutoSync {
    /// Tells whether it is on.
    pub fn is_on(self) -> bool {
        matches!(self, Self::On { .. })
    }
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// `Running`, `Terminating`, `Succeeded`, `Failed` or `Error`.
    pub phase: Text,
    /// What the controller says of it.
    pub message: Option<Text>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it, or its last attempt, ended.
    pub finished: Option<Timestamp>,
    /// The revision that it is to bring.
    pub revision: Option<Text>,
    /// Who asked for it; absent where the controller did.
    pub by: Option<Text>,
    /// Whether auto-sync began it.
    pub automated: bool,
}

impl Operation {
    /// Tells whether it is going on: a failed attempt with attempts left is.
    pub fn is_running(&self) -> bool {
        matches!(&*self.phase, "Running" | "Terminating")
    }

    /// Tells whether it ended badly.
    pub fn has_failed(&self) -> bool {
        matches!(&*self.phase, "Failed" | "Error")
    }
}

/// An entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// Its id, which a rollback names; not its place in the list.
    pub id: i64,
    /// The revision; of several sources the first.
    pub revision: Text,
    /// When it was begun.
    pub started: Option<Timestamp>,
    /// When it was done.
    pub at: Option<Timestamp>,
    /// Who asked for it.
    pub by: Option<Text>,
    /// Whether auto-sync did it.
    pub automated: bool,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its type, such as `ComparisonError`.
    pub name: Text,
    /// What it says.
    pub message: Text,
    /// Since when.
    pub at: Option<Timestamp>,
}

impl Condition {
    /// Tells whether it is an error, by the ending of its type.
    pub fn is_error(&self) -> bool {
        self.name.ends_with("Error")
    }
}

/// A resource that an Application manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// API group.
    pub group: Text,
    /// Kind name.
    pub kind: Text,
    /// Namespace; `None` for cluster-scoped resources.
    pub namespace: Option<Text>,
    /// Name.
    pub name: Text,
    /// `Synced`, `OutOfSync` or `Unknown`; hooks have none.
    pub sync: Option<Text>,
    /// Its health, where the controller writes it.
    pub health: Option<Text>,
    /// Whether it runs beside a sync instead of being deployed by it.
    pub hook: bool,
    /// Whether it is no longer in Git.
    pub prunable: bool,
}

impl Application {
    /// Returns the id of the newest entry of the history that deployed something else than the newest one; `None`
    /// where there is nothing to go back to.
    pub fn entry_before(&self) -> Option<i64> {
        // By id, in whatever order they are kept.
        let newest = self.history.iter().max_by_key(|entry| entry.id)?;
        let several = self.sources.len() > 1;
        // Of several sources only the first revision is kept: another one may have moved alone.
        let other = |entry: &&Deploy| {
            if several { entry.id != newest.id } else { entry.revision != newest.revision }
        };
        self.history.iter().filter(other).map(|entry| entry.id).max()
    }

    /// Tells whether an operation is asked for or going on.
    pub fn is_busy(&self) -> bool {
        self.requested || self.operation.as_ref().is_some_and(Operation::is_running)
    }

    /// Returns the newest entry of the history.
    pub fn last_deploy(&self) -> Option<&Deploy> {
        self.history.iter().max_by_key(|deploy| deploy.id)
    }

    /// Tells how its sync status is to be taken.
    pub fn sync_health(&self) -> Health {
        match &*self.sync {
            "Synced" => Health::Healthy,
            "OutOfSync" if self.is_busy() => Health::Progressing,
            "OutOfSync" => Health::Warning,
            _ => Health::Unknown,
        }
    }

    /// Tells how its health status is to be taken.
    pub fn health(&self) -> Health {
        health_of(&self.health)
    }

    /// Says how it is, and why: the worst of health, errors, operation and sync.
    pub fn verdict(&self, meta: &Meta, now: Timestamp) -> (Health, Text) {
        if meta.deleted.is_some() {
            return (Health::Progressing, Text::from("being deleted"));
        }
        let health = self.health();
        if health == Health::Degraded {
            let why = self.health_message.clone().or_else(|| self.failed_operation());
            return (
                health,
                why.or_else(|| self.worst()).unwrap_or_else(|| Text::from(self.health.to_lowercase())),
            );
        }
        if let Some(error) = self.conditions.iter().find(|condition| condition.is_error()) {
            return (Health::Degraded, error.message.clone());
        }
        if !self.is_busy()
            && &*self.sync != "Synced"
            && let Some(why) = self.failed_operation()
        {
            return (Health::Degraded, why);
        }
        if self.is_busy() {
            return (Health::Progressing, self.doing());
        }
        if health == Health::Progressing {
            let why = self.health_message.clone().unwrap_or_else(|| Text::from("progressing"));
            return (health, why);
        }
        if self.sync_health() == Health::Warning {
            return (Health::Warning, Text::from("out of sync"));
        }
        if self.compared.is_some_and(|at| now.as_second() - at.as_second() > OLD) {
            let since = self.compared.map_or_else(String::new, |at| crate::human::age(now, at));
            return (Health::Warning, Text::from(format!("last compared {since} ago")));
        }
        if health == Health::Unknown || self.sync_health() == Health::Unknown {
            return (Health::Unknown, Text::from("its state is not known"));
        }
        if health == Health::Idle {
            return (health, Text::from("suspended"));
        }
        match self.conditions.first() {
            Some(warning) => (Health::Warning, warning.message.clone()),
            None => (Health::Healthy, Text::from("")),
        }
    }

    /// Names what hurts, where the controller writes the health of single resources.
    fn worst(&self) -> Option<Text> {
        let worst = self.resources.iter().find(|managed| {
            managed.health.as_deref().is_some_and(|word| health_of(word) == Health::Degraded)
        })?;
        let word = worst.health.as_deref().unwrap_or_default().to_lowercase();
        Some(Text::from(format!("{}/{} {word}", worst.kind, worst.name)))
    }

    fn failed_operation(&self) -> Option<Text> {
        let operation = self.operation.as_ref().filter(|operation| operation.has_failed())?;
        let said = operation.message.as_deref().unwrap_or("no reason given");
        Some(Text::from(format!("last sync {}: {said}", operation.phase.to_lowercase())))
    }

    fn doing(&self) -> Text {
        match self.operation.as_ref().filter(|operation| operation.is_running()) {
            Some(Operation { message: Some(message), .. }) => message.clone(),
            Some(operation) => Text::from(operation.phase.to_lowercase()),
            None => Text::from("an operation is asked for"),
        }
    }

    /// Returns the word for the operation column; nothing where the last one ended well.
    fn operation_word(&self) -> Option<(&str, Health)> {
        let operation = self.operation.as_ref();
        // A request that waits hides the result of the one before.
        if self.requested && operation.is_none_or(|operation| !operation.is_running()) {
            return Some(("Requested", Health::Progressing));
        }
        let operation = operation?;
        match &*operation.phase {
            "Running" if operation.finished.is_some() => Some(("Retrying", Health::Warning)),
            "Running" => Some(("Running", Health::Progressing)),
            "Terminating" => Some(("Terminating", Health::Progressing)),
            "Succeeded" => None,
            phase if operation.has_failed() => Some((phase, Health::Degraded)),
            phase => Some((phase, Health::Unknown)),
        }
    }

    /// Returns the revision for people: a commit in seven characters, anything else as it is.
    pub fn short_revision(&self) -> Text {
        let mut short: Vec<&str> = self.revisions.iter().map(|revision| short_revision(revision)).collect();
        // Sources of one repository are mostly at one revision.
        short.dedup();
        Text::from(short.join(" "))
    }
}

/// Tells how a health word of Argo CD is to be taken.
pub fn health_of(word: &str) -> Health {
    match word {
        "Healthy" => Health::Healthy,
        "Suspended" => Health::Idle,
        "Progressing" => Health::Progressing,
        "Degraded" | "Missing" => Health::Degraded,
        _ => Health::Unknown,
    }
}

/// Shortens a commit to seven characters; a version stays as it is.
pub fn short_revision(revision: &str) -> &str {
    let is_commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { revision.get(..7).unwrap_or(revision) } else { revision }
}

/// The resource type of Applications.
pub fn applications() -> Resource {
    Resource::new("argoproj.io", "applications")
}

pub(super) fn kind() -> Kind {
    Kind::describe::<Application>("argoproj.io", "v1alpha1", "applications", "Application")
        .about("what Argo CD deploys from Git")
        .shorts(&["app", "apps"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Link, "project", "its AppProject").priority(3), |row| Cell::Link {
            text: row.body.project.clone(),
            to: row.project(),
        })
        .column(
            Column::new(Shape::Status, "sync", "whether the cluster is what Git says").priority(1),
            |row| Cell::Status { text: row.body.sync.clone(), health: row.body.sync_health() },
        )
        .column(Column::new(Shape::Status, "health", "how what it deploys is").priority(1), |row| {
            Cell::Status { text: row.body.health.clone(), health: row.body.health() }
        })
        .column(Column::new(Shape::Text, "revision", "what it was compared with").priority(2), |row| {
            Cell::Text(row.body.short_revision())
        })
        .column(
            Column::new(
                Shape::Status,
                "operation",
                "the operation in progress, or the last one if it failed",
            )
            .priority(2),
            |row| match row.body.operation_word() {
                Some((word, health)) => Cell::Status { text: Text::from(word), health },
                None => Cell::Empty,
            },
        )
        .column(
            Column::new(Shape::Status, "auto", "auto-sync: on, with prune and self-heal, off, or held")
                .priority(3),
            |row| {
                let (word, health) = match row.body.auto_sync {
                    _ if row.body.skipped => ("skipped", Health::Warning),
                    AutoSync::On { prune: true, self_heal: true } => ("on prune heal", Health::Healthy),
                    AutoSync::On { prune: true, self_heal: false } => ("on prune", Health::Healthy),
                    AutoSync::On { prune: false, self_heal: true } => ("on heal", Health::Healthy),
                    AutoSync::On { prune: false, self_heal: false } => ("on", Health::Healthy),
                    _ if row.body.held.is_some() => ("held", Health::Warning),
                    AutoSync::Disabled => ("disabled", Health::Idle),
                    AutoSync::Off => ("off", Health::Idle),
                };
                Cell::Status { text: Text::from(word), health }
            },
        )
        .column(Column::new(Shape::Age, "deployed", "time since it was last deployed").priority(2), |row| {
            row.body.last_deploy().and_then(|deploy| deploy.at).map_or(Cell::Empty, Cell::Age)
        })
        .column(
            Column::new(Shape::Age, "compared", "time since it was last compared with Git").priority(4),
            |row| row.body.compared.map_or(Cell::Unknown, Cell::Age),
        )
        .column(
            Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(4),
            |row| {
                let (health, why) = row.verdict();
                if health <= Health::Idle || why.is_empty() { Cell::Empty } else { Cell::Text(why) }
            },
        )
        .column(Column::new(Shape::Text, "destination", "the namespace that it deploys to").wide(), |row| {
            row.body.namespace.clone().map_or(Cell::Empty, Cell::Text)
        })
        .column(
            Column::new(Shape::Text, "source", "the folder or chart that it is made from").wide(),
            |row| {
                let source = row.body.sources.first();
                source.map_or(Cell::Empty, |source| {
                    let target = if source.target.is_empty() { "HEAD" } else { &source.target };
                    Cell::Text(Text::from(format!("{}@{target}", source.path)))
                })
            },
        )
        .column(Column::new(Shape::Text, "image", "the images that it runs").wide(), |row| {
            let images: Vec<&str> =
                row.body.images.iter().map(|image| super::pods::short_image(image)).collect();
            if images.is_empty() { Cell::Empty } else { Cell::Text(Text::from(images.join(" "))) }
        })
        .column(Column::new(Shape::Text, "by", "who deployed it last").wide(), |row| {
            match row.body.last_deploy() {
                Some(Deploy { by: Some(by), .. }) => Cell::Text(by.clone()),
                Some(Deploy { automated: true, .. }) => Cell::Text(Text::from("auto-sync")),
                _ => Cell::Empty,
            }
        })
        .alerted("argoproj.io", "applications")
        .verbs(&[
            "refresh",
            "hard-refresh",
            "sync",
            "rollback",
            "revert",
            "promote",
            "terminate",
            "hold-autosync",
            "release-autosync",
        ])
        .health(|row| row.verdict())
        .links(|row| row.links())
        .done()
}

impl Row<'_, Application> {
    fn verdict(&self) -> (Health, Text) {
        self.body.verdict(self.meta(), self.lens.now)
    }

    fn project(&self) -> crate::identity::ObjectRef {
        // Projects live beside the controller.
        let namespace = self.body.controller.as_ref().or(self.meta().namespace.as_ref());
        self.lens.object(&Resource::new("argoproj.io", "appprojects"), namespace, &self.body.project)
    }

    fn links(&self) -> Vec<Link> {
        let mut links = vec![Link::one("project", self.project())];
        if let Some((namespace, name)) = &self.body.parent {
            let home = self.body.controller.as_ref().or(self.meta().namespace.as_ref());
            links.push(Link::one(
                "parent",
                self.lens.object(&applications(), namespace.as_ref().or(home), name),
            ));
        }
        if let Some(namespace) = &self.body.namespace {
            links.push(Link::one(
                "destination",
                self.lens.object(&Resource::new("", "namespaces"), None, namespace),
            ));
        }
        for managed in &self.body.resources {
            let Some(kind) = self.lens.kinds.by_kind(&managed.group, &managed.kind) else { continue };
            let to = self.lens.object(&kind.resource, managed.namespace.as_ref(), &managed.name);
            let words: Vec<&str> =
                [managed.sync.as_deref(), managed.health.as_deref()].into_iter().flatten().collect();
            links.push(Link { note: Text::from(words.join(", ")), ..Link::one("manages", to) });
        }
        links
    }
}
