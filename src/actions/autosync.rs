//! Auto-sync held and given back: switched off with its exact policy remembered, and restored field by field.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::application::{App, HELD_POINTER, Hold, hold_patch, policy, release_patch, removal_patch, short};
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, owners};
use crate::human;
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

pub(super) const HOLD_STEPS: [&str; 2] = ["hold auto-sync", "it stays off"];
pub(super) const RELEASE_STEPS: [&str; 2] = ["give auto-sync back", "it is on as it was"];

/// How long auto-sync is held unless somebody says otherwise, in minutes.
pub(super) const HOLD_MINUTES: u32 = 60;
/// How many looks a hold must survive: an owner that reverts it does so within seconds.
const LOOKS: u32 = 3;

/// What is relied on where the policy is changed.
const FACTS: [(&str, &str); 4] = [
    ("/spec/syncPolicy", "the sync policy"),
    ("/metadata/ownerReferences", "its owner"),
    (HELD_POINTER, "what is remembered of a hold"),
    ("/metadata/deletionTimestamp", "its deletion"),
];

pub(super) fn draft_hold<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let app = App(document);
    let mut parts = vec![hold_line(app, request.options.hold_minutes).into()];
    let mut hold = None;
    if app.auto_sync() {
        hold = app.automated().cloned().map(Value::Object);
        let text = "new commits are not deployed and drift is not healed while it is held";
        parts.push(Line::new(Mark::Change, text).into());
        let fate = Check::new("who would revert it?", owners::fate(desk, object, document));
        parts.push(fate.into());
    }
    if let Some(busy) = app.busy() {
        let text = format!("an operation is {}: the hold does not stop it", busy.text);
        parts.push(Line::new(Mark::Note, text).into());
    }
    parts.push(Line::new(Mark::After, "read back, and watched for a moment that it stays off").into());
    Draft {
        parts,
        facts: FACTS.to_vec(),
        command: format!(
            "kubectl patch application {} -n {} --type merge -p '{{\"spec\":{{\"syncPolicy\":{{\"automated\":{{\"enabled\":false}}}}}}}}'",
            app.name(),
            app.namespace()
        ),
        hold,
    }
}

/// Says what is held, and for how long; stops where there is nothing to hold.
pub(super) fn hold_line(app: App<'_>, minutes: Option<u32>) -> Line {
    match (app.auto_sync(), app.automated(), app.hold()) {
        (true, Some(automated), _) => {
            let minutes = minutes.unwrap_or(HOLD_MINUTES);
            let text = format!(
                "auto-sync is on ({}): held for {minutes} min, then offered back exactly as it was",
                policy(automated)
            );
            Line::new(Mark::Hold, text)
        }
        (_, _, Some(hold)) => {
            let text = format!("auto-sync is held already, since {} by {}", hold.at, hold.by);
            Line::new(Mark::Stop, text)
        }
        _ => Line::new(Mark::Stop, "auto-sync is off: there is nothing to hold"),
    }
}

pub(super) async fn write_hold<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    hold(work, 0).await.map(|(stored, _)| stored)
}

/// Switches auto-sync off, reads back that it is, and returns what it was.
pub(super) async fn hold<R: Remote>(
    work: &mut Work<'_, R>,
    step: usize,
) -> Result<(Written, Value), Trouble> {
    work.running(step, "");
    // To the second: the fraction would only make the annotation longer.
    let begun = work.begun();
    let at = Timestamp::from_second(begun.as_second()).unwrap_or(begun);
    let minutes = i64::from(work.plan.request.options.hold_minutes.unwrap_or(HOLD_MINUTES));
    let was = work
        .plan
        .holds
        .iter()
        .find(|held| held.object == *work.object)
        .map(|held| held.automated.clone())
        .ok_or_else(|| Trouble::Refused("the plan does not say what is held".to_owned()))?;
    let hold = Hold {
        by: format!("{} ({})", work.who.server, work.who.local),
        at,
        until: at.checked_add(SignedDuration::from_mins(minutes)).ok(),
        reason: work.plan.request.reason.clone(),
        action: work.id().to_owned(),
        automated: was.clone(),
    };
    let ours = |object: &Value| App(object).hold().is_some_and(|found| found.action == hold.action);
    let stored = work
        .write(
            |object| {
                let app = App(object);
                if app.automated().cloned().map(Value::Object).as_ref() != Some(&was) {
                    return Err("auto-sync is not as the plan says any more: ask again".to_owned());
                }
                Ok(hold_patch(app.version(), &hold))
            },
            ours,
        )
        .await?;
    if !App(&stored.object).auto_sync() {
        work.done(step, "auto-sync is off, and what it was is remembered");
        return Ok((stored, was));
    }
    // Argo CD before 3.1 drops `enabled`, and what is left of `automated` means on.
    work.running(step, "this Argo CD does not know automated.enabled: the policy is taken out whole");
    let stored = work
        .write(
            |object| Ok(removal_patch(App(object).version(), &hold)),
            |object| App(object).automated().is_none(),
        )
        .await?;
    if App(&stored.object).auto_sync() {
        let text = "auto-sync is still on after it was switched off: the server did not keep the change";
        return Err(Trouble::Failed(text.to_owned()));
    }
    work.done(step, "auto-sync is off (the policy was taken out whole), and what it was is remembered");
    Ok((stored, was))
}

pub(super) async fn follow_hold<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    let mut looks = 0;
    while looks < LOOKS {
        match work.look().await {
            Ok(Some(document)) if App(&document).auto_sync() => {
                return Outcome::Failed(
                    "auto-sync is on again: somebody reverted the hold. Hold it at its owner, or in Git"
                        .to_owned(),
                );
            }
            Ok(Some(_)) => looks += 1,
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        if looks < LOOKS {
            work.pause().await;
        }
    }
    work.done(1, "");
    let minutes = work.plan.request.options.hold_minutes.unwrap_or(HOLD_MINUTES);
    Outcome::Verified(format!("auto-sync is off, held for {minutes} min"))
}

/// Where the policy that is given back is known from.
struct Remembered {
    automated: Value,
    from: String,
}

/// Finds what auto-sync was: the cluster remembers it, else this machine's audit, else the switch itself.
async fn remembered<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    app: App<'_>,
) -> Result<Remembered, String> {
    if let Some(hold) = app.hold() {
        let at = human::age(desk.clock.now(), hold.at);
        return Ok(Remembered {
            automated: hold.automated,
            from: format!("as it was when {} held it {at} ago", hold.by),
        });
    }
    let (audit, of) = (desk.audit.clone(), object.clone());
    let held =
        tokio::task::spawn_blocking(move || audit.held(&of)).await.map_err(|error| error.to_string())?;
    if let Ok(Some(held)) = held {
        return Ok(Remembered {
            automated: held.automated,
            from: "as this machine's audit remembers it".to_owned(),
        });
    }
    match app.automated() {
        Some(automated) => {
            let mut automated = automated.clone();
            automated.remove("enabled");
            Ok(Remembered {
                automated: Value::Object(automated),
                from: "as the spec still says; nobody's hold is remembered".to_owned(),
            })
        }
        None => Err("nobody remembers what auto-sync was, and the spec does not say: switch it on in Git, with the prune and self-heal that you want".to_owned()),
    }
}

pub(super) fn draft_release<'a, R: Remote>(
    desk: &'a Desk<R>,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let app = App(document);
    let mut parts = Vec::new();
    if app.auto_sync() {
        parts.push(Line::new(Mark::Stop, "auto-sync is on already").into());
    } else {
        let check = Check::new("what was it?", async move {
            match remembered(desk, object, app).await {
                Ok(remembered) => given_back(app, &remembered),
                Err(why) => vec![Line::new(Mark::Stop, why)],
            }
        });
        parts.push(check.into());
    }
    if app.sync_status() == "OutOfSync" {
        let differing = app.out_of_sync();
        let text = format!(
            "out of sync with {} ({}) in {}: auto-sync deploys that at once, over what runs now; revert in Git first if it is bad",
            app.tracked(),
            short(&app.revision()),
            listed(&differing)
        );
        parts.push(Line::new(Mark::Warn, text).into());
    }
    parts.push(Line::new(Mark::After, "read back from the API server").into());
    Draft {
        parts,
        facts: FACTS.to_vec(),
        command: format!(
            "kubectl patch application {} -n {} --type merge -p '{{\"spec\":{{\"syncPolicy\":{{\"automated\":{{\"enabled\":true}}}}}}}}'",
            app.name(),
            app.namespace()
        ),
        hold: None,
    }
}

fn given_back(app: App<'_>, remembered: &Remembered) -> Vec<Line> {
    let empty = Map::new();
    let was = remembered.automated.as_object().unwrap_or(&empty);
    let text = format!("auto-sync is switched on ({}), {}", policy(was), remembered.from);
    let mut lines = vec![Line::new(Mark::Change, text)];
    if let Some(now) = app.automated()
        && without_switch(now) != without_switch(was)
    {
        lines = vec![Line::new(Mark::Stop, changed(was, now))];
    }
    lines
}

/// Returns a policy without the switch, which is all that a hold changes of it.
fn without_switch(policy: &Map<String, Value>) -> Map<String, Value> {
    let mut policy = policy.clone();
    policy.remove("enabled");
    policy
}

/// Says why a policy is not given back: somebody decided otherwise while it was held.
fn changed(was: &Map<String, Value>, now: &Map<String, Value>) -> String {
    format!(
        "somebody changed the policy while it was held, from ({}) to ({}): it is not given back over that. Switch auto-sync on in Git or at the owner, or make the policy what it was",
        policy(was),
        policy(now)
    )
}

/// Names a few things and counts the rest.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => "something".to_owned(),
        names if names.len() <= 4 => names.join(", "),
        names => format!("{} and {} more", names[..3].join(", "), names.len() - 3),
    }
}

pub(super) async fn write_release<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let document = work
        .look()
        .await
        .map_err(Trouble::Failed)?
        .ok_or_else(|| Trouble::Refused(format!("{} does not exist any more", work.object)))?;
    let remembered = remembered(work.desk, work.object, App(&document)).await.map_err(Trouble::Refused)?;
    let stored = give_back(work, &remembered.automated).await?;
    work.done(0, "");
    Ok(stored)
}

/// Makes the policy what it was, and forgets the hold.
pub(super) async fn give_back<R: Remote>(work: &mut Work<'_, R>, was: &Value) -> Result<Written, Trouble> {
    let on_again = |object: &Value| {
        let app = App(object);
        app.hold().is_none() && app.automated().cloned().map(Value::Object).as_ref() == Some(was)
    };
    work.write(
        |object| {
            let app = App(object);
            if let (Some(now), Some(was)) = (app.automated(), was.as_object())
                && without_switch(now) != without_switch(was)
            {
                return Err(changed(was, now));
            }
            Ok(release_patch(app.version(), was, app.automated()))
        },
        on_again,
    )
    .await
}

pub(super) async fn follow_release<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let app = App(&document);
                return match app.automated() {
                    Some(automated) if app.auto_sync() => {
                        let said = format!("auto-sync is on ({})", policy(automated));
                        work.done(1, said.clone());
                        Outcome::Verified(said)
                    }
                    _ => Outcome::Failed(
                        "auto-sync is off again: somebody reverted it. Look at its owner, or in Git"
                            .to_owned(),
                    ),
                };
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hold_of(automated: Value) -> Hold {
        Hold {
            by: "alice".to_owned(),
            at: "2026-01-01T10:00:00Z".parse().unwrap(),
            until: "2026-01-01T11:00:00Z".parse().ok(),
            reason: "bad release".to_owned(),
            action: "a-1".to_owned(),
            automated,
        }
    }

    /// Holds and releases a policy, through the annotation and the merge patches alone.
    #[track_caller]
    fn assert_comes_back(automated: Value, patch: fn(&str, &Hold) -> Value) {
        let mut object = json!({ "metadata": {}, "spec": { "syncPolicy": { "automated": automated } } });
        json_patch::merge(&mut object, &patch("1", &hold_of(automated.clone())));
        assert!(!App(&object).auto_sync(), "{object}");
        let remembered = App(&object).hold().unwrap().automated;
        let release = release_patch("2", &remembered, App(&object).automated());
        json_patch::merge(&mut object, &release);
        assert_eq!(object.pointer("/spec/syncPolicy/automated"), Some(&automated));
        assert!(App(&object).hold().is_none());
    }

    #[test]
    fn a_held_policy_comes_back_exactly_as_it_was() {
        for automated in [
            json!({}),
            json!({ "prune": true, "selfHeal": true }),
            json!({ "enabled": true, "prune": true }),
            json!({ "allowEmpty": true, "selfHeal": false }),
        ] {
            assert_comes_back(automated.clone(), hold_patch);
            assert_comes_back(automated, removal_patch);
        }
    }

    #[test]
    fn a_hold_switches_off_by_the_flag_alone_and_remembers_in_the_same_patch() {
        // contracts 1.6: merge patch {"spec":{"syncPolicy":{"automated":{"enabled":false}}}}.
        let patch = hold_patch("5", &hold_of(json!({ "prune": true })));
        assert_eq!(patch["spec"], json!({ "syncPolicy": { "automated": { "enabled": false } } }));
        assert_eq!(patch["metadata"]["resourceVersion"], "5");
        let removal = removal_patch("5", &hold_of(json!({})));
        assert_eq!(removal["spec"], json!({ "syncPolicy": { "automated": null } }));
    }

    #[test]
    fn a_policy_that_somebody_changed_meanwhile_is_not_overwritten() {
        let app = json!({ "spec": { "syncPolicy": { "automated": { "enabled": false, "prune": false } } } });
        let remembered = Remembered {
            automated: json!({ "prune": true, "selfHeal": true }),
            from: "as it was".to_owned(),
        };
        let lines = given_back(App(&app), &remembered);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].mark, Mark::Stop);
        assert!(lines[0].text.contains("somebody changed the policy"), "{}", lines[0].text);
        // The switch itself is what a hold changes.
        let app = json!({ "spec": { "syncPolicy": { "automated": { "enabled": false, "prune": true, "selfHeal": true } } } });
        let lines = given_back(App(&app), &remembered);
        assert_eq!(lines[0].text, "auto-sync is switched on (prune, self-heal), as it was");
        assert_eq!(lines[0].mark, Mark::Change);
    }

    #[test]
    fn a_hold_is_over_at_its_end_and_not_before() {
        let hold = hold_of(json!({}));
        assert!(!hold.expired("2026-01-01T10:59:59Z".parse().unwrap()));
        assert!(hold.expired("2026-01-01T11:00:00Z".parse().unwrap()));
    }
}
