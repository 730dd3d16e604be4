//! The verdict of a rollback by what users see: whose requests are counted, and an alert of the Application's own workloads
//! that begins after it.

use std::time::Duration;

use http::Request;
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use opsdeck::actions::{Outcome, Verb};
use serde_json::{Value, json};

use crate::actions::{Bench, assert_verified, entry_before, to};

/// Tells the platform's Alertmanager of an alert, as any client may.
async fn raise(bench: &Bench, labels: Value, from: Timestamp, until: Timestamp) {
    let file = Kubeconfig::read_from(&bench.platform.kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let alert = json!([{ "labels": labels, "startsAt": from.to_string(), "endsAt": until.to_string() }]);
    let request = Request::builder()
        .method("POST")
        .uri("/api/v1/namespaces/monitoring/services/kube-prometheus-stack-alertmanager:9093/proxy/api/v2/alerts")
        .header("content-type", "application/json")
        .body(Body::from(alert.to_string().into_bytes()))
        .unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(30), client.send(request)).await.unwrap().unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

fn slow(deployment: &str) -> Value {
    json!({ "alertname": "CheckoutSlow", "namespace": "tenant-2", "deployment": deployment, "severity": "critical" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_of_its_own_workload_that_begins_after_the_rollback_holds_the_verdict_until_it_is_over() {
    let mut bench = Bench::start("bad-deploy").await;
    let app = bench.checkout(2);
    let (id, _) = entry_before(&bench.document(&app).await);
    let plan = bench.plan(Verb::Rollback, &app, to(id)).await;
    let begun = bench.clock.now();
    let over = begun + SignedDuration::from_secs(300);
    raise(&bench, slow("checkout"), begun + SignedDuration::from_secs(20), over).await;
    // Of somebody else's workload it is told and holds nothing back.
    raise(
        &bench,
        slow("payments"),
        begun + SignedDuration::from_secs(20),
        over + SignedDuration::from_hours(9),
    )
    .await;
    let outcome = bench.run(plan).await;
    assert_verified(&outcome);
    assert!(bench.clock.now() >= over, "not before the alert was over: {outcome:?}");
    assert!(outcome.detail().contains("error rate of ingress checkout"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_of_its_own_workload_that_stays_is_no_good_end_and_is_named() {
    let mut bench = Bench::start("bad-deploy").await;
    let app = bench.checkout(2);
    let (id, _) = entry_before(&bench.document(&app).await);
    let plan = bench.plan(Verb::Rollback, &app, to(id)).await;
    let begun = bench.clock.now();
    let (from, until) = (begun + SignedDuration::from_secs(20), begun + SignedDuration::from_hours(9));
    raise(&bench, slow("checkout"), from, until).await;
    // Long enough for the rollback itself on a busy machine; what follows is cut off by it.
    bench.desk.pace.limit = Duration::from_secs(12);
    let outcome = bench.run(plan).await;
    assert!(
        matches!(&outcome, Outcome::NotVerified(why)
            if why.contains("not good, an alert began after it: CheckoutSlow of checkout")),
        "{outcome:?}"
    );
}
