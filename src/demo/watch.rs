//! Watches: what happens to objects, as frames of one line each.
//!
//! A watch reads the history from the revision it has seen. It never holds up the world: who reads too slowly finds
//! that the history has moved on and is told to list again, with an `ERROR` frame of code 410.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::objects::{Change, Happened, Object};
use super::paging::{ListRequest, page, read_revision};
use super::platform::Handle;
use super::read::{list_request, row};
use super::request::{Query, Shape, Target};
use super::server::{Response, stream as streamed};
use super::status::{Cause, Reason, Status};
use super::types::Type;
use super::versions::View;
use crate::contain;

/// Frames that may wait for a slow reader; after that the watch waits, and falls behind.
const WAITING: usize = 64;
/// Changes that are encoded at once.
const BATCH: usize = 512;
/// Time between bookmarks; a real server takes about a minute.
const BOOKMARK: Duration = Duration::from_secs(20);
/// How long a watch lasts where the client does not say.
const DEFAULT_TIMEOUT: u64 = 1_800;

/// One watch.
struct Watch {
    handle: Handle,
    kind: Type,
    view: View,
    shape: Shape,
    request: Arc<ListRequest>,
    bookmarks: bool,
    seen: u64,
    heads: bool,
    sender: mpsc::Sender<Bytes>,
}

/// The reader went away.
struct Gone;

/// Answers a watch.
pub async fn watch(
    handle: &Handle,
    target: &Target,
    kind: Type,
    view: View,
    query: &Query,
    shape: Shape,
) -> Result<Response, Status> {
    let request = list_request(target, kind, query)?;
    let initial = match query.get("sendInitialEvents") {
        "" => None,
        _ => Some(query.flag("sendInitialEvents")),
    };
    check(initial, &request)?;
    let asked = read_revision(&request.revision)?;
    let current = handle.call(|world, _| world.objects.revision()).await?;
    if let Some(asked) = asked
        && asked > current
    {
        let cause = Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        return Err(Status {
            causes: vec![cause],
            retry_after: 1,
            ..Status::new(Reason::Timeout, format!("Too large resource version: {asked}, current: {current}"))
        });
    }
    let seconds = query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok());
    let lasts = Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_TIMEOUT));
    let (sender, receiver) = mpsc::channel::<Bytes>(WAITING);
    let start = match (initial, asked) {
        (Some(true), _) => Start::List { mark_end: true },
        // Without a revision, or with the one that means any, a watch begins with what is there.
        (None, None | Some(0)) => Start::List { mark_end: false },
        (Some(false), None | Some(0)) => Start::At(current),
        (_, Some(revision)) => Start::At(revision),
    };
    let watch = Watch {
        handle: handle.clone(),
        kind,
        view,
        shape,
        request: Arc::new(ListRequest {
            limit: 0,
            token: String::new(),
            revision: String::new(),
            matching: String::new(),
            ..request
        }),
        bookmarks: query.flag("allowWatchBookmarks"),
        seen: current,
        heads: true,
        sender,
    };
    tokio::spawn(contain::future(async move {
        let mut watch = watch;
        tokio::select! {
            () = sleep(lasts) => {}
            // The reader may have gone away; then there is nothing left to do.
            _ = watch.run(start) => {}
        }
        if watch.bookmarks {
            let _ = watch.bookmark(false).await;
        }
    }));
    let frames = stream::unfold(receiver, |mut receiver| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), receiver))
    });
    Ok(streamed(200, "application/json", StreamBody::new(frames).boxed_unsync()))
}

enum Start {
    List { mark_end: bool },
    At(u64),
}

fn check(initial: Option<bool>, request: &ListRequest) -> Result<(), Status> {
    let refuse = |field: &str, message: &str| {
        let cause =
            Cause { reason: "FieldValueForbidden", message: message.to_owned(), field: field.to_owned() };
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: {message}");
        Err(Status {
            group: "meta.k8s.io".into(),
            kind: "ListOptions".into(),
            causes: vec![cause],
            ..Status::new(Reason::Invalid, message)
        })
    };
    match (initial, request.matching.as_str()) {
        (Some(_), "NotOlderThan") | (None, "") => Ok(()),
        (Some(_), _) => refuse(
            "resourceVersionMatch",
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (None, _) => refuse(
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    }
}

impl Watch {
    async fn run(&mut self, start: Start) -> Result<(), Gone> {
        // The receiver first, so that nothing that happens from here on is missed.
        let mut revision = self.handle.revision();
        match start {
            Start::List { mark_end } => {
                let request = Arc::clone(&self.request);
                let kind = self.kind;
                let listed =
                    self.handle.call(move |world, now| (page(&world.objects, kind, &request), now)).await;
                let (page, now) = match listed {
                    Ok((Ok(page), now)) => (page, now),
                    Ok((Err(status), _)) | Err(status) => return self.end(&status).await,
                };
                for batch in page.objects.chunks(BATCH) {
                    let mut bytes = Vec::new();
                    for object in batch {
                        self.frame(&mut bytes, "ADDED", object, now);
                    }
                    self.send(bytes).await?;
                }
                self.seen = page.revision;
                if mark_end {
                    self.bookmark(true).await?;
                }
            }
            Start::At(at) => self.seen = at,
        }
        loop {
            if !self.catch_up().await? {
                return Ok(());
            }
            tokio::select! {
                changed = revision.changed() => if changed.is_err() { return Ok(()) },
                () = sleep(BOOKMARK), if self.bookmarks => self.bookmark(false).await?,
                () = self.sender.closed() => return Err(Gone),
            }
        }
    }

    /// Sends what has happened since; tells whether the watch goes on.
    async fn catch_up(&mut self) -> Result<bool, Gone> {
        loop {
            let (kind, seen, request) = (self.kind, self.seen, Arc::clone(&self.request));
            let read = self.handle.call(move |world, now| {
                let changes = world.objects.changes_since(seen)?;
                let mut until = world.objects.revision();
                let mut list = Vec::new();
                for change in changes {
                    if change.object.key.kind != kind {
                        continue;
                    }
                    if let Some(event) = event(change, &request) {
                        list.push((event, Arc::clone(&change.object)));
                        if list.len() == BATCH {
                            until = change.object.revision;
                            break;
                        }
                    }
                }
                Some((list, until, now))
            });
            match read.await {
                Ok(Some((list, until, now))) => {
                    let full = list.len() == BATCH;
                    if !list.is_empty() {
                        let mut bytes = Vec::new();
                        for (event, object) in list {
                            self.frame(&mut bytes, event, &object, now);
                        }
                        self.send(bytes).await?;
                    }
                    self.seen = until;
                    if !full {
                        return Ok(true);
                    }
                }
                Ok(None) => {
                    let message =
                        format!("too old resource version: {} (the history begins later)", self.seen);
                    self.end(&Status::expired(message)).await?;
                    return Ok(false);
                }
                Err(_) => return Ok(false),
            }
        }
    }

    async fn end(&mut self, status: &Status) -> Result<(), Gone> {
        let frame = json!({"type": "ERROR", "object": status.to_value()});
        self.bookmarks = false;
        self.send(format!("{frame}\n").into_bytes()).await
    }

    fn frame(&mut self, bytes: &mut Vec<u8>, event: &str, object: &Arc<Object>, now: Timestamp) {
        bytes.extend_from_slice(b"{\"type\":\"");
        bytes.extend_from_slice(event.as_bytes());
        bytes.extend_from_slice(b"\",\"object\":");
        bytes.extend_from_slice(&row(object, self.kind, self.view, self.shape, now, self.heads));
        bytes.extend_from_slice(b"}\n");
        self.heads = false;
    }

    async fn bookmark(&self, initial_end: bool) -> Result<(), Gone> {
        let mut metadata = json!({"resourceVersion": self.seen.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match (self.shape, self.view) {
            (Shape::Table(_), _) => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": self.seen.to_string()},
                "columnDefinitions": Value::Null,
                "rows": [{"cells": [], "object": {
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                }}],
            }),
            (Shape::Metadata, _) => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            (Shape::Full, view) => {
                json!({"kind": self.kind.info().kind, "apiVersion": view.api_version(self.kind), "metadata": metadata})
            }
        };
        let frame = json!({"type": "BOOKMARK", "object": object});
        self.send(format!("{frame}\n").into_bytes()).await
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.sender.send(Bytes::from(bytes)).await.map_err(|_| Gone)
    }
}

/// Returns what a change is for somebody who sees a part of the objects only.
fn event(change: &Change, request: &ListRequest) -> Option<&'static str> {
    let object = &change.object;
    if !request.namespace.is_empty() && object.key.namespace.as_ref() != request.namespace {
        return None;
    }
    let before = change.before.as_ref().is_some_and(|before| request.selector.matches(before));
    let after = request.selector.matches(object);
    match (change.happened, before, after) {
        (Happened::Deleted, true, _) | (Happened::Modified, true, false) => Some("DELETED"),
        (Happened::Added, _, true) | (Happened::Modified, false, true) => Some("ADDED"),
        (Happened::Modified, true, true) => Some("MODIFIED"),
        _ => None,
    }
}
