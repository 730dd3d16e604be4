//! Connections of the embedded platform: TLS on the loopback interface, HTTP/1.1 and HTTP/2, bearer tokens.
//!
//! It knows who asks; what is asked is [`super::route`]'s business.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::access::{Access, User};
use super::credentials::Credentials;
use super::platform::Handle;
use super::proxy::Backends;
use super::request::{Query, Target};
use super::route;
use super::status::{Reason, Status};
use crate::contain;

/// What an answer's body is made of.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;
/// An answer.
pub type Response = hyper::Response<Body>;

/// What every request needs.
pub struct Front {
    /// The way to the world.
    pub handle: Handle,
    /// Tokens.
    pub credentials: Credentials,
    /// Who may do what.
    pub access: Access,
    /// Host and port, as discovery tells it.
    pub address: String,
    /// Servers inside the cluster.
    pub backends: Backends,
    /// Ends what outlives a request.
    pub stop: CancellationToken,
    /// How many containers hammer the API server.
    pub hammers: watch::Receiver<u32>,
    /// Lists that were asked for while somebody did.
    pub lists: AtomicU64,
}

/// Runs tasks of a connection that end with the platform.
#[derive(Clone)]
struct Tied(CancellationToken);

impl<F> hyper::rt::Executor<F> for Tied
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let stop = self.0.clone();
        tokio::spawn(async move { stop.run_until_cancelled_owned(contain::future(task)).await });
    }
}

/// Accepts connections until told to stop; all of them end with it.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    front: Arc<Front>,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, acceptor.clone(), Arc::clone(&front), stop.clone());
                    connections.spawn(contain::future(connection));
                }
                // Out of file handles, most likely; a moment later some are free again.
                Err(error) => {
                    tracing::warn!(%error, "a connection to the embedded platform was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, front: Arc<Front>, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream)).await else {
        return;
    };
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(answered(&front, request).await) }
    });
    let mut builder = auto::Builder::new(Tied(stop.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_mins(5))
        .max_buf_size(1 << 20);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1_000).max_send_buf_size(1 << 20);
    // The client went away: that is its right.
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

/// Answers; a request that trips over a bug costs its own answer, not the connection.
async fn answered(front: &Arc<Front>, request: hyper::Request<Incoming>) -> Response {
    contain::future(answer(front, request)).await.unwrap_or_else(|| {
        refuse(&Status::new(Reason::InternalError, "the embedded platform tripped over this request"))
    })
}

async fn answer(front: &Arc<Front>, request: hyper::Request<Incoming>) -> Response {
    let path = request.uri().path();
    if matches!(path, "/healthz" | "/livez" | "/readyz")
        || path.starts_with("/livez/")
        || path.starts_with("/readyz/")
    {
        return text(200, "ok");
    }
    let user = match authenticate(front, &request) {
        Ok(user) => user,
        Err(status) => return refuse(&status),
    };
    if let Some(status) = throttled(front, request.method(), request.uri()) {
        return refuse(&status);
    }
    match route::route(front, user, request).await {
        Ok(response) => response,
        Err(status) => refuse(&status),
    }
}

/// Refuses every fourth list while somebody hammers the API server, as priority and fairness does with a flow that
/// has used up its share.
///
/// Watches, single objects and writes get through: they are the flows of nodes and controllers.
fn throttled(front: &Front, method: &hyper::Method, uri: &hyper::Uri) -> Option<Status> {
    if *front.hammers.borrow() == 0 || method != hyper::Method::GET {
        return None;
    }
    let target = Target::parse(uri.path())?;
    let watches = Query::new(uri.query().unwrap_or_default()).flag("watch");
    if !target.name.is_empty() || target.group.starts_with("metrics.") || watches {
        return None;
    }
    let turn = front.lists.fetch_add(1, Ordering::Relaxed);
    turn.is_multiple_of(4).then(|| {
        let message = "the server has received too many requests and has asked us to try again later";
        Status { retry_after: 1, ..Status::new(Reason::TooManyRequests, message) }
    })
}

fn authenticate<B>(front: &Front, request: &hyper::Request<B>) -> Result<User, Status> {
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim);
    match token {
        Some(token) if token == front.credentials.admin => Ok(User::Admin),
        Some(token) if token == front.credentials.restricted => Ok(User::Restricted),
        _ => Err(Status::new(Reason::Unauthorized, "Unauthorized")),
    }
}

/// Answers with a refusal.
pub fn refuse(status: &Status) -> Response {
    let mut response = json(status.code(), &status.to_value());
    if status.retry_after > 0
        && let Ok(value) = status.retry_after.to_string().parse()
    {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// Answers with JSON.
pub fn json(code: u16, value: &Value) -> Response {
    // Writing a JSON value into memory cannot fail.
    bytes(code, "application/json", Bytes::from(serde_json::to_vec(value).unwrap_or_default()))
}

/// Answers with plain text.
pub fn text(code: u16, text: &str) -> Response {
    bytes(code, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
}

/// Answers as the real server does where no API has the path: in plain text.
pub fn no_such_page() -> Response {
    text(404, "404 page not found\n")
}

/// Answers with bytes of a media type.
pub fn bytes(code: u16, media: &'static str, bytes: Bytes) -> Response {
    stream(code, media, Full::new(bytes).boxed_unsync())
}

/// Answers with a body that is still being made.
pub fn stream(code: u16, media: &'static str, body: Body) -> Response {
    let mut response = hyper::Response::new(body);
    // Codes come from `Reason::code` and from constants, all of them valid.
    *response.status_mut() =
        hyper::StatusCode::from_u16(code).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media));
    headers
        .insert(hyper::header::CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-cache, private"));
    response
}
