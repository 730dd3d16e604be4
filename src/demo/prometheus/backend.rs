//! Prometheus in the cluster: the service proxy's way to the API, and the task that keeps the rules evaluated.
//!
//! # Why
//!
//! Rules are first evaluated when somebody asks this server or the Alertmanager something. Until then nobody could tell
//! the difference, because a first evaluation goes back in time as far as alerts need it; and a platform that only serves
//! the Kubernetes API does not pay for rules. From then on they are evaluated as their intervals come.
//!
//! Queries and rules run on a snapshot of the world's numbers in threads of their own: the world waits for neither.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};

use super::alerts::{Outgoing, Rules};
use super::rules::{RuleError, RuleSet};
use super::{Asked, Reply, answer};
use crate::clock::Clock;
use crate::demo::alertmanager::Alertmanager;
use crate::demo::alertmanager::alerts::Posted;
use crate::demo::numbers::{HISTORY_MS, Numbers};
use crate::demo::owner::Owner;
use crate::demo::platform::Handle;
use crate::demo::promql::Labels;
use crate::demo::proxy::{self, Backend, Request};
use crate::demo::request::{Query, decode};
use crate::demo::server::{self, Response};

/// How often the task looks whether an evaluation has come due.
const LOOK: Duration = Duration::from_millis(250);
/// How long an answer waits for evaluations that have come due; then it tells what is known.
const PATIENCE: Duration = Duration::from_secs(5);

/// What rules have come to, for whoever wants to know.
#[derive(Debug, Clone)]
pub struct Monitor {
    rules: watch::Receiver<Arc<Rules>>,
    wake: Arc<watch::Sender<bool>>,
    clock: Clock,
}

impl Monitor {
    /// Starts the task that evaluates the shipped rules once somebody asks; it ends with the platform.
    pub fn start(handle: Handle, clock: Clock, alertmanager: Owner<Alertmanager>) -> Result<Self, RuleError> {
        let now = clock.now().as_millisecond();
        let rules = Arc::new(Rules::new(RuleSet::shipped()?, now, now - HISTORY_MS));
        let (sender, receiver) = watch::channel(rules);
        let (wake, woken) = watch::channel(false);
        tokio::spawn(drive(handle, clock.clone(), alertmanager, sender, woken));
        Ok(Self { rules: receiver, wake: Arc::new(wake), clock })
    }

    /// Waits until everything that has come due is evaluated, within bounds, and returns the rules.
    pub async fn fresh(&self) -> Arc<Rules> {
        self.wake.send_replace(true);
        let now = self.clock.now().as_millisecond();
        let mut rules = self.rules.clone();
        // Late or gone: what is known is still true, with its own time on it.
        let _ = timeout(PATIENCE, rules.wait_for(|rules| !rules.due(now))).await;
        self.latest()
    }

    /// Returns the rules as they were last evaluated.
    pub fn latest(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.borrow())
    }
}

/// Takes a snapshot of the world's numbers.
async fn snapshot(handle: &Handle) -> Option<(Numbers, i64)> {
    let taken = handle.call(|world, now| (Numbers::at(world, now), now.as_millisecond())).await;
    taken.ok()
}

async fn drive(
    handle: Handle,
    clock: Clock,
    alertmanager: Owner<Alertmanager>,
    sender: watch::Sender<Arc<Rules>>,
    mut woken: watch::Receiver<bool>,
) {
    if woken.wait_for(|woken| *woken).await.is_err() {
        return;
    }
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = sender.closed() => return,
            _ = look.tick() => {}
        }
        let rules = Arc::clone(&sender.borrow());
        if !rules.due(clock.now().as_millisecond()) {
            continue;
        }
        let Some((numbers, now)) = snapshot(&handle).await else { return };
        let evaluated = tokio::task::spawn_blocking(move || {
            let mut rules = Arc::unwrap_or_clone(rules);
            rules.advance(&numbers, now);
            rules
        });
        let Ok(rules) = evaluated.await else {
            tracing::error!("the rules of the embedded platform panicked");
            return;
        };
        let posted: Vec<Posted> = rules.outgoing(now).into_iter().map(posted).collect();
        let at = stamp(now);
        let received = alertmanager.call(move |alertmanager| alertmanager.receive(posted, at).err()).await;
        match received {
            Ok(None) => {}
            Ok(Some(refusal)) => tracing::warn!(?refusal, "the Alertmanager refuses alerts of the rules"),
            Err(_) => return,
        }
        sender.send_replace(Arc::new(rules));
    }
}

fn stamp(at_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX)
}

fn posted(alert: Outgoing) -> Posted {
    let map =
        |labels: &Labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Posted {
        labels: map(&alert.labels),
        annotations: alert.annotations,
        starts_at: Some(stamp(alert.starts_ms)),
        ends_at: Some(stamp(alert.ends_ms)),
        generator_url: alert.generator_url,
    }
}

/// Serves the API.
#[derive(Debug)]
pub struct Front {
    handle: Handle,
    monitor: Monitor,
}

impl Front {
    /// Serves the numbers of a world and the rules of a monitor.
    pub fn new(handle: Handle, monitor: Monitor) -> Self {
        Self { handle, monitor }
    }

    async fn reply(&self, request: Request) -> Reply {
        // A form's parameters come first, as in Go.
        let form =
            request.header(&hyper::header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded");
        let body = if form { String::from_utf8_lossy(&request.body).into_owned() } else { String::new() };
        let query = Query::new(&format!("{body}&{}", request.query));
        let path = decode(&request.path, false);
        let asks_alerts =
            path.ends_with("/rules") || path.ends_with("/alerts") || query.get("query").contains("ALERTS");
        let rules = if asks_alerts { self.monitor.fresh().await } else { self.monitor.latest() };
        let unavailable =
            || Reply { code: 503, media: "text/plain; charset=utf-8", body: b"Service Unavailable".to_vec() };
        let Some((numbers, now_ms)) = snapshot(&self.handle).await else { return unavailable() };
        let asked = Asked { method: request.method.to_string(), path, query, now_ms };
        tokio::task::spawn_blocking(move || answer(&asked, &numbers, &rules))
            .await
            .unwrap_or_else(|_| unavailable())
    }
}

impl Backend for Front {
    fn answer(&self, request: Request) -> proxy::Answer<'_> {
        Box::pin(async move {
            let reply = self.reply(request).await;
            server::bytes(reply.code, reply.media, reply.body.into())
        })
    }
}

/// A server that is told what the rules found before it answers: the Alertmanager.
pub struct Informed {
    inner: Arc<dyn Backend>,
    monitor: Monitor,
}

impl Informed {
    /// Puts the rules before a server.
    pub fn new(inner: Arc<dyn Backend>, monitor: Monitor) -> Self {
        Self { inner, monitor }
    }

    async fn respond(&self, request: Request) -> Response {
        if request.path.contains("/alerts") {
            self.monitor.fresh().await;
        }
        self.inner.answer(request).await
    }
}

impl Backend for Informed {
    fn answer(&self, request: Request) -> proxy::Answer<'_> {
        Box::pin(self.respond(request))
    }
}
