//! The gate: the one place that decides whether a write may happen, and the only maker of a [`Permit`].
//!
//! Every write to a remote system demands a `&Permit`, and a permit is made here alone, for one object, from
//! an answered question, a written audit record and a fresh look at the object. Nothing here writes, and
//! nothing here knows a verb: plans state their questions in the gate's terms.
//!
//! # Why
//!
//! The gate stands below `sources` and not in `app`, because the sources' writing functions name [`Permit`]
//! and dependencies point one way. What the gate must know of the world it asks through [`Witness`].
//!
//! It works in two halves. [`Gate::answer`] is synchronous and owned by the one runner: it refuses in
//! read-only mode, an incomplete or forbidden plan, a wrong or missing confirmation, an expired question and
//! a second answer. It yields an [`Admission`], which cannot be copied. [`Admission::permit`] is asked right
//! before each write: it reads the object again and refuses when it was replaced, when something that the
//! plan relied on is different, or when the user may not.

use std::collections::BTreeSet;
use std::future::Future;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit::{self, Begun};
use crate::identity::{Context, ObjectRef, Resource, Target, Text};

pub mod guard;

/// What holds for every write in a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The context.
    pub context: Context,
    /// The environment's name, such as `prod`.
    pub environment: String,
    /// Whether a name must be typed before anything is written.
    pub protected: bool,
    /// Why nothing may be written, where that is so: the flag or the line of configuration.
    pub readonly: Option<String>,
    /// The rules of the guard.
    #[serde(skip)]
    pub guard: Vec<guard::Rule>,
}

impl Rules {
    /// Says what the rules of the guard demand of a change.
    pub fn judge(&self, claims: &Claims, objects: &[&ObjectRef], now: Timestamp) -> guard::Verdict {
        let asked = guard::Asked {
            environment: &self.environment,
            verbs: &claims.verbs,
            tenant: claims.tenant.as_deref(),
            objects,
        };
        guard::judge(&self.guard, asked, now)
    }
}

/// What the rules of the guard go by, beside the objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The verb; of an undo also the verb that is taken back.
    pub verbs: Vec<String>,
    /// The tenant, where there is one.
    pub tenant: Option<String>,
    /// Whether a reason was given.
    pub reasoned: bool,
}

/// What must be given before a plan runs; Enter alone never confirms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirmation {
    /// A `y`.
    Yes,
    /// This name, typed whole.
    Type(String),
}

/// What a person answered to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// `y`, or `--yes`.
    Yes,
    /// A typed name, or `--confirm NAME`.
    Typed(String),
}

/// A right that a write needs, as a `SelfSubjectAccessReview` asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Access {
    /// The verb of the API, such as `patch`.
    pub verb: String,
    /// The type.
    pub resource: Resource,
    /// The subresource, such as `eviction`; empty for the object itself.
    pub subresource: String,
    /// The namespace; `None` for cluster-scoped types.
    pub namespace: Option<Text>,
    /// The name.
    pub name: Text,
}

impl Access {
    /// The right to use `verb` on an object itself.
    pub fn to(verb: &str, object: &ObjectRef) -> Self {
        Self {
            verb: verb.to_owned(),
            resource: object.resource.clone(),
            subresource: String::new(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        }
    }
}

/// Writes `patch applications.argoproj.io in argocd`.
impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

/// One thing about an object that a plan relies on.
///
/// Only a digest of the value is kept: a plan is printed and recorded, and a value may be long or private.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Where it stands in the object, as a JSON pointer.
    pub pointer: String,
    /// What it is for people, such as `its auto-sync policy`.
    pub what: String,
    /// SHA-256 of the value as compact JSON with sorted keys, in hexadecimal.
    pub digest: String,
}

/// An object as a plan found it: what must still hold when the plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The object, with its UID and version.
    pub target: Target,
    /// What the plan relies on.
    pub facts: Vec<Fact>,
    /// The rights that its writes need.
    pub access: Vec<Access>,
    /// The object that was asked about, where this one is written for its sake: the node of a pod that a drain
    /// evicts. `None` for an object that was asked about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sake: Option<ObjectRef>,
}

impl Basis {
    /// Notes what a plan relies on: pairs of JSON pointer and name for people.
    pub fn new(target: Target, document: &Value, facts: &[(&str, &str)], access: Vec<Access>) -> Self {
        let facts = facts
            .iter()
            .map(|(pointer, what)| Fact {
                pointer: (*pointer).to_owned(),
                what: (*what).to_owned(),
                digest: digest(document.pointer(pointer)),
            })
            .collect();
        Self { target, facts, access, sake: None }
    }

    /// Compares a fresh look with what the plan found.
    pub fn check(&self, now: &Value) -> Result<(), Refusal> {
        let object = self.target.object.to_string();
        let uid = now.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        if uid != &*self.target.uid {
            return Err(Refusal::Replaced { object, was: self.target.uid.to_string(), is: uid.to_owned() });
        }
        let changed: Vec<String> = self
            .facts
            .iter()
            .filter(|fact| digest(now.pointer(&fact.pointer)) != fact.digest)
            .map(|fact| format!("{} is now {}", fact.what, brief(now.pointer(&fact.pointer))))
            .collect();
        if changed.is_empty() { Ok(()) } else { Err(Refusal::Changed { object, now: changed.join("; ") }) }
    }
}

/// A plan in the gate's terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Its id: one question is answered once.
    pub id: String,
    /// When it expires unanswered.
    pub expires: Timestamp,
    /// The objects that will be written, as the plan found them.
    pub basis: Vec<Basis>,
    /// What must be given.
    pub confirmation: Confirmation,
    /// What forbids it.
    pub stops: Vec<String>,
    /// Whether something is still being checked.
    pub pending: bool,
    /// What the rules of the guard go by.
    pub claims: Claims,
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The context is read-only.
    #[error("{context} is read-only: {reason}")]
    ReadOnly {
        /// The context.
        context: String,
        /// The flag or the line of configuration.
        reason: String,
    },
    /// The question was asked in another context.
    #[error("the question was asked in {asked}, and {open} is open now: ask again")]
    OtherContext {
        /// Where it was asked.
        asked: String,
        /// What is open.
        open: String,
    },
    /// The plan is not complete.
    #[error("the checks are not finished: wait for them, or ask again")]
    Pending,
    /// The plan forbids it.
    #[error("{0}")]
    Stopped(String),
    /// The confirmation is not the one asked for.
    #[error("not confirmed: {0}")]
    NotConfirmed(String),
    /// The question is too old.
    #[error("the plan expired at {0}: ask again")]
    Expired(Timestamp),
    /// The question was answered before.
    #[error("this question was answered already: ask again to see how things are now")]
    Answered,
    /// The user may not.
    #[error("you may not {access}: {reason}")]
    Denied {
        /// The missing right.
        access: String,
        /// The server's reason.
        reason: String,
    },
    /// The object is gone.
    #[error("{0} does not exist any more")]
    Gone(String),
    /// Another object has its name now.
    #[error("{object} was replaced in the meantime (it was {was}, it is {is}): ask again")]
    Replaced {
        /// The object.
        object: String,
        /// The UID that the plan was made for.
        was: String,
        /// The UID now.
        is: String,
    },
    /// Something that the plan relied on is different.
    #[error("{object} has changed since the question: {now}; ask again")]
    Changed {
        /// The object.
        object: String,
        /// What is different, and how it is now.
        now: String,
    },
    /// The object is not part of the question.
    #[error("{0} is not part of the question")]
    Foreign(String),
    /// It could not be checked.
    #[error("cannot be checked: {0}")]
    Unknown(String),
}

/// What the gate must ask the world right before a write.
pub trait Witness {
    /// Reads an object whole and fresh; `None` when it does not exist.
    ///
    /// Implementors must not answer from a cache. The error is a sentence.
    fn look(&self, object: &ObjectRef) -> impl Future<Output = Result<Option<Value>, String>> + Send;

    /// Asks whether the user may; `Err` in the inner result carries the server's reason.
    fn may(&self, access: &Access) -> impl Future<Output = Result<Result<(), String>, String>> + Send;
}

/// The gate of one open context.
#[derive(Debug)]
pub struct Gate {
    rules: Rules,
    answered: BTreeSet<String>,
}

impl Gate {
    /// Builds the gate of a context.
    pub fn new(rules: Rules) -> Self {
        Self { rules, answered: BTreeSet::new() }
    }

    /// Returns the rules it holds.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Puts other rules in force, such as those of another context; answered questions stay answered.
    pub fn govern(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Takes the answer to a question, once.
    ///
    /// A wrong confirmation leaves the question open, so that a slip of the finger can be mended.
    pub fn answer(
        &mut self,
        question: Question,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Admission, Refusal> {
        if let Some(reason) = &self.rules.readonly {
            return Err(Refusal::ReadOnly {
                context: self.rules.context.to_string(),
                reason: reason.clone(),
            });
        }
        if let Some(other) =
            question.basis.iter().find(|basis| basis.target.object.context != self.rules.context)
        {
            return Err(Refusal::OtherContext {
                asked: other.target.object.context.to_string(),
                open: self.rules.context.to_string(),
            });
        }
        if self.answered.contains(&question.id) {
            return Err(Refusal::Answered);
        }
        if let Some(stop) = question.stops.first() {
            return Err(Refusal::Stopped(stop.clone()));
        }
        if question.pending || question.basis.is_empty() {
            return Err(Refusal::Pending);
        }
        if now >= question.expires {
            return Err(Refusal::Expired(question.expires));
        }
        // Asked again here: the hours may be over, and a plan that was made elsewhere counts for nothing.
        let objects: Vec<&ObjectRef> = asked_about(&question.basis);
        let verdict = self.rules.judge(&question.claims, &objects, now);
        if let Some(stop) = verdict.stops.first() {
            return Err(Refusal::Stopped(stop.clone()));
        }
        if verdict.reason && !question.claims.reasoned {
            let rules = verdict.rules.join(", ");
            return Err(Refusal::NotConfirmed(format!("a reason must be given (rule {rules})")));
        }
        if verdict.type_name && question.confirmation == Confirmation::Yes {
            let rules = verdict.rules.join(", ");
            return Err(Refusal::NotConfirmed(format!("a name must be typed (rule {rules})")));
        }
        match (&question.confirmation, answer) {
            // A protected environment never takes a bare yes, whatever the plan says.
            (Confirmation::Yes, Answer::Yes) if !self.rules.protected => {}
            (Confirmation::Yes, Answer::Yes) => {
                return Err(Refusal::NotConfirmed(format!(
                    "{} is protected, a name must be typed",
                    self.rules.environment
                )));
            }
            (Confirmation::Yes, Answer::Typed(_)) => {
                return Err(Refusal::NotConfirmed("the question takes a yes".to_owned()));
            }
            (Confirmation::Type(name), Answer::Typed(typed)) if name == typed => {}
            (Confirmation::Type(name), _) => {
                return Err(Refusal::NotConfirmed(format!("type {name} whole")));
            }
        }
        self.answered.insert(question.id.clone());
        Ok(Admission { basis: question.basis })
    }
}

/// Returns the objects that a question is about, without those that are written for their sake.
pub fn asked_about(basis: &[Basis]) -> Vec<&ObjectRef> {
    basis.iter().filter(|basis| basis.sake.is_none()).map(|basis| &basis.target.object).collect()
}

/// A question that was answered in the way that it asks for; cannot be copied, and is used up by one action.
#[derive(Debug)]
pub struct Admission {
    basis: Vec<Basis>,
}

impl Admission {
    /// Returns the objects that may be written, as the plan found them.
    pub fn basis(&self) -> &[Basis] {
        &self.basis
    }

    /// Takes back a permit that was used, with the server's answer to the write.
    ///
    /// What the action wrote itself is what its next write relies on. A write carries the version that was
    /// looked at, so the answer holds this write and nobody else's.
    pub fn wrote(&mut self, permit: Permit, answer: &Value) {
        let own = self.basis.iter_mut().find(|basis| basis.target.object == permit.object);
        for fact in own.into_iter().flat_map(|basis| &mut basis.facts) {
            fact.digest = digest(answer.pointer(&fact.pointer));
        }
    }

    /// Looks at an object again and permits its writes, or says why not; also gives what was seen.
    ///
    /// Demands the written audit record, so that no write comes before it.
    pub async fn permit(
        &self,
        object: &ObjectRef,
        _record: &Begun,
        witness: &impl Witness,
    ) -> Result<(Permit, Value), Refusal> {
        let Some(basis) = self.basis.iter().find(|basis| basis.target.object == *object) else {
            return Err(Refusal::Foreign(object.to_string()));
        };
        // Side by side: between the answer and the write lies one round trip, and not one for each question.
        let rights = futures::future::join_all(basis.access.iter().map(|access| witness.may(access)));
        let (rights, seen) = futures::future::join(rights, witness.look(object)).await;
        for (access, right) in basis.access.iter().zip(rights) {
            if let Err(reason) = right.map_err(Refusal::Unknown)? {
                return Err(Refusal::Denied { access: access.to_string(), reason });
            }
        }
        let now = seen.map_err(Refusal::Unknown)?.ok_or_else(|| Refusal::Gone(object.to_string()))?;
        basis.check(&now)?;
        Ok((Permit { object: object.clone(), uid: basis.target.uid.clone() }, now))
    }
}

/// The permission to write one object; made by the gate alone, and it cannot be copied.
///
/// A writing function of a source must ask [`Permit::covers`] before it sends.
#[derive(Debug)]
pub struct Permit {
    object: ObjectRef,
    uid: Text,
}

impl Permit {
    /// Tells whether this permit is for that object.
    pub fn covers(&self, object: &ObjectRef) -> bool {
        self.object == *object
    }

    /// Returns the object.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// Returns the UID that the object had when it was looked at; for preconditions.
    pub fn uid(&self) -> &str {
        &self.uid
    }
}

/// Returns the digest of a value; an absent value and `null` are the same, as in a merge patch.
fn digest(value: Option<&Value>) -> String {
    // The map of serde_json keeps its keys sorted, so equal values have equal text.
    audit::hash(&value.unwrap_or(&Value::Null).to_string())
}

/// Says how a value is now, in a few words: scalars as they are, the rest only as different.
fn brief(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "absent".to_owned(),
        Some(Value::String(text)) if text.chars().count() <= 60 => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => "different".to_owned(),
    }
}

#[cfg(test)]
mod tests;
