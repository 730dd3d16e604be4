//! External Secrets: secrets that are brought.
//!
//! What is brought is what [`super::vault`] has; a refresh that fails leaves everything as it was and says so.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::Key;
use super::tenancy::{secret_of, synced_version};
use super::types::Type;
use super::untyped::{duration, later, marked, put, set_condition, text, time};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// Seconds until a refresh that failed is tried again.
const RETRY: f64 = 30.0;

/// The annotation with the hash of what was brought.
const DATA_HASH: &str = "reconcile.external-secrets.io/data-hash";

/// The controller.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Refreshes that failed: what was asked for, and when it is tried again.
    failed: HashMap<Key, (String, Timestamp)>,
}

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
            self.external(key, &object, cx);
        }
    }
}

impl Secrets {
    fn external(&mut self, key: &Key, object: &Value, cx: &mut Cx<'_>) {
        let target = object["spec"]["target"]["name"].as_str().unwrap_or(&key.name).to_owned();
        let secret = Key::new(Type::Secret, &key.namespace, &target);
        let interval =
            duration(object["spec"]["refreshInterval"].as_str().unwrap_or("1h0m0s")).unwrap_or(3600.0);
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
        // One that failed is tried again in a while, and at once when somebody asks.
        if let Some((_, again)) =
            self.failed.get(key).filter(|(asked, again)| *asked == version && cx.now < *again)
        {
            cx.at(*again, key);
            return;
        }
        if wanted {
            cx.vault.settle(cx.now);
            let brought = match secret_of(object, cx.vault, cx.now) {
                Ok(brought) => brought,
                Err(why) => {
                    self.failed.insert(key.clone(), (version, later(cx.now, RETRY)));
                    refuse(key, object, &why, cx);
                    return;
                }
            };
            self.failed.remove(key);
            bring(&secret, brought, missing, cx);
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
}

/// Says that a refresh failed; the time of the last good one stays (contracts 7.1).
fn refuse(key: &Key, object: &Value, why: &str, cx: &mut Cx<'_>) {
    let now = cx.stamp();
    cx.update(key, |object| {
        let message = "could not get secret data from provider";
        set_condition(object, "Ready", "False", "SecretSyncedError", message, &now);
    });
    cx.event(object, "Warning", "UpdateFailed", why, "external-secrets");
    cx.after(RETRY, key);
}

/// Writes what was brought where it differs: equal content leaves the Secret alone.
fn bring(at: &Key, brought: Value, missing: bool, cx: &mut Cx<'_>) {
    if missing {
        // Refused only where the namespace is going.
        let _ = cx.create(Type::Secret, brought);
        return;
    }
    let hash = |secret: &Value| marked(secret, "annotations", DATA_HASH).to_owned();
    if cx.get(at).is_none_or(|stored| hash(&stored) == hash(&brought)) {
        return;
    }
    cx.update(at, |secret| {
        put(secret, &["data"], brought["data"].clone());
        put(secret, &["metadata", "annotations", DATA_HASH], hash(&brought));
        put(secret, &["metadata", "managedFields"], brought["metadata"]["managedFields"].clone());
    });
}
