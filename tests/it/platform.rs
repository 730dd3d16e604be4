//! Starting and ending the embedded platform, and what strange clients do to it.

use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use opsdeck::demo::Platform;
use opsdeck::demo::objects::{HISTORY, Key};
use opsdeck::demo::platform::{Options, Running, StartError};
use opsdeck::demo::types::Type;
use opsdeck::demo::world;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::poll;

fn small(kubeconfig: Option<PathBuf>, port: u16) -> Options {
    opsdeck::install_crypto_provider();
    let world = world::Options { tenants: 1, pods_per_tenant: 3, nodes: 2, ..world::Options::default() };
    Options { world, kubeconfig, port, ..Options::default() }
}

async fn client(running: &Running) -> kube::Client {
    let file = Kubeconfig::read_from(&running.kubeconfig).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    kube::Client::try_from(config).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("deep/kubeconfig");
    let running = Platform::start(small(Some(path.clone()), 0)).await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "tokens are in it");
    }
    let address = running.url.strip_prefix("https://").unwrap().to_owned();
    assert!(TcpStream::connect(&address).await.is_ok());
    // A client that is in the middle of something does not keep it alive.
    let client = client(&running).await;
    let watch = Request::builder().uri("/api/v1/pods?watch=1").body(Body::empty()).unwrap();
    let mut watch = client.send(watch).await.unwrap().into_body();
    let state = running.state().to_owned();
    drop(running);
    let ended = async { while matches!(watch.frame().await, Some(Ok(_))) {} };
    timeout(Duration::from_secs(10), ended).await.unwrap();
    poll::until(Duration::from_secs(10), async || match TcpStream::connect(&address).await {
        Ok(_) => Err("it accepts a connection".to_owned()),
        Err(_) => Ok(()),
    })
    .await;
    assert!(!path.exists() && !state.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_is_named_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("kubeconfig");
    let running = Platform::start(small(Some(path.clone()), 0)).await.unwrap();
    let port: u16 = running.url.rsplit(':').next().unwrap().parse().unwrap();
    let taken = Platform::start(small(None, port)).await.unwrap_err();
    assert!(matches!(taken, StartError::Port { .. }));
    assert!(taken.to_string().starts_with(&format!("port {port} on 127.0.0.1 cannot be used")), "{taken}");
    let twice = Platform::start(small(Some(path.clone()), 0)).await.unwrap_err();
    assert!(matches!(twice, StartError::Twice(_)), "{twice}");
    assert!(std::fs::read_to_string(&path).unwrap().contains(&running.url));
    drop(running);
    // What a killed platform has left is taken over.
    std::fs::write(&path, format!("{}\nserver: https://127.0.0.1:1\n", opsdeck::demo::credentials::MARK))
        .unwrap();
    drop(Platform::start(small(Some(path.clone()), 0)).await.unwrap());

    std::fs::write(&path, "apiVersion: v1\nkind: Config\n").unwrap();
    let foreign = Platform::start(small(Some(path.clone()), 0)).await.unwrap_err();
    assert!(matches!(foreign, StartError::Foreign(_)), "{foreign}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "apiVersion: v1\nkind: Config\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_holds_nobody_up() {
    let running = Platform::start(small(None, 0)).await.unwrap();
    let client = client(&running).await;
    let watch = Request::builder().uri("/api/v1/configmaps?watch=1").body(Body::empty()).unwrap();
    let mut watch = client.send(watch).await.unwrap().into_body();
    // More than the channel, the connection and the history hold, while nobody reads.
    let text = "x".repeat(8_192);
    let writes = async {
        for part in 0..24 {
            let text = text.clone();
            let write = running.handle.call(move |world, now| {
                if part == 0 {
                    let made = json!({"metadata": {"name": "busy", "namespace": "default"}});
                    world.objects.create(Type::ConfigMap, made, now).unwrap();
                }
                let key = Key::new(Type::ConfigMap, "default", "busy");
                for turn in 0..HISTORY / 20 {
                    let data = json!({"text": text, "turn": format!("{part}/{turn}")});
                    world.objects.modify(&key, now, |value| value["data"] = data).unwrap();
                }
            });
            write.await.unwrap();
        }
    };
    timeout(Duration::from_mins(1), writes).await.unwrap();
    let mut bytes = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = watch.frame().await {
            bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
    };
    timeout(Duration::from_mins(1), read).await.unwrap();
    let last = bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap();
    let last: Value = serde_json::from_slice(last).unwrap();
    assert_eq!((&last["type"], &last["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_requests_are_refused_and_break_nothing() {
    let running = Platform::start(small(None, 0)).await.unwrap();
    let client = client(&running).await;
    let mut rng = Rng::with_seed(3);
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    let words = [
        "api",
        "apis",
        "v1",
        "apps",
        "argoproj.io",
        "v1alpha1",
        "namespaces",
        "tenant-1",
        "default",
        "pods",
        "deployments",
        "applications",
        "nodes",
        "events",
        "checkout",
        "scale",
        "status",
        "log",
        "eviction",
        "metrics.k8s.io",
        "v1beta1",
        "%2e%2e",
        "%zz",
        "%00",
        "openapi",
        "v3",
        "secrets",
        "events.k8s.io",
        "-",
        "selfsubjectaccessreviews",
        "authorization.k8s.io",
    ];
    let paths = [
        "/api/v1/namespaces/default/configmaps",
        "/apis/apps/v1/namespaces/tenant-1/deployments/checkout",
        "/apis/apps/v1/namespaces/tenant-1/deployments/checkout/scale",
        "/apis/apps/v1/namespaces/tenant-1/deployments/checkout/status",
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications",
        "/api/v1/pods",
        "/api/v1/nodes",
        "/apis/events.k8s.io/v1/namespaces/default/events",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        "/apis/policy/v1/namespaces/tenant-1/poddisruptionbudgets",
        "/apis/batch/v1/namespaces/default/jobs",
        "/api/v1/namespaces/default/pods",
        "/api/v1/namespaces/default/services",
        "/apis/karpenter.sh/v1/nodepools",
        "/apis/karpenter.sh/v1/nodepools/spot/scale",
    ];
    let queries = [
        "limit=-1",
        "limit=x",
        "continue=AAAA",
        "continue=%ff",
        "labelSelector=(((",
        "fieldSelector==",
        "watch=1&timeoutSeconds=1",
        "watch=1&resourceVersion=x",
        "resourceVersion=-3",
        "dryRun=Some",
        "sinceSeconds=0",
        "propagationPolicy=Sideways",
        "timeoutSeconds=1&watch=true&sendInitialEvents=true",
        "fieldValidation=Strict",
        "gracePeriodSeconds=-5",
    ];
    let medias = [
        "application/json",
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "text/plain",
        "",
    ];
    let bodies = [
        "",
        "null",
        "[]",
        "{}",
        "1",
        "\"x\"",
        "{",
        "\u{0}",
        "[{\"op\":\"remove\",\"path\":\"/metadata\"}]",
        "[{\"op\":\"replace\",\"path\":\"\",\"value\":5}]",
        "{\"metadata\":5}",
        "{\"metadata\":{\"labels\":[]}}",
        "{\"metadata\":{\"name\":{}}}",
        "{\"metadata\":{\"name\":\"x\"},\"spec\":5}",
        "{\"metadata\":{\"name\":\"x\",\"annotations\":{\"a\":1}}}",
        "{\"spec\":null}",
        "{\"spec\":{\"template\":7,\"selector\":{}}}",
        "{\"spec\":{\"replicas\":-7}}",
        "{\"spec\":{\"replicas\":\"many\"}}",
        "{\"metadata\":null}",
        "{\"status\":[]}",
        "{\"spec\":{\"containers\":[{\"$patch\":\"delete\"}]}}",
        "{\"$patch\":\"replace\"}",
        "{\"$patch\":\"delete\"}",
        "{\"spec\":{\"resourceAttributes\":[]}}",
        "k8s\u{0}\n\u{3}\u{2}",
        "{\"metadata\":{\"name\":\"x\",\"ownerReferences\":[{\"uid\":7}]}}",
        "{\"metadata\":{\"name\":\"x\",\"finalizers\":\"a\"}}",
        "a: [b",
        "{\"metadata\":{\"name\":\"x\"},\"data\":{\"a\":{\"b\":1}}}",
        "{\"kind\":\"Pod\",\"apiVersion\":\"v2\"}",
        "{\"metadata\":{\"generateName\":\"y-\"},\"spec\":{}}",
    ];
    for turn in 0..3_000 {
        let mut path = if rng.bool() {
            (*rng.choice(&paths).unwrap()).to_owned()
        } else {
            (0..rng.usize(1..8)).flat_map(|_| ["/", rng.choice(&words).unwrap()]).collect()
        };
        if rng.bool() {
            path = format!("{path}?{}", rng.choice(&queries).unwrap());
        }
        let method = *rng.choice(&methods).unwrap();
        // Logs and watches without an end are other tests' business.
        let (media, body) = (*rng.choice(&medias).unwrap(), *rng.choice(&bodies).unwrap());
        let request = Request::builder().method(method).uri(&path).header("content-type", media);
        let Ok(request) = request.body(Body::from(body.as_bytes().to_vec())) else { continue };
        let sent = timeout(Duration::from_secs(20), client.send(request)).await;
        let answer =
            sent.unwrap_or_else(|_| panic!("turn {turn}: {method} {path} {media} {body}: no answer"));
        let answer =
            answer.unwrap_or_else(|error| panic!("turn {turn}: {method} {path} {media} {body}: {error}"));
        let code = answer.status().as_u16();
        assert!(code < 500 || code == 504, "turn {turn}: {method} {path} {media} {body}: {code}");
    }
    // The world still turns.
    running.handle.step().await.unwrap();
    let version = Request::builder().uri("/version").body(Body::empty()).unwrap();
    assert_eq!(client.send(version).await.unwrap().status(), 200);
}
