//! The number of lines over time by level, above the lines.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::Scene;
use crate::app::explore::Explore;
use crate::app::explore::volume::{BANDS, Column};
use crate::human;
use crate::signals::Window;
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::panel;
use crate::widgets::pen::Pen;

/// The bands from the foot of a bar upwards: what hurts stands at the foot, where it is seen however little it is.
const LEGEND: [(&str, Role); BANDS] = [
    ("error", Role::Degraded),
    ("warn", Role::Warning),
    ("info", Role::Idle),
    ("debug", Role::Dim),
    ("other", Role::Text),
];

/// What is drawn: from when to when, the columns, and whether they count lines.
struct Picture {
    from: i64,
    to: i64,
    columns: Vec<Column>,
    counts: bool,
}

/// Tells whether there is anything to draw.
pub fn is_there(explore: &Explore) -> bool {
    match &explore.pods {
        Some(pods) => pods.tally.span().is_some(),
        // Why there are no lines is said once.
        None => explore.volume.is_some() || (explore.no_volume.is_some() && explore.failure.is_none()),
    }
}

fn picture(explore: &Explore, scene: &Scene<'_>, width: usize) -> Option<Picture> {
    if let Some(pods) = &explore.pods {
        let (first, last) = pods.tally.span()?;
        let now = scene.state.now.as_second();
        let to = if explore.follow { now.max(last) } else { last };
        let from = match explore.of.window {
            Window::Last { seconds } if pods.since != crate::app::explore::pods::Since::Tail => {
                (now - i64::from(seconds)).min(first)
            }
            _ => first,
        };
        // A burst of a second is not drawn over the whole width.
        let from = from.min(to - 60);
        return Some(Picture { from, to, columns: pods.tally.columns(from, to, width), counts: true });
    }
    let volume = explore.volume.as_ref()?;
    Some(Picture { from: volume.from, to: volume.to, columns: volume.columns(width), counts: volume.counts })
}

/// Draws the bars and what they mean.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore) {
    let theme = scene.theme;
    let (chart, legend) = panel::split_bottom(area, 1);
    let glyphs = Glyphs::of(theme);
    let mut pen = Pen::new(buffer, legend, glyphs.ellipsis);
    let Some(picture) = picture(explore, scene, usize::from(chart.width)) else {
        if let Some(error) = &explore.no_volume {
            let text = format!("the number of lines over time is not known: {error}");
            pen.put(glyphs.warning, theme.style(Role::Stale)).gap(1).put(&text, theme.style(Role::Stale));
        }
        return;
    };
    let mut sums = [0.0; BANDS];
    for column in &picture.columns {
        sums.iter_mut().zip(column).for_each(|(sum, value)| *sum += value);
    }
    let most = picture.columns.iter().map(|column| column.iter().sum::<f64>()).fold(0.0, f64::max);
    if picture.counts {
        for ((name, role), sum) in LEGEND.into_iter().zip(sums) {
            // The levels that most programs have are named also where there are none.
            if sum >= 0.5 || matches!(name, "error" | "warn") {
                pen.put(&format!("{name} {}", human::count(sum.round() as i64)), theme.style(role)).gap(2);
            }
        }
        let wide = (picture.to - picture.from).max(1) as f64 / f64::from(chart.width.max(1));
        let rate = human::quantity(most / wide, crate::kinds::Unit::Plain);
        pen.put(&format!("at most {rate} a second"), theme.style(Role::Dim)).gap(2);
    } else {
        pen.put("the values of the query", theme.style(Role::Dim)).gap(2);
    }
    let ends = [picture.from, picture.to].map(|second| {
        Timestamp::from_second(second)
            .map(|at| human::moment(at, scene.state.now, &scene.state.zone))
            .unwrap_or_default()
    });
    pen.put_right(&format!("{} to {}", ends[0], ends[1]), theme.style(Role::Dim));
    bars(buffer, chart, scene, &picture.columns, most);
}

fn bars(buffer: &mut Buffer, chart: Rect, scene: &Scene<'_>, columns: &[Column], most: f64) {
    let theme = scene.theme;
    let height = f64::from(chart.height);
    let ascii = Glyphs::of(theme).ellipsis.is_ascii();
    for (x, column) in (chart.x..chart.right()).zip(columns) {
        let total: f64 = column.iter().sum();
        if most <= 0.0 || total <= 0.0 {
            continue;
        }
        // What there is at all is seen, however little.
        let filled = (total / most * height).max(0.13);
        for row in 0..chart.height {
            let low = f64::from(row);
            let part = (filled - low).clamp(0.0, 1.0);
            if part <= 0.0 {
                break;
            }
            let role = role(column, (low + part / 2.0) / filled * total, row == 0);
            let glyph = if ascii {
                "#"
            } else {
                ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"][((part * 8.0).ceil() as usize).clamp(1, 8) - 1]
            };
            buffer.set_stringn(x, chart.bottom() - 1 - row, glyph, 1, theme.style(role));
        }
    }
}

/// Returns what the colour of a part of a bar means: the band that it lies in; the foot shows the worst that there is.
fn role(column: &Column, at: f64, foot: bool) -> Role {
    if foot {
        let worst = LEGEND.into_iter().take(2).zip(column).find(|(_, value)| **value > 0.0);
        if let Some(((_, role), _)) = worst {
            return role;
        }
    }
    let mut below = 0.0;
    for ((_, role), value) in LEGEND.into_iter().zip(column) {
        below += value;
        if at < below {
            return role;
        }
    }
    Role::Text
}
