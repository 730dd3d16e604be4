//! One Application in full.

use serde_json::json;

use super::{conditions, history, operation, tree};
use crate::kinds::Health;
use crate::kinds::applications::Application;
use crate::kinds::fixtures::{Cluster, application, crash_looping, pod, replica_set};

#[test]
fn the_history_is_told_newest_first_by_its_ids() {
    let mut document = application("checkout", "shop");
    document["status"]["history"][1]["source"] =
        json!({"kustomize": {"images": ["r.example.com/checkout:1.8.0"]}});
    let entries = history(&document);
    let told: Vec<(i64, &str, Option<i64>)> =
        entries.iter().map(|entry| (entry.id, entry.by.as_str(), entry.took)).collect();
    assert_eq!(told, [(42, "auto-sync", Some(12)), (41, "ci-bot", None)]);
    assert_eq!(entries[0].images, ["r.example.com/checkout:1.8.0"]);
    assert!(history(&json!({})).is_empty());
}

#[test]
fn an_operation_is_told_as_it_stands() {
    let mut document = application("checkout", "shop");
    let done = operation(&document).unwrap();
    assert_eq!(
        (done.phase.as_str(), done.health, done.by.as_str()),
        ("Succeeded", Health::Healthy, "auto-sync")
    );
    document["operation"] =
        json!({"initiatedBy": {"username": "alice"}, "sync": {"prune": true, "syncStrategy": {"apply": {}}}});
    let asked = operation(&document).unwrap();
    assert_eq!((asked.phase.as_str(), asked.by.as_str()), ("Requested", "alice"));
    assert_eq!(asked.options, ["prune", "apply only"]);
    document["status"]["operationState"] = json!({
        "phase": "Running", "finishedAt": "2026-11-21T09:59:00Z", "retryCount": 2, "message": "retrying attempt #3",
        "operation": {"sync": {}},
        "syncResult": {"revision": "abc", "resources": [
            {"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "checkout", "status": "SyncFailed",
             "message": "quota \u{1b}[31mexceeded", "syncPhase": "Sync"},
            {"kind": "Job", "group": "batch", "name": "migrate", "namespace": "shop", "hookType": "PreSync",
             "hookPhase": "Succeeded", "status": "Synced", "syncPhase": "PreSync"},
        ]},
    });
    let running = operation(&document).unwrap();
    assert_eq!((running.phase.as_str(), running.retries), ("Retrying", 2));
    assert_eq!(running.revisions, ["abc"]);
    assert_eq!(running.results[0].message, "quota exceeded");
    assert_eq!(running.results[0].health, Health::Degraded);
    assert_eq!((running.results[1].status.as_str(), running.results[1].hook), ("Succeeded", true));
    assert_eq!(operation(&json!({"status": {"operationState": null}})), None);
}

#[test]
fn conditions_are_errors_or_warnings_by_their_ending() {
    let document = json!({"status": {"conditions": [
        {"type": "ComparisonError", "message": "no such path"},
        {"type": "SharedResourceWarning", "message": "also of other"},
    ]}});
    let told: Vec<Health> = conditions(&document).iter().map(|condition| condition.health).collect();
    assert_eq!(told, [Health::Degraded, Health::Warning]);
}

#[test]
fn the_tree_goes_from_what_is_managed_down_to_the_pods() {
    let mut cluster = Cluster::new();
    let deployment = json!({"metadata": {"name": "checkout", "namespace": "shop", "uid": "uid-checkout"},
        "spec": {"replicas": 2}, "status": {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}});
    cluster.list("deployments", vec![deployment]);
    let mut idle = replica_set("shop/checkout-old", "checkout", 1, "checkout:1.7.4", 9_000);
    idle["spec"]["replicas"] = json!(0);
    idle["status"] = json!({"replicas": 0});
    cluster.list("rs", vec![idle, replica_set("shop/checkout-new", "checkout", 2, "checkout:1.8.0", 60)]);
    let mut crashing = crash_looping(pod("shop/checkout-new-1"), 4);
    crashing["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "name": "checkout-new", "uid": "uid-shop/checkout-new", "controller": true}]);
    cluster.list("pods", vec![crashing, pod("shop/other")]);
    let object = cluster.decode("apps", application("checkout", "shop"));
    let leaves = tree(object.body::<Application>().unwrap(), &cluster.lens());
    let told: Vec<(usize, String, Option<Health>, bool)> = leaves
        .iter()
        .map(|leaf| (leaf.depth, format!("{}/{}", leaf.kind, leaf.name), leaf.health, leaf.has_children))
        .collect();
    assert_eq!(
        told,
        [
            (0, "Deployment/checkout".to_owned(), Some(Health::Progressing), true),
            (1, "ReplicaSet/checkout-new".to_owned(), Some(Health::Healthy), true),
            (2, "Pod/checkout-new-1".to_owned(), Some(Health::Degraded), false),
            (0, "ConfigMap/checkout-env".to_owned(), None, false),
        ]
    );
    assert!(leaves[0].approximate && leaves[3].object.is_none());
}
