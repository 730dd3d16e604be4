//! A board: its panels beside one another, or one of them alone with its expression and its series.

mod alone;

use std::cmp::Ordering;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::feed;
use crate::app::board::{BoardView, Drawn, Order, PanelState, panels, span};
use crate::app::spot::{Spot, Spots};
use crate::boards::{Bound, Origin, Panel, Shape, Threshold};
use crate::human;
use crate::kinds::Health;
use crate::sources::SourceError;
use crate::theme::Role;
use crate::widgets::bars::{self, Bar};
use crate::widgets::glyphs::Glyphs;
use crate::widgets::graph::{self, Curve, Event, Graph, Level, Summary};
use crate::widgets::pen::Pen;
use crate::widgets::stat::{self, Stat};
use crate::widgets::{notice, panel};

/// How much further apart than a step two values may be and still be joined: one late value is no gap.
const GAP: i64 = 2;

/// Draws the board.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &BoardView, spots: &mut Spots) {
    let theme = scene.theme;
    let facts = head(scene, view);
    let facts: Vec<_> = facts.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    let body = panel::titled(buffer, area, theme, &view.board.title, &facts, true);
    if body.is_empty() {
        return;
    }
    if let Some(why) = &view.unfilled {
        notice::draw(
            buffer,
            body,
            theme,
            Role::Idle,
            why,
            &["Select one, or open the board from its table."],
        );
        return;
    }
    if view.large {
        alone::draw(buffer, body, scene, view, spots);
        return;
    }
    // Where nobody can be asked it is said once, and not in every panel.
    if let Some(error) = common_error(view) {
        // What is wrong with AWS says itself what to do.
        let remedy = if view.board.asks().1 { remedy(error) } else { "" };
        let sentences = [feed::sentence(error), remedy.to_owned()];
        let sentences: Vec<&str> =
            sentences.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        let title = format!("{} does not answer", asked_of(view));
        notice::draw(buffer, body, theme, Role::Warning, &title, &sentences);
        spots.fits(0, 1);
        return;
    }
    let count = view.board.panels.len();
    let columns = panels::columns(body.width, count);
    let all = count.div_ceil(columns);
    let (height, visible) = panels::rows(body.height, all);
    spots.put(body, Spot::Panel(0));
    spots.fits(0, u16::try_from(visible).unwrap_or(u16::MAX));
    let width = body.width / u16::try_from(columns).unwrap_or(1);
    for row in 0..visible {
        for column in 0..columns {
            let number = (view.top + row) * columns + column;
            let (Some(one), Some(shown)) = (view.board.panels.get(number), view.panels.get(number)) else {
                continue;
            };
            let x = body.x + width * column as u16;
            // The last column has what is left over; a blank one stands between two panels.
            let wide = if column + 1 == columns { body.right() - x } else { width - 1 };
            let y = body.y + height * row as u16;
            let place = Rect { x, y, width: wide, height: height.min(body.bottom().saturating_sub(y)) };
            spots.put(place, Spot::Row { panel: 0, index: number });
            draw_panel(buffer, place, scene, view, (one, shown), number == view.panel);
        }
    }
    let hidden = all.saturating_sub(view.top + visible);
    let free = body.height.saturating_sub(height * visible as u16);
    if (hidden > 0 || view.top > 0) && free > 0 {
        let line = Rect { y: body.bottom() - 1, height: 1, ..body };
        let text = format!(
            "panels {} to {} of {count}",
            view.top * columns + 1,
            ((view.top + visible) * columns).min(count)
        );
        Pen::new(buffer, line, Glyphs::of(theme).ellipsis).gap(1).put(&text, theme.style(Role::Dim));
    }
}

/// Returns the error that all panels have in common, where none has anything to show.
fn common_error(view: &BoardView) -> Option<&SourceError> {
    let mut errors = view.panels.iter().filter_map(|state| state.error.as_ref());
    let first = errors.next()?;
    let nothing = view.panels.iter().all(|state| state.series.is_empty());
    let reachable = matches!(first, SourceError::Invalid { .. });
    (nothing && !reachable && errors.all(|one| one == first)).then_some(first)
}

fn remedy(error: &SourceError) -> &'static str {
    match error {
        SourceError::Missing { .. } => {
            "Name it in the configuration under [sources], or see :info for what was looked for."
        }
        SourceError::Denied { .. } => {
            "Reaching it through the API server needs the right to get services/proxy."
        }
        _ => "",
    }
}

/// Names whom a board asks.
fn asked_of(view: &BoardView) -> &'static str {
    match view.board.asks() {
        (true, false) => "CloudWatch",
        (true, true) => "Prometheus or CloudWatch",
        _ => "Prometheus",
    }
}

/// Returns what stands beside the title: for what, which time, how old.
fn head(scene: &Scene<'_>, view: &BoardView) -> Vec<(String, Role)> {
    let state = scene.state;
    let mut facts = Vec::new();
    let words = view.subject.words();
    if !words.is_empty() {
        facts.push((words, Role::Strong));
    }
    facts.push((span::words(view.window, state.now, &state.zone), Role::Text));
    let step = panels::step(view, state.size.0);
    facts.push((format!("step {}", human::span(i64::from(step))), Role::Dim));
    let whom = if view.scraped { "scraped" } else { asked_of(view) };
    let shown = || view.panels.iter().filter(|panel| !panel.asked.is_empty());
    let failed = shown().any(|panel| panel.error.is_some());
    if let Some(at) = shown().filter_map(|panel| panel.at).min() {
        let age = state.now.as_second() - at.as_second();
        // Twice what the slowest graph is asked again after is late.
        let least = if view.board.asks().0 { 60 } else { 15 };
        let late = 2 * i64::from(step.clamp(least, 300));
        let role = if failed || age > late { Role::Stale } else { Role::Dim };
        facts.push((format!("{whom} {} ago", human::span(age)), role));
    } else if shown().any(|panel| panel.waiting) {
        let text = if view.scraped { "scraping".to_owned() } else { format!("asking {whom}") };
        facts.push((text, Role::Progressing));
    }
    facts
}

/// Draws the first panel of a board where it is a part of another screen.
pub(super) fn small(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &BoardView) {
    if let (Some(one), Some(shown)) = (view.board.panels.first(), view.panels.first()) {
        draw_panel(buffer, area, scene, view, (one, shown), false);
    }
}

/// Draws one panel with its title.
fn draw_panel(
    buffer: &mut Buffer,
    area: Rect,
    scene: &Scene<'_>,
    view: &BoardView,
    (one, shown): (&Panel, &PanelState),
    selected: bool,
) {
    let theme = scene.theme;
    let glyphs = Glyphs::of(theme);
    let title = if selected { format!("{} {}", glyphs.cursor, one.title) } else { one.title.to_string() };
    let facts = facts(shown, !view.edited.is_empty() && view.edited.contains_key(&view.panel) && selected);
    let facts: Vec<_> = facts.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    let body = panel::titled(buffer, area, theme, &title, &facts, selected);
    let trouble = trouble(shown);
    // What went wrong stands below the last values, which stay.
    let line = u16::from(trouble.is_some() && !shown.is_empty() && body.height > 3);
    let (body, below) = panel::split_bottom(body, line);
    if let Some((text, role)) = &trouble
        && !below.is_empty()
    {
        let mut pen = Pen::new(buffer, below, glyphs.ellipsis);
        pen.put(glyphs.mark(*role), theme.style(*role)).gap(1).put(text, theme.style(*role));
    }
    content(buffer, body, scene, view, (one, shown), legend(body.height, shown.series.len()), &[]);
}

/// Returns how many rows the legend of a small graph has.
fn legend(height: u16, curves: usize) -> u16 {
    let most = if height >= 12 { 3 } else { height / 5 };
    most.min(u16::try_from(curves).unwrap_or(u16::MAX))
}

/// Returns what stands beside the title of a panel, short.
fn facts(shown: &PanelState, edited: bool) -> Vec<(String, Role)> {
    let mut facts = Vec::new();
    if edited {
        facts.push(("edited".to_owned(), Role::Marked));
    }
    if shown.error.is_some() {
        let word = if shown.is_empty() { "failed" } else { "old" };
        facts.push((word.to_owned(), Role::Stale));
    }
    if !shown.warnings.is_empty() {
        facts.push(("warned".to_owned(), Role::Warning));
    }
    if shown.waiting {
        facts.push(("asking".to_owned(), Role::Progressing));
    }
    let cut: usize = shown.cut.values().sum();
    if cut > 0 {
        facts.push((format!("{cut} more series"), Role::Stale));
    }
    if shown.garbled > 0 {
        facts.push((format!("{} unreadable", human::count(shown.garbled)), Role::Warning));
    }
    facts
}

/// Returns what went wrong with a panel, the gravest.
fn trouble(shown: &PanelState) -> Option<(String, Role)> {
    if let Some(error) = &shown.error {
        return Some((feed::sentence(error), Role::Stale));
    }
    shown.warnings.first().map(|warning| (warning.to_string(), Role::Warning))
}

/// Draws the values of a panel, or why there are none.
fn content(
    buffer: &mut Buffer,
    body: Rect,
    scene: &Scene<'_>,
    view: &BoardView,
    (one, shown): (&Panel, &PanelState),
    legend: u16,
    order: &[usize],
) -> Option<graph::Plot> {
    let theme = scene.theme;
    if shown.is_empty() {
        empty(buffer, body, scene, view, (one, shown));
        return None;
    }
    match one.shape {
        Shape::Graph => return curves(buffer, body, scene, view, (one, shown), legend, order),
        Shape::Stat => {
            let stats: Vec<Stat> = shown.series.iter().map(|series| stat_of(scene, one, series)).collect();
            stat::draw(buffer, body, theme, &stats);
        }
        Shape::Bars => {
            let mut bars: Vec<(f64, Bar)> =
                shown.series.iter().map(|series| bar_of(scene, one, shown, series)).collect();
            bars.sort_by(|one, other| other.0.total_cmp(&one.0));
            // Where little is bad, the least stands first.
            if one.thresholds.iter().any(|threshold| threshold.below) {
                bars.reverse();
            }
            let bars: Vec<Bar> = bars.into_iter().map(|(_, bar)| bar).collect();
            bars::draw(buffer, body, theme, &bars, 0);
        }
    }
    None
}

/// Says why a panel has nothing to show.
fn empty(
    buffer: &mut Buffer,
    body: Rect,
    scene: &Scene<'_>,
    view: &BoardView,
    (one, shown): (&Panel, &PanelState),
) {
    let theme = scene.theme;
    if let Some(error) = &shown.error {
        notice::draw(buffer, body, theme, Role::Warning, "no answer", &[&feed::sentence(error)]);
    } else if !shown.missing.is_empty() {
        let missing = shown.missing.join("; ");
        let title = if view.scraped { "needs Prometheus" } else { "no such metric here" };
        notice::draw(buffer, body, theme, Role::Unknown, title, &[&missing]);
    } else if shown.waiting {
        notice::draw(buffer, body, theme, Role::Progressing, "asking", &[]);
    } else if shown.histograms > 0 {
        notice::draw(
            buffer,
            body,
            theme,
            Role::Unknown,
            "native histograms",
            &["They have no single number; use histogram_quantile()."],
        );
    } else {
        let known = one.queries.iter().all(|query| matches!(query.origin, Origin::Known(_)));
        let title = if known { "none in this time" } else { "no series in this time" };
        notice::draw(buffer, body, theme, Role::Idle, title, &[]);
    }
}

fn curves(
    buffer: &mut Buffer,
    body: Rect,
    scene: &Scene<'_>,
    view: &BoardView,
    (one, shown): (&Panel, &PanelState),
    legend: u16,
    order: &[usize],
) -> Option<graph::Plot> {
    let (state, theme) = (scene.state, scene.theme);
    let step = panels::step(view, state.size.0);
    let (from, to) = span::bounds(view.window, step, state.now);
    let natural: Vec<usize>;
    let order = if order.is_empty() {
        natural = (0..shown.series.len()).collect();
        &natural
    } else {
        order
    };
    let curves: Vec<Curve<'_>> = order
        .iter()
        .filter_map(|number| Some((*number, shown.series.get(*number)?)))
        .map(|(number, series)| Curve {
            name: &series.name,
            points: &series.points,
            letter: graph::letter(number),
            role: Role::series(number),
        })
        .collect();
    let levels: Vec<Level> = one
        .thresholds
        .iter()
        .map(|threshold| Level { at: bound(scene, threshold), role: Role::from(threshold.health) })
        .collect();
    let events: Vec<Event> = view
        .happened
        .iter()
        .map(|one| Event { at: one.at.as_millisecond(), role: Role::from(one.health) })
        .collect();
    let graph = Graph {
        curves: &curves,
        span: (from * 1_000, to * 1_000),
        gap: shown.step * GAP,
        unit: one.unit,
        bounds: (one.low, one.high),
        levels: &levels,
        events: &events,
        cursor: view.cursor.map(|at| at * 1_000),
        zone: &state.zone,
        legend,
    };
    graph::draw(buffer, body, theme, &graph)
}

fn bound(scene: &Scene<'_>, threshold: &Threshold) -> f64 {
    match threshold.at {
        Bound::Fixed(at) => at,
        Bound::Target(target) => scene.state.config.kpi.value(target),
    }
}

/// Returns how a value is, where a panel says what is good.
fn health(scene: &Scene<'_>, one: &Panel, value: f64) -> Option<Health> {
    if one.thresholds.is_empty() {
        return None;
    }
    if value.is_nan() {
        return Some(Health::Unknown);
    }
    let beyond =
        one.thresholds.iter().filter(|threshold| threshold.is_beyond(value, bound(scene, threshold)));
    let worst = beyond.map(|threshold| threshold.health).max_by_key(|health| *health == Health::Degraded);
    Some(worst.unwrap_or(Health::Healthy))
}

fn stat_of(scene: &Scene<'_>, one: &Panel, series: &Drawn) -> Stat {
    let value = series.points.last().map(|(_, value)| *value);
    let targets: Vec<String> = one
        .thresholds
        .iter()
        .filter(|threshold| matches!(threshold.at, Bound::Target(_)))
        .map(|threshold| {
            let word = if threshold.below { "at least" } else { "at most" };
            format!("{word} {}", one.unit.text(bound(scene, threshold)))
        })
        .collect();
    Stat {
        name: series.name.clone(),
        value: value.map(|value| one.unit.text(value)),
        role: value.and_then(|value| health(scene, one, value)).map(Role::from),
        target: targets.join(", "),
        course: Vec::new(),
    }
}

fn bar_of(scene: &Scene<'_>, one: &Panel, shown: &PanelState, series: &Drawn) -> (f64, Bar) {
    let value = series.points.last().map_or(f64::NAN, |(_, value)| *value);
    let greatest = shown
        .series
        .iter()
        .filter_map(|series| series.points.last().map(|(_, value)| *value))
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max);
    let low = one.low.unwrap_or(0.0);
    let high = one.high.unwrap_or(greatest).max(greatest);
    let part = if high > low { (value - low) / (high - low) } else { 0.0 };
    let role = health(scene, one, value).filter(|health| *health != Health::Healthy).map(Role::from);
    (value, Bar { name: series.name.clone(), text: one.unit.text(value), part, role })
}

/// Returns the numbers of the series of a panel in an order.
fn ordered(shown: &PanelState, order: Order) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..shown.series.len()).collect();
    let summary = |number: usize| Summary::of(&shown.series[number].points, (i64::MIN, i64::MAX));
    // What has no value stands last, whichever way the rest is ordered.
    let by = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    let down = |value: Option<f64>| value.map(|value| -value);
    match order {
        Order::Answer => {}
        Order::Name => {
            numbers.sort_by(|one, other| {
                crate::kinds::natural(&shown.series[*one].name, &shown.series[*other].name)
            });
        }
        Order::Last => numbers.sort_by(|a, b| by(down(summary(*a).last), down(summary(*b).last))),
        Order::Most => numbers.sort_by(|a, b| by(down(summary(*a).most), down(summary(*b).most))),
        Order::Least => numbers.sort_by(|a, b| by(summary(*a).least, summary(*b).least)),
    }
    numbers
}
