//! The servers inside the cluster: which backend plays which Service.
//!
//! One line a backend. What they serve is their own business.

use std::sync::Arc;

use fastrand::Rng;

use super::alertmanager::wire::{Front as AlertmanagerFront, Peer, Peers};
use super::alertmanager::{self, Alertmanager};
use super::argo_render::Renderer;
use super::argocd_server;
use super::cloudwatch;
use super::cloudwatch::catalog::Account;
use super::loki;
use super::numbers::Numbers;
use super::owner::Owner;
use super::platform::Handle;
use super::prometheus;
use super::prometheus::backend::{Informed, Monitor};
use super::proxy::Backends;
use super::untyped::text;
use crate::clock::Clock;

/// The servers of a platform.
#[derive(Debug)]
pub struct Servers {
    /// Which backend plays which Service.
    pub backends: Backends,
    /// The Alertmanager, for those who send it alerts.
    pub alertmanager: Owner<Alertmanager>,
}

/// Starts the servers of a platform; the renderer reads its repositories, and the generator draws what they need to tell
/// things apart.
pub fn start(handle: &Handle, clock: &Clock, renderer: Renderer, mut rng: Rng) -> Result<Servers, String> {
    let mut backends = loki::backends(handle, clock);
    let alertmanager = Alertmanager::new(alertmanager::CONFIG, rng.fork(), clock.now());
    let alertmanager = Owner::start(alertmanager.map_err(|error| error.to_string())?);
    let front = Arc::new(AlertmanagerFront::new(alertmanager.clone(), clock.clone(), replicas(handle)));
    let monitor = Monitor::start(handle.clone(), clock.clone(), alertmanager.clone());
    let monitor = monitor.map_err(|error| error.to_string())?;
    let front = Arc::new(Informed::new(front, monitor.clone()));
    backends.add("monitoring", "kube-prometheus-stack-alertmanager", 9093, front.clone());
    backends.add("monitoring", "alertmanager-operated", 9093, front);
    let front = Arc::new(prometheus::backend::Front::new(handle.clone(), monitor));
    backends.add("monitoring", "kube-prometheus-stack-prometheus", 9090, front.clone());
    backends.add("monitoring", "prometheus-operated", 9090, front);
    let front = Arc::new(argocd_server::Front::new(handle.clone(), renderer));
    backends.add("argocd", "argocd-server", 80, front.clone());
    backends.add("argocd", "argocd-server", 443, front);
    Ok(Servers { backends, alertmanager })
}

/// Returns a way to look at the account that the platform lives in.
pub fn account(handle: &Handle) -> cloudwatch::Source {
    let handle = handle.clone();
    Arc::new(move || {
        let handle = handle.clone();
        Box::pin(async move {
            let looked = handle.call(|world, now| {
                let numbers = Numbers::at(world, now);
                let throttled = numbers.facts.signal(cloudwatch::THROTTLED).at(now.as_millisecond(), 0.0);
                let signal = |name: &str| numbers.facts.signal(name).at(now.as_millisecond(), 0.0);
                let paged = Some(signal(cloudwatch::PAGED) as usize).filter(|size| *size > 0);
                let suppressed = signal(cloudwatch::SUPPRESSED) > 0.0;
                let account = Account::of(world);
                cloudwatch::Snapshot {
                    samples: Arc::new(numbers),
                    account,
                    now,
                    throttled,
                    paged,
                    suppressed,
                }
            });
            looked.await.ok()
        })
    })
}

/// Returns a way to find the Alertmanager's replicas among the pods.
fn replicas(handle: &Handle) -> Peers {
    let handle = handle.clone();
    Arc::new(move || {
        let handle = handle.clone();
        Box::pin(async move {
            let found = handle.call(|world, _| {
                let pods = world.view.pods_in("monitoring");
                let ours = pods.filter(|(_, pod)| {
                    pod.ready.is_some() && pod.object.label("app.kubernetes.io/name") == Some("alertmanager")
                });
                ours.map(|(key, pod)| {
                    let address = text(&pod.object.value(), "/status/podIP").to_owned();
                    Peer { name: key.name.to_string(), address: format!("{address}:9094") }
                })
                .collect::<Vec<_>>()
            });
            found.await.unwrap_or_default()
        })
    })
}
