//! Refresh: External Secrets is told to bring a secret again, and is watched doing it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::FORCE;
use super::consumers::secret_of;
use crate::actions::Outcome;
use crate::actions::application::list;
use crate::actions::desk::Remote;
use crate::actions::draft::text;
use crate::actions::work::Work;
use crate::actions::write::Trouble;
use crate::kinds::secrets::DATA_HASH;
use crate::sources::objects::Written;

/// Where the operator notes what it has seen of the object.
const SYNCED: &str = "/status/syncedResourceVersion";

/// How a forced refresh stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refresh {
    /// It was brought; since when.
    Done(String),
    /// Not yet.
    Waiting(String),
    /// The operator tried and could not.
    Failed(String),
}

/// Returns the value for the annotation: the seconds of 1970, and never the one that is there.
fn mark(object: &Value, now: i64) -> String {
    let known =
        object.pointer("/metadata/annotations").and_then(|all| all.get(FORCE)).and_then(Value::as_str);
    let mut now = now;
    while known == Some(now.to_string().as_str()) {
        now += 1;
    }
    now.to_string()
}

/// Asks for a refresh; returns the object before it and after it.
pub(super) async fn force<R: Remote>(work: &mut Work<'_, R>) -> Result<(Value, Written), Trouble> {
    let now = work.desk.clock.now().as_second();
    let before = work.look().await.map_err(Trouble::Failed)?.unwrap_or_default();
    let value = mark(&before, now);
    let stored = work
        .write(
            |object| {
                let version = text(object, "/metadata/resourceVersion");
                Ok(json!({ "metadata": { "resourceVersion": version, "annotations": { FORCE: value } } }))
            },
            |object| {
                object.pointer("/metadata/annotations").and_then(|all| all.get(FORCE)).and_then(Value::as_str)
                    == Some(value.as_str())
            },
        )
        .await?;
    Ok((before, stored))
}

/// Judges a refresh that was asked for by what the object said before (contracts 7.1): the time of a refresh moves on
/// success only, and what the operator has seen is another thing once it has seen the annotation.
pub(super) fn judge(before: &Value, now: &Value) -> Refresh {
    let ready = list(now, "/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
    let ready = ready.cloned().unwrap_or_default();
    let refreshed = text(now, "/status/refreshTime");
    let has_seen = text(now, SYNCED) != text(before, SYNCED);
    if has_seen && !refreshed.is_empty() && text(&ready, "/status") == "True" {
        return Refresh::Done(refreshed.to_owned());
    }
    let changed = text(&ready, "/lastTransitionTime");
    if text(&ready, "/status") == "False" {
        let known = list(before, "/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
        let why = format!("{}: {}", text(&ready, "/reason"), text(&ready, "/message"));
        // One that was failing before may be failing still, or again: it is given its time.
        let is_new = known.is_none_or(|known| text(known, "/lastTransitionTime") != changed);
        return if is_new { Refresh::Failed(why) } else { Refresh::Waiting(why) };
    }
    Refresh::Waiting("External Secrets has not taken it up yet".to_owned())
}

/// Returns what tells the content of a Secret apart without reading it: the hash that External Secrets keeps, or its
/// version where there is none.
pub(super) fn content(secret: &Value) -> String {
    let hash =
        secret.pointer("/metadata/annotations").and_then(|all| all.get(DATA_HASH)).and_then(Value::as_str);
    hash.map_or_else(|| text(secret, "/metadata/resourceVersion").to_owned(), ToOwned::to_owned)
}

/// Returns when the content of a Secret last changed, as its writers are recorded.
pub(super) fn content_changed(secret: &Value) -> Option<Timestamp> {
    let writers = list(secret, "/metadata/managedFields").iter();
    let of_itself = writers.filter(|one| text(one, "/subresource").is_empty());
    of_itself.filter_map(|one| text(one, "/time").parse().ok()).max()
}

/// Asks for a refresh.
pub(in crate::actions) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let object = work.look().await.map_err(Trouble::Failed)?.unwrap_or_default();
    let secret = secret_of(work.object, &object);
    let known = work.desk.remote.look(&secret).await.ok().flatten();
    let (before, stored) = force(work).await?;
    work.done(0, "");
    let known = known.map(|known| content(&known));
    Ok(Written { object: json!({ "before": before, "content": known }), warnings: stored.warnings })
}

/// Watches until it is refreshed, and says whether the content is another one.
pub(in crate::actions) async fn follow<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let before = stored.object["before"].clone();
    loop {
        match work.look().await {
            Ok(Some(now)) => match judge(&before, &now) {
                Refresh::Done(at) => {
                    let secret = secret_of(work.object, &now);
                    let is = work.desk.remote.look(&secret).await.ok().flatten().map(|one| content(&one));
                    let was = stored.object["content"].as_str();
                    let what = match (is.as_deref(), was) {
                        (Some(is), Some(was)) if is == was => "the content is as it was",
                        (Some(_), Some(_)) => "the content has changed",
                        (Some(_), None) => "the Secret was made",
                        (None, _) => "the Secret cannot be read",
                    };
                    let said = format!("refreshed at {at}: {what}");
                    work.done(1, said.clone());
                    return Outcome::Verified(said);
                }
                Refresh::Failed(why) => {
                    return Outcome::Failed(format!(
                        "External Secrets could not bring it: {why}. Look at the store and at its events; the Secret is as it was"
                    ));
                }
                Refresh::Waiting(why) => work.running(1, why),
            },
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(synced: &str, status: &str, since: &str) -> Value {
        json!({ "status": { "refreshTime": "2026-01-05T11:00:00Z", "syncedResourceVersion": synced,
            "conditions": [{ "type": "Ready", "status": status, "reason": "R", "message": "M", "lastTransitionTime": since }] } })
    }

    #[test]
    fn a_refresh_is_done_when_the_operator_has_seen_the_annotation_and_is_ready() {
        // contracts 7.1: the time moves on success only.
        let before = external("1-a", "True", "t1");
        assert!(matches!(judge(&before, &before), Refresh::Waiting(_)));
        assert_eq!(
            judge(&before, &external("1-b", "True", "t1")),
            Refresh::Done("2026-01-05T11:00:00Z".to_owned())
        );
        assert_eq!(judge(&before, &external("1-a", "False", "t2")), Refresh::Failed("R: M".to_owned()));
        // It failed before as well: that is no answer to what was asked.
        let failing = external("1-a", "False", "t1");
        assert!(matches!(judge(&failing, &failing), Refresh::Waiting(_)));
    }

    #[test]
    fn the_annotation_is_never_the_one_that_is_there() {
        let object = json!({ "metadata": { "annotations": { "force-sync": "1000" } } });
        assert_eq!(mark(&object, 1000), "1001");
        assert_eq!(mark(&json!({}), 1000), "1000");
    }
}
