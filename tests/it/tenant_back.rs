//! A whole tenant goes back at once: from a key on the overview, a line of the palette and the command line, to the
//! verified end or to the first failure, with what was not begun.

use opsdeck::actions::{Mark, Outcome, Request, Verb};
use opsdeck::app::effect::Effect;
use opsdeck::clock::Clock;
use opsdeck::demo::images::{Behaviour, Image};
use serde_json::{Value, json};

use crate::actions::{Bench, assert_line, text};
use crate::git_ways::program;
use crate::keys::{go, press};
use crate::stage::{self, Stage};

/// The production Applications of a tenant, by name.
async fn applications(bench: &Bench, tenant: &str) -> Vec<Value> {
    let mut all = bench.list("argoproj.io", "applications", Some("argocd")).await;
    all.retain(|app| text(app, "/spec/destination/namespace") == tenant);
    all.sort_by_key(|app| text(app, "/metadata/name").to_owned());
    all
}

/// The entry that an Application goes back to: the newest with another revision than the newest.
fn goes_to(app: &Value) -> (i64, String) {
    let history = app["status"]["history"].as_array().unwrap();
    let newest = text(history.last().unwrap(), "/revision");
    let entry = history.iter().rev().find(|entry| text(entry, "/revision") != newest).unwrap();
    (entry["id"].as_i64().unwrap(), text(entry, "/revision").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_command_line_a_tenant_goes_back_by_sync_wave_each_application_to_its_own_entry() {
    let bench = Bench::start_at("bad-deploy", None, false, Clock::system().now()).await;
    let folder = tempfile::tempdir().unwrap();
    let before = applications(&bench, "tenant-2").await;
    assert!(before.len() > 1, "a tenant of several Applications");
    let (code, said) = program(&bench, folder.path(), &["rollback", "--tenant", "tenant-2", "--plan"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("Roll back {} Applications, tenant-2 in ", before.len())), "{said}");
    assert!(said.contains("and the first failure ends it: "), "{said}");
    for app in &before {
        let line = format!("{}: #{}", text(app, "/metadata/name"), goes_to(app).0);
        assert!(said.contains(&line), "{line} in {said}");
    }
    let (code, said) = program(&bench, folder.path(), &["rollback", "--tenant", "tenant-2", "--yes"]).await;
    assert_eq!(code, 3, "the name is asked for: {said}");
    let confirmed = ["--confirm", "tenant-2", "--reason", "INC-7", "--wait", "-o", "json"];
    let arguments = [&["rollback", "--tenant", "tenant-2"][..], &confirmed].concat();
    let (code, said) = program(&bench, folder.path(), &arguments).await;
    assert_eq!(code, 0, "{said}");
    let end: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(end["outcome"], "verified", "{said}");
    for (was, is) in before.iter().zip(applications(&bench, "tenant-2").await) {
        let (name, (_, revision)) = (text(was, "/metadata/name"), goes_to(was));
        assert!(text(&end, "/detail").contains(&format!("{name}: {}", &revision[..7])), "{name}: {said}");
        assert_eq!(text(&is, "/status/operationState/syncResult/revision"), revision, "{name}");
        assert_eq!(text(&is, "/status/health/status"), "Healthy", "{name}");
        if was.pointer("/spec/syncPolicy/automated").is_some() {
            assert_eq!(is["spec"]["syncPolicy"]["automated"]["enabled"], false, "{name} is held");
        }
    }
    let (code, said) = program(&bench, folder.path(), &["rollback", "--tenant", "tenant-9", "--plan"]).await;
    assert_ne!(code, 0);
    assert!(said.contains("there is no tenant tenant-9") && said.contains("did you mean tenant-"), "{said}");
    let (code, said) = program(&bench, folder.path(), &["rollback", "--plan"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--tenant NAME for all that a tenant has"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_does_not_get_well_stops_at_the_first_failure_and_says_what_was_not_begun() {
    let mut bench = Bench::start("bad-deploy").await;
    let apps = applications(&bench, "tenant-2").await;
    let names: Vec<&str> = apps.iter().map(|app| text(app, "/metadata/name")).collect();
    assert_eq!(names[0], "tenant-2-checkout", "the first in the order, and the one that fails");
    // What it goes back to is bad, too.
    let bad = Image::new("registry.example.com/shop/checkout", "1.7.4");
    let pods = bench.list("", "pods", Some("tenant-2")).await;
    let own = pods.iter().find(|pod| text(pod, "/metadata/labels/app.kubernetes.io~1name") == "checkout");
    let repository = Image::parse(text(own.unwrap(), "/spec/containers/0/image")).repository;
    let bad = Image { repository, ..bad };
    bench.platform.handle.call(move |world, _| world.images.set(bad, Behaviour::Crash)).await.unwrap();
    let mut request = Request {
        verb: Verb::Rollback,
        targets: Vec::new(),
        options: opsdeck::actions::Options::default(),
        reason: "INC-7".to_owned(),
        tenant: Some("tenant-2".to_owned()),
    };
    for name in &names {
        let object = bench.object("argoproj.io", "applications", Some("argocd"), name);
        request.targets.push(opsdeck::actions::resolve(&bench.desk, &object).await.unwrap());
    }
    let (drafts, _kept) = tokio::sync::mpsc::channel(64);
    let plan = opsdeck::actions::plan(&bench.desk, request, &drafts).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert_line(&plan, Mark::Note, &format!("and the first failure ends it: {}", names.join(", ")));
    let outcome = bench.run(plan).await;
    let not_begun = format!("; not begun: {}", names[1..].join(", "));
    assert!(
        matches!(&outcome, Outcome::Failed(why) if why.starts_with(&format!("0 of {} done; tenant-2-checkout: ", names.len()))
            && why.contains("does not roll out") && why.ends_with(&not_begun)),
        "{outcome:?}"
    );
    for (was, is) in apps.iter().zip(applications(&bench, "tenant-2").await).skip(1) {
        assert_eq!(was["status"]["history"], is["status"]["history"], "{}", text(was, "/metadata/name"));
        assert_eq!(was["spec"]["syncPolicy"], is["spec"]["syncPolicy"]);
    }
}

/// A tenant with two Applications that can go back and one that was deployed once.
fn tenant() -> Stage {
    let mut stage = Stage::new();
    let mut cart = stage::application();
    cart["metadata"]["name"] = json!("tenant-2-cart");
    let mut new = stage::application();
    new["metadata"]["name"] = json!("tenant-2-new");
    let once = new["status"]["history"][2].clone();
    new["status"]["history"] = json!([once]);
    stage.list("pods", &stage::pods());
    stage.list("applications", &[stage::application(), cart, new]);
    stage.list("namespaces", &[stage::namespace("tenant-2")]);
    stage.state.settle(&stage.store);
    stage
}

#[track_caller]
fn asked(effects: &[Effect]) -> Request {
    match effects {
        [Effect::Plan { request, .. }] => (**request).clone(),
        other => panic!("no plan is made but {other:?}"),
    }
}

#[test]
fn the_rollback_key_on_a_tenant_plans_all_that_has_something_to_go_back_to_and_names_the_rest() {
    let mut stage = tenant();
    let by_key = asked(&press(&mut stage, &["R"]));
    press(&mut stage, &["esc"]);
    let by_line = asked(&go(&mut stage, "rollback tenant-2"));
    for request in [by_key, by_line] {
        let names: Vec<&str> = request.targets.iter().map(|target| &*target.object.name).collect();
        assert_eq!((request.verb, names), (Verb::Rollback, vec!["tenant-2-cart", "tenant-2-checkout"]));
        assert!(request.targets.iter().all(|target| !target.uid.is_empty()), "captured by identity");
        assert_eq!(request.options.staying, ["tenant-2-new"]);
        assert_eq!((request.tenant.as_deref(), request.options.hold_minutes), (Some("tenant-2"), Some(60)));
    }
    assert!(go(&mut stage, "rollback tenant-9").is_empty(), "there is no such tenant");
}
