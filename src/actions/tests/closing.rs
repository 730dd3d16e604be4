//! What is found out of actions that were cut off.

use super::*;
use crate::audit::{Changed, Ending, Intent, Who};
use crate::identity::Target;

impl Bench {
    /// Writes the record before an action, as a console that is gone has left it; returns how it is held.
    pub async fn begun(&self, id: &str, verb: &str, object: &ObjectRef) -> crate::audit::Begun {
        let target = resolve(&self.desk, object).await.unwrap();
        self.begun_with(id, verb, target, Vec::new()).await
    }

    /// The same with what the plan said that it would change.
    async fn begun_with(
        &self,
        id: &str,
        verb: &str,
        target: Target,
        changes: Vec<Changed>,
    ) -> crate::audit::Begun {
        let object = target.object.clone();
        let intent = Intent {
            context: self.desk.rules.context.clone(),
            environment: "dev".to_owned(),
            protected: false,
            verb: verb.to_owned(),
            targets: vec![target],
            title: format!("{verb} {}", object.name),
            options: json!({}),
            who: Who { server: "alice@example".to_owned(), local: "alice on laptop".to_owned() },
            reason: String::new(),
            confirmation: "yes".to_owned(),
            checks: Vec::new(),
            command: String::new(),
            holds: Vec::new(),
            changes,
            undoes: None,
            tenant: None,
            rule: None,
        };
        self.desk.audit.begin(id, intent, noon()).await.unwrap()
    }

    fn ending(&self, id: &str) -> Option<Ending> {
        self.records().into_iter().find_map(|record| match record.event {
            Event::After(ending) if record.id == id => Some(ending),
            _ => None,
        })
    }
}

/// An operation that an action began.
fn operation_of(id: &str, phase: &str) -> Value {
    json!({ "status": { "operationState": { "phase": phase, "message": "all applied",
        "startedAt": "2026-01-05T12:00:01Z", "finishedAt": "2026-01-05T12:00:09Z",
        "operation": { "info": [{ "name": "opsdeck action", "value": id }] } } } })
}

#[tokio::test]
async fn each_action_that_was_cut_off_gets_the_end_that_the_cluster_tells() {
    let pod = object("", "pods", "tenant-2", "web-1");
    let node = object("", "nodes", "", "n-1");
    let restarted = |at: &str| json!({ "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": at } } } } });
    for (verb, target, since, outcome, evidence) in [
        (
            "restart",
            deployment(),
            restarted("2026-01-05T12:00:00Z"),
            "done",
            "restarted at 2026-01-05T12:00:00Z",
        ),
        ("restart", deployment(), restarted("2026-01-04T08:00:00Z"), "not-done", "before this"),
        ("restart", deployment(), restarted("2026-01-05T12:07:00Z"), "cannot-be-told", "restarted again"),
        (
            "restart",
            deployment(),
            json!({ "metadata": { "uid": "another" } }),
            "cannot-be-told",
            "another object",
        ),
        ("delete-pod", pod.clone(), json!({ "metadata": { "uid": "another" } }), "done", "the pod is gone"),
        ("delete-pod", pod.clone(), json!({}), "not-done", "still there"),
        ("cordon", node.clone(), json!({ "spec": { "unschedulable": true } }), "done", "unschedulable"),
        ("uncordon", node.clone(), json!({ "spec": { "unschedulable": true } }), "not-done", "unschedulable"),
        (
            "rollback",
            checkout(),
            operation_of("a", "Succeeded"),
            "done",
            "succeeded at 2026-01-05T12:00:09Z: all applied",
        ),
        ("sync", checkout(), operation_of("a", "Failed"), "not-done", "failed at"),
        ("sync", checkout(), operation_of("b", "Succeeded"), "cannot-be-told", "another operation"),
        ("hold-autosync", checkout(), json!({}), "not-done", "as it was before"),
    ] {
        let bench = Bench::new();
        tenant(&bench.cluster, application()).await;
        bench.cluster.put(&pod, json!({})).await;
        bench.cluster.put(&node, json!({})).await;
        drop(bench.begun("a", verb, &target).await);
        if since != json!({}) {
            bench.cluster.change(&target, since).await;
        }
        let closed = close(&bench.desk).await.unwrap();
        assert_eq!(closed.len(), 1, "{verb}");
        let ending = bench.ending("a").unwrap();
        assert_eq!(ending.outcome, outcome, "{verb}: {}", ending.detail);
        assert!(ending.detail.contains(evidence), "{verb}: {evidence:?} in {}", ending.detail);
        assert!(bench.cluster.writes().await.is_empty(), "nothing is sent");
        assert!(close(&bench.desk).await.unwrap().is_empty(), "an end is written once");
    }
}

#[tokio::test]
async fn what_goes_on_or_cannot_be_asked_about_stays_open() {
    let bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    // The operation runs in the cluster.
    drop(bench.begun("a", "rollback", &checkout()).await);
    bench.cluster.change(&checkout(), operation_of("a", "Running")).await;
    // A console still carries it out.
    let running = bench.begun("b", "restart", &deployment()).await;
    // Another context is not asked.
    let elsewhere = Bench::under(Rules { context: Context::new("other"), ..rules() });
    let desk = Desk { audit: bench.desk.audit.clone(), ..elsewhere.desk.clone() };
    assert!(close(&desk).await.unwrap().is_empty());
    assert!(close(&bench.desk).await.unwrap().is_empty());
    assert_eq!(bench.desk.audit.unfinished().unwrap().len(), 2);
    // Two consoles find the same at once; one of them writes it.
    drop(running);
    let (one, other) = tokio::join!(close(&bench.desk), close(&bench.desk));
    assert_eq!(one.unwrap().len() + other.unwrap().len(), 1);
    assert!(bench.ending("b").is_some() && bench.ending("a").is_none());
}

/// Writes the record before an action as its plan would have it, and lets it be cut off there.
async fn cut_off(bench: &mut Bench, plan: Plan) {
    let target = plan.request.targets[0].clone();
    let changes = plan.changes.clone();
    let begun = bench.begun_with("a", plan.request.verb.word(), target, changes).await;
    drop(begun);
}

#[tokio::test]
async fn an_edit_that_was_cut_off_is_found_done_not_done_or_changed_since_by_its_digests() {
    let edit = async |bench: &Bench| {
        let original = bench.cluster.get(&deployment()).await.unwrap();
        let mut wanted = super::super::sheet::bare(&original);
        wanted["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{ "name": "TOKEN", "value": "canary-1" }]);
        let edited = Some(std::sync::Arc::new(super::super::sheet::Edited { original, wanted }));
        bench.plan(Verb::Edit, &deployment(), Options { edited, ..Options::default() }).await
    };
    let set = |value: &str| {
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app",
        "image": "registry.example/checkout:1.8.0", "env": [{ "name": "TOKEN", "value": value }] }] } } } })
    };
    let touched = json!({ "status": { "note": "somebody else" } });
    let old = json!({ "metadata": { "generation": 9 }, "spec": { "template": template("1.8.0") } });
    for (since, outcome, evidence) in [
        (json!({}), "not-done", "the object is as it was before"),
        (touched, "not-done", "spec.template: as before"),
        (set("canary-1"), "done", "spec.template: as the plan said"),
        (set("canary-2"), "cannot-be-told", "neither as before nor as the plan said"),
        (old, "cannot-be-told", "it was done and put back, or never done"),
    ] {
        let mut bench = Bench::new();
        tenant(&bench.cluster, application()).await;
        let plan = edit(&bench).await;
        assert!(plan.can_run(), "{:#?}", plan.lines);
        cut_off(&mut bench, plan).await;
        if since != json!({}) {
            bench.cluster.change(&deployment(), since).await;
        }
        close(&bench.desk).await.unwrap();
        let ending = bench.ending("a").unwrap();
        assert_eq!(ending.outcome, outcome, "{}", ending.detail);
        assert!(ending.detail.contains(evidence), "{evidence:?} in {}", ending.detail);
        assert!(bench.cluster.writes().await.is_empty(), "nothing is sent");
        let kept = std::fs::read_to_string(bench.desk.audit.path()).unwrap();
        assert!(kept.contains("digest ") && !kept.contains("canary"), "{kept}");
    }
}

#[tokio::test]
async fn a_rollout_undo_that_was_cut_off_is_found_by_the_digest_of_its_template() {
    for (tag, outcome) in [("1.7.4", "done"), ("1.9.0", "cannot-be-told")] {
        let mut bench = Bench::new();
        let (web, options) = something_for(&bench.cluster, Verb::RolloutUndo).await;
        let plan = bench.plan(Verb::RolloutUndo, &web, options).await;
        assert!(plan.can_run(), "{:#?}", plan.lines);
        cut_off(&mut bench, plan).await;
        let mut template = bench.cluster.get(&web).await.unwrap()["spec"]["template"].clone();
        template["spec"]["containers"][0]["image"] = json!(format!("registry.example/checkout:{tag}"));
        bench.cluster.change(&web, json!({ "spec": { "template": template } })).await;
        close(&bench.desk).await.unwrap();
        let ending = bench.ending("a").unwrap();
        assert_eq!(ending.outcome, outcome, "{tag}: {}", ending.detail);
    }
}
