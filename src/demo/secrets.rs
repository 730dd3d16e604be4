//! External Secrets: secrets that are brought.
//!
//! The remote store always answers; how it fails is not simulated.

use serde_json::{Value, json};

use super::objects::Key;
use super::tenancy::{secret_of, synced_version};
use super::types::Type;
use super::untyped::{duration, later, put, set_condition, text, time};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// The controller.
#[derive(Debug, Default)]
pub struct Secrets;

impl Controller for Secrets {
    fn name(&self) -> &'static str {
        "external-secrets"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::ExternalSecret if !seen.gone => keys.push(seen.key.clone()),
            // A secret that is taken away is brought again.
            Type::Secret => {
                keys.extend(seen.owner.iter().filter(|owner| owner.kind == Type::ExternalSecret).cloned());
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(object) = cx.get(key) else { return };
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        if key.kind == Type::ExternalSecret {
            external(key, &object, cx);
        }
    }
}

fn external(key: &Key, object: &Value, cx: &mut Cx<'_>) {
    let target = object["spec"]["target"]["name"].as_str().unwrap_or(&key.name).to_owned();
    let secret = Key::new(Type::Secret, &key.namespace, &target);
    let interval = duration(object["spec"]["refreshInterval"].as_str().unwrap_or("1h0m0s")).unwrap_or(3600.0);
    let refreshed = time(object, "/status/refreshTime");
    let version = synced_version(object);
    let policy = object["spec"]["refreshPolicy"].as_str().unwrap_or("Periodic");
    let missing = cx.objects.get(&secret).is_none();
    let due = refreshed.map(|at| later(at, interval));
    let changed = text(object, "/status/syncedResourceVersion") != version;
    let wanted = match (policy, refreshed) {
        (_, None) => true,
        ("CreatedOnce", Some(_)) => missing,
        ("OnChange", Some(_)) => missing || changed,
        _ => missing || changed || (interval > 0.0 && due.is_some_and(|due| cx.now >= due)),
    };
    if wanted {
        if missing {
            let made = secret_of(object, cx.rng);
            // Refused only where the namespace is going.
            let _ = cx.create(Type::Secret, made);
        }
        let now = cx.stamp();
        cx.update(key, |object| {
            put(object, &["status", "refreshTime"], now.clone());
            put(object, &["status", "syncedResourceVersion"], version);
            put(object, &["status", "binding"], json!({"name": target}));
            set_condition(object, "Ready", "True", "SecretSynced", "secret synced", &now);
        });
        cx.event(object, "Normal", "Updated", "Updated Secret", "external-secrets");
    }
    if policy == "Periodic" && interval > 0.0 {
        let next = if wanted { later(cx.now, interval) } else { due.unwrap_or(cx.now) };
        cx.at(next, key);
    }
}
