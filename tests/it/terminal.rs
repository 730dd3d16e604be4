//! The binary in a pseudo-terminal: keys in, screens out, as a person has it.
//!
//! Waits for what is to be seen, with a bound, and never for a length of time.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// How long anything on the screen is waited for: a debug build on a busy machine is slow.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// What a test is that [`Terminal::start_itself`] starts: the console beside a platform of the test's own making, so that
/// what happens to the platform happens in the real program, which has no switch for it. Without the flag it is nothing.
pub fn console_beside(flag: &str, platform: impl Future<Output = PathBuf>, arguments: &[&str]) {
    use clap::Parser as _;
    if std::env::var_os(flag).is_none() {
        return;
    }
    opsdeck::install_crypto_provider();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let kubeconfig = runtime.block_on(platform).display().to_string();
    let line = ["opsdeck", "--kubeconfig", &kubeconfig].into_iter().chain(arguments.iter().copied());
    opsdeck::cli::main(opsdeck::args::Cli::parse_from(line));
}

/// A program in a pseudo-terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// What the line discipline did before the program came, as text: echo, line by line, signals from keys.
    manners: String,
    /// Everything that was written, for what a screen does not show: modes, titles.
    pub raw: Vec<u8>,
}

impl Terminal {
    /// Starts a program; the environment is only what is given, and a home that is empty.
    pub fn start(
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        (columns, rows): (u16, u16),
    ) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let manners = manners(&*pair.master);
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        command.env("TERM", "xterm-256color");
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keys = pair.master.take_writer().expect("a writer");
        let (sender, output) = sync_channel(256);
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(cells(rows), cells(columns), 0);
        Self { child, master: pair.master, keys, output, screen, manners, raw: Vec::new() }
    }

    /// Starts one test of this binary as a program ([`console_beside`]) that `flag` tells so, with a home of its own.
    pub fn start_itself(
        test: &str,
        flag: &str,
        home: &Path,
        more: &[(&str, &str)],
        size: (u16, u16),
    ) -> Self {
        let folder = home.display().to_string();
        let own = ["HOME", "OPSDECK_STATE_DIR", "OPSDECK_CONFIG_DIR"].map(|name| (name, folder.as_str()));
        let variables = [&own, &[(flag, "yes")][..], more].concat();
        let itself = std::env::current_exe().expect("this binary");
        let itself = itself.to_str().expect("its path");
        Self::start(itself, &["--exact", test, "--nocapture"], &variables, size)
    }

    /// Presses keys, as the bytes a terminal sends for them.
    pub fn press(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .expect("the program takes keys");
    }

    /// Takes in what is shown until nothing came for as long as a person leaves between two keys.
    pub fn rest(&mut self) {
        let begun = Instant::now();
        while self.read_some(Duration::from_millis(60)).is_some() && begun.elapsed() < PATIENCE {}
    }

    /// Answers a question with a key, as a person does: by itself, because keys that come together are taken for a
    /// paste, and once more where it was taken for one all the same.
    #[track_caller]
    pub fn answer(&mut self, key: &str) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.rest();
            self.press(key);
            let pressed = Instant::now();
            while pressed.elapsed() < Duration::from_secs(3) {
                if !self.text().contains("Type ") {
                    return;
                }
                self.read_some(Duration::from_millis(20));
            }
        }
        panic!("the question is not answered within {PATIENCE:?}\n{}", self.text());
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("another size");
        self.screen.screen_mut().set_size(cells(rows), cells(columns));
    }

    /// Returns what is on the screen.
    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Returns the screen with its colours.
    pub fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// Tells whether the program has the alternate screen.
    pub fn is_alternate(&self) -> bool {
        self.screen.screen().alternate_screen()
    }

    /// Tells whether keys are echoed, edited and turned into signals as before the program came.
    pub fn is_cooked(&self) -> bool {
        manners(&*self.master) == self.manners
    }

    /// Tells whether the program is stopped, as by ctrl-z.
    pub fn is_stopped(&self) -> bool {
        let pid = self.pid().to_string();
        let state = Command::new("ps").args(["-o", "state=", "-p", &pid]).output().expect("ps runs");
        String::from_utf8_lossy(&state.stdout).trim().starts_with('T')
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "SIG{name} is sent");
    }

    /// Waits until something is so that the screen does not show, taking in what comes meanwhile.
    #[track_caller]
    pub fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !so(self) {
            assert!(begun.elapsed() < PATIENCE, "not so within {PATIENCE:?}: {what}\n{}", self.text());
            self.read_some(Duration::from_millis(20));
        }
    }

    /// Tells whether the cursor can be seen.
    pub fn shows_cursor(&self) -> bool {
        !self.screen.screen().hide_cursor()
    }

    /// Waits until the screen is as wanted, and returns how long that took.
    #[track_caller]
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Duration {
        self.wait_for(what, PATIENCE, wanted)
    }

    /// Waits with another bound.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, patience: Duration, wanted: impl Fn(&str) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            if wanted(&self.text()) {
                return begun.elapsed();
            }
            let Some(left) = patience.checked_sub(begun.elapsed()) else {
                panic!("not seen within {patience:?}: {what}\n{}", self.text());
            };
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    assert!(wanted(&self.text()), "ended before it was seen: {what}\n{}", self.text());
                }
            }
        }
    }

    /// Takes in what comes next within a time and returns how many bytes that was; `None` where nothing came.
    pub fn read_some(&mut self, patience: Duration) -> Option<usize> {
        let bytes = self.output.recv_timeout(patience).ok()?;
        self.take(&bytes);
        Some(bytes.len())
    }

    /// Waits for the end of the program and takes in the rest of what it writes.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of the program") {
                while self.read_some(Duration::from_millis(200)).is_some() {}
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "still running\n{}", self.text());
            self.read_some(Duration::from_millis(20));
        }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("a process id")
    }

    fn take(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.screen.process(bytes);
    }
}

#[cfg(unix)]
fn manners(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().expect("the settings of the terminal"))
}

#[cfg(not(unix))]
fn manners(_: &dyn MasterPty) -> String {
    String::new()
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has rows and columns")
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Most tests have seen the end already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
