//! OpenAPI as far as `kubectl apply` reads it: which kinds take a patch, and which parameters a patch takes.
//!
//! Schemas of built-in types are open: the server checks fields itself. That the strategic patch is not listed makes clients compute it
//! from their own types, which are the ones that the server uses.

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::crds;
use super::discovery;
use super::server::{Response, bytes};
use super::status::{Reason, Status};
use super::structural;
use super::types::Type;

/// Returns the list of documents.
pub fn index() -> Value {
    let mut paths = Map::new();
    for (group, versions) in discovery::groups() {
        for version in versions {
            let path =
                if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            // The hash lets clients keep a document; it changes with the types only.
            let hash = Type::ALL.len();
            let url = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=OPSDECK{hash}")});
            paths.insert(path, url);
        }
    }
    json!({"paths": paths})
}

/// Returns the document of a group and version; `None` where there is none.
pub fn document(group: &str, version: &str) -> Option<Value> {
    if !discovery::serves(group, version) {
        return None;
    }
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in discovery::types(group, version) {
        let place = Place { group, version, kind };
        paths.insert(place.path(), json!({"patch": place.patch(true)}));
        schemas.insert(place.definition(), place.schema());
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": discovery::VERSION},
        "paths": paths, "components": {"schemas": schemas},
    }))
}

/// Media types of the protobuf form of `/openapi/v2`, the older spelling second.
const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// Answers `/openapi/v2`; kubectl before 1.27 asks for protobuf only.
pub fn v2(accept: &str) -> Result<Response, Status> {
    if PROTOBUF.iter().any(|media| accept.contains(media)) {
        // The older spelling is no media type that Go can read back.
        return Ok(bytes(200, PROTOBUF[0], Bytes::from(protobuf())));
    }
    let json_wanted = accept.is_empty() || accept.contains("json") || accept.contains("*/*");
    if !json_wanted {
        return Err(Status::new(
            Reason::NotAcceptable,
            format!("only the following media types are accepted: application/json, {}", PROTOBUF[0]),
        ));
    }
    let mut paths = Map::new();
    let mut definitions = Map::new();
    for place in everything() {
        paths.insert(place.path(), json!({"patch": place.patch(false)}));
        definitions.insert(place.definition(), place.schema());
    }
    let value = json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": discovery::VERSION},
        "paths": paths, "definitions": definitions,
    });
    Ok(bytes(200, "application/json", Bytes::from(value.to_string())))
}

/// A type in one of its versions.
struct Place<'a> {
    group: &'a str,
    version: &'a str,
    kind: Type,
}

fn everything() -> impl Iterator<Item = Place<'static>> {
    discovery::groups().into_iter().flat_map(|(group, versions)| {
        versions.into_iter().flat_map(move |version| {
            discovery::types(group, version).into_iter().map(move |kind| Place { group, version, kind })
        })
    })
}

impl Place<'_> {
    fn definition(&self) -> String {
        let group = if self.group.is_empty() { "core" } else { self.group };
        let reversed: Vec<&str> = group.split('.').rev().collect();
        format!("{}.{}.{}", reversed.join("."), self.version, self.kind.info().kind)
    }

    fn identity(&self) -> Value {
        json!({"group": self.group, "version": self.version, "kind": self.kind.info().kind})
    }

    fn schema(&self) -> Value {
        let mut schema = if self.kind.info().custom { crds::schema(self.kind) } else { structural::open() };
        schema["x-kubernetes-group-version-kind"] = json!([self.identity()]);
        schema
    }

    fn path(&self) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        let info = self.kind.info();
        let space = if info.namespaced { "/namespaces/{namespace}" } else { "" };
        format!("{root}{space}/{}/{{name}}", info.plural)
    }

    fn patch(&self, third: bool) -> Value {
        let parameter = |name: &&str| {
            if third {
                json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
            } else {
                json!({"name": name, "in": "query", "type": "string", "uniqueItems": true})
            }
        };
        let parameters: Vec<Value> = PARAMETERS.iter().map(parameter).collect();
        let mut patch = json!({
            "operationId": format!("patch{}", self.kind.info().kind), "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": self.identity(),
        });
        if third {
            let body = json!({"schema": {"type": "object"}});
            patch["requestBody"] = json!({"required": true, "content": {
                "application/json-patch+json": body, "application/merge-patch+json": body, "application/apply-patch+yaml": body,
            }});
        }
        patch
    }
}

/// What a patch takes in its query.
const PARAMETERS: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];

/// Writes the document of version 2 as protobuf, with the field numbers of gnostic's `OpenAPIv2.proto`: the patches
/// only. Types that have no definition are not checked by an old client, which knows the built-in ones itself.
fn protobuf() -> Vec<u8> {
    let gvk = |identity: Value| -> Vec<u8> {
        [field(1, b"x-kubernetes-group-version-kind"), field(2, &field(2, identity.to_string().as_bytes()))]
            .concat()
    };
    let parameters: Vec<u8> = PARAMETERS
        .iter()
        .flat_map(|name| {
            let query = [field(2, b"query"), field(4, name.as_bytes()), field(6, b"string")].concat();
            field(8, &field(1, &field(2, &field(3, &query))))
        })
        .collect();
    let mut paths = Vec::new();
    for place in everything() {
        let patch = [parameters.clone(), field(13, &gvk(place.identity()))].concat();
        let named = [field(1, place.path().as_bytes()), field(2, &field(8, &patch))].concat();
        paths.extend(field(2, &named));
    }
    let info = [field(1, b"Kubernetes"), field(2, discovery::VERSION.as_bytes())].concat();
    [field(1, b"2.0"), field(2, &info), field(8, &paths), field(9, b"")].concat()
}

/// Writes a field that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}
