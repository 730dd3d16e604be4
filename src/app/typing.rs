//! Typing: filter, search, palette, reason and name; what each key changes, and what Enter takes.

use regex::{Regex, RegexBuilder};

use crate::app::command::Command;
use crate::app::detail::Search;
use crate::app::effect::Effect;
use crate::app::history::View;
use crate::app::question::Field;
use crate::app::state::{Overlay, State};
use crate::app::{asking, going, moving, palette};
use crate::kinds::Health;
use crate::store::Store;

/// Carries out a command of typing.
pub fn command(state: &mut State, store: &Store, command: Command) -> Vec<Effect> {
    match command {
        Command::Submit => return submit(state, store),
        Command::Cancel => cancel(state),
        Command::Complete => complete(state, store),
        Command::SuggestionNext => suggestion(state, 1),
        Command::SuggestionPrevious => suggestion(state, -1),
        _ => {
            if let Some(line) = state.line_mut()
                && line.edit(command)
            {
                changed(state, store);
            }
        }
    }
    Vec::new()
}

/// Takes text that was pasted. It is data: it never confirms, and a name is not pasted but typed.
pub fn paste(state: &mut State, store: &Store, text: &str) {
    if let Some(Overlay::Question(question)) = &mut state.overlay
        && question.field == Field::Answer
    {
        question.note = Some("a name is typed, not pasted".to_owned());
        return;
    }
    if let Some(line) = state.line_mut() {
        line.insert(text);
    }
    changed(state, store);
}

/// Puts what was typed in force: filters and searches follow every key.
pub fn changed(state: &mut State, store: &Store) {
    match &mut state.overlay {
        Some(Overlay::Palette(_)) => {
            palette::suggest(state, store);
            return;
        }
        Some(Overlay::Question(question)) => {
            question.note = None;
            return;
        }
        Some(Overlay::Help(_)) | None => {}
    }
    match state.views.last_mut() {
        Some(View::Board(board)) => {
            if let Some(prompt) = &mut board.prompt {
                prompt.error = None;
            }
        }
        Some(View::Explore(view)) if view.editing.is_some() => view.suggest(),
        Some(View::Table(table)) if table.filter.editing.is_some() => {
            let columns = state.kinds.get(&table.resource).map_or(&[][..], |kind| &kind.columns);
            table.filter.try_line(columns);
        }
        Some(View::Overview(overview)) if overview.filter.editing.is_some() => overview.filter.try_line(&[]),
        _ => search(state, store),
    }
}

/// Finds what is searched, and stands at the first match from where one is.
pub fn search(state: &mut State, store: &Store) {
    if let (None, Some(View::Explore(view))) = (&state.overlay, state.views.last_mut()) {
        // The lines are searched where they lie.
        if let Some(line) = &view.page.search.editing {
            line.text().clone_into(&mut view.page.search.text);
        }
        view.find();
    }
    let page = moving::page(state);
    let from = moving::page_mut(state).map_or(0, |page| page.view.top);
    let Some(search) = state.search_mut() else { return };
    if let Some(line) = &search.editing {
        search.text = line.text().to_owned();
    }
    let text = search.text.clone();
    let matches = matches(state, store, &text);
    let following = follows(state);
    let Some(search) = state.search_mut() else { return };
    let last = matches.len().saturating_sub(1);
    search.at = match matches.iter().position(|line| *line >= from) {
        // At the newest line what was found last is nearest.
        _ if following => last,
        at => at.unwrap_or(0),
    };
    let first = matches.get(search.at).copied();
    search.matches = matches;
    if let Some(line) = first
        && let Some(text) = moving::page_mut(state)
    {
        moving::show_line(&mut text.view, line, page);
    }
}

/// Tells whether the newest line is followed.
fn follows(state: &State) -> bool {
    matches!((&state.overlay, state.view()), (None, Some(View::Explore(view))) if view.follow)
}

/// Returns the lines of what is shown in which a text occurs.
fn matches(state: &State, store: &Store, text: &str) -> Vec<usize> {
    let Some(expression) = expression(text) else { return Vec::new() };
    if let (None, Some(View::Explore(view))) = (&state.overlay, state.view()) {
        return view.page.search.matches.clone();
    }
    let lines = moving::lines(state, store);
    found(&expression, lines.iter().map(String::as_str))
}

/// Returns the numbers of the lines in which an expression is found.
pub fn found<'a>(expression: &Regex, lines: impl Iterator<Item = &'a str>) -> Vec<usize> {
    lines.enumerate().filter(|(_, line)| expression.is_match(line)).map(|(number, _)| number).collect()
}

/// Reads what is searched: without regard to case unless it has capitals; a regular expression between slashes.
/// `None` for nothing, and for an expression that is not one (yet).
pub fn expression(text: &str) -> Option<Regex> {
    if text.is_empty() {
        return None;
    }
    let pattern = match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(expression) => expression.to_owned(),
        None => regex::escape(text),
    };
    let sensitive = text.chars().any(char::is_uppercase);
    // Lines of a log are searched many at once.
    RegexBuilder::new(&pattern).case_insensitive(!sensitive).multi_line(true).build().ok()
}

fn submit(state: &mut State, store: &Store) -> Vec<Effect> {
    match &state.overlay {
        Some(Overlay::Palette(_)) => return going::take_line(state, store),
        Some(Overlay::Question(_)) => return asking::submit(state),
        Some(Overlay::Help(_)) | None => {}
    }
    match state.views.last_mut() {
        Some(View::Explore(view)) if view.editing.is_some() => {
            return super::explore::commands::submit(state);
        }
        Some(View::Board(_)) => super::board::commands::submit(state),
        Some(View::Table(table)) if table.filter.editing.is_some() => table.filter.take(),
        Some(View::Overview(overview)) if overview.filter.editing.is_some() => overview.filter.take(),
        _ => {
            let Some(search) = state.search_mut() else { return Vec::new() };
            search.editing = None;
            let nothing = search.matches.is_empty() && !search.text.is_empty();
            let text = search.text.clone();
            if nothing {
                state.say(Health::Idle, format!("{text:?} does not occur"));
            } else if follows(state) {
                // New lines would carry away what was found.
                moving::to_match(state, 0);
            }
        }
    }
    Vec::new()
}

fn cancel(state: &mut State) {
    match &mut state.overlay {
        Some(Overlay::Palette(_)) => {
            state.overlay = None;
            return;
        }
        Some(Overlay::Question(_)) => {
            asking::cancel(state);
            return;
        }
        Some(Overlay::Help(_)) | None => {}
    }
    match state.views.last_mut() {
        Some(View::Explore(view)) if view.editing.is_some() => view.editing = None,
        Some(View::Board(board)) => {
            board.prompt = None;
            // The prompt's own board without an expression has nothing to show.
            if board.is_query() && board.edited.is_empty() {
                state.views.leave();
            }
        }
        Some(View::Table(table)) if table.filter.editing.is_some() => table.filter.clear(),
        Some(View::Overview(overview)) if overview.filter.editing.is_some() => {
            overview.filter.clear();
        }
        _ => {
            if let Some(search) = state.search_mut() {
                *search = Search::default();
            }
        }
    }
}

fn complete(state: &mut State, store: &Store) {
    if let (None, Some(View::Explore(view))) = (&state.overlay, state.views.last_mut()) {
        view.complete();
        return;
    }
    if let (None, Some(View::Board(board))) = (&state.overlay, state.views.last_mut()) {
        if let Some(prompt) = &mut board.prompt {
            prompt.complete();
        }
        return;
    }
    let Some(Overlay::Palette(palette)) = &mut state.overlay else { return };
    let Some(suggestion) = palette.suggestions.get(palette.selected.unwrap_or(0)) else { return };
    let line = suggestion.line.clone();
    palette.line.set(&format!("{line} "));
    palette::suggest(state, store);
}

fn suggestion(state: &mut State, by: isize) {
    if let (None, Some(View::Explore(_))) = (&state.overlay, state.view()) {
        super::explore::commands::recall(state, by);
        return;
    }
    if let (None, Some(View::Board(board))) = (&state.overlay, state.views.last_mut()) {
        if let Some(prompt) = &mut board.prompt {
            prompt.step(by > 0, &state.queries);
        }
        return;
    }
    let Some(Overlay::Palette(palette)) = &mut state.overlay else { return };
    let count = palette.suggestions.len();
    if count == 0 {
        recall(state, by);
        return;
    }
    palette.selected = match (palette.selected, by > 0) {
        (None, true) => Some(0),
        (Some(0), false) => None,
        (Some(at), _) => Some(at.saturating_add_signed(by).min(count - 1)),
        (None, false) => {
            recall(state, by);
            return;
        }
    };
}

/// Brings an earlier line back.
fn recall(state: &mut State, by: isize) {
    let Some(Overlay::Palette(palette)) = &mut state.overlay else { return };
    let count = state.said.len();
    let at = state.said.iter().rposition(|line| line == palette.line.text()).unwrap_or(count);
    let to = at.saturating_add_signed(by);
    match state.said.get(to) {
        Some(line) => palette.line.set(line),
        None if to >= count => palette.line.set(""),
        None => {}
    }
}

/// Takes a suggestion that was clicked.
pub fn take_suggestion(state: &mut State, store: &Store, index: usize) -> Vec<Effect> {
    let Some(Overlay::Palette(palette)) = &mut state.overlay else { return Vec::new() };
    palette.selected = Some(index);
    going::take_line(state, store)
}
