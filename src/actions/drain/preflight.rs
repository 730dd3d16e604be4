//! The checks of a drain that ask more than the pods of the node: budgets, single replicas, room elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};
use serde_json::Value;

use super::super::application::list as list_of;
use super::super::desk::{Desk, Remote};
use super::super::draft::text;
use super::super::{Line, Mark, Request};
use super::pods::{Lot, Pod, counted, named};
use super::{NAMES, room};
use crate::identity::{ObjectRef, Resource};
use crate::model::placement::Cluster;
use crate::model::selector::selects;

/// How many owners are looked at at a time.
const AT_ONCE: usize = 8;

fn number(document: &Value, pointer: &str) -> i64 {
    document.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Says which budgets would refuse, by name.
pub(super) async fn budgets<R: Remote>(desk: &Desk<R>, going: &[&Value]) -> Vec<Line> {
    // Pods that have ended or were not placed yet need no budget.
    let asked: Vec<Pod<'_>> = going
        .iter()
        .map(|pod| Pod(pod))
        .filter(|pod| pod.lot() == Lot::Evicted && !pod.is_pending() && !pod.is_ending())
        .collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let resource = Resource::new("policy", "poddisruptionbudgets");
    let budgets = match desk.remote.list(&resource, None, "", "").await {
        Ok(budgets) => budgets,
        Err(error) => {
            let text =
                format!("disruption budgets cannot be read ({error}): the server asks them all the same");
            return vec![Line::new(Mark::Warn, text)];
        }
    };
    let mut lines = Vec::new();
    let mut covered: BTreeMap<usize, usize> = BTreeMap::new();
    let mut twice = Vec::new();
    for pod in &asked {
        let covering: Vec<usize> = budgets
            .iter()
            .enumerate()
            .filter(|(_, budget)| {
                text(budget, "/metadata/namespace") == pod.namespace()
                    && selects(budget.pointer("/spec/selector"), pod.0)
            })
            .map(|(at, _)| at)
            .collect();
        if let [_, _, ..] = covering.as_slice() {
            let names: Vec<&str> = covering.iter().map(|at| text(&budgets[*at], "/metadata/name")).collect();
            twice.push(format!("{} ({})", pod.called(), names.join(", ")));
        }
        for at in covering {
            *covered.entry(at).or_default() += 1;
        }
    }
    if !twice.is_empty() {
        let text = format!(
            "more than one disruption budget covers {}: the server refuses to evict there always",
            named(&twice, NAMES)
        );
        lines.push(Line::new(Mark::Stop, text));
    }
    let mut open = 0;
    for (at, pods) in covered {
        let budget = &budgets[at];
        let name = format!("{}/{}", text(budget, "/metadata/namespace"), text(budget, "/metadata/name"));
        let left = number(budget, "/status/disruptionsAllowed");
        let (healthy, desired) =
            (number(budget, "/status/currentHealthy"), number(budget, "/status/desiredHealthy"));
        let expected = number(budget, "/status/expectedPods");
        if left > 0 {
            open += 1;
        } else if expected > 0 && desired >= expected {
            let text = format!(
                "disruption budget {name} never allows any: it wants all {expected} healthy, and {} here",
                are(pods)
            );
            lines.push(Line::new(Mark::Warn, text));
        } else {
            let text = format!(
                "disruption budget {name} allows none now (needs {desired} healthy, has {healthy}): {} here, waited for",
                are(pods)
            );
            lines.push(Line::new(Mark::Warn, text));
        }
    }
    if lines.is_empty() {
        let text = match open {
            0 => "no disruption budget covers them".to_owned(),
            open => format!("{} cover them, each with headroom now", counted(open, "disruption budget")),
        };
        lines.push(Line::new(Mark::Ok, text));
    }
    lines
}

fn are(pods: usize) -> String {
    format!("{} {}", counted(pods, "pod"), if pods == 1 { "is" } else { "are" })
}

/// Says which pods are the only ones of their kind: what they serve is away until the new one is ready.
pub(super) async fn singles<R: Remote>(desk: &Desk<R>, node: &ObjectRef, going: &[&Value]) -> Vec<Line> {
    let mut owners: BTreeSet<(String, String, String)> = BTreeSet::new();
    for pod in going.iter().map(|pod| Pod(pod)).filter(|pod| pod.lot() == Lot::Evicted) {
        if let Some(owner) = pod.owner()
            && let Some(plural) = plural(text(owner, "/kind"))
        {
            owners.insert((plural.to_owned(), pod.namespace().to_owned(), text(owner, "/name").to_owned()));
        }
    }
    let looks = owners.into_iter().map(|(plural, namespace, name)| async move {
        let object = ObjectRef {
            context: node.context.clone(),
            resource: Resource::new("apps", &plural),
            namespace: Some(namespace.as_str().into()),
            name: name.as_str().into(),
        };
        let found = desk.remote.look(&object).await;
        (format!("{namespace}/{name}"), found)
    });
    let seen: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
    let (mut single, mut unknown) = (Vec::new(), Vec::new());
    for (name, found) in seen {
        match found {
            Ok(Some(owner)) => {
                if owner.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1) == 1 {
                    single.push(name);
                }
            }
            Ok(None) => {}
            Err(error) => unknown.push((name, error)),
        }
    }
    single.sort();
    let mut lines = Vec::new();
    if !single.is_empty() {
        let text = format!("the only replica, away until a new one is ready: {}", named(&single, NAMES));
        lines.push(Line::new(Mark::Warn, text));
    }
    if let Some((name, error)) = unknown.first() {
        let text = format!(
            "whether {} more have a single replica is not known: {name}: {error}",
            counted(unknown.len(), "owner")
        );
        lines.push(Line::new(Mark::Note, text));
    }
    if lines.is_empty() && !going.is_empty() {
        lines.push(Line::new(Mark::Ok, "no single replica is among them"));
    }
    lines
}

fn plural(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "ReplicaSet" => "replicasets",
        "StatefulSet" => "statefulsets",
        _ => return None,
    })
}

/// Says whether other nodes have room, by what is requested.
pub(super) async fn room<R: Remote>(
    desk: &Desk<R>,
    request: &Request,
    node: &Value,
    going: &[&Value],
) -> Vec<Line> {
    // What nothing replaces needs no room, and what has ended neither.
    let moving: Vec<&Value> = going
        .iter()
        .copied()
        .filter(|pod| Pod(pod).lot() == Lot::Evicted && Pod(pod).owner().is_some())
        .collect();
    if moving.is_empty() {
        return Vec::new();
    }
    let list = |group: &'static str, plural: &'static str, fields: &'static str| {
        let resource = Resource::new(group, plural);
        async move { desk.remote.list(&resource, None, "", fields).await }
    };
    let living = "status.phase!=Succeeded,status.phase!=Failed";
    let (nodes, pods) = tokio::join!(list("", "nodes", ""), list("", "pods", living));
    let (nodes, pods) = match (nodes, pods) {
        (Ok(nodes), Ok(pods)) => (nodes, pods),
        (Err(error), _) | (_, Err(error)) => {
            return vec![Line::new(Mark::Warn, format!("room elsewhere was not checked: {error}"))];
        }
    };
    let mut lines = Vec::new();
    let claiming = moving.iter().any(|pod| {
        list_of(pod, "/spec/volumes").iter().any(|volume| volume.get("persistentVolumeClaim").is_some())
    });
    let (mut claims, mut volumes) = (Vec::new(), Vec::new());
    if claiming {
        match tokio::join!(list("", "persistentvolumeclaims", ""), list("", "persistentvolumes", "")) {
            (Ok(all), Ok(bound)) => (claims, volumes) = (all, bound),
            (Err(error), _) | (_, Err(error)) => {
                let text = format!("where their volumes lie was not checked: {error}");
                lines.push(Line::new(Mark::Note, text));
            }
        }
    }
    let mut leaving: Vec<&str> = request.targets.iter().map(|target| &*target.object.name).collect();
    leaving.push(text(node, "/metadata/name"));
    let goes = |pod: &Value| moving.iter().any(|one| Pod(one).uid() == Pod(pod).uid());
    let stay =
        pods.iter().filter(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") && !goes(pod));
    let cluster = Cluster::new(&nodes, stay).with_volumes(&claims, &volumes);
    let found = room::find(cluster, &moving, &leaving);
    let how = "by requests, selectors, affinity, spread, taints, volumes and ports";
    if found.homeless.is_empty() {
        let text = format!(
            "room elsewhere: all {} fit on {} ({how})",
            counted(moving.len(), "pod"),
            counted(found.nodes, "other node")
        );
        lines.push(Line::new(Mark::Ok, text));
        return lines;
    }
    let pool = node.pointer("/metadata/labels").and_then(|labels| labels.get("karpenter.sh/nodepool"));
    let then = if pool.is_some() {
        "they wait until Karpenter has bought a node"
    } else {
        "they wait until there is a node for them"
    };
    let names: Vec<String> = found.homeless.iter().map(|one| one.name.clone()).collect();
    let text = format!(
        "no room elsewhere for {} of {}: {}; {then} ({how})",
        names.len(),
        counted(moving.len(), "pod"),
        named(&names, NAMES)
    );
    lines.push(Line::new(Mark::Warn, text));
    lines.extend(reasons(found.homeless).into_iter().map(|text| Line::new(Mark::Note, text)));
    lines
}

/// Says what keeps pods from all nodes, those with the same reasons together; what is left over is counted.
fn reasons(homeless: Vec<room::Homeless>) -> Vec<String> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in homeless {
        groups.entry(one.why).or_default().push(one.name);
    }
    let more = groups.len().saturating_sub(NAMES);
    let mut said: Vec<String> = groups
        .into_iter()
        .take(NAMES)
        .map(|(why, names)| format!("no place for {}: {why}", named(&names, NAMES)))
        .collect();
    if more > 0 {
        said.push(format!("no place for the pods of {} either", counted(more, "more reason")));
    }
    said
}
