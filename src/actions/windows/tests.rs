use serde_json::json;

use super::*;

fn app() -> Value {
    json!({ "metadata": { "name": "checkout" },
        "spec": { "destination": { "namespace": "tenant-2", "server": "https://kubernetes.default.svc" } } })
}

fn project(windows: Value) -> Value {
    json!({ "spec": { "syncWindows": windows } })
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn verdict(windows: Value, now: &str) -> Verdict {
    decide(&project(windows), App(&app()), at(now))
}

#[test]
fn without_windows_everything_is_open() {
    assert_eq!(verdict(json!([]), "2026-01-05T12:00:00Z"), Verdict::Open);
    assert_eq!(decide(&json!({}), App(&app()), at("2026-01-05T12:00:00Z")), Verdict::Open);
}

#[test]
fn an_active_deny_blocks_until_its_end_and_is_named_by_its_description() {
    let freeze = json!([{ "kind": "deny", "schedule": "0 8 * * *", "duration": "10h",
        "applications": ["*"], "description": "freeze" }]);
    let Verdict::Blocked { window, opens } = verdict(freeze.clone(), "2026-01-05T12:00:00Z") else {
        panic!("not blocked");
    };
    assert_eq!((window.as_str(), opens), ("\"freeze\"", Some(at("2026-01-05T18:00:00Z"))));
    assert_eq!(verdict(freeze, "2026-01-05T19:00:00Z"), Verdict::Open);
}

#[test]
fn an_inactive_allow_blocks_until_its_start() {
    let nightly = json!([{ "kind": "allow", "schedule": "0 22 * * *", "duration": "1h30m", "namespaces": ["tenant-*"] }]);
    let Verdict::Blocked { opens, .. } = verdict(nightly.clone(), "2026-01-05T12:00:00Z") else {
        panic!("not blocked");
    };
    assert_eq!(opens, Some(at("2026-01-05T22:00:00Z")));
    assert_eq!(verdict(nightly.clone(), "2026-01-05T23:29:00Z"), Verdict::Open);
    assert!(matches!(verdict(nightly, "2026-01-05T23:31:00Z"), Verdict::Blocked { .. }));
}

#[test]
fn a_window_that_lets_manual_syncs_through_blocks_automatic_ones_only() {
    let deny = |manual: bool| json!({ "kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["checkout"], "manualSync": manual });
    assert!(matches!(verdict(json!([deny(true)]), "2026-01-05T12:00:00Z"), Verdict::ManualOnly { .. }));
    // Every active deny must let it through.
    assert!(matches!(
        verdict(json!([deny(true), deny(false)]), "2026-01-05T12:00:00Z"),
        Verdict::Blocked { .. }
    ));
}

#[test]
fn a_deny_wins_over_an_allow_and_the_opening_waits_for_both() {
    let windows = json!([
        { "kind": "allow", "schedule": "0 10 * * *", "duration": "4h", "applications": ["*"] },
        { "kind": "deny", "schedule": "0 12 * * *", "duration": "4h", "applications": ["*"] },
    ]);
    assert_eq!(verdict(windows.clone(), "2026-01-05T11:00:00Z"), Verdict::Open);
    let Verdict::Blocked { opens, .. } = verdict(windows, "2026-01-05T13:00:00Z") else {
        panic!("not blocked");
    };
    assert_eq!(opens, Some(at("2026-01-06T10:00:00Z")));
}

#[test]
fn a_schedule_is_read_in_its_own_zone() {
    // 09:00 in Berlin is 08:00 UTC in winter.
    let windows = json!([{ "kind": "deny", "schedule": "0 9 * * *", "duration": "1h", "applications": ["*"], "timeZone": "Europe/Berlin" }]);
    assert!(matches!(verdict(windows.clone(), "2026-01-05T08:30:00Z"), Verdict::Blocked { .. }));
    assert_eq!(verdict(windows, "2026-01-05T09:30:00Z"), Verdict::Open);
}

#[test]
fn windows_concern_an_app_by_any_list_or_by_all_given_with_the_operator() {
    let deny = |extra: Value| {
        let mut window = json!({ "kind": "deny", "schedule": "* * * * *", "duration": "1h" });
        window.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        !matches!(verdict(json!([window]), "2026-01-05T12:00:00Z"), Verdict::Open)
    };
    assert!(deny(json!({ "applications": ["check*"], "namespaces": ["other"] })));
    assert!(!deny(json!({ "applications": ["check*"], "namespaces": ["other"], "andOperator": true })));
    assert!(deny(json!({ "applications": ["check*"], "namespaces": ["tenant-?"], "andOperator": true })));
    assert!(deny(json!({ "clusters": ["https://kubernetes.*"] })));
    assert!(!deny(json!({ "applications": ["cart"] })));
    assert!(!deny(json!({})));
}

#[test]
fn a_window_that_cannot_be_read_is_not_taken_for_open() {
    let windows =
        json!([{ "kind": "deny", "schedule": "sometimes", "duration": "1h", "applications": ["*"] }]);
    assert!(
        matches!(verdict(windows, "2026-01-05T12:00:00Z"), Verdict::Unknown(why) if why.contains("sometimes"))
    );
}
