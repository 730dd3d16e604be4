//! Drain: mark a node unschedulable, and evict its pods one by one through their budgets until they are gone.
//!
//! Only pods that the plan names are evicted, each by its UID: what comes to the node later, and what takes a name
//! over, is told and left alone. What stops a drain and what is left on the node is as kubectl has it
//! (contracts 3.6), but for pods of `DaemonSets`, which are always left.

mod evict;
pub(super) mod pods;
mod preflight;
mod rehearse;
mod room;

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::OnceCell;

pub(super) use evict::run;
use pods::{HELD, Lot, Pod, counted, named};

use super::desk::{Desk, Remote};
use super::draft::{Also, Check, Draft, Found, text};
use super::{Line, Mark, Options, Request, rights};
use crate::human;
use crate::identity::{ObjectRef, Resource};

/// How many pods may be ending at a time where nobody says.
pub const PARALLEL: u32 = 5;
/// How many names a line has before the rest is counted.
const NAMES: usize = 5;

/// The step before those of the pods.
const CORDON: &str = "cordon the node";
/// The step after them.
const EMPTY: &str = "only pods that stay are left";

/// Names the steps: the cordon, each pod, and the look at what is left.
pub(super) fn steps(evicted: &[ObjectRef]) -> Vec<String> {
    let pods = evicted.iter().map(|pod| match &pod.namespace {
        Some(namespace) => format!("{namespace}/{}", pod.name),
        None => pod.name.to_string(),
    });
    std::iter::once(CORDON.to_owned()).chain(pods).chain(std::iter::once(EMPTY.to_owned())).collect()
}

/// Lists the pods on a node; filters once more, because a selector is a wish.
async fn on_node<R: Remote>(desk: &Desk<R>, node: &ObjectRef) -> Result<Vec<Value>, String> {
    let fields = format!("spec.nodeName={}", node.name);
    let found = desk.remote.list(&Resource::new("", "pods"), None, "", &fields).await;
    let mut pods = found.map_err(|error| error.to_string())?;
    pods.retain(|pod| Pod(pod).node() == &*node.name);
    Ok(pods)
}

/// The pods of a node, listed once for all checks of a plan.
#[derive(Clone)]
struct Listed(Arc<OnceCell<Result<Vec<Value>, String>>>);

impl Listed {
    async fn get<R: Remote>(&self, desk: &Desk<R>, node: &ObjectRef) -> &Result<Vec<Value>, String> {
        self.0.get_or_init(|| on_node(desk, node)).await
    }

    /// Returns the pods that go; none where they could not be listed, which another line says.
    async fn going<R: Remote>(&self, desk: &Desk<R>, node: &ObjectRef) -> Vec<&Value> {
        let pods = self.get(desk, node).await.as_ref().map_or(&[][..], Vec::as_slice);
        pods.iter().filter(|pod| Pod(pod).goes()).collect()
    }
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    node: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let options = &request.options;
    let mut parts = Vec::new();
    let cordoned = unschedulable(document);
    let first = if cordoned {
        Line::new(Mark::Note, "the node is cordoned already and stays so")
    } else {
        Line::new(Mark::Change, "the node is cordoned: no new pod is scheduled on it")
    };
    parts.push(first.into());
    let listed = Listed(Arc::new(OnceCell::new()));
    let check = |pending: &str| (pending.to_owned(), listed.clone());

    let (pending, pods) = check("listing the pods on the node");
    let ask = async move {
        match pods.get(desk, node).await {
            Ok(pods) => listing(desk, node, pods, options).await,
            Err(error) => vec![Line::new(Mark::Stop, format!("its pods cannot be listed: {error}"))].into(),
        }
    };
    parts.push(Check::new(pending, ask).into());
    let (pending, pods) = check("looking for disruption budgets without headroom");
    parts.push(
        Check::new(pending, async move { preflight::budgets(desk, &pods.going(desk, node).await).await })
            .into(),
    );
    let (pending, pods) = check("asking the server whether it would evict them (server dry run)");
    let rehearsal = async move { rehearse::evictions(desk, node, &pods.going(desk, node).await).await };
    parts.push(Check::new(pending, rehearsal).patient(rehearse::PATIENCE).into());
    let (pending, pods) = check("looking for single replicas");
    parts.push(
        Check::new(
            pending,
            async move { preflight::singles(desk, node, &pods.going(desk, node).await).await },
        )
        .into(),
    );
    let (pending, pods) = check("looking for room elsewhere");
    parts.push(
        Check::new(pending, async move {
            preflight::room(desk, request, document, &pods.going(desk, node).await).await
        })
        .into(),
    );
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        let text = "the node is being removed: who removes it evicts its pods as well";
        parts.push(Line::new(Mark::Warn, text).into());
    }
    let label = |key: &str| {
        document.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str)
    };
    let held = document.pointer("/metadata/annotations").and_then(|all| all.get(HELD));
    if held.and_then(Value::as_str) == Some("true") {
        let text = format!("the node is protected ({HELD}); that keeps Karpenter away and no drain");
        parts.push(Line::new(Mark::Warn, text).into());
    }
    if let Some(pool) = label("karpenter.sh/nodepool") {
        let text = format!("Karpenter pool {pool} owns the node: once it is empty it is consolidated away");
        parts.push(Line::new(Mark::Note, text).into());
    }
    let limit = human::span(desk.pace.long(options).as_secs().cast_signed());
    let text = format!(
        "watched until the pods are gone, for {limit}; a budget's refusal is tried again every {} s",
        desk.pace.refused.as_secs()
    );
    parts.push(Line::new(Mark::After, text).into());
    Draft {
        parts,
        facts: vec![
            (UNSCHEDULABLE, "whether it is unschedulable"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        command: command(&node.name, options, desk.pace.long(options).as_secs()),
        hold: None,
    }
}

/// Where a node says that the scheduler leaves it alone.
const UNSCHEDULABLE: &str = "/spec/unschedulable";

/// The checks of what becomes of the pods of a node that somebody else drains: Karpenter, when its claim is deleted.
pub(super) fn moved<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    node: ObjectRef,
) -> Vec<Check<'a>> {
    let listed = Listed(Arc::new(OnceCell::new()));
    let each = || (node.clone(), listed.clone());
    let (of, pods) = each();
    let listing = Check::new("listing the pods on the node", async move {
        let all = match pods.get(desk, &of).await {
            Ok(all) => all,
            Err(error) => return vec![Line::new(Mark::Warn, format!("its pods cannot be listed: {error}"))],
        };
        let going: Vec<Pod<'_>> = all.iter().map(Pod).filter(|pod| pod.goes()).collect();
        if going.is_empty() {
            return vec![Line::new(Mark::Note, "no pod has to move")];
        }
        let total = room::total(&going.iter().map(|pod| pod.0).collect::<Vec<_>>());
        let mut lines = vec![
            Line::new(Mark::Change, format!("{} moved: {total}", counted(going.len(), "pod"))),
            Line::new(Mark::Note, whose(desk, &going).await),
        ];
        let names = |of: &dyn Fn(&Pod<'_>) -> bool| -> Vec<String> {
            going.iter().filter(|pod| of(pod)).map(|pod| pod.called()).collect()
        };
        let held = names(&|pod| pod.is_held());
        if !held.is_empty() {
            let text =
                format!("asked not to be disrupted ({HELD}), they hold it up: {}", named(&held, NAMES));
            lines.push(Line::new(Mark::Warn, text));
        }
        let lost = names(&|pod| pod.lot() == Lot::Evicted && (pod.owner().is_none() || pod.has_empty_dir()));
        if !lost.is_empty() {
            let text =
                format!("gone for good, or with what lies in emptyDir volumes: {}", named(&lost, NAMES));
            lines.push(Line::new(Mark::Warn, text));
        }
        lines
    });
    let (of, pods) = each();
    let budgets = Check::new("looking for disruption budgets without headroom", async move {
        preflight::budgets(desk, &pods.going(desk, &of).await).await
    });
    let (of, pods) = each();
    let singles = Check::new("looking for single replicas", async move {
        preflight::singles(desk, &of, &pods.going(desk, &of).await).await
    });
    let (of, pods) = each();
    let room = Check::new("looking for room elsewhere", async move {
        let node = desk.remote.look(&of).await.ok().flatten().unwrap_or_default();
        preflight::room(desk, request, &node, &pods.going(desk, &of).await).await
    });
    vec![listing, budgets, singles, room]
}

/// Says which pods are still on a node that somebody else drains.
pub(super) async fn left<R: Remote>(desk: &Desk<R>, node: &ObjectRef) -> String {
    match on_node(desk, node).await {
        Ok(pods) => {
            let names: Vec<String> = pods.iter().map(Pod).filter(|pod| pod.goes()).map(Pod::called).collect();
            match names.len() {
                0 => "its pods are gone; the machine is being ended".to_owned(),
                _ => format!("{} on it: {}", counted(names.len(), "pod"), named(&names, 3)),
            }
        }
        Err(error) => error,
    }
}

fn unschedulable(node: &Value) -> bool {
    node.pointer(UNSCHEDULABLE).and_then(Value::as_bool).unwrap_or(false)
}

/// Writes the command of kubectl that does the same.
fn command(node: &str, options: &Options, seconds: u64) -> String {
    let mut command = format!("kubectl drain {node} --ignore-daemonsets");
    if options.force {
        command.push_str(" --force");
    }
    if options.delete_emptydir_data {
        command.push_str(" --delete-emptydir-data");
    }
    format!("{command} --timeout={seconds}s")
}

/// Says what goes and what stays, and names the pods that will be written.
async fn listing<R: Remote>(
    desk: &Desk<R>,
    node: &ObjectRef,
    documents: &[Value],
    options: &Options,
) -> Found {
    let pods: Vec<Pod<'_>> = documents.iter().map(Pod).collect();
    let mut going: Vec<Pod<'_>> = pods.iter().copied().filter(|pod| pod.goes()).collect();
    going.sort_by_key(|pod| (pod.namespace(), pod.name()));
    let names = |of: &dyn Fn(&Pod<'_>) -> bool| -> Vec<String> {
        going.iter().filter(|pod| of(pod)).map(|pod| pod.called()).collect()
    };
    let mut lines = Vec::new();
    let parallel = options.parallel.unwrap_or(PARALLEL).max(1);
    if going.is_empty() {
        lines.push(Line::new(Mark::Note, "no pod has to go: the node is only cordoned"));
    } else {
        let all: Vec<&Value> = going.iter().map(|pod| pod.0).collect();
        let text = format!(
            "{} {} evicted, at most {parallel} at a time: {}",
            counted(going.len(), "pod"),
            if going.len() == 1 { "is" } else { "are" },
            room::total(&all)
        );
        lines.push(Line::new(Mark::Change, text));
        lines.push(Line::new(Mark::Note, whose(desk, &going).await));
    }
    let count = |lot: Lot| pods.iter().filter(|pod| pod.lot() == lot).count();
    let (daemons, mirrors) = (count(Lot::Daemon), count(Lot::Mirror));
    if daemons + mirrors > 0 {
        let mut stay = Vec::new();
        if daemons > 0 {
            stay.push(format!("{} of DaemonSets", counted(daemons, "pod")));
        }
        if mirrors > 0 {
            stay.push(format!("{} of the node itself", counted(mirrors, "static pod")));
        }
        lines.push(Line::new(Mark::Note, format!("left on the node: {}", stay.join(", "))));
    }
    let live = |pod: &Pod<'_>| pod.lot() == Lot::Evicted;
    let unmanaged = names(&|pod| live(pod) && pod.owner().is_none());
    if !unmanaged.is_empty() {
        let who = named(&unmanaged, NAMES);
        lines.push(if options.force {
            Line::new(Mark::Warn, format!("no controller owns {who}: nothing replaces what is evicted there"))
        } else {
            let text = format!(
                "no controller owns {who}: nothing would replace what is evicted there (--force evicts all the same)"
            );
            Line::new(Mark::Stop, text)
        });
    }
    let local = names(&|pod| live(pod) && pod.has_empty_dir());
    if !local.is_empty() {
        let who = named(&local, NAMES);
        lines.push(if options.delete_emptydir_data {
            Line::new(Mark::Warn, format!("what lies in emptyDir volumes is lost: {who}"))
        } else {
            let text = format!(
                "what lies in emptyDir volumes would be lost: {who} (--delete-emptydir-data accepts that)"
            );
            Line::new(Mark::Stop, text)
        });
    }
    let held = names(&|pod| live(pod) && pod.is_held());
    if !held.is_empty() {
        let text =
            format!("asked not to be disrupted ({HELD}), evicted all the same: {}", named(&held, NAMES));
        lines.push(Line::new(Mark::Warn, text));
    }
    let critical = names(&|pod| live(pod) && pod.is_critical());
    if !critical.is_empty() {
        let text = format!("the cluster itself needs them: {}", named(&critical, NAMES));
        lines.push(Line::new(Mark::Warn, text));
    }
    let ending = names(&|pod| pod.is_ending());
    if !ending.is_empty() {
        let text = format!("ending already, only waited for: {}", named(&ending, NAMES));
        lines.push(Line::new(Mark::Note, text));
    }
    let also = going
        .iter()
        .map(|pod| {
            let object = pod.object(node);
            let access = rights::eviction(object.namespace.clone());
            Also {
                object,
                document: pod.0.clone(),
                facts: vec![("/spec/nodeName", "its node"), ("/metadata/ownerReferences", "its owner")],
                access: vec![access],
            }
        })
        .collect();
    Found { lines, also, ..Found::default() }
}

/// Says whose pods they are: the tenants, as far as namespaces tell, and the other namespaces.
async fn whose<R: Remote>(desk: &Desk<R>, going: &[Pod<'_>]) -> String {
    use std::collections::BTreeMap;
    let mut spaces: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in going {
        *spaces.entry(pod.namespace()).or_default() += 1;
    }
    let resource = Resource::new("", "namespaces");
    let labelled = desk.remote.list(&resource, None, "", "").await.unwrap_or_default();
    let mut tenants: BTreeMap<String, usize> = BTreeMap::new();
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for (space, pods) in &spaces {
        let labels = labelled
            .iter()
            .find(|one| text(one, "/metadata/name") == *space)
            .and_then(|one| one.pointer("/metadata/labels"));
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        match desk.tenants.of(space, label) {
            Some(tenant) => *tenants.entry(tenant.to_string()).or_default() += pods,
            None => *others.entry(space).or_default() += pods,
        }
    }
    let list = |all: Vec<(String, usize)>| {
        let names: Vec<String> = all.into_iter().map(|(name, pods)| format!("{name} ({pods})")).collect();
        named(&names, NAMES)
    };
    let mut said = Vec::new();
    if !tenants.is_empty() {
        said.push(format!("{}: {}", counted(tenants.len(), "tenant"), list(tenants.into_iter().collect())));
    }
    if !others.is_empty() {
        let others: Vec<(String, usize)> =
            others.into_iter().map(|(name, pods)| (name.to_owned(), pods)).collect();
        let what = if said.is_empty() { "namespace" } else { "other namespace" };
        said.push(format!("{}: {}", counted(others.len(), what), list(others)));
    }
    format!("they are of {}", said.join("; of "))
}
