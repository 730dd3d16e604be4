//! The integration tests: one binary, so that it links once.

// The futures of a test hold those of an action with its checks, its chain and its requests in one another.
#![recursion_limit = "256"]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "clippy excuses test functions, and this crate is those and what they share"
)]

mod actions;
mod alert_list;
mod alert_story;
mod alertmanager;
mod alerts;
mod bare_console;
mod beside_kubectl;
mod board_command;
mod boards;
mod certificates;
mod cloudwatch;
mod cloudwatch_source;
mod cluster;
mod command_line;
mod console_loop;
mod contract;
mod drain;
mod editor_terminal;
mod fault_server;
mod git_ways;
mod keys;
mod kubectl;
mod kubectl_apply;
mod kubectl_writing;
mod kubernetes_faults;
mod kubernetes_source;
mod layers;
mod log_screens;
mod log_source;
mod logs_command;
mod loki;
mod palette_keys;
mod pictures;
mod plans;
mod platform;
mod poll;
mod program;
mod prometheus;
mod proxy;
mod real_apiserver;
mod record;
mod rights;
mod rotation;
mod rotation_story;
mod schemas;
mod scrape;
mod screens;
mod secrecy;
mod signal_commands;
mod stage;
mod still;
mod story;
mod svg;
mod tenant_back;
mod terminal;
mod verdicts;
mod waiting;
mod wire;
mod workloads;
