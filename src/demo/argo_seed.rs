//! Argo CD's objects as they are when a client first looks: projects, Applications with months of history, the set.
//!
//! What it writes must be what the controllers would have written, so that a fresh platform is at rest.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::argo::Applications;
use super::argo_compare::{Question, compare};
use super::argo_manifests::{
    HISTORY_LIMIT, NAMESPACE, Owner, Policy, application, application_set, files, multi_source, parents,
    platform_projects, project,
};
use super::argo_render::{Renderer, TRACKING, sources_of, tracking_id};
use super::argo_sets::ApplicationSets;
use super::estate::{App, Estate};
use super::gitops::{Gitops, GitopsError};
use super::objects::{Key, seconds};
use super::pods::owner_reference;
use super::types::Type;
use super::untyped::{later, list, mark, text};
use super::world::{World, fnv64};

/// People who sync by hand.
const PEOPLE: &[&str] = &["maria.lopez", "jonas.weber", "priya.nair", "sam.okafor"];

/// Makes the repositories below `dir`, creates Argo CD's objects and starts its controllers in a world whose tenants
/// are seeded already.
pub fn install(world: &mut World, dir: &Path) -> Result<(), GitopsError> {
    let gitops = Gitops::create(dir, &world.estate, files(&world.estate))?;
    let mut renderer = Renderer::new(gitops, &world.estate);
    let now = world.now();
    let estate = world.estate.clone();
    if world.objects.find(Type::Namespace, "", NAMESPACE).is_none() {
        create(world, Type::Namespace, json!({"metadata": {"name": NAMESPACE}}), now);
    }
    let since = estate.tenants.iter().map(|tenant| tenant.since).min().unwrap_or(now);
    for mut project in platform_projects().into_iter().chain(estate.tenants.iter().map(project)) {
        // `default` comes with Argo CD itself.
        if text(&project, "/metadata/name") != "default" {
            project = owned(project, "platform");
        }
        create(world, Type::AppProject, aged(project, since), now);
    }
    let set = aged(owned(application_set(&estate), "platform"), since);
    let set = create(world, Type::ApplicationSet, set, now).unwrap_or_default();
    for (tenant, app) in estate.apps() {
        let mut manifest = application(app, tenant.team);
        match Owner::of(&app.tenant).parent() {
            Some(parent) => manifest = owned(manifest, parent),
            None => manifest["metadata"]["ownerReferences"] = json!([owner_reference(&set)]),
        }
        manifest["status"] = deployed(app, &manifest, &renderer);
        settle(&mut manifest, world, &mut renderer, now);
        create(world, Type::Application, aged(manifest, tenant.since), now);
    }
    // Parents come last, so that they find their children; `platform` after the two that it holds itself.
    for mut parent in parents().into_iter().rev() {
        if text(&parent, "/metadata/name") != "platform" {
            parent = owned(parent, "platform");
        }
        parent["status"] = started(&parent, &renderer, since);
        settle(&mut parent, world, &mut renderer, now);
        create(world, Type::Application, aged(parent, since), now);
    }
    let applications = Applications::new(renderer, &world.objects);
    world.add_controller(Box::new(applications));
    world.add_controller(Box::new(ApplicationSets::default()));
    Ok(())
}

/// Creates a seeded object and returns it as stored.
fn create(world: &mut World, kind: Type, value: Value, now: Timestamp) -> Option<Value> {
    match world.objects.create(kind, value, now) {
        Ok(stored) => Some(stored.value()),
        Err(status) => {
            tracing::warn!(why = status.message, "the seed was refused an object");
            None
        }
    }
}

fn aged(mut manifest: Value, since: Timestamp) -> Value {
    manifest["metadata"]["creationTimestamp"] = json!(seconds(since));
    manifest
}

fn owned(mut manifest: Value, parent: &str) -> Value {
    let id = tracking_id(parent, &manifest);
    mark(&mut manifest, "annotations", TRACKING, &id);
    manifest
}

/// Adds to a status what a comparison with the seeded world says; it was made some time within the last interval.
fn settle(manifest: &mut Value, world: &World, renderer: &mut Renderer, now: Timestamp) {
    let tracked: BTreeSet<Key> = BTreeSet::new();
    let sources = sources_of(&manifest["spec"]);
    let question = Question { application: manifest, sources: &sources, revisions: &[], tracked: &tracked };
    let comparison = compare(renderer, &world.objects, question);
    let ago = fnv64(text(manifest, "/metadata/name").as_bytes()) % 110;
    let at = later(now, -(ago as f64));
    comparison.write(manifest, true, at);
    let healthy_since = list(manifest, "/status/history").last().map(|last| last["deployedAt"].clone());
    if let Some(since) = healthy_since {
        manifest["status"]["health"]["lastTransitionTime"] = since;
    }
    let results: Vec<Value> = list(manifest, "/status/resources").iter().map(applied).collect();
    if manifest["status"]["operationState"].is_object() {
        manifest["status"]["operationState"]["syncResult"]["resources"] = json!(results);
    }
}

/// Returns the result that the last sync has left for a resource.
fn applied(resource: &Value) -> Value {
    let (group, kind) = (text(resource, "/group"), text(resource, "/kind"));
    let shown = match Type::by_group_kind(group, kind) {
        Some(kind) => kind.info().singular.to_owned(),
        None => kind.to_lowercase(),
    };
    let dot = if group.is_empty() { "" } else { "." };
    json!({
        "group": group, "version": resource["version"], "kind": kind,
        "namespace": text(resource, "/namespace"), "name": resource["name"],
        "status": "Synced", "hookPhase": "Running", "syncPhase": "Sync",
        "message": format!("{shown}{dot}{group}/{} configured", text(resource, "/name")),
    })
}

/// Returns history and last operation of an app's Application: one deployment a release.
fn deployed(app: &App, manifest: &Value, renderer: &Renderer) -> Value {
    let policy = Policy::of(app);
    let hash = fnv64(app.full_name().as_bytes());
    let person = PEOPLE[usize::try_from(hash % PEOPLE.len() as u64).unwrap_or(0)];
    let by = if policy.automated() { json!({"automated": true}) } else { json!({"username": person}) };
    let commits = renderer.gitops.releases(&app.full_name());
    // Older deployments have fallen out of the history; their ids went with them.
    let first = app.releases.len().saturating_sub(HISTORY_LIMIT);
    let forgotten =
        if app.releases.len() < HISTORY_LIMIT { 0 } else { i64::try_from(hash % 40).unwrap_or(0) };
    let entries: Vec<Value> = app
        .releases
        .iter()
        .zip(commits)
        .enumerate()
        .skip(first)
        .map(|(nth, (release, commit))| {
            let mut entry = json!({
                "id": forgotten + i64::try_from(nth).unwrap_or(0),
                "deployStartedAt": seconds(later(release.at, -4.0)),
                "deployedAt": seconds(release.at),
                "initiatedBy": by,
            });
            put_revision(&mut entry, manifest, commit, multi_source(app));
            entry
        })
        .collect();
    let Some(last) = entries.last() else { return json!({}) };
    let mut status = json!({"history": entries});
    status["operationState"] = finished(manifest, last, policy.automated(), person);
    status
}

fn put_revision(entry: &mut Value, manifest: &Value, commit: &str, many: bool) {
    if many {
        let sources = &manifest["spec"]["sources"];
        entry["revisions"] = json!(vec![commit; list(manifest, "/spec/sources").len()]);
        entry["sources"] = sources.clone();
        entry["source"] = json!({"repoURL": ""});
    } else {
        entry["revision"] = json!(commit);
        entry["source"] = manifest["spec"]["source"].clone();
    }
}

/// Returns the state that the operation of a history entry has left.
fn finished(manifest: &Value, entry: &Value, automated: bool, person: &str) -> Value {
    let mut sync = json!({});
    for field in ["revision", "revisions"] {
        if !entry[field].is_null() {
            sync[field] = entry[field].clone();
        }
    }
    let policy = &manifest["spec"]["syncPolicy"];
    if automated {
        sync["prune"] = json!(policy["automated"]["prune"].as_bool().unwrap_or(false));
    } else {
        sync["syncStrategy"] = json!({"hook": {}});
    }
    if policy["syncOptions"].is_array() {
        sync["syncOptions"] = policy["syncOptions"].clone();
    }
    let mut operation = json!({"sync": sync, "initiatedBy": entry["initiatedBy"]});
    if automated {
        operation["retry"] = policy.get("retry").cloned().unwrap_or_else(|| json!({"limit": 5}));
    } else {
        operation["info"] = json!([{"name": "Reason", "value": format!("released by {person}")}]);
    }
    let mut result = json!({"revision": "", "source": entry["source"]});
    for field in ["revision", "revisions", "sources"] {
        if !entry[field].is_null() {
            result[field] = entry[field].clone();
        }
    }
    result["resources"] = json!([]);
    json!({
        "operation": operation,
        "phase": "Succeeded",
        "message": "successfully synced (all tasks run)",
        "startedAt": entry["deployStartedAt"],
        "finishedAt": entry["deployedAt"],
        "syncResult": result,
    })
}

/// Returns history and last operation of a parent: applied once, when the platform began.
fn started(manifest: &Value, renderer: &Renderer, since: Timestamp) -> Value {
    let Ok(commit) = renderer.gitops.platform().head() else { return json!({}) };
    let mut entry = json!({
        "id": 0,
        "deployStartedAt": seconds(later(since, -3.0)),
        "deployedAt": seconds(since),
        "initiatedBy": {"automated": true},
    });
    put_revision(&mut entry, manifest, &commit, false);
    json!({"history": [entry], "operationState": finished(manifest, &entry, true, "")})
}

/// Finds an app of the estate by the name of its Application.
pub fn app_of<'a>(estate: &'a Estate, application: &str) -> Option<&'a App> {
    estate.apps().map(|(_, app)| app).find(|app| app.full_name() == application)
}
