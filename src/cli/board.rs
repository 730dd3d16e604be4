//! `opsdeck board`: one frame of a board as text, or everything that its panels show as JSON.
//!
//! It is the console's own board: what is asked follows from its settling, what is printed from its drawing. Only
//! the waiting differs: every question is asked once, and the frame is drawn when each has an answer or an error.
//!
//! # JSON
//!
//! `{board, title, context, subject, from, to, step, source, panels, happened}`; times are RFC 3339, `step` is in
//! seconds, and `source` is `Prometheus`, `CloudWatch`, `Prometheus and CloudWatch` or `scraped`.
//! A panel is `{title, about, kind, unit, thresholds, expressions, series, cut, missing, warnings, error, at}`, a
//! series `{name, labels, values: [{at, value}]}`. Values that JSON has no number for are the texts `NaN`, `+Inf`
//! and `-Inf`. `cut` counts series that were left out, `missing` names metrics that are not there, and `error` says
//! why a panel could not be answered; it is null where it was.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use color_eyre::eyre::Result;
use futures::StreamExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Map, Value, json};

use super::console::{ROLLBACKS, look};
use super::gather::{connect, failure, fill, systems};
use super::get::known_tenant;
use super::query::{SCRAPED, value};
use super::report::{Head, table};
use super::{Desk, Exit, Usage, frame, settings};
use crate::actions::Verb;
use crate::app::board::{About, BoardView, Drawn, PanelState, panels, span};
use crate::app::history::View;
use crate::app::spot::Spots;
use crate::app::state::State;
use crate::args::{Board as Args, BoardFormat};
use crate::audit::Audit;
use crate::boards::{Board, Boards, Bound, Facet, Shape, Subject};
use crate::clock::Clock;
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::Kinds;
use crate::kinds::applications::Application;
use crate::nearest::did_you_mean;
use crate::screens::{self, Scene};
use crate::signals::{Ask, Report, Wanted, Window};
use crate::sources::{Connection, SourceError, Systems};
use crate::store::{Query, Store};

/// The lists that tenants and the marks of deployments are concluded from.
const LISTS: [(&str, &str); 2] = [("", "namespaces"), ("argoproj.io", "applications")];

/// Columns where nobody says how many there are.
const WIDTH: u16 = 120;

/// Rows of one panel where nobody says how many there are in all: a plot of eight and its legend.
const PANEL: u16 = 13;

/// How many questions are asked at once; Prometheus answers twenty at once by default, for everybody.
const AT_ONCE: usize = 8;

/// How long one question may take, with looking for whom to ask.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often settling may ask for more: for the systems, for the names of metrics, for what they say, and some for good
/// measure.
const ROUNDS: usize = 8;

/// Prints a board, or which there are.
pub async fn run(desk: &mut Desk<'_>, args: &Args) -> Result<Exit> {
    let boards = Boards::with_directory(&desk.paths.boards());
    for wrong in boards.wrong() {
        desk.err.line(&format!("a board is left out: {wrong}"))?;
    }
    let Some(name) = &args.name else { return list(desk, &boards, args.output) };
    let Some(board) = boards.get(name).cloned() else {
        let near = did_you_mean(name, boards.iter().map(|board| &*board.name));
        let hint = if near.is_empty() { "; `opsdeck board` lists them" } else { &near };
        return Err(Usage::report(format!("no board is called {name}{hint}")));
    };
    let scope = args.scope.clone().or(&desk.scope);
    takes(&board, args, scope.tenant.is_some(), scope.namespace.is_some())?;
    let variable = |name: &str| std::env::var(name).ok();
    let look = look(&desk.config, &desk.paths, variable)?;
    let now = desk.clock.now();
    let zone = TimeZone::system();
    let window = window(args, now, &zone)?;
    let connection = connect(desk, &scope).await?;
    let kinds = Arc::new(Kinds::new());
    let context = connection.context().clone();
    let lists = LISTS.map(|(group, plural)| Query::all(&context, &Resource::new(group, plural)));
    let mut store = fill(desk, &connection, &kinds, &lists).await?;
    for query in &lists {
        if let Some(error) = failure(&store, query) {
            desk.err.line(&format!("what needs {} is not known: {error}", query.resource))?;
        }
    }
    let keymap = settings::keymap(&desk.config, &desk.paths)?;
    let mut state = State::new(now, Arc::new(desk.config.clone()), keymap, kinds);
    state.zone = zone;
    state.boards = Arc::new(boards);
    state.enter(context);
    // Where the audit cannot be read, `opsdeck audit` says why; the board goes without.
    let since = now.checked_sub(ROLLBACKS).unwrap_or(Timestamp::MIN);
    let took = Audit::at(desk.paths.audit_file()).took(Verb::Rollback.word(), since);
    state.rollbacks = took.unwrap_or_default();
    state.settle(&store);
    let subject = subject(desk, args, &state, &store, &connection).await?;
    let mut view = BoardView::new(board.clone(), About::Subject(subject));
    view.window = window;
    state.views.open(View::Board(view));
    let size = size(args, board.panels.len());
    state.size = size;
    let columns = panels::columns(size.0, board.panels.len());
    let rows = board.panels.len().div_ceil(columns);
    let visible = match args.output {
        BoardFormat::Json => rows,
        BoardFormat::Text => panels::rows(size.1.saturating_sub(2), rows).1,
    };
    state.spots.fits(0, u16::try_from(visible).unwrap_or(u16::MAX));
    let systems = systems(desk, &connection);
    ask_all(&mut state, &mut store, &systems, desk).await?;
    if let Some(Wanting(why)) = unfilled(&state) {
        return Err(Usage::report(why));
    }
    match args.output {
        BoardFormat::Text => {
            let theme = look.theme;
            if let Some(View::Board(view)) = state.views.last_mut() {
                // On paper no panel has the keys.
                view.panel = usize::MAX;
            }
            let coloured = std::io::stdout().is_terminal() && theme.depth() != crate::theme::Depth::None;
            let scene = Scene { state: &state, store: &store, theme: &theme };
            let buffer = draw(&scene, size);
            write!(desk.out, "{}", frame::lines(&buffer, coloured))?;
            desk.out.flush()?;
        }
        BoardFormat::Json => {
            let document = document(&state);
            desk.out.json(&document)?;
        }
    }
    remarks(desk, &state, &store)
}

/// Prints which boards there are and what each can be narrowed to.
fn list(desk: &mut Desk<'_>, boards: &Boards, output: BoardFormat) -> Result<Exit> {
    let narrowed = |board: &Board| -> Vec<&'static str> {
        let mut words: Vec<&str> = board.fits.iter().map(|facet| facet.word()).collect();
        for facet in board.variables.iter().filter_map(|variable| variable.from) {
            if !words.contains(&facet.word()) {
                words.push(facet.word());
            }
        }
        words
    };
    let demanded = |board: &Board| -> Vec<&'static str> {
        let without = board.variables.iter().filter(|variable| variable.default.is_none());
        without.filter_map(|variable| variable.from).map(Facet::word).collect()
    };
    if output == BoardFormat::Json {
        let all: Vec<Value> = boards
            .iter()
            .map(|board| {
                let metrics: BTreeSet<Text> = board.needs().into_iter().map(|need| need.metric).collect();
                json!({
                    "board": board.name,
                    "title": board.title,
                    "about": board.about,
                    "needs": demanded(board),
                    "narrowedBy": narrowed(board),
                    "metrics": metrics,
                    "file": board.place.file,
                })
            })
            .collect();
        desk.out.json(&all)?;
        return Ok(Exit::Done);
    }
    let heads = ["BOARD", "NEEDS", "NARROWED BY", "ABOUT"].map(Head::left);
    let words = |words: Vec<&str>| if words.is_empty() { "-".to_owned() } else { words.join(",") };
    let rows: Vec<Vec<String>> = boards
        .iter()
        .map(|board| {
            let (needs, narrowed) = (words(demanded(board)), words(narrowed(board)));
            vec![board.name.to_string(), needs, narrowed, board.about.to_string()]
        })
        .collect();
    write!(desk.out, "{}", table(&heads, &rows))?;
    Ok(Exit::Done)
}

/// Refuses what a board cannot be narrowed to: it would look like the answer to another question.
fn takes(board: &Board, args: &Args, tenant: bool, namespace: bool) -> Result<()> {
    let within = namespace && (args.pod.is_some() || args.workload.is_some());
    let given = [
        ("--tenant", tenant, &[Facet::Tenant, Facet::Namespace][..]),
        ("-n", namespace && !within, &[Facet::Namespace]),
        ("--pod", args.pod.is_some(), &[Facet::Pod]),
        ("--workload", args.workload.is_some(), &[Facet::Workload, Facet::Pod]),
        ("--node", args.node.is_some(), &[Facet::Node]),
        ("--app", args.app.is_some(), &[Facet::Application]),
    ];
    let has = |facet: &Facet| {
        board.fits.contains(facet) || board.variables.iter().any(|variable| variable.from == Some(*facet))
    };
    match given.iter().find(|(_, given, facets)| *given && !facets.iter().any(has)) {
        Some((flag, ..)) => Err(Usage::report(format!(
            "board {} cannot be narrowed by {flag}; `opsdeck board` says what each takes",
            board.name
        ))),
        None => Ok(()),
    }
}

fn window(args: &Args, now: Timestamp, zone: &TimeZone) -> Result<Window> {
    let moment = |flag: &str, text: &String| {
        span::moment(text, now, zone).ok_or_else(|| {
            Usage::report(format!("{flag} {text}: not a time such as 2026-03-02T14:00:00Z, 14:00 or -6h"))
        })
    };
    let length = |text: &String| {
        let wrong = || Usage::report(format!("--since {text}: not a length of time such as 90m or 3h"));
        span::length(text).ok_or_else(wrong)
    };
    let to = args.to.as_ref().map(|text| moment("--to", text)).transpose()?;
    let from = args.from.as_ref().map(|text| moment("--from", text)).transpose()?;
    let since = args.since.as_ref().map(length).transpose()?;
    let seconds = since.unwrap_or(span::OPENS);
    let window = match (from, to) {
        (None, None) => Window::Last { seconds },
        (None, Some(to)) => Window::Between { from: to - i64::from(seconds), to },
        (Some(from), to) => Window::Between { from, to: to.unwrap_or(now.as_second()) },
    };
    span::checked(window).map_err(|why| Usage::report(format!("--from, --to: {why}")))
}

/// Returns what the board is for.
async fn subject(
    desk: &mut Desk<'_>,
    args: &Args,
    state: &State,
    store: &Store,
    connection: &Connection,
) -> Result<Subject> {
    let scope = args.scope.clone().or(&desk.scope);
    let mut subject = Subject::default();
    if let Some(tenant) = &scope.tenant {
        known_tenant(&state.tenants, tenant)?;
        subject = panels::of_tenant(&Text::from(tenant.as_str()), &state.tenants);
    }
    if let Some(name) = &args.app {
        return of_application(state, store, connection, name);
    }
    if let Some(node) = &args.node {
        subject.node = Some(Text::from(node.as_str()));
        remark_gone(desk, connection, Resource::new("", "nodes"), None, node).await?;
        return Ok(subject);
    }
    let inside = args.pod.is_some() || args.workload.is_some();
    let namespace = match (&scope.namespace, inside) {
        (None, true) => Some(connection.entry().namespace.clone().unwrap_or_else(|| "default".to_owned())),
        (namespace, _) => namespace.clone(),
    };
    let Some(namespace) = namespace.map(|name| Text::from(name.as_str())) else { return Ok(subject) };
    if let Some(tenant) = &subject.tenant
        && !subject.namespaces.contains(&namespace)
    {
        return Err(Usage::report(format!("the tenant {tenant} has no namespace {namespace}")));
    }
    let tenant = subject.tenant.or_else(|| state.tenancy.of_namespace(&namespace).cloned());
    if let Some(pod) = &args.pod {
        remark_gone(desk, connection, Resource::new("", "pods"), Some(&namespace), pod).await?;
        let pod = Some(Text::from(pod.as_str()));
        return Ok(Subject { pod, namespaces: vec![namespace], tenant, ..Subject::default() });
    }
    if let Some(workload) = &args.workload {
        let kind = workload.split_once('/').and_then(|(word, name)| Some((state.kinds.find(word)?, name)));
        let Some((kind, name)) = kind else {
            return Err(Usage::report(format!(
                "--workload {workload}: write KIND/NAME such as deployment/checkout"
            )));
        };
        remark_gone(desk, connection, kind.resource.clone(), Some(&namespace), name).await?;
        let plural = kind.resource.plural.clone();
        let of = Subject::of_workload(&plural, Some(&namespace), &Text::from(name));
        return Ok(Subject { tenant, ..of });
    }
    Ok(Subject { namespaces: vec![namespace], tenant, ..Subject::default() })
}

fn of_application(state: &State, store: &Store, connection: &Connection, name: &str) -> Result<Subject> {
    let query = Query::all(connection.context(), &Resource::new("argoproj.io", "applications"));
    let all =
        || store.shelf(&query).into_iter().flat_map(crate::store::Shelf::iter).map(|(_, object)| object);
    let Some(found) = all().find(|object| *object.meta.name == *name) else {
        let near = did_you_mean(name, all().map(|object| &*object.meta.name));
        return Err(Usage::report(format!("there is no Application {name}{near}")));
    };
    let within = found.meta.namespace.as_deref().unwrap_or_default();
    Ok(Subject {
        application: Some(found.meta.name.clone()),
        namespaces: found.body::<Application>().and_then(|slim| slim.namespace.clone()).into_iter().collect(),
        tenant: state.tenancy.of_application(within, name).cloned(),
        ..Subject::default()
    })
}

/// Says where something is not there now: its numbers may be there still, and a name may be mistyped.
async fn remark_gone(
    desk: &mut Desk<'_>,
    connection: &Connection,
    resource: Resource,
    namespace: Option<&Text>,
    name: &str,
) -> Result<()> {
    let object = ObjectRef {
        context: connection.context().clone(),
        resource,
        namespace: namespace.cloned(),
        name: Text::from(name),
    };
    if let Err(SourceError::Missing { .. }) = connection.document(&object).await {
        let place = namespace.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
        desk.err.line(&format!("there is no {name}{place} now; what is shown is of the time when it was"))?;
    }
    Ok(())
}

/// Returns columns and rows.
fn size(args: &Args, panels: usize) -> (u16, u16) {
    let terminal = std::io::stdout().is_terminal().then(crossterm::terminal::size).and_then(Result::ok);
    let width = args.width.or(terminal.map(|(width, _)| width.clamp(20, 1_000))).unwrap_or(WIDTH);
    let rows = panels.div_ceil(panels::columns(width, panels));
    let all = u16::try_from(rows).unwrap_or(u16::MAX).saturating_mul(PANEL).saturating_add(2);
    (width, args.height.unwrap_or(all).min(1_000))
}

/// Asks what the board needs until it needs nothing more.
async fn ask_all(state: &mut State, store: &mut Store, systems: &Systems, desk: &mut Desk<'_>) -> Result<()> {
    let context = systems.connection().context().clone();
    let mut open = vec![Ask { context, wanted: Wanted::Systems }];
    for _ in 0..ROUNDS {
        ask(open, store, systems, &desk.clock).await;
        state.settle(store);
        let Some(View::Board(view)) = state.view() else { return Ok(()) };
        let is_open = |ask: &&Ask| store.reading(ask).is_none_or(crate::store::Reading::is_waiting);
        open = view.asks.iter().filter(is_open).cloned().collect();
        if open.is_empty() {
            break;
        }
    }
    let Some(View::Board(view)) = state.view() else { return Ok(()) };
    if view.scraped {
        desk.err.line(SCRAPED)?;
    }
    Ok(())
}

/// Asks some questions once, and puts what came into the store.
async fn ask(open: Vec<Ask>, store: &mut Store, systems: &Systems, clock: &Clock) {
    let answers = futures::stream::iter(open).map(|ask| async move {
        let answer = tokio::time::timeout(PATIENCE, systems.answer(&ask.wanted)).await;
        let late = || SourceError::Unreachable {
            what: "the answer".to_owned(),
            place: "the system that was asked".to_owned(),
            reason: format!("it took more than {} s", PATIENCE.as_secs()),
        };
        (ask, answer.unwrap_or_else(|_| Err(late())))
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    for (ask, result) in answers {
        let epoch = store.ask(&ask);
        store.report(Report { ask, epoch, at: clock.now(), result, next: None });
    }
}

/// Why a board cannot be shown.
struct Wanting(String);

fn unfilled(state: &State) -> Option<Wanting> {
    let Some(View::Board(view)) = state.view() else { return None };
    let why = view.unfilled.clone()?;
    let flags: Vec<&str> = view
        .board
        .variables
        .iter()
        .filter(|variable| variable.default.is_none())
        .filter_map(|variable| variable.from)
        .map(|facet| match facet {
            Facet::Tenant => "--tenant",
            Facet::Namespace => "-n",
            Facet::Node => "--node",
            Facet::Pod => "--pod",
            Facet::Workload => "--workload",
            Facet::Application => "--app",
        })
        .collect();
    let why = why.split(':').next().unwrap_or_default().to_owned();
    Some(Wanting(format!("{why}: give {}", flags.join(" and "))))
}

/// Draws where and when, and the board below.
fn draw(scene: &Scene<'_>, (width, height): (u16, u16)) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    let Some(View::Board(view)) = scene.state.view() else { return buffer };
    let (state, theme) = (scene.state, scene.theme);
    let context = state.session.context.as_ref().map_or("", |context| context.as_str());
    let zoned = state.now.to_zoned(state.zone.clone());
    let when = zoned.strftime("%Y-%m-%d %H:%M:%S %Z");
    let environment = state.session.environment.word();
    let head = format!("{context}  {environment}  {when}");
    buffer.set_stringn(0, 0, head, usize::from(width), theme.style(crate::theme::Role::Text));
    let body = Rect { y: 1, height: height.saturating_sub(1), ..area };
    screens::board::draw(&mut buffer, body, scene, view, &mut Spots::default());
    buffer
}

/// Returns everything that the board shows.
fn document(state: &State) -> Value {
    let Some(View::Board(view)) = state.view() else { return Value::Null };
    let step = panels::step(view, state.size.0);
    let (from, to) = span::bounds(view.window, step, state.now);
    let at = |second: i64| Timestamp::from_second(second).ok();
    let subject = &view.subject;
    let panels: Vec<Value> = view
        .board
        .panels
        .iter()
        .zip(&view.panels)
        .map(|(panel, shown)| {
            let thresholds: Vec<Value> = panel
                .thresholds
                .iter()
                .map(|threshold| {
                    let at = match threshold.at {
                        Bound::Fixed(at) => at,
                        Bound::Target(target) => state.config.kpi.value(target),
                    };
                    json!({ "at": value(at), "below": threshold.below, "health": threshold.health })
                })
                .collect();
            let kind = Shape::WORDS.iter().find(|(_, shape)| *shape == panel.shape).map(|(word, _)| *word);
            let texts = |texts: &[Text]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
            json!({
                "title": panel.title,
                "about": panel.about,
                "kind": kind,
                "unit": panel.unit.word(),
                "thresholds": thresholds,
                "expressions": shown.asked.iter().map(|asked| &*asked.expr).collect::<Vec<_>>(),
                "series": shown.series.iter().map(series).collect::<Vec<_>>(),
                "cut": shown.cut.values().sum::<usize>(),
                "missing": shown.missing,
                "warnings": texts(&shown.warnings),
                "error": shown.error.as_ref().map(ToString::to_string),
                "at": shown.at,
            })
        })
        .collect();
    let happened: Vec<Value> = view
        .happened
        .iter()
        .map(|one| json!({ "at": one.at, "health": one.health, "text": one.text }))
        .collect();
    json!({
        "board": view.board.name,
        "title": view.board.title,
        "context": state.session.context.as_ref().map(crate::identity::Context::as_str),
        "subject": {
            "tenant": subject.tenant,
            "namespaces": subject.namespaces,
            "node": subject.node,
            "pod": subject.pod,
            "workload": subject.workload,
            "application": subject.application,
        },
        "from": at(from),
        "to": at(to),
        "step": step,
        "source": match view.board.asks() {
            (true, false) => "CloudWatch",
            _ if view.scraped => "scraped",
            (true, true) => "Prometheus and CloudWatch",
            (false, _) => "Prometheus",
        },
        "panels": panels,
        "happened": happened,
    })
}

fn series(one: &Drawn) -> Value {
    let labels: Map<String, Value> =
        one.labels.iter().map(|(name, text)| (name.to_owned(), json!(text))).collect();
    let values: Vec<Value> = one
        .points
        .iter()
        .map(|(at, number)| json!({ "at": Timestamp::from_millisecond(*at).ok(), "value": value(*number) }))
        .collect();
    json!({ "name": one.name, "labels": labels, "values": values })
}

/// Says which panels failed, and whether nothing could be had at all.
fn remarks(desk: &mut Desk<'_>, state: &State, store: &Store) -> Result<Exit> {
    let Some(View::Board(view)) = state.view() else { return Ok(Exit::Failed) };
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    let mut say = |sentence: String, title| match said.iter_mut().find(|(one, _)| *one == sentence) {
        Some((_, titles)) => titles.push(title),
        None => said.push((sentence, vec![title])),
    };
    let mut looked_at = 0;
    let mut had = 0;
    for (panel, shown) in view.board.panels.iter().zip(&view.panels) {
        let titled = &*panel.title;
        for warning in &shown.warnings {
            say(format!("warned: {warning}"), titled);
        }
        if shown.garbled > 0 {
            say(format!("{} series could not be understood", shown.garbled), titled);
        }
        if let Some(error) = &shown.error {
            say(error.to_string(), titled);
        }
        if !shown.missing.is_empty() {
            let why = if view.scraped { "needs Prometheus" } else { "no such metric here" };
            say(format!("{why}: {}", shown.missing.join("; ")), titled);
        }
        looked_at += usize::from(was_looked_at(shown));
        had += usize::from(!shown.series.is_empty() || (was_looked_at(shown) && answered(shown)));
    }
    for (sentence, titles) in said {
        let which = if titles.len() == looked_at && looked_at > 1 {
            "every panel".to_owned()
        } else {
            titles.join(", ")
        };
        desk.err.line(&format!("{which}: {sentence}"))?;
    }
    let alerts = view.asks.iter().find(|ask| ask.wanted == Wanted::Alerts);
    if let Some(error) = alerts.and_then(|ask| store.reading(ask)).and_then(|reading| reading.error.as_ref())
    {
        desk.err.line(&format!("alerts are not marked: {error}"))?;
    }
    Ok(if had == 0 { Exit::Failed } else { Exit::Done })
}

/// Tells whether a panel was among those that fit: the others are not asked for.
fn was_looked_at(shown: &PanelState) -> bool {
    !shown.asked.is_empty() || shown.error.is_some() || !shown.missing.is_empty() || !shown.series.is_empty()
}

fn answered(shown: &PanelState) -> bool {
    shown.error.is_none() && shown.missing.is_empty() && !shown.waiting
}
