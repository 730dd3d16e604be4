//! Commands that run without the console: what they print is for people, or JSON with a stable shape.
//!
//! A command goes the same way as the console: subscriptions into a store, rows out of it, plans through the
//! gate, mutations through the audited runner. What it prints goes to the handles it is given and nowhere
//! else; a closed pipe is not an error.

mod act;
mod audit;
mod board;
mod console;
pub mod demo;
mod doctor;
mod editor;
mod frame;
mod gather;
mod get;
mod logs;
mod loki;
mod manual;
mod query;
mod report;
mod settings;
mod tenants;
mod workloads;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::{Report, Result};

use crate::args::{self, Cli, Command, Look, Scope};
use crate::clock::Clock;
use crate::config::{Config, Paths};
use crate::console::Ended;
use crate::settings::Source;
use crate::term::Reports;

/// How a command ended, as its exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done.
    Done = 0,
    /// 1: failed.
    Failed = 1,
    /// 2: the command line or the configuration is wrong.
    Usage = 2,
    /// 3: refused by the gate, or nobody said yes.
    Refused = 3,
    /// 4: written, and not seen to be so in time.
    NotVerified = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A mistake on the command line or in a file that a person wrote: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    /// Makes a report of it.
    pub fn report(what: impl Into<String>) -> Report {
        Report::new(Self(what.into()))
    }
}

/// What every command works with.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The configuration.
    pub config: Config,
    /// Where configuration and state live.
    pub paths: Paths,
    /// The time.
    pub clock: Clock,
    /// What was said of the scope before the command.
    pub scope: Scope,
    /// Where results go.
    pub out: Handle<'a>,
    /// Where remarks go: progress, warnings, questions.
    pub err: Handle<'a>,
    /// Whether somebody sits at the other end, who can be asked.
    pub attended: bool,
}

/// A place to write to.
pub struct Handle<'a>(Box<dyn Write + 'a>);

impl<'a> Handle<'a> {
    /// Wraps a writer.
    pub fn new(writer: impl Write + 'a) -> Self {
        Self(Box::new(writer))
    }

    /// Writes one line and flushes it, so that a reader of a pipe sees it now.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.0, "{text}")?;
        self.0.flush()
    }

    /// Writes JSON, indented, and a newline.
    pub fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.0, value)?;
        writeln!(self.0)?;
        self.0.flush()
    }

    /// Writes JSON on one line.
    pub fn json_line(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, value)?;
        writeln!(self.0)?;
        self.0.flush()
    }
}

impl std::fmt::Debug for Handle<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl Write for Handle<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads the configuration: file, environment, flags.
pub fn configure(look: &Look, paths: &Paths) -> Result<Config> {
    let variable = |name: &str| std::env::var(name).ok();
    let file = look.config.clone().unwrap_or_else(|| paths.config_file());
    let name = file.display().to_string();
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        // The usual file need not be there; one that was named must be.
        Err(error) if error.kind() == io::ErrorKind::NotFound && look.config.is_none() => None,
        Err(error) => return Err(Usage::report(format!("{name}: cannot be read: {error}"))),
    };
    let source = text.as_deref().map(|text| Source::new(&name, text));
    Config::load(source, variable, &look.overrides()).map_err(|error| Usage::report(error.to_string()))
}

/// Names the variables of the environment that look like settings and are none.
pub fn unknown_variables() -> Vec<String> {
    // A name that is no text is not one of ours.
    let names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    Config::unknown_variables(names.iter().map(String::as_str))
}

/// Runs what the command line asks for, to its end, and prints what panicked on the way.
pub fn main(cli: Cli) -> ExitCode {
    let (reports, runtime) = match (Reports::install(), tokio::runtime::Runtime::new()) {
        (Ok(reports), Ok(runtime)) => (reports, runtime),
        (Err(error), _) => return complain(&error),
        (_, Err(error)) => return complain(&error.into()),
    };
    // A panic in the loop unwinds to here: by then the terminal is given back, and its report can be printed.
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(open(cli, Paths::find(|name| std::env::var(name).ok()), &reports))
    }));
    // A blocked read of a closed terminal must not hold the end up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    for report in reports.take() {
        let _ = writeln!(io::stderr(), "{report}");
    }
    ended.unwrap_or(ExitCode::FAILURE)
}

async fn open(mut cli: Cli, paths: Paths, reports: &Reports) -> ExitCode {
    let ended = match cli.command.take() {
        None => console::run(console::Opening::of(&cli), &paths, reports).await,
        Some(Command::Demo(args)) if !args.headless => demo::open(&cli, &args, &paths, reports).await,
        Some(command) => return run(cli, command, paths).await.into(),
    };
    match ended {
        Ok(Ended::Quit | Ended::InputClosed) => ExitCode::SUCCESS,
        // As a shell reports a program that a signal ended.
        Ok(Ended::Signal(number)) => ExitCode::from(128 + u8::try_from(number).unwrap_or(0)),
        Ok(Ended::Panicked) => ExitCode::FAILURE,
        Err(error) => complain(&error),
    }
}

fn complain(error: &Report) -> ExitCode {
    // Nothing can be done when even this cannot be written.
    let _ = writeln!(io::stderr(), "opsdeck: {}", sentence(error));
    if error.is::<Usage>() { Exit::Usage.into() } else { Exit::Failed.into() }
}

/// Runs a command to its end; an error that is only a closed pipe is none.
pub async fn run(cli: Cli, command: Command, paths: Paths) -> Exit {
    let mut err = io::stderr();
    match dispatch(cli, command, paths).await {
        Ok(exit) => exit,
        Err(error) if is_closed_pipe(&error) => Exit::Done,
        Err(error) => {
            // Nothing can be done when even this cannot be written.
            let _ = writeln!(err, "opsdeck: {}", sentence(&error));
            if error.is::<Usage>() { Exit::Usage } else { Exit::Failed }
        }
    }
}

async fn dispatch(cli: Cli, command: Command, paths: Paths) -> Result<Exit> {
    let config = configure(&cli.look, &paths)?;
    let unknown = unknown_variables();
    let mut desk = Desk {
        config,
        paths,
        clock: Clock::system(),
        scope: cli.scope,
        out: Handle::new(io::stdout().lock()),
        err: Handle::new(io::stderr()),
        attended: io::stdin().is_terminal() && io::stderr().is_terminal(),
    };
    for sentence in unknown {
        desk.err.line(&format!("warning: {sentence}"))?;
    }
    match command {
        Command::Audit(args) => audit::run(&mut desk, &args),
        Command::Config(args) => settings::config(&mut desk, args.output),
        Command::Themes(args) => settings::themes(&mut desk, args.output),
        Command::Keys(args) => settings::keys(&mut desk, args.output),
        Command::Completions { shell } => manual::completions(&mut desk, shell),
        Command::Man => manual::man(&mut desk),
        Command::Get(args) => get::run(&mut desk, &args).await,
        Command::Alerts(args) => get::run(&mut desk, &listing("alerts", args)).await,
        Command::Silence(args::Silence { what: args::SilenceWhat::List(args) }) => {
            get::run(&mut desk, &listing("silences", args)).await
        }
        Command::Doctor(args) => doctor::run(&mut desk, &args).await,
        Command::Demo(args) => demo::headless(&mut desk, &args).await,
        Command::Logs(args) => match &args.target {
            Some(target) => logs::run(&mut desk, &args, target).await,
            None => loki::run(&mut desk, &args).await,
        },
        Command::Query(args) => query::run(&mut desk, &args).await,
        Command::Board(args) => board::run(&mut desk, &args).await,
        command @ (Command::Refresh(_)
        | Command::Sync(_)
        | Command::Rollback(_)
        | Command::Revert(_)
        | Command::Promote(_)
        | Command::Terminate(_)
        | Command::Autosync(_)
        | Command::Restart(_)
        | Command::Scale(_)
        | Command::Rollout(_)
        | Command::Pause(_)
        | Command::Suspend(_)
        | Command::Resume(_)
        | Command::SetImage(_)
        | Command::SetBounds(_)
        | Command::Run(_)
        | Command::Edit(_)
        | Command::Delete(_)
        | Command::Cordon(_)
        | Command::Uncordon(_)
        | Command::Drain(_)
        | Command::Protect(_)
        | Command::Unprotect(_)
        | Command::Nodeclaim(_)
        | Command::Rotate(_)
        | Command::Renew(_)
        | Command::Silence(_)
        | Command::Undo(_)) => act::run(&mut desk, command).await,
    }
}

/// Puts a command that lists one kind in the words of `opsdeck get`.
fn listing(kind: &str, args: args::Alerts) -> args::Get {
    args::Get {
        kind: kind.to_owned(),
        names: Vec::new(),
        scope: args.scope,
        selector: None,
        field_selector: None,
        filter: args.filter,
        output: args.output,
    }
}

/// Writes an error with its causes as one sentence, each said once.
fn sentence(error: &Report) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Wrapped errors often repeat what they wrap.
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

fn is_closed_pipe(error: &Report) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
