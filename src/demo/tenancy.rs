//! What surrounds a tenant's applications: labels, quotas, policies, permissions, stores, certificates and secrets.
//!
//! Pure functions to objects as their projects' CRDs shape them. Secrets hold canary values: text that must never
//! reach a screen, a log or a record.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::estate::{App, Stage, Tenant, ago};
use super::objects::seconds;
use super::types::Type;
use super::untyped::{bytes, cpu, later, list, put, text};
use super::vault::Vault;
use super::world::{Cx, fnv64};

/// The load balancer of the ingress controller.
pub const BALANCER: &str = "k8s-ingressn-ingressn-3f1c9a7d52-0b1e7a3c9d5f2e48.elb.eu-west-1.amazonaws.com";

/// What every secret value of the platform begins with; a test that finds it on a screen has found a leak.
pub const CANARY: &str = "canary-never-show-";

/// Returns the labels of a tenant's namespace.
pub fn labels(tenant: &Tenant, stage: &Stage) -> Value {
    json!({
        "app.kubernetes.io/part-of": tenant.name,
        "tenant": tenant.name,
        "team": tenant.team,
        "environment": stage.environment.as_str(),
        "pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/warn": "restricted",
    })
}

/// Returns text as the data of a Secret holds it.
pub fn encoded(value: &str) -> Value {
    // Writing bytes as base64 text cannot fail.
    serde_json::to_value(ByteString(value.as_bytes().to_vec())).unwrap_or_default()
}

/// Returns what exists once in the cluster beside Karpenter's pools.
pub fn cluster_wide() -> Vec<(Type, Value)> {
    let everything = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let reading = json!([{"apiGroups": ["", "apps", "batch", "autoscaling", "networking.k8s.io", "policy", "discovery.k8s.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]);
    let writing = json!([{"apiGroups": ["", "apps", "batch", "autoscaling", "networking.k8s.io", "policy"], "resources": ["*"], "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]}]);
    let role = |name: &str, rules: &Value| {
        (
            Type::ClusterRole,
            json!({"metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}, "rules": rules}),
        )
    };
    let priority = |name: &str, value: u32| {
        (
            Type::PriorityClass,
            json!({"metadata": {"name": name}, "value": value, "globalDefault": false, "preemptionPolicy": "PreemptLowerPriority", "description": "Used for system critical pods."}),
        )
    };
    let ready = |reason: &str, message: &str| json!([{"type": "Ready", "status": "True", "reason": reason, "message": message, "lastTransitionTime": "2025-01-10T08:00:00Z"}]);
    vec![
        role("cluster-admin", &everything),
        role("admin", &writing),
        role("edit", &writing),
        role("view", &reading),
        (
            Type::ClusterRoleBinding,
            json!({
                "metadata": {"name": "platform-admins"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "platform-admins"}],
            }),
        ),
        priority("system-node-critical", 2_000_001_000),
        priority("system-cluster-critical", 2_000_000_000),
        (
            Type::StorageClass,
            json!({
                "metadata": {"name": "gp3", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                "provisioner": "ebs.csi.aws.com", "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
                "allowVolumeExpansion": true, "parameters": {"type": "gp3", "encrypted": "true"},
            }),
        ),
        (
            Type::Service,
            json!({
                "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
                "spec": {"type": "ClusterIP", "clusterIP": "172.20.0.1", "clusterIPs": ["172.20.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
                    "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443}]},
                "status": {"loadBalancer": {}},
            }),
        ),
        (
            Type::ClusterSecretStore,
            json!({
                "metadata": {"name": "aws-secrets-manager"},
                "spec": {
                    "provider": {"aws": {"service": "SecretsManager", "region": "eu-west-1",
                        "auth": {"jwt": {"serviceAccountRef": {"name": "external-secrets", "namespace": "external-secrets"}}}}},
                    "refreshInterval": 3600,
                },
                "status": {"capabilities": "ReadWrite", "conditions": ready("Valid", "store validated")},
            }),
        ),
        (
            Type::ClusterIssuer,
            json!({
                "metadata": {"name": "letsencrypt"},
                "spec": {"acme": {
                    "server": "https://acme-v02.api.letsencrypt.org/directory", "email": "platform@example.com",
                    "privateKeySecretRef": {"name": "letsencrypt-account"},
                    "solvers": [{"dns01": {"route53": {"region": "eu-west-1"}}}],
                }},
                "status": {
                    "acme": {"uri": "https://acme-v02.api.letsencrypt.org/acme/acct/1833921", "lastRegisteredEmail": "platform@example.com"},
                    "conditions": ready("ACMEAccountRegistered", "The ACME account was registered with the ACME server"),
                },
            }),
        ),
    ]
}

/// Returns what surrounds the applications in one namespace.
pub fn namespaced(tenant: &Tenant, stage: &Stage) -> Vec<(Type, Value)> {
    let namespace = &stage.namespace;
    let labels = json!({"app.kubernetes.io/part-of": tenant.name, "tenant": tenant.name});
    let meta = |name: &str| json!({"name": name, "namespace": namespace, "labels": labels});
    let role = |name: &str, rules: Value| (Type::Role, json!({"metadata": meta(name), "rules": rules}));
    let binding = |name: &str, role: &str, group: &str| {
        (
            Type::RoleBinding,
            json!({
                "metadata": meta(name),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
            }),
        )
    };
    let policy =
        |name: &str, spec: Value| (Type::NetworkPolicy, json!({"metadata": meta(name), "spec": spec}));
    let from = |space: &str| json!({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}}]});
    let registry =
        format!("{{\"auths\":{{\"registry.example.com\":{{\"auth\":\"{CANARY}{namespace}-registry\"}}}}}}");
    vec![
        (Type::ResourceQuota, json!({"metadata": meta("tenant"), "spec": {"hard": hard(tenant, stage)}})),
        (
            Type::LimitRange,
            json!({"metadata": meta("defaults"), "spec": {"limits": [
                {"type": "Container", "default": {"cpu": "500m", "memory": "256Mi"}, "defaultRequest": {"cpu": "50m", "memory": "64Mi"}, "max": {"cpu": "8", "memory": "16Gi"}},
            ]}}),
        ),
        role(
            "developer",
            json!([
                {"apiGroups": [""], "resources": ["pods", "pods/log", "services", "configmaps", "events"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "statefulsets"], "verbs": ["get", "list", "watch", "patch"]},
            ]),
        ),
        role(
            "viewer",
            json!([{"apiGroups": ["", "apps", "batch"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]),
        ),
        binding("developers", "developer", &format!("{}-developers", tenant.name)),
        binding("viewers", "viewer", &format!("{}-viewers", tenant.name)),
        policy("default-deny", json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})),
        policy(
            "allow-same-namespace",
            json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{"from": [{"podSelector": {}}]}], "egress": [{"to": [{"podSelector": {}}]}]}),
        ),
        policy(
            "allow-ingress",
            json!({"podSelector": {"matchLabels": {"app.kubernetes.io/component": "frontend"}}, "policyTypes": ["Ingress"], "ingress": [from("ingress-nginx")]}),
        ),
        policy(
            "allow-monitoring",
            json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [from("monitoring")]}),
        ),
        policy(
            "allow-dns",
            json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{
                "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
            }]}),
        ),
        (
            Type::Secret,
            json!({
                "metadata": meta("registry"), "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": encoded(&registry)},
            }),
        ),
    ]
}

/// Returns the quota of a namespace: roomy for most tenants, tight for every seventh.
fn hard(tenant: &Tenant, stage: &Stage) -> Value {
    let (mut millis, mut memory, mut pods) = (0_i64, 0_i64, 0_i64);
    for app in &stage.apps {
        let side = if app.profile.public { (20, 48) } else { (0, 0) };
        // An autoscaler may more than double what is there.
        let most = i64::from(app.replicas) * if app.profile.autoscaled || app.profile.queue { 2 } else { 1 };
        millis += most * (app.profile.cpu + side.0);
        memory += most * (app.profile.memory + side.1);
        pods += most;
    }
    let tight = tenant.name.ends_with('7');
    let factor = if tight { 108 } else { super::kubelet::chance(&stage.namespace, 150.0, 240.0) as i64 };
    let of = |amount: i64, step: i64| ((amount * factor / 100 + step) / step) * step;
    json!({
        "requests.cpu": cpu(of(millis, 100)),
        "requests.memory": bytes(of(memory, 64) << 20),
        "limits.cpu": cpu(of(millis * 5, 500)),
        "limits.memory": bytes(of(memory * 2, 128) << 20),
        "pods": (of(pods, 1) + 2).to_string(),
        "persistentvolumeclaims": "20",
        "services.loadbalancers": "0",
    })
}

/// Gives an `ExternalSecret` the status of one that was refreshed at a time.
pub fn synced(mut external: Value, refreshed: Timestamp) -> Value {
    let name = external["spec"]["target"]["name"].clone();
    external["status"] = json!({
        "binding": {"name": name},
        "conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced", "lastTransitionTime": seconds(refreshed)}],
        "refreshTime": seconds(refreshed),
        "syncedResourceVersion": synced_version(&external),
    });
    external
}

/// Returns what `status.syncedResourceVersion` of an `ExternalSecret` becomes: its generation and its labels and
/// annotations, so that any change of them forces a refresh.
pub fn synced_version(external: &Value) -> String {
    let metadata = &external["metadata"];
    let marks = json!([metadata["labels"], metadata["annotations"]]);
    let generation = metadata["generation"].as_i64().unwrap_or(1);
    format!("{generation}-{}", &super::pods::hex64(fnv64(marks.to_string().as_bytes()))[..56])
}

/// Keeps what an `ExternalSecret` brings at the provider, with values that begin as the canary does.
pub fn keep_remote(external: &Value, rotates: bool, since: Timestamp, vault: &mut Vault, rng: &mut Rng) {
    let namespace = text(external, "/metadata/namespace");
    for entry in list(external, "/spec/data") {
        let value = format!("{CANARY}{namespace}-{}-{:08x}", text(entry, "/secretKey"), rng.u32(..));
        let (key, field) = (text(entry, "/remoteRef/key"), text(entry, "/remoteRef/property"));
        vault.seed(key, field, value, rotates, since);
    }
}

/// Returns the Secret that an `ExternalSecret` brings, or why the provider does not give what it asks for.
pub fn secret_of(external: &Value, vault: &Vault, now: Timestamp) -> Result<Value, String> {
    let (namespace, name) = (text(external, "/metadata/namespace"), text(external, "/metadata/name"));
    let target = external["spec"]["target"]["name"].as_str().unwrap_or(name);
    let mut data = json!({});
    for (at, entry) in list(external, "/spec/data").iter().enumerate() {
        let remote = |field: &str| text(entry, &format!("/remoteRef/{field}")).to_owned();
        let value = vault.field(&remote("key"), &remote("property"), &remote("version"));
        let value = value.map_err(|why| {
            format!("error processing spec.data[{at}] (key: {}), err: {why}", remote("key"))
        })?;
        data[text(entry, "/secretKey")] = encoded(value);
    }
    let keys = data.as_object().into_iter().flatten().map(|(key, _)| (format!("f:{key}"), json!({})));
    let fields: serde_json::Map<String, Value> = keys.collect();
    let hash = super::pods::hex64(fnv64(data.to_string().as_bytes()));
    let made_by = super::pods::hex64(fnv64(format!("{namespace}/{name}").as_bytes()));
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": target, "namespace": namespace,
            "labels": {"reconcile.external-secrets.io/managed": "true", "reconcile.external-secrets.io/created-by": &made_by[..56]},
            "annotations": {"reconcile.external-secrets.io/data-hash": hash},
            "ownerReferences": [super::pods::owner_reference(external)],
            // What the operator owns, and when it last changed it: the one place that says when content changed.
            "managedFields": [{
                "manager": format!("externalsecrets.external-secrets.io/{name}"), "operation": "Update",
                "apiVersion": "v1", "time": seconds(now), "fieldsType": "FieldsV1",
                "fieldsV1": {"f:data": fields, "f:metadata": {"f:annotations": {}, "f:labels": {}, "f:ownerReferences": {}}, "f:type": {}},
            }],
        },
        "type": "Opaque",
        "data": data,
    }))
}

/// Returns the Certificate that cert-manager makes for an Ingress, and its Secret.
///
/// The story may have one that ends soon: it should have been renewed long ago, and was tried to be since.
pub fn certificate(app: &App, ingress: &Value, cx: &Cx<'_>, rng: &mut Rng) -> Vec<(Type, Value)> {
    let namespace = &app.namespace;
    let mut made = Vec::new();
    for tls in list(ingress, "/spec/tls") {
        let name = text(tls, "/secretName");
        // Let's Encrypt's ninety days, renewed thirty days before the end.
        let mut issued = ago(cx.now, SignedDuration::from_hours(24 * rng.i64(1..59)));
        let ending = cx.estate.ending.get(&app.full_name());
        if let Some(left) = ending {
            issued = later(cx.now, left - 90.0 * 86_400.0);
        }
        let after =
            |days: i64| seconds(issued.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(issued));
        let mut certificate = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": name, "namespace": namespace, "labels": ingress["metadata"]["labels"]},
            "spec": {
                "secretName": name, "dnsNames": tls["hosts"],
                "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt"},
                "usages": ["digital signature", "key encipherment"],
            },
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "Certificate is up to date and has not expired", "lastTransitionTime": seconds(issued), "observedGeneration": 1}],
                "notBefore": seconds(issued), "notAfter": after(90), "renewalTime": after(60), "revision": rng.i64(1..9),
            },
        });
        if let Some(left) = ending {
            // Tried again every 32 h, once the waits are at their longest.
            put(
                &mut certificate,
                &["status", "failedIssuanceAttempts"],
                4 + ((30.0 - left / 86_400.0) * 0.75) as i64,
            );
            put(
                &mut certificate,
                &["status", "lastFailureTime"],
                seconds(later(cx.now, 60.0 - 32.0 * 3_600.0)),
            );
        }
        made.push((Type::Certificate, certificate));
        made.push((Type::Secret, json!({
            "metadata": {
                "name": name, "namespace": namespace, "labels": {"controller.cert-manager.io/fao": "true"},
                "annotations": {"cert-manager.io/certificate-name": name, "cert-manager.io/issuer-name": "letsencrypt", "cert-manager.io/issuer-kind": "ClusterIssuer", "cert-manager.io/alt-names": tls["hosts"][0]},
            },
            "type": "kubernetes.io/tls",
            "data": {"tls.crt": encoded(&format!("{CANARY}{name}-certificate")), "tls.key": encoded(&format!("{CANARY}{name}-private-key"))},
        })));
    }
    made
}
