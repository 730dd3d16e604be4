use super::*;
use crate::audit::Changed;
use crate::identity::Target;
use undo::{Entry, Undoes, entries};

/// What takes the cordon of a node back.
pub fn cordon(node: &ObjectRef) -> Options {
    let change = Changed {
        object: node.clone(),
        field: "/spec/unschedulable".to_owned(),
        before: Value::Null,
        after: json!(true),
        withheld: false,
    };
    let undoes = Undoes {
        entry: "entry-1".to_owned(),
        verb: "cordon".to_owned(),
        at: noon(),
        by: "bob".to_owned(),
        changes: vec![change],
    };
    Options { undoes: Some(Box::new(undoes)), ..Options::default() }
}

impl Bench {
    /// Undoes the newest entry, or says why not.
    async fn undo(&mut self) -> Result<Outcome, String> {
        let records = self.records();
        let all = entries(&records);
        let id = all.last().unwrap().before.id.clone();
        let request = undo::request(&all, &id, self.desk.clock.now(), "INC-8")?;
        let plan = self.plan_of(request).await;
        if !plan.can_run() {
            return Err(plan.stops().map(|line| line.text.clone()).collect::<Vec<_>>().join("; "));
        }
        assert_line(&plan, Mark::Note, &format!("(entry {id})"));
        let confirmed = self.confirm(plan);
        Ok(self.run(confirmed).await)
    }
}

fn last(records: &[Record]) -> Entry<'_> {
    entries(records).pop().unwrap()
}

#[tokio::test]
async fn a_cordon_is_taken_back_once_and_the_record_says_which() {
    let mut bench = Bench::new();
    let (node, options) = something_for(&bench.cluster, Verb::Cordon).await;
    assert_eq!(bench.act(Verb::Cordon, &node, options).await.word(), "verified");
    let records = bench.records();
    let cordoned = last(&records).before.id.clone();
    let ending = last(&records).ending.unwrap().clone();
    assert_eq!(ending.changes[0].sentence(), "spec.unschedulable: absent -> true");

    assert_eq!(bench.undo().await.unwrap().word(), "verified");
    let now = bench.cluster.get(&node).await.unwrap();
    assert_eq!(now.pointer("/spec/unschedulable"), None);
    let records = bench.records();
    assert_eq!(last(&records).intent.undoes.as_deref(), Some(cordoned.as_str()));

    // A second time there is nothing to take back, and the undo itself can be.
    let all = entries(&records);
    let again = undo::request(&all, &cordoned, bench.desk.clock.now(), "").unwrap_err();
    assert!(again.starts_with("it was undone at 2026-01-05 12:00"), "{again}");
    assert_eq!(bench.undo().await.unwrap().word(), "verified");
    let now = bench.cluster.get(&node).await.unwrap();
    assert_eq!(now.pointer("/spec/unschedulable"), Some(&json!(true)));
}

#[tokio::test]
async fn what_moved_on_since_is_left_alone() {
    let mut bench = Bench::new();
    let (node, options) = something_for(&bench.cluster, Verb::Protect).await;
    bench.act(Verb::Protect, &node, options).await;
    bench
        .cluster
        .change(&node, json!({ "metadata": { "annotations": { "karpenter.sh/do-not-disrupt": "30m" } } }))
        .await;
    let why = bench.undo().await.unwrap_err();
    assert!(why.contains("it was changed since, and is left alone") && why.contains("true -> 30m"), "{why}");
    // Another object of that name is not the one that was changed.
    bench.cluster.put(&node, json!({ "spec": {} })).await;
    let why = bench.undo().await.unwrap_err();
    assert!(why.contains("was replaced"), "{why}");
    // Somebody changes it between the question and the write.
    let records = bench.records();
    let writes = bench.cluster.writes().await.len();
    assert_eq!((records.len(), writes), (2, 1));
}

#[tokio::test]
async fn what_cannot_be_taken_back_says_why() {
    let mut bench = Bench::new();
    let (pod, options) = something_for(&bench.cluster, Verb::DeletePod).await;
    bench.act(Verb::DeletePod, &pod, options).await;
    let why = bench.undo().await.unwrap_err();
    assert!(why.starts_with("delete-pod cannot be undone: a pod that was deleted"), "{why}");

    let mut bench = Bench::new();
    bench.cluster.deny("patch").await;
    let node = object("", "nodes", "", "n-1");
    bench.cluster.put(&node, json!({ "spec": {} })).await;
    let mut plan = bench.plan(Verb::Cordon, &node, Options::default()).await;
    plan.lines.retain(|line| line.mark != Mark::Stop);
    let confirmed = bench.confirm(plan);
    assert_eq!(bench.run(confirmed).await.word(), "refused");
    let why = bench.undo().await.unwrap_err();
    assert!(why.starts_with("nothing was changed (refused)"), "{why}");
}

#[tokio::test]
async fn a_rollback_is_rolled_forward_to_the_entry_that_it_came_from() {
    let mut bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    bench.cluster.controller("Succeeded").await;
    let outcome = bench.act(Verb::Rollback, &checkout(), back_to_41()).await;
    assert_eq!(outcome.word(), "verified", "{outcome:?}");
    // Argo CD writes the entry of the rollback into the history.
    let mut history = bench.cluster.get(&checkout()).await.unwrap()["status"]["history"].clone();
    let mut entry = history[0].clone();
    entry["id"] = json!(43);
    history.as_array_mut().unwrap().push(entry);
    bench.cluster.change(&checkout(), json!({ "status": { "history": history } })).await;

    let records = bench.records();
    let all = entries(&records);
    let id = last(&records).before.id.clone();
    let request = undo::request(&all, &id, bench.desk.clock.now(), "").unwrap();
    let plan = bench.plan_of(request).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert_eq!((plan.request.verb, plan.request.options.history_id), (Verb::Rollback, Some(42)));

    // Another operation since: it is not this rollback that would be taken back.
    bench
        .cluster
        .change(&checkout(), json!({ "status": { "operationState": { "operation": { "info": null } } } }))
        .await;
    let why = bench.undo().await.unwrap_err();
    assert!(why.contains("another operation than that rollback was the last to deploy checkout"), "{why}");
}

#[tokio::test]
async fn a_rollback_of_several_is_rolled_forward_for_those_that_it_deployed() {
    let mut bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    let named = |name: &str| object("argoproj.io", "applications", "argocd", name);
    for name in ["cart", "search"] {
        let mut other = application();
        other["metadata"]["name"] = json!(name);
        other["status"]["history"][0]["id"] = json!(7);
        other["status"]["history"][1]["id"] = json!(8);
        bench.cluster.put(&named(name), other).await;
    }
    bench.cluster.controller("Succeeded").await;
    let mut request = bench.request(Verb::Rollback, &checkout(), Options::default()).await;
    for name in ["cart", "search"] {
        request.targets.push(resolve(&bench.desk, &named(name)).await.unwrap());
    }
    let back = bench.plan_of(request).await;
    let confirmed = bench.confirm(back);
    let outcome = bench.run(confirmed).await;
    assert_eq!(outcome.word(), "verified", "{outcome:?}");
    // Argo CD writes the entries of the rollback into the histories, and somebody deploys one again.
    for at in [checkout(), named("cart"), named("search")] {
        let mut history = bench.cluster.get(&at).await.unwrap()["status"]["history"].clone();
        let mut entry = history[0].clone();
        entry["id"] = json!(43);
        history.as_array_mut().unwrap().push(entry);
        bench.cluster.change(&at, json!({ "status": { "history": history } })).await;
    }
    let again = json!({ "status": { "operationState": { "operation": { "info": null } } } });
    bench.cluster.change(&named("search"), again).await;

    let records = bench.records();
    let all = entries(&records);
    let id = last(&records).before.id.clone();
    let request = undo::request(&all, &id, bench.desk.clock.now(), "INC-8").unwrap();
    let forward = bench.plan_of(request).await;
    assert!(forward.can_run(), "{:#?}", forward.lines);
    assert_line(
        &forward,
        Mark::Warn,
        "another operation than that rollback was the last to deploy search: it is left as it is",
    );
    assert_line(&forward, Mark::To, "cart: #8");
    assert_line(&forward, Mark::To, "checkout: #42");
    assert_eq!(forward.request.targets.len(), 2);
    let confirmed = bench.confirm(forward);
    let outcome = bench.run(confirmed).await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.starts_with("all 2: cart: ") && !how.contains("search")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_silence_is_expired_and_one_that_was_expired_is_made_again() {
    let mut bench = Bench::new();
    let (alert, options) = something_for(&bench.cluster, Verb::Silence).await;
    assert_eq!(bench.act(Verb::Silence, &alert, options).await.word(), "verified");
    let records = bench.records();
    assert_eq!(last(&records).ending.unwrap().made[0].name.as_ref(), "s1");
    let outcome = bench.undo().await.unwrap();
    assert_eq!(outcome.word(), "verified", "{outcome:?}");
    let silence = object("signals", "silences", "", "s1");
    let now = bench.cluster.get(&silence).await.unwrap();
    assert_eq!(now["status"]["state"], "expired");

    let records = bench.records();
    let all = entries(&records);
    let id = last(&records).before.id.clone();
    let request = undo::request(&all, &id, bench.desk.clock.now(), "INC-9").unwrap();
    assert_eq!((request.verb, request.options.minutes), (Verb::Silence, Some(60)));
    assert!(request.options.matchers.iter().any(|one| one.contains("HighErrorRate")), "{request:?}");
    let late = bench.desk.clock.now() + jiff::SignedDuration::from_hours(3);
    let why = undo::request(&all, &id, late, "").unwrap_err();
    assert!(why.contains("would have ended at 2026-01-05 13:00"), "{why}");
}

#[tokio::test]
async fn an_undo_that_was_cut_off_is_judged_by_its_fields() {
    let bench = Bench::new();
    let node = object("", "nodes", "", "n-1");
    bench.cluster.put(&node, json!({ "spec": { "unschedulable": true } })).await;
    let plan = bench.plan(Verb::Undo, &node, cordon(&node)).await;
    let target: Target = plan.basis[0].target.clone();
    let intent = crate::audit::Intent {
        context: Context::new("test"),
        environment: "dev".to_owned(),
        protected: false,
        verb: "undo".to_owned(),
        targets: vec![target.clone()],
        tenant: None,
        title: plan.title.clone(),
        options: json!(plan.request.options),
        who: crate::audit::Who { server: "alice".to_owned(), local: "alice".to_owned() },
        reason: String::new(),
        confirmation: "yes".to_owned(),
        checks: Vec::new(),
        command: String::new(),
        holds: Vec::new(),
        changes: Vec::new(),
        undoes: Some("entry-1".to_owned()),
        rule: None,
    };
    let document = bench.cluster.get(&node).await;
    assert!(!undo::judge(&intent, &target, document.as_ref()).unwrap().0);
    bench.cluster.change(&node, json!({ "spec": { "unschedulable": null } })).await;
    let document = bench.cluster.get(&node).await;
    assert!(undo::judge(&intent, &target, document.as_ref()).unwrap().0);
}
