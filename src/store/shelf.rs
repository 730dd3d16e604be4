//! One kept list: its rows in stable slots, what changed since when, and the intake that swaps a relist in.
//!
//! It is fed by [`super::Store::apply`] only, which has checked the life of the mail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::feed::{Feed, Garbage, Hidden, Stage};
use super::links::{Links, Load};
use super::{Change, Update};
use crate::identity::Text;
use crate::kinds::Object;
use crate::sources::SourceError;

/// How many changes are remembered; whoever asks for older ones looks at everything.
///
/// Sixteen pages of a list: a table that draws at 30 frames a second falls behind only when it stops drawing.
const JOURNAL: usize = 8_192;

/// The place of an object in its list, stable for as long as the object is there.
///
/// A place is given to another object only with another generation, so a remembered place never leads to a
/// different object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The position among the seats: dense, below [`Shelf::seats`].
    pub index: u32,
    generation: u32,
}

#[derive(Debug, Default)]
struct Seat {
    generation: u32,
    object: Option<Arc<Object>>,
}

/// One kept list.
#[derive(Debug)]
pub struct Shelf {
    seats: Vec<Seat>,
    free: Vec<u32>,
    /// Namespace (empty for cluster-scoped objects), then name: lookups by borrowed text, and the objects of one
    /// namespace without a second index.
    names: BTreeMap<Text, BTreeMap<Text, u32>>,
    links: Links,
    /// Which seat changed at which revision, oldest first.
    journal: VecDeque<(u64, u32)>,
    /// Changes up to this revision are no longer in the journal.
    floor: u64,
    revision: u64,
    feed: Feed,
    intakes: BTreeMap<Option<Text>, Intake>,
    ended: Option<Timestamp>,
}

/// One stream of mail: that of the whole list, or of one part of it.
#[derive(Debug, Default)]
struct Intake {
    /// Whether its rows once were a whole list.
    whole_at: Option<Timestamp>,
    refill: Option<Refill>,
    failed: Option<Failure>,
    heard: bool,
    garbled: Garbage,
}

#[derive(Debug)]
struct Failure {
    error: SourceError,
    since: Timestamp,
    retry_at: Option<Timestamp>,
}

/// A list that is coming in.
#[derive(Debug, Default)]
struct Refill {
    /// What the pages brought; of a first list, whose pages are shown at once, only the names.
    fresh: BTreeMap<Text, BTreeMap<Text, Option<Arc<Object>>>>,
    /// What a watch said meanwhile that was gone, with the UID it had: an older page must not bring it back.
    gone: BTreeMap<(Text, Text), Option<Text>>,
    /// What a watch brought meanwhile: newer than what a page says.
    newer: BTreeSet<(Text, Text)>,
    have: u64,
    remaining: Option<u64>,
    garbled: Garbage,
}

impl Refill {
    /// Tells whether an object of a page is older than what a watch has said since the list began.
    fn is_outdated(&self, key: &(Text, Text), object: &Object) -> bool {
        self.newer.contains(key)
            || self.gone.get(key).is_some_and(|uid| uid.as_ref().is_none_or(|uid| *uid == object.meta.uid))
    }
}

fn key(object: &Object) -> (Text, Text) {
    (object.meta.namespace.clone().unwrap_or_default(), object.meta.name.clone())
}

impl Shelf {
    pub(super) fn new(revision: u64) -> Self {
        Self {
            seats: Vec::new(),
            free: Vec::new(),
            names: BTreeMap::new(),
            links: Links::default(),
            journal: VecDeque::new(),
            floor: revision,
            revision,
            feed: Feed::default(),
            intakes: BTreeMap::new(),
            ended: None,
        }
    }

    /// Returns how many objects there are.
    pub fn len(&self) -> usize {
        self.seats.len() - self.free.len()
    }

    /// Tells whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many seats there are, taken or free: every index is below it.
    pub fn seats(&self) -> usize {
        self.seats.len()
    }

    /// Returns the number of the last change of a row.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns how the list is being fed.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Returns the seats that changed after a revision, in order and with repetitions, or `None` where that is
    /// too long ago to know and everything has to be looked at.
    pub fn changes_since(&self, revision: u64) -> Option<impl Iterator<Item = u32>> {
        (revision >= self.floor).then(|| {
            let from = self.journal.partition_point(|(at, _)| *at <= revision);
            self.journal.range(from..).map(|(_, index)| *index)
        })
    }

    /// Returns the object in a seat.
    pub fn at(&self, index: u32) -> Option<&Arc<Object>> {
        self.seats.get(index as usize)?.object.as_ref()
    }

    /// Returns the object in a slot, or `None` where it has left.
    pub fn in_slot(&self, slot: Slot) -> Option<&Arc<Object>> {
        let seat = self.seats.get(slot.index as usize)?;
        seat.object.as_ref().filter(|_| seat.generation == slot.generation)
    }

    /// Returns the slot of an object.
    pub fn slot(&self, namespace: Option<&str>, name: &str) -> Option<Slot> {
        let index = *self.names.get(namespace.unwrap_or_default())?.get(name)?;
        Some(Slot { index, generation: self.seats.get(index as usize)?.generation })
    }

    /// Returns an object by name.
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<&Arc<Object>> {
        self.at(*self.names.get(namespace.unwrap_or_default())?.get(name)?)
    }

    /// Returns every object with its slot, in the order of the seats.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Arc<Object>)> {
        self.seats.iter().enumerate().filter_map(|(index, seat)| {
            let slot = Slot { index: u32::try_from(index).ok()?, generation: seat.generation };
            Some((slot, seat.object.as_ref()?))
        })
    }

    /// Returns the objects of one namespace by name, or the cluster-scoped ones.
    pub fn in_namespace(&self, namespace: Option<&str>) -> impl Iterator<Item = &Arc<Object>> {
        self.names
            .get(namespace.unwrap_or_default())
            .into_iter()
            .flat_map(|names| names.values().filter_map(|index| self.at(*index)))
    }

    /// Returns the namespaces that hold objects, in order.
    pub fn namespaces(&self) -> impl Iterator<Item = &Text> {
        self.names.keys().filter(|namespace| !namespace.is_empty())
    }

    /// Returns the objects that name an owner by its UID.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.links.owned_by(uid).iter().filter_map(|index| self.at(*index))
    }

    /// Returns the pods on a node.
    pub fn on_node(&self, name: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.links.on_node(name).iter().filter_map(|index| self.at(*index))
    }

    /// Returns what the pods on a node ask for.
    pub fn load_of(&self, node: &str) -> Load {
        self.links.load_of(node)
    }

    pub(super) fn revive(&mut self) {
        self.ended = None;
        for intake in self.intakes.values_mut() {
            intake.refill = None;
            intake.failed = None;
            intake.heard = false;
        }
        self.tell();
    }

    pub(super) fn end(&mut self, at: Timestamp) {
        self.ended = Some(at);
        for intake in self.intakes.values_mut() {
            intake.refill = None;
        }
        self.tell();
    }

    /// Puts one piece of mail in and tells whether anything that is shown changed.
    pub(super) fn apply(&mut self, part: Option<Text>, at: Timestamp, update: Update, revision: u64) -> bool {
        let before = self.revision;
        self.feed.heard = Some(at);
        let mut changed = false;
        match update {
            Update::Split { parts, hidden } => changed = self.split(parts, hidden, revision),
            update => {
                // Mail of a part that no longer exists: the list was put together anew meanwhile.
                if !self.intakes.is_empty() && !self.intakes.contains_key(&part) {
                    return false;
                }
                let mut intake = self.intakes.remove(&part).unwrap_or_default();
                self.take(part.as_ref(), &mut intake, at, update, revision);
                self.intakes.insert(part, intake);
            }
        }
        // Not short-circuited: the feed is worked out in any case.
        changed |= self.tell();
        changed || self.revision != before
    }

    /// Puts the list together anew from parts, and tells whether that differs from before.
    fn split(&mut self, mut parts: Vec<Text>, hidden: Vec<Hidden>, revision: u64) -> bool {
        parts.sort();
        // What the new parts show was whole if what covered it was.
        let whole_at = self.intakes.get(&None).and_then(|intake| intake.whole_at);
        let mut old = std::mem::take(&mut self.intakes);
        if parts.is_empty() {
            self.intakes.insert(None, Intake { whole_at: self.feed.whole_at, ..Intake::default() });
        } else {
            for part in &parts {
                let intake = old
                    .remove(&Some(part.clone()))
                    .unwrap_or_else(|| Intake { whole_at, ..Intake::default() });
                self.intakes.insert(Some(part.clone()), intake);
            }
            let gone: Vec<Text> = self.names.keys().filter(|name| !parts.contains(name)).cloned().collect();
            for namespace in gone {
                self.retain(Some(&namespace), |_| false, revision);
            }
        }
        let same = self.feed.parts == parts && self.feed.hidden == hidden;
        self.feed.parts = parts;
        self.feed.hidden = hidden;
        !same
    }

    fn take(
        &mut self,
        part: Option<&Text>,
        intake: &mut Intake,
        at: Timestamp,
        update: Update,
        revision: u64,
    ) {
        match update {
            Update::Split { .. } => {}
            Update::ListStarted => {
                intake.refill = Some(Refill::default());
            }
            Update::Page { objects, garbled, remaining } => {
                intake.heard = true;
                intake.failed = None;
                // Without a beginning there is nothing that it could be a page of.
                let Some(refill) = &mut intake.refill else { return };
                refill.have += objects.len() as u64;
                refill.remaining = remaining;
                refill.garbled.add(garbled);
                for object in objects {
                    let key = key(&object);
                    if refill.is_outdated(&key, &object) {
                        continue;
                    }
                    let names = refill.fresh.entry(key.0).or_default();
                    if intake.whole_at.is_some() {
                        names.insert(key.1, Some(object));
                    } else {
                        names.insert(key.1, None);
                        self.put(object, revision);
                    }
                }
            }
            Update::ListDone => {
                intake.heard = true;
                intake.failed = None;
                let Some(mut refill) = intake.refill.take() else { return };
                self.retain(
                    part,
                    |object| {
                        refill
                            .fresh
                            .get(object.meta.namespace.as_deref().unwrap_or_default())
                            .is_some_and(|names| names.contains_key(&object.meta.name))
                            || refill.newer.contains(&key(object))
                    },
                    revision,
                );
                for object in refill.fresh.into_values().flat_map(BTreeMap::into_values).flatten() {
                    self.put(object, revision);
                }
                intake.garbled = std::mem::take(&mut refill.garbled);
                intake.whole_at = Some(at);
            }
            Update::Changed { changes, garbled } => {
                intake.heard = true;
                intake.failed = None;
                for change in changes {
                    self.change(intake, change, revision);
                }
                intake.garbled.add(garbled);
            }
            Update::Alive => {
                intake.heard = true;
                intake.failed = None;
            }
            Update::Failed { error, retry_at } => {
                intake.refill = None;
                let since = intake.failed.as_ref().map_or(at, |failed| failed.since);
                intake.failed = Some(Failure { error, since, retry_at });
            }
        }
    }

    fn change(&mut self, intake: &mut Intake, change: Change, revision: u64) {
        match change {
            Change::Put(object) => {
                intake.garbled.clear(object.meta.namespace.as_deref().unwrap_or_default(), &object.meta.name);
                if let Some(refill) = &mut intake.refill {
                    let key = key(&object);
                    refill.gone.remove(&key);
                    if let Some(names) = refill.fresh.get_mut(&key.0) {
                        names.remove(&key.1);
                    }
                    refill.newer.insert(key);
                }
                self.put(object, revision);
            }
            Change::Gone { namespace, name } => {
                let namespace = namespace.unwrap_or_default();
                intake.garbled.clear(&namespace, &name);
                let uid = self.remove(&namespace, &name, revision);
                if let Some(refill) = &mut intake.refill {
                    let key = (namespace, name);
                    refill.newer.remove(&key);
                    if let Some(names) = refill.fresh.get_mut(&key.0)
                        && names.get(&key.1).is_some_and(|held| {
                            held.as_ref()
                                .is_none_or(|held| uid.as_ref().is_none_or(|uid| *uid == held.meta.uid))
                        })
                    {
                        names.remove(&key.1);
                    }
                    refill.gone.insert(key, uid);
                }
            }
        }
    }

    /// Seats an object, in the place that its name has already, or in a free one.
    fn put(&mut self, object: Arc<Object>, revision: u64) {
        let (namespace, name) = key(&object);
        let known = self.names.get(&namespace).and_then(|names| names.get(&name)).copied();
        if let Some(index) = known {
            let Some(seat) = self.seats.get_mut(index as usize) else { return };
            if let Some(old) = &seat.object {
                if old.meta.uid == object.meta.uid
                    && old.meta.resource_version == object.meta.resource_version
                {
                    // The same version again, as every relist brings it: nothing to look at.
                    return;
                }
                self.links.remove(index, old);
                if old.meta.uid != object.meta.uid {
                    // Another object under the same name: what was remembered of the old one must not lead to it.
                    seat.generation = seat.generation.wrapping_add(1);
                }
            }
            self.links.add(index, &object);
            seat.object = Some(object);
            self.note(index, revision);
            return;
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None => match u32::try_from(self.seats.len()) {
                Ok(index) => {
                    self.seats.push(Seat::default());
                    index
                }
                // Four thousand million objects do not fit into memory either.
                Err(_) => return,
            },
        };
        self.links.add(index, &object);
        if let Some(seat) = self.seats.get_mut(index as usize) {
            seat.generation = seat.generation.wrapping_add(1);
            seat.object = Some(object);
        }
        self.names.entry(namespace).or_default().insert(name, index);
        self.note(index, revision);
    }

    /// Frees the seat of a name and returns the UID of what sat there.
    fn remove(&mut self, namespace: &Text, name: &Text, revision: u64) -> Option<Text> {
        let names = self.names.get_mut(namespace)?;
        let index = names.remove(name)?;
        if names.is_empty() {
            self.names.remove(namespace);
        }
        let object = self.seats.get_mut(index as usize)?.object.take()?;
        self.links.remove(index, &object);
        self.free.push(index);
        self.note(index, revision);
        Some(object.meta.uid.clone())
    }

    /// Removes the objects of a part (or of the whole list) that `keep` does not want.
    fn retain(&mut self, part: Option<&Text>, keep: impl Fn(&Object) -> bool, revision: u64) {
        let gone: Vec<(Text, Text)> = self
            .seats
            .iter()
            .filter_map(|seat| seat.object.as_ref())
            .filter(|object| part.is_none_or(|part| object.meta.namespace.as_ref() == Some(part)))
            .filter(|object| !keep(object))
            .map(|object| key(object))
            .collect();
        for (namespace, name) in gone {
            self.remove(&namespace, &name, revision);
        }
    }

    fn note(&mut self, index: u32, revision: u64) {
        self.revision = revision;
        if self.journal.len() == JOURNAL
            && let Some((at, _)) = self.journal.pop_front()
        {
            self.floor = at;
        }
        self.journal.push_back((revision, index));
    }

    /// Works the feed out from its parts and tells whether it differs from before.
    fn tell(&mut self) -> bool {
        let stage = self.stage();
        let whole_at = self
            .intakes
            .values()
            .map(|intake| intake.whole_at)
            .reduce(|a, b| a.zip(b).map(|(a, b)| a.min(b)))
            .flatten();
        let mut garbled = 0;
        let mut samples = Vec::new();
        for intake in self.intakes.values() {
            match &intake.refill {
                Some(refill) if intake.whole_at.is_none() => refill.garbled.tell(&mut garbled, &mut samples),
                _ => intake.garbled.tell(&mut garbled, &mut samples),
            }
        }
        let feed = &mut self.feed;
        let same = feed.stage == stage
            && feed.whole_at == whole_at
            && feed.garbled == garbled
            && feed.samples == samples;
        feed.stage = stage;
        feed.whole_at = whole_at;
        feed.garbled = garbled;
        feed.samples = samples;
        !same
    }

    fn stage(&self) -> Stage {
        if let Some(since) = self.ended {
            return Stage::Ended { since };
        }
        let failed = self.intakes.values().filter_map(|intake| intake.failed.as_ref());
        if let Some(Failure { error, since, retry_at }) = failed.min_by_key(|failed| failed.since) {
            return Stage::Failed { error: error.clone(), since: *since, retry_at: *retry_at };
        }
        let mut heard = false;
        let mut refilling = false;
        let mut loading = false;
        let mut have = 0;
        let mut of = Some(0);
        for intake in self.intakes.values() {
            heard |= intake.heard;
            refilling |= intake.refill.is_some() || !intake.heard;
            if intake.whole_at.is_none() {
                loading = true;
                let refill = intake.refill.as_ref();
                have += refill.map_or(0, |refill| refill.have);
                of = of
                    .zip(refill.and_then(|refill| refill.remaining.map(|more| refill.have + more)))
                    .map(|(a, b)| a + b);
            }
        }
        match (heard, loading, refilling) {
            _ if self.intakes.is_empty() => Stage::Waiting,
            (false, true, _) => Stage::Waiting,
            (_, true, _) => Stage::Loading { have, of },
            (_, _, true) => Stage::Refilling,
            _ => Stage::Live,
        }
    }
}
