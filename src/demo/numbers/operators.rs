//! The operators: cert-manager, External Secrets, Kyverno, KEDA, Reloader, `ExternalDNS`; and the databases' exporter.
//!
//! What they tell follows from their objects as they stood. Names and labels as each project exposes them; `namespace`
//! is the object's and becomes `exported_namespace`.

use serde_json::Value;

use super::control_plane::process;
use super::ingress::{mean, within};
use super::sink::{Sink, histogram};
use super::targets::{Part, Target};
use super::wave::{ahead, pick, secs, wander};
use super::{Exporter, Metric, Numbers, counter, gauge, histogram as declared};
use crate::demo::types::Type;
use crate::demo::untyped::{at, list, number, text, time};
use crate::demo::world::fnv64;

/// All of them.
pub static EXPORTER: Exporter = Exporter {
    parts: &[
        Part::CertManager,
        Part::ExternalSecrets,
        Part::Kyverno,
        Part::Keda,
        Part::Reloader,
        Part::ExternalDns,
        Part::Postgres,
        Part::Trivy,
    ],
    metrics: METRICS,
    collect,
};

static METRICS: &[Metric] = &[
    gauge("certmanager_certificate_ready_status", "The ready status of the certificate."),
    gauge(
        "certmanager_certificate_expiration_timestamp_seconds",
        "The timestamp after which the certificate expires, expressed in Unix Epoch Time.",
    ),
    gauge(
        "certmanager_certificate_not_after_timestamp_seconds",
        "The timestamp after which the certificate is invalid, expressed as a Unix Epoch Time.",
    ),
    gauge(
        "certmanager_certificate_not_before_timestamp_seconds",
        "The timestamp before which the certificate is invalid, expressed as a Unix Epoch Time.",
    ),
    gauge(
        "certmanager_certificate_renewal_timestamp_seconds",
        "The timestamp after which the certificate should be renewed, expressed in Unix Epoch Time.",
    ),
    counter("certmanager_controller_sync_call_count", "The number of sync() calls made by a controller."),
    counter("certmanager_http_acme_client_request_count", "The number of requests made by the ACME client."),
    gauge("certmanager_clock_time_seconds_gauge", "The clock time given in seconds (from 1970/01/01 UTC)."),
    gauge("externalsecret_status_condition", "The status condition of a specific External Secret"),
    counter("externalsecret_sync_calls_total", "Total number of the External Secret sync calls"),
    counter("externalsecret_sync_calls_error", "Total number of the External Secret sync errors"),
    gauge("externalsecret_reconcile_duration", "The duration time to reconcile the External Secret"),
    counter("externalsecret_provider_api_calls_count", "Number of API calls towards the secret provider"),
    gauge("clustersecretstore_status_condition", "The status condition of a specific Cluster Secret Store"),
    gauge("secretstore_status_condition", "The status condition of a specific Secret Store"),
    counter("controller_runtime_reconcile_total", "Total number of reconciliations per controller"),
    counter(
        "certmanager_controller_sync_error_count",
        "The number of errors encountered during controller sync().",
    ),
    counter(
        "controller_runtime_reconcile_errors_total",
        "Total number of reconciliation errors per controller",
    ),
    counter(
        "kyverno_policy_results_total",
        "can be used to track the results associated with the policies applied in the user's cluster, at the level from rule to policy to admission requests",
    ),
    counter(
        "kyverno_admission_requests_total",
        "can be used to track the number of admission requests encountered by Kyverno in the cluster",
    ),
    gauge(
        "kyverno_policy_rule_info_total",
        "can be used to track the info of the rules or/and policies present in the cluster. 0 means the rule doesn't exist and has been deleted, 1 means the rule is currently existent in the cluster",
    ),
    declared(
        "kyverno_admission_review_duration_seconds",
        "can be used to track the latencies (in seconds) associated with the entire individual admission review.",
    ),
    gauge(
        "keda_scaler_metrics_value",
        "The current value for each scaler's metric that would be used by the HPA in computing the target average",
    ),
    gauge("keda_scaler_active", "Indicates whether a scaler is active (1), or not (0)"),
    counter("keda_scaler_detail_errors_total", "The total number of errors encountered for each scaler"),
    gauge("keda_scaled_object_paused", "Indicates whether a ScaledObject is paused (1), or not (0)"),
    gauge(
        "keda_resource_registered_total",
        "Total number of KEDA custom resources per namespace for each custom resource type (CRD) registered",
    ),
    gauge("trivy_image_vulnerabilities", "Number of container image vulnerabilities"),
    counter("reloader_reload_executed_total", "Counter of reloads executed by Reloader."),
    gauge(
        "external_dns_controller_last_sync_timestamp_seconds",
        "Timestamp of last successful sync with the DNS provider",
    ),
    gauge(
        "external_dns_controller_verified_records",
        "Number of DNS records that exists both in source and registry (vector).",
    ),
    counter("external_dns_registry_errors_total", "Number of Registry errors."),
    counter("external_dns_source_errors_total", "Number of Source errors."),
    gauge(
        "pg_up",
        "Whether the last scrape of metrics from PostgreSQL was able to connect to the server (1 for yes, 0 for no).",
    ),
    gauge(
        "pg_stat_database_numbackends",
        "Number of backends currently connected to this database. This is the only column in this view that returns a value reflecting current state; all other columns return the accumulated values since the last reset.",
    ),
    counter(
        "pg_stat_database_xact_commit",
        "Number of transactions in this database that have been committed",
    ),
    counter(
        "pg_stat_database_xact_rollback",
        "Number of transactions in this database that have been rolled back",
    ),
    counter(
        "pg_stat_database_blks_hit",
        "Number of times disk blocks were found already in the buffer cache, so that a read was not necessary",
    ),
    counter("pg_stat_database_blks_read", "Number of disk blocks read in this database"),
    counter("pg_stat_database_tup_fetched", "Number of rows fetched by queries in this database"),
    counter("pg_stat_database_tup_returned", "Number of rows returned by queries in this database"),
    counter("pg_stat_database_tup_inserted", "Number of rows inserted by queries in this database"),
    counter("pg_stat_database_tup_updated", "Number of rows updated by queries in this database"),
    counter("pg_stat_database_tup_deleted", "Number of rows deleted by queries in this database"),
    counter("pg_stat_database_deadlocks", "Number of deadlocks detected in this database"),
    gauge("pg_database_size_bytes", "Disk space used by the database"),
    gauge("pg_settings_max_connections", "Server Parameter: max_connections"),
    gauge("pg_stat_activity_count", "number of connections in this state"),
    gauge(
        "pg_stat_activity_max_tx_duration",
        "max duration in seconds any active transaction has been running",
    ),
    gauge("pg_locks_count", "Number of locks"),
    gauge("pg_replication_lag_seconds", "Replication lag behind master in seconds"),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
];

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    type Collect = fn(&Numbers, &mut Sink<'_>, &Target);
    let parts: [(Part, Collect, f64, f64); 8] = [
        (Part::CertManager, certificates, 0.01, 52e6),
        (Part::ExternalSecrets, secrets, 0.012, 48e6),
        (Part::Kyverno, policies, 0.04, 96e6),
        (Part::Keda, scalers, 0.015, 71e6),
        (Part::Reloader, reloads, 0.004, 33e6),
        (Part::ExternalDns, records, 0.003, 36e6),
        (Part::Postgres, databases, 0.01, 28e6),
        (Part::Trivy, vulnerabilities, 0.02, 140e6),
    ];
    for (part, tell, cores, bytes) in parts {
        // Each runs once; what it tells is about objects that are older than its pod.
        if let Some(target) = numbers.single(part).filter(|target| sink.may_scrape(&target.scrape)) {
            tell(numbers, sink, target);
            process(numbers, sink, target, cores, bytes);
        }
    }
}

fn flow(target: &Target, which: &str, rate: f64, t: i64) -> Option<f64> {
    let (from, now) = (secs(target.span.0), secs(t));
    let seed = target.seed ^ fnv64(which.as_bytes());
    target.there(t).then(|| (rate * (now - from + ahead(seed, now) - ahead(seed, from))).floor())
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    list(object, "/status/conditions")
        .iter()
        .find(|one| one["type"] == kind)
        .map_or("Unknown", |one| text(one, "/status"))
}

fn certificates(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    for (key, life) in numbers.facts.objects(Type::Certificate) {
        let issuer = at(life.latest(), "/spec/issuerRef");
        let raw = [
            ("issuer_group", text(issuer, "/group")),
            ("issuer_kind", text(issuer, "/kind")),
            ("issuer_name", text(issuer, "/name")),
            ("name", &*key.name),
            ("namespace", &*key.namespace),
        ];
        for status in ["False", "True", "Unknown"] {
            let labels: Vec<(&str, &str)> = raw.iter().copied().chain([("condition", status)]).collect();
            sink.put(sink.metric("certmanager_certificate_ready_status"), &target.scrape, &labels, |t| {
                life.at(t).map(|object| truth(condition(object, "Ready") == status))
            });
        }
        for (metric, field) in [
            ("certmanager_certificate_expiration_timestamp_seconds", "/status/notAfter"),
            ("certmanager_certificate_not_after_timestamp_seconds", "/status/notAfter"),
            ("certmanager_certificate_not_before_timestamp_seconds", "/status/notBefore"),
            ("certmanager_certificate_renewal_timestamp_seconds", "/status/renewalTime"),
        ] {
            sink.put(sink.metric(metric), &target.scrape, &raw, |t| {
                time(life.at(t)?, field).map(|at| at.as_second() as f64)
            });
        }
    }
    for (controller, rate) in [
        ("certificates-readiness", 0.02),
        ("certificates-trigger", 0.02),
        ("ingress-shim", 0.01),
        ("orders", 0.0006),
    ] {
        sink.put(
            sink.metric("certmanager_controller_sync_call_count"),
            &target.scrape,
            &[("controller", controller)],
            |t| flow(target, controller, rate, t),
        );
        sink.put(
            sink.metric("certmanager_controller_sync_error_count"),
            &target.scrape,
            &[("controller", controller)],
            |t| flow(target, controller, rate * 0.000_5, t),
        );
    }
    let labels = [
        ("action", "create_order"),
        ("host", "acme-v02.api.letsencrypt.org"),
        ("method", "POST"),
        ("scheme", "https"),
        ("status", "201"),
    ];
    sink.put(sink.metric("certmanager_http_acme_client_request_count"), &target.scrape, &labels, |t| {
        flow(target, "acme", 0.0001, t)
    });
    sink.put(sink.metric("certmanager_clock_time_seconds_gauge"), &target.scrape, &[], |t| {
        target.there(t).then(|| secs(t).floor())
    });
}

fn secrets(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    for (key, life) in numbers.facts.objects(Type::ExternalSecret) {
        let raw = [("name", &*key.name), ("namespace", &*key.namespace)];
        for status in ["True", "False"] {
            let labels = [raw[0], raw[1], ("condition", "Ready"), ("status", status)];
            sink.put(sink.metric("externalsecret_status_condition"), &target.scrape, &labels, |t| {
                life.at(t).map(|object| truth(condition(object, "Ready") == status))
            });
        }
        let seed = format!("{}/{}", key.namespace, key.name);
        // Once an hour; a refresh that was asked for comes on top.
        let asked = |t: i64| {
            life.states.iter().filter(|state| state.0 <= t && state.0 > numbers.facts.begin).count() as f64
        };
        sink.put(sink.metric("externalsecret_sync_calls_total"), &target.scrape, &raw, |t| {
            flow(target, &seed, 1.0 / 3_600.0, t).map(|count| count + asked(t))
        });
        let failures = |t: i64| {
            let failed = |state: &&(i64, std::sync::Arc<Value>)| {
                condition(&state.1, "Ready") == "False" && state.0 <= t
            };
            life.states.iter().filter(failed).count() as f64
        };
        sink.put(sink.metric("externalsecret_sync_calls_error"), &target.scrape, &raw, |t| {
            target.there(t).then(|| failures(t))
        });
        sink.put(sink.metric("externalsecret_reconcile_duration"), &target.scrape, &raw, |t| {
            target.there(t).then(|| 4.1e7 + 9e7 * wander(fnv64(seed.as_bytes()), secs(t)))
        });
    }
    let count = numbers.facts.objects(Type::ExternalSecret).count() as f64;
    for (status, rate) in [("success", count * 2.0 / 3_600.0), ("error", 0.000_02)] {
        let labels = [("provider", "AWS/SecretsManager"), ("call", "GetSecretValue"), ("status", status)];
        sink.put(sink.metric("externalsecret_provider_api_calls_count"), &target.scrape, &labels, |t| {
            flow(target, status, rate, t)
        });
    }
    for (metric, kind) in [
        ("clustersecretstore_status_condition", Type::ClusterSecretStore),
        ("secretstore_status_condition", Type::SecretStore),
    ] {
        for (key, life) in numbers.facts.objects(kind) {
            for status in ["True", "False"] {
                let labels = [
                    ("name", &*key.name),
                    ("namespace", &*key.namespace),
                    ("condition", "Ready"),
                    ("status", status),
                ];
                sink.put(sink.metric(metric), &target.scrape, &labels, |t| {
                    life.at(t).map(|object| truth(condition(object, "Ready") == status))
                });
            }
        }
    }
    for (result, rate) in
        [("success", count / 1_800.0 + 0.01), ("error", 0.000_01), ("requeue_after", count / 3_600.0)]
    {
        let labels = [("controller", "externalsecret"), ("result", result)];
        sink.put(sink.metric("controller_runtime_reconcile_total"), &target.scrape, &labels, |t| {
            flow(target, result, rate, t)
        });
    }
    sink.put(
        sink.metric("controller_runtime_reconcile_errors_total"),
        &target.scrape,
        &[("controller", "externalsecret")],
        |t| flow(target, "errors", 0.000_01, t),
    );
}

/// Policies that the platform enforces or watches: name, rule, how often a resource fails it.
const POLICIES: &[(&str, &str, &str, f64)] = &[
    ("disallow-latest-tag", "validate-image-tag", "audit", 0.004),
    ("require-requests-limits", "validate-resources", "audit", 0.021),
    ("disallow-privileged-containers", "privileged-containers", "enforce", 0.000_6),
    ("require-run-as-nonroot", "run-as-non-root", "audit", 0.012),
    ("restrict-image-registries", "validate-registries", "enforce", 0.001),
];

fn policies(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let results = sink.metric("kyverno_policy_results_total");
    let spaces: Vec<&str> = numbers
        .facts
        .objects(Type::Namespace)
        .filter(|(_, life)| !life.latest()["metadata"]["labels"]["tenant"].is_null())
        .map(|(key, _)| &*key.name)
        .collect();
    for (policy, rule, action, fails) in POLICIES {
        for space in &spaces {
            if !sink.may("resource_namespace", space) {
                continue;
            }
            let seed = format!("{policy}/{space}");
            let own = pick(fnv64(seed.as_bytes()), 1, 0.0, 2.0);
            for (result, rate) in [("pass", 0.01), ("fail", 0.01 * fails * own)] {
                let labels = [
                    ("policy_background_mode", "true"),
                    ("policy_name", *policy),
                    ("policy_type", "cluster"),
                    ("policy_validation_mode", *action),
                    ("resource_kind", "Pod"),
                    ("resource_namespace", *space),
                    ("resource_request_operation", "create"),
                    ("rule_execution_cause", "admission_request"),
                    ("rule_name", *rule),
                    ("rule_result", result),
                    ("rule_type", "validate"),
                ];
                sink.put(results, &target.scrape, &labels, |t| {
                    flow(target, &format!("{seed}{result}"), rate, t)
                });
            }
        }
        let labels = [
            ("policy_background_mode", "true"),
            ("policy_name", *policy),
            ("policy_type", "cluster"),
            ("policy_validation_mode", *action),
            ("rule_name", *rule),
            ("rule_type", "validate"),
            ("status_ready", "true"),
        ];
        sink.fixed(sink.metric("kyverno_policy_rule_info_total"), &target.scrape, &labels, target.span, 1.0);
    }
    for (allowed, rate) in [("true", 0.4), ("false", 0.000_4)] {
        let labels = [
            ("request_allowed", allowed),
            ("request_webhook", "ValidatingWebhookConfiguration"),
            ("resource_kind", "Pod"),
            ("resource_request_operation", "create"),
        ];
        sink.put(sink.metric("kyverno_admission_requests_total"), &target.scrape, &labels, |t| {
            flow(target, allowed, rate, t)
        });
    }
    let names = histogram!(sink, "kyverno_admission_review_duration_seconds");
    let kind = (0.006, 0.7);
    let all = |t: i64| flow(target, "reviews", 0.4, t);
    sink.histogram(
        names,
        &target.scrape,
        &[("request_allowed", "true"), ("resource_kind", "Pod"), ("resource_request_operation", "create")],
        &super::ingress::SECONDS,
        |t, bound| all(t).map(|all| all * within(bound, kind)),
        |t| all(t).map(|all| all * mean(kind)),
    );
}

fn scalers(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    for (key, life) in numbers.facts.objects(Type::ScaledObject) {
        let raw = [
            ("metric", "s0-aws-sqs-queue"),
            ("namespace", &*key.namespace),
            ("scaledObject", &*key.name),
            ("scaler", "aws-sqs-queue"),
            ("scalerIndex", "0"),
        ];
        let least = number(life.latest(), "/spec/minReplicaCount").max(1) as f64;
        let pulse = numbers.pulse(&key.namespace, &key.name);
        let seed = fnv64(format!("{}/{}", key.namespace, key.name).as_bytes());
        sink.put(sink.metric("keda_scaler_metrics_value"), &target.scrape, &raw, |t| {
            // Fifty messages for each worker is what it scales for.
            life.there(t)
                .then(|| (30.0 * least * pulse.at(secs(t)) * (0.8 + 0.4 * wander(seed, secs(t)))).round())
        });
        sink.put(sink.metric("keda_scaler_active"), &target.scrape, &raw, |t| life.there(t).then_some(1.0));
        sink.put(sink.metric("keda_scaler_detail_errors_total"), &target.scrape, &raw, |t| {
            life.there(t).then_some(0.0)
        });
        sink.put(sink.metric("keda_scaled_object_paused"), &target.scrape, &raw[1..3], |t| {
            life.at(t).map(|object| truth(condition(object, "Paused") == "True"))
        });
    }
    let labels = [("type", "scaled_object")];
    sink.put(sink.metric("keda_resource_registered_total"), &target.scrape, &labels, |t| {
        Some(numbers.facts.objects(Type::ScaledObject).filter(|(_, life)| life.there(t)).count() as f64)
    });
}

fn reloads(_numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    for (success, rate) in [("true", 0.000_2), ("false", 0.0)] {
        sink.put(
            sink.metric("reloader_reload_executed_total"),
            &target.scrape,
            &[("success", success)],
            |t| flow(target, success, rate, t),
        );
    }
}

fn records(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    sink.put(sink.metric("external_dns_controller_last_sync_timestamp_seconds"), &target.scrape, &[], |t| {
        target.there(t).then(|| (secs(t) / 60.0).floor() * 60.0)
    });
    for kind in ["a", "aaaa"] {
        sink.put(
            sink.metric("external_dns_controller_verified_records"),
            &target.scrape,
            &[("record_type", kind)],
            |t| {
                let known =
                    numbers.facts.objects(Type::Ingress).filter(|(_, life)| life.there(t)).count() as f64;
                target.there(t).then_some(if kind == "a" { known } else { 0.0 })
            },
        );
    }
    for metric in ["external_dns_registry_errors_total", "external_dns_source_errors_total"] {
        sink.put(sink.metric(metric), &target.scrape, &[], |t| flow(target, metric, 0.000_004, t));
    }
}

fn vulnerabilities(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let metric = sink.metric("trivy_image_vulnerabilities");
    if metric.is_none() {
        return;
    }
    for (key, life) in numbers.facts.objects(Type::VulnerabilityReport) {
        let latest = life.latest();
        let labels = &latest["metadata"]["labels"];
        let get = |name: &str| labels[name].as_str().unwrap_or_default();
        for (severity, field) in [
            ("Critical", "criticalCount"),
            ("High", "highCount"),
            ("Medium", "mediumCount"),
            ("Low", "lowCount"),
            ("Unknown", "unknownCount"),
        ] {
            let raw = [
                ("container_name", get("trivy-operator.container.name")),
                ("image_registry", "registry.example.com"),
                ("image_repository", text(latest, "/report/artifact/repository")),
                ("image_tag", text(latest, "/report/artifact/tag")),
                ("name", &*key.name),
                ("namespace", &*key.namespace),
                ("resource_kind", get("trivy-operator.resource.kind")),
                ("resource_name", get("trivy-operator.resource.name")),
                ("severity", severity),
            ];
            sink.put(metric, &target.scrape, &raw, |t| {
                life.at(t).map(|report| number(report, &format!("/report/summary/{field}")) as f64)
            });
        }
    }
}

/// Applications that read credentials have a database each, on the tenant's server.
fn databases(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let there = |t: i64| target.there(t);
    let mut servers: Vec<&str> = Vec::new();
    for (key, _) in numbers.facts.objects(Type::ExternalSecret) {
        let Some(app) = key.name.strip_suffix("-credentials") else { continue };
        let server = format!("{}.c9x2kd0aexmp.eu-west-1.rds.amazonaws.com:5432", key.namespace);
        let base = [("server", server.as_str())];
        if servers.last() != Some(&&*key.namespace) {
            servers.push(&key.namespace);
            sink.fixed(sink.metric("pg_up"), &target.scrape, &base, target.span, 1.0);
            sink.fixed(sink.metric("pg_settings_max_connections"), &target.scrape, &base, target.span, 410.0);
            sink.put(sink.metric("pg_replication_lag_seconds"), &target.scrape, &base, |t| {
                there(t).then(|| (0.4 * wander(fnv64(server.as_bytes()), secs(t)) * 10.0).round() / 10.0)
            });
        }
        let pulse = numbers.pulse(&key.namespace, app);
        let seed = fnv64(server.as_bytes()) ^ fnv64(app.as_bytes());
        let raw = [("datid", ""), ("datname", app), base[0]];
        let from = secs(target.span.0);
        let grown = |t: i64, which: u64, rate: f64| {
            let now = secs(t);
            let seed = seed ^ which << 32;
            there(t).then(|| {
                (rate * (pulse.sum(now) - pulse.sum(from) + ahead(seed, now) - ahead(seed, from))).floor()
            })
        };
        let commits = pick(seed, 1, 12.0, 160.0);
        for (at, (metric, rate)) in [
            ("pg_stat_database_xact_commit", commits),
            ("pg_stat_database_xact_rollback", commits * 0.002),
            ("pg_stat_database_blks_hit", commits * 42.0),
            ("pg_stat_database_blks_read", commits * 0.4),
            ("pg_stat_database_tup_fetched", commits * 31.0),
            ("pg_stat_database_tup_returned", commits * 120.0),
            ("pg_stat_database_tup_inserted", commits * 0.9),
            ("pg_stat_database_tup_updated", commits * 1.4),
            ("pg_stat_database_tup_deleted", commits * 0.1),
            ("pg_stat_database_deadlocks", 0.000_02),
        ]
        .into_iter()
        .enumerate()
        {
            sink.put(sink.metric(metric), &target.scrape, &raw, |t| grown(t, at as u64, rate));
        }
        let busy = |t: i64| pulse.at(secs(t)) * (0.7 + 0.6 * wander(seed, secs(t)));
        sink.put(sink.metric("pg_stat_database_numbackends"), &target.scrape, &raw, |t| {
            there(t).then(|| (10.0 + 12.0 * busy(t)).round())
        });
        for (state, share) in [("active", 0.2), ("idle", 0.72), ("idle in transaction", 0.08)] {
            let labels = [("datname", app), ("state", state), base[0], ("usename", app)];
            sink.put(sink.metric("pg_stat_activity_count"), &target.scrape, &labels, |t| {
                there(t).then(|| ((10.0 + 12.0 * busy(t)) * share).round())
            });
            sink.put(sink.metric("pg_stat_activity_max_tx_duration"), &target.scrape, &labels, |t| {
                there(t).then(|| if state == "idle" { 0.0 } else { (busy(t) * 1.7 * 100.0).round() / 100.0 })
            });
        }
        for mode in ["accesssharelock", "rowexclusivelock", "exclusivelock"] {
            sink.put(
                sink.metric("pg_locks_count"),
                &target.scrape,
                &[("datname", app), ("mode", mode), base[0]],
                |t| there(t).then(|| if mode == "exclusivelock" { 0.0 } else { (4.0 * busy(t)).round() }),
            );
        }
        sink.put(sink.metric("pg_database_size_bytes"), &target.scrape, &[("datname", app), base[0]], |t| {
            // Some megabytes a day.
            there(t).then(|| {
                (pick(seed, 2, 2e9, 40e9) + commits * 2.0 * (secs(t) - secs(numbers.facts.begin))).floor()
            })
        });
    }
}
