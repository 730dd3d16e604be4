//! Every screen, drawn into a buffer from fixed data.

use jiff::SignedDuration;
use opsdeck::actions::{
    Line as PlanLine, Mark, Options, Outcome, Plan, Progress, Request, Standing, Step, Verb,
};
use opsdeck::app::application::{Application, Node, Pane};
use opsdeck::app::detail::{Detail, Document, Entry as Row, Page as TextPage, Search, Tab};
use opsdeck::app::history::View;
use opsdeck::app::line::Line;
use opsdeck::app::palette::{Palette, Sort, Suggestion};
use opsdeck::app::question::Question;
use opsdeck::app::running::Running;
use opsdeck::app::session::Link;
use opsdeck::app::state::{Overlay, Status};
use opsdeck::app::table::{Chooser, Sort as Order, Table};
use opsdeck::app::viewport::Viewport;
use opsdeck::gate::Confirmation;
use opsdeck::identity::{Resource, Target, Text};
use opsdeck::kinds::{Cell, Garbled, Health, Leads};
use opsdeck::model::tenants::{Rules, Tenants};
use opsdeck::sources::SourceError;
use opsdeck::store::{Hidden, Query, Update};
use opsdeck::theme::Depth;
use serde_json::json;
use std::sync::Arc;

use crate::boards;
use crate::stage::{self, Stage, context, now, object, text};

/// The sizes of the snapshots.
const SIZES: [(u16, u16); 4] = [(60, 20), (80, 24), (120, 40), (200, 60)];

#[track_caller]
pub fn snapshots(name: &str, stage: &mut Stage) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (width, height) in SIZES {
            stage.state.size = (width, height);
            let (buffer, _) = stage.draw(width, height);
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), text(&buffer));
        }
    });
}

fn pods() -> Stage {
    let mut stage = Stage::new();
    let (query, _) = stage.list("pods", &stage::pods());
    stage.show(&query);
    let Some(View::Table(table)) = stage.state.views.last_mut() else { panic!("no table is shown") };
    table.select(&stage.store, 1);
    stage
}

fn table(stage: &mut Stage) -> &mut Table {
    match stage.state.views.last_mut() {
        Some(View::Table(table)) => table,
        _ => panic!("no table is shown"),
    }
}

fn filtered() -> Stage {
    let mut stage = pods();
    let marked = object("", "pods", "tenant-2", "checkout-5d8f7c9b4-2xk4l");
    let kinds = stage.state.kinds.clone();
    let table = table(&mut stage);
    let columns = &kinds.get(&table.resource).unwrap().columns;
    table.filter.set("checkout status!=running", columns).unwrap();
    table.filter.editing = Some(Line::new("checkout status!=running"));
    table.sort = Some(Order { column: 0, descending: true });
    table.marks.insert(marked);
    stage.state.settle(&stage.store);
    stage
}

fn partial() -> Stage {
    let mut stage = Stage::new();
    let query = Query::all(&context(), &Resource::new("", "pods"));
    let (_, epoch) = stage.list("pods", &stage::pods()[..3]);
    let error = SourceError::Denied {
        verb: "list".to_owned(),
        object: "pods in tenant-3".to_owned(),
        reason: "no role of kim@example.com grants it".to_owned(),
    };
    let hidden = vec![Hidden { namespace: Some(Text::from("tenant-3")), error }];
    stage.send(&query, epoch, Update::Split { parts: Vec::new(), hidden });
    let garbled = Garbled {
        resource: query.resource.clone(),
        name: "tenant-2/odd".to_owned(),
        reason: "spec.containers is not a list".to_owned(),
    };
    stage.send(&query, epoch, Update::Changed { changes: Vec::new(), garbled: vec![garbled] });
    stage.show(&query);
    stage
}

#[test]
fn all_columns_leave_the_names_whole_and_tell_that_there_are_more() {
    let mut stage = pods();
    table(&mut stage).wide = true;
    stage.state.settle(&stage.store);
    let (buffer, _) = stage.draw(120, 40);
    let drawn = text(&buffer);
    assert!(drawn.contains("checkout-5d8f7c9b4-2xk4l") && drawn.contains("CrashLoopBackOff"), "{drawn}");
    let header = drawn.lines().find(|line| line.contains("READY")).unwrap();
    assert!(header.contains("NAME ") && header.ends_with('›'), "{header:?}");
    // What did not fit is reached by moving to the right, and the name stays.
    table(&mut stage).left = 6;
    let (buffer, _) = stage.draw(120, 40);
    let drawn = text(&buffer);
    assert!(drawn.contains("checkout-5d8f7c9b4-2xk4l") && !drawn.contains("READY"), "{drawn}");
}

#[test]
fn the_header_tells_what_is_denied_from_what_is_behind() {
    let mut stage = pods();
    let said = |stage: &Stage| text(&stage.draw(120, 40).0).lines().next().unwrap().to_owned();
    assert!(said(&stage).contains("k8s live "), "{}", said(&stage));
    let mut fail = |plural: &str, error: SourceError| {
        let query = Query::all(&context(), &Resource::new("", plural));
        let epoch = stage.store.subscribe(&query);
        stage.send(&query, epoch, Update::Failed { error, retry_at: None });
        said(&stage)
    };
    let missing = SourceError::Missing { what: "widgets".to_owned(), reason: "not installed".to_owned() };
    assert!(!fail("widgets", missing).contains("behind"));
    let denied = SourceError::Denied {
        verb: "list".to_owned(),
        object: "nodes".to_owned(),
        reason: "no role grants it".to_owned(),
    };
    let header = fail("nodes", denied);
    assert!(header.contains("k8s live, 1 denied"), "{header}");
    let header = fail("services", unreachable());
    assert!(header.contains("k8s live, 1 behind"), "{header}");
}

pub fn unreachable() -> SourceError {
    SourceError::Unreachable {
        what: "the Kubernetes API".to_owned(),
        place: "https://10.0.0.1:6443".to_owned(),
        reason: "connection refused".to_owned(),
    }
}

fn stale() -> Stage {
    let mut stage = pods();
    let query = Query::all(&context(), &Resource::new("", "pods"));
    let epoch = stage.store.subscribe(&query);
    let retry_at = Some(now() + SignedDuration::from_secs(8));
    stage.send(&query, epoch, Update::Failed { error: unreachable(), retry_at });
    stage.state.now = now() + SignedDuration::from_secs(95);
    stage.state.session.link = Link::Failed { error: unreachable(), since: now(), retry_at: None };
    stage
}

fn failed() -> Stage {
    let mut stage = Stage::new();
    let query = Query::all(&context(), &Resource::new("", "pods"));
    let epoch = stage.store.subscribe(&query);
    let error = SourceError::Denied {
        verb: "list".to_owned(),
        object: "pods".to_owned(),
        reason: "no role of kim@example.com grants it; ask for one, or name a namespace with -n".to_owned(),
    };
    let retry_at = Some(now() + SignedDuration::from_secs(30));
    stage.send(&query, epoch, Update::Failed { error, retry_at });
    stage.state.views.open(View::Table(Table::new(query.resource)));
    stage
}

fn loading() -> Stage {
    let mut stage = pods();
    let query = Query::all(&context(), &Resource::new("", "pods"));
    let shelf = stage.store.shelf(&query).unwrap();
    let objects: Vec<_> = shelf.iter().map(|(_, object)| object.clone()).collect();
    stage.store.forget(&query);
    let epoch = stage.store.subscribe(&query);
    stage.send(&query, epoch, Update::ListStarted);
    stage.send(&query, epoch, Update::Page { objects, garbled: Vec::new(), remaining: Some(9_965) });
    stage
}

fn chooser() -> Stage {
    let mut stage = pods();
    let columns = stage.state.kinds.find("pods").unwrap().columns.len();
    table(&mut stage).chooser = Some(Chooser {
        columns: (0..columns).map(|column| (column, column % 3 != 2)).collect(),
        view: Viewport { cursor: 2, top: 0 },
    });
    stage
}

fn detail() -> Stage {
    let mut stage = Stage::new();
    let name = "checkout-5d8f7c9b4-2xk4l";
    stage.list("pods", &stage::pods());
    let mut detail = Detail::new(object("", "pods", "tenant-2", name), Tab::Describe);
    let field = |name: &str, value: Cell| Row::Field { name: name.to_owned(), value };
    let words = |text: &str| Cell::Text(Text::from(text));
    let status = |text: &str, health| Cell::Status { text: Text::from(text), health };
    let related = |how: &str, to, value| Row::Related { how: how.to_owned(), to: Leads::One(to), value };
    detail.entries = vec![
        field("status", status("CrashLoopBackOff", Health::Degraded)),
        Row::Words("back-off 2m40s restarting failed container=app".to_owned()),
        field("ready", Cell::Ratio { have: 0, want: 1 }),
        field("restarts", Cell::Count(6)),
        field("image", words("registry.example.com/shop/checkout:1.8.0")),
        field("age", Cell::Age(now() - SignedDuration::from_secs(660))),
        field("priority", Cell::Unknown),
        Row::Gap,
        Row::Heading("Conditions".to_owned()),
        field("Ready", status("False", Health::Degraded)),
        Row::Words("containers with unready status: [app]".to_owned()),
        field("PodScheduled", status("True", Health::Healthy)),
        Row::Gap,
        Row::Heading("Related".to_owned()),
        related("owner", object("apps", "replicasets", "tenant-2", "checkout-5d8f7c9b4"), Cell::Empty),
        related(
            "node",
            object("", "nodes", "", "ip-10-0-3-17.eu-west-1.compute.internal"),
            status("Ready", Health::Healthy),
        ),
        related(
            "application",
            object("argoproj.io", "applications", "argocd", "tenant-2-checkout"),
            status("Degraded", Health::Degraded),
        ),
        Row::Gap,
        Row::Heading("Events".to_owned()),
        field(
            "48s  BackOff",
            words("Back-off restarting failed container app in pod checkout-5d8f7c9b4-2xk4l"),
        ),
        field(
            "11m  Scheduled",
            words("Successfully assigned tenant-2/checkout-5d8f7c9b4-2xk4l to ip-10-0-3-17"),
        ),
    ];
    detail.describe.view = Viewport { cursor: 15, top: 0 };
    stage.state.views.open(View::Table(Table::new(Resource::new("", "pods"))));
    stage.state.views.open(View::Detail(detail));
    stage
}

fn yaml() -> Stage {
    let mut stage = detail();
    let Some(View::Detail(detail)) = stage.state.views.last_mut() else { panic!("no detail") };
    detail.tab = Tab::Yaml;
    detail.document = Document::Ready(Arc::new(json!({})));
    detail.yaml = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: checkout-5d8f7c9b4-2xk4l\n  namespace: tenant-2\n  \
        annotations:\n    note: \"rolled out by ci-bot: see change 4711, which is a long line that goes on and on \
        until it does not fit on any of the screens that people use, not even on those that are very wide, and \
        then some\"\nspec:\n  containers:\n  - name: app\n    image: registry.example.com/shop/checkout:1.8.0\n    \
        resources:\n      requests:\n        cpu: 250m\n        memory: 512Mi\n"
        .lines()
        .map(str::to_owned)
        .collect();
    detail.page.search = Search { text: "checkout".to_owned(), editing: None, matches: vec![3, 10], at: 1 };
    stage
}

fn plan() -> Plan {
    let target = object("argoproj.io", "applications", "argocd", "tenant-2-checkout");
    let line = |mark, text: &str| PlanLine::new(mark, text);
    let below = |text: &str| PlanLine { mark: Mark::Detail, text: format!("  {text}") };
    Plan {
        id: "01".to_owned(),
        request: Request {
            verb: Verb::Rollback,
            targets: vec![Target { object: target, uid: Text::from("u"), resource_version: Text::from("7") }],
            options: Options { history_id: Some(41), ..Options::default() },
            tenant: Some("tenant-2".into()),
            reason: String::new(),
        },
        title: "Roll back checkout, tenant-2 in prod-eu-1 (PROD)".to_owned(),
        lines: vec![
            line(Mark::To, "#41  1.7.4  9ad01be  deployed 2 h ago by ci-bot"),
            line(Mark::From, "#42  1.8.0  3f9c1a2  deployed 11 min ago"),
            line(Mark::Change, "Deployment/checkout image 1.8.0 -> 1.7.4; ConfigMap/checkout-env 2 lines"),
            line(Mark::Ok, "you may patch applications.argoproj.io in argocd"),
            line(Mark::Ok, "no operation is running"),
            line(
                Mark::Hold,
                "auto-sync is on (prune, self-heal): held for 60 min, then offered back exactly as it was",
            ),
            line(Mark::Note, "hooks do not run on a rollback: PreSync Job/migrate-db is skipped"),
            line(Mark::Warn, "3 pods of the new revision have never been ready"),
            line(Mark::Detail, "Deployment/checkout"),
            below(
                "containers[app].image registry.example.com/shop/checkout:1.8.0 -> registry.example.com/shop/checkout:1.7.4",
            ),
            below("containers[app].env[PAYMENTS_URL] changes"),
            line(Mark::Detail, "ConfigMap/checkout-env-0f3 in place of checkout-env-7c1"),
            below("LOG_LEVEL: 1 of 1 lines"),
            below("TIMEOUT goes away"),
            line(
                Mark::Detail,
                "2 others, not known what they were: the history keeps revisions and no manifests",
            ),
            below("Service/checkout"),
            below("Ingress/checkout"),
            line(Mark::After, "watched for 5 min: synced to 9ad01be, healthy, pods of the revision ready"),
        ],
        confirmation: Confirmation::Type("tenant-2".to_owned()),
        command: "argocd app rollback checkout 41".to_owned(),
        basis: Vec::new(),
        holds: Vec::new(),
        git: Vec::new(),
        changes: Vec::new(),
        rule: None,
        made: now(),
        expires: now() + SignedDuration::from_secs(300),
    }
}

fn question() -> Stage {
    let mut stage = pods();
    let plan = plan();
    let mut question = Question::new(1, plan.request.clone());
    question.plan = Some(plan);
    question.reason = Line::new("checkout 1.8.0 crash-loops");
    question.typed = Line::new("tenan");
    stage.state.overlay = Some(Overlay::Question(Box::new(question)));
    stage
}

fn whole_difference() -> Stage {
    let mut stage = question();
    let Some(Overlay::Question(question)) = &mut stage.state.overlay else { panic!("no question") };
    question.whole = true;
    stage
}

fn stopped() -> Stage {
    let mut stage = question();
    let Some(Overlay::Question(question)) = &mut stage.state.overlay else { panic!("no question") };
    let plan = question.plan.as_mut().unwrap();
    plan.lines.push(PlanLine::new(Mark::Stop, "sync window \"freeze\" is closed until 18:00"));
    plan.lines
        .push(PlanLine::new(Mark::Stop, "ApplicationSet \"tenants\" owns this app and will revert the hold"));
    stage
}

fn progress(outcome: Option<Outcome>) -> Stage {
    let mut stage = Stage::new();
    let step = |name: &str, standing, detail: &str| Step {
        name: name.to_owned(),
        standing,
        detail: detail.to_owned(),
    };
    let done = outcome.is_some();
    let last = if done { Standing::Done } else { Standing::Running };
    let started = now() - SignedDuration::from_secs(72);
    let plan = plan();
    let progress = Progress {
        id: plan.id.clone(),
        object: plan.request.targets[0].object.clone(),
        steps: vec![
            step("hold auto-sync", Standing::Done, "was on with prune and self-heal"),
            step("start rollback to #41", Standing::Done, "operation accepted"),
            step("follow the operation", Standing::Done, "Succeeded at 9ad01be"),
            step("wait for health", last, "Progressing: 2 of 3 pods of 1.7.4 are ready"),
        ],
        begun: started,
        at: now(),
        target: Some(started + SignedDuration::from_secs(120)),
    };
    stage.state.running = vec![Running {
        plan,
        started,
        progress: vec![progress],
        held: false,
        ended: outcome.map(|outcome| (outcome, now())),
    }];
    stage.state.views.open(View::Actions(Viewport::default()));
    stage
}

fn verdict() -> Stage {
    let sentence = "synced to 9ad01be, healthy, 3 of 3 pods of 1.7.4 are ready after 72 s";
    let mut stage = progress(Some(Outcome::Verified(sentence.to_owned())));
    stage.state.status = Some(Status {
        text: format!("Rolled back checkout: {sentence}"),
        health: Health::Healthy,
        at: now(),
    });
    stage
}

fn palette() -> Stage {
    let mut stage = pods();
    let suggestion = |sort, text: &str, hint: &str, matched: &[u32]| Suggestion {
        sort,
        line: text.to_owned(),
        text: text.to_owned(),
        hint: hint.to_owned(),
        matched: matched.to_vec(),
    };
    stage.state.overlay = Some(Overlay::Palette(Palette {
        line: Line::new("po"),
        suggestions: vec![
            suggestion(Sort::Kind, "pods", "po, pod", &[0, 1]),
            suggestion(Sort::Kind, "nodepools.karpenter.sh", "", &[4, 5]),
            suggestion(Sort::Name, "portal-6d4cf56db6-a1b2c", "pods tenant-3", &[0, 1]),
            suggestion(Sort::Command, "pods-of-node", "", &[0, 1]),
        ],
        selected: Some(0),
        error: None,
    }));
    stage
}

fn help() -> Stage {
    let mut stage = pods();
    stage.state.overlay = Some(Overlay::Help(TextPage::default()));
    stage
}

fn info() -> Stage {
    let mut stage = partial();
    stage.state.views.open(View::Info(Viewport::default()));
    stage
}

fn application(pane: Pane) -> Stage {
    let mut stage = Stage::new();
    let document = stage::application();
    stage.list("applications", std::slice::from_ref(&document));
    stage.list("appprojects", &[stage::project()]);
    stage.list("applicationsets", &[stage::application_set()]);
    stage.list("replicasets", &stage::replica_sets());
    let mut view = Application::new(object("argoproj.io", "applications", "argocd", "tenant-2-checkout"));
    view.pane = pane;
    view.document = Document::Ready(Arc::new(document));
    let node = |depth, name: &str, health, why: &str, sync: &str| Node {
        depth,
        object: None,
        name: name.to_owned(),
        health,
        why: Text::from(why),
        sync: Text::from(sync),
        has_children: false,
        folded: false,
    };
    let parent = |node| Node { has_children: true, ..node };
    view.tree = vec![
        parent(node(0, "Application/tenant-2-checkout", Health::Degraded, "", "Synced")),
        node(1, "ConfigMap/checkout-env", Health::Healthy, "", "Synced"),
        parent(node(1, "Deployment/checkout", Health::Degraded, "2 of 3 pods are not ready", "Synced")),
        parent(node(2, "ReplicaSet/checkout-5d8f7c9b4", Health::Degraded, "", "")),
        node(
            3,
            "Pod/checkout-5d8f7c9b4-2xk4l",
            Health::Degraded,
            "app: CrashLoopBackOff after exit code 1",
            "",
        ),
        node(
            3,
            "Pod/checkout-5d8f7c9b4-9mzqv",
            Health::Degraded,
            "app: CrashLoopBackOff after exit code 1",
            "",
        ),
        Node { folded: true, ..parent(node(2, "ReplicaSet/checkout-7f9c6b5d8", Health::Healthy, "", "")) },
        node(1, "Service/checkout", Health::Healthy, "", "OutOfSync"),
    ];
    view.views[pane as usize] = Viewport { cursor: 2, top: 0 };
    stage.state.views.open(View::Application(view));
    stage
}

fn overview() -> Stage {
    let mut stage = Stage::new();
    let names: Vec<String> = (2..8).map(|number| format!("tenant-{number}")).collect();
    let namespaces: Vec<_> = names.iter().map(|name| stage::namespace(name)).collect();
    stage.list("namespaces", &namespaces);
    stage.list("pods", &stage::pods());
    stage.list("applications", &[stage::application()]);
    stage.list("replicasets", &stage::replica_sets());
    stage.list("nodes", &[]);
    stage.list("events", &[]);
    let rules = Rules { namespace_labels: vec!["opsdeck.dev/tenant".to_owned()], ..Rules::default() };
    stage.state.tenants = Tenants::new(rules);
    stage.state.settle(&stage.store);
    stage
}

/// The overview before anything was heard.
fn waiting() -> Stage {
    let mut stage = Stage::new();
    stage.state.session.link = Link::Connecting { since: now() };
    stage
}

fn unconnected() -> Stage {
    let mut stage = Stage::new();
    stage.state.session.context = None;
    stage.state.session.environment = opsdeck::app::session::Environment::Unknown;
    stage.state.session.link = Link::None;
    stage
}

/// Every screen by name.
pub(crate) fn all() -> Vec<(&'static str, Stage)> {
    vec![
        ("table", pods()),
        ("table-filtered", filtered()),
        ("table-partial", partial()),
        ("table-stale", stale()),
        ("table-failed", failed()),
        ("table-loading", loading()),
        ("columns", chooser()),
        ("detail", detail()),
        ("yaml", yaml()),
        ("question", question()),
        ("question-stopped", stopped()),
        ("question-difference", whole_difference()),
        ("progress", progress(None)),
        ("verdict", verdict()),
        ("palette", palette()),
        ("help", help()),
        ("info", info()),
        ("overview", overview()),
        ("overview-holds", crate::waiting::holds()),
        ("overview-cut", crate::waiting::cut()),
        ("actions-cut", crate::waiting::cut_seen()),
        ("overview-waiting", waiting()),
        ("overview-unconnected", unconnected()),
        ("application", application(Pane::Resources)),
        ("application-history", application(Pane::History)),
        ("application-operation", application(Pane::Operation)),
        ("application-conditions", application(Pane::Conditions)),
        ("boards", boards::list()),
        ("board", boards::tenant()),
        ("board-large", boards::large()),
        ("board-edited", boards::edited()),
        ("board-missing", boards::missing()),
        ("board-failed", boards::failed()),
        ("board-nodes", boards::nodes()),
        ("board-kpi", boards::kpi()),
        ("board-cloudwatch", boards::cloudwatch()),
        ("query", boards::query()),
    ]
    .into_iter()
    .chain(crate::log_screens::all())
    .chain(crate::alert_list::all())
    .collect()
}

#[test]
fn every_screen_looks_as_it_did() {
    for (name, mut stage) in all() {
        snapshots(name, &mut stage);
    }
}

/// Pods with which nothing is wrong.
fn calm() -> Stage {
    let mut stage = Stage::new();
    let ages = [
        ("web-5d8f7c9b4-2xk4l", 2_405),
        ("web-5d8f7c9b4-9mzqv", 11_117),
        ("web-5d8f7c9b4-hw7tn", 90_000),
        ("web-5d8f7c9b4-b5x2p", 900_000),
    ];
    let pods = ages.map(|(name, age)| stage::pod("tenant-2", name, stage::Mood::Fine, age));
    let (query, _) = stage.list("pods", &pods);
    stage.show(&query);
    stage
}

#[test]
fn a_frame_holds_until_the_moment_that_it_names() {
    for (name, mut stage) in all().into_iter().chain([("calm", calm())]) {
        for start in [0, 7, 29, 53, 61] {
            let begun = now() + SignedDuration::from_secs(start);
            stage.state.now = begun;
            stage.state.settle(&stage.store);
            let (before, spots) = stage.draw(120, 40);
            stage.state.spots = spots;
            let (_, spots) = stage.draw(120, 40);
            let due = spots.due().expect("a clock stands in the header");
            assert!(due > begun && due <= begun + SignedDuration::from_mins(1), "{name}: {due}");
            let mut at = begun + SignedDuration::from_millis(500);
            while at < due {
                stage.state.now = at;
                stage.state.settle(&stage.store);
                assert_eq!(text(&stage.draw(120, 40).0), text(&before), "{name}: {at} is before {due}");
                at += SignedDuration::from_millis(500);
            }
        }
    }
}

#[test]
fn a_calm_table_draws_for_minutes_and_not_for_seconds() {
    let mut stage = calm();
    let mut frames = 0;
    let end = now() + SignedDuration::from_mins(10);
    while stage.state.now < end {
        stage.state.settle(&stage.store);
        let (_, spots) = stage.draw(120, 40);
        stage.state.now = spots.due().expect("a clock stands in the header");
        stage.state.spots = spots;
        frames += 1;
    }
    // Ten minutes of the clock, ten of each of the two ages that are told in minutes, and the first frame.
    assert!((20..=32).contains(&frames), "{frames} frames in ten minutes");
}

#[test]
fn no_screen_panics_at_any_size() {
    for (_, stage) in &mut all() {
        for (width, height) in (1..=12).flat_map(|width| (1..=12).map(move |height| (width, height))) {
            stage.draw(width, height);
        }
        for edge in [13, 20, 37, 60, 81, 133, 250] {
            for (width, height) in [(edge, 1), (1, edge), (edge, 8), (edge, 24), (18, edge), (edge, edge)] {
                stage.draw(width, height);
            }
        }
    }
}

#[test]
fn ascii_borders_need_nothing_but_ascii() {
    for (name, mut stage) in all() {
        stage.theme.ascii = true;
        let (buffer, _) = stage.draw(120, 40);
        for (line, row) in text(&buffer).lines().enumerate() {
            assert!(row.is_ascii(), "{name}, line {line}: {row}");
        }
    }
}

#[test]
fn without_colour_every_state_is_still_told_apart() {
    for (name, mut stage) in all() {
        let coloured = text(&stage.draw(120, 40).0);
        stage.theme = stage::theme("dark", Depth::None);
        let (buffer, _) = stage.draw(120, 40);
        assert_eq!(coloured, text(&buffer), "{name}: marks and words do not depend on colour");
        for cell in buffer.content() {
            let plain = ratatui::style::Color::Reset;
            assert!(cell.fg == plain && cell.bg == plain, "{name}: {cell:?}");
        }
    }
}

#[test]
fn what_is_old_or_partial_is_never_called_live() {
    for (stage, words) in [(stale(), "stale for"), (partial(), "partial: tenant-3 is hidden")] {
        for (width, height) in [(60, 20), (80, 24), (200, 60)] {
            let drawn = text(&stage.draw(width, height).0);
            assert!(drawn.contains(words), "{width}x{height}:\n{drawn}");
        }
    }
    let drawn = text(&stale().draw(120, 40).0);
    assert!(!drawn.contains("live"), "{drawn}");
}
