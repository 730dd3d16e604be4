//! Sync windows of an AppProject: whether an operation may run now, and when it may next.
//!
//! The decision is Argo CD's (`SyncWindows.CanSync`): an active deny blocks; else an active allow permits;
//! else allows that are not active block; without windows everything is allowed.

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::Deserialize;
use serde_json::Value;

use super::application::{App, list};
use super::desk::{Desk, Remote};
use super::draft::text;
use super::{Line, Mark};
use crate::human;
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::argo::Project;

/// How many openings and closings ahead the next opening is looked for.
const AHEAD: usize = 200;

/// A sync window as the project spells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Window {
    kind: String,
    schedule: String,
    duration: String,
    applications: Vec<String>,
    namespaces: Vec<String>,
    clusters: Vec<String>,
    manual_sync: bool,
    time_zone: String,
    and_operator: bool,
    description: String,
}

/// What the windows of a project say of one Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is in the way.
    Open,
    /// Automatic syncs are blocked, one begun by hand is not.
    ManualOnly {
        /// The window.
        window: String,
    },
    /// Blocked.
    Blocked {
        /// The window.
        window: String,
        /// When it is open next, where that can be computed.
        opens: Option<Timestamp>,
    },
    /// A window cannot be understood.
    Unknown(String),
}

/// Says why automatic syncs are not let through now; `None` where they are, or where that is not known.
pub(super) async fn closed<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    document: &Value,
) -> Option<String> {
    let now = desk.clock.now();
    let project = desk.remote.look(&project_of(object, document)).await.ok()??;
    match decide(&project, App(document), now) {
        Verdict::ManualOnly { window } => Some(format!("sync window {window} is closed for automatic syncs")),
        Verdict::Blocked { window, opens: Some(opens) } => {
            let at = human::moment(opens, now, &TimeZone::UTC);
            Some(format!("sync window {window} is closed until {at} UTC"))
        }
        Verdict::Blocked { window, opens: None } => Some(format!("sync window {window} is closed")),
        Verdict::Open | Verdict::Unknown(_) => None,
    }
}

/// Names the project of an Application.
fn project_of(object: &ObjectRef, document: &Value) -> ObjectRef {
    let project = match text(document, "/spec/project") {
        "" => "default",
        project => project,
    };
    let namespace = match text(document, "/status/controllerNamespace") {
        "" => object.namespace.clone(),
        namespace => Some(namespace.into()),
    };
    ObjectRef {
        context: object.context.clone(),
        resource: Resource::new("argoproj.io", "appprojects"),
        namespace,
        name: project.into(),
    }
}

/// Asks the project of an Application and says what its windows mean for an operation begun by hand.
pub(super) async fn lines<R: Remote>(desk: &Desk<R>, object: &ObjectRef, document: &Value) -> Vec<Line> {
    let at = project_of(object, document);
    let project = &at.name;
    let now = desk.clock.now();
    match desk.remote.look(&at).await {
        Ok(Some(project)) => vec![line(&decide(&project, App(document), now), now)],
        Ok(None) => {
            let text = format!("AppProject {project} does not exist: the operation would be refused");
            vec![Line::new(Mark::Stop, text)]
        }
        Err(error) => {
            let text = format!(
                "sync windows are not known, AppProject {project} cannot be read: {error}; where one is closed, the operation hangs"
            );
            vec![Line::new(Mark::Warn, text)]
        }
    }
}

fn line(verdict: &Verdict, now: Timestamp) -> Line {
    match verdict {
        Verdict::Open => Line::new(Mark::Ok, "no sync window is in the way"),
        Verdict::ManualOnly { window } => Line::new(
            Mark::Note,
            format!("sync window {window} is closed for automatic syncs; one begun by hand is let through"),
        ),
        Verdict::Blocked { window, opens: Some(opens) } => {
            let at = human::moment(*opens, now, &TimeZone::UTC);
            let wait = human::span(opens.as_second() - now.as_second());
            Line::new(
                Mark::Stop,
                format!(
                    "sync window {window} is closed until {at} UTC (in {wait}): the operation would hang until then"
                ),
            )
        }
        Verdict::Blocked { window, opens: None } => Line::new(
            Mark::Stop,
            format!("sync window {window} is closed, and no opening is in sight: the operation would hang"),
        ),
        Verdict::Unknown(why) => {
            Line::new(Mark::Warn, format!("a sync window cannot be understood ({why}): look at the project"))
        }
    }
}

/// Decides for an operation begun by hand, from what the store keeps of the project.
pub fn standing(project: &Project, app: App<'_>, now: Timestamp) -> Verdict {
    let owned = |texts: &[Text]| texts.iter().map(ToString::to_string).collect();
    let windows = project.windows.iter().map(|window| Window {
        kind: if window.denies { "deny" } else { "allow" }.to_owned(),
        schedule: window.schedule.to_string(),
        duration: window.duration.to_string(),
        applications: owned(&window.applications),
        namespaces: owned(&window.namespaces),
        clusters: owned(&window.clusters),
        manual_sync: window.manual,
        time_zone: window.zone.as_deref().unwrap_or_default().to_owned(),
        and_operator: window.all,
        description: window.description.as_deref().unwrap_or_default().to_owned(),
    });
    judged(&windows.filter(|window| window.concerns(app)).collect::<Vec<_>>(), now)
}

/// Decides for an operation begun by hand.
pub(super) fn decide(project: &Value, app: App<'_>, now: Timestamp) -> Verdict {
    let mut windows = Vec::new();
    for value in list(project, "/spec/syncWindows") {
        match serde_json::from_value::<Window>(value.clone()) {
            Ok(window) if window.concerns(app) => windows.push(window),
            Ok(_) => {}
            Err(error) => return Verdict::Unknown(error.to_string()),
        }
    }
    judged(&windows, now)
}

fn judged(windows: &[Window], now: Timestamp) -> Verdict {
    let mut schedules = Vec::new();
    for window in windows {
        match Schedule::of(window) {
            Ok(schedule) => schedules.push(schedule),
            Err(why) => return Verdict::Unknown(why),
        }
    }
    match judge(&schedules, now) {
        Judgement::Open => Verdict::Open,
        Judgement::ManualOnly(window) => Verdict::ManualOnly { window: window.name() },
        Judgement::Blocked(window) => {
            Verdict::Blocked { window: window.name(), opens: opening(&schedules, now) }
        }
    }
}

enum Judgement<'a> {
    Open,
    ManualOnly(&'a Window),
    Blocked(&'a Window),
}

fn judge<'a>(schedules: &[Schedule<'a>], at: Timestamp) -> Judgement<'a> {
    let of = |kind: &'static str| schedules.iter().filter(move |one| one.window.kind == kind);
    let mut denies = of("deny").filter(|one| one.active(at)).peekable();
    if let Some(first) = denies.peek().map(|one| one.window) {
        return match denies.find(|one| !one.window.manual_sync) {
            Some(strict) => Judgement::Blocked(strict.window),
            None => Judgement::ManualOnly(first),
        };
    }
    if of("allow").any(|one| one.active(at)) {
        return Judgement::Open;
    }
    let Some(first) = of("allow").next() else { return Judgement::Open };
    match of("allow").find(|one| !one.window.manual_sync) {
        Some(strict) => Judgement::Blocked(strict.window),
        None => Judgement::ManualOnly(first.window),
    }
}

/// Finds when an operation begun by hand may run next, stepping from one opening or closing to the next.
fn opening(schedules: &[Schedule<'_>], now: Timestamp) -> Option<Timestamp> {
    let mut at = now;
    for _ in 0..AHEAD {
        at = schedules.iter().filter_map(|schedule| schedule.next_change(at)).min()?;
        if !matches!(judge(schedules, at), Judgement::Blocked(_)) {
            return Some(at);
        }
    }
    None
}

impl Window {
    /// Any of the three lists matches, or all that are given with the and-operator.
    fn concerns(&self, app: App<'_>) -> bool {
        let server = text(app.0, "/spec/destination/server");
        let cluster = text(app.0, "/spec/destination/name");
        let any = |globs: &[String], names: &[&str]| {
            globs.iter().any(|glob| names.iter().any(|name| matches_glob(glob, name)))
        };
        let lists = [
            (&self.applications, any(&self.applications, &[app.name()])),
            (&self.namespaces, any(&self.namespaces, &[text(app.0, "/spec/destination/namespace")])),
            (&self.clusters, any(&self.clusters, &[server, cluster])),
        ];
        if self.and_operator {
            let mut given = lists.iter().filter(|(globs, _)| !globs.is_empty()).peekable();
            given.peek().is_some() && given.all(|(_, matches)| *matches)
        } else {
            lists.iter().any(|(_, matches)| *matches)
        }
    }

    fn name(&self) -> String {
        if self.description.is_empty() {
            format!("({} {} for {})", self.kind, self.schedule, self.duration)
        } else {
            format!("\"{}\"", self.description)
        }
    }
}

/// A window whose schedule is understood.
struct Schedule<'a> {
    window: &'a Window,
    cron: croner::Cron,
    length: SignedDuration,
    zone: TimeZone,
}

impl<'a> Schedule<'a> {
    fn of(window: &'a Window) -> Result<Self, String> {
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&window.schedule)
            .map_err(|error| format!("schedule {:?}: {error}", window.schedule))?;
        let length =
            go_duration(&window.duration).ok_or_else(|| format!("duration {:?}", window.duration))?;
        let zone = match window.time_zone.as_str() {
            "" => TimeZone::UTC,
            zone => TimeZone::get(zone).map_err(|error| format!("time zone {zone:?}: {error}"))?,
        };
        Ok(Self { window, cron, length, zone })
    }

    /// The next start after `at`, not counting one at `at` itself.
    fn next_start(&self, at: Timestamp) -> Option<Timestamp> {
        let at: Zoned = at.to_zoned(self.zone.clone());
        self.cron.find_next_occurrence(&at, false).ok().map(|next| next.timestamp())
    }

    /// Active when the next start computed from one length ago is before now.
    fn active(&self, at: Timestamp) -> bool {
        at.checked_sub(self.length)
            .ok()
            .and_then(|from| self.next_start(from))
            .is_some_and(|start| start <= at)
    }

    /// The next moment at which it opens or closes.
    fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let start = self.next_start(at);
        let end = at
            .checked_sub(self.length)
            .ok()
            .and_then(|from| self.next_start(from))
            .and_then(|start| start.checked_add(self.length).ok())
            .filter(|end| *end > at);
        start.into_iter().chain(end).min()
    }
}

/// Reads a Go duration such as `1h30m`; windows are never shorter than a second.
fn go_duration(text: &str) -> Option<SignedDuration> {
    let mut seconds = 0.0_f64;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    SignedDuration::try_from_secs_f64(seconds).ok().filter(SignedDuration::is_positive)
}

/// Matches a glob with `*` and `?` as Argo CD does for names; an empty name matches nothing but `*`.
fn matches_glob(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut g, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if g < glob.len() && (glob[g] == b'?' || glob[g] == name[n]) && glob[g] != b'*' {
            (g, n) = (g + 1, n + 1);
        } else if g < glob.len() && glob[g] == b'*' {
            star = Some((g, n));
            g += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (g, n) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
