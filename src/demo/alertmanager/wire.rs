//! The API v2 of the Alertmanager: from a request to an answer.
//!
//! Two kinds of refusal, as in the original: its own are a bare JSON string, those of the framework around it (a missing
//! field, a method, a media type) are an object with a code.

use std::sync::Arc;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::body;
use super::matcher::{Labels, Matcher};
use super::{Alertmanager, Refusal, Shown, Wanted, stamp};
use crate::clock::Clock;
use crate::demo::go_regex;
use crate::demo::owner::Owner;
use crate::demo::proxy::{Answer, Backend, Request};
use crate::demo::request::{Query, decode};
use crate::demo::server::{self, Response};

/// Version that the platform's Alertmanager says it is.
pub const VERSION: &str = "0.34.0";

/// A replica of a cluster of Alertmanagers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name in the cluster.
    pub name: String,
    /// Host and port of its gossip.
    pub address: String,
}

/// Finds the replicas that run at the moment.
pub type Peers = Arc<dyn Fn() -> futures::future::BoxFuture<'static, Vec<Peer>> + Send + Sync>;

/// Serves the API.
pub struct Front {
    owner: Owner<Alertmanager>,
    clock: Clock,
    peers: Peers,
}

impl Front {
    /// Serves what an owner holds, at a clock's time.
    pub fn new(owner: Owner<Alertmanager>, clock: Clock, peers: Peers) -> Self {
        Self { owner, clock, peers }
    }

    async fn ask<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Alertmanager, Timestamp) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let now = self.clock.now();
        let gone = |error: crate::demo::owner::Gone| Refusal { code: 500, message: error.to_string() };
        self.owner.call(move |state| run(state, now)).await.map_err(gone)?
    }

    async fn route(&self, request: &Request) -> Result<Response, Said> {
        let path = request.path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let get = matches!(request.method, Method::GET | Method::HEAD);
        match path.as_slice() {
            ["-", "healthy" | "ready"] if get => Ok(server::text(200, "OK")),
            ["-", "reload"] if request.method == Method::POST => Ok(server::text(200, "")),
            ["api", "v2", rest @ ..] => self.api(request, rest).await,
            _ => Ok(server::no_such_page()),
        }
    }

    async fn api(&self, request: &Request, path: &[&str]) -> Result<Response, Said> {
        let query = Query::new(&request.query);
        let allowed: &[&str] = match path {
            ["status" | "receivers"] | ["alerts", "groups"] => &["GET"],
            ["alerts" | "silences"] => &["POST", "GET"],
            ["silence", _] => &["GET", "DELETE"],
            _ => return Err(Said::Framework(404, 404, format!("path {} was not found", request.path))),
        };
        if !allowed.contains(&request.method.as_str()) {
            let message =
                format!("method {} is not allowed, but [{}] are", request.method, allowed.join(","));
            return Err(Said::Method(allowed, message));
        }
        match (request.method.as_str(), path) {
            (_, ["status"]) => Ok(ok(&self.status().await?)),
            (_, ["receivers"]) => {
                let names = self.ask(|state, _| Ok(state.config().receivers.clone())).await?;
                Ok(ok(&names.iter().map(|name| json!({"name": name})).collect()))
            }
            ("GET", ["alerts"]) => {
                let wanted = wanted(&query)?;
                let alerts = self.ask(move |state, now| Ok(state.alerts(&wanted, now))).await?;
                Ok(ok(&alerts.iter().map(alert).collect()))
            }
            ("GET", ["alerts", "groups"]) => {
                let wanted = wanted(&query)?;
                let groups = self.ask(move |state, now| Ok(state.groups(&wanted, now))).await?;
                let groups = groups.iter().map(|group| {
                    let alerts: Vec<Value> = group.alerts.iter().map(alert).collect();
                    json!({"labels": labels(&group.labels), "receiver": {"name": group.receiver}, "alerts": alerts, "routeLabels": {}})
                });
                Ok(ok(&groups.collect()))
            }
            ("POST", ["alerts"]) => {
                let posted = body::alerts(&json_body(request, "alerts")?)?;
                self.ask(move |state, now| state.receive(posted, now)).await?;
                Ok(server::bytes(200, "application/json", Bytes::new()))
            }
            ("GET", ["silences"]) => self.silences(&query).await,
            ("POST", ["silences"]) => {
                let wanted = body::silence(&json_body(request, "silence")?)?;
                let id = self.ask(move |state, now| state.silences_mut().set(wanted, now)).await?;
                Ok(ok(&json!({"silenceID": id})))
            }
            (method, [_, id]) => self.silence(method, &decode(id, false)).await,
            _ => Ok(server::no_such_page()),
        }
    }

    async fn status(&self) -> Result<Value, Said> {
        let peers = (self.peers)().await;
        let (original, started) =
            self.ask(|state, _| Ok((state.config().original.clone(), state.started()))).await?;
        let mut cluster = json!({
            "status": if peers.is_empty() { "disabled" } else { "ready" },
            "peers": peers.iter().map(|peer| json!({"name": peer.name, "address": peer.address})).collect::<Vec<_>>(),
        });
        if let Some(first) = peers.first() {
            cluster["name"] = json!(first.name);
        }
        Ok(json!({
            "cluster": cluster, "config": {"original": original}, "uptime": stamp(started),
            "versionInfo": {
                "version": VERSION, "revision": "opsdeck", "branch": "HEAD", "buildUser": "opsdeck",
                "buildDate": "20260101-00:00:00", "goVersion": "none",
            },
        }))
    }

    async fn silences(&self, query: &Query) -> Result<Response, Said> {
        let filters = filters(query)?;
        let states = [flag(query, "active"), flag(query, "pending"), flag(query, "expired")];
        let list = self.ask(move |state, now| {
            state.tidy(now);
            let shown = state.silences().list(now).into_iter().filter(|silence| {
                states[silence.state(now) as usize]
                    && filters.iter().all(|filter| silence.matchers.contains(filter))
            });
            Ok(shown.map(|silence| silence.to_value(now)).collect::<Vec<_>>())
        });
        Ok(ok(&Value::Array(list.await?)))
    }

    async fn silence(&self, method: &str, id: &str) -> Result<Response, Said> {
        if !is_uuid(id) {
            let message = format!("silenceID in path must be of type uuid: {id:?}");
            return Err(Said::Framework(422, 601, message));
        }
        let id = id.to_owned();
        if method == "DELETE" {
            let expired = self.ask(move |state, now| state.silences_mut().expire(&id, now)).await;
            return match expired {
                Ok(()) => Ok(empty(200)),
                Err(refusal) if refusal.code == 404 => Ok(empty(404)),
                Err(refusal) => Err(refusal.into()),
            };
        }
        let found =
            self.ask(move |state, now| Ok(state.silences().get(&id).map(|silence| silence.to_value(now))));
        Ok(found.await?.map_or_else(|| empty(404), |value| ok(&value)))
    }
}

impl Backend for Front {
    fn answer(&self, request: Request) -> Answer<'_> {
        Box::pin(async move {
            let mut response = match self.route(&request).await {
                Ok(response) => response,
                Err(said) => said.response(),
            };
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        })
    }
}

/// What a refused request is told.
#[derive(Debug)]
pub enum Said {
    /// By Alertmanager.
    Own(Refusal),
    /// By the framework: HTTP status, code, sentence.
    Framework(u16, u16, String),
    /// The path has other methods.
    Method(&'static [&'static str], String),
}

impl From<Refusal> for Said {
    fn from(refusal: Refusal) -> Self {
        Self::Own(refusal)
    }
}

impl Said {
    fn response(self) -> Response {
        match self {
            Self::Own(refusal) => server::json(refusal.code, &json!(refusal.message)),
            Self::Framework(status, code, message) => {
                server::json(status, &json!({"code": code, "message": message}))
            }
            Self::Method(allowed, message) => {
                let mut response = server::json(405, &json!({"code": 405, "message": message}));
                if let Ok(value) = HeaderValue::from_str(&allowed.join(",")) {
                    response.headers_mut().insert(ALLOW, value);
                }
                response
            }
        }
    }
}

fn ok(value: &Value) -> Response {
    server::json(200, value)
}

fn empty(code: u16) -> Response {
    server::bytes(code, "application/json", Bytes::new())
}

fn json_body(request: &Request, what: &str) -> Result<Value, Said> {
    let media = request.header(&CONTENT_TYPE);
    let base = media.split(';').next().unwrap_or_default().trim();
    if !base.is_empty() && base != "application/json" {
        let message = format!("unsupported media type {media:?}, only [application/json] are allowed");
        return Err(Said::Framework(415, 415, message));
    }
    if request.body.is_empty() {
        return Err(Said::Framework(422, 602, format!("{what} in body is required")));
    }
    serde_json::from_slice(&request.body).map_err(|error| {
        let why = if error.is_eof() { "unexpected EOF".to_owned() } else { error.to_string() };
        Said::Framework(400, 400, format!("parsing {what} body from \"\" failed, because {why}"))
    })
}

/// Reads a truth value as the framework does: absent and empty mean the default, which is true everywhere here.
fn flag(query: &Query, name: &str) -> bool {
    match query.all(name).last() {
        None | Some("") => true,
        Some(text) => matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "1" | "yes" | "ok" | "y" | "on" | "selected" | "checked" | "t" | "enabled"
        ),
    }
}

fn filters(query: &Query) -> Result<Vec<Matcher>, Refusal> {
    query.all("filter").map(|text| Matcher::parse(text).map_err(Refusal::bad)).collect()
}

fn wanted(query: &Query) -> Result<Wanted, Refusal> {
    let receiver = query.all("receiver").last().filter(|text| !text.is_empty());
    let receiver = receiver
        .map(|text| {
            go_regex::anchored(text)
                .map_err(|why| Refusal::bad(format!("failed to parse receiver param: {why}")))
        })
        .transpose()?;
    Ok(Wanted {
        filters: filters(query)?,
        receiver,
        active: flag(query, "active"),
        silenced: flag(query, "silenced"),
        inhibited: flag(query, "inhibited"),
    })
}

fn labels(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
}

fn alert(shown: &Shown) -> Value {
    let Shown { alert, receivers, silenced_by, inhibited_by } = shown;
    let suppressed = !(silenced_by.is_empty() && inhibited_by.is_empty());
    let receivers: Vec<Value> = receivers.iter().map(|name| json!({"name": name})).collect();
    let mut value = Map::new();
    for (name, part) in [
        ("labels", labels(&alert.labels)),
        ("annotations", labels(&alert.annotations)),
        ("startsAt", json!(stamp(alert.starts_at))),
        ("endsAt", json!(stamp(alert.ends_at))),
        ("updatedAt", json!(stamp(alert.updated_at))),
        ("fingerprint", json!(alert.fingerprint())),
        ("receivers", Value::Array(receivers)),
        (
            "status",
            json!({
                "state": if suppressed { "suppressed" } else { "active" },
                "silencedBy": silenced_by, "inhibitedBy": inhibited_by, "mutedBy": [],
            }),
        ),
    ] {
        value.insert(name.to_owned(), part);
    }
    if !alert.generator_url.is_empty() {
        value.insert("generatorURL".to_owned(), json!(alert.generator_url));
    }
    Value::Object(value)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}
