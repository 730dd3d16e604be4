//! Whether a workload has rolled out, told of the whole object: the rules are those of its kind
//! ([`crate::kinds::rollout`]), which tables show too.

use serde_json::Value;

use super::application::list;
use super::draft::text;
use crate::kinds::rollout as rules;

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rollout {
    /// All pods are of the new revision and available.
    Done(String),
    /// On its way.
    Going(String),
    /// It will not get there by itself.
    Stuck(String),
}

/// Judges a `Deployment`, `StatefulSet` or `DaemonSet` by its own status, by the rules of its kind.
pub(super) fn judge(plural: &str, object: &Value) -> Rollout {
    let status = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let observed = status("observedGeneration") >= number(object, "/metadata/generation").unwrap_or(0);
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let updated = status("updatedReplicas");
    // Whether all pods are new is asked here also of those that only a person replaces.
    let on_delete = false;
    let (verdict, done) = match plural {
        "daemonsets" => {
            let desired = status("desiredNumberScheduled");
            let (updated, available) = (status("updatedNumberScheduled"), status("numberAvailable"));
            let counts = rules::DaemonSetCounts { observed, on_delete, desired, updated, available };
            (rules::daemon_set(counts), format!("{desired} pods are new and available"))
        }
        "statefulsets" => {
            let counts = rules::StatefulSetCounts {
                observed,
                on_delete,
                partition: number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0),
                wanted,
                ready: status("readyReplicas"),
                updated,
                one_revision: text(object, "/status/currentRevision")
                    == text(object, "/status/updateRevision"),
            };
            (rules::stateful_set(counts), format!("{wanted} pods are new and ready"))
        }
        _ => {
            let late = list(object, "/status/conditions").iter().find(|condition| {
                text(condition, "/type") == "Progressing"
                    && text(condition, "/reason") == "ProgressDeadlineExceeded"
            });
            let counts = rules::DeploymentCounts {
                observed,
                paused: object.pointer("/spec/paused").and_then(Value::as_bool) == Some(true),
                deadline_exceeded: late.is_some(),
                message: late.map_or("", |condition| text(condition, "/message")),
                wanted,
                replicas: status("replicas"),
                updated,
                available: status("availableReplicas"),
            };
            (rules::deployment(counts), format!("{updated} pods are new and available"))
        }
    };
    match verdict {
        rules::Rollout::Done => Rollout::Done(done),
        rules::Rollout::Going(how) if observed && self::on_delete(object) => {
            Rollout::Stuck(format!("{how}, and the others are replaced only when somebody deletes them"))
        }
        rules::Rollout::Going(how) => Rollout::Going(how.to_string()),
        rules::Rollout::Paused(how) => Rollout::Stuck(format!("it is paused: {how}")),
        rules::Rollout::Failed(why) => Rollout::Stuck(format!("its progress deadline has passed: {why}")),
        rules::Rollout::OnDelete => {
            Rollout::Stuck("its pods are replaced only when somebody deletes them".to_owned())
        }
    }
}

/// Tells whether its pods are replaced only when somebody deletes them.
pub(super) fn on_delete(object: &Value) -> bool {
    text(object, "/spec/updateStrategy/type") == "OnDelete"
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: Value) -> Value {
        json!({ "metadata": { "generation": 4 }, "spec": { "replicas": 3 }, "status": status })
    }

    #[track_caller]
    fn assert_going(plural: &str, object: &Value, part: &str) {
        match judge(plural, object) {
            Rollout::Going(text) => assert!(text.contains(part), "{text}"),
            other => panic!("{other:?}"),
        }
    }

    // contracts 3.5, "Rollout done?".
    #[test]
    fn a_deployment_is_done_when_all_pods_are_new_none_is_old_and_all_are_available() {
        let status = |seen: i64, updated: i64, all: i64, available: i64| {
            deployment(json!({ "observedGeneration": seen, "updatedReplicas": updated,
                "replicas": all, "availableReplicas": available }))
        };
        assert_going("deployments", &status(3, 3, 3, 3), "waiting for the controller");
        assert_going("deployments", &status(4, 2, 4, 3), "2 of 3 new pods created");
        assert_going("deployments", &status(4, 3, 4, 3), "1 old pods");
        assert_going("deployments", &status(4, 3, 3, 2), "2 of 3 new pods available");
        assert!(matches!(judge("deployments", &status(4, 3, 3, 3)), Rollout::Done(_)));
    }

    #[test]
    fn a_deployment_past_its_deadline_is_stuck() {
        let object = deployment(json!({ "observedGeneration": 4, "updatedReplicas": 1, "conditions": [
            { "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out" } ] }));
        assert!(matches!(judge("deployments", &object), Rollout::Stuck(text) if text.contains("timed out")));
    }

    #[test]
    fn a_stateful_set_respects_its_partition() {
        let object = |updated: i64, partition: i64| {
            json!({ "metadata": { "generation": 1 },
                "spec": { "replicas": 3, "updateStrategy": { "rollingUpdate": { "partition": partition } } },
                "status": { "observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": updated,
                    "currentRevision": "a", "updateRevision": "b" } })
        };
        assert_going("statefulsets", &object(0, 2), "0 of 1");
        assert!(matches!(judge("statefulsets", &object(1, 2)), Rollout::Done(_)));
        assert_going("statefulsets", &object(2, 0), "2 of 3 pods are new");
    }

    #[test]
    fn a_daemon_set_counts_what_it_wants_scheduled() {
        let object = |updated: i64, available: i64| {
            json!({ "metadata": { "generation": 1 }, "status": { "observedGeneration": 1,
                "desiredNumberScheduled": 5, "updatedNumberScheduled": updated, "numberAvailable": available } })
        };
        assert_going("daemonsets", &object(4, 5), "4 of 5 pods are new");
        assert_going("daemonsets", &object(5, 4), "4 of 5 pods available");
        assert!(matches!(judge("daemonsets", &object(5, 5)), Rollout::Done(_)));
    }
}
