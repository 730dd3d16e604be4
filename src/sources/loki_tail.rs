//! A tail: lines as they are written, over a WebSocket, across the server's time limit and across cuts.
//!
//! # Why
//!
//! Loki ends every tail after an hour, and networks end them earlier. What was written in between is then read page
//! by page from the last line on, and only then the tail goes on: a tail alone would leave out what does not fit its
//! first answer. Each such seam is told, so that the screen can show it. What the server drops because it was too
//! fast for the console is counted; the console slows the server down before it drops anything itself.

use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::backoff::Backoff;
use super::loki::{ENTRIES, Entry, Span, categorised};
use super::loki_page::{Direction, Edge, Pager};
use super::loki_wire::{Frame, frame};
use super::socket::WebSocket;
use super::{Endpoint, SourceError};

/// How many lines are read to close one seam; more are left out and told.
const SEAM: usize = 50_000;

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The query, for lines.
    pub query: String,
    /// From when on, in nanoseconds since 1970.
    pub start: i64,
    /// How many lines from before now at most, the newest.
    pub limit: usize,
}

/// What is heard of a tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailNews {
    /// Lines, in the order of their arrival.
    Lines {
        /// The lines.
        entries: Vec<Entry>,
        /// How many lines the server dropped before them.
        dropped: u64,
        /// How many could not be understood.
        garbled: u64,
    },
    /// The tail is open, for the first time or again.
    Open,
    /// The tail was cut and goes on; what was written in between comes next.
    Seam {
        /// The time of the last line before it, in nanoseconds.
        after: i64,
        /// Why it was cut.
        why: String,
    },
    /// The tail cannot be had for now; it is tried again.
    Failed(SourceError),
}

/// Follows a query until nobody takes the news any more, or it cannot be followed at all.
pub async fn tail(endpoint: &Endpoint, tail: Tail, mail: &mpsc::Sender<TailNews>) -> Result<(), SourceError> {
    let endpoint = categorised(endpoint);
    let waits = *endpoint.waits();
    let mut backoff = Backoff::new(waits.first, waits.longest);
    let mut edge = Edge::default();
    let mut cut: Option<String> = None;
    loop {
        let opened = async {
            if let (Some(why), Some(after)) = (cut.clone(), edge.at()) {
                if mail.send(TailNews::Seam { after, why }).await.is_err() {
                    return Ok(None);
                }
                close(&endpoint, &tail.query, &mut edge, mail).await?;
            }
            let start = edge.at().unwrap_or(tail.start).to_string();
            let limit = if edge.at().is_some() { ENTRIES } else { tail.limit.clamp(1, ENTRIES) }.to_string();
            let asked = [("query", tail.query.as_str()), ("start", &start), ("limit", &limit)];
            endpoint.websocket("/loki/api/v1/tail", &asked).await.map(Some)
        };
        match opened.await {
            Ok(None) => return Ok(()),
            Ok(Some(socket)) => {
                if mail.send(TailNews::Open).await.is_err() {
                    return Ok(());
                }
                match listen(&endpoint, socket, &mut edge, mail, &mut backoff).await? {
                    Some(why) => cut = Some(why),
                    None => return Ok(()),
                }
            }
            // The query is wrong, or may not be asked: asking again does not help.
            Err(error @ (SourceError::Invalid { .. } | SourceError::Denied { .. })) => return Err(error),
            Err(error) => {
                cut.get_or_insert_with(|| error.to_string());
                if mail.send(TailNews::Failed(error)).await.is_err() {
                    return Ok(());
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            () = mail.closed() => return Ok(()),
        }
    }
}

/// Reads what was written since the edge, and moves that on.
async fn close(
    endpoint: &Endpoint,
    query: &str,
    edge: &mut Edge,
    mail: &mpsc::Sender<TailNews>,
) -> Result<(), SourceError> {
    let Some(start) = edge.at() else { return Ok(()) };
    let now = i64::try_from(endpoint.now().as_nanosecond()).unwrap_or(i64::MAX);
    // The clock of the server may be ahead.
    let span = Span { start, end: now.max(start).saturating_add(60 * super::loki::SECOND) };
    let mut pager = Pager::new(query, span, Direction::Forward, ENTRIES).behind(edge.clone());
    let mut read = 0;
    loop {
        let page = pager.next(endpoint).await?;
        read += page.entries.len();
        let last = page.entries.last().map(|entry| entry.at);
        if let Some(at) = last {
            edge.note(at, &page.entries);
        }
        let news = TailNews::Lines { entries: page.entries, dropped: 0, garbled: page.garbled };
        if mail.send(news).await.is_err() || page.done {
            return Ok(());
        }
        if read >= SEAM {
            let why = format!("more than {SEAM} lines were written meanwhile; what follows them is left out");
            // Nobody listening is noticed at the next turn.
            let _ = mail.send(TailNews::Seam { after: last.unwrap_or(start), why }).await;
            return Ok(());
        }
    }
}

/// Takes what comes until the connection ends; returns why it did, or `None` where nobody listens any more.
async fn listen(
    endpoint: &Endpoint,
    mut socket: WebSocket,
    edge: &mut Edge,
    mail: &mpsc::Sender<TailNews>,
    backoff: &mut Backoff,
) -> Result<Option<String>, SourceError> {
    // The server pings every second: silence is a dead connection.
    let patience = endpoint.waits().stall;
    // The tail begins with the time of the last line: what has it comes again.
    let mut again = edge.clone();
    loop {
        let heard = tokio::select! {
            heard = tokio::time::timeout(patience, socket.next()) => heard,
            () = mail.closed() => {
                // The server notices when the connection goes; a good-bye is only polite.
                let _ = tokio::time::timeout(std::time::Duration::from_secs(1), socket.close(None)).await;
                return Ok(None);
            }
        };
        let text = match heard {
            Err(_) => return Ok(Some(format!("nothing came for {} s", patience.as_secs()))),
            Ok(None) => return Ok(Some("the connection ended".to_owned())),
            Ok(Some(Err(error))) => {
                return Ok(Some(crate::text::one_line(&error.to_string()).into_owned()));
            }
            Ok(Some(Ok(Message::Close(frame)))) => {
                let why = frame.map(|frame| crate::text::one_line(frame.reason.as_str()).into_owned());
                let why =
                    why.filter(|why| !why.is_empty()).unwrap_or_else(|| "the server hung up".to_owned());
                if why.contains("only log selector") || why.contains("parse error") {
                    let what = format!("{} at {}", endpoint.system, endpoint.place);
                    return Err(SourceError::Invalid { what, reason: why });
                }
                return Ok(Some(why));
            }
            // Pongs are queued as pings are read, and have to be sent.
            Ok(Some(Ok(Message::Ping(_)))) => {
                if let Err(error) = socket.flush().await {
                    return Ok(Some(crate::text::one_line(&error.to_string()).into_owned()));
                }
                continue;
            }
            Ok(Some(Ok(Message::Text(text)))) => hyper::body::Bytes::from(text),
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes,
            Ok(Some(Ok(_))) => continue,
        };
        let Frame { streams, dropped } = match frame(&text) {
            Ok(frame) => frame,
            // One frame that cannot be read is one entry that cannot be, as far as anybody can tell.
            Err(_) => {
                Frame { streams: super::loki_wire::Streams { garbled: 1, ..Default::default() }, dropped: 0 }
            }
        };
        backoff.reset();
        let entries = again.take_seen(streams.entries);
        if let Some(at) = entries.iter().map(|entry| entry.at).max().max(edge.at()) {
            edge.note(at, &entries);
        }
        let news = TailNews::Lines { entries, dropped, garbled: streams.garbled };
        if mail.send(news).await.is_err() {
            return Ok(None);
        }
    }
}
