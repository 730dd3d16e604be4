//! What commands do on the log screen, and the ways to it: a line of the palette, a saved query, what is selected.

use std::sync::Arc;

use super::{Explore, LinesNews, LinesOf, Phase, Purpose};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::history::View;
use crate::app::line::Line;
use crate::app::logs::Logs;
use crate::app::overview::Panel;
use crate::app::state::State;
use crate::config::queries;
use crate::identity::{ObjectRef, Text};
use crate::kinds::{Health, alerts};
use crate::nearest::did_you_mean;
use crate::signals::{Raised, Window};
use crate::sources::{SourceError, logql};
use crate::store::Store;

/// How far back where nothing is said: 15 minutes.
const WINDOW: Window = Window::Last { seconds: 900 };

/// Seconds before an alert began from which its lines are shown.
const BEFORE: i64 = 900;

/// Seconds after an alert began until which they are shown.
const AFTER: i64 = 1_800;

/// How many queries are remembered.
const REMEMBERED: usize = 100;

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
    if state.queried.len() > REMEMBERED {
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
        Command::Open | Command::MarkLine | Command::CopyLine => !explore.is_empty(),
        Command::Follow => matches!(explore.of.window, Window::Last { .. }),
        Command::Timestamps
        | Command::Since5m
        | Command::Since15m
        | Command::Since1h
        | Command::Since6h
        | Command::Since24h => true,
        _ => command.place() == crate::app::command::Place::Lines,
    }
}

/// Carries out a command on the screen.
pub fn command(state: &mut State, command: Command) -> Vec<Effect> {
    let Some(View::Explore(explore)) = state.views.last_mut() else { return Vec::new() };
    let mut edit = |purpose: Purpose, text: &str| {
        explore.editing = Some((purpose, Line::new(text)));
        explore.suggest();
    };
    match command {
        Command::EditLogql => {
            let query = explore.of.query.clone();
            let explore = &mut *explore;
            explore.editing = Some((Purpose::Query, Line::new(&query)));
            explore.suggest();
        }
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
            explore.restart();
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
        Command::Since5m => window(explore, 300),
        Command::Since15m => window(explore, 900),
        Command::Since1h => window(explore, 3_600),
        Command::Since6h => window(explore, 21_600),
        Command::Since24h => window(explore, 86_400),
        _ => {}
    }
    Vec::new()
}

fn window(explore: &mut Explore, seconds: u32) {
    explore.of.window = Window::Last { seconds };
    explore.of.allowed = false;
    explore.restart();
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
    explore.follow = by > 0 && explore.page.view.cursor + 1 >= len;
    if by < 0 {
        explore.look_back();
    }
}

/// Takes the line that is typed.
pub fn submit(state: &mut State) -> Vec<Effect> {
    let Some(View::Explore(explore)) = state.views.last_mut() else { return Vec::new() };
    let query = matches!(explore.editing, Some((Purpose::Query, _)));
    if let Err(error) = explore.take_line() {
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

/// Takes `:save PATH`: the marked lines, else all that are shown, as they were written.
pub fn save(state: &mut State, path: &str) -> Result<Vec<Effect>, String> {
    let Some(View::Explore(explore)) = state.view() else { return Ok(Vec::new()) };
    if path.is_empty() {
        return Err("save needs a file after it; one that is there is not written over".to_owned());
    }
    let mut bytes = Vec::new();
    for row in 0..explore.len() {
        let wanted = explore.marks.is_empty()
            || explore.number(row).is_some_and(|number| explore.marks.contains(&number));
        if let Some(line) = explore.line(row).filter(|_| wanted) {
            bytes.extend_from_slice(line.bytes());
            bytes.push(b'\n');
        }
        if bytes.len() > SAVED {
            break;
        }
    }
    state.overlay = None;
    Ok(vec![Effect::SaveLines { path: path.into(), bytes: Arc::from(bytes) }])
}

/// Takes what is heard of lines; without a Loki, the pod logs of the object take the place of the screen.
pub fn hear(state: &mut State, of: &LinesOf, news: LinesNews) {
    let bound = state.config.log_lines;
    let Some(View::Explore(explore)) = state.views.last_mut() else { return };
    if explore.of != *of {
        return;
    }
    let absent = matches!(&news, LinesNews::Failed(SourceError::Missing { .. } | SourceError::Denied { .. }));
    let object = explore.object.clone().filter(|_| absent && explore.lines.is_empty());
    match object {
        None => explore.hear(news, bound),
        Some(object) => {
            if let Some(view) = state.views.last_mut() {
                *view = View::Logs(Logs::new(object, false));
            }
            state.say(Health::Idle, "Loki cannot be asked: these are the logs that the nodes keep");
        }
    }
}
