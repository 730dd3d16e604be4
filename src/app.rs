//! The console's state and how actions change it.
//!
//! ```text
//! chord --keymap--> Command --+
//! paste, mouse, resize -------+--> Action --update--> (State, Vec<Effect>) --runner--> tasks --> Message --+
//!                             ^                                                                            |
//!                             +----------------------------------------------------------------------------+
//! ```
//!
//! Nothing here draws, awaits, prints or reads a clock: `now` is in the state.

pub mod command;
