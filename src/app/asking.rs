//! Asking before a change: a command opens the question, the plan fills in, an answer leads to the gate.
//!
//! The only way from here to a write is [`Effect::Carry`], and it takes an answer: a `y` that was pressed while
//! the plan allowed it, or a name that was typed whole. Enter alone, a paste, or the key that opened the question
//! never answer it.

use crate::actions::{Answer, Options, Request, Verb};
use crate::app::application::Pane;
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::history::View;
use crate::app::question::{Field, Question};
use crate::app::running::Running;
use crate::app::state::{Overlay, State};
use crate::app::viewport::Viewport;
use crate::human;
use crate::identity::{ObjectRef, Target};
use crate::kinds::applications::Application;
use crate::kinds::{Health, alerts};
use crate::signals::{Matcher, Raised};
use crate::store::Store;

/// How many ended actions are remembered; the audit has them all.
const REMEMBERED: usize = 100;

/// Opens the question of a verb about what is selected or marked.
pub fn ask(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    let Some(verb) = command.verb() else { return Vec::new() };
    let targets = state.targets(store, command);
    let Some(first) = targets.first() else {
        state.say(Health::Idle, format!("nothing is selected here to {}", command.label()));
        return Vec::new();
    };
    let owner = |target: &Target| {
        let object = store.object(&target.object)?;
        state.tenancy.of(&target.object.resource, object)
    };
    // The name that is typed must stand for everything that is touched.
    let tenant = owner(first)
        .filter(|tenant| targets.iter().all(|target| owner(target) == Some(*tenant)))
        .map(ToString::to_string);
    let mut options = crate::actions::Options::default();
    if matches!(verb, Verb::Rollback | Verb::HoldAutosync) {
        options.hold_minutes = Some(state.config.hold_minutes);
    }
    if matches!(verb, Verb::Silence | Verb::ExtendSilence) {
        options.minutes = Some(state.config.silence_minutes);
    }
    if verb == Verb::Silence
        && let [one] = targets.as_slice()
        && let Some(raised) = store.object(&one.object).and_then(|object| object.body::<Raised>())
    {
        let matchers = alerts::matchers_of(&raised.alert.labels);
        options.matchers = matchers.iter().map(ToString::to_string).collect();
    }
    if verb == Verb::Rollback {
        options.history_id = match state.view() {
            Some(View::Application(app)) if app.pane == Pane::History => app.history_id(),
            _ => before_the_present(store, &first.object),
        };
    }
    begin(state, Request { verb, targets, options, tenant, reason: String::new() })
}

/// Opens the question of a silence that is made from matchers: `:silence namespace=shop alertname=~Kube.* 4h`.
///
/// On an alert a line without matchers takes those of the alert.
pub fn silence(state: &mut State, store: &Store, words: &[String]) -> Result<Vec<Effect>, String> {
    let Some(context) = state.session.context.clone() else { return Err("no context is open".to_owned()) };
    let mut minutes = state.config.silence_minutes;
    let mut matchers = Vec::new();
    for word in words {
        match human::parse_span(word) {
            Some(seconds) => minutes = ((seconds / 60.0).ceil() as u32).max(1),
            None => matchers.push(Matcher::read(word).map_err(|error| error.to_string())?.to_string()),
        }
    }
    if matchers.is_empty() {
        state.overlay = None;
        let _ = ask(state, store, Command::Silence);
        let Some(Overlay::Question(question)) = &state.overlay else {
            return Err(
                "name matchers, such as namespace=shop alertname=~Kube.*, or select an alert".to_owned()
            );
        };
        let mut request = question.request.clone();
        request.options.minutes = Some(minutes);
        return Ok(begin(state, request));
    }
    let object =
        ObjectRef { context, resource: alerts::silences(), namespace: None, name: alerts::NEW.into() };
    let target = Target { object, uid: alerts::NEW.into(), resource_version: "".into() };
    let options = Options { minutes: Some(minutes), matchers, ..Options::default() };
    let request =
        Request { verb: Verb::Silence, targets: vec![target], options, tenant: None, reason: String::new() };
    Ok(begin(state, request))
}

/// Opens the question that gives auto-sync back where the time of a hold is over, the longest overdue first.
pub fn give_back(state: &mut State, store: &Store) -> Vec<Effect> {
    let due = state.holds.over(state.now).next();
    let Some((object, tenant)) = due.map(|hold| (hold.object.clone(), hold.tenant.clone())) else {
        state.say(Health::Idle, "no hold of auto-sync is over");
        return Vec::new();
    };
    let Some(target) = super::focus::target(store, object) else { return Vec::new() };
    let request = Request {
        verb: Verb::ReleaseAutosync,
        targets: vec![target],
        options: crate::actions::Options::default(),
        tenant: tenant.map(|tenant| tenant.to_string()),
        reason: String::new(),
    };
    begin(state, request)
}

/// Returns the entry of the history before the present one: what is meant where none was chosen.
fn before_the_present(store: &Store, object: &ObjectRef) -> Option<i64> {
    let object = store.object(object)?;
    let mut ids: Vec<i64> = object.body::<Application>()?.history.iter().map(|deploy| deploy.id).collect();
    // The newest entry is what is deployed now, in whatever order the slim type keeps them.
    ids.sort_unstable();
    ids.iter().rev().nth(1).copied()
}

fn begin(state: &mut State, request: Request) -> Vec<Effect> {
    state.asked += 1;
    let number = state.asked;
    state.overlay = Some(Overlay::Question(Box::new(Question::new(number, request.clone()))));
    vec![Effect::Plan { number, request }]
}

/// Carries out a command of the question.
pub fn command(state: &mut State, command: Command) -> Vec<Effect> {
    let Some(Overlay::Question(question)) = &mut state.overlay else { return Vec::new() };
    match command {
        Command::Confirm => return answer(state, Answer::Yes),
        Command::PlanCancel => cancel(state),
        Command::NextField => {
            question.field = match question.field {
                Field::Answer => Field::Reason,
                Field::Reason => Field::Answer,
            };
        }
        Command::ToggleDifference => {
            question.whole = !question.whole;
            question.top = 0;
        }
        Command::PlanUp => question.top = question.top.saturating_sub(1),
        Command::PlanDown => question.top += 1,
        _ => return toggle(state, command),
    }
    Vec::new()
}

/// Changes an option: that is another question, so the plan is made anew.
fn toggle(state: &mut State, command: Command) -> Vec<Effect> {
    let Some(Overlay::Question(question)) = &mut state.overlay else { return Vec::new() };
    let options = &mut question.request.options;
    let flag = match command {
        Command::TogglePrune => &mut options.prune,
        Command::ToggleDryRun => &mut options.dry_run,
        Command::ToggleForce => &mut options.force,
        Command::ToggleApplyOnly => &mut options.apply_only,
        _ => return Vec::new(),
    };
    *flag = !*flag;
    state.asked += 1;
    question.number = state.asked;
    question.plan = None;
    question.failed = None;
    question.note = None;
    question.whole = false;
    vec![Effect::Plan { number: question.number, request: question.request.clone() }]
}

/// Takes Enter: it ends the reason, and behind a name that was typed whole it is the answer.
pub fn submit(state: &mut State) -> Vec<Effect> {
    let Some(Overlay::Question(question)) = &mut state.overlay else { return Vec::new() };
    if question.field == Field::Reason {
        question.field = Field::Answer;
        return Vec::new();
    }
    let Some(name) = question.must_type().map(ToOwned::to_owned) else { return Vec::new() };
    let typed = question.typed.text().to_owned();
    if typed != name {
        question.note = Some(if typed.is_empty() {
            format!("type {name} to answer")
        } else {
            format!("{typed:?} is not {name}")
        });
        return Vec::new();
    }
    answer(state, Answer::Typed(typed))
}

fn answer(state: &mut State, answer: Answer) -> Vec<Effect> {
    let Some(Overlay::Question(question)) = &mut state.overlay else { return Vec::new() };
    let Some(plan) = question.plan.clone() else {
        question.note = Some("the plan is still being made".to_owned());
        return Vec::new();
    };
    if !plan.can_run() {
        question.note = Some("the plan cannot be run as it stands".to_owned());
        return Vec::new();
    }
    if plan.request.verb.needs_reason() && question.reason.text().trim().is_empty() {
        question.field = Field::Reason;
        question.note = Some("say why first: everybody reads it in the silence".to_owned());
        return Vec::new();
    }
    let mut plan = plan;
    question.reason.text().trim().clone_into(&mut plan.request.reason);
    state.overlay = None;
    state.say(Health::Progressing, format!("{} …", plan.title));
    state.running.push(Running { plan: plan.clone(), started: state.now, progress: Vec::new(), ended: None });
    while state.running.len() > REMEMBERED {
        let Some(ended) = state.running.iter().position(|running| running.ended.is_some()) else { break };
        state.running.remove(ended);
    }
    let last = state.running.len() - 1;
    match state.views.last_mut() {
        Some(View::Actions(view)) => view.cursor = last,
        _ => state.views.open(View::Actions(Viewport { cursor: last, top: 0 })),
    }
    vec![Effect::Carry { plan: Box::new(plan), answer }]
}

/// Puts the question away.
pub fn cancel(state: &mut State) {
    state.overlay = None;
    state.say(Health::Idle, "put away; nothing was changed");
}
