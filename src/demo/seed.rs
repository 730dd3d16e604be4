//! The platform as it is when a client first looks: months old, and at rest.
//!
//! It builds the steady state directly instead of rolling everything out, so that a hundred thousand pods take
//! seconds. What it writes must be what the controllers would have written: a fresh world has nothing to reconcile.

use super::world::{Controller, World};

/// Returns the controllers of the cluster, in the order in which they see a change.
pub fn controllers() -> Vec<Box<dyn Controller>> {
    vec![
        Box::new(super::deployments::Deployments),
        Box::new(super::replicasets::ReplicaSets),
        Box::new(super::scheduler::Scheduler::default()),
        Box::new(super::kubelet::Kubelet::default()),
    ]
}

/// Fills an empty world.
pub fn seed(_world: &mut World) {}
