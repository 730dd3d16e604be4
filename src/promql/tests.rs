//! What a comparison with a real Prometheus cannot show: markers, and how the dialects differ.

use super::*;

fn memory(points: &[(i64, f64)]) -> Memory {
    let mut memory = Memory::default();
    for (at, value) in points {
        memory.push(Labels::new([(NAME, "x"), ("a", "b")]), *at, *value);
    }
    memory
}

fn values(samples: &Memory, engine: Engine, expr: &str, at: i64) -> Vec<f64> {
    match engine.instant(samples, expr, at) {
        Ok(Answer::Vector(vector)) => vector.into_iter().map(|sample| sample.value).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_marker_ends_a_series_at_once_and_is_no_sample_of_a_window() {
    let samples = memory(&[(0, 1.0), (60_000, 2.0), (120_000, STALE), (240_000, 5.0)]);
    let engine = Engine::default();
    assert_eq!(values(&samples, engine, "x", 60_000), [2.0]);
    assert_eq!(values(&samples, engine, "x", 120_000), [0.0; 0]);
    assert_eq!(values(&samples, engine, "x", 239_999), [0.0; 0]);
    assert_eq!(values(&samples, engine, "x", 240_000), [5.0]);
    assert_eq!(values(&samples, engine, "count_over_time(x[5m])", 240_000), [3.0]);
    assert_eq!(values(&samples, engine, "sum_over_time(x[5m])", 240_000), [8.0]);
}

#[test]
fn a_series_vanishes_five_minutes_after_its_last_sample() {
    let samples = memory(&[(0, 1.0)]);
    let two = Engine { dialect: Dialect::Two, ..Engine::default() };
    assert_eq!(values(&samples, Engine::default(), "x", 299_999), [1.0]);
    assert_eq!(values(&samples, Engine::default(), "x", 300_000), [0.0; 0]);
    assert_eq!(values(&samples, two, "x", 300_000), [1.0]);
    assert_eq!(values(&samples, two, "x", 300_001), [0.0; 0]);
}

#[test]
fn prometheus_3_leaves_the_older_end_of_a_window_out() {
    let samples = memory(&[(0, 1.0), (60_000, 2.0), (120_000, 4.0)]);
    let two = Engine { dialect: Dialect::Two, ..Engine::default() };
    assert_eq!(values(&samples, two, "count_over_time(x[2m])", 120_000), [3.0]);
    assert_eq!(values(&samples, Engine::default(), "count_over_time(x[2m])", 120_000), [2.0]);
    assert_eq!(values(&samples, two, "count_over_time(x[2m:1m])", 120_000), [3.0]);
    assert_eq!(values(&samples, Engine::default(), "count_over_time(x[2m:1m])", 120_000), [2.0]);
    // Two samples a minute apart in a window of two minutes: half a minute is added at the older end.
    assert_eq!(values(&samples, Engine::default(), "increase(x[2m])", 120_000), [4.0]);
}

#[test]
fn functions_that_prometheus_3_has_added_are_there() {
    let samples = memory(&[(1_000, 3.0), (2_000, 1.0), (3_000, 7.0), (4_000, 1.0)]);
    let one = |expr: &str| values(&samples, Engine::default(), expr, 4_000);
    assert_eq!(one("first_over_time(x[1m])"), [3.0]);
    assert_eq!(one("mad_over_time(x[1m])"), [1.0]);
    assert_eq!(one("ts_of_max_over_time(x[1m])"), [3.0]);
    assert_eq!(one("ts_of_min_over_time(x[1m])"), [4.0]);
    assert_eq!(one("double_exponential_smoothing(x[1m], 0.5, 0.5)"), one("holt_winters(x[1m], 0.5, 0.5)"));
}

#[test]
fn labels_are_sorted_without_empty_values_and_the_last_of_two_holds() {
    let labels = Labels::new([("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
    assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
    assert_eq!(labels.with("a", ""), Labels::new([("b", "3")]));
    assert_eq!(Labels::new([(NAME, "up"), ("job", "x\"y")]).to_string(), "up{job=\"x\\\"y\"}");
}

#[test]
fn matchers_are_anchored_and_take_absent_labels_as_empty() {
    let labels = Labels::new([("a", "one\ntwo")]);
    let accepts = |op, value: &str| Matcher::new("a", op, value).unwrap().accepts(&labels);
    assert!(accepts(Op::Like, "one.two") && !accepts(Op::Like, "one") && accepts(Op::NotLike, "two"));
    assert!(Matcher::new("z", Op::Like, "x|").unwrap().accepts(&labels));
    assert!(Matcher::new("a", Op::Like, "(").is_err());
}
