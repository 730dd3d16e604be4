//! Lists that a command needs once: subscribed to, awaited until each is whole or has failed, then left.
//!
//! It is the console's own way in (`follow`, envelopes, store), so that what a command prints is what the
//! console shows.

use std::sync::Arc;
use std::time::Duration;

use color_eyre::eyre::{Result, eyre};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Desk, Usage};
use crate::args::Scope;
use crate::identity::Text;
use crate::kinds::{Kinds, alerts};
use crate::sources::kubeconfig::{Contexts, Places};
use crate::sources::kubernetes::{Connection, Setup};
use crate::sources::{SourceError, Systems};
use crate::store::{Query, Stage, Store};

/// How long a command waits for its lists; 100,000 pods take less on a slow link.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many pieces of mail may wait; the sources wait when the command is slower.
const MAIL: usize = 64;

/// Connects to the context of the scope.
pub async fn connect(desk: &Desk<'_>, scope: &Scope) -> Result<Connection> {
    let places = Places::from_environment(scope.kubeconfig.clone());
    let contexts = Contexts::load(&places).map_err(|error| Usage::report(error.to_string()))?;
    let entry =
        contexts.choose(scope.context.as_deref()).map_err(|error| Usage::report(error.to_string()))?;
    let standing = desk.config.standing(entry.context.as_str());
    let namespaces = standing.namespaces.iter().map(|name| Text::from(name.as_str())).collect();
    Ok(Connection::open(contexts, entry, Setup::new(desk.clock.clone(), namespaces)).await?)
}

/// Returns the systems beside a cluster, as configuration directs.
pub fn systems(desk: &Desk<'_>, connection: &Connection) -> Systems {
    Systems::with_environment(connection.clone(), desk.config.standing(connection.context().as_str()).systems)
}

/// Fills a store with the lists of `queries`; the first is the one that must succeed.
pub async fn gather(
    desk: &Desk<'_>,
    connection: &Connection,
    kinds: &Arc<Kinds>,
    queries: &[Query],
) -> Result<Store> {
    let store = fill(desk, connection, kinds, queries).await?;
    match queries.first().and_then(|query| failure(&store, query)) {
        Some(error) => Err(error.into()),
        None => Ok(store),
    }
}

/// Fills a store with the lists of `queries`, each as far as it can be had; [`failure`] says which could not.
pub async fn fill(
    desk: &Desk<'_>,
    connection: &Connection,
    kinds: &Arc<Kinds>,
    queries: &[Query],
) -> Result<Store> {
    let systems = systems(desk, connection);
    let mut store = Store::default();
    let (sender, mut mail) = mpsc::channel(MAIL);
    let mut tasks = JoinSet::new();
    for query in queries {
        let epoch = store.subscribe(query);
        let (connection, kinds, query, sender) =
            (connection.clone(), kinds.clone(), query.clone(), sender.clone());
        let systems = systems.clone();
        let own = (&*query.resource.group == crate::kinds::record::GROUP)
            .then(|| (crate::audit::Audit::at(desk.paths.audit_file()), desk.clock.clone()));
        tasks.spawn(async move {
            if let Some((audit, clock)) = own {
                crate::runner::record::follow(audit, clock, query, epoch, sender).await;
            } else if &*query.resource.group == alerts::GROUP {
                systems.follow(query, epoch, sender).await;
            } else {
                connection.follow(kinds, query, epoch, sender).await;
            }
        });
    }
    drop(sender);
    let filled = async {
        while !queries.iter().all(|query| settled(&store, query)) {
            let Some(envelope) = mail.recv().await else { break };
            store.apply(envelope);
        }
    };
    if tokio::time::timeout(PATIENCE, filled).await.is_err() {
        return Err(eyre!("{} did not answer within {} s", connection.place(), PATIENCE.as_secs()));
    }
    Ok(store)
}

fn settled(store: &Store, query: &Query) -> bool {
    store.shelf(query).is_none_or(|shelf| {
        let feed = shelf.feed();
        feed.whole_at.is_some() || matches!(feed.stage, Stage::Failed { .. } | Stage::Ended { .. })
    })
}

/// Returns why a list could not be had at all.
pub fn failure(store: &Store, query: &Query) -> Option<SourceError> {
    let feed = store.shelf(query)?.feed();
    if feed.whole_at.is_some() {
        return None;
    }
    feed.error().cloned()
}
