//! The footer: the keys that apply here and now.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::fit;
use super::glyphs::Glyphs;
use super::pen::Pen;
use crate::theme::{Role, Theme};

/// Draws keys and what they do in one line; those that do not fit whole are left out, from the last but one.
///
/// The last hint always has its place first: it is the one that leads to all others. Returns where each of
/// the drawn hints stands, by its index.
pub fn draw<'a>(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    hints: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<(usize, Rect)> {
    let area = area.intersection(buffer.area);
    let mut places = Vec::new();
    if area.is_empty() {
        return places;
    }
    buffer.set_style(Rect { height: 1, ..area }, theme.style(Role::Footer));
    let hints: Vec<(&str, &str)> = hints.into_iter().collect();
    let Some(((last_key, last_word), first)) = hints.split_last() else { return places };
    let mut pen = Pen::new(buffer, area, Glyphs::of(theme).ellipsis);
    pen.gap(1);
    let cells = |key: &str, word: &str| fit::width(key) + 1 + fit::width(word) + 2;
    let reserved = cells(last_key, last_word);
    let base = theme.style(Role::Footer);
    let key_style = base.patch(theme.style(Role::Key));
    for (index, (key, word)) in first.iter().enumerate() {
        if pen.room() < cells(key, word) + reserved {
            continue;
        }
        places.push((index, Rect { x: pen.column(), width: cells(key, word) as u16 - 2, height: 1, ..area }));
        pen.put(key, key_style).put(" ", base).put(word, base).gap(2);
    }
    let x = pen.column();
    pen.put(last_key, key_style).put(" ", base).put(last_word, base);
    places.push((first.len(), Rect { x, width: pen.column() - x, height: 1, ..area }));
    places
}
