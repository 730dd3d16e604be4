//! The embedded Loki: the log lines of the world behind the HTTP API of Loki 3.
//!
//! It stores nothing. A request takes a copy of what the log shippers know ([`shipped`]), which is small, and works on it
//! in a blocking task: the world goes on meanwhile. Errors are plain text, as Loki's are.
//!
//! # Why
//! Ten thousand pods write more in twelve hours than a laptop holds. Lines are functions of time, so that a window is
//! made when it is read, and `kubectl logs` shows the same text. What a query reads is bounded by lines ([`LINES`]),
//! where a real Loki is bounded by its timeouts, and the answer says the same.

pub mod answer;
pub mod fields;
pub mod index;
pub mod read;
pub mod request;
pub mod shipped;
pub mod tail;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderName;
use hyper::{Method, StatusCode};
use tokio::sync::Semaphore;

use self::answer::{Refused, plain};
use self::request::Parameters;
use self::shipped::{Copy, Shipped};
use super::platform::Handle;
use super::proxy::{Answer, Backend, Backends, Request};
use super::server::{Response, json};
use crate::clock::Clock;

/// Lines that one query may read before it is ended like one that took too long.
pub const LINES: usize = 4_000_000;
/// Entries that one query may ask for: Loki's `max_entries_limit_per_query`.
pub const ENTRIES: usize = 5_000;
/// Series that one query may return: Loki's `max_query_series`.
pub const SERIES: usize = 500;
/// Nanoseconds that a query may reach: Loki's `max_query_length`, 30 days and an hour.
pub const LENGTH: i64 = 721 * 3_600 * 1_000_000_000;
/// Queries that are worked on at once; as many again wait, the rest are turned away.
const AT_ONCE: usize = 4;
/// Queries that are worked on or wait: Loki's `max_outstanding_per_tenant`, scaled to one process.
const OUTSTANDING: usize = 64;
/// Tails that one tenant may have open: Loki's `max_concurrent_tail_requests`.
const TAILS: usize = 10;
/// The header that names the tenant.
pub const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// The embedded Loki.
#[derive(Debug)]
pub struct Loki {
    handle: Handle,
    clock: Clock,
    /// The gateway names the tenant for its clients.
    gateway: bool,
    workers: Arc<Semaphore>,
    places: Arc<Semaphore>,
    tails: Arc<Semaphore>,
    /// How long one tail may last: Loki's `tail_max_duration`.
    tail_duration: Duration,
}

/// Returns the Services that it plays: the gateway, which names a tenant, and the server itself, which asks for one.
pub fn backends(handle: &Handle, clock: &Clock) -> Backends {
    let mut backends = Backends::default();
    let server = Loki::new(handle, clock, false);
    let gateway = Loki { gateway: true, ..server.shared() };
    backends.add("monitoring", "loki-gateway", 80, Arc::new(gateway));
    let server: Arc<dyn Backend> = Arc::new(server);
    backends.add("monitoring", "loki", 3100, Arc::clone(&server));
    backends.add("monitoring", "loki-headless", 3100, server);
    backends
}

impl Loki {
    /// Makes a server on a world; a `gateway` needs no tenant.
    pub fn new(handle: &Handle, clock: &Clock, gateway: bool) -> Self {
        Self {
            handle: handle.clone(),
            clock: clock.clone(),
            gateway,
            workers: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(OUTSTANDING)),
            tails: Arc::new(Semaphore::new(TAILS)),
            tail_duration: Duration::from_hours(1),
        }
    }

    /// Sets how long one tail may last.
    #[must_use]
    pub fn with_tail_duration(self, tail_duration: Duration) -> Self {
        Self { tail_duration, ..self }
    }

    /// Returns another door to the same server.
    fn shared(&self) -> Self {
        Self {
            handle: self.handle.clone(),
            clock: self.clock.clone(),
            gateway: self.gateway,
            workers: Arc::clone(&self.workers),
            places: Arc::clone(&self.places),
            tails: Arc::clone(&self.tails),
            tail_duration: self.tail_duration,
        }
    }

    async fn respond(&self, request: Request) -> Response {
        match request.path.as_str() {
            "/" if self.gateway => return plain(200, "OK"),
            "/ready" => return plain(200, "ready\n"),
            "/config" => return plain(200, CONFIG),
            "/loki/api/v1/status/buildinfo" => return json(200, &answer::build()),
            _ => {}
        }
        if !self.gateway {
            match request.headers.get(&TENANT).and_then(|value| value.to_str().ok()).unwrap_or_default() {
                "" => return plain(401, "no org id"),
                several if several.contains('|') => {
                    return plain(500, "multiple org IDs present");
                }
                _ => {}
            }
        }
        match self.route(request).await {
            Ok(response) => response,
            Err(refused) => plain(refused.code, &refused.text),
        }
    }

    async fn route(&self, mut request: Request) -> Result<Response, Refused> {
        let Some(path) = request.path.strip_prefix("/loki/api/v1/").map(str::to_owned) else {
            return Ok(plain(404, "404 page not found\n"));
        };
        if !matches!(request.method, Method::GET | Method::HEAD | Method::POST) {
            return Ok(plain(405, ""));
        }
        let now = self.clock.now();
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let parameters = Parameters::new(&request.query, &form, now);
        let flags = answer::categorizes(&request);
        if path == "tail" {
            return tail::answer(self, request.upgrade.take(), &request.headers, parameters, flags);
        }
        let work = move |shipped: &Shipped| answer::answer(&path, &parameters, shipped, flags);
        self.work(work).await
    }

    /// Takes a copy of what the shippers know and works on it where the world is not held up.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shipped) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let _place =
            self.places.try_acquire().map_err(|_| Refused::new(429, "too many outstanding requests"))?;
        let gone = |_| Refused::new(500, "the embedded platform has ended");
        let permit = Arc::clone(&self.workers).acquire_owned().await.map_err(gone)?;
        let copy = self.handle.call(Copy::of).await;
        let copy = copy.map_err(|status| Refused::new(status.code(), status.message.clone()))?;
        let done = tokio::task::spawn_blocking(move || {
            // The place is free when the work is done, not when nobody waits for it any more.
            let _permit = permit;
            work(&Shipped::from(copy))
        });
        done.await.map_err(|_| Refused::new(500, "the embedded Loki tripped over this query"))?
    }
}

impl Backend for Loki {
    fn answer(&self, request: Request) -> Answer<'_> {
        Box::pin(async move {
            let head = request.method == Method::HEAD;
            let mut response = self.respond(request).await;
            if head && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                *response.body_mut() = http_body_util::BodyExt::boxed_unsync(http_body_util::Empty::new());
            }
            response
        })
    }
}

/// What `/config` shows: the limits that hold here, by the names of Loki's configuration.
const CONFIG: &str = "target: all\nauth_enabled: true\nlimits_config:\n  max_entries_limit_per_query: 5000\n  max_query_length: 30d1h\n  max_query_series: 500\n  max_concurrent_tail_requests: 10\n  query_timeout: 1m\n  split_queries_by_interval: 1h\nquerier:\n  tail_max_duration: 1h\n";
