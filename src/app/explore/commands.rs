//! What commands do on the log screen, and the ways to it: a line of the palette, a saved query, what is selected.

use std::sync::Arc;

use super::pods::{Pods, Since};
use super::{Explore, LinesNews, LinesOf, Older, Phase, Purpose};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::history::View;
use crate::app::line::Line;
use crate::app::overview::Panel;
use crate::app::state::State;
use crate::config::queries;
use crate::human;
use crate::identity::{ObjectRef, Text};
use crate::kinds::{Health, Unit, alerts};
use crate::nearest::did_you_mean;
use crate::signals::{Raised, Window};
use crate::sources::{SourceError, logql};
use crate::store::Store;
use crate::store::lines::Sort;

/// How far back where nothing is said: 15 minutes.
const WINDOW: Window = Window::Last { seconds: 900 };

/// Seconds before an alert began from which its lines are shown.
const BEFORE: i64 = 900;

/// Seconds after an alert began until which they are shown.
const AFTER: i64 = 1_800;

/// Seconds before and after a line within which its neighbours are looked for: half a day.
const AROUND: i64 = 43_200;

/// The most bytes that are copied into a file: what is held.
const SAVED: usize = 1024 * 1024 * 1024;

/// Opens a query.
fn open(state: &mut State, title: &str, query: &str, window: Window, object: Option<ObjectRef>) {
    let Some(context) = state.session.context.clone() else {
        state.say(Health::Idle, "no context is open");
        return;
    };
    remember(state, query);
    state.overlay = None;
    let mut explore = Explore::new(context, title, query, window);
    explore.object = object;
    state.views.open(View::Explore(Box::new(explore)));
}

fn remember(state: &mut State, query: &str) {
    state.queried.retain(|one| one != query);
    state.queried.push(query.to_owned());
    if state.queried.len() > crate::app::memory::SAID {
        state.queried.remove(0);
    }
}

/// Takes `:logs QUERY` or `:logs NAME` of a saved query; the error is a sentence.
pub fn line(state: &mut State, text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.contains('{') {
        open(state, "logs", text, WINDOW, None);
        return Ok(());
    }
    let saved = queries::all(&state.config);
    if let Some(one) = saved.iter().find(|one| one.name == text) {
        open(state, &one.title, &one.query, WINDOW, None);
        Ok(())
    } else {
        let names: Vec<&str> = saved.iter().map(|one| one.name.as_str()).collect();
        let near = did_you_mean(text, names.iter().copied());
        Err(format!(
            "no saved query is called {text:?}{near} (there are: {}); a query begins with its selector, such as {{namespace=\"x\"}}",
            names.join(", ")
        ))
    }
}

/// What Loki is asked about something: a title, a query, a window, and whose pod logs take its place.
type Subject = (String, String, Window, Option<ObjectRef>);

/// Returns what Loki would be asked about what is selected.
pub fn subject(state: &State, store: &Store) -> Option<Subject> {
    if let Some(View::Overview(overview)) = state.view()
        && overview.panel == Panel::Tenants
    {
        let tenant = overview.selected.as_ref()?;
        return Some((format!("logs tenant {tenant}"), of_tenant(state, tenant)?, WINDOW, None));
    }
    let object = state.selected()?;
    let title = |what: &str| format!("logs {what} {}", object.name);
    let namespace = object.namespace.as_deref();
    let within = |more: &str| namespace.map(|name| format!("{{namespace={}{more}}}", logql::quote(name)));
    match (&*object.resource.group, &*object.resource.plural) {
        ("", "pods") => {
            let query = within(&format!(", pod={}", logql::quote(&object.name)))?;
            Some((title("pod"), query, WINDOW, Some(object.clone())))
        }
        ("apps", "deployments" | "statefulsets" | "daemonsets" | "replicasets") | ("batch", "jobs") => {
            let pods = format!("{}-.+", logql::literal(&object.name));
            let query = within(&format!(", pod=~{}", logql::quote(&pods)))?;
            Some((title(&object.resource.plural), query, WINDOW, Some(object.clone())))
        }
        ("", "namespaces") => {
            let query = logql::selector([("namespace", &*object.name)]);
            Some((title("namespace"), query, WINDOW, None))
        }
        _ if object.resource == alerts::alerts() => {
            let raised = store.object(&object)?.body::<Raised>()?;
            let alert = &raised.alert;
            let labels = ["namespace", "pod", "container"];
            let known: Vec<(&str, &str)> =
                labels.iter().filter_map(|name| Some((*name, alert.labels.get(name)?))).collect();
            if known.is_empty() {
                return None;
            }
            let window = match alert.since.map(jiff::Timestamp::as_second) {
                Some(at) => {
                    Window::Between { from: at - BEFORE, to: (at + AFTER).min(state.now.as_second()) }
                }
                None => WINDOW,
            };
            let logs = state.logs_of(store, &object);
            Some((format!("logs around {}", alert.name), logql::selector(known), window, logs))
        }
        ("argoproj.io", "applications") => {
            let tenant = state.tenancy.of_application(namespace?, &object.name)?.clone();
            Some((format!("logs tenant {tenant}"), of_tenant(state, &tenant)?, WINDOW, None))
        }
        _ => None,
    }
}

/// Writes the selector of a tenant's namespaces.
fn of_tenant(state: &State, tenant: &Text) -> Option<String> {
    let mut names: Vec<&Text> = state.tenancy.namespaces_of(tenant).collect();
    names.sort();
    match names.as_slice() {
        [] => None,
        [one] => Some(logql::selector([("namespace", &***one)])),
        several => {
            let all: Vec<String> = several.iter().map(|name| logql::literal(name)).collect();
            Some(format!("{{namespace=~{}}}", logql::quote(&all.join("|"))))
        }
    }
}

/// Opens what Loki has of what is selected.
pub fn open_subject(state: &mut State, store: &Store) {
    if let Some((title, query, window, object)) = subject(state, store) {
        open(state, &title, &query, window, object);
    }
}

/// Tells whether a command does anything on the screen.
pub fn applies(explore: &Explore, command: Command) -> bool {
    match command {
        Command::ReadAnyway => explore.phase == Phase::TooLarge,
        Command::ClearSieves => !explore.sieves.is_empty() || explore.highlight.is_some(),
        Command::LinesAround => explore.back.is_some() || explore.stream.is_some() || !explore.is_empty(),
        Command::Open | Command::MarkLine | Command::CopyLine | Command::ClearLog => !explore.is_empty(),
        Command::EditLogql => explore.pods.is_none() && explore.back.is_none(),
        Command::Follow => match &explore.pods {
            Some(pods) => !pods.previous && pods.until.is_none(),
            None => matches!(explore.of.window, Window::Last { .. }),
        },
        // The lines around one have their own time.
        Command::LinesWindow => explore.back.is_none(),
        Command::TogglePrevious | Command::SinceTail => explore.pods.is_some(),
        Command::NextContainer => explore.pods.as_ref().is_some_and(|pods| pods.containers.len() > 1),
        Command::Timestamps => true,
        _ if since(command).is_some() => explore.back.is_none(),
        _ => command.place() == crate::app::command::Place::Lines,
    }
}

/// Returns the minutes of a window that a key chooses.
fn since(command: Command) -> Option<u32> {
    Some(match command {
        Command::Since1m => 1,
        Command::Since5m => 5,
        Command::Since15m => 15,
        Command::Since30m => 30,
        Command::Since1h => 60,
        Command::Since6h => 360,
        Command::Since24h => 1_440,
        _ => return None,
    })
}

/// Carries out a command on the screen.
pub fn command(state: &mut State, command: Command) -> Vec<Effect> {
    let now = state.now;
    let Some(View::Explore(explore)) = state.views.last_mut() else { return Vec::new() };
    let mut edit = |purpose: Purpose, text: &str| explore.editing = Some((purpose, Line::new(text)));
    match command {
        Command::EditLogql => {
            let mut line = Line::new(&explore.of.query);
            // Where the server says what is wrong, that is where one wants to write.
            if let Some(at) = wrong_at(explore) {
                line.move_to(at);
            }
            explore.editing = Some((Purpose::Query, line));
            explore.suggest();
        }
        Command::LinesWindow => edit(Purpose::Window, ""),
        Command::LinesAround => around(explore),
        Command::HideLines => edit(Purpose::Hide, ""),
        Command::OnlyLines => edit(Purpose::Only, ""),
        Command::Highlight => edit(Purpose::Highlight, ""),
        Command::ChooseFields => {
            let fields = if explore.fields.is_empty() {
                state.config.log_fields.clone()
            } else {
                explore.fields.clone()
            };
            explore.editing = Some((Purpose::Fields, Line::new(&fields.join(" "))));
        }
        Command::FoldLines => explore.fold = !explore.fold,
        Command::ClearSieves => {
            explore.sieves.clear();
            explore.highlight = None;
            explore.sift();
        }
        Command::ReadAnyway => {
            explore.of.allowed = true;
            let before = explore.of.clone();
            explore.restart(&before);
        }
        Command::MarkLine => {
            if let Some(number) = explore.number(explore.page.view.cursor)
                && !explore.marks.remove(&number)
            {
                explore.marks.insert(number);
            }
        }
        Command::CopyLine => {
            let text = marked(explore).map(|line| line.text).collect::<Vec<_>>().join("\n");
            return crate::app::update::copy(state, text);
        }
        Command::Follow => explore.follow = !explore.follow,
        Command::Timestamps => explore.timestamps = !explore.timestamps,
        Command::ClearLog => {
            explore.clear();
            // What was put away is not brought back by scrolling.
            explore.older = Older::Full;
        }
        Command::TogglePrevious | Command::NextContainer | Command::SinceTail => choose(explore, command),
        _ => {
            if let Some(minutes) = since(command) {
                explore.take_window(Window::Last { seconds: minutes * 60 }, now);
            }
        }
    }
    Vec::new()
}

/// Chooses which of the logs that the nodes keep are shown.
fn choose(explore: &mut Explore, command: Command) {
    let Some(pods) = &mut explore.pods else { return };
    match command {
        Command::TogglePrevious => {
            pods.previous = !pods.previous;
            (pods.since, pods.until) = (Since::Tail, None);
        }
        Command::NextContainer => {
            let at =
                pods.container.as_ref().and_then(|one| pods.containers.iter().position(|name| name == one));
            pods.container = match at {
                None => pods.containers.first(),
                Some(at) => pods.containers.get(at + 1),
            }
            .cloned();
        }
        _ => (pods.since, pods.until) = (Since::Tail, None),
    }
    explore.restart_pods();
}

/// Shows the lines around the selected one, of its own stream and without what hides any; or what was shown before.
pub fn around(explore: &mut Explore) {
    if leave_around(explore) {
        return;
    }
    let Some(held) = explore.selected() else { return };
    let (at, text) = (held.at, Box::from(held.text));
    let labels = held.labels()[0].clone();
    if explore.pods.is_some() {
        // All of them are here.
        explore.anchor = Some((at, text));
        explore.stream = Some(labels);
        explore.sift();
        explore.find_anchor();
        return;
    }
    // A server that merges what a program said into the stream does not know that as a label.
    let names = &explore.completion.labels;
    let known = |name: &str| {
        !matches!(name, "detected_level" | "__error__" | "__error_details__")
            && (names.is_empty() || names.iter().any(|one| **one == *name))
    };
    let selector = logql::selector(labels.iter().filter(|(name, _)| known(name)));
    let second = at.div_euclid(1_000_000_000);
    let window = Window::Between { from: second - AROUND, to: second + AROUND };
    let mut new = Explore::new(explore.of.context.clone(), "lines around one", &selector, window);
    new.of.around = Some(at);
    // Some hundred lines are read, however many there are.
    new.of.allowed = true;
    new.of.turn = explore.of.turn + 1;
    new.anchor = Some((at, text));
    new.follow = false;
    new.object.clone_from(&explore.object);
    (new.timestamps, new.fold, new.page.wrap) = (explore.timestamps, explore.fold, explore.page.wrap);
    new.fields.clone_from(&explore.fields);
    new.highlight.clone_from(&explore.highlight);
    new.completion.labels.clone_from(&explore.completion.labels);
    new.page.search.text.clone_from(&explore.page.search.text);
    let before = std::mem::replace(explore, new);
    explore.back = Some(Box::new(before));
}

/// Goes back from the lines around one; tells whether there was something to go back to.
pub fn leave_around(explore: &mut Explore) -> bool {
    if let Some(before) = explore.back.take() {
        *explore = *before;
        explore.follow = false;
        return true;
    }
    if explore.stream.is_some() {
        explore.anchor = explore.selected().map(|line| (line.at, line.text.into()));
        explore.stream = None;
        explore.sift();
        explore.find_anchor();
        return true;
    }
    false
}

/// Returns the byte of the query at which the server says that it is wrong.
pub fn wrong_at(explore: &Explore) -> Option<usize> {
    match &explore.failure {
        Some(SourceError::Invalid { reason, .. }) => logql::position(&explore.of.query, reason),
        _ => None,
    }
}

/// Returns the marked lines, else the selected one.
fn marked(explore: &Explore) -> impl Iterator<Item = crate::store::lines::Held<'_>> {
    let cursor = explore.page.view.cursor;
    (0..explore.len())
        .filter(move |row| match explore.number(*row) {
            _ if explore.marks.is_empty() => *row == cursor,
            Some(number) => explore.marks.contains(&number),
            None => false,
        })
        .filter_map(|row| explore.line(row))
}

/// Moves over lines; going up to the oldest asks for older ones.
pub fn step(explore: &mut Explore, by: isize, page: usize) {
    let len = explore.len();
    explore.page.view.step(by, len);
    explore.page.view.settle(len, page);
    let ends = match &explore.pods {
        Some(pods) => pods.until.is_some() || pods.previous,
        None => matches!(explore.of.window, Window::Between { .. }),
    };
    explore.follow = by > 0 && explore.page.view.cursor + 1 >= len && !ends;
    explore.centred = false;
    if by < 0 {
        explore.look_back();
    } else {
        explore.look_on();
    }
}

/// Takes the line that is typed.
pub fn submit(state: &mut State) -> Vec<Effect> {
    let (now, zone) = (state.now, state.zone.clone());
    let Some(View::Explore(explore)) = state.views.last_mut() else { return Vec::new() };
    let query = matches!(explore.editing, Some((Purpose::Query, _)));
    if let Err(error) = explore.take_line(now, &zone) {
        state.say(Health::Warning, error);
    } else if query {
        let query = explore.of.query.to_string();
        remember(state, &query);
    }
    Vec::new()
}

/// Brings an earlier or later query back into the line.
pub fn recall(state: &mut State, by: isize) {
    let queried = state.queried.clone();
    let Some(View::Explore(explore)) = state.views.last_mut() else { return };
    let Some((Purpose::Query, line)) = &mut explore.editing else { return };
    let at = queried.iter().rposition(|one| one == line.text()).unwrap_or(queried.len());
    match queried.get(at.saturating_add_signed(by)) {
        Some(query) => line.set(query),
        None if by > 0 => line.set(""),
        None => {}
    }
    explore.suggest();
}

/// Takes `:save PATH`: the marked lines, else all that are shown, as they were written; with time and labels where
/// the file is one of JSON.
pub fn save(state: &mut State, path: &str) -> Result<Vec<Effect>, String> {
    let Some(View::Explore(explore)) = state.view() else { return Ok(Vec::new()) };
    if path.is_empty() {
        return Err("save needs a file after it; one that is there is not written over".to_owned());
    }
    if explore.is_empty() {
        return Err("there are no lines to save".to_owned());
    }
    let json = [".json", ".jsonl", ".ndjson"].iter().any(|end| path.ends_with(end));
    let mut bytes = Vec::new();
    for row in 0..explore.len() {
        let wanted = explore.marks.is_empty()
            || explore.number(row).is_some_and(|number| explore.marks.contains(&number));
        if let Some(line) = explore.line(row).filter(|line| wanted && line.sort == Sort::Line) {
            if json {
                bytes.extend_from_slice(object(&line).to_string().as_bytes());
            } else {
                bytes.extend_from_slice(line.bytes());
            }
            bytes.push(b'\n');
        }
        if bytes.len() > SAVED {
            return Err(format!(
                "more than {} would be written: mark some lines",
                human::quantity(SAVED as f64, Unit::Bytes)
            ));
        }
    }
    state.overlay = None;
    Ok(vec![Effect::SaveLines { path: path.into(), bytes: Arc::from(bytes) }])
}

/// Writes a line with its time and labels as `opsdeck logs -o json` does.
fn object(line: &crate::store::lines::Held<'_>) -> serde_json::Value {
    let labels = |labels: &crate::signals::Labels| -> serde_json::Map<String, serde_json::Value> {
        labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    };
    let [own, metadata, parsed] = line.labels().map(labels);
    serde_json::json!({
        "at": jiff::Timestamp::from_nanosecond(i128::from(line.at)).ok(),
        "text": String::from_utf8_lossy(line.bytes()),
        "labels": own,
        "metadata": metadata,
        "parsed": parsed,
    })
}

/// Takes what is heard of lines; without a Loki, the pod logs of the object take the place of the screen.
pub fn hear(state: &mut State, of: &LinesOf, news: LinesNews) {
    let (bound, now) = (state.config.log_lines, state.now);
    let Some(View::Explore(explore)) = state.views.last_mut() else { return };
    if explore.of != *of || explore.pods.is_some() {
        return;
    }
    let absent = matches!(&news, LinesNews::Failed(SourceError::Missing { .. } | SourceError::Denied { .. }));
    let object = explore.object.clone().filter(|_| absent && explore.lines.is_empty());
    match object {
        None => explore.hear(news, bound),
        Some(object) => {
            let window = explore.of.window;
            explore.take_pods(Pods::new(object, false));
            explore.take_window(window, now);
            state.say(Health::Idle, "Loki cannot be asked: these are the logs that the nodes keep");
        }
    }
}
