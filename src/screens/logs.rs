//! The logs of a pod, or of all pods of a workload.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::detail::{found, hits, place, view};
use super::feed;
use crate::app::logs::{LogLine, Logs, Since};
use crate::app::spot::{Spot, Spots};
use crate::human;
use crate::theme::Role;
use crate::widgets::viewer::{self, Line};
use crate::widgets::{notice, panel};

/// Draws the lines in the window, with what can be said of the stream above them.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, logs: &Logs, spots: &mut Spots) {
    let theme = scene.theme;
    let title = format!("{} {}", scene.singular(&logs.object.resource), place(scene, &logs.object));
    let facts = facts(logs);
    let facts: Vec<_> = facts.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    let body = panel::titled(buffer, area, theme, &title, &facts, true);
    // Streams that broke stand below the lines, where the next line would be.
    let failures = logs.failures.len().min(3).min(usize::from(body.height / 3)) as u16;
    let (body, below) = panel::split_bottom(body, failures);
    spots.put(body, Spot::Panel(0));
    spots.fits(0, body.height);
    for (y, (stream, error)) in (below.y..below.bottom()).zip(logs.failures.iter().rev()) {
        let text = format!("{stream}: {}", feed::sentence(error));
        let glyphs = crate::widgets::glyphs::Glyphs::of(theme);
        let line = Rect { y, height: 1, ..below };
        let mut pen = crate::widgets::pen::Pen::new(buffer, line, glyphs.ellipsis);
        pen.put(glyphs.warning, theme.style(Role::Stale)).gap(1).put(&text, theme.style(Role::Stale));
    }
    if logs.lines.is_empty() {
        let headline = if logs.previous { "No lines of a previous life" } else { "No lines yet" };
        notice::draw(buffer, body, theme, Role::Idle, headline, &[]);
        return;
    }
    let lead = Lead::of(logs);
    let glyphs = crate::widgets::glyphs::Glyphs::of(theme);
    let line = |index: usize| {
        let Some(line) = logs.lines.get(index) else { return Line::plain("") };
        let before = lead.before(line, scene);
        if line.seam {
            let mark = (Cow::Borrowed(glyphs.warning), Role::Stale);
            let lead = before.into_iter().chain([mark]).collect();
            return Line { lead, role: Role::Stale, ..Line::plain(&*line.text) };
        }
        Line { lead: before, ..Line::plain(&*line.text) }
    };
    let view = view(&logs.page, logs.lines.len(), logs.follow);
    viewer::draw(buffer, body, theme, view, line, hits(&logs.page.search));
}

fn facts(logs: &Logs) -> Vec<(String, Role)> {
    let mut facts = Vec::new();
    let container = logs.container.as_ref().map_or_else(|| "all containers".to_owned(), ToString::to_string);
    facts.push((container, Role::Dim));
    if logs.previous {
        facts.push(("previous life".to_owned(), Role::Warning));
    }
    let since = match logs.since {
        Since::Tail => String::new(),
        Since::Minutes(minutes) => format!("last {}", human::span(i64::from(minutes) * 60)),
    };
    facts.push((since, Role::Dim));
    facts.push((format!("{} lines", human::count(logs.lines.len())), Role::Dim));
    if logs.dropped > 0 {
        facts.push((format!("{} dropped", human::count(logs.dropped)), Role::Stale));
    }
    facts.push(if logs.follow {
        ("following".to_owned(), Role::Healthy)
    } else {
        ("paused".to_owned(), Role::Idle)
    });
    facts.push((found(&logs.page.search), Role::Match));
    facts.retain(|(text, _)| !text.is_empty());
    facts
}

/// What has to stand before lines so that it is clear whose they are.
struct Lead {
    pods: bool,
    containers: bool,
    container_width: usize,
    times: bool,
}

impl Lead {
    fn of(logs: &Logs) -> Self {
        let pod = &*logs.object.resource.plural == "pods";
        Self {
            pods: !pod,
            containers: logs.container.is_none() && logs.containers.len() > 1,
            container_width: logs.containers.iter().map(|name| name.len()).max().unwrap_or(0).min(24),
            times: logs.timestamps,
        }
    }

    fn before<'a>(&self, line: &'a LogLine, scene: &Scene<'_>) -> Vec<(Cow<'a, str>, Role)> {
        let mut lead = Vec::new();
        if self.times {
            let text =
                line.at.map_or_else(|| "?       ".to_owned(), |at| human::clock(at, &scene.state.zone));
            lead.push((Cow::Owned(text), Role::Dim));
        }
        if self.pods {
            // Pods of a workload share the start of their names; the end is what differs.
            let end = line.pod.rsplit('-').next().unwrap_or(&line.pod);
            lead.push((Cow::Borrowed(end), Role::Strong));
        }
        if self.containers {
            let padded = format!("{:<width$}", line.container, width = self.container_width);
            lead.push((Cow::Owned(padded), Role::Dim));
        }
        lead
    }
}
