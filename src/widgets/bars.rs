//! The latest value of each series as a bar: name, bar, value.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::glyphs::Glyphs;
use super::pen::Pen;
use super::{fit, gauge};
use crate::theme::{Role, Theme};

/// A bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// The value in words.
    pub text: String,
    /// Which part of the width is full; less than nothing is empty, more than one is full.
    pub part: f64,
    /// How it is; `None` where nothing says what is good.
    pub role: Option<Role>,
}

/// Draws the bars that there is room for from `top` on, and says below how many there are more.
pub fn draw(buffer: &mut Buffer, area: Rect, theme: &Theme, bars: &[Bar], top: usize) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let glyphs = Glyphs::of(theme);
    let shown = bars.get(top.min(bars.len().saturating_sub(1))..).unwrap_or_default();
    let room = usize::from(area.height);
    let rows = if shown.len() > room && room > 1 { room - 1 } else { room };
    let text = shown.iter().take(rows).map(|bar| fit::width(&bar.text)).max().unwrap_or(0) as u16;
    let name = shown.iter().take(rows).map(|bar| fit::width(&bar.name)).max().unwrap_or(0) as u16;
    // The name has up to a half, the bar what is left between name and value.
    let name = name.min(area.width / 2);
    for (bar, y) in shown.iter().take(rows).zip(area.y..area.bottom()) {
        let line = Rect { y, height: 1, ..area };
        let role = bar.role.unwrap_or(Role::BarFull);
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        let mark = glyphs.mark(role);
        pen.put(if mark.is_empty() { " " } else { mark }, theme.style(role)).gap(1);
        let cut = fit::fit_middle(&bar.name, usize::from(name), glyphs.ellipsis).into_owned();
        pen.put(&cut, theme.style(Role::Text)).to(area.x + 2 + name + 1);
        let left = pen.column();
        let width = (area.right().saturating_sub(left)).saturating_sub(text + 2);
        if width >= 3 {
            let (full, empty) = (theme.style(role), theme.style(Role::BarEmpty));
            let place = Rect { x: left, y, width, height: 1 };
            gauge::bar(buffer, place, glyphs, bar.part, full, empty);
        }
        let mut pen =
            Pen::new(buffer, Rect { x: left, width: area.right().saturating_sub(left), ..line }, "");
        pen.margin_right(1);
        pen.put_right(&bar.text, theme.style(bar.role.unwrap_or(Role::Strong)));
    }
    if shown.len() > rows && rows < room {
        let line = Rect { y: area.bottom() - 1, height: 1, ..area };
        let more = format!("  {} more", shown.len() - rows);
        Pen::new(buffer, line, glyphs.ellipsis).put(&more, theme.style(Role::Dim));
    }
}
