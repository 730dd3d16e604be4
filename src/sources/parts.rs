//! Keeps a list in whatever form is permitted: all at once, or put together from the namespaces that are.
//!
//! What is not seen is said, by name where the names are known.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::SourceError;
use super::access::Rules;
use super::follow::{Decode, Follower, Post, Unwanted};
use super::kubernetes::Connection;
use super::objects::scoped;
use crate::gate::Access;
use crate::identity::{Resource, Text};
use crate::kinds::{Frame, Garbled, Kinds, Page, Pool};
use crate::store::{Envelope, Hidden, Query, Update};

/// How long what is permitted is believed.
const BELIEVED: SignedDuration = SignedDuration::from_mins(1);

/// How many namespaces a list is put together from: each costs a connection for its watch.
const MOST: usize = 50;

/// How many namespaces are asked about at once.
const AT_ONCE: usize = 8;

/// What is known of the reach of the user, shared by all lists of a connection.
#[derive(Debug, Default)]
pub(super) struct Reach {
    names: Option<(Timestamp, Result<Vec<Text>, SourceError>)>,
    rules: HashMap<Text, (Timestamp, Rules)>,
}

/// What of a type may be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    /// The namespaces in which it may be.
    pub namespaces: Vec<Text>,
    /// What may not be seen.
    pub hidden: Vec<Hidden>,
}

/// The decoder of a kind that the console knows.
struct Known {
    kinds: Arc<Kinds>,
    resource: Resource,
    /// The forms that are asked for of a list, and of each object that changes.
    accept: (&'static str, &'static str),
    pool: Pool,
}

impl Known {
    fn unknown(&self) -> Garbled {
        let reason = "the console does not know this kind".to_owned();
        Garbled { resource: self.resource.clone(), name: "?".to_owned(), reason }
    }
}

impl Decode for Known {
    fn page(&mut self, body: &[u8]) -> Result<Page, Garbled> {
        let Some(kind) = self.kinds.get(&self.resource) else { return Err(self.unknown()) };
        kind.decode_page(body, &mut self.pool)
    }

    fn frame(&mut self, line: &[u8]) -> Result<Frame, Garbled> {
        let Some(kind) = self.kinds.get(&self.resource) else { return Err(self.unknown()) };
        kind.decode_frame(line, &mut self.pool)
    }

    fn accept(&self) -> &'static str {
        self.accept.0
    }

    fn accept_watch(&self) -> &'static str {
        self.accept.1
    }

    fn twin(&self) -> Self {
        Self {
            kinds: self.kinds.clone(),
            resource: self.resource.clone(),
            accept: self.accept,
            pool: Pool::default(),
        }
    }
}

impl Connection {
    /// Keeps a list of one of the `kinds` until nobody takes the mail any more or the future is dropped.
    ///
    /// Lists, watches, lists again where it must, and says in the mail what goes wrong and when it is tried again.
    pub async fn follow(&self, kinds: Arc<Kinds>, query: Query, epoch: u64, mail: mpsc::Sender<Envelope>) {
        self.follow_in_turn(kinds, query, epoch, mail, false).await;
    }

    /// Keeps a list that somebody waits for, as [`Connection::follow`] does; it is fetched before the others.
    pub async fn follow_first(
        &self,
        kinds: Arc<Kinds>,
        query: Query,
        epoch: u64,
        mail: mpsc::Sender<Envelope>,
    ) {
        self.follow_in_turn(kinds, query, epoch, mail, true).await;
    }

    async fn follow_in_turn(
        &self,
        kinds: Arc<Kinds>,
        query: Query,
        epoch: u64,
        mail: mpsc::Sender<Envelope>,
        first: bool,
    ) {
        let Some(kind) = kinds.get(&query.resource) else { return };
        let (version, namespaced) = (kind.version.clone(), kind.namespaced);
        let accept = (kind.accept(), kind.accept_watch());
        let decoder = Known { kinds, resource: query.resource.clone(), accept, pool: Pool::default() };
        let post = Post { connection: self.clone(), query, epoch, part: None, first, mail };
        // The error says that nobody takes the mail any more, which is how following ends.
        let _ = keep(post, &version, namespaced, decoder).await;
    }

    /// Returns where a type may be listed, for a user who may not list it everywhere.
    pub async fn permitted(&self, resource: &Resource) -> Result<Permitted, SourceError> {
        // Held while asking: many lists ask at the same moment, and the first one's answers serve them all.
        let mut reach = self.reach().lock().await;
        let now = self.now();
        let fresh = |at: &Timestamp| now.duration_since(*at) < BELIEVED;
        let names = match &reach.names {
            Some((at, names)) if fresh(at) => names.clone(),
            _ => {
                let names = self.namespace_names().await;
                reach.names = Some((now, names.clone()));
                names
            }
        };
        let mut hidden = Vec::new();
        let names = match names {
            Ok(names) => names,
            Err(error @ SourceError::Denied { .. }) => {
                hidden.push(Hidden { namespace: None, error });
                self.guesses()
            }
            Err(error) => return Err(error),
        };
        reach.rules.retain(|_, (at, _)| fresh(at));
        let unknown: Vec<Text> =
            names.iter().filter(|name| !reach.rules.contains_key(*name)).cloned().collect();
        let mut answers = futures::stream::iter(unknown)
            .map(|name| async move { (self.rules(&name).await, name) })
            .buffer_unordered(AT_ONCE);
        while let Some((rules, name)) = answers.next().await {
            reach.rules.insert(name, (now, rules?));
        }
        let mut namespaces = Vec::new();
        for name in names {
            let Some((_, rules)) = reach.rules.get(&name) else { continue };
            let mut allowed = rules.allow("list", &resource.group, &resource.plural);
            if !allowed && rules.incomplete {
                allowed = self.can(&list_in(resource, &name)).await?.allowed;
            }
            if allowed && namespaces.len() < MOST {
                namespaces.push(name);
                continue;
            }
            let reason = if allowed {
                format!("only {MOST} namespaces are listed one by one; choose it with -n")
            } else {
                "no role permits it".to_owned()
            };
            let error = SourceError::Denied {
                verb: "list".to_owned(),
                object: scoped(resource, Some(&name)),
                reason,
            };
            hidden.push(Hidden { namespace: Some(name), error });
        }
        Ok(Permitted { namespaces, hidden })
    }

    async fn namespace_names(&self) -> Result<Vec<Text>, SourceError> {
        let list = self.documents(&Resource::new("", "namespaces"), None, "", "").await?;
        let names = list.iter().filter_map(|one| one.pointer("/metadata/name")?.as_str());
        Ok(names.map(Text::from).collect())
    }

    /// Returns the namespaces that are worth a try where not even their names may be listed.
    fn guesses(&self) -> Vec<Text> {
        let current = self.entry().namespace.as_deref().map(Text::from);
        let mut names: Vec<Text> = self.namespaces().iter().cloned().chain(current).collect();
        if names.is_empty() {
            names.push(Text::from("default"));
        }
        names.sort();
        names.dedup();
        names
    }
}

fn list_in(resource: &Resource, namespace: &Text) -> Access {
    Access {
        verb: "list".to_owned(),
        resource: resource.clone(),
        subresource: String::new(),
        namespace: Some(namespace.clone()),
        name: Text::from(""),
    }
}

/// Follows the whole list, and where that is forbidden the parts of it that are permitted.
pub(super) async fn keep<D: Decode>(
    post: Post,
    version: &str,
    namespaced: bool,
    decoder: D,
) -> Result<(), Unwanted> {
    loop {
        let denied = Follower::new(post.clone(), version, decoder.twin()).run().await?;
        let permitted = if namespaced {
            post.connection.permitted(&post.query.resource).await
        } else {
            Err(denied.clone())
        };
        match permitted {
            Ok(permitted) if !permitted.namespaces.is_empty() => {
                split(&post, version, &decoder, permitted).await?;
            }
            _ => post.rest(denied, post.connection.waits().patient).await?,
        }
    }
}

/// Follows the permitted namespaces until the whole list may be permitted.
async fn split<D: Decode>(
    post: &Post,
    version: &str,
    decoder: &D,
    mut permitted: Permitted,
) -> Result<(), Unwanted> {
    let resource = &post.query.resource;
    loop {
        let Permitted { namespaces, hidden } = permitted.clone();
        post.send(Update::Split { parts: namespaces.clone(), hidden }).await?;
        let mut parts: FuturesUnordered<_> = namespaces
            .into_iter()
            .map(|part| {
                let post = Post { part: Some(part), first: false, ..post.clone() };
                let mut follower = Follower::new(post, version, decoder.twin());
                async move { follower.run().await }
            })
            .collect();
        permitted = loop {
            tokio::select! {
                ended = parts.next() => match ended {
                    Some(Err(unwanted)) => return Err(unwanted),
                    // A part does not end by itself; were it to, the others go on.
                    Some(Ok(_)) | None => return Ok(()),
                },
                () = tokio::time::sleep(post.connection.waits().look_again) => {}
            }
            let everywhere = Access { namespace: None, ..list_in(resource, &Text::from("")) };
            if post.connection.can(&everywhere).await.is_ok_and(|verdict| verdict.allowed) {
                post.send(Update::Split { parts: Vec::new(), hidden: Vec::new() }).await?;
                return Ok(());
            }
            match post.connection.permitted(resource).await {
                Ok(now) if now != permitted && !now.namespaces.is_empty() => break now,
                _ => {}
            }
        };
    }
}
