//! The comparison of an Application: what git wants, what is live, and what follows for its status.
//!
//! It reads git and the storage and returns a verdict; it writes nothing (`contracts.md` 1.3, 1.8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::argo_diff::{drifted, ignore};
use super::argo_health::{self, Health};
use super::argo_manifests::{CLUSTER, NAMESPACE, SERVER};
use super::argo_render::{HOOK, Renderer, WAVE, group, sources_of, tracking_name};
use super::argo_window::matches;
use super::objects::{Key, Objects, seconds};
use super::types::Type;
use super::untyped::{list, marked, text};

/// One thing that an Application wants or has.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it lives; `None` where the platform has no such type.
    pub key: Option<Key>,
    /// The manifest; for what is to be pruned the live object.
    pub manifest: Value,
    /// It is as wanted.
    pub synced: bool,
    /// It is live and no longer wanted.
    pub prune: bool,
}

/// What a comparison found.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub sync: &'static str,
    /// The health of the application.
    pub health: Health,
    /// The commits that were compared, one a source.
    pub revisions: Vec<String>,
    /// What is wanted and what is to be pruned, without hooks.
    pub items: Vec<Item>,
    /// The hooks.
    pub hooks: Vec<Value>,
    /// Conditions of type error: type and message.
    pub errors: Vec<(&'static str, String)>,
    /// Live hook objects.
    live_hooks: Vec<Value>,
    images: BTreeSet<String>,
    urls: BTreeSet<String>,
    children: bool,
}

/// What to compare.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The Application.
    pub application: &'a Value,
    /// The sources: those of its specification, or those that an operation names.
    pub sources: &'a [Value],
    /// A commit for each source; empty to resolve the target revisions anew.
    pub revisions: &'a [String],
    /// Live objects that carry the Application's tracking annotation.
    pub tracked: &'a BTreeSet<Key>,
}

impl Comparison {
    /// A verdict from its parts, without hooks, errors and summary.
    pub fn of(sync: &'static str, health: Health, revisions: &[&str], items: Vec<Item>) -> Self {
        Self {
            sync,
            health,
            revisions: revisions.iter().map(|revision| (*revision).to_owned()).collect(),
            items,
            hooks: Vec::new(),
            errors: Vec::new(),
            live_hooks: Vec::new(),
            images: BTreeSet::new(),
            urls: BTreeSet::new(),
            children: false,
        }
    }
}

/// Compares; a verdict is returned even where git cannot be read or the specification is not permitted.
pub fn compare(renderer: &mut Renderer, objects: &Objects, question: Question<'_>) -> Comparison {
    let Question { application, sources, revisions, tracked } = question;
    let mut found = Comparison::of("Unknown", Health::Unknown, &[], Vec::new());
    found.errors.extend(refusals(application, sources, objects).map(|why| ("InvalidSpecError", why)));
    if !found.errors.is_empty() {
        return found;
    }
    let namespace = text(application, "/spec/destination/namespace");
    let name = tracking(application);
    let manifests = renderer.resolve(sources, revisions).and_then(|revisions| {
        found.revisions = revisions;
        renderer.render(&name, namespace, sources, &found.revisions)
    });
    let wanted = match manifests {
        Ok(wanted) => wanted,
        Err(error) => {
            let why = format!(
                "Failed to load target state: failed to generate manifest for source 1 of {}: rpc error: code = Unknown desc = {error}",
                sources.len().max(1)
            );
            found.errors.push(("ComparisonError", why));
            // Without a wanted state the live one is still judged by what was known of it.
            found.health = known_health(application);
            return found;
        }
    };
    let before = applied_before(renderer, application, &name, namespace, &wanted);
    look(&mut found, objects, application, &wanted, before.as_deref(), tracked);
    found
}

/// Returns the tracking name of an Application.
pub fn tracking(application: &Value) -> String {
    tracking_name(text(application, "/metadata/namespace"), text(application, "/metadata/name"))
}

fn known_health(application: &Value) -> Health {
    let known = text(application, "/status/health/status");
    [Health::Healthy, Health::Suspended, Health::Progressing, Health::Missing, Health::Degraded]
        .into_iter()
        .find(|health| health.as_str() == known)
        .unwrap_or(Health::Unknown)
}

/// Returns the manifests of the last deployment where they are others than the wanted ones.
fn applied_before(
    renderer: &mut Renderer,
    application: &Value,
    name: &str,
    namespace: &str,
    wanted: &Arc<Vec<Value>>,
) -> Option<Arc<Vec<Value>>> {
    let last = list(application, "/status/history").last()?;
    let sources = sources_of(last);
    let before = renderer.render(name, namespace, &sources, &revisions_of(last)).ok()?;
    (!Arc::ptr_eq(&before, wanted)).then_some(before)
}

/// Returns the commits of a history entry, a sync result or a sync status: `revisions`, or `revision` alone.
pub fn revisions_of(holder: &Value) -> Vec<String> {
    let many = list(holder, "/revisions");
    if many.is_empty() {
        let one = text(holder, "/revision");
        if one.is_empty() { Vec::new() } else { vec![one.to_owned()] }
    } else {
        many.iter().map(|revision| revision.as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Names an object within an application.
type Name<'a> = (&'a str, &'a str, &'a str, &'a str);

fn name_of(object: &Value) -> Name<'_> {
    (
        group(object),
        text(object, "/kind"),
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
    )
}

/// Returns where a manifest lives.
pub fn key_of(manifest: &Value) -> Option<Key> {
    let kind = Type::by_kind(text(manifest, "/apiVersion"), text(manifest, "/kind"))?;
    let namespace = if kind.info().namespaced { text(manifest, "/metadata/namespace") } else { "" };
    Some(Key::new(kind, namespace, text(manifest, "/metadata/name")))
}

fn look(
    found: &mut Comparison,
    objects: &Objects,
    application: &Value,
    wanted: &[Value],
    before: Option<&Vec<Value>>,
    tracked: &BTreeSet<Key>,
) {
    let before: BTreeMap<Name<'_>, &Value> =
        before.into_iter().flatten().map(|manifest| (name_of(manifest), manifest)).collect();
    let rules = list(application, "/spec/ignoreDifferences");
    let mut lives: Vec<Option<Value>> = Vec::new();
    let mut seen = BTreeSet::new();
    for manifest in wanted {
        let key = key_of(manifest);
        seen.extend(key.clone());
        if !marked(manifest, "annotations", HOOK).is_empty() {
            found.hooks.push(manifest.clone());
            continue;
        }
        let live = key.as_ref().and_then(|key| objects.get_value(key));
        let synced = live.as_ref().is_some_and(|live| {
            let before = before.get(&name_of(manifest)).copied();
            if rules.is_empty() {
                !drifted(manifest, before, live)
            } else {
                let mut manifest = manifest.clone();
                ignore(rules, live, &mut manifest);
                !drifted(&manifest, before, live)
            }
        });
        found.children |= text(manifest, "/kind") == "Application";
        if let Some(live) = &live {
            found.note(live);
        }
        lives.push(live);
        found.items.push(Item { key, manifest: manifest.clone(), synced, prune: false });
    }
    for key in tracked.difference(&seen) {
        let Some(live) = objects.get_value(key) else { continue };
        // What a controller made for a tracked object may carry its annotations; it goes with its owner.
        if !list(&live, "/metadata/ownerReferences").is_empty() {
            continue;
        }
        if !marked(&live, "annotations", HOOK).is_empty() {
            continue;
        }
        found.note(&live);
        lives.push(Some(live.clone()));
        found.items.push(Item { key: Some(key.clone()), manifest: live, synced: false, prune: true });
    }
    found.live_hooks = found.hooks.iter().filter_map(|hook| objects.get_value(&key_of(hook)?)).collect();
    found.sync = if found.items.iter().all(|item| item.synced) { "Synced" } else { "OutOfSync" };
    found.health = argo_health::application(lives.iter().map(Option::as_ref));
}

impl Comparison {
    /// Collects what the summary shows of a live object.
    fn note(&mut self, live: &Value) {
        for pointer in ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"] {
            for which in ["initContainers", "containers"] {
                let containers = list(live, &format!("{pointer}/{which}"));
                self.images.extend(containers.iter().map(|container| text(container, "/image").to_owned()));
            }
        }
        if text(live, "/kind") == "Ingress" {
            self.urls.extend(
                list(live, "/spec/rules").iter().map(|rule| format!("https://{}/", text(rule, "/host"))),
            );
        }
    }

    /// Returns `status.resources`.
    fn resources(&self) -> Vec<Value> {
        let name = |manifest: &Value| {
            let mut resource = json!({
                "version": text(manifest, "/apiVersion").rsplit('/').next().unwrap_or_default(),
                "kind": manifest["kind"], "name": manifest["metadata"]["name"],
            });
            if !group(manifest).is_empty() {
                resource["group"] = json!(group(manifest));
            }
            if !text(manifest, "/metadata/namespace").is_empty() {
                resource["namespace"] = manifest["metadata"]["namespace"].clone();
            }
            if let Ok(wave) = marked(manifest, "annotations", WAVE).parse::<i64>()
                && wave != 0
            {
                resource["syncWave"] = json!(wave);
            }
            resource
        };
        let items = self.items.iter().map(|item| {
            let mut resource = name(&item.manifest);
            resource["status"] = json!(if item.synced { "Synced" } else { "OutOfSync" });
            if item.prune {
                resource["requiresPruning"] = json!(true);
            }
            resource
        });
        let hooks = self.live_hooks.iter().map(|hook| {
            let mut resource = name(hook);
            resource["hook"] = json!(true);
            resource
        });
        items.chain(hooks).collect()
    }

    /// Writes the verdict into the status; `full` where target revisions were resolved anew.
    pub fn write(&self, application: &mut Value, full: bool, now: Timestamp) {
        let spec = application["spec"].clone();
        if !application["status"].is_object() {
            application["status"] = json!({});
        }
        let status = &mut application["status"];
        let many = !list(&spec, "/sources").is_empty();
        let mut compared = json!({"destination": spec["destination"]});
        if many {
            compared["sources"] = spec["sources"].clone();
        } else if spec["source"].is_object() {
            compared["source"] = spec["source"].clone();
        }
        if !list(&spec, "/ignoreDifferences").is_empty() {
            compared["ignoreDifferences"] = spec["ignoreDifferences"].clone();
        }
        let mut sync = json!({"status": self.sync, "comparedTo": compared});
        if many {
            sync["revisions"] = json!(self.revisions);
        } else if let Some(revision) = self.revisions.first() {
            sync["revision"] = json!(revision);
        }
        status["sync"] = sync;
        if text(status, "/health/status") != self.health.as_str() {
            status["health"] = json!({"status": self.health.as_str(), "lastTransitionTime": seconds(now)});
        }
        self.conditions(status, now);
        if self.errors.is_empty() {
            status["resources"] = json!(self.resources());
            let mut summary = json!({});
            if !self.images.is_empty() {
                summary["images"] = json!(self.images);
            }
            if !self.urls.is_empty() {
                summary["externalURLs"] = json!(self.urls);
            }
            if self.children {
                summary["isAppOfApps"] = json!(true);
            }
            status["summary"] = summary;
            let kind = |source: &Value| if source["helm"].is_object() { "Helm" } else { "Directory" };
            if many {
                let kinds: Vec<&str> = list(&spec, "/sources").iter().map(kind).collect();
                status["sourceTypes"] = json!(kinds);
            } else {
                status["sourceType"] = json!(kind(&spec["source"]));
            }
        }
        if full || status["reconciledAt"].is_null() {
            status["reconciledAt"] = json!(seconds(now));
        }
        status["resourceHealthSource"] = json!("appTree");
        status["controllerNamespace"] = json!(NAMESPACE);
    }

    /// Replaces the conditions that a comparison decides on; a condition that stays keeps its date.
    fn conditions(&self, status: &mut Value, now: Timestamp) {
        let old = list(status, "/conditions").to_vec();
        let mut new: Vec<Value> = old
            .iter()
            .filter(|condition| !["InvalidSpecError", "ComparisonError"].contains(&text(condition, "/type")))
            .cloned()
            .collect();
        for (kind, message) in &self.errors {
            let known = old
                .iter()
                .find(|condition| condition["type"] == *kind && condition["message"] == message.as_str());
            new.push(known.cloned().unwrap_or_else(
                || json!({"type": kind, "message": message, "lastTransitionTime": seconds(now)}),
            ));
        }
        set_conditions(status, new);
    }
}

/// Stores conditions; an empty list is absent.
pub fn set_conditions(status: &mut Value, conditions: Vec<Value>) {
    if let Some(status) = status.as_object_mut() {
        if conditions.is_empty() {
            status.remove("conditions");
        } else {
            status.insert("conditions".to_owned(), Value::Array(conditions));
        }
    }
}

/// Returns the project of an Application.
pub fn project_of(application: &Value, objects: &Objects) -> Option<Value> {
    let name = text(application, "/spec/project");
    let name = if name.is_empty() { "default" } else { name };
    objects.find(Type::AppProject, NAMESPACE, name).map(|project| project.value())
}

/// Returns why the specification is not permitted.
fn refusals(application: &Value, sources: &[Value], objects: &Objects) -> impl Iterator<Item = String> {
    let mut why = Vec::new();
    let project_name = text(application, "/spec/project");
    let Some(project) = project_of(application, objects) else {
        why.push(format!("Application referencing project {project_name} which does not exist"));
        return why.into_iter();
    };
    if sources.is_empty() {
        why.push(
            "spec.source.repoURL and either spec.source.path, spec.source.chart, or spec.source.ref are required"
                .to_owned(),
        );
    }
    for source in sources {
        let url = text(source, "/repoURL");
        if !permitted(list(&project, "/spec/sourceRepos"), url) {
            why.push(format!("application repo {url} is not permitted in project '{project_name}'"));
        }
    }
    let destination = &application["spec"]["destination"];
    let (server, name) = (text(destination, "/server"), text(destination, "/name"));
    let namespace = text(destination, "/namespace");
    let server = match (server, name) {
        ("", CLUSTER) => SERVER,
        ("", "") => {
            why.push("Destination server missing from app spec".to_owned());
            return why.into_iter();
        }
        ("", name) => {
            why.push(format!(
                "application destination can't be resolved: there are no clusters with this name: {name}"
            ));
            return why.into_iter();
        }
        (server, _) => server,
    };
    if !destination_permitted(&project, server, namespace) {
        why.push(format!(
            "application destination server '{server}' and namespace '{namespace}' do not match any of the allowed destinations in project '{project_name}'"
        ));
    } else if server != SERVER {
        why.push(format!("cluster '{server}' has not been configured"));
    }
    why.into_iter()
}

/// A list of globs, of which those with `!` take back.
fn permitted(globs: &[Value], name: &str) -> bool {
    let globs: Vec<&str> = globs.iter().filter_map(Value::as_str).collect();
    let denied = globs.iter().filter_map(|glob| glob.strip_prefix('!')).any(|glob| matches(glob, name));
    !denied && globs.iter().any(|glob| !glob.starts_with('!') && matches(glob, name))
}

fn destination_permitted(project: &Value, server: &str, namespace: &str) -> bool {
    let takes = |pattern: &str, value: &str| matches(pattern.strip_prefix('!').unwrap_or(pattern), value);
    let mut allowed = false;
    for rule in list(project, "/spec/destinations") {
        let by_server = if text(rule, "/server").is_empty() {
            takes(text(rule, "/name"), CLUSTER)
        } else {
            takes(text(rule, "/server"), server)
        };
        let denies = text(rule, "/server").starts_with('!') || text(rule, "/namespace").starts_with('!');
        if by_server && takes(text(rule, "/namespace"), namespace) {
            if denies {
                return false;
            }
            allowed = true;
        }
    }
    allowed
}
