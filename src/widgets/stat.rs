//! The latest value of a few series, large enough to be read from afar, with its course beside it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::glyphs::Glyphs;
use super::pen::Pen;
use super::{fit, gauge};
use crate::theme::{Role, Theme};

/// A value and how it is.
#[derive(Debug, Clone, Default)]
pub struct Stat {
    /// Its name.
    pub name: String,
    /// The value in words; `None` where nobody knows it.
    pub value: Option<String>,
    /// How it is; [`None`] where nothing says what is good.
    pub role: Option<Role>,
    /// What it should be, such as `target 5m`; may be empty.
    pub target: String,
    /// Its course, the newest last; may be empty.
    pub course: Vec<Option<f64>>,
}

/// Draws the values, one below the other, as many as there is room for.
pub fn draw(buffer: &mut Buffer, area: Rect, theme: &Theme, stats: &[Stat]) {
    let area = area.intersection(buffer.area);
    if area.is_empty() || stats.is_empty() {
        return;
    }
    let glyphs = Glyphs::of(theme);
    let each = (usize::from(area.height) / stats.len()).clamp(1, 3) as u16;
    let used = (u16::try_from(stats.len()).unwrap_or(u16::MAX)).saturating_mul(each).min(area.height);
    let mut y = area.y + (area.height - used) / 2;
    for stat in stats {
        if y >= area.bottom() {
            return;
        }
        let role = stat.role.unwrap_or(Role::Strong);
        let mark = glyphs.mark(role);
        let value = stat.value.as_deref().unwrap_or("?");
        let value = if mark.is_empty() { value.to_owned() } else { format!("{mark} {value}") };
        if each == 1 {
            let mut pen = Pen::new(buffer, Rect { y, height: 1, ..area }, glyphs.ellipsis);
            pen.gap(1).put(&value, theme.style(role).bold()).gap(1).put(&stat.name, theme.style(Role::Dim));
        } else {
            centred(buffer, Rect { y, height: 1, ..area }, theme, &value, theme.style(role).bold());
            let below = match (stat.name.is_empty(), stat.target.is_empty()) {
                (false, false) => format!("{} {} {}", stat.name, glyphs.dot, stat.target),
                (_, true) => stat.name.clone(),
                (true, false) => stat.target.clone(),
            };
            centred(buffer, Rect { y: y + 1, height: 1, ..area }, theme, &below, theme.style(Role::Dim));
            if each == 3 {
                let width = (stat.course.len().min(usize::from(area.width)).min(40)) as u16;
                let x = area.x + (area.width - width) / 2;
                let line = Rect { x, y: y + 2, width, height: 1 };
                gauge::sparks(buffer, line, glyphs, &stat.course, theme.style(Role::Series1));
            }
        }
        y += each;
    }
}

fn centred(buffer: &mut Buffer, line: Rect, theme: &Theme, text: &str, style: ratatui::style::Style) {
    let line = line.intersection(buffer.area);
    let room = usize::from(line.width);
    let text = fit::fit(text, room, Glyphs::of(theme).ellipsis);
    let start = line.x + ((room - fit::width(&text).min(room)) / 2) as u16;
    if !line.is_empty() {
        buffer.set_stringn(start, line.y, &text, room, style);
    }
}
