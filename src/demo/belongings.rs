//! What the platform team keeps beside its workloads, in kinds that no application of a tenant has: a secret for
//! several namespaces, one that is sealed in Git, and names that no Ingress has.
//!
//! Pure data, and at rest: what controllers would write stands in it already.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::seconds;
use super::pods::owner_reference;
use super::tenancy::{CANARY, encoded};
use super::types::Type;
use super::untyped::text;
use super::world::fnv64;

/// The namespace that the `ClusterExternalSecret` provisions.
pub const PROVISIONED: &str = "trivy-system";

/// Returns the `ClusterExternalSecret` of the registry that all scanners pull from.
pub fn cluster_external_secret() -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ClusterExternalSecret",
        "metadata": {"name": "registry-pull"},
        "spec": {
            "externalSecretName": "registry-pull", "refreshTime": "5m",
            "namespaceSelectors": [{"matchLabels": {"kubernetes.io/metadata.name": PROVISIONED}}],
            "externalSecretSpec": brought(),
        },
        "status": {
            "externalSecretName": "registry-pull", "provisionedNamespaces": [PROVISIONED],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

fn brought() -> Value {
    json!({
        "refreshInterval": "1h0m0s",
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "aws-secrets-manager"},
        "target": {"name": "registry-pull", "creationPolicy": "Owner", "deletionPolicy": "Retain"},
        "data": [
            {"secretKey": "password", "remoteRef": {"key": "platform/registry", "property": "password"}},
        ],
    })
}

/// Returns the `ExternalSecret` that it makes.
pub fn provisioned(by: &Value) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {
            "name": text(by, "/spec/externalSecretName"), "namespace": PROVISIONED,
            "ownerReferences": [owner_reference(by)],
        },
        "spec": by["spec"]["externalSecretSpec"],
    })
}

/// Returns the `SealedSecret` of Grafana's administrator.
pub fn sealed(since: Timestamp) -> Value {
    // What a real one holds is as long, and tells as little.
    let cipher = |key: &str| {
        let block = |at: u64| format!("{:016x}", fnv64(format!("{key}{at}").as_bytes()));
        encoded(&(0..12).map(block).collect::<String>())
    };
    json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
        "metadata": {"name": "grafana-admin", "namespace": "monitoring"},
        "spec": {
            "encryptedData": {"admin-user": cipher("user"), "admin-password": cipher("password")},
            "template": {"metadata": {"name": "grafana-admin", "namespace": "monitoring"}, "type": "Opaque"},
        },
        "status": {
            "observedGeneration": 1,
            "conditions": [{
                "type": "Synced", "status": "True",
                "lastUpdateTime": seconds(since), "lastTransitionTime": seconds(since),
            }],
        },
    })
}

/// Returns the Secret that is in a `SealedSecret`.
pub fn unsealed(from: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": text(from, "/metadata/name"), "namespace": text(from, "/metadata/namespace"),
            "ownerReferences": [owner_reference(from)],
        },
        "type": "Opaque",
        "data": {"admin-user": encoded("admin"), "admin-password": encoded(&format!("{CANARY}grafana-admin"))},
    })
}

/// Returns the names of the platform that lead elsewhere.
pub fn names() -> (Type, Value) {
    let endpoint = json!({
        "apiVersion": "externaldns.k8s.io/v1alpha1", "kind": "DNSEndpoint",
        "metadata": {"name": "platform", "namespace": "external-dns"},
        "spec": {"endpoints": [
            {"dnsName": "example.com", "recordType": "A", "recordTTL": 300, "targets": ["203.0.113.10", "203.0.113.11"]},
            {"dnsName": "status.example.com", "recordType": "CNAME", "recordTTL": 300, "targets": ["pages.status.example.net"]},
        ]},
        "status": {"observedGeneration": 1},
    });
    (Type::DNSEndpoint, endpoint)
}
