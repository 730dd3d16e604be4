//! The chain itself: each step is looked at until its proof is there, and the next one begins then and not before.
//!
//! What is written: the rotation or the labels in AWS, the annotation of the `ExternalSecret`, and the templates of
//! workloads that Reloader does not restart. Each write is sent once and found out about when its answer is lost.

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::consumers::{self, Workload, secret_of};
use super::refresh::{self, Refresh, content};
use super::remote::{self, Place, Provider};
use crate::actions::desk::Remote;
use crate::actions::draft::text;
use crate::actions::rollout::{Rollout, judge};
use crate::actions::steer::Steer;
use crate::actions::work::Work;
use crate::actions::write::Trouble;
use crate::actions::{Outcome, Verb, restart};
use crate::audit;
use crate::human;
use crate::sources::SourceError;
use crate::sources::cloudwatch::{CURRENT, CloudSecret, Moved, PENDING, PREVIOUS};

/// The steps, as [`super::STEPS`] names them.
const BEGIN: usize = 0;
const LABELS: usize = 1;
const REFRESHED: usize = 2;
const CHANGED: usize = 3;
const TOLD: usize = 4;
const ROLLED: usize = 5;
const PODS: usize = 6;

/// How the chain ended before its end.
enum Cut {
    /// The gate or a server said no, or a step failed.
    Trouble(Trouble),
    /// Somebody ended it, or its time is over; the step is named by what was seen last.
    Ended(String),
    /// There is nothing left to do: in a sentence.
    Over(String),
}

impl From<Trouble> for Cut {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

fn failed(why: impl Into<String>) -> Cut {
    Cut::Trouble(Trouble::Failed(why.into()))
}

/// Returns the token of an action's rotation of a key, which becomes the id of the version: the same action never
/// begins two.
pub(in crate::actions) fn token(action: &str, key: &str) -> String {
    let hash = audit::hash(&format!("{action} {key}"));
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// Carries the chain out.
pub(in crate::actions) async fn run<R: Remote>(work: &mut Work<'_, R>, steer: &Steer) -> Outcome {
    let limit = work.desk.pace.long(&work.plan.request.options);
    let mut chain = Chain {
        verb: work.plan.request.verb,
        steer,
        end: Instant::now() + limit,
        step_limit: work.desk.pace.limit.min(limit),
        work,
    };
    let name = chain.work.object.name.clone();
    let place = chain.work.object.namespace.clone().unwrap_or_default();
    match chain.go().await {
        Ok(said) | Err(Cut::Over(said)) => Outcome::Verified(said),
        Err(Cut::Trouble(Trouble::Refused(why))) if !chain.work.has_written() => Outcome::Refused(why),
        Err(Cut::Trouble(Trouble::Refused(why) | Trouble::Failed(why))) => Outcome::Failed(why),
        Err(Cut::Ended(why)) => Outcome::NotVerified(format!(
            "{why}. It goes on from where it is with: opsdeck rotate {name} -n {place} --resume"
        )),
    }
}

struct Chain<'c, 'w, R> {
    work: &'c mut Work<'w, R>,
    steer: &'c Steer,
    verb: Verb,
    /// When the whole chain has taken too long.
    end: Instant,
    /// How long a step may take that others do: AWS, the operator, Reloader.
    step_limit: std::time::Duration,
}

/// What was there before anything was done.
struct Before {
    content: Option<String>,
    workloads: Vec<Workload>,
}

impl<R: Remote> Chain<'_, '_, R> {
    async fn go(&mut self) -> Result<String, Cut> {
        // The gate is asked before AWS is: a right that is missing stops everything.
        let (_, document) = self.work.permit().await.map_err(Trouble::from)?;
        let secret = secret_of(self.work.object, &document);
        let known = self.work.desk.remote.look(&secret).await.map_err(Trouble::Failed)?;
        let users = consumers::users(self.work.desk, &secret).await;
        let users = users.map_err(|error| Trouble::Failed(error.to_string()))?;
        let before = Before { content: known.as_ref().map(content), workloads: users.workloads };
        let provider = remote::provider(self.work.desk, self.work.object, &document).await;
        let moved = match provider.map_err(Trouble::Failed)? {
            Provider::Aws(place) => self.in_aws(&place).await?,
            Provider::Other(what) => {
                self.work.skipped(BEGIN, what);
                self.work.skipped(LABELS, "");
                false
            }
        };
        self.refreshed().await?;
        let changed = self.changed(&before, moved).await?;
        self.told(&before, &secret, changed).await?;
        self.rolled(&before).await?;
        let pods = self.pods(&secret, changed).await?;
        let what = match self.verb {
            Verb::RestoreSecret => "the previous version is back",
            _ if moved => "rotated",
            _ => "refreshed",
        };
        Ok(format!("{what}: {pods}, in {}", self.work.taken()))
    }

    /// Waits for the time between two looks; says so where there is no more time or nobody wants it any more.
    async fn tick(&self, since: Instant, limited: bool) -> Result<bool, Cut> {
        if self.steer.stop().is_cancelled() {
            return Err(Cut::Ended("no longer followed".to_owned()));
        }
        if Instant::now() >= self.end {
            return Err(Cut::Ended(format!("not verified within {}", self.work.taken())));
        }
        tokio::select! {
            () = self.work.pause() => {}
            () = self.steer.stop().cancelled() => {}
        }
        Ok(!limited || since.elapsed() < self.step_limit)
    }

    /// Waits while nothing new is to be begun.
    async fn held(&mut self, step: usize) -> Result<(), Cut> {
        let since = Instant::now();
        while self.steer.is_held() {
            self.work.running(step, "held: nothing is begun until you let it go on");
            self.tick(since, false).await?;
        }
        Ok(())
    }

    /// Ends a step with its proof and with the time since the beginning.
    fn proven(&mut self, step: usize, proof: impl Into<String>) {
        let taken = self.work.taken();
        self.work.done(step, format!("{} (after {taken})", proof.into()));
    }

    async fn described(&self, place: &Place, key: &str) -> Result<CloudSecret, SourceError> {
        self.work.desk.remote.cloud_secret(&place.region, key).await
    }

    /// Has AWS make another version the current one; tells whether it did.
    async fn in_aws(&mut self, place: &Place) -> Result<bool, Cut> {
        let mut moved = false;
        for key in &place.keys {
            self.held(BEGIN).await?;
            self.work.running(BEGIN, format!("asking AWS for {key}"));
            let known = self.described(place, key).await.map_err(|error| failed(error.to_string()))?;
            let wanted = if self.verb == Verb::RestoreSecret {
                self.restore(place, key, &known).await?
            } else {
                self.begin(place, key, &known).await?
            };
            if let Some(version) = wanted {
                self.current(place, key, &known, &version).await?;
                moved = true;
            }
        }
        if !moved {
            self.work.skipped(LABELS, "");
        }
        Ok(moved)
    }

    /// Begins a rotation, or finds the one that is going on; returns the version to wait for.
    async fn begin(&mut self, place: &Place, key: &str, known: &CloudSecret) -> Result<Option<String>, Cut> {
        if let Some(version) = known.unfinished() {
            self.proven(BEGIN, format!("a rotation is going on already: version {version}"));
            return Ok(Some(version.to_owned()));
        }
        if self.verb == Verb::ResumeRotation {
            let current = known.staged(CURRENT).unwrap_or("none");
            self.work.skipped(BEGIN, format!("nothing is rotated again: current is version {current}"));
            return Ok(None);
        }
        if !known.rotates {
            self.work.skipped(BEGIN, format!("rotation of {key} is not set up: it is only refreshed"));
            return Ok(None);
        }
        let token = token(self.work.id(), key);
        let (permit, _) = self.work.permit().await.map_err(Trouble::from)?;
        let remote = &self.work.desk.remote;
        match remote.rotate_secret(&permit, self.work.object, &place.region, key, &token).await {
            Ok(version) => {
                self.work.sent();
                self.proven(BEGIN, format!("AWS makes version {version} of {key}"));
                Ok(Some(version))
            }
            Err(error @ (SourceError::Unreachable { .. } | SourceError::Garbled { .. })) => {
                // The answer was lost: the token says whether it arrived.
                self.work.sent();
                let known = self.described(place, key).await;
                match known {
                    Ok(known) if known.has(&token) => {
                        self.proven(BEGIN, format!("AWS makes version {token} of {key}"));
                        Ok(Some(token))
                    }
                    Ok(_) => Err(failed(format!("nothing was rotated: {error}"))),
                    Err(_) => Err(failed(format!(
                        "whether {key} is being rotated is not known: {error}; look at it in AWS, then go on with --resume"
                    ))),
                }
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Moves the labels back; returns the version to see as the current one, or none where it was not moved.
    async fn restore(
        &mut self,
        place: &Place,
        key: &str,
        known: &CloudSecret,
    ) -> Result<Option<String>, Cut> {
        let current = known.staged(CURRENT).unwrap_or_default().to_owned();
        let moved = match (known.unfinished(), known.staged(PREVIOUS)) {
            (Some(pending), _) => Moved { stage: PENDING, to: None, from: pending },
            (None, Some(previous)) => Moved { stage: CURRENT, to: Some(previous), from: &current },
            (None, None) => {
                return Err(Cut::Trouble(Trouble::Refused(format!("{key} has no previous version"))));
            }
        };
        let (permit, _) = self.work.permit().await.map_err(Trouble::from)?;
        let remote = &self.work.desk.remote;
        let sent = remote.move_stage(&permit, self.work.object, &place.region, key, moved).await;
        self.work.sent();
        if let Err(error) = sent {
            // Where the answer was lost, AWS says whose label it is.
            let now = self.described(place, key).await.map_err(|_| failed(error.to_string()))?;
            if now.staged(moved.stage) != moved.to {
                return Err(failed(error.to_string()));
            }
        }
        if let Some(previous) = moved.to {
            self.proven(BEGIN, format!("{CURRENT} of {key} goes from {current} to {previous}"));
            Ok(Some(previous.to_owned()))
        } else {
            let said = format!(
                "{PENDING} is taken from version {}: the rotation is given up, and version {current} of {key} is current as before",
                moved.from
            );
            self.proven(BEGIN, said.clone());
            Err(Cut::Over(said))
        }
    }

    /// Waits until a version is the current one.
    async fn current(
        &mut self,
        place: &Place,
        key: &str,
        before: &CloudSecret,
        version: &str,
    ) -> Result<(), Cut> {
        let since = Instant::now();
        let mut asked = false;
        loop {
            match self.described(place, key).await {
                Ok(now) if now.staged(CURRENT) == Some(version) => {
                    let at = now.rotated.or(now.changed).map_or_else(String::new, |at| format!(", at {at}"));
                    self.proven(LABELS, format!("version {version} of {key} is {CURRENT}{at}"));
                    return Ok(());
                }
                // One look may be a moment behind what was just sent.
                Ok(now) if asked && !now.has(version) => {
                    return Err(failed(format!(
                        "version {version} of {key} is gone: the rotation was given up, and {CURRENT} is as it was"
                    )));
                }
                Ok(_) => {
                    asked = true;
                    self.work.running(LABELS, format!("version {version} is {PENDING}"));
                }
                Err(error @ (SourceError::Denied { .. } | SourceError::Unauthenticated { .. })) => {
                    return Err(failed(error.to_string()));
                }
                Err(error) => self.work.running(LABELS, error.to_string()),
            }
            if !self.tick(since, true).await? {
                let function = before.function.as_deref().unwrap_or("that rotates it");
                let name = &self.work.object.name;
                return Err(failed(format!(
                    "AWS has not finished within {}: version {version} of {key} is {PENDING} and not {CURRENT}, so nothing has changed for the pods. Look at the log of the function {function} (/aws/lambda/{function}); AWS tries again by itself, and then --resume goes on; opsdeck rotate {name} --previous gives the rotation up",
                    human::span(self.step_limit.as_secs().cast_signed())
                )));
            }
        }
    }

    /// Forces the refresh and waits for it.
    async fn refreshed(&mut self) -> Result<(), Cut> {
        self.held(REFRESHED).await?;
        self.work.running(REFRESHED, "");
        let (before, _) = refresh::force(self.work).await?;
        let since = Instant::now();
        let mut failing = None;
        loop {
            match self.work.look().await {
                Ok(Some(now)) => match refresh::judge(&before, &now) {
                    Refresh::Done(at) => {
                        self.proven(REFRESHED, format!("refreshed at {at}"));
                        return Ok(());
                    }
                    Refresh::Failed(why) => {
                        failing = Some(why.clone());
                        self.work.running(REFRESHED, why);
                    }
                    Refresh::Waiting(why) => self.work.running(REFRESHED, why),
                },
                Ok(None) => return Err(failed(format!("{} does not exist any more", self.work.object))),
                Err(error) => self.work.running(REFRESHED, error),
            }
            // The operator tries again by itself: one failure is waited out.
            if !self.tick(since, true).await? {
                let why =
                    failing.unwrap_or_else(|| "it has not taken it up; does the operator run?".to_owned());
                return Err(failed(format!(
                    "External Secrets could not bring it: {why}. Look at the store and its events; the pods still use the old content. Then --resume goes on, and --previous puts the version before back"
                )));
            }
        }
    }

    /// Sees the Secret changed, and says when.
    async fn changed(&mut self, before: &Before, moved: bool) -> Result<Timestamp, Cut> {
        let document = self.work.look().await.map_err(Trouble::Failed)?.unwrap_or_default();
        let secret = secret_of(self.work.object, &document);
        let found = self.work.desk.remote.look(&secret).await.map_err(Trouble::Failed)?;
        let found = found.ok_or_else(|| failed(format!("Secret {} does not exist", secret.name)))?;
        // When the content changed, or else when it was brought: not before that.
        let written = refresh::content_changed(&found);
        let brought = text(&document, "/status/refreshTime").parse::<Timestamp>().ok();
        let changed = written.or(brought).unwrap_or_else(|| self.work.desk.clock.now());
        let same = before.content.as_deref() == Some(content(&found).as_str());
        if same && self.verb == Verb::ResumeRotation {
            self.proven(CHANGED, format!("it changed at {changed}, before this"));
            return Ok(changed);
        }
        if same && moved {
            return Err(failed(
                "the Secret is as it was, though AWS has another version: its remoteRef pins a version, or the property that it takes did not change",
            ));
        }
        if same {
            let said = "the provider has nothing new: the content is as it was, and nobody is restarted";
            self.proven(CHANGED, said);
            return Err(Cut::Over(said.to_owned()));
        }
        self.proven(CHANGED, format!("its hash is another one since {changed}"));
        Ok(changed)
    }

    /// Has the workloads restarted: by Reloader where it does, else here.
    async fn told(
        &mut self,
        before: &Before,
        secret: &crate::identity::ObjectRef,
        changed: Timestamp,
    ) -> Result<(), Cut> {
        if before.workloads.is_empty() {
            self.work.skipped(TOLD, "no workload reads it at its start");
            return Ok(());
        }
        if self.verb == Verb::ResumeRotation {
            let readers = consumers::readers(self.work.desk, secret, changed).await;
            let readers = readers.map_err(|error| failed(error.to_string()))?;
            if readers.stale.is_empty() {
                self.work.skipped(TOLD, "all pods started after the change already");
                return Ok(());
            }
        }
        let planned = self.work.others();
        let mut restarted = Vec::new();
        for one in &before.workloads {
            let ours = planned.iter().any(|target| target.object == one.object);
            let going = matches!(judge(&one.object.resource.plural, &one.document), Rollout::Going(_));
            if !ours || (going && self.verb == Verb::ResumeRotation) {
                continue;
            }
            self.held(TOLD).await?;
            self.work.running(TOLD, format!("restarting {}", one.called()));
            let at = self.work.desk.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let annotations = "/spec/template/metadata/annotations";
            self.work
                .write_to(
                    &one.object,
                    |object| Ok(restart::patch(text(object, "/metadata/resourceVersion"), &at)),
                    |object| {
                        object
                            .pointer(annotations)
                            .and_then(|all| all.get(restart::ANNOTATION))
                            .and_then(Value::as_str)
                            == Some(at.as_str())
                    },
                )
                .await?;
            restarted.push(one.called());
        }
        let since = Instant::now();
        loop {
            let mut waiting = Vec::new();
            for one in before.workloads.iter().filter(|one| !restarted.contains(&one.called())) {
                match self.work.desk.remote.look(&one.object).await {
                    Ok(Some(now)) if self.is_told(one, &now) => {}
                    Ok(None) => {}
                    Ok(Some(_)) | Err(_) => waiting.push(one.called()),
                }
            }
            if waiting.is_empty() {
                break;
            }
            self.work.running(TOLD, format!("waiting for Reloader: {}", consumers::named(&waiting)));
            if !self.tick(since, true).await? {
                return Err(failed(format!(
                    "Reloader has not restarted {} within {}: does it run, and does it watch this namespace? The pods use the old content until somebody restarts them: --resume restarts them, --previous puts the version before back",
                    consumers::named(&waiting),
                    human::span(self.step_limit.as_secs().cast_signed())
                )));
            }
        }
        let by = match (restarted.len(), before.workloads.len()) {
            (0, _) => "by Reloader".to_owned(),
            (all, of) if all == of => "by this".to_owned(),
            _ => format!("by Reloader, and by this: {}", consumers::named(&restarted)),
        };
        let names: Vec<String> = before.workloads.iter().map(Workload::called).collect();
        self.proven(TOLD, format!("{}: {by}", consumers::named(&names)));
        Ok(())
    }

    /// Tells whether a template is another one than before: Reloader writes into it, in either of its ways.
    fn is_told(&self, before: &Workload, now: &Value) -> bool {
        let template = |of: &Value| of.pointer("/spec/template").cloned();
        template(now) != template(&before.document) || self.verb == Verb::ResumeRotation
    }

    /// Waits until the workloads have rolled out.
    async fn rolled(&mut self, before: &Before) -> Result<(), Cut> {
        if before.workloads.is_empty() {
            self.work.skipped(ROLLED, "");
            return Ok(());
        }
        let since = Instant::now();
        loop {
            let mut going = Vec::new();
            let mut done = 0;
            for one in &before.workloads {
                match self.work.desk.remote.look(&one.object).await {
                    Ok(Some(now)) => match judge(&one.object.resource.plural, &now) {
                        Rollout::Done(_) => done += 1,
                        Rollout::Going(how) => going.push(format!("{}: {how}", one.called())),
                        Rollout::Stuck(why) => {
                            return Err(failed(format!(
                                "{}: {why}. The new credential may be wrong: look at the logs of the new pods; opsdeck rotate {} --previous puts the version before back",
                                one.called(),
                                self.work.object.name
                            )));
                        }
                    },
                    Ok(None) => done += 1,
                    Err(error) => going.push(format!("{}: {error}", one.called())),
                }
            }
            if going.is_empty() {
                let what = if done == 1 { "1 workload".to_owned() } else { format!("{done} workloads") };
                self.proven(ROLLED, what);
                return Ok(());
            }
            self.work.running(ROLLED, consumers::named(&going));
            self.tick(since, false).await?;
        }
    }

    /// Sees that every pod started after the change.
    async fn pods(&mut self, secret: &crate::identity::ObjectRef, changed: Timestamp) -> Result<String, Cut> {
        let since = Instant::now();
        loop {
            match consumers::readers(self.work.desk, secret, changed).await {
                Ok(readers) if readers.stale.is_empty() && readers.starting == 0 => {
                    let said = match readers.all {
                        0 => "no pod reads it at its start".to_owned(),
                        1 => format!("the one pod started after {changed}"),
                        all => format!("all {all} pods started after {changed}"),
                    };
                    self.proven(PODS, said.clone());
                    return Ok(said);
                }
                Ok(readers) => {
                    let said = if readers.stale.is_empty() {
                        format!("{} of {} pods have not started yet", readers.starting, readers.all)
                    } else {
                        format!("started before: {}", consumers::named(&readers.stale))
                    };
                    self.work.running(PODS, said.clone());
                    if !self.tick(since, true).await? {
                        return Err(failed(format!(
                            "{said}. They use the old content: delete them, or let them end, and look again with --resume"
                        )));
                    }
                }
                Err(error) => {
                    self.work.running(PODS, error.to_string());
                    self.tick(since, false).await?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_same_for_the_same_action_and_key_and_of_the_length_that_aws_takes() {
        let one = token("19b-1", "shop/db");
        assert_eq!(one, token("19b-1", "shop/db"));
        assert_ne!(one, token("19b-2", "shop/db"));
        assert_ne!(one, token("19b-1", "shop/other"));
        // contracts 7.4: 32 to 64 characters, in the form of a UUID.
        assert_eq!((one.len(), one.matches('-').count()), (36, 4));
    }
}
