//! What is written, what is recorded, and how actions end.

use super::*;

/// The outcome that each verb is verified by.
#[tokio::test]
async fn every_mutation_leaves_a_pair_of_records_in_one_chain() {
    // What pushes has a repository and tests of its own.
    let all = Verb::ALL.into_iter().filter(|verb| *verb != Verb::Reveal);
    for verb in all.filter(|verb| !super::repositories::pushes(*verb)) {
        let mut bench = Bench::new();
        bench.cluster.controller("Succeeded").await;
        let (object, options) = something_for(&bench.cluster, verb).await;
        let outcome = bench.act(verb, &object, options).await;
        assert!(matches!(outcome, Outcome::Verified(_)), "{verb:?}: {outcome:?}");
        let records = bench.records();
        let [before, after] = records.as_slice() else { panic!("{verb:?}: {records:#?}") };
        assert_eq!((before.seq, after.seq, &before.id), (1, 2, &after.id));
        assert_eq!(after.prev, before.hash);
        let (Event::Before(intent), Event::After(ending)) = (&before.event, &after.event) else {
            panic!("{records:#?}")
        };
        assert_eq!(intent.verb, verb.word());
        assert_eq!(
            (intent.who.server.as_str(), intent.who.local.as_str()),
            ("alice@example", "alice on laptop")
        );
        let given = if verb.types_name() { format!("typed {}", object.name) } else { "yes".to_owned() };
        assert_eq!((intent.reason.as_str(), &intent.confirmation), ("INC-7", &given));
        assert!(!intent.targets[0].uid.is_empty() && !intent.targets[0].resource_version.is_empty());
        assert!(intent.checks.iter().any(|check| check.mark == "ok"));
        assert_eq!(ending.outcome, "verified");
        assert!(ending.steps.iter().any(|step| step.mark == "done"), "{:?}", ending.steps);
        // A job that is made leaves its CronJob as it was.
        if !matches!(verb, Verb::DeletePod | Verb::DeleteNodeclaim | Verb::RunJob) {
            assert_ne!(
                ending.after[0].resource_version.as_deref(),
                Some(&*intent.targets[0].resource_version)
            );
        }
        assert!(bench.desk.audit.unfinished().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_rollback_holds_auto_sync_and_writes_the_operation_of_argocd() {
    let mut bench = Bench::new();
    bench.cluster.controller("Succeeded").await;
    tenant(&bench.cluster, application()).await;
    let outcome = bench.act(Verb::Rollback, &checkout(), back_to_41()).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.starts_with("aaa is applied")), "{outcome:?}");
    let writes = bench.cluster.writes().await;
    let [hold, begin] = writes.as_slice() else { panic!("{writes:#?}") };
    assert_eq!(hold["spec"], json!({ "syncPolicy": { "automated": { "enabled": false } } }));
    let remembered: Value =
        serde_json::from_str(hold["metadata"]["annotations"][HELD].as_str().unwrap()).unwrap();
    assert_eq!(remembered["automated"], json!({ "prune": true, "selfHeal": true }));
    assert_eq!(remembered["until"], "2026-01-05T13:00:00Z");
    // contracts 1.4 and 1.6: one merge patch with the version, the operation, and the old state taken out.
    let action = bench.records()[0].id.clone();
    let version = begin["metadata"]["resourceVersion"].as_str().unwrap();
    assert_eq!(
        *begin,
        json!({
            "metadata": { "resourceVersion": version },
            "operation": {
                "initiatedBy": { "username": "alice@example", "automated": false },
                "info": [
                    { "name": "Reason", "value": "INC-7" },
                    { "name": "Operator", "value": "alice on laptop" },
                    { "name": "opsdeck action", "value": action },
                ],
                "sync": {
                    "revision": "aaa",
                    "source": { "repoURL": "https://git.example/tenants", "path": "tenant-2/checkout", "targetRevision": "main" },
                    "prune": false,
                    "dryRun": false,
                    "syncOptions": ["ServerSideApply=true"],
                    "syncStrategy": { "apply": {} },
                },
            },
            "status": { "operationState": null },
        })
    );
    let known = bench.desk.audit.held(&checkout()).unwrap().unwrap();
    assert_eq!(known.automated, json!({ "prune": true, "selfHeal": true }));
}

#[tokio::test]
async fn auto_sync_comes_back_exactly_also_from_an_argocd_that_does_not_know_enabled() {
    for old in [false, true] {
        let mut bench = Bench::new();
        if old {
            bench.cluster.before_3_1().await;
        }
        tenant(&bench.cluster, application()).await;
        let outcome = bench.act(Verb::HoldAutosync, &checkout(), Options::default()).await;
        assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
        let held = bench.cluster.get(&checkout()).await.unwrap();
        assert!(!App(&held).auto_sync());
        assert_eq!(App(&held).automated().is_none(), old);
        let outcome = bench.act(Verb::ReleaseAutosync, &checkout(), Options::default()).await;
        assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
        let back = bench.cluster.get(&checkout()).await.unwrap();
        assert_eq!(back["spec"]["syncPolicy"]["automated"], json!({ "prune": true, "selfHeal": true }));
        assert!(App(&back).hold().is_none());
    }
}

#[tokio::test]
async fn a_hold_whose_annotation_was_stripped_is_given_back_from_the_audit() {
    let mut bench = Bench::new();
    bench.cluster.before_3_1().await;
    tenant(&bench.cluster, application()).await;
    bench.act(Verb::HoldAutosync, &checkout(), Options::default()).await;
    bench.cluster.change(&checkout(), json!({ "metadata": { "annotations": null } })).await;
    let plan = bench.plan(Verb::ReleaseAutosync, &checkout(), Options::default()).await;
    assert_line(&plan, Mark::Change, "as this machine's audit remembers it");
    let confirmed = bench.confirm(plan);
    bench.run(confirmed).await;
    let back = bench.cluster.get(&checkout()).await.unwrap();
    assert_eq!(back["spec"]["syncPolicy"]["automated"], json!({ "prune": true, "selfHeal": true }));
}

#[tokio::test]
async fn a_hold_that_is_reverted_at_once_has_failed() {
    let mut bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    let plan = bench.plan(Verb::HoldAutosync, &checkout(), Options::default()).await;
    let confirmed = bench.confirm(plan);
    bench.desk.pace.look = Duration::from_millis(20);
    let cluster = bench.cluster.clone();
    let reverting = tokio::spawn(async move {
        while cluster.writes().await.is_empty() {
            tokio::task::yield_now().await;
        }
        cluster
            .change(&checkout(), json!({ "spec": { "syncPolicy": { "automated": { "enabled": null } } } }))
            .await;
    });
    let outcome = bench.run(confirmed).await;
    reverting.await.unwrap();
    assert!(
        matches!(&outcome, Outcome::Failed(why) if why.contains("somebody reverted the hold")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_lost_answer_is_cleared_up_by_reading_and_the_write_is_not_repeated() {
    for verb in [
        Verb::Sync,
        Verb::Rollback,
        Verb::Cordon,
        Verb::Restart,
        Verb::HoldAutosync,
        Verb::Terminate,
        Verb::DeletePod,
        Verb::Drain,
        Verb::Protect,
        Verb::DeleteNodeclaim,
    ] {
        let mut bench = Bench::new();
        let (object, options) = something_for(&bench.cluster, verb).await;
        let plan = bench.plan(verb, &object, options).await;
        let confirmed = bench.confirm(plan);
        bench.cluster.faults([Fault::AnswerLost]).await;
        bench.cluster.controller("Succeeded").await;
        let outcome = bench.run(confirmed).await;
        assert!(matches!(outcome, Outcome::Verified(_)), "{verb:?}: {outcome:?}");
        // A hold and an operation; a cordon and an eviction.
        let expected = if matches!(verb, Verb::Rollback | Verb::Drain) { 2 } else { 1 };
        assert_eq!(bench.cluster.writes().await.len(), expected, "{verb:?}");
    }
}

#[tokio::test]
async fn a_write_that_never_arrived_is_sent_again_on_the_version_that_is_there() {
    let mut bench = Bench::new();
    bench.cluster.controller("Succeeded").await;
    tenant(&bench.cluster, application()).await;
    bench.cluster.faults([Fault::NotSent]).await;
    let outcome = bench.act(Verb::Sync, &checkout(), Options::default()).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert_eq!(bench.cluster.writes().await.len(), 1);
}

#[tokio::test]
async fn a_write_that_was_overtaken_by_the_controller_is_tried_on_the_new_version() {
    let mut bench = Bench::new();
    bench.cluster.controller("Succeeded").await;
    tenant(&bench.cluster, application()).await;
    bench
        .cluster
        .faults([Fault::Overtaken(json!({ "status": { "reconciledAt": "2026-01-05T12:00:01Z" } }))])
        .await;
    let outcome = bench.act(Verb::Sync, &checkout(), Options::default()).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_write_that_was_overtaken_by_another_operation_is_refused_and_no_second_one_begins() {
    let mut bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    bench
        .cluster
        .faults([Fault::Overtaken(json!({ "operation": { "sync": { "revision": "theirs" } } }))])
        .await;
    let outcome = bench.act(Verb::Sync, &checkout(), Options::default()).await;
    assert!(
        matches!(&outcome, Outcome::Refused(why) if why.contains("the requested operation is now different")),
        "{outcome:?}"
    );
    let app = bench.cluster.get(&checkout()).await.unwrap();
    assert_eq!(app["operation"]["sync"]["revision"], "theirs");
}

#[tokio::test]
async fn a_rollback_that_cannot_begin_gives_auto_sync_back() {
    let mut bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    let plan = bench.plan(Verb::Rollback, &checkout(), back_to_41()).await;
    let confirmed = bench.confirm(plan);
    // The hold passes, then the server refuses the operation.
    bench.cluster.faults([Fault::Fine, Fault::Invalid]).await;
    let outcome = bench.run(confirmed).await;
    let app = bench.cluster.get(&checkout()).await.unwrap();
    let Outcome::Failed(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("the rollback was not begun") && why.contains("auto-sync was given back"), "{why}");
    assert_eq!(app["spec"]["syncPolicy"]["automated"], json!({ "prune": true, "selfHeal": true }));
}

#[tokio::test]
async fn a_failed_operation_is_failed_with_what_to_do_next() {
    let mut bench = Bench::new();
    bench.cluster.controller("Failed").await;
    tenant(&bench.cluster, application()).await;
    let outcome = bench.act(Verb::Rollback, &checkout(), back_to_41()).await;
    let Outcome::Failed(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("ended as Failed") && why.contains("auto-sync is still held"), "{why}");
}

#[tokio::test]
async fn an_operation_that_nobody_picks_up_is_not_verified_and_says_what_was_seen_last() {
    let mut bench = Bench::new();
    bench.desk.pace.limit = Duration::from_millis(50);
    tenant(&bench.cluster, application()).await;
    let outcome = bench.act(Verb::Sync, &checkout(), Options::default()).await;
    let Outcome::NotVerified(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("the controller has not picked it up yet"), "{why}");
}

#[tokio::test]
async fn following_can_be_given_up_and_the_record_says_so() {
    let mut bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    let plan = bench.plan(Verb::Sync, &checkout(), Options::default()).await;
    let confirmed = bench.confirm(plan);
    let stop = CancellationToken::new();
    stop.cancel();
    let (progress, _kept) = mpsc::channel(64);
    let outcome = carry_out(&bench.desk, confirmed, Follow::ToTheEnd, &progress, &stop).await;
    assert!(
        matches!(&outcome, Outcome::NotVerified(why) if why.starts_with("no longer followed")),
        "{outcome:?}"
    );
    assert_eq!(bench.records().len(), 2);
    assert_eq!(bench.cluster.writes().await.len(), 1);
}

#[tokio::test]
async fn progress_shows_all_steps_and_the_target_time() {
    let mut bench = Bench::new();
    bench.cluster.controller("Succeeded").await;
    tenant(&bench.cluster, application()).await;
    let plan = bench.plan(Verb::Rollback, &checkout(), back_to_41()).await;
    let confirmed = bench.confirm(plan);
    let (sender, mut progress) = mpsc::channel(256);
    carry_out(&bench.desk, confirmed, Follow::ToTheEnd, &sender, &CancellationToken::new()).await;
    drop(sender);
    let mut seen = Vec::new();
    while let Some(one) = progress.recv().await {
        seen.push(one);
    }
    let first = seen.first().unwrap();
    assert_eq!(first.steps.len(), 7);
    assert!(first.steps.iter().all(|step| step.standing == Standing::Waiting));
    assert_eq!(first.target, "2026-01-05T12:02:00Z".parse().ok());
    let last = seen.last().unwrap();
    assert!(last.steps.iter().all(|step| step.standing == Standing::Done), "{:#?}", last.steps);
}

#[tokio::test]
async fn an_action_that_was_cut_off_is_listed_as_unfinished() {
    let mut bench = Bench::new();
    bench.desk.pace.limit = Duration::from_mins(1);
    tenant(&bench.cluster, application()).await;
    let plan = bench.plan(Verb::Sync, &checkout(), Options::default()).await;
    let id = plan.id.clone();
    let confirmed = bench.confirm(plan);
    // Nobody picks the operation up, and the console is killed.
    let cut = tokio::time::timeout(Duration::from_millis(100), bench.run(confirmed)).await;
    assert!(cut.is_err());
    let unfinished = bench.desk.audit.unfinished().unwrap();
    assert_eq!(unfinished.iter().map(|record| &record.id).collect::<Vec<_>>(), [&id]);
}

#[tokio::test]
async fn no_value_of_a_secret_reaches_plan_or_record() {
    let canary = "canary-5f0c";
    let mut bench = Bench::new();
    bench.cluster.controller("Succeeded").await;
    let mut app = application();
    app["spec"]["source"]["helm"] =
        json!({ "values": format!("password: {canary}"), "parameters": [{ "name": "p", "value": canary }] });
    app["status"]["resources"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "kind": "Secret", "namespace": "tenant-2", "name": "db", "status": "OutOfSync" }));
    tenant(&bench.cluster, app).await;
    bench
        .cluster
        .put(&object("", "secrets", "tenant-2", "db"), json!({ "data": { "password": canary } }))
        .await;
    let secret_env = json!([{ "name": "PASSWORD", "value": canary }]);
    let containers =
        json!([{ "name": "app", "image": "registry.example/checkout:1.8.0", "env": secret_env }]);
    bench
        .cluster
        .change(&deployment(), json!({ "spec": { "template": { "spec": { "containers": containers } } } }))
        .await;
    let plan = bench.plan(Verb::Rollback, &checkout(), back_to_41()).await;
    assert_line(&plan, Mark::Change, "env PASSWORD");
    let shown = serde_json::to_string(&plan).unwrap();
    assert!(!shown.contains(canary), "{shown}");
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let recorded = std::fs::read_to_string(bench.desk.audit.path()).unwrap();
    assert!(!recorded.contains(canary), "{recorded}");
}
