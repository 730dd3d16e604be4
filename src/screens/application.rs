//! One Argo CD Application: how it stands, and its resources, history, operation or conditions below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::Value;

use super::Scene;
use super::cells;
use super::detail::{self, place};
use super::feed;
use crate::actions::application::Entry as Deploy;
use crate::app::application::{Application, Node, Pane};
use crate::app::detail::Document;
use crate::app::spot::{Spot, Spots};
use crate::app::standing;
use crate::human;
use crate::kinds::Health;
use crate::store::Query;
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::table::{self, Column, Painted, Width, Window};
use crate::widgets::tree::{self, Branch};
use crate::widgets::{fit, notice, panel};

/// The columns of the kind that are said at the head of the view, in their order.
const SUMMARY: [&str; 8] =
    ["sync", "health", "auto", "operation", "revision", "deployed", "project", "image"];

/// How far below the window the tree is looked at, to know which of its lines go on.
const BELOW: usize = 200;

/// Draws the Application with the pane that is open.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Application, spots: &mut Spots) {
    let theme = scene.theme;
    let title = format!("application {}", place(scene, &view.object));
    let query = Query::all(&view.object.context, &view.object.resource);
    let shelf = scene.store.shelf(&query);
    let feed = shelf.map(|shelf| feed::standing(shelf.feed(), scene.state.now));
    let facts: Vec<_> = feed.iter().map(|(text, role)| (text.as_str(), *role)).collect();
    let body = panel::titled(buffer, area, theme, &title, &facts, true);
    // On a low screen the pane matters more than the head.
    let lines = if body.height >= 12 { 3 } else { 1 };
    let (head, body) = panel::split_top(body, lines.min(body.height));
    summary(buffer, head, scene, view);
    let body = tabs(buffer, body, scene, view);
    match view.pane {
        Pane::Resources => resources(buffer, body, scene, view, spots),
        Pane::History => history(buffer, body, scene, view, spots),
        Pane::Operation | Pane::Conditions => text(buffer, body, scene, view, spots),
    }
}

/// Draws how the Application stands: what the columns of its table say, then why.
fn summary(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Application) {
    let theme = scene.theme;
    let glyphs = Glyphs::of(theme);
    let Some(object) = scene.store.object(&view.object) else {
        let line = Rect { height: area.height.min(1), ..area };
        let (role, said) = match scene.store.shelf(&Query::all(&view.object.context, &view.object.resource)) {
            Some(shelf) if shelf.feed().is_live() => (Role::Degraded, "It does not exist any more."),
            _ => (Role::Progressing, "Waiting for it."),
        };
        Pen::new(buffer, line, glyphs.ellipsis).gap(2).put(said, theme.style(role));
        return;
    };
    let Some(kind) = scene.state.kinds.get(&view.object.resource) else { return };
    let lens = scene.state.lens(scene.store, &view.object.context);
    let (health, why) = kind.health(object, &lens);
    let (facts_at, why_at) = if area.height > 1 { panel::split_bottom(area, 1) } else { (area, Rect::ZERO) };
    let mut y = facts_at.y;
    let mut x = facts_at.x + 2;
    for id in SUMMARY {
        let Some(column) = kind.column(id) else { continue };
        let cell = kind.cell(object, column, &lens);
        let painted = cells::painted(&cell, lens.now);
        if painted.text.is_empty() {
            continue;
        }
        let mark = if painted.mark { glyphs.mark(painted.role) } else { "" };
        let cells = (id.len() + 1 + fit::width(mark) + 1 + fit::width(&painted.text)) as u16;
        if x + cells > facts_at.right() && x > facts_at.x + 2 {
            (x, y) = (facts_at.x + 2, y + 1);
        }
        if y >= facts_at.bottom() {
            break;
        }
        let line = Rect { x, y, width: facts_at.right().saturating_sub(x), height: 1 };
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        pen.put(id, theme.style(Role::Dim)).gap(1);
        if !mark.is_empty() {
            pen.put(mark, theme.style(painted.role)).gap(1);
        }
        pen.put(&painted.text, theme.style(painted.role));
        x = pen.column() + 3;
    }
    if health > Health::Idle && !why.is_empty() && *why != *cells::health_word(health) {
        let role = Role::from(health);
        let mut pen = Pen::new(buffer, why_at, glyphs.ellipsis);
        pen.gap(2).put(glyphs.mark(role), theme.style(role)).gap(1).put(&why, theme.style(Role::Text));
    }
}

/// Draws the names of the panes and returns what is below.
fn tabs(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Application) -> Rect {
    let theme = scene.theme;
    let names = ["resources", "history", "operation", "conditions"];
    let here = view.pane as usize;
    let mut rest: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| (*name, if at == here { Role::Sorted } else { Role::Dim }))
        .collect();
    if view.pane == Pane::Resources && !view.tree.is_empty() {
        let origin = if view.is_told { "tree of argocd-server" } else { "tree from owner references" };
        rest.push((origin, Role::Dim));
    }
    panel::titled(buffer, area, theme, "", &rest, false)
}

fn resources(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Application, spots: &mut Spots) {
    let theme = scene.theme;
    let panel = Pane::Resources as usize;
    spots.put(area, Spot::Panel(panel));
    spots.fits(panel, area.height.saturating_sub(1));
    if view.tree.is_empty() {
        let (role, headline) = match scene.store.object(&view.object) {
            Some(_) => (Role::Idle, "It manages nothing"),
            None => (Role::Progressing, "Waiting for its resources"),
        };
        notice::draw(buffer, area, theme, role, headline, &[]);
        return;
    }
    let state = view.views[panel];
    let branches = branches(&view.tree, state.top, usize::from(area.height));
    let name = (area.width / 2).clamp(16, 72);
    let column = |title, width, rank| Column { title, width, right: false, rank, sorted: None };
    let columns = [
        column("RESOURCE", Width::Flexible { least: (area.width * 2 / 5).clamp(20, 48), most: name }, 0),
        column("HEALTH", Width::Fixed(13), 1),
        column("SYNC", Width::Fixed(12), 2),
        column("WHY", Width::Flexible { least: 12, most: 100 }, 3),
    ];
    rows(area, panel, state.top, view.tree.len(), spots);
    let window = Window { rows: view.tree.len(), top: state.top, cursor: Some(state.cursor) };
    let glyphs = Glyphs::of(theme);
    table::draw(buffer, area, theme, &columns, window, |row, shown| {
        let node = &view.tree[row];
        let prefix = branches
            .get(row.saturating_sub(state.top))
            .map_or_else(String::new, |branch| tree::prefix(branch, node.depth == 0, glyphs));
        let cells = [
            Painted::text(format!("{prefix}{}", node.name)),
            // A Service or a ConfigMap is neither well nor ill: nothing is said of it.
            if node.health == Health::Idle && node.why.is_empty() {
                Painted::text("")
            } else {
                Painted::marked(cells::health_word(node.health), node.health.into())
            },
            sync(&node.sync),
            Painted::text(node.why.to_string()),
        ];
        (shown.iter().map(|at| cells[*at].clone()).collect(), false)
    });
}

/// Returns the lines before the names of the visible rows.
fn branches(nodes: &[Node], top: usize, height: usize) -> Vec<Branch> {
    let end = nodes.len().min(top.saturating_add(height).saturating_add(BELOW));
    // Whether more rows of a depth follow before the tree goes up past them; from the bottom upwards.
    let mut more: Vec<bool> = Vec::new();
    let mut branches = Vec::new();
    for (index, node) in nodes[..end].iter().enumerate().skip(top).rev() {
        more.truncate(node.depth + 1);
        more.resize(node.depth + 1, false);
        if index < top + height {
            branches.push(Branch {
                // The first level stands at the left edge, below the root.
                trunks: more.get(1..node.depth).unwrap_or_default().to_vec(),
                last: !more[node.depth],
                folded: node.has_children.then_some(node.folded),
            });
        }
        more[node.depth] = true;
    }
    branches.reverse();
    branches
}

fn sync(word: &str) -> Painted<'static> {
    let role = match word {
        "" => return Painted::text(""),
        "Synced" => Role::Healthy,
        "OutOfSync" => Role::Warning,
        _ => Role::Unknown,
    };
    Painted::marked(word.to_owned(), role)
}

fn rows(area: Rect, panel: usize, top: usize, count: usize, spots: &mut Spots) {
    for (y, index) in (area.y + 1..area.bottom()).zip(top..count) {
        spots.put(Rect { y, height: 1, ..area }, Spot::Row { panel, index });
    }
}

fn history(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Application, spots: &mut Spots) {
    let theme = scene.theme;
    let panel = Pane::History as usize;
    spots.put(area, Spot::Panel(panel));
    spots.fits(panel, area.height.saturating_sub(1));
    let Some(document) = document(buffer, area, scene, view) else { return };
    let count = view.history().count();
    if count == 0 {
        notice::draw(buffer, area, theme, Role::Idle, "It was never deployed", &[]);
        return;
    }
    let state = view.views[panel];
    let column = |title, width, rank| Column { title, width, right: false, rank, sorted: None };
    let columns = [
        Column { right: true, ..column("ID", Width::Fixed(5), 0) },
        column("REVISION", Width::Flexible { least: 9, most: 12 }, 0),
        column("IMAGES", Width::Flexible { least: 16, most: 60 }, 1),
        column("BY", Width::Flexible { least: 10, most: 24 }, 2),
        Column { right: true, ..column("AGO", Width::Fixed(7), 1) },
        column("WHEN", Width::Fixed(13), 3),
        column("", Width::Fixed(7), 2),
    ];
    rows(area, panel, state.top, count, spots);
    let entries: Vec<&Value> = view.history().skip(state.top).take(usize::from(area.height)).collect();
    let window = Window { rows: count, top: state.top, cursor: Some(state.cursor) };
    table::draw(buffer, area, theme, &columns, window, |row, shown| {
        let Some(value) = entries.get(row - state.top) else { return (Vec::new(), false) };
        let entry = Deploy(value);
        let unknown = || Painted::toned("?", Role::Unknown);
        let known = |text: String| if text.is_empty() { unknown() } else { Painted::text(text) };
        let (ago, when) = entry.deployed_at().map_or_else(
            || (unknown(), unknown()),
            |at| {
                let when = human::moment(at, scene.state.now, &scene.state.zone);
                (Painted::text(human::age(scene.state.now, at)), Painted::text(when))
            },
        );
        let cells = [
            entry.id().map_or_else(unknown, |id| Painted::text(id.to_string())),
            known(short(&entry.revision())),
            known(standing::images(scene.store, &view.object, document, value).join(" ")),
            known(entry.by().to_owned()),
            ago,
            when,
            // The newest entry is what was deployed last.
            if row == 0 { Painted::toned("newest", Role::Strong) } else { Painted::text("") },
        ];
        (shown.iter().map(|at| cells[*at].clone()).collect(), false)
    });
}

/// Shortens a Git hash to seven letters; anything else stays whole.
fn short(revision: &str) -> String {
    let hash = |part: &&str| part.len() == 40 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = revision.split(", ").map(|part| if hash(&part) { &part[..7] } else { part });
    parts.collect::<Vec<_>>().join(", ")
}

fn text(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Application, spots: &mut Spots) {
    let panel = view.pane as usize;
    spots.put(area, Spot::Panel(panel));
    spots.fits(panel, area.height);
    if document(buffer, area, scene, view).is_none() {
        return;
    }
    let lines = standing::lines(scene.state, scene.store, view);
    let state = view.views[panel];
    let top = state.top.min(lines.len().saturating_sub(1));
    for (y, (index, entry)) in (area.y..area.bottom()).zip(lines.iter().enumerate().skip(top)) {
        let line = Rect { y, height: 1, ..area };
        spots.put(line, Spot::Row { panel, index });
        detail::entry(buffer, line, scene, entry, index == state.cursor, &|_: &str| Vec::new());
    }
}

/// Returns the whole Application, or says why it is not here.
fn document<'a>(
    buffer: &mut Buffer,
    area: Rect,
    scene: &Scene<'_>,
    view: &'a Application,
) -> Option<&'a Value> {
    match &view.document {
        Document::Ready(document) => Some(document),
        Document::Loading => {
            notice::draw(buffer, area, scene.theme, Role::Progressing, "Fetching the whole Application", &[]);
            None
        }
        Document::Failed(error) => {
            let sentence = feed::sentence(error);
            let headline = feed::headline(error, "applications");
            notice::draw(buffer, area, scene.theme, Role::Degraded, &headline, &[&sentence]);
            None
        }
    }
}
