//! Argo CD: its Applications as they stand, their operations, and how long reconciling takes.
//!
//! Names and labels as Argo CD 3.5 exposes them; `namespace` is the Application's and becomes `exported_namespace`.

use super::chronicle::Life;
use super::control_plane::process;
use super::ingress::{mean, within};
use super::sink::{Sink, histogram};
use super::targets::{Part, Target};
use super::wave::{ahead, pick, secs, wander};
use super::{Exporter, Metric, Numbers, counter, gauge, histogram as declared};
use crate::demo::types::Type;
use crate::demo::untyped::{at, text, time};
use crate::demo::world::fnv64;

/// The exporter.
pub static EXPORTER: Exporter =
    Exporter { parts: &[Part::ArgoController, Part::ArgoServer, Part::ArgoRepo], metrics: METRICS, collect };

static METRICS: &[Metric] = &[
    gauge("argocd_app_info", "Information about application."),
    counter("argocd_app_sync_total", "Number of application syncs."),
    counter("argocd_app_sync_duration_seconds_total", "Application sync performance in seconds total."),
    declared("argocd_app_reconcile", "Application reconciliation performance in seconds."),
    counter(
        "argocd_app_k8s_request_total",
        "Number of kubernetes requests executed during application reconciliation.",
    ),
    gauge("argocd_app_orphaned_resources_count", "Number of orphaned resources per application"),
    gauge("argocd_cluster_info", "Information about cluster."),
    gauge("argocd_cluster_connection_status", "The k8s cluster current connection status."),
    gauge("argocd_cluster_api_resources", "Number of monitored kubernetes API resources."),
    gauge("argocd_cluster_api_resource_objects", "Number of k8s resource objects in the cache."),
    gauge("argocd_cluster_cache_age_seconds", "Cluster cache age in seconds."),
    counter("argocd_cluster_events_total", "Number of processes k8s resource events."),
    gauge("argocd_kubectl_exec_pending", "Number of pending kubectl executions"),
    gauge("workqueue_depth", "Current depth of workqueue"),
    counter("workqueue_adds_total", "Total number of adds handled by workqueue"),
    counter("argocd_git_request_total", "Number of git requests performed by repo server"),
    declared("argocd_git_request_duration_seconds", "Git requests duration seconds."),
    counter(
        "argocd_redis_request_total",
        "Number of kubernetes requests executed during application reconciliation.",
    ),
    gauge("argocd_repo_pending_request_total", "Number of pending requests requiring repository lock"),
    counter("argocd_login_request_total", "Number of login requests."),
    counter(
        "grpc_server_handled_total",
        "Total number of RPCs completed on the server, regardless of success or failure.",
    ),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
];

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    // There is one controller; its Applications have a past that is longer than its pod's.
    if let Some(target) =
        numbers.single(Part::ArgoController).filter(|target| sink.may_scrape(&target.scrape))
    {
        for (key, life) in numbers.facts.objects(Type::Application) {
            if sink.may("name", &key.name) && sink.may("exported_namespace", &key.namespace) {
                application(numbers, sink, target, (&key.namespace, &key.name), life);
            }
        }
        cluster(numbers, sink, target);
        process(numbers, sink, target, 0.14, 410e6);
    }
    for target in numbers.of_part(Part::ArgoRepo).filter(|target| target.span.1 > numbers.now) {
        if sink.may_scrape(&target.scrape) {
            repository(numbers, sink, target);
            process(numbers, sink, target, 0.05, 170e6);
        }
    }
    for target in numbers.of_part(Part::ArgoServer).filter(|target| target.span.1 > numbers.now) {
        if !sink.may_scrape(&target.scrape) {
            continue;
        }
        let flow = |t: i64, rate: f64| target.there(t).then(|| flow(target, rate, t).floor());
        sink.put(sink.metric("argocd_login_request_total"), &target.scrape, &[("status", "success")], |t| {
            flow(t, 0.002)
        });
        for (code, rate) in [("OK", 1.4), ("Unauthenticated", 0.006), ("PermissionDenied", 0.001)] {
            let labels = [
                ("grpc_code", code),
                ("grpc_method", "Watch"),
                ("grpc_service", "application.ApplicationService"),
                ("grpc_type", "server_stream"),
            ];
            sink.put(sink.metric("grpc_server_handled_total"), &target.scrape, &labels, |t| flow(t, rate));
        }
        process(numbers, sink, target, 0.02, 120e6);
    }
}

fn flow(target: &Target, rate: f64, t: i64) -> f64 {
    let (from, now) = (secs(target.span.0), secs(t));
    let seed = target.seed ^ (rate * 1e6) as u64;
    rate * (now - from + ahead(seed, now) - ahead(seed, from))
}

fn application(
    numbers: &Numbers,
    sink: &mut Sink<'_>,
    target: &Target,
    (namespace, name): (&str, &str),
    life: &Life,
) {
    let latest = life.latest();
    let project = text(latest, "/spec/project");
    let server = match text(latest, "/spec/destination/server") {
        "" => "https://kubernetes.default.svc",
        server => server,
    };
    let raw = [("dest_server", server), ("name", name), ("namespace", namespace), ("project", project)];
    let info = sink.metric("argocd_app_info");
    if info.is_some() {
        // Each combination that was there is a series of its own: sync, health, operation, auto-sync.
        let stand = |object: &serde_json::Value| -> [String; 4] {
            let automated = at(object, "/spec/syncPolicy/automated");
            let on = !automated.is_null() && automated["enabled"] != serde_json::json!(false);
            let operation = match text(object, "/status/operationState/phase") {
                "Running" | "Terminating" => "sync",
                _ => "",
            };
            [
                text(object, "/status/sync/status").to_owned(),
                text(object, "/status/health/status").to_owned(),
                operation.to_owned(),
                on.to_string(),
            ]
        };
        let mut stands: Vec<[String; 4]> = life.states.iter().map(|state| stand(&state.1)).collect();
        stands.sort();
        stands.dedup();
        let repo = match text(latest, "/spec/source/repoURL") {
            "" => text(latest, "/spec/sources/0/repoURL"),
            repo => repo,
        };
        for one in &stands {
            let [sync, health, operation, automated] = one;
            let unknown =
                |written: &'_ str| if written.is_empty() { "Unknown".to_owned() } else { written.to_owned() };
            let (sync, health) = (unknown(sync), unknown(health));
            if !sink.may("sync_status", &sync) || !sink.may("health_status", &health) {
                continue;
            }
            let labels = [
                raw[0],
                raw[1],
                raw[2],
                raw[3],
                ("autosync_enabled", automated.as_str()),
                ("dest_namespace", text(latest, "/spec/destination/namespace")),
                ("health_status", &health),
                ("operation", operation.as_str()),
                ("repo", repo),
                ("sync_status", &sync),
            ];
            sink.put(info, &target.scrape, &labels, |t| {
                life.at(t).filter(|object| stand(object) == *one).map(|_| 1.0)
            });
        }
    }
    let seed = fnv64(format!("{namespace}/{name}").as_bytes());
    let syncs = sink.metric("argocd_app_sync_total");
    let lasted = sink.metric("argocd_app_sync_duration_seconds_total");
    if syncs.is_some() || lasted.is_some() {
        // An operation counts when it has finished; those before the controller came up are only a number.
        let mut ended: Vec<(i64, String)> = life
            .states
            .iter()
            .filter_map(|state| {
                let end = time(&state.1, "/status/operationState/finishedAt")?.as_millisecond();
                Some((end, text(&state.1, "/status/operationState/phase").to_owned()))
            })
            .filter(|(_, phase)| !matches!(phase.as_str(), "Running" | "Terminating" | ""))
            .collect();
        ended.sort();
        ended.dedup();
        for phase in ["Succeeded", "Failed", "Error"] {
            let labels = [raw[0], raw[1], raw[2], raw[3], ("phase", phase), ("dry_run", "false")];
            let before = if phase == "Succeeded" { pick(seed, 3, 2.0, 9.0).floor() } else { 0.0 };
            let count = |t: i64| {
                before
                    + ended
                        .iter()
                        .filter(|(end, how)| *end > numbers.facts.begin && *end <= t && how == phase)
                        .count() as f64
            };
            if before > 0.0 || ended.iter().any(|(_, how)| how == phase) {
                sink.put(syncs, &target.scrape, &labels, |t| life.there(t).then(|| count(t)));
                sink.put(lasted, &target.scrape, &labels[..5], |t| life.there(t).then(|| count(t) * 4.2));
            }
        }
    }
    sink.put(sink.metric("argocd_app_orphaned_resources_count"), &target.scrape, &raw, |t| {
        life.there(t).then_some(0.0)
    });
    let requests = sink.metric("argocd_app_k8s_request_total");
    for (verb, code, rate) in [("Get", "200", 0.02), ("List", "200", 0.004), ("Patch", "200", 0.008)] {
        let labels = [
            raw[2],
            raw[1],
            raw[3],
            ("server", server),
            ("verb", verb),
            ("response_code", code),
            ("resource_kind", "Application"),
        ];
        sink.put(requests, &target.scrape, &labels, |t| {
            (life.there(t) && target.there(t)).then(|| flow(target, rate, t).floor())
        });
    }
}

fn cluster(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let server = [("server", "https://kubernetes.default.svc")];
    let there = |t: i64| target.there(t);
    let apps = numbers.facts.objects(Type::Application).count() as f64;
    let reconcile = histogram!(sink, "argocd_app_reconcile");
    let labels = [("dest_server", "https://kubernetes.default.svc"), ("namespace", "argocd")];
    // Every two minutes, and a minute of jitter (contracts 1.13).
    let rate = apps / 150.0;
    let kind = (0.28, 0.8);
    sink.histogram(
        reconcile,
        &target.scrape,
        &labels,
        &[0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0],
        |t, bound| there(t).then(|| flow(target, rate, t) * within(bound, kind)),
        |t| there(t).then(|| flow(target, rate, t) * mean(kind)),
    );
    let info = [server[0], ("k8s_version", "1.33"), ("name", "in-cluster")];
    sink.fixed(sink.metric("argocd_cluster_info"), &target.scrape, &info, target.span, 1.0);
    sink.fixed(
        sink.metric("argocd_cluster_connection_status"),
        &target.scrape,
        &[server[0], ("k8s_version", "1.33")],
        target.span,
        1.0,
    );
    sink.fixed(
        sink.metric("argocd_cluster_api_resources"),
        &target.scrape,
        &server,
        target.span,
        Type::ALL.len() as f64,
    );
    let objects = (numbers.facts.objects.len() + numbers.facts.pods.len()) as f64 * 1.4;
    sink.fixed(
        sink.metric("argocd_cluster_api_resource_objects"),
        &target.scrape,
        &server,
        target.span,
        objects.floor(),
    );
    sink.put(sink.metric("argocd_cluster_cache_age_seconds"), &target.scrape, &server, |t| {
        there(t).then(|| (secs(t) - secs(target.span.0)).rem_euclid(86_400.0).floor())
    });
    for (kind, rate) in [("Pod", 0.8), ("ReplicaSet", 0.2), ("Deployment", 0.2), ("ConfigMap", 0.05)] {
        let group = if kind == "Pod" || kind == "ConfigMap" { "" } else { "apps" };
        let labels = [server[0], ("group", group), ("kind", kind), ("namespace", "")];
        sink.put(sink.metric("argocd_cluster_events_total"), &target.scrape, &labels, |t| {
            there(t).then(|| flow(target, rate * (1.0 + apps / 40.0), t).floor())
        });
    }
    sink.fixed(
        sink.metric("argocd_kubectl_exec_pending"),
        &target.scrape,
        &[("command", "apply")],
        target.span,
        0.0,
    );
    for name in ["app_reconciliation_queue", "app_operation_processing_queue", "project_reconciliation_queue"]
    {
        sink.put(sink.metric("workqueue_depth"), &target.scrape, &[("name", name)], |t| {
            there(t).then(|| (3.0 * wander(target.seed ^ fnv64(name.as_bytes()), secs(t))).floor())
        });
        sink.put(sink.metric("workqueue_adds_total"), &target.scrape, &[("name", name)], |t| {
            there(t).then(|| flow(target, rate * 1.2, t).floor())
        });
    }
    for failed in ["false", "true"] {
        let rate = if failed == "true" { 0.0002 } else { 2.0 + apps / 20.0 };
        let labels =
            [("failed", failed), ("hostname", &*target.name), ("initiator", "argocd-application-controller")];
        sink.put(sink.metric("argocd_redis_request_total"), &target.scrape, &labels, |t| {
            there(t).then(|| flow(target, rate, t).floor())
        });
    }
}

fn repository(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let there = |t: i64| target.there(t);
    let apps = numbers.facts.objects(Type::Application).count() as f64;
    let requests = sink.metric("argocd_git_request_total");
    let lasted = histogram!(sink, "argocd_git_request_duration_seconds");
    for repo in ["deploy", "platform"] {
        let url = format!("https://git.example.com/shop/{repo}.git");
        for (kind, rate) in [("ls-remote", apps / 900.0 + 0.01), ("fetch", 0.002)] {
            let labels = [("repo", url.as_str()), ("request_type", kind)];
            let all = |t: i64| flow(target, rate, t);
            sink.put(requests, &target.scrape, &labels, |t| there(t).then(|| all(t).floor()));
            let how = if kind == "fetch" { (0.9, 0.5) } else { (0.16, 0.5) };
            sink.histogram(
                lasted,
                &target.scrape,
                &labels,
                &[0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 20.0],
                |t, bound| there(t).then(|| all(t) * within(bound, how)),
                |t| there(t).then(|| all(t) * mean(how)),
            );
        }
        let labels = [("repo", url.as_str())];
        sink.put(sink.metric("argocd_repo_pending_request_total"), &target.scrape, &labels, |t| {
            there(t).then_some(0.0)
        });
    }
}
