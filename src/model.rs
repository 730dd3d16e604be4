//! Conclusions from what the store holds: tenants, what changed, what is suspected. Pure, and kept by what changed.
//!
//! Nothing here fetches, draws or reads a clock; a model is brought up to date with the store and a moment.

pub mod application;
pub mod deployments;
pub mod disruption;
pub mod ended;
pub mod holds;
pub mod placement;
pub mod retreat;
pub mod selector;
pub mod suspects;
pub mod tenants;
pub mod timeline;
pub mod yaml_parts;

mod watch;
