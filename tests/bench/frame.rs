//! A frame over 100,000 pods, in process: what the store, the rows and the screen cost without a terminal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use opsdeck::app::action::Action;
use opsdeck::app::command::Command;
use opsdeck::app::history::View;
use opsdeck::app::session::{Environment, Link};
use opsdeck::app::state::State;
use opsdeck::app::table::Table;
use opsdeck::app::update::update;
use opsdeck::config::Config;
use opsdeck::identity::{Context, Resource};
use opsdeck::keymap::Keymap;
use opsdeck::kinds::{Kind, Kinds, Object, Pool};
use opsdeck::screens::{self, Scene};
use opsdeck::store::{Change, Envelope, Query, Store, Update};
use opsdeck::theme::{Depth, Shelf, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::json;

use super::{RUNS, line, median, milliseconds, verdict};

const ROWS: usize = 100_000;
const BUDGET: Duration = Duration::from_millis(4);

/// Prints the cost of the first arrangement, of a frame, and of a frame after one pod changed.
pub fn hundred_thousand_rows() {
    let mut bench = Bench::new();
    println!("a table of {ROWS} pods, sorted by restarts and filtered");
    let begun = Instant::now();
    bench.frame();
    line("first frame: every row is placed", &milliseconds(begun.elapsed()), "");
    let still = median((0..RUNS * 10).map(|_| bench.timed()).collect());
    line(
        "frame, nothing changed",
        &milliseconds(still),
        &format!("budget 4 ms: {}", verdict(still <= BUDGET)),
    );
    let moved = median(
        (0..RUNS * 10)
            .map(|round| {
                bench.change(round * 997 % ROWS, round);
                bench.timed()
            })
            .collect(),
    );
    line(
        "frame, one pod changed",
        &milliseconds(moved),
        &format!("budget 4 ms: {}", verdict(moved <= BUDGET)),
    );
}

struct Bench {
    state: State,
    store: Store,
    theme: Theme,
    query: Query,
    epoch: u64,
    pool: Pool,
    buffer: Buffer,
}

impl Bench {
    fn new() -> Self {
        let now: Timestamp = "2026-11-20T14:00:00Z".parse().expect("a moment");
        let keymap = Keymap::preset("k9s").expect("the preset");
        let mut state = State::new(now, Arc::new(Config::default()), keymap, Arc::new(Kinds::default()));
        let context = Context::new("bench");
        state.session.context = Some(context.clone());
        state.session.environment = Environment::Dev;
        state.session.link = Link::Live { version: "v1.33.1".to_owned(), user: "bench".to_owned() };
        state.size = (160, 48);
        let resource = Resource::new("", "pods");
        let query = Query::all(&context, &resource);
        let mut store = Store::default();
        let epoch = store.subscribe(&query);
        let mut pool = Pool::default();
        let kinds = state.kinds.clone();
        let kind = kinds.get(&resource).expect("pods");
        let objects = (0..ROWS).map(|index| pod(kind, &mut pool, index, 0)).collect();
        state.views.open(View::Table(Table::new(resource)));
        let theme = Shelf::bundled().and_then(|shelf| shelf.theme("dark", Depth::True)).expect("the theme");
        let buffer = Buffer::empty(Rect::new(0, 0, 160, 48));
        let mut bench = Self { state, store: Store::default(), theme, query, epoch, pool, buffer };
        std::mem::swap(&mut bench.store, &mut store);
        bench.send(Update::ListStarted);
        bench.send(Update::Page { objects, garbled: Vec::new(), remaining: None });
        bench.send(Update::ListDone);
        bench.keys();
        bench
    }

    /// Sorts by restarts and types a filter, as a person would.
    fn keys(&mut self) {
        let mut actions = vec![Action::Run(Command::Filter)];
        actions.extend("restarts>=1 !tenant-7".chars().map(Action::Type));
        actions.push(Action::Run(Command::Submit));
        for action in actions {
            update(&mut self.state, &self.store, action);
        }
        if let Some(View::Table(table)) = self.state.views.last_mut() {
            let restarts =
                self.state.kinds.get(&self.query.resource).and_then(|kind| kind.column("restarts"));
            table.sort = restarts.map(|column| opsdeck::app::table::Sort { column, descending: true });
        }
    }

    fn send(&mut self, update: Update) {
        let at = self.state.now;
        self.store.apply(Envelope { query: self.query.clone(), epoch: self.epoch, part: None, at, update });
    }

    fn change(&mut self, index: usize, round: usize) {
        let kinds = self.state.kinds.clone();
        let kind = kinds.get(&self.query.resource).expect("pods");
        let object = pod(kind, &mut self.pool, index, round + 1);
        self.send(Update::Changed { changes: vec![Change::Put(object)], garbled: Vec::new() });
    }

    fn timed(&mut self) -> Duration {
        let begun = Instant::now();
        self.frame();
        begun.elapsed()
    }

    fn frame(&mut self) {
        self.state.settle(&self.store);
        self.buffer.reset();
        let area = self.buffer.area;
        let scene = Scene { state: &self.state, store: &self.store, theme: &self.theme };
        screens::draw(&mut self.buffer, area, &scene);
    }
}

fn pod(kind: &Kind, pool: &mut Pool, index: usize, version: usize) -> Arc<Object> {
    let (tenant, restarts) = (index % 100, (index * 7 + version) % 9);
    let wire = json!({
        "metadata": {
            "name": format!("web-{index:06}"),
            "namespace": format!("tenant-{tenant}"),
            "uid": format!("00000000-0000-4000-8000-{index:012}"),
            "resourceVersion": version.to_string(),
            "creationTimestamp": "2026-11-19T10:00:00Z",
            "labels": { "app": "web", "pod-template-hash": format!("{:08x}", index / 10) },
        },
        "spec": {
            "nodeName": format!("node-{}", index % 500),
            "containers": [{ "name": "web", "image": "web:1",
                "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } } }],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [{ "name": "web", "ready": true, "restartCount": restarts,
                "state": { "running": { "startedAt": "2026-11-19T10:00:10Z" } } }],
        },
    });
    Arc::new(kind.decode(wire.to_string().as_bytes(), pool).expect("a pod"))
}
