//! The audit: who did what, why, when and how it ended, on disk, before and after every mutation.
//!
//! One JSON object a line, only ever appended, each line chained to the one before by SHA-256, synced to the
//! disk before the mutation and after its end. Nothing here decides whether something may happen, and no
//! secret value comes here: plans speak of names, counts and digests.
//!
//! # Why
//!
//! A line is `{…,"prev":"<hash of the line before>",…,"hash":"<hash>"}` where the hash is the SHA-256 of the
//! line up to (not with) its last member and closed by `}`. The previous hash stands inside what is hashed,
//! so a line cannot be changed, dropped or moved without breaking the chain at that place. Bytes are hashed,
//! not a parsed form, so that a check needs nothing but a text editor and `sha256sum`. What a chain on the
//! same disk cannot show is the loss of its newest lines: ship the file elsewhere if that matters.
//!
//! Several consoles write one file: a lock on a file beside it (which survives the rotation) is held for the
//! time of one append, with a bounded wait. Each action has a lock of its own while it is under way (`running`).

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::identity::{Context, ObjectRef, Target};
use running::Lock;

mod chain;
pub mod change;
mod running;

pub use chain::{Broken, Verified, hash};
pub use change::Changed;

/// The hash before the first line of a chain.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Bytes after which a file is closed and the next one begun; the chain goes on in the next.
const ROTATE_AT: u64 = 16 * 1024 * 1024;
/// The verb that gives back what was held.
const RELEASE: &str = "release-autosync";
/// After how long an action without a lock file counts as cut off.
const UNLOCKED: SignedDuration = SignedDuration::from_hours(24);
/// The outcomes of a release that gave nothing back, or of which that is not known.
const NOT_GIVEN_BACK: [&str; 4] = ["failed", "refused", "not-done", "cannot-be-told"];
/// How long an append waits for another console's append.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often the files are read anew because one was closed meanwhile; one is closed after thousands of records.
const READS: usize = 5;
/// Lines in a row that crashes may have torn; more is no crash.
const TORN: usize = 16;

/// Why the audit cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file or its directory cannot be used.
    #[error("the audit file {path} cannot be {verb}: {source}; no change is made without a record")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried: `written`, `read`, `locked`.
        verb: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another console holds the lock for too long.
    #[error("the audit file {0} is held by another console; try again, or look for a stuck opsdeck")]
    Held(PathBuf),
    /// The last line cannot be read, so that nothing can be chained to it.
    #[error("the audit file {path} is damaged: {reason}; run opsdeck audit verify, then move it away")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Who acts: as the API server knows them, and as this machine does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The user name that the API server says (`SelfSubjectReview`).
    pub server: String,
    /// The local user.
    pub local: String,
}

/// One line of a plan, as it was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its mark: `ok`, `warn`, `note` ...
    pub mark: String,
    /// The sentence.
    pub text: String,
}

/// What is about to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The context.
    pub context: Context,
    /// The environment's name.
    pub environment: String,
    /// Whether the environment is protected.
    pub protected: bool,
    /// The verb, such as `rollback`.
    pub verb: String,
    /// The objects, with their UIDs and versions before.
    pub targets: Vec<Target>,
    /// The tenant that they belong to, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The line that names verb, object, context and environment.
    pub title: String,
    /// How: the options of the verb.
    pub options: serde_json::Value,
    /// Who.
    pub who: Who,
    /// Why, in the person's words.
    pub reason: String,
    /// What was given to confirm: `yes`, or `typed NAME`.
    pub confirmation: String,
    /// The plan's lines as they were shown.
    pub checks: Vec<Check>,
    /// The equivalent command of the usual tool.
    pub command: String,
    /// What is taken away for the duration and must be given back exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Held>,
    /// The values that are changed, as they were and as they will be: what an undo is made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Changed>,
    /// The id of the action that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The rule of the guard that decided what must be given; `None` where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// An auto-sync policy that is taken away for the duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The Application.
    pub object: ObjectRef,
    /// `spec.syncPolicy.automated` exactly as it was.
    pub automated: serde_json::Value,
}

/// An object after the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The object.
    pub object: ObjectRef,
    /// Its UID, where it still exists.
    pub uid: Option<String>,
    /// Its version, where it still exists.
    pub resource_version: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// `verified`, `accepted`, `not-verified`, `failed`, `refused`; of an action that was cut off, by what was found
    /// later, `done`, `not-done`, `cannot-be-told`.
    pub outcome: String,
    /// The sentence.
    pub detail: String,
    /// The steps, with what became of them.
    pub steps: Vec<Check>,
    /// The objects afterwards.
    pub after: Vec<After>,
    /// From the record before to this one, in milliseconds.
    pub duration_ms: i64,
    /// The fields that were changed, as they were and as they are, so that they can be put back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Changed>,
    /// What was made and did not exist before, such as a silence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<ObjectRef>,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Event {
    /// Before the first write.
    Before(Box<Intent>),
    /// After the end.
    After(Ending),
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// The hash of the line before.
    pub prev: String,
    /// When it was written.
    pub at: Timestamp,
    /// The action's id; the line before and the line after an action share it.
    pub id: String,
    /// Whether the line before this one was torn by a crash in the middle of a write, and is passed over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub torn: bool,
    /// What it says.
    #[serde(flatten)]
    pub event: Event,
    /// The hash of this line; empty until it is written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// The proof that the record before an action is on the disk; only the audit makes it.
#[derive(Debug)]
pub struct Begun {
    id: String,
    at: Timestamp,
    /// While it is held, other consoles know that the action is under way.
    lock: Lock,
}

impl Begun {
    /// Returns the action's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns when the record was written.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// How a line comes to the disk. A trait so that a test can fill the disk or cut the power at that moment.
pub trait Pen: std::fmt::Debug + Send + Sync {
    /// Appends bytes to a file and syncs them to the disk; after an error any part of them may be there.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
}

/// The pen of the real disk.
#[derive(Debug, Clone, Copy)]
struct Synced;

impl Pen for Synced {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        // One write, so that a crash tears at most this line.
        file.write_all(bytes)?;
        file.sync_all()
    }
}

/// The audit file of this user on this machine.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
    rotate_at: u64,
    pen: Arc<dyn Pen>,
}

/// What was read: the records, and how many lines were not records.
#[derive(Debug, Default)]
pub struct Reading {
    /// The records, oldest first.
    pub records: Vec<Record>,
    /// Lines that could not be read; `audit verify` names the first.
    pub garbled: usize,
}

impl Audit {
    /// Names the file; it is created by the first record, with its directory.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), rotate_at: ROTATE_AT, pen: Arc::new(Synced) }
    }

    /// Writes with another pen.
    #[must_use]
    pub fn written_by(mut self, pen: Arc<dyn Pen>) -> Self {
        self.pen = pen;
        self
    }

    /// Sets the size in bytes after which the next file is begun.
    #[must_use]
    pub fn rotating_at(mut self, bytes: u64) -> Self {
        self.rotate_at = bytes;
        self
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the bytes of all files: when they are more, something was written.
    pub fn size(&self) -> u64 {
        let files = self.files().unwrap_or_default();
        files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
    }

    /// Tells whether a record could be written now; a file that is not there yet is not made by asking.
    pub async fn writable(&self) -> Result<(), AuditError> {
        // The lock lies in the same directory, so taking it shows that the directory can be written.
        let _lock = self.lock().await?;
        if self.path.exists() {
            self.open()?;
        }
        Ok(())
    }

    /// Writes the record before an action and syncs it to the disk.
    pub async fn begin(&self, id: &str, intent: Intent, now: Timestamp) -> Result<Begun, AuditError> {
        let Some(lock) = self.lock_action(id)? else { return Err(AuditError::Held(self.path.clone())) };
        let begun = Begun { id: id.to_owned(), at: now, lock };
        match self.append(id, Event::Before(Box::new(intent)), now).await {
            Ok(()) => Ok(begun),
            Err(error) => {
                begun.lock.clear();
                Err(error)
            }
        }
    }

    /// Writes the record after an action and syncs it to the disk.
    pub async fn end(&self, begun: Begun, ending: Ending, now: Timestamp) -> Result<(), AuditError> {
        self.append(&begun.id, Event::After(ending), now).await?;
        begun.lock.clear();
        Ok(())
    }

    /// Takes over an action that was cut off, so that its end can be written; `None` where a console still carries
    /// it out or its end is written by now. Reads the whole record, so call it away from a loop.
    ///
    /// What is returned and dropped leaves the action as cut off as it was.
    pub fn take_over(&self, before: &Record, now: Timestamp) -> Result<Option<Begun>, AuditError> {
        // A version that did not lock yet has no file; its actions ended or were cut off long ago.
        let known = Lock::path(&self.path, &before.id).exists();
        if !known && now.duration_since(before.at) < UNLOCKED {
            return Ok(None);
        }
        let Some(lock) = self.lock_action(&before.id)? else { return Ok(None) };
        // Another console may have written the end while this one waited for the lock.
        if self.unfinished()?.iter().any(|open| open.id == before.id) {
            return Ok(Some(Begun { id: before.id.clone(), at: before.at, lock }));
        }
        lock.clear();
        Ok(None)
    }

    fn lock_action(&self, id: &str) -> Result<Option<Lock>, AuditError> {
        let path = Lock::path(&self.path, id);
        let failed = |source| self.file_error("locked", source);
        let file = self.open_private(&path).map_err(failed)?;
        Lock::take(path, file).map_err(failed)
    }

    /// Reads the records since a moment, over all files that are still there.
    pub fn read(&self, since: Option<Timestamp>) -> Result<Reading, AuditError> {
        let mut reading = Reading::default();
        for (_, text) in self.texts()? {
            for line in text.lines() {
                match serde_json::from_str::<Record>(line) {
                    Ok(record) if since.is_none_or(|since| record.at >= since) => {
                        reading.records.push(record);
                    }
                    Ok(_) => {}
                    Err(_) => reading.garbled += 1,
                }
            }
        }
        Ok(reading)
    }

    /// Lists actions that have a record before and none after: running now, or cut off by a crash.
    pub fn unfinished(&self) -> Result<Vec<Record>, AuditError> {
        let mut open: Vec<Record> = Vec::new();
        for record in self.read(None)?.records {
            match record.event {
                Event::Before(_) => open.push(record),
                Event::After(_) => open.retain(|before| before.id != record.id),
            }
        }
        Ok(open)
    }

    /// Returns when actions of a verb were verified since a moment, and how many seconds each took, oldest first.
    pub fn took(&self, verb: &str, since: Timestamp) -> Result<Vec<(Timestamp, f64)>, AuditError> {
        let mut begun = BTreeSet::new();
        let mut took = Vec::new();
        for record in self.read(Some(since))?.records {
            match record.event {
                Event::Before(intent) if intent.verb == verb => {
                    begun.insert(record.id);
                }
                Event::After(ending) if ending.outcome == "verified" && begun.contains(&record.id) => {
                    took.push((record.at, ending.duration_ms as f64 / 1_000.0));
                }
                _ => {}
            }
        }
        Ok(took)
    }

    /// Finds what was taken away from an object and not given back since, for when the cluster does not
    /// remember it.
    pub fn held(&self, object: &ObjectRef) -> Result<Option<Held>, AuditError> {
        let mut held = None;
        let mut releases = BTreeSet::new();
        for record in self.read(None)?.records {
            match record.event {
                Event::Before(intent) => {
                    if let Some(taken) = intent.holds.iter().find(|held| held.object == *object) {
                        held = Some(taken.clone());
                    }
                    let given_back = intent.verb == RELEASE
                        && intent.targets.iter().any(|target| target.object == *object);
                    if given_back {
                        releases.insert(record.id);
                    }
                }
                Event::After(ending) => {
                    let written = !NOT_GIVEN_BACK.contains(&ending.outcome.as_str());
                    if releases.remove(&record.id) && written {
                        held = None;
                    }
                }
            }
        }
        Ok(held)
    }

    /// Checks the whole chain; the inner error names the first line that breaks it.
    pub fn verify(&self) -> Result<Result<Verified, Broken>, AuditError> {
        Ok(chain::verify(&self.texts()?))
    }

    /// Reads all files in the order of the chain; again where another console has begun a new one meanwhile.
    fn texts(&self) -> Result<Vec<(PathBuf, String)>, AuditError> {
        let mut files = self.files()?;
        for _ in 0..READS {
            let texts: Result<Vec<_>, AuditError> =
                files.iter().map(|file| Ok((file.clone(), Self::text(file)?))).collect();
            let now = self.files()?;
            if now == files {
                return texts;
            }
            files = now;
        }
        Err(AuditError::Held(self.path.clone()))
    }

    /// Appends one record; blocking work is a few kilobytes and one sync, done off the loop's thread.
    async fn append(&self, id: &str, event: Event, now: Timestamp) -> Result<(), AuditError> {
        let lock = self.lock().await?;
        let audit = self.clone();
        let id = id.to_owned();
        let done = tokio::task::spawn_blocking(move || {
            let result = audit.append_locked(&id, event, now);
            drop(lock);
            result
        });
        done.await.map_err(|error| self.file_error("written", io::Error::other(error)))?
    }

    fn append_locked(&self, id: &str, event: Event, now: Timestamp) -> Result<(), AuditError> {
        let failed = |source| self.file_error("written", source);
        let mut file = self.open()?;
        let mut tail = self.tail(&mut file)?;
        if file.metadata().map_err(failed)?.len() >= self.rotate_at && tail.seq > 0 && !tail.torn {
            drop(file);
            fs::rename(&self.path, self.rotated(tail.seq)).map_err(failed)?;
            file = self.open()?;
            (tail.torn, tail.unended) = (false, false);
        }
        let record = Record {
            seq: tail.seq + 1,
            prev: tail.hash,
            at: now,
            id: id.to_owned(),
            torn: tail.torn,
            event,
            hash: String::new(),
        };
        let mut line = chain::seal(&record).map_err(|error| failed(io::Error::other(error)))?;
        if tail.unended {
            line.insert(0, '\n');
        }
        line.push('\n');
        let length = file.metadata().map_err(failed)?.len();
        if let Err(error) = self.pen.write(&mut file, line.as_bytes()) {
            // What is there of the line is no record; where it cannot be taken off, the next one owns up to it.
            let _ = file.set_len(length);
            return Err(failed(error));
        }
        // The name of a new file is on the disk only when its directory is.
        #[cfg(unix)]
        if length == 0
            && let Some(directory) = self.path.parent()
        {
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    /// Opens the file for appending, as its owner's alone.
    fn open(&self) -> Result<File, AuditError> {
        self.open_private(&self.path).map_err(|source| self.file_error("written", source))
    }

    fn open_private(&self, path: &Path) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }

    /// Waits, with a bound, until no other console appends.
    async fn lock(&self) -> Result<File, AuditError> {
        let path = self.path.with_extension("lock");
        let lock = self.open_private(&path).map_err(|source| self.file_error("locked", source))?;
        let waiting = async {
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    Err(TryLockError::Error(source)) => {
                        return Err(self.file_error("locked", source));
                    }
                }
            }
        };
        tokio::time::timeout(LOCK_WAIT, waiting).await.map_err(|_| AuditError::Held(self.path.clone()))??;
        Ok(lock)
    }

    /// Finds what the next record is chained to: the last whole line, here or in the newest closed file.
    fn tail(&self, file: &mut File) -> Result<Tail, AuditError> {
        let (mut lines, rest) = last_lines(file).map_err(|source| self.file_error("read", source))?;
        let mut torn = false;
        let unended = rest.is_some();
        if let Some(rest) = rest {
            match chain::check(&rest) {
                // A crash between a record and its line end: the record counts.
                Ok(record) => {
                    return Ok(Tail { seq: record.seq, hash: record.hash, torn: false, unended: true });
                }
                Err(reason) if chain::is_record(&rest) => {
                    return Err(self.damaged(&format!("its last line {reason}")));
                }
                Err(_) => torn = true,
            }
        }
        // A crash in the middle of the record that would have owned up to a torn line leaves two of them.
        let count = lines.len();
        while lines.last().is_some_and(|line| !chain::is_record(line)) {
            lines.pop();
            torn = true;
        }
        if lines.is_empty() && count >= TORN {
            return Err(self.damaged("its last lines are no records"));
        }
        let last = lines.pop();
        let line = match last {
            Some(line) => Some(line),
            None => match self.closed()?.pop() {
                Some((_, newest)) => Self::text(&newest)?.lines().next_back().map(str::to_owned),
                None => None,
            },
        };
        let Some(line) = line else {
            return Ok(Tail { seq: 0, hash: GENESIS.to_owned(), torn, unended });
        };
        let record =
            chain::check(&line).map_err(|reason| self.damaged(&format!("its last line {reason}")))?;
        Ok(Tail { seq: record.seq, hash: record.hash, torn, unended })
    }

    /// Returns the closed files, oldest first, with the number of their last record.
    fn closed(&self) -> Result<Vec<(u64, PathBuf)>, AuditError> {
        let Some(directory) = self.path.parent() else { return Ok(Vec::new()) };
        let stem = self.stem();
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.file_error("read", source)),
        };
        let mut closed: Vec<(u64, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let seq = name.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(".jsonl")?;
                Some((seq.parse().ok()?, entry.path()))
            })
            .collect();
        closed.sort();
        Ok(closed)
    }

    /// Returns all files in the order of the chain.
    fn files(&self) -> Result<Vec<PathBuf>, AuditError> {
        let mut files: Vec<PathBuf> = self.closed()?.into_iter().map(|(_, path)| path).collect();
        if self.path.exists() {
            files.push(self.path.clone());
        }
        Ok(files)
    }

    /// Names the file that a full one is moved to, by the number of its last record.
    fn rotated(&self, seq: u64) -> PathBuf {
        self.path.with_file_name(format!("{}-{seq:010}.jsonl", self.stem()))
    }

    fn stem(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Reads a file; bytes that are no text break their line only.
    fn text(path: &Path) -> Result<String, AuditError> {
        let bytes = fs::read(path).map_err(|source| AuditError::File {
            path: path.to_owned(),
            verb: "read",
            source,
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn file_error(&self, verb: &'static str, source: io::Error) -> AuditError {
        AuditError::File { path: self.path.clone(), verb, source }
    }

    fn damaged(&self, reason: &str) -> AuditError {
        AuditError::Damaged { path: self.path.clone(), reason: reason.to_owned() }
    }
}

/// What the next record is chained to.
struct Tail {
    seq: u64,
    hash: String,
    /// Whether a torn line lies between.
    torn: bool,
    /// Whether the last line lacks its end.
    unended: bool,
}

/// Reads the last ended lines of a file, at least one that is whole and no more than [`TORN`] where there are so
/// many, and what follows them without an end.
fn last_lines(file: &mut File) -> io::Result<(Vec<String>, Option<String>)> {
    const STEP: u64 = 64 * 1024;
    let len = file.metadata()?.len();
    let mut reach = STEP;
    loop {
        let start = len.saturating_sub(reach);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        Read::by_ref(file).take(len - start).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let (ended, rest) = match text.rfind('\n') {
            Some(end) => (&text[..end], &text[end + 1..]),
            None => ("", &*text),
        };
        let mut lines: Vec<&str> = if ended.is_empty() { Vec::new() } else { ended.split('\n').collect() };
        if start > 0 {
            // The first is cut off at its beginning.
            lines.drain(..lines.len().min(1));
            if !lines.iter().any(|line| chain::is_record(line)) {
                reach = reach.saturating_mul(4);
                continue;
            }
        }
        let from = lines.len().saturating_sub(TORN);
        let rest = (!rest.is_empty()).then(|| rest.to_owned());
        return Ok((lines.drain(from..).map(str::to_owned).collect(), rest));
    }
}

#[cfg(test)]
mod tests;
