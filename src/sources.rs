//! Remote systems, one module each, with the capabilities that it really has.
//!
//! A source turns bytes into typed updates and sends them; it never touches the state or the screen, and it
//! never decides whether a mutation may happen (the gate does) or records it (the runner does).

use jiff::Timestamp;

pub mod access;
pub mod alertmanager;
mod answer;
mod argocd;
pub(crate) mod backoff;
pub mod change;
pub mod cloudwatch;
mod credential;
pub mod discovery;
mod endpoint;
mod follow;
pub mod git;
pub mod kubeconfig;
pub mod kubernetes;
mod log_stream;
pub mod logql;
pub mod logs;
pub mod loki;
mod loki_page;
mod loki_tail;
mod loki_wire;
pub mod objects;
pub mod parts;
mod percent;
pub mod prometheus;
mod reader;
pub mod scrape;
mod session;
mod signal_lists;
mod socket;
pub mod systems;
mod table;
pub mod usage;
mod waits;

pub(crate) use endpoint::without_credentials;
pub use endpoint::{Endpoint, ServicePort};
pub use kubeconfig::{ConnectError, Contexts, Entry, Places};
pub use kubernetes::{Connection, Setup, Standing, Traffic};
pub use systems::{Directions, Systems};
pub use waits::Waits;

/// Why a source could not answer: the few cases a screen can act on, each a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No answer: refused, timed out, name not found, TLS failed, stream cut.
    #[error("{what} cannot be reached at {place}: {reason}")]
    Unreachable {
        /// What was asked, such as `the Kubernetes API`.
        what: String,
        /// Where, without credentials.
        place: String,
        /// Why, and what to do next where that is known.
        reason: String,
    },
    /// 401: the credential is missing, wrong or expired.
    #[error("{what} does not accept the credential: {reason}")]
    Unauthenticated {
        /// What was asked.
        what: String,
        /// Why, and what to do next (log in again, run the credential plugin).
        reason: String,
    },
    /// 403: the user may not.
    #[error("not permitted to {verb} {object}: {reason}")]
    Denied {
        /// The verb in Kubernetes terms.
        verb: String,
        /// The resource or object.
        object: String,
        /// The server's reason.
        reason: String,
    },
    /// 404: the object is gone, or its type is not installed.
    #[error("{what} does not exist: {reason}")]
    Missing {
        /// The object or type.
        what: String,
        /// Whether it is the object or the API that is missing.
        reason: String,
    },
    /// 409, or a precondition that no longer holds.
    #[error("{what} has changed: {reason}")]
    Conflict {
        /// The object.
        what: String,
        /// What differs.
        reason: String,
    },
    /// 422 or 400: the server understood and refuses.
    #[error("{what} was refused: {reason}")]
    Invalid {
        /// The object or request.
        what: String,
        /// The server's causes.
        reason: String,
    },
    /// 429: too many requests, or a disruption budget.
    #[error("{what} asks to wait: {reason}")]
    Throttled {
        /// What was asked.
        what: String,
        /// When to ask again, if the server said.
        until: Option<Timestamp>,
        /// The server's reason.
        reason: String,
    },
    /// An answer that could not be understood, or a 5xx.
    #[error("{what} answered something that cannot be used: {reason}")]
    Garbled {
        /// What was asked.
        what: String,
        /// What came.
        reason: String,
    },
}
