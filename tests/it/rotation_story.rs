//! Rotations in the console and on the command line: from the alert to the last pod, cut off and gone on with, failed and
//! given up. No value is on a screen or on disk.
#![cfg(unix)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use opsdeck::clock::Clock;
use opsdeck::demo::cloudwatch::REGION;
use opsdeck::demo::tenancy::CANARY;
use tokio_util::task::AbortOnDropHandle;

use crate::still::{self, Still};
use crate::terminal::Terminal;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_opsdeck");

/// The secret of AWS that the stories are about.
const KEY: &str = "tenant-2/checkout";

/// How long a step may take that waits for minutes of the world, or for a minute of the console.
const PATIENCE: Duration = Duration::from_mins(3);

/// A platform that outlives the consoles on it; its time passes as that of the program, or faster, or not at all.
struct Stage {
    still: Still,
    pace: Arc<AtomicU32>,
    _moves: AbortOnDropHandle<()>,
}

impl Stage {
    async fn start(story: &str) -> Self {
        let still = Still::start(still::world(story), Clock::system().now()).await;
        let platform = &still.platform;
        still.configure(&format!(
            "[rollback]\nwatch-minutes = 1\n[contexts.\"*\"]\nenvironment = \"dev\"\ncloudwatch = {{ url = \"{}\", secrets_url = \"{}\", region = \"{REGION}\", credentials_file = {:?} }}\n",
            platform.cloudwatch.url,
            platform.secrets_manager.url,
            platform.write_aws_credentials().unwrap().display().to_string()
        ));
        let pace = Arc::new(AtomicU32::new(1));
        let moves = still.moves(Arc::clone(&pace));
        Self { still, pace, _moves: moves }
    }

    /// Runs what waits for a terminal or a program away from the runtime that moves the world.
    async fn with<T: Send + 'static>(&self, run: impl FnOnce(Hands) -> T + Send + 'static) -> T {
        let hands =
            Hands { folder: self.still.folder.path().display().to_string(), pace: Arc::clone(&self.pace) };
        tokio::task::spawn_blocking(move || run(hands)).await.unwrap()
    }

    /// Has the function that rotates the secret fail, or work again.
    async fn set_failing(&self, fails: bool) {
        let set = self.still.platform.handle.call(move |world, _| world.vault.set_failing(KEY, fails));
        set.await.unwrap();
    }

    /// Returns how many versions AWS knows of the secret.
    async fn versions(&self) -> usize {
        let count = self.still.platform.handle.call(|world, now| {
            world.vault.settle(now);
            world.vault.get(KEY).map(|secret| secret.versions.len()).unwrap_or_default()
        });
        count.await.unwrap()
    }
}

/// What a person at the platform has.
struct Hands {
    folder: String,
    pace: Arc<AtomicU32>,
}

impl Hands {
    fn console(&self) -> Terminal {
        let kubeconfig = format!("{}/kubeconfig", self.folder);
        let variables = [
            ("HOME", self.folder.as_str()),
            ("OPSDECK_STATE_DIR", &self.folder),
            ("OPSDECK_CONFIG_DIR", &self.folder),
            ("KUBECONFIG", &kubeconfig),
        ];
        let mut console = Terminal::start(PROGRAM, &[], &variables, (160, 42));
        console.wait("it is connected", |screen| screen.contains("k8s live"));
        console
    }

    /// Runs the program and returns its exit code and all that it said.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = std::process::Command::new(PROGRAM);
        command.args(arguments).env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("HOME", &self.folder).env("OPSDECK_STATE_DIR", &self.folder);
        command
            .env("OPSDECK_CONFIG_DIR", &self.folder)
            .env("KUBECONFIG", format!("{}/kubeconfig", self.folder));
        let output = command.output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), text)
    }

    /// Sets how fast the time of the world goes; 0 stops it.
    fn pace(&self, times: u32) {
        self.pace.store(times, Ordering::Relaxed);
    }
}

/// Goes to the `ExternalSecret` of the story.
fn select(console: &mut Terminal) {
    console.press(":externalsecrets\r");
    console.wait("the table", |screen| screen.contains("externalsecrets") && screen.contains("SecretSync"));
    console.press("/checkout-credentials namespace=tenant-2\r");
    console.wait("one row, with who uses it", |screen| {
        screen.contains("externalsecrets 1 of") && screen.contains("checkout, ")
    });
}

/// Opens the question of a verb by its key, and says yes once every check has answered.
fn ask(console: &mut Terminal, key: &str, said: &str) {
    console.press(key);
    console.wait("the plan, with every check answered", |screen| {
        screen.contains("you may patch") && screen.contains(said) && !screen.contains("pending:")
    });
    console.answer("y");
}

/// Every file below a directory, as text.
fn files(directory: &Path, found: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn a_leaked_secret_is_rotated_by_keys_and_its_value_is_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().display().to_string();
    let variables =
        [("HOME", folder.as_str()), ("OPSDECK_STATE_DIR", &folder), ("OPSDECK_CONFIG_DIR", &folder)];
    let arguments = ["demo", "--story", "leaked-secret", "--tenants", "3", "--pods-per-tenant", "6"];
    let mut console = Terminal::start(env!("CARGO_BIN_EXE_opsdeck"), &arguments, &variables, (140, 40));
    console.wait("the demo is connected", |screen| screen.contains("k8s live"));
    console.press(":externalsecrets\r");
    console.wait("the table", |screen| screen.contains("externalsecrets") && screen.contains("SecretSync"));
    console.press("/checkout-credentials namespace=tenant-2\r");
    console.wait("one row, with who uses it", |screen| {
        screen.contains("externalsecrets 1 of") && screen.contains("checkout, ")
    });
    console.press("R");
    console.wait("the plan, with every check answered", |screen| {
        screen.contains("Type ") && screen.contains("you may patch") && !screen.contains("pending")
    });
    let plan = console.text();
    for said in [
        "AWS rotates tenant-2/checkout",
        "Reloader restarts deployment/checkout",
        "aws secretsmanager rotate-secret",
    ] {
        assert!(plan.contains(said), "the plan says {said:?}\n{plan}");
    }
    let typed = plan.split("Type ").nth(1).and_then(|rest| rest.split(" to rotate").next());
    let name = typed.expect("the name that must be typed").to_owned();
    console.press(&format!("{name}\tINC-9 leaked\r"));
    console.answer("\r");
    console.wait("every step is named", |screen| screen.contains("every pod started after the change"));
    console.wait("the verdict", |screen| screen.contains("Verified"));
    let end = console.text();
    assert!(end.contains("is AWSCURRENT") && end.contains("by Reloader"), "{end}");
    // The Secrets, as YAML and as a table: metadata alone.
    console.press(":secrets\r");
    console.wait("the Secrets", |screen| screen.contains("secrets ") && screen.contains("ExternalSecret"));
    console.press("y");
    console.wait("its YAML", |screen| screen.contains("managedFields") || screen.contains("metadata:"));
    console.press("\x03");
    assert!(console.end().success());
    let raw = String::from_utf8_lossy(&console.raw).into_owned();
    assert!(!raw.contains(CANARY), "a value was on the screen");
    let mut kept = String::new();
    files(home.path(), &mut kept);
    assert!(kept.contains("INC-9 leaked") && kept.contains("rotated: "), "the record tells of it");
    assert!(!kept.contains(CANARY), "a value is in a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leak_is_an_alert_until_no_pod_uses_what_leaked() {
    let stage = Stage::start("leaked-secret").await;
    let seen = stage.with(|hands| {
        let mut console = hands.console();
        console.wait("the tenant that hurts, and why", |screen| {
            let row =
                |name: &str| screen.lines().position(|line| line.contains(name) && line.contains("prod"));
            let worse = |a: &str, b: &str| row(a).is_some() && row(b).is_some() && row(a) < row(b);
            screen.contains("LeakedSecretInUse fires") && worse("tenant-2", "tenant-1")
        });
        console.press(":alerts\r");
        console.wait("the alert", |screen| screen.contains("LeakedSecretInUse"));
        console.press("/LeakedSecretInUse\r");
        console.wait("it alone, and what it is about", |screen| {
            screen.contains("/LeakedSecretInUse") && screen.contains("secret/checkout-creden")
        });
        select(&mut console);
        ask(&mut console, "R", "AWS rotates tenant-2/checkout");
        console.wait_for("the verdict", PATIENCE, |screen| screen.contains("Verified"));
        console.press("O");
        console.wait("the overview", |screen| screen.contains("What changed"));
        hands.pace(20);
        console.wait_for("the alert is resolved", PATIENCE, |screen| {
            screen.contains("LeakedSecretInUse resolved after")
        });
        console.press("\x03");
        assert!(console.end().success());
        String::from_utf8_lossy(&console.raw).into_owned()
    });
    assert!(!seen.await.contains(CANARY), "a value was on the screen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_killed_is_offered_at_the_next_start_and_goes_on_by_one_key() {
    let stage = Stage::start("quiet").await;
    let killed = stage.with(|hands| {
        let mut console = hands.console();
        select(&mut console);
        // The world stands still, so that AWS has not finished when the console is killed.
        hands.pace(0);
        ask(&mut console, "R", "AWS rotates tenant-2/checkout");
        console.wait("AWS was asked, and is at it", |screen| {
            screen.contains("AWS makes version") && screen.contains("is AWSPENDING")
        });
        console.signal("KILL");
        assert!(!console.end().success());
        hands
    });
    let hands = killed.await;
    assert_eq!(stage.versions().await, 2);
    let again = stage.with(move |_| {
        let mut console = hands.console();
        console.wait("where it stands, and the key", |screen| {
            screen.contains("K goes on with the rotation of checkout-credentials: AWS was asked, and version")
        });
        // It has not gone on by itself.
        assert!(!console.text().contains("AWSCURRENT"), "{}", console.text());
        hands.pace(1);
        ask(&mut console, "K", "is waited for");
        console.wait_for("the verdict", PATIENCE, |screen| screen.contains("Verified"));
        console.press("O");
        console.wait("it is offered no more", |screen| {
            screen.contains("What changed") && !screen.contains("goes on with the rotation")
        });
        console.press("\x03");
        assert!(console.end().success());
        hands.run(&["audit", "verify"])
    });
    let (code, verified) = again.await;
    assert_eq!(code, 0, "{verified}");
    assert!(verified.starts_with("whole: 4 records"), "{verified}");
    assert_eq!(stage.versions().await, 2, "it was rotated once");
    let mut kept = String::new();
    files(stage.still.folder.path(), &mut kept);
    assert!(kept.contains("it was cut off; found later: AWS was asked") && !kept.contains(CANARY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_show_a_rotation_that_fails_and_give_it_up() {
    let stage = Stage::start("rotation-fails").await;
    let end = stage.with(|hands| {
        let mut console = hands.console();
        select(&mut console);
        ask(&mut console, "R", "AWS rotates tenant-2/checkout");
        console.wait_for("which step fails, and what to do", PATIENCE, |screen| {
            // A sentence goes over several lines of the box.
            let said = screen.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
            said.contains("AWS has not finished within 60s")
                && said.contains("--previous gives the rotation up")
        });
        assert!(console.text().contains("Failed"), "{}", console.text());
        select(&mut console);
        ask(&mut console, "V", "AWSPENDING is taken from version");
        console.wait("it is given up", |screen| {
            screen.contains("Verified") && screen.contains("AWSPENDING is taken from version")
        });
        console.press("\x03");
        assert!(console.end().success());
        hands.run(&["audit", "verify"])
    });
    let (code, verified) = end.await;
    assert_eq!(code, 0, "{verified}");
    assert!(verified.starts_with("whole: 4 records"), "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_which_step_fails_and_goes_back_where_aws_can() {
    let stage = Stage::start("rotation-fails").await;
    let scope = ["checkout-credentials", "-n", "tenant-2", "--yes", "--wait"];
    let rotate = |more: &'static [&'static str]| {
        stage.with(move |hands| hands.run(&[&["rotate"][..], &scope, more].concat()))
    };
    let (code, said) = rotate(&["--timeout", "8s"]).await;
    assert_eq!(code, 1, "{said}");
    for part in [
        "AWS has not finished within 8s",
        "nothing has changed for the pods",
        "/aws/lambda/rotate-tenant-2-checkout",
        "opsdeck rotate checkout-credentials --previous gives the rotation up",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Another one is not begun while that one is pending: it is waited for.
    let (code, said) = rotate(&["--timeout", "3s"]).await;
    assert_eq!((code, stage.versions().await), (1, 2), "{said}");
    let (code, said) = rotate(&["--previous"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("verified: AWSPENDING is taken"), "{said}");
    // Once the function works, it is rotated, and the version before is put back by the same way.
    stage.set_failing(false).await;
    let (code, said) = rotate(&[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("verified: rotated: "), "{said}");
    let (code, said) = rotate(&["--previous"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("verified: the previous version is back: "), "{said}");
    let (code, verified) = stage.with(|hands| hands.run(&["audit", "verify"])).await;
    assert_eq!(code, 0, "{verified}");
    assert!(verified.starts_with("whole: 10 records"), "{verified}");
}
