//! Values over time as curves, with axes, thresholds, marks and a legend.
//!
//! A gap is a gap: points that are too far apart are not joined, and what is no number is not drawn as one. Curves
//! are told apart by letters, on the curve and in the legend; colour only helps. Where the terminal has no Braille
//! the letters are the curves.

mod canvas;
mod scale;

#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::glyphs::Glyphs;
use super::pen::Pen;
use super::{fit, panel};
use crate::human::Measure;
use crate::theme::{Role, Theme};
use canvas::Canvas;
use scale::{Scale, Wanted, is_drawn};

/// Columns between two letters of a curve.
const LETTERS: usize = 24;

/// Columns that the legend keeps for a name at least, and at most: values go before more of a name goes.
const NAME: (usize, usize) = (12, 28);

/// How much of the width the labels of the values may take.
const LABELS: u16 = 3;

/// A curve.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Milliseconds since 1970 and values, in the order of time.
    pub points: &'a [(i64, f64)],
    /// The letter that stands for it.
    pub letter: char,
    /// Its colour.
    pub role: Role,
}

/// A line across.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// The value.
    pub at: f64,
    /// What lies beyond it is.
    pub role: Role,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since 1970.
    pub at: i64,
    /// Whether it is good or bad news.
    pub role: Role,
}

/// What a graph is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Graph<'a> {
    /// The curves; the first lie above.
    pub curves: &'a [Curve<'a>],
    /// The beginning and the end of the time, in milliseconds since 1970.
    pub span: (i64, i64),
    /// Points that are further apart than this, in milliseconds, are not joined.
    pub gap: i64,
    /// What the values measure.
    pub unit: Measure,
    /// The least and the greatest value of the axis, where the values do not decide.
    pub bounds: (Option<f64>, Option<f64>),
    /// Lines across.
    pub levels: &'a [Level],
    /// What happened.
    pub events: &'a [Event],
    /// The time that is read, in milliseconds since 1970: the legend has the values of that time.
    pub cursor: Option<i64>,
    /// The zone of the times.
    pub zone: &'a TimeZone,
    /// How many rows the legend may take.
    pub legend: u16,
}

/// Where the curves are: for reading a time from the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plot {
    /// The cells of the curves.
    pub area: Rect,
    /// The beginning and the end of the time, in milliseconds since 1970.
    pub span: (i64, i64),
}

impl Plot {
    /// Returns the time at a column.
    pub fn time(&self, column: u16) -> i64 {
        let width = i64::from(self.area.width.max(2) - 1);
        let at = i64::from(column.saturating_sub(self.area.x).min(self.area.width.saturating_sub(1)));
        self.span.0 + (self.span.1 - self.span.0) / width * at
    }
}

/// Returns the letter of a curve by its number.
pub fn letter(number: usize) -> char {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    LETTERS.get(number).map_or('*', |letter| char::from(*letter))
}

/// The last, the least and the greatest number of a curve within a span.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// The last value that is a number; infinities count.
    pub last: Option<f64>,
    /// The least value that can be drawn.
    pub least: Option<f64>,
    /// The greatest value that can be drawn.
    pub most: Option<f64>,
}

impl Summary {
    /// Sums up the points of a span.
    pub fn of(points: &[(i64, f64)], span: (i64, i64)) -> Self {
        let mut summary = Self::default();
        for (at, value) in points {
            if *at < span.0 || *at > span.1 || value.is_nan() {
                continue;
            }
            summary.last = Some(*value);
            if is_drawn(*value) {
                summary.least = Some(summary.least.map_or(*value, |least| least.min(*value)));
                summary.most = Some(summary.most.map_or(*value, |most| most.max(*value)));
            }
        }
        summary
    }
}

/// Returns the value of a curve at a time: that of the last point not after it, where it is not too old.
pub fn at(points: &[(i64, f64)], time: i64, gap: i64) -> Option<f64> {
    let before = points.partition_point(|(at, _)| *at <= time);
    let (at, value) = *points.get(before.checked_sub(1)?)?;
    (time - at <= gap).then_some(value)
}

/// Draws a graph and returns where its curves are; `None` where there is no room for them.
pub fn draw(buffer: &mut Buffer, area: Rect, theme: &Theme, graph: &Graph<'_>) -> Option<Plot> {
    let area = area.intersection(buffer.area);
    if area.is_empty() || graph.span.1 <= graph.span.0 {
        return None;
    }
    let most = graph.legend.min(u16::try_from(graph.curves.len()).unwrap_or(u16::MAX));
    let legend = match area.height {
        0..=2 => 0,
        3..=5 => most.min(1),
        height => most.min(height / 3),
    };
    let (rest, below) = panel::split_bottom(area, legend);
    let (rest, labels) = panel::split_bottom(rest, u16::from(rest.height >= 3));
    let (body, rule) = panel::split_bottom(rest, u16::from(rest.height >= 4));
    let levels: Vec<f64> = graph.levels.iter().map(|level| level.at).collect();
    let scale = Scale::of(Wanted {
        unit: graph.unit,
        values: extent(graph),
        low: graph.bounds.0,
        high: graph.bounds.1,
        levels: &levels,
        rows: usize::from(body.height),
    });
    let words: Vec<(f64, String)> =
        scale.ticks().map(|value| (value, graph.unit.tick(value, scale.step))).collect();
    let widest = words.iter().map(|(_, word)| fit::width(word)).max().unwrap_or(0) as u16;
    let left = if widest + 1 > area.width / LABELS { 0 } else { widest + 1 };
    // A column at the right holds the letters of the curves' ends.
    let right = u16::from(graph.curves.len() > 1 && area.width > 12);
    let plot = Rect { x: body.x + left, width: body.width.saturating_sub(left + right), ..body };
    let placed = Plot { area: plot, span: graph.span };
    if plot.is_empty() {
        return None;
    }
    if left > 0 {
        axis(buffer, body, plot, theme, &scale, &words);
    }
    for level in graph.levels {
        across(buffer, plot, theme, &scale, graph.unit, *level);
    }
    if let Some(column) = graph.cursor.and_then(|at| column(&placed, at)) {
        let glyph = if theme.ascii { ":" } else { "┊" };
        for y in plot.y..plot.bottom() {
            buffer[(column, y)].set_symbol(glyph).set_style(theme.style(Role::Focus));
        }
    }
    curves(buffer, plot, theme, graph, &scale);
    if !rule.is_empty() {
        let rule = Rect { x: plot.x, width: plot.width, ..rule };
        ground(buffer, rule, left > 0, theme, graph, &placed);
    }
    if !labels.is_empty() {
        when(buffer, Rect { x: plot.x, width: plot.width, ..labels }, theme, graph, &placed);
    }
    names(buffer, below, theme, graph);
    Some(placed)
}

/// The least and the greatest value that is seen.
fn extent(graph: &Graph<'_>) -> Option<(f64, f64)> {
    let values = graph
        .curves
        .iter()
        .flat_map(|curve| curve.points)
        .filter(|(at, value)| (graph.span.0..=graph.span.1).contains(at) && is_drawn(*value));
    values.fold(None, |extent, (_, value)| {
        let (least, most) = extent.unwrap_or((*value, *value));
        Some((f64::min(least, *value), f64::max(most, *value)))
    })
}

/// Returns the column of a time, where it is in sight.
fn column(plot: &Plot, at: i64) -> Option<u16> {
    let (from, to) = plot.span;
    if at < from || at > to {
        return None;
    }
    let share = (at - from) as f64 / (to - from) as f64;
    Some(plot.area.x + (share * f64::from(plot.area.width - 1)).round() as u16)
}

/// Draws the values beside the plot.
fn axis(buffer: &mut Buffer, body: Rect, plot: Rect, theme: &Theme, scale: &Scale, words: &[(f64, String)]) {
    let (line, tick) = if theme.ascii { ("|", "+") } else { ("│", "┤") };
    let wall = plot.x - 1;
    for y in body.y..body.bottom() {
        buffer[(wall, y)].set_symbol(line).set_style(theme.style(Role::Border));
    }
    let mut free = body.bottom();
    for (value, word) in words {
        let y = body.y + row(scale, *value, body.height);
        // Two labels in one row say nothing.
        if y >= free {
            continue;
        }
        free = y;
        buffer[(wall, y)].set_symbol(tick).set_style(theme.style(Role::Border));
        let room = usize::from(wall - body.x);
        let start = body.x + (room.saturating_sub(fit::width(word))) as u16;
        buffer.set_stringn(start, y, word, room, theme.style(Role::Dim));
    }
}

fn row(scale: &Scale, value: f64, height: u16) -> u16 {
    (scale.place(value) * f64::from(height.saturating_sub(1))).round() as u16
}

/// Draws a threshold with its value.
fn across(buffer: &mut Buffer, plot: Rect, theme: &Theme, scale: &Scale, unit: Measure, level: Level) {
    if !scale.holds(level.at) {
        return;
    }
    let style = theme.style(level.role);
    let y = plot.y + row(scale, level.at, plot.height);
    let glyph = if theme.ascii { "-" } else { "╌" };
    for x in plot.x..plot.right() {
        buffer[(x, y)].set_symbol(glyph).set_style(style);
    }
    let mark = Glyphs::of(theme).mark(level.role);
    let word = format!(" {mark} {} ", unit.text(level.at));
    if fit::width(&word) * 3 < usize::from(plot.width) {
        buffer.set_stringn(plot.x + 1, y, &word, fit::width(&word), style);
    }
}

/// Draws the curves and their letters.
fn curves(buffer: &mut Buffer, plot: Rect, theme: &Theme, graph: &Graph<'_>, scale: &Scale) {
    let mut canvas = Canvas::new(plot.width, plot.height, theme.ascii);
    let (wide, tall) = canvas.dots();
    let (from, to) = graph.span;
    let place = |at: i64, value: f64| {
        let share = (at - from) as f64 / (to - from) as f64;
        let x = (share * (wide - 1) as f64).round() as usize;
        (x, (scale.place(value) * (tall - 1) as f64).round() as usize)
    };
    // The first curves lie above.
    for (number, curve) in graph.curves.iter().enumerate().rev() {
        let number = u16::try_from(number).unwrap_or(u16::MAX - 1);
        let mut before: Option<(i64, (usize, usize))> = None;
        for (at, value) in curve.points {
            if *at < from || *at > to || !is_drawn(*value) {
                before = None;
                continue;
            }
            let here = place(*at, *value);
            let start = before.filter(|(last, _)| at - last <= graph.gap).map_or(here, |(_, start)| start);
            canvas.line(start, here, number);
            before = Some((*at, here));
        }
    }
    let many = graph.curves.len() > 1;
    let mut text = [0; 4];
    for row in 0..plot.height {
        for column in 0..plot.width {
            let Some((number, dots, alone)) = canvas.cell(usize::from(column), usize::from(row)) else {
                continue;
            };
            let Some(curve) = graph.curves.get(usize::from(number)) else { continue };
            let stride = (usize::from(column) + usize::from(number) * 7 + LETTERS / 2) % LETTERS;
            let glyph = match () {
                () if theme.ascii && !many => '*',
                () if theme.ascii => curve.letter,
                () if many && alone && stride == 0 => curve.letter,
                () => dots,
            };
            let cell = &mut buffer[(plot.x + column, plot.y + row)];
            // The style is the curve's own, not that of a threshold it covers.
            cell.set_style(Style::reset()).set_style(ground_of(theme)).set_style(theme.style(curve.role));
            cell.set_symbol(glyph.encode_utf8(&mut text));
        }
    }
    single(buffer, plot, theme, graph, scale);
    infinities(buffer, plot, theme, graph);
    if many {
        ends(buffer, plot, theme, graph, scale);
    }
}

/// Marks points that are joined to none: one dot of eight would hardly be seen.
fn single(buffer: &mut Buffer, plot: Rect, theme: &Theme, graph: &Graph<'_>, scale: &Scale) {
    if theme.ascii {
        return;
    }
    let many = graph.curves.len() > 1;
    let placed = Plot { area: plot, span: graph.span };
    let mut text = [0; 4];
    for curve in graph.curves.iter().rev() {
        let joined = |one: Option<&(i64, f64)>, at: i64| {
            one.is_some_and(|(other, value)| {
                is_drawn(*value) && at.abs_diff(*other) <= graph.gap.unsigned_abs()
            })
        };
        for (number, (at, value)) in curve.points.iter().enumerate() {
            let before = number.checked_sub(1).and_then(|before| curve.points.get(before));
            if !is_drawn(*value) || joined(before, *at) || joined(curve.points.get(number + 1), *at) {
                continue;
            }
            if let Some(x) = column(&placed, *at) {
                let mark = if many { curve.letter } else { '•' };
                let y = plot.y + row(scale, *value, plot.height);
                let cell = &mut buffer[(x, y)];
                cell.set_style(Style::reset()).set_style(ground_of(theme)).set_style(theme.style(curve.role));
                cell.set_symbol(mark.encode_utf8(&mut text));
            }
        }
    }
}

fn ground_of(theme: &Theme) -> Style {
    theme.style(Role::Text)
}

/// Marks the times at which a curve was beyond every number, at the edge that it left by.
fn infinities(buffer: &mut Buffer, plot: Rect, theme: &Theme, graph: &Graph<'_>) {
    let glyph = if theme.ascii { "^" } else { "∞" };
    let placed = Plot { area: plot, span: graph.span };
    for curve in graph.curves {
        for (at, value) in curve.points.iter().filter(|(_, value)| !value.is_nan() && !is_drawn(*value)) {
            let Some(x) = column(&placed, *at) else { continue };
            let y = if *value > 0.0 { plot.y } else { plot.bottom() - 1 };
            buffer[(x, y)].set_symbol(glyph).set_style(theme.style(curve.role));
        }
    }
}

/// Writes the letters of the curves where they end.
fn ends(buffer: &mut Buffer, plot: Rect, theme: &Theme, graph: &Graph<'_>, scale: &Scale) {
    let x = plot.right();
    if x >= buffer.area.right() {
        return;
    }
    let mut taken = vec![false; usize::from(plot.height)];
    let mut text = [0; 4];
    for curve in graph.curves {
        let Some((at, value)) = curve.points.iter().rev().find(|(at, _)| *at <= graph.span.1) else {
            continue;
        };
        if !is_drawn(*value) || graph.span.1 - at > graph.gap {
            continue;
        }
        let row = row(scale, *value, plot.height);
        // Curves that end together share the row: the one above has it.
        if let Some(free) = taken.get_mut(usize::from(row))
            && !*free
        {
            *free = true;
            let letter = curve.letter.encode_utf8(&mut text);
            buffer[(x, plot.y + row)].set_symbol(letter).set_style(theme.style(curve.role));
        }
    }
}

/// Draws the line under the plot, with what happened when.
fn ground(buffer: &mut Buffer, line: Rect, corner: bool, theme: &Theme, graph: &Graph<'_>, plot: &Plot) {
    let glyphs = Glyphs::of(theme);
    let style = theme.style(Role::Border);
    for x in line.x..line.right() {
        buffer[(x, line.y)].set_symbol(glyphs.rule).set_style(style);
    }
    if corner {
        buffer[(line.x - 1, line.y)].set_symbol(if theme.ascii { "+" } else { "└" }).set_style(style);
    }
    for (at, _) in scale::times(graph.span.0, graph.span.1, usize::from(line.width), graph.zone) {
        if let Some(x) = column(plot, at) {
            buffer[(x, line.y)].set_symbol(if theme.ascii { "+" } else { "┴" }).set_style(style);
        }
    }
    for event in graph.events {
        if let Some(x) = column(plot, event.at) {
            let mark = glyphs.mark(event.role);
            buffer[(x, line.y)].set_symbol(mark).set_style(theme.style(event.role));
        }
    }
}

/// Writes the times under the plot, that of the cursor before all others.
fn when(buffer: &mut Buffer, line: Rect, theme: &Theme, graph: &Graph<'_>, plot: &Plot) {
    let dim = theme.style(Role::Dim);
    let mut free = line.x;
    let mut shown: Vec<(u16, String, Style)> = Vec::new();
    if let Some(at) = graph.cursor
        && let Some(x) = column(plot, at)
        && let Ok(at) = jiff::Timestamp::from_millisecond(at)
    {
        shown.push((x, crate::human::clock(at, graph.zone), theme.style(Role::Key)));
    }
    let reserved = shown.first().map(|(x, word, _)| (*x, fit::width(word) as u16 + 2));
    for (at, word) in scale::times(graph.span.0, graph.span.1, usize::from(line.width), graph.zone) {
        if let Some(x) = column(plot, at)
            && reserved.is_none_or(|(taken, room)| x.abs_diff(taken) > room)
        {
            shown.push((x, word, dim));
        }
    }
    shown.sort_by_key(|(x, _, _)| *x);
    for (x, word, style) in shown {
        let width = fit::width(&word) as u16;
        let start =
            x.saturating_sub(width / 2).max(line.x).min(line.right().saturating_sub(width).max(line.x));
        if start < free || start + width > line.right() {
            continue;
        }
        buffer.set_stringn(start, line.y, &word, usize::from(width), style);
        free = start + width + 1;
    }
}

/// Writes the names of the curves with their values.
fn names(buffer: &mut Buffer, area: Rect, theme: &Theme, graph: &Graph<'_>) {
    if area.is_empty() {
        return;
    }
    let glyphs = Glyphs::of(theme);
    let value = |curve: &Curve<'_>| match graph.cursor {
        Some(time) => at(curve.points, time, graph.gap),
        None => Summary::of(curve.points, graph.span).last,
    };
    let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| graph.unit.text(value));
    if graph.curves.len() <= usize::from(area.height) && area.width >= 36 {
        let widest = graph.curves.iter().map(|curve| fit::width(curve.name) + 4).max().unwrap_or(0);
        let name = widest.clamp(NAME.0, NAME.1.min(usize::from(area.width) / 2));
        for (curve, y) in graph.curves.iter().zip(area.y..area.bottom()) {
            let line = Rect { y, height: 1, ..area };
            let summary = Summary::of(curve.points, graph.span);
            let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
            let word = if graph.cursor.is_some() { "at" } else { "last" };
            // Facts at the right, the least needed first to go.
            let facts = [(word, value(curve)), ("max", summary.most), ("min", summary.least)];
            let facts = facts.map(|(name, fact)| (name, format!("{:>8}", text(fact))));
            let mut room = pen.room().saturating_sub(name);
            let kept = facts.iter().take_while(|(name, fact)| {
                let width = name.len() + 1 + fit::width(fact);
                let fits = width <= room;
                room = room.saturating_sub(width);
                fits
            });
            let kept = kept.count();
            for (name, fact) in facts.iter().take(kept).rev() {
                pen.put_right(fact, theme.style(Role::Text));
                pen.put_right(&format!(" {name}"), theme.style(Role::Dim));
            }
            pen.put(&format!(" {} ", curve.letter), theme.style(curve.role));
            pen.put(curve.name, theme.style(Role::Text));
        }
        return;
    }
    let mut left = graph.curves.len();
    let mut curves = graph.curves.iter().peekable();
    for y in area.y..area.bottom() {
        let last_line = y + 1 == area.bottom();
        let mut pen = Pen::new(buffer, Rect { y, height: 1, ..area }, glyphs.ellipsis);
        while let Some(curve) = curves.peek() {
            let value = text(value(curve));
            let most = usize::from(area.width).saturating_sub(fit::width(&value) + 5).max(6);
            let name = fit::fit_middle(curve.name, most.min(28), glyphs.ellipsis).into_owned();
            let width = fit::width(&name) + fit::width(&value) + 6;
            // Room for saying how many are not named.
            let rest = if last_line && left > 1 { 5 } else { 0 };
            if pen.room() < width + rest && pen.column() > area.x {
                break;
            }
            pen.put(&format!(" {} ", curve.letter), theme.style(curve.role));
            pen.put(&name, theme.style(Role::Text)).put(&format!(" {value} "), theme.style(Role::Strong));
            curves.next();
            left -= 1;
        }
        if last_line && left > 0 {
            pen.put(&format!(" +{left}"), theme.style(Role::Dim));
        }
    }
}
