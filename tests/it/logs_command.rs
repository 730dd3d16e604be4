//! `opsdeck logs` as a person and a script meet it: the binary against the embedded platform, through the API server.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use opsdeck::demo::Platform;
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::world;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

async fn platform() -> Running {
    opsdeck::install_crypto_provider();
    let world = world::Options {
        tenants: 2,
        pods_per_tenant: 6,
        nodes: 3,
        story: "quiet".into(),
        ..Default::default()
    };
    Platform::start(Options { world, ..Options::default() }).await.unwrap()
}

fn program(running: &Running, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opsdeck"));
    command
        .args(["logs", "--kubeconfig", &running.kubeconfig.display().to_string()])
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("TZ", "UTC")
        .env("OPSDECK_STATE_DIR", home)
        .env("OPSDECK_CONFIG_DIR", home)
        .kill_on_drop(true)
        .stdin(Stdio::null());
    command
}

async fn run(running: &Running, home: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        timeout(PATIENCE, program(running, home, arguments).output()).await.expect("an end in time").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_loki_are_printed_for_people_and_programs_with_exit_codes() {
    let running = platform().await;
    let home = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| run(&running, home.path(), arguments).await;

    let query = r#"{namespace=~"tenant-.*"}"#;
    let (code, out, _) = run(&["-q", query, "--from", "-10m", "--tail", "20", "-o", "json"]).await;
    assert_eq!(code, 0);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line["labels"]["pod"].is_string() && line["text"].is_string()));
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(lines.is_sorted_by_key(at), "oldest first");

    // A query is narrowed to the tenant; its lines are those of the tenant alone.
    let (code, out, said) = run(&["-q", query, "--tenant", "tenant-2", "--since", "5m", "-o", "json"]).await;
    assert_eq!(code, 0, "{said}");
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["labels"]["namespace"].as_str().unwrap().starts_with("tenant-2")
    };
    assert!(out.lines().count() > 10 && out.lines().all(of));

    let pod = lines[0]["labels"]["pod"].as_str().unwrap();
    let (code, raw, _) = run(&["--pod", pod, "--since", "10m", "-o", "raw", "--tail", "5"]).await;
    assert_eq!((code, raw.lines().count()), (0, 5));
    assert!(!raw.contains(pod), "raw is the line alone: {raw}");

    // A window in the past, as people write it; nothing was logged before the platform's own beginning.
    let (code, out, _) = run(&["--app", "checkout", "--from", "2001-01-01 14:02", "--to", "+5m"]).await;
    assert_eq!((code, out.as_str()), (0, ""));
    for (arguments, words) in [
        (&["-q", query, "--from", "soon"][..], "--from soon: not a time"),
        (&["-q", query, "--from", "-5m", "--to", "-10m"], "ends before it begins"),
        (&["-q", "rate({a=\"b\"}[1m])"], "asks for numbers"),
        (&["-q", query, "--tenant", "nobody"], "nobody"),
    ] {
        let (code, _, said) = run(arguments).await;
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(said.contains(words), "{said}");
    }
    // What the server says of a query, and where.
    let (code, out, said) = run(&["-q", r#"{app="x"} | jsn"#]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(said.contains("parse error at line 1, col") && said.contains("^ here"), "{said}");

    // A large query is refused before a line is read, and read when it is said that it may be.
    std::fs::write(home.path().join("config.toml"), "[logs]\nask-above = 1\n").unwrap();
    let large = &["-q", r#"{namespace=~".+"}"#, "--since", "24h", "--tail", "1"];
    let (code, out, said) = run(large).await;
    assert_eq!((code, out.as_str()), (3, ""), "{said}");
    assert!(said.contains("logs.ask-above") && said.contains("--yes"), "{said}");
    let (code, out, _) = run(&[large.as_slice(), &["--yes"]].concat()).await;
    assert_eq!((code, out.lines().count()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_log_goes_on_and_ends_without_a_word_when_nobody_reads_it() {
    let running = platform().await;
    let home = tempfile::tempdir().unwrap();
    let arguments = ["-q", r#"{namespace=~".+"}"#, "--since", "10s", "--tail", "1", "-f", "-o", "json"];
    let mut command = program(&running, home.path(), &arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = jiff::Timestamp::now();
    // Lines that were written after the start came over the tail.
    let newer = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() > started {
                return true;
            }
        }
        false
    };
    assert!(timeout(PATIENCE, newer).await.expect("a line in time"));
    drop(lines);
    let ended = timeout(PATIENCE, child.wait_with_output()).await.expect("an end in time").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!said.contains("opsdeck:") && !said.contains("roken pipe"), "{said}");
    assert_eq!(ended.status.code(), Some(0), "{said}");
}
