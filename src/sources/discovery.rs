//! What the API server serves: its version, and every resource type with its names.
//!
//! It tells the console's own kinds apart from what is not installed, finds the version that a write needs, and
//! gives any other type to the Table view. Asked for once per connection, in two requests where the server can.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use serde::Deserialize;

use super::SourceError;
use super::access::decode;
use super::answer::Asked;
use super::kubernetes::Connection;
use crate::identity::{Resource, Text};

/// Asks for everything in one document (1.26 and later), else for the plain form.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,\
                          application/json";

/// How many groups are asked for at once where the server has the plain form only.
const AT_ONCE: usize = 8;

/// One resource type as the server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedType {
    /// Group and plural.
    pub resource: Resource,
    /// The version that the server prefers.
    pub version: Text,
    /// The kind name, such as `Pod`.
    pub kind: Text,
    /// The singular name; may be empty.
    pub singular: Text,
    /// Short names.
    pub short_names: Vec<Text>,
    /// Categories, such as `all`.
    pub categories: Vec<Text>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it: `list`, `watch`, `patch` ...
    pub verbs: Vec<Text>,
    /// Subresources, such as `scale`.
    pub subresources: Vec<Text>,
}

impl ServedType {
    /// Tells whether the server offers a verb for it.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|one| &**one == verb)
    }

    /// Returns every name that a person may use for it, the plural first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let all = [&self.resource.plural, &self.singular, &self.kind];
        all.into_iter().chain(&self.short_names).map(|name| &**name).filter(|name| !name.is_empty())
    }
}

/// Everything that is served.
#[derive(Debug, Clone, Default)]
pub struct Served {
    types: Vec<ServedType>,
    by_resource: HashMap<Resource, usize>,
    /// Groups whose types could not be learnt, such as those of an aggregated API that is down.
    pub silent: Vec<Text>,
}

impl Served {
    fn new(types: Vec<ServedType>, silent: Vec<Text>) -> Self {
        let mut served = Self { silent, ..Self::default() };
        for one in types {
            // The first version that has a type is the preferred one.
            if !served.by_resource.contains_key(&one.resource) {
                served.by_resource.insert(one.resource.clone(), served.types.len());
                served.types.push(one);
            }
        }
        served
    }

    /// Returns every type in the order of the server: core first.
    pub fn types(&self) -> &[ServedType] {
        &self.types
    }

    /// Returns a type.
    pub fn get(&self, resource: &Resource) -> Option<&ServedType> {
        self.types.get(*self.by_resource.get(resource)?)
    }

    /// Finds a type by its group and kind name, as owner references spell it.
    pub fn of_kind(&self, group: &str, kind: &str) -> Option<&ServedType> {
        self.types.iter().find(|one| &*one.resource.group == group && &*one.kind == kind)
    }

    /// Finds a type by any name that a person types: plural, singular, kind or short name, with or without its
    /// group (`certificates.cert-manager.io`); where several groups have it, the first one that the server lists.
    pub fn named(&self, name: &str) -> Option<&ServedType> {
        let (word, group) = match name.split_once('.') {
            Some((word, group)) => (word, Some(group)),
            None => (name, None),
        };
        self.types.iter().find(|one| {
            group.is_none_or(|group| &*one.resource.group == group)
                && one.names().any(|name| name.eq_ignore_ascii_case(word))
        })
    }
}

#[derive(Deserialize)]
struct Aggregated {
    kind: String,
    #[serde(default)]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: GroupName,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupName {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    #[serde(rename = "version")]
    name: String,
    resources: Vec<Type>,
    /// `Stale` where the server could not reach an aggregated API.
    freshness: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Type {
    resource: String,
    response_kind: Option<KindName>,
    scope: String,
    singular_resource: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
    subresources: Vec<Subresource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KindName {
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subresource {
    subresource: String,
}

#[derive(Deserialize)]
struct PlainGroups {
    #[serde(default)]
    groups: Vec<PlainGroup>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PlainGroup {
    name: String,
    versions: Vec<PlainVersion>,
    preferred_version: PlainVersion,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PlainVersion {
    version: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PlainType {
    name: String,
    singular_name: String,
    namespaced: bool,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
}

#[derive(Deserialize)]
struct PlainTypes {
    #[serde(default)]
    resources: Vec<PlainType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerVersion {
    git_version: String,
}

impl Connection {
    /// Returns the server's version, such as `v1.33.1-eks-1`.
    pub async fn version(&self) -> Result<String, SourceError> {
        let asked = self.asked("get", "the server's version");
        let answer = self.get(&asked, "/version", "application/json").await?;
        let version: ServerVersion = decode(&asked, &answer)?;
        Ok(crate::text::one_line(&version.git_version).into_owned())
    }

    /// Returns everything that is served, as it was when this connection first asked.
    pub async fn served(&self) -> Result<Arc<Served>, SourceError> {
        // Held while asking, so that many askers at the start send one question.
        let mut cache = self.served_cache().lock().await;
        if let Some(served) = &*cache {
            return Ok(served.clone());
        }
        let served = Arc::new(self.discover().await?);
        *cache = Some(served.clone());
        Ok(served)
    }

    /// Asks anew what is served: a CRD may have been installed.
    pub async fn discover_again(&self) -> Result<Arc<Served>, SourceError> {
        *self.served_cache().lock().await = None;
        self.served().await
    }

    async fn discover(&self) -> Result<Served, SourceError> {
        let asked = self.asked("get", "the list of served types");
        let (core, groups) =
            tokio::try_join!(self.get(&asked, "/api", AGGREGATED), self.get(&asked, "/apis", AGGREGATED))?;
        match (aggregated(&core), aggregated(&groups)) {
            (Some(core), Some(groups)) => Ok(from_aggregated(core.into_iter().chain(groups))),
            _ => self.discover_plainly(&asked, &groups).await,
        }
    }

    async fn discover_plainly(&self, asked: &Asked, groups: &[u8]) -> Result<Served, SourceError> {
        let groups: PlainGroups = decode(asked, groups)?;
        let mut versions = vec![(Text::from(""), Text::from("v1"))];
        for group in groups.groups {
            let name = Text::from(group.name);
            let preferred = group.preferred_version.version;
            versions.push((name.clone(), Text::from(preferred.as_str())));
            let others = group.versions.into_iter().filter(|other| other.version != preferred);
            versions.extend(others.map(|other| (name.clone(), Text::from(other.version))));
        }
        let answers: Vec<_> = futures::stream::iter(versions)
            .map(|(group, version)| async move {
                let path = base(&group, &version);
                let types = match self.get(asked, &path, "application/json").await {
                    Ok(answer) => decode::<PlainTypes>(asked, &answer),
                    Err(error) => Err(error),
                };
                (group, version, types)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut types = Vec::new();
        let mut silent = Vec::new();
        for (group, version, answer) in answers {
            match answer {
                Ok(answer) => from_plain(&group, &version, answer.resources, &mut types),
                Err(_) => silent.push(group),
            }
        }
        Ok(Served::new(types, silent))
    }
}

/// Returns the first part of the path of a group's types.
pub(super) fn base(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

fn aggregated(body: &[u8]) -> Option<Vec<Group>> {
    let list: Aggregated = serde_json::from_slice(body).ok()?;
    (list.kind == "APIGroupDiscoveryList").then_some(list.items)
}

fn from_aggregated(groups: impl Iterator<Item = Group>) -> Served {
    let mut types = Vec::new();
    let mut silent = Vec::new();
    for group in groups {
        let name = Text::from(group.metadata.name);
        for version in group.versions {
            if version.freshness == "Stale" {
                silent.push(name.clone());
            }
            for one in version.resources {
                types.push(ServedType {
                    resource: Resource { group: name.clone(), plural: Text::from(one.resource) },
                    version: Text::from(version.name.as_str()),
                    kind: Text::from(one.response_kind.unwrap_or_default().kind),
                    singular: Text::from(one.singular_resource),
                    short_names: texts(one.short_names),
                    categories: texts(one.categories),
                    namespaced: one.scope == "Namespaced",
                    verbs: texts(one.verbs),
                    subresources: one.subresources.into_iter().map(|sub| sub.subresource.into()).collect(),
                });
            }
        }
    }
    Served::new(types, silent)
}

fn from_plain(group: &Text, version: &Text, plain: Vec<PlainType>, types: &mut Vec<ServedType>) {
    // `pods/log` stands beside `pods` in this form.
    let subresources: Vec<(String, Text)> = plain
        .iter()
        .filter_map(|one| one.name.split_once('/'))
        .map(|(name, sub)| (name.to_owned(), Text::from(sub)))
        .collect();
    for one in plain.into_iter().filter(|one| !one.name.contains('/')) {
        let own = subresources.iter().filter(|(name, _)| *name == one.name).map(|(_, sub)| sub.clone());
        types.push(ServedType {
            subresources: own.collect(),
            resource: Resource { group: group.clone(), plural: Text::from(one.name) },
            version: version.clone(),
            kind: Text::from(one.kind),
            singular: Text::from(one.singular_name),
            short_names: texts(one.short_names),
            categories: texts(one.categories),
            namespaced: one.namespaced,
            verbs: texts(one.verbs),
        });
    }
}

fn texts(words: Vec<String>) -> Vec<Text> {
    words.into_iter().map(Text::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_aggregated_form_prefers_the_first_version_that_has_a_type() {
        let body = br#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[
            {"metadata":{"name":"autoscaling"},"versions":[
              {"version":"v2","resources":[{"resource":"horizontalpodautoscalers","responseKind":{"group":"","version":"","kind":"HorizontalPodAutoscaler"},"scope":"Namespaced","singularResource":"horizontalpodautoscaler","verbs":["get","list","watch"],"shortNames":["hpa"],"categories":["all"],"subresources":[{"subresource":"status","responseKind":{"kind":"HorizontalPodAutoscaler"},"verbs":["get"]}]}],"freshness":"Current"},
              {"version":"v1","resources":[{"resource":"horizontalpodautoscalers","responseKind":{"kind":"HorizontalPodAutoscaler"},"scope":"Namespaced","verbs":["list"]}],"freshness":"Current"}]},
            {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale"}]}]}"#;
        let served = from_aggregated(aggregated(body).unwrap().into_iter());
        assert_eq!(served.types().len(), 1);
        let hpa = served.named("hpa").unwrap();
        assert_eq!((&*hpa.version, hpa.namespaced, hpa.can("watch")), ("v2", true, true));
        assert_eq!(hpa.subresources, [Text::from("status")]);
        assert!(served.named("HorizontalPodAutoscaler").is_some());
        assert!(served.named("hpa.autoscaling").is_some());
        assert!(served.named("hpa.apps").is_none());
        assert!(served.of_kind("autoscaling", "HorizontalPodAutoscaler").is_some());
        assert_eq!(served.silent, [Text::from("metrics.k8s.io")]);
    }

    #[test]
    fn the_plain_form_gives_subresources_to_their_type() {
        let body = br#"{"kind":"APIResourceList","groupVersion":"v1","resources":[
            {"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get","list"],"shortNames":["po"]},
            {"name":"pods/log","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]}]}"#;
        assert!(aggregated(body).is_none());
        let list: PlainTypes = serde_json::from_slice(body).unwrap();
        let mut types = Vec::new();
        from_plain(&Text::from(""), &Text::from("v1"), list.resources, &mut types);
        let served = Served::new(types, Vec::new());
        let pods = served.get(&Resource::new("", "pods")).unwrap();
        assert_eq!(pods.subresources, [Text::from("log")]);
        assert_eq!(served.types().len(), 1);
    }
}
