//! ingress-nginx: requests by status, and how long they took.
//!
//! Every public application has demand of its own; how much of it fails and how slow it is follows from the pods behind
//! it: those whose image is bad and that are not ready, those whose node is crowded. Names, labels and buckets as
//! ingress-nginx 1.12 exposes them; `namespace` is the Ingress's own and becomes `exported_namespace` in a scrape.

use super::sink::{Sink, histogram};
use super::targets::{Part, Target};
use super::wave::{Pulse, Steps, ahead, pick, secs, wander};
use super::{Exporter, Metric, Numbers, counter, gauge, histogram as declared};
use crate::demo::images::Behaviour;
use crate::demo::types::Type;
use crate::demo::untyped::{list, text};
use crate::demo::world::fnv64;

/// The exporter.
pub static EXPORTER: Exporter = Exporter { parts: &[Part::Ingress], metrics: METRICS, collect };

static METRICS: &[Metric] = &[
    counter("nginx_ingress_controller_requests", "The total number of client requests"),
    declared("nginx_ingress_controller_request_duration_seconds", "The request processing time in seconds"),
    declared(
        "nginx_ingress_controller_response_duration_seconds",
        "The time spent on receiving the response from the upstream server",
    ),
    declared(
        "nginx_ingress_controller_response_size",
        "The response length (including request line, header, and request body)",
    ),
    gauge(
        "nginx_ingress_controller_nginx_process_connections",
        "current number of client connections with state {active, reading, writing, waiting}",
    ),
    counter(
        "nginx_ingress_controller_nginx_process_connections_total",
        "total number of connections with state {accepted, handled}",
    ),
    counter("nginx_ingress_controller_nginx_process_requests_total", "total number of client requests"),
    gauge(
        "nginx_ingress_controller_config_last_reload_successful",
        "Whether the last configuration reload attempt was successful",
    ),
    counter("nginx_ingress_controller_success", "Cumulative number of Ingress controller reload operations"),
    gauge(
        "nginx_ingress_controller_ssl_expire_time_seconds",
        "Number of seconds since 1970 to the SSL Certificate expire.",
    ),
];

/// Bounds of the duration histograms: Prometheus's defaults.
pub const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bounds of the size histogram.
const BYTES: [f64; 6] = [10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];

/// How requests end when nothing hurts: method, status, part of all, and whether it is an answer of the application.
const OUTCOMES: [(&str, &str, f64); 4] =
    [("GET", "200", 0.780), ("POST", "200", 0.187), ("GET", "404", 0.0325), ("GET", "500", 0.0005)];
/// What a request becomes when the application fails.
const FAILURES: [(&str, &str, f64); 2] = [("GET", "503", 0.7), ("POST", "500", 0.3)];

/// Kinds of answer times as parts of a second that half of them need, and how far they spread (log-normal).
const QUICK: (f64, f64) = (0.028, 0.75);
const SLOW: (f64, f64) = (0.16, 0.6);
const STUCK: (f64, f64) = (1.1, 0.5);

/// Returns the part of answers of a kind that needs no longer than `bound` seconds.
pub fn within(bound: f64, (median, spread): (f64, f64)) -> f64 {
    if bound.is_infinite() {
        return 1.0;
    }
    // The logistic curve is as good as the normal one here, and exact at both ends.
    1.0 / (1.0 + (-1.702 * (bound / median).ln() / spread).exp())
}

/// Returns the mean of a kind of answer times, in seconds.
pub fn mean((median, spread): (f64, f64)) -> f64 {
    median * (spread * spread / 2.0).exp()
}

/// What the pods behind an application make of its demand.
#[derive(Debug)]
pub struct Backend {
    /// All demand.
    pub all: Pulse,
    /// The part of it that fails.
    pub failed: Pulse,
    /// The part of it that waits long without failing.
    pub waited: Pulse,
    /// Requests a second at usual demand.
    pub rate: f64,
    seed: u64,
}

impl Backend {
    /// Works it out for an application.
    pub fn of(numbers: &Numbers, namespace: &str, app: &str) -> Self {
        let all = numbers.pulse(namespace, app);
        let seed = fnv64(format!("{namespace}/{app}").as_bytes());
        let (failed, waited) = trouble(numbers, namespace, app);
        Self {
            failed: all.times(&failed, 0.0),
            waited: all.times(&waited, 0.0),
            rate: pick(seed, 1, 4.0, 42.0),
            all,
            seed,
        }
    }

    /// Returns how many requests had failed up to a moment, had waited long, and were answered as usual, since long ago.
    fn counts(&self, from: f64, t: f64) -> (f64, f64, f64) {
        let noise = ahead(self.seed, t) - ahead(self.seed, from);
        let (failed, waited) =
            (self.failed.sum(t) - self.failed.sum(from), self.waited.sum(t) - self.waited.sum(from));
        let all = self.all.sum(t) - self.all.sum(from) + 0.8 * noise;
        // Noise belongs to what is well: a share that failed stays what it is.
        (self.rate * failed, self.rate * waited, self.rate * (all - failed - waited).max(0.0))
    }
}

/// Returns over time which part of the requests of an application fails, and which waits long.
pub fn trouble(numbers: &Numbers, namespace: &str, app: &str) -> (Steps, Steps) {
    let oldest = numbers.facts.begin - super::HISTORY_MS;
    let pods: Vec<_> =
        numbers.facts.pods(Some(namespace), oldest, numbers.now).filter(|pod| &*pod.app == app).collect();
    let bad = |image: &str| {
        matches!(
            numbers.behaviour(image),
            Behaviour::Crash | Behaviour::OutOfMemory | Behaviour::NeverReady | Behaviour::Full
        )
    };
    let spins = |image: &str| numbers.behaviour(image) == Behaviour::Spin;
    let dns = numbers.dns_trouble();
    let mut moments: Vec<i64> = dns.iter().map(|(t, _)| t).collect();
    for pod in &pods {
        let hurts = pod.containers.iter().any(|one| bad(&one.image) || spins(&one.image));
        let pressed = numbers.pressed(&pod.node);
        if hurts {
            moments.push(pod.created);
            moments.extend(pod.states.iter().map(|state| state.at));
            moments.extend(pod.gone);
        }
        moments.extend(pressed.into_iter().flat_map(Steps::iter).map(|(t, _)| t));
        if hurts || pressed.is_some() {
            moments.extend(pod.gone);
        }
    }
    // Pods that came or went meanwhile change the shares.
    if !moments.is_empty() {
        moments.extend(pods.iter().map(|pod| pod.created).filter(|t| *t > numbers.facts.begin));
        moments.extend(pods.iter().filter_map(|pod| pod.gone).filter(|t| *t > numbers.facts.begin));
    }
    moments.sort_unstable();
    moments.dedup();
    let (mut failed, mut waited) = (Steps::default(), Steps::default());
    for t in moments {
        let (mut there, mut wrong, mut crowded) = (0.0_f64, 0.0, 0.0);
        for pod in pods.iter().filter(|pod| pod.there(t)) {
            there += 1.0;
            let hurts = pod.containers.iter().any(|one| bad(&one.image));
            if hurts {
                wrong += 1.0;
            }
            if pod.containers.iter().any(|one| spins(&one.image)) {
                crowded += 0.5;
            } else if let Some(pressed) = numbers.pressed(&pod.node) {
                crowded += pressed.at(t, 0.0) * 0.6;
            }
        }
        let lookups = dns.at(t, 0.0);
        let share = |part: f64| if there > 0.0 { part / there } else { 0.0 };
        // A pod that crashes takes connections until it is gone from the endpoints, and what it has broken in the
        // database hurts its elder siblings: a third of its share fails, and as much again waits for a retry.
        failed.set(t, (share(wrong) * 0.34 + lookups * 0.035).min(0.9));
        waited.set(t, (share(wrong) * 0.45 + share(crowded) * 0.5 + lookups * 0.22).min(0.6));
    }
    (failed, waited)
}

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    let targets: Vec<&Target> =
        numbers.of_part(Part::Ingress).filter(|target| sink.may_scrape(&target.scrape)).collect();
    // Two replicas share the traffic whoever they are at the time.
    let replicas = 2.0;
    for target in &targets {
        process(numbers, sink, target);
    }
    let requests = sink.metric("nginx_ingress_controller_requests");
    let duration = histogram!(sink, "nginx_ingress_controller_request_duration_seconds");
    let upstream = histogram!(sink, "nginx_ingress_controller_response_duration_seconds");
    let size = histogram!(sink, "nginx_ingress_controller_response_size");
    if requests.is_none() && duration.idle() && upstream.idle() && size.idle() {
        return;
    }
    for (key, life) in numbers.facts.objects(Type::Ingress) {
        let latest = life.latest();
        let path = text(latest, "/spec/rules/0/http/paths/0/path");
        let service = text(latest, "/spec/rules/0/http/paths/0/backend/service/name");
        let host = text(latest, "/spec/rules/0/host");
        let app = latest["metadata"]["labels"]["app.kubernetes.io/instance"].as_str().unwrap_or(&key.name);
        let asked = sink.may("exported_namespace", &key.namespace)
            || targets.first().is_some_and(|target| target.scrape.get("namespace").is_empty());
        if !asked || !sink.may("ingress", &key.name) || !sink.may("host", host) {
            continue;
        }
        let backend = Backend::of(numbers, &key.namespace, app);
        for target in &targets {
            let outcomes =
                OUTCOMES.iter().map(|one| (one, false)).chain(FAILURES.iter().map(|one| (one, true)));
            for ((method, status, part), failure) in outcomes {
                if !sink.may("status", status) || !sink.may("method", method) {
                    continue;
                }
                let raw = [
                    ("canary", ""),
                    ("controller_class", "k8s.io/ingress-nginx"),
                    ("controller_namespace", "ingress-nginx"),
                    ("controller_pod", &*target.name),
                    ("host", host),
                    ("ingress", &*key.name),
                    ("method", *method),
                    ("namespace", &*key.namespace),
                    ("path", path),
                    ("service", service),
                    ("status", *status),
                ];
                let base = secs(target.span.0.max(life.created));
                let there = |t: i64| target.there(t) && life.there(t);
                // Answers of this outcome since the controller started: quick or usual, slow, stuck.
                let counts = |t: i64| {
                    let (failed, waited, usual) = backend.counts(base, secs(t));
                    let part = part / replicas;
                    if failure { (0.0, 0.0, failed * part) } else { (usual * part, waited * part, 0.0) }
                };
                sink.put(requests, &target.scrape, &raw, |t| {
                    there(t).then(|| {
                        let (usual, waited, failed) = counts(t);
                        (usual + waited + failed).floor()
                    })
                });
                let tail = pick(backend.seed, 2, 0.02, 0.09);
                for (names, faster) in [(duration, 1.0), (upstream, 1.15)] {
                    if names.idle() {
                        continue;
                    }
                    let below = |t: i64, bound: f64| {
                        there(t).then(|| {
                            let (usual, waited, failed) = counts(t);
                            let bound = bound * faster;
                            usual * ((1.0 - tail) * within(bound, QUICK) + tail * within(bound, SLOW))
                                + (waited + failed) * within(bound, STUCK)
                        })
                    };
                    let sum = |t: i64| {
                        there(t).then(|| {
                            let (usual, waited, failed) = counts(t);
                            (usual * ((1.0 - tail) * mean(QUICK) + tail * mean(SLOW))
                                + (waited + failed) * mean(STUCK))
                                / faster
                        })
                    };
                    sink.histogram(names, &target.scrape, &raw, &SECONDS, below, sum);
                }
                if !size.idle() {
                    let kind = (pick(backend.seed, 3, 900.0, 9_000.0), 0.9);
                    let total = |t: i64| {
                        let (usual, waited, failed) = counts(t);
                        usual + waited + failed
                    };
                    sink.histogram(
                        size,
                        &target.scrape,
                        &raw,
                        &BYTES,
                        |t, bound| there(t).then(|| total(t) * within(bound, kind)),
                        |t| there(t).then(|| total(t) * mean(kind)),
                    );
                }
            }
        }
    }
}

/// The controller process itself.
fn process(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let raw = [
        ("controller_class", "k8s.io/ingress-nginx"),
        ("controller_namespace", "ingress-nginx"),
        ("controller_pod", &*target.name),
    ];
    let with = |name: &'static str, value: &'static str| [raw[0], raw[1], raw[2], (name, value)];
    let scrape = &target.scrape;
    let connections = sink.metric("nginx_ingress_controller_nginx_process_connections");
    for (state, low, high) in
        [("active", 40.0, 160.0), ("reading", 0.0, 3.0), ("waiting", 30.0, 120.0), ("writing", 1.0, 14.0)]
    {
        sink.put(connections, scrape, &with("state", state), |t| {
            target.there(t).then(|| {
                (low + (high - low) * wander(target.seed ^ fnv64(state.as_bytes()), secs(t))).round()
            })
        });
    }
    let base = secs(target.span.0);
    let flow = |t: i64, rate: f64| {
        target.there(t).then(|| {
            (rate * (secs(t) - base + ahead(target.seed, secs(t)) - ahead(target.seed, base))).floor()
        })
    };
    let total = sink.metric("nginx_ingress_controller_nginx_process_connections_total");
    for state in ["accepted", "handled"] {
        sink.put(total, scrape, &with("state", state), |t| flow(t, 9.0));
    }
    sink.put(sink.metric("nginx_ingress_controller_nginx_process_requests_total"), scrape, &raw, |t| {
        flow(t, 140.0)
    });
    sink.fixed(
        sink.metric("nginx_ingress_controller_config_last_reload_successful"),
        scrape,
        &raw,
        target.span,
        1.0,
    );
    sink.put(sink.metric("nginx_ingress_controller_success"), scrape, &raw, |t| flow(t, 1.0 / 1_900.0));
    let expiry = sink.metric("nginx_ingress_controller_ssl_expire_time_seconds");
    if expiry.is_some() {
        for (key, life) in numbers.facts.objects(Type::Certificate) {
            let name = text(life.latest(), "/spec/secretName");
            let host = list(life.latest(), "/spec/dnsNames")
                .first()
                .and_then(|host| host.as_str())
                .unwrap_or_default();
            let labels = [
                ("class", "k8s.io/ingress-nginx"),
                ("host", host),
                ("namespace", &*key.namespace),
                ("secret_name", name),
            ];
            sink.put(expiry, scrape, &labels, |t| {
                let until = crate::demo::untyped::time(life.at(t)?, "/status/notAfter")?;
                target.there(t).then_some(until.as_second() as f64)
            });
        }
    }
}
