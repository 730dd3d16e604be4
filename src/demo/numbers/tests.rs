//! The numbers agree with the objects, and with themselves at any two moments.

use super::*;
use crate::demo::promql::Op;
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
    assert!(replicas.iter().any(|one| one.labels.get("deployment") == "coredns" && last(one) == 2.0));
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
