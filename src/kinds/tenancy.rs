//! Which tenant a namespace or an Application belongs to: the answers, not the rules.
//!
//! The rules are those of `model::tenants`, which fills this in.

use std::collections::HashMap;

use super::Object;
use crate::identity::{Resource, Text};

/// Who belongs to whom in one context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tenancy {
    namespaces: HashMap<Text, Text>,
    /// Namespace to name to tenant.
    applications: HashMap<Text, HashMap<Text, Text>>,
}

impl Tenancy {
    /// Says whose a namespace is.
    pub fn give_namespace(&mut self, namespace: &Text, tenant: &Text) {
        self.namespaces.insert(namespace.clone(), tenant.clone());
    }

    /// Says whose an Application is.
    pub fn give_application(&mut self, namespace: &Text, name: &Text, tenant: &Text) {
        self.applications.entry(namespace.clone()).or_default().insert(name.clone(), tenant.clone());
    }

    /// Returns the tenant of a namespace.
    pub fn of_namespace(&self, namespace: &str) -> Option<&Text> {
        self.namespaces.get(namespace)
    }

    /// Returns the namespaces of a tenant, in no order.
    pub fn namespaces_of(&self, tenant: &str) -> impl Iterator<Item = &Text> {
        self.namespaces.iter().filter(move |(_, one)| ***one == *tenant).map(|(name, _)| name)
    }

    /// Returns the tenant of an Application.
    pub fn of_application(&self, namespace: &str, name: &str) -> Option<&Text> {
        self.applications.get(namespace)?.get(name)
    }

    /// Returns the Applications of a tenant, by namespace and name, in no order.
    pub fn applications_of(&self, tenant: &str) -> impl Iterator<Item = (&Text, &Text)> {
        self.applications.iter().flat_map(move |(namespace, names)| {
            let own = names.iter().filter(move |(_, one)| ***one == *tenant);
            own.map(move |(name, _)| (namespace, name))
        })
    }

    /// Returns the tenant of an object: an Application's own, a namespace's own, else that of its namespace.
    pub fn of(&self, resource: &Resource, object: &Object) -> Option<&Text> {
        let meta = &object.meta;
        match (&*resource.group, &*resource.plural, meta.namespace.as_deref()) {
            ("argoproj.io", "applications", Some(namespace)) => self.of_application(namespace, &meta.name),
            ("", "namespaces", _) => self.of_namespace(&meta.name),
            (_, _, Some(namespace)) => self.of_namespace(namespace),
            (_, _, None) => None,
        }
    }
}
