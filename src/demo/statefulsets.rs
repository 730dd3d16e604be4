//! The `StatefulSet` controller: replicas with a name and volumes of their own, one after the other.
//!
//! `ControllerRevisions`, which `DaemonSets` use in the same way, are made here as well. Volumes are bound at once: there is
//! one storage class, and it never runs out.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::objects::Key;
use super::pods::{from_template, owner_reference, template_hash};
use super::quota::create_pod;
use super::replicasets::{count_field, wanted};
use super::types::Type;
use super::untyped::{later, list, number, put, text};
use super::view::{Phase, Pod, Seen, View};
use super::world::{Controller, Cx, fnv64};

const BY: &str = "statefulset-controller";

/// The controller.
#[derive(Debug, Default)]
pub struct StatefulSets;

impl Controller for StatefulSets {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::StatefulSet if !seen.gone => keys.push(seen.key.clone()),
            Type::Pod => {
                keys.extend(seen.owner.iter().filter(|owner| owner.kind == Type::StatefulSet).cloned());
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(set) = cx.get(key) else { return };
        if !set["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let update = revise(cx, key, &set);
        let current = match text(&set, "/status/currentRevision") {
            "" => update.clone(),
            known => known.to_owned(),
        };
        act(cx, key, &set, &update, &current);
        status(cx, key, &set, &update, &current);
    }
}

fn ordinal(name: &str) -> i64 {
    name.rsplit('-').next().and_then(|tail| tail.parse().ok()).unwrap_or(-1)
}

/// Does the next thing in order: create, remove or replace one pod; all at once where the policy is `Parallel`.
fn act(cx: &mut Cx<'_>, key: &Key, set: &Value, update: &str, current: &str) {
    let wanted = wanted(set);
    let parallel = text(set, "/spec/podManagementPolicy") == "Parallel";
    let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition");
    let pods: Vec<(Key, Pod)> = cx.view.pods_of(key).map(|(key, pod)| (key.clone(), pod.clone())).collect();
    let find = |at: i64| pods.iter().find(|(key, _)| ordinal(&key.name) == at);
    for at in 0..wanted {
        match find(at) {
            None => {
                // Below the partition a pod comes back as it was.
                let revision = if at < partition { current } else { update };
                if !create(cx, key, set, at, revision) {
                    cx.after(15.0, key);
                    return;
                }
                if !parallel {
                    return;
                }
            }
            Some((pod_key, pod)) if pod.finished() && !pod.deleting => {
                cx.delete(&pod_key.clone());
                return;
            }
            // Each waits until the one before it is ready.
            Some((_, pod)) if !parallel && (pod.deleting || pod.ready.is_none()) => {
                return replace_broken(cx, set, &pods, update, partition, at);
            }
            Some(_) => {}
        }
    }
    let surplus = pods.iter().filter(|(key, _)| ordinal(&key.name) >= wanted);
    if let Some((last, pod)) = surplus.max_by_key(|(key, _)| ordinal(&key.name)) {
        if !pod.deleting {
            removed(cx, set, last);
        }
        return;
    }
    if text(set, "/spec/updateStrategy/type") == "OnDelete" {
        return;
    }
    // From the last to the first, one at a time.
    for at in (partition..wanted).rev() {
        let Some((pod_key, pod)) = find(at) else { return };
        if pod.object.label("controller-revision-hash") != Some(update) {
            if !pod.deleting {
                removed(cx, set, pod_key);
            }
            return;
        }
        if pod.ready.is_none() {
            return;
        }
    }
}

/// A pod of an old revision that never became ready is replaced, so that a corrected template can heal the set.
fn replace_broken(cx: &mut Cx<'_>, set: &Value, pods: &[(Key, Pod)], update: &str, partition: i64, at: i64) {
    let broken = pods.iter().find(|(key, pod)| {
        let here = ordinal(&key.name);
        here == at
            && here >= partition
            && !pod.deleting
            && pod.object.label("controller-revision-hash") != Some(update)
    });
    if let Some((key, _)) = broken {
        removed(cx, set, key);
    }
}

fn removed(cx: &mut Cx<'_>, set: &Value, pod: &Key) {
    let name = text(set, "/metadata/name");
    let message = format!("delete Pod {} in StatefulSet {name} successful", pod.name);
    cx.event(set, "Normal", "SuccessfulDelete", &message, BY);
    cx.delete(pod);
}

fn create(cx: &mut Cx<'_>, key: &Key, set: &Value, at: i64, revision: &str) -> bool {
    let pod_name = format!("{}-{at}", key.name);
    for claim in list(set, "/spec/volumeClaimTemplates") {
        let name = format!("{}-{pod_name}", text(claim, "/metadata/name"));
        if cx.get(&Key::new(Type::PersistentVolumeClaim, &key.namespace, &name)).is_none() {
            let (volume, claim) = volume(set, claim, &name);
            // A claim may be refused by a quota; the pod then waits as it would in a real cluster.
            let _ = cx.create(Type::PersistentVolume, volume);
            let _ = cx.create(Type::PersistentVolumeClaim, claim);
            let message = format!("create Claim {name} Pod {pod_name} in StatefulSet {} success", key.name);
            cx.event(set, "Normal", "SuccessfulCreate", &message, BY);
        }
    }
    let template = template_of(cx, key, set, revision);
    let pod = pod(set, &template, at, revision);
    match create_pod(cx, pod) {
        Ok(_) => {
            let message = format!("create Pod {pod_name} in StatefulSet {} successful", key.name);
            cx.event(set, "Normal", "SuccessfulCreate", &message, BY);
            true
        }
        Err(status) => {
            let message =
                format!("create Pod {pod_name} in StatefulSet {} failed error: {}", key.name, status.message);
            cx.event(set, "Warning", "FailedCreate", &message, BY);
            false
        }
    }
}

/// Returns the template that a revision holds.
fn template_of(cx: &Cx<'_>, key: &Key, set: &Value, revision: &str) -> Value {
    let stored = cx.get(&Key::new(Type::ControllerRevision, &key.namespace, revision));
    let template = stored.map(|found| found["data"]["spec"]["template"].clone()).filter(Value::is_object);
    template.map_or_else(
        || set["spec"]["template"].clone(),
        |mut template| {
            if let Some(map) = template.as_object_mut() {
                map.remove("$patch");
            }
            template
        },
    )
}

/// Makes one pod of a set.
pub fn pod(set: &Value, template: &Value, at: i64, revision: &str) -> Value {
    let name = format!("{}-{at}", text(set, "/metadata/name"));
    let mut pod = from_template(template, text(set, "/metadata/namespace"), &name, &owner_reference(set));
    put(&mut pod, &["metadata", "generateName"], format!("{}-", text(set, "/metadata/name")));
    for (key, value) in [
        ("controller-revision-hash", revision.to_owned()),
        ("statefulset.kubernetes.io/pod-name", name.clone()),
        ("apps.kubernetes.io/pod-index", at.to_string()),
    ] {
        put(&mut pod, &["metadata", "labels", key], value);
    }
    put(&mut pod, &["spec", "hostname"], name.clone());
    put(&mut pod, &["spec", "subdomain"], set["spec"]["serviceName"].clone());
    let volumes: Vec<Value> = list(set, "/spec/volumeClaimTemplates")
        .iter()
        .map(|claim| {
            let volume = text(claim, "/metadata/name");
            json!({"name": volume, "persistentVolumeClaim": {"claimName": format!("{volume}-{name}")}})
        })
        .collect();
    if let Some(all) = pod["spec"]["volumes"].as_array_mut() {
        for volume in volumes {
            all.insert(0, volume);
        }
    }
    pod
}

/// Makes the bound volume and the claim of one replica.
pub fn volume(set: &Value, template: &Value, name: &str) -> (Value, Value) {
    let namespace = text(set, "/metadata/namespace");
    let id = fnv64(format!("{namespace}/{name}").as_bytes());
    let volume = format!("pvc-{}", uuid(id));
    let size = &template["spec"]["resources"]["requests"]["storage"];
    let class = template["spec"]["storageClassName"].as_str().unwrap_or("gp3");
    let mut claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": set["spec"]["selector"]["matchLabels"],
            "annotations": {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes", "volume.kubernetes.io/storage-provisioner": "ebs.csi.aws.com"},
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        "spec": template["spec"],
        "status": {"phase": "Bound", "accessModes": template["spec"]["accessModes"], "capacity": {"storage": size}},
    });
    put(&mut claim, &["spec", "volumeName"], volume.clone());
    put(&mut claim, &["spec", "volumeMode"], "Filesystem");
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": volume, "annotations": {"pv.kubernetes.io/provisioned-by": "ebs.csi.aws.com"}},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": template["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": class,
            "volumeMode": "Filesystem",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name, "namespace": namespace},
            "csi": {"driver": "ebs.csi.aws.com", "fsType": "ext4", "volumeHandle": format!("vol-0{:016x}", id)},
        },
        "status": {"phase": "Bound"},
    });
    (volume, claim)
}

fn uuid(seed: u64) -> String {
    let digits = super::pods::hex64(seed);
    format!(
        "{}-{}-4{}-a{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..32]
    )
}

/// Returns the name of the revision that a workload's template has.
pub fn revision_name(workload: &Value) -> String {
    format!("{}-{}", text(workload, "/metadata/name"), template_hash(&workload["spec"]["template"]))
}

/// Makes the `ControllerRevision` of a workload's template.
pub fn revision(workload: &Value, number: i64) -> Value {
    let mut template = workload["spec"]["template"].clone();
    put(&mut template, &["$patch"], "replace");
    let name = revision_name(workload);
    let mut labels = workload["spec"]["template"]["metadata"]["labels"].clone();
    let hash = name.rsplit('-').next().unwrap_or_default();
    put(&mut labels, &["controller-revision-hash"], hash);
    let mut made = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": name, "namespace": workload["metadata"]["namespace"], "labels": labels,
            "ownerReferences": [owner_reference(workload)],
        },
        "data": {"spec": {"template": template}},
        "revision": number,
    });
    let cause = super::untyped::marked(workload, "annotations", "kubernetes.io/change-cause");
    if !cause.is_empty() {
        put(&mut made, &["metadata", "annotations", "kubernetes.io/change-cause"], cause);
    }
    made
}

/// Makes sure that the present template has the newest revision and that no more are kept than asked for; returns its
/// name.
pub fn revise(cx: &mut Cx<'_>, key: &Key, workload: &Value) -> String {
    let name = revision_name(workload);
    let mut known: Vec<(i64, Key)> = cx
        .view
        .owned(key)
        .filter(|owned| owned.kind == Type::ControllerRevision)
        .filter_map(|owned| Some((number(&cx.get(owned)?, "/revision"), owned.clone())))
        .collect();
    known.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(Ordering::Equal));
    let highest = known.last().map_or(0, |(number, _)| *number);
    match known.iter().find(|(_, key)| *key.name == *name) {
        Some((number, own)) if *number < highest => {
            cx.update(own, |object| put(object, &["revision"], highest + 1));
        }
        Some(_) => {}
        None => {
            // Another workload cannot have the name, which holds this one's and a hash of its template.
            let _ = cx.create(Type::ControllerRevision, revision(workload, highest + 1));
        }
    }
    let limit = workload["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let in_use = text(workload, "/status/currentRevision").to_owned();
    let idle: Vec<Key> = known
        .into_iter()
        .map(|(_, key)| key)
        .filter(|key| *key.name != *name && *key.name != *in_use)
        .collect();
    for old in idle.iter().take(idle.len().saturating_sub(limit)) {
        cx.delete(old);
    }
    name
}

fn status(cx: &mut Cx<'_>, key: &Key, set: &Value, update: &str, current: &str) {
    let min_ready = number(set, "/spec/minReadySeconds") as f64;
    let (mut replicas, mut ready, mut available, mut updated, mut old) = (0, 0, 0, 0, 0);
    for (_, pod) in cx.view.pods_of(key).filter(|(_, pod)| !pod.finished() && pod.phase != Phase::Unknown) {
        replicas += 1;
        let revision = pod.object.label("controller-revision-hash").unwrap_or_default();
        updated += i64::from(revision == update && !pod.deleting);
        old += i64::from(revision == current && !pod.deleting);
        if let Some(since) = pod.ready.filter(|_| !pod.deleting) {
            ready += 1;
            available += i64::from(later(since, min_ready) <= cx.now);
        }
    }
    let wanted = wanted(set);
    // The rollout is over when every pod is new and ready; only then does the set forget where it came from.
    let over = updated == wanted && ready == wanted && replicas == wanted;
    let current = if over { update } else { current };
    let old = if over { updated } else { old };
    cx.update(key, |object| {
        let generation = object["metadata"]["generation"].clone();
        put(object, &["status", "observedGeneration"], generation);
        put(object, &["status", "currentRevision"], current);
        put(object, &["status", "updateRevision"], update);
        put(object, &["status", "collisionCount"], 0);
        put(object, &["status", "availableReplicas"], available);
        count_field(object, "replicas", replicas, true);
        count_field(object, "readyReplicas", ready, false);
        count_field(object, "currentReplicas", old, false);
        count_field(object, "updatedReplicas", updated, false);
    });
}
