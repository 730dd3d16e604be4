//! `PodDisruptionBudgets`: how many pods may be evicted now, and evictions that ask first.
//!
//! The controller keeps the status; [`evict`] is the one way in which anything inside the platform takes a pod off a
//! node, and it is the way of the API server's eviction endpoint.

use std::collections::BTreeSet;

use serde_json::json;

use super::eviction;
use super::objects::{Key, Objects};
use super::replicasets::wanted;
use super::request::Query;
use super::status::Status;
use super::types::Type;
use super::untyped::{put, set_condition, share};
use super::view::{Seen, View, owner};
use super::world::{Controller, Cx};

/// The controller.
#[derive(Debug, Default)]
pub struct Budgets;

impl Controller for Budgets {
    fn name(&self) -> &'static str {
        "disruption-controller"
    }

    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::PodDisruptionBudget if !seen.gone => keys.push(seen.key.clone()),
            Type::Pod => {
                keys.extend(view.selecting(Type::PodDisruptionBudget, &seen.object).cloned());
            }
            // The number that is wanted may have changed.
            Type::Deployment | Type::StatefulSet => keys.extend(
                view.pods_in(&seen.key.namespace)
                    .find(|(_, pod)| top(pod.owner.as_ref(), &seen.key))
                    .into_iter()
                    .flat_map(|(_, pod)| view.selecting(Type::PodDisruptionBudget, &pod.object))
                    .cloned(),
            ),
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(budget) = cx.get(key) else { return };
        let pods = cx.view.selected(key);
        let counted: Vec<_> = pods.iter().filter(|(_, pod)| !pod.finished()).collect();
        let healthy = counted.iter().filter(|(_, pod)| pod.ready.is_some() && !pod.deleting).count();
        let healthy = i64::try_from(healthy).unwrap_or(i64::MAX);
        let owners: BTreeSet<&Key> = counted.iter().filter_map(|(_, pod)| pod.owner.as_ref()).collect();
        let asked: i64 = owners.iter().map(|key| replicas(cx.objects, key)).sum();
        let expected = if asked > 0 { asked } else { i64::try_from(counted.len()).unwrap_or(i64::MAX) };
        let (least, most) = (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]);
        let desired = if least.is_null() {
            (expected - share(most, expected, true)).max(0)
        } else {
            share(least, expected, true)
        };
        let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
        let (state, reason) =
            if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        let here: BTreeSet<String> =
            pods.iter().filter(|(_, pod)| !pod.deleting).map(|(key, _)| key.name.to_string()).collect();
        let now = cx.stamp();
        cx.update(key, |object| {
            // Evictions that the API server has noted are forgotten once the pods are seen to go.
            if let Some(noted) = object["status"]["disruptedPods"].as_object_mut() {
                noted.retain(|pod, _| here.contains(pod));
                if noted.is_empty()
                    && let Some(status) = object["status"].as_object_mut()
                {
                    status.remove("disruptedPods");
                }
            }
            let generation = object["metadata"]["generation"].clone();
            put(object, &["status", "observedGeneration"], generation);
            for (field, count) in [
                ("currentHealthy", healthy),
                ("desiredHealthy", desired),
                ("expectedPods", expected),
                ("disruptionsAllowed", allowed),
            ] {
                put(object, &["status", field], count);
            }
            set_condition(object, "DisruptionAllowed", state, reason, "", &now);
            // A condition of this kind always has a message; the real controller leaves it empty.
            for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
                condition["message"] = json!("");
            }
        });
    }
}

/// Says whether a pod's owner belongs to a workload; ReplicaSets are named after their Deployment.
fn top(owner: Option<&Key>, workload: &Key) -> bool {
    owner.is_some_and(|owner| match owner.kind {
        Type::ReplicaSet => {
            owner.name.rsplit_once('-').is_some_and(|(stem, _)| stem == workload.name.as_ref())
        }
        _ => owner == workload,
    })
}

/// Returns the replicas that the workload above a controller asks for; a ReplicaSet's Deployment counts, once.
fn replicas(objects: &Objects, key: &Key) -> i64 {
    let Some(object) = objects.get(key) else { return 0 };
    if key.kind == Type::ReplicaSet
        && let Some(deployment) = owner(object).and_then(|key| objects.get_value(&key))
    {
        // During a rollout two sets belong to one deployment; the newest stands for it.
        let newest = deployment["metadata"]["annotations"][super::deployments::REVISION].clone();
        let own = object.value()["metadata"]["annotations"][super::deployments::REVISION].clone();
        return if newest == own { wanted(&deployment) } else { 0 };
    }
    wanted(&object.value())
}

/// Evicts a pod as a client would, or returns the refusal that a client would get.
pub fn evict(cx: &mut Cx<'_>, key: &Key) -> Result<(), Status> {
    let query = Query::new("");
    let result = eviction::evict(cx.objects, key, &json!({}), &query, cx.now);
    cx.follow();
    result.map(|_| ())
}
