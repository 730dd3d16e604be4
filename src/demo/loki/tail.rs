//! `tail`: a WebSocket on which lines come as they are written.
//!
//! First what there was since `start`, then what comes; a ping a second; entries that a slow client cannot take are left
//! out and named in the next frame. After an hour the server hangs up, as Loki does.

use std::collections::VecDeque;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};
use tokio_util::task::AbortOnDropHandle;

use super::Loki;
use super::answer::{Refused, plain, query};
use super::read::{self, Found, Wish, object};
use super::request::{Direction, Parameters};
use crate::demo::logql::{Expr, LogQuery};
use crate::demo::proxy::Upgrade;
use crate::demo::server::Response;

/// Entries that one frame holds.
const FRAME: usize = 100;
/// Frames that wait for a slow client.
const WAITING: usize = 10;
/// Entries that were left out and are named in the next frame; more are not named.
const NAMED: usize = 1_000;
/// How often new lines are looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How long a frame waits for its place before its entries are left out.
const ROOM: Duration = Duration::from_millis(50);
/// How long a client may take for one frame.
const SLOW: Duration = Duration::from_secs(10);
/// Lines that are looked at between two looks.
const AT_ONCE: usize = 5_000;

const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");

/// Answers a request for a tail.
pub fn answer(
    loki: &Loki,
    upgrade: Option<Upgrade>,
    headers: &HeaderMap,
    asked: Parameters,
    flags: bool,
) -> Result<Response, Refused> {
    let expr = query(&asked)?;
    let limit = asked.entries()?;
    let (start, _) = asked.bounds()?;
    let delay = asked.delay()?;
    let key = headers.get(KEY).map(|key| derive_accept_key(key.as_bytes()));
    let (Some(upgrade), Some(key)) = (upgrade, key) else { return Ok(plain(400, "Bad Request\n")) };
    let tail = match expr {
        Expr::Log(query) => {
            let place = std::sync::Arc::clone(&loki.tails).try_acquire_owned();
            place.map(|place| (query, place)).map_err(|_| {
                "max concurrent tail requests limit exceeded, count > limit (11 > 10)".to_owned()
            })
        }
        Expr::Metric(_) => Err("only log selector is supported".to_owned()),
    };
    let loki = loki.shared();
    upgrade.run(move |connection| async move {
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
        match tail {
            Err(why) => hang_up(socket, &why).await,
            Ok((query, place)) => {
                let tail = Tail { query, start, limit, delay: Duration::from_secs(delay), flags };
                serve(loki, socket, tail, place).await;
            }
        }
    });
    let mut response = plain(101, "");
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(value) = HeaderValue::from_str(&key) {
        headers.insert(ACCEPT, value);
    }
    Ok(response)
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Ends a connection with status 1011 and a reason, and waits a moment for the client to agree.
async fn hang_up(mut socket: Socket, why: &str) {
    let frame = CloseFrame { code: CloseCode::Error, reason: why.to_owned().into() };
    let closing = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // Who does not answer has gone, or will notice.
    let _ = timeout(Duration::from_secs(2), closing).await;
}

/// What is followed.
struct Tail {
    query: LogQuery,
    /// From when on, in nanoseconds.
    start: i64,
    limit: usize,
    /// How long late entries are waited for.
    delay: Duration,
    flags: bool,
}

async fn serve(loki: Loki, mut socket: Socket, tail: Tail, _place: OwnedSemaphorePermit) {
    let until = Instant::now() + loki.tail_duration;
    let (sender, mut frames) = mpsc::channel(WAITING);
    let _producer = AbortOnDropHandle::new(tokio::spawn(produce(loki, tail, sender)));
    let mut pings = interval(Duration::from_secs(1));
    loop {
        let message = tokio::select! {
            frame = frames.recv() => match frame {
                Some(Ok(frame)) => Message::text(frame),
                Some(Err(why)) => return hang_up(socket, &why).await,
                None => return hang_up(socket, "the tail has ended").await,
            },
            _ = pings.tick() => Message::Ping(Vec::new().into()),
            heard = socket.next() => match heard {
                // Pongs are what is expected; a close is answered by the library.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            () = sleep_until(until) => return hang_up(socket, "reached tail max duration limit").await,
        };
        if !matches!(timeout(SLOW, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Makes frames until the client is gone or something is wrong.
async fn produce(loki: Loki, tail: Tail, sender: mpsc::Sender<Result<String, String>>) {
    let (query, limit, start) = (tail.query.clone(), tail.limit, tail.start);
    let first = loki
        .work(move |shipped| {
            let wish = Wish { start, end: shipped.now(), limit, direction: Direction::Backward, interval: 0 };
            Ok((read::entries(&query, shipped, wish)?, shipped.now()))
        })
        .await;
    let (mut found, mut seen) = match first {
        Ok(first) => first,
        Err(refused) => {
            // The client is gone where nobody takes it.
            let _ = sender.send(Err(refused.text)).await;
            return;
        }
    };
    found.reverse();
    for piece in found.chunks(FRAME) {
        if sender.send(Ok(frame(piece, &[], tail.flags, false))).await.is_err() {
            return;
        }
    }
    let mut dropped: VecDeque<Value> = VecDeque::new();
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            () = sender.closed() => return,
        }
        let (query, delay) = (tail.query.clone(), i64::try_from(tail.delay.as_nanos()).unwrap_or(0));
        let more = loki
            .work(move |shipped| {
                let end = shipped.now().saturating_sub(delay);
                let wish =
                    Wish { start: seen, end, limit: AT_ONCE, direction: Direction::Forward, interval: 0 };
                let found = if end > seen { read::entries(&query, shipped, wish)? } else { Vec::new() };
                Ok((found, end.max(seen)))
            })
            .await;
        // A server that is busy is asked again; what was written meanwhile is not lost.
        let Ok((mut found, end)) = more else { continue };
        seen = match found.last() {
            // There is more. What has the time of the last one may be cut, so it is read again with the rest.
            Some(last) if found.len() == AT_ONCE => {
                let edge = last.at;
                let whole = found.partition_point(|entry| entry.at < edge);
                if whole > 0 {
                    found.truncate(whole);
                    edge
                } else {
                    edge + 1
                }
            }
            _ => end,
        };
        for piece in found.chunks(FRAME) {
            let text = frame(piece, dropped.make_contiguous(), tail.flags, true);
            match sender.send_timeout(Ok(text), ROOM).await {
                Ok(()) => dropped.clear(),
                Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                    let room = NAMED.saturating_sub(dropped.len());
                    dropped.extend(piece.iter().take(room).map(|entry| {
                        json!({"timestamp": entry.at.to_string(), "labels": object(&entry.labels.stream)})
                    }));
                }
                Err(mpsc::error::SendTimeoutError::Closed(_)) => return,
            }
        }
    }
}

/// Writes a frame. Without the flag, live entries come without structured metadata, unlike those that were there before.
fn frame(found: &[Found], dropped: &[Value], flags: bool, live: bool) -> String {
    let streams = if live && !flags {
        let bare: Vec<Found> = found
            .iter()
            .map(|entry| {
                let mut entry = entry.clone();
                entry.labels.metadata.clear();
                entry
            })
            .collect();
        read::streams(&bare, false)
    } else {
        read::streams(found, flags)
    };
    let mut frame = json!({"streams": streams});
    if !dropped.is_empty() {
        frame["dropped_entries"] = json!(dropped);
    }
    if flags {
        frame["encodingFlags"] = json!(["categorize-labels"]);
    }
    frame.to_string()
}
