//! Log lines, in process: how fast the log screen takes them in, how long a search over a million takes, and the
//! memory they hold.

use std::time::{Duration, Instant};

use opsdeck::app::explore::{Explore, LinesNews};
use opsdeck::identity::Context;
use opsdeck::signals::{Labels, Window};
use opsdeck::sources::loki::{Entry, Page};

use super::{RUNS, line, median, milliseconds, verdict};

/// How many lines are held and searched.
const HELD: i64 = 1_000_000;

/// How many lines come at once: what the server gives to one question at most.
const BATCH: i64 = 5_000;

/// How many lines a second are to be taken in at least.
const RATE: f64 = 50_000.0;

const SEARCH: Duration = Duration::from_millis(50);

/// Prints lines a second, the time of a search, and the bytes of a million lines.
pub fn a_million_lines() {
    println!("\n{HELD} log lines held by the log screen");
    let pairs = [("namespace", "tenant-1"), ("app", "checkout"), ("pod", "checkout-5d8f7c9b4-2xk4l")];
    let labels: Labels = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let entry = |at: i64| Entry {
        at,
        labels: labels.clone(),
        metadata: Labels::default(),
        parsed: Labels::default(),
        text: format!("{{\"level\":\"info\",\"msg\":\"GET /cart/{at} 200\",\"duration_ms\":{}}}", at % 97)
            .into(),
        whole: None,
    };
    let window = Window::Last { seconds: 3_600 };
    let mut explore = Explore::new(Context::new("bench"), "bench", "{namespace=\"tenant-1\"}", window);
    explore.hear(LinesNews::Older(Page { done: true, ..Page::default() }), usize::MAX);
    let batches: Vec<Vec<Entry>> =
        (0..HELD / BATCH).map(|batch| (batch * BATCH..(batch + 1) * BATCH).map(entry).collect()).collect();
    let begun = Instant::now();
    for entries in batches {
        explore.hear(LinesNews::Newer { entries, dropped: 0, garbled: 0 }, usize::MAX);
    }
    let rate = HELD as f64 / begun.elapsed().as_secs_f64();
    line(
        "lines taken in a second",
        &format!("{rate:.0}"),
        &format!("budget 50,000: {}", verdict(rate >= RATE)),
    );
    line("memory that they hold", &format!("{} MiB", explore.lines.bytes() / 1024 / 1024), "");
    for (what, text) in [("a word that is rare", "cart/999999"), ("an expression", "/cart/9999\\d\\d /")] {
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
