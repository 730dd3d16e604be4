//! The service and pod proxy: `…/services/[scheme:]name[:port]/proxy/path` and the same of pods.
//!
//! It finds out which pod would answer and hands the request to the [`Backend`] that plays that pod's server. It knows
//! nothing of what the backends serve, and a backend knows nothing of who asked: like the API server, the proxy takes
//! the caller's credentials off.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    self, AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use super::access::{Attributes, User};
use super::objects::Key;
use super::request::decode;
use super::server::{Front, Response, text};
use super::status::{Reason, Status};
use super::types::Type;
use super::untyped::{at, list, text as text_at};
use super::world::World;

/// Bytes that a request's body may have; remote writes and silences are far smaller.
const BODY: usize = 16 * 1_024 * 1_024;

/// Headers that belong to one connection and not to the request (RFC 9110, 7.6.1).
const PER_CONNECTION: &[HeaderName] = &[
    CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    UPGRADE,
];

/// What a backend is asked.
#[derive(Debug)]
pub struct Request {
    /// Any method.
    pub method: Method,
    /// The path at the backend as it was sent, percent signs and all; starts with a slash.
    pub path: String,
    /// The query string without its question mark; may be empty. [`super::request::Query`] reads it.
    pub query: String,
    /// Headers without the caller's credentials; `Host` names the pod's address.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Name of the pod that plays the server, as a scrape target has it; empty where a backend is reached directly.
    pub pod: String,
    /// The connection, where the caller wants to switch to another protocol.
    pub upgrade: Option<Upgrade>,
}

impl Request {
    /// Returns a header's value, empty where it is absent or not text.
    pub fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A connection that its client wants to take another protocol to.
///
/// A backend that agrees calls [`Upgrade::run`] and answers with status 101 and the headers of that protocol.
#[derive(Debug)]
pub struct Upgrade {
    on: OnUpgrade,
    stop: CancellationToken,
}

impl Upgrade {
    /// Takes the connection of a request whose client wants to switch; `None` where it does not.
    pub fn wanted<B>(request: &mut hyper::Request<B>, stop: CancellationToken) -> Option<Self> {
        wants_upgrade(request.headers()).then(|| Self { on: hyper::upgrade::on(request), stop })
    }

    /// Serves the connection in a task of its own once the answer is out; the task ends with the platform.
    pub fn run<F>(self, serve: impl FnOnce(Upgraded) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(self.stop.run_until_cancelled_owned(async move {
            // A client that goes away before the switch is over wants nothing more.
            if let Ok(connection) = self.on.await {
                serve(connection).await;
            }
        }));
    }
}

/// The answer of a backend, while it is being made.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// A server inside the cluster.
///
/// An implementation must not keep the world's task busy: it asks for what it needs in one short closure and works on
/// the copy. Its errors are answers of its own protocol.
pub trait Backend: Send + Sync {
    /// Answers one request.
    fn answer(&self, request: Request) -> Answer<'_>;
}

/// Which backend plays which port of which Service: namespace, Service, port of the Service.
#[derive(Clone, Default)]
pub struct Backends(BTreeMap<(String, String, u16), Arc<dyn Backend>>);

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Backends {
    /// Lets a backend play a port of a Service; the pods behind it answer at the port's target.
    pub fn add(&mut self, namespace: &str, service: &str, port: u16, backend: Arc<dyn Backend>) {
        self.0.insert((namespace.to_owned(), service.to_owned(), port), backend);
    }

    /// Returns the backend of a port of a Service.
    pub fn get(&self, namespace: &str, service: &str, port: u16) -> Option<&Arc<dyn Backend>> {
        self.0.get(&(namespace.to_owned(), service.to_owned(), port))
    }

    /// Takes the others over; where both have one, the other's plays.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Returns namespace, Service and port of every backend.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str, u16)> {
        self.0.keys().map(|(namespace, service, port)| (namespace.as_str(), service.as_str(), *port))
    }
}

/// What a proxied path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    kind: Type,
    namespace: String,
    /// `[scheme:]name[:port]` as it was asked for.
    id: String,
    /// The rest of the path as it was sent; empty or with its slash.
    path: String,
}

impl Wanted {
    /// Takes a path apart; `None` where it is no proxy's.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/v1/namespaces/")?;
        let mut parts = rest.splitn(5, '/');
        let namespace = decode(parts.next()?, false);
        let kind = match parts.next()? {
            "services" => Type::Service,
            "pods" => Type::Pod,
            _ => return None,
        };
        let id = decode(parts.next()?, false);
        (parts.next()? == "proxy").then_some(())?;
        let path = parts.next().map(|rest| format!("/{rest}")).unwrap_or_default();
        (!namespace.is_empty() && !id.is_empty()).then_some(Self { kind, namespace, id, path })
    }
}

/// Where a request goes.
struct Found {
    /// Ports of Services under which a backend may be registered.
    places: Vec<(String, u16)>,
    pod: String,
    /// Address and port of the pod.
    host: String,
}

/// Answers a proxied request of a user who is known.
pub async fn answer(
    front: &Front,
    user: User,
    wanted: Wanted,
    mut request: hyper::Request<Incoming>,
) -> Result<Response, Status> {
    let verb = verb(request.method()).ok_or_else(|| {
        Status::new(
            Reason::MethodNotAllowed,
            "the server does not allow this method on the requested resource",
        )
    })?;
    let attributes = Attributes {
        verb: verb.to_owned(),
        resource: wanted.kind.info().plural.to_owned(),
        subresource: "proxy".to_owned(),
        namespace: wanted.namespace.clone(),
        name: wanted.id.clone(),
        ..Attributes::default()
    };
    front.access.check(user, &attributes)?;
    let asked = wanted.clone();
    let found = front.handle.call(move |world, _| find(world, &asked)).await??;
    let query = request.uri().query().unwrap_or_default().to_owned();
    // As the API server does: pages refer to what is beside them, so they must end in a slash.
    if wanted.path.is_empty() && matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(slash(request.uri()));
    }
    let backend =
        found.places.iter().find_map(|(service, port)| front.backends.get(&wanted.namespace, service, *port));
    let Some(backend) = backend.map(Arc::clone) else { return Err(refused(&found.host)) };

    let upgrade = Upgrade::wanted(&mut request, front.stop.clone());
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY)
        .collect()
        .await
        .map_err(|error| Status::bad_request(format!("the body cannot be read: {error}")))?
        .to_bytes();
    let request = Request {
        method: parts.method,
        path: if wanted.path.is_empty() { "/".to_owned() } else { wanted.path },
        query,
        headers: forwarded(parts.headers, &parts.uri, &found.host, upgrade.is_some()),
        body,
        pod: found.pod,
        upgrade,
    };
    let mut response = backend.answer(request).await;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        for name in PER_CONNECTION {
            response.headers_mut().remove(name);
        }
    }
    Ok(response)
}

/// Returns the verb that authorizers see; a `watch` parameter means nothing here.
fn verb(method: &Method) -> Option<&'static str> {
    Some(match method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => return None,
    })
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade")))
}

/// Returns the headers that a backend gets.
fn forwarded(mut headers: HeaderMap, uri: &hyper::Uri, host: &str, upgrading: bool) -> HeaderMap {
    headers.remove(AUTHORIZATION);
    if !upgrading {
        for name in PER_CONNECTION {
            headers.remove(name);
        }
    }
    let original = headers.get(HOST).cloned().or_else(|| {
        // HTTP/2 names the host in the request's address.
        uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
    });
    if let Some(original) = original {
        headers.insert("x-forwarded-host", original);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    for (name, value) in [("x-forwarded-uri", uri.path()), ("host", host)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn slash(uri: &hyper::Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = text(301, "");
    if let Ok(value) = HeaderValue::from_str(&format!("{}/{query}", uri.path())) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// Says what the API server says when nobody listens at the pod's port.
fn refused(host: &str) -> Status {
    let message = format!("error trying to reach service: dial tcp {host}: connect: connection refused");
    Status::new(Reason::ServiceUnavailable, message)
}

/// Takes `[scheme:]name[:port]` apart as the API server does.
fn split(id: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = id.split(':').collect();
    let (scheme, name, port) = match parts.as_slice() {
        [name] => ("", *name, ""),
        [name, port] => ("", *name, *port),
        [scheme, name, port] => (*scheme, *name, *port),
        _ => return None,
    };
    (matches!(scheme, "" | "http" | "https") && !name.is_empty()).then_some((name, port))
}

fn find(world: &World, wanted: &Wanted) -> Result<Found, Status> {
    let what = if wanted.kind == Type::Pod { "pod" } else { "service" };
    let Some((name, port)) = split(&wanted.id) else {
        return Err(Status::bad_request(format!("invalid {what} request {:?}", wanted.id)));
    };
    if wanted.kind == Type::Pod {
        pod(world, &wanted.namespace, name, port)
    } else {
        service(world, &wanted.namespace, name, port, &wanted.id)
    }
}

fn service(world: &World, namespace: &str, name: &str, port: &str, id: &str) -> Result<Found, Status> {
    let key = Key::new(Type::Service, namespace, name);
    let service = world.objects.get_value(&key).ok_or_else(|| Status::not_found(Type::Service, name))?;
    let unavailable = |message: String| Status::new(Reason::ServiceUnavailable, message);
    let ports = list(&service, "/spec/ports");
    // A number is the port of the Service, and stands for the name of that port.
    let (named, number) = if let Ok(number) = port.parse::<u16>() {
        let found = ports.iter().find(|entry| at(entry, "/port") == number);
        let found = found
            .ok_or_else(|| unavailable(format!("no service port {number} found for service \"{name}\"")))?;
        (text_at(found, "/name").to_owned(), number)
    } else {
        let found = ports.iter().find(|entry| text_at(entry, "/name") == port);
        let number = found.and_then(|entry| u16::try_from(at(entry, "/port").as_i64()?).ok());
        (port.to_owned(), number.unwrap_or_default())
    };
    let slices: Vec<_> = world
        .objects
        .list(Type::EndpointSlice, Some(namespace))
        .filter(|slice| slice.label("kubernetes.io/service-name") == Some(name))
        .map(|slice| slice.value())
        .collect();
    let ready = slices.iter().flat_map(|slice| {
        let target = list(slice, "/ports").iter().find(|entry| text_at(entry, "/name") == named);
        let target = target.map(|entry| at(entry, "/port").as_i64().unwrap_or_default());
        list(slice, "/endpoints")
            .iter()
            .filter(|endpoint| at(endpoint, "/conditions/ready") != false)
            .map(move |endpoint| (endpoint, target))
    });
    let ready: Vec<_> = ready.collect();
    if ready.is_empty() {
        return Err(unavailable(format!("no endpoints available for service \"{name}\"")));
    }
    let (endpoint, target) = ready
        .into_iter()
        .find_map(|(endpoint, target)| Some((endpoint, target?)))
        .ok_or_else(|| unavailable(format!("no endpoints available for service \"{id}\"")))?;
    Ok(Found {
        places: vec![(name.to_owned(), number)],
        pod: text_at(endpoint, "/targetRef/name").to_owned(),
        host: format!("{}:{target}", text_at(endpoint, "/addresses/0")),
    })
}

fn pod(world: &World, namespace: &str, name: &str, port: &str) -> Result<Found, Status> {
    let object =
        world.objects.find(Type::Pod, namespace, name).ok_or_else(|| Status::not_found(Type::Pod, name))?;
    let pod = object.value();
    let address = text_at(&pod, "/status/podIP");
    if address.is_empty() {
        return Err(Status::bad_request("address not allowed"));
    }
    let containers = list(&pod, "/spec/containers");
    let opened: Vec<_> = containers.iter().flat_map(|container| list(container, "/ports")).collect();
    // Without a port the first one that the pod declares is meant.
    let number = match port {
        "" => opened.first().and_then(|entry| at(entry, "/containerPort").as_i64()).unwrap_or(80),
        port => port.parse().unwrap_or_default(),
    };
    let leads = |entry: &serde_json::Value| {
        let target = at(entry, "/targetPort");
        let resolved = target.as_i64().or_else(|| {
            let named = opened.iter().find(|open| at(open, "/name") == target)?;
            at(named, "/containerPort").as_i64()
        });
        resolved.or_else(|| at(entry, "/port").as_i64()) == Some(number)
    };
    let mut places = Vec::new();
    for key in world.view.selecting(Type::Service, object) {
        let Some(service) = world.objects.get_value(key) else { continue };
        for entry in list(&service, "/spec/ports").iter().filter(|entry| leads(entry)) {
            if let Some(port) = at(entry, "/port").as_i64().and_then(|port| u16::try_from(port).ok()) {
                places.push((key.name.to_string(), port));
            }
        }
    }
    Ok(Found { places, pod: name.to_owned(), host: format!("{address}:{number}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_proxy_are_taken_apart() {
        let wanted = |path: &str| Wanted::parse(path).map(|w| (w.kind, w.namespace, w.id, w.path));
        assert_eq!(
            wanted("/api/v1/namespaces/m/services/http:am:9093/proxy/api/v2/status"),
            Some((Type::Service, "m".into(), "http:am:9093".into(), "/api/v2/status".into()))
        );
        // What is encoded stays so, and so do empty parts.
        assert_eq!(
            wanted("/api/v1/namespaces/m/pods/am-0/proxy/a%2Fb//c/"),
            Some((Type::Pod, "m".into(), "am-0".into(), "/a%2Fb//c/".into()))
        );
        assert_eq!(wanted("/api/v1/namespaces/m/services/am/proxy").unwrap().3, "");
        assert_eq!(wanted("/api/v1/namespaces/m/services/am/proxy/").unwrap().3, "/");
        assert_eq!(wanted("/api/v1/namespaces/m/services/am"), None);
        assert_eq!(wanted("/api/v1/namespaces/m/configmaps/am/proxy/x"), None);
    }

    #[test]
    fn names_with_scheme_and_port_are_taken_apart_as_kubernetes_does() {
        assert_eq!(split("am"), Some(("am", "")));
        assert_eq!(split("am:web"), Some(("am", "web")));
        assert_eq!(split("https:am:9093"), Some(("am", "9093")));
        assert_eq!(split(":am:9093"), Some(("am", "9093")));
        assert_eq!(split("ftp:am:9093"), None);
        assert_eq!(split("http::9093"), None);
    }
}
