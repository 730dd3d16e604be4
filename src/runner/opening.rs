//! Opens a context and says how its connection stands from then on.
//!
//! It tries until the context is open, and looks at the kubeconfig itself while the server is lost: nobody else may
//! be asking anything then.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::Sender;

use super::{Equipment, Note};
use crate::app::message::Message;
use crate::app::session::Link;
use crate::identity::{Context, Text};
use crate::sources::kubernetes::Setup;
use crate::sources::{Connection, Contexts, SourceError, Standing};

/// The first and the longest wait before a context that could not be opened is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// The opening of a context: tried until it is open, then its standing is watched.
pub(super) struct Opening {
    pub turn: u64,
    pub context: Context,
    pub namespaces: Vec<Text>,
    pub equipment: Equipment,
    pub notes: Sender<Note>,
}

impl Opening {
    pub(super) async fn run(self) {
        let mut wait = RETRY.0;
        let since = self.equipment.clock.now();
        let connection = loop {
            match self.open().await {
                Ok(connection) => break connection,
                Err(reason) => {
                    let retry_at = self.now().saturating_add(wait).ok();
                    let error = SourceError::Unreachable {
                        what: format!("context {}", self.context),
                        place: "the kubeconfig".to_owned(),
                        reason,
                    };
                    self.link(Link::Failed { error, since, retry_at }, None).await;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        };
        let namespace = connection.entry().namespace.as_deref().map(Text::from);
        let note = Note::Opened { turn: self.turn, connection: connection.clone() };
        if self.notes.send(note).await.is_err() {
            return;
        }
        self.watch(connection, namespace).await;
    }

    fn now(&self) -> Timestamp {
        self.equipment.clock.now()
    }

    async fn open(&self) -> Result<Connection, String> {
        let contexts = Contexts::load(&self.equipment.places).map_err(|error| error.to_string())?;
        let entry = contexts.choose(Some(self.context.as_str())).map_err(|error| error.to_string())?;
        let setup = Setup::new(self.equipment.clock.clone(), self.namespaces.clone());
        Connection::open(contexts, entry, setup).await.map_err(|error| error.to_string())
    }

    async fn link(&self, link: Link, namespace: Option<Text>) {
        let message = Message::Link { context: self.context.clone(), link, namespace };
        let _ = self.notes.send(Note::SaidOf { turn: self.turn, message }).await;
    }

    /// Says how the connection stands, whenever that changes.
    async fn watch(&self, connection: Connection, namespace: Option<Text>) {
        let mut standing = connection.standing();
        let mut known: Option<(String, String)> = None;
        let mut lost_since = None;
        loop {
            let now = standing.borrow_and_update().clone();
            let link = match now {
                Standing::New | Standing::Answered => {
                    if now == Standing::New {
                        // Whoever answered before, this may be another server.
                        known = None;
                    }
                    if known.is_none() {
                        // The first question that is asked; its answer is what makes the link live.
                        let (version, user) = tokio::join!(connection.version(), connection.who());
                        let version = match version {
                            Ok(version) => Some(version),
                            // It answers, and does not tell its version: it is there all the same.
                            Err(SourceError::Denied { .. } | SourceError::Missing { .. }) => {
                                Some(String::new())
                            }
                            Err(_) => None,
                        };
                        let user = user.map(|user| user.username).unwrap_or_default();
                        known = version.map(|version| (version, user));
                        if known.is_some()
                            && let Ok(served) = connection.served().await
                        {
                            let types = served.types().iter();
                            let listed = types.filter(|one| one.can("list")).map(|one| one.resource.clone());
                            let message = Message::Served(listed.collect());
                            let _ = self.notes.send(Note::SaidOf { turn: self.turn, message }).await;
                        }
                    }
                    if known.is_some() {
                        lost_since = None;
                    }
                    known
                        .as_ref()
                        .map(|(version, user)| Link::Live { version: version.clone(), user: user.clone() })
                }
                Standing::Renewing { by } => Some(Link::Failed {
                    error: SourceError::Unauthenticated {
                        what: format!("context {}", self.context),
                        reason: format!("it has expired; {by} is fetching another"),
                    },
                    since: *lost_since.get_or_insert_with(|| self.now()),
                    retry_at: None,
                }),
                Standing::Lost(error) => {
                    let since = *lost_since.get_or_insert_with(|| self.now());
                    Some(Link::Failed { error, since, retry_at: None })
                }
            };
            if let Some(link) = link {
                self.link(link, namespace.clone()).await;
            }
            let changed = tokio::select! {
                changed = standing.changed() => changed.is_ok(),
                // Nobody may be asking anything while there is no answer.
                () = connection.watch_files(), if lost_since.is_some() => true,
            };
            if !changed || self.notes.is_closed() {
                return;
            }
        }
    }
}
