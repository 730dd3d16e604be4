//! What an application deploys: the manifests that its git repository renders to.
//!
//! Pure functions from the estate and the values of one version to Kubernetes manifests as a chart would write them,
//! without the defaults that the API server fills in. The seeded world applies them and so does Argo CD, which is
//! why a fresh platform is in sync. Nothing here knows about pods, nodes or time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::estate::{App, Environment, Profile, Workload};
use super::images::REGISTRY;

/// What the values file of one application of one tenant says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Values {
    /// The version, from the version file; also the image tag.
    pub version: String,
    /// Replicas; `None` where an autoscaler decides, so that Argo CD and the autoscaler do not fight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// What the ConfigMap holds beside the defaults.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

impl Values {
    /// Returns the values that an application starts with, at one of its versions.
    pub fn of(app: &App, version: &str) -> Self {
        let scaled = app.profile.autoscaled || app.profile.queue;
        let mut config = BTreeMap::new();
        config.insert("LOG_LEVEL".to_owned(), "info".to_owned());
        config.insert("REQUEST_TIMEOUT".to_owned(), "3s".to_owned());
        config.insert("FEATURE_SET".to_owned(), version.split('.').take(2).collect::<Vec<_>>().join("."));
        Self { version: version.to_owned(), replicas: (!scaled).then_some(app.replicas), config }
    }
}

/// Returns every manifest of an application, in the order in which they are applied.
pub fn manifests(app: &App, values: &Values) -> Vec<Value> {
    let profile = app.profile;
    let mut list = vec![service_account(app, values), config_map(app, values)];
    if profile.secret {
        list.push(external_secret(app, values));
    }
    match profile.workload {
        Workload::Deployment => {
            list.push(service(app, values, false));
            list.push(deployment(app, values));
        }
        Workload::StatefulSet => {
            list.push(service(app, values, true));
            list.push(stateful_set(app, values));
        }
        Workload::CronJob => list.push(cron_job(app, values)),
    }
    if profile.workload != Workload::CronJob && app.replicas > 1 {
        list.push(disruption_budget(app, values));
    }
    if profile.autoscaled {
        list.push(autoscaler(app, values));
    }
    if profile.queue {
        list.push(scaled_object(app, values));
    }
    if profile.public {
        list.push(ingress(app, values));
    }
    list
}

/// Returns the host name under which an application is reached from outside.
pub fn host(app: &App) -> String {
    format!("{}.{}.example.com", app.name, app.namespace)
}

/// Returns the labels by which an application's workload selects its pods.
pub fn selector(app: &App) -> Value {
    json!({"app.kubernetes.io/name": app.profile.name, "app.kubernetes.io/instance": app.name})
}

fn labels(app: &App, values: &Values) -> Value {
    json!({
        "app.kubernetes.io/name": app.profile.name,
        "app.kubernetes.io/instance": app.name,
        "app.kubernetes.io/version": values.version,
        "app.kubernetes.io/component": app.profile.component,
        "app.kubernetes.io/part-of": app.tenant,
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": "service-2.3.1",
    })
}

fn metadata(app: &App, values: &Values, name: &str) -> Value {
    json!({"name": name, "namespace": app.namespace, "labels": labels(app, values)})
}

fn service_account(app: &App, values: &Values) -> Value {
    let mut meta = metadata(app, values, &app.name);
    meta["annotations"] = json!({
        "eks.amazonaws.com/role-arn": format!("arn:aws:iam::111122223333:role/{}", app.full_name()),
    });
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta, "automountServiceAccountToken": true})
}

fn config_map(app: &App, values: &Values) -> Value {
    let mut data = json!({
        "APP_NAME": app.name,
        "ENVIRONMENT": app.environment.as_str(),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector.monitoring.svc:4317",
    });
    for (key, value) in &values.config {
        data[key] = json!(value);
    }
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": metadata(app, values, &format!("{}-env", app.name)),
        "data": data,
    })
}

fn external_secret(app: &App, values: &Values) -> Value {
    let name = format!("{}-credentials", app.name);
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": metadata(app, values, &name),
        "spec": {
            "refreshInterval": "1h0m0s",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "aws-secrets-manager"},
            "target": {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain"},
            "data": [
                {"secretKey": "DB_USER", "remoteRef": {"key": format!("{}/{}", app.namespace, app.name), "property": "username"}},
                {"secretKey": "DB_PASSWORD", "remoteRef": {"key": format!("{}/{}", app.namespace, app.name), "property": "password"}},
            ],
        },
    })
}

fn service(app: &App, values: &Values, headless: bool) -> Value {
    let mut spec = json!({
        "type": "ClusterIP",
        "selector": selector(app),
        "ports": [{"name": port_name(app.profile), "port": if headless { app.profile.port } else { 80 }, "targetPort": port_name(app.profile), "protocol": "TCP"}],
    });
    if headless {
        spec["clusterIP"] = json!("None");
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata(app, values, &app.name), "spec": spec})
}

fn port_name(profile: &Profile) -> &'static str {
    match profile.port {
        6379 => "redis",
        9090 => "metrics",
        _ => "http",
    }
}

fn deployment(app: &App, values: &Values) -> Value {
    let mut meta = metadata(app, values, &app.name);
    if app.profile.secret {
        meta["annotations"] = json!({"reloader.stakater.com/auto": "true"});
    }
    let mut spec = json!({
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": 120,
        "selector": {"matchLabels": selector(app)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": pod_template(app, values),
    });
    if let Some(replicas) = values.replicas {
        spec["replicas"] = json!(replicas);
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
}

fn stateful_set(app: &App, values: &Values) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": metadata(app, values, &app.name),
        "spec": {
            "serviceName": app.name,
            "replicas": values.replicas.unwrap_or(app.replicas),
            "revisionHistoryLimit": 5,
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "selector": {"matchLabels": selector(app)},
            "template": pod_template(app, values),
            "volumeClaimTemplates": [{
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "resources": {"requests": {"storage": "10Gi"}}},
            }],
        },
    })
}

fn cron_job(app: &App, values: &Values) -> Value {
    let mut template = pod_template(app, values);
    template["spec"]["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": metadata(app, values, &app.name),
        "spec": {
            "schedule": "*/15 * * * *",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 300,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"spec": {"backoffLimit": 2, "activeDeadlineSeconds": 600, "template": template}},
        },
    })
}

fn disruption_budget(app: &App, values: &Values) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": metadata(app, values, &app.name),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(app)}},
    })
}

fn autoscaler(app: &App, values: &Values) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(app, values, &app.name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": app.name},
            "minReplicas": app.replicas.max(1),
            "maxReplicas": app.replicas.max(1) * 2 + 1,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}],
        },
    })
}

fn scaled_object(app: &App, values: &Values) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": metadata(app, values, &app.name),
        "spec": {
            "scaleTargetRef": {"name": app.name},
            "pollingInterval": 15,
            "cooldownPeriod": 120,
            "minReplicaCount": app.replicas.max(1),
            "maxReplicaCount": app.replicas.max(1) * 3,
            "triggers": [{
                "type": "aws-sqs-queue",
                "metadata": {
                    "queueURL": format!("https://sqs.eu-west-1.amazonaws.com/111122223333/{}", app.full_name()),
                    "queueLength": "50", "awsRegion": "eu-west-1", "identityOwner": "operator",
                },
            }],
        },
    })
}

fn ingress(app: &App, values: &Values) -> Value {
    let mut meta = metadata(app, values, &app.name);
    meta["annotations"] = json!({
        "cert-manager.io/cluster-issuer": "letsencrypt",
        "external-dns.kubernetes.io/hostname": host(app),
        "nginx.ingress.kubernetes.io/proxy-body-size": "8m",
    });
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta,
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"hosts": [host(app)], "secretName": format!("{}-tls", app.name)}],
            "rules": [{
                "host": host(app),
                "http": {"paths": [{
                    "path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": app.name, "port": {"name": port_name(app.profile)}}},
                }]},
            }],
        },
    })
}

/// The annotation of pods that says with which settings they were made.
pub const SETTINGS: &str = "checksum/config";

/// Returns the checksum of the settings of an app with these values.
pub fn checksum(app: &App, values: &Values) -> String {
    let checksum = super::world::fnv64(config_map(app, values)["data"].to_string().as_bytes());
    format!("{checksum:016x}")
}

fn pod_template(app: &App, values: &Values) -> Value {
    let profile = app.profile;
    let mut annotations = json!({SETTINGS: checksum(app, values)});
    if profile.port != 0 {
        annotations["prometheus.io/scrape"] = json!("true");
        annotations["prometheus.io/port"] = json!(profile.port.to_string());
    }
    let mut container = json!({
        "name": profile.name,
        "image": app.image(&values.version).to_string(),
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
            {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": format!("service.name={},deployment.environment={}", app.name, app.environment.as_str())},
            {"name": "GOMAXPROCS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}},
        ],
        "envFrom": [{"configMapRef": {"name": format!("{}-env", app.name)}}],
        "resources": {
            "requests": {"cpu": format!("{}m", profile.cpu), "memory": format!("{}Mi", profile.memory)},
            "limits": {"cpu": format!("{}m", profile.cpu * 4), "memory": format!("{}Mi", profile.memory * 3 / 2)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true, "runAsUser": 10001,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    });
    if profile.port != 0 {
        let probe = |path: &str, period: u32| json!({"httpGet": {"path": path, "port": port_name(profile), "scheme": "HTTP"}, "initialDelaySeconds": 5, "periodSeconds": period, "timeoutSeconds": 2, "successThreshold": 1, "failureThreshold": 3});
        container["ports"] =
            json!([{"name": port_name(profile), "containerPort": profile.port, "protocol": "TCP"}]);
        container["readinessProbe"] = probe("/ready", 5);
        container["livenessProbe"] = probe("/live", 10);
    }
    if profile.secret
        && let Some(list) = container["env"].as_array_mut()
    {
        for key in ["DB_USER", "DB_PASSWORD"] {
            list.push(json!({"name": key, "valueFrom": {"secretKeyRef": {"name": format!("{}-credentials", app.name), "key": key}}}));
        }
    }
    if profile.workload == Workload::StatefulSet
        && let Some(list) = container["volumeMounts"].as_array_mut()
    {
        list.push(json!({"name": "data", "mountPath": "/data"}));
    }
    let mut containers = vec![container];
    // The proxy gives the log view pods with more than one container.
    if profile.public {
        containers.push(json!({
            "name": "proxy",
            "image": format!("{REGISTRY}/mesh/proxy:1.29.4"),
            "imagePullPolicy": "IfNotPresent",
            "args": ["--upstream", format!("127.0.0.1:{}", profile.port)],
            "ports": [{"name": "https", "containerPort": 15443, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"cpu": "200m", "memory": "96Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1337, "capabilities": {"drop": ["ALL"]}},
        }));
    }
    let mut spec = json!({
        "serviceAccountName": app.name,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": containers,
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
        "topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(app)},
        }],
    });
    // What must not be interrupted runs on-demand; the rest takes what is cheapest.
    if app.environment == Environment::Prod
        && (profile.workload == Workload::StatefulSet || profile.name == "payments")
    {
        spec["nodeSelector"] = json!({"karpenter.sh/capacity-type": "on-demand"});
    }
    let mut labels = labels(app, values);
    labels["environment"] = json!(app.environment.as_str());
    json!({"metadata": {"labels": labels, "annotations": annotations}, "spec": spec})
}
