//! What is scraped: the components that expose metrics, under the jobs and labels that kube-prometheus-stack gives them.
//!
//! Pure data and the way from it to the pods that are there. It knows where a component is found, not what it tells.

use std::sync::Arc;

use super::chronicle::Facts;
use super::sink::Scrape;
use super::{HISTORY_MS, SCRAPE_MS};
use crate::demo::promql::{self, Labels};
use crate::demo::types::Type;
use crate::demo::untyped::{list, milli, text};
use crate::identity::Text;

/// A component that exposes metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// kube-apiserver, with what it knows of etcd.
    ApiServer,
    /// kube-scheduler, as EKS shows it.
    Scheduler,
    /// kube-controller-manager, as EKS shows it.
    ControllerManager,
    /// The kubelet's own metrics and volumes.
    Kubelet,
    /// cAdvisor in the kubelet.
    Cadvisor,
    /// node-exporter.
    NodeExporter,
    /// kube-state-metrics.
    KubeStateMetrics,
    /// `CoreDNS`.
    CoreDns,
    /// ingress-nginx.
    Ingress,
    /// Argo CD's application controller.
    ArgoController,
    /// argocd-server.
    ArgoServer,
    /// Argo CD's repository server.
    ArgoRepo,
    /// Karpenter.
    Karpenter,
    /// cert-manager.
    CertManager,
    /// External Secrets.
    ExternalSecrets,
    /// Kyverno's admission controller.
    Kyverno,
    /// KEDA's operator.
    Keda,
    /// Reloader.
    Reloader,
    /// `ExternalDNS`.
    ExternalDns,
    /// The exporter of `PostgreSQL` databases.
    Postgres,
    /// trivy-operator.
    Trivy,
    /// Prometheus itself.
    Prometheus,
    /// Alertmanager.
    Alertmanager,
    /// Loki.
    Loki,
}

/// Where a component that runs in pods is scraped.
#[derive(Debug)]
pub struct Place {
    /// The component.
    pub part: Part,
    /// `job`.
    pub job: &'static str,
    /// Its namespace.
    pub namespace: &'static str,
    /// `app.kubernetes.io/name` of its pods, which is also the name of the container.
    pub pods: &'static str,
    /// The Service that the scrape goes by.
    pub service: &'static str,
    /// Name of the Service's port.
    pub endpoint: &'static str,
    /// Port of the pod.
    pub port: u16,
    /// Whether its own labels win.
    pub honor: bool,
}

const fn place(
    part: Part,
    job: &'static str,
    (namespace, pods): (&'static str, &'static str),
    (service, endpoint, port): (&'static str, &'static str, u16),
) -> Place {
    Place { part, job, namespace, pods, service, endpoint, port, honor: false }
}

/// Components in pods. Jobs are those of the projects' `ServiceMonitor`s and of kube-prometheus-stack.
pub static PLACES: &[Place] = &[
    Place {
        honor: true,
        ..place(
            Part::KubeStateMetrics,
            "kube-state-metrics",
            ("monitoring", "kube-state-metrics"),
            ("kube-state-metrics", "http", 8080),
        )
    },
    place(
        Part::NodeExporter,
        "node-exporter",
        ("monitoring", "node-exporter"),
        ("kube-prometheus-stack-prometheus-node-exporter", "http-metrics", 9100),
    ),
    place(Part::CoreDns, "coredns", ("kube-system", "coredns"), ("kube-dns", "metrics", 9153)),
    place(
        Part::Ingress,
        "ingress-nginx-controller-metrics",
        ("ingress-nginx", "ingress-nginx-controller"),
        ("ingress-nginx-controller-metrics", "metrics", 10_254),
    ),
    place(
        Part::ArgoController,
        "argocd-metrics",
        ("argocd", "argocd-application-controller"),
        ("argocd-metrics", "metrics", 8082),
    ),
    place(
        Part::ArgoServer,
        "argocd-server-metrics",
        ("argocd", "argocd-server"),
        ("argocd-server-metrics", "metrics", 8083),
    ),
    place(
        Part::ArgoRepo,
        "argocd-repo-server",
        ("argocd", "argocd-repo-server"),
        ("argocd-repo-server", "metrics", 8084),
    ),
    place(Part::Karpenter, "karpenter", ("karpenter", "karpenter"), ("karpenter", "http-metrics", 8080)),
    place(
        Part::CertManager,
        "cert-manager",
        ("cert-manager", "cert-manager"),
        ("cert-manager", "tcp-prometheus-servicemonitor", 9402),
    ),
    place(
        Part::ExternalSecrets,
        "external-secrets-metrics",
        ("external-secrets", "external-secrets"),
        ("external-secrets-metrics", "metrics", 8080),
    ),
    place(
        Part::Kyverno,
        "kyverno-svc-metrics",
        ("kyverno", "kyverno-admission-controller"),
        ("kyverno-svc-metrics", "metrics-port", 8000),
    ),
    place(Part::Keda, "keda-operator", ("keda", "keda-operator"), ("keda-operator", "metrics", 8080)),
    place(Part::Reloader, "reloader", ("reloader", "reloader-reloader"), ("reloader", "http", 9090)),
    place(
        Part::ExternalDns,
        "external-dns",
        ("external-dns", "external-dns"),
        ("external-dns", "http", 7979),
    ),
    place(
        Part::Postgres,
        "prometheus-postgres-exporter",
        ("monitoring", "prometheus-postgres-exporter"),
        ("prometheus-postgres-exporter", "http", 9187),
    ),
    place(
        Part::Trivy,
        "trivy-operator",
        ("trivy-system", "trivy-operator"),
        ("trivy-operator", "metrics", 8080),
    ),
    place(
        Part::Prometheus,
        "kube-prometheus-stack-prometheus",
        ("monitoring", "prometheus"),
        ("kube-prometheus-stack-prometheus", "http-web", 9090),
    ),
    place(
        Part::Alertmanager,
        "kube-prometheus-stack-alertmanager",
        ("monitoring", "alertmanager"),
        ("kube-prometheus-stack-alertmanager", "http-web", 9093),
    ),
    place(Part::Loki, "loki", ("monitoring", "loki"), ("loki", "http-metrics", 3100)),
];

/// One thing that is scraped, or was.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The component.
    pub part: Part,
    /// What the scrape adds.
    pub scrape: Scrape,
    /// When it was there, in Unix milliseconds.
    pub span: (i64, i64),
    /// Where the API server proxies it.
    pub path: String,
    /// The pod or node; empty for the control plane.
    pub name: Text,
    /// A number of its own.
    pub seed: u64,
}

impl Target {
    /// It is there at a moment.
    pub fn there(&self, t: i64) -> bool {
        t >= self.span.0 && t < self.span.1
    }

    /// Returns it as Prometheus's API lists it.
    pub fn described(&self, now: i64) -> promql::Target {
        let get = |name: &str| self.scrape.get(name);
        let url = match self.part {
            Part::ApiServer => format!("https://{}/metrics", get("instance")),
            Part::Kubelet | Part::Cadvisor => format!("https://{}{}", get("instance"), get("metrics_path")),
            Part::Scheduler | Part::ControllerManager => format!("https://172.20.0.1:443{}", self.path),
            _ => format!("http://{}/metrics", get("instance")),
        };
        let discovered = [
            ("__address__", get("instance")),
            (
                "__metrics_path__",
                if get("metrics_path").is_empty() { "/metrics" } else { get("metrics_path") },
            ),
            ("__scheme__", url.split(':').next().unwrap_or_default()),
            ("__scrape_interval__", "30s"),
            ("__meta_kubernetes_namespace", get("namespace")),
            ("__meta_kubernetes_service_name", get("service")),
            ("__meta_kubernetes_pod_name", get("pod")),
            ("job", get("job")),
        ];
        promql::Target {
            labels: Labels::new(self.scrape.labels.iter().cloned()),
            discovered: Labels::new(discovered),
            pool: format!("serviceMonitor/{}/{}/0", get("namespace"), get("service")),
            url,
            error: None,
            last_scrape_ms: now.div_euclid(SCRAPE_MS) * SCRAPE_MS,
            duration: super::wave::pick(self.seed, 7, 0.004, 0.09),
            interval_ms: SCRAPE_MS,
        }
    }
}

fn labels(pairs: &[(&str, &str)]) -> Vec<(Text, Text)> {
    pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (Arc::from(*name), Arc::from(*value)))
        .collect()
}

/// Returns everything that is scraped, and what was within the history.
pub fn targets(facts: &Facts, now: i64) -> Vec<Target> {
    let from = facts.begin - HISTORY_MS;
    let mut found = Vec::new();
    let control = |part: Part, job: &str, instance: &str, service: &str, path: &str| Target {
        part,
        scrape: Scrape {
            labels: labels(&[
                ("job", job),
                ("instance", instance),
                ("namespace", if part == Part::ApiServer { "default" } else { "kube-system" }),
                ("service", service),
                ("endpoint", "https"),
            ]),
            honor: false,
        },
        span: (i64::MIN, i64::MAX),
        path: path.to_owned(),
        name: Arc::from(""),
        seed: crate::demo::world::fnv64(job.as_bytes()),
    };
    let eks = "/apis/metrics.eks.amazonaws.com/v1";
    found.push(control(Part::ApiServer, "apiserver", "172.20.0.1:443", "kubernetes", "/metrics"));
    found.push(control(
        Part::Scheduler,
        "kube-scheduler",
        "172.20.0.1:10259",
        "eks-extension-metrics-api",
        &format!("{eks}/ksh/container/metrics"),
    ));
    found.push(control(
        Part::ControllerManager,
        "kube-controller-manager",
        "172.20.0.1:10257",
        "eks-extension-metrics-api",
        &format!("{eks}/kcm/container/metrics"),
    ));
    for (key, life) in facts.objects(Type::Node) {
        let address = address(life.latest());
        for (part, path) in [(Part::Kubelet, "/metrics"), (Part::Cadvisor, "/metrics/cadvisor")] {
            found.push(Target {
                part,
                scrape: Scrape {
                    labels: labels(&[
                        ("job", "kubelet"),
                        ("instance", &format!("{address}:10250")),
                        ("node", &key.name),
                        ("namespace", "kube-system"),
                        ("service", "kube-prometheus-stack-kubelet"),
                        ("endpoint", "https-metrics"),
                        ("metrics_path", path),
                    ]),
                    honor: true,
                },
                span: life.span(),
                path: format!("/api/v1/nodes/{}/proxy{path}", key.name),
                name: key.name.clone(),
                seed: crate::demo::world::fnv64(key.name.as_bytes()),
            });
        }
    }
    for place in PLACES {
        for pod in facts.pods(Some(place.namespace), from, now).filter(|pod| {
            // Loki's chart gives its gateway the same name; it has nothing to tell.
            &*pod.kind == place.pods && &*pod.component != "gateway"
        }) {
            let container = pod.containers.first().map_or(place.pods, |one| &*one.name);
            found.push(Target {
                part: place.part,
                scrape: Scrape {
                    labels: labels(&[
                        ("job", place.job),
                        ("instance", &format!("{}:{}", pod.ip, place.port)),
                        ("namespace", place.namespace),
                        ("pod", &pod.name),
                        ("service", place.service),
                        ("endpoint", place.endpoint),
                        ("container", container),
                        ("node", if place.part == Part::NodeExporter { &pod.node } else { "" }),
                    ]),
                    honor: place.honor,
                },
                span: pod.span(),
                path: format!(
                    "/api/v1/namespaces/{}/pods/{}:{}/proxy/metrics",
                    place.namespace, pod.name, place.port
                ),
                name: if place.part == Part::NodeExporter { pod.node.clone() } else { pod.name.clone() },
                seed: pod.seed,
            });
        }
    }
    found
}

/// Returns the internal address of a node.
pub fn address(node: &serde_json::Value) -> &str {
    let found = list(node, "/status/addresses").iter().find(|address| address["type"] == "InternalIP");
    found.map_or("", |address| text(address, "/address"))
}

/// Returns the cores of a node.
pub fn cores(facts: &Facts, node: &str) -> f64 {
    facts
        .object(Type::Node, "", node)
        .map_or(0.0, |life| milli(&life.latest()["status"]["capacity"]["cpu"]) as f64 / 1000.0)
}
