//! The command line of what is done to workloads, autoscalers, `CronJobs`, and to objects of any kind.

use clap::{Args, Subcommand, ValueEnum};

use super::Acting;

/// A command on one or several objects that needs nothing more.
#[derive(Debug, Args)]
pub struct Objects {
    /// `KIND/NAME`, one or several, or `KIND NAME...`.
    #[arg(num_args = 1.., required = true, value_name = "KIND/NAME")]
    pub objects: Vec<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck scale`.
#[derive(Debug, Args)]
pub struct Scale {
    /// `KIND/NAME`, one or several, or `KIND NAME...`.
    #[arg(num_args = 1.., required = true, value_name = "KIND/NAME")]
    pub objects: Vec<String>,
    /// How many pods there are to be.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub replicas: i64,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck rollout`.
#[derive(Debug, Args)]
pub struct Rollout {
    /// What.
    #[command(subcommand)]
    pub what: RolloutWhat,
}

/// What is done with a rollout.
#[derive(Debug, Subcommand)]
pub enum RolloutWhat {
    /// Give a Deployment, `StatefulSet` or `DaemonSet` the pod template of an earlier revision. Git stays as it is.
    Undo {
        /// `KIND/NAME`, or `KIND NAME`.
        #[arg(num_args = 1.., required = true, value_name = "KIND/NAME")]
        objects: Vec<String>,
        /// The revision; the one before the present if absent.
        #[arg(long, value_name = "N")]
        to_revision: Option<i64>,
        /// How.
        #[command(flatten)]
        acting: Acting,
    },
    /// Pause the rollout of a Deployment.
    Pause(Objects),
    /// Resume the rollout of a Deployment.
    Resume(Objects),
}

/// `opsdeck pause`.
#[derive(Debug, Args)]
pub struct Pause {
    /// `KIND/NAME`, one or several, or `KIND NAME...`.
    #[arg(num_args = 1.., required = true, value_name = "KIND/NAME")]
    pub objects: Vec<String>,
    /// Of a `ScaledObject`: at how many pods; as many as there are if absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub replicas: Option<i64>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck set-image`.
#[derive(Debug, Args)]
pub struct SetImage {
    /// `KIND/NAME`.
    #[arg(value_name = "KIND/NAME")]
    pub object: String,
    /// `CONTAINER=IMAGE`, one or several; `*` for all containers, an image alone where there is one container.
    #[arg(num_args = 1.., required = true, value_name = "CONTAINER=IMAGE")]
    pub images: Vec<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck set-bounds`.
#[derive(Debug, Args)]
pub struct SetBounds {
    /// `hpa/NAME` or `scaledobject/NAME`, one or several.
    #[arg(num_args = 1.., required = true, value_name = "KIND/NAME")]
    pub objects: Vec<String>,
    /// The fewest pods.
    #[arg(long, value_name = "N", required_unless_present = "max")]
    pub min: Option<i64>,
    /// The most pods.
    #[arg(long, value_name = "N")]
    pub max: Option<i64>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck run`.
#[derive(Debug, Args)]
pub struct Run {
    /// `cronjob/NAME`, one or several, or `cronjob NAME...`.
    #[arg(num_args = 1.., required = true, value_name = "cronjob/NAME")]
    pub objects: Vec<String>,
    /// The name of the job; made of the `CronJob`'s if absent.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// What becomes of what hangs on an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Cascade {
    /// It is deleted after the object.
    #[default]
    Background,
    /// It is deleted first; the object stays until then.
    Foreground,
    /// It stays, without an owner.
    Orphan,
}

/// `opsdeck delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// `KIND/NAME`, one or several, or `KIND NAME...`.
    #[arg(num_args = 1.., required = true, value_name = "KIND/NAME")]
    pub objects: Vec<String>,
    /// What becomes of what hangs on it; pods have nothing.
    #[arg(long, value_enum, default_value_t)]
    pub cascade: Cascade,
    /// Take a pod away that does not end because its node is dead.
    #[arg(long)]
    pub force: bool,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}
