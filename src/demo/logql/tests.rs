use std::sync::Arc;

use super::metric::{self, Window};
use super::pipeline::{self, Line};
use super::vector::Value;
use super::*;

const SECOND: i64 = 1_000_000_000;

struct Fixed(Labels, Vec<Entry>);

impl Stream for Fixed {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn entries(&self, from: i64, until: i64) -> Vec<Entry> {
        self.1.iter().filter(|entry| entry.at >= from && entry.at < until).cloned().collect()
    }

    fn rate(&self) -> f64 {
        1.0
    }
}

struct Shelf(Vec<Arc<Fixed>>);

impl Source for Shelf {
    fn streams(&self, matchers: &[Matcher], _: i64, _: i64) -> Vec<Arc<dyn Stream>> {
        let takes = |labels: &Labels| {
            matchers.iter().all(|matcher| matcher.takes(label(labels, &matcher.name).unwrap_or_default()))
        };
        self.0
            .iter()
            .filter(|stream| takes(&stream.0))
            .map(|stream| Arc::clone(stream) as Arc<dyn Stream>)
            .collect()
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn entry(second: i64, line: &str) -> Entry {
    Entry { at: second * SECOND, line: line.to_owned(), metadata: labels(&[("trace_id", "abc123")]) }
}

/// Two pods that write a line a second for a minute; every tenth line of the first is an error.
fn shelf() -> Shelf {
    let lines = |pod: &str| -> Vec<Entry> {
        (0..60)
            .map(|second| {
                let level = if pod == "api-1" && second % 10 == 0 { "error" } else { "info" };
                entry(
                    second,
                    &format!("level={level} msg=\"done {second}\" duration={}ms size=2KB", second * 10),
                )
            })
            .collect()
    };
    let stream = |pod: &str| {
        Arc::new(Fixed(labels(&[("app", "api"), ("namespace", "shop"), ("pod", pod)]), lines(pod)))
    };
    Shelf(vec![stream("api-1"), stream("api-2")])
}

/// Runs one line through the stages of a query; returns the line and its labels, or `None` where it is dropped.
fn through(query: &str, text: &str) -> Option<(String, Labels)> {
    let Expr::Log(query) = parse(query).unwrap() else { panic!("{query} is no log query") };
    let stream = labels(&[("app", "api"), ("namespace", "shop")]);
    let entry = entry(1, text);
    let mut line = Line::new(&stream, &entry);
    pipeline::run(&query, &mut line).then(|| (line.text.to_string(), line.drawers().merged()))
}

#[track_caller]
fn kept(query: &str, text: &str, wanted: bool) {
    assert_eq!(through(query, text).is_some(), wanted, "{query} on {text}");
}

#[track_caller]
fn value(query: &str, text: &str, name: &str) -> String {
    let (_, labels) = through(query, text).unwrap_or_else(|| panic!("{query} drops {text}"));
    label(&labels, name).unwrap_or("<none>").to_owned()
}

#[track_caller]
fn refused(query: &str) -> String {
    parse(query).unwrap_err().to_string()
}

#[track_caller]
fn at(query: &str, second: i64) -> Vec<(Labels, f64)> {
    let Expr::Metric(metric) = parse(query).unwrap() else { panic!("{query} is no metric query") };
    let value = metric::instant(&metric, &shelf(), second * SECOND, &mut Budget::new(10_000), 500).unwrap();
    match value {
        Value::Scalar(value) => vec![(Labels::new(), value)],
        Value::Vector(samples) => {
            samples.into_iter().map(|sample| (sample.labels.as_ref().clone(), sample.value)).collect()
        }
    }
}

#[test]
fn errors_are_worded_and_placed_as_loki_does() {
    // The wording and the places are those of Loki 3.7's own tests of its parser.
    for (query, wanted) in [
        ("{foo=\"bar\"", "parse error at line 1, col 11: syntax error: unexpected $end, expecting } or ,"),
        ("{foo=\"bar}", "parse error at line 1, col 6: literal not terminated"),
        (
            "{foo=\"bar\"} |~",
            "parse error at line 1, col 15: syntax error: unexpected $end, expecting STRING or ip",
        ),
        ("{foo=\"bar\"} \"foo\"", "parse error at line 1, col 13: syntax error: unexpected STRING"),
        ("{foo=\"bar\"} foo", "parse error at line 1, col 13: syntax error: unexpected IDENTIFIER"),
        ("unk({ foo = \"bar\" }[5m])", "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"),
        (
            "rate({ foo = \"bar\" }[5minutes])",
            "parse error at line 0, col 21: unknown unit \"minutes\" in duration \"5minutes\"",
        ),
        ("rate({ foo = \"bar\" }[5)", "parse error at line 0, col 21: missing closing ']' in duration"),
        ("min({ foo = \"bar\" }[5m])", "parse error at line 0, col 20: syntax error: unexpected RANGE"),
        ("stddev({ foo = \"bar\" })", "parse error at line 1, col 23: syntax error: unexpected )"),
        (
            "vector(abc)",
            "parse error at line 1, col 8: syntax error: unexpected IDENTIFIER, expecting NUMBER",
        ),
        (
            "label_replace(rate({ foo = \"bar\" }[5m]),\"\")",
            "parse error at line 1, col 43: syntax error: unexpected ), expecting ,",
        ),
        (
            "count without (rate({namespace=\"apps\"}[15s]))",
            "parse error at line 1, col 16: syntax error: unexpected RATE, expecting IDENTIFIER or )",
        ),
        (
            "topk(count_over_time({ foo = \"bar\" }[5h]))",
            "parse error : parameter required for operation topk",
        ),
        (
            "sum_over_time({ foo = \"bar\" }[5h])",
            "parse error : invalid aggregation sum_over_time without unwrap",
        ),
        (
            "{foo=\"bar\"} + {foo=\"bar\"}",
            "parse error : unexpected type for left leg of binary operation (+): *syntax.MatchersExpr",
        ),
        (
            "sum(count_over_time({foo=\"bar\"}[5m])) by (foo) or 1",
            "parse error : unexpected literal for right leg of logical/set binary operation (or): 1.000000",
        ),
    ] {
        assert_eq!(refused(query), wanted, "{query}");
    }
}

#[test]
fn a_selector_that_takes_every_stream_is_refused() {
    for query in ["{app=~\".*\"}", "{}", "{app!=\"x\"}", "count_over_time({app=~\".*\"}[5m])"] {
        assert!(
            refused(query).contains("at least one regexp or equality matcher"),
            "{query}: {}",
            refused(query)
        );
    }
    assert!(parse("{app=~\".+\"}").is_ok());
}

#[test]
fn line_filters_look_for_texts_patterns_and_addresses() {
    let line = "GET /ready from 10.1.2.3:443 timeout";
    kept("{app=\"api\"} |= \"ready\"", line, true);
    kept("{app=\"api\"} != \"ready\"", line, false);
    kept("{app=\"api\"} |= \"refused\" or \"timeout\"", line, true);
    kept("{app=\"api\"} != \"refused\" or \"timeout\"", line, false);
    kept("{app=\"api\"} |~ `(?i)TIMEOUT|panic`", line, true);
    kept("{app=\"api\"} !~ \"GET /(ready|live)\"", line, false);
    kept("{app=\"api\"} |= ip(\"10.0.0.0/8\")", line, true);
    kept("{app=\"api\"} != ip(\"10.1.2.0-10.1.2.9\")", line, false);
    kept("{app=\"api\"} |= ip(\"192.168.0.1\")", line, false);
    kept("{app=\"api\"} |> \"<_> /ready from <_>\"", line, true);
    kept("{app=\"api\"} |> \"<_> /live from <_>\"", line, false);
}

#[test]
fn parsers_take_labels_out_of_lines() {
    let json = r#"{"level":"error","status":502,"ok":true,"http":{"path":"/a b"},"list":[1,{"x":"y"}],"nothing":null,"app":"other"}"#;
    assert_eq!(value("{app=\"api\"} | json", json, "http_path"), "/a b");
    assert_eq!(value("{app=\"api\"} | json", json, "status"), "502");
    assert_eq!(value("{app=\"api\"} | json", json, "app_extracted"), "other");
    assert_eq!(value("{app=\"api\"} | json", json, "app"), "api");
    assert_eq!(value("{app=\"api\"} | json", json, "nothing"), "<none>");
    assert_eq!(value("{app=\"api\"} | json x=\"list[1].x\", p=\"http.path\"", json, "x"), "y");
    assert_eq!(value("{app=\"api\"} | json", "no json", "__error__"), "JSONParserErr");
    kept("{app=\"api\"} | json | __error__=\"\"", "no json", false);
    let logfmt = "level=warn msg=\"it \\\"works\\\"\" took=5ms empty= broken\"=x end=1";
    assert_eq!(value("{app=\"api\"} | logfmt", logfmt, "msg"), "it \"works\"");
    assert_eq!(value("{app=\"api\"} | logfmt", logfmt, "empty"), "<none>");
    assert_eq!(value("{app=\"api\"} | logfmt --keep-empty", logfmt, "empty"), "");
    assert_eq!(value("{app=\"api\"} | logfmt", logfmt, "end"), "1");
    assert_eq!(value("{app=\"api\"} | logfmt t=\"took\"", logfmt, "t"), "5ms");
    assert_eq!(value("{app=\"api\"} | logfmt --strict", logfmt, "__error__"), "LogfmtParserErr");
    let access = "10.0.3.4 - - [02/Mar/2026:09:00:00 +0000] \"GET /cart HTTP/1.1\" 502 157";
    let pattern = "{app=\"api\"} | pattern `<ip> - - [<_>] \"<method> <path> <_>\" <status> <size>`";
    assert_eq!(value(pattern, access, "path"), "/cart");
    assert_eq!(value(pattern, access, "size"), "157");
    let regexp = "{app=\"api\"} | regexp `(?P<method>[A-Z]+) (?P<path>/\\S*)`";
    assert_eq!(value(regexp, access, "method"), "GET");
    let packed = r#"{"region":"eu","_entry":"the line"}"#;
    let (text, labels) = through("{app=\"api\"} | unpack", packed).unwrap();
    assert_eq!((text.as_str(), label(&labels, "region")), ("the line", Some("eu")));
}

#[test]
fn label_filters_compare_what_the_label_holds() {
    let line = "level=error status=502 took=1.5s size=20KB ip=10.1.2.3";
    for (filter, wanted) in [
        ("level=\"error\"", true),
        ("level=~\"error|fatal\"", true),
        ("status >= 500", true),
        ("status == 500", false),
        ("took > 500ms", true),
        ("took < 1s", false),
        ("size > 10KB and size < 1MB", true),
        ("level=\"info\" or status=502", true),
        ("(level=\"info\" or status=502), took > 10s", false),
        ("ip = ip(\"10.0.0.0/8\")", true),
        ("ip != ip(\"10.0.0.0/8\")", false),
        ("missing > 5", false),
        ("missing=\"\"", true),
        ("trace_id=\"abc123\"", true),
    ] {
        kept(&format!("{{app=\"api\"}} | logfmt | {filter}"), line, wanted);
    }
    assert_eq!(value("{app=\"api\"} | logfmt | level > 5", line, "__error__"), "LabelFilterErr");
}

#[test]
fn formats_change_the_line_and_its_labels() {
    let line = "level=error msg=\"not found\" took=12ms";
    let shown = |query: &str| through(query, line).unwrap().0;
    assert_eq!(shown("{app=\"api\"} | logfmt | line_format \"{{.level}} {{.msg}}\""), "error not found");
    assert_eq!(
        shown(
            "{app=\"api\"} | logfmt | line_format `{{ .level | ToUpper | printf \"%-6s\" }}|{{ if eq .level \"error\" }}bad{{ else }}good{{ end }}`"
        ),
        "ERROR |bad"
    );
    assert_eq!(shown("{app=\"api\"} | line_format `{{ __line__ | trunc 5 }}`"), "level");
    assert_eq!(value("{app=\"api\"} | logfmt | label_format dur=took", line, "dur"), "12ms");
    assert_eq!(value("{app=\"api\"} | logfmt | label_format dur=took", line, "took"), "<none>");
    assert_eq!(value("{app=\"api\"} | label_format app=\"x-{{.app}}\"", line, "app"), "x-api");
    let (_, labels) = through("{app=\"api\"} | logfmt | keep level, msg", line).unwrap();
    assert_eq!(labels.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["level", "msg"]);
    assert_eq!(value("{app=\"api\"} | drop trace_id", line, "trace_id"), "<none>");
    assert_eq!(value("{app=\"api\"} | drop trace_id=\"other\"", line, "trace_id"), "abc123");
    let (text, _) = through("{app=\"api\"} | decolorize", "\u{1b}[31mred\u{1b}[0m plain").unwrap();
    assert_eq!(text, "red plain");
}

#[test]
fn functions_over_time_count_what_lies_in_their_window() {
    // Seconds 0 to 59 have a line each; the window is open at its beginning and closed at its end.
    assert_eq!(at("sum(count_over_time({app=\"api\"}[10s]))", 30), [(Labels::new(), 20.0)]);
    assert_eq!(at("sum(rate({app=\"api\"}[10s]))", 30), [(Labels::new(), 2.0)]);
    assert_eq!(
        at("sum by (pod) (rate({namespace=\"shop\"} |= \"error\" [10s]))", 30),
        [(labels(&[("pod", "api-1")]), 0.1)]
    );
    assert_eq!(
        at(
            "quantile_over_time(0.5, {pod=\"api-1\"} | logfmt | unwrap duration_seconds(duration) | __error__=\"\" [3s]) by (pod)",
            10
        ),
        [(labels(&[("pod", "api-1")]), 0.09)]
    );
    assert_eq!(
        at("sum(sum_over_time({pod=\"api-1\"} | logfmt | unwrap bytes(size) [5s]))", 20),
        [(Labels::new(), 10_000.0)]
    );
    assert_eq!(at("absent_over_time({app=\"worker\"}[15m])", 30), [(labels(&[("app", "worker")]), 1.0)]);
    assert_eq!(at("absent_over_time({app=\"api\"}[15m])", 30), []);
    let slowest =
        "max_over_time({pod=\"api-1\"} | logfmt | unwrap duration(duration) [5s] offset 10s) by (app)";
    assert!((at(slowest, 30)[0].1 - 0.2).abs() < 1e-9);
}

#[test]
fn operators_and_aggregations_put_series_together() {
    let ratio = "sum(count_over_time({namespace=\"shop\"} |= \"error\" [50s])) / sum(count_over_time({namespace=\"shop\"}[50s]))";
    assert_eq!(at(ratio, 50), [(Labels::new(), 0.05)]);
    let top = "topk(1, sum by (pod) (count_over_time({namespace=\"shop\"} | logfmt | level=\"info\" [20s])))";
    assert_eq!(at(top, 30), [(labels(&[("pod", "api-2")]), 20.0)]);
    assert_eq!(at("sum by (pod) (count_over_time({app=\"api\"}[10s])) > 100", 30), []);
    assert!(at("sum by (pod) (count_over_time({app=\"api\"}[10s])) > bool 100", 30)[1].1.abs() < 1e-9);
    assert_eq!(at("2 ^ 3 ^ 0 + 1", 0), [(Labels::new(), 3.0)]);
    assert_eq!(at("sum(rate({app=\"none\"}[1m])) or vector(0)", 30), [(Labels::new(), 0.0)]);
    let joined = "sum by (pod) (count_over_time({app=\"api\"}[10s])) / on () group_left sum(count_over_time({app=\"api\"}[10s]))";
    assert_eq!(at(joined, 30), [(labels(&[("pod", "api-1")]), 0.5), (labels(&[("pod", "api-2")]), 0.5)]);
    let replaced =
        "label_replace(sum by (pod) (rate({app=\"api\"}[10s])), \"n\", \"$1\", \"pod\", \"api-(.*)\")";
    assert_eq!(at(replaced, 30)[0].0, labels(&[("n", "1"), ("pod", "api-1")]));
}

#[test]
fn a_range_query_has_a_point_at_every_step() {
    let Expr::Metric(metric) =
        parse("sum by (level) (count_over_time({app=\"api\"} | logfmt [10s]))").unwrap()
    else {
        panic!()
    };
    let window = Window { start: 10 * SECOND, end: 50 * SECOND, step: 10 * SECOND };
    let series = metric::range(&metric, &shelf(), window, &mut Budget::new(1_000), 500).unwrap();
    let errors = &series[0];
    assert_eq!(errors.labels, labels(&[("level", "error")]));
    assert_eq!(errors.points, [10, 20, 30, 40, 50].map(|second| (second * SECOND, 1.0)));
    assert_eq!(
        metric::range(&metric, &shelf(), window, &mut Budget::new(1_000), 1),
        Err(EvalError::Series(1))
    );
    assert_eq!(metric::range(&metric, &shelf(), window, &mut Budget::new(50), 500), Err(EvalError::Timeout));
}

#[test]
fn numbers_of_a_line_that_cannot_be_read_are_an_error_with_the_way_out() {
    let Expr::Metric(metric) = parse("sum(count_over_time({app=\"api\"} | json [10s]))").unwrap() else {
        panic!()
    };
    let error = metric::instant(&metric, &shelf(), 30 * SECOND, &mut Budget::new(1_000), 500).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("pipeline error: 'JSONParserErr' for series: '{__error__=\"JSONParserErr\"")
    );
    assert!(error.to_string().contains("| __error__!=\"JSONParserErr\""));
}

#[test]
fn queries_of_any_text_are_answered_and_never_a_panic() {
    let words = [
        "{", "}", "(", ")", "[5m]", "|", "|=", "json", "unwrap", "\"", "`", "sum", "rate", "by", "a", "1",
        "-", "é", "\\", "=~", "\"(\"", "^",
    ];
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let count = rng.usize(1..12);
        let query: Vec<&str> = (0..count).map(|_| words[rng.usize(..words.len())]).collect();
        let _ = parse(&query.join(if rng.bool() { " " } else { "" }));
    }
    let deep = "(".repeat(50_000);
    assert!(parse(&deep).is_err());
    assert!(parse(&format!("{{a=\"b\"}} | {}", "(".repeat(50_000))).is_err());
}

/// What the parser of Loki 3.7.8 says of each query; `ok` where it takes it.
const SAID: &[(&str, &str)] = &[
    (r"{app=", r"parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING"),
    (r"{app}", r"parse error at line 1, col 5: syntax error: unexpected }, expecting = or =~ or !~ or !="),
    (r#"{app="x""#, r"parse error at line 1, col 9: syntax error: unexpected $end, expecting } or ,"),
    (
        r#"{app="x"} |="#,
        r"parse error at line 1, col 13: syntax error: unexpected $end, expecting STRING or ip",
    ),
    (r#"{app="x"} | "#, r"parse error at line 1, col 13: syntax error: unexpected $end"),
    (r#"{app="x"} | json | "#, r"parse error at line 1, col 20: syntax error: unexpected $end"),
    (r#"{app="x"} | level"#, r"parse error at line 1, col 18: syntax error: unexpected $end"),
    (r#"{app="x"} | level="#, r"parse error at line 1, col 19: syntax error: unexpected $end"),
    (r#"{app="x"} | level >"#, r"parse error at line 1, col 20: syntax error: unexpected $end"),
    (
        r#"{app="x"} | label_format a"#,
        r"parse error at line 1, col 27: syntax error: unexpected $end, expecting =",
    ),
    (
        r#"{app="x"} | pattern "no capture""#,
        r"parse error : invalid pattern parser: at least one capture is required",
    ),
    (
        r#"{app="x"} | regexp "(no)name""#,
        r"parse error : invalid regexp parser: at least one named capture must be supplied",
    ),
    (r#"{app=~"("}"#, r"parse error : error parsing regexp: missing closing ): `(`"),
    (r#"{app="x"} foo"#, r"parse error at line 1, col 11: syntax error: unexpected IDENTIFIER"),
    (
        r#"{app=~".*"}"#,
        r#"parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will"#,
    ),
    (
        r"{}",
        r#"parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will"#,
    ),
    (r"", r"parse error : syntax error: unexpected $end"),
    (r#"rate({app="x"})"#, r"parse error at line 1, col 15: syntax error: unexpected )"),
    (r#"rate({app="x"}[5x])"#, r#"parse error at line 0, col 15: unknown unit "x" in duration "5x""#),
    (r#"rate({app="x"}[5m]"#, r"parse error at line 1, col 19: syntax error: unexpected $end, expecting )"),
    (
        r#"sum by (rate({app="x"}[5m]))"#,
        r"parse error at line 1, col 9: syntax error: unexpected RATE, expecting IDENTIFIER or )",
    ),
    (
        r#"sum(rate({app="x"}[5m])) by"#,
        r"parse error at line 1, col 28: syntax error: unexpected $end, expecting (",
    ),
    (r#"topk(rate({app="x"}[5m]))"#, r"parse error : parameter required for operation topk"),
    (r#"sum_over_time({app="x"}[5m])"#, r"parse error : invalid aggregation sum_over_time without unwrap"),
    (
        r#"count_over_time({app="x"} | unwrap a [5m])"#,
        r"parse error : invalid aggregation count_over_time with unwrap",
    ),
    (r#"sum({app="x"})"#, r"parse error at line 1, col 14: syntax error: unexpected )"),
    (
        r#"{app="x"} + 1"#,
        r"parse error : unexpected type for left leg of binary operation (+): *syntax.MatchersExpr",
    ),
    (
        r#"1 and rate({app="x"}[5m])"#,
        r"parse error : unexpected literal for left leg of logical/set binary operation (and): 1.000000",
    ),
    (r#"rate({app="x"}[5m]) by (app)"#, r"parse error : grouping not allowed for rate aggregation"),
    (r"nonsense", r"parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"),
    (r#"sum(count_over_time({namespace="tenant-2"} | json [1m]))"#, r"ok"),
    (r#"{app="x"}"#, r"ok"),
    (r#"rate({app="x"}[5m]"#, r"parse error at line 1, col 19: syntax error: unexpected $end, expecting )"),
    (
        r#"{app="x"} | json a="#,
        r"parse error at line 1, col 20: syntax error: unexpected $end, expecting STRING",
    ),
    (
        r#"{app="x"} | logfmt --bad"#,
        r"parse error at line 1, col 22: syntax error: unexpected IDENTIFIER, expecting NUMBER",
    ),
    (r#"{app="x"} | unwrap a"#, r"parse error at line 1, col 13: syntax error: unexpected unwrap"),
    (
        r#"{app="x"} | drop"#,
        r"parse error at line 1, col 17: syntax error: unexpected $end, expecting IDENTIFIER",
    ),
    (
        r#"{app="x"} | keep a,"#,
        r"parse error at line 1, col 20: syntax error: unexpected $end, expecting IDENTIFIER",
    ),
    (
        r#"{app="x"} | a = ip("10.0.0.0/8") or"#,
        r"parse error at line 1, col 36: syntax error: unexpected $end, expecting IDENTIFIER or (",
    ),
    (r#"rate({app="x"}[])"#, r"parse error at line 0, col 15: empty duration string"),
    (
        r#"rate({app="x"}[5m] offset)"#,
        r"parse error at line 1, col 26: syntax error: unexpected ), expecting DURATION",
    ),
    (
        r#"rate({app="x"}[5m] offset 5"#,
        r"parse error at line 1, col 27: syntax error: unexpected NUMBER, expecting DURATION",
    ),
    (
        r#"sum(rate({app="x"}[5m])) by (a"#,
        r"parse error at line 1, col 31: syntax error: unexpected $end, expecting , or )",
    ),
    (r#"sum(rate({app="x"}[5m])) +"#, r"parse error at line 1, col 27: syntax error: unexpected $end"),
    (r"1 +", r"parse error at line 1, col 4: syntax error: unexpected $end"),
    (
        r#"label_replace(rate({app="x"}[5m]), "a", "b", "c", "(")"#,
        r"parse error : invalid regex in label_replace: error parsing regexp: missing closing ): `^(?:()$`",
    ),
    (
        r#"quantile_over_time(a, {app="x"} | unwrap b [5m])"#,
        r"parse error at line 1, col 20: syntax error: unexpected IDENTIFIER, expecting NUMBER or { or (",
    ),
    (r"sum(1)", r"ok"),
    (r"vector()", r"parse error at line 1, col 8: syntax error: unexpected ), expecting NUMBER"),
    (r#"{app="x", }"#, r"parse error at line 1, col 11: syntax error: unexpected }, expecting IDENTIFIER"),
    (
        r#"{app="x" app="y"}"#,
        r"parse error at line 1, col 10: syntax error: unexpected IDENTIFIER, expecting } or ,",
    ),
    (
        r#"{"app"="x"}"#,
        r"parse error at line 1, col 2: syntax error: unexpected STRING, expecting IDENTIFIER or }",
    ),
    (r"{app=x}", r"parse error at line 1, col 6: syntax error: unexpected IDENTIFIER, expecting STRING"),
    (r#"{app = "a\q"}"#, r"parse error at line 1, col 8: invalid char escape"),
    (r#"rate({app="x"}[5m"#, r"parse error at line 0, col 15: missing closing ']' in duration"),
    (r#"{app="x"} |= `abc"#, r"parse error at line 1, col 14: literal not terminated"),
    (r#"sum by (a) ({app="x"})"#, r"parse error at line 1, col 22: syntax error: unexpected )"),
    (r#"count_over_time({app="x"} | json | b > 5 [5m])"#, r"ok"),
    (r#"{app="x"} | a > 5KB or b < 10ms and c = "d""#, r"ok"),
    (
        r#"{app="x"} | pattern `<a><b>`"#,
        r"parse error : invalid pattern parser: found consecutive capture '<a><b>': invalid expression",
    ),
    (
        r#"{app="x"} | regexp `(?P<a>x)(?P<a>y)`"#,
        r"parse error : invalid regexp parser: duplicate extracted label name 'a'",
    ),
    (r#"sort(rate({app="x"}[5m])) by (a)"#, r"parse error : sort and sort_desc doesn't allow grouping by "),
    (
        r#"bytes_over_time({app="x"}[5m]) by (a)"#,
        r"parse error : grouping not allowed for bytes_over_time aggregation",
    ),
    (r#"(rate({app="x"}[5m]))"#, r"ok"),
    (r#"rate({app="x"}[1h30m])"#, r"ok"),
    (r#"rate({app="x"}[1.5h])"#, r#"parse error at line 0, col 15: unknown unit "." in duration "1.5h""#),
    (r#"rate({app="x"}[0s])"#, r"ok"),
    (r#"topk(0, rate({app="x"}[5m]))"#, r"parse error : invalid parameter (must be greater than 0) topk(0"),
    (r#"topk(-1, rate({app="x"}[5m]))"#, r"parse error at line 1, col 8: syntax error: unexpected ,"),
    (r#"sum(rate({app="x"}[5m]), 5)"#, r"parse error at line 1, col 24: syntax error: unexpected ,"),
    (r#"{app="x"} | __error__="""#, r"ok"),
    (r#"{app="x"}[5m]"#, r"parse error at line 0, col 10: syntax error: unexpected RANGE"),
    (r#"{app="x"} # comment"#, r"ok"),
    (r"# only", r"parse error at line 1, col 7: syntax error: unexpected $end"),
    (r"}", r"parse error at line 1, col 1: syntax error: unexpected }"),
    (r#"{app="é"} |"#, r"parse error at line 1, col 12: syntax error: unexpected $end"),
    ("{app=\"x\"}\n|= \"a\"\n| foo", r"parse error at line 3, col 6: syntax error: unexpected $end"),
    (
        r#"{app="x"} | label_format a=b,"#,
        r"parse error at line 1, col 30: syntax error: unexpected $end, expecting IDENTIFIER",
    ),
    (
        r#"{app="x"} | label_format a="#,
        r"parse error at line 1, col 28: syntax error: unexpected $end, expecting IDENTIFIER or STRING",
    ),
    (r#"{app="x"} | decolorize a"#, r"parse error at line 1, col 24: syntax error: unexpected IDENTIFIER"),
    (r#"{app="x"} | unpack x"#, r"parse error at line 1, col 20: syntax error: unexpected IDENTIFIER"),
    (
        r#"avg_over_time({app="x"} | unwrap foo(a) [5m])"#,
        r"parse error at line 1, col 37: syntax error: unexpected (, expecting RANGE or |",
    ),
    (
        r#"rate({app="x"} |= "a" [5m]) == bool"#,
        r"parse error at line 1, col 36: syntax error: unexpected $end",
    ),
    (
        r#"rate({app="x"}[5m]) / on("#,
        r"parse error at line 1, col 26: syntax error: unexpected $end, expecting IDENTIFIER or )",
    ),
    (
        r#"rate({app="x"}[5m]) / on(a) group_left(b rate({app="x"}[5m])"#,
        r"parse error at line 1, col 42: syntax error: unexpected RATE, expecting , or )",
    ),
    (
        r#"absent_over_time({app="x"}[5m]) by (a)"#,
        r"parse error : grouping not allowed for absent_over_time aggregation",
    ),
];

#[test]
fn a_query_is_taken_or_refused_as_loki_does() {
    let mut different = Vec::new();
    for (query, wanted) in SAID {
        let said = parse(query).map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        if said != *wanted {
            different.push(format!("{query}\n  ours {said}\n  real {wanted}"));
        }
    }
    assert!(different.is_empty(), "{} differences:\n{}", different.len(), different.join("\n"));
}
