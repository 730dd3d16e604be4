//! The cells of built-in types, as kubectl's server-side printers fill them.
//!
//! Pure functions of one object and the time; pods are in [`super::pod_cells`].

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns::span;
use super::objects::text;
use super::pod_cells;
use super::scale::spell_selector;
use super::types::Type;

const NONE: &str = "<none>";
const UNSET: &str = "<unset>";
const UNKNOWN: &str = "<unknown>";

/// Returns the cells of an object of a built-in type.
pub fn builtin(kind: Type, value: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&value["spec"], &value["status"]);
    let name = json!(text(&value["metadata"], "name"));
    let age = json!(since(&value["metadata"]["creationTimestamp"], now));
    let n = |part: &Value, field: &str| json!(part[field].as_i64().unwrap_or(0));
    match kind {
        Type::Pod => pod_cells::cells(value, now),
        Type::Node => node(value, name, age),
        Type::Namespace => vec![name, json!(text(status, "phase")), age],
        Type::Service => service(value, name, age),
        Type::Endpoints => vec![name, json!(endpoints(value)), age],
        Type::EndpointSlice => endpoint_slice(value, name, age),
        Type::ConfigMap => vec![name, json!(length(&value["data"]) + length(&value["binaryData"])), age],
        Type::Secret => vec![name, json!(text(value, "type")), json!(length(&value["data"])), age],
        Type::ServiceAccount => vec![name, json!(length(&value["secrets"])), age],
        Type::Event => event(value, name, now),
        Type::ResourceQuota => quota(value, name, age),
        Type::PersistentVolumeClaim => claim(value, name, age),
        Type::PersistentVolume => volume(value, name, age),
        Type::ReplicationController | Type::ReplicaSet => with_template(
            vec![name, n(spec, "replicas"), n(status, "replicas"), n(status, "readyReplicas"), age],
            spec,
            true,
        ),
        Type::Deployment => with_template(
            vec![
                name,
                ready_of(status, spec),
                n(status, "updatedReplicas"),
                n(status, "availableReplicas"),
                age,
            ],
            spec,
            true,
        ),
        Type::StatefulSet => with_template(vec![name, ready_of(status, spec), age], spec, false),
        Type::DaemonSet => {
            let nodes = labels(&spec["template"]["spec"]["nodeSelector"]);
            with_template(
                vec![
                    name,
                    n(status, "desiredNumberScheduled"),
                    n(status, "currentNumberScheduled"),
                    n(status, "numberReady"),
                    n(status, "updatedNumberScheduled"),
                    n(status, "numberAvailable"),
                    json!(nodes),
                    age,
                ],
                spec,
                true,
            )
        }
        Type::ControllerRevision => {
            let owner = value["metadata"]["ownerReferences"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|owner| owner["controller"] == true);
            let owner = owner.map_or_else(
                || NONE.to_owned(),
                |owner| {
                    // Lower-case kind with its group, as resources are spelled.
                    let group = text(owner, "apiVersion").split_once('/').map_or("", |(group, _)| group);
                    let kind = text(owner, "kind").to_lowercase();
                    let dot = if group.is_empty() { "" } else { "." };
                    format!("{kind}{dot}{group}/{}", text(owner, "name"))
                },
            );
            vec![name, json!(owner), n(value, "revision"), age]
        }
        Type::Job => job(value, name, age, now),
        Type::CronJob => cron_job(value, name, age, now),
        Type::HorizontalPodAutoscaler => autoscaler(value, name, age),
        Type::Ingress => ingress(value, name, age),
        Type::NetworkPolicy => {
            let selector = spell_selector(&spec["podSelector"]);
            vec![name, json!(or_none(selector)), age]
        }
        Type::PodDisruptionBudget => {
            let bound = |field: &str| match &spec[field] {
                Value::Null => json!("N/A"),
                Value::String(text) => json!(text),
                other => json!(other.to_string()),
            };
            vec![name, bound("minAvailable"), bound("maxUnavailable"), n(status, "disruptionsAllowed"), age]
        }
        Type::Role | Type::ClusterRole | Type::CustomResourceDefinition | Type::LimitRange => {
            vec![name, value["metadata"]["creationTimestamp"].clone()]
        }
        Type::RoleBinding | Type::ClusterRoleBinding => binding(value, name, age),
        Type::StorageClass => vec![
            if value["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true" {
                json!(format!("{} (default)", text(&value["metadata"], "name")))
            } else {
                name
            },
            json!(text(value, "provisioner")),
            json!(or(text(value, "reclaimPolicy"), "Delete")),
            json!(or(text(value, "volumeBindingMode"), "Immediate")),
            json!(value["allowVolumeExpansion"].as_bool().unwrap_or(false)),
            age,
        ],
        Type::Lease => vec![name, json!(text(spec, "holderIdentity")), age],
        Type::PriorityClass => vec![
            name,
            n(value, "value"),
            json!(value["globalDefault"].as_bool().unwrap_or(false)),
            age,
            json!(or(text(value, "preemptionPolicy"), "PreemptLowerPriority")),
        ],
        _ => vec![name],
    }
}

/// Writes how long ago a time of an object was.
pub fn since(time: &Value, now: Timestamp) -> String {
    match time.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(at) => span(at, now),
        None => UNKNOWN.to_owned(),
    }
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn or_none(text: String) -> String {
    if text.is_empty() { NONE.to_owned() } else { text }
}

fn length(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn labels(value: &Value) -> String {
    let list: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    or_none(list.join(","))
}

fn ready_of(status: &Value, spec: &Value) -> Value {
    let ready = status["readyReplicas"].as_i64().unwrap_or(0);
    json!(format!("{ready}/{}", spec["replicas"].as_i64().unwrap_or(1)))
}

/// Adds containers and images, and the selector where the type shows it.
fn with_template(mut cells: Vec<Value>, spec: &Value, selector: bool) -> Vec<Value> {
    let containers = &spec["template"]["spec"]["containers"];
    let list = |field: &str| items(containers).map(|c| text(c, field)).collect::<Vec<_>>().join(",");
    cells.push(json!(list("name")));
    cells.push(json!(list("image")));
    if selector {
        cells.push(json!(or_none(spell_selector(&spec["selector"]))));
    }
    cells
}

fn node(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&value["spec"], &value["status"]);
    let ready = items(&status["conditions"]).find(|condition| condition["type"] == "Ready");
    let mut state = match ready.map(|condition| text(condition, "status")) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if spec["unschedulable"] == true {
        state.push_str(",SchedulingDisabled");
    }
    let mut roles: Vec<&str> = value["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, role)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => role.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    let address = |kind: &str| {
        let found = items(&status["addresses"]).find(|address| address["type"] == kind);
        found.map_or(NONE, |address| text(address, "address")).to_owned()
    };
    let info = |field: &str| json!(or(text(&status["nodeInfo"], field), UNKNOWN));
    vec![
        name,
        json!(state),
        json!(or_none(roles.join(","))),
        age,
        json!(text(&status["nodeInfo"], "kubeletVersion")),
        json!(address("InternalIP")),
        json!(address("ExternalIP")),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn service(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let spec = &value["spec"];
    let form = text(spec, "type");
    let balancers: Vec<&str> = items(&value["status"]["loadBalancer"]["ingress"])
        .map(|entry| or(text(entry, "ip"), text(entry, "hostname")))
        .collect();
    let external: Vec<&str> = items(&spec["externalIPs"]).filter_map(Value::as_str).collect();
    let outside = match form {
        "LoadBalancer" if balancers.is_empty() && external.is_empty() => "<pending>".to_owned(),
        "LoadBalancer" => [balancers, external].concat().join(","),
        "ExternalName" => text(spec, "externalName").to_owned(),
        _ => or_none(external.join(",")),
    };
    let ports: Vec<String> = items(&spec["ports"])
        .map(|port| {
            let protocol = or(text(port, "protocol"), "TCP");
            match port["nodePort"].as_i64().unwrap_or(0) {
                0 => format!("{}/{protocol}", port["port"]),
                node => format!("{}:{node}/{protocol}", port["port"]),
            }
        })
        .collect();
    vec![
        name,
        json!(form),
        json!(or(text(spec, "clusterIP"), NONE)),
        json!(outside),
        json!(or_none(ports.join(","))),
        age,
        json!(labels(&spec["selector"])),
    ]
}

fn endpoints(value: &Value) -> String {
    let mut list = Vec::new();
    for subset in items(&value["subsets"]) {
        for address in items(&subset["addresses"]) {
            for port in items(&subset["ports"]) {
                list.push(format!("{}:{}", text(address, "ip"), port["port"]));
            }
        }
    }
    let more = list.len().saturating_sub(3);
    list.truncate(3);
    let shown = or_none(list.join(","));
    if more > 0 { format!("{shown} + {more} more...") } else { shown }
}

fn endpoint_slice(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let ports: Vec<String> = items(&value["ports"]).map(|port| port["port"].to_string()).collect();
    let mut list: Vec<&str> = items(&value["endpoints"])
        .flat_map(|endpoint| items(&endpoint["addresses"]))
        .filter_map(Value::as_str)
        .collect();
    let more = list.len().saturating_sub(3);
    list.truncate(3);
    let mut shown = if list.is_empty() { UNSET.to_owned() } else { list.join(",") };
    if more > 0 {
        shown = format!("{shown} + {more} more...");
    }
    let ports = if ports.is_empty() { UNSET.to_owned() } else { ports.join(",") };
    vec![name, json!(text(value, "addressType")), json!(ports), json!(shown), age]
}

fn event(value: &Value, name: Value, now: Timestamp) -> Vec<Value> {
    let about = &value["involvedObject"];
    let first =
        if value["firstTimestamp"].is_null() { &value["eventTime"] } else { &value["firstTimestamp"] };
    let last = [&value["series"]["lastObservedTime"], &value["lastTimestamp"], first]
        .into_iter()
        .find(|time| !time.is_null())
        .unwrap_or(&Value::Null);
    let count = [&value["series"]["count"], &value["count"]]
        .into_iter()
        .find_map(Value::as_i64)
        .filter(|count| *count > 0)
        .unwrap_or(1);
    let source = match (text(&value["source"], "component"), text(&value["source"], "host")) {
        ("", "") => text(value, "reportingComponent").to_owned(),
        (component, "") => component.to_owned(),
        (component, host) => format!("{component}, {host}"),
    };
    let object = match (text(about, "kind"), text(about, "name")) {
        (kind, "") => kind.to_lowercase(),
        (kind, name) => format!("{}/{name}", kind.to_lowercase()),
    };
    vec![
        json!(since(last, now)),
        json!(text(value, "type")),
        json!(text(value, "reason")),
        json!(object),
        json!(text(about, "fieldPath")),
        json!(source),
        json!(text(value, "message").trim()),
        json!(since(first, now)),
        json!(count),
        name,
    ]
}

fn quota(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, hard) in value["status"]["hard"].as_object().into_iter().flatten() {
        let used = value["status"]["used"][resource].as_str().unwrap_or("0");
        let line = format!("{resource}: {used}/{}", hard.as_str().unwrap_or_default());
        if resource.starts_with("limits") { limits.push(line) } else { requests.push(line) }
    }
    vec![name, json!(requests.join(", ")), json!(limits.join(", ")), age]
}

fn modes(value: &Value) -> String {
    let list: Vec<&str> = items(value)
        .filter_map(Value::as_str)
        .map(|mode| match mode {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            other => other,
        })
        .collect();
    list.join(",")
}

fn phase(value: &Value) -> &str {
    if value["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else {
        text(&value["status"], "phase")
    }
}

fn claim(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&value["spec"], &value["status"]);
    let bound = !text(spec, "volumeName").is_empty();
    let capacity = if bound { text(&status["capacity"], "storage") } else { "" };
    let access = if bound { modes(&status["accessModes"]) } else { String::new() };
    vec![
        name,
        json!(phase(value)),
        json!(text(spec, "volumeName")),
        json!(capacity),
        json!(access),
        json!(text(spec, "storageClassName")),
        json!(or(text(spec, "volumeAttributesClassName"), UNSET)),
        age,
        json!(or(text(spec, "volumeMode"), UNSET)),
    ]
}

fn volume(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let spec = &value["spec"];
    let claim = match (text(&spec["claimRef"], "namespace"), text(&spec["claimRef"], "name")) {
        (_, "") => String::new(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    vec![
        name,
        json!(text(&spec["capacity"], "storage")),
        json!(modes(&spec["accessModes"])),
        json!(text(spec, "persistentVolumeReclaimPolicy")),
        json!(phase(value)),
        json!(claim),
        json!(text(spec, "storageClassName")),
        json!(or(text(spec, "volumeAttributesClassName"), UNSET)),
        json!(text(&value["status"], "reason")),
        age,
        json!(or(text(spec, "volumeMode"), UNSET)),
    ]
}

fn job(value: &Value, name: Value, age: Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&value["spec"], &value["status"]);
    let is = |kind: &str| {
        items(&status["conditions"])
            .any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    let state = if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if value["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else {
        "Running"
    };
    let succeeded = status["succeeded"].as_i64().unwrap_or(0);
    let completions = match (spec["completions"].as_i64(), spec["parallelism"].as_i64()) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, Some(parallel)) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        _ => format!("{succeeded}/1"),
    };
    let at = |field: &str| status[field].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let duration = match (at("startTime"), at("completionTime")) {
        (Some(start), Some(end)) => span(start, end),
        (Some(start), None) => span(start, now),
        _ => String::new(),
    };
    with_template(vec![name, json!(state), json!(completions), json!(duration), age], spec, true)
}

fn cron_job(value: &Value, name: Value, age: Value, now: Timestamp) -> Vec<Value> {
    let spec = &value["spec"];
    let last = &value["status"]["lastScheduleTime"];
    let last = if last.is_null() { NONE.to_owned() } else { since(last, now) };
    with_template(
        vec![
            name,
            json!(text(spec, "schedule")),
            json!(or(text(spec, "timeZone"), NONE)),
            json!(if spec["suspend"] == true { "True" } else { "False" }),
            json!(length(&value["status"]["active"])),
            json!(last),
            age,
        ],
        &spec["jobTemplate"]["spec"],
        true,
    )
}

fn autoscaler(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&value["spec"], &value["status"]);
    let target = &spec["scaleTargetRef"];
    let current = |at: usize, what: &str, metric: &Value| {
        let status = status["currentMetrics"]
            .as_array()
            .and_then(|list| {
                list.iter()
                    .find(|entry| {
                        entry["type"] == metric["type"]
                            && entry[what]["name"] == metric[what]["name"]
                            && entry[what]["metric"]["name"] == metric[what]["metric"]["name"]
                    })
                    .or_else(|| list.get(at))
            })
            .unwrap_or(&Value::Null);
        status[what]["current"].clone()
    };
    let shown: Vec<String> = items(&spec["metrics"])
        .enumerate()
        .map(|(at, metric)| {
            let what = match text(metric, "type") {
                "ContainerResource" => "containerResource",
                "Pods" => "pods",
                "Object" => "object",
                "External" => "external",
                _ => "resource",
            };
            let (wish, now) = (&metric[what]["target"], current(at, what, metric));
            let label = match what {
                "resource" | "containerResource" => format!("{}: ", text(&metric[what], "name")),
                _ => String::new(),
            };
            if let Some(percent) = wish["averageUtilization"].as_i64() {
                let now = now["averageUtilization"]
                    .as_i64()
                    .map_or_else(|| UNKNOWN.to_owned(), |now| format!("{now}%"));
                return format!("{label}{now}/{percent}%");
            }
            let field = if wish["averageValue"].is_null() { "value" } else { "averageValue" };
            let suffix = if field == "averageValue" && what != "resource" { " (avg)" } else { "" };
            let now = now[field].as_str().unwrap_or(UNKNOWN);
            format!("{label}{now}/{}{suffix}", wish[field].as_str().unwrap_or_default())
        })
        .collect();
    let more = shown.len().saturating_sub(2);
    let targets = match (shown.is_empty(), more) {
        (true, _) => NONE.to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} + {more} more...", shown[..2].join(", ")),
    };
    vec![
        name,
        json!(format!("{}/{}", text(target, "kind"), text(target, "name"))),
        json!(targets),
        json!(spec["minReplicas"].as_i64().map_or_else(|| UNSET.to_owned(), |least| least.to_string())),
        json!(spec["maxReplicas"].as_i64().unwrap_or(0).to_string()),
        json!(status["currentReplicas"].as_i64().unwrap_or(0)),
        age,
    ]
}

fn ingress(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let spec = &value["spec"];
    let mut hosts: Vec<&str> =
        items(&spec["rules"]).map(|rule| text(rule, "host")).filter(|host| !host.is_empty()).collect();
    let more = hosts.len().saturating_sub(3);
    hosts.truncate(3);
    let mut shown = if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") };
    if more > 0 {
        shown = format!("{shown} + {more} more...");
    }
    let address: Vec<&str> = items(&value["status"]["loadBalancer"]["ingress"])
        .map(|entry| or(text(entry, "ip"), text(entry, "hostname")))
        .collect();
    let ports = if length(&spec["tls"]) > 0 { "80, 443" } else { "80" };
    vec![
        name,
        json!(or(text(spec, "ingressClassName"), NONE)),
        json!(shown),
        json!(address.join(",")),
        json!(ports),
        age,
    ]
}

fn binding(value: &Value, name: Value, age: Value) -> Vec<Value> {
    let role = format!("{}/{}", text(&value["roleRef"], "kind"), text(&value["roleRef"], "name"));
    let subjects = |kind: &str| {
        let list: Vec<String> = items(&value["subjects"])
            .filter(|subject| subject["kind"] == kind)
            .map(|subject| match text(subject, "namespace") {
                "" => text(subject, "name").to_owned(),
                namespace => format!("{namespace}/{}", text(subject, "name")),
            })
            .collect();
        json!(list.join(", "))
    };
    vec![name, json!(role), age, subjects("User"), subjects("Group"), subjects("ServiceAccount")]
}
