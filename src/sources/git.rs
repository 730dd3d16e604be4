//! Git repositories of Applications, through the user's own `git` program and credentials.
//!
//! Reads from a bare clone that it keeps in the cache directory, and pushes one commit to one branch. It never touches
//! a checkout of the user, never forces a push, never asks on the terminal, and never shows a URL with credentials.
//! What the files mean is no business of this module.
//!
//! # Why
//!
//! The program and not a library: it brings the user's credential helpers, ssh agent, `insteadOf` rules, proxies and
//! signing keys, and behaves in the repository as the user's own git does. Commits are made from trees and not in a
//! work tree: nothing is checked out, so that a large repository costs no more than what differs in it, and the tree
//! that the plan has shown is the tree that is pushed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::without_credentials;
use crate::gate::Permit;
use crate::text::one_line;

mod reading;

pub use reading::{Change, Commit};

/// How long a call may take that reads or writes the cache only.
const LOCAL: Duration = Duration::from_secs(20);
/// How long the remote may take to say where its branches are, and to take a push.
const REMOTE: Duration = Duration::from_secs(30);
/// How long a first clone may take: it brings the whole history of a branch.
const CLONE: Duration = Duration::from_mins(3);
/// The most that one call may print, in bytes; a values file or a difference is far below.
const MOST: u64 = 16 * 1024 * 1024;
/// The transports that a URL of an Application may name; `ext::` would run any command.
const TRANSPORTS: &str = "file:git:http:https:ssh";
/// Variables by which a surrounding git would lead this one into another repository.
const STRAYS: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
];

/// Why git could not do what was asked; each a sentence that names the thing, the place and the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// Git is switched off for this context.
    #[error("git is switched off for this context (git = \"off\" in the configuration)")]
    Off,
    /// The program is not there.
    #[error("the program {0} cannot be started: install git, or put it on the PATH")]
    NoProgram(String),
    /// The URL cannot be used.
    #[error(
        "{0} is no URL that git is given: name another in the configuration of the context (git.repositories)"
    )]
    Url(String),
    /// No answer in time.
    #[error(
        "git gave no answer within {seconds} s while it should {what}: try the same by hand, it may wait for a login"
    )]
    TimedOut {
        /// What it should do.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The repository cannot be read.
    #[error("{place} cannot be read: {said}")]
    Unreachable {
        /// The URL without credentials.
        place: String,
        /// What git said.
        said: String,
    },
    /// What the Application tracks is no branch.
    #[error(
        "{place} has no branch {revision}: what follows a tag, a commit or a range of versions is changed where that is written"
    )]
    NoBranch {
        /// The URL without credentials.
        place: String,
        /// What it tracks.
        revision: String,
    },
    /// The branch is not where it was: somebody pushed.
    #[error("branch {branch} of {place} has moved since: somebody pushed; nothing was pushed, ask again")]
    Moved {
        /// The URL without credentials.
        place: String,
        /// The branch.
        branch: String,
    },
    /// The server does not take the push.
    #[error(
        "{place} does not take a push to {branch}: {said}; push to a branch for review instead (--branch)"
    )]
    Refused {
        /// The URL without credentials.
        place: String,
        /// The branch.
        branch: String,
        /// What the server said.
        said: String,
    },
    /// The answer to a push was lost.
    #[error(
        "whether {place} took the push to {branch} is not known: {said}; look at the branch before you try again"
    )]
    Unsure {
        /// The URL without credentials.
        place: String,
        /// The branch.
        branch: String,
        /// Why.
        said: String,
    },
    /// Anything else that git says.
    #[error("git could not {what}: {said}")]
    Failed {
        /// What it should do.
        what: String,
        /// What git said, cleaned.
        said: String,
    },
    /// The cache cannot be written.
    #[error("the cache {path} cannot be used: {said}")]
    Cache {
        /// The directory.
        path: String,
        /// What the system said.
        said: String,
    },
}

/// Where a commit is pushed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Push {
    /// To the branch that the Application tracks.
    #[default]
    Tracked,
    /// To a branch of its own, for somebody to review and merge.
    Review,
}

impl Push {
    /// The words of the configuration.
    pub const WORDS: [&'static str; 2] = ["tracked", "review"];

    /// Reads the word of the configuration; anything else is the tracked branch.
    pub fn named(word: &str) -> Self {
        if word == "review" { Self::Review } else { Self::Tracked }
    }

    /// Returns the word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tracked => "tracked",
            Self::Review => "review",
        }
    }
}

/// How git is used in a context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitSettings {
    /// Not at all.
    pub off: bool,
    /// Where commits are pushed to.
    pub push: Push,
    /// Where a repository is reached from here, by the URL that Applications write: Argo CD may reach it by a name
    /// that this machine does not know.
    pub repositories: BTreeMap<String, String>,
}

/// The git program with its cache.
#[derive(Debug, Clone)]
pub struct Git {
    /// The program, such as `git`.
    pub program: PathBuf,
    /// The directory of the clones.
    pub cache: PathBuf,
    /// Variables that are set for it beside those of this process.
    pub environment: Vec<(String, String)>,
    /// How it is used here.
    pub settings: GitSettings,
}

/// The tip of a branch, as the remote said just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// The branch.
    pub branch: String,
    /// The commit.
    pub id: String,
}

/// A repository in the cache that holds the tip of a branch.
#[derive(Debug, Clone)]
pub struct Clone {
    git: Git,
    path: PathBuf,
    /// Where it is reached, without credentials.
    url: String,
    /// The branch and its tip.
    pub tip: Tip,
}

/// Who writes a commit where the user's git does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author<'a> {
    /// The name.
    pub name: &'a str,
    /// When.
    pub at: Timestamp,
}

impl Git {
    /// Uses `git` from the PATH with clones below a directory.
    pub fn new(cache: PathBuf, settings: GitSettings) -> Self {
        Self { program: PathBuf::from("git"), cache, environment: Vec::new(), settings }
    }

    /// Returns where a repository of an Application is reached, without credentials: the user's own are used.
    pub fn url(&self, repository: &str) -> Result<String, GitError> {
        if self.settings.off {
            return Err(GitError::Off);
        }
        let bare = without_credentials(repository);
        let url = self.settings.repositories.get(&bare).cloned().unwrap_or(bare);
        if url.is_empty() || url.starts_with('-') || url.contains("::") || url.chars().any(char::is_control) {
            return Err(GitError::Url(one_line(&url).into_owned()));
        }
        Ok(url)
    }

    /// Asks the remote where a branch is; `HEAD` is its own branch.
    pub async fn tip(&self, repository: &str, revision: &str) -> Result<Tip, GitError> {
        let url = self.url(repository)?;
        let wanted = if revision.is_empty() { "HEAD" } else { revision };
        let short = wanted.strip_prefix("refs/heads/").unwrap_or(wanted);
        let head = format!("refs/heads/{short}");
        let asked: &[&str] = if wanted == "HEAD" {
            &["ls-remote", "--symref", "--", &url, "HEAD"]
        } else {
            &["ls-remote", "--", &url, &head]
        };
        let said = self.call(None, asked, Input::None, REMOTE, "read the branches").await;
        let said = said.map_err(|error| unreachable(&url, error))?;
        let said = String::from_utf8_lossy(&said);
        let mut branch = (wanted != "HEAD").then(|| short.to_owned());
        let mut id = None;
        for line in said.lines() {
            let Some((left, name)) = line.split_once('\t') else { continue };
            if let Some(target) = left.strip_prefix("ref: refs/heads/") {
                branch = Some(target.to_owned());
            } else if name == head || (wanted == "HEAD" && name == "HEAD") {
                id = Some(left.to_owned());
            }
        }
        match (branch, id.filter(|id| is_id(id))) {
            (Some(branch), Some(id)) => Ok(Tip { branch, id }),
            _ => Err(GitError::NoBranch { place: url, revision: wanted.to_owned() }),
        }
    }

    /// Brings the cached clone to the tip of a branch; the first time that takes as long as the history is large.
    pub async fn open(&self, repository: &str, tip: Tip) -> Result<Clone, GitError> {
        let url = self.url(repository)?;
        let path = self.cache.join(name_of(&url));
        let clone = Clone { git: self.clone(), path, url, tip };
        if clone.has(&clone.tip.id).await {
            return Ok(clone);
        }
        self.make(&clone.path).await?;
        let spec = format!("+refs/heads/{0}:refs/opsdeck/{0}", clone.tip.branch);
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", &clone.url, &spec];
        let said = clone.call(&fetch, Input::None, CLONE, "fetch the branch").await;
        // Another console may have fetched it at the same moment, and have locked this one out.
        if clone.has(&clone.tip.id).await {
            return Ok(clone);
        }
        said.map_err(|error| unreachable(&clone.url, error))?;
        Err(GitError::Moved { place: clone.url, branch: clone.tip.branch })
    }

    /// Makes an empty cache, whole or not at all: the plan of several Applications of one repository wants it several
    /// times at the same moment, and git locks out whoever makes it second.
    async fn make(&self, path: &Path) -> Result<(), GitError> {
        let is_there = async || tokio::fs::try_exists(path.join("HEAD")).await.unwrap_or(false);
        if is_there().await {
            return Ok(());
        }
        let failed = |error: std::io::Error| GitError::Cache {
            path: path.display().to_string(),
            said: error.to_string(),
        };
        let fresh = path.with_extension(format!("new-{:08x}", fastrand::u32(..)));
        tokio::fs::create_dir_all(&fresh).await.map_err(failed)?;
        let init = async |at: &Path| {
            let place = at.display().to_string();
            self.call(None, &["init", "--quiet", "--bare", &place], Input::None, LOCAL, "make the cache")
                .await
        };
        init(&fresh).await?;
        if tokio::fs::rename(&fresh, path).await.is_ok() {
            return Ok(());
        }
        // Somebody else was first, or what is there was left half made, and git completes it.
        let _ = tokio::fs::remove_dir_all(&fresh).await;
        if !is_there().await {
            init(path).await?;
        }
        Ok(())
    }

    /// Runs git once; never through a shell, never with a terminal.
    async fn call(
        &self,
        at: Option<&Path>,
        arguments: &[&str],
        input: Input<'_>,
        limit: Duration,
        what: &str,
    ) -> Result<Vec<u8>, GitError> {
        let mut command = Command::new(&self.program);
        for stray in STRAYS {
            command.env_remove(stray);
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", TRANSPORTS)
            .env("GIT_OPTIONAL_LOCKS", "0")
            // Messages are compared below.
            .env("LC_ALL", "C")
            .env("GIT_PAGER", "cat");
        if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
            // ssh would ask on the terminal, in the middle of the screen.
            command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(at) = at {
            command.arg("--git-dir").arg(at);
        }
        // What the cache holds may be unreachable from any branch until it is pushed: nothing is collected.
        command.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.quotePath=false"]);
        command.args(arguments);
        command.stdin(if matches!(input, Input::None) { Stdio::null() } else { Stdio::piped() });
        if let Input::Index(path, _) | Input::Environment(path, _) = &input {
            command.env("GIT_INDEX_FILE", path);
        }
        if let Input::Environment(_, variables) = &input {
            command.envs(variables.iter().map(|(name, value)| (name, value)));
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let run = async {
            let mut child =
                command.spawn().map_err(|_| GitError::NoProgram(self.program.display().to_string()))?;
            let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let bytes = match &input {
                Input::Bytes(bytes) | Input::Index(_, bytes) => *bytes,
                Input::None | Input::Environment(..) => &[],
            };
            let write = async {
                if let Some(mut stdin) = stdin {
                    // A program that does not read to the end says why on its own.
                    let _ = stdin.write_all(bytes).await;
                }
            };
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let read = async {
                match stdout {
                    Some(stdout) => stdout.take(MOST).read_to_end(&mut out).await,
                    None => Ok(0),
                }
            };
            let complain = async {
                match stderr {
                    Some(stderr) => stderr.take(64 * 1024).read_to_end(&mut err).await,
                    None => Ok(0),
                }
            };
            let ((), read, complained) = tokio::join!(write, read, complain);
            let failed = |said: String| GitError::Failed { what: what.to_owned(), said };
            read.and(complained).map_err(|error| failed(error.to_string()))?;
            if out.len() as u64 >= MOST {
                return Err(failed(format!("it printed more than {} MiB", MOST / 1024 / 1024)));
            }
            let status = child.wait().await.map_err(|error| failed(error.to_string()))?;
            if status.success() { Ok(out) } else { Err(failed(sentence(&err, &out))) }
        };
        match tokio::time::timeout(limit, run).await {
            Ok(done) => done,
            Err(_) => Err(GitError::TimedOut { what: what.to_owned(), seconds: limit.as_secs() }),
        }
    }
}

/// What a call is given beside its arguments.
enum Input<'a> {
    /// Nothing.
    None,
    /// Bytes to read.
    Bytes(&'a [u8]),
    /// An index of its own, and bytes to read.
    Index(&'a Path, &'a [u8]),
    /// An index of its own, and variables.
    Environment(&'a Path, &'a [(String, String)]),
}

impl Clone {
    /// Returns where it is reached, without credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn call(
        &self,
        arguments: &[&str],
        input: Input<'_>,
        limit: Duration,
        what: &str,
    ) -> Result<Vec<u8>, GitError> {
        self.git.call(Some(&self.path), arguments, input, limit, what).await
    }

    /// Writes the tree of the tip with other contents of some files (`None` deletes), and returns its id.
    pub async fn tree(&self, files: &[(String, Option<String>)]) -> Result<String, GitError> {
        let index = self.path.join(format!("opsdeck-index-{:08x}", fastrand::u32(..)));
        let tree = self.tree_in(&index, files).await;
        // An index that stays behind is only a file.
        let _ = tokio::fs::remove_file(&index).await;
        tree
    }

    async fn tree_in(&self, index: &Path, files: &[(String, Option<String>)]) -> Result<String, GitError> {
        let what = "make the new files";
        self.call(&["read-tree", &self.tip.id], Input::Index(index, &[]), LOCAL, what).await?;
        let mut lines = Vec::new();
        for (path, text) in files {
            let Some(text) = text else {
                lines.extend(format!("0 {}\t{path}\0", "0".repeat(40)).into_bytes());
                continue;
            };
            let written = self
                .call(&["hash-object", "-w", "--stdin"], Input::Bytes(text.as_bytes()), LOCAL, what)
                .await?;
            let mode = self.mode(path).await?;
            lines.extend(format!("{mode} {}\t{path}\0", id_of(&written, what)?).into_bytes());
        }
        self.call(&["update-index", "-z", "--index-info"], Input::Index(index, &lines), LOCAL, what).await?;
        let tree = self.call(&["write-tree"], Input::Index(index, &[]), LOCAL, what).await?;
        id_of(&tree, what)
    }

    /// The mode of a file at the tip; what is new is an ordinary file.
    async fn mode(&self, path: &str) -> Result<String, GitError> {
        let said = self
            .call(
                &["ls-tree", "-z", "--full-tree", &self.tip.id, "--", path],
                Input::None,
                LOCAL,
                "read a file's mode",
            )
            .await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        Ok(said.split(' ').next().filter(|mode| mode.starts_with("100")).unwrap_or("100644").to_owned())
    }

    /// Makes a commit of a tree on top of the tip, as the user's git would, and returns its id.
    pub async fn commit(&self, tree: &str, message: &str, author: &Author<'_>) -> Result<String, GitError> {
        let what = "make the commit";
        let mut variables = Vec::new();
        if self.setting("user.email").await.is_none() {
            let mail: String =
                author.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect();
            for role in ["AUTHOR", "COMMITTER"] {
                variables.push((format!("GIT_{role}_NAME"), author.name.to_owned()));
                variables.push((format!("GIT_{role}_EMAIL"), format!("{mail}@localhost")));
            }
        }
        for role in ["AUTHOR", "COMMITTER"] {
            variables.push((format!("GIT_{role}_DATE"), format!("@{} +0000", author.at.as_second())));
        }
        let signs = self.setting("commit.gpgSign").await.is_some_and(|said| said == "true");
        let index = self.path.join("opsdeck-no-index");
        let mut arguments = vec!["commit-tree", tree, "-p", &self.tip.id, "-m", message];
        if signs {
            arguments.push("-S");
        }
        let said = self.call(&arguments, Input::Environment(&index, &variables), REMOTE, what).await?;
        id_of(&said, what)
    }

    /// Puts what a commit changed on top of the tip, as a cherry-pick does, and returns the tree.
    pub async fn merged(&self, commit: &str) -> Result<String, GitError> {
        let what = "put it on top of the commit before";
        let arguments = ["merge-tree", "--write-tree", &self.tip.id, commit];
        let said = self.call(&arguments, Input::None, LOCAL, what).await?;
        let first = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
        id_of(first.as_bytes(), what)
    }

    /// Reads one value of the user's configuration.
    async fn setting(&self, key: &str) -> Option<String> {
        let said =
            self.call(&["config", "--get", key], Input::None, LOCAL, "read its configuration").await.ok()?;
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        (!said.is_empty()).then_some(said)
    }

    /// Pushes a commit to a branch, once and never by force. A push whose answer was lost is looked for.
    pub async fn push(&self, _permit: &Permit, commit: &str, branch: &str) -> Result<(), GitError> {
        let spec = format!("{commit}:refs/heads/{branch}");
        let pushed =
            self.call(&["push", "--porcelain", "--", &self.url, &spec], Input::None, REMOTE, "push").await;
        let (place, branch) = (self.url.clone(), branch.to_owned());
        let said = match pushed {
            Ok(_) => return Ok(()),
            Err(GitError::Failed { said, .. }) => said,
            Err(GitError::TimedOut { seconds, .. }) => format!("no answer within {seconds} s"),
            Err(error) => return Err(error),
        };
        // What the server refused is not there; everything else may be.
        if ["fetch first", "non-fast-forward", "cannot lock ref", "stale info"]
            .iter()
            .any(|word| said.contains(word))
        {
            return Err(GitError::Moved { place, branch });
        }
        if said.contains("[remote rejected]")
            || said.contains("hook declined")
            || said.contains("protected branch")
        {
            return Err(GitError::Refused { place, branch, said });
        }
        match self.git.tip(&self.url, &branch).await {
            Ok(tip) if tip.id == commit => Ok(()),
            Ok(_) | Err(GitError::NoBranch { .. }) => {
                Err(GitError::Failed { what: format!("push to {branch} of {place}"), said })
            }
            Err(_) => Err(GitError::Unsure { place, branch, said }),
        }
    }
}

/// Tells whether a text is the id of an object.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn id_of(said: &[u8], what: &str) -> Result<String, GitError> {
    let id = String::from_utf8_lossy(said).trim().to_owned();
    if is_id(&id) {
        return Ok(id);
    }
    Err(GitError::Failed { what: what.to_owned(), said: "it did not say the id of what it made".to_owned() })
}

fn unreachable(url: &str, error: GitError) -> GitError {
    match error {
        GitError::Failed { said, .. } => GitError::Unreachable { place: url.to_owned(), said },
        other => other,
    }
}

/// Names the clone of a URL: readable, and different for different URLs.
fn name_of(url: &str) -> String {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or("repository");
    let safe: String =
        last.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(40).collect();
    let digest = Sha256::digest(url.as_bytes());
    let short = digest.iter().take(6).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("{safe}-{short}.git")
}

/// What git complained about, on one line, cleaned, without credentials in a URL that it repeats.
fn sentence(err: &[u8], out: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // `push --porcelain` says on its output what became of the branch.
    let rejected =
        text(out).lines().filter(|line| line.starts_with('!')).map(str::to_owned).collect::<Vec<_>>();
    let said: Vec<String> = rejected
        .into_iter()
        .chain(text(err).lines().map(str::to_owned))
        .map(|line| line.trim_start_matches("fatal: ").trim_start_matches("error: ").trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with("hint:") && !line.starts_with("To "))
        .map(|line| line.split(' ').map(hidden).collect::<Vec<_>>().join(" "))
        .collect();
    let said = if said.is_empty() { "it gave no reason".to_owned() } else { said.join("; ") };
    let said = one_line(&said).into_owned();
    said.chars().take(400).collect()
}

/// Takes the credentials out of a word that holds a URL.
fn hidden(word: &str) -> String {
    match word.find("://") {
        Some(_) if word.contains('@') => {
            let (before, rest) = word.split_at(word.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0));
            format!("{before}{}", without_credentials(rest))
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests;
