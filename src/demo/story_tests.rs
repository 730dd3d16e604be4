//! The stories, played: each reaches the state that it describes, and its cure works.

use serde_json::{Value, json};

use super::argo_manifests::NAMESPACE;
use super::argo_tests::{Platform, key, message, phase_is, rollback, start};
use super::director::begin;
use super::objects::Key;
use super::types::Type;
use super::untyped::{list, number, text};
use super::world::Options;

fn play(story: &str) -> Platform {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        tenants: 4,
        pods_per_tenant: 12,
        nodes: 6,
        alive: false,
        story: story.to_owned(),
        ..Options::default()
    };
    let world = begin(&options, start(), dir.path()).unwrap();
    Platform { dir, world }
}

fn health_is(app: &Value, health: &str) -> bool {
    text(app, "/status/health/status") == health
}

fn hold(platform: &mut Platform, name: &str) {
    platform.edit(&key(name), |app| app["spec"]["syncPolicy"]["automated"]["enabled"] = json!(false));
}

/// Rolls back to the entry before the last one.
fn roll_back(platform: &mut Platform, name: &str) {
    let app = platform.app(name);
    let history = list(&app, "/status/history");
    let operation = rollback(&app, &history[history.len() - 2]);
    platform.operate(name, operation);
}

const CHECKOUT: &str = "tenant-2-checkout";

#[test]
fn a_bad_deploy_is_under_way_when_a_client_first_looks_and_a_rollback_heals_it() {
    let mut platform = play("bad-deploy");
    assert_eq!(platform.world.now(), start());
    let app = platform.app(CHECKOUT);
    assert!(health_is(&app, "Degraded"), "{:#}", app["status"]["health"]);
    let last = list(&app, "/status/history").last().unwrap();
    let age = start().duration_since(text(last, "/deployedAt").parse().unwrap()).as_secs();
    assert!((600..=720).contains(&age), "deployed {age} seconds ago");
    assert_eq!(last["initiatedBy"], json!({"automated": true}));
    let crashing = |platform: &Platform| {
        let pods = platform.world.objects.list(Type::Pod, Some("tenant-2")).map(|pod| pod.value());
        pods.filter(|pod| text(pod, "/spec/containers/0/image").ends_with("checkout:1.8.0"))
            .filter(|pod| number(pod, "/status/containerStatuses/0/restartCount") > 2)
            .count()
    };
    assert!(crashing(&platform) > 0);
    hold(&mut platform, CHECKOUT);
    roll_back(&mut platform, CHECKOUT);
    platform.until(60, CHECKOUT, |app| health_is(app, "Healthy") && app["operation"].is_null());
    assert_eq!(crashing(&platform), 0);
    let deployment = Key::new(Type::Deployment, "tenant-2", "checkout");
    let deployment = platform.world.objects.get_value(&deployment).unwrap();
    assert!(text(&deployment, "/spec/template/spec/containers/0/image").ends_with("checkout:1.7.4"));
    platform.pass(120);
    assert!(health_is(&platform.app(CHECKOUT), "Healthy"), "the hold keeps it there");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let state = || {
        let platform = play("bad-deploy");
        let app = platform.app(CHECKOUT);
        (platform.world.objects.revision(), app)
    };
    assert_eq!(state(), state());
}

#[test]
fn a_frozen_window_holds_the_rollback_until_it_is_lifted() {
    let mut platform = play("frozen-window");
    assert!(health_is(&platform.app(CHECKOUT), "Degraded"));
    hold(&mut platform, CHECKOUT);
    roll_back(&mut platform, CHECKOUT);
    platform.pass(90);
    let app = platform.app(CHECKOUT);
    assert!(phase_is(&app, "Running"));
    assert_eq!(message(&app), "Sync operation blocked by sync window");
    let project = Key::new(Type::AppProject, NAMESPACE, "tenant-2");
    let windows = list(&platform.world.objects.get_value(&project).unwrap(), "/spec/syncWindows").to_vec();
    let freeze = windows.iter().find(|window| window["description"] == "freeze").unwrap();
    let closes = super::argo_window::start_after(freeze, super::untyped::later(start(), -600.0)).unwrap();
    assert_eq!(closes.to_string(), "2026-11-21T11:55:00Z");
    // Projects are in git, and their parent would heal the edit before the sync is over.
    platform.edit(&key("platform"), |app| app["spec"]["syncPolicy"]["automated"] = Value::Null);
    platform.edit(&project, |project| project["spec"]["syncWindows"] = json!([]));
    platform.until(90, CHECKOUT, |app| health_is(app, "Healthy") && app["operation"].is_null());
}

#[test]
fn the_set_that_owns_the_application_reverts_the_hold_until_it_is_told_not_to() {
    let mut platform = play("owned-by-applicationset");
    let name = "tenant-3-checkout";
    let app = platform.app(name);
    assert!(health_is(&app, "Degraded"));
    assert_eq!(text(&app, "/metadata/ownerReferences/0/kind"), "ApplicationSet");
    let held = |app: &Value| app["spec"]["syncPolicy"]["automated"]["enabled"] == json!(false);
    hold(&mut platform, name);
    platform.until(10, name, |app| !held(app));
    let set = Key::new(Type::ApplicationSet, NAMESPACE, "tenants");
    platform.edit(&set, |set| {
        set["spec"]["ignoreApplicationDifferences"] = json!([{"jsonPointers": ["/spec/syncPolicy"]}]);
    });
    hold(&mut platform, name);
    roll_back(&mut platform, name);
    platform.until(90, name, |app| health_is(app, "Healthy") && app["operation"].is_null());
    assert!(held(&platform.app(name)));
}

#[test]
fn a_stuck_sync_is_freed_by_terminating_it() {
    let mut platform = play("stuck-sync");
    let app = platform.app(CHECKOUT);
    assert!(phase_is(&app, "Running") && !app["operation"].is_null());
    assert_eq!(message(&app), "waiting for completion of hook batch/Job/checkout-migrate");
    platform.edit(&key(CHECKOUT), |app| app["status"]["operationState"]["phase"] = json!("Terminating"));
    platform.until(5, CHECKOUT, |app| app["operation"].is_null());
    let app = platform.app(CHECKOUT);
    assert!(phase_is(&app, "Failed") && message(&app) == "Operation terminated");
    platform.pass(60);
    let app = platform.app(CHECKOUT);
    assert!(app["operation"].is_null() && health_is(&app, "Healthy"));
    let conditions: Vec<&str> =
        list(&app, "/status/conditions").iter().map(|found| text(found, "/type")).collect();
    assert_eq!(conditions, ["SyncError"]);
}

#[test]
fn a_quiet_day_hurts_nobody() {
    let mut platform = play("quiet");
    platform.pass(120);
    for app in platform.world.objects.list(Type::Application, None) {
        assert!(health_is(&app.value(), "Healthy"), "{}", app.key.name);
    }
}

#[test]
fn a_spot_node_is_taken_back_and_its_pods_run_elsewhere() {
    let mut platform = play("spot-interruption");
    let nodes = |platform: &Platform| -> Vec<String> {
        platform.world.objects.list(Type::Node, None).map(|node| node.key.name.to_string()).collect()
    };
    let unplaced = |platform: &Platform| -> Vec<String> {
        let pods = platform.world.objects.list(Type::Pod, Some("tenant-2"));
        let unready = |pod: &Value| super::untyped::condition(pod, "Ready") != "True";
        let pods = pods
            .map(|pod| pod.value())
            .filter(|pod| text(pod, "/status/phase") != "Succeeded" && unready(pod));
        pods.map(|pod| text(&pod, "/metadata/name").to_owned()).collect()
    };
    let before = nodes(&platform);
    platform.pass(60);
    let warned = |event: &Value| text(event, "/reason") == "SpotInterrupted";
    assert!(platform.world.objects.list(Type::Event, None).any(|event| warned(&event.value())));
    for _ in 0..300 {
        if unplaced(&platform).is_empty() && before.iter().any(|node| !nodes(&platform).contains(node)) {
            return;
        }
        platform.pass(1);
    }
    panic!("nodes before {before:?}, now {:?}, not ready {:?}", nodes(&platform), unplaced(&platform));
}
