//! `WebSockets` over a connection that some HTTP client made: the handshake, and the stream after it.
//!
//! kube's own way of opening one speaks the sub-protocols of exec, which a system behind the proxy does not.

use http::{HeaderMap, HeaderValue, header};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Bytes that go both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A WebSocket, whatever carries it.
pub(super) type WebSocket = WebSocketStream<Box<dyn Duplex>>;

/// One side of the agreement to go on as a WebSocket.
pub(super) struct Handshake {
    key: String,
}

impl Handshake {
    pub(super) fn new() -> Self {
        Self { key: generate_key() }
    }

    /// Writes what the client says.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if let Ok(key) = HeaderValue::from_str(&self.key) {
            headers.insert(header::SEC_WEBSOCKET_KEY, key);
        }
    }

    /// Tells whether the server has agreed to this very handshake.
    pub(super) fn is_kept(&self, answered: &HeaderMap) -> bool {
        let accept = answered.get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        accept == Some(derive_accept_key(self.key.as_bytes()).as_bytes())
    }
}

/// Goes on as a WebSocket.
pub(super) async fn open(io: impl Duplex + 'static) -> WebSocket {
    let io: Box<dyn Duplex> = Box::new(io);
    WebSocketStream::from_raw_socket(io, Role::Client, None).await
}
