//! What became of a rotation that was cut off: read from AWS and the cluster, step by step.

use jiff::Timestamp;
use serde_json::Value;

use super::chain::token;
use super::consumers::{readers, secret_of};
use super::refresh::content_changed;
use super::remote::{self, Provider};
use crate::actions::desk::{Desk, Remote};
use crate::actions::draft::text;
use crate::identity::ObjectRef;

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::actions) enum Became {
    /// To the end; with the evidence.
    Done(String),
    /// To a step before the end; which, and how it goes on.
    Stopped(String),
    /// To no step: nothing was sent; with the evidence.
    NotBegun(String),
    /// It cannot be asked now, or AWS is still at it.
    Open,
}

/// Finds out how far an action that was begun at a moment has come.
pub(in crate::actions) async fn became<R: Remote>(
    desk: &Desk<R>,
    (verb, id, begun): (&str, &str, Timestamp),
    object: &ObjectRef,
    document: &Value,
) -> Became {
    let space = object.namespace.as_deref().unwrap_or_default();
    let on = format!("go on with: opsdeck rotate {} -n {space} --resume", object.name);
    if verb == "rotate" {
        match remote::provider(desk, object, document).await {
            Ok(Provider::Aws(place)) => {
                for key in &place.keys {
                    let Ok(secret) = desk.remote.cloud_secret(&place.region, key).await else {
                        return Became::Open;
                    };
                    let token = token(id, key);
                    if secret.unfinished() == Some(&token) {
                        let text =
                            format!("AWS was asked, and version {token} of {key} is pending still; {on}");
                        return Became::Stopped(text);
                    }
                    if secret.rotates && !secret.has(&token) {
                        return Became::NotBegun(format!(
                            "AWS was not asked: {key} has no version of this action"
                        ));
                    }
                }
            }
            Ok(Provider::Other(_)) => {}
            Err(_) => return Became::Open,
        }
    }
    let refreshed = text(document, "/status/refreshTime").parse::<Timestamp>().ok();
    // Times of the cluster are whole seconds.
    let since = begun.as_second();
    let Some(refreshed) = refreshed.filter(|at| at.as_second() >= since) else {
        return Became::Stopped(format!("External Secrets has brought nothing since; {on}"));
    };
    if verb == "refresh-secret" {
        return Became::Done(format!("it was refreshed at {refreshed}"));
    }
    let secret = secret_of(object, document);
    let Ok(found) = desk.remote.look(&secret).await else { return Became::Open };
    let changed = found.as_ref().and_then(content_changed).unwrap_or(refreshed);
    match readers(desk, &secret, changed).await {
        Err(_) => Became::Open,
        Ok(readers) if readers.stale.is_empty() && readers.starting == 0 => Became::Done(format!(
            "it was refreshed at {refreshed}, and all {} pods started after {changed}",
            readers.all
        )),
        Ok(readers) => {
            let left = readers.stale.len() + readers.starting;
            Became::Stopped(format!(
                "it was refreshed at {refreshed}; {left} of {} pods have not started since; {on}",
                readers.all
            ))
        }
    }
}
