//! Which nodes the scheduler would not put a pod on, and why: the hard rules apart from what is requested.
//!
//! Taints, node selectors and affinity, affinity and anti-affinity between pods, topology spread that may not be
//! broken, volumes that lie in a zone, host ports. What is only preferred is not looked at, and nor are the labels of
//! namespaces: a term with a namespace selector counts for all of them. Nothing here asks anybody, and only the
//! scheduler decides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::selector::{admits, items, label, selects, text};

/// What there is: nodes, the pods on them, and the volumes that pods claim.
#[derive(Debug, Default)]
pub struct Cluster<'a> {
    nodes: BTreeMap<&'a str, &'a Value>,
    /// The pods with the names of their nodes.
    pods: Vec<(&'a Value, &'a str)>,
    claims: &'a [Value],
    volumes: &'a [Value],
}

impl<'a> Cluster<'a> {
    /// Puts together what there is; of the pods those that count, which is not those that have ended or that go.
    pub fn new(nodes: &'a [Value], pods: impl IntoIterator<Item = &'a Value>) -> Self {
        let nodes = nodes.iter().map(|node| (text(node, "/metadata/name"), node)).collect();
        let pods = pods.into_iter().map(|pod| (pod, text(pod, "/spec/nodeName"))).collect();
        Self { nodes, pods, claims: &[], volumes: &[] }
    }

    /// Adds the volumes: `PersistentVolumeClaims` and `PersistentVolumes`.
    #[must_use]
    pub fn with_volumes(self, claims: &'a [Value], volumes: &'a [Value]) -> Self {
        Self { claims, volumes, ..self }
    }

    /// Returns the nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &'a Value> {
        self.nodes.values().copied()
    }

    /// Returns the pods with the names of their nodes.
    pub fn pods(&self) -> impl Iterator<Item = (&'a Value, &'a str)> {
        self.pods.iter().copied()
    }

    /// Puts a pod on a node, so that the next one is placed beside it.
    pub fn place(&mut self, pod: &'a Value, node: &'a str) {
        self.pods.push((pod, node));
    }

    /// Returns the value of a label of the node that a pod is on: the zone, the host.
    fn domain(&self, node: &str, key: &str) -> Option<&'a str> {
        self.nodes.get(node).and_then(|node| label(node, key))
    }
}

/// What a pod asks of the node that it is put on, worked out once for all nodes.
#[derive(Debug)]
pub struct Demands<'a> {
    pod: &'a Value,
    /// Claims of volumes with the terms of the nodes that reach them.
    volumes: Vec<(&'a str, &'a [Value])>,
    /// Nodes on which a host port is taken.
    taken: BTreeMap<&'a str, i64>,
    /// Domains that it must keep out of.
    apart: Vec<Domains<'a>>,
    /// Domains that it must be in.
    beside: Vec<Domains<'a>>,
    /// How evenly it must be spread.
    spread: Vec<Spread<'a>>,
}

/// Domains of a topology, such as zones, and why they count.
#[derive(Debug)]
struct Domains<'a> {
    key: &'a str,
    values: BTreeSet<&'a str>,
    why: String,
}

/// One constraint of topology spread, with the pods that are there.
#[derive(Debug)]
struct Spread<'a> {
    key: &'a str,
    /// By how many pods domains may differ.
    skew: i64,
    /// How many pods each domain has.
    counts: BTreeMap<&'a str, i64>,
    /// How many the emptiest has.
    least: i64,
    /// 1 where the pod counts itself.
    own: i64,
}

impl<'a> Demands<'a> {
    /// Works out what a pod demands.
    pub fn of(pod: &'a Value, cluster: &Cluster<'a>) -> Self {
        Self {
            pod,
            volumes: volumes(pod, cluster),
            taken: taken(pod, cluster),
            apart: apart(pod, cluster),
            beside: beside(pod, cluster),
            spread: items(pod, "/spec/topologySpreadConstraints")
                .iter()
                .filter(|one| text(one, "/whenUnsatisfiable") == "DoNotSchedule")
                .map(|one| spread(pod, one, cluster))
                .collect(),
        }
    }

    /// Says in a few words why the pod may not go to a node; `None` where nothing speaks against it.
    pub fn obstacle(&self, node: &Value) -> Option<String> {
        selector(self.pod, node)
            .or_else(|| affinity(self.pod, node).then(|| "its node affinity".to_owned()))
            .or_else(|| taint(self.pod, node))
            .or_else(|| self.volume(node))
            .or_else(|| self.port(node))
            .or_else(|| self.neighbour(node))
            .or_else(|| self.skewed(node))
    }

    fn volume(&self, node: &Value) -> Option<String> {
        let (claim, terms) = self.volumes.iter().find(|(_, terms)| !admits(terms, node))?;
        let zones: BTreeSet<&str> = terms
            .iter()
            .flat_map(|term| items(term, "/matchExpressions"))
            .filter(|one| text(one, "/key").ends_with("zone"))
            .flat_map(|one| items(one, "/values"))
            .filter_map(Value::as_str)
            .collect();
        Some(if zones.is_empty() {
            format!("volume {claim} lies elsewhere")
        } else {
            format!("volume {claim} lies in {}", zones.into_iter().collect::<Vec<_>>().join(", "))
        })
    }

    fn port(&self, node: &Value) -> Option<String> {
        let port = self.taken.get(text(node, "/metadata/name"))?;
        Some(format!("host port {port} is taken"))
    }

    fn neighbour(&self, node: &Value) -> Option<String> {
        let within = |one: &Domains<'_>| label(node, one.key).is_some_and(|value| one.values.contains(value));
        let near = self.apart.iter().find(|one| within(one));
        near.or_else(|| self.beside.iter().find(|one| !within(one))).map(|one| one.why.clone())
    }

    fn skewed(&self, node: &Value) -> Option<String> {
        self.spread.iter().find_map(|one| {
            let Some(domain) = label(node, one.key) else { return Some(format!("it has no {}", one.key)) };
            let there = one.counts.get(domain).copied().unwrap_or(0);
            let (skew, word) = (one.skew, short(one.key));
            (there + one.own - one.least > skew)
                .then(|| format!("topology spread: {word}s may differ by {skew} at most"))
        })
    }
}

/// Says which label of its node selector a pod misses on a node.
fn selector(pod: &Value, node: &Value) -> Option<String> {
    let wanted = pod.pointer("/spec/nodeSelector")?.as_object()?;
    let (key, value) = wanted.iter().find(|(key, value)| label(node, key) != value.as_str())?;
    Some(format!("node selector {key}={}", value.as_str().unwrap_or_default()))
}

/// Tells whether the required node affinity of a pod speaks against a node.
fn affinity(pod: &Value, node: &Value) -> bool {
    const REQUIRED: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    pod.pointer(REQUIRED).is_some_and(|required| !admits(items(required, "/nodeSelectorTerms"), node))
}

/// Names the first taint of a node that a pod does not tolerate.
fn taint(pod: &Value, node: &Value) -> Option<String> {
    let repelled = |taint: &&Value| {
        matches!(text(taint, "/effect"), "NoSchedule" | "NoExecute")
            && !items(pod, "/spec/tolerations").iter().any(|one| tolerates(one, taint))
    };
    let taint = items(node, "/spec/taints").iter().find(repelled)?;
    let (key, value) = (text(taint, "/key"), text(taint, "/value"));
    Some(if value.is_empty() { format!("taint {key}") } else { format!("taint {key}={value}") })
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let effect = text(toleration, "/effect");
    if !effect.is_empty() && effect != text(taint, "/effect") {
        return false;
    }
    let key = text(toleration, "/key");
    match text(toleration, "/operator") {
        // Without a key it tolerates everything.
        "Exists" => key.is_empty() || key == text(taint, "/key"),
        _ => key == text(taint, "/key") && text(toleration, "/value") == text(taint, "/value"),
    }
}

/// Finds the volumes of a pod that not every node reaches: those of its claims that are bound to one.
fn volumes<'a>(pod: &'a Value, cluster: &Cluster<'a>) -> Vec<(&'a str, &'a [Value])> {
    let named = |all: &'a [Value], name: &str, namespace: &str| {
        all.iter()
            .find(|one| text(one, "/metadata/name") == name && text(one, "/metadata/namespace") == namespace)
    };
    items(pod, "/spec/volumes")
        .iter()
        .map(|volume| text(volume, "/persistentVolumeClaim/claimName"))
        .filter(|claim| !claim.is_empty())
        .filter_map(|claim| {
            let bound = named(cluster.claims, claim, text(pod, "/metadata/namespace"))?;
            let volume = named(cluster.volumes, text(bound, "/spec/volumeName"), "")?;
            let terms = items(volume, "/spec/nodeAffinity/required/nodeSelectorTerms");
            (!terms.is_empty()).then_some((claim, terms))
        })
        .collect()
}

/// Returns the ports that a pod takes on its node: number, protocol, address.
fn host_ports(pod: &Value) -> impl Iterator<Item = (i64, &str, &str)> {
    items(pod, "/spec/containers").iter().flat_map(|container| items(container, "/ports")).filter_map(
        |port| {
            let number = port.get("hostPort")?.as_i64().filter(|number| *number > 0)?;
            let or = |value, default| if str::is_empty(value) { default } else { value };
            Some((number, or(text(port, "/protocol"), "TCP"), or(text(port, "/hostIP"), "0.0.0.0")))
        },
    )
}

/// Finds the nodes on which a host port of a pod is taken.
fn taken<'a>(pod: &Value, cluster: &Cluster<'a>) -> BTreeMap<&'a str, i64> {
    let wanted: Vec<_> = host_ports(pod).collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let clash = |(number, protocol, address): (i64, &str, &str)| {
        wanted.iter().any(|(other, also, at)| {
            (*other, *also) == (number, protocol) && (*at == address || [*at, address].contains(&"0.0.0.0"))
        })
    };
    let taken = |(other, node): (&'a Value, &'a str)| {
        host_ports(other).find(|one| clash(*one)).map(|(number, ..)| (node, number))
    };
    cluster.pods().filter_map(taken).collect()
}

const ANTI: &str = "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";
const NEAR: &str = "/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution";

/// Tells whether a term of the affinity of one pod means another one.
fn means(term: &Value, owner: &Value, other: &Value) -> bool {
    let (own, namespace) = (text(owner, "/metadata/namespace"), text(other, "/metadata/namespace"));
    let listed = items(term, "/namespaces");
    let within = term.get("namespaceSelector").is_some_and(|selector| !selector.is_null())
        || listed.iter().any(|one| one.as_str() == Some(namespace))
        || (listed.is_empty() && own == namespace);
    within && selects(term.get("labelSelector"), other)
}

/// Finds where a pod may not be: beside what it keeps away from, and beside what keeps away from it.
fn apart<'a>(pod: &'a Value, cluster: &Cluster<'a>) -> Vec<Domains<'a>> {
    let mut all: Vec<Domains<'a>> = items(pod, ANTI)
        .iter()
        .map(|term| {
            let key = text(term, "/topologyKey");
            let why = format!("its anti-affinity: not two in a {}", short(key));
            Domains { key, values: domains(term, pod, cluster), why }
        })
        .collect();
    for (other, node) in cluster.pods() {
        for term in items(other, ANTI).iter().filter(|term| means(term, other, pod)) {
            let key = text(term, "/topologyKey");
            let values: BTreeSet<&str> = cluster.domain(node, key).into_iter().collect();
            let name = format!("{}/{}", text(other, "/metadata/namespace"), text(other, "/metadata/name"));
            let known = all.iter().any(|one| one.key == key && values.is_subset(&one.values));
            if !known {
                all.push(Domains { key, values, why: format!("the anti-affinity of {name}") });
            }
        }
    }
    all
}

/// Finds where a pod must be: beside what it asks for. The first of its kind may be anywhere.
fn beside<'a>(pod: &'a Value, cluster: &Cluster<'a>) -> Vec<Domains<'a>> {
    let terms = items(pod, NEAR).iter().filter_map(|term| {
        let key = text(term, "/topologyKey");
        let values = domains(term, pod, cluster);
        let first = values.is_empty() && means(term, pod, pod);
        let why = format!("its affinity: what it wants beside it is in no such {}", short(key));
        (!first).then_some(Domains { key, values, why })
    });
    terms.collect()
}

/// Returns the domains in which there is a pod that a term means.
fn domains<'a>(term: &'a Value, owner: &Value, cluster: &Cluster<'a>) -> BTreeSet<&'a str> {
    let key = text(term, "/topologyKey");
    let meant = cluster.pods().filter(|(other, _)| means(term, owner, other));
    meant.filter_map(|(_, node)| cluster.domain(node, key)).collect()
}

/// Counts the pods of each domain, for one constraint of topology spread.
///
/// Also nodes that take no pods make a domain, unless the constraint honours taints: a node that is cordoned and empty
/// keeps the rest from being filled, which surprises many.
fn spread<'a>(pod: &'a Value, constraint: &'a Value, cluster: &Cluster<'a>) -> Spread<'a> {
    let key = text(constraint, "/topologyKey");
    let counts_node = |node: &Value| {
        let chosen = text(constraint, "/nodeAffinityPolicy") == "Ignore"
            || (selector(pod, node).is_none() && !affinity(pod, node));
        let let_in = text(constraint, "/nodeTaintsPolicy") != "Honor" || taint(pod, node).is_none();
        chosen && let_in
    };
    // The label by which the pods of one revision are told from those of the next.
    let alike = |other: &Value| {
        let keys = items(constraint, "/matchLabelKeys").iter().filter_map(Value::as_str);
        keys.into_iter().all(|key| label(pod, key).is_none() || label(pod, key) == label(other, key))
    };
    let meant = |other: &Value| {
        text(other, "/metadata/namespace") == text(pod, "/metadata/namespace")
            && text(other, "/metadata/deletionTimestamp").is_empty()
            && selects(constraint.get("labelSelector"), other)
            && alike(other)
    };
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for node in cluster.nodes().filter(|node| counts_node(node)) {
        if let Some(domain) = label(node, key) {
            counts.entry(domain).or_default();
        }
    }
    for (_, node) in cluster.pods().filter(|(other, _)| meant(other)) {
        let on = cluster.nodes.get(node).filter(|node| counts_node(node));
        if let Some(count) = on.and_then(|node| label(node, key)).and_then(|domain| counts.get_mut(domain)) {
            *count += 1;
        }
    }
    let number = |pointer: &str| constraint.pointer(pointer).and_then(Value::as_i64).unwrap_or(1);
    let few = i64::try_from(counts.len()).unwrap_or(i64::MAX) < number("/minDomains");
    let least = if few { 0 } else { counts.values().copied().min().unwrap_or(0) };
    Spread { key, skew: number("/maxSkew"), counts, least, own: i64::from(meant(pod)) }
}

/// Writes the key of a topology as people say it: `zone`, `node`.
fn short(key: &str) -> &str {
    match key {
        "kubernetes.io/hostname" => "node",
        key => key.rsplit('/').next().unwrap_or(key),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ZONE: &str = "topology.kubernetes.io/zone";
    const HOST: &str = "kubernetes.io/hostname";

    fn node(name: &str, zone: &str) -> Value {
        json!({ "metadata": { "name": name, "labels": { ZONE: zone, HOST: name } }, "spec": {} })
    }

    fn pod(name: &str, node: &str) -> Value {
        json!({
            "metadata": { "namespace": "shop", "name": name, "labels": { "app": "api" } },
            "spec": { "nodeName": node, "containers": [] },
        })
    }

    /// Why a pod may not go to each of three nodes, two in zone a and one in zone b.
    fn obstacles(pod: &Value, others: &[Value]) -> [Option<String>; 3] {
        let nodes = [node("n-1", "a"), node("n-2", "a"), node("n-3", "b")];
        let cluster = Cluster::new(&nodes, others);
        let demands = Demands::of(pod, &cluster);
        [0, 1, 2].map(|at| demands.obstacle(&nodes[at]))
    }

    #[test]
    fn selectors_affinity_and_taints_are_named() {
        let mut one = pod("a", "");
        assert_eq!(obstacles(&one, &[]), [None, None, None]);
        one["spec"]["nodeSelector"] = json!({ ZONE: "b" });
        let no = Some("node selector topology.kubernetes.io/zone=b".to_owned());
        assert_eq!(obstacles(&one, &[]), [no.clone(), no, None]);
        let mut one = pod("a", "");
        one["spec"]["affinity"] = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [{ "key": HOST, "operator": "NotIn", "values": ["n-2"] }] }] } } });
        assert_eq!(obstacles(&one, &[]), [None, Some("its node affinity".to_owned()), None]);

        let mut tainted = node("n-1", "a");
        tainted["spec"]["taints"] = json!([{ "key": "spot", "value": "yes", "effect": "NoSchedule" },
            { "key": "soft", "effect": "PreferNoSchedule" }]);
        let mut one = pod("a", "");
        assert_eq!(taint(&one, &tainted), Some("taint spot=yes".to_owned()));
        one["spec"]["tolerations"] = json!([{ "key": "spot", "value": "yes", "effect": "NoSchedule" }]);
        assert_eq!(taint(&one, &tainted), None);
    }

    #[test]
    fn pods_that_keep_apart_keep_apart_both_ways() {
        let apart = |key: &str| {
            json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
                { "topologyKey": key, "labelSelector": { "matchLabels": { "app": "api" } } }] } })
        };
        let mut one = pod("a", "");
        one["spec"]["affinity"] = apart(HOST);
        let others = [pod("b", "n-1")];
        assert_eq!(
            obstacles(&one, &others),
            [Some("its anti-affinity: not two in a node".to_owned()), None, None]
        );
        one["spec"]["affinity"] = apart(ZONE);
        let no = Some("its anti-affinity: not two in a zone".to_owned());
        assert_eq!(obstacles(&one, &others), [no.clone(), no, None]);
        // The other way round: the one that is there will not have it.
        let mut there = pod("b", "n-3");
        there["spec"]["affinity"] = apart(HOST);
        assert_eq!(
            obstacles(&pod("a", ""), std::slice::from_ref(&there)),
            [None, None, Some("the anti-affinity of shop/b".to_owned())]
        );
        // What is in another namespace is not meant, unless it is named.
        there["metadata"]["namespace"] = json!("other");
        assert_eq!(obstacles(&pod("a", ""), &[there]), [None, None, None]);
    }

    #[test]
    fn pods_that_want_company_go_where_it_is() {
        let mut one = pod("a", "");
        one["spec"]["affinity"] = json!({ "podAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
            { "topologyKey": ZONE, "labelSelector": { "matchLabels": { "app": "cache" } } }] } });
        let mut cache = pod("cache", "n-3");
        cache["metadata"]["labels"] = json!({ "app": "cache" });
        let no = Some("its affinity: what it wants beside it is in no such zone".to_owned());
        assert_eq!(obstacles(&one, &[cache]), [no.clone(), no.clone(), None]);
        assert_eq!(obstacles(&one, &[]), [no.clone(), no.clone(), no]);
        // The first of those that want each other.
        one["metadata"]["labels"] = json!({ "app": "cache" });
        assert_eq!(obstacles(&one, &[]), [None, None, None]);
    }

    #[test]
    fn a_spread_counts_the_domains_that_the_pod_may_be_in() {
        let mut one = pod("a", "");
        one["spec"]["topologySpreadConstraints"] = json!([{ "maxSkew": 1, "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": { "matchLabels": { "app": "api" } } }]);
        let no = Some("topology spread: zones may differ by 1 at most".to_owned());
        assert_eq!(obstacles(&one, &[pod("b", "n-1")]), [no.clone(), no.clone(), None]);
        assert_eq!(obstacles(&one, &[pod("b", "n-1"), pod("c", "n-3")]), [None, None, None]);
        // One domain alone is no difference; too few domains count as an empty one.
        one["spec"]["nodeSelector"] = json!({ ZONE: "a" });
        let elsewhere = Some("node selector topology.kubernetes.io/zone=a".to_owned());
        assert_eq!(obstacles(&one, &[pod("b", "n-1")]), [None, None, elsewhere.clone()]);
        one["spec"]["topologySpreadConstraints"][0]["minDomains"] = json!(2);
        assert_eq!(obstacles(&one, &[pod("b", "n-1")]), [no.clone(), no, elsewhere]);
        // What is only preferred stops nothing.
        one["spec"]["topologySpreadConstraints"][0]["whenUnsatisfiable"] = json!("ScheduleAnyway");
        assert_eq!(obstacles(&one, &[pod("b", "n-1")])[0], None);
    }

    #[test]
    fn volumes_hold_a_pod_in_their_zone_and_host_ports_off_a_node() {
        let mut one = pod("db-0", "");
        one["spec"]["volumes"] =
            json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data-db-0" } }]);
        let claims = [
            json!({ "metadata": { "namespace": "shop", "name": "data-db-0" }, "spec": { "volumeName": "pv-1" } }),
        ];
        let volumes = [json!({ "metadata": { "name": "pv-1" }, "spec": { "nodeAffinity": { "required": {
            "nodeSelectorTerms": [{ "matchExpressions": [{ "key": ZONE, "operator": "In", "values": ["a"] }] }] } } } })];
        let nodes = [node("n-1", "a"), node("n-3", "b")];
        let cluster = Cluster::new(&nodes, &[]).with_volumes(&claims, &volumes);
        let demands = Demands::of(&one, &cluster);
        assert_eq!(demands.obstacle(&nodes[0]), None);
        assert_eq!(demands.obstacle(&nodes[1]), Some("volume data-db-0 lies in a".to_owned()));

        let port = |name: &str, node: &str, address: &str| {
            let mut pod = pod(name, node);
            pod["spec"]["containers"] = json!([{ "ports": [{ "hostPort": 8080, "hostIP": address }] }]);
            pod
        };
        let others = [port("b", "n-1", ""), port("c", "n-2", "10.0.0.2")];
        let taken = Some("host port 8080 is taken".to_owned());
        assert_eq!(obstacles(&port("a", "", ""), &others), [taken.clone(), taken.clone(), None]);
        assert_eq!(obstacles(&port("a", "", "10.0.0.1"), &others), [taken, None, None]);
    }
}
