//! How pods come by Secrets: by environment, by volume, for pulling images; and who is restarted when one changes.
//!
//! What is kept is names; a Secret is never read for it.

use serde::Deserialize;

use super::Pool;
use super::pods::WireContainer;
use super::wire::{Opt, Pairs, as_str};
use crate::identity::Text;

/// How a pod uses a Secret, and so what a change of it means for the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// As environment: read when the container starts, and never again.
    Env,
    /// As a file mounted by `subPath`: never refreshed.
    SubPath,
    /// As a volume: the kubelet refreshes it in a minute or two.
    Volume,
    /// For pulling images: read when an image is pulled.
    Pull,
}

impl How {
    /// Tells whether only a new start brings a changed value to the pod (contracts 7.5).
    pub fn needs_restart(self) -> bool {
        matches!(self, Self::Env | Self::SubPath)
    }

    /// Returns the word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Env => "environment",
            Self::SubPath => "file by subPath",
            Self::Volume => "volume",
            Self::Pull => "image pull",
        }
    }
}

/// One use of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretUse {
    /// The name of the Secret, in the namespace of the pod.
    pub secret: Text,
    /// How.
    pub how: How,
}

/// A reference by name alone.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireNamed<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireEnv<'a> {
    #[serde(borrow)]
    value_from: Option<WireFrom<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFrom<'a> {
    #[serde(borrow)]
    secret_key_ref: Option<WireNamed<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireEnvFrom<'a> {
    #[serde(borrow)]
    secret_ref: Option<WireNamed<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireMount<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    sub_path: Opt<'a>,
    #[serde(borrow)]
    sub_path_expr: Opt<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireVolume<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    secret: Option<WireSecretVolume<'a>>,
    #[serde(borrow)]
    projected: Option<WireProjected<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSecretVolume<'a> {
    #[serde(borrow)]
    secret_name: Opt<'a>,
}

#[derive(Debug, Deserialize)]
struct WireProjected<'a> {
    #[serde(borrow)]
    sources: Option<Vec<WireProjection<'a>>>,
}

#[derive(Debug, Deserialize)]
struct WireProjection<'a> {
    #[serde(borrow)]
    secret: Option<WireNamed<'a>>,
}

/// What of a container's description says which Secrets it uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uses<'b, 'a> {
    pub(super) env: Option<&'b [WireEnv<'a>]>,
    pub(super) env_from: Option<&'b [WireEnvFrom<'a>]>,
    pub(super) mounts: Option<&'b [WireMount<'a>]>,
}

/// Collects the uses of a pod or of a template, sorted, each once.
pub(super) fn collect<'b, 'a: 'b>(
    containers: impl Iterator<Item = &'b WireContainer<'a>>,
    volumes: Option<&[WireVolume<'a>]>,
    pulls: Option<&[WireNamed<'a>]>,
    pool: &mut Pool,
) -> Box<[SecretUse]> {
    let mut found: Vec<(&str, How)> = Vec::new();
    let mut files: Vec<&str> = Vec::new();
    for uses in containers.map(WireContainer::uses) {
        let refs = uses.env.unwrap_or_default().iter();
        let refs = refs.filter_map(|env| env.value_from.as_ref()?.secret_key_ref.as_ref());
        let whole = uses.env_from.unwrap_or_default().iter().filter_map(|from| from.secret_ref.as_ref());
        found.extend(refs.chain(whole).map(|named| (as_str(&named.name), How::Env)));
        let by_file = |mount: &&WireMount<'_>| {
            !as_str(&mount.sub_path).is_empty() || !as_str(&mount.sub_path_expr).is_empty()
        };
        let mounts = uses.mounts.unwrap_or_default().iter().filter(by_file);
        files.extend(mounts.map(|mount| as_str(&mount.name)));
    }
    for volume in volumes.unwrap_or_default() {
        let how = if files.contains(&as_str(&volume.name)) { How::SubPath } else { How::Volume };
        found.extend(volume.secret.as_ref().map(|secret| (as_str(&secret.secret_name), how)));
        let sources = volume.projected.as_ref().and_then(|projected| projected.sources.as_deref());
        let secrets = sources.unwrap_or_default().iter().filter_map(|source| source.secret.as_ref());
        found.extend(secrets.map(|named| (as_str(&named.name), how)));
    }
    found.extend(pulls.unwrap_or_default().iter().map(|named| (as_str(&named.name), How::Pull)));
    found.retain(|(name, _)| !name.is_empty());
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(name, how)| SecretUse { secret: pool.share(name), how }).collect()
}

/// What a workload's pods draw from Secrets, and what its annotations tell Reloader (contracts 7.2): those of the
/// workload, and of its template where the workload says nothing.
#[derive(Debug, Default)]
pub struct Draws {
    /// The uses, sorted.
    pub uses: Box<[SecretUse]>,
    reloader: Box<[(Text, Text)]>,
}

/// What is in every key of Reloader.
const RELOADER: &str = "reloader.stakater.com/";

impl Draws {
    pub(super) fn keep(
        uses: Box<[SecretUse]>,
        own: &Pairs<'_>,
        of_template: Option<&Pairs<'_>>,
        pool: &mut Pool,
    ) -> Self {
        let mut ours = |pairs: &Pairs<'_>| -> Box<[(Text, Text)]> {
            let ours = pairs.0.iter().filter(|(key, _)| key.as_str().contains(RELOADER));
            ours.map(|(key, value)| (pool.share(key.as_str()), pool.share(value.as_str()))).collect()
        };
        let mut reloader = ours(own);
        if let Some(template) = of_template.filter(|_| reloader.is_empty()) {
            reloader = ours(template);
        }
        Self { uses, reloader }
    }

    /// Tells whether a change of a Secret that the workload uses makes Reloader restart it.
    pub fn reloads(&self, secret: &str, marks: SecretMarks) -> bool {
        let value = |key: &str| self.reloader.iter().find(|(name, _)| **name == *key);
        reloads(|key| value(key).map(|(_, value)| &**value), secret, marks)
    }
}

/// What a Secret itself tells Reloader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecretMarks {
    /// `reloader.stakater.com/ignore: "true"`.
    pub ignored: bool,
    /// `reloader.stakater.com/match: "true"`.
    pub matched: bool,
}

/// Tells whether Reloader restarts a workload with these annotations when a Secret that it uses changes, by the keys
/// of its defaults (contracts 7.2; flags can rename them).
pub fn reloads<'a>(annotation: impl Fn(&str) -> Option<&'a str>, secret: &str, marks: SecretMarks) -> bool {
    let is_on = |key: &str| annotation(key) == Some("true");
    let names = |key: &str| {
        annotation(key).is_some_and(|list| list.split(',').any(|entry| is_named(entry.trim(), secret)))
    };
    if marks.ignored || names("secrets.exclude.reloader.stakater.com/reload") {
        return false;
    }
    is_on("reloader.stakater.com/auto")
        || is_on("secret.reloader.stakater.com/auto")
        || names("secret.reloader.stakater.com/reload")
        || (marks.matched && is_on("reloader.stakater.com/search"))
}

/// Entries are names, or patterns that must fit the whole name.
fn is_named(entry: &str, secret: &str) -> bool {
    if entry.is_empty() || entry == secret {
        return !entry.is_empty();
    }
    // What is no pattern names nothing else.
    entry.contains(['*', '.', '[', '(', '|', '+', '?', '\\'])
        && regex::Regex::new(&format!("^(?:{entry})$")).is_ok_and(|pattern| pattern.is_match(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(pairs: &[(&'static str, &'static str)], secret: &str, marks: SecretMarks) -> bool {
        reloads(|key| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value), secret, marks)
    }

    #[test]
    fn reloader_reads_the_annotations_of_its_defaults() {
        // contracts 7.2.
        let plain = SecretMarks::default();
        assert!(asks(&[("reloader.stakater.com/auto", "true")], "db", plain));
        assert!(asks(&[("secret.reloader.stakater.com/auto", "true")], "db", plain));
        assert!(!asks(&[("configmap.reloader.stakater.com/auto", "true")], "db", plain));
        assert!(!asks(&[], "db", plain));
        let list = [("secret.reloader.stakater.com/reload", "cache, db-.*")];
        assert!(asks(&list, "db-main", plain) && asks(&list, "cache", plain));
        // Anchored: a part of a name is not the name.
        assert!(!asks(&list, "my-db-main", plain) && !asks(&list, "cache-2", plain));
        let excluded =
            [("reloader.stakater.com/auto", "true"), ("secrets.exclude.reloader.stakater.com/reload", "db")];
        assert!(!asks(&excluded, "db", plain) && asks(&excluded, "other", plain));
        let search = [("reloader.stakater.com/search", "true")];
        assert!(!asks(&search, "db", plain));
        assert!(asks(&search, "db", SecretMarks { matched: true, ignored: false }));
        let auto = [("reloader.stakater.com/auto", "true")];
        assert!(!asks(&auto, "db", SecretMarks { matched: false, ignored: true }));
    }
}
