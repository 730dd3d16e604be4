//! The numbers agree with the objects, and with themselves at any two moments.

use super::*;
use crate::demo::promql::{NAME, Op, is_stale};
use crate::demo::types::Type;
use crate::demo::world::Options;

fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn world(options: Options) -> World {
    World::new(&options, start())
}

fn small() -> Options {
    Options { tenants: 2, pods_per_tenant: 6, nodes: 4, alive: false, ..Options::default() }
}

/// Selects with matchers written as `name=value`, `name!=value` or `name=~value`.
#[track_caller]
fn select(numbers: &Numbers, metric: &str, conditions: &[&str], minutes: i64) -> Vec<Series> {
    let mut matchers = vec![Matcher::equal("__name__", metric)];
    for condition in conditions {
        let (name, op, value) = ["!~", "=~", "!=", "="]
            .iter()
            .find_map(|op| condition.split_once(op).map(|(name, value)| (name, *op, value)))
            .unwrap();
        let op = match op {
            "=" => Op::Equal,
            "!=" => Op::NotEqual,
            "=~" => Op::Like,
            _ => Op::NotLike,
        };
        matchers.push(Matcher::new(name, op, value).unwrap());
    }
    let mut found = numbers.select(&matchers, numbers.now - minutes * 60_000 - SCRAPE_MS, numbers.now);
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    found
}

fn last(series: &Series) -> f64 {
    series.points.last().unwrap().1
}

/// The sum of the rates of counters over the minutes they were asked for.
fn rates(found: &[Series]) -> f64 {
    found
        .iter()
        .filter_map(|one| {
            let points: Vec<_> =
                one.points.iter().filter(|point| !crate::demo::promql::is_stale(point.1)).collect();
            let (first, last) = (points.first()?, points.last()?);
            (last.0 > first.0).then(|| (last.1 - first.1) * 1000.0 / (last.0 - first.0) as f64)
        })
        .sum()
}

#[test]
fn half_a_day_is_there_from_the_start_and_no_counter_falls() {
    let world = world(small());
    let numbers = Numbers::of(&world);
    for metric in [
        "container_cpu_usage_seconds_total",
        "nginx_ingress_controller_requests",
        "container_network_receive_bytes_total",
    ] {
        let found = select(&numbers, metric, &[], 12 * 60);
        assert!(found.len() > 5, "{metric}: {}", found.len());
        let whole = found.iter().filter(|one| one.points.len() > 1_430).count();
        assert!(whole > 0, "{metric} reaches back");
        for one in &found {
            let values: Vec<f64> =
                one.points.iter().map(|point| point.1).filter(|value| !value.is_nan()).collect();
            // A container that was started again counts from 0.
            let falls = values.windows(2).filter(|pair| pair[1] < pair[0]).count();
            let most = usize::from(metric.starts_with("container_cpu"));
            assert!(falls <= most, "{} falls {falls} times", one.labels);
            assert!(one.points.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
    // The whole platform was there yesterday as well.
    let early = numbers.select(
        &[
            Matcher::equal("__name__", "container_cpu_usage_seconds_total"),
            Matcher::new("container", Op::NotEqual, "").unwrap(),
        ],
        numbers.now - 11 * 3_600_000,
        numbers.now - 10 * 3_600_000,
    );
    let now = select(&numbers, "container_cpu_usage_seconds_total", &["container!="], 1);
    let (early, now) = (rates(&early), rates(&now));
    assert!((0.6..1.6).contains(&(early / now)), "{early} cores then, {now} now");
}

#[test]
fn the_latest_points_are_the_last_ones_of_the_series_that_go_on() {
    let mut world = world(small());
    let pod = world.objects.list(Type::Pod, Some("tenant-1")).next().unwrap().key.clone();
    let mut now = start();
    let mut gone = 0;
    for seconds in [10, 70, 45, 60] {
        now = now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        let _ = world.objects.delete(&pod, &crate::demo::deletion::DeleteOptions::default(), now);
        world.step(now);
        let numbers = Numbers::of(&world);
        let (from, to) = (numbers.now - 300_000, numbers.now);
        for metric in metrics() {
            let anyone = [Matcher::new(NAME, Op::Like, &format!("{}(_bucket)?", metric.name)).unwrap()];
            let ends = |found: Vec<Series>| {
                let ends = found.into_iter().map(|one| (one.labels, *one.points.last().unwrap()));
                ends.map(|(labels, (at, value))| (labels, at, value.to_bits())).collect::<Vec<_>>()
            };
            let mut all = ends(numbers.select(&anyone, from, to));
            let before = all.len();
            all.retain(|(_, _, bits)| !is_stale(f64::from_bits(*bits)));
            gone += before - all.len();
            let mut latest = ends(numbers.latest(&anyone, from, to));
            all.sort();
            latest.sort();
            assert_eq!(latest, all, "{}", metric.name);
        }
    }
    assert!(gone > 0, "no series ended");
}

#[test]
fn cpu_and_memory_are_what_metrics_server_says() {
    let world = world(small());
    let numbers = Numbers::of(&world);
    for pod in world.objects.list(Type::Pod, Some("tenant-1")) {
        let Some(usage) = world.pod_usage(&pod.key) else { continue };
        for (container, used) in usage {
            let name = format!("pod={}", pod.key.name);
            let own = format!("container={container}");
            let memory = select(&numbers, "container_memory_working_set_bytes", &[&name, &own], 1);
            assert_eq!(memory.len(), 1, "{}", pod.key);
            assert!((last(&memory[0]) - used.bytes as f64).abs() < 1e6);
            let cpu = select(&numbers, "container_cpu_usage_seconds_total", &[&name, &own, "image!="], 1);
            let rate = rates(&cpu);
            let said = used.nanocores as f64 / 1e9;
            assert!((rate - said).abs() < 0.4 * said, "{}: {rate} and {said} cores", pod.key);
        }
    }
}

#[test]
fn quotas_and_replicas_are_what_their_objects_say() {
    let world = world(small());
    let numbers = Numbers::of(&world);
    let used =
        select(&numbers, "kube_resourcequota", &["namespace=tenant-1", "type=used", "resource=pods"], 5);
    assert_eq!(used.len(), 1);
    let key = crate::demo::objects::Key::new(Type::ResourceQuota, "tenant-1", "tenant");
    let quota = world.objects.get_value(&key).unwrap();
    assert_eq!(last(&used[0]).to_string(), quota["status"]["used"]["pods"].as_str().unwrap());
    let replicas = select(&numbers, "kube_deployment_spec_replicas", &["namespace=kube-system"], 5);
    assert!(
        replicas.iter().any(|one| one.labels.get("deployment") == "coredns" && (last(one) - 2.0).abs() < 0.1)
    );
    let running = select(&numbers, "kube_pod_status_phase", &["phase=Running", "namespace=tenant-1"], 5);
    let sum: f64 = running.iter().map(last).filter(|value| !value.is_nan()).sum();
    assert_eq!(sum as usize, world.view.pods_in("tenant-1").filter(|(_, pod)| !pod.finished()).count());
}

#[test]
fn a_question_of_one_namespace_costs_one_namespace() {
    let numbers = Numbers::of(&world(small()));
    let all = select(&numbers, "kube_pod_info", &[], 1);
    let one = select(&numbers, "kube_pod_info", &["namespace=tenant-2"], 1);
    assert!(!one.is_empty() && one.len() < all.len());
    assert!(one.iter().all(|series| series.labels.get("namespace") == "tenant-2"));
    assert!(one.iter().all(|series| series.labels.get("job") == "kube-state-metrics"));
    let ingress = select(
        &numbers,
        "nginx_ingress_controller_requests",
        &["exported_namespace=tenant-1", "ingress!="],
        1,
    );
    assert!(!ingress.is_empty() && ingress.iter().all(|one| one.labels.get("namespace") == "ingress-nginx"));
}

#[test]
fn network_series_have_no_container_and_pod_cgroups_no_image() {
    let numbers = Numbers::of(&world(small()));
    assert!(select(&numbers, "container_network_receive_bytes_total", &["container!="], 1).is_empty());
    let net = select(&numbers, "container_network_receive_bytes_total", &["namespace=tenant-1"], 1);
    assert!(net.iter().all(|one| one.labels.get("interface") == "eth0"));
    let all = rates(&select(&numbers, "container_cpu_usage_seconds_total", &["namespace=tenant-1"], 5));
    let real = rates(&select(
        &numbers,
        "container_cpu_usage_seconds_total",
        &["namespace=tenant-1", "container!="],
        5,
    ));
    assert!((all / real - 2.0).abs() < 0.05, "without the filter sums double: {all} and {real}");
}

#[test]
fn every_target_exposes_each_series_once_and_every_metric_is_exposed_by_some() {
    let world = world(Options { tenants: 3, pods_per_tenant: 12, ..small() });
    let numbers = Numbers::of(&world);
    let mut seen = std::collections::BTreeSet::new();
    let mut parts = std::collections::BTreeSet::new();
    for target in numbers.targets.iter().filter(|target| target.there(numbers.now)) {
        parts.insert(target.part);
        let samples = numbers.expose(target);
        assert!(!samples.is_empty(), "{:?}", target.part);
        let mut once = std::collections::HashSet::new();
        for sample in &samples {
            seen.insert(sample.metric);
            let mut labels = sample.labels.clone();
            labels.sort();
            assert!(labels.is_sorted_by(|a, b| a.0 != b.0), "{} names a label twice", sample.metric);
            assert!(
                !sample.value.is_nan() && sample.value >= 0.0 || sample.metric.contains("offset"),
                "{}: {}",
                sample.metric,
                sample.value
            );
            assert!(
                once.insert((sample.metric, labels)),
                "{:?} exposes {} {:?} twice",
                target.part,
                sample.metric,
                sample.labels
            );
        }
    }
    assert_eq!(parts.len(), 24, "{parts:?}");
    // What is there only when something hurts, or waits, or has ended.
    let rare = [
        "kube_pod_status_unschedulable",
        "kube_pod_container_status_waiting_reason",
        "kube_job_failed",
        "secretstore_status_condition",
        "kube_node_spec_taint",
        "kube_pod_completion_time",
    ];
    let written = [
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    ];
    for metric in metrics().filter(|metric| !rare.contains(&metric.name) && !written.contains(&metric.name)) {
        let name = if metric.kind == MetricKind::Histogram {
            format!("{}_bucket", metric.name)
        } else {
            metric.name.to_owned()
        };
        let quiet = metric.name.starts_with("argocd_") || metric.name.contains("vulnerab");
        assert!(quiet || seen.contains(name.as_str()), "nobody exposes {name}");
    }
}

#[test]
fn a_histogram_counts_upwards_and_its_last_bucket_is_its_count() {
    let numbers = Numbers::of(&world(small()));
    for name in [
        "nginx_ingress_controller_request_duration_seconds",
        "apiserver_request_sli_duration_seconds",
        "coredns_dns_request_duration_seconds",
    ] {
        let count = select(&numbers, &format!("{name}_count"), &[], 1);
        let total: f64 = count.iter().map(last).filter(|value| !value.is_nan()).sum();
        let end = select(&numbers, &format!("{name}_bucket"), &["le=+Inf"], 1);
        let whole: f64 = end.iter().map(last).filter(|value| !value.is_nan()).sum();
        assert!((whole - total).abs() < 0.1, "{name}: {whole} and {total}");
        let (mut before, mut bounds) = (0.0, 0);
        for bound in
            ["0.001", "0.005", "0.016", "0.025", "0.05", "0.1", "0.256", "0.5", "1", "1.024", "5", "10"]
        {
            let of = select(&numbers, &format!("{name}_bucket"), &[&format!("le={bound}")], 1);
            if of.is_empty() {
                continue;
            }
            let sum: f64 = of.iter().map(last).filter(|value| !value.is_nan()).sum();
            assert!(sum >= before && sum <= total, "{name} {bound}");
            (before, bounds) = (sum, bounds + 1);
        }
        assert!(total > 0.0 && bounds > 1, "{name}");
    }
}

#[test]
fn a_node_uses_what_its_pods_use() {
    let world = world(small());
    let numbers = Numbers::of(&world);
    for (name, _) in world.view.nodes() {
        let idle = select(&numbers, "node_cpu_seconds_total", &["mode=idle", &format!("node={name}")], 5);
        let all = select(&numbers, "node_cpu_seconds_total", &[&format!("node={name}")], 5);
        let busy = rates(&all) - rates(&idle);
        let said = world.node_usage(name).unwrap().nanocores as f64 / 1e9;
        assert!((busy - said).abs() < 0.35 * said, "{name}: {busy} and {said} cores");
        let total = last(&select(&numbers, "node_memory_MemTotal_bytes", &[&format!("node={name}")], 1)[0]);
        let free =
            last(&select(&numbers, "node_memory_MemAvailable_bytes", &[&format!("node={name}")], 1)[0]);
        let said = world.node_usage(name).unwrap().bytes as f64;
        assert!((total - free - said).abs() < 0.1 * said, "{name}");
    }
}

#[test]
fn every_target_is_up_and_has_the_labels_of_its_monitor() {
    let numbers = Numbers::of(&world(small()));
    let targets = Samples::targets(&numbers);
    let up = select(&numbers, "up", &[], 1);
    assert_eq!(up.len(), targets.len());
    assert!(up.iter().all(|one| (last(one) - 1.0).abs() < f64::EPSILON));
    let cadvisor =
        targets.iter().find(|target| target.labels.get("metrics_path") == "/metrics/cadvisor").unwrap();
    assert_eq!(cadvisor.labels.get("job"), "kubelet");
    assert!(cadvisor.url.ends_with(":10250/metrics/cadvisor"), "{}", cadvisor.url);
}
