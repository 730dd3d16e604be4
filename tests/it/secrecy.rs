//! Secret values are nowhere: not in what is printed, logged, recorded, exported or told of a crash. And where one is
//! asked for, on the screen alone, for half a minute.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use opsdeck::actions::reveal::{Revealed, SHOWN};
use opsdeck::app::action::Action;
use opsdeck::app::command::Command;
use opsdeck::app::message::Message;
use opsdeck::app::update::{run, update};
use opsdeck::concealed::Concealed;
use opsdeck::demo::platform::{Options as Start, Platform};
use opsdeck::demo::tenancy::CANARY;
use opsdeck::demo::{stories, world};
use serde_json::json;

use crate::screens::snapshots;
use crate::stage::{Stage, ago, now, object, text};
#[cfg(unix)]
use crate::still;
#[cfg(unix)]
use crate::terminal::{Terminal, console_beside};

/// Tells whether a value stands in a text: as it is, or as the API server writes it.
pub fn holds_value(text: &str) -> bool {
    // What follows the canary changes the last letters only.
    let whole = CANARY.len() / 3 * 3;
    text.contains(CANARY) || text.contains(&STANDARD.encode(&CANARY.as_bytes()[..whole]))
}

/// Returns the first file below a directory that holds a value.
pub fn file_with_value(directory: &Path) -> Option<String> {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = if path.is_dir() {
            file_with_value(&path)
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            holds_value(&String::from_utf8_lossy(&bytes)).then(|| path.display().to_string())
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn the_search_finds_a_value_in_both_of_its_forms() {
    let value = format!("{CANARY}tenant-2-DB_PASSWORD-00ff00ff");
    assert!(holds_value(&format!("password: {value}")));
    assert!(holds_value(&format!("{{\"DB_PASSWORD\":\"{}\"}}", STANDARD.encode(&value))));
    assert!(!holds_value("DB_PASSWORD"));
}

/// A console on a Secret of which somebody asked to see one key.
fn revealed() -> Stage {
    let mut stage = Stage::new();
    let secret = json!({
        "apiVersion": "v1", "kind": "PartialObjectMetadata",
        "metadata": { "name": "checkout-credentials", "namespace": "tenant-2", "uid": "s-1", "resourceVersion": "7",
            "creationTimestamp": ago(86_400), "managedFields": [{ "manager": "external-secrets", "time": ago(3_600) }] },
    });
    let (query, _) = stage.list("secrets", &[secret]);
    stage.show(&query);
    let revealed = Revealed {
        object: object("", "secrets", "tenant-2", "checkout-credentials"),
        key: "DB_PASSWORD".to_owned(),
        value: Concealed::new(b"correct-horse-battery-staple-of-the-picture".to_vec()),
    };
    let said = Action::Said(Message::Revealed(Box::new(revealed)));
    update(&mut stage.state, &stage.store, said);
    stage
}

#[test]
fn a_value_that_was_asked_for_lies_over_the_screen_with_its_seconds() {
    snapshots("revealed", &mut revealed());
}

#[test]
fn a_value_is_gone_after_its_seconds_and_the_seconds_are_counted_down() {
    let mut stage = revealed();
    let after = |stage: &mut Stage, seconds: i64| {
        let at = now() + SignedDuration::from_secs(seconds);
        update(&mut stage.state, &stage.store, Action::Tick(at));
        text(&stage.draw(80, 24).0)
    };
    let at_once = after(&mut stage, 0);
    assert!(at_once.contains("correct-horse") && at_once.contains("gone in 30 s"), "{at_once}");
    let late = after(&mut stage, SHOWN - 1);
    assert!(late.contains("correct-horse") && late.contains("gone in 1 s"), "{late}");
    // Nothing has to come from outside: while it stands there, the console draws every second.
    let due = stage.draw(80, 24).1.due().unwrap();
    assert!(due.duration_since(stage.state.now) <= SignedDuration::from_secs(1), "{due}");
    let gone = after(&mut stage, SHOWN);
    assert!(!gone.contains("correct-horse") && gone.contains("checkout-credentials"), "{gone}");
    assert!(stage.state.revealed.is_none(), "it is held no longer");
}

#[test]
fn a_value_is_taken_away_by_the_key_that_goes_back() {
    let mut stage = revealed();
    run(&mut stage.state, &stage.store, Command::Back);
    assert!(stage.state.revealed.is_none());
    assert!(!text(&stage.draw(80, 24).0).contains("correct-horse"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_every_story_no_value_is_in_what_is_printed_or_recorded() {
    opsdeck::install_crypto_provider();
    for story in stories::names() {
        let home = tempfile::tempdir().unwrap();
        let config = "[contexts.\"*\"]\nenvironment = \"dev\"\n";
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let world = world::Options {
            tenants: 4,
            pods_per_tenant: 6,
            nodes: 4,
            alive: false,
            story: story.to_owned(),
            ..world::Options::default()
        };
        let platform = Platform::start(Start { world, ..Start::default() }).await.unwrap();
        let run = async |arguments: &[&str]| {
            let output = crate::program::opsdeck()
                .args(arguments)
                .arg("--kubeconfig")
                .arg(&platform.kubeconfig)
                .env("OPSDECK_STATE_DIR", home.path())
                .env("OPSDECK_CONFIG_DIR", home.path())
                .env("HOME", home.path())
                .kill_on_drop(true)
                .output();
            let output = tokio::time::timeout(Duration::from_mins(1), output).await.unwrap().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            // What a story breaks may refuse an action; what it says then is looked at all the same.
            let done = output.status.success() || arguments[0] != "get";
            assert!(done, "{story}: {arguments:?}: {said}");
            assert!(!holds_value(&said), "{story}: {arguments:?}: {said}");
            said.len()
        };
        let printed = tokio::join!(
            run(&["get", "secrets", "-A", "-o", "yaml"]),
            run(&["get", "externalsecrets", "-A", "-o", "json"]),
            run(&["get", "deployments", "-A", "-o", "yaml"]),
            run(&["restart", "deployment/checkout", "-n", "tenant-2", "--yes", "--reason", "INC-9"]),
            run(&[
                "rotate",
                "checkout-credentials",
                "-n",
                "tenant-2",
                "--refresh",
                "--yes",
                "--reason",
                "INC-9"
            ]),
        );
        assert!(printed.0 > 1_000 && printed.2 > 1_000, "{story}: {printed:?}");
        #[cfg(unix)]
        {
            let (kubeconfig, folder) = (platform.kubeconfig.display().to_string(), home.path().to_owned());
            let shown = tokio::task::spawn_blocking(move || shown(&kubeconfig, &folder)).await.unwrap();
            assert!(!holds_value(&shown), "{story}: {shown}");
        }
        assert_eq!(file_with_value(home.path()), None, "{story}");
    }
}

/// Looks in a console at what holds values or refers to them, whole and as YAML, and at the record; returns all screens.
#[cfg(unix)]
fn shown(kubeconfig: &str, home: &Path) -> String {
    let folder = home.display().to_string();
    let names = ["HOME", "OPSDECK_STATE_DIR", "OPSDECK_CONFIG_DIR"];
    let variables = names.map(|name| (name, folder.as_str()));
    let program = env!("CARGO_BIN_EXE_opsdeck");
    let arguments = ["--kubeconfig", kubeconfig, "secrets"];
    let mut console = Terminal::start(program, &arguments, &variables, (120, 40));
    console.wait("the connection", |screen| screen.contains("k8s live") && screen.contains("argo live"));
    let mut all = String::new();
    for kind in ["secret", "externalsecret"] {
        console.press(&format!(":{kind}s\r"));
        console.wait("the list", |screen| {
            screen.contains(&format!("─ {kind}s ")) && screen.contains("AGE") && !screen.contains("─ go to ")
        });
        console.press("/checkout namespace=tenant-2\r");
        console.wait("one of them", |screen| screen.contains("▶ tenant-2 "));
        all += &console.text();
        console.press("\r");
        console.wait("all of it", |screen| screen.contains(&format!("─ {kind} tenant-2/checkout")));
        all += &console.text();
        console.press("y");
        console.wait("its YAML", |screen| screen.contains("\nmetadata:"));
        all += &console.text();
    }
    console.press(":record\r");
    console.wait("what was done", |screen| screen.contains("─ records ") && screen.contains("restart"));
    all += &console.text();
    console.press("\x03");
    console.end();
    all + &String::from_utf8_lossy(&console.raw)
}

/// Set for the test binary when it is a program in a pseudo-terminal: [`a_console_that_trips_over_a_secret`].
#[cfg(unix)]
const TRIPS: &str = "OPSDECK_TEST_TRIPS_OVER_A_SECRET";

/// Not a test by itself: the console beside a platform and a task that panics, with a value in its hands, when it is
/// signalled.
#[cfg(unix)]
#[test]
fn a_console_that_trips_over_a_secret() {
    use opsdeck::app::effect::Sheet;
    use tokio::signal::unix::{SignalKind, signal};
    let platform = async {
        let world = still::world("leaked-secret");
        let running = Platform::start(Start { world, ..Start::default() }).await.unwrap();
        let kubeconfig = running.kubeconfig.clone();
        let mut trip = signal(SignalKind::user_defined2()).unwrap();
        tokio::spawn(async move {
            let held = Revealed {
                object: object("", "secrets", "tenant-2", "checkout-credentials"),
                key: "DB_PASSWORD".to_owned(),
                value: Concealed::new(format!("{CANARY}held").into_bytes()),
            };
            let sheet = Sheet(format!("password: {CANARY}edited"));
            trip.recv().await;
            let _running = running;
            panic!("a task that trips over {held:?} and {sheet:?}");
        });
        kubeconfig
    };
    console_beside(TRIPS, platform, &["secrets"]);
}

#[cfg(unix)]
#[test]
fn a_crash_with_values_in_hand_tells_of_none_of_them_on_the_screen_in_the_log_or_on_the_clipboard() {
    let home = tempfile::tempdir().unwrap();
    let test = "secrecy::a_console_that_trips_over_a_secret";
    let more = [("OPSDECK_LOG", "trace"), ("RUST_BACKTRACE", "full")];
    let mut console = Terminal::start_itself(test, TRIPS, home.path(), &more, (140, 40));
    console.wait("the Secrets", |screen| screen.contains("k8s live") && screen.contains("secrets "));
    console.press("/checkout-credentials namespace=tenant-2\r");
    console.wait("one of them", |screen| screen.contains("secrets 1 of"));
    // The whole table goes to the clipboard, as the other way out of the console.
    console.press("\x19");
    console.wait("it was copied", |screen| screen.contains("sent to the clipboard"));
    let before = console.raw.len();
    console.press(":reveal DB_PASSWORD\r");
    console.wait("the question", |screen| screen.contains("Type ") && !screen.contains("pending"));
    let plan = console.text();
    let name = plan.split("Type ").nth(1).and_then(|rest| rest.split(" to ").next());
    console.press(&format!("{}\tINC-9 is it the old one\r", name.expect("the name that must be typed")));
    console.answer("\r");
    console.wait("the value is on the screen, and so in the program's hands", |screen| {
        screen.contains("DB_PASSWORD of Secret checkout-credentials") && screen.contains(CANARY)
    });
    console.signal("USR2");
    console.end();
    let raw = String::from_utf8_lossy(&console.raw).into_owned();
    let (shown, report) = raw.rsplit_once("\x1b[?1049l").expect("the terminal is given back");
    assert!(shown.contains(CANARY), "a value was shown to who asked for it");
    for said in ["a task that trips over", "(hidden)", "Sheet(", "panic"] {
        assert!(report.contains(said), "the report says {said}: {report}");
    }
    assert!(!holds_value(report), "{report}");
    let copied = String::from_utf8_lossy(&console.raw[..before]).into_owned();
    let clipboard = copied.split("\x1b]52;c;").nth(1).and_then(|rest| rest.split(['\x07', '\x1b']).next());
    let clipboard = STANDARD.decode(clipboard.expect("the clipboard is written")).unwrap();
    let clipboard = String::from_utf8(clipboard).unwrap();
    assert!(clipboard.contains("checkout-credentials") && !holds_value(&clipboard), "{clipboard}");
    let log = std::fs::read_to_string(home.path().join("opsdeck.log")).unwrap();
    assert!(log.contains("TRACE") && log.contains("a task that trips over"));
    assert_eq!(file_with_value(home.path()), None);
}
