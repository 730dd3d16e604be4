//! What the monitoring tells about itself: every scrape (`up` and its companions), Prometheus, Alertmanager, Loki.
//!
//! `up` and the `scrape_` series are written by Prometheus as it scrapes and exposed by nobody.

use super::control_plane::process;
use super::ingress::{mean, within};
use super::sink::{Sink, histogram};
use super::targets::{Part, Target};
use super::wave::{ahead, pick, secs, wander};
use super::{Exporter, Metric, Numbers, SCRAPE_MS, counter, gauge, histogram as declared};
use crate::demo::world::fnv64;

/// Scrapes.
pub static SCRAPES: Exporter = Exporter { parts: &[], metrics: SCRAPE_METRICS, collect: scrapes };

/// The programs.
pub static EXPORTER: Exporter =
    Exporter { parts: &[Part::Prometheus, Part::Alertmanager, Part::Loki], metrics: METRICS, collect };

static SCRAPE_METRICS: &[Metric] = &[
    gauge("up", "1 if the instance is healthy, i.e. reachable, or 0 if the scrape failed."),
    gauge("scrape_duration_seconds", "Duration of the scrape."),
    gauge("scrape_samples_scraped", "The number of samples the target exposed."),
    gauge(
        "scrape_samples_post_metric_relabeling",
        "The number of samples remaining after metric relabeling was applied.",
    ),
    gauge("scrape_series_added", "The approximate number of new series in this scrape."),
];

static METRICS: &[Metric] = &[
    gauge(
        "prometheus_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which prometheus was built, and the goos and goarch for the build.",
    ),
    gauge("prometheus_tsdb_head_series", "Total number of series in the head block."),
    gauge("prometheus_tsdb_head_chunks", "Total number of chunks in the head block."),
    counter("prometheus_tsdb_head_samples_appended_total", "Total number of appended samples."),
    gauge(
        "prometheus_tsdb_storage_blocks_bytes",
        "The number of bytes that are currently used for local storage by all blocks.",
    ),
    counter(
        "prometheus_tsdb_compactions_total",
        "Total number of compactions that were executed for the partition.",
    ),
    counter(
        "prometheus_tsdb_compactions_failed_total",
        "Total number of compactions that failed for the partition.",
    ),
    counter(
        "prometheus_tsdb_reloads_failures_total",
        "Number of times the database failed to reloadBlocks block data from disk.",
    ),
    counter("prometheus_tsdb_wal_corruptions_total", "Total number of WAL corruptions."),
    counter("prometheus_notifications_sent_total", "Total number of alerts sent."),
    counter("prometheus_notifications_errors_total", "Total number of sent alerts affected by errors."),
    counter(
        "prometheus_notifications_dropped_total",
        "Total number of alerts dropped due to errors when sending to Alertmanager.",
    ),
    gauge("prometheus_notifications_queue_length", "The number of alert notifications in the queue."),
    gauge("prometheus_notifications_queue_capacity", "The capacity of the alert notifications queue."),
    gauge(
        "prometheus_notifications_alertmanagers_discovered",
        "The number of alertmanagers discovered and active.",
    ),
    counter("prometheus_rule_evaluations_total", "The total number of rule evaluations."),
    counter("prometheus_rule_evaluation_failures_total", "The total number of rule evaluation failures."),
    counter(
        "prometheus_rule_group_iterations_missed_total",
        "The total number of rule group evaluations missed due to slow rule group evaluation.",
    ),
    gauge("prometheus_rule_group_last_duration_seconds", "The duration of the last rule group evaluation."),
    gauge("prometheus_rule_group_interval_seconds", "The interval of a rule group."),
    gauge(
        "prometheus_config_last_reload_successful",
        "Whether the last configuration reload attempt was successful.",
    ),
    gauge(
        "prometheus_config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.",
    ),
    gauge("prometheus_target_interval_length_seconds", "Actual intervals between scrapes."),
    counter(
        "prometheus_target_scrapes_exceeded_sample_limit_total",
        "Total number of scrapes that hit the sample limit and were rejected.",
    ),
    counter(
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "Total number of samples rejected due to duplicate timestamps but different values.",
    ),
    counter(
        "prometheus_target_scrapes_sample_out_of_order_total",
        "Total number of samples rejected due to not being out of the expected order.",
    ),
    gauge("prometheus_engine_queries", "The current number of queries being executed or waiting."),
    counter("prometheus_http_requests_total", "Counter of HTTP requests."),
    declared("prometheus_http_request_duration_seconds", "Histogram of latencies for HTTP requests."),
    gauge(
        "alertmanager_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which alertmanager was built, and the goos and goarch for the build.",
    ),
    gauge("alertmanager_cluster_members", "Number indicating current number of members in cluster."),
    gauge(
        "alertmanager_cluster_failed_peers",
        "Number indicating the current number of failed peers in the cluster.",
    ),
    gauge(
        "alertmanager_config_last_reload_successful",
        "Whether the last configuration reload attempt was successful.",
    ),
    gauge("alertmanager_config_hash", "Hash of the currently loaded alertmanager configuration."),
    counter("alertmanager_alerts_received_total", "The total number of received alerts."),
    counter("alertmanager_alerts_invalid_total", "The total number of received alerts that were invalid."),
    counter("alertmanager_notifications_total", "The total number of attempted notifications."),
    counter("alertmanager_notifications_failed_total", "The total number of failed notifications."),
    declared("alertmanager_notification_latency_seconds", "The latency of notifications in seconds."),
    gauge(
        "loki_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which loki was built, and the goos and goarch for the build.",
    ),
    counter(
        "loki_distributor_bytes_received_total",
        "The total number of uncompressed bytes received per tenant. Includes structured metadata bytes.",
    ),
    counter("loki_distributor_lines_received_total", "The total number of lines received per tenant"),
    counter("loki_discarded_samples_total", "The total number of samples that were discarded."),
    gauge("loki_ingester_memory_streams", "The total number of streams in memory per tenant."),
    declared("loki_request_duration_seconds", "Time (in seconds) spent serving HTTP requests."),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
];

fn scrapes(numbers: &Numbers, sink: &mut Sink<'_>) {
    let metrics = SCRAPE_METRICS.iter().map(|metric| sink.metric(metric.name)).collect::<Vec<_>>();
    let [up, duration, scraped, kept, added] = metrics[..] else { return };
    for target in numbers.targets.iter() {
        let there = |t: i64| target.there(t);
        sink.put(up, &target.scrape, &[], |t| there(t).then_some(1.0));
        sink.put(duration, &target.scrape, &[], |t| {
            there(t).then(|| pick(target.seed, 7, 0.004, 0.09) * (0.7 + 0.6 * wander(target.seed, secs(t))))
        });
        if scraped.is_some() || kept.is_some() || added.is_some() {
            let many = pick(target.seed, 8, 180.0, 2_400.0).floor();
            sink.put(scraped, &target.scrape, &[], |t| there(t).then_some(many));
            sink.put(kept, &target.scrape, &[], |t| there(t).then_some(many));
            sink.put(added, &target.scrape, &[], |t| {
                there(t).then_some(if t.saturating_sub(target.span.0) < SCRAPE_MS { many } else { 0.0 })
            });
        }
    }
}

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    for target in numbers.of_part(Part::Prometheus) {
        if sink.may_scrape(&target.scrape) {
            prometheus(numbers, sink, target);
            process(numbers, sink, target, 0.16, 620e6);
        }
    }
    let members =
        numbers.of_part(Part::Alertmanager).filter(|target| target.there(numbers.now)).count() as f64;
    for target in numbers.of_part(Part::Alertmanager) {
        if sink.may_scrape(&target.scrape) {
            alertmanager(sink, target, members);
            process(numbers, sink, target, 0.006, 31e6);
        }
    }
    for target in numbers.of_part(Part::Loki) {
        if sink.may_scrape(&target.scrape) {
            loki(numbers, sink, target);
            process(numbers, sink, target, 0.09, 280e6);
        }
    }
}

fn flow(target: &Target, which: &str, rate: f64, t: i64) -> Option<f64> {
    let (from, now) = (secs(target.span.0), secs(t));
    let seed = target.seed ^ fnv64(which.as_bytes());
    target.there(t).then(|| (rate * (now - from + ahead(seed, now) - ahead(seed, from))).floor())
}

fn prometheus(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let scrape = &target.scrape;
    let there = |t: i64| target.there(t);
    let series = 9_000.0 + numbers.facts.pods.len() as f64 * 95.0;
    let build = [
        ("branch", "HEAD"),
        ("goarch", "amd64"),
        ("goos", "linux"),
        ("goversion", "go1.24.3"),
        ("revision", "aea6503d9bbaad6c5faff3ecf6f1025213356c92"),
        ("version", "3.4.1"),
    ];
    sink.fixed(sink.metric("prometheus_build_info"), scrape, &build, target.span, 1.0);
    sink.put(sink.metric("prometheus_tsdb_head_series"), scrape, &[], |t| {
        there(t).then(|| (series * (0.97 + 0.06 * wander(target.seed, secs(t)))).floor())
    });
    sink.put(sink.metric("prometheus_tsdb_head_chunks"), scrape, &[], |t| {
        there(t).then(|| (series * (1.0 + 2.0 * (secs(t) % 7_200.0) / 7_200.0)).floor())
    });
    let appended = [("type", "float")];
    sink.put(sink.metric("prometheus_tsdb_head_samples_appended_total"), scrape, &appended, |t| {
        flow(target, "samples", series / 30.0, t)
    });
    sink.put(sink.metric("prometheus_tsdb_storage_blocks_bytes"), scrape, &[], |t| {
        // Two bytes a sample, two weeks of them.
        there(t).then(|| {
            (series / 30.0 * 1.6 * 1_209_600.0 * (0.98 + 0.02 * wander(target.seed ^ 2, secs(t))))
                .min(43e9)
                .floor()
        })
    });
    sink.put(sink.metric("prometheus_tsdb_compactions_total"), scrape, &[], |t| {
        flow(target, "compactions", 1.5 / 7_200.0, t)
    });
    for metric in [
        "prometheus_tsdb_compactions_failed_total",
        "prometheus_tsdb_reloads_failures_total",
        "prometheus_tsdb_wal_corruptions_total",
        "prometheus_target_scrapes_exceeded_sample_limit_total",
        "prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "prometheus_target_scrapes_sample_out_of_order_total",
        "prometheus_notifications_dropped_total",
        "prometheus_notifications_queue_length",
    ] {
        sink.fixed(sink.metric(metric), scrape, &[], target.span, 0.0);
    }
    sink.fixed(sink.metric("prometheus_notifications_queue_capacity"), scrape, &[], target.span, 10_000.0);
    let managers: Vec<&Target> =
        numbers.of_part(Part::Alertmanager).filter(|one| one.there(numbers.now)).collect();
    sink.fixed(
        sink.metric("prometheus_notifications_alertmanagers_discovered"),
        scrape,
        &[],
        target.span,
        managers.len() as f64,
    );
    for manager in &managers {
        let url = format!("http://{}/api/v2/alerts", manager.scrape.get("instance"));
        let labels = [("alertmanager", url.as_str())];
        sink.put(sink.metric("prometheus_notifications_sent_total"), scrape, &labels, |t| {
            flow(target, "sent", 0.12, t)
        });
        sink.fixed(sink.metric("prometheus_notifications_errors_total"), scrape, &labels, target.span, 0.0);
    }
    for group in
        ["kubernetes-apps", "kubernetes-resources", "kubernetes-storage", "node-exporter", "platform"]
    {
        let labels = [("rule_group", group)];
        sink.put(sink.metric("prometheus_rule_evaluations_total"), scrape, &labels, |t| {
            flow(target, group, 0.5, t)
        });
        sink.fixed(
            sink.metric("prometheus_rule_evaluation_failures_total"),
            scrape,
            &labels,
            target.span,
            0.0,
        );
        sink.fixed(
            sink.metric("prometheus_rule_group_iterations_missed_total"),
            scrape,
            &labels,
            target.span,
            0.0,
        );
        sink.fixed(sink.metric("prometheus_rule_group_interval_seconds"), scrape, &labels, target.span, 30.0);
        sink.put(sink.metric("prometheus_rule_group_last_duration_seconds"), scrape, &labels, |t| {
            there(t).then(|| 0.004 + 0.03 * wander(target.seed ^ fnv64(group.as_bytes()), secs(t)))
        });
    }
    sink.fixed(sink.metric("prometheus_config_last_reload_successful"), scrape, &[], target.span, 1.0);
    sink.fixed(
        sink.metric("prometheus_config_last_reload_success_timestamp_seconds"),
        scrape,
        &[],
        target.span,
        secs(target.span.0) + 3.0,
    );
    for quantile in ["0.5", "0.99"] {
        let labels = [("interval", "30s"), ("quantile", quantile)];
        sink.fixed(
            sink.metric("prometheus_target_interval_length_seconds"),
            scrape,
            &labels,
            target.span,
            if quantile == "0.5" { 30.0 } else { 30.001 },
        );
    }
    sink.put(sink.metric("prometheus_engine_queries"), scrape, &[], |t| {
        there(t).then(|| (2.0 * wander(target.seed ^ 3, secs(t))).floor())
    });
    let names = histogram!(sink, "prometheus_http_request_duration_seconds");
    for (handler, rate) in [("/api/v1/query", 0.6), ("/api/v1/query_range", 0.3), ("/metrics", 1.0 / 30.0)] {
        let labels = [("code", "200"), ("handler", handler)];
        sink.put(sink.metric("prometheus_http_requests_total"), scrape, &labels, |t| {
            flow(target, handler, rate, t)
        });
        let kind = (0.02, 1.0);
        sink.histogram(
            names,
            scrape,
            &[("handler", handler)],
            &[0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0],
            |t, bound| flow(target, handler, rate, t).map(|all| all * within(bound, kind)),
            |t| flow(target, handler, rate, t).map(|all| all * mean(kind)),
        );
    }
}

fn alertmanager(sink: &mut Sink<'_>, target: &Target, members: f64) {
    let scrape = &target.scrape;
    let build = [("branch", "HEAD"), ("goversion", "go1.23.7"), ("version", "0.28.1")];
    sink.fixed(sink.metric("alertmanager_build_info"), scrape, &build, target.span, 1.0);
    sink.fixed(sink.metric("alertmanager_cluster_members"), scrape, &[], target.span, members);
    sink.fixed(sink.metric("alertmanager_cluster_failed_peers"), scrape, &[], target.span, 0.0);
    sink.fixed(sink.metric("alertmanager_config_last_reload_successful"), scrape, &[], target.span, 1.0);
    sink.fixed(sink.metric("alertmanager_config_hash"), scrape, &[], target.span, 73_912_648_271_623.0);
    for status in ["firing", "resolved"] {
        let labels = [("status", status), ("version", "v2")];
        sink.put(sink.metric("alertmanager_alerts_received_total"), scrape, &labels, |t| {
            flow(target, status, 0.06, t)
        });
    }
    sink.fixed(
        sink.metric("alertmanager_alerts_invalid_total"),
        scrape,
        &[("version", "v2")],
        target.span,
        0.0,
    );
    let latency = histogram!(sink, "alertmanager_notification_latency_seconds");
    for integration in ["msteamsv2", "pagerduty"] {
        let labels = [
            ("integration", integration),
            (
                "receiver_name",
                if integration == "pagerduty" { "pagerduty-platform" } else { "teams-tenants" },
            ),
        ];
        let sent = |t: i64| flow(target, integration, 0.002, t);
        sink.put(sink.metric("alertmanager_notifications_total"), scrape, &labels, sent);
        let labels = [labels[0], labels[1], ("reason", "other")];
        sink.fixed(sink.metric("alertmanager_notifications_failed_total"), scrape, &labels, target.span, 0.0);
        let kind = (0.3, 0.6);
        sink.histogram(
            latency,
            scrape,
            &labels[..2],
            &[1.0, 5.0, 10.0, 15.0, 20.0],
            |t, bound| sent(t).map(|all| all * within(bound, kind)),
            |t| sent(t).map(|all| all * mean(kind)),
        );
    }
}

fn loki(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let scrape = &target.scrape;
    let pods = numbers.facts.pods.values().filter(|pod| pod.gone.is_none()).count() as f64;
    let build = [("branch", "release-3.5.x"), ("goversion", "go1.24.1"), ("version", "3.5.1")];
    sink.fixed(sink.metric("loki_build_info"), scrape, &build, target.span, 1.0);
    let tenant = [("tenant", "fake")];
    sink.put(sink.metric("loki_distributor_lines_received_total"), scrape, &tenant, |t| {
        flow(target, "lines", pods * 1.1, t)
    });
    sink.put(sink.metric("loki_distributor_bytes_received_total"), scrape, &tenant, |t| {
        flow(target, "lines", pods * 1.1 * 190.0, t)
    });
    sink.fixed(
        sink.metric("loki_discarded_samples_total"),
        scrape,
        &[("reason", "rate_limited"), tenant[0]],
        target.span,
        0.0,
    );
    sink.fixed(
        sink.metric("loki_ingester_memory_streams"),
        scrape,
        &tenant,
        target.span,
        (pods * 1.4).floor(),
    );
    let names = histogram!(sink, "loki_request_duration_seconds");
    for (route, rate, median) in [("loki_api_v1_push", 2.0, 0.004), ("loki_api_v1_query_range", 0.05, 0.12)] {
        let kind = (median, 0.8);
        sink.histogram(
            names,
            scrape,
            &[("method", "GET"), ("route", route), ("status_code", "200"), ("ws", "false")],
            &super::ingress::SECONDS,
            |t, bound| flow(target, route, rate, t).map(|all| all * within(bound, kind)),
            |t| flow(target, route, rate, t).map(|all| all * mean(kind)),
        );
    }
}
