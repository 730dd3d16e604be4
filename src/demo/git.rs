//! Real git repositories for the embedded platform: any git client can read their history.
//!
//! It knows files, commits and dates. It does not know what the files mean, and it never talks to a network.

use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{Buf, ErrorCode, FileMode, ObjectType, Oid, Repository, RepositoryInitOptions, Signature, Time};
use jiff::Timestamp;

/// The branch that every repository has and every Application tracks.
pub const BRANCH: &str = "main";

/// What goes wrong with a repository.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The repository cannot be made or written.
    #[error("the git repository {path} cannot be used: {source}; check that the directory is writable")]
    Repository {
        /// Where it lies.
        path: PathBuf,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// No commit, branch or tag has that name.
    #[error("unable to resolve '{revision}' to a commit SHA")]
    Unresolved {
        /// What was asked for.
        revision: String,
    },
    /// The commit does not hold that file.
    #[error("{path}: no such file or directory at revision {revision}")]
    NoFile {
        /// The path inside the repository.
        path: String,
        /// The commit.
        revision: String,
    },
}

/// One change of the files, by somebody, at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Who wrote it, such as `ci-bot`; the mail address follows from it.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// The message: a subject line and, after an empty line, a body.
    pub message: String,
    /// Paths and their new contents; `None` deletes.
    pub files: Vec<(String, Option<String>)>,
}

/// What `git show` says of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The full SHA.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// The message.
    pub message: String,
}

/// A bare repository with one branch.
pub struct Repo {
    path: PathBuf,
    git: Repository,
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repo").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Repo {
    /// Makes an empty bare repository in a directory that does not exist yet or is empty.
    pub fn create(path: &Path) -> Result<Self, GitError> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).no_reinit(true).mkpath(true).initial_head(BRANCH).external_template(false);
        let git = Repository::init_opts(path, &options)
            .map_err(|source| GitError::Repository { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), git })
    }

    /// Opens a repository that is there.
    pub fn open(path: &Path) -> Result<Self, GitError> {
        let git = Repository::open_bare(path)
            .map_err(|source| GitError::Repository { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), git })
    }

    /// Returns where the repository lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds commits on top of the branch, written as one pack: hundreds of commits make one file instead of
    /// thousands. Returns their ids in order.
    pub fn add_history(&mut self, commits: &[Commit]) -> Result<Vec<String>, GitError> {
        self.packed(commits).map_err(|source| self.broken(source))
    }

    /// Adds one commit on top of the branch and returns its id.
    pub fn commit(&mut self, commit: &Commit) -> Result<String, GitError> {
        let write = || {
            let id = write_commit(&self.git, self.tip()?, commit)?;
            self.point(id, &commit.message)?;
            Ok(id.to_string())
        };
        write().map_err(|source| self.broken(source))
    }

    /// Returns the id of the newest commit.
    pub fn head(&self) -> Result<String, GitError> {
        match self.tip() {
            Ok(Some(id)) => Ok(id.to_string()),
            Ok(None) => Err(GitError::Unresolved { revision: BRANCH.to_owned() }),
            Err(source) => Err(self.broken(source)),
        }
    }

    /// Finds the commit that a branch, a tag, `HEAD` or a SHA of at least seven digits names.
    pub fn resolve(&self, revision: &str) -> Result<String, GitError> {
        let revision = if revision.is_empty() { "HEAD" } else { revision };
        self.git
            .revparse_single(revision)
            .and_then(|object| object.peel(ObjectType::Commit))
            .map(|object| object.id().to_string())
            .map_err(|_| GitError::Unresolved { revision: revision.to_owned() })
    }

    /// Returns author, date and message of a commit.
    pub fn revision(&self, revision: &str) -> Result<Revision, GitError> {
        let id = self.resolve(revision)?;
        let commit = Oid::from_str(&id)
            .and_then(|id| self.git.find_commit(id))
            .map_err(|source| self.broken(source))?;
        let author = commit.author();
        Ok(Revision {
            id,
            author: String::from_utf8_lossy(author.name_bytes()).into_owned(),
            at: Timestamp::from_second(author.when().seconds()).unwrap_or_default(),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        })
    }

    /// Returns the id of a file's or a directory's contents at a commit: equal ids mean equal contents.
    pub fn content_id(&self, revision: &str, path: &str) -> Result<String, GitError> {
        self.entry(revision, path).map(|id| id.to_string())
    }

    /// Returns the text of a file at a commit.
    pub fn read(&self, revision: &str, path: &str) -> Result<String, GitError> {
        let id = self.entry(revision, path)?;
        let blob = self
            .git
            .find_blob(id)
            .map_err(|_| GitError::NoFile { path: path.to_owned(), revision: revision.to_owned() })?;
        Ok(String::from_utf8_lossy(blob.content()).into_owned())
    }

    /// Returns the names in a directory at a commit, sorted.
    pub fn names(&self, revision: &str, path: &str) -> Result<Vec<String>, GitError> {
        let id = self.entry(revision, path)?;
        let tree = self
            .git
            .find_tree(id)
            .map_err(|_| GitError::NoFile { path: path.to_owned(), revision: revision.to_owned() })?;
        Ok(tree.iter().map(|entry| String::from_utf8_lossy(entry.name_bytes()).into_owned()).collect())
    }

    /// Returns the files that differ between two commits.
    pub fn changed(&self, was: &str, is: &str) -> Result<Vec<String>, GitError> {
        let tree = |id: &str| {
            Oid::from_str(id).and_then(|id| self.git.find_commit(id)).and_then(|commit| commit.tree())
        };
        let read = || {
            let difference = self.git.diff_tree_to_tree(Some(&tree(was)?), Some(&tree(is)?), None)?;
            let paths =
                difference.deltas().flat_map(|delta| [delta.old_file().path(), delta.new_file().path()]);
            let mut paths: Vec<String> = paths.flatten().map(|path| path.display().to_string()).collect();
            paths.sort();
            paths.dedup();
            Ok(paths)
        };
        read().map_err(|source| self.broken(source))
    }

    fn entry(&self, revision: &str, path: &str) -> Result<Oid, GitError> {
        let commit = self.resolve(revision)?;
        let missing = || GitError::NoFile { path: path.to_owned(), revision: revision.to_owned() };
        let tree = Oid::from_str(&commit)
            .and_then(|id| self.git.find_commit(id))
            .and_then(|commit| commit.tree())
            .map_err(|source| self.broken(source))?;
        tree.get_path(Path::new(path)).map(|entry| entry.id()).map_err(|_| missing())
    }

    fn tip(&self) -> Result<Option<Oid>, git2::Error> {
        match self.git.refname_to_id(&format!("refs/heads/{BRANCH}")) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn point(&self, id: Oid, message: &str) -> Result<(), git2::Error> {
        let subject = message.lines().next().unwrap_or_default();
        self.git.reference(&format!("refs/heads/{BRANCH}"), id, true, subject).map(drop)
    }

    fn packed(&self, commits: &[Commit]) -> Result<Vec<String>, git2::Error> {
        // The in-memory store takes every write of this handle, so it lives on a second handle only.
        let staging = Repository::open_bare(&self.path)?;
        let odb = staging.odb()?;
        let memory = odb.add_new_mempack_backend(1000)?;
        let mut tip = self.tip()?;
        let mut ids = Vec::with_capacity(commits.len());
        for commit in commits {
            let id = write_commit(&staging, tip, commit)?;
            tip = Some(id);
            ids.push(id.to_string());
        }
        let mut pack = Buf::new();
        memory.dump(&staging, &mut pack)?;
        let database = self.git.odb()?;
        let mut writer = database.packwriter()?;
        std::io::Write::write_all(&mut writer, &pack)
            .map_err(|error| git2::Error::from_str(&error.to_string()))?;
        writer.commit()?;
        database.refresh()?;
        if let (Some(id), Some(last)) = (tip, commits.last()) {
            self.point(id, &last.message)?;
        }
        Ok(ids)
    }

    fn broken(&self, source: git2::Error) -> GitError {
        GitError::Repository { path: self.path.clone(), source }
    }
}

fn write_commit(git: &Repository, tip: Option<Oid>, commit: &Commit) -> Result<Oid, git2::Error> {
    let parent = tip.map(|id| git.find_commit(id)).transpose()?;
    let mut update = TreeUpdateBuilder::new();
    for (path, text) in &commit.files {
        match text {
            Some(text) => update.upsert(path.as_str(), git.blob(text.as_bytes())?, FileMode::Blob),
            None => update.remove(path.as_str()),
        };
    }
    let base = match &parent {
        Some(parent) => parent.tree()?,
        None => git.find_tree(git.treebuilder(None)?.write()?)?,
    };
    let tree = git.find_tree(update.create_updated(git, &base)?)?;
    let mail = format!("{}@example.com", commit.author);
    let who = Signature::new(&commit.author, &mail, &Time::new(commit.at.as_second(), 0))?;
    let mut message = commit.message.clone();
    if !message.ends_with('\n') {
        message.push('\n');
    }
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    git.commit(None, &who, &who, &message, &tree, &parents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(at: &str, message: &str, files: &[(&str, Option<&str>)]) -> Commit {
        Commit {
            author: "ci-bot".to_owned(),
            at: at.parse().unwrap(),
            message: message.to_owned(),
            files: files.iter().map(|(path, text)| ((*path).to_owned(), text.map(str::to_owned))).collect(),
        }
    }

    fn history() -> Vec<Commit> {
        vec![
            commit(
                "2026-01-01T10:00:00Z",
                "first",
                &[("base/a.yaml", Some("a: 1\n")), ("envs/x/v", Some("1"))],
            ),
            commit("2026-01-02T10:00:00Z", "second", &[("envs/x/v", Some("2"))]),
            commit("2026-01-03T10:00:00Z", "third", &[("envs/x/v", None), ("envs/y/v", Some("3"))]),
        ]
    }

    #[test]
    fn every_commit_keeps_its_own_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut repo = Repo::create(&dir.path().join("deploy.git")).unwrap();
        let ids = repo.add_history(&history()).unwrap();
        assert_eq!(repo.head().unwrap(), ids[2]);
        assert_eq!(repo.read(&ids[0], "envs/x/v").unwrap(), "1");
        assert_eq!(repo.read(&ids[1], "envs/x/v").unwrap(), "2");
        assert!(matches!(repo.read(&ids[2], "envs/x/v"), Err(GitError::NoFile { .. })));
        assert_eq!(repo.content_id(&ids[0], "base").unwrap(), repo.content_id(&ids[2], "base").unwrap());
        assert_eq!(repo.resolve("HEAD").unwrap(), repo.resolve(&ids[2][..7]).unwrap());
        assert_eq!(repo.names(BRANCH, "envs").unwrap(), ["y"]);
        let newest = repo.commit(&commit("2026-01-04T10:00:00Z", "fourth", &[("z", Some("4"))])).unwrap();
        assert_eq!(repo.head().unwrap(), newest);
        assert_eq!(repo.revision(BRANCH).unwrap().message, "fourth\n");
        assert_eq!(
            repo.resolve("no-such-branch").unwrap_err().to_string(),
            "unable to resolve 'no-such-branch' to a commit SHA"
        );
    }

    #[test]
    fn the_same_commits_have_the_same_ids() {
        let dir = tempfile::tempdir().unwrap();
        let make =
            |name: &str| Repo::create(&dir.path().join(name)).unwrap().add_history(&history()).unwrap();
        assert_eq!(make("one"), make("two"));
    }
}
