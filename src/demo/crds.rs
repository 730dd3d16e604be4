//! The `CustomResourceDefinitions` of the custom resources, for clients that look for them.
//!
//! They describe what is served. Their schemas (`assets/schemas.yaml`) say the parts that clients get wrong, and are
//! otherwise open: the published ones are not part of this project. Who applies a published one has it held from then
//! on; nothing else of a definition can be changed by writing it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns;
use super::objects::{Objects, text};
use super::status::Status;
use super::structural;
use super::types::Type;

/// The schemas by kind. A constant, read once.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    // A test holds that it can be read.
    serde_saphyr::from_str(include_str!("../../assets/schemas.yaml")).unwrap_or_default()
});

/// Returns the schema that a custom resource begins with.
pub fn schema(kind: Type) -> Value {
    SCHEMAS.get(kind.info().kind).cloned().unwrap_or_else(structural::open)
}

/// Creates the definitions, as old as the cluster.
pub fn define(objects: &mut Objects, now: Timestamp) -> Result<(), Status> {
    let since = objects
        .find(Type::Namespace, "", "kube-system")
        .map(|space| text(&space.value()["metadata"], "creationTimestamp").to_owned());
    for kind in Type::ALL.iter().filter(|kind| kind.info().custom) {
        let mut value = definition(*kind);
        if let Some(since) = &since {
            value["metadata"]["creationTimestamp"] = json!(since);
            for condition in value["status"]["conditions"].as_array_mut().into_iter().flatten() {
                condition["lastTransitionTime"] = json!(since);
            }
        }
        objects.create(Type::CustomResourceDefinition, value, now)?;
    }
    Ok(())
}

fn definition(kind: Type) -> Value {
    let info = kind.info();
    let mut names = json!({
        "plural": info.plural, "singular": info.singular, "kind": info.kind, "listKind": format!("{}List", info.kind),
    });
    if !info.short_names.is_empty() {
        names["shortNames"] = json!(info.short_names);
    }
    if !info.categories.is_empty() {
        names["categories"] = json!(info.categories);
    }
    let mut version = json!({
        "name": info.version, "served": true, "storage": true,
        "schema": {"openAPIV3Schema": schema(kind)},
        "additionalPrinterColumns": columns::printer_columns(kind),
    });
    if info.status {
        version["subresources"] = json!({"status": {}});
    }
    if info.scale {
        // The paths of Karpenter's NodePool, the one custom resource here that can be scaled.
        version["subresources"]["scale"] =
            json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.nodes"});
    }
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message});
    json!({
        "metadata": {"name": format!("{}.{}", info.plural, info.group)},
        "spec": {
            "group": info.group, "names": names, "scope": if info.namespaced { "Namespaced" } else { "Cluster" },
            "versions": [version], "conversion": {"strategy": "None"},
        },
        "status": {
            "acceptedNames": names, "storedVersions": [info.version],
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_of_a_custom_resource_and_is_read() {
        assert!(SCHEMAS.len() > 10);
        for kind in SCHEMAS.keys() {
            let known = Type::ALL.iter().any(|known| known.info().custom && known.info().kind == kind);
            assert!(known, "{kind}");
        }
        let required = &schema(Type::Application)["properties"]["spec"]["required"];
        assert_eq!(required, &json!(["destination", "project"]));
    }
}
