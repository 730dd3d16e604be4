//! The world behind the protocols: objects, a clock that is handed in, and the controllers that act on them.
//!
//! It is deterministic: the same options, the same `now`s and the same writes give the same objects. It speaks no
//! protocol and reads no clock.

use fastrand::Rng;

/// How large the platform is and what happens on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Number of tenants.
    pub tenants: usize,
    /// Pods of each tenant that always run.
    pub pods_per_tenant: usize,
    /// Nodes at the start.
    pub nodes: usize,
    /// Applications over all tenants; `None` derives a believable number from the pods.
    pub applications: Option<usize>,
    /// Where every random choice starts from.
    pub seed: u64,
    /// The scripted incident to play.
    pub story: String,
    /// Object changes a second for load tests; 0 leaves the quiet background activity only.
    pub churn: u32,
    /// Whether anything moves by itself: autoscaling, cron jobs, a consolidation now and then.
    pub alive: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tenants: 8,
            pods_per_tenant: 14,
            nodes: 14,
            applications: None,
            seed: 1,
            story: "quiet".to_owned(),
            churn: 0,
            alive: true,
        }
    }
}

/// Returns the generator of one part of the world, so that a draw in one part does not shift another.
pub fn rng(seed: u64, part: &str) -> Rng {
    Rng::with_seed(seed ^ fnv64(part.as_bytes()))
}

/// Hashes bytes with 64-bit FNV-1a; stable between runs and platforms, unlike the standard hasher.
pub fn fnv64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
