//! `CloudWatch` of the account that a cluster lives in: alarms with their history, and metrics (contracts 6).
//!
//! It only reads, but for the rotation of secrets, which the gate permits. Every call is counted, because calls cost; what was answered within a period is not asked for again,
//! and an account that asks to wait is left alone until the wait is over.
//!
//! # Why
//!
//! Which account belongs to a cluster is not known by itself: whoever holds keys of AWS in the environment and opens a
//! cluster on a laptop must not see the alarms of a stranger among its alerts. So `CloudWatch` is asked where
//! configuration names it for the context, or where the cluster itself lives on AWS. The credentials are those of the
//! SDK's ordinary chain; IMDS is asked only on a machine of EC2.

mod account;
mod alarms;
mod failure;
mod figures;
mod metrics;
mod secrets;
mod tenancy;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use jiff::Timestamp;
use tokio::sync::Mutex;

use self::account::Account;
use self::failure::Failure;
pub use self::secrets::{CURRENT, CloudSecret, Moved, PENDING, PREVIOUS};
use self::tenancy::Tenancy;
use super::SourceError;
use super::kubernetes::Connection;
use super::systems::Directions;
use crate::human;
use crate::identity::Text;
use crate::signals::{Figures, Found, System, Told, Wanted};

/// How long an answer about alarms is believed: they are evaluated once a minute.
const PERIOD: i64 = 60;

/// How long what a person must change first is not asked for again, in seconds.
const PATIENT: i64 = 120;

/// How long a look at whether it answers may take: the other systems wait for the same picture.
const LOOK: Duration = Duration::from_secs(8);

/// How long alarms are shown that cannot be asked for anew, in seconds.
const STALE: i64 = 900;

/// The first and the longest rest after it asked to wait, in seconds.
const RESTS: (i64, i64) = (10, 160);

/// How many answers are kept at most.
const KEPT: usize = 400;

/// The account, or why there is none.
type Opened = Result<Arc<Account>, SourceError>;

/// `CloudWatch` beside one cluster; clones share what was asked.
#[derive(Debug, Clone)]
pub struct CloudWatch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    directions: Directions,
    /// Whether the environment may be asked where configuration says nothing.
    ambient: bool,
    // Held while it is opened, so that ten questions at the start open it once.
    account: Mutex<Option<(Timestamp, Opened)>>,
    /// Calls, counted where they are sent, so that the SDK's own repetitions count.
    calls: Arc<AtomicU64>,
    /// Metrics that were asked for, each of which costs.
    metrics: AtomicU64,
    /// When it last answered, in milliseconds since 1970; 0 for never.
    heard: AtomicI64,
    rest: Mutex<Rest>,
    answers: Mutex<HashMap<Wanted, Kept>>,
    alarms: Mutex<Recent>,
    // Held while alarms are asked for, so that all who want them ask once.
    asking: Mutex<()>,
    lists: Mutex<metrics::Lists>,
    tenancy: Mutex<Tenancy>,
}

/// Until when it is left alone, and how often in a row it asked for that.
#[derive(Debug, Default)]
struct Rest {
    until: Option<Timestamp>,
    times: u32,
}

/// The alarms as they were told last.
#[derive(Debug, Default)]
struct Recent {
    kept: Option<Kept>,
    /// The last that were told at all, and when.
    good: Option<(Timestamp, Told)>,
}

/// An answer that is not asked for again for a while.
#[derive(Debug, Clone)]
struct Kept {
    until: Timestamp,
    result: Result<Told, SourceError>,
}

impl CloudWatch {
    /// The account as configuration directs; `ambient` says whether the environment of the process may tell where
    /// configuration does not. Nothing is asked yet.
    pub fn new(connection: Connection, directions: Directions, ambient: bool) -> Self {
        Self(Arc::new(Inner {
            connection,
            directions,
            ambient,
            account: Mutex::default(),
            calls: Arc::default(),
            metrics: AtomicU64::new(0),
            heard: AtomicI64::new(0),
            rest: Mutex::default(),
            answers: Mutex::default(),
            alarms: Mutex::default(),
            asking: Mutex::default(),
            lists: Mutex::default(),
            tenancy: Mutex::default(),
        }))
    }

    fn now(&self) -> Timestamp {
        self.0.connection.now()
    }

    /// Returns how it stands; `None` where nothing says that there is an account.
    pub async fn found(&self) -> Option<Found> {
        let (_, error) = self.recent_alarms(LOOK).await;
        let account = self.0.account.try_lock().ok().and_then(|known| known.clone());
        let account = match account {
            Some((_, Ok(account))) => Some(account),
            // No account: said only where somebody asked for one.
            Some((_, Err(SourceError::Missing { .. }))) if !self.is_configured() => return None,
            _ => None,
        };
        let heard = self.0.heard.load(Ordering::Relaxed);
        Some(Found {
            system: System::CloudWatch,
            way: account.map_or_else(|| Text::from(""), |account| account.way()),
            version: None,
            error,
            note: Some(self.spent().into()),
            scraped: false,
            heard: (heard > 0).then(|| Timestamp::from_millisecond(heard).ok()).flatten(),
        })
    }

    /// Says what was asked so far: calls and metrics, which cost.
    pub fn spent(&self) -> String {
        let (calls, metrics) = (self.0.calls.load(Ordering::Relaxed), self.0.metrics.load(Ordering::Relaxed));
        format!(
            "{} {}, {} {} asked for",
            human::count(calls),
            if calls == 1 { "call" } else { "calls" },
            human::count(metrics),
            if metrics == 1 { "metric" } else { "metrics" }
        )
    }

    fn is_configured(&self) -> bool {
        self.0.directions != Directions::default()
    }

    /// Answers a question about metrics, from what is kept where that is fresh.
    pub async fn figures(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let Wanted::Figures { figures, window, step } = wanted else {
            return Err(SourceError::Invalid {
                what: "the question".to_owned(),
                reason: "it is not about metrics of CloudWatch".to_owned(),
            });
        };
        let now = self.now();
        let known = self.0.answers.lock().await.get(wanted).cloned();
        if let Some(kept) = known.filter(|kept| kept.until > now) {
            return kept.result;
        }
        let result = self.ask_figures(figures, *window, *step).await;
        let period = i64::from(Figures::period(*window, *step, now));
        let until = keep_until(now, period, &result);
        let mut answers = self.0.answers.lock().await;
        if answers.len() >= KEPT {
            answers.retain(|_, kept| kept.until > now);
        }
        if answers.len() < KEPT {
            answers.insert(wanted.clone(), Kept { until, result: result.clone() });
        }
        result
    }

    /// Returns the alarms that are not in order, from what is kept where that is fresh.
    pub async fn alarms(&self) -> Result<Told, SourceError> {
        let _asking = self.0.asking.lock().await;
        let now = self.now();
        if let Some(kept) = self.0.alarms.lock().await.kept.as_ref().filter(|kept| kept.until > now) {
            return kept.result.clone();
        }
        let result = self.ask_alarms().await;
        let mut recent = self.0.alarms.lock().await;
        if let Ok(told) = &result {
            recent.good = Some((now, told.clone()));
        }
        recent.kept = Some(Kept { until: keep_until(now, PERIOD, &result), result: result.clone() });
        result
    }

    /// Returns the alarms within a wait, and why they are not those of now where that is so.
    ///
    /// Asking goes on when the wait is over, so that the next who wants them has them.
    pub async fn recent_alarms(&self, wait: Duration) -> (Option<Told>, Option<SourceError>) {
        let cloud = self.clone();
        let asking = tokio::spawn(async move { cloud.alarms().await });
        let error = match tokio::time::timeout(wait, asking).await {
            Ok(Ok(Ok(told))) => return (Some(told), None),
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) | Err(_) => SourceError::Unreachable {
                what: System::CloudWatch.name().to_owned(),
                place: "AWS".to_owned(),
                reason: format!("no answer within {} s", wait.as_secs()),
            },
        };
        let now = self.now();
        let good = self.0.alarms.lock().await.good.clone();
        let good = good.filter(|(at, _)| seconds(now, *at) < STALE).map(|(_, told)| told);
        (good, Some(error))
    }

    /// Returns the account, opened where it is not yet.
    async fn account(&self) -> Result<Arc<Account>, SourceError> {
        let mut known = self.0.account.lock().await;
        let now = self.now();
        match &*known {
            Some((_, Ok(account))) => Ok(Arc::clone(account)),
            Some((at, Err(error))) if seconds(now, *at) < PATIENT => Err(error.clone()),
            _ => {
                let opened = account::open(
                    &self.0.connection,
                    &self.0.directions,
                    self.0.ambient,
                    Arc::clone(&self.0.calls),
                );
                let opened = opened.await.map(Arc::new);
                *known = Some((now, opened.clone()));
                opened
            }
        }
    }

    /// Carries out one call: not while it asked to wait, counted, its failure in words.
    async fn call<T, E>(
        &self,
        account: &Account,
        action: &'static str,
        sending: impl Future<Output = Result<T, Failure<E>>>,
    ) -> Result<T, SourceError>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let now = self.now();
        if let Some(until) = self.0.rest.lock().await.until.filter(|until| *until > now) {
            return Err(failure::throttled(account, "it asked to wait before", Some(until)));
        }
        let result = sending.await;
        let at = self.now();
        match result {
            Ok(answer) => {
                self.0.heard.store(at.as_millisecond(), Ordering::Relaxed);
                *self.0.rest.lock().await = Rest::default();
                Ok(answer)
            }
            Err(error) => {
                let mut error = failure::read(account, action, &error);
                if let SourceError::Throttled { until, .. } = &mut error {
                    let mut rest = self.0.rest.lock().await;
                    let wait = (RESTS.0 << rest.times.min(8)).min(RESTS.1);
                    rest.times += 1;
                    rest.until = at.checked_add(jiff::SignedDuration::from_secs(wait)).ok();
                    *until = rest.until;
                }
                if matches!(error, SourceError::Unauthenticated { .. }) {
                    // Whoever logs in again gets a new session: it is looked for anew.
                    *self.0.account.lock().await = None;
                }
                Err(error)
            }
        }
    }
}

fn seconds(now: Timestamp, then: Timestamp) -> i64 {
    now.as_second() - then.as_second()
}

/// Returns until when an answer is believed: an answer for its period, a refusal until somebody can have changed
/// what it is about.
fn keep_until(now: Timestamp, period: i64, result: &Result<Told, SourceError>) -> Timestamp {
    let seconds = match result {
        // A little less than the period, so that whoever asks once a period is not told the last answer again.
        Ok(_) => period - 5,
        Err(SourceError::Throttled { until: Some(until), .. }) => return *until,
        Err(SourceError::Denied { .. } | SourceError::Missing { .. } | SourceError::Invalid { .. }) => {
            PATIENT
        }
        Err(_) => 10,
    };
    now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
