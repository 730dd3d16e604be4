//! Certificates: verdicts, the chain both ways, issuers.

use serde_json::{Value, json};

use super::issuers::Issuer;
use super::*;
use crate::kinds::Leads;
use crate::kinds::fixtures::{Cluster, ago, meta};

fn condition(name: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": name, "status": status, "reason": reason, "message": message})
}

/// A certificate with so many seconds left, renewed when 30 days are left.
fn certificate(left: i64, conditions: Value) -> Value {
    json!({
        "metadata": meta("shop/a-tls"),
        "spec": {"secretName": "a-tls", "dnsNames": ["a.example.com"], "issuerRef": {"kind": "ClusterIssuer", "name": "letsencrypt"}},
        "status": {"conditions": conditions, "notAfter": ago(-left), "renewalTime": ago(30 * 86_400 - left), "revision": 3},
    })
}

fn told(object: Value) -> (Health, String) {
    let mut cluster = Cluster::new();
    let object = cluster.decode("certificates", object);
    let (health, why) = cluster.kinds.find("certificates").unwrap().health(&object, &cluster.lens());
    (health, why.to_string())
}

const DAY: i64 = 86_400;

#[test]
fn a_certificate_is_as_bad_as_the_time_that_is_left_for_what_went_wrong() {
    let ready = condition("Ready", "True", "Ready", "");
    let failed =
        "The certificate request has failed to complete and will be retried: order is in \"invalid\" state: ";
    let failed = condition("Issuing", "False", "Failed", failed);
    assert_eq!(told(certificate(60 * DAY, json!([ready]))), (Health::Healthy, String::new()));
    assert_eq!(
        told(certificate(20 * DAY, json!([ready]))),
        (Health::Warning, "it is due to be renewed; it ends in 20d".to_owned())
    );
    let mut tried = certificate(20 * DAY, json!([ready, failed]));
    tried["status"]["failedIssuanceAttempts"] = json!(9);
    let why = "9 tries to renew it failed; it ends in 20d: order is in \"invalid\" state";
    assert_eq!(told(tried.clone()), (Health::Warning, why.to_owned()));
    tried["status"]["notAfter"] = json!(ago(-2 * DAY));
    assert_eq!(told(tried).0, Health::Degraded);
    let (health, why) = told(certificate(-3 * DAY, json!([ready])));
    assert_eq!((health, &*why), (Health::Degraded, "ended 3d ago"));
    let first =
        json!([condition("Ready", "False", "DoesNotExist", "Issuing certificate as Secret does not exist")]);
    let mut none = certificate(DAY, first);
    none["status"]["notAfter"] = Value::Null;
    assert_eq!(told(none).1, "Issuing certificate as Secret does not exist");
}

/// A certificate whose renewal failed, with its chain down to the challenge.
fn chain() -> Cluster {
    let mut cluster = Cluster::new();
    let owned = |path: &str, version: &str, kind: &str, owner: &str| {
        let mut meta = meta(path);
        meta["annotations"] = json!({CERTIFICATE: "a-tls", REVISION: "4"});
        meta["ownerReferences"] = json!([{"apiVersion": version, "kind": kind, "name": owner, "uid": format!("uid-shop/{owner}"), "controller": true}]);
        meta
    };
    let failed = condition("Issuing", "False", "Failed", "");
    cluster.list("certificates", vec![certificate(3 * DAY, json!([failed]))]);
    cluster.list(
        "certificaterequests",
        vec![json!({
            "metadata": owned("shop/a-tls-4", "cert-manager.io/v1", "Certificate", "a-tls"),
            "status": {"conditions": [condition("Approved", "True", "", ""), condition("Ready", "False", "Failed", "order is in \"invalid\" state")]},
        })],
    );
    cluster.list(
        "orders",
        vec![json!({
            "metadata": owned("shop/a-tls-4-1", "cert-manager.io/v1", "CertificateRequest", "a-tls-4"),
            "spec": {"dnsNames": ["a.example.com"]}, "status": {"state": "invalid"},
        })],
    );
    let reason = "Error accepting authorization: acme: authorization error for a.example.com: 400 urn:ietf:params:acme:error:dns: DNS problem: NXDOMAIN";
    cluster.list(
        "challenges",
        vec![json!({
            "metadata": owned("shop/a-tls-4-1-1", "acme.cert-manager.io/v1", "Order", "a-tls-4-1"),
            "spec": {"dnsName": "a.example.com", "type": "DNS-01"}, "status": {"state": "invalid", "reason": reason},
        })],
    );
    cluster
}

#[test]
fn what_a_challenge_says_stands_at_its_order_and_its_certificate() {
    let cluster = chain();
    let lens = cluster.lens();
    let why = |kind: &str, name: &str| {
        let object = cluster.object(kind, Some("shop"), name);
        cluster.kinds.find(kind).unwrap().health(object, &lens).1.to_string()
    };
    let said = "challenge for a.example.com: dns: DNS problem: NXDOMAIN";
    assert!(why("certificates", "a-tls").ends_with(said), "{}", why("certificates", "a-tls"));
    assert_eq!(why("orders", "a-tls-4-1"), said);
}

#[test]
fn the_chain_is_walked_both_ways() {
    let cluster = chain();
    let lens = cluster.lens();
    let links = |kind: &str, name: &str| -> Vec<(&'static str, String)> {
        let object = cluster.object(kind, Some("shop"), name);
        let links = cluster.kinds.find(kind).unwrap().links(object, &lens);
        let to = |link: Link| match link.to {
            Leads::One(one) => (link.relation, one.name.to_string()),
            Leads::Many { filter, .. } => (link.relation, filter),
        };
        links.into_iter().map(to).collect()
    };
    let certificate = links("certificates", "a-tls");
    for wanted in [
        ("issuer", "letsencrypt"),
        ("requests", "certificate=a-tls"),
        ("orders", "certificate=a-tls"),
        ("challenge", "a-tls-4-1-1"),
        ("ingresses", "secret=a-tls"),
    ] {
        assert!(
            certificate.iter().any(|(relation, to)| (*relation, &**to) == wanted),
            "{wanted:?} of {certificate:?}"
        );
    }
    assert!(links("certificaterequests", "a-tls-4").contains(&("owner", "a-tls".to_owned())));
    assert!(links("certificaterequests", "a-tls-4").contains(&("order", "a-tls-4-1".to_owned())));
    assert!(links("orders", "a-tls-4-1").contains(&("owner", "a-tls-4".to_owned())));
    assert!(links("orders", "a-tls-4-1").contains(&("certificate", "a-tls".to_owned())));
    assert!(links("challenges", "a-tls-4-1-1").contains(&("owner", "a-tls-4-1".to_owned())));
}

#[test]
fn an_issuer_says_how_names_are_proven() {
    let mut cluster = Cluster::new();
    let solvers = json!([
        {"dns01": {"route53": {"region": "eu-west-1", "hostedZoneID": "Z01"}}},
        {"dns01": {"webhook": {"groupName": "a", "solverName": "b"}}},
        {"http01": {"ingress": {"class": "nginx"}}},
    ]);
    let issuer = json!({"metadata": meta("letsencrypt"), "spec": {"acme": {"server": "https://acme.example.com", "solvers": solvers}}});
    let object = cluster.decode("clusterissuers", issuer);
    let body = object.body::<Issuer>().unwrap();
    assert_eq!(
        *body.solvers.iter().map(|one| &**one).collect::<Vec<_>>(),
        ["DNS-01 route53 zone Z01", "DNS-01 webhook", "HTTP-01 nginx"]
    );
    assert_eq!(body.kind, "ACME");
}

#[test]
fn an_alert_of_cert_manager_leads_to_its_certificate_and_other_names_do_not() {
    let labels = |name: &str| {
        let pairs = [("alertname", name), ("name", "a-tls")];
        crate::signals::Labels::from_iter(pairs.map(|(key, value)| (Text::from(key), Text::from(value))))
    };
    assert_eq!(crate::kinds::alerts::certificate_of(&labels("CertManagerCertExpirySoon")), Some("a-tls"));
    assert_eq!(crate::kinds::alerts::certificate_of(&labels("ExternalSecretNotReady")), None);
}
