//! The connection to one cluster: how requests are sent, timed, counted and refused.
//!
//! What is asked over it stands in the modules beside: lists and watches (`follow`), whole objects and writes
//! (`objects`), rights (`access`), the types that are served (`discovery`), foreign types (`table`) and `logs`; how
//! its client is made and replaced stands in `session`.
//! Nothing here knows what the answers mean, and nothing is tried again but a read whose credential had expired.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue, Method, Request, header};
use hyper::body::Bytes;
use hyper::upgrade::OnUpgrade;
use jiff::Timestamp;
use kube::client::Body;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit, watch};

use super::SourceError;
use super::access::Reviews;
use super::answer::{Asked, Status, is_page, is_tls, late, no_answer, refusal, web_page};
use super::discovery::Served;
use super::endpoint::Answered;
use super::kubeconfig::{ConnectError, Contexts, Entry};
use super::parts::Reach;
use super::reader::Reader;
use super::session::{Renewal, Session};
use super::waits::Waits;
use crate::clock::Clock;
use crate::identity::{Context, Text};

/// How many lists are fetched at once: a console that starts asks for a dozen and a half, and each has two pages in
/// memory while it lasts.
pub(super) const LISTS: u32 = 6;

/// How many pages are decoded at once. More would be faster on a large machine, but each thread that decodes gets its
/// own arena from the allocator, which is not given back.
pub(super) const DECODERS: usize = 2;

/// What a connection is given besides the context.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The clock.
    pub clock: Clock,
    /// Namespaces that configuration names for users who may not list them.
    pub namespaces: Vec<Text>,
    /// The bounds of its waits.
    pub waits: Waits,
}

impl Setup {
    /// A clock, the namespaces that configuration names, and the ordinary waits.
    pub fn new(clock: Clock, namespaces: Vec<Text>) -> Self {
        Self { clock, namespaces, waits: Waits::default() }
    }
}

/// How the connection stands, for the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The last request was answered.
    Answered,
    /// Nothing has been asked yet.
    New,
    /// The credential had expired and is being replaced.
    Renewing {
        /// By what, such as the plugin's name.
        by: String,
    },
    /// The last request was not answered, or the credential was refused.
    Lost(SourceError),
}

/// What went over the connection since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent.
    pub requests: u64,
    /// Bytes of answers received, after decompression.
    pub bytes: u64,
    /// Lists begun (not pages).
    pub lists: u64,
    /// Watches open now.
    pub watches: u64,
    /// Answers that asked to wait (429).
    pub throttled: u64,
    /// Requests that failed, for any reason.
    pub failed: u64,
}

/// Counted by many tasks and read by one, so atomics.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    bytes: AtomicU64,
    lists: AtomicU64,
    watches: AtomicU64,
    throttled: AtomicU64,
    failed: AtomicU64,
}

/// A connection to one cluster as one user; clones share it.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    entry: Entry,
    contexts: Contexts,
    setup: Setup,
    // Tasks share the client and replace it when it does not serve any more: a watch channel hands the newest to
    // everybody, and the mutex lets one of them do the replacing.
    session: watch::Sender<Session>,
    renewal: Mutex<Renewal>,
    /// Whether the last request that was not answered failed at TLS.
    tls_failed: AtomicBool,
    standing: watch::Sender<Standing>,
    counters: Counters,
    lists: Semaphore,
    decoders: Semaphore,
    reviews: Mutex<Reviews>,
    reach: Mutex<Reach>,
    served: Mutex<Option<Arc<Served>>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("context", &self.0.entry.context).finish_non_exhaustive()
    }
}

impl Connection {
    /// Prepares the connection to a context: reads its files and runs its credential plugin, and sends nothing yet.
    pub async fn open(contexts: Contexts, entry: Entry, setup: Setup) -> Result<Self, ConnectError> {
        let session = Session::make(&contexts, &entry, &setup.waits).await?;
        Ok(Self(Arc::new(Inner {
            entry,
            contexts,
            setup,
            session: watch::Sender::new(session),
            renewal: Mutex::default(),
            tls_failed: AtomicBool::new(false),
            standing: watch::Sender::new(Standing::New),
            counters: Counters::default(),
            lists: Semaphore::new(LISTS as usize),
            decoders: Semaphore::new(DECODERS),
            reviews: Mutex::default(),
            reach: Mutex::default(),
            served: Mutex::default(),
        })))
    }

    /// Returns the context.
    pub fn context(&self) -> &Context {
        &self.0.entry.context
    }

    /// Returns what the kubeconfig says of the context.
    pub fn entry(&self) -> &Entry {
        &self.0.entry
    }

    /// Returns what the kubeconfig tells the credential plugin about AWS.
    pub(super) fn credential_plugin(&self) -> Vec<(super::kubeconfig::PluginWord, String)> {
        self.0.contexts.plugin_words(&self.0.entry)
    }

    /// Returns the address of the server, without credentials.
    pub fn place(&self) -> Text {
        self.0.session.borrow().place.clone()
    }

    /// Returns how the connection stands, and from now on every change of that.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    /// Returns what went over the connection so far.
    pub fn traffic(&self) -> Traffic {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.0.counters;
        Traffic {
            requests: count(&counters.requests),
            bytes: count(&counters.bytes),
            lists: count(&counters.lists),
            watches: count(&counters.watches),
            throttled: count(&counters.throttled),
            failed: count(&counters.failed),
        }
    }

    pub(super) fn contexts(&self) -> &Contexts {
        &self.0.contexts
    }

    pub(super) fn current(&self) -> &watch::Sender<Session> {
        &self.0.session
    }

    pub(super) fn renewal(&self) -> &Mutex<Renewal> {
        &self.0.renewal
    }

    /// Tells whether the last request got no answer because of TLS.
    pub(super) fn failed_at_tls(&self) -> bool {
        self.0.tls_failed.load(Ordering::Relaxed)
    }

    /// Tells whether the last request was not answered.
    pub(super) fn is_lost(&self) -> bool {
        matches!(*self.0.standing.borrow(), Standing::Lost(SourceError::Unreachable { .. }))
    }

    pub(super) fn namespaces(&self) -> &[Text] {
        &self.0.setup.namespaces
    }

    pub(super) fn reach(&self) -> &Mutex<Reach> {
        &self.0.reach
    }

    pub(super) fn reviews(&self) -> &Mutex<Reviews> {
        &self.0.reviews
    }

    pub(super) fn served_cache(&self) -> &Mutex<Option<Arc<Served>>> {
        &self.0.served
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.setup.clock.now()
    }

    pub(super) fn waits(&self) -> &Waits {
        &self.0.setup.waits
    }

    pub(super) fn asked(&self, verb: &'static str, what: impl Into<String>) -> Asked {
        Asked { verb, what: what.into(), place: self.place(), behind: None }
    }

    pub(super) fn count_bytes(&self, bytes: usize) {
        self.0.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Waits for a place among the lists that are fetched, or for all places.
    pub(super) async fn list_place(&self, alone: bool) -> Option<SemaphorePermit<'_>> {
        let places = if alone { LISTS } else { 1 };
        self.0.lists.acquire_many(places).await.ok()
    }

    /// Waits for a place among the pages that are decoded.
    pub(super) async fn decoder_place(&self) -> Option<SemaphorePermit<'_>> {
        self.0.decoders.acquire().await.ok()
    }

    pub(super) fn count_list(&self) {
        self.0.counters.lists.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an open watch until the answer is dropped.
    pub(super) fn count_watch(&self) -> OpenWatch {
        self.0.counters.watches.fetch_add(1, Ordering::Relaxed);
        OpenWatch(self.clone())
    }

    /// Asks for something and returns the whole body of the answer.
    pub(super) async fn get(&self, asked: &Asked, path: &str, accept: &str) -> Result<Bytes, SourceError> {
        let reader = self.read(asked, path, accept).await?;
        let code = reader.code();
        let body = reader.whole().await?;
        no_page(asked, code, &body)?;
        Ok(body)
    }

    /// Asks for something and returns the whole body of the answer in a buffer that is used again.
    pub(super) async fn get_in(
        &self,
        mut buffer: Vec<u8>,
        asked: &Asked,
        path: String,
        accept: &str,
    ) -> Result<Vec<u8>, SourceError> {
        let reader = self.read(asked, &path, accept).await?;
        let code = reader.code();
        reader.fill(&mut buffer).await?;
        no_page(asked, code, &buffer)?;
        Ok(buffer)
    }

    /// Asks for something and returns the body as it arrives.
    ///
    /// Where the credential is refused it is replaced and the question asked once more: a read can be.
    pub(super) async fn read(&self, asked: &Asked, path: &str, accept: &str) -> Result<Reader, SourceError> {
        let build = || {
            let mut request = Request::get(path).header(header::ACCEPT, accept);
            // From 1.37 on a watch is compressed event by event, which the decoder under kube's client takes for
            // the end after the first one (tower-http#737).
            if asked.verb == "watch" || asked.verb == "follow" {
                request = request.header(header::ACCEPT_ENCODING, "identity");
            }
            request.body(Vec::new())
        };
        let session = self.session().await?;
        match self.send_with(&session, asked, build()).await {
            Err(SourceError::Unauthenticated { .. }) => {
                let session = self.renew(session.turn).await?;
                self.send_with(&session, asked, build()).await
            }
            answer => answer,
        }
    }

    /// Sends a question that is a POST but changes nothing (a review), and returns the body of the answer.
    pub(super) async fn post(&self, asked: &Asked, path: &str, body: &[u8]) -> Result<Bytes, SourceError> {
        let build = || {
            Request::post(path)
                .header(header::ACCEPT, "application/json")
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_vec())
        };
        let session = self.session().await?;
        let reader = match self.send_with(&session, asked, build()).await {
            Err(SourceError::Unauthenticated { .. }) => {
                let session = self.renew(session.turn).await?;
                self.send_with(&session, asked, build()).await?
            }
            answer => answer?,
        };
        reader.whole().await
    }

    /// Sends a write, once: it is never tried again, whatever comes back.
    pub(super) async fn write(
        &self,
        asked: &Asked,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<(Vec<String>, Bytes), SourceError> {
        let session = self.session().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, content_type)
            .body(body);
        match self.send_with(&session, asked, request).await {
            Ok(reader) => {
                let warnings = reader.warnings();
                Ok((warnings, reader.whole().await?))
            }
            Err(error) => {
                if matches!(error, SourceError::Unauthenticated { .. }) {
                    // For whoever asks next; this write stays refused.
                    let _ = self.renew(session.turn).await;
                }
                Err(error)
            }
        }
    }

    /// Sends a request through the API server to a system behind it and returns whatever that system answers.
    ///
    /// Only what the API server itself says of the credential is acted on: a 401 of the system stays an answer.
    pub(super) async fn pass(
        &self,
        asked: &Asked,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<(HeaderValue, Vec<u8>)>,
        limit: usize,
    ) -> Result<Answered, SourceError> {
        let build = || {
            let (kind, body) = body.clone().map_or((None, Vec::new()), |(kind, body)| (Some(kind), body));
            let mut request = Request::builder().method(method.clone()).uri(path).body(body)?;
            *request.headers_mut() = headers.clone();
            if let Some(kind) = kind {
                request.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            Ok(request)
        };
        let session = self.session().await?;
        let answered = self.pass_with(&session, asked, build(), limit).await?;
        let expired =
            answered.code == http::StatusCode::UNAUTHORIZED && Status::read(&answered.body).is_some();
        // A question may be asked again; a write may not, whoever refused it.
        if expired && method == Method::GET {
            let session = self.renew(session.turn).await?;
            return self.pass_with(&session, asked, build(), limit).await;
        }
        Ok(answered)
    }

    /// Asks for something that the API server or a system behind it answers with a long text, and returns the answer
    /// as it arrives, whatever its code is.
    pub(super) async fn stream(
        &self,
        asked: &Asked,
        path: &str,
        accept: &'static str,
    ) -> Result<Reader, SourceError> {
        let session = self.session().await?;
        let request = Request::get(path).header(header::ACCEPT, accept).body(Vec::new());
        self.reach_through(&session, asked, request).await
    }

    /// Asks a system behind the API server to go on in another protocol, such as a WebSocket, over this connection.
    ///
    /// Returns the headers of its consent with the connection, or its refusal.
    pub(super) async fn upgrade(
        &self,
        asked: &Asked,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Result<(HeaderMap, OnUpgrade), Answered>, SourceError> {
        let session = self.session().await?;
        match self.upgrade_with(&session, asked, path, headers).await? {
            Err(refused)
                if refused.code == http::StatusCode::UNAUTHORIZED
                    && Status::read(&refused.body).is_some() =>
            {
                let session = self.renew(session.turn).await?;
                self.upgrade_with(&session, asked, path, headers).await
            }
            answer => Ok(answer),
        }
    }

    async fn upgrade_with(
        &self,
        session: &Session,
        asked: &Asked,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Result<(HeaderMap, OnUpgrade), Answered>, SourceError> {
        let request = Request::get(path).body(Vec::new()).map(|mut request| {
            *request.headers_mut() = headers.clone();
            request
        });
        let reader = self.reach_through(session, asked, request).await?;
        let (code, headers) = (reader.code(), reader.headers().clone());
        if code == http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Ok((headers, reader.upgraded())));
        }
        let body = reader.beginning().await.into();
        Ok(Err(Answered { code, headers, body }))
    }

    /// Sends a request to a system behind the API server, counts it, and notes whether the API server is there.
    async fn reach_through(
        &self,
        session: &Session,
        asked: &Asked,
        request: http::Result<Request<Vec<u8>>>,
    ) -> Result<Reader, SourceError> {
        let counters = &self.0.counters;
        counters.requests.fetch_add(1, Ordering::Relaxed);
        match self.begin(session, asked, request).await {
            Ok(reader) => {
                self.stand(Standing::Answered);
                Ok(reader)
            }
            Err(error) => {
                counters.failed.fetch_add(1, Ordering::Relaxed);
                // A system that takes too long says nothing about the API server that waits for it.
                let system = asked.behind.as_ref().map(|(name, _)| *name);
                let its_own =
                    matches!(&error, SourceError::Unreachable { what, .. } if Some(&**what) == system);
                if !its_own {
                    self.stand(Standing::Lost(error.clone()));
                }
                Err(error)
            }
        }
    }

    async fn pass_with(
        &self,
        session: &Session,
        asked: &Asked,
        request: http::Result<Request<Vec<u8>>>,
        limit: usize,
    ) -> Result<Answered, SourceError> {
        let reader = self.reach_through(session, asked, request).await?;
        let (code, headers) = (reader.code(), reader.headers().clone());
        if code == http::StatusCode::TOO_MANY_REQUESTS {
            self.0.counters.throttled.fetch_add(1, Ordering::Relaxed);
        }
        let body =
            if code.is_success() { reader.within(limit).await? } else { reader.beginning().await.into() };
        Ok(Answered { code, headers, body })
    }

    async fn send_with(
        &self,
        session: &Session,
        asked: &Asked,
        request: http::Result<Request<Vec<u8>>>,
    ) -> Result<Reader, SourceError> {
        let counters = &self.0.counters;
        counters.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.exchange(session, asked, request).await;
        match &answer {
            Ok(_) => self.stand(Standing::Answered),
            Err(error) => {
                counters.failed.fetch_add(1, Ordering::Relaxed);
                match error {
                    SourceError::Throttled { .. } => {
                        counters.throttled.fetch_add(1, Ordering::Relaxed);
                        self.stand(Standing::Answered);
                    }
                    SourceError::Unreachable { .. } | SourceError::Unauthenticated { .. } => {
                        self.stand(Standing::Lost(error.clone()));
                    }
                    _ => self.stand(Standing::Answered),
                }
            }
        }
        answer
    }

    async fn exchange(
        &self,
        session: &Session,
        asked: &Asked,
        request: http::Result<Request<Vec<u8>>>,
    ) -> Result<Reader, SourceError> {
        let reader = self.begin(session, asked, request).await?;
        let code = reader.code();
        if code.is_success() {
            return Ok(reader);
        }
        let headers = reader.headers().clone();
        let body = reader.beginning().await;
        Err(refusal(asked, code, &headers, &body, self.now()))
    }

    /// Sends a request and waits for the beginning of its answer, whatever that is.
    async fn begin(
        &self,
        session: &Session,
        asked: &Asked,
        request: http::Result<Request<Vec<u8>>>,
    ) -> Result<Reader, SourceError> {
        let request = request.map_err(|error| SourceError::Invalid {
            what: asked.what.clone(),
            reason: format!("the request cannot be written: {error}"),
        })?;
        let patience = self.waits().answer;
        let sent = session.client.send(request.map(Body::from));
        let answer = match tokio::time::timeout(patience, sent).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.0.tls_failed.store(is_tls(&error), Ordering::Relaxed);
                return Err(no_answer(asked, &error));
            }
            Err(_) => {
                let reason = format!("no answer within {} s: the request timed out", patience.as_secs());
                return Err(late(asked, &reason));
            }
        };
        Ok(Reader::new(self.clone(), asked.clone(), answer))
    }

    pub(super) fn stand(&self, standing: Standing) {
        self.0.standing.send_if_modified(|now| {
            let differs = *now != standing;
            if differs {
                *now = standing;
            }
            differs
        });
    }
}

/// Refuses a page for a browser that came with a code of success.
fn no_page(asked: &Asked, code: http::StatusCode, body: &[u8]) -> Result<(), SourceError> {
    if is_page(body) {
        return Err(web_page("the Kubernetes API", &asked.place, code));
    }
    Ok(())
}

/// An open watch, counted while it is held.
#[derive(Debug)]
pub(super) struct OpenWatch(Connection);

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.0.0.counters.watches.fetch_sub(1, Ordering::Relaxed);
    }
}
