//! The command line, described once; help, completions and the manual page follow from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod applications;
mod nodes;
mod secrets;
mod signals;
pub mod workloads;

pub use applications::{Autosync, AutosyncTo, Promote, Refresh, Revert, Rollback, Sync, Terminate};
pub use nodes::{Drain, Nodeclaim, NodeclaimWhat, Nodes, Renew};
pub use secrets::Rotate;
pub use signals::{Alerts, Ask, Board, BoardFormat, LogFormat, Logs, Silence, SilenceWhat, Values};

/// A terminal operations console for multi-tenant Kubernetes platforms run by GitOps.
///
/// Without a command it opens the console; KIND opens it at that kind's table. `opsdeck demo` opens it on a
/// platform inside the program and needs nothing else.
#[derive(Debug, Parser)]
#[command(name = "opsdeck", version, args_conflicts_with_subcommands = false, subcommand_negates_reqs = true)]
pub struct Cli {
    /// Where and what.
    #[command(flatten)]
    pub scope: Scope,
    /// How the console looks.
    #[command(flatten)]
    pub look: Look,
    /// The kind whose table opens first: plural, singular, short or `plural.group`.
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,
    /// A command that runs without the console.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Which cluster, and which part of it.
#[derive(Debug, Clone, Default, Args)]
pub struct Scope {
    /// The kubeconfig context to use instead of the current one.
    #[arg(long, value_name = "NAME", help_heading = "Scope")]
    pub context: Option<String>,
    /// The kubeconfig file to use instead of KUBECONFIG and ~/.kube/config.
    #[arg(long, value_name = "PATH", help_heading = "Scope")]
    pub kubeconfig: Option<PathBuf>,
    /// One namespace alone.
    #[arg(short = 'n', long, value_name = "NAME", conflicts_with = "all_namespaces", help_heading = "Scope")]
    pub namespace: Option<String>,
    /// All namespaces; what is listed is of all where none is named.
    #[arg(short = 'A', long, help_heading = "Scope")]
    pub all_namespaces: bool,
    /// One tenant alone: its namespaces and Applications.
    #[arg(long, value_name = "NAME", help_heading = "Scope")]
    pub tenant: Option<String>,
}

impl Scope {
    /// Returns what was said after the command, completed by what was said before it.
    #[must_use]
    pub fn or(self, before: &Self) -> Self {
        let narrowed = self.namespace.is_some() || self.all_namespaces;
        Self {
            context: self.context.or_else(|| before.context.clone()),
            kubeconfig: self.kubeconfig.or_else(|| before.kubeconfig.clone()),
            namespace: if narrowed { self.namespace } else { before.namespace.clone() },
            all_namespaces: if narrowed { self.all_namespaces } else { before.all_namespaces },
            tenant: self.tenant.or_else(|| before.tenant.clone()),
        }
    }
}

/// How the console looks and what it may do.
#[derive(Debug, Clone, Default, Args)]
pub struct Look {
    /// Refuse every change to the platform.
    #[arg(long, help_heading = "Console")]
    pub readonly: bool,
    /// The theme; `opsdeck themes` lists them.
    #[arg(long, value_name = "NAME", help_heading = "Console")]
    pub theme: Option<String>,
    /// The keymap preset.
    #[arg(long, value_name = "NAME", help_heading = "Console")]
    pub keymap: Option<String>,
    /// Leave the mouse to the terminal.
    #[arg(long, help_heading = "Console")]
    pub no_mouse: bool,
    /// The configuration file to read instead of the usual one.
    #[arg(long, value_name = "PATH", help_heading = "Console")]
    pub config: Option<PathBuf>,
}

impl Look {
    /// Returns what was said after the command, completed by what was said before it.
    #[must_use]
    pub fn or(self, before: &Self) -> Self {
        Self {
            readonly: self.readonly || before.readonly,
            theme: self.theme.or_else(|| before.theme.clone()),
            keymap: self.keymap.or_else(|| before.keymap.clone()),
            no_mouse: self.no_mouse || before.no_mouse,
            config: self.config.or_else(|| before.config.clone()),
        }
    }

    /// Returns the configuration values that were given: key, value, and the flag that gave it.
    pub fn overrides(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut given = Vec::new();
        if self.readonly {
            given.push(("readonly", "true".to_owned(), "--readonly"));
        }
        if let Some(theme) = &self.theme {
            given.push(("theme", theme.clone(), "--theme"));
        }
        if let Some(keymap) = &self.keymap {
            given.push(("keymap", keymap.clone(), "--keymap"));
        }
        if self.no_mouse {
            given.push(("mouse", "false".to_owned(), "--no-mouse"));
        }
        given
    }
}

/// A command that runs without the console.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open the console on a platform inside the program.
    Demo(Demo),
    /// Print objects of a kind.
    Get(Get),
    /// Print logs of a pod, or of all pods of a workload, or what Loki has.
    Logs(Logs),
    /// Ask Prometheus for the values of an expression.
    Query(Ask),
    /// Print one frame of a board, or all its values; without a name, which boards there are.
    Board(Board),
    /// Compare an Application with Git again.
    Refresh(Refresh),
    /// Sync an Application.
    Sync(Sync),
    /// Roll an Application, or all of a tenant, back to an entry of its history.
    Rollback(Rollback),
    /// Put the version before back in the Git repository of an Application.
    Revert(Revert),
    /// Copy the version of one environment to another in the Git repository of an Application.
    Promote(Promote),
    /// Terminate the running operation of an Application.
    Terminate(Terminate),
    /// Hold the auto-sync of an Application, or give it back exactly as it was.
    Autosync(Autosync),
    /// Restart a workload.
    Restart(Restart),
    /// Change how many pods a workload has.
    Scale(workloads::Scale),
    /// Undo, pause and resume rollouts.
    Rollout(workloads::Rollout),
    /// Pause the rollout of a Deployment, or the scaling of a KEDA `ScaledObject`.
    Pause(workloads::Pause),
    /// Suspend a `CronJob` or a Job.
    Suspend(workloads::Objects),
    /// Let go on what is paused or suspended.
    Resume(workloads::Objects),
    /// Give a container of a workload another image.
    SetImage(workloads::SetImage),
    /// Change the fewest and the most pods of an autoscaler.
    SetBounds(workloads::SetBounds),
    /// Run a `CronJob` now.
    Run(workloads::Run),
    /// Change an object in $`KUBE_EDITOR`, $VISUAL or $EDITOR; the server's dry run and the difference come before the question.
    Edit(workloads::Objects),
    /// Delete objects; the name must be confirmed, but for pods that something replaces.
    Delete(workloads::Delete),
    /// Mark nodes unschedulable.
    Cordon(Nodes),
    /// Mark nodes schedulable.
    Uncordon(Nodes),
    /// Evict the pods of nodes through their budgets, one node after the other; always followed to its end.
    Drain(Drain),
    /// Ask Karpenter to leave nodes alone.
    Protect(Nodes),
    /// Let Karpenter take nodes away again.
    Unprotect(Nodes),
    /// Delete the NodeClaims of machines, so that Karpenter replaces them.
    Nodeclaim(Nodeclaim),
    /// Rotate a secret in AWS and follow it through External Secrets and Reloader to the last pod that uses it.
    Rotate(Rotate),
    /// Print the alerts of Alertmanager, Prometheus and CloudWatch.
    Alerts(Alerts),
    /// List, make, extend and expire silences.
    Silence(Silence),
    /// Have cert-manager issue a certificate anew.
    Renew(Renew),
    /// Print who changed what, why, when and how it ended.
    Audit(Audit),
    /// Take back what an entry of the record did, where that is possible.
    Undo(Undo),
    /// Tell what is found, reached and permitted.
    Doctor(Doctor),
    /// Print every configuration value and where it comes from.
    Config(Report),
    /// Print the themes.
    Themes(Report),
    /// Print the keys.
    Keys(Report),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// `opsdeck demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Serve without the console: print one JSON line with the endpoints and run until interrupted.
    #[arg(long)]
    pub headless: bool,
    /// The port on the loopback interface; any free one if absent.
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Where the kubeconfig is written.
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
    /// How many tenants there are.
    #[arg(long, value_name = "N")]
    pub tenants: Option<u32>,
    /// How many pods each tenant has.
    #[arg(long, value_name = "M")]
    pub pods_per_tenant: Option<u32>,
    /// How many nodes there are at the start.
    #[arg(long, value_name = "K")]
    pub nodes: Option<u32>,
    /// How many Applications there are; as many as fit the pods if absent.
    #[arg(long, value_name = "N")]
    pub applications: Option<u32>,
    /// How many objects change each second, for measuring.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub churn: u32,
    /// The seed: the same seed gives the same platform.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// The incident that is played: quiet, bad-deploy (if absent), spot-interruption, frozen-window,
    /// owned-by-applicationset, stuck-sync, noisy-neighbour, quota-full, dns-trouble, volume-full, api-throttled
    /// drain-blocked, certificate-expiring, leaked-secret, rotation-fails, rollback-in-frozen-window or
    /// bad-config-in-git.
    #[arg(long, value_name = "NAME")]
    pub story: Option<String>,
    /// How the console looks.
    #[command(flatten)]
    pub look: Look,
}

/// How objects are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns.
    #[default]
    Table,
    /// All columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `resource/name`.
    Name,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// JSON.
    Json,
}

/// `opsdeck get`.
#[derive(Debug, Args)]
pub struct Get {
    /// The kind, or `tenants`.
    #[arg(value_name = "KIND")]
    pub kind: String,
    /// The names; all if there is none.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Where.
    #[command(flatten)]
    pub scope: Scope,
    /// A label selector, evaluated by the server.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// A field selector, evaluated by the server.
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// A filter as in the console, such as `restarts>3 age<1h`.
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// How it is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: Output,
}

/// What every command that changes the platform takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Acting {
    /// Where.
    #[command(flatten)]
    pub scope: Scope,
    /// Print the plan and change nothing.
    #[arg(long, help_heading = "Change")]
    pub plan: bool,
    /// Answer the question with yes.
    #[arg(short = 'y', long, help_heading = "Change")]
    pub yes: bool,
    /// The name that has to be typed where the environment is protected.
    #[arg(long, value_name = "NAME", help_heading = "Change")]
    pub confirm: Option<String>,
    /// Why; it goes into the audit.
    #[arg(long, value_name = "TEXT", help_heading = "Change")]
    pub reason: Option<String>,
    /// Follow it until it is verified or has failed.
    #[arg(long, help_heading = "Change")]
    pub wait: bool,
    /// Refuse every change.
    #[arg(long, help_heading = "Change")]
    pub readonly: bool,
    /// How plan, progress and end are printed.
    #[arg(short = 'o', long, value_enum, default_value_t, help_heading = "Change")]
    pub output: Format,
}

/// `opsdeck restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// `KIND/NAME`, or `KIND NAME`.
    #[arg(num_args = 1..=2, required = true, value_name = "KIND/NAME")]
    pub workload: Vec<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// The id of the entry, or how it begins (`opsdeck audit` prints it); without it the newest that can be undone.
    #[arg(value_name = "ENTRY")]
    pub entry: Option<String>,
    /// How.
    #[command(flatten)]
    pub acting: Acting,
}

/// `opsdeck audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// How far back, such as `24h` or `7d`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// How it is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: Format,
    /// What else.
    #[command(subcommand)]
    pub command: Option<AuditCommand>,
}

/// What else can be done with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the chain of hashes from the first line to the last.
    Verify {
        /// How it is printed.
        #[arg(short = 'o', long, value_enum, default_value_t)]
        output: Format,
    },
}

/// `opsdeck doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Where.
    #[command(flatten)]
    pub scope: Scope,
    /// How it is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: Format,
}

/// A command that only prints.
#[derive(Debug, Args)]
pub struct Report {
    /// How it is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: Format,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_description_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_kind_opens_the_console_and_a_command_does_not() {
        let cli = parse("opsdeck pods -n tenant-2 --readonly").unwrap();
        assert_eq!((cli.kind.as_deref(), cli.scope.namespace.as_deref()), (Some("pods"), Some("tenant-2")));
        assert!(cli.command.is_none() && cli.look.readonly);
        let cli = parse("opsdeck get pods -o json").unwrap();
        assert!(cli.kind.is_none() && matches!(cli.command, Some(Command::Get(_))));
    }

    #[test]
    fn the_scope_may_stand_before_or_after_the_command_and_after_wins() {
        let cli = parse("opsdeck --context a -n one --tenant t get pods --context b -A").unwrap();
        let Some(Command::Get(get)) = cli.command else { panic!("not get") };
        let scope = get.scope.or(&cli.scope);
        assert_eq!((scope.context.as_deref(), scope.tenant.as_deref()), (Some("b"), Some("t")));
        assert!(scope.all_namespaces && scope.namespace.is_none());
    }

    #[test]
    fn the_commands_of_the_issue_are_understood() {
        for line in [
            "opsdeck demo --headless --port 8443 --kubeconfig k --tenants 3 --pods-per-tenant 4 --nodes 5 --seed 6 --story quiet",
            "opsdeck get applications -A -l a=b --filter health!=Healthy -o wide",
            "opsdeck rollback checkout 41 --yes --confirm tenant-2 --reason INC-7 --wait -o json",
            "opsdeck sync checkout --plan --prune --dry-run --force --apply-only --resource apps:Deployment:checkout",
            "opsdeck rollback --tenant tenant-2 --plan",
            "opsdeck revert checkout --to 41 --branch --plan",
            "opsdeck promote checkout --from staging --to prod --yes --wait",
            "opsdeck autosync hold checkout",
            "opsdeck restart deployment/checkout -n tenant-2 -y",
            "opsdeck restart deployment checkout",
            "opsdeck delete pod a b",
            "opsdeck delete deployment/web --cascade orphan --confirm web",
            "opsdeck delete pod web-0 --force --confirm web-0",
            "opsdeck scale deploy/web sts/db --replicas 3",
            "opsdeck rollout undo deploy/web --to-revision 2 --plan",
            "opsdeck rollout pause deploy/web",
            "opsdeck pause so/web --replicas 2",
            "opsdeck suspend cj report",
            "opsdeck resume cronjob/report",
            "opsdeck set-image deploy/web app=r/a:2 side=r/b:3 -y",
            "opsdeck set-bounds hpa/web --min 2 --max 9",
            "opsdeck run cronjob/report --name report-now",
            "opsdeck edit cm/settings -n shop",
            "opsdeck cordon a",
            "opsdeck audit --since 24h -o json",
            "opsdeck audit verify",
            "opsdeck completions bash",
            "opsdeck man",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
    }

    #[test]
    fn one_namespace_and_all_of_them_exclude_each_other() {
        assert!(parse("opsdeck get pods -n a -A").is_err());
    }
}
