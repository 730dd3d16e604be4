//! What a panel says when it has nothing to show: why, and what to do next.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::fit;
use super::glyphs::Glyphs;
use super::pen::Pen;
use crate::theme::{Role, Theme};

/// Draws a headline behind the mark of its role and sentences below it, wrapped, in the upper third of
/// `area`.
pub fn draw(buffer: &mut Buffer, area: Rect, theme: &Theme, role: Role, headline: &str, sentences: &[&str]) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let glyphs = Glyphs::of(theme);
    let mark = glyphs.mark(role);
    let column = usize::from(area.width).saturating_sub(4).clamp(1, 76);
    let mut lines: Vec<(&str, Role)> = Vec::new();
    for (text, role) in
        std::iter::once((headline, role)).chain(sentences.iter().map(|text| (*text, Role::Dim)))
    {
        lines.extend(fit::wrap(text, column).into_iter().map(|(from, to)| (&text[from..to], role)));
    }
    let free = usize::from(area.height).saturating_sub(lines.len());
    let top = area.y + (free / 3) as u16;
    for (y, (index, (text, role))) in (top..area.bottom()).zip(lines.into_iter().enumerate()) {
        let mut pen = Pen::new(buffer, Rect { y, height: 1, ..area }, glyphs.ellipsis);
        pen.gap(2);
        if index == 0 && !mark.is_empty() {
            pen.put(mark, theme.style(role)).gap(1);
        }
        pen.put(text, theme.style(role));
    }
}
