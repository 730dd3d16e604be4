//! How a confirmed plan is carried out: record, look again, write, follow, record.
//!
//! Each object is one [`Work`]; how it is written stands in [`super::write`].

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Remote};
use super::draft::text;
use super::steer::Steer;
use super::work::{Traces, Work};
use super::write::Trouble;
use super::{Answer, Confirmed, Outcome, Plan, Progress, Standing, Step, several, verbs};
use crate::audit::{After, Check, Ending, Intent, Who};
use crate::gate::Admission;
use crate::human;
use crate::identity::ObjectRef;
use crate::text::one_line;

/// Whether an action is followed to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Until it is verified or has failed.
    ToTheEnd,
    /// Only until it is written.
    No,
}

/// Carries out a confirmed plan, once.
///
/// Streams the steps, and writes one audit record before the first write and one at the end. Without the
/// first nothing is written to the cluster. `stop` ends the following, never a write that is under way. The
/// first object that fails ends the action: the objects after it are not touched.
pub async fn carry_out<R: Remote>(
    desk: &Desk<R>,
    confirmed: Confirmed,
    follow: Follow,
    progress: &mpsc::Sender<Progress>,
    stop: &CancellationToken,
) -> Outcome {
    carry_out_steered(desk, confirmed, follow, progress, &Steer::until(stop)).await
}

/// Carries out a confirmed plan as [`carry_out`] does, with a hand that can also hold it for a while.
pub async fn carry_out_steered<R: Remote>(
    desk: &Desk<R>,
    confirmed: Confirmed,
    follow: Follow,
    progress: &mpsc::Sender<Progress>,
    steer: &Steer,
) -> Outcome {
    let Confirmed { plan, answer, mut admission } = confirmed;
    let who = match desk.remote.who().await {
        Ok(server) => Who { server, local: desk.local_user.clone() },
        Err(error) => {
            return Outcome::Refused(format!("the record needs to know who acts: {error}"));
        }
    };
    let begun_at = desk.clock.now();
    let intent = intent(desk, &plan, &answer, &admission, &who);
    let begun = match desk.audit.begin(&plan.id, intent, begun_at).await {
        Ok(begun) => begun,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let objects: Vec<ObjectRef> = admission
        .basis()
        .iter()
        .filter(|basis| basis.sake.is_none())
        .map(|basis| basis.target.object.clone())
        .collect();
    let mut done = Vec::new();
    let mut steps = Vec::new();
    let mut traces = Traces::default();
    for object in &objects {
        let mut work = Work {
            desk,
            plan: &plan,
            object,
            who: &who,
            admission: &mut admission,
            begun: &begun,
            progress,
            steps: Vec::new(),
            written: false,
            traces: &mut traces,
            commit: String::new(),
        };
        // Boxed: with every verb in it the future is deep, and whoever awaits it is deeper.
        let outcome = Box::pin(work.one(follow, steer)).await;
        steps.extend(work.steps.iter().map(|step| Check {
            mark: json!(step.standing).as_str().unwrap_or_default().to_owned(),
            text: match step.detail.as_str() {
                "" => step.name.clone(),
                detail => format!("{}: {detail}", step.name),
            },
        }));
        let failed = match outcome {
            Outcome::Failed(_) | Outcome::Refused(_) => true,
            // The next node is not begun while pods of this one are left.
            Outcome::NotVerified(_) => {
                verbs::writes_on(plan.request.verb) || verbs::is_ordered(plan.request.verb)
            }
            Outcome::Verified(_) | Outcome::Accepted(_) => false,
        };
        if objects.len() > 1 {
            let text = format!("{}: {}", object.name, outcome.detail());
            steps.push(Check { mark: outcome.word().to_owned(), text: one_line(&text).into_owned() });
        }
        done.push(outcome);
        if failed {
            break;
        }
    }
    let outcome = several::sum_up(&objects, done).map(|detail| one_line(&detail).into_owned());
    let ended_at = desk.clock.now();
    let ending = Ending {
        outcome: outcome.word().to_owned(),
        detail: outcome.detail().to_owned(),
        steps,
        after: afterwards(desk, &objects).await,
        duration_ms: ended_at.as_millisecond() - begun_at.as_millisecond(),
        changes: traces.changes,
        made: traces.made,
    };
    match desk.audit.end(begun, ending, ended_at).await {
        Ok(()) => outcome,
        Err(error) => outcome.map(|detail| format!("{detail}. The end could not be recorded: {error}")),
    }
}

fn intent<R: Remote>(
    desk: &Desk<R>,
    plan: &Plan,
    answer: &Answer,
    admission: &Admission,
    who: &Who,
) -> Intent {
    Intent {
        context: desk.rules.context.clone(),
        environment: desk.rules.environment.clone(),
        protected: desk.rules.protected,
        verb: plan.request.verb.word().to_owned(),
        targets: admission.basis().iter().map(|basis| basis.target.clone()).collect(),
        tenant: plan.request.tenant.clone(),
        title: plan.title.clone(),
        options: json!(plan.request.options),
        who: who.clone(),
        reason: plan.request.reason.clone(),
        confirmation: match answer {
            Answer::Yes => "yes".to_owned(),
            Answer::Typed(name) => format!("typed {name}"),
        },
        checks: plan
            .summary()
            .iter()
            .map(|line| Check { mark: line.mark.word().to_owned(), text: line.text.clone() })
            .collect(),
        command: plan.command.clone(),
        holds: plan.holds.clone(),
        changes: plan.changes.clone(),
        undoes: plan.request.options.undoes.as_ref().map(|undoes| undoes.entry.clone()),
        rule: plan.rule.as_ref().map(|ruling| ruling.rules.clone()),
    }
}

/// Reads the objects once more for the record; what cannot be read is left open.
async fn afterwards<R: Remote>(desk: &Desk<R>, objects: &[ObjectRef]) -> Vec<After> {
    let mut after = Vec::new();
    for object in objects {
        let document = desk.remote.look(object).await.ok().flatten();
        let field = |pointer: &str| document.as_ref().map(|document| text(document, pointer).to_owned());
        after.push(After {
            object: object.clone(),
            uid: field("/metadata/uid"),
            resource_version: field("/metadata/resourceVersion"),
        });
    }
    after
}

impl<R: Remote> Work<'_, R> {
    async fn one(&mut self, follow: Follow, steer: &Steer) -> Outcome {
        let others: Vec<ObjectRef> = self.others().into_iter().map(|target| target.object).collect();
        self.steps = verbs::steps(self.plan, &others)
            .into_iter()
            .map(|name| Step { name, standing: Standing::Waiting, detail: String::new() })
            .collect();
        self.tell();
        if verbs::writes_on(self.plan.request.verb) {
            let outcome = Box::pin(verbs::run(self, steer)).await;
            match &outcome {
                Outcome::Failed(detail) | Outcome::Refused(detail) => self.fail(detail.clone()),
                _ => self.skip_rest(),
            }
            return outcome;
        }
        let stored = match Box::pin(verbs::write(self)).await {
            Ok(stored) => stored,
            Err(trouble) => {
                let (Trouble::Refused(text) | Trouble::Failed(text)) = &trouble;
                self.fail(text.clone());
                return match trouble {
                    Trouble::Refused(text) if !self.written => Outcome::Refused(text),
                    Trouble::Refused(text) | Trouble::Failed(text) => Outcome::Failed(text),
                };
            }
        };
        if follow == Follow::No {
            self.skip_rest();
            return Outcome::Accepted("written and accepted; not followed".to_owned());
        }
        let limit = self.desk.pace.limit;
        let ended = tokio::select! {
            biased;
            outcome = Box::pin(verbs::follow(self, &stored)) => Ok(outcome),
            () = steer.stop().cancelled() => Err("no longer followed".to_owned()),
            () = tokio::time::sleep(limit) => {
                Err(format!("not verified within {}", human::span(limit.as_secs().cast_signed())))
            }
        };
        match ended {
            Ok(outcome) => {
                match &outcome {
                    Outcome::Failed(detail) => self.fail(detail.clone()),
                    _ => self.skip_rest(),
                }
                outcome
            }
            Err(why) => {
                let seen = self.steps.iter().rfind(|step| !step.detail.is_empty());
                let seen =
                    seen.map_or(String::new(), |step| format!("; last seen: {}: {}", step.name, step.detail));
                self.skip_rest();
                let next = verbs::next(self.plan.request.verb);
                Outcome::NotVerified(format!("{why}{seen}. {next}"))
            }
        }
    }
}
