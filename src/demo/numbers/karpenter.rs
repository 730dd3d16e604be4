//! Karpenter: pools and their limits, nodes and what is requested on them, disruptions, pods and prices.
//!
//! Names and labels as contracts 2.6 lists them. Two replicas run; the leader tells.

use std::collections::BTreeMap;

use super::control_plane::process;
use super::ingress::{mean, within};
use super::sink::{Sink, histogram};
use super::targets::{Part, Target};
use super::wave::{ahead, pick, secs, wander};
use super::{Exporter, Metric, Numbers, counter, gauge, histogram as declared};
use crate::demo::nodes::{INSTANCES, ZONES};
use crate::demo::types::Type;
use crate::demo::untyped::{at, list, milli, text};

/// The exporter.
pub static EXPORTER: Exporter = Exporter { parts: &[Part::Karpenter], metrics: METRICS, collect };

static METRICS: &[Metric] = &[
    gauge(
        "karpenter_build_info",
        "A metric with a constant '1' value labeled by version from which karpenter was built.",
    ),
    counter(
        "karpenter_nodeclaims_created_total",
        "Number of nodeclaims created in total by Karpenter. Labeled by reason the nodeclaim was created, the owning nodepool, and if min_values was relaxed for this nodeclaim.",
    ),
    counter(
        "karpenter_nodeclaims_terminated_total",
        "Number of nodeclaims terminated in total by Karpenter. Labeled by the owning nodepool.",
    ),
    counter(
        "karpenter_nodeclaims_disrupted_total",
        "Number of nodeclaims disrupted in total by Karpenter. Labeled by reason the nodeclaim was disrupted and the owning nodepool.",
    ),
    gauge("karpenter_nodes_allocatable", "Node allocatable are the resources allocatable by nodes."),
    gauge(
        "karpenter_nodes_total_pod_requests",
        "Node total pod requests are the resources requested by pods bound to nodes, including the DaemonSet pods.",
    ),
    gauge(
        "karpenter_nodes_total_pod_limits",
        "Node total pod limits are the resources specified by pod limits, including the DaemonSet pods.",
    ),
    gauge(
        "karpenter_nodes_total_daemon_requests",
        "Node total daemon requests are the resource requested by DaemonSet pods bound to nodes.",
    ),
    gauge(
        "karpenter_nodes_total_daemon_limits",
        "Node total daemon limits are the resources specified by DaemonSet pod limits.",
    ),
    gauge(
        "karpenter_nodes_system_overhead",
        "Node system daemon overhead are the resources reserved for system overhead, the difference between the node's capacity and allocatable values are reported by the status.",
    ),
    gauge("karpenter_nodes_current_lifetime_seconds", "Node age in seconds"),
    gauge(
        "karpenter_nodepools_limit",
        "Limits specified on the nodepool that restrict the quantity of resources provisioned. Labeled by nodepool name and resource type.",
    ),
    gauge(
        "karpenter_nodepools_usage",
        "The amount of resources that have been provisioned for a nodepool. Labeled by nodepool name and resource type.",
    ),
    gauge(
        "karpenter_nodepools_allowed_disruptions",
        "The number of nodes for a given NodePool that can be concurrently disrupting at a point in time. Labeled by NodePool. Note that allowed disruptions can change very rapidly, as new nodes may be created and others may be deleted at any point.",
    ),
    gauge(
        "karpenter_nodepools_nodes_consuming_budgets",
        "The number of nodes for a given NodePool that are currently consuming disruption budgets.",
    ),
    gauge("karpenter_nodepools_cost_total", "The total cost of the nodes of a nodepool in dollars an hour."),
    gauge(
        "karpenter_pods_state",
        "Pod state is the current state of pods. This metric can be used several ways as it is labeled by the pod name, namespace, owner, node, nodepool name, zone, architecture, capacity type, instance type and pod phase.",
    ),
    declared(
        "karpenter_pods_startup_duration_seconds",
        "The time from pod creation until the pod is running.",
    ),
    declared("karpenter_pods_bound_duration_seconds", "The time from pod creation until the pod is bound."),
    counter(
        "karpenter_interruption_received_messages_total",
        "Count of messages received from the SQS queue. Broken down by message type and whether the message was actionable.",
    ),
    counter(
        "karpenter_pods_drained_total",
        "The total number of pods drained during node termination by Karpenter, labeled by reason",
    ),
    counter(
        "karpenter_pods_eviction_requests_total",
        "The total number of eviction requests made by Karpenter, labeled by code",
    ),
    counter(
        "karpenter_voluntary_disruption_decisions_total",
        "Number of disruption decisions performed. Labeled by disruption decision, reason, and consolidation type.",
    ),
    gauge(
        "karpenter_voluntary_disruption_eligible_nodes",
        "Number of nodes eligible for disruption by Karpenter. Labeled by disruption reason.",
    ),
    counter(
        "karpenter_voluntary_disruption_queue_failures_total",
        "The number of times that an enqueued disruption decision failed. Labeled by disruption method.",
    ),
    counter(
        "karpenter_voluntary_disruption_consolidation_timeouts_total",
        "Number of times the Consolidation algorithm has reached a timeout. Labeled by consolidation type.",
    ),
    gauge("karpenter_scheduler_unschedulable_pods_count", "The number of unschedulable Pods."),
    gauge("karpenter_scheduler_queue_depth", "The number of pods currently waiting to be scheduled."),
    gauge("karpenter_scheduler_ignored_pods_count", "Number of pods ignored during scheduling by Karpenter"),
    declared(
        "karpenter_scheduler_scheduling_duration_seconds",
        "Duration of scheduling simulations used for deprovisioning and provisioning in seconds.",
    ),
    gauge(
        "karpenter_cloudprovider_instance_type_offering_price_estimate",
        "Instance type offering estimated hourly price used when making informed decisions on node cost calculation, based on instance type, capacity type, and zone.",
    ),
    gauge(
        "karpenter_cloudprovider_instance_type_offering_available",
        "Instance type offering availability, based on instance type, capacity type, and zone",
    ),
    gauge("karpenter_cluster_utilization_percent", "Utilization of allocatable resources by pod requests"),
    gauge("operator_nodeclaim_status_condition_count", "The number of a condition for a nodeclaim"),
    gauge("operator_nodepool_status_condition_count", "The number of a condition for a nodepool"),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
];

/// One of the sums.
type Amount = fn(&Asked) -> f64;

/// Sum of what pods on a node ask for at a moment.
#[derive(Default, Clone, Copy)]
struct Asked {
    cpu: f64,
    memory: f64,
    cpu_limit: f64,
    memory_limit: f64,
    pods: f64,
}

fn collect(numbers: &Numbers, sink: &mut Sink<'_>) {
    // The oldest replica that is there holds the lease; its history is the history.
    let Some(target) = numbers.single(Part::Karpenter) else { return };
    for replica in numbers.of_part(Part::Karpenter).filter(|replica| replica.span.1 > numbers.now) {
        if sink.may_scrape(&replica.scrape) {
            let build =
                [("version", "1.5.0"), ("goversion", "go1.24.3"), ("goarch", "amd64"), ("commit", "c2ff8a0")];
            sink.fixed(sink.metric("karpenter_build_info"), &replica.scrape, &build, replica.span, 1.0);
            process(numbers, sink, replica, 0.06, 260e6);
        }
    }
    if !sink.may_scrape(&target.scrape) {
        return;
    }
    claims(numbers, sink, target);
    nodes(numbers, sink, target);
    pools(numbers, sink, target);
    pods(numbers, sink, target);
    prices(sink, target);
}

fn claims(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let created = sink.metric("karpenter_nodeclaims_created_total");
    let terminated = sink.metric("karpenter_nodeclaims_terminated_total");
    let disrupted = sink.metric("karpenter_nodeclaims_disrupted_total");
    let decisions = sink.metric("karpenter_voluntary_disruption_decisions_total");
    let mut of_pool: BTreeMap<(&str, &str), Vec<&super::chronicle::Life>> = BTreeMap::new();
    for (_, life) in numbers.facts.objects(Type::NodeClaim) {
        let labels = &life.latest()["metadata"]["labels"];
        let get = |name: &str| labels[name].as_str().unwrap_or_default();
        of_pool
            .entry((get("karpenter.sh/nodepool"), get("karpenter.sh/capacity-type")))
            .or_default()
            .push(life);
    }
    for ((pool, capacity), claims) in &of_pool {
        let seed = crate::demo::world::fnv64(pool.as_bytes());
        let before = pick(seed, 1, 30.0, 140.0).floor();
        let begin = numbers.facts.begin;
        let count = |times: &dyn Fn(&super::chronicle::Life) -> Option<i64>, t: i64| {
            claims.iter().filter_map(|life| times(life)).filter(|at| *at > begin && *at <= t).count() as f64
        };
        let labels = [("nodepool", *pool), ("reason", "provisioned"), ("capacity_type", *capacity)];
        sink.put(created, &target.scrape, &labels, |t| {
            Some(before + claims.len() as f64 + count(&|life| Some(life.created), t))
        });
        sink.put(terminated, &target.scrape, &[("nodepool", *pool), ("capacity_type", *capacity)], |t| {
            Some(before + count(&|life| life.gone, t))
        });
        for (reason, part) in
            [("Underutilized", 0.5), ("Empty", 0.2), ("Drifted", 0.2), ("spot_interrupted", 0.1)]
        {
            if reason == "spot_interrupted" && *capacity != "spot" {
                continue;
            }
            let why = |life: &super::chronicle::Life| -> Option<i64> {
                let found = life.states.iter().find_map(|state| {
                    list(&state.1, "/status/conditions")
                        .iter()
                        .find(|one| one["type"] == "DisruptionReason" && one["status"] == "True")
                        .map(|one| (state.0, text(one, "/reason").to_owned()))
                });
                match found {
                    Some((at, given)) => (given == reason).then_some(at),
                    // Without a reason it was not Karpenter's own wish: the cloud took it.
                    None => life.gone.filter(|_| reason == "spot_interrupted"),
                }
            };
            let labels = [
                ("nodepool", *pool),
                ("reason", reason),
                ("capacity_type", *capacity),
                ("consolidation_policy", "WhenEmptyOrUnderutilized"),
                ("termination_mode", "graceful"),
            ];
            let earlier = (before * part).floor();
            sink.put(disrupted, &target.scrape, &labels, |t| Some(earlier + count(&why, t)));
            if reason != "spot_interrupted" {
                let labels = [("consolidation_type", "multi"), ("decision", "delete"), ("reason", reason)];
                if *capacity == "spot" {
                    sink.put(decisions, &target.scrape, &labels, |t| Some(earlier + count(&why, t)));
                }
            }
        }
    }
    let there = |t: i64| target.there(t);
    for reason in ["underutilized", "empty", "drifted"] {
        sink.put(
            sink.metric("karpenter_voluntary_disruption_eligible_nodes"),
            &target.scrape,
            &[("reason", reason)],
            |t| {
                there(t).then(|| {
                    if reason == "underutilized" { (2.0 * wander(target.seed, secs(t))).round() } else { 0.0 }
                })
            },
        );
    }
    sink.fixed(
        sink.metric("karpenter_voluntary_disruption_queue_failures_total"),
        &target.scrape,
        &[("method", "consolidation")],
        target.span,
        0.0,
    );
    sink.fixed(
        sink.metric("karpenter_voluntary_disruption_consolidation_timeouts_total"),
        &target.scrape,
        &[("consolidation_type", "multi")],
        target.span,
        1.0,
    );
    let conditions = sink.metric("operator_nodeclaim_status_condition_count");
    if conditions.is_some() {
        for kind in ["Launched", "Registered", "Initialized", "Ready", "Consolidatable", "Drifted"] {
            for status in ["True", "False", "Unknown"] {
                let labels = [("type", kind), ("status", status)];
                sink.put(conditions, &target.scrape, &labels, |t| {
                    let is = |life: &super::chronicle::Life| {
                        life.at(t).is_some_and(|claim| {
                            list(claim, "/status/conditions")
                                .iter()
                                .any(|one| one["type"] == kind && one["status"] == status)
                        })
                    };
                    let count = numbers.facts.objects(Type::NodeClaim).filter(|(_, life)| is(life)).count();
                    (count > 0).then_some(count as f64)
                });
            }
        }
    }
    for (key, life) in numbers.facts.objects(Type::NodePool) {
        for (kind, status) in [("Ready", "True"), ("Ready", "False")] {
            let labels = [("name", &*key.name), ("type", kind), ("status", status)];
            sink.put(sink.metric("operator_nodepool_status_condition_count"), &target.scrape, &labels, |t| {
                life.there(t).then_some(f64::from(u8::from(status == "True")))
            });
        }
    }
}

fn nodes(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let asked = METRICS.iter().any(|metric| {
        (metric.name.starts_with("karpenter_nodes_")
            || metric.name == "karpenter_cluster_utilization_percent")
            && sink.named(metric.name)
    });
    if !asked {
        return;
    }
    let mut whole: BTreeMap<i64, [f64; 4]> = BTreeMap::new();
    for (key, life) in numbers.facts.objects(Type::Node) {
        let latest = life.latest();
        let labels = &latest["metadata"]["labels"];
        let get = |name: &str| labels[name].as_str().unwrap_or_default();
        let pool = get("karpenter.sh/nodepool");
        if !sink.may("node_name", &key.name) || !sink.may("nodepool", pool) {
            continue;
        }
        let raw = [
            ("arch", "amd64"),
            ("capacity_type", get("karpenter.sh/capacity-type")),
            ("instance_type", get("node.kubernetes.io/instance-type")),
            ("node_name", &*key.name),
            ("nodepool", pool),
            ("os", "linux"),
            ("region", "eu-west-1"),
            ("zone", get("topology.kubernetes.io/zone")),
        ];
        let amount = |part: &str, what: &str| milli(&latest["status"][part][what]) as f64 / 1000.0;
        let pods: Vec<_> = numbers.facts.pods_on(&key.name).collect();
        let sum = |t: i64, daemons: bool| {
            let mut all = Asked::default();
            for pod in pods.iter().filter(|pod| !daemons || &*pod.owner.0 == "DaemonSet") {
                let Some(state) = pod.state(t) else { continue };
                if !state.bound || matches!(&*state.phase, "Succeeded" | "Failed") {
                    continue;
                }
                all.pods += 1.0;
                for one in &pod.containers {
                    all.cpu += one.cpu as f64 / 1000.0;
                    all.memory += one.memory as f64;
                    all.cpu_limit += one.cpu_limit as f64 / 1000.0;
                    all.memory_limit += one.memory_limit as f64;
                }
            }
            all
        };
        let resource: [(&str, &str, Amount, Amount); 3] = [
            ("cpu", "cpu", |all| all.cpu, |all| all.cpu_limit),
            ("memory", "memory", |all| all.memory, |all| all.memory_limit),
            ("pods", "pods", |all| all.pods, |all| all.pods),
        ];
        let there = |t: i64| life.there(t);
        for (name, field, request, limit) in resource {
            if !sink.may("resource_type", name) {
                continue;
            }
            let labels: Vec<(&str, &str)> = raw.iter().copied().chain([("resource_type", name)]).collect();
            let scrape = &target.scrape;
            let free = amount("allocatable", field);
            sink.fixed(sink.metric("karpenter_nodes_allocatable"), scrape, &labels, life.span(), free);
            let overhead = amount("capacity", field) - free;
            sink.fixed(
                sink.metric("karpenter_nodes_system_overhead"),
                scrape,
                &labels,
                life.span(),
                overhead,
            );
            for (metric, daemons, read) in [
                ("karpenter_nodes_total_pod_requests", false, request),
                ("karpenter_nodes_total_pod_limits", false, limit),
                ("karpenter_nodes_total_daemon_requests", true, request),
                ("karpenter_nodes_total_daemon_limits", true, limit),
            ] {
                sink.put(sink.metric(metric), scrape, &labels, |t| there(t).then(|| read(&sum(t, daemons))));
            }
        }
        if !pool.is_empty() {
            sink.put(sink.metric("karpenter_nodes_current_lifetime_seconds"), &target.scrape, &raw, |t| {
                there(t).then(|| secs(t) - secs(life.created))
            });
        }
        if sink.named("karpenter_cluster_utilization_percent") {
            for t in sink.times().to_vec() {
                if there(t) {
                    let all = sum(t, false);
                    let entry = whole.entry(t).or_default();
                    entry[0] += all.cpu;
                    entry[1] += amount("allocatable", "cpu");
                    entry[2] += all.memory;
                    entry[3] += amount("allocatable", "memory");
                }
            }
        }
    }
    for (name, at) in [("cpu", 0), ("memory", 2)] {
        let metric = sink.metric("karpenter_cluster_utilization_percent");
        sink.put(metric, &target.scrape, &[("resource_type", name)], |t| {
            whole.get(&t).filter(|sums| sums[at + 1] > 0.0).map(|sums| 100.0 * sums[at] / sums[at + 1])
        });
    }
}

fn pools(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    for (key, life) in numbers.facts.objects(Type::NodePool) {
        let latest = life.latest();
        let name = &*key.name;
        if !sink.may("nodepool", name) {
            continue;
        }
        let members: Vec<_> = numbers
            .facts
            .objects(Type::Node)
            .filter(|(_, node)| node.latest()["metadata"]["labels"]["karpenter.sh/nodepool"] == *name)
            .map(|(_, node)| node)
            .collect();
        let there = |t: i64| life.there(t);
        for (resource, field) in [("cpu", "cpu"), ("memory", "memory"), ("nodes", "")] {
            let labels = [("nodepool", name), ("resource_type", resource)];
            let limit = at(latest, "/spec/limits").get(resource).map(|limit| milli(limit) as f64 / 1000.0);
            if let Some(limit) = limit {
                sink.put(sink.metric("karpenter_nodepools_limit"), &target.scrape, &labels, |t| {
                    there(t).then_some(limit)
                });
            }
            sink.put(sink.metric("karpenter_nodepools_usage"), &target.scrape, &labels, |t| {
                there(t).then(|| {
                    members
                        .iter()
                        .filter(|node| node.there(t))
                        .map(|node| {
                            if field.is_empty() {
                                1.0
                            } else {
                                milli(&node.latest()["status"]["capacity"][field]) as f64 / 1000.0
                            }
                        })
                        .sum()
                })
            });
        }
        let share = if name == "spot" { 0.2 } else { 0.1 };
        for reason in ["Underutilized", "Empty", "Drifted"] {
            let labels = [("nodepool", name), ("reason", reason)];
            let leaving = |t: i64| {
                let going = members
                    .iter()
                    .filter_map(|node| node.at(t))
                    .filter(|node| !at(node, "/metadata/deletionTimestamp").is_null());
                going.count() as f64
            };
            sink.put(sink.metric("karpenter_nodepools_allowed_disruptions"), &target.scrape, &labels, |t| {
                there(t).then(|| {
                    let count = members.iter().filter(|node| node.there(t)).count() as f64;
                    ((count * share).ceil() - leaving(t)).max(0.0)
                })
            });
            sink.put(
                sink.metric("karpenter_nodepools_nodes_consuming_budgets"),
                &target.scrape,
                &labels,
                |t| there(t).then(|| leaving(t)),
            );
        }
        sink.put(sink.metric("karpenter_nodepools_cost_total"), &target.scrape, &[("nodepool", name)], |t| {
            there(t).then(|| {
                let price = |node: &super::chronicle::Life| {
                    let labels = &node.latest()["metadata"]["labels"];
                    let get = |name: &str| labels[name].as_str().unwrap_or_default();
                    offer(
                        get("node.kubernetes.io/instance-type"),
                        get("karpenter.sh/capacity-type"),
                        get("topology.kubernetes.io/zone"),
                    )
                };
                members.iter().filter(|node| node.there(t)).map(|node| price(node)).sum()
            })
        });
    }
}

fn pods(numbers: &Numbers, sink: &mut Sink<'_>, target: &Target) {
    let scrape = &target.scrape;
    let state = sink.metric("karpenter_pods_state");
    if state.is_some() {
        for pod in numbers.facts.pods(None, sink.first(), sink.last()) {
            if !sink.may("exported_namespace", &pod.namespace) {
                continue;
            }
            let node = numbers.facts.object(Type::Node, "", &pod.node);
            let labels = node.map(|node| node.latest()["metadata"]["labels"].clone()).unwrap_or_default();
            let get = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
            let (pool, zone, capacity, instance) = (
                get("karpenter.sh/nodepool"),
                get("topology.kubernetes.io/zone"),
                get("karpenter.sh/capacity-type"),
                get("node.kubernetes.io/instance-type"),
            );
            let owner = format!(
                "/apis/apps/v1/namespaces/{}/{}s/{}",
                pod.namespace,
                pod.owner.0.to_lowercase(),
                pod.owner.1
            );
            for phase in ["Pending", "Running", "Succeeded", "Failed"] {
                let labels = [
                    ("name", &*pod.name),
                    ("namespace", &*pod.namespace),
                    ("owner", owner.as_str()),
                    ("node", &*pod.node),
                    ("nodepool", &pool),
                    ("zone", &zone),
                    ("arch", "amd64"),
                    ("capacity_type", &capacity),
                    ("instance_type", &instance),
                    ("phase", phase),
                ];
                if pod.states.iter().any(|state| &*state.phase == phase) {
                    sink.put(state, scrape, &labels, |t| {
                        pod.state(t).filter(|now| &*now.phase == phase).map(|_| 1.0)
                    });
                }
            }
        }
    }
    let begin = numbers.facts.begin;
    let waiting = |t: i64| {
        numbers.facts.pods.values().filter(|pod| pod.state(t).is_some_and(|state| !state.bound)).count()
            as f64
    };
    for metric in ["karpenter_scheduler_unschedulable_pods_count", "karpenter_scheduler_queue_depth"] {
        sink.put(sink.metric(metric), scrape, &[("controller", "provisioner")], |t| Some(waiting(t)));
    }
    sink.fixed(sink.metric("karpenter_scheduler_ignored_pods_count"), scrape, &[], target.span, 0.0);
    let (startup, bound) = (
        histogram!(sink, "karpenter_pods_startup_duration_seconds"),
        histogram!(sink, "karpenter_pods_bound_duration_seconds"),
    );
    for (names, started) in [(startup, true), (bound, false)] {
        if names.idle() {
            continue;
        }
        let took: Vec<(i64, f64)> = numbers
            .facts
            .pods
            .values()
            .filter(|pod| pod.created > begin)
            .filter_map(|pod| {
                let moment = if started {
                    pod.containers.iter().filter_map(|one| one.runs.first()).map(|run| run.from).max()
                } else {
                    pod.states.iter().find(|state| state.bound).map(|state| state.at)
                }?;
                Some((moment, secs(moment - pod.created).max(0.0)))
            })
            .collect();
        let before = 4_000.0;
        let kind = if started { (4.2, 0.7) } else { (0.4, 1.5) };
        sink.histogram(
            names,
            scrape,
            &[],
            &[0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
            |t, limit| {
                let new = took.iter().filter(|(at, seconds)| *at <= t && *seconds <= limit).count() as f64;
                Some(new + before * within(limit, kind))
            },
            |t| {
                Some(
                    took.iter().filter(|(at, _)| *at <= t).map(|(_, seconds)| seconds).sum::<f64>()
                        + before * mean(kind),
                )
            },
        );
    }
    // Pods whose node was on its way out when they went.
    let drained: Vec<i64> = numbers
        .facts
        .pods
        .values()
        .filter_map(|pod| pod.gone.filter(|gone| *gone > begin).map(|gone| (pod, gone)))
        .filter(|(pod, gone)| {
            let node = numbers.facts.object(Type::Node, "", &pod.node);
            &*pod.owner.0 != "DaemonSet"
                && node.is_some_and(|node| {
                    node.at(gone - 1)
                        .is_none_or(|object| !at(object, "/metadata/deletionTimestamp").is_null())
                })
        })
        .map(|(_, gone)| gone)
        .collect();
    let count = |t: i64| 212.0 + drained.iter().filter(|at| **at <= t).count() as f64;
    sink.put(sink.metric("karpenter_pods_drained_total"), scrape, &[("reason", "terminating")], |t| {
        Some(count(t))
    });
    for (code, part) in [("200", 1.0), ("429", 0.08)] {
        sink.put(sink.metric("karpenter_pods_eviction_requests_total"), scrape, &[("code", code)], |t| {
            Some((count(t) * part).floor())
        });
    }
    // Two minutes before a spot machine is taken back there is a notice.
    let taken: Vec<i64> = numbers
        .facts
        .objects(Type::NodeClaim)
        .filter_map(|(_, life)| life.gone.filter(|gone| *gone > begin))
        .collect();
    let messages = sink.metric("karpenter_interruption_received_messages_total");
    for (kind, before) in [("spot_interrupted", 11.0), ("rebalance_recommendation", 37.0)] {
        sink.put(messages, scrape, &[("message_type", kind)], |t| {
            let new = taken.iter().filter(|at| **at <= t).count() as f64;
            Some(before + if kind == "spot_interrupted" { new } else { 0.0 })
        });
    }
    let simulated = histogram!(sink, "karpenter_scheduler_scheduling_duration_seconds");
    let kind = (0.02, 0.9);
    let all = |t: i64| {
        let (from, now) = (secs(target.span.0), secs(t));
        target.there(t).then(|| 0.12 * (now - from + ahead(target.seed, now) - ahead(target.seed, from)))
    };
    sink.histogram(
        simulated,
        scrape,
        &[("controller", "provisioner")],
        &super::ingress::SECONDS,
        |t, limit| all(t).map(|all| all * within(limit, kind)),
        |t| all(t).map(|all| all * mean(kind)),
    );
}

/// Returns the price of an hour in dollars; spot machines cost a third, a little different in each zone.
fn offer(instance: &str, capacity: &str, zone: &str) -> f64 {
    let Some(known) = INSTANCES.iter().find(|known| known.name == instance) else { return 0.0 };
    let full = known.price as f64 / 10_000.0;
    if capacity == "spot" {
        full * pick(crate::demo::world::fnv64(format!("{instance}{zone}").as_bytes()), 1, 0.29, 0.41)
    } else {
        full
    }
}

fn prices(sink: &mut Sink<'_>, target: &Target) {
    let price = sink.metric("karpenter_cloudprovider_instance_type_offering_price_estimate");
    let available = sink.metric("karpenter_cloudprovider_instance_type_offering_available");
    if price.is_none() && available.is_none() {
        return;
    }
    for instance in INSTANCES {
        for (zone, _) in ZONES {
            for capacity in ["on-demand", "spot"] {
                let labels = [("capacity_type", capacity), ("instance_type", instance.name), ("zone", zone)];
                sink.fixed(price, &target.scrape, &labels, target.span, offer(instance.name, capacity, zone));
                sink.fixed(available, &target.scrape, &labels, target.span, 1.0);
            }
        }
    }
}
