//! Every shipped rule and every query of every shipped board, on the embedded platform's own samples.

use std::collections::BTreeSet;

use opsdeck::boards::{Boards, Subject};
use opsdeck::clock::Clock;
use opsdeck::demo::numbers::Numbers;
use opsdeck::demo::prometheus::alerts::Rules;
use opsdeck::demo::prometheus::recorded::Recorded;
use opsdeck::demo::prometheus::rules::{Kind, RuleSet};
use opsdeck::demo::promql::{Dialect, Engine, Matcher, Memory, NAME, Samples, is_stale};
use opsdeck::demo::{Platform, platform, world};

use super::{Cases, RealPrometheus, compare};
use crate::cluster::missing;

/// How much of the world's history is taken, in milliseconds: enough for rates, and little enough to write as text.
const SPAN: i64 = 20 * 60_000;

/// Takes the samples of a small world that has something wrong with it, with what the rules record.
async fn samples() -> (Memory, i64) {
    opsdeck::install_crypto_provider();
    let home = tempfile::tempdir().unwrap();
    let small = world::Options { tenants: 2, pods_per_tenant: 4, nodes: 3, ..world::Options::default() };
    let options = platform::Options {
        world: world::Options { story: "bad-deploy".to_owned(), ..small },
        kubeconfig: Some(home.path().join("kubeconfig")),
        clock: Clock::manual("2026-03-02T10:00:07Z".parse().unwrap()),
        pace: None,
        ..platform::Options::default()
    };
    let running = Platform::start(options).await.unwrap();
    let taken = running.handle.call(|world, now| (Numbers::at(world, now), now.as_millisecond())).await;
    let (numbers, now) = taken.unwrap();
    let mut memory = Memory::default();
    let mut take = |series: Vec<opsdeck::demo::promql::Series>| {
        for one in series {
            // The text format has no markers.
            for (at, value) in one.points.into_iter().filter(|point| !is_stale(point.1)) {
                memory.push(one.labels.clone(), at, value);
            }
        }
    };
    take(numbers.select(&[], now - SPAN, now));
    let rules = Rules::new(RuleSet::shipped().unwrap(), now, now - SPAN);
    let recorded = Recorded::new(&numbers, &rules, now);
    let rules = rules.set().groups.iter().flat_map(|group| &group.rules);
    let records: BTreeSet<&str> = rules
        .filter(|rule| matches!(rule.kind, Kind::Recording { .. }))
        .map(opsdeck::demo::prometheus::rules::Rule::name)
        .collect();
    for record in records {
        take(recorded.select(&[Matcher::equal(NAME, record)], now - SPAN / 2, now));
    }
    (memory, now)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_and_boards_come_to_what_a_real_prometheus_says() {
    if missing("prometheus") || missing("promtool") {
        return;
    }
    let (memory, now) = samples().await;
    let mut expressions: BTreeSet<String> = BTreeSet::new();
    let set = RuleSet::shipped().unwrap();
    expressions.extend(set.groups.iter().flat_map(|group| &group.rules).map(|rule| rule.query.clone()));
    let rules = expressions.len();
    for board in Boards::shipped().iter() {
        let values = board.values(&Subject::default()).unwrap().over(3_600, 60);
        expressions.extend(board.expressions(&values));
    }
    assert!(rules > 60 && expressions.len() > rules + 100, "{rules} and {}", expressions.len());
    // The text that is written must read back as the same expression, in both.
    let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
    let real = RealPrometheus::start(&memory).await;
    let instants = [now];
    // The world's samples lie on every half minute, on the borders of windows: the real one is a Prometheus 2.
    let ranges = [(now - 360_000, now, 60_000), (now.div_euclid(60_000) * 60_000 - 300_000, now, 30_000)];
    let cases = Cases { expressions: &expressions, instants: &instants, ranges: &ranges };
    let engine = Engine { dialect: Dialect::Two, ..Engine::default() };
    let filled = compare(&real, &memory, engine, &cases).await;
    println!("{} expressions, {filled} answers with series", expressions.len());
    assert!(filled > 150, "only {filled} answers hold anything");
}
