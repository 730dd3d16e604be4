//! Contained panics: they cost one answer, and not the program.
//!
//! The embedded platform runs in the console's process, and a request that trips over a bug there must look as
//! it would from a real server: an answer is missing, the console lives. Only that platform uses this; a panic
//! of the console's own tasks ends the console, because nobody knows what it has left half done.
//!
//! # Why
//!
//! The panic hook is one for the whole process, is called before anybody can catch a panic, and is told nothing
//! but the place in the source and the thread. So the thread carries the mark, for exactly as long as the
//! contained code runs: a future is marked at each poll and never while it waits.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;

thread_local! {
    /// How many contained calls this thread is in, one inside the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

struct Mark;

impl Mark {
    fn set() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Tells whether a panic on this thread would be contained; the panic hook asks.
pub fn is_contained() -> bool {
    DEPTH.get() > 0
}

/// Runs a closure; `None` where it panicked.
pub fn run<T>(work: impl FnOnce() -> T) -> Option<T> {
    let _mark = Mark::set();
    std::panic::catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Runs a future; `None` where it panicked. It is not polled again after that.
pub async fn future<F: Future>(work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    poll_fn(|context| match run(|| work.as_mut().poll(context)) {
        Some(Poll::Ready(output)) => Poll::Ready(Some(output)),
        Some(Poll::Pending) => Poll::Pending,
        None => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn a_panic_costs_its_own_answer_and_the_mark_is_taken_away() {
        assert_eq!(run(|| 7), Some(7));
        assert!(run(|| assert!(!is_contained(), "contained")).is_none());
        assert!(!is_contained());
        assert_eq!(run(|| run(|| 1).map(|one| (one, is_contained()))), Some(Some((1, true))));
    }

    #[tokio::test]
    async fn a_future_is_marked_while_it_runs_and_not_while_it_waits() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut waiting = pin!(future(async {
            let before = is_contained();
            let _ = receiver.await;
            (before, is_contained())
        }));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(!is_contained(), "what runs while it waits is not contained");
        sender.send(()).unwrap();
        assert_eq!(waiting.await, Some((true, true)));
        assert!(future(async { panic!("contained") }).await.is_none());
    }
}
