//! A task that owns a value; everybody else sends it closures.
//!
//! For the servers inside the cluster that keep something of their own, so that they neither share it under a lock nor
//! keep the world's task busy.

use tokio::sync::{mpsc, oneshot};

/// Closures that may wait; more callers than this wait for a place.
const QUEUE: usize = 256;

type Command<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The way to a value that a task owns; the task ends with the last of these.
#[derive(Debug)]
pub struct Owner<T> {
    commands: mpsc::Sender<Command<T>>,
}

impl<T> Clone for Owner<T> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone() }
    }
}

/// The task that owned the value has ended, because an earlier closure panicked or the platform stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the embedded platform is stopping")]
pub struct Gone;

impl<T: Send + 'static> Owner<T> {
    /// Starts the task that owns a value.
    pub fn start(mut value: T) -> Self {
        let (commands, mut receiver) = mpsc::channel::<Command<T>>(QUEUE);
        tokio::spawn(async move {
            while let Some(command) = receiver.recv().await {
                command(&mut value);
            }
        });
        Self { commands }
    }

    /// Runs a closure on the value and returns what it returns.
    pub async fn call<R: Send + 'static>(
        &self,
        run: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Gone> {
        let (sender, receiver) = oneshot::channel();
        let command: Command<T> = Box::new(move |value| {
            // The caller may have gone away; then nobody wants the answer.
            let _ = sender.send(run(value));
        });
        self.commands.send(command).await.map_err(|_| Gone)?;
        receiver.await.map_err(|_| Gone)
    }
}
