//! The command line of what is done to secrets.

use clap::Args;

use super::Acting;

/// `opsdeck rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The `ExternalSecrets`, by name.
    #[arg(num_args = 1.., required = true, value_name = "EXTERNALSECRET")]
    pub secrets: Vec<String>,
    /// Go on with a rotation that was cut off: nothing is rotated again.
    #[arg(long, conflicts_with_all = ["previous", "refresh"])]
    pub resume: bool,
    /// Bring the previous version back, or give up a rotation that has failed half-way.
    #[arg(long, conflicts_with = "refresh")]
    pub previous: bool,
    /// Have External Secrets bring it again, and rotate nothing.
    #[arg(long)]
    pub refresh: bool,
    /// How long all of it may take, such as 5m; a quarter of an hour if absent.
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}
