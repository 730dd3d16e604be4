//! The command line of alerts, silences, logs and numbers.

use clap::{Args, Subcommand, ValueEnum};

use super::{Acting, Output, Scope};

/// How log lines are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people: cleaned, and with what tells lines apart before each.
    #[default]
    Text,
    /// The lines as they were written, byte for byte. Not for a terminal: they may hold control sequences.
    Raw,
    /// One JSON object a line.
    Json,
}

/// `opsdeck logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// `POD`, or `KIND/NAME` of a workload; its logs come from the Kubernetes API.
    #[arg(
        value_name = "TARGET",
        required_unless_present_any = ["query", "tenant", "app", "pod"],
        conflicts_with_all = ["query", "app", "pod", "from", "to", "yes"],
    )]
    pub target: Option<String>,
    /// A query in `LogQL` for Loki.
    #[arg(short = 'q', long, value_name = "LOGQL", conflicts_with_all = ["app", "pod"], help_heading = "Loki")]
    pub query: Option<String>,
    /// The lines of an app in Loki, by its label `app`.
    #[arg(long, value_name = "NAME", help_heading = "Loki")]
    pub app: Option<String>,
    /// The lines of a pod in Loki, also of one that is gone.
    #[arg(long, value_name = "NAME", help_heading = "Loki")]
    pub pod: Option<String>,
    /// From when on: `14:02`, `2026-11-20 14:02`, `2026-11-20T14:02:31Z`, `-90m`.
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with = "since",
        allow_hyphen_values = true,
        help_heading = "Loki"
    )]
    pub from: Option<String>,
    /// Until when; also so long after `--from`, such as `+10m`.
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with = "follow",
        allow_hyphen_values = true,
        help_heading = "Loki"
    )]
    pub to: Option<String>,
    /// Read also what is larger than `logs.ask-above`.
    #[arg(short = 'y', long, help_heading = "Loki")]
    pub yes: bool,
    /// Where.
    #[command(flatten)]
    pub scope: Scope,
    /// One container alone.
    #[arg(short = 'c', long, value_name = "NAME")]
    pub container: Option<String>,
    /// The previous life of the containers.
    #[arg(short = 'p', long)]
    pub previous: bool,
    /// Go on with what is written from now on.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// How far back, such as `5m` or `2h`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// How many lines of each container; from Loki, how many of the newest in all (1000).
    #[arg(long, value_name = "LINES")]
    pub tail: Option<i64>,
    /// The time before each line.
    #[arg(long)]
    pub timestamps: bool,
    /// How lines are printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: LogFormat,
}

/// How values are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Values {
    /// Columns.
    #[default]
    Table,
    /// JSON.
    Json,
}

/// `opsdeck query`.
#[derive(Debug, Args)]
pub struct Ask {
    /// An expression in `PromQL`.
    #[arg(value_name = "EXPR")]
    pub expression: String,
    /// Where.
    #[command(flatten)]
    pub scope: Scope,
    /// Values over the last so long, such as `1h`, instead of now.
    #[arg(long, value_name = "TIME")]
    pub range: Option<String>,
    /// How far apart the values of a range are.
    #[arg(long, value_name = "TIME", requires = "range")]
    pub step: Option<String>,
    /// How values are printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: Values,
}

/// How a board is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BoardFormat {
    /// As the console draws it; colours on a terminal only.
    #[default]
    Text,
    /// Every panel with its series, as JSON.
    Json,
}

/// `opsdeck board`.
#[derive(Debug, Args)]
pub struct Board {
    /// The board; without it all of them are listed.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where.
    #[command(flatten)]
    pub scope: Scope,
    /// The pod that it is for, in the namespace of `-n`.
    #[arg(long, value_name = "NAME", conflicts_with = "workload", help_heading = "Subject")]
    pub pod: Option<String>,
    /// The workload whose pods it is for, in the namespace of `-n`.
    #[arg(long, value_name = "KIND/NAME", help_heading = "Subject")]
    pub workload: Option<String>,
    /// The node that it is for.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["pod", "workload"], help_heading = "Subject")]
    pub node: Option<String>,
    /// The Argo CD Application that it is for.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["pod", "workload", "node"], help_heading = "Subject")]
    pub app: Option<String>,
    /// The last so long, such as `3h`; the default.
    #[arg(long, value_name = "TIME", help_heading = "Time")]
    pub since: Option<String>,
    /// From when on: `2026-03-02T14:00:00Z`, `14:00`, `-6h`.
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with = "since",
        allow_hyphen_values = true,
        help_heading = "Time"
    )]
    pub from: Option<String>,
    /// Until when; now without it.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Time")]
    pub to: Option<String>,
    /// How it is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: BoardFormat,
    /// Columns; those of the terminal, else 120. They decide how far apart the values are.
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..=1000))]
    pub width: Option<u16>,
    /// Rows; without it as many as all panels need.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u16).range(5..=1000))]
    pub height: Option<u16>,
}

/// `opsdeck alerts`.
#[derive(Debug, Args)]
pub struct Alerts {
    /// Where.
    #[command(flatten)]
    pub scope: Scope,
    /// A filter as in the console, such as `severity=critical since<1h`.
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// How it is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: Output,
}

/// `opsdeck silence`.
#[derive(Debug, Args)]
pub struct Silence {
    /// What is done.
    #[command(subcommand)]
    pub what: SilenceWhat,
}

/// What is done with silences.
#[derive(Debug, Subcommand)]
pub enum SilenceWhat {
    /// Make a silence from matchers; the plan shows which alerts it would hide.
    Add {
        /// Matchers, such as `namespace=shop` or `alertname=~Kube.*`; all of them must match.
        #[arg(num_args = 1.., required = true, value_name = "MATCHER")]
        matchers: Vec<String>,
        /// For how long, such as `30m` or `2h`.
        #[arg(long, value_name = "TIME")]
        r#for: String,
        /// How.
        #[command(flatten)]
        acting: Acting,
    },
    /// Make a silence longer.
    Extend {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
        /// By how long, such as `30m` or `2h`.
        #[arg(long, value_name = "TIME")]
        r#for: String,
        /// How.
        #[command(flatten)]
        acting: Acting,
    },
    /// End silences.
    Expire {
        /// Their ids.
        #[arg(num_args = 1.., required = true, value_name = "ID")]
        ids: Vec<String>,
        /// How.
        #[command(flatten)]
        acting: Acting,
    },
    /// Print the silences.
    List(Alerts),
}
