//! `CoreDNS`: questions, answers by code, how long they took, the cache and what was forwarded.
//!
//! Names and labels as `CoreDNS` 1.12 exposes them. A story sets which part of lookups fails; a replica that was started
//! after that answers well.

use super::ingress::{mean, within};
use super::sink::{Sink, histogram};
use super::targets::Part;
use super::wave::{Pulse, Steps, ahead, secs, wander};
use super::{Exporter, Metric, Numbers, counter, gauge, histogram as declared};

/// The exporter.
pub static EXPORTER: Exporter = Exporter { parts: &[Part::CoreDns], metrics: METRICS, collect };

static METRICS: &[Metric] = &[
    gauge(
        "coredns_build_info",
        "A metric with a constant '1' value labeled by version, revision, and goversion from which CoreDNS was built.",
    ),
    counter("coredns_dns_requests_total", "Counter of DNS requests made per zone, protocol and family."),
    counter("coredns_dns_responses_total", "Counter of response status codes."),
    declared(
        "coredns_dns_request_duration_seconds",
        "Histogram of the time (in seconds) each request took per zone.",
    ),
    counter("coredns_cache_hits_total", "The count of cache hits."),
    counter("coredns_cache_misses_total", "The count of cache misses."),
    counter("coredns_cache_requests_total", "The count of cache requests."),
    gauge("coredns_cache_entries", "The number of elements in the cache."),
    counter("coredns_forward_requests_total", "Counter of requests made per upstream."),
    counter(
        "coredns_forward_healthcheck_broken_total",
        "Counter of the number of complete failures of the healthchecks.",
    ),
    counter(
        "coredns_forward_max_concurrent_rejects_total",
        "Counter of the number of queries rejected because the concurrent queries were at maximum.",
    ),
    declared("coredns_proxy_request_duration_seconds", "Histogram of the time each request took."),
    counter("coredns_panics_total", "A metrics that counts the number of panics."),
    gauge(
        "coredns_plugin_enabled",
        "A metric that indicates whether a plugin is enabled on per server and zone basis.",
    ),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
];

/// Bounds of `CoreDNS`'s histograms: a quarter of a millisecond, doubled fifteen times.
const SECONDS: [f64; 16] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048,
    4.096, 8.192,
];

const QUICK: (f64, f64) = (0.000_6, 1.0);
const STUCK: (f64, f64) = (1.9, 0.45);

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    // Every pod asks a few times a second at most; two replicas share it.
    let rate = f64::midpoint(2.0, numbers.facts.pods.len() as f64 * 0.32);
    let trouble = numbers.dns_signal();
    for target in numbers.of_part(Part::CoreDns) {
        if !sink.may_scrape(&target.scrape) {
            continue;
        }
        let scrape = &target.scrape;
        let seed = target.seed;
        let there = |t: i64| target.there(t);
        let base = secs(target.span.0);
        // A process that was started after the trouble began does not have it.
        let own: Steps = if trouble.iter().any(|(at, level)| level > 0.0 && at < target.span.0) {
            Steps::default()
        } else {
            trouble.clone()
        };
        let day = Pulse::new(&Steps::default(), true);
        let failing = day.times(&own, 0.0);
        let all = |t: i64, part: f64| {
            let now = secs(t);
            rate * part * (day.sum(now) - day.sum(base) + ahead(seed, now) - ahead(seed, base))
        };
        let failed = |t: i64| rate * (failing.sum(secs(t)) - failing.sum(base));
        let server = [("server", "dns://:53"), ("zone", "."), ("view", "")];
        let requests = sink.metric("coredns_dns_requests_total");
        for (kind, part) in [("A", 0.56), ("AAAA", 0.40), ("SRV", 0.02), ("PTR", 0.015), ("other", 0.005)] {
            for (proto, share) in [("udp", 0.97), ("tcp", 0.03)] {
                let raw = [server[0], server[1], ("proto", proto), ("family", "1"), ("type", kind)];
                sink.put(requests, scrape, &raw, |t| there(t).then(|| all(t, part * share).floor()));
            }
        }
        let responses = sink.metric("coredns_dns_responses_total");
        for (code, plugin, part) in [
            ("NOERROR", "kubernetes", 0.44),
            ("NOERROR", "forward", 0.09),
            ("NXDOMAIN", "kubernetes", 0.34),
            ("NXDOMAIN", "cache", 0.129),
            ("SERVFAIL", "forward", 0.0004),
            ("REFUSED", "", 0.0),
        ] {
            let raw = [server[0], server[1], ("rcode", code), ("plugin", plugin)];
            sink.put(responses, scrape, &raw, |t| {
                let usual = all(t, part);
                let moved = match code {
                    "SERVFAIL" => failed(t),
                    _ => -failed(t) * part,
                };
                (there(t) && part > 0.0).then(|| (usual + moved).max(0.0).floor())
            });
        }
        for (names, part, quick) in [
            (histogram!(sink, "coredns_dns_request_duration_seconds"), 1.0, QUICK),
            (histogram!(sink, "coredns_proxy_request_duration_seconds"), 0.1, (0.002, 0.8)),
        ] {
            let proxied = part < 1.0;
            let labels: &[(&str, &str)] = if proxied {
                &[("proxy_name", "forward"), ("to", "10.0.0.2:53"), ("rcode", "NOERROR")]
            } else {
                &server
            };
            let parts = |t: i64| {
                let stuck = failed(t) * if proxied { 0.4 } else { 1.0 } + all(t, part) * 0.000_3;
                ((all(t, part) - stuck).max(0.0), stuck)
            };
            sink.histogram(
                names,
                scrape,
                labels,
                &SECONDS,
                |t, bound| {
                    there(t).then(|| {
                        let (usual, stuck) = parts(t);
                        usual * within(bound, quick) + stuck * within(bound, STUCK)
                    })
                },
                |t| {
                    there(t).then(|| {
                        let (usual, stuck) = parts(t);
                        usual * mean(quick) + stuck * mean(STUCK)
                    })
                },
            );
        }
        for (metric, kind, part) in [
            ("coredns_cache_hits_total", "success", 0.31),
            ("coredns_cache_hits_total", "denial", 0.47),
            ("coredns_cache_misses_total", "", 0.22),
            ("coredns_cache_requests_total", "", 1.0),
        ] {
            let raw = [server[0], ("type", kind), ("zones", ".")];
            sink.put(sink.metric(metric), scrape, &raw, |t| there(t).then(|| all(t, part).floor()));
        }
        for (kind, many) in [("success", 640.0), ("denial", 910.0)] {
            let raw = [server[0], ("type", kind), ("zones", ".")];
            sink.put(sink.metric("coredns_cache_entries"), scrape, &raw, |t| {
                there(t).then(|| (many * (0.8 + 0.4 * wander(seed, secs(t)))).round())
            });
        }
        sink.put(sink.metric("coredns_forward_requests_total"), scrape, &[("to", "10.0.0.2:53")], |t| {
            there(t).then(|| all(t, 0.1).floor())
        });
        sink.put(sink.metric("coredns_forward_healthcheck_broken_total"), scrape, &[], |t| {
            there(t).then(|| (failed(t) * 0.01).floor())
        });
        sink.put(sink.metric("coredns_forward_max_concurrent_rejects_total"), scrape, &[], |t| {
            there(t).then(|| (failed(t) * 0.15).floor())
        });
        sink.fixed(sink.metric("coredns_panics_total"), scrape, &[], target.span, 0.0);
        let build = [("goversion", "go1.24.2"), ("revision", "9d4e6d1"), ("version", "1.12.1")];
        sink.fixed(sink.metric("coredns_build_info"), scrape, &build, target.span, 1.0);
        for plugin in
            ["cache", "errors", "forward", "kubernetes", "loadbalance", "loop", "prometheus", "ready"]
        {
            let raw = [("name", plugin), server[0], server[1]];
            sink.fixed(sink.metric("coredns_plugin_enabled"), scrape, &raw, target.span, 1.0);
        }
        super::control_plane::process(numbers, sink, target, 0.012 * (1.0 + rate / 20.0), 46e6);
    }
}
