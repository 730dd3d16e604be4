//! Actions of this session: what was started, how far it is, how it ended.

use jiff::Timestamp;

use crate::actions::{Outcome, Plan, Progress};
use crate::audit::{Event, Record};

/// One action.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// The confirmed plan; its id is the action's.
    pub plan: Plan,
    /// When it was confirmed.
    pub started: Timestamp,
    /// How far each object is, in the order of the plan.
    pub progress: Vec<Progress>,
    /// Whether it was asked to hold.
    pub held: bool,
    /// How it ended and when.
    pub ended: Option<(Outcome, Timestamp)>,
}

/// An action that was begun in another session and has no end in the audit: it was cut off by a crash, or another
/// console still follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Its id in the audit.
    pub id: String,
    /// When it was begun.
    pub at: Timestamp,
    /// What it was.
    pub title: String,
    /// Who began it.
    pub who: String,
    /// The Applications whose auto-sync it was to hold, which may be held still.
    pub holds: Vec<String>,
}

impl Cut {
    /// Reads it from the record before the action; `None` for any other record.
    pub fn of(record: &Record) -> Option<Self> {
        let Event::Before(intent) = &record.event else { return None };
        Some(Self {
            id: record.id.clone(),
            at: record.at,
            title: intent.title.clone(),
            who: format!("{} ({})", intent.who.server, intent.who.local),
            holds: intent.holds.iter().map(|held| held.object.name.to_string()).collect(),
        })
    }
}
