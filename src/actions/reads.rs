//! Which files of which repositories an Application is made from: the folder of its source, its value files, and what
//! a kustomization refers to. From these follows which commits concern it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::application::{App, list};
use super::draft::text;
use crate::sources::git::Clone;
use crate::sources::without_credentials;

/// How many folders of kustomizations are followed; a loop of references ends there.
const FOLLOWED: usize = 40;

/// A branch of a repository that an Application reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The repository as the Application writes it, without credentials.
    pub url: String,
    /// What is tracked, such as `main`; empty for the default branch.
    pub tracked: String,
    /// The place of its revision among the revisions of the history and of the comparison.
    pub at: usize,
    /// Folders and files.
    pub paths: Vec<String>,
}

impl Place {
    /// Tells whether a file is one of those that are read.
    pub fn reads(&self, file: &str) -> bool {
        self.paths.iter().any(|path| {
            path.is_empty()
                || file == path
                || file.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// Returns the branches that an Application reads, each once. The error says why there is none.
pub(super) fn places(app: App<'_>) -> Result<Vec<Place>, String> {
    if app.0.pointer("/spec/sourceHydrator").is_some_and(|hydrator| !hydrator.is_null()) {
        let dry = text(app.0, "/spec/sourceHydrator/drySource/repoURL");
        return Err(format!(
            "its manifests are written by the hydrator: revert in the dry source ({}) by hand",
            without_credentials(dry)
        ));
    }
    let sources = app.sources();
    let mut places: Vec<Place> = Vec::new();
    let mut charts = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        let chart = text(source, "/chart");
        if !chart.is_empty() {
            charts.push(chart);
            continue;
        }
        add(&mut places, source, at, read_by(source));
    }
    // What one source reads of another's repository (`$values/envs/prod/values.yaml`).
    for source in &sources {
        for file in list(source, "/helm/valueFiles").iter().filter_map(Value::as_str) {
            let Some((name, path)) = file.strip_prefix('$').and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            let lender = sources.iter().enumerate().find(|(_, other)| text(other, "/ref") == name);
            if let (Some((at, lender)), Some(path)) = (lender, joined("", path)) {
                add(&mut places, lender, at, vec![path]);
            }
        }
    }
    places.retain(|place| !place.paths.is_empty());
    match (places.is_empty(), charts.is_empty()) {
        (false, _) => Ok(places),
        (true, false) => Err(format!(
            "it is made from the chart {} alone: its version stands in the Application itself, revert where that is written",
            charts.join(", ")
        )),
        (true, true) => Err("it says no folder of a repository that it is made from".to_owned()),
    }
}

fn add(places: &mut Vec<Place>, source: &Value, at: usize, paths: Vec<String>) {
    let url = without_credentials(text(source, "/repoURL"));
    let tracked = text(source, "/targetRevision");
    let place =
        if let Some(place) = places.iter_mut().find(|place| place.url == url && place.tracked == tracked) {
            place
        } else {
            places.push(Place { url, tracked: tracked.to_owned(), at, paths: Vec::new() });
            let Some(place) = places.last_mut() else { return };
            place
        };
    for path in paths {
        if !place.paths.contains(&path) {
            place.paths.push(path);
        }
    }
}

/// What a source reads of its own repository; a source that only lends its files reads nothing itself.
fn read_by(source: &Value) -> Vec<String> {
    let path = text(source, "/path");
    if path.is_empty() && !text(source, "/ref").is_empty() {
        return Vec::new();
    }
    let Some(folder) = joined("", path) else { return Vec::new() };
    let files =
        list(source, "/helm/valueFiles").iter().filter_map(Value::as_str).filter(|file| !is_elsewhere(file));
    let mut paths = vec![folder.clone()];
    paths.extend(files.filter_map(|file| match file.strip_prefix('/') {
        // From the root of the repository.
        Some(file) => joined("", file),
        None => joined(&folder, file),
    }));
    paths
}

/// Tells whether a value file is another source's or somewhere on the network.
fn is_elsewhere(file: &str) -> bool {
    file.starts_with('$') || file.contains("://")
}

/// Joins a folder and a relative path; `None` where that leads out of the repository.
fn joined(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Returns the paths of a place and what the kustomizations in them refer to, at a commit.
pub(super) async fn followed(clone: &Clone, commit: &str, paths: &[String]) -> Vec<String> {
    let mut all: Vec<String> = paths.to_vec();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut at = 0;
    while let Some(folder) = all.get(at).cloned() {
        at += 1;
        if seen.len() >= FOLLOWED || has_extension(&folder) || !seen.insert(folder.clone()) {
            continue;
        }
        for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
            let file = joined(&folder, name).unwrap_or_default();
            let Some(text) = clone.file(commit, &file).await else { continue };
            for reference in references(&text) {
                if let Some(path) = joined(&folder, &reference).filter(|path| !all.contains(path)) {
                    all.push(path);
                }
            }
            break;
        }
    }
    // What lies within a folder that is there already says nothing new.
    let within = |path: &String, other: &String| path != other && path.starts_with(&format!("{other}/"));
    let folders = all.clone();
    all.retain(|path| !folders.iter().any(|other| within(path, other)));
    all
}

fn has_extension(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

/// What a kustomization refers to in the same repository.
fn references(text: &str) -> Vec<String> {
    let Ok(document) = serde_saphyr::from_str::<Value>(text) else { return Vec::new() };
    let mut found = Vec::new();
    for key in ["/resources", "/bases", "/components", "/patchesStrategicMerge", "/crds", "/configurations"] {
        found.extend(list(&document, key).iter().filter_map(Value::as_str).map(ToOwned::to_owned));
    }
    for patch in list(&document, "/patches") {
        found.extend(patch.get("path").and_then(Value::as_str).map(ToOwned::to_owned));
    }
    found.retain(|reference| {
        !reference.contains("://") && !reference.contains('\n') && !reference.contains("?ref=")
    });
    found
}

/// Returns the names by which a file that several Applications share calls this one.
pub(super) fn names(app: App<'_>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for source in app.sources() {
        for parameter in list(source, "/helm/parameters") {
            names.insert(text(parameter, "/value").to_owned());
        }
        names.insert(text(source, "/helm/releaseName").to_owned());
    }
    let own = app.name();
    names.insert(own.to_owned());
    for around in [text(app.0, "/spec/destination/namespace"), text(app.0, "/spec/project")] {
        let inner = own.strip_prefix(around).and_then(|rest| rest.strip_prefix('-'));
        names.extend(inner.filter(|_| !around.is_empty()).map(ToOwned::to_owned));
    }
    // A number or a word of truth is the value of a parameter and nobody's name.
    let is_name = |name: &String| name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphabetic());
    names.into_iter().filter(is_name).filter(|name| !matches!(name.as_str(), "true" | "false")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(spec: Value) -> Value {
        json!({ "metadata": { "name": "tenant-2-checkout" }, "spec": spec })
    }

    #[test]
    fn a_chart_with_value_files_reads_its_folder_and_the_files() {
        let app = app(
            json!({ "source": { "repoURL": "https://user:canary@git.example.com/deploy.git", "path": "base",
            "targetRevision": "main", "helm": { "releaseName": "checkout",
                "valueFiles": ["../envs/prod/tenant-2/values.yaml", "/global.yaml", "https://example.com/x.yaml"],
                "parameters": [{ "name": "app", "value": "checkout" }, { "name": "replicas", "value": "3" }] } },
            "destination": { "namespace": "tenant-2" } }),
        );
        let places = places(App(&app)).unwrap();
        assert_eq!(places.len(), 1);
        assert_eq!(places[0].url, "https://git.example.com/deploy.git");
        assert_eq!(places[0].paths, ["base", "envs/prod/tenant-2/values.yaml", "global.yaml"]);
        assert!(places[0].reads("base/values.yaml") && !places[0].reads("based/values.yaml"));
        assert_eq!(names(App(&app)), ["checkout", "tenant-2-checkout"]);
    }

    #[test]
    fn a_source_that_lends_its_files_is_read_where_they_are_named() {
        let app = app(json!({ "sources": [
            { "repoURL": "oci://registry.example.com/charts", "chart": "service", "targetRevision": "2.3.1",
                "helm": { "valueFiles": ["$values/envs/prod/values.yaml"] } },
            { "repoURL": "https://git.example.com/deploy.git", "targetRevision": "main", "ref": "values" }] }));
        let places = places(App(&app)).unwrap();
        assert_eq!(places.len(), 1);
        assert_eq!(
            (places[0].at, places[0].paths.as_slice()),
            (1, &["envs/prod/values.yaml".to_owned()][..])
        );
    }

    #[test]
    fn a_chart_alone_is_reverted_where_the_application_is_written() {
        let app = app(json!({ "source": { "repoURL": "https://charts.example.com", "chart": "redis" } }));
        assert!(places(App(&app)).unwrap_err().contains("chart redis alone"));
    }

    #[test]
    fn a_kustomization_refers_to_folders_and_files_and_not_to_the_network() {
        let text = "resources:\n- ../base\n- https://example.com/x\n- github.com/a/b?ref=v1\ncomponents: [../../mesh]\npatches:\n- path: p.yaml\n";
        assert_eq!(references(text), ["../base", "../../mesh", "p.yaml"]);
        assert_eq!(joined("overlays/prod", "../base").unwrap(), "overlays/base");
        assert_eq!(joined("a", "../../b"), None);
    }
}
