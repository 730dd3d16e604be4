//! Which columns a type has in a table, and the cells of custom resources.
//!
//! Built-in types: the columns of kubectl's server-side printers. Custom resources: the `additionalPrinterColumns` of
//! their published CRDs. Pure functions of one object and the time.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cells;
use super::types::Type;
use crate::human;

/// Name, type and priority of a column; priority above 0 is shown by `-o wide` only.
type Column = (&'static str, &'static str, u8);
/// A column of a custom resource, with the path of its value.
type Printer = (&'static str, &'static str, u8, &'static str);

const NAME: Column = ("Name", "string", 0);
const AGE: Column = ("Age", "string", 0);
const CONTAINERS: Column = ("Containers", "string", 1);
const IMAGES: Column = ("Images", "string", 1);
const SELECTOR: Column = ("Selector", "string", 1);

/// Returns the columns of a built-in type; empty for custom resources.
fn builtin(kind: Type) -> &'static [Column] {
    match kind {
        Type::Pod => &[
            NAME,
            ("Ready", "string", 0),
            ("Status", "string", 0),
            ("Restarts", "string", 0),
            AGE,
            ("IP", "string", 1),
            ("Node", "string", 1),
            ("Nominated Node", "string", 1),
            ("Readiness Gates", "string", 1),
        ],
        Type::Node => &[
            NAME,
            ("Status", "string", 0),
            ("Roles", "string", 0),
            AGE,
            ("Version", "string", 0),
            ("Internal-IP", "string", 1),
            ("External-IP", "string", 1),
            ("OS-Image", "string", 1),
            ("Kernel-Version", "string", 1),
            ("Container-Runtime", "string", 1),
        ],
        Type::Namespace => &[NAME, ("Status", "string", 0), AGE],
        Type::Service => &[
            NAME,
            ("Type", "string", 0),
            ("Cluster-IP", "string", 0),
            ("External-IP", "string", 0),
            ("Port(s)", "string", 0),
            AGE,
            SELECTOR,
        ],
        Type::Endpoints => &[NAME, ("Endpoints", "string", 0), AGE],
        Type::EndpointSlice => {
            &[NAME, ("AddressType", "string", 0), ("Ports", "string", 0), ("Endpoints", "string", 0), AGE]
        }
        Type::ConfigMap => &[NAME, ("Data", "integer", 0), AGE],
        Type::Secret => &[NAME, ("Type", "string", 0), ("Data", "integer", 0), AGE],
        Type::ServiceAccount => &[NAME, ("Secrets", "integer", 0), AGE],
        Type::Event => &[
            ("Last Seen", "string", 0),
            ("Type", "string", 0),
            ("Reason", "string", 0),
            ("Object", "string", 0),
            ("Subobject", "string", 1),
            ("Source", "string", 1),
            ("Message", "string", 0),
            ("First Seen", "string", 1),
            ("Count", "string", 1),
            ("Name", "string", 1),
        ],
        Type::ResourceQuota => &[NAME, ("Request", "string", 0), ("Limit", "string", 0), AGE],
        Type::PersistentVolumeClaim => &[
            NAME,
            ("Status", "string", 0),
            ("Volume", "string", 0),
            ("Capacity", "string", 0),
            ("Access Modes", "string", 0),
            ("StorageClass", "string", 0),
            ("VolumeAttributesClass", "string", 0),
            AGE,
            ("VolumeMode", "string", 1),
        ],
        Type::PersistentVolume => &[
            NAME,
            ("Capacity", "string", 0),
            ("Access Modes", "string", 0),
            ("Reclaim Policy", "string", 0),
            ("Status", "string", 0),
            ("Claim", "string", 0),
            ("StorageClass", "string", 0),
            ("VolumeAttributesClass", "string", 0),
            ("Reason", "string", 0),
            AGE,
            ("VolumeMode", "string", 1),
        ],
        Type::ReplicationController | Type::ReplicaSet => &[
            NAME,
            ("Desired", "integer", 0),
            ("Current", "integer", 0),
            ("Ready", "integer", 0),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        Type::Deployment => &[
            NAME,
            ("Ready", "string", 0),
            ("Up-to-date", "integer", 0),
            ("Available", "integer", 0),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        Type::StatefulSet => &[NAME, ("Ready", "string", 0), AGE, CONTAINERS, IMAGES],
        Type::DaemonSet => &[
            NAME,
            ("Desired", "integer", 0),
            ("Current", "integer", 0),
            ("Ready", "integer", 0),
            ("Up-to-date", "integer", 0),
            ("Available", "integer", 0),
            ("Node Selector", "string", 0),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        Type::ControllerRevision => &[NAME, ("Controller", "string", 0), ("Revision", "integer", 0), AGE],
        Type::Job => &[
            NAME,
            ("Status", "string", 0),
            ("Completions", "string", 0),
            ("Duration", "string", 0),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        Type::CronJob => &[
            NAME,
            ("Schedule", "string", 0),
            ("Timezone", "string", 0),
            ("Suspend", "boolean", 0),
            ("Active", "integer", 0),
            ("Last Schedule", "string", 0),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        Type::HorizontalPodAutoscaler => &[
            NAME,
            ("Reference", "string", 0),
            ("Targets", "string", 0),
            ("MinPods", "string", 0),
            ("MaxPods", "string", 0),
            ("Replicas", "integer", 0),
            AGE,
        ],
        Type::Ingress => &[
            NAME,
            ("Class", "string", 0),
            ("Hosts", "string", 0),
            ("Address", "string", 0),
            ("Ports", "string", 0),
            AGE,
        ],
        Type::NetworkPolicy => &[NAME, ("Pod-Selector", "string", 0), AGE],
        Type::PodDisruptionBudget => &[
            NAME,
            ("Min Available", "string", 0),
            ("Max Unavailable", "string", 0),
            ("Allowed Disruptions", "integer", 0),
            AGE,
        ],
        Type::RoleBinding | Type::ClusterRoleBinding => &[
            NAME,
            ("Role", "string", 0),
            AGE,
            ("Users", "string", 1),
            ("Groups", "string", 1),
            ("ServiceAccounts", "string", 1),
        ],
        Type::StorageClass => &[
            NAME,
            ("Provisioner", "string", 0),
            ("ReclaimPolicy", "string", 0),
            ("VolumeBindingMode", "string", 0),
            ("AllowVolumeExpansion", "boolean", 0),
            AGE,
        ],
        Type::Lease => &[NAME, ("Holder", "string", 0), AGE],
        Type::PriorityClass => &[
            NAME,
            ("Value", "integer", 0),
            ("Global-Default", "boolean", 0),
            AGE,
            ("PreemptionPolicy", "string", 1),
        ],
        Type::Role | Type::ClusterRole | Type::CustomResourceDefinition | Type::LimitRange => {
            &[NAME, ("Created At", "date", 0)]
        }
        _ => &[],
    }
}

const READY: &str = r#".status.conditions[?(@.type=="Ready")].status"#;
const REASON: &str = r#".status.conditions[?(@.type=="Ready")].reason"#;
const MESSAGE: &str = r#".status.conditions[?(@.type=="Ready")].message"#;
const CREATED: Printer = ("Age", "date", 0, ".metadata.creationTimestamp");

/// Returns the printer columns of a custom resource, without its name.
fn printers(kind: Type) -> &'static [Printer] {
    match kind {
        Type::Application => &[
            ("Sync Status", "string", 0, ".status.sync.status"),
            ("Health Status", "string", 0, ".status.health.status"),
            ("Revision", "string", 10, ".status.sync.revision"),
            ("Project", "string", 10, ".spec.project"),
        ],
        Type::NodePool => &[
            ("NodeClass", "string", 0, ".spec.template.spec.nodeClassRef.name"),
            ("Nodes", "string", 0, ".status.nodes"),
            ("Ready", "string", 0, READY),
            CREATED,
            ("Weight", "integer", 1, ".spec.weight"),
            ("CPU", "string", 1, ".status.resources.cpu"),
            ("Memory", "string", 1, ".status.resources.memory"),
        ],
        Type::NodeClaim => &[
            ("Type", "string", 0, r".metadata.labels.node\.kubernetes\.io/instance-type"),
            ("Capacity", "string", 0, r".metadata.labels.karpenter\.sh/capacity-type"),
            ("Zone", "string", 0, r".metadata.labels.topology\.kubernetes\.io/zone"),
            ("Node", "string", 0, ".status.nodeName"),
            ("Ready", "string", 0, READY),
            CREATED,
            ("ImageID", "string", 1, ".status.imageID"),
            ("ID", "string", 1, ".status.providerID"),
            ("NodePool", "string", 1, r".metadata.labels.karpenter\.sh/nodepool"),
            ("NodeClass", "string", 1, ".spec.nodeClassRef.name"),
            ("Drifted", "string", 1, r#".status.conditions[?(@.type=="Drifted")].status"#),
        ],
        Type::EC2NodeClass => &[("Ready", "string", 0, READY), CREATED, ("Role", "string", 1, ".spec.role")],
        Type::ExternalSecret => &[
            ("StoreType", "string", 0, ".spec.secretStoreRef.kind"),
            ("Store", "string", 0, ".spec.secretStoreRef.name"),
            ("Refresh Interval", "string", 0, ".spec.refreshInterval"),
            ("Status", "string", 0, REASON),
            ("Ready", "string", 0, READY),
            ("Last Sync", "date", 0, ".status.refreshTime"),
        ],
        Type::ClusterExternalSecret => &[
            ("Store", "string", 0, ".spec.externalSecretSpec.secretStoreRef.name"),
            ("Refresh Interval", "string", 0, ".spec.refreshTime"),
            ("Ready", "string", 0, READY),
        ],
        Type::SealedSecret => &[
            ("Status", "string", 0, ".status.conditions[0].message"),
            ("Synced", "string", 0, ".status.conditions[0].status"),
            CREATED,
        ],
        Type::SecretStore | Type::ClusterSecretStore => &[
            ("AGE", "date", 0, ".metadata.creationTimestamp"),
            ("Status", "string", 0, REASON),
            ("Capabilities", "string", 0, ".status.capabilities"),
            ("Ready", "string", 0, READY),
        ],
        Type::Certificate => &[
            ("Ready", "string", 0, READY),
            ("Secret", "string", 0, ".spec.secretName"),
            ("Issuer", "string", 1, ".spec.issuerRef.name"),
            ("Status", "string", 1, MESSAGE),
            ("Expiration", "string", 1, ".status.notAfter"),
            CREATED,
        ],
        Type::CertificateRequest => &[
            ("Approved", "string", 0, r#".status.conditions[?(@.type=="Approved")].status"#),
            ("Denied", "string", 0, r#".status.conditions[?(@.type=="Denied")].status"#),
            ("Ready", "string", 0, READY),
            ("Issuer", "string", 0, ".spec.issuerRef.name"),
            ("Requester", "string", 0, ".spec.username"),
            ("Status", "string", 1, MESSAGE),
            CREATED,
        ],
        Type::Issuer | Type::ClusterIssuer => {
            &[("Ready", "string", 0, READY), ("Status", "string", 1, MESSAGE), CREATED]
        }
        Type::Order => &[
            ("State", "string", 0, ".status.state"),
            ("Issuer", "string", 1, ".spec.issuerRef.name"),
            ("Reason", "string", 1, ".status.reason"),
            CREATED,
        ],
        Type::Challenge => &[
            ("State", "string", 0, ".status.state"),
            ("Domain", "string", 0, ".spec.dnsName"),
            ("Reason", "string", 1, ".status.reason"),
            CREATED,
        ],
        Type::ScaledObject => &[
            ("ScaleTargetKind", "string", 0, ".status.scaleTargetKind"),
            ("ScaleTargetName", "string", 0, ".spec.scaleTargetRef.name"),
            ("Min", "integer", 0, ".spec.minReplicaCount"),
            ("Max", "integer", 0, ".spec.maxReplicaCount"),
            ("Ready", "string", 0, READY),
            ("Active", "string", 0, r#".status.conditions[?(@.type=="Active")].status"#),
            ("Fallback", "string", 0, r#".status.conditions[?(@.type=="Fallback")].status"#),
            ("Paused", "string", 0, r#".status.conditions[?(@.type=="Paused")].status"#),
            ("Triggers", "string", 0, ".status.triggersTypes"),
            ("Authentications", "string", 0, ".status.authenticationsTypes"),
            CREATED,
        ],
        Type::PolicyReport => &[
            ("Kind", "string", 1, ".scope.kind"),
            ("Name", "string", 1, ".scope.name"),
            ("Pass", "integer", 0, ".summary.pass"),
            ("Fail", "integer", 0, ".summary.fail"),
            ("Warn", "integer", 0, ".summary.warn"),
            ("Error", "integer", 0, ".summary.error"),
            ("Skip", "integer", 0, ".summary.skip"),
            CREATED,
        ],
        Type::VulnerabilityReport => &[
            ("Repository", "string", 0, ".report.artifact.repository"),
            ("Tag", "string", 0, ".report.artifact.tag"),
            ("Scanner", "string", 0, ".report.scanner.name"),
            CREATED,
            ("Critical", "integer", 1, ".report.summary.criticalCount"),
            ("High", "integer", 1, ".report.summary.highCount"),
            ("Medium", "integer", 1, ".report.summary.mediumCount"),
            ("Low", "integer", 1, ".report.summary.lowCount"),
            ("Unknown", "integer", 1, ".report.summary.unknownCount"),
        ],
        // What a CRD without columns of its own gets.
        _ => &[CREATED],
    }
}

/// Returns the column definitions of a type.
pub fn definitions(kind: Type) -> Value {
    let define = |name: &str, form: &str, priority: u8| {
        let format = if name == "Name" && !matches!(kind, Type::PolicyReport) { "name" } else { "" };
        json!({"name": name, "type": form, "format": format, "description": "", "priority": priority})
    };
    let columns = builtin(kind);
    let list: Vec<Value> = if columns.is_empty() {
        let name =
            json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0});
        std::iter::once(name)
            .chain(printers(kind).iter().map(|(name, form, priority, _)| define(name, form, *priority)))
            .collect()
    } else {
        columns.iter().map(|(name, form, priority)| define(name, form, *priority)).collect()
    };
    Value::Array(list)
}

/// Returns the columns of a custom resource as its CRD spells them.
pub fn printer_columns(kind: Type) -> Vec<Value> {
    printers(kind)
        .iter()
        .map(|(name, form, priority, path)| {
            let mut column = json!({"name": name, "type": form, "jsonPath": path});
            if *priority > 0 {
                column["priority"] = json!(priority);
            }
            column
        })
        .collect()
}

/// Returns the cells of an object, one for each column.
pub fn cells(kind: Type, value: &Value, now: Timestamp) -> Vec<Value> {
    if !builtin(kind).is_empty() {
        return cells::builtin(kind, value, now);
    }
    let name = value["metadata"]["name"].clone();
    let rest = printers(kind).iter().map(|(_, form, _, path)| match (follow(value, path), *form) {
        (Some(found), "date") => json!(cells::since(found, now)),
        (None, "date") => json!("<unknown>"),
        (Some(found @ Value::Number(_)), "integer") => found.clone(),
        (Some(Value::String(text)), _) => json!(text),
        (Some(found), _) => json!(found.to_string()),
        (None, _) => Value::Null,
    });
    std::iter::once(name).chain(rest).collect()
}

/// Follows a JSON path as CRDs write them: fields, `\.` in names, one filter by equality, and indexes.
fn follow<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(filter) = rest.strip_prefix("[?(@.") {
            let (inside, after) = filter.split_once(")]")?;
            let (field, wanted) = inside.split_once("==")?;
            let wanted = wanted.trim().trim_matches('"');
            at = at.as_array()?.iter().find(|item| item[field.trim()].as_str() == Some(wanted))?;
            rest = after;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (number, after) = index.split_once(']')?;
            at = at.get(number.parse::<usize>().ok()?)?;
            rest = after;
        } else {
            let field = rest.strip_prefix('.')?;
            let (name, after) = step(field);
            at = at.get(name.as_str())?;
            rest = after;
        }
    }
    (!at.is_null()).then_some(at)
}

/// Splits the next field name off a path.
fn step(path: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = path.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, letter)| letter)),
            '.' | '[' => return (name, &path[at..]),
            other => name.push(other),
        }
    }
    (name, "")
}

/// Writes the time since a moment in the words of kubectl.
pub fn span(from: Timestamp, now: Timestamp) -> String {
    human::span((now.as_second() - from.as_second()).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_as_many_cells_as_columns() {
        let now: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
        for kind in Type::ALL {
            let value = json!({"metadata": {"name": "x", "namespace": "y"}});
            let columns = definitions(*kind).as_array().unwrap().len();
            assert_eq!(cells(*kind, &value, now).len(), columns, "{kind:?}");
        }
    }

    #[test]
    fn paths_of_crds_are_followed() {
        let value = json!({"metadata": {"labels": {"karpenter.sh/nodepool": "general"}},
            "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        assert_eq!(follow(&value, r".metadata.labels.karpenter\.sh/nodepool"), Some(&json!("general")));
        assert_eq!(follow(&value, READY), Some(&json!("True")));
        assert_eq!(follow(&value, ".status.conditions[0].status"), Some(&json!("False")));
        assert_eq!(follow(&value, ".status.absent"), None);
    }
}
