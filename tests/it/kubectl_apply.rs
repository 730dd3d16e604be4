//! The real kubectl where it asks most of a server: who owns which field, typed bodies, and schemas of custom resources.

use std::path::Path;

use serde_json::Value;

use crate::cluster::{Cluster, writing_kubectl};
use crate::kubectl::WEB;

const SIDE: [&str; 4] = ["apply", "--server-side", "-f", "-"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_are_owned_and_conflicts_are_told() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    let applied = cluster.feed(&SIDE, WEB).await;
    assert!(applied.ok && applied.out.contains("deployment.apps/web serverside-applied"), "{}", applied.err);
    let managers = ["get", "deploy/web", "-n", "tenant-1", "-o", "json", "--show-managed-fields"];
    let entries = |text: &str| -> Vec<(String, String, Value)> {
        let object: Value = serde_json::from_str(text).unwrap();
        let entries = object["metadata"]["managedFields"].as_array().unwrap();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        entries
            .iter()
            .map(|one| (word(&one["manager"]), word(&one["operation"]), one["fieldsV1"].clone()))
            .collect()
    };
    let first = entries(&cluster.ok(&managers).await);
    assert_eq!((first[0].0.as_str(), first[0].1.as_str()), ("kubectl", "Apply"));
    let container = "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}/f:image";
    assert!(first[0].2.pointer(container).is_some(), "{first:#?}");
    let hidden = cluster.ok(&["get", "deploy/web", "-n", "tenant-1", "-o", "yaml"]).await;
    assert!(!hidden.contains("managedFields"), "{hidden}");

    cluster.ok(&["scale", "deploy/web", "-n", "tenant-1", "--replicas=3"]).await;
    let scaled = entries(&cluster.ok(&managers).await);
    assert!(
        scaled.iter().any(|one| one.1 == "Update" && one.2.pointer("/f:spec/f:replicas").is_some()),
        "{scaled:#?}"
    );
    let refused = cluster.feed(&SIDE, WEB).await;
    assert!(!refused.ok);
    for part in
        ["Apply failed with 1 conflict: conflict with \"kubectl\"", ": .spec.replicas", "--force-conflicts"]
    {
        assert!(refused.err.contains(part), "{part} is missing in\n{}", refused.err);
    }
    let forced = cluster.feed(&[&SIDE[..], &["--force-conflicts"]].concat(), WEB).await;
    assert!(forced.ok, "{}", forced.err);
    let replicas = ["get", "deploy/web", "-n", "tenant-1", "-o", "jsonpath={.spec.replicas}"];
    assert_eq!(cluster.ok(&replicas).await, "2");

    // Another manager adds a label, shares nothing else, and takes it away again by not saying it.
    let team = [&SIDE[..], &["--field-manager=team"]].concat();
    let with = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: tenant-1, labels: {team: blue}}\n";
    assert!(cluster.feed(&team, with).await.ok);
    let label = ["get", "deploy/web", "-n", "tenant-1", "-o", "jsonpath={.metadata.labels}"];
    assert_eq!(cluster.ok(&label).await, r#"{"team":"blue"}"#);
    let without = with.replace(", labels: {team: blue}", "");
    assert!(cluster.feed(&team, &without).await.ok);
    assert_eq!(cluster.ok(&label).await, "");
    // From client-side to server-side apply, as kubectl does it.
    let other = WEB.replace("name: web,", "name: web2,");
    cluster.apply(&other).await;
    let moved = cluster.feed(&SIDE, &other.replace("1.0.0", "1.1.0")).await;
    assert!(moved.ok, "{}", moved.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_bodies_are_taken() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    let image = "--image=registry.example.com/shop/web:1.0.0";
    for create in [
        &["create", "deployment", "typed", image, "--replicas=2", "--port=8080"][..],
        &["create", "job", "once", image, "--", "sleep", "1"],
        &["create", "cronjob", "often", image, "--schedule=*/5 * * * *"],
        &["create", "service", "clusterip", "typed", "--tcp=80:8080"],
        &["create", "ingress", "typed", "--rule=shop.example.com/*=typed:80"],
        &["create", "role", "reader", "--verb=get,list", "--resource=pods"],
        &["create", "rolebinding", "reader", "--role=reader", "--user=kim"],
        &["create", "clusterrole", "reader", "--verb=get", "--resource=nodes"],
        &["create", "clusterrolebinding", "reader", "--clusterrole=reader", "--group=ops"],
        &["create", "quota", "typed", "--hard=count/configmaps=500"],
        &["create", "pdb", "typed", "--selector=app=typed", "--min-available=1"],
        &["create", "priorityclass", "typed", "--value=10"],
        &["create", "configmap", "typed", "--from-literal=a=b"],
        &["create", "secret", "generic", "typed", "--from-literal=a=b"],
        &["create", "serviceaccount", "typed"],
        &["create", "namespace", "typed"],
        &["autoscale", "deploy/typed", "--min=2", "--max=5", "--cpu-percent=80"],
        &["expose", "deploy/typed", "--name=exposed", "--port=80"],
    ] {
        cluster.ok(&[create, &["-n", "tenant-1"]].concat()).await;
    }
    let read = async |what: &str, path: &str| cluster.ok(&["get", what, "-n", "tenant-1", "-o", path]).await;
    assert_eq!(
        read("deploy/typed", "jsonpath={.spec.template.spec.containers[0].ports}").await,
        r#"[{"containerPort":8080,"protocol":"TCP"}]"#
    );
    assert_eq!(
        read("hpa/typed", "jsonpath={.apiVersion} {.spec.metrics[0].resource.target.averageUtilization}")
            .await,
        "autoscaling/v2 80"
    );
    assert_eq!(read("cronjob/often", "jsonpath={.spec.schedule}").await, "*/5 * * * *");
    assert_eq!(read("svc/typed", "jsonpath={.spec.ports[0].targetPort}").await, "8080");
    assert_eq!(read("pdb/typed", "jsonpath={.spec.minAvailable}").await, "1");
    assert_eq!(read("quota/typed", "jsonpath={.spec.hard}").await, r#"{"count/configmaps":"500"}"#);
    let status = ["rollout", "status", "deploy/typed", "-n", "tenant-1", "--timeout=50s"];
    assert!(cluster.ok(&status).await.contains("successfully rolled out"));
    let old = cluster
        .ok(&["get", "horizontalpodautoscalers.v1.autoscaling", "typed", "-n", "tenant-1", "-o", "yaml"])
        .await;
    assert!(old.contains("targetCPUUtilizationPercentage: 80"), "{old}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custom_resources_are_held_to_their_schemas() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    let wrong = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: wrong, namespace: argocd}\nspec:\n  \
        project: default\n  destination: {namespace: 7}\n  source: {path: .}\n  syncPolicy: {automated: {prune: 'yes'}}\n";
    let refused = cluster.feed(&["apply", "-f", "-"], wrong).await;
    assert!(!refused.ok);
    for part in [
        "The Application \"wrong\" is invalid:",
        "spec.destination.namespace: Invalid value: \"integer\": spec.destination.namespace in body must be of type string: \"integer\"",
        "spec.source.repoURL: Required value",
        "spec.syncPolicy.automated.prune: Invalid value: \"string\"",
    ] {
        assert!(refused.err.contains(part), "{part} is missing in\n{}", refused.err);
    }
    let typo = wrong
        .replace("{namespace: 7}", "{namespace: tenant-1, server: here}")
        .replace("{path: .}", "{repoURL: here, path: .}")
        .replace("prune: 'yes'", "prunes: true");
    let refused = cluster.feed(&["apply", "-f", "-"], &typo).await;
    assert!(refused.err.contains("unknown field \"spec.syncPolicy.automated.prunes\""), "{}", refused.err);
    assert!(
        cluster
            .feed(&["apply", "--validate=warn", "-f", "-"], &typo)
            .await
            .err
            .contains("Warning: unknown field")
    );
    let explained = cluster.ok(&["explain", "applications.spec.syncPolicy.automated"]).await;
    assert!(explained.contains("selfHeal"), "{explained}");

    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/crds/karpenter.sh_nodepools.yaml");
    if !published.exists() {
        println!("SKIPPED: {} is not there", published.display());
        return;
    }
    let pools = cluster.ok(&["get", "nodepools", "-o", "name"]).await;
    let pool = pools.lines().next().unwrap();
    let patch = r#"{"spec":{"disruption":{"consolidateAfter":"soon"}}}"#;
    let dry = ["patch", pool, "--type=merge", "--dry-run=server", "-p", patch];
    cluster.ok(&dry).await;
    cluster.ok(&["replace", "-f", &published.display().to_string()]).await;
    let refused = cluster.fails(&dry).await;
    assert!(refused.contains("spec.disruption.consolidateAfter in body should match"), "{refused}");
}
