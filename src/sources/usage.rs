//! What pods, nodes and namespaces use: from Prometheus where it is found, else from the resource metrics of
//! Kubernetes (contracts 3.10), which know CPU and memory of now and nothing else.
//!
//! One question for each number, over everything: never one for each row.

use futures::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::SourceError;
use super::endpoint::Endpoint;
use super::kubernetes::Connection;
use super::objects::decode_list;
use super::systems::Systems;
use crate::human::parse_quantity;
use crate::signals::{Answer, System, Told, Usage, Used, Using};

/// A number: where it belongs, the expression, and the labels that name whose it is.
struct Number {
    put: fn(&mut Used) -> &mut Option<f64>,
    query: &'static str,
    /// The labels of namespace and name, each in the order of preference.
    namespace: &'static [&'static str],
    name: &'static [&'static str],
}

const fn number(
    put: fn(&mut Used) -> &mut Option<f64>,
    query: &'static str,
    namespace: &'static [&'static str],
    name: &'static [&'static str],
) -> Number {
    Number { put, query, namespace, name }
}

fn cpu(used: &mut Used) -> &mut Option<f64> {
    &mut used.cpu
}

fn memory(used: &mut Used) -> &mut Option<f64> {
    &mut used.memory
}

fn requests(used: &mut Used) -> &mut Option<f64> {
    &mut used.requests
}

fn errors(used: &mut Used) -> &mut Option<f64> {
    &mut used.errors
}

fn p95(used: &mut Used) -> &mut Option<f64> {
    &mut used.p95
}

const NAMESPACE: &[&str] = &["exported_namespace", "namespace"];

/// Of pods. The sandbox would count twice (contracts 4.4).
const PODS: &[Number] = &[
    number(
        cpu,
        "sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{container!=\"\",image!=\"\"}[5m]))",
        &["namespace"],
        &["pod"],
    ),
    number(
        memory,
        "sum by (namespace, pod) (container_memory_working_set_bytes{container!=\"\",image!=\"\"})",
        &["namespace"],
        &["pod"],
    ),
];

/// Of nodes: of the exporter by the name that the kernel has, else of the kubelet, whose series some charts drop.
const NODES: &[Number] = &[
    number(
        cpu,
        "sum by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m])) * on (instance) group_left (nodename) \
         max by (instance, nodename) (node_uname_info)",
        &[],
        &["nodename"],
    ),
    number(
        memory,
        "(max by (instance) (node_memory_MemTotal_bytes) - max by (instance) (node_memory_MemAvailable_bytes)) * on \
         (instance) group_left (nodename) max by (instance, nodename) (node_uname_info)",
        &[],
        &["nodename"],
    ),
    number(cpu, "sum by (node) (rate(container_cpu_usage_seconds_total{id=\"/\"}[5m]))", &[], &["node"]),
    number(memory, "sum by (node) (container_memory_working_set_bytes{id=\"/\"})", &[], &["node"]),
];

/// Of namespaces. Requests are those of ingress-nginx; both spellings of the label are asked for, and the one of the
/// object is taken (contracts 4.4).
const NAMESPACES: &[Number] = &[
    number(
        cpu,
        "sum by (namespace) (rate(container_cpu_usage_seconds_total{container!=\"\",image!=\"\"}[5m]))",
        &["namespace"],
        &[],
    ),
    number(
        memory,
        "sum by (namespace) (container_memory_working_set_bytes{container!=\"\",image!=\"\"})",
        &["namespace"],
        &[],
    ),
    number(
        requests,
        "sum by (exported_namespace, namespace) (rate(nginx_ingress_controller_requests{ingress!=\"\"}[5m]))",
        NAMESPACE,
        &[],
    ),
    number(
        errors,
        "sum by (exported_namespace, namespace) \
         (rate(nginx_ingress_controller_requests{ingress!=\"\",status=~\"5..\"}[5m]))",
        NAMESPACE,
        &[],
    ),
    number(
        p95,
        "histogram_quantile(0.95, sum by (le, exported_namespace, namespace) \
         (rate(nginx_ingress_controller_request_duration_seconds_bucket{ingress!=\"\"}[5m])))",
        NAMESPACE,
        &[],
    ),
];

/// Asks what all pods, nodes or namespaces use.
pub async fn usage(systems: &Systems, using: Using) -> Result<Told, SourceError> {
    let missing = match systems.one(System::Prometheus).await {
        Ok(endpoint) => match of_prometheus(&endpoint, using).await {
            // A Prometheus that does not scrape the kubelets knows nothing of this.
            Ok(Told { answer: Answer::Usage(usage), .. }) if usage.is_empty() => None,
            Ok(told) => return Ok(told),
            Err(error) => Some(error),
        },
        Err(error) => Some(error),
    };
    match of_kubernetes(systems.connection(), using).await {
        Ok((usage, garbled)) => Ok(Told { garbled, ..Told::plain(Answer::Usage(usage)) }),
        // Where neither answers, a Prometheus that is there is the one to look for.
        Err(error) => Err(missing.filter(|one| !matches!(one, SourceError::Missing { .. })).unwrap_or(error)),
    }
}

async fn of_prometheus(endpoint: &Endpoint, using: Using) -> Result<Told, SourceError> {
    let numbers = match using {
        Using::Pods => PODS,
        Using::Nodes => NODES,
        Using::Namespaces => NAMESPACES,
    };
    let asked = numbers.iter().map(|number| super::prometheus::instant(endpoint, number.query, None));
    let mut usage = Usage::new(System::Prometheus);
    let mut sum = Told::plain(Answer::Names(Vec::new()));
    let mut answered = false;
    for (number, told) in numbers.iter().zip(join_all(asked).await) {
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                if !sum.silent.contains(&error) {
                    sum.silent.push(error);
                }
                continue;
            }
        };
        answered = true;
        sum.warnings.extend(told.warnings);
        sum.garbled += told.garbled;
        let Answer::Series(all) = told.answer else { continue };
        for series in all {
            let namespace = series.labels.first(number.namespace).unwrap_or_default();
            let name = series.labels.first(number.name).unwrap_or_default();
            // Nought divided by nought is not nought: there was nothing to answer.
            let value = series.samples.last().map(|sample| sample.value).filter(|value| value.is_finite());
            if namespace.is_empty() && name.is_empty() {
                continue;
            }
            let place = (number.put)(usage.entry(namespace, name));
            *place = place.or(value);
        }
    }
    if !answered && let Some(error) = sum.silent.pop() {
        return Err(error);
    }
    // Where only some of the questions were answered, the others' numbers are unknown, and it is said why.
    sum.answer = Answer::Usage(usage);
    Ok(sum)
}

#[derive(Deserialize)]
struct List<'a> {
    /// Each is read by itself, so that one that cannot be understood costs no other.
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Meta,
    #[serde(default)]
    usage: Option<Amounts>,
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize)]
struct Container {
    usage: Amounts,
}

#[derive(Deserialize)]
struct Amounts {
    #[serde(default)]
    cpu: Option<String>,
    #[serde(default)]
    memory: Option<String>,
}

async fn of_kubernetes(connection: &Connection, using: Using) -> Result<(Usage, u64), SourceError> {
    let plural = if using == Using::Nodes { "nodes" } else { "pods" };
    let asked = connection.asked("list", format!("{plural}.metrics.k8s.io"));
    let path = format!("/apis/metrics.k8s.io/v1beta1/{plural}");
    let body = connection.get(&asked, &path, "application/json").await?;
    Ok(read(decode_list(&asked, &body)?, using))
}

fn read(list: List<'_>, using: Using) -> (Usage, u64) {
    let mut usage = Usage::new(System::ResourceMetrics);
    let mut garbled = 0;
    for item in list.items.unwrap_or_default() {
        let Ok(item) = serde_json::from_str::<Item>(item.get()) else {
            garbled += 1;
            continue;
        };
        let namespace = crate::text::one_line(&item.metadata.namespace);
        let name = crate::text::one_line(&item.metadata.name);
        let name = if using == Using::Namespaces { "" } else { &*name };
        let parts = item.containers.into_iter().map(|container| container.usage).chain(item.usage);
        for part in parts {
            let used = usage.entry(&namespace, name);
            let amount = |text: Option<String>| text.as_deref().and_then(parse_quantity);
            if let Some(cpu) = amount(part.cpu) {
                *used.cpu.get_or_insert(0.0) += cpu;
            }
            if let Some(memory) = amount(part.memory) {
                *used.memory.get_or_insert(0.0) += memory;
            }
        }
    }
    (usage, garbled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What metrics-server answers (contracts 3.10): quantities in nanocores and kibibytes.
    const PODS_LIST: &str = r#"{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","items":[
        {"metadata":{"name":"web-1","namespace":"shop"},"timestamp":"2026-01-01T10:00:00Z","window":"15s",
         "containers":[{"name":"app","usage":{"cpu":"123456789n","memory":"1024Ki"}},
                       {"name":"proxy","usage":{"cpu":"250m","memory":"1Mi"}}]},
        {"metadata":{"name":"web-2","namespace":"shop"},"containers":[]},
        {"metadata":{"name":"web-3","namespace":"shop"},"containers":[{"name":"app","usage":{"cpu":"1"}}]},
        {"metadata":3}]}"#;

    fn of(using: Using) -> (Usage, u64) {
        read(serde_json::from_str(PODS_LIST).unwrap(), using)
    }

    #[test]
    fn the_containers_of_a_pod_are_added_up_and_what_is_unknown_is_not_nought() {
        let (usage, garbled) = of(Using::Pods);
        let pod = |name: &str| usage.get(&"shop".into(), &name.into()).copied();
        let first = pod("web-1").unwrap();
        assert!((first.cpu.unwrap() - 0.373_456_789).abs() < 1e-9);
        assert_eq!(first.memory, Some(2_097_152.0));
        assert_eq!(pod("web-2"), None);
        assert_eq!(pod("web-3").unwrap().memory, None);
        assert_eq!(garbled, 1);
    }

    #[test]
    fn the_pods_of_a_namespace_are_added_up() {
        let (usage, _) = of(Using::Namespaces);
        let used = usage.get(&"shop".into(), &"".into()).unwrap();
        assert!((used.cpu.unwrap() - 1.373_456_789).abs() < 1e-9);
    }

    #[test]
    fn every_expression_is_promql() {
        for number in PODS.iter().chain(NODES).chain(NAMESPACES) {
            promql_parser::parser::parse(number.query).unwrap();
        }
    }
}
