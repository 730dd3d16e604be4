//! Which actions are under way: a file beside the audit for each, locked by the console that carries it out.
//!
//! # Why
//!
//! A number of a process is used again, and says nothing across a restart of the machine. A lock goes with the
//! process that holds it, however that ends. So an action whose record has no end is under way while somebody has
//! its lock, and was cut off when the lock can be had; whoever has it is alone in writing the end.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::chain::hash;

/// How much of the hash of an id names its file: enough that two never meet.
const NAME: usize = 32;

/// The lock on an action.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Drop for Lock {
    /// Gives the lock back by name: a child process that was forked a moment ago (git, a credential plugin) has the
    /// file open until it becomes another program, and would hold on to the lock as long.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Names the file of an action beside the audit; ids come from records, and are no file names.
    pub(super) fn path(audit: &Path, id: &str) -> PathBuf {
        let stem = audit.file_stem().unwrap_or_default().to_string_lossy();
        let name = hash(id);
        audit.with_file_name(format!("{stem}.{}.running", name.get(..NAME).unwrap_or(&name)))
    }

    /// Takes the lock with a file that was opened; `None` where another console has it.
    pub(super) fn take(path: PathBuf, file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path, file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the file away: the action has its end.
    pub(super) fn clear(self) {
        // What stays behind is an empty file that nobody reads: the record says that there is an end.
        let _ = fs::remove_file(&self.path);
    }
}
