//! The question before a change: its plan with the checks filling in, the reason, and the confirmation.
//!
//! Enter alone never confirms, and a paste never confirms: a `y` is a key, and a name is typed letter by
//! letter and whole. The target was captured by identity when the question was asked.

use crate::actions::{Confirmation, Plan, Request};
use crate::app::line::Line;

/// What has the keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Field {
    /// The answer: `y`, or the name.
    #[default]
    Answer,
    /// The reason.
    Reason,
}

/// The state of the question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The number of this asking: plans that answer an earlier one are late and discarded.
    pub number: u64,
    /// What is asked for.
    pub request: Request,
    /// The plan, as far as it is made.
    pub plan: Option<Plan>,
    /// Why there is no plan, in a sentence.
    pub failed: Option<String>,
    /// What has the keys.
    pub field: Field,
    /// The reason.
    pub reason: Line,
    /// The name as far as it is typed.
    pub typed: Line,
    /// The first visible line of the plan.
    pub top: usize,
    /// Whether the whole difference is shown in place of the plan's lines.
    pub whole: bool,
    /// What was wrong with the last answer.
    pub note: Option<String>,
}

impl Question {
    /// Asks a question.
    pub fn new(number: u64, request: Request) -> Self {
        Self {
            number,
            reason: Line::new(&request.reason),
            request,
            plan: None,
            failed: None,
            field: Field::Answer,
            typed: Line::default(),
            top: 0,
            whole: false,
            note: None,
        }
    }

    /// Returns the name that must be typed, where one must.
    pub fn must_type(&self) -> Option<&str> {
        match &self.plan.as_ref()?.confirmation {
            Confirmation::Type(name) => Some(name),
            Confirmation::Yes => None,
        }
    }
}
