//! Rotate, restore and refresh a secret: the chain from AWS to the last pod that uses it (contracts 7.5).
//!
//! The chain is a list of steps, each with its proof; no step is taken for done because the one before it was. What it
//! looks at is names, labels, hashes and times: a value is never asked for. It can be taken up again where it was cut
//! off, because every proof is read from AWS and the cluster and nothing is remembered.

mod became;
mod chain;
mod consumers;
mod refresh;
mod remote;

use serde_json::Value;

use self::remote::{Place, Provider};
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, Found, text};
use super::{Line, Mark, Request, Verb};
use crate::human;
use crate::identity::ObjectRef;
use crate::sources::cloudwatch::{CURRENT, CloudSecret, PENDING, PREVIOUS};

pub(super) use became::{Became, became};
pub(super) use chain::run;
pub(super) use refresh::{follow, write};

/// The steps of the chain, in order; [`chain`] numbers them.
pub(super) const STEPS: [&str; 7] = [
    "rotate in AWS",
    "the new version is current",
    "External Secrets refreshed",
    "Secret changed",
    "workloads restarted",
    "rollouts done",
    "every pod started after the change",
];

/// The steps of a restore, which goes the same way.
pub(super) const RESTORE_STEPS: [&str; 7] = [
    "move the labels in AWS",
    "the previous version is current",
    "External Secrets refreshed",
    "Secret changed",
    "workloads restarted",
    "rollouts done",
    "every pod started after the change",
];

pub(super) const REFRESH_STEPS: [&str; 2] = ["ask for a refresh", "refreshed"];

/// The annotation that makes External Secrets refresh by being different (contracts 7.1).
pub(super) const FORCE: &str = "force-sync";

/// Returns the name of the Secret that an `ExternalSecret` feeds.
pub(super) fn target(document: &Value) -> &str {
    match text(document, "/spec/target/name") {
        "" => text(document, "/metadata/name"),
        name => name,
    }
}

/// Says what keeps a forced refresh from doing anything.
fn futile(document: &Value) -> Option<String> {
    match text(document, "/spec/refreshPolicy") {
        "CreatedOnce" => Some(
            "refreshPolicy is CreatedOnce: External Secrets brings nothing again, whatever is forced"
                .to_owned(),
        ),
        "" | "Periodic"
            if human::parse_span(text(document, "/spec/refreshInterval")) == Some(0.0)
                && !text(document, "/status/refreshTime").is_empty() =>
        {
            Some(
                "refreshInterval is 0: External Secrets brings nothing again after the first time".to_owned(),
            )
        }
        _ => None,
    }
}

/// Says what the chain would do.
pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts = Vec::new();
    let name = target(document);
    let refreshed = match text(document, "/status/refreshTime") {
        "" => "never refreshed".to_owned(),
        at => format!("last refreshed at {at}"),
    };
    let reason = document
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .and_then(|all| all.iter().find(|one| text(one, "/type") == "Ready"))
        .map_or(String::new(), |ready| format!(" ({})", text(ready, "/reason")));
    parts.push(Line::new(Mark::From, format!("{refreshed}{reason}; it feeds Secret {name}")).into());
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        parts.push(Line::new(Mark::Stop, "the ExternalSecret is being deleted").into());
    }
    if let Some(why) = futile(document) {
        parts.push(Line::new(Mark::Stop, why).into());
    }
    let verb = request.verb;
    if verb != Verb::RefreshSecret {
        let check = Check::new("asking AWS what it knows of the secret", async move {
            in_aws(desk, verb, object, document).await
        });
        parts.push(check.into());
    }
    let text_of_force = "External Secrets is told to refresh it now (annotation force-sync)";
    parts.push(Line::new(Mark::Change, text_of_force).into());
    let check = Check::new("looking for who uses the Secret", async move {
        consumers::found(desk, verb, object, document).await
    });
    parts.push(check.into());
    let after = if verb == Verb::RefreshSecret {
        "watched until it is refreshed; said is whether the content is other than before"
    } else {
        "watched step by step: the version is current, refreshed, Secret changed, workloads restarted, rolled out, every pod started after the change"
    };
    parts.push(Line::new(Mark::After, after).into());
    Draft {
        parts,
        facts: vec![("/spec", "what it brings"), ("/metadata/deletionTimestamp", "its deletion")],
        command: command(verb, object, document),
        hold: None,
    }
}

/// Writes what does the same without the console.
fn command(verb: Verb, object: &ObjectRef, document: &Value) -> String {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let force = format!(
        "kubectl annotate externalsecret {} -n {namespace} {FORCE}=$(date +%s) --overwrite",
        object.name
    );
    let keys = remote::keys(document);
    let before: Vec<String> = keys
        .iter()
        .filter_map(|key| match verb {
            Verb::Rotate => Some(format!("aws secretsmanager rotate-secret --secret-id {key}; ")),
            Verb::RestoreSecret => Some(format!(
                "aws secretsmanager update-secret-version-stage --secret-id {key} --version-stage {CURRENT} --move-to-version-id ... --remove-from-version-id ...; "
            )),
            _ => None,
        })
        .collect();
    format!("{}{force}", before.concat())
}

/// Says what AWS would be asked to do, and what stands against it.
async fn in_aws<R: Remote>(desk: &Desk<R>, verb: Verb, object: &ObjectRef, document: &Value) -> Found {
    let place = match remote::provider(desk, object, document).await {
        Ok(Provider::Aws(place)) => place,
        Ok(Provider::Other(what)) => {
            let mark = if verb == Verb::RestoreSecret { Mark::Stop } else { Mark::Note };
            return vec![Line::new(
                mark,
                format!("{what}: nothing is rotated from here, it is only refreshed"),
            )]
            .into();
        }
        Err(why) => return vec![Line::new(Mark::Stop, why)].into(),
    };
    let mut lines = Vec::new();
    for key in &place.keys {
        match desk.remote.cloud_secret(&place.region, key).await {
            Ok(secret) => lines.extend(of_secret(verb, object, &place, key, &secret)),
            Err(error) => {
                lines.push(Line::new(
                    Mark::Stop,
                    format!("{error}. To refresh alone, without AWS: refresh-secret"),
                ));
            }
        }
    }
    if remote::is_pinned(document) {
        let text = "it is pinned to a version: another one does not reach the Secret before the pin is changed in Git";
        lines.push(Line::new(Mark::Warn, text));
    }
    lines.into()
}

fn of_secret(verb: Verb, object: &ObjectRef, place: &Place, key: &str, secret: &CloudSecret) -> Vec<Line> {
    let current = secret.staged(CURRENT).unwrap_or("none");
    if secret.is_deleted {
        return vec![Line::new(Mark::Stop, format!("{key} is being deleted in AWS: restore it there first"))];
    }
    let since = secret.rotated.or(secret.changed).map_or_else(String::new, |at| format!(", of {at}"));
    match (verb, secret.unfinished()) {
        (Verb::RestoreSecret, Some(version)) => vec![Line::new(
            Mark::Change,
            format!(
                "{PENDING} is taken from version {version} of {key}: the rotation is given up, {CURRENT} stays at {current}"
            ),
        )],
        (Verb::RestoreSecret, None) => match secret.staged(PREVIOUS) {
            Some(previous) => vec![
                Line::new(Mark::To, format!("version {previous} of {key}")),
                Line::new(
                    Mark::Change,
                    format!("{CURRENT} of {key} goes from {current} back to {previous} in AWS"),
                ),
                Line::new(
                    Mark::Warn,
                    "what the value opens is not put back by this: where a database has the new password, the old one does not open it",
                ),
            ],
            None => vec![Line::new(Mark::Stop, format!("{key} has no previous version to go back to"))],
        },
        (Verb::ResumeRotation, Some(version)) => {
            vec![Line::new(
                Mark::Note,
                format!("a rotation of {key} is going on: version {version} is waited for"),
            )]
        }
        (Verb::ResumeRotation, None) => {
            vec![Line::new(
                Mark::Note,
                format!("nothing is rotated: it goes on from version {current} of {key}{since}"),
            )]
        }
        (_, Some(version)) => {
            let name = &object.name;
            let text = format!(
                "a rotation of {key} is going on or has failed half-way: version {version} is pending; it is waited for, and no other is begun (opsdeck rotate {name} --previous gives it up)"
            );
            vec![Line::new(Mark::Warn, text)]
        }
        (_, None) if secret.rotates => {
            let by =
                secret.function.as_ref().map_or_else(String::new, |name| format!(" by the function {name}"));
            let region = &place.region;
            let text = format!("AWS rotates {key} in {region}{by}; current is version {current}{since}");
            let rights = "needs secretsmanager:RotateSecret and DescribeSecret; whether you may is seen when AWS is asked";
            vec![Line::new(Mark::Change, text), Line::new(Mark::Note, rights)]
        }
        (_, None) => {
            let text = format!(
                "rotation of {key} is not set up in AWS: it is only refreshed; put a new value there first, current is version {current}{since}"
            );
            vec![Line::new(Mark::Warn, text)]
        }
    }
}
