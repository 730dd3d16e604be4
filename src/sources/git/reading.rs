//! What is read from a clone: commits, files, and what differs between two commits.

use jiff::Timestamp;

use super::{Clone, GitError, Input, LOCAL, is_id};
use crate::text::one_line;

/// How many commits are read at most between two revisions.
const COMMITS: &str = "--max-count=200";

/// A commit, as `git log` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// Its first parent; `None` for the first commit.
    pub parent: Option<String>,
    /// Who wrote it, cleaned.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// The first line of its message, cleaned.
    pub subject: String,
    /// The files that it changed.
    pub files: Vec<String>,
}

/// A file that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub path: String,
    /// What it was; `None` where it was not there.
    pub then: Option<String>,
    /// What it is; `None` where it is not there any more.
    pub now: Option<String>,
}

impl Clone {
    /// Tells whether the cache holds a commit.
    pub async fn has(&self, id: &str) -> bool {
        if !is_id(id) && !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        let object = format!("{id}^{{commit}}");
        self.call(&["cat-file", "-e", &object], Input::None, LOCAL, "look for a commit").await.is_ok()
    }

    /// Finds the whole id of a commit from its beginning.
    pub async fn resolve(&self, revision: &str) -> Option<String> {
        if revision.starts_with('-') || revision.is_empty() {
            return None;
        }
        let object = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &object];
        let said = self.call(&arguments, Input::None, LOCAL, "find a commit").await.ok()?;
        let said = String::from_utf8_lossy(&said);
        said.lines().map(str::trim).find(|line| is_id(line)).map(str::to_owned)
    }

    /// Tells whether one commit is contained in another.
    pub async fn contains(&self, newer: &str, older: &str) -> bool {
        let arguments = ["merge-base", "--is-ancestor", older, newer];
        self.call(&arguments, Input::None, LOCAL, "compare two commits").await.is_ok()
    }

    /// Returns the commits of the branch between two commits that touched one of the paths, newest first.
    pub async fn commits(&self, from: &str, to: &str, paths: &[String]) -> Result<Vec<Commit>, GitError> {
        let range = format!("{from}..{to}");
        let mut arguments = vec!["rev-list", "--first-parent", COMMITS, &range, "--"];
        arguments.extend(paths.iter().map(String::as_str));
        let ids = self.call(&arguments, Input::None, LOCAL, "list the commits").await?;
        let mut commits = Vec::new();
        for id in String::from_utf8_lossy(&ids).lines().filter(|id| is_id(id)) {
            commits.push(self.show(id).await?);
        }
        Ok(commits)
    }

    /// Tells whether every commit of the branch after one of its commits has a text in its message.
    pub async fn all_say(&self, after: &str, text: &str) -> bool {
        let range = format!("{after}..{}", self.tip.id);
        let grep = format!("--grep={text}");
        let list = |more: &[&str]| {
            let mut arguments =
                vec!["rev-list".to_owned(), "--count".to_owned(), "--fixed-strings".to_owned()];
            arguments.extend(more.iter().map(|word| (*word).to_owned()));
            arguments.push(range.clone());
            arguments
        };
        let mut counts = Vec::new();
        for arguments in [list(&[]), list(&[&grep])] {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let said =
                self.call(&arguments, Input::None, LOCAL, "read the messages").await.unwrap_or_default();
            counts.push(String::from_utf8_lossy(&said).trim().to_owned());
        }
        counts[0] == counts[1] && !counts[0].is_empty()
    }

    /// Reads one commit with the names of all files that it changed.
    pub async fn show(&self, id: &str) -> Result<Commit, GitError> {
        let format = "--format=%H%x00%P%x00%an%x00%ct%x00%s%x00";
        let arguments =
            ["log", "-1", "--first-parent", "-m", "--name-only", "--no-renames", "-z", format, id];
        let said = self.call(&arguments, Input::None, LOCAL, "read a commit").await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        let mut fields = said.split('\0');
        let mut next = || fields.next().unwrap_or_default().trim_start_matches('\n').to_owned();
        let (id, parents, author, at, subject) = (next(), next(), next(), next(), next());
        let mut files: Vec<String> = fields
            .map(|file| file.trim_start_matches('\n').to_owned())
            .filter(|file| !file.is_empty())
            .collect();
        files.sort();
        files.dedup();
        Ok(Commit {
            id,
            parent: parents.split(' ').next().filter(|id| is_id(id)).map(str::to_owned),
            author: one_line(&author).into_owned(),
            at: at.parse().ok().and_then(|at| Timestamp::from_second(at).ok()).unwrap_or_default(),
            subject: one_line(&subject).into_owned(),
            files,
        })
    }

    /// Returns the files below the paths that differ between two commits, with both contents.
    pub async fn changes(&self, then: &str, now: &str, paths: &[String]) -> Result<Vec<Change>, GitError> {
        let mut arguments = vec!["diff", "--name-only", "--no-renames", "-z", then, now, "--"];
        arguments.extend(paths.iter().map(String::as_str));
        let said = self.call(&arguments, Input::None, LOCAL, "compare two commits").await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        let mut changes = Vec::new();
        for path in said.split('\0').filter(|path| !path.is_empty()) {
            let (was, is) = (self.file(then, path).await, self.file(now, path).await);
            changes.push(Change { path: path.to_owned(), then: was, now: is });
        }
        Ok(changes)
    }

    /// Returns the text of a file at a commit; `None` where it is not there.
    pub async fn file(&self, commit: &str, path: &str) -> Option<String> {
        let object = format!("{commit}:{path}");
        let said = self.call(&["cat-file", "blob", &object], Input::None, LOCAL, "read a file").await.ok()?;
        String::from_utf8(said).ok()
    }

    /// Finds the newest commit of the branch whose message has a text, such as the id of an action.
    pub async fn find(&self, text: &str) -> Option<String> {
        let grep = format!("--grep={text}");
        let arguments = ["rev-list", "-1", "--fixed-strings", &grep, &self.tip.id];
        let said = self.call(&arguments, Input::None, LOCAL, "search the messages").await.ok()?;
        let said = String::from_utf8_lossy(&said);
        said.lines().find(|line| is_id(line)).map(str::to_owned)
    }

    /// Returns the difference from the tip to a tree, as `git diff` writes it.
    pub async fn difference(&self, tree: &str) -> Result<String, GitError> {
        let arguments = [
            "diff",
            "--no-color",
            "--no-ext-diff",
            "--no-renames",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "--unified=2",
            &self.tip.id,
            tree,
        ];
        let said = self.call(&arguments, Input::None, LOCAL, "show the difference").await?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Returns the files at a path of a commit: the file itself, or every file below the folder.
    pub async fn files(&self, commit: &str, path: &str) -> Result<Vec<String>, GitError> {
        let mut arguments = vec!["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit];
        if !path.is_empty() {
            arguments.extend(["--", path]);
        }
        let said = self.call(&arguments, Input::None, LOCAL, "list the files").await?;
        let said = String::from_utf8_lossy(&said).into_owned();
        Ok(said.split('\0').filter(|file| !file.is_empty()).map(ToOwned::to_owned).collect())
    }
}
