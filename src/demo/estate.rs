//! Who lives on the embedded platform: tenants, their environments, their applications and what each has released.
//!
//! Plain data, drawn from the seed. The seeded objects, the git repositories and the Argo CD Applications all
//! start from it, so that they agree about every version and date. It holds no Kubernetes objects and does not
//! change after it was drawn.

use std::collections::BTreeMap;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::images::{Image, REGISTRY};
use super::world::Options;

/// What kind of stage a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Environment {
    /// Customers are on it.
    Prod,
    /// The rehearsal of production.
    Staging,
}

impl Environment {
    /// Returns the value of the `environment` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prod => "prod",
            Self::Staging => "staging",
        }
    }
}

/// The controller that runs an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Workload {
    /// Interchangeable replicas.
    Deployment,
    /// Replicas with a name and a volume each.
    StatefulSet,
    /// A job on a schedule.
    CronJob,
}

/// How an application writes its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStyle {
    /// One JSON object a line.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// Text with colours, as a framework's default does.
    Plain,
}

/// What is true of an application wherever it runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// Name of the application, of its image and of its container.
    pub name: &'static str,
    /// `app.kubernetes.io/component`.
    pub component: &'static str,
    /// Its controller.
    pub workload: Workload,
    /// TCP port that it serves; 0 where it serves none.
    pub port: u16,
    /// CPU request in millicores; the limit is four times that.
    pub cpu: i64,
    /// Memory request in MiB; the limit is one and a half times that.
    pub memory: i64,
    /// How it logs.
    pub log: LogStyle,
    /// A host on the ingress controller leads to it.
    pub public: bool,
    /// A `HorizontalPodAutoscaler` sets its replicas.
    pub autoscaled: bool,
    /// It reads credentials that External Secrets brings.
    pub secret: bool,
    /// A KEDA `ScaledObject` sets its replicas by queue length.
    pub queue: bool,
}

const fn app(
    name: &'static str,
    component: &'static str,
    port: u16,
    cpu: i64,
    memory: i64,
    log: LogStyle,
) -> Profile {
    Profile {
        name,
        component,
        workload: Workload::Deployment,
        port,
        cpu,
        memory,
        log,
        public: false,
        autoscaled: false,
        secret: false,
        queue: false,
    }
}

/// The applications a tenant may have; every tenant has the first, the rest are dealt out.
pub static PROFILES: &[Profile] = &[
    Profile { public: true, secret: true, ..app("checkout", "backend", 8080, 100, 256, LogStyle::Json) },
    Profile {
        public: true,
        autoscaled: true,
        ..app("storefront", "frontend", 3000, 100, 192, LogStyle::Plain)
    },
    Profile { secret: true, ..app("payments", "backend", 8080, 150, 320, LogStyle::Json) },
    app("catalog", "backend", 8080, 75, 192, LogStyle::Logfmt),
    Profile { autoscaled: true, secret: true, ..app("orders", "backend", 8080, 150, 384, LogStyle::Json) },
    Profile { workload: Workload::StatefulSet, ..app("cache", "cache", 6379, 50, 128, LogStyle::Plain) },
    Profile { queue: true, ..app("mailer", "worker", 9090, 50, 128, LogStyle::Logfmt) },
    app("inventory", "backend", 8080, 75, 256, LogStyle::Json),
    Profile {
        workload: Workload::CronJob,
        secret: true,
        ..app("reports", "batch", 0, 100, 256, LogStyle::Plain)
    },
    Profile { public: true, secret: true, ..app("accounts", "backend", 8443, 100, 256, LogStyle::Json) },
    app("pricing", "backend", 8080, 50, 128, LogStyle::Logfmt),
    Profile { autoscaled: true, ..app("search", "backend", 9200, 200, 512, LogStyle::Plain) },
    Profile { queue: true, ..app("notifications", "worker", 9090, 50, 128, LogStyle::Json) },
    app("recommendations", "backend", 8080, 150, 512, LogStyle::Logfmt),
    Profile { secret: true, ..app("shipping", "backend", 8080, 75, 192, LogStyle::Json) },
    app("reviews", "backend", 8080, 50, 160, LogStyle::Logfmt),
];

/// One version that was deployed, as git and the rollout history tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The version, which is also the image tag.
    pub version: String,
    /// When it went live.
    pub at: Timestamp,
    /// Who committed it.
    pub author: &'static str,
    /// Why, in the words of the commit.
    pub message: String,
}

/// One application of one tenant in one environment: what one Argo CD Application deploys.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Name of the workload and its objects, such as `checkout`.
    pub name: String,
    /// The tenant that it belongs to.
    pub tenant: String,
    /// The namespace that it runs in.
    pub namespace: String,
    /// The stage.
    pub environment: Environment,
    /// What is true of it everywhere.
    pub profile: &'static Profile,
    /// Replicas wanted where nothing scales it.
    pub replicas: u32,
    /// Versions that went live, oldest first; the last one runs. Never empty.
    pub releases: Vec<Release>,
}

impl App {
    /// Returns the version that runs.
    pub fn version(&self) -> &str {
        self.releases.last().map_or("0.0.0", |release| release.version.as_str())
    }

    /// Returns the image without its tag, such as `registry.example.com/shop/checkout`.
    pub fn repository(&self) -> String {
        format!("{REGISTRY}/shop/{}", self.profile.name)
    }

    /// Returns the image of a version.
    pub fn image(&self, version: &str) -> Image {
        Image::new(&self.repository(), version)
    }

    /// Returns the name that is unique in the cluster: namespace and application.
    pub fn full_name(&self) -> String {
        format!("{}-{}", self.namespace, self.name)
    }
}

/// One namespace of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Name of the namespace.
    pub namespace: String,
    /// The stage.
    pub environment: Environment,
    /// What runs in it.
    pub apps: Vec<App>,
}

/// A tenant of the platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Name, such as `tenant-2`.
    pub name: String,
    /// The team that answers for it.
    pub team: &'static str,
    /// When its first namespace was created.
    pub since: Timestamp,
    /// Its namespaces, production first.
    pub stages: Vec<Stage>,
}

/// Everybody who lives on the platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Estate {
    /// The tenants, in the order of their numbers.
    pub tenants: Vec<Tenant>,
    /// Applications whose certificate could not be renewed, by [`App::full_name`], with the seconds that it has left.
    pub ending: BTreeMap<String, f64>,
}

const TEAMS: &[&str] =
    &["payments", "growth", "retail", "logistics", "loyalty", "marketplace", "identity", "media"];
const AUTHORS: &[&str] = &["ci-bot", "maria.lopez", "jonas.weber", "priya.nair", "ci-bot", "sam.okafor"];
const REASONS: &[&str] = &[
    "fix rounding of totals",
    "raise connection pool",
    "update base image",
    "retry on gateway timeout",
    "add request id to logs",
    "bump client library",
    "reduce allocations in hot path",
    "new endpoint for partners",
];

impl Estate {
    /// Draws the tenants and their applications; the same options and `now` give the same estate.
    pub fn new(options: &Options, now: Timestamp) -> Self {
        let mut rng = super::world::rng(options.seed, "estate");
        let per_tenant = options.applications.map(|n| share(n, options.tenants));
        let tenants = (0..options.tenants)
            .map(|index| {
                let apps = per_tenant.as_ref().map(|shares| shares[index]);
                tenant(index, apps, options.pods_per_tenant, &mut rng, now)
            })
            .collect();
        Self { tenants, ending: BTreeMap::new() }
    }

    /// Returns every application with its tenant.
    pub fn apps(&self) -> impl Iterator<Item = (&Tenant, &App)> {
        self.tenants.iter().flat_map(|tenant| {
            tenant.stages.iter().flat_map(move |stage| stage.apps.iter().map(move |app| (tenant, app)))
        })
    }
}

/// Splits `total` into `parts` that differ by one at most.
fn share(total: usize, parts: usize) -> Vec<usize> {
    let parts = parts.max(1);
    (0..parts).map(|i| total / parts + usize::from(i < total % parts)).collect()
}

fn tenant(index: usize, apps: Option<usize>, pods: usize, rng: &mut Rng, now: Timestamp) -> Tenant {
    let name = format!("tenant-{}", index + 1);
    let since = ago(now, SignedDuration::from_hours(24 * rng.i64(200..700)));
    // Every second tenant rehearses on the same cluster, with a quarter of the pods.
    let staging = index % 2 == 1 && pods >= 8 && apps.is_none_or(|n| n >= 4);
    let total = apps.unwrap_or_else(|| (pods / 3).clamp(1, 6) + usize::from(staging) * 2);
    let (prod_apps, staging_apps) = if staging { (total - total / 4, total / 4) } else { (total, 0) };
    let (prod_pods, staging_pods) = if staging { (pods - pods / 4, pods / 4) } else { (pods, 0) };
    let mut stages = vec![stage(&name, &name, Environment::Prod, index, prod_apps, prod_pods, rng, now)];
    if staging {
        let namespace = format!("{name}-staging");
        stages.push(stage(
            &name,
            &namespace,
            Environment::Staging,
            index,
            staging_apps,
            staging_pods,
            rng,
            now,
        ));
    }
    Tenant { name, team: TEAMS[index % TEAMS.len()], since, stages }
}

#[expect(
    clippy::too_many_arguments,
    reason = "called twice, above; a struct would say the same in more lines"
)]
fn stage(
    tenant: &str,
    namespace: &str,
    environment: Environment,
    index: usize,
    apps: usize,
    pods: usize,
    rng: &mut Rng,
    now: Timestamp,
) -> Stage {
    let mut list: Vec<App> = (0..apps)
        .map(|at| {
            // The first is checkout everywhere; the others start at another place for each tenant.
            let round = at / PROFILES.len();
            let slot = at % PROFILES.len();
            let profile = if slot == 0 {
                &PROFILES[0]
            } else {
                &PROFILES[1 + (slot - 1 + index * 3) % (PROFILES.len() - 1)]
            };
            let name =
                if round == 0 { profile.name.to_owned() } else { format!("{}-{}", profile.name, round + 1) };
            App {
                name,
                tenant: tenant.to_owned(),
                namespace: namespace.to_owned(),
                environment,
                profile,
                replicas: 1,
                releases: releases(rng, now),
            }
        })
        .collect();
    // Cron jobs run now and then, so they take no share of the pods that always run.
    let steady: Vec<usize> =
        (0..list.len()).filter(|at| list[*at].profile.workload != Workload::CronJob).collect();
    for (share, at) in share(pods, steady.len()).into_iter().zip(steady) {
        list[at].replicas = u32::try_from(share.max(1)).unwrap_or(u32::MAX);
    }
    Stage { namespace: namespace.to_owned(), environment, apps: list }
}

fn releases(rng: &mut Rng, now: Timestamp) -> Vec<Release> {
    let count = rng.usize(3..7);
    let (major, minor, mut patch) = (rng.u32(1..4), rng.u32(0..12), rng.u32(0..4));
    // From a few hours to two weeks between one release and the next, the last at least an hour ago.
    let mut at = ago(now, SignedDuration::from_secs(rng.i64(3_600..6 * 86_400)));
    let mut dates: Vec<Timestamp> = (0..count)
        .map(|_| {
            let date = at;
            at = ago(at, SignedDuration::from_secs(rng.i64(4 * 3_600..14 * 86_400)));
            date
        })
        .collect();
    dates.reverse();
    dates
        .into_iter()
        .map(|at| {
            patch += 1;
            Release {
                version: format!("{major}.{minor}.{patch}"),
                at,
                author: rng.choice(AUTHORS).copied().unwrap_or("ci-bot"),
                message: rng.choice(REASONS).copied().unwrap_or("release").to_owned(),
            }
        })
        .collect()
}

/// Returns the moment that lies `by` before `now`, in whole seconds as Kubernetes writes them.
pub(super) fn ago(now: Timestamp, by: SignedDuration) -> Timestamp {
    let at = now.checked_sub(by).unwrap_or(Timestamp::MIN);
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
