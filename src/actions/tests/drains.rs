//! Drains: what is said before, which pods are evicted and how often, and how they end.

use std::future::Future;

use super::*;

pub async fn node(cluster: &Cluster, name: &str) -> ObjectRef {
    let node = object("", "nodes", "", name);
    let document = json!({
        "spec": {},
        "status": {
            "allocatable": { "cpu": "4", "memory": "16Gi", "pods": "58" },
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    });
    cluster.put(&node, document).await;
    node
}

/// A claim of pool `default`, whose node is ready.
pub async fn claim(cluster: &Cluster, name: &str, node: &str) -> ObjectRef {
    let claim = object("karpenter.sh", "nodeclaims", "", name);
    let document = json!({
        "metadata": {
            "labels": { "karpenter.sh/nodepool": "default" },
            "finalizers": ["karpenter.sh/termination"],
            "creationTimestamp": "2026-01-05T09:00:00Z",
        },
        "spec": { "terminationGracePeriod": "30m" },
        "status": { "nodeName": node },
    });
    cluster.put(&claim, document).await;
    claim
}

/// A pod of a ReplicaSet, as most are.
fn document(node: &str, name: &str) -> Value {
    json!({
        "metadata": {
            "labels": { "app": "checkout" },
            "ownerReferences": [{ "kind": "ReplicaSet", "name": "checkout-b", "uid": "rs-1", "controller": true }],
        },
        "spec": { "nodeName": node, "containers": [
            { "name": name, "resources": { "requests": { "cpu": "500m", "memory": "1Gi" } } } ] },
        "status": { "phase": "Running" },
    })
}

fn named(name: &str) -> ObjectRef {
    object("", "pods", "tenant-2", name)
}

pub async fn pod(cluster: &Cluster, node: &str, name: &str) -> ObjectRef {
    cluster.put(&named(name), document(node, name)).await;
    named(name)
}

/// Node `n-1` with two pods.
async fn two(bench: &Bench) -> ObjectRef {
    let node = node(&bench.cluster, "n-1").await;
    pod(&bench.cluster, "n-1", "a").await;
    pod(&bench.cluster, "n-1", "b").await;
    node
}

/// Returns the names and UIDs of the pods that were evicted, in order.
async fn evicted(cluster: &Cluster) -> Vec<(String, String)> {
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    cluster
        .writes()
        .await
        .iter()
        .filter(|write| write["under"] == "eviction")
        .map(|write| {
            (text(write, "/body/metadata/name"), text(write, "/body/deleteOptions/preconditions/uid"))
        })
        .collect()
}

async fn is_cordoned(cluster: &Cluster, node: &ObjectRef) -> bool {
    cluster.get(node).await.unwrap()["spec"]["unschedulable"] == true
}

/// Runs a drain with a hand on it, and hands every piece of progress to `each`.
async fn steered<F: Future<Output = ()>>(
    bench: &mut Bench,
    plan: Plan,
    mut each: impl FnMut(Progress, &Hand) -> F,
) -> Outcome {
    let confirmed = bench.confirm(plan);
    let (hand, steer) = Steer::new(&CancellationToken::new());
    let (sender, mut progress) = mpsc::channel(1024);
    let listening = async {
        while let Some(one) = progress.recv().await {
            each(one, &hand).await;
        }
    };
    let running = async {
        let sender = sender;
        carry_out_steered(&bench.desk, confirmed, Follow::ToTheEnd, &sender, &steer).await
    };
    tokio::join!(running, listening).0
}

#[tokio::test]
async fn the_plan_says_what_goes_what_stays_and_what_speaks_against_it() {
    let bench = Bench::new();
    let cluster = &bench.cluster;
    let n1 = two(&bench).await;
    node(cluster, "n-2").await;
    let space = object("", "namespaces", "", "tenant-2");
    cluster.put(&space, json!({ "metadata": { "labels": { "tenant": "two" } } })).await;
    let owned = |kind: &str| json!([{ "kind": kind, "name": "x", "controller": true }]);
    let mut daemon = document("n-1", "agent");
    daemon["metadata"]["ownerReferences"] = owned("DaemonSet");
    cluster.put(&object("", "pods", "kube-system", "agent"), daemon).await;
    let mut lone = document("n-1", "lone");
    lone["metadata"]["ownerReferences"] = json!([]);
    lone["metadata"]["annotations"] = json!({ "karpenter.sh/do-not-disrupt": "true" });
    lone["spec"]["volumes"] = json!([{ "name": "scratch", "emptyDir": {} }]);
    cluster.put(&object("", "pods", "tools", "lone"), lone).await;
    pod(cluster, "n-2", "elsewhere").await;
    cluster
        .put(&object("apps", "replicasets", "tenant-2", "checkout-b"), json!({ "spec": { "replicas": 1 } }))
        .await;
    let budget = object("policy", "poddisruptionbudgets", "tenant-2", "checkout");
    let status =
        json!({ "disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 3 });
    let selector = json!({ "matchLabels": { "app": "checkout" } });
    cluster.put(&budget, json!({ "spec": { "selector": selector }, "status": status })).await;

    let plan = bench.plan(Verb::Drain, &n1, Options::default()).await;
    assert_line(&plan, Mark::Change, "3 pods are evicted, at most 5 at a time: 1.5 and 3Gi requested");
    assert_line(&plan, Mark::Note, "they are of 1 tenant: two (2); of 1 other namespace: tools (1)");
    assert_line(&plan, Mark::Note, "left on the node: 1 pod of DaemonSets");
    assert_line(&plan, Mark::Stop, "no controller owns tools/lone");
    assert_line(&plan, Mark::Stop, "emptyDir volumes would be lost: tools/lone");
    assert_line(
        &plan,
        Mark::Warn,
        "asked not to be disrupted (karpenter.sh/do-not-disrupt), evicted all the same: tools/lone",
    );
    assert_line(
        &plan,
        Mark::Warn,
        "disruption budget tenant-2/checkout allows none now (needs 2 healthy, has 2): 2 pods are here",
    );
    assert_line(&plan, Mark::Warn, "the only replica, away until a new one is ready: tenant-2/checkout-b");
    assert_line(&plan, Mark::Ok, "room elsewhere: all 2 pods fit on 1 other node");
    assert_line(&plan, Mark::Ok, "you may create pods/eviction in tenant-2");
    assert!(!plan.can_run());

    let options =
        Options { force: true, delete_emptydir_data: true, timeout_seconds: Some(60), ..Options::default() };
    let plan = bench.plan(Verb::Drain, &n1, options).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert_eq!(
        plan.command,
        "kubectl drain n-1 --ignore-daemonsets --force --delete-emptydir-data --timeout=60s"
    );
    assert_eq!(plan.basis.iter().filter(|basis| basis.sake.as_ref() == Some(&n1)).count(), 3);
    assert!(bench.cluster.writes().await.is_empty());
}

#[tokio::test]
async fn every_eviction_is_rehearsed_before_a_few_at_a_time_and_none_is_carried_out() {
    let bench = Bench::new();
    let n1 = node(&bench.cluster, "n-1").await;
    for at in 0..100 {
        pod(&bench.cluster, "n-1", &format!("pod-{at}")).await;
    }
    let words = "Cannot evict pod as it would violate the pod's disruption budget. (The disruption budget checkout needs 2 healthy pods and has 2 currently)";
    bench.cluster.keep("pod-7", words).await;
    let plan = bench.plan(Verb::Drain, &n1, Options::default()).await;
    assert_line(&plan, Mark::Ok, "the server would evict 99 pods (server dry run)");
    assert_line(
        &plan,
        Mark::Warn,
        "refused now, waited for (server dry run): 1 pod: tenant-2/pod-7: budget checkout: needs 2 healthy pods",
    );
    assert!(plan.can_run(), "a budget's refusal is waited for");
    let most = bench.cluster.most_rehearsing().await;
    assert!((2..=8).contains(&most), "{most} at a time");
    assert!(bench.cluster.writes().await.is_empty());
}

#[tokio::test]
async fn each_pod_is_evicted_once_by_its_uid_and_daemons_stay() {
    let mut bench = Bench::new();
    let n1 = two(&bench).await;
    let uid = |name: &str| {
        let (cluster, pod) = (bench.cluster.clone(), named(name));
        async move { cluster.get(&pod).await.unwrap()["metadata"]["uid"].as_str().unwrap().to_owned() }
    };
    let expected = [("a".to_owned(), uid("a").await), ("b".to_owned(), uid("b").await)];
    let outcome = bench.act(Verb::Drain, &n1, Options::default()).await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.starts_with("n-1 is drained: 2 pods gone and no pod is left")),
        "{outcome:?}"
    );
    assert_eq!(evicted(&bench.cluster).await, expected);
    assert!(is_cordoned(&bench.cluster, &n1).await);
    // contracts 3.6: the options stand under `deleteOptions`, or the server passes them over.
    let body = bench.cluster.writes().await[1]["body"].clone();
    assert_eq!(
        body,
        json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": "a", "namespace": "tenant-2" },
            "deleteOptions": { "preconditions": { "uid": expected[0].1 } },
        })
    );
}

#[tokio::test]
async fn an_eviction_whose_answer_is_lost_is_not_sent_again_and_one_that_never_arrived_is() {
    for (fault, expected) in [(Fault::AnswerLost, 2), (Fault::NotSent, 2)] {
        let mut bench = Bench::new();
        let n1 = two(&bench).await;
        // The cordon passes.
        bench.cluster.faults([Fault::Fine, fault.clone(), fault.clone()]).await;
        let outcome = bench.act(Verb::Drain, &n1, Options::default()).await;
        assert!(matches!(outcome, Outcome::Verified(_)), "{fault:?}: {outcome:?}");
        assert_eq!(evicted(&bench.cluster).await.len(), expected, "{fault:?}");
    }
}

#[tokio::test]
async fn an_eviction_with_a_lost_answer_is_not_repeated_while_the_pod_ends() {
    let mut bench = Bench::new();
    let n1 = two(&bench).await;
    bench.cluster.stubborn().await;
    bench.cluster.faults([Fault::Fine, Fault::AnswerLost, Fault::AnswerLost]).await;
    let plan = bench.plan(Verb::Drain, &n1, Options::default()).await;
    let cluster = bench.cluster.clone();
    let outcome = steered(&mut bench, plan, |progress, _| {
        let cluster = cluster.clone();
        let ending = progress.steps.iter().filter(|step| step.detail.starts_with("ending")).count();
        async move {
            if ending == 2 {
                cluster.reap().await;
            }
        }
    })
    .await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert_eq!(evicted(&bench.cluster).await.len(), 2);
}

#[tokio::test]
async fn a_budgets_refusal_is_shown_by_its_name_and_tried_again() {
    let mut bench = Bench::new();
    let n1 = two(&bench).await;
    bench.cluster.faults([Fault::Fine, Fault::Budget, Fault::Budget, Fault::Budget]).await;
    let plan = bench.plan(Verb::Drain, &n1, Options { parallel: Some(1), ..Options::default() }).await;
    let mut said = Vec::new();
    let outcome = steered(&mut bench, plan, |progress, _| {
        said.extend(progress.steps.into_iter().map(|step| step.detail));
        std::future::ready(())
    })
    .await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let words = "budget checkout: needs 2 healthy pods and has 2 currently";
    assert!(said.iter().any(|said| said.contains(words)), "{said:?}");
    assert_eq!(evicted(&bench.cluster).await.len(), 2);
}

#[tokio::test]
async fn a_pod_that_took_the_name_over_is_never_evicted() {
    let mut bench = Bench::new();
    let n1 = two(&bench).await;
    let plan = bench.plan(Verb::Drain, &n1, Options::default()).await;
    // A stateful set gives the same name again; here even on the same node.
    pod(&bench.cluster, "n-1", "a").await;
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(
        matches!(&outcome, Outcome::NotVerified(why) if why.contains("came since and left alone: tenant-2/a")),
        "{outcome:?}"
    );
    let evicted: Vec<String> = evicted(&bench.cluster).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(evicted, ["b"]);
    assert!(bench.cluster.get(&named("a")).await.is_some());
}

#[tokio::test]
async fn a_node_that_is_gone_takes_its_pods_with_it() {
    let mut bench = Bench::new();
    let n1 = two(&bench).await;
    bench.cluster.stubborn().await;
    let plan = bench.plan(Verb::Drain, &n1, Options { parallel: Some(1), ..Options::default() }).await;
    let cluster = bench.cluster.clone();
    let outcome = steered(&mut bench, plan, |progress, _| {
        let (cluster, node) = (cluster.clone(), n1.clone());
        let ending = progress.steps.iter().any(|step| step.detail.starts_with("ending"));
        async move {
            if ending {
                cluster.remove(&node).await;
                cluster.remove(&named("a")).await;
                cluster.remove(&named("b")).await;
            }
        }
    })
    .await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.starts_with("the node is gone, and 2 pods with it")),
        "{outcome:?}"
    );
    assert_eq!(evicted(&bench.cluster).await.len(), 1);
}

#[tokio::test]
async fn ending_a_drain_begins_nothing_more_and_says_what_is_left() {
    let mut bench = Bench::new();
    let n1 = two(&bench).await;
    bench.cluster.stubborn().await;
    let plan = bench.plan(Verb::Drain, &n1, Options { parallel: Some(1), ..Options::default() }).await;
    let outcome = steered(&mut bench, plan, |progress, hand| {
        if progress.steps.iter().any(|step| step.detail.starts_with("ending")) {
            hand.end();
        }
        std::future::ready(())
    })
    .await;
    let Outcome::NotVerified(why) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(
        why,
        "ended by hand: 0 of 2 pods gone; left: tenant-2/a (still ending), tenant-2/b (not evicted). The node stays cordoned by this drain: uncordon it, or drain it again"
    );
    assert_eq!(evicted(&bench.cluster).await.len(), 1);
    assert!(is_cordoned(&bench.cluster, &n1).await);
    assert_eq!(bench.records().len(), 2);
}

#[tokio::test]
async fn a_drain_that_is_held_evicts_nothing_until_it_goes_on_and_loses_no_time() {
    let mut bench = Bench::new();
    bench.desk.pace.drain = Duration::from_millis(200);
    let n1 = two(&bench).await;
    let plan = bench.plan(Verb::Drain, &n1, Options::default()).await;
    let confirmed = bench.confirm(plan);
    let (hand, steer) = Steer::new(&CancellationToken::new());
    hand.hold(true);
    let (sender, mut progress) = mpsc::channel::<Progress>(1024);
    let cluster = bench.cluster.clone();
    let watching = async {
        let mut held = None;
        while let Some(one) = progress.recv().await {
            let since = one.steps.iter().any(|step| step.detail.starts_with("held"));
            if since && held.is_none() {
                // Longer than the drain has: its time stands still.
                tokio::time::timeout(Duration::from_millis(400), std::future::pending::<()>())
                    .await
                    .unwrap_err();
                held = Some(evicted(&cluster).await.len());
                hand.hold(false);
            }
        }
        held
    };
    let running = async {
        let sender = sender;
        carry_out_steered(&bench.desk, confirmed, Follow::ToTheEnd, &sender, &steer).await
    };
    let (outcome, held) = tokio::join!(running, watching);
    assert_eq!(held, Some(0));
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_drain_that_runs_out_of_time_names_the_pods_and_budgets_that_are_left() {
    let mut bench = Bench::new();
    bench.desk.pace.drain = Duration::from_millis(60);
    let n1 = two(&bench).await;
    bench.cluster.faults(std::iter::once(Fault::Fine).chain((0..10_000).map(|_| Fault::Budget))).await;
    let outcome = bench.act(Verb::Drain, &n1, Options::default()).await;
    let Outcome::NotVerified(why) = &outcome else { panic!("{outcome:?}") };
    let words = "0 of 2 pods gone; left: tenant-2/a (budget checkout: needs 2 healthy pods";
    assert!(why.contains(words), "{why}");
    assert!(evicted(&bench.cluster).await.is_empty());
}

#[tokio::test]
async fn a_pod_that_came_since_the_plan_is_told_and_left_alone() {
    let mut bench = Bench::new();
    let n1 = two(&bench).await;
    let plan = bench.plan(Verb::Drain, &n1, Options::default()).await;
    pod(&bench.cluster, "n-1", "late").await;
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(
        matches!(&outcome, Outcome::NotVerified(why) if why.contains("came since and left alone: tenant-2/late. Plan the drain again")),
        "{outcome:?}"
    );
    assert!(bench.cluster.get(&named("late")).await.is_some());
}

#[tokio::test]
async fn no_more_pods_end_at_a_time_than_asked_for() {
    let mut bench = Bench::new();
    let n1 = node(&bench.cluster, "n-1").await;
    for name in ["a", "b", "c", "d", "e"] {
        pod(&bench.cluster, "n-1", name).await;
    }
    bench.cluster.stubborn().await;
    let plan = bench.plan(Verb::Drain, &n1, Options { parallel: Some(2), ..Options::default() }).await;
    assert_line(&plan, Mark::Change, "5 pods are evicted, at most 2 at a time");
    let cluster = bench.cluster.clone();
    let mut most = 0;
    let outcome = steered(&mut bench, plan, |progress, _| {
        let ending = progress.steps.iter().filter(|step| step.detail.starts_with("ending")).count();
        most = most.max(ending);
        let cluster = cluster.clone();
        async move {
            if ending == 2
                || progress.steps.iter().filter(|step| step.standing == Standing::Done).count() >= 5
            {
                cluster.reap().await;
            }
        }
    })
    .await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert_eq!(most, 2);
    assert_eq!(evicted(&bench.cluster).await.len(), 5);
}

#[tokio::test]
async fn several_nodes_are_all_cordoned_before_the_first_pod_goes_and_the_next_waits_for_the_first() {
    let mut bench = Bench::new();
    bench.desk.pace.drain = Duration::from_millis(60);
    let n1 = two(&bench).await;
    let n2 = node(&bench.cluster, "n-2").await;
    pod(&bench.cluster, "n-2", "c").await;
    let mut request = bench.request(Verb::Drain, &n1, Options::default()).await;
    request.targets.push(resolve(&bench.desk, &n2).await.unwrap());
    let plan_of_both = bench.plan_of(request).await;
    // The first node never empties.
    let faults = [Fault::Fine, Fault::Fine].into_iter().chain((0..10_000).map(|_| Fault::Budget));
    bench.cluster.faults(faults).await;
    let confirmed = bench.confirm(plan_of_both);
    let outcome = bench.run(confirmed).await;
    let Outcome::NotVerified(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("Cordoned by this drain and left so: n-1, n-2"), "{why}");
    assert!(is_cordoned(&bench.cluster, &n1).await && is_cordoned(&bench.cluster, &n2).await);
    assert!(bench.cluster.get(&named("c")).await.is_some(), "the second node was begun");
}

#[tokio::test]
async fn a_node_that_was_cordoned_before_is_said_to_have_been() {
    let mut bench = Bench::new();
    bench.desk.pace.drain = Duration::from_millis(20);
    let n1 = two(&bench).await;
    bench.cluster.change(&n1, json!({ "spec": { "unschedulable": true } })).await;
    bench.cluster.faults((0..10_000).map(|_| Fault::Budget)).await;
    let outcome = bench.act(Verb::Drain, &n1, Options::default()).await;
    assert!(
        matches!(&outcome, Outcome::NotVerified(why) if why.ends_with("The node stays cordoned, as it was before")),
        "{outcome:?}"
    );
    assert!(bench.cluster.writes().await.is_empty());
}

#[tokio::test]
async fn a_deleted_claim_is_followed_until_its_replacement_is_ready() {
    let mut bench = Bench::new();
    let (object, options) = something_for(&bench.cluster, Verb::DeleteNodeclaim).await;
    let plan = bench.plan(Verb::DeleteNodeclaim, &object, options).await;
    assert_line(&plan, Mark::From, "node n-1");
    assert_line(&plan, Mark::Change, "1 pod moved: 500m and 1Gi requested");
    assert_line(&plan, Mark::Warn, "no room elsewhere for 1 of 1 pod");
    assert_line(&plan, Mark::Warn, "after 30m budgets and karpenter.sh/do-not-disrupt no longer count");
    let mut next = json!({
        "metadata": {
            "labels": { "karpenter.sh/nodepool": "default" },
            "creationTimestamp": "2026-01-05T12:00:00Z",
        },
        "status": { "conditions": [{ "type": "Launched", "status": "False", "message": "no capacity" }] },
    });
    let new = self::object("karpenter.sh", "nodeclaims", "", "default-2");
    bench.cluster.put(&new, next.clone()).await;
    let conditions: Vec<Value> = ["Launched", "Registered", "Initialized"]
        .iter()
        .map(|name| json!({ "type": name, "status": "True" }))
        .collect();
    next["status"]["conditions"] = json!(conditions);
    let cluster = bench.cluster.clone();
    let mut said = Vec::new();
    let outcome = steered(&mut bench, plan, |progress, _| {
        let last = progress.steps[2].detail.clone();
        said.push(last.clone());
        let (cluster, new, next) = (cluster.clone(), new.clone(), next.clone());
        async move {
            if last == "default-2 is being launched: no capacity" {
                cluster.put(&new, next).await;
            }
        }
    })
    .await;
    assert!(said.iter().any(|said| said.contains("no capacity")), "{said:?}");
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.contains("default-2 is ready in its place")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_claim_without_the_finalizer_is_not_deleted_because_its_machine_would_run_on() {
    let bench = Bench::new();
    let (object, options) = something_for(&bench.cluster, Verb::DeleteNodeclaim).await;
    bench.cluster.change(&object, json!({ "metadata": { "finalizers": null } })).await;
    let plan = bench.plan(Verb::DeleteNodeclaim, &object, options).await;
    assert_line(&plan, Mark::Stop, "the machine would run on");
}
