//! Applications on the wire: the fields that are read, and what is kept of them.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::applications::{Application, AutoSync, Condition, Deploy, Held, Managed, Operation, Source};
use super::decode::Slim;
use super::wire::{Opt, Str, WireMeta, as_str, own, share, time};
use super::{Meta, Pool};
use crate::identity::Text;
use crate::text::one_line;

/// The annotation in which the console remembers that it holds auto-sync.
const HELD: &str = "opsdeck.dev/autosync-held";

/// The annotation by which Argo CD marks what it manages.
const TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// Reads a tracking mark: `app:group/kind:namespace/name`, where `app` is `namespace_name` for an Application
/// outside the control plane's namespace.
fn tracked_by(mark: &str) -> Option<(Option<Text>, Text)> {
    let (app, _) = mark.split_once(':')?;
    // Names of objects hold no underscore.
    match app.split_once('_') {
        Some((namespace, name)) => Some((Some(Text::from(namespace)), Text::from(name))),
        None if app.is_empty() => None,
        None => Some((None, Text::from(app))),
    }
}

/// Reads the note of a hold; one that cannot be read is still a hold.
fn held(note: &str) -> Held {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Note {
        by: String,
        at: Option<String>,
        until: Option<String>,
        reason: String,
    }
    let note: Note = serde_json::from_str(note).unwrap_or_default();
    let moment = |text: Option<String>| text.and_then(|text| text.parse().ok());
    // Escapes inside the note were not seen when the object was cleaned.
    let clean = |text: &str| Text::from(&*one_line(text));
    Held { by: clean(&note.by), at: moment(note.at), until: moment(note.until), reason: clean(&note.reason) }
}

#[derive(Debug, Deserialize)]
pub(super) struct WireApplication<'a> {
    #[serde(borrow)]
    metadata: WireMeta<'a>,
    #[serde(borrow)]
    spec: Option<WireSpec<'a>>,
    #[serde(borrow)]
    status: Option<WireStatus<'a>>,
    operation: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSpec<'a> {
    #[serde(borrow)]
    project: Opt<'a>,
    #[serde(borrow)]
    source: Option<WireSource<'a>>,
    #[serde(borrow)]
    sources: Option<Vec<WireSource<'a>>>,
    #[serde(borrow)]
    source_hydrator: Option<WireHydrator<'a>>,
    #[serde(borrow)]
    destination: Option<WireDestination<'a>>,
    sync_policy: Option<WirePolicy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSource<'a> {
    #[serde(borrow, rename = "repoURL")]
    repo_url: Opt<'a>,
    #[serde(borrow)]
    path: Opt<'a>,
    #[serde(borrow)]
    chart: Opt<'a>,
    #[serde(borrow)]
    target_revision: Opt<'a>,
}

impl WireSource<'_> {
    fn keep(&self, pool: &mut Pool) -> Source {
        let path = if as_str(&self.chart).is_empty() { as_str(&self.path) } else { as_str(&self.chart) };
        Source {
            repository: pool.share(as_str(&self.repo_url)),
            path: pool.share(path),
            target: pool.share(as_str(&self.target_revision)),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireHydrator<'a> {
    #[serde(borrow)]
    dry_source: Option<WireSource<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct WireDestination<'a> {
    #[serde(borrow)]
    server: Opt<'a>,
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    namespace: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct WirePolicy {
    automated: Option<WireAutomated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAutomated {
    enabled: Option<bool>,
    prune: Option<bool>,
    self_heal: Option<bool>,
}

impl WireAutomated {
    fn keep(&self) -> AutoSync {
        if self.enabled.unwrap_or(true) {
            AutoSync::On {
                prune: self.prune.unwrap_or_default(),
                self_heal: self.self_heal.unwrap_or_default(),
            }
        } else {
            AutoSync::Disabled
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatus<'a> {
    #[serde(borrow)]
    sync: Option<WireSync<'a>>,
    #[serde(borrow)]
    health: Option<WireHealth<'a>>,
    #[serde(borrow)]
    history: Option<Vec<WireDeploy<'a>>>,
    #[serde(borrow)]
    operation_state: Option<WireOperation<'a>>,
    #[serde(borrow)]
    conditions: Option<Vec<WireAppCondition<'a>>>,
    #[serde(borrow)]
    reconciled_at: Opt<'a>,
    #[serde(borrow)]
    resources: Option<Vec<WireManaged<'a>>>,
    #[serde(borrow)]
    summary: Option<WireSummary<'a>>,
    #[serde(borrow)]
    controller_namespace: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct WireSync<'a> {
    #[serde(borrow)]
    status: Opt<'a>,
    #[serde(borrow)]
    revision: Opt<'a>,
    #[serde(borrow)]
    revisions: Option<Vec<Str<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireHealth<'a> {
    #[serde(borrow)]
    status: Opt<'a>,
    #[serde(borrow)]
    message: Opt<'a>,
    #[serde(borrow)]
    last_transition_time: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDeploy<'a> {
    id: Option<i64>,
    #[serde(borrow)]
    revision: Opt<'a>,
    #[serde(borrow)]
    revisions: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    deploy_started_at: Opt<'a>,
    #[serde(borrow)]
    deployed_at: Opt<'a>,
    #[serde(borrow)]
    initiated_by: Option<WireInitiator<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct WireInitiator<'a> {
    #[serde(borrow)]
    username: Opt<'a>,
    automated: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOperation<'a> {
    #[serde(borrow)]
    phase: Opt<'a>,
    #[serde(borrow)]
    message: Opt<'a>,
    #[serde(borrow)]
    started_at: Opt<'a>,
    #[serde(borrow)]
    finished_at: Opt<'a>,
    #[serde(borrow)]
    operation: Option<WireRequest<'a>>,
    #[serde(borrow)]
    sync_result: Option<WireSyncResult<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    #[serde(borrow)]
    initiated_by: Option<WireInitiator<'a>>,
    #[serde(borrow)]
    sync: Option<WireSyncResult<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct WireSyncResult<'a> {
    #[serde(borrow)]
    revision: Opt<'a>,
    #[serde(borrow)]
    revisions: Option<Vec<Str<'a>>>,
}

impl WireSyncResult<'_> {
    fn keep(&self, pool: &mut Pool) -> Option<Text> {
        first_revision(&self.revision, self.revisions.as_deref(), pool)
    }
}

fn first_revision(one: &Opt<'_>, several: Option<&[Str<'_>]>, pool: &mut Pool) -> Option<Text> {
    // Of several sources the single field is empty.
    share(one, pool).or_else(|| several.and_then(<[_]>::first).map(|revision| pool.share(revision.as_str())))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAppCondition<'a> {
    #[serde(borrow, rename = "type")]
    name: Opt<'a>,
    #[serde(borrow)]
    message: Opt<'a>,
    #[serde(borrow)]
    last_transition_time: Opt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireManaged<'a> {
    #[serde(borrow)]
    group: Opt<'a>,
    #[serde(borrow)]
    kind: Opt<'a>,
    #[serde(borrow)]
    namespace: Opt<'a>,
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    status: Opt<'a>,
    #[serde(borrow)]
    health: Option<WireHealth<'a>>,
    hook: Option<bool>,
    requires_pruning: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
struct WireSummary<'a> {
    #[serde(borrow)]
    images: Option<Vec<Str<'a>>>,
}

impl WireManaged<'_> {
    fn keep(&self, pool: &mut Pool) -> Managed {
        Managed {
            group: pool.share(as_str(&self.group)),
            kind: pool.share(as_str(&self.kind)),
            namespace: share(&self.namespace, pool),
            name: pool.share(as_str(&self.name)),
            sync: share(&self.status, pool),
            health: self.health.as_ref().and_then(|health| share(&health.status, pool)),
            hook: self.hook.unwrap_or_default(),
            prunable: self.requires_pruning.unwrap_or_default(),
        }
    }
}

impl WireOperation<'_> {
    fn keep(&self, pool: &mut Pool) -> Operation {
        let request = self.operation.as_ref();
        let by = request.and_then(|request| request.initiated_by.as_ref());
        let asked = request.and_then(|request| request.sync.as_ref());
        Operation {
            phase: pool.share(as_str(&self.phase)),
            message: share(&self.message, pool),
            started: time(&self.started_at),
            finished: time(&self.finished_at),
            revision: asked
                .and_then(|sync| sync.keep(pool))
                .or_else(|| self.sync_result.as_ref().and_then(|sync| sync.keep(pool))),
            by: by.and_then(|by| share(&by.username, pool)),
            automated: by.and_then(|by| by.automated).unwrap_or_default(),
        }
    }
}

impl WireDeploy<'_> {
    fn keep(&self, pool: &mut Pool) -> Deploy {
        let by = self.initiated_by.as_ref();
        Deploy {
            id: self.id.unwrap_or_default(),
            revision: first_revision(&self.revision, self.revisions.as_deref(), pool)
                .unwrap_or_else(|| pool.share("")),
            started: time(&self.deploy_started_at),
            at: time(&self.deployed_at),
            by: by.and_then(|by| share(&by.username, pool)),
            automated: by.and_then(|by| by.automated).unwrap_or_default(),
        }
    }
}

impl Slim for Application {
    type Wire<'a> = WireApplication<'a>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let spec = wire.spec.unwrap_or_default();
        let status = wire.status.unwrap_or_default();
        let annotations = wire.metadata.annotations();
        // Sources go before source; a hydrator's dry source goes before both.
        let hydrated = spec.source_hydrator.and_then(|hydrator| hydrator.dry_source);
        let sources = match (hydrated, spec.sources.filter(|sources| !sources.is_empty())) {
            (Some(dry), _) => vec![dry],
            (None, Some(several)) => several,
            (None, None) => spec.source.into_iter().collect(),
        };
        let destination = spec.destination.unwrap_or_default();
        let sync = status.sync.unwrap_or_default();
        let health = status.health.unwrap_or_default();
        let revisions = match sync.revisions.filter(|revisions| !revisions.is_empty()) {
            Some(several) => several.iter().map(|revision| pool.share(revision.as_str())).collect(),
            None => share(&sync.revision, pool).into_iter().collect(),
        };
        let or_unknown =
            |word: &Opt<'_>, pool: &mut Pool| share(word, pool).unwrap_or_else(|| pool.share("Unknown"));
        let images = status.summary.unwrap_or_default().images.unwrap_or_default();
        let slim = Self {
            project: pool.share(as_str(&spec.project)),
            sources: sources.iter().map(|source| source.keep(pool)).collect(),
            cluster: share(&destination.server, pool).or_else(|| share(&destination.name, pool)),
            namespace: share(&destination.namespace, pool),
            sync: or_unknown(&sync.status, pool),
            revisions,
            health: or_unknown(&health.status, pool),
            health_message: own(&health.message),
            health_since: time(&health.last_transition_time),
            auto_sync: spec
                .sync_policy
                .and_then(|policy| policy.automated)
                .map_or(AutoSync::Off, |automated| automated.keep()),
            held: annotations.get(HELD).map(|note| Box::new(held(note))),
            operation: status.operation_state.as_ref().map(|operation| operation.keep(pool)),
            requested: wire.operation.is_some(),
            refreshing: annotations.get("argocd.argoproj.io/refresh").map(|kind| pool.share(kind)),
            skipped: annotations.get("argocd.argoproj.io/skip-reconcile") == Some("true"),
            compared: time(&status.reconciled_at),
            history: status.history.iter().flatten().map(|deploy| deploy.keep(pool)).collect(),
            images: images.iter().map(|image| pool.share(image.as_str())).collect(),
            conditions: status
                .conditions
                .iter()
                .flatten()
                .map(|condition| Condition {
                    name: pool.share(as_str(&condition.name)),
                    message: pool.share(as_str(&condition.message)),
                    at: time(&condition.last_transition_time),
                })
                .collect(),
            resources: status.resources.iter().flatten().map(|resource| resource.keep(pool)).collect(),
            parent: annotations.get(TRACKING).and_then(tracked_by),
            controller: share(&status.controller_namespace, pool),
        };
        (wire.metadata.keep(pool), slim)
    }
}
