//! Where the console is connected, as whom, and what may be done there.

use jiff::Timestamp;

use crate::identity::{Context, Text};
use crate::sources::SourceError;

/// What a context is used for; decides colour, wording and how much must be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Development.
    Dev,
    /// Tests by people.
    Qa,
    /// The last step before production.
    Staging,
    /// Production: protected, a name must be typed before anything is changed.
    Prod,
    /// Nobody has said, and no pattern fits; protected where configuration says so.
    Unknown,
}

impl Environment {
    /// Every environment that configuration can name.
    pub const NAMES: [&'static str; 4] = ["dev", "qa", "staging", "prod"];

    /// Reads the word that configuration uses.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "dev" => Self::Dev,
            "qa" => Self::Qa,
            "staging" => Self::Staging,
            "prod" => Self::Prod,
            _ => return None,
        })
    }

    /// Returns the word that configuration and records use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Qa => "qa",
            Self::Staging => "staging",
            Self::Prod => "prod",
            Self::Unknown => "unknown",
        }
    }
}

/// A context that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    /// The context.
    pub context: Context,
    /// The cluster's name in the kubeconfig.
    pub cluster: String,
    /// What it is used for.
    pub environment: Environment,
}

/// How the connection to the cluster stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// No context is open.
    None,
    /// Asked, and not answered yet.
    Connecting {
        /// Since when.
        since: Timestamp,
    },
    /// It answers.
    Live {
        /// The server's version, such as `v1.33.1`.
        version: String,
        /// Who the server says one is; empty where it does not say.
        user: String,
    },
    /// It does not answer; it is tried again.
    Failed {
        /// Why.
        error: SourceError,
        /// Since when.
        since: Timestamp,
        /// When it is tried again.
        retry_at: Option<Timestamp>,
    },
}

/// The open context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The context; `None` until one is chosen.
    pub context: Option<Context>,
    /// What it is used for.
    pub environment: Environment,
    /// Whether a name must be typed before anything is changed.
    pub protected: bool,
    /// Why nothing may be written, where that is so: the flag or the line of configuration.
    pub readonly: Option<String>,
    /// The contexts that can be opened, in the order of the kubeconfig.
    pub contexts: Vec<Reachable>,
    /// How the connection stands.
    pub link: Link,
    /// The namespace that the kubeconfig names for the context.
    pub namespace: Option<Text>,
    /// Requests sent so far, and those of the last minute.
    pub requests: (u64, u64),
}
