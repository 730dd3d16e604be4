//! Argo CD's behaviour, seen from outside: what a client writes into objects, what the world makes of it.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::argo_manifests::{NAMESPACE, Policy};
use super::argo_seed::install;
use super::director::begin;
use super::objects::Key;
use super::types::Type;
use super::untyped::{later, list, text};
use super::world::{Options, World};

fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

struct Platform {
    dir: TempDir,
    world: World,
}

impl Platform {
    fn new() -> Self {
        Self::of(4)
    }

    fn of(tenants: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { tenants, pods_per_tenant: 12, nodes: 6, alive: false, ..Options::default() };
        let mut world = World::new(&options, start());
        install(&mut world, dir.path()).unwrap();
        Self { dir, world }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Lets seconds pass, one at a time.
    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            let next = later(self.world.now(), 1.0);
            self.world.step(next);
        }
    }

    /// Lets time pass until something holds; returns after how many seconds.
    #[track_caller]
    fn until(&mut self, most: u32, what: &str, holds: impl Fn(&World) -> bool) -> u32 {
        for second in 0..=most {
            if holds(&self.world) {
                return second;
            }
            self.pass(1);
        }
        panic!("not within {most} seconds: {what}");
    }

    fn app(&self, name: &str) -> Value {
        app(&self.world, name)
    }
}

fn key(name: &str) -> Key {
    Key::new(Type::Application, NAMESPACE, name)
}

fn app(world: &World, name: &str) -> Value {
    world.objects.get_value(&key(name)).unwrap_or_default()
}

fn sync_of(world: &World, name: &str) -> String {
    text(&app(world, name), "/status/sync/status").to_owned()
}

#[test]
fn a_fresh_platform_is_in_sync_and_stays_so() {
    let mut platform = Platform::of(8);
    for _ in 0..6 {
        let a = platform.app("platform");
        eprintln!(
            "{} {}",
            platform.world.now(),
            json!(
                list(&a, "/status/resources").iter().filter(|r| r["status"] != "Synced").collect::<Vec<_>>()
            )
        );
        platform.pass(1);
    }
    platform.pass(5);
    let revision = platform.world.objects.revision();
    let state = |world: &World| -> Vec<String> {
        world
            .objects
            .list(Type::Application, None)
            .map(|app| app.value())
            .filter(|app| {
                app["status"]["sync"]["status"] != "Synced" || app["status"]["health"]["status"] != "Healthy"
            })
            .map(|app| {
                format!(
                    "{} {} {} {}",
                    app["metadata"]["name"],
                    app["status"]["sync"]["status"],
                    app["status"]["health"],
                    json!(
                        list(&app, "/status/resources")
                            .iter()
                            .filter(|r| r["status"] != "Synced")
                            .collect::<Vec<_>>()
                    )
                )
            })
            .collect()
    };
    assert_eq!(state(&platform.world), Vec::<String>::new());
    platform.pass(200);
    assert_eq!(state(&platform.world), Vec::<String>::new());
    let events: Vec<String> = platform
        .world
        .objects
        .list(Type::Event, Some(NAMESPACE))
        .map(|event| text(&event.value(), "/message").to_owned())
        .collect();
    assert_eq!(events, Vec::<String>::new());
    let _ = (
        revision,
        platform.dir(),
        platform.app("platform"),
        Policy::Full,
        sync_of(&platform.world, "platform"),
    );
    platform.until(1, "", |_| true);
}

fn play(story: &str) -> Platform {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        tenants: 4,
        pods_per_tenant: 12,
        nodes: 6,
        alive: false,
        story: story.to_owned(),
        ..Options::default()
    };
    let world = begin(&options, start(), dir.path()).unwrap();
    Platform { dir, world }
}

#[test]
fn the_bad_deploy_hurts_when_a_client_first_looks() {
    let platform = play("bad-deploy");
    let app = platform.app("tenant-2-checkout");
    println!("{app:#}");
    assert_eq!(text(&app, "/status/health/status"), "Degraded");
}
