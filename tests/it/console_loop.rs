//! The loop itself, on a terminal in memory and a scripted input.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures::Stream;
use opsdeck::actions::{Answer, Confirmation, Mark, Options, Request, Verb};
use opsdeck::app::effect::{Effect, Need};
use opsdeck::app::message::Message;
use opsdeck::app::question::Question;
use opsdeck::app::spot::Spots;
use opsdeck::app::state::{Overlay, State};
use opsdeck::clock::Clock;
use opsdeck::config::Config;
use opsdeck::console::{Alarm, Console, Ended, Look, Mailbox, Outside};
use opsdeck::identity::{Context, Resource};
use opsdeck::keymap::Keymap;
use opsdeck::kinds::Kinds;
use opsdeck::store::{Envelope, Query, Store, Update};
use opsdeck::theme::{Depth, Shelf, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::widgets::Paragraph;
use tokio::sync::{Notify, mpsc, watch};

use crate::{keys, stage};

/// Writes down what it is told.
#[derive(Default)]
struct Notebook {
    carried: Vec<Effect>,
    needed: Vec<Vec<Need>>,
    suspended: usize,
    asked_to_stop: usize,
    copied: Vec<String>,
    mouse: Vec<bool>,
    ticks: Arc<AtomicUsize>,
}

/// An input like that of crossterm, which wakes whoever asked first since the last event, and nobody who asks later.
struct Sticky {
    typed: mpsc::Receiver<io::Result<Event>>,
    is_armed: Arc<AtomicBool>,
    wakers: mpsc::Sender<Waker>,
}

impl Sticky {
    /// Returns the input, and what must be told after each event was sent.
    fn new(typed: mpsc::Receiver<io::Result<Event>>) -> (Self, Arc<Notify>) {
        let (wakers, mut asked) = mpsc::channel::<Waker>(1);
        let is_armed = Arc::new(AtomicBool::new(false));
        let pressed = Arc::new(Notify::new());
        let (armed, notified) = (Arc::clone(&is_armed), Arc::clone(&pressed));
        tokio::spawn(async move {
            while let Some(waker) = asked.recv().await {
                notified.notified().await;
                armed.store(false, Ordering::SeqCst);
                waker.wake();
            }
        });
        (Self { typed, is_armed, wakers }, pressed)
    }
}

impl Stream for Sticky {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        if let Ok(event) = self.typed.try_recv() {
            return Poll::Ready(Some(event));
        }
        if self.typed.is_closed() && self.typed.is_empty() {
            return Poll::Ready(None);
        }
        if !self.is_armed.swap(true, Ordering::SeqCst) {
            self.wakers.try_send(task.waker().clone()).expect("one waker at a time");
        }
        Poll::Pending
    }
}

impl Outside for Notebook {
    type Note = Message;

    fn carry(&mut self, effect: Effect, _store: &mut Store) {
        self.carried.push(effect);
    }

    fn need(&mut self, needs: Vec<Need>, _store: &mut Store) {
        if self.needed.last() != Some(&needs) {
            self.needed.push(needs);
        }
    }

    fn take(&mut self, note: Message, _store: &mut Store) -> Vec<Message> {
        vec![note]
    }

    fn tick(&mut self, _store: &mut Store) -> Vec<Message> {
        let ticks = self.ticks.fetch_add(1, Ordering::SeqCst) as u64;
        vec![Message::Requests { total: ticks, minute: 0 }]
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.suspended += 1;
        Ok(())
    }

    fn edit(&mut self, text: &str) -> io::Result<String> {
        Ok(text.to_owned())
    }

    fn ask_to_stop(&mut self) {
        self.asked_to_stop += 1;
    }

    fn mouse(&mut self, taken: bool) -> io::Result<()> {
        self.mouse.push(taken);
        Ok(())
    }

    fn remember(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        self.copied.push(text.to_owned());
        Ok(())
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn ctrl_c() -> Event {
    key(KeyCode::Char('c'), KeyModifiers::CONTROL)
}

/// A console in memory with the ends of its channels.
struct Bench {
    envelopes: mpsc::Sender<Envelope>,
    notes: mpsc::Sender<Message>,
    alarms: mpsc::Sender<Alarm>,
    input: mpsc::Sender<io::Result<Event>>,
    pressed: Arc<Notify>,
    frames: Arc<AtomicUsize>,
    ticks: Arc<AtomicUsize>,
    note: watch::Receiver<String>,
    is_open: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<(Ended, Notebook)>,
}

impl Bench {
    fn start(clock: Clock) -> Self {
        Self::holding(clock, None)
    }

    /// Starts one whose frames say that they hold for some time.
    fn holding(clock: Clock, holds: Option<Duration>) -> Self {
        Self::with(clock, holds, |_| {})
    }

    /// Starts one in which a question stands open whose plan is made.
    fn asking(confirmation: Confirmation) -> Self {
        let (verb, targets, options) = (Verb::DeletePod, Vec::new(), Options::default());
        let request = Request { verb, targets, options, reason: String::new(), tenant: None };
        let plan = keys::plan(request.clone(), confirmation, &[Mark::Ok]);
        Self::with(clock(), None, |state| {
            let question = Question { plan: Some(plan), ..Question::new(1, request) };
            state.overlay = Some(Overlay::Question(Box::new(question)));
        })
    }

    fn with(clock: Clock, holds: Option<Duration>, begin: impl FnOnce(&mut State)) -> Self {
        let config = Arc::new(Config::default());
        let keymap = Keymap::preset("k9s").unwrap();
        let mut state = State::new(clock.now(), config, keymap, Arc::new(Kinds::new()));
        state.enter(Context::new("prod-eu-1"));
        begin(&mut state);
        let themes = Shelf::bundled().unwrap();
        let theme = themes.theme("dark", Depth::True).unwrap();
        let frames = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&frames);
        let (noted_down, note) = watch::channel(String::new());
        let is_open = Arc::new(AtomicBool::new(state.overlay.is_some()));
        let seen_open = Arc::clone(&is_open);
        let draw = move |frame: &mut ratatui::Frame<'_>, state: &State, store: &Store, _: &Theme| {
            counted.fetch_add(1, Ordering::SeqCst);
            seen_open.store(state.overlay.is_some(), Ordering::SeqCst);
            if let Some(Overlay::Question(question)) = &state.overlay {
                noted_down.send_replace(question.note.clone().unwrap_or_default());
            }
            let text = format!("{} {}", state.now, store.revision());
            frame.render_widget(Paragraph::new(text), frame.area());
            let mut spots = Spots::default();
            if let Some(holds) = holds {
                spots.holds(state.now.checked_add(holds).unwrap());
            }
            spots
        };
        let terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let look = Look { themes, depth: Depth::True, theme };
        let (envelopes, mail) = mpsc::channel(4_096);
        let (notes, noted) = mpsc::channel(64);
        let (alarms, alarmed) = mpsc::channel(8);
        let (input, typed) = mpsc::channel::<io::Result<Event>>(64);
        let (input_stream, pressed) = Sticky::new(typed);
        let ticks = Arc::new(AtomicUsize::new(0));
        let notebook = Notebook { ticks: Arc::clone(&ticks), ..Notebook::default() };
        let task = tokio::spawn(async move {
            let mut console = Console::new(terminal, notebook, draw, look, clock, state);
            let mailbox = Mailbox { envelopes: mail, notes: noted, alarms: alarmed };
            let first = vec![Effect::Connect(Context::new("prod-eu-1"))];
            let ended = console.run(input_stream, mailbox, first).await.unwrap();
            (ended, console.into_outside())
        });
        Self { envelopes, notes, alarms, input, pressed, frames, ticks, note, is_open, task }
    }

    /// Types keys all at once, as a terminal without bracketed paste makes them of a paste; a capital E is enter.
    async fn paste(&self, keys: &str) {
        let before = self.frames();
        for letter in keys.chars() {
            let code = if letter == 'E' { KeyCode::Enter } else { KeyCode::Char(letter) };
            self.input.send(Ok(key(code, KeyModifiers::NONE))).await.unwrap();
        }
        self.pressed.notify_one();
        self.drawn(before).await;
    }

    /// Presses a key by itself, again and again with the time between that a person leaves, until the question that
    /// stands open is answered.
    async fn press_until_answered(&self, code: KeyCode) {
        let mut by_hand = tokio::time::interval(Duration::from_millis(100));
        let pressed = async {
            while self.is_open.load(Ordering::SeqCst) {
                by_hand.tick().await;
                self.type_in(key(code, KeyModifiers::NONE)).await;
                by_hand.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), pressed).await.expect("the question is not answered");
    }

    /// Ends the loop and returns the answers that were carried to the gate.
    async fn answers(self) -> Vec<Answer> {
        self.alarms.send(Alarm::End(Ended::Quit)).await.unwrap();
        let (_, notebook) = self.task.await.unwrap();
        let answer = |effect| match effect {
            Effect::Carry { answer, .. } => Some(answer),
            _ => None,
        };
        notebook.carried.into_iter().filter_map(answer).collect()
    }

    fn frames(&self) -> usize {
        self.frames.load(Ordering::SeqCst)
    }

    async fn drawn(&self, more_than: usize) {
        let waited = async {
            while self.frames() <= more_than {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waited).await.expect("nothing was drawn");
    }

    async fn type_in(&self, event: Event) {
        self.input.send(Ok(event)).await.unwrap();
        self.pressed.notify_one();
    }

    async fn ticked(&self, more_than: usize) {
        let waited = async {
            while self.ticks.load(Ordering::SeqCst) <= more_than {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waited).await.expect("it did not wake");
    }

    async fn quit(self) -> (Ended, Notebook) {
        self.type_in(ctrl_c()).await;
        self.task.await.unwrap()
    }
}

fn clock() -> Clock {
    Clock::manual(stage::now())
}

#[tokio::test]
async fn the_first_frame_comes_before_anything_is_asked_and_quitting_ends_the_loop() {
    let bench = Bench::start(clock());
    bench.drawn(0).await;
    let (ended, notebook) = bench.quit().await;
    assert_eq!(ended, Ended::Quit);
    assert_eq!(notebook.carried, [Effect::Connect(Context::new("prod-eu-1"))]);
    assert!(!notebook.needed[0].is_empty(), "the overview needs lists");
}

#[tokio::test]
async fn a_burst_of_mail_costs_few_frames() {
    let bench = Bench::start(clock());
    bench.drawn(0).await;
    let before = bench.frames();
    // The store discards mail that nobody subscribed to; notes change the state in any case.
    for number in 0..1_000 {
        bench.notes.send(Message::Trouble(number.to_string())).await.unwrap();
    }
    bench.drawn(before).await;
    let sent = std::sync::Arc::clone(&bench.frames);
    bench.quit().await;
    let frames = sent.load(Ordering::SeqCst) - before;
    assert!(frames <= 100, "{frames} frames for 1,000 notes");
}

#[tokio::test]
async fn an_idle_console_draws_when_its_frame_reads_otherwise_and_not_before() {
    let clock = clock();
    let holds = Duration::from_millis(5);
    let bench = Bench::holding(clock.clone(), Some(holds));
    bench.drawn(0).await;
    for frames in 1..=3 {
        // It wakes, finds that the time has not come, and draws nothing.
        let ticks = bench.ticks.load(Ordering::SeqCst);
        bench.ticked(ticks + 3).await;
        assert_eq!(bench.frames(), frames);
        clock.advance(holds);
        bench.drawn(frames).await;
    }
    bench.quit().await;
}

#[tokio::test]
async fn each_key_is_taken_when_it_is_pressed_though_nothing_else_comes() {
    let bench = Bench::start(clock());
    bench.drawn(0).await;
    for letter in ":nothing-else-comes".chars() {
        let before = bench.frames();
        bench.type_in(key(KeyCode::Char(letter), KeyModifiers::NONE)).await;
        bench.drawn(before).await;
    }
    // Nothing else woke the loop.
    assert_eq!(bench.ticks.load(Ordering::SeqCst), 0);
    bench.quit().await;
}

#[tokio::test]
async fn late_mail_draws_nothing() {
    let bench = Bench::start(clock());
    bench.drawn(0).await;
    let before = bench.frames();
    let query = Query::all(&Context::new("prod-eu-1"), &Resource::new("", "pods"));
    for epoch in 0..100 {
        let envelope = Envelope {
            query: query.clone(),
            epoch,
            part: None,
            at: stage::now(),
            update: Update::ListStarted,
        };
        bench.envelopes.send(envelope).await.unwrap();
    }
    let frames = std::sync::Arc::clone(&bench.frames);
    bench.quit().await;
    assert!(frames.load(Ordering::SeqCst) <= before + 1, "at most the frame of a second that passed");
}

#[tokio::test]
async fn alarms_end_the_loop_with_their_reason() {
    for ended in [Ended::Signal(15), Ended::Signal(1), Ended::Panicked] {
        let bench = Bench::start(clock());
        bench.alarms.send(Alarm::End(ended)).await.unwrap();
        assert_eq!(bench.task.await.unwrap().0, ended);
    }
}

#[tokio::test]
async fn a_terminal_that_is_gone_ends_the_loop() {
    let bench = Bench::start(clock());
    bench.input.send(Err(io::Error::other("gone"))).await.unwrap();
    bench.pressed.notify_one();
    assert_eq!(bench.task.await.unwrap().0, Ended::InputClosed);
    let Bench { input, pressed, task, alarms, .. } = Bench::start(clock());
    drop(input);
    pressed.notify_one();
    assert_eq!(task.await.unwrap().0, Ended::InputClosed);
    drop(alarms);
}

#[tokio::test]
async fn ctrl_z_asks_the_job_to_stop_and_the_stop_gives_the_terminal_back() {
    let bench = Bench::start(clock());
    bench.type_in(key(KeyCode::Char('z'), KeyModifiers::CONTROL)).await;
    bench.alarms.send(Alarm::Stop).await.unwrap();
    let before = bench.frames();
    bench.drawn(before).await;
    let (_, notebook) = bench.quit().await;
    assert_eq!((notebook.asked_to_stop, notebook.suspended), (1, 1));
}

#[tokio::test]
async fn the_mouse_can_be_left_to_the_terminal() {
    let bench = Bench::start(clock());
    for letter in ":toggle-mouse".chars() {
        bench.type_in(key(KeyCode::Char(letter), KeyModifiers::NONE)).await;
    }
    bench.type_in(key(KeyCode::Enter, KeyModifiers::NONE)).await;
    let (_, notebook) = bench.quit().await;
    assert_eq!(notebook.mouse, [false]);
}

#[tokio::test]
async fn a_name_and_enter_that_come_together_confirm_nothing() {
    let bench = Bench::asking(Confirmation::Type("tenant-2".to_owned()));
    bench.drawn(0).await;
    bench.paste("tenant-2E").await;
    assert!(bench.note.borrow().contains("press enter again"), "it is said why");
    assert!(bench.is_open.load(Ordering::SeqCst));
    // The name stands there: enter by itself takes it.
    bench.press_until_answered(KeyCode::Enter).await;
    assert_eq!(bench.answers().await, [Answer::Typed("tenant-2".to_owned())]);
}

#[tokio::test]
async fn a_yes_among_other_keys_confirms_nothing() {
    for keys in ["xy", "yx", "yE", "yy"] {
        let bench = Bench::asking(Confirmation::Yes);
        bench.drawn(0).await;
        bench.paste(keys).await;
        assert!(bench.note.borrow().contains("press y again"), "{keys}");
        assert_eq!(bench.answers().await, [], "{keys}");
    }
    let bench = Bench::asking(Confirmation::Yes);
    bench.press_until_answered(KeyCode::Char('y')).await;
    assert_eq!(bench.answers().await, [Answer::Yes]);
}
