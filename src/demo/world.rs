//! The world behind the protocols: objects, a clock that is handed in, and the controllers that act on them.
//!
//! It is deterministic: the same options, the same `now`s and the same writes give the same objects. It speaks no
//! protocol and reads no clock.
//!
//! # Why
//!
//! Real controllers are level-triggered: a change puts a key into a queue, and whoever takes the key looks at the
//! object as it is now. The world works the same way, which keeps its work proportional to what changed and lets a
//! client's write, a story and a controller's own write be handled alike. Timers run in the order of their own
//! times even when a step jumps far ahead, so a world that is stepped once an hour goes through the same states as
//! one that is stepped ten times a second.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::Value;

use super::deletion::DeleteOptions;
use super::estate::Estate;
use super::images::Images;
use super::numbers::chronicle::Chronicle;
use super::objects::{Happened, Key, Objects, seconds};
use super::recorder::{Note, Recorder};
use super::status::Status;
use super::types::Type;
use super::untyped::later;
use super::usage::Load;
use super::vault::Vault;
use super::view::{Seen, View};

/// How large the platform is and what happens on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Number of tenants.
    pub tenants: usize,
    /// Pods of each tenant that always run.
    pub pods_per_tenant: usize,
    /// Nodes at the start.
    pub nodes: usize,
    /// Applications over all tenants; `None` derives a believable number from the pods.
    pub applications: Option<usize>,
    /// Where every random choice starts from.
    pub seed: u64,
    /// The scripted incident to play.
    pub story: String,
    /// Object changes a second for load tests; 0 leaves the quiet background activity only.
    pub churn: u32,
    /// Whether anything moves by itself: autoscaling, cron jobs, a consolidation now and then.
    pub alive: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tenants: 8,
            pods_per_tenant: 14,
            nodes: 14,
            applications: None,
            seed: 1,
            story: "quiet".to_owned(),
            churn: 0,
            alive: true,
        }
    }
}

/// One controller: what it wants to hear about, and what it does about it.
pub trait Controller: Send {
    /// Returns the name, as it stands in events and logs.
    fn name(&self) -> &'static str;

    /// Adds the keys that a change makes worth looking at. Must not depend on anything but its arguments.
    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>);

    /// Brings the world closer to what the object named by `key` asks for. The object may be gone. Must come to
    /// rest: a call that finds nothing to do writes nothing.
    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>);
}

/// What a controller works with: the storage, the indexes, the time, its timers and the event recorder.
pub struct Cx<'a> {
    /// The storage. What a controller writes here directly reaches the indexes with its next write below, or at
    /// the end of its reconcile.
    pub objects: &'a mut Objects,
    /// What is known about many objects.
    pub view: &'a mut View,
    /// The time of this reconcile.
    pub now: Timestamp,
    /// How images behave.
    pub images: &'a mut Images,
    /// How busy the tenants are, and what else usage follows from.
    pub load: &'a mut Load,
    /// What is remembered for the numbers.
    pub chronicle: &'a mut Chronicle,
    /// The secrets of the account.
    pub vault: &'a mut Vault,
    /// Sizes and switches.
    pub options: &'a Options,
    /// The tenants and applications that the world was seeded with.
    pub estate: &'a Estate,
    /// Random choices, drawn in the order of reconciles.
    pub rng: &'a mut Rng,
    recorder: &'a mut Recorder,
    queue: &'a mut Queue,
    controller: usize,
    timed: bool,
}

impl Cx<'_> {
    /// Returns the present time as Kubernetes writes it.
    pub fn stamp(&self) -> String {
        seconds(self.now)
    }

    /// Says whether this reconcile was caused by the controller's own timer rather than by a change.
    pub fn timed(&self) -> bool {
        self.timed
    }

    /// Returns an object.
    pub fn get(&self, key: &Key) -> Option<Value> {
        self.objects.get_value(key)
    }

    /// Creates an object; returns its key, or why the API server would refuse it.
    pub fn create(&mut self, kind: Type, value: Value) -> Result<Key, Status> {
        let stored = self.objects.create(kind, value, self.now)?;
        self.follow();
        Ok(stored.key.clone())
    }

    /// Changes an object in place; returns whether anything was written.
    pub fn update(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> bool {
        let before = self.objects.revision();
        let written = self.objects.modify(key, self.now, change).is_ok() && self.objects.revision() != before;
        self.follow();
        written
    }

    /// Stores a changed copy of an object that [`Cx::get`] returned.
    pub fn replace(&mut self, key: &Key, value: Value) -> bool {
        self.update(key, |stored| *stored = value)
    }

    /// Asks for the deletion of an object, as a client does: finalizers and grace periods hold it.
    pub fn delete(&mut self, key: &Key) {
        // Somebody else was faster where it is gone.
        let _ = self.objects.delete(key, &DeleteOptions::default(), self.now);
        self.follow();
    }

    /// Deletes an object without a grace period, as a kubelet does when a pod has ended.
    pub fn remove(&mut self, key: &Key) {
        let _ = self.objects.delete(key, &DeleteOptions::now(), self.now);
        self.follow();
    }

    /// Has this controller look at `key` again at a time; an earlier time that is set already stays.
    pub fn at(&mut self, due: Timestamp, key: &Key) {
        self.queue.set_timer(due, self.controller, key);
    }

    /// Has this controller look at `key` again after some seconds.
    pub fn after(&mut self, seconds: f64, key: &Key) {
        self.at(later(self.now, seconds), key);
    }

    /// Records an event about an object: `kind` is `Normal` or `Warning`, `by` the reporting component.
    pub fn event(&mut self, about: &Value, kind: &str, reason: &str, message: &str, by: &str) {
        let note = Note { kind, reason, message, by };
        self.recorder.record(self.objects, about, note, (self.now, self.now, 1));
        self.follow();
    }

    /// Records an event that lies in the past, or that happened many times.
    pub fn past_event(
        &mut self,
        about: &Value,
        note: Note<'_>,
        first: Timestamp,
        last: Timestamp,
        times: u64,
    ) {
        self.recorder.record(self.objects, about, note, (first, last, times));
        self.follow();
    }

    /// Brings the indexes up to date with the storage.
    pub fn follow(&mut self) {
        self.queue.follow(self.objects, self.view, self.chronicle, self.now);
    }
}

/// What is to be looked at: now, and when its time comes.
#[derive(Debug, Default)]
struct Queue {
    /// Revision up to which the indexes follow the storage.
    followed: u64,
    seen: VecDeque<Seen>,
    keys: VecDeque<(usize, Key, bool)>,
    queued: HashSet<(usize, Key)>,
    timers: BTreeMap<(Timestamp, u64), (usize, Key)>,
    timed: HashMap<(usize, Key), (Timestamp, u64)>,
    sequence: u64,
}

impl Queue {
    fn follow(&mut self, objects: &Objects, view: &mut View, chronicle: &mut Chronicle, now: Timestamp) {
        if objects.revision() == self.followed {
            return;
        }
        if let Some(changes) = objects.changes_since(self.followed) {
            for change in changes {
                let gone = change.happened == Happened::Deleted;
                let seen = view.take(&change.object, change.before.as_deref(), gone);
                chronicle.take(&change.object, gone, now);
                if seen.key.kind != Type::Event {
                    self.seen.push_back(seen);
                }
            }
        } else {
            // So much was written at once that the history does not reach back: begin anew, as an informer does.
            *view = View::default();
            let kinds = Type::ALL.iter().filter(|kind| **kind != Type::Event);
            for object in kinds.flat_map(|kind| objects.list(*kind, None)) {
                self.seen.push_back(view.take(object, None, false));
                chronicle.take(object, false, now);
            }
            chronicle.prune(objects, now);
        }
        self.followed = objects.revision();
    }

    fn push(&mut self, controller: usize, key: Key, timed: bool) {
        if self.queued.insert((controller, key.clone())) {
            self.keys.push_back((controller, key, timed));
        }
    }

    fn pop(&mut self) -> Option<(usize, Key, bool)> {
        let (controller, key, timed) = self.keys.pop_front()?;
        self.queued.remove(&(controller, key.clone()));
        Some((controller, key, timed))
    }

    fn set_timer(&mut self, due: Timestamp, controller: usize, key: &Key) {
        if due == Timestamp::MAX {
            return;
        }
        let slot = (controller, key.clone());
        if let Some(set) = self.timed.get(&slot).copied() {
            if set.0 <= due {
                return;
            }
            self.timers.remove(&set);
        }
        self.sequence += 1;
        self.timers.insert((due, self.sequence), slot.clone());
        self.timed.insert(slot, (due, self.sequence));
    }

    fn next_timer(&mut self, until: Timestamp) -> Option<(Timestamp, usize, Key)> {
        let first = self.timers.first_entry()?;
        let due = first.key().0;
        if due > until {
            return None;
        }
        let slot = first.remove();
        self.timed.remove(&slot);
        Some((due, slot.0, slot.1))
    }
}

/// The platform's objects and everything that acts on them.
pub struct World {
    /// The storage, which clients read and write between steps.
    pub objects: Objects,
    /// What is known about many objects; brought up to date by each step.
    pub view: View,
    /// How images behave.
    pub images: Images,
    /// How busy the tenants are.
    pub load: Load,
    /// What is remembered for the numbers.
    pub chronicle: Chronicle,
    /// The secrets of the account.
    pub vault: Vault,
    /// Sizes and switches.
    pub options: Options,
    /// The tenants and applications that the world was seeded with.
    pub estate: Estate,
    now: Timestamp,
    rng: Rng,
    recorder: Recorder,
    queue: Queue,
    controllers: Vec<Box<dyn Controller>>,
    /// The step that was begun and is not over.
    begun: Option<Step>,
}

/// A step under way.
struct Step {
    /// The time that it leads to.
    until: Timestamp,
    /// What was written before it began, until the timers have run and it is taken in.
    written: Option<VecDeque<Seen>>,
    /// Reconciles that it may still cause.
    left: usize,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("options", &self.options)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Borrows what a controller works with, beside the controllers themselves.
macro_rules! cx {
    ($world:expr, $controller:expr, $timed:expr) => {
        Cx {
            objects: &mut $world.objects,
            view: &mut $world.view,
            now: $world.now,
            images: &mut $world.images,
            load: &mut $world.load,
            chronicle: &mut $world.chronicle,
            vault: &mut $world.vault,
            options: &$world.options,
            estate: &$world.estate,
            rng: &mut $world.rng,
            recorder: &mut $world.recorder,
            queue: &mut $world.queue,
            controller: $controller,
            timed: $timed,
        }
    };
}

/// Reconciles that one step may cause. More than a rollout of everything needs; it only keeps two controllers that
/// undo each other from holding up the platform for ever.
const MOST: usize = 2_000_000;

impl World {
    /// Makes a world that has been running for months.
    pub fn new(options: &Options, now: Timestamp) -> Self {
        let mut world = Self::empty(options, now);
        super::seed::seed(&mut world);
        world
    }

    /// Makes a world without objects, with the controllers of the cluster; for tests and for the seed.
    pub fn empty(options: &Options, now: Timestamp) -> Self {
        let objects = Objects::new(rng(options.seed, "objects"));
        let followed = objects.revision();
        Self {
            objects,
            view: View::default(),
            images: Images::default(),
            load: Load { moving: options.alive, ..Load::default() },
            chronicle: Chronicle::new(now),
            vault: Vault::default(),
            estate: Estate::new(options, now),
            options: options.clone(),
            now,
            rng: rng(options.seed, "controllers"),
            recorder: Recorder::default(),
            queue: Queue { followed, ..Queue::default() },
            controllers: super::seed::controllers(),
            begun: None,
        }
    }

    /// Adds a controller; it sees every object that is there as a change.
    pub fn add_controller(&mut self, controller: Box<dyn Controller>) {
        self.controllers.push(controller);
        let number = self.controllers.len() - 1;
        let mut keys = Vec::new();
        for object in Type::ALL.iter().flat_map(|kind| self.objects.list(*kind, None)) {
            let owner = super::view::owner(object);
            let seen = Seen {
                key: object.key.clone(),
                owner,
                gone: false,
                object: Arc::clone(object),
                before: None,
            };
            self.controllers[number].watch(&seen, &self.view, &mut keys);
        }
        for key in keys {
            self.queue.push(number, key, false);
        }
    }

    /// Ends the seeding: what was built at rest is not looked at again, what sets timers or keeps a status is.
    pub(super) fn settle_seed(&mut self) {
        self.queue.seen.retain(|seen| {
            !matches!(
                seen.key.kind,
                Type::Pod
                    | Type::ReplicaSet
                    | Type::Deployment
                    | Type::StatefulSet
                    | Type::DaemonSet
                    | Type::ConfigMap
                    | Type::ControllerRevision
            )
        });
        let mut left = MOST;
        self.drain(&mut left, &mut || true);
    }

    /// Returns the time that the world has reached.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns when something happens next if nobody writes: until then a step has nothing to do.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.begun.is_some()
            || !self.queue.keys.is_empty()
            || self.queue.followed != self.objects.revision()
        {
            return Some(self.now);
        }
        self.queue.timers.first_key_value().map(|((due, _), _)| *due)
    }

    /// Lets time go on until `now`: runs the timers that are due, in their order, then takes in what was written
    /// since the last step and lets the controllers act on it.
    pub fn step(&mut self, now: Timestamp) {
        // What is left of a step that was begun comes first.
        while !self.step_while(now, || true) {}
        if self.now < now {
            while !self.step_while(now, || true) {}
        }
    }

    /// Does as much of a step as `go_on` allows, which is asked after each reconcile, and tells whether the step is
    /// over. Where it is not, the next call goes on with it, up to the time that it was begun with; what clients
    /// write meanwhile belongs to it.
    pub fn step_while(&mut self, now: Timestamp, mut go_on: impl FnMut() -> bool) -> bool {
        let mut step = match self.begun.take() {
            Some(step) => {
                let mut step = step;
                if !self.drain(&mut step.left, &mut go_on) {
                    self.begun = Some(step);
                    return false;
                }
                step
            }
            None => self.begin(now),
        };
        while step.written.is_some()
            && let Some((due, controller, key)) = self.queue.next_timer(step.until)
        {
            self.now = self.now.max(due);
            self.queue.push(controller, key, true);
            if !self.drain(&mut step.left, &mut go_on) {
                self.begun = Some(step);
                return false;
            }
        }
        if let Some(written) = step.written.take() {
            self.now = step.until;
            self.objects.sweep(step.until);
            self.queue.follow(&self.objects, &mut self.view, &mut self.chronicle, self.now);
            self.queue.seen.extend(written);
            if !self.drain(&mut step.left, &mut go_on) {
                self.begun = Some(step);
                return false;
            }
        }
        self.recorder.expire(&mut self.objects, step.until);
        self.queue.follow(&self.objects, &mut self.view, &mut self.chronicle, self.now);
        true
    }

    fn begin(&mut self, now: Timestamp) -> Step {
        self.queue.follow(&self.objects, &mut self.view, &mut self.chronicle, self.now);
        let written = std::mem::take(&mut self.queue.seen);
        Step { until: now.max(self.now), written: Some(written), left: MOST }
    }

    /// Runs `act` with what a controller gets, outside of any controller: for the seed, stories and tests.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let mut cx = cx!(self, usize::MAX, false);
        let result = act(&mut cx);
        cx.follow();
        result
    }

    /// Has every controller look at an object again, as if it had changed.
    pub fn look_again(&mut self, key: &Key) {
        if let Some(object) = self.objects.get(key) {
            let owner = super::view::owner(object);
            let object = Arc::clone(object);
            self.queue.seen.push_back(Seen { key: key.clone(), owner, gone: false, object, before: None });
        }
    }

    /// Lets the controllers act until there is nothing left to do, which it tells, or until `go_on` says no.
    fn drain(&mut self, left: &mut usize, go_on: &mut impl FnMut() -> bool) -> bool {
        let mut keys = Vec::new();
        while *left > 0 {
            while let Some(seen) = self.queue.seen.pop_front() {
                for (number, controller) in self.controllers.iter().enumerate() {
                    controller.watch(&seen, &self.view, &mut keys);
                    for key in keys.drain(..) {
                        self.queue.push(number, key, false);
                    }
                }
            }
            let Some((number, key, timed)) = self.queue.pop() else { return true };
            *left -= 1;
            if let Some(controller) = self.controllers.get_mut(number) {
                let mut cx = cx!(self, number, timed);
                controller.reconcile(&key, &mut cx);
                cx.follow();
            }
            if !go_on() {
                return false;
            }
        }
        tracing::warn!("controllers did not come to rest");
        true
    }
}

/// Returns the generator of one part of the world, so that a draw in one part does not shift another.
pub fn rng(seed: u64, part: &str) -> Rng {
    Rng::with_seed(seed ^ fnv64(part.as_bytes()))
}

/// Hashes bytes with 64-bit FNV-1a; stable between runs and platforms, unlike the standard hasher.
pub fn fnv64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
