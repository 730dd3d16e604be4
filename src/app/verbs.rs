//! Which verbs would change anything about an object, as far as the store knows it.
//!
//! The plan looks again, at the object itself; this only decides which keys are offered.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::actions::sheet::is_secret;
use crate::actions::{Verb, rights as needs};
use crate::gate::Access;
use crate::identity::ObjectRef;
use crate::kinds::applications::{Application, Operation};
use crate::kinds::batch::{CronJob, Job};
use crate::kinds::certificates::Certificate;
use crate::kinds::cluster::Node;
use crate::kinds::keda::ScaledObject;
use crate::kinds::workloads::Deployment;
use crate::kinds::{Kind, Object};
use crate::kinds::{alerts, record};
use crate::signals::{Answer, Ask, Origin, Raised, Silence, SilenceState, Wanted};
use crate::store::Store;

/// Tells whether a verb is for objects of a kind. Everything that the API server keeps can be edited and deleted, but
/// for what has a delete of its own, and for Secrets, whose values would pass through an editor.
pub fn is_for(verb: Verb, kind: &Kind) -> bool {
    let own = |word: &str| kind.verbs.contains(&word);
    match verb {
        Verb::Edit | Verb::Delete if [alerts::GROUP, record::GROUP].contains(&&*kind.resource.group) => false,
        Verb::Edit => !is_secret(&kind.resource),
        Verb::Delete => !own("delete-pod") && !own("delete-nodeclaim"),
        _ => own(verb.word()),
    }
}

/// Tells whether there is any verb for objects of a kind.
pub fn has_any(kind: &Kind) -> bool {
    !kind.verbs.is_empty() || is_for(Verb::Delete, kind)
}

/// Tells whether a verb would change anything; yes where that is not known.
pub fn would_change(verb: Verb, object: &Object) -> bool {
    if let Some(node) = object.body::<Node>() {
        return match verb {
            Verb::Cordon => !node.cordoned,
            Verb::Uncordon => node.cordoned,
            Verb::Protect => !node.do_not_disrupt,
            Verb::Unprotect => node.do_not_disrupt,
            _ => true,
        };
    }
    if let Some(changes) = of_workload(verb, object) {
        return changes;
    }
    if let Some(certificate) = object.body::<Certificate>() {
        return verb != Verb::Renew || !certificate.is_issuing();
    }
    if let Some(silence) = object.body::<Arc<Silence>>() {
        return silence.state != SilenceState::Expired;
    }
    if let Some(raised) = object.body::<Raised>() {
        // What Alertmanager has not heard of cannot be kept quiet.
        return raised.alert.origins.contains(&Origin::Alertmanager) && !raised.alert.places.is_empty();
    }
    let Some(application) = object.body::<Application>() else { return true };
    match verb {
        Verb::Terminate => application.operation.as_ref().is_some_and(Operation::is_running),
        Verb::Rollback | Verb::Revert => !application.history.is_empty(),
        Verb::HoldAutosync => application.auto_sync.is_on(),
        Verb::ReleaseAutosync => application.held.is_some() && !application.auto_sync.is_on(),
        _ => true,
    }
}

/// The same for what can be paused, suspended or forced; `None` for every other verb and object.
fn of_workload(verb: Verb, object: &Object) -> Option<bool> {
    let halted = object
        .body::<Deployment>()
        .map(|one| one.paused)
        .or_else(|| object.body::<CronJob>().map(|one| one.suspended))
        .or_else(|| object.body::<Job>().map(|one| one.suspended))
        .or_else(|| object.body::<ScaledObject>().map(|one| one.paused));
    match verb {
        Verb::Pause | Verb::Suspend => halted.map(|halted| !halted),
        Verb::Resume => halted,
        // An ordinary delete comes first.
        Verb::ForceDelete => Some(object.meta.deleted.is_some()),
        _ => None,
    }
}

/// The namespace whose review also lists what one may do with what lies in none.
const ANY: &str = "default";

/// Returns the questions what one may do with an object: where it lies, and where the Alertmanagers lie that keep it.
pub fn rights(store: &Store, object: &ObjectRef) -> Vec<Ask> {
    let own = object.namespace.clone().unwrap_or_else(|| ANY.into());
    // What a silence needs lies with its Alertmanagers; of other objects it is nothing.
    let silence = needs::offered(Verb::Silence, object, &known(store, object));
    let kept = silence.into_iter().filter_map(|access| access.namespace);
    let mut all: Vec<Ask> = Vec::new();
    for namespace in [own].into_iter().chain(kept) {
        let ask = Ask { context: object.context.clone(), wanted: Wanted::Rights(namespace) };
        if !all.contains(&ask) {
            all.push(ask);
        }
    }
    all
}

/// Returns what rights are told by, of the document that a plan will read: the Alertmanagers that have an alert or a
/// silence.
fn known(store: &Store, object: &ObjectRef) -> Value {
    let Some(object) = store.object(object) else { return Value::Null };
    if let Some(silence) = object.body::<Arc<Silence>>() {
        return json!({ "places": [silence.place] });
    }
    object.body::<Raised>().map_or(Value::Null, |raised| json!({ "places": raised.alert.places }))
}

/// Names the right that a verb needs on an object and that is surely missing, such as `patch nodes`.
///
/// The plan asks the server for each right, and for those that only it knows of; this goes by a list that may be
/// minutes old, and only decides what is offered.
pub fn missing(store: &Store, verb: Verb, object: &ObjectRef) -> Option<String> {
    let lacks = |access: &Access| {
        let namespace = access.namespace.clone().unwrap_or_else(|| ANY.into());
        let ask = Ask { context: object.context.clone(), wanted: Wanted::Rights(namespace) };
        let told = store.reading(&ask).and_then(|reading| reading.told.as_ref());
        let Some(Answer::Rights(rights)) = told.map(|told| &told.answer) else { return false };
        let resource = match access.subresource.as_str() {
            "" => access.resource.plural.to_string(),
            subresource => format!("{}/{subresource}", access.resource.plural),
        };
        rights.lack(&access.verb, &access.resource.group, &resource)
    };
    needs::offered(verb, object, &known(store, object))
        .iter()
        .find(|access| lacks(access))
        .map(ToString::to_string)
}
