//! Eviction: a deletion that asks the disruption budgets first.
//!
//! The answers are those of a real server, word for word where clients read them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::deletion::DeleteOptions;
use super::objects::{Key, Object, Objects, seconds, text};
use super::request::Query;
use super::selector::Selector;
use super::status::{Cause, Reason, Status};
use super::types::Type;
use super::write::read_delete_options;

/// Evicts a pod, or says which budget does not allow it.
pub fn evict(
    objects: &mut Objects,
    key: &Key,
    body: &Value,
    query: &Query,
    now: Timestamp,
) -> Result<Value, Status> {
    let named = text(&body["metadata"], "name");
    if !named.is_empty() && named != key.name.as_ref() {
        return Err(Status::bad_request(format!(
            "name in URL does not match name in Eviction object: {} != {named}",
            key.name
        )));
    }
    let (options, dry) = read_delete_options(&body["deleteOptions"], query)?;
    let dry = dry || query.dry_run()?;
    let pod = objects.check_delete(key, &options)?;
    if needs_budget(&pod) {
        let budgets = budgets_of(objects, &pod);
        match budgets.as_slice() {
            [] => {}
            [budget] => spend(objects, budget, &pod, dry, now)?,
            _ => {
                return Err(Status::new(
                    Reason::InternalError,
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        }
    }
    if !dry {
        mark_target(objects, key, now);
        // The mark has moved the revision; the precondition was checked above.
        let options = DeleteOptions { revision: None, ..options };
        objects.delete(key, &options, now)?;
    }
    Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
}

/// Tells whether a budget is asked: pods that have ended, wait to be placed or are going need none.
fn needs_budget(pod: &Object) -> bool {
    !pod.deleting && !matches!(pod.field("status.phase"), Some("Succeeded" | "Failed" | "Pending"))
}

fn budgets_of(objects: &Objects, pod: &Object) -> Vec<Key> {
    objects
        .list(Type::PodDisruptionBudget, Some(&pod.key.namespace))
        .filter(|budget| {
            let selector = Selector::of_object(&budget.value()["spec"]["selector"]);
            selector.matches_labels(|label| pod.label(label))
        })
        .map(|budget| budget.key.clone())
        .collect()
}

/// Takes one disruption from a budget.
fn spend(objects: &mut Objects, key: &Key, pod: &Object, dry: bool, now: Timestamp) -> Result<(), Status> {
    let Some(budget) = objects.get_value(key) else { return Ok(()) };
    let refuse = |message: String, retry_after: u32| {
        let cause = Cause { reason: "DisruptionBudget", message, field: String::new() };
        Err(Status {
            causes: vec![cause],
            retry_after,
            ..Status::new(
                Reason::TooManyRequests,
                "Cannot evict pod as it would violate the pod's disruption budget.",
            )
        })
    };
    let status = &budget["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
        let message = format!("The disruption budget {} is still being processed by the server.", key.name);
        return refuse(message, 10);
    }
    if number("disruptionsAllowed") <= 0 {
        let message = format!(
            "The disruption budget {} needs {} healthy pods and has {} currently",
            key.name,
            number("desiredHealthy"),
            number("currentHealthy")
        );
        return refuse(message, 0);
    }
    if dry {
        return Ok(());
    }
    let pod = pod.key.name.to_string();
    objects.modify(key, now, |value| {
        let status = &mut value["status"];
        status["disruptionsAllowed"] = json!(status["disruptionsAllowed"].as_i64().unwrap_or(1) - 1);
        if !status["disruptedPods"].is_object() {
            status["disruptedPods"] = json!({});
        }
        status["disruptedPods"][&pod] = json!(seconds(now));
    })?;
    Ok(())
}

/// Writes on the pod why it goes.
fn mark_target(objects: &mut Objects, key: &Key, now: Timestamp) {
    let written = objects.modify(key, now, |pod| {
        if !pod["status"]["conditions"].is_array() {
            pod["status"]["conditions"] = json!([]);
        }
        if let Some(conditions) = pod["status"]["conditions"].as_array_mut() {
            conditions.retain(|condition| condition["type"] != "DisruptionTarget");
            conditions.push(json!({
                "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": seconds(now),
            }));
        }
    });
    if let Err(status) = written {
        tracing::warn!(%key, %status, "an evicted pod could not be marked");
    }
}
