//! A window over rows or lines: which one is selected, which is the first on screen.

/// The selected row and the part of the rows that is visible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Viewport {
    /// The selected row.
    pub cursor: usize,
    /// The first visible row.
    pub top: usize,
}

impl Viewport {
    /// Moves the selection by some rows and stays within `len`.
    pub fn step(&mut self, by: isize, len: usize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(len.saturating_sub(1));
    }

    /// Selects a row, or the last.
    pub fn select(&mut self, row: usize, len: usize) {
        self.cursor = row.min(len.saturating_sub(1));
    }

    /// Brings the selection into `len` rows and into sight of `page` rows, with as little movement as possible.
    pub fn settle(&mut self, len: usize, page: usize) {
        let page = page.max(1);
        self.cursor = self.cursor.min(len.saturating_sub(1));
        self.top = self.top.min(len.saturating_sub(page));
        if self.cursor < self.top {
            self.top = self.cursor;
        } else if self.cursor >= self.top + page {
            self.top = self.cursor + 1 - page;
        }
    }

    /// Scrolls without a selection: by some lines, within `len` lines of which `page` are visible.
    pub fn scroll(&mut self, by: isize, len: usize, page: usize) {
        self.top = self.top.saturating_add_signed(by).min(len.saturating_sub(page.max(1)));
        self.cursor = self.cursor.clamp(self.top, (self.top + page.max(1) - 1).max(self.top));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_no_more_than_it_must() {
        let mut view = Viewport::default();
        view.step(7, 100);
        view.settle(100, 5);
        assert_eq!(view, Viewport { cursor: 7, top: 3 });
        view.step(-2, 100);
        view.settle(100, 5);
        assert_eq!(view, Viewport { cursor: 5, top: 3 }, "still in sight: nothing moves");
    }

    #[test]
    fn rows_that_vanish_leave_the_selection_on_a_row() {
        let mut view = Viewport { cursor: 50, top: 48 };
        view.settle(10, 5);
        assert_eq!(view, Viewport { cursor: 9, top: 5 });
        view.settle(0, 5);
        assert_eq!(view, Viewport { cursor: 0, top: 0 });
    }
}
