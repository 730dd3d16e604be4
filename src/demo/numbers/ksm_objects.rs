//! kube-state-metrics, the part about everything but pods: quotas, workloads, jobs, autoscalers, nodes, volumes.
//!
//! Names and labels as version 2.15 writes them. Each series follows from the fields of one object as they stood.

use std::sync::Arc;

use serde_json::Value;

use super::chronicle::Life;
use super::sink::{Scrape, Sink, Wanted};
use super::targets::Part;
use super::wave::secs;
use super::{Exporter, Metric, Numbers, gauge};
use crate::demo::objects::Key;
use crate::demo::scanner::LEAKED;
use crate::demo::types::Type;
use crate::demo::untyped::{at, flag, list, marked, milli, number, text, time};

/// The exporter.
pub static EXPORTER: Exporter = Exporter { parts: &[Part::KubeStateMetrics], metrics: METRICS, collect };

static METRICS: &[Metric] = &[
    gauge("kube_resourcequota", "Information about resource quota."),
    gauge("kube_resourcequota_created", "Unix creation timestamp"),
    gauge("kube_namespace_created", "Unix creation timestamp"),
    gauge("kube_namespace_labels", "Kubernetes labels converted to Prometheus labels."),
    gauge("kube_namespace_status_phase", "kubernetes namespace status phase."),
    gauge("kube_deployment_created", "Unix creation timestamp"),
    gauge("kube_deployment_labels", "Kubernetes labels converted to Prometheus labels."),
    gauge("kube_deployment_spec_replicas", "Number of desired pods for a deployment."),
    gauge(
        "kube_deployment_spec_paused",
        "Whether the deployment is paused and will not be processed by the deployment controller.",
    ),
    gauge(
        "kube_deployment_metadata_generation",
        "Sequence number representing a specific generation of the desired state.",
    ),
    gauge(
        "kube_deployment_status_observed_generation",
        "The generation observed by the deployment controller.",
    ),
    gauge("kube_deployment_status_replicas", "The number of replicas per deployment."),
    gauge("kube_deployment_status_replicas_available", "The number of available replicas per deployment."),
    gauge("kube_deployment_status_replicas_ready", "The number of ready replicas per deployment."),
    gauge(
        "kube_deployment_status_replicas_unavailable",
        "The number of unavailable replicas per deployment.",
    ),
    gauge("kube_deployment_status_replicas_updated", "The number of updated replicas per deployment."),
    gauge("kube_deployment_status_condition", "The current status conditions of a deployment."),
    gauge("kube_replicaset_owner", "Information about the ReplicaSet's owner."),
    gauge("kube_replicaset_spec_replicas", "Number of desired pods for a ReplicaSet."),
    gauge("kube_replicaset_status_replicas", "The number of replicas per ReplicaSet."),
    gauge("kube_replicaset_status_ready_replicas", "The number of ready replicas per ReplicaSet."),
    gauge("kube_statefulset_created", "Unix creation timestamp"),
    gauge("kube_statefulset_replicas", "Number of desired pods for a StatefulSet."),
    gauge(
        "kube_statefulset_metadata_generation",
        "Sequence number representing a specific generation of the desired state for the StatefulSet.",
    ),
    gauge(
        "kube_statefulset_status_observed_generation",
        "The generation observed by the StatefulSet controller.",
    ),
    gauge("kube_statefulset_status_replicas", "The number of replicas per StatefulSet."),
    gauge("kube_statefulset_status_replicas_available", "The number of available replicas per StatefulSet."),
    gauge("kube_statefulset_status_replicas_current", "The number of current replicas per StatefulSet."),
    gauge("kube_statefulset_status_replicas_ready", "The number of ready replicas per StatefulSet."),
    gauge("kube_statefulset_status_replicas_updated", "The number of updated replicas per StatefulSet."),
    gauge(
        "kube_statefulset_status_current_revision",
        "Indicates the version of the StatefulSet used to generate Pods in the sequence [0,currentReplicas).",
    ),
    gauge(
        "kube_statefulset_status_update_revision",
        "Indicates the version of the StatefulSet used to generate Pods in the sequence [replicas-updatedReplicas,replicas)",
    ),
    gauge("kube_daemonset_created", "Unix creation timestamp"),
    gauge(
        "kube_daemonset_metadata_generation",
        "Sequence number representing a specific generation of the desired state.",
    ),
    gauge(
        "kube_daemonset_status_current_number_scheduled",
        "The number of nodes running at least one daemon pod and are supposed to.",
    ),
    gauge(
        "kube_daemonset_status_desired_number_scheduled",
        "The number of nodes that should be running the daemon pod.",
    ),
    gauge(
        "kube_daemonset_status_number_available",
        "The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and available",
    ),
    gauge(
        "kube_daemonset_status_number_misscheduled",
        "The number of nodes running a daemon pod but are not supposed to.",
    ),
    gauge(
        "kube_daemonset_status_number_ready",
        "The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and ready.",
    ),
    gauge(
        "kube_daemonset_status_number_unavailable",
        "The number of nodes that should be running the daemon pod and have none of the daemon pod running and available",
    ),
    gauge(
        "kube_daemonset_status_updated_number_scheduled",
        "The total number of nodes that are running updated daemon pod",
    ),
    gauge(
        "kube_daemonset_status_observed_generation",
        "The most recent generation observed by the daemon set controller.",
    ),
    gauge("kube_job_owner", "Information about the Job's owner."),
    gauge(
        "kube_job_spec_completions",
        "The desired number of successfully finished pods the job should be run with.",
    ),
    gauge("kube_job_status_active", "The number of actively running pods."),
    gauge(
        "kube_job_status_failed",
        "The number of pods which reached Phase Failed and the reason for failure.",
    ),
    gauge("kube_job_status_succeeded", "The number of pods which reached Phase Succeeded."),
    gauge(
        "kube_job_status_start_time",
        "StartTime represents time when the job was acknowledged by the Job Manager.",
    ),
    gauge("kube_job_status_completion_time", "CompletionTime represents time when the job was completed."),
    gauge("kube_job_complete", "The job has completed its execution."),
    gauge("kube_job_failed", "The job has failed its execution."),
    gauge("kube_cronjob_spec_suspend", "Suspend flag tells the controller to suspend subsequent executions."),
    gauge("kube_cronjob_status_active", "Active holds pointers to currently running jobs."),
    gauge(
        "kube_cronjob_status_last_schedule_time",
        "LastScheduleTime keeps information of when was the last time the job was successfully scheduled.",
    ),
    gauge(
        "kube_cronjob_status_last_successful_time",
        "LastSuccessfulTime keeps information of when was the last time the job was completed successfully.",
    ),
    gauge("kube_horizontalpodautoscaler_info", "Information about this autoscaler."),
    gauge(
        "kube_horizontalpodautoscaler_spec_max_replicas",
        "Upper limit for the number of pods that can be set by the autoscaler; cannot be smaller than MinReplicas.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_spec_min_replicas",
        "Lower limit for the number of pods that can be set by the autoscaler, default 1.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_status_current_replicas",
        "Current number of replicas of pods managed by this autoscaler.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_status_desired_replicas",
        "Desired number of replicas of pods managed by this autoscaler.",
    ),
    gauge("kube_horizontalpodautoscaler_status_condition", "The condition of this autoscaler."),
    gauge("kube_poddisruptionbudget_status_current_healthy", "Current number of healthy pods"),
    gauge("kube_poddisruptionbudget_status_desired_healthy", "Minimum desired number of healthy pods"),
    gauge(
        "kube_poddisruptionbudget_status_pod_disruptions_allowed",
        "Number of pod disruptions that are currently allowed",
    ),
    gauge(
        "kube_poddisruptionbudget_status_expected_pods",
        "Total number of pods counted by this disruption budget",
    ),
    gauge("kube_node_info", "Information about a cluster node."),
    gauge("kube_node_labels", "Kubernetes labels converted to Prometheus labels."),
    gauge("kube_node_created", "Unix creation timestamp"),
    gauge("kube_node_spec_unschedulable", "Whether a node can schedule new pods."),
    gauge("kube_node_spec_taint", "The taint of a cluster node."),
    gauge("kube_node_status_condition", "The condition of a cluster node."),
    gauge("kube_node_status_capacity", "The capacity for different resources of a node."),
    gauge(
        "kube_node_status_allocatable",
        "The allocatable for different resources of a node that are available for scheduling.",
    ),
    gauge("kube_persistentvolumeclaim_info", "Information about persistent volume claim."),
    gauge(
        "kube_persistentvolumeclaim_status_phase",
        "The phase the persistent volume claim is currently in.",
    ),
    gauge(
        "kube_persistentvolumeclaim_resource_requests_storage_bytes",
        "The capacity of storage requested by the persistent volume claim.",
    ),
    gauge(
        "kube_persistentvolumeclaim_access_mode",
        "The access mode(s) specified by the persistent volume claim.",
    ),
    gauge("kube_persistentvolume_capacity_bytes", "Persistentvolume capacity in bytes."),
    gauge(
        "kube_persistentvolume_status_phase",
        "The phase indicates if a volume is available, bound to a claim, or released by a claim.",
    ),
    gauge("kube_persistentvolume_claim_ref", "Information about the Persistent Volume Claim Reference."),
    gauge("kube_secret_annotations", "Kubernetes annotations converted to Prometheus labels."),
    gauge("kube_service_info", "Information about service."),
    gauge("kube_service_spec_type", "Type about service."),
    gauge("kube_ingress_info", "Information about ingress."),
    gauge("kube_ingress_path", "Ingress host, paths and backend service information."),
];

/// One series of an object: its metric, the labels beside the object's own, and how its value is read from a state.
struct Reader<'a, 'b> {
    sink: &'a mut Sink<'b>,
    scrape: &'a Scrape,
    raw: Vec<(&'static str, String)>,
    life: &'a Arc<Life>,
}

impl Reader<'_, '_> {
    fn put(
        &mut self,
        metric: &'static str,
        more: &[(&'static str, &str)],
        read: impl Fn(&Value) -> Option<f64>,
    ) {
        let wanted: Wanted = self.sink.metric(metric);
        if wanted.is_none() {
            return;
        }
        let mut labels: Vec<(&str, &str)> =
            self.raw.iter().map(|(name, value)| (*name, value.as_str())).collect();
        labels.extend(more.iter().copied());
        let life = self.life;
        self.sink.put(wanted, self.scrape, &labels, |t| life.at(t).and_then(&read));
    }

    fn fixed(&mut self, metric: &'static str, more: &[(&'static str, &str)], value: f64) {
        self.put(metric, more, |_| Some(value));
    }

    fn count(&mut self, metric: &'static str, pointer: &str) {
        self.put(metric, &[], |object| Some(number(object, pointer) as f64));
    }

    fn moment(&mut self, metric: &'static str, pointer: &str) {
        self.put(metric, &[], |object| time(object, pointer).map(|at| secs(at.as_millisecond())));
    }

    fn created(&mut self, metric: &'static str) {
        self.fixed(metric, &[], secs(self.life.created).floor());
    }

    /// One series for each status that a condition may have.
    fn conditions(&mut self, metric: &'static str, kinds: &[&str]) {
        if !self.sink.named(metric) {
            return;
        }
        for kind in kinds {
            if !self.sink.may("condition", kind) {
                continue;
            }
            for (status, written) in [("true", "True"), ("false", "False"), ("unknown", "Unknown")] {
                self.put(metric, &[("condition", kind), ("status", status)], |object| {
                    let found = list(object, "/status/conditions").iter().find(|one| one["type"] == *kind);
                    found.map(|found| f64::from(u8::from(found["status"] == written)))
                });
            }
        }
    }
}

type Emit = fn(&Key, &Life, &mut Reader<'_, '_>);

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    let Some(target) = numbers.single(Part::KubeStateMetrics) else { return };
    let kinds: [(&str, Type, &'static str, Emit); 16] = [
        ("kube_resourcequota", Type::ResourceQuota, "resourcequota", quota),
        ("kube_namespace", Type::Namespace, "", namespace),
        ("kube_deployment", Type::Deployment, "deployment", deployment),
        ("kube_replicaset", Type::ReplicaSet, "replicaset", replica_set),
        ("kube_statefulset", Type::StatefulSet, "statefulset", stateful_set),
        ("kube_daemonset", Type::DaemonSet, "daemonset", daemon_set),
        ("kube_job", Type::Job, "job_name", job),
        ("kube_cronjob", Type::CronJob, "cronjob", cron_job),
        (
            "kube_horizontalpodautoscaler",
            Type::HorizontalPodAutoscaler,
            "horizontalpodautoscaler",
            autoscaler,
        ),
        ("kube_poddisruptionbudget", Type::PodDisruptionBudget, "poddisruptionbudget", budget),
        ("kube_node", Type::Node, "node", node),
        ("kube_persistentvolumeclaim", Type::PersistentVolumeClaim, "persistentvolumeclaim", claim),
        ("kube_persistentvolume", Type::PersistentVolume, "persistentvolume", volume),
        ("kube_secret", Type::Secret, "secret", secret),
        ("kube_service", Type::Service, "service", service),
        ("kube_ingress", Type::Ingress, "ingress", ingress),
    ];
    for (prefix, kind, label, emit) in kinds {
        let asked = METRICS.iter().any(|metric| {
            metric.name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
                && sink.named(metric.name)
        });
        if !asked {
            continue;
        }
        for (key, life) in numbers.facts.objects(kind) {
            let space = if kind == Type::Namespace { &key.name } else { &key.namespace };
            if !sink.may("namespace", space) || (!label.is_empty() && !sink.may(label, &key.name)) {
                continue;
            }
            let mut raw = Vec::with_capacity(2);
            if !space.is_empty() {
                raw.push(("namespace", space.to_string()));
            }
            if !label.is_empty() {
                raw.push((label, key.name.to_string()));
            }
            let mut reader = Reader { sink, scrape: &target.scrape, raw, life };
            emit(key, life, &mut reader);
        }
    }
}

fn quota(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    reader.created("kube_resourcequota_created");
    let keys: Vec<String> = life.latest()["status"]["hard"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect();
    for key in keys {
        for part in ["hard", "used"] {
            reader.put("kube_resourcequota", &[("resource", &key), ("type", part)], |object| {
                let amount = &object["status"][part][&key];
                (!amount.is_null()).then(|| milli(amount) as f64 / 1000.0)
            });
        }
    }
}

fn namespace(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    reader.created("kube_namespace_created");
    for phase in ["Active", "Terminating"] {
        reader.put("kube_namespace_status_phase", &[("phase", phase)], |object| {
            let now = text(object, "/status/phase");
            Some(f64::from(u8::from(now == phase || (now.is_empty() && phase == "Active"))))
        });
    }
    let labels = &life.latest()["metadata"]["labels"];
    let get = |name: &str| labels[name].as_str().unwrap_or_default();
    reader.fixed(
        "kube_namespace_labels",
        &[
            ("label_kubernetes_io_metadata_name", get("kubernetes.io/metadata.name")),
            ("label_tenant", get("tenant")),
            ("label_team", get("team")),
            ("label_environment", get("environment")),
            ("label_app_kubernetes_io_part_of", get("app.kubernetes.io/part-of")),
        ],
        1.0,
    );
}

/// The one annotation that it is told to show (`--metric-annotations-allowlist`).
fn secret(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    let leaked = |object: &Value| marked(object, "annotations", LEAKED).to_owned();
    let mut values: Vec<String> = life.states.iter().map(|state| leaked(&state.1)).collect();
    values.sort();
    values.dedup();
    for value in values {
        let label = [("annotation_security_example_com_leaked", value.as_str())];
        reader.put("kube_secret_annotations", &label, |object| (leaked(object) == value).then_some(1.0));
    }
}

fn deployment(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    reader.created("kube_deployment_created");
    let labels = &life.latest()["metadata"]["labels"];
    let get = |name: &str| labels[name].as_str().unwrap_or_default();
    reader.fixed(
        "kube_deployment_labels",
        &[
            ("label_app_kubernetes_io_name", get("app.kubernetes.io/name")),
            ("label_app_kubernetes_io_instance", get("app.kubernetes.io/instance")),
            ("label_app_kubernetes_io_part_of", get("app.kubernetes.io/part-of")),
        ],
        1.0,
    );
    reader.put("kube_deployment_spec_replicas", &[], |object| {
        Some(at(object, "/spec/replicas").as_f64().unwrap_or(1.0))
    });
    reader.put("kube_deployment_spec_paused", &[], |object| {
        Some(f64::from(u8::from(flag(object, "/spec/paused"))))
    });
    reader.count("kube_deployment_metadata_generation", "/metadata/generation");
    reader.count("kube_deployment_status_observed_generation", "/status/observedGeneration");
    reader.count("kube_deployment_status_replicas", "/status/replicas");
    reader.count("kube_deployment_status_replicas_available", "/status/availableReplicas");
    reader.count("kube_deployment_status_replicas_ready", "/status/readyReplicas");
    reader.count("kube_deployment_status_replicas_unavailable", "/status/unavailableReplicas");
    reader.count("kube_deployment_status_replicas_updated", "/status/updatedReplicas");
    if reader.sink.named("kube_deployment_status_condition") {
        for kind in ["Available", "Progressing", "ReplicaFailure"] {
            for (status, written) in [("true", "True"), ("false", "False"), ("unknown", "Unknown")] {
                // The reason is a label, so each reason that was there has series of its own.
                let found = |object: &Value| -> Option<(String, bool)> {
                    let one = list(object, "/status/conditions").iter().find(|one| one["type"] == kind)?;
                    Some((text(one, "/reason").to_owned(), one["status"] == written))
                };
                let mut reasons: Vec<String> = life
                    .states
                    .iter()
                    .filter_map(|state| found(&state.1))
                    .map(|(reason, _)| reason)
                    .collect();
                reasons.sort();
                reasons.dedup();
                for reason in reasons {
                    let labels = [("reason", reason.as_str()), ("condition", kind), ("status", status)];
                    reader.put("kube_deployment_status_condition", &labels, |object| {
                        found(object).filter(|(now, _)| *now == reason).map(|(_, is)| f64::from(u8::from(is)))
                    });
                }
            }
        }
    }
}

fn owner<'a>(life: &'a Life, kind: &str) -> (&'a str, &'a str) {
    let owners = list(life.latest(), "/metadata/ownerReferences");
    owners
        .iter()
        .find(|owner| owner["kind"] == kind)
        .map_or(("", ""), |owner| (text(owner, "/kind"), text(owner, "/name")))
}

fn replica_set(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    let (kind, name) = owner(life, "Deployment");
    reader.fixed(
        "kube_replicaset_owner",
        &[("owner_kind", kind), ("owner_name", name), ("owner_is_controller", "true")],
        1.0,
    );
    reader.put("kube_replicaset_spec_replicas", &[], |object| {
        Some(at(object, "/spec/replicas").as_f64().unwrap_or(1.0))
    });
    reader.count("kube_replicaset_status_replicas", "/status/replicas");
    reader.count("kube_replicaset_status_ready_replicas", "/status/readyReplicas");
}

fn stateful_set(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    reader.created("kube_statefulset_created");
    reader.put("kube_statefulset_replicas", &[], |object| {
        Some(at(object, "/spec/replicas").as_f64().unwrap_or(1.0))
    });
    reader.count("kube_statefulset_metadata_generation", "/metadata/generation");
    reader.count("kube_statefulset_status_observed_generation", "/status/observedGeneration");
    reader.count("kube_statefulset_status_replicas", "/status/replicas");
    reader.count("kube_statefulset_status_replicas_available", "/status/availableReplicas");
    reader.count("kube_statefulset_status_replicas_current", "/status/currentReplicas");
    reader.count("kube_statefulset_status_replicas_ready", "/status/readyReplicas");
    reader.count("kube_statefulset_status_replicas_updated", "/status/updatedReplicas");
    for (metric, field) in [
        ("kube_statefulset_status_current_revision", "/status/currentRevision"),
        ("kube_statefulset_status_update_revision", "/status/updateRevision"),
    ] {
        let mut revisions: Vec<String> = life
            .states
            .iter()
            .map(|state| text(&state.1, field).to_owned())
            .filter(|one| !one.is_empty())
            .collect();
        revisions.sort();
        revisions.dedup();
        for revision in revisions {
            reader.put(metric, &[("revision", &revision)], |object| {
                (text(object, field) == revision).then_some(1.0)
            });
        }
    }
}

fn daemon_set(_key: &Key, _life: &Life, reader: &mut Reader<'_, '_>) {
    reader.created("kube_daemonset_created");
    reader.count("kube_daemonset_metadata_generation", "/metadata/generation");
    for (metric, field) in [
        ("kube_daemonset_status_current_number_scheduled", "/status/currentNumberScheduled"),
        ("kube_daemonset_status_desired_number_scheduled", "/status/desiredNumberScheduled"),
        ("kube_daemonset_status_number_available", "/status/numberAvailable"),
        ("kube_daemonset_status_number_misscheduled", "/status/numberMisscheduled"),
        ("kube_daemonset_status_number_ready", "/status/numberReady"),
        ("kube_daemonset_status_number_unavailable", "/status/numberUnavailable"),
        ("kube_daemonset_status_updated_number_scheduled", "/status/updatedNumberScheduled"),
        ("kube_daemonset_status_observed_generation", "/status/observedGeneration"),
    ] {
        reader.count(metric, field);
    }
}

fn job(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    let (kind, name) = owner(life, "CronJob");
    let controller = if kind.is_empty() { "" } else { "true" };
    reader.fixed(
        "kube_job_owner",
        &[("owner_kind", kind), ("owner_name", name), ("owner_is_controller", controller)],
        1.0,
    );
    reader.put("kube_job_spec_completions", &[], |object| {
        Some(at(object, "/spec/completions").as_f64().unwrap_or(1.0))
    });
    reader.count("kube_job_status_active", "/status/active");
    reader.count("kube_job_status_failed", "/status/failed");
    reader.count("kube_job_status_succeeded", "/status/succeeded");
    reader.moment("kube_job_status_start_time", "/status/startTime");
    reader.moment("kube_job_status_completion_time", "/status/completionTime");
    for (metric, kind) in [("kube_job_complete", "Complete"), ("kube_job_failed", "Failed")] {
        reader.put(metric, &[("condition", "true")], |object| {
            let found = list(object, "/status/conditions").iter().find(|one| one["type"] == kind);
            found.map(|found| f64::from(u8::from(found["status"] == "True")))
        });
    }
}

fn cron_job(_key: &Key, _life: &Life, reader: &mut Reader<'_, '_>) {
    reader.put("kube_cronjob_spec_suspend", &[], |object| {
        Some(f64::from(u8::from(flag(object, "/spec/suspend"))))
    });
    reader.put("kube_cronjob_status_active", &[], |object| Some(list(object, "/status/active").len() as f64));
    reader.moment("kube_cronjob_status_last_schedule_time", "/status/lastScheduleTime");
    reader.moment("kube_cronjob_status_last_successful_time", "/status/lastSuccessfulTime");
}

fn autoscaler(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    let target = at(life.latest(), "/spec/scaleTargetRef");
    reader.fixed(
        "kube_horizontalpodautoscaler_info",
        &[("scaletargetref_kind", text(target, "/kind")), ("scaletargetref_name", text(target, "/name"))],
        1.0,
    );
    reader.count("kube_horizontalpodautoscaler_spec_max_replicas", "/spec/maxReplicas");
    reader.put("kube_horizontalpodautoscaler_spec_min_replicas", &[], |object| {
        Some(at(object, "/spec/minReplicas").as_f64().unwrap_or(1.0))
    });
    reader.count("kube_horizontalpodautoscaler_status_current_replicas", "/status/currentReplicas");
    reader.count("kube_horizontalpodautoscaler_status_desired_replicas", "/status/desiredReplicas");
    reader.conditions(
        "kube_horizontalpodautoscaler_status_condition",
        &["AbleToScale", "ScalingActive", "ScalingLimited"],
    );
}

fn budget(_key: &Key, _life: &Life, reader: &mut Reader<'_, '_>) {
    reader.count("kube_poddisruptionbudget_status_current_healthy", "/status/currentHealthy");
    reader.count("kube_poddisruptionbudget_status_desired_healthy", "/status/desiredHealthy");
    reader.count("kube_poddisruptionbudget_status_pod_disruptions_allowed", "/status/disruptionsAllowed");
    reader.count("kube_poddisruptionbudget_status_expected_pods", "/status/expectedPods");
}

fn node(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    let latest = life.latest();
    let info = &latest["status"]["nodeInfo"];
    reader.fixed(
        "kube_node_info",
        &[
            ("kernel_version", text(info, "/kernelVersion")),
            ("os_image", text(info, "/osImage")),
            ("container_runtime_version", text(info, "/containerRuntimeVersion")),
            ("kubelet_version", text(info, "/kubeletVersion")),
            ("provider_id", text(latest, "/spec/providerID")),
            ("internal_ip", super::targets::address(latest)),
        ],
        1.0,
    );
    let labels = &latest["metadata"]["labels"];
    let get = |name: &str| labels[name].as_str().unwrap_or_default();
    reader.fixed(
        "kube_node_labels",
        &[
            ("label_karpenter_sh_nodepool", get("karpenter.sh/nodepool")),
            ("label_karpenter_sh_capacity_type", get("karpenter.sh/capacity-type")),
            ("label_node_kubernetes_io_instance_type", get("node.kubernetes.io/instance-type")),
            ("label_topology_kubernetes_io_zone", get("topology.kubernetes.io/zone")),
        ],
        1.0,
    );
    reader.created("kube_node_created");
    reader.put("kube_node_spec_unschedulable", &[], |object| {
        Some(f64::from(u8::from(flag(object, "/spec/unschedulable"))))
    });
    if reader.sink.named("kube_node_spec_taint") {
        let mut taints: Vec<[String; 3]> = life
            .states
            .iter()
            .flat_map(|state| list(&state.1, "/spec/taints"))
            .map(|taint| ["/key", "/value", "/effect"].map(|field| text(taint, field).to_owned()))
            .collect();
        taints.sort();
        taints.dedup();
        for [key, value, effect] in taints {
            reader.put(
                "kube_node_spec_taint",
                &[("key", &key), ("value", &value), ("effect", &effect)],
                |object| {
                    list(object, "/spec/taints")
                        .iter()
                        .any(|taint| text(taint, "/key") == key && text(taint, "/effect") == effect)
                        .then_some(1.0)
                },
            );
        }
    }
    reader.conditions(
        "kube_node_status_condition",
        &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"],
    );
    for (metric, part) in
        [("kube_node_status_capacity", "capacity"), ("kube_node_status_allocatable", "allocatable")]
    {
        for (resource, field, unit) in [
            ("cpu", "cpu", "core"),
            ("memory", "memory", "byte"),
            ("pods", "pods", "integer"),
            ("ephemeral_storage", "ephemeral-storage", "byte"),
        ] {
            if reader.sink.may("resource", resource) {
                reader.put(metric, &[("resource", resource), ("unit", unit)], |object| {
                    let amount = &object["status"][part][field];
                    (!amount.is_null()).then(|| milli(amount) as f64 / 1000.0)
                });
            }
        }
    }
}

fn claim(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    let latest = life.latest();
    reader.fixed(
        "kube_persistentvolumeclaim_info",
        &[
            ("storageclass", text(latest, "/spec/storageClassName")),
            ("volumename", text(latest, "/spec/volumeName")),
            ("volumemode", "Filesystem"),
        ],
        1.0,
    );
    for phase in ["Lost", "Bound", "Pending"] {
        reader.put("kube_persistentvolumeclaim_status_phase", &[("phase", phase)], |object| {
            Some(f64::from(u8::from(text(object, "/status/phase") == phase)))
        });
    }
    reader.put("kube_persistentvolumeclaim_resource_requests_storage_bytes", &[], |object| {
        Some(milli(at(object, "/spec/resources/requests/storage")) as f64 / 1000.0)
    });
    reader.fixed(
        "kube_persistentvolumeclaim_access_mode",
        &[("access_mode", text(latest, "/spec/accessModes/0"))],
        1.0,
    );
}

fn volume(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    reader.put("kube_persistentvolume_capacity_bytes", &[], |object| {
        Some(milli(at(object, "/spec/capacity/storage")) as f64 / 1000.0)
    });
    for phase in ["Pending", "Available", "Bound", "Released", "Failed"] {
        reader.put("kube_persistentvolume_status_phase", &[("phase", phase)], |object| {
            Some(f64::from(u8::from(text(object, "/status/phase") == phase)))
        });
    }
    let claim = at(life.latest(), "/spec/claimRef");
    reader.fixed(
        "kube_persistentvolume_claim_ref",
        &[("name", text(claim, "/name")), ("claim_namespace", text(claim, "/namespace"))],
        1.0,
    );
}

fn service(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    let latest = life.latest();
    reader.fixed("kube_service_info", &[("cluster_ip", text(latest, "/spec/clusterIP"))], 1.0);
    reader.fixed("kube_service_spec_type", &[("type", text(latest, "/spec/type"))], 1.0);
}

fn ingress(_key: &Key, life: &Life, reader: &mut Reader<'_, '_>) {
    let latest = life.latest();
    reader.fixed("kube_ingress_info", &[("ingressclass", text(latest, "/spec/ingressClassName"))], 1.0);
    for rule in list(latest, "/spec/rules") {
        for path in list(rule, "/http/paths") {
            reader.fixed(
                "kube_ingress_path",
                &[
                    ("host", text(rule, "/host")),
                    ("path", text(path, "/path")),
                    ("service_name", text(path, "/backend/service/name")),
                    ("service_port", text(path, "/backend/service/port/name")),
                ],
                1.0,
            );
        }
    }
}
