//! Five thousand alerts: listed, grouped and filtered, each from what is new to the frame that shows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use opsdeck::app::history::View;
use opsdeck::app::session::{Environment, Link};
use opsdeck::app::state::State;
use opsdeck::app::table::Table;
use opsdeck::config::Config;
use opsdeck::identity::{Context, Text};
use opsdeck::keymap::Keymap;
use opsdeck::kinds::{Kinds, Object, alerts};
use opsdeck::screens::{self, Scene};
use opsdeck::signals::{Alert, AlertState, Labels, Origin, Raised, Severity};
use opsdeck::store::{Envelope, Query, Store, Update};
use opsdeck::theme::{Depth, Shelf, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{line, median, milliseconds, verdict};

const ALERTS: i64 = 5_000;
const ROUNDS: usize = 20;
const BUDGET: Duration = Duration::from_millis(16);

/// Measures the list of alerts.
pub(super) fn five_thousand_alerts() {
    let now: Timestamp = "2026-11-20T14:00:00Z".parse().expect("a moment");
    let context = Context::new("bench");
    let query = Query::all(&context, &alerts::alerts());
    let mut desk = Desk::new(now, &context);
    let epoch = desk.store.subscribe(&query);
    let relist = |desk: &mut Desk, round: i64| {
        let objects: Vec<Arc<Object>> = (0..ALERTS).map(|number| alert(number, round, now)).collect();
        for update in [
            Update::ListStarted,
            Update::Page { objects, garbled: Vec::new(), remaining: None },
            Update::ListDone,
            Update::Alive,
        ] {
            let mail = Envelope { query: query.clone(), epoch, part: None, at: now, update };
            desk.store.apply(mail);
        }
    };
    relist(&mut desk, 0);
    desk.state.views.open(View::Table(Table::new(alerts::alerts())));
    desk.frame();
    // A whole list in the place of the one before, as every ten seconds: all alerts have changed.
    let mut listed = Vec::new();
    for round in 1..=ROUNDS {
        relist(&mut desk, round as i64);
        listed.push(desk.frame());
    }
    report("5,000 alerts, a new list to the frame", listed);
    let still: Vec<Duration> = (0..ROUNDS)
        .map(|round| {
            desk.table().step(round);
            desk.frame()
        })
        .collect();
    report("5,000 alerts, a frame after a key", still);
    let kinds = Arc::clone(&desk.state.kinds);
    let kind = kinds.get(&alerts::alerts()).expect("the kind");
    let by = ["alert", "tenant", "severity", "receivers"].map(|id| kind.column(id));
    let grouped = (0..ROUNDS)
        .map(|round| {
            desk.table().table().groups.set(by[round % by.len()]);
            desk.frame()
        })
        .collect();
    report("5,000 alerts, grouped anew to the frame", grouped);
    desk.table().table().groups.set(None);
    let filters = ["tenant-1", "alert=Alert7", "status=critical", "storefront since<1h", ""];
    let filtered = (0..ROUNDS)
        .map(|round| {
            let filter = filters[round % filters.len()];
            desk.table().table().filter.set(filter, &kind.columns).expect("a filter");
            desk.frame()
        })
        .collect();
    report("5,000 alerts, filtered anew to the frame", filtered);
}

fn report(what: &str, times: Vec<Duration>) {
    let time = median(times);
    line(what, &milliseconds(time), &format!("budget 16 ms: {}", verdict(time <= BUDGET)));
}

fn alert(number: i64, round: i64, now: Timestamp) -> Arc<Object> {
    let severity = [Severity::Critical, Severity::Warning, Severity::Info][number as usize % 3];
    let pairs = [
        ("alertname", format!("Alert{}", number % 80)),
        ("namespace", format!("tenant-{}", number % 40)),
        ("pod", format!("storefront-6d4cf56db6-{number:05x}")),
        ("severity", severity.word().to_owned()),
    ];
    let labels: Labels =
        pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(value.as_str()))).collect();
    let summary = (Text::from("summary"), Text::from(format!("pod {number} is not well, {round}")));
    let alert = Alert {
        fingerprint: format!("{number:016x}").into(),
        name: pairs[0].1.as_str().into(),
        labels,
        annotations: [summary].into_iter().collect(),
        severity,
        state: AlertState::Firing,
        since: Some(now - SignedDuration::from_secs(number * 7)),
        updated: Some(now - SignedDuration::from_secs(round)),
        value: None,
        receivers: vec![Text::from(["pagerduty", "teams", "slack"][number as usize % 3])],
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        generator: Text::from(""),
        origins: vec![Origin::Alertmanager],
        places: vec![Text::from("monitoring/alertmanager")],
    };
    Arc::new(alerts::alert_object(Raised { alert, rule: None, alarm: None }))
}

/// A console without tasks.
struct Desk {
    state: State,
    store: Store,
    theme: Theme,
    buffer: Buffer,
}

/// The table of a desk.
struct Rows<'a> {
    state: &'a mut State,
    store: &'a Store,
}

impl Rows<'_> {
    fn table(&mut self) -> &mut Table {
        match self.state.views.last_mut() {
            Some(View::Table(table)) => table,
            _ => panic!("the table is shown"),
        }
    }

    fn step(&mut self, round: usize) {
        let store = self.store;
        let Some(View::Table(table)) = self.state.views.last_mut() else { return };
        table.step(store, if round.is_multiple_of(2) { 40 } else { -20 });
    }
}

impl Desk {
    fn new(now: Timestamp, context: &Context) -> Self {
        let keymap = Keymap::preset("k9s").expect("the preset");
        let mut state = State::new(now, Arc::new(Config::default()), keymap, Arc::new(Kinds::default()));
        state.session.context = Some(context.clone());
        state.session.environment = Environment::Dev;
        state.session.link = Link::Live { version: "v1.33.1".to_owned(), user: "bench".to_owned() };
        state.size = (200, 60);
        let theme = Shelf::bundled().and_then(|shelf| shelf.theme("dark", Depth::True)).expect("the theme");
        Self { state, store: Store::default(), theme, buffer: Buffer::empty(Rect::new(0, 0, 200, 60)) }
    }

    fn table(&mut self) -> Rows<'_> {
        Rows { state: &mut self.state, store: &self.store }
    }

    /// Draws a frame and returns how long that took.
    fn frame(&mut self) -> Duration {
        let begun = Instant::now();
        self.state.settle(&self.store);
        self.buffer.reset();
        let scene = Scene { state: &self.state, store: &self.store, theme: &self.theme };
        let area = self.buffer.area;
        let spots = screens::draw(&mut self.buffer, area, &scene);
        let time = begun.elapsed();
        self.state.spots = spots;
        time
    }
}
