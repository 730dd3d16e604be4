//! One panel alone: its expression, its graph, its series with their values.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::Scene;
use super::{content, facts, ordered, trouble};
use crate::app::board::{BoardView, PanelState};
use crate::app::spot::{Spot, Spots};
use crate::boards::{Panel, Shape};
use crate::human;
use crate::sources::SourceError;
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::graph::{self, Summary};
use crate::widgets::input::{self, Choice};
use crate::widgets::pen::Pen;
use crate::widgets::{dialog, fit, over, panel};

/// How many lines of an expression are shown.
const EXPRESSION: usize = 4;

/// Draws the selected panel alone.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &BoardView, spots: &mut Spots) {
    let theme = scene.theme;
    let (Some(one), Some(shown)) = (view.board.panels.get(view.panel), view.panels.get(view.panel)) else {
        return;
    };
    let edited = view.edited.get(&view.panel);
    let facts = facts(shown, edited.is_some() && !view.is_query());
    let facts: Vec<_> = facts.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    let body =
        if view.is_query() { area } else { panel::titled(buffer, area, theme, &one.title, &facts, true) };
    let top = above(buffer, body, scene, (one, shown), edited.map(|text| &**text));
    let body = Rect { y: body.y + top, height: body.height - top, ..body };
    // The graph has what is left by its series, and at least a half.
    let list = if one.shape == Shape::Graph && !shown.is_empty() {
        let wanted = u16::try_from(shown.series.len()).unwrap_or(u16::MAX).saturating_add(1);
        if body.height >= 12 { wanted.min(body.height / 2) } else { 0 }
    } else {
        0
    };
    let (plot, below) = panel::split_bottom(body, list);
    let (plot, event) = panel::split_bottom(plot, u16::from(view.cursor.is_some() && plot.height > 6));
    let order = ordered(shown, view.order);
    // The curve that is chosen lies above the others.
    let chosen = order.get(view.series.cursor).copied();
    let mut above = order.clone();
    if let Some(chosen) = chosen {
        above.retain(|number| *number != chosen);
        above.insert(0, chosen);
    }
    let placed = content(buffer, plot, scene, view, (one, shown), u16::from(list == 0), &above);
    if let Some(placed) = placed {
        happened(buffer, event, scene, view, &placed);
    }
    if list > 0 {
        series(buffer, below, scene, view, (one, shown), &order, spots);
    }
    completions(buffer, area, scene, view);
}

/// Draws what the panel is about, its expressions and what went wrong; returns how many lines that took.
fn above(
    buffer: &mut Buffer,
    body: Rect,
    scene: &Scene<'_>,
    (one, shown): (&Panel, &PanelState),
    edited: Option<&str>,
) -> u16 {
    let theme = scene.theme;
    let glyphs = Glyphs::of(theme);
    let mut lines: Vec<(String, Role)> = Vec::new();
    if !one.about.is_empty() {
        lines.push((one.about.to_string(), Role::Dim));
    }
    let width = usize::from(body.width).saturating_sub(4).max(8);
    let exprs: Vec<&str> = match edited {
        Some(text) => vec![text],
        None => shown.asked.iter().map(|asked| &*asked.expr).collect(),
    };
    let wrong = match (exprs.as_slice(), &shown.error) {
        ([expr], Some(SourceError::Invalid { reason, .. })) => place(expr, reason),
        _ => None,
    };
    for expr in &exprs {
        let wrapped = fit::wrap(expr, width);
        let most = if exprs.len() > 1 { 1 } else { EXPRESSION };
        for (number, (from, to)) in wrapped.iter().take(most).enumerate() {
            let more = number + 1 == most && wrapped.len() > most;
            let text = format!("  {}{}", &expr[*from..*to], if more { glyphs.ellipsis } else { "" });
            lines.push((text, Role::Strong));
            // Below the letter that the server stumbled at, also at the end of the last row.
            let last = *to == expr.len();
            let here = wrong.filter(|at| (*from..*to).contains(at) || (last && at == to));
            if let Some(before) = here.and_then(|at| expr.get(*from..at)) {
                lines.push((format!("  {}^", " ".repeat(fit::width(before))), Role::Degraded));
            }
        }
    }
    if let Some((text, role)) = trouble(shown) {
        let wrapped = fit::wrap(&text, width);
        for (number, (from, to)) in wrapped.iter().take(3).enumerate() {
            let mark = if number == 0 { glyphs.mark(role) } else { " " };
            lines.push((format!("{mark} {}", &text[*from..*to]), role));
        }
    }
    let room = usize::from(body.height / 2);
    let shown = lines.len().min(room);
    for ((text, role), y) in lines.iter().take(shown).zip(body.y..) {
        let mut pen = Pen::new(buffer, Rect { y, height: 1, ..body }, glyphs.ellipsis);
        pen.gap(1).put(text, theme.style(*role));
    }
    shown as u16
}

/// Returns the byte of an expression at which a server says that it is wrong: `1:15: parse error` of Prometheus, or
/// `at char 15`, both counted from one.
fn place(expr: &str, reason: &str) -> Option<usize> {
    let number = |text: &str| text.parse::<usize>().ok()?.checked_sub(1);
    let by_line = || {
        let before = &reason[..reason.find(": parse error")?];
        let (line, column) = before.rsplit(' ').next()?.split_once(':')?;
        (line == "1").then(|| number(column)).flatten()
    };
    let by_letter = || {
        let rest = &reason[reason.find("at char ")? + 8..];
        number(&rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())])
    };
    by_line().or_else(by_letter).map(|at| at.min(expr.len())).filter(|at| expr.is_char_boundary(*at))
}

/// Says what happened at the time that is read.
fn happened(buffer: &mut Buffer, line: Rect, scene: &Scene<'_>, view: &BoardView, plot: &graph::Plot) {
    let Some(cursor) = view.cursor.map(|at| at * 1_000) else { return };
    if line.is_empty() {
        return;
    }
    let (theme, state) = (scene.theme, scene.state);
    // As near as two columns: nearer nobody can aim.
    let near = (plot.span.1 - plot.span.0) / i64::from(plot.area.width.max(1)) * 2;
    let mut pen = Pen::new(buffer, line, Glyphs::of(theme).ellipsis);
    for one in view.happened.iter().filter(|one| (one.at.as_millisecond() - cursor).abs() <= near) {
        let role = Role::from(one.health);
        pen.gap(1).put(Glyphs::of(theme).mark(role), theme.style(role)).gap(1);
        pen.put(&human::clock(one.at, &state.zone), theme.style(Role::Dim)).gap(1);
        pen.put(&one.text, theme.style(Role::Text)).gap(1);
    }
}

/// Draws the series with their values.
fn series(
    buffer: &mut Buffer,
    area: Rect,
    scene: &Scene<'_>,
    view: &BoardView,
    (one, shown): (&Panel, &PanelState),
    order: &[usize],
    spots: &mut Spots,
) {
    let (theme, state) = (scene.theme, scene.state);
    let glyphs = Glyphs::of(theme);
    let step = crate::app::board::panels::step(view, state.size.0);
    let (from, to) = crate::app::board::span::bounds(view.window, step, state.now);
    let span = (from * 1_000, to * 1_000);
    let at = view.cursor.map(|at| at * 1_000);
    let heads: &[&str] = if at.is_some() { &["AT", "LAST", "MAX", "MIN"] } else { &["LAST", "MAX", "MIN"] };
    let wide = 10;
    let head = Rect { height: 1, ..area };
    let mut pen = Pen::new(buffer, head, glyphs.ellipsis);
    for word in heads.iter().rev() {
        pen.put_right(&format!("{word:>wide$}"), theme.style(Role::Title));
    }
    pen.gap(2).put("SERIES", theme.style(Role::Title)).gap(2);
    pen.put(&format!("{} {}", human::count(order.len()), view.order.word()), theme.style(Role::Dim));
    let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    spots.put(rows, Spot::Panel(0));
    spots.fits(0, rows.height);
    let top = view.series.top.min(order.len().saturating_sub(usize::from(rows.height)));
    for (y, (index, number)) in (rows.y..rows.bottom()).zip(order.iter().enumerate().skip(top)) {
        let Some(series) = shown.series.get(*number) else { continue };
        let line = Rect { y, height: 1, ..rows };
        spots.put(line, Spot::Row { panel: 0, index });
        let here = index == view.series.cursor;
        let base = if here { theme.style(Role::Selected) } else { Style::new() };
        buffer.set_style(line, base);
        let summary = Summary::of(&series.points, span);
        let mut values = vec![summary.least, summary.most, summary.last];
        if let Some(at) = at {
            values.push(graph::at(&series.points, at, shown.step.max(1) * 2));
        }
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        for value in values {
            let text = value.map_or_else(|| "-".to_owned(), |value| one.unit.text(value));
            pen.put_right(&format!("{text:>wide$}"), over(base, theme.style(Role::Text)));
        }
        let letter = graph::letter(*number);
        pen.put(&format!("{letter} "), over(base, theme.style(Role::series(*number)).bold()));
        pen.put(&series.name, over(base, theme.style(Role::Text)));
    }
}

/// Draws what could complete the line, above it.
fn completions(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &BoardView) {
    let Some(prompt) = &view.prompt else { return };
    let theme = scene.theme;
    if prompt.choices.is_empty() {
        return;
    }
    let height = (prompt.choices.len() as u16 + 2).min(area.height);
    let width = area.width.min(64);
    let outer = Rect { x: area.x, y: area.bottom() - height, width, height };
    let inner = dialog::framed(buffer, outer, theme, "complete", Role::Focus);
    let chosen = prompt.chosen.unwrap_or(0);
    input::choices(buffer, inner, theme, prompt.choices.len(), chosen, prompt.chosen.is_some(), |index| {
        Choice {
            label: prompt.choices.get(index).map_or("", |choice| choice).into(),
            matched: &[],
            detail: "".into(),
            role: Role::Text,
        }
    });
}
