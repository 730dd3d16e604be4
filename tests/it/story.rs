//! The binary in a pseudo-terminal: it starts, works a story, quits, and leaves the terminal as it found it.

use std::path::Path;
use std::process::Command;

use crate::terminal::{Terminal, console_beside};

const PROGRAM: &str = env!("CARGO_BIN_EXE_opsdeck");

/// What a terminal is sent when the alternate screen is left, and when the cursor is shown again.
const LEAVES: &[u8] = b"\x1b[?1049l";
const SHOWS_CURSOR: &[u8] = b"\x1b[?25h";

/// A platform that is small, where only the console matters.
const QUIET: [&str; 8] = ["--story", "quiet", "--tenants", "2", "--pods-per-tenant", "6", "--nodes", "3"];

/// The demo in a pseudo-terminal, with a state directory of its own.
fn demo(home: &Path, arguments: &[&str]) -> Terminal {
    let folder = home.display().to_string();
    let variables =
        [("HOME", folder.as_str()), ("OPSDECK_STATE_DIR", &folder), ("OPSDECK_CONFIG_DIR", &folder)];
    let arguments: Vec<&str> = ["demo"].iter().chain(arguments).copied().collect();
    Terminal::start(PROGRAM, &arguments, &variables, (140, 40))
}

pub fn audit(home: &Path, arguments: &[&str]) -> String {
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
pub fn is_restored(terminal: &Terminal) {
    assert!(!terminal.is_alternate(), "the alternate screen is left");
    assert!(terminal.shows_cursor(), "the cursor is shown");
    assert!(terminal.is_cooked(), "keys are echoed and edited as before");
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
    let clock = opsdeck::clock::Clock::system();
    let opened = clock.now();
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
    console.press("INC-7 checkout crash-loops\r");
    console.answer("\r");
    console.wait("the verdict", |screen| screen.contains("Verified"));
    // Printed and not asserted: the machine decides. The target of the platform is two minutes.
    let took = clock.now().duration_since(opened).as_secs();
    println!("bad-deploy: {took} s from opening the console to a verified rollback (target 120 s)");

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
    let mut console = demo(home.path(), &QUIET);
    console.wait("the first frame", |screen| screen.contains("opsdeck"));
    console.press("\x03");
    assert!(console.end().success());
    is_restored(&console);
}

#[cfg(unix)]
#[test]
fn signals_end_it_and_give_the_terminal_back() {
    for (signal, code) in [("TERM", 128 + 15), ("HUP", 128 + 1)] {
        let home = tempfile::tempdir().unwrap();
        let mut console = demo(home.path(), &QUIET);
        console.wait("the demo is connected", |screen| screen.contains("k8s live"));
        console.signal(signal);
        assert_eq!(console.end().exit_code(), code, "SIG{signal}, as a shell reports it");
        is_restored(&console);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_z_gives_the_terminal_back_and_a_return_draws_it_again() {
    let home = tempfile::tempdir().unwrap();
    let mut console = demo(home.path(), &QUIET);
    console.wait("the demo is connected", |screen| screen.contains("k8s live"));
    console.press(":nodes\r");
    console.wait("the table", |screen| screen.contains("nodes ") && screen.contains("CAPACITY"));
    console.press("\x1a");
    console.until("it is stopped", Terminal::is_stopped);
    console.until("the terminal is given back", |console| !console.is_alternate());
    is_restored(&console);

    let before = console.raw.len();
    console.signal("CONT");
    console.wait("the screen is drawn again", |screen| {
        screen.contains("nodes ") && screen.contains("CAPACITY") && screen.contains("k8s live")
    });
    assert!(console.is_alternate() && !console.is_cooked(), "the terminal is taken again");
    assert!(console.raw.len() > before);
    // It goes on where it was: keys and data arrive.
    console.press(":pods\r");
    console.wait("another table", |screen| screen.contains("pods ") && screen.contains("RESTARTS"));
    console.press("\x03");
    assert!(console.end().success());
    is_restored(&console);
}

/// Set for the test binary when it is a program in a pseudo-terminal: [`a_console_with_a_fault`].
#[cfg(unix)]
const WITH_A_FAULT: &str = "OPSDECK_TEST_WITH_A_FAULT";

/// Not a test by itself: the console beside a platform and a task that panic when they are signalled.
#[cfg(unix)]
#[test]
fn a_console_with_a_fault() {
    use opsdeck::demo::types::Type;
    use opsdeck::demo::{Platform, platform, world};
    use tokio::signal::unix::{SignalKind, signal};
    let platform = async {
        let world = world::Options { tenants: 2, pods_per_tenant: 6, nodes: 3, ..world::Options::default() };
        let running =
            Platform::start(platform::Options { world, ..platform::Options::default() }).await.unwrap();
        let kubeconfig = running.kubeconfig.clone();
        let mut request = signal(SignalKind::user_defined1()).unwrap();
        let mut task = signal(SignalKind::user_defined2()).unwrap();
        tokio::spawn(async move {
            request.recv().await;
            let answer = running.handle.call(|_, _| -> () { panic!("a request that trips") }).await;
            assert!(answer.is_err());
            let namespace = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"after-the-panic"}}"#;
            let namespace = serde_json::from_str(namespace).unwrap();
            running
                .handle
                .call(move |world, now| world.objects.create(Type::Namespace, namespace, now))
                .await
                .unwrap()
                .unwrap();
            task.recv().await;
            panic!("a task that trips");
        });
        kubeconfig
    };
    console_beside(WITH_A_FAULT, platform, &["namespaces"]);
}

#[cfg(unix)]
#[test]
fn a_panic_in_a_task_ends_it_with_a_report_below_the_restored_screen_and_one_in_a_request_does_not() {
    let home = tempfile::tempdir().unwrap();
    let test = "story::a_console_with_a_fault";
    let mut console = Terminal::start_itself(test, WITH_A_FAULT, home.path(), &[], (120, 30));
    console.wait("the console", |screen| screen.contains("k8s live") && screen.contains("tenant-1"));

    console.signal("USR1");
    console.wait("the console lives and sees what came after", |screen| screen.contains("after-the-panic"));
    assert!(console.is_alternate());

    console.signal("USR2");
    console.end();
    is_restored(&console);
    let at = |text: &[u8]| console.raw.windows(text.len()).rposition(|window| window == text);
    let report = at(b"a task that trips").expect("the report is printed");
    assert!(report > at(LEAVES).unwrap(), "below the restored screen and not into it");
    assert!(at(b"a request that trips").is_none(), "what is contained is in the log file only");
    let log = std::fs::read_dir(home.path())
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect::<String>();
    assert!(log.contains("a request that trips"), "{log}");
}

#[test]
fn any_size_is_drawn_down_to_one_cell_and_back() {
    let home = tempfile::tempdir().unwrap();
    let mut console = demo(home.path(), &QUIET);
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
