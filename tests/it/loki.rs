//! The embedded Loki as its clients meet it: over HTTP, over a WebSocket, through the API server, and beside a real one.

mod real;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use opsdeck::clock::Clock;
use opsdeck::demo::Platform;
use opsdeck::demo::loki::Loki;
use opsdeck::demo::plain::{self, Plain};
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::world;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_util::task::AbortOnDropHandle;

const PATIENCE: Duration = Duration::from_secs(30);

/// A Loki at an address, asked as one tenant.
pub struct Server {
    /// Host and port.
    pub address: String,
}

impl Server {
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> (StatusCode, String) {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Asks as a tenant; `apart` asks for labels by where they came from.
    pub async fn get(&self, path: &str, pairs: &[(&str, &str)], apart: bool) -> (u16, String) {
        let mut headers = vec![("x-scope-orgid", "platform")];
        if apart {
            headers.push(("x-loki-response-encoding-flags", "categorize-labels"));
        }
        let (status, body) = self.send("GET", &address(path, pairs), &headers, String::new()).await;
        (status.as_u16(), body)
    }

    /// Asks for an answer in JSON.
    pub async fn json(&self, path: &str, pairs: &[(&str, &str)], apart: bool) -> Value {
        let (status, body) = self.get(path, pairs, apart).await;
        assert_eq!(status, 200, "{path} {pairs:?}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Opens a tail.
    async fn tail(
        &self,
        pairs: &[(&str, &str)],
        apart: bool,
    ) -> Result<WebSocketStream<TcpStream>, (u16, String)> {
        let path = address("tail", pairs);
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        request.headers_mut().insert("x-scope-orgid", "platform".parse().unwrap());
        if apart {
            let flags = "categorize-labels".parse().unwrap();
            request.headers_mut().insert("x-loki-response-encoding-flags", flags);
        }
        let stream = TcpStream::connect(&self.address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                Err((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Writes a path of the API with its parameters.
fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        let mut all = String::new();
        for byte in text.bytes() {
            let _ = write!(all, "%{byte:02X}");
        }
        all
    };
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    format!("/loki/api/v1/{path}?{}", pairs.join("&"))
}

/// Returns time, line and labels of all entries, sorted.
pub fn entries(result: &Value) -> Vec<(i64, String, String)> {
    let mut all = Vec::new();
    for stream in result.as_array().unwrap() {
        for value in stream["values"].as_array().unwrap() {
            let labels = format!("{} {}", stream["stream"], value.get(2).unwrap_or(&Value::Null));
            all.push((
                value[0].as_str().unwrap().parse().unwrap(),
                value[1].as_str().unwrap().to_owned(),
                labels,
            ));
        }
    }
    all.sort();
    all
}

pub async fn start(story: &str) -> (Running, Plain, Server) {
    start_with(story, Clock::system(), Duration::from_hours(1)).await
}

async fn start_with(story: &str, clock: Clock, tail: Duration) -> (Running, Plain, Server) {
    opsdeck::install_crypto_provider();
    let world = world::Options {
        tenants: 2,
        pods_per_tenant: 8,
        nodes: 4,
        story: story.to_owned(),
        ..world::Options::default()
    };
    let running =
        Platform::start(Options { world, clock: clock.clone(), ..Options::default() }).await.unwrap();
    let loki = Loki::new(&running.handle, &clock, false).with_tail_duration(tail);
    let plain = plain::listen(Arc::new(loki), 0).await.unwrap();
    let address = plain.url.trim_start_matches("http://").to_owned();
    (running, plain, Server { address })
}

async fn kube_client(running: &Running) -> kube::Client {
    let file = Kubeconfig::read_from(&running.kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

async fn through_the_api_server(client: &kube::Client, path: &str) -> (u16, String) {
    let request = Request::get(path).body(kube::client::Body::empty()).unwrap();
    let answer = client.send(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_asked_for_and_the_gateway_names_one() {
    let (running, _plain, server) = start("quiet").await;
    let (status, body) = server.send("GET", &address("labels", &[]), &[], String::new()).await;
    assert_eq!((status.as_u16(), body.as_str()), (401, "no org id"));
    let several = [("x-scope-orgid", "a|b")];
    let (status, body) = server.send("GET", &address("labels", &[]), &several, String::new()).await;
    assert!(!status.is_success() && body.contains("multiple org IDs"), "{status} {body}");
    assert_eq!(server.send("GET", "/ready", &[], String::new()).await.0, 200);
    let (status, body) = server.get("query_range", &[("query", "{app=")], false).await;
    assert_eq!(status, 400);
    assert_eq!(body, "parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING");
    // A form in the body is as good as an address.
    let form = [("x-scope-orgid", "platform"), ("content-type", "application/x-www-form-urlencoded")];
    let body = "query=%7Bapp%3D%22coredns%22%7D&limit=3".to_owned();
    let (status, body) = server.send("POST", "/loki/api/v1/query_range", &form, body).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(entries(&answer["data"]["result"]).len(), 3);

    let client = kube_client(&running).await;
    let base = "/api/v1/namespaces/monitoring/services";
    let (status, body) =
        through_the_api_server(&client, &format!("{base}/loki-gateway:80/proxy{}", address("labels", &[])))
            .await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"namespace\""), "{body}");
    let (status, body) =
        through_the_api_server(&client, &format!("{base}/loki:3100/proxy{}", address("labels", &[]))).await;
    assert_eq!((status, body.as_str()), (401, "no org id"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_those_that_kubectl_shows() {
    let (running, _plain, server) = start("bad-deploy").await;
    let client = kube_client(&running).await;
    for (namespace, prefix) in [
        ("tenant-2", "checkout-"),
        ("ingress-nginx", "ingress-nginx-controller-"),
        ("kube-system", "coredns-"),
    ] {
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let (_, pods) = through_the_api_server(&client, &pods).await;
        let pods: Value = serde_json::from_str(&pods).unwrap();
        let running = |pod: &&Value| {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let state = &pod["status"]["containerStatuses"][0];
            name.starts_with(prefix) && state["restartCount"] == 0 && state["ready"] == true
        };
        let pod = pods["items"].as_array().unwrap().iter().find(running).unwrap();
        let name = pod["metadata"]["name"].as_str().unwrap();
        let container = pod["spec"]["containers"][0]["name"].as_str().unwrap();
        let path = format!(
            "/api/v1/namespaces/{namespace}/pods/{name}/log?container={container}&timestamps=true&tailLines=200"
        );
        let (_, log) = through_the_api_server(&client, &path).await;
        let shown: Vec<(i64, String)> = log
            .lines()
            .map(|line| {
                let (at, text) = line.split_once(' ').unwrap();
                let at: jiff::Timestamp = at.parse().unwrap();
                (i64::try_from(at.as_nanosecond()).unwrap(), text.to_owned())
            })
            .collect();
        // A carriage return or a form feed within a line is none of `lines`' business, so only whole lines are compared.
        let (start, end) = (shown[0].0.to_string(), (shown[shown.len() - 1].0 + 1).to_string());
        let query = format!("{{namespace=\"{namespace}\", pod=\"{name}\", container=\"{container}\"}}");
        let pairs = [("query", query.as_str()), ("start", &start), ("end", &end), ("limit", "5000")];
        let answer = server.json("query_range", &pairs, true).await;
        let mut found: Vec<(i64, String)> =
            entries(&answer["data"]["result"]).into_iter().map(|(at, line, _)| (at, line)).collect();
        let mut shown: Vec<(i64, String)> = shown.into_iter().collect();
        found.sort();
        shown.sort();
        assert_eq!(found, shown, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_deploy_shows_in_the_logs_of_its_pods_and_of_the_ingress() {
    let (_running, _plain, server) = start("bad-deploy").await;
    let number = |answer: Value| -> f64 {
        let value = &answer["data"]["result"][0]["value"][1];
        value.as_str().map_or(0.0, |text| text.parse().unwrap())
    };
    let errors = r#"sum(count_over_time({namespace="tenant-2", app="checkout"} | detected_level=~"error|fatal" [10m]))"#;
    let now = number(server.json("query", &[("query", errors)], false).await);
    let hour_ago = (jiff::Timestamp::now().as_second() - 3_600).to_string();
    let before = number(server.json("query", &[("query", errors), ("time", &hour_ago)], false).await);
    assert!(now > 5.0 * before.max(1.0), "{now} errors now, {before} an hour ago");
    let failed = r#"sum(count_over_time({namespace="ingress-nginx"} |= "tenant-2-checkout-http" | pattern `<_> "<_>" <status> <_>` | status=~"5.." [10m]))"#;
    let now = number(server.json("query", &[("query", failed)], false).await);
    let before = number(server.json("query", &[("query", failed), ("time", &hour_ago)], false).await);
    assert!(now >= 10.0 && now > 5.0 * before, "{now} requests failed now, {before} an hour ago");
    // Every run of the crash loop is there, not only the last two.
    let ends = r#"{namespace="tenant-2", app="checkout"} |= "exiting with code 1""#;
    let ends = server.json("query_range", &[("query", ends), ("limit", "1000")], true).await;
    assert!(entries(&ends["data"]["result"]).len() > 4, "{ends}");
}

/// Reads frames until `enough` says so; returns them.
async fn frames(
    socket: &mut WebSocketStream<TcpStream>,
    mut enough: impl FnMut(&[Value]) -> bool,
) -> (Vec<Value>, usize) {
    let mut all = Vec::new();
    let mut pings = 0;
    while !enough(&all) {
        match timeout(PATIENCE, socket.next()).await.expect("a frame in time").unwrap().unwrap() {
            Message::Text(text) => all.push(serde_json::from_str(&text).unwrap()),
            Message::Ping(_) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    (all, pings)
}

async fn closed(socket: &mut WebSocketStream<TcpStream>) -> (u16, String) {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("a close in time").unwrap().unwrap() {
            Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
            Message::Close(None) => panic!("closed without a reason"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_begins_with_what_was_and_goes_on_without_a_gap() {
    let (_running, _plain, server) = start("quiet").await;
    let query = r#"{namespace=~"ingress-nginx|kube-system"}"#;
    let start = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap() - 60_000_000_000;
    let (text, limit) = (start.to_string(), "5000");
    let mut socket =
        server.tail(&[("query", query), ("start", &text), ("limit", limit)], true).await.unwrap();
    let begun = std::time::Instant::now();
    let (frames, pings) = frames(&mut socket, |_| begun.elapsed() > Duration::from_secs(4)).await;
    assert!(pings >= 2, "{pings} pings in four seconds");
    let sizes: Vec<usize> = frames.iter().map(|frame| entries(&frame["streams"]).len()).collect();
    assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
    assert!(frames.iter().all(|frame| frame["encodingFlags"] == json!(["categorize-labels"])));
    let mut heard: Vec<_> = frames.iter().flat_map(|frame| entries(&frame["streams"])).collect();
    heard.sort();
    let last = heard.last().unwrap().0;
    assert!(last > start + 61_000_000_000, "nothing came after the beginning");
    // The same window, asked for in one piece; the last moment may still have been under way.
    let until = (last - 1_000_000_000).to_string();
    let pairs = [("query", query), ("start", &text), ("end", &until), ("limit", limit)];
    let whole = entries(&server.json("query_range", &pairs, true).await["data"]["result"]);
    let heard: Vec<_> = heard.into_iter().filter(|entry| entry.0 < last - 1_000_000_000).collect();
    assert_eq!(heard.len(), whole.len());
    assert_eq!(heard, whole);
    socket.close(None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_without_the_flag_merges_metadata_only_into_what_was() {
    let (_running, _plain, server) = start("quiet").await;
    let query = [("query", r#"{namespace="ingress-nginx"}"#), ("limit", "5")];
    let mut socket = server.tail(&query, false).await.unwrap();
    let (frames, _) = frames(&mut socket, |frames| frames.len() > 2).await;
    let named = |frame: &Value| frame["streams"][0]["stream"]["detected_level"].is_string();
    assert!(named(&frames[0]), "{}", frames[0]);
    assert!(!named(&frames[2]), "{}", frames[2]);
    assert!(frames[0]["encodingFlags"].is_null());
    assert_eq!(frames[2]["streams"][0]["values"][0].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_cannot_be_is_refused_before_or_after_the_switch() {
    let (_running, _plain, server) = start_with("quiet", Clock::system(), Duration::from_secs(1)).await;
    let log = ("query", r#"{namespace="ingress-nginx"}"#);
    let refused = server.tail(&[log, ("delay_for", "6")], true).await.unwrap_err();
    assert_eq!(refused.0, 400);
    let refused = server.tail(&[("query", "{app=~\".*\"}")], true).await.unwrap_err();
    assert_eq!(refused.0, 400);
    let metric = ("query", r#"rate({namespace="ingress-nginx"}[1m])"#);
    let mut socket = server.tail(&[metric], true).await.unwrap();
    assert_eq!(closed(&mut socket).await, (1011, "only log selector is supported".to_owned()));
    // The time limit of this server is a second.
    let mut socket = server.tail(&[log], true).await.unwrap();
    assert_eq!(closed(&mut socket).await, (1011, "reached tail max duration limit".to_owned()));
    // Places are given back.
    for _ in 0..12 {
        let mut socket = server.tail(&[log], true).await.unwrap();
        let (first, _) = frames(&mut socket, |frames| !frames.is_empty()).await;
        assert_eq!(first.len(), 1);
        socket.send(Message::Close(None)).await.unwrap();
        while let Some(Ok(_)) = timeout(PATIENCE, socket.next()).await.unwrap() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_goes_through_the_api_server() {
    let (running, _plain, _server) = start("quiet").await;
    let client = kube_client(&running).await;
    let path = format!(
        "/api/v1/namespaces/monitoring/services/loki-gateway:80/proxy{}",
        address("tail", &[("query", r#"{namespace="ingress-nginx"}"#), ("limit", "3")])
    );
    let request = Request::get(path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .version(http::Version::HTTP_11)
        .body(kube::client::Body::empty())
        .unwrap();
    let mut answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), 101);
    // The example of RFC 6455, section 1.3.
    assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let upgraded = hyper::upgrade::on(&mut answer).await.unwrap();
    let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), role, None).await;
    let text = loop {
        if let Message::Text(text) = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            break text;
        }
    };
    let frame: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(entries(&frame["streams"]).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_told_what_it_missed() {
    // Time that runs a hundred times faster makes more lines than a sleeping client's buffers hold.
    let clock = Clock::manual(jiff::Timestamp::now());
    let (_running, _plain, server) = start_with("quiet", clock.clone(), Duration::from_hours(1)).await;
    let mut socket = server.tail(&[("query", r#"{namespace=~".+"}"#), ("limit", "1")], true).await.unwrap();
    let (done, ready) = tokio::sync::oneshot::channel();
    let _hurry = AbortOnDropHandle::new(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..160 {
            ticks.tick().await;
            clock.advance(Duration::from_secs(20));
        }
        done.send(()).unwrap();
        // What was missed is told with what comes next.
        loop {
            ticks.tick().await;
            clock.advance(Duration::from_secs(1));
        }
    }));
    // Nothing is read until the time has run, and then everything.
    ready.await.unwrap();
    let missed = |frames: &[Value]| frames.iter().any(|frame| frame["dropped_entries"].is_array());
    let (frames, _) = frames(&mut socket, missed).await;
    let dropped = &frames.last().unwrap()["dropped_entries"];
    assert!(
        dropped[0]["timestamp"].is_string() && dropped[0]["labels"]["namespace"].is_string(),
        "{dropped}"
    );
    assert!(dropped.as_array().unwrap().len() <= 1_000);
}
