//! The Alertmanager of the embedded platform beside a real one, and with the programs that real ones are used with.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use opsdeck::clock::Clock;
use opsdeck::demo::alertmanager::wire::Front;
use opsdeck::demo::alertmanager::{self, Alertmanager};
use opsdeck::demo::owner::Owner;
use opsdeck::demo::plain::{self, Plain};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::cluster::{Cluster, missing};

const PATIENCE: Duration = Duration::from_secs(30);

/// The routes and rules of the platform, with receivers that the real program takes without an integration.
const CONFIG: &str = r#"
route:
  receiver: teams-platform
  group_by: [namespace, alertname]
  routes:
    - receiver: "null"
      matchers: ['alertname =~ "Watchdog|InfoInhibitor"']
    - receiver: pagerduty-oncall
      matchers: ['severity = "critical"']
      continue: true
    - receiver: slack-tenants
      matchers: ['namespace =~ "tenant-.+"']
      group_by: [namespace]
    - receiver: everything
      match: {team: storage}
      group_by: ['...']
    - receiver: teams-platform
receivers: [{name: "null"}, {name: teams-platform}, {name: pagerduty-oncall}, {name: slack-tenants}, {name: everything}]
inhibit_rules:
  - source_matchers: ['severity = "critical"']
    target_matchers: ['severity =~ "warning|info"']
    equal: [namespace, alertname]
  - source_matchers: ['alertname = "InfoInhibitor"']
    target_matchers: ['severity = "info"']
    equal: [namespace]
"#;

/// Asks a plain HTTP server.
async fn ask(url: &str, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
    let address = url.strip_prefix("http://").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let mut request = Request::builder().method(method).uri(path).header("host", address);
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body = Full::new(Bytes::from(body.unwrap_or_default().to_owned()));
    let answer = timeout(PATIENCE, sender.send_request(request.body(body).unwrap())).await.unwrap().unwrap();
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    drop(connection);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (code, serde_json::from_str(text.trim()).unwrap_or(Value::String(text)))
}

/// Ours on a port, on the wall's clock as the real one is.
async fn ours(config: &str) -> Plain {
    let clock = Clock::system();
    let state = Alertmanager::new(config, Rng::with_seed(1), clock.now()).unwrap();
    let peers =
        Arc::new(|| -> futures::future::BoxFuture<'static, Vec<_>> { Box::pin(async { Vec::new() }) });
    plain::listen(Arc::new(Front::new(Owner::start(state), clock, peers)), 0).await.unwrap()
}

/// A real one; it ends with this value.
struct Real {
    url: String,
    _home: tempfile::TempDir,
    _child: Child,
}

async fn real(config: &str) -> Real {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("alertmanager.yml"), config).unwrap();
    let mut child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", home.path().join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", home.path().join("data").display()))
        .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it ended");
            if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                return format!("http://{}", address.trim());
            }
        }
    };
    let url = timeout(PATIENCE, listening).await.unwrap();
    // Its pipe stays open: it writes on while it runs.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let real = Real { url, _home: home, _child: child };
    let ready = async { while ask(&real.url, "GET", "/-/ready", None).await.0 != 200 {} };
    timeout(PATIENCE, ready).await.unwrap();
    real
}

/// Both, asked the same.
struct Both {
    ours: Plain,
    real: Real,
    /// Identities of silences as both call them, in the order of creation.
    silences: Vec<(String, String)>,
}

impl Both {
    /// Asks both and returns what they answered, with what differs by nature taken out. `#N` stands for the N-th silence.
    async fn answers(&mut self, method: &str, path: &str, body: Option<&Value>) -> [(u16, Value); 2] {
        let mut answers = Vec::new();
        for (side, url) in [(0, self.ours.url.clone()), (1, self.real.url.clone())] {
            let named = |text: &str| {
                self.silences.iter().enumerate().fold(text.to_owned(), |text, (at, ids)| {
                    text.replace(&format!("#{at}"), if side == 0 { &ids.0 } else { &ids.1 })
                })
            };
            let body = body.map(|body| named(&body.to_string()));
            answers.push(ask(&url, method, &named(path), body.as_deref()).await);
        }
        if let (Some(one), Some(other)) =
            (answers[0].1["silenceID"].as_str(), answers[1].1["silenceID"].as_str())
            && !self.silences.iter().any(|(known, _)| known == one)
        {
            self.silences.push((one.to_owned(), other.to_owned()));
        }
        let plain = |side: usize, (code, value): &(u16, Value)| {
            let mut text = value.to_string();
            for (at, ids) in self.silences.iter().enumerate() {
                text = text.replace(if side == 0 { &ids.0 } else { &ids.1 }, &format!("#{at}"));
            }
            let mut value: Value = serde_json::from_str(&text).unwrap();
            level(&mut value);
            (*code, value)
        };
        [plain(0, &answers[0]), plain(1, &answers[1])]
    }

    #[track_caller]
    fn same(
        &mut self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> impl Future<Output = (u16, Value)> {
        let caller = std::panic::Location::caller();
        let path = path.to_owned();
        async move {
            let [ours, real] = self.answers(method, &path, body.as_ref()).await;
            assert_eq!(ours, real, "{caller}: {method} {path} (left: ours, right: the real one)");
            ours
        }
    }
}

/// Takes out what cannot be the same: moments of the request, and what only one of the versions says.
fn level(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // Alertmanager 0.26 and later.
            fields.remove("mutedBy");
            fields.remove("routeLabels");
            for (name, field) in fields.iter_mut() {
                let recent = name == "updatedAt"
                    || (matches!(name.as_str(), "startsAt" | "endsAt")
                        && field.as_str().is_some_and(|at| !at.ends_with("00:00.000Z")));
                if recent {
                    *field = json!("about now");
                } else if name == "silencedBy" {
                    // Identities are random, and so is their order.
                    field.as_array_mut().unwrap().sort_by_key(ToString::to_string);
                } else {
                    level(field);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(level),
        // Reworded since 0.25.
        Value::String(text) => {
            *text = text
                .replace("invalid silence: matcher set 0: ", "silence invalid: ")
                .replace(
                    "invalid silence: invalid label matcher 0 in set 0",
                    "silence invalid: invalid label matcher 0",
                )
                // In the order of a hash table.
                .replace("[GET,POST]", "[POST,GET]")
                .replace("; ", "\n");
        }
        _ => {}
    }
}

fn alert(labels: Value, extra: Value) -> Value {
    let mut alert = json!({"labels": labels, "annotations": {"summary": "s"}, "generatorURL": "http://p/graph?g0.expr=up"});
    for (name, value) in extra.as_object().unwrap() {
        alert[name] = value.clone();
    }
    alert
}

fn silence(matchers: Value, extra: Value) -> Value {
    let mut silence = json!({
        "matchers": matchers, "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "alice", "comment": "INC-42",
    });
    for (name, value) in extra.as_object().unwrap() {
        silence[name] = value.clone();
    }
    silence
}

fn matcher(name: &str, value: &str, regex: bool, equal: bool) -> Value {
    json!({"name": name, "value": value, "isRegex": regex, "isEqual": equal})
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_as_a_real_alertmanager_does() {
    if missing("prometheus-alertmanager") {
        return;
    }
    let mut both = Both { ours: ours(CONFIG).await, real: real(CONFIG).await, silences: Vec::new() };
    both.same("GET", "/-/healthy", None).await;
    both.same("GET", "/api/v2/alerts", None).await;
    assert_eq!(both.same("GET", "/api/v2/receivers", None).await.1[1]["name"], "teams-platform");

    let ends = json!({"startsAt": "2024-05-01T10:00:00Z", "endsAt": "2099-01-01T00:00:00Z"});
    let posted = json!([
        alert(json!({"alertname": "Watchdog", "severity": "none"}), ends.clone()),
        alert(
            json!({"alertname": "HighErrorRate", "severity": "critical", "namespace": "tenant-2", "job": "a", "instance": "2"}),
            ends.clone()
        ),
        alert(
            json!({"alertname": "HighErrorRate", "severity": "warning", "namespace": "tenant-2", "job": "a", "instance": "1"}),
            ends.clone()
        ),
        alert(
            json!({"alertname": "HighErrorRate", "severity": "warning", "namespace": "tenant-3"}),
            ends.clone()
        ),
        alert(json!({"alertname": "InfoInhibitor", "namespace": "tenant-1"}), ends.clone()),
        alert(
            json!({"alertname": "CPUThrottlingHigh", "severity": "info", "namespace": "tenant-1", "empty": ""}),
            ends.clone()
        ),
        alert(json!({"alertname": "DiskFull", "team": "storage", "node": "n1"}), json!({})),
        alert(
            json!({"alertname": "DiskFull", "team": "storage", "node": "n2"}),
            json!({"startsAt": "2024-05-01T10:00:00Z"})
        ),
        // Over before it came.
        alert(
            json!({"alertname": "Gone"}),
            json!({"startsAt": "2024-05-01T10:00:00Z", "endsAt": "2024-05-01T11:00:00Z"})
        ),
    ]);
    assert_eq!(both.same("POST", "/api/v2/alerts", Some(posted)).await.0, 200);
    // The real one inhibits a moment after it took the alerts in.
    let settled = async {
        loop {
            let [ours, real] = both.answers("GET", "/api/v2/alerts", None).await;
            if ours == real {
                return ours;
            }
        }
    };
    let (_, alerts) = timeout(PATIENCE, settled).await.expect("both show the same in the end");
    assert_eq!(alerts.as_array().unwrap().len(), 8);
    let (_, groups) = both.same("GET", "/api/v2/alerts/groups", None).await;
    assert!(groups.as_array().unwrap().len() > 6, "{groups}");

    let silenced = silence(
        json!([
            matcher("namespace", "tenant-(2|3)", true, true),
            matcher("severity", "critical", false, false)
        ]),
        json!({}),
    );
    assert_eq!(both.same("POST", "/api/v2/silences", Some(silenced)).await.1["silenceID"], "#0");
    let later = silence(
        json!([matcher("alertname", "Disk.*", true, true)]),
        json!({"startsAt": "2098-01-01T00:00:00Z"}),
    );
    both.same("POST", "/api/v2/silences", Some(later)).await;
    for path in ["alerts", "alerts/groups"] {
        for query in [
            "",
            "?silenced=false",
            "?active=false",
            "?inhibited=false",
            "?active=false&silenced=false",
            "?active=nonsense",
            "?receiver=slack.*",
            "?receiver=slack",
            "?receiver=teams-platform%7Cpagerduty-oncall",
            "?receiver=%5B",
        ] {
            both.same("GET", &format!("/api/v2/{path}{query}"), None).await;
        }
        for filter in [
            "alertname=HighErrorRate",
            "alertname=\"HighErrorRate\"",
            "namespace=~tenant-2|tenant-1",
            "namespace=~tenant",
            "severity!=critical",
            "severity!~\"c.*|w.*\"",
            "job=\"\"",
            "job!=\"\"",
            "node=~n.",
            "foo",
            "a=~[",
            "a=~x**",
            "a=\"b",
            "alertname=\"Disk",
            "a=b\"c",
        ] {
            both.same("GET", &format!("/api/v2/{path}?filter={}", encoded(filter)), None).await;
        }
        let two = format!(
            "/api/v2/{path}?filter={}&filter={}",
            encoded("severity=warning"),
            encoded("namespace=tenant-3")
        );
        both.same("GET", &two, None).await;
    }
    for filter in [
        "namespace=~tenant-(2|3)",
        "namespace=~\"tenant-(2|3)\"",
        "severity!=critical",
        "namespace=tenant-2",
        "x",
    ] {
        both.same("GET", &format!("/api/v2/silences?filter={}", encoded(filter)), None).await;
    }

    // A change of the comment and the end stays the same silence; one of the matchers ends it and begins another.
    let (_, first) = both.same("GET", "/api/v2/silence/#0", None).await;
    assert_eq!(first["status"]["state"], "active");
    for (extra, id) in [
        (json!({"id": "#0", "comment": "INC-43", "endsAt": "2098-06-01T00:00:00Z"}), "#2"),
        (json!({"id": "#1", "startsAt": "2098-02-01T00:00:00Z"}), "#3"),
    ] {
        // What began long ago does not begin when the first one did: a new one. So do other matchers.
        let wanted = silence(json!([matcher("namespace", "tenant-(2|3)", true, true)]), extra);
        assert_eq!(both.same("POST", "/api/v2/silences", Some(wanted)).await.1["silenceID"], id);
    }
    let mut kept = silence(
        json!([matcher("namespace", "tenant-(2|3)", true, true)]),
        json!({"id": "#3", "startsAt": "2098-03-01T00:00:00Z"}),
    );
    assert_eq!(both.same("POST", "/api/v2/silences", Some(kept.clone())).await.1["silenceID"], "#3");
    kept["endsAt"] = json!("2097-01-01T00:00:00Z");
    both.same("POST", "/api/v2/silences", Some(kept)).await;
    both.same("GET", "/api/v2/silences", None).await;
    for _ in 0..2 {
        assert_eq!(both.same("DELETE", "/api/v2/silence/#2", None).await.0, 200);
        assert_eq!(both.same("DELETE", "/api/v2/silence/#3", None).await.0, 200);
    }
    let (_, ended) = both.same("GET", "/api/v2/silences", None).await;
    assert!(
        ended.as_array().unwrap().iter().all(|silence| silence["status"]["state"] == "expired"),
        "{ended}"
    );
    both.same("GET", "/api/v2/alerts", None).await;

    // What is over is gone.
    let over = json!([alert(
        json!({"alertname": "DiskFull", "team": "storage", "node": "n2"}),
        json!({"endsAt": "2024-05-01T11:00:00Z"})
    )]);
    both.same("POST", "/api/v2/alerts", Some(over)).await;
    let (_, left) = both.same("GET", "/api/v2/alerts?filter=node%3Dn2", None).await;
    assert_eq!(left, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_refuses_as_a_real_alertmanager_does() {
    if missing("prometheus-alertmanager") {
        return;
    }
    let mut both = Both { ours: ours(CONFIG).await, real: real(CONFIG).await, silences: Vec::new() };
    let ok = || json!([matcher("a", "b", false, true)]);
    for body in [
        json!({}),
        json!({"comment": "c"}),
        json!({"comment": "c", "createdBy": "x"}),
        json!({"comment": "c", "createdBy": "x", "endsAt": "2099-01-01T00:00:00Z", "startsAt": "2024-01-01T00:00:00Z"}),
        json!({"comment": "c", "createdBy": "x", "endsAt": "2099-01-01T00:00:00Z", "matchers": ok()}),
        silence(json!([]), json!({})),
        silence(json!([{"name": "a", "value": "b"}]), json!({})),
        silence(json!([matcher("", "b", false, true)]), json!({})),
        silence(json!([matcher("a", "", false, true)]), json!({})),
        silence(json!([matcher("a", ".*", true, true)]), json!({})),
        silence(json!([matcher("a", "[", true, true)]), json!({})),
        silence(ok(), json!({"endsAt": "2020-01-01T00:00:00Z"})),
        silence(ok(), json!({"endsAt": "2021-01-01T00:00:00Z"})),
        silence(ok(), json!({"id": "1d5b3b0e-3f42-4d15-8a4c-0f8f2b7c1a11"})),
    ] {
        let (code, _) = both.same("POST", "/api/v2/silences", Some(body)).await;
        assert!(code >= 400);
    }
    for body in [
        json!([{}]),
        json!([{"labels": {}}]),
        json!([{"labels": {"a": ""}}]),
        json!([alert(json!({"a": "b"}), json!({"startsAt": "2024-01-02T00:00:00Z", "endsAt": "2024-01-01T00:00:00Z"})), {"labels": {"a": ""}}]),
        json!([{"labels": {"a": "b"}, "startsAt": "x"}]),
    ] {
        let (code, _) = both.same("POST", "/api/v2/alerts", Some(body)).await;
        assert!(code >= 400);
    }
    for (method, path) in [
        ("GET", "/api/v2/nope"),
        ("PUT", "/api/v2/alerts"),
        ("DELETE", "/api/v2/silences"),
        ("POST", "/api/v2/status"),
        ("GET", "/api/v2/silence/nope"),
        ("GET", "/api/v2/silence/1d5b3b0e-3f42-4d15-8a4c-0f8f2b7c1a11"),
        ("GET", "/nope"),
    ] {
        both.same(method, path, None).await;
    }
}

/// Runs amtool, which must succeed, and returns what it printed.
#[track_caller]
fn amtool(url: &str, args: &[&str]) -> impl Future<Output = String> + use<> {
    let caller = std::panic::Location::caller();
    let mut command = Command::new("amtool");
    command
        .arg("--alertmanager.url")
        .arg(url)
        .arg("--no-version-check")
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let words = args.join(" ");
    async move {
        let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{caller}: amtool {words}\n{out}\n{err}");
        out.into_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amtool_works_with_it() {
    if missing("amtool") {
        return;
    }
    let ours = ours(CONFIG).await;
    let url = &ours.url;
    let add = [
        "alert",
        "add",
        "alertname=HighErrorRate",
        "severity=critical",
        "namespace=tenant-2",
        "--annotation=summary=many errors",
    ];
    amtool(url, &add).await;
    amtool(url, &["alert", "add", "alertname=HighErrorRate", "severity=warning", "namespace=tenant-2"]).await;
    let told = amtool(url, &["alert", "query", "severity=critical"]).await;
    assert!(
        told.contains("HighErrorRate") && told.contains("many errors") && told.contains("active"),
        "{told}"
    );
    // Inhibited ones are not shown without being asked for.
    assert!(!amtool(url, &["alert", "query", "severity=warning"]).await.contains("HighErrorRate"));
    assert!(amtool(url, &["alert", "query", "-i", "severity=warning"]).await.contains("suppressed"));
    let id = amtool(
        url,
        &[
            "silence",
            "add",
            "alertname=~High.*",
            "namespace=tenant-2",
            "--author=alice",
            "--comment=INC-42",
            "--duration=1h",
        ],
    )
    .await;
    let id = id.trim();
    let listed = amtool(url, &["silence", "query"]).await;
    assert!(
        listed.contains(id) && listed.contains("alertname=~\"High.*\"") && listed.contains("alice"),
        "{listed}"
    );
    assert!(amtool(url, &["alert", "query", "-s"]).await.contains("suppressed"));
    amtool(url, &["silence", "update", id, "--duration=2h"]).await;
    assert_eq!(amtool(url, &["silence", "query", "-q"]).await.trim(), id, "only the end changed");
    amtool(url, &["silence", "expire", id]).await;
    assert!(amtool(url, &["silence", "query", "--expired", "-q"]).await.contains(id));
    let routes = amtool(url, &["config", "routes", "test", "severity=critical", "namespace=tenant-2"]).await;
    assert_eq!(routes.trim(), "pagerduty-oncall,slack-tenants", "it read the configuration from the status");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_reaches_both_replicas_through_the_proxy() {
    if missing("kubectl") {
        return;
    }
    let cluster = Cluster::start().await;
    let root = "/api/v1/namespaces/monitoring";
    let service = format!("{root}/services/kube-prometheus-stack-alertmanager:9093/proxy/api/v2");
    let get = async |path: String| -> Value {
        serde_json::from_str(&cluster.ok(&["get", "--raw", &path]).await).unwrap()
    };
    let status = get(format!("{service}/status")).await;
    assert_eq!(
        (&status["cluster"]["status"], &status["versionInfo"]["version"]),
        (&json!("ready"), &json!("0.34.0"))
    );
    assert_eq!(status["cluster"]["peers"].as_array().unwrap().len(), 2, "{status}");
    assert_eq!(status["config"]["original"], alertmanager::CONFIG);
    let posted = alertmanager::alerts::Posted {
        labels: [("alertname".to_owned(), "Watchdog".to_owned())].into(),
        ..alertmanager::alerts::Posted::default()
    };
    let received = cluster.running.handle.call(|_, now| now).await.unwrap();
    cluster
        .running
        .alertmanager
        .call(move |state| state.receive(vec![posted], received))
        .await
        .unwrap()
        .unwrap();
    let pods = get(format!("{root}/pods?labelSelector=app.kubernetes.io%2Fname%3Dalertmanager")).await;
    for pod in pods["items"].as_array().unwrap() {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let alerts =
            get(format!("{root}/pods/{name}:9093/proxy/api/v2/alerts?filter=alertname%3DWatchdog")).await;
        assert_eq!(alerts[0]["receivers"], json!([{"name": "null"}]), "{name}");
    }
    let said = cluster.fails(&["get", "--raw", &format!("{service}/alerts?filter=x")]).await;
    // kubectl does not tell words that are no `Status`.
    assert!(said.contains("(BadRequest)"), "{said}");
}
