//! The gate for every verb: read-only, forbidden, protected, stale, replaced, expired, twice, unrecorded.

use super::repositories::verbs;
use super::*;

#[tokio::test]
async fn a_read_only_context_refuses_every_verb_and_its_plan_says_so() {
    for verb in verbs() {
        let mut bench = Bench::under(Rules { readonly: Some("--readonly was given".to_owned()), ..rules() });
        let (object, options) = something_for(&bench.cluster, verb).await;
        let mut plan = bench.plan(verb, &object, options).await;
        assert_line(&plan, Mark::Stop, "read-only: --readonly was given");
        // Whatever becomes of the plan on the way, the gate itself refuses.
        plan.lines.clear();
        let refusal = confirm(&mut bench.gate, plan, Answer::Yes, noon()).unwrap_err();
        assert!(matches!(refusal, Refusal::ReadOnly { .. }), "{verb:?}: {refusal}");
        assert!(bench.cluster.writes().await.is_empty());
    }
}

#[tokio::test]
async fn a_missing_permission_stops_the_plan_of_every_verb() {
    for verb in verbs() {
        let mut bench = Bench::new();
        let (object, options) = something_for(&bench.cluster, verb).await;
        let (right, on) = match verb {
            Verb::DeletePod | Verb::DeleteNodeclaim | Verb::Delete | Verb::ForceDelete => {
                ("delete", object.resource.to_string())
            }
            Verb::RunJob => ("create", "jobs.batch".to_owned()),
            // Alertmanager is reached through the proxy of its service.
            Verb::Silence | Verb::ExtendSilence | Verb::ExpireSilence => {
                ("create", "services/proxy".to_owned())
            }
            Verb::Renew => ("update", format!("{}/status", object.resource)),
            _ => ("patch", object.resource.to_string()),
        };
        bench.cluster.deny(right).await;
        let plan = bench.plan(verb, &object, options).await;
        assert_line(&plan, Mark::Stop, &format!("you may not {right} {on}"));
        assert!(confirm(&mut bench.gate, plan, Answer::Yes, noon()).is_err());
    }
}

#[tokio::test]
async fn a_permission_that_is_lost_after_the_question_refuses_every_verb_and_is_recorded() {
    for verb in verbs() {
        let mut bench = Bench::new();
        let (object, options) = something_for(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        let confirmed = bench.confirm(plan);
        bench.cluster.deny("patch").await;
        bench.cluster.deny("update").await;
        bench.cluster.deny("delete").await;
        bench.cluster.deny("create").await;
        let outcome = bench.run(confirmed).await;
        assert!(
            matches!(&outcome, Outcome::Refused(why) if why.contains("you may not")),
            "{verb:?}: {outcome:?}"
        );
        assert!(bench.cluster.writes().await.is_empty());
        let records = bench.records();
        assert!(matches!(&records[1].event, Event::After(end) if end.outcome == "refused"), "{verb:?}");
    }
}

#[tokio::test]
async fn a_protected_environment_takes_the_typed_name_and_never_a_yes() {
    for verb in verbs() {
        let mut bench = Bench::under(Rules { environment: "prod".to_owned(), protected: true, ..rules() });
        let (object, options) = something_for(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        assert_eq!(plan.confirmation, Confirmation::Type("tenant-2".to_owned()));
        assert!(plan.title.ends_with("in test (PROD)"), "{}", plan.title);
        let now = noon();
        for wrong in [Answer::Yes, Answer::Typed("tenant-".to_owned()), Answer::Typed("Tenant-2".to_owned())]
        {
            let refusal = confirm(&mut bench.gate, plan.clone(), wrong, now).unwrap_err();
            assert!(matches!(refusal, Refusal::NotConfirmed(_)), "{verb:?}: {refusal}");
        }
        let mut weakened = plan.clone();
        weakened.confirmation = Confirmation::Yes;
        assert!(confirm(&mut bench.gate, weakened, Answer::Yes, now).is_err());
        confirm(&mut bench.gate, plan, Answer::Typed("tenant-2".to_owned()), now).unwrap();
    }
}

#[tokio::test]
async fn a_target_that_was_replaced_is_refused_for_every_verb_with_nothing_written() {
    for verb in verbs() {
        let mut bench = Bench::new();
        let (object, options) = something_for(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        let confirmed = bench.confirm(plan);
        let same = bench.cluster.get(&object).await.unwrap();
        let mut replacement = same.clone();
        replacement["metadata"]["uid"] = json!("another");
        bench.cluster.put(&object, replacement.clone()).await;
        let outcome = bench.run(confirmed).await;
        assert!(
            matches!(&outcome, Outcome::Refused(why) if why.contains("was replaced")),
            "{verb:?}: {outcome:?}"
        );
        assert!(bench.cluster.writes().await.is_empty(), "{verb:?}");
    }
}

#[tokio::test]
async fn a_target_that_is_gone_is_refused_for_every_verb() {
    for verb in verbs() {
        let mut bench = Bench::new();
        let (object, options) = something_for(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        let confirmed = bench.confirm(plan);
        bench.cluster.remove(&object).await;
        let outcome = bench.run(confirmed).await;
        // What a release gives back is read from the object first, which says it in its own words.
        assert!(
            matches!(&outcome, Outcome::Refused(why) if why.contains("does not exist any more")),
            "{verb:?}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn what_changed_since_the_question_is_refused_with_the_new_state() {
    let changes = [
        (Verb::Sync, json!({ "operation": { "sync": {} } }), "the requested operation is now different"),
        (
            Verb::Rollback,
            json!({ "status": { "operationState": { "phase": "Running" } } }),
            "the phase of its operation is now Running",
        ),
        (Verb::Rollback, json!({ "spec": { "source": { "path": "other" } } }), "its spec is now different"),
        (Verb::HoldAutosync, json!({ "spec": { "syncPolicy": null } }), "the sync policy is now absent"),
        (
            Verb::ReleaseAutosync,
            json!({ "spec": { "syncPolicy": { "automated": { "prune": false } } } }),
            "the sync policy is now different",
        ),
        (
            Verb::Terminate,
            json!({ "status": { "operationState": { "startedAt": "2026-01-05T11:59:30Z" } } }),
            "the start of the operation is now 2026-01-05T11:59:30Z",
        ),
        (
            Verb::Refresh,
            json!({ "metadata": { "annotations": { "argocd.argoproj.io/skip-reconcile": "true" } } }),
            "skip-reconcile is now true",
        ),
        (Verb::Restart, json!({ "spec": { "paused": true } }), "whether it is paused is now true"),
        (
            Verb::Cordon,
            json!({ "spec": { "unschedulable": true } }),
            "whether it is unschedulable is now true",
        ),
        (
            Verb::Uncordon,
            json!({ "spec": { "unschedulable": null } }),
            "whether it is unschedulable is now absent",
        ),
        (
            Verb::DeletePod,
            json!({ "metadata": { "deletionTimestamp": "2026-01-05T12:00:00Z" } }),
            "its deletion is now 2026-01-05T12:00:00Z",
        ),
    ];
    for (verb, change, said) in changes {
        let mut bench = Bench::new();
        let (object, options) = something_for(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        let confirmed = bench.confirm(plan);
        bench.cluster.change(&object, change).await;
        let outcome = bench.run(confirmed).await;
        assert!(matches!(&outcome, Outcome::Refused(why) if why.contains(said)), "{verb:?}: {outcome:?}");
        assert!(bench.cluster.writes().await.is_empty(), "{verb:?}");
    }
}

#[tokio::test]
async fn what_does_not_matter_may_change_between_question_and_answer() {
    let mut bench = Bench::new();
    bench.cluster.controller("Succeeded").await;
    let (object, options) = something_for(&bench.cluster, Verb::Rollback).await;
    let plan = bench.plan(Verb::Rollback, &object, options).await;
    let confirmed = bench.confirm(plan);
    // The controller compares all the time.
    bench.cluster.change(&object, json!({ "status": { "reconciledAt": "2026-01-05T12:00:30Z" } })).await;
    let outcome = bench.run(confirmed).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_second_answer_to_the_same_question_is_refused() {
    let mut bench = Bench::new();
    let (object, options) = something_for(&bench.cluster, Verb::Cordon).await;
    let plan = bench.plan(Verb::Cordon, &object, options).await;
    let first = bench.confirm(plan.clone());
    assert_eq!(confirm(&mut bench.gate, plan, Answer::Yes, noon()).unwrap_err(), Refusal::Answered);
    assert!(matches!(bench.run(first).await, Outcome::Verified(_)));
    assert_eq!(bench.cluster.writes().await.len(), 1);
}

#[tokio::test]
async fn an_expired_plan_is_refused() {
    let mut bench = Bench::new();
    let (object, options) = something_for(&bench.cluster, Verb::Cordon).await;
    let plan = bench.plan(Verb::Cordon, &object, options).await;
    bench.desk.clock.advance(Duration::from_mins(5));
    let refusal = confirm(&mut bench.gate, plan, Answer::Yes, bench.desk.clock.now()).unwrap_err();
    assert!(matches!(refusal, Refusal::Expired(_)), "{refusal}");
}

#[tokio::test]
async fn a_plan_of_another_context_is_refused() {
    let mut bench = Bench::new();
    let (object, options) = something_for(&bench.cluster, Verb::Cordon).await;
    let plan = bench.plan(Verb::Cordon, &object, options).await;
    bench.gate.govern(Rules { context: Context::new("other"), ..rules() });
    let refusal = confirm(&mut bench.gate, plan, Answer::Yes, noon()).unwrap_err();
    assert!(matches!(refusal, Refusal::OtherContext { .. }), "{refusal}");
}

#[tokio::test]
async fn without_a_record_nothing_is_written() {
    for verb in verbs() {
        let mut bench = Bench::new();
        let (object, options) = something_for(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        let confirmed = bench.confirm(plan);
        // A directory stands where the file should be.
        assert!(!bench.desk.audit.path().exists(), "a plan leaves nothing behind");
        std::fs::create_dir_all(bench.desk.audit.path()).unwrap();
        let outcome = bench.run(confirmed).await;
        assert!(
            matches!(&outcome, Outcome::Refused(why) if why.contains("without a record")),
            "{verb:?}: {outcome:?}"
        );
        assert!(bench.cluster.writes().await.is_empty());
        let plan = bench.plan(verb, &object, something_for(&bench.cluster, verb).await.1).await;
        assert_line(&plan, Mark::Stop, "cannot be written");
    }
}

#[tokio::test]
async fn an_owner_that_would_revert_the_change_stops_hold_and_rollback() {
    for verb in [Verb::HoldAutosync, Verb::Rollback] {
        let bench = Bench::new();
        let (object_ref, options) = something_for(&bench.cluster, verb).await;
        let owners = json!([{ "kind": "ApplicationSet", "name": "tenants", "uid": "s", "controller": true }]);
        bench.cluster.change(&object_ref, json!({ "metadata": { "ownerReferences": owners } })).await;
        bench
            .cluster
            .put(&object("argoproj.io", "applicationsets", "argocd", "tenants"), json!({ "spec": {} }))
            .await;
        let plan = bench.plan(verb, &object_ref, options).await;
        assert_line(&plan, Mark::Stop, "ApplicationSet \"tenants\" owns this app and will revert the hold");
    }
}

fn ruled(name: &str) -> crate::gate::guard::Rule {
    crate::gate::guard::Rule {
        name: name.to_owned(),
        origin: "config.toml:7".to_owned(),
        contexts: Vec::new(),
        environments: Vec::new(),
        namespaces: Vec::new(),
        tenants: Vec::new(),
        kinds: Vec::new(),
        verbs: Vec::new(),
        deny: None,
        type_name: false,
        reason: false,
        at_most: None,
        hours: Vec::new(),
    }
}

#[tokio::test]
async fn a_rule_of_the_guard_is_said_in_the_plan_held_by_the_gate_and_recorded() {
    use crate::gate::guard::{Hours, Rule};
    let deny = Rule {
        verbs: vec!["cordon".to_owned()],
        deny: Some("ask the platform team".to_owned()),
        ..ruled("no-cordon")
    };
    let mut bench = Bench::under(Rules { guard: vec![deny], ..rules() });
    let (node, options) = something_for(&bench.cluster, Verb::Cordon).await;
    let plan = bench.plan(Verb::Cordon, &node, options).await;
    assert_line(&plan, Mark::Stop, "rule no-cordon (config.toml:7) forbids it: ask the platform team");
    // Who takes the line out of the plan is refused all the same.
    let mut bent = plan.clone();
    bent.lines.retain(|line| line.mark != Mark::Stop);
    let refusal = confirm(&mut bench.gate, bent, Answer::Yes, noon()).unwrap_err();
    assert!(refusal.to_string().contains("rule no-cordon"), "{refusal}");
    // To take a cordon back by an undo of an uncordon is a cordon by another name.
    let mut undo = cordon_by_undo(&node);
    undo.undoes.as_mut().unwrap().verb = "cordon".to_owned();
    bench.cluster.change(&node, json!({ "spec": { "unschedulable": true } })).await;
    let plan = bench.plan(Verb::Undo, &node, undo).await;
    assert!(!plan.can_run(), "{:#?}", plan.lines);

    let demanding = Rule { type_name: true, reason: true, ..ruled("careful") };
    let mut bench = Bench::under(Rules { guard: vec![demanding], ..rules() });
    let (node, options) = something_for(&bench.cluster, Verb::Cordon).await;
    let mut plan = bench.plan(Verb::Cordon, &node, options).await;
    assert_eq!(plan.confirmation, Confirmation::Type("tenant-2".to_owned()));
    assert_line(&plan, Mark::Note, "rule careful (config.toml:7): a reason must be given");
    let typed = || Answer::Typed("tenant-2".to_owned());
    plan.request.reason = String::new();
    assert!(plan.needs_reason());
    assert!(confirm(&mut bench.gate, plan.clone(), typed(), noon()).is_err());
    plan.request.reason = "OPS-1".to_owned();
    let confirmed = confirm(&mut bench.gate, plan, typed(), noon()).unwrap();
    assert!(matches!(bench.run(confirmed).await, Outcome::Verified(_)));
    let Event::Before(intent) = &bench.records()[0].event else { panic!("the first is the record before") };
    assert_eq!(intent.rule.as_deref(), Some("careful (config.toml:7)"));

    // Hours that are over between the question and the answer.
    let utc = jiff::tz::TimeZone::UTC;
    let hours = vec![Hours::read("08:00-12:01", &utc).unwrap()];
    let mut bench = Bench::under(Rules { guard: vec![Rule { hours, ..ruled("office") }], ..rules() });
    let (node, options) = something_for(&bench.cluster, Verb::Cordon).await;
    let plan = bench.plan(Verb::Cordon, &node, options).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    let late = noon() + jiff::SignedDuration::from_mins(2);
    let refusal = confirm(&mut bench.gate, plan, Answer::Yes, late).unwrap_err();
    assert!(
        refusal.to_string().contains("rule office (config.toml:7) allows it at other times"),
        "{refusal}"
    );
}

fn cordon_by_undo(node: &ObjectRef) -> Options {
    undoing::cordon(node)
}
