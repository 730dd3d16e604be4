//! The last answer to a question that is asked again and again, and what came of asking since.

use std::sync::Arc;

use jiff::Timestamp;

use crate::signals::{Report, Told};
use crate::sources::SourceError;

/// The last good answer, its age, and why there is none that is newer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The last good answer; it stays when a later one fails, with its age beside it.
    pub told: Option<Arc<Told>>,
    /// When that answer came.
    pub at: Option<Timestamp>,
    /// Why the last try failed; `None` once one worked.
    pub error: Option<SourceError>,
    /// When it is asked again.
    pub next: Option<Timestamp>,
    /// Whether it is still being asked.
    pub kept: bool,
    /// The number of the last change, over everything in the store.
    pub revision: u64,
}

impl Reading {
    /// Tells whether nothing was heard at all yet.
    pub fn is_waiting(&self) -> bool {
        self.told.is_none() && self.error.is_none()
    }

    /// Tells whether the answer is the one of the last try.
    pub fn is_fresh(&self) -> bool {
        self.kept && self.told.is_some() && self.error.is_none()
    }

    pub(super) fn take(&mut self, report: Report, revision: u64) {
        self.revision = revision;
        self.next = report.next;
        match report.result {
            Ok(told) => {
                self.told = Some(Arc::new(told));
                self.at = Some(report.at);
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }
}
