//! The running platform: one task owns the world, the server talks to it.
//!
//! Everything that reads or changes the world is a closure sent to that task; nobody else ever holds it. Dropping
//! [`Running`] ends all of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::access::Access;
use super::alertmanager::Alertmanager;
use super::argo_render::Renderer;
use super::backends;
use super::cloudwatch;
use super::crds;
use super::credentials::{self, Credentials};
use super::director::{self, BeginError};
use super::exposition;
use super::gitops::{DEPLOY_URL, Gitops, PLATFORM_URL};
use super::numbers::Numbers;
use super::owner::Owner;
use super::plain::{self, Plain};
use super::proxy::Backends;
use super::scrape_config::{Scraper, Written};
use super::secrets_manager;
use super::server;
use super::status::{Reason, Status};
use super::stories::StoryError;
use super::world::{self, World};
use crate::clock::Clock;
use crate::contain;

/// Commands that may wait for the world; more callers than this wait for a place.
const QUEUE: usize = 1_024;

/// How long the world moves in one go; requests wait no longer than this and one reconcile. It rests for as long
/// again, so that it takes at most half of one core from those who ask.
const SLICE: Duration = Duration::from_millis(2);

/// How long requests may keep the world from moving.
const PATIENCE: Duration = Duration::from_millis(20);

/// How often the changes of a step that takes longer are told to watchers, each of whom then asks for them.
const TELLING: Duration = Duration::from_millis(20);

/// How to start a platform.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is on it.
    pub world: world::Options,
    /// TCP port on the loopback interface; 0 takes a free one.
    pub port: u16,
    /// Where to write the kubeconfig; `None` is a new file in the system's temporary folder.
    pub kubeconfig: Option<PathBuf>,
    /// The time of the world.
    pub clock: Clock,
    /// An empty or missing directory for the git repositories; `None` is a new one in the system's temporary folder,
    /// which goes when the platform ends.
    pub state: Option<PathBuf>,
    /// How often the world moves; `None` only when [`Handle::step`] is called.
    pub pace: Option<Duration>,
    /// Servers inside the cluster beside the platform's own, or in their place.
    pub backends: Backends,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            world: world::Options::default(),
            port: 0,
            kubeconfig: None,
            clock: Clock::system(),
            state: None,
            pace: Some(Duration::from_millis(250)),
            backends: Backends::default(),
        }
    }
}

/// Why a platform did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken or not permitted.
    #[error(
        "port {port} on 127.0.0.1 cannot be used: {source}; choose another with --port, or 0 for a free one"
    )]
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The kubeconfig cannot be written.
    #[error("the kubeconfig {} cannot be written: {source}", path.display())]
    Kubeconfig {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a file that some other program wrote.
    #[error("{} is not a kubeconfig of opsdeck demo and is left alone; choose another with --kubeconfig", .0.display())]
    Foreign(PathBuf),
    /// Another platform serves the same kubeconfig.
    #[error("another opsdeck demo is running and uses {}; end it, or choose another with --kubeconfig", .0.display())]
    Twice(PathBuf),
    /// Certificates cannot be made.
    #[error("the certificates of the embedded platform cannot be made: {0}")]
    Certificate(String),
    /// There is no such story, or it cannot be played on a platform of this size.
    #[error(transparent)]
    Story(#[from] StoryError),
    /// The world cannot be made.
    #[error("the world of the embedded platform cannot be made: {0}")]
    World(String),
}

type Command = Box<dyn FnOnce(&mut World, Timestamp) + Send>;

/// A way to the world.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    revision: watch::Receiver<u64>,
}

impl Handle {
    /// Runs a closure on the world, at the platform's present time, and returns what it returns.
    pub async fn call<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut World, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let (sender, receiver) = oneshot::channel();
        let command: Command = Box::new(move |world, now| {
            // The caller may have gone away; then nobody wants the answer.
            let _ = sender.send(run(world, now));
        });
        // Nobody steps the world any more: for the client the server is going away, it is not broken.
        let gone = || Status::new(Reason::ServiceUnavailable, "the embedded platform is ending");
        self.commands.send(command).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())
    }

    /// Moves the world to the platform's present time.
    pub async fn step(&self) -> Result<(), Status> {
        self.call(World::step).await
    }

    /// Returns the revision of the latest change, to wait on.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.clone()
    }
}

/// A platform that serves until it is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where the Kubernetes API is, such as `https://127.0.0.1:6443`.
    pub url: String,
    /// The kubeconfig that was written.
    pub kubeconfig: PathBuf,
    /// The way to the world.
    pub handle: Handle,
    /// The way to the Alertmanager.
    pub alertmanager: Owner<Alertmanager>,
    /// CloudWatch of the account; [`cloudwatch::ACCESS_KEY_ID`] is the key that it takes.
    pub cloudwatch: Plain,
    /// Secrets Manager of the account; it takes the same key.
    pub secrets_manager: Plain,
    scraper: Scraper,
    state: State,
    stop: CancellationToken,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Running {
    /// Returns the directory that holds the git repositories, `deploy.git` and `platform.git`.
    pub fn state(&self) -> &std::path::Path {
        &self.state.path
    }

    /// Writes the key that CloudWatch takes, as a file of AWS credentials, and returns where; it goes with the platform.
    pub fn write_aws_credentials(&self) -> io::Result<PathBuf> {
        std::fs::create_dir_all(&self.state.path)?;
        let path = std::path::absolute(self.state.path.join("aws-credentials"))?;
        let text = format!(
            "{}\n[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            credentials::MARK,
            cloudwatch::ACCESS_KEY_ID,
            cloudwatch::SECRET_ACCESS_KEY
        );
        credentials::write_kubeconfig(&path, &text)?;
        Ok(path)
    }

    /// Returns where the repositories that Applications name lie.
    pub fn repositories(&self) -> [(&'static str, String); 2] {
        let at = |name: &str| {
            let path = self.state.path.join(name);
            std::path::absolute(&path).unwrap_or(path).display().to_string()
        };
        [(DEPLOY_URL, at("deploy.git")), (PLATFORM_URL, at("platform.git"))]
    }

    /// Writes a git configuration by which any git finds the repositories under the URLs of the Applications, and
    /// returns where; it goes with the platform. `GIT_CONFIG_GLOBAL` names it to git.
    pub fn write_git_config(&self) -> io::Result<PathBuf> {
        std::fs::create_dir_all(&self.state.path)?;
        let path = std::path::absolute(self.state.path.join("gitconfig"))?;
        let each = self.repositories().map(|(url, here)| format!("[url \"{here}\"]\n\tinsteadOf = {url}\n"));
        std::fs::write(&path, each.concat())?;
        Ok(path)
    }

    /// Writes the configuration of a Prometheus that scrapes everything, beside the kubeconfig; it goes with what is
    /// returned. `interval` is such as `30s`.
    pub async fn write_scrape_config(&self, interval: &str) -> io::Result<Written> {
        let numbers = self.handle.call(|world, now| Numbers::at(world, now)).await;
        let numbers = numbers.map_err(|status| io::Error::other(status.message))?;
        self.scraper.write(&self.kubeconfig, &numbers, interval)
    }
}

/// The directory of the git repositories.
#[derive(Debug)]
struct State {
    path: PathBuf,
    /// It is in the temporary folder and goes with the platform.
    temporary: bool,
}

impl State {
    fn new(chosen: Option<&std::path::Path>, port: u16) -> Self {
        if let Some(path) = chosen {
            return Self { path: path.to_owned(), temporary: false };
        }
        let path = std::env::temp_dir().join(format!("opsdeck-demo-{}-{port}", std::process::id()));
        // What an earlier process with this number has left when it was killed.
        let _ = std::fs::remove_dir_all(&path);
        Self { path, temporary: true }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.temporary {
            // Whoever still reads the repositories has them open; nothing else needs the directory.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        // A kubeconfig of a server that is gone helps nobody; another platform's is not ours to remove.
        let ours = std::fs::read_to_string(&self.kubeconfig).is_ok_and(|text| text.contains(&self.url));
        if ours {
            let _ = std::fs::remove_file(&self.kubeconfig);
        }
    }
}

/// The embedded platform.
#[derive(Debug)]
pub struct Platform;

impl Platform {
    /// Makes the world, binds the port, writes the kubeconfig and serves.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        if let Some(path) = &options.kubeconfig {
            refuse_taken(path).await?;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let port = |source| StartError::Port { port: options.port, source };
        let listener = TcpListener::bind(address).await.map_err(port)?;
        let bound = listener.local_addr().map_err(port)?;
        let credentials = Credentials::generate()?;

        let now = options.clock.now();
        let wanted = options.world.clone();
        let state = State::new(options.state.as_deref(), bound.port());
        let repositories = state.path.clone();
        let mut world = tokio::task::spawn_blocking(move || director::begin(&wanted, now, &repositories))
            .await
            .map_err(|error| StartError::World(error.to_string()))?
            .map_err(|error| match error {
                BeginError::Story(error) => StartError::Story(error),
                BeginError::Gitops(error) => StartError::World(error.to_string()),
            })?;
        if let Err(status) = crds::define(&mut world.objects, now) {
            tracing::warn!(%status, "a custom resource of the embedded platform has no definition");
        }
        let access = Access::new(&world.objects);
        let estate = world.estate.clone();

        let url = format!("https://127.0.0.1:{}", bound.port());
        let kubeconfig = options.kubeconfig.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!("opsdeck-demo-{}-{}.yaml", std::process::id(), bound.port()))
        });
        credentials::write_kubeconfig(&kubeconfig, &credentials.kubeconfig(&url, access.home()))
            .map_err(|source| StartError::Kubeconfig { path: kubeconfig.clone(), source })?;

        let (commands, receiver) = mpsc::channel(QUEUE);
        let (announce, revision) = watch::channel(world.objects.revision());
        let stop = CancellationToken::new();
        let handle = Handle { commands, revision };
        let repositories = Gitops::open(&state.path).map_err(|error| StartError::World(error.to_string()))?;
        let renderer = Renderer::new(repositories, &estate);
        let servers =
            backends::start(&handle, &options.clock, renderer, world::rng(options.world.seed, "servers"));
        let servers = servers.map_err(StartError::World)?;
        let mut backends = servers.backends;
        backends.extend(options.backends);
        exposition::register(&mut backends, &handle);
        let scraper = Scraper {
            address: bound.to_string(),
            token: credentials.admin.clone(),
            authority: credentials.authority.clone(),
        };
        let (hammer, hammers) = watch::channel(world.hammers());
        let announce = Announce { revision: announce, hammer };
        let actor = own(world, receiver, announce, options.clock, options.pace, stop.clone());
        let server = server::serve(
            listener,
            Arc::clone(&credentials.tls),
            Arc::new(server::Front {
                handle: handle.clone(),
                credentials,
                access,
                address: bound.to_string(),
                backends,
                stop: stop.clone(),
                hammers,
                lists: AtomicU64::new(0),
            }),
            stop.clone(),
        );
        let tasks =
            [AbortOnDropHandle::new(tokio::spawn(actor)), AbortOnDropHandle::new(tokio::spawn(server))];
        let alertmanager = servers.alertmanager;
        let account = Arc::new(cloudwatch::Front::new(backends::account(&handle)));
        let cloudwatch = plain::listen(account, 0).await;
        let cloudwatch = cloudwatch.map_err(|source| StartError::Port { port: 0, source })?;
        let vault = Arc::new(secrets_manager::Front::new(handle.clone()));
        let secrets_manager = plain::listen(vault, 0).await;
        let secrets_manager = secrets_manager.map_err(|source| StartError::Port { port: 0, source })?;
        Ok(Running {
            url,
            kubeconfig,
            handle,
            alertmanager,
            cloudwatch,
            secrets_manager,
            scraper,
            state,
            stop,
            _tasks: tasks,
        })
    }
}

/// Refuses a kubeconfig path that belongs to somebody else, or to a platform that still answers.
async fn refuse_taken(path: &std::path::Path) -> Result<(), StartError> {
    if credentials::is_foreign(path) {
        return Err(StartError::Foreign(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let port = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("server: https://127.0.0.1:"))
        .and_then(|port| port.parse::<u16>().ok());
    if let Some(port) = port {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let answers = timeout(Duration::from_millis(500), TcpStream::connect(address)).await;
        if matches!(answers, Ok(Ok(_))) {
            return Err(StartError::Twice(path.to_owned()));
        }
    }
    Ok(())
}

/// What the world's task tells everybody.
struct Announce {
    revision: watch::Sender<u64>,
    hammer: watch::Sender<u32>,
}

/// Owns the world until it is told to stop.
async fn own(
    mut world: World,
    mut commands: mpsc::Receiver<Command>,
    announce: Announce,
    clock: Clock,
    pace: Option<Duration>,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(pace.unwrap_or(Duration::from_hours(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tell = |world: &World| {
        announce.revision.send_if_modified(|revision| {
            let moved = *revision != world.objects.revision();
            *revision = world.objects.revision();
            moved
        });
        announce.hammer.send_if_modified(|hammers| {
            let moved = *hammers != world.hammers();
            *hammers = world.hammers();
            moved
        });
    };
    // Whether a step is under way, when its next slice is due, and when its changes were told last.
    let mut moving = false;
    let mut due = Instant::now();
    let mut told = due;
    loop {
        // However many requests come, the world does not stand still.
        let overdue = moving && due.elapsed() >= PATIENCE;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            command = commands.recv(), if !overdue => {
                let Some(command) = command else { break };
                let before = world.objects.revision();
                // A request that trips over a bug costs its own answer, not the platform.
                if contain::run(|| command(&mut world, clock.now())).is_none() {
                    tracing::error!("a request to the embedded platform panicked");
                }
                if world.objects.revision() != before {
                    tell(&world);
                }
            }
            _ = ticks.tick(), if pace.is_some() && !moving => moving = true,
            () = tokio::time::sleep_until(due), if moving => {
                let begun = Instant::now();
                let over = contain::run(|| world.step_while(clock.now(), || begun.elapsed() < SLICE));
                if over.is_none() {
                    tracing::error!("a step of the embedded platform panicked");
                }
                moving = over == Some(false);
                due = begun + begun.elapsed() * 2;
                if !moving || told.elapsed() >= TELLING {
                    told = Instant::now();
                    tell(&world);
                }
            }
        }
    }
}
