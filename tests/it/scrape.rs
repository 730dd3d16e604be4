//! A real Prometheus scrapes the embedded platform through its API server: every target is up, and every family is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use opsdeck::demo::Platform;
use opsdeck::demo::numbers::{Numbers, metrics};
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::promql::MetricKind;
use opsdeck::demo::world;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::missing;
use crate::poll;

async fn platform() -> (tempfile::TempDir, Running) {
    playing("quiet").await
}

async fn playing(story: &str) -> (tempfile::TempDir, Running) {
    opsdeck::install_crypto_provider();
    let home = tempfile::tempdir().unwrap();
    let world = world::Options {
        tenants: 3,
        pods_per_tenant: 12,
        nodes: 4,
        story: story.to_owned(),
        alive: false,
        ..world::Options::default()
    };
    let options = Options { world, kubeconfig: Some(home.path().join("demo.yaml")), ..Options::default() };
    let running = Platform::start(options).await.unwrap();
    (home, running)
}

async fn get(running: &Running, path: &str, accept: &str) -> (u16, String, String) {
    let file = Kubeconfig::read_from(&running.kubeconfig).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    let request = Request::builder().uri(path).header("accept", accept).body(Body::empty()).unwrap();
    let response = client.send(request).await.unwrap();
    let media = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, media, String::from_utf8(body.to_vec()).unwrap())
}

/// Asks promtool about an exposition; returns what it says about lines that it cannot read.
fn unreadable(text: &str) -> Option<String> {
    use std::io::Write as _;
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    // Opinions about names that real projects have chosen are exit code 3; 1 is that it cannot be read.
    (output.status.code() == Some(1) || said.contains("error while linting")).then_some(said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_component_exposes_text_that_promtool_reads() {
    if missing("promtool") {
        return;
    }
    let (_home, running) = platform().await;
    let numbers = running.handle.call(|world, now| Numbers::at(world, now)).await.unwrap();
    let mut names = BTreeSet::new();
    for target in numbers.targets.iter().filter(|target| target.span.1 > numbers.now) {
        let (status, media, text) = get(&running, &target.path, "text/plain").await;
        assert_eq!(status, 200, "{}: {text}", target.path);
        assert_eq!(media, "text/plain; version=0.0.4; charset=utf-8");
        names.extend(
            text.lines()
                .filter_map(|line| line.strip_prefix("# TYPE "))
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned),
        );
        assert_eq!(unreadable(&text), None, "{}", target.path);
    }
    assert!(names.len() > 250, "{} families", names.len());
    let (_, media, text) = get(&running, "/metrics", "application/openmetrics-text;version=1.0.0").await;
    assert_eq!(media, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with("# EOF\n"));
    // The same through a Service as through its pod.
    let (status, _, text) =
        get(&running, "/api/v1/namespaces/monitoring/services/kube-state-metrics:8080/proxy/metrics", "*/*")
            .await;
    assert!(status == 200 && text.contains("\nkube_pod_info{"), "{text}");
}

/// The real Prometheus; it ends with this.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It is ours, and nothing of it is wanted any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(config: &Path, data: &Path) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(data.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let text = String::from_utf8(answer).ok()?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }

    async fn names(&self) -> BTreeSet<String> {
        let answer = self.ask("/api/v1/label/__name__/values").await.unwrap_or_default();
        answer["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str())
            .map(str::to_owned)
            .collect()
    }
}

/// The names of all that the platform's own Prometheus has at this moment.
async fn exposed(running: &Running) -> BTreeSet<String> {
    let numbers = running.handle.call(|world, now| Numbers::at(world, now)).await.unwrap();
    let alive = numbers.targets.iter().filter(|target| target.span.1 > numbers.now);
    alive.flat_map(|target| numbers.expose(target)).map(|sample| sample.metric.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_finds_every_target_up_and_the_same_series() {
    if missing("prometheus") {
        return;
    }
    let (home, running) = platform().await;
    let written = running.write_scrape_config("2s").await.unwrap();
    let data = home.path().join("data");
    let prometheus = Prometheus::start(&written.config, &data);
    let numbers = running.handle.call(|world, now| Numbers::at(world, now)).await.unwrap();
    let targets = numbers.targets.iter().filter(|target| target.span.1 > numbers.now).count();
    poll::until(Duration::from_mins(2), async || {
        let answer = prometheus.ask("/api/v1/targets?state=active").await.unwrap_or_default();
        let active = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let up = active.iter().filter(|target| target["health"] == "up").count();
        if up == targets {
            return Ok(());
        }
        let errors: BTreeSet<String> = active
            .iter()
            .filter(|target| target["health"] == "down")
            .map(|target| format!("{} {}", target["scrapeUrl"], target["lastError"]))
            .collect();
        let log = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
        Err(format!("{up} of {targets} are up: {errors:#?}\n{log}"))
    })
    .await;
    // Everything that the platform's own Prometheus has, the real one has after its scrapes. Some series live only as long
    // as a container waits: what is gone before a scrape is not asked for.
    poll::until(Duration::from_mins(1), async || {
        let mut own = exposed(&running).await;
        own.insert("up".to_owned());
        let names = prometheus.names().await;
        let lacking: Vec<&String> = own.difference(&names).collect();
        if lacking.is_empty() { Ok(()) } else { Err(format!("Prometheus has not {lacking:?}")) }
    })
    .await;
    assert!(metrics().filter(|metric| metric.kind == MetricKind::Histogram).count() > 20);
    // Labels are what the platform's Prometheus shows, exported ones and those of the target.
    for (query, labels) in [
        (
            "nginx_ingress_controller_requests",
            &["exported_namespace", "ingress", "status", "instance", "pod"][..],
        ),
        (
            "container_cpu_usage_seconds_total%7Bcontainer!=%22%22%7D",
            &["namespace", "pod", "node", "image", "metrics_path"],
        ),
        ("argocd_app_info", &["exported_namespace", "sync_status", "health_status", "name"]),
        ("kube_pod_container_status_restarts_total", &["namespace", "pod", "container", "job"]),
    ] {
        let answer = prometheus.ask(&format!("/api/v1/query?query={query}")).await.unwrap();
        let first = &answer["data"]["result"][0]["metric"];
        for label in labels {
            assert!(first[label].is_string(), "{query} has no {label}: {first}");
        }
    }
    let answer = prometheus.ask("/api/v1/query?query=sum(up)").await.unwrap();
    assert_eq!(answer["data"]["result"][0]["value"][1], targets.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooded_api_server_refuses_some_lists_and_says_when_to_come_back() {
    let (_home, running) = playing("api-throttled").await;
    let file = Kubeconfig::read_from(&running.kubeconfig).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    let mut refused = 0;
    for _ in 0..20 {
        let request = Request::builder().uri("/api/v1/namespaces/tenant-1/pods").body(Body::empty()).unwrap();
        let response = client.send(request).await.unwrap();
        if response.status() == 429 {
            refused += 1;
            assert_eq!(response.headers()["retry-after"], "1");
        }
    }
    assert_eq!(refused, 5, "every fourth");
    // Single objects are other flows.
    let one = Request::builder().uri("/api/v1/namespaces/tenant-1").body(Body::empty()).unwrap();
    for _ in 0..4 {
        let request = Request::builder().uri(one.uri()).body(Body::empty()).unwrap();
        assert_eq!(client.send(request).await.unwrap().status(), 200);
    }
}
