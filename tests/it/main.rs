//! The integration tests: one binary, so that it links once.

mod actions;
mod fault_server;
mod kubernetes_faults;
mod screens;
mod stage;
mod svg;
