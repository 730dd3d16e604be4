//! What keys do in a board.

use super::prompt::{Prompt, Purpose};
use super::{About, Asked, BoardView, panels, span};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::history::View;
use crate::app::overview::Panel;
use crate::app::state::State;
use crate::app::viewport::Viewport;
use crate::boards::{Board, Subject};
use crate::identity::{ObjectRef, Text};
use crate::kinds::Health;
use crate::nearest::did_you_mean;
use crate::rows::Scope;
use crate::signals::{Wanted, Window};
use crate::store::Store;
use std::sync::Arc;

/// How many expressions are remembered.
const SAID: usize = 100;

/// Carries out a command of a board.
pub fn command(state: &mut State, command: Command) -> Vec<Effect> {
    let now = state.now;
    let width = state.size.0;
    let Some(View::Board(view)) = state.views.last_mut() else { return Vec::new() };
    let last = |seconds: u32| Window::Last { seconds };
    match command {
        Command::ZoomIn => view.window = span::zoom(view.window, true, view.cursor),
        Command::ZoomOut => view.window = span::zoom(view.window, false, view.cursor),
        Command::PanEarlier => view.window = span::pan(view.window, false, now),
        Command::PanLater => view.window = span::pan(view.window, true, now),
        Command::WindowNow => {
            view.window = last(view.window.seconds());
            view.cursor = None;
        }
        Command::Window15m => view.window = last(span::PRESETS[0]),
        Command::Window1h => view.window = last(span::PRESETS[1]),
        Command::Window3h => view.window = last(span::PRESETS[2]),
        Command::Window12h => view.window = last(span::PRESETS[3]),
        Command::Window24h => view.window = last(span::PRESETS[4]),
        Command::Window7d => view.window = last(span::PRESETS[5]),
        Command::WindowOther => view.prompt = Some(Prompt::window()),
        Command::TimeEarlier => read(view, -1, width, now),
        Command::TimeLater => read(view, 1, width, now),
        Command::EditQuery => {
            let asked = view
                .panels
                .get(view.panel)
                .and_then(|panel| panel.asked.iter().find(|asked| is_promql(asked)));
            let text = view.edited.get(&view.panel).or_else(|| asked.map(|asked| &asked.expr));
            view.prompt = Some(Prompt::query(text.map_or("", |text| text)));
        }
        Command::ResetQuery => {
            view.edited.remove(&view.panel);
        }
        Command::SortSeries => view.order = view.order.next(),
        _ => {}
    }
    Vec::new()
}

/// Tells whether a question is one that a person can write: those to CloudWatch are changed in the file of the board.
fn is_promql(asked: &Asked) -> bool {
    !matches!(asked.ask.wanted, Wanted::Figures { .. })
}

/// Tells whether a command of a board would do anything.
pub fn applies(view: &BoardView, command: Command) -> bool {
    match command {
        Command::WindowNow => matches!(view.window, Window::Between { .. }) || view.cursor.is_some(),
        Command::PanLater => matches!(view.window, Window::Between { .. }),
        Command::ResetQuery => !view.is_query() && view.edited.contains_key(&view.panel),
        Command::SortSeries => view.large,
        Command::EditQuery => {
            let panel = view.panels.get(view.panel);
            view.edited.contains_key(&view.panel)
                || view.is_query()
                || panel.is_some_and(|panel| panel.asked.iter().any(is_promql))
        }
        _ => true,
    }
}

/// Moves the time that is read by a value.
fn read(view: &mut BoardView, by: i64, width: u16, now: jiff::Timestamp) {
    let step = panels::step(view, width);
    let (from, to) = span::bounds(view.window, step, now);
    let at = view.cursor.unwrap_or(to) + by * i64::from(step);
    view.cursor = Some(at.clamp(from, to));
}

/// Takes away the uppermost thing of a board; tells whether there was one.
pub fn back(view: &mut BoardView) -> bool {
    if view.cursor.take().is_some() {
        return true;
    }
    if view.large && !view.is_single() {
        view.large = false;
        return true;
    }
    false
}

/// Takes the line that is typed.
pub fn submit(state: &mut State) {
    let (now, zone) = (state.now, state.zone.clone());
    let Some(View::Board(view)) = state.views.last_mut() else { return };
    let Some(prompt) = &mut view.prompt else { return };
    let text = prompt.line.text().trim().to_owned();
    match prompt.purpose {
        Purpose::Window => match span::read(&text, now, &zone) {
            Ok(window) => {
                view.window = window;
                view.cursor = None;
                view.prompt = None;
            }
            Err(error) => prompt.error = Some(error),
        },
        Purpose::Query => {
            if prompt.chosen.is_some() {
                prompt.complete();
                return;
            }
            view.prompt = None;
            if text.is_empty() {
                view.edited.remove(&view.panel);
                return;
            }
            view.edited.insert(view.panel, Text::from(text.as_str()));
            remember(state, text);
        }
    }
}

fn remember(state: &mut State, text: String) {
    state.queries.retain(|one| *one != text);
    state.queries.push(text);
    if state.queries.len() > SAID {
        state.queries.remove(0);
    }
}

/// Moves over panels, or over the series of the one that is shown alone.
pub fn step(view: &mut BoardView, by: isize) {
    if view.large {
        let len = view.panels.get(view.panel).map_or(0, |panel| panel.series.len());
        view.series.step(by, len);
        return;
    }
    let count = view.board.panels.len();
    let columns = isize::try_from(view.columns.max(1)).unwrap_or(1);
    let to = match by {
        isize::MIN => 0,
        isize::MAX => count.saturating_sub(1),
        by => {
            let to = view.panel.saturating_add_signed(by.saturating_mul(columns));
            // The row above the first and below the last is where one is.
            if by < 0 && view.panel < view.columns { view.panel } else { to }
        }
    };
    view.panel = to.min(count.saturating_sub(1));
}

/// Goes to the next panel or the one before, round the end.
pub fn beside(view: &mut BoardView, by: isize) {
    let count = view.board.panels.len().max(1);
    view.panel = (view.panel + count).saturating_add_signed(by) % count;
    view.series = Viewport::default();
}

/// Opens the board that fits what is selected, or the list where none does.
pub fn fitting(state: &mut State, store: &Store) {
    let subject = selected(state, store);
    let board = state.boards.fitting(&subject.facets()).cloned();
    match board {
        Some(board) => {
            let about = if is_scope(state, &subject) { About::Scope } else { About::Subject(subject) };
            open(state, board, about);
        }
        None => list(state),
    }
}

/// Tells whether a subject says no more than the scope does.
fn is_scope(state: &State, subject: &Subject) -> bool {
    let alone = subject.pod.is_none() && subject.node.is_none() && subject.workload.is_none();
    let same = state.scope.tenant.is_some() && state.scope.tenant == subject.tenant;
    alone && subject.application.is_none() && same
}

/// Shows the list of boards.
pub fn list(state: &mut State) {
    state.overlay = None;
    if !matches!(state.view(), Some(View::Boards(_))) {
        state.views.open(View::Boards(Viewport::default()));
    }
}

/// Opens a board.
pub fn open(state: &mut State, board: Arc<Board>, about: About) {
    state.overlay = None;
    let mut view = BoardView::new(board, about);
    // Who goes from board to board looks at the same time.
    if let Some(View::Board(before)) = state.view() {
        view.window = before.window;
        view.cursor = before.cursor;
    }
    state.views.open(View::Board(view));
}

/// Opens the prompt's board.
pub fn query(state: &mut State, expr: &str) {
    let mut view = BoardView::of_expression(expr);
    if let Some(View::Board(before)) = state.view() {
        view.window = before.window;
    }
    let expr = expr.trim();
    if !expr.is_empty() {
        remember(state, expr.to_owned());
    }
    state.overlay = None;
    state.views.open(View::Board(view));
}

/// Opens the board of a name, for a scope where one is given; the error is a sentence.
pub fn named(state: &mut State, store: &Store, name: &str, scope: Option<Scope>) -> Result<(), String> {
    let Some(board) = state.boards.get(name).cloned() else {
        let names: Vec<&str> = state.boards.iter().map(|board| &*board.name).collect();
        let near = did_you_mean(name, names.iter().copied());
        return Err(format!("no board is called {name:?}{near} (there are: {})", names.join(", ")));
    };
    if let Some(scope) = scope {
        state.scope = scope;
        open(state, board, About::Scope);
        return Ok(());
    }
    // What is selected fills the board where it can; else the scope does.
    let subject = selected(state, store);
    let fits = subject.facets().iter().any(|facet| board.fits.contains(facet));
    let about = if fits && !is_scope(state, &subject) { About::Subject(subject) } else { About::Scope };
    open(state, board, about);
    Ok(())
}

/// Opens the board that is selected in the list.
pub fn open_listed(state: &mut State, store: &Store) {
    let Some(View::Boards(list)) = state.view() else { return };
    let Some(name) = state.boards.iter().nth(list.cursor).map(|board| board.name.to_string()) else { return };
    if let Err(error) = named(state, store, &name, None) {
        state.say(Health::Warning, error);
    }
}

/// Returns what is selected, or shown, or what the scope says, as boards see it.
pub fn selected(state: &State, store: &Store) -> Subject {
    if let Some(View::Overview(overview)) = state.view()
        && overview.panel == Panel::Tenants
        && let Some(tenant) = &overview.selected
    {
        return panels::of_tenant(tenant, &state.tenants);
    }
    if let Some(View::Board(view)) = state.view() {
        return view.subject.clone();
    }
    // From the list one opens a board for what was selected before.
    let object = match state.view() {
        Some(View::Boards(_)) => match state.views.previous() {
            Some(View::Table(table)) => table.selected.clone(),
            Some(View::Detail(detail)) => Some(detail.object.clone()),
            Some(View::Application(app)) => Some(app.object.clone()),
            Some(View::Board(view)) => return view.subject.clone(),
            _ => None,
        },
        _ => state.selected(),
    };
    let by_scope = || match &state.scope.tenant {
        Some(tenant) => panels::of_tenant(tenant, &state.tenants),
        None => Subject { namespaces: state.scope.namespace.iter().cloned().collect(), ..Subject::default() },
    };
    object.map_or_else(by_scope, |object| of_object(state, store, &object))
}

fn of_object(state: &State, store: &Store, object: &ObjectRef) -> Subject {
    let namespaces: Vec<Text> = object.namespace.iter().cloned().collect();
    let tenant = object.namespace.as_ref().and_then(|one| state.tenancy.of_namespace(one)).cloned();
    let name = &object.name;
    let plural = &*object.resource.plural;
    match (&*object.resource.group, plural) {
        ("", "pods") => Subject { pod: Some(name.clone()), namespaces, tenant, ..Subject::default() },
        ("", "nodes") => Subject { node: Some(name.clone()), ..Subject::default() },
        ("", "namespaces") => Subject {
            namespaces: vec![name.clone()],
            tenant: state.tenancy.of_namespace(name).cloned(),
            ..Subject::default()
        },
        ("argoproj.io", "applications") => {
            let slim = store.object(object);
            let slim = slim.and_then(|one| one.body::<crate::kinds::applications::Application>());
            let within = object.namespace.as_deref().unwrap_or_default();
            Subject {
                application: Some(name.clone()),
                namespaces: slim.and_then(|slim| slim.namespace.clone()).into_iter().collect(),
                tenant: state.tenancy.of_application(within, name).cloned(),
                ..Subject::default()
            }
        }
        (
            "apps" | "batch",
            "deployments" | "statefulsets" | "daemonsets" | "replicasets" | "jobs" | "cronjobs",
        ) => Subject { tenant, ..Subject::of_workload(plural, object.namespace.as_ref(), name) },
        _ => Subject { tenant, namespaces, ..Subject::default() },
    }
}
