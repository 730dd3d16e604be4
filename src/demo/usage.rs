//! How much CPU and memory pods and nodes use: what metrics.k8s.io tells, and what autoscalers act upon.
//!
//! Computed from requests, the time of day, the load on the tenant and the behaviour of the image; nothing is
//! sampled or stored, and the same moment always gives the same answer.

use std::collections::BTreeMap;

/// How busy applications are, as a factor on their usual load.
#[derive(Debug, Default)]
pub struct Load(BTreeMap<(String, String), f64>);

impl Load {
    /// Sets the load of one application, 1.0 being usual.
    pub fn set(&mut self, namespace: &str, app: &str, factor: f64) {
        self.0.insert((namespace.to_owned(), app.to_owned()), factor);
    }

    /// Returns the load of one application.
    pub fn of(&self, namespace: &str, app: &str) -> f64 {
        self.0.get(&(namespace.to_owned(), app.to_owned())).copied().unwrap_or(1.0)
    }
}
