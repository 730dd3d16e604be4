//! The command line of what is done to Applications.

use clap::{Args, ValueEnum};

use super::Acting;

/// `opsdeck refresh`.
#[derive(Debug, Args)]
pub struct Refresh {
    /// The Application: `NAME` or `NAMESPACE/NAME`.
    pub application: String,
    /// Also drop the manifest cache.
    #[arg(long)]
    pub hard: bool,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck sync`.
#[derive(Debug, Args)]
pub struct Sync {
    /// The Application: `NAME` or `NAMESPACE/NAME`.
    pub application: String,
    /// The revision instead of the tracked one.
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Delete what is no longer in Git.
    #[arg(long)]
    pub prune: bool,
    /// Let the server only pretend.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace, or delete and create, where needed.
    #[arg(long)]
    pub force: bool,
    /// Apply only, without hooks.
    #[arg(long)]
    pub apply_only: bool,
    /// One resource alone, `GROUP:KIND:NAME` or `GROUP:KIND:NAMESPACE/NAME`; may be repeated.
    #[arg(long = "resource", value_name = "RESOURCE")]
    pub resources: Vec<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The Application: `NAME` or `NAMESPACE/NAME`; without it all Applications of `--tenant`.
    pub application: Option<String>,
    /// The id of the history entry; the one before the present if absent.
    #[arg(value_name = "ID")]
    pub id: Option<i64>,
    /// Delete what is not in that revision.
    #[arg(long)]
    pub prune: bool,
    /// Minutes for which auto-sync is held.
    #[arg(long, value_name = "N")]
    pub hold_minutes: Option<u32>,
    /// Another Application that goes back in the same plan, by sync wave; may be repeated.
    #[arg(long, value_name = "APPLICATION")]
    pub also: Vec<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck revert`.
#[derive(Debug, Args)]
pub struct Revert {
    /// The Application: `NAME` or `NAMESPACE/NAME`.
    pub application: String,
    /// The commit, or the id of the history entry, to go back to; the deployment before if absent.
    #[arg(long, value_name = "REVISION")]
    pub to: Option<String>,
    /// Push to a branch for review instead of the tracked one.
    #[arg(long)]
    pub branch: bool,
    /// Another Application that goes back in the same plan, by sync wave; may be repeated.
    #[arg(long, value_name = "APPLICATION")]
    pub also: Vec<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck promote`.
#[derive(Debug, Args)]
pub struct Promote {
    /// The Application that gets the version: `NAME` or `NAMESPACE/NAME`.
    pub application: String,
    /// The environment whose version is copied, as its folder or file is called.
    #[arg(long, value_name = "ENV")]
    pub from: String,
    /// The environment of the Application, as its folder or file is called.
    #[arg(long, value_name = "ENV")]
    pub to: String,
    /// Push to a branch for review instead of the tracked one.
    #[arg(long)]
    pub branch: bool,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck terminate`.
#[derive(Debug, Args)]
pub struct Terminate {
    /// The Application: `NAME` or `NAMESPACE/NAME`.
    pub application: String,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// Which way auto-sync goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AutosyncTo {
    /// Switch it off and remember exactly what it was.
    #[value(alias = "hold")]
    Off,
    /// Give it back exactly as it was.
    #[value(alias = "release")]
    On,
}

/// `opsdeck autosync`.
#[derive(Debug, Args)]
pub struct Autosync {
    /// `off` holds it, `on` gives it back.
    #[arg(value_enum)]
    pub to: AutosyncTo,
    /// The Application: `NAME` or `NAMESPACE/NAME`.
    pub application: String,
    /// Minutes for which it is held.
    #[arg(long, value_name = "N")]
    pub hold_minutes: Option<u32>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}
