//! What waits for the person, also after a restart: holds of auto-sync, actions that have no end.

use std::process::Command as Program;

use jiff::SignedDuration;
use opsdeck::actions::Verb;
use opsdeck::app::action::Action;
use opsdeck::app::effect::Effect;
use opsdeck::app::message::Message;
use opsdeck::app::running::Cut;
use opsdeck::app::update::update;
use opsdeck::audit::{Audit, Held, Intent, Who};
use opsdeck::identity::Target;
use serde_json::{Value, json};

use crate::keys::press;
use crate::stage::{self, Stage, context, now, object, text};
use crate::terminal::Terminal;

/// An Application of the stage whose auto-sync is held, with so many seconds left.
fn held(name: &str, left: i64, policy: &Value) -> Value {
    let mut application = stage::application();
    let until = now() + SignedDuration::from_secs(left);
    let note = json!({"by": "kim@example.com (kim on laptop)", "at": stage::ago(3_600), "until": until.to_string(),
        "reason": "checkout \u{1b}[2J1.8.0 crash-loops", "action": "a-1",
        "automated": {"prune": true, "selfHeal": true}});
    application["metadata"]["name"] = json!(name);
    application["metadata"]["uid"] = json!(format!("uid-{name}"));
    application["metadata"]["annotations"] = json!({"opsdeck.dev/autosync-held": note.to_string()});
    application["spec"]["syncPolicy"]["automated"] = policy.clone();
    application
}

pub(crate) fn holds() -> Stage {
    let mut stage = Stage::new();
    stage.list("namespaces", &[stage::namespace("tenant-2"), stage::namespace("tenant-3")]);
    stage.list("pods", &stage::pods());
    let off = json!({"enabled": false, "prune": true, "selfHeal": true});
    let on = json!({"enabled": true, "prune": true, "selfHeal": true});
    stage.list(
        "applications",
        &[
            held("tenant-2-checkout", 1_380, &off),
            held("tenant-2-payments", -190, &off),
            held("tenant-3-search", 300, &on),
        ],
    );
    stage.state.settle(&stage.store);
    stage
}

pub(crate) fn cut() -> Stage {
    let mut stage = Stage::new();
    let one = |id: &str, minutes: i64, title: &str, holds: &[&str]| Cut {
        id: id.to_owned(),
        at: now() - SignedDuration::from_mins(minutes),
        title: title.to_owned(),
        who: "kim@example.com (kim on laptop)".to_owned(),
        holds: holds.iter().map(ToString::to_string).collect(),
    };
    let cut = vec![
        one("1", 1_500, "Restart checkout, tenant-2 in prod-eu-1 (PROD)", &[]),
        one("2", 12, "Roll back checkout, tenant-2 in prod-eu-1 (PROD)", &["tenant-2-checkout"]),
    ];
    update(&mut stage.state, &stage.store, Action::Said(Message::Cut(cut)));
    stage
}

pub(crate) fn cut_seen() -> Stage {
    let mut stage = cut();
    press(&mut stage, &["ctrl-g"]);
    stage
}

#[track_caller]
fn asks(effects: &[Effect], verb: Verb, name: &str) {
    match effects {
        [Effect::Plan { request, .. }] => {
            assert_eq!(request.verb, verb);
            assert_eq!(request.targets.len(), 1);
            assert_eq!(&*request.targets[0].object.name, name);
            assert_eq!(&*request.targets[0].uid, format!("uid-{name}"));
        }
        other => panic!("no question but {other:?}"),
    }
}

#[test]
fn a_hold_that_is_over_is_offered_back_with_one_key_and_one_that_lasts_is_not() {
    let mut stage = holds();
    let screen = text(&stage.draw(120, 40).0);
    for said in [
        "B gives auto-sync of tenant-2-payments back: its hold is over since 3m10s",
        "over since 3m10s",
        "23m left",
        "switched on again past the console",
        "by kim@example.com (kim on laptop), 60m ago: checkout 1.8.0 crash-loops",
    ] {
        assert!(screen.contains(said), "{said:?} in\n{screen}");
    }
    asks(&press(&mut stage, &["B"]), Verb::ReleaseAutosync, "tenant-2-payments");

    let mut early = holds();
    early.state.now = now() - SignedDuration::from_secs(200);
    assert!(press(&mut early, &["B"]).is_empty(), "nothing is over yet");
    let screen = text(&early.draw(120, 40).0);
    assert!(!screen.contains("gives auto-sync"), "{screen}");
}

#[test]
fn a_hold_is_selected_in_its_panel_and_given_back_before_its_end() {
    let mut stage = holds();
    // Ordered by their ends: payments, search, checkout.
    asks(&press(&mut stage, &["tab", "tab", "j", "j", "a"]), Verb::ReleaseAutosync, "tenant-2-checkout");
    // What is on again has nothing to give back: the key means holding it.
    let mut stage = holds();
    asks(&press(&mut stage, &["tab", "tab", "j", "a"]), Verb::HoldAutosync, "tenant-3-search");
    // Only one tenant's holds are shown where only one tenant is looked at.
    let mut stage = holds();
    stage.state.scope.tenant = Some("tenant-3".into());
    stage.state.settle(&stage.store);
    assert!(!text(&stage.draw(120, 40).0).contains("23m left"));
}

#[test]
fn an_action_without_an_end_is_said_until_it_was_looked_at() {
    let mut stage = cut();
    let notice = "ctrl-g shows what was begun earlier and has no end: Roll back checkout";
    let screen = text(&stage.draw(120, 40).0);
    assert!(screen.contains(notice), "{screen}");
    press(&mut stage, &["ctrl-g"]);
    let screen = text(&stage.draw(120, 40).0);
    assert!(!screen.contains(notice), "{screen}");
    for said in [
        "without an end in the audit  2",
        "auto-sync of tenant-2-checkout may still be held",
        "Restart checkout",
    ] {
        assert!(screen.contains(said), "{said:?} in\n{screen}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_of_an_action_is_told_at_the_next_start_and_by_the_audit() {
    let home = tempfile::tempdir().unwrap();
    let application = object("argoproj.io", "applications", "argocd", "tenant-2-checkout");
    let intent = Intent {
        context: context(),
        environment: "prod".to_owned(),
        protected: true,
        verb: "rollback".to_owned(),
        targets: vec![Target { object: application.clone(), uid: "u".into(), resource_version: "1".into() }],
        title: "Roll back checkout, tenant-2 in prod-eu-1 (PROD)".to_owned(),
        options: json!({}),
        who: Who { server: "kim@example.com".to_owned(), local: "kim on laptop".to_owned() },
        reason: String::new(),
        confirmation: "typed tenant-2".to_owned(),
        checks: Vec::new(),
        command: "argocd app rollback checkout 41".to_owned(),
        holds: vec![Held { object: application, automated: json!({"prune": true}) }],
        changes: Vec::new(),
        undoes: None,
        tenant: None,
        rule: None,
    };
    // The record before is on the disk, and the process that would write the one after is gone.
    let audit = Audit::at(home.path().join("audit.jsonl"));
    audit.begin("cut-1", intent, now()).await.unwrap();

    let folder = home.path().display().to_string();
    let program = env!("CARGO_BIN_EXE_opsdeck");
    let variables = variables_of(&folder);
    let printed =
        Program::new(program).args(["audit", "--since", "1s"]).env_clear().envs(variables).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("Roll back checkout") && printed.contains("1 action has no end"), "{printed}");

    tokio::task::spawn_blocking(move || {
        let mut console =
            Terminal::start(program, &["demo", "--story", "quiet"], &variables_of(&folder), (120, 30));
        console.wait("the notice", |screen| screen.contains("has no end: Roll back checkout"));
        console.press("\x07");
        console
            .wait("the action", |screen| screen.contains("auto-sync of tenant-2-checkout may still be held"));
        console.press("\x03");
        assert!(console.end().success());
    })
    .await
    .unwrap();
}

#[cfg(unix)]
fn variables_of(folder: &str) -> [(&str, &str); 3] {
    [("HOME", folder), ("OPSDECK_STATE_DIR", folder), ("OPSDECK_CONFIG_DIR", folder)]
}
