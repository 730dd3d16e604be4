//! What log lines tell of beside their own container: how images behave, which applications there are, and how much of
//! what hurts whom since when.
//!
//! A copy of what is known at one moment, small and shared. What fails follows from the same history as the metrics, so
//! that an error rate and the lines behind it agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::system::Voice;
use crate::demo::images::Images;
use crate::demo::numbers::wave::Steps;
use crate::demo::numbers::{Numbers, ingress};
use crate::demo::world::World;

/// The part of requests that fails when nothing hurts.
const USUAL: f64 = 0.0005;

/// An application that log lines name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub app: String,
    /// It has a host on the ingress controller.
    pub public: bool,
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
    /// The part of requests that fails, over time; by index, only where something ever did.
    troubles: Arc<BTreeMap<usize, Steps>>,
}

/// Returns the applications of a world.
pub fn sites(world: &World) -> Vec<Site> {
    world
        .estate
        .apps()
        .map(|(_, app)| Site {
            namespace: app.namespace.clone(),
            app: app.name.clone(),
            public: app.profile.public,
        })
        .collect()
}

impl Scene {
    /// Works out what lines tell of; takes long enough for many applications not to do it where the world waits.
    pub fn new(images: Images, sites: Vec<Site>, numbers: &Numbers) -> Self {
        let public: Vec<usize> = (0..sites.len()).filter(|index| sites[*index].public).collect();
        let mut troubles = BTreeMap::new();
        for index in &public {
            let site = &sites[*index];
            let (failed, _) = ingress::trouble(numbers, &site.namespace, &site.app);
            if failed.iter().any(|(_, share)| share > 0.0) {
                troubles.insert(*index, failed);
            }
        }
        Self { images, sites: Arc::new(sites), public: Arc::new(public), troubles: Arc::new(troubles) }
    }

    /// Looks at as much of the world as the lines of one container tell of: applications know only themselves.
    pub fn for_container(world: &World, container: &str, now: Timestamp) -> Self {
        if matches!(Voice::of(container), Voice::App(_) | Voice::Proxy) {
            return Self { images: world.images.clone(), ..Self::default() };
        }
        Self::new(world.images.clone(), sites(world), &Numbers::at(world, now))
    }

    /// Returns the share of an application's requests that fail at a moment, from 0 to 1.
    pub fn failing(&self, site: usize, at: Timestamp) -> f64 {
        let trouble = self.troubles.get(&site).map_or(0.0, |steps| steps.at(at.as_millisecond(), 0.0));
        trouble.max(USUAL)
    }
}
