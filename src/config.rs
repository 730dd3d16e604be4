//! Configuration: defaults, then `config.toml`, then `OPSDECK_*`, then flags; each value knows where it came
//! from.
//!
//! Every setting is described once, in [`KEYS`]: its key, what it takes, its default and its sentence. The
//! file reader, the environment, the flags, `opsdeck config` and the test that holds `assets/config.toml`
//! equal to the defaults follow from it. Nothing here opens a connection or knows a screen.

mod contexts;
mod guard;
mod keys;
mod paths;
pub mod queries;

use std::collections::BTreeMap;
use std::fmt;

pub use contexts::{ContextRule, GitRule, Standing};
pub use keys::{KEYS, Key, Takes, Value};
pub use paths::Paths;

use crate::boards::{Edge, Target};
use crate::model::tenants::Rules;
use crate::nearest::did_you_mean;
use crate::settings::{Entry, Place, Section, SettingsError, Source, not_one_of};
use crate::sources::git::Push;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is the default.
    Default,
    /// A line of a file.
    File(Place),
    /// A variable of the environment.
    Environment(String),
    /// A flag.
    Flag(String),
    /// A rule of the guard, with where it is written.
    Rule(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => write!(f, "{place}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Rule(place) => f.write_str(place),
        }
    }
}

/// A value with its key and origin, as `opsdeck config` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, such as `logs.lines`.
    pub key: String,
    /// The value as TOML.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// What it is for, in a sentence.
    pub doc: &'static str,
}

/// Whether lines are drawn with line characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Borders {
    /// As the locale can show.
    Auto,
    /// With line characters.
    Unicode,
    /// With `+`, `-` and `|`.
    Ascii,
}

/// What the platform should reach.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Targets {
    /// Minutes that a deployment may take.
    pub deployment_minutes: f64,
    /// Minutes that a rollback may take.
    pub rollback_minutes: f64,
    /// Percent of the requests that must be answered without an error of the server.
    pub availability: f64,
    /// Milliseconds within which 95 of a hundred requests should be answered.
    pub response_ms: f64,
    /// Percent of the CPU that should be used, at least and at most.
    pub cpu: (f64, f64),
    /// The same of the memory.
    pub memory: (f64, f64),
    /// The same of the storage.
    pub storage: (f64, f64),
    /// The same of the network.
    pub network: (f64, f64),
}

impl Targets {
    /// Returns a target in the unit of the panels: seconds, or a part of one.
    pub fn value(&self, target: Target) -> f64 {
        let of = |band: (f64, f64), edge| match edge {
            Edge::Low => band.0 / 100.0,
            Edge::High => band.1 / 100.0,
        };
        match target {
            Target::Deployment => self.deployment_minutes * 60.0,
            Target::Rollback => self.rollback_minutes * 60.0,
            Target::Availability => self.availability / 100.0,
            Target::Response => self.response_ms / 1_000.0,
            Target::Cpu(edge) => of(self.cpu, edge),
            Target::Memory(edge) => of(self.memory, edge),
            Target::Storage(edge) => of(self.storage, edge),
            Target::Network(edge) => of(self.network, edge),
        }
    }
}

/// Variables of the environment that are read and are no settings of the file.
const VARIABLES: [&str; 4] = ["OPSDECK_CONFIG_DIR", "OPSDECK_STATE_DIR", "OPSDECK_CACHE_DIR", "OPSDECK_LOG"];

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The theme.
    pub theme: String,
    /// The keymap preset.
    pub keymap: String,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// How borders are drawn.
    pub borders: Borders,
    /// Whether every change is refused.
    pub readonly: bool,
    /// Environments that are protected besides `prod`.
    pub also_protect: Vec<String>,
    /// Namespaces that are listed where listing all of them is forbidden.
    pub namespaces: Vec<String>,
    /// How tenants are found.
    pub tenants: Rules,
    /// Minutes for which a rollback is watched after the operation.
    pub watch_minutes: u32,
    /// Minutes for which auto-sync is held.
    pub hold_minutes: u32,
    /// Minutes that a silence lasts where nothing else is said.
    pub silence_minutes: u32,
    /// The largest share of the firing alerts that one silence may hide, in percent.
    pub silence_share: u32,
    /// Where a revert is pushed to: `tracked` or `review`.
    pub git_push: String,
    /// Lines of a log that are kept.
    pub log_lines: usize,
    /// Lines of each container that are asked for at first.
    pub log_tail: u32,
    /// Mebibytes above which a query for log lines is asked about first.
    pub log_ask_above: u32,
    /// Fields that structured log lines are folded to.
    pub log_fields: Vec<String>,
    /// The person's own queries for log lines.
    pub queries: Vec<queries::SavedQuery>,
    /// The targets of the KPI board and of the lines in graphs.
    pub kpi: Targets,
    /// The rules of the guard; all that fit are in force.
    pub guard: Vec<crate::gate::guard::Rule>,
    /// What holds for contexts, by pattern; the first that says something counts.
    pub contexts: Vec<ContextRule>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self {
            theme: String::new(),
            keymap: String::new(),
            mouse: false,
            borders: Borders::Auto,
            readonly: false,
            also_protect: Vec::new(),
            namespaces: Vec::new(),
            tenants: Rules {
                namespace_labels: Vec::new(),
                app_project: false,
                name_patterns: Vec::new(),
                ignore: Vec::new(),
            },
            watch_minutes: 0,
            hold_minutes: 0,
            silence_minutes: 0,
            silence_share: 0,
            git_push: String::new(),
            log_lines: 0,
            log_tail: 0,
            log_ask_above: 0,
            log_fields: Vec::new(),
            queries: Vec::new(),
            kpi: Targets::default(),
            guard: guard::defaults(),
            contexts: contexts::defaults(),
            origins: BTreeMap::new(),
        };
        for key in KEYS {
            (key.set)(&mut config, key.default());
        }
        config
    }
}

impl Config {
    /// Returns the text of the documented default file.
    pub fn default_text() -> &'static str {
        include_str!("../assets/config.toml")
    }

    /// Lays file, environment and flags over the defaults, in this order.
    pub fn load(
        file: Option<Source<'_>>,
        variable: impl Fn(&str) -> Option<String>,
        flags: &[(&'static str, String, &'static str)],
    ) -> Result<Self, SettingsError> {
        let mut config = Self::default();
        if let Some(file) = file {
            config.read(&file)?;
        }
        for key in KEYS {
            let name = key.variable();
            if let Some(text) = variable(&name).filter(|text| !text.is_empty()) {
                let value =
                    key.parse(&text).map_err(|what| SettingsError::Value { origin: name.clone(), what })?;
                config.set(key, value, Origin::Environment(name));
            }
        }
        for (name, text, flag) in flags {
            if let Some(key) = KEYS.iter().find(|key| key.name == *name) {
                let origin = (*flag).to_owned();
                let value =
                    key.parse(text).map_err(|what| SettingsError::Value { origin: origin.clone(), what })?;
                config.set(key, value, Origin::Flag(origin));
            }
        }
        Ok(config)
    }

    /// Says which of the given names of variables begin like settings and are none, with the nearest that is one.
    pub fn unknown_variables<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut known: Vec<String> = KEYS.iter().map(Key::variable).collect();
        known.extend(VARIABLES.map(str::to_owned));
        let mut unknown: Vec<&str> = names
            .filter(|name| name.starts_with("OPSDECK_") && !known.iter().any(|known| known == name))
            // What tests and their surroundings set is not meant for the program.
            .filter(|name| !name.starts_with("OPSDECK_TEST_") && !name.starts_with("OPSDECK_REQUIRE_"))
            .collect();
        unknown.sort_unstable();
        let hint = |name: &str| did_you_mean(name, known.iter().map(String::as_str));
        unknown
            .into_iter()
            .map(|name| format!("{name} is not a setting and does nothing{}", hint(name)))
            .collect()
    }

    fn set(&mut self, key: &'static Key, value: Value, origin: Origin) {
        (key.set)(self, value);
        self.origins.insert(key.name, origin);
    }

    fn read(&mut self, source: &Source<'_>) -> Result<(), SettingsError> {
        let mut contexts = Vec::new();
        for entry in source.parse()?.entries() {
            if entry.name == "contexts" {
                contexts = contexts::read(&entry.section()?)?;
            } else if entry.name == "guard" {
                let rules = guard::read(&entry.section()?)?;
                self.guard = guard::laid(rules, std::mem::take(&mut self.guard));
            } else if entry.name == "queries" {
                self.queries = queries::read(&entry.section()?)?;
            } else if KEYS.iter().any(|key| key.section() == Some(entry.name.as_str())) {
                self.read_section(&entry.section()?)?;
            } else {
                self.read_entry(&entry)?;
            }
        }
        // A person's patterns come first: the first that says something counts.
        contexts.append(&mut self.contexts);
        self.contexts = contexts;
        Ok(())
    }

    fn read_section(&mut self, section: &Section<'_>) -> Result<(), SettingsError> {
        section.entries().iter().try_for_each(|entry| self.read_entry(entry))
    }

    fn read_entry(&mut self, entry: &Entry<'_>) -> Result<(), SettingsError> {
        let Some(key) = KEYS.iter().find(|key| key.name == entry.path) else {
            let names: Vec<_> =
                KEYS.iter().map(|key| key.name).chain(["contexts", "guard", "queries"]).collect();
            return Err(entry.wrong(not_one_of("setting", &entry.path, &names)));
        };
        let value = key.read(entry)?;
        self.set(key, value, Origin::File(entry.place()));
        Ok(())
    }

    /// Returns every value with its origin, in the order of the documentation; queries and patterns of
    /// contexts last.
    pub fn settings(&self) -> Vec<Setting> {
        let plain = KEYS.iter().map(|key| Setting {
            key: key.name.to_owned(),
            value: (key.get)(self).to_string(),
            origin: self.origin(key.name),
            doc: key.doc,
        });
        let contexts = self.contexts.iter().flat_map(ContextRule::settings);
        plain.chain(queries::settings(self)).chain(guard::settings(self)).chain(contexts).collect()
    }

    /// Returns where a value came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Returns what holds for a context.
    pub fn standing(&self, context: &str) -> Standing {
        let everywhere = self.readonly.then(|| self.origin("readonly").to_string());
        let mut standing =
            contexts::standing(&self.contexts, context, everywhere, &self.also_protect, &self.namespaces);
        let environment = standing.environment.word();
        standing.protected |=
            self.guard.iter().any(|rule| rule.type_name && rule.is_general(context, environment));
        standing.guard.clone_from(&self.guard);
        standing.git.push = standing.push.unwrap_or_else(|| Push::named(&self.git_push));
        standing
    }
}

#[cfg(test)]
mod tests;
