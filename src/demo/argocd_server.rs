//! The API of argocd-server, as far as a console reads it: version, Applications, tree, differences, manifests, commits.
//!
//! It reads what the controllers wrote and what git wants; nothing here changes anything. As on a platform whose
//! `argocd-cm` lets anonymous users read, no session is needed: the service proxy takes credentials off anyway.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};

use super::argo_compare::{key_of, tracking};
use super::argo_diff::{apply, ignore};
use super::argo_health;
use super::argo_manifests::NAMESPACE;
use super::argo_render::{HOOK, Renderer, group, sources_of};
use super::objects::{Key, Object};
use super::owner::Owner;
use super::platform::Handle;
use super::proxy::{Answer, Backend, Request};
use super::request::{Query, decode};
use super::server::{self, Response};
use super::types::Type;
use super::untyped::{list, marked, put, slot, text};
use super::world::World;

/// The version that it says it is; that of its image.
const VERSION: &str = "v3.5.1";
/// How deep owners are followed: Deployment, ReplicaSet, Pod, and room for operators between them.
const DEEPEST: usize = 6;

/// gRPC codes, as the errors carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    NotFound,
    Denied,
    Internal,
    Unimplemented,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal(Code, String);

impl Refusal {
    fn response(&self) -> Response {
        let (status, code) = match self.0 {
            Code::NotFound => (404, 5),
            Code::Denied => (403, 7),
            Code::Unimplemented => (501, 12),
            Code::Internal => (500, 13),
        };
        server::json(status, &json!({"error": self.1, "message": self.1, "code": code}))
    }
}

/// Serves the API.
pub struct Front {
    handle: Handle,
    /// Reads git by itself, so that a large chart keeps nobody else waiting.
    renderer: Owner<Renderer>,
}

/// An Application with the live objects of its resources.
struct Picture {
    application: Value,
    /// Entries of `status.resources` with what is live of them.
    resources: Vec<(Value, Option<Value>)>,
}

impl Front {
    /// Serves a world; the renderer reads the same repositories as the world's own.
    pub fn new(handle: Handle, renderer: Renderer) -> Self {
        Self { handle, renderer: Owner::start(renderer) }
    }

    async fn look<T: Send + 'static>(
        &self,
        run: impl FnOnce(&World) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let looked = self.handle.call(move |world, _| run(world)).await;
        looked.map_err(|status| Refusal(Code::Internal, status.message))
    }

    async fn route(&self, request: &Request) -> Result<Response, Refusal> {
        let path: Vec<String> =
            request.path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let query = Query::new(&request.query);
        if request.method != Method::GET {
            let why = "this argocd-server is for reading; write the Application instead";
            return Err(Refusal(Code::Unimplemented, why.to_owned()));
        }
        let value = match path.as_slice() {
            ["healthz"] => return Ok(server::text(200, "ok")),
            ["api", "version"] => json!({"Version": format!("{VERSION}+demo")}),
            ["api", "v1", "session", "userinfo"] => json!({"loggedIn": false}),
            ["api", "v1", "applications"] => self.applications(&query).await?,
            ["api", "v1", "applications", name] => self.application(name, &query).await?,
            ["api", "v1", "applications", name, "resource-tree"] => self.tree(name, &query).await?,
            ["api", "v1", "applications", name, "managed-resources"] => self.managed(name, &query).await?,
            ["api", "v1", "applications", name, "manifests"] => self.manifests(name, &query).await?,
            ["api", "v1", "applications", name, "revisions", revision, "metadata"] => {
                self.commit(name, &query, revision).await?
            }
            _ => return Ok(server::json(404, &json!({"code": 5, "message": "Not Found", "details": []}))),
        };
        Ok(server::json(200, &value))
    }

    async fn applications(&self, query: &Query) -> Result<Value, Refusal> {
        let space = query.get("appNamespace").to_owned();
        let projects: Vec<String> =
            query.all("projects").chain(query.all("project")).map(str::to_owned).collect();
        let found = self.look(move |world| {
            let space = if space.is_empty() { None } else { Some(space.as_str()) };
            let all = world.objects.list(Type::Application, space).map(|object| object.value());
            let asked = |app: &Value| {
                projects.is_empty() || projects.iter().any(|project| project == text(app, "/spec/project"))
            };
            let items: Vec<Value> = all.filter(asked).collect();
            json!({"metadata": {"resourceVersion": world.objects.revision().to_string()}, "items": items})
        });
        found.await
    }

    async fn application(&self, name: &str, query: &Query) -> Result<Value, Refusal> {
        Ok(self.picture(name, query).await?.application)
    }

    /// Looks an Application up; without its project nobody learns whether it exists (contracts 1.11).
    async fn picture(&self, name: &str, query: &Query) -> Result<Picture, Refusal> {
        let space = match query.get("appNamespace") {
            "" => NAMESPACE.to_owned(),
            space => space.to_owned(),
        };
        let project = query.all("project").chain(query.all("projects")).next().map(str::to_owned);
        let key = Key::new(Type::Application, &space, name);
        let found = self.look(move |world| {
            let application = world.objects.get_value(&key)?;
            let resources = list(&application, "/status/resources").to_vec();
            let live = |entry: &Value| world.objects.get_value(&key_of(&as_manifest(entry))?);
            let resources =
                resources.into_iter().map(|entry| (live(&entry), entry)).map(|(live, entry)| (entry, live));
            Some(Picture { resources: resources.collect(), application })
        });
        let found = found.await?;
        let found = found.filter(|picture| {
            project.as_deref().is_none_or(|project| project == text(&picture.application, "/spec/project"))
        });
        found.ok_or_else(|| match &project {
            Some(_) => {
                let why = format!("applications.argoproj.io \"{name}\" not found");
                Refusal(Code::NotFound, why)
            }
            None => Refusal(Code::Denied, "permission denied".to_owned()),
        })
    }

    async fn tree(&self, name: &str, query: &Query) -> Result<Value, Refusal> {
        let picture = self.picture(name, query).await?;
        let roots: Vec<Key> =
            picture.resources.iter().filter_map(|(entry, _)| key_of(&as_manifest(entry))).collect();
        let nodes = self.look(move |world| {
            let mut nodes = Vec::new();
            for key in &roots {
                if let Some(object) = world.objects.get(key) {
                    branch(world, object, None, 0, &mut nodes);
                }
            }
            nodes
        });
        let mut nodes = nodes.await?;
        // What is wanted and not there has its place in the tree, too.
        for (entry, live) in &picture.resources {
            if live.is_none() {
                nodes.push(json!({
                    "group": text(entry, "/group"), "version": text(entry, "/version"), "kind": text(entry, "/kind"),
                    "namespace": text(entry, "/namespace"), "name": text(entry, "/name"),
                    "health": {"status": "Missing"},
                }));
            }
        }
        Ok(json!({"nodes": nodes, "orphanedNodes": [], "hosts": []}))
    }

    /// Renders what git wants at the commits that were compared last, or at others.
    async fn wanted(
        &self,
        application: &Value,
        asked: &[(usize, String)],
    ) -> Result<(Vec<Value>, Vec<String>), Refusal> {
        let sources = sources_of(&application["spec"]);
        let (name, space) =
            (tracking(application), text(application, "/spec/destination/namespace").to_owned());
        let many = list(application, "/status/sync/revisions");
        let mut compared: Vec<String> = if many.is_empty() {
            vec![text(application, "/status/sync/revision").to_owned()]
        } else {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        compared.resize(sources.len(), String::new());
        for (position, revision) in asked {
            let place = position.checked_sub(1).and_then(|at| compared.get_mut(at));
            let place = place.ok_or_else(|| {
                Refusal(Code::Internal, format!("source position is out of range: {position}"))
            })?;
            place.clone_from(revision);
        }
        let rendered = self.renderer.call(move |renderer| {
            let revisions = renderer.resolve(&sources, &compared)?;
            let manifests = renderer.render(&name, &space, &sources, &revisions)?;
            Ok((manifests.as_ref().clone(), revisions))
        });
        let rendered: Result<_, super::argo_render::RenderError> =
            rendered.await.map_err(|error| Refusal(Code::Internal, error.to_string()))?;
        rendered.map_err(|error| Refusal(Code::Internal, format!("Failed to load target state: {error}")))
    }

    async fn managed(&self, name: &str, query: &Query) -> Result<Value, Refusal> {
        let Picture { application, resources } = self.picture(name, query).await?;
        let (wanted, _) = self.wanted(&application, &[]).await?;
        let rules = list(&application, "/spec/ignoreDifferences");
        let asked = |entry: &Value| {
            ["group", "version", "kind", "namespace"].iter().all(|field| {
                let asked = query.get(field);
                asked.is_empty() || asked == text(entry, &format!("/{field}"))
            }) && (query.get("name").is_empty() || query.get("name") == text(entry, "/name"))
        };
        let mut items = Vec::new();
        for (entry, live) in resources.iter().filter(|(entry, _)| asked(entry)) {
            let key = key_of(&as_manifest(entry));
            let target = wanted
                .iter()
                .find(|manifest| marked(manifest, "annotations", HOOK).is_empty() && key_of(manifest) == key);
            let mut target = target.cloned();
            let mut live = live.clone();
            if let (Some(target), Some(live)) = (&mut target, &live) {
                ignore(rules, live, target);
            }
            for object in target.iter_mut().chain(&mut live) {
                mask(object);
            }
            let normalized = live.clone();
            let predicted = match (&target, &live) {
                (Some(target), Some(live)) => {
                    let mut predicted = live.clone();
                    apply(target, None, &mut predicted);
                    Some(predicted)
                }
                (target, _) => target.clone(),
            };
            // JSON in text, as the original has it; what is absent is the text `null`.
            let state = |value: &Option<Value>| value.as_ref().map_or("null".to_owned(), Value::to_string);
            items.push(json!({
                "group": text(entry, "/group"), "kind": text(entry, "/kind"), "namespace": text(entry, "/namespace"),
                "name": text(entry, "/name"), "targetState": state(&target), "liveState": state(&live),
                "normalizedLiveState": state(&normalized), "predictedLiveState": state(&predicted),
                "modified": normalized != predicted,
                "resourceVersion": live.as_ref().map_or("", |live| text(live, "/metadata/resourceVersion")),
            }));
        }
        Ok(json!({"items": items}))
    }

    async fn manifests(&self, name: &str, query: &Query) -> Result<Value, Refusal> {
        let application = self.picture(name, query).await?.application;
        let (mut wanted, revisions) = self.wanted(&application, &asked_revisions(query)).await?;
        wanted.iter_mut().for_each(mask);
        let manifests: Vec<String> = wanted.iter().map(Value::to_string).collect();
        Ok(json!({
            "manifests": manifests, "namespace": text(&application, "/spec/destination/namespace"),
            "server": text(&application, "/spec/destination/server"),
            "revision": revisions.first().cloned().unwrap_or_default(),
            "sourceType": text(&application, "/status/sourceType"),
        }))
    }

    async fn commit(&self, name: &str, query: &Query, revision: &str) -> Result<Value, Refusal> {
        let application = self.picture(name, query).await?.application;
        let sources = sources_of(&application["spec"]);
        let index = query.get("sourceIndex").parse::<usize>().unwrap_or(0);
        let url = sources.get(index).map(|source| text(source, "/repoURL").to_owned()).unwrap_or_default();
        let asked = revision.to_owned();
        let found = self
            .renderer
            .call(move |renderer| renderer.gitops.repo(&url).and_then(|repo| repo.revision(&asked).ok()));
        let found = found.await.map_err(|error| Refusal(Code::Internal, error.to_string()))?;
        let found = found.ok_or_else(|| {
            Refusal(Code::Internal, format!("Unable to resolve '{revision}' to a commit SHA"))
        })?;
        Ok(json!({
            "author": found.author, "date": found.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "message": found.message,
        }))
    }
}

impl Backend for Front {
    fn answer(&self, request: Request) -> Answer<'_> {
        Box::pin(async move { self.route(&request).await.unwrap_or_else(|refusal| refusal.response()) })
    }
}

/// Reads which sources, counted from 1, are asked for at which revisions (contracts 1.11).
fn asked_revisions(query: &Query) -> Vec<(usize, String)> {
    let one = query.get("revision");
    if !one.is_empty() {
        return vec![(1, one.to_owned())];
    }
    let positions = query.all("sourcePositions").map(|position| position.parse().unwrap_or(0));
    positions.zip(query.all("revisions").map(str::to_owned)).collect()
}

/// Writes an entry of `status.resources` as the head of a manifest.
fn as_manifest(entry: &Value) -> Value {
    let (group, version) = (text(entry, "/group"), text(entry, "/version"));
    let api = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({
        "apiVersion": api, "kind": text(entry, "/kind"),
        "metadata": {"name": text(entry, "/name"), "namespace": text(entry, "/namespace")},
    })
}

/// Covers the values of a Secret and drops what is of no use to a reader. All values are covered alike, so that their
/// length tells nothing.
fn mask(object: &mut Value) {
    if let Some(metadata) = slot(object, &["metadata"]).as_object_mut() {
        metadata.remove("managedFields");
    }
    if text(object, "/kind") != "Secret" {
        return;
    }
    for field in ["data", "stringData"] {
        let names: Vec<String> =
            object[field].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        for name in names {
            put(object, &[field, &name], "++++++++");
        }
    }
}

/// Adds an object and what it owns.
fn branch(world: &World, object: &Arc<Object>, parent: Option<&Value>, depth: usize, nodes: &mut Vec<Value>) {
    let value = object.value();
    let (api, kind) = (text(&value, "/apiVersion"), text(&value, "/kind"));
    let version = api.rsplit('/').next().unwrap_or(api);
    let mut node = json!({
        "group": group(&value), "version": version, "kind": kind, "namespace": &*object.key.namespace,
        "name": &*object.key.name, "uid": &*object.uid, "resourceVersion": text(&value, "/metadata/resourceVersion"),
        "createdAt": text(&value, "/metadata/creationTimestamp"),
    });
    if let Some(parent) = parent {
        let reference: serde_json::Map<String, Value> = ["group", "kind", "namespace", "name", "uid"]
            .iter()
            .map(|field| ((*field).to_owned(), parent[*field].clone()))
            .collect();
        node["parentRefs"] = json!([reference]);
    }
    if let Some((health, message)) = argo_health::of(&value) {
        node["health"] = json!({"status": health.as_str()});
        if !message.is_empty() {
            node["health"]["message"] = json!(message);
        }
    }
    let pod = if kind == "Pod" { "/spec/containers" } else { "/spec/template/spec/containers" };
    let images: Vec<&str> = list(&value, pod).iter().map(|container| text(container, "/image")).collect();
    if !images.is_empty() {
        node["images"] = json!(images);
    }
    if kind == "Pod" {
        let statuses = list(&value, "/status/containerStatuses");
        let ready = statuses.iter().filter(|status| status["ready"] == true).count();
        let waiting =
            statuses.iter().map(|status| text(status, "/state/waiting/reason")).find(|why| !why.is_empty());
        let reason = waiting.unwrap_or_else(|| text(&value, "/status/phase"));
        node["info"] = json!([
            {"name": "Status Reason", "value": reason},
            {"name": "Node", "value": text(&value, "/spec/nodeName")},
            {"name": "Containers", "value": format!("{ready}/{}", list(&value, "/spec/containers").len())},
        ]);
    }
    if depth < DEEPEST {
        for owned in world.objects.owned_by(&object.uid) {
            branch(world, owned, Some(&node), depth + 1, nodes);
        }
    }
    nodes.push(node);
}
