//! The chain of a rotation: each proof, what stops it, what is sent and how often.

use super::*;
use crate::actions::left::{Left, left};
use crate::actions::undo::entries;
use crate::sources::cloudwatch::{CURRENT, PENDING};

/// An `ExternalSecret` of tenant-2 with its store, its Secret and what AWS has.
pub async fn external(cluster: &Cluster) -> ObjectRef {
    let external = object("external-secrets.io", "externalsecrets", "tenant-2", "checkout-db");
    let store = object("external-secrets.io", "clustersecretstores", "", "aws");
    let provider = json!({ "aws": { "service": "SecretsManager", "region": "eu-west-1" } });
    cluster.put(&store, json!({ "spec": { "provider": provider } })).await;
    let document = json!({
        "spec": {
            "refreshInterval": "1h0m0s", "secretStoreRef": { "kind": "ClusterSecretStore", "name": "aws" },
            "target": { "name": "checkout-db" },
            "data": [{ "secretKey": "P", "remoteRef": { "key": "tenant-2/checkout", "property": "password" } }],
        },
        "status": { "refreshTime": "2026-01-05T11:30:00Z", "syncedResourceVersion": "",
            "conditions": [{ "type": "Ready", "status": "True", "reason": "SecretSynced", "lastTransitionTime": "t" }] },
    });
    cluster.put(&external, document).await;
    let hash = json!({ "reconcile.external-secrets.io/data-hash": "v2" });
    let secret = object("", "secrets", "tenant-2", "checkout-db");
    cluster
        .put(
            &secret,
            json!({ "metadata": { "annotations": hash,
        "managedFields": [{ "manager": "eso", "time": "2026-01-05T11:00:00Z" }] } }),
        )
        .await;
    cluster.put_cloud("tenant-2/checkout", true).await;
    external
}

fn reads_it() -> Value {
    json!({ "containers": [{ "name": "app", "env": [
        { "name": "P", "valueFrom": { "secretKeyRef": { "name": "checkout-db", "key": "P" } } }] }] })
}

/// A Deployment that reads the Secret at its start and that nobody restarts, rolled out.
async fn reader(cluster: &Cluster) -> ObjectRef {
    let deployment = object("apps", "deployments", "tenant-2", "checkout");
    let counts =
        json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
    let document = json!({ "spec": { "replicas": 1, "template": { "spec": reads_it() } }, "status": counts });
    cluster.put(&deployment, document).await;
    deployment
}

async fn pod(cluster: &Cluster, started: &str) {
    let pod = object("", "pods", "tenant-2", "checkout-1");
    let document = json!({ "spec": reads_it(), "status": { "phase": "Running", "startTime": started } });
    cluster.put(&pod, document).await;
}

#[tokio::test]
async fn a_rotation_is_followed_to_the_last_pod_and_restarts_whom_nobody_else_does() {
    let mut bench = Bench::new();
    let object = external(&bench.cluster).await;
    let deployment = reader(&bench.cluster).await;
    pod(&bench.cluster, "2026-01-05T12:00:09Z").await;
    let plan = bench.plan(Verb::Rotate, &object, Options::default()).await;
    assert_line(&plan, Mark::Change, "AWS rotates tenant-2/checkout in eu-west-1");
    assert_line(
        &plan,
        Mark::Change,
        "restarted by this, because no annotation asks Reloader to: deployment/checkout",
    );
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.starts_with("rotated: the one pod started after")),
        "{outcome:?}"
    );
    let restarted = bench.cluster.get(&deployment).await.unwrap();
    let mark = restarted.pointer("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt");
    assert_eq!(mark, Some(&json!("2026-01-05T12:00:00Z")));
    let secret = bench.cluster.cloud("tenant-2/checkout").await;
    // The version is that of the action, so that the same action never makes two.
    assert_eq!(secret.staged(CURRENT).map(str::len), Some(36));
    // Every step was proven.
    let records = bench.records();
    let Event::After(ending) = &records[1].event else { panic!("{records:#?}") };
    assert!(ending.steps.iter().all(|step| step.mark == "done"), "{:#?}", ending.steps);
    assert_eq!(ending.steps.len(), 7);
}

#[tokio::test]
async fn a_pod_that_started_before_the_change_is_named_and_the_rotation_is_not_verified() {
    let mut bench = Bench::new();
    let object = external(&bench.cluster).await;
    reader(&bench.cluster).await;
    pod(&bench.cluster, "2026-01-05T11:59:00Z").await;
    let outcome =
        bench.act(Verb::Rotate, &object, Options { timeout_seconds: Some(1), ..Options::default() }).await;
    let said = outcome.detail();
    assert!(!matches!(outcome, Outcome::Verified(_)) && said.contains("--resume"), "{outcome:?}");
    let records = bench.records();
    let Event::After(ending) = &records[1].event else { panic!("{records:#?}") };
    assert!(ending.steps[6].text.contains("checkout-1"), "{:#?}", ending.steps);
}

#[tokio::test]
async fn a_rotation_that_was_left_is_offered_until_it_is_at_its_end() {
    let mut bench = Bench::new();
    let object = external(&bench.cluster).await;
    reader(&bench.cluster).await;
    pod(&bench.cluster, "2026-01-05T11:59:00Z").await;
    let offered = |bench: &Bench, now: Timestamp| left(&entries(&bench.records()), now);
    let short = Options { timeout_seconds: Some(1), ..Options::default() };
    // The time of the whole is over, or that of the step: whichever is looked at first.
    let outcome = bench.act(Verb::Rotate, &object, short).await;
    assert!(matches!(outcome, Outcome::NotVerified(_) | Outcome::Failed(_)), "{outcome:?}");
    let [one] = <[Left; 1]>::try_from(offered(&bench, noon())).unwrap();
    assert_eq!((&one.target.object, one.tenant.as_deref()), (&object, Some("tenant-2")));
    assert!(
        one.stands.starts_with("6 of 7 steps are done, then: every pod started after the change: "),
        "{}",
        one.stands
    );
    // A day later somebody has seen to it, or nobody will.
    assert!(offered(&bench, noon() + jiff::SignedDuration::from_hours(25)).is_empty());
    // While another console goes on with it, it is not offered a second time.
    let going = bench.begun("b", "resume-rotation", &object).await;
    assert!(offered(&bench, noon()).is_empty());
    drop(going);
    // That one is killed: where it stands is read from the cluster, without the command that the key stands for.
    close(&bench.desk).await.unwrap();
    let [one] = <[Left; 1]>::try_from(offered(&bench, noon())).unwrap();
    assert_eq!(one.id, "b");
    assert!(one.stands.ends_with("1 of 1 pods have not started since"), "{}", one.stands);
    pod(&bench.cluster, "2026-01-05T12:00:09Z").await;
    let outcome = bench.act(Verb::ResumeRotation, &object, Options::default()).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert!(offered(&bench, noon()).is_empty());
}

#[tokio::test]
async fn a_rotation_of_which_aws_was_never_told_is_not_offered() {
    let bench = Bench::new();
    let object = external(&bench.cluster).await;
    drop(bench.begun("a", "rotate", &object).await);
    let closed = close(&bench.desk).await.unwrap();
    assert!(closed[0].text.contains("AWS was not asked"), "{closed:?}");
    assert!(left(&entries(&bench.records()), noon()).is_empty());
}

#[tokio::test]
async fn a_rotation_whose_answer_is_lost_is_found_by_its_token_and_not_begun_twice() {
    let mut bench = Bench::new();
    let object = external(&bench.cluster).await;
    let plan = bench.plan(Verb::Rotate, &object, Options::default()).await;
    let confirmed = bench.confirm(plan);
    bench.cluster.faults([Fault::AnswerLost]).await;
    let outcome = bench.run(confirmed).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert_eq!(bench.cluster.cloud("tenant-2/checkout").await.versions.len(), 3);
    // One that never arrived is said to be so, and nothing is sent again.
    let mut bench = Bench::new();
    let object = external(&bench.cluster).await;
    let plan = bench.plan(Verb::Rotate, &object, Options::default()).await;
    let confirmed = bench.confirm(plan);
    bench.cluster.faults([Fault::NotSent]).await;
    let outcome = bench.run(confirmed).await;
    assert!(matches!(&outcome, Outcome::Failed(why) if why.contains("nothing was rotated")), "{outcome:?}");
    assert!(bench.cluster.writes().await.is_empty());
}

#[tokio::test]
async fn a_rotation_that_fails_half_way_is_given_up_by_a_restore_and_changes_nothing() {
    let mut bench = Bench::new();
    let object = external(&bench.cluster).await;
    bench.cluster.fail_rotations().await;
    let brief = Options { timeout_seconds: Some(1), ..Options::default() };
    let outcome = bench.act(Verb::Rotate, &object, brief).await;
    assert!(!matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let secret = bench.cluster.cloud("tenant-2/checkout").await;
    assert_eq!(secret.staged(CURRENT), Some("v2"));
    assert!(secret.unfinished().is_some());
    assert!(bench.cluster.writes().await.is_empty(), "External Secrets was not told");
    // Another rotation waits for it; a restore takes the label away.
    let plan = bench.plan(Verb::Rotate, &object, Options::default()).await;
    assert_line(&plan, Mark::Warn, "no other is begun");
    let outcome = bench.act(Verb::RestoreSecret, &object, Options::default()).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.contains("AWSPENDING is taken")), "{outcome:?}");
    assert_eq!(bench.cluster.cloud("tenant-2/checkout").await.staged(PENDING), None);
}

#[tokio::test]
async fn the_previous_version_comes_back_and_reaches_the_secret() {
    let mut bench = Bench::new();
    let object = external(&bench.cluster).await;
    let outcome = bench.act(Verb::RestoreSecret, &object, Options::default()).await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.starts_with("the previous version is back")),
        "{outcome:?}"
    );
    assert_eq!(bench.cluster.cloud("tenant-2/checkout").await.staged(CURRENT), Some("v1"));
    let secret = super::object("", "secrets", "tenant-2", "checkout-db");
    let hash = "/metadata/annotations/reconcile.external-secrets.io~1data-hash";
    assert_eq!(bench.cluster.get(&secret).await.unwrap().pointer(hash), Some(&json!("v1")));
}

#[tokio::test]
async fn where_rotation_is_not_set_up_it_is_only_refreshed() {
    let mut bench = Bench::new();
    let object = external(&bench.cluster).await;
    bench.cluster.put_cloud("tenant-2/checkout", false).await;
    let plan = bench.plan(Verb::Rotate, &object, Options::default()).await;
    assert_line(&plan, Mark::Warn, "is not set up in AWS: it is only refreshed");
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.contains("nothing new")), "{outcome:?}");
    assert_eq!(bench.cluster.cloud("tenant-2/checkout").await.versions.len(), 2);
}

#[tokio::test]
async fn what_forcing_does_nothing_for_is_stopped() {
    // contracts 7.1.
    for spec in [json!({ "refreshPolicy": "CreatedOnce" }), json!({ "refreshInterval": "0s" })] {
        let bench = Bench::new();
        let object = external(&bench.cluster).await;
        bench.cluster.change(&object, json!({ "spec": spec })).await;
        let plan = bench.plan(Verb::Rotate, &object, Options::default()).await;
        assert_line(&plan, Mark::Stop, "External Secrets brings nothing again");
    }
}

/// A Secret with one key, and a value that must be nowhere but on the screen.
pub async fn readable(cluster: &Cluster) -> ObjectRef {
    let secret = object("", "secrets", "tenant-2", "checkout-db");
    let writers = json!([{ "manager": "eso", "fieldsV1": { "f:data": { "f:P": {} } } }]);
    let document = json!({ "metadata": { "managedFields": writers }, "values": { "P": "canary-value" } });
    cluster.put(&secret, document).await;
    secret
}

#[tokio::test]
async fn a_value_is_shown_to_who_typed_the_name_and_said_why_and_is_written_nowhere() {
    let mut bench = Bench::new();
    let object = readable(&bench.cluster).await;
    let mut plan = bench.plan(Verb::Reveal, &object, Options::default()).await;
    // Also where nothing is protected.
    assert_eq!(plan.confirmation, Confirmation::Type("checkout-db".to_owned()));
    assert_line(&plan, Mark::Change, "the value of P of Secret checkout-db");
    let typed = || Answer::Typed("checkout-db".to_owned());
    plan.request.reason = String::new();
    assert!(confirm(&mut bench.gate, plan.clone(), typed(), noon()).is_err(), "a reason must be given");
    "INC-9".clone_into(&mut plan.request.reason);
    let confirmed = confirm(&mut bench.gate, plan, typed(), noon()).unwrap();
    let (screen, mut values) = mpsc::channel(1);
    let (progress, mut seen) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let (_hand, steer) = Steer::new(&stop);
    let steer = steer.with_screen(screen);
    let outcome = carry_out_steered(&bench.desk, confirmed, Follow::ToTheEnd, &progress, &steer).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let shown = values.try_recv().unwrap();
    assert_eq!(shown.value.shown().as_deref(), Some("canary-value"));
    let mut said = format!("{outcome:?} {shown:?} {:?}", bench.records());
    while let Ok(one) = seen.try_recv() {
        said.push_str(&serde_json::to_string(&one).unwrap());
    }
    assert!(said.contains("was shown on the screen") && !said.contains("canary"), "{said}");
    assert!(bench.cluster.writes().await.is_empty());
}

#[tokio::test]
async fn without_a_screen_and_without_a_key_nothing_is_read() {
    let mut bench = Bench::new();
    let object = readable(&bench.cluster).await;
    let plan = bench.plan(Verb::Reveal, &object, Options::default()).await;
    let confirmed = confirm(&mut bench.gate, plan, Answer::Typed("checkout-db".to_owned()), noon()).unwrap();
    // As from the command line.
    let outcome = bench.run(confirmed).await;
    assert!(matches!(&outcome, Outcome::Refused(why) if why.contains("console only")), "{outcome:?}");
    let two = json!([{ "fieldsV1": { "f:data": { "f:P": {}, "f:Q": {} } } }]);
    bench.cluster.change(&object, json!({ "metadata": { "managedFields": two } })).await;
    let plan = bench.plan(Verb::Reveal, &object, Options::default()).await;
    assert_line(&plan, Mark::Stop, "it has P, Q");
}
