//! Kubernetes' protobuf, for the bodies that kubectl 1.32 and later send in it.
//!
//! One table of field numbers (from the published `generated.proto` files) turns a message into the JSON that the rest
//! of the platform reads. Answers are always JSON, which the same clients accept.

use serde_json::{Map, Value, json};

use super::status::{Reason, Status};

/// Media type of the bodies.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Int,
    Bool,
    /// Seconds and nanoseconds.
    Time,
    /// Text to text.
    Labels,
    /// Text to bytes.
    Blobs,
    One(&'static [Field]),
    Many(&'static [Field]),
    Texts,
}

type Field = (u64, &'static str, Holds);

const OWNER: &[Field] = &[
    (1, "kind", Holds::Text),
    (3, "name", Holds::Text),
    (4, "uid", Holds::Text),
    (5, "apiVersion", Holds::Text),
    (6, "controller", Holds::Bool),
    (7, "blockOwnerDeletion", Holds::Bool),
];

const METADATA: &[Field] = &[
    (1, "name", Holds::Text),
    (2, "generateName", Holds::Text),
    (3, "namespace", Holds::Text),
    (5, "uid", Holds::Text),
    (6, "resourceVersion", Holds::Text),
    (8, "creationTimestamp", Holds::Time),
    (11, "labels", Holds::Labels),
    (12, "annotations", Holds::Labels),
    (13, "ownerReferences", Holds::Many(OWNER)),
    (14, "finalizers", Holds::Texts),
];

const DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Holds::Int),
    (2, "preconditions", Holds::One(&[(1, "uid", Holds::Text), (2, "resourceVersion", Holds::Text)])),
    (3, "orphanDependents", Holds::Bool),
    (4, "propagationPolicy", Holds::Text),
    (5, "dryRun", Holds::Texts),
];

const RESOURCE_ATTRIBUTES: &[Field] = &[
    (1, "namespace", Holds::Text),
    (2, "verb", Holds::Text),
    (3, "group", Holds::Text),
    (4, "version", Holds::Text),
    (5, "resource", Holds::Text),
    (6, "subresource", Holds::Text),
    (7, "name", Holds::Text),
];

const ACCESS: &[Field] = &[
    (1, "resourceAttributes", Holds::One(RESOURCE_ATTRIBUTES)),
    (2, "nonResourceAttributes", Holds::One(&[(1, "path", Holds::Text), (2, "verb", Holds::Text)])),
];

/// Returns the fields of a message; `None` for kinds that are taken as JSON only.
fn message(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    Some(match (api_version, kind) {
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => {
            &[(1, "metadata", Holds::One(METADATA)), (2, "spec", Holds::One(ACCESS))]
        }
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => &[
            (1, "metadata", Holds::One(METADATA)),
            (2, "spec", Holds::One(&[(1, "namespace", Holds::Text)])),
        ],
        ("authentication.k8s.io/v1", "SelfSubjectReview") | ("v1", "Namespace") => {
            &[(1, "metadata", Holds::One(METADATA))]
        }
        ("policy/v1", "Eviction") => {
            &[(1, "metadata", Holds::One(METADATA)), (2, "deleteOptions", Holds::One(DELETE_OPTIONS))]
        }
        (_, "DeleteOptions") => DELETE_OPTIONS,
        ("autoscaling/v1", "Scale") => {
            &[(1, "metadata", Holds::One(METADATA)), (2, "spec", Holds::One(&[(1, "replicas", Holds::Int)]))]
        }
        ("v1", "ConfigMap") => &[
            (1, "metadata", Holds::One(METADATA)),
            (2, "data", Holds::Labels),
            (3, "binaryData", Holds::Blobs),
            (4, "immutable", Holds::Bool),
        ],
        ("v1", "Secret") => &[
            (1, "metadata", Holds::One(METADATA)),
            (2, "data", Holds::Blobs),
            (3, "type", Holds::Text),
            (4, "stringData", Holds::Labels),
            (5, "immutable", Holds::Bool),
        ],
        ("v1", "ServiceAccount") => &[(1, "metadata", Holds::One(METADATA))],
        _ => return None,
    })
}

/// Decodes a body into the object that it says it is.
pub fn decode(body: &[u8]) -> Result<Value, Status> {
    let broken = || Status::bad_request("the protobuf body cannot be decoded");
    let envelope = body.strip_prefix(MAGIC).ok_or_else(broken)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), None);
    for (number, part) in parts(envelope).ok_or_else(broken)? {
        match (number, part) {
            (1, Part::Bytes(bytes)) => {
                for (number, part) in parts(bytes).ok_or_else(broken)? {
                    match (number, part) {
                        (1, Part::Bytes(bytes)) => api_version = text(bytes),
                        (2, Part::Bytes(bytes)) => kind = text(bytes),
                        _ => {}
                    }
                }
            }
            (2, Part::Bytes(bytes)) => raw = Some(bytes),
            _ => {}
        }
    }
    let fields = message(&api_version, &kind).ok_or_else(|| {
        Status::new(
            Reason::UnsupportedMediaType,
            format!("{kind} in {api_version} is not taken as {MEDIA}; accepted media types include: application/json"),
        )
    })?;
    let mut value = object(raw.unwrap_or_default(), fields, 0).ok_or_else(broken)?;
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    Ok(value)
}

enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Splits a message into its fields; `None` where it is broken.
fn parts(mut bytes: &[u8]) -> Option<Vec<(u64, Part<'_>)>> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let part = match key & 7 {
            0 => Part::Number(varint(&mut bytes)?),
            1 => {
                take(&mut bytes, 8)?;
                continue;
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Part::Bytes(take(&mut bytes, length)?)
            }
            5 => {
                take(&mut bytes, 4)?;
                continue;
            }
            _ => return None,
        };
        list.push((key >> 3, part));
    }
    Some(list)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Deepest nesting that is followed; the messages above need four.
const DEEPEST: usize = 16;

fn object(bytes: &[u8], fields: &[Field], depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let mut map = Map::new();
    for (number, part) in parts(bytes)? {
        let Some((_, name, holds)) = fields.iter().find(|(candidate, _, _)| *candidate == number) else {
            continue;
        };
        match (*holds, part) {
            (Holds::Text, Part::Bytes(bytes)) => {
                // Go writes every text, also those that are not set.
                if !bytes.is_empty() {
                    map.insert((*name).to_owned(), json!(text(bytes)));
                }
            }
            (Holds::Int, Part::Number(number)) => {
                map.insert((*name).to_owned(), json!(number.cast_signed()));
            }
            (Holds::Bool, Part::Number(number)) => {
                map.insert((*name).to_owned(), json!(number != 0));
            }
            (Holds::Time, Part::Bytes(bytes)) => {
                let seconds = parts(bytes)?.into_iter().find_map(|(number, part)| match (number, part) {
                    (1, Part::Number(seconds)) => Some(seconds.cast_signed()),
                    _ => None,
                });
                if let Some(at) = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
                    map.insert((*name).to_owned(), json!(super::objects::seconds(at)));
                }
            }
            (Holds::One(fields), Part::Bytes(bytes)) => {
                map.insert((*name).to_owned(), object(bytes, fields, depth + 1)?);
            }
            (Holds::Many(fields), Part::Bytes(bytes)) => {
                push(&mut map, name, object(bytes, fields, depth + 1)?);
            }
            (Holds::Texts, Part::Bytes(bytes)) => push(&mut map, name, json!(text(bytes))),
            (Holds::Labels | Holds::Blobs, Part::Bytes(bytes)) => {
                let (mut key, mut value) = (String::new(), &[][..]);
                for (number, part) in parts(bytes)? {
                    match (number, part) {
                        (1, Part::Bytes(bytes)) => key = text(bytes),
                        (2, Part::Bytes(bytes)) => value = bytes,
                        _ => {}
                    }
                }
                let value = if matches!(holds, Holds::Blobs) { blob(value) } else { json!(text(value)) };
                if let Some(entries) =
                    map.entry((*name).to_owned()).or_insert_with(|| json!({})).as_object_mut()
                {
                    entries.insert(key, value);
                }
            }
            _ => return None,
        }
    }
    Some(Value::Object(map))
}

fn push(map: &mut Map<String, Value>, name: &str, item: Value) {
    if let Some(list) = map.entry(name.to_owned()).or_insert_with(|| json!([])).as_array_mut() {
        list.push(item);
    }
}

fn blob(bytes: &[u8]) -> Value {
    use base64::Engine as _;
    json!(base64::engine::general_purpose::STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a field that has a length.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    #[test]
    fn an_eviction_is_read_with_its_options() {
        let options = [vec![1 << 3, 30], field(5, b"All"), field(2, &field(1, b"uid-1"))].concat();
        let eviction =
            [field(1, &[field(1, b"pod-1"), field(3, b"shop")].concat()), field(2, &options)].concat();
        let kind = [field(1, b"policy/v1"), field(2, b"Eviction")].concat();
        let body = [MAGIC.to_vec(), field(1, &kind), field(2, &eviction)].concat();
        assert_eq!(
            decode(&body).unwrap(),
            json!({
                "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "pod-1", "namespace": "shop"},
                "deleteOptions": {"gracePeriodSeconds": 30, "dryRun": ["All"], "preconditions": {"uid": "uid-1"}},
            })
        );
        assert_eq!(decode(&body[..body.len() - 3]).unwrap_err().code(), 400);
        assert_eq!(decode(b"k8s\0").unwrap_err().code(), 415);
        assert_eq!(decode(b"{}").unwrap_err().code(), 400);
    }
}
