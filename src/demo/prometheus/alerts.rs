//! The state of alerting rules: inactive, pending, firing, and gone again.
//!
//! Rules are evaluated at multiples of their interval, all that have come due since the last time at once: a range query
//! a rule, replayed step by step, so that a world which jumps ahead goes through the states that it would have had.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::recorded::Recorded;
use super::rules;
use super::rules::{Group, Kind, Rule, RuleSet};
use super::status::EXTERNAL_LABELS;
use super::template::{self, Scope};
use crate::demo::promql::{Engine, Labels, Memory, NAME, STALE, Samples, Series};

/// How far back samples of alerts are kept, in milliseconds.
const KEPT_MS: i64 = 6 * 3_600_000;
/// How long an alert that has ended is still told to Alertmanager, in milliseconds.
const RESOLVED_MS: i64 = 15 * 60_000;
/// Evaluations that one call makes up for a rule; beyond that it takes larger steps.
const CATCH_UP: i64 = 64;
/// How much longer than its `for` a rule is followed back at the start, in milliseconds.
const BEFORE_MS: i64 = 10 * 60_000;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It has ended; Alertmanager is still told so.
    Inactive,
    /// Its series is there, not yet for long enough.
    Pending,
    /// It fires.
    Firing,
}

impl State {
    /// Returns the word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert of a rule. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its labels, `alertname` among them.
    pub labels: Labels,
    /// What is told about it.
    pub annotations: BTreeMap<String, String>,
    /// Where it stands.
    pub state: State,
    /// The value of its series at the latest evaluation.
    pub value: f64,
    /// Since when its series is there.
    pub active_ms: i64,
    /// When it began to fire.
    pub fired_ms: Option<i64>,
    /// When it ended.
    pub resolved_ms: Option<i64>,
    /// Since when it fires though its series is gone.
    pub kept_since_ms: Option<i64>,
}

/// How a rule does.
#[derive(Debug, Clone, Default)]
pub struct RuleState {
    /// Its alerts.
    pub active: BTreeMap<Labels, Alert>,
    /// Why the latest evaluation failed.
    pub error: Option<String>,
    /// The latest evaluation, Unix milliseconds.
    pub last_ms: Option<i64>,
    /// Series that stand in the memory as there.
    shown: BTreeSet<Labels>,
}

impl RuleState {
    /// Returns the highest state among its alerts.
    pub fn state(&self) -> State {
        self.active.values().map(|alert| alert.state).max().unwrap_or(State::Inactive)
    }

    /// Returns `ok`, `err` or `unknown`.
    pub fn health(&self) -> &'static str {
        match (&self.error, self.last_ms) {
            (Some(_), _) => "err",
            (None, Some(_)) => "ok",
            (None, None) => "unknown",
        }
    }
}

/// An alert as Alertmanager is told it. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Its labels, with those that the server adds to all.
    pub labels: Labels,
    /// What is told about it.
    pub annotations: BTreeMap<String, String>,
    /// When it began to fire.
    pub starts_ms: i64,
    /// When it ended; ahead, the time at which it counts as ended if nothing more is heard of it.
    pub ends_ms: i64,
    /// A link to its expression.
    pub generator_url: String,
}

/// Rules and what they have come to.
#[derive(Debug, Clone)]
pub struct Rules {
    set: Arc<RuleSet>,
    states: Vec<Vec<RuleState>>,
    evaluated: Vec<Option<i64>>,
    memory: Arc<Memory>,
    started_ms: i64,
    oldest_ms: i64,
}

impl Rules {
    /// Takes rules that have not been evaluated. `started_ms` is when the server started, `oldest_ms` how far the
    /// samples reach back.
    pub fn new(set: RuleSet, started_ms: i64, oldest_ms: i64) -> Self {
        Self {
            states: set.groups.iter().map(|group| vec![RuleState::default(); group.rules.len()]).collect(),
            evaluated: vec![None; set.groups.len()],
            set: Arc::new(set),
            memory: Arc::default(),
            started_ms,
            oldest_ms,
        }
    }

    /// Returns the rules themselves.
    pub fn set(&self) -> &RuleSet {
        &self.set
    }

    /// Returns every group with the states of its rules and the time of its latest evaluation.
    pub fn groups(&self) -> impl Iterator<Item = (&Group, &[RuleState], Option<i64>)> {
        let states = self.set.groups.iter().zip(&self.states).zip(&self.evaluated);
        states.map(|((group, states), evaluated)| (group, states.as_slice(), *evaluated))
    }

    /// Returns the series that alerts leave: `ALERTS` and `ALERTS_FOR_STATE`.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns when the server started, Unix milliseconds.
    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// Returns how far samples reach back, Unix milliseconds.
    pub fn oldest_ms(&self) -> i64 {
        self.oldest_ms
    }

    /// Tells whether any group has an evaluation to make up until a time.
    pub fn due(&self, until_ms: i64) -> bool {
        self.groups().any(|(group, _, last)| {
            last.is_none_or(|last| until_ms.div_euclid(group.interval_ms) * group.interval_ms > last)
        })
    }

    /// Evaluates everything that has come due until a time.
    pub fn advance(&mut self, samples: &dyn Samples, until_ms: i64) {
        let set = Arc::clone(&self.set);
        for (number, group) in set.groups.iter().enumerate() {
            let newest = until_ms.div_euclid(group.interval_ms) * group.interval_ms;
            let before = self.evaluated[number];
            if before.is_some_and(|last| last >= newest) {
                continue;
            }
            for (index, rule) in group.rules.iter().enumerate() {
                let first = before.map_or_else(
                    || self.oldest_ms.max(newest - reach(rule)),
                    |last| last + group.interval_ms,
                );
                // Larger steps where much is to be made up; the newest evaluation is always among them.
                let stride = ((newest - first) / group.interval_ms / CATCH_UP + 1) * group.interval_ms;
                let first = newest - (newest - first) / stride * stride;
                let mut state = std::mem::take(&mut self.states[number][index]);
                self.evaluate(samples, group, rule, &mut state, (first, newest, stride));
                self.states[number][index] = state;
            }
            self.evaluated[number] = Some(newest);
        }
        Arc::make_mut(&mut self.memory).forget(until_ms - KEPT_MS);
    }

    fn evaluate(
        &mut self,
        samples: &dyn Samples,
        group: &Group,
        rule: &Rule,
        state: &mut RuleState,
        (first, newest, stride): (i64, i64, i64),
    ) {
        state.last_ms = Some(newest);
        // What a recording rule makes is worked out when it is asked for.
        let Kind::Alerting { alert, hold_ms, keep_ms, annotations } = &rule.kind else { return };
        let engine = Engine { interval_ms: group.interval_ms, ..Engine::default() };
        let below = Recorded::new(samples, self, newest);
        let found = engine.range_of(&below, &rule.parsed, first, newest, stride);
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                state.error = Some(error.to_string());
                return;
            }
        };
        state.error = None;
        let mut points = Vec::new();
        let mut at = first;
        let mut cursors = vec![0_usize; found.len()];
        while at <= newest {
            let mut present = BTreeMap::new();
            for (series, cursor) in found.iter().zip(&mut cursors) {
                let Some(value) = value_at(series, cursor, at) else { continue };
                let scope = Scope { labels: &series.labels, value, samples: &below, at_ms: at };
                let mut labels = series.labels.nameless();
                for (name, text) in &rule.labels {
                    labels = labels.with(name.as_str(), template::expand_or_say(text, &scope));
                }
                let labels = labels.with("alertname", alert.as_str());
                if present.insert(labels, (series, value)).is_some() {
                    state.error = Some(
                        "vector contains metrics with the same labelset after applying alert labels".into(),
                    );
                    return;
                }
            }
            if group.limit > 0 && present.len() > group.limit {
                state.error =
                    Some(format!("exceeded limit of {} with {} alerts", group.limit, present.len()));
                return;
            }
            for (labels, (series, value)) in &present {
                let entry = state.active.entry(labels.clone()).or_insert_with(|| begun(labels, at));
                if entry.state == State::Inactive {
                    *entry = begun(labels, at);
                }
                entry.value = *value;
                if at == newest {
                    let scope = Scope { labels: &series.labels, value: *value, samples: &below, at_ms: at };
                    let told = annotations.iter();
                    entry.annotations = told
                        .map(|(name, text)| (name.clone(), template::expand_or_say(text, &scope)))
                        .collect();
                }
            }
            move_on(&mut state.active, &present.keys().collect(), at, *hold_ms, *keep_ms);
            leave(state, at, &mut points);
            at += stride;
        }
        let memory = Arc::make_mut(&mut self.memory);
        for (labels, at, value) in points {
            memory.push(labels, at, value);
        }
    }

    /// Returns what Alertmanager is to be told: alerts that fire, and those that have ended a short time ago.
    pub fn outgoing(&self, now_ms: i64) -> Vec<Outgoing> {
        let mut all = Vec::new();
        for (group, states, _) in self.groups() {
            for (rule, state) in group.rules.iter().zip(states) {
                for alert in state.active.values() {
                    let Some(starts_ms) = alert.fired_ms else { continue };
                    let external = EXTERNAL_LABELS.iter().copied();
                    let labels = external.fold(alert.labels.clone(), |labels, (name, value)| {
                        if labels.get(name).is_empty() { labels.with(name, value) } else { labels }
                    });
                    all.push(Outgoing {
                        labels,
                        annotations: alert.annotations.clone(),
                        starts_ms,
                        // As Prometheus: four intervals, or four times the minute between two reminders.
                        ends_ms: alert.resolved_ms.unwrap_or(now_ms + 4 * group.interval_ms.max(60_000)),
                        generator_url: generator_url(rule),
                    });
                }
            }
        }
        all
    }
}

/// How far back a rule is followed at the start.
fn reach(rule: &Rule) -> i64 {
    match &rule.kind {
        Kind::Recording { .. } => 0,
        Kind::Alerting { hold_ms, keep_ms, .. } => hold_ms + keep_ms + BEFORE_MS,
    }
}

fn value_at(series: &Series, cursor: &mut usize, at: i64) -> Option<f64> {
    while series.points.get(*cursor).is_some_and(|point| point.0 < at) {
        *cursor += 1;
    }
    series.points.get(*cursor).filter(|point| point.0 == at).map(|point| point.1)
}

fn begun(labels: &Labels, at: i64) -> Alert {
    Alert {
        labels: labels.clone(),
        annotations: BTreeMap::new(),
        state: State::Pending,
        value: 0.0,
        active_ms: at,
        fired_ms: None,
        resolved_ms: None,
        kept_since_ms: None,
    }
}

/// Takes every alert of a rule to its state at an evaluation.
fn move_on(
    active: &mut BTreeMap<Labels, Alert>,
    present: &BTreeSet<&Labels>,
    at: i64,
    hold_ms: i64,
    keep_ms: i64,
) {
    active.retain(|labels, alert| {
        if present.contains(labels) {
            alert.kept_since_ms = None;
        } else {
            let kept = alert.state == State::Firing
                && keep_ms > 0
                && at - *alert.kept_since_ms.get_or_insert(at) < keep_ms;
            if alert.state == State::Pending
                || alert.resolved_ms.is_some_and(|ended| at - ended > RESOLVED_MS)
            {
                return false;
            }
            if !kept {
                if alert.state != State::Inactive {
                    alert.state = State::Inactive;
                    alert.resolved_ms = Some(at);
                }
                return true;
            }
        }
        if alert.state == State::Pending && at - alert.active_ms >= hold_ms {
            alert.state = State::Firing;
            alert.fired_ms = Some(at);
        }
        true
    });
}

/// Notes the series of a rule's alerts, and the end of those that are no more.
fn leave(state: &mut RuleState, at: i64, points: &mut Vec<(Labels, i64, f64)>) {
    let mut shown = BTreeSet::new();
    for alert in state.active.values().filter(|alert| alert.state != State::Inactive) {
        let named = alert.labels.with(NAME, "ALERTS").with("alertstate", alert.state.as_str());
        points.push((named.clone(), at, 1.0));
        shown.insert(named);
        let since = alert.labels.with(NAME, "ALERTS_FOR_STATE");
        points.push((since.clone(), at, alert.active_ms as f64 / 1e3));
        shown.insert(since);
    }
    for gone in state.shown.difference(&shown) {
        points.push((gone.clone(), at, STALE));
    }
    state.shown = shown;
}

/// A link to the expression of a rule on the server's own page.
fn generator_url(rule: &Rule) -> String {
    let mut encoded = String::new();
    for byte in rule.query.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else if byte == b' ' {
            encoded.push('+');
        } else {
            // Writing into a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("{}/graph?g0.expr={encoded}&g0.tab=1", rules::EXTERNAL_URL)
}
