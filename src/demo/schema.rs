//! The shapes of the built-in types: what a field may be, and which fields exist.
//!
//! A body is decoded into the type that Kubernetes publishes; what does not fit is refused, what the type does not
//! know is found by comparing. Custom resources are held to the schema of their definition.

use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v2 as autoscaling, batch::v1 as batch, coordination::v1 as coordination,
    core::v1 as core, discovery::v1 as discovery, networking::v1 as networking, policy::v1 as policy,
    rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::status::{Cause, Status};
use super::structural;
use super::types::Type;

/// Holds a body against its type, takes out the fields that the type does not know, and returns their paths.
///
/// `definition` is the stored `CustomResourceDefinition` of a custom resource.
pub fn check(kind: Type, value: &mut Value, definition: Option<&Value>) -> Result<Vec<String>, Status> {
    let round = round_trip(kind, value).map_err(|why| {
        let info = kind.info();
        Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {why}",
            info.kind, info.version, info.kind
        ))
    })?;
    let mut unknown = Vec::new();
    match round {
        Some(known) => prune(value, &known, "", &mut unknown),
        None => custom(kind, value, definition, &mut unknown)?,
    }
    Ok(unknown)
}

/// Decodes and encodes again; `None` for types whose shape is not built in.
fn round_trip(kind: Type, value: &Value) -> Result<Option<Value>, String> {
    let trip = match kind {
        Type::Namespace => trip::<core::Namespace>,
        Type::Node => trip::<core::Node>,
        Type::Pod => trip::<core::Pod>,
        Type::Service => trip::<core::Service>,
        Type::Endpoints => trip::<core::Endpoints>,
        Type::ConfigMap => trip::<core::ConfigMap>,
        Type::Secret => trip::<core::Secret>,
        Type::ServiceAccount => trip::<core::ServiceAccount>,
        Type::Event => trip::<core::Event>,
        Type::ResourceQuota => trip::<core::ResourceQuota>,
        Type::LimitRange => trip::<core::LimitRange>,
        Type::PersistentVolumeClaim => trip::<core::PersistentVolumeClaim>,
        Type::PersistentVolume => trip::<core::PersistentVolume>,
        Type::ReplicationController => trip::<core::ReplicationController>,
        Type::Deployment => trip::<apps::Deployment>,
        Type::ReplicaSet => trip::<apps::ReplicaSet>,
        Type::StatefulSet => trip::<apps::StatefulSet>,
        Type::DaemonSet => trip::<apps::DaemonSet>,
        Type::ControllerRevision => trip::<apps::ControllerRevision>,
        Type::Job => trip::<batch::Job>,
        Type::CronJob => trip::<batch::CronJob>,
        Type::HorizontalPodAutoscaler => trip::<autoscaling::HorizontalPodAutoscaler>,
        Type::Ingress => trip::<networking::Ingress>,
        Type::NetworkPolicy => trip::<networking::NetworkPolicy>,
        Type::PodDisruptionBudget => trip::<policy::PodDisruptionBudget>,
        Type::Role => trip::<rbac::Role>,
        Type::RoleBinding => trip::<rbac::RoleBinding>,
        Type::ClusterRole => trip::<rbac::ClusterRole>,
        Type::ClusterRoleBinding => trip::<rbac::ClusterRoleBinding>,
        Type::StorageClass => trip::<storage::StorageClass>,
        Type::Lease => trip::<coordination::Lease>,
        Type::PriorityClass => trip::<scheduling::PriorityClass>,
        Type::EndpointSlice => trip::<discovery::EndpointSlice>,
        _ => return Ok(None),
    };
    trip(value).map(Some)
}

fn trip<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    let typed: T = serde::Deserialize::deserialize(value).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// Takes out of `value` what is not in `known`, and notes where it was.
fn prune(value: &mut Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    match (value, known) {
        (Value::Object(fields), Value::Object(known)) => {
            fields.retain(|key, part| {
                let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match known.get(key) {
                    Some(known) => {
                        prune(part, known, &place, unknown);
                        true
                    }
                    // A null is an absent field, and a field that is known but empty may not be written again.
                    None if part.is_null() => false,
                    None if is_empty(part) => true,
                    None => {
                        unknown.push(place);
                        false
                    }
                }
            });
        }
        (Value::Array(items), Value::Array(known)) => {
            for (at, (item, known)) in items.iter_mut().zip(known).enumerate() {
                prune(item, known, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Holds a custom resource against the schema of its definition, or checks what can be checked without one.
fn custom(
    kind: Type,
    value: &mut Value,
    definition: Option<&Value>,
    unknown: &mut Vec<String>,
) -> Result<(), Status> {
    let info = kind.info();
    let metadata: Result<ObjectMeta, _> = serde::Deserialize::deserialize(&value["metadata"]);
    let metadata = metadata.map_err(|error| {
        Status::bad_request(format!("{} cannot be handled: metadata: {error}", info.kind))
    })?;
    let name = metadata.name.unwrap_or_default();
    let versions = definition.and_then(|definition| definition["spec"]["versions"].as_array());
    let version = versions.into_iter().flatten().find(|version| version["name"] == info.version);
    if let Some(version) = version
        && version["schema"]["openAPIV3Schema"] != structural::open()
    {
        let causes = structural::hold(&version["schema"]["openAPIV3Schema"], value, unknown);
        return if causes.is_empty() { Ok(()) } else { Err(Status::invalid(kind, &name, causes)) };
    }
    let extra: &[&str] = match kind {
        Type::Application => &["operation"],
        Type::PolicyReport => &["scope", "scopeSelector", "source", "results", "summary", "configuration"],
        Type::VulnerabilityReport => &["report"],
        _ => &[],
    };
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|key, part| {
            let known = ["apiVersion", "kind", "metadata", "spec", "status"].contains(&key.as_str())
                || extra.contains(&key.as_str());
            if !known && !part.is_null() {
                unknown.push(key.clone());
            }
            known && !part.is_null()
        });
    }
    let wrong =
        ["spec", "status"].iter().filter(|part| value.get(part).is_some_and(|part| !part.is_object()));
    let causes: Vec<Cause> = wrong
        .map(|part| Cause {
            reason: "FieldValueTypeInvalid",
            message: format!("Invalid value: {}: {part} in body must be of type object", value[part]),
            field: (*part).to_owned(),
        })
        .collect();
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(kind, &name, causes)) }
}
