//! The configuration: who is told about which alerts, how they are grouped, and which alerts silence others.
//!
//! The part of Alertmanager's YAML that decides what its API says. Integrations of receivers are read past: the embedded
//! platform tells nobody.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::matcher::{Labels, Matcher};

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not YAML of the right shape.
    #[error("the configuration cannot be read: {0}")]
    Shape(String),
    /// A matcher in it cannot be used.
    #[error("matcher {matcher:?} cannot be used: {why}")]
    Matcher {
        /// As it is written.
        matcher: String,
        /// Why not.
        why: String,
    },
    /// A route names a receiver that is not there.
    #[error("undefined receiver {0:?} used in route")]
    Receiver(String),
    /// The first route must take everything.
    #[error("root route must not have any matchers")]
    Root,
}

#[derive(Debug, Deserialize)]
struct File {
    route: RawRoute,
    receivers: Vec<RawReceiver>,
    #[serde(default)]
    inhibit_rules: Vec<RawRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRoute {
    receiver: Option<String>,
    group_by: Option<Vec<String>>,
    #[serde(rename = "continue")]
    goes_on: bool,
    matchers: Vec<String>,
    #[serde(rename = "match")]
    equal: BTreeMap<String, String>,
    match_re: BTreeMap<String, String>,
    routes: Vec<RawRoute>,
}

#[derive(Debug, Deserialize)]
struct RawReceiver {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRule {
    source_matchers: Vec<String>,
    target_matchers: Vec<String>,
    equal: Vec<String>,
}

/// What labels an alert is grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// All of them: every alert is a group.
    All,
    /// These.
    Names(Vec<String>),
}

/// A node of the routing tree, with what it has from its parents.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Who is told.
    pub receiver: String,
    /// How its alerts are grouped.
    pub group_by: GroupBy,
    matchers: Vec<Matcher>,
    goes_on: bool,
    routes: Vec<Self>,
    /// Its place in the tree, depth first.
    pub index: usize,
}

/// Alerts that match the target are inhibited while one fires that matches the source and has the same values.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which alerts inhibit.
    pub source: Vec<Matcher>,
    /// Which alerts are inhibited.
    pub target: Vec<Matcher>,
    /// Labels that both must agree on.
    pub equal: Vec<String>,
}

/// A configuration in use.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The text that it was read from.
    pub original: String,
    /// The root of the routing tree.
    pub route: Route,
    /// Names of the receivers.
    pub receivers: Vec<String>,
    /// The inhibition rules.
    pub rules: Vec<Rule>,
}

impl Config {
    /// Reads a configuration.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File =
            serde_saphyr::from_str(text).map_err(|error| ConfigError::Shape(error.to_string()))?;
        let receivers: Vec<String> = file.receivers.into_iter().map(|receiver| receiver.name).collect();
        if !(file.route.matchers.is_empty() && file.route.equal.is_empty() && file.route.match_re.is_empty())
        {
            return Err(ConfigError::Root);
        }
        let route = Route::new(&file.route, None, &mut 0)?;
        let mut unknown = None;
        route.walk(&mut |route| {
            if !receivers.contains(&route.receiver) && unknown.is_none() {
                unknown = Some(route.receiver.clone());
            }
        });
        if let Some(receiver) = unknown {
            return Err(ConfigError::Receiver(receiver));
        }
        let rules = file
            .inhibit_rules
            .iter()
            .map(|raw| {
                Ok(Rule {
                    source: matchers(&raw.source_matchers)?,
                    target: matchers(&raw.target_matchers)?,
                    equal: raw.equal.clone(),
                })
            })
            .collect::<Result<_, ConfigError>>()?;
        Ok(Self { original: text.to_owned(), route, receivers, rules })
    }
}

impl Route {
    fn new(raw: &RawRoute, parent: Option<&Self>, next: &mut usize) -> Result<Self, ConfigError> {
        let mut list = matchers(&raw.matchers)?;
        for (entries, regex) in [(&raw.equal, false), (&raw.match_re, true)] {
            for (name, value) in entries {
                let matcher = Matcher::new(name, value, true, regex);
                list.push(matcher.map_err(|why| ConfigError::Matcher { matcher: value.clone(), why })?);
            }
        }
        let group_by = match &raw.group_by {
            Some(names) if names.iter().any(|name| name == "...") => GroupBy::All,
            Some(names) => GroupBy::Names(names.clone()),
            None => parent.map_or_else(|| GroupBy::Names(Vec::new()), |parent| parent.group_by.clone()),
        };
        let receiver =
            raw.receiver.clone().or_else(|| parent.map(|parent| parent.receiver.clone())).unwrap_or_default();
        let mut route = Self {
            receiver,
            group_by,
            matchers: list,
            goes_on: raw.goes_on,
            routes: Vec::new(),
            index: *next,
        };
        *next += 1;
        for child in &raw.routes {
            let child = Self::new(child, Some(&route), next)?;
            route.routes.push(child);
        }
        Ok(route)
    }

    /// Returns the nodes that take an alert; the root takes every alert that none of its children takes.
    pub fn taking(&self, labels: &Labels) -> Vec<&Self> {
        if !self.matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for route in &self.routes {
            let taking = route.taking(labels);
            let taken = !taking.is_empty();
            all.extend(taking);
            if taken && !route.goes_on {
                break;
            }
        }
        if all.is_empty() {
            all.push(self);
        }
        all
    }

    /// Returns the labels that an alert's group has.
    pub fn group(&self, labels: &Labels) -> Labels {
        let grouped = |name: &String| match &self.group_by {
            GroupBy::All => true,
            GroupBy::Names(names) => names.contains(name),
        };
        labels
            .iter()
            .filter(|(name, _)| grouped(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        for route in &self.routes {
            route.walk(visit);
        }
    }
}

fn matchers(list: &[String]) -> Result<Vec<Matcher>, ConfigError> {
    let mut all = Vec::new();
    for entry in list {
        let read = Matcher::parse_list(entry);
        all.extend(read.map_err(|why| ConfigError::Matcher { matcher: entry.clone(), why })?);
    }
    Ok(all)
}
