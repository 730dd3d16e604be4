//! The Deployment controller: one ReplicaSet for each template, and a rolling change from one to the next.
//!
//! It follows the real one closely (revisions, surge and unavailability, progress deadline, pausing), because
//! consoles and kubectl read what it writes. It never touches pods.

use serde_json::{Value, json};

use super::objects::Key;
use super::pods::{owner_reference, template_hash};
use super::replicasets::{count_field, wanted};
use super::types::Type;
use super::untyped::{
    at, clear_condition, find_condition, flag, later, mark, marked, number, put, set_condition, share, stamp,
    text, time,
};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// The annotation that counts templates.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
const BY: &str = "deployment-controller";

/// The controller.
#[derive(Debug, Default)]
pub struct Deployments;

/// One ReplicaSet of the deployment that is being looked at.
struct Set {
    key: Key,
    object: Value,
}

impl Set {
    fn wanted(&self) -> i64 {
        wanted(&self.object)
    }

    fn count(&self, field: &str) -> i64 {
        number(&self.object["status"], &format!("/{field}"))
    }

    fn revision(&self) -> i64 {
        marked(&self.object, "annotations", REVISION).parse().unwrap_or(0)
    }
}

impl Controller for Deployments {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::Deployment if !seen.gone => keys.push(seen.key.clone()),
            Type::ReplicaSet => {
                keys.extend(seen.owner.iter().filter(|owner| owner.kind == Type::Deployment).cloned());
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(deployment) = cx.get(key) else { return };
        if !deployment["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let mut sets: Vec<Set> = cx
            .view
            .owned(key)
            .filter(|owned| owned.kind == Type::ReplicaSet)
            .filter_map(|owned| Some(Set { key: owned.clone(), object: cx.get(owned)? }))
            .filter(|set| set.object["metadata"]["deletionTimestamp"].is_null())
            .collect();
        sets.sort_by_key(Set::revision);
        let hash = template_hash(&deployment["spec"]["template"]);
        let current = sets.iter().position(|set| marked(&set.object, "labels", "pod-template-hash") == hash);
        let paused = flag(&deployment, "/spec/paused");
        let current = match current {
            Some(at) => {
                renumber(cx, key, &deployment, &mut sets, at);
                Some(at)
            }
            None if paused => None,
            None => create_set(cx, key, &deployment, &mut sets, &hash),
        };
        if let Some(current) = current {
            let deployment = cx.get(key).unwrap_or(deployment);
            if paused {
                resize_paused(cx, &deployment, &mut sets);
            } else if text(&deployment, "/spec/strategy/type") == "Recreate" {
                recreate(cx, &deployment, &mut sets, current);
            } else {
                roll(cx, &deployment, &mut sets, current);
            }
            clean(cx, &deployment, &mut sets, current);
        }
        let current = current.and_then(|_| {
            sets.iter().position(|set| marked(&set.object, "labels", "pod-template-hash") == hash)
        });
        status(cx, key, &sets, current);
    }
}

/// Gives the current template the highest revision, which is what a rollback looks like.
fn renumber(cx: &mut Cx<'_>, key: &Key, deployment: &Value, sets: &mut [Set], current: usize) {
    let highest = sets.iter().map(Set::revision).max().unwrap_or(0);
    let mut revision = sets[current].revision();
    if revision < highest || revision == 0 {
        let before = revision;
        revision = highest + 1;
        let set = &mut sets[current];
        let cause = marked(deployment, "annotations", "kubernetes.io/change-cause").to_owned();
        cx.update(&set.key, |object| {
            mark(object, "annotations", REVISION, &revision.to_string());
            if !cause.is_empty() {
                mark(object, "annotations", "kubernetes.io/change-cause", &cause);
            }
            if before > 0 {
                let history =
                    marked(object, "annotations", "deployment.kubernetes.io/revision-history").to_owned();
                let history =
                    if history.is_empty() { before.to_string() } else { format!("{history},{before}") };
                mark(object, "annotations", "deployment.kubernetes.io/revision-history", &history);
            }
        });
        set.object = cx.get(&set.key).unwrap_or_default();
        progress(cx, key, "FoundNewReplicaSet", &format!("Found new replica set \"{}\"", set.key.name));
    }
    cx.update(key, |object| mark(object, "annotations", REVISION, &revision.to_string()));
}

fn create_set(
    cx: &mut Cx<'_>,
    key: &Key,
    deployment: &Value,
    sets: &mut Vec<Set>,
    hash: &str,
) -> Option<usize> {
    let revision = sets.iter().map(Set::revision).max().unwrap_or(0) + 1;
    let surge = bounds(deployment).0;
    let total: i64 = sets.iter().map(Set::wanted).sum();
    let room = (wanted(deployment) + surge - total).clamp(0, wanted(deployment));
    let old_left = text(deployment, "/spec/strategy/type") == "Recreate" && total > 0;
    let replicas = if old_left { 0 } else { room };
    let set = replica_set(deployment, hash, replicas, revision);
    let created = cx.create(Type::ReplicaSet, set).ok()?;
    cx.update(key, |object| mark(object, "annotations", REVISION, &revision.to_string()));
    progress(cx, key, "NewReplicaSetCreated", &format!("Created new replica set \"{}\"", created.name));
    if replicas > 0 {
        scaled(cx, deployment, &created, 0, replicas);
    }
    sets.push(Set { object: cx.get(&created)?, key: created });
    Some(sets.len() - 1)
}

/// Makes the ReplicaSet of a deployment's template.
pub fn replica_set(deployment: &Value, hash: &str, replicas: i64, revision: i64) -> Value {
    let name = format!("{}-{hash}", text(deployment, "/metadata/name"));
    let mut template = deployment["spec"]["template"].clone();
    put(&mut template, &["metadata", "labels", "pod-template-hash"], hash);
    let mut selector = deployment["spec"]["selector"].clone();
    put(&mut selector, &["matchLabels", "pod-template-hash"], hash);
    let mut annotations = json!({
        REVISION: revision.to_string(),
        "deployment.kubernetes.io/desired-replicas": wanted(deployment).to_string(),
        "deployment.kubernetes.io/max-replicas": (wanted(deployment) + bounds(deployment).0).to_string(),
    });
    for (name, value) in at(deployment, "/metadata/annotations").as_object().into_iter().flatten() {
        if name != REVISION && name != "kubectl.kubernetes.io/last-applied-configuration" {
            annotations[name] = value.clone();
        }
    }
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": deployment["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": deployment["spec"]["minReadySeconds"].as_i64().unwrap_or(0),
            "selector": selector,
            "template": template,
        },
        "status": {"replicas": 0},
    })
}

/// Returns how many pods there may be above and below the wanted number during a rollout.
fn bounds(deployment: &Value) -> (i64, i64) {
    let wanted = wanted(deployment);
    if text(deployment, "/spec/strategy/type") == "Recreate" {
        return (0, wanted);
    }
    let quarter = json!("25%");
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    let read = |field: &str, up| {
        let written = &rolling[field];
        share(if written.is_null() { &quarter } else { written }, wanted, up)
    };
    let (surge, unavailable) = (read("maxSurge", true), read("maxUnavailable", false));
    // Both may round to nothing; then nothing could ever move.
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

fn roll(cx: &mut Cx<'_>, deployment: &Value, sets: &mut [Set], current: usize) {
    let wanted = wanted(deployment);
    let (surge, unavailable) = bounds(deployment);
    let total: i64 = sets.iter().map(Set::wanted).sum();
    let now = sets[current].wanted();
    if now > wanted {
        scale(cx, deployment, &mut sets[current], wanted);
    } else if now < wanted && total < wanted + surge {
        let up = now + (wanted + surge - total).min(wanted - now);
        scale(cx, deployment, &mut sets[current], up);
    }
    let least = wanted - unavailable;
    let total: i64 = sets.iter().map(Set::wanted).sum();
    let new_unavailable = sets[current].wanted() - sets[current].count("availableReplicas");
    let mut room = total - least - new_unavailable.max(0);
    if room <= 0 {
        return;
    }
    // First what does not serve anyway, then what does, oldest first.
    for (at, set) in sets.iter_mut().enumerate() {
        if at == current || room <= 0 {
            continue;
        }
        let unhealthy = set.wanted() - set.count("availableReplicas");
        let down = unhealthy.clamp(0, room).min(set.wanted());
        if down > 0 {
            let to = set.wanted() - down;
            scale(cx, deployment, set, to);
            room -= down;
        }
    }
    let available: i64 = sets.iter().map(|set| set.count("availableReplicas").min(set.wanted())).sum();
    let mut room = available - least;
    for (at, set) in sets.iter_mut().enumerate() {
        if at == current || room <= 0 {
            continue;
        }
        let down = set.wanted().min(room);
        if down > 0 {
            let to = set.wanted() - down;
            scale(cx, deployment, set, to);
            room -= down;
        }
    }
}

fn recreate(cx: &mut Cx<'_>, deployment: &Value, sets: &mut [Set], current: usize) {
    let mut left = 0;
    for at in (0..sets.len()).filter(|at| *at != current) {
        left += sets[at].count("replicas");
        if sets[at].wanted() > 0 {
            scale(cx, deployment, &mut sets[at], 0);
        }
    }
    if left == 0 {
        let wanted = wanted(deployment);
        scale(cx, deployment, &mut sets[current], wanted);
    }
}

/// A paused deployment still follows its replicas: the newest set with pods takes the difference.
fn resize_paused(cx: &mut Cx<'_>, deployment: &Value, sets: &mut [Set]) {
    let total: i64 = sets.iter().map(Set::wanted).sum();
    let change = wanted(deployment) - total;
    if change != 0
        && let Some(at) = (0..sets.len()).rev().find(|at| sets[*at].wanted() > 0)
    {
        let to = (sets[at].wanted() + change).max(0);
        scale(cx, deployment, &mut sets[at], to);
    }
}

fn scale(cx: &mut Cx<'_>, deployment: &Value, set: &mut Set, to: i64) {
    let from = set.wanted();
    if from == to {
        return;
    }
    let wanted = wanted(deployment);
    let most = wanted + bounds(deployment).0;
    cx.update(&set.key, |object| {
        put(object, &["spec", "replicas"], to);
        mark(object, "annotations", "deployment.kubernetes.io/desired-replicas", &wanted.to_string());
        mark(object, "annotations", "deployment.kubernetes.io/max-replicas", &most.to_string());
    });
    set.object = cx.get(&set.key).unwrap_or_default();
    scaled(cx, deployment, &set.key.clone(), from, to);
}

fn scaled(cx: &mut Cx<'_>, deployment: &Value, set: &Key, from: i64, to: i64) {
    let direction = if to > from { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {} from {from} to {to}", set.name);
    cx.event(deployment, "Normal", "ScalingReplicaSet", &message, BY);
}

/// Removes the sets that the history has no place for.
fn clean(cx: &mut Cx<'_>, deployment: &Value, sets: &mut Vec<Set>, current: usize) {
    let limit = deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let current = sets[current].key.clone();
    let idle: Vec<Key> = sets
        .iter()
        .filter(|set| set.key != current && set.wanted() == 0 && set.count("replicas") == 0)
        .map(|set| set.key.clone())
        .collect();
    for key in idle.iter().take(idle.len().saturating_sub(limit)) {
        cx.delete(key);
        sets.retain(|set| set.key != *key);
    }
}

/// Notes that the rollout moved on.
fn progress(cx: &mut Cx<'_>, key: &Key, reason: &str, message: &str) {
    let now = cx.stamp();
    cx.update(key, |object| {
        set_condition(object, "Progressing", "True", reason, message, &now);
        touch(object, "Progressing", &now);
    });
}

fn touch(object: &mut Value, kind: &str, now: &str) {
    for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == kind {
            condition["lastUpdateTime"] = json!(now);
        }
    }
}

fn status(cx: &mut Cx<'_>, key: &Key, sets: &[Set], current: Option<usize>) {
    let Some(before) = cx.get(key) else { return };
    let mut object = before.clone();
    let now = cx.stamp();
    let wanted = wanted(&object);
    let sum = |field: &str| sets.iter().map(|set| set.count(field)).sum::<i64>();
    let (replicas, ready, available) = (sum("replicas"), sum("readyReplicas"), sum("availableReplicas"));
    let updated = current.map_or(0, |at| sets[at].count("replicas"));
    let old: i64 = number(&object, "/status/updatedReplicas") + number(&object, "/status/availableReplicas")
        - number(&object, "/status/replicas");
    let moved = updated + available - replicas > old;
    let generation = object["metadata"]["generation"].clone();
    put(&mut object, &["status", "observedGeneration"], generation);
    let unavailable = (wanted.max(replicas) - available).max(0);
    for (field, count) in [
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", unavailable),
    ] {
        count_field(&mut object, field, count, false);
    }
    let enough = available >= wanted - bounds(&object).1;
    let (state, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    if set_condition(&mut object, "Available", state, reason, message, &now) {
        touch(&mut object, "Available", &now);
    }
    failure(&mut object, sets, current, &now);
    let complete = updated == wanted && replicas == wanted && available == wanted;
    let paused = flag(&object, "/spec/paused");
    let set = current.map_or("", |at| sets[at].key.name.as_ref());
    let reason = find_condition(&object, "Progressing").map_or("", |found| text(found, "/reason")).to_owned();
    let deadline = object["spec"]["progressDeadlineSeconds"].as_f64().unwrap_or(600.0);
    if paused {
        set_condition(
            &mut object,
            "Progressing",
            "Unknown",
            "DeploymentPaused",
            "Deployment is paused",
            &now,
        );
    } else if complete {
        if reason != "NewReplicaSetAvailable" {
            let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
            set_condition(&mut object, "Progressing", "True", "NewReplicaSetAvailable", &message, &now);
            touch(&mut object, "Progressing", &now);
        }
    } else if moved || reason.is_empty() || reason == "DeploymentPaused" {
        let message = format!("ReplicaSet \"{set}\" is progressing.");
        set_condition(&mut object, "Progressing", "True", "ReplicaSetUpdated", &message, &now);
        touch(&mut object, "Progressing", &now);
    } else if reason != "NewReplicaSetAvailable" && reason != "ProgressDeadlineExceeded" {
        // A deployment that was complete before does not fail its rollout because a pod was lost.
        let since = find_condition(&object, "Progressing").and_then(|found| time(found, "/lastUpdateTime"));
        let due = later(since.unwrap_or(cx.now), deadline);
        if cx.now >= due {
            let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
            set_condition(&mut object, "Progressing", "False", "ProgressDeadlineExceeded", &message, &now);
            touch(&mut object, "Progressing", &stamp(cx.now));
        } else {
            cx.at(due, key);
        }
    }
    if !paused && !complete && moved {
        cx.after(deadline, key);
    }
    if object != before {
        cx.replace(key, object);
    }
}

fn failure(object: &mut Value, sets: &[Set], current: Option<usize>, now: &str) {
    let found = current.and_then(|at| find_condition(&sets[at].object, "ReplicaFailure"));
    match found {
        Some(found) => {
            set_condition(
                object,
                "ReplicaFailure",
                "True",
                text(found, "/reason"),
                text(found, "/message"),
                now,
            );
        }
        None => clear_condition(object, "ReplicaFailure"),
    }
}
