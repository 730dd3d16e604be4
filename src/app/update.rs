//! `update`: an action changes the state and yields effects. Pure and synchronous.
//!
//! This module says what a command does to the view it is given in; what belongs together stands in a module of
//! its own: moving ([`super::moving`]), going to places ([`super::going`]), asking before a change
//! ([`super::asking`]), what tasks say ([`super::hearing`]).

use crate::app::action::Action;
use crate::app::application::{Application, Pane};
use crate::app::command::{Command, Place};
use crate::app::detail::{Page, Tab};
use crate::app::effect::Effect;
use crate::app::explore::Explore;
use crate::app::history::View;
use crate::app::line::Line;
use crate::app::overview::Panel;
use crate::app::spot::Spot;
use crate::app::state::{Overlay, State};
use crate::app::table::{Chooser, Sort, status_column};
use crate::app::viewport::Viewport;
use crate::app::{asking, going, hearing, memory, moving, typing};
use crate::kinds::Health;
use crate::store::Store;

/// Seconds within which a second click on the same row opens it.
const DOUBLE_CLICK: f64 = 0.5;

/// Applies an action and returns what is to be done.
pub fn update(state: &mut State, store: &Store, action: Action) -> Vec<Effect> {
    let mut effects = meant(state, store, action);
    if memory::keep(state) {
        effects.push(Effect::Remember(Box::new(state.memory.clone())));
    }
    effects
}

fn meant(state: &mut State, store: &Store, action: Action) -> Vec<Effect> {
    match action {
        Action::Run(command) => run(state, store, command),
        Action::Type(letter) => {
            if let Some(line) = state.line_mut() {
                line.insert(letter.encode_utf8(&mut [0; 4]));
            }
            typing::changed(state, store);
            Vec::new()
        }
        Action::Paste(text) => {
            typing::paste(state, store, &text);
            Vec::new()
        }
        Action::Click(spot) => click(state, store, spot),
        Action::Scroll { spot, lines } => {
            moving::scroll(state, store, spot, lines);
            Vec::new()
        }
        Action::Resize { width, height } => {
            state.size = (width, height);
            Vec::new()
        }
        Action::Tick(now) => {
            state.now = now;
            if state.revealed.as_ref().is_some_and(|(_, until)| now >= *until) {
                state.revealed = None;
            }
            let over = |at: jiff::Timestamp| now.as_second() - at.as_second() >= super::state::Status::STAYS;
            if state.status.as_ref().is_some_and(|status| over(status.at)) {
                state.status = None;
            }
            Vec::new()
        }
        Action::Said(message) => hearing::hear(state, store, message),
    }
}

/// Carries out a command, wherever it came from: a key, the footer, the palette.
pub fn run(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    if matches!(command.place(), Place::Verb | Place::List | Place::Object)
        || matches!(command, Command::Mark | Command::MarkRange)
    {
        moving::choose(state);
    }
    if command.verb().is_some() {
        return asking::ask(state, store, command);
    }
    match command.place() {
        Place::Always => always(state, command),
        Place::Global => global(state, store, command),
        Place::Plan => asking::command(state, store, command),
        Place::Input => typing::command(state, store, command),
        Place::List => moving::command(state, store, command),
        Place::Object => object(state, store, command),
        Place::Table => table(state, store, command),
        Place::Columns => columns(state, command),
        Place::Text => text(state, store, command),
        Place::Logs | Place::Lines => super::explore::commands::command(state, command),
        Place::Board => super::board::commands::command(state, command),
        Place::Application => application(state, command),
        Place::Actions => asking::steer(state, store, command),
        Place::Verb => Vec::new(),
    }
}

fn always(state: &mut State, command: Command) -> Vec<Effect> {
    vec![match command {
        Command::Quit => {
            // What was started goes on in the cluster, and nobody would be there to see how it ends.
            let open = state.running.iter().filter(|running| running.ended.is_none()).count();
            let warned = state.status.as_ref().is_some_and(|status| status.text.starts_with(STILL_RUNNING));
            if open > 0 && !warned {
                state.say(
                    Health::Warning,
                    format!("{STILL_RUNNING}: {open}; quit again to leave without its verdict"),
                );
                return Vec::new();
            }
            Effect::Quit
        }
        Command::Suspend => Effect::Suspend,
        _ => Effect::Redraw,
    }]
}

/// How the warning begins that quitting now means missing the end of an action.
const STILL_RUNNING: &str = "an action is still being followed";

fn global(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    match command {
        Command::Palette => {
            state.overlay = Some(Overlay::Palette(super::palette::Palette::default()));
            typing::changed(state, store);
        }
        Command::Help => state.overlay = Some(Overlay::Help(Page::default())),
        Command::Back => back(state),
        Command::HistoryBack => step(state, "no view before this one", super::history::Views::back),
        Command::HistoryForward => step(state, "no view after this one", super::history::Views::forward),
        Command::LastView => step(state, "no other view yet", super::history::Views::swap),
        Command::NextPanel => moving::panel(state, 1),
        Command::PreviousPanel => moving::panel(state, -1),
        Command::Overview => going::overview(state),
        Command::Metrics => super::board::commands::fitting(state, store),
        Command::Boards => super::board::commands::list(state),
        Command::Query => super::board::commands::query(state, ""),
        Command::Actions => {
            state.cut_seen = true;
            let last = state.running.len().saturating_sub(1);
            state.overlay = None;
            if !matches!(state.view(), Some(View::Actions(_))) {
                state.views.open(View::Actions(Viewport { cursor: last, top: 0 }));
            }
        }
        Command::Record => {
            state.cut_seen = true;
            state.overlay = None;
            let records = crate::kinds::record::records();
            if !matches!(state.view(), Some(View::Table(table)) if table.resource == records) {
                state.views.open(View::Table(super::table::Table::new(records)));
            }
        }
        Command::GiveBack => return asking::give_back(state, store),
        Command::GoOn => return asking::go_on(state),
        Command::Info => {
            state.overlay = None;
            if !matches!(state.view(), Some(View::Info(_))) {
                state.views.open(View::Info(Viewport::default()));
            }
        }
        Command::ToggleMouse => {
            state.mouse = !state.mouse;
            let word = if state.mouse { "taken: clicks and the wheel work" } else { "left to the terminal" };
            state.say(Health::Idle, format!("mouse {word}"));
            return vec![Effect::Mouse(state.mouse)];
        }
        Command::Reconnect => {
            return match state.session.context.clone() {
                Some(context) => vec![Effect::Connect(context)],
                None => Vec::new(),
            };
        }
        _ => {
            if let Some(number) = command.tenant() {
                let tenant = state.tenant_of_key(number).cloned();
                going::tenant(state, tenant);
            }
        }
    }
    Vec::new()
}

fn step(state: &mut State, nowhere: &str, go: impl Fn(&mut super::history::Views) -> bool) {
    state.overlay = None;
    if !go(&mut state.views) {
        state.say(Health::Idle, nowhere);
    }
}

/// Takes away the uppermost thing: overlay, chooser, search, filter, marks, and then the view.
fn back(state: &mut State) {
    if state.revealed.take().is_some() {
        return;
    }
    if state.overlay.take().is_some() {
        return;
    }
    if let Some(search) = state.search_mut()
        && !search.text.is_empty()
    {
        *search = super::detail::Search::default();
        return;
    }
    if let Some(View::Board(board)) = state.views.last_mut()
        && super::board::commands::back(board)
    {
        return;
    }
    if let Some(View::Explore(view)) = state.views.last_mut()
        && !view.opened
        && view.marks.is_empty()
        && super::explore::commands::leave_around(view)
    {
        return;
    }
    match state.views.last_mut() {
        Some(View::Explore(view)) if view.opened => view.opened = false,
        Some(View::Explore(view)) if !view.marks.is_empty() => view.marks.clear(),
        Some(View::Table(table)) if table.chooser.is_some() => table.chooser = None,
        Some(View::Table(table)) if !table.marks.is_empty() => {
            table.marks.clear();
            table.anchor = None;
        }
        Some(View::Table(table)) if !table.filter.text.is_empty() => {
            table.filter.clear();
        }
        Some(View::Overview(overview)) if !overview.filter.text.is_empty() => {
            overview.filter.clear();
        }
        _ => {
            state.views.leave();
        }
    }
}

fn object(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    if command == Command::QueryLogs {
        super::explore::commands::open_subject(state, store);
        return Vec::new();
    }
    let Some(object) = state.selected() else { return Vec::new() };
    if super::alert::is_for(&object, command) {
        return super::alert::command(state, store, &object, command);
    }
    match command {
        Command::Describe | Command::Yaml => {
            let tab = if command == Command::Yaml { Tab::Yaml } else { Tab::Describe };
            if let Some(View::Detail(detail)) = state.views.last_mut() {
                detail.tab = tab;
                return Vec::new();
            }
            going::detail(state, object, tab)
        }
        Command::Logs | Command::PreviousLogs => {
            let Some(object) = state.logs_of(store, &object) else { return Vec::new() };
            let context = object.context.clone();
            let logs = Explore::of_pods(context, object, command == Command::PreviousLogs);
            state.views.open(View::Explore(Box::new(logs)));
            Vec::new()
        }
        Command::Owner | Command::Node => {
            let relation = if command == Command::Owner { "owner" } else { "node" };
            match state.related(store, &object, relation) {
                Some(to) => going::open(state, to),
                None => Vec::new(),
            }
        }
        Command::UndoEntry => asking::undo(state, store, &object),
        Command::CopyName => copy(state, object.name.to_string()),
        Command::CopyNamespace => {
            object.namespace.map(|namespace| copy(state, namespace.to_string())).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Puts text on the clipboard and says so. There is no answer to it, so "sent" and not "copied".
pub fn copy(state: &mut State, text: String) -> Vec<Effect> {
    let (fits, cut) = crate::term::fit_clipboard(&text);
    let lines = fits.lines().count();
    let what = if lines > 1 { format!("{lines} lines") } else { fits.to_owned() };
    if cut {
        state.say(Health::Warning, format!("sent to the clipboard, cut at {} bytes", fits.len()));
    } else {
        state.say(Health::Idle, format!("sent to the clipboard: {what}"));
    }
    vec![Effect::Copy(fits.to_owned())]
}

fn table(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    if command == Command::Filter {
        match state.views.last_mut() {
            Some(View::Overview(overview)) => {
                overview.panel = Panel::Tenants;
                overview.filter.editing = Some(Line::new(&overview.filter.text));
            }
            Some(View::Table(table)) => table.filter.editing = Some(Line::new(&table.filter.text)),
            _ => {}
        }
        return Vec::new();
    }
    match command {
        Command::GroupRows => {
            group(state);
            return Vec::new();
        }
        Command::CopyCell => return copy_cell(state, store),
        Command::CopyTable => return copy_table(state, store),
        _ => {}
    }
    let kinds = std::sync::Arc::clone(&state.kinds);
    let Some(View::Table(table)) = state.views.last_mut() else { return Vec::new() };
    let kind = kinds.get(&table.resource);
    let columns = kind.map_or(0, |kind| kind.columns.len());
    match command {
        Command::Mark => {
            table.mark();
            table.step(store, 1);
        }
        Command::MarkRange => {
            if let Some(kind) = kind {
                table.mark_range(store, kind);
            }
        }
        Command::ClearMarks => {
            table.marks.clear();
            table.anchor = None;
        }
        Command::SortLeft => sort_aside(table, columns, -1),
        Command::SortRight => sort_aside(table, columns, 1),
        Command::SortInvert => {
            let sort = table.sort.unwrap_or(Sort { column: 0, descending: false });
            table.sort = Some(Sort { descending: !sort.descending, ..sort });
        }
        Command::SortName => sort_by(table, kind.and_then(|kind| kind.column("name"))),
        Command::SortNamespace => sort_by(table, kind.and_then(|kind| kind.column("namespace"))),
        Command::SortStatus => sort_by(table, kind.and_then(status_column)),
        Command::SortAge => sort_by(table, kind.and_then(|kind| kind.column("age"))),
        Command::FoldGroups => table.groups.toggle_all(),
        Command::Wide => table.wide = !table.wide,
        Command::ChooseColumns => {
            let shown = table.columns.clone().unwrap_or_else(|| {
                (0..columns)
                    .filter(|column| {
                        table.wide
                            || kind
                                .and_then(|kind| kind.columns.get(*column))
                                .is_some_and(|column| !column.wide)
                    })
                    .collect()
            });
            let rest = (0..columns).filter(|column| !shown.contains(column));
            let columns =
                shown.iter().map(|column| (*column, true)).chain(rest.map(|column| (column, false)));
            table.chooser = Some(Chooser { columns: columns.collect(), view: Viewport::default() });
        }
        _ => {}
    }
    Vec::new()
}

/// Groups by the next column that says that rows can be grouped by it, and after the last not at all.
fn group(state: &mut State) {
    let kinds = std::sync::Arc::clone(&state.kinds);
    let Some(View::Table(table)) = state.views.last_mut() else { return };
    let Some(kind) = kinds.get(&table.resource) else { return };
    let after = table.groups.column().map_or(0, |column| column + 1);
    let next = (after..kind.columns.len()).find(|column| kind.columns[*column].groups);
    table.groups.set(next);
    let said = next.map_or_else(
        || "not grouped".to_owned(),
        |column| format!("grouped by {}; enter opens a group", kind.columns[column].id),
    );
    state.say(Health::Idle, said);
}

/// Sorts by a column; by the one that is sorted already the other way round.
fn sort_by(table: &mut super::table::Table, column: Option<usize>) {
    if let Some(column) = column {
        let again = table.sort.is_some_and(|sort| sort.column == column && !sort.descending);
        table.sort = Some(Sort { column, descending: again });
    }
}

fn sort_aside(table: &mut super::table::Table, columns: usize, by: isize) {
    let Some(last) = columns.checked_sub(1) else { return };
    let shown: Vec<usize> = table.columns.clone().unwrap_or_else(|| (0..=last).collect());
    let at = table.sort.and_then(|sort| shown.iter().position(|column| *column == sort.column)).unwrap_or(0);
    let to = at.saturating_add_signed(by).min(shown.len().saturating_sub(1));
    if let Some(column) = shown.get(to) {
        table.sort = Some(Sort { column: *column, descending: false });
    }
}

fn copy_cell(state: &mut State, store: &Store) -> Vec<Effect> {
    let Some(View::Table(table)) = state.view() else { return Vec::new() };
    let Some(object) = &table.selected else { return Vec::new() };
    let column = table.sort.map_or(0, |sort| sort.column);
    let text = match (state.kinds.get(&table.resource), store.object(object)) {
        (Some(kind), Some(found)) => {
            kind.cell(found, column, &state.lens(store, &object.context)).text(state.now)
        }
        _ => object.name.to_string(),
    };
    copy(state, text)
}

/// Copies rows as text with tabs between the columns, which spreadsheets and shells both take.
fn copy_table(state: &mut State, store: &Store) -> Vec<Effect> {
    let Some(View::Table(table)) = state.view() else { return Vec::new() };
    let Some(kind) = state.kinds.get(&table.resource) else { return Vec::new() };
    let columns: Vec<usize> = table.columns.clone().unwrap_or_else(|| {
        (0..kind.columns.len()).filter(|at| table.wide || !kind.columns[*at].wide).collect()
    });
    let title = |at: &usize| kind.columns.get(*at).map_or("", |column| &column.title);
    let mut text = columns.iter().map(title).collect::<Vec<_>>().join("\t");
    for row in 0..table.len() {
        let Some(object) = table.object(store, row) else { continue };
        let wanted = table.marks.is_empty() || table.marks.contains(&object);
        let Some(found) = store.object(&object).filter(|_| wanted) else { continue };
        let lens = state.lens(store, &object.context);
        let cells = columns.iter().map(|at| kind.cell(found, *at, &lens).text(state.now));
        text.push('\n');
        text.push_str(&cells.collect::<Vec<_>>().join("\t"));
        if text.len() > crate::term::CLIPBOARD {
            break;
        }
    }
    copy(state, text)
}

fn columns(state: &mut State, command: Command) -> Vec<Effect> {
    let Some(View::Table(table)) = state.views.last_mut() else { return Vec::new() };
    let Some(chooser) = &mut table.chooser else { return Vec::new() };
    let at = chooser.view.cursor;
    match command {
        Command::ColumnToggle => {
            let shown = chooser.columns.iter().filter(|(_, shown)| *shown).count();
            if let Some((_, show)) = chooser.columns.get_mut(at) {
                // A table without a column has nothing to select by.
                *show = !*show || shown == 1;
            }
        }
        Command::ColumnEarlier if at > 0 && at < chooser.columns.len() => {
            chooser.columns.swap(at, at - 1);
            chooser.view.cursor -= 1;
        }
        Command::ColumnLater if at + 1 < chooser.columns.len() => {
            chooser.columns.swap(at, at + 1);
            chooser.view.cursor += 1;
        }
        Command::ColumnReset => {
            table.columns = None;
            table.chooser = None;
            return Vec::new();
        }
        _ => {}
    }
    table.columns =
        Some(chooser.columns.iter().filter(|(_, shown)| *shown).map(|(column, _)| *column).collect());
    Vec::new()
}

fn text(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    match command {
        Command::Search => {
            if let Some(search) = state.search_mut() {
                search.editing = Some(Line::new(&search.text));
            }
        }
        Command::NextMatch => moving::to_match(state, 1),
        Command::PreviousMatch => moving::to_match(state, -1),
        Command::Wrap => {
            if let Some(page) = moving::page_mut(state) {
                page.wrap = !page.wrap;
                page.left = 0;
            }
        }
        Command::CopyValue => {
            let value = match state.view() {
                Some(View::Detail(detail)) => detail.value(state.now),
                _ => None,
            };
            return value.map(|value| copy(state, value)).unwrap_or_default();
        }
        Command::CopyText => {
            let text = moving::lines(state, store).join("\n");
            return copy(state, text);
        }
        _ => {}
    }
    Vec::new()
}

fn application(state: &mut State, command: Command) -> Vec<Effect> {
    let Some(View::Application(app)) = state.views.last_mut() else { return Vec::new() };
    match command {
        Command::Fold | Command::Unfold => fold(app, command == Command::Fold),
        Command::Resources => app.pane = Pane::Resources,
        Command::History => app.pane = Pane::History,
        Command::Operation => app.pane = Pane::Operation,
        Command::Conditions => app.pane = Pane::Conditions,
        _ => {}
    }
    Vec::new()
}

/// Folds the selected resource; one that has nothing to fold leads to the one above it.
fn fold(app: &mut Application, fold: bool) {
    let at = app.view().cursor;
    let Some(node) = app.tree.get(at) else { return };
    match &node.object {
        Some(object) if node.has_children && node.folded != fold => {
            if fold {
                app.folded.insert(object.clone());
            } else {
                app.folded.remove(object);
            }
        }
        _ if fold => {
            let above = app.tree[..at].iter().rposition(|other| other.depth < node.depth);
            if let Some(above) = above {
                app.views[Pane::Resources as usize].cursor = above;
            }
        }
        _ => {}
    }
}

fn click(state: &mut State, store: &Store, spot: Spot) -> Vec<Effect> {
    let before = state.clicked.replace((spot, state.now));
    match spot {
        Spot::Key(command) if state.applies(store, command) => run(state, store, command),
        Spot::Overlay | Spot::Panel(_) | Spot::Key(_) => Vec::new(),
        Spot::Suggestion(index) => typing::take_suggestion(state, store, index),
        Spot::Column(column) => {
            if let Some(View::Table(table)) = state.views.last_mut() {
                sort_by(table, Some(column));
            }
            Vec::new()
        }
        Spot::Row { panel, index } => {
            moving::select(state, store, panel, index);
            let twice = before.is_some_and(|(last, at)| {
                last == spot && state.now.duration_since(at).as_secs_f64() < DOUBLE_CLICK
            });
            if twice && state.applies(store, Command::Open) {
                state.clicked = None;
                return run(state, store, Command::Open);
            }
            Vec::new()
        }
    }
}
