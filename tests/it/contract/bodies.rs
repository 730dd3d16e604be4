//! Odd answers: what is in them is shown, or skipped and counted; never a lie.

use std::collections::BTreeMap;

use opsdeck::signals::{
    AlertState, Answer, RuleHealth, RuleState, SilenceState, System, Told, Using, Wanted,
};
use opsdeck::sources::loki::{self, Direction, Question, Span};
use opsdeck::sources::{Directions, Waits};

use super::front::Fault;
use super::{Bench, NOW, Sort, alertmanager, patient, prometheus, says, sort};
use crate::fault_server::{self, FaultServer};

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{"__name__":"a","od\u202ed":"x\u001b[31mred","snow ☃":"a\"b\\c\nd"},"value":[1772459999.5,"NaN"]},
    {"metric":{"i":"plus"},"value":[1,"+Inf"]},
    {"metric":{"i":"minus"},"value":[1,"-Inf"]},
    {"metric":{"i":"a word"},"value":[1,"twelve"]},
    {"metric":{"i":"a number"},"value":[1,12]},
    {"metric":3,"value":[1,"2"]},
    {"metric":{"i":"far off"},"value":[1e300,"3"]},
    {"metric":{"i":"ahead"},"value":[4102444800,"7"]}]},
    "warnings":["No StoreAPIs matched\u001b[0m for this query"],"infos":["PromQL info: metric might not be a counter"]}"#;

async fn answer(bench: &Bench, wanted: &Wanted, part: &str, body: &str) -> Told {
    let systems = bench.systems(&BTreeMap::new()).await;
    // Found before the fault: what is odd is the answer to the question.
    prometheus(systems.clone()).await.unwrap();
    alertmanager(systems.clone()).await.unwrap();
    bench.front.fail(part, &says(200, "text/plain", body));
    let told = systems.answer(wanted).await;
    bench.front.heal();
    told.unwrap_or_else(|error| panic!("{part}: {error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_numbers_labels_and_states_are_shown_or_counted() {
    let bench = Bench::start().await;

    let query = Wanted::Instant { query: "a".into(), at: None };
    let told = answer(&bench, &query, "/proxy/api/v1/query?", VECTOR).await;
    let Answer::Series(series) = &told.answer else { panic!("{told:?}") };
    assert_eq!(told.garbled, 3, "a word, a number that is none of its API's, labels that are none");
    let warnings: Vec<&str> = told.warnings.iter().map(|one| &**one).collect();
    assert_eq!(
        warnings,
        ["No StoreAPIs matched for this query", "PromQL info: metric might not be a counter"]
    );
    assert!(series[0].samples[0].value.is_nan() && series[0].samples[0].at == 1_772_459_999_500);
    assert_eq!(series[0].labels.get("od").or(series[0].labels.get("odd")), Some("xred"));
    assert!(series[0].labels.get("snow ☃").is_some_and(|value| value.starts_with("a\"b\\c")));
    assert!(series[1].samples[0].value.is_infinite() && series[1].samples[0].value.is_sign_positive());
    assert!(series[2].samples[0].value.is_infinite() && series[2].samples[0].value.is_sign_negative());
    assert!(series[3].samples.is_empty(), "unknown is not nought");
    assert_eq!(series.last().unwrap().samples[0].at, 4_102_444_800_000);

    let rules = r#"{"status":"success","data":{"groups":[7,{"name":"g","rules":null},{"name":"odd","rules":[
        {"name":"New","query":"up","type":"alerting","state":"dreaming","health":"splendid","lastEvaluation":"0001-01-01T00:00:00Z",
         "alerts":[{"labels":{"alertname":"New"},"state":"dreaming","activeAt":"2099-01-01T00:00:00Z","value":"NaN"}]},
        {"query":"up"},
        {"name":"Kept","query":"up","type":"alerting","state":"firing","health":"err","lastError":"out of \u001b[1mmemory"}]}]}}"#;
    let told = answer(&bench, &Wanted::Rules, "/proxy/api/v1/rules", rules).await;
    let Answer::Rules(rules) = &told.answer else { panic!("{told:?}") };
    assert_eq!((rules.len(), told.garbled), (2, 2), "{rules:#?}");
    assert_eq!((rules[0].state, &rules[0].health), (RuleState::Unknown, &RuleHealth::Unknown));
    assert_eq!((rules[0].evaluated, rules[0].alerts[0].state), (None, AlertState::Unknown));
    assert_eq!(rules[1].health, RuleHealth::Failed("out of memory".into()));

    let alerts = r#"[
        {"fingerprint":"1","labels":{"alertname":"Odd","päth/ø":"\u202e{a=\"b\"}\n☃"},"status":{"state":"quarantined"},"startsAt":"2099-01-01T00:00:00Z","receivers":[]},
        {"fingerprint":"2","labels":{},"status":{"state":"active","silencedBy":null},"startsAt":"1970-01-01T00:00:00Z"},
        {"fingerprint":"3","labels":{"alertname":"NoState"}},
        {"fingerprint":"4","labels":{"alertname":"NoTime"},"status":{"state":"active"},"startsAt":"yesterday"},
        "an alert"]"#;
    let told = answer(&bench, &Wanted::Alerts, "/proxy/api/v2/alerts", alerts).await;
    let Answer::Alerts(alerts) = &told.answer else { panic!("{told:?}") };
    assert_eq!((alerts.len(), told.garbled), (2, 3), "{alerts:#?}");
    assert_eq!(alerts[0].state, AlertState::Unknown);
    assert_eq!(alerts[0].labels.get("päth/ø").map(|value| value.starts_with("{a=\"b\"}")), Some(true));
    assert_eq!((alerts[1].state, &*alerts[1].name), (AlertState::Firing, "(no name)"));

    let silences = r#"[
        {"id":"a","status":{"state":"paused"},"matchers":[{"name":"x","value":"y"}],"endsAt":"1970-01-01T00:00:00Z"},
        {"id":"b","status":{"state":"active"}}]"#;
    let told = answer(&bench, &Wanted::Silences, "/proxy/api/v2/silences", silences).await;
    let Answer::Silences(silences) = &told.answer else { panic!("{told:?}") };
    assert_eq!((silences.len(), silences[0].state, told.garbled), (1, SilenceState::Unknown, 1));
    assert!(silences[0].matchers[0].equal && !silences[0].matchers[0].regex);

    // Prometheus knows nothing of the nodes, so the API server is asked.
    let nodes = r#"{"kind":"NodeMetricsList","items":[
        {"metadata":{"name":"a"},"usage":{"cpu":"NaN","memory":"1Ki"}},
        {"metadata":{"name":"b"},"usage":{"cpu":"a lot"}},
        {"metadata":{"name":"c"},"usage":7}]}"#;
    let off = BTreeMap::from([(System::Prometheus, Directions { off: true, ..Directions::default() })]);
    let systems = bench.systems(&off).await;
    bench.front.fail("/apis/metrics.k8s.io/v1beta1/nodes", &says(200, "application/json", nodes));
    let told = systems.answer(&Wanted::Use(Using::Nodes)).await.unwrap();
    let Answer::Usage(usage) = &told.answer else { panic!("{told:?}") };
    let used = usage.get(&"".into(), &"a".into()).unwrap();
    assert_eq!((used.cpu, used.memory, told.garbled), (None, Some(1024.0), 1));
    assert_eq!(usage.get(&"".into(), &"b".into()).and_then(|used| used.cpu), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_log_lines_are_shown_clean_or_counted() {
    let bench = Bench::start().await;
    let systems = bench.systems(&BTreeMap::new()).await;
    let endpoint = systems.one(System::Loki).await.unwrap();
    let body = r#"{"status":"success","data":{"resultType":"streams","result":[
        {"stream":{"a":"\u202eb"},"values":[["4102444800000000000","ahead"],["x","no time"],["99999999999999999999","too far"],["5","\u001b[31mred\u0007",{"parsed":{"level":"dreaming"}}]]},
        {"stream":{},"values":[]}]},"warnings":["maximum of series reached"]}"#;
    bench.front.fail("/loki/api/v1/query_range", &says(200, "text/plain", body));
    let question = Question {
        query: "{a=\"b\"}".into(),
        span: Span { start: 0, end: i64::MAX },
        limit: 10,
        direction: Direction::Backward,
    };
    let lines = loki::lines(&endpoint, &question).await.unwrap();
    let texts: Vec<&str> = lines.entries.iter().map(|entry| &*entry.text).collect();
    assert_eq!((texts, lines.garbled), (vec!["red", "ahead"], 2));
    assert_eq!(lines.entries[0].labels.get("a"), Some("b"));
    assert_eq!(lines.entries[0].level(), Some("dreaming"));
    assert_eq!(&*lines.warnings[0], "maximum of series reached");
    // Numbers instead of lines are not "no lines".
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    bench.front.fail("/loki/api/v1/query_range", &says(200, "application/json", matrix));
    assert_eq!(sort(&loki::lines(&endpoint, &question).await.unwrap_err()), Sort::Garbled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_type_of_content_does_not_matter_where_the_content_is_right() {
    let bench = Bench::start().await;
    let systems = bench.systems(&BTreeMap::new()).await;
    let good = alertmanager(systems.clone()).await.unwrap();
    for kind in ["text/plain; charset=utf-8", "application/octet-stream"] {
        bench.front.fail("/proxy/", &Fault::Altered(kind, &[]));
        assert_eq!(alertmanager(systems.clone()).await.as_ref(), Ok(&good), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_do_not_follow_to_another_host() {
    let mut bench = Bench::start().await;
    let mut elsewhere = FaultServer::start(|_| {
        fault_server::Answer::json(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#)
    })
    .await;
    let there = elsewhere.url();
    let (mut directions, _) = bench.at_url(System::Prometheus);
    directions.get_mut(&System::Prometheus).unwrap().headers = vec![("X-Api-Key".into(), "secret".into())];
    for directions in [directions, BTreeMap::new()] {
        for code in [301, 302, 307, 308] {
            let systems = bench.systems(&directions).await;
            prometheus(systems.clone()).await.unwrap();
            let to = vec![("location", format!("{there}/api/v1/query?query=1"))];
            bench.front.fail("/proxy/api/v1/query?", &Fault::Says(code, to, Vec::new()));
            let error = prometheus(systems).await.unwrap_err();
            assert!(error.to_string().contains(&format!("sends on to {there}:")), "{error}");
            bench.front.heal();
        }
    }
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
    let came = bench.front.came();
    let keys = came.iter().filter(|came| came.headers.contains_key("x-api-key")).count();
    assert!(keys > 4, "the key was sent where it belongs: {keys}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_its_own_host_a_redirect_is_followed() {
    let bench = Bench::start().await;
    let (mut directions, url) = bench.at_url(System::Prometheus);
    directions.get_mut(&System::Prometheus).unwrap().url = Some(format!("{}/moved", bench.front.url));
    let to = vec![("location", format!("{url}/api/v1/status/buildinfo"))];
    bench.front.fail("/moved", &Fault::Says(307, to, Vec::new()));
    let systems = bench.systems(&directions).await;
    assert!(systems.one(System::Prometheus).await.is_ok());
    let circle = vec![("location", "/moved/again".to_owned())];
    bench.front.fail("/moved", &Fault::Says(307, circle, Vec::new()));
    let error = bench.systems(&directions).await.one(System::Prometheus).await.unwrap_err();
    assert!(error.to_string().contains("sends on to another page"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_given_up_at_its_bound() {
    let bench = Bench::start().await;
    let waits = Waits { answer: super::BOUND * 6, ..patient() };
    let found = |directions: BTreeMap<System, Directions>| async {
        let systems = opsdeck::sources::Systems::new(bench.connect(waits).await, directions);
        prometheus(systems.clone()).await.unwrap();
        systems
    };
    let ways = [found(BTreeMap::new()).await, found(bench.at_url(System::Prometheus).0).await];
    for (fault, ways) in [(Fault::Announced(u64::MAX / 2), &ways[..]), (Fault::Flood, &ways[..1])] {
        for systems in ways {
            bench.front.fail("/proxy/api/v1/query?", &fault);
            let error = prometheus(systems.clone()).await.unwrap_err();
            assert!(error.to_string().contains("the answer is larger than 128 MiB"), "{fault:?}: {error}");
            bench.front.heal();
            prometheus(systems.clone()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_use_that_is_known_in_part_says_what_is_missing() {
    let bench = Bench::start().await;
    let systems = bench.systems(&BTreeMap::new()).await;
    prometheus(systems.clone()).await.unwrap();
    // The questions for memory alone.
    bench.front.fail("working_set_bytes", &says(503, "text/plain", "store is down"));
    let told = systems.answer(&Wanted::Use(Using::Pods)).await.unwrap();
    let Answer::Usage(usage) = &told.answer else { panic!("{told:?}") };
    assert!(!usage.is_empty());
    assert_eq!(told.silent.len(), 1, "{:?}", told.silent);
    assert!(told.silent[0].to_string().contains("store is down"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_to_wait_says_until_when_whatever_the_clock_of_the_server() {
    let bench = Bench::start().await;
    let systems = bench.systems(&BTreeMap::new()).await;
    prometheus(systems.clone()).await.unwrap();
    let now: jiff::Timestamp = NOW.parse().unwrap();
    for (text, seconds) in [
        ("30", Some(30)),
        ("-5", Some(-5)),
        ("99999999999999", None),
        ("soon", None),
        ("Mon, 02 Mar 2026 13:00:00 GMT", Some(-3_600)),
    ] {
        let headers = vec![("retry-after", text.to_owned())];
        bench.front.fail("/proxy/api/v1/query?", &Fault::Says(429, headers, Vec::new()));
        let error = prometheus(systems.clone()).await.unwrap_err();
        let opsdeck::sources::SourceError::Throttled { until, .. } = error else { panic!("{error}") };
        assert_eq!(until.map(|until| until.duration_since(now).as_secs()), seconds, "{text}");
    }
}
