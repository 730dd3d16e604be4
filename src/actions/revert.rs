//! Put a version back in Git, or bring one to the next environment: one commit on the tracked branch or on a branch
//! for review, then Argo CD is asked to compare and followed to the same verdict as a rollback.
//!
//! The order is: the branch is where the plan saw it, the commit, the push (once, never by force, with the gate's
//! permit), the refresh, and what Argo CD makes of it. A push that is refused because the branch moved is said, and
//! nothing is tried again.

use serde_json::{Value, json};

use super::application::{App, short};
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, Part};
use super::refresh;
use super::rollback::{pods, users};
use super::work::Work;
use super::write::Trouble;
use super::{GitChange, Line, Mark, Outcome, Request, Verb, git_change, verdict, windows};
use crate::identity::ObjectRef;
use crate::sources::git::{Author, Clone, GitError};
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 9] = [
    "the branch is where the plan saw it",
    "make the commit",
    "push",
    "ask Argo CD to compare",
    "compared with the commit",
    "applied",
    "pods of the revision ready",
    "healthy",
    "error rate and alerts",
];

/// How long the plan waits for the repository: a first clone brings the whole history of the branch.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(4);

/// The trailer by which a commit of the console is found again.
pub(super) const TRAILER: &str = "Opsdeck-Action";

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let app = App(document);
    let options = &request.options;
    let promotes = request.verb == Verb::Promote;
    let review = git_change::for_review(desk, options);
    let mut parts: Vec<Part<'a>> = Vec::new();
    let pending = "reading the repository; the first time its history is fetched";
    parts.push(if promotes {
        let made = async move { git_change::promote(desk, options, object, app).await };
        Check::new(pending, made).patient(PATIENCE).into()
    } else {
        let made = async move { git_change::revert(desk, options, object, app).await };
        Check::new(pending, made).patient(PATIENCE).into()
    });
    if app.deleting().is_some() {
        parts.push(Line::new(Mark::Stop, "the Application is being deleted").into());
    }
    if !review {
        parts.push(git_change::deployed_by(app).into());
        if let Some(busy) = app.busy() {
            let text = format!("an operation is {}: what is pushed is deployed after it", busy.text);
            parts.push(Line::new(Mark::Note, text).into());
        }
        let closed = Check::new("is a sync window closed?", async move {
            match windows::closed(desk, object, document).await {
                Some(why) => vec![Line::new(Mark::Warn, format!("{why}: what is pushed waits for it"))],
                None => vec![Line::new(Mark::Ok, "no sync window is in the way")],
            }
        });
        parts.push(closed.into());
    }
    if !promotes && !app.history().is_empty() {
        let text = "the other way: roll back in Argo CD (rollback), which is quicker, leaves Git as it is and holds auto-sync until Git is right";
        parts.push(Line::new(Mark::Note, text).into());
    }
    let after = if review {
        "pushed; what happens to the branch then is up to whoever reviews it".to_owned()
    } else {
        let minutes = desk.pace.limit.as_secs() / 60;
        format!(
            "watched for {minutes} min: compared with the commit, applied, its pods ready, healthy, errors and alerts against now"
        )
    };
    parts.push(Line::new(Mark::After, after).into());
    let command = match (promotes, review) {
        (false, false) => "git revert COMMIT && git push".to_owned(),
        (false, true) => "git switch -c BRANCH && git revert COMMIT && git push origin BRANCH".to_owned(),
        (true, _) => "git commit && git push".to_owned(),
    };
    Draft { parts, facts: git_change::FACTS.to_vec(), command, hold: None }
}

/// Returns the change of an object that the plan has shown.
fn change<'a, R: Remote>(work: &Work<'a, R>) -> Result<&'a GitChange, Trouble> {
    let plan = work.plan;
    plan.git
        .iter()
        .find(|change| change.object == *work.object)
        .ok_or_else(|| Trouble::Refused("the plan does not say what is pushed".to_owned()))
}

fn refused(error: GitError) -> Trouble {
    match error {
        GitError::Unsure { .. } => Trouble::Failed(error.to_string()),
        other => Trouble::Refused(other.to_string()),
    }
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    let change = change(work)?;
    let git = work.desk.git.clone();
    work.running(0, "");
    let tip = git.tip(&change.repository, &change.branch).await.map_err(refused)?;
    let moved = tip.id != change.tip;
    let mut clone = git.open(&change.repository, tip).await.map_err(refused)?;
    // Of several Applications of one repository the next one comes on top of what this action pushed before it.
    if moved && !clone.all_say(&change.tip, &format!("{TRAILER}: {}", work.id())).await {
        let (place, branch) = (change.repository.clone(), change.branch.clone());
        return Err(refused(GitError::Moved { place, branch }));
    }
    work.done(0, format!("{} is at {}", change.branch, short(&clone.tip.id)));
    work.running(1, "");
    let name = work.who.local.split(" on ").next().unwrap_or_default().to_owned();
    let author = Author { name: &name, at: work.begun() };
    let message = message(change, &work.plan.request.reason, work.id());
    let commit = if moved {
        let top = std::mem::replace(&mut clone.tip.id, change.tip.clone());
        let shown = clone.commit(&change.tree, &message, &author).await.map_err(refused)?;
        clone.tip.id = top;
        let tree = clone.merged(&shown).await.map_err(refused)?;
        clone.commit(&tree, &message, &author).await.map_err(refused)?
    } else {
        clone.commit(&change.tree, &message, &author).await.map_err(refused)?
    };
    work.done(1, format!("{} on top of {}", short(&commit), short(&clone.tip.id)));
    work.running(2, "");
    let (permit, document) = work.permit().await?;
    clone.push(&permit, &commit, &change.push_to).await.map_err(refused)?;
    work.pushed(&commit);
    // So that the record knows the way back.
    let at = |id: &str| json!({ "git": { "commit": id } });
    work.changed(work.object, &at(&clone.tip.id), &at(&commit), &at(&commit));
    work.done(2, format!("{} is in {} of {}", short(&commit), change.push_to, change.repository));
    let written = Written { object: document, warnings: Vec::new() };
    if change.push_to != change.branch {
        return Ok(written);
    }
    match refresh::ask(work, 3).await {
        Ok(stored) => Ok(stored),
        Err(Trouble::Refused(why) | Trouble::Failed(why)) => {
            // Argo CD looks into the repository by itself within minutes.
            work.failed(3, why);
            Ok(written)
        }
    }
}

fn message(change: &GitChange, reason: &str, action: &str) -> String {
    let reason = match reason.trim() {
        "" => String::new(),
        reason => format!("\n\n{}", crate::text::one_line(reason)),
    };
    format!("{}\n\n{}{reason}\n\n{TRAILER}: {action}\n", change.subject, change.body)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    let change = match change(work) {
        Ok(change) => change,
        Err(Trouble::Refused(why) | Trouble::Failed(why)) => return Outcome::Failed(why),
    };
    let commit = work.commit().to_owned();
    let pushed = format!("{} is pushed to {}", short(&commit), change.push_to);
    if change.push_to != change.branch {
        return Outcome::Accepted(format!(
            "pushed for review: {} is in branch {} of {}; nothing changes before it is merged into {}",
            short(&commit),
            change.push_to,
            change.repository,
            change.branch
        ));
    }
    let before = match work.look().await {
        Ok(Some(document)) => verdict::look(work.desk, App(&document)).await,
        _ => verdict::Seen::default(),
    };
    let app = match compared(work, change, &commit).await {
        Ok(app) => app,
        Err(outcome) => return outcome,
    };
    let document = match applied(work, &commit, app, &pushed).await {
        Ok(document) => document,
        Err(outcome) => return outcome,
    };
    let next = "look at the pods' events and logs; the commit is in Git and stays";
    if let Err(outcome) = pods(work, App(&document), 6, next).await {
        return outcome;
    }
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let app = App(&document);
                if app.health() == "Healthy" {
                    work.done(7, "Healthy");
                    let users = users(work, app, &before, 8).await;
                    let held = match app.hold() {
                        Some(_) if !app.auto_sync() => "; auto-sync is still held, and can be given back now",
                        _ => "",
                    };
                    return Outcome::Verified(format!(
                        "{pushed}, synced with it, its pods are ready, healthy{users}, in {}{held}",
                        work.taken()
                    ));
                }
                work.running(7, refresh::word(app.health()));
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(7, error),
        }
        work.pause().await;
    }
}

/// Waits until Argo CD has compared with the commit or one that contains it.
async fn compared<R: Remote>(
    work: &mut Work<'_, R>,
    change: &GitChange,
    commit: &str,
) -> Result<Value, Outcome> {
    work.running(4, "");
    let mut seen = String::new();
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let revision = App(&document).revision();
                if revision.split(", ").any(|one| one == commit) {
                    work.done(4, short(&revision));
                    return Ok(document);
                }
                if revision != seen {
                    if contains(work, change, &revision, commit).await {
                        work.done(4, format!("{}, which contains it", short(&revision)));
                        return Ok(document);
                    }
                    work.running(4, format!("still at {}", short(&revision)));
                    seen = revision;
                }
            }
            Ok(None) => return Err(Outcome::Failed(format!("{} does not exist any more", work.object))),
            Err(error) => work.running(4, error),
        }
        work.pause().await;
    }
}

/// Tells whether a compared revision is newer than the commit and contains it: somebody pushed after us.
async fn contains<R: Remote>(work: &Work<'_, R>, change: &GitChange, revision: &str, commit: &str) -> bool {
    if revision.split(", ").any(|one| one == change.tip) || revision.is_empty() {
        return false;
    }
    let git = &work.desk.git;
    let opened = async {
        let tip = git.tip(&change.repository, &change.branch).await?;
        git.open(&change.repository, tip).await
    };
    let Ok::<Clone, GitError>(clone) = opened.await else { return false };
    for one in revision.split(", ") {
        if clone.contains(one, commit).await {
            return true;
        }
    }
    false
}

/// Waits until what runs is what the commit says: at once where it ran already, else by auto-sync.
async fn applied<R: Remote>(
    work: &mut Work<'_, R>,
    commit: &str,
    first: Value,
    pushed: &str,
) -> Result<Value, Outcome> {
    let mut document = first;
    loop {
        let app = App(&document);
        let result = document.pointer("/status/operationState/syncResult");
        let ours = result.is_some_and(|result| super::application::Entry(result).revision().contains(commit));
        match app.sync_status() {
            "Synced" if app.busy().is_none() => {
                let how = if ours { "deployed by auto-sync" } else { "what runs is what Git says" };
                work.done(5, how);
                return Ok(document);
            }
            _ if ours && matches!(app.phase(), "Failed" | "Error") => {
                return Err(Outcome::Failed(format!(
                    "{pushed}, and its sync failed: {}. Look at what it says; the commit is in Git and stays",
                    app.operation_message()
                )));
            }
            _ if app.busy().is_some() => {
                work.running(5, app.busy().map(|busy| busy.text).unwrap_or_default());
            }
            "OutOfSync" if !app.auto_sync() => {
                let why = match app.hold() {
                    Some(hold) => format!("auto-sync is held by {}: give it back (autosync on)", hold.by),
                    None => "auto-sync is off: sync it".to_owned(),
                };
                work.skipped(5, why.clone());
                return Err(Outcome::Accepted(format!("{pushed} and compared; {why}")));
            }
            "OutOfSync" => {
                if let Some(why) = windows::closed(work.desk, work.object, &document).await {
                    work.skipped(5, why.clone());
                    return Err(Outcome::Accepted(format!(
                        "{pushed} and compared; {why}: Argo CD deploys it then, or somebody syncs it by hand where the window lets that through"
                    )));
                }
                work.running(5, "out of sync, waiting for auto-sync");
            }
            other => work.running(5, refresh::word(other)),
        }
        work.pause().await;
        match work.look().await {
            Ok(Some(fresh)) => document = fresh,
            Ok(None) => return Err(Outcome::Failed(format!("{} does not exist any more", work.object))),
            Err(error) => work.running(5, error),
        }
    }
}
