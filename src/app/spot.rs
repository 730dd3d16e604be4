//! What stands where on the screen: said by whoever draws, asked when the mouse clicks and when a page is moved.

use jiff::Timestamp;
use ratatui::layout::{Position, Rect};

use crate::app::command::Command;

/// Something on the screen that can be clicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// A panel of the view, by its number; wheels scroll the panel under the pointer.
    Panel(usize),
    /// A row of a panel, by its index in the whole list (not on the screen).
    Row {
        /// The panel.
        panel: usize,
        /// The index.
        index: usize,
    },
    /// The title of a column, by the kind's own number of the column.
    Column(usize),
    /// A key in the footer.
    Key(Command),
    /// A suggestion of the palette.
    Suggestion(usize),
    /// Anything of what lies over the view: clicks do not go through it.
    Overlay,
}

/// What the last frame showed where, and how much fitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spots {
    places: Vec<(Rect, Spot)>,
    /// How many rows of each panel fit, by the panel's number.
    pages: Vec<u16>,
    /// When something that was drawn reads otherwise, though nothing comes.
    due: Option<Timestamp>,
}

impl Spots {
    /// Says that something stands somewhere; what is said later lies above.
    pub fn put(&mut self, area: Rect, spot: Spot) {
        self.places.push((area, spot));
    }

    /// Says how many rows of a panel fit.
    pub fn fits(&mut self, panel: usize, rows: u16) {
        if self.pages.len() <= panel {
            self.pages.resize(panel + 1, 0);
        }
        if let Some(page) = self.pages.get_mut(panel) {
            *page = rows;
        }
    }

    /// Says that something that was drawn reads otherwise from a moment on; the earliest one counts.
    pub fn holds(&mut self, until: Timestamp) {
        self.due = Some(self.due.map_or(until, |due| due.min(until)));
    }

    /// Returns when something on the frame reads otherwise; `None` where nothing on it hangs on the time.
    pub fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Returns how many rows of a panel fitted, where it was drawn.
    pub fn page(&self, panel: usize) -> Option<usize> {
        self.pages.get(panel).copied().filter(|rows| *rows > 0).map(usize::from)
    }

    /// Returns the uppermost thing at a position.
    pub fn at(&self, column: u16, row: u16) -> Option<Spot> {
        let here = Position::new(column, row);
        self.places.iter().rev().find(|(area, _)| area.contains(here)).map(|(_, spot)| *spot)
    }

    /// Tells whether as much fits as before: where not, the window has to be settled and drawn again.
    pub fn fits_like(&self, other: &Self) -> bool {
        self.pages == other.pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_above_is_hit() {
        let mut spots = Spots::default();
        spots.put(Rect::new(0, 0, 80, 20), Spot::Panel(0));
        spots.put(Rect::new(0, 5, 80, 1), Spot::Row { panel: 0, index: 105 });
        assert_eq!(spots.at(3, 5), Some(Spot::Row { panel: 0, index: 105 }));
        assert_eq!(spots.at(3, 6), Some(Spot::Panel(0)));
        assert_eq!(spots.at(3, 30), None);
    }
}
