//! The tree of an Application.

use serde_json::json;

use super::tree;
use crate::kinds::Health;
use crate::kinds::applications::Application;
use crate::kinds::fixtures::{Cluster, application, crash_looping, pod, replica_set};

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
