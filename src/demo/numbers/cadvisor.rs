//! cAdvisor in the kubelet: CPU, memory, throttling, files and network of containers and pods.
//!
//! Names and labels as a kubelet on containerd exposes them and kube-prometheus-stack keeps them. The pod's own cgroup
//! comes without `container` and `image`, and network series are per pod and interface, without `container`.

use std::collections::HashMap;

use super::pod_life::{Container, PodLife};
use super::sink::{Sink, Wanted};
use super::targets::{Part, Target};
use super::wave::{Pulse, Steps, ahead, pick, secs};
use super::work::{PERIODS, Work};
use super::{Exporter, Metric, Numbers, counter, gauge};
use crate::demo::images::Behaviour;
use crate::identity::Text;

/// The exporter.
pub static EXPORTER: Exporter = Exporter { parts: &[Part::Cadvisor], metrics: METRICS, collect };

static METRICS: &[Metric] = &[
    counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds."),
    counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds."),
    counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals."),
    counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals."),
    counter(
        "container_cpu_cfs_throttled_seconds_total",
        "Total time duration the container has been throttled.",
    ),
    gauge("container_memory_working_set_bytes", "Current working set in bytes."),
    gauge(
        "container_memory_usage_bytes",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
    ),
    gauge("container_memory_rss", "Size of RSS in bytes."),
    gauge("container_memory_cache", "Number of bytes of page cache memory."),
    counter("container_oom_events_total", "Count of out of memory events observed for the container"),
    gauge("container_spec_memory_limit_bytes", "Memory limit for the container."),
    gauge("container_spec_cpu_quota", "CPU quota of the container."),
    gauge("container_spec_cpu_period", "CPU period of the container."),
    gauge("container_start_time_seconds", "Start time of the container since unix epoch in seconds."),
    counter("container_fs_reads_total", "Cumulative count of reads completed"),
    counter("container_fs_writes_total", "Cumulative count of writes completed"),
    counter("container_fs_reads_bytes_total", "Cumulative count of bytes read"),
    counter("container_fs_writes_bytes_total", "Cumulative count of bytes written"),
    counter("container_network_receive_bytes_total", "Cumulative count of bytes received"),
    counter("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted"),
    counter("container_network_receive_packets_total", "Cumulative count of packets received"),
    counter("container_network_transmit_packets_total", "Cumulative count of packets transmitted"),
    counter(
        "container_network_receive_packets_dropped_total",
        "Cumulative count of packets dropped while receiving",
    ),
    counter(
        "container_network_transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting",
    ),
    gauge("machine_cpu_cores", "Number of logical CPU cores."),
    gauge("machine_memory_bytes", "Amount of memory installed on the machine."),
];

struct Wants {
    cpu: [Wanted; 2],
    throttle: [Wanted; 3],
    memory: [Wanted; 4],
    spec: [Wanted; 4],
    oom: Wanted,
    files: [Wanted; 4],
    network: [Wanted; 6],
    machine: [Wanted; 2],
}

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    let wants = Wants {
        cpu: ["container_cpu_usage_seconds_total", "container_cpu_user_seconds_total"]
            .map(|name| sink.metric(name)),
        throttle: [
            "container_cpu_cfs_periods_total",
            "container_cpu_cfs_throttled_periods_total",
            "container_cpu_cfs_throttled_seconds_total",
        ]
        .map(|name| sink.metric(name)),
        memory: [
            "container_memory_working_set_bytes",
            "container_memory_usage_bytes",
            "container_memory_rss",
            "container_memory_cache",
        ]
        .map(|name| sink.metric(name)),
        spec: [
            "container_spec_memory_limit_bytes",
            "container_spec_cpu_quota",
            "container_spec_cpu_period",
            "container_start_time_seconds",
        ]
        .map(|name| sink.metric(name)),
        oom: sink.metric("container_oom_events_total"),
        files: [
            "container_fs_reads_total",
            "container_fs_writes_total",
            "container_fs_reads_bytes_total",
            "container_fs_writes_bytes_total",
        ]
        .map(|name| sink.metric(name)),
        network: [
            "container_network_receive_bytes_total",
            "container_network_transmit_bytes_total",
            "container_network_receive_packets_total",
            "container_network_transmit_packets_total",
            "container_network_receive_packets_dropped_total",
            "container_network_transmit_packets_dropped_total",
        ]
        .map(|name| sink.metric(name)),
        machine: ["machine_cpu_cores", "machine_memory_bytes"].map(|name| sink.metric(name)),
    };
    let mut pulses = Pulses::default();
    let space = sink.only("namespace");
    for target in numbers.of_part(Part::Cadvisor) {
        if !sink.may_scrape(&target.scrape) || !sink.may("node", &target.name) {
            continue;
        }
        if let Some(node) = numbers.facts.object(crate::demo::types::Type::Node, "", &target.name) {
            let capacity = &node.latest()["status"]["capacity"];
            let cores = crate::demo::untyped::milli(&capacity["cpu"]) as f64 / 1000.0;
            let memory = crate::demo::untyped::units(&capacity["memory"]) as f64;
            sink.fixed(wants.machine[0], &target.scrape, &[], target.span, cores);
            sink.fixed(wants.machine[1], &target.scrape, &[], target.span, memory);
        }
        for pod in numbers.facts.pods_on(&target.name) {
            let asked = space.is_none_or(|space| space == &*pod.namespace)
                && pod.overlaps(sink.first(), sink.last())
                && sink.may("namespace", &pod.namespace)
                && sink.may("pod", &pod.name);
            if asked {
                let pulse = pulses.of(numbers, pod);
                of_pod(numbers, sink, &wants, target, pod, pulse);
            }
        }
    }
}

/// The demand on each application, worked out once a question.
#[derive(Debug, Default)]
pub struct Pulses(HashMap<(Text, Text), Pulse>);

impl Pulses {
    /// Returns the demand on the application of a pod.
    pub fn of(&mut self, numbers: &Numbers, pod: &PodLife) -> &Pulse {
        self.0
            .entry((pod.namespace.clone(), pod.app.clone()))
            .or_insert_with(|| numbers.pulse(&pod.namespace, &pod.app))
    }
}

fn of_pod(
    numbers: &Numbers,
    sink: &mut Sink<'_>,
    wants: &Wants,
    target: &Target,
    pod: &PodLife,
    pulse: &Pulse,
) {
    let scrape = &target.scrape;
    let slice =
        if &*pod.quality == "Burstable" { "kubepods-burstable.slice" } else { "kubepods-besteffort.slice" };
    let cgroup = format!("/kubepods.slice/{slice}/kubepods-pod{}.slice", pod.uid.replace('-', "_"));
    let gone = pod.gone.unwrap_or(i64::MAX);
    let works: Vec<Work> = pod.containers.iter().map(|one| Work::of(numbers, pod, one)).collect();
    for (container, work) in pod.containers.iter().zip(&works) {
        if sink.may("container", &container.name) {
            of_container(numbers, sink, wants, target, (pod, container, work), &cgroup, pulse);
        }
    }
    // The pod's own cgroup: what sums double where nobody filters by container.
    if sink.may("container", "") {
        let raw = [("id", cgroup.as_str()), ("namespace", &*pod.namespace), ("pod", &*pod.name)];
        let cpu: Vec<(&str, &str)> = raw.iter().copied().chain([("cpu", "total")]).collect();
        let sum = |t: i64, read: &dyn Fn(&Work, &super::pod_life::Run) -> f64| {
            let running: Vec<f64> = pod
                .containers
                .iter()
                .zip(&works)
                .filter_map(|(one, work)| one.run(t).map(|run| read(work, run)))
                .collect();
            (t < gone && !running.is_empty()).then(|| running.iter().sum::<f64>())
        };
        sink.put(wants.cpu[0], scrape, &cpu, |t| sum(t, &|work, run| work.cpu(pulse, run, t)));
        sink.put(wants.memory[0], scrape, &raw, |t| {
            sum(t, &|work, run| work.memory(pulse, run, t) + 516_096.0)
        });
    }
    network(numbers, sink, wants, target, pod, pulse);
}

fn of_container(
    numbers: &Numbers,
    sink: &mut Sink<'_>,
    wants: &Wants,
    target: &Target,
    (pod, container, work): (&PodLife, &Container, &Work),
    cgroup: &str,
    pulse: &Pulse,
) {
    let scrape = &target.scrape;
    let gone = pod.gone.unwrap_or(i64::MAX);
    let run = |t: i64| container.run(t).filter(|_| t < gone);
    let seed = work.seed();
    let name = crate::demo::pods::hex64(seed);
    let id = format!("{cgroup}/cri-containerd-{name}.scope");
    let raw = [
        ("container", &*container.name),
        ("id", id.as_str()),
        ("image", &*container.image),
        ("name", name.as_str()),
        ("namespace", &*pod.namespace),
        ("pod", &*pod.name),
    ];
    let cpu: Vec<(&str, &str)> = raw.iter().copied().chain([("cpu", "total")]).collect();
    sink.put(wants.cpu[0], scrape, &cpu, |t| run(t).map(|run| work.cpu(pulse, run, t)));
    sink.put(wants.cpu[1], scrape, &raw, |t| run(t).map(|run| 0.78 * work.cpu(pulse, run, t)));
    if work.is_limited() && wants.throttle.iter().any(Option::is_some) {
        let own = work.throttled();
        let none = Steps::default();
        let crowd = Pulse::with_first(numbers.pressed(&pod.node).unwrap_or(&none), 0.0, false);
        // Who spins is at its limit as it is.
        let spins = numbers.behaviour(&container.image) == Behaviour::Spin;
        let crowded = if spins { 0.0 } else { 1.0 };
        let throttled = |from: f64, t: f64| {
            let waits = own * (t - from + 0.9 * (ahead(seed, t) - ahead(seed, from)))
                + crowded * (1.0 - own) * (crowd.sum(t) - crowd.sum(from));
            PERIODS * waits
        };
        sink.put(wants.throttle[0], scrape, &raw, |t| {
            run(t).map(|run| (PERIODS * secs(t - run.from)).floor())
        });
        sink.put(wants.throttle[1], scrape, &raw, |t| {
            run(t).map(|run| throttled(secs(run.from), secs(t)).floor())
        });
        sink.put(wants.throttle[2], scrape, &raw, |t| {
            run(t).map(|run| 0.046 * throttled(secs(run.from), secs(t)))
        });
    }
    sink.put(wants.memory[0], scrape, &raw, |t| run(t).map(|run| work.memory(pulse, run, t)));
    sink.put(wants.memory[1], scrape, &raw, |t| {
        run(t).map(|run| work.memory(pulse, run, t) * pick(seed, 4, 1.04, 1.35))
    });
    sink.put(wants.memory[2], scrape, &raw, |t| run(t).map(|run| work.memory(pulse, run, t) * 0.94));
    sink.put(wants.memory[3], scrape, &raw, |t| {
        run(t).map(|run| work.memory(pulse, run, t) * (pick(seed, 4, 1.04, 1.35) - 0.94))
    });
    let specs = [
        (container.memory_limit > 0, container.memory_limit as f64),
        (container.cpu_limit > 0, container.cpu_limit as f64 * 100.0),
        (true, 100_000.0),
    ];
    for (wanted, (there, value)) in wants.spec.into_iter().zip(specs) {
        if there {
            sink.put(wanted, scrape, &raw, |t| run(t).map(|_| value));
        }
    }
    sink.put(wants.spec[3], scrape, &raw, |t| run(t).map(|run| secs(run.from)));
    sink.put(wants.oom, scrape, &raw, |t| run(t).map(|_| container.kills(t) as f64));
    let device: Vec<(&str, &str)> = raw.iter().copied().chain([("device", "/dev/nvme0n1")]).collect();
    let rates = [
        pick(seed, 5, 0.05, 2.0),
        pick(seed, 6, 0.5, 9.0),
        pick(seed, 5, 0.05, 2.0) * 16_384.0,
        pick(seed, 6, 0.5, 9.0) * 9_300.0,
    ];
    for (wanted, rate) in wants.files.into_iter().zip(rates) {
        sink.put(wanted, scrape, &device, |t| {
            run(t).map(|run| {
                let (from, t) = (secs(run.from), secs(t));
                (rate * (pulse.sum(t) - pulse.sum(from) + ahead(seed ^ 3, t) - ahead(seed ^ 3, from))).floor()
            })
        });
    }
}

fn network(
    numbers: &Numbers,
    sink: &mut Sink<'_>,
    wants: &Wants,
    target: &Target,
    pod: &PodLife,
    pulse: &Pulse,
) {
    if wants.network.iter().all(Option::is_none) {
        return;
    }
    let Some(first) = pod.containers.first().and_then(|one| one.runs.first()) else { return };
    let (from, gone) = (first.from, pod.gone.unwrap_or(i64::MAX));
    // The traffic of a pod on the node's network is the node's; it counts from when the pod came all the same.
    let scale = if pod.host_network { 6.0 } else { 1.0 };
    let cores: i64 = pod.containers.iter().map(|one| one.cpu).sum();
    let receive = scale * cores.max(10) as f64 * pick(pod.seed, 8, 260.0, 900.0);
    let transmit = receive * pick(pod.seed, 9, 0.6, 2.4);
    // A pod whose neighbours spin answers late, and its queue overflows now and then.
    let none = Steps::default();
    let crowd = Pulse::with_first(numbers.pressed(&pod.node).unwrap_or(&none), 0.0, false);
    let drop = pick(pod.seed, 10, 0.0, 0.08).powi(2);
    let id = format!("/kubepods.slice/kubepods-pod{}.slice", pod.uid.replace('-', "_"));
    let raw = [
        ("id", id.as_str()),
        ("image", "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/pause:3.10"),
        ("interface", if pod.host_network { "ens5" } else { "eth0" }),
        ("namespace", &*pod.namespace),
        ("pod", &*pod.name),
    ];
    let base = secs(from);
    for (at, wanted) in wants.network.into_iter().enumerate() {
        let seed = pod.seed ^ (at as u64 + 64);
        sink.put(wanted, &target.scrape, &raw, |t| {
            if t < from || t >= gone {
                return None;
            }
            let now = secs(t);
            let flow = pulse.sum(now) - pulse.sum(base) + ahead(seed, now) - ahead(seed, base);
            Some(match at {
                0 => (receive * flow).floor(),
                1 => (transmit * flow).floor(),
                2 => (receive / 420.0 * flow).floor(),
                3 => (transmit / 510.0 * flow).floor(),
                _ => (drop * flow + 0.4 * (crowd.sum(now) - crowd.sum(base))).floor(),
            })
        });
    }
}
