//! What the platform repository declares for Argo CD: projects, Applications, the parents of Applications and the
//! ApplicationSet.
//!
//! Pure functions from the estate to manifests as a person would commit them; no status, no live object.

use serde_json::{Value, json};

use super::estate::{App, Environment, Estate, Tenant};
use super::gitops::{DEPLOY_URL, File, PLATFORM_URL, directory};

/// The namespace of Argo CD and of everything it reads.
pub const NAMESPACE: &str = "argocd";
/// The API server as Argo CD names the cluster that it runs in.
pub const SERVER: &str = "https://kubernetes.default.svc";
/// The name of that cluster.
pub const CLUSTER: &str = "in-cluster";
/// The ApplicationSet.
pub const SET: &str = "tenants";
/// Applications with this finalizer take their resources with them.
pub const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// Who creates the Application of a service, and so who undoes changes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The parent `tenants-root`: automated, without self-heal.
    Root,
    /// The parent `tenants-guarded`: automated with self-heal, reverts an edit within seconds.
    Guarded,
    /// The ApplicationSet `tenants`: rewrites the specification whenever it reconciles.
    Set,
}

impl Owner {
    /// Returns who owns the Applications of a tenant: in groups of four, two belong to `tenants-root`.
    pub fn of(tenant: &str) -> Self {
        let number: usize = tenant.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(1);
        match number % 4 {
            3 => Self::Set,
            0 => Self::Guarded,
            _ => Self::Root,
        }
    }

    /// Returns the parent Application; `None` for the ApplicationSet.
    pub fn parent(self) -> Option<&'static str> {
        match self {
            Self::Root => Some("tenants-root"),
            Self::Guarded => Some("tenants-guarded"),
            Self::Set => None,
        }
    }
}

/// How an Application is kept in sync; the variety that a platform grows over the years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Automated, prunes, heals itself.
    Full,
    /// `automated: {}`, which is on.
    Bare,
    /// Automated and prunes; drift stays until the next commit.
    Prune,
    /// A person syncs it.
    Manual,
    /// Switched off with its other settings kept.
    Off,
}

impl Policy {
    /// Returns the policy of an application; the same for every seed, so that documentation can name one.
    pub fn of(app: &App) -> Self {
        // The ApplicationSet has one template, and checkout is what every tenant lives from.
        if app.name == "checkout" || Owner::of(&app.tenant) == Owner::Set {
            return Self::Full;
        }
        match super::world::fnv64(app.full_name().as_bytes()) % 12 {
            0 => Self::Bare,
            1 | 2 => Self::Prune,
            3 | 4 => Self::Manual,
            5 => Self::Off,
            _ => Self::Full,
        }
    }

    /// Says whether Argo CD syncs by itself.
    pub fn automated(self) -> bool {
        !matches!(self, Self::Manual | Self::Off)
    }

    fn spec(self) -> Value {
        let automated = match self {
            Self::Full => json!({"prune": true, "selfHeal": true}),
            Self::Bare => json!({}),
            Self::Prune => json!({"enabled": true, "prune": true}),
            Self::Off => json!({"enabled": false, "prune": true, "selfHeal": true}),
            Self::Manual => return json!({"syncOptions": ["ApplyOutOfSyncOnly=true"]}),
        };
        json!({
            "automated": automated,
            "syncOptions": ["CreateNamespace=false"],
            "retry": {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}},
        })
    }
}

/// Says whether a newer version of a manually synced app waits in git for a person to deploy it.
pub fn waiting(app: &App) -> bool {
    Policy::of(app) == Policy::Manual && super::world::fnv64(app.full_name().as_bytes()) % 12 == 3
}

/// Returns the number of history entries that the Application of an app keeps.
pub const HISTORY_LIMIT: usize = 6;

/// Says whether an Application reads its values from a second source, as some do.
pub fn multi_source(app: &App) -> bool {
    ["payments", "reviews"].contains(&app.profile.name) && Owner::of(&app.tenant) != Owner::Set
}

/// Returns `spec.source` or `spec.sources` of an Application, as a one-field object to be merged.
fn sources(app: &App, directory: &str) -> Value {
    let chart = |prefix: &str| {
        json!({
            "repoURL": DEPLOY_URL,
            "path": "base",
            "targetRevision": "main",
            "helm": {
                "releaseName": app.name,
                "valueFiles": [format!("{prefix}/{directory}/values.yaml"), format!("{prefix}/{directory}/version.yaml")],
                "parameters": [{"name": "app", "value": app.name}],
            },
        })
    };
    if multi_source(app) {
        let values = json!({"repoURL": DEPLOY_URL, "targetRevision": "main", "ref": "values"});
        json!({"sources": [chart("$values"), values]})
    } else {
        json!({"source": chart("..")})
    }
}

/// Returns the Application of an app, as its manifest.
pub fn application(app: &App, team: &str) -> Value {
    let mut policy = Policy::of(app).spec();
    // Where the manifest says that it is on, switching it off by its flag is drift that a healing parent reverts.
    if Owner::of(&app.tenant) == Owner::Guarded && Policy::of(app).automated() {
        policy["automated"]["enabled"] = json!(true);
    }
    let mut spec = json!({
        "project": app.tenant,
        "destination": {"server": SERVER, "namespace": app.namespace},
        "syncPolicy": policy,
        "revisionHistoryLimit": HISTORY_LIMIT,
    });
    merge(&mut spec, sources(app, &directory(app)));
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": app.full_name(),
            "namespace": NAMESPACE,
            "labels": labels(app, team),
            "finalizers": [FINALIZER],
        },
        "spec": spec,
    })
}

fn labels(app: &App, team: &str) -> Value {
    json!({
        "app.kubernetes.io/name": app.profile.name,
        "app.kubernetes.io/part-of": app.tenant,
        "tenant": app.tenant,
        "environment": app.environment.as_str(),
        "team": team,
    })
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

/// Returns the project of a tenant.
pub fn project(tenant: &Tenant) -> Value {
    let destinations: Vec<Value> =
        tenant.stages.iter().map(|stage| json!({"server": SERVER, "namespace": stage.namespace})).collect();
    let staging: Vec<&str> = tenant
        .stages
        .iter()
        .filter(|stage| stage.environment == Environment::Staging)
        .map(|stage| stage.namespace.as_str())
        .collect();
    let name = &tenant.name;
    let mut spec = json!({
        "description": format!("Services of {name}, run by team {}.", tenant.team),
        "sourceRepos": [DEPLOY_URL],
        "destinations": destinations,
        "clusterResourceWhitelist": [],
        "namespaceResourceBlacklist": [
            {"group": "", "kind": "ResourceQuota"}, {"group": "", "kind": "LimitRange"},
        ],
        "roles": [
            {"name": "deployer", "description": "Syncs and rolls back.", "groups": [format!("team-{}", tenant.team)],
             "policies": [
                format!("p, proj:{name}:deployer, applications, sync, {name}/*, allow"),
                format!("p, proj:{name}:deployer, applications, get, {name}/*, allow"),
             ]},
            {"name": "reader", "description": "Looks.", "groups": ["everyone"],
             "policies": [format!("p, proj:{name}:reader, applications, get, {name}/*, allow")]},
        ],
        "orphanedResources": {"warn": false},
    });
    if !staging.is_empty() {
        // Rehearsals do not deploy while their nightly restore runs; a person still may.
        spec["syncWindows"] = json!([{
            "kind": "deny", "schedule": "30 2 * * *", "duration": "45m", "namespaces": staging,
            "manualSync": true, "timeZone": "Europe/Berlin", "description": "nightly restore of the staging databases",
        }]);
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"tenant": name, "team": tenant.team}},
        "spec": spec,
    })
}

/// Returns the projects that belong to no tenant: Argo CD's own and the platform's.
pub fn platform_projects() -> Vec<Value> {
    let project = |name: &str, spec: Value| {
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    };
    let everything = json!([{"group": "*", "kind": "*"}]);
    vec![
        project(
            "default",
            json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "clusterResourceWhitelist": everything}),
        ),
        project(
            "platform",
            json!({
                "description": "What the platform team runs.",
                "sourceRepos": [PLATFORM_URL],
                "destinations": [{"server": SERVER, "namespace": NAMESPACE}],
                "clusterResourceWhitelist": everything,
            }),
        ),
    ]
}

fn parent(name: &str, path: &str, automated: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"team": "platform"}},
        "spec": {
            "project": "platform",
            "source": {"repoURL": PLATFORM_URL, "path": path, "targetRevision": "main", "directory": {"recurse": false}},
            "destination": {"server": SERVER, "namespace": NAMESPACE},
            "syncPolicy": {"automated": automated, "syncOptions": ["RespectIgnoreDifferences=true"]},
        },
    })
}

/// Returns the Applications that only hold others: `platform` first, which nobody owns.
pub fn parents() -> Vec<Value> {
    vec![
        parent("platform", "bootstrap", json!({"prune": true, "selfHeal": true})),
        parent("tenants-root", "tenants/root", json!({"prune": true})),
        parent("tenants-guarded", "tenants/guarded", json!({"prune": true, "selfHeal": true})),
    ]
}

/// Returns the ApplicationSet: one element a service of the tenants that it owns, and the template of all of them.
pub fn application_set(estate: &Estate) -> Value {
    let elements: Vec<Value> = estate
        .apps()
        .filter(|(_, app)| Owner::of(&app.tenant) == Owner::Set)
        .map(|(tenant, app)| {
            json!({"tenant": app.tenant, "team": tenant.team, "environment": app.environment.as_str(),
                "namespace": app.namespace, "service": app.profile.name, "app": app.name})
        })
        .collect();
    let directory = "envs/{{.environment}}/{{.tenant}}";
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": SET, "namespace": NAMESPACE},
        "spec": {
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"list": {"elements": elements}}],
            "syncPolicy": {"applicationsSync": "sync", "preserveResourcesOnDeletion": true},
            "template": {
                "metadata": {
                    "name": "{{.namespace}}-{{.app}}",
                    "labels": {
                        "app.kubernetes.io/name": "{{.service}}", "app.kubernetes.io/part-of": "{{.tenant}}",
                        "tenant": "{{.tenant}}", "environment": "{{.environment}}", "team": "{{.team}}",
                    },
                    "finalizers": [FINALIZER],
                },
                "spec": {
                    "project": "{{.tenant}}",
                    "source": {
                        "repoURL": DEPLOY_URL, "path": "base", "targetRevision": "main",
                        "helm": {
                            "releaseName": "{{.app}}",
                            "valueFiles": [format!("../{directory}/values.yaml"), format!("../{directory}/version.yaml")],
                            "parameters": [{"name": "app", "value": "{{.app}}"}],
                        },
                    },
                    "destination": {"server": SERVER, "namespace": "{{.namespace}}"},
                    "syncPolicy": Policy::Full.spec(),
                    "revisionHistoryLimit": HISTORY_LIMIT,
                },
            },
        },
    })
}

/// Returns what an ApplicationSet generates: its template once for each element of its list generators.
///
/// Only list generators are read; a template may use `{{.name}}` of their elements.
pub fn generated(set: &Value) -> Vec<Value> {
    let generators = super::untyped::list(set, "/spec/generators");
    let template = &set["spec"]["template"];
    generators
        .iter()
        .flat_map(|generator| super::untyped::list(generator, "/list/elements"))
        .map(|element| {
            let mut application = fill(template, element);
            application["apiVersion"] = json!("argoproj.io/v1alpha1");
            application["kind"] = json!("Application");
            application["metadata"]["namespace"] = set["metadata"]["namespace"].clone();
            application
        })
        .collect()
}

/// Replaces `{{.key}}` in every text of a template by the values of an element.
fn fill(template: &Value, element: &Value) -> Value {
    match template {
        Value::String(text) if text.contains("{{") => {
            let filled =
                element.as_object().into_iter().flatten().fold(text.clone(), |text, (key, value)| {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    text.replace(&format!("{{{{.{key}}}}}"), &value)
                });
            Value::String(filled)
        }
        Value::Array(list) => Value::Array(list.iter().map(|item| fill(item, element)).collect()),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), fill(value, element))).collect())
        }
        other => other.clone(),
    }
}

/// Returns the files of the platform repository.
pub fn files(estate: &Estate) -> Vec<File> {
    let yaml = |manifest: &Value| serde_saphyr::to_string(manifest).unwrap_or_default();
    let mut files: Vec<File> = Vec::new();
    let mut bootstrap = |kind: &str, manifest: &Value| {
        let name = super::untyped::text(manifest, "/metadata/name");
        files.push((format!("bootstrap/{kind}-{name}.yaml"), yaml(manifest)));
    };
    // Nobody owns `platform` itself: it is applied by hand once.
    for manifest in parents().iter().skip(1) {
        bootstrap("application", manifest);
    }
    for manifest in platform_projects().iter().skip(1).cloned().chain(estate.tenants.iter().map(project)) {
        bootstrap("project", &manifest);
    }
    bootstrap("applicationset", &application_set(estate));
    for (tenant, app) in estate.apps() {
        let directory = match Owner::of(&app.tenant) {
            Owner::Root => "tenants/root",
            Owner::Guarded => "tenants/guarded",
            Owner::Set => continue,
        };
        files.push((format!("{directory}/{}.yaml", app.full_name()), yaml(&application(app, tenant.team))));
    }
    for directory in ["tenants/root", "tenants/guarded"] {
        // Git keeps no empty directory, and a small platform may have no tenant of a kind.
        files.push((format!("{directory}/README.md"), "One file an Application.\n".to_owned()));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::super::world::Options;
    use super::*;

    fn estate() -> Estate {
        Estate::new(&Options { tenants: 8, ..Options::default() }, "2026-11-21T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_set_generates_the_applications_of_its_tenants_and_nobody_else() {
        let estate = estate();
        let generated = generated(&application_set(&estate));
        let wanted: Vec<Value> = estate
            .apps()
            .filter(|(_, app)| Owner::of(&app.tenant) == Owner::Set)
            .map(|(tenant, app)| application(app, tenant.team))
            .collect();
        assert!(wanted.len() >= 4);
        assert_eq!(generated, wanted);
    }

    #[test]
    fn yaml_in_the_repository_reads_back_as_it_was_meant() {
        let estate = estate();
        for (path, text) in files(&estate).iter().filter(|(path, _)| !path.ends_with("README.md")) {
            let read: Value = serde_saphyr::from_str(text).unwrap();
            assert!(read["metadata"]["name"].is_string(), "{path}");
        }
        let (tenant, app) = estate.apps().next().unwrap();
        let wanted = application(app, tenant.team);
        let (_, text) = files(&estate)
            .into_iter()
            .find(|(path, _)| path == "tenants/root/tenant-1-checkout.yaml")
            .unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), wanted);
    }

    #[test]
    fn something_waits_for_a_person_on_a_platform_of_the_usual_size() {
        assert!(estate().apps().any(|(_, app)| waiting(app)));
    }

    #[test]
    fn every_policy_occurs_on_a_platform_of_the_usual_size() {
        let estate = estate();
        let seen: Vec<Policy> = estate.apps().map(|(_, app)| Policy::of(app)).collect();
        for policy in [Policy::Full, Policy::Bare, Policy::Prune, Policy::Manual, Policy::Off] {
            assert!(seen.contains(&policy), "{policy:?}");
        }
        assert!(estate.apps().any(|(_, app)| multi_source(app)));
    }
}
