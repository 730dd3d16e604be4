//! The log screen as it looks: over pod logs and over Loki, and what it says of what it cannot show.

use jiff::SignedDuration;
use opsdeck::app::detail::Search;
use opsdeck::app::explore::volume::Volume;
use opsdeck::app::explore::{Explore, LinesNews};
use opsdeck::app::history::View;
use opsdeck::identity::Text;
use opsdeck::signals::{Labels, Sample, Series, Window};
use opsdeck::sources::SourceError;
use opsdeck::sources::logs::Line as LogLine;
use opsdeck::sources::loki::{Entry, Page, Stats};

use crate::screens::unreachable;
use crate::stage::{self, Stage, now, object};

/// Every state of the log screen, by name.
pub fn all() -> Vec<(&'static str, Stage)> {
    vec![
        ("logs", logs()),
        ("lines", lines_of_loki()),
        ("lines-opened", lines_opened()),
        ("lines-wrong", lines_wrong()),
        ("lines-throttled", lines_throttled()),
        ("lines-none", lines_none()),
        ("lines-too-large", lines_too_large()),
    ]
}

fn logs() -> Stage {
    let mut stage = Stage::new();
    let object = object("apps", "deployments", "tenant-2", "checkout");
    let mut logs = Explore::of_pods(stage::context(), object, false);
    let line = |index: i64| LogLine {
        pod: Text::from(if index % 3 == 0 { "checkout-5d8f7c9b4-2xk4l" } else { "checkout-5d8f7c9b4-9mzqv" }),
        container: Text::from(if index % 5 == 0 { "istio-proxy" } else { "app" }),
        at: Some(now() - SignedDuration::from_secs(120 - index)),
        text: if index % 7 == 0 {
            format!("ERROR cannot reach payments.tenant-2.svc:8443: connection refused (attempt {index}), will try again").into()
        } else {
            format!("GET /cart/{index} 200 12ms").into()
        },
        whole: None,
    };
    logs.take_logged((0..90).map(line).collect(), 1_204, 1_000);
    logs.take_log_failure(Text::from("checkout-7f9c6b5d8-hw7tn/app"), unreachable(), 1_000);
    logs.page.search = Search { text: "error".to_owned(), editing: None, matches: vec![0, 7, 14, 84], at: 3 };
    stage.state.views.open(View::Explore(Box::new(logs)));
    stage
}

/// The log screen over Loki, with a volume by level; the last hundred seconds are a burst of errors.
fn lines() -> (Stage, Explore) {
    let stage = Stage::new();
    let query = "{namespace=~\"tenant-2|tenant-2-staging\"} |= \"checkout\"";
    let mut lines =
        Explore::new(stage::context(), "logs tenant tenant-2", query, Window::Last { seconds: 900 });
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))).collect()
    };
    let end = now().as_second();
    let entry = |index: i64| {
        let pods =
            ["checkout-5d8f7c9b4-2xk4l", "checkout-5d8f7c9b4-9mzqv", "payments-api-gateway-6c5b7d9f8-x2v4n"];
        let (level, text) = match index % 7 {
            0 => (
                "error",
                format!(
                    r#"{{"ts":1,"level":"error","msg":"cannot reach payments: connection refused","attempt":{index}}}"#
                ),
            ),
            3 => ("warn", format!("level=warn msg=\"slow query took {index} ms\" path=/cart")),
            _ => ("info", format!("GET /cart/{index} 200 12ms")),
        };
        Entry {
            at: (end - 60 + index) * 1_000_000_000 + 17_000_000,
            labels: labels(&[
                ("namespace", "tenant-2"),
                ("pod", pods[index as usize % 3]),
                ("container", "app"),
            ]),
            metadata: labels(&[("detected_level", level)]),
            parsed: Labels::default(),
            text: text.into(),
            whole: None,
        }
    };
    let stats = Stats { bytes: 4_613_734, ..Stats::default() };
    lines.hear(LinesNews::Size(stats), 50_000);
    lines.hear(LinesNews::Older(Page { entries: (0..60).map(entry).collect(), ..Page::default() }), 50_000);
    let sample = |at: i64, value: f64| Sample { at: at * 1_000, value };
    let series = |level: &str, of: &dyn Fn(i64) -> f64| Series {
        labels: labels(&[("detected_level", level)]),
        samples: (0..=90).map(|n| sample(end - 900 + n * 10, of(n))).filter(|one| one.value > 0.0).collect(),
        histogram: false,
    };
    let series = vec![
        series("info", &|n| 20.0 + (n % 7) as f64),
        series("warn", &|n| if n % 9 == 0 { 4.0 } else { 0.0 }),
        series("error", &|n| if n > 80 { 30.0 } else { 0.0 }),
    ];
    lines
        .hear(LinesNews::Levels(Volume { from: end - 900, to: end, step: 10, series, counts: true }), 50_000);
    lines.hear(LinesNews::Live, 50_000);
    (stage, lines)
}

fn over(mut stage: Stage, lines: Explore) -> Stage {
    stage.state.views.open(View::Explore(Box::new(lines)));
    stage
}

fn lines_of_loki() -> Stage {
    let (stage, mut lines) = lines();
    lines.dropped = 12;
    over(stage, lines)
}

/// One line opened, with what it was folded from.
fn lines_opened() -> Stage {
    let (stage, mut lines) = lines();
    (lines.follow, lines.opened, lines.page.view.cursor) = (false, true, 56);
    over(stage, lines)
}

/// The server says where the query is wrong; the last lines stay.
fn lines_wrong() -> Stage {
    let (stage, mut lines) = lines();
    let before = lines.of.clone();
    lines.of.query = Text::from("{namespace=\"tenant-2\"} | jsn | status >= 500");
    lines.restart(&before);
    let refused = SourceError::Invalid {
        what: "Loki at service monitoring/loki-gateway:80 through the API server".to_owned(),
        reason: "parse error at line 1, col 26: syntax error: unexpected IDENTIFIER".to_owned(),
    };
    lines.hear(LinesNews::Failed(refused), 50_000);
    over(stage, lines)
}

/// The server has too much to do.
fn lines_throttled() -> Stage {
    let (stage, mut lines) = lines();
    let busy = SourceError::Throttled {
        what: "Loki at service monitoring/loki-gateway:80 through the API server".to_owned(),
        until: None,
        reason: "too many outstanding requests".to_owned(),
    };
    lines.hear(LinesNews::NoLevels(busy.clone()), 50_000);
    lines.hear(LinesNews::Failed(busy), 50_000);
    over(stage, lines)
}

fn lines_none() -> Stage {
    let (stage, mut lines) = lines();
    lines.hear(LinesNews::Size(Stats::default()), 50_000);
    lines.hear(LinesNews::Older(Page { done: true, ..Page::default() }), 50_000);
    lines.volume = None;
    over(stage, lines)
}

fn lines_too_large() -> Stage {
    let (stage, mut lines) = lines();
    lines.clear();
    lines.hear(LinesNews::TooLarge(Stats { bytes: 412_316_860_416, ..Stats::default() }), 50_000);
    lines.volume = None;
    over(stage, lines)
}
