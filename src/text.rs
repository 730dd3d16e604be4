//! Untrusted text made safe to show, store and copy: the one place that does it, at the edge, when bytes are
//! decoded.
//!
//! Log lines, labels, messages, names and error bodies can hold sequences that make a terminal do things, and
//! characters that make one name look like another. It removes them; it does not lay text out.
//!
//! # Why
//!
//! ratatui drops most control characters, but not all and not everywhere (a `Line` passes bidirectional controls
//! through), so cleaning upstream, once, is the only way to be sure. Sequences are dropped whole, unterminated ones
//! too: the printable rest of one would still be noise.

use std::borrow::Cow;

/// How much of a log line is kept; the rest of it is dropped, and a mark says so.
pub const LINE_LIMIT: usize = 64 * 1024;

/// What stands at the end of a line that was cut.
const CUT: &str = " [cut]";

/// What a tab becomes.
const TAB: &str = "    ";

/// Removes everything from a text that could steer a terminal or deceive a reader; line feeds stay.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | ' '..='~' => out.push(c),
            '\t' => out.push_str(TAB),
            // A lone one would let the rest of the line overwrite its beginning.
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\u{240d}');
                }
            }
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            c if is_unseen(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Cleans a text that is shown on one line: line feeds become spaces.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    match clean(text) {
        text if !text.contains('\n') => text,
        text => Cow::Owned(text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()),
    }
}

/// Tells whether a text is printable ASCII on one line, as nearly all are: looked at in pieces, without a branch a
/// byte.
fn is_plain(text: &str) -> bool {
    let plain = |byte: &u8| byte.wrapping_sub(b' ') <= b'~' - b' ';
    text.as_bytes().chunks(32).all(|piece| piece.iter().fold(true, |all, byte| all & plain(byte)))
}

/// Decodes and cleans one line of a log: bytes that are not UTF-8 are replaced, and what is longer than
/// [`LINE_LIMIT`] is cut.
pub fn log_line(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let kept = bytes.get(..LINE_LIMIT).unwrap_or(bytes);
    let mut line = one_line(&String::from_utf8_lossy(kept)).into_owned();
    if kept.len() < bytes.len() {
        line.push_str(CUT);
    }
    line
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips what follows an escape character.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control(chars);
        }
        // OSC, DCS, SOS, PM, APC: a string follows.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        // Intermediate bytes, then one final one: character sets and the like.
        Some(' '..='/') => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
        // Two characters: SS2, SS3, save, restore, reset.
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// Skips the parameters, intermediates and final byte of a control sequence.
fn skip_control(chars: &mut Chars<'_>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

/// Skips a string up to its terminator; one that is never terminated takes the rest of the line.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(c) = chars.peek().copied() {
        match c {
            '\n' => return,
            '\u{7}' | '\u{9c}' => {
                chars.next();
                return;
            }
            '\u{1b}' => {
                chars.next();
                // An escape ends the string; with a backslash it is the terminator itself.
                if chars.next_if_eq(&'\\').is_none() {
                    skip_escape(chars);
                }
                return;
            }
            _ => {
                chars.next();
            }
        }
    }
}

/// Tells whether a character is a control, or changes the order of others, or cannot be seen.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(clean("checkout-7f9c is ready"), Cow::Borrowed(_)));
    }

    #[test]
    fn sequences_are_dropped_whole() {
        for (dirty, plain) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]52;c;ZXZpbA==\u{1b}\\after", "after"),
            ("\u{1b}]8;;https://evil.example\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9b}2Jcleared", "cleared"),
            ("\u{1b}P$q\"p\u{1b}\\x", "x"),
            ("\u{1b}(Bset", "set"),
            ("a\u{1b}", "a"),
            ("a\u{1b}[12;", "a"),
            ("a\u{1b}]0;never ends", "a"),
            ("a\u{1b}]0;never ends\nnext", "a\nnext"),
        ] {
            assert_eq!(clean(dirty), plain, "{dirty:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_or_turns_text_around_is_removed() {
        assert_eq!(clean("pay\u{202e}load\u{200b}\u{feff}\u{e0041}"), "payload");
        assert_eq!(clean("nul\0bell\u{7}del\u{7f}nel\u{85}"), "nulbelldelnel");
        assert_eq!(clean("größe 数量"), "größe 数量");
    }

    #[test]
    fn a_carriage_return_does_not_hide_what_stands_before_it() {
        assert_eq!(clean("delete prod\rkeep dev"), "delete prod\u{240d}keep dev");
        assert_eq!(clean("a\r\nb"), "a\nb");
        assert_eq!(clean("a\tb"), "a    b");
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(one_line("first\n  second\n"), "first second");
        assert_eq!(one_line("a\u{2028}b"), "a b");
    }

    #[test]
    fn a_log_line_survives_bad_bytes_and_bad_length() {
        assert_eq!(log_line(b"caf\xe9\r\n"), "caf\u{fffd}");
        let long = log_line(&vec![b'x'; LINE_LIMIT + 1]);
        assert_eq!(long.len(), LINE_LIMIT + CUT.len());
        assert!(long.ends_with(CUT));
    }
}
