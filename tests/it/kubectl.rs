//! The real kubectl reading the embedded platform, also the old one of Debian: what the README says works with it.

use opsdeck::demo::credentials::{ADMIN_CONTEXT, RESTRICTED_CONTEXT};
use opsdeck::demo::images::{Behaviour, Image};
use serde_json::Value;

use crate::cluster::{Cluster, kubectls};

pub const WEB: &str = r#"
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_prints_every_kind() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
        let kinds = cluster.ok(&["api-resources", "--verbs=list", "-o", "name"]).await;
        let kinds: Vec<&str> = kinds.lines().collect();
        assert!(kinds.contains(&"applications.argoproj.io") && kinds.contains(&"pods"), "{kinds:?}");
        // In one call each: a kubectl a kind would take longer than anything else here.
        let every = kinds.join(",");
        cluster.ok(&["get", &every, "-A"]).await;
        cluster.ok(&["get", &every, "-A", "-o", "wide"]).await;
        let table = cluster.ok(&["get", "pods", "-n", "tenant-1"]).await;
        let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(head, ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
        assert!(table.contains("Running"), "{table}");
        let wide = cluster.ok(&["get", "nodes", "-o", "wide"]).await;
        assert!(wide.contains("INTERNAL-IP") && wide.contains("CONTAINER-RUNTIME"), "{wide}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_takes_forms_selectors_and_chunks() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
        let json: Value =
            serde_json::from_str(&cluster.ok(&["get", "pods", "-A", "-o", "json"]).await).unwrap();
        let all = json["items"].as_array().unwrap().len();
        assert!(all > 16, "{all}");
        let names = cluster.ok(&["get", "pods", "-A", "-o", "name", "--chunk-size=5"]).await;
        assert_eq!(names.lines().count(), all);
        let yaml = cluster.ok(&["get", "deploy", "-n", "tenant-1", "checkout", "-o", "yaml"]).await;
        assert!(yaml.starts_with("apiVersion: apps/v1\nkind: Deployment\n"), "{yaml}");
        let path = "jsonpath={.items[*].metadata.namespace}";
        let spaces = cluster
            .ok(&["get", "pods", "-A", "-l", "app.kubernetes.io/name in (checkout)", "-o", path])
            .await;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_watches_what_happens() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn describe_tells_about_pods_deployments_and_nodes() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
        cluster.apply(WEB).await;
        cluster
            .ok(&["wait", "--for=condition=Available", "-n", "tenant-1", "deploy/web", "--timeout=50s"])
            .await;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_read_followed_and_remembered() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
        let bad = Image::new("registry.example.com/shop/web", "1.0.0");
        let set = move |world: &mut opsdeck::demo::world::World, _| world.images.set(bad, Behaviour::Crash);
        let tail =
            cluster.ok(&["logs", "-n", "tenant-1", "deploy/checkout", "-c", "checkout", "--tail=3"]).await;
        assert_eq!(tail.lines().count(), 3, "{tail}");
        let pod = cluster
            .ok(&["get", "pods", "-n", "tenant-1", "-l", "app.kubernetes.io/name=checkout", "-o", "name"])
            .await;
        let pod = pod.lines().next().unwrap().to_owned();
        let stamped = cluster
            .ok(&["logs", "-n", "tenant-1", &pod, "-c", "checkout", "--timestamps", "--since=1h", "--tail=2"])
            .await;
        assert!(stamped.starts_with("20"), "{stamped}");
        let mut follow = cluster.spawn(&["logs", "-n", "tenant-1", &pod, "-c", "checkout", "-f", "--tail=1"]);
        for _ in 0..5 {
            follow.until(|line| line.len() > 1).await;
        }
        let none = cluster.fails(&["logs", "-n", "tenant-1", &pod, "-c", "nothing"]).await;
        assert!(none.contains("container nothing is not valid for pod"), "{none}");

        cluster.running.handle.call(set).await.unwrap();
        cluster.apply(WEB).await;
        let path = "jsonpath={.status.containerStatuses[0].restartCount}";
        let first = cluster
            .spawn(&["get", "pods", "-n", "tenant-1", "-l", "app=web", "-w", "-o", "name"])
            .until(|_| true)
            .await;
        let restarts = ["get", "-n", "tenant-1", first.trim(), "-o", path];
        cluster.until(&restarts, |count| count.parse().is_ok_and(|count: u32| count >= 2)).await;
        let previous = cluster.ok(&["logs", "-n", "tenant-1", first.trim(), "-p"]).await;
        assert!(!previous.is_empty());
        let status = cluster.ok(&["get", "-n", "tenant-1", first.trim()]).await;
        assert!(
            status.contains("CrashLoopBackOff") || status.contains("Error") || status.contains("Running"),
            "{status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_told_what_they_may_do() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
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
        // Came with 1.28.
        if kubectl.minor >= 28 {
            assert!(restricted(&["auth", "whoami"]).await.out.contains("demo-tenant-operator"));
        }
        let stranger = cluster.fails(&["--token=wrong", "--context", ADMIN_CONTEXT, "get", "pods"]).await;
        assert!(stranger.contains("logged in") || stranger.contains("Unauthorized"), "{stranger}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_shows_what_pods_and_nodes_use() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
        let nodes = cluster.ok(&["top", "nodes"]).await;
        assert!(nodes.lines().count() >= 5 && nodes.contains('%'), "{nodes}");
        let pods = cluster.ok(&["top", "pods", "-n", "tenant-1", "--containers"]).await;
        assert!(pods.lines().count() > 8 && pods.contains("Mi"), "{pods}");
    }
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_kinds_are_described_in_the_versions_that_a_client_knows() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
        for (kind, part) in [
            ("pdb", "Allowed disruptions:"),
            ("hpa", "Reference:"),
            ("endpointslices", "Endpoints:"),
            ("ingress", "Rules:"),
            ("services", "Endpoints:"),
            ("endpoints", "Subsets:"),
            ("cronjobs", "Schedule:"),
            ("quota", "Resource"),
            ("nodepools", "Node Class Ref:"),
        ] {
            let names = cluster.ok(&["get", kind, "-A", "-o", "name"]).await;
            let said = cluster.ok(&["describe", kind, "-A"]).await;
            assert!(names.is_empty() || said.contains(part), "1.{} {kind}: {said}", kubectl.minor);
        }
        let table = cluster.ok(&["get", "ep", "checkout", "-n", "tenant-1"]).await;
        assert!(table.starts_with("NAME       ENDPOINTS") && table.contains(":8080"), "{table}");
        let service = cluster.ok(&["describe", "service", "checkout", "-n", "tenant-1"]).await;
        assert!(
            service.lines().any(|line| line.starts_with("Endpoints:") && line.contains(":8080")),
            "{service}"
        );
        // Lists of old versions say which they are.
        let old = cluster.ok(&["get", "--raw", "/apis/policy/v1beta1/poddisruptionbudgets"]).await;
        let old: Value = serde_json::from_str(&old).unwrap();
        assert_eq!(
            (&old["kind"], &old["apiVersion"]),
            (&"PodDisruptionBudgetList".into(), &"policy/v1beta1".into())
        );
        let versions = cluster.ok(&["api-versions"]).await;
        assert!(versions.contains("autoscaling/v1\n") && !versions.contains("beta1\npolicy"), "{versions}");
        assert!(!versions.contains("policy/v1beta1"), "{versions}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollouts_and_conditions_are_read() {
    for kubectl in kubectls() {
        let cluster = Cluster::start_for(&kubectl).await;
        let status = cluster.ok(&["rollout", "status", "deploy/checkout", "-n", "tenant-1"]).await;
        assert!(status.contains("successfully rolled out"), "{status}");
        let history = cluster.ok(&["rollout", "history", "deploy/checkout", "-n", "tenant-1"]).await;
        assert!(history.contains("\n1 "), "{history}");
        let one = ["rollout", "history", "deploy/checkout", "-n", "tenant-1", "--revision=1"];
        assert!(cluster.ok(&one).await.contains("Pod Template:"));
        let wait =
            ["wait", "--for=condition=Available", "deploy/checkout", "-n", "tenant-1", "--timeout=20s"];
        assert!(cluster.ok(&wait).await.contains("condition met"));
        let short = cluster.ok(&["api-resources", "--namespaced=true", "-o", "wide"]).await;
        assert!(
            short.lines().any(|line| line.contains("poddisruptionbudgets") && line.contains("pdb")),
            "{short}"
        );
    }
}
