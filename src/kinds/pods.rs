//! Pods: what runs, how it is, where, and what it asks for.
//!
//! The most numerous kind by far: what [`Pod`] keeps is counted in bytes. Verdicts are worked out while
//! decoding, so that the statuses of containers need not be kept.

use jiff::Timestamp;
use serde::Deserialize;

use super::decode::Slim;
use super::kind::Row;
use super::secret_uses::{self, SecretUse, Uses, WireEnv, WireEnvFrom, WireMount, WireNamed, WireVolume};
use super::wire::{Amounts, Opt, Str, Wire, WireCondition, WireMeta, as_str, own, share, time};
use super::{Cell, Column, Health, Kind, Link, Meta, Pool, Shape, Unit, measured};
use crate::identity::{Resource, Text};
use crate::signals::{Used, Using};

/// What is kept of a pod.
#[derive(Debug)]
pub struct Pod {
    /// The node that it is on.
    pub node: Option<Text>,
    /// The phase, as the API spells it.
    pub phase: Text,
    /// The word that kubectl shows as its status, without regard to a deletion.
    pub status: Text,
    /// What went wrong, in the words of the platform; empty where nothing did.
    pub why: Option<Text>,
    /// Its own containers: name, image, without init containers that end.
    pub containers: Box<[Container]>,
    /// The names of its init containers that end.
    pub init_containers: Box<[Text]>,
    /// How many containers are ready.
    pub ready: u16,
    /// Whether the pod as a whole is ready to serve.
    pub serving: bool,
    /// How often its containers were started again.
    pub restarts: u32,
    /// When one of them last ended before it was started again.
    pub last_restart: Option<Timestamp>,
    /// Effective CPU request in thousandths of a core.
    pub cpu: u32,
    /// Effective memory request in bytes.
    pub memory: u64,
    /// The CPU that its containers may use together, in thousandths of a core; nought where one has no limit.
    pub cpu_limit: u32,
    /// The memory that they may use together, in bytes; nought where one has no limit.
    pub memory_limit: u64,
    /// Its IP address.
    pub ip: Option<Text>,
    /// When it was started on its node.
    pub started: Option<Timestamp>,
    /// Its quality of service class.
    pub qos: Option<Text>,
    /// For how many seconds after its start Karpenter is asked to leave it alone; `u32::MAX` for ever, 0 for not.
    pub held: u32,
    /// The Secrets that it uses, sorted.
    pub secrets: Box<[SecretUse]>,
}

/// Reads for how long a pod is to be left alone: `true`, or a time as Go writes it (contracts 2.3).
fn held(meta: &mut WireMeta<'_>) -> u32 {
    match meta.annotations().get("karpenter.sh/do-not-disrupt") {
        Some("true") => u32::MAX,
        Some(time) => crate::human::parse_span(time).map_or(0, |span| span as u32),
        None => 0,
    }
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: Text,
    /// The image that it is to run.
    pub image: Text,
}

impl Pod {
    /// Tells whether Karpenter is asked to leave it alone at a moment.
    pub fn is_held(&self, now: Timestamp) -> bool {
        match (self.held, self.started) {
            (0, _) => false,
            (u32::MAX, _) | (_, None) => true,
            (held, Some(started)) => now.as_second() < started.as_second() + i64::from(held),
        }
    }

    /// Tells whether it has ended for good.
    pub fn is_finished(&self) -> bool {
        matches!(&*self.phase, "Succeeded" | "Failed")
    }

    /// Tells whether its requests count against its node: it is there, has not ended and is not going.
    pub fn occupies(&self, meta: &Meta) -> bool {
        self.node.is_some() && !self.is_finished() && meta.deleted.is_none()
    }

    /// Returns the word for its state, as kubectl shows it.
    pub fn word(&self, meta: &Meta) -> Text {
        // printPod in kubernetes/pkg/printers/internalversion.
        match meta.deleted {
            Some(_) if &*self.status == "NodeLost" => Text::from("Unknown"),
            Some(_) if !self.is_finished() => Text::from("Terminating"),
            _ => self.status.clone(),
        }
    }

    /// Says how it is, and why.
    pub fn verdict(&self, meta: &Meta, now: Timestamp) -> (Health, Text) {
        let age = |since: Option<Timestamp>| since.map_or(0, |since| now.as_second() - since.as_second());
        let why = || self.why.clone().unwrap_or_default();
        if let Some(deleted) = meta.deleted {
            // The deletion time already holds the grace period.
            let overdue = now.as_second() - deleted.as_second();
            return if overdue > STUCK {
                (Health::Warning, Text::from(format!("terminating, {} overdue", crate::human::span(overdue))))
            } else {
                (Health::Progressing, Text::from("terminating"))
            };
        }
        match &*self.status {
            "Completed" | "Succeeded" => (Health::Idle, Text::from("completed")),
            "Running" if self.serving || usize::from(self.ready) >= self.containers.len() => {
                let recent =
                    self.restarts > 0 && self.last_restart.is_some() && age(self.last_restart) < RECENT;
                if recent {
                    let text =
                        format!("restarted {} ago: {}", crate::human::span(age(self.last_restart)), why());
                    (Health::Warning, Text::from(text.trim_end_matches([':', ' '])))
                } else {
                    (Health::Healthy, Text::from(""))
                }
            }
            "Running" | "NotReady" => {
                let text = format!("{} of {} containers ready", self.ready, self.containers.len());
                let started = self.started.or(meta.created);
                if age(started) < YOUNG && self.restarts == 0 {
                    (Health::Progressing, Text::from(text))
                } else {
                    (Health::Degraded, Text::from(text))
                }
            }
            "Pending" | "SchedulingGated" => {
                if self.why.is_some() && age(meta.created) >= YOUNG {
                    (Health::Degraded, why())
                } else {
                    (Health::Progressing, why())
                }
            }
            "ContainerCreating" | "PodInitializing" => {
                if age(meta.created) >= STUCK {
                    let text = format!("not started after {}", crate::human::span(age(meta.created)));
                    (Health::Warning, Text::from(text))
                } else {
                    (Health::Progressing, Text::from("starting"))
                }
            }
            // `Init:0/2`; a failure of an init container is `Init:Error` and the like.
            status if status.strip_prefix("Init:").is_some_and(|rest| rest.contains('/')) => {
                (Health::Progressing, Text::from("initialising"))
            }
            "Unknown" => (Health::Unknown, why()),
            status => {
                let why = why();
                let text = if why.is_empty() { Text::from(status) } else { why };
                (Health::Degraded, text)
            }
        }
    }
}

/// Seconds for which a new pod may be not ready without that being trouble.
const YOUNG: i64 = 60;

/// Seconds after which starting or going is taking too long.
const STUCK: i64 = 300;

/// Seconds for which a restart is worth a look.
const RECENT: i64 = 900;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireSpec<'a> {
    #[serde(borrow)]
    node_name: Opt<'a>,
    #[serde(borrow)]
    containers: Option<Vec<WireContainer<'a>>>,
    #[serde(borrow)]
    init_containers: Option<Vec<WireContainer<'a>>>,
    #[serde(borrow)]
    overhead: Option<Amounts<'a>>,
    #[serde(borrow)]
    resources: Option<WireResources<'a>>,
    #[serde(borrow)]
    volumes: Option<Vec<WireVolume<'a>>>,
    #[serde(borrow)]
    image_pull_secrets: Option<Vec<WireNamed<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireContainer<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    image: Opt<'a>,
    #[serde(borrow)]
    resources: Option<WireResources<'a>>,
    #[serde(borrow)]
    restart_policy: Opt<'a>,
    #[serde(borrow)]
    env: Option<Vec<WireEnv<'a>>>,
    #[serde(borrow)]
    env_from: Option<Vec<WireEnvFrom<'a>>>,
    #[serde(borrow)]
    volume_mounts: Option<Vec<WireMount<'a>>>,
}

impl<'a> WireContainer<'a> {
    /// What of it says which Secrets it uses.
    pub(super) fn uses(&self) -> Uses<'_, 'a> {
        Uses {
            env: self.env.as_deref(),
            env_from: self.env_from.as_deref(),
            mounts: self.volume_mounts.as_deref(),
        }
    }

    /// An init container that goes on running: a sidecar.
    fn is_sidecar(&self) -> bool {
        as_str(&self.restart_policy) == "Always"
    }

    fn request(&self, what: &str) -> f64 {
        self.resources.as_ref().and_then(|r| r.request(what)).unwrap_or_default()
    }

    pub(super) fn keep(&self, pool: &mut Pool) -> Container {
        Container { name: pool.share(as_str(&self.name)), image: pool.share(as_str(&self.image)) }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct WireResources<'a> {
    #[serde(borrow)]
    requests: Option<Amounts<'a>>,
    #[serde(borrow)]
    limits: Option<Amounts<'a>>,
}

impl WireResources<'_> {
    fn request(&self, what: &str) -> Option<f64> {
        self.requests.as_ref()?.get(what)
    }

    fn limit(&self, what: &str) -> Option<f64> {
        self.limits.as_ref()?.get(what)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireStatus<'a> {
    #[serde(borrow)]
    phase: Opt<'a>,
    #[serde(borrow)]
    reason: Opt<'a>,
    #[serde(borrow)]
    message: Opt<'a>,
    #[serde(borrow, rename = "podIP")]
    pod_ip: Opt<'a>,
    #[serde(borrow)]
    start_time: Opt<'a>,
    #[serde(borrow)]
    qos_class: Opt<'a>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
    #[serde(borrow)]
    container_statuses: Option<Vec<WireContainerStatus<'a>>>,
    #[serde(borrow)]
    init_container_statuses: Option<Vec<WireContainerStatus<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireContainerStatus<'a> {
    #[serde(borrow)]
    name: Opt<'a>,
    ready: Option<bool>,
    started: Option<bool>,
    restart_count: Option<u32>,
    #[serde(borrow)]
    state: Option<WireState<'a>>,
    #[serde(borrow)]
    last_state: Option<WireState<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireState<'a> {
    #[serde(borrow)]
    waiting: Option<Waiting<'a>>,
    running: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    terminated: Option<Terminated<'a>>,
}

#[derive(Debug, Deserialize)]
struct Waiting<'a> {
    #[serde(borrow)]
    reason: Opt<'a>,
    #[serde(borrow)]
    message: Opt<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated<'a> {
    #[serde(borrow)]
    reason: Opt<'a>,
    #[serde(borrow)]
    message: Opt<'a>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    #[serde(borrow)]
    finished_at: Opt<'a>,
}

impl Terminated<'_> {
    fn word(&self) -> String {
        match (as_str(&self.reason), self.signal.unwrap_or_default()) {
            ("", 0) => format!("ExitCode:{}", self.exit_code.unwrap_or_default()),
            ("", signal) => format!("Signal:{signal}"),
            (reason, _) => reason.to_owned(),
        }
    }

    /// Says how a container ended: `OOMKilled, exit code 137`.
    fn sentence(&self) -> String {
        let reason = as_str(&self.reason);
        let code = self.exit_code.unwrap_or_default();
        let mut text = match reason {
            "" | "Error" => format!("exit code {code}"),
            reason => format!("{reason}, exit code {code}"),
        };
        if let Some(message) = self.message.as_ref().map(Str::as_str).filter(|message| !message.is_empty()) {
            text.push_str(": ");
            text.push_str(message);
        }
        text
    }
}

impl Slim for Pod {
    type Wire<'a> = Wire<'a, WireSpec<'a>, WireStatus<'a>>;

    fn keep(mut wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self) {
        let held = held(&mut wire.metadata);
        let status = wire.status.unwrap_or_default();
        let empty = Vec::new();
        let none = Vec::new();
        let (own_containers, init) = match &wire.spec {
            Some(spec) => {
                (spec.containers.as_ref().unwrap_or(&empty), spec.init_containers.as_ref().unwrap_or(&none))
            }
            None => (&empty, &none),
        };
        let state = State::read(&status, init);
        let sidecars = init.iter().filter(|container| container.is_sidecar());
        let containers =
            own_containers.iter().chain(sidecars).map(|container| container.keep(pool)).collect();
        let init_containers = init
            .iter()
            .filter(|container| !container.is_sidecar())
            .map(|container| pool.share(as_str(&container.name)))
            .collect();
        let request = |what| effective(what, own_containers, init, wire.spec.as_ref());
        let limit = |what| limited(what, own_containers, init, wire.spec.as_ref()).unwrap_or_default();
        let secrets = secret_uses::collect(
            own_containers.iter().chain(init),
            wire.spec.as_ref().and_then(|spec| spec.volumes.as_deref()),
            wire.spec.as_ref().and_then(|spec| spec.image_pull_secrets.as_deref()),
            pool,
        );
        let serving = condition(&status, "Ready").is_some_and(|c| as_str(&c.status) == "True");
        let pod = Self {
            node: wire.spec.as_ref().and_then(|spec| share(&spec.node_name, pool)),
            phase: pool.share(as_str(&status.phase)),
            status: pool.share(&state.word),
            why: (!state.why.is_empty()).then(|| pool.share(&state.why)),
            containers,
            init_containers,
            ready: u16::try_from(state.ready).unwrap_or(u16::MAX),
            serving,
            restarts: state.restarts,
            last_restart: state.last_restart,
            // Sums of fractions are off by a little, which must not become a whole thousandth.
            cpu: (request("cpu") * 1000.0 - 1e-6).ceil() as u32,
            memory: request("memory") as u64,
            cpu_limit: (limit("cpu") * 1000.0 - 1e-6).ceil() as u32,
            memory_limit: limit("memory") as u64,
            ip: own(&status.pod_ip),
            started: time(&status.start_time),
            qos: share(&status.qos_class, pool),
            held,
            secrets,
        };
        (wire.metadata.keep(pool), pod)
    }
}

fn condition<'a, 'b>(status: &'b WireStatus<'a>, name: &str) -> Option<&'b WireCondition<'a>> {
    status.conditions.as_ref()?.iter().find(|condition| as_str(&condition.name) == name)
}

/// What a pod takes from its node: the larger of what its init containers need one after the other and what its
/// containers need together, with sidecars in both, plus overhead; resources of the pod as a whole go first.
fn effective(
    what: &str,
    containers: &[WireContainer<'_>],
    init: &[WireContainer<'_>],
    spec: Option<&WireSpec<'_>>,
) -> f64 {
    let mut together: f64 = containers.iter().map(|container| container.request(what)).sum();
    let mut sidecars = 0.0;
    let mut most = 0.0_f64;
    for container in init {
        let request = container.request(what);
        if container.is_sidecar() {
            together += request;
            sidecars += request;
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars + request);
        }
    }
    let whole = spec.and_then(|spec| spec.resources.as_ref()).and_then(|resources| resources.request(what));
    let overhead = spec.and_then(|spec| spec.overhead.as_ref()).and_then(|overhead| overhead.get(what));
    whole.unwrap_or_else(|| together.max(most)) + overhead.unwrap_or_default()
}

/// What the containers of a pod that go on running may use together; `None` where one of them has no limit, because
/// then there is none for the pod. A limit of the pod as a whole goes first.
fn limited(
    what: &str,
    containers: &[WireContainer<'_>],
    init: &[WireContainer<'_>],
    spec: Option<&WireSpec<'_>>,
) -> Option<f64> {
    let whole = spec.and_then(|spec| spec.resources.as_ref()).and_then(|resources| resources.limit(what));
    if whole.is_some() {
        return whole;
    }
    let running = containers.iter().chain(init.iter().filter(|container| container.is_sidecar()));
    running.map(|container| container.resources.as_ref()?.limit(what)).sum()
}

/// What the statuses of the containers come to.
#[derive(Debug, Default)]
struct State {
    word: String,
    why: String,
    ready: usize,
    restarts: u32,
    last_restart: Option<Timestamp>,
}

impl State {
    /// Works the status word out as kubectl does (printPod in kubernetes/pkg/printers/internalversion).
    fn read(status: &WireStatus<'_>, init: &[WireContainer<'_>]) -> Self {
        let mut state = Self { word: as_str(&status.phase).to_owned(), ..Self::default() };
        as_str(&status.message).clone_into(&mut state.why);
        if !as_str(&status.reason).is_empty() {
            as_str(&status.reason).clone_into(&mut state.word);
        }
        if let Some(scheduled) = condition(status, "PodScheduled")
            && as_str(&scheduled.status) == "False"
        {
            if as_str(&scheduled.reason) == "SchedulingGated" {
                "SchedulingGated".clone_into(&mut state.word);
            }
            as_str(&scheduled.message).clone_into(&mut state.why);
        }
        let initialising = state.read_init(status, init);
        let initialised =
            condition(status, "Initialized").is_some_and(|condition| as_str(&condition.status) == "True");
        if !initialising || initialised {
            state.read_containers(status);
        }
        state
    }

    fn read_init(&mut self, status: &WireStatus<'_>, init: &[WireContainer<'_>]) -> bool {
        let statuses = status.init_container_statuses.as_deref().unwrap_or_default();
        let mut sidecar_restarts = 0;
        for (at, container) in statuses.iter().enumerate() {
            let name = as_str(&container.name);
            let sidecar = init.iter().any(|c| as_str(&c.name) == name && c.is_sidecar());
            self.restarts += container.restart_count.unwrap_or_default();
            self.note_restart(container);
            if sidecar {
                sidecar_restarts += container.restart_count.unwrap_or_default();
            }
            let terminated = container.state.as_ref().and_then(|state| state.terminated.as_ref());
            let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
            if terminated.is_some_and(|ended| ended.exit_code.unwrap_or_default() == 0) {
                continue;
            }
            if sidecar && container.started.unwrap_or_default() {
                if container.ready.unwrap_or_default() {
                    self.ready += 1;
                }
                continue;
            }
            match (terminated, waiting) {
                (Some(ended), _) => {
                    self.word = format!("Init:{}", ended.word());
                    self.why = format!("init container {name}: {}", ended.sentence());
                }
                (None, Some(waiting))
                    if !as_str(&waiting.reason).is_empty()
                        && as_str(&waiting.reason) != "PodInitializing" =>
                {
                    self.word = format!("Init:{}", as_str(&waiting.reason));
                    self.why = format!("init container {name}: {}", says(waiting, container));
                }
                _ => self.word = format!("Init:{at}/{}", init.len()),
            }
            return true;
        }
        // The restarts of init containers that ended well are no news.
        self.restarts = sidecar_restarts;
        false
    }

    fn read_containers(&mut self, status: &WireStatus<'_>) {
        let mut running = false;
        // From the last to the first, as kubectl does: the first container with a reason wins.
        for container in status.container_statuses.as_deref().unwrap_or_default().iter().rev() {
            self.restarts += container.restart_count.unwrap_or_default();
            self.note_restart(container);
            let name = as_str(&container.name);
            let Some(state) = &container.state else { continue };
            if let Some(waiting) = state.waiting.as_ref().filter(|w| !as_str(&w.reason).is_empty()) {
                as_str(&waiting.reason).clone_into(&mut self.word);
                if !matches!(as_str(&waiting.reason), "ContainerCreating" | "PodInitializing") {
                    self.why = format!("{name}: {}", says(waiting, container));
                }
            } else if let Some(ended) = &state.terminated {
                self.word = ended.word();
                if ended.exit_code.unwrap_or_default() != 0 {
                    self.why = format!("{name}: {}", ended.sentence());
                }
            } else if state.running.is_some() {
                if container.ready.unwrap_or_default() {
                    running = true;
                    self.ready += 1;
                }
                if let Some(ended) = last_end(container)
                    && self.why.is_empty()
                {
                    self.why = format!("{name}: {}", ended.sentence());
                }
            }
        }
        if self.word == "Completed" && running {
            let ready = condition(status, "Ready").is_some_and(|c| as_str(&c.status) == "True");
            if ready { "Running" } else { "NotReady" }.clone_into(&mut self.word);
        }
    }

    fn note_restart(&mut self, container: &WireContainerStatus<'_>) {
        if let Some(ended) = last_end(container) {
            self.last_restart = self.last_restart.max(time(&ended.finished_at));
        }
    }
}

fn last_end<'a, 'b>(container: &'b WireContainerStatus<'a>) -> Option<&'b Terminated<'a>> {
    container.last_state.as_ref().and_then(|state| state.terminated.as_ref())
}

/// Says why a container waits, and how it ended before: `CrashLoopBackOff after exit code 1`.
fn says(waiting: &Waiting<'_>, container: &WireContainerStatus<'_>) -> String {
    let reason = as_str(&waiting.reason);
    match (last_end(container), as_str(&waiting.message)) {
        (Some(ended), _) => format!("{reason} after {}", ended.sentence()),
        (None, "") => reason.to_owned(),
        (None, message) => format!("{reason}: {message}"),
    }
}

/// What a pod uses, where somebody says so.
fn used(row: &Row<'_, Pod>) -> Option<Used> {
    row.lens.used(Using::Pods, row.meta().namespace.as_ref()?, &row.meta().name)
}

/// Makes the cell of a limit; where there is none it is empty.
fn limit(value: f64, unit: Unit) -> Cell {
    if value > 0.0 { Cell::Quantity { value, unit } } else { Cell::Empty }
}

pub(super) fn kind() -> Kind {
    Kind::describe::<Pod>("", "v1", "pods", "Pod")
        .about("what runs: containers on a node")
        .shorts(&["po"])
        .namespaced()
        .name()
        .column(Column::new(Shape::Ratio, "ready", "containers ready of all").priority(1), |row| {
            Cell::Ratio { have: i64::from(row.body.ready), want: row.body.containers.len() as i64 }
        })
        .column(Column::new(Shape::Status, "status", "the state, as kubectl words it").priority(1), |row| {
            Cell::Status { text: row.body.word(row.meta()), health: row.verdict().0 }
        })
        .column(
            Column::new(Shape::Count, "restarts", "how often containers were started again").priority(2),
            |row| Cell::Count(i64::from(row.body.restarts)),
        )
        .column(Column::new(Shape::Age, "restarted", "time since a container last ended").wide(), |row| {
            row.body.last_restart.map_or(Cell::Empty, Cell::Age)
        })
        .column(
            Column::new(Shape::Text, "why", "what is wrong, in the platform's words").priority(4),
            |row| {
                let (health, why) = row.verdict();
                if health <= Health::Idle || why.is_empty() { Cell::Empty } else { Cell::Text(why) }
            },
        )
        .column(
            Column::new(Shape::Quantity, "cpu", "CPU requested, as it counts for the node").priority(4),
            |row| Cell::Quantity { value: f64::from(row.body.cpu) / 1000.0, unit: Unit::Cores },
        )
        .column(
            Column::new(Shape::Quantity, "memory", "memory requested, as it counts for the node").priority(4),
            |row| Cell::Quantity { value: row.body.memory as f64, unit: Unit::Bytes },
        )
        .column(
            Column::new(Shape::Quantity, "cpu-use", "CPU that it uses")
                .titled("CPU USE")
                .priority(4)
                .joined(),
            |row| measured::amount(used(&row).and_then(|used| used.cpu), Unit::Cores),
        )
        .column(
            Column::new(Shape::Percent, "cpu-share", "CPU that it uses, in percent of what it requests")
                .titled("CPU %")
                .wide()
                .joined(),
            |row| measured::part(used(&row).and_then(|used| used.cpu), f64::from(row.body.cpu) / 1000.0),
        )
        .column(
            Column::new(Shape::Percent, "cpu-limit-share", "CPU that it uses, in percent of its limit")
                .titled("CPU/LIM")
                .wide()
                .joined(),
            |row| {
                let limit = f64::from(row.body.cpu_limit) / 1000.0;
                measured::part(used(&row).and_then(|used| used.cpu), limit)
            },
        )
        .column(
            Column::new(Shape::Quantity, "memory-use", "memory that it uses")
                .titled("MEM USE")
                .priority(4)
                .joined(),
            |row| measured::amount(used(&row).and_then(|used| used.memory), Unit::Bytes),
        )
        .column(
            Column::new(
                Shape::Percent,
                "memory-share",
                "memory that it uses, in percent of what it requests",
            )
            .titled("MEM %")
            .wide()
            .joined(),
            |row| measured::part(used(&row).and_then(|used| used.memory), row.body.memory as f64),
        )
        .column(
            Column::new(Shape::Percent, "memory-limit-share", "memory that it uses, in percent of its limit")
                .titled("MEM/LIM")
                .wide()
                .joined(),
            |row| measured::part(used(&row).and_then(|used| used.memory), row.body.memory_limit as f64),
        )
        .column(
            Column::new(
                Shape::Quantity,
                "cpu-limit",
                "CPU that its containers may use; empty for any amount",
            )
            .titled("CPU LIM")
            .wide(),
            |row| limit(f64::from(row.body.cpu_limit) / 1000.0, Unit::Cores),
        )
        .column(
            Column::new(
                Shape::Quantity,
                "memory-limit",
                "memory that its containers may use; empty for any amount",
            )
            .titled("MEM LIM")
            .wide(),
            |row| limit(row.body.memory_limit as f64, Unit::Bytes),
        )
        .alerted("", "pods")
        .column(Column::new(Shape::Link, "node", "the node that it is on").priority(3), |row| {
            match &row.body.node {
                Some(node) => Cell::Link {
                    text: node.clone(),
                    to: row.lens.object(&Resource::new("", "nodes"), None, node),
                },
                None => Cell::Empty,
            }
        })
        .column(Column::new(Shape::Text, "image", "the images of its containers").wide(), |row| {
            images(&row.body.containers)
        })
        .column(Column::new(Shape::Text, "ip", "its IP address").wide(), |row| {
            row.body.ip.clone().map_or(Cell::Empty, Cell::Text)
        })
        .column(Column::new(Shape::Text, "qos", "quality of service class").wide(), |row| {
            row.body.qos.clone().map_or(Cell::Empty, Cell::Text)
        })
        .verbs(&["delete-pod", "force-delete"])
        .health(|row| row.verdict())
        .links(|row| {
            row.body
                .node
                .iter()
                .map(|node| Link::one("node", row.lens.object(&Resource::new("", "nodes"), None, node)))
                .collect()
        })
        .done()
}

impl Row<'_, Pod> {
    fn verdict(&self) -> (Health, Text) {
        self.body.verdict(self.meta(), self.lens.now)
    }
}

/// Writes images as people say them: without registry and path.
pub(super) fn images(containers: &[Container]) -> Cell {
    match containers {
        [] => Cell::Empty,
        [one] => Cell::Text(Text::from(short_image(&one.image))),
        many => {
            let names: Vec<&str> = many.iter().map(|container| short_image(&container.image)).collect();
            Cell::Text(Text::from(names.join(" ")))
        }
    }
}

/// Returns an image without registry and path: `checkout:1.8.0` of `registry.example.com/shop/checkout:1.8.0`.
pub fn short_image(image: &str) -> &str {
    image.rsplit_once('/').map_or(image, |(_, name)| name)
}
