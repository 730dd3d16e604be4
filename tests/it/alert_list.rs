//! The list of alerts and what is opened from it: groups, detail, ends on the timeline, strange alerts, pictures.

use std::sync::Arc;

use jiff::SignedDuration;
use opsdeck::actions::{Line as PlanLine, Mark, Options, Plan, Request, Verb};
use opsdeck::app::effect::Effect;
use opsdeck::app::groups::Head;
use opsdeck::app::history::View;
use opsdeck::app::line::Line;
use opsdeck::app::memory::Memory;
use opsdeck::app::question::Question;
use opsdeck::app::state::Overlay;
use opsdeck::app::table::Table;
use opsdeck::gate::Confirmation;
use opsdeck::identity::{Target, Text};
use opsdeck::kinds::{Object, alerts};
use opsdeck::signals::{Alert, AlertState, Matcher, Origin, Severity, Silence, SilenceState};
use opsdeck::sources::SourceError;
use opsdeck::store::{Hidden, Query, Update};

use crate::alerts::{alert, desk, errors, labels, object, query, rule};
use crate::keys::press;
use crate::screens::snapshots;
use crate::stage::{self, Stage, context, now, text};

fn silence(id: &str, matchers: &[&str], minutes: i64, state: SilenceState) -> Arc<Object> {
    Arc::new(alerts::silence_object(Arc::new(Silence {
        id: id.into(),
        state,
        matchers: matchers.iter().map(|text| Matcher::read(text).unwrap()).collect(),
        starts: Some(now() - SignedDuration::from_mins(30)),
        ends: Some(now() + SignedDuration::from_mins(minutes)),
        created_by: "kim@example.com".into(),
        comment: "node pool is replaced, OPS-812".into(),
        updated: Some(now() - SignedDuration::from_mins(30)),
        place: "monitoring/alertmanager".into(),
    })))
}

/// Alerts of two tenants in every state.
fn several() -> Vec<Arc<Object>> {
    let latency = |tenant: &str, age| {
        let pairs = [("namespace", tenant), ("ingress", "storefront")];
        alert("HighLatency", &pairs, Severity::Warning, age)
    };
    let node = [("node", "ip-10-0-3-17.eu-west-1.compute.internal")];
    let quiet = Alert {
        state: AlertState::Suppressed,
        silenced_by: vec!["3f1c".into()],
        receivers: vec!["teams-platform".into()],
        ..alert("KubeNodePressure", &node, Severity::Warning, 5_400)
    };
    let pod = [("namespace", "tenant-2"), ("pod", "checkout-5d8f7c9b4-2xk4l"), ("container", "app")];
    let crash = alert("KubePodCrashLooping", &pod, Severity::Warning, 300);
    let inhibited =
        Alert { state: AlertState::Suppressed, inhibited_by: vec![errors().meta.name.clone()], ..crash };
    let pending = Alert {
        state: AlertState::Pending,
        origins: vec![Origin::Prometheus],
        fingerprint: "".into(),
        receivers: Vec::new(),
        ..alert("KubeQuotaAlmostFull", &[("namespace", "tenant-3")], Severity::Info, 45)
    };
    let unheard = Alert {
        origins: vec![Origin::Prometheus],
        fingerprint: "".into(),
        receivers: Vec::new(),
        ..alert("TargetDown", &[("job", "node-exporter")], Severity::Warning, 700)
    };
    let mut all = vec![errors()];
    all.extend(
        [latency("tenant-2", 400), latency("tenant-3", 7_900), quiet, inhibited].map(|one| object(one, None)),
    );
    for one in [pending, unheard] {
        let rule = rule(&one, "up{job=\"node-exporter\"} == 0");
        all.push(object(one, Some(rule)));
    }
    all
}

fn silences(stage: &mut Stage) -> Query {
    let query = Query::all(&context(), &alerts::silences());
    stage.fill(
        &query,
        vec![
            silence("3f1c", &["alertname=KubeNodePressure"], 90, SilenceState::Active),
            silence("9a2e", &["namespace=tenant-3", "alertname=~High.*"], 240, SilenceState::Pending),
            silence("77b0", &["alertname=TargetDown"], -10, SilenceState::Expired),
        ],
    );
    query
}

pub fn list() -> Stage {
    let mut stage = desk(several());
    silences(&mut stage);
    stage.state.settle(&stage.store);
    stage
}

fn grouped() -> Stage {
    let mut stage = list();
    press(&mut stage, &["b", "j", "j", "enter"]);
    stage.state.status = None;
    stage
}

fn detail() -> Stage {
    let mut stage = list();
    press(&mut stage, &["enter"]);
    stage.state.settle(&stage.store);
    stage
}

fn quiet() -> Stage {
    let mut stage = desk(vec![several().swap_remove(3)]);
    silences(&mut stage);
    press(&mut stage, &["enter"]);
    stage
}

fn all_silences() -> Stage {
    let mut stage = list();
    let query = silences(&mut stage);
    stage.show(&query);
    stage
}

/// One of two Alertmanagers does not answer.
fn partial() -> Stage {
    let mut stage = list();
    let error = SourceError::Unreachable {
        what: "Alertmanager".to_owned(),
        place: "monitoring/alertmanager-1".to_owned(),
        reason: "no answer within 10 s".to_owned(),
    };
    let hidden = vec![Hidden { namespace: None, error }];
    let epoch = stage.store.subscribe(&query());
    stage.send(&query(), epoch, Update::Split { parts: Vec::new(), hidden });
    stage.relist(&query(), epoch, several()[..4].to_vec());
    stage.state.settle(&stage.store);
    stage
}

/// Nobody answers from the start.
fn failed() -> Stage {
    let mut stage = Stage::new();
    let epoch = stage.store.subscribe(&query());
    let error = SourceError::Missing {
        what: "Alertmanager".to_owned(),
        reason: "no service of this cluster looks like it".to_owned(),
    };
    stage.send(&query(), epoch, Update::Failed { error, retry_at: None });
    stage.show(&query());
    stage
}

fn plan() -> Stage {
    let mut stage = list();
    let target = stage::object("signals", "alerts", "tenant-2", &errors().meta.name);
    let line = |mark, text: &str| PlanLine::new(mark, text);
    let request = Request {
        verb: Verb::Silence,
        targets: vec![Target { object: target, uid: Text::from("f"), resource_version: Text::from("1") }],
        options: Options { minutes: Some(60), ..Options::default() },
        tenant: Some("tenant-2".into()),
        reason: String::new(),
    };
    let plan = Plan {
        id: "01".to_owned(),
        request: request.clone(),
        title: "Silence HighErrorRate, tenant-2 in prod-eu-1 (PROD)".to_owned(),
        lines: vec![
            line(Mark::Change, r#"alertname="HighErrorRate" namespace="tenant-2" for 60 min, until 15:02"#),
            line(Mark::Note, "hides 1 of 5 alerts that fire now, of tenant-2"),
            line(Mark::Detail, "critical HighErrorRate tenant-2 ingress=checkout, for 8m"),
            line(Mark::Warn, "it hides an alert that is critical"),
            line(Mark::Ok, "you may create services/proxy in monitoring"),
            line(Mark::After, "watched for 60 s: the alert is kept quiet by this silence"),
        ],
        confirmation: Confirmation::Type("tenant-2".to_owned()),
        command: "amtool silence add alertname=\"HighErrorRate\" --duration 60m".to_owned(),
        basis: Vec::new(),
        holds: Vec::new(),
        git: Vec::new(),
        changes: Vec::new(),
        rule: None,
        made: now(),
        expires: now() + SignedDuration::from_secs(300),
    };
    let mut question = Question::new(1, request);
    question.plan = Some(plan);
    question.reason = Line::new("checkout is rolled back, INC-7");
    stage.state.overlay = Some(Overlay::Question(Box::new(question)));
    stage
}

/// The screens of alerts by name.
pub(crate) fn all() -> Vec<(&'static str, Stage)> {
    vec![
        ("alerts", list()),
        ("alerts-grouped", grouped()),
        ("alerts-partial", partial()),
        ("alerts-failed", failed()),
        ("alert", detail()),
        ("alert-silenced", quiet()),
        ("silences", all_silences()),
        ("silence-plan", plan()),
    ]
}

#[test]
fn alerts_look_as_they_did() {
    for (name, mut stage) in all() {
        snapshots(name, &mut stage);
    }
}

fn table(stage: &Stage) -> &Table {
    match stage.state.view() {
        Some(View::Table(table)) => table,
        other => panic!("no table but {other:?}"),
    }
}

fn heads(stage: &Stage) -> Vec<(String, usize)> {
    let table = table(stage);
    let heads = (0..table.len()).filter_map(|line| table.groups.head(line));
    heads.map(|Head { word, rows, .. }| (word.to_string(), *rows)).collect()
}

#[test]
fn alerts_are_grouped_by_name_tenant_receiver_and_severity_with_their_numbers() {
    let mut stage = list();
    let rows = table(&stage).len();
    let own = |pairs: &[(&str, usize)]| -> Vec<(String, usize)> {
        pairs.iter().map(|(word, rows)| ((*word).to_owned(), *rows)).collect()
    };
    press(&mut stage, &["b"]);
    // Worst first, as the rows are.
    let by_name = heads(&stage);
    assert_eq!(by_name[0], ("HighErrorRate".to_owned(), 1));
    assert!(by_name.contains(&("HighLatency".to_owned(), 2)));
    assert_eq!(by_name.iter().map(|(_, rows)| rows).sum::<usize>(), rows);
    assert_eq!(table(&stage).len(), by_name.len(), "folded at first");
    press(&mut stage, &["b"]);
    assert_eq!(heads(&stage), own(&[("tenant-2", 3), ("", 2), ("tenant-3", 2)]));
    press(&mut stage, &["b"]);
    assert!(heads(&stage).contains(&("nobody yet".to_owned(), 1)), "{:?}", heads(&stage));
    press(&mut stage, &["b"]);
    assert_eq!(heads(&stage), own(&[("critical", 1), ("warning", 5), ("info", 1)]));
    press(&mut stage, &["b"]);
    assert!(heads(&stage).is_empty() && table(&stage).len() == rows, "and then not at all");
}

#[test]
fn an_alert_stands_under_each_of_its_receivers() {
    let both = Alert {
        receivers: vec!["pagerduty".into(), "sns platform-oncall".into()],
        ..alert("Both", &[("namespace", "tenant-2")], Severity::Critical, 60)
    };
    let one = alert("One", &[("namespace", "tenant-2")], Severity::Warning, 60);
    let mut stage = desk(vec![object(both, None), object(one, None)]);
    stage.show(&query());
    press(&mut stage, &["b", "b", "b"]);
    let found = heads(&stage);
    assert_eq!(found, [("pagerduty".to_owned(), 2), ("sns platform-oncall".to_owned(), 1)]);
    // Opened, it is there in both places, and either leads to it.
    press(&mut stage, &["z"]);
    assert_eq!(table(&stage).len(), 2 + 3);
    press(&mut stage, &["G"]);
    assert!(table(&stage).selected.is_some());
}

#[test]
fn the_header_keeps_what_fires_and_how_much_there_is_before_systems_that_are_well() {
    use opsdeck::signals::{Answer, Ask, Found, Report, System, Told, Wanted};
    let mut stage = list();
    stage.list("nodes", &[]);
    stage.list("applications", &[]);
    let all =
        [System::Prometheus, System::Alertmanager, System::Loki, System::ArgoServer].map(|system| Found {
            system,
            way: "service".into(),
            version: None,
            error: None,
            note: None,
            heard: None,
            scraped: false,
        });
    let ask = Ask { context: context(), wanted: Wanted::Systems };
    let epoch = stage.store.ask(&ask);
    let result = Ok(Told::plain(Answer::Systems(all.to_vec())));
    stage.store.report(Report { ask, epoch, at: now(), result, next: None });
    let head = |width| text(&stage.draw(width, 30).0).lines().next().unwrap_or_default().to_owned();
    let wide = head(120);
    for word in ["firing", "apps", "nodes"] {
        assert!(wide.contains(word), "{word}: {wide}");
    }
    assert!(head(80).contains("firing"), "{}", head(80));
}

#[test]
fn a_group_is_opened_and_folded_and_the_cursor_stays_with_what_it_stood_on() {
    let mut stage = list();
    press(&mut stage, &["b", "j", "j", "enter"]);
    let open = heads(&stage)[2].0.clone();
    assert_eq!(open, "HighLatency");
    assert_eq!(table(&stage).len(), heads(&stage).len() + 2);
    assert!(table(&stage).selected.is_none(), "a head is no alert");
    press(&mut stage, &["j"]);
    let selected = table(&stage).selected.clone().expect("an alert");
    // A row that comes above does not take the cursor with it.
    let worse = alert("AAA", &[("namespace", "tenant-2")], Severity::Critical, 5);
    let epoch = stage.store.subscribe(&query());
    let more = several().into_iter().chain([object(worse, None)]).collect();
    stage.relist(&query(), epoch, more);
    stage.state.settle(&stage.store);
    assert_eq!(table(&stage).selected.as_ref(), Some(&selected));
    assert_eq!(heads(&stage).len(), 7, "{:?}", heads(&stage));
    // All at once.
    press(&mut stage, &["z"]);
    assert_eq!(table(&stage).len(), heads(&stage).len() + 8);
    press(&mut stage, &["z"]);
    assert_eq!(table(&stage).len(), heads(&stage).len());
    // A filter counts what passes, and the keys of an alert work in a group.
    press(&mut stage, &["/", "t", "e", "n", "a", "n", "t", "-", "3", "enter"]);
    assert_eq!(heads(&stage).iter().map(|(_, rows)| rows).sum::<usize>(), 2);
    press(&mut stage, &["g", "z", "j", "t"]);
    assert_eq!(stage.state.scope.tenant.as_deref(), Some("tenant-3"));
}

#[test]
fn how_alerts_are_grouped_is_remembered() {
    let mut stage = list();
    press(&mut stage, &["b", "b"]);
    let text = stage.state.memory.text();
    let memory = Memory::read(&text);
    assert_eq!(memory.tables["alerts.signals"].group.as_deref(), Some("tenant"), "{text}");
    let mut again = desk(several());
    again.state.remember(memory);
    again.show(&query());
    assert_eq!(heads(&again).len(), 3);
    // What is no column to group by is passed over.
    let mut odd = desk(several());
    odd.state.remember(Memory::read(&text.replace("\"tenant\"", "\"since\"")));
    odd.show(&query());
    assert!(heads(&odd).is_empty());
}

#[test]
fn the_detail_of_an_alert_tells_links_rule_receivers_silence_and_source() {
    let drawn = text(&detail().draw(120, 80).0);
    for said in [
        "https://runbooks.example.com/higherrorrate",
        "told to",
        "pagerduty",
        "fires where",
        "the value is > 5%",
        "fires after",
        "Alertmanager",
        "monitoring/alertmanager",
        "condition holds since",
        "sum by (exported_namespace, ingress)",
    ] {
        assert!(drawn.contains(said), "{said:?} in\n{drawn}");
    }
    let drawn = text(&quiet().draw(120, 60).0);
    assert!(drawn.contains("silenced by") && drawn.contains("OPS-812"), "{drawn}");
    let mut inhibited = desk(several());
    press(&mut inhibited, &["/", "C", "r", "a", "s", "h", "enter", "enter"]);
    let drawn = text(&inhibited.draw(120, 60).0);
    assert!(drawn.contains("inhibited by") && drawn.contains("HighErrorRate"), "{drawn}");
}

#[test]
fn a_link_of_an_alert_is_copied_whole_with_one_key() {
    let mut stage = detail();
    for _ in 0..60 {
        let effects = press(&mut stage, &["Y"]);
        if let [Effect::Copy(text)] = effects.as_slice()
            && text.starts_with("https://")
        {
            assert_eq!(text, "https://runbooks.example.com/higherrorrate");
            return;
        }
        press(&mut stage, &["j"]);
    }
    panic!("no line has the link");
}

fn told(stage: &mut Stage) -> Vec<String> {
    press(stage, &["O"]);
    stage.state.settle(&stage.store);
    stage.state.timeline.entries().iter().map(|change| change.headline.clone()).collect()
}

#[test]
fn an_alert_that_is_over_is_told_on_the_timeline_and_marked_on_graphs_whatever_was_on_screen() {
    let mut stage = desk(several());
    press(&mut stage, &["m"]);
    stage.state.now = now() + SignedDuration::from_secs(30);
    let epoch = stage.store.subscribe(&query());
    stage.relist(&query(), epoch, several()[1..].to_vec());
    stage.state.settle(&stage.store);
    // A graph ends at a whole step: the mark comes into sight with the next one.
    stage.state.now = now() + SignedDuration::from_secs(330);
    stage.state.settle(&stage.store);
    let Some(View::Board(board)) = stage.state.view() else { panic!("no board") };
    let marks: Vec<&str> = board.happened.iter().map(|one| &*one.text).collect();
    assert!(marks.contains(&"HighErrorRate resolved after 8 min"), "{marks:?}");
    let told = told(&mut stage);
    assert!(told.contains(&"HighErrorRate resolved after 8 min".to_owned()), "{told:?}");
    assert!(told.contains(&"HighErrorRate fired, critical".to_owned()), "{told:?}");
}

#[test]
fn what_an_alertmanager_that_is_silent_would_have_said_is_not_over() {
    let mut stage = desk(several());
    let epoch = stage.store.subscribe(&query());
    let error = SourceError::Unreachable {
        what: "Alertmanager".to_owned(),
        place: "monitoring/alertmanager-1".to_owned(),
        reason: "cut".to_owned(),
    };
    let hidden = vec![Hidden { namespace: None, error }];
    stage.send(&query(), epoch, Update::Split { parts: Vec::new(), hidden });
    stage.relist(&query(), epoch, several()[1..].to_vec());
    stage.state.settle(&stage.store);
    assert!(!told(&mut stage).iter().any(|one| one.contains("resolved")));
    // It answers again, and the alert is there; then it is really over.
    stage.send(&query(), epoch, Update::Split { parts: Vec::new(), hidden: Vec::new() });
    stage.relist(&query(), epoch, several());
    stage.state.settle(&stage.store);
    assert!(!told(&mut stage).iter().any(|one| one.contains("resolved")));
    stage.relist(&query(), epoch, several()[1..].to_vec());
    stage.state.settle(&stage.store);
    assert!(told(&mut stage).iter().any(|one| one.contains("HighErrorRate resolved")));
}

#[test]
fn an_alert_of_a_rule_that_an_alertmanager_takes_up_is_not_over() {
    let heard =
        alert("TargetDown", &[("job", "node-exporter"), ("prometheus", "k8s")], Severity::Warning, 600);
    let mut stage = desk(several());
    let epoch = stage.store.subscribe(&query());
    let mut next = several();
    next.pop();
    next.push(object(heard, None));
    stage.relist(&query(), epoch, next);
    stage.state.settle(&stage.store);
    let told = told(&mut stage);
    assert!(!told.iter().any(|one| one.contains("TargetDown resolved")), "{told:?}");
}

#[test]
fn strange_alerts_are_shown_and_never_a_panic() {
    let odd = [
        Alert {
            value: Some(f64::NAN),
            ..alert("NotANumber", &[("namespace", "tenant-2")], Severity::Other, 60)
        },
        Alert { value: Some(f64::INFINITY), ..alert("Endless", &[], Severity::Info, 60) },
        Alert { value: Some(-0.0), since: None, ..alert("Never", &[], Severity::Warning, 0) },
        // Clocks ahead and far behind.
        alert("Tomorrow", &[("namespace", "tenant-3")], Severity::Critical, -86_400),
        alert("LongAgo", &[], Severity::Warning, 1_700_000_000),
        Alert { state: AlertState::Unknown, ..alert("Unclear", &[], Severity::Other, 60) },
        Alert {
            labels: labels(&[
                ("alertname", "日本 \"x\""),
                ("ключ", "a=\"b\",c\\"),
                ("namespace", ""),
                ("e\u{301}", "👩‍🚀"),
            ]),
            name: "日本 \"x\"".into(),
            ..alert("Letters", &[], Severity::Warning, 60)
        },
        Alert {
            fingerprint: "".into(),
            labels: labels(&[]),
            name: "".into(),
            ..alert("", &[], Severity::Other, 1)
        },
    ];
    let expressions = ["x > NaN", "(", "vector(1) > 0", "absent(up)"];
    let objects: Vec<Arc<Object>> = odd
        .iter()
        .enumerate()
        .map(|(at, one)| object(one.clone(), Some(rule(one, expressions[at % expressions.len()]))))
        .collect();
    let count = objects.len();
    let mut stage = desk(objects);
    assert_eq!(table(&stage).len(), count);
    for row in 0..count {
        press(&mut stage, &["g"]);
        for _ in 0..row {
            press(&mut stage, &["j"]);
        }
        for keys in [["enter", "q"], ["m", "q"], ["l", "esc"]] {
            press(&mut stage, &[keys[0]]);
            for (width, height) in [(120, 40), (80, 24), (20, 5)] {
                stage.state.size = (width, height);
                stage.state.settle(&stage.store);
                stage.draw(width, height);
            }
            while !matches!(stage.state.view(), Some(View::Table(_))) {
                press(&mut stage, &[keys[1]]);
            }
        }
    }
    stage.state.size = (200, 60);
    press(&mut stage, &["g"]);
    let drawn = text(&stage.draw(200, 60).0);
    // Cells behind wide letters are empty in the text of a buffer.
    for said in ["NotANumber", "Tomorrow", "日 本"] {
        assert!(drawn.contains(said), "{said}:\n{drawn}");
    }
    let context = context();
    let kind = stage.state.kinds.get(&alerts::alerts()).unwrap();
    let lens = stage.state.lens(&stage.store, &context);
    let value = kind.column("value").unwrap();
    let values: Vec<String> = (0..count)
        .filter_map(|row| Some(kind.cell(table(&stage).row(&stage.store, row)?, value, &lens).text(now())))
        .filter(|text| !text.is_empty())
        .collect();
    for said in ["NaN", "inf"] {
        assert!(values.iter().any(|value| value == said), "{values:?}");
    }
    // What begins tomorrow has not been going on for any time.
    press(&mut stage, &["/", "T", "o", "m", "o", "r", "enter", "enter"]);
    let drawn = text(&stage.draw(120, 40).0);
    assert!(drawn.contains("by the clock of its source"), "{drawn}");
}

#[test]
fn five_thousand_alerts_are_listed_grouped_and_filtered() {
    let many = (0..5_000).map(|number| {
        let tenant = format!("tenant-{}", number % 40);
        let pod = format!("storefront-6d4cf56db6-{number:05x}");
        let name = format!("Alert{}", number % 80);
        object(alert(&name, &[("namespace", &tenant), ("pod", &pod)], Severity::Warning, number), None)
    });
    let mut stage = desk(many.collect());
    assert_eq!(table(&stage).len(), 5_000);
    press(&mut stage, &["b"]);
    assert_eq!(heads(&stage).len(), 80);
    assert!(heads(&stage).iter().all(|(_, rows)| 5_000 / 80 <= *rows && *rows <= 63));
    press(&mut stage, &["z", "/", "A", "l", "e", "r", "t", "7", "9", "enter"]);
    assert!(heads(&stage).iter().any(|(word, _)| word == "Alert79"));
    assert!(table(&stage).matched() < 5_000);
}
