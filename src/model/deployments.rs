//! Deployments within a time, as the histories of Applications tell: for the marks of graphs and for the time that
//! they take.
//!
//! A history is finite (ten entries by default, contracts 1.2): what is older than its oldest entry is not known.

use jiff::Timestamp;

use crate::identity::Text;
use crate::kinds::Lens;
use crate::kinds::applications::{Application, applications, short_revision};

/// A deployment of an Application.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// When it was done.
    pub at: Timestamp,
    /// Seconds from its start to its end; `None` where the history does not say.
    pub seconds: Option<f64>,
    /// The Application.
    pub application: Text,
    /// The namespace that it deploys to.
    pub namespace: Option<Text>,
    /// Whose it is.
    pub tenant: Option<Text>,
    /// What it brought, short.
    pub revision: String,
}

/// Returns the deployments between two times in seconds since 1970, oldest first.
pub fn between(lens: &Lens<'_>, from: i64, to: i64) -> Vec<Deployment> {
    let Some(shelf) = lens.shelf(&applications()) else { return Vec::new() };
    let mut found: Vec<Deployment> = shelf
        .iter()
        .filter_map(|(_, object)| Some((object, object.body::<Application>()?)))
        .flat_map(|(object, application)| {
            let meta = &object.meta;
            application.history.iter().filter_map(move |deploy| {
                let at = deploy.at.filter(|at| (from..=to).contains(&at.as_second()))?;
                let seconds = deploy.started.map(|start| at.duration_since(start).as_secs_f64());
                let tenant = meta
                    .namespace
                    .as_deref()
                    .and_then(|namespace| lens.tenants.of_application(namespace, &meta.name));
                Some(Deployment {
                    at,
                    // Clocks of two controllers differ: less than nothing is not a time.
                    seconds: seconds.filter(|seconds| *seconds >= 0.0),
                    application: meta.name.clone(),
                    namespace: application.namespace.clone(),
                    tenant: tenant.cloned(),
                    revision: short_revision(&deploy.revision).to_owned(),
                })
            })
        })
        .collect();
    found.sort_by(|one, other| one.at.cmp(&other.at).then_with(|| one.application.cmp(&other.application)));
    found
}
