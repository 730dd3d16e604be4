//! Alerts on screen: where each leads, where they stand, how they are grouped, and what strange ones do.

use std::sync::Arc;

use jiff::SignedDuration;
use opsdeck::app::board::BoardView;
use opsdeck::app::history::View;
use opsdeck::app::table::Table;
use opsdeck::identity::Text;
use opsdeck::kinds::{Cell, Leads, Object, alerts};
use opsdeck::signals::{
    Alert, AlertState, Labels, Origin, Raised, Rule, RuleHealth, RuleState, Severity, Window,
};
use opsdeck::store::Query;

use crate::keys::press;
use crate::stage::{self, Stage, context, now, text};

/// The expression of the rule of the made-up alerts, in the form in which Prometheus gives it back.
const EXPRESSION: &str = r#"sum by (exported_namespace, ingress) (rate(nginx_ingress_controller_requests{status=~"5.."}[2m])) / sum by (exported_namespace, ingress) (rate(nginx_ingress_controller_requests[2m])) > 0.05"#;

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))).collect()
}

/// An alert that has been firing for so many seconds, by its name and labels.
pub fn alert(name: &str, pairs: &[(&str, &str)], severity: Severity, age: i64) -> Alert {
    let mut pairs = pairs.to_vec();
    pairs.extend([("alertname", name), ("severity", severity.word())]);
    let labels = labels(&pairs);
    Alert {
        fingerprint: format!("{name}-{}", pairs.iter().map(|(_, value)| *value).collect::<String>()).into(),
        name: name.into(),
        labels,
        annotations: labels_of(name),
        severity,
        state: AlertState::Firing,
        since: Some(now() - SignedDuration::from_secs(age)),
        updated: Some(now()),
        value: None,
        receivers: vec!["pagerduty".into()],
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        generator: "".into(),
        origins: vec![Origin::Alertmanager],
        places: vec!["monitoring/alertmanager".into()],
    }
}

fn labels_of(name: &str) -> Labels {
    labels(&[
        ("summary", &format!("{name} is what is wrong")),
        ("runbook_url", &format!("https://runbooks.example.com/{}", name.to_lowercase())),
    ])
}

/// The rule that raised an alert, for which its condition has held a little longer.
pub fn rule(alert: &Alert, query: &str) -> Arc<Rule> {
    let since = alert.since.map(|at| at - SignedDuration::from_secs(120));
    Arc::new(Rule {
        group: "ingress".into(),
        name: alert.name.clone(),
        query: query.into(),
        hold: 120.0,
        labels: labels(&[("severity", alert.severity.word())]),
        annotations: Labels::default(),
        state: RuleState::Firing,
        health: RuleHealth::Ok,
        evaluated: Some(now()),
        alerts: vec![Alert { since, origins: vec![Origin::Prometheus], ..alert.clone() }],
    })
}

pub fn object(alert: Alert, rule: Option<Arc<Rule>>) -> Arc<Object> {
    Arc::new(alerts::alert_object(Raised { alert, rule, alarm: None }))
}

pub fn query() -> Query {
    Query::all(&context(), &alerts::alerts())
}

/// The alert of a bad deploy, with its rule.
pub fn errors() -> Arc<Object> {
    let pairs = [("namespace", "tenant-2"), ("exported_namespace", "tenant-2"), ("ingress", "checkout")];
    let alert = alert("HighErrorRate", &pairs, Severity::Critical, 480);
    let rule = rule(&alert, EXPRESSION);
    object(alert, Some(rule))
}

fn crash(pod: &str) -> Arc<Object> {
    let pairs = [("namespace", "tenant-2"), ("pod", pod), ("container", "app")];
    object(alert("KubePodCrashLooping", &pairs, Severity::Warning, 300), None)
}

/// A console on a small world, with these alerts, the first of which is selected in their table.
pub fn desk(objects: Vec<Arc<Object>>) -> Stage {
    let mut stage = Stage::new();
    stage.list("namespaces", &[stage::namespace("tenant-2"), stage::namespace("tenant-3")]);
    stage.list("pods", &stage::pods());
    stage.list("applications", &[stage::application()]);
    let query = query();
    stage.fill(&query, objects);
    stage.state.tenants = opsdeck::model::tenants::Tenants::new(opsdeck::model::tenants::Rules {
        namespace_labels: vec!["opsdeck.dev/tenant".to_owned()],
        ..opsdeck::model::tenants::Rules::default()
    });
    stage.state.settle(&stage.store);
    stage.show(&query);
    stage
}

fn said(stage: &Stage) -> String {
    stage.state.status.as_ref().map(|status| status.text.clone()).unwrap_or_default()
}

fn shown(stage: &Stage) -> String {
    match stage.state.view() {
        Some(View::Table(Table { resource, .. })) => resource.to_string(),
        Some(View::Detail(detail)) => detail.object.to_string(),
        Some(View::Application(app)) => app.object.to_string(),
        Some(View::Explore(explore)) => explore.of.query.to_string(),
        Some(View::Board(board)) => board.board.title.to_string(),
        other => format!("{other:?}"),
    }
}

fn board(stage: &Stage) -> &BoardView {
    match stage.state.view() {
        Some(View::Board(view)) => view,
        other => panic!("no board but {other:?}"),
    }
}

#[test]
fn one_key_leads_from_an_alert_to_its_tenant_its_workload_its_application_its_logs_and_its_graph() {
    for (key, place) in [
        ("t", "applications.argoproj.io"),
        ("J", "deployments.apps tenant-2/checkout"),
        ("a", "applications.argoproj.io argocd/tenant-2-checkout"),
        ("l", r#"{namespace="tenant-2"}"#),
        ("m", "HighErrorRate"),
    ] {
        let mut stage = desk(vec![errors()]);
        press(&mut stage, &[key]);
        let at = shown(&stage);
        assert!(at.ends_with(place) || at.contains(place), "{key}: {at}, {:?}", said(&stage));
        // The same from its detail.
        let mut stage = desk(vec![errors()]);
        press(&mut stage, &["enter", key]);
        assert_eq!(shown(&stage), at, "{key} from the detail");
    }
    let mut stage = desk(vec![errors()]);
    press(&mut stage, &["t"]);
    assert_eq!(stage.state.scope.tenant.as_deref(), Some("tenant-2"));
}

#[test]
fn what_an_alert_does_not_lead_to_is_said() {
    for (key, why) in [
        ("t", "the labels of Odd name no namespace, so it is no tenant's"),
        ("J", "the labels of Odd name no workload, pod, node or volume"),
        ("a", "no Application manages what Odd is about, as far as its labels tell"),
        ("l", "the labels of Odd name no namespace, pod or container to read logs of"),
        ("m", "no Prometheus that answers has the rule of Odd, so there is nothing to draw"),
    ] {
        let mut stage = desk(vec![object(alert("Odd", &[], Severity::Other, 60), None)]);
        press(&mut stage, &[key]);
        assert_eq!(said(&stage), why, "{key}");
        assert_eq!(shown(&stage), "alerts.signals");
    }
    let alarm = Alert { origins: vec![Origin::CloudWatch], ..alert("alb-5xx", &[], Severity::Other, 60) };
    let mut stage = desk(vec![object(alarm, None)]);
    press(&mut stage, &["m"]);
    assert_eq!(said(&stage), "alb-5xx is an alarm of CloudWatch and has no expression to draw");
}

#[test]
fn the_keys_of_an_alert_stand_in_the_footer_and_in_help() {
    let mut stage = desk(vec![errors()]);
    let drawn = text(&stage.draw(200, 60).0);
    let footer = drawn.lines().last().unwrap();
    for hint in ["m graph", "t tenant", "J workload", "a application", "l logs", "b group"] {
        assert!(footer.contains(hint), "{hint}: {footer}");
    }
    press(&mut stage, &["?"]);
    let help = text(&stage.draw(200, 60).0);
    assert!(help.contains("Goes to the tenant of an alert"), "{help}");
    // They are keys of alerts alone.
    let mut stage = Stage::new();
    let (query, _) = stage.list("pods", &stage::pods());
    stage.show(&query);
    let drawn = text(&stage.draw(200, 60).0);
    assert!(!drawn.contains("t tenant  "), "{drawn}");
}

#[test]
fn the_graph_of_an_alert_has_the_line_of_its_rule_and_marks_when_it_began() {
    let mut stage = desk(vec![errors()]);
    press(&mut stage, &["m"]);
    let view = board(&stage);
    assert_eq!(view.window, Window::Last { seconds: 3_600 + 480 + 120 });
    assert_eq!(view.board.panels[0].thresholds.len(), 1);
    let asked = view.panels[0].asked[0].expr.to_string();
    assert!(asked.contains("rate(") && !asked.contains("> 0.05"), "{asked}");
    let marks: Vec<_> = view
        .happened
        .iter()
        .filter(|one| one.text.contains("HighErrorRate"))
        .map(|one| (&*one.text, (now() - one.at).get_seconds()))
        .collect();
    assert_eq!(marks, [("HighErrorRate began", 600), ("HighErrorRate fires", 480)]);
    // What began long ago is shown as it was then.
    let old = alert("HighErrorRate", &[("namespace", "tenant-2")], Severity::Critical, 200_000);
    let begun = now().as_second() - 200_120;
    let mut stage = desk(vec![object(old.clone(), Some(rule(&old, "up == 0")))]);
    press(&mut stage, &["m"]);
    assert_eq!(board(&stage).window, Window::Between { from: begun - 3_600, to: begun + 3_600 });
}

#[test]
fn the_expression_is_read_from_the_link_where_the_rule_is_not_known() {
    let generator = "http://prometheus:9090/graph?g0.expr=up%7Bjob%3D%22a+b%22%7D+%3C+1&g0.tab=1";
    let one = Alert { generator: generator.into(), ..alert("Down", &[], Severity::Warning, 60) };
    let mut stage = desk(vec![object(one, None)]);
    press(&mut stage, &["m"]);
    let view = board(&stage);
    assert_eq!(&*view.panels[0].asked[0].expr, r#"up{job="a b"}"#);
    assert!(view.board.panels[0].thresholds[0].below);
    // What is no encoding stays as it is, and an empty expression is none.
    for (generator, there) in [("http://x/graph?g0.expr=%zz%", true), ("http://x/graph?g0.expr=", false)] {
        let one = Alert { generator: generator.into(), ..alert("Down", &[], Severity::Warning, 60) };
        let mut stage = desk(vec![object(one, None)]);
        press(&mut stage, &["m"]);
        assert_eq!(matches!(stage.state.view(), Some(View::Board(_))), there, "{generator}");
    }
}

/// Returns the alerts that are related to an object, by their names.
fn related(stage: &Stage, group: &str, plural: &str, namespace: &str, name: &str) -> Vec<String> {
    let object = stage::object(group, plural, namespace, name);
    let kind = stage.state.kinds.get(&object.resource).unwrap();
    let found = stage.store.object(&object).unwrap_or_else(|| panic!("{object} is not there"));
    let context = context();
    let links = kind.links(found, &stage.state.lens(&stage.store, &context));
    let names = links.into_iter().filter(|link| link.relation == "alert").filter_map(|link| match link.to {
        Leads::One(to) => {
            stage.store.object(&to)?.body::<Raised>().map(|raised| raised.alert.name.to_string())
        }
        Leads::Many { .. } => None,
    });
    names.collect()
}

#[test]
fn alerts_stand_on_the_application_the_workload_the_pod_and_the_node_they_are_about() {
    let pod = "checkout-5d8f7c9b4-2xk4l";
    let node = "ip-10-0-3-17.eu-west-1.compute.internal";
    let pressure = object(alert("KubeNodePressure", &[("node", node)], Severity::Critical, 60), None);
    let exporter =
        [("namespace", "tenant-2"), ("exported_pod", pod), ("pod", "kube-state-metrics-7c5b9f8d6-qq8zv")];
    let exported = object(alert("KubeContainerWaiting", &exporter, Severity::Warning, 60), None);
    let of_app = [("namespace", "argocd"), ("name", "tenant-2-checkout"), ("project", "tenant-2")];
    let sync = object(alert("ArgoAppOutOfSync", &of_app, Severity::Warning, 60), None);
    let elsewhere = [("namespace", "tenant-3"), ("pod", pod)];
    let other = object(alert("Elsewhere", &elsewhere, Severity::Critical, 60), None);
    let mut stage = desk(vec![errors(), crash(pod), exported, pressure, sync, other]);
    stage.list(
        "nodes",
        &[serde_json::json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node, "uid": "uid-node", "resourceVersion": "1"}, "spec": {}, "status": {}})],
    );
    stage.list("deployments", &[serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": "tenant-2", "name": "checkout", "uid": "uid-deploy", "resourceVersion": "1"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "checkout"}}, "template": {}},
        "status": {}})]);

    assert_eq!(related(&stage, "", "pods", "tenant-2", pod), ["KubeContainerWaiting", "KubePodCrashLooping"]);
    let other_pod = "checkout-5d8f7c9b4-9mzqv";
    assert!(related(&stage, "", "pods", "tenant-2", other_pod).is_empty());
    assert_eq!(related(&stage, "", "nodes", "", node), ["KubeNodePressure"]);
    let all = ["HighErrorRate", "KubeContainerWaiting", "KubePodCrashLooping"];
    assert_eq!(related(&stage, "apps", "deployments", "tenant-2", "checkout"), all);
    let app = related(&stage, "argoproj.io", "applications", "argocd", "tenant-2-checkout");
    assert_eq!(app, ["HighErrorRate", "ArgoAppOutOfSync", "KubeContainerWaiting", "KubePodCrashLooping"]);

    // The same number stands in the tables.
    let count = |plural: &str, group: &str, namespace: &str, name: &str| {
        let object = stage::object(group, plural, namespace, name);
        let kind = stage.state.kinds.get(&object.resource).unwrap();
        let context = context();
        let lens = stage.state.lens(&stage.store, &context);
        kind.cell(stage.store.object(&object).unwrap(), kind.column("alerts").unwrap(), &lens)
    };
    assert_eq!(count("pods", "", "tenant-2", pod), Cell::Count(2));
    assert_eq!(count("pods", "", "tenant-2", other_pod), Cell::Empty);
    assert_eq!(count("nodes", "", "", node), Cell::Count(1));
    assert_eq!(count("deployments", "apps", "tenant-2", "checkout"), Cell::Count(3));
    assert_eq!(count("applications", "argoproj.io", "argocd", "tenant-2-checkout"), Cell::Count(4));

    // An alert of a pod leads to the workload of that pod, also when the pod has gone.
    for gone in [pod, "checkout-5d8f7c9b4-zzzzz"] {
        let mut stage = desk(vec![crash(gone)]);
        press(&mut stage, &["J"]);
        assert!(shown(&stage).ends_with("tenant-2/checkout"), "{gone}: {}", shown(&stage));
    }
}

#[test]
fn where_no_system_tells_of_alerts_their_number_is_unknown_and_not_nought() {
    let mut stage = Stage::new();
    stage.list("pods", &stage::pods());
    let object = stage::object("", "pods", "tenant-2", "checkout-5d8f7c9b4-2xk4l");
    let kind = stage.state.kinds.get(&object.resource).unwrap();
    let context = context();
    let lens = stage.state.lens(&stage.store, &context);
    let cell = kind.cell(stage.store.object(&object).unwrap(), kind.column("alerts").unwrap(), &lens);
    assert_eq!(cell, Cell::Unknown);
}
