//! What the verbs of workloads share: names as kubectl writes them, numbers, and the autoscalers of a workload.

use serde_json::Value;

use super::application::list;
use super::desk::{Desk, Remote};
use super::draft::text;
use super::pod::controller;
use super::{Line, Mark};
use crate::identity::{ObjectRef, Resource};
use crate::sources::SourceError;

/// Writes the kind as kubectl does, in the singular.
pub(super) fn singular(object: &ObjectRef) -> &str {
    let plural = &*object.resource.plural;
    match plural {
        "ingresses" => "ingress",
        "storageclasses" => "storageclass",
        // kubectl takes the plural as well: `networkpolicies`.
        plural if plural.ends_with("ies") => plural,
        plural => plural.strip_suffix('s').unwrap_or(plural),
    }
}

/// Writes `deployment/checkout`.
pub(super) fn label(object: &ObjectRef) -> String {
    format!("{}/{}", singular(object), object.name)
}

/// Writes ` -n tenant-2`, or nothing for what has no namespace.
pub(super) fn within(object: &ObjectRef) -> String {
    object.namespace.as_ref().map_or_else(String::new, |namespace| format!(" -n {namespace}"))
}

/// Reads a number.
pub(super) fn number(document: &Value, pointer: &str) -> Option<i64> {
    document.pointer(pointer).and_then(Value::as_i64)
}

/// Reads a flag, which is off where it is absent.
pub(super) fn flag(document: &Value, pointer: &str) -> bool {
    document.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// Returns the kind name of a workload, as references to it spell it.
pub(super) fn kind_of(object: &ObjectRef) -> &'static str {
    match &*object.resource.plural {
        "deployments" => "Deployment",
        "statefulsets" => "StatefulSet",
        "daemonsets" => "DaemonSet",
        "replicasets" => "ReplicaSet",
        _ => "",
    }
}

/// Tells whether the controller has seen the newest version of the spec.
pub(super) fn observed(document: &Value) -> bool {
    number(document, "/status/observedGeneration").unwrap_or(0)
        >= number(document, "/metadata/generation").unwrap_or(0)
}

/// Says which autoscalers own the number of replicas, and what they will make of it.
pub(super) async fn scalers<R: Remote>(desk: &Desk<R>, object: &ObjectRef, wanted: i64) -> Vec<Line> {
    let (kind, namespace) = (kind_of(object), object.namespace.as_deref());
    let aims = |scaler: &&Value| {
        let target = text(scaler, "/spec/scaleTargetRef/kind");
        // KEDA's default.
        let target = if target.is_empty() { "Deployment" } else { target };
        target == kind && text(scaler, "/spec/scaleTargetRef/name") == &*object.name
    };
    let (plain, keda) =
        (Resource::new("autoscaling", "horizontalpodautoscalers"), Resource::new("keda.sh", "scaledobjects"));
    let (plain, keda) =
        tokio::join!(desk.remote.list(&plain, namespace, "", ""), desk.remote.list(&keda, namespace, "", ""));
    let mut lines = Vec::new();
    match plain {
        Ok(all) => lines.extend(all.iter().filter(aims).filter_map(|one| of_autoscaler(one, wanted))),
        Err(error) => {
            let text = format!("whether an autoscaler owns the number cannot be read: {error}");
            lines.push(Line::new(Mark::Warn, text));
        }
    }
    match keda {
        Ok(all) => lines.extend(all.iter().filter(aims).map(of_scaled_object)),
        // KEDA is not installed.
        Err(SourceError::Missing { .. }) => {}
        Err(error) => {
            let text = format!("whether KEDA owns the number cannot be read: {error}");
            lines.push(Line::new(Mark::Warn, text));
        }
    }
    if lines.is_empty() {
        lines.push(Line::new(Mark::Ok, "no autoscaler owns the number"));
    }
    lines
}

/// An autoscaler that KEDA keeps is told of with its `ScaledObject`.
fn of_autoscaler(scaler: &Value, wanted: i64) -> Option<Line> {
    if controller(scaler).is_some_and(|owner| text(owner, "/kind") == "ScaledObject") {
        return None;
    }
    let name = text(scaler, "/metadata/name");
    let least = number(scaler, "/spec/minReplicas").unwrap_or(1);
    let most = number(scaler, "/spec/maxReplicas").unwrap_or(least);
    let text = if wanted == 0 {
        format!("HorizontalPodAutoscaler {name} ({least} to {most}) stops scaling it as long as it is at 0")
    } else if (least..=most).contains(&wanted) {
        format!(
            "HorizontalPodAutoscaler {name} owns the number ({least} to {most}) and will set it as its metrics say: change its bounds to keep it"
        )
    } else {
        format!(
            "HorizontalPodAutoscaler {name} owns the number and will set it back to {least} to {most} within seconds: change its bounds instead"
        )
    };
    Some(Line::new(Mark::Warn, text))
}

fn of_scaled_object(scaler: &Value) -> Line {
    let name = text(scaler, "/metadata/name");
    if paused(scaler) {
        return Line::new(Mark::Note, format!("KEDA's ScaledObject {name} owns the number, and is paused"));
    }
    let least = number(scaler, "/spec/minReplicaCount").unwrap_or(0);
    let most = number(scaler, "/spec/maxReplicaCount").unwrap_or(100);
    let text = format!(
        "KEDA's ScaledObject {name} owns the number ({least} to {most}) and will set it back: pause it first, or change its bounds"
    );
    Line::new(Mark::Warn, text)
}

/// The annotation that pauses a `ScaledObject` where it is (contracts 9.3).
pub(super) const PAUSED: &str = "autoscaling.keda.sh/paused";
/// The annotation that pauses it at a number.
pub(super) const PAUSED_AT: &str = "autoscaling.keda.sh/paused-replicas";

/// Tells whether KEDA is asked to leave a `ScaledObject` alone: the number's presence counts, and of the flag every
/// value but `false` (contracts 9.3).
pub(super) fn paused(scaler: &Value) -> bool {
    let note = |key: &str| scaler.pointer("/metadata/annotations").and_then(|notes| notes.get(key));
    note(PAUSED_AT).is_some_and(|value| !value.is_null())
        || note(PAUSED).and_then(Value::as_str).is_some_and(|value| value != "false")
}

/// Names what owns an object, where a controller does.
pub(super) fn owner(document: &Value) -> Option<String> {
    let owner = controller(document)?;
    Some(format!("{}/{}", text(owner, "/kind"), text(owner, "/name")))
}

/// Lists what names an object as its owner.
pub(super) async fn owned<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    uid: &str,
    resource: &Resource,
) -> Result<Vec<Value>, SourceError> {
    let all = desk.remote.list(resource, object.namespace.as_deref(), "", "").await?;
    let of = |one: &Value| list(one, "/metadata/ownerReferences").iter().any(|own| text(own, "/uid") == uid);
    Ok(all.into_iter().filter(of).collect())
}
