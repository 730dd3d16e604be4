//! A cluster for the moments that a real one does not offer on demand: an answer that is lost, an object that
//! is replaced between question and write, somebody who writes first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::actions::Remote;
use crate::gate::{Access, Permit, Witness};
use crate::identity::{Context, ObjectRef, Resource};
use crate::sources::SourceError;
use crate::sources::change::{Change, Patch};
use crate::sources::cloudwatch::{CURRENT, CloudSecret, Moved, PENDING, PREVIOUS};
use crate::sources::objects::Written;

/// What happens to the next write.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is applied, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    NotSent,
    /// Somebody merges this into the object just before.
    Overtaken(Value),
    /// Nothing.
    Fine,
    /// The server refuses it.
    Invalid,
    /// A budget refuses it.
    Budget,
}

#[derive(Debug, Default)]
struct Inside {
    objects: BTreeMap<String, Value>,
    version: u64,
    faults: VecDeque<Fault>,
    denied: BTreeSet<String>,
    writes: Vec<Value>,
    /// Whether the definition of Applications is older than `automated.enabled`.
    old: bool,
    /// Whether a controller works on operations; each look moves it one step.
    controlled: bool,
    /// How the controller ends operations.
    ending: String,
    /// What argocd-server renders, by revision; where there is nothing it does not exist.
    rendered: BTreeMap<String, Vec<Value>>,
    /// Whether evicted pods take their time to end: until [`Cluster::reap`].
    stubborn: bool,
    /// Alertmanagers that do not answer.
    gaps: Vec<String>,
    /// Why the server would refuse what it is asked to pretend.
    unwilling: Option<String>,
    /// Pods that a budget keeps, with the words of the server.
    refused: BTreeMap<String, String>,
    /// How many changes are being rehearsed, and how many there were at most.
    rehearsing: usize,
    most_rehearsing: usize,
    /// Secrets of AWS, by name.
    cloud: BTreeMap<String, CloudSecret>,
    /// Whether what rotates them fails.
    failing: bool,
    /// A folder that goes with it.
    folder: Option<tempfile::TempDir>,
}

/// The cluster.
#[derive(Debug, Clone, Default)]
pub struct Cluster(Arc<Mutex<Inside>>);

/// Names an object in the context `test`.
pub fn object(group: &str, plural: &str, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        context: Context::new("test"),
        resource: Resource::new(group, plural),
        namespace: (!namespace.is_empty()).then(|| namespace.into()),
        name: name.into(),
    }
}

/// A strategic merge patch as far as these tests need it: lists by name, and `$patch: replace`.
fn strategic(whole: &mut Value, patch: &Value) {
    match (whole, patch) {
        (Value::Object(whole), Value::Object(patch)) => {
            if patch.get("$patch") == Some(&json!("replace")) {
                *whole = patch.clone();
                whole.remove("$patch");
                return;
            }
            for (name, value) in patch {
                match whole.get_mut(name) {
                    _ if value.is_null() => drop(whole.remove(name)),
                    Some(own) => strategic(own, value),
                    None => drop(whole.insert(name.clone(), value.clone())),
                }
            }
        }
        (Value::Array(whole), Value::Array(patch)) if patch.iter().all(|one| one["name"].is_string()) => {
            for one in patch {
                match whole.iter_mut().find(|own| own["name"] == one["name"]) {
                    Some(own) => strategic(own, one),
                    None => whole.push(one.clone()),
                }
            }
        }
        (whole, patch) => *whole = patch.clone(),
    }
}

/// Says what the controllers of workloads make of an object at once; nothing where it is so already.
fn settled(object: &ObjectRef, document: &Value) -> Option<Value> {
    let status = match &*object.resource.plural {
        "deployments" if document.pointer("/status/readyReplicas").is_some() => {
            let wanted = &document["spec"]["replicas"];
            json!({ "replicas": wanted, "readyReplicas": wanted, "updatedReplicas": wanted, "availableReplicas": wanted })
        }
        "jobs" => json!({ "conditions": [{ "type": "Complete", "status": "True" }] }),
        "horizontalpodautoscalers" => json!({ "currentReplicas": document["spec"]["minReplicas"] }),
        _ => return None,
    };
    let mut now = document["status"].clone();
    json_patch::merge(&mut now, &status);
    (now != document["status"]).then(|| json!({ "status": now }))
}

fn key(object: &ObjectRef) -> String {
    object.to_string()
}

impl Inside {
    fn put(&mut self, object: &ObjectRef, mut document: Value) {
        self.version += 1;
        let version = self.version.to_string();
        let uid = format!("uid-{}-{version}", object.name);
        let mut metadata = json!({ "name": &*object.name, "uid": uid, "generation": 1 });
        if let Some(namespace) = &object.namespace {
            metadata["namespace"] = json!(**namespace);
        }
        if let Some(given) = document.get("metadata") {
            json_patch::merge(&mut metadata, given);
        }
        metadata["resourceVersion"] = json!(version);
        document["metadata"] = metadata;
        self.objects.insert(key(object), document);
    }

    fn merge(&mut self, object: &ObjectRef, patch: &Value) {
        self.version += 1;
        let version = self.version.to_string();
        let old = self.old;
        let Some(stored) = self.objects.get_mut(&key(object)) else { return };
        json_patch::merge(stored, patch);
        if old && let Some(automated) = stored.pointer_mut("/spec/syncPolicy/automated") {
            automated.as_object_mut().map(|fields| fields.remove("enabled"));
        }
        stored["metadata"]["resourceVersion"] = json!(version);
    }

    /// Carries out a change as an API server does: versions and UIDs are compared, lists of containers are merged by
    /// name, finalizers keep what is deleted.
    fn carry_out(&mut self, object: &ObjectRef, change: &Change) -> Result<Value, SourceError> {
        let conflict =
            |reason: &str| SourceError::Conflict { what: object.to_string(), reason: reason.to_owned() };
        if let Change::Create(resource, body) = change {
            let name = body["metadata"]["name"].as_str().unwrap_or_default();
            let made = ObjectRef { resource: resource.clone(), name: name.into(), ..object.clone() };
            if self.objects.contains_key(&key(&made)) {
                return Err(conflict("it exists already"));
            }
            self.writes.push(body.clone());
            self.put(&made, body.clone());
            return Ok(self.objects[&key(&made)].clone());
        }
        let Some(stored) = self.objects.get(&key(object)).cloned() else {
            return Err(SourceError::Missing { what: object.to_string(), reason: "gone".to_owned() });
        };
        let same = |wanted: Option<&Value>, pointer: &str| {
            wanted.is_none_or(|wanted| stored.pointer(pointer) == Some(wanted))
        };
        match change {
            Change::Create(..) => unreachable!(),
            Change::Delete(options) => {
                if !same(options.pointer("/preconditions/uid"), "/metadata/uid")
                    || !same(options.pointer("/preconditions/resourceVersion"), "/metadata/resourceVersion")
                {
                    return Err(conflict("the precondition does not match"));
                }
                self.writes.push(options.clone());
                // Karpenter lets its own finalizer go when the machine has gone: at once here.
                let holds = |list: &Vec<Value>| list.iter().any(|one| one != "karpenter.sh/termination");
                let held = stored["metadata"]["finalizers"].as_array().is_some_and(holds);
                let lasting = stored["metadata"]["deletionTimestamp"].is_null()
                    && options.get("gracePeriodSeconds").is_none()
                    && self.stubborn;
                if held || lasting {
                    self.merge(
                        object,
                        &json!({ "metadata": { "deletionTimestamp": "2026-01-05T12:00:30Z" } }),
                    );
                } else {
                    self.objects.remove(&key(object));
                }
                Ok(json!({ "kind": "Status", "status": "Success" }))
            }
            Change::Evict(body) => {
                if !same(body.pointer("/deleteOptions/preconditions/uid"), "/metadata/uid") {
                    return Err(conflict("the UID in the precondition does not match"));
                }
                self.writes.push(json!({ "under": "eviction", "of": object.to_string(), "body": body }));
                if self.stubborn {
                    let ending = json!({ "metadata": { "deletionTimestamp": "2026-01-05T12:00:30Z" } });
                    self.merge(object, &ending);
                } else {
                    self.objects.remove(&key(object));
                }
                Ok(json!({ "kind": "Status", "status": "Success" }))
            }
            Change::Patch(Patch::Json, operations) => {
                let mut whole = stored.clone();
                let patch: json_patch::Patch = serde_json::from_value(operations.clone()).unwrap();
                json_patch::patch(&mut whole, &patch).unwrap();
                if whole["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"] {
                    return Err(conflict("the object has been modified"));
                }
                self.writes.push(operations.clone());
                self.objects.insert(key(object), whole);
                self.merge(object, &json!({}));
                Ok(self.objects[&key(object)].clone())
            }
            Change::Patch(form, body) => {
                if !same(body.pointer("/metadata/resourceVersion"), "/metadata/resourceVersion") {
                    return Err(conflict("the object has been modified"));
                }
                self.writes.push(body.clone());
                let mut whole = stored.clone();
                if *form == Patch::Strategic {
                    strategic(&mut whole, body);
                } else {
                    json_patch::merge(&mut whole, body);
                }
                self.objects.insert(key(object), whole);
                self.merge(object, &json!({}));
                Ok(self.objects[&key(object)].clone())
            }
            Change::Status(body) => {
                if !same(body.pointer("/metadata/resourceVersion"), "/metadata/resourceVersion") {
                    return Err(conflict("the object has been modified"));
                }
                self.writes.push(body.clone());
                self.merge(object, &json!({ "status": body["status"] }));
                Ok(self.objects[&key(object)].clone())
            }
            Change::Scale(body) => {
                if !same(body.pointer("/metadata/resourceVersion"), "/metadata/resourceVersion") {
                    return Err(conflict("the object has been modified"));
                }
                self.writes.push(body.clone());
                self.merge(object, &json!({ "spec": { "replicas": body["spec"]["replicas"] } }));
                Ok(json!({ "kind": "Scale", "spec": body["spec"] }))
            }
        }
    }

    /// Issues a Certificate that is to be issued, as cert-manager ends it.
    fn issue(&mut self, object: &ObjectRef) {
        let Some(certificate) = self.objects.get(&key(object)) else { return };
        let conditions = certificate.pointer("/status/conditions").and_then(Value::as_array);
        let issuing = |one: &Value| one["type"] == "Issuing" && one["status"] == "True";
        if !conditions.is_some_and(|all| all.iter().any(issuing)) {
            return;
        }
        let revision = certificate["status"]["revision"].as_i64().unwrap_or(0) + 1;
        let status = json!({ "revision": revision, "notBefore": "2026-01-05T12:00:00Z", "notAfter": "2026-04-05T12:00:00Z",
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready" }] });
        self.merge(object, &json!({ "status": status }));
    }

    /// Moves the Argo CD controller one step on an Application.
    fn control(&mut self, object: &ObjectRef) {
        if self.controlled && &*object.resource.plural == "certificates" {
            self.issue(object);
        }
        if !self.controlled {
            return;
        }
        if let Some(patch) = self.objects.get(&key(object)).and_then(|document| settled(object, document)) {
            self.merge(object, &patch);
        }
        if &*object.resource.plural != "applications" {
            return;
        }
        let Some(app) = self.objects.get(&key(object)) else { return };
        let phase = app.pointer("/status/operationState/phase").and_then(Value::as_str).unwrap_or("");
        let operation = app.get("operation").cloned().filter(|operation| !operation.is_null());
        let patch = match (operation, phase) {
            (_, "Terminating") => json!({ "operation": null, "status": { "operationState": {
                "phase": "Failed", "message": "Operation terminated" } } }),
            (Some(operation), "") => json!({ "status": { "operationState": {
                "operation": operation, "phase": "Running", "message": "waiting", "startedAt": "2026-01-05T12:00:01Z" } } }),
            // An operation of somebody else runs for ever.
            (Some(operation), "Running") if operation.get("info").is_some() => {
                let revision = operation.pointer("/sync/revision").cloned().unwrap_or_else(|| json!("bbb"));
                let ending = if self.ending.is_empty() { "Succeeded" } else { &self.ending };
                json!({ "operation": null, "status": {
                    "operationState": { "phase": ending, "message": "done", "syncResult": { "revision": revision } },
                    "sync": { "status": "Synced" }, "health": { "status": "Healthy" } } })
            }
            _ if app.pointer("/metadata/annotations/argocd.argoproj.io~1refresh").is_some() => {
                json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": null } },
                    "status": { "reconciledAt": "2026-01-05T12:00:01Z" } })
            }
            _ => return,
        };
        self.merge(object, &patch);
    }
}

impl Inside {
    /// Has External Secrets bring what is current in AWS where somebody asks: the version is the content.
    fn bring(&mut self, object: &ObjectRef) {
        if &*object.resource.plural != "externalsecrets" {
            return;
        }
        let Some(external) = self.objects.get(&key(object)).cloned() else { return };
        let asked = external["metadata"]["annotations"]["force-sync"].as_str().unwrap_or_default().to_owned();
        if external["status"]["syncedResourceVersion"] == asked.as_str() {
            return;
        }
        let from = external["spec"]["data"][0]["remoteRef"]["key"].as_str().unwrap_or_default().to_owned();
        self.merge(
            object,
            &json!({ "status": { "refreshTime": "2026-01-05T12:00:02Z", "syncedResourceVersion": asked,
                "conditions": [{ "type": "Ready", "status": "True", "reason": "SecretSynced" }] } }),
        );
        let Some(current) =
            self.cloud.get(&from).and_then(|secret| secret.staged(CURRENT)).map(str::to_owned)
        else {
            return;
        };
        let secret = ObjectRef { resource: Resource::new("", "secrets"), ..object.clone() };
        let hash = "/metadata/annotations/reconcile.external-secrets.io~1data-hash";
        if self.objects.get(&key(&secret)).is_some_and(|one| one.pointer(hash) == Some(&json!(current))) {
            return;
        }
        let patch = json!({ "metadata": {
            "annotations": { "reconcile.external-secrets.io/data-hash": current },
            "managedFields": [{ "manager": "eso", "time": "2026-01-05T12:00:02Z" }] } });
        self.merge(&secret, &patch);
    }
}

impl Cluster {
    /// Puts a secret into AWS, with a current and a previous version.
    pub async fn put_cloud(&self, name: &str, rotates: bool) {
        let versions =
            [("v1", PREVIOUS), ("v2", CURRENT)].map(|(id, stage)| (id.to_owned(), vec![stage.to_owned()]));
        let secret = CloudSecret {
            name: name.to_owned(),
            rotates,
            versions: versions.into(),
            ..CloudSecret::default()
        };
        self.0.lock().await.cloud.insert(name.to_owned(), secret);
    }

    /// Returns a secret of AWS.
    pub async fn cloud(&self, name: &str) -> CloudSecret {
        self.0.lock().await.cloud[name].clone()
    }

    /// Makes what rotates secrets fail half-way.
    pub async fn fail_rotations(&self) {
        self.0.lock().await.failing = true;
    }

    /// Puts an object there, with a new UID: also in the place of one of that name.
    pub async fn put(&self, object: &ObjectRef, document: Value) {
        self.0.lock().await.put(object, document);
    }

    /// Changes an object as somebody else would.
    pub async fn change(&self, object: &ObjectRef, patch: Value) {
        self.0.lock().await.merge(object, &patch);
    }

    /// Takes an object away.
    pub async fn remove(&self, object: &ObjectRef) {
        self.0.lock().await.objects.remove(&key(object));
    }

    /// Returns an object as it is.
    pub async fn get(&self, object: &ObjectRef) -> Option<Value> {
        self.0.lock().await.objects.get(&key(object)).cloned()
    }

    /// Returns a folder that goes with the cluster.
    pub async fn folder(&self) -> std::path::PathBuf {
        let mut inside = self.0.lock().await;
        inside.folder.get_or_insert_with(|| tempfile::TempDir::new().unwrap()).path().to_owned()
    }

    /// Decides what happens to the next writes.
    pub async fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().await.faults.extend(faults);
    }

    /// Takes a right away, such as `patch`.
    pub async fn deny(&self, verb: &str) {
        self.0.lock().await.denied.insert(verb.to_owned());
    }

    /// Makes the definition of Applications one before Argo CD 3.1.
    pub async fn before_3_1(&self) {
        self.0.lock().await.old = true;
    }

    /// Starts the Argo CD controller; operations end in the given phase.
    pub async fn controller(&self, ending: &str) {
        let mut inside = self.0.lock().await;
        inside.controlled = true;
        ending.clone_into(&mut inside.ending);
    }

    /// Makes evicted pods take their time to end.
    pub async fn stubborn(&self) {
        self.0.lock().await.stubborn = true;
    }

    /// Ends the pods that are ending; returns how many there were.
    pub async fn reap(&self) -> usize {
        let mut inside = self.0.lock().await;
        let before = inside.objects.len();
        inside.objects.retain(|_, object| object.pointer("/metadata/deletionTimestamp").is_none());
        before - inside.objects.len()
    }

    /// Makes an Alertmanager not answer.
    pub async fn gap(&self, why: &str) {
        self.0.lock().await.gaps.push(why.to_owned());
    }

    /// Makes the server refuse what it is asked to pretend.
    pub async fn unwilling(&self, reason: &str) {
        self.0.lock().await.unwilling = Some(reason.to_owned());
    }

    /// Has a budget keep a pod.
    pub async fn keep(&self, pod: &str, reason: &str) {
        self.0.lock().await.refused.insert(pod.to_owned(), reason.to_owned());
    }

    /// Returns how many changes were rehearsed at the same time at most.
    pub async fn most_rehearsing(&self) -> usize {
        self.0.lock().await.most_rehearsing
    }

    /// Returns the bodies of all writes that arrived.
    pub async fn writes(&self) -> Vec<Value> {
        self.0.lock().await.writes.clone()
    }
}

impl Witness for Cluster {
    async fn look(&self, object: &ObjectRef) -> Result<Option<Value>, String> {
        let mut inside = self.0.lock().await;
        inside.control(object);
        inside.bring(object);
        Ok(inside.objects.get(&key(object)).cloned())
    }

    async fn may(&self, access: &Access) -> Result<Result<(), String>, String> {
        let denied = self.0.lock().await.denied.contains(&access.verb);
        Ok(if denied { Err("no RBAC policy matched".to_owned()) } else { Ok(()) })
    }
}

fn lost() -> SourceError {
    SourceError::Unreachable {
        what: "the Kubernetes API".to_owned(),
        place: "https://127.0.0.1".to_owned(),
        reason: "connection reset".to_owned(),
    }
}

impl Cluster {
    /// Lets argocd-server render something at a revision.
    pub async fn render(&self, revision: &str, manifests: Vec<Value>) {
        self.0.lock().await.rendered.insert(revision.to_owned(), manifests);
    }
}

impl Remote for Cluster {
    async fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        _labels: &str,
        _fields: &str,
    ) -> Result<Vec<Value>, SourceError> {
        let inside = self.0.lock().await;
        let prefix = match namespace {
            Some(namespace) => format!("{resource} {namespace}/"),
            None => format!("{resource} "),
        };
        Ok(inside
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(_, o)| o.clone())
            .collect())
    }

    async fn send(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<Written, SourceError> {
        assert!(permit.covers(object));
        let mut inside = self.0.lock().await;
        let fault = inside.faults.pop_front();
        match &fault {
            Some(Fault::NotSent) => return Err(lost()),
            Some(Fault::Overtaken(patch)) => inside.merge(object, patch),
            Some(Fault::Invalid) => {
                return Err(SourceError::Invalid { what: object.to_string(), reason: "no".to_owned() });
            }
            // The words of a real server, contracts 3.6.
            Some(Fault::Budget) => {
                let reason = "Cannot evict pod as it would violate the pod's disruption budget. (The disruption budget checkout needs 2 healthy pods and has 2 currently)".to_owned();
                return Err(SourceError::Throttled { what: object.to_string(), until: None, reason });
            }
            Some(Fault::AnswerLost | Fault::Fine) | None => {}
        }
        let object = inside.carry_out(object, change)?;
        if matches!(fault, Some(Fault::AnswerLost)) {
            return Err(lost());
        }
        Ok(Written { object, warnings: Vec::new() })
    }

    async fn rehearse(&self, object: &ObjectRef, change: &Change) -> Result<Written, SourceError> {
        let mut inside = self.0.lock().await;
        inside.rehearsing += 1;
        inside.most_rehearsing = inside.most_rehearsing.max(inside.rehearsing);
        drop(inside);
        // Others ask meanwhile.
        tokio::task::yield_now().await;
        let mut inside = self.0.lock().await;
        inside.rehearsing -= 1;
        if let Some(reason) = inside.refused.get(&*object.name).cloned() {
            return Err(SourceError::Throttled { what: object.to_string(), until: None, reason });
        }
        if let Some(reason) = inside.unwilling.clone() {
            return Err(SourceError::Invalid { what: object.to_string(), reason });
        }
        let (objects, version, writes) = (inside.objects.clone(), inside.version, inside.writes.clone());
        let answer = inside.carry_out(object, change);
        (inside.objects, inside.version, inside.writes) = (objects, version, writes);
        Ok(Written { object: answer?, warnings: Vec::new() })
    }

    async fn put_silence(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        _place: &str,
        body: &Value,
    ) -> Result<String, SourceError> {
        assert!(permit.covers(object));
        let mut inside = self.0.lock().await;
        let fault = inside.faults.pop_front();
        if matches!(fault, Some(Fault::NotSent)) {
            return Err(lost());
        }
        inside.writes.push(body.clone());
        let given = body["id"].as_str().unwrap_or_default();
        let id = if given.is_empty() { "s1" } else { given }.to_owned();
        let mut document = body.clone();
        document["id"] = json!(id);
        document["status"] = json!({ "state": "active" });
        document["places"] = json!(["monitoring/alertmanager:9093"]);
        let silence = self::object("signals", "silences", "", &id);
        inside.put(&silence, document);
        let alerts: Vec<String> =
            inside.objects.keys().filter(|key| key.starts_with("alerts.signals ")).cloned().collect();
        for key in alerts {
            inside.version += 1;
            let version = inside.version.to_string();
            if let Some(alert) = inside.objects.get_mut(&key) {
                json_patch::merge(
                    alert,
                    &json!({
                        "metadata": { "resourceVersion": version },
                        "status": { "state": "suppressed", "silencedBy": [id] },
                    }),
                );
            }
        }
        if matches!(fault, Some(Fault::AnswerLost)) {
            return Err(lost());
        }
        Ok(id)
    }

    async fn expire_silence(
        &self,
        permit: &Permit,
        silence: &ObjectRef,
        _place: &str,
    ) -> Result<(), SourceError> {
        assert!(permit.covers(silence));
        let mut inside = self.0.lock().await;
        inside.writes.push(json!({ "expire": &*silence.name }));
        inside.merge(silence, &json!({ "status": { "state": "expired" } }));
        Ok(())
    }

    async fn unanswered(&self) -> Vec<String> {
        self.0.lock().await.gaps.clone()
    }

    async fn manifests(
        &self,
        _application: &ObjectRef,
        _project: &str,
        revisions: &[String],
    ) -> Result<Vec<Value>, SourceError> {
        let inside = self.0.lock().await;
        inside.rendered.get(&revisions.join(", ")).cloned().ok_or_else(|| SourceError::Missing {
            what: "argocd-server".to_owned(),
            reason: "no service with its usual labels was found".to_owned(),
        })
    }

    async fn reveal(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        key: &str,
    ) -> Result<crate::concealed::Concealed, SourceError> {
        assert!(permit.covers(object));
        let inside = self.0.lock().await;
        let value =
            inside.objects.get(&super::cluster::key(object)).and_then(|one| one["values"][key].as_str());
        let missing = || SourceError::Missing { what: key.to_owned(), reason: "no such key".to_owned() };
        Ok(crate::concealed::Concealed::new(value.ok_or_else(missing)?.as_bytes().to_vec()))
    }

    async fn cloud_secret(&self, _region: &str, id: &str) -> Result<CloudSecret, SourceError> {
        let missing = || SourceError::Missing { what: id.to_owned(), reason: "no such secret".to_owned() };
        self.0.lock().await.cloud.get(id).cloned().ok_or_else(missing)
    }

    async fn rotate_secret(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        _region: &str,
        id: &str,
        token: &str,
    ) -> Result<String, SourceError> {
        assert!(permit.covers(object));
        let mut inside = self.0.lock().await;
        let fault = inside.faults.pop_front().unwrap_or(Fault::Fine);
        if matches!(fault, Fault::NotSent) {
            return Err(lost());
        }
        let failing = inside.failing;
        let Some(secret) = inside.cloud.get_mut(id) else { return Err(lost()) };
        if !secret.has(token) {
            if !failing {
                for (_, stages) in &mut secret.versions {
                    let was = stages.iter().any(|stage| stage == CURRENT);
                    *stages = if was { vec![PREVIOUS.to_owned()] } else { Vec::new() };
                }
            }
            let stage = if failing { PENDING } else { CURRENT };
            secret.versions.push((token.to_owned(), vec![stage.to_owned()]));
        }
        if matches!(fault, Fault::AnswerLost) { Err(lost()) } else { Ok(token.to_owned()) }
    }

    async fn move_stage(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        _region: &str,
        id: &str,
        moved: Moved<'_>,
    ) -> Result<(), SourceError> {
        assert!(permit.covers(object));
        let mut inside = self.0.lock().await;
        let Some(secret) = inside.cloud.get_mut(id) else { return Err(lost()) };
        for (version, stages) in &mut secret.versions {
            if version == moved.from {
                stages.retain(|stage| stage != moved.stage);
                if moved.stage == CURRENT {
                    stages.push(PREVIOUS.to_owned());
                }
            }
            if Some(version.as_str()) == moved.to {
                *stages = vec![moved.stage.to_owned()];
            }
        }
        Ok(())
    }

    async fn who(&self) -> Result<String, SourceError> {
        Ok("alice@example".to_owned())
    }
}
