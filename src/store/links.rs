//! Which objects of a list belong to which owner, kept while the objects come and go.
//!
//! It holds seats, not objects, and is told of every change by the shelf.

use std::collections::HashMap;

use crate::identity::Text;
use crate::kinds::Object;

/// The links of one list.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Owner's UID to the seats of the owned.
    owners: HashMap<Text, Vec<u32>>,
}

impl Links {
    pub(super) fn add(&mut self, index: u32, object: &Object) {
        for owner in &object.meta.owners {
            self.owners.entry(owner.uid.clone()).or_default().push(index);
        }
    }

    pub(super) fn remove(&mut self, index: u32, object: &Object) {
        for owner in &object.meta.owners {
            drop_from(&mut self.owners, &owner.uid, index);
        }
    }

    pub(super) fn owned_by(&self, uid: &str) -> &[u32] {
        self.owners.get(uid).map_or(&[], Vec::as_slice)
    }
}

fn drop_from(map: &mut HashMap<Text, Vec<u32>>, key: &Text, index: u32) {
    if let Some(seats) = map.get_mut(key) {
        seats.retain(|seat| *seat != index);
        if seats.is_empty() {
            map.remove(key);
        }
    }
}
