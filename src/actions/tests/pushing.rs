//! Reverts and promotions against a real repository and a cluster that is played.

use super::repositories::*;
use super::*;

/// A bench, and the repository of its Application.
async fn bench() -> Option<(Bench, std::path::PathBuf, Vec<String>)> {
    if !git_is_installed() {
        tracing::warn!("git is not installed: not tested");
        return None;
    }
    let bench = Bench::new();
    let at = bench.cluster.folder().await.join("origin.git");
    let ids = application_from(&bench.cluster, &at).await;
    Some((bench, at, ids))
}

/// Lets the played cluster see the branch as Argo CD would after a refresh: compared, and deployed.
async fn deploy(bench: &Bench, at: &std::path::Path) {
    let tip = git(at, &["rev-parse", "refs/heads/main"], "");
    let status =
        json!({ "sync": { "status": "Synced", "revision": tip }, "health": { "status": "Healthy" } });
    bench.cluster.change(&checkout(), json!({ "status": status })).await;
}

#[tokio::test]
async fn a_revert_puts_the_own_line_back_and_leaves_what_else_the_commit_touched() {
    let Some((mut bench, at, ids)) = bench().await else { return };
    let plan = bench.plan(Verb::Revert, &checkout(), Options::default()).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert_line(&plan, Mark::To, "as it was at #41");
    assert_line(&plan, Mark::From, "checkout 1.8.0  by ci-bot");
    assert_line(&plan, Mark::Change, "envs/prod/version.yaml: version: \"1.8.0\" -> \"1.7.4\"");
    assert_line(&plan, Mark::Note, "what else came with it stays: README.md");
    assert_line(&plan, Mark::Detail, "version: \"1.7.4\"");
    assert!(plan.lines.iter().all(|line| !line.text.contains("is shared")), "{:#?}", plan.lines);
    let confirmed = bench.confirm(plan);
    let (outcome, ()) = tokio::join!(bench.run(confirmed), async {
        while git(&at, &["rev-parse", "refs/heads/main"], "") == ids[1] {
            tokio::task::yield_now().await;
        }
        deploy(&bench, &at).await;
    });
    assert!(matches!(&outcome, Outcome::Verified(how) if how.contains("is pushed to main")), "{outcome:?}");
    let file = git(&at, &["show", "main:envs/prod/version.yaml"], "");
    assert_eq!(file, "apps:\n  cart:\n    version: \"2.0.0\"\n  checkout:\n    version: \"1.7.4\"");
    assert_eq!(git(&at, &["show", "main:README.md"], ""), "more");
    assert_eq!(git(&at, &["rev-parse", "main^"], ""), ids[1], "one commit on top, nothing rewritten");
    let message = git(&at, &["log", "-1", "--format=%B", "main"], "");
    for said in ["Revert \"checkout 1.8.0\"", &ids[1], "INC-7", "Opsdeck-Action: "] {
        assert!(message.contains(said), "{message}");
    }
    let records = bench.records();
    let Event::After(ending) = &records[1].event else { panic!("{records:#?}") };
    assert!(ending.steps.iter().any(|step| step.text.starts_with("push: ")), "{:#?}", ending.steps);

    let again = bench
        .plan(Verb::Revert, &checkout(), Options { to_revision: Some("41".to_owned()), ..Options::default() })
        .await;
    assert_line(&again, Mark::Stop, "Git says already what it said at #41");
}

#[tokio::test]
async fn a_branch_that_moved_since_the_plan_is_refused_and_nothing_is_pushed() {
    let Some((mut bench, at, _)) = bench().await else { return };
    let plan = bench.plan(Verb::Revert, &checkout(), Options::default()).await;
    let confirmed = bench.confirm(plan);
    let theirs = commit(&at, &[("somebody else", &[("OTHER.md", "1\n")])]);
    let outcome = bench.run(confirmed).await;
    assert!(matches!(&outcome, Outcome::Refused(why) if why.contains("has moved since")), "{outcome:?}");
    assert_eq!(git(&at, &["rev-parse", "main"], ""), theirs[0]);
    assert!(bench.cluster.writes().await.is_empty());
}

#[tokio::test]
async fn a_server_that_takes_no_push_is_said_with_the_way_for_review() {
    let Some((mut bench, at, ids)) = bench().await else { return };
    // What protects a branch on a server: nothing but a new branch is taken.
    let hook = at.join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(
        &hook,
        "#!/bin/sh\n[ \"$1\" != refs/heads/main ] || { echo 'main is protected' >&2; exit 1; }\n",
    )
    .unwrap();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut std::fs::metadata(&hook).unwrap().permissions(), 0o755);
    #[cfg(unix)]
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = bench.act(Verb::Revert, &checkout(), Options::default()).await;
    assert!(
        matches!(&outcome, Outcome::Refused(why) if why.contains("does not take a push to main") && why.contains("--branch")),
        "{outcome:?}"
    );
    assert_eq!(git(&at, &["rev-parse", "main"], ""), ids[1]);

    let review = Options { review: true, ..Options::default() };
    let plan = bench.plan(Verb::Revert, &checkout(), review).await;
    assert_line(&plan, Mark::Note, "for review: nothing is deployed before it is merged into main");
    let confirmed = bench.confirm(plan.clone());
    let outcome = bench.run(confirmed).await;
    assert!(
        matches!(&outcome, Outcome::Accepted(how) if how.starts_with("pushed for review")),
        "{outcome:?}"
    );
    let branch = plan.git[0].push_to.clone();
    assert!(branch.starts_with("opsdeck/revert-checkout-"), "{branch}");
    assert_eq!(git(&at, &["rev-parse", &format!("{branch}^")], ""), ids[1]);
    assert_eq!(git(&at, &["rev-parse", "main"], ""), ids[1]);
    assert!(bench.cluster.writes().await.is_empty(), "Argo CD is not asked");
}

#[tokio::test]
async fn a_promotion_copies_the_version_of_the_application_alone() {
    let Some((mut bench, at, ids)) = bench().await else { return };
    let environments = |from: &str, to: &str| Options {
        from_environment: Some(from.to_owned()),
        to_environment: Some(to.to_owned()),
        review: true,
        ..Options::default()
    };
    let plan = bench.plan(Verb::Promote, &checkout(), environments("staging", "prod")).await;
    assert_line(&plan, Mark::To, "prod gets the version of staging");
    assert_line(&plan, Mark::Change, "envs/prod/version.yaml: version: \"1.8.0\" -> \"1.8.1\"");
    let confirmed = bench.confirm(plan.clone());
    assert!(matches!(bench.run(confirmed).await, Outcome::Accepted(_)));
    let file = git(&at, &["show", &format!("{}:envs/prod/version.yaml", plan.git[0].push_to)], "");
    assert!(file.contains("1.8.1") && file.contains("2.0.0"), "{file}");
    assert_eq!(git(&at, &["rev-parse", "main"], ""), ids[1]);

    let nowhere = bench.plan(Verb::Promote, &checkout(), environments("qa", "prod")).await;
    assert_line(&nowhere, Mark::Stop, "there is no folder of qa");
    // What is not said is concluded from the folders that are there.
    let guessed = Options { review: true, ..Options::default() };
    let plan = bench.plan(Verb::Promote, &checkout(), guessed).await;
    assert_line(&plan, Mark::To, "prod gets the version of staging");
}

#[tokio::test]
async fn what_nobody_can_revert_in_git_says_why() {
    let bench = Bench::new();
    let mut app = application();
    app["spec"]["source"] =
        json!({ "repoURL": "https://charts.example.com", "chart": "redis", "targetRevision": "1.2.3" });
    tenant(&bench.cluster, app).await;
    let plan = bench.plan(Verb::Revert, &checkout(), Options::default()).await;
    assert_line(&plan, Mark::Stop, "made from the chart redis alone");
}

#[tokio::test]
async fn several_applications_of_one_file_go_back_one_on_top_of_the_other() {
    let Some((mut bench, at, ids)) = bench().await else { return };
    let text = "apps:\n  cart:\n    version: \"2.1.0\"\n  checkout:\n    version: \"1.8.0\"\n";
    let newest = commit(&at, &[("cart 2.1.0", &[("envs/prod/version.yaml", text)])]).remove(0);
    let cart = object("argoproj.io", "applications", "argocd", "cart");
    for (app, wave) in [(&cart, "2"), (&checkout(), "1")] {
        let source = bench.cluster.get(app).await.unwrap()["spec"]["source"].clone();
        let history = json!([
            { "id": 41, "revision": ids[0], "deployedAt": "2026-01-05T10:00:00Z", "source": source },
            { "id": 42, "revision": newest, "deployedAt": "2026-01-05T11:49:00Z", "source": source }]);
        let status = json!({ "sync": { "status": "Synced", "revision": newest }, "history": history });
        let notes = json!({ "argocd.argoproj.io/sync-wave": wave });
        bench.cluster.change(app, json!({ "status": status, "metadata": { "annotations": notes } })).await;
    }
    let mut request = bench.request(Verb::Revert, &cart, Options::default()).await;
    request.targets.push(resolve(&bench.desk, &checkout()).await.unwrap());
    let plan = bench.plan_of(request).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert_line(&plan, Mark::Note, "by sync wave, and the first failure ends it: checkout, cart");
    assert_line(&plan, Mark::Change, "cart: envs/prod/version.yaml: version: \"2.1.0\" -> \"2.0.0\"");
    let confirmed = bench.confirm(plan);
    let (progress, _kept) = mpsc::channel(64);
    let outcome = carry_out(&bench.desk, confirmed, Follow::No, &progress, &CancellationToken::new()).await;
    assert!(
        matches!(&outcome, Outcome::Accepted(how) if how.starts_with("all 2: checkout: ")),
        "{outcome:?}"
    );
    let file = git(&at, &["show", "main:envs/prod/version.yaml"], "");
    assert_eq!(file, "apps:\n  cart:\n    version: \"2.0.0\"\n  checkout:\n    version: \"1.7.4\"");
    let subjects = git(&at, &["log", "-2", "--format=%s", "main"], "");
    assert_eq!(subjects, "Revert \"cart 2.1.0\"\nRevert \"checkout 1.8.0\"");
}

#[tokio::test]
async fn several_applications_are_rolled_back_each_to_its_own_entry_and_the_first_failure_ends_it() {
    let bench_of = |ending: &'static str| async move {
        let bench = Bench::new();
        tenant(&bench.cluster, application()).await;
        let mut cart = application();
        cart["metadata"]["name"] = json!("cart");
        cart["status"]["history"][0]["id"] = json!(7);
        let at = object("argoproj.io", "applications", "argocd", "cart");
        bench.cluster.put(&at, cart).await;
        bench.cluster.controller(ending).await;
        (bench, at)
    };
    for ending in ["Succeeded", "Failed"] {
        let (mut bench, cart) = bench_of(ending).await;
        let mut request = bench.request(Verb::Rollback, &checkout(), Options::default()).await;
        request.targets.push(resolve(&bench.desk, &cart).await.unwrap());
        let plan = bench.plan_of(request).await;
        assert!(plan.can_run(), "{:#?}", plan.lines);
        assert_line(&plan, Mark::Note, "one after the other, and the first failure ends it: cart, checkout");
        assert_line(&plan, Mark::To, "cart: #7");
        assert_line(&plan, Mark::To, "checkout: #41");
        let confirmed = bench.confirm(plan);
        let outcome = bench.run(confirmed).await;
        if ending == "Succeeded" {
            assert!(
                matches!(&outcome, Outcome::Verified(how) if how.contains("cart: ") && how.contains("checkout: ")),
                "{outcome:?}"
            );
        } else {
            assert!(
                matches!(&outcome, Outcome::Failed(why) if why.contains("0 of 2 done; cart: ") && why.ends_with("; not begun: checkout")),
                "{outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_push_that_was_cut_off_is_found_by_its_commit_and_one_that_never_was_is_said() {
    let Some((bench, at, _)) = bench().await else { return };
    drop(bench.begun("a-1", "revert", &checkout()).await);
    let closed = close(&bench.desk).await.unwrap();
    assert!(closed[0].text.contains("not done, no commit of it is in main"), "{closed:?}");
    commit(&at, &[("Revert it\n\nOpsdeck-Action: a-2", &[("OTHER.md", "1\n")])]);
    drop(bench.begun("a-2", "revert", &checkout()).await);
    let closed = close(&bench.desk).await.unwrap();
    assert!(closed[0].text.contains("is in branch main"), "{closed:?}");
}
