//! How objects go: finalizers, grace periods, preconditions, dependents, namespaces.
//!
//! What a real cluster's garbage collector and namespace controller do in their own time is done here at once or
//! at the next [`Objects::sweep`]; pods with a grace period wait for their kubelet.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::objects::{Key, Object, Objects, seconds, text};
use super::status::Status;
use super::types::Type;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What happens to the objects that name the deleted one as their owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// They are deleted after it.
    #[default]
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// How an object is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    /// Seconds a pod gets to end; `None` is the pod's own wish, 0 is at once.
    pub grace: Option<i64>,
    /// UID that the object must have.
    pub uid: Option<String>,
    /// `resourceVersion` that the object must have.
    pub revision: Option<String>,
    /// What happens to its dependents.
    pub propagation: Propagation,
}

impl DeleteOptions {
    /// Deletes at once, as a kubelet does when a pod has ended.
    pub fn now() -> Self {
        Self { grace: Some(0), ..Self::default() }
    }
}

/// What a deletion came to.
#[derive(Debug, Clone)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Object>),
    /// It is marked and goes when its finalizers are removed or its grace period ends.
    Going(Arc<Object>),
}

impl Deleted {
    /// Returns the object, gone or going.
    pub fn object(&self) -> &Arc<Object> {
        match self {
            Self::Gone(object) | Self::Going(object) => object,
        }
    }
}

/// Tells whether an object has to be looked at by [`Objects::sweep`] before it can go.
pub(super) fn waits(object: &Object) -> bool {
    object.deleting
        && (object.key.kind == Type::Namespace
            || object.json.windows(FOREGROUND.len()).any(|window| window == FOREGROUND.as_bytes()))
}

impl Objects {
    /// Deletes an object or marks it for deletion.
    pub fn delete(&mut self, key: &Key, options: &DeleteOptions, now: Timestamp) -> Result<Deleted, Status> {
        let object = self.check_delete(key, options)?;
        let mut value = object.value();
        match options.propagation {
            Propagation::Foreground if self.owned_by(&object.uid).next().is_some() => {
                add_finalizer(&mut value, FOREGROUND);
            }
            Propagation::Background | Propagation::Foreground => {}
            Propagation::Orphan => self.orphan(&object.uid, now),
        }
        if key.kind == Type::Namespace {
            value["status"]["phase"] = json!("Terminating");
        }
        let grace = grace(&value, key.kind, options.grace);
        let held = grace > 0 || key.kind == Type::Namespace || has_finalizers(&value);
        if !held {
            return Ok(self.remove(key, now).map_or(Deleted::Gone(object), Deleted::Gone));
        }
        let marked = mark(&mut value, grace, key.kind, now);
        if !marked && value == object.value() {
            return Ok(Deleted::Going(object));
        }
        if key.kind.info().generation
            && !object.deleting
            && let Some(generation) = value["metadata"]["generation"].as_i64()
        {
            value["metadata"]["generation"] = json!(generation + 1);
        }
        let stored = self.put(key.clone(), value, Some(object));
        if self.going.contains(key) {
            self.advance(key, now);
        }
        Ok(Deleted::Going(stored))
    }

    /// Says whether a deletion would be accepted, without doing it.
    pub fn check_delete(&self, key: &Key, options: &DeleteOptions) -> Result<Arc<Object>, Status> {
        let object = self.get(key).cloned().ok_or_else(|| Status::not_found(key.kind, &key.name))?;
        if let Some(uid) = &options.uid
            && uid.as_str() != object.uid.as_ref()
        {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                object.uid
            );
            return Err(Status::conflict(key.kind, &key.name, &why));
        }
        if let Some(revision) = &options.revision
            && *revision != object.revision.to_string()
        {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {revision}, ResourceVersion in object meta: {}",
                object.revision
            );
            return Err(Status::conflict(key.kind, &key.name, &why));
        }
        Ok(object)
    }

    /// Moves on what waits: namespaces that empty themselves, owners that wait for their dependents.
    ///
    /// The platform calls it at every step.
    pub fn sweep(&mut self, now: Timestamp) {
        let waiting: Vec<Key> = self.going.iter().cloned().collect();
        for key in waiting {
            self.advance(&key, now);
        }
    }

    /// Removes an object whose finalizers are gone; called after each write to a marked object.
    pub(super) fn finish_deletion(&mut self, key: &Key, now: Timestamp) {
        let Some(value) = self.get_value(key) else { return };
        // A pod with time left goes when its kubelet says so.
        let waits_for_kubelet = key.kind == Type::Pod
            && value["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
        if !has_finalizers(&value) && !waits_for_kubelet && key.kind != Type::Namespace {
            self.remove(key, now);
        }
    }

    fn advance(&mut self, key: &Key, now: Timestamp) {
        let Some(object) = self.get(key).cloned() else {
            self.going.remove(key);
            return;
        };
        if key.kind == Type::Namespace {
            self.empty(&key.name, now);
            let left = Type::ALL
                .iter()
                .any(|kind| kind.info().namespaced && self.list(*kind, Some(&key.name)).next().is_some());
            if !left && !has_finalizers(&object.value()) {
                self.remove(key, now);
            }
            return;
        }
        let dependents: Vec<(Key, bool)> = self
            .owned_by(&object.uid)
            .map(|child| {
                let blocks = child.owners.iter().any(|owner| owner.uid == object.uid && owner.blocks);
                (child.key.clone(), blocks)
            })
            .collect();
        for (child, _) in &dependents {
            let deleting = self.get(child).is_none_or(|child| child.deleting);
            if !deleting {
                let options =
                    DeleteOptions { propagation: Propagation::Foreground, ..DeleteOptions::default() };
                // It was there a moment ago and nobody else writes: there is nothing to refuse.
                let _ = self.delete(child, &options, now);
            }
        }
        let blocked = dependents.iter().any(|(child, blocks)| *blocks && self.get(child).is_some());
        if !blocked {
            let _ = self.modify(key, now, |value| {
                if let Some(list) = value["metadata"]["finalizers"].as_array_mut() {
                    list.retain(|finalizer| finalizer != FOREGROUND);
                }
            });
        }
    }

    /// Deletes everything in a namespace that is not on its way already.
    fn empty(&mut self, namespace: &str, now: Timestamp) {
        let contents: Vec<Key> = Type::ALL
            .iter()
            .filter(|kind| kind.info().namespaced)
            .flat_map(|kind| self.list(*kind, Some(namespace)))
            .filter(|object| !object.deleting)
            .map(|object| object.key.clone())
            .collect();
        for key in contents {
            // Gone in the meantime, with its owner, is as good.
            let _ = self.delete(&key, &DeleteOptions::default(), now);
        }
    }

    /// Takes an object out and collects what nobody owns any more.
    fn remove(&mut self, key: &Key, now: Timestamp) -> Option<Arc<Object>> {
        let last = self.take_out(key)?;
        let dependents: Vec<Key> = self.owned_by(&last.uid).map(|child| child.key.clone()).collect();
        for child in dependents {
            let another = self.get(&child).is_some_and(|object| {
                object.owners.iter().any(|owner| owner.uid != last.uid && self.by_uid(&owner.uid).is_some())
            });
            let result = if another {
                self.modify(&child, now, |value| disown(value, &last.uid)).map(|_| ())
            } else if self.get(&child).is_some_and(|object| object.deleting) {
                Ok(())
            } else {
                self.delete(&child, &DeleteOptions::default(), now).map(|_| ())
            };
            if let Err(status) = result {
                tracing::warn!(%child, %status, "a dependent could not be collected");
            }
        }
        Some(last)
    }

    fn orphan(&mut self, uid: &str, now: Timestamp) {
        let dependents: Vec<Key> = self.owned_by(uid).map(|child| child.key.clone()).collect();
        for child in dependents {
            let _ = self.modify(&child, now, |value| disown(value, uid));
        }
    }
}

fn disown(value: &mut Value, uid: &str) {
    if let Some(list) = value["metadata"]["ownerReferences"].as_array_mut() {
        list.retain(|owner| text(owner, "uid") != uid);
    }
}

fn has_finalizers(value: &Value) -> bool {
    value["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

fn add_finalizer(value: &mut Value, finalizer: &str) {
    let metadata = &mut value["metadata"];
    match metadata["finalizers"].as_array_mut() {
        Some(list) if list.iter().any(|entry| entry == finalizer) => {}
        Some(list) => {
            list.retain(|entry| entry != ORPHAN);
            list.push(json!(finalizer));
        }
        None => metadata["finalizers"] = json!([finalizer]),
    }
}

/// Returns the seconds a pod is given to end; other objects have none.
fn grace(value: &Value, kind: Type, asked: Option<i64>) -> i64 {
    if kind != Type::Pod {
        return 0;
    }
    // Nothing runs before a pod is bound, nor after it has finished: there is nothing to wait for.
    let bound = !text(&value["spec"], "nodeName").is_empty();
    let finished = matches!(text(&value["status"], "phase"), "Succeeded" | "Failed");
    if !bound || finished {
        return 0;
    }
    asked.unwrap_or_else(|| value["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30)).max(0)
}

/// Sets the deletion fields; a second deletion can only shorten the time. Tells whether anything changed.
fn mark(value: &mut Value, grace: i64, kind: Type, now: Timestamp) -> bool {
    let metadata = &mut value["metadata"];
    let before = metadata["deletionGracePeriodSeconds"].as_i64();
    let marked = metadata.get("deletionTimestamp").is_some();
    if marked && before.is_none_or(|before| grace >= before) {
        return false;
    }
    let deadline = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    metadata["deletionTimestamp"] = json!(seconds(deadline));
    if kind != Type::Namespace {
        metadata["deletionGracePeriodSeconds"] = json!(grace);
    }
    true
}
