//! The same change once by kubectl and once by this program, on two objects that are alike: what is there afterwards must
//! be the same. Undo of `StatefulSets` and `DaemonSets`, KEDA's pause, and pods that a dead node does not end.

use serde_json::{Value, json};

use crate::cluster::{Cluster, writing_kubectl};
use crate::workloads::run;

/// A workload with pods of its own, at a version.
fn workload(kind: &str, name: &str, version: &str) -> String {
    let scale =
        if kind == "StatefulSet" { format!("\n  replicas: 2\n  serviceName: {name}") } else { String::new() };
    format!(
        r#"
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, namespace: tenant-1}}
spec:{scale}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{note: "{version}"}}}}
    spec:
      containers:
      - {{name: main, image: "registry.example.com/shop/{kind}:{version}", env: [{{name: VERSION, value: "{version}"}}]}}
"#
    )
    .replace("shop/StatefulSet", "shop/store")
    .replace("shop/DaemonSet", "shop/agent")
}

/// What kubectl says of an object, as JSON, with its name taken out.
async fn json_of(cluster: &Cluster, what: &[&str], name: &str) -> Value {
    let text = cluster.ok(&[&["get"], what, &["-n", "tenant-1", "-o", "json"]].concat()).await;
    serde_json::from_str(&text.replace(name, "NAME")).unwrap()
}

/// The template of a workload, and its revisions with what each holds, oldest first.
async fn state(cluster: &Cluster, kind: &str, name: &str) -> (Value, Vec<(i64, Value)>) {
    let object = json_of(cluster, &[kind, name], name).await;
    let kept = json_of(cluster, &["controllerrevisions", "-l", &format!("app={name}")], name).await;
    let mut revisions: Vec<(i64, Value)> = kept["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["revision"].as_i64().unwrap(), one["data"]["spec"]["template"]["spec"].clone()))
        .collect();
    revisions.sort_by_key(|one| one.0);
    (object["spec"].clone(), revisions)
}

/// The images of the pods of a workload.
async fn images(cluster: &Cluster, name: &str) -> Vec<String> {
    let pods = json_of(cluster, &["pods", "-l", &format!("app={name}")], name).await;
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    pods["items"].as_array().unwrap().iter().map(image).collect()
}

const OURS: [&str; 4] = ["--confirm", "tenant-1", "--wait", "-ntenant-1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_of_stateful_and_daemon_sets_leaves_what_kubectls_leaves() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    for (kind, plural) in [("StatefulSet", "statefulset"), ("DaemonSet", "daemonset")] {
        let names = [format!("{plural}-a"), format!("{plural}-b")];
        for version in ["1.0.0", "1.1.0", "1.2.0"] {
            for name in &names {
                cluster.apply(&workload(kind, name, version)).await;
                let at = format!("{plural}/{name}");
                cluster.ok(&["rollout", "status", &at, "-n", "tenant-1", "--timeout=50s"]).await;
            }
        }
        let [theirs, ours] = names.each_ref().map(String::as_str);
        let (theirs_at, ours_at) = (format!("{plural}/{theirs}"), format!("{plural}/{ours}"));
        // To the revision before, and then to the first of all, which has another number by now or not.
        for to in [None, Some("1")] {
            let asked = to.map(|to| format!("--to-revision={to}"));
            let asked: Vec<&str> = asked.as_deref().into_iter().collect();
            cluster.ok(&[&["rollout", "undo", &theirs_at, "-n", "tenant-1"][..], &asked].concat()).await;
            cluster.ok(&["rollout", "status", &theirs_at, "-n", "tenant-1", "--timeout=50s"]).await;
            let arguments = [&["rollout", "undo", &ours_at][..], &asked, &OURS].concat();
            let (code, out, err) = run(&cluster, "false", &arguments).await;
            assert_eq!(code, 0, "{arguments:?}: {out}{err}");
            assert!(out.starts_with("verified: "), "{out}{err}");
            let (theirs_are, ours_are) =
                (state(&cluster, plural, theirs).await, state(&cluster, plural, ours).await);
            assert_eq!(theirs_are.0, ours_are.0, "{kind}: the specs are the same");
            assert_eq!(theirs_are.1, ours_are.1, "{kind}: so are the revisions that are kept");
            let wanted = if to.is_some() { ":1.0.0" } else { ":1.1.0" };
            for name in [theirs, ours] {
                let images = images(&cluster, name).await;
                assert!(images.len() > 1 && images.iter().all(|image| image.ends_with(wanted)), "{images:?}");
            }
        }
    }
}

fn queue(name: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: tenant-1}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main, image: "registry.example.com/shop/worker:1.0.0"}}]}}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: {name}, namespace: tenant-1}}
spec:
  scaleTargetRef: {{name: {name}}}
  minReplicaCount: 1
  maxReplicaCount: 5
  triggers: [{{type: aws-sqs-queue, metadata: {{queueLength: "5"}}}}]
"#
    )
}

/// What is left of a `ScaledObject` after a change: its notes without kubectl's own, whether it is paused, its
/// autoscalers, and the pods that its Deployment wants.
async fn scaling(cluster: &Cluster, name: &str) -> Value {
    let object = json_of(cluster, &["scaledobject", name], name).await;
    let mut notes = object["metadata"]["annotations"].clone();
    if let Some(notes) = notes.as_object_mut() {
        notes.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    if notes.as_object().is_some_and(serde_json::Map::is_empty) {
        notes = Value::Null;
    }
    let paused = object["status"]["conditions"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["type"] == "Paused"))
        .map(|one| one["status"].clone());
    let scalers = json_of(cluster, &["hpa"], name).await;
    let own = scalers["items"].as_array().unwrap().iter();
    let own: Vec<&Value> =
        own.map(|one| &one["metadata"]["name"]).filter(|one| **one == "keda-hpa-NAME").collect();
    let workload = json_of(cluster, &["deployment", name], name).await;
    json!({ "notes": notes, "paused": paused, "autoscalers": own, "replicas": workload["spec"]["replicas"] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_of_keda_leaves_what_the_annotation_of_kubectl_leaves() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    for name in ["queue-a", "queue-b"] {
        cluster.apply(&queue(name)).await;
    }
    let note = "autoscaling.keda.sh/paused";
    let ways: [(&[&str], &[&str], &str); 4] = [
        (&["autoscaling.keda.sh/paused=true"], &["pause", "so/queue-b"], "True"),
        (&["autoscaling.keda.sh/paused-"], &["resume", "so/queue-b"], "False"),
        (&["autoscaling.keda.sh/paused-replicas=3"], &["pause", "so/queue-b", "--replicas", "3"], "True"),
        (&["autoscaling.keda.sh/paused-replicas-"], &["resume", "so/queue-b"], "False"),
    ];
    for (theirs, ours, paused) in ways {
        let annotate = [&["annotate", "so/queue-a", "-n", "tenant-1", "--overwrite"][..], theirs].concat();
        cluster.ok(&annotate).await;
        let arguments = [ours, &OURS].concat();
        let (code, out, err) = run(&cluster, "false", &arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        assert!(out.contains("KEDA says so"), "{out}{err}");
        let path = r#"jsonpath={.status.conditions[?(@.type=="Paused")].status}"#;
        cluster.until(&["get", "so/queue-a", "-n", "tenant-1", "-o", path], |status| status == paused).await;
        // The controller has seen both; what it makes of them follows at once.
        let same = async || scaling(&cluster, "queue-a").await == scaling(&cluster, "queue-b").await;
        crate::poll::until(std::time::Duration::from_secs(30), async || {
            if same().await {
                return Ok(());
            }
            Err(format!(
                "{note}: {} {}",
                scaling(&cluster, "queue-a").await,
                scaling(&cluster, "queue-b").await
            ))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_a_dead_node_does_not_end_is_taken_away_as_kubectl_does_it() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    for name in ["statefulset-a", "statefulset-b"] {
        cluster.apply(&workload("StatefulSet", name, "1.0.0")).await;
        let at = format!("statefulset/{name}");
        cluster.ok(&["rollout", "status", &at, "-n", "tenant-1", "--timeout=50s"]).await;
    }
    for name in ["statefulset-a", "statefulset-b"] {
        let pod = format!("{name}-1");
        let of =
            |path: &'static str| ["get", "pod", &pod, "-n", "tenant-1", "-o", path].map(ToOwned::to_owned);
        let node = of("jsonpath={.spec.nodeName}");
        let node = cluster.ok(&node.each_ref().map(String::as_str)).await;
        let uid = of("jsonpath={.metadata.uid}");
        let uid = uid.each_ref().map(String::as_str);
        let before = cluster.ok(&uid).await;
        // Its kubelet is heard of no more: it ends nothing. Nothing new is put there.
        let dead = r#"{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","message":"Kubelet stopped posting node status."}]}}"#;
        cluster.ok(&["patch", "node", &node, "--subresource=status", "--type=strategic", "-p", dead]).await;
        cluster.ok(&["cordon", &node]).await;
        cluster.ok(&["delete", "pod", &pod, "-n", "tenant-1", "--wait=false"]).await;
        let going = of("jsonpath={.metadata.deletionTimestamp}");
        assert!(!cluster.ok(&going.each_ref().map(String::as_str)).await.is_empty());
        if name == "statefulset-a" {
            cluster.ok(&["delete", "pod", &pod, "-n", "tenant-1", "--force", "--grace-period=0"]).await;
        } else {
            // An ordinary delete does not help, and the plan of the other says why.
            let force = ["delete", &format!("pod/{pod}"), "--force", "-ntenant-1"];
            let (code, out, err) = run(&cluster, "false", &[&force[..], &["--plan"]].concat()).await;
            assert_eq!(code, 0, "{out}{err}");
            assert!(err.contains(&node), "the plan names the node: {err}");
            let confirmed = ["--confirm", "tenant-1", "--reason", "dead node", "--wait"];
            let (code, out, err) = run(&cluster, "false", &[&force[..], &confirmed].concat()).await;
            assert_eq!(code, 0, "{out}{err}");
        }
        // The set makes it anew, elsewhere and with the same name.
        let fresh = cluster.until(&uid, |uid| !uid.is_empty() && uid != before).await;
        assert_ne!(fresh, before);
        let at = format!("statefulset/{name}");
        cluster.ok(&["rollout", "status", &at, "-n", "tenant-1", "--timeout=50s"]).await;
        let elsewhere = of("jsonpath={.spec.nodeName}");
        assert_ne!(cluster.ok(&elsewhere.each_ref().map(String::as_str)).await, node);
    }
}
