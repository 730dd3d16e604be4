//! Which rights a verb needs: the one table that plans ask by, and by which keys are offered.
//!
//! Only what follows from the verb and the object stands here; what a plan finds to be written for its sake (the pods on
//! a node, the consumers of a secret) brings its own rights. Nothing here asks anybody.

use serde_json::Value;

use super::{Verb, silence};
use crate::gate::Access;
use crate::identity::{ObjectRef, Resource, Text};

/// Returns the rights that a verb needs for an object, as it was read; the plan asks for each of them.
///
/// What is pushed for review only writes nothing in the cluster.
pub(super) fn needed(verb: Verb, review: bool, object: &ObjectRef, document: &Value) -> Vec<Access> {
    let under = |access: Access, subresource: &str| Access { subresource: subresource.to_owned(), ..access };
    vec![match verb {
        Verb::Revert | Verb::Promote if review => return Vec::new(),
        Verb::Refresh
        | Verb::HardRefresh
        | Verb::Sync
        | Verb::Rollback
        | Verb::Terminate
        | Verb::HoldAutosync
        | Verb::ReleaseAutosync
        | Verb::Restart
        | Verb::RolloutUndo
        | Verb::Pause
        | Verb::Suspend
        | Verb::Resume
        | Verb::SetImage
        | Verb::SetBounds
        | Verb::Edit
        | Verb::Cordon
        | Verb::Uncordon
        | Verb::Drain
        | Verb::Protect
        | Verb::Unprotect
        | Verb::Rotate
        | Verb::ResumeRotation
        | Verb::RestoreSecret
        | Verb::RefreshSecret
        | Verb::Undo
        // Argo CD is asked by an annotation to compare what was pushed.
        | Verb::Revert
        | Verb::Promote => Access::to("patch", object),
        Verb::DeletePod | Verb::Delete | Verb::ForceDelete | Verb::DeleteNodeclaim => {
            Access::to("delete", object)
        }
        Verb::Scale => under(Access::to("patch", object), "scale"),
        // cert-manager's own roles let those who edit update the status, and not patch it.
        Verb::Renew => under(Access::to("update", object), "status"),
        Verb::Reveal => Access::to("get", object),
        Verb::RunJob => Access {
            resource: Resource::new("batch", "jobs"),
            name: "".into(),
            ..Access::to("create", object)
        },
        // Only where an Alertmanager is reached through the API server, which the silence or the alert itself tells.
        Verb::Silence | Verb::ExtendSilence | Verb::ExpireSilence => {
            return silence::services(document).map(|(namespace, name)| proxy(namespace, name)).collect();
        }
    }]
}

/// Returns the right to send through the proxy of a service.
fn proxy(namespace: String, name: String) -> Access {
    Access {
        verb: "create".to_owned(),
        resource: Resource::new("", "services"),
        subresource: "proxy".to_owned(),
        namespace: Some(namespace.into()),
        name: name.into(),
    }
}

/// Returns the rights without which a verb surely comes to nothing, from what is known of the object: also those for what
/// it writes beside the object.
pub fn offered(verb: Verb, object: &ObjectRef, document: &Value) -> Vec<Access> {
    let mut all = needed(verb, true, object, document);
    if verb == Verb::Drain {
        all.push(eviction(None));
    }
    all
}

/// Returns the right to evict the pods of a namespace; of all of them for `None`.
///
/// Any name: one answer instead of one for each pod (contracts 3.4: eviction is create on `pods/eviction`).
pub(super) fn eviction(namespace: Option<Text>) -> Access {
    Access {
        verb: "create".to_owned(),
        resource: Resource::new("", "pods"),
        subresource: "eviction".to_owned(),
        namespace,
        name: "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Context;

    fn object(group: &str, plural: &str, namespace: Option<&str>) -> ObjectRef {
        ObjectRef {
            context: Context::new("c"),
            resource: Resource::new(group, plural),
            namespace: namespace.map(Into::into),
            name: "one".into(),
        }
    }

    fn said(verb: Verb, object: &ObjectRef) -> Vec<String> {
        offered(verb, object, &Value::Null).iter().map(ToString::to_string).collect()
    }

    // contracts 3.4, 3.5 and 7.
    #[test]
    fn a_verb_needs_the_rights_of_the_requests_that_it_sends() {
        let deployment = object("apps", "deployments", Some("shop"));
        assert_eq!(said(Verb::Restart, &deployment), ["patch deployments.apps in shop"]);
        assert_eq!(said(Verb::Scale, &deployment), ["patch deployments.apps/scale in shop"]);
        let job = object("batch", "cronjobs", Some("shop"));
        assert_eq!(said(Verb::RunJob, &job), ["create jobs.batch in shop"]);
        let node = object("", "nodes", None);
        assert_eq!(said(Verb::Drain, &node), ["patch nodes", "create pods/eviction"]);
        let certificate = object("cert-manager.io", "certificates", Some("shop"));
        assert_eq!(said(Verb::Renew, &certificate), ["update certificates.cert-manager.io/status in shop"]);
        assert_eq!(said(Verb::Reveal, &object("", "secrets", Some("shop"))), ["get secrets in shop"]);
    }

    #[test]
    fn a_silence_needs_the_proxy_of_each_alertmanager_that_is_a_service() {
        let silence =
            serde_json::json!({ "places": ["monitoring/alertmanager:9093", "https://alerts.example.com"] });
        let needed = needed(Verb::ExpireSilence, false, &object("signals", "silences", None), &silence);
        let said: Vec<String> = needed.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["create services/proxy in monitoring"]);
    }

    #[test]
    fn a_verb_whose_name_and_object_tell_no_right_is_named_here() {
        let none: Vec<&str> = Verb::ALL
            .into_iter()
            .filter(|verb| offered(*verb, &object("", "pods", None), &Value::Null).is_empty())
            .map(Verb::word)
            .collect();
        assert_eq!(none, ["revert", "promote", "silence", "extend-silence", "expire-silence"]);
    }
}
