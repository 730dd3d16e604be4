//! The terminal: taken at the start, given back on every way out.
//!
//! The ways out are: quit, error, panic (in the loop or in any task), SIGTERM, SIGHUP, SIGINT, and ctrl-z with
//! its return. Nothing else in the program writes to the terminal while it is taken.
//!
//! # Why
//!
//! A panic in a task must not print over the screen, and must not leave the program drawing as if nothing had
//! happened. So the hook only keeps the report and wakes the loop ([`Reports`]); the loop ends, the terminal is
//! given back by [`Taken`]'s drop (which runs while unwinding, too), and `main` prints the report. A panic that
//! is contained ([`crate::contain`]) is none of this: it is in the log file and the console lives. Only where a
//! second panic strikes while the first one unwinds does the hook restore the terminal itself, because the
//! process is about to abort.
//!
//! The keyboard protocol that tells ctrl-i from tab is asked for without first asking whether it is known: the
//! question costs up to two seconds on terminals that do not answer, and those ignore the request.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
    KeyboardEnhancementFlags, PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue, style};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use tokio::sync::Notify;

/// How many panic reports are kept; one is enough to know what happened.
const KEPT: usize = 4;

/// Whether the terminal is taken right now; shared with the panic hook.
#[derive(Debug, Clone, Default)]
struct Held(Arc<AtomicBool>);

/// Reports of panics, kept until the terminal is given back.
#[derive(Debug)]
pub struct Reports {
    held: Held,
    panicked: Arc<Notify>,
    kept: Receiver<String>,
}

impl Reports {
    /// Installs color-eyre with a panic hook that spares the screen.
    ///
    /// While the terminal is not taken a panic is printed at once, as usual.
    pub fn install() -> color_eyre::Result<Self> {
        let (panics, errors) = color_eyre::config::HookBuilder::default().into_hooks();
        errors.install()?;
        let (keep, kept) = sync_channel(KEPT);
        let held = Held::default();
        let panicked = Arc::new(Notify::new());
        std::panic::set_hook(hook(panics, keep, held.clone(), Arc::clone(&panicked)));
        Ok(Self { held, panicked, kept })
    }

    /// Is woken when anything panics.
    pub fn panicked(&self) -> Arc<Notify> {
        Arc::clone(&self.panicked)
    }

    /// Returns the reports of panics that happened while the terminal was taken.
    pub fn take(&self) -> Vec<String> {
        self.kept.try_iter().collect()
    }
}

fn hook(
    panics: color_eyre::config::PanicHook,
    keep: SyncSender<String>,
    held: Held,
    panicked: Arc<Notify>,
) -> Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync> {
    // A panic in a drop while another one unwinds aborts the process as soon as this returns.
    let unwinding = AtomicBool::new(false);
    Box::new(move |info| {
        let report = panics.panic_report(info).to_string();
        tracing::error!(%report, "panic");
        let taken = held.0.load(Ordering::SeqCst);
        // What is contained costs its own answer. Without a screen to spare it is still worth a line.
        if crate::contain::is_contained() {
            if !taken {
                let _ = writeln!(io::stderr(), "{report}");
            }
            return;
        }
        let last_chance = std::thread::panicking() && unwinding.swap(true, Ordering::SeqCst);
        if taken && !last_chance {
            let _ = keep.try_send(report);
            panicked.notify_one();
        } else {
            if taken {
                give_back(&mut io::stdout());
            }
            // Nobody is left to whom a failure of this could be told.
            let _ = writeln!(io::stderr(), "{report}");
        }
    })
}

/// The terminal while it is taken; dropping it gives the terminal back.
#[derive(Debug)]
pub struct Taken {
    held: Held,
    mouse: bool,
}

impl Taken {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste, keyboard protocol, and the mouse if asked.
    pub fn take(reports: &Reports, mouse: bool) -> io::Result<Self> {
        let taken = Self { held: reports.held.clone(), mouse };
        taken.enter()?;
        Ok(taken)
    }

    fn enter(&self) -> io::Result<()> {
        // Said first: whatever fails from here on, `give_back` undoes all of it, and undoing too much is harmless.
        self.held.0.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        // The keyboard flags belong to the screen they are pushed on, so the alternate screen comes first.
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES),
            cursor::Hide
        )?;
        if self.mouse {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        Ok(())
    }

    /// Takes the mouse, or leaves it to the terminal.
    pub fn set_mouse(&mut self, taken: bool) -> io::Result<()> {
        self.mouse = taken;
        if taken {
            execute!(io::stdout(), EnableMouseCapture)
        } else {
            execute!(io::stdout(), DisableMouseCapture)
        }
    }

    /// Gives the terminal back, stops the process until it is continued, and takes the terminal again.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.leave();
        stop();
        self.enter()
    }

    /// Gives the terminal back while something else runs in it, and takes it again.
    pub fn lend<T>(&mut self, run: impl FnOnce() -> T) -> io::Result<T> {
        self.leave();
        let done = run();
        self.enter()?;
        Ok(done)
    }

    fn leave(&self) {
        if self.held.0.swap(false, Ordering::SeqCst) {
            give_back(&mut io::stdout());
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Undoes everything that [`Taken::take`] does. Failures are passed over: a terminal that is gone needs nothing.
fn give_back(out: &mut impl Write) {
    let _ = execute!(out, EndSynchronizedUpdate, PopKeyboardEnhancementFlags, DisableMouseCapture);
    let _ = execute!(out, DisableBracketedPaste, style::ResetColor, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Stops the process like any program that is sent SIGSTOP, and returns when it is continued.
#[cfg(unix)]
fn stop() {
    use rustix::process::{Signal, getpid, kill_process};
    // SIGSTOP and not SIGTSTP: the latter is caught by this program, so that `kill -TSTP` comes here as well.
    if let Err(error) = kill_process(getpid(), Signal::STOP) {
        tracing::warn!(%error, "cannot stop");
    }
}

#[cfg(not(unix))]
fn stop() {}

/// Asks the whole job to stop, as the terminal does for ctrl-z in cooked mode: under `cargo run` or in a
/// pipeline the other processes must stop with this one, or the shell would not take the terminal back.
#[cfg(unix)]
pub fn stop_job() {
    use rustix::process::{Signal, kill_current_process_group};
    if let Err(error) = kill_current_process_group(Signal::TSTP) {
        tracing::warn!(%error, "cannot stop the job");
    }
}

#[cfg(not(unix))]
/// There is no job control here.
pub fn stop_job() {}

/// Why the program is asked from outside to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalled {
    /// SIGTERM, SIGHUP or SIGINT, by its number: end.
    End(i32),
    /// SIGTSTP: stop until continued.
    Stop,
}

/// Sends what the system's signals ask for, until the receiver is gone.
#[cfg(unix)]
pub fn signals(sender: tokio::sync::mpsc::Sender<Signalled>) -> io::Result<tokio::task::JoinHandle<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut stop = signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?;
    Ok(tokio::spawn(async move {
        loop {
            let signalled = tokio::select! {
                _ = terminate.recv() => Signalled::End(15),
                _ = hangup.recv() => Signalled::End(1),
                _ = interrupt.recv() => Signalled::End(2),
                _ = stop.recv() => Signalled::Stop,
            };
            if sender.send(signalled).await.is_err() {
                return;
            }
        }
    }))
}

/// Sends what the system's signals ask for, until the receiver is gone.
#[cfg(not(unix))]
pub fn signals(sender: tokio::sync::mpsc::Sender<Signalled>) -> io::Result<tokio::task::JoinHandle<()>> {
    Ok(tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = sender.send(Signalled::End(2)).await;
        }
    }))
}

/// The most encoded bytes that a clipboard sequence carries; terminals throw longer ones away (k9s has the same).
pub const CLIPBOARD: usize = 74_994;

/// Cuts text so that its base64 form fits on the clipboard; tells whether it was cut.
pub fn fit_clipboard(text: &str) -> (&str, bool) {
    // Three bytes become four letters.
    let most = CLIPBOARD / 4 * 3;
    if text.len() <= most {
        return (text, false);
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], true)
}

/// Writes the sequence that puts text on the clipboard of the person's terminal (OSC 52).
///
/// Inside tmux the sequence is wrapped, each escape doubled, so that it reaches the terminal around it. There is
/// no acknowledgement; the form that reads the clipboard is never sent.
pub fn copy(out: &mut impl Write, text: &str, tmux: bool) -> io::Result<()> {
    let mut sequence = Vec::new();
    queue!(sequence, crossterm::clipboard::CopyToClipboard::to_clipboard_from(text))?;
    if tmux {
        out.write_all(b"\x1bPtmux;")?;
        for byte in sequence {
            if byte == 0x1b {
                out.write_all(&[byte])?;
            }
            out.write_all(&[byte])?;
        }
        out.write_all(b"\x1b\\")?;
    } else {
        out.write_all(&sequence)?;
    }
    out.flush()
}

/// A backend whose frames appear whole: each is bracketed as a synchronized update. For a frame that looks like the
/// one before, nothing is written.
#[derive(Debug)]
pub struct Framed<W: Write> {
    writer: CrosstermBackend<W>,
    /// Whether an update was begun and not ended.
    begun: bool,
    /// Whether the cursor was hidden and not shown since.
    hidden: bool,
}

impl<W: Write> Framed<W> {
    /// Draws to a writer; give it a buffered one, so that a frame is one write.
    pub fn new(writer: W) -> Self {
        Self { writer: CrosstermBackend::new(writer), begun: false, hidden: false }
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            queue!(self.writer, BeginSynchronizedUpdate)?;
        }
        Ok(())
    }
}

impl<W: Write> Backend for Framed<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        // A frame that looks like the one before is no update: nothing is written for it.
        if content.peek().is_none() {
            return Ok(());
        }
        self.begin()?;
        self.writer.draw(content)
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.begun) {
            queue!(self.writer, EndSynchronizedUpdate)?;
        }
        Backend::flush(&mut self.writer)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        // ratatui asks for it after every frame.
        if !std::mem::replace(&mut self.hidden, true) {
            self.writer.hide_cursor()?;
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.hidden = false;
        self.writer.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.writer.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.writer.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        // Whoever asks does not know what the terminal shows: the cursor may be seen again too.
        self.hidden = false;
        self.writer.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.hidden = false;
        self.writer.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.writer.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.writer.window_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::widgets::Paragraph;

    #[test]
    fn giving_back_undoes_everything_that_taking_did() {
        let mut out = Vec::new();
        give_back(&mut out);
        let out = String::from_utf8(out).unwrap();
        for sequence in ["\x1b[?2026l", "\x1b[<1u", "\x1b[?1000l", "\x1b[?2004l", "\x1b[?1049l", "\x1b[?25h"]
        {
            assert!(out.contains(sequence), "{sequence:?} in {out:?}");
        }
        let at = |sequence| out.find(sequence).unwrap();
        assert!(at("\x1b[<1u") < at("\x1b[?1049l"), "the flags belong to the alternate screen");
    }

    #[test]
    fn a_frame_like_the_one_before_writes_nothing() {
        let mut written = Vec::new();
        let mut first = 0;
        for frames in [1, 3] {
            written.clear();
            let viewport = ratatui::Viewport::Fixed(ratatui::layout::Rect::new(0, 0, 10, 1));
            let options = ratatui::TerminalOptions { viewport };
            let mut terminal = Terminal::with_options(Framed::new(&mut written), options).unwrap();
            for _ in 0..frames {
                terminal.draw(|frame| frame.render_widget(Paragraph::new("hello"), frame.area())).unwrap();
            }
            drop(terminal);
            if frames == 1 {
                first = written.len();
            }
        }
        assert_eq!(written.len(), first, "{:?}", String::from_utf8_lossy(&written));
    }

    #[test]
    fn a_frame_is_bracketed_as_one_update() {
        let mut written = Vec::new();
        {
            let options = ratatui::TerminalOptions {
                viewport: ratatui::Viewport::Fixed(ratatui::layout::Rect::new(0, 0, 10, 1)),
            };
            let mut terminal = Terminal::with_options(Framed::new(&mut written), options).unwrap();
            terminal.draw(|frame| frame.render_widget(Paragraph::new("hello"), frame.area())).unwrap();
        }
        let written = String::from_utf8(written).unwrap();
        let at = |text: &str| written.find(text).unwrap_or_else(|| panic!("{text:?} in {written:?}"));
        assert!(at("\x1b[?2026h") < at("hello") && at("hello") < at("\x1b[?2026l"));
    }

    #[test]
    fn a_copy_is_encoded_and_wrapped_for_tmux() {
        let mut plain = Vec::new();
        copy(&mut plain, "hi", false).unwrap();
        assert!(String::from_utf8(plain).unwrap().starts_with("\x1b]52;c;aGk="));
        let mut wrapped = Vec::new();
        copy(&mut wrapped, "hi", true).unwrap();
        let wrapped = String::from_utf8(wrapped).unwrap();
        assert!(wrapped.starts_with("\x1bPtmux;\x1b\x1b]52;c;aGk="), "{wrapped:?}");
        assert!(wrapped.ends_with("\x1b\\"), "{wrapped:?}");
    }

    #[test]
    fn what_does_not_fit_on_the_clipboard_is_cut_between_letters() {
        assert_eq!(fit_clipboard("short"), ("short", false));
        let long = "é".repeat(40_000);
        let (cut, was_cut) = fit_clipboard(&long);
        assert!(was_cut && cut.len().div_ceil(3) * 4 <= CLIPBOARD && cut.chars().all(|c| c == 'é'));
    }
}
