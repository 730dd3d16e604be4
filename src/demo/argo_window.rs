//! Sync windows of a project: whether an operation on an application may run now (`contracts.md` 1.7).
//!
//! Pure: windows and a time in, a decision out. It starts and stops nothing.

use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::untyped::{self, flag, list, text};

/// What the windows of a project say about an application at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Operations run.
    Open,
    /// Only operations that a person started run.
    ManualOnly,
    /// Nothing runs.
    Closed,
}

impl Decision {
    /// Says whether an operation may run; `manual` when a person started it.
    pub fn permits(self, manual: bool) -> bool {
        match self {
            Self::Open => true,
            Self::ManualOnly => manual,
            Self::Closed => false,
        }
    }
}

/// Decides for an application of a project; `cluster` holds the server and the name of its destination.
///
/// A window with a schedule, zone or duration that cannot be read is never active, as in Argo CD, whose project
/// validation refuses it.
pub fn decide(
    project: &Value,
    application: &str,
    namespace: &str,
    cluster: &[&str],
    now: Timestamp,
) -> Decision {
    let assigned: Vec<&Value> = list(project, "/spec/syncWindows")
        .iter()
        .filter(|window| applies(window, application, namespace, cluster))
        .collect();
    let manual = |windows: &[&Value]| windows.iter().all(|window| flag(window, "/manualSync"));
    let of = |kind: &str| -> (Vec<&Value>, Vec<&Value>) {
        assigned.iter().filter(|window| text(window, "/kind") == kind).partition(|window| active(window, now))
    };
    let (denying, _) = of("deny");
    if !denying.is_empty() {
        return if manual(&denying) { Decision::ManualOnly } else { Decision::Closed };
    }
    let (allowing, waiting) = of("allow");
    if !allowing.is_empty() || waiting.is_empty() {
        Decision::Open
    } else if manual(&waiting) {
        Decision::ManualOnly
    } else {
        Decision::Closed
    }
}

/// Says whether a window is assigned to an application: any list matches, or all with `andOperator`.
fn applies(window: &Value, application: &str, namespace: &str, cluster: &[&str]) -> bool {
    let any = |pointer: &str, names: &[&str]| {
        let globs = list(window, pointer);
        globs.iter().filter_map(Value::as_str).any(|glob| names.iter().any(|name| matches(glob, name)))
    };
    let by =
        [any("/applications", &[application]), any("/namespaces", &[namespace]), any("/clusters", cluster)];
    if flag(window, "/andOperator") {
        // A list that is absent does not count against the others.
        ["/applications", "/namespaces", "/clusters"]
            .iter()
            .zip(by)
            .all(|(pointer, matched)| matched || list(window, pointer).is_empty())
    } else {
        by.contains(&true)
    }
}

/// Says whether a window is active: the next start counted from `now` less its duration lies before `now`.
pub fn active(window: &Value, now: Timestamp) -> bool {
    let Some(length) = untyped::duration(text(window, "/duration")) else { return false };
    let from = untyped::later(now, -length);
    start_after(window, from).is_some_and(|start| start < now)
}

/// Returns when a window opens next after a moment.
pub fn start_after(window: &Value, after: Timestamp) -> Option<Timestamp> {
    let zone = match text(window, "/timeZone") {
        "" => TimeZone::UTC,
        name => TimeZone::get(name).ok()?,
    };
    let schedule =
        CronParser::builder().seconds(Seconds::Disallowed).build().parse(text(window, "/schedule")).ok()?;
    let start = schedule.find_next_occurrence(&after.to_zoned(zone), false).ok()?;
    Some(start.timestamp())
}

/// Matches a name against a glob with `*` and `?`, in which no character is special to `*`.
pub fn matches(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    let (mut g, mut n) = (0, 0);
    // Where the last star stands and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if glob.get(g) == Some(&'*') {
            star = Some((g, n));
            g += 1;
        } else if glob.get(g).is_some_and(|c| *c == '?' || *c == name[n]) {
            g += 1;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            g = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-19T{time}Z").parse().unwrap()
    }

    fn ask(windows: Value, time: &str) -> Decision {
        let project = json!({"spec": {"syncWindows": windows}});
        decide(
            &project,
            "tenant-1-web",
            "tenant-1",
            &["https://kubernetes.default.svc", "in-cluster"],
            at(time),
        )
    }

    #[test]
    fn a_window_is_active_from_its_start_until_its_duration_has_passed() {
        let window = json!({"schedule": "0 14 * * *", "duration": "2h"});
        for (time, expected) in [
            ("13:59:59", false),
            ("14:00:00", false),
            ("14:00:01", true),
            ("15:59:59", true),
            ("16:00:00", false),
        ] {
            assert_eq!(active(&window, at(time)), expected, "{time}");
        }
        let berlin = json!({"schedule": "0 15 * * *", "duration": "1h", "timeZone": "Europe/Berlin"});
        assert!(active(&berlin, at("14:30:00")) && !active(&berlin, at("15:30:00")));
        assert!(!active(&json!({"schedule": "nonsense", "duration": "1h"}), at("14:30:00")));
    }

    #[test]
    fn no_window_is_open() {
        assert_eq!(ask(json!([]), "12:00:00"), Decision::Open);
        let other = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["tenant-2-*"]}]);
        assert_eq!(ask(other, "12:00:00"), Decision::Open);
    }

    #[test]
    fn an_active_deny_wins_and_manual_needs_every_active_deny_to_allow_it() {
        let deny = |manual: bool| json!({"kind": "deny", "schedule": "0 12 * * *", "duration": "1h", "applications": ["*"], "manualSync": manual});
        let allow =
            json!({"kind": "allow", "schedule": "0 0 * * *", "duration": "24h", "applications": ["*"]});
        assert_eq!(ask(json!([deny(true), allow]), "12:30:00"), Decision::ManualOnly);
        assert_eq!(ask(json!([deny(true), deny(false), allow]), "12:30:00"), Decision::Closed);
        assert_eq!(ask(json!([deny(false), allow]), "13:30:00"), Decision::Open);
        assert!(Decision::ManualOnly.permits(true) && !Decision::ManualOnly.permits(false));
    }

    #[test]
    fn allow_windows_that_are_all_inactive_block_and_manual_needs_all_of_them() {
        let allow = |at: &str, manual: bool| json!({"kind": "allow", "schedule": at, "duration": "1h", "namespaces": ["tenant-*"], "manualSync": manual});
        assert_eq!(ask(json!([allow("0 12 * * *", false)]), "12:30:00"), Decision::Open);
        assert_eq!(
            ask(json!([allow("0 12 * * *", true), allow("0 9 * * *", false)]), "11:30:00"),
            Decision::Closed
        );
        assert_eq!(
            ask(json!([allow("0 12 * * *", true), allow("0 9 * * *", true)]), "11:30:00"),
            Decision::ManualOnly
        );
    }

    #[test]
    fn one_matching_list_is_enough_unless_all_are_asked_for() {
        let deny = |and: bool| {
            json!([{"kind": "deny", "schedule": "0 12 * * *", "duration": "1h", "applications": ["tenant-9-*"],
            "clusters": ["in-cluster"], "andOperator": and}])
        };
        assert_eq!(ask(deny(false), "12:30:00"), Decision::Closed);
        assert_eq!(ask(deny(true), "12:30:00"), Decision::Open);
    }

    #[test]
    fn globs_match_whole_names() {
        for (glob, name, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("*-web", "t-1-web", true),
            ("web", "web2", false),
        ] {
            assert_eq!(matches(glob, name), expected, "{glob} {name}");
        }
    }
}
