//! The chooser of columns: which are shown, in which order.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Scene;
use crate::app::spot::{Spot, Spots};
use crate::app::table::Chooser;
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::{dialog, over};

/// Draws the chooser over the table; `title` names a column by the kind's own number.
pub fn draw(
    buffer: &mut Buffer,
    area: Rect,
    scene: &Scene<'_>,
    chooser: &Chooser,
    title: impl Fn(usize) -> String,
    spots: &mut Spots,
) {
    let theme = scene.theme;
    let glyphs = Glyphs::of(theme);
    let height = (chooser.columns.len() as u16).saturating_add(2).min(area.height.saturating_sub(2).max(3));
    let outer = dialog::centred(area, area.width.saturating_sub(8).clamp(area.width.min(24), 64), height);
    let inner = dialog::framed(buffer, outer, theme, "columns", Role::Focus);
    spots.put(outer, Spot::Overlay);
    spots.fits(0, inner.height);
    let top = chooser.view.top.min(chooser.columns.len().saturating_sub(usize::from(inner.height)));
    for (y, index) in (inner.y..inner.bottom()).zip(top..chooser.columns.len()) {
        let (column, shown) = chooser.columns[index];
        let line = Rect { y, height: 1, ..inner };
        spots.put(line, Spot::Row { panel: 0, index });
        let base = if index == chooser.view.cursor { theme.style(Role::Selected) } else { Style::new() };
        buffer.set_style(line, base);
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        let role = if shown { Role::Text } else { Role::Dim };
        pen.put(if shown { "[x] " } else { "[ ] " }, over(base, theme.style(Role::Key)));
        pen.put(&title(column), over(base, theme.style(role)));
    }
}
