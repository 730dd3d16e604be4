//! kube-state-metrics, the part about pods: what they are, where they stand and what their containers asked for.
//!
//! Names and labels as version 2.15 writes them. The scrape honours its labels, so `namespace` and `pod` are the pod's.

use super::pod_life::{Container, PodLife};
use super::sink::{Sink, Wanted};
use super::targets::{Part, Target};
use super::wave::secs;
use super::{Exporter, Metric, Numbers, counter, gauge};

/// The exporter.
pub static EXPORTER: Exporter = Exporter { parts: &[Part::KubeStateMetrics], metrics: METRICS, collect };

static METRICS: &[Metric] = &[
    gauge("kube_pod_info", "Information about pod."),
    gauge("kube_pod_owner", "Information about the Pod's owner."),
    gauge("kube_pod_labels", "Kubernetes labels converted to Prometheus labels."),
    gauge("kube_pod_created", "Unix creation timestamp"),
    gauge("kube_pod_start_time", "Start time in unix timestamp for a pod."),
    gauge("kube_pod_completion_time", "Completion time in unix timestamp for a pod."),
    gauge("kube_pod_status_phase", "The pods current phase."),
    gauge("kube_pod_status_ready", "Describes whether the pod is ready to serve requests."),
    gauge("kube_pod_status_scheduled", "Describes the status of the scheduling process for the pod."),
    gauge("kube_pod_status_unschedulable", "Describes the unschedulable status for the pod."),
    gauge("kube_pod_container_info", "Information about a container in a pod."),
    gauge(
        "kube_pod_container_status_running",
        "Describes whether the container is currently in running state.",
    ),
    gauge(
        "kube_pod_container_status_waiting",
        "Describes whether the container is currently in waiting state.",
    ),
    gauge(
        "kube_pod_container_status_waiting_reason",
        "Describes the reason the container is currently in waiting state.",
    ),
    gauge(
        "kube_pod_container_status_terminated",
        "Describes whether the container is currently in terminated state.",
    ),
    gauge(
        "kube_pod_container_status_last_terminated_reason",
        "Describes the last reason the container was in terminated state.",
    ),
    gauge(
        "kube_pod_container_status_last_terminated_exitcode",
        "Describes the exit code for the last container in terminated state.",
    ),
    gauge("kube_pod_container_status_ready", "Describes whether the containers readiness check succeeded."),
    counter("kube_pod_container_status_restarts_total", "The number of container restarts per container."),
    gauge("kube_pod_container_resource_requests", "The number of requested request resource by a container."),
    gauge("kube_pod_container_resource_limits", "The number of requested limit resource by a container."),
    gauge(
        "kube_pod_spec_volumes_persistentvolumeclaims_info",
        "Information about persistentvolumeclaim volumes in a pod.",
    ),
];

const PHASES: [&str; 5] = ["Pending", "Succeeded", "Failed", "Unknown", "Running"];

struct Wants {
    info: Wanted,
    owner: Wanted,
    labels: Wanted,
    created: Wanted,
    start: Wanted,
    completion: Wanted,
    phase: Wanted,
    ready: Wanted,
    scheduled: Wanted,
    unschedulable: Wanted,
    claims: Wanted,
    containers: bool,
    container_info: Wanted,
    running: Wanted,
    waiting: Wanted,
    waiting_reason: Wanted,
    terminated: Wanted,
    last_reason: Wanted,
    last_code: Wanted,
    container_ready: Wanted,
    restarts: Wanted,
    requests: Wanted,
    limits: Wanted,
}

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    let Some(target) = numbers.single(Part::KubeStateMetrics) else { return };
    let wants = Wants {
        info: sink.metric("kube_pod_info"),
        owner: sink.metric("kube_pod_owner"),
        labels: sink.metric("kube_pod_labels"),
        created: sink.metric("kube_pod_created"),
        start: sink.metric("kube_pod_start_time"),
        completion: sink.metric("kube_pod_completion_time"),
        phase: sink.metric("kube_pod_status_phase"),
        ready: sink.metric("kube_pod_status_ready"),
        scheduled: sink.metric("kube_pod_status_scheduled"),
        unschedulable: sink.metric("kube_pod_status_unschedulable"),
        claims: sink.metric("kube_pod_spec_volumes_persistentvolumeclaims_info"),
        containers: METRICS
            .iter()
            .any(|metric| metric.name.starts_with("kube_pod_container") && sink.named(metric.name)),
        container_info: sink.metric("kube_pod_container_info"),
        running: sink.metric("kube_pod_container_status_running"),
        waiting: sink.metric("kube_pod_container_status_waiting"),
        waiting_reason: sink.metric("kube_pod_container_status_waiting_reason"),
        terminated: sink.metric("kube_pod_container_status_terminated"),
        last_reason: sink.metric("kube_pod_container_status_last_terminated_reason"),
        last_code: sink.metric("kube_pod_container_status_last_terminated_exitcode"),
        container_ready: sink.metric("kube_pod_container_status_ready"),
        restarts: sink.metric("kube_pod_container_status_restarts_total"),
        requests: sink.metric("kube_pod_container_resource_requests"),
        limits: sink.metric("kube_pod_container_resource_limits"),
    };
    let (from, to) = (sink.first(), sink.last());
    for pod in numbers.facts.pods(sink.only("namespace"), from, to) {
        if !sink.may("namespace", &pod.namespace) || !sink.may("pod", &pod.name) {
            continue;
        }
        of_pod(sink, &wants, target, pod);
        if wants.containers {
            for (at, container) in pod.containers.iter().enumerate() {
                if sink.may("container", &container.name) {
                    of_container(sink, &wants, target, pod, at, container);
                }
            }
        }
    }
}

fn of_pod(sink: &mut Sink<'_>, wants: &Wants, target: &Target, pod: &PodLife) {
    let scrape = &target.scrape;
    let (namespace, name, uid) = (&*pod.namespace, &*pod.name, &*pod.uid);
    let raw = [("namespace", namespace), ("pod", name), ("uid", uid)];
    let bound = |t: i64| pod.state(t).is_some_and(|state| state.bound);
    if wants.info.is_some() {
        let network = if pod.host_network { "true" } else { "false" };
        let first: Vec<(&str, &str)> = raw
            .iter()
            .copied()
            .chain([
                ("host_ip", &*pod.host),
                ("pod_ip", &*pod.ip),
                ("node", &*pod.node),
                ("created_by_kind", &*pod.owner.0),
                ("created_by_name", &*pod.owner.1),
                ("priority_class", &*pod.priority),
                ("host_network", network),
            ])
            .collect();
        sink.put(wants.info, scrape, &first, |t| bound(t).then_some(1.0));
        // Before it is bound it has neither node nor address.
        let waiting: Vec<(&str, &str)> = first
            .iter()
            .copied()
            .filter(|(name, _)| !matches!(*name, "host_ip" | "pod_ip" | "node"))
            .collect();
        if pod.states.first().is_some_and(|state| !state.bound) {
            sink.put(wants.info, scrape, &waiting, |t| (pod.there(t) && !bound(t)).then_some(1.0));
        }
    }
    let span = pod.span();
    if wants.owner.is_some() {
        let has = if &*pod.owner.0 == "<none>" { "" } else { "true" };
        let labels: Vec<(&str, &str)> = raw
            .iter()
            .copied()
            .chain([
                ("owner_kind", &*pod.owner.0),
                ("owner_name", &*pod.owner.1),
                ("owner_is_controller", has),
            ])
            .collect();
        sink.fixed(wants.owner, scrape, &labels, span, 1.0);
    }
    if wants.labels.is_some() {
        let labels: Vec<(&str, &str)> = raw
            .iter()
            .copied()
            .chain([
                ("label_app_kubernetes_io_name", &*pod.kind),
                ("label_app_kubernetes_io_instance", &*pod.app),
                ("label_app_kubernetes_io_component", &*pod.component),
                ("label_app_kubernetes_io_version", &*pod.version),
            ])
            .collect();
        sink.fixed(wants.labels, scrape, &labels, span, 1.0);
    }
    sink.fixed(wants.created, scrape, &raw, span, secs(pod.created));
    let started = pod.states.iter().find(|state| state.bound).map(|state| state.at);
    if let Some(started) = started {
        sink.put(wants.start, scrape, &raw, |t| (pod.there(t) && t >= started).then_some(secs(started)));
    }
    if wants.completion.is_some() {
        let ended = pod.containers.iter().filter_map(|one| one.runs.last()).filter_map(|run| run.to).max();
        sink.put(wants.completion, scrape, &raw, |t| {
            let over = pod.state(t).is_some_and(|state| matches!(&*state.phase, "Succeeded" | "Failed"));
            ended.filter(|_| over).map(secs)
        });
    }
    if wants.phase.is_some() {
        for phase in PHASES {
            if !sink.may("phase", phase) {
                continue;
            }
            let labels = [raw[0], raw[1], raw[2], ("phase", phase)];
            sink.put(wants.phase, scrape, &labels, |t| {
                pod.state(t).map(|state| f64::from(u8::from(&*state.phase == phase)))
            });
        }
    }
    for (wanted, read) in [(wants.ready, true), (wants.scheduled, false)] {
        if wanted.is_none() {
            continue;
        }
        for condition in ["true", "false", "unknown"] {
            if !sink.may("condition", condition) {
                continue;
            }
            let labels = [raw[0], raw[1], raw[2], ("condition", condition)];
            sink.put(wanted, scrape, &labels, |t| {
                pod.state(t).map(|state| {
                    let is = if read { state.ready } else { state.bound };
                    let holds = (condition == "true" && is) || (condition == "false" && !is);
                    f64::from(u8::from(holds))
                })
            });
        }
    }
    if pod.states.iter().any(|state| !state.bound) {
        sink.put(wants.unschedulable, scrape, &raw, |t| {
            // The scheduler needs a moment to say so.
            (pod.there(t) && !bound(t) && t > pod.created + 2_000).then_some(1.0)
        });
    }
    for claim in &pod.claims {
        let volume = claim.split('-').next().unwrap_or("data");
        let labels = [raw[0], raw[1], raw[2], ("volume", volume), ("persistentvolumeclaim", &**claim)];
        sink.fixed(wants.claims, scrape, &labels, span, 1.0);
    }
}

fn of_container(
    sink: &mut Sink<'_>,
    wants: &Wants,
    target: &Target,
    pod: &PodLife,
    at: usize,
    container: &Container,
) {
    let scrape = &target.scrape;
    let name = &*container.name;
    let raw = [("namespace", &*pod.namespace), ("pod", &*pod.name), ("uid", &*pod.uid), ("container", name)];
    let one = |is: bool| f64::from(u8::from(is));
    let reason = |t: i64| pod.state(t).map(|state| state.containers.get(at).map_or("", |found| &*found.0));
    // There is no status before a kubelet has taken the pod up.
    let taken = |t: i64| pod.state(t).is_some_and(|state| state.bound);
    if wants.container_info.is_some() {
        let id = format!("containerd://{}", crate::demo::pods::hex64(pod.seed ^ at as u64));
        let image_id = format!(
            "{}@sha256:{}",
            container.image.rsplit_once(':').map_or(&*container.image, |(stem, _)| stem),
            crate::demo::pods::hex64(crate::demo::world::fnv64(container.image.as_bytes()))
        );
        let labels = [
            raw[0],
            raw[1],
            raw[2],
            raw[3],
            ("image_spec", &*container.image),
            ("image", &*container.image),
            ("image_id", &image_id),
            ("container_id", &id),
        ];
        sink.put(wants.container_info, scrape, &labels, |t| taken(t).then_some(1.0));
    }
    sink.put(wants.running, scrape, &raw, |t| taken(t).then(|| one(container.run(t).is_some())));
    sink.put(wants.waiting, scrape, &raw, |t| {
        reason(t).filter(|_| taken(t)).map(|reason| one(!reason.is_empty() && container.run(t).is_none()))
    });
    if wants.waiting_reason.is_some() {
        let mut reasons: Vec<&str> = pod
            .states
            .iter()
            .filter_map(|state| state.containers.get(at))
            .map(|found| &*found.0)
            .filter(|reason| !reason.is_empty())
            .collect();
        reasons.sort_unstable();
        reasons.dedup();
        for why in reasons {
            let labels = [raw[0], raw[1], raw[2], raw[3], ("reason", why)];
            sink.put(wants.waiting_reason, scrape, &labels, |t| {
                (reason(t)? == why && container.run(t).is_none()).then_some(1.0)
            });
        }
    }
    sink.put(wants.terminated, scrape, &raw, |t| {
        reason(t).filter(|_| taken(t)).map(|reason| {
            one(reason.is_empty() && container.run(t).is_none() && container.ended(t).is_some())
        })
    });
    if !container.runs.is_empty() {
        for (word, oom, fine) in
            [("OOMKilled", true, false), ("Error", false, false), ("Completed", false, true)]
        {
            let is = |run: &super::pod_life::Run| run.oom == oom && (run.code == 0) == fine;
            if container.runs.iter().any(|run| run.to.is_some() && is(run)) {
                let labels = [raw[0], raw[1], raw[2], raw[3], ("reason", word)];
                sink.put(wants.last_reason, scrape, &labels, |t| {
                    // The last state is that of the run before the present one.
                    let last = container.ended(t).filter(|run| is(run) && pod.there(t))?;
                    (container.run(t).is_some() || last.to.is_some()).then_some(1.0)
                });
            }
        }
        sink.put(wants.last_code, scrape, &raw, |t| {
            container.ended(t).filter(|_| pod.there(t)).map(|run| run.code as f64)
        });
    }
    sink.put(wants.container_ready, scrape, &raw, |t| {
        pod.state(t)
            .filter(|state| state.bound)
            .map(|state| one(state.containers.get(at).is_some_and(|found| found.1)))
    });
    sink.put(wants.restarts, scrape, &raw, |t| taken(t).then(|| container.restarts(t) as f64));
    let amounts = [
        (wants.requests, container.cpu, container.memory),
        (wants.limits, container.cpu_limit, container.memory_limit),
    ];
    for (wanted, cpu, memory) in amounts {
        for (resource, unit, value) in
            [("cpu", "core", cpu as f64 / 1000.0), ("memory", "byte", memory as f64)]
        {
            if value > 0.0 && sink.may("resource", resource) {
                let labels = [
                    raw[0],
                    raw[1],
                    raw[2],
                    raw[3],
                    ("node", &*pod.node),
                    ("resource", resource),
                    ("unit", unit),
                ];
                sink.put(wanted, scrape, &labels, |t| taken(t).then_some(value));
            }
        }
    }
}
