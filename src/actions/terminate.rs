//! Terminate: stop the running operation of an Application.

use serde_json::Value;

use super::application::App;
use super::desk::Remote;
use super::draft::Draft;
use super::operation::{terminate_patch, withdraw_patch};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome};
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["ask for the end", "ended"];

/// How an operation can be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It runs: its phase becomes Terminating.
    Terminate,
    /// No controller has picked it up: it can be taken back.
    Withdraw,
}

/// Decides how the operation can be ended; the refusal says why it cannot.
fn way(app: App<'_>) -> Result<Way, &'static str> {
    match (app.requested(), app.phase()) {
        (_, "Terminating") => Err("the operation is being terminated already"),
        (true, "Running") => Ok(Way::Terminate),
        (true, "") => Ok(Way::Withdraw),
        (true, _) => Err(
            "an operation waits beside the state of a finished one: the controller picks it up first, ask again then",
        ),
        // Only both together are legal: without `operation` the controller would not act on the phase.
        (false, "Running") => Err(
            "the state says Running and no operation is requested: nothing can be terminated; a refresh makes the controller look again",
        ),
        (false, _) => Err("no operation is running"),
    }
}

pub(super) fn draft(document: &Value) -> Draft<'_> {
    let app = App(document);
    let mut parts = Vec::new();
    if let Some(busy) = app.busy() {
        parts.push(Line::new(Mark::From, format!("the operation is {}", busy.text)).into());
    }
    match way(app) {
        Ok(Way::Terminate) => {
            let text = "the operation ends as Failed with the message \"Operation terminated\", and is not tried again";
            parts.push(Line::new(Mark::Change, text).into());
            let text = "what it has applied so far stays applied; its hooks are stopped";
            parts.push(Line::new(Mark::Note, text).into());
        }
        Ok(Way::Withdraw) => {
            let text = "the operation is not picked up yet: it is taken back before it begins";
            parts.push(Line::new(Mark::Change, text).into());
        }
        Err(why) => parts.push(Line::new(Mark::Stop, why).into()),
    }
    if app.auto_sync() {
        let text = "auto-sync is on: it does not try the same revision again, but begins on the next one (with self-heal, on the next difference)";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    parts.push(Line::new(Mark::After, "watched until the controller has ended it").into());
    Draft {
        parts,
        facts: vec![
            ("/operation", "the requested operation"),
            ("/status/operationState/phase", "the phase of the operation"),
            ("/status/operationState/startedAt", "the start of the operation"),
        ],
        command: format!("argocd app terminate-op {}", app.name()),
        hold: None,
    }
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let stored = work
        .write(
            |object| {
                let app = App(object);
                Ok(match way(app).map_err(str::to_owned)? {
                    Way::Terminate => terminate_patch(app.version()),
                    Way::Withdraw => withdraw_patch(app.version()),
                })
            },
            |object| {
                let app = App(object);
                app.busy().is_none() || app.phase() == "Terminating"
            },
        )
        .await?;
    work.done(0, "");
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let app = App(&document);
                match app.busy() {
                    None => {
                        let said = match app.phase() {
                            "" => "taken back before it began".to_owned(),
                            phase => format!("ended as {phase}: {}", app.operation_message()),
                        };
                        work.done(1, said.clone());
                        return Outcome::Verified(said);
                    }
                    Some(busy) => work.running(1, busy.text),
                }
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn assert_way(document: Value, expected: Result<Way, &str>) {
        let way = way(App(&document));
        match expected {
            Ok(expected) => assert_eq!(way, Ok(expected)),
            Err(part) => assert!(way.unwrap_err().contains(part), "{part}"),
        }
    }

    #[test]
    fn only_an_operation_with_a_running_state_is_terminated_and_only_one_without_a_state_is_taken_back() {
        let sync = json!({ "sync": {} });
        let state = |phase: &str| json!({ "operationState": { "phase": phase } });
        assert_way(json!({ "operation": sync, "status": state("Running") }), Ok(Way::Terminate));
        assert_way(json!({ "operation": sync, "status": {} }), Ok(Way::Withdraw));
        assert_way(json!({ "operation": sync, "status": state("Succeeded") }), Err("picks it up"));
        assert_way(json!({ "status": state("Running") }), Err("no operation is requested"));
        assert_way(json!({ "operation": sync, "status": state("Terminating") }), Err("already"));
        assert_way(json!({ "status": state("Failed") }), Err("no operation is running"));
    }

    #[test]
    fn a_failed_operation_with_retries_left_is_running_and_can_be_terminated() {
        let document = json!({ "operation": {}, "status": { "operationState": {
            "phase": "Running", "finishedAt": "2026-01-01T10:00:00Z", "message": "Retrying attempt #2 at 10:05AM." } } });
        assert_way(document, Ok(Way::Terminate));
    }
}
