//! A table of which only the visible window becomes text.
//!
//! # Why
//! A table holds up to 100,000 rows and a frame may take 4 ms, so rows are asked for one by one, by index,
//! and nothing here looks at a row that is not drawn. Widths therefore follow from what a column means and
//! from hints, never from all of its content, and the columns do not jump while the table scrolls.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::fit;
use super::gauge;
use super::glyphs::Glyphs;
use super::over;
use super::pen::Pen;
use crate::theme::{Role, Theme};

/// How wide a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// As wide as its type needs.
    Fixed(u16),
    /// At least, and where there is room at most, so many cells.
    Flexible {
        /// Below this it cannot be read.
        least: u16,
        /// More does not help.
        most: u16,
    },
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column<'a> {
    /// The word above it.
    pub title: &'a str,
    /// How wide it is.
    pub width: Width,
    /// Whether it is aligned to the right, as numbers are.
    pub right: bool,
    /// When it goes on a narrow terminal: the highest first; zero never goes.
    pub rank: u8,
    /// Whether the rows are sorted by it, and whether downwards.
    pub sorted: Option<bool>,
}

/// What stands in one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Painted<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// What its colour means.
    pub role: Role,
    /// Whether the mark of the role stands before it.
    pub mark: bool,
    /// A part of one, drawn as a bar before the text.
    pub bar: Option<f64>,
    /// Whether both ends of the text stay when it is cut.
    pub ends: bool,
}

impl<'a> Painted<'a> {
    /// Text that means nothing but itself.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self { text: text.into(), role: Role::Text, mark: false, bar: None, ends: false }
    }

    /// Text in the colour of a role.
    pub fn toned(text: impl Into<Cow<'a, str>>, role: Role) -> Self {
        Self { role, ..Self::text(text) }
    }

    /// Text in the colour of a role, behind its mark.
    pub fn marked(text: impl Into<Cow<'a, str>>, role: Role) -> Self {
        Self { role, mark: true, ..Self::text(text) }
    }

    /// Text behind a bar.
    pub fn bar(part: f64, text: impl Into<Cow<'a, str>>, role: Role) -> Self {
        Self { role, bar: Some(part), ..Self::text(text) }
    }

    /// The same with both ends kept when it is cut.
    #[must_use]
    pub fn keeping_ends(mut self) -> Self {
        self.ends = true;
        self
    }
}

/// Where the rows of a table stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// How many rows there are.
    pub rows: usize,
    /// The first row that is drawn.
    pub top: usize,
    /// The row with the cursor.
    pub cursor: Option<usize>,
}

/// The cells before the first column: one for the cursor, one for the mark.
const GUTTER: u16 = 2;

/// Draws a table: a header line, then the rows of the window.
///
/// `row` is asked for a visible row: its cells, column by column, and whether it is marked. Columns that do
/// not fit are left out whole, by rank; `row` is not asked for their text.
pub fn draw<'a>(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    columns: &[Column<'_>],
    window: Window,
    mut row: impl FnMut(usize, &[usize]) -> (Vec<Painted<'a>>, bool),
) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let glyphs = Glyphs::of(theme);
    let places = lay_out(columns, area.width.saturating_sub(GUTTER));
    header(buffer, area, theme, columns, &places);
    let shown: Vec<usize> = places.iter().map(|place| place.column).collect();
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    for (line, index) in (window.top..window.rows).take(usize::from(body.height)).enumerate() {
        let at = Rect { y: body.y + line as u16, height: 1, ..body };
        let (cells, marked) = row(index, &shown);
        let under_cursor = window.cursor == Some(index);
        let base = if under_cursor { theme.style(Role::Selected) } else { Style::new() };
        if under_cursor {
            buffer.set_style(at, base);
            buffer.set_stringn(at.x, at.y, glyphs.cursor, 1, over(base, theme.style(Role::Key)));
        }
        if marked && at.width > 1 {
            buffer.set_stringn(at.x + 1, at.y, glyphs.marked, 1, over(base, theme.style(Role::Marked)));
        }
        for (place, cell) in places.iter().zip(&cells) {
            let Some(column) = columns.get(place.column) else { continue };
            let spot = Rect { x: at.x + GUTTER + place.x, width: place.width, ..at };
            paint(buffer, spot, theme, column.right, cell, base, marked);
        }
    }
}

fn header(buffer: &mut Buffer, area: Rect, theme: &Theme, columns: &[Column<'_>], places: &[Place]) {
    let glyphs = Glyphs::of(theme);
    for place in places {
        let Some(column) = columns.get(place.column) else { continue };
        let spot = Rect { x: area.x + GUTTER + place.x, width: place.width, height: 1, ..area };
        let arrow = match column.sorted {
            None => "",
            Some(false) => glyphs.ascending,
            Some(true) => glyphs.descending,
        };
        let room = usize::from(place.width).saturating_sub(fit::width(arrow));
        let title = fit::take(column.title, room);
        let mut pen = Pen::new(buffer, spot, "");
        if column.right {
            pen.gap((room - fit::width(title)) as u16);
        }
        let role = if column.sorted.is_some() { Role::Sorted } else { Role::Title };
        pen.put(title, theme.style(role)).put(arrow, theme.style(role));
    }
}

fn paint(
    buffer: &mut Buffer,
    spot: Rect,
    theme: &Theme,
    right: bool,
    cell: &Painted<'_>,
    base: Style,
    marked: bool,
) {
    let glyphs = Glyphs::of(theme);
    let role = if marked && cell.role == Role::Text { Role::Marked } else { cell.role };
    let style = over(base, theme.style(role));
    let mut spot = spot;
    if let Some(part) = cell.bar {
        let number = fit::width(&cell.text).max(4);
        let room = usize::from(spot.width).saturating_sub(number + 1);
        if room >= 3 {
            let bar = Rect { width: room as u16, ..spot };
            let full = if cell.role == Role::Text { over(base, theme.style(Role::BarFull)) } else { style };
            gauge::bar(buffer, bar, glyphs, part, full, over(base, theme.style(Role::BarEmpty)));
            spot.x += room as u16 + 1;
            spot.width -= room as u16 + 1;
        }
        return write(buffer, spot, glyphs, &cell.text, style, true, false);
    }
    if cell.mark {
        let mark = glyphs.mark(cell.role);
        let cells = fit::width(mark) as u16 + 1;
        if spot.width >= cells {
            buffer.set_stringn(spot.x, spot.y, mark, usize::from(spot.width), style);
            spot.x += cells;
            spot.width -= cells;
        }
    }
    write(buffer, spot, glyphs, &cell.text, style, right, cell.ends);
}

fn write(
    buffer: &mut Buffer,
    spot: Rect,
    glyphs: &Glyphs,
    text: &str,
    style: Style,
    right: bool,
    ends: bool,
) {
    let room = usize::from(spot.width);
    let text = if ends {
        fit::fit_middle(text, room, glyphs.ellipsis)
    } else {
        fit::fit(text, room, glyphs.ellipsis)
    };
    let mut pen = Pen::new(buffer, spot, glyphs.ellipsis);
    if right {
        pen.gap(room.saturating_sub(fit::width(&text)) as u16);
    }
    pen.put(&text, style);
}

/// Where a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The index of the column.
    pub column: usize,
    /// Cells from the first column's start.
    pub x: u16,
    /// Its width.
    pub width: u16,
}

/// Gives columns their places in `room` cells: the least important go first where there is too little,
/// flexible ones grow where there is more.
pub fn lay_out(columns: &[Column<'_>], room: u16) -> Vec<Place> {
    let room = usize::from(room);
    // Two cells between columns read better; one is what a narrow terminal can pay.
    let gap = if room >= 98 { 2 } else { 1 };
    let least = |column: &Column<'_>| {
        usize::from(match column.width {
            Width::Fixed(cells) => cells,
            Width::Flexible { least, .. } => least,
        })
    };
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let mut need = columns.iter().map(|column| least(column) + gap).sum::<usize>().saturating_sub(gap);
    while need > room && kept.len() > 1 {
        let goes = kept
            .iter()
            .enumerate()
            .filter(|(_, index)| columns[**index].rank > 0)
            .max_by_key(|(place, index)| (columns[**index].rank, *place))
            .map(|(place, _)| place);
        let Some(place) = goes else { break };
        let index = kept.remove(place);
        need = need.saturating_sub(least(&columns[index]) + gap);
    }
    let mut widths: Vec<usize> = kept.iter().map(|index| least(&columns[*index])).collect();
    grow(columns, &kept, &mut widths, room.saturating_sub(need));
    shrink(columns, &kept, &mut widths, need.saturating_sub(room));
    let mut x = 0;
    let mut places = Vec::with_capacity(kept.len());
    for (column, width) in kept.into_iter().zip(widths) {
        let width = width.min(room.saturating_sub(x));
        if width > 0 {
            places.push(Place { column, x: x as u16, width: width as u16 });
        }
        x += width + gap;
    }
    places
}

/// Shares spare cells between flexible columns, each in proportion to what it still wants.
fn grow(columns: &[Column<'_>], kept: &[usize], widths: &mut [usize], spare: usize) {
    let wants: Vec<usize> = kept
        .iter()
        .zip(widths.iter())
        .map(|(index, width)| match columns[*index].width {
            Width::Fixed(_) => 0,
            Width::Flexible { most, .. } => usize::from(most).saturating_sub(*width),
        })
        .collect();
    let wanted: usize = wants.iter().sum();
    if wanted == 0 {
        return;
    }
    let given = spare.min(wanted);
    let mut before = 0;
    for (width, want) in widths.iter_mut().zip(&wants) {
        // Shares of the running sum add up to what is given, to the cell.
        let upto = before + want;
        *width += upto * given / wanted - before * given / wanted;
        before = upto;
    }
}

/// Takes missing cells from flexible columns that may not go.
fn shrink(columns: &[Column<'_>], kept: &[usize], widths: &mut [usize], mut missing: usize) {
    for (index, width) in kept.iter().zip(widths.iter_mut()) {
        if missing == 0 {
            return;
        }
        if matches!(columns[*index].width, Width::Flexible { .. }) {
            let taken = width.saturating_sub(4).min(missing);
            *width -= taken;
            missing -= taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(title: &str, width: Width, rank: u8) -> Column<'_> {
        Column { title, width, right: false, rank, sorted: None }
    }

    fn columns() -> Vec<Column<'static>> {
        vec![
            column("NAME", Width::Flexible { least: 10, most: 40 }, 0),
            column("READY", Width::Fixed(5), 1),
            column("NODE", Width::Flexible { least: 8, most: 20 }, 3),
            column("IP", Width::Fixed(15), 4),
        ]
    }

    #[test]
    fn the_least_important_columns_go_first() {
        let kept = |room| -> Vec<usize> {
            lay_out(&columns(), room).into_iter().map(|place| place.column).collect()
        };
        assert_eq!(kept(80), [0, 1, 2, 3]);
        assert_eq!(kept(30), [0, 1, 2]);
        assert_eq!(kept(20), [0, 1]);
        assert_eq!(kept(8), [0]);
    }

    #[test]
    fn flexible_columns_take_what_is_left_and_no_more_than_helps() {
        let widths =
            |room| -> Vec<u16> { lay_out(&columns(), room).into_iter().map(|place| place.width).collect() };
        assert_eq!(widths(62), [25, 5, 14, 15]);
        assert_eq!(widths(200), [40, 5, 20, 15]);
    }

    #[test]
    fn no_layout_leaves_its_room() {
        for room in 0..120 {
            for place in lay_out(&columns(), room) {
                assert!(place.x + place.width <= room, "room {room}: {place:?}");
            }
        }
    }
}
