//! The commands of the signals as a person or a script runs them: what they print, write down, and end with.

use std::time::Duration;

use opsdeck::demo::alertmanager::alerts::Posted;
use opsdeck::demo::cloudwatch::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use opsdeck::demo::credentials::RESTRICTED_CONTEXT;
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::{Platform, world};
use serde_json::Value;

use crate::contract::front::{Fault, Front};
use crate::contract::{LOGIN, says};

/// A platform, a proxy in front of it, and a folder for what the program keeps.
struct Shell {
    platform: Running,
    front: Front,
    folder: tempfile::TempDir,
}

/// What a command printed and ended with.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Both streams: a plan goes to one, a refusal to the other.
    #[track_caller]
    fn has(&self, words: &[&str]) {
        for words in words {
            assert!(self.out.contains(words) || self.err.contains(words), "{words:?} is not in {self:#?}");
        }
    }
}

impl Shell {
    async fn start() -> Self {
        opsdeck::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let world = world::Options {
            tenants: 2,
            pods_per_tenant: 3,
            nodes: 2,
            alive: false,
            ..world::Options::default()
        };
        let kubeconfig = Some(folder.path().join("platform"));
        let options = Options { world, pace: None, kubeconfig, ..Options::default() };
        let platform = Platform::start(options).await.unwrap();
        let front = Front::start(&platform.url).await;
        let text = std::fs::read_to_string(&platform.kubeconfig).unwrap();
        std::fs::write(folder.path().join("config"), text.replace(&platform.url, &front.url)).unwrap();
        let shell = Self { platform, front, folder };
        shell.configure("");
        shell
    }

    /// Writes the configuration; without more, nothing is protected.
    fn configure(&self, more: &str) {
        let text = format!("[contexts.\"*\"]\nenvironment = \"dev\"\n{more}");
        std::fs::write(self.folder.path().join("config.toml"), text).unwrap();
    }

    async fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Said {
        let output = crate::program::opsdeck()
            .args(args)
            .env("KUBECONFIG", self.folder.path().join("config"))
            .env("OPSDECK_STATE_DIR", self.folder.path())
            .env("OPSDECK_CONFIG_DIR", self.folder.path())
            .env("HOME", self.folder.path())
            // A backtrace of a debug build takes a second, and nobody looks at it.
            .env("RUST_BACKTRACE", "0")
            .envs(variables.iter().copied())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_mins(1), output).await.unwrap().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, &[]).await
    }

    /// Posts an alert as Prometheus would.
    async fn fire(&self, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let posted = Posted { labels, ..Posted::default() };
        let now = self.platform.handle.call(|_, now| now).await.unwrap();
        let received = self.platform.alertmanager.call(move |state| state.receive(vec![posted], now)).await;
        received.unwrap().unwrap();
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_printed_filtered_and_told_from_none() {
    let shell = Shell::start().await;
    shell.fire(&[("alertname", "HighErrorRate"), ("severity", "critical"), ("namespace", "tenant-1")]).await;
    shell.fire(&[("alertname", "DiskFull"), ("severity", "warning"), ("namespace", "tenant-2")]).await;
    let all = shell.run(&["alerts"]).await.ends(0);
    all.has(&["HighErrorRate", "DiskFull", "critical", "tenant-2"]);
    let some = shell.run(&["alerts", "--filter", "severity=critical", "-o", "json"]).await.ends(0);
    some.json();
    assert!(some.out.contains("HighErrorRate") && !some.out.contains("DiskFull"), "{some:?}");
    shell.run(&["alerts", "--filter", "colour=red"]).await.ends(2).has(&["--filter"]);

    // Prometheus's own alerts are still there, and what is not is said.
    shell.front.fail("/proxy/api/v2/", &says(503, "text/plain", "starting"));
    let part = shell.run(&["alerts"]).await.ends(0);
    assert!(part.out.contains("Kube") && !part.out.contains("DiskFull"), "{part:?}");
    assert!(part.err.contains("not shown: Alertmanager cannot be reached at"), "{part:?}");
    shell.run(&["silence", "list"]).await.ends(1).has(&["Alertmanager cannot be reached at", "starting"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silences_are_planned_made_extended_and_ended_with_an_audit() {
    let shell = Shell::start().await;
    shell.fire(&[("alertname", "HighErrorRate"), ("severity", "critical"), ("namespace", "tenant-1")]).await;
    for number in 0..6 {
        shell.fire(&[("alertname", "Other"), ("namespace", "tenant-2"), ("n", &number.to_string())]).await;
    }
    let add = ["silence", "add", "namespace=tenant-1", "--for", "30m"];
    let with = |more: &[&'static str]| -> Vec<&'static str> { add.iter().chain(more).copied().collect() };

    // Nothing of this writes anything.
    shell.run(&with(&["--plan"])).await.ends(0).has(&["HighErrorRate", "amtool silence add", "reason"]);
    let plan = shell.run(&with(&["--plan", "-o", "json"])).await.ends(0).json();
    assert_eq!(plan["can_run"], true);
    shell.run(&with(&[])).await.ends(3).has(&["--yes"]);
    shell.run(&with(&["--yes"])).await.ends(3).has(&["a reason must be given"]);
    shell.run(&with(&["--yes", "--reason", "INC-1", "--readonly"])).await.ends(3).has(&["read-only"]);
    let wide = ["silence", "add", "alertname=~.+", "--for", "1h", "--yes", "--reason", "quiet please"];
    shell.run(&wide).await.ends(3).has(&["more than 50 %", "Silence alertname=~\".+\" in"]);
    shell.run(&["silence", "add", "nonsense", "--for", "1h"]).await.ends(2);
    shell.run(&["silence", "add", "a=b", "--for", "soon"]).await.ends(2).has(&["30m, 2h or 1d"]);
    shell.run(&["silence", "add", "a=b"]).await.ends(2).has(&["--for"]);
    shell
        .run(&["silence", "expire", "no-such-id", "--yes", "--reason", "x"])
        .await
        .ends(1)
        .has(&["no-such-id"]);
    let none = shell.run(&["silence", "list", "-o", "json"]).await.ends(0);
    assert!(!none.out.contains("tenant-1"), "{none:?}");
    let begun = shell.audit().iter().filter(|line| line.to_string().contains("\"refused\"")).count();
    assert!(shell.audit().len() <= begun * 2, "something was written: {:#?}", shell.audit());

    let before = shell.audit().len();
    let made = with(&["--yes", "--reason", "INC-42", "--wait", "-o", "json"]);
    let made = shell.run(&made).await.ends(0);
    assert!(made.out.contains("verified") || made.out.contains("kept quiet"), "{made:?}");
    let listed = shell.run(&["silence", "list", "-o", "json"]).await.ends(0);
    listed.has(&["tenant-1", "INC-42"]);
    let records = shell.audit();
    assert_eq!(records.len(), before + 2, "one record before and one after: {records:#?}");
    for record in &records[before..] {
        let text = record.to_string();
        assert!(text.contains("silence"), "{text}");
    }
    assert!(records[before].to_string().contains("INC-42"));
    shell.run(&["audit", "verify"]).await.ends(0);
    assert!(shell.run(&["alerts"]).await.ends(0).out.contains("HighErrorRate"));

    let now = shell.platform.handle.call(|_, now| now).await.unwrap();
    let ids = shell.platform.alertmanager.call(move |state| {
        state.silences().list(now).iter().map(|silence| silence.id.clone()).collect::<Vec<_>>()
    });
    let ids = ids.await.unwrap();
    let [id] = &ids[..] else { panic!("{ids:?}") };
    shell.run(&["silence", "extend", id, "--for", "1h", "--yes", "--reason", "INC-42"]).await.ends(0);
    shell.run(&["silence", "expire", id, "--plan"]).await.ends(0).has(&["it ends now", "HighErrorRate"]);
    shell.run(&["silence", "expire", id, "--yes", "--reason", "over", "--wait"]).await.ends(0);
    shell
        .run(&["silence", "expire", id, "--yes", "--reason", "again"])
        .await
        .ends(3)
        .has(&["it is over already"]);
    shell.run(&["audit", "verify"]).await.ends(0);

    // Where it is protected, yes is not enough.
    std::fs::write(shell.folder.path().join("config.toml"), "[contexts.\"*\"]\nenvironment = \"prod\"\n")
        .unwrap();
    let before = shell.audit().len();
    shell.run(&with(&["--yes", "--reason", "INC-43"])).await.ends(3).has(&["--confirm demo-prod-eu-1"]);
    shell.run(&with(&["--confirm", "wrong", "--reason", "INC-43"])).await.ends(3);
    let writes = shell.audit().len() - before;
    assert!(writes <= 2, "{:#?}", shell.audit());

    // What could not be written has failed, and says so in the audit.
    shell.configure("");
    shell.front.fail("/proxy/api/v2/silences", &says(500, "text/plain", "disk full"));
    let failed = shell.run(&with(&["--yes", "--reason", "INC-44"])).await.ends(1);
    failed.has(&["disk full"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_are_asked_now_and_over_a_window() {
    let shell = Shell::start().await;
    let one = shell.run(&["query", "vector(7)"]).await.ends(0);
    assert!(one.out.contains('7'), "{one:?}");
    let range =
        shell.run(&["query", "vector(7)", "--range", "10m", "--step", "1m", "-o", "json"]).await.ends(0);
    let values = range.json()["series"][0]["values"].as_array().unwrap().len();
    assert!((10..=11).contains(&values), "{values}");
    let wrong = shell.run(&["query", "sum("]).await.ends(1);
    assert!(wrong.err.contains("parse error"), "{wrong:?}");
    shell.run(&["query", "up", "--range", "soon"]).await.ends(2).has(&["--range soon", "5m or 2h"]);
    shell.run(&["query", "no_such_metric"]).await.ends(0).has(&["no series"]);
    let partial = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"NaN"]},{"metric":5}]},"warnings":["No StoreAPIs matched"]}"#;
    shell.front.fail("/proxy/api/v1/query?", &says(200, "application/json", partial));
    let told = shell.run(&["query", "up", "-o", "json"]).await.ends(0);
    told.has(&["Prometheus warns: No StoreAPIs matched", "1 series could not be understood"]);
    assert_eq!(told.json()["series"][0]["values"][0]["value"], "NaN");
    shell.front.heal();
    shell.configure("prometheus = \"off\"\n");
    shell.run(&["query", "up"]).await.ends(1).has(&["Prometheus", "switched off in the configuration"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_how_each_system_is_reached_or_why_not() {
    let shell = Shell::start().await;
    let well = shell.run(&["doctor"]).await.ends(0);
    well.has(&[
        "through the API server",
        "Prometheus",
        "Alertmanager",
        "Loki",
        "argocd-server",
        "metrics.k8s.io",
    ]);
    // Who may not use the proxy is told which right it takes, and can work with the rest.
    let dev = shell.run(&["doctor", "--context", RESTRICTED_CONTEXT]).await.ends(0);
    dev.has(&["ok", "--", "not permitted to list services", "can name its url or service"]);
    shell.front.fail("/proxy/", &says(500, "text/plain", "boom"));
    let broken = shell.run(&["doctor", "-o", "json"]).await.ends(0);
    let findings = broken.json();
    for name in ["Prometheus", "Alertmanager", "Loki", "argocd-server"] {
        let of = |one: &&Value| one["what"] == name;
        let one =
            findings.as_array().unwrap().iter().find(of).unwrap_or_else(|| panic!("{name}: {broken:?}"));
        assert_eq!(one["standing"], "missing", "{one}");
        assert!(one["detail"].as_str().unwrap().contains("500 Internal Server Error: boom"), "{one}");
    }
    shell.front.heal();
    shell.configure("prometheus = \"off\"\nalertmanager = \"off\"\nloki = { off = true }\n");
    let off = shell.run(&["doctor"]).await.ends(0);
    assert!(!off.out.contains("Prometheus") && !off.out.contains("Loki"), "{off:?}");
    shell.front.fail("/version", &says(503, "text/plain", "down"));
    shell.run(&["doctor"]).await.ends(1).has(&["!!", "the Kubernetes API cannot be reached", "down"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_setting_of_a_system_does_what_it_says() {
    let mut shell = Shell::start().await;
    let service = "monitoring/services/kube-prometheus-stack-prometheus:9090";
    let url = |root: &str| format!("{root}/api/v1/namespaces/{service}");
    let text = std::fs::read_to_string(&shell.platform.kubeconfig).unwrap();
    let field = |name: &str| text.split(name).nth(1).unwrap().split(['}', '\n']).next().unwrap().trim();
    let token = field("token: ");
    std::fs::write(shell.folder.path().join("token"), format!("{token}\n")).unwrap();
    let authority = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        field("certificate-authority-data: "),
    );
    std::fs::write(shell.folder.path().join("ca.pem"), authority.unwrap()).unwrap();
    let path = |name: &str| format!("{:?}", shell.folder.path().join(name).display().to_string());
    let (front, direct) = (url(&shell.front.url), url(&shell.platform.url));
    let file = path("token");
    let query = ["query", "vector(7)"];
    for (settings, code, words) in [
        (
            format!(
                "url = '{front}'\nprefix = '/proxy'\nbearer_env = 'PROM_TOKEN'\nheaders = {{ X-Scope-OrgID = 'platform' }}"
            ),
            0,
            "7",
        ),
        (format!("url = '{front}/proxy/'\nbearer_file = {file}"), 0, "7"),
        (format!("url = '{front}/proxy'\nheaders = {{ Authorization = 'Bearer {token}' }}"), 0, "7"),
        ("service = 'monitoring/kube-prometheus-stack-prometheus:9090'".to_owned(), 0, "7"),
        (format!("url = '{direct}/proxy'\nbearer_file = {file}\nca_file = {}", path("ca.pem")), 0, "7"),
        (format!("url = '{direct}/proxy'\nbearer_file = {file}\ninsecure = true"), 0, "7"),
        (format!("url = '{direct}/proxy'\nbearer_file = {file}"), 1, "ca_file"),
        (format!("url = '{direct}/proxy'\nca_file = {file}"), 1, "holds no certificates"),
        (
            format!("url = '{front}/proxy'\nbearer_env = 'NO_SUCH_TOKEN'"),
            1,
            "the variable NO_SUCH_TOKEN with its token is not set",
        ),
        (
            format!("url = '{front}/proxy'\nbearer_file = {}", path("gone")),
            1,
            "its token cannot be read from",
        ),
        (format!("url = '{front}/proxy'\nbearer_file = {file}\nprefix = '/wrong'"), 1, "404"),
        ("service = 'prometheus'".to_owned(), 1, "write namespace/name:port"),
        ("service = 'monitoring/no-such-service:9090'".to_owned(), 1, "no-such-service"),
        ("off = true".to_owned(), 1, "switched off"),
        ("url = 'prometheus.example.com'".to_owned(), 2, "is not a URL"),
        ("colour = 'red'".to_owned(), 2, "colour"),
    ] {
        shell.configure(&format!("[contexts.\"*\".prometheus]\n{settings}\n"));
        let said = shell.run_with(&query, &[("PROM_TOKEN", token)]).await;
        assert_eq!(said.code, code, "{settings}\n{said:#?}");
        said.has(&[words]);
        assert!(!said.err.contains(token) && !said.out.contains(token), "{settings}: {said:?}");
    }
    let came = shell.front.came();
    let tenant =
        came.iter().filter(|came| came.headers.get("x-scope-orgid").is_some_and(|id| id == "platform"));
    assert!(tenant.count() >= 2, "the header goes with the probe and with the question");
    // Values of headers, and passwords in a URL, are not printed.
    shell.configure("[contexts.\"*\".prometheus]\nurl = 'http://kim:hunter2@prom:9090/p?key=hunter2'\nheaders = { X-Key = 'hunter2' }\n");
    let printed = shell.run(&["config"]).await.ends(0);
    printed.has(&["http://prom:9090/p", "X-Key"]);
    assert!(!printed.out.contains("hunter2"), "{printed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloudwatch_that_answers_wrongly_costs_its_alarms_only() {
    let shell = Shell::start().await;
    shell.fire(&[("alertname", "DiskFull"), ("severity", "warning")]).await;
    let cloud = Front::start(&shell.platform.cloudwatch.url).await;
    shell.configure(&format!("cloudwatch = {{ url = '{}', region = '{REGION}' }}\n", cloud.url));
    let variables = [("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)];
    let denied = r#"{"__type":"com.amazonaws#AccessDenied","message":"not authorized"}"#;
    for fault in [
        says(403, "application/json", denied),
        says(500, "text/plain", "boom"),
        says(200, "text/html", LOGIN),
        says(200, "application/cbor", "\u{1}garbage"),
        Fault::HangUp,
    ] {
        cloud.fail("/", &fault);
        let said = shell.run_with(&["alerts"], &variables).await.ends(0);
        assert!(said.out.contains("DiskFull"), "{}: {said:?}", fault.name());
        assert!(said.err.contains("not shown: ") && said.err.contains(REGION), "{}: {said:?}", fault.name());
    }
    cloud.heal();
    let said = shell.run_with(&["alerts"], &variables).await.ends(0);
    assert!(!said.err.contains("not shown"), "{said:?}");
}
