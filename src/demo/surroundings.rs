//! What surrounds the applications: volumes that grow when they are asked to, and name lookups that a story makes fail.
//!
//! The EBS driver's part is small: a claim that asks for more gets it within seconds. Lookups fail as long as `CoreDNS`
//! replicas run that were there when it began, so starting them again is the cure.

use super::numbers::DNS;
use super::objects::Key;
use super::types::Type;
use super::untyped::{at, put, text, units};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// Seconds that the cloud and the file system need for a larger volume.
const GROWS: f64 = 6.0;
/// The label value of `CoreDNS`'s pods.
const COREDNS: &str = "coredns";
/// The key under which the lookups are looked after; there is no object of this name.
const LOOKUPS: &str = "+lookups";

/// The controller.
#[derive(Debug, Default)]
pub struct Surroundings;

impl Controller for Surroundings {
    fn name(&self) -> &'static str {
        "surroundings"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::PersistentVolumeClaim if !seen.gone => keys.push(seen.key.clone()),
            Type::Pod if seen.object.label("app.kubernetes.io/name") == Some(COREDNS) => {
                keys.push(Key::new(Type::Namespace, "", LOOKUPS));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        if key.kind == Type::PersistentVolumeClaim {
            grow(key, cx);
        } else {
            lookups(cx);
        }
    }
}

/// Gives a claim the room that it asks for.
fn grow(key: &Key, cx: &mut Cx<'_>) {
    let Some(claim) = cx.get(key) else { return };
    let wanted = at(&claim, "/spec/resources/requests/storage").clone();
    let has = units(at(&claim, "/status/capacity/storage"));
    if has == 0 || units(&wanted) <= has {
        return;
    }
    if !cx.timed() {
        cx.after(GROWS, key);
        return;
    }
    let volume = Key::new(Type::PersistentVolume, "", text(&claim, "/spec/volumeName"));
    cx.update(&volume, |volume| put(volume, &["spec", "capacity", "storage"], wanted.clone()));
    cx.update(key, |claim| put(claim, &["status", "capacity", "storage"], wanted));
    let message = "MountVolume.NodeExpandVolume succeeded for volume";
    cx.event(&claim, "Normal", "FileSystemResizeSuccessful", message, "kubelet");
}

/// Works out anew which part of lookups fails.
pub fn lookups(cx: &mut Cx<'_>) {
    let signal = cx.chronicle.facts().signal(DNS);
    let Some(began) = signal.iter().find(|(_, level)| *level > 0.0).map(|(at, _)| at) else { return };
    let replicas = cx.view.pods_in("kube-system");
    let running = replicas.filter(|(_, pod)| {
        pod.object.label("app.kubernetes.io/name") == Some(COREDNS) && pod.ready.is_some()
    });
    let (mut all, mut ailing) = (0.0_f64, 0.0);
    for (_, pod) in running {
        all += 1.0;
        ailing += f64::from(u8::from(pod.created.as_millisecond() < began));
    }
    let level = signal.last().unwrap_or(0.0) * ailing / all.max(1.0);
    let now = cx.now;
    cx.images.set_lookups(level, now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::untyped::later;
    use crate::demo::world::{Options, World};

    #[test]
    fn a_claim_that_asks_for_more_gets_it() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let options = Options { tenants: 1, nodes: 3, alive: false, ..Options::default() };
        let mut world = World::new(&options, now);
        let key = Key::new(Type::PersistentVolumeClaim, "monitoring", "data-loki-0");
        let now = world.now();
        world
            .objects
            .modify(&key, now, |claim| put(claim, &["spec", "resources", "requests", "storage"], "80Gi"))
            .unwrap();
        for second in 1..20 {
            world.step(later(now, f64::from(second)));
        }
        let claim = world.objects.get_value(&key).unwrap();
        assert_eq!(text(&claim, "/status/capacity/storage"), "80Gi");
    }
}
