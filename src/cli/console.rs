//! `opsdeck`: the console on this terminal.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use clap::CommandFactory as _;
use color_eyre::eyre::{Result, WrapErr as _};
use crossterm::event::{Event, EventStream};
use futures::Stream;
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use tokio::sync::mpsc;

use super::{Usage, configure, editor, settings};
use crate::actions::{Verb, local_user};
use crate::app::effect::{Effect, Need};
use crate::app::going;
use crate::app::memory::Memory;
use crate::app::message::Message;
use crate::app::session::Reachable;
use crate::app::state::State;
use crate::args::{Cli, Look as Flags, Scope};
use crate::audit::Audit;
use crate::clock::Clock;
use crate::config::{Borders, Config, ContextRule, Paths};
use crate::console::{Alarm, Console, Ended, Look, Mailbox, Outside, screens};
use crate::identity::Text;
use crate::kinds::{Health, Kinds};
use crate::nearest::did_you_mean;
use crate::runner::{Equipment, Note, Runner};
use crate::sources::{Contexts, Places};
use crate::store::{Envelope, Store};
use crate::term::{self, Framed, Reports, Signalled, Taken};
use crate::theme::Depth;
use crate::trace;

/// How many envelopes wait at most; the sources wait when the console is slower.
const MAIL: usize = 256;

/// The number of SIGINT.
const INTERRUPT: i32 = 2;

/// How many notes wait at most.
const NOTES: usize = 1024;

/// What is opened.
#[derive(Debug)]
pub struct Opening {
    /// Which cluster and which part of it.
    pub scope: Scope,
    /// How it looks and what it may do.
    pub look: Flags,
    /// The kind whose table opens first.
    pub kind: Option<String>,
    /// The kubeconfig to use whatever the environment says: that of the embedded platform.
    pub kubeconfig: Option<PathBuf>,
    /// What holds for contexts before any configuration: where the embedded platform's systems are that no cluster
    /// tells about.
    pub contexts: Vec<ContextRule>,
}

impl Opening {
    /// Takes what the command line says.
    pub fn of(cli: &Cli) -> Self {
        Self {
            scope: cli.scope.clone(),
            look: cli.look.clone(),
            kind: cli.kind.clone(),
            kubeconfig: None,
            contexts: Vec::new(),
        }
    }
}

/// Opens the console and runs it to its end.
pub async fn run(opening: Opening, paths: &Paths, reports: &Reports) -> Result<Ended> {
    let variable = |name: &str| std::env::var(name).ok();
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Usage::report(
            "the console needs a terminal; for scripts there are `opsdeck get` and the other commands",
        ));
    }
    if let Err(error) = trace::open(&paths.log_file(), variable("OPSDECK_LOG").as_deref()) {
        // The console works without a log; where it cannot be written is said where there is room for it.
        tracing::debug!(%error, "no log file");
    }
    let mut config = configure(&opening.look, paths)?;
    config.contexts.splice(0..0, opening.contexts.iter().cloned());
    let config = Arc::new(config);
    let clock = Clock::system();
    let look = look(&config, paths, variable)?;
    let (state, first, places) = state(&opening, &config, paths, &look, &clock)?;

    let (envelopes, mail) = mpsc::channel::<Envelope>(MAIL);
    let (notes, noted) = mpsc::channel::<Note>(NOTES);
    let equipment = Equipment {
        clock: clock.clone(),
        kinds: Arc::clone(&state.kinds),
        config: Arc::clone(&config),
        audit: Audit::at(paths.audit_file()),
        places,
        local_user: local_user(variable),
        git: paths.git(),
    };
    tell_rollbacks(equipment.audit.clone(), clock.now(), notes.clone());
    let runner = Runner::new(equipment, envelopes, notes);
    let lent = Arc::new(AtomicBool::new(false));
    let alarms = alarms(reports, Arc::clone(&lent))?;
    let taken = Taken::take(reports, state.mouse).wrap_err("the terminal cannot be taken")?;
    let keys = Keys::read();
    let here = Here {
        runner,
        taken,
        keys: keys.clone(),
        lent,
        tmux: variable("TMUX").is_some_and(|value| !value.is_empty()),
        memory: paths.memory_file(),
    };
    let terminal = Terminal::new(Framed::new(BufWriter::with_capacity(64 * 1024, io::stdout())))?;
    let mut console = Console::new(terminal, here, screens(), look, clock, state);
    let mailbox = Mailbox { envelopes: mail, notes: noted, alarms };
    let ended = console.run(keys, mailbox, first).await;
    let Here { runner, taken, .. } = console.into_outside();
    // The terminal first: what is left to wait for should not be waited for in front of a dead screen.
    drop(taken);
    runner.finish().await;
    Ok(ended?)
}

/// How far back rollbacks are looked for in the audit: as far as a board reaches with one key.
pub(super) const ROLLBACKS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Reads the rollbacks of the audit beside the start: a long audit must not delay the first frame.
fn tell_rollbacks(audit: Audit, now: Timestamp, notes: mpsc::Sender<Note>) {
    let since = now.checked_sub(ROLLBACKS).unwrap_or(Timestamp::MIN);
    let verb = Verb::Rollback.word();
    tokio::task::spawn_blocking(move || {
        // Where the audit cannot be read, `opsdeck audit` says why; the board shows what this session did.
        if let Ok(took) = audit.took(verb, since) {
            let _ = notes.blocking_send(Note::Said(Message::Rollbacks(took)));
        }
    });
}

pub(super) fn look(
    config: &Config,
    paths: &Paths,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Look> {
    let themes = super::settings::shelf(config, paths)?;
    let depth = Depth::detect(&variable);
    let mut theme = themes.theme(&config.theme, depth).map_err(|error| Usage::report(error.to_string()))?;
    theme.ascii = match config.borders {
        Borders::Ascii => true,
        Borders::Unicode => false,
        Borders::Auto => needs_ascii(variable),
    };
    Ok(Look { themes, depth, theme })
}

/// Tells whether the terminal may not show line characters: a locale that is named and is not UTF-8, or the
/// kernel's own console with its small font.
fn needs_ascii(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    let other = locale.is_some_and(|locale| {
        let locale = locale.to_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    });
    other || set("TERM").is_some_and(|term| term == "linux" || term == "dumb")
}

/// Makes the state that the console opens with, and the effects that it begins with.
fn state(
    opening: &Opening,
    config: &Arc<Config>,
    paths: &Paths,
    look: &Look,
    clock: &Clock,
) -> Result<(State, Vec<Effect>, Places)> {
    let kubeconfig = opening.kubeconfig.clone().or_else(|| opening.scope.kubeconfig.clone());
    let places = Places::from_environment(kubeconfig);
    let contexts = Contexts::load(&places).map_err(|error| Usage::report(error.to_string()))?;
    let entry = contexts
        .choose(opening.scope.context.as_deref())
        .map_err(|error| Usage::report(error.to_string()))?;
    let keymap = settings::keymap(config, paths)?;
    let mut state = State::new(clock.now(), Arc::clone(config), keymap, Arc::new(Kinds::new()));
    // Without the file nothing is remembered, which is how it is at first.
    state.remember(Memory::read(&fs::read_to_string(paths.memory_file()).unwrap_or_default()));
    let unknown = super::unknown_variables();
    if !unknown.is_empty() {
        state.say(Health::Warning, unknown.join("; "));
    }
    state.zone = jiff::tz::TimeZone::system();
    state.themes = look.themes.names().map(|(name, _)| name.to_owned()).collect();
    state.session.contexts = contexts
        .entries()
        .into_iter()
        .map(|entry| Reachable {
            environment: config.standing(entry.context.as_str()).environment,
            context: entry.context,
            cluster: entry.cluster,
        })
        .collect();
    state.enter(entry.context.clone());
    if let Some(kind) = &opening.kind {
        open_kind(&mut state, kind)?;
    }
    // Names from the command line are taken as they are: nothing is known yet that they could be compared with.
    state.scope.tenant = opening.scope.tenant.as_deref().map(Text::from);
    state.scope.namespace = opening.scope.namespace.as_deref().map(Text::from);
    Ok((
        state,
        vec![Effect::Connect(entry.context), Effect::LookBack, Effect::ReadBoards(paths.boards())],
        places,
    ))
}

fn open_kind(state: &mut State, kind: &str) -> Result<()> {
    if going::go(state, &Store::default(), kind).is_ok() {
        return Ok(());
    }
    let commands = Cli::command();
    let names: Vec<String> = state
        .kinds
        .iter()
        .map(|kind| kind.resource.plural.to_string())
        .chain(commands.get_subcommands().map(|command| command.get_name().to_owned()))
        .collect();
    let near = did_you_mean(kind, names.iter().map(String::as_str));
    Err(Usage::report(format!("no kind and no command is called {kind:?}{near}")))
}

/// Puts what ends or stops the console from outside on one channel.
fn alarms(reports: &Reports, lent: Arc<AtomicBool>) -> Result<mpsc::Receiver<Alarm>> {
    let (sender, receiver) = mpsc::channel(8);
    let (signals, mut signalled) = mpsc::channel(8);
    term::signals(signals).wrap_err("the system's signals cannot be received")?;
    let panicked = reports.panicked();
    tokio::spawn(async move {
        loop {
            let alarm = tokio::select! {
                () = panicked.notified() => Alarm::End(Ended::Panicked),
                signal = signalled.recv() => match signal {
                    // The terminal sends these to everybody in front of it; they were meant for the editor.
                    Some(Signalled::Stop | Signalled::End(INTERRUPT)) if lent.load(Ordering::SeqCst) => continue,
                    Some(Signalled::End(number)) => Alarm::End(Ended::Signal(number)),
                    Some(Signalled::Stop) => Alarm::Stop,
                    None => return,
                },
            };
            if sender.send(alarm).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// The keys of the terminal; while an editor has it nobody reads them here.
#[derive(Clone)]
struct Keys(Rc<RefCell<Option<EventStream>>>);

impl Keys {
    fn read() -> Self {
        Self(Rc::new(RefCell::new(Some(EventStream::new()))))
    }

    fn stop(&self) {
        self.0.borrow_mut().take();
    }

    fn start(&self) {
        *self.0.borrow_mut() = Some(EventStream::new());
    }
}

impl Stream for Keys {
    type Item = io::Result<Event>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.borrow_mut().as_mut() {
            Some(stream) => Pin::new(stream).poll_next(task),
            // The loop itself waits for the editor, and asks again afterwards.
            None => Poll::Pending,
        }
    }
}

/// This terminal and the runner.
struct Here {
    runner: Runner,
    taken: Taken,
    keys: Keys,
    /// Whether an editor has the terminal.
    lent: Arc<AtomicBool>,
    tmux: bool,
    /// Where it is remembered how tables are arranged.
    memory: PathBuf,
}

/// How a file is opened that only its owner may read: logs and names of tenants are nobody else's business.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Outside for Here {
    type Note = Note;

    fn carry(&mut self, effect: Effect, store: &mut Store) {
        self.runner.carry(effect, store);
    }

    fn need(&mut self, needs: Vec<Need>, store: &mut Store) {
        self.runner.need(needs, store);
    }

    fn take(&mut self, note: Note, store: &mut Store) -> Vec<Message> {
        self.runner.take(note, store)
    }

    fn tick(&mut self, store: &mut Store) -> Vec<Message> {
        self.runner.tick(store)
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.taken.suspend()
    }

    fn edit(&mut self, text: &str) -> io::Result<String> {
        let editor = editor::chosen(|name| std::env::var(name).ok());
        // Whoever reads keys here would take them from the editor; and what ctrl-c and ctrl-z mean there is its own.
        self.keys.stop();
        self.lent.store(true, Ordering::SeqCst);
        let left = self.taken.lend(|| editor::run(&editor, text));
        self.lent.store(false, Ordering::SeqCst);
        self.keys.start();
        left?
    }

    fn ask_to_stop(&mut self) {
        term::stop_job();
    }

    fn mouse(&mut self, taken: bool) -> io::Result<()> {
        self.taken.set_mouse(taken)
    }

    fn remember(&mut self, text: &str) -> io::Result<()> {
        if let Some(directory) = self.memory.parent() {
            fs::create_dir_all(directory)?;
        }
        // Another console reads the old file or the new one, and never half of it.
        let draft = self.memory.with_extension("new");
        private().truncate(true).create(true).open(&draft)?.write_all(text.as_bytes())?;
        fs::rename(&draft, &self.memory)
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out: Stdout = io::stdout();
        term::copy(&mut out, text, self.tmux)
    }
}
