//! A value that somebody asked to see: over everything, with the seconds that are left.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use crate::actions::reveal::Revealed;
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::{dialog, fit};

/// Draws the value; nothing of it stands anywhere else.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, revealed: &Revealed, until: Timestamp) {
    let theme = scene.theme;
    let width = area.width.saturating_sub(4).min(90);
    let bytes = revealed.value.len();
    let text = revealed.value.shown().unwrap_or_else(|| format!("no text: {bytes} bytes"));
    let lines = fit::wrap(&text, usize::from(width.saturating_sub(4)));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(4);
    dialog::dim(buffer, area, theme);
    let title = format!("{} of Secret {}", revealed.key, revealed.object.name);
    let outer = dialog::centred(area, width, height);
    let inner = dialog::framed(buffer, outer, theme, &title, Role::Warning);
    let ellipsis = Glyphs::of(theme).ellipsis;
    let rows = (inner.y..inner.bottom().saturating_sub(1)).zip(lines);
    for (y, (from, to)) in rows {
        let mut pen = Pen::new(buffer, Rect { y, height: 1, ..inner }, ellipsis);
        pen.put(text.get(from..to).unwrap_or_default(), theme.style(Role::Text));
    }
    let left = (until.as_second() - scene.state.now.as_second()).max(0);
    let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    let mut pen = Pen::new(buffer, last, ellipsis);
    pen.put(&format!("gone in {left} s, or with esc"), theme.style(Role::Dim));
}
