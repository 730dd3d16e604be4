//! Reveal: one key of one Secret, on the screen of the person who asked and typed its name, for half a minute.
//!
//! The value goes from the answer of the API server to the screen in a type without a text of its own. The record says
//! that it was looked at, by whom and why, and nothing of what was seen.

use serde_json::Value;

use super::desk::Remote;
use super::draft::{Draft, text};
use super::steer::Steer;
use super::work::Work;
use super::{Line, Mark, Outcome, Request};
use crate::concealed::Concealed;
use crate::identity::ObjectRef;

/// For how many seconds a value stands on the screen.
pub const SHOWN: i64 = 30;

pub(super) const STEPS: [&str; 1] = ["read the one key"];

/// A value on its way to the screen.
#[derive(Debug)]
pub struct Revealed {
    /// The Secret.
    pub object: ObjectRef,
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Concealed,
}

/// Returns the keys of a Secret, as far as its writers are recorded: the values are not asked for.
pub(super) fn keys(document: &Value) -> Vec<String> {
    let writers = document.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut keys: Vec<String> = writers
        .into_iter()
        .flatten()
        .filter_map(|writer| writer.pointer("/fieldsV1/f:data")?.as_object())
        .flat_map(|fields| fields.keys().filter_map(|key| key.strip_prefix("f:").map(ToOwned::to_owned)))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Returns the key that is meant: the one that was named, or the only one.
fn wanted(request: &Request, document: &Value) -> Result<String, String> {
    let known = keys(document);
    match (&request.options.key, known.as_slice()) {
        (Some(key), _) => Ok(key.clone()),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err("its keys are not known: name one, such as :reveal DB_PASSWORD".to_owned()),
        (None, several) => {
            Err(format!("name one key, such as :reveal {}: it has {}", several[0], several.join(", ")))
        }
    }
}

pub(super) fn draft<'a>(request: &Request, object: &ObjectRef, document: &'a Value) -> Draft<'a> {
    let name = text(document, "/metadata/name");
    let first = match wanted(request, document) {
        Ok(key) => Line::new(
            Mark::Change,
            format!(
                "the value of {key} of Secret {name} is read and stands on this screen for {SHOWN} s; esc takes it away"
            ),
        ),
        Err(why) => Line::new(Mark::Stop, why),
    };
    let namespace = object.namespace.as_deref().unwrap_or_default();
    Draft {
        parts: vec![
            first.into(),
            Line::new(Mark::Warn, "whoever sees the screen, or a recording of it, sees the value").into(),
            Line::new(
                Mark::Note,
                "a reason must be given; the record says that it was looked at, and not what it is",
            )
            .into(),
        ],
        facts: vec![("/metadata/deletionTimestamp", "its deletion")],
        command: format!("kubectl get secret {name} -n {namespace} -o jsonpath=..."),
        hold: None,
    }
}

/// Reads the value and hands it to the screen.
pub(super) async fn run<R: Remote>(work: &mut Work<'_, R>, steer: &Steer) -> Outcome {
    work.running(0, "");
    let (permit, document) = match work.permit().await {
        Ok(permitted) => permitted,
        Err(refusal) => return Outcome::Refused(refusal.to_string()),
    };
    let key = match wanted(&work.plan.request, &document) {
        Ok(key) => key,
        Err(why) => return Outcome::Refused(why),
    };
    let Some(screen) = steer.screen() else {
        return Outcome::Refused("a value is shown on the screen of the console only".to_owned());
    };
    let value = match work.desk.remote.reveal(&permit, work.object, &key).await {
        Ok(value) => value,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    if screen.send(Revealed { object: work.object.clone(), key: key.clone(), value }).await.is_err() {
        return Outcome::Failed("nobody is there to see it".to_owned());
    }
    let said = format!("{key} was shown on the screen for {SHOWN} s at most");
    work.done(0, said.clone());
    Outcome::Verified(said)
}
