//! The frame of a dialog: a bordered box over whatever was there.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use super::glyphs::Glyphs;
use super::pen::Pen;
use crate::theme::{Role, Theme};

/// Returns a box of at most `width` by `height` cells in the middle of `area`, a little above its centre.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(area.width);
    let height = height.min(area.height);
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height }
}

/// Puts everything in `area` back, so that what lies over it stands out.
pub fn dim(buffer: &mut Buffer, area: Rect, theme: &Theme) {
    let area = area.intersection(buffer.area);
    let style = theme.style(Role::Dim);
    for position in area.positions() {
        let cell = &mut buffer[position];
        let ground = cell.bg;
        cell.set_style(ratatui::style::Style::reset()).set_style(style);
        cell.set_bg(ground);
    }
}

/// Clears a box, draws its border and title in the colour of a role, and returns what is inside.
///
/// A box too small for a border is cleared and used whole.
pub fn framed(buffer: &mut Buffer, area: Rect, theme: &Theme, title: &str, role: Role) -> Rect {
    let area = area.intersection(buffer.area);
    // One blank column at both sides, so that letters of the view do not touch the border.
    let margin = Rect { x: area.x.saturating_sub(1), width: area.width.saturating_add(2), ..area };
    Clear.render(margin.intersection(buffer.area), buffer);
    buffer.set_style(margin.intersection(buffer.area), theme.style(Role::Text));
    if area.width < 8 || area.height < 4 {
        return area;
    }
    let set = Glyphs::of(theme).border;
    let style = theme.style(role);
    let (left, right, top, bottom) = (area.x, area.right() - 1, area.y, area.bottom() - 1);
    for x in left..=right {
        buffer[(x, top)].set_symbol(set.horizontal_top).set_style(style);
        buffer[(x, bottom)].set_symbol(set.horizontal_bottom).set_style(style);
    }
    for y in top..=bottom {
        buffer[(left, y)].set_symbol(set.vertical_left).set_style(style);
        buffer[(right, y)].set_symbol(set.vertical_right).set_style(style);
    }
    for (x, y, glyph) in [
        (left, top, set.top_left),
        (right, top, set.top_right),
        (left, bottom, set.bottom_left),
        (right, bottom, set.bottom_right),
    ] {
        buffer[(x, y)].set_symbol(glyph).set_style(style);
    }
    if !title.is_empty() {
        let line = Rect { x: left + 2, y: top, width: area.width - 4, height: 1 };
        let mut pen = Pen::new(buffer, line, Glyphs::of(theme).ellipsis);
        pen.put(" ", style).put(title, theme.style(Role::Title)).put(" ", style);
    }
    // One cell of air at both sides.
    Rect { x: left + 2, y: top + 1, width: area.width - 4, height: area.height - 2 }
}
