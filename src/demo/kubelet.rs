//! The kubelets: take up bound pods, run their containers as the images behave, and end them when asked.
//!
//! Everything it decides follows from the pod's status and the time, so a pod that a client edits, or that was
//! seeded, is carried on from where it stands. Times are shortened so that a person sees an end within a minute.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::images::Behaviour;
use super::manifests::SETTINGS;
use super::objects::Key;
use super::pods;
use super::types::Type;
use super::untyped::{at, flag, later, list, marked, number, put, seconds, text, time};
use super::view::{Seen, View};
use super::world::{Controller, Cx, fnv64};
use crate::identity::Text;

/// Seconds until a container that crashed is started again: the first at once, then doubling, as the kubelet does
/// with ten times as much.
const BACKOFF: [f64; 6] = [1.0, 5.0, 10.0, 20.0, 40.0, 60.0];

/// The kubelets of all nodes.
#[derive(Debug, Default)]
pub struct Kubelet {
    killing: HashSet<Text>,
    addresses: u32,
}

impl Controller for Kubelet {
    fn name(&self) -> &'static str {
        "kubelet"
    }

    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::Pod
                if !seen.gone
                    && view.pod(&seen.key).is_some_and(|pod| pod.node.is_some() || pod.deleting) =>
            {
                keys.push(seen.key.clone());
            }
            // Pods of a node that is gone go with it.
            Type::Node if seen.gone => keys.extend(view.on_node(&seen.key.name).map(|(key, _)| key.clone())),
            // A pod may have waited for it.
            Type::Secret | Type::ConfigMap if !seen.gone => {
                keys.extend(
                    view.pods_in(&seen.key.namespace)
                        .filter(|(_, pod)| pod.ready.is_none() && pod.node.is_some() && !pod.finished())
                        .map(|(key, _)| key.clone()),
                );
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(mut pod) = cx.get(key) else { return };
        let node = text(&pod, "/spec/nodeName").to_owned();
        if !at(&pod, "/metadata/deletionTimestamp").is_null() {
            if is_dead(&node, cx) {
                return;
            }
            self.end(key, &pod, &node, cx);
            return;
        }
        if node.is_empty() {
            return;
        }
        let Some(host) = cx.get(&Key::new(Type::Node, "", &node)) else {
            cx.remove(key);
            return;
        };
        if matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed") {
            return;
        }
        let before = pod.clone();
        let mut next = None;
        if time(&pod, "/status/startTime").is_none() {
            let host = list(&host, "/status/addresses").iter().find(|a| a["type"] == "InternalIP");
            let host = host.map_or("", |found| text(found, "/address")).to_owned();
            pods::take_up(&mut pod, &host, &cx.stamp());
            for container in list(&pod, "/spec/containers") {
                let message = format!("Pulling image \"{}\"", text(container, "/image"));
                cx.event(&pod, "Normal", "Pulling", &message, "kubelet");
            }
        }
        for number in 0..list(&pod, "/status/containerStatuses").len() {
            let due = self.container(&mut pod, number, cx);
            next = earliest(next, due);
        }
        if pod != before {
            pods::settle(&mut pod, &cx.stamp());
            cx.replace(key, pod);
        }
        if let Some(due) = next {
            cx.at(due, key);
        }
    }
}

/// Tells whether the kubelet of a node is heard of no more, which somebody writes into its status: it ends nothing.
fn is_dead(node: &str, cx: &Cx<'_>) -> bool {
    let node = cx.get(&Key::new(Type::Node, "", node));
    let ready = |node: &Value| {
        list(node, "/status/conditions")
            .iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "Unknown")
    };
    node.is_some_and(|node| ready(&node))
}

impl Kubelet {
    /// Ends the containers of a pod that is being deleted, then lets go of it.
    fn end(&mut self, key: &Key, pod: &Value, node: &str, cx: &mut Cx<'_>) {
        let uid: Text = text(pod, "/metadata/uid").into();
        let grace = number(pod, "/metadata/deletionGracePeriodSeconds") as f64;
        let asked = time(pod, "/metadata/deletionTimestamp").map_or(cx.now, |at| later(at, -grace));
        let running =
            !node.is_empty() && cx.view.node(node).is_some() && text(pod, "/status/phase") == "Running";
        let due = if running { later(asked, chance(&uid, 2.0, 4.0).min(grace)) } else { cx.now };
        if cx.now >= due {
            self.killing.remove(&uid);
            if list(pod, "/metadata/finalizers").is_empty() {
                cx.remove(key);
            }
            return;
        }
        if self.killing.insert(uid) {
            for container in list(pod, "/spec/containers") {
                let message = format!("Stopping container {}", text(container, "/name"));
                cx.event(pod, "Normal", "Killing", &message, "kubelet");
            }
        }
        cx.at(due, key);
    }

    /// Carries one container on; returns when to look again.
    fn container(&mut self, pod: &mut Value, number: usize, cx: &mut Cx<'_>) -> Option<Timestamp> {
        let status = pod["status"]["containerStatuses"][number].clone();
        let name = text(&status, "/name").to_owned();
        let spec = list(pod, "/spec/containers").iter().find(|c| c["name"] == name.as_str())?.clone();
        let image = text(&spec, "/image").to_owned();
        let behaviour = cx.images.of_pod(&image, marked(pod, "annotations", SETTINGS));
        let uid = format!("{}/{name}", text(pod, "/metadata/uid"));
        if let Some(started) = time(&status, "/state/running/startedAt") {
            return self.running(pod, number, &spec, behaviour, started, cx);
        }
        if !at(&status, "/state/terminated").is_null() {
            return self.ended(pod, number, &name, cx);
        }
        match text(&status, "/state/waiting/reason") {
            "CrashLoopBackOff" => {
                let restarts = self::number(&status, "/restartCount");
                let ended = time(&status, "/lastState/terminated/finishedAt").unwrap_or(cx.now);
                let due = later(ended, backoff(restarts));
                if cx.now < due {
                    return Some(due);
                }
                pods::restart(pod, number);
                self.start(pod, number, &spec, true, cx)
            }
            "ErrImagePull" | "ImagePullBackOff" if behaviour == Behaviour::Missing => {
                let waiting = text(&status, "/state/waiting/reason") == "ErrImagePull";
                // The kubelet tries again at growing intervals; in between it says that it waits.
                let (reason, message, wait) = if waiting {
                    ("ImagePullBackOff", format!("Back-off pulling image \"{image}\""), 15.0)
                } else {
                    ("ErrImagePull", not_found(&image), 3.0)
                };
                // Only its own timer moves it on, not an unrelated change of the pod.
                if !cx.timed() {
                    return None;
                }
                hold(pod, number, reason, &message);
                if waiting {
                    cx.event(pod, "Normal", "BackOff", &message, "kubelet");
                } else {
                    pull_failed(pod, &image, cx);
                }
                Some(later(cx.now, wait))
            }
            "ErrImagePull" | "ImagePullBackOff" => self.start(pod, number, &spec, false, cx),
            _ => {
                let taken_up = time(pod, "/status/startTime").unwrap_or(cx.now);
                let due = later(taken_up, chance(&uid, 1.0, 3.0));
                if cx.now < due {
                    return Some(due);
                }
                if behaviour == Behaviour::Missing {
                    hold(pod, number, "ErrImagePull", &not_found(&image));
                    pull_failed(pod, &image, cx);
                    return Some(later(cx.now, 3.0));
                }
                if let Some(missing) = missing_reference(pod, &spec, cx) {
                    let message = format!("Error: {missing}");
                    if text(&status, "/state/waiting/reason") != "CreateContainerConfigError" {
                        hold(pod, number, "CreateContainerConfigError", &missing);
                    }
                    cx.event(pod, "Warning", "Failed", &message, "kubelet");
                    return Some(later(cx.now, 20.0));
                }
                self.start(pod, number, &spec, false, cx)
            }
        }
    }

    fn start(
        &mut self,
        pod: &mut Value,
        number: usize,
        spec: &Value,
        again: bool,
        cx: &mut Cx<'_>,
    ) -> Option<Timestamp> {
        let image = text(spec, "/image").to_owned();
        let name = text(spec, "/name").to_owned();
        let ip = self.address();
        pods::start(pod, number, &ip, &cx.stamp());
        let pulled = if again {
            format!("Container image \"{image}\" already present on machine")
        } else {
            format!(
                "Successfully pulled image \"{image}\" in 1.42s (1.42s including waiting). Image size: 48731904 bytes."
            )
        };
        cx.event(pod, "Normal", "Pulled", &pulled, "kubelet");
        cx.event(pod, "Normal", "Created", &format!("Created container: {name}"), "kubelet");
        cx.event(pod, "Normal", "Started", &format!("Started container {name}"), "kubelet");
        let behaviour = cx.images.of_pod(&image, marked(pod, "annotations", SETTINGS));
        let now = cx.now;
        self.running(pod, number, spec, behaviour, now, cx)
    }

    fn running(
        &mut self,
        pod: &mut Value,
        number: usize,
        spec: &Value,
        behaviour: Behaviour,
        started: Timestamp,
        cx: &mut Cx<'_>,
    ) -> Option<Timestamp> {
        let name = text(spec, "/name").to_owned();
        let restarts = self::number(&pod["status"]["containerStatuses"][number], "/restartCount");
        let uid = format!("{}/{name}/{restarts}", text(pod, "/metadata/uid"));
        let probed = !spec["readinessProbe"].is_null();
        let job = text(pod, "/spec/restartPolicy") != "Always";
        let end = match behaviour {
            Behaviour::Crash => Some((chance(&uid, 4.0, 8.0), 1, "Error")),
            Behaviour::OutOfMemory => Some((chance(&uid, 12.0, 20.0), 137, "OOMKilled")),
            // A job whose image hangs never ends.
            Behaviour::NeverReady => None,
            _ if job => Some((chance(&uid, 12.0, 35.0), 0, "Completed")),
            _ => None,
        };
        if let Some((after, code, reason)) = end {
            let due = later(started, after);
            if cx.now >= due {
                pods::exit(pod, number, code, reason, &cx.stamp());
                return self.ended(pod, number, &name, cx);
            }
            if code == 1 || (!probed && flag(&pod["status"]["containerStatuses"][number], "/ready")) {
                return Some(due);
            }
            let ready = later(started, 1.0);
            if cx.now < ready {
                return Some(ready);
            }
            pods_ready(pod, number);
            return Some(due);
        }
        if flag(&pod["status"]["containerStatuses"][number], "/ready") {
            return None;
        }
        let due = match (behaviour, probed) {
            (Behaviour::NeverReady, _) => Timestamp::MAX,
            (Behaviour::Slow, _) => later(started, 90.0),
            (_, true) => later(started, chance(&uid, 5.0, 8.0)),
            (_, false) => started,
        };
        if cx.now >= due {
            pods_ready(pod, number);
            return None;
        }
        if matches!(behaviour, Behaviour::NeverReady | Behaviour::Slow) {
            let again = later(started, 10.0);
            if cx.now < again {
                return Some(again);
            }
            if cx.timed() {
                let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
                cx.event(pod, "Warning", "Unhealthy", message, "kubelet");
            }
            return Some(due.min(later(cx.now, 10.0)));
        }
        Some(due)
    }

    /// Decides what follows the end of a container.
    fn ended(&mut self, pod: &mut Value, number: usize, name: &str, cx: &mut Cx<'_>) -> Option<Timestamp> {
        let status = &pod["status"]["containerStatuses"][number];
        let code = self::number(status, "/state/terminated/exitCode");
        let restarts = self::number(status, "/restartCount");
        let again = match text(pod, "/spec/restartPolicy") {
            "Never" => false,
            "OnFailure" => code != 0,
            _ => true,
        };
        if !again {
            return None;
        }
        let ended = time(status, "/state/terminated/finishedAt").unwrap_or(cx.now);
        let due = later(ended, backoff(restarts));
        if restarts > 0 {
            let wait = (seconds(ended, due) * 10.0) as i64;
            let wait = if wait >= 300 { "5m0s".to_owned() } else { format!("{wait}s") };
            let (pod_name, namespace) = (text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
            let uid = text(pod, "/metadata/uid");
            let message = format!(
                "back-off {wait} restarting failed container={name} pod={pod_name}_{namespace}({uid})"
            );
            let event =
                format!("Back-off restarting failed container {name} in pod {pod_name}_{namespace}({uid})");
            let last = status["state"].clone();
            pod["status"]["containerStatuses"][number]["lastState"] = last;
            hold(pod, number, "CrashLoopBackOff", &message);
            cx.event(pod, "Warning", "BackOff", &event, "kubelet");
            return Some(due);
        }
        if cx.now < due {
            return Some(due);
        }
        let spec = list(pod, "/spec/containers").iter().find(|c| c["name"] == name)?.clone();
        pods::restart(pod, number);
        self.start(pod, number, &spec, true, cx)
    }

    /// Returns an address that no other pod has.
    fn address(&mut self) -> String {
        // The seed has given out the lower half of the range.
        let number = (self.addresses % 0x003f_ffff) + 0x0040_0000;
        self.addresses += 1;
        pod_address(number)
    }
}

fn hold(pod: &mut Value, number: usize, reason: &str, message: &str) {
    let status = &mut pod["status"]["containerStatuses"][number];
    put(status, &["state"], json!({"waiting": {"reason": reason, "message": message}}));
    put(status, &["ready"], false);
    put(status, &["started"], false);
}

fn pull_failed(pod: &Value, image: &str, cx: &mut Cx<'_>) {
    let message = format!("Failed to pull image \"{image}\": {}", not_found(image));
    cx.event(pod, "Warning", "Failed", &message, "kubelet");
    cx.event(pod, "Warning", "Failed", "Error: ErrImagePull", "kubelet");
}

/// Returns the `number`th address of the pod network, 10.128.0.0/9.
pub fn pod_address(number: u32) -> String {
    format!("10.{}.{}.{}", 128 + (number >> 16) % 128, (number >> 8) & 0xff, number & 0xff)
}

fn pods_ready(pod: &mut Value, number: usize) {
    put(&mut pod["status"]["containerStatuses"][number], &["ready"], true);
}

fn backoff(restarts: i64) -> f64 {
    BACKOFF[usize::try_from(restarts).unwrap_or(0).min(BACKOFF.len() - 1)]
}

fn not_found(image: &str) -> String {
    format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found"
    )
}

/// Returns a number between `low` and `high` that is always the same for `what`.
pub fn chance(what: &str, low: f64, high: f64) -> f64 {
    let draw = fastrand::Rng::with_seed(fnv64(what.as_bytes())).f64();
    low + draw * (high - low)
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Returns the message about the first ConfigMap or Secret that a container needs and that is not there.
fn missing_reference(pod: &Value, spec: &Value, cx: &Cx<'_>) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    let from = list(spec, "/envFrom").iter().map(|source| (source, "/configMapRef", "/secretRef"));
    let env = list(spec, "/env")
        .iter()
        .map(|source| (source, "/valueFrom/configMapKeyRef", "/valueFrom/secretKeyRef"));
    from.chain(env)
        .flat_map(|(source, map, secret)| {
            [(at(source, map), Type::ConfigMap), (at(source, secret), Type::Secret)]
        })
        .filter(|(reference, _)| !reference.is_null() && !flag(reference, "/optional"))
        .find_map(|(reference, kind)| {
            let name = text(reference, "/name");
            let missing = cx.get(&Key::new(kind, namespace, name)).is_none();
            missing.then(|| format!("{} \"{name}\" not found", kind.info().singular))
        })
}
