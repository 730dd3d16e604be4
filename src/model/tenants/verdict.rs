//! How a tenant is, and why in words: the worst of what its objects add.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::shares::{Tally, Trouble};
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::Health;
use crate::kinds::applications::Application;
use crate::kinds::pods::Pod;
use crate::kinds::quota::NEARLY_FULL;
use crate::signals::Raised;
use crate::store::Shelf;

/// Says how a tenant is: the worst of Applications, pods, alerts and quotas, in the words of the first of the worst.
pub(super) fn verdict(
    tally: &Tally,
    quota: Option<&(Text, f64)>,
    [applications, pods, alerts]: [Option<&Shelf>; 3],
    now: Timestamp,
) -> (Trouble, Text) {
    let worst = |map: &BTreeMap<u32, Trouble>| map.values().max().copied().unwrap_or(Trouble::NONE);
    let (apps, podly) = (worst(&tally.apps_in_trouble), worst(&tally.pods_in_trouble));
    let pressed = match quota {
        Some((_, share)) if *share >= NEARLY_FULL => Trouble { health: Health::Warning, ..Trouble::NONE },
        _ => Trouble::NONE,
    };
    let alarmed = worst(&tally.alerts);
    let trouble = apps.max(podly).max(pressed).max(alarmed);
    if trouble.health <= Health::Idle {
        return (Trouble::NONE, Text::from(""));
    }
    // The pods say why more plainly than the Application that they are of.
    let reason = if podly == trouble && trouble.health >= Health::Warning {
        pod_reason(&tally.pods_in_trouble, trouble, pods, now)
    } else if alarmed == trouble {
        alert_reason(&tally.alerts, trouble, alerts, now)
    } else if apps == trouble {
        app_reason(&tally.apps_in_trouble, trouble, applications, now)
    } else if podly == trouble {
        pod_reason(&tally.pods_in_trouble, trouble, pods, now)
    } else {
        quota.map(|(key, share)| format!("quota: {:.0} % of {key} used", share * 100.0))
    };
    (trouble, Text::from(reason.unwrap_or_default()))
}

/// Names the Application that is worst.
pub(super) fn worst_app(tally: &Tally, context: &Context, applications: &Shelf) -> Option<ObjectRef> {
    let worst = tally.apps_in_trouble.values().max()?;
    let meta = &that_bad(&tally.apps_in_trouble, *worst).find_map(|seat| applications.at(seat))?.meta;
    Some(ObjectRef {
        context: context.clone(),
        resource: Resource::new("argoproj.io", "applications"),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
    })
}

fn that_bad(map: &BTreeMap<u32, Trouble>, trouble: Trouble) -> impl Iterator<Item = u32> {
    map.iter().filter(move |(_, other)| **other == trouble).map(|(seat, _)| *seat)
}

fn app_reason(
    map: &BTreeMap<u32, Trouble>,
    trouble: Trouble,
    shelf: Option<&Shelf>,
    now: Timestamp,
) -> Option<String> {
    let object = that_bad(map, trouble).find_map(|seat| shelf?.at(seat))?;
    let (_, why) = object.body::<Application>()?.verdict(&object.meta, now);
    let more = more(that_bad(map, trouble).count(), "app");
    Some(format!("{}: {why}{more}", object.meta.name))
}

fn pod_reason(
    map: &BTreeMap<u32, Trouble>,
    trouble: Trouble,
    shelf: Option<&Shelf>,
    now: Timestamp,
) -> Option<String> {
    let object = that_bad(map, trouble).find_map(|seat| shelf?.at(seat))?;
    let pod = object.body::<Pod>()?;
    let (_, why) = pod.verdict(&object.meta, now);
    let more = more(that_bad(map, trouble).count(), "pod");
    // What the containers say begins with their name, which says more than that of the pod.
    let named = pod.containers.iter().any(|container| why.starts_with(&*container.name));
    if named { Some(format!("{why}{more}")) } else { Some(format!("{}: {why}{more}", object.meta.name)) }
}

fn alert_reason(
    map: &BTreeMap<u32, Trouble>,
    trouble: Trouble,
    shelf: Option<&Shelf>,
    now: Timestamp,
) -> Option<String> {
    let object = that_bad(map, trouble).find_map(|seat| shelf?.at(seat))?;
    let alert = &object.body::<Raised>()?.alert;
    let since =
        alert.since.map(|since| format!(" for {}", crate::human::age(now, since))).unwrap_or_default();
    let more = more(that_bad(map, trouble).count(), "alert");
    Some(format!("{} fires{since}{more}", alert.name))
}

fn more(count: usize, what: &str) -> String {
    match count {
        ..=1 => String::new(),
        2 => format!(", and 1 more {what}"),
        many => format!(", and {} more {what}s", many - 1),
    }
}
