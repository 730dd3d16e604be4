//! A story in the pseudo-terminal: from an alert by its logs and its workload to a rollback, until it is resolved.
#![cfg(unix)]

use std::time::Duration;

use crate::terminal::{Terminal, console_beside};

/// Set for the test binary when it is a program in a pseudo-terminal: [`a_console_beside_a_world_in_a_hurry`].
const IN_A_HURRY: &str = "OPSDECK_TEST_IN_A_HURRY";

/// How much faster the time of the world goes once it is in a hurry: alerts resolve in minutes, tests in seconds.
const PACE: u32 = 20;

/// How long a step of the story may take: minutes of the world.
const PATIENCE: Duration = Duration::from_secs(90);

/// Not a test by itself: the console beside a platform whose time goes faster once it is signalled.
#[test]
fn a_console_beside_a_world_in_a_hurry() {
    use opsdeck::clock::Clock;
    use opsdeck::demo::{Platform, platform, world};
    use tokio::signal::unix::{SignalKind, signal};
    let platform = async {
        let world = world::Options { story: "bad-deploy".to_owned(), ..world::Options::default() };
        let clock = Clock::manual(Clock::system().now());
        let hands = clock.clone();
        let options = platform::Options { world, clock, ..platform::Options::default() };
        let running = Platform::start(options).await.unwrap();
        let kubeconfig = running.kubeconfig.clone();
        let mut hurry = signal(SignalKind::user_defined1()).unwrap();
        tokio::spawn(async move {
            let _running = running;
            let step = Duration::from_millis(250);
            let mut ticks = tokio::time::interval(step);
            let mut pace = 1;
            loop {
                tokio::select! {
                    _ = ticks.tick() => hands.advance(step * pace),
                    _ = hurry.recv() => pace = PACE,
                }
            }
        });
        kubeconfig
    };
    console_beside(IN_A_HURRY, platform, &[]);
}

#[test]
fn an_alert_leads_to_its_logs_its_workload_and_a_rollback_and_is_seen_resolved() {
    let home = tempfile::tempdir().unwrap();
    let test = "alert_story::a_console_beside_a_world_in_a_hurry";
    let mut console = Terminal::start_itself(test, IN_A_HURRY, home.path(), &[], (140, 40));
    console.wait_for("the demo is connected", PATIENCE, |screen| screen.contains("k8s live"));

    console.press(":alerts\r");
    console.wait_for("the alert", PATIENCE, |screen| screen.contains("HighErrorRate"));
    console.press("/HighErrorRate tenant-2\r");
    console.wait("it alone", |screen| screen.contains("alerts 1 of"));
    console.press("\r");
    console.wait("its detail, with the line of its rule", |screen| {
        screen.contains("told to") && screen.contains("fires where the value is > 5")
    });
    console.press("l");
    console.wait("its logs", |screen| screen.contains("logs around HighErrorRate"));
    console.press("\x1b");
    console.wait("the alert again", |screen| screen.contains("told to"));
    console.press("J");
    console.wait("its workload", |screen| screen.contains("deployment tenant-2/checkout"));
    console.press("\x1b");
    console.wait("the alert again", |screen| screen.contains("told to"));
    console.press("a");
    console.wait("its application", |screen| screen.contains("application argocd/tenant-2-checkout"));
    console.press("h");
    console.wait("its history", |screen| screen.contains("checkout:1.7.4"));
    console.press("j");
    console.press("R");
    console.wait("the plan, with every check answered", |screen| {
        screen.contains("Type ") && screen.contains("you may patch") && !screen.contains("pending")
    });
    let plan = console.text();
    let name = plan.split("Type ").nth(1).and_then(|rest| rest.split(" to roll back").next());
    let name = name.expect("the name that must be typed").to_owned();
    console.press(&format!("{name}\t"));
    console.press("INC-8 requests to checkout fail\r");
    console.answer("\r");
    console.wait_for("the verdict", PATIENCE, |screen| screen.contains("Verified"));

    // The alert goes when its rate has been low for as long as the rule looks back.
    console.press("O");
    console.wait("the overview", |screen| screen.contains("What changed"));
    console.signal("USR1");
    console.wait_for("the alert is resolved", PATIENCE, |screen| {
        screen.contains("HighErrorRate resolved after")
    });
    console.press(":alerts\r");
    console.wait("it is in the list no more", |screen| {
        screen.contains("alerts") && !screen.contains("HighErrorRate  ")
    });
    console.press("\x03");
    console.end();
}
