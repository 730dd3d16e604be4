//! The title line of a panel and the lines between panels.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::glyphs::Glyphs;
use super::pen::Pen;
use crate::theme::{Role, Theme};

/// A piece of text and what its colour means.
pub type Piece<'a> = (&'a str, Role);

/// Draws a title over a rule in the first line of `area`, with facts beside it, and returns what is below.
///
/// Facts that do not fit whole are left out, from the last; the title is cut.
pub fn titled(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    title: &str,
    facts: &[Piece<'_>],
    focused: bool,
) -> Rect {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return area;
    }
    let glyphs = Glyphs::of(theme);
    let rule = theme.style(if focused { Role::Focus } else { Role::Border });
    let mut pen = Pen::new(buffer, area, glyphs.ellipsis);
    pen.put(glyphs.rule, rule).put(" ", rule);
    pen.put(title, theme.style(Role::Title));
    for (index, (text, role)) in facts.iter().enumerate() {
        let gap = if index == 0 && title.is_empty() { "" } else { "  " };
        if pen.room() < super::fit::width(text) + gap.len() {
            break;
        }
        pen.put(gap, rule).put(text, theme.style(*role));
    }
    pen.put(" ", rule);
    pen.fill(glyphs.rule, rule);
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// Draws a vertical line in the first column of `area` with a joint to the rule above, and returns what is
/// to the right of it.
pub fn wall(buffer: &mut Buffer, area: Rect, theme: &Theme) -> Rect {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return area;
    }
    let glyphs = Glyphs::of(theme);
    let style = theme.style(Role::Border);
    for y in area.y..area.bottom() {
        let glyph = if y == area.y { glyphs.tee } else { glyphs.wall };
        buffer[(area.x, y)].set_symbol(glyph).set_style(style);
    }
    Rect { x: area.x + 1, width: area.width - 1, ..area }
}

/// Splits an area into rows: the first `top` lines and the rest.
pub fn split_top(area: Rect, top: u16) -> (Rect, Rect) {
    let top = top.min(area.height);
    (Rect { height: top, ..area }, Rect { y: area.y + top, height: area.height - top, ..area })
}

/// Splits an area into rows: the rest and the last `bottom` lines.
pub fn split_bottom(area: Rect, bottom: u16) -> (Rect, Rect) {
    let bottom = bottom.min(area.height);
    split_top(area, area.height - bottom)
}

/// Splits an area into columns: the first `left` cells and the rest.
pub fn split_left(area: Rect, left: u16) -> (Rect, Rect) {
    let left = left.min(area.width);
    (Rect { width: left, ..area }, Rect { x: area.x + left, width: area.width - left, ..area })
}
