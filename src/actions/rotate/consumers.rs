//! Who uses the Secret that an `ExternalSecret` feeds, and who restarts them when it changes.

use jiff::Timestamp;
use serde_json::Value;

use super::target;
use crate::actions::application::list;
use crate::actions::desk::{Desk, Remote};
use crate::actions::draft::{Also, Found, text};
use crate::actions::rollout::on_delete;
use crate::actions::{Line, Mark, Verb};
use crate::gate::Access;
use crate::identity::{ObjectRef, Resource};
use crate::kinds::secret_uses::{SecretMarks, SecretUse, reloads};
use crate::kinds::secrets;
use crate::kinds::workloads::secrets_of_spec;
use crate::sources::SourceError;

/// How many names a line names.
const NAMES: usize = 5;

/// A workload whose pods read the Secret only when they start.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    /// The workload.
    pub object: ObjectRef,
    /// As it was read.
    pub document: Value,
    /// Whether Reloader restarts it when the Secret changes.
    pub reloads: bool,
}

impl Workload {
    /// Writes it as kubectl does: `deployment/checkout`.
    pub fn called(&self) -> String {
        let plural = &*self.object.resource.plural;
        format!("{}/{}", plural.strip_suffix('s').unwrap_or(plural), self.object.name)
    }

    fn pods(&self) -> i64 {
        let pointer = match &*self.object.resource.plural {
            "daemonsets" => "/status/desiredNumberScheduled",
            _ => "/spec/replicas",
        };
        self.document.pointer(pointer).and_then(Value::as_i64).unwrap_or(1)
    }
}

/// Who uses the Secret.
#[derive(Debug, Clone, Default)]
pub(super) struct Users {
    /// Workloads that a new content reaches by a new start only.
    pub workloads: Vec<Workload>,
    /// Workloads that have it as a volume, which the kubelet refreshes.
    pub by_volume: Vec<String>,
}

/// Returns the Secret that an `ExternalSecret` feeds.
pub(super) fn secret_of(object: &ObjectRef, document: &Value) -> ObjectRef {
    ObjectRef { resource: secrets::secret(), name: target(document).into(), ..object.clone() }
}

fn needs_restart(uses: &[SecretUse], secret: &str) -> Option<bool> {
    let mut ours = uses.iter().filter(|one| *one.secret == *secret).peekable();
    ours.peek()?;
    Some(ours.any(|one| one.how.needs_restart()))
}

/// Lists the workloads of the namespace that use the Secret.
pub(super) async fn users<R: Remote>(desk: &Desk<R>, secret: &ObjectRef) -> Result<Users, SourceError> {
    let known = desk.remote.look(secret).await.ok().flatten().unwrap_or_default();
    let is_set = |key: &str| {
        known.pointer("/metadata/annotations").and_then(|all| all.get(key)).and_then(Value::as_str)
            == Some("true")
    };
    let marks = SecretMarks {
        ignored: is_set("reloader.stakater.com/ignore"),
        matched: is_set("reloader.stakater.com/match"),
    };
    let mut users = Users::default();
    for plural in ["deployments", "statefulsets", "daemonsets"] {
        let resource = Resource::new("apps", plural);
        let all = desk.remote.list(&resource, secret.namespace.as_deref(), "", "").await?;
        for document in all {
            let Some(spec) = document.pointer("/spec/template/spec") else { continue };
            let Some(restarts) = needs_restart(&secrets_of_spec(spec), &secret.name) else { continue };
            let name = text(&document, "/metadata/name");
            let object = ObjectRef { resource: resource.clone(), name: name.into(), ..secret.clone() };
            if !restarts {
                users.by_volume.push(name.to_owned());
                continue;
            }
            let annotation = |key: &str| {
                let of = |pointer: &str| document.pointer(pointer)?.get(key)?.as_str();
                of("/metadata/annotations").or_else(|| of("/spec/template/metadata/annotations"))
            };
            let reloads = reloads(annotation, &secret.name, marks);
            users.workloads.push(Workload { object, document, reloads });
        }
    }
    Ok(users)
}

/// Names a few and counts the rest.
pub(super) fn named(names: &[String]) -> String {
    match names.len() {
        0..=NAMES => names.join(", "),
        many => format!("{} and {} more", names[..NAMES].join(", "), many - NAMES),
    }
}

/// Says who would be restarted and by whom; those that the chain restarts itself become part of the plan.
pub(super) async fn found<R: Remote>(
    desk: &Desk<R>,
    verb: Verb,
    object: &ObjectRef,
    document: &Value,
) -> Found {
    let secret = secret_of(object, document);
    let users = match users(desk, &secret).await {
        Ok(users) => users,
        Err(error) => {
            let mark = if verb == Verb::RefreshSecret { Mark::Warn } else { Mark::Stop };
            return vec![Line::new(mark, format!("who uses Secret {} is not known: {error}", secret.name))]
                .into();
        }
    };
    let mut lines = Vec::new();
    let (by_reloader, ours): (Vec<&Workload>, Vec<&Workload>) =
        users.workloads.iter().partition(|one| one.reloads);
    let say = |of: &[&Workload]| {
        let pods: i64 = of.iter().map(|one| one.pods()).sum();
        let names: Vec<String> = of.iter().map(|one| one.called()).collect();
        format!("{} ({pods} {})", named(&names), if pods == 1 { "pod" } else { "pods" })
    };
    if users.workloads.is_empty() {
        lines.push(Line::new(
            Mark::Note,
            format!("no workload reads Secret {} at its start: nothing is restarted", secret.name),
        ));
    }
    if !by_reloader.is_empty() {
        lines.push(Line::new(
            Mark::Change,
            format!("if the content changes, Reloader restarts {}", say(&by_reloader)),
        ));
    }
    if !ours.is_empty() {
        let (mark, text) = if verb == Verb::RefreshSecret {
            (Mark::Warn, format!("nobody restarts {}: no annotation asks Reloader to", say(&ours)))
        } else {
            (
                Mark::Change,
                format!("restarted by this, because no annotation asks Reloader to: {}", say(&ours)),
            )
        };
        lines.push(Line::new(mark, text));
    }
    if !users.by_volume.is_empty() {
        let text = format!(
            "mounted as a volume, refreshed by itself in a minute or two: {}",
            named(&users.by_volume)
        );
        lines.push(Line::new(Mark::Note, text));
    }
    let is_paused =
        |one: &&Workload| one.document.pointer("/spec/paused").and_then(Value::as_bool) == Some(true);
    let stuck: Vec<String> = users
        .workloads
        .iter()
        .filter(|one| is_paused(one) || on_delete(&one.document))
        .map(Workload::called)
        .collect();
    if !stuck.is_empty() && verb != Verb::RefreshSecret {
        let text =
            format!("paused or replaced only by hand, their pods keep the old content: {}", named(&stuck));
        lines.push(Line::new(Mark::Stop, text));
    }
    let also = match verb {
        Verb::RefreshSecret => Vec::new(),
        // Reloader acts on the change, which may have been before: what it missed is restarted by hand.
        Verb::ResumeRotation => users.workloads.iter().map(also).collect(),
        _ => ours.into_iter().map(also).collect(),
    };
    Found { lines, also, ..Found::default() }
}

fn also(one: &Workload) -> Also {
    Also {
        object: one.object.clone(),
        document: one.document.clone(),
        facts: vec![
            ("/spec/paused", "whether it is paused"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        access: vec![Access::to("patch", &one.object)],
    }
}

/// The pods that read the Secret at their start: those that have it as it was, and those that have not started.
#[derive(Debug, Default)]
pub(super) struct Readers {
    /// How many there are.
    pub all: usize,
    /// Started before the change.
    pub stale: Vec<String>,
    /// Not started yet.
    pub starting: usize,
}

/// Looks which pods started after a moment.
pub(super) async fn readers<R: Remote>(
    desk: &Desk<R>,
    secret: &ObjectRef,
    changed: Timestamp,
) -> Result<Readers, SourceError> {
    let pods = desk.remote.list(&Resource::new("", "pods"), secret.namespace.as_deref(), "", "").await?;
    let mut readers = Readers::default();
    for pod in &pods {
        let ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        if ended || !text(pod, "/metadata/deletionTimestamp").is_empty() {
            continue;
        }
        let Some(spec) = pod.pointer("/spec") else { continue };
        if needs_restart(&secrets_of_spec(spec), &secret.name) != Some(true) {
            continue;
        }
        readers.all += 1;
        let Ok(started) = text(pod, "/status/startTime").parse::<Timestamp>() else {
            readers.starting += 1;
            continue;
        };
        // In the second of the change itself only the start of its containers tells: they read it then.
        let same = started.as_second() == changed.as_second();
        match (started > changed && !same, same.then(|| containers_started(pod)).flatten()) {
            (true, _) => {}
            (false, Some(last)) if last > changed => {}
            (false, None) if same => readers.starting += 1,
            _ => {
                let owner =
                    list(pod, "/metadata/ownerReferences").iter().map(|one| text(one, "/kind")).next();
                let of = owner.map_or_else(|| "no owner".to_owned(), |kind| format!("of a {kind}"));
                readers.stale.push(format!("{} ({of})", text(pod, "/metadata/name")));
            }
        }
    }
    Ok(readers)
}

/// Returns when the first of the pod's containers was started; `None` while one does not run.
fn containers_started(pod: &Value) -> Option<Timestamp> {
    let statuses = list(pod, "/status/containerStatuses");
    let started: Option<Vec<Timestamp>> =
        statuses.iter().map(|one| text(one, "/state/running/startedAt").parse().ok()).collect();
    started?.into_iter().min()
}
