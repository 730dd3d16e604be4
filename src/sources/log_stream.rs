//! The log of one container: its bytes cut into lines, gone on with where it was cut off, nothing said twice.
//!
//! It waits for its container and for the next life of it, and knows nothing of other containers.
//!
//! # Why
//!
//! A log that is cut off is asked for again from the time of its last line. The server takes that in whole seconds,
//! so it says again what was said in that second: lines older than the last one are dropped, and of those with the
//! very same time as many as have been seen.

use jiff::Timestamp;

use crate::identity::Text;
use crate::text;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The pod.
    pub pod: Text,
    /// The container.
    pub container: Text,
    /// When it was written, as the kubelet says.
    pub at: Option<Timestamp>,
    /// The text, cleaned, and cut where it is very long.
    pub text: Box<str>,
    /// The line as it was written, where that differs.
    pub whole: Option<Box<[u8]>>,
}

impl Line {
    /// Returns the line as it was written: for files, never for a terminal.
    pub fn bytes(&self) -> &[u8] {
        self.whole.as_deref().unwrap_or(self.text.as_bytes())
    }

    /// Returns how many bytes of memory it takes, about.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.whole.as_ref().map_or(0, |whole| whole.len())
    }
}

/// More than a line may hold, with the time that stands before it: programs write a megabyte on one line, and what
/// is longer is no line of text.
const LONG: usize = 2 * 1024 * 1024;

/// Bytes of a log, cut into lines.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    rest: Vec<u8>,
    /// The rest of a line that was too long is on its way, and is dropped.
    skipping: bool,
}

impl Cutter {
    /// Takes bytes and hands on every line that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            if self.skipping {
                self.skipping = false;
                continue;
            }
            if self.rest.is_empty() {
                line(part);
            } else {
                self.rest.extend_from_slice(part);
                line(&self.rest);
                self.rest.clear();
            }
        }
        if self.skipping {
            return;
        }
        self.rest.extend_from_slice(last);
        if self.rest.len() > LONG {
            line(&self.rest);
            self.rest.clear();
            self.skipping = true;
        }
    }

    /// Hands on a last line that was not ended.
    pub(super) fn end(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.rest.is_empty() {
            line(&self.rest);
        }
        self.rest.clear();
        self.skipping = false;
    }
}

/// Where a log has come to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The time of the last line.
    pub(super) last: Option<Timestamp>,
    /// How many lines have that very time.
    same: u32,
    /// The time of the line that was asked for again, and how many lines of that time are still to be dropped.
    again: Option<(Timestamp, u32)>,
}

impl Place {
    /// Begins to take what was asked for again from the last line on.
    pub(super) fn resume(&mut self) {
        self.again = self.last.map(|last| (last, self.same));
    }

    /// Tells whether a line is new, and moves on to it.
    pub(super) fn is_new(&mut self, at: Option<Timestamp>) -> bool {
        let Some(at) = at else { return true };
        if let Some((from, left)) = &mut self.again {
            if at < *from {
                return false;
            }
            if at == *from && *left > 0 {
                *left -= 1;
                return false;
            }
            if at > *from {
                self.again = None;
            }
        }
        if self.last == Some(at) {
            self.same += 1;
        } else {
            self.last = Some(at);
            self.same = 1;
        }
        true
    }
}

/// What stands on a line: its time, its text, and the line as it was written where that differs.
pub(super) type Read = (Option<Timestamp>, Box<str>, Option<Box<[u8]>>);

/// Takes the time off the beginning of a line and cleans the rest.
pub(super) fn read(line: &[u8]) -> Read {
    let cleaned = |at, rest: &[u8]| {
        let text = text::log_line(rest);
        let whole = (text.as_bytes() != rest).then(|| Box::from(rest));
        (at, Box::from(text), whole)
    };
    // 2026-05-01T10:00:00.123456789Z text
    let space = line.iter().take(40).position(|byte| *byte == b' ');
    let stamped = space.and_then(|end| {
        let at = std::str::from_utf8(line.get(..end)?).ok()?.parse::<Timestamp>().ok()?;
        Some((at, line.get(end + 1..)?))
    });
    match stamped {
        Some((at, rest)) => cleaned(Some(at), rest),
        // An empty line may lack the space behind its time.
        None => match std::str::from_utf8(line).ok().and_then(|line| line.trim_end().parse().ok()) {
            Some(at) => (Some(at), "".into(), None),
            None => cleaned(None, line),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<String> {
        let mut cutter = Cutter::default();
        let mut lines = Vec::new();
        let mut keep = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        for piece in pieces {
            cutter.push(piece, &mut keep);
        }
        cutter.end(&mut keep);
        lines
    }

    #[test]
    fn lines_are_whole_however_the_bytes_are_cut() {
        let text = b"first\nsecond\n\nlast without an end";
        let whole = cut(&[text]);
        assert_eq!(whole, ["first", "second", "", "last without an end"]);
        for at in 0..text.len() {
            assert_eq!(cut(&[&text[..at], &text[at..]]), whole, "cut at {at}");
        }
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let piece = vec![b'x'; LONG * 5 / 8];
        let lines = cut(&[&piece, &piece, &piece, b"tail\nnext\n"]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].len() > LONG && lines[0].len() < 3 * LONG);
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn the_time_is_taken_off_and_the_text_is_cleaned() {
        let (at, text, whole) = read(b"2026-05-01T10:00:00.123456789Z \x1b[31mGET /\x1b[0m\r");
        assert_eq!(at, Some("2026-05-01T10:00:00.123456789Z".parse().unwrap()));
        assert_eq!(&*text, "GET /");
        assert_eq!(whole.as_deref(), Some(&b"\x1b[31mGET /\x1b[0m\r"[..]), "as it was written, for a file");
        assert_eq!(read(b"no time here"), (None, "no time here".into(), None));
        let (at, text, _) = read(b"2026-05-01T10:00:00Z");
        assert!(at.is_some() && text.is_empty());
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_on_screen_and_whole_in_an_export() {
        let line = [b"2026-05-01T10:00:00Z ".as_slice(), &vec![b'x'; 1_000_000], b"\xff\n"].concat();
        let mut cutter = Cutter::default();
        let mut all = Vec::new();
        line.chunks(16 * 1024).for_each(|piece| cutter.push(piece, |line| all.push(read(line))));
        let [(Some(_), text, Some(whole))] = all.as_slice() else { panic!("{} lines", all.len()) };
        assert!(text.len() < text::LINE_LIMIT + 64 && text.ends_with("[cut]"));
        assert_eq!((whole.len(), whole.last()), (1_000_001, Some(&0xff)));
    }

    #[test]
    fn what_is_said_again_is_dropped_and_nothing_else() {
        let at = |nanos: i32| Some(Timestamp::new(1_000, nanos).unwrap());
        let mut place = Place::default();
        // Two lines share the last moment.
        for moment in [at(1), at(5), at(5)] {
            assert!(place.is_new(moment));
        }
        place.resume();
        let again = [at(1), at(5), at(5), at(5), at(6)];
        let new: Vec<bool> = again.into_iter().map(|moment| place.is_new(moment)).collect();
        assert_eq!(new, [false, false, false, true, true]);
        // Cut off once more: three lines of the moment before the last, one of the last.
        place.resume();
        let again = [at(5), at(5), at(5), at(6), at(7)];
        let new: Vec<bool> = again.into_iter().map(|moment| place.is_new(moment)).collect();
        assert_eq!(new, [false, false, false, false, true]);
    }
}
