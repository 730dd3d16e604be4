//! A server that answers as a test says: refusals, cut streams, garbage, silence.
//!
//! It knows nothing of Kubernetes; what it says stands in the tests.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opsdeck::clock::Clock;
use opsdeck::sources::{Connection, Contexts, Places, Setup, Waits};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: HashMap<String, String>,
    pub authorization: String,
    pub body: String,
    /// How often this path was asked for before, watches and lists apart.
    pub before: usize,
}

impl Asked {
    pub fn is_watch(&self) -> bool {
        self.query.contains_key("watch")
    }

    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
pub enum Answer {
    /// A code and a body of JSON.
    Json(u16, String),
    /// A code, headers and a body that is not JSON.
    Plain(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// 200, and lines as they come out of the channel; the stream ends with the channel.
    Lines(mpsc::Receiver<Line>),
    /// Never an answer.
    Silence,
}

/// A part of a stream.
pub enum Line {
    /// A line of JSON.
    Text(String),
    /// The connection breaks.
    Cut,
}

impl Answer {
    pub fn json(body: impl Into<String>) -> Self {
        Self::Json(200, body.into())
    }

    /// A `Status` as kube-apiserver writes it.
    pub fn status(code: u16, reason: &str, message: &str) -> Self {
        let body = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        Self::Json(code, body.to_string())
    }

    /// A stream that says these lines and then stays open and silent.
    pub fn lines(lines: &[&str]) -> Self {
        let (sender, receiver) = mpsc::channel(64);
        for line in lines {
            sender.try_send(Line::Text((*line).to_owned())).unwrap();
        }
        // Held open until the connection goes.
        tokio::spawn(async move { sender.closed().await });
        Self::Lines(receiver)
    }

    /// A stream that says these lines and ends as it should.
    pub fn ended(lines: &[&str]) -> Self {
        let (sender, receiver) = mpsc::channel(64);
        for line in lines {
            sender.try_send(Line::Text((*line).to_owned())).unwrap();
        }
        Self::Lines(receiver)
    }

    /// A stream that says these lines and then breaks.
    pub fn cut(lines: &[&str]) -> Self {
        let (sender, receiver) = mpsc::channel(64);
        for line in lines {
            sender.try_send(Line::Text((*line).to_owned())).unwrap();
        }
        sender.try_send(Line::Cut).unwrap();
        tokio::spawn(async move { sender.closed().await });
        Self::Lines(receiver)
    }
}

/// A running server; it ends with the test.
pub struct FaultServer {
    port: u16,
    asked: mpsc::Receiver<Asked>,
    seen: Vec<Asked>,
    directory: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FaultServer {
    /// Starts a server that answers as `script` says.
    pub async fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, asked) = mpsc::channel(4_096);
        let script = Arc::new(script);
        let counts = Arc::new(tokio::sync::Mutex::new(HashMap::<String, usize>::new()));
        let task = tokio::spawn(async move {
            // Aborted with the server: a stream does not outlive its test.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (script, sender, counts) = (script.clone(), sender.clone(), counts.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (script, sender, counts) = (script.clone(), sender.clone(), counts.clone());
                        async move {
                            let mut asked = read(request).await;
                            let key = format!("{} {} {}", asked.method, asked.path, asked.is_watch());
                            let count = &mut *counts.lock().await;
                            let count = count.entry(key).or_insert(0);
                            asked.before = *count;
                            *count += 1;
                            let answer = script(&asked);
                            let _ = sender.try_send(asked);
                            Ok::<_, Infallible>(write(answer).await)
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { port, asked, seen: Vec::new(), directory: tempfile::tempdir().unwrap(), task }
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns everything that was asked so far.
    pub fn seen(&mut self) -> &[Asked] {
        while let Ok(asked) = self.asked.try_recv() {
            self.seen.push(asked);
        }
        &self.seen
    }

    /// Writes a kubeconfig for the server and returns its path; `user` is what stands under the user.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        let path = self.directory.path().join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: test, user: {user}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: home}}}}]\n",
            self.port
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Connects with a static token.
    pub async fn connect(&self) -> Connection {
        self.connect_as("{token: secret}").await
    }

    /// Connects as a user, with waits that suit a test.
    pub async fn connect_as(&self, user: &str) -> Connection {
        opsdeck::install_crypto_provider();
        let places = Places { flag: Some(self.kubeconfig(user)), ..Places::default() };
        let contexts = Contexts::load(&places).unwrap();
        let entry = contexts.choose(None).unwrap();
        let setup = Setup { clock: Clock::system(), namespaces: Vec::new(), waits: brisk() };
        Connection::open(contexts, entry, setup).await.unwrap()
    }
}

/// Waits that are short, and long enough for a machine that is busy with other tests.
pub fn brisk() -> Waits {
    Waits {
        connect: Duration::from_secs(5),
        answer: Duration::from_millis(800),
        stall: Duration::from_millis(800),
        watch: Duration::from_secs(290),
        silence: Duration::from_secs(20),
        bookmarks: Duration::from_secs(10),
        quiet_log: Duration::from_secs(20),
        first: Duration::from_millis(20),
        longest: Duration::from_millis(200),
        patient: Duration::from_millis(100),
        look_again: Duration::from_millis(300),
        renewal: Duration::from_millis(50),
    }
}

async fn read(request: Request<Incoming>) -> Asked {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        authorization: parts
            .headers
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
        before: 0,
    }
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn write(answer: Answer) -> Response<Body> {
    let whole = |text: String| Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    match answer {
        Answer::Json(code, text) => {
            let mut response = Response::new(whole(text));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        }
        Answer::Plain(code, headers, text) => {
            let mut response = Response::new(whole(text.to_owned()));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Answer::Lines(receiver) => {
            let lines = futures::stream::unfold(receiver, |mut receiver| async move {
                let line = match receiver.recv().await? {
                    Line::Text(line) => Ok(Frame::data(Bytes::from(line + "\n"))),
                    Line::Cut => {
                        // The lines before it must be on their way: hyper drops what it has not sent.
                        let _ = tokio::time::timeout(Duration::from_millis(50), receiver.recv()).await;
                        Err(std::io::Error::other("cut"))
                    }
                };
                Some((line, receiver))
            });
            Response::new(StreamBody::new(lines.boxed()).boxed_unsync())
        }
        Answer::Silence => std::future::pending().await,
    }
}
