//! Renew: cert-manager issues a new certificate now, as `cmctl renew` has it do (contracts 8.1), and what comes of it is
//! followed along its request, its order and its challenges to the new revision.
//!
//! The Secret is never touched: deleting it would have a new one issued, too, and nothing would serve meanwhile.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::application::list;
use super::change::Change;
use super::desk::{Desk, Remote};
use super::draft::{Check, Draft, Found, text};
use super::work::Work;
use super::write::Trouble;
use super::{Line, Mark, Outcome};
use crate::human;
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::certificates::{certificates, challenges, orders, requests};
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 5] =
    ["ask for a new certificate", "request", "order", "challenges", "new revision"];

/// The annotation of a request that says for which revision it is.
const REVISION: &str = "/metadata/annotations/cert-manager.io~1certificate-revision";

/// The reason that `cmctl` gives.
const TRIGGERED: &str = "ManuallyTriggered";

/// Returns the moment to write, to the second as Kubernetes does. cert-manager takes a failure since then for one of this
/// issuing, so on a machine whose clock is behind it must not lie before the last one.
fn moment(certificate: &Value, now: Timestamp) -> String {
    let failed = text(certificate, "/status/lastFailureTime").parse::<Timestamp>().ok();
    let after = failed.and_then(|failed| Timestamp::from_second(failed.as_second() + 1).ok());
    after.map_or(now, |after| after.max(now)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn condition<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    list(document, "/status/conditions").iter().find(|condition| text(condition, "/type") == name)
}

fn is_issuing(certificate: &Value) -> bool {
    condition(certificate, "Issuing").is_some_and(|issuing| text(issuing, "/status") == "True")
}

fn revision(certificate: &Value) -> i64 {
    certificate.pointer("/status/revision").and_then(Value::as_i64).unwrap_or(0)
}

fn ends(certificate: &Value) -> Option<Timestamp> {
    text(certificate, "/status/notAfter").parse().ok()
}

/// Says when a certificate ends, seen from a moment.
fn told(ends: Option<Timestamp>, now: Timestamp) -> String {
    match ends.map(|ends| (ends, ends.as_second() - now.as_second())) {
        None => "nothing was issued yet".to_owned(),
        Some((_, left)) if left <= 0 => format!("it ended {} ago", human::span(-left)),
        Some((ends, left)) => format!("it ends in {} ({ends})", human::span(left)),
    }
}

fn issuer(object: &ObjectRef, document: &Value) -> ObjectRef {
    let cluster = text(document, "/spec/issuerRef/kind") == "ClusterIssuer";
    let group = text(document, "/spec/issuerRef/group");
    let group = if group.is_empty() { "cert-manager.io" } else { group };
    ObjectRef {
        context: object.context.clone(),
        resource: Resource::new(group, if cluster { "clusterissuers" } else { "issuers" }),
        namespace: if cluster { None } else { object.namespace.clone() },
        name: Text::from(text(document, "/spec/issuerRef/name")),
    }
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let now = desk.clock.now();
    let mut parts = Vec::new();
    if object.resource != certificates() {
        let text = format!("{} cannot be renewed: only Certificates of cert-manager can", object.resource);
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let names: Vec<&str> = list(document, "/spec/dnsNames").iter().filter_map(Value::as_str).collect();
    let present = revision(document);
    parts.push(Line::new(Mark::To, format!("revision {} for {}", present + 1, names.join(" "))).into());
    parts.push(Line::new(Mark::From, format!("revision {present}, {}", told(ends(document), now))).into());
    let secret = text(document, "/spec/secretName");
    let change = format!(
        "Secret/{secret} is written anew once the new certificate is there; until then the present one serves"
    );
    parts.push(Line::new(Mark::Change, change).into());
    if is_issuing(document) {
        let text = "a new one is being issued already: look at its request, order and challenges";
        parts.push(Line::new(Mark::Stop, text).into());
    }
    let failures = document.pointer("/status/failedIssuanceAttempts").and_then(Value::as_i64).unwrap_or(0);
    if failures > 0 {
        let tries = if failures == 1 { "1 try".to_owned() } else { format!("{failures} tries") };
        let why = condition(document, "Issuing").map_or("", |issuing| text(issuing, "/message"));
        let why = why.rsplit_once("will be retried: ").map_or(why, |(_, why)| why);
        let text = format!("{tries} in a row failed; what is not mended since fails again. {why}");
        parts.push(Line::new(Mark::Warn, text.trim_end_matches([' ', ':'])).into());
        let found = async move {
            let seen = chain(desk, object, document, None).await;
            Vec::from_iter(seen.trouble().map(|why| Line::new(Mark::Warn, format!("the last try: {why}"))))
        };
        parts.push(Check::new("why the last try failed", found).into());
    }
    let named = issuer(object, document);
    parts
        .push(Check::new(format!("can {named} issue?"), async move { can_issue(desk, &named).await }).into());
    let note =
        "programs that read a certificate only as they start keep the old one until they are restarted";
    parts.push(Line::new(Mark::Note, note).into());
    let after = "watched along the request, the order and its challenges until the new revision is there, and ends later";
    parts.push(Line::new(Mark::After, after).into());
    let namespace = object.namespace.as_deref().unwrap_or_default();
    Draft {
        parts,
        facts: vec![
            ("/spec", "what it asks for"),
            ("/status/revision", "its revision"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        command: format!("cmctl renew {} -n {namespace}", object.name),
        hold: None,
    }
}

async fn can_issue<R: Remote>(desk: &Desk<R>, named: &ObjectRef) -> Found {
    let line = match desk.remote.look(named).await {
        Ok(Some(issuer)) => match condition(&issuer, "Ready") {
            Some(ready) if text(ready, "/status") == "True" => {
                Line::new(Mark::Ok, format!("{named} is ready"))
            }
            Some(ready) => {
                let why = text(ready, "/message");
                Line::new(Mark::Warn, format!("{named} is not ready: {why}"))
            }
            None => Line::new(Mark::Warn, format!("{named} has not reported")),
        },
        Ok(None) => Line::new(Mark::Stop, format!("{named} does not exist: nobody would issue it")),
        Err(error) => Line::new(Mark::Note, format!("{named} cannot be looked at: {error}")),
    };
    vec![line].into()
}

/// Returns the object with the condition of `cmctl renew` in its status; the other conditions stay.
fn triggered(certificate: &Value, at: &str) -> Value {
    let mut whole = certificate.clone();
    let generation = certificate.pointer("/metadata/generation").cloned().unwrap_or_default();
    let issuing = json!({
        "type": "Issuing", "status": "True", "reason": TRIGGERED,
        "message": "Certificate re-issuance manually triggered",
        "observedGeneration": generation, "lastTransitionTime": at,
    });
    let mut conditions: Vec<Value> = list(certificate, "/status/conditions")
        .iter()
        .filter(|condition| text(condition, "/type") != "Issuing")
        .cloned()
        .collect();
    conditions.push(issuing);
    if !whole["status"].is_object() {
        whole["status"] = json!({});
    }
    whole["status"]["conditions"] = Value::Array(conditions);
    whole
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let begun = work.begun();
    let stored = work
        .change(
            |certificate| {
                if is_issuing(certificate) {
                    return Err("a new one is being issued already".to_owned());
                }
                Ok(Change::Status(triggered(certificate, &moment(certificate, begun))))
            },
            // One that was being issued was refused before.
            |certificate| {
                condition(certificate, "Issuing").is_some_and(|issuing| {
                    text(issuing, "/status") == "True" && text(issuing, "/reason") == TRIGGERED
                })
            },
        )
        .await?;
    work.done(0, "");
    Ok(stored)
}

/// What there is of an issuing.
#[derive(Debug, Default)]
struct Chain {
    request: Option<Value>,
    order: Option<Value>,
    challenges: Vec<Value>,
    /// Why part of it cannot be seen.
    hidden: Option<String>,
}

/// Reads the chain of the next revision of a Certificate; what failed before `since` belongs to an earlier try.
async fn chain<R: Remote>(
    desk: &Desk<R>,
    object: &ObjectRef,
    certificate: &Value,
    since: Option<Timestamp>,
) -> Chain {
    let namespace = object.namespace.as_deref();
    let wanted = (revision(certificate) + 1).to_string();
    let mut seen = Chain::default();
    let owned = |of: &Value, owner: &Value| {
        list(of, "/metadata/ownerReferences")
            .iter()
            .any(|reference| text(reference, "/uid") == text(owner, "/metadata/uid"))
    };
    let stale = |failed: &str| {
        since.zip(failed.parse::<Timestamp>().ok()).is_some_and(|(since, failed)| failed < since)
    };
    let all = match desk.remote.list(&requests(), namespace, "", "").await {
        Ok(all) => all,
        Err(error) => {
            seen.hidden = Some(error.to_string());
            return seen;
        }
    };
    seen.request = all.into_iter().find(|request| {
        owned(request, certificate)
            && text(request, REVISION) == wanted
            && !stale(text(request, "/status/failureTime"))
    });
    let Some(request) = &seen.request else { return seen };
    match desk.remote.list(&orders(), namespace, "", "").await {
        Ok(all) => seen.order = all.into_iter().find(|order| owned(order, request)),
        Err(error) => seen.hidden = Some(error.to_string()),
    }
    let Some(order) = &seen.order else { return seen };
    match desk.remote.list(&challenges(), namespace, "", "").await {
        Ok(all) => seen.challenges = all.into_iter().filter(|challenge| owned(challenge, order)).collect(),
        Err(error) => seen.hidden = Some(error.to_string()),
    }
    seen
}

fn is_failure(state: &str) -> bool {
    matches!(state, "invalid" | "expired" | "errored")
}

/// Tells that something stands at once, or says how it stands.
fn how(challenge: &Value) -> String {
    let state = match text(challenge, "/status/state") {
        "" => "new",
        state => state,
    };
    let reason = text(challenge, "/status/reason");
    let gap = if reason.is_empty() { "" } else { ": " };
    let method = text(challenge, "/spec/type");
    format!("{method} for {} is {state}{gap}{reason}", text(challenge, "/spec/dnsName"))
}

impl Chain {
    /// Says what failed, as near to the cause as it is told: the challenge, else the order, else the request.
    fn trouble(&self) -> Option<String> {
        if let Some(failed) =
            self.challenges.iter().find(|challenge| is_failure(text(challenge, "/status/state")))
        {
            return Some(how(failed));
        }
        if let Some(order) = self.order.as_ref().filter(|order| is_failure(text(order, "/status/state"))) {
            let reason = text(order, "/status/reason");
            let gap = if reason.is_empty() { "" } else { ": " };
            let name = text(order, "/metadata/name");
            return Some(format!("order {name} is {}{gap}{reason}", text(order, "/status/state")));
        }
        let request = self.request.as_ref()?;
        let name = text(request, "/metadata/name");
        for (condition_name, wanted, reason) in
            [("Denied", "True", ""), ("InvalidRequest", "True", ""), ("Ready", "False", "Failed")]
        {
            let found = condition(request, condition_name).filter(|found| {
                text(found, "/status") == wanted && (reason.is_empty() || text(found, "/reason") == reason)
            });
            if let Some(found) = found {
                return Some(format!("request {name}: {}", text(found, "/message")));
            }
        }
        None
    }

    /// Says in the steps how far it is.
    fn tell<R: Remote>(&self, work: &mut Work<'_, R>) {
        let hidden = self.hidden.as_deref().map_or(String::new(), |why| format!("cannot be seen: {why}"));
        let Some(request) = &self.request else {
            work.running(1, if hidden.is_empty() { "not made yet".to_owned() } else { hidden });
            return;
        };
        let name = text(request, "/metadata/name");
        let ready = condition(request, "Ready");
        if ready.is_some_and(|ready| text(ready, "/status") == "True") {
            work.done(1, format!("{name} is issued"));
        } else if ready.is_some_and(|ready| text(ready, "/reason") == "Failed") {
            work.failed(1, format!("{name} has failed"));
        } else {
            let approved =
                condition(request, "Approved").is_some_and(|found| text(found, "/status") == "True");
            let word = if approved { "approved" } else { "waits to be approved" };
            work.running(1, format!("{name}: {word}"));
        }
        let Some(order) = &self.order else {
            if !hidden.is_empty() {
                work.running(2, hidden);
            }
            return;
        };
        let name = text(order, "/metadata/name");
        match text(order, "/status/state") {
            "valid" => {
                work.done(2, format!("{name} is valid"));
                // They vanish once they are answered.
                work.gone(3, "answered");
            }
            "" => work.running(2, format!("{name} is new")),
            state if is_failure(state) => work.failed(2, format!("{name} is {state}")),
            state => work.running(2, format!("{name} is {state}")),
        }
        if !self.challenges.is_empty() {
            let open: Vec<String> = self
                .challenges
                .iter()
                .filter(|challenge| text(challenge, "/status/state") != "valid")
                .map(how)
                .collect();
            let failed = self.challenges.iter().any(|one| is_failure(text(one, "/status/state")));
            if open.is_empty() {
                work.done(3, "answered");
            } else if failed {
                work.failed(3, open.join("; "));
            } else {
                work.running(3, open.join("; "));
            }
        }
    }
}

/// Says what to do about a failure, by the authority's own word for it (RFC 8555, section 6.7).
fn advice(trouble: &str, issuer: &ObjectRef) -> String {
    let kind = trouble.rsplit_once("urn:ietf:params:acme:error:").map_or("", |(_, rest)| rest);
    let kind = kind.split([':', ' ']).next().unwrap_or_default();
    if kind == "rateLimited" {
        return "The authority limits how often it is asked: wait as long as it says".to_owned();
    }
    if trouble.contains("DNS-01") {
        return format!(
            "Look whether the DNS-01 solver of {issuer} writes into the zone that the authority asks, and may; then renew again"
        );
    }
    if trouble.contains("HTTP-01") {
        return "Look whether the name leads to this cluster and /.well-known/acme-challenge/ is served from outside; then renew again".to_owned();
    }
    format!("Look at the request and at {issuer}; then renew again")
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>, stored: &Written) -> Outcome {
    let old = &stored.object;
    let (before, ended) = (revision(old), ends(old));
    let named = issuer(work.object, old);
    let since =
        condition(old, "Issuing").and_then(|issuing| text(issuing, "/lastTransitionTime").parse().ok());
    loop {
        match work.look().await {
            Ok(Some(now)) => {
                let present = revision(&now);
                let until = ends(&now);
                if present > before && !is_issuing(&now) {
                    let clock = work.desk.clock.now();
                    let said = format!("revision {present}, {}", told(until, clock));
                    if until <= ended {
                        return Outcome::Failed(format!(
                            "{said}: no later than the one before. Look at the duration in its spec and at {named}"
                        ));
                    }
                    for step in 1..4 {
                        work.gone(step, "");
                    }
                    work.done(4, said.clone());
                    return Outcome::Verified(format!("{said}, issued in {}", work.taken()));
                }
                let seen = chain(work.desk, work.object, old, since).await;
                seen.tell(work);
                let failed = condition(&now, "Issuing").filter(|issuing| {
                    text(issuing, "/status") != "True" && text(issuing, "/reason") == "Failed"
                });
                if let Some(failed) = failed {
                    let why = seen.trouble().unwrap_or_else(|| text(failed, "/message").to_owned());
                    let left = told(until, work.desk.clock.now());
                    return Outcome::Failed(format!(
                        "{why}; the present one serves on, {left}. {}",
                        advice(&why, &named)
                    ));
                }
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // contracts 8.1.
    #[test]
    fn a_renewal_is_the_condition_of_cmctl_beside_the_others() {
        let certificate = json!({
            "metadata": {"name": "a", "generation": 3},
            "status": {"revision": 2, "conditions": [
                {"type": "Ready", "status": "True", "reason": "Ready"},
                {"type": "Issuing", "status": "False", "reason": "Failed", "message": "no"},
            ]},
        });
        let written = triggered(&certificate, "2026-11-21T10:00:00Z");
        assert_eq!(
            written["status"],
            json!({"revision": 2, "conditions": [
                {"type": "Ready", "status": "True", "reason": "Ready"},
                {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
                 "message": "Certificate re-issuance manually triggered", "observedGeneration": 3,
                 "lastTransitionTime": "2026-11-21T10:00:00Z"},
            ]})
        );
    }

    #[test]
    fn a_clock_that_is_behind_does_not_bring_back_the_last_failure() {
        let now: Timestamp = "2026-11-21T10:00:00.7Z".parse().unwrap();
        let failed = |at: &str| json!({"status": {"lastFailureTime": at}});
        assert_eq!(moment(&failed("2026-11-21T09:00:00Z"), now), "2026-11-21T10:00:00Z");
        assert_eq!(moment(&failed("2026-11-21T10:03:00Z"), now), "2026-11-21T10:03:01Z");
        assert_eq!(moment(&json!({}), now), "2026-11-21T10:00:00Z");
    }

    #[test]
    fn what_to_do_follows_from_what_failed() {
        let issuer = issuer(
            &ObjectRef {
                context: crate::identity::Context::new("test"),
                resource: certificates(),
                namespace: Some("shop".into()),
                name: "a".into(),
            },
            &json!({"spec": {"issuerRef": {"kind": "ClusterIssuer", "name": "letsencrypt"}}}),
        );
        let dns =
            advice("DNS-01 for a.example.com is invalid: urn:ietf:params:acme:error:dns: NXDOMAIN", &issuer);
        assert!(dns.contains("the DNS-01 solver of clusterissuers.cert-manager.io letsencrypt"), "{dns}");
        assert!(advice("HTTP-01 for a.example.com is invalid: 404", &issuer).contains(".well-known"));
        let limited = "order a is errored: 429 urn:ietf:params:acme:error:rateLimited: too many certificates";
        assert!(advice(limited, &issuer).contains("wait"));
    }
}
