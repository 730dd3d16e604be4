//! Scale, undo of rollouts, pause, images, bounds, jobs, edits and deletes.

use super::sheet::{Edited, bare};
use super::*;
use crate::gate::Confirmation;

/// Tells whether the objects of a verb are made here.
pub fn is(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Scale
            | Verb::RolloutUndo
            | Verb::Pause
            | Verb::Suspend
            | Verb::Resume
            | Verb::SetImage
            | Verb::SetBounds
            | Verb::RunJob
            | Verb::Edit
            | Verb::Delete
            | Verb::ForceDelete
    )
}

fn web() -> ObjectRef {
    object("apps", "deployments", "tenant-2", "web")
}

fn web_document(tag: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "uid": "d-9", "annotations": { "deployment.kubernetes.io/revision": "2", "team": "blue" } },
        "spec": { "replicas": 2, "template": template(tag) },
        "status": { "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2 },
    })
}

async fn deploy(cluster: &Cluster) -> ObjectRef {
    cluster.put(&web(), web_document("1.8.0")).await;
    for (number, tag) in [("1", "1.7.4"), ("2", "1.8.0")] {
        let set = object("apps", "replicasets", "tenant-2", &format!("web-{number}"));
        let mut template = template(tag);
        template["metadata"] = json!({ "labels": { "pod-template-hash": number } });
        let document = json!({
            "metadata": {
                "annotations": { "deployment.kubernetes.io/revision": number, "deployment.kubernetes.io/desired-replicas": "2",
                    "kubernetes.io/change-cause": format!("release {tag}") },
                "creationTimestamp": "2026-01-05T10:00:00Z",
                "ownerReferences": [{ "kind": "Deployment", "name": "web", "uid": "d-9", "controller": true }],
            },
            "spec": { "template": template },
        });
        cluster.put(&set, document).await;
    }
    web()
}

fn report() -> ObjectRef {
    object("batch", "cronjobs", "tenant-2", "report")
}

async fn cron_job(cluster: &Cluster, suspended: bool) -> ObjectRef {
    let spec = json!({ "schedule": "0 * * * *", "suspend": suspended, "jobTemplate": {
        "metadata": { "labels": { "app": "report" } },
        "spec": { "backoffLimit": 2, "template": template("1.0.0") } } });
    cluster.put(&report(), json!({ "kind": "CronJob", "metadata": { "uid": "c-1" }, "spec": spec })).await;
    report()
}

async fn autoscaler(cluster: &Cluster) -> ObjectRef {
    let hpa = object("autoscaling", "horizontalpodautoscalers", "tenant-2", "web");
    let document = json!({ "kind": "HorizontalPodAutoscaler",
        "spec": { "minReplicas": 2, "maxReplicas": 10, "scaleTargetRef": { "kind": "Deployment", "name": "web" } },
        "status": { "currentReplicas": 4 } });
    cluster.put(&hpa, document).await;
    hpa
}

async fn scaled_object(cluster: &Cluster) -> ObjectRef {
    let scaled = object("keda.sh", "scaledobjects", "tenant-2", "web");
    let document = json!({ "kind": "ScaledObject",
        "spec": { "scaleTargetRef": { "name": "web" }, "minReplicaCount": 1, "maxReplicaCount": 9 },
        "status": { "conditions": [{ "type": "Paused", "status": "False" }] } });
    cluster.put(&scaled, document).await;
    scaled
}

async fn dead_pod(cluster: &Cluster) -> ObjectRef {
    let pod = object("", "pods", "tenant-2", "web-0");
    let document = json!({ "kind": "Pod",
        "metadata": { "uid": "p-1", "deletionTimestamp": "2026-01-05T11:50:00Z",
            "ownerReferences": [{ "kind": "StatefulSet", "name": "web", "uid": "s", "controller": true }] },
        "spec": { "nodeName": "n-dead" } });
    cluster.put(&pod, document).await;
    let node = object("", "nodes", "", "n-dead");
    let ready = json!({ "type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-05T11:40:00Z" });
    cluster.put(&node, json!({ "status": { "conditions": [ready] } })).await;
    pod
}

/// What a person makes of an object in an editor.
async fn edit(cluster: &Cluster, object: &ObjectRef, patch: Value) -> Options {
    let original = cluster.get(object).await.unwrap();
    let mut wanted = bare(&original);
    json_patch::merge(&mut wanted, &patch);
    Options { edited: Some(std::sync::Arc::new(Edited { original, wanted })), ..Options::default() }
}

/// One object for each of these verbs.
pub async fn something(cluster: &Cluster, verb: Verb) -> (ObjectRef, Options) {
    let plain = Options::default();
    match verb {
        Verb::Scale => (deploy(cluster).await, Options { replicas: Some(3), ..plain }),
        Verb::SetImage => {
            let images = vec!["app=registry.example/checkout:1.9.0".to_owned()];
            (deploy(cluster).await, Options { images, ..plain })
        }
        Verb::Suspend | Verb::RunJob => (cron_job(cluster, false).await, plain),
        Verb::Resume => (cron_job(cluster, true).await, plain),
        Verb::SetBounds => (autoscaler(cluster).await, Options { min_replicas: Some(3), ..plain }),
        Verb::Edit => {
            let object = deploy(cluster).await;
            let options = edit(cluster, &object, json!({ "spec": { "replicas": 4 } })).await;
            (object, options)
        }
        Verb::ForceDelete => (dead_pod(cluster).await, plain),
        _ => (deploy(cluster).await, plain),
    }
}

impl Bench {
    /// Plans and runs, and lets the platform answer the write with a change of an object.
    async fn act_and(&mut self, verb: Verb, object: &ObjectRef, options: Options, then: Value) -> Outcome {
        let plan = self.plan(verb, object, options).await;
        assert!(plan.can_run(), "{:#?}", plan.lines);
        let confirmed = self.confirm(plan);
        let (cluster, at) = (self.cluster.clone(), object.clone());
        let controller = tokio::spawn(async move {
            while cluster.writes().await.is_empty() {
                tokio::task::yield_now().await;
            }
            cluster.change(&at, then).await;
        });
        let outcome = self.run(confirmed).await;
        controller.await.unwrap();
        outcome
    }

    /// Returns the values that the newest entry says were changed, as `field before -> after`.
    fn changed(&self) -> Vec<String> {
        let records = self.records();
        let entry = undo::entries(&records).pop().unwrap();
        let changes = match entry.ending {
            Some(ending) if !ending.changes.is_empty() => &ending.changes,
            _ => &entry.intent.changes,
        };
        changes.iter().map(|one| format!("{} {} -> {}", one.field, one.before, one.after)).collect()
    }
}

#[tokio::test]
async fn a_lost_answer_is_cleared_up_and_nothing_is_done_twice() {
    for verb in Verb::ALL.into_iter().filter(|verb| is(*verb)) {
        let mut bench = Bench::new();
        let (object, options) = something(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        assert!(plan.can_run(), "{verb:?}: {:#?}", plan.lines);
        let confirmed = bench.confirm(plan);
        bench.cluster.faults([Fault::AnswerLost]).await;
        let outcome = bench.run(confirmed).await;
        assert!(!matches!(outcome, Outcome::Refused(_) | Outcome::Failed(_)), "{verb:?}: {outcome:?}");
        assert_eq!(bench.cluster.writes().await.len(), 1, "{verb:?}");
    }
}

#[tokio::test]
async fn what_never_arrived_is_sent_again_and_what_somebody_overtook_is_looked_at_again() {
    for verb in Verb::ALL.into_iter().filter(|verb| is(*verb)) {
        let deletes = matches!(verb, Verb::Delete | Verb::ForceDelete);
        for fault in [Fault::NotSent, Fault::Overtaken(json!({ "status": { "note": "later" } }))] {
            let not_sent = matches!(fault, Fault::NotSent);
            let mut bench = Bench::new();
            let (object, options) = something(&bench.cluster, verb).await;
            let plan = bench.plan(verb, &object, options).await;
            let confirmed = bench.confirm(plan);
            bench.cluster.faults([fault]).await;
            let outcome = bench.run(confirmed).await;
            if deletes && not_sent {
                // A delete is not repeated: whoever asked looks first.
                assert!(
                    matches!(&outcome, Outcome::Failed(why) if why.contains("not repeated")),
                    "{outcome:?}"
                );
                continue;
            }
            assert!(!matches!(outcome, Outcome::Refused(_) | Outcome::Failed(_)), "{verb:?}: {outcome:?}");
            assert_eq!(bench.cluster.writes().await.len(), 1, "{verb:?}");
        }
    }
}

#[tokio::test]
async fn what_the_server_would_refuse_stops_the_plan_and_nothing_is_written_by_asking() {
    for verb in Verb::ALL.into_iter().filter(|verb| is(*verb)) {
        let bench = Bench::new();
        let (object, options) = something(&bench.cluster, verb).await;
        let before = bench.cluster.get(&object).await;
        let plan = bench.plan(verb, &object, options.clone()).await;
        assert_line(&plan, Mark::Ok, "server dry run");
        assert_eq!(bench.cluster.get(&object).await, before, "{verb:?}");
        bench.cluster.unwilling("admission webhook says no").await;
        let plan = bench.plan(verb, &object, options).await;
        assert_line(&plan, Mark::Stop, "admission webhook says no");
        assert!(bench.cluster.writes().await.is_empty());
    }
}

#[tokio::test]
async fn what_changed_since_the_question_is_refused() {
    let changes = [
        (Verb::Scale, json!({ "spec": { "replicas": 7 } }), "the number of replicas is now 7"),
        (Verb::RolloutUndo, json!({ "spec": { "paused": true } }), "whether it is paused is now true"),
        (Verb::Pause, json!({ "spec": { "paused": true } }), "whether it is paused is now true"),
        (Verb::Suspend, json!({ "spec": { "suspend": true } }), "whether it is suspended is now true"),
        (Verb::SetImage, json!({ "spec": { "template": { "x": 1 } } }), "the pod template is now different"),
        (Verb::SetBounds, json!({ "spec": { "maxReplicas": 5 } }), "the most pods is now 5"),
        (
            Verb::RunJob,
            json!({ "spec": { "jobTemplate": { "x": 1 } } }),
            "the template of its jobs is now different",
        ),
        (Verb::Delete, json!({ "metadata": { "finalizers": ["a/b"] } }), "its finalizers is now different"),
        (Verb::ForceDelete, json!({ "spec": { "nodeName": "n-2" } }), "its node is now n-2"),
        (Verb::Edit, json!({ "spec": { "replicas": 9 } }), "its spec is now different"),
    ];
    for (verb, change, said) in changes {
        let mut bench = Bench::new();
        let (object, options) = something(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        let confirmed = bench.confirm(plan);
        bench.cluster.change(&object, change).await;
        let outcome = bench.run(confirmed).await;
        assert!(matches!(&outcome, Outcome::Refused(why) if why.contains(said)), "{verb:?}: {outcome:?}");
        assert!(bench.cluster.writes().await.is_empty(), "{verb:?}");
    }
}

#[tokio::test]
async fn a_scale_goes_through_its_subresource_and_is_verified_by_ready_pods() {
    let mut bench = Bench::new();
    let (web, options) = something(&bench.cluster, Verb::Scale).await;
    let version = bench.cluster.get(&web).await.unwrap()["metadata"]["resourceVersion"].clone();
    let there = json!({ "status": { "replicas": 3, "readyReplicas": 3 } });
    let outcome = bench.act_and(Verb::Scale, &web, options, there).await;
    assert!(
        matches!(&outcome, Outcome::Verified(said) if said.starts_with("3 of 3 pods are ready")),
        "{outcome:?}"
    );
    // contracts 3.5, row "scale", with the version as precondition.
    let body = json!({ "metadata": { "resourceVersion": version }, "spec": { "replicas": 3 } });
    assert_eq!(bench.cluster.writes().await, [body]);
    assert_eq!(bench.changed(), ["/spec/replicas 2 -> 3"]);
}

#[tokio::test]
async fn a_scale_that_an_autoscaler_takes_back_has_failed() {
    let mut bench = Bench::new();
    let (web, options) = something(&bench.cluster, Verb::Scale).await;
    let back = json!({ "spec": { "replicas": 2 } });
    let outcome = bench.act_and(Verb::Scale, &web, options, back).await;
    assert!(matches!(&outcome, Outcome::Failed(why) if why.contains("set it to 2 since")), "{outcome:?}");
}

#[tokio::test]
async fn a_scale_says_who_owns_the_number_and_warns_at_nought() {
    let bench = Bench::new();
    let web = deploy(&bench.cluster).await;
    let to = |replicas| Options { replicas: Some(replicas), ..Options::default() };
    assert_line(&bench.plan(Verb::Scale, &web, to(0)).await, Mark::Warn, "at 0 nothing serves");
    assert_line(&bench.plan(Verb::Scale, &web, to(2)).await, Mark::Stop, "is at 2 already");
    assert_line(&bench.plan(Verb::Scale, &web, Options::default()).await, Mark::Stop, "say how many");
    assert_line(&bench.plan(Verb::Scale, &web, to(3)).await, Mark::Ok, "no autoscaler owns the number");
    autoscaler(&bench.cluster).await;
    scaled_object(&bench.cluster).await;
    let plan = bench.plan(Verb::Scale, &web, to(30)).await;
    assert_line(
        &plan,
        Mark::Warn,
        "HorizontalPodAutoscaler web owns the number and will set it back to 2 to 10",
    );
    assert_line(&plan, Mark::Warn, "KEDA's ScaledObject web owns the number (1 to 9)");
    let set = object("apps", "replicasets", "tenant-2", "web-2");
    assert_line(&bench.plan(Verb::Scale, &set, to(5)).await, Mark::Stop, "Deployment/web owns it");
}

#[tokio::test]
async fn several_are_scaled_in_one_plan_and_one_that_is_there_already_is_no_hindrance() {
    let bench = Bench::new();
    let web = deploy(&bench.cluster).await;
    let other = object("apps", "deployments", "tenant-2", "other");
    bench.cluster.put(&other, web_document("1.8.0")).await;
    bench
        .cluster
        .change(
            &other,
            json!({ "metadata": { "uid": "d-10" }, "spec": { "replicas": 3 },
        "status": { "replicas": 3, "readyReplicas": 3 } }),
        )
        .await;
    let mut request =
        bench.request(Verb::Scale, &web, Options { replicas: Some(3), ..Options::default() }).await;
    request.targets.insert(0, resolve(&bench.desk, &other).await.unwrap());
    let plan = bench.plan_of(request).await;
    assert_line(&plan, Mark::Note, "other is at 3 already");
    assert!(plan.can_run(), "{:#?}", plan.lines);
}

#[tokio::test]
async fn argo_cd_is_said_to_revert_with_the_place_where_the_change_belongs() {
    for verb in [Verb::Scale, Verb::RolloutUndo, Verb::SetImage, Verb::Edit, Verb::Delete] {
        let bench = Bench::new();
        tenant(&bench.cluster, application()).await;
        let (web, mut options) = something(&bench.cluster, verb).await;
        let id = "checkout:apps/Deployment:tenant-2/web";
        bench
            .cluster
            .change(&web, json!({ "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": id } } }))
            .await;
        if verb == Verb::Edit {
            options = edit(&bench.cluster, &web, json!({ "spec": { "replicas": 4 } })).await;
        }
        let plan = bench.plan(verb, &web, options).await;
        assert_line(
            &plan,
            Mark::Warn,
            "within seconds: Application checkout heals itself. It belongs in Git (https://git.example/tenants, tenant-2/checkout at main)",
        );
    }
}

#[tokio::test]
async fn a_rollout_is_undone_as_kubectl_does_it_and_can_be_undone_itself() {
    let mut bench = Bench::new();
    let web = deploy(&bench.cluster).await;
    let plan = bench.plan(Verb::RolloutUndo, &web, Options::default()).await;
    assert_line(&plan, Mark::To, "revision 1  checkout:1.7.4, first rolled out 120m ago, release 1.7.4");
    assert_line(
        &plan,
        Mark::Change,
        "spec.containers[app].image registry.example/checkout:1.8.0 -> registry.example/checkout:1.7.4",
    );
    let outcome = bench.act(Verb::RolloutUndo, &web, Options::default()).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let writes = bench.cluster.writes().await;
    // contracts 3.5, row "undo Deployment": the template without the hash, the annotations without bookkeeping.
    assert_eq!(writes[0][1]["path"], "/spec/template");
    assert!(writes[0][1]["value"].pointer("/metadata/labels/pod-template-hash").is_none());
    assert_eq!(writes[0][2]["path"], "/metadata/annotations");
    let notes =
        json!({ "deployment.kubernetes.io/revision": "2", "kubernetes.io/change-cause": "release 1.7.4" });
    assert_eq!(writes[0][2]["value"], notes);
    // Beside the revision, by what is found out later what became of an undo that was cut off: no values.
    let changed = bench.changed();
    assert_eq!(changed[0], "/metadata/annotations/deployment.kubernetes.io~1revision 2 -> 1");
    assert!(changed[1].starts_with("/spec/template \"digest "), "{changed:?}");
    assert!(changed[2].starts_with("/metadata/generation "), "{changed:?}");
    assert_eq!(changed.len(), 3);
    let records = bench.records();
    let all = undo::entries(&records);
    let request = undo::request(&all, &all.last().unwrap().before.id, noon(), "").unwrap();
    assert_eq!((request.verb, request.options.rollout_revision), (Verb::RolloutUndo, Some(2)));
}

#[tokio::test]
async fn an_undo_names_the_revisions_that_are_kept_and_refuses_what_makes_no_sense() {
    let bench = Bench::new();
    let web = deploy(&bench.cluster).await;
    let to = |revision| Options { rollout_revision: Some(revision), ..Options::default() };
    assert_line(
        &bench.plan(Verb::RolloutUndo, &web, to(9)).await,
        Mark::Stop,
        "revision 9 is not kept; there are 2, 1",
    );
    assert_line(
        &bench.plan(Verb::RolloutUndo, &web, to(2)).await,
        Mark::Stop,
        "is that of revision 2 already",
    );
    bench.cluster.change(&web, json!({ "spec": { "paused": true } })).await;
    assert_line(&bench.plan(Verb::RolloutUndo, &web, to(1)).await, Mark::Stop, "it is paused");
    bench.cluster.remove(&object("apps", "replicasets", "tenant-2", "web-1")).await;
    let plan = bench.plan(Verb::RolloutUndo, &web, Options::default()).await;
    assert_line(&plan, Mark::Stop, "there is no earlier revision");
}

#[tokio::test]
async fn a_stateful_set_takes_the_patch_that_its_revision_is() {
    let mut bench = Bench::new();
    let db = object("apps", "statefulsets", "tenant-2", "db");
    let document = json!({ "kind": "StatefulSet", "metadata": { "uid": "s-1" },
        "spec": { "replicas": 1, "template": template("2") },
        "status": { "observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 1, "currentRevision": "b", "updateRevision": "b" } });
    bench.cluster.put(&db, document).await;
    for (number, tag) in [(1, "1"), (2, "2")] {
        let kept = object("apps", "controllerrevisions", "tenant-2", &format!("db-{number}"));
        let mut template = template(tag);
        template["$patch"] = json!("replace");
        let document = json!({ "metadata": { "ownerReferences": [{ "kind": "StatefulSet", "name": "db", "uid": "s-1" }] },
            "revision": number, "data": { "spec": { "template": template } } });
        bench.cluster.put(&kept, document).await;
    }
    let outcome = bench.act(Verb::RolloutUndo, &db, Options::default()).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    // contracts 3.5, row "undo DaemonSet/StatefulSet".
    assert_eq!(bench.cluster.writes().await[0]["spec"]["template"]["$patch"], "replace");
    let image = "/spec/template/spec/containers/0/image";
    assert_eq!(
        bench.cluster.get(&db).await.unwrap().pointer(image),
        Some(&json!("registry.example/checkout:1"))
    );
}

#[tokio::test]
async fn a_rollout_a_schedule_and_kedas_scaling_are_halted_and_let_go_on() {
    let mut bench = Bench::new();
    let web = deploy(&bench.cluster).await;
    let outcome = bench.act(Verb::Pause, &web, Options::default()).await;
    assert_eq!(outcome, Outcome::Verified("web is paused".to_owned()));
    assert_eq!(bench.changed(), ["/spec/paused null -> true"]);
    assert!(matches!(bench.act(Verb::Resume, &web, Options::default()).await, Outcome::Verified(_)));
    assert_line(
        &bench.plan(Verb::Suspend, &web, Options::default()).await,
        Mark::Stop,
        "CronJobs and Jobs can be suspended",
    );
    let report = cron_job(&bench.cluster, false).await;
    assert!(matches!(bench.act(Verb::Suspend, &report, Options::default()).await, Outcome::Verified(_)));
    assert_eq!(bench.cluster.get(&report).await.unwrap()["spec"]["suspend"], true);
    assert_line(
        &bench.plan(Verb::Suspend, &report, Options::default()).await,
        Mark::Stop,
        "is suspended already",
    );
    let plan = bench.plan(Verb::Resume, &report, Options::default()).await;
    assert_line(&plan, Mark::Note, "the latest is made up for at once");
}

#[tokio::test]
async fn keda_is_paused_at_a_number_and_followed_until_it_says_so() {
    let mut bench = Bench::new();
    let scaled = scaled_object(&bench.cluster).await;
    let says = |status: &str| json!({ "status": { "conditions": [{ "type": "Paused", "status": status }] } });
    let options = Options { replicas: Some(3), ..Options::default() };
    let outcome = bench.act_and(Verb::Pause, &scaled, options, says("True")).await;
    assert!(matches!(&outcome, Outcome::Verified(said) if said.contains("KEDA says so")), "{outcome:?}");
    // contracts 9.3.
    let notes = &bench.cluster.get(&scaled).await.unwrap()["metadata"]["annotations"];
    assert_eq!(*notes, json!({ "autoscaling.keda.sh/paused-replicas": "3" }));
    let outcome = bench.act_and(Verb::Resume, &scaled, Options::default(), says("False")).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert_eq!(bench.cluster.get(&scaled).await.unwrap()["metadata"]["annotations"], json!({}));
}

#[tokio::test]
async fn an_image_is_set_verified_by_the_rollout_and_put_back_from_the_record() {
    let mut bench = Bench::new();
    let (web, options) = something(&bench.cluster, Verb::SetImage).await;
    let outcome = bench.act(Verb::SetImage, &web, options).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let image =
        |document: Value| document.pointer("/spec/template/spec/containers/0/image").cloned().unwrap();
    assert_eq!(image(bench.cluster.get(&web).await.unwrap()), "registry.example/checkout:1.9.0");
    let records = bench.records();
    let all = undo::entries(&records);
    let request = undo::request(&all, &all.last().unwrap().before.id, noon(), "").unwrap();
    assert_eq!(request.options.images, ["containers/0=registry.example/checkout:1.8.0"]);
    let outcome = bench.act(Verb::SetImage, &web, request.options).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert_eq!(image(bench.cluster.get(&web).await.unwrap()), "registry.example/checkout:1.8.0");
}

#[tokio::test]
async fn bounds_are_checked_written_and_kept_to() {
    let mut bench = Bench::new();
    let hpa = autoscaler(&bench.cluster).await;
    let bounds = |min, max| Options { min_replicas: min, max_replicas: max, ..Options::default() };
    assert_line(
        &bench.plan(Verb::SetBounds, &hpa, bounds(Some(12), None)).await,
        Mark::Stop,
        "12 to 10 are no bounds",
    );
    assert_line(&bench.plan(Verb::SetBounds, &hpa, bounds(None, Some(3))).await, Mark::Warn, "1 are ended");
    assert_line(&bench.plan(Verb::SetBounds, &hpa, bounds(Some(2), Some(10))).await, Mark::Stop, "already");
    let more = json!({ "status": { "currentReplicas": 6 } });
    let outcome = bench.act_and(Verb::SetBounds, &hpa, bounds(Some(6), Some(12)), more).await;
    assert!(
        matches!(&outcome, Outcome::Verified(said) if said.starts_with("6 pods, of 6 to 12")),
        "{outcome:?}"
    );
    assert_eq!(bench.changed(), ["/spec/maxReplicas 10 -> 12", "/spec/minReplicas 2 -> 6"]);
    let owners = json!([{ "kind": "ScaledObject", "name": "web", "uid": "k", "controller": true }]);
    bench.cluster.change(&hpa, json!({ "metadata": { "ownerReferences": owners } })).await;
    assert_line(
        &bench.plan(Verb::SetBounds, &hpa, bounds(Some(3), None)).await,
        Mark::Stop,
        "KEDA's ScaledObject web makes it",
    );
}

#[tokio::test]
async fn a_cron_job_is_run_once_and_followed_to_the_end_of_its_job() {
    for (condition, word) in [("Complete", "verified"), ("Failed", "failed")] {
        let mut bench = Bench::new();
        let report = cron_job(&bench.cluster, true).await;
        let options = Options { job_name: Some("report-now".to_owned()), ..Options::default() };
        let plan = bench.plan(Verb::RunJob, &report, options).await;
        assert_line(&plan, Mark::Note, "it is suspended: this runs once");
        let confirmed = bench.confirm(plan);
        bench.cluster.faults([Fault::AnswerLost]).await;
        let (cluster, job) = (bench.cluster.clone(), object("batch", "jobs", "tenant-2", "report-now"));
        let at = job.clone();
        let controller = tokio::spawn(async move {
            while cluster.get(&at).await.is_none() {
                tokio::task::yield_now().await;
            }
            let condition = json!({ "type": condition, "status": "True", "message": "BackoffLimitExceeded" });
            cluster.change(&at, json!({ "status": { "conditions": [condition] } })).await;
        });
        let outcome = bench.run(confirmed).await;
        controller.await.unwrap();
        assert_eq!(outcome.word(), word, "{outcome:?}");
        assert_eq!(bench.cluster.writes().await.len(), 1);
        let made = bench.cluster.get(&job).await.unwrap();
        assert_eq!(made["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
        assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "c-1");
        assert_eq!(made["spec"]["backoffLimit"], 2);
    }
}

#[tokio::test]
async fn a_job_name_that_somebody_else_has_is_refused() {
    let mut bench = Bench::new();
    let report = cron_job(&bench.cluster, false).await;
    let options = Options { job_name: Some("taken".to_owned()), ..Options::default() };
    let plan = bench.plan(Verb::RunJob, &report, options).await;
    let confirmed = bench.confirm(plan);
    bench.cluster.put(&object("batch", "jobs", "tenant-2", "taken"), json!({})).await;
    let outcome = bench.run(confirmed).await;
    assert!(matches!(&outcome, Outcome::Refused(why) if why.contains("exists already")), "{outcome:?}");
}

#[tokio::test]
async fn a_delete_takes_the_name_everywhere_and_the_cascade_that_was_chosen() {
    let mut bench = Bench::new();
    let web = deploy(&bench.cluster).await;
    let options = Options { cascade: Cascade::Orphan, ..Options::default() };
    let plan = bench.plan(Verb::Delete, &web, options).await;
    assert_eq!(plan.confirmation, Confirmation::Type("web".to_owned()));
    assert_line(&plan, Mark::Note, "2 replicasets stay, without an owner: web-1, web-2");
    let refused = confirm(&mut bench.gate, plan.clone(), Answer::Yes, noon()).unwrap_err();
    assert!(refused.to_string().contains("type web whole"), "{refused}");
    let version = bench.cluster.get(&web).await.unwrap()["metadata"]["resourceVersion"].clone();
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(
        matches!(&outcome, Outcome::Verified(said) if said.contains("what hung on it stays")),
        "{outcome:?}"
    );
    let writes = bench.cluster.writes().await;
    assert_eq!(writes[0]["propagationPolicy"], "Orphan");
    // UID and version, so that neither another object nor a newer state is hit.
    assert_eq!(writes[0]["preconditions"], json!({ "uid": "d-9", "resourceVersion": version }));
}

#[tokio::test]
async fn a_delete_that_finalizers_hold_says_which() {
    let mut bench = Bench::new();
    bench.desk.pace.limit = Duration::from_millis(50);
    let web = deploy(&bench.cluster).await;
    bench.cluster.change(&web, json!({ "metadata": { "finalizers": ["example.com/backup"] } })).await;
    let plan = bench.plan(Verb::Delete, &web, Options::default()).await;
    assert_line(&plan, Mark::Note, "finalizers are taken away: example.com/backup");
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(
        matches!(&outcome, Outcome::NotVerified(why) if why.contains("held by finalizers: example.com/backup")),
        "{outcome:?}"
    );
    let plan = bench.plan(Verb::Delete, &web, Options::default()).await;
    assert_line(&plan, Mark::Stop, "it is being deleted since");
}

#[tokio::test]
async fn a_pod_on_a_dead_node_is_taken_away_and_the_plan_is_loud() {
    let mut bench = Bench::new();
    let pod = dead_pod(&bench.cluster).await;
    let plan = bench.plan(Verb::ForceDelete, &pod, Options::default()).await;
    assert!(plan.title.starts_with("FORCE"), "{}", plan.title);
    assert_eq!(plan.confirmation, Confirmation::Type("web-0".to_owned()));
    assert_line(&plan, Mark::Warn, "its replacement runs beside it");
    assert_line(&plan, Mark::Warn, "two of it may write to the same volume");
    assert_line(&plan, Mark::Ok, "its node n-dead has not been ready for 20m");
    assert_line(&plan, Mark::Ok, "it should have ended 10m");
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let writes = bench.cluster.writes().await;
    assert_eq!(
        (&writes[0]["gracePeriodSeconds"], &writes[0]["preconditions"]["uid"]),
        (&json!(0), &json!("p-1"))
    );
    let node = object("", "nodes", "", "n-dead");
    let pod = dead_pod(&bench.cluster).await;
    bench
        .cluster
        .change(&node, json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } }))
        .await;
    assert_line(
        &bench.plan(Verb::ForceDelete, &pod, Options::default()).await,
        Mark::Warn,
        "its node n-dead is ready",
    );
    bench.cluster.change(&pod, json!({ "metadata": { "deletionTimestamp": null } })).await;
    assert_line(
        &bench.plan(Verb::ForceDelete, &pod, Options::default()).await,
        Mark::Stop,
        "the ordinary way first",
    );
}

#[tokio::test]
async fn an_edit_shows_the_difference_of_the_servers_dry_run_and_writes_it_on_the_version_that_was_opened() {
    let mut bench = Bench::new();
    let web = deploy(&bench.cluster).await;
    let options = edit(&bench.cluster, &web, json!({ "spec": { "replicas": 4 } })).await;
    // What its controller writes in the meantime is no hindrance.
    bench.cluster.change(&web, json!({ "status": { "note": 1 } })).await;
    let plan = bench.plan(Verb::Edit, &web, options).await;
    assert_line(&plan, Mark::Change, "spec.replicas 2 -> 4");
    let confirmed = bench.confirm(plan);
    let there = json!({ "status": { "replicas": 4, "updatedReplicas": 4, "availableReplicas": 4 } });
    let (cluster, at) = (bench.cluster.clone(), web.clone());
    let controller = tokio::spawn(async move {
        while cluster.writes().await.is_empty() {
            tokio::task::yield_now().await;
        }
        cluster.change(&at, there).await;
    });
    let outcome = bench.run(confirmed).await;
    controller.await.unwrap();
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert_eq!(bench.changed(), ["/spec/replicas 2 -> 4"]);
}

#[tokio::test]
async fn an_edit_of_what_somebody_else_changed_meanwhile_is_refused_and_says_what_to_do() {
    let bench = Bench::new();
    let web = deploy(&bench.cluster).await;
    let options = edit(&bench.cluster, &web, json!({ "spec": { "replicas": 4 } })).await;
    bench.cluster.change(&web, json!({ "spec": { "minReadySeconds": 5 } })).await;
    let plan = bench.plan(Verb::Edit, &web, options.clone()).await;
    assert_line(
        &plan,
        Mark::Stop,
        "it was changed since you opened it (spec.minReadySeconds is added); edit it again",
    );
    // Put on top of the new state it is a change like any other.
    let fresh = bench.cluster.get(&web).await.unwrap();
    let again = options.edited.unwrap().onto(&fresh);
    let options = Options { edited: Some(std::sync::Arc::new(again)), ..Options::default() };
    assert!(bench.plan(Verb::Edit, &web, options).await.can_run());
}

#[tokio::test]
async fn a_secret_is_not_edited_and_no_value_of_an_edit_is_recorded() {
    let mut bench = Bench::new();
    let secret = object("", "secrets", "tenant-2", "db");
    bench.cluster.put(&secret, json!({ "kind": "Secret" })).await;
    let options = edit(&bench.cluster, &secret, json!({ "metadata": { "labels": { "a": "b" } } })).await;
    assert_line(&bench.plan(Verb::Edit, &secret, options).await, Mark::Stop, "a Secret is not edited here");
    let canary = "canary-77aa";
    let web = deploy(&bench.cluster).await;
    let containers =
        json!([{ "name": "app", "image": "r/a:1", "env": [{ "name": "TOKEN", "value": canary }] }]);
    let options = edit(
        &bench.cluster,
        &web,
        json!({ "spec": { "template": { "spec": { "containers": containers } } } }),
    )
    .await;
    let plan = bench.plan(Verb::Edit, &web, options).await;
    assert_line(&plan, Mark::Detail, "env is added");
    assert!(!serde_json::to_string(&plan).unwrap().contains(canary));
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert!(!std::fs::read_to_string(bench.desk.audit.path()).unwrap().contains(canary));
}

#[tokio::test]
async fn a_change_that_was_cut_off_is_found_out_from_the_values_that_the_record_names() {
    for (verb, said) in
        [(Verb::Scale, "done, /spec/replicas is 3"), (Verb::RunJob, "done, it made job report-manual-")]
    {
        let mut bench = Bench::new();
        bench.desk.pace.limit = Duration::from_mins(1);
        let (object, options) = something(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        let confirmed = bench.confirm(plan);
        // No pod becomes ready and no job ends, and the console is killed.
        let cluster = bench.cluster.clone();
        let written = async {
            while cluster.writes().await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            outcome = bench.run(confirmed) => panic!("{outcome:?}"),
            () = written => {}
        }
        let closed = close(&bench.desk).await.unwrap();
        assert!(closed[0].text.contains(said), "{closed:?}");
    }
}
