//! Rows while objects come, go and change.

use serde_json::{Value, json};

use super::{Order, Rows, Scope};
use crate::filter::Filter;
use crate::identity::Text;
use crate::kinds::fixtures::{Cluster, ago, crash_looping, namespace, node, pod};
use crate::model::tenants::{Rules, Tenants};
use crate::store::Change;

fn shown(rows: &Rows, cluster: &Cluster, kind: &str) -> Vec<String> {
    let shelf = cluster.store.shelf(&cluster.query(kind)).unwrap();
    rows.window(shelf, 0..usize::MAX).map(|object| object.meta.name.to_string()).collect()
}

fn refresh(rows: &mut Rows, cluster: &Cluster, kind: &str) -> bool {
    let shelf = cluster.store.shelf(&cluster.query(kind)).unwrap();
    rows.refresh(shelf, cluster.kinds.find(kind).unwrap(), &cluster.lens())
}

fn by(cluster: &Cluster, kind: &str, column: &str, descending: bool) -> Order {
    let column = cluster.kinds.find(kind).unwrap().column(column).unwrap();
    Order { column, descending }
}

fn filter(cluster: &Cluster, kind: &str, text: &str) -> Filter {
    Filter::parse(text, &cluster.kinds.find(kind).unwrap().columns).unwrap()
}

fn restarted(path: &str, restarts: u32) -> Value {
    let mut pod = pod(path);
    pod["status"]["containerStatuses"][0]["restartCount"] = json!(restarts);
    pod
}

#[test]
fn rows_stand_by_name_as_people_count_until_a_column_is_chosen() {
    let mut cluster = Cluster::new();
    cluster.list("pods", vec![restarted("b/web-10", 1), restarted("b/web-2", 7), restarted("a/web-3", 1)]);
    let mut rows = Rows::new();
    assert!(refresh(&mut rows, &cluster, "pods"));
    assert_eq!(shown(&rows, &cluster, "pods"), ["web-3", "web-2", "web-10"]);
    rows.set_order(Some(by(&cluster, "pods", "restarts", true)));
    refresh(&mut rows, &cluster, "pods");
    assert_eq!(shown(&rows, &cluster, "pods"), ["web-2", "web-3", "web-10"]);
    rows.set_order(Some(by(&cluster, "pods", "restarts", false)));
    refresh(&mut rows, &cluster, "pods");
    assert_eq!(shown(&rows, &cluster, "pods"), ["web-3", "web-10", "web-2"]);
}

#[test]
fn a_changed_row_moves_and_the_selected_one_is_found_again() {
    let mut cluster = Cluster::new();
    cluster.list("pods", (0..5).map(|number| restarted(&format!("shop/p{number}"), number)).collect());
    let mut rows = Rows::new();
    rows.set_order(Some(by(&cluster, "pods", "restarts", true)));
    refresh(&mut rows, &cluster, "pods");
    let place = |rows: &Rows, cluster: &Cluster, name: &str| {
        let shelf = cluster.store.shelf(&cluster.query("pods")).unwrap();
        rows.position(shelf, cluster.kinds.find("pods").unwrap(), Some("shop"), name)
    };
    assert_eq!(place(&rows, &cluster, "p1"), Some(3));
    cluster.put("pods", restarted("shop/p1", 9));
    assert!(refresh(&mut rows, &cluster, "pods"));
    assert_eq!(shown(&rows, &cluster, "pods"), ["p1", "p4", "p3", "p2", "p0"]);
    assert_eq!(place(&rows, &cluster, "p1"), Some(0));
    cluster.remove("pods", Some("shop"), "p4");
    refresh(&mut rows, &cluster, "pods");
    assert_eq!(shown(&rows, &cluster, "pods"), ["p1", "p3", "p2", "p0"]);
    assert_eq!(place(&rows, &cluster, "p4"), None);
    assert!(!refresh(&mut rows, &cluster, "pods"));
}

#[test]
fn what_is_empty_stands_last_in_either_direction() {
    let mut cluster = Cluster::new();
    let mut nowhere = pod("shop/nowhere");
    nowhere["spec"]["nodeName"] = Value::Null;
    cluster.list("pods", vec![nowhere, pod("shop/a"), pod("shop/b")]);
    let mut rows = Rows::new();
    for descending in [false, true] {
        rows.set_order(Some(by(&cluster, "pods", "node", descending)));
        refresh(&mut rows, &cluster, "pods");
        assert_eq!(shown(&rows, &cluster, "pods").last().map(String::as_str), Some("nowhere"));
    }
}

#[test]
fn a_row_enters_and_leaves_the_filter_as_it_changes() {
    let mut cluster = Cluster::new();
    cluster.list("pods", vec![pod("shop/a"), crash_looping(pod("shop/b"), 3)]);
    let mut rows = Rows::new();
    rows.set_filter(filter(&cluster, "pods", "ready<1"));
    refresh(&mut rows, &cluster, "pods");
    assert_eq!((rows.len(), rows.total()), (1, 2));
    cluster.put("pods", crash_looping(pod("shop/a"), 1));
    cluster.put("pods", pod("shop/b"));
    refresh(&mut rows, &cluster, "pods");
    assert_eq!(shown(&rows, &cluster, "pods"), ["a"]);
    cluster.remove("pods", Some("shop"), "b");
    refresh(&mut rows, &cluster, "pods");
    assert_eq!((rows.len(), rows.total()), (1, 1));
}

#[test]
fn many_changes_at_once_give_the_order_that_sorting_anew_gives() {
    let mut cluster = Cluster::new();
    let mut dice = fastrand::Rng::with_seed(7);
    cluster.list(
        "pods",
        (0..300).map(|number| restarted(&format!("shop/p{number}"), dice.u32(0..20))).collect(),
    );
    let mut rows = Rows::new();
    rows.set_order(Some(by(&cluster, "pods", "restarts", true)));
    rows.set_filter(filter(&cluster, "pods", "restarts<15"));
    refresh(&mut rows, &cluster, "pods");
    for round in 0..12_usize {
        let mut changes = Vec::new();
        // Few changes go one by one, many are merged.
        for _ in 0..if round % 2 == 0 { 9 } else { 150 } {
            let name = format!("p{}", dice.u32(0..330));
            if dice.u8(0..4) == 0 {
                changes.push(Change::Gone { namespace: Some(Text::from("shop")), name: Text::from(name) });
            } else {
                let object = restarted(&format!("shop/{name}"), dice.u32(0..20));
                changes.push(Change::Put(cluster.decode("pods", object)));
            }
        }
        cluster.change("pods", changes);
        refresh(&mut rows, &cluster, "pods");
        let mut anew = Rows::new();
        anew.set_order(Some(by(&cluster, "pods", "restarts", true)));
        anew.set_filter(filter(&cluster, "pods", "restarts<15"));
        refresh(&mut anew, &cluster, "pods");
        assert_eq!(shown(&rows, &cluster, "pods"), shown(&anew, &cluster, "pods"), "round {round}");
        assert_eq!((rows.len(), rows.total()), (anew.len(), anew.total()), "round {round}");
    }
}

#[test]
fn rows_follow_the_time_and_what_other_objects_say() {
    let mut cluster = Cluster::new();
    let mut young = pod("shop/young");
    young["metadata"]["creationTimestamp"] = json!(ago(3_500));
    cluster.list("pods", vec![young]);
    let mut rows = Rows::new();
    rows.set_filter(filter(&cluster, "pods", "age<1h"));
    refresh(&mut rows, &cluster, "pods");
    assert_eq!(rows.len(), 1);
    cluster.now = jiff::Timestamp::from_second(cluster.now.as_second() + 1).unwrap();
    assert!(!refresh(&mut rows, &cluster, "pods"), "looking again is not a change");
    cluster.now = jiff::Timestamp::from_second(cluster.now.as_second() + 200).unwrap();
    refresh(&mut rows, &cluster, "pods");
    assert_eq!(rows.len(), 0);

    cluster.list("nodes", vec![node("node-1"), node("node-2")]);
    cluster.list("pods", vec![pod("shop/a")]);
    let mut nodes = Rows::new();
    nodes.set_order(Some(by(&cluster, "nodes", "cpu", true)));
    refresh(&mut nodes, &cluster, "nodes");
    assert_eq!(shown(&nodes, &cluster, "nodes"), ["node-1", "node-2"]);
    let elsewhere = |name: &str| {
        let mut pod = pod(name);
        pod["spec"]["nodeName"] = json!("node-2");
        pod
    };
    cluster.put("pods", elsewhere("shop/b"));
    cluster.put("pods", elsewhere("shop/c"));
    refresh(&mut nodes, &cluster, "nodes");
    assert_eq!(shown(&nodes, &cluster, "nodes"), ["node-2", "node-1"]);
}

#[test]
fn a_scope_shows_what_belongs_to_a_tenant_and_what_serves_everybody() {
    let mut cluster = Cluster::new();
    cluster.list("ns", vec![namespace("shop-prod", "shop", "prod"), namespace("bank-prod", "bank", "prod")]);
    cluster.list("pods", vec![pod("shop-prod/a"), pod("bank-prod/b")]);
    cluster.list("nodes", vec![node("node-1")]);
    let rules = Rules { namespace_labels: vec!["tenant".to_owned()], ..Rules::default() };
    let mut tenants = Tenants::new(rules);
    tenants.refresh(&cluster.store, &cluster.context, cluster.now);
    cluster.tenancy = tenants.tenancy().clone();
    for (kind, names) in [("pods", vec!["a"]), ("ns", vec!["shop-prod"]), ("nodes", vec!["node-1"])] {
        let mut rows = Rows::new();
        rows.set_scope(Scope { tenant: Some(Text::from("shop")), namespace: None });
        refresh(&mut rows, &cluster, kind);
        assert_eq!(shown(&rows, &cluster, kind), names);
        assert_eq!(rows.total(), names.len());
    }
}

#[test]
fn typing_a_filter_and_taking_it_back_gives_what_the_last_one_asks_for() {
    let mut cluster = Cluster::new();
    cluster
        .list("pods", (0..200).map(|number| restarted(&format!("shop/web-{number}"), number % 7)).collect());
    let mut rows = Rows::new();
    rows.set_order(Some(by(&cluster, "pods", "restarts", true)));
    refresh(&mut rows, &cluster, "pods");
    for text in ["w", "web-1", "web-12", "web-1", "web-1 !web-13", "restarts>3", "", "web-199"] {
        rows.set_filter(filter(&cluster, "pods", text));
        refresh(&mut rows, &cluster, "pods");
        let mut anew = Rows::new();
        anew.set_order(Some(by(&cluster, "pods", "restarts", true)));
        anew.set_filter(filter(&cluster, "pods", text));
        refresh(&mut anew, &cluster, "pods");
        assert_eq!(shown(&rows, &cluster, "pods"), shown(&anew, &cluster, "pods"), "{text:?}");
    }
    assert_eq!(shown(&rows, &cluster, "pods"), ["web-199"]);
}
