//! Log lines, in process: how fast the log screen takes them in while it is drawn, how long a search over a million
//! takes, and the memory that they hold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use opsdeck::app::action::Action;
use opsdeck::app::explore::{Explore, LinesNews};
use opsdeck::app::history::View;
use opsdeck::app::message::Message;
use opsdeck::app::state::State;
use opsdeck::app::update::update;
use opsdeck::config::Config;
use opsdeck::identity::Context;
use opsdeck::keymap::Keymap;
use opsdeck::kinds::Kinds;
use opsdeck::screens::{self, Scene};
use opsdeck::signals::{Labels, Window};
use opsdeck::sources::loki::{Entry, Page};
use opsdeck::store::Store;
use opsdeck::theme::{Depth, Shelf};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{RUNS, line, median, milliseconds, platform, verdict};

/// How many lines are held and searched.
const HELD: i64 = 1_000_000;

/// How many lines one frame of a tail holds (contracts 5.4).
const BATCH: i64 = 100;

/// How many lines come between two pictures: at the rate of the budget, those of a sixtieth of a second.
const DRAWN: i64 = 800;

/// How many lines a second are to be taken in at least.
const RATE: f64 = 50_000.0;

/// How long a key may wait for its picture, at the 99th percentile.
const FRAME: Duration = Duration::from_millis(16);

const SEARCH: Duration = Duration::from_millis(50);

const AREA: Rect = Rect::new(0, 0, 160, 48);

/// Prints lines a second, the time of a search, and the bytes of a million lines.
pub fn a_million_lines() {
    println!("\n{HELD} log lines held by the log screen");
    let now: Timestamp = "2026-11-20T14:00:00Z".parse().expect("a moment");
    let labels: Vec<Labels> = (0..20).map(stream).collect();
    // What lines have in common they share, as the decoder has it.
    let none = Labels::default();
    let entry = |at: i64| Entry {
        at: at * 1_000,
        labels: labels[usize::try_from(at % 20).unwrap_or(0)].clone(),
        metadata: none.clone(),
        parsed: none.clone(),
        text: format!("{{\"level\":\"info\",\"msg\":\"GET /cart/{at} 200\",\"duration_ms\":{}}}", at % 97)
            .into(),
        whole: None,
    };
    let mut config = Config::default();
    config.log_lines = usize::MAX;
    let keymap = Keymap::preset("k9s").expect("the preset");
    let mut state = State::new(now, Arc::new(config), keymap, Arc::new(Kinds::default()));
    let store = Store::default();
    let theme = Shelf::bundled().and_then(|shelf| shelf.theme("dark", Depth::True)).expect("the theme");
    let mut buffer = Buffer::empty(AREA);
    state.session.context = Some(Context::new("bench"));
    state.size = (AREA.width, AREA.height);
    let window = Window::Last { seconds: 3_600 };
    let explore = Explore::new(Context::new("bench"), "bench", "{namespace=\"tenant-1\"}", window);
    let of = explore.of.clone();
    state.views.open(View::Explore(Box::new(explore)));
    let hear = |state: &mut State, news: LinesNews| {
        update(state, &store, Action::Said(Message::Lines { of: of.clone(), news }));
    };
    hear(&mut state, LinesNews::Older(Page { done: true, ..Page::default() }));
    let before = platform::resident(std::process::id());
    let mut taken = Duration::ZERO;
    let mut frames = Vec::new();
    let mut between = Duration::ZERO;
    for from in (0..HELD).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        // They are decoded by the task that reads them, beside the screen.
        let entries: Vec<Entry> = (from..from + BATCH).map(entry).collect();
        let begun = Instant::now();
        hear(&mut state, LinesNews::Newer { entries, dropped: 0, garbled: 0 });
        if (from + BATCH) % DRAWN == 0 {
            state.settle(&store);
            buffer.reset();
            let scene = Scene { state: &state, store: &store, theme: &theme };
            state.spots = screens::draw(&mut buffer, AREA, &scene);
            // A key that came after the last picture has waited for all of this.
            frames.push(between + begun.elapsed());
            between = Duration::ZERO;
        } else {
            between += begun.elapsed();
        }
        taken += begun.elapsed();
    }
    let rate = HELD as f64 / taken.as_secs_f64();
    let kept = verdict(rate >= RATE);
    line("lines taken in a second, and drawn", &format!("{rate:.0}"), &format!("budget 50,000: {kept}"));
    frames.sort();
    let late = frames[frames.len() * 99 / 100];
    let kept = verdict(late <= FRAME);
    line("lines and frame, 99th percentile", &milliseconds(late), &format!("budget 16 ms: {kept}"));
    let held = platform::resident(std::process::id()).saturating_sub(before) / 1024 / 1024;
    let Some(View::Explore(explore)) = state.views.last_mut() else { return };
    let counted = explore.lines.bytes() / 1024 / 1024;
    line("memory that they hold", &format!("{held} MiB"), &format!("counted for the bound: {counted} MiB"));
    for (what, text) in [
        ("a word that is rare", "cart/999999"),
        ("a word that is nowhere", "Exception"),
        ("an expression", "/cart/9999\\d\\d /"),
    ] {
        let took = median(
            (0..RUNS)
                .map(|_| {
                    let begun = Instant::now();
                    text.clone_into(&mut explore.page.search.text);
                    explore.find();
                    begun.elapsed()
                })
                .collect(),
        );
        let what = format!("search for {what} ({} found)", explore.page.search.matches.len());
        line(&what, &milliseconds(took), &format!("budget 50 ms: {}", verdict(took <= SEARCH)));
    }
}

/// Makes the labels of a stream: twenty pods of one app.
fn stream(number: i64) -> Labels {
    let pod = format!("checkout-5d8f7c9b4-{number:05}");
    let pairs = [("namespace", "tenant-1"), ("app", "checkout"), ("pod", &pod)];
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}
