//! A line in which a person types, with its cursor, and the list of what could complete it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::fit;
use super::glyphs::Glyphs;
use super::over;
use super::pen::Pen;
use crate::theme::{Role, Theme};

/// What stands in an input line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Input<'a> {
    /// What stands before it.
    pub prompt: &'a str,
    /// What was typed.
    pub text: &'a str,
    /// The byte of the text before which the cursor stands.
    pub cursor: usize,
    /// What a completion would add behind it.
    pub ghost: &'a str,
    /// What is wrong with it, or good to know.
    pub note: &'a str,
    /// Whether the note says that something is wrong.
    pub wrong: bool,
}

/// Draws an input line in the first line of `area`; a text longer than its room scrolls with the cursor.
pub fn draw(buffer: &mut Buffer, area: Rect, theme: &Theme, input: Input<'_>) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let glyphs = Glyphs::of(theme);
    let style = theme.style(Role::Input);
    let mut pen = Pen::new(buffer, area, glyphs.ellipsis);
    if !input.note.is_empty() {
        let role = if input.wrong { Role::Degraded } else { Role::Dim };
        // A note has its place where the typed text leaves room for it.
        let typed = fit::width(input.prompt) + fit::width(input.text) + fit::width(input.ghost) + 3;
        if typed + fit::width(input.note) <= pen.room() {
            pen.put_right(input.note, theme.style(role));
            pen.margin_right(1);
        }
    }
    pen.put(input.prompt, theme.style(Role::Key));
    let cursor = floor_char(input.text, input.cursor);
    let (before, after) = input.text.split_at(cursor);
    let room = pen.room().saturating_sub(1);
    let before = fit::take_end(before, room);
    pen.put(before, style);
    let mut rest = unicode_segmentation::UnicodeSegmentation::graphemes(after, true);
    let under = rest.next().unwrap_or("");
    let reversed = style.add_modifier(Modifier::REVERSED);
    if under.is_empty() {
        let mut ghost = unicode_segmentation::UnicodeSegmentation::graphemes(input.ghost, true);
        let ghosted = theme.style(Role::Completion);
        pen.put(ghost.next().unwrap_or(" "), ghosted.add_modifier(Modifier::REVERSED));
        pen.put(ghost.as_str(), ghosted);
    } else {
        pen.put(under, reversed).put(rest.as_str(), style);
    }
}

/// Returns the byte at or before `at` where a character starts.
fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One line of a list of choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// What is chosen.
    pub label: std::borrow::Cow<'a, str>,
    /// The characters of the label that matched, by index.
    pub matched: &'a [u32],
    /// What it is.
    pub detail: std::borrow::Cow<'a, str>,
    /// What its colour means.
    pub role: Role,
}

/// Draws a list of choices, only what is visible, with the chosen one in sight; `marked` tells whether it is
/// chosen or only the first in line.
pub fn choices<'a>(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    count: usize,
    chosen: usize,
    marked: bool,
    mut choice: impl FnMut(usize) -> Choice<'a>,
) {
    let area = area.intersection(buffer.area);
    if area.is_empty() || count == 0 {
        return;
    }
    let glyphs = Glyphs::of(theme);
    let top = super::first_visible(chosen, count, usize::from(area.height));
    let split = (area.width / 2).clamp(12, 44);
    for (y, index) in (area.y..area.bottom()).zip(top..count) {
        let line = Rect { y, height: 1, ..area };
        let item = choice(index);
        let here = marked && index == chosen;
        let base = if here { theme.style(Role::Selected) } else { ratatui::style::Style::new() };
        buffer.set_style(line, base);
        let style = over(base, theme.style(item.role));
        let hit = over(base, theme.style(Role::Match));
        let mut pen = Pen::new(buffer, Rect { width: line.width.min(split), ..line }, glyphs.ellipsis);
        pen.put(if here { glyphs.cursor } else { " " }, over(base, theme.style(Role::Key)));
        pen.gap(1);
        if item.matched.is_empty() || fit::width(&item.label) > pen.room() {
            pen.put(&item.label, style);
        } else {
            let mut bytes = [0; 4];
            for (at, letter) in item.label.chars().enumerate() {
                let style = if item.matched.contains(&(at as u32)) { hit } else { style };
                pen.put(letter.encode_utf8(&mut bytes), style);
            }
        }
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        pen.gap(split + 1).put(&item.detail, over(base, theme.style(Role::Dim)));
    }
}
