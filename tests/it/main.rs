//! The integration tests: one binary, so that it links once.

mod actions;
mod bare_console;
mod cluster;
mod console_loop;
mod fault_server;
mod keys;
mod kubectl;
mod kubernetes_faults;
mod kubernetes_source;
mod layers;
mod pictures;
mod platform;
mod real_apiserver;
mod schemas;
mod screens;
mod stage;
mod story;
mod svg;
mod terminal;
mod wire;
