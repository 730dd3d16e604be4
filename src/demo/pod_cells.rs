//! The cells of a pod: the status that people read, put together as kubectl's printer does.
//!
//! Pure functions of one pod and the time.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cells::since;
use super::columns::span;
use super::objects::text;

/// Returns the cells of a pod.
pub fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let containers = items(&spec["containers"]).count();
    let seen = look(pod);
    let restarts = match (seen.restarts, seen.last_restart) {
        (count, Some(at)) if count > 0 => format!("{count} ({} ago)", span(at, now)),
        (count, _) => count.to_string(),
    };
    let or_none = |found: &str| json!(if found.is_empty() { "<none>" } else { found });
    let gates = items(&spec["readinessGates"]).count();
    let passed = items(&spec["readinessGates"])
        .filter(|gate| {
            items(&status["conditions"])
                .any(|condition| condition["type"] == gate["conditionType"] && condition["status"] == "True")
        })
        .count();
    let gates = if gates == 0 { "<none>".to_owned() } else { format!("{passed}/{gates}") };
    vec![
        json!(text(&pod["metadata"], "name")),
        json!(format!("{}/{}", seen.ready, containers + seen.sidecars)),
        json!(seen.reason),
        json!(restarts),
        json!(since(&pod["metadata"]["creationTimestamp"], now)),
        or_none(text(status, "podIP")),
        or_none(text(spec, "nodeName")),
        or_none(text(status, "nominatedNodeName")),
        json!(gates),
    ]
}

struct Look {
    reason: String,
    ready: usize,
    sidecars: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

fn look(pod: &Value) -> Look {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let phase = text(status, "phase");
    let mut look = Look {
        reason: match text(status, "reason") {
            "" => phase.to_owned(),
            reason => reason.to_owned(),
        },
        ready: 0,
        sidecars: 0,
        restarts: 0,
        last_restart: None,
    };
    // A pod that cannot be placed for want of a gate says so.
    if items(&status["conditions"])
        .any(|condition| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated")
    {
        "SchedulingGated".clone_into(&mut look.reason);
    }
    let initialising = init_containers(pod, &mut look);
    let initialised = items(&status["conditions"])
        .any(|condition| condition["type"] == "Initialized" && condition["status"] == "True");
    if !initialising || initialised {
        containers(status, &mut look);
    }
    if pod["metadata"]["deletionTimestamp"].is_string() {
        if text(status, "reason") == "NodeLost" {
            "Unknown".clone_into(&mut look.reason);
        } else if !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut look.reason);
        }
    }
    if look.reason.is_empty() && spec.is_null() {
        "Unknown".clone_into(&mut look.reason);
    }
    look
}

/// Takes in the init containers; tells whether the pod still initialises.
fn init_containers(pod: &Value, look: &mut Look) -> bool {
    let specs: Vec<&Value> = items(&pod["spec"]["initContainers"]).collect();
    let sidecar =
        |name: &str| specs.iter().any(|spec| text(spec, "name") == name && spec["restartPolicy"] == "Always");
    look.sidecars = specs.iter().filter(|spec| spec["restartPolicy"] == "Always").count();
    let (mut restarts, mut last) = (0, None);
    for (at, container) in items(&pod["status"]["initContainerStatuses"]).enumerate() {
        restarts += container["restartCount"].as_i64().unwrap_or(0);
        last = last.max(finished(&container["lastState"]));
        let state = &container["state"];
        if sidecar(text(container, "name")) {
            if container["ready"] == true {
                look.ready += 1;
            }
            if container["started"] == true {
                continue;
            }
        }
        let ended = &state["terminated"];
        if ended["exitCode"] == 0 {
            continue;
        }
        let waiting = text(&state["waiting"], "reason");
        look.reason = if ended.is_object() {
            format!("Init:{}", end_reason(ended))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{at}/{}", specs.len())
        };
        (look.restarts, look.last_restart) = (restarts, last);
        return true;
    }
    (look.restarts, look.last_restart) = (restarts, last);
    false
}

fn containers(status: &Value, look: &mut Look) {
    let mut running = false;
    let states: Vec<&Value> = items(&status["containerStatuses"]).collect();
    let (mut restarts, mut last) = (0, None);
    for container in states.iter().rev() {
        restarts += container["restartCount"].as_i64().unwrap_or(0);
        last = last.max(finished(&container["lastState"]));
        let state = &container["state"];
        let waiting = text(&state["waiting"], "reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut look.reason);
        } else if state["terminated"].is_object() {
            look.reason = end_reason(&state["terminated"]);
        } else if container["ready"] == true && state["running"].is_object() {
            running = true;
            look.ready += 1;
        }
    }
    look.restarts += restarts;
    look.last_restart = look.last_restart.max(last);
    // One of several containers has finished, the others run.
    if look.reason == "Completed" && running {
        let ready = items(&status["conditions"])
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        if ready { "Running" } else { "NotReady" }.clone_into(&mut look.reason);
    }
}

fn end_reason(ended: &Value) -> String {
    match (text(ended, "reason"), ended["signal"].as_i64().unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", ended["exitCode"]),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn finished(state: &Value) -> Option<Timestamp> {
    state["terminated"]["finishedAt"].as_str().and_then(|text| text.parse().ok())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
