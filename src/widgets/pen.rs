//! A pen that writes pieces of text into one line, from the left and from the right, and cuts what does
//! not fit.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::fit;

/// Writes into one line of a buffer.
#[derive(Debug)]
pub struct Pen<'b> {
    buffer: &'b mut Buffer,
    at: u16,
    end: u16,
    y: u16,
    ellipsis: &'static str,
    cut: bool,
}

impl<'b> Pen<'b> {
    /// Sets the pen to the start of the first line of `area`; outside the buffer it writes nothing.
    pub fn new(buffer: &'b mut Buffer, area: Rect, ellipsis: &'static str) -> Self {
        let line = area.intersection(buffer.area);
        let end = if line.height == 0 { line.x } else { line.right() };
        Self { buffer, at: line.x, end, y: line.y, ellipsis, cut: false }
    }

    /// Returns how many cells are left between what was written from both sides.
    pub fn room(&self) -> usize {
        usize::from(self.end.saturating_sub(self.at))
    }

    /// Returns the column of the next cell.
    pub fn column(&self) -> u16 {
        self.at
    }

    /// Writes a text; what does not fit is cut and marked, and nothing follows a cut.
    pub fn put(&mut self, text: &str, style: impl Into<Style>) -> &mut Self {
        if self.cut || text.is_empty() {
            return self;
        }
        let room = self.room();
        let fitted = fit::fit(text, room, self.ellipsis);
        self.cut = fitted.len() != text.len() || fitted != text;
        if room > 0 {
            let (x, _) = self.buffer.set_stringn(self.at, self.y, &fitted, room, style);
            self.at = x;
        }
        self
    }

    /// Writes a text only where it fits whole, and tells whether it did.
    pub fn put_whole(&mut self, text: &str, style: impl Into<Style>) -> bool {
        let fits = !self.cut && fit::width(text) <= self.room();
        if fits {
            self.put(text, style);
        }
        fits
    }

    /// Leaves cells as they are.
    pub fn gap(&mut self, cells: u16) -> &mut Self {
        self.at = self.at.saturating_add(cells).min(self.end);
        self
    }

    /// Moves to a column, forwards only.
    pub fn to(&mut self, column: u16) -> &mut Self {
        self.at = self.at.max(column).min(self.end);
        self
    }

    /// Writes a text at the right end, where it fits whole, and takes that room away; tells whether it did.
    pub fn put_right(&mut self, text: &str, style: impl Into<Style>) -> bool {
        let cells = fit::width(text);
        if cells == 0 || cells > self.room() {
            return false;
        }
        self.end -= cells as u16;
        self.buffer.set_stringn(self.end, self.y, text, cells, style);
        true
    }

    /// Keeps cells free at the right end.
    pub fn margin_right(&mut self, cells: u16) -> &mut Self {
        self.end = self.end.saturating_sub(cells).max(self.at);
        self
    }

    /// Fills what is left with a character of one cell.
    pub fn fill(&mut self, glyph: &str, style: impl Into<Style>) {
        let style = style.into();
        for x in self.at..self.end {
            self.buffer[(x, self.y)].set_symbol(glyph).set_style(style);
        }
        self.at = self.end;
    }
}
