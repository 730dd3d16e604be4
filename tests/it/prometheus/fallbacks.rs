//! Every expression of every shipped board, also the fallbacks of installations that the embedded platform does not
//! play, on samples made for it: series that its selectors take in, and that its operators join.

use std::collections::BTreeSet;

use opsdeck::boards::{Boards, Subject};
use opsdeck::promql::{Dialect, Engine, Labels, Memory};
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{BinModifier, Expr, LabelModifier, VectorMatchCardinality, VectorSelector};

use super::{Cases, RealPrometheus, compare};
use crate::cluster::missing;

const START: i64 = 1_772_445_600_000;
/// Off the borders of windows, as scrapes are.
const SCRAPE: i64 = 30_000;
const SPAN: i64 = 100 * 60_000;

/// Values that labels have; the first that a regular expression takes is used.
const WORDS: [&str; 20] = [
    "v1",
    "v2",
    "500",
    "503",
    "401",
    "403",
    "cpu",
    "memory",
    "eth0",
    "en1",
    "True",
    "False",
    "kcm-1",
    "kcm-2",
    "app_one",
    "app_two",
    "DiskPressure",
    "MemoryPressure",
    "Degraded",
    "Failed",
];

/// The labels by which an expression groups or joins.
fn labels(expr: &Expr, found: &mut BTreeSet<String>) {
    let mut listed = |modifier: &Option<LabelModifier>| {
        if let Some(LabelModifier::Include(labels)) = modifier {
            found.extend(labels.labels.iter().cloned());
        }
    };
    match expr {
        Expr::Aggregate(one) => {
            listed(&one.modifier);
            labels(&one.expr, found);
        }
        Expr::Unary(one) => labels(&one.expr, found),
        Expr::Paren(one) => labels(&one.expr, found),
        Expr::Subquery(one) => labels(&one.expr, found),
        Expr::Binary(one) => {
            if let Some(BinModifier { matching, card, .. }) = &one.modifier {
                listed(matching);
                if let VectorMatchCardinality::ManyToOne(more) | VectorMatchCardinality::OneToMany(more) =
                    card
                {
                    found.extend(more.labels.iter().cloned());
                }
            }
            labels(&one.lhs, found);
            labels(&one.rhs, found);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|one| labels(one, found)),
        _ => {}
    }
}

fn selectors<'a>(expr: &'a Expr, found: &mut Vec<&'a VectorSelector>) {
    match expr {
        Expr::Aggregate(one) => selectors(&one.expr, found),
        Expr::Unary(one) => selectors(&one.expr, found),
        Expr::Paren(one) => selectors(&one.expr, found),
        Expr::Subquery(one) => selectors(&one.expr, found),
        Expr::Binary(one) => {
            selectors(&one.lhs, found);
            selectors(&one.rhs, found);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|one| selectors(one, found)),
        Expr::VectorSelector(one) => found.push(one),
        Expr::MatrixSelector(one) => found.push(&one.vs),
        _ => {}
    }
}

fn takes(matcher: &Matcher, value: &str) -> bool {
    match &matcher.op {
        MatchOp::Equal => matcher.value == value,
        MatchOp::NotEqual => matcher.value != value,
        MatchOp::Re(re) => re.find(value).is_some_and(|found| found.len() == value.len()),
        MatchOp::NotRe(re) => re.find(value).is_none_or(|found| found.len() != value.len()),
    }
}

/// Adds the series that a selector takes in: two, told apart by their labels, and of a histogram all buckets.
fn add(memory: &mut Memory, selector: &VectorSelector, joined: &BTreeSet<String>) {
    let Some(name) = &selector.name else { return };
    let matchers = &selector.matchers.matchers;
    let named: BTreeSet<&str> =
        matchers.iter().map(|one| one.name.as_str()).chain(joined.iter().map(String::as_str)).collect();
    for number in 0..2_usize {
        let mut pairs: Vec<(String, String)> = vec![("__name__".to_owned(), name.clone())];
        for label in named.iter().filter(|label| **label != "le") {
            let mine = || matchers.iter().filter(|one| one.name == **label);
            let equal = mine().find(|one| matches!(one.op, MatchOp::Equal)).map(|one| one.value.clone());
            let fits: Vec<&str> =
                WORDS.into_iter().filter(|word| mine().all(|one| takes(one, word))).collect();
            let value = equal.or_else(|| Some((*fits.get(number).or(fits.first())?).to_owned()));
            let value = value.unwrap_or_else(|| panic!("no value for {label} of {selector}"));
            pairs.push((label.to_string(), value));
        }
        let bounds: &[(&str, f64)] = if name.ends_with("_bucket") {
            &[("0.1", 0.3), ("0.5", 0.7), ("2.5", 0.95), ("+Inf", 1.0)]
        } else {
            &[("", 1.0)]
        };
        // What counts grows; what measures goes up and down.
        let counts = ["_total", "_count", "_sum", "_bucket", "_requests", "_calls", "_error"]
            .iter()
            .any(|end| name.ends_with(end));
        for (bound, share) in bounds {
            let labels = Labels::new(pairs.iter().cloned().chain([("le".to_owned(), (*bound).to_owned())]));
            let seed = name.len() + number * 13;
            for step in 0..SPAN / SCRAPE {
                let wave = ((step * 7 + seed as i64) % 11) as f64;
                let value = if counts { (step * 40 + step % 3) as f64 * share } else { 1.0 + wave * share };
                memory.push(labels.clone(), START + 7_000 + step * SCRAPE, value);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fallback_of_every_board_comes_to_what_a_real_prometheus_says() {
    if missing("prometheus") || missing("promtool") {
        return;
    }
    let mut expressions: BTreeSet<String> = BTreeSet::new();
    for board in Boards::shipped().iter() {
        let values = board.values(&Subject::default()).unwrap().over(3_600, 60);
        expressions.extend(board.expressions(&values));
    }
    let mut memory = Memory::default();
    for text in &expressions {
        let expr = promql_parser::parser::parse(text).unwrap();
        let (mut joined, mut found) = (BTreeSet::new(), Vec::new());
        labels(&expr, &mut joined);
        selectors(&expr, &mut found);
        for selector in &found {
            add(&mut memory, selector, &joined);
        }
    }
    let all: Vec<&str> = expressions.iter().map(String::as_str).collect();
    let end = START + SPAN;
    let ranges = [(end - 1_200_000, end - 60_000, 60_000)];
    let real = RealPrometheus::start(&memory).await;
    let engine = Engine { dialect: Dialect::Two, ..Engine::default() };
    let cases = Cases { expressions: &all, instants: &[end], ranges: &ranges };
    let filled = compare(&real, &memory, engine, &cases).await;
    // Two answers each; those that ask for what is wrong (`== 0`, `> 1`) may be empty.
    println!("{} expressions, {filled} of {} answers with series", all.len(), all.len() * 2);
    assert!(filled > all.len() * 2 * 9 / 10, "{filled} of {} answers hold anything", all.len() * 2);
}
