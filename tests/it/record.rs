//! The record on screen: the list with its filters, an entry whole, and the way to take one back.

use std::sync::Arc;

use jiff::SignedDuration;
use opsdeck::actions::Verb;
use opsdeck::app::effect::Effect;
use opsdeck::app::history::View;
use opsdeck::audit::{Audit, Changed, Check, Ending, Intent, Who};
use opsdeck::identity::{Context, Target};
use opsdeck::kinds::Object;
use opsdeck::runner::record;
use opsdeck::store::Query;
use serde_json::{Value, json};

use crate::keys::{press, type_in};
use crate::screens::snapshots;
use crate::stage::{self, Stage, context, now};

fn intent(verb: &str, plural: &str, name: &str, tenant: Option<&str>) -> Intent {
    let group = if plural == "applications" { "argoproj.io" } else { "" };
    Intent {
        context: context(),
        environment: "prod".to_owned(),
        protected: true,
        verb: verb.to_owned(),
        targets: vec![Target {
            object: stage::object(group, plural, if group.is_empty() { "" } else { "argocd" }, name),
            uid: "u-1".into(),
            resource_version: "71".into(),
        }],
        tenant: tenant.map(ToOwned::to_owned),
        title: format!("{verb} {name} in prod-eu-1 (PROD)"),
        options: json!({}),
        who: Who { server: "kim@example.com".to_owned(), local: "kim on laptop".to_owned() },
        reason: "OPS-812".to_owned(),
        confirmation: format!("typed {name}"),
        checks: vec![
            Check { mark: "ok".to_owned(), text: format!("you may patch {plural}") },
            Check { mark: "warn".to_owned(), text: "the node is being removed".to_owned() },
        ],
        command: format!("kubectl {verb} {name}"),
        holds: Vec::new(),
        changes: Vec::new(),
        undoes: None,
        rule: Some("production (default)".to_owned()),
    }
}

/// A record of four actions: one done, one refused, one in another context, and one without an end.
async fn entries() -> Vec<Arc<Object>> {
    let home = tempfile::tempdir().unwrap();
    let audit = Audit::at(home.path().join("audit.jsonl"));
    let node = stage::object("", "nodes", "", "ip-10-0-3-17");
    let ending = |outcome: &str, detail: &str, changes: Vec<Changed>| Ending {
        outcome: outcome.to_owned(),
        detail: detail.to_owned(),
        steps: vec![Check { mark: "done".to_owned(), text: "mark the node".to_owned() }],
        after: Vec::new(),
        duration_ms: 2_400,
        changes,
        made: Vec::new(),
    };
    let changed = Changed {
        object: node,
        field: "/spec/unschedulable".to_owned(),
        before: Value::Null,
        after: json!(true),
        withheld: false,
    };
    let cordon = intent("cordon", "nodes", "ip-10-0-3-17", None);
    let elsewhere = Intent { context: Context::new("dev-eu-1"), ..cordon.clone() };
    let done = |changed: &Changed| ending("verified", "ip-10-0-3-17 is unschedulable", vec![changed.clone()]);
    let at = |minutes| now() - SignedDuration::from_mins(minutes);
    for (id, intent, ending, minutes) in [
        ("19a0-1", elsewhere, Some(done(&changed)), 3_000),
        ("19b0-2", cordon, Some(done(&changed)), 90),
        (
            "19c0-3",
            intent("rollback", "applications", "tenant-2-checkout", Some("tenant-2")),
            Some(ending("refused", "the sync window freeze is closed until 18:00", Vec::new())),
            20,
        ),
        ("19d0-4", intent("sync", "applications", "tenant-7-cart", Some("tenant-7")), None, 2),
    ] {
        let begun = audit.begin(id, intent, at(minutes)).await.unwrap();
        if let Some(ending) = ending {
            audit.end(begun, ending, at(minutes)).await.unwrap();
        }
    }
    record::objects(&audit, now()).unwrap()
}

async fn desk() -> Stage {
    let mut stage = Stage::new();
    let query = Query::all(&context(), &opsdeck::kinds::record::records());
    stage.fill(&query, entries().await);
    press(&mut stage, &["ctrl-o"]);
    stage
}

fn names(stage: &mut Stage) -> Vec<String> {
    stage.state.settle(&stage.store);
    let Some(View::Table(table)) = stage.state.views.last() else { panic!("no table") };
    (0..table.len())
        .filter_map(|row| table.object(&stage.store, row).map(|object| object.name.to_string()))
        .collect()
}

#[tokio::test]
async fn the_record_is_a_table_with_the_filters_of_tables_and_each_entry_is_shown_whole() {
    let mut stage = desk().await;
    snapshots("record", &mut stage);
    stage.state.size = (120, 40);
    for (filter, expected) in [
        ("verb=cordon", vec!["19b0-2", "19a0-1"]),
        ("tenant=tenant-2", vec!["19c0-3"]),
        ("outcome=unfinished", vec!["19d0-4"]),
        ("age<1h", vec!["19d0-4", "19c0-3"]),
        ("who=~kim undo=yes", vec!["19b0-2", "19a0-1"]),
    ] {
        press(&mut stage, &["/"]);
        type_in(&mut stage, filter);
        press(&mut stage, &["enter"]);
        assert_eq!(names(&mut stage), expected, "{filter}");
        press(&mut stage, &["esc"]);
    }
    press(&mut stage, &["/"]);
    type_in(&mut stage, "19b0");
    press(&mut stage, &["enter", "d"]);
    snapshots("record-entry", &mut stage);
}

#[tokio::test]
async fn an_entry_is_taken_back_by_one_key_that_asks_or_says_why_not() {
    let mut stage = desk().await;
    let mut chosen = |filter: &str| {
        press(&mut stage, &["/"]);
        type_in(&mut stage, filter);
        press(&mut stage, &["enter"]);
        let effects = press(&mut stage, &["U"]);
        let said = stage.state.status.as_ref().map_or_else(String::new, |status| status.text.clone());
        let asked = stage.state.overlay.take().is_some();
        press(&mut stage, &["esc"]);
        (effects, said, asked)
    };
    let (effects, _, asked) = chosen("19b0");
    assert!(asked, "a question, and no write");
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(request.verb, Verb::Undo);
    assert_eq!(request.options.undoes.as_ref().map(|undoes| undoes.entry.as_str()), Some("19b0-2"));
    for (filter, why) in [
        ("19a0", "it was done in dev-eu-1: open that context"),
        ("19c0", "nothing was changed (refused)"),
        ("19d0", "it has no end yet"),
    ] {
        let (effects, said, asked) = chosen(filter);
        assert!(effects.is_empty() && !asked && said.contains(why), "{filter}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_act_at_once_lose_no_line_and_keep_one_chain() {
    use opsdeck::demo::platform::{Options as Start, Platform};
    use opsdeck::demo::world;
    const ROUNDS: usize = 6;
    opsdeck::install_crypto_provider();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "[contexts.\"*\"]\nenvironment = \"dev\"\n").unwrap();
    let world = world::Options {
        tenants: 2,
        pods_per_tenant: 6,
        nodes: 4,
        alive: false,
        story: "quiet".to_owned(),
        ..world::Options::default()
    };
    let platform = Platform::start(Start { world, ..Start::default() }).await.unwrap();
    let run = async |arguments: &[&str]| {
        let output = crate::program::opsdeck()
            .args(arguments)
            .env("KUBECONFIG", &platform.kubeconfig)
            .env("OPSDECK_STATE_DIR", home.path())
            .env("OPSDECK_CONFIG_DIR", home.path())
            .env("HOME", home.path())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(std::time::Duration::from_mins(1), output).await.unwrap().unwrap();
        let all = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&all).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    let reason = |console: &str, round: usize| format!("console {console}, round {round}");
    for round in 0..ROUNDS {
        // Begun at the same moment: both wait for the lock of the same file.
        let (one, other) = (reason("one", round), reason("other", round));
        let restart = ["restart", "deployment/checkout", "--yes"];
        let mine = [&restart[..], &["-n", "tenant-1", "--reason", &one]].concat();
        let theirs = [&restart[..], &["-n", "tenant-2", "--reason", &other]].concat();
        tokio::join!(run(&mine), run(&theirs));
    }
    let verified = run(&["audit", "verify"]).await;
    assert!(verified.starts_with(&format!("whole: {} records", ROUNDS * 4)), "{verified}");
    let text = std::fs::read_to_string(home.path().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for round in 0..ROUNDS {
        for console in ["one", "other"] {
            let before: Vec<&Value> =
                lines.iter().filter(|line| line["reason"] == reason(console, round)).collect();
            let [before] = before.as_slice() else { panic!("{console} {round}: {before:#?}") };
            let of = |line: &&Value| line["id"] == before["id"];
            assert_eq!(lines.iter().filter(of).count(), 2, "one line before and one after: {}", before["id"]);
        }
    }
    // The order of the chain is the order of the file, whoever wrote a line.
    assert!(lines.iter().map(|line| line["seq"].as_u64().unwrap()).eq(1..=lines.len() as u64));
}
