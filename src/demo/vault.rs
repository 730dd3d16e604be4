//! The secrets of the account that the platform pretends to live in: versions, staging labels, rotation that takes
//! time and can fail.
//!
//! State alone: the protocol is [`super::secrets_manager`]'s, what the cluster makes of it [`super::secrets`]'. Whoever
//! looks brings it up to date first, so nothing needs a timer.
//!
//! # Why
//!
//! The rules are those of AWS (contracts 7.4): a rotation leaves its version with `AWSPENDING` and without
//! `AWSCURRENT` while it runs and when it has failed half-way, and another one is refused until that is cleared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::tenancy::CANARY;
use super::untyped::later;
use super::world::fnv64;

/// The label of the version that is in use.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version before it.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// The label of a version that a rotation is making.
pub const PENDING: &str = "AWSPENDING";

/// Seconds that a rotation takes.
pub const ROTATION: f64 = 12.0;

/// The values of a version. They have no text of their own, so that no log shows them.
#[derive(Clone, Default)]
pub struct Fields(BTreeMap<String, String>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({})", self.0.len())
    }
}

/// A version of a secret.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// Its staging labels.
    pub stages: BTreeSet<String>,
    /// When it was made.
    pub created: Timestamp,
    fields: Fields,
}

/// A rotation under way.
#[derive(Debug, Clone)]
struct Rotation {
    version: String,
    due: Timestamp,
}

/// A secret.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub changed: Timestamp,
    /// When it was last rotated.
    pub rotated: Option<Timestamp>,
    /// The function that rotates it, where one does.
    pub function: Option<String>,
    /// Whether it is rotated on a schedule.
    pub enabled: bool,
    /// Its versions, the oldest first.
    pub versions: Vec<Version>,
    rotation: Option<Rotation>,
}

/// Why something is refused: the shape of the error and its sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Such as `ResourceNotFoundException`.
    pub shape: &'static str,
    /// The sentence, as AWS writes it.
    pub message: String,
}

fn refused(shape: &'static str, message: impl Into<String>) -> Refused {
    Refused { shape, message: message.into() }
}

/// The secrets.
#[derive(Debug, Default)]
pub struct Vault {
    secrets: BTreeMap<String, Secret>,
    /// Secrets whose rotation function fails.
    failing: BTreeSet<String>,
}

/// Returns an id in the form of a UUID that follows from some words.
fn uuid(words: &str) -> String {
    let half = |salt: &str| fnv64(format!("{salt}{words}").as_bytes());
    let text = format!("{:016x}{:016x}", half("high"), half("low"));
    format!("{}-{}-4{}-a{}-{}", &text[..8], &text[8..12], &text[13..16], &text[17..20], &text[20..])
}

impl Secret {
    /// Returns the version with a label.
    pub fn staged(&self, stage: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.stages.contains(stage))
    }

    fn version_mut(&mut self, id: &str) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.id == id)
    }

    /// Returns the version that a rotation is making or has left behind.
    fn unfinished(&self) -> Option<&Version> {
        self.staged(PENDING).filter(|version| !version.stages.contains(CURRENT))
    }

    /// Makes a version the current one; the one before it becomes the previous one.
    fn promote(&mut self, id: &str, now: Timestamp) {
        let before = self.staged(CURRENT).map(|version| version.id.clone());
        for version in &mut self.versions {
            version.stages.remove(CURRENT);
            version.stages.remove(PREVIOUS);
            if Some(&version.id) == before.as_ref() {
                version.stages.insert(PREVIOUS.to_owned());
            }
        }
        if let Some(version) = self.version_mut(id) {
            version.stages.remove(PREVIOUS);
            version.stages.insert(CURRENT.to_owned());
        }
        self.changed = now;
    }
}

impl Vault {
    /// Keeps a field of a secret from the beginning; the secret is made where there is none.
    pub fn seed(&mut self, name: &str, field: &str, value: String, rotates: bool, since: Timestamp) {
        let secret = self.secrets.entry(name.to_owned()).or_insert_with(|| Secret {
            name: name.to_owned(),
            created: since,
            changed: since,
            rotated: None,
            function: rotates.then(|| format!("rotate-{}", name.replace('/', "-"))),
            enabled: rotates,
            versions: vec![Version {
                id: uuid(name),
                stages: [CURRENT.to_owned()].into(),
                created: since,
                fields: Fields::default(),
            }],
            rotation: None,
        });
        if let Some(version) = secret.versions.first_mut() {
            version.fields.0.insert(field.to_owned(), value);
        }
    }

    /// Sets whether the rotation function of a secret fails.
    pub fn set_failing(&mut self, name: &str, fails: bool) {
        if fails {
            self.failing.insert(name.to_owned());
        } else {
            self.failing.remove(name);
        }
    }

    /// Returns the secrets by name.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.values()
    }

    /// Ends the rotations whose time has come.
    pub fn settle(&mut self, now: Timestamp) {
        for secret in self.secrets.values_mut() {
            let Some(rotation) = secret.rotation.clone().filter(|rotation| rotation.due <= now) else {
                continue;
            };
            secret.rotation = None;
            // A function that fails leaves its version as it is.
            if self.failing.contains(&secret.name) {
                continue;
            }
            secret.promote(&rotation.version, rotation.due);
            secret.rotated = Some(rotation.due);
        }
    }

    /// Finds a secret by its name or ARN.
    pub fn get(&self, id: &str) -> Result<&Secret, Refused> {
        let name = name_of(id);
        self.secrets.get(&name).ok_or_else(missing)
    }

    fn get_mut(&mut self, id: &str) -> Result<&mut Secret, Refused> {
        let name = name_of(id);
        self.secrets.get_mut(&name).ok_or_else(missing)
    }

    /// Returns one field of a version: the current one where no version is named by id or label.
    ///
    /// Only what plays the operator inside the cluster asks: no operation that the platform serves does.
    pub fn field(&self, name: &str, field: &str, version: &str) -> Result<&str, String> {
        let secret = self.get(name).map_err(|_| "Secret does not exist".to_owned())?;
        let stage = if version.is_empty() { CURRENT } else { version };
        let found = secret.versions.iter().find(|one| {
            one.stages.contains(stage) || stage.strip_prefix("uuid/").is_some_and(|id| one.id == id)
        });
        let found = found.ok_or_else(|| format!("Secret version {stage} does not exist"))?;
        let value = found.fields.0.get(field).map(String::as_str);
        value.ok_or_else(|| format!("key {field} does not exist in secret {name}"))
    }

    /// Begins a rotation; the token becomes the id of the new version.
    pub fn rotate(&mut self, id: &str, token: &str, now: Timestamp) -> Result<String, Refused> {
        self.settle(now);
        let secret = self.get_mut(id)?;
        if secret.versions.iter().any(|version| version.id == token) {
            // The same request again.
            return Ok(token.to_owned());
        }
        if secret.function.is_none() {
            let message = "No Lambda rotation function ARN is associated with this secret.";
            return Err(refused("InvalidRequestException", message));
        }
        if secret.unfinished().is_some() {
            let message = "A previous rotation isn't complete. That rotation will be reattempted.";
            return Err(refused("InvalidRequestException", message));
        }
        let mut fields = secret.staged(CURRENT).map(|version| version.fields.clone()).unwrap_or_default();
        for (field, value) in &mut fields.0 {
            if field != "username" {
                let made = fnv64(format!("{token}{field}").as_bytes());
                *value = format!("{CANARY}{}-{field}-{made:016x}", secret.name.replace('/', "-"));
            }
        }
        for version in &mut secret.versions {
            version.stages.remove(PENDING);
        }
        secret.versions.push(Version {
            id: token.to_owned(),
            stages: [PENDING.to_owned()].into(),
            created: now,
            fields,
        });
        secret.enabled = true;
        secret.rotation = Some(Rotation { version: token.to_owned(), due: later(now, ROTATION) });
        Ok(token.to_owned())
    }

    /// Puts a new current version there, as a person does with `put-secret-value`.
    pub fn put(&mut self, id: &str, field: &str, value: String, now: Timestamp) -> Result<String, Refused> {
        self.settle(now);
        let secret = self.get_mut(id)?;
        let mut fields = secret.staged(CURRENT).map(|version| version.fields.clone()).unwrap_or_default();
        fields.0.insert(field.to_owned(), value);
        let made = uuid(&format!("{}{}{now}", secret.name, secret.versions.len()));
        secret.versions.push(Version { id: made.clone(), stages: BTreeSet::new(), created: now, fields });
        secret.promote(&made, now);
        Ok(made)
    }

    /// Switches rotation off, and gives a rotation that is under way up.
    pub fn cancel(&mut self, id: &str, now: Timestamp) -> Result<(), Refused> {
        self.settle(now);
        let secret = self.get_mut(id)?;
        secret.enabled = false;
        secret.rotation = None;
        Ok(())
    }

    /// Moves a label to a version, takes it from one, or both.
    pub fn stage(
        &mut self,
        id: &str,
        stage: &str,
        to: Option<&str>,
        from: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.settle(now);
        let secret = self.get_mut(id)?;
        for version in [to, from].into_iter().flatten() {
            if !secret.versions.iter().any(|one| one.id == version) {
                let message = "Secrets Manager can't find the specified secret version.";
                return Err(refused("ResourceNotFoundException", message));
            }
        }
        let holder = secret.staged(stage).map(|version| version.id.clone());
        if let Some(from) = from
            && holder.as_deref() != Some(from)
        {
            let message = format!("The staging label {stage} is not attached to version {from}.");
            return Err(refused("InvalidParameterException", message));
        }
        match (to, &holder) {
            (Some(to), Some(holder)) if to != holder && from.is_none() => {
                let message = format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
                );
                return Err(refused("InvalidParameterException", message));
            }
            (None, _) if stage == CURRENT => {
                let message = "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.";
                return Err(refused("InvalidParameterException", message));
            }
            (Some(to), _) if stage == CURRENT => secret.promote(to, now),
            _ => {
                for version in &mut secret.versions {
                    version.stages.remove(stage);
                }
                if let Some(version) = to.and_then(|to| secret.version_mut(to)) {
                    version.stages.insert(stage.to_owned());
                }
                secret.changed = now;
            }
        }
        // A version without a label is deprecated: AWS forgets it some time later.
        if stage == PENDING && to.is_none() {
            secret.rotation = None;
        }
        Ok(())
    }
}

/// Returns the name of a secret that is called by its name or its ARN.
fn name_of(id: &str) -> String {
    let named = id.strip_prefix("arn:").and_then(|rest| rest.split(":secret:").nth(1));
    // The hyphen and the six characters behind the name are AWS's own.
    match named.and_then(|name| name.rsplit_once('-')) {
        Some((name, _)) if !name.is_empty() => name.to_owned(),
        _ => id.to_owned(),
    }
}

fn missing() -> Refused {
    refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn vault() -> Vault {
        let mut vault = Vault::default();
        vault.seed("shop/api", "password", "old".to_owned(), true, at(0));
        vault.seed("shop/plain", "password", "old".to_owned(), false, at(0));
        vault
    }

    const TOKEN: &str = "0b1e7a3c-9d5f-42e4-a1b2-c3d4e5f60718";

    fn stages(vault: &Vault, id: &str) -> Vec<String> {
        let secret = vault.get("shop/api").unwrap();
        secret.versions.iter().find(|one| one.id == id).unwrap().stages.iter().cloned().collect()
    }

    #[test]
    fn a_rotation_takes_its_time_and_moves_the_labels() {
        let mut vault = vault();
        let old = vault.get("shop/api").unwrap().staged(CURRENT).unwrap().id.clone();
        assert_eq!(vault.rotate("shop/api", TOKEN, at(10)).unwrap(), TOKEN);
        assert_eq!(stages(&vault, TOKEN), [PENDING]);
        assert_eq!(vault.field("shop/api", "password", "").unwrap(), "old");
        // The same request again is the same rotation; another one is refused.
        assert_eq!(vault.rotate("shop/api", TOKEN, at(11)).unwrap(), TOKEN);
        let other = vault.rotate("shop/api", "another", at(11)).unwrap_err();
        assert_eq!(other.shape, "InvalidRequestException");
        vault.settle(at(23));
        assert!(stages(&vault, TOKEN).contains(&CURRENT.to_owned()));
        assert_eq!(stages(&vault, &old), [PREVIOUS]);
        let secret = vault.get("shop/api").unwrap();
        assert_eq!(secret.rotated, Some(at(22)));
        assert!(vault.field("shop/api", "password", "").unwrap().starts_with(CANARY));
        assert_eq!(vault.field("shop/api", "password", PREVIOUS).unwrap(), "old");
    }

    #[test]
    fn a_function_that_fails_leaves_its_version_pending() {
        let mut vault = vault();
        vault.set_failing("shop/api", true);
        vault.rotate("shop/api", TOKEN, at(0)).unwrap();
        vault.settle(at(600));
        assert_eq!(stages(&vault, TOKEN), [PENDING]);
        assert_eq!(vault.get("shop/api").unwrap().rotated, None);
        // Until the label is taken away nothing else is rotated.
        assert!(vault.rotate("shop/api", "next", at(700)).is_err());
        vault.stage("shop/api", PENDING, None, Some(TOKEN), at(700)).unwrap();
        vault.set_failing("shop/api", false);
        vault.rotate("shop/api", "next", at(700)).unwrap();
    }

    #[test]
    fn the_previous_version_is_brought_back_by_moving_the_label() {
        let mut vault = vault();
        let old = vault.get("shop/api").unwrap().staged(CURRENT).unwrap().id.clone();
        vault.rotate("shop/api", TOKEN, at(0)).unwrap();
        vault.settle(at(60));
        let without = vault.stage("shop/api", CURRENT, Some(&old), None, at(61)).unwrap_err();
        assert_eq!(without.shape, "InvalidParameterException");
        vault.stage("shop/api", CURRENT, Some(&old), Some(TOKEN), at(61)).unwrap();
        assert_eq!(stages(&vault, &old), [CURRENT]);
        // AWSPREVIOUS moves by itself.
        assert!(stages(&vault, TOKEN).contains(&PREVIOUS.to_owned()));
        assert_eq!(vault.rotate("shop/plain", "t", at(0)).unwrap_err().shape, "InvalidRequestException");
        assert!(vault.get("nothing").is_err());
    }
}
