//! The first screen: tenants worst first, what changed, and what is suspected.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Scene;
use super::cells::health_word;
use super::feed;
use crate::app::overview::{Overview, Panel};
use crate::app::session::Link;
use crate::app::spot::{Spot, Spots};
use crate::human::{self, Measure};
use crate::identity::{Resource, Text};
use crate::kinds::Health;
use crate::kinds::quota::NEARLY_FULL;
use crate::model::holds::Hold;
use crate::model::suspects;
use crate::model::tenants::Summary;
use crate::model::timeline::Change;
use crate::signals::{Used, Using};
use crate::store::{Query, Stage};
use crate::theme::Role;
use crate::widgets::changes::{self, Entry};
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::table::{self, Column, Painted, Width, Window};
use crate::widgets::{fit, notice, over, panel};

/// From this width on, what changed stands beside the tenants; below, it stands under them.
const BESIDE: u16 = 100;
/// The most holds that are seen at once.
const HOLDS: usize = 4;
/// The most suspects that are told.
const SUSPECTS: usize = 4;
/// The lists that changes are read from, beside those that the tenants are read from.
const CHANGES_FROM: &[(&str, &str)] = &[("", "events"), ("apps", "replicasets")];

/// Draws the overview.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Overview, spots: &mut Spots) {
    let selected = tenant(scene, view, view.tenants.cursor);
    let suspected = selected
        .map(|tenant| suspects::of(tenant, scene.state.timeline.entries(), scene.state.now))
        .unwrap_or_default();
    let sentences = sentences(&suspected, area);
    let lines = sentences.len() as u16;
    let below = if lines == 0 || area.height < 14 { 0 } else { lines + 1 };
    let (top, bottom) = panel::split_bottom(area, below);
    let held =
        (view.held.len().min(HOLDS) as u16 + 1) * u16::from(!view.held.is_empty() && area.height >= 14);
    let (top, holds_at) = panel::split_bottom(top, held);
    if held > 0 {
        holds(buffer, holds_at, scene, view, spots);
    }
    if area.width >= BESIDE {
        let (left, right) = panel::split_left(top, top.width * 3 / 5);
        tenants(buffer, left, scene, view, spots);
        let right = panel::wall(buffer, right, scene.theme);
        changed(buffer, right, scene, view, spots);
    } else {
        // Tenants come first; what changed has what they leave, and never less than two fifths.
        let wanted = match view.ranking.len() as u16 {
            // What is said instead of them takes some lines.
            0 => top.height / 2,
            tenants => tenants.saturating_add(3),
        };
        let (upper, lower) = panel::split_top(top, wanted.min(top.height * 3 / 5));
        tenants(buffer, upper, scene, view, spots);
        changed(buffer, lower, scene, view, spots);
    }
    if let Some(tenant) = selected.filter(|_| bottom.height > 1) {
        let title = format!("Suspects for the trouble of {}", tenant.name);
        let body = panel::titled(buffer, bottom, scene.theme, &title, &[], false);
        for (y, (number, text)) in (body.y..body.bottom()).zip(sentences) {
            let line = Rect { y, height: 1, ..body };
            let mut pen = Pen::new(buffer, line, Glyphs::of(scene.theme).ellipsis);
            let number = number.map_or_else(|| " ".to_owned(), |number| number.to_string());
            pen.gap(2).put(&number, scene.theme.style(Role::Strong)).gap(2);
            pen.put(&text, scene.theme.style(Role::Text));
        }
    }
}

/// Draws the holds of auto-sync: whose, how long they still last or that they are over, who set them and why.
fn holds(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Overview, spots: &mut Spots) {
    let (state, theme) = (scene.state, scene.theme);
    let number = Panel::Held as usize;
    let focused = view.panel == Panel::Held;
    let title = format!("Auto-sync held  {}", view.held.len());
    let body = panel::titled(buffer, area, theme, &title, &[], focused);
    spots.put(body, Spot::Panel(number));
    spots.fits(number, body.height);
    let glyphs = Glyphs::of(theme);
    for (y, index) in (body.y..body.bottom()).zip(view.holds.top..view.held.len()) {
        let Some(hold) = view.held.get(index).and_then(|at| state.holds.entries().get(*at)) else { continue };
        let line = Rect { y, height: 1, ..body };
        spots.put(line, Spot::Row { panel: number, index });
        let here = focused && index == view.holds.cursor;
        let base = if here { theme.style(Role::Selected) } else { Style::new() };
        buffer.set_style(line, base);
        let (role, lasts) = lasts(hold, state.now);
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        pen.put(if here { glyphs.cursor } else { " " }, over(base, theme.style(Role::Key))).gap(1);
        pen.put(glyphs.mark(role), over(base, theme.style(role))).gap(1);
        let name = fit::fit_middle(&hold.object.name, pen.room() / 3, glyphs.ellipsis);
        pen.put(&name, over(base, theme.style(Role::Strong))).gap(2);
        pen.put(&lasts, over(base, theme.style(role))).gap(2);
        let who = if hold.held.by.is_empty() { "?" } else { &hold.held.by };
        let since = hold.held.at.map_or_else(|| "?".to_owned(), |at| human::age(state.now, at));
        pen.put(&format!("by {who}, {since} ago"), over(base, theme.style(Role::Text)));
        if !hold.held.reason.is_empty() {
            pen.put(&format!(": {}", hold.held.reason), over(base, theme.style(Role::Dim)));
        }
    }
}

/// Says how long a hold still lasts.
fn lasts(hold: &Hold, now: Timestamp) -> (Role, String) {
    if hold.on {
        return (Role::Warning, "switched on again past the console".to_owned());
    }
    match hold.held.until {
        None => (Role::Progressing, "no end".to_owned()),
        Some(until) if now >= until => (Role::Warning, format!("over since {}", human::age(now, until))),
        Some(until) => {
            (Role::Progressing, format!("{} left", human::span(until.as_second() - now.as_second())))
        }
    }
}

/// Returns the lines of the suspects: each with its number, and a second one where a sentence is long and there is
/// room for it.
fn sentences(suspects: &[suspects::Suspect], area: Rect) -> Vec<(Option<usize>, String)> {
    let room = usize::from(area.width.saturating_sub(6)).max(1);
    let most = if area.height >= 18 { SUSPECTS + 1 } else { 1 };
    let mut lines = Vec::new();
    for (index, suspect) in suspects.iter().take(SUSPECTS).enumerate() {
        let parts = human::lines::wrap(&suspect.text, room);
        // One line each where they are many: the second suspect matters more than the end of the first.
        let goes_on = parts.get(1).filter(|_| suspects.len() <= 2 && most >= lines.len() + 2);
        let cut = goes_on.map_or(suspect.text.len(), |(from, _)| *from);
        let (first, rest) = suspect.text.split_at(cut);
        lines.push((Some(index + 1), first.trim_end().to_owned()));
        // The last line takes the rest; the pen marks what is cut.
        lines.extend(goes_on.map(|_| (None, rest.to_owned())));
        if lines.len() >= most {
            break;
        }
    }
    lines
}

/// Returns the tenant of a row.
fn tenant<'a>(scene: &Scene<'a>, view: &Overview, row: usize) -> Option<&'a Summary> {
    scene.state.tenants.get(view.ranking.get(row)?)
}

/// Returns what has to be said of the lists that a panel is concluded from: the gravest, in a few words.
fn trust(scene: &Scene<'_>, lists: &[(&str, &str)]) -> Vec<feed::Fact> {
    let Some(context) = &scene.state.session.context else { return Vec::new() };
    // While the connection is being made nothing can be asked for; the panel says so.
    if matches!(scene.state.session.link, Link::None | Link::Connecting { .. }) {
        return Vec::new();
    }
    let mut facts = Vec::new();
    for (group, plural) in lists {
        let Some(shelf) = scene.store.shelf(&Query::all(context, &Resource::new(group, plural))) else {
            facts.push((format!("{plural} not asked for yet"), Role::Unknown));
            continue;
        };
        // What is not installed is not missing.
        let absent = matches!(
            &shelf.feed().stage,
            Stage::Failed { error: crate::sources::SourceError::Missing { .. }, .. }
        );
        for (text, role) in feed::facts(shelf.feed(), scene.state.now) {
            if role != Role::Healthy && !absent {
                facts.push((format!("{plural} {text}"), role));
            }
        }
    }
    facts
}

/// Tells whether lists have come as far as they ever will: whole, or without what may not be seen.
fn is_all_there_is(scene: &Scene<'_>, lists: &[(&str, &str)]) -> bool {
    let Some(context) = &scene.state.session.context else { return false };
    lists.iter().all(|(group, plural)| {
        let query = Query::all(context, &Resource::new(group, plural));
        scene.store.shelf(&query).is_some_and(|shelf| match &shelf.feed().stage {
            Stage::Live => true,
            Stage::Failed { error, .. } => feed::is_closed(error),
            _ => false,
        })
    })
}

fn borrowed(facts: &[feed::Fact]) -> Vec<(&str, Role)> {
    facts.iter().map(|(text, role)| (text.as_str(), *role)).collect()
}

fn tenants(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Overview, spots: &mut Spots) {
    let theme = scene.theme;
    let number = Panel::Tenants as usize;
    let mut facts = Vec::new();
    if !view.filter.text.is_empty() {
        facts
            .push((format!("{} of {}", view.ranking.len(), scene.state.tenants.names().len()), Role::Strong));
        facts.push((format!("/{}", view.filter.text), Role::Match));
    }
    facts.extend(trust(scene, &[("", "namespaces"), ("", "pods"), ("argoproj.io", "applications")]));
    let focused = view.panel == Panel::Tenants;
    let body = panel::titled(buffer, area, theme, "Tenants, worst first", &borrowed(&facts), focused);
    spots.put(body, Spot::Panel(number));
    if view.ranking.is_empty() {
        nothing(buffer, body, scene, view);
        return;
    }
    // The reason of the selected tenant has a line of its own where the column cuts it.
    let (body, reason) = panel::split_bottom(body, u16::from(body.height > 6));
    spots.fits(number, body.height.saturating_sub(1));
    let column = |title, width, rank| Column { title, width, right: false, rank, sorted: None };
    let widest = view.ranking.iter().skip(view.tenants.top).take(usize::from(body.height));
    let widest = widest.map(|name| fit::width(name)).max().unwrap_or(0) as u16;
    let columns = [
        column("TENANT", Width::Flexible { least: 10, most: widest.clamp(10, 32) }, 0),
        column("ENV", Width::Fixed(7), 5),
        Column { right: true, ..column("APPS", Width::Fixed(4), 4) },
        column("SYNC", Width::Fixed(9), 3),
        column("HEALTH", Width::Fixed(13), 0),
        Column { right: true, ..column("PODS", Width::Fixed(7), 1) },
        Column { right: true, ..column("ERR%", Width::Fixed(5), 4) },
        Column { right: true, ..column("P95", Width::Fixed(7), 5) },
        Column { right: true, ..column("CPU", Width::Fixed(6), 8) },
        Column { right: true, ..column("OF REQ", Width::Fixed(6), 9) },
        Column { right: true, ..column("OF LIM", Width::Fixed(6), 10) },
        Column { right: true, ..column("MEM", Width::Fixed(7), 8) },
        Column { right: true, ..column("OF REQ", Width::Fixed(6), 9) },
        Column { right: true, ..column("OF LIM", Width::Fixed(6), 10) },
        column("QUOTA", Width::Fixed(9), 7),
        Column { right: true, ..column("ALERTS", Width::Fixed(6), 6) },
        column("WHY", Width::Flexible { least: 14, most: 120 }, 2),
    ];
    for (y, index) in (body.y + 1..body.bottom()).zip(view.tenants.top..view.ranking.len()) {
        spots.put(Rect { y, height: 1, ..body }, Spot::Row { panel: number, index });
    }
    let cursor = focused.then_some(view.tenants.cursor);
    let window = Window { rows: view.ranking.len(), top: view.tenants.top, cursor };
    table::draw(buffer, body, theme, &columns, window, |row, kept| {
        let Some(tenant) = tenant(scene, view, row) else { return (Vec::new(), false) };
        let cells = cells(tenant, measured(scene, tenant));
        (kept.iter().map(|at| cells[*at].clone()).collect(), false)
    });
    let selected = tenant(scene, view, view.tenants.cursor);
    if let Some(tenant) = selected.filter(|tenant| !tenant.reason.is_empty()) {
        let role = Role::from(tenant.health);
        let mut pen = Pen::new(buffer, reason, Glyphs::of(theme).ellipsis);
        pen.gap(2).put(Glyphs::of(theme).mark(role), theme.style(role)).gap(1);
        pen.put(&tenant.name, theme.style(Role::Strong)).put(": ", theme.style(Role::Dim));
        pen.put(&tenant.reason, theme.style(Role::Text));
    }
}

/// Returns what a tenant's namespaces use and are asked together; `None` where nobody says.
fn measured(scene: &Scene<'_>, tenant: &Summary) -> Option<Used> {
    let context = scene.state.session.context.as_ref()?;
    let lens = scene.state.lens(scene.store, context);
    let usage = lens.usage(Using::Namespaces)?;
    let add = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    };
    let none = Text::from("");
    let parts = tenant.namespaces.iter().filter_map(|namespace| usage.get(namespace, &none));
    Some(parts.fold(Used::default(), |sum, part| Used {
        cpu: add(sum.cpu, part.cpu),
        memory: add(sum.memory, part.memory),
        requests: add(sum.requests, part.requests),
        errors: add(sum.errors, part.errors),
        // Of several namespaces that of the slowest: times cannot be added up.
        p95: match (sum.p95, part.p95) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        },
    }))
}

fn cells(tenant: &Summary, used: Option<Used>) -> [Painted<'static>; 17] {
    let unknown = || Painted::toned("?", Role::Unknown);
    let environments = match &*tenant.environments {
        [] => String::new(),
        [one] => one.to_string(),
        [one, more @ ..] => format!("{one} +{}", more.len()),
    };
    let sync = match tenant.apps {
        None => unknown(),
        Some(_) if tenant.out_of_sync > 0 => {
            Painted::marked(format!("{} out", tenant.out_of_sync), Role::Warning)
        }
        Some(_) if tenant.busy > 0 => Painted::marked(format!("{} busy", tenant.busy), Role::Progressing),
        Some(0) => Painted::text(""),
        Some(_) => Painted::marked("synced", Role::Healthy),
    };
    // No pods are only known to be none where all of them are known.
    let ready = tenant.ready.filter(|_| tenant.complete || tenant.pods > 0);
    let pods = ready.map_or_else(unknown, |ready| {
        let role = match (ready, tenant.pods) {
            (_, 0) => Role::Dim,
            (0, _) => Role::Degraded,
            (ready, pods) if ready < pods => Role::Warning,
            _ => Role::Text,
        };
        Painted::toned(format!("{ready}/{}", tenant.pods), role)
    });
    let quota = tenant.quota.as_ref().map_or_else(
        || Painted::text(""),
        |(key, share)| {
            // `requests.memory` and `limits.memory` are both memory at a glance.
            let key = key.rsplit('.').next().unwrap_or(key);
            let key = if key == "memory" { "mem" } else { key };
            let role = if *share >= 1.0 {
                Role::Degraded
            } else if *share >= NEARLY_FULL {
                Role::Warning
            } else {
                Role::Text
            };
            Painted::toned(format!("{key} {}%", human::percent((share * 100.0).round())), role)
        },
    );
    [
        Painted::text(tenant.name.to_string()),
        Painted::toned(environments, Role::Dim),
        tenant.apps.map_or_else(unknown, |apps| Painted::text(apps.to_string())),
        sync,
        Painted::marked(health_word(tenant.health), tenant.health.into()),
        pods,
        errors(used),
        figure(used, |used| used.p95, Measure::Seconds),
        figure(used, |used| used.cpu, Measure::Cores),
        share(used, |used| used.cpu, Some(tenant.claims.cpu as f64 / 1000.0)),
        share(used, |used| used.cpu, tenant.claims.most_cpu()),
        figure(used, |used| used.memory, Measure::Bytes),
        share(used, |used| used.memory, Some(tenant.claims.memory as f64)),
        share(used, |used| used.memory, tenant.claims.most_memory()),
        quota,
        match tenant.alerts {
            None => unknown(),
            Some(0) => Painted::toned("0", Role::Dim),
            Some(alerts) => Painted::toned(alerts.to_string(), Role::Warning),
        },
        Painted::text(tenant.reason.to_string()),
    ]
}

/// What is used of what is requested, or of what may be used, in percent; empty where there is no such bound.
fn share(used: Option<Used>, of: fn(&Used) -> Option<f64>, bound: Option<f64>) -> Painted<'static> {
    match (used.as_ref().and_then(of), bound.filter(|bound| *bound > 0.0)) {
        (Some(used), Some(bound)) => Painted::text(format!("{}%", human::percent(used / bound * 100.0))),
        (None, _) => Painted::toned("?", Role::Unknown),
        (_, None) => Painted::text(""),
    }
}

/// The part of the requests that is answered with an error, in percent; empty where nothing is asked.
fn errors(used: Option<Used>) -> Painted<'static> {
    let Some(used) = used else { return Painted::toned("?", Role::Unknown) };
    match used.requests {
        Some(requests) if requests > 0.0 => {
            // No error is no series.
            let share = used.errors.unwrap_or(0.0) / requests;
            let role = match share {
                share if share >= 0.05 => Role::Degraded,
                share if share >= 0.01 => Role::Warning,
                _ => Role::Text,
            };
            Painted::toned(human::percent(share * 100.0), role)
        }
        _ => Painted::text(""),
    }
}

/// One number of what is used: `?` where nobody says anything, empty where this tenant has none.
fn figure(used: Option<Used>, of: fn(&Used) -> Option<f64>, unit: Measure) -> Painted<'static> {
    match used {
        None => Painted::toned("?", Role::Unknown),
        Some(used) => Painted::text(of(&used).map_or_else(String::new, |value| unit.text(value))),
    }
}

/// Says why there is no tenant to show.
fn nothing(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Overview) {
    let state = scene.state;
    let total = state.tenants.names().len();
    let context = state.session.context.as_ref().map_or("", |context| context.as_str());
    let mut sentences: Vec<String> = Vec::new();
    let (role, headline) = match &state.session.link {
        _ if total > 0 => {
            sentences
                .push(format!("The filter {} hides {total} tenants; esc takes it away.", view.filter.text));
            (Role::Idle, "No tenant to show".to_owned())
        }
        Link::None => {
            sentences.push("The command line (:) opens a context.".to_owned());
            for known in &state.session.contexts {
                sentences.push(format!("  {}  {}", known.context, known.environment.word()));
            }
            (Role::Unknown, "No context is open".to_owned())
        }
        Link::Connecting { .. } => (Role::Progressing, format!("Connecting to {context}")),
        Link::Failed { error, .. } => {
            sentences.push(feed::sentence(error));
            (Role::Degraded, format!("{context} cannot be seen"))
        }
        Link::Live { .. } => {
            let known = state.session.context.as_ref().is_some_and(|context| {
                let namespaces = Query::all(context, &Resource::new("", "namespaces"));
                scene.store.shelf(&namespaces).is_some_and(|shelf| shelf.feed().is_complete())
            });
            if known {
                sentences.push(
                    "No namespace names one. The rules are in the configuration, under tenants.".to_owned(),
                );
                (Role::Idle, "No tenants".to_owned())
            } else {
                (Role::Progressing, "Waiting for the namespaces".to_owned())
            }
        }
    };
    let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
    notice::draw(buffer, area, scene.theme, role, &headline, &sentences);
}

fn changed(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Overview, spots: &mut Spots) {
    let (state, theme) = (scene.state, scene.theme);
    let number = Panel::Changes as usize;
    let focused = view.panel == Panel::Changes;
    let facts = trust(scene, CHANGES_FROM);
    let body = panel::titled(buffer, area, theme, "What changed, last 60 min", &borrowed(&facts), focused);
    spots.put(body, Spot::Panel(number));
    if view.changed.is_empty() {
        // Nothing is only known to be nothing where everything is seen.
        let live = matches!(state.session.link, Link::Live { .. });
        let (role, headline) = if live && facts.is_empty() {
            (Role::Idle, "Nothing that is known")
        } else if live && is_all_there_is(scene, CHANGES_FROM) {
            (Role::Unknown, "Nothing among what can be seen")
        } else {
            (Role::Unknown, "Nothing is known yet")
        };
        notice::draw(buffer, body, theme, role, headline, &[]);
        return;
    }
    let cursor = focused.then_some(view.changes.cursor);
    let top = view.changes.top.min(view.changed.len() - 1);
    let list = state.timeline.entries();
    let mut places = Vec::new();
    let whole = changes::draw(buffer, body, theme, view.changed.len(), top, cursor, &mut places, |index| {
        let Some(change) = view.changed.get(index).and_then(|place| list.get(*place)) else {
            return Entry::default();
        };
        Entry {
            at: human::moment(change.at, state.now, &state.zone),
            role: Some(mark(change)),
            who: change.tenant.as_deref().unwrap_or_default(),
            text: &change.headline,
            more: Some(change.detail.as_str()).filter(|detail| !detail.is_empty()).into_iter().collect(),
        }
    });
    spots.fits(number, (whole as u16).max(1));
    for (place, index) in places {
        spots.put(place, Spot::Row { panel: number, index });
    }
}

/// Returns the role of a change: good news are healthy, and what was done on purpose is on its way.
fn mark(change: &Change) -> Role {
    match change.health {
        Health::Idle => Role::Progressing,
        health => health.into(),
    }
}
