//! Create, update, patch and delete: what a client may do to objects, decided in one go while holding the world.
//!
//! It decides and stores; it neither authenticates nor speaks HTTP.

use std::sync::Arc;

use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::admission;
use super::deletion::{DeleteOptions, Deleted, Propagation};
use super::objects::{Key, Object, Objects, text};
use super::ownership::{self, Writer};
use super::patch::{PatchKind, patched};
use super::protobuf;
use super::quota;
use super::read::key_of;
use super::request::{Query, Target, Verb};
use super::scale;
use super::schema;
use super::status::{Cause, Reason, Status};
use super::types::Type;
use super::versions::View;

/// A write, as it came.
#[derive(Debug, Clone)]
pub struct Write {
    /// What is to be done.
    pub verb: Verb,
    /// To what.
    pub target: Target,
    /// Its type.
    pub kind: Type,
    /// How the client spells it.
    pub view: View,
    /// The query.
    pub query: Query,
    /// `Content-Type` of the body.
    pub media: String,
    /// The body.
    pub body: Bytes,
    /// `User-Agent`, which names the field manager where the query does not.
    pub agent: String,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub struct Written {
    /// HTTP status.
    pub code: u16,
    /// The answer's body.
    pub value: Answer,
    /// Warnings for the client.
    pub warnings: Vec<String>,
}

/// The body of an answer to a write.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An object as it is stored.
    Object(Arc<Object>),
    /// Anything else.
    Value(Value),
}

impl Write {
    /// Carries the write out.
    pub fn carry_out(&self, objects: &mut Objects, now: Timestamp) -> Result<Written, Status> {
        match self.verb {
            Verb::Create => self.create(objects, now),
            Verb::Update => self.update(objects, now),
            Verb::Patch => self.patch(objects, now),
            Verb::Delete => self.delete(objects, now),
            Verb::DeleteCollection => self.delete_collection(objects, now),
            Verb::Get | Verb::List | Verb::Watch => {
                Err(Status::new(Reason::MethodNotAllowed, "the server does not allow this method"))
            }
        }
    }

    /// Decodes the body, JSON or YAML.
    pub fn decode(&self) -> Result<Value, Status> {
        decode(&self.media, &self.body)
    }

    /// Says who writes, for the ownership of fields.
    fn writer(&self, now: Timestamp) -> Writer {
        let asked = self.query.get("fieldManager");
        let agent = self.agent.split('/').next().unwrap_or_default();
        let manager = if asked.is_empty() { agent } else { asked };
        Writer {
            manager: if manager.is_empty() { "unknown" } else { manager }.to_owned(),
            // Fields are booked as they are stored, whatever version they came in.
            api_version: self.kind.api_version(),
            subresource: self.target.subresource.clone(),
            now,
        }
    }

    fn create(&self, objects: &mut Objects, now: Timestamp) -> Result<Written, Status> {
        self.create_from(self.decode()?, false, objects, now)
    }

    /// Creates an object from a body, or from what is applied.
    fn create_from(
        &self,
        mut value: Value,
        applied: bool,
        objects: &mut Objects,
        now: Timestamp,
    ) -> Result<Written, Status> {
        self.check_identity(&mut value, applied)?;
        let mut warnings = Vec::new();
        if self.view != View::Stored {
            value = self.view.store(self.kind, &value);
        }
        let metadata = value["metadata"].as_object_mut().ok_or_else(|| {
            Status::bad_request(format!("metadata: a map is expected in a {}", self.kind.info().kind))
        })?;
        if metadata.get("resourceVersion").and_then(Value::as_str).is_some_and(|text| !text.is_empty()) {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        for decided in ["uid", "creationTimestamp", "generation", "selfLink", "managedFields"] {
            metadata.remove(decided);
        }
        if applied {
            value = ownership::created(self.kind, &value, &self.writer(now));
        }
        if self.kind.info().status
            && let Some(body) = value.as_object_mut()
        {
            body.remove("status");
        }
        self.hold_to_schema(objects, &mut value, &mut warnings)?;
        if self.kind == Type::Pod {
            quota::limit(objects, &mut value);
        }
        admission::admit(self.kind, &mut value, None)?;
        if !applied {
            ownership::updated(self.kind, None, &mut value, &self.writer(now));
        }
        // Whatever else refuses it does so before it is counted.
        let complete = objects.try_create(self.kind, value, now)?;
        let answer = if self.query.dry_run()? {
            Answer::Value(complete)
        } else {
            quota::charge(objects, self.kind, &complete, now)?;
            Answer::Object(objects.create(self.kind, complete, now)?)
        };
        Ok(Written { code: 201, value: answer, warnings })
    }

    fn update(&self, objects: &mut Objects, now: Timestamp) -> Result<Written, Status> {
        let mut value = self.decode()?;
        let key = key_of(&self.target, self.kind);
        if self.target.subresource == "scale" {
            return self.scale(objects, now, |_| Ok(value));
        }
        self.check_identity(&mut value, true)?;
        if self.view != View::Stored {
            value = self.view.store(self.kind, &value);
        }
        if self.kind.info().custom && text(&value["metadata"], "resourceVersion").is_empty() {
            let cause = Cause {
                reason: "FieldValueInvalid",
                message: "Invalid value: 0x0: must be specified for an update".to_owned(),
                field: "metadata.resourceVersion".to_owned(),
            };
            return Err(Status::invalid(self.kind, &self.target.name, vec![cause]));
        }
        self.store(objects, &key, value, false, now)
    }

    fn patch(&self, objects: &mut Objects, now: Timestamp) -> Result<Written, Status> {
        let kind = PatchKind::read(&self.media);
        let refused = match kind {
            None => true,
            Some(PatchKind::Strategic) => self.kind.info().custom,
            Some(_) => false,
        };
        let Some(kind) = kind.filter(|_| !refused) else {
            return Err(self.unsupported());
        };
        let patch = self.decode()?;
        let key = key_of(&self.target, self.kind);
        if self.target.subresource == "scale" {
            return self.scale(objects, now, |scale| patched(&scale, kind, &patch));
        }
        let before = objects.get_value(&key);
        if kind == PatchKind::Apply {
            return self.apply(objects, &key, before.as_ref(), patch, now);
        }
        let before = before.ok_or_else(|| Status::not_found(self.kind, &self.target.name))?;
        let shown = self.view.show(self.kind, &before);
        let mut value = patched(&shown, kind, &patch)?;
        if self.view != View::Stored {
            value = self.view.store(self.kind, &value);
        }
        let meta = |value: &Value, field: &str| text(&value["metadata"], field).to_owned();
        if meta(&value, "name") != meta(&before, "name")
            || meta(&value, "namespace") != meta(&before, "namespace")
        {
            return Err(Status::bad_request("the name and the namespace of an object cannot be changed"));
        }
        // A patch is applied to what is there now, so only a version that it brings itself can be stale.
        let own = match kind {
            PatchKind::Json => meta(&value, "resourceVersion") != meta(&before, "resourceVersion"),
            _ => !text(&patch["metadata"], "resourceVersion").is_empty(),
        };
        if !own && let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        self.store(objects, &key, value, false, now)
    }

    /// Applies on the server: what is said is set, what is no longer said goes, what others own is asked about.
    fn apply(
        &self,
        objects: &mut Objects,
        key: &Key,
        before: Option<&Value>,
        mut config: Value,
        now: Timestamp,
    ) -> Result<Written, Status> {
        if self.query.get("fieldManager").is_empty() {
            let cause = Cause {
                reason: "FieldValueRequired",
                message: "Required value: is required for apply patch".to_owned(),
                field: "fieldManager".to_owned(),
            };
            let message =
                format!("PatchOptions.meta.k8s.io \"\" is invalid: {}: {}", cause.field, cause.message);
            return Err(Status { causes: vec![cause], ..Status::new(Reason::Invalid, message) });
        }
        self.check_identity(&mut config, true)?;
        if !config["metadata"]["managedFields"].is_null() {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        if self.view != View::Stored {
            config = self.view.store(self.kind, &config);
        }
        let Some(before) = before else {
            if self.target.subresource.is_empty() {
                return self.create_from(config, true, objects, now);
            }
            return Err(Status::not_found(self.kind, &self.target.name));
        };
        let force = self.query.flag("force");
        let mut value = ownership::applied(self.kind, before, &config, &self.writer(now), force)?;
        if text(&config["metadata"], "resourceVersion").is_empty()
            && let Some(metadata) = value["metadata"].as_object_mut()
        {
            metadata.remove("resourceVersion");
        }
        self.store(objects, key, value, true, now)
    }

    /// Stores a changed object; through `status` only its status, otherwise everything but its status. `booked` says
    /// that the ownership of its fields is decided already.
    fn store(
        &self,
        objects: &mut Objects,
        key: &Key,
        mut value: Value,
        booked: bool,
        now: Timestamp,
    ) -> Result<Written, Status> {
        let before = objects.get_value(key).ok_or_else(|| Status::not_found(key.kind, &key.name))?;
        let mut warnings = Vec::new();
        self.hold_to_schema(objects, &mut value, &mut warnings)?;
        if self.target.subresource == "status" {
            let mut whole = before.clone();
            if booked {
                whole["metadata"]["managedFields"] = value["metadata"]["managedFields"].take();
            }
            whole["metadata"]["resourceVersion"] = value["metadata"]["resourceVersion"].take();
            if whole["metadata"]["resourceVersion"].is_null()
                && let Some(metadata) = whole["metadata"].as_object_mut()
            {
                metadata.remove("resourceVersion");
            }
            whole["status"] = value["status"].take();
            value = whole;
        } else {
            if key.kind.info().status
                && let Some(body) = value.as_object_mut()
            {
                match before.get("status") {
                    Some(status) => body.insert("status".to_owned(), status.clone()),
                    None => body.remove("status"),
                };
            }
            admission::admit(key.kind, &mut value, Some(&before))?;
        }
        if !booked {
            ownership::updated(key.kind, Some(&before), &mut value, &self.writer(now));
        }
        let answer = if self.query.dry_run()? {
            Answer::Value(objects.try_replace(key, value)?)
        } else {
            Answer::Object(objects.replace(key, value, now)?)
        };
        Ok(Written { code: 200, value: answer, warnings })
    }

    /// Changes the number of replicas through the `scale` subresource.
    fn scale(
        &self,
        objects: &mut Objects,
        now: Timestamp,
        change: impl FnOnce(Value) -> Result<Value, Status>,
    ) -> Result<Written, Status> {
        let key = key_of(&self.target, self.kind);
        let before =
            objects.get_value(&key).ok_or_else(|| Status::not_found(self.kind, &self.target.name))?;
        let changed = change(scale::scale(self.kind, &before))?;
        let mut value = scale::with_scale(self.kind, &before, &changed)?;
        ownership::updated(self.kind, Some(&before), &mut value, &self.writer(now));
        let stored = if self.query.dry_run()? {
            objects.try_replace(&key, value)?
        } else {
            objects.replace(&key, value, now)?.value()
        };
        let value = Answer::Value(scale::scale(self.kind, &stored));
        Ok(Written { code: 200, value, warnings: Vec::new() })
    }

    fn delete(&self, objects: &mut Objects, now: Timestamp) -> Result<Written, Status> {
        let options = self.delete_options()?;
        let key = key_of(&self.target, self.kind);
        if self.query.dry_run()? {
            let object = objects.check_delete(&key, &options.0)?;
            return Ok(Written { code: 200, value: Answer::Object(object), warnings: Vec::new() });
        }
        if options.1 {
            let object = objects.check_delete(&key, &options.0)?;
            return Ok(Written { code: 200, value: Answer::Object(object), warnings: Vec::new() });
        }
        self.keep_system_namespaces()?;
        let value = match objects.delete(&key, &options.0, now)? {
            Deleted::Gone(object) => {
                let info = self.kind.info();
                let mut details = json!({"name": object.key.name, "kind": info.plural, "uid": object.uid});
                if !info.group.is_empty() {
                    details["group"] = json!(info.group);
                }
                Answer::Value(json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
                }))
            }
            Deleted::Going(object) => Answer::Object(object),
        };
        Ok(Written { code: 200, value, warnings: Vec::new() })
    }

    fn delete_collection(&self, objects: &mut Objects, now: Timestamp) -> Result<Written, Status> {
        let request = super::read::list_request(&self.target, self.kind, &self.query)?;
        let (options, dry) = self.delete_options()?;
        let page = super::paging::page(objects, self.kind, &request)?;
        let dry = dry || self.query.dry_run()?;
        let mut items = Vec::new();
        for object in page.objects {
            if dry {
                items.push(object.value());
                continue;
            }
            // Gone in the meantime, with its owner, is as good.
            if let Ok(deleted) = objects.delete(&object.key, &options, now) {
                items.push(deleted.object().value());
            }
        }
        let value = json!({
            "kind": format!("{}List", self.kind.info().kind), "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": objects.revision().to_string()}, "items": items,
        });
        Ok(Written { code: 200, value: Answer::Value(value), warnings: Vec::new() })
    }

    fn delete_options(&self) -> Result<(DeleteOptions, bool), Status> {
        let body = if self.body.iter().all(u8::is_ascii_whitespace) { json!({}) } else { self.decode()? };
        read_delete_options(&body, &self.query)
    }

    fn keep_system_namespaces(&self) -> Result<(), Status> {
        let name = self.target.name.as_str();
        if self.kind == Type::Namespace && matches!(name, "default" | "kube-system" | "kube-public") {
            return Err(Status::forbidden(self.kind, name, "this namespace may not be deleted"));
        }
        Ok(())
    }

    /// Refuses a body that is of another type or lives elsewhere than the path says.
    fn check_identity(&self, value: &mut Value, named: bool) -> Result<(), Status> {
        let info = self.kind.info();
        let Some(body) = value.as_object_mut() else {
            return Err(Status::bad_request("the body is not an object"));
        };
        let wanted = self.view.api_version(self.kind);
        let version = body.get("apiVersion").and_then(Value::as_str).unwrap_or(&wanted);
        let kind = body.get("kind").and_then(Value::as_str).unwrap_or(info.kind);
        if version != wanted || kind != info.kind {
            return Err(Status::bad_request(format!(
                "the API version in the data ({version}, {kind}) does not match the expected API version ({wanted}, {})",
                info.kind
            )));
        }
        if !body.get("metadata").is_some_and(Value::is_object) {
            body.insert("metadata".to_owned(), json!({}));
        }
        let metadata = &mut value["metadata"];
        let name = text(metadata, "name");
        if named && name != self.target.name {
            return Err(Status::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                self.target.name
            )));
        }
        if info.namespaced {
            let namespace = text(metadata, "namespace");
            if !namespace.is_empty() && namespace != self.target.namespace {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            metadata["namespace"] = json!(self.target.namespace);
        }
        Ok(())
    }

    fn hold_to_schema(
        &self,
        objects: &Objects,
        value: &mut Value,
        warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        let definition = self.kind.info().custom.then(|| {
            let key = Key::new(Type::CustomResourceDefinition, "", &self.kind.qualified());
            objects.get_value(&key)
        });
        let unknown = schema::check(self.kind, value, definition.flatten().as_ref())?;
        let mode = self.query.get("fieldValidation");
        if mode == "Strict" && !unknown.is_empty() {
            let info = self.kind.info();
            let list: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
            return Err(Status::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
                info.kind,
                info.version,
                info.kind,
                list.join(", ")
            )));
        }
        if mode != "Ignore" {
            warnings.extend(unknown.iter().map(|path| format!("unknown field \"{path}\"")));
        }
        Ok(())
    }

    fn unsupported(&self) -> Status {
        let strategic = if self.kind.info().custom { "" } else { ", application/strategic-merge-patch+json" };
        Status::new(
            Reason::UnsupportedMediaType,
            format!(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml{strategic}"
            ),
        )
    }
}

/// Reads how to delete, from the body and from the query; also tells whether it is a dry run.
pub fn read_delete_options(body: &Value, query: &Query) -> Result<(DeleteOptions, bool), Status> {
    let wish = |field: &str| {
        let text = text(body, field);
        if text.is_empty() { query.get(field).to_owned() } else { text.to_owned() }
    };
    let propagation = match wish("propagationPolicy").as_str() {
        "" if body["orphanDependents"] == true || query.flag("orphanDependents") => Propagation::Orphan,
        "" | "Background" => Propagation::Background,
        "Foreground" => Propagation::Foreground,
        "Orphan" => Propagation::Orphan,
        other => {
            let message = format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"{other}\": supported \
                 values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            return Err(Status::new(Reason::Invalid, message));
        }
    };
    let grace = match body["gracePeriodSeconds"].as_i64() {
        Some(seconds) => Some(seconds),
        None => query.number("gracePeriodSeconds")?,
    };
    let precondition = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
    let dry = body["dryRun"].as_array().is_some_and(|list| list.iter().any(|mode| mode == "All"));
    let options = DeleteOptions {
        grace,
        uid: precondition("uid"),
        revision: precondition("resourceVersion"),
        propagation,
    };
    Ok((options, dry))
}

/// Decodes a body by its media type.
pub fn decode(media: &str, body: &[u8]) -> Result<Value, Status> {
    let media = media.split(';').next().unwrap_or_default().trim();
    match media {
        protobuf::MEDIA => protobuf::decode(body),
        "application/yaml" | "application/apply-patch+yaml" => {
            let text = std::str::from_utf8(body)
                .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
            serde_saphyr::from_str(text)
                .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))
        }
        ""
        | "application/json"
        | "application/json-patch+json"
        | "application/merge-patch+json"
        | "application/strategic-merge-patch+json" => serde_json::from_slice(body).map_err(|error| {
            Status::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
        }),
        other => Err(Status::new(
            Reason::UnsupportedMediaType,
            format!(
                "the body of the request was in an unknown format ({other}) - accepted media types include: \
                 application/json, application/yaml"
            ),
        )),
    }
}
