//! Waiting for what a server or a program shows at some time: looked at again and again, with a bound.

use std::time::Duration;

use tokio::time::{Instant, interval};

/// How long nothing happens between two looks.
const EVERY: Duration = Duration::from_millis(20);

/// Looks until it is as it should be.
///
/// # Panics
///
/// When it is not within the bound: with what was seen last.
pub async fn until(bound: Duration, mut look: impl AsyncFnMut() -> Result<(), String>) {
    let end = Instant::now() + bound;
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        match look().await {
            Ok(()) => return,
            Err(seen) => assert!(Instant::now() < end, "not within {bound:?}: {seen}"),
        }
    }
}
