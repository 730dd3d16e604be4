//! The command line against the embedded platform: what it chooses, what it refuses, and in which words.

use std::time::Duration;

use opsdeck::demo::credentials::RESTRICTED_CONTEXT;
use opsdeck::demo::platform::{Options, Platform, Running};
use opsdeck::demo::world;

/// What a command printed, and how it ended.
struct Printed {
    code: Option<i32>,
    out: String,
    err: String,
}

struct Shell {
    platform: Running,
    state: tempfile::TempDir,
}

impl Shell {
    async fn start() -> Self {
        opsdeck::install_crypto_provider();
        let world = world::Options { tenants: 2, pods_per_tenant: 6, nodes: 3, ..world::Options::default() };
        let platform = Platform::start(Options { world, ..Options::default() }).await.unwrap();
        Self { platform, state: tempfile::tempdir().unwrap() }
    }

    async fn run(&self, arguments: &[&str]) -> Printed {
        let output = crate::program::opsdeck()
            .args(arguments)
            .env("KUBECONFIG", &self.platform.kubeconfig)
            .env("OPSDECK_STATE_DIR", self.state.path())
            .env("OPSDECK_CONFIG_DIR", self.state.path())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_mins(1), output).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Printed { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_without_an_id_goes_to_the_entry_before_the_present_and_stays_in_its_tenant() {
    let shell = Shell::start().await;
    let apps = shell.run(&["get", "applications", "-A", "-o", "json"]).await;
    let apps: serde_json::Value = serde_json::from_str(&apps.out).unwrap();
    let name = apps["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["name"].as_str())
        .find(|name| name.starts_with("tenant-1-"))
        .unwrap()
        .to_owned();
    let document = shell.run(&["get", "applications", "-n", "argocd", &name, "-o", "yaml"]).await;
    let entries = document.out.matches("deployedAt:").count();
    assert!(entries > 1, "the world gives {name} a history: {entries}");

    let plan = shell.run(&["rollback", &name, "--plan", "-o", "json"]).await;
    let chosen: serde_json::Value = serde_json::from_str(&plan.out).unwrap();
    let lines = chosen["plan"]["lines"].to_string();
    let id = &chosen["plan"]["request"]["options"]["history_id"];
    assert!(id.is_i64() && !lines.contains("no history entry was chosen"), "{id} {lines}");
    let named = shell.run(&["rollback", &name, &id.to_string(), "--plan"]).await;
    assert_eq!(named.code, plan.code, "{}", named.out);
    assert!(!named.out.contains("this is the newest entry"), "{}", named.out);

    let elsewhere = shell.run(&["rollback", &name, "--tenant", "tenant-2", "--plan"]).await;
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.err);
    assert!(elsewhere.err.contains("it is of tenant-1"), "{}", elsewhere.err);

    let mistyped = name.replace("tenant", "tenat");
    let unknown = shell.run(&["sync", &mistyped, "--plan"]).await;
    assert_eq!(unknown.code, Some(1), "{}", unknown.err);
    assert!(unknown.err.contains(&format!("did you mean {name}")), "{}", unknown.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_tells_what_is_permitted_in_the_namespace_of_the_context() {
    let shell = Shell::start().await;
    let printed = shell.run(&["doctor", "--context", RESTRICTED_CONTEXT]).await;
    let line = |what: &str| {
        let found = printed.out.lines().find(|line| line.contains(what));
        found.unwrap_or_else(|| panic!("{what} in {}", printed.out)).to_owned()
    };
    assert!(line("may get pods/log").starts_with("ok"), "{}", line("may get pods/log"));
    assert!(line("may get pods/log").contains("yes in tenant-1"), "{}", line("may get pods/log"));
    assert!(line("may list nodes").starts_with("--"), "{}", line("may list nodes"));
    assert!(line("may delete pods").starts_with("--"), "{}", line("may delete pods"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_theme_that_is_not_there_is_refused_with_its_place_also_where_nothing_is_drawn() {
    let shell = Shell::start().await;
    std::fs::write(shell.state.path().join("config.toml"), "mouse = false\ntheme = \"darc\"\n").unwrap();
    for command in ["config", "themes"] {
        let printed = shell.run(&[command]).await;
        assert_eq!(printed.code, Some(2), "{command}: {}", printed.out);
        let place = "config.toml:2: no theme is called \"darc\"";
        assert!(printed.err.contains(place) && printed.err.contains("dark"), "{command}: {}", printed.err);
    }
}
