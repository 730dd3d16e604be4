//! The log file: in the state directory, never on the screen.
//!
//! `OPSDECK_LOG` sets what is written, in the words of `tracing` (`debug`, `opsdeck::sources=trace`); the default
//! is warnings. Request bodies, tokens and secret values are not logged by anybody.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use tracing_subscriber::EnvFilter;

/// Bytes after which the log of earlier runs is put aside.
const PUT_ASIDE_AT: u64 = 8 * 1024 * 1024;

/// Opens the log file and sends everything that is traced there.
///
/// A log that cannot be written is an error for the caller to pass over: the console works without one.
pub fn open(path: &Path, level: Option<&str>) -> io::Result<()> {
    let file = open_file(path)?;
    let filter = EnvFilter::try_new(level.unwrap_or("warn")).unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(file)
        .with_ansi(false)
        .try_init()
        .map_err(io::Error::other)
}

fn open_file(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    if std::fs::metadata(path).is_ok_and(|about| about.len() > PUT_ASIDE_AT) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_made_with_its_directory_and_an_old_one_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/opsdeck.log");
        open_file(&path).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(PUT_ASIDE_AT + 1).unwrap();
        open_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        assert!(path.with_extension("log.1").exists());
    }
}
