//! CloudWatch of the embedded platform, with the real SDK as its client.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    AlarmType, Dimension, HistoryItemType, Metric, MetricDataQuery, MetricStat, RecentlyActive, ScanBy,
    StateValue, Statistic, StatusCode,
};
use aws_sdk_cloudwatch::{Client, Config};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use jiff::Timestamp;
use opsdeck::clock::Clock;
use opsdeck::demo::Platform;
use opsdeck::demo::cloudwatch::{self, ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::world;

const BALANCER: &str = "app/k8s-ingressn-ingressn-3f1c9a7d52/0b1e7a3c9d5f2e48";

/// A platform whose time stands still until it is moved.
struct Stage {
    running: Running,
    clock: Clock,
    client: Client,
}

fn client(url: &str, key: &str) -> Client {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(key, SECRET_ACCESS_KEY, None, None, "test"))
        .endpoint_url(url)
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// A platform whose time stands still until it is told to go on.
pub async fn platform(story: &str) -> (Running, Clock) {
    opsdeck::install_crypto_provider();
    let clock = Clock::manual("2026-03-02T09:00:30Z".parse().unwrap());
    let world = world::Options {
        tenants: 4,
        pods_per_tenant: 12,
        nodes: 5,
        alive: false,
        story: story.to_owned(),
        ..world::Options::default()
    };
    let options = Options { world, clock: clock.clone(), pace: None, ..Options::default() };
    (Platform::start(options).await.unwrap(), clock)
}

async fn start(story: &str) -> Stage {
    let (running, clock) = platform(story).await;
    let client = client(&running.cloudwatch.url, ACCESS_KEY_ID);
    Stage { running, clock, client }
}

impl Stage {
    async fn forward(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.running.handle.step().await.unwrap();
    }

    fn ago(&self, minutes: i64) -> DateTime {
        DateTime::from_secs(self.clock.now().as_second() - minutes * 60)
    }
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

fn stat(id: &str, namespace: &str, name: &str, dimensions: &[(&str, &str)], stat: &str) -> MetricDataQuery {
    let dimensions = dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
    let metric =
        Metric::builder().namespace(namespace).metric_name(name).set_dimensions(Some(dimensions)).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat(stat).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

type Points = BTreeMap<i64, f64>;

impl Stage {
    /// Asks for data, page by page, and merges by id.
    async fn data(
        &self,
        queries: &[MetricDataQuery],
        minutes: i64,
        page: Option<i32>,
    ) -> BTreeMap<String, Points> {
        let mut all: BTreeMap<String, Points> = BTreeMap::new();
        let mut token = None;
        loop {
            let answer = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries.to_vec()))
                .start_time(self.ago(minutes))
                .end_time(self.ago(0))
                .scan_by(ScanBy::TimestampAscending)
                .set_max_datapoints(page)
                .set_next_token(token)
                .send()
                .await
                .unwrap();
            let partial = answer
                .metric_data_results()
                .iter()
                .any(|one| one.status_code() == Some(&StatusCode::PartialData));
            for one in answer.metric_data_results() {
                let points = one.timestamps().iter().map(DateTime::secs).zip(one.values().iter().copied());
                all.entry(one.id().unwrap().to_owned()).or_default().extend(points);
            }
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                assert!(!partial);
                return all;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_are_listed_page_by_page_and_composite_ones_on_demand() {
    let stage = start("quiet").await;
    let plain = stage.client.describe_alarms().max_records(100).send().await.unwrap();
    assert!(plain.composite_alarms().is_empty(), "without types there are only those of metrics");
    let names: Vec<&str> = plain.metric_alarms().iter().map(|alarm| alarm.alarm_name().unwrap()).collect();
    assert!(
        names.contains(&"tenant-2-checkout-5xx") && names.contains(&"tenant-1-postgres-cpu"),
        "{names:?}"
    );
    assert!(names.is_sorted());
    for alarm in plain.metric_alarms() {
        assert_eq!(alarm.state_value(), Some(&StateValue::Ok), "{alarm:?}");
        assert!(alarm.state_transitioned_timestamp().is_some() && alarm.threshold().is_some());
    }
    let math = plain
        .metric_alarms()
        .iter()
        .find(|alarm| alarm.alarm_name() == Some("platform-edge-5xx-ratio"))
        .unwrap();
    assert_eq!((math.metrics().len(), math.metric_name(), math.namespace()), (3, None, None));

    let mut paged = Vec::new();
    let mut token = None;
    loop {
        let page = stage
            .client
            .describe_alarms()
            .max_records(3)
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .set_next_token(token)
            .send()
            .await
            .unwrap();
        assert!(page.metric_alarms().len() + page.composite_alarms().len() <= 3);
        paged.extend(page.metric_alarms().iter().filter_map(|alarm| alarm.alarm_name()).map(str::to_owned));
        paged
            .extend(page.composite_alarms().iter().filter_map(|alarm| alarm.alarm_name()).map(str::to_owned));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let unique: BTreeSet<&String> = paged.iter().collect();
    assert_eq!(unique.len(), paged.len());
    assert!(paged.len() > names.len() && paged.contains(&"platform-edge-degraded".to_owned()), "{paged:?}");

    let children =
        stage.client.describe_alarms().children_of_alarm_name("platform-edge-degraded").send().await.unwrap();
    let children: Vec<_> = children.metric_alarms().iter().filter_map(|alarm| alarm.alarm_name()).collect();
    assert_eq!(children, ["platform-edge-5xx-ratio", "platform-edge-latency-p95"]);
    let prefixed = stage.client.describe_alarms().alarm_name_prefix("platform-nat-").send().await.unwrap();
    assert_eq!(prefixed.metric_alarms().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_follow_from_the_world_and_pages_are_merged_by_id() {
    let stage = start("quiet").await;
    let whole = [("LoadBalancer", BALANCER)];
    let mut queries = vec![
        stat("all", "AWS/ApplicationELB", "RequestCount", &whole, "Sum"),
        stat("slow", "AWS/ApplicationELB", "TargetResponseTime", &whole, "p95"),
        stat("errors", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", &whole, "Sum"),
        stat("nodes", "ContainerInsights", "cluster_node_count", &[("ClusterName", "platform")], "Average"),
        stat("inexact", "ContainerInsights", "pod_cpu_utilization", &[("Namespace", "tenant-1")], "Average"),
        stat(
            "checkout",
            "ContainerInsights",
            "pod_cpu_utilization",
            &[("ClusterName", "platform"), ("Namespace", "tenant-1"), ("PodName", "checkout")],
            "Average",
        ),
        stat(
            "connections",
            "AWS/RDS",
            "DatabaseConnections",
            &[("DBInstanceIdentifier", "tenant-1-postgres")],
            "Average",
        ),
    ];
    queries.push(
        MetricDataQuery::builder()
            .id("ratio")
            .expression("100 * FILL(errors, 0) / all")
            .label("failed, percent")
            .build(),
    );
    let once = stage.data(&queries, 30, None).await;
    assert!((29..=31).contains(&once["all"].len()), "{:?}", once["all"]);
    assert!(once["all"].values().all(|value| *value > 10.0 && value.fract() == 0.0), "{:?}", once["all"]);
    assert!(once["slow"].values().all(|value| (0.001..10.0).contains(value)), "{:?}", once["slow"]);
    assert!(once["nodes"].values().all(|value| (value - 5.0).abs() < 1e-9), "{:?}", once["nodes"]);
    assert!(once["inexact"].is_empty(), "a set of dimensions that nobody publishes has no data");
    assert!(
        !once["checkout"].is_empty() && once["checkout"].values().all(|value| (0.0..100.0).contains(value))
    );
    assert!(once["connections"].values().all(|value| *value > 10.0));
    assert!(once["ratio"].values().all(|value| (0.0..5.0).contains(value)), "{:?}", once["ratio"]);
    assert_eq!(stage.data(&queries, 30, Some(17)).await, once, "pages add up to the same");

    // The target groups share what the balancer takes.
    let metrics = stage
        .client
        .list_metrics()
        .namespace("AWS/ApplicationELB")
        .metric_name("RequestCount")
        .send()
        .await
        .unwrap();
    let groups: Vec<String> = metrics
        .metrics()
        .iter()
        .flat_map(Metric::dimensions)
        .filter(|dimension| dimension.name() == Some("TargetGroup"))
        .filter_map(|dimension| dimension.value().map(str::to_owned))
        .collect();
    assert!(groups.len() > 3, "{groups:?}");
    let shares: Vec<MetricDataQuery> = groups
        .iter()
        .enumerate()
        .map(|(at, group)| {
            stat(
                &format!("g{at}"),
                "AWS/ApplicationELB",
                "RequestCount",
                &[("TargetGroup", group), ("LoadBalancer", BALANCER)],
                "Sum",
            )
        })
        .collect();
    let shares = stage.data(&shares, 30, None).await;
    let minute = once["all"].keys().nth(10).unwrap();
    let sum: f64 = shares.values().filter_map(|points| points.get(minute)).sum();
    let all = once["all"][minute];
    assert!((sum - all).abs() <= shares.len() as f64, "{sum} of {all}");

    let statistics = stage
        .client
        .get_metric_statistics()
        .namespace("AWS/ApplicationELB")
        .metric_name("RequestCount")
        .dimensions(dimension("LoadBalancer", BALANCER))
        .start_time(stage.ago(30))
        .end_time(stage.ago(0))
        .period(60)
        .statistics(Statistic::Sum)
        .statistics(Statistic::Average)
        .send()
        .await
        .unwrap();
    let sums: Points = statistics
        .datapoints()
        .iter()
        .map(|one| (one.timestamp().unwrap().secs(), one.sum().unwrap()))
        .collect();
    assert_eq!(sums, once["all"]);
    assert!(statistics.datapoints().iter().all(|one| one.average() == Some(1.0)), "each request reports 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_listed_page_by_page() {
    let stage = start("quiet").await;
    let mut all = Vec::new();
    let mut token = None;
    let mut pages = 0;
    loop {
        let page = stage
            .client
            .list_metrics()
            .recently_active(RecentlyActive::Pt3H)
            .set_next_token(token)
            .send()
            .await
            .unwrap();
        assert!(page.metrics().len() <= 500);
        all.extend(page.metrics().to_vec());
        pages += 1;
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let namespaces: BTreeSet<&str> = all.iter().filter_map(Metric::namespace).collect();
    assert_eq!(
        namespaces,
        ["AWS/ApplicationELB", "AWS/NATGateway", "AWS/RDS", "AWS/WAFV2", "ContainerInsights"].into()
    );
    assert!(pages > 1, "{} metrics", all.len());
    let wrong = stage.client.list_metrics().next_token("opsdeck").send().await.unwrap_err();
    assert_eq!(wrong.code(), Some("InvalidNextToken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_deploy_raises_its_alarm_and_is_in_its_history() {
    let stage = start("bad-deploy").await;
    let hurt = stage
        .client
        .describe_alarms()
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm)
        .state_value(StateValue::Alarm)
        .send()
        .await
        .unwrap();
    let names: Vec<&str> = hurt.metric_alarms().iter().filter_map(|alarm| alarm.alarm_name()).collect();
    assert!(names.contains(&"tenant-2-checkout-5xx"), "{names:?}");
    let composite: Vec<&str> =
        hurt.composite_alarms().iter().filter_map(|alarm| alarm.alarm_name()).collect();
    assert!(composite.contains(&"tenant-2-user-impact"), "{composite:?}");
    let alarm = hurt
        .metric_alarms()
        .iter()
        .find(|alarm| alarm.alarm_name() == Some("tenant-2-checkout-5xx"))
        .unwrap();
    let reason = alarm.state_reason().unwrap();
    assert!(
        reason.starts_with("Threshold Crossed: ")
            && reason.contains("greater than or equal to the threshold (25.0)"),
        "{reason}"
    );
    let since = stage.clock.now().as_second() - alarm.state_transitioned_timestamp().unwrap().secs();
    assert!((60..13 * 60).contains(&since), "in alarm for {since} s");
    let history = stage
        .client
        .describe_alarm_history()
        .alarm_name("tenant-2-checkout-5xx")
        .history_item_type(HistoryItemType::StateUpdate)
        .send()
        .await
        .unwrap();
    let latest = &history.alarm_history_items()[0];
    assert_eq!(latest.history_summary(), Some("Alarm updated from OK to ALARM"));
    let data: serde_json::Value = serde_json::from_str(latest.history_data().unwrap()).unwrap();
    assert_eq!(data["newState"]["stateValue"], "ALARM");
    assert!(
        data["newState"]["stateReasonData"]["recentDatapoints"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_was_set_lasts_until_the_next_evaluation() {
    let stage = start("quiet").await;
    let name = "tenant-1-checkout-5xx";
    let set = stage
        .client
        .set_alarm_state()
        .alarm_name(name)
        .state_value(StateValue::Alarm)
        .state_reason("a drill");
    set.send().await.unwrap();
    let state = async || {
        let answer = stage.client.describe_alarms().alarm_names(name).send().await.unwrap();
        let alarm = &answer.metric_alarms()[0];
        (
            alarm.state_value().unwrap().clone(),
            alarm.state_reason().unwrap().to_owned(),
            alarm.actions_enabled(),
        )
    };
    assert_eq!(state().await, (StateValue::Alarm, "a drill".to_owned(), Some(true)));
    stage.client.disable_alarm_actions().alarm_names(name).send().await.unwrap();
    stage.forward(61).await;
    let (value, reason, acts) = state().await;
    assert_eq!((value, acts), (StateValue::Ok, Some(false)), "{reason}");
    stage.client.enable_alarm_actions().alarm_names(name).send().await.unwrap();
    assert_eq!(state().await.2, Some(true));
    let history =
        stage.client.describe_alarm_history().alarm_name(name).max_records(100).send().await.unwrap();
    let told: Vec<&str> =
        history.alarm_history_items().iter().filter_map(|item| item.history_summary()).collect();
    assert!(
        told.contains(&"Alarm updated from OK to ALARM") && told.contains(&"Alarm updated from ALARM to OK"),
        "{told:?}"
    );
    assert_eq!(told.iter().filter(|told| told.ends_with("updated")).count(), 2, "{told:?}");

    let unknown =
        stage.client.set_alarm_state().alarm_name("nobody").state_value(StateValue::Ok).state_reason("x");
    let unknown = unknown.send().await.unwrap_err().into_service_error();
    assert!(unknown.is_resource_not_found(), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_and_what_is_too_much_is_throttled() {
    let stage = start("quiet").await;
    let stranger = client(&stage.running.cloudwatch.url, "AKIASOMEBODYELSE0000");
    let refused = stranger.describe_alarms().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("UnrecognizedClientException"));
    let token = stage.client.describe_alarms().next_token("x").send().await.unwrap_err().into_service_error();
    assert!(token.is_invalid_next_token());
    let range = stage.client.describe_alarms().max_records(101).send().await.unwrap_err();
    assert_eq!(range.code(), Some("ValidationError"));
    let twice = stat("a", "AWS/RDS", "CPUUtilization", &[], "Average");
    let twice = stage.client.get_metric_data().metric_data_queries(twice.clone()).metric_data_queries(twice);
    let twice = twice.start_time(stage.ago(5)).end_time(stage.ago(0)).send().await.unwrap_err();
    assert!(twice.message().unwrap().contains("not unique"), "{twice:?}");

    let now: Timestamp = stage.clock.now();
    let throttle =
        stage.running.handle.call(move |world, _| world.chronicle.signal(cloudwatch::THROTTLED, 0.5, now));
    throttle.await.unwrap();
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(
            stage
                .client
                .list_metrics()
                .namespace("AWS/RDS")
                .send()
                .await
                .err()
                .and_then(|error| error.code().map(str::to_owned)),
        );
    }
    let throttled = codes.iter().flatten().filter(|code| *code == "Throttling").count();
    assert_eq!((throttled, codes.iter().flatten().count()), (2, 2), "{codes:?}");
}
