//! How pods are reached, and by whom: services and network policies.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decode::Slim;
use super::wire::{Opt, Pairs, Str, Wire, as_str, share};
use super::workloads::{Selector, WireSelector, pods_of, selector, selector_text};
use super::{Cell, Column, Health, Kind, Meta, Pool, Shape};
use crate::identity::Text;

pub(super) fn kinds() -> Vec<Kind> {
    vec![services(), policies()]
}

fn words<'a>(parts: impl IntoIterator<Item = &'a Text>) -> Cell {
    let parts: Vec<&str> = parts.into_iter().map(|part| &**part).collect();
    if parts.is_empty() { Cell::Empty } else { Cell::Text(Text::from(parts.join(" "))) }
}

/// What is kept of a Service.
#[derive(Debug)]
pub struct Service {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: Text,
    /// Its address inside the cluster; `None` for one without.
    pub cluster_ip: Option<Text>,
    /// Its addresses outside.
    pub external: Box<[Text]>,
    /// Its ports: `80/TCP`, `443:30443/TCP`.
    pub ports: Box<[Text]>,
    /// How it finds its pods.
    pub selector: Selector,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec<'a> {
    #[serde(borrow, rename = "type")]
    kind: Opt<'a>,
    #[serde(borrow, rename = "clusterIP")]
    cluster_ip: Opt<'a>,
    #[serde(borrow)]
    external_name: Opt<'a>,
    #[serde(borrow, rename = "externalIPs")]
    external_ips: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    ports: Option<Vec<WirePort<'a>>>,
    #[serde(borrow)]
    selector: Option<Pairs<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePort<'a> {
    port: Option<i64>,
    node_port: Option<i64>,
    #[serde(borrow)]
    protocol: Opt<'a>,
}

impl WirePort<'_> {
    fn text(&self) -> String {
        let port = self.port.unwrap_or_default();
        let protocol = if as_str(&self.protocol).is_empty() { "TCP" } else { as_str(&self.protocol) };
        match self.node_port.filter(|port| *port != 0) {
            Some(node_port) => format!("{port}:{node_port}/{protocol}"),
            None => format!("{port}/{protocol}"),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BalancedStatus<'a> {
    #[serde(borrow)]
    load_balancer: Option<WireBalancer<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct WireBalancer<'a> {
    #[serde(borrow)]
    ingress: Option<Vec<WireAddress<'a>>>,
}

#[derive(Debug, Deserialize)]
struct WireAddress<'a> {
    #[serde(borrow)]
    hostname: Opt<'a>,
    #[serde(borrow)]
    ip: Opt<'a>,
}

impl BalancedStatus<'_> {
    pub(super) fn addresses(&self, pool: &mut Pool) -> Vec<Text> {
        let ingress = self.load_balancer.as_ref().and_then(|balancer| balancer.ingress.as_deref());
        ingress
            .unwrap_or_default()
            .iter()
            .filter_map(|address| share(&address.hostname, pool).or_else(|| share(&address.ip, pool)))
            .collect()
    }
}

impl Slim for Service {
    type Wire<'a> = Wire<'a, ServiceSpec<'a>, BalancedStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let mut external = wire.status.unwrap_or_default().addresses(pool);
        external.extend(spec.external_ips.iter().flatten().map(|ip| pool.share(ip.as_str())));
        external.extend(share(&spec.external_name, pool));
        let slim = Self {
            kind: share(&spec.kind, pool).unwrap_or_else(|| pool.share("ClusterIP")),
            cluster_ip: share(&spec.cluster_ip, pool).filter(|ip| &**ip != "None"),
            external: external.into(),
            ports: spec.ports.iter().flatten().map(|port| pool.share(&port.text())).collect(),
            selector: spec.selector.as_ref().map(|pairs| selector(pairs, pool)).unwrap_or_default(),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl Service {
    fn verdict(&self) -> (Health, Text) {
        if &*self.kind == "LoadBalancer" && self.external.is_empty() {
            (Health::Progressing, Text::from("waiting for a load balancer"))
        } else {
            (Health::Healthy, Text::from(""))
        }
    }
}

fn services() -> Kind {
    Kind::describe::<Service>("", "v1", "services", "Service")
        .about("an address for pods")
        .shorts(&["svc"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Status, "type", "how it is reached").priority(1), |row| Cell::Status {
            text: row.body.kind.clone(),
            health: row.body.verdict().0,
        })
        .column(Column::new(Shape::Text, "cluster-ip", "its address inside the cluster").priority(3), |row| {
            Cell::Text(row.body.cluster_ip.clone().unwrap_or_else(|| Text::from("None")))
        })
        .column(Column::new(Shape::Text, "external", "its addresses outside").priority(3), |row| {
            words(&row.body.external)
        })
        .column(Column::new(Shape::Text, "ports", "its ports").priority(2), |row| words(&row.body.ports))
        .column(Column::new(Shape::Text, "selector", "how it finds its pods").wide(), |row| {
            if row.body.selector.is_empty() {
                Cell::Empty
            } else {
                Cell::Text(Text::from(selector_text(&row.body.selector)))
            }
        })
        .health(|row| row.body.verdict())
        .links(|row| pods_of(&row, &row.body.selector))
        .done()
}

/// What is kept of a `NetworkPolicy`.
#[derive(Debug)]
pub struct NetworkPolicy {
    /// The pods that it is about; empty for all of the namespace.
    pub selector: Selector,
    /// Whether it narrows what comes in, and how many rules let something in.
    pub ingress: Option<usize>,
    /// Whether it narrows what goes out, and how many rules let something out.
    pub egress: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicySpec<'a> {
    #[serde(borrow)]
    pod_selector: Option<WireSelector<'a>>,
    #[serde(borrow)]
    policy_types: Option<Vec<Str<'a>>>,
    ingress: Option<Vec<IgnoredAny>>,
    egress: Option<Vec<IgnoredAny>>,
}

impl Slim for NetworkPolicy {
    type Wire<'a> = Wire<'a, PolicySpec<'a>, IgnoredAny>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let lists = |name: &str| match &spec.policy_types {
            Some(types) => types.iter().any(|policy| policy.as_str() == name),
            // Absent means ingress always, and egress where there are rules for it.
            None => name == "Ingress" || spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
        };
        let count = |rules: &Option<Vec<IgnoredAny>>| rules.as_ref().map_or(0, Vec::len);
        let slim = Self {
            ingress: lists("Ingress").then(|| count(&spec.ingress)),
            egress: lists("Egress").then(|| count(&spec.egress)),
            selector: spec.pod_selector.unwrap_or_default().keep(pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn policies() -> Kind {
    let rules = |rules: Option<usize>| match rules {
        None => "open".to_owned(),
        Some(0) => "closed".to_owned(),
        Some(1) => "1 rule".to_owned(),
        Some(many) => format!("{many} rules"),
    };
    Kind::describe::<NetworkPolicy>("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
        .about("who may talk to pods, and to whom they may talk")
        .singular("networkpolicy")
        .shorts(&["netpol"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Text, "pods", "the pods that it is about").priority(1), |row| {
            let text = selector_text(&row.body.selector);
            Cell::Text(Text::from(if text.is_empty() { "all".to_owned() } else { text }))
        })
        .column(Column::new(Shape::Text, "ingress", "what it lets in").priority(2), move |row| {
            Cell::Text(Text::from(rules(row.body.ingress)))
        })
        .column(Column::new(Shape::Text, "egress", "what it lets out").priority(2), move |row| {
            Cell::Text(Text::from(rules(row.body.egress)))
        })
        .links(|row| pods_of(&row, &row.body.selector))
        .done()
}
