//! The objects of the embedded platform and their history: what etcd and the API server's storage are to a
//! real cluster.
//!
//! It stores, orders and remembers; it does not speak HTTP and does not decide what a controller would do.
//!
//! # Why
//! Objects are kept as the JSON that goes over the wire, beside a small index of what is selected by (labels,
//! owners, a few fields). A list of 10,000 pods is then a copy of bytes, and 100,000 pods fit into memory.
//! Changes are kept in a bounded ring: watchers and controllers read on from the revision they have seen, so a
//! slow one never holds up the world; who falls out of the ring starts anew, as with a compacted etcd.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use fastrand::Rng;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::deletion;
use super::fields;
use super::status::{Cause, Status};
use super::types::Type;
use crate::identity::Text;

/// Changes that are remembered before watchers have to list again.
pub const HISTORY: usize = 16_384;

/// Bytes of objects that the history may hold; many of them are those of objects that are still there.
const HISTORY_BYTES: usize = 64 << 20;

/// The first revision; not 0 or 1, which mean something else in requests.
const FIRST_REVISION: u64 = 1_000;

/// One object by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The type.
    pub kind: Type,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: Text,
    /// The name.
    pub name: Text,
}

impl Key {
    /// Names an object; the namespace is empty for cluster-scoped types.
    pub fn new(kind: Type, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: Arc::from(namespace), name: Arc::from(name) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.qualified(), self.namespace, self.name)
    }
}

/// An owner reference, as far as collecting garbage needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// UID of the owner.
    pub uid: Text,
    /// `kind` of the owner.
    pub kind: Text,
    /// Name of the owner.
    pub name: Text,
    /// Whether it is the managing controller.
    pub controller: bool,
    /// Whether a foreground deletion of the owner waits for this object.
    pub blocks: bool,
}

/// One state of one object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Who it is.
    pub key: Key,
    /// `metadata.uid`.
    pub uid: Text,
    /// `metadata.resourceVersion` as a number.
    pub revision: u64,
    /// Labels, sorted by key.
    pub labels: Box<[(Text, Text)]>,
    /// Owner references.
    pub owners: Box<[Owner]>,
    /// Fields that can be selected by, beside name and namespace.
    pub fields: Box<[(&'static str, Text)]>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// The object as compact JSON, beginning with `apiVersion` and `kind`.
    pub json: Bytes,
}

impl Object {
    /// Decodes the object.
    pub fn value(&self) -> Value {
        // What is stored was written by `encode`, so it can always be read back. `parse` is compiled once, in
        // serde_json, which builds for tests optimise: a third of what the platform does there is this.
        str::from_utf8(&self.json).ok().and_then(|text| text.parse().ok()).unwrap_or(Value::Null)
    }

    /// Returns the value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let at = self.labels.binary_search_by(|(candidate, _)| candidate.as_ref().cmp(key)).ok()?;
        Some(&self.labels[at].1)
    }

    /// Returns a field that can be selected by, such as `spec.nodeName`; `None` where the type has no such field.
    pub fn field(&self, path: &str) -> Option<&str> {
        match path {
            "metadata.name" => Some(&self.key.name),
            "metadata.namespace" => Some(&self.key.namespace),
            _ => self.fields.iter().find(|(name, _)| *name == path).map(|(_, text)| text.as_ref()),
        }
    }

    /// Returns the managing owner.
    pub fn controller(&self) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.controller)
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// One entry of the history.
#[derive(Debug, Clone)]
pub struct Change {
    /// What happened.
    pub happened: Happened,
    /// The object after it; for a deletion its last state, at the revision of the deletion.
    pub object: Arc<Object>,
    /// The object before it; `None` where it was created.
    pub before: Option<Arc<Object>>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// By namespace, then by name; cluster-scoped objects stand under the empty namespace.
    spaces: BTreeMap<Text, BTreeMap<Text, Arc<Object>>>,
    count: usize,
}

/// All objects, their order, and what happened lately.
#[derive(Debug)]
pub struct Objects {
    shelves: Vec<Shelf>,
    revision: u64,
    history: VecDeque<Change>,
    /// Bytes of the objects in the history.
    held: usize,
    /// Revision of the newest change that fell out of the history.
    forgotten: u64,
    by_owner: HashMap<Text, BTreeSet<Key>>,
    by_uid: HashMap<Text, Key>,
    by_node: HashMap<Text, BTreeSet<Key>>,
    /// Objects that wait for something before they can go: namespaces, foreground deletions.
    pub(super) going: BTreeSet<Key>,
    texts: HashSet<Text>,
    swept: usize,
    rng: Rng,
}

impl Objects {
    /// Makes an empty storage; UIDs and generated names follow from `rng`.
    pub fn new(rng: Rng) -> Self {
        Self {
            shelves: Type::ALL.iter().map(|_| Shelf::default()).collect(),
            revision: FIRST_REVISION,
            history: VecDeque::new(),
            held: 0,
            forgotten: FIRST_REVISION,
            by_owner: HashMap::new(),
            by_uid: HashMap::new(),
            by_node: HashMap::new(),
            going: BTreeSet::new(),
            texts: HashSet::new(),
            swept: 0,
            rng,
        }
    }

    /// Returns the revision of the latest change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns an object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.find(key.kind, &key.namespace, &key.name)
    }

    /// Returns an object without making a key first.
    pub fn find(&self, kind: Type, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.shelf(kind).spaces.get(namespace)?.get(name)
    }

    /// Returns an object decoded.
    pub fn get_value(&self, key: &Key) -> Option<Value> {
        self.get(key).map(|object| object.value())
    }

    /// Returns the object of a UID.
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<Object>> {
        self.by_uid.get(uid).and_then(|key| self.get(key))
    }

    /// Returns the objects of a type in the order of namespace and name; of one namespace or of all.
    pub fn list(&self, kind: Type, namespace: Option<&str>) -> Box<dyn Iterator<Item = &Arc<Object>> + '_> {
        let spaces = &self.shelf(kind).spaces;
        match namespace {
            Some(namespace) => Box::new(spaces.get(namespace).into_iter().flat_map(BTreeMap::values)),
            None => Box::new(spaces.values().flat_map(BTreeMap::values)),
        }
    }

    /// Returns the objects of a type that come after a place in the order of [`Objects::list`].
    pub fn list_after<'a>(
        &'a self,
        kind: Type,
        namespace: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let spaces = &self.shelf(kind).spaces;
        let rest = spaces.get(namespace).into_iter().flat_map(move |space| {
            space.range::<str, _>((Excluded(name), Unbounded)).map(|(_, object)| object)
        });
        let others = spaces.range::<str, _>((Excluded(namespace), Unbounded));
        rest.chain(others.flat_map(|(_, space)| space.values()))
    }

    /// Returns how many objects of a type there are.
    pub fn count(&self, kind: Type) -> usize {
        self.shelf(kind).count
    }

    /// Returns how many objects of a type there are in a namespace, or in all where it is empty.
    pub fn count_in(&self, kind: Type, namespace: &str) -> usize {
        if namespace.is_empty() {
            return self.count(kind);
        }
        self.shelf(kind).spaces.get(namespace).map_or(0, BTreeMap::len)
    }

    /// Returns the objects that name this UID as an owner.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.by_owner.get(uid).into_iter().flatten().filter_map(|key| self.get(key))
    }

    /// Returns the pods that are bound to a node.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.by_node.get(node).into_iter().flatten().filter_map(|key| self.get(key))
    }

    /// Returns what happened after a revision, oldest first; `None` where that is no longer known and the caller
    /// has to look at everything.
    pub fn changes_since(&self, revision: u64) -> Option<impl Iterator<Item = &Change> + '_> {
        if revision < self.forgotten {
            return None;
        }
        let start = self.history.partition_point(|change| change.object.revision <= revision);
        Some(self.history.range(start..))
    }

    /// Creates an object and returns it as stored.
    ///
    /// A `metadata.creationTimestamp` that is there is kept, so that a seeded world has a past.
    pub fn create(&mut self, kind: Type, value: Value, now: Timestamp) -> Result<Arc<Object>, Status> {
        let (key, value) = self.admit(kind, value, now)?;
        Ok(self.put(key, value, None))
    }

    /// Says what [`Objects::create`] would store, without storing it.
    pub fn try_create(&mut self, kind: Type, value: Value, now: Timestamp) -> Result<Value, Status> {
        self.admit(kind, value, now).map(|(_, value)| value)
    }

    /// Replaces an object by a changed copy of itself; nothing happens where nothing was changed.
    pub fn modify(
        &mut self,
        key: &Key,
        now: Timestamp,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Object>, Status> {
        let mut value = self.get_value(key).ok_or_else(|| Status::not_found(key.kind, &key.name))?;
        change(&mut value);
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        self.replace(key, value, now)
    }

    /// Replaces an object; refused as stale where `metadata.resourceVersion` is there and not the present one.
    pub fn replace(&mut self, key: &Key, value: Value, now: Timestamp) -> Result<Arc<Object>, Status> {
        let (old, value) = self.check_replace(key, value)?;
        let Some(value) = value else { return Ok(old) };
        let stored = self.put(key.clone(), value, Some(old));
        if stored.deleting {
            self.finish_deletion(key, now);
        }
        Ok(stored)
    }

    /// Says what [`Objects::replace`] would store, without storing it.
    pub fn try_replace(&self, key: &Key, value: Value) -> Result<Value, Status> {
        let (old, value) = self.check_replace(key, value)?;
        Ok(value.unwrap_or_else(|| old.value()))
    }

    fn shelf(&self, kind: Type) -> &Shelf {
        // One shelf was made for each type.
        &self.shelves[kind as usize]
    }

    /// Checks and completes a new object.
    fn admit(&mut self, kind: Type, mut value: Value, now: Timestamp) -> Result<(Key, Value), Status> {
        let info = kind.info();
        let Some(body) = value.as_object_mut() else {
            return Err(Status::bad_request("the body is not an object"));
        };
        body.insert("apiVersion".to_owned(), json!(kind.api_version()));
        body.insert("kind".to_owned(), json!(info.kind));
        if !body.get("metadata").is_some_and(Value::is_object) {
            body.insert("metadata".to_owned(), json!({}));
        }
        let metadata = &mut value["metadata"];
        if text(metadata, "name").is_empty() {
            let stem = text(metadata, "generateName").to_owned();
            if stem.is_empty() {
                let cause = Cause {
                    reason: "FieldValueRequired",
                    message: "Required value: name or generateName is required".to_owned(),
                    field: "metadata.name".to_owned(),
                };
                return Err(Status::invalid(kind, "", vec![cause]));
            }
            metadata["name"] = json!(format!("{stem}{}", self.suffix()));
        }
        let name = text(metadata, "name").to_owned();
        fields::check_name(kind, &name)?;
        let namespace = if info.namespaced { text(metadata, "namespace").to_owned() } else { String::new() };
        if info.namespaced {
            let Some(space) = self.find(Type::Namespace, "", &namespace) else {
                return Err(Status::not_found(Type::Namespace, &namespace));
            };
            if space.deleting {
                let why = format!(
                    "unable to create new content in namespace {namespace} because it is being terminated"
                );
                let cause = Cause {
                    reason: "NamespaceTerminating",
                    message: format!("namespace {namespace} is being terminated"),
                    field: "metadata.namespace".to_owned(),
                };
                return Err(Status { causes: vec![cause], ..Status::forbidden(kind, &name, &why) });
            }
        } else if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove("namespace");
        }
        let key = Key::new(kind, &namespace, &name);
        if self.get(&key).is_some() {
            return Err(Status::already_exists(kind, &name));
        }
        let uid = self.uid();
        let metadata = &mut value["metadata"];
        metadata["uid"] = json!(uid);
        if text(metadata, "creationTimestamp").is_empty() {
            metadata["creationTimestamp"] = json!(seconds(now));
        }
        if let Some(metadata) = metadata.as_object_mut() {
            for gone in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
                metadata.remove(gone);
            }
        }
        if info.generation {
            metadata["generation"] = json!(1);
        }
        if kind == Type::Namespace {
            fields::complete_namespace(&mut value, &name);
        }
        Ok((key, value))
    }

    /// Checks and completes a replacement; the new value is `None` where nothing changes.
    fn check_replace(&self, key: &Key, mut value: Value) -> Result<(Arc<Object>, Option<Value>), Status> {
        let kind = key.kind;
        let old = self.get(key).cloned().ok_or_else(|| Status::not_found(kind, &key.name))?;
        let before = old.value();
        let Some(body) = value.as_object_mut() else {
            return Err(Status::bad_request("the body is not an object"));
        };
        body.insert("apiVersion".to_owned(), before["apiVersion"].clone());
        body.insert("kind".to_owned(), before["kind"].clone());
        let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else {
            return Err(Status::required(kind, &key.name, "metadata"));
        };
        let expected = metadata.get("resourceVersion").and_then(Value::as_str).unwrap_or_default();
        if !expected.is_empty() && expected != old.revision.to_string() {
            return Err(Status::stale(kind, &key.name));
        }
        let uid = metadata.get("uid").and_then(Value::as_str).unwrap_or_default();
        if !uid.is_empty() && uid != old.uid.as_ref() {
            let why =
                format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", old.uid);
            return Err(Status::conflict(kind, &key.name, &why));
        }
        // What the server alone decides stays what it was.
        let fixed = [
            "name",
            "namespace",
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generateName",
            "generation",
            "resourceVersion",
        ];
        for field in fixed {
            match before["metadata"].get(field) {
                Some(value) => metadata.insert(field.to_owned(), value.clone()),
                None => metadata.remove(field),
            };
        }
        // Who says nothing about ownership leaves it as it is.
        if let (None | Some(Value::Null), Some(managers)) =
            (metadata.get("managedFields"), before["metadata"].get("managedFields"))
        {
            metadata.insert("managedFields".to_owned(), managers.clone());
        }
        for empty in ["labels", "annotations", "finalizers", "ownerReferences"] {
            let is_empty = match metadata.get(empty) {
                Some(Value::Null) => true,
                Some(Value::Object(map)) => map.is_empty(),
                Some(Value::Array(list)) => list.is_empty(),
                _ => false,
            };
            if is_empty {
                metadata.remove(empty);
            }
        }
        drop_nulls(&mut value);
        if value == before {
            return Ok((old, None));
        }
        if kind.info().generation && wanted_differs(kind, &before, &value) {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            value["metadata"]["generation"] = json!(generation);
        }
        Ok((old, Some(value)))
    }

    /// Stores an object at the next revision and remembers the change.
    pub(super) fn put(&mut self, key: Key, mut value: Value, before: Option<Arc<Object>>) -> Arc<Object> {
        self.revision += 1;
        let object = Arc::new(self.index(key.clone(), &mut value));
        if let Some(before) = &before {
            self.unlink(before);
        }
        self.link(&object);
        let kept = &mut self.shelves[key.kind as usize];
        let space = kept.spaces.entry(key.namespace.clone()).or_default();
        if space.insert(key.name.clone(), Arc::clone(&object)).is_none() {
            kept.count += 1;
        }
        let happened = if before.is_some() { Happened::Modified } else { Happened::Added };
        self.remember(Change { happened, object: Arc::clone(&object), before });
        object
    }

    /// Takes an object out at the next revision and remembers its last state.
    pub(super) fn take_out(&mut self, key: &Key) -> Option<Arc<Object>> {
        let before = self.get(key).cloned()?;
        self.revision += 1;
        let last = Arc::new(self.index(key.clone(), &mut before.value()));
        self.unlink(&before);
        let kept = &mut self.shelves[key.kind as usize];
        if let Some(space) = kept.spaces.get_mut(&key.namespace) {
            space.remove(&key.name);
            kept.count -= 1;
            if space.is_empty() {
                kept.spaces.remove(&key.namespace);
            }
        }
        self.going.remove(key);
        self.remember(Change {
            happened: Happened::Deleted,
            object: Arc::clone(&last),
            before: Some(before),
        });
        Some(last)
    }

    fn remember(&mut self, change: Change) {
        self.held += change.object.json.len();
        self.history.push_back(change);
        while self.history.len() > HISTORY || self.held > HISTORY_BYTES {
            let Some(oldest) = self.history.pop_front() else { break };
            self.held -= oldest.object.json.len();
            self.forgotten = oldest.object.revision;
        }
    }

    fn link(&mut self, object: &Arc<Object>) {
        self.by_uid.insert(object.uid.clone(), object.key.clone());
        for owner in &object.owners {
            self.by_owner.entry(owner.uid.clone()).or_default().insert(object.key.clone());
        }
        if object.key.kind == Type::Pod
            && let Some(node) = object.field("spec.nodeName")
            && !node.is_empty()
        {
            let node = self.intern(node);
            self.by_node.entry(node).or_default().insert(object.key.clone());
        }
        if deletion::waits(object) {
            self.going.insert(object.key.clone());
        }
    }

    fn unlink(&mut self, object: &Object) {
        self.by_uid.remove(&object.uid);
        for owner in &object.owners {
            if let Some(owned) = self.by_owner.get_mut(&owner.uid) {
                owned.remove(&object.key);
                if owned.is_empty() {
                    self.by_owner.remove(&owner.uid);
                }
            }
        }
        if object.key.kind == Type::Pod
            && let Some(node) = object.field("spec.nodeName")
            && let Some(pods) = self.by_node.get_mut(node)
        {
            pods.remove(&object.key);
            if pods.is_empty() {
                self.by_node.remove(node);
            }
        }
    }

    /// Builds the stored form of a value at the present revision.
    fn index(&mut self, key: Key, value: &mut Value) -> Object {
        drop_nulls(value);
        value["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let metadata = &value["metadata"];
        let mut labels: Vec<(Text, Text)> = metadata["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (self.intern(key), self.intern(value.as_str().unwrap_or_default())))
            .collect();
        labels.sort_unstable();
        let owners = metadata["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|owner| Owner {
                uid: self.intern(text(owner, "uid")),
                kind: self.intern(text(owner, "kind")),
                name: self.intern(text(owner, "name")),
                controller: owner["controller"].as_bool().unwrap_or(false),
                blocks: owner["blockOwnerDeletion"].as_bool().unwrap_or(false),
            })
            .collect();
        let selectable = fields::selectable(key.kind)
            .iter()
            .map(|path| (*path, self.intern(&fields::read(value, path))))
            .collect();
        // Boxed first: a vector keeps the room that it grew into, which is up to as much again.
        let json = Bytes::from(encode(value).into_boxed_slice());
        Object {
            uid: self.intern(text(metadata, "uid")),
            revision: self.revision,
            labels: labels.into_boxed_slice(),
            owners,
            fields: selectable,
            deleting: metadata.get("deletionTimestamp").is_some(),
            json,
            key: Key { kind: key.kind, namespace: self.intern(&key.namespace), name: self.intern(&key.name) },
        }
    }

    fn intern(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        // Texts that no object uses any more go when the pool has doubled since it was last looked through.
        if self.texts.len() > 2 * self.swept.max(50_000) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.swept = self.texts.len();
        }
        let text: Text = Arc::from(text);
        self.texts.insert(text.clone());
        text
    }

    /// Draws a UID in the form of a version 4 UUID.
    fn uid(&mut self) -> String {
        let bits = self.rng.u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// Draws five characters as the API server does for generated names: no vowels, no look-alikes.
    pub fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(LETTERS[self.rng.usize(..LETTERS.len())])).collect()
    }
}

/// Tells whether the wanted state differs, which is what the generation counts.
fn wanted_differs(kind: Type, before: &Value, after: &Value) -> bool {
    let info = kind.info();
    let counts = |key: &str| key != "metadata" && !(key == "status" && (info.status || !info.custom));
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return true };
    before.keys().chain(after.keys()).any(|key| counts(key) && before.get(key) != after.get(key))
}

/// Takes out fields that are null: they mean the same as fields that are not there.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Writes compact JSON that begins with `apiVersion` and `kind`, so that lists can leave them out cheaply.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(1_024);
    ordered.push(b'{');
    let empty = Map::new();
    let body = value.as_object().unwrap_or(&empty);
    let first = ["apiVersion", "kind"];
    let rest = body.iter().filter(|(key, _)| !first.contains(&key.as_str()));
    let head = first.iter().filter_map(|key| body.get_key_value(*key));
    for (at, (key, value)) in head.chain(rest).enumerate() {
        if at > 0 {
            ordered.push(b',');
        }
        // Writing a JSON value into memory cannot fail. As with `value`, what displays one is compiled in serde_json; a
        // key may be anything that a client sent.
        let _ = serde_json::to_writer(&mut ordered, key);
        let _ = write!(ordered, ":{value}");
    }
    ordered.push(b'}');
    ordered
}

/// Writes a time as Kubernetes does: whole seconds, UTC.
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns a text field of an object, empty where there is none.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
