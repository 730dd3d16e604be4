//! A text of many lines, of which only the visible ones are asked for: YAML, descriptions, logs.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::fit;
use super::glyphs::Glyphs;
use super::pen::Pen;
use crate::theme::{Role, Theme};

/// One line of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// What stands before it and does not scroll sideways: a time, a container.
    pub lead: Vec<(Cow<'a, str>, Role)>,
    /// The text.
    pub text: Cow<'a, str>,
    /// What the colour of the text means.
    pub role: Role,
    /// Bytes of the text that look different.
    pub parts: Vec<(usize, usize, Role)>,
}

impl<'a> Line<'a> {
    /// A line without anything special.
    pub fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self { lead: Vec::new(), text: text.into(), role: Role::Text, parts: Vec::new() }
    }
}

/// Which part of the text is seen, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    /// How many lines there are.
    pub lines: usize,
    /// The first line that is seen.
    pub top: usize,
    /// Whether the last line is seen at the bottom, whatever `top` says.
    pub follow: bool,
    /// Whether long lines go on below.
    pub wrap: bool,
    /// How many cells are hidden at the left, where lines are not wrapped.
    pub left: usize,
    /// The line at which a search stands.
    pub here: Option<usize>,
    /// Whether lines are numbered.
    pub numbers: bool,
}

/// Draws the visible lines. `line` is asked for a line by its index; `hits` finds what a search looks for
/// in a text, as byte ranges.
pub fn draw<'a>(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    view: View,
    mut line: impl FnMut(usize) -> Line<'a>,
    hits: impl Fn(&str) -> Vec<(usize, usize)>,
) {
    let area = area.intersection(buffer.area);
    if area.is_empty() || view.lines == 0 {
        return;
    }
    let digits = if view.numbers { view.lines.to_string().len() as u16 + 1 } else { 0 };
    let height = usize::from(area.height);
    let top = if view.follow { tail(area, digits, view, &mut line) } else { (view.top, 0) };
    let (first, mut skipped) = top;
    let mut y = area.y;
    for index in first..view.lines.min(first.saturating_add(height)) {
        if y >= area.bottom() {
            return;
        }
        let item = line(index);
        let found = hits(&item.text);
        let hit = if view.here == Some(index) { Role::MatchHere } else { Role::Match };
        for (row, (from, to)) in rows(area, digits, view, &item).into_iter().enumerate() {
            if skipped > 0 {
                skipped -= 1;
                continue;
            }
            if y >= area.bottom() {
                return;
            }
            let at = Rect { y, height: 1, ..area };
            let number = (digits > 0 && row == 0).then_some(index + 1);
            let text_at = lead(buffer, at, theme, &item, number, digits, row > 0);
            text(buffer, text_at, theme, &item, (from, to), view, &found, hit);
            y += 1;
        }
    }
}

/// Returns the first line, and how many of its rows are above the window, so that the last row of the last
/// line is at the bottom.
fn tail<'a>(area: Rect, digits: u16, view: View, line: &mut impl FnMut(usize) -> Line<'a>) -> (usize, usize) {
    let height = usize::from(area.height);
    if !view.wrap {
        return (view.lines.saturating_sub(height), 0);
    }
    let mut used = 0;
    for index in (0..view.lines).rev() {
        used += rows(area, digits, view, &line(index)).len();
        if used >= height {
            return (index, used - height);
        }
    }
    (0, 0)
}

/// Returns the rows of a line, as byte ranges of its text.
fn rows(area: Rect, digits: u16, view: View, line: &Line<'_>) -> Vec<(usize, usize)> {
    if !view.wrap {
        return vec![(0, line.text.len())];
    }
    let lead = line.lead.iter().map(|(text, _)| fit::width(text) + 1).sum::<usize>() + usize::from(digits);
    fit::wrap(&line.text, usize::from(area.width).saturating_sub(lead).max(8))
}

/// Draws what stands before a line, and returns what is left for its text.
fn lead(
    buffer: &mut Buffer,
    at: Rect,
    theme: &Theme,
    line: &Line<'_>,
    number: Option<usize>,
    digits: u16,
    continued: bool,
) -> Rect {
    let mut pen = Pen::new(buffer, at, Glyphs::of(theme).ellipsis);
    if let Some(number) = number {
        let number = format!("{number:>width$}", width = usize::from(digits - 1));
        pen.put(&number, theme.style(Role::Dim));
    }
    pen.to(at.x + digits);
    for (text, role) in &line.lead {
        if continued {
            pen.gap(fit::width(text) as u16 + 1);
        } else {
            pen.put(text, theme.style(*role)).gap(1);
        }
    }
    let x = pen.column();
    Rect { x, width: at.right().saturating_sub(x), ..at }
}

/// Draws one row of a line's text with its parts and hits.
#[expect(clippy::too_many_arguments, reason = "one private step of drawing a line, called once")]
fn text(
    buffer: &mut Buffer,
    at: Rect,
    theme: &Theme,
    line: &Line<'_>,
    (from, to): (usize, usize),
    view: View,
    found: &[(usize, usize)],
    hit: Role,
) {
    let glyphs = Glyphs::of(theme);
    let whole = &line.text[from..to];
    let (hidden, half) = if view.wrap { (0, 0) } else { fit::skip(whole, view.left) };
    let shown = &whole[hidden..];
    let base = theme.style(line.role);
    let start = from + hidden;
    let width = usize::from(at.width);
    let mut pen = Pen::new(buffer, at, "");
    pen.gap(half as u16);
    let room = pen.room();
    let visible = fit::take(shown, room);
    let mut put = |from: usize, to: usize, style: Style| {
        pen.put(&line.text[from..to], style);
    };
    // The places where the look changes, in order.
    let end = start + visible.len();
    let mut cuts: Vec<usize> = vec![start, end];
    for (from, to) in line.parts.iter().map(|(from, to, _)| (*from, *to)).chain(found.iter().copied()) {
        cuts.extend([from, to].into_iter().filter(|cut| (start..end).contains(cut)));
    }
    cuts.sort_unstable();
    cuts.dedup();
    for pair in cuts.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let inside = |range: (usize, usize)| range.0 <= from && to <= range.1;
        let mut style = base;
        if let Some((_, _, role)) = line.parts.iter().find(|(from, to, _)| inside((*from, *to))) {
            style = style.patch(theme.style(*role));
        }
        if found.iter().any(|range| inside(*range)) {
            style = style.patch(theme.style(hit));
        }
        put(from, to, style);
    }
    // What is hidden at either side is marked in the outermost cells.
    let mark = theme.style(Role::Dim);
    if !view.wrap && hidden > 0 && width > 0 {
        buffer.set_stringn(at.x, at.y, glyphs.more.0, 1, mark);
    }
    if !view.wrap && visible.len() < shown.len() && width > 0 {
        let last = at.right() - 1;
        // A wide character under the mark must not be left in half.
        if last > at.x && fit::width(buffer[(last - 1, at.y)].symbol()) > 1 {
            buffer[(last - 1, at.y)].set_symbol(" ");
        }
        buffer.set_stringn(last, at.y, glyphs.more.1, 1, mark);
    }
}

/// Returns the parts of a YAML line: its key stands back, its value does not.
pub fn yaml_parts(line: &str) -> Vec<(usize, usize, Role)> {
    let indent = line.len() - line.trim_start_matches([' ', '-']).len();
    let body = &line[indent..];
    if body.starts_with('#') {
        return vec![(0, line.len(), Role::Dim)];
    }
    match body.find(':') {
        Some(at) if body[at + 1..].is_empty() || body[at + 1..].starts_with(' ') => {
            let key = &body[..at];
            // A quoted key may hold spaces; a sentence with a colon in it is not a key.
            if key.contains(' ') && !key.starts_with(['"', '\'']) {
                return Vec::new();
            }
            vec![(0, indent + at + 1, Role::Dim)]
        }
        _ => Vec::new(),
    }
}
