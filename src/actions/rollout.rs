//! Whether a workload has rolled out: the rules of `kubectl rollout status`, on the whole object.

use serde_json::Value;

use super::application::list;
use super::draft::text;

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

/// Judges a `Deployment`, `StatefulSet` or `DaemonSet` by its own status.
pub(super) fn judge(plural: &str, object: &Value) -> Rollout {
    let status = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let generation = number(object, "/metadata/generation").unwrap_or(0);
    if status("observedGeneration") < generation {
        return Rollout::Going("the change is not seen yet by its controller".to_owned());
    }
    match plural {
        "daemonsets" => {
            let wanted = status("desiredNumberScheduled");
            let (updated, available) = (status("updatedNumberScheduled"), status("numberAvailable"));
            if updated < wanted {
                Rollout::Going(format!("{updated} of {wanted} pods are new"))
            } else if available < wanted {
                Rollout::Going(format!("{available} of {wanted} new pods are available"))
            } else {
                Rollout::Done(format!("{wanted} pods are new and available"))
            }
        }
        "statefulsets" => {
            let wanted = number(object, "/spec/replicas").unwrap_or(1);
            let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
            let (updated, ready) = (status("updatedReplicas"), status("readyReplicas"));
            let to_update = (wanted - partition).max(0);
            if ready < wanted {
                Rollout::Going(format!("{ready} of {wanted} pods are ready"))
            } else if partition > 0 && updated < to_update {
                Rollout::Going(format!("{updated} of {to_update} pods above the partition are new"))
            } else if partition == 0
                && text(object, "/status/currentRevision") != text(object, "/status/updateRevision")
            {
                Rollout::Going(format!("{updated} of {wanted} pods are new"))
            } else {
                Rollout::Done(format!("{wanted} pods are new and ready"))
            }
        }
        _ => {
            let wanted = number(object, "/spec/replicas").unwrap_or(1);
            let stuck = list(object, "/status/conditions").iter().find(|condition| {
                text(condition, "/type") == "Progressing"
                    && text(condition, "/reason") == "ProgressDeadlineExceeded"
            });
            if let Some(condition) = stuck {
                return Rollout::Stuck(format!(
                    "its progress deadline has passed: {}",
                    text(condition, "/message")
                ));
            }
            let (updated, all, available) =
                (status("updatedReplicas"), status("replicas"), status("availableReplicas"));
            if updated < wanted {
                Rollout::Going(format!("{updated} of {wanted} pods are new"))
            } else if all > updated {
                Rollout::Going(format!("{} old pods are going", all - updated))
            } else if available < updated {
                Rollout::Going(format!("{available} of {updated} new pods are available"))
            } else {
                Rollout::Done(format!("{updated} pods are new and available"))
            }
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
        assert_going("deployments", &status(3, 3, 3, 3), "not seen");
        assert_going("deployments", &status(4, 2, 4, 3), "2 of 3 pods are new");
        assert_going("deployments", &status(4, 3, 4, 3), "1 old pods");
        assert_going("deployments", &status(4, 3, 3, 2), "2 of 3 new pods are available");
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
        assert_going("daemonsets", &object(5, 4), "4 of 5 new pods");
        assert!(matches!(judge("daemonsets", &object(5, 5)), Rollout::Done(_)));
    }
}
