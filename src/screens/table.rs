//! The table of a kind.
//!
//! Only the rows of the window are looked at, and of those only the columns that fit.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::cells;
use super::feed;
use super::{Scene, columns};
use crate::app::groups::Head;
use crate::app::spot::{Spot, Spots};
use crate::app::table::Table;
use crate::human;
use crate::kinds::{Cell, Column, Kind, Lens, Object, Shape};
use crate::store::{Shelf, Store};
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::table::{self, Painted, Width, Window};
use crate::widgets::{fit, notice, over, panel};

/// The rows of a table, with the list they are looked up in.
struct Listing<'a> {
    table: &'a Table,
    store: &'a Store,
    shelf: Option<&'a Shelf>,
}

impl<'a> Listing<'a> {
    /// Returns the object of a row; a row whose object has just left has none.
    fn object(&self, row: usize) -> Option<&'a Arc<Object>> {
        self.table.row(self.store, row)
    }

    fn shown(&self) -> usize {
        self.table.len()
    }

    /// Returns how many rows pass the filter, folded or not.
    fn matched(&self) -> usize {
        self.table.matched()
    }

    /// Returns how many rows there would be without the filter.
    fn total(&self) -> usize {
        self.table.total()
    }

    /// Returns how many objects the list holds, whatever part of them is looked at.
    fn all(&self) -> usize {
        self.shelf.map_or(0, Shelf::len)
    }
}

/// Draws the table with its title, which says how much of what is shown and how far it can be trusted.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, state: &Table, spots: &mut Spots) {
    let theme = scene.theme;
    let plural = scene.plural(&state.resource);
    let context = scene.state.session.context.as_ref();
    let shelf = context.and_then(|context| scene.store.shelf(&state.query(context)));
    let listing = &Listing { table: state, store: scene.store, shelf };
    let title = format!("{plural} {}", count(listing));
    let feed = shelf.map(Shelf::feed);
    let facts = facts(scene, state, feed);
    let facts: Vec<_> = facts.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    let body = panel::titled(buffer, area, theme, &title, &facts, true);
    spots.put(body, Spot::Panel(0));
    spots.fits(0, body.height.saturating_sub(1));
    let Some(kind) = scene.state.kinds.get(&state.resource) else {
        notice::draw(buffer, body, theme, Role::Unknown, &format!("{plural} cannot be shown"), &[]);
        return;
    };
    if listing.shown() == 0 {
        let place = match (&scene.state.scope.namespace, &scene.state.scope.tenant) {
            (Some(namespace), _) => format!(" in {namespace}"),
            (None, Some(tenant)) => format!(" of {tenant}"),
            (None, None) => String::new(),
        };
        // Rows that the filter hides, else those of other namespaces or tenants.
        let (held, filter) = match listing.total() {
            0 => (listing.all(), ""),
            total => (total, state.filter.text.as_str()),
        };
        let (role, headline, sentences) = feed::empty(feed, &plural, &place, held, filter, scene.state.now);
        let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
        notice::draw(buffer, body, theme, role, &headline, &sentences);
    } else if let Some(context) = context {
        rows(buffer, body, scene, state, kind, &scene.state.lens(scene.store, context), listing, spots);
    }
    if let Some(chooser) = &state.chooser {
        let title = |column: usize| {
            kind.columns
                .get(column)
                .map_or_else(String::new, |column| format!("{}  {}", column.title, column.about))
        };
        columns::draw(buffer, area, scene, chooser, title, spots);
    }
}

fn count(listing: &Listing<'_>) -> String {
    let total = human::count(listing.total());
    if listing.matched() == listing.total() {
        total
    } else {
        format!("{} of {total}", human::count(listing.matched()))
    }
}

fn facts(scene: &Scene<'_>, state: &Table, feed: Option<&crate::store::Feed>) -> Vec<feed::Fact> {
    let mut facts = Vec::new();
    if !state.marks.is_empty() {
        facts.push((format!("{} marked", state.marks.len()), Role::Marked));
    }
    let kind = scene.state.kinds.get(&state.resource);
    if let Some(column) = state.groups.column().and_then(|at| kind?.columns.get(at)) {
        facts.push((format!("{} groups by {}", human::count(state.groups.count()), column.id), Role::Text));
    }
    if !state.filter.text.is_empty() {
        facts.push((format!("/{}", state.filter.text), Role::Match));
    }
    for (word, selector) in [("labels", &state.labels), ("fields", &state.fields)] {
        if !selector.is_empty() {
            facts.push((format!("{word} {selector}"), Role::Match));
        }
    }
    match feed {
        Some(feed) => facts.extend(feed::facts(feed, scene.state.now)),
        None => facts.push(("not asked for yet".to_owned(), Role::Unknown)),
    }
    facts
}

/// Returns the columns that can be shown, by the kind's own numbers.
fn chosen(scene: &Scene<'_>, state: &Table, kind: &Kind) -> Vec<usize> {
    let all = || (0..kind.columns.len()).collect();
    let mut shown: Vec<usize> = match &state.columns {
        Some(columns) => columns.iter().copied().filter(|column| *column < kind.columns.len()).collect(),
        None if state.wide => all(),
        None => {
            // A column that says the same in every row says nothing.
            let alone = scene.state.scope.namespace.is_some();
            let keep = |index: &usize| {
                let column = &kind.columns[*index];
                !(column.wide || alone && &*column.id == "namespace")
            };
            (0..kind.columns.len()).filter(keep).collect()
        }
    };
    // The name stays where it is while the others move to the left.
    let fixed = up_to_name(&shown, kind);
    let moved = state.left.min(shown.len().saturating_sub(fixed + 1));
    shown.drain(fixed..fixed + moved);
    shown
}

/// Returns how many columns there are up to the name, with it.
fn up_to_name(shown: &[usize], kind: &Kind) -> usize {
    shown
        .iter()
        .position(|index| matches!(&*kind.columns[*index].id, "name" | "alert"))
        .map_or(0, |at| at + 1)
}

/// Returns when a column goes where all were asked for: the last first, and what tells the rows apart never.
/// Those that do not fit are reached by moving to the right.
fn later(place: usize, fixed: usize) -> u8 {
    if place < fixed { 0 } else { u8::try_from(place).unwrap_or(u8::MAX) }
}

/// Draws header and rows.
#[expect(clippy::too_many_arguments, reason = "one private step of drawing a table, called once")]
fn rows(
    buffer: &mut Buffer,
    area: Rect,
    scene: &Scene<'_>,
    state: &Table,
    kind: &Kind,
    lens: &Lens<'_>,
    listing: &Listing<'_>,
    spots: &mut Spots,
) {
    let numbers = chosen(scene, state, kind);
    let fixed = up_to_name(&numbers, kind);
    let everything = state.wide || state.columns.is_some();
    let top = state.view.top.min(listing.shown().saturating_sub(1));
    let visible = usize::from(area.height.saturating_sub(1));
    let mut shaped: Vec<table::Column<'_>> = numbers
        .iter()
        .enumerate()
        .map(|(place, number)| {
            let column = &kind.columns[*number];
            table::Column {
                title: &column.title,
                width: width(column, area.width),
                right: column.shape.is_numeric(),
                rank: if everything { later(place, fixed) } else { column.priority },
                sorted: state.sort.filter(|sort| sort.column == *number).map(|sort| sort.descending),
            }
        })
        .collect();
    // Columns hug what is visible in steps of four cells, so that they seldom move: an empty one takes no room
    // that others need.
    for (column, number) in shaped.iter_mut().zip(&numbers) {
        let Width::Flexible { least, .. } = column.width else { continue };
        let widest = (top..listing.shown().min(top + visible))
            .filter_map(|row| {
                let cell = kind.cell(listing.object(row)?, *number, lens);
                let painted = cells::painted(&cell, lens.now);
                Some(fit::width(&painted.text) + if painted.mark { 2 } else { 0 })
            })
            .max()
            .unwrap_or(0);
        let most = (widest.next_multiple_of(4) as u16).max(fit::width(column.title) as u16 + 1);
        column.width = Width::Flexible { least: least.min(most), most };
    }
    let places = table::lay_out(&shaped, area.width.saturating_sub(2));
    for place in &places {
        let spot = Rect { x: area.x + 2 + place.x, y: area.y, width: place.width, height: 1 };
        spots.put(spot, Spot::Column(numbers[place.column]));
    }
    let more = everything && places.len() < numbers.len();
    for (line, index) in (top..listing.shown()).take(visible).enumerate() {
        let spot = Rect { y: area.y + 1 + line as u16, height: 1, ..area };
        spots.put(spot, Spot::Row { panel: 0, index });
    }
    let window = Window { rows: listing.shown(), top, cursor: Some(state.view.cursor) };
    table::draw(buffer, area, scene.theme, &shaped, window, |row, shown| {
        let Some(object) = listing.object(row) else { return (Vec::new(), false) };
        let cells = shown
            .iter()
            .map(|at| {
                let cell = kind.cell(object, numbers[*at], lens);
                let name = &*kind.columns[numbers[*at]].id == "name";
                owned(&cell, lens, name)
            })
            .collect();
        let marked = !state.marks.is_empty() && state.marks.contains(&kind.reference(lens.context, object));
        (cells, marked)
    });
    for (line, index) in (top..listing.shown()).take(visible).enumerate() {
        if let Some(head) = state.groups.head(index) {
            let spot = Rect { y: area.y + 1 + line as u16, height: 1, ..area };
            group(buffer, spot, scene, head, state.view.cursor == index);
        }
    }
    if more && area.width > 2 {
        let mark = Glyphs::of(scene.theme).more.1;
        buffer.set_stringn(area.right() - 1, area.y, mark, 1, scene.theme.style(Role::Key));
    }
}

/// Draws the head of a group: its word, how many rows it has, and how they are.
fn group(buffer: &mut Buffer, line: Rect, scene: &Scene<'_>, head: &Head, here: bool) {
    let theme = scene.theme;
    let glyphs = Glyphs::of(theme);
    let base = if here { theme.style(Role::Selected) } else { Style::new() };
    let style = |role: Role| over(base, theme.style(role));
    let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
    pen.gap(2).put(if head.open { glyphs.open } else { glyphs.folded }, style(Role::Key)).gap(1);
    let word = if head.word.is_empty() { "(none)" } else { &*head.word };
    // The counts must be seen beside the longest word.
    let room = pen.room().saturating_sub(24).max(pen.room() / 2);
    pen.put(&fit::fit_middle(word, room, glyphs.ellipsis), style(Role::Strong)).gap(2);
    pen.put(&human::count(head.rows), style(Role::Text)).gap(2);
    for (status, health, count) in &head.counts {
        let role = Role::from(*health);
        pen.put(glyphs.mark(role), style(role)).gap(1);
        pen.put(&format!("{} {status}", human::count(*count)), style(role)).gap(2);
    }
}

/// Paints a cell that does not outlive the row.
fn owned(cell: &Cell, lens: &Lens<'_>, name: bool) -> Painted<'static> {
    let painted = cells::painted(cell, lens.now);
    Painted {
        text: painted.text.into_owned().into(),
        role: painted.role,
        mark: painted.mark,
        bar: painted.bar,
        ends: name,
    }
}

/// Returns how wide a column is, from what it holds and how much room there is.
fn width(column: &Column, room: u16) -> Width {
    let title = fit::width(&column.title) as u16 + 1;
    let fixed = |cells: u16| Width::Fixed(cells.max(title));
    match column.shape {
        Shape::Age | Shape::Ratio => fixed(6),
        Shape::Count | Shape::Percent => fixed(5),
        Shape::Quantity => fixed(7),
        Shape::Bar => fixed(12),
        // `CrashLoopBackOff` and `Progressing`, each with its mark: the words that must be read whole.
        Shape::Status if &*column.id == "status" => Width::Flexible { least: 18, most: 28 },
        Shape::Status => Width::Flexible { least: title.max(13), most: 28 },
        // A name must tell one from the other before anything else is said.
        Shape::Text | Shape::Link if matches!(&*column.id, "name" | "alert" | "matchers") => {
            Width::Flexible { least: (room / 4).clamp(18, 40), most: 64 }
        }
        // Sentences: a few words of one are of no use.
        Shape::Text if matches!(&*column.id, "why" | "message") => Width::Flexible { least: 24, most: 120 },
        Shape::Text | Shape::Link => Width::Flexible { least: title.max(9), most: 40 },
    }
}
