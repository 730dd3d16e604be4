//! Argo CD's behaviour, seen from outside: what a client writes into objects, what the world makes of it.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::argo::{REFRESH, SKIP};
use super::argo_manifests::{FINALIZER, NAMESPACE, Owner, Policy, SET, multi_source, waiting};
use super::argo_render::migration_image;
use super::argo_seed::{app_of, install};
use super::deletion::DeleteOptions;
use super::estate::{App, Workload};
use super::gitops::Gitops;
use super::images::Behaviour;
use super::objects::Key;
use super::types::Type;
use super::untyped::{later, list, mark, marked, number, text, time};
use super::world::{Options, World};

pub(super) fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A world with Argo CD on it, and the hands of a client.
pub(super) struct Platform {
    pub(super) dir: TempDir,
    pub(super) world: World,
}

impl Platform {
    fn new() -> Self {
        Self::of(4)
    }

    fn of(tenants: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { tenants, pods_per_tenant: 12, nodes: 6, alive: false, ..Options::default() };
        let mut world = World::new(&options, start());
        install(&mut world, dir.path()).unwrap();
        Self { dir, world }
    }

    fn git(&self) -> Gitops {
        Gitops::open(self.dir.path()).unwrap()
    }

    /// Lets seconds pass, one at a time.
    pub(super) fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            let next = later(self.world.now(), 1.0);
            self.world.step(next);
        }
    }

    /// Lets time pass until something holds; returns after how many seconds.
    #[track_caller]
    pub(super) fn until(&mut self, most: u32, name: &str, holds: impl Fn(&Value) -> bool) -> u32 {
        for second in 0..=most {
            if holds(&self.app(name)) {
                return second;
            }
            self.pass(1);
        }
        panic!("not within {most} seconds: {:#}", self.app(name)["status"]);
    }

    pub(super) fn app(&self, name: &str) -> Value {
        self.world.objects.get_value(&key(name)).unwrap_or_default()
    }

    /// Changes an object as a client does.
    pub(super) fn edit(&mut self, key: &Key, change: impl FnOnce(&mut Value)) {
        let now = self.world.now();
        self.world.objects.modify(key, now, change).unwrap();
    }

    /// Starts an operation in the way that `contracts.md` 1.4 prescribes.
    pub(super) fn operate(&mut self, name: &str, operation: Value) {
        self.edit(&key(name), |app| {
            app["operation"] = operation;
            app["status"].as_object_mut().unwrap().remove("operationState");
        });
    }

    /// Starts an operation and lets it end; returns its state.
    #[track_caller]
    fn run(&mut self, name: &str, operation: Value) -> Value {
        self.operate(name, operation);
        self.until(120, name, |app| app["operation"].is_null());
        self.app(name)["status"]["operationState"].clone()
    }

    /// Commits a version and has Argo CD look.
    fn release(&mut self, name: &str, version: &str) -> String {
        let app = self.find(|app| app.full_name() == name);
        let commit = self.git().commit_version(&app, version, "ci-bot", self.world.now()).unwrap();
        self.edit(&key(name), |app| mark(app, "annotations", REFRESH, "normal"));
        commit
    }

    fn find(&self, wanted: impl Fn(&App) -> bool) -> App {
        self.world.estate.apps().map(|(_, app)| app).find(|app| wanted(app)).unwrap().clone()
    }

    fn deployment(&self, app: &App) -> Value {
        self.world.objects.get_value(&deployment_key(app)).unwrap_or_default()
    }

    fn image(&self, app: &App) -> String {
        text(&self.deployment(app), "/spec/template/spec/containers/0/image").to_owned()
    }

    fn job(&self, app: &App) -> Option<Value> {
        let name = format!("{}-migrate", app.name);
        self.world.objects.get_value(&Key::new(Type::Job, &app.namespace, &name))
    }

    /// Returns the messages of the events about an Application, in the order of their creation.
    fn events(&self, name: &str) -> Vec<String> {
        let mut events: Vec<(String, String)> = self
            .world
            .objects
            .list(Type::Event, Some(NAMESPACE))
            .map(|event| event.value())
            .filter(|event| text(event, "/involvedObject/name") == name)
            .map(|event| {
                (
                    text(&event, "/firstTimestamp").to_owned(),
                    format!("{}: {}", text(&event, "/reason"), text(&event, "/message")),
                )
            })
            .collect();
        events.sort();
        events.into_iter().map(|(_, message)| message).collect()
    }
}

pub(super) fn key(name: &str) -> Key {
    Key::new(Type::Application, NAMESPACE, name)
}

fn deployment_key(app: &App) -> Key {
    Key::new(Type::Deployment, &app.namespace, &app.name)
}

fn sync_is(app: &Value, status: &str) -> bool {
    text(app, "/status/sync/status") == status
}

pub(super) fn phase_is(app: &Value, phase: &str) -> bool {
    text(app, "/status/operationState/phase") == phase
}

pub(super) fn message(app: &Value) -> &str {
    text(app, "/status/operationState/message")
}

fn ids(app: &Value) -> Vec<i64> {
    list(app, "/status/history").iter().map(|entry| number(entry, "/id")).collect()
}

const CHECKOUT: &str = "tenant-1-checkout";

/// A service with a migration hook whose Application only a person syncs.
fn manual(app: &App) -> bool {
    Policy::of(app) == Policy::Manual && !waiting(app) && app.profile.workload == Workload::Deployment
}

#[test]
fn a_fresh_platform_is_at_rest_and_stays_so() {
    let mut platform = Platform::of(8);
    let restless = |world: &World| -> Vec<String> {
        let calm = |app: &Value| {
            // What waits for a person is the only difference.
            let waits = app_of(&world.estate, text(app, "/metadata/name")).is_some_and(waiting);
            sync_is(app, if waits { "OutOfSync" } else { "Synced" })
                && text(app, "/status/health/status") == "Healthy"
        };
        let apps = world.objects.list(Type::Application, None).map(|app| app.value());
        apps.filter(|app| !calm(app)).map(|app| app["status"].to_string()).collect()
    };
    assert_eq!(restless(&platform.world), Vec::<String>::new());
    platform.pass(200);
    assert_eq!(restless(&platform.world), Vec::<String>::new());
    assert_eq!(platform.world.objects.list(Type::Event, Some(NAMESPACE)).count(), 0);
}

#[test]
fn every_application_is_compared_again_within_three_minutes() {
    let mut platform = Platform::new();
    platform.pass(185);
    for app in platform.world.objects.list(Type::Application, None) {
        let at = time(&app.value(), "/status/reconciledAt").unwrap();
        assert!(at > start(), "{} was compared at {at}", app.key.name);
    }
}

#[test]
fn a_version_commit_is_noticed_synced_and_written_into_the_history() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    let before = platform.app(CHECKOUT);
    let commit = platform.git().commit_version(&app, "9.0.0", "ci-bot", start()).unwrap();
    platform.until(185, CHECKOUT, |app| !app["operation"].is_null());
    platform.until(90, CHECKOUT, |app| app["operation"].is_null() && sync_is(app, "Synced"));
    let after = platform.app(CHECKOUT);
    assert_eq!(platform.image(&app), app.image("9.0.0").to_string());
    assert_eq!(ids(&after).last().unwrap() - 1, *ids(&before).last().unwrap());
    let entry = list(&after, "/status/history").last().unwrap();
    assert_eq!(entry["revision"], commit);
    assert_eq!(entry["initiatedBy"], json!({"automated": true}));
    assert!(time(entry, "/deployStartedAt") < time(entry, "/deployedAt"));
    platform.until(90, CHECKOUT, |app| text(app, "/status/health/status") == "Healthy");
    let events = platform.events(CHECKOUT).join("\n");
    for expected in [
        "ResourceUpdated: Updated sync status: Synced -> OutOfSync",
        &format!("OperationStarted: Initiated automated sync to '{commit}'"),
        &format!("OperationCompleted: Sync operation to {commit} succeeded"),
        "ResourceUpdated: Updated health status: Healthy -> Progressing",
        "ResourceUpdated: Updated health status: Progressing -> Healthy",
    ] {
        assert!(events.contains(expected), "{expected} is missing in\n{events}");
    }
}

#[test]
fn a_refresh_ends_with_the_annotation_gone_and_a_new_date() {
    let mut platform = Platform::new();
    for how in ["normal", "hard"] {
        let before = time(&platform.app(CHECKOUT), "/status/reconciledAt");
        platform.edit(&key(CHECKOUT), |app| mark(app, "annotations", REFRESH, how));
        let took = platform.until(6, CHECKOUT, |app| marked(app, "annotations", REFRESH).is_empty());
        assert!(took >= 1, "a refresh is pending for a moment");
        assert!(time(&platform.app(CHECKOUT), "/status/reconciledAt") > before);
        platform.pass(2);
    }
}

#[test]
fn an_application_that_is_skipped_ignores_refresh_and_sync() {
    let mut platform = Platform::new();
    platform.edit(&key(CHECKOUT), |app| {
        mark(app, "annotations", SKIP, "true");
        mark(app, "annotations", REFRESH, "normal");
        app["operation"] = json!({"sync": {}});
    });
    let before = platform.app(CHECKOUT);
    platform.pass(200);
    assert_eq!(platform.app(CHECKOUT), before);
}

#[test]
fn a_sync_runs_its_hooks_first_then_wave_after_wave() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    platform.release(CHECKOUT, "9.0.0");
    platform.until(30, CHECKOUT, |app| {
        message(app) == "waiting for completion of hook batch/Job/checkout-migrate"
    });
    assert_eq!(
        platform.image(&app),
        app.image(app.version()).to_string(),
        "nothing is applied before the hook ends"
    );
    platform.until(90, CHECKOUT, |app| app["operation"].is_null());
    let state = platform.app(CHECKOUT)["status"]["operationState"].clone();
    assert_eq!(
        (text(&state, "/phase"), text(&state, "/message")),
        ("Succeeded", "successfully synced (all tasks run)")
    );
    let results = list(&state, "/syncResult/resources");
    let order: Vec<&str> = results.iter().map(|result| text(result, "/kind")).collect();
    assert_eq!(order.first(), Some(&"Job"), "{order:?}");
    let place = |kind: &str| order.iter().position(|seen| *seen == kind).unwrap();
    assert!(place("ConfigMap") < place("Deployment"), "{order:?}");
    assert_eq!((text(&results[0], "/hookType"), text(&results[0], "/hookPhase")), ("PreSync", "Succeeded"));
    let deployment = &results[place("Deployment")];
    assert_eq!(text(deployment, "/message"), "deployment.apps/checkout configured");
    assert_eq!(deployment["images"][0], app.image("9.0.0").to_string());
    assert!(platform.job(&app).is_none(), "a hook that succeeded is deleted");
}

#[test]
fn the_apply_strategy_runs_no_hooks() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    let sync = json!({"initiatedBy": {"username": "alice"}, "sync": {"syncStrategy": {"apply": {}}}});
    let state = platform.run(CHECKOUT, sync);
    assert_eq!(text(&state, "/phase"), "Succeeded");
    assert!(list(&state, "/syncResult/resources").iter().all(|result| result["kind"] != "Job"));
    assert!(platform.job(&app).is_none());
    let last = list(&platform.app(CHECKOUT), "/status/history").last().unwrap().clone();
    assert_eq!(last["initiatedBy"], json!({"username": "alice"}));
}

#[test]
fn a_selective_sync_touches_what_is_selected_without_hooks_and_without_history() {
    let mut platform = Platform::new();
    let app = platform.find(manual);
    let name = app.full_name();
    platform.release(&name, "9.0.0");
    platform.until(10, &name, |app| sync_is(app, "OutOfSync"));
    let history = ids(&platform.app(&name));
    let chosen =
        json!([{"group": "apps", "kind": "Deployment", "name": app.name, "namespace": app.namespace}]);
    let state = platform.run(&name, json!({"sync": {"resources": chosen}}));
    let results = list(&state, "/syncResult/resources");
    assert_eq!(results.len(), 1, "{results:?}");
    assert_eq!(platform.image(&app), app.image("9.0.0").to_string());
    assert_eq!(ids(&platform.app(&name)), history);
    assert!(sync_is(&platform.app(&name), "OutOfSync"), "the rest still differs");
}

#[test]
fn a_dry_run_changes_nothing_but_the_last_operation() {
    let mut platform = Platform::new();
    let app = platform.find(manual);
    let name = app.full_name();
    platform.release(&name, "9.0.0");
    platform.until(10, &name, |app| sync_is(app, "OutOfSync"));
    let history = ids(&platform.app(&name));
    let state = platform.run(&name, json!({"sync": {"dryRun": true}}));
    assert_eq!(text(&state, "/phase"), "Succeeded");
    let results = list(&state, "/syncResult/resources");
    assert!(results.iter().all(|result| text(result, "/message").ends_with("(dry run)")), "{results:?}");
    assert_eq!(platform.image(&app), app.image(app.version()).to_string());
    assert_eq!(ids(&platform.app(&name)), history);
}

#[test]
fn what_git_no_longer_names_is_pruned_only_when_asked() {
    let mut platform = Platform::new();
    let app = platform.find(manual);
    let name = app.full_name();
    let id = format!("{name}:/ConfigMap:{}/left-over", app.namespace);
    let extra = json!({"metadata": {"name": "left-over", "namespace": app.namespace,
        "annotations": {"argocd.argoproj.io/tracking-id": id}}});
    platform.world.with(|cx| cx.create(Type::ConfigMap, extra)).unwrap();
    let extra = Key::new(Type::ConfigMap, &app.namespace, "left-over");
    platform.until(5, &name, |app| sync_is(app, "OutOfSync"));
    let prunable = |app: &Value| -> usize {
        list(app, "/status/resources").iter().filter(|resource| resource["requiresPruning"] == true).count()
    };
    assert_eq!(prunable(&platform.app(&name)), 1);
    let result = |state: &Value| -> (String, String) {
        let all = list(state, "/syncResult/resources");
        let found = all.iter().find(|result| result["name"] == "left-over").unwrap();
        (text(found, "/status").to_owned(), text(found, "/message").to_owned())
    };
    let state = platform.run(&name, json!({"sync": {}}));
    assert_eq!(result(&state), ("PruneSkipped".to_owned(), "ignored (requires pruning)".to_owned()));
    assert!(platform.world.objects.get(&extra).is_some());
    let state = platform.run(&name, json!({"sync": {"prune": true}}));
    assert_eq!(result(&state), ("Pruned".to_owned(), "pruned".to_owned()));
    assert!(platform.world.objects.get(&extra).is_none());
    platform.until(5, &name, |app| sync_is(app, "Synced"));
}

#[test]
fn a_state_left_running_resumes_the_old_operation() {
    let mut platform = Platform::new();
    let app = platform.find(manual);
    let name = app.full_name();
    let history = platform.app(&name)["status"]["history"].clone();
    let old = text(&history[0], "/revision").to_owned();
    platform.edit(&key(&name), |app| {
        app["status"]["operationState"] = json!({"phase": "Running", "startedAt": "2026-11-21T11:59:00Z",
            "operation": {"initiatedBy": {"username": "old"}, "sync": {"revision": old, "syncStrategy": {"apply": {}}}}});
    });
    platform.pass(30);
    assert!(phase_is(&platform.app(&name), "Running"), "without an operation nothing is processed");
    platform
        .edit(&key(&name), |app| app["operation"] = json!({"initiatedBy": {"username": "new"}, "sync": {}}));
    platform.until(30, &name, |app| app["operation"].is_null());
    let state = platform.app(&name)["status"]["operationState"].clone();
    assert_eq!(text(&state, "/operation/initiatedBy/username"), "old");
    assert_eq!(text(&state, "/syncResult/revision"), old);
}

#[test]
fn removing_the_operation_leaves_its_state_running_for_ever() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    platform.world.images.set(migration_image(&app, app.version()), Behaviour::NeverReady);
    platform.operate(CHECKOUT, json!({"sync": {}}));
    platform.until(20, CHECKOUT, |app| message(app).starts_with("waiting for completion of hook"));
    platform.edit(&key(CHECKOUT), |app| drop(app.as_object_mut().unwrap().remove("operation")));
    platform.pass(400);
    assert!(phase_is(&platform.app(CHECKOUT), "Running"));
}

#[test]
fn a_failed_attempt_stays_running_with_a_finish_and_the_next_one_doubles_its_wait() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    platform.world.images.set(migration_image(&app, app.version()), Behaviour::Crash);
    let retry = json!({"limit": 2, "backoff": {"duration": "10s", "factor": 2}});
    platform.operate(CHECKOUT, json!({"retry": retry, "sync": {}}));
    let waits =
        |app: &Value| phase_is(app, "Running") && !app["status"]["operationState"]["finishedAt"].is_null();
    platform.until(120, CHECKOUT, waits);
    let state = platform.app(CHECKOUT)["status"]["operationState"].clone();
    assert_eq!(number(&state, "/retryCount"), 1);
    assert!(text(&state, "/message").starts_with("one or more synchronization tasks completed unsuccessfully, reason: Job has reached the specified backoff limit. Retrying attempt #1 at 12:0"), "{state:#}");
    let first = platform.until(60, CHECKOUT, |app| !waits(app));
    assert!((9..=12).contains(&first), "{first}");
    platform.until(120, CHECKOUT, waits);
    let second = platform.until(60, CHECKOUT, |app| !waits(app));
    assert!((19..=22).contains(&second), "{second}");
    platform.until(120, CHECKOUT, |app| app["operation"].is_null());
    let app = platform.app(CHECKOUT);
    assert!(phase_is(&app, "Failed") && message(&app).ends_with("(retried 2 times)."), "{}", message(&app));
}

#[test]
fn terminating_stops_the_hooks_and_fails_the_operation_without_a_retry() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    platform.world.images.set(migration_image(&app, app.version()), Behaviour::NeverReady);
    platform.operate(CHECKOUT, json!({"retry": {"limit": 5}, "sync": {}}));
    platform.until(20, CHECKOUT, |app| message(app).starts_with("waiting for completion of hook"));
    platform.pass(120);
    assert!(platform.job(&app).is_some() && phase_is(&platform.app(CHECKOUT), "Running"));
    platform.edit(&key(CHECKOUT), |app| app["status"]["operationState"]["phase"] = json!("Terminating"));
    platform.until(5, CHECKOUT, |app| app["operation"].is_null());
    let after = platform.app(CHECKOUT);
    assert!(phase_is(&after, "Failed"));
    assert_eq!(message(&after), "Operation terminated");
    platform.pass(2);
    assert!(platform.job(&app).is_none());
}

#[test]
fn auto_sync_does_not_try_a_revision_again_that_failed() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    platform.world.images.set(migration_image(&app, "9.0.0"), Behaviour::Crash);
    platform.edit(&key(CHECKOUT), |app| app["spec"]["syncPolicy"]["retry"] = json!({"limit": 0}));
    let commit = platform.release(CHECKOUT, "9.0.0");
    platform.until(120, CHECKOUT, |app| phase_is(app, "Failed") && app["operation"].is_null());
    platform.pass(200);
    let after = platform.app(CHECKOUT);
    let condition =
        list(&after, "/status/conditions").iter().find(|found| found["type"] == "SyncError").cloned();
    let why = text(condition.as_ref().unwrap(), "/message").to_owned();
    assert!(why.starts_with(&format!("Failed last sync attempt to [{commit}]: ")), "{why}");
    assert!(after["operation"].is_null() && sync_is(&after, "OutOfSync"));
    // The next commit is another revision.
    platform.release(CHECKOUT, "9.0.1");
    platform.until(90, CHECKOUT, |app| app["operation"].is_null() && sync_is(app, "Synced"));
    assert_eq!(list(&platform.app(CHECKOUT), "/status/conditions").len(), 0);
}

/// Has the newest commit deployed: auto-sync takes any other revision than the last one for a new one.
fn attempt(platform: &mut Platform, name: &str) {
    let state = platform.run(name, json!({"sync": {"syncStrategy": {"apply": {}}}}));
    assert_eq!(text(&state, "/phase"), "Succeeded");
}

#[test]
fn self_heal_takes_drift_back_and_only_that() {
    let mut platform = Platform::new();
    let config = Key::new(Type::ConfigMap, "tenant-1", "checkout-env");
    attempt(&mut platform, CHECKOUT);
    let history = ids(&platform.app(CHECKOUT));
    platform.edit(&config, |config| config["data"]["LOG_LEVEL"] = json!("debug"));
    platform.until(5, CHECKOUT, |app| sync_is(app, "OutOfSync") || !app["operation"].is_null());
    platform.until(30, CHECKOUT, |app| app["operation"].is_null() && sync_is(app, "Synced"));
    let config = platform.world.objects.get_value(&config).unwrap();
    assert_eq!(text(&config, "/data/LOG_LEVEL"), "info");
    let after = platform.app(CHECKOUT);
    let operation = &after["status"]["operationState"]["operation"];
    assert_eq!(number(operation, "/sync/autoHealAttemptsCount"), 1);
    assert_eq!(list(operation, "/sync/resources").len(), 1);
    assert_eq!(ids(&after), history);
}

#[test]
fn drift_stays_where_self_heal_is_off() {
    let mut platform = Platform::of(8);
    let app = platform.find(|app| Policy::of(app) == Policy::Prune);
    attempt(&mut platform, &app.full_name());
    let config = Key::new(Type::ConfigMap, &app.namespace, &format!("{}-env", app.name));
    platform.edit(&config, |config| config["data"]["LOG_LEVEL"] = json!("debug"));
    platform.pass(60);
    assert!(sync_is(&platform.app(&app.full_name()), "OutOfSync"));
}

#[test]
fn a_blocked_operation_waits_running_until_the_window_lets_it() {
    let mut platform = Platform::new();
    let project = Key::new(Type::AppProject, NAMESPACE, "tenant-1");
    let window =
        json!([{"kind": "deny", "schedule": "50 11 * * *", "duration": "14m", "applications": ["*"]}]);
    platform.edit(&project, |project| project["spec"]["syncWindows"] = window);
    platform.operate(
        CHECKOUT,
        json!({"initiatedBy": {"username": "alice"}, "sync": {"syncStrategy": {"apply": {}}}}),
    );
    platform.pass(200);
    let app = platform.app(CHECKOUT);
    assert!(phase_is(&app, "Running"));
    assert_eq!(message(&app), "Sync operation blocked by sync window");
    // 12:04 is when the window closes.
    let took = platform.until(60, CHECKOUT, |app| app["operation"].is_null());
    assert!(took >= 38, "{took}");
    assert!(phase_is(&platform.app(CHECKOUT), "Succeeded"));
}

#[test]
fn a_window_that_permits_manual_syncs_lets_a_person_through_and_auto_sync_not() {
    let mut platform = Platform::new();
    let project = Key::new(Type::AppProject, NAMESPACE, "tenant-1");
    let window = json!([{"kind": "deny", "schedule": "50 11 * * *", "duration": "4h", "applications": ["*"], "manualSync": true}]);
    platform.edit(&project, |project| project["spec"]["syncWindows"] = window);
    platform.release(CHECKOUT, "9.0.0");
    platform.until(10, CHECKOUT, |app| sync_is(app, "OutOfSync"));
    platform.pass(60);
    assert!(platform.app(CHECKOUT)["operation"].is_null(), "auto-sync does not start");
    let state = platform.run(
        CHECKOUT,
        json!({"initiatedBy": {"username": "alice"}, "sync": {"syncStrategy": {"apply": {}}}}),
    );
    assert_eq!(text(&state, "/phase"), "Succeeded");
}

/// Returns the operation that a rollback to an entry of the history writes.
pub(super) fn rollback(app: &Value, entry: &Value) -> Value {
    let mut sync = json!({"prune": false, "dryRun": false, "syncStrategy": {"apply": {}},
        "syncOptions": app["spec"]["syncPolicy"]["syncOptions"]});
    for field in ["revision", "revisions", "source", "sources"] {
        if !entry[field].is_null() {
            sync[field] = entry[field].clone();
        }
    }
    json!({"initiatedBy": {"username": "alice"}, "sync": sync})
}

#[test]
fn a_rollback_applies_the_old_revision_and_leaves_the_application_out_of_sync() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    platform.edit(&key(CHECKOUT), |app| app["spec"]["syncPolicy"]["automated"]["enabled"] = json!(false));
    platform.pass(2);
    let before = platform.app(CHECKOUT);
    let history = list(&before, "/status/history");
    let entry = &history[history.len() - 2];
    let state = platform.run(CHECKOUT, rollback(&before, entry));
    assert_eq!(text(&state, "/phase"), "Succeeded");
    let old = &app.releases[app.releases.len() - 2].version;
    assert_eq!(platform.image(&app), app.image(old).to_string());
    let after = platform.app(CHECKOUT);
    assert!(sync_is(&after, "OutOfSync"), "the specification still asks for the newest commit");
    let last = list(&after, "/status/history").last().unwrap();
    assert_eq!(number(last, "/id"), ids(&before).last().unwrap() + 1);
    assert_eq!(last["revision"], entry["revision"]);
    assert_eq!(last["initiatedBy"], json!({"username": "alice"}));
    platform.pass(200);
    assert_eq!(platform.image(&app), app.image(old).to_string(), "held");
}

#[test]
fn a_rollback_under_auto_sync_is_rolled_forward_again() {
    let mut platform = Platform::new();
    let app = platform.find(|app| app.full_name() == CHECKOUT);
    let before = platform.app(CHECKOUT);
    let last = *ids(&before).last().unwrap();
    platform.operate(CHECKOUT, rollback(&before, &before["status"]["history"][0]));
    platform.until(30, CHECKOUT, |app| *ids(app).last().unwrap() > last);
    assert_eq!(platform.image(&app), app.image(&app.releases[0].version).to_string());
    platform.until(90, CHECKOUT, |app| sync_is(app, "Synced") && app["operation"].is_null());
    assert_eq!(platform.image(&app), app.image(app.version()).to_string());
}

#[test]
fn an_application_with_several_sources_rolls_back_by_its_revisions() {
    let mut platform = Platform::of(8);
    let app = platform.find(multi_source);
    let name = app.full_name();
    platform.edit(&key(&name), |app| app["spec"]["syncPolicy"]["automated"] = Value::Null);
    platform.pass(2);
    let before = platform.app(&name);
    assert!(before["status"]["sync"]["revision"].is_null());
    let state = platform.run(&name, rollback(&before, &before["status"]["history"][0]));
    assert_eq!(text(&state, "/phase"), "Succeeded", "{state:#}");
    assert_eq!(platform.image(&app), app.image(&app.releases[0].version).to_string());
    let last = list(&platform.app(&name), "/status/history").last().unwrap().clone();
    assert_eq!(last["revisions"], before["status"]["history"][0]["revisions"]);
    assert_eq!(last["source"], json!({"repoURL": ""}));
}

#[test]
fn the_history_keeps_as_many_entries_as_its_limit_says() {
    let mut platform = Platform::new();
    platform.edit(&key(CHECKOUT), |app| app["spec"]["revisionHistoryLimit"] = json!(2));
    let last = *ids(&platform.app(CHECKOUT)).last().unwrap();
    for _ in 0..2 {
        platform.run(CHECKOUT, json!({"sync": {"syncStrategy": {"apply": {}}}}));
    }
    assert_eq!(ids(&platform.app(CHECKOUT)), [last + 1, last + 2]);
}

#[test]
fn what_the_project_does_not_permit_is_an_invalid_specification() {
    let mut platform = Platform::new();
    platform.edit(&key(CHECKOUT), |app| {
        app["spec"]["destination"]["namespace"] = json!("kube-system");
        app["spec"]["source"]["repoURL"] = json!("https://git.example.com/evil/deploy.git");
    });
    platform.until(5, CHECKOUT, |app| sync_is(app, "Unknown"));
    let app = platform.app(CHECKOUT);
    let conditions: Vec<(&str, &str)> = list(&app, "/status/conditions")
        .iter()
        .map(|condition| (text(condition, "/type"), text(condition, "/message")))
        .collect();
    assert_eq!(
        conditions,
        [
            (
                "InvalidSpecError",
                "application repo https://git.example.com/evil/deploy.git is not permitted in project 'tenant-1'"
            ),
            (
                "InvalidSpecError",
                "application destination server 'https://kubernetes.default.svc' and namespace 'kube-system' do not match any of the allowed destinations in project 'tenant-1'"
            ),
        ]
    );
    assert_eq!(text(&app, "/status/health/status"), "Unknown");
}

#[test]
fn a_revision_that_does_not_exist_is_a_comparison_error_and_fails_a_sync() {
    let mut platform = Platform::new();
    platform.edit(&key(CHECKOUT), |app| app["spec"]["source"]["targetRevision"] = json!("no-such-branch"));
    platform.until(5, CHECKOUT, |app| sync_is(app, "Unknown"));
    let app = platform.app(CHECKOUT);
    let condition = &list(&app, "/status/conditions")[0];
    assert_eq!(text(condition, "/type"), "ComparisonError");
    assert!(text(condition, "/message").ends_with("unable to resolve 'no-such-branch' to a commit SHA"));
    let state = platform.run(CHECKOUT, json!({"sync": {}}));
    assert_eq!(text(&state, "/phase"), "Error");
}

#[test]
fn an_application_set_takes_back_what_a_hand_changed() {
    let mut platform = Platform::new();
    let app = platform.find(|app| Owner::of(&app.tenant) == Owner::Set);
    let name = app.full_name();
    let switch_off = |app: &mut Value| app["spec"]["syncPolicy"]["automated"]["enabled"] = json!(false);
    let held = |app: &Value| app["spec"]["syncPolicy"]["automated"]["enabled"] == json!(false);
    platform.edit(&key(&name), switch_off);
    assert!(held(&platform.app(&name)));
    let took = platform.until(10, &name, |app| !held(app));
    assert!(took >= 1, "{took}");
    assert!(!platform.app(&name)["status"]["history"].is_null(), "the status is not its business");
    // A rule of the set lets it stand.
    let set = Key::new(Type::ApplicationSet, NAMESPACE, SET);
    platform.edit(&set, |set| {
        set["spec"]["ignoreApplicationDifferences"] =
            json!([{"name": name, "jsonPointers": ["/spec/syncPolicy"]}]);
    });
    platform.edit(&key(&name), switch_off);
    platform.pass(20);
    assert!(held(&platform.app(&name)));
}

#[test]
fn an_application_set_that_only_creates_updates_nothing() {
    let mut platform = Platform::new();
    let app = platform.find(|app| Owner::of(&app.tenant) == Owner::Set);
    let name = app.full_name();
    let set = Key::new(Type::ApplicationSet, NAMESPACE, SET);
    // The set is in git too, and its parent heals.
    platform.edit(&key("platform"), |app| app["spec"]["syncPolicy"]["automated"] = Value::Null);
    platform.edit(&set, |set| set["spec"]["syncPolicy"]["applicationsSync"] = json!("create-only"));
    platform.edit(&key(&name), |app| app["spec"]["syncPolicy"]["automated"] = Value::Null);
    platform.pass(20);
    assert!(platform.app(&name)["spec"]["syncPolicy"]["automated"].is_null());
}

#[test]
fn an_application_set_keeps_operations_and_refreshes() {
    let mut platform = Platform::new();
    let app = platform.find(|app| Owner::of(&app.tenant) == Owner::Set);
    let name = app.full_name();
    let state = platform
        .run(&name, json!({"initiatedBy": {"username": "alice"}, "sync": {"syncStrategy": {"apply": {}}}}));
    assert_eq!(text(&state, "/phase"), "Succeeded");
    let set = Key::new(Type::ApplicationSet, NAMESPACE, SET);
    let status = platform.world.objects.get_value(&set).unwrap()["status"].clone();
    assert_eq!(text(&status, "/conditions/2/type"), "ResourcesUpToDate");
    assert_eq!(text(&status, "/conditions/2/status"), "True");
    assert!(number(&status, "/resourcesCount") > 0);
}

#[test]
fn a_parent_that_heals_reverts_an_edit_of_its_child() {
    let mut platform = Platform::new();
    let app = platform.find(|app| Owner::of(&app.tenant) == Owner::Guarded && app.name == "checkout");
    let name = app.full_name();
    platform.edit(&key(&name), |app| app["spec"]["syncPolicy"]["automated"] = Value::Null);
    assert!(platform.app(&name)["spec"]["syncPolicy"]["automated"].is_null());
    platform.until(30, &name, |app| app["spec"]["syncPolicy"]["automated"]["selfHeal"] == json!(true));
    // Switching it off by its flag is drift as well, because the manifest says that it is on.
    platform.edit(&key(&name), |app| app["spec"]["syncPolicy"]["automated"]["enabled"] = json!(false));
    platform.until(60, &name, |app| app["spec"]["syncPolicy"]["automated"]["enabled"] != json!(false));
}

#[test]
fn a_parent_without_self_heal_lets_the_edit_stand() {
    let mut platform = Platform::new();
    platform.edit(&key(CHECKOUT), |app| app["spec"]["syncPolicy"]["automated"] = Value::Null);
    platform.pass(200);
    assert!(platform.app(CHECKOUT)["spec"]["syncPolicy"]["automated"].is_null());
    assert!(sync_is(&platform.app("tenants-root"), "OutOfSync"));
}

#[test]
fn deleting_an_application_with_its_finalizer_deletes_what_it_deployed() {
    let mut platform = Platform::new();
    let app = platform.find(|app| manual(app) && Owner::of(&app.tenant) != Owner::Guarded);
    let now = platform.world.now();
    platform.world.objects.delete(&key(&app.full_name()), &DeleteOptions::default(), now).unwrap();
    platform.until(90, &app.full_name(), Value::is_null);
    assert!(platform.deployment(&app).is_null());
}

#[test]
fn deleting_an_application_without_its_finalizer_leaves_what_it_deployed() {
    let mut platform = Platform::new();
    let app = platform.find(|app| manual(app) && Owner::of(&app.tenant) != Owner::Guarded);
    platform.edit(&key(&app.full_name()), |app| {
        assert_eq!(app["metadata"]["finalizers"], json!([FINALIZER]));
        app["metadata"]["finalizers"] = json!([]);
    });
    let now = platform.world.now();
    platform.world.objects.delete(&key(&app.full_name()), &DeleteOptions::default(), now).unwrap();
    platform.pass(30);
    assert!(platform.app(&app.full_name()).is_null());
    assert!(!platform.deployment(&app).is_null());
}

#[test]
fn an_immutable_field_fails_the_sync_unless_it_is_forced() {
    let mut platform = Platform::new();
    let app = platform.find(manual);
    let name = app.full_name();
    let now = platform.world.now();
    // Somebody has replaced the deployment by one with another selector.
    let mut other = platform.deployment(&app);
    platform.world.objects.delete(&deployment_key(&app), &DeleteOptions::now(), now).unwrap();
    other["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    for pointer in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        other.pointer_mut(pointer).unwrap()["track"] = json!("other");
    }
    other["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] = json!("other");
    other["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other");
    platform.world.objects.create(Type::Deployment, other, now).unwrap();
    let state = platform.run(&name, json!({"sync": {"syncStrategy": {"apply": {}}}}));
    assert_eq!(text(&state, "/phase"), "Failed");
    assert!(text(&state, "/message").contains("field is immutable"), "{}", text(&state, "/message"));
    let state = platform.run(&name, json!({"sync": {"syncStrategy": {"apply": {"force": true}}}}));
    assert_eq!(text(&state, "/phase"), "Succeeded", "{}", text(&state, "/message"));
}

#[test]
fn the_repositories_are_read_by_git_itself() {
    let platform = Platform::new();
    let git = |repo: &str, arguments: &[&str]| {
        std::process::Command::new("git")
            .arg("-C")
            .arg(platform.dir.path().join(repo))
            .args(arguments)
            .output()
    };
    if git("deploy.git", &["--version"]).is_err() {
        assert!(std::env::var_os("OPSDECK_REQUIRE_PROGRAMS").is_none(), "git is required and missing");
        println!("SKIPPED: git is not installed");
        return;
    }
    for repo in ["deploy.git", "platform.git"] {
        let check = git(repo, &["fsck", "--strict"]).unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
    let log = git("deploy.git", &["log", "--format=%an|%cI|%s", "main"]).unwrap();
    let log = String::from_utf8(log.stdout).unwrap();
    assert!(log.lines().any(|line| line.starts_with("ci-bot|")), "{log}");
    assert!(log.lines().any(|line| !line.starts_with("ci-bot|")), "{log}");
    for line in log.lines() {
        let date: Timestamp = line.split('|').nth(1).unwrap().parse().unwrap();
        assert!(date < start(), "{line}");
    }
    let shown = git("deploy.git", &["show", "main:envs/prod/tenant-1/version.yaml"]).unwrap();
    let app = app_of(&platform.world.estate, CHECKOUT).unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains(app.version()));
    assert!(Path::new(platform.git().deploy().path()).ends_with("deploy.git"));
}
