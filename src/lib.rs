//! opsdeck: a terminal operations console for multi-tenant Kubernetes platforms run by GitOps.

pub mod actions;
pub mod app;
pub mod args;
pub mod audit;
pub mod boards;
pub mod cli;
pub mod clock;
pub mod concealed;
pub mod config;
pub mod console;
pub mod contain;
pub mod demo;
pub mod filter;
pub mod gate;
pub mod human;
pub mod identity;
pub mod keymap;
pub mod kinds;
pub mod model;
pub mod nearest;
pub mod promql;
pub mod rows;
pub mod runner;
pub mod screens;
pub mod settings;
pub mod signals;
pub mod sources;
pub mod store;
pub mod term;
pub mod text;
pub mod theme;
pub mod trace;
pub mod widgets;

/// Installs the one TLS crypto provider of the process; a second call changes nothing.
///
/// rustls panics at the first connection when two providers are compiled in and none is chosen, so this
/// runs before anything else does.
pub fn install_crypto_provider() {
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
