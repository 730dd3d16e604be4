//! Whether Argo CD starts a sync by itself, and what it does when it does not (`contracts.md` 1.4).
//!
//! Pure: an Application and its latest comparison in, a decision out.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::argo_compare::{Comparison, revisions_of};
use super::argo_operation::completed;
use super::argo_render::{group, sources_of};
use super::untyped::{at, flag, later, list, number, text, time};

/// What auto-sync comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing to do.
    Rest,
    /// Start this operation.
    Start(Value),
    /// Heal, but not before that time.
    Later(Timestamp),
    /// Do nothing and say so in a `SyncError` condition.
    Refuse(String),
}

/// Seconds after which the count of attempts to heal starts anew; Argo CD's default.
const HEAL_COOLDOWN: f64 = 330.0;

/// Says whether auto-sync is on: `automated` is there and `enabled` is absent or true.
pub fn enabled(application: &Value) -> bool {
    let automated = at(application, "/spec/syncPolicy/automated");
    automated.is_object() && automated["enabled"] != json!(false)
}

/// Decides for an Application that has just been compared.
pub fn decide(application: &Value, comparison: &Comparison, now: Timestamp) -> Decision {
    let idle = application["operation"].is_null();
    if !enabled(application) || !idle || comparison.sync != "OutOfSync" {
        return Decision::Rest;
    }
    let policy = &application["spec"]["syncPolicy"];
    let prune = flag(policy, "/automated/prune");
    let out: Vec<_> = comparison.items.iter().filter(|item| !item.synced).collect();
    if !prune && out.iter().all(|item| item.prune) {
        return Decision::Rest;
    }
    let revisions = &comparison.revisions;
    let shown = revisions.join(", ");
    let mut sync = json!({"prune": prune});
    if list(application, "/spec/sources").is_empty() {
        sync["revision"] = json!(revisions.first());
    } else {
        sync["revisions"] = json!(revisions);
    }
    if !list(policy, "/syncOptions").is_empty() {
        sync["syncOptions"] = policy["syncOptions"].clone();
    }
    let state = at(application, "/status/operationState");
    if attempted(application, state, revisions) {
        let phase = text(state, "/phase");
        if phase != "Succeeded" {
            return if completed(phase) {
                let why = text(state, "/message");
                Decision::Refuse(format!("Failed last sync attempt to [{shown}]: {why}"))
            } else {
                Decision::Rest
            };
        }
        if !flag(policy, "/automated/selfHeal") {
            return Decision::Rest;
        }
        let finished = time(state, "/finishedAt").unwrap_or(now);
        let before = if later(finished, HEAL_COOLDOWN) < now {
            0
        } else {
            number(state, "/operation/sync/autoHealAttemptsCount")
        };
        let due = later(finished, heal_wait(before));
        if now < due {
            return Decision::Later(due);
        }
        sync["autoHealAttemptsCount"] = json!(before + 1);
        let resources: Vec<Value> = out
            .iter()
            .map(|item| {
                json!({"group": group(&item.manifest), "kind": item.manifest["kind"],
                    "name": item.manifest["metadata"]["name"],
                    "namespace": text(&item.manifest, "/metadata/namespace")})
            })
            .collect();
        sync["resources"] = json!(resources);
    }
    if prune && !flag(policy, "/automated/allowEmpty") && comparison.items.iter().all(|item| item.prune) {
        let why = format!("Skipping sync attempt to {shown}: auto-sync will wipe out all resources");
        return Decision::Refuse(why);
    }
    let retry = match policy.get("retry") {
        Some(retry) if retry.is_object() => retry.clone(),
        _ => json!({"limit": 5}),
    };
    Decision::Start(json!({"initiatedBy": {"automated": true}, "retry": retry, "sync": sync}))
}

/// Seconds between one attempt to heal and the next: 2, 6, 18 ... up to five minutes.
fn heal_wait(attempts: i64) -> f64 {
    (2.0 * 3_f64.powi(i32::try_from(attempts.clamp(0, 10)).unwrap_or(0))).min(300.0)
}

/// Says whether the last operation was for these commits of the Application's own sources.
fn attempted(application: &Value, state: &Value, revisions: &[String]) -> bool {
    state["syncResult"].is_object()
        && !flag(state, "/operation/sync/dryRun")
        && revisions_of(&state["syncResult"]) == revisions
        && sources_of(&state["syncResult"]) == sources_of(&application["spec"])
}

#[cfg(test)]
mod tests {
    use super::super::argo_compare::Item;
    use super::super::argo_health::Health;
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn item(name: &str, synced: bool, prune: bool) -> Item {
        let manifest =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}});
        Item { key: None, manifest, synced, prune }
    }

    fn application(automated: Value) -> Value {
        json!({"spec": {"source": {"repoURL": "u"}, "syncPolicy": {"automated": automated}}})
    }

    fn attempt(app: &mut Value, phase: &str, revision: &str, finished: &str) {
        app["status"]["operationState"] = json!({"phase": phase, "message": "why", "finishedAt": finished,
            "operation": {"sync": {}}, "syncResult": {"revision": revision, "source": {"repoURL": "u"}}});
    }

    fn ask(app: &Value, items: Vec<Item>) -> Decision {
        decide(app, &Comparison::of("OutOfSync", Health::Healthy, &["abc"], items), now())
    }

    #[test]
    fn an_empty_policy_is_on_and_a_disabled_one_is_off() {
        for (automated, on) in [
            (json!({}), true),
            (json!({"enabled": true}), true),
            (json!({"enabled": false, "prune": true}), false),
            (Value::Null, false),
        ] {
            let decision = ask(&application(automated.clone()), vec![item("a", false, false)]);
            assert_eq!(matches!(decision, Decision::Start(_)), on, "{automated}");
        }
    }

    #[test]
    fn an_operation_that_is_set_is_left_alone() {
        let mut app = application(json!({}));
        app["operation"] = json!({"sync": {}});
        assert_eq!(ask(&app, vec![item("a", false, false)]), Decision::Rest);
    }

    #[test]
    fn the_same_revision_is_not_tried_again_after_a_failure() {
        let mut app = application(json!({"selfHeal": true}));
        attempt(&mut app, "Failed", "abc", "2026-11-21T11:00:00Z");
        let refused = Decision::Refuse("Failed last sync attempt to [abc]: why".to_owned());
        assert_eq!(ask(&app, vec![item("a", false, false)]), refused);
        attempt(&mut app, "Failed", "older", "2026-11-21T11:00:00Z");
        assert!(matches!(ask(&app, vec![item("a", false, false)]), Decision::Start(_)));
    }

    #[test]
    fn drift_heals_only_where_asked_and_only_what_differs() {
        let mut app = application(json!({"prune": true}));
        attempt(&mut app, "Succeeded", "abc", "2026-11-21T11:00:00Z");
        let items = vec![item("a", true, false), item("b", false, false)];
        assert_eq!(ask(&app, items.clone()), Decision::Rest);
        app["spec"]["syncPolicy"]["automated"]["selfHeal"] = json!(true);
        let Decision::Start(operation) = ask(&app, items.clone()) else { panic!("heals") };
        assert_eq!(operation["sync"]["autoHealAttemptsCount"], 1);
        assert_eq!(operation["sync"]["resources"].as_array().unwrap().len(), 1);
        assert_eq!(operation["initiatedBy"], json!({"automated": true}));
        attempt(&mut app, "Succeeded", "abc", "2026-11-21T11:59:59Z");
        assert_eq!(ask(&app, items), Decision::Later("2026-11-21T12:00:01Z".parse().unwrap()));
    }

    #[test]
    fn it_refuses_to_delete_everything() {
        let all = || vec![item("a", false, true), item("b", false, true)];
        let refused = "Skipping sync attempt to abc: auto-sync will wipe out all resources";
        assert_eq!(ask(&application(json!({"prune": true})), all()), Decision::Refuse(refused.to_owned()));
        assert!(matches!(
            ask(&application(json!({"prune": true, "allowEmpty": true})), all()),
            Decision::Start(_)
        ));
        // Without pruning there is nothing that a sync would do.
        assert_eq!(ask(&application(json!({})), all()), Decision::Rest);
    }

    #[test]
    fn the_retry_of_the_policy_is_taken_over_and_five_is_the_default() {
        let Decision::Start(operation) = ask(&application(json!({})), vec![item("a", false, false)]) else {
            panic!("starts")
        };
        assert_eq!(operation["retry"], json!({"limit": 5}));
        let mut app = application(json!({}));
        app["spec"]["syncPolicy"]["retry"] = json!({"limit": 1});
        let Decision::Start(operation) = ask(&app, vec![item("a", false, false)]) else { panic!("starts") };
        assert_eq!(operation["retry"], json!({"limit": 1}));
    }
}
