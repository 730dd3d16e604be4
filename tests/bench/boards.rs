//! A board of twelve graphs, from the answers to the frame.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use opsdeck::app::board::{About, BoardView};
use opsdeck::app::history::View;
use opsdeck::app::session::{Environment, Link};
use opsdeck::app::state::State;
use opsdeck::boards::Board;
use opsdeck::config::Config;
use opsdeck::identity::{Context, Text};
use opsdeck::keymap::Keymap;
use opsdeck::kinds::Kinds;
use opsdeck::screens::{self, Scene};
use opsdeck::signals::{Answer, Ask, Labels, Report, Sample, Series, Told, Wanted, Window};
use opsdeck::store::Store;
use opsdeck::theme::{Depth, Shelf};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{line, median, milliseconds, verdict};

const GRAPHS: usize = 12;
const SERIES: usize = 10;
const HOURS: u32 = 12;

/// Minutes apart: more than any width of a terminal asks for.
const POINTS: i64 = 720;

/// Measures from twelve answers to the frame that shows them.
pub(super) fn twelve_graphs() {
    let now: Timestamp = "2026-11-20T14:00:00Z".parse().expect("a moment");
    let keymap = Keymap::preset("k9s").expect("the preset");
    let mut state = State::new(now, Arc::new(Config::default()), keymap, Arc::new(Kinds::default()));
    state.session.context = Some(Context::new("bench"));
    state.session.environment = Environment::Dev;
    state.session.link = Link::Live { version: "v1.33.1".to_owned(), user: "bench".to_owned() };
    state.size = (200, 60);
    let mut text = "title = \"Bench\"\n".to_owned();
    for graph in 0..GRAPHS {
        let _ = write!(
            text,
            "[[panels]]\ntitle = \"{graph}\"\nunit = \"seconds\"\nthresholds = [{{ at = 0.5 }}]\n\
             [[panels.queries]]\nlegend = \"{{{{pod}}}}\"\nexpr = 'vector({graph})'\n"
        );
    }
    let board = Board::read("bench", "bench.toml", &text).expect("a board");
    let mut view = BoardView::new(Arc::new(board), About::Scope);
    view.window = Window::Last { seconds: HOURS * 3_600 };
    state.views.open(View::Board(view));
    let theme = Shelf::bundled().and_then(|shelf| shelf.theme("dark", Depth::True)).expect("the theme");
    let area = Rect::new(0, 0, 200, 60);
    let mut buffer = Buffer::empty(area);
    let mut store = Store::default();
    // The first frame says how many rows of panels fit.
    for _ in 0..2 {
        state.settle(&store);
        state.spots =
            screens::draw(&mut buffer, area, &Scene { state: &state, store: &store, theme: &theme });
    }
    let asks: Vec<Ask> = match state.view() {
        Some(View::Board(view)) => view.asks.clone(),
        _ => Vec::new(),
    };
    let asks: Vec<Ask> = asks.into_iter().filter(|ask| matches!(ask.wanted, Wanted::Range { .. })).collect();
    let times: Vec<Duration> = (0..20)
        .map(|round| {
            let reports: Vec<Report> = asks
                .iter()
                .enumerate()
                .map(|(graph, ask)| report(ask, store.ask(ask), now, graph + round))
                .collect();
            let begun = Instant::now();
            for report in reports {
                store.report(report);
            }
            state.settle(&store);
            buffer.reset();
            screens::draw(&mut buffer, area, &Scene { state: &state, store: &store, theme: &theme });
            begun.elapsed()
        })
        .collect();
    let time = median(times);
    line(
        &format!("{} graphs, {SERIES} series of {HOURS} h each, answer to frame", asks.len()),
        &milliseconds(time),
        &format!("budget 16 ms: {}", verdict(time <= Duration::from_millis(16))),
    );
}

fn report(ask: &Ask, epoch: u64, at: Timestamp, seed: usize) -> Report {
    let series = (0..SERIES)
        .map(|number| {
            let name = Text::from(format!("storefront-{number}"));
            let labels: Labels = [(Text::from("pod"), name)].into_iter().collect();
            let samples = (0..=POINTS)
                .map(|minute| Sample {
                    at: (at.as_second() - (POINTS - minute) * 60) * 1_000,
                    value: ((minute as f64) / 40.0 + (seed + number) as f64).sin().abs(),
                })
                .collect();
            Series { labels, samples, histogram: false }
        })
        .collect();
    let result = Ok(Told::plain(Answer::Series(series)));
    Report { ask: ask.clone(), epoch, at, result, next: None }
}
