//! A chord: one key with its modifiers, as keymap files write it and as terminals send it.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chord {
    /// The key.
    pub code: KeyCode,
    /// Its modifiers; shift never stands beside a character, which is upper case instead.
    pub modifiers: KeyModifiers,
}

/// Keys that are written as words.
const WORDS: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("space", KeyCode::Char(' ')),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
];

impl Chord {
    /// Makes one spelling of the several that terminals have for a key.
    ///
    /// Shift-tab comes as `BackTab` or as `Tab` with shift; a capital letter with or without shift, and with
    /// the disambiguating keyboard protocol as a small letter with shift.
    pub fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let mut modifiers = modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let code = match code {
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => {
                // Terminals send the same byte for ctrl-d and ctrl-shift-d.
                modifiers -= KeyModifiers::SHIFT;
                KeyCode::Char(c.to_ascii_lowercase())
            }
            KeyCode::Char(c) if modifiers.contains(KeyModifiers::SHIFT) => {
                modifiers -= KeyModifiers::SHIFT;
                KeyCode::Char(c.to_uppercase().next().unwrap_or(c))
            }
            code => code,
        };
        Self { code, modifiers }
    }

    /// Returns the character that the chord types, if it types one.
    pub fn types(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => Some(c),
            _ => None,
        }
    }
}

impl From<KeyEvent> for Chord {
    fn from(event: KeyEvent) -> Self {
        Self::new(event.code, event.modifiers)
    }
}

impl FromStr for Chord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        loop {
            let (prefix, modifier) = match rest {
                _ if rest.starts_with("ctrl-") => ("ctrl-", KeyModifiers::CONTROL),
                _ if rest.starts_with("alt-") => ("alt-", KeyModifiers::ALT),
                _ if rest.starts_with("shift-") => ("shift-", KeyModifiers::SHIFT),
                _ => break,
            };
            rest = &rest[prefix.len()..];
            modifiers |= modifier;
        }
        let mut letters = rest.chars();
        let code = match (letters.next(), letters.next()) {
            (Some(c), None) if !c.is_control() => KeyCode::Char(c),
            _ => WORDS
                .iter()
                .find(|(word, _)| *word == rest)
                .map(|(_, code)| *code)
                .or_else(|| function_key(rest))
                .ok_or_else(|| unknown_key(text, rest))?,
        };
        Ok(Self::new(code, modifiers))
    }
}

fn function_key(text: &str) -> Option<KeyCode> {
    let number = text.strip_prefix('f')?.parse().ok()?;
    (1..=12).contains(&number).then_some(KeyCode::F(number))
}

fn unknown_key(text: &str, rest: &str) -> String {
    let near = crate::nearest::did_you_mean(rest, WORDS.iter().map(|(word, _)| *word));
    format!(
        "unknown key {text:?}{near} (allowed: one character, {}, f1 to f12, with ctrl-, alt- or shift- before)",
        WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
    )
}

/// Writes the form that keymap files use.
impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, name) in
            [(KeyModifiers::CONTROL, "ctrl-"), (KeyModifiers::ALT, "alt-"), (KeyModifiers::SHIFT, "shift-")]
        {
            if self.modifiers.contains(modifier) {
                f.write_str(name)?;
            }
        }
        if let Some((word, _)) = WORDS.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(word);
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(number) => write!(f, "f{number}"),
            // No chord of a keymap file has another code.
            code => write!(f, "{code}"),
        }
    }
}
