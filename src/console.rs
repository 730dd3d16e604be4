//! The loop: takes what waits, lets `update` change the state, and draws what changed.
//!
//! It is generic over the terminal and the input, so that tests run the loop itself. It owns the state and the
//! store; tasks only send. It does not know how effects are carried out ([`Outside`]) or what screens look like
//! ([`Draw`]).
//!
//! # Why
//!
//! *Drain, then draw once.* Everything that waits is taken before anything is drawn, so a burst of a thousand
//! changes costs one frame. Mail that waits is taken for at most [`MAIL_TIME`] in a row, so that a key is never
//! behind a flood; frames that only mail asks for come at most every [`FRAME`]. A key is drawn at once, before any
//! more mail is taken.
//!
//! *Time.* A frame says until when it holds ([`Spots::due`]): until the minute of the clock in the header is over,
//! or an age on it reads otherwise. Until then an idle console draws nothing; it wakes every [`TICK`] to look after
//! lists that nobody needs any more.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, KeyEventKind};
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::layout::Position;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::app::action::Action;
use crate::app::command::Command;
use crate::app::effect::{Effect, Need, Sheet};
use crate::app::history::View;
use crate::app::input;
use crate::app::message::Message;
use crate::app::spot::Spots;
use crate::app::state::{Overlay, State};
use crate::app::update::update;
use crate::clock::Clock;
use crate::kinds::Health;
use crate::store::{Envelope, Store};
use crate::theme::{Depth, Shelf, Theme};
use burst::Burst;

mod burst;

/// The least time between two frames that no key asked for: about sixty a second.
const FRAME: Duration = Duration::from_millis(16);

/// For how long mail is taken in a row before keys are looked at again. One piece of mail is not divided: the
/// largest, a page of a list or a burst of a watch, takes about a millisecond.
const MAIL_TIME: Duration = Duration::from_millis(4);

/// How often what time changes beside the screen is looked after at least.
const TICK: Duration = Duration::from_secs(5);

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person quit.
    Quit,
    /// The system asked for it, by the number of the signal.
    Signal(i32),
    /// Something panicked; the report is kept.
    Panicked,
    /// The terminal is gone.
    InputClosed,
}

/// What comes from outside the terminal and the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// End.
    End(Ended),
    /// Stop until continued.
    Stop,
}

/// What carries effects out. The loop calls it and never waits for it.
pub trait Outside {
    /// What tasks send to it through the loop.
    type Note;

    /// Carries out an effect that leaves the program: connect, fetch, plan, carry.
    fn carry(&mut self, effect: Effect, store: &mut Store);

    /// Starts and stops tasks so that what is needed is kept.
    fn need(&mut self, needs: Vec<Need>, store: &mut Store);

    /// Takes a note from one of its tasks and returns what it has to say.
    fn take(&mut self, note: Self::Note, store: &mut Store) -> Vec<Message>;

    /// Takes notice that time has passed and returns what it has to say.
    fn tick(&mut self, store: &mut Store) -> Vec<Message>;

    /// Gives the terminal back, stops the process, and takes the terminal again when it is continued.
    fn suspend(&mut self) -> io::Result<()>;

    /// Asks the whole job to stop; [`Alarm::Stop`] follows.
    fn ask_to_stop(&mut self);

    /// Gives the terminal to the person's editor with a text, takes it again, and returns what the editor left.
    fn edit(&mut self, text: &str) -> io::Result<String>;

    /// Takes the mouse or leaves it to the terminal.
    fn mouse(&mut self, taken: bool) -> io::Result<()>;

    /// Writes down what is to be remembered from one run to the next.
    fn remember(&mut self, text: &str) -> io::Result<()>;

    /// Puts text on the clipboard of the person's terminal.
    fn copy(&mut self, text: &str) -> io::Result<()>;
}

/// Draws a frame and says what stands where.
pub trait Draw: FnMut(&mut ratatui::Frame<'_>, &State, &Store, &Theme) -> Spots {}
impl<F: FnMut(&mut ratatui::Frame<'_>, &State, &Store, &Theme) -> Spots> Draw for F {}

/// The themes and which one is used.
#[derive(Debug)]
pub struct Look {
    /// Every theme.
    pub themes: Shelf,
    /// How many colours the terminal shows.
    pub depth: Depth,
    /// The theme in use.
    pub theme: Theme,
}

/// The channels on which the loop listens, besides the input.
#[derive(Debug)]
pub struct Mailbox<N> {
    /// Mail for the store.
    pub envelopes: Receiver<Envelope>,
    /// Notes of tasks.
    pub notes: Receiver<N>,
    /// What the system asks for.
    pub alarms: Receiver<Alarm>,
}

/// The console.
pub struct Console<B: Backend, O, D> {
    terminal: Terminal<B>,
    outside: O,
    draw: D,
    look: Look,
    clock: Clock,
    state: State,
    store: Store,
    ended: Option<Ended>,
    /// Whether something that is shown may have changed since the last frame.
    dirty: bool,
    /// Whether the next frame must not wait.
    urgent: bool,
    drawn: Option<Instant>,
    /// The time of day at which something on the last frame reads otherwise.
    due: Option<Timestamp>,
    ticked: Instant,
    /// When keys came, to tell a person from a paste.
    burst: Burst,
    frames: u64,
}

impl<B, O, D> Console<B, O, D>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    O: Outside,
    D: Draw,
{
    /// Puts the console together.
    pub fn new(terminal: Terminal<B>, outside: O, draw: D, look: Look, clock: Clock, state: State) -> Self {
        Self {
            terminal,
            outside,
            draw,
            look,
            clock,
            state,
            store: Store::default(),
            ended: None,
            dirty: true,
            urgent: true,
            drawn: None,
            due: None,
            ticked: Instant::now(),
            burst: Burst::default(),
            frames: 0,
        }
    }

    /// Runs until it ends, and says why. `first` are the effects that the start asks for; they are carried out
    /// after the first frame, so that the frame waits for nothing.
    pub async fn run(
        &mut self,
        input: impl Stream<Item = io::Result<Event>>,
        mut mailbox: Mailbox<O::Note>,
        first: Vec<Effect>,
    ) -> Result<Ended, B::Error> {
        let mut input = pin!(input);
        if let Ok(size) = self.terminal.size() {
            self.state.size = (size.width, size.height);
        }
        self.frame()?;
        self.carry_all(first);
        self.need();
        while self.ended.is_none() {
            self.burst.wait(Instant::now());
            let wake = self.wake();
            // Biased, because the order matters: an alarm must not wait behind anything, a key not behind mail,
            // and a frame that is due not behind a flood of mail, or nothing would be seen of it.
            tokio::select! {
                biased;
                alarm = mailbox.alarms.recv() => match alarm {
                    Some(alarm) => self.alarm(alarm),
                    None => self.ended = Some(Ended::InputClosed),
                },
                event = input.next() => self.event(event),
                () = tokio::time::sleep_until(wake) => self.woken(),
                Some(note) = mailbox.notes.recv() => self.note(note),
                Some(envelope) = mailbox.envelopes.recv() => self.mail(envelope),
            }
            // Whatever else waits is taken before anything is drawn. Asked with the waker of this task: crossterm's
            // stream keeps the first one it is given after an event, and another would lose the next key.
            while self.ended.is_none()
                && let Poll::Ready(event) = poll_fn(|task| Poll::Ready(input.as_mut().poll_next(task))).await
            {
                self.event(event);
            }
            let begun = Instant::now();
            while !self.urgent && begun.elapsed() < MAIL_TIME {
                if let Ok(note) = mailbox.notes.try_recv() {
                    self.note(note);
                } else if let Ok(envelope) = mailbox.envelopes.try_recv() {
                    self.mail(envelope);
                } else {
                    break;
                }
            }
            self.need();
            if self.ended.is_none() && self.dirty && (self.urgent || self.since_frame() >= FRAME) {
                self.frame()?;
                // What a frame was settled for may need more: a board asks what its panels have room for.
                self.need();
            }
        }
        Ok(self.ended.unwrap_or(Ended::Quit))
    }

    /// Returns the state, for tests and for what is left to say after the end.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns how many frames were drawn.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Gives back what carries effects out, so that what was begun can be brought to its end.
    pub fn into_outside(self) -> O {
        self.outside
    }

    fn since_frame(&self) -> Duration {
        self.drawn.map_or(Duration::MAX, |drawn| drawn.elapsed())
    }

    /// Returns when to wake without being called: for a frame that is due, when something on the screen reads
    /// otherwise, or for a tick.
    fn wake(&self) -> Instant {
        if self.dirty {
            let frame = self.drawn.map_or_else(Instant::now, |drawn| drawn + FRAME);
            return self.burst.at().map_or(frame, |at| frame.min(at));
        }
        let mut tick = self.ticked + TICK;
        if let Some(at) = self.burst.at() {
            tick = tick.min(at);
        }
        let Some(due) = self.due else { return tick };
        let wait = Duration::try_from(due.duration_since(self.clock.now())).unwrap_or_default();
        // A clock that was set back must not make this a spin.
        tick.min(Instant::now() + wait.max(Duration::from_millis(1)))
    }

    fn woken(&mut self) {
        if let Some(command) = self.burst.due(Instant::now()) {
            self.settle();
            self.urgent = true;
            // Where the question is another one by now, it applies no more and does nothing.
            if self.state.answers(command) && self.state.applies(&self.store, command) {
                self.act(Action::Run(command));
            }
        }
        if self.dirty {
            self.urgent = true;
            return;
        }
        self.ticked = Instant::now();
        let messages = self.outside.tick(&mut self.store);
        self.hear(messages);
        let now = self.clock.now();
        if self.due.is_some_and(|due| due <= now) {
            self.act(Action::Tick(now));
        }
    }

    fn alarm(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::End(ended) => self.ended = Some(ended),
            Alarm::Stop => self.suspend(),
        }
    }

    fn event(&mut self, event: Option<io::Result<Event>>) {
        match event {
            Some(Ok(event)) => {
                self.settle();
                let fast = self.is_burst(&event);
                match input::meaning(&event, &self.state, &self.store) {
                    // An answer stands alone: what a terminal pastes without saying so comes with other keys.
                    Some(Action::Run(command)) if self.state.answers(command) => {
                        if fast {
                            self.too_fast(command);
                        } else {
                            self.burst.hold(Instant::now(), command);
                        }
                    }
                    Some(action) => {
                        self.urgent = true;
                        self.act(action);
                    }
                    None => {}
                }
            }
            // A terminal that cannot be read has gone away, with the person.
            Some(Err(_)) | None => self.ended = Some(Ended::InputClosed),
        }
    }

    /// Tells whether a key came faster after another one than anybody presses keys; an answer that was given just
    /// before is taken back by it.
    fn is_burst(&mut self, event: &Event) -> bool {
        let Event::Key(key) = event else { return false };
        if key.kind == KeyEventKind::Release {
            return false;
        }
        let (fast, taken_back) = self.burst.key(Instant::now());
        if let Some(command) = taken_back {
            self.too_fast(command);
        }
        fast
    }

    fn too_fast(&mut self, command: Command) {
        self.urgent = true;
        let key = if command == Command::Confirm { "y" } else { "enter" };
        if let Some(Overlay::Question(question)) = &mut self.state.overlay {
            question.note = Some(format!("too fast for a person (a paste?): press {key} again"));
            self.dirty = true;
        }
    }

    fn note(&mut self, note: O::Note) {
        let before = self.store.revision();
        let messages = self.outside.take(note, &mut self.store);
        self.dirty |= self.store.revision() != before;
        self.hear(messages);
    }

    fn hear(&mut self, messages: Vec<Message>) {
        for message in messages {
            // How many requests were sent stands on one view only; it alone need not be drawn anew for that.
            let unseen = matches!(message, Message::Requests { .. })
                && !matches!(self.state.view(), Some(View::Info(_)));
            let dirty = self.dirty;
            self.act(Action::Said(message));
            self.dirty = dirty || !unseen;
        }
    }

    fn mail(&mut self, envelope: Envelope) {
        self.dirty |= self.store.apply(envelope);
    }

    fn act(&mut self, action: Action) {
        self.state.now = self.clock.now();
        self.dirty = true;
        let effects = update(&mut self.state, &self.store, action);
        self.carry_all(effects);
    }

    fn settle(&mut self) {
        self.state.now = self.clock.now();
        self.state.settle(&self.store);
    }

    fn need(&mut self) {
        let needs = self.state.needs();
        self.outside.need(needs, &mut self.store);
    }

    fn carry_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Quit => self.ended = Some(Ended::Quit),
                Effect::Suspend => self.outside.ask_to_stop(),
                Effect::Redraw => self.redraw(),
                Effect::Editor(sheet) => {
                    let left = self.outside.edit(&sheet.0);
                    self.redraw();
                    let left = left.map(Sheet::from).map_err(|error| error.to_string());
                    self.act(Action::Said(Message::Edited(left)));
                }
                Effect::Mouse(taken) => {
                    let done = self.outside.mouse(taken);
                    self.trouble("the mouse", done);
                }
                Effect::Copy(text) => {
                    let done = self.outside.copy(&text);
                    self.trouble("the clipboard", done);
                }
                Effect::Remember(memory) => {
                    if let Err(error) = self.outside.remember(&memory.text()) {
                        // The console works without it; it would say so at every key.
                        tracing::warn!(%error, "what is to be remembered cannot be written");
                    }
                }
                Effect::Theme(name) => match self.look.themes.theme(&name, self.look.depth) {
                    Ok(mut theme) => {
                        theme.ascii = self.look.theme.ascii;
                        self.look.theme = theme;
                    }
                    Err(error) => self.state.say(Health::Warning, error.to_string()),
                },
                effect => self.outside.carry(effect, &mut self.store),
            }
        }
    }

    fn suspend(&mut self) {
        let done = self.outside.suspend();
        self.trouble("the terminal", done);
        self.redraw();
    }

    fn redraw(&mut self) {
        // What is on screen is unknown: the next frame is compared with nothing and drawn whole. Taking the same
        // size anew does that; `Terminal::clear` would first ask the terminal where its cursor is, and the answer
        // would go to the reader of keys: two seconds of waiting, and then nothing is cleared.
        let cleared =
            self.terminal.size().and_then(|size| self.terminal.resize((Position::ORIGIN, size).into()));
        if let Err(error) = cleared {
            tracing::warn!(%error, "cannot clear the terminal");
        }
        self.dirty = true;
        self.urgent = true;
    }

    fn trouble(&mut self, what: &str, done: io::Result<()>) {
        if let Err(error) = done {
            self.state.say(Health::Warning, format!("{what} does not answer: {error}"));
        }
    }

    fn frame(&mut self) -> Result<(), B::Error> {
        self.settle();
        self.paint()?;
        Ok(())
    }

    /// Draws; where another number of rows fits than was thought, the window is settled and drawn once more.
    fn paint(&mut self) -> Result<(), B::Error> {
        for _ in 0..2 {
            let (state, store, theme, draw) = (&self.state, &self.store, &self.look.theme, &mut self.draw);
            let mut spots = Spots::default();
            self.terminal.draw(|frame| spots = draw(frame, state, store, theme))?;
            let fits = spots.fits_like(&self.state.spots);
            self.state.spots = spots;
            if fits {
                break;
            }
            self.settle();
        }
        self.due = self.state.spots.due();
        self.frames += 1;
        self.dirty = false;
        self.urgent = false;
        self.drawn = Some(Instant::now());
        Ok(())
    }
}

/// Makes the closure that draws the real screens.
pub fn screens() -> impl Draw {
    |frame: &mut ratatui::Frame<'_>, state: &State, store: &Store, theme: &Theme| {
        let area = frame.area();
        crate::screens::draw(frame.buffer_mut(), area, &crate::screens::Scene { state, store, theme })
    }
}
