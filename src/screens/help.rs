//! Help: every key that is bound, grouped by where it applies, from the live keymap.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::detail::{found, hits};
use crate::app::detail::Page;
use crate::app::focus::help_columns;
use crate::app::spot::{Spot, Spots};
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::{dialog, fit};

/// Draws help over the view.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, page: &Page, spots: &mut Spots) {
    let theme = scene.theme;
    let glyphs = Glyphs::of(theme);
    let outer = dialog::centred(
        area,
        area.width.saturating_sub(4).min(110).max(area.width.min(30)),
        area.height.saturating_sub(2),
    );
    let found = found(&page.search);
    let title = format!("keys  {}  {found}", scene.state.keymap.preset_name());
    let inner = dialog::framed(buffer, outer, theme, title.trim_end(), Role::Focus);
    spots.put(outer, Spot::Overlay);
    spots.fits(0, inner.height);
    let find = hits(&page.search);
    let lines = scene.state.help(scene.store);
    let (room, _) = help_columns(scene.state.size.0);
    for (y, line) in (inner.y..inner.bottom()).zip(lines.iter().skip(page.view.top)) {
        let at = Rect { y, height: 1, ..inner };
        let mut pen = Pen::new(buffer, at, glyphs.ellipsis);
        let (keys, text) = line;
        if keys.is_empty() {
            pen.put(text, theme.style(Role::Title));
            continue;
        }
        let keys = fit::fit(keys, usize::from(room), glyphs.ellipsis);
        pen.gap(2).put(&keys, theme.style(Role::Key)).to(inner.x + 2 + room + 1);
        let style = if find(text).is_empty() { theme.style(Role::Text) } else { theme.style(Role::Match) };
        pen.put(text, style);
    }
}
