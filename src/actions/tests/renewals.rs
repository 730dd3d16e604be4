//! Renewals: what the plan says, what is written, and what becomes of it along the chain.

use super::*;

async fn chain(cluster: &Cluster, certificate: &ObjectRef, state: &str, reason: &str) {
    let owned = |kind: &str, owner: &Value| json!([{ "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": true }]);
    let stored = cluster.get(certificate).await.unwrap();
    let annotations = json!({ "cert-manager.io/certificate-revision": "5" });
    let request = object("cert-manager.io", "certificaterequests", "tenant-2", "checkout-tls-5");
    let metadata = json!({ "annotations": annotations, "ownerReferences": owned("Certificate", &stored) });
    cluster.put(&request, json!({ "metadata": metadata })).await;
    let stored = cluster.get(&request).await.unwrap();
    let order = object("acme.cert-manager.io", "orders", "tenant-2", "checkout-tls-5-1");
    let metadata = json!({ "ownerReferences": owned("CertificateRequest", &stored) });
    cluster.put(&order, json!({ "metadata": metadata, "status": { "state": state } })).await;
    let stored = cluster.get(&order).await.unwrap();
    let challenge = object("acme.cert-manager.io", "challenges", "tenant-2", "checkout-tls-5-1-1");
    let metadata = json!({ "ownerReferences": owned("Order", &stored) });
    let document = json!({ "metadata": metadata, "spec": { "dnsName": "shop.example.com", "type": "DNS-01" },
        "status": { "state": state, "reason": reason } });
    cluster.put(&challenge, document).await;
}

#[tokio::test]
async fn the_plan_says_which_revision_ends_when_and_whether_its_issuer_can() {
    let bench = Bench::new();
    let (certificate, options) = something_for(&bench.cluster, Verb::Renew).await;
    let plan = bench.plan(Verb::Renew, &certificate, options).await;
    assert_line(&plan, Mark::To, "revision 5 for shop.example.com");
    assert_line(&plan, Mark::From, "revision 4, it ends in 3d (2026-01-08T12:00:00Z)");
    assert_line(&plan, Mark::Ok, "clusterissuers.cert-manager.io letsencrypt is ready");
    assert_line(&plan, Mark::Ok, "you may update certificates.cert-manager.io/status in tenant-2");
    assert_eq!(plan.command, "cmctl renew checkout-tls -n tenant-2");
}

#[tokio::test]
async fn one_that_is_being_issued_is_not_asked_for_twice() {
    let bench = Bench::new();
    let (certificate, options) = something_for(&bench.cluster, Verb::Renew).await;
    let issuing = json!([{ "type": "Issuing", "status": "True", "reason": "Renewing" }]);
    bench.cluster.change(&certificate, json!({ "status": { "conditions": issuing } })).await;
    let plan = bench.plan(Verb::Renew, &certificate, options).await;
    assert_line(&plan, Mark::Stop, "a new one is being issued already");
}

#[tokio::test]
async fn a_challenge_that_fails_ends_it_with_its_reason_and_what_to_do() {
    let mut bench = Bench::new();
    let (certificate, options) = something_for(&bench.cluster, Verb::Renew).await;
    let plan = bench.plan(Verb::Renew, &certificate, options).await;
    let confirmed = bench.confirm(plan);
    let cluster = bench.cluster.clone();
    let at = certificate.clone();
    // Somebody else ends the issuing as soon as it is begun.
    let fails = async move {
        loop {
            let now = cluster.get(&at).await.unwrap();
            if now["status"]["conditions"].to_string().contains("ManuallyTriggered") {
                let reason = "acme: 400 urn:ietf:params:acme:error:dns: NXDOMAIN looking up TXT";
                chain(&cluster, &at, "invalid", reason).await;
                let failed =
                    json!([{ "type": "Issuing", "status": "False", "reason": "Failed", "message": "no" }]);
                cluster.change(&at, json!({ "status": { "conditions": failed } })).await;
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let (outcome, ()) = tokio::join!(bench.run(confirmed), fails);
    let Outcome::Failed(why) = outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("DNS-01 for shop.example.com is invalid: acme: 400"), "{why}");
    assert!(why.contains("the present one serves on, it ends in 3d"), "{why}");
    assert!(
        why.contains("Look whether the DNS-01 solver of clusterissuers.cert-manager.io letsencrypt"),
        "{why}"
    );
}
