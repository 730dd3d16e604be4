//! Pods as objects: made from a template, filled with the API server's defaults, and given the status that a
//! kubelet reports.
//!
//! Pure functions on JSON, shared by the controllers that create pods, by the kubelet and by the seed, so that a pod
//! that was seeded looks like one that was rolled out. They decide nothing.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::images::Image;
use super::untyped::{at, flag, list, number, put, set_condition, slot, stamp, text};
use super::world::fnv64;

/// Makes a pod from a workload's template; the storage adds its UID and dates.
pub fn from_template(template: &Value, namespace: &str, name: &str, owner: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    });
    if template["metadata"]["annotations"].is_object() {
        pod["metadata"]["annotations"] = template["metadata"]["annotations"].clone();
    }
    admit(&mut pod);
    pod
}

/// Returns the owner reference of a controller.
pub fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"],
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Fills in what the API server's defaulting and admission add to every pod, and its first status.
pub fn admit(pod: &mut Value) {
    if !pod["spec"].is_object() {
        return;
    }
    let token = format!("kube-api-access-{}", letters(fnv64(text(pod, "/metadata/name").as_bytes()), 5));
    let spec = &mut pod["spec"];
    for (key, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("serviceAccountName", json!("default")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
        ("priority", json!(0)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("enableServiceLinks", json!(true)),
    ] {
        if spec[key].is_null() {
            spec[key] = value;
        }
    }
    spec["serviceAccount"] = spec["serviceAccountName"].clone();
    let tolerations = slot(spec, &["tolerations"]);
    if !tolerations.is_array() {
        *tolerations = json!([]);
    }
    if let Some(tolerations) = tolerations.as_array_mut() {
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let everything = |t: &Value| t["operator"] == "Exists" && (t["key"].is_null() || t["key"] == key);
            if !tolerations.iter().any(everything) {
                tolerations.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
            }
        }
    }
    let mounted =
        list(spec, "/volumes").iter().any(|volume| text(volume, "/name").starts_with("kube-api-access-"));
    for which in ["initContainers", "containers"] {
        for container in spec[which].as_array_mut().into_iter().flatten() {
            let latest = Image::parse(text(container, "/image")).tag == "latest";
            for (key, value) in [
                ("imagePullPolicy", if latest { "Always" } else { "IfNotPresent" }),
                ("terminationMessagePath", "/dev/termination-log"),
                ("terminationMessagePolicy", "File"),
            ] {
                if container[key].is_null() {
                    container[key] = json!(value);
                }
            }
            if !container["resources"].is_object() {
                container["resources"] = json!({});
            }
            // A container that names only limits requests as much.
            if container["resources"]["requests"].is_null() && container["resources"]["limits"].is_object() {
                container["resources"]["requests"] = container["resources"]["limits"].clone();
            }
            if !mounted {
                let mounts = slot(container, &["volumeMounts"]);
                if !mounts.is_array() {
                    *mounts = json!([]);
                }
                if let Some(mounts) = mounts.as_array_mut() {
                    mounts.push(json!({"name": token, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}));
                }
            }
        }
    }
    if !mounted {
        let volumes = slot(spec, &["volumes"]);
        if !volumes.is_array() {
            *volumes = json!([]);
        }
        if let Some(volumes) = volumes.as_array_mut() {
            volumes.push(json!({"name": token, "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
            ]}}));
        }
    }
    let class = quality(&pod["spec"]);
    put(pod, &["status", "phase"], "Pending");
    put(pod, &["status", "qosClass"], class);
}

/// Returns the quality-of-service class of a pod's spec.
fn quality(spec: &Value) -> &'static str {
    let containers = list(spec, "/containers");
    let none = containers
        .iter()
        .all(|c| at(c, "/resources/requests").is_null() && at(c, "/resources/limits").is_null());
    let all = containers.iter().all(|c| {
        ["cpu", "memory"].iter().all(|what| {
            let limit = &c["resources"]["limits"][what];
            !limit.is_null() && *limit == c["resources"]["requests"][what]
        })
    });
    match (none, all) {
        (true, _) => "BestEffort",
        (_, true) => "Guaranteed",
        _ => "Burstable",
    }
}

/// Binds a pod to a node, as the scheduler does.
pub fn bind(pod: &mut Value, node: &str, now: &str) {
    put(pod, &["spec", "nodeName"], node);
    set_condition(pod, "PodScheduled", "True", "", "", now);
}

/// Gives a bound pod the status of one whose kubelet has taken it up: every container is being created.
pub fn take_up(pod: &mut Value, host: &str, now: &str) {
    put(pod, &["status", "startTime"], now);
    put(pod, &["status", "hostIP"], host);
    put(pod, &["status", "hostIPs"], json!([{"ip": host}]));
    for (from, to) in [("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")] {
        let statuses: Vec<Value> = list(&pod["spec"], &format!("/{from}"))
            .iter()
            .map(|container| {
                json!({
                    "name": container["name"], "image": container["image"], "imageID": "",
                    "state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {},
                    "ready": false, "started": false, "restartCount": 0,
                })
            })
            .collect();
        if !statuses.is_empty() {
            put(pod, &["status", to], statuses);
        }
    }
    settle(pod, now);
}

/// Starts a container: its `number`th status runs from `now`.
pub fn start(pod: &mut Value, number: usize, ip: &str, now: &str) {
    // A pod that is being seeded has no UID yet.
    let uid = format!("{}{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    if text(pod, "/status/podIP").is_empty() {
        put(pod, &["status", "podIP"], ip);
        put(pod, &["status", "podIPs"], json!([{"ip": ip}]));
    }
    for status in pod["status"]["initContainerStatuses"].as_array_mut().into_iter().flatten() {
        let name = text(status, "/name").to_owned();
        if at(status, "/state/terminated").is_null() {
            identify(status, &uid);
            status["state"] = json!({"terminated": {
                "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now,
                "containerID": container_id(&uid, &name, 0),
            }});
            status["ready"] = json!(true);
        }
    }
    let Some(status) = pod["status"]["containerStatuses"].get_mut(number) else { return };
    identify(status, &uid);
    status["state"] = json!({"running": {"startedAt": now}});
    status["started"] = json!(true);
    status["ready"] = json!(false);
}

/// Ends a container; whether and when it is started again is the kubelet's decision.
pub fn exit(pod: &mut Value, number: usize, code: i64, reason: &str, now: &str) {
    let Some(status) = pod["status"]["containerStatuses"].get_mut(number) else { return };
    let started = at(status, "/state/running/startedAt").clone();
    status["state"] = json!({"terminated": {
        "exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now, "containerID": status["containerID"],
    }});
    status["ready"] = json!(false);
    status["started"] = json!(false);
}

/// Moves an ended container's state to its last state and counts the restart.
pub fn restart(pod: &mut Value, number: usize) {
    let Some(status) = pod["status"]["containerStatuses"].get_mut(number) else { return };
    if !at(status, "/state/terminated").is_null() {
        status["lastState"] = status["state"].clone();
    }
    status["restartCount"] = json!(self::number(status, "/restartCount") + 1);
}

/// Computes phase and conditions from the containers.
pub fn settle(pod: &mut Value, now: &str) {
    let job = text(pod, "/spec/restartPolicy") != "Always";
    let statuses = list(pod, "/status/containerStatuses");
    let ended = |status: &Value| !at(status, "/state/terminated").is_null();
    let failed = |status: &Value| number(status, "/state/terminated/exitCode") != 0;
    let started = |status: &Value| {
        at(status, "/state/waiting/reason") == "CrashLoopBackOff" || at(status, "/state/waiting").is_null()
    };
    let over = job && !statuses.is_empty() && statuses.iter().all(ended);
    let lost = over && statuses.iter().any(failed);
    let phase = if lost && text(pod, "/spec/restartPolicy") == "Never" {
        "Failed"
    } else if over && !lost {
        "Succeeded"
    } else if !statuses.is_empty() && statuses.iter().all(started) {
        "Running"
    } else {
        "Pending"
    };
    let unready: Vec<String> = statuses
        .iter()
        .filter(|status| !flag(status, "/ready"))
        .map(|status| text(status, "/name").to_owned())
        .collect();
    let placed = phase != "Pending" || !text(pod, "/status/podIP").is_empty();
    put(pod, &["status", "phase"], phase);
    set_condition(pod, "PodReadyToStartContainers", if placed { "True" } else { "False" }, "", "", now);
    set_condition(
        pod,
        "Initialized",
        "True",
        if phase == "Succeeded" { "PodCompleted" } else { "" },
        "",
        now,
    );
    let (status, reason, message) = if phase == "Succeeded" {
        ("False", "PodCompleted", String::new())
    } else if phase == "Failed" {
        ("False", "PodFailed", String::new())
    } else if unready.is_empty() {
        ("True", "", String::new())
    } else {
        ("False", "ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" ")))
    };
    set_condition(pod, "Ready", status, reason, &message, now);
    set_condition(pod, "ContainersReady", status, reason, &message, now);
    set_condition(pod, "PodScheduled", "True", "", "", now);
}

/// Gives a pod the status of one that has run well since `since`.
pub fn settle_running(pod: &mut Value, node: &str, host: &str, ip: &str, since: Timestamp) {
    let scheduled = stamp(since);
    bind(pod, node, &scheduled);
    take_up(pod, host, &scheduled);
    let started = stamp(super::untyped::later(since, 3.0));
    let ready = stamp(super::untyped::later(since, 9.0));
    for number in 0..list(pod, "/spec/containers").len() {
        start(pod, number, ip, &started);
        pod["status"]["containerStatuses"][number]["ready"] = json!(true);
    }
    for name in ["Ready", "ContainersReady"] {
        super::untyped::clear_condition(pod, name);
    }
    settle(pod, &ready);
}

fn identify(status: &mut Value, uid: &str) {
    let image = text(status, "/image").to_owned();
    let name = text(status, "/name").to_owned();
    status["imageID"] =
        json!(format!("{}@sha256:{}", Image::parse(&image).repository, hex64(fnv64(image.as_bytes()))));
    status["containerID"] = json!(container_id(uid, &name, number(status, "/restartCount")));
}

fn container_id(uid: &str, name: &str, restarts: i64) -> String {
    format!("containerd://{}", hex64(fnv64(format!("{uid}/{name}/{restarts}").as_bytes())))
}

/// Returns 64 hexadecimal digits drawn from `seed`.
pub fn hex64(seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    format!("{:032x}{:032x}", rng.u128(..), rng.u128(..))
}

/// The letters of generated names: no vowels, and nothing that is taken for something else.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Returns `count` letters as Kubernetes appends them to generated names.
pub fn letters(seed: u64, count: usize) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| char::from(LETTERS[rng.usize(..LETTERS.len())])).collect()
}

/// Returns the hash of a pod template, in the form of the `pod-template-hash` label.
pub fn template_hash(template: &Value) -> String {
    let hash = template
        .to_string()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_string().bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
}
