//! What the API server does to a write before it is stored: defaults, and rules that a schema cannot say.
//!
//! Pods get their defaults from [`super::pods::admit`]; the garbage collector's and the quota's business is elsewhere.

use serde_json::{Value, json};

use super::objects::text;
use super::pods;
use super::selector::Selector;
use super::status::{Cause, Status};
use super::types::Type;

/// Completes and checks an object that is to be created or changed; `before` is what is stored.
pub fn admit(kind: Type, value: &mut Value, before: Option<&Value>) -> Result<(), Status> {
    let name = text(&value["metadata"], "name").to_owned();
    match kind {
        Type::Deployment | Type::ReplicaSet | Type::StatefulSet | Type::DaemonSet => {
            workload(kind, &name, value, before)
        }
        Type::Job => {
            required(kind, &name, value, &["spec", "spec.template"])?;
            pod_template(&mut value["spec"]["template"]["spec"]);
            absent(value, "spec", "parallelism", json!(1));
            absent(value, "spec", "completions", json!(1));
            absent(value, "spec", "backoffLimit", json!(6));
            Ok(())
        }
        Type::CronJob => {
            required(kind, &name, value, &["spec", "spec.schedule", "spec.jobTemplate"])?;
            absent(value, "spec", "concurrencyPolicy", json!("Allow"));
            absent(value, "spec", "suspend", json!(false));
            absent(value, "spec", "successfulJobsHistoryLimit", json!(3));
            absent(value, "spec", "failedJobsHistoryLimit", json!(1));
            Ok(())
        }
        Type::Pod => pod(&name, value, before),
        Type::Service => {
            required(kind, &name, value, &["spec", "spec.ports"])?;
            absent(value, "spec", "type", json!("ClusterIP"));
            absent(value, "spec", "sessionAffinity", json!("None"));
            Ok(())
        }
        Type::ConfigMap | Type::Secret => immutable_data(kind, &name, value, before),
        _ => Ok(()),
    }
}

fn required(kind: Type, name: &str, value: &Value, paths: &[&str]) -> Result<(), Status> {
    let missing: Vec<Cause> = paths
        .iter()
        .filter(|path| path.split('.').try_fold(value, |at, part| at.get(part)).is_none_or(Value::is_null))
        .map(|path| Cause {
            reason: "FieldValueRequired",
            message: "Required value".to_owned(),
            field: (*path).to_owned(),
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Status::invalid(kind, name, missing)) }
}

fn absent(value: &mut Value, part: &str, field: &str, default: Value) {
    let part = &mut value[part];
    if part[field].is_null() {
        part[field] = default;
    }
}

fn invalid(kind: Type, name: &str, field: &str, message: String) -> Status {
    Status::invalid(kind, name, vec![Cause { reason: "FieldValueInvalid", message, field: field.to_owned() }])
}

fn workload(kind: Type, name: &str, value: &mut Value, before: Option<&Value>) -> Result<(), Status> {
    required(kind, name, value, &["spec", "spec.selector", "spec.template", "spec.template.spec"])?;
    let spec = &value["spec"];
    if spec["replicas"].as_i64().is_some_and(|replicas| replicas < 0) {
        let message = format!("Invalid value: {}: must be greater than or equal to 0", spec["replicas"]);
        return Err(invalid(kind, name, "spec.replicas", message));
    }
    let selector = Selector::of_object(&spec["selector"]);
    if selector.is_empty() {
        let message = "Invalid value: {}: empty selector is invalid for workloads".to_owned();
        return Err(invalid(kind, name, "spec.selector", message));
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if !selector.matches_labels(|key| labels.get(key).and_then(Value::as_str)) {
        let message = format!("Invalid value: {labels}: `selector` does not match template `labels`");
        return Err(invalid(kind, name, "spec.template.metadata.labels", message));
    }
    if let Some(before) = before
        && before["spec"]["selector"] != spec["selector"]
    {
        let message = format!("Invalid value: {}: field is immutable", spec["selector"]);
        return Err(invalid(kind, name, "spec.selector", message));
    }
    containers(kind, name, &spec["template"]["spec"], "spec.template.spec")?;
    pod_template(&mut value["spec"]["template"]["spec"]);
    if kind != Type::DaemonSet {
        absent(value, "spec", "replicas", json!(1));
    }
    if kind != Type::ReplicaSet {
        absent(value, "spec", "revisionHistoryLimit", json!(10));
    }
    match kind {
        Type::Deployment => {
            absent(value, "spec", "progressDeadlineSeconds", json!(600));
            absent(value, "spec", "strategy", json!({"type": "RollingUpdate"}));
            let strategy = &mut value["spec"]["strategy"];
            if strategy["type"].is_null() {
                strategy["type"] = json!("RollingUpdate");
            }
            if strategy["type"] == "RollingUpdate" {
                for field in ["maxUnavailable", "maxSurge"] {
                    absent(strategy, "rollingUpdate", field, json!("25%"));
                }
            }
        }
        Type::StatefulSet => {
            absent(value, "spec", "podManagementPolicy", json!("OrderedReady"));
            absent(value, "spec", "serviceName", json!(""));
            absent(
                value,
                "spec",
                "updateStrategy",
                json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
            );
        }
        Type::DaemonSet => {
            let update =
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}});
            absent(value, "spec", "updateStrategy", update);
        }
        _ => {}
    }
    Ok(())
}

fn containers(kind: Type, name: &str, spec: &Value, path: &str) -> Result<(), Status> {
    let list = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return Err(Status::required(kind, name, &format!("{path}.containers")));
    }
    for (at, container) in list.iter().enumerate() {
        for field in ["name", "image"] {
            if text(container, field).is_empty() {
                return Err(Status::required(kind, name, &format!("{path}.containers[{at}].{field}")));
            }
        }
        let duplicate = list[..at].iter().any(|other| other["name"] == container["name"]);
        if duplicate {
            let cause = Cause {
                reason: "FieldValueDuplicate",
                message: format!("Duplicate value: {}", container["name"]),
                field: format!("{path}.containers[{at}].name"),
            };
            return Err(Status::invalid(kind, name, vec![cause]));
        }
    }
    Ok(())
}

/// Fills in the defaults of a pod template; what only real pods get is left to [`pods::admit`].
fn pod_template(spec: &mut Value) {
    for (field, default) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        if spec[field].is_null() {
            spec[field] = default;
        }
    }
    for which in ["initContainers", "containers"] {
        for container in spec.get_mut(which).and_then(Value::as_array_mut).into_iter().flatten() {
            let image = text(container, "image").rsplit('/').next().unwrap_or_default().to_owned();
            let latest = !image.contains(':') || image.ends_with(":latest");
            let pull = if latest { "Always" } else { "IfNotPresent" };
            for (field, default) in [
                ("imagePullPolicy", json!(pull)),
                ("terminationMessagePath", json!("/dev/termination-log")),
                ("terminationMessagePolicy", json!("File")),
                ("resources", json!({})),
            ] {
                if container[field].is_null() {
                    container[field] = default;
                }
            }
            for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                if port["protocol"].is_null() {
                    port["protocol"] = json!("TCP");
                }
            }
        }
    }
}

fn pod(name: &str, value: &mut Value, before: Option<&Value>) -> Result<(), Status> {
    let Some(before) = before else {
        required(Type::Pod, name, value, &["spec"])?;
        containers(Type::Pod, name, &value["spec"], "spec")?;
        pods::admit(value);
        return Ok(());
    };
    // Images, tolerations and deadlines may change; the rest of a pod's spec may not.
    let fixed = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        if let Some(fields) = spec.as_object_mut() {
            for free in ["tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds"] {
                fields.remove(free);
            }
        }
        for which in ["initContainers", "containers"] {
            for container in spec.get_mut(which).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    container.remove("image");
                }
            }
        }
        spec
    };
    if fixed(value) == fixed(before) {
        return Ok(());
    }
    let message = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
                   `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                   existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                   previously negative)";
    let cause =
        Cause { reason: "FieldValueForbidden", message: message.to_owned(), field: "spec".to_owned() };
    Err(Status::invalid(Type::Pod, name, vec![cause]))
}

fn immutable_data(kind: Type, name: &str, value: &mut Value, before: Option<&Value>) -> Result<(), Status> {
    if kind == Type::Secret {
        // What is given as text is stored as data.
        if let Some(Value::Object(plain)) = value.as_object_mut().and_then(|body| body.remove("stringData")) {
            use base64::Engine as _;
            if !value["data"].is_object() {
                value["data"] = json!({});
            }
            for (key, part) in plain {
                let encoded =
                    base64::engine::general_purpose::STANDARD.encode(part.as_str().unwrap_or_default());
                value["data"][key] = json!(encoded);
            }
        }
        if value["type"].is_null() {
            value["type"] = json!("Opaque");
        }
    }
    let Some(before) = before else { return Ok(()) };
    let sealed = before["immutable"].as_bool().unwrap_or(false);
    if sealed && ["data", "binaryData", "immutable"].iter().any(|part| before[part] != value[part]) {
        let cause = Cause {
            reason: "FieldValueForbidden",
            message: "Forbidden: field is immutable when `immutable` is set".to_owned(),
            field: "data".to_owned(),
        };
        return Err(Status::invalid(kind, name, vec![cause]));
    }
    Ok(())
}
