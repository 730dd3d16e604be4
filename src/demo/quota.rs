//! ResourceQuotas: what a namespace may use, refused at admission, and what it uses, kept in the status.

use serde_json::Value;

use super::objects::Key;
use super::status::Status;
use super::types::Type;
use super::world::Cx;

/// Creates a pod, or returns the refusal of the quota that has no room for it.
pub fn create_pod(cx: &mut Cx<'_>, pod: Value) -> Result<Key, Status> {
    cx.create(Type::Pod, pod)
}
