//! Sets the stage and plays a story: from the options of the platform to a world in which it happens.
//!
//! It acts from outside only, as CI, a cloud or a person would; it never writes a status.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::argo::REFRESH;
use super::argo_manifests::NAMESPACE;
use super::argo_render::migration_image;
use super::argo_seed::{app_of, install};
use super::gitops::{DEPLOY_URL, Gitops, GitopsError, PLATFORM_URL};
use super::manifests::checksum;
use super::numbers::DNS;
use super::objects::Key;
use super::scanner;
use super::stories::{Act, Step, Story, StoryError};
use super::surroundings::lookups;
use super::types::Type;
use super::untyped::{at, later, mark, put, text, units};
use super::view::{Seen, View};
use super::world::{Controller, Cx, Options, World};

/// Why a platform cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The story.
    #[error(transparent)]
    Story(#[from] StoryError),
    /// The repositories.
    #[error(transparent)]
    Gitops(#[from] GitopsError),
}

/// Seconds of one step while the time before a client first looks is played.
const STRIDE: f64 = 5.0;

/// Makes a world with everything on it, at `now`, with the story of the options under way; the git repositories are
/// made in `state`, which must be empty.
pub fn begin(options: &Options, now: Timestamp, state: &Path) -> Result<World, BeginError> {
    let story = Story::find(&options.story)?;
    let start = later(now, -story.begins);
    let mut world = World::empty(options, start);
    story.prepare(&mut world.estate)?;
    super::seed::seed(&mut world);
    install(&mut world, state)?;
    let gitops = Gitops::open(state)?;
    let steps = story.steps.into_iter().map(|Step { at, act }| (later(now, at), act)).collect();
    let told = gitops.heads()?;
    world.add_controller(Box::new(Director { gitops, steps, done: 0, told, listens: start }));
    while world.now() < now {
        let next = later(world.now(), STRIDE).min(now);
        world.step(next);
    }
    Ok(world)
}

/// The controller that does what the story says, when its time comes.
#[derive(Debug)]
struct Director {
    gitops: Gitops,
    steps: Vec<(Timestamp, Act)>,
    done: usize,
    /// The newest commit of each repository that Argo CD was told of, and when to look again.
    told: Heads,
    listens: Timestamp,
}

/// The newest commits of the repositories.
type Heads = [String; 2];

/// Seconds from a push until the webhook of the git server has told Argo CD of it, at most.
const WEBHOOK: f64 = 3.0;

impl Controller for Director {
    fn name(&self) -> &'static str {
        "story"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        // One key is enough to hang the timers on.
        if seen.key.kind == Type::Namespace && seen.key.name.as_ref() == NAMESPACE {
            keys.push(seen.key.clone());
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        // Before the story pushes anything itself.
        if self.listens <= cx.now {
            if let Err(error) = self.listen(cx) {
                tracing::warn!(%error, "a push was not noticed");
            }
            self.listens = later(cx.now, WEBHOOK);
        }
        let mut next = self.listens;
        while let Some((due, act)) = self.steps.get(self.done) {
            if *due > cx.now {
                next = next.min(*due);
                break;
            }
            if let Err(error) = perform(&mut self.gitops, act, cx) {
                tracing::warn!(%error, "a step of the story failed");
            }
            self.done += 1;
            if let Ok(heads) = self.gitops.heads() {
                self.told = heads;
            }
        }
        cx.at(next, key);
    }
}

impl Director {
    /// Tells Argo CD of what somebody pushed, as the webhook of the git server does.
    fn listen(&mut self, cx: &mut Cx<'_>) -> Result<(), GitopsError> {
        let heads = self.gitops.heads()?;
        if heads == self.told {
            return Ok(());
        }
        let told = std::mem::replace(&mut self.told, heads);
        for (repository, (was, is)) in [DEPLOY_URL, PLATFORM_URL].into_iter().zip(told.iter().zip(&self.told))
        {
            if was == is {
                continue;
            }
            let files = self.gitops.changed(repository, was, is)?;
            let folders: Vec<&str> =
                files.iter().map(|file| file.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
            let reads = |json: &str| {
                json.contains(repository)
                    && (repository == PLATFORM_URL
                        || folders
                            .iter()
                            .any(|folder| *folder == "base" || json.contains(&format!("{folder}/"))))
            };
            let concerned: Vec<String> = cx
                .objects
                .list(Type::Application, None)
                .filter(|app| std::str::from_utf8(&app.json).is_ok_and(reads))
                .map(|app| app.key.name.to_string())
                .collect();
            for application in concerned {
                notify(&application, cx);
            }
        }
        Ok(())
    }
}

fn perform(gitops: &mut Gitops, act: &Act, cx: &mut Cx<'_>) -> Result<(), GitopsError> {
    match act {
        Act::Commit { app, version } => {
            if let Some(app) = app_of(cx.estate, app) {
                gitops.commit_version(app, version, "ci-bot", cx.now)?;
                notify(&app.full_name(), cx);
            }
        }
        Act::Image { app, version, behaviour, hook } => {
            if let Some(app) = app_of(cx.estate, app) {
                let image = if *hook { migration_image(app, version) } else { app.image(version) };
                cx.images.set(image, *behaviour);
            }
        }
        // Projects are in git, and a hand edit of one would be healed away.
        Act::Window { project, name, lasts, manual } => {
            let mut window = window(name, *lasts, cx.now);
            window["manualSync"] = json!(manual);
            gitops.commit_window(project, window, "maria.lopez", cx.now)?;
            notify("platform", cx);
        }
        Act::Setting { app, also, key, value, behaviour, message } => {
            if let Some(app) = app_of(cx.estate, app) {
                let setting = (key.as_str(), value.as_str());
                let values = gitops.commit_setting(app, also, setting, (message, "jonas.weber"), cx.now)?;
                cx.images.set_settings(&checksum(app, &values), *behaviour);
                notify(&app.full_name(), cx);
            }
        }
        Act::Interrupt { tenant } => interrupt(tenant, cx),
        Act::Sync { app } => deploy(app, cx),
        Act::Leak { app } => {
            if let Some(app) = app_of(cx.estate, app) {
                let secret = format!("{}-credentials", app.name);
                scanner::found(&Key::new(Type::Secret, &app.namespace, &secret), cx);
            }
        }
        Act::Rotation { app, fails } => {
            if let Some(app) = app_of(cx.estate, app) {
                cx.vault.set_failing(&format!("{}/{}", app.namespace, app.name), *fails);
            }
        }
        Act::Lookups { failing } => {
            cx.chronicle.signal(DNS, *failing, cx.now);
            lookups(cx);
        }
        Act::Quota { namespace, room } => cut(namespace, *room, cx),
        Act::Budget { namespace, name, unavailable } => {
            let key = Key::new(Type::PodDisruptionBudget, namespace, name);
            cx.update(&key, |budget| put(budget, &["spec", "maxUnavailable"], *unavailable));
        }
        Act::Issuer { name, zone } => {
            let key = Key::new(Type::ClusterIssuer, "", name);
            cx.update(&key, |issuer| {
                if let Some(solver) = issuer.pointer_mut("/spec/acme/solvers/0/dns01/route53") {
                    put(solver, &["hostedZoneID"], zone.as_str());
                }
            });
        }
    }
    Ok(())
}

/// Tells Argo CD of a push, as the webhook of the git server does.
fn notify(application: &str, cx: &mut Cx<'_>) {
    let key = Key::new(Type::Application, NAMESPACE, application);
    cx.update(&key, |app| mark(app, "annotations", REFRESH, "normal"));
}

/// Returns a deny window that opens now.
fn window(name: &str, lasts: f64, now: Timestamp) -> Value {
    let opens = now.to_zoned(TimeZone::UTC);
    // A window opens with a minute, and its day and month keep it from coming back tomorrow.
    let schedule = opens.strftime("%-M %-H %-d %-m *").to_string();
    let minutes = (lasts / 60.0).round();
    json!({
        "kind": "deny", "schedule": schedule, "duration": format!("{minutes}m"),
        "applications": ["*"], "manualSync": false, "timeZone": "UTC", "description": name,
    })
}

/// Starts an operation, as a person does with `argocd app sync`.
fn deploy(application: &str, cx: &mut Cx<'_>) {
    let key = Key::new(Type::Application, NAMESPACE, application);
    cx.update(&key, |app| {
        app["operation"] = json!({
            "initiatedBy": {"username": "maria.lopez", "automated": false},
            "sync": {"prune": false, "syncOptions": app["spec"]["syncPolicy"]["syncOptions"]},
        });
        if let Some(status) = app["status"].as_object_mut() {
            status.remove("operationState");
        }
    });
}

/// Cuts the quotas of a namespace down to what it uses.
fn cut(namespace: &str, room: i64, cx: &mut Cx<'_>) {
    let quotas: Vec<Key> =
        cx.objects.list(Type::ResourceQuota, Some(namespace)).map(|quota| quota.key.clone()).collect();
    for key in quotas {
        cx.update(&key, |quota| {
            let used = units(at(quota, "/status/used/pods"));
            put(quota, &["spec", "hard", "pods"], (used + room).to_string());
        });
    }
}

/// Takes back the spot node on which most pods of a tenant run.
fn interrupt(tenant: &str, cx: &mut Cx<'_>) {
    let of_tenant = |name: &str| {
        cx.view
            .on_node(name)
            .filter(|(key, _)| {
                key.namespace.as_ref() == tenant || key.namespace.starts_with(&format!("{tenant}-"))
            })
            .count()
    };
    let node = cx
        .view
        .nodes()
        .filter(|(_, node)| node.object.label("karpenter.sh/capacity-type") == Some("spot"))
        .map(|(name, _)| (of_tenant(name), name.clone()))
        .max();
    let Some((_, node)) = node else { return };
    let claim = cx
        .objects
        .list(Type::NodeClaim, None)
        .find(|claim| text(&claim.value(), "/status/nodeName") == node.as_ref())
        .map(|claim| claim.key.clone());
    if let Some(claim) = claim {
        super::disruption::interrupt(cx, &claim);
    }
}
