//! What a rollback changes as Git has it: the manifests of the entry beside those of the newest one.
//!
//! argocd-server renders both; without it there is nothing here to compare, and the plan says so. Both sides come
//! out of Git, so that what controllers and defaults fill in is no difference. `ConfigMaps` are told by lines, other
//! values only where they are public by their nature, Secrets by name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::application::{App, Entry, short};
use super::desk::{Desk, Remote};
use super::difference::{self, Fields};
use super::draft::text;
use super::{Line, Mark};
use crate::identity::ObjectRef;

/// How long a plan waits for argocd-server: what it tells is worth a moment, and an incident does not wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many sentences of one resource stand in the plan itself; with more, their number does.
const FEW: usize = 2;

/// The annotations that make a manifest a hook, which a rollback does not run.
const HOOKS: [&str; 2] = ["argocd.argoproj.io/hook", "helm.sh/hook"];

/// Group, kind, namespace and name.
type Key = (String, String, String, String);

/// What Git wants, then and now.
pub(super) struct Both {
    then: BTreeMap<Key, Value>,
    now: BTreeMap<Key, Value>,
    /// From where to where.
    about: String,
}

/// What a plan says of it.
#[derive(Default)]
pub(super) struct Said {
    pub changes: Vec<Line>,
    pub details: Vec<Line>,
    /// How many resources differ in labels and annotations only: a chart writes its version into each.
    marked: usize,
}

/// Reads both sides. The error says why that is not possible, as a part of a sentence.
pub(super) async fn read<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    app: App<'_>,
    entry: Entry<'_>,
) -> Result<Both, String> {
    let newest = *app.history().last().ok_or("it has no history")?;
    let sources = plain(app.sources());
    if plain(entry.sources()) != sources || plain(newest.sources()) != sources {
        return Err(
            "its source was set otherwise then, and argocd-server renders the source of now only".into()
        );
    }
    let revisions = |entry: Entry<'_>| -> Vec<String> {
        entry.revision().split(", ").filter(|one| !one.is_empty()).map(ToOwned::to_owned).collect()
    };
    let (then, now) = (revisions(entry), revisions(newest));
    if then.len() != sources.len() || now.len() != sources.len() {
        return Err("the history does not say every revision".into());
    }
    let project = text(app.0, "/spec/project");
    let both = async {
        tokio::try_join!(
            desk.remote.manifests(object, project, &then),
            desk.remote.manifests(object, project, &now)
        )
    };
    let both = tokio::time::timeout(PATIENCE, both).await;
    let (old, new) = both
        .map_err(|_| format!("argocd-server gave no answer within {} s", PATIENCE.as_secs()))?
        .map_err(|error| error.to_string())?;
    let names = |revisions: &[String]| revisions.iter().map(|one| short(one)).collect::<Vec<_>>().join(", ");
    Ok(Both { then: keyed(old), now: keyed(new), about: format!("{} -> {}", names(&now), names(&then)) })
}

/// The sources without their revisions, which is what a rollback is about.
fn plain(sources: Vec<&Value>) -> Vec<Value> {
    let without = |source: &Value| {
        let mut source = source.clone();
        if let Some(fields) = source.as_object_mut() {
            fields.remove("targetRevision");
        }
        source
    };
    sources.into_iter().map(without).collect()
}

fn keyed(manifests: Vec<Value>) -> BTreeMap<Key, Value> {
    manifests.into_iter().filter(|manifest| !is_hook(manifest)).map(|one| (key(&one), one)).collect()
}

fn is_hook(manifest: &Value) -> bool {
    let notes = manifest.pointer("/metadata/annotations");
    HOOKS.iter().any(|hook| notes.is_some_and(|notes| notes.get(*hook).is_some()))
}

fn key(manifest: &Value) -> Key {
    let group = text(manifest, "/apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
    let of = |pointer| text(manifest, pointer).to_owned();
    (group.to_owned(), of("/kind"), of("/metadata/namespace"), of("/metadata/name"))
}

impl Both {
    /// Returns a workload as Git had it and has it, where both sides have it.
    pub(super) fn workload(&self, kind: &str, name: &str) -> Option<(&Value, &Value)> {
        let is = |key: &Key| key.0 == "apps" && key.1 == kind && key.3 == name;
        let (_, then) = self.then.iter().find(|(key, _)| is(key))?;
        let (_, now) = self.now.iter().find(|(key, _)| is(key))?;
        Some((then, now))
    }

    /// Says what differs.
    ///
    /// `told` names as `Kind/name` what is told already; of the workloads `pods` the pods are.
    pub(super) fn lines(&self, told: &BTreeSet<String>, pods: &BTreeSet<String>, prune: bool) -> Said {
        let mut said = Said::default();
        let mut secrets = BTreeSet::new();
        let keys: BTreeSet<&Key> = self.then.keys().chain(self.now.keys()).collect();
        for key in keys {
            let name = format!("{}/{}", key.1, key.3);
            if told.contains(&name) {
                continue;
            }
            if key.1 == "Secret" && key.0.is_empty() {
                secrets.insert(name.clone());
            }
            match (self.now.get(key), self.then.get(key)) {
                (Some(now), Some(then)) => said.add(&name, now, then, pods.contains(&name)),
                (None, Some(_)) => said.changes.push(Line::new(Mark::Change, format!("{name} comes back"))),
                (Some(_), None) if prune => {
                    said.changes.push(Line::new(Mark::Change, format!("{name} is deleted")));
                }
                (Some(_), None) => {
                    let text = format!("{name} was added since and stays");
                    said.details.push(Line::new(Mark::Detail, text));
                }
                (None, None) => {}
            }
        }
        if said.marked > 0 {
            let others = if said.marked == 1 { "resource" } else { "resources" };
            let text = format!("labels and annotations alone of {} {others}", said.marked);
            said.changes.push(Line::new(Mark::Change, text));
        }
        if !secrets.is_empty() {
            let names = secrets.into_iter().collect::<Vec<_>>().join(", ");
            let text = format!("not looked into: {names}");
            said.details.push(Line::new(Mark::Detail, text));
        }
        let heading = format!("as Git has it, {} (rendered by argocd-server)", self.about);
        said.details.insert(0, Line::new(Mark::Detail, heading));
        said
    }
}

impl Said {
    /// Adds what differs in one resource.
    fn add(&mut self, name: &str, now: &Value, then: &Value, pods_are_told: bool) {
        let (now, then) = (bare(now, pods_are_told), bare(then, pods_are_told));
        if now == then {
            return;
        }
        if name.starts_with("ConfigMap/") {
            let (lines, said) = difference::config_maps(&now, &then);
            if lines > 0 {
                let word = if lines == 1 { "line" } else { "lines" };
                self.changes.push(Line::new(Mark::Change, format!("{name} {lines} {word}")));
                self.tell(name, &said);
                return;
            }
        }
        let said = difference::paths(&now, &then, Fields::Both);
        if said.is_empty() {
            return;
        }
        if said.iter().all(|one| one.starts_with("metadata.")) {
            self.marked += 1;
            self.tell(name, &said);
            return;
        }
        let short = if said.len() <= FEW { said.join(", ") } else { format!("{} fields", said.len()) };
        self.changes.push(Line::new(Mark::Change, format!("{name} {short}")));
        self.tell(name, &said);
    }

    fn tell(&mut self, name: &str, said: &[String]) {
        self.details.push(Line::new(Mark::Detail, name));
        self.details.extend(said.iter().map(|text| below(text)));
    }
}

/// A line of the difference that belongs to the resource above it.
pub(super) fn below(text: &str) -> Line {
    Line { mark: Mark::Detail, text: format!("  {}", Line::new(Mark::Detail, text).text) }
}

/// What of a manifest is compared.
fn bare(manifest: &Value, pods_are_told: bool) -> Value {
    let mut bare = manifest.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.remove("status");
    }
    if pods_are_told && let Some(spec) = bare.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("template");
    }
    bare
}
