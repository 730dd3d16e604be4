//! The two ways back, in Argo CD and in Git, and promotion: against the embedded platform with the real git program,
//! from the desk and from the command line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use opsdeck::actions::{Mark, Options, Outcome, Plan, Verb};
use opsdeck::app::effect::Effect;
use opsdeck::clock::Clock;
use opsdeck::identity::ObjectRef;
use opsdeck::store::Query;
use serde_json::Value;

use crate::actions::{Bench, assert_line, assert_verified, entry_before, text, to};
use crate::keys::{go, press, with_application};
use crate::stage::context;
use crate::terminal::Terminal;

/// The share of failed requests is one of the last minute: a verdict may wait until that minute is over.
const VERDICT: std::time::Duration = std::time::Duration::from_secs(150);

/// Tells whether the real git is there; where it is not, that is said.
pub fn git_is_installed() -> bool {
    !crate::cluster::missing("git")
}

/// Runs git on a repository of the platform and returns what it printed.
pub fn git(at: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(at)
        .args(arguments)
        .envs([("GIT_AUTHOR_NAME", "maria"), ("GIT_AUTHOR_EMAIL", "maria@example.com")])
        .envs([("GIT_COMMITTER_NAME", "maria"), ("GIT_COMMITTER_EMAIL", "maria@example.com")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn deploy(bench: &Bench) -> PathBuf {
    bench.platform.state().join("deploy.git")
}

/// Lets the time of the world pass.
async fn pass(bench: &Bench, seconds: u64) {
    for _ in 0..seconds {
        bench.clock.advance(Duration::from_secs(1));
        bench.platform.handle.step().await.unwrap();
    }
}

pub fn is(app: &Value, pointer: &str, wanted: &str) -> bool {
    text(app, pointer) == wanted
}

/// Lets the world's time pass until an Application is as it should be.
pub async fn until(bench: &Bench, app: &ObjectRef, what: &str, seen: impl Fn(&Value) -> bool) -> Value {
    let mut document = bench.document(app).await;
    for _ in 0..300 {
        if seen(&document) {
            return document;
        }
        pass(bench, 1).await;
        document = bench.document(app).await;
    }
    panic!("{what}: {document:#}");
}

pub async fn images(bench: &Bench, namespace: &str) -> Vec<String> {
    let pods = bench.list("", "pods", Some(namespace)).await;
    let own = pods.iter().filter(|pod| is(pod, "/metadata/labels/app.kubernetes.io~1name", "checkout"));
    own.map(|pod| text(pod, "/spec/containers/0/image").to_owned()).collect()
}

fn no_line(plan: &Plan, part: &str) {
    assert!(plan.lines.iter().all(|line| !line.text.contains(part)), "{part:?} is in {:#?}", plan.lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_value_in_git_is_cured_by_a_revert_where_a_rollback_would_not_stay() {
    if !git_is_installed() {
        return;
    }
    let mut bench = Bench::start("bad-config-in-git").await;
    let app = bench.checkout(3);
    let before = bench.document(&app).await;
    assert!(is(&before, "/status/health/status", "Degraded"), "{:#}", before["status"]["health"]);
    let (id, _) = entry_before(&before);
    let rollback = bench.plan(Verb::Rollback, &app, to(id)).await;
    assert_line(&rollback, Mark::Stop, "ApplicationSet \"tenants\" owns this app and will revert the hold");
    assert_line(&rollback, Mark::Note, "the other way: revert in Git");

    let plan = bench.plan(Verb::Revert, &app, Options::default()).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert_line(&plan, Mark::From, "let the pools of checkout and inventory shrink to zero  by jonas.weber");
    assert_line(&plan, Mark::Change, "envs/prod/tenant-3/values.yaml: apps.checkout.config");
    assert_line(&plan, Mark::Note, "of others in envs/prod/tenant-3/values.yaml, and stays: apps.inventory");
    assert_line(&plan, Mark::Ok, "auto-sync is on: Argo CD deploys what is pushed");
    assert_line(&plan, Mark::Detail, "-      POOL_SIZE: \"0\"");
    no_line(&plan, "is shared");
    let tip = git(&deploy(&bench), &["rev-parse", "main"]);
    let outcome = bench.run(plan).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.contains("is pushed to main")), "{outcome:?}");
    let file = git(&deploy(&bench), &["show", "main:envs/prod/tenant-3/values.yaml"]);
    assert_eq!(file.matches("POOL_SIZE").count(), 1, "the other keeps it: {file}");
    assert_eq!(git(&deploy(&bench), &["rev-parse", "main^"]), tip);
    let message = git(&deploy(&bench), &["log", "-1", "--format=%B", "main"]);
    assert!(
        message.contains("as far as it concerns tenant-3-checkout") && message.contains("INC-7"),
        "{message}"
    );
    let after = bench.document(&app).await;
    assert!(is(&after, "/status/health/status", "Healthy") && is(&after, "/status/sync/status", "Synced"));
    assert_eq!(bench.desk.audit.verify().unwrap().unwrap().records, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_frozen_window_the_rollback_heals_and_the_revert_makes_it_last() {
    if !git_is_installed() {
        return;
    }
    let mut bench = Bench::start("rollback-in-frozen-window").await;
    let app = bench.checkout(2);
    let revert = bench.plan(Verb::Revert, &app, Options::default()).await;
    assert_line(&revert, Mark::Warn, "is closed for automatic syncs: what is pushed waits for it");
    assert_line(&revert, Mark::Note, "the other way: roll back in Argo CD");
    let before = bench.document(&app).await;
    let (id, _) = entry_before(&before);
    let rollback = bench.plan(Verb::Rollback, &app, to(id)).await;
    assert_line(&rollback, Mark::Note, "one begun by hand is let through");
    let outcome = bench.run(rollback).await;
    assert_verified(&outcome);
    assert!(outcome.detail().contains("revert it in Git, too"), "{outcome:?}");
    assert!(images(&bench, "tenant-2").await.iter().all(|image| image.ends_with(":1.7.4")));

    let revert = bench.plan(Verb::Revert, &app, Options::default()).await;
    assert_line(&revert, Mark::Change, "version: \"1.8.0\" -> \"1.7.4\"");
    assert_line(&revert, Mark::Note, "auto-sync is held by");
    let outcome = bench.run(revert).await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.contains("auto-sync is still held, and can be given back now")),
        "{outcome:?}"
    );
    let release = bench.plan(Verb::ReleaseAutosync, &app, Options::default()).await;
    no_line(&release, "out of sync");
    assert_verified(&bench.run(release).await);
    pass(&bench, 200).await;
    let after = bench.document(&app).await;
    assert!(is(&after, "/status/health/status", "Healthy") && is(&after, "/status/sync/status", "Synced"));
    assert_eq!(after["spec"]["syncPolicy"]["automated"], before["spec"]["syncPolicy"]["automated"]);
    assert!(images(&bench, "tenant-2").await.iter().all(|image| image.ends_with(":1.7.4")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_for_review_changes_nothing_before_somebody_merges_it() {
    if !git_is_installed() {
        return;
    }
    let mut bench = Bench::start("bad-deploy").await;
    let app = bench.checkout(2);
    let plan = bench.plan(Verb::Revert, &app, Options { review: true, ..Options::default() }).await;
    assert_line(&plan, Mark::Note, "nothing is deployed before it is merged into main");
    let branch = plan.git[0].push_to.clone();
    let outcome = bench.run(plan).await;
    assert!(
        matches!(&outcome, Outcome::Accepted(how) if how.starts_with("pushed for review")),
        "{outcome:?}"
    );
    let at = deploy(&bench);
    let (tip, review) = (git(&at, &["rev-parse", "main"]), git(&at, &["rev-parse", &branch]));
    pass(&bench, 240).await;
    let still = bench.document(&app).await;
    assert_eq!(text(&still, "/status/sync/revision"), tip);
    // Merged by its reviewer, it is noticed as what CI pushes is.
    git(&at, &["update-ref", "refs/heads/main", &review, &tip]);
    let after = until(&bench, &app, "the merge is deployed", |app| {
        is(app, "/status/sync/revision", &review) && is(app, "/status/health/status", "Healthy")
    })
    .await;
    assert!(is(&after, "/status/sync/status", "Synced"));
}

/// Runs the program beside a platform whose time runs fast, and returns its code and what it printed.
pub async fn program(bench: &Bench, folder: &Path, arguments: &[&str]) -> (i32, String) {
    std::fs::write(folder.join("config.toml"), "[contexts.\"*\"]\nenvironment = \"prod\"\n").unwrap();
    let config = bench.platform.write_git_config().unwrap();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_opsdeck"))
        .args(arguments)
        .env("KUBECONFIG", &bench.platform.kubeconfig)
        .env("OPSDECK_STATE_DIR", folder)
        .env("OPSDECK_CONFIG_DIR", folder)
        .env("OPSDECK_CACHE_DIR", folder.join("cache"))
        .env("HOME", folder)
        .env("GIT_CONFIG_GLOBAL", config)
        .env("RUST_BACKTRACE", "0")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let world = async {
        // A hundred times as fast as real time, and no faster: the program needs the processor, too.
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            pass(bench, 1).await;
        }
    };
    let output = tokio::select! {
        output = tokio::time::timeout(Duration::from_mins(2), output) => output.unwrap().unwrap(),
        () = world => unreachable!(),
    };
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).join("\n");
    (output.status.code().unwrap(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_command_line_a_revert_is_planned_refused_without_the_name_and_verified_with_it() {
    if !git_is_installed() {
        return;
    }
    let bench = Bench::start_at("bad-config-in-git", None, false, Clock::system().now()).await;
    let folder = tempfile::tempdir().unwrap();
    let name = "tenant-3-checkout";
    let (code, said) = program(&bench, folder.path(), &["revert", name, "--plan", "-o", "json"]).await;
    assert_eq!(code, 0, "{said}");
    let plan: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(plan["plan"]["request"]["verb"], "revert");
    assert_eq!(plan["plan"]["git"][0]["branch"], "main");
    let (code, said) = program(&bench, folder.path(), &["revert", name, "--yes", "--wait"]).await;
    assert_eq!(code, 3, "{said}");
    let arguments = ["revert", name, "--confirm", "tenant-3", "--reason", "INC-7", "--wait", "-o", "json"];
    let (code, said) = program(&bench, folder.path(), &arguments).await;
    assert_eq!(code, 0, "{said}");
    let end: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(end["outcome"], "verified", "{said}");
    let (code, said) =
        program(&bench, folder.path(), &["promote", name, "--from", "nowhere", "--to", "prod", "--plan"])
            .await;
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("there is no folder of nowhere beside one of prod"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_command_line_a_frozen_window_is_worked_both_ways() {
    if !git_is_installed() {
        return;
    }
    let bench = Bench::start_at("rollback-in-frozen-window", None, false, Clock::system().now()).await;
    let folder = tempfile::tempdir().unwrap();
    let name = "tenant-2-checkout";
    let confirmed = ["--confirm", "tenant-2", "--reason", "INC-7", "--wait"];
    let with = |first: &[&'static str]| [first, &confirmed[..]].concat();
    let (code, said) = program(&bench, folder.path(), &with(&["rollback", name])).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("is let through") && said.contains("verified: "), "{said}");
    let (code, said) = program(&bench, folder.path(), &with(&["revert", name])).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("auto-sync is still held, and can be given back now"), "{said}");
    let (code, said) = program(&bench, folder.path(), &with(&["autosync", "on", name])).await;
    assert_eq!(code, 0, "{said}");
}

/// The version that a version file of the platform says of an application.
fn version_in(file: &str, app: &str) -> String {
    let document: Value = serde_saphyr::from_str(file).unwrap();
    text(&document, &format!("/apps/{app}/version")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_command_line_a_version_is_promoted_for_review_and_then_to_the_tracked_branch_and_verified()
{
    if !git_is_installed() {
        return;
    }
    let bench = Bench::start_sized("quiet", None, false, Clock::system().now(), 8).await;
    let folder = tempfile::tempdir().unwrap();
    let (app, at) = (bench.checkout(2), deploy(&bench));
    let promote = ["promote", "tenant-2-checkout", "--from", "staging", "--to", "prod"];
    let confirmed = ["--confirm", "tenant-2", "--reason", "REL-3", "--wait"];
    let (file, source) = ("envs/prod/tenant-2/version.yaml", "envs/staging/tenant-2/version.yaml");
    let at_tip = |path: &str| git(&at, &["show", &format!("main:{path}")]);
    let (tip, before) = (git(&at, &["rev-parse", "main"]), at_tip(file));
    let wanted = version_in(&at_tip(source), "checkout");
    let had = version_in(&before, "checkout");
    assert_ne!(wanted, had, "the two environments run different versions");

    // For review: a branch beside the tracked one, which stays where it was, and what is to be done next.
    let (code, said) =
        program(&bench, folder.path(), &[&promote[..], &["--branch"], &confirmed].concat()).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("accepted: pushed for review: "), "{said}");
    assert!(said.contains("nothing changes before it is merged into main"), "{said}");
    let branches = git(&at, &["for-each-ref", "--format=%(refname:short)", "refs/heads/opsdeck/"]);
    assert!(branches.starts_with("opsdeck/promote-tenant-2-checkout-"), "{branches}");
    assert!(said.contains(&format!("in branch {branches} of ")), "{said}");
    assert_eq!(git(&at, &["rev-parse", "main"]), tip);
    let reviewed = git(&at, &["show", &format!("{branches}:{file}")]);
    assert_eq!(version_in(&reviewed, "checkout"), wanted);
    assert_eq!(git(&at, &["rev-parse", &format!("{branches}^")]), tip);
    assert!(images(&bench, "tenant-2").await.iter().all(|image| image.ends_with(&format!(":{had}"))));

    // To the tracked branch: followed until the pods of the version are ready.
    let arguments = [&promote[..], &confirmed, &["-o", "json"]].concat();
    let (code, said) = program(&bench, folder.path(), &arguments).await;
    assert_eq!(code, 0, "{said}");
    let end: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(end["outcome"], "verified", "{said}");
    assert!(text(&end, "/detail").contains("its pods are ready"), "{said}");
    assert_eq!(git(&at, &["rev-parse", "main^"]), tip);
    let message = git(&at, &["log", "-1", "--format=%B", "main"]);
    assert!(message.starts_with("Promote tenant-2-checkout from staging to prod"), "{message}");
    assert!(message.contains("REL-3"), "{message}");
    let parts = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap()["apps"].clone();
    let mut expected = parts(&before);
    expected["checkout"] = parts(&at_tip(source))["checkout"].clone();
    assert_eq!(parts(&at_tip(file)), expected, "the others of the file stay as they are");
    let document = bench.document(&app).await;
    assert!(
        is(&document, "/status/sync/status", "Synced") && is(&document, "/status/health/status", "Healthy")
    );
    let running = images(&bench, "tenant-2").await;
    assert!(
        !running.is_empty() && running.iter().all(|image| image.ends_with(&format!(":{wanted}"))),
        "{running:?}"
    );

    // A second time there is nothing to bring.
    let (code, said) = program(&bench, folder.path(), &[&promote[..], &["--plan"]].concat()).await;
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("prod has the version of staging already"), "{said}");
}

#[test]
fn the_two_ways_back_lead_to_each_other_by_one_key_and_a_key_alone_writes_nothing() {
    let mut stage = with_application();
    let list = stage.state.kinds.find("applications").unwrap().resource.clone();
    stage.show(&Query::all(&context(), &list));
    let asked = |effects: &[Effect]| match effects {
        [Effect::Plan { request, .. }] => (**request).clone(),
        other => panic!("{other:?}"),
    };
    let request = asked(&press(&mut stage, &["R"]));
    assert_eq!((request.verb, request.options.history_id), (Verb::Rollback, Some(41)));
    let request = asked(&press(&mut stage, &["ctrl-v"]));
    assert_eq!((request.verb, request.options.to_revision.as_deref()), (Verb::Revert, Some("41")));
    assert_eq!((request.options.history_id, request.options.hold_minutes), (None, None));
    let request = asked(&press(&mut stage, &["ctrl-r"]));
    assert!(request.options.review);
    let request = asked(&press(&mut stage, &["ctrl-v"]));
    assert_eq!((request.verb, request.options.history_id), (Verb::Rollback, Some(41)));
    assert!(!request.options.review && request.options.hold_minutes.is_some());
    press(&mut stage, &["esc"]);
    let request = asked(&press(&mut stage, &["V"]));
    assert_eq!((request.verb, request.options.to_revision), (Verb::Revert, None));
    press(&mut stage, &["esc"]);
    let request = asked(&go(&mut stage, "promote staging prod"));
    assert_eq!(request.verb, Verb::Promote);
    assert_eq!(request.options.from_environment.as_deref(), Some("staging"));
}

/// The demo in a pseudo-terminal, with directories of its own.
fn console(home: &Path, story: &str) -> Terminal {
    let folder = home.display().to_string();
    let names = ["HOME", "OPSDECK_STATE_DIR", "OPSDECK_CONFIG_DIR", "OPSDECK_CACHE_DIR"];
    let variables = names.map(|name| (name, folder.as_str()));
    let program = env!("CARGO_BIN_EXE_opsdeck");
    let arguments = ["demo", "--story", story, "--tenants", "4", "--pods-per-tenant", "8", "--nodes", "6"];
    Terminal::start(program, &arguments, &variables, (140, 44))
}

/// Opens an Application and asks with a key; returns the plan when every check has answered.
fn plan_by_keys(console: &mut Terminal, name: &str, key: &str) -> String {
    console.wait("connected", |screen| screen.contains("k8s live") && screen.contains("argo live"));
    console.press(":applications\r");
    console.wait("the table", |screen| screen.contains("applications") && screen.contains(" of "));
    console.press(&format!("/{name}\r"));
    console.wait("one row", |screen| screen.contains("applications 1 of"));
    console.press("\r");
    console.wait("the application", |screen| screen.contains(&format!("application argocd/{name}")));
    console.press(key);
    console.wait("the plan", |screen| screen.contains("Type ") && !screen.contains("pending"));
    console.text()
}

#[test]
fn from_key_presses_a_bad_value_is_reverted_in_git_and_verified() {
    if !git_is_installed() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut console = console(home.path(), "bad-config-in-git");
    // The rollback first: its plan says why it would not stay, and the other way is one key away.
    console.wait("connected", |screen| screen.contains("k8s live") && screen.contains("argo live"));
    console.press(":applications\r");
    console.wait("the table", |screen| screen.contains("✗ Degraded"));
    console.press("/tenant-3-checkout\r");
    console.wait("one row", |screen| screen.contains("applications 1 of"));
    console.press("R");
    console.wait("who reverts the hold", |screen| screen.contains("will revert the hold"));
    console.press("\x16");
    console.wait("the plan of the revert", |screen| {
        screen.contains("Revert in Git") && screen.contains("jonas.weber") && !screen.contains("pending")
    });
    let plan = console.text();
    for said in ["values.yaml", "stays: apps.inventory", "auto-sync is on"] {
        assert!(plan.contains(said), "the plan says {said:?}\n{plan}");
    }
    console.press("tenant-3\t");
    console.press("INC-7 the pool is empty\r");
    console.answer("\r");
    console.wait_for("the verdict", VERDICT, |screen| screen.contains("Verified"));
    console.press(":q\r");
    assert!(console.end().success());
}

#[test]
fn from_key_presses_a_rollback_goes_through_a_frozen_window() {
    if !git_is_installed() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut console = console(home.path(), "rollback-in-frozen-window");
    let plan = plan_by_keys(&mut console, "tenant-2-checkout", "V");
    assert!(plan.contains("what is pushed waits"), "{plan}");
    console.press("\x16");
    console.wait("the plan of the rollback", |screen| {
        screen.contains("Roll back") && screen.contains("is let through") && !screen.contains("pending")
    });
    console.press("tenant-2");
    console.answer("\r");
    console.wait_for("the verdict", VERDICT, |screen| screen.contains("Verified"));
    // What lasts: the same key on the action that has ended, and the footer names it.
    assert!(console.text().contains("V revert in Git"), "one key is offered\n{}", console.text());
    console.press("V");
    console.wait("the plan of the revert", |screen| {
        screen.contains("Revert in Git") && screen.contains("1.7.4") && !screen.contains("pending")
    });
    console.press("tenant-2");
    console.answer("\r");
    console.wait("both actions", |screen| screen.contains("Actions of this session  2"));
    console.wait_for("its verdict", VERDICT, |screen| screen.contains("still held"));
    console.press(":q\r");
    assert!(console.end().success());
}
