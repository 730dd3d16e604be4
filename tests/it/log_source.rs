//! The source of log lines against the embedded Loki, through the API server and at a URL.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use opsdeck::clock::Clock;
use opsdeck::demo::Platform;
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::world;
use opsdeck::signals::{Answer, System};
use opsdeck::sources::loki::{self, Direction, Entry, Pager, Question, SECOND, Span, Tail, TailNews};
use opsdeck::sources::{Connection, Contexts, Directions, Endpoint, Places, Setup, SourceError, Systems};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_mins(1);

struct Bench {
    loki: Endpoint,
    clock: Clock,
    platform: Running,
    connection: Connection,
}

impl Bench {
    async fn start() -> Self {
        opsdeck::install_crypto_provider();
        let clock = Clock::manual("2026-03-02T14:00:00Z".parse::<Timestamp>().unwrap());
        let world = world::Options {
            tenants: 2,
            pods_per_tenant: 6,
            nodes: 3,
            alive: false,
            ..world::Options::default()
        };
        let options = Options { world, clock: clock.clone(), pace: None, ..Options::default() };
        let platform = Platform::start(options).await.unwrap();
        let places = Places { flag: Some(platform.kubeconfig.clone()), ..Places::default() };
        let contexts = Contexts::load(&places).unwrap();
        let entry = contexts.choose(None).unwrap();
        let connection =
            Connection::open(contexts, entry, Setup::new(clock.clone(), Vec::new())).await.unwrap();
        let systems = Systems::new(connection.clone(), BTreeMap::new());
        let loki = systems.one(System::Loki).await.unwrap();
        Self { loki, clock, platform, connection }
    }

    fn last(&self, seconds: i64) -> Span {
        let end = i64::try_from(self.clock.now().as_nanosecond()).unwrap();
        Span { start: end - seconds * SECOND, end }
    }

    async fn all(&self, query: &str, span: Span, direction: Direction, size: usize) -> Vec<Entry> {
        let mut pager = Pager::new(query, span, direction, size);
        let mut all: Vec<Entry> = Vec::new();
        loop {
            let page = timeout(PATIENCE, pager.next(&self.loki)).await.unwrap().unwrap();
            match direction {
                Direction::Backward => all.splice(0..0, page.entries).for_each(drop),
                Direction::Forward => all.extend(page.entries),
            }
            if page.done {
                return all;
            }
        }
    }
}

fn sorted(entries: &[Entry]) -> Vec<(i64, String, Vec<u8>)> {
    let mut all: Vec<_> =
        entries.iter().map(|one| (one.at, one.labels.to_string(), one.bytes().to_vec())).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_both_ways_and_one_answer_hold_the_same_lines() {
    let bench = Bench::start().await;
    let span = bench.last(60);
    let query = r#"{namespace="tenant-1"}"#;
    let question =
        Question { query: query.to_owned(), span, limit: loki::ENTRIES, direction: Direction::Forward };
    let whole = loki::lines(&bench.loki, &question).await.unwrap();
    assert!((50..loki::ENTRIES).contains(&whole.entries.len()), "{}", whole.entries.len());
    assert!(whole.entries.is_sorted_by_key(|one| one.at));
    let first = &whole.entries[0];
    assert!(first.labels.get("pod").is_some() && first.labels.get("detected_level").is_none());
    assert!(whole.entries.iter().all(|one| one.level().is_some()));
    for (direction, size) in
        [(Direction::Backward, 37), (Direction::Forward, 37), (Direction::Backward, 1_000)]
    {
        let paged = bench.all(query, span, direction, size).await;
        assert!(paged.is_sorted_by_key(|one| one.at));
        assert_eq!(sorted(&paged), sorted(&whole.entries), "{direction:?} {size}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_levels_labels_and_metrics_are_asked() {
    let bench = Bench::start().await;
    let span = bench.last(3_600);
    let query = r#"{namespace="tenant-1"} |= "GET""#;
    let stats = loki::stats(&bench.loki, query, span).await.unwrap();
    assert!(stats.streams > 0 && stats.bytes > stats.entries && stats.entries > 0, "{stats:?}");
    let twice = format!("sum(rate({query} [1m])) / sum(rate({query} [1m]))");
    assert_eq!(loki::stats(&bench.loki, &twice, span).await.unwrap().bytes, stats.bytes * 2);

    let Answer::Series(series) = loki::levels(&bench.loki, query, span, 300).await.unwrap().answer else {
        panic!("series");
    };
    assert!(series.iter().any(|one| one.labels.get("detected_level") == Some("info")), "{series:?}");
    // A step counts what lies before its time.
    let counted: f64 = series.iter().flat_map(|one| &one.samples).map(|sample| sample.value).sum();
    let lines = bench.all(query, span, Direction::Backward, 5_000).await.len() as f64;
    assert!((counted / lines - 1.0).abs() < 0.15, "{counted} counted, {lines} read");

    let names = loki::labels(&bench.loki, span).await.unwrap();
    assert!(names.iter().any(|name| &**name == "namespace"));
    let values = loki::values(&bench.loki, "namespace", span).await.unwrap();
    assert!(values.iter().any(|value| &**value == "tenant-2"));
    let told =
        loki::instant(&bench.loki, r#"sum(count_over_time({namespace="tenant-1"}[5m]))"#, span.end).await;
    assert!(matches!(told.unwrap().answer, Answer::Series(series) if !series.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_says_of_a_wrong_query_is_handed_on() {
    let bench = Bench::start().await;
    let question = |query: &str, limit| Question {
        query: query.to_owned(),
        span: bench.last(60),
        limit,
        direction: Direction::Backward,
    };
    for (query, limit, words) in [
        (r#"{app=~".*"}"#, 10, "at least one"),
        (r#"{app="x"} |= "#, 10, "parse error"),
        (r#"{app="x"}"#, 6_000, "max entries limit"),
    ] {
        match loki::lines(&bench.loki, &question(query, limit)).await {
            Err(SourceError::Invalid { reason, .. }) => assert!(reason.contains(words), "{reason}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let (mail, mut news) = mpsc::channel(8);
    let wrong = Tail { query: r#"rate({app="x"}[1m])"#.into(), start: 0, limit: 1 };
    let ended = timeout(PATIENCE, loki::tail(&bench.loki, wrong, &mail)).await.unwrap();
    assert!(matches!(ended, Err(SourceError::Invalid { reason, .. }) if reason.contains("log selector")));
    assert_eq!(news.try_recv().ok(), Some(TailNews::Open));
}

/// Takes news until there are so many lines.
async fn take(news: &mut mpsc::Receiver<TailNews>, least: usize) -> Vec<Entry> {
    let mut all = Vec::new();
    while all.len() < least {
        match timeout(PATIENCE, news.recv()).await.expect("news in time").expect("the tail goes on") {
            TailNews::Lines { entries, .. } => all.extend(entries),
            TailNews::Failed(error) => panic!("{error}"),
            TailNews::Open | TailNews::Seam { .. } => {}
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_through_the_api_server_brings_what_is_written() {
    let bench = Bench::start().await;
    let query = r#"{namespace="tenant-1"}"#;
    let (mail, mut news) = mpsc::channel(8);
    let before = bench.last(30);
    let loki = bench.loki.clone();
    let wanted = Tail { query: query.to_owned(), start: before.start, limit: 5_000 };
    let task = tokio::spawn(async move { loki::tail(&loki, wanted, &mail).await });
    let mut seen = take(&mut news, 1).await;
    for _ in 0..30 {
        bench.clock.advance(Duration::from_secs(1));
        bench.platform.handle.step().await.unwrap();
    }
    let span = Span { start: before.start, end: bench.last(0).end };
    let written = bench.all(query, span, Direction::Forward, 5_000).await;
    let more = take(&mut news, written.len().saturating_sub(seen.len())).await;
    seen.extend(more);
    assert_eq!(sorted(&seen), sorted(&written));
    drop(news);
    timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
}

/// A Loki at a URL with three lines, two of one time and text, whose first tail is cut after two of them.
async fn cut_short() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    let frame = |lines: &str| format!(r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[{lines}]}}]}}"#);
    let (early, late) = (
        r#"["1772459999000001000","first"],["1772459999000002000","same"]"#,
        r#"["1772459999000002000","same"],["1772459999000002000","same"]"#,
    );
    let frames = [frame(early), frame(&format!(r#"{late},["1772459999000003000","last"]"#))];
    let page = format!(
        r#"{{"data":{{"resultType":"streams","result":[{{"stream":{{"a":"b"}},"values":[{late}]}}]}}}}"#
    );
    tokio::spawn(async move {
        let mut tails = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let read = stream.peek(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            if head.starts_with("GET /base/loki/api/v1/tail") {
                let frame = frames[tails.min(1)].clone();
                tails += 1;
                let first = tails == 1;
                tokio::spawn(async move {
                    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                    socket.send(Message::text(frame)).await.unwrap();
                    if first {
                        socket.close(None).await.unwrap();
                    }
                    while let Some(Ok(_)) = socket.next().await {}
                });
            } else {
                let body = if head.contains("buildinfo") { r#"{"version":"3.5.1"}"# } else { &page };
                let mut request = vec![0; read];
                stream.read_exact(&mut request).await.unwrap();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_at_a_url_goes_on_behind_its_seam_without_a_lost_or_doubled_line() {
    let bench = Bench::start().await;
    let directions = Directions { url: Some(cut_short().await), ..Directions::default() };
    let systems = Systems::new(bench.connection.clone(), [(System::Loki, directions)].into());
    let loki = systems.one(System::Loki).await.unwrap();
    let (mail, mut news) = mpsc::channel(8);
    let wanted = Tail { query: r#"{a="b"}"#.into(), start: 0, limit: 10 };
    let task = tokio::spawn(async move { loki::tail(&loki, wanted, &mail).await });
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut seams = Vec::new();
    while !seen.contains_key("last") {
        match timeout(PATIENCE, news.recv()).await.unwrap().unwrap() {
            TailNews::Lines { entries, .. } => {
                for entry in entries {
                    *seen.entry(entry.text.to_string()).or_default() += 1;
                }
            }
            TailNews::Seam { after, .. } => seams.push(after),
            TailNews::Failed(error) => panic!("{error}"),
            TailNews::Open => {}
        }
    }
    assert_eq!(seams, [1_772_459_999_000_002_000]);
    let expected = [("first", 1), ("same", 2), ("last", 1)];
    assert_eq!(seen, expected.map(|(text, count)| (text.to_owned(), count)).into());
    drop(news);
    timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
}
