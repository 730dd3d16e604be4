use super::*;
use crate::signals::Labels;

fn entry(at: i64, text: &str) -> Entry {
    let none = Labels::default;
    Entry { at, labels: none(), metadata: none(), parsed: none(), text: text.into(), whole: None }
}

fn open() -> Explore {
    Explore::new(Context::new("test"), "all", "{a=\"b\"}", Window::Last { seconds: 900 })
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
    view.take_line().unwrap();
    assert_eq!((view.len(), view.hidden()), (90, 10));
    assert_eq!(view.page.search.matches, [1]);
    view.hear(newer(110, 112), 10_000);
    assert_eq!((view.len(), view.hidden()), (90, 12));
    view.editing = Some((Purpose::Only, Line::new("(unclosed")));
    assert!(view.take_line().is_err());
    view.editing = Some((Purpose::Hide, Line::new("")));
    view.take_line().unwrap();
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
    view.take_line().unwrap();
    assert_eq!((&*view.of.query, view.of.turn, view.of.allowed), ("{a=\"c\"}", 1, false));
    assert!(view.is_empty() && !view.timestamps && view.phase == Phase::Asked);
}

#[test]
fn names_and_values_of_labels_are_completed() {
    assert_eq!(place("{na"), Some(Spot::Name("na")));
    assert_eq!(place("{a=\"b\", na"), Some(Spot::Name("na")));
    assert_eq!(place("{a=\"b\", c=~\"x"), Some(Spot::Value { label: "c", begun: "x" }));
    assert_eq!(place("{a=\"b\"} |= \"x"), None);
    let mut view = open();
    view.hear(LinesNews::Labels(vec!["namespace".into(), "node".into()]), 10);
    view.editing = Some((Purpose::Query, Line::new("{na")));
    view.suggest();
    view.complete();
    let text = |view: &Explore| view.editing.as_ref().unwrap().1.text().to_owned();
    assert_eq!(text(&view), "{namespace");
    view.editing.as_mut().unwrap().1.insert("=\"ten");
    view.suggest();
    assert_eq!(view.wish.label.as_deref(), Some("namespace"));
    view.hear(LinesNews::Values("namespace".into(), vec!["tenant-1".into()]), 10);
    view.complete();
    assert_eq!(text(&view), "{namespace=\"tenant-1");
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
