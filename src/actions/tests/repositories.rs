//! A real repository for the verbs that push, and what is asked of the real program around them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// Tells whether the real program is there; where it is required and missing, that is a failure.
pub fn git_is_installed() -> bool {
    let there = Command::new("git").arg("--version").output().is_ok_and(|output| output.status.success());
    let required = std::env::var("OPSDECK_REQUIRE_PROGRAMS").unwrap_or_default();
    assert!(there || !required.split_whitespace().any(|name| name == "git"), "git is required here");
    there
}

/// The verbs that can be tried here: without git those that push are left out.
pub fn verbs() -> impl Iterator<Item = Verb> {
    let installed = git_is_installed();
    // A reveal writes nothing and asks in a way of its own: it has its own tests.
    Verb::ALL.into_iter().filter(move |verb| (installed || !pushes(*verb)) && *verb != Verb::Reveal)
}

pub fn pushes(verb: Verb) -> bool {
    matches!(verb, Verb::Revert | Verb::Promote)
}

/// Runs git on a repository and returns what it printed.
pub fn git(at: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("git")
        .arg("--git-dir")
        .arg(at)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Adds commits to `main`, each a message and files, and returns their ids.
pub fn commit(at: &Path, commits: &[(&str, &[(&str, &str)])]) -> Vec<String> {
    if !at.exists() {
        std::fs::create_dir_all(at).unwrap();
        git(at, &["init", "--quiet", "--bare", "--initial-branch=main"], "");
    }
    commits
        .iter()
        .map(|(message, files)| {
            let mut stream = format!(
                "commit refs/heads/main\ncommitter ci-bot <ci@example.com> 1767600000 +0000\ndata {}\n{message}\n",
                message.len()
            );
            let parent = Command::new("git")
                .arg("--git-dir")
                .arg(at)
                .args(["rev-parse", "--verify", "--quiet", "refs/heads/main"])
                .output()
                .unwrap();
            if parent.status.success() {
                stream += "from refs/heads/main^0\n";
            }
            for (path, text) in *files {
                stream.extend([format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len())]);
            }
            git(at, &["fast-import", "--quiet"], &stream);
            git(at, &["rev-parse", "refs/heads/main"], "")
        })
        .collect()
}

/// A repository with a folder for each environment, in which the newest commit brought a bad version to prod.
pub fn repository(at: &Path) -> Vec<String> {
    let version = |checkout: &str| {
        format!("apps:\n  cart:\n    version: \"2.0.0\"\n  checkout:\n    version: \"{checkout}\"\n")
    };
    let (old, new, staged) = (version("1.7.4"), version("1.8.0"), version("1.8.1"));
    commit(
        at,
        &[
            ("first", &[("envs/prod/version.yaml", &old), ("envs/staging/version.yaml", &staged)]),
            ("checkout 1.8.0", &[("envs/prod/version.yaml", &new), ("README.md", "more\n")]),
        ],
    )
}

/// Puts an Application into the cluster that is made from such a repository.
pub async fn application_from(cluster: &Cluster, at: &Path) -> Vec<String> {
    let ids = repository(at);
    let mut app = application();
    let source = json!({ "repoURL": at.display().to_string(), "path": "envs/prod", "targetRevision": "main",
        "helm": { "parameters": [{ "name": "app", "value": "checkout" }] } });
    app["spec"]["source"] = source.clone();
    app["status"]["sync"] = json!({ "status": "Synced", "revision": ids[1] });
    app["status"]["history"] = json!([
        { "id": 41, "revision": ids[0], "deployedAt": "2026-01-05T10:00:00Z", "source": source },
        { "id": 42, "revision": ids[1], "deployedAt": "2026-01-05T11:49:00Z", "source": source }]);
    tenant(cluster, app).await;
    // Another Application of the same folder: the file is divided between the two.
    let mut cart = application();
    cart["metadata"]["name"] = json!("cart");
    cart["spec"]["source"] = source;
    cart["spec"]["source"]["helm"]["parameters"][0]["value"] = json!("cart");
    cluster.put(&object("argoproj.io", "applications", "argocd", "cart"), cart).await;
    ids
}
