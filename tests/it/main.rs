//! The integration tests: one binary, so that it links once.

mod actions;
mod cluster;
mod fault_server;
mod kubectl;
mod kubernetes_faults;
mod screens;
mod stage;
mod svg;
