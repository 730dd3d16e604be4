//! The filter language: what it means, and what it says when it is not understood.

use serde_json::json;

use super::{Filter, Scratch, globbed};
use crate::kinds::fixtures::{Cluster, ago, crash_looping, node, pod};

/// A cluster with a few pods, and the names of those that pass.
fn passing(filter: &str) -> Vec<String> {
    let mut cluster = Cluster::new();
    let mut young = pod("shop/checkout-b");
    young["metadata"]["creationTimestamp"] = json!(ago(600));
    young["spec"]["nodeName"] = json!("node-2");
    cluster.list("nodes", vec![node("node-1")]);
    cluster.list(
        "pods",
        vec![pod("shop/checkout-a"), young, crash_looping(pod("bank/payments-a"), 4), pod("bank/ledger")],
    );
    let kind = cluster.kinds.find("pods").unwrap();
    let filter = Filter::parse(filter, &kind.columns).unwrap();
    let lens = cluster.lens();
    let mut scratch = Scratch::default();
    let shelf = cluster.store.shelf(&cluster.query("pods")).unwrap();
    let mut names: Vec<String> = shelf
        .iter()
        .filter(|(_, object)| filter.matches(kind, object, &lens, &mut scratch))
        .map(|(_, object)| object.meta.name.to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn plain_words_are_sought_in_every_word_of_a_row_without_regard_to_case() {
    assert_eq!(passing("CHECKOUT"), ["checkout-a", "checkout-b"]);
    assert_eq!(passing("bank"), ["ledger", "payments-a"]);
    assert_eq!(passing("crashloop"), ["payments-a"]);
    assert_eq!(passing("checkout node-2"), ["checkout-b"]);
    assert_eq!(passing("\"exit code\""), ["payments-a"]);
    assert_eq!(passing(""), ["checkout-a", "checkout-b", "ledger", "payments-a"]);
}

#[test]
fn every_form_of_term_can_be_turned_around() {
    assert_eq!(passing("!checkout"), ["ledger", "payments-a"]);
    assert_eq!(passing("/-[ab]$/ !/pay/"), ["checkout-a", "checkout-b"]);
    assert_eq!(passing("!restarts>3 !ledger"), ["checkout-a", "checkout-b"]);
    assert_eq!(passing("~shpchka"), ["checkout-a"]);
}

#[test]
fn comparisons_are_made_with_values_and_not_with_text() {
    assert_eq!(passing("restarts>3"), ["payments-a"]);
    assert_eq!(passing("restarts>=10"), Vec::<String>::new());
    assert_eq!(passing("age<1h"), ["checkout-b"]);
    assert_eq!(passing("cpu>=250m"), passing(""));
    assert_eq!(passing("memory>128Mi"), Vec::<String>::new());
    assert_eq!(passing("ready<1.0"), ["payments-a"]);
    assert_eq!(passing("status=running node=node-2"), ["checkout-b"]);
    assert_eq!(passing("status!=Running"), ["payments-a"]);
    assert_eq!(passing("health>=warning"), ["payments-a"]);
    assert_eq!(passing("node=node-*"), passing(""));
    assert_eq!(passing("node=~2$"), ["checkout-b"]);
    // Empty is a value to compare with, and what is empty is neither more nor less than anything.
    assert_eq!(passing("why="), ["checkout-a", "checkout-b", "ledger"]);
    assert_eq!(passing("restarted<1h"), ["payments-a"]);
}

#[test]
fn selectors_are_for_the_server() {
    let cluster = Cluster::new();
    let columns = &cluster.kinds.find("pods").unwrap().columns;
    let filter = Filter::parse("-l app=checkout,tier!=db api -f spec.nodeName=node-1 -l x", columns).unwrap();
    assert_eq!(filter.labels, "app=checkout,tier!=db,x");
    assert_eq!(filter.fields, "spec.nodeName=node-1");
    assert!(!filter.is_empty());
    assert!(Filter::parse("-l app=checkout", columns).unwrap().is_empty());
}

#[test]
fn what_is_not_understood_is_refused_with_its_place_and_the_names_that_are_allowed() {
    let cluster = Cluster::new();
    let columns = &cluster.kinds.find("pods").unwrap().columns;
    let refused = |text: &str| Filter::parse(text, columns).unwrap_err().to_string();
    let said = refused("api restart>3");
    assert!(said.starts_with("filter, character 5: no field \"restart\"; did you mean restart"), "{said}");
    assert!(said.contains("(fields: namespace, name, ready,"), "{said}");
    let said = refused("age<yesterday");
    assert_eq!(
        said,
        "filter, character 1: age is compared with a length of time such as 1h30m or 2d, not \"yesterday\""
    );
    assert!(refused("/[/").contains("not a regular expression"), "{}", refused("/[/"));
    assert!(refused("x \"open").starts_with("filter, character 3: the quotation mark is not closed"));
    assert!(refused("-l").contains("needs a selector"));
    assert!(refused("health=sick").contains("healthy, idle, progressing, unknown, warning, degraded"));
    assert!(refused("restarts=~3").contains("not a text"));
    assert!(refused("größe !").starts_with("filter, character 7"));
}

#[test]
fn a_regular_expression_may_hold_spaces_and_slashes() {
    assert_eq!(passing("/exit code [0-9]/ payments"), ["payments-a"]);
    assert_eq!(passing(r"/a\/b/"), Vec::<String>::new());
    // One that is still being typed counts as it stands.
    assert_eq!(passing("/led"), ["ledger"]);
}

#[test]
fn a_bar_is_compared_by_share_or_by_amount() {
    let mut cluster = Cluster::new();
    cluster.list("nodes", vec![node("node-1")]);
    cluster.list("pods", (0..8).map(|number| pod(&format!("shop/p{number}"))).collect());
    let kind = cluster.kinds.find("nodes").unwrap();
    let object = cluster.object("nodes", None, "node-1");
    let holds = |text: &str| {
        let filter = Filter::parse(text, &kind.columns).unwrap();
        filter.matches(kind, object, &cluster.lens(), &mut Scratch::default())
    };
    // 8 times 250m of 3920m.
    assert!(holds("cpu>50%") && !holds("cpu>52%"));
    assert!(holds("cpu>=2") && !holds("cpu>2"));
    assert!(holds("pods<20%") && holds("pods=8/58"));
}

#[test]
fn a_star_stands_for_any_text() {
    for (text, pattern, is) in [
        ("checkout-1", "checkout-*", true),
        ("checkout-1", "*-1", true),
        ("checkout-1", "c*k*1", true),
        ("checkout-1", "checkout", false),
        ("aa", "a*a*a", false),
        ("x", "*", true),
    ] {
        assert_eq!(globbed(text, pattern), is, "{text} {pattern}");
    }
}

#[test]
fn names_without_columns_are_filtered_too() {
    let filter = Filter::parse("tenant-1 !~10", &[]).unwrap();
    let mut scratch = Scratch::default();
    let names = ["tenant-1", "tenant-10", "tenant-2"];
    let passing: Vec<&str> =
        names.into_iter().filter(|name| filter.matches_name(name, &mut scratch)).collect();
    assert_eq!(passing, ["tenant-1"]);
}

#[test]
fn a_filter_that_is_typed_on_narrows_and_others_may_not() {
    let filter = |text: &str| Filter::parse(text, &[]).unwrap();
    for (new, old, is) in [
        ("check", "che", true),
        ("check x", "check", true),
        ("che", "check", false),
        ("check", "/c/", false),
        ("!check", "!che", false),
        ("!che", "che", false),
        ("anything", "", true),
    ] {
        assert_eq!(filter(new).narrows(&filter(old)), is, "{new} after {old}");
    }
}
