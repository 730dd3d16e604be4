//! The real kubectl as a client of the embedded platform: everything that the README says works with it.

use opsdeck::demo::credentials::{ADMIN_CONTEXT, RESTRICTED_CONTEXT};
use opsdeck::demo::images::{Behaviour, Image};
use serde_json::Value;

use crate::cluster::{Cluster, missing, missing_or_old};

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: tenant-1}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "registry.example.com/shop/web:1.0.0", ports: [{containerPort: 80}]}
"#;

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
async fn get_prints_every_kind() {
    if missing("kubectl") {
        return;
    }
    let cluster = Cluster::start().await;
    let kinds = cluster.ok(&["api-resources", "--verbs=list", "-o", "name"]).await;
    let kinds: Vec<&str> = kinds.lines().collect();
    assert!(kinds.contains(&"applications.argoproj.io") && kinds.contains(&"pods"), "{kinds:?}");
    for kind in kinds {
        cluster.ok(&["get", kind, "-A"]).await;
        cluster.ok(&["get", kind, "-A", "-o", "wide"]).await;
    }
    let table = cluster.ok(&["get", "pods", "-n", "tenant-1"]).await;
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert!(table.contains("Running"), "{table}");
    let wide = cluster.ok(&["get", "nodes", "-o", "wide"]).await;
    assert!(wide.contains("INTERNAL-IP") && wide.contains("CONTAINER-RUNTIME"), "{wide}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_takes_forms_selectors_and_chunks() {
    if missing("kubectl") {
        return;
    }
    let cluster = Cluster::start().await;
    let json: Value = serde_json::from_str(&cluster.ok(&["get", "pods", "-A", "-o", "json"]).await).unwrap();
    let all = json["items"].as_array().unwrap().len();
    assert!(all > 16, "{all}");
    let names = cluster.ok(&["get", "pods", "-A", "-o", "name", "--chunk-size=5"]).await;
    assert_eq!(names.lines().count(), all);
    let yaml = cluster.ok(&["get", "deploy", "-n", "tenant-1", "checkout", "-o", "yaml"]).await;
    assert!(yaml.starts_with("apiVersion: apps/v1\nkind: Deployment\n"), "{yaml}");
    let path = "jsonpath={.items[*].metadata.namespace}";
    let spaces =
        cluster.ok(&["get", "pods", "-A", "-l", "app.kubernetes.io/name in (checkout)", "-o", path]).await;
    assert!(spaces.split(' ').all(|space| space.starts_with("tenant-")), "{spaces}");
    let node = json["items"][0]["spec"]["nodeName"].as_str().unwrap();
    let on_node = cluster
        .ok(&["get", "pods", "-A", "-o", "name", &format!("--field-selector=spec.nodeName={node}")])
        .await;
    let expected =
        json["items"].as_array().unwrap().iter().filter(|pod| pod["spec"]["nodeName"] == node).count();
    assert_eq!(on_node.lines().count(), expected);
    let none =
        cluster.ok(&["get", "pods", "-A", "-o", "name", "--field-selector=status.phase!=Running"]).await;
    assert!(none.lines().count() < all);
    let unknown = cluster.fails(&["get", "pods", "--field-selector=spec.colour=red"]).await;
    assert!(unknown.contains("field label not supported: spec.colour"), "{unknown}");
    let gone = cluster.fails(&["get", "pod", "nobody"]).await;
    assert_eq!(gone.trim(), "Error from server (NotFound): pods \"nobody\" not found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_watches_what_happens() {
    if missing_or_old() {
        return;
    }
    let cluster = Cluster::start().await;
    let mut table = cluster.spawn(&["get", "pods", "-n", "tenant-1", "-w", "--output-watch-events"]);
    let mut json = cluster.spawn(&["get", "pods", "-n", "tenant-1", "--watch-only", "-o", "name"]);
    let first = table.until(|line| line.contains("ADDED")).await;
    let pod = first.split_whitespace().nth(1).unwrap().to_owned();
    // The second watch is there once a pod of ours shows up in it.
    cluster.apply(WEB).await;
    json.until(|line| line.starts_with("pod/web-")).await;
    cluster.ok(&["delete", "pod", "-n", "tenant-1", &pod]).await;
    let gone = table.until(|line| line.contains("DELETED") && line.contains(&pod)).await;
    assert!(gone.contains("Terminating") || gone.contains("Completed"), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn describe_tells_about_pods_deployments_and_nodes() {
    if missing_or_old() {
        return;
    }
    let cluster = Cluster::start().await;
    cluster.apply(WEB).await;
    cluster.ok(&["wait", "--for=condition=Available", "-n", "tenant-1", "deploy/web", "--timeout=50s"]).await;
    let pod = cluster.ok(&["describe", "pod", "-n", "tenant-1", "-l", "app=web"]).await;
    for part in [
        "Controlled By:  ReplicaSet/web-",
        "Image:          registry.example.com/shop/web:1.0.0",
        "Scheduled",
        "Started",
    ] {
        assert!(pod.contains(part), "{part} is missing in\n{pod}");
    }
    let deployment = cluster.ok(&["describe", "deployment", "-n", "tenant-1", "web"]).await;
    for part in
        ["2 desired | 2 updated | 2 total | 2 available", "ScalingReplicaSet", "NewReplicaSet:   web-"]
    {
        assert!(deployment.contains(part), "{part} is missing in\n{deployment}");
    }
    let node = cluster.ok(&["describe", "nodes"]).await;
    for part in ["Allocatable:", "Non-terminated Pods:", "KubeletReady", "Allocated resources:"] {
        assert!(node.contains(part), "{part} is missing in\n{node}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_read_followed_and_remembered() {
    if missing_or_old() {
        return;
    }
    let cluster = Cluster::start().await;
    let bad = Image::new("registry.example.com/shop/web", "1.0.0");
    let set = move |world: &mut opsdeck::demo::world::World, _| world.images.set(bad, Behaviour::Crash);
    let tail = cluster.ok(&["logs", "-n", "tenant-1", "deploy/checkout", "-c", "checkout", "--tail=3"]).await;
    assert_eq!(tail.lines().count(), 3, "{tail}");
    let pod = cluster
        .ok(&["get", "pods", "-n", "tenant-1", "-l", "app.kubernetes.io/name=checkout", "-o", "name"])
        .await;
    let pod = pod.lines().next().unwrap().to_owned();
    let stamped =
        cluster.ok(&["logs", "-n", "tenant-1", &pod, "--timestamps", "--since=1h", "--tail=2"]).await;
    assert!(stamped.starts_with("20"), "{stamped}");
    let mut follow = cluster.spawn(&["logs", "-n", "tenant-1", &pod, "-c", "checkout", "-f", "--tail=1"]);
    for _ in 0..5 {
        follow.until(|line| line.len() > 1).await;
    }
    let none = cluster.fails(&["logs", "-n", "tenant-1", &pod, "-c", "nothing"]).await;
    assert!(none.contains("container nothing is not valid for pod"), "{none}");

    cluster.running.handle.call(set).await.unwrap();
    cluster.apply(WEB).await;
    let path = "--for=jsonpath={.status.containerStatuses[0].restartCount}=2";
    let first = cluster
        .spawn(&["get", "pods", "-n", "tenant-1", "-l", "app=web", "-w", "-o", "name"])
        .until(|_| true)
        .await;
    cluster.ok(&["wait", path, "-n", "tenant-1", first.trim(), "--timeout=55s"]).await;
    let previous = cluster.ok(&["logs", "-n", "tenant-1", first.trim(), "-p"]).await;
    assert!(!previous.is_empty());
    let status = cluster.ok(&["get", "-n", "tenant-1", first.trim()]).await;
    assert!(
        status.contains("CrashLoopBackOff") || status.contains("Error") || status.contains("Running"),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollouts_are_watched_undone_restarted_and_scaled() {
    if missing_or_old() {
        return;
    }
    let cluster = Cluster::start().await;
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
    if missing_or_old() {
        return;
    }
    let cluster = Cluster::start().await;
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
    if missing_or_old() {
        return;
    }
    let cluster = Cluster::start().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_told_what_they_may_do() {
    if missing_or_old() {
        return;
    }
    let cluster = Cluster::start().await;
    assert_eq!(
        cluster.ok(&["auth", "can-i", "patch", "applications.argoproj.io", "-n", "argocd"]).await.trim(),
        "yes"
    );
    assert!(cluster.ok(&["auth", "can-i", "--list", "-n", "tenant-1"]).await.contains("*.*"));
    let restricted = |args: &[&str]| {
        let words: Vec<String> =
            ["--context", RESTRICTED_CONTEXT].iter().chain(args).map(|word| (*word).to_owned()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        cluster.kubectl(&words)
    };
    assert_eq!(restricted(&["auth", "can-i", "list", "pods", "-n", "tenant-1"]).await.out.trim(), "yes");
    assert_eq!(
        restricted(&["auth", "can-i", "patch", "deployments.apps", "-n", "tenant-1"]).await.out.trim(),
        "no"
    );
    assert_eq!(restricted(&["auth", "can-i", "get", "nodes"]).await.out.trim(), "no");
    assert!(restricted(&["get", "pods"]).await.ok);
    let whole = restricted(&["get", "pods", "-A"]).await;
    assert!(
        whole.err.contains(r#"pods is forbidden: User "demo-tenant-operator" cannot list resource "pods" in API group "" at the cluster scope"#),
        "{}",
        whole.err
    );
    assert!(!restricted(&["delete", "pods", "--all"]).await.ok);
    assert!(!restricted(&["get", "secrets"]).await.ok);
    assert!(restricted(&["auth", "whoami"]).await.out.contains("demo-tenant-operator"));
    let stranger = cluster.fails(&["--token=wrong", "--context", ADMIN_CONTEXT, "get", "pods"]).await;
    assert!(stranger.contains("logged in") || stranger.contains("Unauthorized"), "{stranger}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_shows_what_pods_and_nodes_use() {
    if missing("kubectl") {
        return;
    }
    let cluster = Cluster::start().await;
    let nodes = cluster.ok(&["top", "nodes"]).await;
    assert!(nodes.lines().count() >= 5 && nodes.contains('%'), "{nodes}");
    let pods = cluster.ok(&["top", "pods", "-n", "tenant-1", "--containers"]).await;
    assert!(pods.lines().count() > 8 && pods.contains("Mi"), "{pods}");
}
