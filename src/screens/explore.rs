//! Log lines of Loki: their volume by level, the lines, and one of them whole.

use std::borrow::Cow;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::detail::{found, hits, view};
use super::feed;
use crate::app::explore::{Explore, Older, Phase, Purpose};
use crate::app::fold;
use crate::app::spot::{Spot, Spots};
use crate::human;
use crate::kinds::Unit;
use crate::signals::Window;
use crate::store::lines::{Held, Sort};
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::viewer::{self, Line};
use crate::widgets::{notice, panel};

/// The rows of the volume.
const BARS: u16 = 3;

/// The screen from which the volume is shown.
const TALL: u16 = 14;

/// Draws the screen.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore, spots: &mut Spots) {
    let theme = scene.theme;
    let facts = facts(explore);
    let facts: Vec<_> = facts.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    let body = panel::titled(buffer, area, theme, &explore.title, &facts, true);
    let (query, body) = panel::split_top(body, 1.min(body.height));
    let mut pen = Pen::new(buffer, query, Glyphs::of(theme).ellipsis);
    pen.put(&explore.of.query, theme.style(Role::Key));
    let tall = area.height >= TALL && !explore.levels.is_empty();
    let (bars, body) = panel::split_top(body, if tall { BARS + 1 } else { 0 });
    if tall {
        volume(buffer, bars, scene, explore);
    }
    let notes = notes(explore);
    let (body, below) = panel::split_bottom(body, (notes.len() as u16).min(body.height / 3));
    for (y, text) in (below.y..below.bottom()).zip(&notes) {
        let line = Rect { y, height: 1, ..below };
        let glyphs = Glyphs::of(theme);
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        pen.put(glyphs.warning, theme.style(Role::Stale)).gap(1).put(text, theme.style(Role::Stale));
    }
    let (body, opened) =
        panel::split_bottom(body, if explore.opened { (body.height / 2).min(16) } else { 0 });
    spots.put(body, Spot::Panel(0));
    spots.fits(0, body.height);
    lines(buffer, body, scene, explore);
    if explore.opened {
        whole(buffer, opened, scene, explore);
    }
}

fn lines(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore) {
    let theme = scene.theme;
    match explore.phase {
        Phase::TooLarge => {
            let bytes = explore.stats.unwrap_or_default().bytes;
            let size = human::quantity(bytes as f64, Unit::Bytes);
            let key = scene.state.keymap.label(crate::app::command::Command::ReadAnyway).unwrap_or_default();
            let headline = format!("This query reads {size}");
            let next = format!("{key} reads it all the same; a shorter window or more labels read less");
            notice::draw(buffer, area, theme, Role::Warning, &headline, &[&next]);
            return;
        }
        Phase::Asked if explore.lines.is_empty() => {
            notice::draw(buffer, area, theme, Role::Progressing, "Asking Loki how much this is", &[]);
            return;
        }
        _ => {}
    }
    if explore.is_empty() {
        let headline = match (&explore.failure, explore.older, explore.hidden()) {
            (Some(_), ..) => "No lines could be had",
            (None, Older::Asked, _) => "Reading",
            (None, _, 0) => "No lines in this window",
            _ => "All lines are hidden",
        };
        notice::draw(buffer, area, theme, Role::Idle, headline, &[]);
        return;
    }
    let glyphs = Glyphs::of(theme);
    let cursor = explore.page.view.cursor;
    let line = |row: usize| {
        let Some(held) = explore.line(row) else { return Line::plain("") };
        let number = explore.number(row).unwrap_or_default();
        let mut lead: Vec<(Cow<'_, str>, Role)> = Vec::new();
        let mark = match (row == cursor, explore.marks.contains(&number)) {
            (true, _) => (Cow::Borrowed(glyphs.cursor), Role::Key),
            (false, true) => (Cow::Borrowed(glyphs.mark(Role::Progressing)), Role::Marked),
            (false, false) => (Cow::Borrowed(" "), Role::Text),
        };
        lead.push(mark);
        if held.sort == Sort::Seam {
            let text = format!("---- {} ----", held.text);
            return Line { lead, text: Cow::Owned(text), role: Role::Stale, parts: Vec::new() };
        }
        if explore.timestamps {
            lead.push((Cow::Owned(clock(scene, held.at)), Role::Dim));
        }
        let (word, role) = level(held.level());
        lead.push((Cow::Borrowed(word), role));
        if let Some(name) = source(&held) {
            lead.push((Cow::Borrowed(name), Role::Strong));
        }
        let folded = explore.fold.then(|| fold::folded(held.text, &chosen(scene, explore))).flatten();
        let text = folded.map_or(Cow::Borrowed(held.text), Cow::Owned);
        let parts = match &explore.highlight {
            Some((_, expression)) => expression
                .find_iter(&text)
                .take(64)
                .map(|hit| (hit.start(), hit.end(), Role::Marked))
                .collect(),
            None => Vec::new(),
        };
        let role = if role == Role::Degraded || role == Role::Warning { role } else { Role::Text };
        Line { lead, text, role, parts }
    };
    let view = view(&explore.page, explore.len(), explore.follow);
    viewer::draw(buffer, area, theme, view, line, hits(&explore.page.search));
}

/// Returns the fields that lines are folded to.
fn chosen(scene: &Scene<'_>, explore: &Explore) -> Vec<String> {
    if explore.fields.is_empty() { scene.state.config.log_fields.clone() } else { explore.fields.clone() }
}

/// Names where a line comes from: of a pod the end of its name, which is what differs among its like.
fn source<'a>(held: &Held<'a>) -> Option<&'a str> {
    match held.label("pod") {
        Some(pod) => {
            let app = held.label("app").unwrap_or_default();
            Some(pod.strip_prefix(app).map(|end| end.trim_start_matches('-')).filter(|end| !end.is_empty()))
                .flatten()
                .or(Some(pod))
        }
        None => held.label("app").or_else(|| held.label("job")),
    }
}

/// Returns the word of a level, always as wide, and what its colour means.
fn level(level: Option<&str>) -> (&'static str, Role) {
    match level.map(str::to_ascii_lowercase).as_deref() {
        Some("fatal" | "critical" | "panic" | "emerg" | "alert") => ("FATAL", Role::Degraded),
        Some("error" | "err") => ("ERROR", Role::Degraded),
        Some("warn" | "warning") => ("WARN ", Role::Warning),
        Some("info" | "notice") => ("INFO ", Role::Idle),
        Some("debug") => ("DEBUG", Role::Dim),
        Some("trace") => ("TRACE", Role::Dim),
        _ => ("  -  ", Role::Dim),
    }
}

fn clock(scene: &Scene<'_>, at: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(at)) {
        Ok(time) => {
            let millis = at.rem_euclid(1_000_000_000) / 1_000_000;
            format!("{}.{millis:03}", human::clock(time, &scene.state.zone))
        }
        Err(_) => "?           ".to_owned(),
    }
}

/// Draws the selected line whole: its time, labels, and fields or text.
fn whole(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore) {
    let theme = scene.theme;
    let body = panel::titled(buffer, area, theme, "line", &[], false);
    let Some(held) = explore.selected() else { return };
    let mut rows: Vec<(String, String)> = Vec::new();
    if let Ok(at) = Timestamp::from_nanosecond(i128::from(held.at)) {
        rows.push(("time".to_owned(), at.to_string()));
    }
    if let Some(fields) = fold::fields(held.text) {
        let clean = |text: &str| crate::text::one_line(text).into_owned();
        rows.extend(fields.into_iter().map(|(name, value)| (clean(&name), clean(&value))));
    } else {
        let text = String::from_utf8_lossy(held.bytes()).into_owned();
        let clean = crate::text::clean(&text);
        let mut name = "line";
        for line in clean.lines().take(200) {
            rows.push((name.to_owned(), line.to_owned()));
            name = "";
        }
    }
    for labels in held.labels() {
        rows.extend(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).min(28);
    let line = |row: usize| {
        let (name, value) = rows.get(row).cloned().unwrap_or_default();
        let name = format!("{name:<width$.28}");
        Line { lead: vec![(Cow::Owned(name), Role::Dim)], ..Line::plain(value) }
    };
    let view = viewer::View { lines: rows.len(), wrap: true, ..viewer::View::default() };
    viewer::draw(buffer, body, theme, view, line, hits(&explore.page.search));
}

/// Draws the number of lines over time: errors at the foot, then warnings, then the rest.
fn volume(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore) {
    let theme = scene.theme;
    let (chart, legend) = panel::split_bottom(area, 1);
    let (from, to) = explore.of.window.bounds(scene.state.now);
    let width = usize::from(chart.width).max(1);
    let mut columns = vec![[0.0_f64; 3]; width];
    let mut sums = [0.0_f64; 3];
    let span = ((to - from).max(1) * 1_000) as f64;
    for series in &explore.levels {
        let kind = match level(series.labels.get("detected_level")).1 {
            Role::Degraded => 0,
            Role::Warning => 1,
            _ => 2,
        };
        for sample in series.samples.iter().filter(|sample| sample.value.is_finite()) {
            let place = (sample.at - from * 1_000) as f64 / span;
            if (0.0..=1.0).contains(&place) {
                let column = ((place * width as f64) as usize).min(width - 1);
                columns[column][kind] += sample.value;
                sums[kind] += sample.value;
            }
        }
    }
    let most = columns.iter().map(|column| column.iter().sum::<f64>()).fold(0.0, f64::max);
    let height = f64::from(chart.height);
    let roles = [Role::Degraded, Role::Warning, Role::Idle];
    let ascii = Glyphs::of(theme).ellipsis.is_ascii();
    for (x, column) in (chart.x..chart.right()).zip(&columns) {
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
            let middle = (low + part / 2.0) / filled * total;
            let kind = if middle < column[0] { 0 } else { usize::from(middle >= column[0] + column[1]) + 1 };
            let glyph = if ascii {
                "#"
            } else {
                ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"][((part * 8.0).ceil() as usize).clamp(1, 8) - 1]
            };
            let y = chart.bottom() - 1 - row;
            buffer.set_stringn(x, y, glyph, 1, theme.style(roles[kind.min(2)]));
        }
    }
    let mut pen = Pen::new(buffer, legend, Glyphs::of(theme).ellipsis);
    let names = ["error", "warn", "other"];
    for ((name, sum), role) in names.iter().zip(sums).zip(roles) {
        pen.put(&format!("{name} {}", human::count(sum as i64)), theme.style(role)).gap(2);
    }
    let ends = [from, to].map(|second| {
        Timestamp::from_second(second)
            .map(|at| human::moment(at, scene.state.now, &scene.state.zone))
            .unwrap_or_default()
    });
    pen.put_right(&format!("{} to {}", ends[0], ends[1]), theme.style(Role::Dim));
}

fn facts(explore: &Explore) -> Vec<(String, Role)> {
    let window = match explore.of.window {
        Window::Last { seconds } => format!("last {}", human::span(i64::from(seconds))),
        Window::Between { from, to } => format!("a window of {}", human::span(to - from)),
    };
    let mut facts =
        vec![(window, Role::Dim), (format!("{} lines", human::count(explore.lines.len())), Role::Dim)];
    if let Some(stats) = explore.stats.filter(|stats| stats.bytes > 0) {
        facts.push((format!("reads {}", human::quantity(stats.bytes as f64, Unit::Bytes)), Role::Dim));
    }
    facts.push(match (explore.of.window, explore.live, explore.follow) {
        (Window::Between { .. }, ..) => (String::new(), Role::Dim),
        (_, false, _) => ("not live".to_owned(), Role::Stale),
        (_, true, true) => ("following".to_owned(), Role::Healthy),
        (_, true, false) => ("live, paused".to_owned(), Role::Idle),
    });
    let mut counted = |count: u64, what: &str| {
        if count > 0 {
            facts.push((format!("{} {what}", human::count(count)), Role::Stale));
        }
    };
    counted(explore.hidden() as u64, "hidden");
    counted(explore.dropped, "dropped");
    counted(explore.garbled, "not understood");
    counted(explore.skipped, "places with more than Loki gives");
    counted(u64::from(explore.older == Older::Full), "end of what is held");
    for sieve in &explore.sieves {
        let word = if sieve.hide { "without" } else { "only" };
        facts.push((format!("{word} {}", sieve.text), Role::Match));
    }
    facts.push((found(&explore.page.search), Role::Match));
    facts.retain(|(text, _)| !text.is_empty());
    facts
}

fn notes(explore: &Explore) -> Vec<String> {
    let mut notes: Vec<String> = explore.warnings.iter().map(|text| format!("Loki warns: {text}")).collect();
    notes.extend(explore.failure.as_ref().map(feed::sentence));
    notes
}

/// Returns what stands before a line that is typed here.
pub fn prompt(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Query => "query ",
        Purpose::Hide => "hide ",
        Purpose::Only => "only ",
        Purpose::Highlight => "highlight ",
        Purpose::Fields => "fields ",
    }
}
