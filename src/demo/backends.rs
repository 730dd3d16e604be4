//! The servers inside the cluster: which backend plays which Service.
//!
//! One line a backend. What they serve is their own business.

use super::platform::Handle;
use super::proxy::Backends;
use crate::clock::Clock;

/// Returns the backends of a platform.
pub fn backends(_handle: &Handle, _clock: &Clock) -> Backends {
    Backends::default()
}
