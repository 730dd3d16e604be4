//! Which objects of a list belong to which owner and to which node, kept while the objects come and go.
//!
//! It holds seats and sums, not objects, and is told of every change by the shelf. An object that is replaced is
//! taken out as it was and put in as it is, so the sums never drift.

use std::collections::HashMap;

use crate::identity::Text;
use crate::kinds::Object;
use crate::kinds::pods::Pod;
use crate::signals::Raised;

/// What the pods of a node ask for: those that are there, have not ended and are not going.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// How many pods.
    pub pods: u32,
    /// Effective CPU requests in thousandths of a core.
    pub cpu: u64,
    /// Effective memory requests in bytes.
    pub memory: u64,
}

/// The links of one list.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Owner's UID to the seats of the owned.
    owners: HashMap<Text, Vec<u32>>,
    /// Node's name to the seats of its pods, or of the alerts about it.
    nodes: HashMap<Text, Node>,
}

#[derive(Debug, Default)]
struct Node {
    seats: Vec<u32>,
    load: Load,
}

impl Links {
    pub(super) fn add(&mut self, index: u32, object: &Object) {
        for owner in &object.meta.owners {
            self.owners.entry(owner.uid.clone()).or_default().push(index);
        }
        if let Some(pod) = object.body::<Pod>()
            && let Some(name) = &pod.node
        {
            let node = self.nodes.entry(name.clone()).or_default();
            node.seats.push(index);
            if pod.occupies(&object.meta) {
                node.load.pods += 1;
                node.load.cpu += u64::from(pod.cpu);
                node.load.memory += pod.memory;
            }
        }
        if let Some(name) = alerted(object) {
            self.nodes.entry(name.into()).or_default().seats.push(index);
        }
    }

    pub(super) fn remove(&mut self, index: u32, object: &Object) {
        for owner in &object.meta.owners {
            if let Some(seats) = self.owners.get_mut(&owner.uid) {
                seats.retain(|seat| *seat != index);
                if seats.is_empty() {
                    self.owners.remove(&owner.uid);
                }
            }
        }
        if let Some(pod) = object.body::<Pod>()
            && let Some(name) = &pod.node
            && let Some(node) = self.nodes.get_mut(name)
        {
            node.seats.retain(|seat| *seat != index);
            if pod.occupies(&object.meta) {
                node.load.pods -= 1;
                node.load.cpu -= u64::from(pod.cpu);
                node.load.memory -= pod.memory;
            }
            if node.seats.is_empty() {
                self.nodes.remove(name);
            }
        }
        if let Some(name) = alerted(object)
            && let Some(node) = self.nodes.get_mut(name)
        {
            node.seats.retain(|seat| *seat != index);
            if node.seats.is_empty() {
                self.nodes.remove(name);
            }
        }
    }

    pub(super) fn owned_by(&self, uid: &str) -> &[u32] {
        self.owners.get(uid).map_or(&[], Vec::as_slice)
    }

    pub(super) fn on_node(&self, name: &str) -> &[u32] {
        self.nodes.get(name).map_or(&[], |node| node.seats.as_slice())
    }

    pub(super) fn load_of(&self, name: &str) -> Load {
        self.nodes.get(name).map_or_else(Load::default, |node| node.load)
    }
}

/// Returns the node that an alert is about.
fn alerted(object: &Object) -> Option<&str> {
    object.body::<Raised>()?.alert.labels.get("node")
}
