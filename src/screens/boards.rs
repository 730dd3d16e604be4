//! The list of boards: what each is for, and which files were refused.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Scene;
use crate::app::board::commands;
use crate::app::spot::{Spot, Spots};
use crate::app::viewport::Viewport;
use crate::human;
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::{over, panel};

/// Draws the boards, and below them the files that were refused.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Viewport, spots: &mut Spots) {
    let (state, theme) = (scene.state, scene.theme);
    let glyphs = Glyphs::of(theme);
    let boards = &state.boards;
    let subject = commands::selected(state, scene.store);
    let words = subject.words();
    let words = if words.is_empty() { "of everything".to_owned() } else { format!("of {words}") };
    let count = human::count(boards.len());
    let facts = [(count.as_str(), Role::Dim), (words.as_str(), Role::Strong)];
    let body = panel::titled(buffer, area, theme, "Boards", &facts, true);
    let wrong = boards.wrong();
    let below = u16::try_from(wrong.len()).unwrap_or(u16::MAX).min(body.height / 3);
    let (body, refused) = panel::split_bottom(body, below);
    spots.put(body, Spot::Panel(0));
    spots.fits(0, body.height);
    let name = boards.iter().map(|board| board.name.len()).max().unwrap_or(0).min(24) as u16;
    let title = boards.iter().map(|board| board.title.len()).max().unwrap_or(0).min(28) as u16;
    let facets = subject.facets();
    let top = view.top.min(boards.len().saturating_sub(usize::from(body.height)));
    for (y, (index, board)) in (body.y..body.bottom()).zip(boards.iter().enumerate().skip(top)) {
        let line = Rect { y, height: 1, ..body };
        spots.put(line, Spot::Row { panel: 0, index });
        let here = index == view.cursor;
        let base = if here { theme.style(Role::Selected) } else { Style::new() };
        buffer.set_style(line, base);
        let style = |role| over(base, theme.style(role));
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        pen.put(if here { glyphs.cursor } else { " " }, style(Role::Key)).gap(1);
        pen.put(&board.name, style(Role::Strong)).to(body.x + 2 + name + 2);
        pen.put(&board.title, style(Role::Text)).to(body.x + 2 + name + 2 + title + 2);
        // What fits what is selected says so.
        let fits = board.fits.iter().any(|facet| facets.contains(facet));
        if fits && pen.room() > 30 {
            pen.put_right(" fits ", style(Role::Healthy));
        }
        pen.put(&board.about, style(Role::Dim));
    }
    for (y, error) in (refused.y..refused.bottom()).zip(wrong) {
        let mut pen = Pen::new(buffer, Rect { y, height: 1, ..refused }, glyphs.ellipsis);
        pen.gap(1).put(glyphs.warning, theme.style(Role::Warning)).gap(1);
        pen.put(&error.to_string(), theme.style(Role::Warning));
    }
}
