//! The control plane as EKS shows it: the API server with what it knows of etcd, the scheduler, the controller manager.
//!
//! Its load follows from the size of the cluster and from who hammers it. EKS does not expose etcd itself: there are
//! `etcd_request_duration_seconds` and `apiserver_storage_size_bytes` only.

use super::ingress::{mean, within};
use super::sink::{Sink, histogram};
use super::targets::{Part, Target};
use super::wave::{Pulse, ahead, pick, secs, wander};
use super::{Exporter, Metric, Numbers, counter, gauge, histogram as declared};
use crate::demo::types::Type;
use crate::demo::world::fnv64;

/// The API server.
pub static EXPORTER: Exporter = Exporter { parts: &[Part::ApiServer], metrics: METRICS, collect };

/// The scheduler and the controller manager.
pub static CONTROLLERS: Exporter = Exporter {
    parts: &[Part::Scheduler, Part::ControllerManager],
    metrics: CONTROLLER_METRICS,
    collect: controllers,
};

static METRICS: &[Metric] = &[
    counter(
        "apiserver_request_total",
        "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
    ),
    declared(
        "apiserver_request_duration_seconds",
        "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
    ),
    declared(
        "apiserver_request_sli_duration_seconds",
        "Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.",
    ),
    counter(
        "apiserver_request_terminations_total",
        "Number of requests which apiserver terminated in self-defense.",
    ),
    counter(
        "apiserver_flowcontrol_rejected_requests_total",
        "Number of requests rejected by API Priority and Fairness subsystem",
    ),
    counter(
        "apiserver_flowcontrol_dispatched_requests_total",
        "Number of requests executed by API Priority and Fairness subsystem",
    ),
    gauge(
        "apiserver_flowcontrol_current_inqueue_requests",
        "Number of requests currently pending in queues of the API Priority and Fairness subsystem",
    ),
    gauge(
        "apiserver_flowcontrol_current_executing_requests",
        "Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem",
    ),
    gauge(
        "apiserver_current_inflight_requests",
        "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
    ),
    gauge(
        "apiserver_longrunning_requests",
        "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component.",
    ),
    gauge("apiserver_storage_objects", "Number of stored objects at the time of last check split by kind."),
    gauge("apiserver_storage_size_bytes", "Size of the storage database file physically allocated in bytes."),
    declared(
        "etcd_request_duration_seconds",
        "Etcd request latency in seconds for each operation and object type.",
    ),
    declared(
        "apiserver_admission_webhook_admission_duration_seconds",
        "Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
    ),
    counter(
        "apiserver_admission_webhook_rejection_count",
        "Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) and operation.",
    ),
    counter(
        "apiserver_audit_event_total",
        "Counter of audit events generated and sent to the audit backend.",
    ),
    counter("authentication_attempts", "Counter of authenticated attempts."),
    counter(
        "apiserver_authorization_decisions_total",
        "Total number of terminal decisions made by an authorizer split by authorizer type, name, and decision.",
    ),
    declared(
        "workqueue_queue_duration_seconds",
        "How long in seconds an item stays in workqueue before being requested.",
    ),
    gauge(
        "aggregator_unavailable_apiservice",
        "Gauge of APIServices which are marked as unavailable broken down by APIService name.",
    ),
    declared(
        "apiserver_client_certificate_expiration_seconds",
        "Distribution of the remaining lifetime on the certificate used to authenticate a request.",
    ),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
    gauge(
        "kubernetes_build_info",
        "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
    ),
];

static CONTROLLER_METRICS: &[Metric] = &[
    counter("scheduler_schedule_attempts_total", "Number of attempts to schedule pods, by the result."),
    gauge("scheduler_pending_pods", "Number of pending pods, by the queue type."),
    declared(
        "scheduler_scheduling_attempt_duration_seconds",
        "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
    ),
    declared(
        "scheduler_pod_scheduling_sli_duration_seconds",
        "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might involve multiple scheduling attempts.",
    ),
    gauge("scheduler_unschedulable_pods", "The number of unschedulable pods broken down by plugin name."),
    counter("scheduler_preemption_attempts_total", "Total preemption attempts in the cluster till now"),
    gauge("workqueue_depth", "Current depth of workqueue"),
    counter("workqueue_adds_total", "Total number of adds handled by workqueue"),
    counter("workqueue_retries_total", "Total number of retries handled by workqueue"),
    declared(
        "workqueue_queue_duration_seconds",
        "How long in seconds an item stays in workqueue before being requested.",
    ),
    gauge(
        "leader_election_master_status",
        "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
    ),
    counter(
        "rest_client_requests_total",
        "Number of HTTP requests, partitioned by status code, method, and host.",
    ),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
];

/// How busy a control plane is: requests of a small cluster, and as many again for every fifty pods.
fn size(numbers: &Numbers) -> f64 {
    1.0 + numbers.facts.pods.len() as f64 / 50.0
}

/// One line of requests: verb, group, resource, scope, requests a second in a small cluster, half the latency.
const REQUESTS: &[(&str, &str, &str, &str, f64, f64)] = &[
    ("GET", "", "pods", "resource", 3.1, 0.004),
    ("LIST", "", "pods", "cluster", 0.12, 0.09),
    ("LIST", "", "pods", "namespace", 0.35, 0.022),
    ("WATCH", "", "pods", "cluster", 0.06, 0.5),
    ("PATCH", "", "pods", "resource", 0.9, 0.011),
    ("GET", "", "nodes", "resource", 0.8, 0.003),
    ("PATCH", "", "nodes", "resource", 0.4, 0.012),
    ("GET", "", "configmaps", "resource", 1.4, 0.003),
    ("LIST", "", "secrets", "namespace", 0.08, 0.02),
    ("GET", "", "secrets", "resource", 0.7, 0.003),
    ("POST", "", "events", "resource", 0.6, 0.008),
    ("GET", "coordination.k8s.io", "leases", "resource", 2.8, 0.003),
    ("PUT", "coordination.k8s.io", "leases", "resource", 2.9, 0.008),
    ("GET", "apps", "deployments", "resource", 0.7, 0.004),
    ("LIST", "apps", "replicasets", "cluster", 0.05, 0.06),
    ("PUT", "apps", "deployments", "resource", 0.14, 0.012),
    ("GET", "argoproj.io", "applications", "resource", 0.6, 0.005),
    ("PATCH", "argoproj.io", "applications", "resource", 0.5, 0.018),
    ("LIST", "karpenter.sh", "nodeclaims", "cluster", 0.09, 0.012),
    ("POST", "authorization.k8s.io", "subjectaccessreviews", "resource", 1.2, 0.002),
];

/// Bounds of the API server's histograms.
const SECONDS: [f64; 16] =
    [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0];

/// Flow schemas: name, priority level, part of all requests.
const FLOWS: &[(&str, &str, f64)] = &[
    ("system-nodes", "system", 0.22),
    ("system-node-high", "node-high", 0.15),
    ("system-leader-election", "leader-election", 0.24),
    ("kube-controller-manager", "workload-high", 0.11),
    ("kube-system-service-accounts", "workload-high", 0.09),
    ("service-accounts", "workload-low", 0.15),
    ("global-default", "global-default", 0.03),
    ("exempt", "exempt", 0.01),
];

/// Requests a second that one hammering pod sends beyond what is let through.
const HAMMER: f64 = 34.0;

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    for target in numbers.of_part(Part::ApiServer) {
        if sink.may_scrape(&target.scrape) {
            requests(numbers, sink, target);
            flows(numbers, sink, target);
            storage(numbers, sink, target);
            process(numbers, sink, target, 1.9, 1.6e9);
            others(numbers, sink, target);
        }
    }
}

/// A counter's growth since the control plane was last replaced, a month before the world began.
fn grown(numbers: &Numbers, seed: u64, rate: f64, pulse: &Pulse, t: i64) -> f64 {
    let base = secs(numbers.facts.begin - 30 * 86_400_000);
    let now = secs(t);
    rate * (pulse.sum(now) - pulse.sum(base) + ahead(seed, now) - ahead(seed, base))
}

fn requests(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let total = sink.metric("apiserver_request_total");
    let duration = histogram!(sink, "apiserver_request_duration_seconds");
    let sli = histogram!(sink, "apiserver_request_sli_duration_seconds");
    if total.is_none() && duration.idle() && sli.idle() {
        return;
    }
    let size = size(numbers);
    let day = Pulse::new(&super::wave::Steps::default(), true);
    let hammers = numbers.hammers();
    let refused = Pulse::with_first(&hammers, 0.0, false);
    for (at, (verb, group, resource, scope, rate, median)) in REQUESTS.iter().enumerate() {
        if !sink.may("verb", verb) || !sink.may("resource", resource) {
            continue;
        }
        let version = if *group == "argoproj.io" { "v1alpha1" } else { "v1" };
        let raw = [
            ("component", "apiserver"),
            ("group", *group),
            ("resource", *resource),
            ("scope", *scope),
            ("verb", *verb),
            ("version", version),
        ];
        let seed = target.seed ^ (at as u64) << 20;
        let rate = rate * size;
        let hammered = *resource == "pods" && *verb == "LIST" && *scope == "cluster";
        let codes: &[(&str, f64)] = match *verb {
            "POST" => &[("201", 0.9971), ("403", 0.0018), ("409", 0.001), ("500", 0.0001)],
            "PUT" | "PATCH" => &[("200", 0.9926), ("409", 0.007), ("422", 0.0003), ("500", 0.0001)],
            "GET" => &[("200", 0.984), ("404", 0.0138), ("403", 0.0016), ("401", 0.0005), ("500", 0.0001)],
            _ => &[("200", 0.9979), ("403", 0.0019), ("504", 0.0002)],
        };
        for (code, part) in codes {
            let labels: Vec<(&str, &str)> = raw.iter().copied().chain([("code", *code)]).collect();
            sink.put(total, &target.scrape, &labels, |t| {
                let let_through = if hammered && *code == "200" { 9.0 * refused.sum(secs(t)) } else { 0.0 };
                Some((grown(numbers, seed, rate * part, &day, t) + let_through).floor())
            });
        }
        if hammered {
            let labels: Vec<(&str, &str)> = raw.iter().copied().chain([("code", "429")]).collect();
            sink.put(total, &target.scrape, &labels, |t| {
                Some((HAMMER * refused.sum(secs(t)) + grown(numbers, seed, 0.000_2, &day, t)).floor())
            });
        }
        let kind = (*median, 0.9);
        let slow = (median * 30.0, 0.7);
        for (names, extra) in [(duration, 1.25), (sli, 1.0)] {
            if names.idle() {
                continue;
            }
            // Two in a thousand are slow; while somebody hammers, a quarter is.
            let parts = |t: i64| {
                let all = grown(numbers, seed, rate, &day, t);
                let stuck = all * 0.002 + rate * 0.25 * refused.sum(secs(t)).min(all / rate);
                (all - stuck, stuck)
            };
            sink.histogram(
                names,
                &target.scrape,
                &raw,
                &SECONDS,
                |t, bound| {
                    let (usual, stuck) = parts(t);
                    Some(usual * within(bound / extra, kind) + stuck * within(bound / extra, slow))
                },
                |t| {
                    let (usual, stuck) = parts(t);
                    Some(extra * (usual * mean(kind) + stuck * mean(slow)))
                },
            );
        }
    }
}

fn flows(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let day = Pulse::new(&super::wave::Steps::default(), true);
    let hammers = numbers.hammers();
    let refused = Pulse::with_first(&hammers, 0.0, false);
    let all: f64 = REQUESTS.iter().map(|one| one.4).sum::<f64>() * size(numbers);
    let dispatched = sink.metric("apiserver_flowcontrol_dispatched_requests_total");
    let rejected = sink.metric("apiserver_flowcontrol_rejected_requests_total");
    let waiting = sink.metric("apiserver_flowcontrol_current_inqueue_requests");
    let executing = sink.metric("apiserver_flowcontrol_current_executing_requests");
    for (at, (schema, level, part)) in FLOWS.iter().enumerate() {
        let raw = [("flow_schema", *schema), ("priority_level", *level)];
        let seed = target.seed ^ (at as u64 + 77) << 24;
        let hit = *schema == "service-accounts";
        sink.put(dispatched, &target.scrape, &raw, |t| {
            let more = if hit { 9.0 * refused.sum(secs(t)) } else { 0.0 };
            Some((grown(numbers, seed, all * part, &day, t) + more).floor())
        });
        sink.put(waiting, &target.scrape, &raw, |t| {
            let level = hammers.at(t, 0.0);
            Some(if hit && level > 0.0 {
                (52.0 * level.min(1.0) * wander(seed, secs(t))).round() + 11.0
            } else {
                0.0
            })
        });
        sink.put(executing, &target.scrape, &raw, |t| {
            let level = hammers.at(t, 0.0);
            let usual = (all * part * 0.012 + 2.0 * wander(seed, secs(t))).round();
            Some(if hit && level > 0.0 { usual + 47.0 } else { usual })
        });
        // The server names a reason only once it has refused for it.
        if hit {
            let labels = [raw[0], raw[1], ("reason", "queue-full")];
            sink.put(rejected, &target.scrape, &labels, |t| {
                Some((HAMMER * 0.8 * refused.sum(secs(t))).floor())
            });
            let labels = [raw[0], raw[1], ("reason", "time-out")];
            sink.put(rejected, &target.scrape, &labels, |t| {
                Some((HAMMER * 0.2 * refused.sum(secs(t))).floor())
            });
        }
    }
    for (kind, low, high) in [("readOnly", 2.0, 14.0), ("mutating", 1.0, 6.0)] {
        sink.put(
            sink.metric("apiserver_current_inflight_requests"),
            &target.scrape,
            &[("request_kind", kind)],
            |t| {
                let more = if kind == "readOnly" { 47.0 * hammers.at(t, 0.0).min(1.0) } else { 0.0 };
                Some(
                    (low + (high - low) * wander(target.seed ^ fnv64(kind.as_bytes()), secs(t)) + more)
                        .round(),
                )
            },
        );
    }
    let terminations = sink.metric("apiserver_request_terminations_total");
    let labels = [
        ("component", "apiserver"),
        ("group", ""),
        ("resource", "pods"),
        ("scope", "cluster"),
        ("verb", "LIST"),
        ("version", "v1"),
        ("code", "429"),
    ];
    sink.put(terminations, &target.scrape, &labels, |t| Some((HAMMER * refused.sum(secs(t))).floor()));
}

fn storage(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let objects = sink.metric("apiserver_storage_objects");
    if objects.is_some() {
        let kinds = [
            Type::Node,
            Type::Namespace,
            Type::Deployment,
            Type::ReplicaSet,
            Type::StatefulSet,
            Type::DaemonSet,
            Type::Job,
            Type::Service,
            Type::Ingress,
            Type::Application,
            Type::NodeClaim,
            Type::Certificate,
            Type::ExternalSecret,
            Type::PersistentVolumeClaim,
            Type::ResourceQuota,
        ];
        for kind in kinds {
            let name = kind.qualified();
            sink.put(objects, &target.scrape, &[("resource", &name)], |t| {
                Some(numbers.facts.objects(kind).filter(|(_, life)| life.there(t)).count() as f64)
            });
        }
        sink.put(objects, &target.scrape, &[("resource", "pods")], |t| {
            Some(numbers.facts.pods.values().filter(|pod| pod.there(t)).count() as f64)
        });
    }
    let stored = sink.metric("apiserver_storage_size_bytes");
    let many = (numbers.facts.pods.len() * 9 + numbers.facts.objects.len() * 6) as f64;
    sink.put(stored, &target.scrape, &[("storage_cluster_id", "etcd-0")], |t| {
        // It grows until etcd is compacted and defragmented.
        let fill = (secs(t) % 43_200.0) / 43_200.0;
        Some((24e6 + many * 1024.0 * (1.0 + 0.35 * fill)).floor())
    });
    let etcd = histogram!(sink, "etcd_request_duration_seconds");
    if !etcd.idle() {
        let day = Pulse::new(&super::wave::Steps::default(), true);
        let refused = Pulse::with_first(&numbers.hammers(), 0.0, false);
        let lines = [
            ("get", "*core.Pod", 1.6, 0.0018),
            ("list", "*core.Pod", 0.2, 0.02),
            ("update", "*core.Pod", 0.8, 0.0042),
            ("get", "*coordination.Lease", 2.8, 0.0016),
            ("update", "*coordination.Lease", 2.9, 0.004),
            ("create", "*core.Event", 0.6, 0.0039),
            ("get", "*apps.Deployment", 0.5, 0.0018),
        ];
        for (at, (operation, kind, rate, median)) in lines.into_iter().enumerate() {
            let seed = target.seed ^ (at as u64 + 7) << 30;
            let rate = rate * size(numbers);
            let parts = |t: i64| {
                let all = grown(numbers, seed, rate, &day, t);
                let slow = all * 0.003 + rate * 0.15 * refused.sum(secs(t)).min(all / rate);
                (all - slow, slow)
            };
            sink.histogram(
                etcd,
                &target.scrape,
                &[("operation", operation), ("type", kind), ("group", ""), ("resource", "")],
                &SECONDS,
                |t, bound| {
                    let (usual, slow) = parts(t);
                    Some(usual * within(bound, (median, 0.6)) + slow * within(bound, (median * 25.0, 0.6)))
                },
                |t| {
                    let (usual, slow) = parts(t);
                    Some(usual * mean((median, 0.6)) + slow * mean((median * 25.0, 0.6)))
                },
            );
        }
    }
}

fn others(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let day = Pulse::new(&super::wave::Steps::default(), true);
    let size = size(numbers);
    let seed = |what: &str| target.seed ^ fnv64(what.as_bytes());
    for (verb, resource, count) in [
        ("WATCH", "pods", 9.0),
        ("WATCH", "nodes", 7.0),
        ("WATCH", "applications", 4.0),
        ("CONNECT", "pods", 1.0),
    ] {
        let labels = [
            ("component", "apiserver"),
            ("group", if resource == "applications" { "argoproj.io" } else { "" }),
            ("resource", resource),
            ("scope", "cluster"),
            ("verb", verb),
            ("version", "v1"),
        ];
        sink.put(sink.metric("apiserver_longrunning_requests"), &target.scrape, &labels, |t| {
            Some((count * size.sqrt() + 3.0 * wander(seed(resource), secs(t))).round())
        });
    }
    for (name, median, rate) in [
        ("validate.kyverno.svc-fail", 0.012, 0.5),
        ("webhook.cert-manager.io", 0.006, 0.01),
        ("defaulting.webhook.karpenter.sh", 0.005, 0.02),
    ] {
        let names = histogram!(sink, "apiserver_admission_webhook_admission_duration_seconds");
        if names.idle() {
            continue;
        }
        let kind = (median, 0.6);
        for (operation, part) in [("CREATE", 0.4), ("UPDATE", 0.6)] {
            let all = |t: i64| grown(numbers, seed(name), rate * part * size, &day, t);
            sink.histogram(
                names,
                &target.scrape,
                &[("name", name), ("operation", operation), ("rejected", "false"), ("type", "validate")],
                &[0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0],
                |t, bound| Some(all(t) * within(bound, kind)),
                |t| Some(all(t) * mean(kind)),
            );
        }
    }
    let labels = [
        ("error_type", "no_error"),
        ("name", "validate.kyverno.svc-fail"),
        ("operation", "CREATE"),
        ("rejection_code", "400"),
        ("type", "validating"),
    ];
    sink.put(sink.metric("apiserver_admission_webhook_rejection_count"), &target.scrape, &labels, |t| {
        Some(grown(numbers, seed("rejections"), 0.000_5, &day, t).floor())
    });
    sink.put(sink.metric("apiserver_audit_event_total"), &target.scrape, &[], |t| {
        Some(grown(numbers, seed("audit"), 14.0 * size, &day, t).floor())
    });
    for (result, rate) in [("success", 16.0 * size), ("failure", 0.012), ("error", 0.001)] {
        sink.put(sink.metric("authentication_attempts"), &target.scrape, &[("result", result)], |t| {
            Some(grown(numbers, seed(result), rate, &day, t).floor())
        });
    }
    for (decision, rate) in [("allowed", 15.0 * size), ("denied", 0.031)] {
        sink.put(
            sink.metric("apiserver_authorization_decisions_total"),
            &target.scrape,
            &[("decision", decision), ("name", "rbac"), ("type", "RBAC")],
            |t| Some(grown(numbers, seed(decision), rate, &day, t).floor()),
        );
    }
    for name in ["v1beta1.metrics.k8s.io", "v1.metrics.eks.amazonaws.com"] {
        sink.fixed(
            sink.metric("aggregator_unavailable_apiservice"),
            &target.scrape,
            &[("name", name)],
            target.span,
            0.0,
        );
    }
    let names = histogram!(sink, "apiserver_client_certificate_expiration_seconds");
    if !names.idle() {
        let all = |t: i64| grown(numbers, seed("certificates"), 2.0, &day, t);
        // All of them are good for months.
        sink.histogram(
            names,
            &target.scrape,
            &[],
            &[
                0.0,
                1_800.0,
                3_600.0,
                7_200.0,
                21_600.0,
                43_200.0,
                86_400.0,
                172_800.0,
                345_600.0,
                604_800.0,
                2_592_000.0,
                7_776_000.0,
                15_552_000.0,
                31_104_000.0,
            ],
            |t, bound| Some(if bound > 16e6 { all(t) } else { 0.0 }),
            |t| Some(all(t) * 2.2e7),
        );
    }
    let build = [
        ("git_version", "v1.33.1-eks-b9364f6"),
        ("major", "1"),
        ("minor", "33"),
        ("platform", "linux/amd64"),
    ];
    sink.fixed(sink.metric("kubernetes_build_info"), &target.scrape, &build, target.span, 1.0);
}

/// What every Go process tells about itself.
pub fn process(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target, cores: f64, bytes: f64) {
    let base = secs(target.span.0.max(numbers.facts.begin - 30 * 86_400_000));
    let there = |t: i64| target.there(t);
    sink.put(sink.metric("process_cpu_seconds_total"), &target.scrape, &[], |t| {
        let now = secs(t);
        there(t).then(|| cores * (now - base + ahead(target.seed, now) - ahead(target.seed, base)))
    });
    sink.put(sink.metric("process_resident_memory_bytes"), &target.scrape, &[], |t| {
        there(t).then(|| (bytes * (0.85 + 0.3 * wander(target.seed ^ 0x63, secs(t)))).floor())
    });
    sink.fixed(sink.metric("process_start_time_seconds"), &target.scrape, &[], target.span, base);
}

fn controllers(numbers: &Numbers, sink: &mut Sink<'_>) {
    let day = Pulse::new(&super::wave::Steps::default(), true);
    let size = size(numbers);
    for target in numbers.of_part(Part::Scheduler) {
        if !sink.may_scrape(&target.scrape) {
            continue;
        }
        scheduler(numbers, sink, target);
        process(numbers, sink, target, 0.04, 72e6);
        sink.fixed(
            sink.metric("leader_election_master_status"),
            &target.scrape,
            &[("name", "kube-scheduler")],
            target.span,
            1.0,
        );
    }
    for target in numbers.of_part(Part::ControllerManager) {
        if !sink.may_scrape(&target.scrape) {
            continue;
        }
        process(numbers, sink, target, 0.11, 190e6);
        sink.fixed(
            sink.metric("leader_election_master_status"),
            &target.scrape,
            &[("name", "kube-controller-manager")],
            target.span,
            1.0,
        );
        let waited = histogram!(sink, "workqueue_queue_duration_seconds");
        for (name, rate) in [
            ("deployment", 0.5),
            ("replicaset", 0.6),
            ("statefulset", 0.1),
            ("daemonset", 0.3),
            ("job", 0.05),
            ("cronjob", 0.03),
            ("endpoint_slice", 0.4),
            ("garbage_collector_graph_changes", 3.0),
            ("node_lifecycle_controller", 0.2),
            ("resource_quota_controller", 0.2),
        ] {
            let seed = target.seed ^ fnv64(name.as_bytes());
            let labels = [("name", name)];
            sink.put(sink.metric("workqueue_depth"), &target.scrape, &labels, |t| {
                Some((2.4 * wander(seed, secs(t)) * rate).floor())
            });
            sink.put(sink.metric("workqueue_adds_total"), &target.scrape, &labels, |t| {
                Some(grown(numbers, seed, rate * size, &day, t).floor())
            });
            sink.put(sink.metric("workqueue_retries_total"), &target.scrape, &labels, |t| {
                Some(grown(numbers, seed, rate * size * 0.004, &day, t).floor())
            });
            let kind = (0.000_4, 1.2);
            sink.histogram(
                waited,
                &target.scrape,
                &labels,
                &[1e-5, 1e-4, 0.001, 0.01, 0.1, 1.0, 10.0],
                |t, bound| Some(grown(numbers, seed, rate * size, &day, t) * within(bound, kind)),
                |t| Some(grown(numbers, seed, rate * size, &day, t) * mean(kind)),
            );
        }
        for (code, method, rate) in
            [("200", "GET", 1.9), ("200", "PUT", 0.8), ("201", "POST", 0.2), ("409", "PUT", 0.004)]
        {
            let labels = [("code", code), ("host", "127.0.0.1:443"), ("method", method)];
            sink.put(sink.metric("rest_client_requests_total"), &target.scrape, &labels, |t| {
                Some(grown(numbers, target.seed ^ fnv64(method.as_bytes()), rate * size, &day, t).floor())
            });
        }
    }
}

fn scheduler(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let mut placed: Vec<i64> = numbers
        .facts
        .pods
        .values()
        .filter_map(|pod| pod.states.iter().find(|state| state.bound).map(|state| state.at))
        .collect();
    placed.sort_unstable();
    // What was placed before the history began is only a number.
    let before = pick(target.seed, 1, 20_000.0, 60_000.0).floor();
    let count = |t: i64| before + placed.partition_point(|at| *at <= t) as f64;
    for (result, part) in [("scheduled", 1.0), ("unschedulable", 0.06), ("error", 0.001)] {
        let labels = [("profile", "default-scheduler"), ("result", result)];
        sink.put(sink.metric("scheduler_schedule_attempts_total"), &target.scrape, &labels, |t| {
            Some((count(t) * part).floor())
        });
    }
    for queue in ["active", "backoff", "gated", "unschedulable"] {
        sink.put(sink.metric("scheduler_pending_pods"), &target.scrape, &[("queue", queue)], |t| {
            let waiting =
                numbers.facts.pods.values().filter(|pod| pod.state(t).is_some_and(|state| !state.bound));
            Some(if queue == "unschedulable" { waiting.count() as f64 } else { 0.0 })
        });
    }
    let attempt = histogram!(sink, "scheduler_scheduling_attempt_duration_seconds");
    let whole = histogram!(sink, "scheduler_pod_scheduling_sli_duration_seconds");
    let kind = (0.004, 0.6);
    sink.histogram(
        attempt,
        &target.scrape,
        &[("profile", "default-scheduler"), ("result", "scheduled")],
        &[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024],
        |t, bound| Some(count(t) * within(bound, kind)),
        |t| Some(count(t) * mean(kind)),
    );
    let kind = (0.012, 1.4);
    sink.histogram(
        whole,
        &target.scrape,
        &[("attempts", "1")],
        &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 40.96, 163.84],
        |t, bound| Some(count(t) * within(bound, kind)),
        |t| Some(count(t) * mean(kind)),
    );
    sink.put(sink.metric("scheduler_preemption_attempts_total"), &target.scrape, &[], |_| Some(3.0));
    sink.put(
        sink.metric("scheduler_unschedulable_pods"),
        &target.scrape,
        &[("plugin", "NodeResourcesFit"), ("profile", "default-scheduler")],
        |t| {
            Some(
                numbers
                    .facts
                    .pods
                    .values()
                    .filter(|pod| pod.state(t).is_some_and(|state| !state.bound))
                    .count() as f64,
            )
        },
    );
}
