//! What tasks say: connection, documents, plans, progress, logs.

use crate::actions::reveal::SHOWN;
use crate::actions::{Closed, left};
use crate::app::detail::Document;
use crate::app::effect::{Effect, LogsOf};
use crate::app::explore::Explore;
use crate::app::history::View;
use crate::app::message::Message;
use crate::app::session::Link;
use crate::app::state::{Overlay, State};
use crate::app::typing;
use crate::kinds::Health;
use crate::store::Store;

/// Takes what a task said. Answers to questions that nobody asks any more are passed over.
pub fn hear(state: &mut State, store: &Store, message: Message) -> Vec<Effect> {
    match message {
        Message::Served(served) => state.served = served,
        Message::Kinds(kinds) => state.kinds = kinds,
        Message::Boards(boards) => {
            if let Some(wrong) = boards.wrong().first() {
                state.say(Health::Warning, wrong.to_string());
            }
            state.boards = boards;
        }
        Message::Contexts(contexts) => state.session.contexts = contexts,
        Message::Link { context, link, namespace } => {
            if state.session.context.as_ref() == Some(&context) {
                tell_link(state, &link);
                state.session.link = link;
                state.session.namespace = namespace;
            }
        }
        Message::Document { object, result } => {
            let Some(view) = state.views.last_mut() else { return Vec::new() };
            let document = match result {
                Ok(value) => Document::Ready(value),
                Err(error) => Document::Failed(error),
            };
            match view {
                View::Detail(detail) if detail.object == object => {
                    detail.take(document);
                    typing::search(state, store);
                }
                View::Application(app) if app.object == object => app.document = document,
                _ => {}
            }
        }
        Message::Planned { number, result } => {
            let Some(Overlay::Question(question)) = &mut state.overlay else { return Vec::new() };
            if question.number != number {
                return Vec::new();
            }
            match result {
                Ok(plan) => {
                    question.plan = Some(*plan);
                    question.failed = None;
                }
                Err(why) => question.failed = Some(why),
            }
        }
        Message::Refused { id, why } => {
            let now = state.now;
            if let Some(running) = state.running.iter_mut().find(|running| running.plan.id == id) {
                running.ended = Some((crate::actions::Outcome::Refused(why.clone()), now));
            }
            state.say(Health::Degraded, format!("refused, nothing was changed: {why}"));
        }
        Message::Progress(progress) => {
            let Some(running) = state.running.iter_mut().find(|running| running.plan.id == progress.id)
            else {
                return Vec::new();
            };
            match running.progress.iter_mut().find(|one| one.object == progress.object) {
                Some(one) => *one = progress,
                None => running.progress.push(progress),
            }
        }
        Message::Revealed(revealed) => {
            let seconds = jiff::SignedDuration::from_secs(SHOWN);
            state.revealed = Some((revealed, state.now.saturating_add(seconds).unwrap_or(state.now)));
        }
        Message::Ended { id, outcome } => {
            use crate::actions::Outcome::{Accepted, Failed, NotVerified, Refused, Verified};
            let now = state.now;
            let Some(running) = state.running.iter_mut().find(|running| running.plan.id == id) else {
                return Vec::new();
            };
            let title = running.plan.title.clone();
            let health = match &outcome {
                Verified(_) | Accepted(_) => Health::Healthy,
                NotVerified(_) => Health::Warning,
                Failed(_) | Refused(_) => Health::Degraded,
            };
            let text = format!("{title}: {}: {}", outcome.word(), outcome.detail());
            if matches!(outcome, Verified(_)) && running.plan.request.verb == crate::actions::Verb::Rollback {
                state.rollbacks.push((now, now.duration_since(running.started).as_secs_f64()));
            }
            let is_chain = left::is_chain(running.plan.request.verb.word());
            running.ended = Some((outcome, now));
            state.say(health, text);
            if is_chain {
                // What was left is at its end now, or has a new place where it stands.
                return vec![Effect::LookBack];
            }
        }
        Message::ToEdit(result) => return super::editing::fetched(state, result),
        Message::Edited(result) => return super::editing::returned(state, result.map(|sheet| sheet.0)),
        Message::LogBegun { of } => {
            if let Some(logs) = logs_of(state, &of) {
                logs.begin();
            }
        }
        Message::Logged { of, lines, dropped } => {
            let bound = state.config.log_lines;
            if let Some(logs) = logs_of(state, &of) {
                logs.take_logged(lines, dropped, bound);
            }
        }
        Message::Lines { of, news } => super::explore::commands::hear(state, &of, news),
        Message::Saved(Ok(text)) => state.say(Health::Healthy, text),
        Message::Saved(Err(text)) => state.say(Health::Degraded, text),
        Message::LogFailed { of, stream, error } => {
            let bound = state.config.log_lines;
            if let Some(logs) = logs_of(state, &of) {
                logs.take_log_failure(stream, error, bound);
            }
        }
        Message::LogStarted { of, stream } => {
            let bound = state.config.log_lines;
            if let Some(logs) = logs_of(state, &of) {
                logs.take_log_start(&stream, bound);
            }
        }
        Message::Rollbacks(rollbacks) => state.rollbacks = rollbacks,
        Message::Requests { total, minute } => state.session.requests = (total, minute),
        Message::Cut(mut cut) => {
            // What this console carries out has no end yet either.
            cut.retain(|one| state.running.iter().all(|running| running.plan.id != one.id));
            state.cut = cut;
        }
        Message::Left(left) => state.left = left,
        Message::Closed(closed) => tell_closed(state, &closed),
        Message::Trouble(text) => state.say(Health::Warning, text),
    }
    Vec::new()
}

/// Says what became of actions that were cut off, and tells of them as unfinished no longer.
fn tell_closed(state: &mut State, closed: &[Closed]) {
    state.cut.retain(|cut| closed.iter().all(|one| one.id != cut.id));
    // Of what can be gone on with, the notice with its key stands there.
    if closed.iter().all(|one| state.left.iter().any(|left| left.id == one.id)) {
        return;
    }
    let text = match closed {
        [one] => format!("cut off earlier: {}", one.text),
        several => {
            format!("{} actions were cut off earlier; what became of them: opsdeck audit", several.len())
        }
    };
    state.say(Health::Idle, text);
}

fn tell_link(state: &mut State, link: &Link) {
    let was_lost = matches!(state.session.link, Link::Failed { .. });
    let was_connecting = matches!(state.session.link, Link::Connecting { .. });
    match link {
        // What was said of the way there is no longer so.
        Link::Live { .. } if was_connecting => {
            state.status = state.status.take().filter(|status| status.health != Health::Progressing);
        }
        Link::Failed { error, .. } if !was_lost => state.say(Health::Degraded, error.to_string()),
        Link::Live { .. } if was_lost => state.say(Health::Healthy, "connected again"),
        _ => {}
    }
}

fn logs_of<'a>(state: &'a mut State, of: &LogsOf) -> Option<&'a mut Explore> {
    match state.views.last_mut()? {
        View::Explore(logs) if logs.pods.as_ref().is_some_and(|pods| pods.of() == *of) => Some(&mut **logs),
        _ => None,
    }
}
