//! Messages: what tasks say to the state. (Mail for the store is [`crate::store::Envelope`].)

use std::sync::Arc;

use serde_json::Value;

use crate::actions::left::Left;
use crate::actions::reveal::Revealed;
use crate::actions::{Closed, Outcome, Plan, Progress};
use crate::app::effect::LogsOf;
use crate::app::explore::{LinesNews, LinesOf};
use crate::app::running::Cut;
use crate::app::session::{Link, Reachable};
use crate::boards::Boards;
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::Kinds;
use crate::sources::SourceError;
use crate::sources::logs::Line;

/// Something a task has to say.
#[derive(Debug)]
pub enum Message {
    /// The contexts that can be opened.
    Contexts(Vec<Reachable>),
    /// How the connection to a context stands.
    Link {
        /// The context.
        context: Context,
        /// How it stands.
        link: Link,
        /// The namespace that the kubeconfig names.
        namespace: Option<Text>,
    },
    /// A whole object, or why not.
    Document {
        /// The object.
        object: ObjectRef,
        /// What came.
        result: Result<Arc<Value>, SourceError>,
    },
    /// Every type that the server has.
    Served(Vec<Resource>),
    /// The kinds, with one more that was learned.
    Kinds(Arc<Kinds>),
    /// A plan, as far as it is made; each replaces the one before.
    Planned {
        /// The number of the asking.
        number: u64,
        /// The plan, or why there is none.
        result: Result<Box<Plan>, String>,
    },
    /// An answer was refused by the gate; nothing was written.
    Refused {
        /// The plan's id.
        id: String,
        /// Why.
        why: String,
    },
    /// How far an action is.
    Progress(Progress),
    /// How an action ended.
    Ended {
        /// The action's id.
        id: String,
        /// How.
        outcome: Outcome,
    },
    /// An object that is to be edited.
    ToEdit(Result<Arc<serde_json::Value>, SourceError>),
    /// What the editor left, or why there is none.
    Edited(Result<crate::app::effect::Sheet, String>),
    /// A value that somebody asked to see.
    Revealed(Box<Revealed>),
    /// Logs begin to be read, from their beginning.
    LogBegun {
        /// Which logs.
        of: LogsOf,
    },
    /// Lines of a log.
    Logged {
        /// Which logs.
        of: LogsOf,
        /// The lines, in order.
        lines: Vec<Line>,
        /// Lines that were dropped on the way because the console could not take them.
        dropped: u64,
    },
    /// What is heard of log lines of Loki.
    Lines {
        /// Which lines.
        of: LinesOf,
        /// What.
        news: LinesNews,
    },
    /// A file was written, or why not.
    Saved(Result<String, String>),
    /// A stream of a log ended badly.
    LogFailed {
        /// Which logs.
        of: LogsOf,
        /// The pod or container.
        stream: Text,
        /// Why.
        error: SourceError,
    },
    /// What a stream of a log was waiting for has come.
    LogStarted {
        /// Which logs.
        of: LogsOf,
        /// The pod or container.
        stream: Text,
    },
    /// When rollbacks were verified and how many seconds each took, as the audit has them.
    Rollbacks(Vec<(jiff::Timestamp, f64)>),
    /// The boards, read.
    Boards(Arc<Boards>),
    /// Requests sent in all, and in the last minute.
    Requests {
        /// In all.
        total: u64,
        /// In the last minute.
        minute: u64,
    },
    /// Actions that have no end in the audit, as it stood at the start.
    Cut(Vec<Cut>),
    /// Rotations that were left before their end, as the audit stands.
    Left(Vec<Left>),
    /// Actions that were cut off, with what became of them; their records are closed.
    Closed(Vec<Closed>),
    /// A sentence about something that went wrong without a place of its own.
    Trouble(String),
}
