//! The systems beside Kubernetes under every fault: through the API server, and at a URL.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use opsdeck::identity::{ObjectRef, Resource};
use opsdeck::signals::{System, Using, Wanted, Window};
use opsdeck::sources::loki::{self, Direction, Question, SECOND, Span, Tail, TailNews};
use opsdeck::sources::{Directions, SourceError, Systems};
use tokio::sync::mpsc;

use super::front::Fault;
use super::{Ask, Bench, Case, LOGIN, Sort, Source, alertmanager, case, holds, prometheus, says, told};

/// What can come of any system that speaks JSON over HTTP.
fn faults() -> Vec<Case> {
    let gzip = vec![("content-encoding", "gzip".to_owned()), ("content-type", "application/json".to_owned())];
    let elsewhere = vec![("location", "https://login.example.com/?next=%2F".to_owned())];
    vec![
        case(says(401, "text/plain", "no org id"), Sort::Unauthenticated, &["no org id", "bearer_env"]),
        case(says(401, "text/html", LOGIN), Sort::Unauthenticated, &["401 Unauthorized", "bearer_env"]),
        case(says(403, "text/plain", "not yours"), Sort::Denied, &["not yours", "ask whoever runs it"]),
        case(
            says(404, "text/plain", "404 page not found\n"),
            Sort::Missing,
            &["404 page not found", "prefix"],
        ),
        case(
            Fault::Says(
                429,
                vec![("retry-after", "7".to_owned())],
                b"too many outstanding requests".to_vec(),
            ),
            Sort::Throttled,
            &["too many outstanding requests"],
        ),
        case(
            Fault::Says(429, vec![("retry-after", "Mon, 02 Mar 2026 14:00:07 GMT".to_owned())], Vec::new()),
            Sort::Throttled,
            &["429 Too Many Requests"],
        ),
        case(
            says(500, "text/plain", "boom \u{1b}[31mred"),
            Sort::Garbled,
            &["500 Internal Server Error: boom red", "its log"],
        ),
        case(says(502, "text/html", LOGIN), Sort::Unreachable, &["502 Bad Gateway"]),
        case(says(503, "text/plain", "starting"), Sort::Unreachable, &["503 Service Unavailable: starting"]),
        case(says(200, "text/html", LOGIN), Sort::Unreachable, &["a web page came instead", "log in"]),
        case(
            Fault::Says(302, elsewhere, Vec::new()),
            Sort::Unreachable,
            &["sends on to https://login.example.com", "log in"],
        ),
        case(says(200, "application/json", ""), Sort::Garbled, &["nothing"]),
        case(says(200, "application/json", "{\"status\":\"success\",\"data\":{\"resu"), Sort::Garbled, &[]),
        case(says(200, "application/json", "\u{0}\u{1}\u{2}garbage"), Sort::Garbled, &[]),
        case(says(200, "application/json", "null"), Sort::Garbled, &[]),
        case(says(200, "application/json", "{}"), Sort::Garbled, &[]),
        case(Fault::Says(200, gzip, [b'?'; 80].to_vec()), Sort::Garbled, &[]),
        case(Fault::HangUp, Sort::Unreachable, &[]),
        case(Fault::Cut(b"{\"status\":"), Sort::Unreachable, &["cut off"]),
        case(Fault::Stall(b"{\"status\":"), Sort::Unreachable, &["timed out"]),
        case(Fault::Silence, Sort::Unreachable, &["timed out"]),
    ]
}

/// What systems say that have an envelope with a status.
fn envelopes() -> Vec<Case> {
    let error = r#"{"status":"error","errorType":"bad_data","error":"parse error at char 3"}"#;
    vec![
        case(says(200, "application/json", error), Sort::Invalid, &["parse error at char 3"]),
        case(says(400, "application/json", error), Sort::Invalid, &["parse error at char 3"]),
    ]
}

/// What the API server itself says where a system is behind it.
fn proxied() -> Vec<Case> {
    let forbidden = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"services \"x\" is forbidden: User \"dev\" cannot get resource \"services/proxy\" in API group \"\" in the namespace \"monitoring\"","reason":"Forbidden","code":403}"#;
    let nobody = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no endpoints available for service \"x\"","reason":"ServiceUnavailable","code":503}"#;
    vec![
        case(
            says(403, "application/json", forbidden),
            Sort::Denied,
            &["cannot get resource", "services/proxy"],
        ),
        case(says(503, "application/json", nobody), Sort::Unreachable, &["no endpoints available"]),
    ]
}

/// Runs one question through the API server and at a URL.
async fn both_ways(system: System, part: &str, ask: Ask, other: Ask, cases: impl Fn() -> Vec<Case>) {
    let mut bench = Bench::start().await;
    let found = bench.systems(&BTreeMap::default()).await.one(system).await.unwrap();
    let thing = system.name().to_owned();
    let source = Source {
        thing: thing.clone(),
        place: found.place.to_string(),
        part: format!("/proxy{part}"),
        ask,
        other,
        directions: BTreeMap::default(),
    };
    // Where the connection to the API server goes, it is the API server that is lost.
    let mut all: Vec<Case> = cases().into_iter().filter(|one| !matches!(one.fault, Fault::HangUp)).collect();
    all.extend(proxied());
    holds(&mut bench, &source, &all).await;
    let (directions, place) = bench.at_url(system);
    let source = Source { place, directions, ..source };
    holds(&mut bench, &source, &cases()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_keeps_the_contract() {
    fn range(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        let window = Window::Last { seconds: 600 };
        Box::pin(told(systems, Wanted::Range { query: "vector(1)".into(), window, step: 60 }))
    }
    let cases = || faults().into_iter().chain(envelopes()).collect();
    both_ways(System::Prometheus, "/api/v1/query_range", range, alertmanager, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_prometheus_keep_the_contract() {
    fn rules(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(told(systems, Wanted::Rules))
    }
    let cases = || faults().into_iter().chain(envelopes()).collect();
    both_ways(System::Prometheus, "/api/v1/rules", rules, alertmanager, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alertmanager_keeps_the_contract() {
    fn alerts(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        // How many there are depends on what Prometheus has sent by then.
        Box::pin(async move { told(systems, Wanted::Alerts).await.map(|_| "alerts".to_owned()) })
    }
    both_ways(System::Alertmanager, "/api/v2/alerts", alerts, prometheus, faults).await;
}

fn span() -> Span {
    let end = i64::try_from(super::NOW.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap();
    Span { start: end - 600 * SECOND, end }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_of_loki_keep_the_contract() {
    fn lines(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let endpoint = systems.one(System::Loki).await?;
            let query = r#"{namespace="tenant-1"}"#.to_owned();
            let question = Question { query, span: span(), limit: 50, direction: Direction::Backward };
            let lines = loki::lines(&endpoint, &question).await?;
            Ok(format!("{} lines, {} garbled", lines.entries.len(), lines.garbled))
        })
    }
    let cases = || {
        let mut all = faults();
        all.push(case(
            says(400, "text/plain", "parse error at line 1"),
            Sort::Invalid,
            &["parse error at line 1"],
        ));
        all.extend(envelopes());
        all
    };
    both_ways(System::Loki, "/loki/api/v1/query_range", lines, prometheus, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_and_names_of_loki_keep_the_contract() {
    fn both(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let endpoint = systems.one(System::Loki).await?;
            let stats = loki::stats(&endpoint, r#"{namespace="tenant-1"}"#, span()).await?;
            Ok(format!("{stats:?}"))
        })
    }
    fn names(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let endpoint = systems.one(System::Loki).await?;
            Ok(format!("{:?}", loki::labels(&endpoint, span()).await?))
        })
    }
    let cases = || faults().into_iter().chain(envelopes()).collect();
    both_ways(System::Loki, "/loki/api/v1/index/stats", both, prometheus, cases).await;
    both_ways(System::Loki, "/loki/api/v1/labels", names, prometheus, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_of_loki_keeps_the_contract() {
    fn tail(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let endpoint = systems.one(System::Loki).await?;
            let (mail, mut news) = mpsc::channel(8);
            let wanted = Tail { query: r#"{namespace="tenant-1"}"#.into(), start: span().start, limit: 10 };
            let following = tokio::spawn(async move { loki::tail(&endpoint, wanted, &mail).await });
            let first = news.recv().await;
            drop(news);
            match first {
                Some(TailNews::Failed(error)) => Err(error),
                Some(news) => Ok(format!("{news:?}")),
                None => Err(following.await.unwrap().unwrap_err()),
            }
        })
    }
    let cases = || {
        let answers = |one: &Case| {
            // A tail is no answer of JSON: whatever is said with 200 instead of going on as a WebSocket is refused.
            !matches!(&one.fault, Fault::Says(200, headers, _) if headers[0].1 != "text/html")
                && !matches!(one.fault, Fault::Cut(_) | Fault::Stall(_))
        };
        let mut all: Vec<Case> = faults().into_iter().filter(answers).collect();
        all.push(case(says(200, "application/json", "{}"), Sort::Garbled, &["WebSocket"]));
        all
    };
    both_ways(System::Loki, "/loki/api/v1/tail", tail, prometheus, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resource_metrics_keep_the_contract() {
    fn usage(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move { told(systems, Wanted::Use(Using::Nodes)).await.map(|_| "known".to_owned()) })
    }
    let mut bench = Bench::start().await;
    let off = Directions { off: true, ..Directions::default() };
    let source = Source {
        thing: "nodes.metrics.k8s.io".to_owned(),
        place: String::new(),
        part: "/apis/metrics.k8s.io/v1beta1/nodes".to_owned(),
        ask: usage,
        other: alertmanager,
        directions: [(System::Prometheus, off)].into(),
    };
    holds(&mut bench, &source, &super::kubernetes::faults()).await;
}

/// The first Application, its project and the commit that it was compared with.
async fn application(systems: &Systems) -> Result<(ObjectRef, String, String), SourceError> {
    let resource = Resource::new("argoproj.io", "applications");
    let all = systems.connection().documents(&resource, Some("argocd"), "", "").await?;
    let text = |pointer: &str| all[0].pointer(pointer).and_then(|text| text.as_str()).unwrap().to_owned();
    let context = systems.connection().context().clone();
    let name = text("/metadata/name").into();
    let application = ObjectRef { context, resource, namespace: Some("argocd".into()), name };
    Ok((application, text("/spec/project"), text("/status/sync/revision")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argocd_server_keeps_the_contract() {
    fn manifests(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let (application, project, revision) = application(&systems).await?;
            let all = systems.manifests(&application, &project, &[revision]).await?;
            Ok(format!("{} manifests", all.len()))
        })
    }
    both_ways(System::ArgoServer, "/api/v1/applications/", manifests, prometheus, faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_of_argocd_server_keeps_the_contract() {
    fn tree(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let (application, project, _) = application(&systems).await?;
            told(systems, Wanted::Tree { application, project: project.into() }).await
        })
    }
    let cases = || {
        // What has brought nothing about has an empty tree.
        let is_empty = |one: &Case| matches!(&one.fault, Fault::Says(200, _, body) if &body[..] == b"{}");
        faults().into_iter().filter(|one| !is_empty(one)).collect()
    };
    both_ways(System::ArgoServer, "/api/v1/applications/", tree, prometheus, cases).await;
}
