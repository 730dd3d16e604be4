//! The API server under every fault: objects, Tables, logs, and lists that are followed.

use std::collections::BTreeMap;

use std::sync::Arc;

use futures::future::BoxFuture;
use opsdeck::identity::{ObjectRef, Resource};
use opsdeck::kinds::Kinds;
use opsdeck::sources::logs::{LogNews, LogRequest, LogsFrom};
use opsdeck::sources::{SourceError, Systems};
use opsdeck::store::Query;
use tokio::sync::mpsc;

use super::front::Fault;
use super::{Ask, Bench, Case, LOGIN, Sort, Source, case, holds, patient, prometheus, says, sort};
use crate::bare_console::Console;

fn status(code: u16, reason: &str, message: &str) -> Fault {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    says(code, "application/json", &body.to_string())
}

/// What can come of the API server, or of what stands before it.
pub fn faults() -> Vec<Case> {
    let gzip = vec![("content-encoding", "gzip".to_owned()), ("content-type", "application/json".to_owned())];
    let elsewhere = vec![("location", "https://login.example.com/?next=%2F".to_owned())];
    vec![
        case(
            status(403, "Forbidden", "pods is forbidden: User \"dev\" cannot list resource"),
            Sort::Denied,
            &["User \"dev\" cannot list"],
        ),
        case(
            says(403, "text/html", LOGIN),
            Sort::Unreachable,
            &["a web page came instead (403 Forbidden)", "log in"],
        ),
        case(says(404, "text/plain", "404 page not found\n"), Sort::Missing, &["not installed"]),
        case(
            Fault::Says(
                429,
                vec![("retry-after", "7".to_owned())],
                b"Too many requests, please try again later.".to_vec(),
            ),
            Sort::Throttled,
            &["try again later"],
        ),
        case(
            status(500, "InternalError", "etcdserver: leader changed"),
            Sort::Garbled,
            &["500 Internal Server Error: etcdserver: leader changed"],
        ),
        case(
            says(503, "text/plain", "shutting down"),
            Sort::Unreachable,
            &["503 Service Unavailable: shutting down"],
        ),
        case(
            says(200, "text/html", LOGIN),
            Sort::Unreachable,
            &["a web page came instead (200 OK)", "log in"],
        ),
        case(
            Fault::Says(302, elsewhere, Vec::new()),
            Sort::Unreachable,
            &["sends on to https://login.example.com", "log in"],
        ),
        case(says(200, "application/json", ""), Sort::Garbled, &[]),
        case(says(200, "application/json", "{\"kind\":\"PodList\",\"items\":[{\"meta"), Sort::Garbled, &[]),
        case(says(200, "application/json", "\u{0}\u{1}garbage"), Sort::Garbled, &[]),
        case(says(200, "application/json", "null"), Sort::Garbled, &[]),
        case(says(200, "application/json", "{}"), Sort::Garbled, &[]),
        case(Fault::Says(200, gzip, [b'?'; 80].to_vec()), Sort::Garbled, &[]),
    ]
}

/// Faults of the wire, after which nobody can say that the API server is there.
fn losses() -> Vec<Case> {
    vec![
        case(Fault::HangUp, Sort::Unreachable, &[]),
        case(Fault::Cut(b"{\"kind\":"), Sort::Unreachable, &["cut off"]),
        case(Fault::Stall(b"{\"kind\":"), Sort::Unreachable, &["timed out"]),
        case(Fault::Silence, Sort::Unreachable, &["timed out"]),
    ]
}

async fn source(thing: &str, part: &str, ask: Ask, mut cases: Vec<Case>) {
    let mut bench = Bench::start().await;
    cases.extend(losses());
    let source = Source {
        thing: thing.to_owned(),
        place: String::new(),
        part: part.to_owned(),
        ask,
        other: prometheus,
        directions: BTreeMap::default(),
    };
    holds(&mut bench, &source, &cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_objects_keep_the_contract() {
    fn pods(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let pods = Resource::new("", "pods");
            let all = systems.connection().documents(&pods, Some("tenant-1"), "", "").await?;
            Ok(all.len().to_string())
        })
    }
    source("", "/api/v1/namespaces/tenant-1/pods", pods, faults()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_foreign_types_keep_the_contract() {
    fn table(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let connection = systems.connection();
            let served = connection.served().await?;
            let kind = connection.learn(served.named("configmaps").unwrap()).await?;
            Ok(kind.resource.to_string())
        })
    }
    let denied = |case: &Case| case.sort != Sort::Denied;
    source("", "/api/v1/configmaps", table, faults().into_iter().filter(denied).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_pods_keep_the_contract() {
    fn logs(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
        Box::pin(async move {
            let connection = systems.connection().clone();
            let pods = Resource::new("", "pods");
            let all = connection.documents(&pods, Some("kube-system"), "", "").await?;
            let names = all.iter().filter_map(|pod| pod["metadata"]["name"].as_str());
            let name = names.into_iter().find(|name| name.starts_with("coredns")).unwrap();
            let object = ObjectRef {
                context: connection.context().clone(),
                resource: pods,
                namespace: Some("kube-system".into()),
                name: name.into(),
            };
            let request = LogRequest {
                object,
                container: None,
                previous: false,
                follow: false,
                from: LogsFrom::Beginning,
                tail: Some(5),
            };
            let (sender, mut news) = mpsc::channel(64);
            let reading = connection.logs(Arc::new(Kinds::new()), request, sender);
            let heard = async {
                let (mut lines, mut failed) = (0, None);
                while let Some(one) = news.recv().await {
                    match one {
                        LogNews::Lines { lines: some, .. } => lines += some.len(),
                        LogNews::Failed { error, .. } => failed = Some(error),
                        LogNews::Started { .. } => {}
                    }
                }
                failed.map_or(Ok(format!("{lines} lines")), Err)
            };
            let (read, heard) = tokio::join!(reading, heard);
            read.and(heard)
        })
    }
    // A log is any text: only what cannot be one is refused.
    let text = |case: &Case| match &case.fault {
        Fault::Says(200, headers, _) => headers[0].1 == "text/html",
        _ => true,
    };
    source("the log of kube-system/coredns", "/log?", logs, faults().into_iter().filter(text).collect())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_followed_fails_in_words_and_heals_by_itself() {
    let bench = Bench::start().await;
    let waits = opsdeck::sources::Waits { answer: std::time::Duration::from_secs(2), ..patient() };
    for case in faults().into_iter().chain(losses()) {
        // One that is forbidden as a whole is put together from its parts: that has tests of its own.
        if matches!(case.fault, Fault::Stall(_)) || case.sort == Sort::Denied || case.sort == Sort::Throttled
        {
            continue;
        }
        let connection = bench.connect(waits).await;
        bench.front.fail("/api/v1/services", &case.fault);
        let query = Query::all(connection.context(), &Resource::new("", "services"));
        let mut console = Console::follow(&connection, query);
        console.until("a failure", |console| console.feed().error().is_some()).await;
        let error = console.feed().error().unwrap().clone();
        assert_eq!(sort(&error), case.sort, "{}: {error}", case.fault.name());
        bench.front.heal();
        console.until_live().await;
        assert!(!console.names().is_empty());
    }
}
