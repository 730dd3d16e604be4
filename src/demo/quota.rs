//! `ResourceQuotas` and `LimitRanges`: what a namespace may use, refused at admission, and what it uses, kept true.
//!
//! As in a real cluster admission adds to the status of the quota at once, and the controller counts anew when something
//! went.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::objects::{Key, Objects};
use super::status::{Reason, Status};
use super::types::Type;
use super::untyped::{bytes, cpu, list, milli, put, text};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// Seconds in which releases are collected before a namespace is counted anew.
const SETTLE: f64 = 1.0;

/// Amounts in thousandths, by the name that a quota gives them.
type Amounts = BTreeMap<&'static str, i64>;

/// Creates a pod, or returns the refusal of the quota that has no room for it.
pub fn create_pod(cx: &mut Cx<'_>, mut pod: Value) -> Result<Key, Status> {
    limit(cx.objects, &mut pod);
    charge(cx.objects, Type::Pod, &pod, cx.now)?;
    cx.create(Type::Pod, pod)
}

/// Gives the containers of a pod the defaults of the namespace's `LimitRanges`.
pub fn limit(objects: &Objects, pod: &mut Value) {
    let namespace = text(pod, "/metadata/namespace").to_owned();
    for range in objects.list(Type::LimitRange, Some(&namespace)) {
        let range = range.value();
        for rule in list(&range, "/spec/limits").iter().filter(|rule| rule["type"] == "Container") {
            for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
                for (part, defaults) in [("limits", "default"), ("requests", "defaultRequest")] {
                    for (what, amount) in rule[defaults].as_object().into_iter().flatten() {
                        if container["resources"][part][what].is_null() {
                            put(container, &["resources", part, what], amount.clone());
                        }
                    }
                }
            }
        }
    }
}

/// Adds an object that is about to be created to the quotas of its namespace, or returns the refusal.
pub fn charge(objects: &mut Objects, kind: Type, object: &Value, now: jiff::Timestamp) -> Result<(), Status> {
    let namespace = text(object, "/metadata/namespace").to_owned();
    let needed = needs(kind, object);
    let quotas: Vec<Key> =
        objects.list(Type::ResourceQuota, Some(&namespace)).map(|quota| quota.key.clone()).collect();
    for key in &quotas {
        let Some(quota) = objects.get_value(key) else { continue };
        let over: Vec<(&str, i64)> = needed
            .iter()
            .filter(|(what, amount)| {
                let hard = &quota["spec"]["hard"][**what];
                **amount > 0
                    && !hard.is_null()
                    && milli(&quota["status"]["used"][**what]) + **amount > milli(hard)
            })
            .map(|(what, amount)| (*what, *amount))
            .collect();
        if over.is_empty() {
            continue;
        }
        let join = |read: &dyn Fn(&str, i64) -> String| {
            over.iter()
                .map(|(what, amount)| format!("{what}={}", read(what, *amount)))
                .collect::<Vec<_>>()
                .join(",")
        };
        let why = format!(
            "exceeded quota: {}, requested: {}, used: {}, limited: {}",
            key.name,
            join(&|what, amount| written(what, amount)),
            join(&|what, _| shown(&quota["status"]["used"][what])),
            join(&|what, _| shown(&quota["spec"]["hard"][what])),
        );
        let name = text(object, "/metadata/name");
        let message = format!("{} \"{name}\" is forbidden: {why}", kind.info().plural);
        return Err(Status::about(Reason::Forbidden, kind, name, message));
    }
    for key in &quotas {
        // Nobody else writes between the check and this.
        let _ = objects.modify(key, now, |quota| {
            for (what, amount) in &needed {
                if !quota["spec"]["hard"][*what].is_null() {
                    let used = milli(&quota["status"]["used"][*what]) + amount;
                    put(quota, &["status", "used", what], written(what, used));
                }
            }
        });
    }
    Ok(())
}

fn shown(amount: &Value) -> String {
    amount
        .as_str()
        .map_or_else(|| if amount.is_null() { "0".to_owned() } else { amount.to_string() }, str::to_owned)
}

/// Writes an amount in thousandths in the unit of its name.
fn written(what: &str, amount: i64) -> String {
    if what.ends_with("cpu") {
        cpu(amount)
    } else if what.ends_with("memory") || what.ends_with("storage") {
        bytes(amount / 1000)
    } else {
        (amount / 1000).to_string()
    }
}

/// Returns what one object counts for.
fn needs(kind: Type, object: &Value) -> Amounts {
    let mut amounts = Amounts::new();
    match kind {
        Type::Pod => {
            amounts.insert("pods", 1000);
            for container in list(object, "/spec/containers") {
                for (part, what, names) in [
                    ("requests", "cpu", &["requests.cpu", "cpu"]),
                    ("requests", "memory", &["requests.memory", "memory"]),
                    ("limits", "cpu", &["limits.cpu", ""]),
                    ("limits", "memory", &["limits.memory", ""]),
                ] {
                    let amount = milli(&container["resources"][part][what]);
                    for name in names.iter().filter(|name| !name.is_empty()) {
                        *amounts.entry(name).or_default() += amount;
                    }
                }
            }
        }
        Type::PersistentVolumeClaim => {
            amounts.insert("persistentvolumeclaims", 1000);
            amounts.insert("requests.storage", milli(&object["spec"]["resources"]["requests"]["storage"]));
        }
        Type::Service if object["spec"]["type"] == "LoadBalancer" => {
            amounts.insert("services.loadbalancers", 1000);
        }
        _ => {}
    }
    amounts
}

/// The controller that counts.
#[derive(Debug, Default)]
pub struct Quotas;

impl Controller for Quotas {
    fn name(&self) -> &'static str {
        "resourcequota-controller"
    }

    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>) {
        let counts = match seen.key.kind {
            Type::ResourceQuota => {
                if !seen.gone {
                    keys.push(seen.key.clone());
                }
                false
            }
            Type::Pod => {
                let finished = |pod: Option<&super::view::Pod>| pod.is_some_and(super::view::Pod::finished);
                seen.gone
                    || seen.before.is_none()
                    || finished(view.pod(&seen.key)) != finished(seen.before.as_ref())
            }
            Type::PersistentVolumeClaim | Type::Service => true,
            _ => false,
        };
        if counts {
            // Any name will do: the namespace's quotas are found when the time comes.
            keys.push(Key::new(Type::ResourceQuota, &seen.key.namespace, ""));
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        if !key.name.is_empty() {
            count(key, cx);
            return;
        }
        if !cx.timed() {
            cx.after(SETTLE, key);
            return;
        }
        let quotas: Vec<Key> = cx
            .objects
            .list(Type::ResourceQuota, Some(&key.namespace))
            .map(|quota| quota.key.clone())
            .collect();
        for quota in quotas {
            count(&quota, cx);
        }
    }
}

fn count(key: &Key, cx: &mut Cx<'_>) {
    let Some(quota) = cx.get(key) else { return };
    let mut used = Amounts::new();
    for (_, pod) in cx.view.pods_in(&key.namespace).filter(|(_, pod)| !pod.finished()) {
        for (what, amount) in [
            ("pods", 1000),
            ("requests.cpu", pod.cpu),
            ("cpu", pod.cpu),
            ("requests.memory", pod.memory * 1000),
            ("memory", pod.memory * 1000),
            ("limits.cpu", pod.cpu_limit),
            ("limits.memory", pod.memory_limit * 1000),
        ] {
            *used.entry(what).or_default() += amount;
        }
    }
    for kind in [Type::PersistentVolumeClaim, Type::Service] {
        for object in cx.objects.list(kind, Some(&key.namespace)) {
            for (what, amount) in needs(kind, &object.value()) {
                *used.entry(what).or_default() += amount;
            }
        }
    }
    let hard = quota["spec"]["hard"].clone();
    let mut status = json!({});
    for what in hard.as_object().into_iter().flatten().map(|(what, _)| what) {
        // `count/deployments.apps` and the like.
        let amount = match what.strip_prefix("count/") {
            Some(counted) => {
                let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
                let kind =
                    Type::ALL.iter().find(|kind| kind.info().plural == plural && kind.info().group == group);
                kind.map_or(0, |kind| cx.objects.list(*kind, Some(&key.namespace)).map(|_| 1000).sum())
            }
            None => used.get(what.as_str()).copied().unwrap_or(0),
        };
        status[what] = json!(written(what, amount));
    }
    cx.update(key, |quota| {
        put(quota, &["status", "hard"], hard);
        put(quota, &["status", "used"], status);
    });
}
