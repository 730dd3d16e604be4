//! Sources, requests, versions: what the console knows about itself.

use std::fmt::Write;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::feed;
use crate::app::session::Link;
use crate::app::spot::{Spot, Spots};
use crate::app::viewport::Viewport;
use crate::human;
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::panel;
use crate::widgets::pen::Pen;

/// A line: a name and what stands beside it, in the colour of a role; or a title.
type Line = (String, String, Role);

/// Draws the lines of the window.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Viewport, spots: &mut Spots) {
    let theme = scene.theme;
    let body = panel::titled(buffer, area, theme, "Info", &[], true);
    spots.put(body, Spot::Panel(0));
    spots.fits(0, body.height);
    let lines = lines(scene);
    let name = (body.width / 3).clamp(8, 40);
    let top = view.top.min(lines.len().saturating_sub(usize::from(body.height)));
    for (y, (left, right, role)) in (body.y..body.bottom()).zip(lines.iter().skip(top)) {
        let line = Rect { y, height: 1, ..body };
        let mut pen = Pen::new(buffer, line, Glyphs::of(theme).ellipsis);
        pen.gap(2);
        if right.is_empty() {
            pen.put(left, theme.style(Role::Title));
            continue;
        }
        let left = crate::widgets::fit::fit(left, usize::from(name), Glyphs::of(theme).ellipsis).into_owned();
        pen.put(&left, theme.style(Role::Dim)).to(body.x + 2 + name + 1);
        pen.put(right, theme.style(*role));
    }
}

/// Returns how many lines there are.
pub fn count(scene: &Scene<'_>) -> usize {
    lines(scene).len()
}

fn lines(scene: &Scene<'_>) -> Vec<Line> {
    let state = scene.state;
    let session = &state.session;
    let mut lines: Vec<Line> = Vec::new();
    let mut put = |name: &str, text: String, role: Role| lines.push((name.to_owned(), text, role));
    put("Connection", String::new(), Role::Title);
    let context = session.context.as_ref().map_or("none", |context| context.as_str());
    put("context", context.to_owned(), Role::Strong);
    put("environment", session.environment.word().to_owned(), Role::Text);
    let mode = session.readonly.as_ref().map_or("read-write".to_owned(), |why| format!("read-only: {why}"));
    put("writing", mode, Role::Text);
    match &session.link {
        Link::None => put("link", "not connected".to_owned(), Role::Unknown),
        Link::Connecting { since } => {
            put("link", format!("connecting for {}", human::age(state.now, *since)), Role::Progressing);
        }
        Link::Failed { error, since, .. } => {
            put("link", format!("lost {} ago", human::age(state.now, *since)), Role::Degraded);
            put("", feed::sentence(error), Role::Degraded);
        }
        Link::Live { version, user } => {
            put("server", version.clone(), Role::Text);
            let (user, role) =
                if user.is_empty() { ("?".to_owned(), Role::Unknown) } else { (user.clone(), Role::Text) };
            put("signed in as", user, role);
        }
    }
    if let Some(namespace) = &session.namespace {
        put("namespace of the kubeconfig", namespace.to_string(), Role::Text);
    }
    let (total, minute) = session.requests;
    let requests = format!("{} in the last minute, {} in all", human::count(minute), human::count(total));
    put("requests", requests, Role::Text);
    put("", String::new(), Role::Title);
    put("Lists", String::new(), Role::Title);
    for (query, shelf) in scene.store.shelves() {
        let mut name = query.resource.to_string();
        if let Some(namespace) = &query.namespace {
            let _ = write!(name, " in {namespace}");
        }
        for selector in [&query.labels, &query.fields].into_iter().filter(|selector| !selector.is_empty()) {
            let _ = write!(name, " {selector}");
        }
        let facts = feed::facts(shelf.feed(), state.now);
        let role = facts.iter().map(|(_, role)| *role).find(|role| *role != Role::Healthy);
        let facts: Vec<String> = facts.into_iter().map(|(text, _)| text).collect();
        let text = format!("{}  {}", human::count(shelf.len()), facts.join(", "));
        put(&name, text, role.unwrap_or(Role::Text));
        if let Some(error) = shelf.feed().error() {
            put(" ", feed::sentence(error), Role::Degraded);
        }
        for garbled in &shelf.feed().samples {
            put(" ", garbled.to_string(), Role::Warning);
        }
    }
    let late = scene.store.late_mail();
    if late > 0 {
        put("late mail thrown away", human::count(late), Role::Dim);
    }
    put("", String::new(), Role::Title);
    put("Console", String::new(), Role::Title);
    if !state.cut.is_empty() {
        let text = format!("{} without an end in the audit", human::count(state.cut.len()));
        put("actions", text, Role::Warning);
    }
    put("version", env!("CARGO_PKG_VERSION").to_owned(), Role::Text);
    put("theme", state.theme.clone(), Role::Text);
    put("keymap", state.keymap.preset_name().to_owned(), Role::Text);
    put("mouse", if state.mouse { "on" } else { "off" }.to_owned(), Role::Text);
    lines
}
