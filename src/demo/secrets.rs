//! External Secrets and cert-manager: secrets that are brought, and certificates that are issued.
//!
//! The remote store always answers; how it fails is not simulated.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::objects::{Key, seconds as stamp};
use super::tenancy::{CANARY, encoded, secret_of, synced_version};
use super::types::Type;
use super::untyped::{
    clear_condition, condition, duration, find_condition, later, list, marked, number, put, set_condition,
    text, time,
};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// Seconds that issuing a certificate takes.
const ISSUE: f64 = 8.0;

/// The controllers.
#[derive(Debug, Default)]
pub struct Secrets;

impl Controller for Secrets {
    fn name(&self) -> &'static str {
        "external-secrets"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::ExternalSecret | Type::Certificate | Type::Ingress if !seen.gone => {
                keys.push(seen.key.clone());
            }
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
        match key.kind {
            Type::ExternalSecret => external(key, &object, cx),
            Type::Certificate => certificate(key, &object, cx),
            Type::Ingress => shim(&object, cx),
            _ => {}
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

fn certificate(key: &Key, object: &Value, cx: &mut Cx<'_>) {
    let name = text(object, "/spec/secretName").to_owned();
    let secret = Key::new(Type::Secret, &key.namespace, &name);
    let missing = cx.objects.get(&secret).is_none();
    let renewal = time(object, "/status/renewalTime");
    let now = cx.stamp();
    if condition(object, "Issuing") != "True" {
        let (reason, message) = if missing {
            ("DoesNotExist", "Issuing certificate as Secret does not exist")
        } else if renewal.is_none_or(|at| cx.now >= at) {
            ("Renewing", "Renewing certificate as renewal was scheduled")
        } else {
            if let Some(at) = renewal {
                cx.at(at, key);
            }
            return;
        };
        cx.update(key, |object| {
            set_condition(object, "Issuing", "True", reason, message, &now);
            if missing {
                set_condition(object, "Ready", "False", reason, message, &now);
            }
        });
        cx.event(object, "Normal", "Issuing", message, "cert-manager-certificates-trigger");
        cx.after(ISSUE, key);
        return;
    }
    let since = find_condition(object, "Issuing").and_then(|found| time(found, "/lastTransitionTime"));
    let due = later(since.unwrap_or(cx.now), ISSUE);
    if cx.now < due {
        cx.at(due, key);
        return;
    }
    let revision = number(object, "/status/revision") + 1;
    let data = json!({
        "tls.crt": encoded(&format!("{CANARY}{name}-certificate-{revision}")),
        "tls.key": encoded(&format!("{CANARY}{name}-private-key-{revision}")),
    });
    if missing {
        let made = json!({
            "metadata": {
                "name": name, "namespace": &*key.namespace, "labels": {"controller.cert-manager.io/fao": "true"},
                "annotations": {"cert-manager.io/certificate-name": &*key.name},
            },
            "type": "kubernetes.io/tls", "data": data,
        });
        let _ = cx.create(Type::Secret, made);
    } else {
        cx.update(&secret, |secret| put(secret, &["data"], data));
    }
    let days = |days: i64| {
        stamp(cx.now.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX))
    };
    let (start, end, renewal) = (days(0), days(90), days(60));
    cx.update(key, |object| {
        clear_condition(object, "Issuing");
        set_condition(
            object,
            "Ready",
            "True",
            "Ready",
            "Certificate is up to date and has not expired",
            &now,
        );
        let generation = object["metadata"]["generation"].clone();
        for found in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
            put(found, &["observedGeneration"], generation.clone());
        }
        put(object, &["status", "notBefore"], start);
        put(object, &["status", "notAfter"], end);
        put(object, &["status", "renewalTime"], renewal);
        put(object, &["status", "revision"], revision);
    });
    cx.event(
        object,
        "Normal",
        "Issuing",
        "The certificate has been successfully issued",
        "cert-manager-certificates-issuing",
    );
}

/// Makes the Certificates that an Ingress asks for by its annotation.
fn shim(ingress: &Value, cx: &mut Cx<'_>) {
    let issuer = marked(ingress, "annotations", "cert-manager.io/cluster-issuer").to_owned();
    if issuer.is_empty() {
        return;
    }
    let namespace = text(ingress, "/metadata/namespace");
    for tls in list(ingress, "/spec/tls") {
        let name = text(tls, "/secretName");
        if name.is_empty() || cx.objects.get(&Key::new(Type::Certificate, namespace, name)).is_some() {
            continue;
        }
        let made = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": name, "namespace": namespace, "labels": ingress["metadata"]["labels"], "ownerReferences": [super::pods::owner_reference(ingress)]},
            "spec": {
                "secretName": name, "dnsNames": tls["hosts"], "usages": ["digital signature", "key encipherment"],
                "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": issuer},
            },
        });
        if cx.create(Type::Certificate, made).is_ok() {
            let message = format!("Successfully created Certificate \"{name}\"");
            cx.event(ingress, "Normal", "CreateCertificate", &message, "cert-manager-ingress-shim");
        }
    }
}
