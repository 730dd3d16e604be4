//! The tree of an Application.

use serde_json::json;

use super::{Leaf, tree};
use crate::identity::Text;
use crate::kinds::Health;
use crate::kinds::applications::Application;
use crate::kinds::fixtures::{Cluster, application, crash_looping, pod, replica_set};
use crate::signals::Branch;

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
    let leaves = tree(object.body::<Application>().unwrap(), None, &cluster.lens());
    assert_eq!(
        lines(&leaves),
        [
            (0, "Deployment/checkout".to_owned(), Some(Health::Progressing), true),
            (1, "ReplicaSet/checkout-new".to_owned(), Some(Health::Healthy), true),
            (2, "Pod/checkout-new-1".to_owned(), Some(Health::Degraded), false),
            (0, "ConfigMap/checkout-env".to_owned(), None, false),
        ]
    );
    assert!(leaves[0].approximate && leaves[3].object.is_none());
}

fn lines(leaves: &[Leaf]) -> Vec<(usize, String, Option<Health>, bool)> {
    leaves
        .iter()
        .map(|leaf| (leaf.depth, format!("{}/{}", leaf.kind, leaf.name), leaf.health, leaf.has_children))
        .collect()
}

fn branch(name: &str, parent: &str, health: Option<&str>) -> Branch {
    let (kind, name) = name.split_once('/').unwrap();
    Branch {
        uid: Text::from(format!("uid-{name}")),
        group: Text::from(if kind == "Deployment" { "apps" } else { "" }),
        kind: kind.into(),
        namespace: Some("shop".into()),
        name: name.into(),
        parents: if parent.is_empty() { Vec::new() } else { vec![parent.into()] },
        health: health.map(Text::from),
        message: Text::from(if health == Some("Degraded") { "its own words" } else { "" }),
    }
}

#[test]
fn what_argocd_server_tells_is_the_tree_and_live_lists_know_better() {
    let mut cluster = Cluster::new();
    let mut live = pod("shop/checkout-1");
    live["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "Deployment",
        "name": "checkout", "uid": "uid-checkout", "controller": true}]);
    cluster.list("pods", vec![live]);
    let object = cluster.decode("apps", application("checkout", "shop"));
    let told = [
        branch("Deployment/checkout", "", Some("Degraded")),
        // Of types that the console keeps no list of.
        branch("Endpoints/shop", "uid-checkout", None),
        branch("PersistentVolumeClaim/data", "uid-checkout", Some("Progressing")),
        // Deleted since: the list of pods is newer.
        branch("Pod/checkout-0", "uid-checkout", Some("Healthy")),
        // A circle of owners ends.
        branch("Endpoints/shop", "uid-data", None),
        branch("ConfigMap/checkout-env", "", None),
    ];
    let leaves = tree(object.body::<Application>().unwrap(), Some(&told), &cluster.lens());
    assert_eq!(
        lines(&leaves),
        [
            (0, "Deployment/checkout".to_owned(), Some(Health::Degraded), true),
            (1, "Pod/checkout-1".to_owned(), Some(Health::Healthy), false),
            (1, "Endpoints/shop".to_owned(), None, false),
            (1, "PersistentVolumeClaim/data".to_owned(), Some(Health::Progressing), false),
            (0, "ConfigMap/checkout-env".to_owned(), None, false),
        ]
    );
    assert_eq!(&*leaves[0].why, "its own words");
    assert!(!leaves[0].approximate);
}
