use std::collections::BTreeSet;

use super::look_back::{Span, clip, metrics};
use super::page::{Page, Scraped};
use super::selector;
use crate::promql::syntax::parse;

/// Reads a page in pieces of a length.
fn read(text: &[u8], wanted: &[&str], piece: usize) -> Scraped {
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let own = [("job", "test"), ("instance", "pod-1")];
    let mut page = Page::new(&wanted, &own);
    let mut scraped = Scraped::default();
    for part in text.chunks(piece) {
        page.take(part, &mut scraped);
    }
    page.end(&mut scraped);
    scraped
}

fn labels(scraped: &Scraped) -> Vec<String> {
    scraped.samples.iter().map(|(_, labels, value)| format!("{labels} {value}")).collect()
}

#[test]
fn a_page_is_read_the_same_however_it_is_cut() {
    let text = "# HELP a_total Things, \"all\" of them.\n# TYPE a_total counter\na_total{code=\"200\",path=\"/x\"} 12\n\
                a_total{code=\"500\"} 3 1700000000000\n# TYPE d histogram\nd_bucket{le=\"0.5\"} 1\nd_bucket{le=\"+Inf\"} 4\n\
                d_count 4\nother 1e3\nplain 7";
    for piece in [1, 2, 7, 64, 4_096] {
        let scraped = read(text.as_bytes(), &["a_total", "d_bucket", "plain"], piece);
        assert_eq!(
            labels(&scraped),
            [
                r#"a_total{code="200", instance="pod-1", job="test", path="/x"} 12"#,
                r#"a_total{code="500", instance="pod-1", job="test"} 3"#,
                r#"d_bucket{instance="pod-1", job="test", le="0.5"} 1"#,
                r#"d_bucket{instance="pod-1", job="test", le="+Inf"} 4"#,
                r#"plain{instance="pod-1", job="test"} 7"#,
            ],
            "{piece}"
        );
        assert_eq!(scraped.garbled, 0);
        let names: Vec<&str> = scraped.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["a_total", "d_bucket", "d_count", "other", "plain"]);
    }
}

#[test]
fn labels_keep_every_letter_and_two_series_do_not_become_one() {
    let text = concat!(
        r#"m{path="a=b,c}d{e",job="own"} 1"#,
        "\n",
        r#"m{path="a=c,c}d{e"} 2"#,
        "\n",
        r#"m{ path="say \"hi\"\\\n" , } 3"#,
        "\n",
        "m{} 4\nm{path=\"日本\u{202e}\"} 5\n"
    );
    let scraped = read(text.as_bytes(), &["m"], 5);
    let paths: Vec<(String, f64)> =
        scraped.samples.iter().map(|(_, labels, value)| (labels.get("path").to_owned(), *value)).collect();
    assert_eq!(scraped.garbled, 0, "{paths:?}");
    assert_eq!(paths[0], ("a=b,c}d{e".to_owned(), 1.0));
    assert_eq!(paths[1], ("a=c,c}d{e".to_owned(), 2.0));
    assert!(paths[2].0.starts_with("say \"hi\"\\"), "{paths:?}");
    assert_eq!(paths[3], (String::new(), 4.0));
    // What turns the writing round is taken out, as of every foreign text.
    assert_eq!(paths[4].0, "日本");
    assert_eq!(scraped.samples[0].1.get("job"), "own", "the page's own label holds");
}

#[test]
fn what_is_no_number_is_kept_and_what_is_no_line_is_counted() {
    let scraped = read(b"m{a=\"1\"} NaN\nm{a=\"2\"} +Inf\nm{a=\"3\"} -Inf\nm{a=\"4\"} 1e309\n", &["m"], 9);
    let values: Vec<f64> = scraped.samples.iter().map(|one| one.2).collect();
    assert!(values[0].is_nan(), "{values:?}");
    assert_eq!(values[1..], [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY]);
    let wrong: &[&[u8]] = &[
        b"m{a=\"1} 5",
        b"m{a=\"1\"}",
        b"m twelve",
        b"m",
        b"<html><body>no</body></html>",
        b"\xff\xfe 1",
        b"{\"status\":\"error\"}",
        b"m{a=\"x\\",
    ];
    let page = wrong.join(&b'\n');
    let scraped = read(&page, &["m"], 11);
    assert!(scraped.samples.is_empty(), "{:?}", labels(&scraped));
    assert_eq!(scraped.garbled, wrong.len() as u64);
}

#[test]
fn a_huge_page_stays_small() {
    // One line of two megabytes costs itself, and a metric with too many series is left out whole.
    let mut text = format!("m{{a=\"{}\"}} 1\n", "x".repeat(2_000_000)).into_bytes();
    for number in 0..25_000 {
        text.extend_from_slice(format!("m{{a=\"{number}\"}} {number}\n").as_bytes());
    }
    text.extend_from_slice(b"few 1\n");
    let scraped = read(&text, &["m", "few"], 16 * 1024);
    assert_eq!((scraped.garbled, scraped.samples.len()), (1, 1));
    assert!(scraped.heavy.contains("m"));
    // Of what nobody asked for only the name is kept.
    let scraped = read(&text, &["other"], 16 * 1024);
    assert_eq!((scraped.samples.len(), scraped.names.len()), (0, 2));
}

fn clipped(text: &str, held: i64) -> Result<(String, bool), String> {
    let mut expr = parse(text).unwrap();
    let early = clip(&mut expr, &|_| Some(Span { held, gap: held.min(90_000) }))?;
    Ok((expr.to_string(), early))
}

#[test]
fn a_rate_looks_back_as_far_as_is_held_and_nothing_else_does() {
    let (text, early) = clipped("sum by (le) (rate(a[5m])) / sum(irate(b[1h]))", 15_000).unwrap();
    assert_eq!(text.matches("[15s]").count(), 2, "{text}");
    assert!(!early);
    assert!(clipped("rate(a[5m])", 600_000).unwrap().0.contains("[5m]"));
    assert!(clipped("rate(a[5m])", 0).unwrap().1, "one reading is no rate");
    // Two readings that lie further apart than the window still have a rate between them.
    assert!(clipped("rate(a[1m])", 600_000).unwrap().0.contains("[1m30s]"));
    for text in
        ["sum(increase(a[1h]))", "max_over_time(a[10m])", "a offset 1h", "avg_over_time(rate(a[5m])[10m:1m])"]
    {
        let why = clipped(text, 120_000).unwrap_err();
        assert!(why.contains("2m") && why.contains("Prometheus"), "{text}: {why}");
        assert!(clipped(text, 3_600_000).is_ok(), "{text}");
    }
}

#[test]
fn a_question_names_its_metrics() {
    let names =
        |text: &str| metrics(&parse(text).unwrap()).map(|names| names.into_iter().collect::<Vec<_>>());
    assert_eq!(names("sum(rate(b[5m])) / on (x) (a > 0) or vector(1)").unwrap(), ["a", "b"]);
    assert_eq!(names("topk(scalar(c), {__name__=\"d\"})").unwrap(), ["c", "d"]);
    assert_eq!(names("{job=\"x\"}"), None);
    let (names, matchers) = selector("{__name__=~\"a|b:c\",exported_namespace!=\"\"}").unwrap();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b:c"]);
    assert_eq!(matchers.len(), 1);
    for wrong in ["{job=\"x\"}", "{__name__=~\"a.*\"}", "{__name__!=\"a\"}", "sum(a)", "a{"] {
        assert!(selector(wrong).is_err(), "{wrong}");
    }
}
