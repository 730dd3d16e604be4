//! Refresh and hard refresh: the annotation that asks the controller to compare again.

use serde_json::{Value, json};

use super::application::App;
use super::desk::Remote;
use super::draft::{Draft, text};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, Verb};
use crate::sources::objects::Written;

const ANNOTATION: &str = "argocd.argoproj.io/refresh";
const SKIP: &str = "argocd.argoproj.io/skip-reconcile";

pub(super) const STEPS: [&str; 2] = ["ask for the comparison", "compared"];

pub(super) fn draft<'a>(request: &Request, document: &'a Value) -> Draft<'a> {
    let app = App(document);
    let hard = request.verb == Verb::HardRefresh;
    let mut parts = Vec::new();
    let change = if hard {
        "compared again with freshly rendered manifests: the manifest cache is dropped"
    } else {
        "compared again with Git; nothing on the cluster changes"
    };
    parts.push(Line::new(Mark::Change, change).into());
    if hard {
        let text = "rendering anew costs the repo server; refresh without it unless a cache is suspected";
        parts.push(Line::new(Mark::Note, text).into());
    }
    if app.auto_sync() {
        let text = "auto-sync is on: if the comparison finds a difference, a sync follows by itself";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    if app.annotation(SKIP) == Some("true") {
        let text = format!("{SKIP} is set: the controller ignores this Application, a refresh does nothing");
        parts.push(Line::new(Mark::Stop, text).into());
    }
    if let Some(pending) = app.annotation(ANNOTATION) {
        let text = format!("a refresh ({pending}) is asked for already and not yet done");
        parts.push(Line::new(Mark::Note, text).into());
    }
    if app.deleting().is_some() {
        parts.push(Line::new(Mark::Warn, "the Application is being deleted").into());
    }
    let compared = text(document, "/status/reconciledAt");
    if !compared.is_empty() {
        parts.push(Line::new(Mark::From, format!("last compared at {compared}")).into());
    }
    let after = "watched until the controller has taken the annotation away";
    parts.push(Line::new(Mark::After, after).into());
    let flag = if hard { "--hard-refresh" } else { "--refresh" };
    Draft {
        parts,
        facts: vec![("/metadata/annotations/argocd.argoproj.io~1skip-reconcile", "skip-reconcile")],
        command: format!("argocd app get {} {flag}", app.name()),
        hold: None,
    }
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>, how: &str) -> Result<Written, Trouble> {
    written(work, how, 0).await
}

/// Asks for a comparison for the sake of another verb.
pub(super) async fn ask<R: Remote>(work: &mut Work<'_, R>, step: usize) -> Result<Written, Trouble> {
    written(work, "normal", step).await
}

async fn written<R: Remote>(work: &mut Work<'_, R>, how: &str, step: usize) -> Result<Written, Trouble> {
    work.running(step, "");
    let stored = work
        .write(
            |object| Ok(patch(App(object).version(), how)),
            // The controller may have taken it away already; asking twice compares twice and harms nothing.
            |object| App(object).annotation(ANNOTATION) == Some(how),
        )
        .await?;
    work.done(step, "");
    Ok(stored)
}

/// Returns the merge patch that asks for a refresh: `normal` or `hard`.
fn patch(version: &str, how: &str) -> Value {
    json!({ "metadata": { "resourceVersion": version, "annotations": { ANNOTATION: how } } })
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, _stored: &Written) -> Outcome {
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let app = App(&document);
                if app.annotation(ANNOTATION).is_none() {
                    let said = format!(
                        "compared in {}: {}, {}",
                        work.taken(),
                        word(app.sync_status()),
                        word(app.health())
                    );
                    work.done(1, said.clone());
                    return Outcome::Verified(said);
                }
                work.running(1, "the controller has not taken it up yet");
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}

/// An unknown is shown as unknown.
pub(super) fn word(word: &str) -> &str {
    if word.is_empty() { "unknown" } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_is_the_annotation_on_the_version_that_was_read() {
        // contracts 1.4: merge patch annotation argocd.argoproj.io/refresh = normal or hard.
        assert_eq!(
            patch("812", "hard").to_string(),
            r#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"hard"},"resourceVersion":"812"}}"#
        );
    }
}
