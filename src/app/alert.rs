//! Where an alert leads: to its tenant, its workload, its Application, its logs and its graph, each in one key and
//! at the time when it began. What an alert does not lead to is said in a sentence.

use jiff::Timestamp;

use crate::app::board::{BoardView, Happened, OfAlert};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::history::View;
use crate::app::state::State;
use crate::app::{explore, going};
use crate::boards::Board;
use crate::identity::ObjectRef;
use crate::kinds::{Health, alerts, concern};
use crate::signals::{Alarm, Labels, Origin, Raised, Rule, Severity, Window};
use crate::store::Store;
use std::sync::Arc;

/// Seconds before an alert began from which its graph is drawn, and after it.
const AROUND: i64 = 3_600;

/// Tells whether a command is answered here: it is one of those of alerts, and an alert or a rule is selected.
pub fn is_for(object: &ObjectRef, command: Command) -> bool {
    match command {
        Command::Graph => object.resource == alerts::alerts() || object.resource == alerts::rules(),
        Command::ToTenant
        | Command::ToWorkload
        | Command::ToApplication
        | Command::Logs
        | Command::QueryLogs => object.resource == alerts::alerts(),
        _ => false,
    }
}

/// Carries out one of the commands of alerts.
pub fn command(state: &mut State, store: &Store, object: &ObjectRef, command: Command) -> Vec<Effect> {
    match led(state, store, object, command) {
        Ok(effects) => effects,
        Err(why) => {
            state.say(Health::Idle, why);
            Vec::new()
        }
    }
}

fn led(
    state: &mut State,
    store: &Store,
    object: &ObjectRef,
    command: Command,
) -> Result<Vec<Effect>, String> {
    let found = store.object(object).ok_or("this is over: it is not in the list any more")?;
    if let Some(rule) = found.body::<Arc<Rule>>() {
        let severity = Severity::read(rule.labels.get("severity"));
        let board = Board::of_rule(&rule.name, &rule.query, health(severity));
        state.overlay = None;
        state.views.open(View::Board(BoardView::of_rule(board, Window::Last { seconds: 3 * 3_600 })));
        return Ok(Vec::new());
    }
    let raised = found.body::<Raised>().ok_or("this is no alert")?;
    let alert = &raised.alert;
    let name = &alert.name;
    match command {
        Command::Graph => {
            let view = board(raised, state.now)?;
            state.overlay = None;
            state.views.open(View::Board(view));
            Ok(Vec::new())
        }
        Command::ToTenant => {
            let namespace = alerts::namespace_of(&alert.labels)
                .ok_or_else(|| format!("the labels of {name} name no namespace, so it is no tenant's"))?;
            let tenant = state.tenancy.of_namespace(namespace).cloned();
            let tenant = tenant.ok_or_else(|| format!("namespace {namespace} belongs to no tenant"))?;
            Ok(going::into_tenant(state, Some(tenant)))
        }
        Command::ToWorkload => {
            let lens = state.lens(store, &object.context);
            let to = concern::workload(&alert.labels, &lens)
                .or_else(|| alerts::subjects(&alert.labels, &lens).into_iter().next())
                .ok_or_else(|| format!("the labels of {name} name no workload, pod, node or volume"))?;
            Ok(going::open(state, to))
        }
        Command::ToApplication => {
            let to = concern::application(&alert.labels, &state.lens(store, &object.context)).ok_or_else(
                || format!("no Application manages what {name} is about, as far as its labels tell"),
            )?;
            Ok(going::open(state, to))
        }
        _ => {
            if explore::commands::subject(state, store).is_none() {
                return Err(format!(
                    "the labels of {name} name no namespace, pod or container to read logs of"
                ));
            }
            explore::commands::open_subject(state, store);
            Ok(Vec::new())
        }
    }
}

fn health(severity: Severity) -> Health {
    if severity == Severity::Critical { Health::Degraded } else { Health::Warning }
}

/// Returns the expression of an alert: that of its rule, else the one in the link to the Prometheus that sent it.
fn expression(raised: &Raised) -> Option<String> {
    if let Some(rule) = &raised.rule {
        return Some(rule.query.to_string());
    }
    // Prometheus writes `…/graph?g0.expr=EXPRESSION&g0.tab=1`.
    let (_, query) = raised.alert.generator.split_once('?')?;
    let encoded = query.split('&').find_map(|pair| pair.strip_prefix("g0.expr="))?;
    Some(decoded(encoded)).filter(|text| !text.trim().is_empty())
}

/// Undoes the encoding of a form; bytes that are no text are replaced.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    crate::text::clean(&String::from_utf8_lossy(&bytes)).into_owned()
}

/// Makes the board of an alert: what its rule measures around the time when it began.
pub fn board(raised: &Raised, now: Timestamp) -> Result<BoardView, String> {
    let alert = &raised.alert;
    if raised.rule.is_none()
        && let Some(alarm) = &raised.alarm
    {
        return of_alarm(raised, alarm, now);
    }
    let expr = expression(raised).ok_or_else(|| match alert.origins.as_slice() {
        [Origin::CloudWatch] => {
            format!("{} is an alarm of CloudWatch and has no expression to draw", alert.name)
        }
        _ => {
            format!("no Prometheus that answers has the rule of {}, so there is nothing to draw", alert.name)
        }
    })?;
    let board = Board::of_rule(&alert.name, &expr, health(alert.severity));
    let mut view = BoardView::of_rule(board, window(raised, now));
    let set = raised.rule.as_ref().map(|rule| &rule.labels);
    let own = alert
        .labels
        .iter()
        .filter(|(name, _)| *name != "alertname" && set.is_none_or(|set| set.get(name).is_none()));
    view.alert = Some(OfAlert {
        labels: own.map(|(name, value)| (name.into(), value.into())).collect(),
        marks: marks(raised),
    });
    Ok(view)
}

/// Makes the board of an alarm of CloudWatch: what it watches around the time when its state changed.
fn of_alarm(raised: &Raised, alarm: &Alarm, now: Timestamp) -> Result<BoardView, String> {
    let board = Board::of_alarm(alarm, health(raised.alert.severity)).ok_or_else(|| {
        format!("{} watches other alarms: open it to see which, and graph one of those", raised.alert.name)
    })?;
    let mut view = BoardView::of_rule(board, window(raised, now));
    view.alert = Some(OfAlert { labels: Labels::default(), marks: marks(raised) });
    Ok(view)
}

/// Returns the times of an alert: when its condition began to hold, and when it was told.
fn marks(raised: &Raised) -> Vec<Happened> {
    let alert = &raised.alert;
    let health = health(alert.severity);
    let mut marks = Vec::new();
    if let Some(at) = raised.active().filter(|at| Some(*at) != alert.since) {
        marks.push(Happened { at, health: Health::Progressing, text: format!("{} began", alert.name) });
    }
    if let Some(at) = alert.since {
        let word = if alert.state == crate::signals::AlertState::Pending { "began" } else { "fires" };
        marks.push(Happened { at, health, text: format!("{} {word}", alert.name) });
    }
    marks
}

/// Returns the window round the beginning of an alert; it goes on with the time where the beginning is near.
pub fn window(raised: &Raised, now: Timestamp) -> Window {
    let begun = raised.active().or(raised.alert.since).map(Timestamp::as_second);
    match begun {
        Some(at) if now.as_second() - at > AROUND => Window::Between { from: at - AROUND, to: at + AROUND },
        // Where clocks differ an alert may begin in a moment.
        Some(at) => {
            let since = (now.as_second() - at).max(0) + AROUND;
            Window::Last { seconds: u32::try_from(since).unwrap_or(3 * 3_600) }
        }
        None => Window::Last { seconds: 3 * 3_600 },
    }
}
