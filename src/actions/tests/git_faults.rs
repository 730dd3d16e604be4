//! Reverts and promotions with faults at random moments, against a real repository: what is pushed is pushed once, and
//! reported and found as it is.
//!
//! Fewer than the runs of [`super::faults`], because each starts the git program dozens of times. A failure prints its
//! seed; `OPSDECK_TEST_SEED` runs that one alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fastrand::Rng;
use futures::stream::StreamExt as _;

use super::faults::{Console, act, desk};
use super::repositories::{application_from, git, git_is_installed};
use super::*;
use crate::audit::Ending;

/// How many runs there are.
const RUNS: u64 = 40;

/// A git program whose pushes fail: before they are sent, or with the answer lost.
const PROGRAM: &str = r#"#!/bin/sh
push=
for word; do [ "$word" = push ] && push=yes; done
case "$push$OPSDECK_TEST_PUSH" in
yesbefore) echo 'fatal: unable to access the repository: Connection reset by peer' >&2; exit 128 ;;
yesafter) git "$@" >/dev/null 2>&1; echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128 ;;
*) exec git "$@" ;;
esac
"#;

#[cfg(unix)]
fn program(at: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = at.join("git-with-faults");
    std::fs::write(&path, PROGRAM).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Carries out one run and returns what became of it, or what was wrong.
#[cfg(unix)]
async fn run(seed: u64, program: &Path) -> Result<String, String> {
    let mut rng = Rng::with_seed(seed);
    let cluster = Cluster::default();
    let home = TempDir::new().unwrap();
    let origin = home.path().join("origin.git");
    application_from(&cluster, &origin).await;
    let verb = if rng.bool() { Verb::Revert } else { Verb::Promote };
    let console = Console::new(&cluster, rng.u64(..), &Arc::new(AtomicBool::new(false)));
    let path = home.path().join("audit.jsonl");
    let mut shaky = desk(&console, &path, 1 << 20);
    shaky.git.program = program.to_owned();
    let push = ["", "", "", "before", "after"][rng.usize(..5)];
    shaky.git.environment.push(("OPSDECK_TEST_PUSH".to_owned(), push.to_owned()));
    let request = Request {
        verb,
        targets: vec![resolve(&shaky, &checkout()).await?],
        options: Options { review: rng.bool(), ..Options::default() },
        reason: "INC-7".to_owned(),
        tenant: None,
    };
    let Some((id, outcome)) = act(&shaky, request, true).await? else {
        return Err("the plan cannot be run".to_owned());
    };

    // The next start, with a network that works.
    let calm = Console::new(&cluster, seed, &Arc::new(AtomicBool::new(false)));
    let next = desk(&calm, &path, 1 << 20);
    next.audit.writable().await.map_err(|error| error.to_string())?;
    close(&next).await.map_err(|error| error.to_string())?;
    let last = next.audit.begin("last", super::faults::intent_of_nothing(), noon()).await;
    drop(last.map_err(|error| error.to_string())?);
    if let Err(broken) = next.audit.verify().map_err(|error| error.to_string())? {
        return Err(format!("the chain is broken: {broken}"));
    }
    let messages = git(&origin, &["log", "--all", "--format=%B"], "");
    let pushed = messages.matches(&format!("Opsdeck-Action: {id}")).count();
    let records = next.audit.read(None).map_err(|error| error.to_string())?.records;
    let own = || records.iter().filter(|one| one.id == id);
    let begun = own().filter(|one| matches!(one.event, Event::Before(_))).count();
    let endings: Vec<&Ending> = own()
        .filter_map(|one| match &one.event {
            Event::After(ending) => Some(ending),
            Event::Before(_) => None,
        })
        .collect();
    let wrong =
        |what: &str| Err(format!("{what}\n  push {push:?}, {pushed} commits\n  {outcome:?}\n  {endings:?}"));
    if pushed > 1 || begun > 1 || endings.len() > 1 {
        return wrong("it happened twice");
    }
    if begun == 0 && pushed > 0 {
        return wrong("it was pushed without a record");
    }
    match &outcome {
        Some(Outcome::Refused(_)) if pushed > 0 => return wrong("refused, and pushed"),
        Some(Outcome::Verified(_) | Outcome::Accepted(_) | Outcome::NotVerified(_)) if pushed == 0 => {
            return wrong("reported as pushed, and it is not");
        }
        // What went wrong after the push says that it is there.
        Some(Outcome::Failed(why)) if pushed > 0 && !why.contains("push") => {
            return wrong("reported as failed, and pushed");
        }
        _ => {}
    }
    let found = endings.first().map_or("open", |ending| ending.outcome.as_str());
    match found {
        "done" if pushed == 0 => return wrong("found done, and never pushed"),
        "not-done" if pushed > 0 => return wrong("found not done, and pushed"),
        "open" if begun > 0 => return wrong("its record has no end"),
        _ => {}
    }
    Ok(format!("{}, {found}", outcome.as_ref().map_or("died", Outcome::word)))
}

#[cfg(unix)]
#[test]
fn what_is_pushed_is_pushed_once_and_reported_as_it_is_whatever_fails() {
    if !git_is_installed() {
        return;
    }
    let seeds: Vec<u64> = match std::env::var("OPSDECK_TEST_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..RUNS).collect(),
    };
    let folder = TempDir::new().unwrap();
    let program = program(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let results: Vec<(u64, Result<String, String>)> = runtime.block_on(
        futures::stream::iter(seeds.clone())
            .map(|seed| {
                let program = &program;
                async move { (seed, run(seed, program).await) }
            })
            .buffer_unordered(4)
            .collect(),
    );
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for (seed, result) in results {
        match result {
            Ok(became) => *counts.entry(became).or_default() += 1,
            Err(what) => failures.push(format!("seed {seed}: {what}")),
        }
    }
    assert!(failures.is_empty(), "{} went wrong:\n{}\n{counts:#?}", failures.len(), failures.join("\n"));
    if seeds.len() > 1 {
        let died: usize =
            counts.iter().filter(|(one, _)| one.starts_with("died")).map(|(_, count)| count).sum();
        assert!(died > 5 && counts.len() > 3, "{counts:#?}");
    }
}
