//! An object in the person's editor, in a pseudo-terminal: the terminal goes to the editor and comes back, and nothing is
//! written but what was planned and confirmed.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;

use opsdeck::demo::types::Type;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::story::{audit, is_restored};
use crate::terminal::Terminal;

/// The editor: what it does stands in a file beside it, so that a test can change it. It notes that it has a terminal
/// with echo and lines, as an editor expects one.
const EDITOR: &str = r#"#!/bin/sh
here=$(dirname "$0")
if [ -t 0 ] && [ -t 1 ]; then stty -a > "$here/stty"; fi
cp "$1" "$here/seen"
case $(cat "$here/mode") in
image) sed -i s/web:1.0.0/web:1.1.0/ "$1" ;;
meanwhile)
    "$PROGRAM" scale deployment/web -n tenant-1 --replicas 3 --confirm tenant-1 < /dev/null > "$here/scaled" 2>&1
    sed -i s/web:1.1.0/web:1.2.0/ "$1" ;;
fail) sed -i s/web:/bad:/ "$1"; exit 3 ;;
same) ;;
esac
"#;

/// A Deployment that no Application manages.
fn web() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "tenant-1" },
        "spec": {
            "replicas": 2,
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "selector": { "matchLabels": { "app": "web" } },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "registry.example.com/shop/web:1.0.0" }] },
            },
        },
    })
}

struct Desk {
    cluster: Cluster,
    home: tempfile::TempDir,
}

impl Desk {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let made = cluster.running.handle.call(|world, now| {
            world
                .objects
                .create(Type::Deployment, web(), now)
                .map(|_| ())
                .map_err(|error| format!("{error:?}"))
        });
        made.await.unwrap().unwrap();
        let home = tempfile::tempdir().unwrap();
        let editor = home.path().join("editor");
        std::fs::write(&editor, EDITOR).unwrap();
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { cluster, home }
    }

    fn mode(&self, mode: &str) {
        std::fs::write(self.home.path().join("mode"), mode).unwrap();
    }

    fn note(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path().join(name)).unwrap_or_default()
    }

    /// The console at the Deployment.
    fn console(&self) -> Terminal {
        let folder = self.home.path().display().to_string();
        let kubeconfig = self.cluster.kubeconfig().display().to_string();
        let editor = self.home.path().join("editor").display().to_string();
        let drafts = self.home.path().join("drafts").display().to_string();
        std::fs::create_dir_all(&drafts).unwrap();
        let program = env!("CARGO_BIN_EXE_opsdeck");
        let variables = [
            ("HOME", folder.as_str()),
            ("OPSDECK_STATE_DIR", &folder),
            ("OPSDECK_CONFIG_DIR", &folder),
            ("KUBECONFIG", &kubeconfig),
            ("EDITOR", &editor),
            ("TMPDIR", &drafts),
            ("PROGRAM", program),
        ];
        let mut console = Terminal::start(program, &["deployments"], &variables, (140, 44));
        console.wait("the table", |screen| screen.contains("k8s live") && screen.contains("deployments "));
        console.press("/web namespace=tenant-1\r");
        console.wait("one row", |screen| screen.contains("deployments 1 of"));
        console
    }

    fn records(&self) -> usize {
        let path = self.home.path().join("audit.jsonl");
        std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
    }

    async fn image_and_replicas(&self) -> (String, i64) {
        let taken = self.cluster.running.handle.call(|world, _| {
            let key = opsdeck::demo::objects::Key::new(Type::Deployment, "tenant-1", "web");
            world.objects.get(&key).map(|object| serde_json::from_slice::<Value>(&object.json).unwrap())
        });
        let object = taken.await.unwrap().expect("the Deployment is there");
        let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
        (image.rsplit('/').next().unwrap().to_owned(), object["spec"]["replicas"].as_i64().unwrap())
    }
}

/// Types the name that the question asks for.
fn confirm(console: &mut Terminal) {
    let plan = console.text();
    let name =
        plan.split("Type ").nth(1).and_then(|rest| rest.split(" to ").next()).expect("a name").to_owned();
    console.press(&name);
    console.answer("\r");
}

#[track_caller]
fn planned(console: &mut Terminal) -> String {
    console.wait("the plan", |screen| screen.contains("Type ") && !screen.contains("pending"));
    console.text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_editor_changed_is_rehearsed_shown_confirmed_and_verified_and_a_conflict_keeps_both_changes()
{
    let desk = Desk::start().await;
    desk.mode("image");
    let mut console = desk.console();
    console.press("e");
    let plan = planned(&mut console);
    for said in
        ["registry.example.com/shop/web:1.0.0 ->", "registry.example.com/shop/web:1.1.0", "server dry run"]
    {
        assert!(plan.contains(said), "{said:?} in\n{plan}");
    }
    let stty = desk.note("stty");
    assert!(stty.contains(" icanon") && !stty.contains("-icanon") && !stty.contains("-echo "), "{stty:?}");
    assert!(desk.note("seen").starts_with("# Edit the object below"), "{}", desk.note("seen"));
    // A plan alone writes nothing.
    assert_eq!((desk.image_and_replicas().await, desk.records()), (("web:1.0.0".to_owned(), 2), 0));
    confirm(&mut console);
    console.wait("the verdict", |screen| screen.contains("Verified"));
    assert_eq!(desk.image_and_replicas().await, ("web:1.1.0".to_owned(), 2));

    // Somebody scales it while the editor is open: the edit is refused, and put on top of that by one key.
    desk.mode("meanwhile");
    console.press("\x1b");
    console.wait("the table", |screen| screen.contains("deployments 1 of"));
    console.press("e");
    console.wait("the conflict", |screen| screen.contains("it was changed since you opened it"));
    assert!(console.text().contains("spec.replicas"), "{}\n{}", console.text(), desk.note("scaled"));
    assert_eq!(desk.image_and_replicas().await, ("web:1.1.0".to_owned(), 3), "{}", desk.note("scaled"));
    desk.mode("same");
    console.press("\x05");
    let plan = planned(&mut console);
    assert!(plan.contains("shop/web:1.1.0 ->") && plan.contains("shop/web:1.2.0"), "{plan}");
    assert!(desk.note("seen").contains("# it was changed since you opened it"), "{}", desk.note("seen"));
    confirm(&mut console);
    console.wait("both actions", |screen| screen.contains("Actions of this session  2"));
    console.wait("the second verdict", |screen| screen.matches("Verified").count() > 1);
    assert_eq!(desk.image_and_replicas().await, ("web:1.2.0".to_owned(), 3));
    console.press(":q\r");
    assert!(console.end().success());
    is_restored(&console);
    let record = audit(desk.home.path(), &[]);
    assert!(record.contains("Edit web") && record.contains("Scale web"), "{record}");
    assert!(audit(desk.home.path(), &["verify"]).starts_with("whole: 6 records"), "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_editor_that_fails_or_leaves_the_file_as_it_was_changes_nothing_and_the_console_goes_on() {
    let desk = Desk::start().await;
    let mut console = desk.console();
    for (mode, said) in [("fail", "ended with an error; nothing is changed"), ("same", "nothing was changed")]
    {
        desk.mode(mode);
        console.press("e");
        console.wait(mode, |screen| screen.contains(said));
        assert!(console.is_alternate() && !console.is_cooked(), "the console has the terminal again");
        console.wait("the table is drawn again", |screen| screen.contains("deployments 1 of"));
        assert!(!console.text().contains("Type "), "no question is open\n{}", console.text());
        assert_eq!((desk.image_and_replicas().await, desk.records()), (("web:1.0.0".to_owned(), 2), 0));
    }
    let mut left = std::fs::read_dir(desk.home.path().join("drafts")).unwrap();
    assert!(left.next().is_none(), "the private file of an edit is gone");
    // Keys arrive as before.
    console.press(":pods -n tenant-1\r");
    console.wait("another table", |screen| screen.contains("pods ") && screen.contains("RESTARTS"));
    console.press(":q\r");
    assert!(console.end().success());
    is_restored(&console);
}
