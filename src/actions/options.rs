//! How a verb is carried out: what a person chose beside verb and objects.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sheet::Edited;
use super::undo::Undoes;

/// How a verb is carried out; what does not apply to the verb is at its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Rollback: the id of the history entry.
    pub history_id: Option<i64>,
    /// Rollback of a whole tenant: its Applications that stay as they are, because they have nothing to go back to.
    #[serde(skip_serializing_if = "is_default")]
    pub staying: Vec<String>,
    /// Sync: the revision; `None` for the tracked one.
    pub revision: Option<String>,
    /// Sync, rollback: delete what is no longer in Git.
    pub prune: bool,
    /// Sync: let the server only pretend.
    pub dry_run: bool,
    /// Sync: replace or delete and create where needed. Drain: also evict pods that nothing replaces.
    pub force: bool,
    /// Sync: apply only, without hooks.
    pub apply_only: bool,
    /// Sync: only these resources; empty for all.
    pub resources: Vec<SyncResource>,
    /// Rollback, hold: minutes for which auto-sync is held.
    pub hold_minutes: Option<u32>,
    /// Silence, extend: minutes.
    pub minutes: Option<u32>,
    /// Silence: the matchers; empty for those of the alert.
    pub matchers: Vec<String>,
    /// Drain: also evict pods with `emptyDir` volumes, whose data is lost.
    #[serde(skip_serializing_if = "is_default")]
    pub delete_emptydir_data: bool,
    /// Drain: how many pods may be ending at a time; `None` for the default.
    #[serde(skip_serializing_if = "is_default")]
    pub parallel: Option<u32>,
    /// Drain: seconds after which evicting ends; `None` for the default.
    #[serde(skip_serializing_if = "is_default")]
    pub timeout_seconds: Option<u32>,
    /// The entry of the record that this takes back; `None` for what is asked for its own sake.
    #[serde(skip_serializing_if = "is_default")]
    pub undoes: Option<Box<Undoes>>,
    /// Reveal: the key of the Secret; `None` for the only one.
    #[serde(skip_serializing_if = "is_default")]
    pub key: Option<String>,
    /// Revert: the revision or the id of the history entry to go back to; `None` for the one before.
    #[serde(skip_serializing_if = "is_default")]
    pub to_revision: Option<String>,
    /// Revert, promote: push to a branch for review, whatever is configured.
    #[serde(skip_serializing_if = "is_default")]
    pub review: bool,
    /// Promote: the environment whose version is copied.
    #[serde(skip_serializing_if = "is_default")]
    pub from_environment: Option<String>,
    /// Promote: the environment that gets it.
    #[serde(skip_serializing_if = "is_default")]
    pub to_environment: Option<String>,
    /// Scale: how many pods. Pause of a `ScaledObject`: at how many; `None` for as many as there are.
    #[serde(skip_serializing_if = "is_default")]
    pub replicas: Option<i64>,
    /// Rollout undo: the revision; `None` for the one before.
    #[serde(skip_serializing_if = "is_default")]
    pub rollout_revision: Option<i64>,
    /// Set image: `CONTAINER=IMAGE` each.
    #[serde(skip_serializing_if = "is_default")]
    pub images: Vec<String>,
    /// Set bounds: the fewest pods; `None` to leave it.
    #[serde(skip_serializing_if = "is_default")]
    pub min_replicas: Option<i64>,
    /// Set bounds: the most pods; `None` to leave it.
    #[serde(skip_serializing_if = "is_default")]
    pub max_replicas: Option<i64>,
    /// Run: the name of the job; `None` for one made of the `CronJob`'s.
    #[serde(skip_serializing_if = "is_default")]
    pub job_name: Option<String>,
    /// Delete: what becomes of what hangs on the object.
    #[serde(skip_serializing_if = "is_default")]
    pub cascade: Cascade,
    /// What was marked and not shown when the question was asked: it is left out, and the plan says so.
    #[serde(skip_serializing_if = "is_default")]
    pub left_out: Option<Box<LeftOut>>,
    /// Edit: what a person made of the object. It is not part of what is printed or recorded.
    #[serde(skip)]
    pub edited: Option<Arc<Edited>>,
}

/// What becomes of the objects that an object owns when it is deleted, as `kubectl delete --cascade` says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cascade {
    /// They are deleted after it.
    #[default]
    Background,
    /// They are deleted before it: it stays, held, until they are gone.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

impl Cascade {
    /// All of them, in the order in which a key goes through them.
    pub const ALL: [Self; 3] = [Self::Background, Self::Foreground, Self::Orphan];

    /// Returns the word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Foreground => "foreground",
            Self::Orphan => "orphan",
        }
    }

    /// Returns the word of the wire, `propagationPolicy`.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }

    /// Says what it means.
    pub fn about(self) -> &'static str {
        match self {
            Self::Background => "what hangs on it goes after it (background)",
            Self::Foreground => "what hangs on it goes first, and it stays until then (foreground)",
            Self::Orphan => "what hangs on it stays, without an owner (orphan)",
        }
    }
}

/// Tells whether an option was left as it is: plans and records name only those of their verb.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Rows that were marked and that the table did not show when the question was asked.
///
/// # Why
///
/// They are left out and not acted on: a mark that is out of sight was perhaps set an hour ago for something else, and
/// who confirms must have seen what is touched. They are named in the plan and in the record, so that who meant them
/// sees that they are missing before confirming, and who looks later sees that they were not forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What hides them, such as `the filter "web"`.
    pub by: String,
    /// The first of them by name, as many as [`LeftOut::NAMED`].
    pub names: Vec<String>,
    /// How many there are.
    pub count: usize,
}

impl LeftOut {
    /// How many are named.
    pub const NAMED: usize = 8;

    /// Names what is left out; `None` where nothing is.
    pub fn new(by: String, names: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort();
        let count = names.len();
        names.truncate(Self::NAMED);
        (count > 0).then_some(Self { by, names, count })
    }

    /// Says it in a sentence.
    pub fn sentence(&self) -> String {
        let rows = if self.count == 1 { "1 marked row" } else { &format!("{} marked rows", self.count) };
        let more = match self.count.saturating_sub(self.names.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("left out, hidden by {}: {rows}: {}{more}", self.by, self.names.join(", "))
    }
}

/// One resource of a selective sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncResource {
    /// API group; empty for core.
    pub group: String,
    /// Kind name.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl SyncResource {
    /// Reads `GROUP:KIND:NAME` or `GROUP:KIND:NAMESPACE/NAME`, as `argocd app sync --resource` takes it.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: write GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME");
        let mut parts = text.splitn(3, ':');
        let (Some(group), Some(kind), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        if kind.is_empty() || name.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}
