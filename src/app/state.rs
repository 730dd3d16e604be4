//! The state: all that the person looks at and has said. What the world looks like is in the store.

use jiff::Timestamp;

use crate::app::detail::Page;
use crate::app::history::View;
use crate::app::overview::Overview;
use crate::app::palette::Palette;
use crate::app::question::Question;
use crate::app::running::Running;
use crate::app::session::{Environment, Link, Scope, Session};
use crate::app::spot::Spots;
use crate::keymap::Keymap;
use crate::kinds::Health;

/// What lies over the view and has the keys.
#[derive(Debug, Clone, PartialEq)]
pub enum Overlay {
    /// The palette.
    Palette(Palette),
    /// Help over the view beneath.
    Help(Page),
    /// The question before a change.
    Question(Box<Question>),
}

/// The line that says what just happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The sentence.
    pub text: String,
    /// How it stands.
    pub health: Health,
    /// Since when it stands there; it goes after [`Status::STAYS`].
    pub at: Timestamp,
}

impl Status {
    /// Seconds for which a status stays.
    pub const STAYS: i64 = 12;
}

/// All that the person looks at.
#[derive(Debug)]
pub struct State {
    /// The time of day of this update and frame.
    pub now: Timestamp,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Where the console is connected.
    pub session: Session,
    /// What part of the cluster is shown.
    pub scope: Scope,
    /// The views beneath one another; the last one is shown, and there is always one.
    pub views: Vec<View>,
    /// What lies over the view.
    pub overlay: Option<Overlay>,
    /// What just happened.
    pub status: Option<Status>,
    /// The actions of this session, oldest first.
    pub running: Vec<Running>,
    /// The live keys.
    pub keymap: Keymap,
    /// The name of the theme.
    pub theme: String,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// What the last frame showed where.
    pub spots: Spots,
}

impl State {
    /// Makes the state of a console that was just opened.
    pub fn new(now: Timestamp, keymap: Keymap) -> Self {
        Self {
            now,
            size: (80, 24),
            session: Session {
                context: None,
                environment: Environment::Unknown,
                protected: false,
                readonly: None,
                contexts: Vec::new(),
                link: Link::None,
                namespace: None,
                requests: (0, 0),
            },
            scope: Scope::default(),
            views: vec![View::Overview(Overview::default())],
            overlay: None,
            status: None,
            running: Vec::new(),
            keymap,
            theme: "dark".to_owned(),
            mouse: true,
            spots: Spots::default(),
        }
    }
}
