//! The palette: one line that goes anywhere, with suggestions below it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use crate::app::palette::{Palette, Sort};
use crate::app::spot::{Spot, Spots};
use crate::theme::Role;
use crate::widgets::input::{self, Choice, Input};
use crate::widgets::{dialog, first_visible, panel};

/// Draws the palette over the view.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, palette: &Palette, spots: &mut Spots) {
    let theme = scene.theme;
    // The box keeps its height while suggestions come and go, so that the eye can stay on the line.
    let height = area.height.saturating_sub(4).clamp(area.height.min(5), 18);
    let outer = dialog::centred(area, area.width.saturating_sub(4).clamp(area.width.min(20), 90), height);
    let inner = dialog::framed(buffer, outer, theme, "go to", Role::Focus);
    spots.put(outer, Spot::Overlay);
    let (line, list) = panel::split_top(inner, 1);
    let chosen = palette.selected.and_then(|index| palette.suggestions.get(index));
    let text = palette.line.text();
    // What the first or the chosen suggestion would add is shown behind the cursor.
    let ghost = chosen
        .or_else(|| palette.suggestions.first())
        .and_then(|suggestion| suggestion.line.strip_prefix(text))
        .filter(|_| !text.is_empty())
        .unwrap_or_default();
    let note = palette.error.as_deref().unwrap_or_default();
    let cursor = palette.line.before_cursor().len();
    input::draw(buffer, line, theme, Input { prompt: ":", text, cursor, ghost, note: "", wrong: false });
    let (said, list) = panel::split_top(list, 1);
    if !note.is_empty() {
        let ellipsis = crate::widgets::glyphs::Glyphs::of(theme).ellipsis;
        crate::widgets::pen::Pen::new(buffer, said, ellipsis).put(note, theme.style(Role::Degraded));
    }
    let count = palette.suggestions.len();
    let top = first_visible(palette.selected.unwrap_or(0), count, usize::from(list.height));
    for (y, index) in (list.y..list.bottom()).zip(top..count) {
        spots.put(Rect { y, height: 1, ..list }, Spot::Suggestion(index));
    }
    // Without a choice no row carries the cursor.
    let selected = palette.selected.unwrap_or(usize::MAX);
    let at = if palette.selected.is_some() { selected } else { 0 };
    input::choices(buffer, list, theme, count, at, palette.selected.is_some(), |index| {
        let suggestion = &palette.suggestions[index];
        let detail = if suggestion.hint.is_empty() {
            word(suggestion.sort).to_owned()
        } else {
            format!("{}  {}", word(suggestion.sort), suggestion.hint)
        };
        Choice {
            label: suggestion.text.as_str().into(),
            matched: &suggestion.matched,
            detail: detail.into(),
            role: Role::Text,
        }
    });
}

fn word(sort: Sort) -> &'static str {
    match sort {
        Sort::Kind => "kind",
        Sort::Name => "name",
        Sort::Context => "context",
        Sort::Tenant => "tenant",
        Sort::Namespace => "namespace",
        Sort::Theme => "theme",
        Sort::Board => "board",
        Sort::Command => "command",
    }
}
