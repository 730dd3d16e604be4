//! Certificates: cert-manager's certificates and issuers, and the chain that an issuing goes through (contracts 8).
//!
//! A Certificate asks by a `CertificateRequest`, that by an Order, that by a Challenge for each name. Challenges vanish
//! once they are answered: that there is none means that nothing is in progress.

use jiff::Timestamp;
use serde::Deserialize;

use super::decode::Slim;
use super::kind::Row;
use super::wire::{Opt, Str, Wire, WireCondition, as_str, own, share, time};
use super::{Cell, Column, Health, Kind, Lens, Link, Meta, Object, Pool, Shape};
use crate::human;
use crate::identity::{ObjectRef, Resource, Text};

mod chain;
mod issuers;
#[cfg(test)]
mod tests;

pub use chain::{Challenge, Order, Request};
pub use issuers::Issuer;

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        certificates_kind(),
        chain::requests_kind(),
        chain::orders_kind(),
        chain::challenges_kind(),
        issuers::issuers_kind(false),
        issuers::issuers_kind(true),
    ]
}

const GROUP: &str = "cert-manager.io";
const ACME: &str = "acme.cert-manager.io";
/// Which Certificate a request is of; cert-manager hands it on to the order.
const CERTIFICATE: &str = "cert-manager.io/certificate-name";
/// Of which revision it is.
const REVISION: &str = "cert-manager.io/certificate-revision";
/// With less time than this left, in seconds, a certificate that cannot be renewed hurts: a week.
const SOON: i64 = 7 * 86_400;

/// The resource type of Certificates.
pub fn certificates() -> Resource {
    Resource::new(GROUP, "certificates")
}

/// The resource type of the requests that Certificates make.
pub fn requests() -> Resource {
    Resource::new(GROUP, "certificaterequests")
}

/// The resource type of ACME orders.
pub fn orders() -> Resource {
    Resource::new(ACME, "orders")
}

/// The resource type of ACME challenges.
pub fn challenges() -> Resource {
    Resource::new(ACME, "challenges")
}

fn text(value: Option<&Text>) -> Cell {
    value.cloned().map_or(Cell::Empty, Cell::Text)
}

fn words(parts: &[Text]) -> Cell {
    if parts.is_empty() { Cell::Empty } else { Cell::Text(Text::from(parts.join(" "))) }
}

fn why((health, why): (Health, Text)) -> Cell {
    if health > Health::Idle && !why.is_empty() { Cell::Text(why) } else { Cell::Empty }
}

/// A link to what may be of a kind that is not known: then it is named only.
fn link(lens: &Lens<'_>, resource: &Resource, namespace: Option<&Text>, name: Option<&Text>) -> Cell {
    match name {
        None => Cell::Empty,
        Some(name) if lens.kinds.get(resource).is_some() => {
            Cell::Link { text: name.clone(), to: lens.object(resource, namespace, name) }
        }
        Some(name) => Cell::Text(name.clone()),
    }
}

#[derive(Debug, Default, Deserialize)]
struct WireIssuerRef<'a> {
    #[serde(borrow)]
    group: Opt<'a>,
    #[serde(borrow)]
    kind: Opt<'a>,
    #[serde(borrow)]
    name: Opt<'a>,
}

/// Who issues a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRef {
    /// Its type.
    pub resource: Resource,
    /// Its name.
    pub name: Text,
}

impl WireIssuerRef<'_> {
    fn keep(&self, pool: &mut Pool) -> Option<IssuerRef> {
        let group = as_str(&self.group);
        // Absent means an Issuer of cert-manager's own group.
        let plural = match as_str(&self.kind) {
            "ClusterIssuer" => "clusterissuers".to_owned(),
            "" | "Issuer" => "issuers".to_owned(),
            other => format!("{}s", other.to_lowercase()),
        };
        let resource = Resource::new(if group.is_empty() { GROUP } else { group }, &plural);
        Some(IssuerRef { resource, name: share(&self.name, pool)? })
    }
}

impl IssuerRef {
    fn object(&self, lens: &Lens<'_>, namespace: Option<&Text>) -> ObjectRef {
        let namespace = if &*self.resource.plural == "clusterissuers" { None } else { namespace };
        lens.object(&self.resource, namespace, &self.name)
    }
}

fn issuer_cell(lens: &Lens<'_>, issuer: Option<&IssuerRef>, meta: &Meta) -> Cell {
    match issuer {
        None => Cell::Empty,
        Some(issuer) if lens.kinds.get(&issuer.resource).is_some() => {
            Cell::Link { text: issuer.name.clone(), to: issuer.object(lens, meta.namespace.as_ref()) }
        }
        Some(issuer) => Cell::Text(issuer.name.clone()),
    }
}

fn issuer_link(lens: &Lens<'_>, issuer: Option<&IssuerRef>, meta: &Meta) -> Option<Link> {
    let issuer = issuer.filter(|issuer| lens.kinds.get(&issuer.resource).is_some())?;
    Some(Link::one("issuer", issuer.object(lens, meta.namespace.as_ref())))
}

/// A condition as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: Text,
    /// Its reason.
    pub reason: Option<Text>,
    /// Its message.
    pub message: Option<Text>,
}

impl Condition {
    fn find(conditions: &Option<Vec<WireCondition<'_>>>, name: &str, pool: &mut Pool) -> Option<Self> {
        let found = conditions.iter().flatten().find(|condition| as_str(&condition.name) == name)?;
        Some(Self {
            status: pool.share(as_str(&found.status)),
            reason: share(&found.reason, pool),
            message: own(&found.message),
        })
    }

    fn is(&self, status: &str) -> bool {
        &*self.status == status
    }

    fn because(&self, reason: &str) -> bool {
        self.reason.as_deref() == Some(reason)
    }

    /// Says why: the message, else the reason.
    fn why(&self) -> Text {
        self.message.clone().or_else(|| self.reason.clone()).unwrap_or_else(|| Text::from("not ready"))
    }
}

/// What is kept of a Certificate.
#[derive(Debug)]
pub struct Certificate {
    /// The names that it is for.
    pub names: Box<[Text]>,
    /// The Secret that it is kept in.
    pub secret: Option<Text>,
    /// Who issues it.
    pub issuer: Option<IssuerRef>,
    /// Whether what the Secret holds can be used.
    pub ready: Option<Condition>,
    /// Whether a new one is being issued, or why that failed.
    pub issuing: Option<Condition>,
    /// When it ends.
    pub ends: Option<Timestamp>,
    /// When it is to be renewed.
    pub renews: Option<Timestamp>,
    /// Which issuing it is from, counted from 1.
    pub revision: Option<i64>,
    /// How many tries in a row have failed.
    pub failures: i64,
    /// When the last try failed.
    pub failed: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateSpec<'a> {
    #[serde(borrow)]
    common_name: Opt<'a>,
    #[serde(borrow)]
    dns_names: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    ip_addresses: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    uris: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    secret_name: Opt<'a>,
    #[serde(borrow)]
    issuer_ref: Option<WireIssuerRef<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateStatus<'a> {
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
    #[serde(borrow)]
    not_after: Opt<'a>,
    #[serde(borrow)]
    renewal_time: Opt<'a>,
    #[serde(borrow)]
    last_failure_time: Opt<'a>,
    revision: Option<i64>,
    failed_issuance_attempts: Option<i64>,
}

impl Slim for Certificate {
    type Wire<'a> = Wire<'a, CertificateSpec<'a>, CertificateStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let lists = [&spec.dns_names, &spec.ip_addresses, &spec.uris];
        let mut names: Vec<Text> =
            lists.into_iter().flatten().flatten().map(|name| pool.share(name.as_str())).collect();
        if let Some(common) = share(&spec.common_name, pool).filter(|common| !names.contains(common)) {
            names.insert(0, common);
        }
        let slim = Self {
            names: names.into(),
            secret: share(&spec.secret_name, pool),
            issuer: spec.issuer_ref.as_ref().and_then(|issuer| issuer.keep(pool)),
            ready: Condition::find(&status.conditions, "Ready", pool),
            issuing: Condition::find(&status.conditions, "Issuing", pool),
            ends: time(&status.not_after),
            renews: time(&status.renewal_time),
            revision: status.revision,
            failures: status.failed_issuance_attempts.unwrap_or_default(),
            failed: time(&status.last_failure_time),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl Certificate {
    /// Tells whether a new one is being issued.
    pub fn is_issuing(&self) -> bool {
        self.issuing.as_ref().is_some_and(|issuing| issuing.is("True"))
    }

    /// The word that stands for it: what cert-manager gives as reason, or what is going on.
    fn word(&self, now: Timestamp) -> Text {
        let reason =
            |condition: &Condition| condition.reason.clone().unwrap_or_else(|| Text::from("NotReady"));
        match (&self.ready, &self.issuing) {
            _ if self.ends.is_some_and(|ends| ends <= now) => Text::from("Expired"),
            (_, Some(issuing)) if issuing.is("True") => Text::from("Issuing"),
            (_, Some(issuing)) if issuing.because("Failed") => Text::from("Failed"),
            (Some(ready), _) if ready.is("True") => Text::from("Ready"),
            (Some(ready), _) => reason(ready),
            (None, _) => Text::from("Unknown"),
        }
    }

    /// Says how it is, without what its orders and challenges say.
    pub fn verdict(&self, now: Timestamp) -> (Health, Text) {
        self.verdict_for(now, None)
    }

    /// Says how it is; `cause` is why the last try failed, where something nearer to it than cert-manager's own message
    /// tells.
    fn verdict_for(&self, now: Timestamp, cause: Option<&str>) -> (Health, Text) {
        let left = self.ends.map(|ends| ends.as_second() - now.as_second());
        if let Some(left) = left.filter(|left| *left <= 0) {
            return (Health::Degraded, Text::from(format!("ended {} ago", human::span(-left))));
        }
        let ends = left.map_or_else(String::new, |left| format!("; it ends in {}", human::span(left)));
        if let Some(failed) =
            self.issuing.as_ref().filter(|issuing| issuing.is("False") && issuing.because("Failed"))
        {
            let tries = match self.failures {
                0 | 1 => "the last try to renew it failed".to_owned(),
                many => format!("{many} tries to renew it failed"),
            };
            let near = left.is_none_or(|left| left < SOON);
            let health = if near { Health::Degraded } else { Health::Warning };
            let why = cause.or_else(|| failed.message.as_deref().map(short));
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            return (health, Text::from(format!("{tries}{ends}{why}")));
        }
        match &self.ready {
            _ if self.is_issuing() => {
                let health = if self.failures > 1 { Health::Warning } else { Health::Progressing };
                (health, Text::from(format!("a new one is being issued{ends}")))
            }
            Some(ready) if ready.is("False") => (Health::Degraded, ready.why()),
            Some(ready) if ready.is("True") => {
                if self.renews.is_some_and(|renews| renews <= now) {
                    return (Health::Warning, Text::from(format!("it is due to be renewed{ends}")));
                }
                (Health::Healthy, Text::from(""))
            }
            _ => (Health::Unknown, Text::from("cert-manager has not said")),
        }
    }
}

/// Leaves out what cert-manager says before each failure.
fn short(message: &str) -> &str {
    message
        .strip_prefix("The certificate request has failed to complete and will be retried: ")
        .unwrap_or(message)
        .trim_end_matches([' ', ':'])
}

impl Row<'_, Certificate> {
    /// Says how it is, in the words of the challenge that failed where there is one.
    fn verdict(&self) -> (Health, Text) {
        let cause = failed_challenge(self.object, self.lens)
            .map(|(name, reason)| format!("challenge for {name}: {reason}"));
        self.body.verdict_for(self.lens.now, cause.as_deref())
    }
}

/// Returns what is owned by an object, of a type that is listed.
fn owned<'a>(lens: &'a Lens<'_>, resource: &Resource, object: &'a Object) -> Vec<&'a std::sync::Arc<Object>> {
    lens.shelf(resource).into_iter().flat_map(|shelf| shelf.owned_by(&object.meta.uid)).collect()
}

/// Returns name and reason of a challenge that failed on the way to a Certificate.
fn failed_challenge(certificate: &Object, lens: &Lens<'_>) -> Option<(Text, Text)> {
    for request in owned(lens, &requests(), certificate) {
        for order in owned(lens, &orders(), request) {
            for challenge in owned(lens, &challenges(), order) {
                let body = challenge.body::<Challenge>()?;
                if let (true, Some(reason)) = (is_failure(&body.state), &body.reason) {
                    return Some((body.name.clone(), Text::from(plain(reason))));
                }
            }
        }
    }
    None
}

/// Leaves out the words of the library before those of the authority.
fn plain(reason: &str) -> &str {
    reason.rsplit_once("urn:ietf:params:acme:error:").map_or(reason, |(_, rest)| rest)
}

/// Tells whether an order or a challenge has ended badly.
fn is_failure(state: &str) -> bool {
    matches!(state, "invalid" | "expired" | "errored")
}

/// Returns the certificates of a namespace that are kept in a Secret.
pub fn kept_in<'a>(
    secret: &'a str,
    namespace: Option<&'a str>,
    lens: &'a Lens<'_>,
) -> impl Iterator<Item = &'a std::sync::Arc<Object>> {
    let shelf = lens.shelf(&certificates());
    shelf.into_iter().flat_map(move |shelf| shelf.in_namespace(namespace)).filter(move |object| {
        object.body::<Certificate>().is_some_and(|body| body.secret.as_deref() == Some(secret))
    })
}

fn certificates_kind() -> Kind {
    Kind::describe::<Certificate>(GROUP, "v1", "certificates", "Certificate")
        .about("a TLS certificate that cert-manager keeps up to date")
        .shorts(&["cert", "certs"])
        .namespaced()
        .name()
        .column(
            Column::new(Shape::Status, "status", "whether it can be used, or what is going on").priority(1),
            |row| Cell::Status {
                text: row.body.word(row.lens.now),
                health: row.body.verdict(row.lens.now).0,
            },
        )
        .column(Column::new(Shape::Age, "expires", "when it ends").priority(1), |row| {
            row.body.ends.map_or(Cell::Unknown, Cell::Age)
        })
        .sorted(true)
        .column(Column::new(Shape::Age, "renewal", "when it is to be renewed").priority(2), |row| {
            row.body.renews.map_or(Cell::Empty, Cell::Age)
        })
        .column(Column::new(Shape::Text, "names", "the names that it is for").priority(2), |row| {
            words(&row.body.names)
        })
        .column(Column::new(Shape::Link, "issuer", "who issues it").priority(3), |row| {
            issuer_cell(row.lens, row.body.issuer.as_ref(), row.meta())
        })
        .column(
            Column::new(Shape::Count, "revision", "which issuing it is from").titled("REV").priority(4),
            |row| row.body.revision.map_or(Cell::Empty, Cell::Count),
        )
        .column(Column::new(Shape::Count, "failed", "tries in a row that failed").priority(3), |row| {
            Cell::Count(row.body.failures)
        })
        .column(
            Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(4).joined(),
            |row| why(row.verdict()),
        )
        .column(Column::new(Shape::Link, "secret", "the Secret that it is kept in").wide(), |row| {
            link(
                row.lens,
                &Resource::new("", "secrets"),
                row.meta().namespace.as_ref(),
                row.body.secret.as_ref(),
            )
        })
        .needs(&[(GROUP, "certificaterequests"), (ACME, "orders"), (ACME, "challenges")])
        .verbs(&["renew"])
        .health(|row| row.verdict())
        .links(|row| {
            let mut links = Vec::new();
            let lens = row.lens;
            let namespace = row.meta().namespace.as_ref();
            let secrets = Resource::new("", "secrets");
            if let Some(secret) = row.body.secret.as_ref().filter(|_| lens.kinds.get(&secrets).is_some()) {
                links.push(Link::one("secret", lens.object(&secrets, namespace, secret)));
            }
            links.extend(issuer_link(lens, row.body.issuer.as_ref(), row.meta()));
            let filter = format!("certificate={}", row.meta().name);
            links.push(Link::many("requests", &requests(), namespace, filter.clone(), ""));
            links.push(Link::many("orders", &orders(), namespace, filter, ""));
            for request in owned(lens, &requests(), row.object) {
                for order in owned(lens, &orders(), request) {
                    for challenge in owned(lens, &challenges(), order) {
                        let to = lens.object(&challenges(), namespace, &challenge.meta.name);
                        let state = challenge.body::<Challenge>().map(|body| body.state.clone());
                        let note = state.unwrap_or_else(|| Text::from(""));
                        links.push(Link { note, ..Link::one("challenge", to) });
                    }
                }
            }
            if let Some(secret) = &row.body.secret {
                let filter = format!("secret={secret}");
                let ingresses = Resource::new("networking.k8s.io", "ingresses");
                links.push(Link::many("ingresses", &ingresses, namespace, filter, ""));
            }
            links
        })
        .done()
}
