//! A proxy in front of the embedded platform that answers some paths wrongly, as long as it is told to.
//!
//! It hands everything else on, `WebSocket`s too. It knows nothing of what passes through it.

use std::convert::Infallible;
use std::sync::Arc;

use futures::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// What comes instead of an answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// A whole answer: its code, its headers, its body.
    Says(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Nothing, ever.
    Silence,
    /// The connection ends before an answer.
    HangUp,
    /// The beginning of an answer, then the connection breaks.
    Cut(&'static [u8]),
    /// The beginning of an answer, then nothing.
    Stall(&'static [u8]),
    /// An answer without end.
    Flood,
    /// An answer of so many bytes, as it says, of which none comes.
    Announced(u64),
    /// What the platform says, as another type of content and with some bytes replaced.
    Altered(&'static str, &'static [(&'static str, &'static str)]),
}

impl Fault {
    /// Names it in a message.
    pub fn name(&self) -> String {
        match self {
            Self::Says(code, headers, body) => {
                let body: String = String::from_utf8_lossy(body).chars().take(60).collect();
                format!("{code} {headers:?} {body:?}")
            }
            other => format!("{other:?}"),
        }
    }
}

/// Which requests get it.
#[derive(Debug, Clone)]
struct Rule {
    part: String,
    fault: Fault,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Came {
    /// Its headers.
    pub headers: header::HeaderMap,
}

/// A running proxy; it ends with the test.
pub struct Front {
    /// Its address, such as `http://127.0.0.1:41234`.
    pub url: String,
    rule: watch::Sender<Option<Rule>>,
    came: mpsc::Receiver<Came>,
    _task: AbortOnDropHandle<()>,
}

impl Front {
    /// Starts a proxy in front of `upstream`.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (rule, rules) = watch::channel(None::<Rule>);
        let (sender, came) = mpsc::channel(4_096);
        // The certificate of the embedded platform is made anew at each start.
        let client = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .no_proxy()
            .http1_only()
            .build()
            .unwrap();
        let upstream = Arc::<str>::from(upstream);
        let task = tokio::spawn(async move {
            // Aborted with the proxy: a stream does not outlive its test.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (rules, sender) = (rules.clone(), sender.clone());
                let (client, upstream) = (client.clone(), upstream.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let path =
                            request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
                        let _ = sender.try_send(Came { headers: request.headers().clone() });
                        let rule = rules.borrow().clone().filter(|rule| path.contains(&rule.part));
                        let (client, upstream) = (client.clone(), upstream.clone());
                        async move {
                            match rule {
                                Some(rule) => wrong(&client, &upstream, request, rule.fault).await,
                                None => Ok(hand_on(&client, &upstream, request).await),
                            }
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades()
                        .await;
                });
            }
        });
        Self { url, rule, came, _task: AbortOnDropHandle::new(task) }
    }

    /// Answers requests whose path has this part with a fault, from now on.
    pub fn fail(&self, part: &str, fault: &Fault) {
        self.rule.send_replace(Some(Rule { part: part.to_owned(), fault: fault.clone() }));
    }

    /// Hands everything on again.
    pub fn heal(&self) {
        self.rule.send_replace(None);
    }

    /// Returns what has come since this was asked before.
    pub fn came(&mut self) -> Vec<Came> {
        std::iter::from_fn(|| self.came.try_recv().ok()).collect()
    }
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that begins and then breaks, stands still, or goes on for ever.
fn begun(first: Bytes, then: Fault) -> Body {
    let pieces = futures::stream::unfold(Some(first), move |first| {
        let then = then.clone();
        async move {
            match (first, then) {
                (Some(first), _) => Some((Ok(Frame::data(first)), None)),
                (None, Fault::Flood) => Some((Ok(Frame::data(Bytes::from(vec![b' '; 1 << 16]))), None)),
                (None, Fault::Stall(_) | Fault::Announced(_)) => std::future::pending().await,
                (None, _) => {
                    // What was sent before must be on its way: hyper drops what it has not sent.
                    tokio::task::yield_now().await;
                    Some((Err(std::io::Error::other("cut")), None))
                }
            }
        }
    });
    StreamBody::new(pieces.boxed()).boxed_unsync()
}

async fn wrong(
    client: &reqwest::Client,
    upstream: &str,
    request: Request<Incoming>,
    fault: Fault,
) -> Result<Response<Body>, std::io::Error> {
    let json = |body: Body| {
        let mut response = Response::new(body);
        response.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        response
    };
    Ok(match fault {
        Fault::Says(code, headers, body) => {
            let mut response = Response::new(whole(body));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Fault::Silence => std::future::pending().await,
        Fault::HangUp => return Err(std::io::Error::other("hung up")),
        Fault::Cut(first) | Fault::Stall(first) => json(begun(Bytes::from_static(first), fault)),
        Fault::Announced(length) => {
            let mut response = json(begun(Bytes::from_static(b"{"), fault));
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            response
        }
        Fault::Flood => json(begun(Bytes::from_static(b"{"), Fault::Flood)),
        Fault::Altered(kind, replaced) => {
            let mut response = hand_on(client, upstream, request).await;
            let body = std::mem::replace(response.body_mut(), whole("")).collect().await.unwrap().to_bytes();
            let mut text = String::from_utf8(body.to_vec()).unwrap();
            for (from, to) in replaced {
                text = text.replace(from, to);
            }
            *response.body_mut() = whole(text);
            response.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
            response
        }
    })
}

async fn hand_on(client: &reqwest::Client, upstream: &str, mut request: Request<Incoming>) -> Response<Body> {
    let wanted = request.headers().contains_key(header::UPGRADE);
    let ours = wanted.then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_ENCODING);
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let sent = client.request(parts.method, format!("{upstream}{path}")).headers(headers);
    let sent = if body.is_empty() { sent } else { sent.body(body) };
    let answer = match sent.send().await {
        Ok(answer) => answer,
        Err(error) => panic!("the platform does not answer {path}: {error:?}"),
    };
    let mut response = Response::new(());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    for name in [header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        response.headers_mut().remove(name);
    }
    if let Some(ours) = ours.filter(|_| answer.status() == StatusCode::SWITCHING_PROTOCOLS) {
        tokio::spawn(async move {
            let (Ok(mut theirs), Ok(ours)) = (answer.upgrade().await, ours.await) else { return };
            let _ = tokio::io::copy_bidirectional(&mut theirs, &mut TokioIo::new(ours)).await;
        });
        return response.map(|()| Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync());
    }
    let pieces = futures::stream::unfold(answer, |mut answer| async move {
        let piece = answer.chunk().await.ok()??;
        Some((Ok(Frame::data(piece)), answer))
    });
    response.map(|()| StreamBody::new(pieces.boxed()).boxed_unsync())
}
