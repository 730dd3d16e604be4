//! What moves by itself: a busy application, a node that is consolidated, and the load generator of benchmarks.
//!
//! A platform on which nothing happens looks dead; one on which much happens hides the story. Both rates are set here
//! and nowhere else.

use super::disruption::consolidate;
use super::objects::Key;
use super::types::Type;
use super::untyped::{put, text};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

/// Seconds between two changes of the load generator's bursts.
const BURST: f64 = 0.05;

/// Background activity.
#[derive(Debug, Default)]
pub struct Activity {
    /// Pods that the load generator touches in turn.
    pods: Vec<Key>,
    touched: usize,
    /// What of a change is left over from the last burst.
    owed: f64,
}

fn every(name: &str) -> Key {
    // Keys of timers only; there are no objects of these names.
    Key::new(Type::Namespace, "", name)
}

impl Controller for Activity {
    fn name(&self) -> &'static str {
        "activity"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        // Starts with the platform itself.
        if seen.key.kind == Type::Namespace && &*seen.key.name == "default" && !seen.gone {
            keys.extend(["+load", "+node", "+churn"].map(every));
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        match &*key.name {
            "+load" if cx.options.alive => {
                if cx.timed() {
                    busy(cx);
                }
                let wait = cx.rng.i64(45..120);
                cx.after(wait as f64, key);
            }
            "+node" if cx.options.alive => {
                if cx.timed() {
                    consolidate(cx);
                }
                let wait = cx.rng.i64(420..900);
                cx.after(wait as f64, key);
            }
            "+churn" if cx.options.churn > 0 => {
                if cx.timed() {
                    self.churn(cx);
                }
                cx.after(BURST, key);
            }
            _ => {}
        }
    }
}

/// Makes one autoscaled application busy, and the one before it usual again.
fn busy(cx: &mut Cx<'_>) {
    let scaled: Vec<(String, String)> = cx
        .estate
        .apps()
        .filter(|(_, app)| app.profile.autoscaled || app.profile.queue)
        .map(|(_, app)| (app.namespace.clone(), app.name.clone()))
        .collect();
    let Some((namespace, app)) = cx.rng.choice(&scaled).cloned() else { return };
    let factor = if cx.load.of(&namespace, &app) > 1.0 { 1.0 } else { 1.5 + cx.rng.f64() };
    cx.load.set(&namespace, &app, factor, cx.now);
    // Two at once are enough to look at.
    let calm: Vec<(String, String)> =
        cx.load.busy().filter(|one| *one != (namespace.clone(), app.clone())).skip(1).collect();
    for (namespace, app) in calm {
        cx.load.set(&namespace, &app, 1.0, cx.now);
    }
}

impl Activity {
    /// Changes as many pods as are due: each gets a restart more, which every view of pods shows.
    fn churn(&mut self, cx: &mut Cx<'_>) {
        self.owed += f64::from(cx.options.churn) * BURST;
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            if self.touched >= self.pods.len() {
                self.touched = 0;
                self.pods = cx.objects.list(Type::Pod, None).map(|pod| pod.key.clone()).collect();
                cx.rng.shuffle(&mut self.pods);
            }
            let Some(key) = self.pods.get(self.touched).cloned() else { return };
            self.touched += 1;
            cx.update(&key, |pod| {
                if text(pod, "/status/phase") == "Running" {
                    let status = &mut pod["status"]["containerStatuses"][0];
                    let count = status["restartCount"].as_i64().unwrap_or(0);
                    put(status, &["restartCount"], count + 1);
                }
            });
        }
    }
}
