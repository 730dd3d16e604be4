//! Under which Services and ports the platform's own components are reached.
//!
//! Pure data. Names and ports are those of the projects' own charts and manifests (kube-prometheus-stack, Loki's chart,
//! Argo CD's manifests and so on), so that a console which looks for them the usual way finds them.

use serde_json::{Value, json};

use super::components::Component;

/// One port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its name, which is the name of the container's port as well.
    pub name: &'static str,
    /// Port of the Service.
    pub port: u16,
    /// Port of the container.
    pub target: u16,
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
}

/// One Service of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Name of the workload behind it.
    pub component: &'static str,
    /// Name of the Service.
    pub service: &'static str,
    /// It has no address of its own; its name leads to the pods.
    pub headless: bool,
    /// Its ports.
    pub ports: &'static [Port],
}

const fn tcp(name: &'static str, port: u16, target: u16) -> Port {
    Port { name, port, target, protocol: "TCP" }
}

const fn udp(name: &'static str, port: u16, target: u16) -> Port {
    Port { name, port, target, protocol: "UDP" }
}

const fn offer(component: &'static str, service: &'static str, ports: &'static [Port]) -> Offer {
    Offer { component, service, headless: false, ports }
}

const fn headless(component: &'static str, service: &'static str, ports: &'static [Port]) -> Offer {
    Offer { component, service, headless: true, ports }
}

/// `StatefulSet` of the Prometheus server.
pub const PROMETHEUS: &str = "prometheus-kube-prometheus-stack-prometheus";
/// `StatefulSet` of the Alertmanager replicas.
pub const ALERTMANAGER: &str = "alertmanager-kube-prometheus-stack-alertmanager";

/// The Services of the platform's components.
pub static OFFERS: &[Offer] = &[
    offer("coredns", "kube-dns", &[udp("dns", 53, 53), tcp("dns-tcp", 53, 53), tcp("metrics", 9153, 9153)]),
    offer("metrics-server", "metrics-server", &[tcp("https", 443, 10250)]),
    offer("argocd-application-controller", "argocd-metrics", &[tcp("metrics", 8082, 8082)]),
    offer("argocd-server", "argocd-server", &[tcp("http", 80, 8080), tcp("https", 443, 8080)]),
    offer("argocd-server", "argocd-server-metrics", &[tcp("metrics", 8083, 8083)]),
    offer(
        "argocd-repo-server",
        "argocd-repo-server",
        &[tcp("server", 8081, 8081), tcp("metrics", 8084, 8084)],
    ),
    offer(
        "argocd-applicationset-controller",
        "argocd-applicationset-controller",
        &[tcp("webhook", 7000, 7000), tcp("metrics", 8080, 8080)],
    ),
    offer("argocd-redis", "argocd-redis", &[tcp("tcp-redis", 6379, 6379)]),
    offer(
        "node-exporter",
        "kube-prometheus-stack-prometheus-node-exporter",
        &[tcp("http-metrics", 9100, 9100)],
    ),
    offer(PROMETHEUS, "kube-prometheus-stack-prometheus", &[tcp("http-web", 9090, 9090)]),
    headless(PROMETHEUS, "prometheus-operated", &[tcp("http-web", 9090, 9090)]),
    offer(ALERTMANAGER, "kube-prometheus-stack-alertmanager", &[tcp("http-web", 9093, 9093)]),
    headless(
        ALERTMANAGER,
        "alertmanager-operated",
        &[tcp("http-web", 9093, 9093), tcp("tcp-mesh", 9094, 9094), udp("udp-mesh", 9094, 9094)],
    ),
    offer("loki", "loki", &[tcp("http-metrics", 3100, 3100), tcp("grpc", 9095, 9095)]),
    headless("loki", "loki-headless", &[tcp("http-metrics", 3100, 3100)]),
    offer("loki-gateway", "loki-gateway", &[tcp("http", 80, 8080)]),
    offer("kube-prometheus-stack-operator", "kube-prometheus-stack-operator", &[tcp("https", 443, 10250)]),
    offer("kube-state-metrics", "kube-state-metrics", &[tcp("http", 8080, 8080)]),
    offer("grafana", "grafana", &[tcp("http-web", 80, 3000)]),
    offer("karpenter", "karpenter", &[tcp("http-metrics", 8080, 8080)]),
    offer("cert-manager", "cert-manager", &[tcp("tcp-prometheus-servicemonitor", 9402, 9402)]),
    offer("cert-manager-webhook", "cert-manager-webhook", &[tcp("https", 443, 10250)]),
    offer("external-secrets", "external-secrets-metrics", &[tcp("metrics", 8080, 8080)]),
    offer("external-dns", "external-dns", &[tcp("http", 7979, 7979)]),
    offer(
        "ingress-nginx-controller",
        "ingress-nginx-controller",
        &[tcp("http", 80, 80), tcp("https", 443, 443)],
    ),
    offer("ingress-nginx-controller", "ingress-nginx-controller-metrics", &[tcp("metrics", 10254, 10254)]),
    offer("kyverno-admission-controller", "kyverno-svc", &[tcp("https", 443, 9443)]),
    offer("kyverno-admission-controller", "kyverno-svc-metrics", &[tcp("metrics-port", 8000, 8000)]),
    headless("trivy-operator", "trivy-operator", &[tcp("metrics", 80, 8080)]),
    offer("reloader-reloader", "reloader", &[tcp("http", 9090, 9090)]),
    offer("prometheus-postgres-exporter", "prometheus-postgres-exporter", &[tcp("http", 9187, 9187)]),
    offer("keda-operator", "keda-operator", &[tcp("metricsservice", 9666, 9666), tcp("metrics", 8080, 8080)]),
];

/// Returns the Services of a component.
pub fn of(component: &str) -> impl Iterator<Item = &'static Offer> {
    OFFERS.iter().filter(move |offer| offer.component == component)
}

/// Returns the container ports of a component, each number once.
pub fn container_ports(component: &str) -> Vec<Value> {
    let mut ports: Vec<&Port> = Vec::new();
    for port in of(component).flat_map(|offer| offer.ports) {
        if !ports.iter().any(|seen| (seen.target, seen.protocol) == (port.target, port.protocol)) {
            ports.push(port);
        }
    }
    ports
        .iter()
        // Names of container ports end at 15 characters.
        .map(|port| json!({"name": port.name[..port.name.len().min(15)].trim_end_matches('-'), "containerPort": port.target, "protocol": port.protocol}))
        .collect()
}

/// Returns the Services of a component as manifests.
pub fn services(part: &Component) -> Vec<Value> {
    of(part.name).map(|offer| service(part, offer)).collect()
}

fn service(part: &Component, offer: &Offer) -> Value {
    let mut labels = part.labels();
    if matches!(part.name, PROMETHEUS | ALERTMANAGER) {
        // What the chart and the operator put on theirs.
        if offer.headless {
            labels["managed-by"] = json!("prometheus-operator");
            let which = if part.name == PROMETHEUS { "operated-prometheus" } else { "operated-alertmanager" };
            labels[which] = json!("true");
        } else {
            labels["app"] = json!(offer.service);
            labels["release"] = json!("kube-prometheus-stack");
            labels["self-monitor"] = json!("true");
        }
    }
    let ports: Vec<Value> = offer
        .ports
        .iter()
        .map(|port| json!({"name": port.name, "port": port.port, "targetPort": port.target, "protocol": port.protocol}))
        .collect();
    let balancer = offer.service == "ingress-nginx-controller";
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": offer.service, "namespace": part.namespace, "labels": labels},
        "spec": {
            "type": if balancer { "LoadBalancer" } else { "ClusterIP" },
            "selector": part.selector(),
            "ports": ports,
        },
    });
    if offer.headless {
        service["spec"]["clusterIP"] = json!("None");
    }
    service
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::components::COMPONENTS;

    #[test]
    fn every_service_has_its_component_and_names_that_kubernetes_takes() {
        for offer in OFFERS {
            let part = COMPONENTS.iter().find(|part| part.name == offer.component);
            assert!(part.is_some(), "{}", offer.service);
            let ports = container_ports(offer.component);
            let names: std::collections::BTreeSet<&str> =
                ports.iter().filter_map(|port| port["name"].as_str()).collect();
            assert_eq!(names.len(), ports.len(), "{}", offer.component);
            assert!(names.iter().all(|name| name.len() <= 15 && !name.ends_with('-')), "{names:?}");
        }
    }
}
