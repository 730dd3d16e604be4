//! A real Loki beside the embedded one, on the same entries: `OPSDECK_TEST_LOKI_URL` names it.
//!
//! It must take pushes, and must not add labels of its own (`discover_service_name: []`, `discover_log_levels: false`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Server, entries, start};
use crate::poll;

/// Queries whose answers must be the same.
const QUERIES: &[&str] = &[
    r#"{namespace="tenant-2", pod=~"checkout-.+"} |= "error""#,
    r#"{namespace="tenant-2"} != "GET""#,
    r#"{namespace="tenant-2"} |~ `(?i)error|panic`"#,
    r#"{namespace="tenant-2"} !~ "GET /(ready|live)""#,
    r#"{namespace="tenant-2"} |= "timeout" or "refused""#,
    r#"{namespace="tenant-2"} != "done" or "starting""#,
    r#"{namespace="tenant-2"} | detected_level=~"error|fatal|critical""#,
    r#"{namespace="tenant-2"} | json | level="error" | duration_ms > 50"#,
    r#"{namespace="tenant-2"} | logfmt | status >= 500"#,
    r#"{namespace="tenant-2"} | logfmt --strict | __error__!="""#,
    r#"{namespace="tenant-2"} | json | duration_ms > 5s"#,
    r#"{namespace="tenant-2"} | regexp `(?P<method>GET|POST) (?P<path>\S+)`"#,
    r#"{namespace="ingress-nginx"} | pattern `<ip> - - [<_>] "<method> <path> <_>" <status> <size> <_>` | status >= 400"#,
    r#"{namespace="tenant-2"} | json | __error__="""#,
    r#"{namespace="tenant-2"} | json lvl="level", message="msg""#,
    r#"{namespace="tenant-2"} | json | line_format "{{.level}} {{.msg | ToUpper}} {{ if eq .status \"200\" }}ok{{ else }}bad{{ end }}""#,
    r#"{namespace="tenant-2"} | json | label_format dur=duration_ms, both="{{.app}}/{{.level}}""#,
    r#"{namespace="tenant-2"} | json | keep level, msg"#,
    r#"{namespace="tenant-2"} | json | drop level, trace_id, app"#,
    r#"{namespace="tenant-2"} | decolorize"#,
    r#"{namespace="ingress-nginx"} |= ip("203.0.113.0/24")"#,
    r#"{namespace="ingress-nginx"} |> "<_> POST <_> HTTP/2.0<_>""#,
    r#"{namespace="kube-system", app="coredns"} | pattern `[<level>] <client>:<port> - <_>` | client=ip("10.0.0.0/9")"#,
];

/// Queries for numbers whose answers must be the same.
const NUMBERS: &[&str] = &[
    r#"sum by (pod) (rate({namespace="tenant-2"} |= "error" [2m]))"#,
    r#"sum by (namespace) (bytes_rate({namespace=~".+"}[2m]))"#,
    r#"topk(2, sum by (pod) (count_over_time({namespace="tenant-2"} | detected_level="info" [3m])))"#,
    r#"sum(count_over_time({namespace="tenant-2"} |= "error" [2m])) / sum(count_over_time({namespace="tenant-2"}[2m]))"#,
    r#"quantile_over_time(0.95, {namespace="ingress-nginx", stream="stdout"} | pattern `<_> 412 <took> [<_>` | unwrap took | __error__="" [2m]) by (pod)"#,
    r#"avg_over_time({namespace="tenant-2"} | json | __error__="" | unwrap duration_ms [2m]) by (app)"#,
    r#"stddev_over_time({namespace="tenant-2"} | json | __error__="" | unwrap duration_ms [2m]) by (app)"#,
    r#"sum by (detected_level) (count_over_time({namespace="tenant-2"}[1m]))"#,
    r#"absent_over_time({namespace="tenant-2", app="nobody"}[3m])"#,
    r#"sum without (pod, node_name) (bytes_over_time({namespace="kube-system"} | drop detected_level, trace_id [1m]))"#,
    r#"max by (app) (sum by (app, pod) (count_over_time({namespace="tenant-2"}[1m]))) > 20"#,
    r#"sum by (app) (count_over_time({namespace="tenant-2"}[1m])) unless sum by (app) (count_over_time({namespace="tenant-2"} |= "panic" [1m]))"#,
    r#"label_replace(sum by (pod) (rate({namespace="tenant-2"}[1m])), "short", "$1", "pod", "([a-z]+)-.*")"#,
    r#"count(sum by (pod) (rate({namespace="tenant-2"}[1m]))) * 2 + 1"#,
    r#"sum(rate({namespace="tenant-2"}[1m])) > bool 0"#,
    r#"first_over_time({namespace="tenant-2"} | json | __error__="" | unwrap duration_ms [2m]) by (pod)"#,
];

/// Requests that must be refused with the same words.
const REFUSED: &[(&str, &str)] = &[
    ("query_range", "{app="),
    ("query_range", "{app}"),
    ("query_range", "{app=\"x\""),
    ("query_range", "{app=\"x\"} |="),
    ("query_range", "{app=\"x\"} | "),
    ("query_range", "{app=\"x\"} | json | "),
    ("query_range", "{app=\"x\"} | level"),
    ("query_range", "{app=\"x\"} | level="),
    ("query_range", "{app=\"x\"} | level >"),
    ("query_range", "{app=\"x\"} | line_format"),
    ("query_range", "{app=\"x\"} | label_format a"),
    ("query_range", "{app=\"x\"} | pattern \"no capture\""),
    ("query_range", "{app=\"x\"} | regexp \"(no)name\""),
    ("query_range", "{app=\"x\"} |~ \"(\""),
    ("query_range", "{app=~\"(\"}"),
    ("query_range", "{app=\"x\"} foo"),
    ("query_range", "{app=~\".*\"}"),
    ("query_range", "{}"),
    ("query_range", ""),
    ("query_range", "rate({app=\"x\"})"),
    ("query_range", "rate({app=\"x\"}[5x])"),
    ("query_range", "rate({app=\"x\"}[5m]"),
    ("query_range", "sum by (rate({app=\"x\"}[5m]))"),
    ("query_range", "sum(rate({app=\"x\"}[5m])) by"),
    ("query_range", "topk(rate({app=\"x\"}[5m]))"),
    ("query_range", "sum_over_time({app=\"x\"}[5m])"),
    ("query_range", "count_over_time({app=\"x\"} | unwrap a [5m])"),
    ("query_range", "sum({app=\"x\"})"),
    ("query_range", "{app=\"x\"} + 1"),
    ("query_range", "1 and rate({app=\"x\"}[5m])"),
    ("query_range", "rate({app=\"x\"}[5m]) by (app)"),
    ("query_range", "nonsense"),
    ("query_range", "sum(count_over_time({namespace=\"tenant-2\"} | json [1m]))"),
    ("query", "{app=\"x\"}"),
    ("query", "rate({app=\"x\"}[5m]"),
];

fn same(ours: &Value, theirs: &Value) -> bool {
    let (Some(ours), Some(theirs)) = (ours.as_str(), theirs.as_str()) else { return ours == theirs };
    match (ours.parse::<f64>(), theirs.parse::<f64>()) {
        (Ok(ours), Ok(theirs)) => {
            (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0) || ours.is_nan() && theirs.is_nan()
        }
        _ => ours == theirs,
    }
}

/// Returns the points of an answer by series and time.
fn points(answer: &Value) -> BTreeMap<(String, i64), Value> {
    let mut all = BTreeMap::new();
    for series in answer["data"]["result"].as_array().into_iter().flatten() {
        for point in series["values"].as_array().into_iter().flatten() {
            let at = (point[0].as_f64().unwrap() * 1e3).round() as i64;
            all.insert((series["metric"].to_string(), at), point[1].clone());
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_loki_gives_the_same_answers() {
    let Ok(url) = std::env::var("OPSDECK_TEST_LOKI_URL") else {
        println!("SKIPPED: OPSDECK_TEST_LOKI_URL names no Loki");
        return;
    };
    let real = Server { address: url.trim_start_matches("http://").trim_end_matches('/').to_owned() };
    let (_running, _plain, ours) = start("bad-deploy").await;
    let second = 1_000_000_000_i64;
    let now = jiff::Timestamp::now().as_second();
    // Some minutes of some namespaces, cut at a whole minute.
    let (begin, end) = ((now / 60 - 6) * 60 * second, (now / 60 - 1) * 60 * second);
    let mut pushed = 0;
    for minute in 0..5 {
        let (from, until) = (begin + minute * 60 * second, begin + (minute + 1) * 60 * second);
        for namespace in ["tenant-2", "ingress-nginx", "kube-system"] {
            let query = format!("{{namespace=\"{namespace}\"}}");
            let (from, until) = (from.to_string(), until.to_string());
            let pairs = [
                ("query", query.as_str()),
                ("start", &from),
                ("end", &until),
                ("limit", "5000"),
                ("direction", "forward"),
            ];
            let answer = ours.json("query_range", &pairs, true).await;
            let streams: Vec<Value> = answer["data"]["result"]
                .as_array()
                .unwrap()
                .iter()
                .map(|stream| {
                    let values: Vec<Value> = stream["values"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|value| json!([value[0], value[1], value[2]["structuredMetadata"]]))
                        .collect();
                    pushed += values.len();
                    json!({"stream": stream["stream"], "values": values})
                })
                .collect();
            assert!(
                entries(&answer["data"]["result"]).len() < 5_000,
                "a minute of {namespace} has too many lines"
            );
            let headers = [("x-scope-orgid", "platform"), ("content-type", "application/json")];
            let body = json!({"streams": streams}).to_string();
            let (status, body) = real.send("POST", "/loki/api/v1/push", &headers, body).await;
            assert!(status.is_success(), "{status} {body}");
        }
    }
    let (start, until) = (begin.to_string(), end.to_string());
    let window = [("start", start.as_str()), ("end", until.as_str())];
    // What was pushed is there at once, but the first answer may come from before.
    poll::until(Duration::from_secs(30), async || {
        let count = r#"sum(count_over_time({namespace=~".+"}[10m]))"#;
        let answer = real.json("query", &[("query", count), ("time", &until)], false).await;
        let counted = answer["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse().ok());
        if counted == Some(pushed) { Ok(()) } else { Err(format!("{pushed} were pushed; {answer}")) }
    })
    .await;
    let mut different: Vec<String> = Vec::new();
    for query in QUERIES {
        for direction in ["forward", "backward"] {
            let pairs =
                [&window[..], &[("query", query), ("limit", "5000"), ("direction", direction)]].concat();
            for apart in [true, false] {
                let (one, other) = (
                    ours.get("query_range", &pairs, apart).await,
                    real.get("query_range", &pairs, apart).await,
                );
                let read = |body: &str| serde_json::from_str::<Value>(body).unwrap_or(Value::Null);
                let (one_json, other_json) = (read(&one.1), read(&other.1));
                if one.0 != 200 || other.0 != 200 {
                    if one != other {
                        different.push(format!("{query}\n  ours {one:?}\n  real {other:?}"));
                    }
                    continue;
                }
                let (one, other) =
                    (entries(&one_json["data"]["result"]), entries(&other_json["data"]["result"]));
                if one != other {
                    let at = one.iter().zip(&other).position(|(one, other)| one != other).unwrap_or(0);
                    different.push(format!(
                        "{query} apart={apart}: {} entries, real {}\n  ours {:?}\n  real {:?}",
                        one.len(),
                        other.len(),
                        one.get(at),
                        other.get(at)
                    ));
                }
            }
        }
    }
    // Steps at which whole windows lie within what was pushed.
    let steps = [("start", (begin / second + 180).to_string()), ("end", (end / second - 30).to_string())];
    for query in NUMBERS {
        let pairs = [("query", *query), ("start", &steps[0].1), ("end", &steps[1].1), ("step", "30")];
        let one = points(&ours.json("query_range", &pairs, false).await);
        let other = points(&real.json("query_range", &pairs, false).await);
        let equal = one.len() == other.len()
            && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)));
        if !equal {
            let first =
                one.iter().find(|(key, value)| other.get(*key).is_none_or(|other| !same(value, other)));
            let missing = other.iter().find(|(key, _)| !one.contains_key(*key));
            different.push(format!(
                "{query}: {} points, real {}\n  ours {first:?}\n  real {:?}, and {missing:?}",
                one.len(),
                other.len(),
                first.and_then(|(key, _)| other.get(key))
            ));
        }
    }
    for (path, query) in REFUSED {
        let pairs = [&window[..], &[("query", query)]].concat();
        let (one, other) = (ours.get(path, &pairs, false).await, real.get(path, &pairs, false).await);
        if (one.0, one.1.trim()) != (other.0, other.1.trim()) {
            different.push(format!("{path} {query}\n  ours {one:?}\n  real {other:?}"));
        }
    }
    assert!(different.is_empty(), "{} differences:\n{}", different.len(), different.join("\n"));
}
