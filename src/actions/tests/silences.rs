//! What a silence hides, what it is refused for, and that it is made once.

use super::cluster::Fault;
use super::*;

fn for_an_hour() -> Options {
    Options { minutes: Some(60), ..Options::default() }
}

#[tokio::test]
async fn the_plan_names_every_alert_that_it_would_hide_and_leaves_noise_out_of_the_matchers() {
    let bench = Bench::new();
    let one = alert(&bench.cluster, "HighErrorRate", "f1").await;
    alert(&bench.cluster, "HighLatency", "f2").await;
    let plan = bench.plan(Verb::Silence, &one, for_an_hour()).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert_line(&plan, Mark::Change, "hides HighErrorRate (critical) in tenant-2, firing for 4m");
    assert_line(&plan, Mark::Ok, "1 of 2 alerts that fire now");
    let change = r#"alertname="HighErrorRate" namespace="tenant-2" severity="critical" for 60m"#;
    assert_line(&plan, Mark::Change, change);
    assert!(plan.lines.iter().all(|line| !line.text.contains("monitoring/k8s")), "{:#?}", plan.lines);
}

#[tokio::test]
async fn an_alertmanager_that_does_not_answer_is_named_in_the_plan() {
    let bench = Bench::new();
    let one = alert(&bench.cluster, "HighErrorRate", "f1").await;
    bench.cluster.gap("Alertmanager at monitoring/b:9093 cannot be reached").await;
    let plan = bench.plan(Verb::Silence, &one, for_an_hour()).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    assert_line(&plan, Mark::Warn, "not counted: Alertmanager at monitoring/b:9093 cannot be reached");
}

#[tokio::test]
async fn a_silence_that_hides_too_large_a_share_is_refused_and_a_wide_one_is_warned_of() {
    let bench = Bench::new();
    let mut first = None;
    for number in 0..4 {
        first = Some(alert(&bench.cluster, &format!("Alert{number}"), &format!("f{number}")).await);
    }
    let one = first.unwrap();
    let everything = Options { matchers: vec![r#"namespace="tenant-2""#.to_owned()], ..for_an_hour() };
    let plan = bench.plan(Verb::Silence, &one, everything).await;
    assert_line(&plan, Mark::Stop, "more than 50 %");
    let nothing = Options { matchers: vec!["namespace=~.*".to_owned()], ..for_an_hour() };
    let plan = bench.plan(Verb::Silence, &one, nothing).await;
    assert_line(&plan, Mark::Stop, "it would match everything");
}

#[tokio::test]
async fn a_silence_has_an_end_and_a_reason() {
    let mut bench = Bench::new();
    let one = alert(&bench.cluster, "HighErrorRate", "f1").await;
    let plan = bench.plan(Verb::Silence, &one, Options::default()).await;
    assert_line(&plan, Mark::Stop, "a silence needs an end");
    let mut plan = bench.plan(Verb::Silence, &one, for_an_hour()).await;
    plan.request.reason.clear();
    let refused = confirm(&mut bench.gate, plan, Answer::Yes, noon()).unwrap_err();
    assert!(refused.to_string().contains("a reason must be given"), "{refused}");
}

#[tokio::test]
async fn a_silence_is_posted_as_alertmanager_takes_it_and_watched_until_the_alert_is_quiet() {
    let mut bench = Bench::new();
    let one = alert(&bench.cluster, "HighErrorRate", "f1").await;
    let outcome = bench.act(Verb::Silence, &one, for_an_hour()).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.contains("kept quiet")), "{outcome:?}");
    let writes = bench.cluster.writes().await;
    let matcher =
        |name: &str, value: &str| json!({ "name": name, "value": value, "isRegex": false, "isEqual": true });
    assert_eq!(
        writes,
        [json!({
            "matchers": [
                matcher("alertname", "HighErrorRate"),
                matcher("namespace", "tenant-2"),
                matcher("severity", "critical"),
            ],
            "startsAt": "2026-01-05T12:00:00Z",
            "endsAt": "2026-01-05T13:00:00Z",
            "createdBy": "alice@example",
            "comment": "INC-7",
            "id": "",
        })]
    );
}

#[tokio::test]
async fn a_silence_whose_answer_was_lost_is_found_and_not_made_twice() {
    let mut bench = Bench::new();
    let one = alert(&bench.cluster, "HighErrorRate", "f1").await;
    bench.cluster.faults([Fault::AnswerLost]).await;
    let outcome = bench.act(Verb::Silence, &one, for_an_hour()).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    assert_eq!(bench.cluster.writes().await.len(), 1);

    let mut bench = Bench::new();
    let one = alert(&bench.cluster, "HighErrorRate", "f1").await;
    bench.cluster.faults([Fault::NotSent]).await;
    let outcome = bench.act(Verb::Silence, &one, for_an_hour()).await;
    assert!(matches!(&outcome, Outcome::Failed(why) if why.contains("not known")), "{outcome:?}");
    assert!(bench.cluster.writes().await.is_empty());
}

#[tokio::test]
async fn extending_keeps_everything_but_the_end() {
    let mut bench = Bench::new();
    let (silence, options) = something_for(&bench.cluster, Verb::ExtendSilence).await;
    let outcome = bench.act(Verb::ExtendSilence, &silence, options).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let writes = bench.cluster.writes().await;
    assert_eq!(writes[0]["endsAt"], "2026-01-05T14:00:00Z");
    assert_eq!((&writes[0]["id"], &writes[0]["createdBy"]), (&json!("s1"), &json!("bob")));
    assert_eq!(writes[0]["startsAt"], "2026-01-05T11:00:00Z");
}

#[tokio::test]
async fn a_silence_that_is_over_is_neither_extended_nor_expired() {
    let bench = Bench::new();
    let mut document = silence_document();
    document["status"]["state"] = json!("expired");
    let silence = object("signals", "silences", "", "s1");
    bench.cluster.put(&silence, document).await;
    for verb in [Verb::ExtendSilence, Verb::ExpireSilence] {
        let plan = bench.plan(verb, &silence, for_an_hour()).await;
        assert_line(&plan, Mark::Stop, "it is over already");
    }
}
