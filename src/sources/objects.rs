//! Whole objects: read as the server has them.
//!
//! Of a Secret only the metadata is asked for: nothing that a view shows needs its values, and what never arrives
//! cannot leak.

use base64::Engine as _;
use serde_json::Value;

use super::SourceError;
use super::access::decode;
use super::answer::Asked;
use super::change::covered;
use super::discovery::base;
use super::kubernetes::Connection;
use super::percent::{escape, form};
use crate::concealed::Concealed;
use crate::gate::Permit;
use crate::identity::{ObjectRef, Resource};

/// How many objects are asked for at once.
const PAGE: usize = 500;

/// How many whole objects one question may bring; a view that needs more needs a kind.
const MOST: usize = 10_000;

/// What is accepted of a type.
fn accept(resource: &Resource) -> &'static str {
    if resource.group.is_empty() && &*resource.plural == "secrets" {
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    } else {
        "application/json"
    }
}

/// What is accepted of a list of a type.
fn accept_list(resource: &Resource) -> &'static str {
    if resource.group.is_empty() && &*resource.plural == "secrets" {
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    } else {
        "application/json"
    }
}

/// What the server stored, and what it warned of.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The object as it is now; a `Status` where it was deleted at once.
    pub object: Value,
    /// The texts of its `Warning` headers, such as fields that it dropped.
    pub warnings: Vec<String>,
}

#[derive(serde::Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<Value>>,
    kind: Option<String>,
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
}

#[derive(Default, serde::Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    token: String,
}

impl Connection {
    /// Reads one object whole.
    pub async fn document(&self, object: &ObjectRef) -> Result<Value, SourceError> {
        let asked = self.asked("get", object.to_string());
        let path = self.path(object, "").await?;
        decode(&asked, &self.get(&asked, &path, accept(&object.resource)).await?)
    }

    /// Reads every object whole that the selectors match, up to 10,000; the selectors may be empty.
    pub async fn documents(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
    ) -> Result<Vec<Value>, SourceError> {
        let asked = self.asked("list", scoped(resource, namespace));
        let version = self.version_of(resource).await?;
        let path = collection(resource, &version, namespace);
        let mut all: Vec<Value> = Vec::new();
        let mut token = String::new();
        loop {
            let limit = PAGE.to_string();
            let query = query(&[
                ("limit", &limit),
                ("labelSelector", labels),
                ("fieldSelector", fields),
                ("continue", &token),
            ]);
            let answer = self.get(&asked, &format!("{path}{query}"), accept_list(resource)).await?;
            let list: List = decode_list(&asked, &answer)?;
            // The objects of a list do not say what they are; the list does.
            let kind = list.kind.as_deref().and_then(|kind| kind.strip_suffix("List")).map(str::to_owned);
            for mut item in list.items.unwrap_or_default() {
                if let Some(fields) = item.as_object_mut() {
                    if let Some(kind) = &kind {
                        fields.entry("kind").or_insert_with(|| kind.clone().into());
                    }
                    if let Some(version) = &list.api_version {
                        fields.entry("apiVersion").or_insert_with(|| version.clone().into());
                    }
                }
                all.push(item);
            }
            if list.metadata.token.is_empty() {
                return Ok(all);
            }
            if all.len() >= MOST {
                return Err(SourceError::Invalid {
                    what: asked.what,
                    reason: format!("there are more than {MOST}: narrow it with a namespace or a selector"),
                });
            }
            token = list.metadata.token;
        }
    }

    /// Reads the value of one key of a Secret. The one way by which a value comes here: it takes a permit, and what
    /// is not asked for is dropped unread.
    pub async fn reveal(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        key: &str,
    ) -> Result<Concealed, SourceError> {
        #[derive(serde::Deserialize)]
        struct Data<'a> {
            #[serde(borrow, default)]
            data: std::collections::BTreeMap<&'a str, &'a serde_json::value::RawValue>,
        }
        let asked = self.asked("get", object.to_string());
        covered(permit, object, &asked)?;
        let path = self.path(object, "").await?;
        let answer = self.get(&asked, &path, "application/json").await?;
        // What is wrong is not quoted: it may be a value.
        let garbled =
            || SourceError::Garbled { what: object.to_string(), reason: "it cannot be read".to_owned() };
        let read: Data<'_> = serde_json::from_slice(&answer).map_err(|_| garbled())?;
        let raw = read.data.get(key).ok_or_else(|| SourceError::Missing {
            what: format!("key {key} of {object}"),
            reason: format!("it has {}", read.data.keys().copied().collect::<Vec<_>>().join(", ")),
        })?;
        let encoded: &str = serde_json::from_str(raw.get()).map_err(|_| garbled())?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|_| garbled())?;
        Ok(Concealed::new(bytes))
    }

    /// Reads the events about one object, by the field selectors that every server has.
    pub async fn events_about(&self, object: &ObjectRef, uid: &str) -> Result<Vec<Value>, SourceError> {
        // Events about cluster-scoped objects are kept in `default`.
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let fields = if uid.is_empty() {
            format!("involvedObject.name={}", object.name)
        } else {
            format!("involvedObject.uid={uid}")
        };
        self.documents(&Resource::new("", "events"), Some(namespace), "", &fields).await
    }

    /// Returns the path of an object, or of a subresource of it where one is named.
    pub(super) async fn path(&self, object: &ObjectRef, subresource: &str) -> Result<String, SourceError> {
        let version = self.version_of(&object.resource).await?;
        let mut path = collection(&object.resource, &version, object.namespace.as_deref());
        path.push('/');
        path.push_str(&escape(&object.name));
        if !subresource.is_empty() {
            path.push('/');
            path.push_str(subresource);
        }
        Ok(path)
    }

    /// Returns the version in which the server prefers to speak of a type.
    pub(super) async fn version_of(&self, resource: &Resource) -> Result<String, SourceError> {
        if let Some(served) = self.served().await?.get(resource) {
            return Ok(served.version.to_string());
        }
        // It may have been installed since; a server that is down for this group is not asked in vain for ever,
        // because each view asks once.
        match self.discover_again().await?.get(resource) {
            Some(served) => Ok(served.version.to_string()),
            None => Err(SourceError::Missing {
                what: resource.to_string(),
                reason: "the server has no such API: its CRD is not installed".into(),
            }),
        }
    }
}

/// Decodes a list. Lists of Kubernetes say that they are one, and their items may be `null`: what does not say so is
/// something else, and not an empty list.
pub(super) fn decode_list<'a, T: serde::Deserialize<'a>>(
    asked: &Asked,
    body: &'a [u8],
) -> Result<T, SourceError> {
    #[derive(serde::Deserialize)]
    struct Head {
        kind: String,
    }
    let head: Head = decode(asked, body)?;
    if !head.kind.ends_with("List") {
        return Err(SourceError::Garbled {
            what: format!("{} {}", asked.verb, asked.what),
            reason: format!("a {:?} and no list", crate::text::one_line(&head.kind)),
        });
    }
    decode(asked, body)
}

/// Names a list: `pods in tenant-2`.
pub(super) fn scoped(resource: &Resource, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{resource} in {namespace}"),
        None => resource.to_string(),
    }
}

/// Returns the path of all objects of a type, in a namespace or everywhere.
pub(super) fn collection(resource: &Resource, version: &str, namespace: Option<&str>) -> String {
    let base = base(&resource.group, version);
    let plural = escape(&resource.plural);
    match namespace {
        Some(namespace) => format!("{base}/namespaces/{}/{plural}", escape(namespace)),
        None => format!("{base}/{plural}"),
    }
}

/// Writes a query string without the parameters that are empty.
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    let given: Vec<_> = parameters.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
    if given.is_empty() { String::new() } else { format!("?{}", form(&given)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_group_version_and_namespace() {
        let pods = Resource::new("", "pods");
        assert_eq!(collection(&pods, "v1", Some("shop")), "/api/v1/namespaces/shop/pods");
        let apps = Resource::new("argoproj.io", "applications");
        assert_eq!(collection(&apps, "v1alpha1", None), "/apis/argoproj.io/v1alpha1/applications");
    }

    #[test]
    fn selectors_and_names_cannot_leave_their_place() {
        assert_eq!(query(&[("limit", "500"), ("continue", "")]), "?limit=500");
        assert_eq!(
            query(&[("labelSelector", "a in (b,c)&x=1")]),
            "?labelSelector=a%20in%20%28b%2Cc%29%26x%3D1"
        );
    }
}
