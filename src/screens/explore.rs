//! Log lines, of Loki or of pods: their volume by level, the lines, and one of them whole.

mod volume;

use std::borrow::Cow;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::detail::{found, hits, place, view};
use super::feed;
use crate::app::board::span;
use crate::app::command::Command;
use crate::app::explore::level::Level;
use crate::app::explore::names::{self, Names};
use crate::app::explore::pods::Since;
use crate::app::explore::{Explore, Older, Phase, Purpose, commands};
use crate::app::fold;
use crate::app::spot::{Spot, Spots};
use crate::human;
use crate::kinds::Unit;
use crate::signals::Window;
use crate::sources::SourceError;
use crate::store::lines::{Held, Sort};
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::viewer::{self, Line};
use crate::widgets::{dialog, fit, input, notice, panel};

/// The rows of the volume.
const BARS: u16 = 3;

/// The screen from which the volume is shown.
const TALL: u16 = 14;

/// Draws the screen.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore, spots: &mut Spots) {
    let theme = scene.theme;
    let facts = facts(scene, explore);
    let facts: Vec<_> = facts.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    let body = panel::titled(buffer, area, theme, &explore.title, &facts, true);
    let body = question(buffer, body, scene, explore);
    let tall = area.height >= TALL && volume::is_there(explore);
    let known = explore.pods.is_some() || explore.volume.is_some();
    let (bars, body) = panel::split_top(body, if tall { 1 + if known { BARS } else { 0 } } else { 0 });
    if tall {
        volume::draw(buffer, bars, scene, explore);
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
    completions(buffer, area, scene, explore);
}

/// Draws what was asked, and where the server says that it is wrong; returns what is left of the area.
fn question(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore) -> Rect {
    let theme = scene.theme;
    let glyphs = Glyphs::of(theme);
    let (line, body) = panel::split_top(area, 1.min(area.height));
    if let Some(pods) = &explore.pods {
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        let what = format!("{} {}", scene.singular(&pods.object.resource), place(scene, &pods.object));
        pen.put(&what, theme.style(Role::Key)).gap(2);
        pen.put(pods.container.as_deref().unwrap_or("all containers"), theme.style(Role::Dim));
        return body;
    }
    let query = crate::text::one_line(&explore.of.query);
    let Some(at) = commands::wrong_at(explore).filter(|_| query == *explore.of.query) else {
        Pen::new(buffer, line, glyphs.ellipsis).put(&query, theme.style(Role::Key));
        return body;
    };
    // The place of the error stays in sight however long the query is.
    let before = fit::take_end(&query[..at.min(query.len())], usize::from(line.width) * 2 / 3);
    let behind = &query[at.min(query.len())..];
    let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
    pen.put(before, theme.style(Role::Key)).put(behind, theme.style(Role::Degraded));
    let (mark, body) = panel::split_top(body, 1.min(body.height));
    let mut pen = Pen::new(buffer, mark, glyphs.ellipsis);
    pen.gap(fit::width(before) as u16).put("^ here", theme.style(Role::Degraded));
    body
}

/// Draws what could complete the query, above the line in which it is typed.
fn completions(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore) {
    let completion = &explore.completion;
    let choices = &completion.candidates;
    if choices.is_empty() || !matches!(explore.editing, Some((Purpose::Query, _))) {
        return;
    }
    let height = (choices.len() as u16 + 2).min(area.height);
    let outer = Rect { y: area.bottom() - height, width: area.width.min(64), height, ..area };
    let inner = dialog::framed(buffer, outer, scene.theme, "complete", Role::Focus);
    let chosen = completion.chosen.unwrap_or(0);
    input::choices(buffer, inner, scene.theme, choices.len(), chosen, completion.chosen.is_some(), |index| {
        let label = choices.get(index).map_or("", |choice| choice).into();
        input::Choice { label, matched: &[], detail: "".into(), role: Role::Text }
    });
}

fn lines(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore) {
    let theme = scene.theme;
    match explore.phase {
        Phase::TooLarge => {
            let bytes = explore.stats.unwrap_or_default().bytes;
            let size = human::quantity(bytes as f64, Unit::Bytes);
            let key = scene.state.keymap.label(Command::ReadAnyway).unwrap_or_default();
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
        empty(buffer, area, scene, explore);
        return;
    }
    let glyphs = Glyphs::of(theme);
    let cursor = explore.page.view.cursor;
    let chosen = chosen(scene, explore);
    let lead_of = Lead::of(explore, area.width, glyphs.ellipsis);
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
        let (word, role) = level(held.level().map_or(Level::Unknown, Level::read));
        lead.push((Cow::Borrowed(word), role));
        lead_of.put(&held, &mut lead);
        let folded = explore.fold.then(|| fold::folded(held.text, &chosen)).flatten();
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

/// Says why no line is shown, and what can be done.
fn empty(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, explore: &Explore) {
    let key = |command| scene.state.keymap.label(command).unwrap_or_default();
    let (headline, next) = match (&explore.failure, &explore.pods) {
        (None, _) if explore.hidden() > 0 => {
            ("All lines are hidden", format!("{} shows them all", key(Command::ClearSieves)))
        }
        (Some(SourceError::Missing { .. }), None) => (
            "Loki is not there",
            format!("a pod or workload has logs that its nodes keep: {} there", key(Command::Logs)),
        ),
        (Some(_), _) => ("No lines could be had", String::new()),
        (None, Some(pods)) if pods.previous => ("No lines of a previous life", String::new()),
        (None, Some(_)) => ("No lines yet", String::new()),
        (None, None) if explore.older == Older::Asked => ("Reading", String::new()),
        (None, None) => (
            "No lines in this window",
            format!(
                "{} takes another time, {} another query",
                key(Command::LinesWindow),
                key(Command::EditLogql)
            ),
        ),
    };
    let next = [next.as_str()];
    let next = if next[0].is_empty() { &[][..] } else { &next[..] };
    notice::draw(buffer, area, scene.theme, Role::Idle, headline, next);
}

/// Returns the fields that lines are folded to, without the level, which stands before the line.
fn chosen(scene: &Scene<'_>, explore: &Explore) -> Vec<String> {
    if explore.fields.is_empty() {
        let all = scene.state.config.log_fields.iter();
        all.filter(|name| !matches!(name.as_str(), "level" | "severity" | "lvl")).cloned().collect()
    } else {
        explore.fields.clone()
    }
}

/// Where lines come from, in columns as wide for every line.
struct Lead<'a> {
    names: &'a Names,
    pods: usize,
    containers: usize,
    ellipsis: &'static str,
}

impl<'a> Lead<'a> {
    fn of(explore: &'a Explore, width: u16, ellipsis: &'static str) -> Self {
        let names = &explore.names;
        // A narrow screen is for the lines.
        let room = usize::from(width) / 4;
        let containers = if width < 80 { 0 } else { names.containers_width() };
        Self { names, pods: names.width().min(room.max(6)), containers, ellipsis }
    }

    fn put<'t>(&self, held: &Held<'t>, lead: &mut Vec<(Cow<'t, str>, Role)>) {
        if self.pods > 0 {
            let part = self.names.part(names::of(held).unwrap_or("-"));
            // Both ends tell pods apart: the app at the beginning, the pod at the end.
            let name = fit::fit_middle(part, self.pods, self.ellipsis);
            lead.push((Cow::Owned(padded(&name, self.pods)), Role::Strong));
        }
        if self.containers > 0 {
            let name =
                fit::fit_middle(held.label("container").unwrap_or("-"), self.containers, self.ellipsis);
            lead.push((Cow::Owned(padded(&name, self.containers)), Role::Dim));
        }
    }
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(fit::width(text))))
}

/// Returns the word of a level, always as wide, and what its colour means.
fn level(level: Level) -> (&'static str, Role) {
    match level {
        Level::Fatal => ("FATAL", Role::Degraded),
        Level::Error => ("ERROR", Role::Degraded),
        Level::Warn => ("WARN ", Role::Warning),
        Level::Info => ("INFO ", Role::Idle),
        Level::Debug => ("DEBUG", Role::Dim),
        Level::Trace => ("TRACE", Role::Dim),
        Level::Unknown => ("  -  ", Role::Dim),
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

fn facts(scene: &Scene<'_>, explore: &Explore) -> Vec<(String, Role)> {
    let window = match (&explore.pods, explore.of.window) {
        _ if explore.of.around.is_some() => String::new(),
        (Some(pods), _) if pods.since == Since::Tail => "the last lines, then all that come".to_owned(),
        (_, window) => span::words(window, scene.state.now, &scene.state.zone),
    };
    let mut facts = vec![(window, Role::Dim)];
    if explore.pods.as_ref().is_some_and(|pods| pods.previous) {
        facts.push(("previous life".to_owned(), Role::Warning));
    }
    facts.push((format!("{} lines", human::count(explore.lines.len())), Role::Dim));
    if explore.held_of.is_some() {
        facts.push(("of the query before".to_owned(), Role::Stale));
    }
    if explore.stream.is_some() {
        facts.push(("around one line".to_owned(), Role::Match));
    }
    let ends = match &explore.pods {
        Some(pods) => pods.previous || pods.until.is_some(),
        None => matches!(explore.of.window, Window::Between { .. }),
    };
    facts.push(match (explore.live || explore.pods.is_some(), explore.follow) {
        _ if ends => (String::new(), Role::Dim),
        (false, _) => ("not live".to_owned(), Role::Stale),
        (true, true) => ("following".to_owned(), Role::Healthy),
        (true, false) => ("live, paused".to_owned(), Role::Idle),
    });
    let mut counted = |count: u64, what: &str| {
        if count > 0 {
            facts.push((format!("{} {what}", human::count(count)), Role::Stale));
        }
    };
    counted(explore.dropped, "dropped");
    counted(explore.throttled, "times asked to wait");
    counted(explore.garbled, "not understood");
    counted(explore.skipped, "places with more than Loki gives");
    counted(explore.hidden() as u64, "hidden");
    let edge = match (explore.older, explore.page.view.top == 0) {
        (Older::Full, _) => "no older lines are held",
        (Older::Done, true) if explore.pods.is_none() => "all of the window",
        _ => "",
    };
    facts.push((edge.to_owned(), Role::Dim));
    if let Some(stats) = explore.stats.filter(|stats| stats.bytes > 0) {
        facts.push((format!("reads {}", human::quantity(stats.bytes as f64, Unit::Bytes)), Role::Dim));
    }
    for sieve in &explore.sieves {
        let word = if sieve.hide { "without" } else { "only" };
        facts.push((format!("{word} {}", sieve.text), Role::Match));
    }
    if let Some((text, _)) = &explore.highlight {
        facts.push((format!("marked {text}"), Role::Marked));
    }
    facts.push((found(&explore.page.search), Role::Match));
    facts.retain(|(text, _)| !text.is_empty());
    facts
}

fn notes(explore: &Explore) -> Vec<String> {
    let mut notes: Vec<String> = explore.warnings.iter().map(|text| format!("Loki warns: {text}")).collect();
    notes.extend(explore.failure.as_ref().map(feed::sentence));
    if explore.failure.is_some()
        && let Some(query) = &explore.held_of
    {
        notes.push(format!("the lines are those of the last query that was answered: {query}"));
    }
    let broken = explore.pods.iter().flat_map(|pods| pods.failures.iter().rev().take(3));
    notes.extend(broken.map(|(stream, error)| format!("{stream}: {}", feed::sentence(error))));
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
        Purpose::Window => "time ",
    }
}
