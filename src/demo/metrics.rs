//! metrics.k8s.io: what nodes and pods use right now.
//!
//! The numbers come from the world; nothing is stored. It can be read, not watched.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::{Object, seconds};
use super::platform::Handle;
use super::read::list_request;
use super::request::{Query, Shape, Target};
use super::server::{Response, json as answer_json};
use super::status::{Reason, Status};
use super::types::Type;
use super::usage::{Usage, WINDOW};
use super::world::World;

/// Tells whether a path of the group is served.
pub fn serves(target: &Target) -> bool {
    target.version == "v1beta1"
        && target.subresource.is_empty()
        && match target.plural.as_str() {
            "nodes" => target.namespace.is_empty(),
            "pods" => !target.namespace.is_empty() || target.name.is_empty(),
            _ => false,
        }
}

/// Answers one object or a list.
pub async fn answer(
    handle: &Handle,
    target: &Target,
    query: &Query,
    _shape: Shape,
) -> Result<Response, Status> {
    let kind = if target.plural == "nodes" { Type::Node } else { Type::Pod };
    let name = target.name.clone();
    let request = list_request(&Target { name: String::new(), ..target.clone() }, kind, query)?;
    let single = (!name.is_empty()).then_some(name);
    let namespace = target.namespace.clone();
    let found = handle
        .call(move |world, now| {
            if let Some(name) = &single {
                return world
                    .objects
                    .find(kind, &namespace, name)
                    .cloned()
                    .and_then(|object| measure(world, &object, now))
                    .ok_or_else(|| missing(kind, &namespace, name));
            }
            let objects: Vec<_> = world
                .objects
                .list(kind, (!request.namespace.is_empty()).then_some(request.namespace.as_str()))
                .filter(|object| request.selector.matches(object))
                .cloned()
                .collect();
            let items: Vec<Value> = objects.iter().filter_map(|object| measure(world, object, now)).collect();
            let list = if kind == Type::Node { "NodeMetricsList" } else { "PodMetricsList" };
            Ok(json!({"kind": list, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}))
        })
        .await?;
    Ok(answer_json(200, &found?))
}

fn missing(kind: Type, namespace: &str, name: &str) -> Status {
    let plural = kind.info().plural;
    let shown = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    Status {
        name: shown.as_str().into(),
        group: "metrics.k8s.io".into(),
        kind: plural.into(),
        ..Status::new(Reason::NotFound, format!("{plural}.metrics.k8s.io \"{shown}\" not found"))
    }
}

/// Returns what an object uses; `None` where nothing was measured yet.
fn measure(world: &mut World, object: &Object, now: Timestamp) -> Option<Value> {
    let usage = |usage: Usage| json!({"cpu": format!("{}n", usage.nanocores), "memory": format!("{}Ki", usage.bytes / 1024)});
    let mut metadata = json!({"name": object.key.name.as_ref(), "creationTimestamp": seconds(now)});
    let labels: serde_json::Map<String, Value> =
        object.labels.iter().map(|(key, value)| (key.to_string(), json!(value.as_ref()))).collect();
    metadata["labels"] = Value::Object(labels);
    let (timestamp, window) = (seconds(now), format!("{WINDOW}s"));
    if object.key.kind == Type::Node {
        let used = world.node_usage(&object.key.name)?;
        return Some(json!({
            "kind": "NodeMetrics", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": metadata,
            "timestamp": timestamp, "window": window, "usage": usage(used),
        }));
    }
    metadata["namespace"] = json!(object.key.namespace.as_ref());
    let containers: Vec<Value> = world
        .pod_usage(&object.key)?
        .into_iter()
        .map(|(name, used)| json!({"name": name, "usage": usage(used)}))
        .collect();
    Some(json!({
        "kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": metadata,
        "timestamp": timestamp, "window": window, "containers": containers,
    }))
}
