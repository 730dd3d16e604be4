//! One system beside Kubernetes and the way to it: through the API server's service proxy with the user's own
//! rights, or straight to a URL.
//!
//! The one place that knows how the two ways differ and how such systems refuse: a `Status` of the API server, a
//! JSON envelope, a bare string, plain text, a login page (contracts 3.13, 4.1, 4.2, 5.3). What the answers mean is
//! the business of each source. Nothing here is tried again.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::body::Bytes;
use jiff::Timestamp;

use super::SourceError;
use super::answer::{
    Asked, Status, is_badly_packed, is_page, quote, refusal, retry_after, sends_on, web_page,
};
use super::kubeconfig::causes;
use super::kubernetes::Connection;
use super::percent::form;
use super::socket::{self, Handshake, WebSocket};
use crate::identity::Text;
use crate::signals::System;

/// How much one answer may hold: 500 series of 11,000 values are about 200 MiB, more than a screen shows.
const LIMIT: usize = 128 * 1024 * 1024;

/// The longest request line: a longer query goes as a form. Common proxies allow 8 KiB.
const LINE: usize = 4_000;

/// A system and the way to it; clones share the connection.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Which system.
    pub system: System,
    /// Where it is, such as `monitoring/prometheus` or a URL; without credentials.
    pub place: Text,
    /// Its path before every other, such as `/prometheus`; without a slash at its end.
    prefix: String,
    headers: HeaderMap,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    /// Through the API server; `base` is the path up to and with `/proxy`.
    Proxy { connection: Connection, base: String },
    /// Straight to it.
    Url { client: reqwest::Client, base: String, patience: Duration, connection: Connection },
}

/// A port of a service: `[scheme:]name[:port]` as the proxy's path takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// The namespace.
    pub namespace: Text,
    /// The service.
    pub service: Text,
    /// The name or number of the port.
    pub port: Text,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// A raw answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub code: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Endpoint {
    /// A system behind a service.
    pub fn behind(system: System, connection: Connection, port: &ServicePort, prefix: &str) -> Self {
        let scheme = if port.tls { "https:" } else { "" };
        let base = format!(
            "/api/v1/namespaces/{}/services/{scheme}{}:{}/proxy",
            port.namespace, port.service, port.port
        );
        Self {
            system,
            place: format!("{}/{}:{}", port.namespace, port.service, port.port).into(),
            prefix: prefix.trim_end_matches('/').to_owned(),
            headers: HeaderMap::new(),
            way: Way::Proxy { connection, base },
        }
    }

    /// A system at a URL.
    pub fn at(system: System, connection: Connection, client: reqwest::Client, url: &str) -> Self {
        let base = url.trim_end_matches('/').to_owned();
        let patience = connection.waits().answer;
        Self {
            system,
            place: without_credentials(&base).into(),
            prefix: String::new(),
            headers: HeaderMap::new(),
            way: Way::Url { client, base, patience, connection },
        }
    }

    /// Sends these headers with every request; one that cannot be written is refused by the reader of configuration.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Returns the same endpoint, asked with one more header.
    #[must_use]
    pub(super) fn and_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Opens a WebSocket; what refuses to go on as one says so in its own words.
    pub(super) async fn websocket(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<WebSocket, SourceError> {
        let handshake = Handshake::new();
        let mut headers = self.headers.clone();
        handshake.write(&mut headers);
        let query = form(query);
        let refused = match &self.way {
            Way::Proxy { connection, base } => {
                let uri = format!("{base}{}{path}?{query}", self.prefix);
                match connection.upgrade(&self.asked(path), &uri, &headers).await? {
                    Ok((answered, upgrade)) if handshake.is_kept(&answered) => {
                        let waiting = tokio::time::timeout(connection.waits().answer, upgrade);
                        let io =
                            waiting.await.map_err(|_| self.garbled("the connection was not handed over"))?;
                        let io = io.map_err(|error| self.garbled(&causes(&error)))?;
                        return Ok(socket::open(hyper_util::rt::TokioIo::new(io)).await);
                    }
                    Ok(_) => return Err(self.garbled("it goes on in another protocol than a WebSocket")),
                    Err(refused) => refused,
                }
            }
            Way::Url { client, base, patience, .. } => {
                let uri = format!("{base}{}{path}?{query}", self.prefix);
                let sent = tokio::time::timeout(*patience, client.get(&uri).headers(headers).send());
                let answer = sent.await.map_err(|_| self.timed_out())?.map_err(|error| self.lost(&error))?;
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    if !handshake.is_kept(answer.headers()) {
                        return Err(self.garbled("it goes on in another protocol than a WebSocket"));
                    }
                    let waiting = tokio::time::timeout(*patience, answer.upgrade());
                    let io =
                        waiting.await.map_err(|_| self.timed_out())?.map_err(|error| self.lost(&error))?;
                    return Ok(socket::open(io).await);
                }
                let whole = tokio::time::timeout(*patience, self.whole(answer));
                whole.await.map_err(|_| self.timed_out())??
            }
        };
        if refused.code.is_success() && !is_page(&refused.body) {
            return Err(self.garbled("it answers and does not go on as a WebSocket"));
        }
        Err(self.refused(path, &refused))
    }

    /// Returns the waits of its connection.
    pub(super) fn waits(&self) -> &super::Waits {
        match &self.way {
            Way::Proxy { connection, .. } | Way::Url { connection, .. } => connection.waits(),
        }
    }

    /// Returns how it is reached, in words.
    pub fn way(&self) -> String {
        match &self.way {
            Way::Proxy { .. } => format!("service {} through the API server", self.place),
            Way::Url { .. } => format!("{}", self.place),
        }
    }

    /// Returns the time of day of the connection's clock.
    pub(super) fn now(&self) -> Timestamp {
        match &self.way {
            Way::Proxy { connection, .. } | Way::Url { connection, .. } => connection.now(),
        }
    }

    /// Asks for something; a query too long for a request line goes as a form, which changes nothing either.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Bytes, SourceError> {
        let encoded = form(query);
        let body = if encoded.len() > LINE {
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            self.send(Method::POST, path, "", Some((kind, encoded.into_bytes()))).await?
        } else {
            self.send(Method::GET, path, &encoded, None).await?
        };
        // No answer of any of their APIs is empty.
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(self.garbled("nothing: its answer is empty"));
        }
        Ok(body)
    }

    /// Sends one request and returns the body of a good answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<(HeaderValue, Vec<u8>)>,
    ) -> Result<Bytes, SourceError> {
        let answered = self.exchange(method, path, query, body).await?;
        if answered.code.is_success() && !is_page(&answered.body) {
            return Ok(answered.body);
        }
        Err(self.refused(path, &answered))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<(HeaderValue, Vec<u8>)>,
    ) -> Result<Answered, SourceError> {
        let mark = if query.is_empty() { "" } else { "?" };
        let headers = self.headers.clone();
        match &self.way {
            Way::Proxy { connection, base } => {
                let uri = format!("{base}{}{path}{mark}{query}", self.prefix);
                let asked = self.asked(path);
                connection.pass(&asked, method, &uri, headers, body, LIMIT).await
            }
            Way::Url { client, base, patience, .. } => {
                let uri = format!("{base}{}{path}{mark}{query}", self.prefix);
                let mut request = client.request(method, &uri).headers(headers).timeout(*patience);
                if let Some((kind, body)) = body {
                    request = request.header(header::CONTENT_TYPE, kind).body(body);
                }
                let answer = request.send().await.map_err(|error| self.lost(&error))?;
                self.whole(answer).await
            }
        }
    }

    async fn whole(&self, mut answer: reqwest::Response) -> Result<Answered, SourceError> {
        let (code, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        let too_large = || self.garbled(&format!("the answer is larger than {} MiB", LIMIT / 1024 / 1024));
        // What is announced as too large need not be waited for.
        if answer.content_length().is_some_and(|length| length > LIMIT as u64) {
            return Err(too_large());
        }
        while let Some(bytes) = answer.chunk().await.map_err(|error| self.lost(&error))? {
            if body.len() + bytes.len() > LIMIT {
                return Err(too_large());
            }
            body.extend_from_slice(&bytes);
        }
        Ok(Answered { code, headers, body: body.into() })
    }

    fn asked(&self, path: &str) -> Asked {
        let (Way::Proxy { connection, .. } | Way::Url { connection, .. }) = &self.way;
        Asked {
            verb: "get",
            what: format!("{} ({path}) at {}", self.system, self.place),
            place: connection.place(),
            behind: Some((self.system.name(), self.place.clone())),
        }
    }

    /// Says why there is no answer, or no whole one.
    fn lost(&self, error: &reqwest::Error) -> SourceError {
        // The URL may hold a user and a password.
        let reason = quote(&causes(&WithoutUrl(error)));
        if is_badly_packed(error) {
            return self.garbled(&format!("it cannot be unpacked: {reason}"));
        }
        SourceError::Unreachable {
            what: self.system.name().to_owned(),
            place: self.place.to_string(),
            reason: if reason.contains("certificate") {
                format!("{reason}; is its ca_file in the configuration that of this system?")
            } else {
                format!("{reason}; does it run, and is this its address?")
            },
        }
    }

    fn timed_out(&self) -> SourceError {
        SourceError::Unreachable {
            what: self.system.name().to_owned(),
            place: self.place.to_string(),
            reason: "the request timed out; does it run, and is it busy?".to_owned(),
        }
    }

    /// Says that an answer cannot be understood.
    pub(super) fn garbled(&self, reason: &str) -> SourceError {
        SourceError::Garbled { what: format!("{} at {}", self.system, self.place), reason: quote(reason) }
    }

    /// Turns a refusal into an error.
    fn refused(&self, path: &str, answered: &Answered) -> SourceError {
        let Answered { code, headers, body } = answered;
        let now = self.now();
        if matches!(self.way, Way::Proxy { .. }) && Status::read(body).is_some() {
            return self.proxy_refused(path, *code, headers, body, now);
        }
        let page = is_page(body);
        let text = String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]);
        let named = format!("{} {}", code.as_u16(), code.canonical_reason().unwrap_or("(no name)"));
        let what = format!("{} at {}", self.system, self.place);
        if code.is_redirection() {
            return sends_on(self.system.name(), &self.place, headers);
        }
        // What a page says is for a browser; what these two codes say is for the console.
        if page && !matches!(*code, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) {
            return web_page(self.system.name(), &self.place, *code);
        }
        let said = if page { String::new() } else { quote(&own_words(&text)) };
        let reason = if said.is_empty() { named.clone() } else { said };
        let section = format!("[contexts.\"...\".{}] of the configuration", self.system.key());
        match *code {
            StatusCode::UNAUTHORIZED => SourceError::Unauthenticated {
                what,
                reason: format!("{reason}; {section} can name a bearer_env, a bearer_file or headers"),
            },
            StatusCode::FORBIDDEN => SourceError::Denied {
                verb: "use".to_owned(),
                object: what,
                reason: format!("{reason}; ask whoever runs it for the right"),
            },
            // What a server says that has no such path at all; a missing object is told in other words.
            StatusCode::NOT_FOUND if reason == named || reason == "404 page not found" => {
                SourceError::Missing { what, reason: format!("{reason}; {section} can name its prefix") }
            }
            StatusCode::NOT_FOUND => SourceError::Missing { what, reason },
            StatusCode::CONFLICT => SourceError::Conflict { what, reason },
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                SourceError::Invalid { what, reason }
            }
            StatusCode::TOO_MANY_REQUESTS => {
                SourceError::Throttled { what, until: retry_after(headers, now), reason }
            }
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                SourceError::Unreachable {
                    what: self.system.name().to_owned(),
                    place: self.place.to_string(),
                    reason: if reason == named { named } else { format!("{named}: {reason}") },
                }
            }
            _ => {
                let reason = if reason == named { named } else { format!("{named}: {reason}") };
                SourceError::Garbled { what, reason: format!("{reason}; its log says more") }
            }
        }
    }

    /// A refusal of the API server itself: no right to use the proxy, no such service, nothing behind it.
    fn proxy_refused(
        &self,
        path: &str,
        code: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> SourceError {
        match refusal(&self.asked(path), code, headers, body, now) {
            SourceError::Denied { reason, .. } => SourceError::Denied {
                verb: "reach".to_owned(),
                object: format!("{} at {}", self.system, self.place),
                reason: format!("{reason}; it takes get on services/proxy"),
            },
            SourceError::Unreachable { reason, .. } => SourceError::Unreachable {
                what: self.system.name().to_owned(),
                place: self.place.to_string(),
                reason,
            },
            other => other,
        }
    }
}

/// What a system says of its refusal in its own form: Prometheus's envelope, Alertmanager's bare string, or text.
fn own_words(text: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::String(words)) => words,
        Ok(serde_json::Value::Object(fields)) => ["error", "message"]
            .iter()
            .find_map(|name| fields.get(*name).and_then(serde_json::Value::as_str))
            .unwrap_or(text)
            .to_owned(),
        _ => text.to_owned(),
    }
}

/// Reads a header of configuration.
pub(super) fn header_of(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// Writes a URL without user, password and query.
pub(crate) fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let path = path.map(|path| format!("/{}", path.split('?').next().unwrap_or_default()));
            format!("{scheme}://{host}{}", path.unwrap_or_default())
        }
        None => url.to_owned(),
    }
}

/// An error of reqwest that does not write the URL.
#[derive(Debug)]
struct WithoutUrl<'a>(&'a reqwest::Error);

impl std::fmt::Display for WithoutUrl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_timeout() {
            "the request timed out"
        } else if self.0.is_connect() {
            "no connection"
        } else if self.0.is_body() || self.0.is_decode() {
            "the answer was cut off"
        } else {
            "the request failed"
        })
    }
}

impl std::error::Error for WithoutUrl<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_user_and_password() {
        assert_eq!(without_credentials("https://u:p@host:9090/prom?x=1"), "https://host:9090/prom");
        assert_eq!(without_credentials("http://host"), "http://host");
    }

    #[test]
    fn each_system_is_quoted_in_its_own_words() {
        let envelope = r#"{"status":"error","errorType":"bad_data","error":"parse error at char 3"}"#;
        assert_eq!(own_words(envelope), "parse error at char 3");
        assert_eq!(own_words(r#""silence not found""#), "silence not found");
        assert_eq!(own_words("too many outstanding requests\n"), "too many outstanding requests\n");
    }
}
