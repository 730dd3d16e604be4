//! cert-manager: certificates that are issued and renewed through requests, orders and challenges (contracts 8).
//!
//! A Certificate that must be issued gets a `CertificateRequest`, that an Order, and that a Challenge for each of its
//! names; what comes of the challenges goes the same way back. Who asks for an Ingress to have one is answered, too.
//!
//! # Why
//!
//! The authority is not simulated beyond the one thing that goes wrong with it in practice: it looks for the answer to
//! a challenge in the public zone, and where the issuer writes it into another one, it finds none. The check that
//! cert-manager makes before does not see that, because inside of the network the other zone answers.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::objects::{Key, seconds as stamp};
use super::pods::{hex64, letters, owner_reference};
use super::tenancy::{CANARY, encoded};
use super::types::Type;
use super::untyped::{
    at, clear_condition, condition, find_condition, later, list, marked, number, put, set_condition, slot,
    text, time,
};
use super::view::{Seen, View};
use super::world::{Controller, Cx, fnv64};

/// Seconds after which an order has its authorizations.
const ORDERED: f64 = 1.0;
/// Seconds after which the answer to a challenge stands in the zone.
const PRESENTED: f64 = 1.0;
/// Seconds after which the authority has looked for the answer.
const JUDGED: f64 = 5.0;
/// Seconds after which an order whose challenges are answered has its certificate.
const FINALIZED: f64 = 1.0;
/// How long a certificate holds, in days: that of Let's Encrypt.
const HOLDS: i64 = 90;
/// After how many days it is renewed: cert-manager begins at two thirds.
const RENEWED: i64 = 60;
/// The longest wait after failures, in hours.
const LONGEST_WAIT: f64 = 32.0;
/// The hosted zone that the world outside asks for the names of the platform.
pub const PUBLIC_ZONE: &str = "Z04126831K9QXTB2ACME1";

const NAME: &str = "cert-manager.io/certificate-name";
const REVISION: &str = "cert-manager.io/certificate-revision";

/// The controllers of cert-manager.
#[derive(Debug, Default)]
pub struct CertManager;

impl Controller for CertManager {
    fn name(&self) -> &'static str {
        "cert-manager"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        let own = match seen.key.kind {
            Type::Certificate | Type::Ingress => true,
            Type::CertificateRequest | Type::Order | Type::Challenge => {
                keys.extend(seen.owner.iter().cloned());
                true
            }
            _ => false,
        };
        if own && !seen.gone {
            keys.push(seen.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(object) = cx.get(key) else { return };
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        match key.kind {
            Type::Certificate => certificate(key, &object, cx),
            Type::CertificateRequest => request(key, &object, cx),
            Type::Order => order(key, &object, cx),
            Type::Challenge => challenge(key, &object, cx),
            Type::Ingress => shim(&object, cx),
            _ => {}
        }
    }
}

/// Returns when a certificate whose issuing has failed is tried again: 1 h, doubled with each failure.
fn retried(certificate: &Value) -> Option<Timestamp> {
    let failures = number(certificate, "/status/failedIssuanceAttempts");
    let last = time(certificate, "/status/lastFailureTime")?;
    let doublings = i32::try_from(failures.clamp(1, 10) - 1).unwrap_or(0);
    (failures > 0).then(|| later(last, 3600.0 * 2_f64.powi(doublings).min(LONGEST_WAIT)))
}

fn certificate(key: &Key, object: &Value, cx: &mut Cx<'_>) {
    if condition(object, "Issuing") == "True" {
        issue(key, object, cx);
        return;
    }
    let name = text(object, "/spec/secretName");
    let missing = cx.objects.get(&Key::new(Type::Secret, &key.namespace, name)).is_none();
    let renewal = time(object, "/status/renewalTime");
    let ends = time(object, "/status/notAfter");
    let now = cx.stamp();
    if ends.is_some_and(|ends| cx.now >= ends) && condition(object, "Ready") == "True" {
        let message = format!("Certificate expired on {}", text(object, "/status/notAfter"));
        cx.update(key, |object| {
            set_condition(object, "Ready", "False", "Expired", &message, &now);
        });
    }
    if let Some(ends) = ends.filter(|ends| *ends > cx.now) {
        cx.at(ends, key);
    }
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
    if let Some(again) = retried(object).filter(|again| *again > cx.now) {
        cx.at(again, key);
        return;
    }
    cx.update(key, |object| {
        set_condition(object, "Issuing", "True", reason, message, &now);
        if missing {
            set_condition(object, "Ready", "False", reason, message, &now);
        }
    });
    cx.event(object, "Normal", "Issuing", message, "cert-manager-certificates-trigger");
}

/// Brings an issuing further that was triggered.
fn issue(key: &Key, object: &Value, cx: &mut Cx<'_>) {
    let now = cx.stamp();
    let revision = number(object, "/status/revision") + 1;
    let name = format!("{}-{revision}", key.name);
    let wanted = Key::new(Type::CertificateRequest, &key.namespace, &name);
    let since = find_condition(object, "Issuing").and_then(|found| time(found, "/lastTransitionTime"));
    let found = cx.get(&wanted);
    // One that failed before this issuing was triggered makes room for a new one of its name.
    let stale = found.as_ref().is_some_and(|found| {
        time(found, "/status/failureTime").zip(since).is_some_and(|(failed, since)| failed < since)
    });
    if stale {
        cx.delete(&wanted);
    }
    let Some(found) = found.filter(|_| !stale) else {
        let key_name = format!("{}-{}", key.name, letters(fnv64(format!("{name}{now}").as_bytes()), 5));
        cx.update(key, |object| put(object, &["status", "nextPrivateKeySecretName"], key_name.clone()));
        let made = request_of(object, revision, &key_name);
        if cx.create(Type::CertificateRequest, made).is_ok() {
            let message = format!("Created new CertificateRequest resource \"{name}\"");
            cx.event(object, "Normal", "Requested", &message, "cert-manager-certificates-request-manager");
        }
        return;
    };
    let Some(ready) = find_condition(&found, "Ready") else { return };
    match (text(ready, "/status"), text(ready, "/reason")) {
        ("True", _) => issued(key, object, revision, cx),
        ("False", "Failed" | "Denied") => {
            let why = text(ready, "/message");
            let message =
                format!("The certificate request has failed to complete and will be retried: {why}");
            let failed = text(&found, "/status/failureTime").to_owned();
            cx.update(key, |object| {
                set_condition(object, "Issuing", "False", "Failed", &message, &now);
                observe(object);
                let attempts = number(object, "/status/failedIssuanceAttempts") + 1;
                put(object, &["status", "failedIssuanceAttempts"], attempts);
                put(object, &["status", "lastFailureTime"], failed);
                slot(object, &["status"])
                    .as_object_mut()
                    .map(|status| status.remove("nextPrivateKeySecretName"));
            });
            cx.event(object, "Warning", "Failed", &message, "cert-manager-certificates-issuing");
        }
        _ => {}
    }
}

/// Says for which generation the conditions were worked out.
fn observe(object: &mut Value) {
    let generation = object["metadata"]["generation"].clone();
    for found in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
        put(found, &["observedGeneration"], generation.clone());
    }
}

/// Puts the new certificate into its Secret.
fn issued(key: &Key, object: &Value, revision: i64, cx: &mut Cx<'_>) {
    let name = text(object, "/spec/secretName").to_owned();
    let secret = Key::new(Type::Secret, &key.namespace, &name);
    let now = cx.stamp();
    let data = json!({
        "tls.crt": encoded(&format!("{CANARY}{name}-certificate-{revision}")),
        "tls.key": encoded(&format!("{CANARY}{name}-private-key-{revision}")),
    });
    if cx.objects.get(&secret).is_none() {
        let issuer = at(object, "/spec/issuerRef");
        let made = json!({
            "metadata": {
                "name": name, "namespace": &*key.namespace, "labels": {"controller.cert-manager.io/fao": "true"},
                "annotations": {
                    NAME: &*key.name, "cert-manager.io/issuer-name": issuer["name"],
                    "cert-manager.io/issuer-kind": issuer["kind"],
                },
            },
            "type": "kubernetes.io/tls", "data": data,
        });
        // Refused only where the namespace is going.
        let _ = cx.create(Type::Secret, made);
    } else {
        cx.update(&secret, |secret| put(secret, &["data"], data));
    }
    let days = |days: i64| {
        stamp(cx.now.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX))
    };
    let (start, end, renewal) = (days(0), days(HOLDS), days(RENEWED));
    cx.update(key, |object| {
        clear_condition(object, "Issuing");
        let message = "Certificate is up to date and has not expired";
        set_condition(object, "Ready", "True", "Ready", message, &now);
        observe(object);
        put(object, &["status", "notBefore"], start);
        put(object, &["status", "notAfter"], end);
        put(object, &["status", "renewalTime"], renewal);
        put(object, &["status", "revision"], revision);
        if let Some(status) = slot(object, &["status"]).as_object_mut() {
            for gone in ["nextPrivateKeySecretName", "failedIssuanceAttempts", "lastFailureTime"] {
                status.remove(gone);
            }
        }
    });
    // Only the request of the present revision is kept (revisionHistoryLimit is 1).
    let present = revision.to_string();
    let old: Vec<Key> = cx
        .view
        .owned(key)
        .filter(|owned| owned.kind == Type::CertificateRequest)
        .filter(|owned| cx.get(owned).is_some_and(|old| marked(&old, "annotations", REVISION) != present))
        .cloned()
        .collect();
    for old in old {
        cx.delete(&old);
    }
    let message = "The certificate has been successfully issued";
    cx.event(object, "Normal", "Issuing", message, "cert-manager-certificates-issuing");
}

/// Returns the request of a revision of a Certificate.
pub fn request_of(certificate: &Value, revision: i64, key_name: &str) -> Value {
    let name = text(certificate, "/metadata/name");
    json!({
        "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
        "metadata": {
            "name": format!("{name}-{revision}"), "namespace": certificate["metadata"]["namespace"],
            "labels": certificate["metadata"]["labels"],
            "annotations": {
                NAME: name, REVISION: revision.to_string(), "cert-manager.io/private-key-secret-name": key_name,
            },
            "ownerReferences": [owner_reference(certificate)],
        },
        "spec": {
            "issuerRef": certificate["spec"]["issuerRef"], "request": encoded(&format!("{name}-{revision} signing request")),
            "usages": certificate["spec"]["usages"], "username": "system:serviceaccount:cert-manager:cert-manager",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:cert-manager", "system:authenticated"],
        },
    })
}

/// Returns the order of a request for some names.
pub fn order_of(request: &Value, names: &Value) -> Value {
    let name = text(request, "/metadata/name");
    // Named by what is asked for, so that the same request has the same order.
    let number = fnv64(format!("{name}{}", text(request, "/metadata/uid")).as_bytes()) % 1_000_000_000;
    json!({
        "apiVersion": "acme.cert-manager.io/v1", "kind": "Order",
        "metadata": {
            "name": format!("{name}-{number}"), "namespace": request["metadata"]["namespace"],
            "labels": request["metadata"]["labels"], "annotations": request["metadata"]["annotations"],
            "ownerReferences": [owner_reference(request)],
        },
        "spec": {"dnsNames": names, "issuerRef": request["spec"]["issuerRef"], "request": request["spec"]["request"]},
    })
}

/// Sets everything that was issued before the world began: the request and the order of a Certificate, done with.
pub fn done(kind: Type, object: &mut Value, at: &str) {
    if kind == Type::Order {
        put(
            object,
            &["status"],
            json!({"state": "valid", "url": url("order", text(object, "/metadata/name"))}),
        );
        return;
    }
    set_condition(object, "Approved", "True", "cert-manager.io", APPROVED, at);
    set_condition(object, "Ready", "True", "Issued", FETCHED, at);
}

const APPROVED: &str = "Certificate request has been approved by cert-manager.io";
const FETCHED: &str = "Certificate fetched from issuer successfully";

fn url(what: &str, seed: &str) -> String {
    format!("https://acme-v02.api.letsencrypt.org/acme/{what}/{}", fnv64(seed.as_bytes()) % 10_000_000_000)
}

/// Returns the issuer that something names.
fn issuer(object: &Value, namespace: &str, cx: &Cx<'_>) -> Option<Value> {
    let name = text(object, "/spec/issuerRef/name");
    let key = match text(object, "/spec/issuerRef/kind") {
        "ClusterIssuer" => Key::new(Type::ClusterIssuer, "", name),
        _ => Key::new(Type::Issuer, namespace, name),
    };
    cx.get(&key)
}

fn request(key: &Key, object: &Value, cx: &mut Cx<'_>) {
    let now = cx.stamp();
    if condition(object, "Approved").is_empty() {
        cx.update(key, |object| {
            set_condition(object, "Approved", "True", "cert-manager.io", APPROVED, &now);
        });
        cx.event(object, "Normal", "cert-manager.io", APPROVED, "cert-manager-certificaterequests-approver");
        return;
    }
    let over = find_condition(object, "Ready")
        .is_some_and(|ready| text(ready, "/status") == "True" || text(ready, "/reason") == "Failed");
    if over {
        return;
    }
    let Some(issuer) = issuer(object, &key.namespace, cx) else {
        let name = text(object, "/spec/issuerRef/name");
        let kind = text(object, "/spec/issuerRef/kind");
        let kind = if kind.is_empty() { "Issuer" } else { kind };
        let message = format!(
            "Referenced {kind:?} not found: {}.cert-manager.io {name:?} not found",
            kind.to_lowercase()
        );
        pend(key, &message, cx);
        cx.after(60.0, key);
        return;
    };
    if issuer["spec"]["acme"].is_null() {
        // An authority of the cluster's own signs at once.
        cx.update(key, |object| {
            set_condition(object, "Ready", "True", "Issued", FETCHED, &now);
        });
        return;
    }
    let owned: Option<Key> = cx.view.owned(key).find(|owned| owned.kind == Type::Order).cloned();
    let Some(order) = owned.and_then(|owned| cx.get(&owned)) else {
        let certificate = Key::new(Type::Certificate, &key.namespace, marked(object, "annotations", NAME));
        let Some(certificate) = cx.get(&certificate) else { return };
        let made = order_of(object, at(&certificate, "/spec/dnsNames"));
        let name = format!("{}/{}", key.namespace, text(&made, "/metadata/name"));
        if cx.create(Type::Order, made).is_ok() {
            let message = format!("Created Order resource {name}");
            pend(key, &message, cx);
            cx.event(
                object,
                "Normal",
                "OrderCreated",
                &message,
                "cert-manager-certificaterequests-issuer-acme",
            );
        }
        return;
    };
    let name = text(&order, "/metadata/name");
    match text(&order, "/status/state") {
        "valid" => {
            cx.update(key, |object| {
                set_condition(object, "Ready", "True", "Issued", FETCHED, &now);
            });
            cx.event(
                object,
                "Normal",
                "CertificateIssued",
                FETCHED,
                "cert-manager-certificaterequests-issuer-acme",
            );
        }
        state @ ("invalid" | "expired" | "errored") => {
            let why = text(&order, "/status/reason");
            let message = format!(
                "Failed to wait for order resource {name:?} to become ready: order is in {state:?} state: {why}"
            );
            cx.update(key, |object| {
                set_condition(object, "Ready", "False", "Failed", message.trim_end(), &now);
                put(object, &["status", "failureTime"], now.clone());
            });
            cx.event(
                object,
                "Warning",
                "OrderFailed",
                &message,
                "cert-manager-certificaterequests-issuer-acme",
            );
        }
        state => {
            let message =
                format!("Waiting on certificate issuance from order {}/{name}: {state:?}", key.namespace);
            pend(key, &message, cx);
        }
    }
}

/// Says what a request waits for.
fn pend(key: &Key, message: &str, cx: &mut Cx<'_>) {
    let now = cx.stamp();
    cx.update(key, |object| {
        set_condition(object, "Ready", "False", "Pending", message, &now);
    });
}

fn order(key: &Key, object: &Value, cx: &mut Cx<'_>) {
    let created = time(object, "/metadata/creationTimestamp").unwrap_or(cx.now);
    let names: Vec<String> =
        list(object, "/spec/dnsNames").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let state = text(object, "/status/state").to_owned();
    if state.is_empty() {
        let due = later(created, ORDERED);
        if cx.now < due {
            cx.at(due, key);
            return;
        }
        let authorizations: Vec<Value> = names.iter().map(|name| authorization(key, name)).collect();
        let place = url("order", &key.name);
        cx.update(key, |object| {
            put(
                object,
                &["status"],
                json!({
                    "state": "pending", "url": place, "finalizeURL": url("finalize", &key.name),
                    "authorizations": authorizations,
                }),
            );
        });
        return;
    }
    if state != "pending" {
        return;
    }
    let challenges: Vec<(Key, Value)> = cx
        .view
        .owned(key)
        .filter(|owned| owned.kind == Type::Challenge)
        .filter_map(|owned| Some((owned.clone(), cx.get(owned)?)))
        .collect();
    if challenges.is_empty() {
        let Some(issuer) = issuer(object, &key.namespace, cx) else { return };
        let mut made = Vec::new();
        for (number, name) in names.iter().enumerate() {
            made.extend(challenge_of(object, number, name, &issuer));
        }
        for challenge in made {
            let message = format!(
                "Created Challenge resource {:?} for domain {:?}",
                text(&challenge, "/metadata/name"),
                text(&challenge, "/spec/dnsName")
            );
            if cx.create(Type::Challenge, challenge).is_ok() {
                cx.event(object, "Normal", "Created", &message, "cert-manager-orders");
            }
        }
        return;
    }
    let states: Vec<&str> = challenges.iter().map(|(_, one)| text(one, "/status/state")).collect();
    if states.iter().any(|state| matches!(*state, "invalid" | "expired" | "errored")) {
        // Its challenges stay: they say why.
        let now = cx.stamp();
        cx.update(key, |object| {
            put(object, &["status", "state"], "invalid");
            put(object, &["status", "failureTime"], now);
        });
    } else if states.iter().all(|state| *state == "valid") {
        let judged = challenges.iter().filter_map(|(_, one)| time(one, "/metadata/creationTimestamp")).max();
        let due = later(judged.unwrap_or(cx.now), JUDGED + FINALIZED);
        if cx.now < due {
            cx.at(due, key);
            return;
        }
        cx.update(key, |object| {
            put(object, &["status", "state"], "valid");
            put(object, &["status", "certificate"], encoded(&format!("{} chain", key.name)));
        });
        for (challenge, _) in &challenges {
            cx.delete(challenge);
        }
        cx.event(object, "Normal", "Complete", "Order completed successfully", "cert-manager-orders");
    }
}

fn authorization(order: &Key, name: &str) -> Value {
    let seed = format!("{}{name}", order.name);
    let offered: Vec<Value> = ["http-01", "dns-01", "tls-alpn-01"]
        .iter()
        .map(|kind| json!({"type": kind, "token": token(&seed), "url": url("chall", &format!("{seed}{kind}"))}))
        .collect();
    json!({
        "identifier": name.trim_start_matches("*."), "initialState": "pending", "url": url("authz", &seed),
        "wildcard": name.starts_with("*."), "challenges": offered,
    })
}

fn token(seed: &str) -> String {
    hex64(fnv64(seed.as_bytes()))[..43].to_owned()
}

fn challenge_of(order: &Value, number: usize, name: &str, issuer: &Value) -> Option<Value> {
    let solver = list(issuer, "/spec/acme/solvers").first()?.clone();
    let kind = if solver["dns01"].is_null() { "HTTP-01" } else { "DNS-01" };
    let parent = text(order, "/metadata/name");
    let seed = format!("{parent}{name}");
    Some(json!({
        "apiVersion": "acme.cert-manager.io/v1", "kind": "Challenge",
        "metadata": {
            "name": format!("{parent}-{}", fnv64(seed.as_bytes()) % 10_000_000_000), "namespace": order["metadata"]["namespace"],
            "labels": order["metadata"]["labels"], "ownerReferences": [owner_reference(order)],
            "finalizers": [],
        },
        "spec": {
            "authorizationURL": order["status"]["authorizations"][number]["url"],
            "dnsName": name.trim_start_matches("*."), "issuerRef": order["spec"]["issuerRef"],
            "key": hex64(fnv64(format!("{seed}key").as_bytes()))[..43].to_owned(), "solver": solver, "token": token(&seed),
            "type": kind, "url": url("chall", &seed), "wildcard": name.starts_with("*."),
        },
    }))
}

fn challenge(key: &Key, object: &Value, cx: &mut Cx<'_>) {
    let created = time(object, "/metadata/creationTimestamp").unwrap_or(cx.now);
    let name = text(object, "/spec/dnsName").to_owned();
    let kind = text(object, "/spec/type").to_owned();
    match text(object, "/status/state") {
        "" => {
            cx.update(key, |object| {
                put(object, &["status"], json!({"state": "pending", "processing": true, "presented": false}));
            });
            cx.event(
                object,
                "Normal",
                "Started",
                "Challenge scheduled for processing",
                "cert-manager-challenges",
            );
        }
        "pending" if object["status"]["presented"] != true => {
            let due = later(created, PRESENTED);
            if cx.now < due {
                cx.at(due, key);
                return;
            }
            let waits = if kind == "DNS-01" {
                format!(
                    "Waiting for DNS-01 challenge propagation: DNS record for {name:?} not yet propagated"
                )
            } else {
                "Waiting for HTTP-01 challenge propagation: wrong status code '404', expected '200'"
                    .to_owned()
            };
            let now = cx.stamp();
            cx.update(key, |object| {
                put(object, &["status", "presented"], true);
                put(object, &["status", "presentedAt"], now);
                put(object, &["status", "reason"], waits);
            });
            let message = format!("Presented challenge using {kind} challenge mechanism");
            cx.event(object, "Normal", "Presented", &message, "cert-manager-challenges");
        }
        "pending" => {
            let due = later(created, JUDGED);
            if cx.now < due {
                cx.at(due, key);
                return;
            }
            judge(key, object, &name, cx);
        }
        _ => {}
    }
}

/// Has the authority look for the answer to a challenge.
fn judge(key: &Key, object: &Value, name: &str, cx: &mut Cx<'_>) {
    let zone = text(object, "/spec/solver/dns01/route53/hostedZoneID");
    let answered = zone.is_empty() || zone == PUBLIC_ZONE;
    let (state, reason) = if answered {
        ("valid", "Successfully authorized domain".to_owned())
    } else {
        // The words of Let's Encrypt, as cert-manager hands them on.
        let reason = format!(
            "Error accepting authorization: acme: authorization error for {name}: 400 urn:ietf:params:acme:error:dns: DNS problem: NXDOMAIN looking up TXT for _acme-challenge.{name} - check that a DNS record exists for this domain"
        );
        ("invalid", reason)
    };
    cx.update(key, |object| {
        put(object, &["status", "state"], state);
        put(object, &["status", "processing"], false);
        put(object, &["status", "reason"], reason.clone());
    });
    if answered {
        let message = format!("Domain {name:?} verified with {:?} validation", text(object, "/spec/type"));
        cx.event(object, "Normal", "DomainVerified", &message, "cert-manager-challenges");
    } else {
        let message = format!(
            "Accepting challenge authorization failed: {}",
            &reason["Error accepting authorization: ".len()..]
        );
        cx.event(object, "Warning", "Failed", &message, "cert-manager-challenges");
    }
}

/// Makes the Certificates that an Ingress asks for by its annotations.
fn shim(ingress: &Value, cx: &mut Cx<'_>) {
    let cluster = marked(ingress, "annotations", "cert-manager.io/cluster-issuer");
    let (kind, issuer) = match cluster {
        "" => ("Issuer", marked(ingress, "annotations", "cert-manager.io/issuer")),
        cluster => ("ClusterIssuer", cluster),
    };
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
            "metadata": {"name": name, "namespace": namespace, "labels": ingress["metadata"]["labels"], "ownerReferences": [owner_reference(ingress)]},
            "spec": {
                "secretName": name, "dnsNames": tls["hosts"], "usages": ["digital signature", "key encipherment"],
                "issuerRef": {"group": "cert-manager.io", "kind": kind, "name": issuer},
            },
        });
        if cx.create(Type::Certificate, made).is_ok() {
            let message = format!("Successfully created Certificate \"{name}\"");
            cx.event(ingress, "Normal", "CreateCertificate", &message, "cert-manager-ingress-shim");
        }
    }
}
