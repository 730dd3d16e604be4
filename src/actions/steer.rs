//! How an action that is under way is steered: held for a while, or ended.
//!
//! Steering never takes back what was written, and never cuts off a write whose answer is awaited.

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::reveal::Revealed;

/// What an action listens to.
#[derive(Debug, Clone)]
pub struct Steer {
    stop: CancellationToken,
    held: watch::Receiver<bool>,
    /// The screen that values are shown on, where there is one.
    screen: Option<mpsc::Sender<Revealed>>,
}

impl Steer {
    /// Listens to a token that ends the action, and to nothing else.
    pub fn until(stop: &CancellationToken) -> Self {
        // The sender may go: the last value stays.
        Self { stop: stop.clone(), held: watch::channel(false).1, screen: None }
    }

    /// Makes what an action listens to and the hand that steers it; it also ends when `stop` does.
    pub fn new(stop: &CancellationToken) -> (Hand, Self) {
        let (held, listening) = watch::channel(false);
        let stop = stop.child_token();
        (Hand { stop: stop.clone(), held }, Self { stop, held: listening, screen: None })
    }

    /// Gives it a screen, for a value that somebody asked to see.
    #[must_use]
    pub fn with_screen(self, screen: mpsc::Sender<Revealed>) -> Self {
        Self { screen: Some(screen), ..self }
    }

    /// Returns the screen, where there is one.
    pub(super) fn screen(&self) -> Option<&mpsc::Sender<Revealed>> {
        self.screen.as_ref()
    }

    /// Returns the token that ends the action.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tells whether nothing new is to be begun for now.
    pub fn is_held(&self) -> bool {
        *self.held.borrow()
    }
}

/// What steers an action.
#[derive(Debug)]
pub struct Hand {
    stop: CancellationToken,
    held: watch::Sender<bool>,
}

impl Hand {
    /// Holds the action, or lets it go on.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Ends the action: what was begun is not taken back, and nothing new is begun.
    pub fn end(&self) {
        self.stop.cancel();
    }
}
