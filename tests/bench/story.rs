//! The story of a bad deploy, scripted: from opening the console to the verified rollback.

use std::time::{Duration, Instant};

use super::terminal::Terminal;
use super::{PROGRAM, line, verdict};

/// From opening the console to the verdict (the platform's target for a rollback).
const TARGET: Duration = Duration::from_mins(2);
/// How long the verdict is waited for before the story is given up.
const PATIENCE: Duration = Duration::from_mins(5);

/// Plays it with keys, as a person would who knows them.
pub(super) fn bad_deploy() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().display().to_string();
    let variables =
        [("HOME", folder.as_str()), ("OPSDECK_STATE_DIR", &folder), ("OPSDECK_CONFIG_DIR", &folder)];
    let begun = Instant::now();
    let mut console = Terminal::start(PROGRAM, &["demo", "--story", "bad-deploy"], &variables, (140, 40));
    console.wait("connected", |screen| screen.contains("k8s live") && screen.contains("argo live"));
    console.press(":applications\r");
    console.wait("the table", |screen| screen.contains("applications") && screen.contains("✗ Degraded"));
    console.press("/tenant-2-checkout\r");
    console.wait("one row", |screen| screen.contains("applications 1 of"));
    console.press("R");
    console.wait("the plan, with every check answered", |screen| {
        screen.contains("Type ") && screen.contains("1.8.0 -> 1.7.4") && !screen.contains("pending")
    });
    let planned = begun.elapsed();
    console.press("tenant-2\t");
    console.press("INC-7 checkout crash-loops\r");
    console.answer("\r");
    console.wait_for("the verdict", PATIENCE, |screen| screen.contains("Verified"));
    let took = begun.elapsed();
    line(
        "bad-deploy, from opening the console to verified",
        &format!("{:.1} s", took.as_secs_f64()),
        &format!(
            "plan on screen after {:.1} s; target 120 s: {}",
            planned.as_secs_f64(),
            verdict(took <= TARGET)
        ),
    );
}
