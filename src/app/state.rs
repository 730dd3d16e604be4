//! The state: all that the person looks at and has said. What the world looks like is in the store.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::actions::left::Left;
use crate::actions::reveal::Revealed;
use crate::app::detail::Page;
use crate::app::editing::Editing;
use crate::app::history::Views;
use crate::app::memory::Memory;
use crate::app::palette::Palette;
use crate::app::question::Question;
use crate::app::running::{Cut, Running};
use crate::app::session::{Environment, Link, Session};
use crate::app::spot::{Spot, Spots};
use crate::boards::Boards;
use crate::config::Config;
use crate::identity::{Context, Resource};
use crate::keymap::Keymap;
use crate::kinds::{Health, Kinds, Lens, Tenancy};
use crate::model::holds::Holds;
use crate::model::tenants::{Rules, Tenants};
use crate::model::timeline::Timeline;
use crate::rows::Scope;
use crate::signals::Ask;
use crate::store::Store;

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
    /// The zone in which times of day are written.
    pub zone: TimeZone,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The configuration.
    pub config: Arc<Config>,
    /// Every kind.
    pub kinds: Arc<Kinds>,
    /// Who belongs to whom in the open context; a conclusion from the store, brought up to date by `settle`.
    pub tenancy: Tenancy,
    /// Counts the changes of the tenancy.
    pub belonging: u64,
    /// The tenants: who they are (the number keys mean them in this order) and how each of them is.
    pub tenants: Tenants,
    /// What changed.
    pub timeline: Timeline,
    /// The Applications on which auto-sync is held.
    pub holds: Holds,
    /// The questions what may be done with what is selected: the footer leaves out what may not.
    pub rights: Vec<Ask>,
    /// Actions of earlier sessions that have no end in the audit.
    pub cut: Vec<Cut>,
    /// Rotations that were left before their end, of any context.
    pub left: Vec<Left>,
    /// A value that somebody asked to see, and until when it stands on the screen.
    pub revealed: Option<(Box<Revealed>, Timestamp)>,
    /// Whether they were looked at, so that the notice need not stand there any more.
    pub cut_seen: bool,
    /// Every type that the server has, by `plural.group` or plural: what the palette can list beside the kinds.
    pub served: Vec<Resource>,
    /// Where the console is connected.
    pub session: Session,
    /// What part of the cluster is shown.
    pub scope: Scope,
    /// The views, one of which is shown.
    pub views: Views,
    /// What lies over the view.
    pub overlay: Option<Overlay>,
    /// What just happened.
    pub status: Option<Status>,
    /// The actions of this session, oldest first.
    pub running: Vec<Running>,
    /// The edit that is under way.
    pub editing: Option<Editing>,
    /// The number of the last question.
    pub asked: u64,
    /// The live keys.
    pub keymap: Keymap,
    /// The name of the theme.
    pub theme: String,
    /// The themes that can be chosen.
    pub themes: Vec<String>,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// What the last frame showed where.
    pub spots: Spots,
    /// What was clicked last and when, so that a second click can open it.
    pub clicked: Option<(Spot, Timestamp)>,
    /// Lines of the palette that were taken, newest last.
    pub said: Vec<String>,
    /// Queries for log lines that were asked, newest last.
    pub queried: Vec<String>,
    /// Every board that can be opened.
    pub boards: Arc<Boards>,
    /// Expressions that were typed, newest last.
    pub queries: Vec<String>,
    /// When rollbacks ended and how many seconds they took, as the audit had them when the console was opened.
    pub rollbacks: Vec<(Timestamp, f64)>,
    /// What is remembered from one run to the next.
    pub memory: Memory,
}

impl State {
    /// Makes the state of a console that was just opened.
    pub fn new(now: Timestamp, config: Arc<Config>, keymap: Keymap, kinds: Arc<Kinds>) -> Self {
        Self {
            now,
            zone: TimeZone::UTC,
            size: (80, 24),
            session: Session {
                context: None,
                environment: Environment::Unknown,
                protected: false,
                readonly: config.readonly.then(|| config.origin("readonly").to_string()),
                contexts: Vec::new(),
                link: Link::None,
                namespace: None,
                requests: (0, 0),
            },
            tenancy: Tenancy::default(),
            belonging: 0,
            tenants: Tenants::new(Rules {
                namespace_labels: config.tenants.namespace_labels.clone(),
                app_project: config.tenants.app_project,
                name_patterns: config.tenants.name_patterns.clone(),
                ignore: config.tenants.ignore.clone(),
            }),
            timeline: Timeline::default(),
            holds: Holds::default(),
            rights: Vec::new(),
            cut: Vec::new(),
            left: Vec::new(),
            revealed: None,
            cut_seen: false,
            served: Vec::new(),
            scope: Scope::default(),
            views: Views::default(),
            overlay: None,
            status: None,
            running: Vec::new(),
            editing: None,
            asked: 0,
            keymap,
            theme: config.theme.clone(),
            themes: Vec::new(),
            mouse: config.mouse,
            spots: Spots::default(),
            clicked: None,
            said: Vec::new(),
            queried: Vec::new(),
            boards: Arc::new(Boards::default()),
            queries: Vec::new(),
            rollbacks: Vec::new(),
            memory: Memory::default(),
            config,
            kinds,
        }
    }

    /// Takes up what an earlier run remembered.
    pub fn remember(&mut self, memory: Memory) {
        self.said.clone_from(&memory.said);
        self.queried.clone_from(&memory.queried);
        self.memory = memory;
    }

    /// Says what just happened.
    pub fn say(&mut self, health: Health, text: impl Into<String>) {
        self.status = Some(Status { text: text.into(), health, at: self.now });
    }

    /// Returns what a cell or a verdict may look at.
    pub fn lens<'a>(&'a self, store: &'a Store, context: &'a Context) -> Lens<'a> {
        Lens { now: self.now, context, store, kinds: &self.kinds, tenants: &self.tenancy }
    }
}
