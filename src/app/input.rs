//! What the terminal sends, as actions.

use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEventKind};

use crate::app::action::Action;
use crate::app::state::State;
use crate::keymap::Chord;
use crate::store::Store;

/// How many lines one notch of the wheel moves.
const NOTCH: isize = 3;

/// Returns what an event means here and now; `None` where it means nothing.
pub fn meaning(event: &Event, state: &State, store: &Store) -> Option<Action> {
    match event {
        // A release is not a second press; a repeat is.
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let chord = Chord::from(*key);
            if let Some(command) = state.meaning(store, chord) {
                return Some(Action::Run(command));
            }
            chord.types().filter(|_| state.is_typing()).map(Action::Type)
        }
        Event::Paste(text) if state.is_typing() => Some(Action::Paste(text.clone())),
        Event::Mouse(mouse) => {
            let spot = state.spots.at(mouse.column, mouse.row);
            match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => spot.map(Action::Click),
                MouseEventKind::ScrollUp => Some(Action::Scroll { spot, lines: -NOTCH }),
                MouseEventKind::ScrollDown => Some(Action::Scroll { spot, lines: NOTCH }),
                _ => None,
            }
        }
        Event::Resize(width, height) => Some(Action::Resize { width: *width, height: *height }),
        _ => None,
    }
}
