//! `opsdeck board` and `opsdeck query`: the binary against the embedded platform.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use opsdeck::demo::Platform;
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::world;
use serde_json::Value;

/// A platform with something wrong, and a home for the command line.
struct Site {
    running: Running,
    home: tempfile::TempDir,
}

impl Site {
    async fn start(story: &str) -> Self {
        opsdeck::install_crypto_provider();
        let home = tempfile::tempdir().unwrap();
        let world = world::Options {
            tenants: 3,
            pods_per_tenant: 12,
            nodes: 4,
            story: story.to_owned(),
            ..world::Options::default()
        };
        let kubeconfig = Some(home.path().join("demo.yaml"));
        let running = Platform::start(Options { world, kubeconfig, ..Options::default() }).await.unwrap();
        Self { running, home }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.home().join("config.toml"), text).unwrap();
    }

    /// Runs the binary; nobody sits at a terminal.
    async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[]).await
    }

    async fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = crate::program::opsdeck()
            .args(arguments)
            .env("KUBECONFIG", &self.running.kubeconfig)
            .env("OPSDECK_STATE_DIR", self.home())
            .env("OPSDECK_CONFIG_DIR", self.home())
            .env("HOME", self.home())
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8")
            .env("COLORTERM", "truecolor")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_mins(2), output).await.unwrap().unwrap();
        Ran::of(&output)
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The panel of a title.
#[track_caller]
fn panel<'a>(document: &'a Value, title: &str) -> &'a Value {
    let panels = document["panels"].as_array().unwrap();
    panels.iter().find(|panel| panel["title"] == title).unwrap_or_else(|| panic!("{title}: {document:#}"))
}

fn values(panel: &Value) -> usize {
    let series = panel["series"].as_array().unwrap();
    series.iter().map(|one| one["values"].as_array().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_is_printed_as_the_console_draws_it_and_as_json() {
    let site = Site::start("bad-deploy").await;
    let text = site.run(&["board", "tenant", "--tenant", "tenant-2", "--width", "100"]).await;
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(!text.out.contains('\u{1b}'), "no colours into a pipe: {text:?}");
    assert!(text.out.lines().all(|line| line.chars().count() <= 100), "{}", text.out);
    for word in ["Tenant", "tenant tenant-2", "last 3h", "Requests", "Latency", "p95", "Restarts", "└"] {
        assert!(text.out.contains(word), "{word}: {}", text.out);
    }
    let small =
        site.run(&["board", "tenant", "--tenant", "tenant-2", "--width", "60", "--height", "20"]).await;
    assert_eq!(small.code, Some(0), "{small:?}");
    assert_eq!(small.out.lines().count(), 20, "{}", small.out);
    assert!(small.out.lines().all(|line| line.chars().count() <= 60), "{}", small.out);

    let json = site.run(&["board", "tenant", "-n", "tenant-2", "--since", "1h", "-o", "json"]).await;
    assert_eq!(json.code, Some(0), "{json:?}");
    let document = json.json();
    assert_eq!(document["board"], "tenant");
    assert_eq!(document["subject"]["namespaces"], serde_json::json!(["tenant-2"]));
    assert_eq!(document["panels"].as_array().unwrap().len(), 8);
    let requests = panel(&document, "Requests");
    assert!(values(requests) > 30, "{requests:#}");
    assert!(requests["expressions"][0].as_str().unwrap().contains("\"tenant-2\""), "{requests:#}");
    assert_eq!((&requests["kind"], &requests["unit"]), (&"graph".into(), &"ops/s".into()));
    let deployed = document["happened"].as_array().unwrap();
    assert!(deployed.iter().any(|one| one["text"].as_str().unwrap().contains("deployed")), "{document:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_of_cloudwatch_asks_the_account_as_the_console_does() {
    let site = Site::start("quiet").await;
    let keys = site.running.write_aws_credentials().unwrap().display().to_string();
    let account = [
        ("AWS_ENDPOINT_URL_CLOUDWATCH", site.running.cloudwatch.url.as_str()),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_SHARED_CREDENTIALS_FILE", &keys),
    ];
    let text = site.run_with(&["board", "rds", "--width", "100"], &account).await;
    assert_eq!(text.code, Some(0), "{text:?}");
    for word in ["RDS", "CloudWatch", "tenant-1-postgres", "Connections"] {
        assert!(text.out.contains(word), "{word}: {}", text.out);
    }
    let json = site.run_with(&["board", "rds", "--since", "1h", "-o", "json"], &account).await;
    let document = json.json();
    assert_eq!(document["source"], "CloudWatch");
    assert!(values(panel(&document, "CPU")) > 5, "{document:#}");
    // Without an account the board says what to do, and fails.
    let none = site.run(&["board", "rds"]).await;
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.err.contains("name a profile"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_of_a_board_is_said_with_the_next_step() {
    let site = Site::start("quiet").await;
    std::fs::create_dir(site.home().join("boards")).unwrap();
    let own = "title = \"Mine\"\nabout = \"one pod\"\n[variables]\npod = { from = \"pod\" }\n\n[[panels]]\ntitle = \"Up\"\n\
               [[panels.queries]]\nexpr = 'up{pod=~\"$pod\"}'\n";
    std::fs::write(site.home().join("boards/mine.toml"), own).unwrap();
    std::fs::write(site.home().join("boards/wrong.toml"), "title = \"Wrong\"\npanles = []\n").unwrap();
    let list = site.run(&["board"]).await;
    assert_eq!(list.code, Some(0), "{list:?}");
    for name in ["tenant", "kpi", "control-plane", "coredns", "mine"] {
        assert!(list.out.lines().any(|line| line.starts_with(name)), "{name}: {}", list.out);
    }
    // A file that is wrong costs itself, and is named with its line.
    assert!(list.err.contains("wrong.toml:2"), "{}", list.err);
    let json = site.run(&["board", "-o", "json"]).await.json();
    let mine = json.as_array().unwrap().iter().find(|one| one["board"] == "mine").unwrap();
    assert_eq!(mine["needs"], serde_json::json!(["pod"]));
    for (arguments, said) in [
        (&["board", "tenat"][..], "tenant"),
        (&["board", "control-plane", "--tenant", "tenant-1"], "cannot be narrowed by --tenant"),
        (&["board", "tenant", "--tenant", "tenant-9"], "there is no tenant tenant-9"),
        (&["board", "tenant", "--tenant", "tenant-1", "-n", "tenant-2"], "has no namespace tenant-2"),
        (&["board", "mine"], "give --pod"),
        (&["board", "kpi", "--from", "14:00x"], "--from 14:00x"),
        (&["board", "kpi", "--from", "-1h", "--to", "-2h"], "the end must come after the beginning"),
        (&["board", "argocd", "--app", "nothing-like-it"], "there is no Application"),
    ] {
        let ran = site.run(arguments).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
    // A pod that is not there may have been: it is a remark.
    let gone = site.run(&["board", "pod", "-n", "tenant-1", "--pod", "web-0", "--width", "80"]).await;
    assert_eq!(gone.code, Some(0), "{gone:?}");
    assert!(gone.err.contains("there is no web-0 in tenant-1 now"), "{}", gone.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_of_which_nothing_could_be_had_fails_and_says_why_once() {
    let site = Site::start("quiet").await;
    // Port 9 discards; nobody listens there.
    site.configure("[contexts.\"*\"]\nprometheus = \"http://127.0.0.1:9\"\n");
    let ran = site.run(&["board", "control-plane", "--width", "80", "--height", "20"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("Prometheus does not answer"), "{}", ran.out);
    assert_eq!(ran.err.matches("127.0.0.1:9").count(), 1, "{}", ran.err);
    let json = site.run(&["board", "control-plane", "-o", "json"]).await;
    assert_eq!(json.code, Some(1), "{json:?}");
    let document = json.json();
    assert!(
        panel(&document, "API requests")["error"].as_str().unwrap().contains("127.0.0.1:9"),
        "{document:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_are_asked_from_the_command_line() {
    let site = Site::start("quiet").await;
    let table = site.run(&["query", "count by (phase) (kube_pod_status_phase == 1)"]).await;
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(table.out.starts_with("SERIES") && table.out.contains("{phase=\"Running\"}"), "{}", table.out);
    let range = site.run(&["query", "sum(up)", "--range", "30m", "--step", "1m", "-o", "json"]).await;
    assert_eq!(range.code, Some(0), "{range:?}");
    let document = range.json();
    assert_eq!(document["query"], "sum(up)");
    let values = document["series"][0]["values"].as_array().unwrap();
    assert_eq!(values.len(), 31, "both ends are values: {document:#}");
    assert!(values[0]["value"].as_f64().unwrap() > 0.0 && values[0]["at"].as_str().is_some());
    // A number that JSON has not is a text.
    let odd = site.run(&["query", "vector(0) / 0", "-o", "json"]).await.json();
    assert_eq!(odd["series"][0]["values"][0]["value"], "NaN");
    let none = site.run(&["query", "no_such_metric"]).await;
    assert_eq!((none.code, none.err.trim()), (Some(0), "no series"), "{none:?}");
    let wrong = site.run(&["query", "sum(rate(up[5m])"]).await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.err.contains("parse error"), "{}", wrong.err);
    let usage = site.run(&["query", "up", "--range", "soon"]).await;
    assert_eq!(usage.code, Some(2), "{usage:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_prometheus_components_are_scraped_for_what_they_expose() {
    let site = Site::start("bad-deploy").await;
    site.configure("[contexts.\"*\"]\nprometheus = { off = true }\n");
    let doctor = site.run(&["doctor"]).await;
    assert!(doctor.out.contains("scraped through the API server"), "{doctor:?}");

    // Rates are there, too: of two readings.
    let server = site.run(&["board", "control-plane", "-o", "json"]).await;
    assert_eq!(server.code, Some(0), "{server:?}");
    assert!(server.err.contains("there is no Prometheus"), "{}", server.err);
    let document = server.json();
    assert_eq!(document["source"], "scraped");
    assert!(values(panel(&document, "API requests")) > 0, "{document:#}");
    assert!(values(panel(&document, "Requests in flight")) > 0, "{document:#}");
    // An hour's count is not made of fifteen seconds.
    let leaders = panel(&document, "Leader changes of etcd within an hour");
    assert_eq!(values(leaders), 0, "{leaders:#}");
    let kubelets = panel(&document, "Kubelets: failed operations");
    assert!(kubelets["missing"][0].as_str().unwrap().contains("kubelet_"), "{kubelets:#}");

    let tenant = site.run(&["board", "tenant", "--tenant", "tenant-2", "-o", "json"]).await.json();
    for title in ["Requests", "Errors", "Latency", "CPU", "Memory", "Pods by phase"] {
        assert!(values(panel(&tenant, title)) > 0, "{title}: {:#}", panel(&tenant, title));
    }
    let cpu = panel(&tenant, "CPU")["series"].as_array().unwrap();
    assert!(cpu.iter().any(|one| one["name"] == "used"), "metrics.k8s.io tells what is used: {cpu:#?}");
    let pools = site.run(&["board", "karpenter", "-o", "json"]).await.json();
    assert!(values(panel(&pools, "Node pools, used of the limit")) > 0, "{pools:#}");

    let query = site.run(&["query", "count(kube_pod_info)"]).await;
    assert_eq!(query.code, Some(0), "{query:?}");
    let nothing = site.run(&["query", "node_load1"]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.err.contains("it needs Prometheus"), "{}", nothing.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_scrape_is_told_so() {
    let site = Site::start("quiet").await;
    site.configure("[contexts.\"*\"]\nprometheus = { off = true }\n");
    let context = opsdeck::demo::credentials::RESTRICTED_CONTEXT;
    let ran = site.run(&["board", "control-plane", "--context", context, "-o", "json"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let document = ran.json();
    let error = panel(&document, "API requests")["error"].as_str().unwrap_or_default();
    assert!(error.contains("not permitted to get"), "{document:#}");
}
