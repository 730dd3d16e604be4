//! A console without a screen: a store, and the mail of a list that is followed.

use std::sync::Arc;
use std::time::Duration;

use opsdeck::kinds::Kinds;
use opsdeck::sources::Connection;
use opsdeck::store::{Feed, Query, Shelf, Stage, Store};
use tokio::sync::mpsc;

/// A console without a screen: a store, and the mail of the lists that are followed.
pub struct Console {
    pub store: Store,
    pub query: Query,
    mail: mpsc::Receiver<opsdeck::store::Envelope>,
    pub task: tokio::task::JoinHandle<()>,
    /// Every stage that a screen could have seen.
    pub stages: Vec<Stage>,
    /// How many rows there were after each piece of mail.
    pub rows: Vec<usize>,
}

impl Drop for Console {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Console {
    /// Follows a list of a kind that the console knows.
    pub fn follow(connection: &Connection, query: Query) -> Self {
        Self::follow_with(connection, Arc::new(Kinds::new()), query)
    }

    pub fn follow_with(connection: &Connection, kinds: Arc<Kinds>, query: Query) -> Self {
        let mut store = Store::default();
        let epoch = store.subscribe(&query);
        let (sender, mail) = mpsc::channel(16);
        let connection = connection.clone();
        let followed = query.clone();
        let task = tokio::spawn(async move {
            connection.follow(kinds, followed, epoch, sender).await;
        });
        Self { store, query, mail, task, stages: Vec::new(), rows: Vec::new() }
    }

    pub fn shelf(&self) -> &Shelf {
        self.store.shelf(&self.query).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.shelf().iter().map(|(_, object)| object.meta.name.to_string()).collect();
        names.sort();
        names
    }

    /// Takes mail until something is so; fails with what is there after twenty seconds.
    #[track_caller]
    pub fn until(&mut self, what: &'static str, test: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let wait = tokio::time::timeout(Duration::from_secs(20), async {
                while !test(self) {
                    let Some(envelope) = self.mail.recv().await else { break };
                    self.store.apply(envelope);
                    let stage = self.shelf().feed().stage.clone();
                    if self.stages.last() != Some(&stage) {
                        self.stages.push(stage);
                    }
                    self.rows.push(self.shelf().len());
                }
            });
            let over = wait.await.is_err();
            assert!(
                test(self),
                "{place}: waited for {what} (over: {over}); rows {:?}, feed {:?}",
                self.names(),
                self.shelf().feed()
            );
        }
    }

    pub async fn until_live(&mut self) {
        self.until("a live list", |console| console.feed().is_live()).await;
    }

    pub fn feed(&self) -> &Feed {
        self.shelf().feed()
    }
}
