//! Asking before a change: a command opens the question, the plan fills in, an answer leads to the gate.
//!
//! The only way from here to a write is [`Effect::Carry`], and it takes an answer: a `y` that was pressed while
//! the plan allowed it, or a name that was typed whole. Enter alone, a paste, or the key that opened the question
//! never answer it.

use serde_json::Value;

use crate::actions::left::Left;
use crate::actions::{Answer, Cascade, Options, Outcome, PARALLEL, Request, Standing, SyncResource, Verb};
use crate::app::application::Pane;
use crate::app::command::Command;
use crate::app::detail::Document;
use crate::app::effect::{Effect, Order};
use crate::app::history::View;
use crate::app::overview::Panel;
use crate::app::question::{Field, Question};
use crate::app::running::Running;
use crate::app::state::{Overlay, State};
use crate::app::viewport::Viewport;
use crate::app::wording;
use crate::human;
use crate::identity::{ObjectRef, Target};
use crate::kinds::applications::Application;
use crate::kinds::cluster::Node;
use crate::kinds::record::Entry;
use crate::kinds::{Health, alerts};
use crate::model::retreat::Retreat;
use crate::signals::{Matcher, Raised};
use crate::store::Store;

/// How many pods of a drain may be ending at a time, to choose from.
const STRIDES: [u32; 4] = [1, 5, 10, 20];

/// How many ended actions are remembered; the audit has them all.
const REMEMBERED: usize = 100;

/// Opens the question of a verb about what is selected or marked; one that needs a word first is begun in the palette,
/// and an edit in the editor.
pub fn ask(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    if command == Command::Edit {
        // Before the editor: what is written there would be written for nothing.
        if let Some(right) = state.missing_right(store, command) {
            state.say(Health::Warning, format!("you may not {right}: nothing is opened to be edited"));
            return Vec::new();
        }
        return super::editing::begin(state, store);
    }
    match request(state, store, command) {
        Ok(request) if wording::needed(command).is_some() => {
            wording::begin(state, store, command, &request.targets)
        }
        Ok(request) => begin(state, request),
        Err(why) => {
            state.say(Health::Idle, why);
            Vec::new()
        }
    }
}

/// Makes the request of a verb about what is selected or marked; the error is a sentence.
pub fn request(state: &State, store: &Store, command: Command) -> Result<Request, String> {
    let left_out = state.left_out(store);
    let nothing = || match &left_out {
        _ if !state.in_sight(store, command).is_empty() => {
            format!("not all that is marked can be taken: {} does not apply to each", command.label())
        }
        Some(left_out) => {
            format!("nothing that is marked is shown: clear the filter or the marks; {}", left_out.sentence())
        }
        None => format!("nothing is selected here to {}", command.label()),
    };
    let verb = command.verb().ok_or_else(nothing)?;
    let targets = state.targets(store, command);
    let first = targets.first().ok_or_else(nothing)?;
    let owner = |target: &Target| {
        let object = store.object(&target.object)?;
        state.tenancy.of(&target.object.resource, object)
    };
    // The name that is typed must stand for everything that is touched.
    let tenant = owner(first)
        .filter(|tenant| targets.iter().all(|target| owner(target) == Some(*tenant)))
        .map(ToString::to_string);
    let mut options =
        crate::actions::Options { left_out: left_out.clone().map(Box::new), ..Default::default() };
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
    if verb == Verb::Rollback
        && let Some(View::Overview(overview)) = state.view()
        && overview.panel == Panel::Tenants
        && let Some(tenant) = &overview.selected
    {
        options.staying = retreat(state, store, tenant).staying;
    }
    if verb == Verb::Rollback {
        options.history_id = match state.view() {
            Some(View::Application(app)) if app.pane == Pane::History => app.history_id(),
            _ => before_the_present(store, &first.object),
        };
    }
    if verb == Verb::Revert
        && let Some(View::Application(app)) = state.view()
        && app.pane == Pane::History
    {
        // Not the newest, which is what is to be taken back.
        let newest = before_the_present(store, &first.object);
        options.to_revision =
            app.history_id().filter(|id| newest.is_some_and(|newest| *id <= newest)).map(|id| id.to_string());
    }
    Ok(Request { verb, targets, options, tenant, reason: String::new() })
}

/// Opens the question of a promotion between two environments: `:promote staging prod`.
pub fn promote(state: &mut State, store: &Store, words: &[String]) -> Result<Vec<Effect>, String> {
    let (from, to) = match words {
        [] => (None, None),
        [from, to] => (Some(from.clone()), Some(to.clone())),
        _ => return Err("name two environments, such as promote staging prod, or none".to_owned()),
    };
    let palette = state.overlay.take();
    if !state.applies(store, Command::Promote) {
        state.overlay = palette;
        return Err("promote is for Applications: select the one that gets the version".to_owned());
    }
    let _ = ask(state, store, Command::Promote);
    let Some(Overlay::Question(question)) = &state.overlay else {
        return Err("nothing is selected here to promote".to_owned());
    };
    let mut request = question.request.clone();
    (request.options.from_environment, request.options.to_environment) = (from, to);
    Ok(begin(state, request))
}

/// Says which Applications of a tenant go back, and which have nothing to go back to.
pub fn retreat(state: &State, store: &Store, tenant: &str) -> Retreat {
    let context = state.session.context.as_ref();
    context.map(|context| Retreat::of(store, context, &state.tenancy, tenant)).unwrap_or_default()
}

/// Opens the question of a rollback of all Applications of a tenant: `:rollback tenant-2`.
pub fn rollback_tenant(state: &mut State, store: &Store, tenant: &str) -> Result<Vec<Effect>, String> {
    let retreat = retreat(state, store, tenant);
    if let Some(refusal) = retreat.refusal(tenant) {
        return Err(refusal);
    }
    let Retreat { going, staying } = retreat;
    let history_id = going.first().and_then(|first| before_the_present(store, first));
    let targets = going.into_iter().filter_map(|object| super::focus::target(store, object)).collect();
    let hold_minutes = Some(state.config.hold_minutes);
    let options = Options { history_id, staying, hold_minutes, ..Options::default() };
    let tenant = Some(tenant.to_owned());
    state.overlay = None;
    Ok(begin(state, Request { verb: Verb::Rollback, targets, options, reason: String::new(), tenant }))
}

/// Opens the question of a value of the selected Secret: `:reveal DB_PASSWORD`.
pub fn reveal(state: &mut State, store: &Store, key: &str) -> Result<Vec<Effect>, String> {
    let palette = state.overlay.take();
    if !state.applies(store, Command::Reveal) {
        state.overlay = palette;
        return Err("reveal is for Secrets: select one first".to_owned());
    }
    let _ = ask(state, store, Command::Reveal);
    let Some(Overlay::Question(question)) = &state.overlay else {
        return Err("nothing is selected here to reveal".to_owned());
    };
    let mut request = question.request.clone();
    request.options.key = Some(key.to_owned());
    Ok(begin(state, request))
}

/// Asks for the other way of going back, about the same objects.
fn other_way(state: &mut State, store: &Store) -> Vec<Effect> {
    let Some(Overlay::Question(question)) = &mut state.overlay else { return Vec::new() };
    let hold = state.config.hold_minutes;
    let request = &mut question.request;
    let options = &mut request.options;
    match request.verb {
        Verb::Rollback => {
            request.verb = Verb::Revert;
            options.to_revision = options.history_id.map(|id| id.to_string());
            (options.history_id, options.hold_minutes, options.prune) = (None, None, false);
            options.staying.clear();
        }
        Verb::Revert => {
            request.verb = Verb::Rollback;
            // What is no entry of the history is nothing that Argo CD can go back to.
            let chosen = options.to_revision.take().and_then(|to| to.parse().ok());
            let object = request.targets.first().map(|target| &target.object);
            options.history_id = chosen.or_else(|| before_the_present(store, object?));
            options.hold_minutes = Some(hold);
            options.review = false;
        }
        _ => return Vec::new(),
    }
    anew(state)
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

/// Opens the question that takes an entry of the record back, or says why there is none.
pub fn undo(state: &mut State, store: &Store, object: &ObjectRef) -> Vec<Effect> {
    let entry = store.object(object).and_then(|object| object.body::<Entry>());
    let Some(entry) = entry else { return Vec::new() };
    // The objects are those of that cluster, and another one may have the same names.
    if state.session.context.as_ref() != Some(&entry.intent.context) {
        let text = format!("it was done in {}: open that context to undo it", entry.intent.context);
        state.say(Health::Idle, text);
        return Vec::new();
    }
    match &entry.undo {
        Ok(request) => match serde_json::from_value::<Request>((**request).clone()) {
            Ok(request) => begin(state, request),
            Err(error) => {
                state.say(Health::Degraded, format!("the entry cannot be read: {error}"));
                Vec::new()
            }
        },
        Err(why) => {
            state.say(Health::Idle, why.to_string());
            Vec::new()
        }
    }
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

/// Returns the rotations of the open context that were left before their end and that nobody here follows, the newest
/// first.
pub fn left(state: &State) -> impl Iterator<Item = &Left> {
    let follows = |left: &Left| {
        state.running.iter().any(|running| {
            running.ended.is_none()
                && running.plan.request.targets.iter().any(|target| target.object == left.target.object)
        })
    };
    let here = move |left: &&Left| state.session.context.as_ref() == Some(&left.context) && !follows(left);
    state.left.iter().rev().filter(here)
}

/// Opens the question that goes on with a rotation that was left.
pub fn go_on(state: &mut State) -> Vec<Effect> {
    let Some(left) = left(state).next().cloned() else {
        state.say(Health::Idle, "no rotation was left before its end");
        return Vec::new();
    };
    let request = Request {
        verb: Verb::ResumeRotation,
        targets: vec![left.target],
        options: Options::default(),
        tenant: left.tenant,
        reason: String::new(),
    };
    begin(state, request)
}

/// Returns the entry of the history before the present one: what is meant where none was chosen.
fn before_the_present(store: &Store, object: &ObjectRef) -> Option<i64> {
    let application = store.object(object)?.body::<Application>()?;
    // The newest entry is what is deployed now, in whatever order the slim type keeps them. The same revision may have
    // been deployed with other settings: where there is nothing else, that is what is meant.
    application.entry_before().or_else(|| {
        let mut ids: Vec<i64> = application.history.iter().map(|deploy| deploy.id).collect();
        ids.sort_unstable();
        ids.iter().rev().nth(1).copied()
    })
}

/// Opens a question and has its plan made.
pub fn begin(state: &mut State, request: Request) -> Vec<Effect> {
    state.asked += 1;
    let number = state.asked;
    state.overlay = Some(Overlay::Question(Box::new(Question::new(number, request.clone()))));
    vec![Effect::Plan { number, request: Box::new(request) }]
}

/// Carries out a command of the question.
pub fn command(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
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
        Command::OtherWay => return other_way(state, store),
        Command::ChangeEdit => {
            let (request, why) = (question.request.clone(), super::editing::stops(state));
            return super::editing::again(state, &request, why);
        }
        Command::PlanUp => question.top = question.top.saturating_sub(1),
        Command::PlanDown => question.top += 1,
        _ => return toggle(state, command),
    }
    Vec::new()
}

/// Changes an option: that is another question, so the plan is made anew.
fn toggle(state: &mut State, command: Command) -> Vec<Effect> {
    let selected = selected_resource(state);
    let Some(Overlay::Question(question)) = &mut state.overlay else { return Vec::new() };
    let options = &mut question.request.options;
    match command {
        Command::ToggleReview => options.review = !options.review,
        Command::TogglePrune => options.prune = !options.prune,
        Command::ToggleDryRun => options.dry_run = !options.dry_run,
        Command::ToggleForce => options.force = !options.force,
        Command::ToggleApplyOnly => options.apply_only = !options.apply_only,
        Command::ToggleEmptydir => options.delete_emptydir_data = !options.delete_emptydir_data,
        Command::CycleParallel => {
            let now = options.parallel.unwrap_or(PARALLEL);
            options.parallel = STRIDES.into_iter().find(|next| *next > now).or(STRIDES.first().copied());
        }
        Command::CycleCascade => {
            let at = Cascade::ALL.iter().position(|one| *one == options.cascade).unwrap_or(0);
            options.cascade = Cascade::ALL[(at + 1) % Cascade::ALL.len()];
        }
        Command::ToggleSelected if options.resources.is_empty() => options.resources.extend(selected),
        Command::ToggleSelected => options.resources.clear(),
        _ => return Vec::new(),
    }
    anew(state)
}

/// Makes the plan of a question again, because its options are others.
fn anew(state: &mut State) -> Vec<Effect> {
    let Some(Overlay::Question(question)) = &mut state.overlay else { return Vec::new() };
    state.asked += 1;
    question.number = state.asked;
    question.plan = None;
    question.failed = None;
    question.note = None;
    question.whole = false;
    vec![Effect::Plan { number: question.number, request: Box::new(question.request.clone()) }]
}

/// Returns the resource that is selected in the tree of an Application, where Argo CD manages it.
pub fn selected_resource(state: &State) -> Option<SyncResource> {
    let Some(View::Application(app)) = state.view() else { return None };
    let object = app.selected()?;
    let node = app.tree.get(app.view().cursor)?;
    let Document::Ready(document) = &app.document else { return None };
    let word = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    // What stands below what is managed is not in Git, and cannot be synced alone.
    let managed = document.pointer("/status/resources")?.as_array()?;
    managed
        .iter()
        .map(|one| SyncResource {
            group: word(one, "group"),
            kind: word(one, "kind"),
            namespace: word(one, "namespace"),
            name: word(one, "name"),
        })
        .find(|one| {
            node.depth > 0
                && format!("{}/{}", one.kind, one.name) == node.name
                && (one.namespace.is_empty() || object.namespace.as_deref() == Some(one.namespace.as_str()))
        })
}

/// Opens the question of a sync that is asked for in more words: a revision, and resources alone.
///
/// `:sync 3f9c1a2 apps:Deployment:checkout`
pub fn sync(state: &mut State, store: &Store, words: &[String]) -> Result<Vec<Effect>, String> {
    let (mut revision, mut resources) = (None, Vec::new());
    for word in words {
        // A digest has one colon, a resource two.
        if word.matches(':').count() > 1 {
            resources.push(SyncResource::read(word)?);
        } else if revision.replace(word.clone()).is_some() {
            return Err(format!("{word}: one revision is enough"));
        }
    }
    let palette = state.overlay.take();
    if !state.applies(store, Command::Sync) {
        state.overlay = palette;
        return Err("sync is for Applications: select one first".to_owned());
    }
    let _ = ask(state, store, Command::Sync);
    let Some(Overlay::Question(question)) = &state.overlay else {
        return Err("nothing is selected here to sync".to_owned());
    };
    let mut request = question.request.clone();
    request.options.revision = revision;
    request.options.resources = resources;
    Ok(begin(state, request))
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
    if plan.needs_reason() && question.reason.text().trim().is_empty() {
        question.field = Field::Reason;
        question.note = Some(match &plan.rule {
            Some(ruling) if ruling.reason => format!("say why first: rule {} asks for it", ruling.rules),
            _ if plan.request.verb == Verb::Reveal => "say why first: it goes into the record".to_owned(),
            _ => "say why first: everybody reads it in the silence".to_owned(),
        });
        return Vec::new();
    }
    let mut plan = plan;
    question.reason.text().trim().clone_into(&mut plan.request.reason);
    state.overlay = None;
    state.say(Health::Progressing, format!("{} …", plan.title));
    state.running.push(Running {
        plan: plan.clone(),
        started: state.now,
        progress: Vec::new(),
        held: false,
        ended: None,
    });
    while state.running.len() > REMEMBERED {
        let Some(ended) = state.running.iter().position(|running| running.ended.is_some()) else { break };
        state.running.remove(ended);
    }
    // The list is newest first, and what was just begun is what is looked at.
    match state.views.last_mut() {
        Some(View::Actions(view)) => *view = Viewport::default(),
        _ => state.views.open(View::Actions(Viewport::default())),
    }
    vec![Effect::Carry { plan: Box::new(plan), answer }]
}

/// Returns the action that the list stands on.
fn selected(state: &State) -> Option<&Running> {
    let Some(View::Actions(view)) = state.view() else { return None };
    // Newest first.
    state.running.len().checked_sub(view.cursor + 1).and_then(|index| state.running.get(index))
}

/// Returns the Applications of the selected action, where it went back and has ended.
pub fn gone_back(state: &State) -> Vec<ObjectRef> {
    let ended = selected(state).filter(|running| running.ended.is_some());
    let went = ended.filter(|running| {
        matches!(running.plan.request.verb, Verb::Rollback | Verb::Revert | Verb::HoldAutosync)
    });
    let targets = went.map_or(&[][..], |running| &running.plan.request.targets);
    targets.iter().map(|target| target.object.clone()).collect()
}

/// Tells whether an action can be told that.
pub fn steers(state: &State, store: &Store, command: Command) -> bool {
    let Some(running) = selected(state) else { return false };
    match command {
        Command::HoldAction => running.ended.is_none() && running.plan.request.verb.writes_on(),
        Command::EndAction => running.ended.is_none(),
        Command::EditAgain => {
            running.plan.request.options.edited.is_some()
                && running
                    .ended
                    .as_ref()
                    .is_some_and(|(outcome, _)| matches!(outcome, Outcome::Refused(_) | Outcome::Failed(_)))
        }
        _ => running.ended.is_some() && !left_cordoned(running, store).is_empty(),
    }
}

/// Returns the nodes of a drain that it has cordoned and that are so still.
fn left_cordoned(running: &Running, store: &Store) -> Vec<Target> {
    if running.plan.request.verb != Verb::Drain {
        return Vec::new();
    }
    let before = |object: &ObjectRef| {
        let progress = running.progress.iter().find(|one| one.object == *object);
        progress.and_then(|one| one.steps.first()).is_some_and(|step| step.standing == Standing::Skipped)
    };
    let cordoned = |object: &ObjectRef| {
        store.object(object).and_then(|found| found.body::<Node>()).is_some_and(|node| node.cordoned)
    };
    let targets = running.plan.request.targets.iter().map(|target| &target.object);
    targets
        .filter(|object| cordoned(object) && !before(object))
        .filter_map(|object| super::focus::target(store, object.clone()))
        .collect()
}

/// Holds the selected action, ends it, or asks to take back what it left.
pub fn steer(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    let Some(running) = selected(state) else { return Vec::new() };
    let (id, held) = (running.plan.id.clone(), running.held);
    if command == Command::EditAgain {
        let request = running.plan.request.clone();
        let why = running.ended.as_ref().map_or(String::new(), |(outcome, _)| outcome.detail().to_owned());
        return super::editing::again(state, &request, why);
    }
    let (order, said) = match command {
        Command::HoldAction if held => (Order::GoOn, "it goes on"),
        Command::HoldAction => (Order::Hold, "held: nothing more is evicted until it goes on"),
        Command::EndAction => (Order::End, "nothing more is begun; what was begun is not taken back"),
        _ => {
            let targets = left_cordoned(running, store);
            let tenant = running.plan.request.tenant.clone();
            let request = Request {
                verb: Verb::Uncordon,
                targets,
                options: Options::default(),
                tenant,
                reason: String::new(),
            };
            return begin(state, request);
        }
    };
    if let Some(running) = state.running.iter_mut().find(|running| running.plan.id == id) {
        running.held = order == Order::Hold;
    }
    state.say(Health::Progressing, said);
    vec![Effect::Steer { id, order }]
}

/// Puts the question away.
pub fn cancel(state: &mut State) {
    state.overlay = None;
    state.say(Health::Idle, "put away; nothing was changed");
}
