//! The figures of the README: `cargo bench` prints them.
//!
//! Each is measured on the release binary in a pseudo-terminal, against the embedded platform in a process of its
//! own. The machine's noise is in them: compare figures of one run with each other, not with another machine's.
//! Nothing is asserted; a budget that is missed is printed as missed.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that measures wall clocks, prints, and ends where it cannot measure"
)]

#[path = "../it/terminal.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod terminal;

mod alerts;
mod boards;
mod curl;
mod frame;
mod lines;
mod platform;
mod story;
mod wire;

use std::time::{Duration, Instant};

use platform::Platform;
use terminal::Terminal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_opsdeck");

/// How often short things are repeated; the median is printed.
const RUNS: usize = 5;

/// How long an idle console is watched.
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    // `cargo test --benches` runs this too, with an argument that asks for no figures.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    acting();
    // `cargo bench -- acting` is for those who work on actions: the rest takes minutes.
    if std::env::args().any(|argument| argument == "acting") {
        return;
    }
    frame::hundred_thousand_rows();
    boards::twelve_graphs();
    alerts::five_thousand_alerts();
    lines::a_million_lines();

    println!("\nstarting a platform of 10,000 pods, 2,000 applications, 200 nodes");
    let platform = Platform::start(&[
        "--tenants",
        "100",
        "--pods-per-tenant",
        "100",
        "--nodes",
        "200",
        "--applications",
        "2000",
        "--story",
        "quiet",
    ]);
    first_frame(&platform);
    all_rows(&platform);
    idle(&platform);
    drop(platform);

    println!("\nstarting a platform where 1,000 objects change a second");
    let platform = Platform::start(&[
        "--tenants",
        "100",
        "--pods-per-tenant",
        "100",
        "--nodes",
        "200",
        "--story",
        "quiet",
        "--churn",
        "1000",
    ]);
    key_to_frame(&platform);
}

/// From the key that confirms to the wire, and a whole story.
fn acting() {
    println!("acting on small platforms");
    wire::key_to_wire();
    story::bad_deploy();
    println!();
}

fn line(what: &str, figure: &str, budget: &str) {
    println!("{what:<58} {figure:>24}   {budget}");
}

fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}

fn median(mut figures: Vec<Duration>) -> Duration {
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn console(platform: &Platform, arguments: &[&str]) -> Terminal {
    let kubeconfig = platform.kubeconfig();
    let state = platform.state();
    let variables =
        [("KUBECONFIG", kubeconfig.as_str()), ("OPSDECK_STATE_DIR", &state), ("OPSDECK_CONFIG_DIR", &state)];
    Terminal::start(PROGRAM, arguments, &variables, (160, 48))
}

/// Takes in what the console writes by itself for a while, and returns how many bytes that was.
fn listen(console: &mut Terminal, time: Duration) -> usize {
    let begun = Instant::now();
    let mut count = 0;
    while let Some(left) = time.checked_sub(begun.elapsed()) {
        count += console.read_some(left).unwrap_or(0);
    }
    count
}

fn first_frame(platform: &Platform) {
    let times = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            let mut console = console(platform, &[]);
            console.wait("the header", |screen| screen.contains("opsdeck"));
            begun.elapsed()
        })
        .collect();
    let time = median(times);
    let budget = Duration::from_millis(50);
    line("start to first frame", &milliseconds(time), &format!("budget 50 ms: {}", verdict(time <= budget)));
}

fn all_rows(platform: &Platform) {
    let wire = median((0..RUNS).map(|_| curl::pods(platform).0).collect());
    let bytes = curl::pods(platform).1;
    let pods = platform.pods();
    let mut memory = 0;
    let times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            let mut console = console(platform, &["pods"]);
            console.wait("all pods", |screen| {
                screen.contains(&format!("pods {pods}")) && screen.contains("live")
            });
            let time = begun.elapsed();
            // Nodes and applications come in beside the pods: memory is read when all are there.
            console.wait("all applications", |screen| screen.contains("argo live"));
            listen(&mut console, Duration::from_secs(1));
            memory = memory.max(platform::resident(console.pid()));
            time
        })
        .collect();
    let time = median(times);
    let ratio = time.as_secs_f64() / wire.as_secs_f64().max(1e-9);
    line("curl, the same list of pods", &milliseconds(wire), &format!("{:.1} MB", bytes as f64 / 1e6));
    line(
        "start to all pods on screen",
        &milliseconds(time),
        &format!("{ratio:.2} times curl; budget 1.5: {}", verdict(ratio <= 1.5)),
    );
    let mib = memory as f64 / 1024.0 / 1024.0;
    line(
        "memory, 10,000 pods, 2,000 applications, 200 nodes",
        &format!("{mib:.1} MiB"),
        &format!("budget 60 MiB: {}", verdict(mib <= 60.0)),
    );
}

fn idle(platform: &Platform) {
    let mut console = console(platform, &["applications"]);
    console.wait("all applications", |screen| screen.contains("argo live"));
    listen(&mut console, Duration::from_secs(3));
    let before = platform::cpu(console.pid());
    let written = listen(&mut console, IDLE);
    let share =
        platform::cpu(console.pid()).saturating_sub(before).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    line(
        "CPU of an idle console (the platform is not quite idle)",
        &format!("{share:.2} % of a core"),
        &format!("{written} bytes drawn in {} s; budget 0.5 %: {}", IDLE.as_secs(), verdict(share <= 0.5)),
    );
}

/// From writing a key to the frame in which the selection has moved.
fn key_to_frame(platform: &Platform) {
    let mut console = console(platform, &["pods"]);
    let pods = platform.pods();
    console.wait("all pods", |screen| screen.contains(&format!("pods {pods}")) && screen.contains("live"));
    let selected = |screen: &str| screen.lines().position(|line| line.trim_start().starts_with('▶'));
    let mut times: Vec<Duration> = Vec::new();
    for step in 0..400 {
        let down = step % 2 == 0;
        let from = selected(&console.text());
        console.press(if down { "j" } else { "k" });
        times.push(console.wait("the selection moves", |screen| selected(screen) != from));
    }
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    let late = at(0.99);
    line(
        "key to frame, 1,000 changes a second, 99th percentile",
        &milliseconds(late),
        &format!(
            "median {}; budget 16 ms: {}",
            milliseconds(at(0.5)),
            verdict(late <= Duration::from_millis(16))
        ),
    );
}
