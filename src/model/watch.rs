//! What changed on a list since a model last looked.

use crate::store::Shelf;

/// How far a model has read a list.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Option<u64>,
}

/// What a model has to look at.
#[derive(Debug)]
pub(super) enum News {
    /// Nothing.
    None,
    /// These seats, in order and without repetitions.
    Seats(Vec<u32>),
    /// Everything, after forgetting what was known: so much changed, or the list is another one.
    Everything,
}

impl Watch {
    /// Forgets what was read.
    pub(super) fn reset(&mut self) {
        self.seen = None;
    }

    /// Tells what is new, and remembers that it was told.
    pub(super) fn news(&mut self, shelf: Option<&Shelf>) -> News {
        let Some(shelf) = shelf else {
            return if self.seen.take().is_some() { News::Everything } else { News::None };
        };
        let seen = self.seen.replace(shelf.revision());
        match seen {
            Some(seen) if seen == shelf.revision() => News::None,
            Some(seen) => match shelf.changes_since(seen) {
                Some(changes) => {
                    let mut seats: Vec<u32> = changes.collect();
                    seats.sort_unstable();
                    seats.dedup();
                    News::Seats(seats)
                }
                None => News::Everything,
            },
            None => News::Everything,
        }
    }
}
