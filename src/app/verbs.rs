//! Which verbs would change anything about an object, as far as the store knows it.
//!
//! The plan looks again, at the object itself; this only decides which keys are offered.

use std::sync::Arc;

use crate::actions::Verb;
use crate::kinds::Object;
use crate::kinds::applications::{Application, Operation};
use crate::kinds::cluster::Node;
use crate::signals::{Origin, Raised, Silence, SilenceState};

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
