//! What the account has: load balancers, gateways, databases, nodes and pods, and the metrics of each.
//!
//! A metric is a question to the same numbers that the platform's Prometheus answers from, so that both tell one
//! story. Names and dimension sets are those that AWS publishes; a set that is not listed here has no data.

use std::collections::{BTreeMap, BTreeSet};

use super::super::tenancy::BALANCER;
use super::super::types::Type;
use super::super::untyped::{at, list, text};
use super::super::world::{World, fnv64};

/// Name of the cluster.
pub const CLUSTER: &str = "platform";
/// Name of the web ACL in front of the load balancer.
pub const WEB_ACL: &str = "platform-edge";

/// A dimension: name and value.
pub type Dimension = (String, String);

/// What a metric measures, as questions to the platform's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// Events: a counter's selector. Each counts 1; where nothing happened there is no point.
    Events(String),
    /// An amount that adds up: a counter's selector, and what one of its units stands for, in thousandths.
    Amount(String, u32),
    /// A level: an expression.
    Level(String),
    /// Durations in seconds: the name of a histogram and the labels that select it.
    Durations(String, String),
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Such as `AWS/RDS`.
    pub namespace: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its dimensions, by name.
    pub dimensions: Vec<Dimension>,
    /// What its values are counted in.
    pub unit: &'static str,
    /// What it measures.
    pub measure: Measure,
}

/// A node, as Container Insights names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    name: String,
    instance: String,
    address: String,
}

/// What there is at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    nodes: Vec<Node>,
    /// Namespace, workload and kind.
    workloads: BTreeSet<(String, String, Type)>,
    /// Namespace and name of what is reached from outside.
    ingresses: BTreeSet<(String, String)>,
    /// Production namespaces, which have a database each.
    databases: BTreeSet<String>,
}

impl Account {
    /// Looks at the world.
    pub fn of(world: &World) -> Self {
        let node = |object: &std::sync::Arc<super::super::objects::Object>| {
            let value = object.value();
            let internal = |address: &&serde_json::Value| at(address, "/type") == "InternalIP";
            let address = list(&value, "/status/addresses").iter().find(internal);
            Node {
                name: object.key.name.to_string(),
                instance: text(&value, "/spec/providerID").rsplit('/').next().unwrap_or_default().to_owned(),
                address: address.map(|entry| text(entry, "/address").to_owned()).unwrap_or_default(),
            }
        };
        let named = |kind: Type| {
            let objects = world.objects.list(kind, None);
            objects.map(move |object| (object.key.namespace.to_string(), object.key.name.to_string(), kind))
        };
        let kinds = [Type::Deployment, Type::StatefulSet, Type::DaemonSet];
        let tenants = world.estate.tenants.iter();
        Self {
            nodes: world.objects.list(Type::Node, None).map(node).collect(),
            workloads: kinds.into_iter().flat_map(named).collect(),
            ingresses: named(Type::Ingress).map(|(namespace, name, _)| (namespace, name)).collect(),
            databases: tenants.map(|tenant| tenant.name.clone()).collect(),
        }
    }

    /// Returns the namespaces that have a database.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        self.databases.iter().map(String::as_str)
    }

    /// Returns namespace and name of what is reached from outside.
    pub fn ingresses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ingresses.iter().map(|(namespace, name)| (namespace.as_str(), name.as_str()))
    }

    /// Returns every metric that has data.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut all = Vec::new();
        Self::cluster(&mut all);
        for node in &self.nodes {
            of_node(node, &mut all);
        }
        let namespaces: BTreeSet<&str> =
            self.workloads.iter().map(|(namespace, _, _)| namespace.as_str()).collect();
        for namespace in namespaces {
            of_namespace(namespace, &mut all);
        }
        for (namespace, workload, kind) in &self.workloads {
            of_workload(namespace, workload, *kind, &mut all);
        }
        balancer("", &[("LoadBalancer", load_balancer())], &mut all);
        for (namespace, ingress) in &self.ingresses {
            let labels = format!("exported_namespace=\"{namespace}\",ingress=\"{ingress}\"");
            let group = target_group(namespace, ingress);
            let dimensions = [("LoadBalancer", load_balancer()), ("TargetGroup", group)];
            balancer(&labels, &dimensions, &mut all);
            targets(namespace, ingress, &dimensions, &mut all);
        }
        gateways(&mut all);
        for namespace in &self.databases {
            database(namespace, &mut all);
        }
        firewall(&mut all);
        all
    }

    fn cluster(all: &mut Vec<Metric>) {
        let mut put = family("ContainerInsights", &[("ClusterName", CLUSTER.to_owned())], all);
        put("cluster_node_count", "Count", level("count(kube_node_info)"));
        let failed =
            "sum(kube_node_status_condition{condition=\"Ready\",status=~\"false|unknown\"}) or vector(0)";
        put("cluster_failed_node_count", "Count", level(failed));
        let idle = "100 * (1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[2m])))";
        put("node_cpu_utilization", "Percent", level(idle));
        let memory = "100 * (1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes))";
        put("node_memory_utilization", "Percent", level(memory));
        let running = "sum(kube_pod_status_phase{phase=\"Running\"})";
        put("namespace_number_of_running_pods", "Count", level(running));
    }
}

fn level(expression: impl Into<String>) -> Measure {
    Measure::Level(expression.into())
}

/// Returns a way to add metrics that share namespace and dimensions.
fn family<'a>(
    namespace: &'static str,
    dimensions: &[(&str, String)],
    all: &'a mut Vec<Metric>,
) -> impl FnMut(&'static str, &'static str, Measure) + 'a {
    let mut dimensions: Vec<Dimension> =
        dimensions.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    dimensions.sort();
    move |name, unit, measure| {
        all.push(Metric { namespace, name, dimensions: dimensions.clone(), unit, measure });
    }
}

fn of_node(node: &Node, all: &mut Vec<Metric>) {
    let dimensions = [
        ("ClusterName", CLUSTER.to_owned()),
        ("NodeName", node.name.clone()),
        ("InstanceId", node.instance.clone()),
    ];
    let mut put = family("ContainerInsights", &dimensions, all);
    let (name, on) = (&node.name, format!("instance=\"{}:9100\"", node.address));
    put(
        "node_cpu_utilization",
        "Percent",
        level(format!("100 * (1 - avg(rate(node_cpu_seconds_total{{mode=\"idle\",{on}}}[2m])))")),
    );
    put(
        "node_memory_utilization",
        "Percent",
        level(format!(
            "100 * (1 - sum(node_memory_MemAvailable_bytes{{{on}}}) / sum(node_memory_MemTotal_bytes{{{on}}}))"
        )),
    );
    put(
        "node_filesystem_utilization",
        "Percent",
        level(format!(
            "100 * (1 - sum(node_filesystem_avail_bytes{{{on}}}) / sum(node_filesystem_size_bytes{{{on}}}))"
        )),
    );
    put(
        "node_network_total_bytes",
        "Bytes/Second",
        level(format!(
            "sum(rate(node_network_receive_bytes_total{{{on}}}[2m])) + sum(rate(node_network_transmit_bytes_total{{{on}}}[2m]))"
        )),
    );
    put(
        "node_number_of_running_pods",
        "Count",
        level(format!("sum(kubelet_running_pods{{node=\"{name}\"}})")),
    );
    put(
        "node_status_condition_ready",
        "Count",
        level(format!(
            "sum(kube_node_status_condition{{node=\"{name}\",condition=\"Ready\",status=\"true\"}})"
        )),
    );
}

/// What a pod's share of its node's cores is measured against.
const CORES: &str = "scalar(avg(machine_cpu_cores))";
const MEMORY: &str = "scalar(avg(machine_memory_bytes))";

fn of_namespace(namespace: &str, all: &mut Vec<Metric>) {
    let dimensions = [("ClusterName", CLUSTER.to_owned()), ("Namespace", namespace.to_owned())];
    let mut put = family("ContainerInsights", &dimensions, all);
    let running = format!("sum(kube_pod_status_phase{{namespace=\"{namespace}\",phase=\"Running\"}})");
    put("namespace_number_of_running_pods", "Count", level(running));
    pods(&format!("namespace=\"{namespace}\""), &mut put);
}

fn of_workload(namespace: &str, workload: &str, kind: Type, all: &mut Vec<Metric>) {
    let dimensions = [
        ("ClusterName", CLUSTER.to_owned()),
        ("Namespace", namespace.to_owned()),
        ("PodName", workload.to_owned()),
    ];
    // What a controller of the kind appends to the name.
    let suffix = match kind {
        Type::Deployment => "-[a-z0-9]+-[a-z0-9]+",
        Type::StatefulSet => "-[0-9]+",
        _ => "-[a-z0-9]+",
    };
    let selector = format!("namespace=\"{namespace}\",pod=~\"{workload}{suffix}\"");
    pods(&selector, &mut family("ContainerInsights", &dimensions, all));
}

fn pods(selector: &str, put: &mut impl FnMut(&'static str, &'static str, Measure)) {
    let cpu =
        format!("sum by (pod) (rate(container_cpu_usage_seconds_total{{{selector},container!=\"\"}}[2m]))");
    let used = format!("sum by (pod) (container_memory_working_set_bytes{{{selector},container!=\"\"}})");
    let limit = |resource: &str| {
        format!("sum by (pod) (kube_pod_container_resource_limits{{{selector},resource=\"{resource}\"}})")
    };
    put("pod_cpu_utilization", "Percent", level(format!("100 * avg({cpu}) / {CORES}")));
    put(
        "pod_cpu_utilization_over_pod_limit",
        "Percent",
        level(format!("100 * avg({cpu} / on (pod) {})", limit("cpu"))),
    );
    put("pod_memory_utilization", "Percent", level(format!("100 * avg({used}) / {MEMORY}")));
    put(
        "pod_memory_utilization_over_pod_limit",
        "Percent",
        level(format!("100 * avg({used} / on (pod) {})", limit("memory"))),
    );
    put(
        "pod_number_of_container_restarts",
        "Count",
        level(format!("sum(kube_pod_container_status_restarts_total{{{selector}}})")),
    );
}

/// Returns the `LoadBalancer` dimension: the last part of its ARN, as its host name tells it.
pub fn load_balancer() -> String {
    let host = BALANCER.split('.').next().unwrap_or_default();
    let (name, id) = host.rsplit_once('-').unwrap_or((host, ""));
    format!("app/{name}/{id}")
}

/// Returns the `TargetGroup` dimension of an ingress.
pub fn target_group(namespace: &str, ingress: &str) -> String {
    let short = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>();
    let id = fnv64(format!("{namespace}/{ingress}").as_bytes());
    format!("targetgroup/k8s-{}-{}-{:010x}/{id:016x}", short(namespace), short(ingress), id >> 24)
}

fn balancer(labels: &str, dimensions: &[(&str, String)], all: &mut Vec<Metric>) {
    let mut put = family("AWS/ApplicationELB", dimensions, all);
    let requests = |status: &str| {
        let comma = if labels.is_empty() || status.is_empty() { "" } else { "," };
        format!("nginx_ingress_controller_requests{{{labels}{comma}{status}}}")
    };
    put("RequestCount", "Count", Measure::Events(requests("")));
    for (name, status) in [
        ("HTTPCode_Target_2XX_Count", "status=~\"2..\""),
        ("HTTPCode_Target_3XX_Count", "status=~\"3..\""),
        ("HTTPCode_Target_4XX_Count", "status=~\"4..\""),
        ("HTTPCode_Target_5XX_Count", "status=~\"5..\""),
    ] {
        put(name, "Count", Measure::Events(requests(status)));
    }
    put(
        "TargetResponseTime",
        "Seconds",
        Measure::Durations(
            "nginx_ingress_controller_response_duration_seconds".to_owned(),
            labels.to_owned(),
        ),
    );
    if dimensions.len() == 1 {
        let open = "sum(nginx_ingress_controller_nginx_process_connections{state=\"active\"})";
        put("ActiveConnectionCount", "Count", level(open));
    }
}

fn targets(namespace: &str, ingress: &str, dimensions: &[(&str, String)], all: &mut Vec<Metric>) {
    let mut put = family("AWS/ApplicationELB", dimensions, all);
    let ready = |condition: &str| {
        format!(
            "sum(kube_pod_status_ready{{namespace=\"{namespace}\",pod=~\"{ingress}-.+\",condition=\"{condition}\"}}) or vector(0)"
        )
    };
    put("HealthyHostCount", "Count", level(ready("true")));
    put("UnHealthyHostCount", "Count", level(ready("false")));
}

/// Returns the identities of the NAT gateways, one a zone.
pub fn nat_gateways() -> impl Iterator<Item = String> {
    (0..3).map(|zone| format!("nat-{:017x}", u128::from(fnv64(format!("nat/{zone}").as_bytes())) << 4 | zone))
}

fn gateways(all: &mut Vec<Metric>) {
    for (id, part) in nat_gateways().zip([400_u32, 330, 270]) {
        let mut put = family("AWS/NATGateway", &[("NatGatewayId", id)], all);
        // A quarter of what tenants send leaves the cloud, and the answers come back.
        let through = |what: &str| format!("container_network_{what}_total{{namespace=~\"tenant-.+\"}}");
        for (name, unit, source) in [
            ("BytesOutToDestination", "Bytes", "transmit_bytes"),
            ("BytesInFromSource", "Bytes", "transmit_bytes"),
            ("BytesInFromDestination", "Bytes", "receive_bytes"),
            ("BytesOutToSource", "Bytes", "receive_bytes"),
            ("PacketsOutToDestination", "Count", "transmit_packets"),
            ("PacketsInFromSource", "Count", "transmit_packets"),
            ("PacketsInFromDestination", "Count", "receive_packets"),
            ("PacketsOutToSource", "Count", "receive_packets"),
        ] {
            put(name, unit, Measure::Amount(through(source), part / 4));
        }
        let requests = "sum(rate(nginx_ingress_controller_requests[2m]))";
        let share = f64::from(part) / 1000.0;
        put("ActiveConnectionCount", "Count", level(format!("round(40 + {share} * 1.8 * {requests})")));
        let attempts = || "nginx_ingress_controller_requests".to_owned();
        put("ConnectionAttemptCount", "Count", Measure::Amount(attempts(), part / 5));
        put("ConnectionEstablishedCount", "Count", Measure::Amount(attempts(), part / 5));
        put("IdleTimeoutCount", "Count", Measure::Amount(attempts(), part / 90));
        put("ErrorPortAllocation", "Count", level("vector(0)"));
        put("PacketsDropCount", "Count", level("vector(0)"));
    }
}

/// Returns the identity of a tenant's database.
pub fn database_id(namespace: &str) -> String {
    format!("{namespace}-postgres")
}

fn database(namespace: &str, all: &mut Vec<Metric>) {
    let mut put = family("AWS/RDS", &[("DBInstanceIdentifier", database_id(namespace))], all);
    let seed = fnv64(namespace.as_bytes());
    let own = 0.7 + (seed % 61) as f64 / 100.0;
    // Databases work for what comes in from outside, and a little for themselves.
    let load = format!(
        "(scalar(sum(rate(nginx_ingress_controller_requests{{exported_namespace=\"{namespace}\"}}[2m])) or vector(0)) * {own:.2} + 2)"
    );
    let day = "(1 + 0.1 * sin(vector(time() / 13750.98)))";
    let mut gauge = |name, unit, expression: String| put(name, unit, level(expression));
    gauge("CPUUtilization", "Percent", format!("clamp_max(7 + 0.42 * {load} * {day}, 98)"));
    gauge("DatabaseConnections", "Count", format!("round(12 + 0.6 * {load} * {day})"));
    gauge("FreeableMemory", "Bytes", format!("round((2.6e9 - 6e6 * {load}) * {day})"));
    let full = 20e9 + (seed % 17) as f64 * 1e9;
    // Filled at a steady pace and cleaned up once a week.
    gauge("FreeStorageSpace", "Bytes", format!("round({full:.0} - 15000 * (vector(time()) % 604800))"));
    gauge("ReadIOPS", "Count/Second", format!("4 + 1.9 * {load} * {day}"));
    gauge("WriteIOPS", "Count/Second", format!("9 + 2.6 * {load} * {day}"));
    gauge("ReadLatency", "Seconds", format!("0.0006 + 0.000004 * {load} * {day}"));
    gauge("WriteLatency", "Seconds", format!("0.0014 + 0.000009 * {load} * {day}"));
    gauge("DiskQueueDepth", "Count", format!("0.02 + 0.004 * {load} * {day}"));
    gauge("DBLoad", "None", format!("0.1 + 0.012 * {load} * {day}"));
    gauge("BurstBalance", "Percent", format!("clamp(101 - 0.02 * {load} * {day}, 0, 100)"));
    gauge("TransactionLogsDiskUsage", "Bytes", format!("round(4.1e8 + 2e6 * {load} * {day})"));
    gauge("Deadlocks", "Count/Second", "vector(0)".to_owned());
}

fn firewall(all: &mut Vec<Metric>) {
    let all_requests = || "nginx_ingress_controller_requests".to_owned();
    for (rule, blocked) in [
        ("ALL", 14_u32),
        ("AWS-AWSManagedRulesCommonRuleSet", 8),
        ("AWS-AWSManagedRulesKnownBadInputsRuleSet", 2),
        ("rate-limit", 4),
    ] {
        let dimensions =
            [("WebACL", WEB_ACL.to_owned()), ("Region", super::REGION.to_owned()), ("Rule", rule.to_owned())];
        let mut put = family("AWS/WAFV2", &dimensions, all);
        if rule == "ALL" {
            put("AllowedRequests", "Count", Measure::Amount(all_requests(), 1000));
        }
        put("BlockedRequests", "Count", Measure::Amount(all_requests(), blocked));
        put("CountedRequests", "Count", Measure::Amount(all_requests(), blocked / 2));
    }
}

/// The metrics of an account, found by what they are asked by.
#[derive(Debug)]
pub struct Catalog {
    by_key: BTreeMap<(String, String, Vec<Dimension>), Metric>,
}

impl Catalog {
    /// Lists the metrics of an account.
    pub fn new(account: &Account) -> Self {
        let entry = |metric: Metric| {
            ((metric.namespace.to_owned(), metric.name.to_owned(), metric.dimensions.clone()), metric)
        };
        Self { by_key: account.metrics().into_iter().map(entry).collect() }
    }

    /// Finds a metric; the dimensions must be exactly its own, in any order.
    pub fn find(&self, namespace: &str, name: &str, mut dimensions: Vec<Dimension>) -> Option<&Metric> {
        dimensions.sort();
        self.by_key.get(&(namespace.to_owned(), name.to_owned(), dimensions))
    }

    /// Returns all metrics, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.by_key.values()
    }
}
