//! The contract of the sources: every one of them, against the embedded platform, through a proxy that answers wrongly.
//!
//! A fault costs its own source only, for a bounded time, with an error of the right kind in a sentence that names
//! the thing, the place and what to do; and what it cost is back as soon as it is over.

mod bodies;
pub mod front;
mod kubernetes;
mod probes;
mod systems;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;
use opsdeck::clock::Clock;
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::{Platform, world};
use opsdeck::signals::{Answer, System, Told, Wanted};
use opsdeck::sources::{
    Connection, Contexts, Directions, Places, Setup, SourceError, Standing, Systems, Waits,
};

use self::front::{Fault, Front};
use crate::fault_server::brisk;

/// Longer than any wait that a source may take here, on a machine that is busy with other tests.
const BOUND: Duration = Duration::from_secs(10);

/// The moment at which the platform's clock stands.
const NOW: &str = "2026-03-02T14:00:00Z";

/// A platform with a proxy in front of it.
pub struct Bench {
    _platform: Running,
    pub front: Front,
    folder: tempfile::TempDir,
}

impl Bench {
    pub async fn start() -> Self {
        opsdeck::install_crypto_provider();
        let world = world::Options {
            tenants: 1,
            pods_per_tenant: 3,
            nodes: 2,
            alive: false,
            ..world::Options::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            world,
            clock: Clock::manual(NOW.parse::<Timestamp>().unwrap()),
            pace: None,
            kubeconfig: Some(folder.path().join("platform")),
            ..Options::default()
        };
        let platform = Platform::start(options).await.unwrap();
        let front = Front::start(&platform.url).await;
        let text = std::fs::read_to_string(&platform.kubeconfig).unwrap();
        let token = text.split("token: ").nth(1).and_then(|rest| rest.split('}').next()).unwrap();
        std::fs::write(folder.path().join("token"), token).unwrap();
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: '{}'}}}}]\n\
             users: [{{name: test, user: {{token: {token}}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n",
            front.url
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        Self { _platform: platform, front, folder }
    }

    /// The file with the administrator's token.
    pub fn token(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Connects through the proxy.
    pub async fn connect(&self, waits: Waits) -> Connection {
        let places = Places { flag: Some(self.folder.path().join("config")), ..Places::default() };
        let contexts = Contexts::load(&places).unwrap();
        let entry = contexts.choose(None).unwrap();
        let clock = Clock::manual(NOW.parse::<Timestamp>().unwrap());
        let setup = Setup { clock, namespaces: Vec::new(), waits };
        Connection::open(contexts, entry, setup).await.unwrap()
    }

    /// The systems behind the proxy, found or as directed.
    pub async fn systems(&self, directions: &BTreeMap<System, Directions>) -> Systems {
        Systems::new(self.connect(patient()).await, directions.clone())
    }

    /// Directs to a system at a URL, which is the platform's way to it with its token.
    pub fn at_url(&self, system: System) -> (BTreeMap<System, Directions>, String) {
        let service = match system {
            System::Prometheus => "monitoring/services/kube-prometheus-stack-prometheus:9090",
            System::Alertmanager => "monitoring/services/kube-prometheus-stack-alertmanager:9093",
            System::Loki => "monitoring/services/loki-gateway:80",
            _ => "argocd/services/argocd-server:80",
        };
        let url = format!("{}/api/v1/namespaces/{service}/proxy", self.front.url);
        let directions =
            Directions { url: Some(url.clone()), bearer_file: Some(self.token()), ..Directions::default() };
        ([(system, directions)].into(), url)
    }
}

/// Waits that no sound answer of the platform exceeds.
pub fn patient() -> Waits {
    Waits { answer: BOUND, stall: BOUND, ..brisk() }
}

/// Waits that are over soon, for answers that never come.
pub fn hasty() -> Waits {
    Waits { answer: Duration::from_millis(600), stall: Duration::from_millis(600), ..brisk() }
}

/// A question to a source; what it returns is the same as long as the platform stands still.
pub type Ask = fn(Systems) -> BoxFuture<'static, Result<String, SourceError>>;

/// One source as it is asked.
pub struct Source {
    /// What the sentence calls it.
    pub thing: String,
    /// Where it is, as the sentence says.
    pub place: String,
    /// What its requests have in their paths, and no others.
    pub part: String,
    pub ask: Ask,
    /// A question to another one, which goes on answering.
    pub other: Ask,
    pub directions: BTreeMap<System, Directions>,
}

/// The variants of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Unreachable,
    Unauthenticated,
    Denied,
    Missing,
    Conflict,
    Invalid,
    Throttled,
    Garbled,
}

pub fn sort(error: &SourceError) -> Sort {
    match error {
        SourceError::Unreachable { .. } => Sort::Unreachable,
        SourceError::Unauthenticated { .. } => Sort::Unauthenticated,
        SourceError::Denied { .. } => Sort::Denied,
        SourceError::Missing { .. } => Sort::Missing,
        SourceError::Conflict { .. } => Sort::Conflict,
        SourceError::Invalid { .. } => Sort::Invalid,
        SourceError::Throttled { .. } => Sort::Throttled,
        SourceError::Garbled { .. } => Sort::Garbled,
    }
}

/// A fault and what must come of it.
pub struct Case {
    pub fault: Fault,
    pub sort: Sort,
    /// What the sentence says besides thing and place: the server's words, and what to do.
    pub says: &'static [&'static str],
}

pub fn case(fault: Fault, sort: Sort, says: &'static [&'static str]) -> Case {
    Case { fault, sort, says }
}

pub fn says(code: u16, kind: &str, body: &str) -> Fault {
    Fault::Says(code, vec![("content-type", kind.to_owned())], body.as_bytes().to_vec())
}

/// The page of an identity-aware proxy.
pub const LOGIN: &str =
    "\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in with SSO</body></html>";

/// Goes through all cases with one source, one after the other, on one connection.
pub async fn holds(bench: &mut Bench, source: &Source, cases: &[Case]) {
    let Source { thing, place, part, ask, other, directions } = source;
    let systems = bench.systems(directions).await;
    let late = Systems::new(bench.connect(hasty()).await, directions.clone());
    let good = ask(systems.clone()).await.unwrap();
    // The other one is found, too, before anything is wrong.
    let fine = other(systems.clone()).await.unwrap();
    for _ in 0..20 {
        if ask(late.clone()).await.is_ok() {
            break;
        }
    }
    for Case { fault, sort: wanted, says } in cases {
        let name = format!("{thing}, {part}, {}", fault.name());
        let waits = matches!(fault, Fault::Silence | Fault::Stall(_));
        let asked = if waits { &late } else { &systems };
        bench.front.fail(part, fault);
        let begun = Instant::now();
        let error = match tokio::time::timeout(BOUND, ask(asked.clone())).await {
            Ok(Err(error)) => error,
            Ok(Ok(answer)) => panic!("{name}: it was answered: {answer}"),
            Err(over) => panic!("{name}: it waits for ever: {over}"),
        };
        assert!(!waits || begun.elapsed() < BOUND / 2, "{name}: it waits for {:?}", begun.elapsed());
        assert_eq!(sort(&error), *wanted, "{name}: {error}");
        let sentence = error.to_string();
        // What comes instead of the API server's answer is told of the API server and not of the question.
        let api = place.is_empty() && *wanted == Sort::Unreachable;
        let thing = if api { "the Kubernetes API" } else { thing };
        for words in [thing, &**place].into_iter().chain(says.iter().copied()) {
            assert!(sentence.contains(words), "{name}: {words:?} is not in: {sentence}");
        }
        assert!(sentence.len() < 700 && !sentence.contains(char::is_control), "{name}: {sentence:?}");
        if let SourceError::Throttled { until, .. } = &error {
            let seconds = until.map(|until| until.duration_since(NOW.parse().unwrap()).as_secs());
            assert_eq!(seconds, Some(7), "{name}");
        }
        let standing = || asked.connection().standing().borrow().clone();
        if !place.is_empty() {
            // Of a system beside it; a fault of the API server itself may well be told there.
            let standing = standing();
            let lost = matches!(standing, Standing::Lost(_));
            assert!(!lost, "{name}: it costs the connection to the cluster: {standing:?}");
        }
        assert_eq!(other(asked.clone()).await.as_ref(), Ok(&fine), "{name}: it costs another source");
        assert!(!matches!(standing(), Standing::Lost(_)), "{name}: {:?}", standing());
        bench.front.heal();
        assert_eq!(ask(systems.clone()).await.as_ref(), Ok(&good), "{name}: it does not heal");
    }
}

/// What is told, in one line: not what changes from one answer to the next.
pub fn line(told: &Told) -> String {
    let answer = match &told.answer {
        Answer::Alerts(all) => format!("{} alerts", all.len()),
        Answer::Silences(all) => format!("{} silences", all.len()),
        Answer::Rules(all) => format!("{} rules", all.len()),
        Answer::Series(all) => format!("{} series", all.len()),
        Answer::Names(all) => format!("{} names", all.len()),
        other => format!("{other:?}"),
    };
    format!("{answer}, {} garbled, {:?}, {:?}", told.garbled, told.warnings, told.silent)
}

/// Asks what screens ask.
pub async fn told(systems: Systems, wanted: Wanted) -> Result<String, SourceError> {
    systems.answer(&wanted).await.map(|told| line(&told))
}

pub fn prometheus(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
    Box::pin(told(systems, Wanted::Instant { query: "vector(1)".into(), at: None }))
}

pub fn alertmanager(systems: Systems) -> BoxFuture<'static, Result<String, SourceError>> {
    Box::pin(told(systems, Wanted::Silences))
}
