//! The level of a log line: as the server or the program names it, or as its text lets one guess.

/// How bad what a line says is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The program cannot go on.
    Fatal,
    /// Something failed.
    Error,
    /// Something may fail.
    Warn,
    /// What the program does.
    Info,
    /// For those who wrote it.
    Debug,
    /// Every step.
    Trace,
    /// Nobody knows.
    Unknown,
}

/// How much of a line is looked at for its level: programs write it near the beginning.
const LOOKED: usize = 256;

impl Level {
    /// Reads a word as programs, shippers and Loki write it.
    pub fn read(word: &str) -> Self {
        let is = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
        if is(&["error", "err", "eror", "severe"]) {
            Self::Error
        } else if is(&["warn", "warning"]) {
            Self::Warn
        } else if is(&["info", "notice", "information"]) {
            Self::Info
        } else if is(&["debug", "dbug"]) {
            Self::Debug
        } else if is(&["trace", "verbose"]) {
            Self::Trace
        } else if is(&["fatal", "critical", "panic", "emerg", "emergency", "alert", "crit", "dpanic"]) {
            Self::Fatal
        } else {
            Self::Unknown
        }
    }

    /// Guesses the level of a line without labels: from its field `level`, a word in capitals or brackets near its
    /// beginning, or the letter that klog writes.
    pub fn guess(text: &str) -> Self {
        let mut end = text.len().min(LOOKED);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let head = &text[..end];
        for name in ["level", "severity", "lvl", "levelname"] {
            if let Some(found) = field(head, name).map(Self::read).filter(|level| *level != Self::Unknown) {
                return found;
            }
        }
        if let Some(level) = klog(head) {
            return level;
        }
        let words = head.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 2);
        for word in words.take(12) {
            // In small letters these are words of any sentence: `no error`.
            if word.bytes().all(|byte| byte.is_ascii_uppercase()) {
                let level = Self::read(word);
                if level != Self::Unknown {
                    return level;
                }
            }
        }
        let begins = head.trim_start_matches(['[', '(', ' ']);
        let word = begins.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let behind = begins.get(word.len()..).unwrap_or_default();
        if behind.starts_with([':', ']', ')']) { Self::read(word) } else { Self::Unknown }
    }

    /// Returns its name, in small letters as Loki has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the band of the volume that it is counted in: error, warn, info, debug, other.
    pub const fn band(self) -> usize {
        match self {
            Self::Fatal | Self::Error => 0,
            Self::Warn => 1,
            Self::Info => 2,
            Self::Debug | Self::Trace => 3,
            Self::Unknown => 4,
        }
    }
}

/// Finds `"name":"value"` or `name=value` in a text.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find(name) {
        let start = from + at;
        let after = start + name.len();
        let begins = text[..start].chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_');
        let rest = text[after..].trim_start_matches('"').trim_start();
        if begins && let Some(value) = rest.strip_prefix([':', '=']) {
            let value = value.trim_start().trim_start_matches('"');
            let end = value.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(value.len());
            return Some(&value[..end]);
        }
        from = after;
    }
    None
}

/// Reads the head of klog: `E1120 14:02:31.`.
fn klog(text: &str) -> Option<Level> {
    let bytes = text.as_bytes();
    let numbered = bytes.get(1..5)?.iter().all(u8::is_ascii_digit) && bytes.get(5) == Some(&b' ');
    match bytes.first()? {
        _ if !numbered => None,
        b'I' => Some(Level::Info),
        b'W' => Some(Level::Warn),
        b'E' => Some(Level::Error),
        b'F' => Some(Level::Fatal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_guessed_as_programs_write_it() {
        for (text, level) in [
            (r#"{"ts":1,"level":"warn","msg":"no error"}"#, Level::Warn),
            (r#"{"severity": "ERROR"}"#, Level::Error),
            ("time=x level=debug msg=y", Level::Debug),
            ("2026-11-20 14:02:31.123  ERROR 1 --- [main] shop.Cart", Level::Error),
            ("[info] ready", Level::Info),
            ("panic: runtime error", Level::Fatal),
            ("E1120 14:02:31.000001       1 reflector.go:147] failed", Level::Error),
            ("14:02:31 WARNING: slow", Level::Warn),
            ("GET /errors 200 without an error", Level::Unknown),
            ("", Level::Unknown),
            ("éé level=trace", Level::Trace),
        ] {
            assert_eq!(Level::guess(text), level, "{text}");
        }
    }
}
