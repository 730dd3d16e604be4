//! Silences: creating, changing, expiring, and which of them hide an alert.
//!
//! The rules are those of Alertmanager 0.34 (`silence/silence.go`, `api/v2/api.go`): a silence changes in place only
//! where that does not rewrite its past; otherwise the old one ends and a new one begins.

use std::collections::BTreeMap;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::matcher::{Labels, Matcher};
use super::{Refusal, stamp};

/// How long an expired silence can still be looked up; Alertmanager's default of `--data.retention`.
const RETENTION: SignedDuration = SignedDuration::from_hours(120);

/// How a silence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It hides alerts.
    Active,
    /// It has not begun.
    Pending,
    /// It has ended.
    Expired,
}

impl State {
    /// Returns the word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

/// A silence.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Its identity; empty in a request for a new one.
    pub id: String,
    /// All of them must match.
    pub matchers: Vec<Matcher>,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// When it was written.
    pub updated_at: Timestamp,
    /// Who asked for it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// More about it.
    pub annotations: Labels,
}

impl Silence {
    /// Tells how it stands.
    pub fn state(&self, now: Timestamp) -> State {
        if now < self.starts_at {
            State::Pending
        } else if now < self.ends_at {
            State::Active
        } else {
            State::Expired
        }
    }

    /// Tells whether it hides an alert while it is active.
    pub fn hides(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }

    /// Returns what the API shows.
    pub fn to_value(&self, now: Timestamp) -> Value {
        let matchers: Vec<Value> = self
            .matchers
            .iter()
            .map(|matcher| {
                json!({
                    "name": matcher.name, "value": matcher.value,
                    "isEqual": matcher.equal, "isRegex": matcher.regex.is_some(),
                })
            })
            .collect();
        let mut value = json!({
            "id": self.id, "status": {"state": self.state(now).as_str()}, "matchers": matchers,
            "startsAt": stamp(self.starts_at), "endsAt": stamp(self.ends_at), "updatedAt": stamp(self.updated_at),
            "createdBy": self.created_by, "comment": self.comment,
        });
        if !self.annotations.is_empty() {
            let annotations: Map<String, Value> =
                self.annotations.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
            value["annotations"] = Value::Object(annotations);
        }
        value
    }
}

/// All silences, those that ended lately included.
#[derive(Debug)]
pub struct Silences {
    all: BTreeMap<String, Silence>,
    rng: Rng,
}

impl Silences {
    /// Holds none; the generator draws identities.
    pub fn new(rng: Rng) -> Self {
        Self { all: BTreeMap::new(), rng }
    }

    /// Returns one by its identity.
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.all.get(id)
    }

    /// Returns them as the API lists them: active by end, pending by start, expired with the latest first.
    pub fn list(&self, now: Timestamp) -> Vec<&Silence> {
        let mut list: Vec<&Silence> = self.all.values().collect();
        list.sort_by_cached_key(|silence| {
            let state = silence.state(now);
            let order = match state {
                State::Active => silence.ends_at.as_nanosecond(),
                State::Pending => silence.starts_at.as_nanosecond(),
                State::Expired => -silence.ends_at.as_nanosecond(),
            };
            (state, order)
        });
        list
    }

    /// Returns the identities of the active silences that hide an alert.
    pub fn hiding(&self, labels: &Labels, now: Timestamp) -> Vec<String> {
        self.all
            .values()
            .filter(|silence| silence.state(now) == State::Active && silence.hides(labels))
            .map(|silence| silence.id.clone())
            .collect()
    }

    /// Creates or changes a silence and returns its identity, which is new where the old one had to end.
    pub fn set(&mut self, mut wanted: Silence, now: Timestamp) -> Result<String, Refusal> {
        if wanted.starts_at >= wanted.ends_at {
            return Err(Refusal::bad("Failed to create silence: start time must be before end time"));
        }
        if wanted.ends_at < now {
            return Err(Refusal::bad("Failed to create silence: end time can't be in the past"));
        }
        if let Some(at) = wanted.matchers.iter().position(|matcher| matcher.name.is_empty()) {
            return Err(Refusal::bad(format!(
                "invalid silence: invalid label matcher {at} in set 0: invalid label name \"\""
            )));
        }
        if wanted.matchers.iter().all(Matcher::matches_empty) {
            return Err(Refusal::bad(
                "invalid silence: matcher set 0: at least one matcher must not match the empty string",
            ));
        }
        let before = if wanted.id.is_empty() {
            None
        } else {
            Some(self.all.get(&wanted.id).ok_or_else(Refusal::unknown_silence)?)
        };
        wanted.updated_at = now;
        if before.is_some_and(|before| in_place(before, &wanted, now)) {
            let id = wanted.id.clone();
            self.all.insert(id.clone(), wanted);
            return Ok(id);
        }
        let old = std::mem::replace(&mut wanted.id, identity(&mut self.rng));
        if !old.is_empty() {
            self.expire(&old, now)?;
        }
        wanted.starts_at = wanted.starts_at.max(now);
        let id = wanted.id.clone();
        self.all.insert(id.clone(), wanted);
        Ok(id)
    }

    /// Ends a silence; one that has ended stays as it is.
    pub fn expire(&mut self, id: &str, now: Timestamp) -> Result<(), Refusal> {
        let silence = self.all.get_mut(id).ok_or_else(Refusal::unknown_silence)?;
        match silence.state(now) {
            State::Expired => return Ok(()),
            State::Active => {}
            State::Pending => silence.starts_at = now,
        }
        silence.ends_at = now;
        silence.updated_at = now;
        Ok(())
    }

    /// Forgets those that ended long ago.
    pub fn tidy(&mut self, now: Timestamp) {
        self.all.retain(|_, silence| {
            silence.ends_at.checked_add(RETENTION).is_ok_and(|forgotten| forgotten > now)
        });
    }
}

/// Tells whether a change leaves the past of a silence as it was.
fn in_place(before: &Silence, after: &Silence, now: Timestamp) -> bool {
    before.matchers == after.matchers
        && match before.state(now) {
            State::Active => {
                before.starts_at.as_second() == after.starts_at.as_second() && after.ends_at >= now
            }
            State::Pending => after.starts_at >= now,
            State::Expired => false,
        }
}

/// Draws a UUID of version 4.
fn identity(rng: &mut Rng) -> String {
    let bits = (rng.u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
