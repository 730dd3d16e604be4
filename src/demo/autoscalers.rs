//! Autoscaling: `HorizontalPodAutoscalers` by CPU, and KEDA's `ScaledObjects` by the length of a queue.
//!
//! They read usage and write replicas; why the load moves is not their business. Scaling down waits for a minute
//! instead of five.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::Key;
use super::pods::owner_reference;
use super::types::Type;
use super::untyped::{at, marked, number, put, seconds, set_condition, text};
use super::usage::millicores;
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// Seconds between two looks, the default of the controller manager.
const LOOK: f64 = 15.0;

/// Seconds that a lower number must have been enough before it is taken.
const PATIENCE: f64 = 60.0;

/// How far from the target usage may be without anything happening.
const TOLERANCE: f64 = 0.1;

const BY: &str = "horizontal-pod-autoscaler";

/// The controllers.
#[derive(Debug, Default)]
pub struct Autoscalers {
    /// When an autoscaler last wanted no fewer replicas than it has.
    held: HashMap<Key, Timestamp>,
}

impl Controller for Autoscalers {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::HorizontalPodAutoscaler | Type::ScaledObject if !seen.gone => keys.push(seen.key.clone()),
            Type::HorizontalPodAutoscaler => {
                keys.extend(seen.owner.iter().filter(|owner| owner.kind == Type::ScaledObject).cloned());
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(object) = cx.get(key) else {
            self.held.remove(key);
            return;
        };
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        if key.kind == Type::ScaledObject {
            scaled_object(key, &object, cx);
        } else {
            self.scale(key, &object, cx);
            cx.after(LOOK, key);
        }
    }
}

impl Autoscalers {
    fn scale(&mut self, key: &Key, autoscaler: &Value, cx: &mut Cx<'_>) {
        let target = at(autoscaler, "/spec/scaleTargetRef");
        let Some(kind) = Type::by_kind(text(target, "/apiVersion"), text(target, "/kind")) else { return };
        let target = Key::new(kind, &key.namespace, text(target, "/name"));
        let now = cx.stamp();
        let Some(workload) = cx.get(&target) else {
            let message = format!(
                "the HPA controller was unable to get the target's current scale: {} \"{}\" not found",
                target.kind.qualified(),
                target.name
            );
            cx.update(key, |object| {
                set_condition(object, "AbleToScale", "False", "FailedGetScale", &message, &now);
            });
            return;
        };
        let current = super::replicasets::wanted(&workload);
        let least = autoscaler["spec"]["minReplicas"].as_i64().unwrap_or(1);
        let most = number(autoscaler, "/spec/maxReplicas");
        if current == 0 {
            cx.update(key, |object| {
                let message = "scaling is disabled since the replica count of the target is zero";
                set_condition(object, "ScalingActive", "False", "ScalingDisabled", message, &now);
            });
            return;
        }
        let Some((ratio, metric)) = measure(autoscaler, &workload, &target, current, cx) else {
            cx.update(key, |object| {
                let message = "the HPA was unable to compute the replica count: no metrics returned from resource metrics API";
                set_condition(object, "ScalingActive", "False", "FailedGetResourceMetric", message, &now);
            });
            return;
        };
        let raw =
            if (ratio - 1.0).abs() <= TOLERANCE { current } else { (ratio * current as f64).ceil() as i64 };
        let mut wanted = raw.clamp(least, most);
        if wanted >= current {
            self.held.insert(key.clone(), cx.now);
        } else {
            let since = *self.held.entry(key.clone()).or_insert(cx.now);
            if seconds(since, cx.now) < PATIENCE {
                wanted = current;
            }
        }
        // No more than double at once, and never from one to many.
        wanted = wanted.min((current * 2).max(4));
        let moved = wanted != current;
        if moved {
            cx.update(&target, |workload| put(workload, &["spec", "replicas"], wanted));
            let direction = if wanted > current { "above" } else { "below" };
            let message = format!(
                "New size: {wanted}; reason: cpu resource utilization (percentage of request) {direction} target"
            );
            cx.event(autoscaler, "Normal", "SuccessfulRescale", &message, BY);
        }
        let running = number(&workload, "/status/replicas");
        cx.update(key, |object| {
            put(object, &["status", "currentReplicas"], running);
            put(object, &["status", "desiredReplicas"], wanted);
            if moved {
                put(object, &["status", "lastScaleTime"], now.clone());
            }
            // A point up or down is not worth an update of every watcher.
            let known = |object: &Value| {
                let current = at(object, "/status/currentMetrics/0");
                number(current, "/resource/current/averageUtilization") + super::untyped::milli(at(current, "/external/current/averageValue")) / 1000
            };
            let new = json!({"status": {"currentMetrics": [metric]}});
            if (known(object) - known(&new)).abs() > 4 || object["status"]["currentMetrics"].is_null() {
                put(object, &["status", "currentMetrics"], json!([metric]));
            }
            set_condition(object, "AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size", &now);
            set_condition(object, "ScalingActive", "True", "ValidMetricFound", "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)", &now);
            let (state, reason, message) = if raw > most {
                ("True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
            } else if raw < least {
                ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
            } else {
                ("False", "DesiredWithinRange", "the desired count is within the acceptable range")
            };
            set_condition(object, "ScalingLimited", state, reason, message, &now);
        });
    }
}

/// Returns usage as a part of its target, and the metric as the status shows it.
fn measure(
    autoscaler: &Value,
    workload: &Value,
    target: &Key,
    current: i64,
    cx: &Cx<'_>,
) -> Option<(f64, Value)> {
    let metric = at(autoscaler, "/spec/metrics/0");
    if metric["type"] == "External" {
        let goal = super::untyped::milli(at(metric, "/external/target/averageValue")).max(1) as f64 / 1000.0;
        let app = marked(workload, "labels", "app.kubernetes.io/instance");
        let load = cx.load.of(&target.namespace, app);
        // A queue that is as long as the smallest number of workers can handle, times the load.
        let least = autoscaler["spec"]["minReplicas"].as_i64().unwrap_or(1) as f64;
        let average = (goal * 0.6 * load * least / current as f64).round();
        let shown = json!({"type": "External", "external": {
            "metric": metric["external"]["metric"], "current": {"averageValue": format!("{average}")},
        }});
        return Some((average / goal, shown));
    }
    let owners: Vec<&Key> = if target.kind == Type::Deployment {
        cx.view.owned(target).filter(|owned| owned.kind == Type::ReplicaSet).collect()
    } else {
        vec![target]
    };
    let (mut used, mut asked) = (0, 0);
    for (_, pod) in
        owners.into_iter().flat_map(|owner| cx.view.pods_of(owner)).filter(|(_, pod)| pod.ready.is_some())
    {
        used += millicores(cx.chronicle.facts(), cx.images, cx.load, pod, cx.now);
        asked += pod.cpu;
    }
    if asked == 0 {
        return None;
    }
    let percent = used * 100 / asked;
    let goal = number(metric, "/resource/target/averageUtilization").max(1);
    let pods = number(workload, "/status/readyReplicas").max(1);
    let shown = json!({"type": "Resource", "resource": {
        "name": "cpu", "current": {"averageUtilization": percent, "averageValue": format!("{}m", used / pods)},
    }});
    Some((percent as f64 / goal as f64, shown))
}

/// Keeps the autoscaler of a `ScaledObject`, as KEDA does; its annotations pause it.
fn scaled_object(key: &Key, object: &Value, cx: &mut Cx<'_>) {
    let paused = !at(object, "/metadata/annotations/autoscaling.keda.sh~1paused").is_null()
        && marked(object, "annotations", "autoscaling.keda.sh/paused") != "false"
        || !at(object, "/metadata/annotations/autoscaling.keda.sh~1paused-replicas").is_null();
    let name = format!("keda-hpa-{}", key.name);
    let hpa = Key::new(Type::HorizontalPodAutoscaler, &key.namespace, &name);
    let trigger = at(object, "/spec/triggers/0");
    let kind = text(trigger, "/type").to_owned();
    let metric = format!("s0-{kind}-{}", key.name);
    let target = json!({
        "apiVersion": object["spec"]["scaleTargetRef"]["apiVersion"].as_str().unwrap_or("apps/v1"),
        "kind": object["spec"]["scaleTargetRef"]["kind"].as_str().unwrap_or("Deployment"),
        "name": object["spec"]["scaleTargetRef"]["name"],
    });
    let spec = json!({
        "scaleTargetRef": target,
        "minReplicas": object["spec"]["minReplicaCount"].as_i64().unwrap_or(0).max(1),
        "maxReplicas": object["spec"]["maxReplicaCount"].as_i64().unwrap_or(100),
        "metrics": [{"type": "External", "external": {
            "metric": {"name": metric, "selector": {"matchLabels": {"scaledobject.keda.sh/name": &*key.name}}},
            "target": {"type": "AverageValue", "averageValue": trigger["metadata"]["queueLength"].as_str().unwrap_or("5")},
        }}],
    });
    if paused {
        let fixed = marked(object, "annotations", "autoscaling.keda.sh/paused-replicas").parse::<i64>();
        let scaled = Type::by_kind(text(&target, "/apiVersion"), text(&target, "/kind"))
            .map(|kind| Key::new(kind, &key.namespace, text(&target, "/name")));
        if let (Ok(fixed), Some(scaled)) = (fixed, scaled)
            && cx.get(&scaled).is_some_and(|workload| super::replicasets::wanted(&workload) != fixed)
        {
            cx.update(&scaled, |workload| put(workload, &["spec", "replicas"], fixed));
        }
        if cx.objects.get(&hpa).is_some() {
            cx.delete(&hpa);
            cx.event(object, "Normal", "ScaledObjectPaused", "ScaledObject is paused", "keda-operator");
        }
    } else if cx.objects.get(&hpa).is_some() {
        cx.update(&hpa, |hpa| hpa["spec"] = spec);
    } else {
        let made = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": name, "namespace": &*key.namespace, "creationTimestamp": object["metadata"]["creationTimestamp"],
                "labels": {"app.kubernetes.io/managed-by": "keda-operator", "app.kubernetes.io/part-of": &*key.name, "scaledobject.keda.sh/name": &*key.name},
                "ownerReferences": [owner_reference(object)],
            },
            "spec": spec,
        });
        // Refused only where the namespace is going.
        let _ = cx.create(Type::HorizontalPodAutoscaler, made);
        cx.event(object, "Normal", "KEDAScalersStarted", "Started scalers watch", "keda-operator");
    }
    let min = object["spec"]["minReplicaCount"].as_i64().unwrap_or(0);
    cx.update(key, |object| {
        // KEDA's conditions have no times.
        let conditions = json!([
            {"type": "Ready", "status": "True", "reason": "ScaledObjectReady", "message": "ScaledObject is defined correctly and is ready for scaling"},
            {"type": "Active", "status": if paused { "Unknown" } else { "True" }, "reason": "ScalerActive", "message": "Scaling is performed because triggers are active"},
            {"type": "Fallback", "status": "False", "reason": "NoFallbackFound", "message": "No fallbacks are active on this scaled object"},
            {"type": "Paused", "status": if paused { "True" } else { "False" }, "reason": if paused { "ScaledObjectPaused" } else { "ScaledObjectUnpaused" }, "message": if paused { "ScaledObject is paused" } else { "pause annotation removed for ScaledObject" }},
        ]);
        put(object, &["status", "conditions"], conditions);
        put(object, &["status", "hpaName"], name);
        put(object, &["status", "originalReplicaCount"], min);
        put(object, &["status", "externalMetricNames"], json!([metric]));
        put(object, &["status", "scaleTargetKind"], format!("{}.{}", text(&target, "/apiVersion"), text(&target, "/kind")));
        put(object, &["status", "triggersTypes"], kind);
    });
}
