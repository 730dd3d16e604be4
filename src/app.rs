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
pub mod alert;
pub mod application;
pub mod asking;
pub mod board;
pub mod command;
pub mod describe;
pub mod detail;
pub mod editing;
pub mod effect;
pub mod explore;
pub mod focus;
pub mod fold;
pub mod going;
pub mod groups;
pub mod hearing;
pub mod history;
pub mod input;
pub mod line;
pub mod memory;
pub mod message;
pub mod moving;
pub mod needs;
pub mod overview;
pub mod palette;
pub mod question;
pub mod running;
pub mod session;
pub mod settle;
pub mod spot;
pub mod standing;
pub mod state;
pub mod table;
pub mod typing;
pub mod update;
pub mod verbs;
pub mod viewport;
pub mod wording;
