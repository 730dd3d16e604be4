//! What an issuing goes through: requests, ACME orders, and the challenges that prove the names.

use serde::Deserialize;

use super::{
    ACME, CERTIFICATE, Condition, GROUP, IssuerRef, REVISION, WireIssuerRef, certificates, challenges,
    is_failure, issuer_cell, issuer_link, link, orders, owned, plain, why, words,
};
use crate::identity::Text;
use crate::kinds::decode::Slim;
use crate::kinds::kind::Row;
use crate::kinds::wire::{Opt, Str, Wire, WireCondition, as_str, own};
use crate::kinds::{Cell, Column, Health, Kind, Link, Meta, Pool, Shape};

/// What is kept of a `CertificateRequest`.
#[derive(Debug)]
pub struct Request {
    /// The Certificate that it is of.
    pub certificate: Option<Text>,
    /// Its revision.
    pub revision: Option<i64>,
    /// Who issues it.
    pub issuer: Option<IssuerRef>,
    /// Whether somebody has approved it.
    pub approved: bool,
    /// Whether somebody has denied it.
    pub denied: Option<Condition>,
    /// Whether it is issued.
    pub ready: Option<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kinds) struct RequestSpec<'a> {
    #[serde(borrow)]
    issuer_ref: Option<WireIssuerRef<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::kinds) struct RequestStatus<'a> {
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl Slim for Request {
    type Wire<'a> = Wire<'a, RequestSpec<'a>, RequestStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let annotations = wire.metadata.annotations();
        let status = wire.status.unwrap_or_default();
        let spec = wire.spec.unwrap_or_default();
        let holds = |condition: &Option<Condition>| condition.as_ref().is_some_and(|one| one.is("True"));
        let approved = Condition::find(&status.conditions, "Approved", pool);
        let invalid = Condition::find(&status.conditions, "InvalidRequest", pool);
        let denied = Condition::find(&status.conditions, "Denied", pool);
        let slim = Self {
            certificate: annotations.get(CERTIFICATE).map(|name| pool.share(name)),
            revision: annotations.get(REVISION).and_then(|revision| revision.parse().ok()),
            issuer: spec.issuer_ref.as_ref().and_then(|issuer| issuer.keep(pool)),
            approved: holds(&approved),
            denied: [denied, invalid].into_iter().find(holds).flatten(),
            ready: Condition::find(&status.conditions, "Ready", pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl Request {
    fn word(&self) -> Text {
        match (&self.denied, &self.ready) {
            (Some(_), _) => Text::from("Denied"),
            (None, Some(ready)) => ready.reason.clone().unwrap_or_else(|| ready.status.clone()),
            (None, None) if self.approved => Text::from("Approved"),
            (None, None) => Text::from("Pending"),
        }
    }

    fn verdict(&self) -> (Health, Text) {
        match (&self.denied, &self.ready) {
            (Some(denied), _) => (Health::Degraded, denied.why()),
            (None, Some(ready)) if ready.is("True") => (Health::Healthy, Text::from("")),
            (None, Some(ready)) if ready.because("Failed") => (Health::Degraded, ready.why()),
            (None, Some(ready)) => (Health::Progressing, ready.why()),
            (None, None) if self.approved => (Health::Progressing, Text::from("waits for its issuer")),
            (None, None) => (Health::Progressing, Text::from("waits to be approved")),
        }
    }
}

pub(super) fn requests_kind() -> Kind {
    Kind::describe::<Request>(GROUP, "v1", "certificaterequests", "CertificateRequest")
        .about("one issuing of a Certificate")
        .shorts(&["cr", "crs"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Status, "status", "how far it is").priority(1), |row| Cell::Status {
            text: row.body.word(),
            health: row.body.verdict().0,
        })
        .column(Column::new(Shape::Link, "certificate", "the Certificate that it is of").priority(2), |row| {
            link(row.lens, &certificates(), row.meta().namespace.as_ref(), row.body.certificate.as_ref())
        })
        .column(Column::new(Shape::Count, "revision", "its revision").titled("REV").priority(3), |row| {
            row.body.revision.map_or(Cell::Empty, Cell::Count)
        })
        .column(Column::new(Shape::Link, "issuer", "who issues it").priority(3), |row| {
            issuer_cell(row.lens, row.body.issuer.as_ref(), row.meta())
        })
        .column(Column::new(Shape::Text, "why", "what it waits for, or what is wrong").priority(2), |row| {
            why(row.body.verdict())
        })
        .needs(&[(ACME, "orders")])
        .health(|row| row.body.verdict())
        .links(|row| {
            let namespace = row.meta().namespace.as_ref();
            let mut links: Vec<Link> =
                issuer_link(row.lens, row.body.issuer.as_ref(), row.meta()).into_iter().collect();
            for order in owned(row.lens, &orders(), row.object) {
                links.push(Link::one("order", row.lens.object(&orders(), namespace, &order.meta.name)));
            }
            links
        })
        .done()
}

/// What is kept of an Order.
#[derive(Debug)]
pub struct Order {
    /// The Certificate that it is of.
    pub certificate: Option<Text>,
    /// The names that it is for.
    pub names: Box<[Text]>,
    /// Who issues it.
    pub issuer: Option<IssuerRef>,
    /// How far it is: `pending`, `ready`, `processing`, `valid`, `invalid`, `expired`, `errored`; empty at first.
    pub state: Text,
    /// Why, where the authority says.
    pub reason: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kinds) struct OrderSpec<'a> {
    #[serde(borrow)]
    dns_names: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    ip_addresses: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    issuer_ref: Option<WireIssuerRef<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::kinds) struct AcmeStatus<'a> {
    #[serde(borrow)]
    state: Opt<'a>,
    #[serde(borrow)]
    reason: Opt<'a>,
    presented: Option<bool>,
}

impl Slim for Order {
    type Wire<'a> = Wire<'a, OrderSpec<'a>, AcmeStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let annotations = wire.metadata.annotations();
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let lists = [&spec.dns_names, &spec.ip_addresses];
        let slim = Self {
            certificate: annotations.get(CERTIFICATE).map(|name| pool.share(name)),
            names: lists.into_iter().flatten().flatten().map(|name| pool.share(name.as_str())).collect(),
            issuer: spec.issuer_ref.as_ref().and_then(|issuer| issuer.keep(pool)),
            state: pool.share(as_str(&status.state)),
            reason: own(&status.reason),
        };
        (wire.metadata.keep(pool), slim)
    }
}

/// What a state of ACME means.
fn acme(state: &str) -> Health {
    match state {
        "valid" => Health::Healthy,
        "" | "pending" | "ready" | "processing" => Health::Progressing,
        state if is_failure(state) => Health::Degraded,
        _ => Health::Unknown,
    }
}

fn state_cell(state: &Text) -> Cell {
    let text = if state.is_empty() { Text::from("new") } else { state.clone() };
    Cell::Status { text, health: acme(state) }
}

impl Row<'_, Order> {
    /// Says how it is: an order rarely says why it failed, its challenges do.
    fn verdict(&self) -> (Health, Text) {
        let health = acme(&self.body.state);
        let own = self.body.reason.clone().filter(|reason| !reason.is_empty());
        let why = own.or_else(|| {
            owned(self.lens, &challenges(), self.object).into_iter().find_map(|challenge| {
                let body = challenge.body::<Challenge>()?;
                let told = is_failure(&body.state) || health == Health::Progressing;
                let reason = body.reason.as_ref().filter(|_| told)?;
                Some(Text::from(format!("challenge for {}: {}", body.name, plain(reason))))
            })
        });
        (health, why.unwrap_or_else(|| Text::from("")))
    }
}

pub(super) fn orders_kind() -> Kind {
    Kind::describe::<Order>(ACME, "v1", "orders", "Order")
        .about("what an ACME authority was asked for")
        .namespaced()
        .name()
        .column(Column::new(Shape::Status, "state", "how far it is").priority(1), |row| {
            state_cell(&row.body.state)
        })
        .column(Column::new(Shape::Link, "certificate", "the Certificate that it is of").priority(2), |row| {
            link(row.lens, &certificates(), row.meta().namespace.as_ref(), row.body.certificate.as_ref())
        })
        .column(Column::new(Shape::Text, "names", "the names that it is for").priority(2), |row| {
            words(&row.body.names)
        })
        .column(Column::new(Shape::Link, "issuer", "who issues it").priority(3), |row| {
            issuer_cell(row.lens, row.body.issuer.as_ref(), row.meta())
        })
        .column(
            Column::new(Shape::Text, "why", "what it waits for, or what is wrong").priority(2).joined(),
            |row| why(row.verdict()),
        )
        .needs(&[(ACME, "challenges")])
        .health(|row| row.verdict())
        .links(|row| {
            let namespace = row.meta().namespace.as_ref();
            let mut links: Vec<Link> =
                issuer_link(row.lens, row.body.issuer.as_ref(), row.meta()).into_iter().collect();
            if let Some(certificate) = &row.body.certificate {
                links
                    .push(Link::one("certificate", row.lens.object(&certificates(), namespace, certificate)));
            }
            for challenge in owned(row.lens, &challenges(), row.object) {
                links.push(Link::one(
                    "challenge",
                    row.lens.object(&challenges(), namespace, &challenge.meta.name),
                ));
            }
            links
        })
        .done()
}

/// What is kept of a Challenge.
#[derive(Debug)]
pub struct Challenge {
    /// The name that is to be proven.
    pub name: Text,
    /// How: `HTTP-01` or `DNS-01`.
    pub method: Text,
    /// Whether it is for everything below the name.
    pub wildcard: bool,
    /// Who issues.
    pub issuer: Option<IssuerRef>,
    /// How far it is.
    pub state: Text,
    /// Why, in the words of cert-manager or of the authority.
    pub reason: Option<Text>,
    /// Whether the answer is in its place.
    pub presented: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kinds) struct ChallengeSpec<'a> {
    #[serde(borrow)]
    dns_name: Opt<'a>,
    #[serde(borrow, rename = "type")]
    method: Opt<'a>,
    wildcard: Option<bool>,
    #[serde(borrow)]
    issuer_ref: Option<WireIssuerRef<'a>>,
}

impl Slim for Challenge {
    type Wire<'a> = Wire<'a, ChallengeSpec<'a>, AcmeStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let slim = Self {
            name: pool.share(as_str(&spec.dns_name)),
            method: pool.share(as_str(&spec.method)),
            wildcard: spec.wildcard.unwrap_or_default(),
            issuer: spec.issuer_ref.as_ref().and_then(|issuer| issuer.keep(pool)),
            state: pool.share(as_str(&status.state)),
            reason: own(&status.reason),
            presented: status.presented.unwrap_or_default(),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl Challenge {
    fn verdict(&self) -> (Health, Text) {
        (acme(&self.state), self.reason.clone().unwrap_or_else(|| Text::from("")))
    }
}

pub(super) fn challenges_kind() -> Kind {
    Kind::describe::<Challenge>(ACME, "v1", "challenges", "Challenge")
        .about("how a name is proven to an ACME authority; gone once it is")
        .namespaced()
        .name()
        .column(Column::new(Shape::Status, "state", "how far it is").priority(1), |row| {
            state_cell(&row.body.state)
        })
        .column(Column::new(Shape::Text, "domain", "the name that is to be proven").priority(1), |row| {
            let star = if row.body.wildcard { "*." } else { "" };
            Cell::Text(Text::from(format!("{star}{}", row.body.name)))
        })
        .column(Column::new(Shape::Text, "type", "how it is proven: DNS-01 or HTTP-01").priority(2), |row| {
            Cell::Text(row.body.method.clone())
        })
        .column(
            Column::new(Shape::Text, "presented", "whether the answer is in its place").priority(3),
            |row| Cell::Text(Text::from(if row.body.presented { "yes" } else { "no" })),
        )
        .column(Column::new(Shape::Link, "issuer", "who issues").priority(4), |row| {
            issuer_cell(row.lens, row.body.issuer.as_ref(), row.meta())
        })
        .column(Column::new(Shape::Text, "why", "what it waits for, or what is wrong").priority(2), |row| {
            why(row.body.verdict())
        })
        .health(|row| row.body.verdict())
        .links(|row| issuer_link(row.lens, row.body.issuer.as_ref(), row.meta()).into_iter().collect())
        .done()
}
