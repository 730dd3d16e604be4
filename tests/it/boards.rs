//! Boards: what is asked, what is shown, and what keys do, with made-up answers.

use std::sync::Arc;

use crossterm::event::{Event, KeyEvent};
use jiff::SignedDuration;
use opsdeck::app::action::Action;
use opsdeck::app::board::BoardView;
use opsdeck::app::effect::Need;
use opsdeck::app::history::View;
use opsdeck::app::input;
use opsdeck::app::update::update;
use opsdeck::boards::Boards;
use opsdeck::identity::Text;
use opsdeck::keymap::Chord;
use opsdeck::rows::Scope;
use opsdeck::signals::{
    Alert, AlertState, Answer, Ask, Figures, Labels, Origin, Report, Sample, Series, Severity, System, Told,
    Usage, Used, Using, Wanted, Window,
};
use opsdeck::sources::SourceError;

use crate::stage::{self, Stage, context, now, text};

/// What a made-up Prometheus says to a question.
type Server = fn(&Wanted) -> Result<Answer, SourceError>;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))).collect()
}

/// A number that is the same for the same text.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// How large the values of an expression are, and how they rise at the deploy eleven minutes ago.
fn value(expr: &str, number: usize, at: i64) -> f64 {
    let seed = (hash(expr) % 97) as f64 / 97.0 + number as f64;
    let wave = ((at as f64) / 2_400.0 + seed * 6.0).sin() * 0.25 + 0.75;
    let after = at > now().as_second() - 660;
    match () {
        () if expr.contains("histogram_quantile") => {
            let quantile = if expr.contains("0.99") {
                0.21
            } else if expr.contains("0.95") {
                0.12
            } else {
                0.04
            };
            wave * quantile * if after { 4.0 } else { 1.0 }
        }
        () if expr.contains("status=~\"5..\"") => {
            if after {
                0.081 * wave
            } else {
                0.001 * wave
            }
        }
        () if expr.contains("_bytes") && !expr.contains('/') => wave * 1.5e9,
        () if expr.contains("resource=\"memory\"") && !expr.contains('/') => 2.0e9 + seed * 1e8,
        () if expr.contains('/') => (0.35 + seed * 0.07).min(0.99) * wave,
        () if expr.contains("increase") => (wave * 4.0).floor(),
        () => wave * (3.0 + seed * 2.0),
    }
}

/// The labels by which an expression groups, with some values.
fn groups(expr: &str) -> Vec<Labels> {
    let by =
        expr.find("by (").map(|at| &expr[at + 4..]).and_then(|rest| rest.split(')').next()).unwrap_or("");
    let names: Vec<&str> =
        by.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "le").collect();
    if names.is_empty() || expr.contains("histogram_quantile") && names.is_empty() {
        return vec![Labels::default()];
    }
    let words = ["checkout", "payments", "search", "storefront"];
    words
        .iter()
        .take(if names.contains(&"phase") { 2 } else { 3 })
        .map(|word| names.iter().map(|name| (Text::from(*name), Text::from(*word))).collect())
        .collect()
}

fn series(expr: &str, times: impl Fn() -> Vec<i64>) -> Answer {
    let of = |(number, labels): (usize, Labels)| Series {
        labels,
        samples: times()
            .into_iter()
            .map(|at| Sample { at: at * 1_000, value: value(expr, number, at) })
            .collect(),
        histogram: false,
    };
    Answer::Series(groups(expr).into_iter().enumerate().map(of).collect())
}

fn every_need(moved: bool) -> Vec<Text> {
    let boards = Boards::shipped();
    let mut names: Vec<Text> = boards
        .iter()
        .flat_map(|board| board.needs())
        .filter(|need| need.label.is_some() == moved)
        .map(|need| need.metric)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A Prometheus that has everything, scraped with honorLabels.
#[expect(clippy::unnecessary_wraps, reason = "the others that answer may refuse")]
fn whole(wanted: &Wanted) -> Result<Answer, SourceError> {
    Ok(match wanted {
        Wanted::Values { label, matching } if &**label == "__name__" => {
            Answer::Names(if matching.contains("exported_") { Vec::new() } else { every_need(false) })
        }
        Wanted::Values { .. } => Answer::Names(vec!["tenant-1".into(), "tenant-2".into()]),
        Wanted::LabelNames { .. } => Answer::Names(vec!["namespace".into(), "pod".into(), "node".into()]),
        Wanted::Instant { query, .. } => series(query, || vec![now().as_second()]),
        Wanted::Range { query, window, step } => series(query, || {
            let (from, to) = window.bounds(now());
            let step = i64::from(*step);
            let (from, to) = (from.div_euclid(step), to.div_euclid(step));
            // Prometheus was down for a while: a gap.
            (from..=to)
                .map(|at| at * step)
                .filter(|at| !(7_000..8_000).contains(&(now().as_second() - at)))
                .collect()
        }),
        Wanted::Alerts => Answer::Alerts(vec![Arc::new(alert())]),
        _ => Answer::Series(Vec::new()),
    })
}

fn alert() -> Alert {
    let of = labels(&[("alertname", "HighErrorRate"), ("namespace", "tenant-2"), ("severity", "critical")]);
    Alert {
        fingerprint: "f".into(),
        name: "HighErrorRate".into(),
        labels: of,
        annotations: Labels::default(),
        severity: Severity::Critical,
        state: AlertState::Firing,
        since: Some(now() - SignedDuration::from_secs(240)),
        updated: None,
        value: None,
        receivers: Vec::new(),
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        generator: "".into(),
        origins: vec![Origin::Alertmanager],
        places: Vec::new(),
    }
}

/// Answers what the view needs until it needs nothing more, as the runner would.
fn answer(stage: &mut Stage, server: Server) {
    for _ in 0..6 {
        stage.state.settle(&stage.store);
        let asks: Vec<Ask> = stage
            .state
            .needs()
            .into_iter()
            .filter_map(|need| if let Need::Answer(ask) = need { Some(ask) } else { None })
            .filter(|ask| stage.store.reading(ask).is_none_or(opsdeck::store::Reading::is_waiting))
            .collect();
        if asks.is_empty() {
            return;
        }
        for ask in asks {
            let epoch = stage.store.ask(&ask);
            let result = server(&ask.wanted).map(Told::plain);
            let at = now() - SignedDuration::from_secs(12);
            stage.store.report(Report { ask, epoch, at, result, next: None });
        }
    }
    panic!("the view asks and asks");
}

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.state.boards = Arc::new(Boards::shipped());
    stage.state.size = (120, 40);
    stage.list("pods", &stage::pods());
    stage.list("namespaces", &["tenant-1", "tenant-2"].map(stage::namespace));
    stage.list("applications", &[stage::application()]);
    let rules = opsdeck::model::tenants::Rules {
        namespace_labels: vec!["opsdeck.dev/tenant".to_owned()],
        ..opsdeck::model::tenants::Rules::default()
    };
    stage.state.tenants = opsdeck::model::tenants::Tenants::new(rules);
    stage.state.settle(&stage.store);
    stage
}

fn press(stage: &mut Stage, keys: &[&str]) {
    for key in keys {
        let chord: Chord = key.parse().unwrap();
        stage.state.settle(&stage.store);
        let event = Event::Key(KeyEvent::new(chord.code, chord.modifiers));
        if let Some(action) = input::meaning(&event, &stage.state, &stage.store) {
            update(&mut stage.state, &stage.store, action);
        }
        stage.state.settle(&stage.store);
    }
}

fn type_in(stage: &mut Stage, text: &str) {
    for letter in text.chars() {
        update(&mut stage.state, &stage.store, Action::Type(letter));
        stage.state.settle(&stage.store);
    }
}

fn go(stage: &mut Stage, line: &str) {
    press(stage, &[":"]);
    type_in(stage, line);
    press(stage, &["enter"]);
}

#[track_caller]
fn board(stage: &Stage) -> &BoardView {
    match stage.state.view() {
        Some(View::Board(view)) => view,
        other => panic!("no board but {other:?}"),
    }
}

fn opened(name: &str, tenant: Option<&str>, server: Server) -> Stage {
    let mut stage = stage();
    stage.state.scope = Scope { tenant: tenant.map(Text::from), namespace: None };
    go(&mut stage, &format!("board {name}"));
    answer(&mut stage, server);
    stage
}

pub(crate) fn list() -> Stage {
    let mut stage = stage();
    let mut boards = Boards::shipped();
    boards.add("mine", "boards/mine.toml", "title = \"Mine\"\npanles = []\n");
    stage.state.boards = Arc::new(boards);
    stage.state.scope.tenant = Some("tenant-2".into());
    press(&mut stage, &["M", "j"]);
    stage
}

pub(crate) fn tenant() -> Stage {
    opened("tenant", Some("tenant-2"), whole)
}

pub(crate) fn large() -> Stage {
    let mut stage = tenant();
    press(&mut stage, &["tab", "tab", "enter"]);
    answer(&mut stage, whole);
    press(&mut stage, &[",", ",", "j"]);
    answer(&mut stage, whole);
    stage
}

pub(crate) fn edited() -> Stage {
    let mut stage = tenant();
    press(&mut stage, &["enter"]);
    answer(&mut stage, whole);
    press(&mut stage, &["e", "ctrl-u"]);
    type_in(&mut stage, "sum by (pod) (rate(container_cpu");
    answer(&mut stage, whole);
    stage
}

pub(crate) fn missing() -> Stage {
    fn bare(wanted: &Wanted) -> Result<Answer, SourceError> {
        match wanted {
            Wanted::Values { matching, .. } if !matching.contains("exported_") => Ok(Answer::Names(
                every_need(false)
                    .into_iter()
                    .filter(|name| {
                        !name.starts_with("kube_")
                            && !name.contains("nginx")
                            && !name.contains("istio")
                            && !name.starts_with("http_")
                    })
                    .collect(),
            )),
            other => whole(other),
        }
    }
    opened("tenant", Some("tenant-2"), bare)
}

fn unreachable() -> SourceError {
    SourceError::Unreachable {
        what: "Prometheus".to_owned(),
        place: "service monitoring/prometheus:9090 through the API server".to_owned(),
        reason: "no endpoints available for service \"prometheus\"".to_owned(),
    }
}

pub(crate) fn failed() -> Stage {
    opened("tenant", Some("tenant-2"), |wanted| match wanted {
        Wanted::Alerts => whole(wanted),
        _ => Err(unreachable()),
    })
}

pub(crate) fn nodes() -> Stage {
    opened("nodes", None, whole)
}

pub(crate) fn kpi() -> Stage {
    let mut stage = opened("kpi", None, whole);
    stage.state.rollbacks = vec![(now() - SignedDuration::from_secs(3_000), 74.0)];
    stage.state.settle(&stage.store);
    stage
}

/// An account with two databases, neither of which follows another.
fn account(wanted: &Wanted) -> Result<Answer, SourceError> {
    let Wanted::Figures { figures: Figures::Found(finding), window, step } = wanted else {
        return match wanted {
            Wanted::Alarms => Ok(Answer::Alarms(Vec::new())),
            other => whole(other),
        };
    };
    let metric = &*finding.metrics[0].1;
    let height = match metric {
        "CPUUtilization" => 0.4,
        "DatabaseConnections" => 40.0,
        "FreeStorageSpace" => 2.1e10,
        "FreeableMemory" => 2.2e9,
        "ReadLatency" | "WriteLatency" => 0.002,
        "ReadIOPS" | "WriteIOPS" => 64.0,
        "DiskQueueDepth" => 0.12,
        "BurstBalance" => 0.97,
        _ => {
            return Err(SourceError::Missing {
                what: format!("{} {metric}", finding.namespace),
                reason: "nothing in eu-west-1 publishes it by DBInstanceIdentifier".to_owned(),
            });
        }
    };
    let (from, to) = window.bounds(now());
    let step = i64::from(*step);
    let series = ["tenant-1-postgres", "tenant-2-postgres"].into_iter().enumerate().map(|(number, name)| {
        let times = (from.div_euclid(step)..to.div_euclid(step)).map(|at| at * step);
        let wave = |at: i64| 1.0 + 0.2 * (at as f64 / 1_700.0 + number as f64).sin();
        let samples = times.map(|at| Sample { at: at * 1_000, value: height * wave(at) });
        Series {
            labels: labels(&[("DBInstanceIdentifier", name), ("metric", metric)]),
            samples: samples.collect(),
            histogram: false,
        }
    });
    Ok(Answer::Series(series.collect()))
}

pub(crate) fn cloudwatch() -> Stage {
    opened("rds", None, account)
}

#[test]
fn a_board_of_cloudwatch_asks_nobody_else_and_says_which_metric_is_missing() {
    let mut stage = cloudwatch();
    stage.state.size = (200, 60);
    answer(&mut stage, account);
    let view = board(&stage);
    let prometheus = |ask: &&Ask| {
        matches!(ask.wanted, Wanted::Range { .. } | Wanted::Instant { .. } | Wanted::Values { .. })
    };
    assert_eq!(view.asks.iter().find(prometheus), None);
    assert!(view.asks.iter().any(|ask| ask.wanted == Wanted::Alarms));
    let cpu = &view.panels[0];
    assert_eq!(cpu.series.len(), 2);
    assert_eq!(&*cpu.asked[0].expr, "AWS/RDS CPUUtilization Average by DBInstanceIdentifier");
    let behind = view.board.panels.iter().position(|panel| &*panel.title == "Behind the primary").unwrap();
    // Its questions are no PromQL.
    press(&mut stage, &["e"]);
    assert!(board(&stage).prompt.is_none());
    for _ in 0..behind {
        press(&mut stage, &["tab"]);
    }
    answer(&mut stage, account);
    let missing = board(&stage).panels[behind].missing.join("; ");
    assert!(missing.contains("AWS/RDS ReplicaLag") && missing.contains("AuroraReplicaLag"), "{missing}");
    assert_eq!(board(&stage).panels[behind].error, None);
}

#[test]
fn an_account_that_does_not_answer_is_said_once() {
    let stage = opened("waf", None, |_| {
        Err(SourceError::Unauthenticated {
            what: "CloudWatch in eu-west-1".to_owned(),
            reason: "log in again: aws sso login --profile shop-prod".to_owned(),
        })
    });
    let view = board(&stage);
    assert!(view.panels.iter().all(|panel| panel.error.is_some() && panel.missing.is_empty()));
}

pub(crate) fn query() -> Stage {
    let mut stage = stage();
    go(
        &mut stage,
        "query topk(3, sum by (namespace, pod) (rate(http_requests_total{code=~\"5..\"}[5m]) / 60))",
    );
    answer(&mut stage, whole);
    stage
}

#[test]
fn a_board_asks_for_what_it_shows_and_for_nothing_else() {
    let stage = tenant();
    let view = board(&stage);
    let ranges = view.asks.iter().filter(|ask| matches!(ask.wanted, Wanted::Range { .. })).count();
    let asked: usize = view.panels.iter().map(|panel| panel.asked.len()).sum();
    assert_eq!(ranges, asked);
    assert!(view.asks.iter().all(|ask| ask.context == context()));
    // The scope narrows every expression.
    for asked in view.panels.iter().flat_map(|panel| &panel.asked) {
        assert!(asked.expr.contains("\"tenant-2\""), "{}", asked.expr);
        assert!(!asked.expr.contains("exported_"), "the labels are where they belong: {}", asked.expr);
    }
}

#[test]
fn where_labels_are_moved_the_moved_ones_are_asked_for() {
    fn moved(wanted: &Wanted) -> Result<Answer, SourceError> {
        match wanted {
            Wanted::Values { matching, .. } if matching.contains("exported_") => {
                Ok(Answer::Names(every_need(true)))
            }
            other => whole(other),
        }
    }
    let stage = opened("tenant", Some("tenant-2"), moved);
    let requests = &board(&stage).panels[0].asked[0];
    assert!(requests.expr.contains("exported_namespace=~\"tenant-2\""), "{}", requests.expr);
}

#[test]
fn an_empty_panel_says_which_metric_is_missing() {
    let drawn = text(&missing().draw(200, 60).0);
    assert!(drawn.contains("no such metric here"), "{drawn}");
    assert!(drawn.contains("nginx_ingress_controller_requests, or"), "{drawn}");
    // What is not missing is shown.
    assert!(drawn.contains("used"), "{drawn}");
}

#[test]
fn a_board_of_the_whole_cluster_does_not_pass_for_that_of_a_tenant() {
    let stage = opened("control-plane", Some("tenant-2"), whole);
    let drawn = text(&stage.draw(120, 40).0);
    assert!(!drawn.contains("tenant tenant-2  last"), "{drawn}");
    let stage = opened("tenant", Some("tenant-2"), whole);
    assert!(text(&stage.draw(120, 40).0).contains("tenant tenant-2  last"));
}

#[test]
fn the_line_of_the_palette_names_the_tenant_of_a_board() {
    let mut stage = stage();
    go(&mut stage, "board tenant -t tenant-1");
    answer(&mut stage, whole);
    assert_eq!(board(&stage).subject.tenant.as_deref(), Some("tenant-1"));
    assert_eq!(stage.state.scope.tenant.as_deref(), Some("tenant-1"));
}

#[test]
fn without_prometheus_a_board_says_that_it_is_scraped_and_what_is_not() {
    fn scraped(wanted: &Wanted) -> Result<Answer, SourceError> {
        match wanted {
            Wanted::Systems => Ok(Answer::Systems(vec![opsdeck::signals::Found {
                system: System::Prometheus,
                way: "not there".into(),
                version: None,
                error: None,
                note: None,
                heard: None,
                scraped: true,
            }])),
            Wanted::Values { .. } => Ok(Answer::Names(vec!["kube_pod_status_phase".into()])),
            other => whole(other),
        }
    }
    let stage = opened("tenant", Some("tenant-2"), scraped);
    let drawn = text(&stage.draw(200, 60).0);
    assert!(drawn.contains("scraped 12s ago") && drawn.contains("needs Prometheus"), "{drawn}");
    assert!(drawn.lines().next().unwrap().contains("prom scraped"), "{drawn}");
}

#[test]
fn panels_fill_a_low_screen_and_a_high_one() {
    use opsdeck::app::board::panels::rows;
    // 60x20 and 80x24 leave 15 and 19 rows; a line of those says which are seen.
    assert_eq!(rows(15, 8), (7, 2));
    assert_eq!(rows(19, 4), (9, 2));
    assert_eq!(rows(54, 2), (22, 2));
    assert_eq!(rows(5, 3), (4, 1));
    for height in 1..80 {
        for all in 1..20 {
            let (each, seen) = rows(height, all);
            assert!(
                each >= 1 && seen >= 1 && usize::from(each) * seen <= usize::from(height.max(1)),
                "{height} {all}"
            );
        }
    }
}

#[test]
fn one_server_that_does_not_answer_is_said_once() {
    let drawn = text(&failed().draw(120, 40).0);
    assert_eq!(drawn.matches("no endpoints available").count(), 1, "{drawn}");
}

#[test]
fn the_last_values_stay_while_a_new_question_fails_and_the_server_says_why() {
    let mut stage = tenant();
    press(&mut stage, &["enter", "e", "ctrl-u"]);
    type_in(&mut stage, "sum(rate(up");
    press(&mut stage, &["enter"]);
    let before = board(&stage).panels[0].series.len();
    answer(&mut stage, |wanted| match wanted {
        Wanted::Range { query, .. } if &**query == "sum(rate(up" => Err(SourceError::Invalid {
            what: "Prometheus".to_owned(),
            reason: "1:10: parse error: unclosed left parenthesis".to_owned(),
        }),
        other => whole(other),
    });
    let drawn = text(&stage.draw(120, 40).0);
    assert!(drawn.contains("1:10: parse error: unclosed left parenthesis"), "{drawn}");
    // A mark stands below the letter at which the server stumbled: the tenth.
    let rows: Vec<&str> = drawn.lines().collect();
    let typed = rows.iter().position(|row| row.trim() == "sum(rate(up").expect("the expression");
    let tenth = rows[typed].find("sum(").unwrap() + 9;
    assert_eq!(rows[typed + 1].find('^'), Some(tenth), "{drawn}");
    assert_eq!(board(&stage).panels[0].series.len(), before);
    assert!(before > 0 && drawn.contains("checkout"), "{drawn}");
    // The board's own expression comes back.
    press(&mut stage, &["E"]);
    answer(&mut stage, whole);
    assert!(board(&stage).panels[0].error.is_none());
}

#[test]
fn all_panels_share_the_time_and_keys_move_it() {
    let mut stage = tenant();
    let window = |stage: &Stage| board(stage).window;
    assert_eq!(window(&stage), Window::Last { seconds: 10_800 });
    press(&mut stage, &["+"]);
    assert_eq!(window(&stage), Window::Last { seconds: 3_600 });
    press(&mut stage, &["-", "-"]);
    assert_eq!(window(&stage), Window::Last { seconds: 43_200 });
    press(&mut stage, &["alt-2", "left"]);
    let to = now().as_second() - 900;
    assert_eq!(window(&stage), Window::Between { from: to - 3_600, to });
    let windows: Vec<Window> = board(&stage)
        .asks
        .iter()
        .filter_map(|ask| if let Wanted::Range { window, .. } = ask.wanted { Some(window) } else { None })
        .collect();
    assert!(windows.len() > 3 && windows.iter().all(|one| *one == window(&stage)));
    press(&mut stage, &["ctrl-n"]);
    assert_eq!(window(&stage), Window::Last { seconds: 3_600 });
    press(&mut stage, &["w"]);
    type_in(&mut stage, "13:00 13:30");
    press(&mut stage, &["enter"]);
    assert!(matches!(window(&stage), Window::Between { from, to } if to - from == 1_800));
    press(&mut stage, &["w"]);
    type_in(&mut stage, "soon");
    press(&mut stage, &["enter"]);
    assert!(board(&stage).prompt.as_ref().is_some_and(|prompt| prompt.error.is_some()));
}

#[test]
fn the_key_for_metrics_opens_the_board_of_what_is_selected() {
    let mut stage = stage();
    let query = opsdeck::store::Query::all(&context(), &opsdeck::identity::Resource::new("", "pods"));
    stage.show(&query);
    press(&mut stage, &["j", "m"]);
    let selected = board(&stage).subject.pod.clone().unwrap();
    assert_eq!((&*board(&stage).board.name, &*selected), ("pod", "checkout-5d8f7c9b4-9mzqv"));
    press(&mut stage, &["esc"]);
    assert!(matches!(stage.state.view(), Some(View::Table(_))));
    // Nothing that a board is made for: the list.
    let mut stage = self::stage();
    go(&mut stage, "overview");
    press(&mut stage, &["tab", "m"]);
    assert!(matches!(stage.state.view(), Some(View::Boards(_) | View::Board(_))));
}

#[test]
fn number_keys_show_the_same_board_of_another_tenant() {
    let mut stage = tenant();
    press(&mut stage, &["1"]);
    assert_eq!(board(&stage).subject.tenant.as_deref(), Some("tenant-1"));
    answer(&mut stage, whole);
    let exprs: Vec<_> =
        board(&stage).panels.iter().flat_map(|panel| &panel.asked).map(|one| one.expr.clone()).collect();
    assert!(!exprs.is_empty() && exprs.iter().all(|expr| expr.contains("\"tenant-1\"")), "{exprs:?}");
}

#[test]
fn deploys_and_alerts_of_the_subject_are_marked() {
    let stage = tenant();
    let told: Vec<&str> = board(&stage).happened.iter().map(|one| one.text.as_str()).collect();
    assert!(told.iter().any(|text| text.contains("deployed 3f9c1a2")), "{told:?}");
    assert!(told.contains(&"HighErrorRate fires"), "{told:?}");
    let other = opened("tenant", Some("tenant-1"), whole);
    assert!(board(&other).happened.is_empty(), "{:?}", board(&other).happened);
}

#[test]
fn a_prompt_completes_metrics_labels_and_their_values() {
    let mut stage = stage();
    press(&mut stage, &["Q"]);
    answer(&mut stage, whole);
    type_in(&mut stage, "rate(container_cpu_usage");
    press(&mut stage, &["tab"]);
    type_in(&mut stage, "{name");
    answer(&mut stage, whole);
    press(&mut stage, &["tab"]);
    answer(&mut stage, whole);
    press(&mut stage, &["down", "down", "enter"]);
    let line = board(&stage).prompt.as_ref().unwrap().line.text().to_owned();
    assert_eq!(line, "rate(container_cpu_usage_seconds_total{namespace=\"tenant-2");
    type_in(&mut stage, "\"}[5m])");
    press(&mut stage, &["enter"]);
    answer(&mut stage, whole);
    let asked = &board(&stage).panels[0].asked[0].expr;
    assert_eq!(&**asked, "rate(container_cpu_usage_seconds_total{namespace=\"tenant-2\"}[5m])");
    // What was asked before comes back.
    press(&mut stage, &["esc", "Q", "up"]);
    assert_eq!(board(&stage).prompt.as_ref().unwrap().line.text(), &**asked_text(&stage));
}

fn asked_text(stage: &Stage) -> &String {
    stage.state.queries.last().unwrap()
}

#[test]
fn warnings_are_shown_and_what_is_no_number_harms_nobody() {
    let mut stage = tenant();
    let ask = board(&stage).panels[0].asked[0].ask.clone();
    let epoch = stage.store.ask(&ask);
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 0.0];
    let samples = odd.iter().cycle().take(300).enumerate().map(|(at, value)| Sample {
        at: (now().as_second() - 10_800 + i64::try_from(at).unwrap() * 36) * 1_000,
        value: *value,
    });
    let one =
        Series { labels: labels(&[("a", "日本\u{301}")]), samples: samples.collect(), histogram: false };
    let native = Series { labels: Labels::default(), samples: Vec::new(), histogram: true };
    let told = Told {
        warnings: vec!["2 of 3 stores did not answer".into()],
        garbled: 3,
        ..Told::plain(Answer::Series(vec![one, native]))
    };
    stage.store.report(Report { ask, epoch, at: now(), result: Ok(told), next: None });
    stage.state.settle(&stage.store);
    for (width, height) in [(1, 1), (20, 10), (80, 24), (120, 40), (200, 60)] {
        stage.draw(width, height);
    }
    let drawn = text(&stage.draw(200, 60).0);
    assert!(drawn.contains("2 of 3 stores did not answer") && drawn.contains("3 unreadable"), "{drawn}");
}

#[test]
fn the_kpi_board_holds_what_happened_against_the_targets() {
    let drawn = text(&kpi().draw(200, 60).0);
    assert!(drawn.contains("at most 5m") && drawn.contains("at most 2m"), "{drawn}");
    assert!(drawn.contains("74s") || drawn.contains("1m14s"), "{drawn}");
    assert!(drawn.contains("at least 99.9%"), "{drawn}");
}

#[test]
fn tables_show_what_is_used_and_do_not_take_unknown_for_nought() {
    let mut stage = stage();
    let query = opsdeck::store::Query::all(&context(), &opsdeck::identity::Resource::new("", "pods"));
    stage.show(&query);
    let before = text(&stage.draw(200, 60).0);
    assert!(before.contains("CPU USE") && before.contains(" ? "), "{before}");
    answer(&mut stage, |wanted| match wanted {
        Wanted::Use(Using::Pods) => {
            let mut usage = Usage::new(System::Prometheus);
            let used = usage.entry("tenant-2", "checkout-5d8f7c9b4-2xk4l");
            (used.cpu, used.memory) = (Some(0.125), Some(268_435_456.0));
            Ok(Answer::Usage(usage))
        }
        other => whole(other),
    });
    let drawn = text(&stage.draw(200, 60).0);
    let row = drawn.lines().find(|line| line.contains("checkout-5d8f7c9b4-2xk4l")).unwrap();
    assert!(row.contains("125m") && row.contains("256Mi"), "{row}");
    let other = drawn.lines().find(|line| line.contains("checkout-5d8f7c9b4-9mzqv")).unwrap();
    assert!(other.contains(" ? "), "{other}");
    // Numbers of long ago are not numbers of now.
    stage.state.now = now() + SignedDuration::from_mins(10);
    stage.state.settle(&stage.store);
    let late = text(&stage.draw(200, 60).0);
    assert!(!late.contains("125m"), "{late}");
}

#[test]
fn the_overview_shows_errors_latency_and_use_of_each_tenant() {
    let mut stage = stage();
    answer(&mut stage, |wanted| match wanted {
        Wanted::Use(Using::Namespaces) => {
            let mut usage = Usage::new(System::Prometheus);
            *usage.entry("tenant-2", "") = Used {
                cpu: Some(1.5),
                memory: Some(1_073_741_824.0),
                requests: Some(20.0),
                errors: Some(1.62),
                p95: Some(0.91),
            };
            Ok(Answer::Usage(usage))
        }
        other => whole(other),
    });
    // What it uses has a place where the screen is wide; that it hurts has one before.
    for (width, words) in [(200, &["8.1", "910ms"][..]), (360, &["8.1", "910ms", "1.5", "1Gi"])] {
        let drawn = text(&stage.draw(width, 60).0);
        let row = drawn.lines().find(|line| line.contains("degraded")).unwrap();
        for word in words {
            assert!(row.contains(word), "{word}: {drawn}");
        }
    }
}
