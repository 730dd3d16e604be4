//! The embedded Prometheus behind the service proxy, and its alerts at the embedded Alertmanager.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use opsdeck::clock::Clock;
use opsdeck::demo::platform::Running;
use opsdeck::demo::{Platform, platform, world};
use serde_json::Value;
use tokio::time::timeout;

use super::encoded;

const PATIENCE: Duration = Duration::from_mins(1);
const PROMETHEUS: &str = "services/kube-prometheus-stack-prometheus:9090/proxy";
const ALERTMANAGER: &str = "services/kube-prometheus-stack-alertmanager:9093/proxy";

struct Served {
    running: Running,
    client: kube::Client,
    clock: Clock,
    _home: tempfile::TempDir,
}

impl Served {
    async fn start(story: &str) -> Self {
        Self::of(story, 3, true).await
    }

    async fn of(story: &str, tenants: usize, alive: bool) -> Self {
        opsdeck::install_crypto_provider();
        let home = tempfile::tempdir().unwrap();
        let clock = Clock::manual("2026-03-02T10:00:00Z".parse().unwrap());
        let small =
            world::Options { tenants, pods_per_tenant: 8, nodes: 4, alive, ..world::Options::default() };
        let options = platform::Options {
            world: world::Options { story: story.to_owned(), ..small },
            kubeconfig: Some(home.path().join("kubeconfig")),
            clock: clock.clone(),
            pace: None,
            ..platform::Options::default()
        };
        let running = Platform::start(options).await.unwrap();
        let file = Kubeconfig::read_from(&running.kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
        config.default_retry = false;
        Self { running, client: kube::Client::try_from(config).unwrap(), clock, _home: home }
    }

    async fn get(&self, path: &str) -> Value {
        self.send("GET", path, String::new()).await
    }

    async fn send(&self, method: &str, path: &str, form: String) -> Value {
        let uri = format!("/api/v1/namespaces/monitoring/{path}");
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.into_bytes()))
            .unwrap();
        let answer = timeout(PATIENCE, self.client.send(request)).await.unwrap().unwrap();
        let bytes = timeout(PATIENCE, answer.into_body().collect()).await.unwrap().unwrap().to_bytes();
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{path}: {error}: {}", String::from_utf8_lossy(&bytes)))
    }

    async fn query(&self, expr: &str) -> Vec<Value> {
        let form = encoded(&[("query", expr)]);
        let answer = self.send("POST", &format!("{PROMETHEUS}/api/v1/query"), form).await;
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    async fn go_on(&self, minutes: u64) {
        for _ in 0..minutes {
            self.clock.advance(Duration::from_mins(1));
            self.running.handle.step().await.unwrap();
        }
    }
}

fn named<'a>(alerts: &'a Value, name: &str) -> Vec<&'a Value> {
    alerts.as_array().unwrap().iter().filter(|alert| alert["labels"]["alertname"] == name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_deploy_is_pending_in_prometheus_and_then_fires_at_the_alertmanager() {
    // Where demand moves, an autoscaler takes the pod that crash-loops and makes another: the alert is one of a pod, and is
    // pending anew for that one.
    let served = Served::of("bad-deploy", 3, false).await;
    assert!(!served.query("up == 1").await.is_empty());
    let crash =
        r#"kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff",namespace="tenant-2"} == 1"#;
    assert!(!served.query(&format!("max_over_time({}[5m])", &crash[..crash.len() - 5])).await.is_empty());
    let recorded =
        served.query("namespace_cpu:kube_pod_container_resource_requests:sum{namespace=\"tenant-2\"}").await;
    assert_eq!(recorded.len(), 1, "{recorded:?}");

    let alerts = served.get(&format!("{PROMETHEUS}/api/v1/alerts")).await["data"]["alerts"].take();
    let looping = named(&alerts, "KubePodCrashLooping");
    assert!(looping.iter().any(|alert| alert["state"] == "pending"), "{alerts:#}");
    assert_eq!(named(&alerts, "Watchdog")[0]["state"], "firing");

    served.go_on(10).await;
    let rules =
        served.get(&format!("{PROMETHEUS}/api/v1/rules?type=alert&rule_name[]=KubePodCrashLooping")).await;
    assert_eq!(rules["data"]["groups"][0]["rules"][0]["state"], "firing", "{rules:#}");
    let received = served.get(&format!("{ALERTMANAGER}/api/v2/alerts")).await;
    let looping = named(&received, "KubePodCrashLooping");
    assert!(!looping.is_empty(), "{received:#}");
    assert_eq!(looping[0]["labels"]["namespace"], "tenant-2");
    assert!(looping[0]["annotations"]["description"].as_str().unwrap().contains("tenant-2/"));
    assert_eq!(
        named(&received, "Watchdog")[0]["labels"]["prometheus"],
        "monitoring/kube-prometheus-stack-prometheus"
    );
    let series = served.query("ALERTS{alertname=\"KubePodCrashLooping\",alertstate=\"firing\"}").await;
    assert!(!series.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_day_stays_quiet() {
    let served = Served::of("quiet", 4, true).await;
    served.go_on(20).await;
    // An Application that a person syncs waits for that person from the start, and is no alert.
    let waits = served.query("argocd_app_info{sync_status=\"OutOfSync\"}").await;
    assert!(
        !waits.is_empty() && waits.iter().all(|app| app["metric"]["autosync_enabled"] == "false"),
        "{waits:#?}"
    );
    let firing = served.query("ALERTS{alertstate=\"firing\",alertname!=\"Watchdog\"}").await;
    assert_eq!(firing, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_completion_and_doctor_ask_is_answered_through_the_proxy() {
    let served = Served::start("quiet").await;
    let names = served.get(&format!("{PROMETHEUS}/api/v1/label/__name__/values")).await;
    let names: Vec<&str> = names["data"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for name in
        ["up", "kube_pod_info", "container_cpu_usage_seconds_total", "nginx_ingress_controller_requests"]
    {
        assert!(names.contains(&name), "{name} is not among {} names", names.len());
    }
    let targets = served.get(&format!("{PROMETHEUS}/api/v1/targets?state=active")).await;
    let targets = targets["data"]["activeTargets"].as_array().unwrap().clone();
    assert!(targets.iter().any(|target| target["labels"]["job"] == "kube-state-metrics"), "{targets:#?}");
    assert!(targets.iter().all(|target| target["health"] == "up"));
    let metadata = served.get(&format!("{PROMETHEUS}/api/v1/metadata?metric=kube_pod_info")).await;
    assert_eq!(metadata["data"]["kube_pod_info"][0]["type"], "gauge");
    let version = served.get(&format!("{PROMETHEUS}/api/v1/status/buildinfo")).await;
    assert!(version["data"]["version"].as_str().unwrap().starts_with("3."));
    let wrong = served.get(&format!("{PROMETHEUS}/api/v1/query?query=sum(")).await;
    assert_eq!((&wrong["status"], &wrong["errorType"]), (&"error".into(), &"bad_data".into()));
}
