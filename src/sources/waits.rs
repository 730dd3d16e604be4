//! Every wait of a connection, with its bound and the reason for it, in one place.

use std::time::Duration;

/// How long things may take, and how long to rest when they fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// A TCP and TLS connection may take so long to come up.
    pub connect: Duration,
    /// A server may take so long to begin an answer: 500 large objects take seconds on a busy one.
    pub answer: Duration,
    /// An answer that has begun may stand still so long.
    pub stall: Duration,
    /// A watch is asked to end after so long: servers refuse much more, and opening it again costs nothing.
    pub watch: Duration,
    /// A watch may say nothing, not even its end, for so long: then the connection is dead.
    pub silence: Duration,
    /// A watch of a server that sends bookmarks may say nothing for so long.
    pub bookmarks: Duration,
    /// A log that is followed may say nothing for so long before it is asked for again where it stopped: a quiet
    /// container and a dead connection look the same.
    pub quiet_log: Duration,
    /// The first wait after a failure; it doubles each time.
    pub first: Duration,
    /// The longest wait after failures.
    pub longest: Duration,
    /// The wait for what only a person can change: a missing right, a CRD that is not installed.
    pub patient: Duration,
    /// How often it is looked whether more is permitted by now, or less.
    pub look_again: Duration,
    /// How soon after one renewal of the credential another one is tried.
    pub renewal: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            watch: Duration::from_secs(290),
            silence: Duration::from_secs(305),
            bookmarks: Duration::from_secs(150),
            quiet_log: Duration::from_mins(5),
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            patient: Duration::from_mins(1),
            look_again: Duration::from_mins(5),
            renewal: Duration::from_secs(10),
        }
    }
}
