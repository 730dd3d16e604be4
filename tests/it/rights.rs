//! What may not be done is not offered, and help names the right that is missing.

use std::sync::Arc;

use opsdeck::actions::{Mark, Options, Verb};
use opsdeck::app::command::Command;
use opsdeck::app::effect::Need;
use opsdeck::app::palette::Sort;
use opsdeck::app::state::Overlay;
use opsdeck::app::verbs;
use opsdeck::demo::credentials::RESTRICTED_CONTEXT;
use opsdeck::signals::{Answer, Ask, Report, Right, Rights, Told, Wanted};
use opsdeck::store::Store;
use serde_json::json;

use crate::actions::{Bench, text};
use crate::keys::{press, type_in};
use crate::stage::{self, Stage, context, now};

#[test]
fn a_verb_whose_right_is_missing_is_left_out_of_the_footer_and_named_in_help() {
    let mut stage = Stage::new();
    let node = json!({ "metadata": { "name": "n-1", "uid": "u-1" }, "spec": {}, "status": {} });
    let (query, _) = stage.list("nodes", &[node]);
    stage.show(&query);
    stage.state.settle(&stage.store);
    let ask = Ask { context: context(), wanted: Wanted::Rights("default".into()) };
    assert!(stage.state.needs().contains(&Need::Answer(ask.clone())), "it is asked for what is selected");
    assert!(stage.state.hints(&stage.store).contains(&Command::Cordon), "what is not known is offered");

    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let reads =
        Right { verbs: words(&["get", "list", "watch"]), groups: words(&["*"]), resources: words(&["*"]) };
    let mut answer = |rights: Rights| {
        let epoch = stage.store.ask(&ask);
        let told = Told::plain(Answer::Rights(Arc::new(rights)));
        stage.store.report(Report { ask: ask.clone(), epoch, at: now(), result: Ok(told), next: None });
        let hints = stage.state.hints(&stage.store);
        let help = stage.state.help(&stage.store);
        let named = help.iter().any(|(_, text)| text == "you may not: patch nodes");
        (hints.contains(&Command::Cordon), hints.contains(&Command::Drain), named)
    };
    let rules = vec![reads.clone()];
    assert_eq!(answer(Rights { rules: rules.clone(), incomplete: false }), (false, false, true));
    // An authorizer that cannot list what it permits says nothing of what is missing.
    assert_eq!(answer(Rights { rules, incomplete: true }), (true, true, false));
    let patch = Right { verbs: words(&["patch"]), groups: words(&[""]), resources: words(&["nodes"]) };
    assert_eq!(answer(Rights { rules: vec![reads, patch], incomplete: false }), (true, false, false));
}

/// Rights to read everything and to do nothing.
fn reading() -> Rights {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let verbs = words(&["get", "list", "watch"]);
    let rules = vec![Right { verbs, groups: words(&["*"]), resources: words(&["*"]) }];
    Rights { rules, incomplete: false }
}

fn tell(store: &mut Store, ask: &Ask, rights: Arc<Rights>) {
    let epoch = store.ask(ask);
    let told = Told::plain(Answer::Rights(rights));
    store.report(Report { ask: ask.clone(), epoch, at: now(), result: Ok(told), next: None });
}

#[test]
fn who_may_only_read_is_offered_no_verb_anywhere_and_no_editor_is_opened() {
    for (plural, objects) in [
        ("pods", stage::pods()),
        ("replicasets", stage::replica_sets()),
        ("applications", vec![stage::application()]),
        ("namespaces", vec![stage::namespace("tenant-2")]),
    ] {
        let mut stage = Stage::new();
        let (query, _) = stage.list(plural, &objects);
        stage.show(&query);
        let object = stage.state.selected().unwrap();
        let verb = |command: &Command| command.verb().is_some();
        assert!(stage.state.hints(&stage.store).iter().any(verb), "{plural}: what is not known is offered");
        for ask in verbs::rights(&stage.store, &object) {
            tell(&mut stage.store, &ask, Arc::new(reading()));
        }
        let left: Vec<Command> = stage.state.hints(&stage.store).into_iter().filter(verb).collect();
        // What is pushed for review needs no right in the cluster.
        let expected: &[Command] =
            if plural == "applications" { &[Command::Revert, Command::Promote] } else { &[] };
        assert_eq!(
            left.iter().filter(|one| !expected.contains(one)).collect::<Vec<_>>(),
            Vec::<&Command>::new()
        );

        press(&mut stage, &[":"]);
        type_in(&mut stage, "edit");
        let Some(Overlay::Palette(palette)) = &stage.state.overlay else { panic!("no palette") };
        let command =
            |line: &str| palette.suggestions.iter().any(|one| one.sort == Sort::Command && one.line == line);
        assert!(!command("edit"), "{plural}: the palette does not offer it");
        // Typed whole it is understood, and says what is missing before anything is opened.
        let effects = press(&mut stage, &["enter"]);
        assert_eq!(effects, [], "{plural}");
        let said = stage.state.status.as_ref().map(|status| status.text.clone()).unwrap_or_default();
        assert!(said.contains("you may not patch"), "{plural}: {said}");
    }
}

#[test]
fn who_may_not_send_through_the_proxy_of_the_alertmanager_is_offered_no_silence() {
    let mut stage = crate::alert_list::list();
    let ask = Ask { context: context(), wanted: Wanted::Rights("monitoring".into()) };
    assert!(stage.state.needs().contains(&Need::Answer(ask.clone())), "it is asked where the alert is kept");
    assert!(stage.state.hints(&stage.store).contains(&Command::Silence), "what is not known is offered");
    tell(&mut stage.store, &ask, Arc::new(reading()));
    assert!(!stage.state.hints(&stage.store).contains(&Command::Silence));
    let right = stage.state.missing_right(&stage.store, Command::Silence);
    assert_eq!(right.as_deref(), Some("create services/proxy in monitoring"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_and_the_plan_of_the_restricted_operator_name_the_same_right() {
    let bench = Bench::start_as("quiet", Some(RESTRICTED_CONTEXT), false).await;
    let connection = bench.desk.remote.connection();
    let mut store = Store::default();
    let (production, rehearsal) = ("tenant-2", "tenant-2-staging");
    for (namespace, group, plural, verbs, lacking) in [
        (
            production,
            "apps",
            "deployments",
            &[
                (Verb::Restart, "patch deployments.apps"),
                (Verb::Scale, "patch deployments.apps/scale"),
                (Verb::RolloutUndo, "patch deployments.apps"),
                (Verb::Pause, "patch deployments.apps"),
                (Verb::SetImage, "patch deployments.apps"),
                (Verb::Delete, "delete deployments.apps"),
            ][..],
            true,
        ),
        (production, "", "pods", &[(Verb::DeletePod, "delete pods")], true),
        (
            production,
            "external-secrets.io",
            "externalsecrets",
            &[
                (Verb::Rotate, "patch externalsecrets.external-secrets.io"),
                (Verb::RefreshSecret, "patch externalsecrets.external-secrets.io"),
            ],
            true,
        ),
        (
            rehearsal,
            "apps",
            "deployments",
            &[(Verb::Restart, ""), (Verb::Scale, ""), (Verb::Pause, "")],
            false,
        ),
        (rehearsal, "", "pods", &[(Verb::DeletePod, "")], false),
    ] {
        let found = bench.list(group, plural, Some(namespace)).await;
        let first = found.first().unwrap_or_else(|| panic!("no {plural} in {namespace}"));
        let object = bench.object(group, plural, Some(namespace), text(first, "/metadata/name"));
        let rights = connection.rights(namespace).await.unwrap();
        for ask in verbs::rights(&store, &object) {
            tell(&mut store, &ask, Arc::clone(&rights));
        }
        for (verb, right) in verbs {
            let right = lacking.then(|| format!("{right} in {namespace}"));
            assert_eq!(verbs::missing(&store, *verb, &object), right, "{verb:?} {object}");
            let options = Options { replicas: Some(2), ..Options::default() };
            let plan = bench.plan(*verb, &object, options).await;
            let named: Vec<&str> = plan
                .lines
                .iter()
                .filter(|line| line.mark == Mark::Stop)
                .filter_map(|line| line.text.strip_prefix("you may not "))
                .collect();
            match right {
                Some(right) => {
                    assert!(named.iter().any(|text| text.starts_with(&right)), "{:#?}", plan.lines);
                }
                None => assert_eq!(named, Vec::<&str>::new(), "{verb:?} {object}"),
            }
        }
    }
}
