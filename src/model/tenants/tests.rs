//! Tenants: found by rules, ranked worst first, and the same by changes as anew.

use serde_json::{Value, json};

use super::{Rules, Summary, Tenants, is_like};
use crate::identity::Text;
use crate::kinds::Health;
use crate::kinds::fixtures::{Cluster, application, crash_looping, meta, namespace, pod};
use crate::sources::SourceError;
use crate::store::{Change, Envelope, Update};

fn rules() -> Rules {
    Rules {
        namespace_labels: vec!["tenant".to_owned()],
        app_project: true,
        name_patterns: vec!["team-*".to_owned()],
        ignore: vec!["kube-*".to_owned(), "argocd".to_owned()],
    }
}

/// Two tenants, all well.
fn platform() -> (Cluster, Tenants) {
    let mut cluster = Cluster::new();
    cluster.list(
        "ns",
        vec![
            namespace("bank-prod", "bank", "prod"),
            namespace("shop-prod", "shop", "prod"),
            namespace("shop-staging", "shop", "staging"),
            namespace("kube-system", "nobody", "prod"),
        ],
    );
    cluster.list("apps", vec![application("checkout", "shop-prod"), application("ledger", "bank-prod")]);
    cluster.list("pods", vec![pod("shop-prod/a"), pod("shop-staging/b"), pod("bank-prod/c")]);
    (cluster, Tenants::new(rules()))
}

fn refresh(tenants: &mut Tenants, cluster: &Cluster) -> bool {
    tenants.refresh(&cluster.store, &cluster.context, cluster.now)
}

fn names(tenants: &Tenants) -> Vec<&str> {
    tenants.ranking().iter().map(|summary| &*summary.name).collect()
}

#[test]
fn namespaces_and_applications_find_their_tenant_by_rules() {
    let (mut cluster, mut tenants) = platform();
    cluster.put("ns", {
        let mut plain = namespace("team-blue", "x", "dev");
        plain["metadata"]["labels"] = json!({});
        plain
    });
    let mut unplaced = application("tool", "nowhere");
    unplaced["spec"]["project"] = json!("bank");
    cluster.put("apps", unplaced);
    cluster.put("apps", application("platform", "argocd"));
    assert!(refresh(&mut tenants, &cluster));
    let tenancy = tenants.tenancy();
    assert_eq!(tenants.names(), ["bank", "shop", "team-blue"].map(Text::from));
    assert_eq!(tenancy.of_namespace("shop-staging").map(|name| &**name), Some("shop"));
    assert_eq!(tenancy.of_namespace("kube-system"), None);
    assert_eq!(tenancy.of_application("argocd", "checkout").map(|name| &**name), Some("shop"));
    assert_eq!(tenancy.of_application("argocd", "tool").map(|name| &**name), Some("bank"));
    // Its project is called `shop` too, as that of every example.
    assert_eq!(tenancy.of_application("argocd", "platform").map(|name| &**name), Some("shop"));
}

#[test]
fn a_project_names_a_tenant_where_no_namespace_does() {
    let mut cluster = Cluster::new();
    cluster.list("ns", vec![json!({"metadata": meta("plain")})]);
    cluster.list("apps", vec![application("checkout", "plain"), application("argo", "argocd")]);
    let mut tenants = Tenants::new(rules());
    refresh(&mut tenants, &cluster);
    assert_eq!(tenants.names(), [Text::from("shop")]);
    assert_eq!(tenants.get("shop").and_then(|summary| summary.apps), Some(1));
}

#[test]
fn the_tenant_that_hurts_comes_first_and_says_why() {
    let (mut cluster, mut tenants) = platform();
    refresh(&mut tenants, &cluster);
    assert_eq!(names(&tenants), ["bank", "shop"]);
    let shop = tenants.get("shop").unwrap();
    assert_eq!((shop.health, shop.apps, shop.ready, shop.pods), (Health::Healthy, Some(1), Some(2), 2));
    assert_eq!(shop.environments, ["prod", "staging"].map(Text::from));
    cluster.put("pods", crash_looping(pod("shop-prod/a"), 5));
    assert!(refresh(&mut tenants, &cluster));
    assert_eq!(names(&tenants), ["shop", "bank"]);
    let shop = tenants.get("shop").unwrap();
    assert_eq!(shop.health, Health::Degraded);
    assert_eq!(&*shop.reason, "app: CrashLoopBackOff after exit code 1");
    assert_eq!((shop.ready, shop.pods, shop.troubled_pods, shop.restarts), (Some(1), 2, 1, 5));
    cluster.put("pods", pod("shop-prod/a"));
    refresh(&mut tenants, &cluster);
    assert_eq!(tenants.get("shop").unwrap().health, Health::Healthy);
    assert!(!refresh(&mut tenants, &cluster));
}

#[test]
fn trouble_on_production_comes_before_the_same_trouble_elsewhere() {
    let (mut cluster, mut tenants) = platform();
    cluster.put("ns", namespace("bank-staging", "bank", "staging"));
    cluster.put("pods", crash_looping(pod("bank-staging/d"), 5));
    cluster.put("pods", crash_looping(pod("bank-staging/e"), 5));
    cluster.put("pods", crash_looping(pod("shop-prod/a"), 2));
    refresh(&mut tenants, &cluster);
    // Both have production, and more pods are broken at the bank: in its staging.
    assert_eq!(names(&tenants), ["shop", "bank"]);
    cluster.put("ns", namespace("bank-staging", "bank", "production"));
    refresh(&mut tenants, &cluster);
    assert_eq!(names(&tenants), ["bank", "shop"]);
}

#[test]
fn the_reason_names_what_is_on_production_first() {
    let (mut cluster, mut tenants) = platform();
    let mut rehearsal = pod("shop-staging/0");
    rehearsal["spec"]["containers"][0]["name"] = json!("rehearsal");
    rehearsal["status"]["containerStatuses"][0]["name"] = json!("rehearsal");
    cluster.list("pods", vec![crash_looping(rehearsal, 5), crash_looping(pod("shop-prod/a"), 5)]);
    refresh(&mut tenants, &cluster);
    assert_eq!(&*tenants.get("shop").unwrap().reason, "app: CrashLoopBackOff after exit code 1");
}

#[test]
fn a_tenant_of_which_not_all_is_known_is_not_called_healthy() {
    let mut cluster = Cluster::new();
    cluster.list("ns", vec![namespace("shop-prod", "shop", "prod")]);
    cluster.list("apps", vec![application("checkout", "shop-prod")]);
    let mut tenants = Tenants::new(rules());
    refresh(&mut tenants, &cluster);
    let shop = tenants.get("shop").unwrap();
    assert_eq!((shop.health, &*shop.reason, shop.ready), (Health::Unknown, "not all pods are known", None));
    cluster.list("pods", vec![pod("shop-prod/a")]);
    refresh(&mut tenants, &cluster);
    assert_eq!(tenants.get("shop").unwrap().health, Health::Healthy);
}

#[test]
fn a_quota_that_is_nearly_used_is_a_warning() {
    let (mut cluster, mut tenants) = platform();
    let quota = json!({"metadata": meta("bank-prod/tenant"),
        "status": {"hard": {"requests.memory": "8Gi", "pods": "20"}, "used": {"requests.memory": "7.7Gi", "pods": "3"}}});
    cluster.list("quota", vec![quota]);
    refresh(&mut tenants, &cluster);
    let bank = tenants.get("bank").unwrap();
    assert_eq!((bank.health, &*bank.reason), (Health::Warning, "quota: 96 % of mem used"));
}

#[test]
fn changes_lead_to_what_looking_at_everything_leads_to() {
    let (mut cluster, mut tenants) = platform();
    refresh(&mut tenants, &cluster);
    let mut dice = fastrand::Rng::with_seed(3);
    for round in 0..30 {
        let space = ["shop-prod", "shop-staging", "bank-prod"][dice.usize(0..3)];
        let name = format!("p{}", dice.u8(0..6));
        let object: Value = pod(&format!("{space}/{name}"));
        let change = match dice.u8(0..3) {
            0 => Change::Gone { namespace: Some(Text::from(space)), name: Text::from(name) },
            1 => Change::Put(cluster.decode("pods", crash_looping(object, dice.u32(1..9)))),
            _ => Change::Put(cluster.decode("pods", object)),
        };
        cluster.change("pods", vec![change]);
        if round % 7 == 3 {
            let owner = ["shop", "bank", "third"][dice.usize(0..3)];
            cluster.put("ns", namespace("shop-staging", owner, "staging"));
        }
        refresh(&mut tenants, &cluster);
        let mut anew = Tenants::new(rules());
        refresh(&mut anew, &cluster);
        let told = |tenants: &Tenants| -> Vec<Summary> { tenants.ranking().to_vec() };
        assert_eq!(told(&tenants), told(&anew), "round {round}");
    }
}

#[test]
fn patterns_stand_for_whole_names() {
    assert!(is_like("kube-system", "kube-*") && is_like("x", "*") && is_like("a-b-c", "a*c"));
    assert!(!is_like("my-kube", "kube-*") && !is_like("argocd-2", "argocd"));
}

#[test]
fn where_little_may_be_listed_tenants_are_found_by_name_and_the_rest_is_marked() {
    let mut cluster = Cluster::new();
    let seen = cluster.decode("pods", pod("team-blue/a"));
    let pods = cluster.query("pods");
    let part = Some(Text::from("team-blue"));
    let split = Update::Split { parts: vec![Text::from("team-blue")], hidden: Vec::new() };
    let page = Update::Page { objects: vec![seen], garbled: Vec::new(), remaining: None };
    let epoch = cluster.store.subscribe(&pods);
    for (part, update) in
        [(None, split), (part.clone(), Update::ListStarted), (part.clone(), page), (part, Update::ListDone)]
    {
        cluster.store.apply(Envelope { query: pods.clone(), epoch, part, at: cluster.now, update });
    }
    let apps = cluster.query("apps");
    let epoch = cluster.store.subscribe(&apps);
    let error = SourceError::Denied {
        verb: "list".to_owned(),
        object: "applications.argoproj.io".to_owned(),
        reason: "RBAC".to_owned(),
    };
    let update = Update::Failed { error, retry_at: None };
    cluster.store.apply(Envelope { query: apps, epoch, part: None, at: cluster.now, update });
    let mut tenants = Tenants::new(rules());
    refresh(&mut tenants, &cluster);
    let blue = tenants.get("team-blue").unwrap();
    assert_eq!((blue.health, blue.ready, blue.apps, blue.complete), (Health::Healthy, Some(1), None, false));
}
