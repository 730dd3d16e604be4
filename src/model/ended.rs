//! Alerts that are over: what was seen firing, and fires no more.
//!
//! Alertmanager forgets an alert when it is resolved, so that it is over is seen by its absence. An alert is missed
//! only in a list that is whole: what an Alertmanager that does not answer would have said is not over.
//!
//! What ended within the hour before the console looked is recalled once from what Prometheus keeps of its own alerts.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::watch::{News, Watch};
use crate::identity::{Context, Text};
use crate::kinds::{Object, alerts};
use crate::signals::{
    Alert, AlertState, Answer, Ask, Labels, Origin, Raised, Series, Severity, Wanted, Window,
};
use crate::store::{Query, Shelf, Store};

/// How far back alerts are recalled, in seconds: as far as the timeline reaches.
const RECALLED: u32 = 3_600;
/// Seconds between two values of what is recalled; an alert that is missing in two of them was over.
const STEP: u32 = 60;

/// Returns the question for the alerts that fired within the last hour, which every Prometheus with rules answers.
pub fn ask(context: &Context) -> Ask {
    let query = Text::from("ALERTS{alertstate=\"firing\"}");
    let wanted = Wanted::Range { query, window: Window::Last { seconds: RECALLED }, step: STEP };
    Ask { context: context.clone(), wanted }
}

/// How many are remembered, the latest.
const MOST: usize = 500;

/// An alert that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Over {
    /// When it was seen to be over.
    pub at: Timestamp,
    /// The alert as it was last heard of.
    pub alert: Alert,
    /// Its name in the list.
    pub id: Text,
    /// The namespace of what it is about.
    pub namespace: Option<Text>,
}

impl Over {
    /// Returns the seconds for which it fired, where it is known since when.
    pub fn lasted(&self) -> Option<i64> {
        // An alert that begins after it is over comes of clocks that differ.
        self.alert.since.map(|since| (self.at.as_second() - since.as_second()).max(0))
    }

    /// Says that it is over: `HighErrorRate resolved after 12 min`.
    pub fn headline(&self) -> String {
        match self.lasted() {
            Some(seconds) => format!("{} resolved after {}", self.alert.name, lasting(seconds)),
            None => format!("{} resolved", self.alert.name),
        }
    }
}

/// Writes how long something lasted, as one would say it.
fn lasting(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// The alerts of one context that are over.
#[derive(Debug, Default)]
pub struct Ended {
    context: Option<Context>,
    watch: Watch,
    /// What fires, by seat.
    firing: HashMap<u32, Arc<Object>>,
    /// What was missed in a list that may not be whole.
    doubtful: Vec<Arc<Object>>,
    over: VecDeque<Over>,
    /// Whether it was recalled what ended before.
    recalled: bool,
    revision: u64,
}

/// Returns the times in which a series has values without a gap, as first and last second.
fn runs(series: &Series) -> Vec<(i64, i64)> {
    let gap = i64::from(STEP) * 2;
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for at in series.samples.iter().map(|sample| sample.at.div_euclid(1_000)) {
        match runs.last_mut() {
            Some((_, last)) if at - *last < gap => *last = at,
            _ => runs.push((at, at)),
        }
    }
    runs
}

/// Puts together again what an alert was, of the labels that Prometheus keeps of it.
fn recalled(labels: &Labels, since: Option<Timestamp>, at: Timestamp) -> Over {
    let labels = labels.without(&["__name__", "alertstate"]);
    let namespace = alerts::namespace_of(&labels).map(Text::from);
    let alert = Alert {
        fingerprint: Text::from(""),
        name: Text::from(labels.get("alertname").unwrap_or_default()),
        annotations: Labels::default(),
        severity: Severity::read(labels.get("severity")),
        state: AlertState::Resolved,
        since,
        updated: None,
        value: None,
        receivers: Vec::new(),
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        generator: Text::from(""),
        origins: vec![Origin::Prometheus],
        places: Vec::new(),
        labels,
    };
    Over { at, id: Text::from(alert.labels.to_string()), namespace, alert }
}

fn raised(object: &Object) -> Option<&Alert> {
    object.body::<Raised>().map(|raised| &raised.alert)
}

/// Tells whether an alert is on: it fires, whether or not somebody is told.
fn is_on(object: &Object) -> bool {
    raised(object).is_some_and(|alert| matches!(alert.state, AlertState::Firing | AlertState::Suppressed))
}

/// Tells whether two objects are one alert: a rule's own has other labels and another name in the list than the same
/// alert has once an Alertmanager knows it.
fn is_same(one: &Object, other: &Object) -> bool {
    let (Some(a), Some(b)) = (raised(one), raised(other)) else { return false };
    let holds = |all: &Alert, some: &Alert| {
        some.labels.iter().all(|(name, value)| all.labels.get(name) == Some(value))
    };
    a.name == b.name && (one.meta.name == other.meta.name || holds(a, b) || holds(b, a))
}

impl Ended {
    /// Returns what is over, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Over> {
        self.over.iter()
    }

    /// Counts the changes.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Looks at what fires now.
    pub fn refresh(&mut self, store: &Store, context: &Context, now: Timestamp) {
        if self.context.as_ref() != Some(context) {
            *self = Self { context: Some(context.clone()), revision: self.revision + 1, ..Self::default() };
        }
        self.recall(store, context);
        let shelf = store.shelf(&Query::all(context, &alerts::alerts()));
        let gone = self.read(shelf);
        self.doubtful.extend(gone);
        let Some(shelf) =
            shelf.filter(|shelf| shelf.feed().hidden.is_empty() && shelf.feed().error().is_none())
        else {
            return;
        };
        for object in std::mem::take(&mut self.doubtful) {
            // An alert may come back under another name; then it is not over.
            if shelf
                .in_namespace(object.meta.namespace.as_deref())
                .any(|one| is_on(one) && is_same(one, &object))
            {
                continue;
            }
            let Some(alert) = raised(&object) else { continue };
            self.over.push_back(Over {
                at: now,
                alert: alert.clone(),
                id: object.meta.name.clone(),
                namespace: object.meta.namespace.clone(),
            });
            self.revision += 1;
        }
        let surplus = self.over.len().saturating_sub(MOST);
        self.over.drain(..surplus);
    }

    /// Recalls once what ended before the console looked.
    fn recall(&mut self, store: &Store, context: &Context) {
        if self.recalled {
            return;
        }
        let Some(reading) = store.reading(&ask(context)) else { return };
        let (Some(told), Some(looked)) = (&reading.told, reading.at) else { return };
        let Answer::Series(all) = &told.answer else { return };
        self.recalled = true;
        let (now, step) = (looked.as_second(), i64::from(STEP));
        let mut found = Vec::new();
        for series in all.iter().filter(|series| series.labels.get("alertname").is_some()) {
            for (from, to) in runs(series) {
                // One that is there to the end fires still.
                if to > now - 2 * step {
                    continue;
                }
                // What fires from the beginning of the window began before, nobody knows when.
                let known = from > now - i64::from(RECALLED) + step;
                let since = Timestamp::from_second(from).ok().filter(|_| known);
                let Ok(at) = Timestamp::from_second(to) else { continue };
                found.push(recalled(&series.labels, since, at));
            }
        }
        // Beside what this session saw end itself.
        let seen = |one: &Over| {
            self.over.iter().any(|over| {
                over.alert.name == one.alert.name
                    && (over.at.as_second() - one.at.as_second()).abs() < 3 * step
            })
        };
        found.retain(|one| !seen(one));
        if found.is_empty() {
            return;
        }
        self.over.extend(found);
        self.over.make_contiguous().sort_by_key(|over| over.at);
        self.revision += 1;
    }

    /// Reads what changed and returns what has fired and does so no more.
    fn read(&mut self, shelf: Option<&Shelf>) -> Vec<Arc<Object>> {
        let at = |seat: u32| shelf.and_then(|shelf| shelf.at(seat)).filter(|object| is_on(object)).cloned();
        match self.watch.news(shelf) {
            News::None => Vec::new(),
            News::Seats(seats) => {
                let mut gone = Vec::new();
                for seat in seats {
                    let new = at(seat);
                    let before = match &new {
                        Some(object) => self.firing.insert(seat, Arc::clone(object)),
                        None => self.firing.remove(&seat),
                    };
                    gone.extend(before.filter(|old| new.as_ref().is_none_or(|new| !is_same(old, new))));
                }
                gone
            }
            News::Everything => {
                let seats = shelf.map_or(0, |shelf| u32::try_from(shelf.seats()).unwrap_or(u32::MAX));
                let now: HashMap<u32, Arc<Object>> =
                    (0..seats).filter_map(|seat| Some((seat, at(seat)?))).collect();
                let before = std::mem::replace(&mut self.firing, now);
                let there: std::collections::HashSet<&Text> =
                    self.firing.values().map(|object| &object.meta.name).collect();
                before.into_values().filter(|old| !there.contains(&old.meta.name)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_before_the_console_looked_is_recalled_once_and_what_fires_still_is_not() {
        let context = Context::new("test");
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let second = now.as_second();
        let series = |name: &str, runs: &[(i64, i64)]| {
            let pairs = [
                ("__name__", "ALERTS"),
                ("alertname", name),
                ("alertstate", "firing"),
                ("namespace", "shop"),
                ("severity", "critical"),
            ];
            let at = runs.iter().flat_map(|(from, to)| (*from..=*to).step_by(60));
            Series {
                labels: pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))).collect(),
                samples: at
                    .map(|ago| crate::signals::Sample { at: (second + ago) * 1_000, value: 1.0 })
                    .collect(),
                histogram: false,
            }
        };
        let all = vec![
            series("Ended", &[(-1_800, -1_200)]),
            series("FiresStill", &[(-600, 0)]),
            series("Twice", &[(-3_600, -3_000), (-900, -600)]),
        ];
        let mut store = Store::default();
        let ask = ask(&context);
        let epoch = store.ask(&ask);
        let result = Ok(crate::signals::Told::plain(Answer::Series(all)));
        store.report(crate::signals::Report { ask, epoch, at: now, result, next: None });
        let mut ended = Ended::default();
        ended.refresh(&store, &context, now);
        ended.refresh(&store, &context, now);
        let said: Vec<String> = ended
            .iter()
            .map(|over| format!("{} at {}", over.headline(), over.at.as_second() - second))
            .collect();
        assert_eq!(
            said,
            [
                "Twice resolved at -3000",
                "Ended resolved after 10 min at -1200",
                "Twice resolved after 5 min at -600"
            ]
        );
        let first = ended.iter().next().unwrap();
        assert_eq!((first.namespace.as_deref(), first.alert.labels.get("alertstate")), (Some("shop"), None));
    }

    #[test]
    fn how_long_it_lasted_is_said_as_one_says_it() {
        for (seconds, said) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (725, "12 min"), (3_700, "1 h 1 min")]
        {
            assert_eq!(lasting(seconds), said);
        }
        assert_eq!(lasting(90_000), "1 d 1 h");
    }
}
