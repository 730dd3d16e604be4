//! Get and list: objects on their way out.
//!
//! The bytes of stored objects are copied as they are; only tables and other views decode them.

use std::fmt::Write as _;
use std::sync::Arc;

use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::{Key, Object, encode};
use super::paging::{ListRequest, Page, check_fields, page};
use super::platform::Handle;
use super::request::{Query, Shape, Target};
use super::selector::Selector;
use super::server::{Response, bytes, stream as streamed};
use super::status::Status;
use super::table;
use super::types::Type;
use super::versions::View;

/// Bytes of a list that are put together before they are handed to the connection.
const CHUNK: usize = 256 * 1_024;

/// Answers one object.
pub async fn get(
    handle: &Handle,
    target: &Target,
    kind: Type,
    view: View,
    shape: Shape,
) -> Result<Response, Status> {
    let key = key_of(target, kind);
    let (found, now) = handle.call(move |world, now| (world.objects.get(&key).cloned(), now)).await?;
    let object = found.ok_or_else(|| Status::not_found(kind, &target.name))?;
    let body = match shape {
        Shape::Table(include) => Bytes::from(
            table::table(kind, view, std::slice::from_ref(&object), include, now, None).to_string(),
        ),
        _ => item(&object, view, shape),
    };
    Ok(bytes(200, "application/json", body))
}

/// Answers a list, in pages where that is asked for.
pub async fn list(
    handle: &Handle,
    target: &Target,
    kind: Type,
    view: View,
    query: &Query,
    shape: Shape,
) -> Result<Response, Status> {
    let request = list_request(target, kind, query)?;
    let (page, now) = handle.call(move |world, now| (page(&world.objects, kind, &request), now)).await?;
    let page = page?;
    match shape {
        Shape::Table(include) => {
            let value = table::table(kind, view, &page.objects, include, now, Some(list_metadata(&page)));
            Ok(bytes(200, "application/json", Bytes::from(value.to_string())))
        }
        _ => Ok(concatenate(kind, view, shape, page)),
    }
}

/// Reads what a list or a watch asks for.
pub fn list_request(target: &Target, kind: Type, query: &Query) -> Result<ListRequest, Status> {
    let mut fields = query.get("fieldSelector").to_owned();
    if !target.name.is_empty() && target.plural != "namespaces" {
        // A watch on the path of one object is a watch with a selector for its name.
        if !fields.is_empty() {
            fields.push(',');
        }
        let _ = write!(fields, "metadata.name={}", target.name);
    }
    let selector = Selector::labels(query.get("labelSelector"))?.with_fields(&fields)?;
    check_fields(kind, &selector)?;
    let namespace = if kind.info().namespaced { target.namespace.clone() } else { String::new() };
    Ok(ListRequest {
        namespace,
        selector,
        limit: usize::try_from(query.number("limit")?.unwrap_or(0)).unwrap_or(0),
        token: query.get("continue").to_owned(),
        revision: query.get("resourceVersion").to_owned(),
        matching: query.get("resourceVersionMatch").to_owned(),
    })
}

/// Returns the key of the object that a path names.
pub fn key_of(target: &Target, kind: Type) -> Key {
    let namespace = if kind.info().namespaced { target.namespace.as_str() } else { "" };
    Key::new(kind, namespace, &target.name)
}

/// Returns one object in the form that is wanted; tables are not among the forms.
pub fn item(object: &Object, view: View, shape: Shape) -> Bytes {
    match (view, shape) {
        (View::Stored, Shape::Full | Shape::Table(_)) => object.json.clone(),
        (_, Shape::Full | Shape::Table(_)) => {
            Bytes::from(encode(&view.show(object.key.kind, &object.value())))
        }
        (_, Shape::Metadata) => Bytes::from(metadata(&object.value(), "PartialObjectMetadata").to_string()),
    }
}

/// Returns the metadata of an object as an object of its own.
pub fn metadata(object: &Value, kind: &str) -> Value {
    json!({"kind": kind, "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn list_metadata(page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(next) = &page.next {
        metadata["continue"] = json!(next);
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    metadata
}

fn concatenate(kind: Type, view: View, shape: Shape, page: Page) -> Response {
    let (name, version) = match (shape, view) {
        (Shape::Metadata, _) => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        _ => (format!("{}List", kind.info().kind), view.api_version(kind)),
    };
    let head = json!({"apiVersion": version, "kind": name, "metadata": list_metadata(&page)}).to_string();
    let head = format!("{},\"items\":[", &head[..head.len() - 1]);
    // Lists of built-in types do not repeat apiVersion and kind with each item; lists of custom resources do.
    let prefix = if view == View::Stored && shape == Shape::Full && !kind.info().custom {
        format!("{{\"apiVersion\":\"{}\",\"kind\":\"{}\",", kind.api_version(), kind.info().kind)
    } else {
        String::new()
    };
    let plain = view == View::Stored && shape != Shape::Metadata;
    let length = plain.then(|| {
        let items: usize = page
            .objects
            .iter()
            .map(|object| item_bytes(object, &prefix).map_or(object.json.len(), |rest| rest.len() + 1))
            .sum();
        head.len() + items + page.objects.len().saturating_sub(1) + 2
    });
    let mut objects = page.objects.into_iter();
    let mut first = Some(head);
    let mut ended = false;
    let chunks = std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut chunk: Vec<u8> = Vec::with_capacity(CHUNK + 16 * 1_024);
        let mut comma = true;
        if let Some(head) = first.take() {
            chunk.extend_from_slice(head.as_bytes());
            comma = false;
        }
        while chunk.len() < CHUNK {
            let Some(object) = objects.next() else {
                chunk.extend_from_slice(b"]}");
                ended = true;
                break;
            };
            if comma {
                chunk.push(b',');
            }
            comma = true;
            push(&mut chunk, &object, view, shape, &prefix);
        }
        Some(Ok(Frame::data(Bytes::from(chunk))))
    });
    let mut response =
        streamed(200, "application/json", StreamBody::new(stream::iter(chunks)).boxed_unsync());
    if let Some(value) = length.and_then(|length| length.to_string().parse().ok()) {
        response.headers_mut().insert(hyper::header::CONTENT_LENGTH, value);
    }
    response
}

fn push(chunk: &mut Vec<u8>, object: &Arc<Object>, view: View, shape: Shape, prefix: &str) {
    match item_bytes(object, prefix) {
        Some(rest) => {
            chunk.push(b'{');
            chunk.extend_from_slice(rest);
        }
        None => chunk.extend_from_slice(&item(object, view, shape)),
    }
}

/// Returns the object after the prefix that is left out; `None` where it stays whole.
fn item_bytes<'a>(object: &'a Object, prefix: &str) -> Option<&'a [u8]> {
    if prefix.is_empty() { None } else { object.json.strip_prefix(prefix.as_bytes()) }
}

/// Returns one object as a table with one row, for watches.
pub fn row(object: &Arc<Object>, kind: Type, view: View, shape: Shape, now: Timestamp, heads: bool) -> Bytes {
    match shape {
        Shape::Table(include) => {
            let mut value = table::table(kind, view, std::slice::from_ref(object), include, now, None);
            if !heads {
                value["columnDefinitions"] = Value::Null;
            }
            Bytes::from(value.to_string())
        }
        _ => item(object, view, shape),
    }
}
