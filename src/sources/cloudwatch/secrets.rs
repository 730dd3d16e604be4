//! Secrets Manager of the same account: versions, staging labels and rotation of a secret (contracts 7.4).
//!
//! It never asks for a value: `GetSecretValue` is not among what is called here. What changes something is sent once,
//! for a permit of the gate.

use std::sync::Arc;

use aws_sdk_cloudwatch::config::Region;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use aws_sdk_secretsmanager::primitives::DateTime;
use jiff::Timestamp;

use super::CloudWatch;
use super::account::Account;
use super::failure::Failure;
use crate::gate::Permit;
use crate::identity::ObjectRef;
use crate::sources::SourceError;

/// The label of the version that is in use.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version before it.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// The label of the version that a rotation is making.
pub const PENDING: &str = "AWSPENDING";

/// What AWS tells of a secret; nothing of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudSecret {
    /// Its name.
    pub name: String,
    /// The function that rotates it, by name; `None` where rotation is not set up.
    pub function: Option<String>,
    /// Whether it is rotated: by a function, or by AWS itself.
    pub rotates: bool,
    /// When it was last rotated.
    pub rotated: Option<Timestamp>,
    /// When it last changed.
    pub changed: Option<Timestamp>,
    /// Whether it is being deleted.
    pub is_deleted: bool,
    /// Its versions with their staging labels.
    pub versions: Vec<(String, Vec<String>)>,
}

impl CloudSecret {
    /// Returns the version with a label.
    pub fn staged(&self, stage: &str) -> Option<&str> {
        let mut found = self.versions.iter().filter(|(_, stages)| stages.iter().any(|one| one == stage));
        found.next().map(|(id, _)| id.as_str())
    }

    /// Returns the version that a rotation is making, or has left half-way: it is pending and not current.
    pub fn unfinished(&self) -> Option<&str> {
        self.staged(PENDING).filter(|id| self.staged(CURRENT) != Some(*id))
    }

    /// Tells whether there is a version of an id.
    pub fn has(&self, version: &str) -> bool {
        self.versions.iter().any(|(id, _)| id == version)
    }
}

/// A staging label that is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved<'a> {
    /// The label.
    pub stage: &'a str,
    /// The version that gets it; `None` for nobody.
    pub to: Option<&'a str>,
    /// The version that has it.
    pub from: &'a str,
}

fn moment(at: Option<&DateTime>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).unwrap_or_default()).ok()
}

fn clean(text: &str) -> String {
    crate::text::one_line(text).into_owned()
}

impl CloudWatch {
    /// Returns the account and a client for a region, which may be another than that of the metrics.
    async fn secrets(&self, region: &str, writes: bool) -> Result<(Arc<Account>, Client), SourceError> {
        let account = self.account().await?;
        let region = if region.is_empty() { &*account.region } else { region };
        let mut builder = Builder::from(&account.loaded).region(Region::new(region.to_owned()));
        // The URL of the metrics is not that of the secrets.
        builder.set_endpoint_url(self.secrets_url());
        if writes {
            // What changes something is never repeated by the transport.
            builder = builder.retry_config(RetryConfig::disabled());
        }
        let of_region = Account {
            client: account.client.clone(),
            loaded: account.loaded.clone(),
            service: "Secrets Manager",
            region: region.into(),
            profile: account.profile.clone(),
            place: self
                .secrets_url()
                .map_or_else(|| format!("https://secretsmanager.{region}.amazonaws.com"), |url| clean(&url))
                .into(),
            whose: account.whose.clone(),
        };
        Ok((Arc::new(of_region), Client::from_conf(builder.build())))
    }

    /// Carries out one call; a secret that does not exist is told as that.
    async fn ask<T, E>(
        &self,
        account: &Account,
        id: &str,
        action: &'static str,
        sending: impl Future<Output = Result<T, Failure<E>>>,
    ) -> Result<T, SourceError>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let told = self.call(account, action, sending).await;
        told.map_err(|error| match error {
            SourceError::Invalid { reason, .. } if reason.starts_with("ResourceNotFoundException") => {
                SourceError::Missing {
                    what: format!("{id} in {} of {}", account.service, account.region),
                    reason,
                }
            }
            SourceError::Invalid { what, reason } => {
                SourceError::Invalid { what: format!("{what} for {id}"), reason }
            }
            other => other,
        })
    }

    /// Describes a secret: who rotates it, when, and which version has which label.
    pub async fn cloud_secret(&self, region: &str, id: &str) -> Result<CloudSecret, SourceError> {
        let (account, client) = self.secrets(region, false).await?;
        let sending = client.describe_secret().secret_id(id).send();
        let told = self.ask(&account, id, "secretsmanager:DescribeSecret", sending).await?;
        let mut versions: Vec<(String, Vec<String>)> = told
            .version_ids_to_stages()
            .into_iter()
            .flatten()
            .map(|(id, stages)| (clean(id), stages.iter().map(|stage| clean(stage)).collect()))
            .collect();
        versions.sort();
        // arn:aws:lambda:<region>:<account>:function:<name>
        let function = told.rotation_lambda_arn().and_then(|arn| arn.split(":function:").nth(1)).map(clean);
        Ok(CloudSecret {
            name: clean(told.name().unwrap_or(id)),
            rotates: told.rotation_enabled().unwrap_or_default() || function.is_some(),
            function,
            rotated: moment(told.last_rotated_date()),
            changed: moment(told.last_changed_date()),
            is_deleted: told.deleted_date().is_some(),
            versions,
        })
    }

    /// Begins a rotation and returns the version that it makes; the same token again is the same rotation.
    pub async fn rotate_secret(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        region: &str,
        id: &str,
        token: &str,
    ) -> Result<String, SourceError> {
        covered(permit, object)?;
        let (account, client) = self.secrets(region, true).await?;
        let sending = client.rotate_secret().secret_id(id).client_request_token(token).send();
        let told = self.ask(&account, id, "secretsmanager:RotateSecret", sending).await?;
        Ok(clean(told.version_id().unwrap_or(token)))
    }

    /// Moves a staging label.
    pub async fn move_stage(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        region: &str,
        id: &str,
        moved: Moved<'_>,
    ) -> Result<(), SourceError> {
        covered(permit, object)?;
        let (account, client) = self.secrets(region, true).await?;
        let sending = client
            .update_secret_version_stage()
            .secret_id(id)
            .version_stage(moved.stage)
            .remove_from_version_id(moved.from)
            .set_move_to_version_id(moved.to.map(ToOwned::to_owned))
            .send();
        self.ask(&account, id, "secretsmanager:UpdateSecretVersionStage", sending).await?;
        Ok(())
    }

    /// Returns the URL of Secrets Manager, where it is not that of the region.
    fn secrets_url(&self) -> Option<String> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        self.0
            .directions
            .secrets_url
            .clone()
            .or_else(|| set("AWS_ENDPOINT_URL_SECRETS_MANAGER"))
            .or_else(|| set("AWS_ENDPOINT_URL"))
    }
}

fn covered(permit: &Permit, object: &ObjectRef) -> Result<(), SourceError> {
    if permit.covers(object) {
        return Ok(());
    }
    Err(SourceError::Denied {
        verb: "rotate".to_owned(),
        object: object.to_string(),
        reason: format!("the permission is for {}", permit.object()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_is_half_way_while_its_version_is_pending_and_not_current() {
        // contracts 7.4.
        let stages = |of: &[(&str, &[&str])]| CloudSecret {
            versions: of
                .iter()
                .map(|(id, stages)| {
                    ((*id).to_owned(), stages.iter().map(|stage| (*stage).to_owned()).collect())
                })
                .collect(),
            ..CloudSecret::default()
        };
        let going = stages(&[("a", &[CURRENT]), ("b", &[PENDING])]);
        assert_eq!(going.unfinished(), Some("b"));
        // The label may stay where it was when all is done.
        let done = stages(&[("a", &[PREVIOUS]), ("b", &[CURRENT, PENDING])]);
        assert_eq!((done.unfinished(), done.staged(PREVIOUS)), (None, Some("a")));
    }
}
