//! From an Application's sources to the manifests it wants, read from git as Argo CD's repo server does.
//!
//! It reads repositories and remembers what it rendered; it knows no live object and no status.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::argo_manifests::NAMESPACE;
use super::estate::{App, Estate, Workload};
use super::gitops::{DEPLOY_URL, Gitops, GitopsError, PLATFORM_URL, directory};
use super::images::{Image, REGISTRY};
use super::manifests::{Values, manifests};
use super::untyped::{list, mark, marked, text};

/// The annotation by which Argo CD knows what it deployed.
pub const TRACKING: &str = "argocd.argoproj.io/tracking-id";
/// The annotation that makes a manifest a hook.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// The annotation that says when a hook object goes.
pub const HOOK_DELETE: &str = "argocd.argoproj.io/hook-delete-policy";
/// The annotation that orders the manifests of a phase.
pub const WAVE: &str = "argocd.argoproj.io/sync-wave";

/// Rendered sets of manifests are kept up to this many, then forgotten together; rendering is cheap.
const KEPT: usize = 512;

/// Why the wanted state of an Application is unknown; the texts follow Argo CD's.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Nobody serves that repository.
    #[error("failed to list refs: repository not found: {0}")]
    NoRepository(String),
    /// The source says neither what to render nor that it only lends its files.
    #[error("{path}: app path does not exist")]
    NoPath {
        /// `path` of the source.
        path: String,
    },
    /// The value files lead to no service that the chart knows.
    #[error("`helm template . --name-template {app}` failed: values of {directory} have no app \"{app}\"")]
    NoService {
        /// Directory of the value files.
        directory: String,
        /// The `app` parameter.
        app: String,
    },
    /// Git or a file in it.
    #[error(transparent)]
    Gitops(#[from] GitopsError),
    /// The revision does not exist.
    #[error(transparent)]
    Git(#[from] super::git::GitError),
}

/// Reads repositories and renders Applications.
#[derive(Debug)]
pub struct Renderer {
    /// The repositories.
    pub gitops: Gitops,
    /// Services by the directory of their values and their name.
    services: BTreeMap<(String, String), App>,
    rendered: HashMap<String, Arc<Vec<Value>>>,
}

impl Renderer {
    /// Serves the repositories of an estate.
    pub fn new(gitops: Gitops, estate: &Estate) -> Self {
        let services =
            estate.apps().map(|(_, app)| ((directory(app), app.name.clone()), app.clone())).collect();
        Self { gitops, services, rendered: HashMap::new() }
    }

    /// Resolves the target revision of each source to a commit; `wanted` overrides them one by one where it is not
    /// empty.
    pub fn resolve(&self, sources: &[Value], wanted: &[String]) -> Result<Vec<String>, RenderError> {
        sources
            .iter()
            .enumerate()
            .map(|(nth, source)| {
                let url = text(source, "/repoURL");
                let repo = self.gitops.repo(url).ok_or_else(|| RenderError::NoRepository(url.to_owned()))?;
                let target = wanted
                    .get(nth)
                    .map(String::as_str)
                    .filter(|revision| !revision.is_empty())
                    .unwrap_or(text(source, "/targetRevision"));
                Ok(repo.resolve(target)?)
            })
            .collect()
    }

    /// Renders the sources of an Application at given commits, with the tracking annotation of `application` (its
    /// tracking name) and everything that names no namespace put into `namespace`.
    pub fn render(
        &mut self,
        application: &str,
        namespace: &str,
        sources: &[Value],
        revisions: &[String],
    ) -> Result<Arc<Vec<Value>>, RenderError> {
        let mut all: Vec<Arc<Vec<Value>>> = Vec::new();
        for (source, revision) in sources.iter().zip(revisions) {
            // A source with `ref` and no path only lends its files to the others.
            if !text(source, "/ref").is_empty() && text(source, "/path").is_empty() {
                continue;
            }
            all.push(self.source(application, namespace, source, revision, sources, revisions)?);
        }
        Ok(match all.as_slice() {
            [one] => Arc::clone(one),
            many => Arc::new(many.iter().flat_map(|list| list.iter().cloned()).collect()),
        })
    }

    fn source(
        &mut self,
        application: &str,
        namespace: &str,
        source: &Value,
        revision: &str,
        sources: &[Value],
        revisions: &[String],
    ) -> Result<Arc<Vec<Value>>, RenderError> {
        let (url, path) = (text(source, "/repoURL"), text(source, "/path"));
        match url {
            PLATFORM_URL => {
                let repo = self.gitops.platform();
                let id = repo
                    .content_id(revision, path)
                    .map_err(|_| RenderError::NoPath { path: path.to_owned() })?;
                self.kept(format!("{application} {namespace} {id}"), |this| {
                    let mut list = this.gitops.directory(revision, path)?;
                    for manifest in &mut list {
                        track(manifest, application, namespace);
                    }
                    Ok(list)
                })
            }
            DEPLOY_URL if path == "base" => {
                let (files, at) = value_files(source, revision, sources, revisions);
                let mut ids = self.gitops.deploy().content_id(revision, "base/values.yaml")?;
                for file in &files {
                    ids.push(' ');
                    ids.push_str(&self.gitops.deploy().content_id(&at, file)?);
                }
                let parameters = parameters(source);
                let key = format!("{application} {namespace} {ids} {parameters:?}");
                self.kept(key, |this| this.service(application, namespace, &files, &at, &parameters))
            }
            DEPLOY_URL => Err(RenderError::NoPath { path: path.to_owned() }),
            _ => Err(RenderError::NoRepository(url.to_owned())),
        }
    }

    fn kept(
        &mut self,
        key: String,
        render: impl FnOnce(&mut Self) -> Result<Vec<Value>, RenderError>,
    ) -> Result<Arc<Vec<Value>>, RenderError> {
        if let Some(known) = self.rendered.get(&key) {
            return Ok(Arc::clone(known));
        }
        let list = Arc::new(render(self)?);
        if self.rendered.len() >= KEPT {
            self.rendered.clear();
        }
        self.rendered.insert(key, Arc::clone(&list));
        Ok(list)
    }

    fn service(
        &mut self,
        application: &str,
        namespace: &str,
        files: &[String],
        revision: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Vec<Value>, RenderError> {
        let name = parameters.get("app").cloned().unwrap_or_default();
        let directory = files
            .first()
            .and_then(|file| file.rsplit_once('/'))
            .map_or_else(String::new, |(directory, _)| directory.to_owned());
        let mut values = self.gitops.values(revision, files, &name)?;
        let key = (directory, name);
        let Some(app) = self.services.get(&key) else {
            return Err(RenderError::NoService { directory: key.0, app: key.1 });
        };
        if let Some(version) = parameters.get("version") {
            values.version.clone_from(version);
        }
        if let Some(replicas) = parameters.get("replicas").and_then(|n| n.parse().ok()) {
            values.replicas = Some(replicas);
        }
        let app = App { namespace: namespace.to_owned(), ..app.clone() };
        Ok(chart(application, &app, &values))
    }
}

/// Returns the sources of an Application specification, history entry or operation: `sources` where there are any,
/// `source` otherwise.
pub fn sources_of(holder: &Value) -> Vec<Value> {
    let many = list(holder, "/sources");
    if many.is_empty() { holder.get("source").cloned().into_iter().collect() } else { many.to_vec() }
}

/// Returns the paths of the value files in the repository and the commit at which they are read.
fn value_files(
    source: &Value,
    revision: &str,
    sources: &[Value],
    revisions: &[String],
) -> (Vec<String>, String) {
    let mut at = revision.to_owned();
    let files = list(source, "/helm/valueFiles")
        .iter()
        .filter_map(Value::as_str)
        .map(|file| match file.strip_prefix('$').and_then(|rest| rest.split_once('/')) {
            Some((name, path)) => {
                let lender = sources.iter().position(|other| text(other, "/ref") == name);
                if let Some(commit) = lender.and_then(|nth| revisions.get(nth)) {
                    at.clone_from(commit);
                }
                path.to_owned()
            }
            None => match file.strip_prefix("../") {
                Some(path) => path.to_owned(),
                None => format!("base/{file}"),
            },
        })
        .collect();
    (files, at)
}

fn parameters(source: &Value) -> BTreeMap<String, String> {
    list(source, "/helm/parameters")
        .iter()
        .map(|parameter| (text(parameter, "/name").to_owned(), text(parameter, "/value").to_owned()))
        .collect()
}

/// Returns what the chart renders for a service, hooks among it, as Argo CD applies it for an Application.
pub fn chart(application: &str, app: &App, values: &Values) -> Vec<Value> {
    let mut all = manifests(app, values);
    for manifest in &mut all {
        // What a workload mounts is there before it rolls.
        if ["ConfigMap", "ServiceAccount", "ExternalSecret"].contains(&text(manifest, "/kind")) {
            mark(manifest, "annotations", WAVE, "-1");
        }
    }
    if app.profile.secret && app.profile.workload == Workload::Deployment {
        all.push(migration(app, values));
    }
    for manifest in &mut all {
        track(manifest, application, &app.namespace);
    }
    all
}

/// Returns what the Application of an app has deployed once it is in sync with a version: the chart without its hooks,
/// with tracking. A seed that creates exactly these (and lets defaults and status be added) starts in sync.
pub fn deployed(app: &App, version: &str) -> Vec<Value> {
    let mut all = chart(&app.full_name(), app, &Values::of(app, version));
    all.retain(|manifest| marked(manifest, "annotations", HOOK).is_empty());
    all
}

/// Returns the image that migrates the database of an app; apart from the app's own, so that each can fail alone.
pub fn migration_image(app: &App, version: &str) -> Image {
    Image::new(&format!("{REGISTRY}/shop/{}-migrations", app.profile.name), version)
}

/// A Job that migrates the database before each sync with hooks.
fn migration(app: &App, values: &Values) -> Value {
    let name = format!("{}-migrate", app.name);
    let labels = json!({
        "app.kubernetes.io/name": name, "app.kubernetes.io/instance": app.name,
        "app.kubernetes.io/part-of": app.tenant, "app.kubernetes.io/version": values.version,
    });
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name, "namespace": app.namespace, "labels": labels,
            "annotations": {HOOK: "PreSync", HOOK_DELETE: "BeforeHookCreation,HookSucceeded"},
        },
        "spec": {
            "backoffLimit": 1,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{
                        "name": "migrate",
                        "image": migration_image(app, &values.version).to_string(),
                        "args": ["up"],
                        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}},
                    }],
                },
            },
        },
    })
}

/// Gives a manifest its namespace where it needs one and its tracking annotation.
fn track(manifest: &mut Value, application: &str, namespace: &str) {
    if text(manifest, "/metadata/namespace").is_empty() && namespaced(manifest) {
        manifest["metadata"]["namespace"] = json!(namespace);
    }
    let id = tracking_id(application, manifest);
    mark(manifest, "annotations", TRACKING, &id);
}

fn namespaced(manifest: &Value) -> bool {
    super::types::Type::by_kind(text(manifest, "/apiVersion"), text(manifest, "/kind"))
        .is_none_or(|kind| kind.info().namespaced)
}

/// Returns the group of an object's `apiVersion`; empty for the core group.
pub fn group(object: &Value) -> &str {
    text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group)
}

/// Returns `<app>:<group>/<kind>:<namespace>/<name>`.
pub fn tracking_id(application: &str, object: &Value) -> String {
    format!(
        "{application}:{}/{}:{}/{}",
        group(object),
        text(object, "/kind"),
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}

/// Returns the name by which an Application tracks: with its namespace where that is not Argo CD's own.
pub fn tracking_name(namespace: &str, name: &str) -> String {
    if namespace == NAMESPACE { name.to_owned() } else { format!("{namespace}_{name}") }
}

#[cfg(test)]
mod tests {
    use super::super::argo_manifests::{application, files, multi_source, waiting};
    use super::super::world::Options;
    use super::*;

    fn served() -> (tempfile::TempDir, Estate, Renderer) {
        let dir = tempfile::tempdir().unwrap();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let estate = Estate::new(&Options { tenants: 8, ..Options::default() }, now);
        let gitops = Gitops::create(dir.path(), &estate, files(&estate)).unwrap();
        let server = Renderer::new(gitops, &estate);
        (dir, estate, server)
    }

    fn render(server: &mut Renderer, manifest: &Value, revision: &str) -> Vec<Value> {
        let sources = sources_of(&manifest["spec"]);
        let wanted = vec![revision.to_owned(); sources.len()];
        let revisions = server.resolve(&sources, &wanted).unwrap();
        let name = text(manifest, "/metadata/name");
        let namespace = text(manifest, "/spec/destination/namespace");
        server.render(name, namespace, &sources, &revisions).unwrap().to_vec()
    }

    #[test]
    fn the_head_renders_what_the_world_is_seeded_with() {
        let (_dir, estate, mut server) = served();
        let mut multi = 0;
        for (tenant, app) in estate.apps().filter(|(_, app)| !waiting(app)) {
            let mut rendered = render(&mut server, &application(app, tenant.team), "");
            rendered.retain(|manifest| marked(manifest, "annotations", HOOK).is_empty());
            assert_eq!(rendered, deployed(app, app.version()), "{}", app.full_name());
            multi += usize::from(multi_source(app));
        }
        assert!(multi > 0, "several sources are covered");
    }

    #[test]
    fn an_older_commit_renders_the_older_version() {
        let (_dir, estate, mut server) = served();
        let (tenant, app) = estate.apps().next().unwrap();
        let commits = server.gitops.releases(&app.full_name()).to_vec();
        let rendered = render(&mut server, &application(app, tenant.team), &commits[0]);
        let deployment = rendered.iter().find(|manifest| manifest["kind"] == "Deployment").unwrap();
        let image = text(deployment, "/spec/template/spec/containers/0/image");
        assert_eq!(image, app.image(&app.releases[0].version).to_string());
        assert_eq!(
            marked(deployment, "annotations", TRACKING),
            "tenant-1-checkout:apps/Deployment:tenant-1/checkout"
        );
    }

    #[test]
    fn what_is_not_in_git_is_an_error() {
        let (_dir, estate, mut server) = served();
        let (tenant, app) = estate.apps().next().unwrap();
        let good = application(app, tenant.team)["spec"]["source"].clone();
        let mut ask = |pointer: &str, value: &str| {
            let mut source = good.clone();
            *source.pointer_mut(pointer).unwrap() = json!(value);
            let sources = [source];
            let error = server
                .resolve(&sources, &[])
                .and_then(|revisions| server.render("a", "tenant-1", &sources, &revisions))
                .unwrap_err();
            error.to_string()
        };
        assert_eq!(ask("/targetRevision", "nope"), "unable to resolve 'nope' to a commit SHA");
        assert_eq!(ask("/path", "charts/none"), "charts/none: app path does not exist");
        assert!(ask("/repoURL", "https://example.com/x.git").contains("repository not found"));
        assert!(ask("/helm/parameters/0/value", "ghost").contains("apps.ghost.version is required"));
    }
}
