use super::completing::{Spot, place};
use super::*;
use crate::identity::Resource;
use crate::signals::Labels;
use crate::sources::logs::Line as LogLine;

fn entry(at: i64, text: &str) -> Entry {
    let none = Labels::default;
    Entry { at, labels: none(), metadata: none(), parsed: none(), text: text.into(), whole: None }
}

fn open() -> Explore {
    Explore::new(Context::new("test"), "all", "{a=\"b\"}", Window::Last { seconds: 900 })
}

fn now() -> Timestamp {
    "2026-11-20T14:02:31Z".parse().unwrap()
}

fn take(view: &mut Explore) -> Result<(), String> {
    view.take_line(now(), &TimeZone::UTC)
}

fn batch(from: i64, to: i64, done: bool) -> LinesNews {
    let entries = (from..to).map(|at| entry(at, &format!("line {at}"))).collect();
    LinesNews::Older(Batch { entries, done, ..Batch::default() })
}

fn newer(from: i64, to: i64) -> LinesNews {
    let entries = (from..to).map(|at| entry(at, &format!("line {at}"))).collect();
    LinesNews::Newer { entries, dropped: 0, garbled: 0 }
}

#[test]
fn older_lines_come_above_what_one_looks_at() {
    let mut view = open();
    view.hear(batch(100, 200, false), 10_000);
    view.hear(newer(200, 210), 10_000);
    view.page.view.cursor = 5;
    let seen = view.selected().map(|line| line.at);
    view.page.view.top = 0;
    view.look_back();
    assert_eq!((view.older, view.wish.pages), (Older::Asked, 2));
    view.look_back();
    assert_eq!(view.wish.pages, 2, "asked once");
    view.hear(batch(50, 100, true), 10_000);
    assert_eq!(view.selected().map(|line| line.at), seen);
    assert_eq!((view.older, view.len()), (Older::Done, 160));
}

#[test]
fn the_bound_holds_and_everything_dropped_is_counted() {
    let mut view = open();
    view.hear(batch(0, 1_000, false), 5_000);
    for from in 1..20 {
        view.hear(newer(from * 1_000, from * 1_000 + 1_000), 5_000);
    }
    assert!(view.lines.len() <= 5_000);
    assert_eq!(view.dropped + view.lines.len() as u64, 20_000);
    assert_eq!(view.older, Older::Full);
}

#[test]
fn sieves_hide_lines_also_those_that_come_later_and_a_search_keeps_to_what_is_shown() {
    let mut view = open();
    view.hear(batch(0, 100, true), 10_000);
    view.page.search.text = "line 1".to_owned();
    view.find();
    assert_eq!(view.page.search.matches.len(), 11);
    view.editing = Some((Purpose::Hide, Line::new("line 1\\d")));
    take(&mut view).unwrap();
    assert_eq!((view.len(), view.hidden()), (90, 10));
    assert_eq!(view.page.search.matches, [1]);
    view.hear(newer(110, 112), 10_000);
    assert_eq!((view.len(), view.hidden()), (90, 12));
    view.editing = Some((Purpose::Only, Line::new("(unclosed")));
    assert!(take(&mut view).is_err());
    view.editing = Some((Purpose::Hide, Line::new("")));
    take(&mut view).unwrap();
    assert_eq!(view.len(), 102);
}

#[test]
fn a_seam_is_a_line_of_its_own_and_a_failure_does_not_take_the_lines() {
    let mut view = open();
    view.hear(batch(0, 10, true), 10_000);
    view.hear(LinesNews::Seam { after: 9, why: "reached tail max duration limit".into() }, 10_000);
    assert_eq!(view.line(10).map(|line| line.sort), Some(crate::store::lines::Sort::Seam));
    let error = SourceError::Missing { what: "Loki".into(), reason: "gone".into() };
    view.hear(LinesNews::Failed(error), 10_000);
    assert!(view.failure.is_some() && view.len() == 11);
}

#[test]
fn another_query_begins_anew_and_keeps_how_it_looks() {
    let mut view = open();
    view.hear(batch(0, 10, true), 10_000);
    view.of.allowed = true;
    view.timestamps = false;
    view.editing = Some((Purpose::Query, Line::new("{a=\"c\"}")));
    take(&mut view).unwrap();
    assert_eq!((&*view.of.query, view.of.turn, view.of.allowed), ("{a=\"c\"}", 1, false));
    assert!(!view.timestamps && view.phase == Phase::Asked);
    assert_eq!((view.len(), view.held_of.as_deref()), (10, Some("{a=\"b\"}")), "until there are others");
    view.hear(LinesNews::Size(Stats::default()), 10_000);
    view.hear(batch(0, 3, true), 10_000);
    assert_eq!((view.len(), view.held_of.as_deref()), (3, None));
}

#[test]
fn a_query_with_an_error_keeps_the_last_result_and_says_whose_it_is() {
    let mut view = open();
    view.hear(batch(0, 10, true), 10_000);
    view.editing = Some((Purpose::Query, Line::new("{a=")));
    take(&mut view).unwrap();
    let reason = "parse error at line 1, col 4: syntax error: unexpected $end, expecting STRING";
    let refused = SourceError::Invalid { what: "Loki".into(), reason: reason.into() };
    view.hear(LinesNews::Failed(refused), 10_000);
    assert_eq!((view.len(), view.held_of.as_deref()), (10, Some("{a=\"b\"}")));
    assert_eq!(commands::wrong_at(&view), Some(3));
    // A second wrong query does not pass the first one's name on.
    view.editing = Some((Purpose::Query, Line::new("{a")));
    take(&mut view).unwrap();
    assert_eq!(view.held_of.as_deref(), Some("{a=\"b\"}"));
}

#[test]
fn names_and_values_of_labels_are_completed() {
    assert_eq!(place("{na"), Some(Spot::Name("na")));
    assert_eq!(place("{a=\"b\", na"), Some(Spot::Name("na")));
    assert_eq!(place("{a=\"b\", c=~\"x"), Some(Spot::Value { label: "c", begun: "x" }));
    assert_eq!(place("{a=\"b\"} |= \"x"), None);
    let mut view = open();
    view.hear(LinesNews::Labels(vec!["name".into(), "namespace".into(), "node".into()]), 10);
    view.editing = Some((Purpose::Query, Line::new("{na")));
    view.suggest();
    view.complete();
    assert_eq!(view.editing.as_ref().unwrap().1.text(), "{name");
    view.complete();
    let text = |view: &Explore| view.editing.as_ref().unwrap().1.text().to_owned();
    assert_eq!(text(&view), "{namespace");
    view.editing.as_mut().unwrap().1.insert("=\"ten");
    view.suggest();
    assert_eq!(view.wish.label.as_deref(), Some("namespace"));
    view.hear(LinesNews::Values("namespace".into(), vec!["tenant-1".into()]), 10);
    view.complete();
    assert_eq!(text(&view), "{namespace=\"tenant-1");
    let slow = SourceError::Throttled { what: "Loki".into(), until: None, reason: "too many".into() };
    view.hear(LinesNews::NoNames(slow), 10);
    assert!(view.completion.failure.is_some() && view.throttled == 1, "counted, and said beside the line");
}

#[test]
fn a_reading_that_begins_again_does_not_double_lines() {
    let mut view = open();
    for _ in 0..2 {
        view.hear(LinesNews::Size(Stats::default()), 10_000);
        view.hear(batch(0, 100, false), 10_000);
        assert_eq!((view.len(), view.older), (100, Older::More));
    }
}

#[test]
fn everything_is_counted_that_the_server_did_not_give() {
    let mut view = open();
    let entries = vec![entry(1, "x")];
    view.hear(LinesNews::Newer { entries, dropped: 3, garbled: 2 }, 10_000);
    let skipped =
        Batch { skipped: Some(1), garbled: 1, warnings: vec!["partial".into()], ..Batch::default() };
    view.hear(LinesNews::Older(skipped), 10_000);
    for news in [LinesNews::Failed, LinesNews::NoLevels] {
        let busy = SourceError::Throttled { what: "Loki".into(), until: None, reason: "too many".into() };
        view.hear(news(busy), 10_000);
    }
    assert_eq!((view.dropped, view.garbled, view.skipped, view.throttled), (3, 3, 1, 2));
    assert_eq!(view.warnings.len(), 1);
    assert_eq!(view.len(), 1, "a refusal takes no lines away");
}

#[test]
fn lines_that_come_are_sifted_and_searched_as_those_that_were_there() {
    let mut view = open();
    view.page.search.text = "line 1".to_owned();
    view.sieves.push(Sieve::read("! [13]", true).unwrap());
    assert!(!view.sieves[0].hide, "an inverse sieve shows what it finds");
    view.hear(batch(0, 200, true), 250);
    for from in [200, 300, 400] {
        view.hear(newer(from, from + 100), 250);
    }
    let (len, matches) = (view.len(), view.page.search.matches.clone());
    view.sift();
    assert_eq!((view.len(), &view.page.search.matches), (len, &matches));
    assert!(len > 100 && matches.iter().all(|row| view.line(*row).unwrap().text.contains("line 1")));
}

#[test]
fn another_time_is_read_as_people_write_it() {
    let mut view = open();
    view.hear(batch(0, 10, true), 10_000);
    let second = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
    for (text, window) in [
        ("-90m", Window::Last { seconds: 5_400 }),
        (
            "2026-11-20 13:00 13:10",
            Window::Between { from: second("2026-11-20T13:00:00Z"), to: second("2026-11-20T13:10:00Z") },
        ),
    ] {
        view.editing = Some((Purpose::Window, Line::new(text)));
        take(&mut view).unwrap();
        assert_eq!(view.of.window, window, "{text}");
    }
    view.editing = Some((Purpose::Window, Line::new("soon")));
    assert!(take(&mut view).unwrap_err().contains("soon"));
}

#[test]
fn lines_around_one_are_of_its_stream_and_lead_back_to_it() {
    let labels = |pod: &str| -> Labels {
        let pairs = [("pod", pod), ("detected_level", "info")];
        pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    };
    let of = |at: i64, pod: &str| Entry { labels: labels(pod), ..entry(at, &format!("line {at}")) };
    let mut view = open();
    let entries = (0..50).map(|at| of(at * 1_000_000_000, if at % 2 == 0 { "a" } else { "b" })).collect();
    view.hear(LinesNews::Older(Batch { entries, done: true, ..Batch::default() }), 10_000);
    view.sieves.push(Sieve::read("line", false).unwrap());
    view.sift();
    (view.follow, view.page.view.cursor) = (false, 20);
    let at = view.selected().unwrap().at;
    commands::around(&mut view);
    assert_eq!(
        (&*view.of.query, view.of.around),
        ("{pod=\"a\"}", Some(at)),
        "a level is no label of a stream"
    );
    assert!(view.sieves.is_empty() && view.of.allowed && view.is_empty());
    view.hear(LinesNews::Size(Stats::default()), 10_000);
    let older = (0..=20).map(|at| of(at * 1_000_000_000, "a")).collect();
    view.hear(LinesNews::Older(Batch { entries: older, ..Batch::default() }), 10_000);
    let later = (21..40).map(|at| of(at * 1_000_000_000, "a")).collect();
    view.hear(LinesNews::Later(Batch { entries: later, ..Batch::default() }), 10_000);
    assert_eq!((view.selected().unwrap().at, view.len()), (at, 40));
    view.page.view.cursor = 39;
    view.look_on();
    assert_eq!((view.later, view.wish.later), (Older::Asked, 2));
    assert!(commands::leave_around(&mut view));
    assert_eq!((view.selected().unwrap().at, view.sieves.len()), (at, 1));
    // The reading begins again, and brings the lines in other pieces: the same line is found.
    view.hear(LinesNews::Size(Stats::default()), 10_000);
    view.hear(LinesNews::Older(Batch { entries: vec![of(49_000_000_000, "a")], ..Batch::default() }), 10_000);
    assert_eq!((view.older, view.wish.pages), (Older::Asked, 2), "asked for until it is there");
    let rest = (0..49).map(|at| of(at * 1_000_000_000, "a")).collect();
    view.hear(LinesNews::Older(Batch { entries: rest, done: true, ..Batch::default() }), 10_000);
    assert_eq!(view.selected().unwrap().at, at);
}

fn pods() -> Explore {
    let object = ObjectRef {
        context: Context::new("test"),
        resource: Resource::new("apps", "deployments"),
        namespace: Some("shop".into()),
        name: "checkout".into(),
    };
    Explore::of_pods(Context::new("test"), object, false)
}

fn logged(from: i64, to: i64) -> Vec<LogLine> {
    let line = |at: i64| LogLine {
        pod: if at % 2 == 0 { "checkout-a" } else { "checkout-b" }.into(),
        container: "app".into(),
        at: Timestamp::from_second(1_000 + at).ok(),
        text: if at % 5 == 0 { format!("ERROR {at}") } else { format!("{{\"level\":\"info\",\"n\":{at}}}") }
            .into(),
        whole: None,
    };
    (from..to).map(line).collect()
}

#[test]
fn the_screen_works_on_the_logs_of_pods_as_on_those_of_loki() {
    let mut view = pods();
    view.take_logged(logged(0, 100), 7, 10_000);
    assert_eq!((view.len(), view.dropped), (100, 7));
    assert_eq!(view.line(5).unwrap().level(), Some("error"));
    assert_eq!(view.line(6).unwrap().level(), Some("info"));
    assert_eq!(view.line(6).unwrap().label("pod"), Some("checkout-a"));
    assert_eq!(view.pods.as_ref().unwrap().tally.span(), Some((1_000, 1_100)));
    view.editing = Some((Purpose::Only, Line::new("ERROR")));
    take(&mut view).unwrap();
    assert_eq!(view.len(), 20);
    (view.follow, view.page.view.cursor) = (false, 2);
    let at = view.selected().unwrap().at;
    commands::around(&mut view);
    assert_eq!((view.len(), view.selected().unwrap().at), (50, at), "its pod alone, with every line");
    assert!(commands::leave_around(&mut view));
    assert_eq!((view.len(), view.selected().unwrap().at), (20, at));
    // The logs are read again when one comes back to them: nothing stands there twice.
    view.begin();
    view.take_logged(logged(0, 100), 0, 10_000);
    assert_eq!((view.lines.len(), view.selected().unwrap().at), (100, at));
    let broken = SourceError::Missing { what: "pod".into(), reason: "gone".into() };
    view.take_log_failure("checkout-a/app".into(), broken, 10_000);
    view.take_log_start(&"checkout-a/app".into(), 10_000);
    let seams = view.lines.iter().filter(|line| line.sort == Sort::Seam).count();
    assert_eq!((seams, view.pods.as_ref().unwrap().failures.len()), (2, 0));
}

#[test]
fn a_window_in_the_past_is_kept_to_on_pods_too() {
    let mut view = pods();
    let turn = view.pods.as_ref().unwrap().of().turn;
    let to = now().as_second() - 600;
    view.take_window(Window::Between { from: to - 600, to }, now());
    let of = view.pods.as_ref().unwrap().of();
    assert_eq!((of.since, of.turn), (Since::Minutes(20), turn + 1));
    let line = |second: i64| LogLine { at: Timestamp::from_second(second).ok(), ..logged(1, 2).remove(0) };
    view.take_logged(vec![line(to - 1), line(to + 1)], 0, 10_000);
    assert_eq!((view.len(), view.follow), (1, false));
}
