//! Where an `ExternalSecret` is brought from: the store, the provider, the keys there.

use serde_json::Value;

use crate::actions::application::list;
use crate::actions::desk::{Desk, Remote};
use crate::actions::draft::text;
use crate::identity::{ObjectRef, Resource};
use crate::kinds::secrets::GROUP;

/// Secrets of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The region of the store.
    pub region: String,
    /// The keys, each once.
    pub keys: Vec<String>,
}

/// Who keeps a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Provider {
    /// Secrets Manager.
    Aws(Place),
    /// Somebody else, or nobody can tell which secret it is; in a sentence.
    Other(String),
}

/// Returns the keys that it is brought from, each once, in their order.
pub(super) fn keys(document: &Value) -> Vec<String> {
    let of_data = list(document, "/spec/data").iter().map(|one| text(one, "/remoteRef/key"));
    let of_whole = list(document, "/spec/dataFrom").iter().map(|one| text(one, "/extract/key"));
    let mut keys: Vec<String> = Vec::new();
    for key in of_data.chain(of_whole).filter(|key| !key.is_empty()) {
        if !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
        }
    }
    keys
}

/// Tells whether it takes a fixed version.
pub(super) fn is_pinned(document: &Value) -> bool {
    let of_data = list(document, "/spec/data").iter().map(|one| text(one, "/remoteRef/version"));
    let of_whole = list(document, "/spec/dataFrom").iter().map(|one| text(one, "/extract/version"));
    of_data.chain(of_whole).any(|version| !version.is_empty() && version != "AWSCURRENT")
}

/// Looks the store up and says who keeps the secret.
pub(super) async fn provider<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    document: &Value,
) -> Result<Provider, String> {
    let name = text(document, "/spec/secretStoreRef/name");
    if name.is_empty() {
        return Ok(Provider::Other("each of its entries names a store of its own".to_owned()));
    }
    let of_cluster = text(document, "/spec/secretStoreRef/kind") == "ClusterSecretStore";
    let store = ObjectRef {
        resource: Resource::new(GROUP, if of_cluster { "clustersecretstores" } else { "secretstores" }),
        namespace: object.namespace.clone().filter(|_| !of_cluster),
        name: name.into(),
        ..object.clone()
    };
    let found = desk.remote.look(&store).await.map_err(|error| format!("{store} cannot be read: {error}"))?;
    let Some(found) = found else { return Err(format!("{store} does not exist")) };
    let provider = found.pointer("/spec/provider");
    let named = provider.and_then(Value::as_object).and_then(|fields| fields.keys().next().cloned());
    let named = named.unwrap_or_else(|| "an unknown provider".to_owned());
    if text(&found, "/spec/provider/aws/service") != "SecretsManager" {
        let service = text(&found, "/spec/provider/aws/service");
        return Ok(Provider::Other(
            format!("store {name} brings it from {named} {service}").trim_end().to_owned(),
        ));
    }
    let keys = keys(document);
    if keys.is_empty() {
        return Ok(Provider::Other("it is found by a pattern, and names no secret".to_owned()));
    }
    Ok(Provider::Aws(Place { region: text(&found, "/spec/provider/aws/region").to_owned(), keys }))
}
