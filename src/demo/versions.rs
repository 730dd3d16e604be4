//! The other versions of a group in which a type is served: views of the same stored objects.
//!
//! Kubernetes 1.32 itself serves events in two groups and autoscalers in two versions; these are in discovery. The
//! beta versions that an old kubectl asks for without looking there (Debian's is 1.20: budgets, cron jobs, endpoint
//! slices, autoscalers) are answered, but not advertised: what is listed is what a server of this version has.

use serde_json::{Map, Value, json};

use super::types::Type;

/// In which form a type is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As it is stored.
    Stored,
    /// As `events.k8s.io/v1` spells core events.
    NewEvent,
    /// As `autoscaling/v1` spells an autoscaler: one target for CPU, everything else in annotations.
    AutoscalerV1,
    /// `autoscaling/v2beta2`, which has the fields of `v2`.
    AutoscalerV2Beta2,
    /// `batch/v1beta1`, which has the fields of `v1`.
    CronJobV1Beta1,
    /// `policy/v1beta1`, which has the fields of `v1`.
    BudgetV1Beta1,
    /// `discovery.k8s.io/v1beta1`, which has the place of an endpoint in a map.
    SliceV1Beta1,
}

/// Every view but the stored one: what it shows, its group and version, and whether discovery tells of it.
pub const OTHERS: &[(View, Type, &str, &str, bool)] = &[
    (View::NewEvent, Type::Event, "events.k8s.io", "v1", true),
    (View::AutoscalerV1, Type::HorizontalPodAutoscaler, "autoscaling", "v1", true),
    (View::AutoscalerV2Beta2, Type::HorizontalPodAutoscaler, "autoscaling", "v2beta2", false),
    (View::CronJobV1Beta1, Type::CronJob, "batch", "v1beta1", false),
    (View::BudgetV1Beta1, Type::PodDisruptionBudget, "policy", "v1beta1", false),
    (View::SliceV1Beta1, Type::EndpointSlice, "discovery.k8s.io", "v1beta1", false),
];

/// Finds the type that a group, a version and a plural mean.
pub fn resolve(group: &str, version: &str, plural: &str) -> Option<(Type, View)> {
    let other = OTHERS
        .iter()
        .find(|(_, kind, g, v, _)| *g == group && *v == version && kind.info().plural == plural)
        .map(|(view, kind, ..)| (*kind, *view));
    other.or_else(|| Type::by_path(group, version, plural).map(|kind| (kind, View::Stored)))
}

impl View {
    /// Returns group and version as objects of this view spell them.
    pub fn api_version(self, kind: Type) -> String {
        OTHERS
            .iter()
            .find(|(view, ..)| *view == self)
            .map_or_else(|| kind.api_version(), |(_, _, group, version, _)| format!("{group}/{version}"))
    }

    /// Spells a stored object in this view.
    pub fn show(self, kind: Type, stored: &Value) -> Value {
        let mut value = stored.clone();
        let Some(body) = value.as_object_mut() else { return value };
        body.insert("apiVersion".to_owned(), json!(self.api_version(kind)));
        match self {
            Self::NewEvent => rename(body, |(old, new)| (old, new)),
            Self::AutoscalerV1 => autoscaler_to_v1(&mut value),
            Self::SliceV1Beta1 => {
                for endpoint in value["endpoints"].as_array_mut().into_iter().flatten() {
                    let mut topology = Map::new();
                    for (field, key) in
                        [("zone", "topology.kubernetes.io/zone"), ("nodeName", "kubernetes.io/hostname")]
                    {
                        if let Some(place) = endpoint.get(field) {
                            topology.insert(key.to_owned(), place.clone());
                        }
                    }
                    if let Some(endpoint) = endpoint.as_object_mut() {
                        endpoint.remove("zone");
                        endpoint.insert("topology".to_owned(), Value::Object(topology));
                    }
                }
            }
            Self::Stored | Self::AutoscalerV2Beta2 | Self::CronJobV1Beta1 | Self::BudgetV1Beta1 => {}
        }
        value
    }

    /// Spells an object of this view as it is stored.
    pub fn store(self, kind: Type, shown: &Value) -> Value {
        let mut value = shown.clone();
        let Some(body) = value.as_object_mut() else { return value };
        body.insert("apiVersion".to_owned(), json!(kind.api_version()));
        match self {
            Self::NewEvent => rename(body, |(old, new)| (new, old)),
            Self::AutoscalerV1 => autoscaler_from_v1(&mut value),
            Self::SliceV1Beta1 => {
                for endpoint in value["endpoints"].as_array_mut().into_iter().flatten() {
                    let topology = endpoint["topology"].take();
                    if let Some(endpoint) = endpoint.as_object_mut() {
                        endpoint.remove("topology");
                        for (field, key) in
                            [("zone", "topology.kubernetes.io/zone"), ("nodeName", "kubernetes.io/hostname")]
                        {
                            if let Some(place) = topology.get(key) {
                                endpoint.entry(field).or_insert_with(|| place.clone());
                            }
                        }
                    }
                }
            }
            Self::Stored | Self::AutoscalerV2Beta2 | Self::CronJobV1Beta1 | Self::BudgetV1Beta1 => {}
        }
        value
    }
}

/// Renames the fields in which the two groups of events differ.
fn rename(
    body: &mut Map<String, Value>,
    way: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    for pair in [
        ("involvedObject", "regarding"),
        ("message", "note"),
        ("reportingComponent", "reportingController"),
        ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp"),
        ("count", "deprecatedCount"),
        ("source", "deprecatedSource"),
    ] {
        let (from, to) = way(pair);
        if let Some(part) = body.remove(from) {
            body.insert(to.to_owned(), part);
        }
    }
}

/// Where `autoscaling/v1` keeps what it has no fields for, as `v2` writes it. A real server writes its own older form
/// here; clients hand it back unread.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

fn autoscaler_to_v1(value: &mut Value) {
    let mut notes = Map::new();
    let mut note = |key: &str, part: &Value| {
        if !part.is_null() && part.as_array().is_none_or(|items| !items.is_empty()) {
            notes.insert(key.to_owned(), json!(part.to_string()));
        }
    };
    for (part, list, field, target, key) in [
        ("spec", "metrics", "targetCPUUtilizationPercentage", "/resource/target/averageUtilization", METRICS),
        (
            "status",
            "currentMetrics",
            "currentCPUUtilizationPercentage",
            "/resource/current/averageUtilization",
            CURRENT,
        ),
    ] {
        let Some(part) = value[part].as_object_mut() else { continue };
        let Some(Value::Array(mut metrics)) = part.remove(list) else { continue };
        if let Some(at) = metrics.iter().position(|one| is_cpu(one) && one.pointer(target).is_some()) {
            let cpu = metrics.remove(at);
            part.insert(field.to_owned(), cpu.pointer(target).cloned().unwrap_or_default());
        }
        note(key, &Value::Array(metrics));
    }
    if let Some(status) = value["status"].as_object_mut() {
        note(CONDITIONS, &status.remove("conditions").unwrap_or_default());
    }
    if let Some(spec) = value["spec"].as_object_mut() {
        note(BEHAVIOR, &spec.remove("behavior").unwrap_or_default());
    }
    if !notes.is_empty() {
        if !value["metadata"]["annotations"].is_object() {
            value["metadata"]["annotations"] = json!({});
        }
        if let Some(annotations) = value["metadata"]["annotations"].as_object_mut() {
            annotations.extend(notes);
        }
    }
}

fn autoscaler_from_v1(value: &mut Value) {
    let mut noted = |key: &str| -> Value {
        let annotations = value["metadata"]["annotations"].as_object_mut();
        let text = annotations.and_then(|annotations| annotations.remove(key)).unwrap_or_default();
        text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    let (metrics, current, conditions, behavior) =
        (noted(METRICS), noted(CURRENT), noted(CONDITIONS), noted(BEHAVIOR));
    if value["metadata"]["annotations"].as_object().is_some_and(Map::is_empty)
        && let Some(metadata) = value["metadata"].as_object_mut()
    {
        metadata.remove("annotations");
    }
    for (part, list, field, aim, others) in [
        ("spec", "metrics", "targetCPUUtilizationPercentage", "target", metrics),
        ("status", "currentMetrics", "currentCPUUtilizationPercentage", "current", current),
    ] {
        let Some(part) = value[part].as_object_mut() else { continue };
        let mut metrics = others.as_array().cloned().unwrap_or_default();
        if let Some(percent) = part.remove(field) {
            let mut target = json!({"averageUtilization": percent});
            if aim == "target" {
                target["type"] = json!("Utilization");
            }
            let cpu = json!({"type": "Resource", "resource": {"name": "cpu", aim: target}});
            metrics.insert(0, cpu);
        }
        if !metrics.is_empty() {
            part.insert(list.to_owned(), Value::Array(metrics));
        }
    }
    for (part, field, kept) in [("status", "conditions", conditions), ("spec", "behavior", behavior)] {
        if !kept.is_null()
            && let Some(part) = value[part].as_object_mut()
        {
            part.insert(field.to_owned(), kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_autoscaler_goes_to_v1_and_back_whole() {
        let stored = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop"},
            "spec": {"maxReplicas": 5, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}}},
            ]},
            "status": {"conditions": [{"type": "AbleToScale", "status": "True"}], "currentMetrics": [
                {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 43}}},
            ]},
        });
        let kind = Type::HorizontalPodAutoscaler;
        let shown = View::AutoscalerV1.show(kind, &stored);
        assert_eq!(shown["apiVersion"], "autoscaling/v1");
        assert_eq!(shown["spec"]["targetCPUUtilizationPercentage"], 70);
        assert_eq!(shown["status"]["currentCPUUtilizationPercentage"], 43);
        assert!(shown["spec"].get("metrics").is_none() && shown["spec"].get("behavior").is_none());
        assert_eq!(View::AutoscalerV1.store(kind, &shown), stored);
    }

    #[test]
    fn old_versions_are_found_and_say_their_name() {
        let (kind, view) = resolve("policy", "v1beta1", "poddisruptionbudgets").unwrap();
        assert_eq!((kind, view), (Type::PodDisruptionBudget, View::BudgetV1Beta1));
        let shown = view.show(kind, &json!({"apiVersion": "policy/v1", "spec": {"minAvailable": 1}}));
        assert_eq!(shown, json!({"apiVersion": "policy/v1beta1", "spec": {"minAvailable": 1}}));
        assert_eq!(resolve("apps", "v1", "deployments"), Some((Type::Deployment, View::Stored)));
        assert_eq!(resolve("apps", "v1beta1", "deployments"), None);
    }

    #[test]
    fn the_place_of_an_endpoint_was_a_map() {
        let stored = json!({"apiVersion": "discovery.k8s.io/v1", "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "a", "zone": "z"}]});
        let shown = View::SliceV1Beta1.show(Type::EndpointSlice, &stored);
        assert_eq!(
            shown["endpoints"][0]["topology"],
            json!({"kubernetes.io/hostname": "a", "topology.kubernetes.io/zone": "z"})
        );
        assert_eq!(View::SliceV1Beta1.store(Type::EndpointSlice, &shown), stored);
    }
}
