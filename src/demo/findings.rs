//! What scanners have found: vulnerabilities of images and violations of policies.
//!
//! Pure functions to reports as trivy-operator and Kyverno write them. The platform does not scan; what it reports was
//! found when it was seeded.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::images::Image;
use super::objects::seconds;
use super::pods::{hex64, owner_reference};
use super::untyped::text;
use super::world::fnv64;

/// Vulnerabilities that images of the platform may have: id, package, installed, fixed, severity, score, title.
const KNOWN: &[(&str, &str, &str, &str, &str, f64, &str)] = &[
    (
        "CVE-2024-45337",
        "golang.org/x/crypto",
        "v0.27.0",
        "0.31.0",
        "CRITICAL",
        9.1,
        "golang.org/x/crypto/ssh: misuse of PublicKeyCallback may cause authorization bypass",
    ),
    (
        "CVE-2023-45853",
        "zlib1g",
        "1:1.2.13.dfsg-1",
        "",
        "CRITICAL",
        9.8,
        "zlib: integer overflow in zipOpenNewFileInZip4_6",
    ),
    (
        "CVE-2024-45338",
        "golang.org/x/net",
        "v0.29.0",
        "0.33.0",
        "HIGH",
        7.5,
        "golang.org/x/net/html: non-linear parsing of case-insensitive content",
    ),
    (
        "CVE-2024-2961",
        "libc6",
        "2.36-9+deb12u4",
        "2.36-9+deb12u7",
        "HIGH",
        7.3,
        "glibc: out of bounds write in iconv may lead to remote code execution",
    ),
    (
        "CVE-2025-22869",
        "golang.org/x/crypto",
        "v0.31.0",
        "0.35.0",
        "HIGH",
        7.5,
        "golang.org/x/crypto/ssh: denial of service in the key exchange",
    ),
    (
        "CVE-2023-4039",
        "libgcc-s1",
        "12.2.0-14",
        "",
        "MEDIUM",
        4.8,
        "gcc: -fstack-protector fails to guard dynamic stack allocations on ARM64",
    ),
    (
        "CVE-2024-28085",
        "util-linux",
        "2.38.1-5",
        "2.38.1-5+deb12u1",
        "MEDIUM",
        3.3,
        "util-linux: wall allows escape sequences in messages",
    ),
    ("CVE-2011-3374", "apt", "2.6.1", "", "LOW", 3.7, "apt-key does not correctly validate gpg keys"),
];

/// Makes the report on the first container of a ReplicaSet.
pub fn vulnerabilities(set: &Value, now: Timestamp) -> Value {
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let image = Image::parse(text(container, "/image"));
    let (server, repository) = image.repository.split_once('/').unwrap_or(("", image.repository.as_str()));
    let draw = fnv64(image.to_string().as_bytes());
    let found: Vec<_> =
        KNOWN.iter().enumerate().filter(|(at, _)| draw >> at & 1 == 1).map(|(_, known)| known).collect();
    let count = |severity: &str| found.iter().filter(|known| known.4 == severity).count();
    let at = seconds(now);
    let list: Vec<Value> = found
        .iter()
        .map(|(id, package, installed, fixed, severity, score, title)| {
            json!({
                "vulnerabilityID": id, "resource": package, "installedVersion": installed, "fixedVersion": fixed,
                "severity": severity, "score": score, "title": title, "links": [], "target": "",
                "primaryLink": format!("https://avd.aquasec.com/nvd/{}", id.to_lowercase()),
                "publishedDate": "2024-12-11T16:15:00Z", "lastModifiedDate": "2025-02-18T21:15:00Z",
            })
        })
        .collect();
    let (namespace, name) = (text(set, "/metadata/namespace"), text(set, "/metadata/name"));
    let container = text(container, "/name");
    json!({
        "apiVersion": "aquasecurity.github.io/v1alpha1", "kind": "VulnerabilityReport",
        "metadata": {
            "name": format!("replicaset-{name}-{container}"), "namespace": namespace,
            "labels": {
                "trivy-operator.resource.kind": "ReplicaSet", "trivy-operator.resource.name": name,
                "trivy-operator.resource.namespace": namespace, "trivy-operator.container.name": container,
            },
            "ownerReferences": [owner_reference(set)],
        },
        "report": {
            "updateTimestamp": at,
            "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "0.63.0"},
            "registry": {"server": server},
            "artifact": {"repository": repository, "tag": image.tag, "digest": format!("sha256:{}", hex64(draw))},
            "os": {"family": "debian", "name": "12.11"},
            "summary": {
                "criticalCount": count("CRITICAL"), "highCount": count("HIGH"), "mediumCount": count("MEDIUM"),
                "lowCount": count("LOW"), "unknownCount": 0, "noneCount": 0,
            },
            "vulnerabilities": list,
        },
    })
}

/// Policies that every workload is held against: policy, rule, severity, message.
const POLICIES: &[(&str, &str, &str, &str)] = &[
    ("disallow-latest-tag", "require-image-tag", "medium", "an image tag is required"),
    (
        "require-requests-limits",
        "validate-resources",
        "medium",
        "CPU and memory resource requests and limits are required",
    ),
    (
        "require-probes",
        "validate-probes",
        "low",
        "liveness and readiness probes are required for all containers",
    ),
    (
        "require-pod-disruption-budget",
        "deployment-has-budget",
        "medium",
        "a deployment with more than one replica needs a PodDisruptionBudget",
    ),
];

/// Makes Kyverno's report on one workload; it is named by the workload's UID.
pub fn policies(workload: &Value, now: Timestamp) -> Value {
    let containers = super::untyped::list(workload, "/spec/template/spec/containers");
    let probed = containers.iter().all(|container| !container["livenessProbe"].is_null());
    let results: Vec<Value> = POLICIES
        .iter()
        .map(|(policy, rule, severity, message)| {
            let failed = *policy == "require-probes" && !probed;
            let message = if failed { format!("validation error: {message}. rule {rule} failed at path /spec/template/spec/containers/1/livenessProbe/") } else { format!("validation rule '{rule}' passed.") };
            json!({
                "source": "kyverno", "policy": policy, "rule": rule, "severity": severity, "category": "Best Practices",
                "result": if failed { "fail" } else { "pass" }, "scored": true, "message": message,
                "timestamp": {"seconds": now.as_second(), "nanos": 0},
            })
        })
        .collect();
    let failed = results.iter().filter(|result| result["result"] == "fail").count();
    json!({
        "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
        "metadata": {
            "name": workload["metadata"]["uid"], "namespace": workload["metadata"]["namespace"],
            "labels": {"app.kubernetes.io/managed-by": "kyverno"},
            "ownerReferences": [owner_reference(workload)],
        },
        "scope": {
            "apiVersion": workload["apiVersion"], "kind": workload["kind"], "name": workload["metadata"]["name"],
            "namespace": workload["metadata"]["namespace"], "uid": workload["metadata"]["uid"],
        },
        "results": results,
        "summary": {"pass": results.len() - failed, "fail": failed, "warn": 0, "error": 0, "skip": 0},
    })
}
