//! Where actions are worked out: the remote cluster, the rules of its context, the clock and the audit.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;

use super::Options;
use crate::audit::Audit;
use crate::clock::Clock;
use crate::concealed::Concealed;
use crate::gate::{Permit, Rules, Witness};
use crate::identity::{ObjectRef, Resource};
use crate::kinds::alerts;
use crate::model::tenants;
use crate::signals::{Answer, System};
use crate::sources::change::Change;
use crate::sources::cloudwatch::{CloudSecret, Moved};
use crate::sources::git::Git;
use crate::sources::objects::Written;
use crate::sources::{SourceError, Systems};

/// What the verbs need of a cluster, and nothing more.
///
/// The connection implements it. It is a trait so that a test can lose an answer, replace an object between
/// question and answer, or let somebody else write first, each at the exact moment.
pub trait Remote: Witness + Sync {
    /// Lists whole objects; the selectors may be empty.
    fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
    ) -> impl Future<Output = Result<Vec<Value>, SourceError>> + Send;

    /// Sends a change of the object; returns what the server stored. Implementors must send once.
    ///
    /// What is made new must name the object as its owner, so that the permission for the object covers it.
    fn send(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        change: &Change,
    ) -> impl Future<Output = Result<Written, SourceError>> + Send;

    /// Has the server pretend that it takes a change (`dryRun=All`); nothing is written.
    fn rehearse(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> impl Future<Output = Result<Written, SourceError>> + Send;

    /// Posts a silence to an Alertmanager and returns its id, which may be a new one. Implementors must send once.
    fn put_silence(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        place: &str,
        body: &Value,
    ) -> impl Future<Output = Result<String, SourceError>> + Send;

    /// Expires a silence at an Alertmanager. Implementors must send once.
    fn expire_silence(
        &self,
        permit: &Permit,
        silence: &ObjectRef,
        place: &str,
    ) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Says which Alertmanagers do not answer while others do, each in a sentence.
    fn unanswered(&self) -> impl Future<Output = Vec<String>> + Send;

    /// Returns what the sources of an Application want at one revision each, rendered by argocd-server; without the
    /// values of Secrets.
    fn manifests(
        &self,
        application: &ObjectRef,
        project: &str,
        revisions: &[String],
    ) -> impl Future<Output = Result<Vec<Value>, SourceError>> + Send;

    /// Reads the value of one key of a Secret, for the screen and nothing else.
    fn reveal(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        key: &str,
    ) -> impl Future<Output = Result<Concealed, SourceError>> + Send;

    /// Describes a secret of AWS; a region that is empty is that of the context.
    fn cloud_secret(
        &self,
        region: &str,
        id: &str,
    ) -> impl Future<Output = Result<CloudSecret, SourceError>> + Send;

    /// Begins the rotation of a secret of AWS for the sake of the object, and returns the version that it makes.
    /// Implementors must send once; the same token again is the same rotation.
    fn rotate_secret(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        region: &str,
        id: &str,
        token: &str,
    ) -> impl Future<Output = Result<String, SourceError>> + Send;

    /// Moves a staging label of a secret of AWS for the sake of the object. Implementors must send once.
    fn move_stage(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        region: &str,
        id: &str,
        moved: Moved<'_>,
    ) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Asks Prometheus for one number; `None` where there is no Prometheus, or it knows none.
    ///
    /// A stand-in may leave it as it is: a cluster without Prometheus is judged without it.
    fn number(&self, query: &str) -> impl Future<Output = Option<f64>> + Send {
        let _ = query;
        std::future::ready(None)
    }

    /// Returns the user name that the API server knows us by.
    fn who(&self) -> impl Future<Output = Result<String, SourceError>> + Send;
}

impl Remote for Systems {
    async fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
    ) -> Result<Vec<Value>, SourceError> {
        if &*resource.group == alerts::GROUP {
            return self.signal_documents(resource).await;
        }
        self.connection().documents(resource, namespace, labels, fields).await
    }

    async fn send(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<Written, SourceError> {
        self.connection().change(permit, object, change).await
    }

    async fn rehearse(&self, object: &ObjectRef, change: &Change) -> Result<Written, SourceError> {
        self.connection().rehearse(object, change).await
    }

    async fn put_silence(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        place: &str,
        body: &Value,
    ) -> Result<String, SourceError> {
        Self::put_silence(self, permit, object, place, body).await
    }

    async fn expire_silence(
        &self,
        permit: &Permit,
        silence: &ObjectRef,
        place: &str,
    ) -> Result<(), SourceError> {
        Self::expire_silence(self, permit, silence, place).await
    }

    async fn unanswered(&self) -> Vec<String> {
        Self::unanswered(self).await
    }

    async fn manifests(
        &self,
        application: &ObjectRef,
        project: &str,
        revisions: &[String],
    ) -> Result<Vec<Value>, SourceError> {
        Self::manifests(self, application, project, revisions).await
    }

    async fn reveal(&self, permit: &Permit, object: &ObjectRef, key: &str) -> Result<Concealed, SourceError> {
        self.connection().reveal(permit, object, key).await
    }

    async fn cloud_secret(&self, region: &str, id: &str) -> Result<CloudSecret, SourceError> {
        self.cloud()?.cloud_secret(region, id).await
    }

    async fn rotate_secret(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        region: &str,
        id: &str,
        token: &str,
    ) -> Result<String, SourceError> {
        self.cloud()?.rotate_secret(permit, object, region, id, token).await
    }

    async fn move_stage(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        region: &str,
        id: &str,
        moved: Moved<'_>,
    ) -> Result<(), SourceError> {
        self.cloud()?.move_stage(permit, object, region, id, moved).await
    }

    async fn number(&self, query: &str) -> Option<f64> {
        let endpoint = self.one(System::Prometheus).await.ok()?;
        let told = crate::sources::prometheus::instant(&endpoint, query, None).await.ok()?;
        let Answer::Series(series) = told.answer else { return None };
        series.first()?.samples.last().map(|sample| sample.value).filter(|value| value.is_finite())
    }

    async fn who(&self) -> Result<String, SourceError> {
        Ok(self.connection().who_lately().await?.username)
    }
}

/// How patiently actions are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long to wait between two looks.
    pub look: Duration,
    /// How long to wait before a conflicting write is tried on the new version.
    pub retry: Duration,
    /// By when it should be done; only shown.
    pub target: Duration,
    /// After how long without a verified end the following ends.
    pub limit: Duration,
    /// How long to wait before an eviction that a budget refused is tried again (kubectl drain: 5 s).
    pub refused: Duration,
    /// After how long a drain stops evicting where nobody says how long.
    pub drain: Duration,
}

impl Default for Pace {
    /// One look a second, the two-minute target, and five minutes in all; a drain has a quarter of an hour.
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            retry: Duration::from_millis(100),
            target: Duration::from_mins(2),
            limit: Duration::from_mins(5),
            refused: Duration::from_secs(5),
            drain: Duration::from_mins(15),
        }
    }
}

impl Pace {
    /// Returns for how long an action that goes on writing is carried out, such as a drain: as long as was asked for.
    pub fn long(&self, options: &Options) -> Duration {
        options.timeout_seconds.map_or(self.drain, |seconds| Duration::from_secs(u64::from(seconds)))
    }
}

/// Everything that planning and carrying out need.
#[derive(Debug, Clone)]
pub struct Desk<R> {
    /// The cluster.
    pub remote: R,
    /// The rules of its context.
    pub rules: Rules,
    /// The clock.
    pub clock: Clock,
    /// The audit.
    pub audit: Audit,
    /// The local user, such as `alice on laptop`.
    pub local_user: String,
    /// How patiently actions are followed.
    pub pace: Pace,
    /// The largest share of the firing alerts that one silence may hide, in percent (`silence.max-share`).
    pub silence_share: u32,
    /// Which namespaces belong to whom: a drain says whose pods it evicts.
    pub tenants: tenants::Rules,
    /// The git program, for the repositories of Applications.
    pub git: Git,
}

/// Who it is where no variable says a name, as under a bare service.
fn unnamed() -> String {
    #[cfg(unix)]
    return format!("uid {}", rustix::process::getuid().as_raw());
    #[cfg(not(unix))]
    return "unknown".to_owned();
}

/// Names the local user from what the system says, for the record; it proves nothing.
pub fn local_user(var: impl Fn(&str) -> Option<String>) -> String {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| var(name).filter(|value| !value.is_empty()))
        .unwrap_or_else(unnamed);
    let host = ["HOSTNAME", "COMPUTERNAME"]
        .iter()
        .find_map(|name| var(name).filter(|value| !value.is_empty()))
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .map(|host| host.trim().to_owned())
        .filter(|host| !host.is_empty());
    match host {
        Some(host) => format!("{user} on {host}"),
        None => user,
    }
}
