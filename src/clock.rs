//! The one place that reads the time of day.
//!
//! Everything else is handed a [`Clock`] or a `now`, so that tests and the embedded platform decide what
//! time it is. Nothing else in the crate may call the `now` functions (`.clippy.toml` holds that).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time: the system's, or a test's.
#[derive(Debug, Clone)]
pub struct Clock(Face);

#[derive(Debug, Clone)]
enum Face {
    System,
    /// Milliseconds since the epoch. An atomic, because a test turns the hands while tasks read them.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self(Face::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it; all its clones move together.
    pub fn manual(start: Timestamp) -> Self {
        Self(Face::Manual(Arc::new(AtomicI64::new(start.as_millisecond()))))
    }

    /// Returns the time of day, to the millisecond for a manual clock.
    #[expect(clippy::disallowed_methods, reason = "this is the place that may")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Face::System => Timestamp::now(),
            Face::Manual(at) => {
                Timestamp::from_millisecond(at.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Moves a manual clock forward; the system's clock stays what it is.
    pub fn advance(&self, by: Duration) {
        if let Face::Manual(at) = &self.0 {
            at.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_its_clones_move_with_it() {
        let start: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        let other = clock.clone();
        assert_eq!(other.now(), start);
        clock.advance(Duration::from_secs(90));
        assert_eq!(other.now().to_string(), "2026-01-01T10:01:30Z");
    }
}
