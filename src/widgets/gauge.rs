//! Bars and sparks: a part of a whole, or a few values over time, in one line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::glyphs::Glyphs;

/// Draws a part of one as a bar over the width of `area`; more than one is full, less than zero is empty.
pub fn bar(buffer: &mut Buffer, area: Rect, glyphs: &Glyphs, part: f64, full: Style, empty: Style) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let steps = glyphs.eighths.len() + 1;
    let filled = (part * f64::from(area.width) * steps as f64).round() as usize;
    // What is more than nothing must not look like nothing.
    let filled = if part > 0.0 { filled.max(1) } else { filled };
    for (cell, x) in (area.x..area.right()).enumerate() {
        let rest = filled.saturating_sub(cell * steps).min(steps);
        let (glyph, style) = if rest == steps {
            (glyphs.bar.0, full)
        } else if rest == 0 {
            (glyphs.bar.1, empty)
        } else {
            (glyphs.eighths.get(rest - 1).copied().unwrap_or(glyphs.bar.1), full)
        };
        buffer[(x, area.y)].set_symbol(glyph).set_style(style);
    }
}

/// Draws values as sparks, one a cell, the newest at the right; `None` is a value nobody knows and is left
/// blank.
pub fn sparks(buffer: &mut Buffer, area: Rect, glyphs: &Glyphs, values: &[Option<f64>], style: Style) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let shown = &values[values.len().saturating_sub(usize::from(area.width))..];
    let highest = shown.iter().flatten().copied().fold(0.0, f64::max);
    let start = area.right() - shown.len() as u16;
    let top = glyphs.sparks.len() - 1;
    for (x, value) in (start..area.right()).zip(shown) {
        let Some(value) = value else { continue };
        let height = if highest > 0.0 { (value / highest * top as f64).round() as usize } else { 0 };
        buffer[(x, area.y)].set_symbol(glyphs.sparks[height.min(top)]).set_style(style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widgets::glyphs::{ASCII, UNICODE};

    fn drawn(part: f64, glyphs: &Glyphs) -> String {
        let area = Rect::new(0, 0, 8, 1);
        let mut buffer = Buffer::empty(area);
        bar(&mut buffer, area, glyphs, part, Style::new(), Style::new());
        buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn a_bar_shows_its_part_to_an_eighth_of_a_cell() {
        assert_eq!(drawn(0.0, &UNICODE), "░░░░░░░░");
        assert_eq!(drawn(0.5, &UNICODE), "████░░░░");
        assert_eq!(drawn(0.55, &UNICODE), "████▍░░░");
        assert_eq!(drawn(1.7, &UNICODE), "████████");
        assert_eq!(drawn(f64::NAN, &UNICODE), "░░░░░░░░");
        assert_eq!(drawn(0.5, &ASCII), "####....");
    }

    #[test]
    fn a_little_is_not_nothing() {
        assert_eq!(drawn(0.001, &UNICODE), "▏░░░░░░░");
        assert_eq!(drawn(0.001, &ASCII), "#.......");
    }

    #[test]
    fn an_unknown_value_is_not_a_zero() {
        let area = Rect::new(0, 0, 4, 1);
        let mut buffer = Buffer::with_lines(["...."]);
        sparks(&mut buffer, area, &UNICODE, &[Some(1.0), None, Some(2.0)], Style::new());
        assert_eq!(buffer, Buffer::with_lines([".▄.█"]));
    }
}
