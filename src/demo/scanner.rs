//! The team's scanner of public places: it marks a Secret whose content was found in one, and takes the mark away once
//! that content opens nothing for the platform any more.
//!
//! It lives outside of the cluster and knows a content by its hash alone; kube-state-metrics makes the mark a series,
//! and a rule makes the series an alert. It restarts nobody and rotates nothing.

use std::collections::HashMap;

use serde_json::Value;

use super::objects::Key;
use super::reloader::uses;
use super::types::Type;
use super::untyped::{at, mark, marked};
use super::view::{Seen, View};
use super::world::{Controller, Cx};
use crate::identity::Text;

/// The annotation of a Secret whose content was found: the hash of that content.
pub const LEAKED: &str = "security.example.com/leaked";

/// The annotation with the hash of what External Secrets brought (contracts 7.1).
const DATA_HASH: &str = "reconcile.external-secrets.io/data-hash";

/// Its name in events.
const NAME: &str = "secret-scanner";

/// Seconds between two looks at who still uses what was found.
const LOOK: f64 = 5.0;

/// A content that was found in a public place.
#[derive(Debug)]
struct Leak {
    /// Its hash.
    content: String,
    /// The pods that used it when the Secret changed; `None` while it has not.
    users: Option<Vec<(Key, Text)>>,
}

/// The scanner.
#[derive(Debug, Default)]
pub struct Scanner {
    leaks: HashMap<Key, Leak>,
}

/// Has the scanner find what a Secret holds.
pub fn found(secret: &Key, cx: &mut Cx<'_>) {
    cx.update(secret, |secret| {
        let content = marked(secret, "annotations", DATA_HASH).to_owned();
        mark(secret, "annotations", LEAKED, &content);
    });
    let message = format!(
        "The password of {}/{} was found in a public repository: rotate it, and see that no pod uses it any more",
        secret.namespace,
        secret.name.strip_suffix("-credentials").unwrap_or(&secret.name)
    );
    tell(secret, ("Warning", "CredentialLeaked", &message), cx);
}

impl Controller for Scanner {
    fn name(&self) -> &'static str {
        NAME
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        if seen.key.kind == Type::Secret && !seen.gone {
            keys.push(seen.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(secret) = cx.get(key) else { return };
        let content = marked(&secret, "annotations", DATA_HASH);
        let told = marked(&secret, "annotations", LEAKED);
        if !told.is_empty() && self.leaks.get(key).is_none_or(|leak| leak.content != told) {
            self.leaks.insert(key.clone(), Leak { content: told.to_owned(), users: None });
        }
        let Some(leak) = self.leaks.get_mut(key) else { return };
        if content == leak.content {
            leak.users = None;
            // The version before is back: what was found opens the door again.
            if told.is_empty() {
                found(key, cx);
            }
            return;
        }
        if told.is_empty() {
            return;
        }
        let users = leak.users.get_or_insert_with(|| users(key, cx));
        users.retain(|(pod, uid)| cx.objects.get(pod).is_some_and(|now| now.uid == *uid));
        if !users.is_empty() {
            cx.after(LOOK, key);
            return;
        }
        cx.update(key, |secret| {
            if let Some(marks) = secret.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
                marks.remove(LEAKED);
            }
        });
        let message = "No pod uses what was found any more";
        tell(key, ("Normal", "CredentialRetired", message), cx);
    }
}

/// Returns the pods that use a Secret now.
fn users(secret: &Key, cx: &Cx<'_>) -> Vec<(Key, Text)> {
    let pods = cx.objects.list(Type::Pod, Some(&secret.namespace));
    pods.filter(|pod| uses(at(&pod.value(), "/spec"), &secret.name))
        .map(|pod| (pod.key.clone(), pod.uid.clone()))
        .collect()
}

/// Leaves an event on the `ExternalSecret` that feeds a Secret, where people look.
fn tell(secret: &Key, (kind, reason, message): (&str, &str, &str), cx: &mut Cx<'_>) {
    let external = Key::new(Type::ExternalSecret, &secret.namespace, &secret.name);
    if let Some(external) = cx.get(&external) {
        cx.event(&external, kind, reason, message, NAME);
    }
}
