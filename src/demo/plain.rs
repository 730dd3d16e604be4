//! A backend on a port of its own: plain HTTP on the loopback interface.
//!
//! For protocols that their clients do not reach through the API server, and for programs that tests point at one
//! backend. It adds nothing to what the backend answers.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::proxy::{Backend, Request, Upgrade};
use super::server::{Response, text};

/// Bytes that a request's body may have.
const BODY: usize = 16 * 1_024 * 1_024;

/// A listening backend; it ends with this value.
#[derive(Debug)]
pub struct Plain {
    /// Where it listens, such as `http://127.0.0.1:41234`.
    pub url: String,
    stop: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves a backend on a loopback port; 0 takes a free one.
pub async fn listen(backend: Arc<dyn Backend>, port: u16) -> io::Result<Plain> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let task = AbortOnDropHandle::new(tokio::spawn(accept(listener, backend, stop.clone())));
    Ok(Plain { url, stop, _task: task })
}

async fn accept(listener: TcpListener, backend: Arc<dyn Backend>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&backend), stop.clone()));
                }
                // Out of file handles, most likely; a moment later some are free again.
                Err(error) => {
                    tracing::warn!(%error, "a connection to a backend was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, backend: Arc<dyn Backend>, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (backend, stop) = (Arc::clone(&backend), stop.clone());
        async move { Ok::<_, Infallible>(answer(backend.as_ref(), request, stop).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_mins(5));
    // The client went away: that is its right.
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

async fn answer(
    backend: &dyn Backend,
    mut request: hyper::Request<Incoming>,
    stop: CancellationToken,
) -> Response {
    let upgrade = Upgrade::wanted(&mut request, stop);
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY).collect().await else {
        return text(400, "the body cannot be read");
    };
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: body.to_bytes(),
        pod: String::new(),
        upgrade,
    };
    backend.answer(request).await
}
