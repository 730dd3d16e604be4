//! Names of the platform in the world: ingresses with their hosts, certificates and records, and `ExternalDNS`'s
//! endpoints (contracts 8.3).
//!
//! Whether a record exists is not to be seen in the cluster, only what `ExternalDNS` would make: who owns a record
//! stands in TXT records. So nothing here says that a name resolves.

use jiff::Timestamp;
use serde::Deserialize;

use super::certificates::{self, Certificate};
use super::decode::Slim;
use super::kind::Row;
use super::network::BalancedStatus;
use super::wire::{Opt, Pairs, Str, Wire, as_str, share};
use super::{Cell, Column, Health, Kind, Lens, Link, Meta, Object, Pool, Shape};
use crate::identity::{Resource, Text};

pub(super) fn kinds() -> Vec<Kind> {
    vec![ingresses(), endpoints()]
}

fn words<'a>(parts: impl IntoIterator<Item = &'a Text>) -> Cell {
    let parts: Vec<&str> = parts.into_iter().map(|part| &**part).collect();
    if parts.is_empty() { Cell::Empty } else { Cell::Text(Text::from(parts.join(" "))) }
}

/// The prefix of `ExternalDNS` 0.22 and later.
const PREFIX: &str = "external-dns.kubernetes.io/";
/// The prefix before: one of them is read, never both, as `--annotation-prefix` says.
const OLD_PREFIX: &str = "external-dns.alpha.kubernetes.io/";

/// What the annotations of one prefix ask of `ExternalDNS`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The names.
    pub names: Box<[Text]>,
    /// Where they lead to; empty for the object's own addresses.
    pub targets: Box<[Text]>,
    /// How long a record may be kept, in seconds, as it is written.
    pub ttl: Option<Text>,
    /// Whether another controller was named: then nothing is made.
    pub foreign: bool,
    /// Which names count: `annotation-only`, `defined-hosts-only`; `None` for both.
    pub source: Option<Text>,
}

fn list(value: Option<&str>, pool: &mut Pool) -> Box<[Text]> {
    let parts = value.into_iter().flat_map(|value| value.split(','));
    parts.map(str::trim).filter(|part| !part.is_empty()).map(|part| pool.share(part)).collect()
}

impl Asked {
    fn read(annotations: &Pairs<'_>, prefix: &str, pool: &mut Pool) -> Option<Self> {
        let get = |key: &str| annotations.get(&format!("{prefix}{key}"));
        annotations.0.iter().any(|(key, _)| key.as_str().starts_with(prefix)).then(|| Self {
            names: list(get("hostname"), pool),
            targets: list(get("target"), pool),
            ttl: get("ttl").map(|ttl| pool.share(ttl)),
            foreign: get("controller").is_some_and(|controller| controller != "dns-controller"),
            source: get("ingress-hostname-source").map(|source| pool.share(source)),
        })
    }
}

/// What TLS is ended with for some hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The hosts.
    pub hosts: Box<[Text]>,
    /// The Secret with the certificate; `None` for the controller's own.
    pub secret: Option<Text>,
}

/// What is kept of an Ingress.
#[derive(Debug)]
pub struct Ingress {
    /// Its class.
    pub class: Option<Text>,
    /// The hosts that it answers for.
    pub hosts: Box<[Text]>,
    /// The services that it leads to, without repetitions.
    pub services: Box<[Text]>,
    /// Its addresses.
    pub addresses: Box<[Text]>,
    /// How it ends TLS; empty where it does not.
    pub tls: Box<[Tls]>,
    /// The Secrets whose certificates it serves.
    pub tls_secrets: Box<[Text]>,
    /// What it asks of `ExternalDNS`, by the present prefix.
    pub asked: Option<Asked>,
    /// The same by the prefix before.
    pub asked_before: Option<Asked>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IngressSpec<'a> {
    #[serde(borrow)]
    ingress_class_name: Opt<'a>,
    #[serde(borrow)]
    default_backend: Option<WireBackend<'a>>,
    #[serde(borrow)]
    rules: Option<Vec<WireRule<'a>>>,
    #[serde(borrow)]
    tls: Option<Vec<WireTls<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTls<'a> {
    #[serde(borrow)]
    hosts: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    secret_name: Opt<'a>,
}

#[derive(Debug, Deserialize)]
struct WireRule<'a> {
    #[serde(borrow)]
    host: Opt<'a>,
    #[serde(borrow)]
    http: Option<WireHttp<'a>>,
}

#[derive(Debug, Deserialize)]
struct WireHttp<'a> {
    #[serde(borrow)]
    paths: Option<Vec<WirePath<'a>>>,
}

#[derive(Debug, Deserialize)]
struct WirePath<'a> {
    #[serde(borrow)]
    backend: Option<WireBackend<'a>>,
}

#[derive(Debug, Deserialize)]
struct WireBackend<'a> {
    #[serde(borrow)]
    service: Option<WireService<'a>>,
}

#[derive(Debug, Deserialize)]
struct WireService<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
}

impl Slim for Ingress {
    type Wire<'a> = Wire<'a, IngressSpec<'a>, BalancedStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let annotations = wire.metadata.annotations();
        let spec = wire.spec.unwrap_or_default();
        let rules = spec.rules.as_deref().unwrap_or_default();
        let paths = rules.iter().filter_map(|rule| rule.http.as_ref()?.paths.as_ref()).flatten();
        let backends = paths.filter_map(|path| path.backend.as_ref()).chain(&spec.default_backend);
        let mut services: Vec<Text> =
            backends.filter_map(|backend| share(&backend.service.as_ref()?.name, pool)).collect();
        services.sort_unstable();
        services.dedup();
        let mut hosts: Vec<Text> = Vec::new();
        for host in rules.iter().filter_map(|rule| share(&rule.host, pool)) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let tls = spec.tls.iter().flatten().map(|tls| Tls {
            hosts: tls.hosts.iter().flatten().map(|host| pool.share(host.as_str())).collect(),
            secret: share(&tls.secret_name, pool),
        });
        let tls: Box<[Tls]> = tls.collect();
        let slim = Self {
            class: share(&spec.ingress_class_name, pool),
            hosts: hosts.into(),
            services: services.into(),
            addresses: wire.status.unwrap_or_default().addresses(pool).into(),
            tls_secrets: tls.iter().filter_map(|tls| tls.secret.clone()).collect(),
            tls,
            asked: Asked::read(&annotations, PREFIX, pool),
            asked_before: Asked::read(&annotations, OLD_PREFIX, pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

/// A record that `ExternalDNS` would make of an Ingress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name.
    pub name: Text,
    /// `A`, `AAAA` or `CNAME`.
    pub kind: &'static str,
    /// Where it leads to.
    pub target: Text,
}

impl Ingress {
    fn verdict(&self) -> (Health, Text) {
        if self.addresses.is_empty() {
            (Health::Progressing, Text::from("has no address yet"))
        } else {
            (Health::Healthy, Text::from(""))
        }
    }

    /// Returns the records that `ExternalDNS` would make: for each name and target one, of the type that the target asks
    /// for. None where another controller is named, and where there is no target yet.
    pub fn records(&self) -> Vec<Record> {
        let asked = self.asked.as_ref().or(self.asked_before.as_ref());
        if asked.is_some_and(|asked| asked.foreign) {
            return Vec::new();
        }
        let source = asked.and_then(|asked| asked.source.as_deref());
        let defined = self.hosts.iter().chain(self.tls.iter().flat_map(|tls| &tls.hosts));
        let annotated = asked.into_iter().flat_map(|asked| &asked.names);
        let mut names: Vec<&Text> = Vec::new();
        let wanted = defined
            .filter(|_| source != Some("annotation-only"))
            .chain(annotated.filter(|_| source != Some("defined-hosts-only")));
        for name in wanted {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let own = asked.map(|asked| &asked.targets).filter(|targets| !targets.is_empty());
        let targets = own.unwrap_or(&self.addresses);
        let record = |name: &Text, target: &Text| Record {
            name: name.clone(),
            kind: match target.parse() {
                Ok(std::net::IpAddr::V4(_)) => "A",
                Ok(std::net::IpAddr::V6(_)) => "AAAA",
                Err(_) => "CNAME",
            },
            target: target.clone(),
        };
        names.iter().flat_map(|name| targets.iter().map(move |target| record(name, target))).collect()
    }

    /// Says what `ExternalDNS` would do, in a few words.
    fn record_text(&self) -> Option<String> {
        if self.asked.as_ref().or(self.asked_before.as_ref()).is_some_and(|asked| asked.foreign) {
            return Some("left to another controller".to_owned());
        }
        let records = self.records();
        let first = records.first()?;
        let mut names: Vec<&Text> = records.iter().map(|record| &record.name).collect();
        names.dedup();
        let more = if names.len() > 1 { format!(" ({} names)", names.len()) } else { String::new() };
        // Only one of the prefixes is read, and which is not to be seen from here.
        let old = if self.asked.is_none() && self.asked_before.is_some() {
            "; asked for by the prefix before 0.22"
        } else {
            ""
        };
        Some(format!("{} {}{more}{old}", first.kind, first.target))
    }
}

impl Row<'_, Ingress> {
    /// The certificates that it ends TLS with, as far as cert-manager keeps them.
    fn certificates(&self) -> impl Iterator<Item = (&Text, Option<&Object>)> {
        let namespace = self.meta().namespace.as_deref();
        self.body.tls.iter().filter_map(|tls| tls.secret.as_ref()).map(move |secret| {
            let kept = certificates::kept_in(secret, namespace, self.lens).next();
            (secret, kept.map(|object| &**object))
        })
    }

    /// The certificate that ends first, and when.
    fn first_to_end(&self) -> Option<(&Object, Timestamp)> {
        self.certificates()
            .filter_map(|(_, object)| Some((object?, object?.body::<Certificate>()?.ends?)))
            .min_by_key(|(_, ends)| *ends)
    }

    /// Says how it is: what its certificates suffer from, it suffers from.
    fn verdict(&self) -> (Health, Text) {
        let own = self.body.verdict();
        let worst = self
            .certificates()
            .filter_map(|(_, object)| Some((object?.body::<Certificate>()?, &object?.meta.name)))
            .map(|(body, name)| (body.verdict(self.lens.now), name))
            .filter(|((health, _), _)| *health >= Health::Warning)
            .max_by_key(|((health, _), _)| *health);
        match worst {
            Some(((health, why), name)) if health > own.0 => {
                (health, Text::from(format!("certificate {name}: {why}")))
            }
            _ => own,
        }
    }
}

/// The link to a Secret or to the Certificate that is kept in it.
fn certificate_cell(row: &Row<'_, Ingress>) -> Cell {
    let namespace = row.meta().namespace.as_ref();
    let to = |object: &Object, lens: &Lens<'_>| Cell::Link {
        text: object.meta.name.clone(),
        to: lens.object(&certificates::certificates(), namespace, &object.meta.name),
    };
    if let Some((object, _)) = row.first_to_end() {
        return to(object, row.lens);
    }
    match row.certificates().next() {
        Some((_, Some(object))) => to(object, row.lens),
        Some((secret, None)) => Cell::Text(secret.clone()),
        None if row.body.tls.is_empty() => Cell::Empty,
        None => Cell::Text(Text::from("the controller's own")),
    }
}

fn ingresses() -> Kind {
    Kind::describe::<Ingress>("networking.k8s.io", "v1", "ingresses", "Ingress")
        .about("hosts and paths that lead to services, with their certificates and records")
        .shorts(&["ing", "names", "hosts"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Text, "hosts", "the hosts that it answers for").priority(1), |row| {
            words(&row.body.hosts)
        })
        .column(
            Column::new(Shape::Link, "certificate", "the certificate that it ends TLS with")
                .priority(2)
                .joined(),
            |row| certificate_cell(&row),
        )
        .column(Column::new(Shape::Age, "expires", "when its certificate ends").priority(2).joined(), |row| {
            match (row.first_to_end(), row.body.tls.is_empty()) {
                (Some((_, ends)), _) => Cell::Age(ends),
                (None, true) => Cell::Empty,
                (None, false) => Cell::Unknown,
            }
        })
        .column(Column::new(Shape::Text, "services", "where it leads to").priority(3), |row| {
            words(&row.body.services)
        })
        .column(Column::new(Shape::Text, "address", "where it is reached").priority(4), |row| {
            words(&row.body.addresses)
        })
        .column(Column::new(Shape::Text, "class", "which controller serves it").wide(), |row| {
            row.body.class.clone().map_or(Cell::Empty, Cell::Text)
        })
        .column(
            Column::new(Shape::Text, "record", "the DNS record that ExternalDNS would make").wide(),
            |row| row.body.record_text().map_or(Cell::Empty, |text| Cell::Text(Text::from(text))),
        )
        .column(Column::new(Shape::Text, "tls", "whether it ends TLS").wide(), |row| {
            Cell::Text(Text::from(if row.body.tls.is_empty() { "no" } else { "yes" }))
        })
        .column(Column::new(Shape::Text, "secret", "the Secrets that it ends TLS with").wide(), |row| {
            words(row.body.tls.iter().filter_map(|tls| tls.secret.as_ref()))
        })
        .column(
            Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(4).joined(),
            |row| match row.verdict() {
                (health, why) if health > Health::Idle && !why.is_empty() => Cell::Text(why),
                _ => Cell::Empty,
            },
        )
        .needs(&[("cert-manager.io", "certificates")])
        .health(|row| row.verdict())
        .links(|row| {
            let services = Resource::new("", "services");
            let namespace = row.meta().namespace.as_ref();
            let to = |name| Link::one("service", row.lens.object(&services, namespace, name));
            let mut links: Vec<Link> = row.body.services.iter().map(to).collect();
            for (secret, object) in row.certificates() {
                if let Some(object) = object {
                    let to = row.lens.object(&certificates::certificates(), namespace, &object.meta.name);
                    links.push(Link::one("certificate", to));
                }
                let secrets = Resource::new("", "secrets");
                if row.lens.kinds.get(&secrets).is_some() {
                    links.push(Link::one("secret", row.lens.object(&secrets, namespace, secret)));
                }
            }
            links
        })
        .done()
}

/// A DNS record that is asked for: its name, its type and its targets.
pub type DnsRecord = (Text, Text, Box<[Text]>);

/// What is kept of a `DNSEndpoint`.
#[derive(Debug)]
pub struct Endpoint {
    /// The records that it asks for: name, type, targets.
    pub records: Box<[DnsRecord]>,
    /// The generation that it is.
    pub generation: Option<i64>,
    /// The generation that `ExternalDNS` has seen.
    pub seen: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct EndpointSpec<'a> {
    #[serde(borrow)]
    endpoints: Option<Vec<WireEndpoint<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEndpoint<'a> {
    #[serde(borrow)]
    dns_name: Opt<'a>,
    #[serde(borrow)]
    record_type: Opt<'a>,
    #[serde(borrow)]
    targets: Option<Vec<Str<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointStatus {
    observed_generation: Option<i64>,
}

impl Slim for Endpoint {
    type Wire<'a> = Wire<'a, EndpointSpec<'a>, EndpointStatus>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let generation = wire.metadata.generation;
        let endpoints = wire.spec.unwrap_or_default().endpoints.unwrap_or_default();
        let record = |one: &WireEndpoint<'_>| {
            let targets = one.targets.iter().flatten().map(|target| pool.share(target.as_str())).collect();
            (pool.share(as_str(&one.dns_name)), pool.share(as_str(&one.record_type)), targets)
        };
        let slim = Self {
            records: endpoints.iter().map(record).collect(),
            generation,
            seen: wire.status.unwrap_or_default().observed_generation,
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl Endpoint {
    fn verdict(&self) -> (Health, Text) {
        match (self.seen, self.generation) {
            (Some(seen), Some(generation)) if seen >= generation => (Health::Healthy, Text::from("")),
            (Some(_), None) => (Health::Healthy, Text::from("")),
            (Some(_), Some(_)) => {
                (Health::Progressing, Text::from("ExternalDNS has not seen its latest change"))
            }
            (None, _) => (Health::Unknown, Text::from("ExternalDNS has not said that it has seen it")),
        }
    }
}

fn endpoints() -> Kind {
    Kind::describe::<Endpoint>("externaldns.k8s.io", "v1alpha1", "dnsendpoints", "DNSEndpoint")
        .about("DNS records that ExternalDNS is asked for")
        .namespaced()
        .name()
        .column(Column::new(Shape::Status, "status", "whether ExternalDNS has seen it").priority(1), |row| {
            let health = row.body.verdict().0;
            let word = match health {
                Health::Healthy => "Seen",
                Health::Progressing => "Changed",
                _ => "Unknown",
            };
            Cell::Status { text: Text::from(word), health }
        })
        .column(Column::new(Shape::Text, "names", "the names").priority(1), |row| {
            words(row.body.records.iter().map(|(name, ..)| name))
        })
        .column(Column::new(Shape::Text, "types", "the types of the records").priority(3), |row| {
            words(row.body.records.iter().map(|(_, kind, _)| kind))
        })
        .column(Column::new(Shape::Text, "targets", "where they lead to").priority(2), |row| {
            words(row.body.records.iter().flat_map(|(_, _, targets)| targets))
        })
        .health(|row| row.body.verdict())
        .done()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::fixtures::{Cluster, ago, meta};

    fn ingress(annotations: Value) -> Value {
        let mut meta = meta("shop/checkout");
        meta["annotations"] = annotations;
        json!({
            "metadata": meta,
            "spec": {"tls": [{"hosts": ["a.example.com"], "secretName": "a-tls"}], "rules": [{"host": "a.example.com"}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}},
        })
    }

    fn records(annotations: Value) -> Vec<String> {
        let object = Cluster::new().decode("ingresses", ingress(annotations));
        let records = object.body::<Ingress>().unwrap().records();
        records.iter().map(|record| format!("{} {} {}", record.name, record.kind, record.target)).collect()
    }

    // contracts 8.3.
    #[test]
    fn external_dns_makes_records_of_hosts_and_annotations_and_only_where_it_is_meant() {
        assert_eq!(records(json!({})), ["a.example.com CNAME lb.example.com"]);
        let new = |key: &str, value: &str| json!({format!("{PREFIX}hostname"): "b.example.com, c.example.com", format!("{PREFIX}{key}"): value});
        assert_eq!(
            records(new("target", "192.0.2.1,2001:db8::1")),
            [
                "a.example.com A 192.0.2.1",
                "a.example.com AAAA 2001:db8::1",
                "b.example.com A 192.0.2.1",
                "b.example.com AAAA 2001:db8::1",
                "c.example.com A 192.0.2.1",
                "c.example.com AAAA 2001:db8::1",
            ]
        );
        assert_eq!(records(new("ingress-hostname-source", "annotation-only")).len(), 2);
        assert_eq!(records(new("ingress-hostname-source", "defined-hosts-only")).len(), 1);
        assert_eq!(records(new("controller", "other")), [""; 0]);
        assert_eq!(records(new("controller", "dns-controller")).len(), 3);
    }

    #[test]
    fn the_prefix_before_is_told_apart() {
        let object = Cluster::new()
            .decode("ingresses", ingress(json!({format!("{OLD_PREFIX}hostname"): "a.example.com"})));
        let text = object.body::<Ingress>().unwrap().record_text().unwrap();
        assert_eq!(text, "CNAME lb.example.com; asked for by the prefix before 0.22");
    }

    #[test]
    fn an_ingress_shows_its_certificate_and_suffers_with_it() {
        let mut cluster = Cluster::new();
        let certificate = |left: i64| {
            json!({
                "metadata": meta("shop/front"), "spec": {"secretName": "a-tls", "issuerRef": {"name": "x"}},
                "status": {"notAfter": ago(-left), "renewalTime": ago(86_400 * 30 - left), "conditions": [{"type": "Ready", "status": "True"}]},
            })
        };
        cluster.list("ingresses", vec![ingress(json!({}))]);
        let kind = |cluster: &Cluster, column: &str| {
            let kind = cluster.kinds.find("names").unwrap();
            let object = cluster.object("ingresses", Some("shop"), "checkout").clone();
            kind.cell(&object, kind.column(column).unwrap(), &cluster.lens())
        };
        // cert-manager is not there, or does not keep it: it is named, and when it ends is unknown.
        assert_eq!(kind(&cluster, "certificate"), Cell::Text(Text::from("a-tls")));
        assert_eq!(kind(&cluster, "expires"), Cell::Unknown);
        cluster.list("certificates", vec![certificate(86_400 * 60)]);
        assert!(matches!(kind(&cluster, "certificate"), Cell::Link { text, .. } if &*text == "front"));
        assert_eq!(kind(&cluster, "expires"), Cell::Age(ago(-86_400 * 60).parse().unwrap()));
        assert_eq!(kind(&cluster, "why"), Cell::Empty);
        cluster.list("certificates", vec![certificate(-60)]);
        assert_eq!(kind(&cluster, "why"), Cell::Text(Text::from("certificate front: ended 60s ago")));
    }
}
