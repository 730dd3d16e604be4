//! Telling keys that a person presses from those that come as fast as a paste: an answer counts only alone.
//!
//! A terminal that brackets pastes says what was pasted. One that does not (a serial line, an old multiplexer, a program
//! that types) sends a paste as keys, and `tenant-2` with a line end behind it would confirm. Nothing here reads a clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::app::command::Command;

/// An answer that comes sooner than this after another key was not pressed by a person: it belongs to a paste, or to a
/// key that is held. The fastest typists leave 30 ms, held keys and programs that type 10 to 25.
const BEFORE: Duration = Duration::from_millis(30);

/// For how long an answer must stay alone before it counts. A paste has its other keys there at once; more would be felt.
const AFTER: Duration = Duration::from_millis(15);

/// When keys came.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// Since when the next key is waited for; `None` while keys are taken that came together.
    waiting: Option<Instant>,
    /// The answer that is to count, and from when on.
    held: Option<(Instant, Command)>,
}

impl Burst {
    /// Notes that the next key is waited for.
    ///
    /// Time counts from here and not from the last key: on a slow machine the keys of a paste may be far apart by the
    /// time that each of them has been dealt with.
    pub fn wait(&mut self, now: Instant) {
        self.waiting.get_or_insert(now);
    }

    /// Takes note of a key, and tells whether it came too fast behind another to be an answer. An answer that is held
    /// is taken back by it and returned.
    pub fn key(&mut self, now: Instant) -> (bool, Option<Command>) {
        let fast = self.waiting.take().is_none_or(|since| now.saturating_duration_since(since) < BEFORE);
        (fast, self.held.take().map(|(_, command)| command))
    }

    /// Holds an answer until it has been alone for long enough.
    pub fn hold(&mut self, now: Instant, command: Command) {
        self.held = Some((now + AFTER, command));
    }

    /// Returns when the answer that is held counts.
    pub fn at(&self) -> Option<Instant> {
        self.held.map(|(at, _)| at)
    }

    /// Returns the answer once it counts.
    pub fn due(&mut self, now: Instant) -> Option<Command> {
        self.held.take_if(|(at, _)| *at <= now).map(|(_, command)| command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Presses enter so long after another key that was dealt with at once, and tells whether it is too fast.
    fn fast(apart: u64) -> bool {
        let begun = Instant::now();
        let mut burst = Burst::default();
        burst.wait(begun);
        burst.key(begun + Duration::from_secs(1));
        burst.wait(begun + Duration::from_secs(1));
        burst.key(begun + Duration::from_millis(1_000 + apart)).0
    }

    #[test]
    fn what_comes_within_thirty_milliseconds_of_another_key_was_not_pressed() {
        assert!(fast(0) && fast(12) && fast(29));
        assert!(!fast(30) && !fast(80));
    }

    #[test]
    fn keys_of_one_batch_are_fast_however_long_each_of_them_takes() {
        let begun = Instant::now();
        let mut burst = Burst::default();
        burst.wait(begun);
        burst.key(begun + Duration::from_secs(1));
        // Nobody waited in between: this one was there already.
        assert!(burst.key(begun + Duration::from_secs(3)).0);
        burst.wait(begun + Duration::from_secs(5));
        assert!(
            burst.key(begun + Duration::from_millis(5_010)).0,
            "nor when it came while the frame was drawn"
        );
    }

    #[test]
    fn an_answer_counts_when_it_stays_alone_and_another_key_takes_it_back() {
        let begun = Instant::now();
        let at = |millis: u64| begun + Duration::from_millis(millis);
        let mut burst = Burst::default();
        burst.wait(begun);
        assert_eq!(burst.key(at(100)), (false, None));
        burst.hold(at(100), Command::Confirm);
        assert_eq!((burst.due(at(114)), burst.at()), (None, Some(at(115))));
        assert_eq!(burst.due(at(115)), Some(Command::Confirm));
        assert_eq!(burst.due(at(200)), None, "once");
        burst.wait(at(120));
        assert_eq!(burst.key(at(300)), (false, None));
        burst.hold(at(300), Command::Submit);
        assert_eq!(burst.key(at(301)), (true, Some(Command::Submit)));
        assert_eq!(burst.due(at(400)), None);
    }
}
