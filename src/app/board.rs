//! A board that is looked at: its subject, the time that all its panels share, and what was answered last.
//!
//! What has to be asked follows from the board, the subject, the window and the width, and is worked out in `settle`;
//! `needs` only hands it on. While a new question waits for its answer, the last values stay on screen.

pub mod commands;
pub mod panels;
pub mod prompt;
pub mod span;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::app::viewport::Viewport;
use crate::boards::{Board, Subject};
use crate::identity::Text;
use crate::kinds::Health;
use crate::signals::{Ask, Labels, Window};
use crate::sources::SourceError;
use prompt::Prompt;

/// What a board is opened for.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// What the scope says: a tenant, a namespace, everything. It follows the scope.
    Scope,
    /// Something that was selected.
    Subject(Subject),
}

/// By what the series of a panel are ordered in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As the server sends them.
    #[default]
    Answer,
    /// By name.
    Name,
    /// By the last value, the greatest first.
    Last,
    /// By the greatest value, the greatest first.
    Most,
    /// By the least value, the least first.
    Least,
}

impl Order {
    /// Returns the next order.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Answer => Self::Last,
            Self::Last => Self::Most,
            Self::Most => Self::Least,
            Self::Least => Self::Name,
            Self::Name => Self::Answer,
        }
    }

    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answer => "as answered",
            Self::Name => "by name",
            Self::Last => "by last value",
            Self::Most => "by greatest value",
            Self::Least => "by least value",
        }
    }
}

/// The state of a board.
#[derive(Debug)]
pub struct BoardView {
    /// The board.
    pub board: Arc<Board>,
    /// What it was opened for.
    pub about: About,
    /// What it shows, as the selection or the scope says.
    pub subject: Subject,
    /// The time that all panels share.
    pub window: Window,
    /// The panel that is selected.
    pub panel: usize,
    /// The first row of panels that is visible.
    pub top: usize,
    /// Whether the selected panel is shown alone.
    pub large: bool,
    /// The time that is read, in seconds since 1970.
    pub cursor: Option<i64>,
    /// Expressions that a person wrote in the place of those of a panel.
    pub edited: BTreeMap<usize, Text>,
    /// The line that is typed.
    pub prompt: Option<Prompt>,
    /// The window over the series of the panel that is shown alone.
    pub series: Viewport,
    /// Their order.
    pub order: Order,
    /// What each panel shows.
    pub panels: Vec<PanelState>,
    /// What happened within the window, oldest first.
    pub happened: Vec<Happened>,
    /// What has to be asked.
    pub asks: Vec<Ask>,
    /// Whether there is no Prometheus and components are scraped in its place.
    pub scraped: bool,
    /// What may not be filled in, and why: the board cannot be shown.
    pub unfilled: Option<String>,
    /// Columns of panels beside one another, at the width of the last settling.
    pub columns: usize,
    /// The alert that it was opened for.
    pub alert: Option<OfAlert>,
}

/// The alert that a board was opened for: its series alone are drawn, and its times are marked.
#[derive(Debug, Clone, PartialEq)]
pub struct OfAlert {
    /// Its labels, without those that its rule has set over those of the series.
    pub labels: Labels,
    /// When it began, and when it was told.
    pub marks: Vec<Happened>,
}

impl BoardView {
    /// Opens a board.
    pub fn new(board: Arc<Board>, about: About) -> Self {
        let panels = board.panels.iter().map(|_| PanelState::default()).collect();
        Self {
            board,
            about,
            subject: Subject::default(),
            window: Window::Last { seconds: span::OPENS },
            panel: 0,
            top: 0,
            large: false,
            cursor: None,
            edited: BTreeMap::new(),
            prompt: None,
            series: Viewport::default(),
            order: Order::default(),
            panels,
            happened: Vec::new(),
            asks: Vec::new(),
            unfilled: None,
            scraped: false,
            columns: 1,
            alert: None,
        }
    }

    /// Opens the prompt's board with an expression, or with an empty line to type one.
    pub fn of_expression(expr: &str) -> Self {
        let mut view = Self::new(Arc::new(Board::of_expression(expr)), About::Scope);
        view.large = true;
        if expr.trim().is_empty() {
            view.prompt = Some(Prompt::query(""));
        } else {
            view.edited.insert(0, Text::from(expr.trim()));
        }
        view
    }

    /// Opens the board of a rule, its one graph large.
    pub fn of_rule(board: Board, window: Window) -> Self {
        let mut view = Self::new(Arc::new(board), About::Scope);
        view.large = true;
        view.window = window;
        view
    }

    /// Tells whether it is the prompt's own.
    pub fn is_query(&self) -> bool {
        &*self.board.name == "query"
    }

    /// Tells whether its one panel is all that there is to see.
    pub fn is_single(&self) -> bool {
        self.is_query() || &*self.board.name == crate::boards::RULE
    }
}

/// Something that happened within the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// Whether it is good or bad news.
    pub health: Health,
    /// What, in one line.
    pub text: String,
}

/// What a panel shows.
#[derive(Debug, Default)]
pub struct PanelState {
    /// The questions whose answers it shows.
    pub asked: Vec<Asked>,
    /// The series of the last answers.
    pub series: Vec<Drawn>,
    /// What none of its expressions finds, as sentences; empty where something is asked.
    pub missing: Vec<String>,
    /// Whether an answer is still awaited.
    pub waiting: bool,
    /// Why the last question failed.
    pub error: Option<SourceError>,
    /// What the server warned of.
    pub warnings: Vec<Text>,
    /// How many parts could not be understood.
    pub garbled: u64,
    /// When the oldest of its answers came.
    pub at: Option<Timestamp>,
    /// Milliseconds between two values of a series.
    pub step: i64,
    /// How many series of each query are not drawn, because there are too many.
    pub cut: BTreeMap<usize, usize>,
    /// How many series are native histograms, which have no single number.
    pub histograms: usize,
    /// The readings that `series` was made from, by query.
    seen: BTreeMap<usize, (Ask, u64)>,
}

/// A question of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Which of the panel's queries.
    pub query: usize,
    /// The question.
    pub ask: Ask,
    /// The expression as it is asked.
    pub expr: Text,
}

/// A series with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Which of the panel's queries it answers.
    pub query: usize,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Milliseconds since 1970 and values, in the order of time.
    pub points: Vec<(i64, f64)>,
}

impl PanelState {
    /// Puts the series of a query in the place of those it had.
    fn take(&mut self, query: usize, series: Vec<Drawn>) {
        self.series.retain(|one| one.query != query);
        let at = self.series.partition_point(|one| one.query < query);
        self.series.splice(at..at, series);
    }

    /// Tells whether it has anything to show.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.points.is_empty())
    }
}
