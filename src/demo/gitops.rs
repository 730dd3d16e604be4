//! The GitOps repositories of the embedded platform and what is in them.
//!
//! `deploy` holds what the services of the tenants run: a base with the defaults of all, one directory a tenant and
//! environment with its values, and beside it the version file that CI writes. `platform` holds what Argo CD runs:
//! projects, Applications and the ApplicationSet. Both are real repositories; what Argo CD deploys is read from them.
//! This module writes files and reads them back; it knows no live object.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::argo_manifests::waiting;
use super::estate::{App, Environment, Estate};
use super::git::{Commit, GitError, Repo};
use super::manifests::Values;

/// How Applications spell the repository of the tenants' services.
pub const DEPLOY_URL: &str = "https://git.example.com/shop/deploy.git";
/// How Applications spell the repository of the platform.
pub const PLATFORM_URL: &str = "https://git.example.com/shop/platform.git";
/// The chart that the base depends on; the renderer is its native form.
const CHART: &str = "apiVersion: v2\nname: base\ndescription: What every service of every tenant starts from.\ntype: application\nversion: 1.0.0\ndependencies:\n  - name: service\n    version: 2.3.1\n    repository: oci://registry.example.com/charts\n";
/// Above this many applications, releases are committed together: a train for all instead of one commit each.
const MANY: usize = 300;

/// Why desired state cannot be read from git.
#[derive(Debug, thiserror::Error)]
pub enum GitopsError {
    /// The repository or the file is not there.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file is not what it should be.
    #[error("failed to parse {path} at {revision}: {problem}")]
    File {
        /// Path in the repository.
        path: String,
        /// The commit.
        revision: String,
        /// What the parser says.
        problem: String,
    },
    /// An application has no version at that commit.
    #[error(
        "execution error at (base/charts/service/templates/deployment.yaml:1:4): apps.{app}.version is required"
    )]
    NoVersion {
        /// Name of the application.
        app: String,
    },
}

/// What one values file says of one application; files are merged, the later one wins.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    version: Option<String>,
    replicas: Option<u32>,
    config: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ValuesFile {
    defaults: Part,
    apps: BTreeMap<String, Part>,
}

/// Parsed files are kept up to this many, then forgotten together; reading one again costs little.
const KEPT_FILES: usize = 1024;

/// Both repositories, and where the history of each application stands in them.
#[derive(Debug)]
pub struct Gitops {
    deploy: Repo,
    platform: Repo,
    /// For every application by its full name, the commit of each of its releases.
    releases: HashMap<String, Vec<String>>,
    files: HashMap<String, Arc<ValuesFile>>,
}

/// A file of the platform repository: path and contents.
pub type File = (String, String);

impl Gitops {
    /// Makes both repositories below `dir` with the history of the estate; `platform` holds the files of the other one.
    pub fn create(dir: &Path, estate: &Estate, platform: Vec<File>) -> Result<Self, GitopsError> {
        let mut deploy = Repo::create(&dir.join("deploy.git"))?;
        let (commits, marks) = history(estate);
        let ids = deploy.add_history(&commits)?;
        let releases = marks
            .into_iter()
            .map(|(app, at)| (app, at.into_iter().filter_map(|at| ids.get(at).cloned()).collect()))
            .collect();
        let begun = commits.first().map_or(Timestamp::UNIX_EPOCH, |first| first.at);
        let mut repo = Repo::create(&dir.join("platform.git"))?;
        let readme = "# platform\n\nWhat Argo CD runs on prod-eu-1: projects, applications, the applicationset of the tenants.\n";
        repo.add_history(&[
            Commit {
                author: "maria.lopez".to_owned(),
                at: begun,
                message: "start the platform repository".to_owned(),
                files: vec![("README.md".to_owned(), Some(readme.to_owned()))],
            },
            Commit {
                author: "jonas.weber".to_owned(),
                at: later(begun, 3600),
                message: "describe projects and applications of the tenants".to_owned(),
                files: platform.into_iter().map(|(path, text)| (path, Some(text))).collect(),
            },
        ])?;
        Ok(Self { deploy, platform: repo, releases, files: HashMap::new() })
    }

    /// Opens repositories that [`Gitops::create`] has made, beside whoever else uses them: a push from outside.
    pub fn open(dir: &Path) -> Result<Self, GitopsError> {
        let deploy = Repo::open(&dir.join("deploy.git"))?;
        let platform = Repo::open(&dir.join("platform.git"))?;
        Ok(Self { deploy, platform, releases: HashMap::new(), files: HashMap::new() })
    }

    /// Returns the repository that a URL names; `None` where it is neither of the two.
    pub fn repo(&self, url: &str) -> Option<&Repo> {
        match url {
            DEPLOY_URL => Some(&self.deploy),
            PLATFORM_URL => Some(&self.platform),
            _ => None,
        }
    }

    /// Returns the repository of the tenants' services.
    pub fn deploy(&self) -> &Repo {
        &self.deploy
    }

    /// Returns the repository of the platform.
    pub fn platform(&self) -> &Repo {
        &self.platform
    }

    /// Returns the commits of the releases of an application that the history was seeded with, oldest first.
    pub fn releases(&self, full_name: &str) -> &[String] {
        self.releases.get(full_name).map_or(&[], Vec::as_slice)
    }

    /// Reads what the values files say about an application at a commit: base, then each file in turn.
    pub fn values(&mut self, revision: &str, paths: &[String], app: &str) -> Result<Values, GitopsError> {
        let mut merged = self.file(revision, "base/values.yaml")?.defaults.clone();
        for path in paths {
            let file = self.file(revision, path)?;
            let Some(part) = file.apps.get(app) else { continue };
            merged.version = part.version.clone().or(merged.version);
            merged.replicas = part.replicas.or(merged.replicas);
            merged.config.extend(part.config.clone());
        }
        match merged.version {
            Some(version) => Ok(Values { version, replicas: merged.replicas, config: merged.config }),
            None => Err(GitopsError::NoVersion { app: app.to_owned() }),
        }
    }

    fn file(&mut self, revision: &str, path: &str) -> Result<Arc<ValuesFile>, GitopsError> {
        let id = self.deploy.content_id(revision, path)?;
        if let Some(file) = self.files.get(&id) {
            return Ok(Arc::clone(file));
        }
        let text = self.deploy.read(revision, path)?;
        let file: ValuesFile = serde_saphyr::from_str(&text).map_err(|error| GitopsError::File {
            path: path.to_owned(),
            revision: revision.to_owned(),
            problem: error.to_string(),
        })?;
        let file = Arc::new(file);
        if self.files.len() >= KEPT_FILES {
            self.files.clear();
        }
        self.files.insert(id, Arc::clone(&file));
        Ok(file)
    }

    /// Reads the manifests in a directory of the platform repository, in the order of their file names.
    pub fn directory(&self, revision: &str, path: &str) -> Result<Vec<Value>, GitopsError> {
        let mut manifests = Vec::new();
        for name in self.platform.names(revision, path)? {
            if !has_yaml_name(&name) {
                continue;
            }
            let path = format!("{path}/{name}");
            let text = self.platform.read(revision, &path)?;
            manifests.push(serde_saphyr::from_str(&text).map_err(|error| GitopsError::File {
                path,
                revision: revision.to_owned(),
                problem: error.to_string(),
            })?);
        }
        Ok(manifests)
    }

    /// Commits a sync window to the manifest of a project and returns the commit's id.
    pub fn commit_window(
        &mut self,
        project: &str,
        window: Value,
        author: &str,
        at: Timestamp,
    ) -> Result<String, GitopsError> {
        let head = self.platform.head()?;
        let path = format!("bootstrap/project-{project}.yaml");
        let text = self.platform.read(&head, &path)?;
        let wrong =
            |problem: String| GitopsError::File { path: path.clone(), revision: head.clone(), problem };
        let mut manifest: Value = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let message = format!("{project}: sync window {}", super::untyped::text(&window, "/description"));
        match manifest["spec"]["syncWindows"].as_array_mut() {
            Some(windows) => windows.push(window),
            None => manifest["spec"]["syncWindows"] = Value::Array(vec![window]),
        }
        let text = serde_saphyr::to_string(&manifest).map_err(|error| wrong(error.to_string()))?;
        let files = vec![(path.clone(), Some(text))];
        Ok(self.platform.commit(&Commit { author: author.to_owned(), at, message, files })?)
    }

    /// Returns the newest commit of each repository: of the services, of the platform.
    pub fn heads(&self) -> Result<[String; 2], GitopsError> {
        Ok([self.deploy.head()?, self.platform.head()?])
    }

    /// Returns the files that differ between two commits of a repository.
    pub fn changed(&self, url: &str, was: &str, is: &str) -> Result<Vec<String>, GitopsError> {
        let repo = if url == PLATFORM_URL { &self.platform } else { &self.deploy };
        Ok(repo.changed(was, is)?)
    }

    /// Commits a value for an application, and for others of its file, as a person does, and returns what the files
    /// say of it then.
    pub fn commit_setting(
        &mut self,
        app: &App,
        also: &[String],
        (key, value): (&str, &str),
        (message, author): (&str, &str),
        at: Timestamp,
    ) -> Result<Values, GitopsError> {
        let path = format!("{}/values.yaml", directory(app));
        let head = self.deploy.head()?;
        let mut text = String::new();
        for line in self.deploy.read(&head, &path)?.lines() {
            let name = line.trim().trim_end_matches("{}").trim_end();
            let name = name.strip_suffix(':').filter(|_| line.starts_with("  ") && !line.starts_with("   "));
            if name.is_some_and(|name| name == app.name || also.iter().any(|other| other == name)) {
                let _ =
                    write!(text, "  {}:\n    config:\n      {key}: \"{value}\"\n", name.unwrap_or_default());
            } else {
                let _ = writeln!(text, "{line}");
            }
        }
        self.deploy.commit(&Commit {
            author: author.to_owned(),
            at,
            message: message.to_owned(),
            files: vec![(path.clone(), Some(text))],
        })?;
        self.values("main", &[path, version_path(app)], &app.name)
    }

    /// Commits a new version of an application, as CI does after a build, and returns the commit's id.
    pub fn commit_version(
        &mut self,
        app: &App,
        version: &str,
        author: &str,
        at: Timestamp,
    ) -> Result<String, GitopsError> {
        let path = version_path(app);
        let head = self.deploy.head()?;
        let file = self.file(&head, &path)?;
        let mut versions: BTreeMap<String, String> =
            file.apps.iter().filter_map(|(name, part)| Some((name.clone(), part.version.clone()?))).collect();
        let before = versions.insert(app.name.clone(), version.to_owned()).unwrap_or_default();
        let message = format!(
            "{} {}: {before} -> {version}\n\nPromoted by the pipeline of {}.",
            directory(app),
            app.name,
            app.profile.name
        );
        Ok(self.deploy.commit(&Commit {
            author: author.to_owned(),
            at,
            message,
            files: vec![(path, Some(version_file(&versions)))],
        })?)
    }
}

fn has_yaml_name(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Returns the directory of a tenant's environment, such as `envs/prod/tenant-2`.
pub fn directory(app: &App) -> String {
    format!("envs/{}/{}", app.environment.as_str(), app.tenant)
}

/// Returns the path of the version file of an application's tenant and environment.
pub fn version_path(app: &App) -> String {
    format!("{}/version.yaml", directory(app))
}

fn version_file(versions: &BTreeMap<String, String>) -> String {
    let mut text = "# Written by CI after each build; edits by hand are overwritten.\napps:\n".to_owned();
    for (name, version) in versions {
        let features: Vec<&str> = version.split('.').take(2).collect();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "  {name}:\n    version: \"{version}\"\n    config:\n      FEATURE_SET: \"{}\"\n",
            features.join(".")
        );
    }
    text
}

fn values_file(tenant: &str, team: &str, environment: Environment, apps: &[App]) -> String {
    let mut text = format!("# {tenant}, {}. Ask team {team} for a review.\napps:\n", environment.as_str());
    for app in apps {
        let values = Values::of(app, app.version());
        let _ = match values.replicas {
            Some(replicas) => write!(text, "  {}:\n    replicas: {replicas}\n", app.name),
            None => write!(text, "  # An autoscaler sets the replicas of {0}.\n  {0}: {{}}\n", app.name),
        };
    }
    text
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}

/// Returns the version after one, such as `1.7.5` after `1.7.4`.
fn next_patch(version: &str) -> String {
    match version.rsplit_once('.').and_then(|(head, patch)| Some((head, patch.parse::<u32>().ok()?))) {
        Some((head, patch)) => format!("{head}.{}", patch + 1),
        None => format!("{version}.1"),
    }
}

/// How long before a release went live its commit was made: CI pushes, Argo CD notices within its interval.
const NOTICED_AFTER: i64 = 95;

type Marks = HashMap<String, Vec<usize>>;

/// Returns the commits of the deploy repository and, for each application, which of them released it.
fn history(estate: &Estate) -> (Vec<Commit>, Marks) {
    let mut releases: Vec<(Timestamp, &App, usize)> = estate
        .apps()
        .flat_map(|(_, app)| {
            // What waits for a person is one more release, committed half an hour after the last one went live.
            let next = app.releases.last().filter(|_| waiting(app)).map(|last| later(last.at, 1800));
            let dates = app.releases.iter().map(|release| release.at).chain(next);
            dates.enumerate().map(move |(nth, at)| (at, app, nth))
        })
        .collect();
    releases.sort_by_key(|(at, app, nth)| (*at, app.full_name(), *nth));
    let begun = releases.first().map_or(Timestamp::UNIX_EPOCH, |(at, ..)| later(*at, -86_400));
    let trains = estate.apps().count() > MANY;

    let mut versions: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut marks = Marks::new();
    let mut files = vec![
        ("README.md".to_owned(), Some("# deploy\n\nWhat runs where. `base` is what all services share, `envs/<environment>/<tenant>/values.yaml` what a tenant sets,\n`version.yaml` beside it what CI released. Argo CD deploys `main`.\n".to_owned())),
        ("base/Chart.yaml".to_owned(), Some(CHART.to_owned())),
        ("base/values.yaml".to_owned(), Some("# Defaults of every service.\ndefaults:\n  config:\n    LOG_LEVEL: \"info\"\n    REQUEST_TIMEOUT: \"3s\"\n".to_owned())),
    ];
    for tenant in &estate.tenants {
        for stage in &tenant.stages {
            let Some(first) = stage.apps.first() else { continue };
            let path = format!("{}/values.yaml", directory(first));
            files.push((path, Some(values_file(&tenant.name, tenant.team, stage.environment, &stage.apps))));
        }
    }
    // The first release of each application comes with the first commit; with trains, only the last one follows.
    for (_, app) in estate.apps() {
        let nth = if trains { app.releases.len().saturating_sub(2) } else { 0 };
        if let Some(release) = app.releases.get(nth) {
            versions.entry(version_path(app)).or_default().insert(app.name.clone(), release.version.clone());
        }
        marks.insert(app.full_name(), vec![0; nth + 1]);
    }
    files.extend(versions.iter().map(|(path, versions)| (path.clone(), Some(version_file(versions)))));
    let mut commits = vec![Commit {
        author: "maria.lopez".to_owned(),
        at: begun,
        message: "deploy every tenant from one base".to_owned(),
        files,
    }];
    if trains {
        let mut train = Commit {
            author: "ci-bot".to_owned(),
            at: begun,
            message: "release train: newest version of every service".to_owned(),
            files: Vec::new(),
        };
        for (_, app) in estate.apps().filter(|(_, app)| app.releases.len() > 1) {
            versions.entry(version_path(app)).or_default().insert(app.name.clone(), app.version().to_owned());
            marks.entry(app.full_name()).or_default().push(1);
        }
        train.files =
            versions.iter().map(|(path, versions)| (path.clone(), Some(version_file(versions)))).collect();
        train.at = later(begun, 43_200);
        commits.push(train);
        return (commits, marks);
    }
    for (at, app, nth) in releases.into_iter().filter(|(_, _, nth)| *nth > 0) {
        let path = version_path(app);
        let (version, author, why) = match app.releases.get(nth) {
            Some(release) => {
                marks.entry(app.full_name()).or_default().push(commits.len());
                (release.version.clone(), release.author, release.message.as_str())
            }
            None => (next_patch(app.version()), "ci-bot", "wait for a person to deploy it"),
        };
        let of_tenant = versions.entry(path.clone()).or_default();
        let before = of_tenant.insert(app.name.clone(), version.clone()).unwrap_or_default();
        commits.push(Commit {
            author: author.to_owned(),
            at: later(at, -NOTICED_AFTER),
            message: format!("{} {}: {before} -> {version}\n\n{why}", directory(app), app.name),
            files: vec![(path, Some(version_file(of_tenant)))],
        });
    }
    (commits, marks)
}

#[cfg(test)]
mod tests {
    use super::super::world::Options;
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn estate(tenants: usize) -> Estate {
        Estate::new(&Options { tenants, ..Options::default() }, now())
    }

    fn paths(app: &App) -> Vec<String> {
        vec![format!("{}/values.yaml", directory(app)), version_path(app)]
    }

    #[test]
    fn the_branch_holds_the_values_that_the_world_is_seeded_with() {
        for tenants in [4, 80] {
            let dir = tempfile::tempdir().unwrap();
            let estate = estate(tenants);
            let mut gitops = Gitops::create(dir.path(), &estate, Vec::new()).unwrap();
            for (_, app) in estate.apps().filter(|(_, app)| !waiting(app)) {
                let values = gitops.values("main", &paths(app), &app.name).unwrap();
                assert_eq!(values, Values::of(app, app.version()), "{}", app.full_name());
            }
        }
    }

    #[test]
    fn the_commit_of_each_release_holds_its_version_and_is_older_than_the_deployment() {
        let dir = tempfile::tempdir().unwrap();
        let estate = estate(4);
        let mut gitops = Gitops::create(dir.path(), &estate, Vec::new()).unwrap();
        for (_, app) in estate.apps() {
            let commits = gitops.releases(&app.full_name()).to_vec();
            assert_eq!(commits.len(), app.releases.len());
            for (commit, release) in commits.iter().zip(&app.releases) {
                assert_eq!(gitops.values(commit, &paths(app), &app.name).unwrap().version, release.version);
                assert!(gitops.deploy().revision(commit).unwrap().at < release.at);
            }
        }
    }

    #[test]
    fn a_version_commit_changes_one_application_only() {
        let dir = tempfile::tempdir().unwrap();
        let estate = estate(2);
        let mut gitops = Gitops::create(dir.path(), &estate, Vec::new()).unwrap();
        let before = gitops.deploy().head().unwrap();
        let apps: Vec<&App> = estate.apps().map(|(_, app)| app).collect();
        let commit = gitops.commit_version(apps[0], "9.8.7", "ci-bot", now()).unwrap();
        assert_eq!(gitops.deploy().head().unwrap(), commit);
        for app in apps {
            let version = gitops.values(&commit, &paths(app), &app.name).unwrap().version;
            let old = gitops.values(&before, &paths(app), &app.name).unwrap().version;
            let expected = if app.full_name() == "tenant-1-checkout" { "9.8.7" } else { &old };
            assert_eq!(version, expected);
        }
    }

    #[test]
    fn an_application_without_a_version_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let estate = estate(1);
        let mut gitops = Gitops::create(dir.path(), &estate, Vec::new()).unwrap();
        let (_, app) = estate.apps().next().unwrap();
        let error = gitops.values("main", &paths(app), "unheard-of").unwrap_err();
        assert!(error.to_string().contains("apps.unheard-of.version is required"), "{error}");
    }
}
