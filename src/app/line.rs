//! A line that a person types: filter, palette, search, reason, confirmation.

use unicode_segmentation::UnicodeSegmentation;

use crate::app::command::Command;

/// How many bytes a line takes; what a person types is shorter, what is pasted may not be.
const LONGEST: usize = 4096;

/// A line of text with a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    /// A byte position on a border of graphemes.
    cursor: usize,
}

impl Line {
    /// Makes a line with the cursor at its end.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), cursor: text.len() }
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text before the cursor, whose width is where the cursor is drawn.
    pub fn before_cursor(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Tells whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts text in at the cursor, without its control characters.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.text.len() + c.len_utf8() > LONGEST {
                return;
            }
            self.text.insert(self.cursor, c);
            self.cursor += c.len_utf8();
        }
    }

    /// Replaces the text and puts the cursor at its end.
    pub fn set(&mut self, text: &str) {
        *self = Self::new(text);
    }

    /// Moves the cursor to a byte, or to the border of a character before it.
    pub fn move_to(&mut self, byte: usize) {
        let borders = self.text.grapheme_indices(true).map(|(at, _)| at).chain([self.text.len()]);
        self.cursor = borders.take_while(|at| *at <= byte).last().unwrap_or(0);
    }

    /// Puts text behind the end and leaves the cursor where it is.
    pub fn append(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text.len());
        self.text.extend(text.chars().filter(|c| !c.is_control()).take(room));
    }

    /// Carries out a command of typing and tells whether it was one.
    pub fn edit(&mut self, command: Command) -> bool {
        match command {
            Command::DeleteBack => self.delete(self.left()..self.cursor),
            Command::DeleteForward => self.delete(self.cursor..self.right()),
            Command::DeleteWord => self.delete(self.word_left()..self.cursor),
            Command::ClearLine => self.delete(0..self.text.len()),
            Command::CursorLeft => self.cursor = self.left(),
            Command::CursorRight => self.cursor = self.right(),
            Command::CursorStart => self.cursor = 0,
            Command::CursorEnd => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    fn delete(&mut self, range: std::ops::Range<usize>) {
        self.cursor = range.start;
        self.text.replace_range(range, "");
    }

    fn left(&self) -> usize {
        self.before_cursor().grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        let after = &self.text[self.cursor..];
        self.cursor + after.graphemes(true).next().map_or(0, str::len)
    }

    /// As shells do: spaces first, then letters up to the next space.
    fn word_left(&self) -> usize {
        let trimmed = self.before_cursor().trim_end();
        trimmed
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + trimmed[at..].chars().next().map_or(0, char::len_utf8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_moves_by_what_a_person_calls_a_character() {
        let mut line = Line::new("ae\u{301}b");
        line.edit(Command::CursorLeft);
        line.edit(Command::DeleteBack);
        assert_eq!((line.text(), line.before_cursor()), ("ab", "a"));
        line.edit(Command::DeleteForward);
        line.edit(Command::DeleteForward);
        assert_eq!(line.text(), "a");
    }

    #[test]
    fn a_word_goes_with_the_spaces_behind_it() {
        let mut line = Line::new("pods -n  tenant-2  ");
        line.edit(Command::DeleteWord);
        assert_eq!(line.text(), "pods -n  ");
        line.edit(Command::DeleteWord);
        assert_eq!(line.text(), "pods ");
    }

    #[test]
    fn what_is_pasted_loses_its_control_characters_and_has_an_end() {
        let mut line = Line::default();
        line.insert("a\n\u{1b}[31mb\t\u{9b}c");
        assert_eq!(line.text(), "a[31mbc");
        line.insert(&"x".repeat(10_000));
        assert_eq!(line.text().len(), LONGEST);
    }
}
