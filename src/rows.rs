//! The table model: which objects of a list are shown, and in which order, kept up to date by what changed.
//!
//! It holds seats of a [`Shelf`] and what they are sorted by, and no text of any row: the window that is drawn
//! becomes text elsewhere. Selection and marks are identities and live in the state; [`Rows::position`] finds
//! where one is now.
//!
//! # Why
//!
//! A changed row is taken out and put in again by binary search, so that it costs the same at any size but for
//! moving four bytes a row. Many changes at once are merged in one pass. Everything is sorted anew only when
//! order or scope change, or when more has changed than the shelf remembers. A filter that was typed on looks only
//! at the rows that are shown, because no other can pass.
//!
//! Some cells hang on the time or on other objects (a pod that has been pending for too long, what is requested
//! of a node). Rows that are sorted or filtered by one are looked at again a few at a time, at each refresh.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::filter::{Filter, Scratch};
use crate::identity::Text;
use crate::kinds::{Cell, Kind, Lens, Object, Shape, natural};
use crate::store::Shelf;

/// From this many changes on they are merged in one pass instead of one by one.
const MANY: usize = 64;

/// How many rows are looked at again at each refresh, where cells hang on more than their object: well under a
/// millisecond.
const SWEEP: usize = 256;

/// The order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The column, by the kind's own number.
    pub column: usize,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// What part of a list is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// One namespace.
    pub namespace: Option<Text>,
    /// What belongs to one tenant.
    pub tenant: Option<Text>,
}

impl Scope {
    fn holds(&self, kind: &Kind, object: &Object, lens: &Lens<'_>) -> bool {
        let in_namespace =
            |wanted: &Text| !kind.namespaced || object.meta.namespace.as_deref() == Some(wanted);
        let of_tenant = |wanted: &Text| match lens.tenants.of(&kind.resource, object) {
            Some(tenant) => tenant == wanted,
            // Nodes and the like belong to nobody and serve everybody.
            None => !kind.namespaced && &*kind.resource.plural != "namespaces",
        };
        self.namespace.as_ref().is_none_or(in_namespace) && self.tenant.as_ref().is_none_or(of_tenant)
    }
}

/// What a row is sorted by.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Number(f64),
    Words(Text),
    /// A health, then the word for it.
    Ranked(u8, Text),
    /// Empty and unknown cells: last in either direction.
    Nothing,
}

impl Key {
    fn of(cell: Cell) -> Self {
        match cell {
            Cell::Text(text) | Cell::Link { text, .. } => Self::Words(text),
            Cell::Status { text, health } => Self::Ranked(health as u8, text),
            Cell::Count(number) => Self::Number(number as f64),
            Cell::Percent(value) | Cell::Quantity { value, .. } => Self::Number(value),
            Cell::Ratio { have, want } if want != 0 => Self::Number(have as f64 / want as f64),
            Cell::Bar { used, total, .. } if total > 0.0 => Self::Number(used / total),
            // The age grows as the moment lies back, whatever the time is.
            Cell::Age(then) => Self::Number(-(then.as_millisecond() as f64)),
            Cell::Ratio { .. } | Cell::Bar { .. } | Cell::Empty | Cell::Unknown | Cell::Hidden => {
                Self::Nothing
            }
        }
    }

    fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let order = match (self, other) {
            (Self::Nothing, Self::Nothing) => return Ordering::Equal,
            (Self::Nothing, _) => return Ordering::Greater,
            (_, Self::Nothing) => return Ordering::Less,
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Words(a), Self::Words(b)) => natural(a, b),
            (Self::Ranked(a, x), Self::Ranked(b, y)) => a.cmp(b).then_with(|| natural(x, y)),
            // One column has cells of one type.
            _ => Ordering::Equal,
        };
        if descending { order.reverse() } else { order }
    }
}

/// A row that is shown.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    key: Key,
    namespace: Option<Text>,
    name: Text,
}

impl Entry {
    fn compare(&self, other: &Self, descending: bool) -> Ordering {
        self.key
            .compare(&other.key, descending)
            .then_with(|| {
                let (a, b) = (self.namespace.as_deref(), other.namespace.as_deref());
                natural(a.unwrap_or_default(), b.unwrap_or_default())
            })
            .then_with(|| natural(&self.name, &other.name))
    }
}

/// What is known of a seat of the list.
#[derive(Debug, Clone, Default, PartialEq)]
enum Place {
    /// Empty, or out of scope.
    #[default]
    Out,
    /// In scope, and kept out by the filter.
    Filtered,
    /// Shown.
    Shown(Entry),
}

/// Which rows a new filter must be tried on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Untried {
    /// None: it was.
    #[default]
    None,
    /// Those that are shown: it lets no other pass than the filter before.
    Shown,
    /// All.
    All,
}

/// The rows of one table.
#[derive(Debug, Default)]
pub struct Rows {
    order: Option<Order>,
    filter: Filter,
    scope: Scope,
    /// The seats that are shown, in their order.
    shown: Vec<u32>,
    /// By seat.
    places: Vec<Place>,
    /// How many are in scope.
    total: usize,
    /// The revision of the shelf that is reflected; `None` where everything must be looked at.
    seen: Option<u64>,
    /// Which rows a new filter must be tried on.
    untried: Untried,
    /// Where the next sweep begins, and the moment and revision of the last one.
    sweep: usize,
    swept: (i64, u64),
    scratch: Scratch,
}

impl Rows {
    /// Makes the model of a table that was not filled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the order; `None` for the kind's own. What is sorted anew is so at the next refresh.
    pub fn set_order(&mut self, order: Option<Order>) {
        if self.order != order {
            self.order = order;
            self.seen = None;
        }
    }

    /// Sets the filter.
    pub fn set_filter(&mut self, filter: Filter) {
        let untried = if filter.narrows(&self.filter) { Untried::Shown } else { Untried::All };
        self.untried = self.untried.max(untried);
        self.filter = filter;
    }

    /// Sets what part of the list is looked at.
    pub fn set_scope(&mut self, scope: Scope) {
        if self.scope != scope {
            self.scope = scope;
            self.seen = None;
        }
    }

    /// Forgets what it reflects, such as when tenants have changed or another list is to be shown.
    pub fn reset(&mut self) {
        self.seen = None;
    }

    /// Returns how many rows are shown.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Tells whether no row is shown.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// Returns how many rows there would be without the filter.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Returns the object of a row.
    pub fn object<'s>(&self, shelf: &'s Shelf, row: usize) -> Option<&'s Arc<Object>> {
        shelf.at(*self.shown.get(row)?)
    }

    /// Returns the objects of some rows, such as the window that is drawn or a range that is marked.
    pub fn window<'s>(
        &self,
        shelf: &'s Shelf,
        rows: std::ops::Range<usize>,
    ) -> impl Iterator<Item = &'s Arc<Object>> {
        let end = rows.end.min(self.shown.len());
        let shown = self.shown.get(rows.start.min(end)..end).unwrap_or_default();
        shown.iter().filter_map(|seat| shelf.at(*seat))
    }

    /// Returns the row of an object, or `None` where it is not shown.
    pub fn position(&self, shelf: &Shelf, kind: &Kind, namespace: Option<&str>, name: &str) -> Option<usize> {
        let seat = shelf.slot(namespace, name)?.index;
        self.find(seat, self.descending(kind))
    }

    /// Brings the rows up to date and tells whether any is different.
    pub fn refresh(&mut self, shelf: &Shelf, kind: &Kind, lens: &Lens<'_>) -> bool {
        let changed: Option<Vec<u32>> = match self.seen {
            Some(seen) if seen == shelf.revision() => Some(Vec::new()),
            Some(seen) => shelf.changes_since(seen).map(Iterator::collect),
            None => None,
        };
        self.seen = Some(shelf.revision());
        let untried = std::mem::take(&mut self.untried);
        if let Some(mut seats) = changed {
            // A row that stays where it is may still look different.
            let told = !seats.is_empty();
            match untried {
                Untried::None => self.sweep(kind, lens, &mut seats),
                Untried::Shown => seats.extend(&self.shown),
                Untried::All => seats.extend(0..u32::try_from(self.places.len()).unwrap_or(u32::MAX)),
            }
            seats.sort_unstable();
            seats.dedup();
            self.update(&seats, shelf, kind, lens) || told
        } else {
            self.rebuild(shelf, kind, lens);
            true
        }
    }

    /// Adds the seats that are looked at though their object did not change.
    fn sweep(&mut self, kind: &Kind, lens: &Lens<'_>, seats: &mut Vec<u32>) {
        let moment = (lens.now.as_second(), lens.store.revision());
        if self.swept == moment || self.places.is_empty() {
            return;
        }
        if !self.is_restless(kind) {
            return;
        }
        self.swept = moment;
        for _ in 0..SWEEP.min(self.places.len()) {
            self.sweep = (self.sweep + 1) % self.places.len();
            if let Ok(seat) = u32::try_from(self.sweep) {
                seats.push(seat);
            }
        }
    }

    /// Tells whether which rows are shown, or in which order, hangs on more than the objects: on the time, or on
    /// other lists.
    pub fn is_restless(&self, kind: &Kind) -> bool {
        let sorted = self.column(kind).and_then(|(column, _)| kind.columns.get(column));
        sorted.is_some_and(|column| column.joined || matches!(column.shape, Shape::Status))
            || self.filter.is_restless(kind)
    }

    fn column(&self, kind: &Kind) -> Option<(usize, bool)> {
        match self.order {
            Some(order) => Some((order.column, order.descending)),
            None => kind.order,
        }
    }

    fn descending(&self, kind: &Kind) -> bool {
        self.column(kind).is_some_and(|(_, descending)| descending)
    }

    /// Works out what a seat comes to.
    fn place(&mut self, seat: u32, shelf: &Shelf, kind: &Kind, lens: &Lens<'_>) -> Place {
        let Some(object) = shelf.at(seat) else { return Place::Out };
        if !self.scope.holds(kind, object, lens) {
            return Place::Out;
        }
        if !self.filter.is_empty() && !self.filter.matches(kind, object, lens, &mut self.scratch) {
            return Place::Filtered;
        }
        let key = match self.column(kind) {
            Some((column, _)) => Key::of(kind.cell(object, column, lens)),
            // By identity alone.
            None => Key::Nothing,
        };
        Place::Shown(Entry { key, namespace: object.meta.namespace.clone(), name: object.meta.name.clone() })
    }

    fn rebuild(&mut self, shelf: &Shelf, kind: &Kind, lens: &Lens<'_>) {
        self.shown.clear();
        self.places.clear();
        self.places.reserve(shelf.seats());
        self.total = 0;
        for seat in 0..u32::try_from(shelf.seats()).unwrap_or(u32::MAX) {
            let place = self.place(seat, shelf, kind, lens);
            self.total += usize::from(place != Place::Out);
            if matches!(place, Place::Shown(_)) {
                self.shown.push(seat);
            }
            self.places.push(place);
        }
        let descending = self.descending(kind);
        let places = &self.places;
        self.shown.sort_unstable_by(|a, b| seats(places, *a, *b, descending));
    }

    /// Looks at some seats again and tells whether any row came, went or moved.
    fn update(&mut self, changed: &[u32], shelf: &Shelf, kind: &Kind, lens: &Lens<'_>) -> bool {
        let descending = self.descending(kind);
        if self.places.len() < shelf.seats() {
            self.places.resize(shelf.seats(), Place::Out);
        }
        // What looks the same as before stays where it is; the row itself is drawn from the object anyway.
        let mut moved: Vec<(u32, Place)> = Vec::new();
        for seat in changed {
            let place = self.place(*seat, shelf, kind, lens);
            if self.places.get(*seat as usize) != Some(&place) {
                moved.push((*seat, place));
            }
        }
        let any = !moved.is_empty();
        if moved.len() < MANY {
            for (seat, place) in moved {
                self.replace(seat, place, descending);
            }
        } else {
            self.merge(moved, descending);
        }
        any
    }

    fn replace(&mut self, seat: u32, place: Place, descending: bool) {
        if let Some(row) = self.find(seat, descending) {
            self.shown.remove(row);
        }
        self.set(seat, place);
        if matches!(self.places.get(seat as usize), Some(Place::Shown(_))) {
            let places = &self.places;
            let row = self.shown.partition_point(|other| seats(places, *other, seat, descending).is_lt());
            self.shown.insert(row, seat);
        }
    }

    fn merge(&mut self, moved: Vec<(u32, Place)>, descending: bool) {
        let mut is_moved = vec![false; self.places.len()];
        for (seat, _) in &moved {
            if let Some(flag) = is_moved.get_mut(*seat as usize) {
                *flag = true;
            }
        }
        self.shown.retain(|seat| !is_moved.get(*seat as usize).copied().unwrap_or_default());
        let mut fresh = Vec::with_capacity(moved.len());
        for (seat, place) in moved {
            if matches!(place, Place::Shown(_)) {
                fresh.push(seat);
            }
            self.set(seat, place);
        }
        let places = &self.places;
        fresh.sort_unstable_by(|a, b| seats(places, *a, *b, descending));
        let mut merged = Vec::with_capacity(self.shown.len() + fresh.len());
        let mut rest = self.shown.as_slice();
        for seat in fresh {
            let before = rest.partition_point(|other| seats(places, *other, seat, descending).is_lt());
            let (head, tail) = rest.split_at(before);
            merged.extend_from_slice(head);
            merged.push(seat);
            rest = tail;
        }
        merged.extend_from_slice(rest);
        self.shown = merged;
    }

    fn set(&mut self, seat: u32, place: Place) {
        let Some(old) = self.places.get_mut(seat as usize) else { return };
        self.total += usize::from(place != Place::Out);
        self.total -= usize::from(*old != Place::Out);
        *old = place;
    }

    /// Finds the row of a seat by what it is sorted by.
    fn find(&self, seat: u32, descending: bool) -> Option<usize> {
        if !matches!(self.places.get(seat as usize), Some(Place::Shown(_))) {
            return None;
        }
        let row = self.shown.partition_point(|other| seats(&self.places, *other, seat, descending).is_lt());
        (self.shown.get(row) == Some(&seat)).then_some(row)
    }
}

/// Compares two seats that are shown; the seat itself makes the order total.
fn seats(places: &[Place], a: u32, b: u32, descending: bool) -> Ordering {
    match (places.get(a as usize), places.get(b as usize)) {
        (Some(Place::Shown(x)), Some(Place::Shown(y))) => x.compare(y, descending).then_with(|| a.cmp(&b)),
        _ => a.cmp(&b),
    }
}

#[cfg(test)]
mod tests;
