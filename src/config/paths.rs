//! Where configuration and state live.

use std::path::PathBuf;

use directories::ProjectDirs;

/// The directories and files of this person on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `config.toml`, `keymap.toml`, `themes/`.
    pub config: PathBuf,
    /// The audit, the log, what is held, and what the embedded platform keeps.
    pub state: PathBuf,
    /// What can be fetched again: clones of the repositories of Applications.
    pub cache: PathBuf,
}

impl Paths {
    /// Finds the directories as the system has them.
    ///
    /// `OPSDECK_CONFIG_DIR`, `OPSDECK_STATE_DIR` and `OPSDECK_CACHE_DIR` move them. Where the system names no home directory, the
    /// working directory is used.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Self {
        let own = |name| variable(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let system = ProjectDirs::from("", "", "opsdeck");
        let config = system.as_ref().map(|dirs| dirs.config_dir().to_owned());
        let state = system.as_ref().map(|dirs| dirs.state_dir().unwrap_or(dirs.data_local_dir()).to_owned());
        let cache = system.as_ref().map(|dirs| dirs.cache_dir().to_owned());
        Self {
            config: own("OPSDECK_CONFIG_DIR").or(config).unwrap_or_else(|| PathBuf::from(".opsdeck")),
            state: own("OPSDECK_STATE_DIR").or(state).unwrap_or_else(|| PathBuf::from(".opsdeck")),
            cache: own("OPSDECK_CACHE_DIR").or(cache).unwrap_or_else(|| PathBuf::from(".opsdeck/cache")),
        }
    }

    /// Returns the configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Returns the person's keymap file.
    pub fn keymap_file(&self) -> PathBuf {
        self.config.join("keymap.toml")
    }

    /// Returns the person's themes directory.
    pub fn themes(&self) -> PathBuf {
        self.config.join("themes")
    }

    /// Returns the person's directory of boards.
    pub fn boards(&self) -> PathBuf {
        self.config.join("boards")
    }

    /// Returns the log file.
    pub fn log_file(&self) -> PathBuf {
        self.state.join("opsdeck.log")
    }

    /// Returns the file in which the console remembers how tables are arranged and what was typed.
    pub fn memory_file(&self) -> PathBuf {
        self.state.join("console.json")
    }

    /// Returns the directory of the clones of repositories.
    pub fn git(&self) -> PathBuf {
        self.cache.join("git")
    }

    /// Returns the audit file.
    pub fn audit_file(&self) -> PathBuf {
        self.state.join("audit.jsonl")
    }
}
