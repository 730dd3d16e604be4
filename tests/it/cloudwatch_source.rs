//! The source of CloudWatch against the embedded one: what it finds, what it keeps, and how it fails.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opsdeck::boards::{Boards, Origin, Values, cloud};
use opsdeck::clock::Clock;
use opsdeck::demo::cloudwatch::{self, REGION};
use opsdeck::demo::platform::Running;
use opsdeck::demo::world;
use opsdeck::kinds::alerts;
use opsdeck::signals::{
    Alarm, AlertState, Answer, Figures, Finding, Origin as Says, Raised, Scale, Series, System, Told, Wanted,
    Watched, Window,
};
use opsdeck::sources::{Connection, Contexts, Directions, Places, Setup, SourceError, Systems};
use opsdeck::store::{Query, Store, Update};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cloudwatch::platform;

const PATIENCE: Duration = Duration::from_mins(2);

/// A platform whose time stands still until it is moved, and a console's way to it.
struct Stage {
    running: Running,
    clock: Clock,
    connection: Connection,
}

impl Stage {
    async fn start(story: &str) -> Self {
        let (running, clock) = platform(story).await;
        let places = Places { flag: Some(running.kubeconfig.clone()), ..Places::default() };
        let contexts = Contexts::load(&places).unwrap();
        let entry = contexts.choose(None).unwrap();
        let setup = Setup::new(clock.clone(), Vec::new());
        let connection = Connection::open(contexts, entry, setup).await.unwrap();
        Self { running, clock, connection }
    }

    /// What a person could write for the platform's account.
    fn directions(&self) -> Directions {
        Directions {
            url: Some(self.running.cloudwatch.url.clone()),
            region: Some(REGION.to_owned()),
            credentials_file: Some(self.running.write_aws_credentials().unwrap()),
            ..Directions::default()
        }
    }

    fn systems(&self, directions: Directions) -> Systems {
        Systems::new(self.connection.clone(), [(System::CloudWatch, directions)].into())
    }

    async fn throttle(&self, share: f64) {
        self.signal(cloudwatch::THROTTLED, share).await;
    }

    async fn signal(&self, name: &'static str, value: f64) {
        let now: Timestamp = self.clock.now();
        let set = move |world: &mut world::World, _| world.chronicle.signal(name, value, now);
        self.running.handle.call(set).await.unwrap();
    }
}

async fn alarms(systems: &Systems) -> Result<Vec<Arc<Alarm>>, SourceError> {
    let told = timeout(PATIENCE, systems.answer(&Wanted::Alarms)).await.unwrap()?;
    let Answer::Alarms(alarms) = told.answer else { panic!("{told:?}") };
    Ok(alarms)
}

fn finding(namespace: &str, metric: &str, stat: &str, by: &[(&str, &str)], scale: Scale) -> Wanted {
    let finding = Finding {
        namespace: namespace.into(),
        metrics: vec![("m".into(), metric.into(), stat.into())],
        dimensions: by.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        math: None,
        scale,
    };
    Wanted::Figures { figures: Figures::Found(finding), window: Window::Last { seconds: 3_600 }, step: 60 }
}

fn series(told: &Told) -> &[Series] {
    let Answer::Series(series) = &told.answer else { panic!("{told:?}") };
    series
}

async fn ask(systems: &Systems, wanted: &Wanted) -> Result<Told, SourceError> {
    timeout(PATIENCE, systems.answer(wanted)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_of_metrics_and_of_alarms_are_told_with_whose_they_are() {
    let stage = Stage::start("bad-deploy").await;
    let systems = stage.systems(stage.directions());
    let alarms = alarms(&systems).await.unwrap();
    let of = |name: &str| alarms.iter().find(|one| &*one.alert.name == name);
    let alarm = of("tenant-2-checkout-5xx").unwrap_or_else(|| panic!("{alarms:?}"));
    assert_eq!(alarm.alert.state, AlertState::Firing);
    assert_eq!(alarm.alert.origins, [Says::CloudWatch]);
    assert_eq!(alarm.alert.labels.get("namespace"), Some("tenant-2"));
    assert!(alarm.alert.since.is_some_and(|since| since < stage.clock.now()));
    assert!(alarm.reason.starts_with("Threshold Crossed: "), "{}", alarm.reason);
    let Watched::Metric(watch) = &alarm.watched else { panic!("{alarm:?}") };
    assert_eq!((watch.threshold, watch.period, watch.periods, watch.datapoints), (Some(25.0), 60, 5, 3));
    assert!(watch.words().contains("HTTPCode_Target_5XX_Count Sum"), "{}", watch.words());
    // What CloudWatch says about the values of an alarm can be drawn.
    let figures = Figures::Exact(watch.parts.clone());
    let wanted = Wanted::Figures { figures, window: Window::Last { seconds: 1_800 }, step: 60 };
    let told = ask(&systems, &wanted).await.unwrap();
    assert!(series(&told)[0].samples.iter().any(|sample| sample.value >= 25.0), "{told:?}");

    let composite = of("tenant-2-user-impact").unwrap_or_else(|| panic!("{alarms:?}"));
    let Watched::Alarms(rule) = &composite.watched else { panic!("{composite:?}") };
    assert!(rule.contains("tenant-2-checkout-5xx"), "{rule}");
    // What is in order is not asked for.
    assert!(alarms.iter().all(|one| one.alert.state != AlertState::Resolved));

    let history = systems.cloud().unwrap().history("tenant-2-checkout-5xx").await.unwrap();
    assert!(history.is_sorted_by(|one, other| one.at >= other.at), "{history:?}");
    let update = history.iter().find(|one| &*one.summary == "Alarm updated from OK to ALARM");
    assert!(update.is_some_and(|one| one.at.is_some() && !one.reason.is_empty()), "{history:?}");
    // What it did is told beside how it changed.
    assert!(history.iter().any(|one| one.summary.contains("tenants-oncall")), "{history:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_turned_to_the_end_however_small_they_are() {
    let stage = Stage::start("bad-deploy").await;
    let names = |alarms: Vec<Arc<Alarm>>| -> Vec<String> {
        alarms.iter().map(|alarm| alarm.alert.name.to_string()).collect()
    };
    let whole = names(alarms(&stage.systems(stage.directions())).await.unwrap());
    assert!(whole.len() > 2, "{whole:?}");
    let by = [("DBInstanceIdentifier", "tenant-1-postgres")];
    let wanted = finding("AWS/RDS", "CPUUtilization", "Average", &by, Scale::Plain);
    let all = ask(&stage.systems(stage.directions()), &wanted).await.unwrap();
    stage.signal(cloudwatch::PAGED, 1.0).await;
    assert_eq!(names(alarms(&stage.systems(stage.directions())).await.unwrap()), whole);
    // Ten points to a page: all but the last say PartialData, and nothing is lost or doubled.
    let paged = ask(&stage.systems(stage.directions()), &wanted).await.unwrap();
    assert!(series(&all)[0].samples.len() > 20, "{all:?}");
    assert_eq!(series(&paged)[0].samples, series(&all)[0].samples);
    assert_eq!(paged.warnings, all.warnings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_whose_actions_are_suppressed_says_by_what_and_is_no_longer_one_that_fires() {
    let stage = Stage::start("bad-deploy").await;
    stage.signal(cloudwatch::SUPPRESSED, 1.0).await;
    let alarms = alarms(&stage.systems(stage.directions())).await.unwrap();
    let of = |name: &str| alarms.iter().find(|one| &*one.alert.name == name).unwrap();
    let composite = of("tenant-2-user-impact");
    assert_eq!(composite.alert.state, AlertState::Suppressed);
    let why = composite.suppressed.as_deref().unwrap();
    assert_eq!(why, "Alarm: platform-maintenance: Alarm platform-maintenance is in ALARM state");
    assert!(composite.alert.muted_by.iter().any(|by| by.contains("platform-maintenance")));
    // What it is made of is told as before.
    assert_eq!(of("tenant-2-checkout-5xx").alert.state, AlertState::Firing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_stand_in_the_one_list_of_alerts() {
    let stage = Stage::start("bad-deploy").await;
    let systems = stage.systems(stage.directions());
    let mut store = Store::default();
    let query = Query::all(stage.connection.context(), &alerts::alerts());
    let epoch = store.subscribe(&query);
    let (sender, mut mail) = mpsc::channel(64);
    let followed = query.clone();
    let task = tokio::spawn(async move { systems.follow(followed, epoch, sender).await });
    let found = timeout(PATIENCE, async {
        loop {
            let envelope = mail.recv().await.unwrap();
            assert!(!matches!(envelope.update, Update::Failed { .. }), "{envelope:?}");
            store.apply(envelope);
            let shelf = store.shelf(&query).unwrap();
            let raised: Vec<&Raised> = shelf.iter().filter_map(|(_, one)| one.body::<Raised>()).collect();
            if let Some(one) = raised.iter().find(|one| &*one.alert.name == "tenant-2-checkout-5xx") {
                let others = raised.iter().any(|one| one.alert.origins.contains(&Says::Prometheus));
                break ((*one).clone(), others);
            }
        }
    });
    let (raised, others) = found.await.unwrap();
    task.abort();
    assert!(raised.alarm.is_some() && !raised.is_unheard());
    assert!(others, "the alerts of the others are there, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_found_by_their_dimensions_and_turned_into_the_units_of_boards() {
    let stage = Stage::start("quiet").await;
    let systems = stage.systems(stage.directions());
    let by = [("DBInstanceIdentifier", ".+")];
    let told = ask(&systems, &finding("AWS/RDS", "CPUUtilization", "Average", &by, Scale::Percent)).await;
    let told = told.unwrap();
    let databases = series(&told);
    assert_eq!(databases.len(), 4, "{databases:?}");
    for one in databases {
        assert!(one.labels.get("DBInstanceIdentifier").unwrap().ends_with("-postgres"));
        assert!((55..=60).contains(&one.samples.len()), "{} samples", one.samples.len());
        assert!(one.samples.iter().all(|sample| (0.0..1.0).contains(&sample.value)), "{one:?}");
        assert!(one.samples.is_sorted_by_key(|sample| sample.at));
        // The minute that goes on has no sum yet.
        let minute = stage.clock.now().as_second().div_euclid(60) * 60;
        assert!(one.samples.iter().all(|sample| sample.at < minute * 1_000));
    }
    let some = finding(
        "AWS/RDS",
        "CPUUtilization",
        "Average",
        &[("DBInstanceIdentifier", "tenant-[12]-.+")],
        Scale::Percent,
    );
    assert_eq!(series(&ask(&systems, &some).await.unwrap()).len(), 2);

    // Not published: what is missing is named.
    let absent = finding("AWS/RDS", "ReplicaLag", "Maximum", &by, Scale::Plain);
    let error = ask(&systems, &absent).await.unwrap_err();
    assert!(matches!(&error, SourceError::Missing { what, .. } if what == "AWS/RDS ReplicaLag"), "{error:?}");
    // One dimension less is another metric.
    let inexact = finding("AWS/WAFV2", "BlockedRequests", "Sum", &[("WebACL", ".+")], Scale::Plain);
    assert!(matches!(ask(&systems, &inexact).await, Err(SourceError::Missing { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_of_the_shipped_boards_is_answered_or_says_what_is_missing() {
    let stage = Stage::start("quiet").await;
    let systems = stage.systems(stage.directions());
    // What the embedded account does not have.
    let absent = [
        "HTTPCode_ELB_5XX_Count",
        "RejectedConnectionCount",
        "ProcessedBytes",
        "ActiveFlowCount",
        "TCP_Target_Reset_Count",
        "ReplicaLag",
    ];
    let mut asked = 0;
    for board in Boards::shipped().iter() {
        for panel in &board.panels {
            for query in &panel.queries {
                let Origin::Figures(figures) = &query.origin else { continue };
                asked += 1;
                let figures = cloud::fill(figures, &Values::default());
                let words = figures.words();
                let wanted = Wanted::Figures { figures, window: Window::Last { seconds: 600 }, step: 60 };
                match ask(&systems, &wanted).await {
                    Ok(told) => {
                        let empty = series(&told).is_empty();
                        // Counts are absent where nothing happened.
                        assert!(!empty || words.contains("5XX"), "{}: {words}", panel.title);
                        assert!(
                            series(&told).iter().all(|one| !query.legend.name(&one.labels).contains('{'))
                        );
                    }
                    Err(SourceError::Missing { what, .. }) => {
                        assert!(absent.iter().any(|name| what.contains(name)), "{what}");
                    }
                    Err(error) => panic!("{}: {words}: {error}", panel.title),
                }
            }
        }
    }
    assert!(asked > 35, "{asked} questions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_within_a_period_is_not_asked_for_again() {
    let stage = Stage::start("quiet").await;
    let systems = stage.systems(stage.directions());
    let by = [("NatGatewayId", ".+")];
    let wanted = finding("AWS/NATGateway", "PacketsDropCount", "Sum", &by, Scale::PerSecond);
    let first = ask(&systems, &wanted).await.unwrap();
    let cloud = systems.cloud().unwrap();
    let spent = cloud.spent();
    // One page of the list, one of the values.
    assert_eq!(spent, "2 calls, 3 metrics asked for");
    assert_eq!(ask(&systems, &wanted).await.unwrap(), first);
    assert_eq!(cloud.spent(), spent);
    stage.clock.advance(Duration::from_secs(61));
    stage.running.handle.step().await.unwrap();
    ask(&systems, &wanted).await.unwrap();
    assert_eq!(cloud.spent(), "3 calls, 6 metrics asked for", "the list is believed for longer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_asks_to_wait_is_left_alone_until_then() {
    let stage = Stage::start("quiet").await;
    let systems = stage.systems(stage.directions());
    stage.throttle(1.0).await;
    let error = alarms(&systems).await.unwrap_err();
    let SourceError::Throttled { until: Some(until), .. } = &error else { panic!("{error:?}") };
    assert!(*until > stage.clock.now());
    let cloud = systems.cloud().unwrap();
    let spent = cloud.spent();
    // The SDK has tried as often as it may.
    assert_eq!(spent, "3 calls, 0 metrics asked for");
    let by = [("DBInstanceIdentifier", ".+")];
    let other = finding("AWS/RDS", "CPUUtilization", "Average", &by, Scale::Percent);
    assert!(matches!(ask(&systems, &other).await, Err(SourceError::Throttled { .. })));
    assert_eq!(cloud.spent(), spent, "nobody asks while it asks to wait");
    stage.throttle(0.0).await;
    stage.clock.advance(Duration::from_secs(30));
    alarms(&systems).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_not_taken_and_regions_that_are_wrong_are_told_in_sentences() {
    let stage = Stage::start("quiet").await;
    let keys = tempfile::tempdir().unwrap();
    let write = |name: &str, id: &str| -> PathBuf {
        let path = keys.path().join(name);
        let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = x\n");
        std::fs::write(&path, text).unwrap();
        path
    };
    let stranger = Directions {
        credentials_file: Some(write("stranger", "AKIASOMEBODYELSE0000")),
        ..stage.directions()
    };
    let error = alarms(&stage.systems(stranger)).await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthenticated { .. }), "{error:?}");
    assert!(error.to_string().contains("security token"), "{error}");

    let elsewhere = Directions { region: Some("us-east-1".to_owned()), ..stage.directions() };
    let error = alarms(&stage.systems(elsewhere)).await.unwrap_err();
    assert!(error.to_string().contains("us-east-1"), "{error}");

    let nowhere = Directions { credentials_file: Some(keys.path().join("none")), ..stage.directions() };
    let error = alarms(&stage.systems(nowhere)).await.unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. } | SourceError::Unauthenticated { .. }), "{error:?}");

    let off = Directions { off: true, ..Directions::default() };
    assert!(matches!(alarms(&stage.systems(off)).await, Err(SourceError::Missing { .. })));
    // Where configuration says nothing, the environment is not taken for an account.
    let systems = Systems::new(stage.connection.clone(), BTreeMap::new());
    assert!(matches!(alarms(&systems).await, Err(SourceError::Missing { .. })));
    assert!(systems.look().await.iter().all(|found| found.system != System::CloudWatch));
}

/// Writes an answer of HTTP.
fn answer(status: &str, kind: &str, header: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    bytes
}

/// Serves one answer to every request.
async fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut bytes = vec![0; 64 * 1024];
                let _ = stream.read(&mut bytes).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_nonsense_denies_or_is_gone_is_told_from_one_another() {
    let stage = Stage::start("quiet").await;
    let at = |url: String| stage.systems(Directions { url: Some(url), ..stage.directions() });
    let page = answer("200 OK", "text/html", "", b"<html>please log in</html>");
    let error = alarms(&at(answering(page).await)).await.unwrap_err();
    assert!(matches!(error, SourceError::Garbled { .. }), "{error:?}");

    // Errors as contracts 6.1 has them: a CBOR map, and a header that overrides the code.
    let mut body = vec![0xa2];
    for text in ["__type", "com.amazonaws.cloudwatch#Other", "message", "you may not"] {
        if text.len() < 24 {
            body.push(0x60 + text.len() as u8);
        } else {
            body.extend([0x78, text.len() as u8]);
        }
        body.extend(text.as_bytes());
    }
    let header = "x-amzn-query-error: AccessDenied;Sender\r\n";
    let denied = answer("400 Bad Request", "application/cbor", header, &body);
    let error = alarms(&at(answering(denied).await)).await.unwrap_err();
    assert!(matches!(error, SourceError::Denied { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("cloudwatch:DescribeAlarms") && text.contains("you may not"), "{text}");

    let expired = "x-amzn-query-error: ExpiredToken;Sender\r\n";
    let expired = answer("400 Bad Request", "application/cbor", expired, &body);
    let error = alarms(&at(answering(expired).await)).await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthenticated { .. }), "{error:?}");
    assert!(error.to_string().contains("aws sso login"), "{error}");

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let error = alarms(&at(url.clone())).await.unwrap_err();
    assert!(matches!(&error, SourceError::Unreachable { place, .. } if *place == url), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_found_with_its_way_its_cost_and_its_last_answer() {
    let stage = Stage::start("quiet").await;
    let systems = stage.systems(stage.directions());
    let found = timeout(PATIENCE, systems.look()).await.unwrap();
    let found = found.into_iter().find(|one| one.system == System::CloudWatch).unwrap();
    assert_eq!(found.error, None);
    assert!(found.way.contains(REGION) && found.way.contains(&stage.running.cloudwatch.url), "{}", found.way);
    assert!(found.note.as_ref().is_some_and(|note| note.contains("call")), "{:?}", found.note);
    assert_eq!(found.heard, Some(stage.clock.now()));
}
