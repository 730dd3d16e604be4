//! Keeps a list: lists it page by page, watches it, lists it again when the watch has fallen too far behind, and
//! tells the store what happens.
//!
//! It sends mail and nothing else. It ends when nobody takes its mail any more, or when it is dropped.
//!
//! # Why
//!
//! kube-runtime's `watcher` does the same for whole objects, with all of their metadata decoded, and restarts its
//! stream on errors of any kind. Here a page goes from its bytes straight into slim rows while the next page is on
//! its way; the first rows are shown with the first page; a relist keeps the old rows until it is whole; an error
//! says what it was and when it is tried again; and a list that is forbidden as a whole is put together from the
//! namespaces that are permitted (`parts`). The states are few enough to be read:
//!
//! ```text
//!   List -- whole --> Watch(version) -- cut, ended --> Watch(version)
//!    ^  \-- failed --> wait -> List      -- too old (410, as a code or in the stream) --> List
//!    '-------------------------------------------'   -- failed --> wait -> Watch(version)
//! ```

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::SourceError;
use super::answer::{Asked, Status};
use super::backoff::Backoff;
use super::kubernetes::{Connection, DECODERS, LISTS};
use super::objects::{collection, query as query_string, scoped};
use super::reader::Reader;
use super::waits::Waits;
use crate::identity::Text;
use crate::kinds::{Frame, Garbled, Page};
use crate::store::{Change, Envelope, Query, Update};

/// How many objects a page holds: what kubectl and client-go ask for.
const PAGE: u32 = 500;

/// How long the list that somebody waits for is fetched alone: most are whole by then, and no list, however long,
/// keeps the header waiting.
const HEAD_START: Duration = Duration::from_millis(500);

/// The places that it then gives to the others.
const OTHERS: usize = LISTS as usize - 1;

/// How long changes are gathered into one piece of mail: a burst of thousands costs the console a handful.
const GATHERING: Duration = Duration::from_millis(10);

/// How many changes one piece of mail holds at most.
const BATCH: usize = 512;

/// The longest line of a watch: etcd takes objects of 1.5 MiB, and a server may add to them.
const LINE: usize = 8 * 1024 * 1024;

/// A watch that ends sooner than this did not serve: it is not opened again at once.
const SHORT: SignedDuration = SignedDuration::from_secs(1);

/// After how many watches in a row that brought nothing but failures a new list is tried.
const PATIENCE: u32 = 3;

/// Decodes pages and lines of one resource type.
pub(super) trait Decode: Send + Sized + 'static {
    /// Decodes a page of a list. The error is that of a body that is no list.
    fn page(&mut self, body: &[u8]) -> Result<Page, Garbled>;

    /// Decodes a line of a watch. The error is that of a line that is no event.
    fn frame(&mut self, line: &[u8]) -> Result<Frame, Garbled>;

    /// Returns a decoder of the same type that has seen nothing yet.
    fn twin(&self) -> Self;

    /// Returns the form that is asked for.
    fn accept(&self) -> &'static str {
        "application/json"
    }

    /// Returns the form that is asked for of each object that changes.
    fn accept_watch(&self) -> &'static str {
        self.accept()
    }
}

/// The mail does not go anywhere any more.
#[derive(Debug)]
pub(super) struct Unwanted;

/// Where the mail of one list, or of one part of it, goes.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) connection: Connection,
    pub(super) query: Query,
    pub(super) epoch: u64,
    pub(super) part: Option<Text>,
    /// Whether somebody waits for this list: it is fetched before the others.
    pub(super) first: bool,
    pub(super) mail: mpsc::Sender<Envelope>,
}

impl Post {
    /// Sends; waits while the console has no room.
    pub(super) async fn send(&self, update: Update) -> Result<(), Unwanted> {
        let envelope = Envelope {
            query: self.query.clone(),
            epoch: self.epoch,
            part: self.part.clone(),
            at: self.connection.now(),
            update,
        };
        self.mail.send(envelope).await.map_err(|_| Unwanted)
    }

    /// Says what went wrong, then waits until it is time to try again.
    pub(super) async fn rest(&self, error: SourceError, wait: Duration) -> Result<(), Unwanted> {
        let retry_at =
            SignedDuration::try_from(wait).ok().and_then(|wait| self.connection.now().checked_add(wait).ok());
        tracing::debug!(list = %self.query.resource, %error, ?wait, "a list failed and waits");
        self.send(Update::Failed { error, retry_at }).await?;
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            // Another server or user may answer at once.
            () = self.connection.replaced() => Ok(()),
            () = self.mail.closed() => Err(Unwanted),
        }
    }
}

/// One list, or one part of a list, being kept.
pub(super) struct Follower<D> {
    post: Post,
    decoder: D,
    path: String,
    what: String,
    backoff: Backoff,
}

enum State {
    List,
    Watch(String),
}

/// How a list ended.
enum Listed {
    Whole(String),
    /// The token of the next page is too old.
    Expired,
}

/// How a watch ended.
enum Watched {
    /// As it should, or was cut: it goes on from the version that it has come to.
    Ended,
    /// Its version is too old.
    Expired,
}

impl<D: Decode> Follower<D> {
    /// Prepares to follow what the query names, or one namespace of it.
    pub(super) fn new(post: Post, version: &str, decoder: D) -> Self {
        let namespace = post.part.as_deref().or(post.query.namespace.as_deref());
        let path = collection(&post.query.resource, version, namespace);
        let what = scoped(&post.query.resource, namespace);
        let waits = *post.connection.waits();
        let backoff = Backoff::new(waits.first, waits.longest);
        Self { post, decoder, path, what, backoff }
    }

    /// Follows until nobody takes the mail, or until the whole list is forbidden, which it returns.
    pub(super) async fn run(&mut self) -> Result<SourceError, Unwanted> {
        let mut state = State::List;
        // How often in a row a watch has failed without saying anything.
        let mut mute = 0;
        // Which server was listed: the versions of another one mean nothing to it.
        let mut listed = self.post.connection.server();
        loop {
            let server = self.post.connection.server();
            if server != listed {
                state = State::List;
                listed = server;
            }
            state = match state {
                State::List => match self.list().await? {
                    Ok(Listed::Whole(version)) => {
                        self.backoff.reset();
                        mute = 0;
                        State::Watch(version)
                    }
                    Ok(Listed::Expired) => {
                        // A server whose history is too short for one list must not be asked in a circle.
                        let wait = self.backoff.next_wait();
                        self.pause(wait).await?;
                        State::List
                    }
                    Err(error @ SourceError::Denied { .. }) if self.may_be_split() => return Ok(error),
                    Err(error) => {
                        self.fail(error).await?;
                        State::List
                    }
                },
                State::Watch(mut version) => {
                    let opened = self.post.connection.now();
                    match self.watch(&mut version, &mut mute).await? {
                        Ok(Watched::Ended) => {
                            if self.post.connection.now().duration_since(opened) < SHORT {
                                let wait = self.backoff.next_wait();
                                self.pause(wait).await?;
                            }
                            State::Watch(version)
                        }
                        Ok(Watched::Expired) => State::List,
                        // Listing is permitted or possible, watching is not: the list is refreshed instead.
                        Err(
                            error @ (SourceError::Denied { .. }
                            | SourceError::Missing { .. }
                            | SourceError::Invalid { .. }),
                        ) => {
                            self.post.rest(error, self.waits().patient).await?;
                            State::List
                        }
                        Err(error) => {
                            mute += 1;
                            self.fail(error).await?;
                            if mute >= PATIENCE { State::List } else { State::Watch(version) }
                        }
                    }
                }
            };
        }
    }

    /// Tells whether a refusal may concern the whole only, so that parts of it may be permitted.
    fn may_be_split(&self) -> bool {
        self.post.part.is_none() && self.post.query.namespace.is_none()
    }

    async fn pause(&self, wait: Duration) -> Result<(), Unwanted> {
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.post.mail.closed() => Err(Unwanted),
        }
    }

    async fn fail(&mut self, error: SourceError) -> Result<(), Unwanted> {
        let grown = self.backoff.next_wait();
        let wait = match &error {
            SourceError::Denied { .. } | SourceError::Missing { .. } => self.waits().patient,
            SourceError::Throttled { until: Some(until), .. } => {
                let asked = until.duration_since(self.post.connection.now());
                // A server may ask for seconds or minutes; a wrong clock must not make it hours.
                Duration::try_from(asked).unwrap_or_default().clamp(grown, grown.max(self.waits().patient))
            }
            _ => grown,
        };
        self.post.rest(error, wait).await
    }

    /// Lists everything, page by page. The next page is on its way while those before it are decoded.
    async fn list(&mut self) -> Result<Result<Listed, SourceError>, Unwanted> {
        let connection = self.post.connection.clone();
        let asked = connection.asked("list", self.what.as_str());
        let accept = self.decoder.accept();
        // Held until the list is whole.
        let mut place = tokio::select! {
            place = connection.list_place(self.post.first) => place,
            () = self.post.mail.closed() => return Err(Unwanted),
        };
        let mut ahead = self.post.first.then(|| Box::pin(tokio::time::sleep(HEAD_START)));
        connection.count_list();
        self.post.send(Update::ListStarted).await?;
        // What waits for a page: buffers, and decoders, of which this list's own has seen the texts of the last list.
        let mut buffers: Vec<Vec<u8>> = Vec::new();
        let twin = self.decoder.twin();
        let mut idle: Vec<D> = vec![std::mem::replace(&mut self.decoder, twin)];
        // Pages are decoded beside one another and told in their order.
        let mut decoding = FuturesOrdered::new();
        let mut coming = None;
        let mut wanted = Some(String::new());
        let mut failed = None;
        loop {
            // One page may wait for a decoder; more would only fill memory.
            if coming.is_none()
                && decoding.len() <= DECODERS
                && let Some(token) = wanted.take()
            {
                let buffer = buffers.pop().unwrap_or_default();
                coming = Some(Box::pin(connection.get_in(buffer, &asked, self.page_path(&token), accept)));
            }
            tokio::select! {
                biased;
                Some(outcome) = decoding.next() => {
                    let Decoded { decoder, buffer, page, knew } = match outcome {
                        Ok(decoded) => decoded,
                        Err(error) => return Ok(Err(self.no_list(format!("the decoder failed: {error}")))),
                    };
                    idle.push(decoder);
                    buffers.push(buffer);
                    let Page { objects, garbled, next, remaining, resource_version } = match page {
                        Ok(page) => page,
                        Err(garbled) => return Ok(Err(self.no_list(garbled.reason))),
                    };
                    self.post.send(Update::Page { objects, garbled, remaining }).await?;
                    if next.is_empty() {
                        self.decoder = idle.pop().unwrap_or_else(|| self.decoder.twin());
                        self.post.send(Update::ListDone).await?;
                        return Ok(Ok(Listed::Whole(resource_version)));
                    }
                    if !knew {
                        // A server that writes the token behind the objects.
                        wanted = Some(next);
                    }
                }
                Some(answer) = ready(&mut coming) => {
                    coming = None;
                    match answer {
                        Ok(body) => {
                            wanted = token(&body).filter(|token| !token.is_empty());
                            let decoder = idle.pop().unwrap_or_else(|| self.decoder.twin());
                            decoding.push_back(decode(&connection, decoder, body, wanted.is_some()));
                        }
                        Err(error) => failed = Some(error),
                    }
                }
                Some(()) = ready(&mut ahead) => {
                    ahead = None;
                    drop(place.as_mut().and_then(|place| place.split(OTHERS)));
                }
                else => {}
            }
            // What came before the failure is told first.
            if decoding.is_empty()
                && let Some(error) = failed.take()
            {
                return Ok(match error {
                    // 410: the token is too old.
                    SourceError::Conflict { .. } => Ok(Listed::Expired),
                    error => Err(error),
                });
            }
        }
    }

    fn no_list(&self, reason: String) -> SourceError {
        SourceError::Garbled { what: format!("list {}", self.what), reason }
    }

    /// Watches from a version, which it moves forward.
    async fn watch(
        &mut self,
        version: &mut String,
        mute: &mut u32,
    ) -> Result<Result<Watched, SourceError>, Unwanted> {
        let connection = self.post.connection.clone();
        let asked = connection.asked("watch", self.what.as_str());
        let path = self.watch_path(version);
        let mut reader = match connection.read(&asked, &path, self.decoder.accept_watch()).await {
            Ok(reader) => reader,
            Err(SourceError::Conflict { .. }) => return Ok(Ok(Watched::Expired)),
            Err(error) => return Ok(Err(error)),
        };
        let mut silence = self.waits().silence;
        let open = connection.count_watch();
        self.post.send(Update::Alive).await?;
        let mut lines = Lines::default();
        let ended = loop {
            let came = tokio::select! {
                came = reader.next(silence) => came,
                () = self.post.mail.closed() => return Err(Unwanted),
            };
            // What is cut is opened again at once; an error is worth a word only if that fails too.
            let Ok(Some(bytes)) = came else { break Ok(Watched::Ended) };
            lines.push(&bytes);
            let over = gather(&mut reader, &mut lines, silence).await;
            let mut batch = Batch::default();
            let stop = loop {
                let Some(line) = lines.next() else { break None };
                if line.is_empty() {
                    continue;
                }
                if let Some(stop) = batch.take(self.decoder.frame(line), version, &asked, connection.now()) {
                    break Some(stop);
                }
            };
            if batch.bookmarked {
                // A server that sends them does so every minute: it need not be silent for long to be dead.
                silence = self.waits().bookmarks;
            }
            if batch.any {
                *mute = 0;
                self.backoff.reset();
            }
            self.post.send(batch.update()).await?;
            match stop {
                Some(stop) => break stop,
                None if lines.is_too_long() => {
                    break Err(SourceError::Garbled {
                        what: format!("watch {}", self.what),
                        reason: format!("an object is larger than {} MiB", LINE / 1024 / 1024),
                    });
                }
                None if over => break Ok(Watched::Ended),
                None => {}
            }
        };
        drop(open);
        Ok(ended)
    }

    fn waits(&self) -> &Waits {
        self.post.connection.waits()
    }

    fn page_path(&self, token: &str) -> String {
        let Query { labels, fields, .. } = &self.post.query;
        let limit = PAGE.to_string();
        let query = query_string(&[
            ("limit", &limit),
            ("labelSelector", labels),
            ("fieldSelector", fields),
            ("continue", token),
        ]);
        format!("{}{query}", self.path)
    }

    fn watch_path(&self, version: &str) -> String {
        let Query { labels, fields, .. } = &self.post.query;
        let seconds = self.waits().watch.as_secs().to_string();
        let query = query_string(&[
            ("watch", "1"),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", &seconds),
            ("labelSelector", labels),
            ("fieldSelector", fields),
        ]);
        format!("{}{query}", self.path)
    }
}

/// Waits for what is under way; `None` where nothing is.
async fn ready<F: Future + Unpin>(coming: &mut Option<F>) -> Option<F::Output> {
    match coming {
        Some(coming) => Some(coming.await),
        None => None,
    }
}

/// A page that was decoded, and what it was decoded with.
struct Decoded<D> {
    decoder: D,
    buffer: Vec<u8>,
    page: Result<Page, Garbled>,
    /// Whether the next page was asked for before.
    knew: bool,
}

/// Decodes a page on a thread of its own, when there is a place.
async fn decode<D: Decode>(
    connection: &Connection,
    mut decoder: D,
    buffer: Vec<u8>,
    knew: bool,
) -> Result<Decoded<D>, tokio::task::JoinError> {
    let _place = connection.decoder_place().await;
    let decoded = tokio::task::spawn_blocking(move || {
        let page = decoder.page(&buffer);
        Decoded { decoder, buffer, page, knew }
    });
    decoded.await
}

/// Takes what comes within a moment, so that a burst becomes one piece of mail; tells whether the stream is over.
async fn gather(reader: &mut Reader, lines: &mut Lines, silence: Duration) -> bool {
    let moment = tokio::time::sleep(GATHERING);
    tokio::pin!(moment);
    while lines.count() < BATCH && !lines.is_too_long() {
        tokio::select! {
            biased;
            came = reader.next(silence) => match came {
                Ok(Some(bytes)) => lines.push(&bytes),
                Ok(None) | Err(_) => return true,
            },
            () = &mut moment => break,
        }
    }
    false
}

/// Changes that are sent together.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    garbled: Vec<Garbled>,
    any: bool,
    bookmarked: bool,
}

impl Batch {
    /// Takes an event; returns how the watch ends, where it does.
    fn take(
        &mut self,
        frame: Result<Frame, Garbled>,
        version: &mut String,
        asked: &Asked,
        now: Timestamp,
    ) -> Option<Result<Watched, SourceError>> {
        let mut reach = |new: &str| {
            if !new.is_empty() {
                new.clone_into(version);
            }
        };
        match frame {
            Ok(Frame::Put(object)) => {
                reach(&object.meta.resource_version);
                self.changes.push(Change::Put(object));
            }
            Ok(Frame::Gone { namespace, name, resource_version }) => {
                reach(&resource_version);
                self.changes.push(Change::Gone { namespace, name });
            }
            Ok(Frame::Bookmark { resource_version, .. }) => {
                reach(&resource_version);
                self.bookmarked = true;
            }
            Ok(Frame::Garbled { garbled, resource_version }) => {
                reach(&resource_version);
                self.garbled.push(garbled);
            }
            Ok(Frame::Error { code, reason, message }) => {
                let status = Status::new(code, reason, message);
                return Some(if status.is_expired() {
                    Ok(Watched::Expired)
                } else {
                    Err(status.error(asked, now))
                });
            }
            Err(garbled) => {
                let what = format!("{} {}", asked.verb, asked.what);
                return Some(Err(SourceError::Garbled { what, reason: garbled.reason }));
            }
        }
        self.any = true;
        None
    }

    fn update(self) -> Update {
        if self.changes.is_empty() && self.garbled.is_empty() {
            return Update::Alive;
        }
        Update::Changed { changes: self.changes, garbled: self.garbled }
    }
}

/// Bytes of a watch, cut into lines; a line that is not ended yet waits for the rest of it.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// How many line ends there are from there on.
    ends: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
        self.ends += bytes.split(|byte| *byte == b'\n').count() - 1;
    }

    /// Returns how many whole lines there are.
    fn count(&self) -> usize {
        self.ends
    }

    fn is_too_long(&self) -> bool {
        self.ends == 0 && self.bytes.len() - self.at > LINE
    }

    fn next(&mut self) -> Option<&[u8]> {
        if self.ends == 0 {
            return None;
        }
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.at..self.at + end;
        self.at += end + 1;
        self.ends -= 1;
        self.bytes.get(line)
    }
}

/// Reads the token of the next page from the beginning of a page, without reading its objects.
fn token(body: &[u8]) -> Option<String> {
    let mut token = None;
    let mut reader = serde_json::Deserializer::from_slice(body);
    // The result is an error by design: reading stops before the objects.
    let _ = serde::Deserializer::deserialize_map(&mut reader, Head { token: &mut token });
    token
}

struct Head<'a> {
    token: &'a mut Option<String>,
}

#[derive(serde::Deserialize)]
struct HeadMeta {
    #[serde(default, rename = "continue")]
    token: String,
}

impl<'de> serde::de::Visitor<'de> for Head<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "metadata" => {
                    *self.token = Some(map.next_value::<HeadMeta>()?.token);
                    return Ok(());
                }
                "items" | "rows" | "columnDefinitions" => return Ok(()),
                _ => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
