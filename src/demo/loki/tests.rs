use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::fmt::Write as _;

use super::answer::{Refused, answer};
use super::request::{Parameters, nanos};
use super::shipped::{Copy, Shipped};
use crate::demo::world::{Options, World};

const HOUR: i64 = 3_600_000_000_000;

fn now() -> Timestamp {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

/// A quiet platform of two tenants, twelve hours after it was made.
fn shipped() -> Shipped {
    let begin = now().checked_sub(SignedDuration::from_hours(12)).unwrap();
    let options = Options { tenants: 2, pods_per_tenant: 12, nodes: 4, alive: false, ..Options::default() };
    let mut world = World::new(&options, begin);
    Shipped::from(Copy::of(&mut world, now()))
}

async fn ask(
    shipped: &Shipped,
    path: &str,
    pairs: &[(&str, &str)],
    flags: bool,
) -> Result<(u16, String), Refused> {
    let escape = |text: &str| {
        let mut all = String::new();
        for byte in text.bytes() {
            let _ = write!(all, "%{byte:02X}");
        }
        all
    };
    let query: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    let asked = Parameters::new(&query.join("&"), "", now());
    let response = answer(path, &asked, shipped, flags)?;
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((code, String::from_utf8(body.to_vec()).unwrap()))
}

async fn value(shipped: &Shipped, path: &str, pairs: &[(&str, &str)], flags: bool) -> Value {
    let (code, body) = ask(shipped, path, pairs, flags).await.unwrap();
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn refused(shipped: &Shipped, path: &str, pairs: &[(&str, &str)]) -> (u16, String) {
    let refused = ask(shipped, path, pairs, false).await.unwrap_err();
    (refused.code, refused.text)
}

/// Returns time, line and stream of every entry of an answer.
fn entries(answer: &Value) -> Vec<(i64, String, Value)> {
    let mut all = Vec::new();
    for stream in answer["data"]["result"].as_array().unwrap() {
        for value in stream["values"].as_array().unwrap() {
            let at = value[0].as_str().unwrap().parse().unwrap();
            all.push((at, value[1].as_str().unwrap().to_owned(), stream["stream"].clone()));
        }
    }
    all.sort_by_key(|(at, line, stream)| (*at, stream.to_string(), line.clone()));
    all
}

/// The queries of contracts 5.6, with names of the demo's world.
const QUERIES: &[&str] = &[
    r#"{namespace="tenant-1", pod=~"checkout-.+"} |= "error""#,
    r#"{namespace="tenant-1"} != "healthz""#,
    r#"{namespace="tenant-1"} |~ `(?i)error|panic`"#,
    r#"{namespace="tenant-1"} !~ "GET /(ready|live)""#,
    r#"{namespace="tenant-1"} |= "timeout" or "refused""#,
    r#"{namespace="tenant-1"} | detected_level=~"error|fatal|critical""#,
    r#"{namespace="tenant-1"} | json | level="error" | duration > 500ms"#,
    r#"{namespace=~"tenant-.+"} | logfmt | status >= 500"#,
    r#"{namespace="tenant-1"} | regexp `(?P<method>GET|POST) (?P<path>\S+)`"#,
    r#"{namespace="ingress-nginx"} | pattern `<ip> - - [<_>] "<method> <path> <_>" <status> <size>`"#,
    r#"{namespace="tenant-1"} | json | __error__="""#,
    r#"{namespace="tenant-1"} | trace_id="abc123""#,
    r#"{namespace="tenant-1"} | json | line_format "{{.level}} {{.msg}}""#,
    r#"{namespace="tenant-1"} | logfmt | label_format dur=duration"#,
    r#"{namespace="tenant-1"} | json | keep level, msg"#,
    r#"{namespace="tenant-1"} | decolorize"#,
    r#"{namespace="ingress-nginx"} |= ip("203.0.113.0/24")"#,
    r#"sum by (pod) (rate({namespace="tenant-1"} |= "error" [5m]))"#,
    r#"sum by (namespace) (bytes_rate({namespace=~".+"}[5m]))"#,
    r#"topk(10, sum by (pod) (count_over_time({namespace="tenant-1"} | detected_level="error" [1h])))"#,
    r#"sum(count_over_time({namespace="tenant-1"} |= "error" [5m])) / sum(count_over_time({namespace="tenant-1"}[5m]))"#,
    r#"quantile_over_time(0.95, {namespace=~"tenant-.+"} | logfmt | unwrap duration_seconds(duration) | __error__="" [5m]) by (pod)"#,
    r#"sum by (detected_level) (count_over_time({namespace="tenant-1"}[1m]))"#,
    r#"absent_over_time({namespace="tenant-1", app="nobody"}[15m])"#,
    r#"sum by (app) (count_over_time({namespace="tenant-1"} [5m]))"#,
];

#[tokio::test]
async fn the_queries_that_consoles_ask_have_answers() {
    let shipped = shipped();
    let (start, end) = ((nanos(now()) - HOUR / 6).to_string(), nanos(now()).to_string());
    // Who asks for a trace that nobody has, or how often something went wrong, may get nothing.
    let may_be_empty = ["abc123", "duration > 500ms", "\"timeout\" or"];
    for query in QUERIES {
        let pairs = [("query", *query), ("start", &start), ("end", &end), ("step", "60")];
        let answer = value(&shipped, "query_range", &pairs, true).await;
        assert_eq!(answer["status"], "success", "{query}");
        let empty = answer["data"]["result"].as_array().unwrap().is_empty();
        assert!(!empty || may_be_empty.iter().any(|part| query.contains(part)), "{query} found nothing");
    }
}

#[tokio::test]
async fn start_is_included_and_end_is_not() {
    let shipped = shipped();
    let query = r#"{namespace="ingress-nginx"}"#;
    let end = nanos(now());
    let all = entries(&value(&shipped, "query_range", &[("query", query), ("limit", "50")], true).await);
    assert_eq!(all.len(), 50);
    let (first, last) = (all[0].0, all[49].0);
    assert!(first >= end - HOUR && last <= end);
    let window =
        [("query", query), ("start", &first.to_string()), ("end", &last.to_string()), ("limit", "5000")];
    let inner = entries(&value(&shipped, "query_range", &window, true).await);
    assert_eq!(inner.first().unwrap().0, first);
    assert!(inner.iter().all(|entry| entry.0 < last));
}

#[tokio::test]
async fn paging_over_entries_of_one_nanosecond_loses_nothing() {
    let shipped = shipped();
    let query = r#"{namespace="ingress-nginx"}"#;
    let (begin, end) = (nanos(now()) - HOUR / 30, nanos(now()));
    let (first, last) = (begin.to_string(), end.to_string());
    let whole = [("query", query), ("start", &first), ("end", &last), ("limit", "5000")];
    let all = entries(&value(&shipped, "query_range", &whole, true).await);
    assert!(all.len() > 500);
    assert!(all.windows(2).any(|two| two[0].0 == two[1].0), "there are no ties to page over");
    for direction in ["backward", "forward"] {
        let (mut low, mut high) = (begin, end);
        let mut seen: Vec<(i64, String, Value)> = Vec::new();
        loop {
            let (from, until) = (low.to_string(), high.to_string());
            let page = [
                ("query", query),
                ("start", from.as_str()),
                ("end", &until),
                ("limit", "40"),
                ("direction", direction),
            ];
            let page = entries(&value(&shipped, "query_range", &page, true).await);
            let count = page.len();
            let edge = if direction == "backward" { page.first() } else { page.last() };
            let Some(edge) = edge.map(|entry| entry.0) else { break };
            let new: Vec<_> = page.into_iter().filter(|entry| !seen.contains(entry)).collect();
            seen.extend(new);
            if count < 40 {
                break;
            }
            // The next page begins with the last moment of this one.
            if direction == "backward" { high = edge + 1 } else { low = edge }
        }
        seen.sort_by_key(|(at, line, stream)| (*at, stream.to_string(), line.clone()));
        assert_eq!(seen.len(), all.len(), "{direction}");
        assert_eq!(seen, all, "{direction}");
    }
}

#[tokio::test]
async fn labels_stand_apart_only_for_who_asks_for_it() {
    let shipped = shipped();
    let pairs = [("query", r#"{namespace="tenant-1", app="checkout"} | json"#), ("limit", "200")];
    let apart = value(&shipped, "query_range", &pairs, true).await;
    assert_eq!(apart["data"]["encodingFlags"][0], "categorize-labels");
    let stream = &apart["data"]["result"][0];
    let names: Vec<&String> = stream["stream"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["app", "cluster", "container", "job", "namespace", "node_name", "pod", "service_name", "stream"]
    );
    let about = &stream["values"][0][2];
    assert!(about["structuredMetadata"]["detected_level"].is_string(), "{about}");
    assert!(about["parsed"]["msg"].is_string(), "{about}");

    let merged = value(&shipped, "query_range", &pairs, false).await;
    assert!(merged["data"]["encodingFlags"].is_null());
    let streams = merged["data"]["result"].as_array().unwrap();
    assert!(streams.len() > apart["data"]["result"].as_array().unwrap().len());
    assert!(streams.iter().all(|stream| stream["stream"]["detected_level"].is_string()));
    assert!(streams.iter().all(|stream| stream["values"][0].as_array().unwrap().len() == 2));
    assert_eq!(entries(&merged).len(), entries(&apart).len());
}

#[tokio::test]
async fn what_is_too_much_is_refused_in_the_words_of_loki() {
    let shipped = shipped();
    let query = ("query", r#"{namespace="tenant-1"}"#);
    let metric = ("query", r#"sum(rate({namespace="tenant-1"}[5m]))"#);
    for (path, pairs, wanted) in [
        (
            "query_range",
            vec![query, ("limit", "5001")],
            "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)",
        ),
        (
            "query_range",
            vec![query, ("since", "31d")],
            "the query time range exceeds the limit (query length: 744h0m0s, limit: 30d1h)",
        ),
        (
            "query_range",
            vec![metric, ("since", "24h"), ("step", "1")],
            "exceeded maximum resolution of 11,000 points per time series",
        ),
        (
            "query_range",
            vec![query, ("start", "10"), ("end", "5")],
            "end timestamp must not be before or equal to start time",
        ),
        ("query_range", vec![query, ("limit", "0")], "limit must be a positive value"),
        ("query_range", vec![query, ("direction", "sideways")], "invalid direction 'sideways'"),
        (
            "query_range",
            vec![("query", "{app=~\".*\"}")],
            "parse error : queries require at least one regexp or equality matcher",
        ),
        (
            "query_range",
            vec![("query", "{app=\"x\"} |~")],
            "parse error at line 1, col 13: syntax error: unexpected $end",
        ),
        ("query", vec![query], "log queries are not supported as an instant query type"),
        (
            "query",
            vec![("query", r#"count_over_time({namespace=~".+"}[5m])"#)],
            "maximum number of series (500) reached for a single query",
        ),
    ] {
        let (code, text) = refused(&shipped, path, &pairs).await;
        assert_eq!(code, 400, "{text}");
        assert!(text.starts_with(wanted), "{text}");
    }
}

#[tokio::test]
async fn points_lie_on_multiples_of_the_step() {
    let shipped = shipped();
    let start = (nanos(now()) / 1_000_000_000 - 607).to_string();
    let pairs =
        [("query", r#"sum(count_over_time({namespace="tenant-1"}[1m]))"#), ("start", &start), ("step", "60")];
    let answer = value(&shipped, "query_range", &pairs, false).await;
    assert_eq!(answer["data"]["resultType"], "matrix");
    let points = answer["data"]["result"][0]["values"].as_array().unwrap().clone();
    assert!(points.iter().all(|point| point[0].as_i64().unwrap() % 60 == 0), "{points:?}");
    assert_eq!(points.len(), 12);
    // The count of a minute is what a query for its lines returns: the window is open at its beginning.
    let at = points[5][0].as_i64().unwrap() * 1_000_000_000;
    let (from, until) = ((at - HOUR / 60 + 1).to_string(), (at + 1).to_string());
    let lines =
        [("query", r#"{namespace="tenant-1"}"#), ("start", &from), ("end", &until), ("limit", "5000")];
    let lines = entries(&value(&shipped, "query_range", &lines, true).await).len();
    assert_eq!(points[5][1], lines.to_string());
}

#[tokio::test]
async fn labels_series_and_volumes_are_known_without_reading() {
    let shipped = shipped();
    let labels = value(&shipped, "labels", &[], false).await;
    assert_eq!(labels["data"][0], "app");
    let values = value(&shipped, "label/namespace/values", &[], false).await;
    assert!(values["data"].as_array().unwrap().contains(&"tenant-1".into()));
    let scoped = value(&shipped, "label/namespace/values", &[("query", "{app=\"coredns\"}")], false).await;
    assert_eq!(scoped["data"], serde_json::json!(["kube-system"]));
    // Before there was anything.
    let nothing =
        value(&shipped, "labels", &[("start", "10"), ("end", "20"), ("query", "{namespace=\"x\"}")], false)
            .await;
    assert_eq!(nothing, serde_json::json!({"status": "success"}));

    let series = [("match[]", r#"{app="coredns"}"#), ("match[]", r#"{job="audit"}"#)];
    let series = value(&shipped, "series", &series, false).await;
    assert_eq!(series["data"].as_array().unwrap().len(), 3);

    let stats = value(&shipped, "index/stats", &[("query", r#"{app="coredns"}"#)], false).await;
    assert_eq!(stats["streams"], 2);
    let count = [("query", r#"sum(count_over_time({app="coredns"}[1h]))"#)];
    let count = value(&shipped, "query", &count, false).await;
    let count: f64 = count["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    let estimate = stats["entries"].as_f64().unwrap();
    assert!((estimate / count - 1.0).abs() < 0.2, "{estimate} estimated, {count} counted");

    let volume = value(&shipped, "index/volume", &[("query", r#"{namespace=~"tenant-.+"}"#)], false).await;
    let volumes = volume["data"]["result"].as_array().unwrap();
    let mut names: Vec<&str> =
        volumes.iter().map(|volume| volume["metric"]["namespace"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["tenant-1", "tenant-2", "tenant-2-staging"]);
    let range = [("query", r#"{namespace="tenant-1"}"#), ("targetLabels", "app"), ("step", "600")];
    let range = value(&shipped, "index/volume_range", &range, false).await;
    assert_eq!(range["data"]["resultType"], "matrix");
    assert_eq!(range["data"]["result"][0]["values"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn fields_are_found_in_the_lines() {
    let shipped = shipped();
    let pairs = [("query", r#"{namespace="tenant-1", app="checkout"}"#)];
    let fields = value(&shipped, "detected_fields", &pairs, false).await;
    let field = |name: &str| {
        fields["fields"].as_array().unwrap().iter().find(|field| field["label"] == name).unwrap().clone()
    };
    assert_eq!(field("duration_ms")["type"], "int");
    assert_eq!(field("duration_ms")["parsers"], serde_json::json!(["json"]));
    assert!(field("detected_level")["parsers"].is_null());
    let levels = value(&shipped, "detected_field/level/values", &pairs, false).await;
    assert!(levels["values"].as_array().unwrap().contains(&"info".into()));
    let labels = value(&shipped, "detected_labels", &pairs, false).await;
    assert!(labels["detectedLabels"].as_array().unwrap().iter().any(|label| label["label"] == "pod"));
}

#[tokio::test]
async fn times_within_lines_keep_their_width() {
    let shipped = shipped();
    let count = async |digits: &str| {
        let query = format!(r#"{{namespace=~"tenant-.+"}} |~ "T\\d\\d:\\d\\d:\\d\\d[.]\\d{digits}Z""#);
        let pairs = [("query", query.as_str()), ("limit", "1000"), ("since", "30m")];
        entries(&value(&shipped, "query_range", &pairs, true).await).len()
    };
    // As Envoy, slog and zap write them.
    assert!(count("{3}").await > 100);
    assert_eq!(count("{1,2}").await, 0);
}

#[tokio::test]
async fn audit_events_and_the_controllers_write_in_their_own_shapes() {
    let shipped = shipped();
    for (query, least) in [
        (r#"{job="audit"} | json | responseStatus_code=`403` | user_username!~"system:.*""#, 1),
        (r#"{app="argocd-application-controller"} | logfmt | level="info" | application!="""#, 50),
        (r#"{app="karpenter"} | json | message="found provisionable pod(s)""#, 1),
        (r#"{app="cert-manager"} |= "cert-manager.controller""#, 50),
        (r#"{app="external-secrets"} | json | logger="controllers.ExternalSecret""#, 50),
        (
            r#"{app="coredns"} | pattern `[<level>] <client> - <id> "<type> IN <name> <_>" <code> <_>` | code="NOERROR""#,
            50,
        ),
        (
            r#"{app="ingress-nginx-controller"} | pattern `<ip> - - [<_>] "<method> <path> <_>" <status> <_>` | status=~"2..""#,
            50,
        ),
        (r#"{namespace=~"tenant-.+"} |= "\tat shop.""#, 1),
        (r#"{namespace=~"tenant-.+"} |= "\u001b]0;""#, 1),
    ] {
        let since = if query.contains("tenant-") { "1h" } else { "3h" };
        let pairs = [("query", query), ("limit", "100"), ("since", since)];
        let found = entries(&value(&shipped, "query_range", &pairs, true).await).len();
        assert!(found >= least, "{query}: {found}");
    }
    // The document's beginning keeps the other lines of the hour out of the template.
    let long = [(
        "query",
        r#"max(max_over_time({namespace=~"tenant-.+"} |= "QUJDREVGR0hJ" | label_format n="{{ len __line__ }}" | unwrap n [1h]))"#,
    )];
    let long = value(&shipped, "query", &long, false).await;
    let longest: f64 = long["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!(longest > 10_000.0, "{longest}");
}
