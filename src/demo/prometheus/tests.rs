//! The HTTP API and the rules on a few samples.

use serde_json::{Value, json};

use super::alerts::{Rules, State};
use super::rules::{Kind, RuleSet};
use super::*;
use crate::demo::promql::{Labels, Matcher, Memory, NAME, Series, is_stale};

const MINUTE: i64 = 60_000;

fn samples() -> Memory {
    let mut samples = Memory::default();
    for (pod, speed) in [("a", 1.0), ("b", 2.0)] {
        let labels = Labels::new([("__name__", "work_total"), ("namespace", "shop"), ("pod", pod)]);
        for minute in 0..=60 {
            samples.push(labels.clone(), minute * MINUTE, speed * minute as f64 * 60.0);
        }
    }
    // Something is wrong from minute 20 to minute 40.
    for minute in 0..=60_i64 {
        let level = if (20..40).contains(&minute) { 0.5 } else { 0.0 };
        let labels = Labels::new([("__name__", "errors"), ("namespace", "shop")]);
        samples.push(labels, minute * MINUTE, level);
    }
    samples
}

const RULES: &str = r"
groups:
- name: first
  interval: 1m
  rules:
  - record: namespace:work:rate5m
    expr: sum by (namespace) (rate(work_total[5m]))
    labels: {team: shop}
  - alert: Errors
    expr: errors > 0.1
    for: 5m
    labels: {severity: critical, size: '{{ if gt $value 0.4 }}large{{ else }}small{{ end }}'}
    annotations: {summary: '{{ $labels.namespace }} fails {{ $value | humanizePercentage }}'}
- name: second
  interval: 30s
  rules:
  - alert: Kept
    expr: errors > 0.1
    keep_firing_for: 10m
";

fn rules(until_minute: i64) -> Rules {
    let mut set = RuleSet::default();
    set.add("test", RULES).unwrap();
    let mut rules = Rules::new(set, 0, 0);
    // A first evaluation goes back no further than alerts need.
    for minute in (0..until_minute).step_by(10).chain([until_minute]) {
        rules.advance(&samples(), minute * MINUTE);
    }
    rules
}

fn get(path: &str, query: &str) -> Reply {
    get_at(path, query, 60)
}

fn get_at(path: &str, query: &str, minute: i64) -> Reply {
    let asked = Asked {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: Query::new(query),
        now_ms: minute * MINUTE,
    };
    answer(&asked, &samples(), &rules(minute))
}

fn data(path: &str, query: &str) -> Value {
    let reply = get(path, query);
    assert_eq!(reply.code, 200, "{}", String::from_utf8_lossy(&reply.body));
    let mut body = reply.json();
    assert_eq!(body["status"], "success");
    body["data"].take()
}

#[track_caller]
fn refused(path: &str, query: &str, code: u16, kind: &str, error: &str) {
    let reply = get(path, query);
    let expected = json!({"status": "error", "errorType": kind, "error": error});
    assert_eq!((reply.code, reply.json()), (code, expected));
}

#[test]
fn an_instant_query_answers_a_vector_with_its_time() {
    assert_eq!(
        data("/api/v1/query", "query=sum+by+(namespace)+(rate(work_total%5B5m%5D))&time=1800.5"),
        json!({"resultType": "vector", "result": [
            {"metric": {"namespace": "shop"}, "value": [1800.5, "3"]}
        ]})
    );
    assert_eq!(
        data("/api/v1/query", "query=1%2F0&time=60"),
        json!({"resultType": "scalar", "result": [60, "+Inf"]})
    );
    assert_eq!(
        data("/api/v1/query", "query=%22x%22&time=60"),
        json!({"resultType": "string", "result": [60, "x"]})
    );
    let matrix = data("/api/v1/query", "query=errors%5B2m%5D&time=1970-01-01T00:30:00Z");
    assert_eq!(matrix["result"][0]["values"], json!([[1740, "0.5"], [1800, "0.5"]]));
}

#[test]
fn a_range_query_includes_both_ends() {
    let range = data("/api/v1/query_range", "query=errors&start=1140&end=1260&step=1m");
    assert_eq!(range["resultType"], "matrix");
    assert_eq!(range["result"][0]["values"], json!([[1140, "0"], [1200, "0.5"], [1260, "0.5"]]));
}

#[test]
fn wrong_requests_are_refused_in_prometheus_words() {
    let bad = "bad_data";
    refused(
        "/api/v1/query",
        "query=up&time=x",
        400,
        bad,
        "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp",
    );
    refused(
        "/api/v1/query_range",
        "query=up&start=0&end=11001&step=1",
        400,
        bad,
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    );
    refused(
        "/api/v1/query_range",
        "query=up&start=0&end=10&step=0",
        400,
        bad,
        "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
    );
    refused("/api/v1/series", "", 400, bad, "no match[] parameter provided");
    refused(
        "/api/v1/query",
        "query=work_total%2Fignoring(pod)work_total",
        422,
        "execution",
        "found duplicate series for the match group {namespace=\"shop\"} on the right hand-side of the operation: \
         [{__name__=\"work_total\", namespace=\"shop\", pod=\"b\"}, {__name__=\"work_total\", namespace=\"shop\", \
         pod=\"a\"}];many-to-many matching not allowed: matching labels must be unique on one side",
    );
    assert_eq!(get("/api/v1/query", "query=errors%5B").code, 400);
    assert_eq!(get("/elsewhere", "").code, 404);
    let asked =
        Asked { method: "DELETE".into(), path: "/api/v1/query".into(), query: Query::default(), now_ms: 0 };
    assert_eq!(answer(&asked, &samples(), &rules(0)).code, 405);
}

#[test]
fn a_limit_cuts_and_says_so() {
    let body = get("/api/v1/query", "query=work_total&limit=1").json();
    assert_eq!(body["data"]["result"].as_array().unwrap().len(), 1);
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
}

#[test]
fn series_labels_and_values_are_found_with_recorded_ones_among_them() {
    let series = data("/api/v1/series", "match[]=work_total&match[]=namespace:work:rate5m");
    assert_eq!(
        series,
        json!([
            {"__name__": "namespace:work:rate5m", "namespace": "shop", "team": "shop"},
            {"__name__": "work_total", "namespace": "shop", "pod": "a"},
            {"__name__": "work_total", "namespace": "shop", "pod": "b"},
        ])
    );
    assert_eq!(data("/api/v1/labels", "match[]=work_total"), json!(["__name__", "namespace", "pod"]));
    assert_eq!(data("/api/v1/label/pod/values", ""), json!(["a", "b"]));
    let names = data("/api/v1/label/__name__/values", "");
    assert_eq!(names, json!(["ALERTS", "ALERTS_FOR_STATE", "errors", "namespace:work:rate5m", "work_total"]));
    refused("/api/v1/label/a-b/values", "", 400, "bad_data", "invalid label name: \"a-b\"");
}

#[test]
fn what_a_rule_records_is_there_for_the_whole_history() {
    let range = data("/api/v1/query_range", "query=namespace:work:rate5m&start=600&end=1800&step=600");
    assert_eq!(
        range["result"],
        json!([{
            "metric": {"__name__": "namespace:work:rate5m", "namespace": "shop", "team": "shop"},
            "values": [[600, "3"], [1200, "3"], [1800, "3"]],
        }])
    );
}

#[test]
fn the_latest_that_a_rule_recorded_is_the_end_of_what_it_recorded() {
    let (samples, rules) = (samples(), rules(60));
    let matchers = [Matcher::equal(NAME, "namespace:work:rate5m")];
    let (mut there, mut ended) = (0, 0);
    for second in (0..70 * 60).step_by(17) {
        let now = second * 1_000;
        let recorded = Recorded::new(&samples, &rules, now);
        let last = |found: Vec<Series>| found.first().and_then(|one| one.points.last().copied());
        let all = last(recorded.select(&matchers, now - 300_000, now));
        let latest = last(recorded.latest(&matchers, now - 300_000, now));
        match all {
            Some((_, value)) if is_stale(value) => {
                ended += 1;
                assert_eq!(latest, None, "{second}");
            }
            all => {
                there += usize::from(all.is_some());
                assert_eq!(latest, all, "{second}");
            }
        }
    }
    assert!(there > 100 && ended > 5, "{there} {ended}");
}

#[test]
fn an_alert_is_pending_then_fires_then_ends() {
    let state = |minute: i64, name: &str| {
        let rules = rules(minute);

        rules.groups().find_map(|(group, states, _)| {
            let index = group.rules.iter().position(|rule| rule.name() == name)?;
            states[index].active.values().next().map(|alert| (alert.state, alert.active_ms / MINUTE))
        })
    };
    assert_eq!(state(19, "Errors"), None);
    assert_eq!(state(20, "Errors"), Some((State::Pending, 20)));
    assert_eq!(state(24, "Errors"), Some((State::Pending, 20)));
    assert_eq!(state(25, "Errors"), Some((State::Firing, 20)));
    assert_eq!(state(40, "Errors").map(|found| found.0), Some(State::Inactive));
    // An alert that is kept goes on for its time.
    assert_eq!(state(45, "Kept").map(|found| found.0), Some(State::Firing));
    assert_eq!(state(51, "Kept").map(|found| found.0), Some(State::Inactive));
}

#[test]
fn stepping_often_and_stepping_once_come_to_the_same() {
    let mut set = RuleSet::default();
    set.add("test", RULES).unwrap();
    let mut often = Rules::new(set, 0, 0);
    for minute in 0..=30 {
        often.advance(&samples(), minute * MINUTE);
    }
    let mut once = Rules::new(often.set().clone(), 0, 0);
    once.advance(&samples(), 30 * MINUTE);
    assert_eq!(often.outgoing(30 * MINUTE), once.outgoing(30 * MINUTE));
    assert!(!often.due(30 * MINUTE) && often.due(31 * MINUTE));
}

#[test]
fn alerts_and_rules_are_listed_as_prometheus_lists_them() {
    let alerts = get_at("/api/v1/alerts", "", 30).json();
    assert_eq!(
        alerts["data"]["alerts"][0],
        json!({
            "labels": {"alertname": "Errors", "namespace": "shop", "severity": "critical", "size": "large"},
            "annotations": {"summary": "shop fails 50%"},
            "state": "firing",
            "activeAt": "1970-01-01T00:20:00Z",
            "value": "5e-01",
        })
    );
    let rules = get_at("/api/v1/rules", "type=alert&rule_name[]=Errors", 30).json();
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!(rule["type"], "alerting");
    assert_eq!((&rule["state"], &rule["duration"]), (&json!("firing"), &json!(300.0)));
    assert_eq!((&rule["query"], &rule["health"]), (&json!("errors > 0.1"), &json!("ok")));
    assert_eq!(rules["data"]["groups"].as_array().unwrap().len(), 1);
    let page = get_at("/api/v1/rules", "group_limit=1", 30).json();
    let token = page["data"]["groupNextToken"].as_str().unwrap().to_owned();
    let next = get_at("/api/v1/rules", &format!("group_limit=1&group_next_token={token}"), 30).json();
    assert_eq!(next["data"]["groups"][0]["name"], "second");
    assert_eq!(next["data"].get("groupNextToken"), None);
}

#[test]
fn alerts_leave_series_and_go_to_alertmanager_with_the_servers_own_labels() {
    let count = data(
        "/api/v1/query",
        "query=count_over_time(ALERTS%7Balertname%3D%22Errors%22,alertstate%3D%22firing%22%7D%5B1h%5D)",
    );
    assert_eq!(count["result"][0]["value"][1], "15");
    let gone = data("/api/v1/query", "query=ALERTS%7Balertname%3D%22Errors%22%7D&time=2460");
    assert_eq!(gone["result"], json!([]), "the marker ends it at once, not after five minutes");
    let rules = rules(30);
    let sent = rules.outgoing(30 * MINUTE);
    let errors = sent.iter().find(|alert| alert.labels.get("alertname") == "Errors").unwrap();
    assert_eq!(errors.labels.get("prometheus"), "monitoring/kube-prometheus-stack-prometheus");
    assert_eq!((errors.starts_ms, errors.ends_ms), (25 * MINUTE, 34 * MINUTE));
    assert!(
        errors.generator_url.ends_with("/graph?g0.expr=errors+%3E+0.1&g0.tab=1"),
        "{}",
        errors.generator_url
    );
}

#[test]
fn the_server_tells_about_itself() {
    assert_eq!(data("/api/v1/status/buildinfo", "")["version"], VERSION);
    assert!(data("/api/v1/status/config", "")["yaml"].as_str().unwrap().contains("scrape_interval"));
    assert_eq!(data("/api/v1/status/flags", "")["query.lookback-delta"], "5m");
    assert_eq!(data("/api/v1/status/tsdb", "")["headStats"]["numSeries"], 4);
    assert_eq!(data("/api/v1/status/runtimeinfo", "")["reloadConfigSuccess"], true);
    assert!(data("/api/v1/alertmanagers", "")["activeAlertmanagers"][0]["url"].is_string());
    assert_eq!(get("/-/ready", "").body, b"Prometheus Server is Ready.\n");
}

#[test]
fn every_shipped_rule_can_be_read_and_tells_people_something() {
    let set = RuleSet::shipped().unwrap();
    let mut alerts = 0;
    for rule in set.groups.iter().flat_map(|group| &group.rules) {
        if let Kind::Alerting { alert, annotations, .. } = &rule.kind {
            alerts += 1;
            assert!(
                annotations.contains_key("summary") && annotations.contains_key("description"),
                "{alert}"
            );
            assert!(rule.labels.contains_key("severity"), "{alert}");
        }
    }
    assert!(alerts > 50, "{alerts}");
    let mut rules = Rules::new(set, 0, 0);
    rules.advance(&samples(), 60 * MINUTE);
    for (group, states, _) in rules.groups() {
        for (rule, state) in group.rules.iter().zip(states) {
            assert_eq!(state.error, None, "{}", rule.name());
        }
    }
    let watchdog = rules.outgoing(60 * MINUTE);
    assert!(watchdog.iter().any(|alert| alert.labels.get("alertname") == "Watchdog"));
}
