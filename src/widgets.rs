//! What screens are put together from: data and a theme in, cells of a buffer out.
//!
//! A widget is pure. It knows the theme and text, never a kind, a store or a source, and it does work for
//! what is visible and for nothing else: rows and lines are asked for one by one, by index. Every widget
//! stays inside its area, and inside the buffer, whatever the sizes are.

pub mod bars;
pub mod changes;
pub mod dialog;
pub mod fit;
pub mod gauge;
pub mod glyphs;
pub mod graph;
pub mod input;
pub mod keys;
pub mod notice;
pub mod panel;
pub mod pen;
pub mod stat;
pub mod table;
pub mod tree;
pub mod viewer;

#[cfg(test)]
mod tests;

use ratatui::style::Style;

/// Lays a style over that of a selected row: the row keeps its ground, the text its colour.
pub fn over(base: Style, style: Style) -> Style {
    Style { bg: base.bg.or(style.bg), ..base.patch(style) }
}

/// Returns the first row of a window of `height` rows out of `count` that has `row` in sight, as near to the
/// top as that allows.
pub fn first_visible(row: usize, count: usize, height: usize) -> usize {
    row.saturating_sub(height.saturating_sub(1)).min(count.saturating_sub(height))
}
