//! OpenAPI as far as `kubectl apply` reads it: which kinds take a patch, and which parameters a patch takes.
//!
//! Schemas are open: the server checks fields itself. That the strategic patch is not listed makes clients compute it
//! from their own types, which are the ones that the server uses.

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::discovery;
use super::server::{Response, bytes};
use super::status::{Reason, Status};
use super::types::Type;

/// Returns the list of documents.
pub fn index() -> Value {
    let mut paths = Map::new();
    for (group, version) in discovery::groups() {
        let path =
            if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        // The hash lets clients keep a document; it changes with the types only.
        let hash = Type::ALL.len();
        let url = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=OPSDECK{hash}")});
        paths.insert(path, url);
    }
    json!({"paths": paths})
}

/// Returns the document of a group and version; `None` where there is none.
pub fn document(group: &str, version: &str) -> Option<Value> {
    if discovery::groups().get(group) != Some(&version) {
        return None;
    }
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in Type::ALL.iter().filter(|kind| kind.info().group == group) {
        let (path, operations) = operations(*kind, true);
        paths.insert(path, operations);
        schemas.insert(definition(*kind), schema(*kind));
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.33.4"},
        "paths": paths, "components": {"schemas": schemas},
    }))
}

/// Answers `/openapi/v2`; old clients ask for protobuf only, which is not made.
pub fn v2(accept: &str) -> Result<Response, Status> {
    let json_wanted = accept.is_empty() || accept.contains("json") || accept.contains("*/*");
    if !json_wanted {
        return Err(Status::new(
            Reason::NotAcceptable,
            "only the following media types are accepted: application/json",
        ));
    }
    let mut paths = Map::new();
    let mut definitions = Map::new();
    for kind in Type::ALL {
        let (path, operations) = operations(*kind, false);
        paths.insert(path, operations);
        definitions.insert(definition(*kind), schema(*kind));
    }
    let value = json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.33.4"},
        "paths": paths, "definitions": definitions,
    });
    Ok(bytes(200, "application/json", Bytes::from(value.to_string())))
}

fn definition(kind: Type) -> String {
    let info = kind.info();
    let group = if info.group.is_empty() { "core" } else { info.group };
    let reversed: Vec<&str> = group.split('.').rev().collect();
    format!("{}.{}.{}", reversed.join("."), info.version, info.kind)
}

fn identity(kind: Type) -> Value {
    let info = kind.info();
    json!({"group": info.group, "version": info.version, "kind": info.kind})
}

fn schema(kind: Type) -> Value {
    json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-group-version-kind": [identity(kind)],
    })
}

fn operations(kind: Type, third: bool) -> (String, Value) {
    let info = kind.info();
    let root = if info.group.is_empty() {
        format!("/api/{}", info.version)
    } else {
        format!("/apis/{}/{}", info.group, info.version)
    };
    let place = if info.namespaced {
        format!("{root}/namespaces/{{namespace}}/{}/{{name}}", info.plural)
    } else {
        format!("{root}/{}/{{name}}", info.plural)
    };
    let parameter = |name: &str| {
        if third {
            json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
        } else {
            json!({"name": name, "in": "query", "type": "string", "uniqueItems": true})
        }
    };
    let parameters: Vec<Value> =
        ["dryRun", "fieldManager", "fieldValidation", "force"].into_iter().map(parameter).collect();
    let mut patch = json!({
        "operationId": format!("patch{}", info.kind), "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": identity(kind),
    });
    if third {
        let body = json!({"schema": {"type": "object"}});
        patch["requestBody"] = json!({"required": true, "content": {
            "application/json-patch+json": body, "application/merge-patch+json": body, "application/apply-patch+yaml": body,
        }});
    }
    (place, json!({"patch": patch}))
}
