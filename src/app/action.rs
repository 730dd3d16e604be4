//! Actions: what the person meant, or what a task had to say.

use jiff::Timestamp;

use crate::app::command::Command;
use crate::app::message::Message;
use crate::app::spot::Spot;

/// What the person meant, or what a task had to say.
#[derive(Debug)]
pub enum Action {
    /// A command: from a key, the palette, or a click on the footer.
    Run(Command),
    /// A letter for the line that is being typed.
    Type(char),
    /// Text for the line that is being typed; it never confirms anything.
    Paste(String),
    /// A click on something.
    Click(Spot),
    /// The wheel over something, in lines; negative is up.
    Scroll {
        /// What the pointer is on.
        spot: Option<Spot>,
        /// How many lines.
        lines: isize,
    },
    /// The terminal has another size.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Time has passed.
    Tick(Timestamp),
    /// A task had something to say.
    Said(Message),
}
