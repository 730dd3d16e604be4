//! The client of a connection: made from the kubeconfig, replaced when its credential runs out, and made anew when
//! the files say something else after the server was lost.
//!
//! It sends nothing to the server, and it never shows what it reads.
//!
//! # Why
//!
//! A cluster that was rebuilt behind the same context comes back with another certificate, another port or another
//! user, written to the same file. A client that was made of the old ones stays lost for ever. So every question
//! that follows one without an answer looks first whether the files still say the same: that costs a few small
//! reads, at most one each [`Waits::first`]. The credential plugin runs only where the files have changed or where
//! TLS itself failed (it may hand out certificates): plugins open browsers, and a network that is down is no reason
//! for that.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::SourceError;
use super::access::Reviews;
use super::credential;
use super::kubeconfig::{ConnectError, Contexts, Entry, Print, causes};
use super::kubernetes::{Connection, Standing};
use super::parts::Reach;
use super::waits::Waits;
use crate::identity::Text;

/// How long before its end a credential is replaced.
const EARLY: SignedDuration = SignedDuration::from_secs(60);

/// How often the files are looked at while the server is lost and nobody asks anything.
const LOOK: Duration = Duration::from_secs(2);

/// A client with the life of its credential.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) client: kube::Client,
    /// Which replacement made it.
    pub(super) turn: u64,
    /// Which server it leads to: counted on when the files name another one.
    pub(super) server: u64,
    /// The address of the server, without credentials.
    pub(super) place: Text,
    expires: Option<Timestamp>,
    /// What it was made of.
    print: Print,
}

/// When the client was last replaced, and how that went.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    at: Option<Timestamp>,
    failed: Option<ConnectError>,
    /// When the files were last compared.
    looked: Option<Timestamp>,
}

impl Session {
    /// Reads what a context names, runs its credential plugin, and makes a client; sends nothing.
    pub(super) async fn make(
        contexts: &Contexts,
        entry: &Entry,
        waits: &Waits,
    ) -> Result<Self, ConnectError> {
        // Taken first: what changes while the client is made is found at the next look.
        let print = contexts.print(entry);
        let mut config = contexts.config(entry).await?;
        config.connect_timeout = Some(waits.connect);
        let place = Text::from(place(&config.cluster_url));
        let expires = credential::fill_in(&mut config.auth_info).await?;
        let client = kube::Client::try_from(config).map_err(|error| ConnectError::Incomplete {
            name: entry.context.to_string(),
            reason: crate::text::one_line(&causes(&error)).into_owned(),
        })?;
        Ok(Self { client, turn: 0, server: 0, place, expires, print })
    }
}

impl Connection {
    /// Returns a number that another server behind the same context changes: its lists are not those of the last.
    pub(super) fn server(&self) -> u64 {
        self.current().borrow().server
    }

    /// Waits until the client is another one.
    pub async fn replaced(&self) {
        let mut sessions = self.current().subscribe();
        // The sender lives as long as the connection, so that this is never an error.
        let _ = sessions.changed().await;
    }

    /// Returns when the files have led to another client, or to a reason why there is none; for a connection that
    /// was lost and of which nobody may be asking anything.
    pub async fn watch_files(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.is_lost() && !matches!(self.look_again().await, Ok(None)) {
                return;
            }
        }
    }

    /// Returns the client for the next request.
    pub(super) async fn session(&self) -> Result<Session, SourceError> {
        let session = self.current().borrow().clone();
        if self.is_lost()
            && let Some(session) = self.look_again().await?
        {
            return Ok(session);
        }
        match session.expires {
            Some(expires) if expires.checked_sub(EARLY).is_ok_and(|early| early <= self.now()) => {
                match self.renew(session.turn).await {
                    // It still has some seconds, in which the next renewal may work.
                    Err(_) if self.now() < expires => Ok(session),
                    renewed => renewed,
                }
            }
            _ => Ok(session),
        }
    }

    /// Replaces the client where the files say something else than when it was made, and returns the new one.
    ///
    /// For a connection that was lost. The error is that of files or a plugin that cannot be used.
    pub(super) async fn look_again(&self) -> Result<Option<Session>, SourceError> {
        let turn = self.current().borrow().turn;
        let mut renewal = self.renewal().lock().await;
        let session = self.current().borrow().clone();
        if session.turn != turn {
            return Ok(Some(session));
        }
        let now = self.now();
        let waits = *self.waits();
        if within(renewal.looked, waits.first, now) {
            return Ok(None);
        }
        renewal.looked = Some(now);
        // Files that are gone or half written say nothing; the next look may find them whole.
        let Ok(contexts) = self.contexts().reload() else { return Ok(None) };
        let Ok(entry) = contexts.choose(Some(self.context().as_str())) else { return Ok(None) };
        let print = contexts.print(&entry);
        let patience = if renewal.failed.is_some() { waits.renewal } else { waits.look_again };
        let worth = if print == session.print {
            self.failed_at_tls() && contexts.has_plugin(&entry) && !within(renewal.at, patience, now)
        } else {
            renewal.failed.is_none() || !within(renewal.at, patience, now)
        };
        if !worth {
            return Ok(None);
        }
        renewal.at = Some(now);
        tracing::info!(context = %entry.context, "the server was lost, and the kubeconfig is read anew");
        match Session::make(&contexts, &entry, &waits).await {
            Ok(made) => {
                renewal.failed = None;
                let session = self.adopt(made, &session).await;
                self.stand(Standing::New);
                Ok(Some(session))
            }
            Err(error) => {
                let lost = SourceError::Unreachable {
                    what: format!("context {}", entry.context),
                    place: session.place.to_string(),
                    reason: format!("the kubeconfig was read anew: {error}"),
                };
                renewal.failed = Some(error);
                self.stand(Standing::Lost(lost.clone()));
                Err(lost)
            }
        }
    }

    /// Reads the kubeconfig again, runs the plugin again and builds a new client, unless another task has done so
    /// since `turn`.
    pub(super) async fn renew(&self, turn: u64) -> Result<Session, SourceError> {
        let mut renewal = self.renewal().lock().await;
        let session = self.current().borrow().clone();
        if session.turn != turn {
            return Ok(session);
        }
        let now = self.now();
        let refused = |reason: String| SourceError::Unauthenticated {
            what: format!("the Kubernetes API at {}", session.place),
            reason,
        };
        if within(renewal.at, self.waits().renewal, now) {
            return Err(refused(match &renewal.failed {
                Some(error) => error.to_string(),
                None => "it was read anew, and the new one is refused too: log in again".into(),
            }));
        }
        renewal.at = Some(now);
        self.stand(Standing::Renewing { by: self.entry().user.clone() });
        tracing::info!(context = %self.context(), "the credential is read anew");
        let made = async {
            let contexts = self.contexts().reload()?;
            let entry = contexts.choose(Some(self.context().as_str()))?;
            Session::make(&contexts, &entry, self.waits()).await
        };
        match made.await {
            Ok(made) => {
                renewal.failed = None;
                Ok(self.adopt(made, &session).await)
            }
            Err(error) => {
                let refused = refused(error.to_string());
                renewal.failed = Some(error);
                self.stand(Standing::Lost(refused.clone()));
                Err(refused)
            }
        }
    }

    /// Puts a new client in the place of the last, and forgets what was only true of the last server or user.
    async fn adopt(&self, mut made: Session, last: &Session) -> Session {
        made.turn = last.turn + 1;
        made.server = last.server + u64::from(made.print.server != last.print.server);
        if made.print != last.print {
            *self.reviews().lock().await = Reviews::default();
            *self.reach().lock().await = Reach::default();
        }
        if made.server != last.server {
            *self.served_cache().lock().await = None;
        }
        self.current().send_replace(made.clone());
        made
    }
}

/// Tells whether a moment is less than so long ago.
fn within(at: Option<Timestamp>, wait: Duration, now: Timestamp) -> bool {
    at.and_then(|at| at.checked_add(wait).ok()).is_some_and(|until| until > now)
}

/// Writes the address without a user and password that may stand in it.
fn place(url: &http::Uri) -> String {
    let host = url.host().unwrap_or("?");
    let scheme = url.scheme_str().unwrap_or("https");
    match url.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}
