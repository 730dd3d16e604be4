//! Kubernetes' protobuf, for the bodies that kubectl 1.32 and later send in it.
//!
//! One table of field numbers (`assets/protobuf.txt`) turns a message into the JSON that the rest of the platform
//! reads. Answers are always JSON, which the same clients accept.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::status::{Reason, Status};

/// Media type of the bodies.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// The messages by name, and the message of each kind. A constant, read once.
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../../assets/protobuf.txt")));

/// What a field holds.
#[derive(Debug, Clone, Copy)]
enum Holds {
    Text,
    Int,
    Bool,
    /// Bytes, which JSON has in base64.
    Blob,
    /// Seconds and nanoseconds; `true` where JSON has the microseconds too.
    Time(bool),
    /// A message around a text.
    Quantity,
    /// A number or a text, with a field that says which.
    IntOrString,
    /// Any object, as the bytes of its JSON.
    Raw,
    /// Another message.
    Message(&'static str),
}

/// How often a field comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Many,
    /// By a text key.
    Named,
}

#[derive(Debug)]
struct Field {
    number: u64,
    holds: Holds,
    times: Times,
    /// Name in JSON; empty where the parts stand in the message around it.
    name: &'static str,
    /// Whether zero is a value; elsewhere it means that the field is not set.
    zero: bool,
}

#[derive(Debug, Default)]
struct Table {
    messages: HashMap<&'static str, Vec<Field>>,
    kinds: HashMap<(&'static str, &'static str), &'static str>,
}

impl Table {
    fn read(text: &'static str) -> Self {
        let mut table = Self::default();
        let mut message = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["=", version, kind, name] => {
                    table.kinds.insert((version, kind), name);
                }
                [">", name] => {
                    message = name;
                    table.messages.insert(message, Vec::new());
                }
                [number, holds, name @ ..] => {
                    let field = Field::read(number, holds, name.first().copied().unwrap_or_default());
                    if let (Some(field), Some(fields)) = (field, table.messages.get_mut(message)) {
                        fields.push(field);
                    }
                }
                _ => {}
            }
        }
        table
    }

    /// Returns the fields of the message of a kind; `None` for kinds that are taken as JSON only.
    fn message(&self, api_version: &str, kind: &str) -> Option<&'static str> {
        // Every group has the options of a deletion.
        let api_version = if kind == "DeleteOptions" { "meta.k8s.io/v1" } else { api_version };
        // The versions of an eviction and of a budget have the same fields.
        let api_version = if api_version == "policy/v1beta1" { "policy/v1" } else { api_version };
        let known = self.kinds.iter().find(|((version, name), _)| *version == api_version && *name == kind);
        known.map(|(_, message)| *message)
    }
}

impl Field {
    fn read(number: &str, holds: &'static str, name: &'static str) -> Option<Self> {
        let (times, holds) = match (holds.strip_prefix('*'), holds.strip_prefix('{')) {
            (Some(rest), _) => (Times::Many, rest),
            (_, Some(rest)) => (Times::Named, rest),
            _ => (Times::Once, holds),
        };
        let holds = match holds {
            "s" => Holds::Text,
            "i" => Holds::Int,
            "b" => Holds::Bool,
            "y" => Holds::Blob,
            "t" => Holds::Time(false),
            "u" => Holds::Time(true),
            "q" => Holds::Quantity,
            "o" => Holds::IntOrString,
            "x" => Holds::Raw,
            message if message.contains('.') => Holds::Message(message),
            _ => return None,
        };
        let (name, zero) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
        Some(Self { number: number.parse().ok()?, holds, times, name, zero })
    }
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
    let message = TABLE.message(&api_version, &kind).ok_or_else(|| {
        Status::new(
            Reason::UnsupportedMediaType,
            format!("{kind} in {api_version} is not taken as {MEDIA}; accepted media types include: application/json"),
        )
    })?;
    let mut value = object(raw.unwrap_or_default(), message, 0).ok_or_else(broken)?;
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

/// Deepest nesting that is followed; a pod template of a cron job needs about a dozen, schemas of CRDs are not taken.
const DEEPEST: usize = 32;

fn object(bytes: &[u8], message: &str, depth: usize) -> Option<Value> {
    let mut map = Map::new();
    fill(&mut map, bytes, message, depth)?;
    Some(Value::Object(map))
}

/// Puts the fields of a message into an object; `None` where the message is broken.
fn fill(map: &mut Map<String, Value>, bytes: &[u8], message: &str, depth: usize) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    let fields = TABLE.messages.get(message)?;
    for (number, part) in parts(bytes)? {
        let Some(field) = fields.iter().find(|field| field.number == number) else { continue };
        match (field.times, field.holds, part) {
            (Times::Once, Holds::Message(inner), Part::Bytes(bytes)) if field.name.is_empty() => {
                fill(map, bytes, inner, depth + 1)?;
            }
            (Times::Once, holds, part) => {
                let value = single(holds, part, depth)?;
                if field.zero || !is_zero(&value) {
                    map.insert(field.name.to_owned(), value);
                }
            }
            (Times::Many, holds, part) => {
                let item = single(holds, part, depth)?;
                if let Some(list) =
                    map.entry(field.name.to_owned()).or_insert_with(|| json!([])).as_array_mut()
                {
                    list.push(item);
                }
            }
            (Times::Named, holds, Part::Bytes(bytes)) => {
                let (mut key, mut value) = (String::new(), Part::Bytes(&[]));
                for (number, part) in parts(bytes)? {
                    match (number, part) {
                        (1, Part::Bytes(bytes)) => key = text(bytes),
                        (2, part) => value = part,
                        _ => {}
                    }
                }
                let value = single(holds, value, depth)?;
                if let Some(entries) =
                    map.entry(field.name.to_owned()).or_insert_with(|| json!({})).as_object_mut()
                {
                    entries.insert(key, value);
                }
            }
            (Times::Named, ..) => return None,
        }
    }
    Some(())
}

/// Tells whether a value is what Go writes for a field that nobody has set.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn single(holds: Holds, part: Part<'_>, depth: usize) -> Option<Value> {
    Some(match (holds, part) {
        (Holds::Text, Part::Bytes(bytes)) => json!(text(bytes)),
        (Holds::Int, Part::Number(number)) => json!(number.cast_signed()),
        (Holds::Bool, Part::Number(number)) => json!(number != 0),
        (Holds::Blob, Part::Bytes(bytes)) => blob(bytes),
        (Holds::Time(micros), Part::Bytes(bytes)) => time(bytes, micros)?,
        (Holds::Quantity, Part::Bytes(bytes)) => json!(inner_text(bytes, 1)?),
        (Holds::IntOrString, Part::Bytes(bytes)) => {
            let number = |wanted: u64| -> Option<u64> {
                parts(bytes)?.into_iter().find_map(|(number, part)| match part {
                    Part::Number(value) if number == wanted => Some(value),
                    _ => None,
                })
            };
            if number(1).unwrap_or(0) == 0 {
                // Go writes an int32 that is negative as a whole 64-bit number.
                json!(number(2).unwrap_or(0).cast_signed())
            } else {
                json!(inner_text(bytes, 3)?)
            }
        }
        (Holds::Raw, Part::Bytes(bytes)) => {
            serde_json::from_str(&inner_text(bytes, 1)?).unwrap_or(Value::Null)
        }
        (Holds::Message(message), Part::Bytes(bytes)) => object(bytes, message, depth + 1)?,
        _ => return None,
    })
}

/// Returns the text of a field of a small message, empty where it is not set; `None` where the message is broken.
fn inner_text(bytes: &[u8], wanted: u64) -> Option<String> {
    let found = parts(bytes)?.into_iter().find_map(|(number, part)| match part {
        Part::Bytes(bytes) if number == wanted => Some(text(bytes)),
        _ => None,
    });
    Some(found.unwrap_or_default())
}

/// Reads a time; null where it is not set.
fn time(bytes: &[u8], micros: bool) -> Option<Value> {
    let (mut seconds, mut nanos) = (0, 0);
    for (number, part) in parts(bytes)? {
        match (number, part) {
            (1, Part::Number(value)) => seconds = value.cast_signed(),
            (2, Part::Number(value)) => nanos = i32::try_from(value).unwrap_or(0),
            _ => {}
        }
    }
    if seconds == 0 && nanos == 0 {
        return Some(Value::Null);
    }
    let at = jiff::Timestamp::new(seconds, nanos).ok()?;
    Some(if micros {
        json!(at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
    } else {
        json!(super::objects::seconds(at))
    })
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

    #[test]
    fn a_deployment_is_read_without_what_nobody_set() {
        // As `kubectl create deployment web --image=shop/web:1 --replicas=0` writes it, shortened.
        let container =
            [field(1, b"web"), field(2, b"shop/web:1"), field(5, b""), field(6, &[2 << 3, 80])].concat();
        let template = field(2, &[field(2, &container), field(3, b"")].concat());
        let surge = field(2, &field(2, &[1 << 3, 1, 2 << 3, 0, 3 << 3 | 2, 3, b'2', b'5', b'%']));
        let selector = field(1, &[field(1, b"app"), field(2, b"web")].concat());
        let spec = [
            vec![1 << 3, 0, 5 << 3, 0],
            field(2, &selector),
            field(3, &template),
            field(4, &[field(1, b""), surge].concat()),
        ]
        .concat();
        let deployment = [field(1, &[field(1, b"web"), field(8, b"")].concat()), field(2, &spec)].concat();
        let kind = [field(1, b"apps/v1"), field(2, b"Deployment")].concat();
        let body = [MAGIC.to_vec(), field(1, &kind), field(2, &deployment)].concat();
        let container = json!({"name": "web", "image": "shop/web:1", "ports": [{"hostPort": 80}]});
        let got = decode(&body).unwrap();
        assert_eq!(
            got,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {
                    "replicas": 0, "selector": {"matchLabels": {"app": "web"}},
                    "template": {"spec": {"containers": [container]}},
                    "strategy": {"rollingUpdate": {"maxSurge": "25%"}},
                },
            })
        );
    }

    #[test]
    fn every_message_that_is_named_is_in_the_table() {
        for (message, fields) in &TABLE.messages {
            for field in fields {
                let Holds::Message(inner) = field.holds else { continue };
                assert!(TABLE.messages.contains_key(inner), "{message} {}", field.name);
            }
        }
        assert!(TABLE.kinds.len() > 30);
    }
}
