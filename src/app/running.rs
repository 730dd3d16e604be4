//! Actions of this session: what was started, how far it is, how it ended.

use jiff::Timestamp;

use crate::actions::{Outcome, Plan, Progress};

/// One action.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// The confirmed plan; its id is the action's.
    pub plan: Plan,
    /// When it was confirmed.
    pub started: Timestamp,
    /// How far each object is, in the order of the plan.
    pub progress: Vec<Progress>,
    /// How it ended and when.
    pub ended: Option<(Outcome, Timestamp)>,
}
