//! What runs on a node, and what kubectl's drain would say of it.
//!
//! Reads whole pods as the server wrote them; nothing here asks or writes.

use serde_json::Value;

use super::super::application::list;
use super::super::draft::text;
use super::super::pod::controller;
use crate::human;
use crate::identity::{ObjectRef, Resource};

/// Where Karpenter is asked to leave a pod or node alone.
pub(in crate::actions) const HELD: &str = "karpenter.sh/do-not-disrupt";

/// What a drain does with a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lot {
    /// It stays: its `DaemonSet` would put it back at once.
    Daemon,
    /// It stays: it mirrors a file on the node, and only the kubelet ends it.
    Mirror,
    /// It is evicted, and nothing is lost: it has ended.
    Ended,
    /// It is evicted.
    Evicted,
}

/// One pod, as the server wrote it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pod<'a>(pub &'a Value);

impl<'a> Pod<'a> {
    pub fn namespace(self) -> &'a str {
        text(self.0, "/metadata/namespace")
    }

    pub fn name(self) -> &'a str {
        text(self.0, "/metadata/name")
    }

    pub fn uid(self) -> &'a str {
        text(self.0, "/metadata/uid")
    }

    pub fn node(self) -> &'a str {
        text(self.0, "/spec/nodeName")
    }

    /// Writes `tenant-2/checkout-7d9f-x2x`.
    pub fn called(self) -> String {
        format!("{}/{}", self.namespace(), self.name())
    }

    pub fn object(self, node: &ObjectRef) -> ObjectRef {
        ObjectRef {
            context: node.context.clone(),
            resource: Resource::new("", "pods"),
            namespace: Some(self.namespace().into()),
            name: self.name().into(),
        }
    }

    pub fn owner(self) -> Option<&'a Value> {
        controller(self.0)
    }

    /// Says what becomes of it, by the filters of kubectl's drain (contracts 3.6).
    pub fn lot(self) -> Lot {
        let annotations = self.0.pointer("/metadata/annotations");
        if annotations.is_some_and(|all| all.get("kubernetes.io/config.mirror").is_some()) {
            return Lot::Mirror;
        }
        if matches!(text(self.0, "/status/phase"), "Succeeded" | "Failed") {
            return Lot::Ended;
        }
        if self.owner().is_some_and(|owner| text(owner, "/kind") == "DaemonSet") {
            return Lot::Daemon;
        }
        Lot::Evicted
    }

    /// Tells whether the drain is to make it go.
    pub fn goes(self) -> bool {
        matches!(self.lot(), Lot::Evicted | Lot::Ended)
    }

    pub fn is_ending(self) -> bool {
        !text(self.0, "/metadata/deletionTimestamp").is_empty()
    }

    pub fn is_pending(self) -> bool {
        text(self.0, "/status/phase") == "Pending"
    }

    pub fn has_empty_dir(self) -> bool {
        list(self.0, "/spec/volumes").iter().any(|volume| volume.get("emptyDir").is_some())
    }

    /// Tells whether the cluster itself needs it.
    pub fn is_critical(self) -> bool {
        matches!(text(self.0, "/spec/priorityClassName"), "system-cluster-critical" | "system-node-critical")
            || self.namespace() == "kube-system"
    }

    /// Tells whether it asks to be left alone: `true`, or a time that Karpenter counts from its start.
    pub fn is_held(self) -> bool {
        let held = self.0.pointer("/metadata/annotations").and_then(|all| all.get(HELD));
        held.and_then(Value::as_str)
            .is_some_and(|held| held == "true" || human::parse_span(held).is_some_and(|span| span > 0.0))
    }
}

/// Names a few and counts the rest: `a, b and 3 more`.
pub(in crate::actions) fn named(names: &[String], most: usize) -> String {
    let (first, rest) = names.split_at(names.len().min(most));
    match rest.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Counts things: `1 pod`, `7 pods`.
pub(in crate::actions) fn counted(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_goes_or_stays_as_kubectl_has_it() {
        let lot = |pod: Value| Pod(&pod).lot();
        let owned =
            |kind: &str| json!({ "metadata": { "ownerReferences": [{ "kind": kind, "controller": true }] } });
        assert_eq!(lot(owned("DaemonSet")), Lot::Daemon);
        assert_eq!(lot(owned("ReplicaSet")), Lot::Evicted);
        assert_eq!(lot(json!({})), Lot::Evicted);
        assert_eq!(lot(json!({ "status": { "phase": "Succeeded" } })), Lot::Ended);
        let mirror = json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } });
        assert_eq!(lot(mirror), Lot::Mirror);
    }

    // contracts 2.3.
    #[test]
    fn a_pod_is_held_by_true_or_a_positive_time() {
        let held = |value: &str| Pod(&json!({ "metadata": { "annotations": { HELD: value } } })).is_held();
        assert!(held("true") && held("4h"));
        assert!(!held("false") && !held("0s") && !held("soon"));
    }

    #[test]
    fn many_names_are_cut() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(named(&names, 3), "a, b, c");
        assert_eq!(named(&names, 2), "a, b and 1 more");
    }
}
