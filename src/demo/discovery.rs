//! Discovery: which groups, versions and resources there are, in the old form and in the aggregated one.
//!
//! Everything follows from the table of types and the few resources that store nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::types::Type;
use super::versions::OTHERS;

/// Version that the platform says it is, in the form that EKS has.
pub const VERSION: &str = "v1.32.5-eks-5d4a308";

/// Its minor version, by which clients judge what it can do.
const MINOR: &str = "32";

/// A resource that is served but not stored, or that is a part of another.
struct Extra {
    group: &'static str,
    version: &'static str,
    name: &'static str,
    singular: &'static str,
    kind: &'static str,
    /// Group and version of the kind, where they are not those of the resource.
    of: (&'static str, &'static str),
    namespaced: bool,
    verbs: &'static [&'static str],
}

static EXTRAS: &[Extra] = &[
    extra("", "v1", "pods/log", "", "Pod", ("", "v1"), true, &["get"]),
    extra("", "v1", "pods/eviction", "", "Eviction", ("policy", "v1"), true, &["create"]),
    extra("", "v1", "pods/proxy", "", "PodProxyOptions", ("", "v1"), true, PROXY_VERBS),
    extra("", "v1", "services/proxy", "", "ServiceProxyOptions", ("", "v1"), true, PROXY_VERBS),
    extra(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
        "SelfSubjectAccessReview",
        ("authorization.k8s.io", "v1"),
        false,
        &["create"],
    ),
    extra(
        "authorization.k8s.io",
        "v1",
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
        "SelfSubjectRulesReview",
        ("authorization.k8s.io", "v1"),
        false,
        &["create"],
    ),
    extra(
        "authorization.k8s.io",
        "v1",
        "subjectaccessreviews",
        "subjectaccessreview",
        "SubjectAccessReview",
        ("authorization.k8s.io", "v1"),
        false,
        &["create"],
    ),
    extra(
        "authentication.k8s.io",
        "v1",
        "selfsubjectreviews",
        "selfsubjectreview",
        "SelfSubjectReview",
        ("authentication.k8s.io", "v1"),
        false,
        &["create"],
    ),
    extra(
        "metrics.k8s.io",
        "v1beta1",
        "nodes",
        "",
        "NodeMetrics",
        ("metrics.k8s.io", "v1beta1"),
        false,
        &["get", "list"],
    ),
    extra(
        "metrics.k8s.io",
        "v1beta1",
        "pods",
        "",
        "PodMetrics",
        ("metrics.k8s.io", "v1beta1"),
        true,
        &["get", "list"],
    ),
];

const PROXY_VERBS: &[&str] = &["create", "delete", "get", "patch", "update"];
const ALL_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

#[expect(clippy::too_many_arguments, reason = "rows of the table above")]
const fn extra(
    group: &'static str,
    version: &'static str,
    name: &'static str,
    singular: &'static str,
    kind: &'static str,
    of: (&'static str, &'static str),
    namespaced: bool,
    verbs: &'static [&'static str],
) -> Extra {
    Extra { group, version, name, singular, kind, of, namespaced, verbs }
}

/// Returns what `/version` says.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": MINOR, "gitVersion": VERSION, "gitCommit": "opsdeck", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "demo/opsdeck",
    })
}

/// Returns the groups with their versions, the core group first; of each group the version that is stored first.
pub fn groups() -> BTreeMap<&'static str, Vec<&'static str>> {
    let types = Type::ALL.iter().map(|kind| (kind.info().group, kind.info().version));
    let others = OTHERS.iter().filter(|other| other.4).map(|(_, _, group, version, _)| (*group, *version));
    let extras = EXTRAS.iter().map(|extra| (extra.group, extra.version));
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (group, version) in types.chain(others).chain(extras) {
        let versions = groups.entry(group).or_default();
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    groups
}

/// Tells whether a group has a version.
pub fn serves(group: &str, version: &str) -> bool {
    groups().get(group).is_some_and(|versions| versions.contains(&version))
}

/// Returns the types that a group and version show.
pub fn types(group: &str, version: &str) -> Vec<Type> {
    let stored = Type::ALL.iter().copied().filter(|kind| {
        let info = kind.info();
        info.group == group && info.version == version
    });
    let others = OTHERS.iter().filter(|other| other.4 && other.2 == group && other.3 == version);
    stored.chain(others.map(|other| other.1)).collect()
}

/// Returns what `/api` says.
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// Returns what `/apis` says.
pub fn group_list() -> Value {
    let list: Vec<Value> =
        groups().keys().filter(|group| !group.is_empty()).filter_map(|name| group(name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list})
}

/// Returns what `/apis/GROUP` says; `None` where there is no such group.
pub fn group(name: &str) -> Option<Value> {
    let groups = groups();
    let versions: Vec<Value> = groups
        .get(name)?
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    Some(json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": name, "preferredVersion": versions[0], "versions": versions,
    }))
}

/// Returns the resources of a group and version; `None` where there is no such group and version.
pub fn resources(group: &str, version: &str) -> Option<Value> {
    if !serves(group, version) {
        return None;
    }
    let mut list = Vec::new();
    for kind in types(group, version) {
        let info = kind.info();
        let mut own = json!({
            "name": info.plural, "singularName": info.singular, "namespaced": info.namespaced, "kind": info.kind,
            "verbs": ALL_VERBS, "storageVersionHash": "",
        });
        if !info.short_names.is_empty() {
            own["shortNames"] = json!(info.short_names);
        }
        if !info.categories.is_empty() {
            own["categories"] = json!(info.categories);
        }
        list.push(own);
        if info.status {
            list.push(json!({
                "name": format!("{}/status", info.plural), "singularName": "", "namespaced": info.namespaced,
                "kind": info.kind, "verbs": ["get", "patch", "update"],
            }));
        }
        if info.scale {
            list.push(json!({
                "name": format!("{}/scale", info.plural), "singularName": "", "namespaced": info.namespaced,
                "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"],
            }));
        }
    }
    for extra in EXTRAS.iter().filter(|extra| extra.group == group && extra.version == version) {
        let mut own = json!({
            "name": extra.name, "singularName": extra.singular, "namespaced": extra.namespaced, "kind": extra.kind,
            "verbs": extra.verbs,
        });
        if extra.of != (extra.group, extra.version) {
            own["group"] = json!(extra.of.0);
            own["version"] = json!(extra.of.1);
        }
        list.push(own);
    }
    let spelled = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": spelled, "resources": list}))
}

/// Returns the aggregated form of `/api` (`core`) or `/apis`.
pub fn aggregated(core: bool, api_version: &str) -> Value {
    let items: Vec<Value> = groups()
        .iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let metadata = if core {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": group, "creationTimestamp": null})
            };
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources = aggregated_resources(group, version);
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{api_version}"),
        "metadata": {}, "items": items,
    })
}

fn aggregated_resources(group: &str, version: &str) -> Vec<Value> {
    let listed = resources(group, version).unwrap_or_default();
    let mut list: Vec<Value> = Vec::new();
    for resource in listed["resources"].as_array().into_iter().flatten() {
        let name = resource["name"].as_str().unwrap_or_default();
        let own = |field: &str, fallback: &str| {
            resource[field].as_str().map_or_else(|| fallback.to_owned(), str::to_owned)
        };
        let kind = json!({
            "group": own("group", group), "version": own("version", version), "kind": resource["kind"],
        });
        if let Some((parent, sub)) = name.split_once('/') {
            let part = json!({"subresource": sub, "responseKind": kind, "verbs": resource["verbs"]});
            let parent = list.iter_mut().find(|candidate| candidate["resource"] == parent);
            if let Some(parent) = parent {
                match parent["subresources"].as_array_mut() {
                    Some(parts) => parts.push(part),
                    None => parent["subresources"] = json!([part]),
                }
            }
            continue;
        }
        let mut entry = json!({
            "resource": name, "responseKind": kind, "singularResource": resource["singularName"],
            "scope": if resource["namespaced"] == true { "Namespaced" } else { "Cluster" }, "verbs": resource["verbs"],
        });
        for field in ["shortNames", "categories"] {
            if resource.get(field).is_some() {
                entry[field] = resource[field].clone();
            }
        }
        list.push(entry);
    }
    list
}
