//! The console's state and how actions change it.
//!
//! ```text
//! chord --keymap--> Command --+
//! paste, mouse, resize -------+--> Action --update--> (State, Vec<Effect>) --runner--> tasks --> Message --+
//!                             ^                                                                            |
//!                             +----------------------------------------------------------------------------+
//! ```
//!
//! Nothing here draws, awaits, prints or reads a clock: `now` is in the state. What each view holds is said at
//! the head of its module; the screens draw from it and from the store, and change nothing.

pub mod action;
pub mod application;
pub mod command;
pub mod detail;
pub mod effect;
pub mod history;
pub mod line;
pub mod logs;
pub mod message;
pub mod overview;
pub mod palette;
pub mod question;
pub mod running;
pub mod session;
pub mod spot;
pub mod state;
pub mod table;
pub mod viewport;
