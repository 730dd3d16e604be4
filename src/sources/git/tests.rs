use std::process::Command as Blocking;

use super::*;

fn git(directory: PathBuf) -> Git {
    Git::new(directory, GitSettings::default())
}

/// Tells whether the real program is there; a test that needs it says so where it skips.
fn is_installed() -> bool {
    let there = Blocking::new("git").arg("--version").output().is_ok_and(|output| output.status.success());
    let required = std::env::var("OPSDECK_REQUIRE_PROGRAMS").unwrap_or_default();
    assert!(there || !required.split_whitespace().any(|name| name == "git"), "git is required here");
    there
}

#[test]
fn credentials_of_a_url_are_neither_used_nor_said() {
    let mut git = git(PathBuf::new());
    let url = "https://user:canary@git.example.com/deploy.git";
    assert_eq!(git.url(url).unwrap(), "https://git.example.com/deploy.git");
    let here = "file:///srv/deploy.git".to_owned();
    git.settings.repositories.insert("https://git.example.com/deploy.git".to_owned(), here.clone());
    assert_eq!(git.url(url).unwrap(), here);
    let said = sentence(b"fatal: unable to access 'https://u:canary@h.example.com/x.git/': no\n", b"");
    assert_eq!(said, "unable to access 'https://h.example.com/x.git/': no");
}

#[test]
fn what_git_would_take_for_an_option_or_a_command_is_no_url() {
    let git = git(PathBuf::new());
    for url in ["--upload-pack=touch /tmp/x", "ext::sh -c id", "", "https://a/\u{1b}[2J"] {
        assert!(matches!(git.url(url), Err(GitError::Url(_))), "{url:?}");
    }
    let off = Git { settings: GitSettings { off: true, ..GitSettings::default() }, ..git };
    assert_eq!(off.url("https://a/b"), Err(GitError::Off));
}

#[test]
fn clones_of_different_urls_have_different_names() {
    let (a, b) =
        (name_of("https://a.example.com/shop/deploy.git"), name_of("https://b.example.com/shop/deploy.git"));
    assert_ne!(a, b);
    assert!(a.starts_with("deploygit-") && !a.contains('/'));
}

/// A bare repository with a file in two commits; its path and the ids.
fn repository(at: &Path) -> (String, Vec<String>) {
    let run = |arguments: &[&str], input: &str| {
        use std::io::Write as _;
        let mut child = Blocking::new("git")
            .arg("--git-dir")
            .arg(at)
            .args(arguments)
            .envs([("GIT_AUTHOR_NAME", "ci"), ("GIT_AUTHOR_EMAIL", "ci@example.com")])
            .envs([("GIT_COMMITTER_NAME", "ci"), ("GIT_COMMITTER_EMAIL", "ci@example.com")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    run(&["init", "--quiet", "--bare", "--initial-branch=main", at.to_str().unwrap()], "");
    let mut ids = Vec::new();
    for version in ["1", "2"] {
        let blob = run(&["hash-object", "-w", "--stdin"], &format!("version: {version}\n"));
        let tree = run(&["mktree"], &format!("100644 blob {blob}\tversion.yaml\n"));
        let mut arguments =
            vec!["commit-tree".to_owned(), tree, "-m".to_owned(), format!("version {version}")];
        if let Some(parent) = ids.last() {
            arguments.extend(["-p".to_owned(), String::clone(parent)]);
        }
        ids.push(run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), ""));
    }
    run(&["update-ref", "refs/heads/main", &ids[1]], "");
    (at.display().to_string(), ids)
}

#[tokio::test]
async fn a_clone_reads_the_branch_and_makes_a_commit_that_changes_one_file() {
    if !is_installed() {
        tracing::warn!("git is not installed: not tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (url, ids) = repository(&dir.path().join("origin.git"));
    let git = git(dir.path().join("cache"));
    for revision in ["main", "HEAD", "", "refs/heads/main"] {
        let tip = git.tip(&url, revision).await.unwrap();
        assert_eq!((tip.branch.as_str(), &tip.id), ("main", &ids[1]), "{revision:?}");
    }
    assert!(matches!(git.tip(&url, "v1").await, Err(GitError::NoBranch { .. })));
    let nowhere = dir.path().join("nowhere.git").display().to_string();
    assert!(matches!(git.tip(&nowhere, "main").await, Err(GitError::Unreachable { .. })));

    let clone = git.open(&url, git.tip(&url, "main").await.unwrap()).await.unwrap();
    assert_eq!(clone.resolve(&ids[0][..8]).await.as_deref(), Some(ids[0].as_str()));
    assert_eq!(clone.resolve("--all").await, None);
    assert!(clone.contains(&ids[1], &ids[0]).await && !clone.contains(&ids[0], &ids[1]).await);
    let commits = clone.commits(&ids[0], &ids[1], &["version.yaml".to_owned()]).await.unwrap();
    assert_eq!(commits.len(), 1);
    assert_eq!((commits[0].subject.as_str(), commits[0].author.as_str()), ("version 2", "ci"));
    assert_eq!(commits[0].files, ["version.yaml"]);
    assert_eq!(commits[0].parent.as_ref(), Some(&ids[0]));
    let changes = clone.changes(&ids[0], &ids[1], &[String::from("version.yaml")]).await.unwrap();
    assert_eq!(changes[0].then.as_deref(), Some("version: 1\n"));

    let files = [("version.yaml".to_owned(), Some("version: 1\n".to_owned()))];
    let tree = clone.tree(&files).await.unwrap();
    let difference = clone.difference(&tree).await.unwrap();
    assert!(difference.contains("-version: 2") && difference.contains("+version: 1"), "{difference}");
    let author = Author { name: "alice", at: "2026-01-01T00:00:00Z".parse().unwrap() };
    let made = clone.commit(&tree, "Revert \"version 2\"\n\nOpsdeck-Action: a-1\n", &author).await.unwrap();
    let commit = clone.show(&made).await.unwrap();
    assert_eq!((commit.parent.as_ref(), commit.subject.as_str()), (Some(&ids[1]), "Revert \"version 2\""));
    // Nothing of it is at the origin before it is pushed.
    assert_eq!(git.tip(&url, "main").await.unwrap().id, ids[1]);
}

#[tokio::test]
async fn a_program_that_is_not_there_and_one_that_hangs_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let none = Git { program: dir.path().join("no-git"), ..git(dir.path().to_owned()) };
    assert!(matches!(none.tip("/srv/x.git", "main").await, Err(GitError::NoProgram(_))));
    #[cfg(unix)]
    {
        let slow = Git { program: PathBuf::from("sleep"), ..git(dir.path().to_owned()) };
        let asked = slow.call(None, &["60"], Input::None, Duration::from_millis(20), "wait").await;
        // The options of git in front of it make `sleep` fail at once on some systems; both are an end.
        assert!(matches!(asked, Err(GitError::TimedOut { .. } | GitError::Failed { .. })), "{asked:?}");
    }
}
