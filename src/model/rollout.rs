//! Whether a rollout is done: the rules of `kubectl rollout status`, asked of what the store holds.

pub use crate::kinds::rollout::Rollout;

use crate::kinds::Object;
use crate::kinds::workloads::{DaemonSet, Deployment, StatefulSet};

/// Tells where the rollout of a workload stands; `None` for what does not roll out.
pub fn of(object: &Object) -> Option<Rollout> {
    if let Some(deployment) = object.body::<Deployment>() {
        return Some(deployment.rollout());
    }
    if let Some(set) = object.body::<StatefulSet>() {
        return Some(set.rollout());
    }
    object.body::<DaemonSet>().map(DaemonSet::rollout)
}
