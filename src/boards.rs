//! Boards: what is looked at together, as data. A board is a TOML file; the program knows panels and units only.
//!
//! The boards that come with the program are files like the person's own (`boards/` beside the configuration); one
//! of the person's replaces the shipped one of its name. A file that is wrong is refused with its line and costs
//! itself alone: the others stay.
//!
//! ```toml
//! title = "Ingress"
//! about = "what comes in from outside, by host"
//! for = ["tenant", "namespace"]
//!
//! [variables]
//! namespace = { from = "namespace", default = ".+" }
//!
//! [[panels]]
//! title = "Requests"
//! unit = "ops/s"
//! thresholds = [{ at = 1000, health = "warning" }]
//!
//! [[panels.queries]]
//! legend = "{{ingress}}"
//! expr = [
//!   'sum by (ingress) (rate(nginx_ingress_controller_requests{exported_namespace=~"$namespace"}[$rate]))',
//!   'sum by (ingress) (rate(nginx_ingress_controller_requests{namespace=~"$namespace"}[$rate]))',
//! ]
//! ```
//!
//! # Why
//!
//! Names of metrics and labels differ between installations. A query is therefore a list of expressions in order of
//! preference, and the first whose metrics exist is asked. What an expression needs is not written down beside it,
//! where it would rot: it is read from the expression ([`Formula::needs`]), with the labels whose very presence
//! differs between installations (`exported_namespace`). An empty panel says which of them is missing.
//!
//! Nothing here asks anything, and nothing here knows a screen.

pub mod cloud;
mod file;
mod formula;
mod rule;
mod subject;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

pub use formula::{Formula, Legend, Need, Values, rate_window};
pub use rule::{Comparison, NAME as RULE};
pub use subject::Subject;

use crate::human::Measure;
use crate::identity::Text;
use crate::kinds::Health;
use crate::settings::{Place, SettingsError, Source};
use crate::signals::Figures;

/// The boards that come with the program, in the order in which they are offered.
const SHIPPED: &[(&str, &str)] = &[
    ("tenant", include_str!("../assets/boards/tenant.toml")),
    ("usage", include_str!("../assets/boards/usage.toml")),
    ("pod", include_str!("../assets/boards/pod.toml")),
    ("nodes", include_str!("../assets/boards/nodes.toml")),
    ("control-plane", include_str!("../assets/boards/control-plane.toml")),
    ("network", include_str!("../assets/boards/network.toml")),
    ("storage", include_str!("../assets/boards/storage.toml")),
    ("security", include_str!("../assets/boards/security.toml")),
    ("argocd", include_str!("../assets/boards/argocd.toml")),
    ("karpenter", include_str!("../assets/boards/karpenter.toml")),
    ("cert-manager", include_str!("../assets/boards/cert-manager.toml")),
    ("external-secrets", include_str!("../assets/boards/external-secrets.toml")),
    ("ingress", include_str!("../assets/boards/ingress.toml")),
    ("databases", include_str!("../assets/boards/databases.toml")),
    ("coredns", include_str!("../assets/boards/coredns.toml")),
    ("kpi", include_str!("../assets/boards/kpi.toml")),
    ("container-insights", include_str!("../assets/boards/container-insights.toml")),
    ("load-balancers", include_str!("../assets/boards/load-balancers.toml")),
    ("nat-gateways", include_str!("../assets/boards/nat-gateways.toml")),
    ("rds", include_str!("../assets/boards/rds.toml")),
    ("waf", include_str!("../assets/boards/waf.toml")),
];

/// A board.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Its name, which is that of its file.
    pub name: Text,
    /// What stands above it.
    pub title: Text,
    /// What it is for, in a phrase.
    pub about: Text,
    /// What it is offered for when something is selected, the nearest first.
    pub fits: Vec<Facet>,
    /// What is filled in from the selection.
    pub variables: Vec<Variable>,
    /// What it shows.
    pub panels: Vec<Panel>,
    /// The file that it was read from.
    pub place: Place,
}

/// What a selection says about itself, and what a variable is filled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Facet {
    /// The tenant's name.
    Tenant,
    /// The namespaces: those of the tenant, or the one of the object.
    Namespace,
    /// The node.
    Node,
    /// The pod.
    Pod,
    /// The workload: Deployment, `StatefulSet`, `DaemonSet`, Job.
    Workload,
    /// The Argo CD Application.
    Application,
}

impl Facet {
    /// Every facet with the word that board files use.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("tenant", Self::Tenant),
        ("namespace", Self::Namespace),
        ("node", Self::Node),
        ("pod", Self::Pod),
        ("workload", Self::Workload),
        ("application", Self::Application),
    ];

    /// Returns the word that board files use.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, facet)| *facet == self).map_or("", |(word, _)| word)
    }
}

/// Something in the expressions that is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name; expressions write it with a `$`.
    pub name: Text,
    /// What it is filled from; `None` for what a person sets.
    pub from: Option<Facet>,
    /// What it is where nothing fills it; without one the board needs a selection.
    pub default: Option<Text>,
}

/// How a panel shows its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Shape {
    /// Values over time.
    #[default]
    Graph,
    /// The latest value, large.
    Stat,
    /// The latest value of each series, as bars.
    Bars,
}

impl Shape {
    /// Every shape with the word that board files use.
    pub const WORDS: [(&'static str, Self); 3] =
        [("graph", Self::Graph), ("stat", Self::Stat), ("bar", Self::Bars)];
}

/// A part of a board.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What stands above it.
    pub title: Text,
    /// What its values mean, in a sentence; may be empty.
    pub about: Text,
    /// How its values are shown.
    pub shape: Shape,
    /// What its values measure.
    pub unit: Measure,
    /// Where its values come from.
    pub queries: Vec<Query>,
    /// From where on a value is no longer good.
    pub thresholds: Vec<Threshold>,
    /// The least value of the axis, where the values do not decide.
    pub low: Option<f64>,
    /// The greatest value of the axis, where the values do not decide.
    pub high: Option<f64>,
}

/// Where values of a panel come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// How its series are named.
    pub legend: Legend,
    /// What is asked.
    pub origin: Origin,
}

/// What a query asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// One of several expressions: the first whose metrics exist.
    Formulas(Vec<Formula>),
    /// What the console itself knows.
    Known(Known),
    /// Metrics of CloudWatch.
    Figures(Figures),
}

/// Values that the console knows without asking anybody for series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Known {
    /// How long each deployment took, from its start to its end, as the histories of Applications tell.
    DeploymentTime,
    /// How long each rollback took, from the answer to the verdict, as the audit tells.
    RollbackTime,
}

impl Known {
    /// Every one with the word that board files use.
    pub const WORDS: [(&'static str, Self); 2] =
        [("deployment-time", Self::DeploymentTime), ("rollback-time", Self::RollbackTime)];
}

/// From where on a value is no longer good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The value.
    pub at: Bound,
    /// Whether it is what lies below that is bad.
    pub below: bool,
    /// How bad.
    pub health: Health,
}

impl Threshold {
    /// Tells whether a value is beyond it.
    pub fn is_beyond(&self, value: f64, at: f64) -> bool {
        if self.below { value < at } else { value > at }
    }
}

/// A value that a threshold stands at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// A number of the file.
    Fixed(f64),
    /// A target of the configuration.
    Target(Target),
}

/// The targets that configuration sets (`[kpi]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// Seconds that a deployment may take.
    Deployment,
    /// Seconds that a rollback may take.
    Rollback,
    /// The part of the requests that must be answered without an error of the server.
    Availability,
    /// Seconds in which a request is answered.
    Response,
    /// The least and the greatest part of the CPU that should be used.
    Cpu(Edge),
    /// The same of the memory.
    Memory(Edge),
    /// The same of the storage.
    Storage(Edge),
    /// The same of the network.
    Network(Edge),
}

/// One end of a band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edge {
    /// Below it something is paid for and not used.
    Low,
    /// Above it there is too little left.
    High,
}

impl Target {
    /// Every target with the word that board files use.
    pub const WORDS: [(&'static str, Self); 12] = [
        ("deployment", Self::Deployment),
        ("rollback", Self::Rollback),
        ("availability", Self::Availability),
        ("response", Self::Response),
        ("cpu-low", Self::Cpu(Edge::Low)),
        ("cpu-high", Self::Cpu(Edge::High)),
        ("memory-low", Self::Memory(Edge::Low)),
        ("memory-high", Self::Memory(Edge::High)),
        ("storage-low", Self::Storage(Edge::Low)),
        ("storage-high", Self::Storage(Edge::High)),
        ("network-low", Self::Network(Edge::Low)),
        ("network-high", Self::Network(Edge::High)),
    ];
}

impl Board {
    /// Reads a board from its text; `place` is what errors say.
    pub fn read(name: &str, place: &str, text: &str) -> Result<Self, SettingsError> {
        file::board(name, &Source::new(place, text).parse()?)
    }

    /// Makes a board of one graph with one expression, as it is typed at the prompt.
    pub fn of_expression(expr: &str) -> Self {
        let query = Query { legend: Legend::default(), origin: Origin::Formulas(vec![Formula::typed(expr)]) };
        let panel = Panel {
            title: Text::from("query"),
            about: Text::from(""),
            shape: Shape::Graph,
            unit: Measure::Short,
            queries: vec![query],
            thresholds: Vec::new(),
            low: None,
            high: None,
        };
        Self {
            name: Text::from("query"),
            title: Text::from("Query"),
            about: Text::from("a PromQL expression"),
            fits: Vec::new(),
            variables: Vec::new(),
            panels: vec![panel],
            place: Place { file: Text::from("prompt"), line: 1 },
        }
    }

    /// Returns the values of its variables for a subject; the error says what has to be selected.
    pub fn values(&self, subject: &Subject) -> Result<Values, String> {
        let mut values = Values::default();
        for variable in &self.variables {
            let found = variable.from.and_then(|facet| subject.matcher(facet));
            let Some(value) = found.or_else(|| variable.default.as_ref().map(ToString::to_string)) else {
                let what = variable.from.map_or(&*variable.name, |facet| facet.word());
                return Err(format!("board {} needs a {what}: select one", self.name));
            };
            values.set(&variable.name, value);
        }
        Ok(values)
    }

    /// Returns every expression of the board, filled in, with its fallbacks.
    pub fn expressions(&self, values: &Values) -> Vec<String> {
        self.formulas().map(|formula| formula.fill(values)).collect()
    }

    /// Returns the metrics that any of its expressions needs, each once.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> =
            self.formulas().flat_map(|formula| formula.needs.iter().cloned()).collect();
        needs.sort();
        needs.dedup();
        needs
    }

    /// Tells whether any of its panels asks `CloudWatch`, and whether any asks Prometheus.
    pub fn asks(&self) -> (bool, bool) {
        let queries = || self.panels.iter().flat_map(|panel| &panel.queries);
        (
            queries().any(|query| matches!(query.origin, Origin::Figures(_))),
            queries().any(|query| matches!(query.origin, Origin::Formulas(_))),
        )
    }

    fn formulas(&self) -> impl Iterator<Item = &Formula> {
        self.panels.iter().flat_map(|panel| &panel.queries).flat_map(|query| match &query.origin {
            Origin::Formulas(formulas) => formulas.as_slice(),
            Origin::Known(_) | Origin::Figures(_) => &[],
        })
    }
}

/// Every board that can be opened.
#[derive(Debug, Clone, Default)]
pub struct Boards {
    boards: Vec<Arc<Board>>,
    /// The files that were refused, and why.
    wrong: Vec<SettingsError>,
}

impl Boards {
    /// Reads the boards that come with the program.
    pub fn shipped() -> Self {
        let mut boards = Self::default();
        for (name, text) in SHIPPED {
            boards.add(name, &format!("assets/boards/{name}.toml"), text);
        }
        boards
    }

    /// Reads the shipped boards and those of a directory; a file there replaces the shipped one of its name.
    pub fn with_directory(directory: &Path) -> Self {
        let mut boards = Self::shipped();
        // The directory is optional: one that is not there holds nothing.
        let Ok(files) = std::fs::read_dir(directory) else { return boards };
        let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|one| one == "toml")) {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let place = path.display().to_string();
            match std::fs::read_to_string(path) {
                Ok(text) => boards.add(name, &place, &text),
                Err(error) => boards.wrong.push(SettingsError::Unreadable {
                    file: Text::from(place.as_str()),
                    reason: error.to_string(),
                }),
            }
        }
        boards
    }

    /// Adds a board from its text, or notes why it is refused.
    pub fn add(&mut self, name: &str, place: &str, text: &str) {
        match Board::read(name, place, text) {
            Ok(board) => {
                let board = Arc::new(board);
                match self.boards.iter_mut().find(|one| one.name == board.name) {
                    Some(one) => *one = board,
                    None => self.boards.push(board),
                }
            }
            Err(error) => self.wrong.push(error),
        }
    }

    /// Returns the boards in the order in which they are offered.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Board>> {
        self.boards.iter()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.boards.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.boards.is_empty()
    }

    /// Returns the board of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Board>> {
        self.boards.iter().find(|board| &*board.name == name)
    }

    /// Returns the board that fits what is selected: the one that names the nearest facet first.
    pub fn fitting(&self, facets: &[Facet]) -> Option<&Arc<Board>> {
        facets.iter().find_map(|facet| {
            // A board that is made for it goes before one that can also show it.
            let rank = |board: &Arc<Board>| board.fits.iter().position(|fits| fits == facet);
            self.boards.iter().filter(|board| rank(board).is_some()).min_by_key(|board| rank(board))
        })
    }

    /// Returns the files that were refused, and why.
    pub fn wrong(&self) -> &[SettingsError] {
        &self.wrong
    }
}
