//! The header line, the breadcrumbs, and the line for what just happened.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::feed;
use crate::app::asking;
use crate::app::command::Command;
use crate::app::history::View;
use crate::app::session::{Environment, Link};
use crate::human;
use crate::identity::{Context, Resource};
use crate::signals::{Answer, Ask, System, Wanted};
use crate::sources::SourceError;
use crate::store::{Query, Stage};
use crate::theme::Role;
use crate::widgets::fit;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;

/// The cells of the program's name and of the clock in the header, with the gaps behind them.
const NAME: usize = 9;
const CLOCK: usize = 7;

/// Returns the badge of an environment.
pub fn badge(environment: Environment) -> Role {
    match environment {
        Environment::Dev => Role::EnvDev,
        Environment::Qa => Role::EnvQa,
        Environment::Staging => Role::EnvStaging,
        Environment::Prod => Role::EnvProd,
        Environment::Unknown => Role::EnvUnknown,
    }
}

/// Returns the colour of the border of a question: that of the badge where a mistake is dear.
pub fn badge_border(environment: Environment) -> Role {
    if environment == Environment::Prod { Role::Degraded } else { Role::Focus }
}

/// Draws where the console is connected, what may be done there, how much there is, and how old it is.
///
/// Context, environment and whether anything may be written always have their place; counts go first.
pub fn header(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let (state, theme) = (scene.state, scene.theme);
    let session = &state.session;
    let base = theme.style(Role::Header);
    buffer.set_style(Rect { height: 1, ..area }, base);
    let styled = |role: Role| base.patch(theme.style(role));
    let glyphs = Glyphs::of(theme);
    let badge = badge(session.environment);
    let counts = scene.counts();
    let (named, timed, sources) = fitting(area, scene, &counts);
    let mut pen = Pen::new(buffer, area, glyphs.ellipsis);
    pen.gap(1);
    if named {
        pen.put("opsdeck", styled(Role::Title)).gap(2);
    }
    match &session.context {
        // Cloud providers make names of contexts that fill a line; the end tells them apart.
        Some(context) => {
            let room = usize::from(area.width / 3).max(12);
            pen.put(&fit::fit_middle(context.as_str(), room, glyphs.ellipsis), styled(Role::Strong));
            let word = match session.environment {
                Environment::Unknown => "ENVIRONMENT?".to_owned(),
                environment => environment.word().to_uppercase(),
            };
            pen.gap(1).put(&format!(" {word} "), theme.style(badge)).gap(1);
            if session.readonly.is_some() {
                pen.put(" read-only ", theme.style(Role::ReadOnly));
            } else {
                pen.gap(1).put("read-write", base);
            }
        }
        None => {
            pen.put("no context", styled(Role::Unknown));
        }
    }
    pen.margin_right(1);
    if timed {
        // To the minute: a console that nobody touches need not draw for a clock.
        pen.put_right(&human::minute(state.now, &scene.state.zone), styled(Role::Dim));
        pen.margin_right(2);
    }
    for (name, text, role) in sources.into_iter().rev() {
        pen.put_right(&text, styled(role));
        pen.margin_right(1);
        pen.put_right(name, base);
        pen.margin_right(2);
    }
    pen.gap(3);
    for (count, words) in counts {
        if pen.room() < fit::width(&count) + fit::width(words) + 3 {
            break;
        }
        let role = if count == "?" { Role::Unknown } else { Role::Strong };
        // `1 app`, not `1 apps`.
        let words = if count == "1" { words.trim_end_matches('s') } else { words };
        pen.put(&count, styled(role)).gap(1).put(words, base).gap(2);
    }
}

/// Decides what of the header has a place: the program's name, the clock, and which sources.
///
/// A source that is not well comes before the clock, the clock before one that is, and all of them before the
/// program's name: on a narrow screen nothing may hide that what is shown is old. How much there is comes before the
/// sources that are well but for Kubernetes: that they are there is nothing new.
fn fitting(
    area: Rect,
    scene: &Scene<'_>,
    counts: &[(String, &'static str)],
) -> (bool, bool, Vec<(&'static str, String, Role)>) {
    // All of them, else the first, which is what fires.
    let room = |counts: &[(String, &'static str)]| match counts {
        [] => 0,
        counts => {
            3 + counts.iter().map(|(count, words)| fit::width(count) + fit::width(words) + 3).sum::<usize>()
        }
    };
    let rooms = [room(counts), room(counts.get(..1).unwrap_or_default()), 0];
    let session = &scene.state.session;
    let context = session.context.as_ref().map_or(10, |context| {
        let badge = match session.environment {
            Environment::Unknown => 12,
            environment => environment.word().len(),
        };
        // Its badge and whether anything may be written, with the gaps.
        fit::width(context.as_str()).min(usize::from(area.width / 3).max(12)) + badge + 16
    });
    let cells = |sources: &[(&str, String, Role)]| -> usize {
        sources.iter().map(|(name, text, _)| fit::width(name) + fit::width(text) + 3).sum()
    };
    let width = usize::from(area.width);
    let fits = |named: bool, timed: bool, sources: &[(&str, String, Role)]| {
        let fixed = 2 + context + if named { NAME } else { 0 } + if timed { CLOCK } else { 0 };
        fixed + cells(sources) <= width
    };
    let fits_beside = |sources: &[(&str, String, Role)], named: bool, timed: bool, more: usize| {
        let fixed = 2 + context + if named { NAME } else { 0 } + if timed { CLOCK } else { 0 };
        fixed + cells(sources) + more <= width
    };
    let all = sources(scene);
    let unwell = |role: Role| !matches!(role, Role::Healthy | Role::Dim);
    for (named, timed) in [(true, true), (false, true), (false, false)] {
        // Of those that are well, Kubernetes is the one that all the rest hangs on.
        let mut kept: Vec<bool> =
            all.iter().enumerate().map(|(at, (_, _, role))| at == 0 || unwell(*role)).collect();
        let chosen = |kept: &[bool]| -> Vec<(&'static str, String, Role)> {
            all.iter().zip(kept).filter(|(_, kept)| **kept).map(|(one, _)| one.clone()).collect()
        };
        if !fits(named, timed, &chosen(&kept)) {
            continue;
        }
        // Those named first are kept where there is no room for all.
        let others: Vec<usize> = (0..all.len()).filter(|at| !kept[*at]).collect();
        let fitting = rooms.into_iter().find(|room| fits_beside(&chosen(&kept), named, timed, *room));
        let counted = fitting.unwrap_or(0);
        for at in others {
            kept[at] = true;
            if !fits_beside(&chosen(&kept), named, timed, counted) {
                kept[at] = false;
                break;
            }
        }
        return (named, timed, chosen(&kept));
    }
    // Not even the ones in trouble fit: one of them says that not all is well.
    (false, false, all.into_iter().filter(|(_, _, role)| unwell(*role)).take(1).collect())
}

/// Returns the sources with how they stand, in a word or two.
fn sources(scene: &Scene<'_>) -> Vec<(&'static str, String, Role)> {
    let now = scene.state.now;
    let mut sources = Vec::new();
    let Some(context) = &scene.state.session.context else { return sources };
    let kubernetes = match &scene.state.session.link {
        Link::None => ("not connected".to_owned(), Role::Unknown),
        Link::Connecting { since } => {
            let seconds = now.as_second() - since.as_second();
            let text = if seconds < 2 {
                "connecting".to_owned()
            } else {
                format!("connecting {}", human::span(seconds))
            };
            (text, Role::Progressing)
        }
        Link::Failed { since, .. } => (format!("lost {}", human::age(now, *since)), Role::Degraded),
        Link::Live { .. } => {
            // One list that is behind is enough to say so: its table tells which.
            let (mut behind, mut denied) = (0, 0);
            for (_, shelf) in scene.store.shelves().filter(|(query, _)| query.context == *context) {
                match &shelf.feed().stage {
                    // What is not installed is not missing.
                    Stage::Ended { .. }
                    | Stage::Live
                    | Stage::Failed { error: SourceError::Missing { .. }, .. } => {}
                    Stage::Failed { error: SourceError::Denied { .. }, .. } => denied += 1,
                    _ => behind += 1,
                }
            }
            match (behind, denied) {
                (0, 0) => ("live".to_owned(), Role::Healthy),
                (0, denied) => (format!("live, {denied} denied"), Role::Warning),
                (behind, _) => (format!("live, {behind} behind"), Role::Stale),
            }
        }
    };
    sources.push(("k8s", kubernetes.0, kubernetes.1));
    let applications = Query::all(context, &Resource::new("argoproj.io", "applications"));
    if let Some(shelf) = scene.store.shelf(&applications) {
        let (text, role) = match &shelf.feed().stage {
            Stage::Failed { error: SourceError::Missing { .. }, .. } => ("none".to_owned(), Role::Dim),
            Stage::Failed { error: SourceError::Denied { .. }, .. } => ("denied".to_owned(), Role::Warning),
            Stage::Failed { since, .. } => (format!("stale {}", human::age(now, *since)), Role::Stale),
            Stage::Refilling => ("listing".to_owned(), Role::Stale),
            Stage::Loading { .. } => ("loading".to_owned(), Role::Progressing),
            _ => feed::standing(shelf.feed(), now),
        };
        sources.push(("argo", text, role));
    }
    sources.extend(systems(scene, context));
    sources
}

/// Returns the systems beside the cluster that were found: how old the last look is, or what is wrong.
fn systems(scene: &Scene<'_>, context: &Context) -> Vec<(&'static str, String, Role)> {
    let now = scene.state.now;
    let ask = Ask { context: context.clone(), wanted: Wanted::Systems };
    let Some(reading) = scene.store.reading(&ask) else { return Vec::new() };
    let (Some(told), Some(at)) = (&reading.told, reading.at) else { return Vec::new() };
    let Answer::Systems(found) = &told.answer else { return Vec::new() };
    let shown = [
        (System::Alertmanager, "alerts"),
        (System::Prometheus, "prom"),
        (System::Loki, "loki"),
        (System::CloudWatch, "aws"),
    ];
    let standing = |system: System| {
        let mut of = found.iter().filter(|one| one.system == system).peekable();
        of.peek()?;
        if of.clone().any(|one| one.scraped) {
            return Some(("scraped".to_owned(), Role::Dim));
        }
        if of.clone().any(|one| one.error.is_none()) {
            let heard = found.iter().filter(|one| one.system == system).find_map(|one| one.heard);
            let age = now.as_second() - heard.unwrap_or(at).as_second();
            // To the minute, as the clock beside it: an idle console does not draw for seconds.
            let text = if age < 60 { "<1m".to_owned() } else { human::span(age) };
            return Some((text, Role::Healthy));
        }
        match of.find_map(|one| one.error.as_ref())? {
            SourceError::Missing { .. } => Some(("none".to_owned(), Role::Dim)),
            SourceError::Denied { .. } => Some(("denied".to_owned(), Role::Warning)),
            _ => Some(("lost".to_owned(), Role::Degraded)),
        }
    };
    shown
        .into_iter()
        .filter_map(|(system, name)| standing(system).map(|(text, role)| (name, text, role)))
        .collect()
}

/// Draws where the person is: the views beneath one another, and what narrows them.
pub fn crumbs(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) {
    let (state, theme) = (scene.state, scene.theme);
    let glyphs = Glyphs::of(theme);
    let mut pen = Pen::new(buffer, area, glyphs.ellipsis);
    pen.margin_right(1);
    let scope = match (&state.scope.tenant, &state.scope.namespace) {
        (Some(tenant), Some(namespace)) => format!("tenant {tenant}, namespace {namespace}"),
        (Some(tenant), None) => format!("tenant {tenant}"),
        (None, Some(namespace)) => format!("namespace {namespace}"),
        (None, None) => String::new(),
    };
    if !scope.is_empty() && pen.put_right(&scope, theme.style(Role::Strong)) {
        pen.put_right("only ", theme.style(Role::Dim));
        pen.margin_right(2);
    }
    pen.gap(1);
    // The way here is cut at its start: the end is where the person is.
    let names: Vec<String> = state.views.iter().map(|view| name(view, scene)).collect();
    let between = fit::width(glyphs.crumb) + 2;
    let mut from = names.len().saturating_sub(1);
    let mut used = names.last().map_or(0, |last| fit::width(last));
    while from > 0 && used + between + fit::width(&names[from - 1]) + 3 <= pen.room() {
        from -= 1;
        used += between + fit::width(&names[from]);
    }
    if from > 0 {
        pen.put(glyphs.ellipsis, theme.style(Role::Dim)).gap(1);
        pen.put(glyphs.crumb, theme.style(Role::Dim)).gap(1);
    }
    let last = names.len().saturating_sub(1);
    for (at, name) in names.iter().enumerate().skip(from) {
        if at > from {
            pen.gap(1).put(glyphs.crumb, theme.style(Role::Dim)).gap(1);
        }
        pen.put(name, theme.style(if at == last { Role::Title } else { Role::Dim }));
    }
}

/// Names a view as breadcrumbs do.
fn name(view: &View, scene: &Scene<'_>) -> String {
    match view {
        View::Overview(_) => "overview".to_owned(),
        View::Table(table) => scene.plural(&table.resource),
        View::Detail(detail) => scene.called(&detail.object),
        View::Application(application) => application.object.name.to_string(),
        View::Explore(view) => view.title.clone(),
        View::Board(board) => match board.subject.words() {
            words if words.is_empty() => board.board.name.to_string(),
            words => format!("{} of {words}", board.board.name),
        },
        View::Boards(_) => "boards".to_owned(),
        View::Actions(_) => "actions".to_owned(),
        View::Info(_) => "info".to_owned(),
    }
}

/// Draws what just happened, or how the running actions stand where nothing did.
pub fn status(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) {
    let (state, theme) = (scene.state, scene.theme);
    let glyphs = Glyphs::of(theme);
    let mut pen = Pen::new(buffer, area, glyphs.ellipsis);
    pen.gap(1);
    let open: Vec<_> = state.running.iter().filter(|running| running.ended.is_none()).collect();
    if let Some(latest) = open.last() {
        let seconds = state.now.as_second() - latest.started.as_second();
        let more = if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() };
        let text = format!("{} {}{more}", latest.plan.title, human::span(seconds));
        let cut = fit::fit_middle(&text, pen.room() / 2, glyphs.ellipsis).into_owned();
        pen.margin_right(1);
        pen.put_right(&cut, theme.style(Role::Progressing));
        pen.put_right(&format!("{} ", glyphs.progressing), theme.style(Role::Progressing));
        pen.margin_right(2);
    }
    if let Some(status) = &state.status {
        let role = Role::from(status.health);
        pen.put(glyphs.mark(role), theme.style(role)).gap(1).put(&status.text, theme.style(Role::Text));
    } else if let Link::Failed { error, retry_at, .. } = &state.session.link {
        // A lost connection is said for as long as it lasts.
        let again = retry_at.map_or(0, |at| at.as_second() - state.now.as_second());
        let again = if again > 0 { format!(" Again in {}.", human::span(again)) } else { String::new() };
        let text = format!("{}{again}", feed::sentence(error));
        pen.put(glyphs.degraded, theme.style(Role::Degraded)).gap(1).put(&text, theme.style(Role::Text));
    } else if let Some(text) = standing_notice(scene) {
        pen.put(glyphs.warning, theme.style(Role::Warning)).gap(1).put(&text, theme.style(Role::Text));
    }
}

/// Says what waits for the person for as long as it does: holds that are over, actions that have no end.
fn standing_notice(scene: &Scene<'_>) -> Option<String> {
    let state = scene.state;
    let key = |command: Command| match state.keymap.label(command) {
        Some(key) => key,
        None => format!(":{}", command.name()),
    };
    if !state.cut_seen && !state.cut.is_empty() {
        let title = state.cut.last().map_or("", |cut| &cut.title);
        let more = match state.cut.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        return Some(format!(
            "{} shows what was begun earlier and has no end: {title}{more}",
            key(Command::Actions)
        ));
    }
    let mut left = asking::left(state);
    if let Some(first) = left.next() {
        let more = match left.count() {
            0 => String::new(),
            more => format!(" ({more} more)"),
        };
        return Some(format!(
            "{} goes on with the rotation of {}{more}: {}",
            key(Command::GoOn),
            first.target.object.name,
            first.stands
        ));
    }
    let mut over = state.holds.over(state.now);
    let hold = over.next()?;
    let more = match over.count() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let since = hold.held.until.map_or_else(String::new, |until| human::age(state.now, until));
    Some(format!(
        "{} gives auto-sync of {} back: its hold is over since {since}{more}",
        key(Command::GiveBack),
        hold.object.name
    ))
}
