//! What pods, nodes and namespaces use, and what comes in to namespaces: one number each, for tables.

use std::collections::HashMap;

use super::System;
use crate::identity::Text;

/// Of what the use is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Using {
    /// Of every pod: CPU and memory.
    Pods,
    /// Of every node: CPU and memory.
    Nodes,
    /// Of every namespace: CPU and memory, and the requests that come in to it.
    Namespaces,
}

/// What one of them uses; what nobody knows is `None` and never nought.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Used {
    /// Cores.
    pub cpu: Option<f64>,
    /// Bytes of the working set.
    pub memory: Option<f64>,
    /// Requests a second that come in.
    pub requests: Option<f64>,
    /// Those of them that are answered with an error of the server.
    pub errors: Option<f64>,
    /// Seconds within which 95 of a hundred are answered.
    pub p95: Option<f64>,
}

/// What all of them use.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Who says so.
    pub origin: System,
    used: HashMap<(Text, Text), Used>,
}

impl Usage {
    /// Begins with nothing.
    pub fn new(origin: System) -> Self {
        Self { origin, used: HashMap::new() }
    }

    /// Returns what is known of a namespace and name, to be filled in; nodes have no namespace, namespaces no name.
    pub fn entry(&mut self, namespace: &str, name: &str) -> &mut Used {
        self.used.entry((Text::from(namespace), Text::from(name))).or_default()
    }

    /// Returns what a pod, a node (without a namespace) or a namespace (without a name) uses.
    pub fn get(&self, namespace: &Text, name: &Text) -> Option<&Used> {
        self.used.get(&(namespace.clone(), name.clone()))
    }

    /// Tells whether nothing is known at all.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Returns namespaces, names and what they use.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Text, &Used)> {
        self.used.iter().map(|((namespace, name), used)| (namespace, name, used))
    }
}
