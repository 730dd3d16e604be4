//! The real kubectl changing the embedded platform: everything that the README says works with it.

use crate::cluster::{Cluster, writing_kubectl};
use crate::kubectl::WEB;

const GUESTBOOK: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: guestbook, namespace: argocd}
spec:
  project: default
  source: {repoURL: "https://git.example.com/guestbook.git", path: ".", targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: tenant-1}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollouts_are_watched_undone_restarted_and_scaled() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    assert!(cluster.apply(WEB).await.contains("deployment.apps/web created"));
    let status = ["rollout", "status", "deploy/web", "-n", "tenant-1", "--timeout=50s"];
    assert!(cluster.ok(&status).await.contains("successfully rolled out"));
    assert!(cluster.apply(&WEB.replace("1.0.0", "1.1.0")).await.contains("configured"));
    assert!(cluster.apply(&WEB.replace("1.0.0", "1.1.0")).await.contains("unchanged"));
    cluster.ok(&status).await;
    let history = cluster.ok(&["rollout", "history", "deploy/web", "-n", "tenant-1"]).await;
    assert!(history.contains("\n1 ") && history.contains("\n2 "), "{history}");
    cluster.ok(&["rollout", "undo", "deploy/web", "-n", "tenant-1"]).await;
    cluster.ok(&status).await;
    assert!(cluster.ok(&["get", "deploy/web", "-n", "tenant-1", "-o", image]).await.ends_with(":1.0.0"));
    cluster.ok(&["rollout", "restart", "deploy/web", "-n", "tenant-1"]).await;
    cluster.ok(&status).await;
    cluster.ok(&["scale", "deploy/web", "-n", "tenant-1", "--replicas=3"]).await;
    cluster
        .ok(&[
            "wait",
            "--for=jsonpath={.status.readyReplicas}=3",
            "deploy/web",
            "-n",
            "tenant-1",
            "--timeout=50s",
        ])
        .await;
    cluster.ok(&["wait", "--for=condition=Available", "deploy/web", "-n", "tenant-1", "--timeout=50s"]).await;
    let immutable = cluster
        .fails(&[
            "patch",
            "deploy/web",
            "-n",
            "tenant-1",
            "-p",
            r#"{"spec":{"selector":{"matchLabels":{"app":"other"}}}}"#,
        ])
        .await;
    assert!(immutable.contains("selector"), "{immutable}");
    // A selector that does match the template is still not to be changed.
    let immutable = cluster
        .fails(&[
            "patch",
            "deploy/web",
            "-n",
            "tenant-1",
            "-p",
            r#"{"spec":{"selector":{"matchLabels":{"x":"y"}},"template":{"metadata":{"labels":{"x":"y"}}}}}"#,
        ])
        .await;
    assert!(immutable.contains("field is immutable"), "{immutable}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_the_budget_and_goes_on_without_it() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    cluster.apply(&WEB.replace("replicas: 2", "replicas: 1")).await;
    cluster.ok(&["wait", "--for=condition=Available", "-n", "tenant-1", "deploy/web", "--timeout=50s"]).await;
    cluster
        .apply("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web, namespace: tenant-1}\nspec: {minAvailable: 1, selector: {matchLabels: {app: web}}}\n")
        .await;
    let observed = "--for=jsonpath={.status.observedGeneration}=1";
    cluster.ok(&["wait", observed, "pdb/web", "-n", "tenant-1", "--timeout=50s"]).await;
    let path = "jsonpath={.items[0].spec.nodeName}";
    let node = cluster.ok(&["get", "pods", "-n", "tenant-1", "-l", "app=web", "-o", path]).await;
    cluster.ok(&["cordon", &node]).await;
    assert!(cluster.ok(&["get", "node", &node]).await.contains("SchedulingDisabled"));
    let drain = ["drain", &node, "--pod-selector=app=web", "--ignore-daemonsets", "--delete-emptydir-data"];
    let blocked = cluster.fails(&[&drain[..], &["--timeout=8s"]].concat()).await;
    assert!(
        blocked.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{blocked}"
    );
    cluster.ok(&["delete", "pdb", "web", "-n", "tenant-1"]).await;
    let done = cluster.ok(&[&drain[..], &["--timeout=50s"]].concat()).await;
    assert!(done.contains("evicted") && done.contains("drained"), "{done}");
    cluster.ok(&["uncordon", &node]).await;
    assert!(!cluster.ok(&["get", "node", &node]).await.contains("SchedulingDisabled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_are_applied_and_patched() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    let project = ["get", "app", "guestbook", "-n", "argocd", "-o", "jsonpath={.spec.project}"];
    assert!(cluster.apply(GUESTBOOK).await.contains("application.argoproj.io/guestbook created"));
    assert!(cluster.apply(&GUESTBOOK.replace("path: \".\"", "path: app")).await.contains("configured"));
    let patch = ["patch", "app", "guestbook", "-n", "argocd"];
    cluster.ok(&[&patch[..], &["--type=merge", "-p", r#"{"spec":{"project":"a"}}"#]].concat()).await;
    assert_eq!(cluster.ok(&project).await, "a");
    let json = r#"[{"op":"test","path":"/spec/project","value":"a"},{"op":"replace","path":"/spec/project","value":"b"}]"#;
    cluster.ok(&[&patch[..], &["--type=json", "-p", json]].concat()).await;
    assert_eq!(cluster.ok(&project).await, "b");
    let failed = cluster.fails(&[&patch[..], &["--type=json", "-p", json]].concat()).await;
    assert!(failed.contains("the server rejected our request"), "{failed}");
    let strategic = cluster.fails(&[&patch[..], &["-p", r#"{"spec":{"project":"c"}}"#]].concat()).await;
    assert!(strategic.contains("not supported"), "{strategic}");
    let dry =
        [&patch[..], &["--type=merge", "--dry-run=server", "-p", r#"{"spec":{"project":"d"}}"#]].concat();
    cluster.ok(&dry).await;
    assert_eq!(cluster.ok(&project).await, "b");
    cluster.ok(&["label", "app", "guestbook", "-n", "argocd", "team=blue"]).await;
    cluster.ok(&["annotate", "app", "guestbook", "-n", "argocd", "note=here"]).await;
    assert_eq!(
        cluster.ok(&["get", "app", "-n", "argocd", "-l", "team=blue", "-o", "name"]).await.lines().count(),
        1
    );
    cluster.ok(&["delete", "app", "guestbook", "-n", "argocd"]).await;
    assert!(cluster.fails(&project).await.contains("NotFound"));
}
