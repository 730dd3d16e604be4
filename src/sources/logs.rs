//! The logs of a pod, or of all pods of a workload, merged: read over the Kubernetes API, followed across cuts,
//! restarts and new pods.
//!
//! It sends lines and what went wrong, in bounded pieces. Where the console cannot take them, the oldest are dropped
//! and counted; the server is not slowed down by a slow screen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::SourceError;
use super::answer::web_page;
use super::backoff::Backoff;
use super::kubernetes::Connection;
pub use super::log_stream::Line;
use super::log_stream::{Cutter, Place, Read, read};
use super::objects::query;
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::pods::Pod;
use crate::kinds::{Kinds, Object};
use crate::store::{Query, Shelf, Stage, Store};

/// How many containers are read at once: each costs a connection.
const STREAMS: usize = 50;

/// How many lines wait for the console before the oldest are dropped.
const WAITING: usize = 20_000;

/// How many bytes of them wait: lines may have a megabyte each.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How many lines one piece of mail holds at most.
const PIECE: usize = 2_000;

/// How many lines the readers may be ahead of the merger.
const AHEAD: usize = 4_096;

/// How long lines are gathered before they are sent, so that those of several containers come in the order of time.
const GATHERING: Duration = Duration::from_millis(50);

/// How soon a container that waits, or whose log has ended, is looked at again where nothing is heard of its pod,
/// and how late. A log also ends when the API server is restarted, and that says nothing about the container.
const SOON: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_mins(1);

/// How far back a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogsFrom {
    /// Everything that the node has kept.
    Beginning,
    /// So many seconds ago.
    Seconds(u64),
    /// A moment.
    Time(Timestamp),
}

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRequest {
    /// The pod, or the workload whose pods are meant.
    pub object: ObjectRef,
    /// One container; `None` for all.
    pub container: Option<Text>,
    /// Whether the life before the present one is meant.
    pub previous: bool,
    /// Whether to stay and read on.
    pub follow: bool,
    /// How far back.
    pub from: LogsFrom,
    /// Only so many of the last lines of each container, at the start.
    pub tail: Option<u32>,
}

/// What is heard of logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogNews {
    /// Lines, in the order of time as far as they were there together.
    Lines {
        /// The lines.
        lines: Vec<Line>,
        /// How many were dropped since the last piece, because nobody took them.
        dropped: u64,
    },
    /// A container cannot be read for now, or at all.
    Failed {
        /// `pod/container`, or the object itself.
        stream: Text,
        /// Why.
        error: SourceError,
    },
    /// What a container was waiting for has come: what was said of it before no longer holds.
    Started {
        /// `pod/container`.
        stream: Text,
    },
}

/// What a reader of one container says.
enum Heard {
    Line(Line),
    News(LogNews),
}

/// A container of a pod in one life.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stream {
    pod: Text,
    uid: Text,
    container: Text,
}

/// How the pod of a container is, as far as its log is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Life {
    restarts: u32,
    finished: bool,
}

impl Stream {
    fn name(&self) -> Text {
        Text::from(format!("{}/{}", self.pod, self.container))
    }
}

impl Connection {
    /// Reads logs until they end (without `follow`), nobody takes them any more, or the future is dropped.
    pub async fn logs(
        &self,
        kinds: Arc<Kinds>,
        request: LogRequest,
        mail: mpsc::Sender<LogNews>,
    ) -> Result<(), SourceError> {
        let wanted = self.pods_of(&request.object).await?;
        let (said, heard) = mpsc::channel(AHEAD);
        let readers = async {
            let result = self.read_all(kinds, &request, wanted, &said).await;
            drop(said);
            result
        };
        // The readers end with the last container, and the merger when they have ended and everything is sent.
        let (result, ()) = tokio::join!(readers, merge(heard, mail));
        result
    }

    /// Returns the list of the pods that belong to a pod or workload.
    async fn pods_of(&self, object: &ObjectRef) -> Result<Query, SourceError> {
        let pods = Resource::new("", "pods");
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let mut query = Query::within(&object.context, &pods, namespace);
        if object.resource == pods {
            query.fields = Text::from(format!("metadata.name={}", object.name));
            return Ok(query);
        }
        let document = self.document(object).await?;
        query.labels = selector(&document).map(Text::from).ok_or_else(|| SourceError::Invalid {
            what: object.to_string(),
            reason: "it selects no pods, so there are no logs to read".into(),
        })?;
        Ok(query)
    }

    /// Starts a reader for each container, also of pods that come later.
    async fn read_all(
        &self,
        kinds: Arc<Kinds>,
        request: &LogRequest,
        wanted: Query,
        said: &mpsc::Sender<Heard>,
    ) -> Result<(), SourceError> {
        let mut store = Store::default();
        let epoch = store.subscribe(&wanted);
        let (sender, mut mail) = mpsc::channel(8);
        let pods = self.follow(kinds, wanted.clone(), epoch, sender);
        tokio::pin!(pods);
        let mut readers = JoinSet::new();
        let mut running: BTreeMap<Stream, watch::Sender<Life>> = BTreeMap::new();
        let mut listed = false;
        loop {
            let envelope = tokio::select! {
                () = &mut pods => return Ok(()),
                () = said.closed() => return Ok(()),
                _ = readers.join_next(), if !readers.is_empty() => {
                    if listed && !request.follow && readers.is_empty() {
                        return Ok(());
                    }
                    continue;
                }
                envelope = mail.recv() => envelope,
            };
            let Some(envelope) = envelope else { return Ok(()) };
            store.apply(envelope);
            let Some(list) = store.shelf(&wanted) else { return Ok(()) };
            match &list.feed().stage {
                Stage::Failed { error, .. } if !listed => {
                    let hopeless = matches!(error, SourceError::Denied { .. } | SourceError::Missing { .. });
                    if hopeless || !request.follow {
                        return Err(error.clone());
                    }
                    let stream = Text::from(request.object.to_string());
                    let news = LogNews::Failed { stream, error: error.clone() };
                    // Nobody listening is noticed at the next turn.
                    let _ = said.send(Heard::News(news)).await;
                }
                Stage::Live if !listed => {
                    listed = true;
                    if list.is_empty() && !request.follow {
                        return Err(nothing(request));
                    }
                }
                _ => {}
            }
            if !listed {
                continue;
            }
            let there = streams(list, request);
            running.retain(|stream, _| there.iter().any(|(there, _)| there == stream));
            for (stream, life) in there {
                if let Some(known) = running.get(&stream) {
                    known.send_if_modified(|was| std::mem::replace(was, life) != life);
                    continue;
                }
                if running.len() >= STREAMS {
                    let reason = format!("only {STREAMS} containers are read at once: choose a pod");
                    let error = SourceError::Invalid { what: request.object.to_string(), reason };
                    let news = LogNews::Failed { stream: Text::from("more containers"), error };
                    if said.send(Heard::News(news)).await.is_err() {
                        return Ok(());
                    }
                    break;
                }
                let (sender, changes) = watch::channel(life);
                running.insert(stream.clone(), sender);
                let reader = Reading {
                    connection: self.clone(),
                    request: request.clone(),
                    stream,
                    said: said.clone(),
                    place: Place::default(),
                };
                readers.spawn(reader.run(changes));
            }
            if !request.follow && readers.is_empty() {
                return Ok(());
            }
        }
    }
}

fn nothing(request: &LogRequest) -> SourceError {
    let pod = request.object.resource == Resource::new("", "pods");
    let reason = if pod { "there is no such pod" } else { "it has no pods now" };
    SourceError::Missing { what: request.object.to_string(), reason: reason.into() }
}

/// Returns the containers to read, with how their pods are.
fn streams(shelf: &Shelf, request: &LogRequest) -> Vec<(Stream, Life)> {
    let containers = |object: &Object, pod: &Pod| -> Vec<Text> {
        let all = pod.init_containers.iter().chain(pod.containers.iter().map(|container| &container.name));
        let wanted = all.filter(|name| request.container.as_ref().is_none_or(|wanted| wanted == *name));
        let mut names: Vec<Text> = wanted.cloned().collect();
        // A name that is not among them is asked for all the same: ephemeral containers are not listed.
        if names.is_empty()
            && let Some(container) = &request.container
            && object.meta.deleted.is_none()
        {
            names.push(container.clone());
        }
        names
    };
    shelf
        .iter()
        .filter_map(|(_, object)| Some((object, object.body::<Pod>()?)))
        .flat_map(|(object, pod)| {
            containers(object, pod).into_iter().map(|container| {
                let stream =
                    Stream { pod: object.meta.name.clone(), uid: object.meta.uid.clone(), container };
                (stream, Life { restarts: pod.restarts, finished: pod.is_finished() })
            })
        })
        .collect()
}

/// Writes the selector of a workload in the form that the server takes.
fn selector(workload: &Value) -> Option<String> {
    let selector = workload.pointer("/spec/selector")?;
    let mut terms = Vec::new();
    // Replication controllers and services have the plain form.
    let labels = selector.get("matchLabels").unwrap_or(selector).as_object()?;
    for (key, value) in labels {
        if let Some(value) = value.as_str() {
            terms.push(format!("{key}={value}"));
        }
    }
    for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = expression.get("key")?.as_str()?;
        let values: Vec<&str> = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        terms.push(match expression.get("operator")?.as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    // An empty selector would be every pod of the namespace.
    (!terms.is_empty()).then(|| terms.join(","))
}

/// The reader of one container.
struct Reading {
    connection: Connection,
    request: LogRequest,
    stream: Stream,
    said: mpsc::Sender<Heard>,
    place: Place,
}

/// How one reading ended.
enum Ended {
    /// The container has ended, or has said everything.
    Done,
    /// The connection was cut, or was quiet for too long.
    Cut,
    /// The container has not started, or the pod is not scheduled.
    NotYet,
}

impl Reading {
    async fn run(mut self, mut life: watch::Receiver<Life>) {
        let waits = *self.connection.waits();
        let once = !self.request.follow || self.request.previous;
        let mut failures = Backoff::new(waits.first, waits.longest);
        let mut looks = Backoff::new(SOON, LATE);
        let mut failed = false;
        loop {
            let before = self.place;
            let read = self.read(&mut failed).await;
            if self.place.last != before.last {
                looks.reset();
                failures.reset();
            }
            let rest = match read {
                Ok(Ended::Done | Ended::NotYet) if once => return,
                Ok(Ended::Cut) => waits.first,
                Ok(Ended::Done) if life.borrow().finished => Duration::MAX,
                Ok(Ended::Done | Ended::NotYet) => looks.next_wait(),
                Err(error) => {
                    let gone = matches!(error, SourceError::Missing { .. });
                    failed = true;
                    self.tell(LogNews::Failed { stream: self.stream.name(), error }).await;
                    if gone || once {
                        return;
                    }
                    failures.next_wait()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                // Whatever happens to the pod is a reason to look at once; without a pod there is nothing to read.
                changed = life.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.said.closed() => return,
            }
        }
    }

    async fn tell(&self, news: LogNews) {
        // Nobody listens any more: the loop notices.
        let _ = self.said.send(Heard::News(news)).await;
    }

    async fn read(&mut self, failed: &mut bool) -> Result<Ended, SourceError> {
        let object = &self.request.object;
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let asked = self.connection.asked(
            if self.request.follow { "follow" } else { "get" },
            format!("the log of {namespace}/{} {}", self.stream.pod, self.stream.container),
        );
        let path = format!(
            "/api/v1/namespaces/{namespace}/pods/{}/log{}",
            self.stream.pod,
            parameters(&self.request, &self.stream.container, &self.place)
        );
        let mut reader = match self.connection.read(&asked, &path, "*/*").await {
            Ok(reader) => reader,
            // "container \"x\" in pod \"y\" is waiting to start: ContainerCreating"
            Err(SourceError::Invalid { reason, .. }) if reason.contains("waiting to start") => {
                return Ok(Ended::NotYet);
            }
            Err(error) => return Err(error),
        };
        // A pod that is not scheduled has no log, and that is no error.
        if reader.code() == http::StatusCode::NO_CONTENT {
            return Ok(Ended::NotYet);
        }
        if std::mem::take(failed) {
            self.tell(LogNews::Started { stream: self.stream.name() }).await;
        }
        // A page for a browser is no log, whatever its code says.
        let kind = reader.headers().get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(web_page("the Kubernetes API", &asked.place, reader.code()));
        }
        // A log that is not followed has been written already: it may not be quiet.
        let waits = self.connection.waits();
        let quiet = if self.request.follow { waits.quiet_log } else { waits.stall };
        self.place.resume();
        let mut cutter = Cutter::default();
        let mut lines = Vec::new();
        let ended = loop {
            match reader.next(quiet).await {
                Ok(Some(bytes)) => cutter.push(&bytes, |line| lines.push(read(line))),
                Ok(None) => break Ended::Done,
                Err(_) if self.request.follow => break Ended::Cut,
                Err(error) => return Err(error),
            }
            self.hand_on(&mut lines).await;
            if self.said.is_closed() {
                return Ok(Ended::Done);
            }
        };
        // What was not ended before a cut will be said again whole.
        if matches!(ended, Ended::Done) {
            cutter.end(|line| lines.push(read(line)));
            self.hand_on(&mut lines).await;
        }
        Ok(ended)
    }

    async fn hand_on(&mut self, lines: &mut Vec<Read>) {
        for (at, text, whole) in lines.drain(..) {
            if !self.place.is_new(at) {
                continue;
            }
            let Stream { pod, container, .. } = &self.stream;
            let line = Line { pod: pod.clone(), container: container.clone(), at, text, whole };
            if self.said.send(Heard::Line(line)).await.is_err() {
                return;
            }
        }
    }
}

/// Writes what is asked of one container; once it has spoken, it goes on from its last line.
fn parameters(request: &LogRequest, container: &str, place: &Place) -> String {
    let mut seconds = String::new();
    let mut time = String::new();
    let mut tail = String::new();
    match (place.last, request.from) {
        // In whole seconds: that is all that the server takes.
        (Some(at), _) | (None, LogsFrom::Time(at)) => {
            time = Timestamp::from_second(at.as_second()).unwrap_or(at).to_string();
        }
        (None, LogsFrom::Seconds(number)) => seconds = number.max(1).to_string(),
        (None, LogsFrom::Beginning) => {}
    }
    if place.last.is_none() {
        tail = request.tail.map(|tail| tail.to_string()).unwrap_or_default();
    }
    query(&[
        ("container", container),
        ("follow", if request.follow && !request.previous { "true" } else { "" }),
        ("previous", if request.previous { "true" } else { "" }),
        ("timestamps", "true"),
        ("tailLines", &tail),
        ("sinceSeconds", &seconds),
        ("sinceTime", &time),
    ])
}

/// Puts the lines of all containers in the order of time, as far as they are there together, and sends them.
async fn merge(mut heard: mpsc::Receiver<Heard>, mail: mpsc::Sender<LogNews>) {
    let mut waiting: VecDeque<Line> = VecDeque::new();
    let mut fresh: Vec<Line> = Vec::new();
    let mut dropped = 0;
    let mut over = false;
    // Of lines that wait; those that are gathered now are few.
    let mut bytes = 0;
    while !over || !waiting.is_empty() {
        let moment = tokio::time::sleep(GATHERING);
        tokio::pin!(moment);
        loop {
            tokio::select! {
                biased;
                next = heard.recv(), if !over => match next {
                    Some(Heard::Line(line)) => fresh.push(line),
                    Some(Heard::News(news)) => {
                        if mail.send(news).await.is_err() {
                            return;
                        }
                    }
                    None => over = true,
                },
                () = &mut moment => break,
            }
            if over || fresh.len() >= WAITING {
                break;
            }
        }
        fresh.sort_by_key(|line| line.at);
        bytes += fresh.iter().map(Line::size).sum::<usize>();
        waiting.extend(fresh.drain(..));
        while waiting.len() > WAITING || (bytes > WAITING_BYTES && waiting.len() > 1) {
            bytes -= waiting.pop_front().map_or(0, |line| line.size());
            dropped += 1;
        }
        while !waiting.is_empty() {
            // At the end everything is handed over; before it, only what there is room for.
            let room = if over {
                match mail.reserve().await {
                    Ok(room) => room,
                    Err(_) => return,
                }
            } else {
                match mail.try_reserve() {
                    Ok(room) => room,
                    Err(mpsc::error::TrySendError::Full(())) => break,
                    Err(mpsc::error::TrySendError::Closed(())) => return,
                }
            };
            let lines: Vec<Line> = waiting.drain(..waiting.len().min(PIECE)).collect();
            bytes -= lines.iter().map(Line::size).sum::<usize>();
            room.send(LogNews::Lines { lines, dropped: std::mem::take(&mut dropped) });
        }
        if mail.is_closed() {
            return;
        }
        // Nothing to send: sleep until a line comes rather than look twenty times a second.
        if waiting.is_empty() && !over {
            match heard.recv().await {
                Some(Heard::Line(line)) => fresh.push(line),
                Some(Heard::News(news)) => {
                    if mail.send(news).await.is_err() {
                        return;
                    }
                }
                None => over = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Context;

    fn request() -> LogRequest {
        LogRequest {
            object: ObjectRef {
                context: Context::new("test"),
                resource: Resource::new("", "pods"),
                namespace: Some("a".into()),
                name: "one".into(),
            },
            container: None,
            previous: false,
            follow: true,
            from: LogsFrom::Beginning,
            tail: Some(200),
        }
    }

    #[test]
    fn the_two_forms_of_since_never_stand_together() {
        let mut request = request();
        request.from = LogsFrom::Seconds(300);
        let mut place = Place::default();
        let first = parameters(&request, "main", &place);
        assert_eq!(first, "?container=main&follow=true&timestamps=true&tailLines=200&sinceSeconds=300");
        assert!(place.is_new("2026-05-01T10:00:00.75Z".parse().ok()));
        let again = parameters(&request, "main", &place);
        assert_eq!(again, "?container=main&follow=true&timestamps=true&sinceTime=2026-05-01T10%3A00%3A00Z");
    }

    #[test]
    fn a_selector_is_written_as_the_server_takes_it() {
        let workload = serde_json::json!({ "spec": { "selector": {
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["a", "b"] },
                { "key": "canary", "operator": "DoesNotExist" },
            ],
        }}});
        assert_eq!(selector(&workload).as_deref(), Some("app=web,tier in (a,b),!canary"));
        let none = serde_json::json!({ "spec": { "selector": { "matchLabels": {} } } });
        assert_eq!(selector(&none), None);
    }

    #[tokio::test]
    async fn lines_of_several_containers_come_in_the_order_of_time() {
        let (said, heard) = mpsc::channel(64);
        let (mail, mut news) = mpsc::channel(8);
        for (container, second) in [("a", 1), ("a", 4), ("b", 2), ("b", 3)] {
            let at = Timestamp::from_second(second).ok();
            let line =
                Line { pod: "p".into(), container: container.into(), at, text: "x".into(), whole: None };
            said.send(Heard::Line(line)).await.unwrap();
        }
        drop(said);
        merge(heard, mail).await;
        let Some(LogNews::Lines { lines, dropped: 0 }) = news.recv().await else { panic!() };
        let order: Vec<&str> = lines.iter().map(|line| &*line.container).collect();
        assert_eq!(order, ["a", "b", "b", "a"]);
    }

    #[tokio::test]
    async fn what_nobody_takes_is_dropped_from_the_old_end_and_counted() {
        let (said, heard) = mpsc::channel(1_024);
        let (mail, mut news) = mpsc::channel(1);
        let lines = WAITING as u64 + 5_000;
        let merging = tokio::spawn(merge(heard, mail));
        for number in 0..lines {
            let text = number.to_string().into();
            let line = Line { pod: "p".into(), container: "c".into(), at: None, text, whole: None };
            said.send(Heard::Line(line)).await.unwrap();
        }
        drop(said);
        let mut taken = 0;
        let mut missed = 0;
        let mut last = String::new();
        while let Some(LogNews::Lines { lines, dropped }) = news.recv().await {
            taken += lines.len() as u64;
            missed += dropped;
            last = lines.last().map(|line| line.text.to_string()).unwrap_or(last);
        }
        merging.await.unwrap();
        assert_eq!(taken + missed, lines);
        assert!(missed > 0, "the channel holds one piece, and nobody took it");
        assert_eq!(last, (lines - 1).to_string());
    }
}
