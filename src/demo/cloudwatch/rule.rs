//! Rules of composite alarms: what they are, how they are written, and when they hold.

use std::fmt;

use super::alarms::State;

/// A rule over the states of other alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// An alarm stands so.
    Is(State, String),
    /// One of them holds.
    Any(Vec<Self>),
}

impl Rule {
    /// Tells whether it holds; an alarm that does not exist has no state.
    pub fn holds(&self, state_of: &impl Fn(&str) -> Option<State>) -> bool {
        match self {
            Self::Is(state, name) => state_of(name) == Some(*state),
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(state_of)),
        }
    }

    /// Returns the names of the alarms that it looks at.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Is(_, name) => vec![name],
            Self::Any(rules) => rules.iter().flat_map(Self::names).collect(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(state, name) => write!(f, "{}(\"{name}\")", state.as_str()),
            Self::Any(rules) => {
                for (at, rule) in rules.iter().enumerate() {
                    write!(f, "{}{rule}", if at == 0 { "" } else { " OR " })?;
                }
                Ok(())
            }
        }
    }
}
