//! Moving: over rows, over lines of text, between panels, from match to match.

use crate::app::application::Pane;
use crate::app::command::Command;
use crate::app::detail::{Entry, Page, Tab};
use crate::app::effect::Effect;
use crate::app::going;
use crate::app::history::View;
use crate::app::overview::Panel;
use crate::app::spot::Spot;
use crate::app::state::{Overlay, State};
use crate::app::viewport::Viewport;
use crate::store::Store;

/// How many columns of text one step to the side moves.
const ASIDE: usize = 8;

/// The panel that tables, texts and the chooser are drawn in.
const MAIN: usize = 0;

/// Carries out a command of moving.
pub fn command(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    let page = page(state);
    let page = isize::try_from(page.saturating_sub(1).max(1)).unwrap_or(isize::MAX);
    match command {
        Command::Open => return open(state, store),
        Command::Up => step(state, store, -1),
        Command::Down => step(state, store, 1),
        Command::PageUp => step(state, store, -page),
        Command::PageDown => step(state, store, page),
        Command::Top => step(state, store, isize::MIN),
        Command::Bottom => step(state, store, isize::MAX),
        Command::Left => aside(state, false),
        Command::Right => aside(state, true),
        _ => {}
    }
    Vec::new()
}

/// Returns how many rows of the panel with the keys fit; before the first frame as many as the terminal has.
pub fn page(state: &State) -> usize {
    let panel = match state.view() {
        _ if state.overlay.is_some() => MAIN,
        Some(View::Overview(overview)) => overview.panel as usize,
        Some(View::Application(app)) => app.pane as usize,
        _ => MAIN,
    };
    let before_first_frame = usize::from(state.size.1).saturating_sub(6).max(1);
    state.spots.page(panel).unwrap_or(before_first_frame)
}

fn step(state: &mut State, store: &Store, by: isize) {
    let page = page(state);
    if let Some(Overlay::Help(_)) = &state.overlay {
        let len = state.help(store).len();
        if let Some(Overlay::Help(help)) = &mut state.overlay {
            help.view.scroll(by, len, page);
        }
        return;
    }
    let running = state.running.len();
    match state.views.last_mut() {
        Some(View::Table(table)) => match &mut table.chooser {
            Some(chooser) => chooser.view.step(by, chooser.columns.len()),
            None => table.step(store, by),
        },
        Some(View::Overview(overview)) => match overview.panel {
            Panel::Tenants => {
                overview.tenants.step(by, overview.ranking.len());
                overview.selected = overview.ranking.get(overview.tenants.cursor).cloned();
            }
            Panel::Changes => overview.changes.step(by, overview.changed.len()),
            Panel::Held => {
                overview.holds.step(by, overview.held.len());
                // The next settling names what the cursor is on now.
                overview.hold = None;
            }
        },
        Some(View::Detail(detail)) => {
            let len = detail.len();
            match detail.tab {
                Tab::Describe => detail.describe.view.step(by, len),
                Tab::Yaml => detail.page.view.scroll(by, len, page),
            }
        }
        Some(View::Application(app)) => {
            let len = app.len();
            app.views[app.pane as usize].step(by, len);
        }
        Some(View::Explore(view)) => super::explore::commands::step(view, by, page),
        Some(View::Board(board)) => super::board::commands::step(board, by),
        Some(View::Boards(view)) => view.step(by, state.boards.len()),
        Some(View::Actions(view)) => view.step(by, running),
        Some(View::Info(view)) => view.top = view.top.saturating_add_signed(by.max(-10_000)).min(10_000),
        None => {}
    }
}

fn aside(state: &mut State, right: bool) {
    let moved = |left: usize, by: usize| if right { left + by } else { left.saturating_sub(by) };
    if let Some(View::Table(table)) = state.views.last_mut() {
        table.left = moved(table.left, 1).min(64);
    } else if let Some(page) = page_mut(state) {
        page.left = moved(page.left, ASIDE);
    }
}

/// Gives the keys to the next panel of the view, or to the one before.
pub fn panel(state: &mut State, by: isize) {
    match state.views.last_mut() {
        Some(View::Overview(overview)) => {
            let all = [Panel::Tenants, Panel::Changes, Panel::Held];
            // A panel that is not drawn is passed over.
            let panels = if overview.held.is_empty() { &all[..2] } else { &all[..] };
            let at = panels.iter().position(|panel| *panel == overview.panel).unwrap_or(0);
            overview.panel = panels[(at + panels.len()).saturating_add_signed(by) % panels.len()];
        }
        Some(View::Application(app)) => {
            let count = Pane::ALL.len();
            let at = (app.pane as usize + count).saturating_add_signed(by) % count;
            app.pane = Pane::ALL[at];
        }
        Some(View::Detail(detail)) => {
            detail.tab = match detail.tab {
                Tab::Describe => Tab::Yaml,
                Tab::Yaml => Tab::Describe,
            };
        }
        Some(View::Board(board)) => super::board::commands::beside(board, by),
        _ => {}
    }
}

/// Notes that the person means what is selected: from here on it stays selected, wherever it moves.
pub fn choose(state: &mut State) {
    match state.views.last_mut() {
        Some(View::Table(table)) => table.chosen = true,
        Some(View::Overview(overview)) => overview.chosen = true,
        _ => {}
    }
}

/// Selects a row that was clicked.
pub fn select(state: &mut State, store: &Store, panel: usize, index: usize) {
    choose(state);
    match state.views.last_mut() {
        Some(View::Table(table)) => match &mut table.chooser {
            Some(chooser) => chooser.view.select(index, chooser.columns.len()),
            None => table.select(store, index),
        },
        Some(View::Overview(overview)) => {
            if panel == Panel::Changes as usize {
                overview.panel = Panel::Changes;
                overview.changes.select(index, overview.changed.len());
            } else if panel == Panel::Held as usize {
                overview.panel = Panel::Held;
                overview.holds.select(index, overview.held.len());
                overview.hold = None;
            } else {
                overview.panel = Panel::Tenants;
                overview.tenants.select(index, overview.ranking.len());
                overview.selected = overview.ranking.get(overview.tenants.cursor).cloned();
            }
        }
        Some(View::Detail(detail)) => {
            let len = detail.len();
            detail.page_mut().view.select(index, len);
        }
        Some(View::Application(app)) => {
            if let Some(pane) = Pane::ALL.get(panel) {
                app.pane = *pane;
            }
            let len = app.len();
            app.views[app.pane as usize].select(index, len);
        }
        Some(View::Board(board)) if board.large => {
            let len = board.panels.get(board.panel).map_or(0, |panel| panel.series.len());
            board.series.select(index, len);
        }
        Some(View::Board(board)) => board.panel = index.min(board.board.panels.len().saturating_sub(1)),
        Some(View::Boards(view)) => view.select(index, state.boards.len()),
        Some(View::Actions(view)) => view.cursor = index,
        _ => {}
    }
}

/// Turns the wheel over something.
pub fn scroll(state: &mut State, store: &Store, spot: Option<Spot>, lines: isize) {
    match &mut state.overlay {
        Some(Overlay::Question(question)) => {
            question.top = question.top.saturating_add_signed(lines);
            return;
        }
        Some(Overlay::Help(help)) => {
            help.view.top = help.view.top.saturating_add_signed(lines);
            return;
        }
        Some(Overlay::Palette(_)) => return,
        None => {}
    }
    choose(state);
    let page = page(state);
    let running = state.running.len();
    match state.views.last_mut() {
        Some(View::Overview(overview)) => {
            let over = match spot {
                Some(Spot::Panel(panel) | Spot::Row { panel, .. }) => panel,
                _ => overview.panel as usize,
            };
            if over == Panel::Held as usize {
                overview.holds.scroll(lines, overview.held.len(), page);
                overview.hold = None;
            } else if over == Panel::Changes as usize {
                overview.changes.scroll(lines, overview.changed.len(), page);
            } else {
                overview.tenants.scroll(lines, overview.ranking.len(), page);
                overview.selected = overview.ranking.get(overview.tenants.cursor).cloned();
            }
        }
        Some(View::Table(table)) => {
            let len = table.len();
            table.view.scroll(lines, len, page);
            table.select(store, table.view.cursor);
        }
        Some(View::Detail(detail)) => {
            let len = detail.len();
            detail.page_mut().view.scroll(lines, len, page);
        }
        Some(View::Application(app)) => {
            let len = app.len();
            app.views[app.pane as usize].scroll(lines, len, page);
        }
        Some(View::Explore(view)) => super::explore::commands::step(view, lines, page),
        Some(View::Board(board)) => super::board::commands::step(board, lines.signum()),
        Some(View::Boards(view)) => view.scroll(lines, state.boards.len(), page),
        Some(View::Actions(view)) => view.scroll(lines, running, page),
        Some(View::Info(view)) => view.top = view.top.saturating_add_signed(lines),
        None => {}
    }
}

/// Goes into what is selected.
fn open(state: &mut State, store: &Store) -> Vec<Effect> {
    match state.view() {
        Some(View::Overview(overview)) => match overview.panel {
            Panel::Tenants => {
                let tenant = overview.selected.clone();
                going::into_tenant(state, tenant)
            }
            Panel::Changes => match state.change_object(overview) {
                Some(object) => going::open(state, object),
                None => Vec::new(),
            },
            Panel::Held => match overview.hold.clone() {
                Some(object) => going::open(state, object),
                None => Vec::new(),
            },
        },
        Some(View::Table(table)) => {
            if let Some(object) = table.selected.clone() {
                return going::open(state, object);
            }
            if let Some(View::Table(table)) = state.views.last_mut() {
                table.groups.toggle();
            }
            Vec::new()
        }
        Some(View::Detail(detail)) => match detail.entries.get(detail.describe.view.cursor) {
            Some(Entry::Related { to, .. }) => {
                let to = to.clone();
                going::follow(state, to)
            }
            _ => Vec::new(),
        },
        Some(View::Application(app)) => match app.pane {
            Pane::Resources => match app.selected() {
                // The first row is the Application itself, whose fields are shown.
                Some(object) if object == app.object => going::detail(state, object, Tab::Describe),
                Some(object) => going::open(state, object),
                None => Vec::new(),
            },
            Pane::History => super::asking::ask(state, store, Command::Rollback),
            Pane::Operation | Pane::Conditions => Vec::new(),
        },
        Some(View::Board(_)) => {
            if let Some(View::Board(board)) = state.views.last_mut() {
                board.large = true;
            }
            Vec::new()
        }
        Some(View::Explore(_)) => {
            if let Some(View::Explore(view)) = state.views.last_mut() {
                view.opened = !view.opened;
            }
            Vec::new()
        }
        Some(View::Boards(_)) => {
            super::board::commands::open_listed(state, store);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Returns the text that is shown, to be changed.
pub fn page_mut(state: &mut State) -> Option<&mut Page> {
    if let Some(Overlay::Help(page)) = &mut state.overlay {
        return Some(page);
    }
    match state.views.last_mut()? {
        View::Detail(detail) => Some(detail.page_mut()),
        View::Explore(view) => Some(&mut view.page),
        _ => None,
    }
}

/// Returns the lines of the text that is shown.
pub fn lines(state: &State, store: &Store) -> Vec<String> {
    if let Some(Overlay::Help(_)) = &state.overlay {
        return state.help(store).into_iter().map(|(keys, doc)| format!("{keys} {doc}")).collect();
    }
    match state.view() {
        Some(View::Detail(detail)) => match detail.tab {
            Tab::Yaml => detail.yaml.clone(),
            Tab::Describe => detail.entries.iter().map(|entry| entry.text(state.now)).collect(),
        },
        Some(View::Explore(view)) => {
            (0..view.len()).filter_map(|row| view.line(row)).map(|line| line.text.to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

/// Goes to the next match of the search, or to the one before, round the end.
pub fn to_match(state: &mut State, by: isize) {
    let page = page(state);
    let Some(search) = state.search_mut() else { return };
    let count = search.matches.len();
    if count == 0 {
        return;
    }
    search.at = (search.at + count).saturating_add_signed(by) % count;
    let line = search.matches.get(search.at).copied().unwrap_or_default();
    if let Some(View::Explore(view)) = state.views.last_mut() {
        (view.follow, view.centred) = (false, false);
    }
    if let Some(text) = page_mut(state) {
        show_line(&mut text.view, line, page);
    }
}

/// Brings a line into sight with some lines around it.
pub fn show_line(view: &mut Viewport, line: usize, page: usize) {
    view.cursor = line;
    if line < view.top || line >= view.top + page {
        view.top = line.saturating_sub(page / 3);
    }
}
