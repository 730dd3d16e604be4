//! Nodes: node-exporter, the kubelet's own metrics and the volumes that it has mounted.
//!
//! What a node uses is the sum of what its pods use and a little of its own, so that its graphs agree with those of its
//! pods and with `kubectl top nodes`. Names and labels as node-exporter 1.9 and the kubelet of 1.33 expose them.

use std::sync::Arc;

use super::cadvisor::Pulses;
use super::pod_life::PodLife;
use super::sink::{Sink, histogram};
use super::targets::{Part, Target};
use super::wave::{Pulse, ahead, pick, secs, wander};
use super::work::Work;
use super::{Exporter, Metric, Numbers, counter, gauge, histogram as declared};
use crate::demo::types::Type;
use crate::demo::untyped::{milli, units};
use crate::demo::usage::SYSTEM;

/// node-exporter.
pub static EXPORTER: Exporter = Exporter { parts: &[Part::NodeExporter], metrics: METRICS, collect };

/// The kubelet.
pub static KUBELET: Exporter =
    Exporter { parts: &[Part::Kubelet], metrics: KUBELET_METRICS, collect: kubelet };

static METRICS: &[Metric] = &[
    gauge("node_uname_info", "Labeled system information as provided by the uname system call."),
    gauge("node_boot_time_seconds", "Node boot time, in unixtime."),
    gauge("node_time_seconds", "System time in seconds since epoch (1970)."),
    counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode."),
    gauge("node_load1", "1m load average."),
    gauge("node_load5", "5m load average."),
    gauge("node_load15", "15m load average."),
    gauge("node_memory_MemTotal_bytes", "Memory information field MemTotal_bytes."),
    gauge("node_memory_MemAvailable_bytes", "Memory information field MemAvailable_bytes."),
    gauge("node_memory_MemFree_bytes", "Memory information field MemFree_bytes."),
    gauge("node_memory_Cached_bytes", "Memory information field Cached_bytes."),
    gauge("node_memory_Buffers_bytes", "Memory information field Buffers_bytes."),
    counter("node_vmstat_pgmajfault", "/proc/vmstat information field pgmajfault."),
    gauge("node_filesystem_size_bytes", "Filesystem size in bytes."),
    gauge("node_filesystem_free_bytes", "Filesystem free space in bytes."),
    gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes."),
    gauge("node_filesystem_files", "Filesystem total file nodes."),
    gauge("node_filesystem_files_free", "Filesystem total free file nodes."),
    gauge("node_filesystem_readonly", "Filesystem read-only status."),
    counter("node_disk_read_bytes_total", "The total number of bytes read successfully."),
    counter("node_disk_written_bytes_total", "The total number of bytes written successfully."),
    counter("node_disk_reads_completed_total", "The total number of reads completed successfully."),
    counter("node_disk_writes_completed_total", "The total number of writes completed successfully."),
    counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os."),
    counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."),
    counter("node_network_receive_bytes_total", "Network device statistic receive_bytes."),
    counter("node_network_transmit_bytes_total", "Network device statistic transmit_bytes."),
    counter("node_network_receive_packets_total", "Network device statistic receive_packets."),
    counter("node_network_transmit_packets_total", "Network device statistic transmit_packets."),
    counter("node_network_receive_drop_total", "Network device statistic receive_drop."),
    counter("node_network_transmit_drop_total", "Network device statistic transmit_drop."),
    counter("node_network_receive_errs_total", "Network device statistic receive_errs."),
    counter("node_network_transmit_errs_total", "Network device statistic transmit_errs."),
    gauge("node_network_speed_bytes", "Network device property: speed_bytes"),
    counter("node_netstat_Tcp_OutSegs", "Statistic TcpOutSegs."),
    counter("node_netstat_Tcp_RetransSegs", "Statistic TcpRetransSegs."),
    gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise."),
    counter(
        "node_pressure_cpu_waiting_seconds_total",
        "Total time in seconds that processes have waited for CPU time",
    ),
    counter(
        "node_pressure_memory_waiting_seconds_total",
        "Total time in seconds that processes have waited for memory",
    ),
    gauge("node_timex_offset_seconds", "Time offset in between local system and reference clock."),
    gauge("node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no)."),
    gauge("node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking."),
    gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table."),
    counter("node_context_switches_total", "Total number of context switches."),
    gauge(
        "node_exporter_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which node_exporter was built.",
    ),
];

static KUBELET_METRICS: &[Metric] = &[
    gauge("kubelet_running_pods", "Number of pods that have a running pod sandbox"),
    gauge("kubelet_running_containers", "Number of containers currently running"),
    gauge("kubelet_node_name", "The node's name. The count is always 1."),
    counter("kubelet_runtime_operations_total", "Cumulative number of runtime operations by operation type."),
    counter(
        "kubelet_runtime_operations_errors_total",
        "Cumulative number of runtime operation errors by operation type.",
    ),
    declared(
        "kubelet_pod_start_duration_seconds",
        "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
    ),
    declared("kubelet_pleg_relist_duration_seconds", "Duration in seconds for relisting pods in PLEG."),
    gauge(
        "kubelet_certificate_manager_client_ttl_seconds",
        "Gauge of the TTL (time-to-live) of the Kubelet's client certificate.",
    ),
    gauge("kubelet_volume_stats_capacity_bytes", "Capacity in bytes of the volume"),
    gauge("kubelet_volume_stats_used_bytes", "Number of used bytes in the volume"),
    gauge("kubelet_volume_stats_available_bytes", "Number of available bytes in the volume"),
    gauge("kubelet_volume_stats_inodes", "Maximum number of inodes in the volume"),
    gauge("kubelet_volume_stats_inodes_used", "Number of used inodes in the volume"),
    gauge("kubelet_volume_stats_inodes_free", "Number of free inodes in the volume"),
    counter("storage_operation_duration_seconds_count", "Storage operation duration"),
    counter(
        "rest_client_requests_total",
        "Number of HTTP requests, partitioned by status code, method, and host.",
    ),
    gauge(
        "kubernetes_build_info",
        "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
    ),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
];

/// What a node does, summed over its pods.
struct Machine<'a> {
    pods: Vec<(&'a Arc<PodLife>, Pulse, Vec<Work>)>,
    cores: f64,
    memory: f64,
    base: f64,
    seed: u64,
}

impl<'a> Machine<'a> {
    fn of(numbers: &'a Numbers, target: &Target, pulses: &mut Pulses) -> Option<Self> {
        let life = numbers.facts.object(Type::Node, "", &target.name)?;
        let capacity = &life.latest()["status"]["capacity"];
        let pods = numbers
            .facts
            .pods_on(&target.name)
            .map(|pod| {
                let works = pod.containers.iter().map(|one| Work::of(numbers, pod, one)).collect();
                (pod, pulses.of(numbers, pod).clone(), works)
            })
            .collect();
        Some(Self {
            pods,
            cores: milli(&capacity["cpu"]) as f64 / 1000.0,
            memory: units(&capacity["memory"]) as f64,
            base: secs(life.created),
            seed: target.seed,
        })
    }

    /// Core seconds that were used since the node came up; what pods used that are gone stays counted.
    fn used(&self, t: i64) -> f64 {
        let now = secs(t);
        let own = SYSTEM.nanocores as f64 / 1e9
            * (now - self.base + 0.8 * (ahead(self.seed, now) - ahead(self.seed, self.base)));
        let pods: f64 = self
            .pods
            .iter()
            .flat_map(|(pod, pulse, works)| {
                let gone = pod.gone.unwrap_or(i64::MAX);
                pod.containers.iter().zip(works).flat_map(move |(one, work)| {
                    one.runs.iter().map(move |run| {
                        let end = run.to.unwrap_or(i64::MAX).min(gone).min(t);
                        // What ran before the node was there ran on another.
                        let from = run.from.max((self.base * 1000.0) as i64);
                        if end <= from { 0.0 } else { work.cpu(pulse, run, end) - work.cpu(pulse, run, from) }
                    })
                })
            })
            .sum();
        own + pods
    }

    /// Bytes in use.
    fn held(&self, t: i64) -> f64 {
        let pods: f64 = self
            .pods
            .iter()
            .filter(|(pod, ..)| pod.there(t))
            .flat_map(|(pod, pulse, works)| {
                pod.containers
                    .iter()
                    .zip(works)
                    .filter_map(move |(one, work)| one.run(t).map(|run| work.memory(pulse, run, t)))
            })
            .sum();
        (pods + SYSTEM.bytes as f64).min(self.memory * 0.985)
    }

    fn rate(&self, t: i64, window: i64) -> f64 {
        (self.used(t) - self.used(t - window * 1000)) / window as f64
    }

    /// A flow of so many units a second, with noise of its own.
    fn flow(&self, which: u64, rate: f64, t: i64) -> f64 {
        let seed = self.seed ^ (which << 8);
        let now = secs(t);
        rate * (now - self.base + ahead(seed, now) - ahead(seed, self.base))
    }
}

/// Modes of a CPU and the part of the busy time that each has; the rest is idle.
const MODES: [(&str, f64); 7] = [
    ("user", 0.715),
    ("system", 0.215),
    ("softirq", 0.035),
    ("irq", 0.0),
    ("iowait", 0.025),
    ("steal", 0.01),
    ("nice", 0.0),
];

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    let mut pulses = Pulses::default();
    let asked = |prefix: &str| {
        METRICS.iter().any(|metric| metric.name.starts_with(prefix) && sink.named(metric.name))
    };
    let (cpu, memory, load, disk, filesystem, network) = (
        asked("node_cpu") || asked("node_pressure_cpu"),
        asked("node_memory"),
        asked("node_load"),
        asked("node_disk"),
        asked("node_filesystem"),
        asked("node_network"),
    );
    for target in numbers.of_part(Part::NodeExporter) {
        if !sink.may_scrape(&target.scrape) {
            continue;
        }
        let Some(machine) = Machine::of(numbers, target, &mut pulses) else { continue };
        let scrape = &target.scrape;
        let span = target.span;
        let there = |t: i64| target.there(t) && secs(t) >= machine.base;
        let uname = [
            ("domainname", "(none)"),
            ("machine", "x86_64"),
            ("nodename", &*target.name),
            ("release", "6.1.141-155.222.amzn2023.x86_64"),
            ("sysname", "Linux"),
            ("version", "#1 SMP PREEMPT_DYNAMIC"),
        ];
        sink.fixed(sink.metric("node_uname_info"), scrape, &uname, span, 1.0);
        let build = [
            ("branch", "HEAD"),
            ("goos", "linux"),
            ("goarch", "amd64"),
            ("goversion", "go1.23.7"),
            ("version", "1.9.1"),
        ];
        sink.fixed(sink.metric("node_exporter_build_info"), scrape, &build, span, 1.0);
        sink.fixed(sink.metric("node_boot_time_seconds"), scrape, &[], span, machine.base - 18.0);
        sink.put(sink.metric("node_time_seconds"), scrape, &[], |t| there(t).then(|| secs(t)));
        sink.fixed(sink.metric("node_timex_sync_status"), scrape, &[], span, 1.0);
        sink.put(sink.metric("node_timex_offset_seconds"), scrape, &[], |t| {
            there(t).then(|| (wander(machine.seed, secs(t)) - 0.5) * 4e-4)
        });
        sink.put(sink.metric("node_nf_conntrack_entries"), scrape, &[], |t| {
            there(t).then(|| {
                (machine.pods.len() as f64 * (18.0 + 30.0 * wander(machine.seed ^ 5, secs(t)))).round()
            })
        });
        sink.fixed(sink.metric("node_nf_conntrack_entries_limit"), scrape, &[], span, 131_072.0);
        sink.put(sink.metric("node_context_switches_total"), scrape, &[], |t| {
            there(t).then(|| machine.flow(9, 9_000.0, t).floor())
        });
        if cpu {
            processors(sink, target, &machine, &there);
            let crowd =
                Pulse::with_first(&numbers.pressed(&target.name).cloned().unwrap_or_default(), 0.0, false);
            sink.put(sink.metric("node_pressure_cpu_waiting_seconds_total"), scrape, &[], |t| {
                there(t).then(|| {
                    machine.flow(11, 0.018, t) + 0.8 * (crowd.sum(secs(t)) - crowd.sum(machine.base))
                })
            });
        }
        sink.put(sink.metric("node_pressure_memory_waiting_seconds_total"), scrape, &[], |t| {
            there(t).then(|| machine.flow(12, 0.0004, t))
        });
        if load {
            for (metric, window) in [("node_load1", 60), ("node_load5", 300), ("node_load15", 900)] {
                sink.put(sink.metric(metric), scrape, &[], |t| {
                    let busy = (t - window * 1000).max((machine.base * 1000.0) as i64 + 1_000);
                    (there(t) && t > busy).then(|| {
                        let rate = machine.rate(t, ((t - busy) / 1000).max(1));
                        (rate * 1.35 + 0.12) * (0.95 + 0.1 * wander(machine.seed ^ 6, secs(t)))
                    })
                });
            }
        }
        if memory {
            let total = machine.memory;
            sink.fixed(sink.metric("node_memory_MemTotal_bytes"), scrape, &[], span, total);
            let cached = |t: i64| ((total - machine.held(t)) * 0.55).max(0.0).floor();
            let available = |t: i64| (total - machine.held(t)).floor();
            sink.put(sink.metric("node_memory_MemAvailable_bytes"), scrape, &[], |t| {
                there(t).then(|| available(t))
            });
            sink.put(sink.metric("node_memory_Cached_bytes"), scrape, &[], |t| there(t).then(|| cached(t)));
            sink.put(sink.metric("node_memory_MemFree_bytes"), scrape, &[], |t| {
                there(t).then(|| ((total - machine.held(t)) * 0.42).floor())
            });
            sink.fixed(sink.metric("node_memory_Buffers_bytes"), scrape, &[], span, 2_211_840.0);
        }
        for (at, (metric, rate)) in
            [("node_netstat_Tcp_OutSegs", 240.0), ("node_netstat_Tcp_RetransSegs", 0.11)]
                .into_iter()
                .enumerate()
        {
            sink.put(sink.metric(metric), scrape, &[], |t| {
                there(t).then(|| machine.flow(70 + at as u64, rate, t).floor())
            });
        }
        sink.put(sink.metric("node_vmstat_pgmajfault"), scrape, &[], |t| {
            there(t).then(|| machine.flow(13, 0.4, t).floor())
        });
        if filesystem {
            filesystems(sink, target, &machine, &there);
        }
        if disk {
            let device = [("device", "nvme0n1")];
            for (at, (metric, rate)) in [
                ("node_disk_read_bytes_total", 38_000.0),
                ("node_disk_written_bytes_total", 410_000.0),
                ("node_disk_reads_completed_total", 2.1),
                ("node_disk_writes_completed_total", 46.0),
                ("node_disk_io_time_seconds_total", 0.021),
                ("node_disk_io_time_weighted_seconds_total", 0.04),
            ]
            .into_iter()
            .enumerate()
            {
                let scale = pick(machine.seed, 20, 0.6, 1.8);
                sink.put(sink.metric(metric), scrape, &device, |t| {
                    there(t).then(|| machine.flow(20 + at as u64, rate * scale, t))
                });
            }
        }
        if network {
            let device = [("device", "ens5")];
            let pods = machine.pods.iter().filter(|(pod, ..)| pod.gone.is_none()).count() as f64;
            for (at, (metric, rate)) in [
                ("node_network_receive_bytes_total", 52_000.0),
                ("node_network_transmit_bytes_total", 71_000.0),
                ("node_network_receive_packets_total", 118.0),
                ("node_network_transmit_packets_total", 131.0),
                ("node_network_receive_drop_total", 0.000_02),
                ("node_network_transmit_drop_total", 0.0),
                ("node_network_receive_errs_total", 0.0),
                ("node_network_transmit_errs_total", 0.0),
            ]
            .into_iter()
            .enumerate()
            {
                sink.put(sink.metric(metric), scrape, &device, |t| {
                    there(t).then(|| machine.flow(40 + at as u64, rate * pods.max(1.0), t).floor())
                });
            }
            sink.fixed(sink.metric("node_network_up"), scrape, &device, span, 1.0);
            // Ten gigabits a second.
            sink.fixed(sink.metric("node_network_speed_bytes"), scrape, &device, span, 1.25e9);
        }
    }
}

fn processors(sink: &mut Sink<'_>, target: &Target, machine: &Machine<'_>, there: &dyn Fn(i64) -> bool) {
    let metric = sink.metric("node_cpu_seconds_total");
    if metric.is_none() {
        return;
    }
    let count = machine.cores.max(1.0) as usize;
    // The sum over pods is the same for every core and mode: once a moment is enough.
    let used: std::collections::HashMap<i64, f64> =
        sink.times().iter().filter(|t| there(**t)).map(|t| (*t, machine.used(*t))).collect();
    for core in 0..count {
        let number = core.to_string();
        if !sink.may("cpu", &number) {
            continue;
        }
        // Cores differ a little, and the differences cancel out.
        let lean =
            pick(machine.seed, 60 + core as i64 / 2, -0.12, 0.12) * if core % 2 == 0 { 1.0 } else { -1.0 };
        let lean = if count.is_multiple_of(2) { lean } else { 0.0 };
        for (mode, part) in MODES.into_iter().chain([("idle", 0.0)]) {
            if !sink.may("mode", mode) {
                continue;
            }
            sink.put(metric, &target.scrape, &[("cpu", &number), ("mode", mode)], |t| {
                let busy = used.get(&t)? / count as f64 * (1.0 + lean);
                let up = secs(t) - machine.base;
                let busy = busy.min(up * 0.995);
                Some(if mode == "idle" { up - busy } else { busy * part })
            });
        }
    }
}

fn filesystems(sink: &mut Sink<'_>, target: &Target, machine: &Machine<'_>, there: &dyn Fn(i64) -> bool) {
    let size = 80.0 * f64::from(1 << 30) * 0.9966;
    let labels = [("device", "/dev/nvme0n1p1"), ("fstype", "xfs"), ("mountpoint", "/")];
    let used = |t: i64| {
        // Images and logs: a third at first, and some more with every day until the kubelet clears it out.
        let age = (secs(t) - machine.base) / 86_400.0;
        size * (0.24
            + pick(machine.seed, 30, 0.02, 0.12)
            + 0.012 * (age % 16.0)
            + 0.01 * wander(machine.seed ^ 31, secs(t)))
    };
    let scrape = &target.scrape;
    sink.fixed(sink.metric("node_filesystem_size_bytes"), scrape, &labels, target.span, size.floor());
    for metric in ["node_filesystem_free_bytes", "node_filesystem_avail_bytes"] {
        sink.put(sink.metric(metric), scrape, &labels, |t| there(t).then(|| (size - used(t)).floor()));
    }
    let files = 41_942_512.0;
    sink.fixed(sink.metric("node_filesystem_files"), scrape, &labels, target.span, files);
    sink.put(sink.metric("node_filesystem_files_free"), scrape, &labels, |t| {
        there(t).then(|| (files * (1.0 - 0.12 * used(t) / size)).floor())
    });
    sink.fixed(sink.metric("node_filesystem_readonly"), scrape, &labels, target.span, 0.0);
}

/// A volume that pods of one claim have mounted, over time.
#[derive(Debug)]
pub struct Volume {
    /// Bytes that it holds, in steps, for it can be grown.
    sizes: Vec<(i64, f64)>,
    /// Runs of containers that fill it.
    fills: Vec<(i64, i64)>,
    seed: u64,
}

/// Bytes a second that a container writes that fills its volume: ten gibibytes in a quarter of an hour.
pub const FILLING: f64 = 12.0e6;

impl Volume {
    /// Finds out about a claim; `None` where there is none.
    pub fn of(numbers: &Numbers, namespace: &str, claim: &str) -> Option<Self> {
        let life = numbers.facts.object(Type::PersistentVolumeClaim, namespace, claim)?;
        let size = |value: &serde_json::Value| {
            let now = units(&value["status"]["capacity"]["storage"]);
            let asked = units(&value["spec"]["resources"]["requests"]["storage"]);
            (if now > 0 { now } else { asked }) as f64 * 0.9743
        };
        let sizes = life.states.iter().map(|state| (state.0, size(&state.1))).collect();
        let fills = numbers
            .facts
            .pods(Some(namespace), i64::MIN, i64::MAX)
            .filter(|pod| pod.claims.iter().any(|one| **one == *claim))
            .flat_map(|pod| {
                let gone = pod.gone.unwrap_or(i64::MAX);
                pod.containers
                    .iter()
                    .filter(|one| numbers.behaviour(&one.image) == crate::demo::images::Behaviour::Full)
                    .flat_map(|one| &one.runs)
                    .map(move |run| (run.from, run.to.unwrap_or(i64::MAX).min(gone)))
            })
            .collect();
        Some(Self {
            sizes,
            fills,
            seed: crate::demo::world::fnv64(format!("{namespace}/{claim}").as_bytes()),
        })
    }

    /// Returns its size in bytes.
    pub fn size(&self, t: i64) -> f64 {
        let after = self.sizes.partition_point(|size| size.0 <= t);
        self.sizes.get(after.max(1) - 1).map_or(0.0, |size| size.1)
    }

    /// Returns the bytes in use.
    pub fn used(&self, t: i64) -> f64 {
        let first = self.sizes.first().map_or(0.0, |size| size.1);
        let usual = first * (pick(self.seed, 1, 0.22, 0.58) + 0.03 * (wander(self.seed, secs(t)) - 0.5));
        let mut written: f64 = 0.0;
        // Nothing is written to a full volume; so the time counts in which there was room, size by size.
        for (at, (from, size)) in self.sizes.iter().enumerate() {
            let until = self.sizes.get(at + 1).map_or(t, |next| next.0.min(t));
            let time: i64 =
                self.fills.iter().map(|fill| (fill.1.min(until) - fill.0.max(*from)).max(0)).sum();
            let room = (size - first * (pick(self.seed, 1, 0.22, 0.58) - 0.02)).max(written);
            written = (written + FILLING * secs(time)).min(room);
        }
        (usual + written).min(self.size(t))
    }

    /// Returns whether there is no room left.
    pub fn is_full(&self, t: i64) -> bool {
        self.used(t) > self.size(t) * 0.9995
    }
}

fn kubelet(numbers: &Numbers, sink: &mut Sink<'_>) {
    let volumes = KUBELET_METRICS
        .iter()
        .any(|metric| metric.name.starts_with("kubelet_volume_stats") && sink.named(metric.name));
    let started = histogram!(sink, "kubelet_pod_start_duration_seconds");
    let relist = histogram!(sink, "kubelet_pleg_relist_duration_seconds");
    for target in numbers.of_part(Part::Kubelet) {
        if !sink.may_scrape(&target.scrape) {
            continue;
        }
        let scrape = &target.scrape;
        let there = |t: i64| target.there(t);
        let base = secs(target.span.0);
        let flow = |which: u64, rate: f64, t: i64| {
            let seed = target.seed ^ (which << 16);
            rate * (secs(t) - base + ahead(seed, secs(t)) - ahead(seed, base))
        };
        let pods: Vec<&Arc<PodLife>> = numbers.facts.pods_on(&target.name).collect();
        sink.put(sink.metric("kubelet_running_pods"), scrape, &[], |t| {
            let running =
                |pod: &&&Arc<PodLife>| pod.containers.iter().any(|one| one.run(t).is_some()) && pod.there(t);
            there(t).then(|| pods.iter().filter(running).count() as f64)
        });
        sink.put(sink.metric("kubelet_running_containers"), scrape, &[("container_state", "running")], |t| {
            let count = pods.iter().filter(|pod| pod.there(t)).flat_map(|pod| pod.containers.iter());
            there(t).then(|| count.filter(|one| one.run(t).is_some()).count() as f64)
        });
        sink.fixed(sink.metric("kubelet_node_name"), scrape, &[("node", &*target.name)], target.span, 1.0);
        for (at, (operation, rate)) in [
            ("container_status", 0.9),
            ("list_containers", 1.1),
            ("podsandbox_status", 0.5),
            ("create_container", 0.002),
        ]
        .into_iter()
        .enumerate()
        {
            let labels = [("operation_type", operation)];
            sink.put(sink.metric("kubelet_runtime_operations_total"), scrape, &labels, |t| {
                there(t).then(|| flow(at as u64, rate, t).floor())
            });
        }
        sink.put(
            sink.metric("kubelet_runtime_operations_errors_total"),
            scrape,
            &[("operation_type", "container_status")],
            |t| there(t).then(|| flow(7, 0.000_4, t).floor()),
        );
        let quick = (2.4, 0.6);
        let bounds = [0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0, 30.0, 45.0, 60.0];
        let begun = |t: i64| {
            let known =
                pods.iter().filter(|pod| pod.created <= t && pod.created > numbers.facts.begin).count();
            known as f64 + flow(8, 0.001, t)
        };
        sink.histogram(
            started,
            scrape,
            &[],
            &bounds,
            |t, bound| there(t).then(|| begun(t) * super::ingress::within(bound, quick)),
            |t| there(t).then(|| begun(t) * super::ingress::mean(quick)),
        );
        let list = (0.006, 0.5);
        sink.histogram(
            relist,
            scrape,
            &[],
            &super::ingress::SECONDS,
            |t, bound| there(t).then(|| flow(9, 1.0, t) * super::ingress::within(bound, list)),
            |t| there(t).then(|| flow(9, 1.0, t) * super::ingress::mean(list)),
        );
        sink.put(sink.metric("kubelet_certificate_manager_client_ttl_seconds"), scrape, &[], |t| {
            // A year long, renewed when a fifth is left.
            there(t).then(|| 31_536_000.0 - (secs(t) - base) % 25_228_800.0)
        });
        for (code, rate) in [("200", 2.1), ("201", 0.12), ("403", 0.0)] {
            let labels = [
                ("code", code),
                ("host", "172.20.0.1:443"),
                ("method", if code == "201" { "POST" } else { "GET" }),
            ];
            sink.put(sink.metric("rest_client_requests_total"), scrape, &labels, |t| {
                (there(t) && rate > 0.0).then(|| flow(10, rate, t).floor())
            });
        }
        let build = [
            ("git_version", "v1.33.1-eks-b9364f6"),
            ("major", "1"),
            ("minor", "33"),
            ("platform", "linux/amd64"),
        ];
        sink.fixed(sink.metric("kubernetes_build_info"), scrape, &build, target.span, 1.0);
        sink.put(sink.metric("process_cpu_seconds_total"), scrape, &[], |t| {
            there(t).then(|| flow(12, 0.031, t))
        });
        sink.put(sink.metric("process_resident_memory_bytes"), scrape, &[], |t| {
            there(t).then(|| (88e6 + 24e6 * wander(target.seed, secs(t))).floor())
        });
        sink.fixed(sink.metric("process_start_time_seconds"), scrape, &[], target.span, base);
        let operation = [
            ("operation_name", "volume_mount"),
            ("status", "success"),
            ("volume_plugin", "kubernetes.io/csi:ebs.csi.aws.com"),
        ];
        sink.put(sink.metric("storage_operation_duration_seconds_count"), scrape, &operation, |t| {
            there(t).then(|| flow(13, 0.000_3, t).floor())
        });
        if volumes {
            for pod in pods.iter().filter(|pod| !pod.claims.is_empty()) {
                if !sink.may("namespace", &pod.namespace) {
                    continue;
                }
                for claim in &pod.claims {
                    if sink.may("persistentvolumeclaim", claim) {
                        mounted(numbers, sink, target, pod, claim);
                    }
                }
            }
        }
    }
}

fn mounted(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target, pod: &PodLife, claim: &str) {
    let Some(volume) = Volume::of(numbers, &pod.namespace, claim) else { return };
    let labels = [("namespace", &*pod.namespace), ("persistentvolumeclaim", claim)];
    let there = |t: i64| pod.state(t).is_some_and(|state| state.bound && &*state.phase == "Running");
    let mut put = |metric: &'static str, read: &dyn Fn(i64) -> f64| {
        sink.put(sink.metric(metric), &target.scrape, &labels, |t| there(t).then(|| read(t).floor()));
    };
    put("kubelet_volume_stats_capacity_bytes", &|t| volume.size(t));
    put("kubelet_volume_stats_used_bytes", &|t| volume.used(t));
    put("kubelet_volume_stats_available_bytes", &|t| volume.size(t) - volume.used(t));
    // One inode for every sixteen kibibytes, as ext4 is made.
    put("kubelet_volume_stats_inodes", &|t| volume.size(t) / 16_384.0);
    put("kubelet_volume_stats_inodes_used", &|t| volume.used(t) / 180_000.0 + 11.0);
    put("kubelet_volume_stats_inodes_free", &|t| {
        volume.size(t) / 16_384.0 - volume.used(t) / 180_000.0 - 11.0
    });
}
