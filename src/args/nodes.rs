//! The command line of what is done to nodes and their claims, and to certificates.

use clap::{Args, Subcommand};

use super::Acting;

/// `opsdeck cordon`, `uncordon`, `protect` and `unprotect`.
#[derive(Debug, Args)]
pub struct Nodes {
    /// The nodes.
    #[arg(num_args = 1.., required = true, value_name = "NODE")]
    pub nodes: Vec<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck nodeclaim`.
#[derive(Debug, Args)]
pub struct Nodeclaim {
    /// What.
    #[command(subcommand)]
    pub what: NodeclaimWhat,
}

/// What is done with NodeClaims.
#[derive(Debug, Subcommand)]
pub enum NodeclaimWhat {
    /// Delete NodeClaims: Karpenter drains each machine, ends it, and buys what its pods need.
    Delete {
        /// The claims.
        #[arg(num_args = 1.., required = true, value_name = "CLAIM")]
        claims: Vec<String>,
        /// How.
        #[command(flatten)]
        acting: Acting,
    },
}

/// `opsdeck drain`.
#[derive(Debug, Args)]
pub struct Drain {
    /// The nodes, in the order in which they are drained.
    #[arg(required_unless_present_any = ["pool", "zone"], value_name = "NODE")]
    pub nodes: Vec<String>,
    /// The nodes of a Karpenter pool or a managed node group, the oldest first; needs --limit.
    #[arg(long, value_name = "NAME", conflicts_with = "nodes", requires = "limit")]
    pub pool: Option<String>,
    /// The nodes of an availability zone, the oldest first; needs --limit.
    #[arg(long, value_name = "NAME", conflicts_with = "nodes", requires = "limit")]
    pub zone: Option<String>,
    /// How many nodes of the pool or zone are drained, at most.
    #[arg(long, value_name = "N", conflicts_with = "nodes", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Also evict pods that no controller owns; nothing replaces them.
    #[arg(long)]
    pub force: bool,
    /// Also evict pods with `emptyDir` volumes; what lies in them is lost.
    #[arg(long)]
    pub delete_emptydir_data: bool,
    /// As kubectl has it; pods of `DaemonSets` are always left.
    #[arg(long, hide = true)]
    pub ignore_daemonsets: bool,
    /// How many pods may be ending at a time (5).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub parallel: Option<u32>,
    /// When to stop evicting, such as 30m or 2h (15m for each node).
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// How; it is always followed, because nothing is evicted after this program has ended.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck renew`.
#[derive(Debug, Args)]
pub struct Renew {
    /// The certificates, each NAME or certificate/NAME.
    #[arg(num_args = 1.., required = true, value_name = "CERTIFICATE")]
    pub certificates: Vec<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}
