//! Reloader: restarts the workloads that ask for it when a Secret that they use changes.
//!
//! It works as Stakater's does with `--reload-strategy=annotations`: what it writes is an annotation of the pod
//! template, which Argo CD takes for no difference to Git (contracts 7.2).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::objects::Key;
use super::types::Type;
use super::untyped::{at, list, marked, put, text};
use super::view::{Seen, View};
use super::world::{Controller, Cx, fnv64};

/// What it leaves on the pod template.
const RELOADED: &str = "reloader.stakater.com/last-reloaded-from";

/// The controller.
#[derive(Debug, Default)]
pub struct Reloader {
    /// The hash of the content of each Secret, as it was seen last.
    known: HashMap<Key, u64>,
}

impl Controller for Reloader {
    fn name(&self) -> &'static str {
        "reloader"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        if seen.key.kind == Type::Secret {
            keys.push(seen.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        // A Secret that is deleted and made again with other content counts as changed.
        let Some(secret) = cx.get(key) else { return };
        let hash = fnv64(secret["data"].to_string().as_bytes());
        if self.known.insert(key.clone(), hash).is_none_or(|known| known == hash) {
            return;
        }
        if marked(&secret, "annotations", "reloader.stakater.com/ignore") == "true" {
            return;
        }
        let matched = marked(&secret, "annotations", "reloader.stakater.com/match") == "true";
        let hash = format!("{hash:016x}");
        for kind in [Type::Deployment, Type::StatefulSet, Type::DaemonSet] {
            let all: Vec<Key> =
                cx.objects.list(kind, Some(&key.namespace)).map(|object| object.key.clone()).collect();
            for workload in all {
                let Some(object) = cx.get(&workload) else { continue };
                if asks(&object, &key.name, matched) && uses(at(&object, "/spec/template/spec"), &key.name) {
                    restart(&workload, &object, key, &hash, cx);
                }
            }
        }
    }
}

fn restart(workload: &Key, object: &Value, secret: &Key, hash: &str, cx: &mut Cx<'_>) {
    let names: Vec<&str> =
        list(object, "/spec/template/spec/containers").iter().map(|one| text(one, "/name")).collect();
    let told = json!({
        "type": "SECRET", "name": &*secret.name, "namespace": &*secret.namespace, "hash": hash,
        "containerRefs": names, "observedAt": cx.now.as_second(),
    });
    let known = at(object, "/spec/template/metadata/annotations")[RELOADED].as_str().unwrap_or_default();
    let known: Value = serde_json::from_str(known).unwrap_or_default();
    if known["name"] == told["name"] && known["hash"] == told["hash"] {
        return;
    }
    cx.update(workload, |object| {
        put(object, &["spec", "template", "metadata", "annotations", RELOADED], told.to_string());
    });
    let message = format!(
        "Changes detected in '{}' of type 'SECRET' in namespace '{}', Updated '{}' of type '{}' in namespace '{}'",
        secret.name,
        secret.namespace,
        workload.name,
        workload.kind.info().kind,
        workload.namespace
    );
    cx.event(object, "Normal", "Reloaded", &message, "reloader");
}

fn asks(object: &Value, secret: &str, matched: bool) -> bool {
    let value = |key: &str| {
        let own = marked(object, "annotations", key);
        let of_template = at(object, "/spec/template/metadata/annotations")[key].as_str();
        if own.is_empty() { of_template.unwrap_or_default().to_owned() } else { own.to_owned() }
    };
    let listed = |key: &str| value(key).split(',').any(|name| name.trim() == secret);
    if listed("secrets.exclude.reloader.stakater.com/reload") {
        return false;
    }
    value("reloader.stakater.com/auto") == "true"
        || value("secret.reloader.stakater.com/auto") == "true"
        || listed("secret.reloader.stakater.com/reload")
        || (matched && value("reloader.stakater.com/search") == "true")
}

/// Tells whether what a pod's specification describes uses a Secret.
pub(super) fn uses(spec: &Value, secret: &str) -> bool {
    let containers = list(spec, "/containers").iter().chain(list(spec, "/initContainers"));
    let by_env = containers.clone().any(|container| {
        list(container, "/env").iter().any(|env| text(env, "/valueFrom/secretKeyRef/name") == secret)
            || list(container, "/envFrom").iter().any(|from| text(from, "/secretRef/name") == secret)
    });
    by_env
        || list(spec, "/volumes").iter().any(|volume| {
            text(volume, "/secret/secretName") == secret
                || list(volume, "/projected/sources").iter().any(|one| text(one, "/secret/name") == secret)
        })
}
