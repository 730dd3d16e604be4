//! The service and pod proxy of the embedded platform.

use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use opsdeck::demo::Platform;
use opsdeck::demo::credentials::{ADMIN_CONTEXT, RESTRICTED_CONTEXT};
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::proxy::{self, Answer, Backend, Backends};
use opsdeck::demo::{server, world};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cluster::{Cluster, missing};

/// Says what it was asked; takes connections over for `shout`.
struct Echo;

impl Backend for Echo {
    fn answer(&self, mut request: proxy::Request) -> Answer<'_> {
        Box::pin(async move {
            if let Some(upgrade) = request.upgrade.take() {
                upgrade.run(|connection| async move {
                    let mut connection = hyper_util::rt::TokioIo::new(connection);
                    let mut word = [0; 5];
                    connection.read_exact(&mut word).await.unwrap();
                    connection.write_all(&word.to_ascii_uppercase()).await.unwrap();
                    connection.shutdown().await.unwrap();
                });
                let mut response = server::text(101, "");
                response.headers_mut().insert("connection", "Upgrade".parse().unwrap());
                response.headers_mut().insert("upgrade", "shout".parse().unwrap());
                return response;
            }
            let headers: serde_json::Map<String, Value> = request
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
                .collect();
            let said = json!({
                "method": request.method.as_str(), "path": request.path, "query": request.query,
                "headers": headers, "body": String::from_utf8_lossy(&request.body), "pod": request.pod,
            });
            server::json(418, &said)
        })
    }
}

async fn start() -> Running {
    opsdeck::install_crypto_provider();
    let mut backends = Backends::default();
    backends.add("monitoring", "grafana", 80, Arc::new(Echo));
    let world = world::Options { tenants: 1, pods_per_tenant: 3, nodes: 2, ..world::Options::default() };
    Platform::start(Options { world, backends, ..Options::default() }).await.unwrap()
}

async fn client(running: &Running, context: &str) -> kube::Client {
    let file = Kubeconfig::read_from(&running.kubeconfig).unwrap();
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
    config.default_retry = false;
    kube::Client::try_from(config).unwrap()
}

async fn ask(client: &kube::Client, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-scope-orgid", "platform")
        .header("te", "trailers")
        .body(Body::from(body.as_bytes().to_vec()))
        .unwrap();
    let answer = client.send(request).await.unwrap();
    let code = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_reaches_its_backend_whole_and_without_credentials() {
    let running = start().await;
    let client = client(&running, ADMIN_CONTEXT).await;
    let root = "/api/v1/namespaces/monitoring/services";
    for (id, method) in [
        ("grafana:80", "POST"),
        ("http:grafana:http-web", "PUT"),
        (":grafana:80", "PATCH"),
        ("grafana:http-web", "DELETE"),
    ] {
        let path = format!("{root}/{id}/proxy/a%2Fb//c?x=%22y%22&x=2");
        let (code, said) = ask(&client, method, &path, "{\"z\":1}").await;
        assert_eq!(code, 418, "{said}");
        assert_eq!((&said["method"], &said["path"]), (&json!(method), &json!("/a%2Fb//c")));
        assert_eq!((&said["query"], &said["body"]), (&json!("x=%22y%22&x=2"), &json!("{\"z\":1}")));
        let headers = &said["headers"];
        assert_eq!(headers["x-scope-orgid"], "platform");
        assert!(headers.get("authorization").is_none() && headers.get("te").is_none(), "{headers}");
        let host = headers["host"].as_str().unwrap();
        assert!(host.ends_with(":3000") && !host.starts_with("127."), "{host}");
        assert_eq!(headers["x-forwarded-proto"], "https");
    }
    // The pod behind it answers too, at the container's port.
    let (_, said) = ask(&client, "GET", &format!("{root}/grafana:80/proxy/"), "").await;
    let pod = said["pod"].as_str().unwrap();
    assert!(pod.starts_with("grafana-"), "{pod}");
    for id in [pod.to_owned(), format!("{pod}:3000"), format!("http:{pod}:3000")] {
        let path = format!("/api/v1/namespaces/monitoring/pods/{id}/proxy/metrics");
        let (code, said) = ask(&client, "GET", &path, "").await;
        assert_eq!((code, &said["path"]), (StatusCode::IM_A_TEAPOT, &json!("/metrics")), "{said}");
    }
    // Without its slash the root leads to where it has one.
    let request = Request::get(format!("{root}/grafana:80/proxy?x=1")).body(Body::empty()).unwrap();
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.headers()["location"], format!("{root}/grafana:80/proxy/?x=1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_is_refused_in_the_api_servers_words() {
    let running = start().await;
    let admin = client(&running, ADMIN_CONTEXT).await;
    let root = "/api/v1/namespaces/monitoring";
    let cases = [
        ("services/nobody:80", 404, "NotFound", "services \"nobody\" not found"),
        ("pods/nobody:80", 404, "NotFound", "pods \"nobody\" not found"),
        ("services/ftp:grafana:80", 400, "BadRequest", "invalid service request \"ftp:grafana:80\""),
        (
            "services/grafana:81",
            503,
            "ServiceUnavailable",
            "no service port 81 found for service \"grafana\"",
        ),
        // Its only port has a name, and none was given.
        ("services/grafana", 503, "ServiceUnavailable", "no endpoints available for service \"grafana\""),
        ("services/grafana:x", 503, "ServiceUnavailable", "no endpoints available for service \"grafana:x\""),
    ];
    for (path, code, reason, message) in cases {
        let (answered, status) = ask(&admin, "GET", &format!("{root}/{path}/proxy/x"), "").await;
        assert_eq!(answered.as_u16(), code, "{status}");
        assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!(reason)), "{path}");
        assert_eq!(status["message"], message, "{path}");
    }
    // A component whose port nobody plays.
    let (code, status) =
        ask(&admin, "GET", "/api/v1/namespaces/cert-manager/services/cert-manager-webhook:443/proxy/", "")
            .await;
    let message = status["message"].as_str().unwrap();
    assert_eq!(code, 503);
    assert!(
        message.starts_with("error trying to reach service: dial tcp 10.")
            && message.ends_with(":10250: connect: connection refused"),
        "{message}"
    );

    let restricted = client(&running, RESTRICTED_CONTEXT).await;
    for (method, verb) in
        [("GET", "get"), ("POST", "create"), ("PUT", "update"), ("PATCH", "patch"), ("DELETE", "delete")]
    {
        let path = format!("{root}/services/grafana:80/proxy/x?watch=1");
        let (code, status) = ask(&restricted, method, &path, "").await;
        assert_eq!(code, 403, "{status}");
        let message = format!(
            "services \"grafana:80\" is forbidden: User \"demo-tenant-operator\" cannot {verb} resource \"services/proxy\" in API group \"\" in the namespace \"monitoring\""
        );
        assert_eq!(status["message"], message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_may_take_a_connection_over() {
    let running = start().await;
    let client = client(&running, ADMIN_CONTEXT).await;
    let request = Request::get("/api/v1/namespaces/monitoring/services/grafana:80/proxy/shout")
        .header("connection", "Upgrade")
        .header("upgrade", "shout")
        .body(Body::empty())
        .unwrap();
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    let connection = hyper::upgrade::on(answer).await.unwrap();
    let mut connection = hyper_util::rt::TokioIo::new(connection);
    connection.write_all(b"hello").await.unwrap();
    let mut word = String::new();
    connection.read_to_string(&mut word).await.unwrap();
    assert_eq!(word, "HELLO");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_finds_the_proxy_and_the_monitoring_services() {
    if missing("kubectl") {
        return;
    }
    let cluster = Cluster::start().await;
    for (label, service) in [
        ("app.kubernetes.io/name=prometheus", "service/kube-prometheus-stack-prometheus"),
        ("app.kubernetes.io/name=alertmanager", "service/kube-prometheus-stack-alertmanager"),
        ("app.kubernetes.io/name=loki", "service/loki-gateway"),
        ("app.kubernetes.io/name=argocd-server", "service/argocd-server"),
        ("operated-alertmanager=true", "service/alertmanager-operated"),
    ] {
        let names = cluster.ok(&["get", "services", "-A", "-l", label, "-o", "name"]).await;
        assert!(names.lines().any(|name| name == service), "{label}: {names}");
    }
    let pods = cluster
        .ok(&["get", "pods", "-n", "monitoring", "-l", "app.kubernetes.io/name=alertmanager", "-o", "name"])
        .await;
    assert_eq!(
        pods,
        "pod/alertmanager-kube-prometheus-stack-alertmanager-0\npod/alertmanager-kube-prometheus-stack-alertmanager-1\n"
    );
    let said = cluster.fails(&["get", "--raw", "/api/v1/namespaces/kube-system/services/x:80/proxy/"]).await;
    assert_eq!(said.trim(), "Error from server (NotFound): services \"x\" not found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_reads_trees_and_differences_from_argocd_server() {
    if missing("kubectl") {
        return;
    }
    let cluster = Cluster::with(world::Options {
        tenants: 2,
        pods_per_tenant: 8,
        nodes: 4,
        story: "bad-deploy".to_owned(),
        ..world::Options::default()
    })
    .await;
    let root = "/api/v1/namespaces/argocd/services/https:argocd-server:https/proxy";
    let get = async |path: &str| -> Value {
        serde_json::from_str(&cluster.ok(&["get", "--raw", &format!("{root}{path}")]).await).unwrap()
    };
    assert_eq!(get("/api/version").await["Version"], "v3.5.1+demo");
    let listed = get("/api/v1/applications?projects=tenant-2").await;
    let items = listed["items"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|app| app["spec"]["project"] == "tenant-2"));
    let app = "/api/v1/applications/tenant-2-checkout";
    let tree = get(&format!("{app}/resource-tree")).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let of = |kind: &str| nodes.iter().filter(|node| node["kind"] == kind).collect::<Vec<_>>();
    let (deployments, sets, pods) = (of("Deployment"), of("ReplicaSet"), of("Pod"));
    assert_eq!(deployments.len(), 1);
    assert!(sets.iter().all(|set| set["parentRefs"][0]["uid"] == deployments[0]["uid"]), "{sets:?}");
    let crashing = pods.iter().filter(|pod| pod["health"]["status"] == "Degraded").count();
    assert!(crashing > 0 && crashing < pods.len(), "{pods:#?}");
    let managed = get(&format!("{app}/managed-resources?kind=Deployment")).await;
    let item = &managed["items"][0];
    let state = |name: &str| -> Value { serde_json::from_str(item[name].as_str().unwrap()).unwrap() };
    assert_eq!(state("liveState")["metadata"]["uid"], deployments[0]["uid"]);
    let image = "/spec/template/spec/containers/0/image";
    assert_eq!(state("targetState").pointer(image), state("predictedLiveState").pointer(image));
    let manifests = get(&format!("{app}/manifests")).await;
    assert!(manifests["manifests"].as_array().unwrap().len() > 2);
    let revision = manifests["revision"].as_str().unwrap();
    let commit = get(&format!("{app}/revisions/{revision}/metadata")).await;
    assert!(commit["message"].as_str().unwrap().contains("1.8.0"), "{commit}");
    // Nobody learns whether it exists without naming its project.
    let hidden = cluster.fails(&["get", "--raw", &format!("{root}/api/v1/applications/nobody")]).await;
    assert!(hidden.contains("Forbidden"), "{hidden}");
    let path = format!("{root}/api/v1/applications/nobody?project=tenant-2");
    assert!(cluster.fails(&["get", "--raw", &path]).await.contains("NotFound"));
}
