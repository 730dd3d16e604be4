//! What the platform team runs: the system namespaces and their workloads, as manifests.
//!
//! Pure data. Names, images and ports are those of the real projects, so that rules and habits from real clusters
//! apply.

use serde_json::{Value, json};

use super::component_services::{self, ALERTMANAGER, PROMETHEUS};

const COMPONENT: &str = "app.kubernetes.io/component";

/// One workload of the platform.
#[derive(Debug, PartialEq, Eq)]
pub struct Component {
    /// Its namespace.
    pub namespace: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `Deployment`, `DaemonSet` or `StatefulSet`.
    pub kind: &'static str,
    /// Replicas; ignored for `DaemonSets`.
    pub replicas: i64,
    /// Its image with tag.
    pub image: &'static str,
    /// CPU request in millicores.
    pub cpu: i64,
    /// Memory request in MiB.
    pub memory: i64,
}

const fn part(
    namespace: &'static str,
    name: &'static str,
    kind: &'static str,
    replicas: i64,
    image: &'static str,
    (cpu, memory): (i64, i64),
) -> Component {
    Component { namespace, name, kind, replicas, image, cpu, memory }
}

/// Namespaces of the platform.
pub static NAMESPACES: &[&str] = &[
    "default",
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "argocd",
    "monitoring",
    "karpenter",
    "cert-manager",
    "external-secrets",
    "external-dns",
    "ingress-nginx",
    "kyverno",
    "keda",
    "reloader",
    "trivy-system",
];

/// Workloads of the platform.
pub static COMPONENTS: &[Component] = &[
    part(
        "kube-system",
        "aws-node",
        "DaemonSet",
        0,
        "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.19.5",
        (50, 64),
    ),
    part(
        "kube-system",
        "kube-proxy",
        "DaemonSet",
        0,
        "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/kube-proxy:v1.32.5-eksbuild.2",
        (50, 48),
    ),
    part(
        "kube-system",
        "ebs-csi-node",
        "DaemonSet",
        0,
        "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.44.0",
        (20, 40),
    ),
    part(
        "kube-system",
        "coredns",
        "Deployment",
        2,
        "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/coredns:v1.12.1",
        (100, 70),
    ),
    part(
        "kube-system",
        "metrics-server",
        "Deployment",
        2,
        "registry.k8s.io/metrics-server/metrics-server:v0.7.2",
        (100, 200),
    ),
    part(
        "kube-system",
        "ebs-csi-controller",
        "Deployment",
        2,
        "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.44.0",
        (30, 80),
    ),
    part(
        "argocd",
        "argocd-application-controller",
        "StatefulSet",
        1,
        "quay.io/argoproj/argocd:v3.5.1",
        (250, 512),
    ),
    part("argocd", "argocd-server", "Deployment", 2, "quay.io/argoproj/argocd:v3.5.1", (50, 128)),
    part("argocd", "argocd-repo-server", "Deployment", 2, "quay.io/argoproj/argocd:v3.5.1", (100, 256)),
    part(
        "argocd",
        "argocd-applicationset-controller",
        "Deployment",
        1,
        "quay.io/argoproj/argocd:v3.5.1",
        (50, 96),
    ),
    part(
        "argocd",
        "argocd-redis",
        "Deployment",
        1,
        "public.ecr.aws/docker/library/redis:7.2.8-alpine",
        (50, 64),
    ),
    part("monitoring", "node-exporter", "DaemonSet", 0, "quay.io/prometheus/node-exporter:v1.9.1", (20, 32)),
    part("monitoring", "alloy", "DaemonSet", 0, "docker.io/grafana/alloy:v1.9.1", (50, 128)),
    part("monitoring", PROMETHEUS, "StatefulSet", 1, "quay.io/prometheus/prometheus:v3.4.1", (400, 1024)),
    part("monitoring", ALERTMANAGER, "StatefulSet", 2, "quay.io/prometheus/alertmanager:v0.28.1", (20, 64)),
    part("monitoring", "loki", "StatefulSet", 1, "docker.io/grafana/loki:3.5.1", (150, 384)),
    part(
        "monitoring",
        "loki-gateway",
        "Deployment",
        1,
        "docker.io/nginxinc/nginx-unprivileged:1.28.0-alpine",
        (20, 32),
    ),
    part(
        "monitoring",
        "kube-prometheus-stack-operator",
        "Deployment",
        1,
        "quay.io/prometheus-operator/prometheus-operator:v0.82.2",
        (50, 96),
    ),
    part(
        "monitoring",
        "kube-state-metrics",
        "Deployment",
        1,
        "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0",
        (50, 96),
    ),
    part("monitoring", "grafana", "Deployment", 1, "docker.io/grafana/grafana:12.0.1", (100, 160)),
    part("karpenter", "karpenter", "Deployment", 2, "public.ecr.aws/karpenter/controller:1.5.0", (250, 512)),
    part(
        "cert-manager",
        "cert-manager",
        "Deployment",
        1,
        "quay.io/jetstack/cert-manager-controller:v1.18.0",
        (20, 64),
    ),
    part(
        "cert-manager",
        "cert-manager-webhook",
        "Deployment",
        1,
        "quay.io/jetstack/cert-manager-webhook:v1.18.0",
        (20, 32),
    ),
    part(
        "external-secrets",
        "external-secrets",
        "Deployment",
        1,
        "oci.external-secrets.io/external-secrets/external-secrets:v0.18.0",
        (20, 64),
    ),
    part(
        "external-dns",
        "external-dns",
        "Deployment",
        1,
        "registry.k8s.io/external-dns/external-dns:v0.22.0",
        (20, 48),
    ),
    part(
        "ingress-nginx",
        "ingress-nginx-controller",
        "Deployment",
        2,
        "registry.k8s.io/ingress-nginx/controller:v1.12.3",
        (100, 192),
    ),
    part(
        "kyverno",
        "kyverno-admission-controller",
        "Deployment",
        1,
        "ghcr.io/kyverno/kyverno:v1.14.2",
        (100, 128),
    ),
    part("keda", "keda-operator", "Deployment", 1, "ghcr.io/kedacore/keda:2.17.1", (50, 96)),
    part("reloader", "reloader-reloader", "Deployment", 1, "ghcr.io/stakater/reloader:v1.4.2", (20, 64)),
    part(
        "monitoring",
        "prometheus-postgres-exporter",
        "Deployment",
        1,
        "quay.io/prometheuscommunity/postgres-exporter:v0.17.1",
        (20, 32),
    ),
    part(
        "trivy-system",
        "trivy-operator",
        "Deployment",
        1,
        "mirror.gcr.io/aquasec/trivy-operator:0.26.1",
        (50, 128),
    ),
];

impl Component {
    /// Returns the labels by which consoles and Services find it.
    pub fn labels(&self) -> Value {
        let (name, instance) = match self.name {
            PROMETHEUS => ("prometheus", "kube-prometheus-stack-prometheus"),
            ALERTMANAGER => ("alertmanager", "kube-prometheus-stack-alertmanager"),
            "loki" | "loki-gateway" => ("loki", "loki"),
            other => (other, other),
        };
        let mut labels = json!({
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/instance": instance,
            "app.kubernetes.io/version": self.image.rsplit(':').next().unwrap_or_default(),
            "app.kubernetes.io/part-of": if self.namespace == "argocd" { "argocd" } else { self.namespace },
        });
        // Two workloads of one chart, told apart as Loki's chart does.
        match self.name {
            "loki" => labels[COMPONENT] = json!("single-binary"),
            "loki-gateway" => labels[COMPONENT] = json!("gateway"),
            _ => {}
        }
        labels
    }

    /// Returns the labels that select its pods.
    pub fn selector(&self) -> Value {
        let labels = self.labels();
        let mut selector = json!({"app.kubernetes.io/name": labels["app.kubernetes.io/name"], "app.kubernetes.io/instance": labels["app.kubernetes.io/instance"]});
        if let Some(component) = labels.get(COMPONENT) {
            selector[COMPONENT] = component.clone();
        }
        selector
    }

    /// Returns its workload as a manifest.
    pub fn workload(&self) -> Value {
        let daemon = self.kind == "DaemonSet";
        let stateful = self.kind == "StatefulSet";
        let short = match self.name {
            PROMETHEUS => "prometheus",
            ALERTMANAGER => "alertmanager",
            other => other,
        };
        let mut container = json!({
            "name": short, "image": self.image, "imagePullPolicy": "IfNotPresent",
            "env": [
                {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
                {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}},
            ],
            "resources": {
                "requests": {"cpu": format!("{}m", self.cpu), "memory": format!("{}Mi", self.memory)},
                "limits": {"memory": format!("{}Mi", self.memory * 2)},
            },
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        });
        let ports = component_services::container_ports(self.name);
        let tcp = ports.iter().find(|port| port["protocol"] == "TCP").map(|port| port["name"].clone());
        if let Some(port) = tcp {
            container["ports"] = json!(ports);
            container["readinessProbe"] = json!({
                "httpGet": {"path": "/healthz", "port": port, "scheme": "HTTP"},
                "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3,
            });
        }
        let mut spec = json!({
            "serviceAccountName": self.name,
            "containers": [container],
            "priorityClassName": if daemon { "system-node-critical" } else { "system-cluster-critical" },
            "priority": if daemon { 2_000_001_000 } else { 2_000_000_000 },
        });
        if daemon {
            spec["tolerations"] = json!([{"operator": "Exists"}]);
            spec["hostNetwork"] = json!(true);
        } else {
            spec["tolerations"] = json!([{"key": "CriticalAddonsOnly", "operator": "Exists"}]);
        }
        let mut workload = json!({
            "apiVersion": "apps/v1", "kind": self.kind,
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": self.labels()},
            "spec": {
                "revisionHistoryLimit": 10,
                "selector": {"matchLabels": self.selector()},
                "template": {"metadata": {"labels": self.labels()}, "spec": spec},
            },
        });
        if daemon {
            workload["spec"]["updateStrategy"] =
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}});
        } else {
            workload["spec"]["replicas"] = json!(self.replicas);
        }
        if stateful {
            let governing = component_services::of(self.name).find(|offer| offer.headless);
            workload["spec"]["serviceName"] = json!(governing.map_or(self.name, |offer| offer.service));
            workload["spec"]["updateStrategy"] =
                json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
            if self.namespace == "monitoring" {
                workload["spec"]["volumeClaimTemplates"] = json!([{
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "resources": {"requests": {"storage": "50Gi"}}},
                }]);
            }
        } else if !daemon {
            workload["spec"]["progressDeadlineSeconds"] = json!(600);
            workload["spec"]["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        }
        workload
    }
}

/// Returns the node pools, and the class that both use.
pub fn karpenter() -> (Value, Vec<Value>) {
    let class = json!({
        "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass",
        "metadata": {"name": "default", "finalizers": ["karpenter.k8s.aws/termination"]},
        "spec": {
            "amiFamily": "AL2023",
            "amiSelectorTerms": [{"alias": "al2023@v20250610"}],
            "role": "KarpenterNodeRole-platform",
            "subnetSelectorTerms": [{"tags": {"karpenter.sh/discovery": "platform"}}],
            "securityGroupSelectorTerms": [{"tags": {"karpenter.sh/discovery": "platform"}}],
            "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "80Gi", "volumeType": "gp3", "encrypted": true}}],
            "metadataOptions": {"httpEndpoint": "enabled", "httpProtocolIPv6": "disabled", "httpPutResponseHopLimit": 1, "httpTokens": "required"},
            "tags": {"team": "platform"},
        },
    });
    let pool = |name: &str, capacity: &str, weight: u32, budgets: Value| {
        json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
            "metadata": {"name": name},
            "spec": {
                "weight": weight,
                "limits": {"cpu": "20000", "memory": "80000Gi"},
                "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "1m", "budgets": budgets},
                "template": {
                    "metadata": {"labels": {"platform.example.com/pool": name}},
                    "spec": {
                        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                        "expireAfter": "720h",
                        "terminationGracePeriod": "30m",
                        "startupTaints": [{"key": "node.cilium.io/agent-not-ready", "value": "true", "effect": "NoExecute"}],
                        "requirements": [
                            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [capacity]},
                            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                            {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m", "r"]},
                            {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["5"]},
                        ],
                    },
                },
            },
        })
    };
    let pools = vec![
        pool("spot", "spot", 50, json!([{"nodes": "20%"}])),
        pool(
            "on-demand",
            "on-demand",
            10,
            json!([{"nodes": "10%"}, {"nodes": "0", "reasons": ["Drifted"], "schedule": "0 8 * * 1-5", "duration": "9h"}]),
        ),
    ];
    (class, pools)
}
