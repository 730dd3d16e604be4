//! Effects: what the program will do, as data that tests compare.
//!
//! Nothing here writes to a remote system by itself: [`Effect::Carry`] is the only one that can lead to a
//! write, and the runner takes it through the gate.

use crate::actions::{Answer, Plan, Request};
use crate::app::explore::pods::Since;
use crate::app::explore::{LinesOf, Wish};
use crate::app::memory::Memory;
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::signals::Ask;
use crate::store::Query;

/// A text for an editor; values may stand in it, so it does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Sheet(pub String);

impl From<String> for Sheet {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sheet({} bytes)", self.0.len())
    }
}

/// Something the program will do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// End the program.
    Quit,
    /// Give the terminal back to the shell until the program is continued.
    Suspend,
    /// Draw the whole screen again.
    Redraw,
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Use another theme.
    Theme(String),
    /// Put text on the clipboard of the person's terminal (OSC 52).
    Copy(String),
    /// Write log lines of Loki, as they were written, into a new file on this machine.
    SaveLines {
        /// The file; one that is there is not written over.
        path: std::path::PathBuf,
        /// What goes into it.
        bytes: std::sync::Arc<[u8]>,
    },
    /// Connect to a context; the one that is open is closed.
    Connect(Context),
    /// Write down what is to be remembered from one run to the next.
    Remember(Box<Memory>),
    /// Read the boards: those that come with the program and those of a directory.
    ReadBoards(std::path::PathBuf),
    /// Look in the audit for actions that have no end.
    LookBack,
    /// Fetch a whole object.
    Fetch(ObjectRef),
    /// Fetch a whole object to be edited.
    FetchToEdit(ObjectRef),
    /// Give the terminal to the person's editor with this text, and say what it left.
    Editor(Sheet),
    /// Learn how the server lists a type that the console has no description of.
    Learn(Resource),
    /// Make the plan of a request.
    Plan {
        /// The number of the asking, which comes back with the plan.
        number: u64,
        /// What is asked for.
        request: Box<Request>,
    },
    /// Hold an action that is under way, let it go on, or end it.
    Steer {
        /// Its id.
        id: String,
        /// What it is to do.
        order: Order,
    },
    /// Carry out a plan with the person's answer.
    Carry {
        /// The plan as it was shown.
        plan: Box<Plan>,
        /// The answer.
        answer: Answer,
    },
}

/// What an action that is under way is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Begin nothing more for now.
    Hold,
    /// Go on.
    GoOn,
    /// Begin nothing more, and end.
    End,
}

/// What the views on screen need to be kept: the runner starts and stops tasks so that it is so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Need {
    /// A list.
    List(Query),
    /// Logs.
    Logs(LogsOf),
    /// Log lines of Loki.
    Lines(LinesOf, Wish),
    /// The answer of a system beside Kubernetes, kept up to date.
    Answer(Ask),
}

/// The logs of a pod or workload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogsOf {
    /// The pod or workload.
    pub object: ObjectRef,
    /// One container; `None` for all.
    pub container: Option<Text>,
    /// Whether of the previous life.
    pub previous: bool,
    /// How far back.
    pub since: Since,
    /// Counts the starts, so that the same can be asked anew.
    pub turn: u64,
}
