//! What is concluded from Secrets, what brings them and who uses them.

use serde_json::{Value, json};

use crate::kinds::Health;
use crate::kinds::fixtures::{Cluster, ago, external_secret, meta, pod, secret};

/// A pod that started so many seconds ago and uses a Secret in a way.
fn user(path: &str, started: i64, uses: &Value) -> Value {
    let mut pod = pod(path);
    pod["status"]["startTime"] = json!(ago(started));
    for (field, value) in uses.as_object().unwrap() {
        let target = if ["volumes", "imagePullSecrets"].contains(&field.as_str()) {
            &mut pod["spec"][field]
        } else {
            &mut pod["spec"]["containers"][0][field]
        };
        *target = value.clone();
    }
    pod
}

fn by_env() -> Value {
    json!({"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}]})
}

fn told(cluster: &Cluster, kind: &str, path: (&str, &str), column: &str) -> String {
    let object = cluster.object(kind, Some(path.0), path.1).clone();
    let kind = cluster.kinds.find(kind).unwrap();
    kind.cell(&object, kind.column(column).unwrap(), &cluster.lens()).text(cluster.now)
}

fn health(cluster: &Cluster, kind: &str, path: (&str, &str)) -> (Health, String) {
    let object = cluster.object(kind, Some(path.0), path.1).clone();
    let (health, why) = cluster.kinds.find(kind).unwrap().health(&object, &cluster.lens());
    (health, why.to_string())
}

const DB: (&str, &str) = ("shop", "db");

#[test]
fn pods_that_started_before_the_last_change_use_the_old_content() {
    let mut cluster = Cluster::new();
    cluster.list("secrets", vec![secret("shop/db", 3_600)]);
    cluster.list("externalsecrets", vec![external_secret("shop/db")]);
    let old = user("shop/api-1", 7_200, &by_env());
    let whole = json!({"envFrom": [{"secretRef": {"name": "db"}}]});
    cluster.list("pods", vec![old, user("shop/api-2", 60, &whole), pod("shop/other")]);
    for kind in ["secrets", "externalsecrets"] {
        assert_eq!(told(&cluster, kind, DB, "consumers"), "2 pods");
        assert_eq!(told(&cluster, kind, DB, "started"), "1/2 before");
        let (health, why) = health(&cluster, kind, DB);
        assert_eq!(health, Health::Warning);
        assert!(why.starts_with("1 of 2 pods started before"), "{why}");
    }
    cluster.list("pods", vec![user("shop/api-2", 60, &whole)]);
    assert_eq!(told(&cluster, "secrets", DB, "started"), "after");
    assert_eq!(health(&cluster, "secrets", DB).0, Health::Healthy);
}

#[test]
fn a_volume_is_refreshed_and_a_subpath_never_is() {
    // contracts 7.5, step 7.
    let mut cluster = Cluster::new();
    cluster.list("secrets", vec![secret("shop/db", 3_600)]);
    let volume = json!([{"name": "v", "projected": {"sources": [{"secret": {"name": "db"}}]}}]);
    let mounted = json!({"volumes": volume, "volumeMounts": [{"name": "v", "mountPath": "/x"}]});
    cluster.list("pods", vec![user("shop/a", 7_200, &mounted)]);
    assert_eq!(told(&cluster, "secrets", DB, "consumers"), "1 pod");
    assert_eq!(told(&cluster, "secrets", DB, "started"), "");
    let by_file = json!({"volumes": [{"name": "v", "secret": {"secretName": "db"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/x/key", "subPath": "key"}]});
    cluster.list("pods", vec![user("shop/a", 7_200, &by_file)]);
    assert_eq!(told(&cluster, "secrets", DB, "started"), "1/1 before");
    let pull = json!({"imagePullSecrets": [{"name": "db"}]});
    cluster.list("pods", vec![user("shop/a", 7_200, &pull)]);
    assert_eq!(told(&cluster, "secrets", DB, "started"), "");
}

#[test]
fn it_is_said_who_restarts_the_consumers() {
    let mut cluster = Cluster::new();
    cluster.list("secrets", vec![secret("shop/db", 3_600)]);
    let deployment = |name: &str, annotations: Value| {
        let mut meta = meta(&format!("shop/{name}"));
        meta["annotations"] = annotations;
        json!({"metadata": meta, "spec": {"template": {"spec": {"containers": [
            {"name": "app", "env": by_env()["env"]}]}}}})
    };
    let asks = json!({"reloader.stakater.com/auto": "true"});
    cluster.list("deployments", vec![deployment("api", asks.clone())]);
    assert_eq!(told(&cluster, "secrets", DB, "reload"), "Reloader");
    assert_eq!(told(&cluster, "secrets", DB, "consumers"), "api");
    cluster.list("deployments", vec![deployment("api", asks), deployment("worker", json!({}))]);
    assert_eq!(told(&cluster, "secrets", DB, "reload"), "Reloader 1/2");
    cluster.list("deployments", vec![deployment("worker", json!({}))]);
    assert_eq!(told(&cluster, "secrets", DB, "reload"), "nobody");
    let mut meta = meta("shop/web");
    meta["annotations"] = json!({});
    let ingress = json!({"metadata": meta, "spec": {"tls": [{"hosts": ["a"], "secretName": "db"}]}});
    cluster.list("ingresses", vec![ingress]);
    assert_eq!(told(&cluster, "secrets", DB, "consumers"), "worker, 1 ingress");
}

#[test]
fn an_external_secret_says_when_it_is_refreshed_and_what_went_wrong() {
    let mut cluster = Cluster::new();
    let mut failing = external_secret("shop/bad");
    failing["status"]["conditions"][0] = json!({"type": "Ready", "status": "False", "reason": "SecretSyncedError", "message": "could not get it"});
    let mut late = external_secret("shop/late");
    late["status"]["refreshTime"] = json!(ago(7_200));
    let mut once = external_secret("shop/once");
    once["spec"]["refreshPolicy"] = json!("CreatedOnce");
    cluster.list("externalsecrets", vec![external_secret("shop/db"), failing, late, once]);
    assert_eq!(told(&cluster, "externalsecrets", DB, "store"), "aws-secrets-manager");
    assert_eq!(told(&cluster, "externalsecrets", DB, "ready"), "SecretSynced");
    assert_eq!(told(&cluster, "externalsecrets", DB, "refreshed"), "10m");
    assert_eq!(told(&cluster, "externalsecrets", DB, "version"), "current");
    assert_eq!(told(&cluster, "externalsecrets", ("shop", "once"), "next"), "");
    assert_eq!(
        health(&cluster, "externalsecrets", ("shop", "bad")),
        (Health::Degraded, "could not get it".to_owned())
    );
    let (bad, why) = health(&cluster, "externalsecrets", ("shop", "late"));
    assert_eq!(bad, Health::Warning);
    assert!(why.contains("not refreshed for 120m"), "{why}");
}

#[test]
fn of_a_secret_only_the_metadata_is_asked_for() {
    let cluster = Cluster::new();
    let kind = cluster.kinds.find("secrets").unwrap();
    assert!(kind.accept().contains("as=PartialObjectMetadataList;"));
    assert!(kind.accept_watch().contains("as=PartialObjectMetadata;"));
    // Without an alternative: a server that cannot leave the values out is not asked for them.
    assert!(!kind.accept().contains(',') && !kind.accept_watch().contains(','));
}
