//! The timeline: one entry for what is one thing.

use serde_json::json;

use super::{Change, Timeline, What};
use crate::kinds::Health;
use crate::kinds::fixtures::{
    Cluster, ago, application, crash_looping, event, namespace, node, pod, replica_set,
};
use crate::model::suspects;
use crate::model::tenants::{Rules, Tenants};

/// A shop whose last deploy crash-loops.
fn bad_deploy() -> (Cluster, Tenants) {
    let mut cluster = Cluster::new();
    cluster.list("ns", vec![namespace("shop", "shop", "prod")]);
    cluster.list("apps", vec![application("checkout", "shop")]);
    cluster.list(
        "rs",
        vec![
            replica_set("shop/checkout-old", "checkout", 3, "r.example.com/checkout:1.7.4", 90_000),
            replica_set("shop/checkout-new", "checkout", 4, "r.example.com/checkout:1.8.0", 665),
        ],
    );
    let mut crashing = crash_looping(pod("shop/checkout-new-1"), 4);
    crashing["metadata"]["labels"] = json!({"pod-template-hash": "new"});
    crashing["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "name": "checkout-new", "uid": "uid-shop/checkout-new", "controller": true}]);
    cluster.list("pods", vec![crashing]);
    cluster.list(
        "events",
        vec![
            event("e1", "shop/checkout-new-1", "BackOff", "Back-off restarting failed container", 30, 6),
            event("e2", "shop/checkout-new-1", "BackOff", "Back-off restarting failed container", 90, 2),
            event("old", "shop/checkout-new-1", "Unhealthy", "Readiness probe failed", 7_000, 1),
        ],
    );
    let mut tenants = Tenants::new(Rules { namespace_labels: vec!["tenant".to_owned()], ..Rules::default() });
    tenants.refresh(&cluster.store, &cluster.context, cluster.now);
    (cluster, tenants)
}

fn entries(timeline: &mut Timeline, cluster: &Cluster, tenants: &Tenants) -> Vec<Change> {
    timeline.refresh(&cluster.store, &cluster.kinds, tenants.tenancy(), &cluster.context, cluster.now);
    timeline.entries().to_vec()
}

#[test]
fn a_deploy_its_rollout_and_its_trouble_are_two_entries_newest_first() {
    let (cluster, tenants) = bad_deploy();
    let entries = entries(&mut Timeline::default(), &cluster, &tenants);
    let told: Vec<(&str, &str)> =
        entries.iter().map(|change| (change.headline.as_str(), change.detail.as_str())).collect();
    assert_eq!(
        told,
        [
            ("checkout: BackOff (8 times)", "Back-off restarting failed container"),
            ("checkout deployed 3f9c1a2 (auto)", "image checkout 1.7.4 -> 1.8.0"),
        ]
    );
    assert!(entries.iter().all(|change| change.tenant.as_deref() == Some("shop")));
}

#[test]
fn a_rollout_without_a_deploy_is_told_by_itself() {
    let (mut cluster, tenants) = bad_deploy();
    cluster.list("apps", Vec::new());
    let entries = entries(&mut Timeline::default(), &cluster, &tenants);
    let rollout = entries.iter().find(|change| change.what == What::Rollout).unwrap();
    assert_eq!(
        (rollout.headline.as_str(), rollout.detail.as_str()),
        ("checkout rolled out", "image checkout 1.7.4 -> 1.8.0")
    );
}

#[test]
fn entries_come_with_what_changes_and_go_after_an_hour() {
    let (mut cluster, tenants) = bad_deploy();
    let mut timeline = Timeline::default();
    assert_eq!(entries(&mut timeline, &cluster, &tenants).len(), 2);
    let mut young = node("node-9");
    young["metadata"]["creationTimestamp"] = json!(ago(5));
    cluster.list("nodes", vec![young]);
    let told = entries(&mut timeline, &cluster, &tenants);
    assert_eq!(told[0].headline, "node node-9 joined");
    assert_eq!(told[0].detail, "m7g.xlarge, spot, general");
    cluster.remove("events", Some("shop"), "e1");
    cluster.remove("events", Some("shop"), "e2");
    assert_eq!(entries(&mut timeline, &cluster, &tenants).len(), 2);
    cluster.now = jiff::Timestamp::from_second(cluster.now.as_second() + 3_700).unwrap();
    assert!(entries(&mut timeline, &cluster, &tenants).is_empty());
}

#[test]
fn a_failed_sync_is_bad_news_with_its_message() {
    let (mut cluster, tenants) = bad_deploy();
    let mut failed = application("checkout", "shop");
    failed["status"]["operationState"]["phase"] = json!("Failed");
    failed["status"]["operationState"]["message"] = json!("one or more objects failed to apply");
    cluster.put("apps", failed);
    let entries = entries(&mut Timeline::default(), &cluster, &tenants);
    let sync = entries.iter().find(|change| change.health == Health::Degraded).unwrap();
    assert_eq!(sync.headline, "checkout: sync to 3f9c1a2 failed (auto)");
    assert!(sync.detail.starts_with("one or more objects failed to apply"), "{}", sync.detail);
}

#[test]
fn the_deploy_before_the_trouble_is_suspected() {
    let (cluster, tenants) = bad_deploy();
    let entries = entries(&mut Timeline::default(), &cluster, &tenants);
    let suspects = suspects::of(tenants.get("shop").unwrap(), &entries, cluster.now);
    assert_eq!(suspects.len(), 1);
    assert_eq!(
        suspects[0].text,
        "checkout: image checkout 1.7.4 -> 1.8.0, 10m before the trouble, same tenant; then checkout: BackOff (8 times)"
    );
}
