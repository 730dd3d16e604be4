//! What plans say.

use super::*;

#[tokio::test]
async fn a_rollback_states_everything_that_the_person_must_know() {
    let mut bench = Bench::under(Rules { environment: "prod".to_owned(), protected: true, ..rules() });
    tenant(&bench.cluster, application()).await;
    let plan = bench.plan(Verb::Rollback, &checkout(), back_to_41()).await;
    assert_eq!(plan.title, "Roll back checkout, tenant-2 in test (PROD)");
    assert_line(&plan, Mark::To, "#41  1.7.4  aaa  deployed 120m ago by ci-bot");
    assert_line(&plan, Mark::From, "#42  1.8.0  bbb  deployed 11m ago by auto-sync");
    assert_line(&plan, Mark::Change, "Deployment/checkout image 1.8.0 -> 1.7.4");
    assert_line(&plan, Mark::Note, "ConfigMap/checkout-env go back too");
    assert_line(&plan, Mark::Note, "only names are known, not what changes: argocd-server does not exist");
    assert_line(&plan, Mark::Ok, "you may patch applications.argoproj.io in argocd");
    assert_line(&plan, Mark::Ok, "no operation is running");
    assert_line(
        &plan,
        Mark::Hold,
        "auto-sync is on (prune, self-heal): held for 60 min, then offered back exactly as it was",
    );
    assert_line(&plan, Mark::Note, "hooks do not run on a rollback: PreSync Job/migrate-db is skipped");
    assert_line(&plan, Mark::Note, "prune is off");
    assert_line(&plan, Mark::Note, "revert bbb in https://git.example/tenants");
    assert_line(&plan, Mark::Ok, "no sync window is in the way");
    assert_line(&plan, Mark::Ok, "nothing owns this app");
    assert_eq!(plan.lines.last().map(|line| line.mark), Some(Mark::After));
    assert_line(&plan, Mark::After, "aaa applied, its pods ready, healthy");
    assert_eq!(plan.command, "argocd app rollback checkout 41");
    assert!(plan.can_run());
    assert_eq!(plan.holds[0].automated, json!({ "prune": true, "selfHeal": true }));
    confirm(&mut bench.gate, plan, Answer::Typed("tenant-2".to_owned()), noon()).unwrap();
}

#[tokio::test]
async fn a_plan_fills_in_line_by_line_and_cannot_be_confirmed_before_it_is_complete() {
    let mut bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    let request = bench.request(Verb::Rollback, &checkout(), back_to_41()).await;
    let (sender, mut drafts) = mpsc::channel(64);
    let last = plan(&bench.desk, request, &sender).await;
    drop(sender);
    let mut pending = Vec::new();
    let mut first = None;
    while let Some(draft) = drafts.recv().await {
        pending.push(draft.lines.iter().filter(|line| line.mark == Mark::Pending).count());
        assert_eq!(draft.id, last.id);
        first.get_or_insert(draft);
    }
    assert!(pending.len() > 3, "{pending:?}");
    assert!(pending[1] > 3 && pending.last() == Some(&0), "{pending:?}");
    let refusal = confirm(&mut bench.gate, first.unwrap(), Answer::Yes, noon()).unwrap_err();
    assert_eq!(refusal, Refusal::Pending);
}

#[tokio::test]
async fn a_closed_sync_window_stops_rollback_and_sync_and_names_its_opening() {
    for (verb, options) in [(Verb::Rollback, back_to_41()), (Verb::Sync, Options::default())] {
        let bench = Bench::new();
        tenant(&bench.cluster, application()).await;
        let freeze = json!([{ "kind": "deny", "schedule": "0 8 * * *", "duration": "10h",
            "applications": ["*"], "description": "freeze" }]);
        bench.cluster.change(&project(), json!({ "spec": { "syncWindows": freeze } })).await;
        let plan = bench.plan(verb, &checkout(), options).await;
        assert_line(&plan, Mark::Stop, "sync window \"freeze\" is closed until");
        assert_line(&plan, Mark::Stop, "18:00");
    }
}

#[tokio::test]
async fn a_running_operation_stops_rollback_and_sync_and_offers_to_terminate() {
    for (verb, options) in [(Verb::Rollback, back_to_41()), (Verb::Sync, Options::default())] {
        let bench = Bench::new();
        something_for(&bench.cluster, Verb::Terminate).await;
        let plan = bench.plan(verb, &checkout(), options).await;
        assert_line(&plan, Mark::Stop, "terminate it first (opsdeck terminate checkout)");
    }
}

#[tokio::test]
async fn an_entry_that_is_not_kept_any_more_stops_the_rollback_and_the_others_are_named() {
    let bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    let options = Options { history_id: Some(7), ..Options::default() };
    let plan = bench.plan(Verb::Rollback, &checkout(), options).await;
    assert_line(&plan, Mark::Stop, "#7 does not exist (the 10 newest are kept); there are #42 bbb, #41 aaa");
}

#[tokio::test]
async fn a_rollback_with_auto_sync_off_holds_nothing_and_needs_no_owner() {
    let bench = Bench::new();
    something_for(&bench.cluster, Verb::ReleaseAutosync).await;
    let plan = bench.plan(Verb::Rollback, &checkout(), back_to_41()).await;
    assert_line(&plan, Mark::Ok, "auto-sync is off");
    assert!(plan.holds.is_empty() && plan.can_run());
}

#[tokio::test]
async fn a_sync_to_another_revision_is_stopped_while_auto_sync_is_on_but_a_dry_run_is_not() {
    let bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    let other = Options { revision: Some("release-1.7".to_owned()), ..Options::default() };
    let plan = bench.plan(Verb::Sync, &checkout(), other.clone()).await;
    assert_line(&plan, Mark::Stop, "auto-sync is on and tracks main");
    let plan = bench.plan(Verb::Sync, &checkout(), Options { dry_run: true, ..other }).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert!(plan.title.starts_with("Sync (dry run) "));
}

#[tokio::test]
async fn a_sync_says_what_it_deletes_what_it_skips_and_the_command_of_argocd() {
    let bench = Bench::new();
    let mut app = application();
    app["status"]["resources"].as_array_mut().unwrap().push(
        json!({ "kind": "Service", "namespace": "tenant-2", "name": "old", "status": "OutOfSync", "requiresPruning": true }),
    );
    tenant(&bench.cluster, app).await;
    let options = Options { prune: true, apply_only: true, force: true, ..Options::default() };
    let plan = bench.plan(Verb::Sync, &checkout(), options).await;
    assert_line(&plan, Mark::To, "the newest of main (bbb, compared 2m ago)");
    assert_line(&plan, Mark::Warn, "deleted, because no longer in Git: Service/old");
    assert_line(&plan, Mark::Warn, "force");
    assert_line(&plan, Mark::Note, "hooks do not run (PreSync Job/migrate-db)");
    assert_eq!(plan.command, "argocd app sync checkout --prune --force --strategy apply");
    let one = SyncResource {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "tenant-2".to_owned(),
        name: "checkout".to_owned(),
    };
    let options = Options { resources: vec![one], ..Options::default() };
    let plan = bench.plan(Verb::Sync, &checkout(), options).await;
    assert_line(&plan, Mark::Note, "no hooks and leaves no history entry");
    assert_eq!(plan.command, "argocd app sync checkout --resource apps:Deployment:tenant-2/checkout");
}

#[tokio::test]
async fn giving_auto_sync_back_warns_that_it_deploys_what_was_rolled_back() {
    let bench = Bench::new();
    something_for(&bench.cluster, Verb::ReleaseAutosync).await;
    bench.cluster.change(&checkout(), json!({ "status": { "sync": { "status": "OutOfSync" } } })).await;
    let plan = bench.plan(Verb::ReleaseAutosync, &checkout(), Options::default()).await;
    assert_line(&plan, Mark::Warn, "auto-sync deploys that at once");
    assert_line(&plan, Mark::Change, "auto-sync is switched on (prune, self-heal)");
}

#[tokio::test]
async fn a_paused_workload_is_not_restarted_and_a_lone_pod_warns() {
    let bench = Bench::new();
    something_for(&bench.cluster, Verb::Restart).await;
    bench.cluster.change(&deployment(), json!({ "spec": { "paused": true } })).await;
    let plan = bench.plan(Verb::Restart, &deployment(), Options::default()).await;
    assert_line(&plan, Mark::Stop, "it is paused");
    let (pod, _) = something_for(&bench.cluster, Verb::DeletePod).await;
    let plan = bench.plan(Verb::DeletePod, &pod, Options::default()).await;
    assert_line(&plan, Mark::Warn, "nothing replaces it");
}

#[tokio::test]
async fn a_pod_whose_budget_is_used_up_is_said_to_be_so() {
    let bench = Bench::new();
    let (pod, _) = something_for(&bench.cluster, Verb::DeletePod).await;
    bench.cluster.change(&pod, json!({ "metadata": { "labels": { "app": "checkout" } } })).await;
    let budget = object("policy", "poddisruptionbudgets", "tenant-2", "checkout");
    bench.cluster
        .put(&budget, json!({ "spec": { "selector": { "matchLabels": { "app": "checkout" } } }, "status": { "disruptionsAllowed": 0 } }))
        .await;
    let plan = bench.plan(Verb::DeletePod, &pod, Options::default()).await;
    assert_line(&plan, Mark::Warn, "disruption budget checkout allows none now");
}

#[tokio::test]
async fn what_cannot_be_read_or_was_replaced_is_a_plan_that_stops() {
    let bench = Bench::new();
    let (pod, options) = something_for(&bench.cluster, Verb::DeletePod).await;
    let request = bench.request(Verb::DeletePod, &pod, options).await;
    bench.cluster.put(&pod, json!({ "metadata": { "uid": "another" } })).await;
    assert_line(&bench.plan_of(request.clone()).await, Mark::Stop, "was replaced since you selected it");
    bench.cluster.remove(&pod).await;
    assert_line(&bench.plan_of(request).await, Mark::Stop, "does not exist");
}

#[tokio::test]
async fn several_pods_are_one_plan_that_names_each() {
    let mut bench = Bench::new();
    let mut targets = Vec::new();
    for name in ["one", "two"] {
        let pod = object("", "pods", "tenant-2", name);
        bench.cluster.put(&pod, json!({})).await;
        targets.push(resolve(&bench.desk, &pod).await.unwrap());
    }
    let request = Request {
        verb: Verb::DeletePod,
        targets,
        options: Options::default(),
        reason: String::new(),
        tenant: None,
    };
    let plan = bench.plan_of(request).await;
    assert_line(&plan, Mark::Warn, "one: no controller owns it");
    assert_line(&plan, Mark::Warn, "two: no controller owns it");
    let confirmed = bench.confirm(plan);
    let outcome = bench.run(confirmed).await;
    assert!(matches!(&outcome, Outcome::Verified(all) if all.starts_with("all 2")), "{outcome:?}");
    assert_eq!(bench.cluster.writes().await.len(), 2);
}

#[tokio::test]
async fn text_from_the_platform_cannot_steer_the_terminal_through_a_plan() {
    let bench = Bench::new();
    let mut app = application();
    app["status"]["conditions"] =
        json!([{ "type": "SyncError", "message": "bad \u{1b}]0;pwned\u{7} \u{202e}thing\nnext" }]);
    tenant(&bench.cluster, app).await;
    let plan = bench.plan(Verb::Sync, &checkout(), Options::default()).await;
    assert_line(&plan, Mark::Warn, "SyncError: bad  thing next");
}

/// A pod template that reads settings from a ConfigMap with a digest in its name, and a token from a Secret.
fn reading(tag: &str, settings: &str, memory: &str) -> Value {
    json!({ "spec": { "containers": [{ "name": "app", "image": format!("registry.example/checkout:{tag}"),
        "envFrom": [{ "configMapRef": { "name": settings } }],
        "env": [{ "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "token", "key": "canary" } } }],
        "resources": { "limits": { "memory": memory } } }] } })
}

#[tokio::test]
async fn the_whole_difference_of_a_rollback_names_each_resource_and_says_what_is_not_known() {
    let bench = Bench::new();
    let mut app = application();
    app["status"]["resources"].as_array_mut().unwrap().extend([
        json!({ "group": "apps", "kind": "StatefulSet", "namespace": "tenant-2", "name": "cart", "status": "Synced" }),
        json!({ "kind": "Service", "namespace": "tenant-2", "name": "checkout", "status": "Synced" }),
    ]);
    tenant(&bench.cluster, app).await;
    let now = reading("2.1", "cart-env-7c1", "256Mi");
    let set = json!({ "metadata": { "uid": "s-1" }, "spec": { "replicas": 3, "template": now } });
    bench.cluster.put(&object("apps", "statefulsets", "tenant-2", "cart"), set).await;
    for (name, created, template) in [
        ("cart-a", "2026-01-05T09:59:00Z", reading("2.0", "cart-env-0f3", "128Mi")),
        ("cart-b", "2026-01-05T11:48:40Z", reading("2.1", "cart-env-7c1", "256Mi")),
    ] {
        let mut template = template;
        template["$patch"] = json!("replace");
        let revision = json!({ "metadata": { "creationTimestamp": created, "ownerReferences": [{ "uid": "s-1" }] },
            "data": { "spec": { "template": template } } });
        bench.cluster.put(&object("apps", "controllerrevisions", "tenant-2", name), revision).await;
    }
    for (name, level) in [("cart-env-0f3", "info"), ("cart-env-7c1", "debug")] {
        let settings = json!({ "data": { "LOG_LEVEL": level, "SAME": "1" } });
        bench.cluster.put(&object("", "configmaps", "tenant-2", name), settings).await;
    }
    let plan = bench.plan(Verb::Rollback, &checkout(), back_to_41()).await;
    assert_line(&plan, Mark::Change, "Deployment/checkout image 1.8.0 -> 1.7.4");
    assert_line(&plan, Mark::Change, "ConfigMap/cart-env-0f3 1 line");
    let whole: Vec<String> = plan.difference().into_iter().map(|line| line.text).collect();
    for said in [
        "Deployment/checkout",
        "  containers[app].image registry.example/checkout:1.8.0 -> registry.example/checkout:1.7.4",
        "StatefulSet/cart",
        "  containers[app].resources.limits.memory 256Mi -> 128Mi",
        "ConfigMap/cart-env-0f3 in place of cart-env-7c1",
        "  LOG_LEVEL: 1 of 1 lines",
        "  Service/checkout",
    ] {
        assert!(whole.iter().any(|line| line == said), "{said:?} in {whole:#?}");
    }
    assert!(whole.iter().any(|line| line.contains("not known what they were")), "{whole:#?}");
    assert!(plan.summary().iter().all(|line| line.mark != Mark::Detail));
}

#[tokio::test]
async fn a_rollback_says_what_changes_beside_the_pods_as_git_has_it() {
    let bench = Bench::new();
    tenant(&bench.cluster, application()).await;
    let rendered = |tag: &str, level: &str, port: u16, replicas: u16| {
        vec![
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "checkout-env" },
                "data": { "app.conf": format!("level={level}\ncache=on\nregion={level}-1\n"), "SAME": "1" } }),
            json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "checkout" },
                "spec": { "ports": [{ "name": "http", "port": port }] } }),
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token", "labels": { "v": tag } } }),
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "checkout" },
                "spec": { "replicas": replicas, "template": { "spec": { "containers": [
                    { "name": "app", "image": format!("registry.example/checkout:{tag}") }] } } } }),
            json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "migrate-db",
                "annotations": { "argocd.argoproj.io/hook": "PreSync" } }, "spec": { "x": tag } }),
        ]
    };
    let mut now = rendered("1.8.0", "debug", 8080, 3);
    now.push(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "newer" } }));
    bench.cluster.render("bbb", now).await;
    bench.cluster.render("aaa", rendered("1.7.4", "info", 80, 2)).await;
    let plan = bench.plan(Verb::Rollback, &checkout(), back_to_41()).await;
    assert_line(&plan, Mark::Change, "Deployment/checkout image 1.8.0 -> 1.7.4");
    assert_line(&plan, Mark::Change, "Deployment/checkout spec.replicas 3 -> 2");
    assert_line(&plan, Mark::Change, "ConfigMap/checkout-env 2 lines");
    assert_line(&plan, Mark::Change, "labels and annotations alone of 1 resource");
    assert_line(&plan, Mark::Change, "Service/checkout spec.ports[http].port 8080 -> 80");
    let said: Vec<&str> = plan.lines.iter().map(|line| line.text.as_str()).collect();
    let said = said.join("\n");
    assert!(!said.contains("only names are known") && !said.contains("go back too"), "{said}");
    assert!(!said.contains("Job/migrate-db spec"), "a hook does not run and is no change: {said}");
    let whole: Vec<String> = plan.difference().into_iter().map(|line| line.text).collect();
    for said in [
        "  app.conf: 2 of 3 lines",
        "not looked into: Secret/token",
        "ConfigMap/newer was added since and stays",
    ] {
        assert!(whole.iter().any(|line| line == said), "{said:?} in {whole:#?}");
    }
    let pruned = bench.plan(Verb::Rollback, &checkout(), Options { prune: true, ..back_to_41() }).await;
    assert_line(&pruned, Mark::Change, "ConfigMap/newer is deleted");
}

#[tokio::test]
async fn a_source_that_was_another_then_is_not_rendered_as_that_of_now() {
    let bench = Bench::new();
    let mut app = application();
    app["status"]["history"][0]["source"]["path"] = json!("elsewhere");
    tenant(&bench.cluster, app).await;
    for revision in ["aaa", "bbb"] {
        bench.cluster.render(revision, Vec::new()).await;
    }
    let plan = bench.plan(Verb::Rollback, &checkout(), back_to_41()).await;
    assert_line(
        &plan,
        Mark::Note,
        "only names are known, not what changes: its source was set otherwise then",
    );
}

#[tokio::test]
async fn the_whole_difference_of_a_sync_tells_drift_against_what_was_applied_last() {
    let bench = Bench::new();
    let mut app = application();
    app["status"]["resources"] = json!([
        { "group": "apps", "kind": "Deployment", "namespace": "tenant-2", "name": "checkout", "status": "OutOfSync" },
        { "kind": "Secret", "namespace": "tenant-2", "name": "token", "status": "OutOfSync" },
        { "kind": "ConfigMap", "namespace": "tenant-2", "name": "new", "status": "OutOfSync" },
    ]);
    tenant(&bench.cluster, app).await;
    let applied = json!({ "spec": { "replicas": 3 } }).to_string();
    let note = json!({ "metadata": { "annotations": { "kubectl.kubernetes.io/last-applied-configuration": applied } } });
    bench.cluster.change(&deployment(), note).await;
    let plan = bench.plan(Verb::Sync, &checkout(), Options::default()).await;
    let whole: Vec<String> = plan.difference().into_iter().map(|line| line.text).collect();
    assert_eq!(
        whole[..4],
        [
            "Deployment/checkout, against what was applied last",
            "  replicas 2 -> 3",
            "Secret/token: not looked into",
            "ConfigMap/new is created"
        ]
    );
    assert!(whole[4].contains("not known here"), "{whole:#?}");
}
