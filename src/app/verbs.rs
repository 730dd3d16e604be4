//! Which verbs would change anything about an object, as far as the store knows it.
//!
//! The plan looks again, at the object itself; this only decides which keys are offered.

use crate::actions::Verb;
use crate::kinds::Object;

/// Tells whether a verb would change anything; yes where that is not known.
pub fn would_change(verb: Verb, object: &Object) -> bool {
    let _ = (verb, object);
    true
}
