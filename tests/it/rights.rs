//! What may not be done is not offered, and help names the right that is missing.

use std::sync::Arc;

use opsdeck::app::command::Command;
use opsdeck::app::effect::Need;
use opsdeck::signals::{Answer, Ask, Report, Right, Rights, Told, Wanted};
use serde_json::json;

use crate::stage::{Stage, context, now};

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
