//! Who issues certificates: issuers of a namespace and of the cluster.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Condition, GROUP, certificates, text, why};
use crate::identity::Text;
use crate::kinds::decode::Slim;
use crate::kinds::wire::{Opt, Wire, WireCondition, as_str, share};
use crate::kinds::{Cell, Column, Health, Kind, Link, Meta, Pool, Shape};

/// What is kept of an Issuer or a `ClusterIssuer`.
#[derive(Debug)]
pub struct Issuer {
    /// What it is: `ACME`, `CA`, `SelfSigned`, `Vault`, `Venafi`.
    pub kind: &'static str,
    /// The address of the authority.
    pub server: Option<Text>,
    /// The address that the authority writes to; that of the account where it says so.
    pub email: Option<Text>,
    /// How names are proven: `DNS-01 route53 zone Z0123`, `HTTP-01 nginx`.
    pub solvers: Box<[Text]>,
    /// Whether it can issue.
    pub ready: Option<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kinds) struct IssuerSpec<'a> {
    #[serde(borrow)]
    acme: Option<WireAcme<'a>>,
    ca: Option<IgnoredAny>,
    self_signed: Option<IgnoredAny>,
    #[serde(borrow)]
    vault: Option<WireServer<'a>>,
    venafi: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
struct WireServer<'a> {
    #[serde(borrow)]
    server: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::kinds) struct WireAcme<'a> {
    #[serde(borrow)]
    server: Opt<'a>,
    #[serde(borrow)]
    email: Opt<'a>,
    #[serde(borrow)]
    solvers: Option<Vec<WireSolver<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
struct WireSolver<'a> {
    #[serde(borrow)]
    dns01: Option<WireDns<'a>>,
    #[serde(borrow)]
    http01: Option<WireHttp<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDns<'a> {
    #[serde(borrow)]
    route53: Option<WireRoute53<'a>>,
    #[serde(rename = "cloudDNS")]
    cloud_dns: Option<IgnoredAny>,
    #[serde(rename = "azureDNS")]
    azure_dns: Option<IgnoredAny>,
    cloudflare: Option<IgnoredAny>,
    rfc2136: Option<IgnoredAny>,
    webhook: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
struct WireRoute53<'a> {
    #[serde(borrow, rename = "hostedZoneID")]
    zone: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct WireHttp<'a> {
    #[serde(borrow)]
    ingress: Option<WireIngressSolver<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireIngressSolver<'a> {
    #[serde(borrow)]
    ingress_class_name: Opt<'a>,
    #[serde(borrow)]
    class: Opt<'a>,
}

impl WireSolver<'_> {
    fn text(&self) -> String {
        if let Some(dns) = &self.dns01 {
            let named = [
                (dns.cloud_dns.is_some(), "Cloud DNS"),
                (dns.azure_dns.is_some(), "Azure DNS"),
                (dns.cloudflare.is_some(), "Cloudflare"),
                (dns.rfc2136.is_some(), "RFC 2136"),
                (dns.webhook.is_some(), "webhook"),
            ];
            return match &dns.route53 {
                Some(route53) if !as_str(&route53.zone).is_empty() => {
                    format!("DNS-01 route53 zone {}", as_str(&route53.zone))
                }
                Some(_) => "DNS-01 route53".to_owned(),
                None => {
                    let name = named.iter().find(|(is, _)| *is).map_or("", |(_, name)| name);
                    format!("DNS-01 {name}").trim_end().to_owned()
                }
            };
        }
        let ingress = self.http01.as_ref().and_then(|http| http.ingress.as_ref());
        let class = ingress.map_or("", |ingress| match as_str(&ingress.ingress_class_name) {
            "" => as_str(&ingress.class),
            class => class,
        });
        format!("HTTP-01 {class}").trim_end().to_owned()
    }
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::kinds) struct IssuerStatus<'a> {
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
    #[serde(borrow)]
    acme: Option<WireAccount<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAccount<'a> {
    #[serde(borrow)]
    last_registered_email: Opt<'a>,
}

impl Slim for Issuer {
    type Wire<'a> = Wire<'a, IssuerSpec<'a>, IssuerStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let acme = spec.acme.as_ref();
        let account = status.acme.as_ref().and_then(|account| share(&account.last_registered_email, pool));
        let kinds = [
            (acme.is_some(), "ACME"),
            (spec.ca.is_some(), "CA"),
            (spec.self_signed.is_some(), "SelfSigned"),
            (spec.vault.is_some(), "Vault"),
            (spec.venafi.is_some(), "Venafi"),
        ];
        let server = acme.map(|acme| &acme.server).or(spec.vault.as_ref().map(|vault| &vault.server));
        let slim = Self {
            kind: kinds.iter().find(|(is, _)| *is).map_or("?", |(_, kind)| kind),
            server: server.and_then(|server| share(server, pool)),
            email: account.or_else(|| acme.and_then(|acme| share(&acme.email, pool))),
            solvers: acme
                .and_then(|acme| acme.solvers.as_ref())
                .into_iter()
                .flatten()
                .map(|solver| pool.share(&solver.text()))
                .collect(),
            ready: Condition::find(&status.conditions, "Ready", pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl Issuer {
    fn word(&self) -> &'static str {
        match &self.ready {
            Some(ready) if ready.is("True") => "Ready",
            Some(ready) if ready.is("False") => "NotReady",
            _ => "Unknown",
        }
    }

    fn verdict(&self) -> (Health, Text) {
        match &self.ready {
            Some(ready) if ready.is("True") => (Health::Healthy, Text::from("")),
            Some(ready) if ready.is("False") => (Health::Degraded, ready.why()),
            _ => (Health::Unknown, Text::from("has not reported")),
        }
    }
}

pub(super) fn issuers_kind(cluster: bool) -> Kind {
    let described = if cluster {
        Kind::describe::<Issuer>(GROUP, "v1", "clusterissuers", "ClusterIssuer")
            .about("who issues certificates for all namespaces")
            .shorts(&["ciss"])
            .name()
    } else {
        Kind::describe::<Issuer>(GROUP, "v1", "issuers", "Issuer")
            .about("who issues certificates in a namespace")
            .shorts(&["iss"])
            .namespaced()
            .name()
    };
    described
        .column(Column::new(Shape::Status, "status", "whether it can issue").priority(1), |row| {
            Cell::Status { text: Text::from(row.body.word()), health: row.body.verdict().0 }
        })
        .column(
            Column::new(Shape::Text, "type", "what it is: ACME, CA, SelfSigned, Vault, Venafi").priority(1),
            |row| Cell::Text(Text::from(row.body.kind)),
        )
        .column(Column::new(Shape::Text, "solvers", "how names are proven").priority(2), |row| {
            let solvers = row.body.solvers.join(", ");
            if solvers.is_empty() { Cell::Empty } else { Cell::Text(Text::from(solvers)) }
        })
        .column(Column::new(Shape::Text, "server", "the authority").priority(3), |row| {
            text(row.body.server.as_ref())
        })
        .column(Column::new(Shape::Text, "email", "whom the authority writes to").priority(4), |row| {
            text(row.body.email.as_ref())
        })
        .column(
            Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(3),
            |row| why(row.body.verdict()),
        )
        .health(|row| row.body.verdict())
        .links(|row| {
            let filter = format!("issuer={}", row.meta().name);
            vec![Link::many("certificates", &certificates(), row.meta().namespace.as_ref(), filter, "")]
        })
        .done()
}
