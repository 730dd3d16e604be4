//! Health of live objects as Argo CD's built-in checks judge it, and the health of an application from them
//! (`contracts.md` 1.3).
//!
//! Pure: it reads objects and changes none.

use serde_json::Value;

use super::untyped::{condition, find_condition, flag, list, marked, number, text};

/// Health, in the order from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Works.
    Healthy,
    /// Was told to wait.
    Suspended,
    /// On its way.
    Progressing,
    /// Not there.
    Missing,
    /// Does not work and will not by itself.
    Degraded,
    /// Cannot be told.
    Unknown,
}

impl Health {
    /// Returns the word of the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }
}

/// Returns the health of one live object and why; `None` for kinds without a check.
pub fn of(object: &Value) -> Option<(Health, String)> {
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return Some((Health::Progressing, "Pending deletion".to_owned()));
    }
    let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    let told = |health: Health, why: &str| Some((health, why.to_owned()));
    match (group, text(object, "/kind")) {
        ("apps", "Deployment") => Some(deployment(object)),
        ("apps", "StatefulSet") => Some(stateful_set(object)),
        ("apps", "DaemonSet") => Some(daemon_set(object)),
        ("batch", "Job") => Some(job(object)),
        ("", "Pod") => Some(pod(object)),
        ("", "PersistentVolumeClaim") => match text(object, "/status/phase") {
            "Bound" => told(Health::Healthy, ""),
            "Lost" => told(Health::Degraded, ""),
            _ => told(Health::Progressing, ""),
        },
        ("", "Service") if text(object, "/spec/type") == "LoadBalancer" => Some(load_balanced(object)),
        ("", "Service") => told(Health::Healthy, ""),
        ("networking.k8s.io", "Ingress") => Some(load_balanced(object)),
        ("autoscaling", "HorizontalPodAutoscaler") => Some(autoscaler(object)),
        ("external-secrets.io", "ExternalSecret")
        | ("cert-manager.io", "Certificate" | "Issuer" | "ClusterIssuer") => Some(by_ready(object)),
        _ => None,
    }
}

fn deployment(object: &Value) -> (Health, String) {
    if flag(object, "/spec/paused") {
        return (Health::Suspended, "Deployment is paused".to_owned());
    }
    if number(object, "/metadata/generation") > number(object, "/status/observedGeneration") {
        let why =
            "Waiting for rollout to finish: observed deployment generation less than desired generation";
        return (Health::Progressing, why.to_owned());
    }
    if find_condition(object, "Progressing")
        .is_some_and(|found| text(found, "/reason") == "ProgressDeadlineExceeded")
    {
        let name = text(object, "/metadata/name");
        return (Health::Degraded, format!("Deployment \"{name}\" exceeded its progress deadline"));
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64);
    let (updated, total, available) = (
        number(object, "/status/updatedReplicas"),
        number(object, "/status/replicas"),
        number(object, "/status/availableReplicas"),
    );
    let progress = |why: String| (Health::Progressing, format!("Waiting for rollout to finish: {why}..."));
    match wanted {
        Some(wanted) if updated < wanted => {
            progress(format!("{updated} out of {wanted} new replicas have been updated"))
        }
        _ if total > updated => progress(format!("{} old replicas are pending termination", total - updated)),
        _ if available < updated => {
            progress(format!("{available} of {updated} updated replicas are available"))
        }
        _ => (Health::Healthy, String::new()),
    }
}

fn stateful_set(object: &Value) -> (Health, String) {
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let (ready, updated) =
        (number(object, "/status/readyReplicas"), number(object, "/status/updatedReplicas"));
    if number(object, "/metadata/generation") > number(object, "/status/observedGeneration") {
        (Health::Progressing, "Waiting for statefulset spec update to be observed...".to_owned())
    } else if ready < wanted {
        (Health::Progressing, format!("Waiting for {} pods to be ready...", wanted - ready))
    } else if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        (Health::Healthy, String::new())
    } else if updated < wanted
        && text(object, "/status/updateRevision") != text(object, "/status/currentRevision")
    {
        let why = format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {}...",
            text(object, "/status/updateRevision")
        );
        (Health::Progressing, why)
    } else {
        (Health::Healthy, String::new())
    }
}

fn daemon_set(object: &Value) -> (Health, String) {
    let wanted = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    let name = text(object, "/metadata/name");
    if number(object, "/metadata/generation") > number(object, "/status/observedGeneration") {
        let why =
            "Waiting for rollout to finish: observed daemon set generation less than desired generation";
        (Health::Progressing, why.to_owned())
    } else if updated < wanted {
        let why = format!(
            "Waiting for daemon set \"{name}\" rollout to finish: {updated} out of {wanted} new pods have been updated..."
        );
        (Health::Progressing, why)
    } else if available < wanted {
        let why = format!(
            "Waiting for daemon set \"{name}\" rollout to finish: {available} of {wanted} updated pods are available..."
        );
        (Health::Progressing, why)
    } else {
        (Health::Healthy, String::new())
    }
}

fn job(object: &Value) -> (Health, String) {
    let message = |kind: &str| {
        find_condition(object, kind).map(|found| text(found, "/message").to_owned()).unwrap_or_default()
    };
    if condition(object, "Failed") == "True" {
        (Health::Degraded, message("Failed"))
    } else if condition(object, "Complete") == "True" {
        (Health::Healthy, message("Complete"))
    } else if condition(object, "Suspended") == "True" {
        (Health::Suspended, message("Suspended"))
    } else {
        (Health::Progressing, String::new())
    }
}

fn pod(object: &Value) -> (Health, String) {
    let waiting = list(object, "/status/containerStatuses").iter().find_map(|status| {
        let reason = text(status, "/state/waiting/reason");
        let bad = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
        bad.then(|| text(status, "/state/waiting/message").to_owned())
    });
    match (text(object, "/status/phase"), waiting) {
        (_, Some(why)) if text(object, "/spec/restartPolicy") != "Never" => (Health::Degraded, why),
        ("Succeeded", _) => (Health::Healthy, String::new()),
        ("Failed", _) => (Health::Degraded, text(object, "/status/message").to_owned()),
        ("Running", _) if condition(object, "Ready") == "True" => (Health::Healthy, String::new()),
        _ => (Health::Progressing, String::new()),
    }
}

fn load_balanced(object: &Value) -> (Health, String) {
    let assigned = !list(object, "/status/loadBalancer/ingress").is_empty();
    (if assigned { Health::Healthy } else { Health::Progressing }, String::new())
}

fn autoscaler(object: &Value) -> (Health, String) {
    let failed = |kind: &str, reasons: &[&str]| {
        find_condition(object, kind)
            .filter(|found| text(found, "/status") == "False" && reasons.contains(&text(found, "/reason")))
            .map(|found| (Health::Degraded, text(found, "/message").to_owned()))
    };
    failed("AbleToScale", &["FailedGetScale", "FailedUpdateScale"])
        .or_else(|| failed("ScalingActive", &["FailedGetResourceMetric", "InvalidSelector"]))
        .unwrap_or_else(|| {
            let known =
                condition(object, "AbleToScale") == "True" || condition(object, "ScalingLimited") == "True";
            if known {
                (Health::Healthy, String::new())
            } else {
                (Health::Progressing, "Waiting to Autoscale".to_owned())
            }
        })
}

fn by_ready(object: &Value) -> (Health, String) {
    let why =
        find_condition(object, "Ready").map(|found| text(found, "/message").to_owned()).unwrap_or_default();
    match condition(object, "Ready") {
        "True" => (Health::Healthy, why),
        "False" => (Health::Degraded, why),
        _ => (Health::Progressing, why),
    }
}

/// Returns the health of an application: the worst of its resources that have a check.
///
/// `live` holds one entry a desired resource that is not a hook; `None` where it does not exist. What is missing does
/// not count, unless everything is missing.
pub fn application<'a>(live: impl Iterator<Item = Option<&'a Value>>) -> Health {
    let mut worst = Health::Healthy;
    let (mut wanted, mut there) = (0, 0);
    for object in live {
        wanted += 1;
        let Some(object) = object else { continue };
        there += 1;
        if marked(object, "annotations", "argocd.argoproj.io/ignore-healthcheck") == "true" {
            continue;
        }
        if let Some((health, _)) = of(object) {
            worst = worst.max(health);
        }
    }
    if wanted > 0 && there == 0 { Health::Missing } else { worst }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(status: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": 3}, "status": status})
    }

    #[test]
    fn a_deployment_is_judged_by_its_rollout() {
        let cases = [
            (json!({"observedGeneration": 1}), Health::Progressing),
            (
                json!({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 4, "availableReplicas": 3}),
                Health::Progressing,
            ),
            (
                json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}),
                Health::Healthy,
            ),
            (
                json!({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 4, "availableReplicas": 3, "conditions":
                [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}),
                Health::Degraded,
            ),
        ];
        for (status, expected) in cases {
            assert_eq!(of(&rollout(status.clone())).unwrap().0, expected, "{status}");
        }
        let mut deleted = rollout(json!({"observedGeneration": 2}));
        deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(of(&deleted).unwrap().0, Health::Progressing);
    }

    #[test]
    fn an_application_is_as_well_as_its_worst_resource_and_what_is_missing_does_not_count() {
        let good = rollout(
            json!({"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}),
        );
        let slow = rollout(json!({"observedGeneration": 1}));
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web-env"}});
        let judge = |live: &[Option<&Value>]| application(live.iter().copied());
        assert_eq!(judge(&[Some(&good), Some(&config), None]), Health::Healthy);
        assert_eq!(judge(&[Some(&good), Some(&slow)]), Health::Progressing);
        assert_eq!(judge(&[None, None]), Health::Missing);
        assert_eq!(judge(&[]), Health::Healthy);
        let mut ignored = slow.clone();
        ignored["metadata"]["annotations"] = json!({"argocd.argoproj.io/ignore-healthcheck": "true"});
        assert_eq!(judge(&[Some(&good), Some(&ignored)]), Health::Healthy);
    }

    #[test]
    fn a_job_that_failed_is_degraded() {
        let job = |kind: &str| json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": [{"type": kind, "status": "True"}]}});
        assert_eq!(of(&job("Complete")).unwrap().0, Health::Healthy);
        assert_eq!(of(&job("Failed")).unwrap().0, Health::Degraded);
        assert_eq!(of(&job("Other")).unwrap().0, Health::Progressing);
    }
}
