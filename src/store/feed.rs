//! How a kept list is being fed: its stage, its age, whether it is whole, what was wrong.
//!
//! This is what lets a panel say where its rows come from and how far they can be trusted. It holds no rows.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::identity::Text;
use crate::kinds::Garbled;
use crate::sources::SourceError;

/// How many undecodable objects a feed shows.
const SAMPLES: usize = 8;

/// How many undecodable objects are remembered by name, so that they can be taken off again; the others are
/// counted until the next list.
const REMEMBERED: usize = 256;

/// What a list does not show, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// The namespace; `None` where not even the names of the hidden ones are known.
    pub namespace: Option<Text>,
    /// Why it is not shown.
    pub error: SourceError,
}

/// Where a list stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Asked for, and nothing was heard yet.
    Waiting,
    /// The first list is coming in; the rows are real, and not all.
    Loading {
        /// How many have come.
        have: u64,
        /// How many there will be, where the server says.
        of: Option<u64>,
    },
    /// Whole, and a watch keeps it so.
    Live,
    /// The rows are those of the last whole list, and a new one is coming in.
    Refilling,
    /// Cut off: the rows, if any, are as they were at `since`.
    Failed {
        /// Why.
        error: SourceError,
        /// Since when.
        since: Timestamp,
        /// When it is tried again.
        retry_at: Option<Timestamp>,
    },
    /// Nobody needs it any more; the rows are as they were then.
    Ended {
        /// Since when.
        since: Timestamp,
    },
}

/// How a list is being fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Where it stands; of a list in parts, the worst part.
    pub stage: Stage,
    /// When anything was last heard.
    pub heard: Option<Timestamp>,
    /// When the rows last were a whole list.
    pub whole_at: Option<Timestamp>,
    /// The namespaces it is put together from; empty for one list for all.
    pub parts: Vec<Text>,
    /// What it does not show.
    pub hidden: Vec<Hidden>,
    /// How many objects cannot be decoded.
    pub garbled: u64,
    /// The first few of them.
    pub samples: Vec<Garbled>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            stage: Stage::Waiting,
            heard: None,
            whole_at: None,
            parts: Vec::new(),
            hidden: Vec::new(),
            garbled: 0,
            samples: Vec::new(),
        }
    }
}

impl Feed {
    /// Tells whether the rows are all there is, and as it is now.
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live && self.is_complete()
    }

    /// Tells whether the rows once were everything that was asked for, however old they may be.
    pub fn is_complete(&self) -> bool {
        self.whole_at.is_some() && self.hidden.is_empty() && self.garbled == 0
    }

    /// Returns why it is cut off.
    pub fn error(&self) -> Option<&SourceError> {
        match &self.stage {
            Stage::Failed { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Which objects of a list cannot be decoded at present.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    named: BTreeMap<String, Garbled>,
    /// Those beyond the ones that are remembered by name.
    more: u64,
}

impl Garbage {
    pub(super) fn add(&mut self, garbled: Vec<Garbled>) {
        for one in garbled {
            if self.named.len() < REMEMBERED || self.named.contains_key(&one.name) {
                self.named.insert(one.name.clone(), one);
            } else {
                self.more += 1;
            }
        }
    }

    /// Takes an object off the list: it could be decoded now, or is gone.
    pub(super) fn clear(&mut self, namespace: &str, name: &str) {
        if self.named.is_empty() {
            return;
        }
        if namespace.is_empty() {
            self.named.remove(name);
        } else {
            self.named.remove(&format!("{namespace}/{name}"));
        }
    }

    /// Adds how many there are, and the first few of them, to what is shown.
    pub(super) fn tell(&self, count: &mut u64, samples: &mut Vec<Garbled>) {
        *count += self.named.len() as u64 + self.more;
        let room = SAMPLES.saturating_sub(samples.len());
        samples.extend(self.named.values().take(room).cloned());
    }
}
