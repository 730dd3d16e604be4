//! A small embedded platform for one test, whose time runs faster, and the real kubectl to talk to it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use opsdeck::clock::Clock;
use opsdeck::demo::Platform;
use opsdeck::demo::platform::{Options, Running};
use opsdeck::demo::world;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// Longest that one kubectl may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Tells that a program is missing; a failure where `OPSDECK_REQUIRE_PROGRAMS` names it.
pub fn missing(program: &str) -> bool {
    let there = std::process::Command::new(program)
        .arg("version")
        .arg("--client")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if there {
        return false;
    }
    println!("SKIPPED: {program} is not installed");
    let required = std::env::var("OPSDECK_REQUIRE_PROGRAMS").unwrap_or_default();
    assert!(!required.split_whitespace().any(|name| name == program), "{program} is required here");
    true
}

/// A kubectl that is there.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    /// Its minor version, such as 32.
    pub minor: u32,
}

impl Kubectl {
    fn find(program: PathBuf) -> Self {
        let output = std::process::Command::new(&program)
            .args(["version", "--client", "-o", "json"])
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let version: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
        Self { program, minor: minor.trim_end_matches('+').parse().unwrap() }
    }
}

/// Returns the kubectls that reading is tested with: the one on the path, and the one that `OPSDECK_TEST_OLD_KUBECTL` names
/// (Debian's is 1.20); none where there is none, which is said.
pub fn kubectls() -> Vec<Kubectl> {
    if missing("kubectl") {
        return Vec::new();
    }
    let old = std::env::var_os("OPSDECK_TEST_OLD_KUBECTL").map(PathBuf::from);
    std::iter::once(PathBuf::from("kubectl")).chain(old).map(Kubectl::find).collect()
}

/// Returns the kubectl on the path where it is new enough to write with; says so where it is not.
///
/// An older one has not the commands that are tested, or asks for versions that Kubernetes has since taken away. A
/// newer one cannot be installed everywhere, so an old one is no failure.
pub fn writing_kubectl() -> Option<Kubectl> {
    const LEAST: u32 = 29;
    let kubectl = kubectls().into_iter().next()?;
    if kubectl.minor < LEAST {
        println!("SKIPPED: kubectl 1.{} is older than 1.{LEAST}", kubectl.minor);
        return None;
    }
    Some(kubectl)
}

/// A platform and a folder for what kubectl keeps.
pub struct Cluster {
    pub running: Running,
    home: tempfile::TempDir,
    kubectl: Kubectl,
    _hurry: AbortOnDropHandle<()>,
}

/// What a program said.
pub struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Cluster {
    /// Starts a platform whose clock runs ten times as fast as the wall's, for a kubectl.
    pub async fn start_for(kubectl: &Kubectl) -> Self {
        Self { kubectl: kubectl.clone(), ..Self::start().await }
    }

    /// Starts such a platform.
    pub async fn start() -> Self {
        // Its time runs fast: without this Karpenter could take a node away while a test drains it.
        let quiet = world::Options { alive: false, ..world::Options::default() };
        Self::with(world::Options { tenants: 2, pods_per_tenant: 8, nodes: 4, ..quiet }).await
    }

    /// Starts a platform of a size.
    pub async fn with(world: world::Options) -> Self {
        opsdeck::install_crypto_provider();
        // An hour behind, so that it does not overtake the clock that kubectl computes ages with.
        let start = Clock::system().now() - jiff::SignedDuration::from_hours(1);
        let clock = Clock::manual(start);
        let home = tempfile::tempdir().unwrap();
        let options = Options {
            world,
            port: 0,
            kubeconfig: Some(home.path().join("kubeconfig")),
            clock: clock.clone(),
            pace: Some(Duration::from_millis(50)),
            ..Options::default()
        };
        let running = Platform::start(options).await.unwrap();
        let hurry = tokio::spawn(async move {
            let mut beat = tokio::time::interval(Duration::from_millis(50));
            loop {
                beat.tick().await;
                clock.advance(Duration::from_millis(500));
            }
        });
        let kubectl = Kubectl { program: PathBuf::from("kubectl"), minor: 0 };
        Self { running, home, kubectl, _hurry: AbortOnDropHandle::new(hurry) }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl.program);
        command
            .args(args)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.running.kubeconfig.clone()
    }

    /// Runs kubectl to its end.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> impl Future<Output = Said> + use<> {
        let caller = std::panic::Location::caller();
        let output = self.command(args).output();
        let words = args.join(" ");
        async move {
            let output = timeout(PATIENCE, output)
                .await
                .unwrap_or_else(|_| panic!("{caller}: kubectl {words} does not end"))
                .unwrap();
            Said {
                ok: output.status.success(),
                out: String::from_utf8_lossy(&output.stdout).into_owned(),
                err: String::from_utf8_lossy(&output.stderr).into_owned(),
            }
        }
    }

    /// Runs kubectl, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> impl Future<Output = String> + use<> {
        let caller = std::panic::Location::caller();
        let said = self.kubectl(args);
        let words = args.join(" ");
        async move {
            let said = said.await;
            assert!(said.ok, "{caller}: kubectl {words}\n{}\n{}", said.out, said.err);
            said.out
        }
    }

    /// Runs `kubectl edit` with an editor, and returns all that it said.
    pub fn edit(&self, editor: &str, args: &[&str]) -> impl Future<Output = String> + use<> {
        let mut command = self.command(&[&["edit"], args].concat());
        let output = command.env("KUBE_EDITOR", editor).output();
        async move {
            let output = timeout(PATIENCE, output).await.unwrap().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            text(&output.stdout) + &text(&output.stderr)
        }
    }

    /// Runs kubectl again and again until it succeeds with what is wanted, and returns that.
    #[track_caller]
    pub fn until(&self, args: &[&str], wanted: impl Fn(&str) -> bool) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let mut last = String::new();
            let search = async {
                loop {
                    let said = self.kubectl(args).await;
                    if said.ok && wanted(&said.out) {
                        return said.out;
                    }
                    last = said.out + &said.err;
                }
            };
            let found = timeout(PATIENCE, search).await;
            let Ok(out) = found else {
                panic!("{caller}: kubectl {} never said what is wanted, but\n{last}", args.join(" "))
            };
            out
        }
    }

    /// Runs kubectl, which must fail, and returns what it said about it.
    #[track_caller]
    pub fn fails(&self, args: &[&str]) -> impl Future<Output = String> + use<> {
        let caller = std::panic::Location::caller();
        let said = self.kubectl(args);
        let words = args.join(" ");
        async move {
            let said = said.await;
            assert!(!said.ok, "{caller}: kubectl {words} succeeded\n{}\n{}", said.out, said.err);
            said.err
        }
    }

    /// Applies a manifest.
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> impl Future<Output = String> + use<> {
        let caller = std::panic::Location::caller();
        let said = self.feed(&["apply", "-f", "-"], manifest);
        async move {
            let said = said.await;
            assert!(said.ok, "{caller}: {}", said.err);
            said.out
        }
    }

    /// Runs kubectl with something to read.
    pub fn feed(&self, args: &[&str], input: &str) -> impl Future<Output = Said> + use<> {
        let mut command = self.command(args);
        let text = input.to_owned();
        async move {
            let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            input.write_all(text.as_bytes()).await.unwrap();
            drop(input);
            let output = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
            Said {
                ok: output.status.success(),
                out: String::from_utf8_lossy(&output.stdout).into_owned(),
                err: String::from_utf8_lossy(&output.stderr).into_owned(),
            }
        }
    }

    /// Starts kubectl and leaves it running.
    pub fn spawn(&self, args: &[&str]) -> Following {
        let mut child = self.command(args).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Following { _child: child, lines }
    }
}

/// A kubectl that runs on; it ends with this value.
pub struct Following {
    _child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    /// Reads lines until one is wanted; panics when none comes in time.
    pub async fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = String::new();
        let search = async {
            loop {
                let mut line = String::new();
                if self.lines.read_line(&mut line).await.unwrap() == 0 {
                    return None;
                }
                if wanted(&line) {
                    return Some(line);
                }
                seen.push_str(&line);
            }
        };
        match timeout(PATIENCE, search).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("it ended before; it said\n{seen}"),
            Err(late) => panic!("{late}: it did not come; it said\n{seen}"),
        }
    }
}
