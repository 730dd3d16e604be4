//! The Kubernetes source against everything that can go wrong on the way, by a server that does it on purpose.

use std::sync::Arc;
use std::time::Duration;

use opsdeck::gate::Access;
use opsdeck::identity::{ObjectRef, Resource, Text};
use opsdeck::kinds::Kinds;
use opsdeck::sources::logs::{LogNews, LogRequest, LogsFrom};
use opsdeck::sources::{Connection, SourceError, Standing};
use opsdeck::store::{Query, Stage};
use tokio::sync::mpsc;

use crate::bare_console::Console;
use crate::fault_server::{Answer, Asked, FaultServer, Line};

const PODS: &str = "/api/v1/pods";

fn everything(connection: &Connection) -> Query {
    Query::all(connection.context(), &Resource::new("", "pods"))
}

fn pod(namespace: &str, name: &str, version: u32) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"namespace":"{namespace}","name":"{name}","uid":"u-{name}","resourceVersion":"{version}"}},"spec":{{"containers":[]}},"status":{{"phase":"Running"}}}}"#
    )
}

fn list(version: u32, token: &str, items: &[String]) -> Answer {
    let items = items.join(",");
    Answer::json(format!(
        r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"{version}","continue":"{token}"}},"items":[{items}]}}"#
    ))
}

fn event(kind: &str, object: &str) -> String {
    format!(r#"{{"type":"{kind}","object":{object}}}"#)
}

const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 10 (90)","reason":"Expired","code":410}}"#;

/// Serves one list of two pods and a watch that says nothing; `other` may answer first.
async fn server(other: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> FaultServer {
    FaultServer::start(move |asked| {
        if let Some(answer) = other(asked) {
            return answer;
        }
        match (asked.path.as_str(), asked.is_watch()) {
            (PODS, false) => list(10, "", &[pod("a", "one", 1), pod("a", "two", 2)]),
            (PODS, true) => Answer::lines(&[]),
            _ => Answer::Plain(404, Vec::new(), "404 page not found\n"),
        }
    })
    .await
}

#[tokio::test]
async fn pages_come_one_after_the_other_and_the_first_one_is_shown_at_once() {
    let mut server = server(|asked| {
        (asked.path == PODS && !asked.is_watch()).then(|| match asked.query("continue") {
            "" => list(10, "page2", &[pod("a", "one", 1)]),
            "page2" => list(10, "page3", &[pod("a", "two", 2)]),
            _ => list(10, "", &[pod("a", "three", 3)]),
        })
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until_live().await;
    assert_eq!(console.names(), ["one", "three", "two"]);
    assert!(console.rows.contains(&1) && console.rows.contains(&2), "{:?}", console.rows);
    console.until("an open watch", |_| connection.traffic().watches == 1).await;
    let seen = server.seen().to_vec();
    let lists: Vec<&Asked> = seen.iter().filter(|asked| !asked.is_watch()).collect();
    assert!(lists.iter().all(|asked| asked.query("limit") == "500"));
    let watch = seen.iter().find(|asked| asked.is_watch()).unwrap();
    assert_eq!(watch.query("resourceVersion"), "10");
    assert_eq!(watch.query("allowWatchBookmarks"), "true");
    assert_eq!(watch.query("timeoutSeconds"), "290");
    assert_eq!(watch.authorization, "Bearer secret");
    assert_eq!(connection.traffic().lists, 1);
    // Whoever drops the list takes the watch along.
    console.task.abort();
    wait_for("a closed watch", || connection.traffic().watches == 0).await;
}

#[tokio::test]
async fn a_page_that_came_too_late_starts_the_list_again_and_shows_it_once_whole() {
    let server = server(|asked| {
        if asked.path != PODS || asked.is_watch() {
            return None;
        }
        Some(match (asked.query("continue"), asked.before) {
            ("", 0) => list(10, "old", &[pod("a", "gone", 1)]),
            ("old", _) => Answer::status(410, "Expired", "The provided continue parameter is too old"),
            _ => list(20, "", &[pod("a", "new", 2)]),
        })
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until_live().await;
    assert_eq!(console.names(), ["new"]);
}

#[tokio::test]
async fn a_watch_that_is_too_old_is_listed_again_without_an_empty_moment() {
    let server = server(|asked| match (asked.path.as_str(), asked.is_watch(), asked.before) {
        (PODS, false, 1..) => Some(list(90, "", &[pod("a", "two", 2), pod("a", "three", 80)])),
        (PODS, true, 0) => Some(Answer::ended(&[EXPIRED])),
        // The other form: the code of the answer itself.
        (PODS, true, 1) => Some(Answer::status(410, "Expired", "too old resource version")),
        _ => None,
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("three", |console| console.names() == ["three", "two"]).await;
    console.until_live().await;
    let first = console.rows.iter().position(|rows| *rows > 0).unwrap();
    assert!(console.rows[first..].iter().all(|rows| *rows == 2), "{:?}", console.rows);
    console.until("a third list", |_| connection.traffic().lists == 3).await;
    console.until_live().await;
    assert!(console.stages.contains(&Stage::Refilling), "{:?}", console.stages);
    assert!(
        !console.stages.iter().any(|stage| matches!(stage, Stage::Failed { .. })),
        "{:?}",
        console.stages
    );
}

#[tokio::test]
async fn a_cut_watch_goes_on_from_where_it_was() {
    let mut server = server(|asked| match (asked.path.as_str(), asked.is_watch(), asked.before) {
        (PODS, true, 0) => Some(Answer::cut(&[
            &event("MODIFIED", &pod("a", "one", 11)),
            &event("BOOKMARK", r#"{"kind":"Pod","metadata":{"resourceVersion":"15"}}"#),
        ])),
        (PODS, true, 1) => Some(Answer::lines(&[
            &event("DELETED", &pod("a", "one", 16)),
            &event("ADDED", &pod("b", "three", 17)),
        ])),
        _ => None,
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("the changes", |console| console.names() == ["three", "two"]).await;
    let watches: Vec<String> = server
        .seen()
        .iter()
        .filter(|asked| asked.is_watch())
        .map(|asked| asked.query("resourceVersion").to_owned())
        .collect();
    assert_eq!(watches, ["10", "15"]);
    assert_eq!(connection.traffic().lists, 1, "nothing was listed again");
}

#[tokio::test]
async fn a_server_that_goes_away_leaves_the_rows_and_says_so_until_it_is_back() {
    let server = server(|asked| match (asked.path.as_str(), asked.is_watch(), asked.before) {
        (PODS, true, 0) => Some(Answer::ended(&[])),
        (PODS, true, 1 | 2) => Some(Answer::Plain(503, Vec::new(), "apiserver is shutting down")),
        _ => None,
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("a failure", |console| console.feed().error().is_some()).await;
    assert_eq!(console.names(), ["one", "two"]);
    assert!(matches!(console.feed().error(), Some(SourceError::Unreachable { .. })));
    assert!(matches!(console.feed().stage, Stage::Failed { retry_at: Some(_), .. }));
    console.until_live().await;
}

#[tokio::test]
async fn a_burst_of_changes_becomes_little_mail() {
    let (sender, receiver) = mpsc::channel(4_096);
    for version in 100..1_100 {
        let line = event("MODIFIED", &pod("a", "one", version));
        sender.try_send(Line::Text(line)).unwrap();
    }
    let receiver = Arc::new(tokio::sync::Mutex::new(Some(receiver)));
    let server = server(move |asked| {
        let receiver = (asked.path == PODS && asked.is_watch()).then(|| receiver.try_lock().unwrap().take());
        receiver.flatten().map(Answer::Lines)
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console
        .until("the last change", |console| {
            console.shelf().get(Some("a"), "one").is_some_and(|pod| &*pod.meta.resource_version == "1099")
        })
        .await;
    assert!(console.rows.len() < 100, "{} pieces of mail", console.rows.len());
    drop(sender);
}

#[tokio::test]
async fn an_object_that_is_garbage_costs_only_itself() {
    let server = server(|asked| match (asked.path.as_str(), asked.is_watch()) {
        (PODS, false) => Some(list(
            10,
            "",
            &[
                pod("a", "one", 1),
                r#"{"metadata":{"namespace":"a","name":"bad","uid":"x","resourceVersion":"3"},"spec":{"containers":"none"}}"#.into(),
                pod("a", "two", 2),
            ],
        )),
        (PODS, true) => Some(Answer::lines(&[
            &event("ADDED", r#"{"metadata":{"namespace":"a","name":"worse","resourceVersion":"11"},"spec":7}"#),
            &event("ADDED", &pod("a", "three", 12)),
        ])),
        _ => None,
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("three", |console| console.names() == ["one", "three", "two"]).await;
    let feed = console.feed();
    assert_eq!((feed.garbled, &feed.stage), (2, &Stage::Live));
    let names: Vec<&str> = feed.samples.iter().map(|garbled| garbled.name.as_str()).collect();
    assert_eq!(names, ["a/bad", "a/worse"]);
    assert!(!feed.is_complete());
}

#[tokio::test]
async fn an_answer_that_is_cut_or_no_list_is_asked_for_again() {
    let server = server(|asked| match (asked.path.as_str(), asked.is_watch(), asked.before) {
        (PODS, false, 0) => Some(Answer::json(r#"{"kind":"PodList","metadata":{},"items":[{"metadata""#)),
        (PODS, false, 1) => Some(Answer::Plain(200, Vec::new(), "<html>Welcome to the proxy</html>")),
        (PODS, false, 2) => Some(Answer::Plain(500, Vec::new(), "internal error")),
        _ => None,
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("a failure", |console| console.feed().error().is_some()).await;
    assert!(matches!(console.feed().error(), Some(SourceError::Garbled { .. })), "{:?}", console.feed());
    console.until_live().await;
    assert_eq!(connection.traffic().lists, 4);
}

#[tokio::test]
async fn a_crd_that_is_not_installed_says_so_and_heals_when_it_is() {
    let server = server(|asked| {
        let missing = asked.path == PODS && !asked.is_watch() && asked.before < 2;
        missing.then(|| Answer::Plain(404, vec![("content-type", "text/plain")], "404 page not found\n"))
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("a failure", |console| console.feed().error().is_some()).await;
    let sentence = console.feed().error().unwrap().to_string();
    assert_eq!(sentence, "pods does not exist: the server has no such API: its CRD is not installed");
    console.until_live().await;
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says() {
    let server = server(|asked| {
        let busy = asked.path == PODS && !asked.is_watch() && asked.before == 0;
        busy.then(|| Answer::Plain(429, vec![("retry-after", "1")], "Too many requests"))
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("a failure", |console| console.feed().error().is_some()).await;
    assert!(matches!(console.feed().error(), Some(SourceError::Throttled { until: Some(_), .. })));
    assert_eq!(connection.traffic().throttled, 1);
    console.until_live().await;
}

#[tokio::test]
async fn a_slow_server_is_given_up_in_bounded_time() {
    let server = server(|asked| (asked.path == PODS && asked.before == 0).then_some(Answer::Silence)).await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("a failure", |console| console.feed().error().is_some()).await;
    let sentence = console.feed().error().unwrap().to_string();
    assert!(sentence.contains("timed out"), "{sentence}");
    console.until_live().await;
}

#[tokio::test]
async fn nobody_there_is_a_sentence_with_the_address() {
    let port = {
        // Bound and let go again: nobody listens there now.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let server = server(|_| None).await;
    let path = server.kubeconfig("{token: secret}");
    let text = std::fs::read_to_string(&path).unwrap();
    let start = text.find("127.0.0.1:").unwrap();
    let end = start + text[start..].find('\'').unwrap();
    std::fs::write(&path, text.replace(&text[start..end], &format!("127.0.0.1:{port}"))).unwrap();
    let connection = reconnect(&path).await;
    let error = connection.version().await.unwrap_err();
    let place = format!("http://127.0.0.1:{port}");
    assert!(matches!(&error, SourceError::Unreachable { place: at, .. } if *at == place), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(matches!(&*connection.standing().borrow(), Standing::Lost(_)));
}

#[cfg(unix)]
#[tokio::test]
async fn an_expired_credential_runs_the_plugin_again() {
    let mut server = server(|asked| {
        let stale = asked.authorization != "Bearer token-2";
        stale.then(|| Answer::status(401, "Unauthorized", "Unauthorized"))
    })
    .await;
    let counter = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "echo x >> {path}; n=$(wc -l < {path}); \
         printf \\'{{\"status\":{{\"token\":\"token-%s\"}}}}\\' $((n))",
        path = counter.path().display()
    )
    .replace("\\'", "''");
    let user = format!(
        "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['-c', '{script}']}}}}"
    );
    let connection = server.connect_as(&user).await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until_live().await;
    let tokens: Vec<&str> = server.seen().iter().map(|asked| asked.authorization.as_str()).collect();
    assert_eq!(tokens[..2], ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(*connection.standing().borrow(), Standing::Answered);
}

#[tokio::test]
async fn a_credential_that_stays_refused_is_not_read_again_in_a_circle() {
    let mut server = server(|_| Some(Answer::status(401, "Unauthorized", "Unauthorized"))).await;
    let connection = server.connect().await;
    let error = connection.version().await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthenticated { .. }), "{error:?}");
    assert!(error.to_string().contains("log in again"), "{error}");
    assert_eq!(server.seen().len(), 2, "once with the old credential, once with the one that was read anew");
}

/// Answers as to a user who may list pods in `a` and `b` only.
fn restricted(asked: &Asked, names: bool) -> Answer {
    let denied =
        |what: &str| Answer::status(403, "Forbidden", &format!("{what} is forbidden: User \"dev\" cannot"));
    match (asked.path.as_str(), asked.is_watch()) {
        ("/api/v1/namespaces", _) if names => Answer::json(
            r#"{"kind":"NamespaceList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}},{"metadata":{"name":"c"}}]}"#,
        ),
        ("/api/v1/namespaces", _) => denied("namespaces"),
        ("/api/v1/namespaces/a/pods", false) => list(10, "", &[pod("a", "one", 1)]),
        ("/api/v1/namespaces/b/pods", false) => list(20, "", &[pod("b", "two", 2)]),
        ("/api/v1/namespaces/home/pods", false) => list(30, "", &[pod("home", "mine", 3)]),
        (path, true) if path.ends_with("/pods") && path != PODS => Answer::lines(&[]),
        ("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", _) => {
            let allowed = !asked.body.contains(r#""namespace":"c""#);
            let rules = if allowed {
                r#"[{"verbs":["list","watch"],"apiGroups":[""],"resources":["pods"]}]"#
            } else {
                "[]"
            };
            Answer::json(format!(
                r#"{{"status":{{"resourceRules":{rules},"nonResourceRules":[],"incomplete":false}}}}"#
            ))
        }
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", _) => {
            Answer::json(r#"{"status":{"allowed":false}}"#)
        }
        ("/api", _) => Answer::json(r#"{"versions":["v1"]}"#),
        ("/apis", _) => Answer::json(r#"{"groups":[]}"#),
        ("/api/v1", _) => Answer::json(
            r#"{"resources":[{"name":"namespaces","kind":"Namespace","namespaced":false,"verbs":["list"]},{"name":"pods","kind":"Pod","namespaced":true,"verbs":["list"]}]}"#,
        ),
        _ => denied("pods"),
    }
}

#[tokio::test]
async fn a_forbidden_list_is_put_together_from_the_permitted_namespaces() {
    let server = FaultServer::start(|asked| restricted(asked, true)).await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("both parts", |console| console.feed().stage == Stage::Live).await;
    assert_eq!(console.names(), ["one", "two"]);
    let feed = console.feed();
    assert_eq!(feed.parts, [Text::from("a"), Text::from("b")]);
    let hidden: Vec<Option<&str>> = feed.hidden.iter().map(|hidden| hidden.namespace.as_deref()).collect();
    assert_eq!(hidden, [Some("c")]);
    assert!(!feed.is_complete());
}

#[tokio::test]
async fn where_not_even_the_names_are_permitted_the_kubeconfigs_namespace_is_used() {
    let server = FaultServer::start(|asked| restricted(asked, false)).await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("the one part", |console| console.feed().stage == Stage::Live).await;
    assert_eq!(console.names(), ["mine"]);
    let hidden = &console.feed().hidden;
    assert_eq!(hidden.len(), 1);
    assert!(hidden[0].namespace.is_none());
}

#[tokio::test]
async fn a_right_that_is_given_later_makes_the_list_whole() {
    let granted = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = granted.clone();
    let server = FaultServer::start(move |asked| {
        if granted.load(std::sync::atomic::Ordering::SeqCst) {
            match (asked.path.as_str(), asked.is_watch()) {
                (PODS, false) => return list(50, "", &[pod("a", "one", 1), pod("c", "three", 3)]),
                (PODS, true) => return Answer::lines(&[]),
                ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", _) => {
                    return Answer::json(r#"{"status":{"allowed":true}}"#);
                }
                _ => {}
            }
        }
        restricted(asked, true)
    })
    .await;
    let connection = server.connect().await;
    let mut console = Console::follow(&connection, everything(&connection));
    console.until("the parts", |console| console.feed().stage == Stage::Live).await;
    switch.store(true, std::sync::atomic::Ordering::SeqCst);
    console.until("the whole", |console| console.feed().is_live()).await;
    assert_eq!(console.names(), ["one", "three"]);
}

#[tokio::test]
async fn one_forbidden_namespace_is_denied_and_nothing_else_is_tried() {
    let mut server = FaultServer::start(|asked| restricted(asked, true)).await;
    let connection = server.connect().await;
    let query = Query::within(connection.context(), &Resource::new("", "pods"), "c");
    let mut console = Console::follow(&connection, query);
    console.until("a failure", |console| console.feed().error().is_some()).await;
    assert!(matches!(console.feed().error(), Some(SourceError::Denied { .. })));
    assert!(server.seen().iter().all(|asked| asked.path == "/api/v1/namespaces/c/pods"));
}

#[tokio::test]
async fn an_answer_about_a_right_is_asked_for_once_a_minute() {
    let mut server = FaultServer::start(|asked| restricted(asked, true)).await;
    let connection = server.connect().await;
    let object = ObjectRef {
        context: connection.context().clone(),
        resource: Resource::new("", "pods"),
        namespace: Some("a".into()),
        name: "one".into(),
    };
    let access = Access::to("delete", &object);
    for _ in 0..3 {
        assert!(!connection.can(&access).await.unwrap().allowed);
    }
    assert_eq!(server.seen().len(), 1);
    connection.can_now(&access).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    assert!(server.seen()[0].body.contains(r#""verb":"delete""#));
}

async fn reconnect(path: &std::path::Path) -> Connection {
    use crate::fault_server::brisk;
    use opsdeck::clock::Clock;
    use opsdeck::sources::{Contexts, Places, Setup};
    let places = Places { flag: Some(path.to_owned()), ..Places::default() };
    let contexts = Contexts::load(&places).unwrap();
    let entry = contexts.choose(None).unwrap();
    let setup = Setup { clock: Clock::system(), namespaces: Vec::new(), waits: brisk() };
    Connection::open(contexts, entry, setup).await.unwrap()
}

async fn wait_for(what: &str, test: impl Fn() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..1_000 {
        if test() {
            return;
        }
        look.tick().await;
    }
    panic!("waited for {what}");
}

#[tokio::test]
async fn a_log_that_is_cut_goes_on_without_saying_anything_twice() {
    let first = "2026-05-01T10:00:00.100Z first";
    let second = "2026-05-01T10:00:00.500Z second";
    let mut server = FaultServer::start(move |asked| match (asked.path.as_str(), asked.is_watch()) {
        ("/api/v1/namespaces/a/pods", false) => {
            let pod = pod("a", "one", 1).replace(
                r#""containers":[]"#,
                r#""nodeName":"n1","containers":[{"name":"main","image":"x"}]"#,
            );
            list(10, "", &[pod])
        }
        ("/api/v1/namespaces/a/pods", true) => Answer::lines(&[]),
        ("/api/v1/namespaces/a/pods/one/log", _) if asked.before == 0 => Answer::cut(&[first, second]),
        // What was said in the second that it is asked from is said again.
        ("/api/v1/namespaces/a/pods/one/log", _) => Answer::lines(&[
            first,
            second,
            "2026-05-01T10:00:00.500Z \u{1b}[31mthird\u{1b}[0m",
            "2026-05-01T10:00:01Z fourth",
        ]),
        _ => Answer::Plain(404, Vec::new(), "404 page not found\n"),
    })
    .await;
    let connection = server.connect().await;
    let request = LogRequest {
        object: ObjectRef {
            context: connection.context().clone(),
            resource: Resource::new("", "pods"),
            namespace: Some("a".into()),
            name: "one".into(),
        },
        container: None,
        previous: false,
        follow: true,
        from: LogsFrom::Seconds(300),
        tail: Some(100),
    };
    let (sender, mut news) = mpsc::channel(8);
    let reading = {
        let connection = connection.clone();
        tokio::spawn(async move { connection.logs(Arc::new(Kinds::new()), request, sender).await })
    };
    let mut texts = Vec::new();
    let heard = tokio::time::timeout(Duration::from_secs(20), async {
        while texts.len() < 4 {
            match news.recv().await.unwrap() {
                LogNews::Lines { lines, dropped } => {
                    assert_eq!(dropped, 0);
                    texts.extend(lines.into_iter().map(|line| line.text.to_string()));
                }
                other => panic!("{other:?}"),
            }
        }
    });
    heard.await.unwrap();
    assert_eq!(texts, ["first", "second", "third", "fourth"]);
    reading.abort();
    let asked: Vec<Asked> =
        server.seen().iter().filter(|asked| asked.path.ends_with("/log")).cloned().collect();
    assert_eq!((asked[0].query("sinceSeconds"), asked[0].query("tailLines")), ("300", "100"));
    assert_eq!(asked[1].query("sinceTime"), "2026-05-01T10%3A00%3A00Z");
    assert!(asked[1].query("sinceSeconds").is_empty() && asked[1].query("tailLines").is_empty());
}
