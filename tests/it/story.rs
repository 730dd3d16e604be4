//! The binary in a pseudo-terminal: it starts, works a story, quits, and leaves the terminal as it found it.

use std::path::Path;
use std::process::Command;

use crate::terminal::Terminal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_opsdeck");

/// What a terminal is sent when the alternate screen is left, and when the cursor is shown again.
const LEAVES: &[u8] = b"\x1b[?1049l";
const SHOWS_CURSOR: &[u8] = b"\x1b[?25h";

/// The demo in a pseudo-terminal, with a state directory of its own.
fn demo(home: &Path, arguments: &[&str]) -> Terminal {
    let folder = home.display().to_string();
    let variables =
        [("HOME", folder.as_str()), ("OPSDECK_STATE_DIR", &folder), ("OPSDECK_CONFIG_DIR", &folder)];
    let arguments: Vec<&str> = ["demo"].iter().chain(arguments).copied().collect();
    Terminal::start(PROGRAM, &arguments, &variables, (140, 40))
}

fn audit(home: &Path, arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM)
        .arg("audit")
        .args(arguments)
        .env("OPSDECK_STATE_DIR", home)
        .env("OPSDECK_CONFIG_DIR", home)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn is_restored(terminal: &Terminal) {
    assert!(!terminal.is_alternate(), "the alternate screen is left");
    assert!(terminal.shows_cursor(), "the cursor is shown");
    let has = |bytes: &[u8]| terminal.raw.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(LEAVES) && has(SHOWS_CURSOR));
    // Mouse and bracketed paste are switched off after they were switched on.
    for mode in ["1006", "2004"] {
        let last = |end: &str| {
            let sequence = format!("\x1b[?{mode}{end}");
            terminal.raw.windows(sequence.len()).rposition(|window| window == sequence.as_bytes())
        };
        assert!(last("l") >= last("h"), "mode {mode} is left as it was found");
    }
}

#[test]
fn the_rollback_of_a_bad_deploy_goes_from_keys_to_the_audit() {
    let home = tempfile::tempdir().unwrap();
    let mut console = demo(home.path(), &["--story", "bad-deploy"]);
    console
        .wait("the demo is connected", |screen| screen.contains("k8s live") && screen.contains("argo live"));
    assert!(console.text().contains("PROD"), "production is unmistakable");

    console.press(":applications\r");
    console.wait("the table", |screen| screen.contains("applications") && screen.contains("✗ Degraded"));
    console.press("/tenant-2-checkout\r");
    console.wait("one row", |screen| screen.contains("applications 1 of"));
    console.press("\r");
    console.wait("the application", |screen| screen.contains("application argocd/tenant-2-checkout"));
    console.press("h");
    console.wait("its history", |screen| screen.contains("checkout:1.7.4"));
    console.press("j");
    console.press("R");
    console.wait("the plan, with every check answered", |screen| {
        screen.contains("Type ") && screen.contains("you may patch") && !screen.contains("pending")
    });
    let plan = console.text();
    for said in [
        "1.8.0 -> 1.7.4",
        "auto-sync is on",
        "hooks do not run",
        "no operation is running",
        "argocd app rollback",
    ] {
        assert!(plan.contains(said), "the plan says {said:?}\n{plan}");
    }
    // Enter alone never confirms, and neither does a wrong name.
    console.press("\r");
    console.wait("it asks again", |screen| screen.contains("to answer"));
    let name = plan
        .split("Type ")
        .nth(1)
        .and_then(|rest| rest.split(" to roll back").next())
        .expect("the name that must be typed")
        .to_owned();
    console.press(&format!("{name}\t"));
    console.press("INC-7 checkout crash-loops\r\r");
    console.wait("the verdict", |screen| screen.contains("Verified"));

    let record = audit(home.path(), &[]);
    for said in [
        "Roll back tenant-2-checkout, tenant-2",
        "INC-7 checkout crash-loops",
        "verified",
        &format!("typed {name}"),
    ] {
        assert!(record.contains(said), "the audit says {said:?}\n{record}");
    }
    assert!(audit(home.path(), &["verify"]).starts_with("whole: 2 records"));

    console.press(":q\r");
    assert!(console.end().success());
    is_restored(&console);
}

#[test]
fn ctrl_c_ends_it_and_gives_the_terminal_back() {
    let home = tempfile::tempdir().unwrap();
    let mut console = demo(home.path(), &["--story", "quiet"]);
    console.wait("the first frame", |screen| screen.contains("opsdeck"));
    console.press("\x03");
    assert!(console.end().success());
    is_restored(&console);
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_and_gives_the_terminal_back() {
    let home = tempfile::tempdir().unwrap();
    let mut console = demo(home.path(), &["--story", "quiet"]);
    console.wait("the demo is connected", |screen| screen.contains("k8s live"));
    let told = Command::new("kill").args(["-TERM", &console.pid().to_string()]).status().unwrap();
    assert!(told.success());
    console.end();
    is_restored(&console);
}

#[test]
fn any_size_is_drawn_down_to_one_cell_and_back() {
    let home = tempfile::tempdir().unwrap();
    let mut console = demo(home.path(), &["--story", "quiet"]);
    console.wait("the demo is connected", |screen| screen.contains("k8s live"));
    for (columns, rows) in [(60, 20), (1, 1), (200, 60), (80, 24)] {
        console.resize(columns, rows);
    }
    console.press(":pods\r");
    console.wait("the table at 80 columns", |screen| screen.contains("pods ") && screen.contains("RESTARTS"));
    console.press("\x03");
    assert!(console.end().success());
}

#[test]
fn without_a_kubeconfig_it_says_where_it_looked_and_offers_the_demo() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().display().to_string();
    let variables =
        [("HOME", folder.as_str()), ("OPSDECK_STATE_DIR", &folder), ("OPSDECK_CONFIG_DIR", &folder)];
    let mut console = Terminal::start(PROGRAM, &[], &variables, (120, 30));
    console.wait("the sentence", |screen| {
        screen.contains("no kubeconfig found") && screen.contains("opsdeck demo")
    });
}
