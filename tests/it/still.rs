//! A small platform at rest: nothing but its story and what a test does to it moves, and the test moves its time.
//!
//! Karpenter takes no node here and no autoscaler a pod, so that what changes is what was done.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use opsdeck::clock::Clock;
use opsdeck::demo::platform::{Options as Start, Platform, Running};
use opsdeck::demo::world;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;

/// Returns the moment at which such a platform begins where no program has a clock beside it.
pub fn afternoon() -> Timestamp {
    "2026-03-02T14:00:00Z".parse().unwrap()
}

/// Returns its size: three tenants on four nodes.
pub fn world(story: &str) -> world::Options {
    world::Options {
        tenants: 3,
        pods_per_tenant: 6,
        nodes: 4,
        story: story.to_owned(),
        alive: false,
        ..world::Options::default()
    }
}

/// The platform, the hands of its clock, and a folder that is the home of the programs on it.
pub struct Still {
    pub platform: Running,
    pub clock: Clock,
    pub folder: TempDir,
}

impl Still {
    /// Starts it; its kubeconfig lies in the folder. Its time stands until a test moves it.
    pub async fn start(world: world::Options, start: Timestamp) -> Self {
        opsdeck::install_crypto_provider();
        let folder = TempDir::new().unwrap();
        let clock = Clock::manual(start);
        let kubeconfig = Some(folder.path().join("kubeconfig"));
        let options =
            Start { world, port: 0, kubeconfig, clock: clock.clone(), pace: None, ..Start::default() };
        let platform = Platform::start(options).await.unwrap();
        let still = Self { platform, clock, folder };
        still.configure("[contexts.\"*\"]\nenvironment = \"dev\"\n");
        still
    }

    /// Writes the configuration of the programs on it.
    pub fn configure(&self, text: &str) {
        std::fs::write(self.folder.path().join("config.toml"), text).unwrap();
    }

    /// Lets its time pass as that of the programs beside it, so many times as fast as `pace` says at the moment.
    pub fn moves(&self, pace: Arc<AtomicU32>) -> AbortOnDropHandle<()> {
        let (handle, clock) = (self.platform.handle.clone(), self.clock.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let step = Duration::from_millis(250);
            let mut ticks = tokio::time::interval(step);
            loop {
                ticks.tick().await;
                clock.advance(step * pace.load(Ordering::Relaxed));
                if handle.step().await.is_err() {
                    return;
                }
            }
        }))
    }

    /// Runs the program on it; returns its code and what it printed.
    pub async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = crate::program::opsdeck()
            .args(arguments)
            .env("KUBECONFIG", &self.platform.kubeconfig)
            .env("OPSDECK_STATE_DIR", self.folder.path())
            .env("OPSDECK_CONFIG_DIR", self.folder.path())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_mins(2), output).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The same, while a second of its time passes every few milliseconds: 200 times as fast as real time and no faster,
    /// for the program needs the processor, too.
    pub async fn run_fast(&self, arguments: &[&str]) -> (i32, String, String) {
        let world = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            loop {
                ticks.tick().await;
                self.clock.advance(Duration::from_secs(1));
                self.platform.handle.step().await.unwrap();
            }
        };
        tokio::select! {
            said = self.run(arguments) => said,
            () = world => unreachable!(),
        }
    }
}
