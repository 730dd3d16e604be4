//! What is drawn: the state and the store in, cells of a frame out.
//!
//! One file a view. Nothing here changes anything, fetches anything or reads a clock, and no screen looks at
//! more rows than it shows. What stood where is handed back, for the mouse and for paging.

pub mod actions;
pub mod application;
pub mod board;
pub mod boards;
pub mod cells;
pub mod columns;
pub mod detail;
mod due;
pub mod explore;
pub mod feed;
pub mod head;
pub mod help;
pub mod info;
pub mod overview;
pub mod palette;
pub mod plan;
mod reveal;
pub mod table;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::board::prompt::{Prompt, Purpose};
use crate::app::command::{Command, Place};
use crate::app::detail::Search;
use crate::app::explore::Purpose as Asks;
use crate::app::history::View;
use crate::app::line::Line;
use crate::app::spot::{Spot, Spots};
use crate::app::state::{Overlay, State};
use crate::human;
use crate::identity::{ObjectRef, Resource};
use crate::kinds::alerts;
use crate::signals::{AlertState, Raised};
use crate::store::{Query, Store};
use crate::theme::{Role, Theme};
use crate::widgets::input::{self, Input};
use crate::widgets::{dialog, panel};

/// All that a frame is drawn from.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// What the person looks at.
    pub state: &'a State,
    /// What the world looks like.
    pub store: &'a Store,
    /// What roles look like.
    pub theme: &'a Theme,
}

impl Scene<'_> {
    /// Names several things of a type.
    pub fn plural(&self, resource: &Resource) -> String {
        resource.plural.to_string()
    }

    /// Names one thing of a type.
    pub fn singular(&self, resource: &Resource) -> String {
        self.state
            .kinds
            .get(resource)
            .map_or_else(|| resource.plural.to_string(), |kind| kind.singular.to_string())
    }

    /// Returns how much there is of what: a number, or `?` while nobody knows.
    pub fn counts(&self) -> Vec<(String, &'static str)> {
        let Some(context) = &self.state.session.context else { return Vec::new() };
        let known = |group: &str, plural: &str| {
            let list = self.store.shelf(&Query::all(context, &Resource::new(group, plural)))?;
            // Half a list is not a number.
            let whole = list.feed().whole_at.is_some();
            Some(if whole { human::count(list.len()) } else { "?".to_owned() })
        };
        let kinds = [("argoproj.io", "applications", "apps"), ("", "nodes", "nodes"), ("", "pods", "pods")];
        let known =
            kinds.into_iter().filter_map(|(group, plural, words)| Some((known(group, plural)?, words)));
        // Where not all have a place, what fires has.
        self.firing(context).into_iter().chain(known).collect()
    }

    /// Returns what an object is called: its name, or for an alert that of the alert and not its fingerprint.
    pub fn called(&self, object: &ObjectRef) -> String {
        let raised = if object.resource == alerts::alerts() {
            self.store.object(object).and_then(|found| found.body::<Raised>())
        } else {
            None
        };
        raised.map_or_else(|| object.name.to_string(), |raised| raised.alert.name.to_string())
    }

    /// Returns how many alerts fire; nothing where no system tells.
    fn firing(&self, context: &crate::identity::Context) -> Option<(String, &'static str)> {
        let list = self.store.shelf(&Query::all(context, &alerts::alerts()))?;
        list.feed().whole_at?;
        let firing = list.iter().filter(|(_, object)| {
            object.body::<Raised>().is_some_and(|raised| raised.alert.state == AlertState::Firing)
        });
        Some((human::count(firing.count()), "firing"))
    }
}

/// Draws the whole frame, and returns what stood where.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) -> Spots {
    let mut spots = Spots::default();
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return spots;
    }
    buffer.set_style(area, scene.theme.style(Role::Text));
    let frame = Frame::of(area);
    head::header(buffer, frame.header, scene);
    head::crumbs(buffer, frame.crumbs, scene);
    view(buffer, frame.body, scene, &mut spots);
    footer(buffer, frame.footer, scene, &mut spots);
    match typed(scene.state) {
        Some(line) => input::draw(buffer, frame.status, scene.theme, line),
        None => head::status(buffer, frame.status, scene),
    }
    if scene.state.overlay.is_some() {
        dialog::dim(buffer, frame.body, scene.theme);
    }
    match &scene.state.overlay {
        None => {}
        Some(Overlay::Palette(palette)) => palette::draw(buffer, frame.body, scene, palette, &mut spots),
        Some(Overlay::Help(page)) => help::draw(buffer, frame.body, scene, page, &mut spots),
        Some(Overlay::Question(question)) => plan::draw(buffer, frame.body, scene, question, &mut spots),
    }
    if let Some((revealed, until)) = &scene.state.revealed {
        reveal::draw(buffer, frame.body, scene, revealed, *until);
    }
    let holds = due::due(scene, &spots);
    spots.holds(holds);
    spots
}

/// The parts of the screen; on a low terminal those go that can be missed.
struct Frame {
    header: Rect,
    crumbs: Rect,
    body: Rect,
    status: Rect,
    footer: Rect,
}

impl Frame {
    fn of(area: Rect) -> Self {
        let lines = |from: u16| u16::from(area.height >= from);
        let (header, rest) = panel::split_top(area, lines(4));
        let (crumbs, rest) = panel::split_top(rest, lines(16));
        let (rest, footer) = panel::split_bottom(rest, lines(9));
        let (body, status) = panel::split_bottom(rest, lines(6));
        Self { header, crumbs, body, status, footer }
    }
}

fn view(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, spots: &mut Spots) {
    match scene.state.views.last() {
        None => {}
        Some(View::Overview(view)) => overview::draw(buffer, area, scene, view, spots),
        Some(View::Application(view)) => application::draw(buffer, area, scene, view, spots),
        Some(View::Table(table)) => table::draw(buffer, area, scene, table, spots),
        Some(View::Detail(detail)) => detail::draw(buffer, area, scene, detail, spots),
        Some(View::Explore(view)) => explore::draw(buffer, area, scene, view, spots),
        Some(View::Board(view)) => board::draw(buffer, area, scene, view, spots),
        Some(View::Boards(view)) => boards::draw(buffer, area, scene, view, spots),
        Some(View::Actions(view)) => actions::draw(buffer, area, scene, view, spots),
        Some(View::Info(view)) => info::draw(buffer, area, scene, view, spots),
    }
}

/// Draws the keys that apply.
fn footer(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, spots: &mut Spots) {
    let mut hints: Vec<(Command, String)> = scene
        .state
        .hints(scene.store)
        .into_iter()
        .filter_map(|command| Some((command, scene.state.key_label(scene.store, command)?)))
        .collect();
    // What leads on comes first, what arranges the rows last; the way to all keys always has its place.
    hints.sort_by_key(|(command, _)| weight(*command));
    let words = hints.iter().map(|(command, key)| (key.as_str(), command.label()));
    for (index, place) in crate::widgets::keys::draw(buffer, area, scene.theme, words) {
        if let Some((command, _)) = hints.get(index) {
            spots.put(place, Spot::Key(*command));
        }
    }
}

/// Returns the place of a command in the footer.
#[expect(clippy::match_same_arms, reason = "the order of the arms decides")]
fn weight(command: Command) -> u8 {
    match (command, command.place()) {
        (Command::Confirm | Command::Submit, _) => 0,
        (Command::Open | Command::Sync | Command::Rollback | Command::Terminate, _) => 1,
        (Command::HardRefresh, _) => 8,
        // No incident waits for these.
        (
            Command::Promote | Command::Pause | Command::SuspendJob | Command::SetImage | Command::SetBounds,
            _,
        ) => 8,
        (Command::RunJob | Command::Edit | Command::Delete | Command::Protect | Command::Reveal, _) => 8,
        (_, Place::Verb) => 2,
        (Command::ToggleDifference, _) => 1,
        (Command::PlanDown, _) => 6,
        (_, Place::Plan) => 2,
        (Command::Fold | Command::Unfold, _) => 9,
        (Command::Search | Command::Filter | Command::NextMatch, _) => 4,
        (Command::Follow | Command::Timestamps | Command::TogglePrevious | Command::NextContainer, _)
        | (_, Place::Application | Place::Columns) => 3,
        (Command::EditLogql | Command::ReadAnyway | Command::HideLines | Command::FoldLines, _) => 3,
        (_, Place::Logs | Place::Lines) => 9,
        (Command::EditQuery | Command::SortSeries | Command::ZoomIn | Command::ZoomOut, _) => 3,
        (Command::PanEarlier | Command::PanLater | Command::WindowOther | Command::WindowNow, _) => 4,
        (_, Place::Board) => 12,
        (Command::Graph | Command::ToTenant | Command::ToWorkload | Command::ToApplication, _) => 2,
        (Command::Describe | Command::Yaml | Command::Logs | Command::GroupRows, _) => 5,
        (Command::Palette, _) => 6,
        (Command::Back | Command::Overview | Command::NextPanel | Command::Cancel, _) => 7,
        (Command::Mark | Command::Wide | Command::Wrap | Command::Node | Command::Owner, _) => 8,
        (_, Place::Table | Place::Text) => 9,
        (Command::Help, _) => 11,
        _ => 10,
    }
}

/// Returns the line that is being typed in the view, if one is.
fn typed(state: &State) -> Option<Input<'_>> {
    match state.views.last()? {
        View::Table(table) => filter(&table.filter),
        View::Overview(overview) => filter(&overview.filter),
        View::Detail(detail) => match detail.tab {
            crate::app::detail::Tab::Describe => searching(&detail.describe.search),
            crate::app::detail::Tab::Yaml => searching(&detail.page.search),
        },
        View::Explore(view) => match &view.editing {
            Some((purpose, line)) => {
                let note = view.completion.failure.as_deref().filter(|_| *purpose == Asks::Query);
                let note = note.unwrap_or_default();
                Some(Input { note, wrong: true, ..typing(explore::prompt(*purpose), line) })
            }
            None => searching(&view.page.search),
        },
        View::Board(board) => board.prompt.as_ref().map(prompt),
        View::Application(_) | View::Boards(_) | View::Actions(_) | View::Info(_) => None,
    }
}

fn filter(filter: &crate::app::table::Filter) -> Option<Input<'_>> {
    let line = filter.editing.as_ref()?;
    let note = filter.error.as_deref().unwrap_or_default();
    Some(Input { note, wrong: true, ..typing("/", line) })
}

fn prompt(prompt: &Prompt) -> Input<'_> {
    let before = match prompt.purpose {
        Purpose::Query => "query ",
        Purpose::Window => "time ",
    };
    let note = prompt.error.as_deref().unwrap_or_default();
    Input { note, wrong: true, ..typing(before, &prompt.line) }
}

fn searching(search: &Search) -> Option<Input<'_>> {
    Some(typing("/", search.editing.as_ref()?))
}

fn typing<'a>(prompt: &'a str, line: &'a Line) -> Input<'a> {
    Input { prompt, text: line.text(), cursor: line.before_cursor().len(), ..Input::default() }
}
