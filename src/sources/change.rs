//! One change of one object: sent once with the gate's permission, or only pretended by the server.
//!
//! A change is never sent again by this module, whatever comes back.

use http::Method;
use serde_json::{Value, json};

use super::SourceError;
use super::access::decode;
use super::answer::Asked;
use super::kubernetes::Connection;
use super::objects::{Written, collection, scoped};
use crate::gate::Permit;
use crate::identity::{ObjectRef, Resource};

/// How a patch is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch {
    /// RFC 7386: works for every type.
    Merge,
    /// Kubernetes' own, which merges lists by key: not for CRDs (415).
    Strategic,
    /// RFC 6902: a list of operations.
    Json,
}

impl Patch {
    fn content_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// One change, as the wire has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A patch of the object itself.
    Patch(Patch, Value),
    /// A merge patch of its `scale` subresource.
    Scale(Value),
    /// The whole object, put in the place of its `status` subresource.
    Status(Value),
    /// The eviction of a pod: an `Eviction` with its `deleteOptions`.
    Evict(Value),
    /// A delete with these `DeleteOptions`.
    Delete(Value),
    /// A new object of a type, in the namespace of the one that it is made for.
    Create(Resource, Value),
}

impl Change {
    /// A merge patch of the object itself.
    pub fn merge(body: Value) -> Self {
        Self::Patch(Patch::Merge, body)
    }

    /// Binds a change to a version of the object: the server answers 409 where it is another one.
    ///
    /// A JSON patch has no field for it; one that replaces the version does the same, because the result is compared.
    /// What is made new has no version yet.
    #[must_use]
    pub fn on(self, version: &str) -> Self {
        match self {
            Self::Patch(Patch::Json, Value::Array(mut operations)) => {
                let own = json!({ "op": "replace", "path": "/metadata/resourceVersion", "value": version });
                operations.insert(0, own);
                Self::Patch(Patch::Json, Value::Array(operations))
            }
            Self::Patch(form, body) => Self::Patch(form, versioned(body, version)),
            Self::Scale(body) => Self::Scale(versioned(body, version)),
            Self::Status(object) => Self::Status(versioned(object, version)),
            Self::Evict(mut eviction) => {
                eviction["deleteOptions"]["preconditions"]["resourceVersion"] = json!(version);
                Self::Evict(eviction)
            }
            Self::Delete(mut options) => {
                options["preconditions"]["resourceVersion"] = json!(version);
                Self::Delete(options)
            }
            made @ Self::Create(..) => made,
        }
    }

    /// Returns what is sent: the body, as it is or as the server has to see it to pretend only.
    ///
    /// What ends an object is told twice, in the query and in its options: either alone keeps the object
    /// (contracts 3.6).
    fn body(&self, pretended: bool) -> Value {
        let dry_run = json!(["All"]);
        match self {
            Self::Evict(eviction) if pretended => {
                let mut eviction = eviction.clone();
                eviction["deleteOptions"]["dryRun"] = dry_run;
                eviction
            }
            Self::Delete(options) if pretended => {
                let mut options = options.clone();
                options["dryRun"] = dry_run;
                options
            }
            Self::Patch(_, body)
            | Self::Scale(body)
            | Self::Status(body)
            | Self::Evict(body)
            | Self::Delete(body)
            | Self::Create(_, body) => body.clone(),
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::Patch(..) | Self::Scale(_) => Method::PATCH,
            Self::Status(_) => Method::PUT,
            Self::Delete(_) => Method::DELETE,
            Self::Evict(_) | Self::Create(..) => Method::POST,
        }
    }

    fn content_type(&self) -> &'static str {
        match self {
            Self::Patch(form, _) => form.content_type(),
            Self::Scale(_) => Patch::Merge.content_type(),
            Self::Status(_) | Self::Evict(_) | Self::Delete(_) | Self::Create(..) => "application/json",
        }
    }

    /// Returns the subresource that it goes to; empty for the object itself.
    fn subresource(&self) -> &'static str {
        match self {
            Self::Scale(_) => "scale",
            Self::Status(_) => "status",
            Self::Evict(_) => "eviction",
            Self::Patch(..) | Self::Delete(_) | Self::Create(..) => "",
        }
    }
}

fn versioned(mut body: Value, version: &str) -> Value {
    if body.is_object() {
        body["metadata"]["resourceVersion"] = json!(version);
    }
    body
}

impl Connection {
    /// Sends a change of an object, once.
    ///
    /// A delete without preconditions gets the UID that the permit was given for. What is made new must name the
    /// object as its owner: that is what the permission is for.
    pub async fn change(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<Written, SourceError> {
        let asked = self.asks(object, change);
        covered(permit, object, &asked)?;
        let mut body = change.body(false);
        match change {
            Change::Delete(_) => {
                if let Some(fields) = body.as_object_mut() {
                    fields.entry("apiVersion").or_insert_with(|| "v1".into());
                    fields.entry("kind").or_insert_with(|| "DeleteOptions".into());
                    fields.entry("preconditions").or_insert_with(|| json!({ "uid": permit.uid() }));
                }
            }
            Change::Create(..) if !is_owned(&body, permit.uid()) => {
                let reason = format!("{object} is not its owner, and the permission is for what it owns");
                return Err(SourceError::Denied { verb: asked.verb.to_owned(), object: asked.what, reason });
            }
            _ => {}
        }
        let path = self.path_of(object, change).await?;
        self.send(&asked, change, &path, &body).await
    }

    /// Has the server pretend that it takes a change (`dryRun=All`); nothing is written. The one way to a mutating
    /// request without a permit: what makes it harmless is written here and in [`Change::body`].
    pub async fn rehearse(&self, object: &ObjectRef, change: &Change) -> Result<Written, SourceError> {
        let path = format!("{}?dryRun=All", self.path_of(object, change).await?);
        self.send(&self.asks(object, change), change, &path, &change.body(true)).await
    }

    fn asks(&self, object: &ObjectRef, change: &Change) -> Asked {
        match change {
            Change::Patch(..) | Change::Scale(_) => self.asked("patch", object.to_string()),
            Change::Status(_) => self.asked("update", format!("status of {object}")),
            Change::Evict(_) => self.asked("create", format!("eviction of {object}")),
            Change::Delete(_) => self.asked("delete", object.to_string()),
            Change::Create(resource, _) => {
                self.asked("create", scoped(resource, object.namespace.as_deref()))
            }
        }
    }

    /// Returns where a change is sent to.
    async fn path_of(&self, object: &ObjectRef, change: &Change) -> Result<String, SourceError> {
        if let Change::Create(resource, _) = change {
            let version = self.version_of(resource).await?;
            return Ok(collection(resource, &version, object.namespace.as_deref()));
        }
        self.path(object, change.subresource()).await
    }

    async fn send(
        &self,
        asked: &Asked,
        change: &Change,
        path: &str,
        body: &Value,
    ) -> Result<Written, SourceError> {
        let body = body.to_string().into_bytes();
        let sent = self.write(asked, change.method(), path, change.content_type(), body).await;
        if matches!(sent, Err(SourceError::Denied { .. })) {
            // What was believed about rights is wrong.
            self.reviews().lock().await.forget();
        }
        let (warnings, answer) = sent?;
        Ok(Written { object: decode(asked, &answer)?, warnings })
    }
}

fn is_owned(body: &Value, uid: &str) -> bool {
    let owners = body.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| {
        owner.get("uid").and_then(Value::as_str).is_some_and(|owner| !owner.is_empty() && owner == uid)
    })
}

/// Tells whether a permit is for this object, or says so as the server would.
pub(super) fn covered(permit: &Permit, object: &ObjectRef, asked: &Asked) -> Result<(), SourceError> {
    if permit.covers(object) {
        return Ok(());
    }
    Err(SourceError::Denied {
        verb: asked.verb.to_owned(),
        object: object.to_string(),
        reason: format!("the permission is for {}", permit.object()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_bound_to_the_version_that_was_looked_at() {
        let patch = Change::merge(json!({ "spec": { "paused": true } })).on("7");
        assert_eq!(
            patch,
            Change::merge(json!({ "metadata": { "resourceVersion": "7" }, "spec": { "paused": true } }))
        );
        let scale = Change::Scale(json!({ "spec": { "replicas": 3 } })).on("7");
        assert_eq!(
            scale,
            Change::Scale(json!({ "metadata": { "resourceVersion": "7" }, "spec": { "replicas": 3 } }))
        );
        let json = Change::Patch(Patch::Json, json!([{ "op": "remove", "path": "/x" }])).on("7");
        assert_eq!(
            json,
            Change::Patch(
                Patch::Json,
                json!([{ "op": "replace", "path": "/metadata/resourceVersion", "value": "7" },
                    { "op": "remove", "path": "/x" }])
            )
        );
        let delete = Change::Delete(json!({ "preconditions": { "uid": "u" } })).on("7");
        assert_eq!(
            delete,
            Change::Delete(json!({ "preconditions": { "uid": "u", "resourceVersion": "7" } }))
        );
    }

    #[test]
    fn what_is_pretended_says_so_where_the_server_reads_it() {
        // contracts 3.6, the body of an eviction that does not evict.
        let eviction = Change::Evict(json!({ "deleteOptions": { "preconditions": { "uid": "u" } } }));
        assert_eq!(eviction.body(true)["deleteOptions"]["dryRun"], json!(["All"]));
        assert_eq!(eviction.body(true)["deleteOptions"]["preconditions"]["uid"], "u");
        assert_eq!(eviction.body(false)["deleteOptions"].get("dryRun"), None);
        assert_eq!(Change::Delete(json!({})).body(true), json!({ "dryRun": ["All"] }));
        assert_eq!(Change::merge(json!({ "spec": {} })).body(true), json!({ "spec": {} }));
    }
}
