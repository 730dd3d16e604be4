//! One page of a list, as of one revision.
//!
//! A later page shows the state at the revision of the first: what has changed since is undone from the history.
//! Once the history has forgotten that revision, the list can only be continued inconsistently.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::objects::{Object, Objects};
use super::selector::Selector;
use super::status::{Reason, Status};
use super::types::Type;
use crate::identity::Text;

/// Which objects are wanted.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Namespace; empty for all.
    pub namespace: String,
    /// Labels and fields.
    pub selector: Selector,
    /// Objects a page; 0 is all of them.
    pub limit: usize,
    /// Where the previous page ended.
    pub token: String,
    /// `resourceVersion`; empty for the latest.
    pub revision: String,
    /// `resourceVersionMatch`.
    pub matching: String,
}

/// One page.
#[derive(Debug)]
pub struct Page {
    /// The objects, in order of namespace and name.
    pub objects: Vec<Arc<Object>>,
    /// The revision that they are as of.
    pub revision: u64,
    /// Where the next page starts; `None` at the end.
    pub next: Option<String>,
    /// Objects after this page, where that can be told.
    pub remaining: Option<usize>,
}

struct Token {
    /// `None` continues at whatever is there now.
    revision: Option<u64>,
    namespace: String,
    name: String,
    /// Objects after that place, where that was counted.
    left: Option<usize>,
}

impl Token {
    fn write(&self) -> String {
        let Self { revision, namespace, name, left } = self;
        URL_SAFE_NO_PAD.encode(json!([revision, namespace, name, left]).to_string())
    }

    fn read(text: &str) -> Result<Self, Status> {
        let broken = || Status::bad_request("continue key is not valid: the token cannot be decoded");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| broken())?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| broken())?;
        match (&value[0], value[1].as_str(), value[2].as_str()) {
            (revision @ (Value::Null | Value::Number(_)), Some(namespace), Some(name)) => Ok(Self {
                revision: revision.as_u64(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                left: value[3].as_u64().and_then(|left| usize::try_from(left).ok()),
            }),
            _ => Err(broken()),
        }
    }
}

/// Collects one page.
pub fn page(objects: &Objects, kind: Type, request: &ListRequest) -> Result<Page, Status> {
    let now = objects.revision();
    let token = if request.token.is_empty() { None } else { Some(Token::read(&request.token)?) };
    if token.is_some() && !matches!(request.revision.as_str(), "" | "0") {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    let asked = read_revision(&request.revision)?;
    match (request.matching.as_str(), asked) {
        ("" | "NotOlderThan", _) | ("Exact", Some(1..)) => {}
        ("Exact", _) => {
            return Err(Status::new(
                Reason::Invalid,
                "resourceVersionMatch: Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
        (other, _) => {
            return Err(Status::new(
                Reason::Invalid,
                format!(
                    "resourceVersionMatch: Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\""
                ),
            ));
        }
    }
    if let Some(asked) = asked
        && asked > now
    {
        return Err(too_large(asked, now));
    }
    let exact = (request.matching == "Exact").then_some(asked).flatten();
    let revision = match &token {
        Some(Token { revision: Some(revision), .. }) => *revision,
        _ => exact.unwrap_or(now),
    };
    let undo = if revision < now {
        match undone(objects, kind, revision) {
            Some(undo) => undo,
            None => return Err(too_old(token.as_ref(), now, revision)),
        }
    } else {
        BTreeMap::new()
    };

    // Counting behind a selector costs a real server a full scan, so it does not tell. Without one, it is counted
    // for the first page, and later pages count down.
    let total = match &token {
        _ if !request.selector.is_empty() => None,
        Some(token) => token.left,
        None if undo.is_empty() => Some(objects.count_in(kind, &request.namespace)),
        None => Some(past(objects, kind, request, None, undo.clone()).count()),
    };
    let all: Box<dyn Iterator<Item = Arc<Object>> + '_> = if undo.is_empty() {
        present(objects, kind, request, token.as_ref())
    } else {
        Box::new(past(objects, kind, request, token.as_ref(), undo))
    };
    let mut matching = all.filter(|object| request.selector.matches(object));
    let limit = if request.limit == 0 { usize::MAX } else { request.limit };
    let list: Vec<Arc<Object>> = matching.by_ref().take(limit).collect();
    let remaining = total.map(|total| total.saturating_sub(list.len()));
    let next = match list.last() {
        Some(end) if matching.next().is_some() => Some(
            Token {
                revision: Some(revision),
                namespace: end.key.namespace.to_string(),
                name: end.key.name.to_string(),
                left: remaining,
            }
            .write(),
        ),
        _ => None,
    };
    let remaining = remaining.filter(|_| next.is_some());
    Ok(Page { objects: list, revision, next, remaining })
}

/// Reads a `resourceVersion`; `None` where any will do.
pub fn read_revision(text: &str) -> Result<Option<u64>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Status::new(
            Reason::Invalid,
            format!("resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"),
        )
    })
}

fn too_large(asked: u64, now: u64) -> Status {
    let cause = super::status::Cause {
        reason: "ResourceVersionTooLarge",
        message: "Too large resource version".to_owned(),
        field: String::new(),
    };
    Status {
        causes: vec![cause],
        retry_after: 1,
        ..Status::new(Reason::Timeout, format!("Too large resource version: {asked}, current: {now}"))
    }
}

fn too_old(token: Option<&Token>, now: u64, revision: u64) -> Status {
    let Some(token) = token else {
        return Status::expired(format!("The resourceVersion for the provided list is too old: {revision}"));
    };
    let resume =
        Token { revision: None, namespace: token.namespace.clone(), name: token.name.clone(), left: None };
    let resume = resume.write();
    Status {
        resume: Some(Box::new((resume, now))),
        ..Status::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter, or use the continue token in this response to retrieve the \
             remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
             that were created, modified, or deleted between the time the first chunk was returned and now may show \
             up in the list.",
        )
    }
}

/// Returns the objects of a type that were different at a revision, as they were; `None` for not there.
type Undo = BTreeMap<(Text, Text), Option<Arc<Object>>>;

fn undone(objects: &Objects, kind: Type, revision: u64) -> Option<Undo> {
    let mut undo = Undo::new();
    for change in objects.changes_since(revision)?.filter(|change| change.object.key.kind == kind) {
        let key = &change.object.key;
        undo.entry((key.namespace.clone(), key.name.clone())).or_insert_with(|| change.before.clone());
    }
    Some(undo)
}

/// What is there now, after the token, with the shortest way that the selector allows.
fn present<'a>(
    objects: &'a Objects,
    kind: Type,
    request: &'a ListRequest,
    token: Option<&'a Token>,
) -> Box<dyn Iterator<Item = Arc<Object>> + 'a> {
    let space = &request.namespace;
    let within = move |object: &&Arc<Object>| {
        (space.is_empty() || object.key.namespace.as_ref() == space)
            && token.is_none_or(|token| is_after(token, &object.key.namespace, &object.key.name))
    };
    if kind == Type::Pod
        && let Some(node) = request.selector.field("spec.nodeName")
        && !node.is_empty()
    {
        return Box::new(objects.pods_on(node).filter(within).cloned());
    }
    if let Some(name) = request.selector.field("metadata.name")
        && (!space.is_empty() || !kind.info().namespaced)
    {
        return Box::new(objects.find(kind, space, name).into_iter().filter(within).cloned());
    }
    Box::new(listed(objects, kind, space, token).cloned())
}

/// Everything of a namespace, or of all, after the token, without a look at what comes before.
fn listed<'a>(
    objects: &'a Objects,
    kind: Type,
    space: &'a str,
    token: Option<&'a Token>,
) -> Box<dyn Iterator<Item = &'a Arc<Object>> + 'a> {
    let namespace = (!space.is_empty()).then_some(space);
    let Some(token) = token else { return objects.list(kind, namespace) };
    let rest = objects.list_after(kind, &token.namespace, &token.name);
    Box::new(rest.take_while(move |object| space.is_empty() || object.key.namespace.as_ref() == space))
}

fn is_after(token: &Token, namespace: &str, name: &str) -> bool {
    (namespace, name) > (token.namespace.as_str(), token.name.as_str())
}

/// What was there, after the token: what is there now, with the changes undone.
fn past<'a>(
    objects: &'a Objects,
    kind: Type,
    request: &'a ListRequest,
    token: Option<&'a Token>,
    undo: Undo,
) -> impl Iterator<Item = Arc<Object>> + 'a {
    let space = request.namespace.as_str();
    let mut now = listed(objects, kind, space, token).peekable();
    let mut undo = undo
        .into_iter()
        .filter(move |((namespace, name), _)| {
            (space.is_empty() || &**namespace == space)
                && token.is_none_or(|token| is_after(token, namespace, name))
        })
        .peekable();
    // Both are in the order of the list, so they are merged as they are read.
    std::iter::from_fn(move || {
        loop {
            let order = match (now.peek(), undo.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(object), Some(((namespace, name), _))) => {
                    (&object.key.namespace, &object.key.name).cmp(&(namespace, name))
                }
            };
            if order == Ordering::Less {
                return now.next().cloned();
            }
            if order == Ordering::Equal {
                now.next();
            }
            if let Some((_, Some(object))) = undo.next() {
                return Some(object);
            }
        }
    })
}

/// Refuses field selectors that the type does not know, in the words of Kubernetes.
pub fn check_fields(kind: Type, selector: &Selector) -> Result<(), Status> {
    let known = super::fields::selectable(kind);
    for path in selector.field_paths() {
        let meta = path == "metadata.name" || (path == "metadata.namespace" && kind.info().namespaced);
        if !meta && !known.contains(&path) {
            return Err(Status::bad_request(format!("field label not supported: {path}")));
        }
    }
    Ok(())
}
