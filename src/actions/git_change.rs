//! The smallest change in Git that puts a version back in one environment, or brings one there: which commits are
//! meant, which files, which part of a file that others share, and what stays as it is.
//!
//! It reads and writes the cache only. What it makes is a tree on top of the tip of the branch, so that the plan shows
//! what will be pushed and nothing else can be.

use std::collections::BTreeMap;

use super::application::{App, Entry, applications, short};
use super::autosync::listed;
use super::desk::{Desk, Remote};
use super::draft::{Found, text};
use super::reads::{Place, followed, names, places};
use super::{GitChange, Line, Mark, Options, git_difference};
use crate::human;
use crate::identity::ObjectRef;
use crate::model::yaml_parts;
use crate::sources::git::{Change, Clone, Commit, Push};

/// How many commits are named in a plan.
const NAMED: usize = 4;

/// Why there is nothing to push, as a sentence.
type Stop = String;

/// A file of the new tree.
struct File {
    path: String,
    /// What it will be; `None` where it goes away.
    to: Option<String>,
    /// The keys that change, where the file is understood.
    keys: Vec<String>,
    /// Keys that differ too and belong to others.
    left: Vec<String>,
    /// Other Applications that read the same lines.
    shared: Vec<String>,
}

/// Says whether a change goes to a branch for review: asked for once, or configured for all.
pub(super) fn for_review<R: Remote>(desk: &Desk<R>, options: &Options) -> bool {
    options.review || desk.git.settings.push == Push::Review
}

/// Says what a revert would push.
pub(super) async fn revert<R: Remote>(
    desk: &Desk<R>,
    options: &Options,
    object: &ObjectRef,
    app: App<'_>,
) -> Found {
    found(reverted(desk, options, object, app).await)
}

/// Says what a promotion would push.
pub(super) async fn promote<R: Remote>(
    desk: &Desk<R>,
    options: &Options,
    object: &ObjectRef,
    app: App<'_>,
) -> Found {
    found(promoted(desk, options, object, app).await)
}

fn found(made: Result<(Vec<Line>, GitChange), Stop>) -> Found {
    match made {
        Ok((lines, change)) => Found { lines, git: Some(change), ..Found::default() },
        Err(why) => vec![Line::new(Mark::Stop, why)].into(),
    }
}

/// Which revisions an Application goes back to, one for each source, and how to call that.
struct Aim {
    good: Vec<String>,
    said: String,
}

/// Decides what was good: what is asked for, else what runs where Git wants something else, else the deployment
/// before the present one.
fn aim(app: App<'_>, to: Option<&str>) -> Result<Aim, Stop> {
    let of = |entry: Entry<'_>| -> Vec<String> {
        entry.revision().split(", ").filter(|one| !one.is_empty()).map(ToOwned::to_owned).collect()
    };
    let named = |entry: Entry<'_>, why: &str| Aim {
        good: of(entry),
        said: format!("#{} {}, {why}", entry.id().unwrap_or_default(), short(&entry.revision())),
    };
    let history = app.history();
    if let Some(to) = to {
        let id = to.trim_start_matches('#').parse::<i64>().ok().filter(|_| to.len() < 7);
        if let Some(entry) = id.and_then(|id| app.entry(id)) {
            return Ok(named(entry, "as asked"));
        }
        return Ok(Aim { good: vec![to.to_owned()], said: format!("{}, as asked", short(to)) });
    }
    let newest = *history.last().ok_or("it was never deployed: name what to go back to (--to REVISION)")?;
    let wanted = app.revision();
    if !wanted.is_empty() && wanted != newest.revision() && app.sync_status() == "OutOfSync" {
        return Ok(named(newest, "which is what runs"));
    }
    history
        .iter()
        .rev()
        .find(|entry| entry.revision() != newest.revision())
        .map(|entry| named(*entry, "the deployment before"))
        .ok_or_else(|| {
            "its history has no other revision: name what to go back to (--to REVISION)".to_owned()
        })
}

async fn reverted<R: Remote>(
    desk: &Desk<R>,
    options: &Options,
    object: &ObjectRef,
    app: App<'_>,
) -> Result<(Vec<Line>, GitChange), Stop> {
    let aim = aim(app, options.to_revision.as_deref())?;
    let (others, unknown) = others(desk, object).await;
    let names = names(app);
    let mut same = Vec::new();
    for place in places(app)? {
        let clone = opened(desk, &place).await?;
        // One revision that was asked for is meant for whatever repository knows it.
        let good = aim.good.get(place.at).or(aim.good.first()).cloned().unwrap_or_default();
        let Some(good) = clone.resolve(&good).await else {
            return Err(format!(
                "{} is not in the history of branch {} of {}",
                short(&good),
                clone.tip.branch,
                place.url
            ));
        };
        if !clone.contains(&clone.tip.id, &good).await {
            return Err(format!(
                "{} is not in the history of branch {}: it was written anew since, revert by hand",
                short(&good),
                clone.tip.branch
            ));
        }
        let paths = followed(&clone, &clone.tip.id, &place.paths).await;
        let read = Place { paths: paths.clone(), ..place.clone() };
        let changes = clone.changes(&good, &clone.tip.id, &paths).await.map_err(said)?;
        let files: Vec<File> =
            changes.iter().filter_map(|change| back(change, &read, &names, &others)).collect();
        if files.is_empty() {
            same.push(format!("{} of {}", clone.tip.branch, place.url));
            continue;
        }
        let touched: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        let commits = clone.commits(&good, &clone.tip.id, &touched).await.map_err(said)?;
        let commits = concerning(&clone, commits, &files, &names).await;
        let (subject, body) = message(app, &commits, &files, &short(&good));
        let mut lines = vec![Line::new(
            Mark::To,
            format!("branch {} of {} as it was at {}", clone.tip.branch, place.url, aim.said),
        )];
        let now = desk.clock.now();
        for commit in commits.iter().take(NAMED) {
            let ago = human::age(now, commit.at);
            let text = format!("{}  {}  by {} {ago} ago", short(&commit.id), commit.subject, commit.author);
            lines.push(Line::new(Mark::From, text));
        }
        if commits.len() > NAMED {
            lines.push(Line::new(Mark::From, format!("and {} commits before it", commits.len() - NAMED)));
        }
        let stays = stays(&commits, &files);
        let mut change = made(desk, object, &place, &clone, &files, options, "revert", app).await?;
        (change.0.subject, change.0.body) = (subject, body);
        lines.extend(change.1);
        lines.extend(stays);
        lines.extend(unknown);
        return Ok((lines, change.0));
    }
    Err(format!(
        "Git says already what it said at {}: nothing of its files differs in branch {}",
        aim.said,
        listed(&same)
    ))
}

/// Returns the repository of a place at the tip of its branch.
async fn opened<R: Remote>(desk: &Desk<R>, place: &Place) -> Result<Clone, Stop> {
    let tip = desk.git.tip(&place.url, &place.tracked).await.map_err(said)?;
    desk.git.open(&place.url, tip).await.map_err(said)
}

fn said(error: crate::sources::git::GitError) -> Stop {
    error.to_string()
}

/// The other Applications of the cluster, and what each reads; where they cannot be listed, a line says what is not
/// known because of it.
async fn others<R: Remote>(desk: &Desk<R>, object: &ObjectRef) -> (Vec<(String, Vec<Place>)>, Option<Line>) {
    let (all, unknown) = match desk.remote.list(&applications(), None, "", "").await {
        Ok(all) => (all, None),
        Err(error) => {
            let text = format!("which other Applications read the same files is not known: {error}");
            (Vec::new(), Some(Line::new(Mark::Warn, text)))
        }
    };
    let others = all
        .iter()
        .filter(|other| {
            let same = text(other, "/metadata/name") == &*object.name
                && Some(text(other, "/metadata/namespace")) == object.namespace.as_deref();
            !same
        })
        .map(|other| (App(other).name().to_owned(), places(App(other)).unwrap_or_default()))
        .collect();
    (others, unknown)
}

/// Names the other Applications that read a file of a place.
fn readers(place: &Place, file: &str, others: &[(String, Vec<Place>)]) -> Vec<String> {
    let reads = |other: &Place| other.url == place.url && other.tracked == place.tracked && other.reads(file);
    others.iter().filter(|(_, places)| places.iter().any(reads)).map(|(name, _)| name.clone()).collect()
}

/// Says what a file must be again; `None` where what differs in it is not this Application's.
fn back(change: &Change, place: &Place, names: &[String], others: &[(String, Vec<Place>)]) -> Option<File> {
    let shared = readers(place, &change.path, others);
    let mut file = File {
        path: change.path.clone(),
        to: change.then.clone(),
        keys: Vec::new(),
        left: Vec::new(),
        shared,
    };
    let (Some(now), Some(then)) = (&change.now, &change.then) else { return Some(file) };
    // A key that is called like the Application divides a file only where others read the file, too.
    let divided = !file.shared.is_empty()
        && (yaml_parts::is_divided(now, names) || yaml_parts::is_divided(then, names));
    let asked: &[String] = if divided { names } else { &[] };
    if let Some(edited) = yaml_parts::put_back(now, then, asked) {
        if edited.changed.is_empty() && divided {
            return None;
        }
        (file.keys, file.left) = (edited.changed, edited.left);
        if divided {
            file.to = Some(edited.text);
            file.shared.clear();
        }
    }
    Some(file)
}

/// Keeps the commits that changed what goes back; of a file that others share, those that changed the own part.
async fn concerning(clone: &Clone, commits: Vec<Commit>, files: &[File], names: &[String]) -> Vec<Commit> {
    let mut kept = Vec::new();
    for commit in commits {
        let mut concerns = false;
        for file in files.iter().filter(|file| commit.files.contains(&file.path)) {
            let divided = file.shared.is_empty() && !file.keys.is_empty();
            let Some(parent) = commit.parent.as_deref().filter(|_| divided) else {
                concerns = true;
                break;
            };
            let (then, now) =
                (clone.file(parent, &file.path).await, clone.file(&commit.id, &file.path).await);
            let part = then.zip(now).and_then(|(then, now)| yaml_parts::differing(&now, &then, names));
            if part.is_none_or(|(changed, _)| !changed.is_empty()) {
                concerns = true;
                break;
            }
        }
        if concerns {
            kept.push(commit);
        }
    }
    kept
}

/// Says what the commits touched that stays as it is.
fn stays(commits: &[Commit], files: &[File]) -> Vec<Line> {
    let mut lines = Vec::new();
    let is_ours = |path: &String| files.iter().any(|file| file.path == *path);
    let mut touched: Vec<String> = commits
        .iter()
        .flat_map(|commit| commit.files.iter())
        .filter(|path| !is_ours(path))
        .cloned()
        .collect();
    touched.sort();
    touched.dedup();
    if !touched.is_empty() {
        let text = format!("what else came with it stays: {}", listed(&touched));
        lines.push(Line::new(Mark::Note, text));
    }
    for file in files.iter().filter(|file| !file.left.is_empty()) {
        let text = format!("of others in {}, and stays: {}", file.path, listed(&file.left));
        lines.push(Line::new(Mark::Note, text));
    }
    lines
}

/// Writes what the commit says: as `git revert` where one commit is meant.
fn message(app: App<'_>, commits: &[Commit], files: &[File], good: &str) -> (String, String) {
    match commits {
        [one] => {
            let whole = one.files.len() == files.len() && files.iter().all(|file| file.left.is_empty());
            let part = if whole { String::new() } else { format!(", as far as it concerns {}", app.name()) };
            (format!("Revert \"{}\"", one.subject), format!("This reverts commit {}{part}.", one.id))
        }
        several => {
            let each: Vec<String> =
                several.iter().map(|commit| format!("- {} {}", short(&commit.id), commit.subject)).collect();
            let body = format!("This reverts, as far as they concern it:\n{}", each.join("\n"));
            (format!("{}: back to {good}", app.name()), body)
        }
    }
}

/// Writes the new tree into the cache and says what differs in it.
#[expect(clippy::too_many_arguments, reason = "the parts of one commit")]
async fn made<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    place: &Place,
    clone: &Clone,
    files: &[File],
    options: &Options,
    word: &str,
    app: App<'_>,
) -> Result<(GitChange, Vec<Line>), Stop> {
    let contents: Vec<(String, Option<String>)> =
        files.iter().map(|file| (file.path.clone(), file.to.clone())).collect();
    let tree = clone.tree(&contents).await.map_err(said)?;
    let keys: BTreeMap<String, Vec<String>> =
        files.iter().map(|file| (file.path.clone(), file.keys.clone())).collect();
    let difference = clone.difference(&tree).await.map_err(said)?;
    let told = git_difference::said(&difference, &keys);
    let mut lines = told.changes;
    for file in files.iter().filter(|file| !file.shared.is_empty()) {
        let text = format!(
            "{} is shared: {} other Applications get it too ({})",
            file.path,
            file.shared.len(),
            listed(&file.shared)
        );
        lines.push(Line::new(Mark::Warn, text));
    }
    let review = for_review(desk, options);
    let push_to = if review {
        format!("opsdeck/{word}-{}-{}", app.name(), short(&tree))
    } else {
        clone.tip.branch.clone()
    };
    lines.push(if review {
        let text = format!(
            "pushed to the new branch {push_to} for review: nothing is deployed before it is merged into {}",
            clone.tip.branch
        );
        Line::new(Mark::Note, text)
    } else {
        let text =
            format!("pushed to {} on top of {}, never by force", clone.tip.branch, short(&clone.tip.id));
        Line::new(Mark::Note, text)
    });
    lines.extend(told.details);
    let change = GitChange {
        object: object.clone(),
        repository: place.url.clone(),
        branch: clone.tip.branch.clone(),
        tip: clone.tip.id.clone(),
        tree,
        push_to,
        subject: String::new(),
        body: String::new(),
        files: contents.into_iter().map(|(path, _)| path).collect(),
    };
    Ok((change, lines))
}

async fn promoted<R: Remote>(
    desk: &Desk<R>,
    options: &Options,
    object: &ObjectRef,
    app: App<'_>,
) -> Result<(Vec<Line>, GitChange), Stop> {
    let (others, unknown) = others(desk, object).await;
    let names = names(app);
    let mut missing = Vec::new();
    let mut ends = String::new();
    for place in places(app)? {
        let clone = opened(desk, &place).await?;
        let paths = followed(&clone, &clone.tip.id, &place.paths).await;
        let mut files = Vec::new();
        let mut pairs = Vec::new();
        let mut all = Vec::new();
        for path in &paths {
            all.extend(clone.files(&clone.tip.id, path).await.map_err(said)?);
        }
        let known = clone.files(&clone.tip.id, "").await.map_err(said)?;
        let (from, to) = environments(options, &all, &known)?;
        let (from, to) = (&from, &to);
        ends.clone_from(to);
        for path in all {
            let Some(source) = in_environment(&path, to, from) else { continue };
            let (Some(now), Some(then)) =
                (clone.file(&clone.tip.id, &path).await, clone.file(&clone.tip.id, &source).await)
            else {
                missing.push(source);
                continue;
            };
            let shared = readers(&place, &path, &others);
            let whole = is_version_file(&path);
            let divided = !shared.is_empty() && yaml_parts::is_divided(&now, &names);
            // Without a part of its own, what stands in a shared file is everybody's.
            let own: &[String] = if divided { &names } else { &[] };
            let Some(edited) = yaml_parts::copy_version(&now, &then, own, own, whole) else { continue };
            if edited.changed.is_empty() {
                pairs.push(path);
                continue;
            }
            files.push(File {
                path: path.clone(),
                to: Some(edited.text),
                keys: edited.changed,
                left: Vec::new(),
                shared: if divided { Vec::new() } else { shared },
            });
            pairs.push(path);
        }
        if pairs.is_empty() {
            continue;
        }
        if files.is_empty() {
            return Err(format!(
                "{to} has the version of {from} already: nothing differs in {}",
                listed(&pairs)
            ));
        }
        let mut lines = vec![Line::new(
            Mark::To,
            format!("{to} gets the version of {from}, in branch {} of {}", clone.tip.branch, place.url),
        )];
        let (mut change, more) = made(desk, object, &place, &clone, &files, options, "promote", app).await?;
        lines.extend(more);
        lines.extend(unknown);
        change.subject = format!("Promote {} from {from} to {to}", app.name());
        let each: Vec<String> = files.iter().map(|file| format!("- {}", file.path)).collect();
        change.body = format!("Copies the version in:\n{}", each.join("\n"));
        return Ok((lines, change));
    }
    let there = if missing.is_empty() {
        format!("none of its files names the environment {ends}")
    } else {
        format!("{} do not exist", listed(&missing))
    };
    let from = options.from_environment.as_deref().unwrap_or("another environment");
    Err(format!(
        "there is no folder of {from} beside one of {ends} that {} is made from: {there}",
        app.name()
    ))
}

/// Returns from where to where, as asked or as the folders say: to the environment of the files, from the nearest one
/// before it that has the same file.
fn environments(options: &Options, files: &[String], known: &[String]) -> Result<(String, String), Stop> {
    let named = || {
        let words = |path: &String| -> Vec<String> {
            path.split(['/', '-', '_', '.']).map(ToOwned::to_owned).collect()
        };
        let all: Vec<String> = files.iter().flat_map(words).collect();
        STAGES
            .iter()
            .flat_map(|stages| stages.iter())
            .find(|stage| all.iter().any(|word| word == **stage))
            .map(|stage| (*stage).to_owned())
    };
    let to = options.to_environment.clone().or_else(named).ok_or_else(|| {
        "which environment it is does not follow from the names of its files: name two (promote FROM TO)"
            .to_owned()
    })?;
    if let Some(from) = &options.from_environment {
        return Ok((from.clone(), to));
    }
    let at = STAGES.iter().position(|stage| stage.contains(&to.as_str())).unwrap_or(0);
    let before = STAGES.iter().skip(at + 1).flat_map(|stages| stages.iter()).find(|stage| {
        files.iter().any(|file| in_environment(file, &to, stage).is_some_and(|other| known.contains(&other)))
    });
    match before {
        Some(from) => Ok(((*from).to_owned(), to)),
        None => Err(format!("no environment before {to} has the same files: name two (promote FROM TO)")),
    }
}

/// The usual words of environments, the last one before the others.
const STAGES: [&[&str]; 5] = [
    &["prod", "production", "prd", "live"],
    &["preprod", "uat"],
    &["staging", "stage", "stg"],
    &["qa", "test"],
    &["dev", "development"],
];

/// Returns the path of the same file in another environment: the word in a folder's or a file's name is the other.
fn in_environment(path: &str, own: &str, other: &str) -> Option<String> {
    let mut found = false;
    let parts: Vec<String> = path
        .split('/')
        .map(|part| {
            let words: Vec<&str> = part.split_inclusive(['-', '_', '.']).collect();
            words
                .into_iter()
                .map(|word| {
                    let bare = word.trim_end_matches(['-', '_', '.']);
                    if bare == own {
                        found = true;
                        format!("{other}{}", &word[bare.len()..])
                    } else {
                        word.to_owned()
                    }
                })
                .collect()
        })
        .collect();
    found.then(|| parts.join("/"))
}

/// Tells whether a file holds versions and nothing else, by its name.
fn is_version_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    ["version", "versions", "release", "image", "images"]
        .iter()
        .any(|word| name.split(['.', '-', '_']).next().is_some_and(|stem| stem == *word))
}

/// Returns whether auto-sync brings what is pushed, as a line.
pub(super) fn deployed_by(app: App<'_>) -> Line {
    match (app.auto_sync(), app.hold()) {
        (true, _) => Line::new(Mark::Ok, "auto-sync is on: Argo CD deploys what is pushed"),
        (false, Some(hold)) => {
            let text = format!(
                "auto-sync is held by {}: what is pushed is compared now and deployed when auto-sync is given back",
                hold.by
            );
            Line::new(Mark::Note, text)
        }
        (false, None) => {
            let text = "auto-sync is off: what is pushed is compared, and waits for a sync";
            Line::new(Mark::Note, text)
        }
    }
}

/// Tells whether the value is what a source of the spec tracks, as the facts of the gate see it.
pub(super) const FACTS: [(&str, &str); 4] = [
    ("/spec/source", "its source"),
    ("/spec/sources", "its sources"),
    ("/status/history", "its history"),
    ("/metadata/deletionTimestamp", "its deletion"),
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn history(wanted: &str, sync: &str) -> Value {
        json!({ "status": { "sync": { "status": sync, "revision": wanted }, "history": [
            { "id": 40, "revision": "aaa" }, { "id": 41, "revision": "bbb" }, { "id": 42, "revision": "bbb" } ] } })
    }

    #[test]
    fn what_was_good_is_what_runs_or_what_was_deployed_before() {
        let deployed = history("bbb", "Synced");
        assert_eq!(aim(App(&deployed), None).unwrap().good, ["aaa"]);
        // After a rollback in Argo CD, or before a deployment, what runs is good and Git wants something else.
        let rolled_back = history("ccc", "OutOfSync");
        assert_eq!(aim(App(&rolled_back), None).unwrap().good, ["bbb"]);
        assert_eq!(aim(App(&deployed), Some("#40")).unwrap().good, ["aaa"]);
        assert_eq!(aim(App(&deployed), Some("0123456789")).unwrap().good, ["0123456789"]);
        assert!(aim(App(&json!({})), None).is_err());
    }

    #[test]
    fn the_same_file_of_another_environment_is_found_by_folder_and_by_name() {
        let of = |path| in_environment(path, "prod", "staging");
        assert_eq!(of("envs/prod/tenant-2/version.yaml").unwrap(), "envs/staging/tenant-2/version.yaml");
        assert_eq!(of("charts/web/values-prod.yaml").unwrap(), "charts/web/values-staging.yaml");
        assert_eq!(of("charts/products/values.yaml"), None);
        assert!(is_version_file("a/version.yaml") && !is_version_file("a/values.yaml"));
    }
}
