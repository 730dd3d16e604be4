//! From a request to the part of the platform that answers it.
//!
//! It looks at the path and the headers and asks for permission; the answers are made elsewhere.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use serde_json::json;

use super::access::{Access, User};
use super::discovery;
use super::eviction;
use super::exposition;
use super::logs;
use super::metrics;
use super::openapi;
use super::proxy;
use super::read::{self, key_of};
use super::request::{Query, Shape, Target, Verb};
use super::review;
use super::scale;
use super::server::{Front, Response, bytes, json as answer_json, no_such_page};
use super::status::{Reason, Status};
use super::types::Type;
use super::versions::{View, resolve};
use super::watch;
use super::write::{Answer, Write, decode};

/// Bytes that a request's body may have; a real server takes three megabytes.
const BODY: usize = 3 * 1_024 * 1_024;

/// Answers a request of a user who is known.
pub async fn route(front: &Arc<Front>, user: User, request: Request<Incoming>) -> Result<Response, Status> {
    if let Some(wanted) = proxy::Wanted::parse(request.uri().path()) {
        return proxy::answer(front, user, wanted, request).await;
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = Query::new(parts.uri.query().unwrap_or_default());
    let accept = header(&parts.headers, &ACCEPT);
    let metrics = exposition::answer(&front.handle, &front.access, user, &parts.method, &path, accept);
    if let Some(answer) = metrics.await {
        return answer;
    }
    if let Some(response) = page(front, user, &parts.method, &path, &parts.headers)? {
        return Ok(response);
    }
    let Some(target) = Target::parse(&path) else { return Ok(no_such_page()) };
    let Some(verb) = target.verb(&parts.method, &query) else {
        return Err(method_not_allowed());
    };
    let media = header(&parts.headers, &CONTENT_TYPE).to_owned();

    if review::is_review(&target.group, &target.version, &target.plural) {
        if verb != Verb::Create {
            return Err(method_not_allowed());
        }
        front.access.check(user, &target.attributes(verb))?;
        let body = decode(&media, &collect(body).await?)?;
        let Target { group, version, plural, .. } = &target;
        return match review::review(&front.access, user, group, version, plural, body) {
            Some(answer) => Ok(answer_json(201, &answer?)),
            None => Ok(no_such_page()),
        };
    }
    if target.group == "metrics.k8s.io" {
        if !metrics::serves(&target) {
            return Ok(no_such_page());
        }
        front.access.check(user, &target.attributes(verb))?;
        return match verb {
            Verb::Get | Verb::List => {
                let shape = Shape::read(&parts.headers, &query)?;
                metrics::answer(&front.handle, &target, &query, shape).await
            }
            _ => Err(method_not_allowed()),
        };
    }
    let Some((kind, view)) = resolve(&target.group, &target.version, &target.plural) else {
        return Ok(no_such_page());
    };
    // Namespaced objects have no path of their own without a namespace.
    let info = kind.info();
    let misplaced = if info.namespaced {
        target.namespace.is_empty() && !target.name.is_empty()
    } else {
        !target.namespace.is_empty() && kind != Type::Namespace
    };
    if misplaced || !serves_subresource(kind, &target.subresource) {
        return Ok(no_such_page());
    }
    front.access.check(user, &target.attributes(verb))?;
    let handle = &front.handle;
    match (verb, target.subresource.as_str()) {
        (Verb::Get, "log") => logs::answer(handle, &target, &query).await,
        (Verb::Create, "eviction") => {
            let body = decode(&media, &collect(body).await?)?;
            let key = key_of(&target, kind);
            let done =
                handle.call(move |world, now| eviction::evict(&mut world.objects, &key, &body, &query, now));
            Ok(answer_json(201, &done.await??))
        }
        (_, "log" | "eviction") => Err(method_not_allowed()),
        (Verb::Get, "scale") => {
            let key = key_of(&target, kind);
            let found = handle.call(move |world, _| world.objects.get_value(&key)).await?;
            let object = found.ok_or_else(|| Status::not_found(kind, &target.name))?;
            Ok(answer_json(200, &scale::scale(kind, &object)))
        }
        (Verb::Get, _) => read::get(handle, &target, kind, view, Shape::read(&parts.headers, &query)?).await,
        (Verb::List, _) => {
            read::list(handle, &target, kind, view, &query, Shape::read(&parts.headers, &query)?).await
        }
        (Verb::Watch, _) => {
            watch::watch(handle, &target, kind, view, &query, Shape::read(&parts.headers, &query)?).await
        }
        (Verb::Create, "") if !target.name.is_empty() => Err(method_not_allowed()),
        (Verb::Create | Verb::Delete | Verb::DeleteCollection, sub) if !sub.is_empty() => {
            Err(method_not_allowed())
        }
        _ => {
            let shape = Shape::read(&parts.headers, &query)?;
            let body = collect(body).await?;
            let agent = header(&parts.headers, &USER_AGENT).to_owned();
            write(front, Write { verb, target, kind, view, query, media, body, agent }, shape).await
        }
    }
}

/// Answers paths that are not resources; `None` where the path may be one.
fn page(
    front: &Front,
    user: User,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<Response>, Status> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let core_or_groups = matches!(parts.as_slice(), ["api" | "apis"]);
    let value = match parts.as_slice() {
        [""] => Some(
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}),
        ),
        ["version"] => Some(discovery::version()),
        ["api"] => Some(discovery::core_versions(&front.address)),
        ["apis"] => Some(discovery::group_list()),
        ["api", version] => discovery::resources("", version),
        ["apis", group] => discovery::group(group),
        ["apis", group, version] => discovery::resources(group, version),
        ["openapi", "v2"] => return openapi::v2(header(headers, &ACCEPT)).map(Some),
        ["openapi", "v3"] => Some(openapi::index()),
        ["openapi", "v3", "api", version] => openapi::document("", version),
        ["openapi", "v3", "apis", group, version] => openapi::document(group, version),
        ["api" | "apis", ..] => return Ok(None),
        _ => return Ok(Some(no_such_page())),
    };
    let Some(value) = value else { return Ok(Some(no_such_page())) };
    if *method != Method::GET && *method != Method::HEAD {
        return Err(method_not_allowed());
    }
    if !Access::allows_path(user, "get", path) {
        let message = format!("forbidden: User \"{}\" cannot get path \"{path}\"", user.name());
        return Err(Status::new(Reason::Forbidden, message));
    }
    let accept = header(headers, &ACCEPT);
    if core_or_groups && accept.contains("as=APIGroupDiscoveryList") {
        let core = parts == ["api"];
        let (version, media) = if accept.contains("v=v2;") || accept.contains("v=v2,") {
            ("v2", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        } else {
            ("v2beta1", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")
        };
        let body = discovery::aggregated(core, version).to_string();
        return Ok(Some(bytes(200, media, Bytes::from(body))));
    }
    Ok(Some(answer_json(200, &value)))
}

async fn write(front: &Front, write: Write, shape: Shape) -> Result<Response, Status> {
    let (kind, view) = (write.kind, write.view);
    let (done, now) =
        front.handle.call(move |world, now| (write.carry_out(&mut world.objects, now), now)).await?;
    let written = done?;
    let body = match (&written.value, shape, view) {
        (Answer::Object(object), Shape::Table(_), _) => read::row(object, kind, view, shape, now, true),
        (Answer::Object(object), _, _) => read::item(object, view, shape),
        (Answer::Value(value), Shape::Metadata, _) if value["kind"] == kind.info().kind => {
            Bytes::from(read::metadata(value, "PartialObjectMetadata").to_string())
        }
        (Answer::Value(value), _, view) if view != View::Stored && value["kind"] == kind.info().kind => {
            Bytes::from(view.show(kind, value).to_string())
        }
        (Answer::Value(value), _, _) => Bytes::from(value.to_string()),
    };
    let mut response = bytes(written.code, "application/json", body);
    for warning in &written.warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(HeaderName::from_static("warning"), value);
        }
    }
    Ok(response)
}

fn serves_subresource(kind: Type, subresource: &str) -> bool {
    let info = kind.info();
    match subresource {
        "" => true,
        "status" => info.status,
        "scale" => info.scale,
        "log" | "eviction" => kind == Type::Pod,
        _ => false,
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Status> {
    let collected = Limited::new(body, BODY).collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| Status::bad_request(format!("the body cannot be read: {error}")))
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn method_not_allowed() -> Status {
    Status::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
}
