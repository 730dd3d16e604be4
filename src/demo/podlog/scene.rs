//! What log lines tell of beside their own container: how images behave, which applications there are, and which of them
//! fail since when.
//!
//! A copy of what is known at one moment, small and shared; it reads the world and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::system::Voice;
use crate::demo::images::{Behaviour, Images};
use crate::demo::types::Type;
use crate::demo::untyped::{list, text, time};
use crate::demo::world::World;

/// An application that log lines name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub app: String,
    /// It has a host on the ingress controller.
    pub public: bool,
    /// Its replicas, as they are wanted.
    pub replicas: u32,
}

/// What lines may tell of.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// How images behave.
    pub images: Images,
    /// The applications of tenants.
    pub sites: Arc<Vec<Site>>,
    /// Indexes of those that are public.
    pub public: Arc<Vec<usize>>,
    /// From when until when a pod of an application was bad; by index.
    troubles: Arc<BTreeMap<usize, Vec<(Timestamp, Timestamp)>>>,
}

impl Scene {
    /// Looks at the world as it is, for the lines of every container.
    pub fn of(world: &World) -> Self {
        let sites: Vec<Site> = world
            .estate
            .apps()
            .map(|(_, app)| Site {
                namespace: app.namespace.clone(),
                app: app.name.clone(),
                public: app.profile.public,
                replicas: app.replicas,
            })
            .collect();
        let public: Vec<usize> = (0..sites.len()).filter(|index| sites[*index].public).collect();
        let mut troubles: BTreeMap<usize, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
        for index in &public {
            let spans = bad_pods(world, &sites[*index]);
            if !spans.is_empty() {
                troubles.insert(*index, spans);
            }
        }
        Self {
            images: world.images.clone(),
            sites: Arc::new(sites),
            public: Arc::new(public),
            troubles: Arc::new(troubles),
        }
    }

    /// Looks at as much of the world as the lines of one container tell of: applications know only themselves.
    pub fn for_container(world: &World, container: &str) -> Self {
        if matches!(Voice::of(container), Voice::App(_) | Voice::Proxy) {
            return Self { images: world.images.clone(), ..Self::default() };
        }
        Self::of(world)
    }

    /// Returns the share of an application's requests that fail at a moment, from 0 to 1.
    pub fn failing(&self, site: usize, at: Timestamp) -> f64 {
        let usual = 0.002;
        let Some(spans) = self.troubles.get(&site) else { return usual };
        let bad = spans.iter().filter(|(from, until)| at >= *from && at < *until).count();
        let replicas = self.sites.get(site).map_or(1, |site| site.replicas.max(1));
        // Some requests reach a bad pod before it is taken out of the Service.
        (usual + 0.35 * bad as f64 / f64::from(replicas)).min(0.6)
    }
}

/// Returns since when pods of an application are bad.
fn bad_pods(world: &World, site: &Site) -> Vec<(Timestamp, Timestamp)> {
    let pods = world
        .objects
        .list(Type::Pod, Some(&site.namespace))
        .filter(|pod| pod.label("app.kubernetes.io/instance") == Some(site.app.as_str()));
    pods.filter_map(|pod| {
        let pod = pod.value();
        let bad = list(&pod, "/spec/containers").iter().any(|container| {
            let behaviour = world.images.of(text(container, "/image"));
            matches!(behaviour, Behaviour::Crash | Behaviour::OutOfMemory)
        });
        time(&pod, "/metadata/creationTimestamp").filter(|_| bad).map(|since| (since, Timestamp::MAX))
    })
    .collect()
}
