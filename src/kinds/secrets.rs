//! Secrets without their values: what is brought from a provider, by which store, and the Secrets that it feeds.
//!
//! Of a Secret the server is asked for the metadata alone, so no value ever arrives here.
//!
//! # Why
//!
//! When the content of a Secret last changed is nowhere said in so many words: its resource version moves with every
//! label. `managedFields` says when a writer last changed what it owns, which for the writer that owns the data is the
//! moment; whoever wrote only labels later makes the moment later, and never earlier.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::consumers::Consumers;
use super::decode::Slim;
use super::kind::Row;
use super::secret_uses::SecretMarks;
use super::wire::{Opt, Wire, WireCondition, WireMeta, as_str, own, share, time};
use super::workloads::why_column;
use super::{Cell, Column, Health, Kind, Lens, Link, Meta, Object, Pool, Shape};
use crate::human;
use crate::identity::{ObjectRef, Resource, Text};

/// The API group of the External Secrets Operator.
pub const GROUP: &str = "external-secrets.io";

/// What the operator waits between two refreshes where nobody says.
const INTERVAL: f64 = 3600.0;

/// The annotation in which the operator keeps a hash of what it brought (contracts 7.1).
pub const DATA_HASH: &str = "reconcile.external-secrets.io/data-hash";

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        external_secrets(),
        cluster_external_secrets(),
        stores("secretstores", "SecretStore", "ss", true),
        stores("clustersecretstores", "ClusterSecretStore", "css", false),
        secrets(),
        sealed_secrets(),
    ]
}

/// Secrets of Kubernetes.
pub fn secret() -> Resource {
    Resource::new("", "secrets")
}

/// `ExternalSecrets`.
pub fn external_secret() -> Resource {
    Resource::new(GROUP, "externalsecrets")
}

/// What a condition says of something that should be ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it is; `None` where nobody has said.
    pub is_ready: Option<bool>,
    /// The reason, such as `SecretSynced`.
    pub reason: Option<Text>,
    /// The sentence; kept where it is not ready.
    pub message: Option<Text>,
}

impl Readiness {
    fn of(conditions: Option<&[WireCondition<'_>]>, name: &str, pool: &mut Pool) -> Self {
        let found = conditions.unwrap_or_default().iter().find(|one| as_str(&one.name) == name);
        let is_ready = found.and_then(|one| match as_str(&one.status) {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        });
        Self {
            is_ready,
            reason: found.and_then(|one| share(&one.reason, pool)),
            message: found.filter(|_| is_ready != Some(true)).and_then(|one| own(&one.message)),
        }
    }

    fn verdict(&self) -> (Health, Text) {
        let why = || self.message.clone().or(self.reason.clone()).unwrap_or_default();
        match self.is_ready {
            Some(true) => (Health::Healthy, Text::from("")),
            Some(false) => (Health::Degraded, why()),
            None if self.reason.is_some() => (Health::Unknown, why()),
            None => (Health::Progressing, Text::from("not looked at yet")),
        }
    }

    fn cell(&self, health: Health) -> Cell {
        let word = match (&self.reason, self.is_ready) {
            (Some(reason), _) => reason.clone(),
            (None, Some(true)) => Text::from("Ready"),
            (None, Some(false)) => Text::from("NotReady"),
            (None, None) => Text::from("Pending"),
        };
        Cell::Status { text: word, health }
    }
}

/// What is kept of an `ExternalSecret`.
#[derive(Debug)]
pub struct ExternalSecret {
    /// The store: `ClusterSecretStore/name` or `SecretStore/name`; `None` where each entry names its own.
    pub store: Option<Text>,
    /// The Secret that it feeds.
    pub target: Text,
    /// Seconds between refreshes; 0 for never again.
    pub interval: f64,
    /// `Periodic`, `OnChange` or `CreatedOnce`.
    pub policy: Text,
    /// The keys at the provider, each once.
    pub keys: Box<[Text]>,
    /// Versions of the provider that it is pinned to; empty for the current one.
    pub versions: Box<[Text]>,
    /// Whether it is ready.
    pub ready: Readiness,
    /// When it was refreshed last: it moves on success only.
    pub refreshed: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExternalSpec<'a> {
    #[serde(borrow)]
    secret_store_ref: Option<WireStoreRef<'a>>,
    #[serde(borrow)]
    target: Option<WireTarget<'a>>,
    #[serde(borrow)]
    refresh_policy: Opt<'a>,
    #[serde(borrow)]
    refresh_interval: Opt<'a>,
    #[serde(borrow)]
    data: Option<Vec<WireData<'a>>>,
    #[serde(borrow)]
    data_from: Option<Vec<WireDataFrom<'a>>>,
}

#[derive(Debug, Deserialize)]
struct WireStoreRef<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    kind: Opt<'a>,
}

#[derive(Debug, Deserialize)]
struct WireTarget<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireData<'a> {
    #[serde(borrow)]
    remote_ref: Option<WireRemote<'a>>,
}

#[derive(Debug, Deserialize)]
struct WireDataFrom<'a> {
    #[serde(borrow)]
    extract: Option<WireRemote<'a>>,
}

#[derive(Debug, Deserialize)]
struct WireRemote<'a> {
    #[serde(borrow)]
    key: Opt<'a>,
    #[serde(borrow)]
    version: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExternalStatus<'a> {
    #[serde(borrow)]
    refresh_time: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl ExternalSpec<'_> {
    fn remotes(&self) -> impl Iterator<Item = &WireRemote<'_>> {
        let data = self.data.iter().flatten().filter_map(|data| data.remote_ref.as_ref());
        data.chain(self.data_from.iter().flatten().filter_map(|from| from.extract.as_ref()))
    }
}

fn each_once(mut texts: Vec<Text>) -> Box<[Text]> {
    texts.sort_unstable();
    texts.dedup();
    texts.into()
}

/// Reads an interval as Go writes it; what cannot be read counts as the default.
fn interval(text: &Opt<'_>) -> f64 {
    human::parse_span(as_str(text)).unwrap_or(INTERVAL)
}

impl Slim for ExternalSecret {
    type Wire<'a> = Wire<'a, ExternalSpec<'a>, ExternalStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let store = spec.secret_store_ref.as_ref().filter(|store| !as_str(&store.name).is_empty());
        let target = spec.target.as_ref().and_then(|target| share(&target.name, pool));
        let slim = Self {
            store: store.map(|store| {
                let kind = if as_str(&store.kind).is_empty() { "SecretStore" } else { as_str(&store.kind) };
                pool.share(&format!("{kind}/{}", as_str(&store.name)))
            }),
            target: target.unwrap_or_else(|| wire.metadata.name.text()),
            interval: interval(&spec.refresh_interval),
            policy: share(&spec.refresh_policy, pool).unwrap_or_else(|| pool.share("Periodic")),
            keys: each_once(spec.remotes().filter_map(|remote| own(&remote.key)).collect()),
            versions: each_once(spec.remotes().filter_map(|remote| own(&remote.version)).collect()),
            ready: Readiness::of(status.conditions.as_deref(), "Ready", pool),
            refreshed: time(&status.refresh_time),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl ExternalSecret {
    /// Returns when it is refreshed next by itself; `None` where it is not.
    pub fn next(&self) -> Option<Timestamp> {
        if &*self.policy != "Periodic" || self.interval <= 0.0 {
            return None;
        }
        self.refreshed?.checked_add(SignedDuration::from_secs(self.interval as i64)).ok()
    }

    fn verdict(&self, now: Timestamp) -> (Health, Text) {
        let verdict = self.ready.verdict();
        if verdict.0 != Health::Healthy {
            return verdict;
        }
        // Ready says how the last attempt went; an operator that does not run makes none.
        match self.next() {
            Some(next) if now.as_second() - next.as_second() > LATE => {
                let text = format!(
                    "not refreshed for {}, though due every {}: does the operator run?",
                    human::age(now, self.refreshed.unwrap_or(next)),
                    human::span(self.interval as i64)
                );
                (Health::Warning, Text::from(text))
            }
            _ => verdict,
        }
    }
}

/// Seconds that a refresh may be late before it is worth a word.
const LATE: i64 = 300;

fn target_of(row: &Row<'_, ExternalSecret>) -> ObjectRef {
    row.lens.object(&secret(), row.meta().namespace.as_ref(), &row.body.target)
}

fn text_or_empty(text: &Option<Text>) -> Cell {
    text.clone().map_or(Cell::Empty, Cell::Text)
}

fn words(parts: &[Text]) -> Cell {
    match parts {
        [] => Cell::Empty,
        [one] => Cell::Text(one.clone()),
        several => Cell::Text(Text::from(several.join(" "))),
    }
}

const NEEDED: [(&str, &str); 5] = [
    ("", "pods"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("networking.k8s.io", "ingresses"),
];

fn external_secrets() -> Kind {
    let needs: Vec<(&str, &str)> = [("", "secrets")].into_iter().chain(NEEDED).collect();
    Kind::describe::<ExternalSecret>(GROUP, "v1", "externalsecrets", "ExternalSecret")
        .about("what is brought from a provider into a Secret")
        .shorts(&["es", "externals"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Text, "store", "the store that it is brought from").priority(4), |row| {
            let name = row.body.store.as_deref().and_then(|store| store.split_once('/'));
            name.map_or(Cell::Empty, |(_, name)| Cell::Text(Text::from(name)))
        })
        .column(
            Column::new(Shape::Status, "ready", "whether the last refresh went well").priority(1),
            |row| row.body.ready.cell(row.body.verdict(row.lens.now).0),
        )
        .column(Column::new(Shape::Age, "refreshed", "when it was last refreshed").priority(2), |row| {
            row.body.refreshed.map_or(Cell::Unknown, Cell::Age)
        })
        .column(Column::new(Shape::Age, "next", "when it is refreshed next").priority(4), |row| {
            row.body.next().map_or(Cell::Empty, Cell::Age)
        })
        .column(
            Column::new(Shape::Age, "changed", "when what it brought last changed").joined().priority(3),
            |row| changed_cell(row.lens.store.object(&target_of(&row)).map(AsRef::as_ref)),
        )
        .column(Column::new(Shape::Text, "consumers", "who uses the Secret").joined().priority(2), |row| {
            Consumers::of(&target_of(&row), row.lens).cell()
        })
        .column(started_column(), |row| {
            let consumers = Consumers::of(&target_of(&row), row.lens);
            consumers.started_cell(changed_of(row.lens, &target_of(&row)))
        })
        .column(reload_column(), |row| Consumers::of(&target_of(&row), row.lens).reload_cell())
        .column(
            Column::new(Shape::Text, "store-kind", "whether the store is of the namespace").wide(),
            |row| {
                let kind = row.body.store.as_deref().and_then(|store| store.split_once('/'));
                kind.map_or(Cell::Empty, |(kind, _)| Cell::Text(Text::from(kind)))
            },
        )
        .column(Column::new(Shape::Text, "version", "the provider's version that it takes").wide(), |row| {
            match &*row.body.versions {
                [] => Cell::Text(Text::from("current")),
                pinned => words(pinned),
            }
        })
        .column(Column::new(Shape::Text, "key", "what it is called at the provider").wide(), |row| {
            words(&row.body.keys)
        })
        .column(Column::new(Shape::Text, "interval", "how often it is refreshed").wide(), |row| {
            Cell::Text(match (&*row.body.policy, row.body.interval) {
                ("Periodic", interval) if interval > 0.0 => Text::from(human::span(interval as i64)),
                ("Periodic", _) => Text::from("never again"),
                (_, _) => row.body.policy.clone(),
            })
        })
        .column(Column::new(Shape::Link, "secret", "the Secret that it feeds").wide(), |row| Cell::Link {
            text: row.body.target.clone(),
            to: target_of(&row),
        })
        .column(why_column(), |row| why_cell(row.body.verdict(row.lens.now)))
        .verbs(&["rotate", "refresh-secret", "restore-secret", "resume-rotation"])
        .needs(&needs)
        .health(|row| {
            let own = row.body.verdict(row.lens.now);
            if own.0 != Health::Healthy {
                return own;
            }
            Consumers::of(&target_of(&row), row.lens).verdict(changed_of(row.lens, &target_of(&row)))
        })
        .links(|row| {
            let namespace = row.meta().namespace.as_ref();
            let mut links = vec![Link::one("secret", target_of(&row))];
            if let Some((kind, name)) = row.body.store.as_deref().and_then(|store| store.split_once('/')) {
                let (plural, namespace) = match kind {
                    "ClusterSecretStore" => ("clustersecretstores", None),
                    _ => ("secretstores", namespace),
                };
                let to = row.lens.object(&Resource::new(GROUP, plural), namespace, &name.into());
                links.push(Link::one("store", to));
            }
            links.extend(Consumers::of(&target_of(&row), row.lens).links());
            links
        })
        .done()
}

fn why_cell(verdict: (Health, Text)) -> Cell {
    if verdict.1.is_empty() { Cell::Empty } else { Cell::Text(verdict.1) }
}

/// What is kept of a `ClusterExternalSecret`.
#[derive(Debug)]
pub struct ClusterExternalSecret {
    /// The name of the `ExternalSecrets` that it makes.
    pub makes: Text,
    /// Namespaces that have one.
    pub provisioned: usize,
    /// Namespaces in which it failed, with the reason.
    pub failed: Box<[(Text, Text)]>,
    /// Seconds between two looks at the namespaces.
    pub interval: f64,
    /// Whether it is ready.
    pub ready: Readiness,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClusterSpec<'a> {
    #[serde(borrow)]
    external_secret_name: Opt<'a>,
    /// The interval, in spite of its name (contracts 7.1).
    #[serde(borrow)]
    refresh_time: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClusterStatus<'a> {
    provisioned_namespaces: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    failed_namespaces: Option<Vec<WireFailed<'a>>>,
    #[serde(borrow)]
    external_secret_name: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

#[derive(Debug, Deserialize)]
struct WireFailed<'a> {
    #[serde(borrow)]
    namespace: Opt<'a>,
    #[serde(borrow)]
    reason: Opt<'a>,
}

impl Slim for ClusterExternalSecret {
    type Wire<'a> = Wire<'a, ClusterSpec<'a>, ClusterStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let named = share(&spec.external_secret_name, pool).or(share(&status.external_secret_name, pool));
        let failed = status.failed_namespaces.iter().flatten();
        let slim = Self {
            makes: named.unwrap_or_else(|| wire.metadata.name.text()),
            provisioned: status.provisioned_namespaces.as_ref().map_or(0, Vec::len),
            failed: failed
                .map(|one| (pool.share(as_str(&one.namespace)), Text::from(as_str(&one.reason))))
                .collect(),
            interval: interval(&spec.refresh_time),
            ready: Readiness::of(status.conditions.as_deref(), "Ready", pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl ClusterExternalSecret {
    fn verdict(&self) -> (Health, Text) {
        match &*self.failed {
            [] => self.ready.verdict(),
            [(namespace, reason), rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
                (Health::Degraded, Text::from(format!("{namespace}: {reason}{more}")))
            }
        }
    }
}

fn cluster_external_secrets() -> Kind {
    Kind::describe::<ClusterExternalSecret>(GROUP, "v1", "clusterexternalsecrets", "ClusterExternalSecret")
        .about("one ExternalSecret in many namespaces")
        .shorts(&["ces"])
        .name()
        .column(Column::new(Shape::Status, "ready", "whether all namespaces have it").priority(1), |row| {
            row.body.ready.cell(row.body.verdict().0)
        })
        .column(Column::new(Shape::Ratio, "namespaces", "namespaces that have it").priority(2), |row| {
            let have = row.body.provisioned as i64;
            Cell::Ratio { have, want: have + row.body.failed.len() as i64 }
        })
        .column(Column::new(Shape::Text, "makes", "the name of what it makes").priority(3), |row| {
            Cell::Text(row.body.makes.clone())
        })
        .column(Column::new(Shape::Text, "interval", "how often it looks at the namespaces").wide(), |row| {
            Cell::Text(Text::from(human::span(row.body.interval as i64)))
        })
        .column(why_column(), |row| why_cell(row.body.verdict()))
        .health(|row| row.body.verdict())
        .links(|row| {
            let filter = format!("name={}", row.body.makes);
            vec![Link::many("external secrets", &external_secret(), None, filter, "")]
        })
        .done()
}

/// What is kept of a `SecretStore` or `ClusterSecretStore`.
#[derive(Debug)]
pub struct SecretStore {
    /// The provider, such as `aws SecretsManager eu-west-1`.
    pub provider: Option<Text>,
    /// `ReadOnly`, `WriteOnly` or `ReadWrite`.
    pub capabilities: Option<Text>,
    /// Whether it is ready.
    pub ready: Readiness,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StoreSpec {
    /// One key, which names the provider; of it only what says where is kept.
    provider: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StoreStatus<'a> {
    #[serde(borrow)]
    capabilities: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

/// Names a provider and where it is: `aws SecretsManager eu-west-1`, `vault https://vault.example.com`.
fn provider(spec: &StoreSpec) -> Option<String> {
    let (name, fields) = spec.provider.as_ref()?.iter().next()?;
    let told = ["service", "region", "server", "vaultUrl", "projectID", "url"];
    let told = told.iter().filter_map(|field| fields.get(field)?.as_str());
    let parts: Vec<String> = std::iter::once(name.as_str())
        .chain(told)
        .map(|part| crate::text::one_line(part).into_owned())
        .collect();
    Some(parts.join(" "))
}

impl Slim for SecretStore {
    type Wire<'a> = Wire<'a, StoreSpec, StoreStatus<'a>>;

    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let status = wire.status.unwrap_or_default();
        let slim = Self {
            provider: wire.spec.as_ref().and_then(provider).map(|provider| pool.share(&provider)),
            capabilities: share(&status.capabilities, pool),
            ready: Readiness::of(status.conditions.as_deref(), "Ready", pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}

fn stores(plural: &'static str, name: &'static str, short: &str, namespaced: bool) -> Kind {
    let kind = Kind::describe::<SecretStore>(GROUP, "v1", plural, name)
        .about(if namespaced {
            "where a namespace's secrets are brought from"
        } else {
            "where secrets of all namespaces are brought from"
        })
        .shorts(&[short]);
    let kind = if namespaced { kind.namespaced() } else { kind };
    kind.name()
        .column(Column::new(Shape::Status, "ready", "whether the provider can be asked").priority(1), |row| {
            row.body.ready.cell(row.body.ready.verdict().0)
        })
        .column(Column::new(Shape::Text, "provider", "who keeps the secrets, and where").priority(2), |row| {
            text_or_empty(&row.body.provider)
        })
        .column(Column::new(Shape::Text, "capabilities", "what may be done there").priority(4), |row| {
            text_or_empty(&row.body.capabilities)
        })
        .column(
            Column::new(Shape::Count, "secrets", "ExternalSecrets that are brought from it")
                .joined()
                .priority(3),
            move |row| {
                let Some(shelf) = row.lens.whole(&external_secret()) else { return Cell::Unknown };
                let wanted = format!("{name}/{}", row.meta().name);
                let place = row.meta().namespace.as_ref();
                let uses = |object: &Object| {
                    object.body::<ExternalSecret>().is_some_and(|one| one.store.as_deref() == Some(&*wanted))
                        && (place.is_none() || object.meta.namespace.as_ref() == place)
                };
                Cell::Count(shelf.iter().filter(|(_, object)| uses(object)).count() as i64)
            },
        )
        .column(why_column(), |row| why_cell(row.body.ready.verdict()))
        .needs(&[(GROUP, "externalsecrets")])
        .health(|row| row.body.ready.verdict())
        .links(|row| {
            let filter = format!("store={}", row.meta().name);
            let place = row.meta().namespace.as_ref();
            vec![Link::many("external secrets", &external_secret(), place, filter, "")]
        })
        .done()
}

/// What is kept of a Secret: nothing of its data.
#[derive(Debug)]
pub struct Secret {
    /// Who makes it, such as `ExternalSecret`, `SealedSecret`, `cert-manager`, `Helm`.
    pub made_by: Option<Text>,
    /// When what its data's writer owns last changed; `None` where the server keeps no record of writers.
    pub changed: Option<Timestamp>,
    /// The hash of the data that External Secrets keeps.
    pub hash: Option<Text>,
    /// What it tells Reloader.
    pub marks: SecretMarks,
    /// Its type, where the wire gives it: metadata alone does not.
    pub kind: Option<Text>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SecretWire<'a> {
    #[serde(borrow)]
    metadata: WireMeta<'a, Vec<WireWriter<'a>>>,
    #[serde(borrow, rename = "type")]
    kind: Opt<'a>,
}

/// An entry of `managedFields`.
#[derive(Debug, Deserialize)]
struct WireWriter<'a> {
    #[serde(borrow)]
    time: Opt<'a>,
    #[serde(borrow)]
    subresource: Opt<'a>,
}

impl Slim for Secret {
    type Wire<'a> = SecretWire<'a>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let writers = wire.metadata.managed_fields.take().unwrap_or_default();
        let written = writers.iter().filter(|one| as_str(&one.subresource).is_empty());
        let changed = written.filter_map(|one| time(&one.time)).max();
        let annotations = wire.metadata.annotations();
        let is_set = |key: &str| annotations.get(key) == Some("true");
        let marks = SecretMarks {
            ignored: is_set("reloader.stakater.com/ignore"),
            matched: is_set("reloader.stakater.com/match"),
        };
        let hash = annotations.get(DATA_HASH).map(Text::from);
        let certificate = annotations.get("cert-manager.io/certificate-name").is_some();
        let kind = share(&wire.kind, pool);
        let meta = wire.metadata.keep(pool);
        let label = |key: &str| meta.label(key).map(|value| &**value);
        let made_by = if let Some(owner) = meta.owners.iter().find(|owner| owner.controller) {
            Some(owner.kind.clone())
        } else if let Some(owner) = meta.owners.first() {
            Some(owner.kind.clone())
        } else if certificate {
            Some(pool.share("cert-manager"))
        } else if label("owner") == Some("helm") {
            Some(pool.share("Helm"))
        } else if label("reconcile.external-secrets.io/managed") == Some("true") {
            Some(pool.share("ExternalSecret"))
        } else {
            None
        };
        (meta, Self { made_by, changed, hash, marks, kind })
    }
}

fn changed_cell(secret: Option<&Object>) -> Cell {
    match secret.map(|secret| secret.body::<Secret>()) {
        None => Cell::Empty,
        Some(body) => body.and_then(|body| body.changed).map_or(Cell::Unknown, Cell::Age),
    }
}

/// Returns when the content of a Secret last changed, as far as it is known.
fn changed_of(lens: &Lens<'_>, at: &ObjectRef) -> Option<Timestamp> {
    lens.store.object(at)?.body::<Secret>()?.changed
}

fn started_column() -> Column {
    Column::new(Shape::Status, "started", "whether its consumers started after the last change")
        .joined()
        .priority(1)
}

fn reload_column() -> Column {
    Column::new(Shape::Text, "reload", "who restarts its consumers when it changes").joined().priority(4)
}

fn secrets() -> Kind {
    let this =
        |row: &Row<'_, Secret>| row.lens.object(&secret(), row.meta().namespace.as_ref(), &row.meta().name);
    Kind::describe::<Secret>("", "v1", "secrets", "Secret")
        .about("credentials and keys; only their names are read")
        .shorts(&["sec"])
        .namespaced()
        .metadata_only()
        .name()
        .column(Column::new(Shape::Text, "from", "who makes it").priority(2).groups(), |row| {
            text_or_empty(&row.body.made_by)
        })
        .column(Column::new(Shape::Age, "changed", "when its content last changed").priority(1), |row| {
            row.body.changed.map_or(Cell::Unknown, Cell::Age)
        })
        .column(Column::new(Shape::Text, "consumers", "who uses it").joined().priority(1), move |row| {
            Consumers::of(&this(&row), row.lens).cell()
        })
        .column(started_column(), move |row| {
            Consumers::of(&this(&row), row.lens).started_cell(row.body.changed)
        })
        .column(reload_column(), move |row| Consumers::of(&this(&row), row.lens).reload_cell())
        .column(Column::new(Shape::Text, "type", "its type, where the server says it").wide(), |row| {
            row.body.kind.clone().map_or(Cell::Unknown, Cell::Text)
        })
        .verbs(&["reveal"])
        .needs(&NEEDED)
        .health(move |row| Consumers::of(&this(&row), row.lens).verdict(row.body.changed))
        .links(move |row| Consumers::of(&this(&row), row.lens).links())
        .done()
}

/// What is kept of a `SealedSecret`.
#[derive(Debug)]
pub struct SealedSecret {
    /// Whether it was unsealed.
    pub synced: Readiness,
    /// How many keys it holds.
    pub keys: usize,
    /// The scope that it can be unsealed in: `strict`, `namespace-wide` or `cluster-wide`.
    pub scope: &'static str,
    /// Whether the controller has seen the newest generation.
    pub observed: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SealedSpec {
    #[expect(clippy::zero_sized_map_values, reason = "of what is sealed only the names are read")]
    encrypted_data: Option<BTreeMap<String, IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SealedStatus<'a> {
    observed_generation: Option<i64>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

impl Slim for SealedSecret {
    type Wire<'a> = Wire<'a, SealedSpec, SealedStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let status = wire.status.unwrap_or_default();
        let annotations = wire.metadata.annotations();
        let is_set = |key: &str| annotations.get(key) == Some("true");
        let scope = if is_set("sealedsecrets.bitnami.com/cluster-wide") {
            "cluster-wide"
        } else if is_set("sealedsecrets.bitnami.com/namespace-wide") {
            "namespace-wide"
        } else {
            "strict"
        };
        let generation = wire.metadata.generation.unwrap_or_default();
        let slim = Self {
            synced: Readiness::of(status.conditions.as_deref(), "Synced", pool),
            keys: wire.spec.and_then(|spec| spec.encrypted_data).map_or(0, |keys| keys.len()),
            scope,
            observed: status.observed_generation.unwrap_or_default() >= generation,
        };
        (wire.metadata.keep(pool), slim)
    }
}

impl SealedSecret {
    fn verdict(&self) -> (Health, Text) {
        match self.synced.verdict() {
            (Health::Healthy, _) if !self.observed => {
                (Health::Progressing, Text::from("the controller has not seen the newest version"))
            }
            verdict => verdict,
        }
    }
}

fn sealed_secrets() -> Kind {
    Kind::describe::<SealedSecret>("bitnami.com", "v1alpha1", "sealedsecrets", "SealedSecret")
        .about("a Secret that lies encrypted in Git")
        .shorts(&["sealed"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Status, "synced", "whether it was unsealed").priority(1), |row| {
            row.body.synced.cell(row.body.verdict().0)
        })
        .column(Column::new(Shape::Count, "keys", "how many keys it holds").priority(3), |row| {
            Cell::Count(row.body.keys as i64)
        })
        .column(Column::new(Shape::Text, "scope", "where it can be unsealed").priority(4), |row| {
            Cell::Text(Text::from(row.body.scope))
        })
        .column(why_column(), |row| why_cell(row.body.verdict()))
        .health(|row| row.body.verdict())
        .links(|row| {
            let to = row.lens.object(&secret(), row.meta().namespace.as_ref(), &row.meta().name);
            vec![Link::one("secret", to)]
        })
        .done()
}

#[cfg(test)]
mod tests;
