//! Karpenter's view of its objects: what their statuses and hashes look like at each stage.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::nodes::class_hash;
use super::objects::{Key, seconds};
use super::types::Type;
use super::untyped::{later, mark, set_condition, text};
use super::world::Cx;

/// The machine image that the node class resolves to.
pub const IMAGE: &str = "ami-0c4f0a7d9be2f31a8";

/// Gives a node class the status of one whose subnets, groups and images were found.
pub fn with_class_status(mut class: Value, since: Timestamp) -> Value {
    let at = seconds(since);
    let hash = class_hash(&class);
    mark(&mut class, "annotations", "karpenter.k8s.aws/ec2nodeclass-hash", &hash);
    mark(&mut class, "annotations", "karpenter.k8s.aws/ec2nodeclass-hash-version", "v4");
    class["status"] = json!({
        "amis": [{"id": IMAGE, "name": "amazon-eks-node-al2023-x86_64-standard-1.32-v20250610", "requirements": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}],
        "instanceProfile": "platform_4067990795380418201",
        "securityGroups": [{"id": "sg-0a1b2c3d4e5f60718", "name": "platform-node"}],
        "subnets": [
            {"id": "subnet-0aa11bb22cc33dd44", "zone": "eu-west-1a", "zoneID": "euw1-az1"},
            {"id": "subnet-0bb22cc33dd44ee55", "zone": "eu-west-1b", "zoneID": "euw1-az2"},
            {"id": "subnet-0cc33dd44ee55ff66", "zone": "eu-west-1c", "zoneID": "euw1-az3"},
        ],
    });
    for kind in [
        "AMIsReady",
        "InstanceProfileReady",
        "SecurityGroupsReady",
        "SubnetsReady",
        "ValidationSucceeded",
        "Ready",
    ] {
        set(&mut class, kind, "True", kind, "", &at);
    }
    class
}

/// Notes on a claim which state of its node class it was made from.
pub fn with_class_hash(mut claim: Value, cx: &Cx<'_>) -> Value {
    let class = text(&claim, "/spec/nodeClassRef/name").to_owned();
    if let Some(class) = cx.get(&Key::new(Type::EC2NodeClass, "", &class)) {
        mark(&mut claim, "annotations", "karpenter.k8s.aws/ec2nodeclass-hash", &class_hash(&class));
    }
    claim
}

/// Gives a claim the conditions of one whose node has been up since shortly after `since`.
pub fn settle_claim(claim: &mut Value, since: Timestamp) {
    for (kind, after) in [
        ("Launched", 4.0),
        ("Registered", 25.0),
        ("Initialized", 32.0),
        ("Ready", 32.0),
        ("Consolidatable", 92.0),
    ] {
        set(claim, kind, "True", kind, "", &seconds(later(since, after)));
    }
}

/// Sets a condition in the form of Karpenter's CRDs, where reason and message are always there.
pub fn set(object: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: &str) {
    set_condition(object, kind, status, if reason.is_empty() { kind } else { reason }, message, now);
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(1);
    for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == kind {
            condition["message"] = json!(message);
            condition["observedGeneration"] = json!(generation);
        }
    }
}
