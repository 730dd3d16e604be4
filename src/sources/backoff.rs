//! How long to wait before asking again: longer each time, never in step with others, and short again after a
//! success.

use std::time::Duration;

/// The growing wait between tries.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
}

impl Backoff {
    /// Waits about `first` after the first failure, twice that after the next, and never much longer than `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, tries: 0 }
    }

    /// Returns how long to wait after one more failure.
    ///
    /// A random half is taken off, so that many consoles do not return to a server in one moment.
    pub fn next_wait(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1 << self.tries.min(16)).min(self.most);
        self.tries = self.tries.saturating_add(1);
        whole.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Starts from the beginning: something worked.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_limit_and_starts_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let waits: Vec<Duration> = (0..100).map(|_| backoff.next_wait()).collect();
        for (wait, most) in waits.iter().zip([1, 2, 4, 8, 16, 30, 30, 30]) {
            let most = Duration::from_secs(most);
            assert!(*wait <= most && *wait >= most / 2, "{wait:?} of {most:?}");
        }
        assert!(waits[99] >= Duration::from_secs(15));
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_secs(1));
    }
}
