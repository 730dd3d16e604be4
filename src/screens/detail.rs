//! One object: fields, conditions, events and related things; or its YAML.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Scene;
use super::cells;
use super::feed;
use crate::app::detail::{Detail, Document, Entry, Page, Search, Tab};
use crate::app::spot::{Spot, Spots};
use crate::kinds::Leads;
use crate::store::{Query, Stage};
use crate::theme::{Role, Theme};
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::viewer::{self, Line};
use crate::widgets::{fit, notice, over, panel};

/// Draws the object in the tab that is open.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, detail: &Detail, spots: &mut Spots) {
    let theme = scene.theme;
    let tab = |tab| if detail.tab == tab { Role::Sorted } else { Role::Dim };
    let title = format!("{} {}", scene.singular(&detail.object.resource), place(scene, &detail.object));
    let age = age(scene, detail);
    let mut facts = vec![("describe", tab(Tab::Describe)), ("yaml", tab(Tab::Yaml))];
    if let Some((text, role)) = &age {
        facts.push((text.as_str(), *role));
    }
    let page = match detail.tab {
        Tab::Describe => &detail.describe,
        Tab::Yaml => &detail.page,
    };
    let found = found(&page.search);
    facts.push((found.as_str(), Role::Match));
    let facts: Vec<_> = facts.into_iter().filter(|(text, _)| !text.is_empty()).collect();
    let body = panel::titled(buffer, area, theme, &title, &facts, true);
    // An alert has the graph of its rule below, and its lines the larger part.
    let graph = detail.graph.as_ref().filter(|_| detail.tab == Tab::Describe && body.height >= 16);
    let height = if graph.is_some() { (body.height * 2 / 5).clamp(7, 18) } else { 0 };
    let (body, below) = panel::split_bottom(body, height);
    if let Some(graph) = graph {
        super::board::small(buffer, below, scene, graph);
    }
    spots.put(body, Spot::Panel(0));
    spots.fits(0, body.height);
    match detail.tab {
        Tab::Describe => describe(buffer, body, scene, detail, spots),
        Tab::Yaml => yaml(buffer, body, scene, detail),
    }
}

/// Writes where an object is: `tenant-2/checkout`, or a bare name where there is no namespace.
pub fn place(scene: &Scene<'_>, object: &crate::identity::ObjectRef) -> String {
    match &object.namespace {
        Some(namespace) => format!("{namespace}/{}", scene.called(object)),
        None => scene.called(object),
    }
}

/// Says how far the shown object can be trusted: whether it is watched, old, or gone.
fn age(scene: &Scene<'_>, detail: &Detail) -> Option<(String, Role)> {
    let object = &detail.object;
    let shelf = scene.store.shelf(&Query::all(&object.context, &object.resource))?;
    let there = shelf.get(object.namespace.as_deref(), &object.name).is_some();
    match &shelf.feed().stage {
        Stage::Live | Stage::Refilling if !there => Some(("gone".to_owned(), Role::Degraded)),
        _ => Some(feed::standing(shelf.feed(), scene.state.now)),
    }
}

/// Says how many lines match and at which the search stands.
pub fn found(search: &Search) -> String {
    if search.text.is_empty() {
        String::new()
    } else if search.matches.is_empty() {
        format!("/{} no match", search.text)
    } else {
        format!("/{} {} of {}", search.text, search.at + 1, search.matches.len())
    }
}

/// Finds what a search looks for: without regard to case unless it has capitals.
pub fn hits(search: &Search) -> impl Fn(&str) -> Vec<(usize, usize)> + use<> {
    let wanted = search.editing.as_ref().map_or(search.text.as_str(), |line| line.text()).to_owned();
    let exact = wanted.chars().any(char::is_uppercase);
    move |text| {
        if wanted.is_empty() {
            return Vec::new();
        }
        if exact {
            return text.match_indices(&wanted).map(|(at, found)| (at, at + found.len())).collect();
        }
        // Lower case may be longer or shorter than the letter it comes from, so only ASCII is folded here.
        let folded = text.to_ascii_lowercase();
        folded.match_indices(&wanted.to_ascii_lowercase()).map(|(at, found)| (at, at + found.len())).collect()
    }
}

/// Returns the part of a text that a page shows.
pub fn view(page: &Page, lines: usize, follow: bool) -> viewer::View {
    viewer::View {
        lines,
        top: page.view.top,
        follow,
        wrap: page.wrap,
        left: page.left,
        here: page.search.matches.get(page.search.at).copied(),
        numbers: false,
    }
}

fn yaml(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, detail: &Detail) {
    match &detail.document {
        Document::Loading => {
            notice::draw(buffer, area, scene.theme, Role::Progressing, "Fetching the whole object", &[]);
        }
        Document::Failed(error) => {
            let what = scene.plural(&detail.object.resource);
            let sentence = feed::sentence(error);
            let headline = feed::headline(error, &what);
            notice::draw(buffer, area, scene.theme, Role::Degraded, &headline, &[&sentence]);
        }
        Document::Ready(_) => {
            let line = |index: usize| {
                let text = detail.yaml.get(index).map_or("", String::as_str);
                Line { parts: viewer::yaml_parts(text), ..Line::plain(text) }
            };
            let view = view(&detail.page, detail.yaml.len(), false);
            viewer::draw(buffer, area, scene.theme, view, line, hits(&detail.page.search));
        }
    }
}

fn describe(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, detail: &Detail, spots: &mut Spots) {
    if detail.entries.is_empty() {
        notice::draw(buffer, area, scene.theme, Role::Progressing, "Waiting for the object", &[]);
        return;
    }
    let view = detail.describe.view;
    let find = hits(&detail.describe.search);
    for (y, index) in (area.y..area.bottom()).zip(view.top..detail.entries.len()) {
        let line = Rect { y, height: 1, ..area };
        spots.put(line, Spot::Row { panel: 0, index });
        entry(buffer, line, scene, &detail.entries[index], index == view.cursor, &find);
    }
}

/// Draws one line of fields, related things or words; `find` finds what a search looks for.
pub fn entry(
    buffer: &mut Buffer,
    area: Rect,
    scene: &Scene<'_>,
    entry: &Entry,
    cursor: bool,
    find: &impl Fn(&str) -> Vec<(usize, usize)>,
) {
    let theme = scene.theme;
    let glyphs = Glyphs::of(theme);
    let base = if cursor { theme.style(Role::Selected) } else { Style::new() };
    if cursor {
        buffer.set_style(area, base);
        buffer.set_stringn(area.x, area.y, glyphs.cursor, 1, over(base, theme.style(Role::Key)));
    }
    let names = area.x + 2 + Entry::names(area.width) + 1;
    let mut pen = Pen::new(buffer, area, glyphs.ellipsis);
    pen.gap(2);
    let style = |role: Role| over(base, theme.style(role));
    match entry {
        Entry::Heading(title) => {
            pen.put(title, style(Role::Title));
        }
        Entry::Field { name, value } => {
            let name = fit::fit(name, usize::from(Entry::names(area.width)), glyphs.ellipsis);
            searched(&mut pen, &name, style(Role::Dim), theme, find);
            pen.to(names);
            let painted = cells::painted(value, scene.state.now);
            if painted.mark {
                pen.put(glyphs.mark(painted.role), style(painted.role)).gap(1);
            }
            let text = cells::text(value, scene.state.now);
            searched(&mut pen, &text, style(painted.role), theme, find);
        }
        Entry::Related { how, to, value } => {
            searched(&mut pen, how, style(Role::Dim), theme, find);
            pen.to(names);
            let (kind, where_to) = match to {
                Leads::One(object) => (scene.singular(&object.resource), place(scene, object)),
                Leads::Many { resource, filter, .. } => (scene.plural(resource), filter.clone()),
            };
            pen.put(&kind, style(Role::Dim)).gap(1);
            let painted = cells::painted(value, scene.state.now);
            // How it is matters more than the middle of a long name.
            let standing = fit::width(&painted.text) + if painted.text.is_empty() { 0 } else { 4 };
            let room = pen.room().saturating_sub(standing).max(pen.room() / 2);
            let where_to = fit::fit_middle(&where_to, room, glyphs.ellipsis);
            searched(&mut pen, &where_to, style(Role::Key), theme, find);
            pen.gap(2);
            if painted.mark {
                pen.put(glyphs.mark(painted.role), style(painted.role)).gap(1);
            }
            pen.put(&painted.text, style(painted.role));
        }
        Entry::Words(words) => {
            // Words that would be cut all the same begin further to the left.
            if fit::width(words) <= usize::from(area.right().saturating_sub(names)) {
                pen.to(names);
            } else {
                pen.gap(2);
            }
            searched(&mut pen, words, style(Role::Text), theme, find);
        }
        Entry::Long(words) => {
            pen.gap(2);
            searched(&mut pen, words, style(Role::Text), theme, find);
        }
        Entry::Gap => {}
    }
}

/// Writes a text with what a search finds in it made visible.
fn searched(
    pen: &mut Pen<'_>,
    text: &str,
    style: Style,
    theme: &Theme,
    find: &impl Fn(&str) -> Vec<(usize, usize)>,
) {
    let found = find(text);
    if found.is_empty() || fit::width(text) > pen.room() {
        pen.put(text, style);
        return;
    }
    let mut from = 0;
    for (start, end) in found {
        pen.put(&text[from..start], style).put(&text[start..end], style.patch(theme.style(Role::Match)));
        from = end;
    }
    pen.put(&text[from..], style);
}
